"""The mutations of stock. A call changes everything it names, or nothing."""

import itertools
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo

from integrations.simulator.shopify import nodes
from integrations.simulator.shopify.calls import Call, Node, check_size, iso_time
from integrations.simulator.shopify.catalogue import Variant, gid, number_in
from integrations.simulator.shopify.idempotency import Change, Group, Idempotency, Outcome
from integrations.simulator.shopify.nodes import AVAILABLE, KEPT_IN_ON_HAND, ON_HAND
from integrations.simulator.shopify.schema import FIRST_IDEMPOTENT, FIRST_STOCKED_BY_WRITE, FIRST_STRICT
from integrations.simulator.world import STOCKED, Item, Row

MOST = 1_000_000_000
REASONS = frozenset(
    {
        "correction", "cycle_count_available", "damaged", "movement_created", "movement_updated", "movement_received",
        "movement_canceled", "other", "promotion", "quality_control", "received", "reservation_created",
        "reservation_updated", "reservation_deleted", "restock", "safety_stock", "shrinkage",
    }
)  # fmt: skip
ADJUSTABLE = (AVAILABLE, "damaged", "incoming", "quality_control", "reserved", "safety_stock")
URI = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
STALE = "The quantity has changed since it was read: the expected quantity doesn't match the actual quantity."


@dataclass(frozen=True, slots=True)
class Move:
    """A change of one state of one variant at one location that passed the checks."""

    variant: Variant
    location: int
    name: str
    delta: int
    ledger_document_uri: str | None = None


class Inventory:
    def __init__(self, idempotency: Idempotency) -> None:
        self._idempotency = idempotency
        self._group_numbers = itertools.count(3001)

    def set_quantities(self, call: Call, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node:
        entries = arguments["input"]["quantities"]
        check_size(entries)
        if call.version >= FIRST_STRICT:
            _demand_change_from(entries, "InventoryQuantityInput")
        call.item_ids = [entry["inventoryItemId"] for entry in entries]
        outcome = self._once(call, info, arguments, lambda: self._set(call, arguments["input"]))
        return self._payload(call, outcome)

    def adjust_quantities(self, call: Call, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node:
        entries = arguments["input"]["changes"]
        check_size(entries)
        if call.version >= FIRST_STRICT:
            _demand_change_from(entries, "InventoryChangeInput")
        call.item_ids = [entry["inventoryItemId"] for entry in entries]
        outcome = self._once(call, info, arguments, lambda: self._adjust(call, arguments["input"]))
        return self._payload(call, outcome)

    def activate(self, call: Call, info: GraphQLResolveInfo, arguments: dict[str, Any]) -> Node:
        call.item_ids = [arguments["inventoryItemId"]]
        outcome = self._once(call, info, arguments, lambda: self._activate(call, arguments))
        level: Node | None = None
        if outcome.level is not None:
            variant = call.catalogue.variant(outcome.level[0])
            level = None if variant is None else nodes.level_node(call, variant, outcome.level[1])
        return {"inventoryLevel": level, "userErrors": outcome.errors}

    def _once(
        self, call: Call, info: GraphQLResolveInfo, arguments: dict[str, Any], perform: Callable[[], Outcome]
    ) -> Outcome:
        fault = call.fault
        if fault is not None and fault.user_error:
            error = {"field": fault.fields or None, "message": fault.msg or "", "code": fault.sub_code}
            return Outcome(errors=[error])
        return self._idempotency.once(call, info, arguments, perform)

    # inventorySetQuantities

    def _set(self, call: Call, given: dict[str, Any]) -> Outcome:
        name, entries = given["name"], given["quantities"]
        errors = _common_errors(given)
        if name not in (AVAILABLE, ON_HAND):
            message = "The quantity name must be either 'available' or 'on_hand'."
            errors.append(_error(["input", "name"], message, "INVALID_NAME"))
        errors += _duplicates(entries, "quantities")
        moves = []
        for index, entry in enumerate(entries):
            path = ["input", "quantities", str(index)]
            wanted = entry["quantity"]
            if wanted > MOST:
                message = f"The quantity can't be higher than {MOST:,}."
                errors.append(_error([*path, "quantity"], message, "INVALID_QUANTITY_TOO_HIGH"))
            elif wanted < -MOST:
                message = f"The quantity can't be lower than -{MOST:,}."
                errors.append(_error([*path, "quantity"], message, "INVALID_QUANTITY_TOO_LOW"))
            elif wanted < 0 and name == ON_HAND:
                message = "The quantity can't be negative."
                errors.append(_error([*path, "quantity"], message, "INVALID_QUANTITY_NEGATIVE"))
            found = _find(call, entry, path, errors)
            if found is None or name not in (AVAILABLE, ON_HAND):
                continue
            variant, location = found
            now = nodes.units(call, variant[1], location, name)
            stale = _stale(call, given, entry, now, path)
            if stale is not None:
                errors.append(stale)
            moves.append(Move(variant, location, name, wanted - now))
        if errors:
            return Outcome(errors=errors)
        return self._make(call, given, moves)

    # inventoryAdjustQuantities

    def _adjust(self, call: Call, given: dict[str, Any]) -> Outcome:
        name, entries = given["name"], given["changes"]
        errors = _common_errors(given)
        if name not in ADJUSTABLE:
            message = f"The quantity name must be one of: {', '.join(ADJUSTABLE)}."
            errors.append(_error(["input", "name"], message, "INVALID_QUANTITY_NAME"))
        moves = []
        for index, entry in enumerate(entries):
            path = ["input", "changes", str(index)]
            ledger = entry.get("ledgerDocumentUri")
            refused = _ledger_refusal(name, ledger)
            if refused is not None:
                errors.append(_error([*path, "ledgerDocumentUri"], *refused))
            found = _find(call, entry, path, errors)
            if found is None or name not in ADJUSTABLE:
                continue
            variant, location = found
            now, delta = nodes.units(call, variant[1], location, name), entry["delta"]
            expected = entry.get("changeFromQuantity")
            if expected is not None and expected != now:
                errors.append(_error([*path, "changeFromQuantity"], STALE, "CHANGE_FROM_QUANTITY_STALE"))
            if now + delta > MOST:
                message = f"The quantity can't be higher than {MOST:,}."
                errors.append(_error([*path, "delta"], message, "INVALID_QUANTITY_TOO_HIGH"))
            elif now + delta < (-MOST if name == AVAILABLE else 0):
                message = "The quantity can't be lower than allowed."
                errors.append(_error([*path, "delta"], message, "INVALID_QUANTITY_TOO_LOW"))
            moves.append(Move(variant, location, name, delta, ledger))
        if errors:
            return Outcome(errors=errors)
        return self._make(call, given, moves)

    # inventoryActivate

    def _activate(self, call: Call, given: dict[str, Any]) -> Outcome:
        errors: list[Node] = []
        variant = call.catalogue.of_inventory_item(number_in(given["inventoryItemId"], "InventoryItem"))
        location = nodes.location_id(call, given["locationId"])
        if variant is None:
            errors.append(_error(["inventoryItemId"], "The product couldn't be stocked because it wasn't found.", None))
        if location is None or location in call.store.inactive_locations:
            errors.append(_error(["locationId"], "The location couldn't be found.", None))
        if variant is None or location is None or errors:
            return Outcome(errors=errors)
        item, row = variant
        available = given.get("available")
        if location in row.levels:
            if available is not None:
                message = "Not allowed to set available quantity when the item is already active at the location."
                return Outcome(errors=[_error(["available"], message, None)])
            return Outcome(level=(row.sku_id, location))
        if not self._is_dropped(call):
            _stock_at(call, item, row, location)
            call.world.add_units(item, row, available or 0, call.now, location)
            call.world.changed(demand=False)
        return Outcome(level=(row.sku_id, location))

    # Carrying out

    @staticmethod
    def _is_dropped(call: Call) -> bool:
        return call.fault is not None and call.fault.kind == "silent_drop"

    def _make(self, call: Call, given: dict[str, Any], moves: list[Move]) -> Outcome:
        """Carry the moves out; those that change nothing are left out of the group, and without any there is none."""
        moves = [move for move in moves if move.delta]
        if not moves:
            return Outcome()
        fault = call.fault
        if not self._is_dropped(call):
            if fault is not None and fault.kind == "delayed_visibility":
                call.simulation.later(1.0 if fault.seconds is None else fault.seconds, lambda: _apply(call, moves))
            else:
                _apply(call, moves)
        changes = []
        for move in moves:
            row = move.variant[1]
            changes.append(Change(move.name, move.delta, row.sku_id, move.location, move.ledger_document_uri))
            mirror = {AVAILABLE: ON_HAND, ON_HAND: AVAILABLE, "incoming": None}.get(move.name, ON_HAND)
            if mirror is not None:
                changes.append(Change(mirror, move.delta, row.sku_id, move.location))
        reference = given.get("referenceDocumentUri")
        return Outcome(Group(next(self._group_numbers), call.now, given["reason"], reference, tuple(changes)))

    @staticmethod
    def _payload(call: Call, outcome: Outcome) -> Node:
        group = outcome.group
        return {
            "inventoryAdjustmentGroup": None if group is None else _group_node(call, group),
            "userErrors": outcome.errors,
        }


def _stock_at(call: Call, item: Item, row: Row, location: int) -> None:
    if location not in row.levels:
        row.levels[location] = 0
        call.world.report(item, STOCKED, row, location)


def _apply(call: Call, moves: list[Move]) -> None:
    for move in moves:
        item, row = move.variant
        if move.name in (AVAILABLE, ON_HAND):
            _stock_at(call, item, row, move.location)
            call.world.add_units(item, row, move.delta, call.world.now, move.location)
        else:
            key = f"{row.sku_id}/{move.location}/{move.name}"
            call.store.quantities[key] = call.store.quantities.get(key, 0) + move.delta
            call.world.touch(item, call.world.now, row)
    call.world.changed(demand=False)


def _group_node(call: Call, group: Group) -> Node:
    def change_node(change: Change) -> Node:
        variant = call.catalogue.variant(change.sku_id)
        return {
            "name": change.name,
            "delta": change.delta,
            "quantityAfterChange": None,
            "ledgerDocumentUri": change.ledger_document_uri,
            "item": None if variant is None else nodes.inventory_item_node(call, variant),
            "location": nodes.location_node(call, change.location),
        }

    def changes(info: Any, **arguments: Any) -> list[Node]:
        names = arguments.get("quantityNames")
        found = [change_node(change) for change in group.changes if names is None or change.name in names]
        for key, argument in (("item", "inventoryItemIds"), ("location", "locationIds")):
            wanted = arguments.get(argument)
            if wanted is not None:
                found = [node for node in found if node[key] is not None and node[key]["id"] in wanted]
        return found

    return {
        "__typename": "InventoryAdjustmentGroup",
        "id": gid("InventoryAdjustmentGroup", group.number),
        "createdAt": iso_time(group.created_at),
        "reason": group.reason,
        "referenceDocumentUri": group.reference_document_uri,
        "changes": changes,
    }


# Checks


def _error(field: list[str] | None, message: str, code: str | None) -> Node:
    return {"field": field, "message": message, "code": code}


def _demand_change_from(entries: list[dict[str, Any]], kind: str) -> None:
    """Raises GraphQLError unless every entry says what it changes from, be it null."""
    if any("changeFromQuantity" not in entry for entry in entries):
        message = f"{kind} must include the following argument: changeFromQuantity."
        raise GraphQLError(message, extensions={"code": "INVALID_FIELD_ARGUMENTS"})


def _common_errors(given: dict[str, Any]) -> list[Node]:
    errors = []
    if given["reason"] not in REASONS:
        message = f"The specified reason is invalid. Only use one of: {', '.join(sorted(REASONS))}."
        errors.append(_error(["input", "reason"], message, "INVALID_REASON"))
    reference = given.get("referenceDocumentUri")
    if reference is not None and not URI.fullmatch(reference):
        message = "The specified reference document is invalid."
        errors.append(_error(["input", "referenceDocumentUri"], message, "INVALID_REFERENCE_DOCUMENT"))
    return errors


def _duplicates(entries: list[dict[str, Any]], array: str) -> list[Node]:
    """An error for each index that names a pair of item and location which another names too."""
    places: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, entry in enumerate(entries):
        places[entry["inventoryItemId"], entry["locationId"]].append(index)
    message = "The combination of inventoryItemId and locationId must be unique."
    return [
        _error(["input", array, str(index), "locationId"], message, "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR")
        for indexes in places.values()
        if len(indexes) > 1
        for index in indexes
    ]


def _find(call: Call, entry: dict[str, Any], path: list[str], errors: list[Node]) -> tuple[Variant, int] | None:
    """The variant and location an entry names; what is wrong with them goes into errors."""
    variant = call.catalogue.of_inventory_item(number_in(entry["inventoryItemId"], "InventoryItem"))
    location = nodes.location_id(call, entry["locationId"])
    if variant is None:
        message = "The specified inventory item could not be found."
        errors.append(_error([*path, "inventoryItemId"], message, "INVALID_INVENTORY_ITEM"))
    if location is None or location in call.store.inactive_locations:
        message = "The specified location could not be found."
        errors.append(_error([*path, "locationId"], message, "INVALID_LOCATION"))
        return None
    if variant is None:
        return None
    if location not in variant[1].levels and call.version < FIRST_STOCKED_BY_WRITE:
        message = "The specified inventory item is not stocked at the location."
        errors.append(_error([*path, "locationId"], message, "ITEM_NOT_STOCKED_AT_LOCATION"))
        return None
    return variant, location


def _stale(call: Call, given: dict[str, Any], entry: dict[str, Any], now: int, path: list[str]) -> Node | None:
    """The error of an entry whose expectation does not hold, or that must have one and has none."""
    if entry.get("changeFromQuantity") is not None:
        if entry["changeFromQuantity"] == now:
            return None
        return _error([*path, "changeFromQuantity"], STALE, "CHANGE_FROM_QUANTITY_STALE")
    if call.version >= FIRST_STRICT or given.get("ignoreCompareQuantity"):
        return None
    if call.version >= FIRST_IDEMPOTENT and "changeFromQuantity" in entry:
        return None  # null, sent as such
    if entry.get("compareQuantity") is None:
        message = "The compareQuantity argument must be given and not null unless ignoreCompareQuantity is set to true."
        return _error([*path, "compareQuantity"], message, "COMPARE_QUANTITY_REQUIRED")
    if entry["compareQuantity"] == now:
        return None
    message = "The specified compare quantity does not match the current quantity."
    return _error([*path, "compareQuantity"], message, "COMPARE_QUANTITY_STALE")


def _ledger_refusal(name: str, ledger: str | None) -> tuple[str, str] | None:
    """(message, code) when the ledger document does not go with the state; None when it does."""
    if name == AVAILABLE:
        if ledger is not None:
            return "A ledger document URI is not allowed when adjusting available.", "INVALID_AVAILABLE_DOCUMENT"
        return None
    if name in (*KEPT_IN_ON_HAND, "incoming"):
        if ledger is None:
            return "A ledger document URI is required except when adjusting available.", "INVALID_QUANTITY_DOCUMENT"
        if ledger.startswith("gid://shopify/"):
            return "Internal (gid://shopify/) ledger documents are not allowed.", "INTERNAL_LEDGER_DOCUMENT"
        if not URI.fullmatch(ledger):
            return "The specified ledger document is invalid.", "INVALID_LEDGER_DOCUMENT"
    return None
