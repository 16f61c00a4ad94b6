"""Old history becomes days; what is older than it is kept goes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet

from catalog.models import Channel
from monitoring.models import (
    Alert,
    DailyRollup,
    Delivery,
    ForecastReport,
    ListingWatch,
    Notification,
    Observation,
    PlanRun,
    PollRun,
    PriceRun,
)
from monitoring.rollup import Day, Point, roll_up

_LISTINGS_AT_ONCE = 100
_RUNS_AT_ONCE = 500
_DELIVERIES_AT_ONCE = 500
_ALERTS_AT_ONCE = 500
_NEWS_AT_ONCE = 2_000
_NEWS_KEPT = timedelta(days=90)
_POINT_COLUMNS = (
    "observed_at",
    "is_gap",
    "list_price",
    "live_price",
    "promotion_price",
    "stock",
    "shelf_state",
)


@dataclass(frozen=True, slots=True)
class PruneSummary:
    """What was removed, or would be; `days` is how many the removed observations became."""

    observations: int = 0
    days: int = 0
    poll_runs: int = 0
    alerts: int = 0
    notifications: int = 0  # given up, not those that go with their alert or delivery
    deliveries: int = 0
    work_runs: int = 0  # of planning, and of working prices out again


def prune(*, now: datetime, dry_run: bool = False) -> PruneSummary:
    """Roll old observations up by local day and remove them, then remove old poll runs, alerts and news of alerts; in
    small transactions.

    Whole local days only. The last observation before the cut-off stays: what it says is in force until the next one.
    So do alerts whose condition lasts, whatever people did with them, and their news: it says whom to tell of the end.
    Safe to run any number of times, and to be cut off: days that exist are final and left alone.
    """
    observations = days = 0
    for channel in Channel.objects.order_by("pk"):
        cut_off = _cut_off(channel, now)
        listing_ids = list(
            Observation.objects.filter(listing__channel=channel, observed_at__lt=cut_off)
            .values("listing_id")
            .annotate(count=Count("observed_at"))
            .filter(count__gt=1)
            .order_by("listing_id")
            .values_list("listing_id", flat=True)
        )
        for start in range(0, len(listing_ids), _LISTINGS_AT_ONCE):
            pruned = _prune_listings(listing_ids[start : start + _LISTINGS_AT_ONCE], channel, cut_off, dry_run=dry_run)
            observations += pruned.observations
            days += pruned.days
    return PruneSummary(
        observations,
        days,
        poll_runs=_prune_runs(now, dry_run=dry_run),
        alerts=_prune_alerts(now, dry_run=dry_run),
        notifications=_prune_given_up(now, dry_run=dry_run),
        deliveries=_prune_deliveries(now, dry_run=dry_run),
        work_runs=_prune_work_runs(now, dry_run=dry_run),
    )


def _cut_off(channel: Channel, now: datetime) -> datetime:
    """The start of the first local day that is kept as it is."""
    zone = ZoneInfo(channel.time_zone)
    oldest = now.astimezone(zone) - timedelta(days=settings.OBSERVATION_RETENTION_DAYS)
    return datetime.combine(oldest.date(), time(), zone)


def _prune_listings(listing_ids: Sequence[int], channel: Channel, cut_off: datetime, *, dry_run: bool) -> PruneSummary:
    old = Observation.objects.filter(listing__in=listing_ids, observed_at__lt=cut_off)
    newer = Observation.objects.filter(
        listing=OuterRef("listing_id"), observed_at__gt=OuterRef("observed_at"), observed_at__lt=cut_off
    )
    removable = old.filter(Exists(newer))
    if dry_run:
        return PruneSummary(removable.count(), sum(1 for _ in _days(old, channel)))
    with transaction.atomic():
        rollups = [_rollup(listing_id, day) for listing_id, day in _days(old, channel)]
        DailyRollup.objects.bulk_create(rollups, ignore_conflicts=True, batch_size=1_000)
        removed, _by_model = removable.delete()
    return PruneSummary(removed, len(rollups))


def _days(old: QuerySet[Observation], channel: Channel) -> list[tuple[int, Day]]:
    zone = ZoneInfo(channel.time_zone)
    rows = old.order_by("listing_id", "observed_at").values_list("listing_id", *_POINT_COLUMNS)
    return [
        (listing_id, day)
        for listing_id, group in groupby(rows.iterator(), key=lambda row: row[0])
        for day in roll_up([Point._make(row[1:]) for row in group], zone)
    ]


def _rollup(listing_id: int, day: Day) -> DailyRollup:
    return DailyRollup(
        listing_id=listing_id,
        day=day.day,
        list_price=day.last.list_price,
        live_price_low=day.live_price_low,
        live_price_high=day.live_price_high,
        live_price=day.last.live_price,
        promotion_price=day.last.promotion_price,
        stock_low=day.stock_low,
        stock_high=day.stock_high,
        stock=day.last.stock,
        shelf_state=day.last.shelf_state,
        gap_seconds=day.gap_seconds,
    )


def _prune_runs(now: datetime, *, dry_run: bool) -> int:
    cut_off = now - timedelta(days=settings.POLL_RUN_RETENTION_DAYS)
    old = PollRun.objects.filter(finished_at__lt=cut_off)
    if dry_run:
        return old.count()
    # Watches of listings that nobody reads any more still point at their last run.
    ListingWatch.objects.filter(poll_run__in=old).update(poll_run=None)
    removed = 0
    while ids := list(old.order_by("pk").values_list("pk", flat=True)[:_RUNS_AT_ONCE]):
        # Without loading the rows, or looking once more for what points at them.
        removed += PollRun.objects.filter(pk__in=ids)._raw_delete(using=old.db)
    return removed


def _prune_work_runs(now: datetime, *, dry_run: bool) -> int:
    """Runs of planning with their report cards, but for the last of everything, and recomputations of prices."""
    cut_off = now - timedelta(days=settings.POLL_RUN_RETENTION_DAYS)
    last = PlanRun.objects.filter(kind=PlanRun.Kind.FULL, ended_at__isnull=False, problem="").order_by("-pk")[:1]
    planning = PlanRun.objects.filter(ended_at__lt=cut_off).exclude(pk__in=list(last.values_list("pk", flat=True)))
    pricing = PriceRun.objects.filter(ended_at__lt=cut_off)
    if dry_run:
        return planning.count() + pricing.count()
    with transaction.atomic():
        ForecastReport.objects.filter(run__in=planning).delete()
        return planning.delete()[0] + pricing.delete()[0]


def _prune_alerts(now: datetime, *, dry_run: bool) -> int:
    """Alerts that have been over for longer than they are kept, with their news, and messages of nothing else."""
    cut_off = now - timedelta(days=settings.ALERT_RETENTION_DAYS)
    old = Alert.objects.filter(cleared_at__lt=cut_off, status=Alert.Status.RESOLVED)
    if dry_run:
        return old.count()
    removed = 0
    for ids in _keys(old, _ALERTS_AT_ONCE):
        with transaction.atomic():
            # Still over: within its cooldown one may come back at any time.
            ids = list(old.select_for_update().filter(pk__in=ids).values_list("pk", flat=True))
            news = Notification.objects.filter(alert__in=ids)
            messages = set(news.filter(delivery__isnull=False).values_list("delivery", flat=True))
            news.delete()
            told = Notification.objects.filter(delivery=OuterRef("pk"))
            empty = _settled().filter(~Exists(told), pk__in=messages)
            _remove_deliveries(list(empty.values_list("pk", flat=True)))
            removed += Alert.objects.filter(pk__in=ids)._raw_delete(using=old.db)
    return removed


def _prune_given_up(now: datetime, *, dry_run: bool) -> int:
    given_up = Notification.objects.filter(due_at__lt=now - _NEWS_KEPT, alert__cleared_at__isnull=False)
    given_up = given_up.exclude(dropped_cause="")
    if dry_run:
        return given_up.count()
    return sum(given_up.filter(pk__in=ids).delete()[0] for ids in _keys(given_up, _NEWS_AT_ONCE))


def _prune_deliveries(now: datetime, *, dry_run: bool) -> int:
    """Messages that are settled and older than they are kept, with their notifications: those would wait again."""
    of_lasting = Notification.objects.filter(delivery=OuterRef("pk"), alert__cleared_at__isnull=True)
    old = _settled().filter(~Exists(of_lasting), created_at__lt=now - _NEWS_KEPT)
    if dry_run:
        return old.count()
    removed = 0
    for ids in _keys(old, _DELIVERIES_AT_ONCE):
        with transaction.atomic():
            Notification.objects.filter(delivery__in=ids).delete()
            removed += _remove_deliveries(ids)
    return removed


def _remove_deliveries(ids: Sequence[int]) -> int:
    """Without their notifications, which the caller removed."""
    links = Delivery.channels.through.objects.filter(delivery__in=ids)
    links._raw_delete(using=links.db)
    return Delivery.objects.filter(pk__in=ids)._raw_delete(using=links.db)


def _settled() -> QuerySet[Delivery]:
    return Delivery.objects.exclude(status=Delivery.Status.WAITING)


def _keys(rows: QuerySet[Any], at_once: int) -> Iterator[list[int]]:
    """The keys of the rows in their order, a part at a time; the caller may remove a part before the next."""
    last = 0
    while keys := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:at_once]):
        yield keys
        last = keys[-1]
