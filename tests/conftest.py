"""Fixtures that every test may use; the simulator's live in tests/simulator.py."""

import pytest
from django.core.cache import caches
from django.utils import translation

pytest_plugins = ["tests.simulator"]


@pytest.fixture(autouse=True)
def a_process_without_memories():
    """Every test begins like a process that has just started."""
    caches["process"].clear()
    translation.deactivate()
