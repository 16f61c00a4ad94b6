"""Shopify's cost bucket: each call takes its cost out of it, and time fills it again."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Throttle:
    """What an answer says of the bucket, in points; `requested` is what its call had to find in it."""

    requested: float
    available: float
    maximum: float
    restore_rate: float  # points per second


class CostBucket:
    """Our estimate of one shop's bucket, corrected by every answer; may be shared by threads.

    Times are seconds of a monotonic clock. Others may draw from the same bucket, which the next answer shows: the
    lower of our figure and the platform's counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._costs: dict[str, float] = {}  # by document, as the last answer said
        self._available: float | None = None  # None: no answer yet
        self._maximum = 0.0
        self._restore_rate = 0.0
        self._at = 0.0
        self._under_way = 0.0  # cost of the calls without an answer yet
        self.last: Throttle | None = None

    def reserve(self, document: str, estimate: float, now: float) -> tuple[float, float]:
        """Take the cost of a call out of the bucket: the seconds to wait before it is sent, and the cost taken.

        Until the first answer tells what the bucket holds, only one call is let through at once.
        """
        with self._lock:
            cost = self._costs.get(document, estimate)
            if self._available is None:
                wait = 0.0 if not self._under_way else float("inf")
                if wait == 0.0:
                    self._under_way += cost
                return wait, cost
            available = min(self._maximum, self._available + (now - self._at) * self._restore_rate)
            # A debt is what those who wait already will take; whoever comes now waits behind them.
            self._available, self._at = available - cost, now
            self._under_way += cost
            return max(0.0, (cost - available) / self._restore_rate), cost

    def give_back(self, cost: float) -> None:
        """A reserved call was not sent, or brought no word of the bucket."""
        with self._lock:
            self._under_way -= cost
            if self._available is not None:
                self._available += cost

    def settle(self, document: str, cost: float, told: Throttle, now: float) -> None:
        """The answer to a call for which `cost` was reserved is there."""
        with self._lock:
            self._under_way -= cost
            self._costs[document] = told.requested
            self.last = told
            # The platform may not have seen those that are under way yet.
            seen = told.available - self._under_way
            if self._available is not None and self._maximum == told.maximum:
                ours = self._available + (now - self._at) * self._restore_rate
                # What a call did not use comes back at once, and what others took is gone.
                seen = max(seen, min(ours, told.available))
            self._available, self._at = min(seen, told.maximum), now
            self._maximum, self._restore_rate = told.maximum, max(told.restore_rate, 1.0)
