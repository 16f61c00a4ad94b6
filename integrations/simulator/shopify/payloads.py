"""What webhooks say: the topics that happen here, and their bodies in the shape of the REST API."""

from collections.abc import Callable
from functools import partial
from typing import Any

from integrations.simulator.shopify import nodes
from integrations.simulator.shopify.calls import iso_time
from integrations.simulator.shopify.catalogue import INVENTORY_ITEM_OFFSET, gid, inventory_item_id
from integrations.simulator.world import (
    BACK_IN_STOCK,
    CLOSED_UNPAID,
    CODE_CHANGED,
    COUPON_CREATED,
    COUPON_DELETED,
    ORDER,
    ORDER_CHANGED,
    PRODUCT,
    PRODUCT_CREATED,
    PRODUCT_DELETED,
    SHIPPED,
    SOLD_OUT,
    STOCK,
    STOCKED,
    UNSTOCKED,
    VARIANT_DELETED,
    WAITING_FOR_SHIPMENT,
    Item,
    News,
    Row,
    Shop,
    Trade,
    World,
    amount,
)

MAX_VARIANTS_IN_BODY = 100
ORIGIN: dict[str, Any] = {  # which no shop here has entered
    "country_code_of_origin": None,
    "province_code_of_origin": None,
    "harmonized_system_code": None,
    "country_harmonized_system_codes": [],
}

Body = dict[str, Any]
Bodies = Callable[[World, Shop, News], list[Body]]


def _variant(world: World, news: News) -> tuple[Item, Row] | None:
    item = world.items.get(news.num_iid)
    row = None if item is None else next((row for row in item.rows if row.sku_id == news.sku_id), None)
    return None if item is None or row is None else (item, row)


def _levels(world: World, shop: Shop, news: News) -> list[Body]:
    found = _variant(world, news)
    return [] if found is None else [level_body(found[1], news.location, news.at)]


def _lost_levels(world: World, shop: Shop, news: News) -> list[Body]:
    return [{"inventory_item_id": news.sku_id + INVENTORY_ITEM_OFFSET, "location_id": news.location}]


def _inventory_items(world: World, shop: Shop, news: News) -> list[Body]:
    found = _variant(world, news)
    return [] if found is None else [inventory_item_body(*found, shop)]


def _new_inventory_items(world: World, shop: Shop, news: News) -> list[Body]:
    item = world.items.get(news.num_iid)
    return [] if item is None else [inventory_item_body(item, row, shop) for row in item.sellable_rows()]


def _lost_inventory_items(world: World, shop: Shop, news: News) -> list[Body]:
    number = news.sku_id + INVENTORY_ITEM_OFFSET
    return [{"id": number, "admin_graphql_api_id": gid("InventoryItem", number), **ORIGIN}]


def _variants(world: World, shop: Shop, news: News) -> list[Body]:
    found = _variant(world, news)
    return [] if found is None else [variant_body(*found, shop)]


def _products(world: World, shop: Shop, news: News) -> list[Body]:
    item = world.items.get(news.num_iid)
    return [] if item is None else [product_body(item, shop)]


def _lost_products(world: World, shop: Shop, news: News) -> list[Body]:
    return [{"id": news.num_iid}]


def _orders(world: World, shop: Shop, news: News, *, status: str | None = None) -> list[Body]:
    """The order; nothing when its status is to be another one."""
    trade = world.trades.get(news.tid)
    return [order_body(trade, shop)] if trade is not None and status in (None, trade.status) else []


def _discounts(world: World, shop: Shop, news: News) -> list[Body]:
    coupon = news.coupon
    if coupon is None:
        return []
    at, which = rest_time(news.at), {"admin_graphql_api_id": nodes.discount_gid(coupon)}
    if news.kind == COUPON_DELETED:
        return [{**which, "deleted_at": at}]
    return [{**which, "title": nodes.discount_title(coupon), "status": "ACTIVE", "created_at": at, "updated_at": at}]


def level_body(row: Row, location: int, at: int) -> Body:
    item_id = inventory_item_id(row)
    return {
        "inventory_item_id": item_id,
        "location_id": location,
        "available": row.levels.get(location),
        "updated_at": rest_time(at),
        "admin_graphql_api_id": f"gid://shopify/InventoryLevel/{location}?inventory_item_id={item_id}",
    }


def inventory_item_body(item: Item, row: Row, shop: Shop) -> Body:
    number = inventory_item_id(row)
    return {
        "id": number,
        "admin_graphql_api_id": gid("InventoryItem", number),
        "sku": row.outer_id,
        "cost": amount(nodes.unit_cost(row), shop.decimals),
        "tracked": True,
        "requires_shipping": True,
        **ORIGIN,
        "created_at": rest_time(item.created),
        "updated_at": rest_time(row.modified),
    }


def product_body(item: Item, shop: Shop) -> Body:
    rows = list(item.sellable_rows())
    body: Body = {
        "id": item.num_iid,
        "admin_graphql_api_id": gid("Product", item.num_iid),
        "title": item.title,
        "vendor": shop.nick,
        "handle": item.outer_id.lower(),
        "status": "active" if item.approve_status == "onsale" else "draft",
        "created_at": rest_time(item.created),
        "updated_at": rest_time(item.modified),
        "variants": [
            {**variant_body(item, row, shop), "inventory_item_id": inventory_item_id(row)}
            for row in rows[:MAX_VARIANTS_IN_BODY]
        ],
    }
    if len(rows) > MAX_VARIANTS_IN_BODY:
        body["variant_gids"] = [
            {"admin_graphql_api_id": gid("ProductVariant", row.sku_id), "updated_at": rest_time(row.modified)}
            for row in rows
        ]
    return body


def variant_body(item: Item, row: Row, shop: Shop) -> Body:
    _, value = nodes.option(row)
    return {
        "id": row.sku_id,
        "admin_graphql_api_id": gid("ProductVariant", row.sku_id),
        "product_id": item.num_iid,
        "title": value,
        "option1": value,
        "option2": None,
        "option3": None,
        "position": item.rows.index(row) + 1,
        "sku": row.outer_id,
        "barcode": row.barcode or None,
        "price": amount(row.live_price, shop.decimals),
        "compare_at_price": None if row.compare_at is None else amount(row.compare_at, shop.decimals),
        "taxable": True,
        "image_id": None,
        "inventory_policy": "deny",
        "inventory_quantity": row.quantity,
        "old_inventory_quantity": row.quantity,  # the same, as the platform sends it
        "created_at": rest_time(item.created),
        "updated_at": rest_time(row.modified),
    }


def order_body(trade: Trade, shop: Shop) -> Body:
    return {
        "id": trade.tid,
        "admin_graphql_api_id": gid("Order", trade.tid),
        "name": nodes.order_name(trade),
        "created_at": rest_time(trade.created),
        "updated_at": rest_time(trade.modified),
        "cancelled_at": rest_time(trade.modified) if trade.status == CLOSED_UNPAID else None,
        "currency": shop.currency,
        "financial_status": nodes.financial_status(trade).lower(),
        "fulfillment_status": "fulfilled" if nodes.fulfilment_status(trade) == "FULFILLED" else None,
        "test": False,
        "total_price": amount(trade.payment, shop.decimals),
        "line_items": [
            {
                "id": line.oid,
                "variant_id": line.sku_id,
                "product_id": line.num_iid,
                "sku": line.outer_sku_id,
                "title": line.title,
                "quantity": line.num,
                "current_quantity": nodes.current_quantity(trade, line),
                "price": amount(line.price, shop.decimals),
                "total_discount": amount(line.discount_fee, shop.decimals),
            }
            for line in trade.lines
        ],
    }


def location_body(world: World, shop: Shop, location: int, *, is_active: bool) -> Body:
    """A place as it has just become; nobody knows where it is, and it is as old as the shop's oldest product."""
    address = ("address1", "address2", "city", "zip", "province", "province_code")
    return {
        "id": location,
        "admin_graphql_api_id": gid("Location", location),
        "name": nodes.location_name(shop, location),
        "active": is_active,
        "legacy": False,
        **dict.fromkeys((*address, "country", "country_code", "country_name", "phone")),
        "created_at": rest_time(min((item.created for item in world.own_items(shop.key)), default=world.now)),
        "updated_at": rest_time(world.now),
    }


def scopes_body(shop: Shop, previous: list[str], current: list[str], at: int) -> Body:
    return {"id": shop.user_id, "previous": previous, "current": current, "updated_at": iso_time(at)}


def rest_time(seconds: int) -> str:
    return iso_time(seconds).replace("Z", "+00:00")


# By topic: the kind of news that sets it off, and what is then said.
TOPICS: dict[str, tuple[str, Bodies]] = {
    "inventory_levels/update": (STOCK, _levels),
    "inventory_levels/connect": (STOCKED, _levels),
    "inventory_levels/disconnect": (UNSTOCKED, _lost_levels),
    "inventory_items/create": (PRODUCT_CREATED, _new_inventory_items),
    "inventory_items/update": (CODE_CHANGED, _inventory_items),
    "inventory_items/delete": (VARIANT_DELETED, _lost_inventory_items),
    "variants/in_stock": (BACK_IN_STOCK, _variants),
    "variants/out_of_stock": (SOLD_OUT, _variants),
    "products/create": (PRODUCT_CREATED, _products),
    "products/update": (PRODUCT, _products),
    "products/delete": (PRODUCT_DELETED, _lost_products),
    "orders/create": (ORDER, _orders),
    "orders/updated": (ORDER_CHANGED, _orders),
    "orders/paid": (ORDER_CHANGED, partial(_orders, status=WAITING_FOR_SHIPMENT)),
    "orders/fulfilled": (ORDER_CHANGED, partial(_orders, status=SHIPPED)),
    "orders/cancelled": (ORDER_CHANGED, partial(_orders, status=CLOSED_UNPAID)),
    "discounts/create": (COUPON_CREATED, _discounts),
    "discounts/delete": (COUPON_DELETED, _discounts),
}
