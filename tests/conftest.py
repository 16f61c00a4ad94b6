"""Fixtures that every test may use; the simulator's live in tests/simulator.py."""

pytest_plugins = ["tests.simulator"]
