"""The state of one channel while it is being fetched: its batches, its chunks, its calls under way and their pace."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from catalog.models import Channel, Listing
from integrations.connectors.base import Capability, Connector, ListingRef, Reading, ReadOutcome
from integrations.connectors.errors import Wait
from integrations.quotas import give_back, reserve, spacing
from monitoring.services import Claim, Run

READ = "read"  # the class of calls that share the quota
OWN_QUOTA = "own-quota"  # cause of a Wait that we made ourselves, not the platform
# Slots are reserved for about this long ahead, and again when half of them are spent: few are lost with a worker, and
# there are enough in hand for the time that storing a chunk takes.
_BLOCK = timedelta(seconds=2)


@dataclass(slots=True, eq=False)
class Chunk:
    """Listings that were leased together and are recorded together."""

    lane: "Lane"
    claims: dict[int, Claim]
    token: UUID = field(default_factory=uuid4)
    waiting: int = 0  # batches that are neither back nor given up
    started_at: datetime | None = None  # when its first call was sent: what its readings say is no older than this
    readings: list[Reading] = field(default_factory=list)
    untried: list[int] = field(default_factory=list)  # listings to give back
    # Listings to give back that were tried, by why their channel as a whole could not be read.
    held: dict[str, list[int]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Batch:
    """Listings that one call reads; all of them are own, or all of them are other shops'."""

    chunk: Chunk
    refs: list[ListingRef]
    sent_at: datetime | None = None

    @property
    def capability(self) -> Capability:
        return capability_of(self.refs[0])

    @property
    def listing_ids(self) -> list[int]:
        return [ref.listing_id for ref in self.refs]


class Lane:
    """One channel's share of a fetch. Only the pace is touched by other threads than the one that runs the fetch."""

    def __init__(
        self,
        channel: Channel,
        *,
        run: Run | None = None,
        requested: Sequence[Claim] = (),
        token: UUID | None = None,
        is_probing: bool = False,
    ) -> None:
        """`requested` are listings leased beforehand, with `token`."""
        self.channel = channel
        self.connector: Connector
        self.pace: Pace | None = None
        self.run = run
        self.requested = deque(requested)
        self.token = token or uuid4()
        self.pending: deque[Batch] = deque()
        self.chunks: set[Chunk] = set()  # not recorded yet
        self.in_flight = 0
        self.has_trouble = False  # a call failed, and its result has not been taken yet
        self.sent = 0
        self.is_drained = False  # nothing to claim, as far as we know
        self.is_probing = is_probing  # its next call shows whether the channel is back
        self.is_out_of_slots = False  # its quota has no slot left before the end of the fetch
        self.has_more = False  # the fetch ended before the channel's work did
        self.good_sent_at: datetime | None = None  # of the last call that was answered well, until that is written
        self.refused: dict[Capability, str] = {}  # reads that the platform does not let the app make, and the cause

    @property
    def is_idle(self) -> bool:
        """Nothing is under way, and there may be something to claim again."""
        return self.is_drained and not self.chunks and not self.is_out_of_slots

    @property
    def is_scheduled(self) -> bool:
        """Whether its listings are read because they are due, not because somebody asked."""
        return self.run is None or self.run.is_scheduled

    def split(self, chunk: Chunk) -> None:
        """Queue the chunk's listings in batches; what the platform cannot be asked for is refused at once."""
        refs = [
            ListingRef(claim.listing_id, claim.item_id, claim.sku_id, claim.ownership == Listing.Ownership.OWN)
            for claim in chunk.claims.values()
        ]
        causes = {capability: self._refusal(capability) for capability in _READ_BY.values()}
        if any(causes.values()):
            chunk.readings += [
                Reading(ref.listing_id, ReadOutcome.REFUSED, cause=cause)
                for ref in refs
                if (cause := causes[capability_of(ref)])
            ]
            refs = [ref for ref in refs if not causes[capability_of(ref)]]
        batches = self.connector.read_batches(refs)
        chunk.waiting = len(batches)
        self.chunks.add(chunk)
        self.pending.extend(Batch(chunk, batch) for batch in batches)

    def _refusal(self, capability: Capability) -> str:
        """Why such listings are not asked for, "" when they are."""
        return self.refused.get(capability, "") if capability in self.connector.capabilities else "unsupported"

    def reads_besides_refused(self) -> bool:
        """Whether the channel has listings of a kind that the platform has not refused to show."""
        kinds = [
            ownership
            for ownership, capability in _READ_BY.items()
            if capability in self.connector.capabilities and capability not in self.refused
        ]
        left = Listing.objects.current().filter(channel=self.channel, ownership__in=kinds)
        return left.exclude(watch__is_paused=True).exists()


_READ_BY = {
    Listing.Ownership.OWN: Capability.READ_LISTINGS,
    Listing.Ownership.COMPETITOR: Capability.READ_COMPETITORS,
}


def capability_of(ref: ListingRef) -> Capability:
    return Capability.READ_LISTINGS if ref.is_own else Capability.READ_COMPETITORS


class SlotWanted:
    """A thread's question for a further slot, since one batch may take several calls."""

    def __init__(self, pace: "Pace") -> None:
        self.pace = pace
        self.slot: datetime | None = None
        self.answered = threading.Event()


class Pace:
    """Slots of a channel's quota: reserved by the thread that runs the fetch, spent by those that make the calls."""

    def __init__(
        self,
        channel: Channel,
        *,
        ask: Callable[[SlotWanted], None],
        clock: Callable[[], datetime],
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

    # --- In the thread that runs the fetch ---

    def next_slot(self, wanted: int) -> datetime | None:
        """When the next call may start; None when that is not before the end of the fetch. Reserves what runs low."""
        while True:
            first = self.slot_in_hand()
            in_hand = len(self._slots)
            count = min(max(wanted, 1), self._block) - in_hand
            if count > 0 and in_hand <= self._block // 2:
                credential = self.channel.credential
                more = reserve(credential=credential, operation=READ, count=count, now=self._clock())
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
        give_back(credential=self.channel.credential, operation=READ, unused=unused)

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
            raise Wait(self.channel.platform, READ, retry_at=self._ends_at, cause=OWN_QUOTA)
        time.sleep(max((question.slot - self._clock()).total_seconds(), 0))
