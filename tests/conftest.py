"""Fixtures that every test may use; those of the simulator and of worker processes live in files of their own."""

import pytest
from django.core.cache import caches
from django.utils import translation

pytest_plugins = ["tests.simulator", "tests.workers"]


@pytest.fixture(autouse=True)
def a_process_without_memories():
    """Every test begins like a process that has just started."""
    caches["process"].clear()
    translation.deactivate()
