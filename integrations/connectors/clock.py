"""The caller's time, moving on while a connector makes many calls."""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Begins at the caller's `now` and goes on in whole seconds: one pass can take longer than a timestamp is taken."""

    def __init__(self, now: datetime) -> None:
        self._start = now.astimezone(UTC)
        self._started = time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=int(time.monotonic() - self._started))
