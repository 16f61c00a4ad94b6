"""What is known of the sales of listings that are not mapped yet."""

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import transaction

from catalog.models import Channel, ListingSales, UnmappedListing

_AT_ONCE = 2_000


def store_sales(
    *,
    channel: Channel,
    units: Mapping[tuple[str, str], int],
    unclear: Collection[tuple[str, str]],
    since: datetime,
    now: datetime,
) -> int:
    """Store the units per (item, variant) that were sold between the two times; returns for how many listings.

    A listing that no order names sold none. One of `unclear` is not known, and so is every variant of an item that
    orders name without saying which variant.
    """
    listings = list(UnmappedListing.objects.filter(channel=channel).only("platform_item_id", "platform_sku_id"))
    told_without_variant = {item_id for item_id, sku_id in {*units, *unclear} if not sku_id}
    rows = []
    for listing in listings:
        identity = listing.platform_item_id, listing.platform_sku_id
        is_unclear = identity in unclear or (identity[1] and identity[0] in told_without_variant)
        rows.append(
            ListingSales(
                listing_id=listing.pk, units=None if is_unclear else units.get(identity, 0), since=since, read_at=now
            )
        )
    with transaction.atomic():
        ListingSales.objects.filter(listing__channel=channel).delete()
        ListingSales.objects.bulk_create(
            rows,
            batch_size=_AT_ONCE,
            update_conflicts=True,
            unique_fields=["listing"],
            update_fields=["units", "since", "read_at"],
        )
    return len(rows)
