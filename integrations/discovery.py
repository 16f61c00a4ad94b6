"""The listings a shop has, taken over as proposals."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from catalog.mapping import FoundListing, store_found
from catalog.mapping.proposals import CHUNK, forget_gone, review_open
from catalog.models import Channel, Proposal, ShopRead
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Capability, Connector, DiscoveredListing


def can_discover(channel: Channel) -> bool:
    """Whether the channel's platform lists a shop's items at all."""
    return Capability.DISCOVER_LISTINGS in CONNECTORS[channel.platform].capabilities


def read_listings(channel: Channel, connector: Connector, read: ShopRead, now: datetime, ends: float) -> bool:
    """Store the shop's listings as proposals until `ends` (time.monotonic()); whether that were all.

    However short a slice is, it gets a page further than the one before: `read.state` has the cursor of the last page
    whose listings are stored.
    """
    cursor: Mapping[str, Any] | None = read.state.get("cursor")
    waiting: list[DiscoveredListing] = []
    try:
        for page in connector.discover_listings(now=now, cursor=cursor):
            cursor = page.cursor
            waiting += [listing for listing in page.listings if listing.is_own]
            if len(waiting) >= CHUNK or not waiting:
                _store(channel, read, waiting, cursor, now)
                waiting = []
            if cursor is None or time.monotonic() >= ends:
                break
    finally:  # what came before an error is kept
        _store(channel, read, waiting, cursor, now)
    if cursor is not None:
        return False
    forget_gone(channel=channel, since=read.started_at, found=read.count)
    review_open(channel)
    return True


def _store(
    channel: Channel,
    read: ShopRead,
    listings: Sequence[DiscoveredListing],
    cursor: Mapping[str, Any] | None,
    now: datetime,
) -> None:
    """Store listings, and then how far the reading is: a worker may go on where this one died."""
    if listings:
        store_found(channel=channel, found=[_found(listing) for listing in listings], now=now)
        # Counted in the database, since some are told twice.
        read.count = Proposal.objects.filter(channel=channel, seen_at__gte=read.started_at).count()
    read.state = {"cursor": cursor}
    ShopRead.objects.filter(pk=read.pk).update(count=read.count, state=read.state)


def _found(listing: DiscoveredListing) -> FoundListing:
    facts = listing.facts
    return FoundListing(
        item_id=listing.item_id,
        sku_id=listing.sku_id,
        title=listing.title,
        outer_id=listing.outer_id,
        barcode=listing.barcode,
        stock_id=listing.stock_id,
        price=facts.live_price,
        list_price=facts.list_price,
        stock=facts.stock,
        shelf_state=facts.shelf_state.value,
    )
