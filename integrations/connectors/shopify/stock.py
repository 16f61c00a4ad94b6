"""Stock by location: reading it, writing it with compare-and-set, and what a refusal means for each row."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import orjson

from integrations.connectors.base import (
    ListingRef,
    Location,
    PushOutcome,
    PushStatus,
    StockLevel,
    StockTarget,
)
from integrations.connectors.clock import Clock
from integrations.connectors.errors import ConnectorError, Retry
from integrations.connectors.shopify import parse, refusals
from integrations.connectors.shopify.gateway import Gateway
from integrations.connectors.shopify.refusals import PLATFORM
from integrations.connectors.values import whole

logger = logging.getLogger(__name__)

MAX_ROWS = 250  # quantities in one write
_LARGEST_QUANTITY = 1_000_000_000
_MOST_FAILED = 2  # new keys for a write whose key stands for a failed one
_KEYS = UUID("6f1d9f0c-0f5f-4b43-9c0d-6f5f1f5f7a51")  # the namespace of our idempotency keys


def read_locations(gateway: Gateway, clock: Clock) -> list[Location]:
    nodes = gateway.pages("locations", {}, ("locations",), clock)
    with whole(PLATFORM, "locations"):
        return [parse.location(node) for node in nodes]


def read_levels(gateway: Gateway, refs: Sequence[ListingRef], clock: Clock) -> list[StockLevel]:
    """What each location can sell of each listing; none for one that is unknown or whose stock is not counted."""
    asked = [ref for ref in refs if parse.is_id(ref.sku_id)]
    if not asked:
        return []
    data = gateway.query("levels", {"ids": parse.variant_gids(ref.sku_id for ref in asked)}, clock)
    by_variant: dict[tuple[str, str], dict[str, int | None]] = {}
    with whole(PLATFORM, "levels"):
        for node in parse.known_nodes(data):
            item = parse.field(node, "inventoryItem")
            if parse.field(item, "tracked") is True:
                by_variant[parse.ids_of(node)] = _levels(gateway, item, clock)
    return [
        StockLevel(ref.listing_id, location_id, available)
        for ref in asked
        for location_id, available in by_variant.get((ref.item_id, ref.sku_id), {}).items()
    ]


def _levels(gateway: Gateway, item: Any, clock: Clock) -> dict[str, int | None]:
    page = parse.page(parse.field(item, "inventoryLevels"))
    found = parse.levels(page.nodes)
    if page.end:
        variables = {"item": parse.field(item, "id"), "after": page.end}
        found |= parse.levels(gateway.pages("more-levels", variables, ("inventoryItem", "inventoryLevels"), clock))
    return found


class _Row(NamedTuple):
    """A target with its place in the batch, and where it is written to."""

    place: int
    target: StockTarget
    stock_id: str
    location_id: str


class _Answered(NamedTuple):
    errors: list[parse.WriteError]
    changed: set[tuple[str, str]]


class StockWriter:
    """One push: the outcomes of its rows so far, by their place in the batch."""

    def __init__(self, gateway: Gateway, *, key: str, clock: Clock) -> None:
        self._gateway, self._key, self._clock = gateway, key, clock
        self._outcomes: dict[int, PushOutcome] = {}

    def push(self, batch: Sequence[StockTarget]) -> list[PushOutcome]:
        """One outcome for each target, in its order; raises ConnectorError when nothing was written."""
        rows = self._addressed(batch)
        if rows:
            self._gateway.check_version("set-stock", self._clock)
        failed = 0
        while rows:
            answered = self._write(rows, failed)
            if answered is None:
                self._read_back(rows)
            elif answered.errors:
                if (
                    any(error.code == refusals.IDEMPOTENCY_FAILED for error in answered.errors)
                    and failed < _MOST_FAILED
                ):
                    failed += 1  # what was tried under this key before failed; under a new one it may work
                    continue
                # One refused row makes Shopify refuse them all: the others are sent again without it, under a new key.
                self._note_refused(rows, answered.errors)
                failed = 0
            else:
                for place, target, stock_id, location_id in rows:
                    self._outcomes[place] = parse.written(target, stock_id, location_id, answered.changed)
            rows = [row for row in rows if row.place not in self._outcomes]
        return [self._outcomes[place] for place in range(len(batch))]

    def _note(self, place: int, target: StockTarget, status: PushStatus, cause: str, shown: int | None = None) -> None:
        self._outcomes[place] = PushOutcome(target.listing_id, target.location_id, status, cause, shown)

    def _note_refused(self, rows: Sequence[_Row], errors: Sequence[parse.WriteError]) -> None:
        for error in errors:
            of_all = refusals.write_error(error.code, error.message, "set-stock", self._clock.now(), self._gateway.mask)
            if of_all is not None:
                raise of_all
            about = rows if error.row is None or error.row >= len(rows) else [rows[error.row]]
            status, cause = refusals.ROWS.get(error.code, refusals.REFUSED_ROW)
            for row in about:
                self._note(row.place, row.target, status, cause)

    # --- The write --------------------------------------------------------------------------------------------------

    def _write(self, rows: Sequence[_Row], failed: int) -> _Answered | None:
        """The answer to one write, which is repeated once under the same key; None where nobody can tell what it did.

        Raises ConnectorError only when it did nothing.
        """
        variables = self._variables(rows, failed)
        try:
            return self._attempt(variables)
        except Retry as error:
            if not error.may_have_arrived:
                raise
        try:
            answered = self._attempt(variables)
        except ConnectorError as error:
            logger.warning("A stock write was not answered twice: %s", error)
            return None
        # Still under way, or turned away this time: neither says what became of the first.
        is_vague = any(error.code in refusals.VAGUE_WRITE_CODES for error in answered.errors)
        return None if is_vague else answered

    def _attempt(self, variables: dict[str, Any]) -> _Answered:
        payload = parse.field(self._gateway.query("set-stock", variables, self._clock), "inventorySetQuantities")
        with whole(PLATFORM, "set-stock"):
            return _Answered(parse.write_errors(payload), parse.changed_rows(payload))

    def _variables(self, rows: Sequence[_Row], failed: int) -> dict[str, Any]:
        locations = {location_id: parse.gid("Location", location_id) for *_row, location_id in rows}
        quantities = [
            {
                "inventoryItemId": parse.gid("InventoryItem", stock_id),
                "locationId": locations[location_id],
                "quantity": target.quantity,
                "changeFromQuantity": target.expected,
            }
            for _place, target, stock_id, location_id in rows
        ]
        # The same rows of the same push have the same key whenever they are sent, and other rows never do.
        key = uuid5(_KEYS, orjson.dumps([self._key, failed, quantities]).decode())
        return {
            "key": str(key),
            "input": {
                "name": "available",
                "reason": "correction",
                "referenceDocumentUri": f"gid://evenshelf/StockPush/{uuid5(_KEYS, self._key)}",
                "quantities": quantities,
            },
        }

    def _read_back(self, rows: Sequence[_Row]) -> None:
        """What became of a write that nobody answered: what the platform shows now tells, where it can be read."""
        refs = [ListingRef(row.place, row.target.item_id, row.target.sku_id) for row in rows]
        try:
            levels = read_levels(self._gateway, refs, self._clock)
        except ConnectorError as error:
            logger.warning("A stock write was not answered and could not be read back: %s", error)
            levels = []
        shown = {(level.listing_id, level.location_id): level.available for level in levels}
        for row in rows:
            found = shown.get((row.place, row.location_id))
            if found == row.target.quantity:
                self._note(row.place, row.target, PushStatus.APPLIED, "", found)
            else:
                self._note(row.place, row.target, PushStatus.UNKNOWN, "not-answered", found)

    # --- Where it is written ----------------------------------------------------------------------------------------

    def _addressed(self, batch: Sequence[StockTarget]) -> list[_Row]:
        """The targets with the inventory item and location that each is written to; others get their outcome."""
        is_id = parse.is_id
        stock_ids = self._stock_ids(
            [each for each in batch if not each.stock_id and is_id(each.sku_id) and is_id(each.item_id)]
        )
        locations = {target.location_id for target in batch}
        only = self._only_location() if "" in locations else ""
        known = {each for each in (*locations, only) if is_id(each)}
        rows = []
        for place, target in enumerate(batch):
            _listing, item_id, sku_id, quantity, expected, location_id, stock_id = target
            location_id = location_id or only
            if not is_id(sku_id) or not is_id(item_id):
                # Sent along, it would make the platform refuse the whole call; and so would the next.
                self._note(place, target, PushStatus.REFUSED, "bad-listing-id")
            elif not 0 <= quantity <= _LARGEST_QUANTITY or abs(expected or 0) > _LARGEST_QUANTITY:
                self._note(place, target, PushStatus.REFUSED, "refused-by-rule")
            elif not is_id(stock_id := stock_id or stock_ids.get((item_id, sku_id), "")):
                self._note(place, target, PushStatus.REFUSED, "unknown-listing")
            elif location_id not in known:
                self._note(place, target, PushStatus.REFUSED, "unknown-location")
            else:
                rows.append(_Row(place, target, stock_id, location_id))
        return rows

    def _stock_ids(self, targets: Sequence[StockTarget]) -> dict[tuple[str, str], str]:
        """The numbers of the inventory items, by item id and SKU id; those that are not there have none."""
        if not targets:
            return {}
        data = self._gateway.query(
            "stock-ids", {"ids": parse.variant_gids(target.sku_id for target in targets)}, self._clock
        )
        with whole(PLATFORM, "stock-ids"):
            return {
                parse.ids_of(node): parse.number_of(parse.field(node, "inventoryItem", "id"))
                for node in parse.known_nodes(data)
            }

    def _only_location(self) -> str:
        """The shop's location, where it has but one that is active; "" where somebody must choose."""
        active = [each.location_id for each in read_locations(self._gateway, self._clock) if each.is_active]
        return active[0] if len(active) == 1 else ""
