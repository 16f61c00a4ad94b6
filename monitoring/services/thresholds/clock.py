"""What no reading tells: that there is none, that an authorisation ends, that a threshold is gone."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import BigIntegerField, F, Q, QuerySet
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import IsNull, LessThan

from catalog.database import Microseconds, among, driver_rows
from monitoring.models import Alert, ListingWatch, Threshold
from monitoring.services.alerts import end_alerts
from monitoring.services.thresholds.book import Book, last_alerts
from monitoring.services.thresholds.figures import listings_of
from monitoring.services.watching import from_microseconds, microseconds
from monitoring.thresholds.rules import Kind, Move


def check_blind(*, now: datetime) -> int:
    """Open alerts for listings that were not read well for longer than so many of their intervals, end those that
    are read again; returns how many opened.

    Exactly at the limit a listing still counts as read. What nobody wants to read is not blind, and no reading was
    missed before watching began, was resumed, or changed its interval; what is blind already stays so until it is read.
    """
    opened = 0
    for threshold in Threshold.objects.filter(kind=Kind.BLIND, is_active=True).order_by("pk"):
        with transaction.atomic():
            opened += _check_blind(threshold, now)
    return opened


def _check_blind(threshold: Threshold, now: datetime) -> int:
    alerts = last_alerts(Alert.objects.filter(threshold=threshold), "listing_id", [threshold], now)
    unread = _unread(threshold, now)
    late = {row[0]: row for row in _late(unread)}
    books: dict[int, Book] = {}
    for listing_id, channel_id, read_us in late.values():
        alert = alerts.get((threshold.pk, listing_id))
        if alert is not None and alert.cleared_us is None:
            continue
        is_again = alert is not None and microseconds(now) - alert.last_us < threshold.cooldown_minutes * 60_000_000
        read_at = from_microseconds(read_us)
        books.setdefault(channel_id, Book(channel_id=channel_id, now=now)).enter_texts(
            threshold,
            "",
            listing_id,
            Move.AGAIN if is_again else Move.OPENED,
            alert,
            old=read_at.isoformat() if read_at else "",
            new="",
            limit=str(threshold.intervals),
        )
    over = {key[1]: alert.pk for key, alert in alerts.items() if alert.cleared_us is None and key[1] not in late}
    if over:
        for (listing_id,) in driver_rows(unread.filter(pk__in=among(list(over))), ("pk",)):
            del over[listing_id]
    end_alerts(alert_ids=list(over.values()), now=now)
    return sum(book.close()[0] for book in books.values())


def _unread(threshold: Threshold, now: datetime) -> QuerySet[ListingWatch]:
    """The watches that somebody wants read and whose last good reading is too old for the threshold, or that have none;
    with `limit_us`, before which it is too old."""
    seconds = Cast(Coalesce("interval_seconds", "channel__interval_seconds"), BigIntegerField())  # times a million
    watches = ListingWatch.objects.filter(
        listing__in=listings_of(threshold).order_by().values("pk"), is_paused=False, channel__is_watched=True
    ).annotate(limit_us=microseconds(now) - seconds * ((threshold.intervals or 0) * 1_000_000))
    return watches.filter(_is_before_limit("read_at")).order_by("pk")


def _late(unread: QuerySet[ListingWatch]) -> list[tuple[int, int, int | None]]:
    """Listing, channel and last good reading of those that have been watched for longer than that, too."""
    late = unread.filter(
        _is_before_limit(Coalesce("watched_since", "listing__created_at")),
        _is_before_limit("listing__restored_at"),
        _is_before_limit("channel__watched_since"),
    )
    rows: list[tuple[int, int, int | None]] = driver_rows(late, ("pk", "channel_id", Microseconds("read_at")))
    return rows


def _is_before_limit(moment: str | Coalesce) -> Q:
    """A moment that never was is before it."""
    at_us = Microseconds(moment)
    return Q(IsNull(at_us, True)) | Q(LessThan(at_us, F("limit_us")))


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
    opened = 0
    with transaction.atomic():
        of_channels = Alert.objects.filter(listing__isnull=True, threshold__in=[each.pk for each in thresholds])
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
            is_again = alert is not None and microseconds(now) - alert.last_us < threshold.cooldown_minutes * 60_000_000
            move = Move.CLEARED if is_in_force else Move.AGAIN if is_again else Move.OPENED
            book = Book(channel_id=threshold.channel_id, now=now)
            book.enter_texts(
                threshold, "", None, move, alert, old="", new=ends_at.isoformat(), limit=str(threshold.days)
            )
            opened += book.close()[0]
    return opened


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
