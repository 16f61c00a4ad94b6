"""The platform's objects, each as the fields a document may ask for; a function is called when its field is."""

from typing import Any

from integrations.simulator.shopify.calls import Call, Node, connection, iso_time
from integrations.simulator.shopify.catalogue import Variant, gid, inventory_item_id, level_gid, number_in
from integrations.simulator.shopify.search import MOMENT, NUMBER, Field, parse
from integrations.simulator.world import (
    CLOSED_UNPAID,
    FINISHED,
    ON_SALE,
    REFUNDED,
    SHIPPED,
    WAITING_FOR_PAYMENT,
    Item,
    Line,
    Row,
    Shop,
    ShopCoupon,
    Trade,
)

AVAILABLE, ON_HAND = "available", "on_hand"
# Besides available and committed, these are counted into on_hand; incoming is not.
KEPT_IN_ON_HAND = ("reserved", "damaged", "safety_stock", "quality_control")
STATES = (AVAILABLE, "committed", "incoming", ON_HAND, *KEPT_IN_ON_HAND)
LOCATION_NAMES = ("Harbour warehouse", "City store")
FIRST_ORDER_NUMBER = 1001
LEVEL_FIELDS: dict[str, Field[Variant]] = {
    "id": Field(NUMBER, lambda pair: inventory_item_id(pair[1])),
    "inventory_item_id": Field(NUMBER, lambda pair: inventory_item_id(pair[1])),
    "created_at": Field(MOMENT, lambda pair: pair[0].created),
    "updated_at": Field(MOMENT, lambda pair: pair[1].modified),
}


def product_node(call: Call, item: Item) -> Node:
    rows = [row for row in item.rows if row.status == "normal"]

    def variants(info: Any, **arguments: Any) -> Node:
        return connection(
            call,
            [(item, row) for row in rows],
            arguments,
            key=lambda pair: (pair[1].sku_id,),
            node=lambda pair: variant_node(call, pair),
        )

    return {
        "__typename": "Product",
        "id": gid("Product", item.num_iid),
        "legacyResourceId": item.num_iid,
        "title": item.title,
        "handle": item.outer_id.lower(),
        "status": "ACTIVE" if item.approve_status == ON_SALE else "DRAFT",
        "vendor": call.shop.nick,
        "productType": "",
        "tags": [],
        "createdAt": iso_time(item.created),
        "updatedAt": iso_time(item.modified),
        "publishedAt": iso_time(item.list_time) if item.approve_status == ON_SALE else None,
        "hasOnlyDefaultVariant": len(rows) == 1 and not rows[0].properties_name,
        "totalInventory": sum(row.quantity for row in rows),
        "tracksInventory": True,
        "variants": variants,
        "variantsCount": {"count": len(rows), "precision": "EXACT"},
    }


def variant_node(call: Call, variant: Variant) -> Node:
    item, row = variant
    name, value = option(row)
    return {
        "__typename": "ProductVariant",
        "id": gid("ProductVariant", row.sku_id),
        "legacyResourceId": row.sku_id,
        "sku": row.outer_id,
        "barcode": row.barcode or None,
        "title": value,
        "displayName": f"{item.title} - {value}",
        "price": call.money(row.live_price),
        "compareAtPrice": None if row.compare_at is None else call.money(row.compare_at),
        "inventoryPolicy": "DENY",
        "inventoryQuantity": row.quantity,
        "sellableOnlineQuantity": max(0, row.quantity),
        "availableForSale": row.quantity > 0 and item.approve_status == ON_SALE,
        "position": lambda info: item.rows.index(row) + 1,
        "selectedOptions": [{"name": name, "value": value}],
        "createdAt": iso_time(item.created),
        "updatedAt": iso_time(row.modified),
        "product": lambda info: product_node(call, item),
        "inventoryItem": lambda info: inventory_item_node(call, variant),
    }


def option(row: Row) -> tuple[str, str]:
    if not row.properties_name:
        return "Title", "Default Title"
    _, _, name, value = row.properties_name.split(":")
    return name, value


def inventory_item_node(call: Call, variant: Variant) -> Node:
    item, row = variant

    def levels(info: Any, **arguments: Any) -> Node:
        call.require(("read_inventory",), "inventoryLevels")
        return connection(
            call,
            list(row.levels),
            arguments,
            key=lambda location: (location,),
            node=lambda location: level_node(call, variant, location),
        )

    def level(info: Any, **arguments: Any) -> Node | None:
        call.require(("read_inventory",), "inventoryLevel")
        location = location_id(call, arguments["locationId"])
        return level_node(call, variant, location) if location in row.levels else None

    def variants(info: Any, **arguments: Any) -> Node:
        return connection(
            call,
            [variant],
            arguments,
            key=lambda pair: (pair[1].sku_id,),
            node=lambda pair: variant_node(call, pair),
        )

    return {
        "__typename": "InventoryItem",
        "id": gid("InventoryItem", inventory_item_id(row)),
        "legacyResourceId": inventory_item_id(row),
        "sku": row.outer_id,
        "tracked": True,
        "requiresShipping": True,
        "duplicateSkuCount": lambda info: call.catalogue.sku_count(row.outer_id) - 1,
        "unitCost": call.money_v2(unit_cost(row)),
        "createdAt": iso_time(item.created),
        "updatedAt": iso_time(row.modified),
        "locationsCount": {"count": len(row.levels), "precision": "EXACT"},
        "inventoryLevels": levels,
        "inventoryLevel": level,
        "variant": lambda info: variant_node(call, variant),
        "variants": variants,
    }


def unit_cost(row: Row) -> int:
    return row.reference_price * 6 // 10


def location_id(call: Call, text: str) -> int | None:
    """The location of this shop that a global id names."""
    return next((number for number in call.shop.locations if gid("Location", number) == text), None)


def units(call: Call, row: Row, location: int, state: str) -> int:
    """Units of one variant at one location in one state."""
    available = row.levels.get(location, 0)
    if state == AVAILABLE:
        return available
    committed = call.catalogue.committed(row, location)
    if state == "committed":
        return committed
    if state == ON_HAND:
        return available + committed + sum(units(call, row, location, kept) for kept in KEPT_IN_ON_HAND)
    return call.store.quantities.get(f"{row.sku_id}/{location}/{state}", 0)


def level_node(call: Call, variant: Variant, location: int) -> Node:
    item, row = variant

    def quantities(info: Any, **arguments: Any) -> list[Node]:
        return [
            {
                "__typename": "InventoryQuantity",
                "id": f"gid://shopify/InventoryQuantity/{location}?inventory_item_id={inventory_item_id(row)}&name={name}",
                "name": name,
                "quantity": units(call, row, location, name),
                "updatedAt": iso_time(row.modified) if name == AVAILABLE else None,
            }
            for name in arguments["names"]
            if name in STATES
        ]

    return {
        "__typename": "InventoryLevel",
        "id": level_gid(location, row),
        "isActive": True,
        "canDeactivate": len(row.levels) > 1,
        "createdAt": iso_time(item.created),
        "updatedAt": iso_time(row.modified),
        "item": lambda info: inventory_item_node(call, variant),
        "location": lambda info: location_node(call, location),
        "quantities": quantities,
    }


def location_node(call: Call, location: int) -> Node:
    is_active = location not in call.store.inactive_locations

    def levels(info: Any, **arguments: Any) -> Node:
        call.require(("read_inventory",), "inventoryLevels")
        stocked = [pair for pair in call.catalogue.all_variants() if location in pair[1].levels]
        search = parse(arguments.get("query"), LEVEL_FIELDS, lambda pair: pair[1].outer_id)
        if search.warnings:
            warning = {"path": ["inventoryLevels"], "query": arguments["query"], "warnings": search.warnings}
            call.warnings.append(warning)
        return connection(
            call,
            [pair for pair in stocked if search.matches(pair)],
            arguments,
            key=lambda pair: (pair[1].sku_id,),
            node=lambda pair: level_node(call, pair, location),
        )

    def level(info: Any, **arguments: Any) -> Node | None:
        call.require(("read_inventory",), "inventoryLevel")
        variant = call.catalogue.of_inventory_item(number_in(arguments["inventoryItemId"], "InventoryItem"))
        stocked = variant is not None and location in variant[1].levels
        return level_node(call, variant, location) if variant is not None and stocked else None

    return {
        "__typename": "Location",
        "id": gid("Location", location),
        "legacyResourceId": location,
        "name": location_name(call.shop, location),
        "isActive": is_active,
        "activatable": not is_active,
        "fulfillsOnlineOrders": True,
        "shipsInventory": True,
        "hasActiveInventory": is_active,
        "inventoryLevels": levels,
        "inventoryLevel": level,
    }


def location_name(shop: Shop, location: int) -> str:
    return LOCATION_NAMES[shop.locations.index(location) % len(LOCATION_NAMES)]


def order_node(call: Call, trade: Trade) -> Node:
    is_cancelled = trade.status == CLOSED_UNPAID

    def lines(info: Any, **arguments: Any) -> Node:
        return connection(
            call,
            trade.lines,
            arguments,
            key=lambda line: (line.oid,),
            node=lambda line: line_node(call, trade, line),
        )

    def refunds(info: Any, first: int | None = None) -> list[Node]:
        return [refund_node(call, trade)][:first] if trade.status in (CLOSED_UNPAID, REFUNDED) else []

    return {
        "__typename": "Order",
        "id": gid("Order", trade.tid),
        "legacyResourceId": trade.tid,
        "name": order_name(trade),
        "createdAt": iso_time(trade.created),
        "processedAt": iso_time(trade.created),
        "updatedAt": iso_time(trade.modified),
        "cancelledAt": iso_time(trade.modified) if is_cancelled else None,
        "closedAt": None if trade.end_time is None else iso_time(trade.end_time),
        "test": False,
        "currencyCode": call.shop.currency,
        "displayFinancialStatus": financial_status(trade),
        "displayFulfillmentStatus": fulfilment_status(trade),
        "totalPriceSet": call.money_bag(trade.payment),
        "lineItems": lines,
        "refunds": refunds,
    }


def refund_node(call: Call, trade: Trade) -> Node:
    """Of an order that was never paid the goods are put back; of one that was shipped the buyer keeps them."""
    is_back = trade.status == CLOSED_UNPAID

    def lines(info: Any, **arguments: Any) -> Node:
        return connection(
            call,
            trade.lines,
            arguments,
            key=lambda line: (line.oid,),
            node=lambda line: {
                "__typename": "RefundLineItem",
                "id": gid("RefundLineItem", line.oid),
                "lineItem": line_node(call, trade, line),
                "quantity": line.num,
                "restockType": "CANCEL" if is_back else "NO_RESTOCK",
                "restocked": is_back,
            },
        )

    return {
        "__typename": "Refund",
        "id": gid("Refund", trade.tid),
        "createdAt": iso_time(trade.modified),
        "refundLineItems": lines,
    }


def order_name(trade: Trade) -> str:
    return f"#{trade.tid // 2 % 1_000_000 + FIRST_ORDER_NUMBER}"


def financial_status(trade: Trade) -> str:
    if trade.status == WAITING_FOR_PAYMENT:
        return "PENDING"
    if trade.status == CLOSED_UNPAID:
        return "VOIDED"
    return "REFUNDED" if trade.status == REFUNDED else "PAID"


def fulfilment_status(trade: Trade) -> str:
    return "FULFILLED" if trade.status in (SHIPPED, FINISHED, REFUNDED) else "UNFULFILLED"


def current_quantity(trade: Trade, line: Line) -> int:
    """Units left after cancellation and refunds."""
    return 0 if trade.status in (CLOSED_UNPAID, REFUNDED) else line.num


def line_node(call: Call, trade: Trade, line: Line) -> Node:
    variant = call.catalogue.variant(line.sku_id)
    item = call.catalogue.product(line.num_iid)
    return {
        "__typename": "LineItem",
        "id": gid("LineItem", line.oid),
        "sku": line.outer_sku_id,
        "title": line.title,
        "name": line.title,
        "quantity": line.num,
        "currentQuantity": current_quantity(trade, line),
        "originalUnitPriceSet": call.money_bag(line.price),
        "discountedUnitPriceSet": call.money_bag(line.payment // line.num),  # what is off the whole order is not off it
        "discountedUnitPriceAfterAllDiscountsSet": call.money_bag((line.payment - line.order_discount) // line.num),
        "variant": None if variant is None else lambda info: variant_node(call, variant),
        "product": None if item is None else lambda info: product_node(call, item),
    }


def discount_status(call: Call, coupon: ShopCoupon) -> str:
    if coupon.ends_at <= call.now:
        return "EXPIRED"
    return "SCHEDULED" if coupon.created > call.now else "ACTIVE"


def discount_title(coupon: ShopCoupon) -> str:
    return coupon.code or f"{coupon.percent}% off everything"


def discount_gid(coupon: ShopCoupon) -> str:
    return gid("DiscountCodeNode" if coupon.code else "DiscountAutomaticNode", coupon.coupon_id)


def discount_node(call: Call, coupon: ShopCoupon) -> Node:
    title = discount_title(coupon)
    value: Node = {"__typename": "DiscountPercentage", "percentage": coupon.percent / 100}
    if not coupon.percent:
        amount = call.money_v2(coupon.face)
        value = {"__typename": "DiscountAmount", "amount": amount, "appliesOnEachItem": False}
    least: Node | None = None
    if coupon.minimum:
        least = {
            "__typename": "DiscountMinimumSubtotal",
            "greaterThanOrEqualToSubtotal": call.money_v2(coupon.minimum),
        }

    def products(info: Any, **arguments: Any) -> Node:
        found = [item for item in map(call.catalogue.product, coupon.num_iids) if item is not None]
        return connection(
            call, found, arguments, key=lambda item: (item.num_iid,), node=lambda item: product_node(call, item)
        )

    def variants(info: Any, **arguments: Any) -> Node:
        found = [variant for variant in map(call.catalogue.variant, coupon.sku_ids) if variant is not None]
        return connection(
            call, found, arguments, key=lambda pair: (pair[1].sku_id,), node=lambda pair: variant_node(call, pair)
        )

    def codes(info: Any, **arguments: Any) -> Node:
        return connection(
            call,
            [coupon],
            arguments,
            key=lambda each: (each.coupon_id,),
            node=lambda each: {
                "id": gid("DiscountRedeemCode", each.coupon_id),
                "code": each.code,
                "asyncUsageCount": 0,
            },
        )

    items: Node = {"__typename": "AllDiscountItems", "allItems": True}
    if coupon.num_iids or coupon.sku_ids:
        items = {"__typename": "DiscountProducts", "products": products, "productVariants": variants}
    discount: Node = {
        "__typename": "DiscountCodeBasic" if coupon.code else "DiscountAutomaticBasic",
        "title": title,
        "summary": title,
        "status": discount_status(call, coupon),
        "startsAt": iso_time(coupon.created),
        "endsAt": iso_time(coupon.ends_at),
        "createdAt": iso_time(coupon.created),
        "updatedAt": iso_time(coupon.created),
        "usageLimit": None,
        "asyncUsageCount": 0,
        "appliesOncePerCustomer": True,
        "codes": codes,
        "combinesWith": {"orderDiscounts": False, "productDiscounts": False, "shippingDiscounts": True},
        "context": {"__typename": "DiscountBuyerSelectionAll", "all": "ALL"},
        "minimumRequirement": least,
        "customerGets": {
            "appliesOnOneTimePurchase": True,
            "appliesOnSubscription": False,
            "items": items,
            "value": value,
        },
    }
    return {"__typename": "DiscountNode", "id": discount_gid(coupon), "discount": discount}
