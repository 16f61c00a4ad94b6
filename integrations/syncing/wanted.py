"""What each row of a listing is to show, from the catalog's targets."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from catalog.stock.availability import Blocked, Target
from catalog.stock.targets import stock_targets
from integrations.syncing.rows import State, Wanted


class Row(Protocol):
    """Of ListingSync, as far as it says what is ours."""

    @property
    def listing_id(self) -> int: ...
    @property
    def location_id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def cause(self) -> str: ...
    @property
    def pushed(self) -> int | None: ...
    @property
    def confirmed(self) -> int | None: ...


def wanted_of(listing_ids: Sequence[int]) -> dict[tuple[int, str], Wanted]:
    """By listing and location of its shop, in constant statements; removed listings and competitors' are left out."""
    return {
        (listing, location): Wanted(target, version, mark)
        for listing, _channel, location, _sku, version, mark, target in stock_targets(listing_ids=listing_ids)
    }


def left_of(wanted: Mapping[tuple[int, str], Wanted], rows: Iterable[Row]) -> dict[tuple[int, str], Wanted]:
    """What those of the rows are to show whose location no warehouse feeds any more, while another one is fed.

    What we wrote there would be sold a second time: it becomes 0 once, and is then left to the shop.
    """
    unfed = [row for row in rows if (row.listing_id, row.location_id) not in wanted]
    if not unfed:
        return {}
    fed: dict[int, dict[str, Wanted]] = defaultdict(dict)
    for (listing_id, location_id), each in wanted.items():
        fed[listing_id][location_id] = each
    return {(row.listing_id, row.location_id): _left(row, fed[row.listing_id]) for row in unfed if fed[row.listing_id]}


def _left(row: Row, fed: Mapping[str, Wanted]) -> Wanted:
    if all(each.target.quantity is None for each in fed.values()):
        return Wanted(Target(None, blocked=next(iter(fed.values())).target.blocked), 0, "")
    is_same = not row.location_id or "" in fed  # the shop's only one, with its name or without
    is_done = row.state == State.STOPPED and row.cause == Blocked.LOCATION_LEFT
    shows_none = row.state != State.SENT and row.confirmed == 0
    if is_same or is_done or shows_none or row.pushed is None:
        return Wanted(Target(None, blocked=Blocked.LOCATION_LEFT), 0, "")
    return Wanted(Target(0), 0, Blocked.LOCATION_LEFT.value)
