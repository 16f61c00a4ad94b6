"""What is known of the sales of listings that are not mapped yet, and of what the shops were found to have."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from catalog.models import Channel, ListingSales, Proposal, ProposalSales, UnmappedListing

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
    orders name without saying which variant. The same is stored for the open proposals.
    """
    told_without_variant = {item_id for item_id, sku_id in {*units, *unclear} if not sku_id}

    def sold(item_id: str, sku_id: str) -> int | None:
        is_unclear = (item_id, sku_id) in unclear or (sku_id and item_id in told_without_variant)
        return None if is_unclear else units.get((item_id, sku_id), 0)

    listings = UnmappedListing.objects.filter(channel=channel)
    proposals = Proposal.objects.open().filter(channel=channel)
    stored: list[tuple[str, Any, Any]] = [("listing", ListingSales, listings), ("proposal", ProposalSales, proposals)]
    counts = []
    with transaction.atomic():
        for owner, model, owners in stored:
            rows = [
                model(**{f"{owner}_id": pk}, units=sold(item_id, sku_id), since=since, read_at=now)
                for pk, item_id, sku_id in owners.values_list("pk", "platform_item_id", "platform_sku_id")
            ]
            model.objects.filter(**{f"{owner}__channel": channel}).delete()
            model.objects.bulk_create(
                rows,
                batch_size=_AT_ONCE,
                update_conflicts=True,
                unique_fields=[owner],
                update_fields=["units", "since", "read_at"],
            )
            counts.append(len(rows))
    return counts[0]
