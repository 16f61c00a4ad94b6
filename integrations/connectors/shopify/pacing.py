"""Shopify's cost bucket: each call takes its cost out of it, and time fills it again."""

import threading
from dataclasses import dataclass

_ROUNDED = 1.0  # the platform tells whole points


@dataclass(frozen=True, slots=True)
class Throttle:
    """What an answer says of the bucket, in points.

    `requested` is what its call had to find in it, `actual` what the call took in the end.
    """

    requested: float
    actual: float
    available: float
    maximum: float
    restore_rate: float  # points per second

    @property
    def is_refusal(self) -> bool:
        """Whether the call did not find what it needed."""
        return not self.actual and self.available < self.requested


@dataclass(slots=True, eq=False)
class PacedCall:
    """One call on its way through the bucket: it waits, is under way, and is settled."""

    document: str
    cost: float  # points
    sent_at: float = 0.0


class CostBucket:
    """What one shop's bucket holds at least, as far as its answers tell; may be shared by threads.

    Times are seconds of a monotonic clock. Calls are let through in the order in which they came. Others may draw from
    the same bucket, which the next answer shows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._costs: dict[str, float] = {}  # by document, the most that answers said
        self._waiting: list[PacedCall] = []
        self._under_way: list[PacedCall] = []
        self._settled: list[tuple[float, float]] = []  # (when, points taken), while a call under way overlaps with it
        self._maximum = 0.0  # 0: no answer yet
        self._restore_rate = 1.0
        self._available = 0.0
        self._at = 0.0

    def enter(self, document: str, estimate: float) -> PacedCall:
        """A call that waits for its turn; `estimate` is its cost until an answer told."""
        with self._lock:
            call = PacedCall(document, self._costs.get(document, estimate))
            self._waiting.append(call)
            return call

    def wait(self, call: PacedCall, now: float) -> float:
        """Seconds until the call may be sent. At 0 it is under way and must be settled; else ask again, or leave.

        Until the first answer tells what the bucket holds, one call is let through at once; the others are told inf.
        """
        with self._lock:
            place = self._waiting.index(call)
            if not self._maximum:
                if place or self._under_way:
                    return float("inf")
            else:
                needed = sum(map(self._cost, self._waiting[: place + 1]))
                available = self._refilled(now)
                if needed > available:
                    return (needed - available) / self._restore_rate
                self._available, self._at = available - self._cost(call), now
            call.cost, call.sent_at = self._cost(call), now
            self._waiting.remove(call)
            self._under_way.append(call)
            return 0.0

    def leave(self, call: PacedCall) -> None:
        """A waiting call is not sent after all."""
        with self._lock:
            self._waiting.remove(call)

    def settle(self, call: PacedCall, told: Throttle | None, now: float) -> None:
        """A call under way was answered, or (None) brought no word of the bucket: then its cost counts as taken."""
        with self._lock:
            # As long as the call was under way the bucket could not fill up beyond it.
            if self._maximum:
                self._available, self._at = self._refilled(now), now
            self._under_way.remove(call)
            if told is None:
                self._settled.append((now, call.cost))
            else:
                self._costs[call.document] = max(told.requested, self._costs.get(call.document, 0.0))
                ours = self._available + call.cost - told.actual if self._maximum else 0.0
                self._maximum, self._restore_rate = told.maximum, max(told.restore_rate, 1.0)
                # Calls that overlapped with this one may have been taken out after the platform looked.
                overlapping = sum(other.cost for other in self._under_way)
                overlapping += sum(taken for at, taken in self._settled if at >= call.sent_at)
                self._available, self._at = told.available - overlapping, now
                # Unless others drew too, our own sums are closer. What filled it while the answer came is not in it.
                filled = (now - call.sent_at) * self._restore_rate + _ROUNDED
                if not told.is_refusal and told.available + filled >= ours:
                    self._available = max(self._available, ours)
                self._settled.append((now, told.actual))
            oldest = min((other.sent_at for other in self._under_way), default=now)
            self._settled = [(at, taken) for at, taken in self._settled if at >= oldest and self._under_way]

    def _cost(self, call: PacedCall) -> float:
        """What a waiting call needs; never more than there can be, since the platform itself refuses that."""
        return min(self._costs.get(call.document, call.cost), self._maximum or call.cost)

    def _refilled(self, now: float) -> float:
        # What is under way may not be taken out yet: the full bucket it is taken from does not fill up meanwhile.
        most = self._maximum - sum(call.cost for call in self._under_way)
        return min(most, self._available + (now - self._at) * self._restore_rate)
