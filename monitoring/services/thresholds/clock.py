"""What no reading tells: that there is none, that an authorisation ends, that a threshold is gone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import BigIntegerField, F, Q
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import LessThan

from catalog.database import Microseconds, among, driver_rows
from monitoring.models import Alert, ListingWatch, Threshold
from monitoring.services.alerts import end_alerts
from monitoring.services.thresholds.book import Book, LastAlert, last_alerts
from monitoring.services.watching import from_microseconds, microseconds
from monitoring.thresholds.rules import Kind, Move


def check_blind(*, now: datetime) -> int:
    """Open alerts for listings that were not read well for longer than so many of their intervals, end those that
    are read again; returns how many opened.

    Exactly at the limit a listing still counts as read. What nobody wants to read is not blind, and no reading was
    missed before watching began, was resumed, or changed its interval; what is blind already stays so until it is read.
    """
    thresholds = list(Threshold.objects.filter(kind=Kind.BLIND, is_active=True).order_by("pk"))
    if not thresholds:
        return 0
    with transaction.atomic():
        of_these = Alert.objects.filter(threshold__in=among([threshold.pk for threshold in thresholds]))
        alerts = last_alerts(of_these, "listing_id", thresholds, now)
        over = {key: alert.pk for key, alert in alerts.items() if alert.cleared_us is None}
        unread = _unread(thresholds, now)
        book = Book(now=now)
        for threshold in thresholds:
            for watch in unread.get(_subject(threshold), ()):
                # A good reading before this is too old.
                limit_us = microseconds(now) - watch.seconds * (threshold.intervals or 0) * 1_000_000
                is_of_owner = threshold.ownership in ("", watch.ownership)
                if not is_of_owner or not _is_before(watch.read_us, limit_us):
                    continue
                key = threshold.pk, watch.listing_id
                over.pop(key, None)
                alert = alerts.get(key)
                is_in_force = alert is not None and alert.cleared_us is None
                if is_in_force or not _is_before(watch.watched_us, limit_us):
                    continue
                read_at = from_microseconds(watch.read_us)
                book.enter_texts(
                    threshold,
                    "",
                    watch.channel_id,
                    watch.listing_id,
                    Move.AGAIN if _is_again(alert, threshold, now) else Move.OPENED,
                    alert,
                    old=read_at.isoformat() if read_at else "",
                    new="",
                    limit=str(threshold.intervals),
                )
        end_alerts(alert_ids=list(over.values()), now=now)
        return book.close()[0]


def _is_before(moment_us: int | None, limit_us: int) -> bool:
    """A moment that never was is before it."""
    return moment_us is None or moment_us < limit_us


def _is_again(alert: LastAlert | None, threshold: Threshold, now: datetime) -> bool:
    return alert is not None and microseconds(now) - alert.last_us < threshold.cooldown_minutes * 60_000_000


class _Watch(NamedTuple):
    """A listing that somebody wants read, and what thresholds may be about."""

    listing_id: int
    channel_id: int
    product_id: int | None
    brand: str | None
    ownership: str
    seconds: int  # its interval
    read_us: int | None
    watched_us: int | None  # since when every reading that is missing was missed


def _subject(threshold: Threshold) -> tuple[str, int | str | None]:
    if threshold.listing_id:
        return "listing", threshold.listing_id
    if threshold.product_id:
        return "product", threshold.product_id
    return ("brand", threshold.brand) if threshold.brand else ("channel", threshold.channel_id)


def _unread(thresholds: Sequence[Threshold], now: datetime) -> dict[tuple[str, int | str | None], list[_Watch]]:
    """By subject the watches that somebody wants read and whose last good reading may be too old for one of the
    thresholds, or that have none; one statement."""
    keys: dict[str, set[Any]] = defaultdict(set)
    for threshold in thresholds:
        name, key = _subject(threshold)
        keys[name].add(key)
    subject = Q(listing__in=among(sorted(keys["listing"]))) | Q(channel__in=among(sorted(keys["channel"])))
    if keys["product"]:
        subject |= Q(listing__sku__product__in=among(sorted(keys["product"])))
    if keys["brand"]:
        subject |= Q(listing__sku__product__brand__in=sorted(keys["brand"]))
    seconds = Cast(Coalesce("interval_seconds", "channel__interval_seconds"), BigIntegerField())  # times a million
    fewest = min(threshold.intervals or 0 for threshold in thresholds)
    read_us = Microseconds("read_at")
    wanted = ListingWatch.objects.filter(
        subject, listing__removed_at__isnull=True, is_paused=False, channel__is_watched=True
    ).annotate(limit_us=microseconds(now) - seconds * (fewest * 1_000_000))
    rows = driver_rows(
        wanted.filter(Q(read_at__isnull=True) | Q(LessThan(read_us, F("limit_us")))).order_by("pk"),
        (
            "pk",
            "channel_id",
            "listing__sku__product_id",
            "listing__sku__product__brand",
            "listing__ownership",
            seconds,
            read_us,
            Microseconds(Coalesce("watched_since", "listing__created_at")),
            Microseconds("listing__restored_at"),
            Microseconds("channel__watched_since"),
        ),
    )
    unread: dict[tuple[str, int | str | None], list[_Watch]] = defaultdict(list)
    for row in rows:
        since_us = max((moment for moment in row[7:] if moment is not None), default=None)
        watch = _Watch._make([*row[:7], since_us])
        unread["listing", watch.listing_id].append(watch)
        unread["product", watch.product_id].append(watch)
        unread["brand", watch.brand].append(watch)
        unread["channel", watch.channel_id].append(watch)
    return unread


def check_authorisations(*, ends: Mapping[int, datetime | None], now: datetime) -> int:
    """Open alerts for channels whose authorisation ends within the days of a threshold, or has ended; end those that
    were renewed. Returns how many opened.

    `ends` has a time for each channel, None where it is not known, which changes nothing. Exactly so many days ahead
    counts as within them.
    """
    thresholds = list(
        Threshold.objects.filter(kind=Kind.AUTHORISATION, is_active=True, channel__in=list(ends)).order_by("pk")
    )
    if not thresholds:
        return 0
    with transaction.atomic():
        of_channels = Alert.objects.filter(listing__isnull=True, threshold__in=[each.pk for each in thresholds])
        book = Book(now=now)
        alerts = last_alerts(of_channels, "channel_id", thresholds, now)
        for threshold in thresholds:
            assert threshold.channel_id is not None  # noqa: S101  # as the query says
            ends_at = ends[threshold.channel_id]
            if ends_at is None:
                continue
            alert = alerts.get((threshold.pk, threshold.channel_id))
            is_in_force = alert is not None and alert.cleared_us is None
            is_due = ends_at - now <= timedelta(days=threshold.days or 0)
            if is_due == is_in_force:
                continue
            is_again = _is_again(alert, threshold, now)
            move = Move.CLEARED if is_in_force else Move.AGAIN if is_again else Move.OPENED
            text, limit = ends_at.isoformat(), str(threshold.days)
            book.enter_texts(threshold, "", threshold.channel_id, None, move, alert, old="", new=text, limit=limit)
        return book.close()[0]


def end_abandoned(*, now: datetime) -> int:
    """End the alerts that no threshold stands for any more: it was deleted, switched off, or made another one, or its
    listing was removed or is another's by now. Returns how many."""
    of_goods = {"product": "listing__sku__product", "brand": "listing__sku__product__brand"}
    no_longer = (
        Q(threshold__isnull=True)
        | Q(threshold__is_active=False)
        | Q(listing__removed_at__isnull=False)
        | ~Q(kind=F("threshold__kind"))
        | (Q(threshold__channel__isnull=False) & ~Q(channel=F("threshold__channel")))
        | (Q(threshold__listing__isnull=False) & ~Q(listing=F("threshold__listing")))
        | (Q(listing__isnull=False) & ~Q(threshold__ownership="") & ~Q(listing__ownership=F("threshold__ownership")))
    )
    in_force = Alert.objects.filter(cleared_at__isnull=True)
    abandoned = list(in_force.filter(no_longer).order_by("pk").values_list("pk", flat=True))
    for subject, path in of_goods.items():
        about = in_force.exclude(**({"threshold__brand": ""} if subject == "brand" else {"threshold__product": None}))
        gone = about.filter(Q(listing__sku__isnull=True) | ~Q(**{path: F(f"threshold__{subject}")}))
        abandoned += gone.order_by("pk").values_list("pk", flat=True)
    with transaction.atomic():
        return end_alerts(alert_ids=sorted(set(abandoned)), now=now)
