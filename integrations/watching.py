"""How single listings are watched: pause, resume, the interval of one listing. The engine reads what is due."""

from datetime import datetime

from django.db import models, transaction
from django.utils.translation import gettext_noop

from catalog.models import Listing, User
from catalog.services import audit, audit_many, tell_listings_changed
from monitoring.models import ListingWatch


def set_paused(*, listings: models.QuerySet[Listing], is_paused: bool, actor: User | None, now: datetime) -> int:
    """Stop reading the listings, or have them read again at once. Returns how many changed."""
    with transaction.atomic():
        changed = list(
            ListingWatch.objects.select_for_update(of=("self",))
            .select_related("listing")
            .filter(listing__in=listings, is_paused=not is_paused)
        )
        watches = ListingWatch.objects.filter(pk__in=[watch.pk for watch in changed])
        if is_paused:
            watches.update(is_paused=True)
        else:
            watches.update(is_paused=False, watched_since=now, next_due_at=now, attempts=0)
            tell_listings_changed([watch.pk for watch in changed])
        audit_many(
            action=gettext_noop("paused") if is_paused else gettext_noop("resumed"),
            objects=[watch.listing for watch in changed],
            actor=actor,
            now=now,
            changes={"monitoring.listingwatch.is_paused": [not is_paused, is_paused]},
        )
    return len(changed)


def set_interval(*, listing: Listing, seconds: int | None, actor: User | None, now: datetime) -> bool:
    """Read one listing every so many seconds, None: as its channel's others. Returns whether that is a change.

    `seconds` is a value that ListingWatch.interval_seconds admits. The first reading at the new pace is at once.
    """
    with transaction.atomic():
        watch = ListingWatch.objects.select_for_update(of=("self",)).get(listing=listing)
        before = watch.interval_seconds
        if before == seconds:
            return False
        ListingWatch.objects.filter(pk=watch.pk).update(interval_seconds=seconds, watched_since=now, next_due_at=now)
        audit(
            action=gettext_noop("interval changed"),
            obj=listing,
            actor=actor,
            now=now,
            changes={"monitoring.listingwatch.interval_seconds": [before, seconds]},
        )
    return True
