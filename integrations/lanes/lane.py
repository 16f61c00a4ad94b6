"""What the machine works with: a job, the lane of a channel, and the chunks and batches of its rows."""

import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

from django.conf import settings

from catalog.models import Channel
from integrations.connectors.base import Capability, Connector
from integrations.connectors.errors import ConnectorError, Wait
from integrations.lanes.pace import CALLS, OWN_QUOTA, Clock, Pace

LEASE_OVER = "lease-over"  # cause of a Wait that we made ourselves: another worker may be at these rows by now
OWN_WAITS = frozenset({OWN_QUOTA, LEASE_OVER})
_LEASE_MARGIN = timedelta(seconds=1)  # besides the longest time that a call may take


@dataclass(slots=True, eq=False)
class Chunk:
    """Rows that were leased together and are recorded together."""

    lane: "Lane"
    claims: dict[int, Any] = field(default_factory=dict)  # what the job claimed, by key
    token: UUID = field(default_factory=uuid4)
    lease_until: datetime | None = None  # no call is made that could outlast it; None: a call later does no harm
    has_more: bool = False  # there may be more to claim, though fewer were than could be
    waiting: int = 0  # batches that are neither back nor given up
    started_at: datetime | None = None  # when its first call was sent: what its results say is no older than this
    results: list[Any] = field(default_factory=list)
    untried: list[int] = field(default_factory=list)  # keys to give back
    # Keys to give back that were tried, by why their channel as a whole could not be called.
    held: dict[str, list[int]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Batch:
    """Rows that one call of the job takes."""

    chunk: Chunk
    capability: Capability  # what the platform may refuse, and other calls not
    keys: Sequence[int]
    rows: Any  # as the connector takes them
    sent_at: datetime | None = None


class Lane:
    """One channel's share of a slice. Only its pace is touched by other threads than the one that runs the lanes."""

    def __init__(
        self,
        channel: Channel,
        *,
        clock: Clock,
        run: Any = None,
        requested: Sequence[Any] = (),
        token: UUID | None = None,
        is_scheduled: bool = True,
        is_probing: bool = False,
    ) -> None:
        """`requested` are claims leased beforehand, with `token`; the first of each claim is its key.

        `is_scheduled`: its rows are worked on because they are due, not because somebody waits for them.
        """
        self.channel = channel
        self.connector: Connector
        self._clock = clock
        self.pace: Pace | None = None
        self.run = run  # the job's log of this pass
        self.requested = deque(requested)
        self.token = token or uuid4()
        self.pending: deque[Batch] = deque()
        self.chunks: set[Chunk] = set()  # not recorded yet
        self.in_flight = 0
        self.has_answered = False  # a call of this slice brought something
        self.has_trouble = False  # a call failed, and its result has not been taken yet
        self.sent = 0
        self.is_drained = False  # nothing to claim, as far as we know
        self.is_given_up = False  # nothing more is sent in its name
        self.is_scheduled = is_scheduled
        self.is_probing = is_probing  # its next call shows whether the channel is back
        self.is_out_of_slots = False  # its quota has no slot left before the end of the slice
        self.has_more = False  # the slice ended before the channel's work did
        self.good_sent_at: datetime | None = None  # of the last call that was answered well, until that is written
        self.refused: dict[Capability, str] = {}  # what the platform does not let the app do, and the cause
        self._calls = threading.local()

    @property
    def is_idle(self) -> bool:
        """Nothing is under way, and there may be something to claim again."""
        return self.is_drained and not self.chunks and not self.is_out_of_slots

    # --- In the threads that make calls ---

    def begin(self, batch: Batch) -> None:
        """The calls that this thread makes from now on are those of the batch; the first of them has its slot."""
        self._calls.batch = batch
        if self.pace is not None:
            self.pace.grant()

    def before_call(self) -> None:
        """Runs before each call; raises Wait when it may not be made any more."""
        batch = getattr(self._calls, "batch", None)
        until = batch.chunk.lease_until if batch is not None else None
        if until is not None and self._clock() + _longest_call() > until:
            raise Wait(self.channel.platform, CALLS, retry_at=until, cause=LEASE_OVER)
        if self.pace is not None:
            self.pace.before_call()


def _longest_call() -> timedelta:
    return timedelta(seconds=settings.HTTP_TOTAL_TIMEOUT_SECONDS) + _LEASE_MARGIN


class Job(ABC):
    """What is done with the rows of channels: the machine claims, calls and records through it.

    Only call() runs in other threads than the one that runs the lanes, and touches no database.
    """

    name: ClassVar[str]  # in logs, and as the operation of errors of ours
    chunk: ClassVar[int] = 0  # rows that are claimed and recorded together without a quota; 0: the engine's CHUNK

    @abstractmethod
    def due_channels(self, now: datetime) -> list[int]:
        """The channels that have rows to claim."""

    @abstractmethod
    def rows_per_call(self, connector: Connector) -> int:
        """How many rows one call takes, at least."""

    @abstractmethod
    def claim(self, lane: Lane, chunk: Chunk, limit: int, now: datetime) -> None:
        """Lease at most `limit` rows of the channel into the chunk's claims; fewer mean that there are no more.

        Where the chunk says that there may be, it is asked again at once, and, once it claimed none, when a chunk that
        says so is recorded.
        """

    @abstractmethod
    def split(self, chunk: Chunk) -> list[Batch]:
        """The chunk's claims in batches; what needs no call, or is refused beforehand, goes to its results at once."""

    @abstractmethod
    def call(self, batch: Batch, now: datetime) -> Sequence[Any]:
        """In a thread: one result for each row of the batch. Raises ConnectorError where a call brought nothing."""

    @abstractmethod
    def without_answer(self, batch: Batch, error: ConnectorError, *, is_refused: bool) -> Sequence[Any]:
        """One result for each row of a batch that brought none; refused: the platform will not do it."""

    @abstractmethod
    def has_other_kinds(self, lane: Lane) -> bool:
        """Whether the channel has work of another kind than those the platform refused."""

    @abstractmethod
    def keys_of(self, results: Sequence[Any]) -> list[int]:
        """The keys of the claims that these results are about."""

    @abstractmethod
    def record(self, chunk: Chunk, now: datetime) -> Counter[str]:
        """Store what became of a chunk: its results, what is given back untried, and what is held; may be repeated.

        What another worker claimed meanwhile is left to it. Returns rows by outcome.
        """

    @abstractmethod
    def give_back(self, lane: Lane, keys: Sequence[int], token: UUID, now: datetime, *, cause: str = "") -> None:
        """End the leases of rows that nothing was done with; with a cause, though it was tried."""

    @abstractmethod
    def close(self, lane: Lane, now: datetime) -> None:
        """The channel's pass is over: nothing of it is left."""
