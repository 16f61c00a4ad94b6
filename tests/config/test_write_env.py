"""The `.env` of a new installation."""

import stat

import pytest
from cryptography.fernet import Fernet

from config import write_env

pytestmark = pytest.mark.pure

TEMPLATE = "# Secrets\nSECRET_KEY=\nCREDENTIAL_KEYS=\nDEMO_STAFF_PASSWORD=\nDEMO_MANAGER_PASSWORD=\n#DEBUG=False\n"


def values(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".env.example").write_text(TEMPLATE)
    return tmp_path


def test_every_secret_gets_a_random_value_that_only_the_owner_may_read(folder, capsys):
    assert write_env.main(folder) == 0
    path = folder / ".env"
    first = values(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first["SECRET_KEY"]) >= 50
    Fernet(first["CREDENTIAL_KEYS"])
    assert "#DEBUG=False" in path.read_text()
    assert not any(value in capsys.readouterr().out for value in first.values())
    path.unlink()
    write_env.main(folder)
    assert all(value != first[name] for name, value in values(path.read_text()).items())


def test_what_is_set_stays_and_only_what_is_missing_is_added(folder):
    path = folder / ".env"
    path.write_text("SECRET_KEY=mine\nDATABASE_URL=postgres://db/shop\nDEMO_STAFF_PASSWORD=\n")
    write_env.main(folder)
    found = values(path.read_text())
    assert (found["SECRET_KEY"], found["DATABASE_URL"]) == ("mine", "postgres://db/shop")
    assert found["DEMO_STAFF_PASSWORD"]
    assert found["CREDENTIAL_KEYS"]


def test_a_complete_file_is_not_touched(folder):
    write_env.main(folder)
    path = folder / ".env"
    before = path.read_text(), path.stat().st_mtime_ns
    write_env.main(folder)
    assert (path.read_text(), path.stat().st_mtime_ns) == before


def test_the_example_lists_every_variable_that_the_settings_read():
    import re

    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (write_env.ROOT / "config/settings.py").read_text()))
    listed = set(re.findall(r"^#?([A-Z_]+)=", (write_env.ROOT / ".env.example").read_text(), re.MULTILINE))
    assert listed == read
