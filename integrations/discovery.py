"""The listings a shop has, taken over as proposals."""

import time
from collections.abc import Sequence
from datetime import datetime

from catalog.mapping import FoundListing, store_found
from catalog.mapping.proposals import CHUNK, forget_gone, review_open
from catalog.models import Channel, ShopRead
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Capability, Connector, DiscoveredListing


def can_discover(channel: Channel) -> bool:
    """Whether the channel's platform lists a shop's items at all."""
    return Capability.DISCOVER_LISTINGS in CONNECTORS[channel.platform].capabilities


def read_listings(channel: Channel, connector: Connector, read: ShopRead, now: datetime, ends: float) -> bool:
    """Store the shop's listings as proposals until `ends` (time.monotonic()); whether that were all.

    What one slice stored the next one leaves out, and does not ask for again where each item costs a call.
    """
    known = {(item_id, sku_id) for item_id, sku_id in read.state.get("read", ())}
    # The item at which a slice ended may have had more variants.
    whole = {item_id for item_id, _sku_id in known} - {read.state.get("last", "")}
    waiting: list[DiscoveredListing] = []
    is_all, is_further = True, False
    try:
        for listing in connector.discover_listings(now=now, skip=whole):
            if (listing.item_id, listing.sku_id) not in known:
                is_further = True
                waiting.append(listing)
                if len(waiting) == CHUNK:
                    _store(channel, read, waiting, known, now)
                    waiting = []
            # However short a slice is, it gets further than the one before.
            if is_further and time.monotonic() >= ends:
                is_all = False
                break
    finally:  # what came before an error is kept
        _store(channel, read, waiting, known, now)
    if is_all:
        forget_gone(channel=channel, since=read.started_at, found=read.count)
        review_open(channel)
    return is_all


def _store(
    channel: Channel,
    read: ShopRead,
    listings: Sequence[DiscoveredListing],
    known: set[tuple[str, str]],
    now: datetime,
) -> None:
    if not listings:
        return
    found = [_found(listing) for listing in listings if listing.is_own]
    store_found(channel=channel, found=found, now=now)
    known.update((listing.item_id, listing.sku_id) for listing in listings)
    read.count = len(known)
    read.state = {"read": sorted(known), "last": listings[-1].item_id}


def _found(listing: DiscoveredListing) -> FoundListing:
    facts = listing.facts
    return FoundListing(
        item_id=listing.item_id,
        sku_id=listing.sku_id,
        title=listing.title,
        outer_id=listing.outer_id,
        barcode=listing.barcode,
        stock_id=listing.stock_id,
        price=facts.live_price if facts.live_price is not None else facts.list_price,
        stock=facts.stock,
        shelf_state=facts.shelf_state.value,
    )
