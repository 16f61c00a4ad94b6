"""A connector of a shop in the simulator, with short limits, and the truth about its variants."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.connectors.base import ListingRef, StockTarget
from integrations.connectors.http import HttpClient, Limits
from integrations.connectors.shopify import ShopifyConnector, ShopifyCredentials


def number(gid: str) -> str:
    return gid.rpartition("/")[2]


def ref(row: dict[str, Any], listing_id: int = 1) -> ListingRef:
    return ListingRef(listing_id, number(row["product_id"]), number(row["variant_id"]))


def levels(row: dict[str, Any]) -> dict[str, int]:
    return {number(place): units for place, units in row["levels"].items()}


class Shop:
    """One shop of the simulator: connectors of its own app, and its variants as they truly are."""

    def __init__(self, simulator: Any, key: str = "shopify-nuanju") -> None:
        self.simulator, self.key = simulator, key
        self.account = simulator.shopify.shop(key)
        self.location, self.other_location = map(number, self.account["locations"])
        self._pushes = itertools.count(1)

    def connect(self, *, base_url: str = "", patience: float = 10, **changes: str) -> ShopifyConnector:
        """Its patience is in seconds; other keywords replace the credentials."""
        settings = {
            "shop": self.account["domain"],
            "app_key": self.account["client_id"],
            "app_secret": self.account["client_secret"],
            "access_token": self.account["access_token"],
        }
        http = HttpClient(limits=Limits(connect_seconds=5, read_seconds=patience, total_seconds=patience + 1))
        credentials = ShopifyCredentials.from_settings(settings | changes)
        return ShopifyConnector(credentials, base_url=base_url or self.simulator.base_url, http=http)

    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.simulator.shopify.variants(self.key)
        return rows

    def row(self, of: dict[str, Any]) -> dict[str, Any]:
        """The same variant as it is now."""
        return next(row for row in self.rows() if row["variant_id"] == of["variant_id"])

    def target(self, row: dict[str, Any], quantity: int, listing_id: int = 1, **changes: Any) -> StockTarget:
        """For the first location, expecting what is there; keywords replace fields."""
        place = changes.get("location_id") or self.location
        fields: dict[str, Any] = {
            "listing_id": listing_id,
            "item_id": number(row["product_id"]),
            "sku_id": number(row["variant_id"]),
            "quantity": quantity,
            "expected": levels(row)[place],
            "location_id": place,
            "stock_id": number(row["inventory_item_id"]),
        }
        return StockTarget(**(fields | changes))

    def calls(self, method: str | None = None) -> list[dict[str, Any]]:
        return [entry for entry in self.simulator.ledger(method=method) if entry["platform"] == "shopify"]

    def new_key(self) -> str:
        return f"push-{next(self._pushes)}"


@pytest.fixture
def shop(simulator):
    return Shop(simulator)


@pytest.fixture
def now():
    return datetime.now(UTC)
