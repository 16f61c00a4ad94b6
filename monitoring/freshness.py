"""Whether what we hold about a listing still speaks for now: a reading is good for three of the listing's intervals."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Func, Q, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import LessThan

from catalog.models import Listing
from monitoring.models import GAP_INTERVALS, ListingWatch


class Seconds(Func):
    """A whole number of seconds as a duration."""

    output_field = DurationField()
    template = "(%(expressions)s * 1000000)"  # SQLite keeps durations as microseconds

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s * interval '1 second')", **context)


def watch_of(listing: Listing) -> ListingWatch | None:
    """The listing's watch, sharing the listing's channel; None while nothing watches it yet."""
    try:
        watch = listing.watch
    except ObjectDoesNotExist:
        return None
    watch.channel = listing.channel
    return watch


def is_fresh(listing: Listing, now: datetime) -> bool:
    """Whether the last good reading is recent enough for the stored facts to be shown as the present ones."""
    watch = watch_of(listing)
    return watch is not None and watch.read_at is not None and now - watch.read_at <= watch.gap_after


def being_watched() -> Q:
    """Condition on ListingWatch: meant to be read, that is neither removed, nor paused, nor on a stopped channel."""
    return Q(is_paused=False, listing__removed_at__isnull=True, channel__is_watched=True)


def fresh(now: datetime) -> Q:
    """Condition on ListingWatch: the stored facts may be shown as the present ones."""
    return Q(read_at__isnull=False) & ~Q(_older_than_gap(F("read_at"), now))


def blind(now: datetime) -> Q:
    """Condition on ListingWatch: meant to be read, but without a good reading for longer than its gap.

    A listing that was never read is blind once it has been there for as long.
    """
    return being_watched() & Q(_older_than_gap(Coalesce(F("read_at"), F("listing__created_at")), now))


def _older_than_gap(since: F | Coalesce, now: datetime) -> LessThan:
    gap = Seconds(Coalesce(F("interval_seconds"), F("channel__interval_seconds")) * GAP_INTERVALS)
    ends_at = ExpressionWrapper(since + gap, output_field=DateTimeField())
    return LessThan(ends_at, Value(now, output_field=DateTimeField()))
