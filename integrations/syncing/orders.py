"""Orders in, as a job of the lanes: what changed in each shop since the last reading is read and booked.

A reading begins some minutes before the last one ended, or at the newest order told so far: platforms stamp whole
seconds by clocks of their own, and may tell a change late. What is told again is booked once. How far a channel was
read moves on only when all is booked, or set aside: an order that cannot be booked is kept as it was told and tried
again, whatever is read meanwhile.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, Min, Q, QuerySet, Value, When
from django.utils import timezone
from django_q.tasks import async_task

from catalog.database import claim_rows
from catalog.models import Order
from catalog.stock.booking import book_orders
from integrations.connectors.base import Capability, Connector
from integrations.connectors.base import Order as OrderRead
from integrations.connectors.errors import ConnectorError
from integrations.lanes.engine import Engine
from integrations.lanes.lane import Batch, Chunk, Job, Lane
from integrations.lanes.pace import OWN_QUOTA
from integrations.lanes.problem import Problem
from integrations.syncing import dirty
from integrations.syncing.models import ChannelSync
from integrations.syncing.rows import delay

logger = logging.getLogger(__name__)

OVERLAP = timedelta(minutes=10)  # read once more, for changes that were told late
LANE_EVERY = timedelta(minutes=1)  # how often the clock starts a slice, by which every channel is read
# Shorter than that: the clock may be half a minute early or late, and no turn is to be left out for it.
_REST = timedelta(seconds=30)
_AHEAD = timedelta(minutes=1)  # by which a platform's clock may be ahead of ours
_SLOWEST = timedelta(days=1)  # by which it may be behind
_LAST_SEEN = 20
# An order that is older than this when sync is switched on is not looked for.
LONGEST_FOLLOWED = timedelta(days=30)
_SHORTEST_WINDOW = timedelta(minutes=1)
_LEASE = timedelta(minutes=3)  # two that read the same at once do no harm
_REFUSED_FOR = timedelta(minutes=15)
_PAGE = 200  # orders that are booked in one transaction
_LONGEST_CAUSE = 60


class Window(NamedTuple):
    """What of a channel's changes is read now; to be read again when nothing comes of it."""

    channel_id: int
    since: datetime
    until: datetime
    claimed_at: datetime
    attempts: int  # failed ones before it, each of which made it half as long; a good one takes one of them back

    @property
    def is_last(self) -> bool:
        """Whether nothing is left up to now."""
        return self.until > self.claimed_at

    @property
    def reached(self) -> datetime:
        """How far the channel is read once the window is booked."""
        return min(self.until, self.claimed_at)


@dataclass(frozen=True, slots=True)
class Reading:
    """The orders of a window; None and a cause where they could not be read."""

    window: Window
    orders: Sequence[OrderRead] | None = None
    cause: str = ""
    is_refused: bool = False  # asking again soon would change nothing


@dataclass(frozen=True, slots=True)
class OrdersSummary:
    """What a slice did; `more_due` and `due_at` as of a slice of any lane."""

    orders: int = 0  # with news, of those that were read
    movements: int = 0
    waiting: int = 0  # lines for which a SKU or a warehouse has to be chosen first
    failed: int = 0  # readings
    set_aside: int = 0  # orders that could not be booked, and are kept to be tried again
    problems: list[Problem] = field(default_factory=list)
    more_due: bool = False
    due_at: datetime | None = None

    def __str__(self) -> str:
        line = f"{self.orders} orders, {self.movements} movements, {self.waiting} lines waiting"
        if self.set_aside:
            line += f", {self.set_aside} orders set aside"
        if self.failed:
            line += f", {self.failed} readings failed"
        return f"{line}, {len(self.problems)} problems" if self.problems else line


def read_slice(
    *, now_fn: Callable[[], datetime] = timezone.now, seconds: float, channel_ids: Collection[int] | None = None
) -> OrdersSummary:
    """Read and book the orders of the channels that are due (of these), sending calls for at most `seconds`.

    Any number of slices may run at once, on any number of hosts.
    """
    is_alone = _on(channel_ids).count() == 1
    engine = Engine(OrdersJob(channel_ids=channel_ids), clock=now_fn, seconds=seconds, is_alone=is_alone)
    engine.run()
    counts = engine.counts
    summary = OrdersSummary(
        **{name: counts[name] for name in ("orders", "movements", "waiting", "failed", "set_aside")},
        problems=sorted(engine.problems.values(), key=lambda problem: problem.channel_id),
        more_due=engine.has_more,
        due_at=_next_try(now_fn(), channel_ids),
    )
    if engine.lanes:
        logger.info("read orders of %s channels: %s", len(engine.lanes), summary)
    return summary


def make_due(channel_ids: Collection[int], *, now: datetime) -> int:
    """Have the orders of these channels read once this is committed; returns how many were not due yet.

    One that is being read is read once more: what this is about may have come after it was asked.
    """
    is_late = Q(orders_due_at__isnull=True) | Q(orders_due_at__gt=now) | Q(orders_lease_until__gt=now)
    made = _on(channel_ids).filter(is_late).update(orders_due_at=now)
    if made:
        transaction.on_commit(partial(async_task, "integrations.tasks.orders_lane", cluster="interactive"))
    return made


def _on(channel_ids: Collection[int] | None) -> QuerySet[ChannelSync]:
    """Paused or not yet confirmed, a channel's orders are booked all the same: they are sales of ours."""
    on = ChannelSync.objects.filter(is_on=True)
    return on if channel_ids is None else on.filter(channel__in=channel_ids)


def _due(now: datetime, channel_ids: Collection[int] | None) -> QuerySet[ChannelSync]:
    is_due = Q(orders_due_at__isnull=True) | Q(orders_due_at__lte=now)
    is_free = Q(orders_lease_until__isnull=True) | Q(orders_lease_until__lte=now)
    return _on(channel_ids).filter(is_due, is_free).order_by("channel")


def _next_try(now: datetime, channel_ids: Collection[int] | None) -> datetime | None:
    """When a reading that failed is tried again, if that is before the clock's next slice."""
    soon = _on(channel_ids).filter(orders_attempts__gt=0, orders_due_at__gt=now, orders_due_at__lt=now + LANE_EVERY)
    first: datetime | None = soon.aggregate(first=Min("orders_due_at"))["first"]
    return first


class OrdersJob(Job):
    """Each claim is a window of one channel's changes; a channel that is far behind is read window by window."""

    name = "orders"

    def __init__(self, *, channel_ids: Collection[int] | None = None) -> None:
        self._channel_ids = channel_ids

    def due_channels(self, now: datetime) -> list[int]:
        return list(_due(now, self._channel_ids).values_list("channel", flat=True))

    def rows_per_call(self, connector: Connector) -> int:
        return 1

    # --- Claiming ---------------------------------------------------------------------------------------------------

    def claim(self, lane: Lane, chunk: Chunk, limit: int, now: datetime) -> None:
        lease = {"orders_lease_token": chunk.token, "orders_lease_until": now + _LEASE}
        # A reading that nobody told the end of took longer than its lease, or its worker was lost.
        _due(now, [lane.channel.pk]).filter(orders_lease_token__isnull=False).update(
            orders_attempts=F("orders_attempts") + 1
        )
        # It stays due while it is read, since pushes wait for it; whoever makes it due meanwhile sets a later time.
        rows = claim_rows(_due(now, [lane.channel.pk])[:1], ("pk",), {**lease, "orders_due_at": now})
        syncs = ChannelSync.objects.select_related("channel").filter(pk__in=[pk for (pk,) in rows])
        chunk.claims = {sync.pk: _window(sync, now) for sync in syncs}

    def split(self, chunk: Chunk) -> list[Batch]:
        windows = list(chunk.claims.values())
        if Capability.READ_ORDERS not in chunk.lane.connector.capabilities:
            chunk.results += [Reading(window, cause="unsupported", is_refused=True) for window in windows]
            return []
        return [Batch(chunk, Capability.READ_ORDERS, [window.channel_id], window) for window in windows]

    # --- Calling ----------------------------------------------------------------------------------------------------

    def call(self, batch: Batch, now: datetime) -> list[Reading]:
        window: Window = batch.rows
        orders = batch.chunk.lane.connector.read_orders(since=window.since, until=window.until, now=now)
        return [Reading(window, tuple(orders))]

    def without_answer(self, batch: Batch, error: ConnectorError, *, is_refused: bool) -> list[Reading]:
        return [Reading(batch.rows, cause=error.cause, is_refused=is_refused)]

    def has_other_kinds(self, lane: Lane) -> bool:
        return True  # its listings are read, and its stock is written, where orders are not permitted

    # --- Recording --------------------------------------------------------------------------------------------------

    def keys_of(self, results: Sequence[Reading]) -> list[int]:
        return [reading.window.channel_id for reading in results]

    def record(self, chunk: Chunk, now: datetime) -> Counter[str]:
        counts: Counter[str] = Counter()
        if chunk.untried and chunk.started_at is not None:
            # The slice or its quota was over before all of it was read: less of it is asked for next time.
            _claimed(chunk.untried, chunk.token).update(orders_attempts=F("orders_attempts") + 1)
            self.give_back(chunk.lane, chunk.untried, chunk.token, now, cause=OWN_QUOTA)
        else:
            self.give_back(chunk.lane, chunk.untried, chunk.token, now)
        for cause, keys in chunk.held.items():
            self.give_back(chunk.lane, keys, chunk.token, now, cause=cause)
            counts["failed"] += len(keys)
        for reading in chunk.results:
            if reading.orders is None:
                _note_failure(reading, chunk.token, now)
                counts["failed"] += 1
            else:
                counts += self._book(chunk, reading.window, reading.orders, now)
        return counts

    def _book(self, chunk: Chunk, window: Window, orders: Sequence[OrderRead], now: datetime) -> Counter[str]:
        counts: Counter[str] = Counter()
        for start in range(0, len(orders), _PAGE):
            with transaction.atomic():
                booked = book_orders(chunk.lane.channel, orders[start : start + _PAGE], now=now)
                dirty.doubt_listings(booked.moved, now=now)
            counts += Counter(
                orders=booked.orders,
                movements=booked.movements,
                waiting=booked.waiting,
                set_aside=booked.set_aside,
            )
        _note_reached(window, chunk.token, now)
        if not window.is_last:
            chunk.lane.is_drained = False  # the next window waits
        return counts

    def give_back(self, lane: Lane, keys: Sequence[int], token: UUID, now: datetime, *, cause: str = "") -> None:
        """It stays due: what holds its channel back decides when it is asked for again."""
        ours = _claimed(keys, token)
        changes = {"orders_cause": cause[:_LONGEST_CAUSE]} if cause else {}
        ours.update(orders_lease_token=None, orders_lease_until=None, **changes)

    def close(self, lane: Lane, now: datetime) -> None:
        """A reading has no log of its own: its orders are kept, and how far it came."""


def _claimed(channel_ids: Collection[int], token: UUID) -> QuerySet[ChannelSync]:
    return ChannelSync.objects.filter(channel__in=channel_ids, orders_lease_token=token)


def _window(sync: ChannelSync, now: datetime) -> Window:
    if sync.orders_read_until is None:
        # What was ordered before, and is still to be sent, lay among the stock that was counted.
        since = reached = min(sync.channel.orders_since or now, now) - LONGEST_FOLLOWED
    else:
        # A time to come was stored by a clock that was wrong.
        reached = min(sync.orders_read_until, now)
        since = max(min(reached - OVERLAP, _newest(sync) or reached - _SLOWEST), reached - _SLOWEST)
    # All of it, or as much less as it was more than a slice could read.
    until = now + _AHEAD
    length = max((until - reached) / 2 ** min(sync.orders_attempts, 16), _SHORTEST_WINDOW)
    return Window(sync.pk, since, min(reached + length, until), now, sync.orders_attempts)


def _newest(sync: ChannelSync) -> datetime | None:
    """The newest change of the orders that were seen last: a shop whose clock is behind ours stamps the next one little
    later than that, however long ago it is by our clock.
    """
    last_seen = Order.objects.filter(channel=sync.channel).order_by("-seen_at", "-pk")[:_LAST_SEEN]
    return max(last_seen.values_list("changed_at", flat=True), default=None)


def _note_reached(window: Window, token: UUID, now: datetime) -> None:
    """All up to there is booked, which is true whoever has the lease by now."""
    sync = ChannelSync.objects.filter(channel=window.channel_id)
    was_wrong = Q(orders_read_until__gt=window.claimed_at + OVERLAP)
    is_further = Q(orders_read_until__isnull=True) | Q(orders_read_until__lt=window.reached)
    with transaction.atomic():
        sync.filter(is_further | was_wrong).update(orders_read_until=window.reached)
        next_at = window.claimed_at + _REST if window.is_last else window.claimed_at
        left = 0 if window.is_last else max(window.attempts - 1, 0)
        sync.filter(orders_lease_token=token).update(
            orders_read_at=now, orders_attempts=left, orders_cause="", **_done(window, next_at)
        )


def _note_failure(reading: Reading, token: UUID, now: datetime) -> None:
    attempts = reading.window.attempts + 1
    next_at = now + (_REFUSED_FOR if reading.is_refused else delay(attempts))
    ours = _claimed([reading.window.channel_id], token)
    ours.update(orders_attempts=attempts, orders_cause=reading.cause[:_LONGEST_CAUSE], **_done(reading.window, next_at))


def _done(window: Window, next_at: datetime) -> dict[str, object]:
    """The lease ends, and the next reading is due then, or at once when somebody asked for it meanwhile."""
    as_claimed = When(orders_due_at__lte=window.claimed_at, then=Value(next_at))
    return {
        "orders_lease_token": None,
        "orders_lease_until": None,
        "orders_due_at": Case(as_claimed, default=F("orders_due_at")),
    }
