"""The world's items as the platform names them: ids, and finding what an id stands for."""

import re
from collections import Counter

from integrations.simulator.world import (
    WAITING_FOR_PAYMENT,
    WAITING_FOR_SHIPMENT,
    Item,
    Row,
    World,
)

INVENTORY_ITEM_OFFSET = 30_000_000_000_000  # from a variant's id to its inventory item's
GID = re.compile(r"gid://shopify/([A-Za-z]+)/([0-9]{1,19})(?:\?inventory_item_id=([0-9]{1,19}))?")

Variant = tuple[Item, Row]


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def level_gid(location: int, row: Row) -> str:
    return f"gid://shopify/InventoryLevel/{location}?inventory_item_id={inventory_item_id(row)}"


def number_in(text: str, kind: str) -> int | None:
    """The number in a global id of that kind; None for any other text."""
    match = GID.fullmatch(text)
    return int(match[2]) if match is not None and match[1] == kind else None


def inventory_item_id(row: Row) -> int:
    return row.sku_id + INVENTORY_ITEM_OFFSET


class Catalogue:
    """One shop's variants by id. Made anew when items came or went; see `is_current`."""

    def __init__(self, world: World, shop: str) -> None:
        self.world, self.shop = world, shop
        self._shape = world.shape
        self.variants: list[Variant] = sorted(
            ((item, row) for item in world.own_items(shop) for row in item.rows), key=lambda pair: pair[1].sku_id
        )
        self._by_variant = {row.sku_id: (item, row) for item, row in self.variants}
        self._committed: dict[tuple[int, int], int] = {}
        self._committed_version = -1

    def is_current(self, world: World) -> bool:
        return world is self.world and world.shape == self._shape

    def all_variants(self) -> list[Variant]:
        """Those that exist, by id."""
        return [(item, row) for item, row in self.variants if row.status == "normal"]

    def variant(self, sku_id: int | None) -> Variant | None:
        found = self._by_variant.get(sku_id or 0)
        return found if found is not None and found[1].status == "normal" else None

    def of_inventory_item(self, number: int | None) -> Variant | None:
        return None if number is None else self.variant(number - INVENTORY_ITEM_OFFSET)

    def product(self, number: int | None) -> Item | None:
        item = self.world.items.get(number or 0)
        return item if item is not None and item.shop == self.shop else None

    def committed(self, row: Row, location: int) -> int:
        """Units ordered and not shipped yet."""
        if self._committed_version != self.world.version:
            units: Counter[tuple[int, int]] = Counter()
            for trade in self.world.trades.values():
                if trade.shop == self.shop and trade.status in (WAITING_FOR_PAYMENT, WAITING_FOR_SHIPMENT):
                    for line in trade.lines:
                        units[line.sku_id, line.location] += line.num
            self._committed, self._committed_version = dict(units), self.world.version
        return self._committed.get((row.sku_id, location), 0)

    def sku_count(self, sku: str) -> int:
        return sum(1 for _, row in self.all_variants() if row.outer_id == sku)
