"""One whole pass over a channel in the foreground, and what such a pass would change."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from catalog.database import among
from catalog.models import Channel, Listing
from catalog.stock.availability import Target
from integrations.lanes.problem import Problem
from integrations.syncing import dirty, orders
from integrations.syncing.models import ChannelSync, ListingSync
from integrations.syncing.pushing import push_slice
from integrations.syncing.wanted import wanted_of

FIGURES = ("orders", "movements", "waiting", "sent", "unchanged", "refused", "failed", "looked")
_SLICE_SECONDS = 60.0
_LONGEST_WAIT = timedelta(seconds=15)  # for what is read back or tried again; later it is left to the lanes
_LISTINGS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Pass:
    """Orders with news, movements booked for them and lines that wait; then rows by what became of them."""

    orders: int = 0
    movements: int = 0
    waiting: int = 0
    sent: int = 0
    unchanged: int = 0
    refused: int = 0
    failed: int = 0
    looked: int = 0
    problems: list[Problem] = field(default_factory=list)

    def __str__(self) -> str:
        booked = f"{self.orders} orders, {self.movements} movements, {self.waiting} lines waiting"
        pushed = f"{self.sent} sent, {self.unchanged} unchanged, {self.refused} refused, {self.failed} failed"
        return f"{booked}; {pushed}, {self.looked} read back"


@dataclass(frozen=True, slots=True)
class Change:
    """What a listing shows at a location as far as we know (None: we do not), and what a pass would have it show."""

    listing_id: int
    name: str
    location_id: str
    now_shown: int | None
    target: Target

    @property
    def will_be(self) -> int | None:
        """None: it is left as it is."""
        return self.target.quantity


def pass_over_channel(*, channel: Channel, is_full: bool = False) -> Pass:
    """Book the channel's orders, send what differs from its target and wait until it is read back; by the real clock.

    `is_full`: every listing is read back, whether or not anything changed. What fails is left to the lanes, and so is
    what other workers are at.
    """
    counts: Counter[str] = Counter()
    problems: dict[str, Problem] = {}
    ids = [channel.pk]
    orders.make_due(ids, now=timezone.now())
    more_due = True
    while more_due:
        read = orders.read_slice(seconds=_SLICE_SECONDS, channel_ids=ids)
        counts += Counter({name: getattr(read, name) for name in ("orders", "movements", "waiting", "failed")})
        problems |= {problem.cause: problem for problem in read.problems}
        more_due = read.more_due and not read.problems
    now = timezone.now()
    if is_full and ChannelSync.objects.filter(channel=channel, is_confirmed=True, is_paused=False).exists():
        dirty.begin_full(channel, now=now)
    else:
        dirty.sweep(now=now, channel_ids=ids)
    while True:
        pushed = push_slice(seconds=_SLICE_SECONDS, channel_ids=ids)
        counts += Counter(
            {name: getattr(pushed, name) for name in ("sent", "unchanged", "refused", "failed", "looked")}
        )
        problems |= {problem.cause: problem for problem in pushed.problems}
        if pushed.problems or not (pushed.more_due or _is_soon(pushed.due_at)):
            break
        if pushed.due_at is not None and not pushed.more_due:
            time.sleep(max((pushed.due_at - timezone.now()).total_seconds(), 0))
    return Pass(**{name: counts[name] for name in FIGURES}, problems=list(problems.values()))


def _is_soon(due_at: datetime | None) -> bool:
    return due_at is not None and due_at <= timezone.now() + _LONGEST_WAIT


def changes_of(channel: Channel) -> Iterator[Change]:
    """Every listing of the channel at every location, with its target; from what is stored, in constant statements
    for each thousand listings."""
    last = 0
    while True:
        own = Listing.objects.current().filter(channel=channel, ownership=Listing.Ownership.OWN, pk__gt=last)
        listings = {listing.pk: listing for listing in own.order_by("pk")[:_LISTINGS_AT_ONCE]}
        if not listings:
            return
        last = max(listings)
        stored = ListingSync.objects.filter(listing__in=among(list(listings)))
        rows = {(row.listing_id, row.location_id): row for row in stored}
        for (listing_id, location_id), wanted in wanted_of(list(listings)).items():
            listing, row = listings[listing_id], rows.get((listing_id, location_id))
            yield Change(listing_id, str(listing), location_id, _shown(listing, location_id, row), wanted.target)


def _shown(listing: Listing, location_id: str, row: ListingSync | None) -> int | None:
    if row is not None and row.state == ListingSync.State.SENT:
        return row.pushed
    if row is not None and row.confirmed is not None:
        return row.confirmed
    # What was read of the listing is the sum of all its locations.
    return None if location_id else listing.stock
