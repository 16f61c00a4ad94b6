"""The pace of one channel: slots of its quota, reserved by the thread that runs the lanes and spent by the others."""

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from catalog.models import Channel
from integrations.connectors.errors import Wait
from integrations.quotas import give_back, reserve, spacing

CALLS = "read"  # the class of calls that share the quota: all of a lane's
Clock = Callable[[], datetime]
OWN_QUOTA = "own-quota"  # cause of a Wait that we made ourselves, not the platform
# Slots are reserved for about this long ahead, and again when half of them are spent: few are lost with a worker, and
# there are enough in hand for the time that storing a chunk takes.
_BLOCK = timedelta(seconds=2)


class SlotWanted:
    """A thread's question for a further slot, since one batch may take several calls."""

    def __init__(self, pace: "Pace") -> None:
        self.pace = pace
        self.slot: datetime | None = None
        self.answered = threading.Event()


class Pace:
    """Slots of a channel's quota: reserved by the thread that runs the lanes, spent by those that make the calls."""

    def __init__(
        self,
        channel: Channel,
        *,
        ask: Callable[[SlotWanted], None],
        clock: Clock,
        ends_at: datetime,
    ) -> None:
        self.channel = channel
        self._ask = ask
        self._clock = clock
        self._ends_at = ends_at
        self._slots: deque[datetime] = deque()
        self._lock = threading.Lock()  # guards the slots
        self._thread = threading.local()
        rate = channel.credential.calls_per_second
        self.calls_per_second = rate
        self._block = max(1, int(rate * int(_BLOCK.total_seconds()))) if rate is not None else 1
        self._gap = spacing(rate) if rate is not None else timedelta()

    # --- In the thread that runs the lanes ---

    def next_slot(self, wanted: int) -> datetime | None:
        """When the next call may start; None when that is not before the end of the slice. Reserves what runs low."""
        while True:
            first = self.slot_in_hand()
            in_hand = len(self._slots)
            count = min(max(wanted, 1), self._block) - in_hand
            if count > 0 and in_hand <= self._block // 2:
                credential = self.channel.credential
                more = reserve(credential=credential, operation=CALLS, count=count, now=self._clock())
                with self._lock:
                    self._slots.extend(more)
                first = self.slot_in_hand()
            if first is not None:  # else they were spent just now
                break
        if first < self._ends_at:
            return first
        self.return_unused()
        return None

    def answer(self, question: SlotWanted) -> None:
        try:
            while question.slot is None and self.next_slot(1) is not None:
                question.slot = self.take_slot()
        finally:
            question.answered.set()

    def return_unused(self) -> None:
        with self._lock:
            unused = list(self._slots)
            self._slots.clear()
        give_back(credential=self.channel.credential, operation=CALLS, unused=unused)

    # --- In any thread ---

    def slot_in_hand(self) -> datetime | None:
        """The first of the reserved slots, None when they are spent.

        A slot is good for one spacing: used any later, several would be used at once.
        """
        now = self._clock()
        with self._lock:
            while self._slots and self._slots[0] + self._gap <= now:
                self._slots.popleft()
            return self._slots[0] if self._slots else None

    def take_slot(self, *, by: datetime | None = None) -> datetime | None:
        """Spend the first of the reserved slots; None when there is none, or none that starts at `by` or before."""
        with self._lock:
            if not self._slots or (by is not None and self._slots[0] > by):
                return None
            return self._slots.popleft()

    # --- In the threads that make calls ---

    def grant(self) -> None:
        """The calling thread's next call has its slot."""
        self._thread.granted = True

    def before_call(self) -> None:
        """Runs before each call: the first of a batch has its slot, a further one asks for another and waits for it."""
        if getattr(self._thread, "granted", False):
            self._thread.granted = False
            return
        question = SlotWanted(self)
        self._ask(question)
        left = (self._ends_at - self._clock()).total_seconds()
        if not question.answered.wait(max(left, 0)) or question.slot is None:
            raise Wait(self.channel.platform, CALLS, retry_at=self._ends_at, cause=OWN_QUOTA)
        time.sleep(max((question.slot - self._clock()).total_seconds(), 0))
