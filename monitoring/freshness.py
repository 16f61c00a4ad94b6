"""Whether what we hold about a listing still speaks for now.

A reading is good for three of the listing's intervals, unless the platform has said since that it does not know the
listing.
"""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import BigIntegerField, DateTimeField, Q, Value
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import LessThan

from catalog.database import Microseconds
from catalog.models import Listing
from monitoring.models import GAP_INTERVALS, ListingWatch
from monitoring.timing import CLOCK_SKEW, gap_start

# How an attempt ends that brought nothing.
_IN_VAIN = [ListingWatch.Outcome.MISSING, ListingWatch.Outcome.REFUSED, ListingWatch.Outcome.FAILED]


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
    if watch is None or watch.read_at is None or watch.is_missing:
        return False
    return -CLOCK_SKEW <= now - watch.read_at <= watch.gap_after


def unread_since(watch: ListingWatch, now: datetime) -> datetime | None:
    """Since when the listing has not been known, up to now; None while it is, and when it never was.

    A reading speaks for one interval, but never beyond the answer that the platform does not know the listing.
    """
    if watch.is_missing and watch.read_at is not None and watch.tried_at is not None:
        return min(watch.read_at + watch.interval, watch.tried_at)
    return gap_start(read_at=watch.read_at, interval=watch.interval, gap_after=watch.gap_after, now=now)


@dataclass(frozen=True)
class Conditions:
    """Conditions on rows of a model, by how the listing and its watch are reached from it."""

    listing: str
    watch: str

    def being_watched(self) -> Q:
        """Meant to be read, that is neither removed, nor paused, nor on a stopped channel."""
        meant = {f"{self.watch}is_paused": False, f"{self.listing}removed_at": None, "channel__is_watched": True}
        return Q(**meant)

    def fresh(self, now: datetime) -> Q:
        """The stored facts may be shown as the present ones."""
        is_recent = self._read(lte=now + CLOCK_SKEW) & ~self._is_old(now, f"{self.watch}read_at")
        return self._read(isnull=False) & is_recent & ~self.missing()

    def missing(self) -> Q:
        """The platform answered the last attempt that it does not know the listing."""
        return Q(**{f"{self.watch}outcome": ListingWatch.Outcome.MISSING})

    def blind(self, now: datetime) -> Q:
        """Meant to be read, but not known to the platform, or without a good reading for longer than its gap.

        A listing that was never read is blind as soon as it was tried in vain, and else once it has been there for as
        long.
        """
        is_old = self._is_old(now, Coalesce(f"{self.watch}read_at", f"{self.listing}created_at"))
        in_vain = self._read(isnull=True) & Q(**{f"{self.watch}outcome__in": _IN_VAIN})
        return self.being_watched() & (is_old | in_vain | self.missing() | self._read(gt=now + CLOCK_SKEW))

    def _read(self, **lookups: object) -> Q:
        return Q(**{f"{self.watch}read_at__{name}": value for name, value in lookups.items()})

    def _is_old(self, now: datetime, since: str | Coalesce) -> Q:
        # Whole numbers, which every database compares fast; a week of microseconds needs eight bytes.
        seconds = Cast(Coalesce(f"{self.watch}interval_seconds", "channel__interval_seconds"), BigIntegerField())
        ends_at = Microseconds(since) + seconds * Value(GAP_INTERVALS * 1_000_000)
        return Q(LessThan(ends_at, Microseconds(Value(now, DateTimeField()))))


OF_WATCH = Conditions(listing="listing__", watch="")
OF_LISTING = Conditions(listing="", watch="watch__")
being_watched, fresh, blind, missing = OF_WATCH.being_watched, OF_WATCH.fresh, OF_WATCH.blind, OF_WATCH.missing
