"""Fixtures that every test may use; those of simulator, tables and worker processes live in files of their own."""

import pytest
from django.core.cache import caches
from django.utils import translation

pytest_plugins = ["tests.simulator", "tests.tables", "tests.workers"]


@pytest.fixture(autouse=True)
def a_process_without_memories():
    """Every test begins like a process that has just started."""
    caches["process"].clear()
    translation.deactivate()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A test that asks for no database, and so is let into none, runs once."""
    database = {"db", "transactional_db", "live_server", "admin_client", "admin_user"}
    for item in items:
        if item.get_closest_marker("django_db") is None and not database & set(item.fixturenames):
            item.add_marker(pytest.mark.pure)
