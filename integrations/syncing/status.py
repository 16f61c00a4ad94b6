"""Where the sync of stock stands: figures of each channel and of all together, from what is stored."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from django.db.models import (
    Count,
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    Window,
)
from django.db.models.functions import Coalesce, RowNumber

from catalog.database import among
from catalog.models import Channel, Listing, Order, OrderLine, Sku
from catalog.stock.booking import WAITING
from catalog.stock.releasing import silent_orders
from integrations.connections import USABLE
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Capability
from integrations.models import ChannelHealth
from integrations.state import credential_of
from integrations.syncing import guards, orders
from integrations.syncing.models import ChannelSync, ListingSync, SyncAttempt, SyncItem, SyncRun
from integrations.syncing.rows import Status

WINDOW = timedelta(hours=24)  # that attempts, freshness and detection are measured over
STATES = tuple(ListingSync.State)
# Of the figures that were sent, those that the platform took. One that was refused, failed, went astray, or came too
# late for what moved meanwhile was an attempt in vain; it is told by the next one.
_TAKEN = (Status.APPLIED, Status.ACCEPTED)
_LATE_ORDERS = 3  # readings that may be missed before what is known of orders is told as late
_LONGEST_RUN = timedelta(days=1)

_BEHIND = Q(due_at__isnull=False) | Q(verify_at__isnull=False)
_SINCE = Coalesce("changed_at", "due_at", "verify_at")


class Standing(StrEnum):
    """Whether a channel's stock is written now, the first that applies."""

    OFF = "off"  # never switched on, or switched off
    NOT_CONNECTED = "not-connected"  # a person has to enter something or authorise first
    READS_ONLY = "reads-only"  # what was entered lets us read, but not write
    DRY_RUN = "dry-run"  # waits for a person who applies the first dry run
    PAUSED = "paused"
    HELD = "held"  # nothing is called until `held_until`
    WRITING = "writing"


class Spread(NamedTuple):
    """Of so many measured times: what half of them, and 95 of 100, do not exceed. Both None where there is none."""

    measured: int = 0
    p50: timedelta | None = None
    p95: timedelta | None = None


class Run(NamedTuple):
    started_at: datetime
    ended_at: datetime

    @property
    def took(self) -> timedelta:
        return max(self.ended_at - self.started_at, timedelta(0))


@dataclass(kw_only=True)
class Figures:
    """What is told of one channel, and of all of them.

    A listing that is shown at several locations of its shop counts at each of them among `states` and `backlog`.
    """

    listings: int = 0  # active and mapped: own, not removed, of a SKU that is active
    skus: int = 0  # of those
    states: Counter[str] = field(default_factory=Counter)  # by ListingSync.State
    backlog: int = 0  # to be sent or to be read back
    oldest_at: datetime | None = None  # since when the oldest of the backlog differs
    attempts: int = 0  # figures sent within WINDOW
    taken: int = 0  # of those, by the platform
    freshness: Spread = field(default_factory=Spread)  # from when a target was found to differ until it was seen there
    detection: Spread = field(default_factory=Spread)  # from when an order was made until it was here
    waiting_lines: int = 0  # of orders, for a SKU or a warehouse
    set_aside: int = 0  # orders that cannot be booked
    silent_orders: int = 0  # that reserve units, and of which nothing was heard for long
    zeros_held: int = 0  # listings, that would go to 0 together with too many others and wait for a person

    @property
    def success_rate(self) -> Decimal | None:
        """Taken of sent, 0 to 1; None: nothing was sent."""
        return Decimal(self.taken) / self.attempts if self.attempts else None


@dataclass(kw_only=True)
class ChannelStatus(Figures):
    channel: Channel
    sync: ChannelSync | None = None  # None: never switched on
    health: ChannelHealth | None = None  # None: never called
    is_connected: bool = True  # settings and authorisation are there, whatever the last calls said
    reads_only: bool = False  # what was entered may not write
    calls_per_second: Decimal | None = None  # our own limit
    last_full: Run | None = None
    last_incremental: Run | None = None
    now: datetime

    @property
    def standing(self) -> Standing:
        if self.sync is None or not self.sync.is_on:
            return Standing.OFF
        if not self.is_connected:
            return Standing.NOT_CONNECTED
        if self.held_until is not None:
            return Standing.HELD
        if self.reads_only:
            return Standing.READS_ONLY
        if not self.sync.is_confirmed:
            return Standing.DRY_RUN
        return Standing.PAUSED if self.sync.is_paused else Standing.WRITING

    @property
    def held_until(self) -> datetime | None:
        """Until when nothing of the channel is called, by what the platform said or since it does not answer."""
        retry_at = self.health.retry_at if self.health is not None else None
        return retry_at if retry_at is not None and retry_at > self.now else None

    @property
    def reads_orders(self) -> bool:
        return Capability.READ_ORDERS in CONNECTORS[self.channel.platform].capabilities

    @property
    def polled_every(self) -> timedelta | None:
        """How often the channel is asked for orders; None: it is not."""
        is_on = self.sync is not None and self.sync.is_on
        return orders.LANE_EVERY if is_on and self.reads_orders else None

    @property
    def orders_lag(self) -> timedelta | None:
        """How far what we know of its orders is behind; None: none were read."""
        until = self.sync.orders_read_until if self.sync is not None and self.polled_every is not None else None
        return None if until is None else max(self.now - until, timedelta(0))

    @property
    def is_late(self) -> bool:
        """Whether orders are not read as often as they should be, so that sales may be missed by now."""
        if self.polled_every is None:
            return False
        return self.orders_lag is None or self.orders_lag > self.polled_every * _LATE_ORDERS


@dataclass(frozen=True, slots=True)
class SyncStatus:
    channels: list[ChannelStatus]
    total: Figures


def sync_status(channels: QuerySet[Channel], *, now: datetime) -> SyncStatus:
    """The figures of these channels, in their order, in six queries however many they are."""
    mapped = mapped_listings()
    of_channel = mapped.filter(channel=OuterRef("pk")).values("channel")
    of_all = mapped.filter(channel__in=channels.order_by().values("pk")).annotate(all=Value(1)).values("all")
    rows: list[Any] = list(
        channels.select_related("sync", "health", "credential").annotate(
            mapped_listings=_number(of_channel.annotate(number=Count("pk"))),
            mapped_skus=_number(of_channel.annotate(number=Count("sku", distinct=True))),
            mapped_skus_of_all=_number(of_all.annotate(number=Count("sku", distinct=True))),
            lines_waiting=_number(
                OrderLine.objects.filter(order__channel=OuterRef("pk"), cause__in=WAITING)
                .order_by()
                .values("order__channel")
                .annotate(number=Count("pk"))
            ),
            orders_set_aside=_number(
                Order.objects.filter(channel=OuterRef("pk"), retry_at__isnull=False)
                .order_by()
                .values("channel")
                .annotate(number=Count("pk"))
            ),
            silent_orders=_number(
                silent_orders(now)
                .filter(channel=OuterRef("pk"))
                .order_by()
                .values("channel")
                .annotate(number=Count("pk"))
            ),
            calls_per_second=F("credential__calls_per_second"),
            reads_only=F("credential__reads_only"),
            **_run_times("full", SyncRun.Kind.FULL),
            **_run_times("incremental", SyncRun.Kind.INCREMENTAL),
        )
    )
    keys = [channel.pk for channel in rows]
    statuses = {channel.pk: _status(channel, now) for channel in rows}
    total = Figures(skus=rows[0].mapped_skus_of_all if rows else 0)
    _count_rows(statuses, keys)
    _count_attempts(statuses, keys, now)
    items = SyncItem.objects.filter(
        run__channel__in=among(keys), run__started_at__gte=now - WINDOW, confirmed_after_ms__isnull=False
    )
    freshness = _spreads(items.annotate(value=F("confirmed_after_ms")), "run__channel", milliseconds=True)
    told = Order.objects.filter(
        channel__in=among(keys),
        seen_at__gte=now - WINDOW,
        ordered_at__gte=F("channel__orders_since"),
        is_test=False,
        retry_at__isnull=True,
    )
    delay = ExpressionWrapper(F("seen_at") - F("ordered_at"), output_field=DurationField())
    detection = _spreads(told.annotate(value=delay), "channel")
    for key, status in statuses.items():
        status.freshness, status.detection = freshness.get(key, Spread()), detection.get(key, Spread())
    total.freshness, total.detection = freshness.get(None, Spread()), detection.get(None, Spread())
    _add_up(total, statuses.values())
    return SyncStatus([statuses[key] for key in keys], total)


def mapped_listings() -> QuerySet[Listing]:
    """Those whose stock could be ours to write: own, not removed, of a SKU that is active."""
    return (
        Listing.objects.current()
        .filter(ownership=Listing.Ownership.OWN, sku__isnull=False, sku__status=Sku.Status.ACTIVE)
        .order_by()
    )


def gauges(*, now: datetime) -> Iterator[tuple[int, dict[str, float | None], Counter[str]]]:
    """What is cheap to know of each channel whose sync is on: its key, figures (None: not known), rows by state.

    From what stands in the rows of the present, in three queries; no log is read, and no secret: whether a channel is
    connected is told elsewhere.
    """
    channels: QuerySet[Any] = Channel.objects.filter(sync__is_on=True).select_related("sync", "health")
    channels = channels.annotate(reads_only=F("credential__reads_only"))
    statuses = {
        channel.pk: ChannelStatus(channel=channel, sync=channel.sync, reads_only=bool(channel.reads_only), now=now)
        for channel in channels.order_by("pk")
    }
    for status in statuses.values():
        status.health = getattr(status.channel, "health", None)
    _count_rows(statuses, sorted(statuses))
    aside = Order.objects.filter(retry_at__isnull=False).order_by().values_list("channel").annotate(number=Count("pk"))
    set_aside = dict(aside)
    for key, status in statuses.items():
        sync: Any = status.sync
        values = {
            "backlog": float(status.backlog),
            "oldest_seconds": _age(status.oldest_at, now),  # None: there is no backlog
            "full_age_seconds": _age(sync.full_at, now),
            "incremental_age_seconds": _age(sync.incremental_at, now),
            "orders_lag_seconds": status.orders_lag.total_seconds() if status.orders_lag is not None else None,
            "orders_set_aside": float(set_aside.get(key, 0)),
            "held": float(status.standing != Standing.WRITING),
        }
        yield key, values, status.states


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max((now - moment).total_seconds(), 0.0)


def _number(rows: QuerySet[Any]) -> Coalesce:
    return Coalesce(Subquery(rows.values("number")), 0, output_field=IntegerField())


def _run_times(name: str, kind: SyncRun.Kind) -> dict[str, Subquery]:
    """When the last run of that kind that is over began and ended; a full run is one of the whole channel."""
    last = SyncRun.objects.filter(channel=OuterRef("pk"), kind=kind, ended_at__isnull=False)
    if kind == SyncRun.Kind.FULL:
        last = last.filter(scope={})
    last = last.order_by("-started_at")
    return {
        f"{name}_{end}": Subquery(last.values(end)[:1], output_field=DateTimeField())
        for end in ("started_at", "ended_at")
    }


def _status(channel: Any, now: datetime) -> ChannelStatus:
    def run(name: str) -> Run | None:
        started_at, ended_at = getattr(channel, f"{name}_started_at"), getattr(channel, f"{name}_ended_at")
        return None if started_at is None or ended_at is None else Run(started_at, ended_at)

    return ChannelStatus(
        channel=channel,
        sync=getattr(channel, "sync", None),
        health=getattr(channel, "health", None),
        is_connected=credential_of(channel).state(now) in USABLE,
        reads_only=bool(channel.reads_only),
        calls_per_second=channel.calls_per_second,
        listings=channel.mapped_listings,
        skus=channel.mapped_skus,
        waiting_lines=channel.lines_waiting,
        set_aside=channel.orders_set_aside,
        silent_orders=channel.silent_orders,
        last_full=run("full"),
        last_incremental=run("incremental"),
        now=now,
    )


def states_of(keys: Sequence[int] | None = None) -> QuerySet[Any, Any]:
    """(channel, state, rows, those of the backlog, since when the oldest of these differs, those that the guard holds);
    no keys: of all."""
    rows = ListingSync.objects.order_by()
    if keys is not None:
        rows = rows.filter(channel__in=among(list(keys)))
    return rows.values_list("channel", "state").annotate(
        rows=Count("pk"),
        behind=Count("pk", filter=_BEHIND),
        oldest_at=Min(_SINCE, filter=_BEHIND),
        held=Count("pk", filter=guards.IS_HELD),
    )


def _count_rows(statuses: dict[int, ChannelStatus], keys: Sequence[int]) -> None:
    for key, state, count, behind, oldest_at, held in states_of(keys):
        status = statuses[key]
        status.states[state] += count
        status.backlog += behind
        status.zeros_held += held
        # One that was not found to differ may only be due later.
        status.oldest_at = _first(status.oldest_at, oldest_at and min(oldest_at, status.now))


def _count_attempts(statuses: dict[int, ChannelStatus], keys: Sequence[int], now: datetime) -> None:
    since = now - WINDOW
    pushes = SyncAttempt.objects.filter(
        item__run__channel__in=among(list(keys)),
        item__run__started_at__gte=since - _LONGEST_RUN,  # an index finds these
        kind=SyncAttempt.Kind.PUSH,
        sent_at__gte=since,
    )
    counted = (
        pushes.order_by()
        .values_list("item__run__channel")
        .annotate(attempts=Count("pk"), taken=Count("pk", filter=Q(status__in=_TAKEN)))
    )
    for key, attempts, taken in counted:
        statuses[key].attempts, statuses[key].taken = attempts, taken
    # Those that went as they should have no row of their own.
    plain = SyncItem.objects.filter(
        run__channel__in=among(list(keys)),
        run__started_at__gte=since - _LONGEST_RUN,
        call__sent_at__gte=since,
    )
    for key, count in plain.order_by().values_list("run__channel").annotate(count=Count("pk")):
        statuses[key].attempts += count
        statuses[key].taken += count


def _spreads(rows: QuerySet[Any], per: str, *, milliseconds: bool = False) -> dict[int | None, Spread]:
    """The spread of the annotated `value` by channel, and of all under None: by nearest rank, in one query that
    returns two rows for each."""
    groups: dict[str, dict[str, Any]] = {"own": {"partition_by": [F(per)]}, "all": {}}
    ranks: dict[str, Any] = {}
    for group, partition in groups.items():
        ranks[f"{group}_rank"] = Window(RowNumber(), order_by=["value", "pk"], **partition)
        ranks[f"{group}_size"] = Window(Count("pk"), **partition)
    is_one = Q()
    for group in groups:
        for percent in (50, 95):
            # The smallest rank that is not below so much of the size.
            ranks[f"{group}_{percent}"] = F(f"{group}_rank") * 100 - F(f"{group}_size") * percent
            is_one |= Q(**{f"{group}_{percent}__gte": 0, f"{group}_{percent}__lt": 100})
    found: dict[int | None, Spread] = {}
    ranked = rows.order_by().annotate(**ranks).filter(is_one)
    names = [f"{group}_{what}" for group in groups for what in ("size", 50, 95)]
    for key, value, *told in ranked.values_list(per, "value", *names):
        length = timedelta(milliseconds=value) if milliseconds else value
        length = max(length, timedelta(0))  # by a platform's clock that is ahead of ours
        for owner, (size, p50, p95) in ((key, told[:3]), (None, told[3:])):
            spread = found.get(owner, Spread(size))
            if 0 <= p50 < 100:
                spread = spread._replace(p50=length)
            if 0 <= p95 < 100:
                spread = spread._replace(p95=length)
            found[owner] = spread
    return found


def _add_up(total: Figures, statuses: Iterable[ChannelStatus]) -> None:
    for status in statuses:
        total.listings += status.listings
        total.states += status.states
        total.backlog += status.backlog
        total.oldest_at = _first(total.oldest_at, status.oldest_at)
        total.attempts += status.attempts
        total.taken += status.taken
        total.waiting_lines += status.waiting_lines
        total.set_aside += status.set_aside
        total.silent_orders += status.silent_orders
        total.zeros_held += status.zeros_held


def _first(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)
