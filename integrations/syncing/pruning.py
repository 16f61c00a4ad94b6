"""What of the log of runs is older than it is kept goes; what a listing's present state came from stays."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from catalog.database import among
from integrations.syncing.models import SyncAttempt, SyncItem, SyncRun

_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What was removed, or would be."""

    runs: int = 0
    items: int = 0  # with their attempts


def prune_log(*, now: datetime, dry_run: bool = False) -> LogSummary:
    """Remove what is older than SYNC_LOG_RETENTION_DAYS, in small transactions.

    The last item of each listing at each location stays with its attempts, however old, and so do runs that are not
    over and runs of which an item is left. Of a dry run nothing was sent, so its items are never a listing's last; a
    dry run that nobody applied goes like any other. Safe to run any number of times, and to be cut off.
    """
    cut_off = now - timedelta(days=settings.SYNC_LOG_RETENTION_DAYS)
    items = _old_items(cut_off)
    if dry_run:
        left = SyncItem.objects.filter(run=OuterRef("pk")).exclude(pk__in=items.values("pk"))
        return LogSummary(_old_runs(cut_off).filter(~Exists(left)).count(), items.count())
    removed_items = 0
    for ids in _keys(items):
        with transaction.atomic():
            SyncAttempt.objects.filter(item__in=among(ids))._raw_delete(using=items.db)
            removed_items += SyncItem.objects.filter(pk__in=among(ids))._raw_delete(using=items.db)
    removed_runs = 0
    runs = _old_runs(cut_off).filter(~Exists(SyncItem.objects.filter(run=OuterRef("pk"))))
    for ids in _keys(runs):
        removed_runs += SyncRun.objects.filter(pk__in=among(ids)).delete()[0]
    return LogSummary(removed_runs, removed_items)


def _old_runs(cut_off: datetime) -> QuerySet[SyncRun]:
    return SyncRun.objects.filter(ended_at__lt=cut_off)


def _old_items(cut_off: datetime) -> QuerySet[SyncItem]:
    later = SyncItem.objects.filter(
        listing=OuterRef("listing"), location_id=OuterRef("location_id"), pk__gt=OuterRef("pk")
    ).exclude(run__kind=SyncRun.Kind.DRY)
    over = SyncItem.objects.filter(created_at__lt=cut_off, run__ended_at__lt=cut_off)
    return over.filter(Q(run__kind=SyncRun.Kind.DRY) | Exists(later))


def _keys(rows: QuerySet[Any]) -> Iterator[list[int]]:
    """The keys of the rows in their order, a part at a time; the caller removes a part before the next."""
    last = 0
    while keys := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        yield keys
        last = keys[-1]
