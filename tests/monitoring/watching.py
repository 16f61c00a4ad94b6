"""A listing with a history, for the tests of what is shown of it."""

from datetime import timedelta

from catalog.models import Listing
from monitoring.models import Observation
from tests.factories import NOW, ListingFactory, ListingWatchFactory


def observe(listing, age, **facts):
    """A reading that found these facts, `age` before NOW; the newest one becomes the listing's present facts."""
    at = NOW - age
    unknown = dict.fromkeys(("list_price", "live_price", "promotion_price", "stock"))
    values = {**unknown, "shelf_state": "on_shelf", **facts}
    Observation.objects.create(listing=listing, observed_at=at, **values)
    if listing.observed_at is None or listing.observed_at < at:
        Listing.objects.filter(pk=listing.pk).update(observed_at=at, **values)
        listing.refresh_from_db()


def miss(listing, age):
    """From `age` before NOW on, nothing was read."""
    Observation.objects.create(listing=listing, observed_at=NOW - age, is_gap=True, shelf_state="unknown")


def watched(*, read=timedelta(minutes=1), **fields):
    """A listing whose last good reading was `read` ago; None: never read."""
    listing = ListingFactory(**fields)
    Listing.objects.filter(pk=listing.pk).update(created_at=NOW - timedelta(days=100))
    ListingWatchFactory(listing=listing, read_at=None if read is None else NOW - read)
    listing.refresh_from_db()
    return listing
