"""What each row of a listing is to show, from the catalog's targets."""

from collections.abc import Sequence

from catalog.stock.targets import stock_targets
from integrations.syncing.rows import Wanted


def wanted_of(listing_ids: Sequence[int]) -> dict[tuple[int, str], Wanted]:
    """By listing and location of its shop, in constant statements; removed listings and competitors' are left out."""
    return {
        (row.listing_id, row.location_id): Wanted(row.target, row.stock_version, row.rule_mark)
        for row in stock_targets(listing_ids=listing_ids)
    }
