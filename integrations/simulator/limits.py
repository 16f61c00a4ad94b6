"""Limits of messages in a rolling window, on a clock that control may put forward."""

import time
from collections import deque
from dataclasses import dataclass, field


class LimitClock:
    """Real seconds plus those that control let pass, so that a window of a day can be tested in an instant."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._passed = 0.0
        self._stopped_at: float | None = None

    def now(self) -> float:
        return (time.monotonic() if self._stopped_at is None else self._stopped_at) + self._passed

    def stop(self) -> None:
        """Until reset only `let_pass` moves it."""
        self._stopped_at = time.monotonic()

    def let_pass(self, seconds: float) -> None:
        self._passed += seconds


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` messages in any `seconds`."""

    count: int
    seconds: float


@dataclass(slots=True)
class Window:
    """The messages of one sender that limits still count. The caller holds the lock."""

    counted: deque[float] = field(default_factory=deque)
    blocked_until: float = 0.0

    def exceeded(self, limits: tuple[Limit, ...], now: float) -> Limit | None:
        """The limit that one more message at `now` would break; None when it may pass. Counts nothing."""
        longest = max(limit.seconds for limit in limits)
        while self.counted and self.counted[0] <= now - longest:
            self.counted.popleft()
        for limit in limits:
            if sum(1 for at in self.counted if at > now - limit.seconds) >= limit.count:
                return limit
        return None

    def take(self, limits: tuple[Limit, ...], now: float, *, block_seconds: float = 0.0) -> bool:
        """Count one message; False when it breaks a limit, which blocks the sender for `block_seconds`.

        A refused message is not counted, and does not lengthen the block.
        """
        if now < self.blocked_until:
            return False
        if self.exceeded(limits, now) is not None:
            self.blocked_until = now + block_seconds
            return False
        self.counted.append(now)
        return True
