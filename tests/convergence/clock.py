"""Time as a schedule has it: it passes where something takes time, and nobody waits for it."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from django.utils import timezone

START = datetime(2026, 11, 20, 3, 0, 1, tzinfo=UTC)


class VirtualClock:
    """The true time, by which the platforms go, and the clock of our host, which may be wrong.

    It stands in for the module `time`, too: what sleeps moves the time on. Monotonic time is steady on every host.
    """

    def __init__(self) -> None:
        self.passed = 0.0  # seconds since START
        self.error = 0.0  # seconds by which our host's clock is ahead

    def time(self) -> float:
        return START.timestamp() + self.passed

    def monotonic(self) -> float:
        return 1_000.0 + self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += max(seconds, 0.0)

    def true(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    def __call__(self) -> datetime:
        """What our host takes for the time."""
        return START + timedelta(seconds=self.passed + self.error)


@contextmanager
def in_force(clock: VirtualClock) -> Iterator[None]:
    """Everything of ours and of the simulator's goes by this clock."""
    modules: list[Any] = [module for name, module in sys.modules.items() if name.startswith("integrations.")]
    for module in modules:
        if getattr(module, "time", None) is time:
            module.time = clock
    try:
        with mock.patch.object(timezone, "now", clock):
            yield
    finally:
        for module in modules:
            if getattr(module, "time", None) is clock:
                module.time = time
