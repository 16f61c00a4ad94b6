"""How many calls a platform takes before it refuses one."""

import threading
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Bucket:
    """Refills at `rate` calls per second up to one second's worth, and never less than one call."""

    rate: float
    tokens: float = -1.0
    filled_at: float = 0.0

    def take(self, now: float) -> bool:
        size = max(1.0, self.rate)
        if self.tokens < 0:
            self.tokens = size
        else:
            self.tokens = min(size, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(frozen=True, slots=True)
class Excess:
    """A refused call: which limit, and how many whole seconds until calls pass again."""

    limit: str  # "app_per_second", "app_per_day" or "method_per_second"
    seconds: int


@dataclass
class Quotas:
    """The limits of one platform, counted per application. None means no limit."""

    calls_per_second: float | None = None
    calls_per_day: int | None = None
    per_method: dict[str, float] = field(default_factory=dict)  # method: calls per second, all applications together
    day_offset_seconds: int = 0  # the platform's days start at midnight of this offset from UTC

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._apps: dict[str, _Bucket] = {}
        self._methods: dict[str, _Bucket] = {}
        self._today: dict[str, tuple[int, int]] = {}  # application: (day, calls)

    def take(self, app_key: str, method: str) -> Excess | None:
        """Count one call; an Excess when it goes over a limit, and then it is not counted."""
        if self.calls_per_second is None and self.calls_per_day is None and not self.per_method:
            return None
        now, local = time.monotonic(), int(time.time()) + self.day_offset_seconds
        with self._lock:
            day, calls = self._today.get(app_key, (0, 0))
            if day != local // 86_400:
                day, calls = local // 86_400, 0
            if self.calls_per_day is not None and calls >= self.calls_per_day:
                return Excess("app_per_day", 86_400 - local % 86_400)
            if self.calls_per_second is not None:
                bucket = self._apps.setdefault(app_key, _Bucket(self.calls_per_second))
                if not bucket.take(now):
                    return Excess("app_per_second", 1)
            if method in self.per_method:
                bucket = self._methods.setdefault(method, _Bucket(self.per_method[method]))
                if not bucket.take(now):
                    return Excess("method_per_second", 1)
            self._today[app_key] = (day, calls + 1)
        return None

    def set(self, *, calls_per_second: float | None, calls_per_day: int | None, per_method: dict[str, float]) -> None:
        """Replace all limits and start counting anew."""
        with self._lock:
            self.calls_per_second, self.calls_per_day, self.per_method = calls_per_second, calls_per_day, per_method
            self._apps.clear()
            self._methods.clear()
            self._today.clear()
