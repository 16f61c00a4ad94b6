"""The listings a shop has, and those of them that the channel does not have yet."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from catalog.models import Channel, Listing, Sku, User
from catalog.services import add_listings
from integrations.connections import connector_for, mark_failed, mark_good
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Capability, DiscoveredListing
from integrations.connectors.errors import ConnectorError

_CHUNK = 500  # ids in one statement


@dataclass(frozen=True)
class Found:
    """One listing of the shop, as far as it is needed to add it."""

    item_id: str
    sku_id: str
    title: str
    outer_id: str


@dataclass(frozen=True)
class Discovery:
    """What a shop has. `complete` is False when the time was up before the shop had told everything."""

    new: list[Found] = field(default_factory=list)
    known: int = 0
    removed: int = 0  # in the channel, but removed by a person: they stay removed
    complete: bool = True


def can_discover(channel: Channel) -> bool:
    """Whether the channel's platform lists a shop's items at all."""
    return Capability.DISCOVER_LISTINGS in CONNECTORS[channel.platform].capabilities


def discover(*, channel: Channel, now: datetime, deadline_seconds: float | None = None) -> Discovery:
    """Ask the shop for all its listings, for at most about `deadline_seconds`; stores nothing but the channel's health.

    Raises ConnectorError and Unconnected.
    """
    connector = connector_for(channel)
    try:
        found, complete = _within(connector.discover_listings(now=now), deadline_seconds)
    except ConnectorError as error:
        mark_failed(channel, error, now)
        raise
    mark_good([channel.pk], now, sent_at=now)
    removed: dict[tuple[str, str], bool] = {}
    item_ids = sorted({listing.item_id for listing in found})
    for start in range(0, len(item_ids), _CHUNK):
        rows = channel.listings.filter(platform_item_id__in=item_ids[start : start + _CHUNK])
        for item_id, sku_id, removed_at in rows.values_list("platform_item_id", "platform_sku_id", "removed_at"):
            removed[item_id, sku_id] = removed_at is not None
    states = [removed.get((listing.item_id, listing.sku_id)) for listing in found]
    return Discovery(
        new=[
            Found(listing.item_id, listing.sku_id, listing.title, listing.outer_id)
            for listing, state in zip(found, states, strict=True)
            if state is None
        ],
        known=states.count(False),
        removed=states.count(True),
        complete=complete,
    )


def _within(
    listings: Iterator[DiscoveredListing], deadline_seconds: float | None
) -> tuple[list[DiscoveredListing], bool]:
    """The listings that came before the deadline, and whether they are all; the present call is not cut short."""
    ends = None if deadline_seconds is None else time.monotonic() + deadline_seconds
    found = []
    for listing in listings:
        found.append(listing)
        if ends is not None and time.monotonic() >= ends:
            return found, next(listings, None) is None
    return found, True


@dataclass(frozen=True)
class Added:
    listings: int
    mapped: int  # of them, those whose merchant code is the code of a SKU


def add_found(*, channel: Channel, found: list[Found], actor: User | None, now: datetime) -> Added:
    """Add the listings to the channel, mapped to the SKU whose code is their merchant code, else not mapped."""
    codes = sorted({listing.outer_id for listing in found if listing.outer_id})
    sku_ids: dict[str, int] = {}
    for start in range(0, len(codes), _CHUNK):
        sku_ids.update(Sku.objects.filter(code__in=codes[start : start + _CHUNK]).values_list("code", "pk"))
    listings = [
        Listing(
            channel=channel,
            sku_id=sku_ids.get(listing.outer_id),
            platform_item_id=listing.item_id,
            platform_sku_id=listing.sku_id,
            title=listing.title,
            outer_id=listing.outer_id,
        )
        for listing in found
    ]
    added = add_listings(listings=listings, actor=actor, now=now)
    return Added(added, sum(listing.sku_id is not None for listing in listings if listing.pk))
