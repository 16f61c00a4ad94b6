"""The vendored Chart.js is the one it says it is."""

import hashlib
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = pytest.mark.pure

FOLDER = Path(settings.BASE_DIR) / "config" / "static" / "vendor" / "chartjs"


def stated(name):
    lines = (FOLDER / "VERSION").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name} "))


def test_the_file_has_the_stated_sum_and_version():
    script = (FOLDER / "chart.umd.min.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() == stated("sha256")
    assert f"Chart.js v{stated('version')}".encode() in script[:200]


def test_no_source_map_is_asked_for():
    assert b"sourceMappingURL" not in (FOLDER / "chart.umd.min.js").read_bytes()


def test_the_licence_stands_beside_it():
    assert "MIT" in (FOLDER / "LICENSE.md").read_text()


def test_the_package_that_ships_other_charts_is_not_an_app():
    assert "chartjs" not in settings.INSTALLED_APPS
