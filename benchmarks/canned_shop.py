"""A shop's stock behind the canned server, in Shopify's protocol: written with compare-and-set and keys, and read.

A row has the same number everywhere, on top of the first id of its kind. Nothing is refused but what compare-and-set
refuses, and the cost bucket is never near its end.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import orjson

FIRST_PRODUCT, FIRST_VARIANT, FIRST_STOCK = 1_000_000_000, 2_000_000_000, 3_000_000_000
LOCATION = "900000001"
VERSION = "2026-10"

_SET, _LEVELS = b"EvenshelfSetStock", b"EvenshelfLevels"
_COST = {
    "requestedQueryCost": 15,
    "actualQueryCost": 15,
    "throttleStatus": {"maximumAvailable": 20_000, "currentlyAvailable": 19_900, "restoreRate": 1_000},
}
_LOCATION_ID = f"gid://shopify/Location/{LOCATION}"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def first_quantity(number: int) -> int:
    """What a row shows until it is written."""
    return 100 + number % 50


@dataclass(slots=True)
class Shop:
    """One shop; its faults are counted out over all of its calls, so that a run has just as many as it says."""

    stock: dict[int, int] = field(default_factory=dict)  # by row
    answered: dict[str, bytes] = field(default_factory=dict)  # writes, by idempotency key
    calls: int = 0
    writes: int = 0  # answered or not, repeated ones among them
    rows_written: int = 0
    is_dead: bool = False  # no call is answered
    every_unavailable: int = 0  # 503 for one call of so many; 0: for none
    every_silent: int = 0  # no answer to one call of so many; to every other of these after it was carried out
    unavailable: int = 0  # calls that were answered so
    silences: int = 0  # calls that were not answered for it

    def answer(self, body: bytes) -> bytes | None:
        """The answer with its head; None: there is none, ever."""
        self.calls += 1
        if self.is_dead:
            return None
        if self.every_unavailable and self.calls % self.every_unavailable == self.every_unavailable // 4:
            self.unavailable += 1
            return UNAVAILABLE
        is_silent = bool(self.every_silent) and self.calls % self.every_silent == self.every_silent // 2
        if is_silent:
            self.silences += 1
            if self.silences % 2:
                return None
        answer = self._carry_out(body)
        return None if is_silent else answer

    def _carry_out(self, body: bytes) -> bytes:
        if _SET in body[:80]:
            return self._set(orjson.loads(body)["variables"])
        if _LEVELS in body[:80]:
            return self._levels(orjson.loads(body)["variables"]["ids"])
        return _answer({"shop": {"name": "Canned", "currencyCode": "USD", "ianaTimezone": "UTC"}})

    def _set(self, variables: dict[str, Any]) -> bytes:
        self.writes += 1
        if (before := self.answered.get(variables["key"])) is not None:
            return before
        rows = [
            (int(row["inventoryItemId"].rpartition("/")[2]) - FIRST_STOCK, row["quantity"], row["changeFromQuantity"])
            for row in variables["input"]["quantities"]
        ]
        shown = [self.stock.get(number, first_quantity(number)) for number, _quantity, _expected in rows]
        errors = [
            {
                "field": ["input", "quantities", str(place), "changeFromQuantity"],
                "message": "The specified compare quantity does not match the current quantity.",
                "code": "CHANGE_FROM_QUANTITY_STALE",
            }
            for place, (_number, _quantity, expected) in enumerate(rows)
            if expected not in {None, shown[place]}
        ]
        changes = []
        if not errors:
            self.stock |= {number: quantity for number, quantity, _expected in rows}
            self.rows_written += len(rows)
            changes = [
                {
                    "name": "available",
                    "delta": quantity - before,
                    "item": {"id": f"gid://shopify/InventoryItem/{FIRST_STOCK + number}"},
                    "location": {"id": _LOCATION_ID},
                }
                for (number, quantity, _expected), before in zip(rows, shown, strict=True)
                if quantity != before
            ]
        written = {"inventoryAdjustmentGroup": {"changes": changes} if changes else None, "userErrors": errors}
        answer = _answer({"inventorySetQuantities": written})
        self.answered[variables["key"]] = answer
        return answer

    def _levels(self, variant_ids: list[str]) -> bytes:
        numbers = [int(variant_id.rpartition("/")[2]) - FIRST_VARIANT for variant_id in variant_ids]
        return _answer({"nodes": [self._variant(number) for number in numbers]})

    def _variant(self, number: int) -> dict[str, Any]:
        quantity = self.stock.get(number, first_quantity(number))
        level = {"location": {"id": _LOCATION_ID}, "quantities": [{"name": "available", "quantity": quantity}]}
        return {
            "id": f"gid://shopify/ProductVariant/{FIRST_VARIANT + number}",
            "product": {"id": f"gid://shopify/Product/{FIRST_PRODUCT + number}"},
            "inventoryItem": {
                "id": f"gid://shopify/InventoryItem/{FIRST_STOCK + number}",
                "tracked": True,
                "inventoryLevels": {"nodes": [level], "pageInfo": {"hasNextPage": False, "endCursor": None}},
            },
        }

    def told(self) -> bytes:
        """What benchmarks ask about it, as JSON."""
        names = ("stock", "writes", "rows_written", "unavailable", "silences")
        return json.dumps({name: getattr(self, name) for name in names}).encode()


def _answer(data: dict[str, Any]) -> bytes:
    body = orjson.dumps({"data": data, "extensions": {"cost": _COST}})
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Shopify-API-Version: {VERSION}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
