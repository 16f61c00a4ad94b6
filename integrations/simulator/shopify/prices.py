"""productVariantsBulkUpdate: prices and codes of the variants of one product."""

from decimal import Decimal
from typing import Any

from integrations.simulator.shopify import nodes
from integrations.simulator.shopify.calls import Call, Node, check_size
from integrations.simulator.shopify.catalogue import number_in
from integrations.simulator.world import CODE_CHANGED, Item, Row

HIGHEST = Decimal(10) ** 18
MAX_TEXT = 255


def update_variants(call: Call, arguments: dict[str, Any]) -> Node:
    entries = arguments["variants"]
    check_size(entries)
    call.item_ids = [str(entry.get("id")) for entry in entries]
    fault = call.fault
    if fault is not None and fault.user_error:
        error = {"field": fault.fields or None, "message": fault.msg or "", "code": fault.sub_code}
        return {"product": None, "productVariants": None, "userErrors": [error]}
    item = call.catalogue.product(number_in(arguments["productId"], "Product"))
    if item is None:
        error = {"field": ["productId"], "message": "Product does not exist", "code": "PRODUCT_DOES_NOT_EXIST"}
        return {"product": None, "productVariants": None, "userErrors": [error]}
    errors: list[Node] = []
    good: list[tuple[Row, dict[str, Any]]] = []
    for index, entry in enumerate(entries):
        row, refusals = _checked(call, item, index, entry)
        errors += refusals
        if row is not None and not refusals:
            good.append((row, entry))
    product = nodes.product_node(call, item)
    if errors and not arguments.get("allowPartialUpdates"):
        return {"product": product, "productVariants": None, "userErrors": errors}
    if fault is not None and fault.kind == "delayed_visibility":
        call.simulation.later(1.0 if fault.seconds is None else fault.seconds, lambda: _apply(call, item, good))
    elif fault is None or fault.kind != "silent_drop":
        _apply(call, item, good)
    shown = [nodes.variant_node(call, (item, row)) for row, _ in good]
    if fault is not None and fault.kind in ("silent_drop", "delayed_visibility"):
        for node, (_, entry) in zip(shown, good, strict=True):  # answered as if it had been done
            for name in ("price", "compareAtPrice"):
                if entry.get(name) is not None:
                    node[name] = call.money(_smallest(call, entry[name]))
    return {"product": nodes.product_node(call, item), "productVariants": shown, "userErrors": errors}


def _checked(call: Call, item: Item, index: int, entry: dict[str, Any]) -> tuple[Row | None, list[Node]]:
    """The row an entry is about, and what is wrong with the entry."""
    path = ["variants", str(index)]
    if entry.get("id") is None:
        message = "Product variant is missing ID attribute"
        return None, [{"field": [*path, "id"], "message": message, "code": "PRODUCT_VARIANT_ID_MISSING"}]
    variant = call.catalogue.variant(number_in(entry["id"], "ProductVariant"))
    if variant is None or variant[0] is not item:
        message = "Product variant does not exist"
        return None, [{"field": [*path, "id"], "message": message, "code": "PRODUCT_VARIANT_DOES_NOT_EXIST"}]
    errors: list[Node] = []
    if "price" in entry and entry["price"] is None:
        errors.append({"field": [*path, "price"], "message": "Price can't be blank", "code": "INVALID_INPUT"})
    for name, said in (("price", "Price"), ("compareAtPrice", "Compare at price")):
        value = entry.get(name)
        if value is None:
            continue
        if value < 0:
            message = f"{said} must be greater than or equal to 0"
            errors.append({"field": [*path, name], "message": message, "code": "GREATER_THAN_OR_EQUAL_TO"})
        elif value >= HIGHEST:
            message = f"{said} must be less than {HIGHEST}"
            errors.append({"field": [*path, name], "message": message, "code": "INVALID_INPUT"})
    texts = {"barcode": entry.get("barcode"), "sku": (entry.get("inventoryItem") or {}).get("sku")}
    for name, text in texts.items():
        if text is not None and len(text) > MAX_TEXT:
            message = f"{name.title()} is too long (maximum is {MAX_TEXT} characters)"
            errors.append({"field": [*path, name], "message": message, "code": "TOO_LONG"})
    return variant[1], errors


def _smallest(call: Call, value: Decimal) -> int:
    """In the currency's smallest unit; further decimals are rounded away, as the platform does."""
    return int((value * 10**call.shop.decimals).to_integral_value())


def _apply(call: Call, item: Item, good: list[tuple[Row, dict[str, Any]]]) -> None:
    for row, entry in good:
        price = row.live_price if entry.get("price") is None else _smallest(call, entry["price"])
        compare_at = row.compare_at
        if "compareAtPrice" in entry:
            compare_at = None if entry["compareAtPrice"] is None else _smallest(call, entry["compareAtPrice"])
        if "price" in entry or "compareAtPrice" in entry:
            row.set_prices(max(price, compare_at or 0), price)
            row.compare_at = compare_at  # also where it is not above the price, which the platform lets stand
            item.promotion_ends_at = None
        if "barcode" in entry:
            row.barcode = entry["barcode"] or ""
        sku = (entry.get("inventoryItem") or {}).get("sku")
        before, row.outer_id = row.outer_id, row.outer_id if sku is None else sku
        call.world.touch(item, call.world.now, row)
        if row.outer_id != before:
            call.world.report(item, CODE_CHANGED, row, same_event=True)
    if good:
        call.world.changed()
