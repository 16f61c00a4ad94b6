"""Readings through record(), for the tests of what thresholds make of them."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

from catalog.facts import Facts, ShelfState
from integrations.connectors.base import Reading, ReadOutcome
from monitoring.models import Alert, ListingWatch, Threshold
from monitoring.services import claim_due, close_run, open_run, record
from tests.factories import NOW, ThresholdFactory

INTERVAL = timedelta(seconds=300)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ON = ShelfState.ON_SHELF


def priced(price, **facts):
    """Facts with this list price."""
    amount = None if price is None else Decimal(str(price))
    return Facts(**{"list_price": amount, "stock": 37, "shelf_state": ON, **facts})


def stocked(stock, shelf_state=None):
    """Facts with this stock, and the shelf state that goes with it."""
    return priced(268, stock=stock, shelf_state=shelf_state or (ShelfState.SOLD_OUT if stock == 0 else ON))


def read(facts, now, *, channel=None, outcome=ReadOutcome.READ, cause=""):
    """Reads the listings of a channel (the only one) at `now`; `facts` is the same for all, or a mapping by listing."""
    watches = ListingWatch.objects.filter(channel=channel) if channel else ListingWatch.objects.all()
    watches.update(next_due_at=now, lease_until=None, lease_token=None)
    run, token = open_run(channel_id=watches[0].channel_id, now=now), uuid4()
    claims = {claim.listing_id: claim for claim in claim_due(run=run, limit=500, token=token, now=now)}
    given = facts if isinstance(facts, dict) else dict.fromkeys(claims, facts)
    readings = [Reading(pk, outcome, given[pk], cause=cause) for pk in claims if pk in given]
    recorded = record(
        run=run, token=token, claims={each.listing_id: claims[each.listing_id] for each in readings}, readings=readings,
        now=now,
    )  # fmt: skip
    close_run(run=run, now=now)
    return recorded


def read_each(facts, *, start=NOW, every=INTERVAL, **kwargs):
    """One reading after the other; returns the time of the last one. None is a reading that failed."""
    at = start
    for number, one in enumerate(facts):
        at = start + number * every
        if one is None:
            read(None, at, outcome=ReadOutcome.FAILED, cause="timeout", **kwargs)
        else:
            read(one, at, **kwargs)
    return at


def threshold(**fields):
    """A threshold that was there before the first reading; without a cooldown unless the test is about it."""
    made = ThresholdFactory(**{"cooldown_minutes": 0, **fields})
    Threshold.objects.filter(pk=made.pk).update(updated_at=NOW - timedelta(days=60))
    made.refresh_from_db()
    return made


def of(listing, **fields):
    """The same about one listing."""
    return threshold(channel=None, listing=listing, **fields)


def told():
    """The alerts in the order of their opening: (kind, old, new, limit, times, is over)."""
    return [
        (alert.kind, alert.old_value, alert.new_value, alert.limit, alert.count, alert.cleared_at is not None)
        for alert in Alert.objects.order_by("opened_at", "pk")
    ]
