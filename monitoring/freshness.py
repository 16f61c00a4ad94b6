"""Whether what we hold about a listing still speaks for now: a reading is good for three of the listing's intervals."""

from datetime import datetime

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import BigIntegerField, DateTimeField, F, Q, Value
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import LessThan

from catalog.database import Microseconds
from catalog.models import Listing
from monitoring.models import GAP_INTERVALS, ListingWatch
from monitoring.timing import CLOCK_SKEW


def watch_of(listing: Listing) -> ListingWatch | None:
    """The listing's watch, sharing the listing's channel; None while nothing watches it yet."""
    try:
        watch = listing.watch
    except ObjectDoesNotExist:
        return None
    watch.channel = listing.channel
    return watch


def is_fresh(listing: Listing, now: datetime) -> bool:
    """Whether the last good reading is recent enough for the stored facts to be shown as the present ones.

    A reading from the future tells nothing: the clock has been wrong since, or is now.
    """
    watch = watch_of(listing)
    return watch is not None and watch.read_at is not None and -CLOCK_SKEW <= now - watch.read_at <= watch.gap_after


def being_watched() -> Q:
    """Condition on ListingWatch: meant to be read, that is neither removed, nor paused, nor on a stopped channel."""
    return Q(is_paused=False, listing__removed_at__isnull=True, channel__is_watched=True)


def fresh(now: datetime) -> Q:
    """Condition on ListingWatch: the stored facts may be shown as the present ones."""
    return Q(read_at__isnull=False, read_at__lte=now + CLOCK_SKEW) & ~Q(_older_than_gap(F("read_at"), now))


def blind(now: datetime) -> Q:
    """Condition on ListingWatch: meant to be read, but without a good reading for longer than its gap.

    A listing that was never read is blind once it has been there for as long.
    """
    is_old = Q(_older_than_gap(Coalesce(F("read_at"), F("listing__created_at")), now))
    return being_watched() & (is_old | Q(read_at__gt=now + CLOCK_SKEW))


def _older_than_gap(since: F | Coalesce, now: datetime) -> LessThan:
    # Whole numbers, which every database compares fast; as many microseconds as a week has need eight bytes.
    seconds = Cast(Coalesce(F("interval_seconds"), F("channel__interval_seconds")), BigIntegerField())
    ends_at = Microseconds(since) + seconds * Value(GAP_INTERVALS * 1_000_000)
    return LessThan(ends_at, Microseconds(Value(now, DateTimeField())))
