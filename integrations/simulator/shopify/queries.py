"""The fields of QueryRoot."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from graphql import GraphQLError

from integrations.simulator.shopify import nodes
from integrations.simulator.shopify.bulk import Bulk
from integrations.simulator.shopify.calls import Call, Node, check_size, connection
from integrations.simulator.shopify.catalogue import GID, Variant, gid, inventory_item_id, number_in
from integrations.simulator.shopify.search import FLAG, MOMENT, NAME, NUMBER, TEXT, Field, parse
from integrations.simulator.shopify.subscriptions import subscription_node
from integrations.simulator.webhooks import Subscription
from integrations.simulator.world import SHOPIFY, Item, ShopCoupon, Trade

T = TypeVar("T")
OLDEST_ORDER_SECONDS = 60 * 86_400  # without read_all_orders
NODE_SCOPES = {
    "Product": ("read_products",),
    "ProductVariant": ("read_products",),
    "InventoryItem": ("read_inventory", "read_products"),
    "InventoryLevel": ("read_inventory",),
    "Location": ("read_locations", "read_inventory"),
    "Order": ("read_orders",),
}
Order = Callable[[T], Any]


def root(call: Call, bulk: Bulk) -> dict[str, Callable[..., Any]]:
    """QueryRoot for one call."""

    def listed(
        name: str,
        things: list[T],
        arguments: dict[str, Any],
        *,
        fields: Mapping[str, Field[T]],
        texts: Callable[[T], str],
        identity: Callable[[T], int | str],
        node: Callable[[T], Node],
        orders: Mapping[str, Order[T]] | None = None,
    ) -> Node:
        """A list, searched and sorted. A sort key that is not in orders sorts by id, as ID does."""
        query = arguments.get("query")
        if query:
            search = parse(query, fields, texts)
            if search.warnings:
                call.warnings.append({"path": [name], "query": query, "warnings": search.warnings})
            things = [thing for thing in things if search.matches(thing)]
        by = (orders or {}).get(arguments.get("sortKey", "ID"))
        if by is None:
            return connection(call, things, arguments, key=lambda thing: (identity(thing),), node=node)
        return connection(call, things, arguments, key=lambda thing: (by(thing), identity(thing)), node=node)

    def products(info: Any, **arguments: Any) -> Node:
        return listed(
            "products",
            list(call.world.own_items(call.shop.key)),
            arguments,
            fields=PRODUCT_FIELDS,
            texts=lambda item: f"{item.title} {' '.join(row.outer_id for row in item.rows)}",
            identity=lambda item: item.num_iid,
            node=lambda item: nodes.product_node(call, item),
            orders={
                "UPDATED_AT": lambda item: item.modified,
                "CREATED_AT": lambda item: item.created,
                "TITLE": lambda item: item.title,
                "INVENTORY_TOTAL": lambda item: sum(row.quantity for row in item.rows),
            },
        )

    def variants(info: Any, **arguments: Any) -> Node:
        return listed(
            "productVariants",
            call.catalogue.all_variants(),
            arguments,
            fields=VARIANT_FIELDS,
            texts=lambda pair: f"{pair[0].title} {pair[1].outer_id} {pair[1].barcode}",
            identity=lambda pair: pair[1].sku_id,
            node=lambda pair: nodes.variant_node(call, pair),
            orders={
                "SKU": lambda pair: pair[1].outer_id,
                "INVENTORY_QUANTITY": lambda pair: pair[1].quantity,
                "TITLE": lambda pair: pair[1].properties_name,
            },
        )

    def inventory_items(info: Any, **arguments: Any) -> Node:
        return listed(
            "inventoryItems",
            call.catalogue.all_variants(),
            arguments,
            fields=INVENTORY_ITEM_FIELDS,
            texts=lambda pair: pair[1].outer_id,
            identity=lambda pair: pair[1].sku_id,
            node=lambda pair: nodes.inventory_item_node(call, pair),
        )

    def locations(info: Any, **arguments: Any) -> Node:
        inactive = set() if arguments.get("includeInactive") else set(call.store.inactive_locations)
        return listed(
            "locations",
            [number for number in call.shop.locations if number not in inactive],
            arguments,
            fields={"id": Field(NUMBER, lambda number: number)},
            texts=lambda number: nodes.location_node(call, number)["name"],
            identity=lambda number: number,
            node=lambda number: nodes.location_node(call, number),
            orders={"NAME": lambda number: nodes.location_node(call, number)["name"]},
        )

    def orders(info: Any, **arguments: Any) -> Node:
        sort_orders: dict[str, Order[Trade]] = {
            "CREATED_AT": lambda trade: trade.created,
            "PROCESSED_AT": lambda trade: trade.created,
            "UPDATED_AT": lambda trade: trade.modified,
        }
        return listed(
            "orders",
            visible_orders(call),
            arguments,
            fields=ORDER_FIELDS,
            texts=nodes.order_name,
            identity=lambda trade: trade.tid,
            node=lambda trade: nodes.order_node(call, trade),
            orders=sort_orders,
        )

    def discounts(info: Any, **arguments: Any) -> Node:
        fields: dict[str, Field[ShopCoupon]] = {
            "status": Field(NAME, lambda coupon: nodes.discount_status(call, coupon)),
            "title": Field(TEXT, nodes.discount_title),
            "code": Field(TEXT, lambda coupon: coupon.code),
            "id": Field(NUMBER, lambda coupon: coupon.coupon_id),
            "created_at": Field(MOMENT, lambda coupon: coupon.created),
            "starts_at": Field(MOMENT, lambda coupon: coupon.created),
            "ends_at": Field(MOMENT, lambda coupon: coupon.ends_at),
        }
        return listed(
            "discountNodes",
            [coupon for coupon in call.world.shop_coupons if coupon.shop == call.shop.key],
            arguments,
            fields=fields,
            texts=nodes.discount_title,
            identity=lambda coupon: coupon.coupon_id,
            node=lambda coupon: nodes.discount_node(call, coupon),
            orders={"CREATED_AT": lambda coupon: coupon.created, "ENDS_AT": lambda coupon: coupon.ends_at},
        )

    def subscriptions(info: Any, **arguments: Any) -> Node:
        topics, uri = arguments.get("topics"), arguments.get("uri") or arguments.get("callbackUrl")
        return listed(
            "webhookSubscriptions",
            [
                entry
                for entry in own_subscriptions(call)
                if (topics is None or entry.detail["enum"] in topics) and uri in (None, entry.address)
            ],
            arguments,
            fields={},
            texts=lambda entry: entry.topic,
            identity=lambda entry: entry.id,
            node=lambda entry: subscription_node(call, entry),
        )

    def one(kind: str, arguments: dict[str, Any]) -> Node | None:
        if number_in(arguments["id"], kind) is None:
            raise _not_an_id(arguments["id"])
        return found_node(call, bulk, arguments["id"])

    def node_or_refuse(text: str) -> Node | None:
        if not text.startswith("gid://shopify/"):
            raise _not_an_id(text)
        return found_node(call, bulk, text)

    def location(info: Any, **arguments: Any) -> Node | None:
        if arguments.get("id") is None:
            return nodes.location_node(call, call.shop.locations[0])
        return one("Location", arguments)

    def count(things: Callable[..., Node], arguments: dict[str, Any]) -> Node:
        # A count looks at a list with the same search; the list is read whole, as for a bulk operation.
        was_bulk, call.is_bulk = call.is_bulk, True
        try:
            found = len(things(None, query=arguments.get("query"))["edges"])
        finally:
            call.is_bulk = was_bulk
        limit = arguments.get("limit")
        if limit is not None and found > limit:
            return {"count": limit, "precision": "AT_LEAST"}
        return {"count": found, "precision": "EXACT"}

    return {
        "products": products,
        "productVariants": variants,
        "inventoryItems": inventory_items,
        "locations": locations,
        "orders": orders,
        "discountNodes": discounts,
        "webhookSubscriptions": subscriptions,
        "productsCount": lambda info, **arguments: count(products, arguments),
        "productVariantsCount": lambda info, **arguments: count(variants, arguments),
        "product": lambda info, **arguments: one("Product", arguments),
        "productVariant": lambda info, **arguments: one("ProductVariant", arguments),
        "inventoryItem": lambda info, **arguments: one("InventoryItem", arguments),
        "inventoryLevel": lambda info, **arguments: one("InventoryLevel", arguments),
        "location": location,
        "order": lambda info, **arguments: one("Order", arguments),
        "webhookSubscription": lambda info, **arguments: one("WebhookSubscription", arguments),
        "bulkOperation": lambda info, **arguments: one("BulkOperation", arguments),
        "currentBulkOperation": lambda info, **arguments: bulk.current(call),
        "node": lambda info, **arguments: node_or_refuse(arguments["id"]),
        "nodes": lambda info, **arguments: _nodes(arguments["ids"], node_or_refuse),
        "shop": lambda info: _shop(call),
        "publicApiVersions": lambda info: [
            {"handle": version, "displayName": version, "supported": version <= call.accounts.versions.latest}
            for version in call.accounts.versions.all()
        ],
        "currentAppInstallation": lambda info: {
            "id": gid("AppInstallation", call.shop.user_id),
            "app": {"id": gid("App", int(call.app.client_id[:8], 16)), "title": "Evenshelf"},
            "accessScopes": [{"handle": scope, "description": scope} for scope in call.token.scopes],
        },
    }


def _nodes(ids: list[str], find: Callable[[str], Node | None]) -> list[Node | None]:
    check_size(ids)
    return [find(text) for text in ids]


def _not_an_id(text: str) -> GraphQLError:
    return GraphQLError(f"Invalid global id '{text}'", extensions={"code": "argumentLiteralsIncompatible"})


def found_node(call: Call, bulk: Bulk, text: str) -> Node | None:
    """The object that a global id names; None when this shop has none."""
    catalogue = call.catalogue
    match = GID.fullmatch(text)
    call.require(NODE_SCOPES.get(match[1]) if match is not None else None, "node")
    if (number := number_in(text, "ProductVariant")) is not None:
        variant = catalogue.variant(number)
        return None if variant is None else nodes.variant_node(call, variant)
    if (number := number_in(text, "Product")) is not None:
        item = catalogue.product(number)
        return None if item is None else nodes.product_node(call, item)
    if (number := number_in(text, "InventoryItem")) is not None:
        variant = catalogue.of_inventory_item(number)
        return None if variant is None else nodes.inventory_item_node(call, variant)
    if (number := number_in(text, "InventoryLevel")) is not None:
        variant = catalogue.of_inventory_item(int(text.rpartition("=")[2])) if "=" in text else None
        stocked = variant is not None and number in variant[1].levels
        return nodes.level_node(call, variant, number) if variant is not None and stocked else None
    if nodes.location_id(call, text) is not None:
        return nodes.location_node(call, number_in(text, "Location") or 0)
    if (number := number_in(text, "Order")) is not None:
        trade = next((trade for trade in visible_orders(call) if trade.tid == number), None)
        return None if trade is None else nodes.order_node(call, trade)
    if (number := number_in(text, "WebhookSubscription")) is not None:
        entry = next((entry for entry in own_subscriptions(call) if entry.id == number), None)
        return None if entry is None else subscription_node(call, entry)
    return bulk.node(call, text)


def own_subscriptions(call: Call) -> list[Subscription]:
    """Those the calling application made in this shop: others' are not shown."""
    found = call.simulation.webhooks.of_shop(SHOPIFY, call.shop.key)
    return [entry for entry in found if entry.detail["client_id"] == call.app.client_id]


def visible_orders(call: Call) -> list[Trade]:
    oldest = 0 if "read_all_orders" in call.token.scopes else call.now - OLDEST_ORDER_SECONDS
    return [trade for trade in call.world.trades.values() if trade.shop == call.shop.key and trade.created >= oldest]


def _shop(call: Call) -> Node:
    domain = call.accounts.domain(call.shop.key)
    plan = call.store.plan.title()
    return {
        "__typename": "Shop",
        "id": gid("Shop", call.shop.user_id),
        "name": call.shop.nick.replace("-", " ").title(),
        "email": f"owner@{call.shop.nick}.example",
        "currencyCode": call.shop.currency,
        "ianaTimezone": "Etc/UTC",
        "timezoneOffset": "+0000",
        "myshopifyDomain": domain,
        "url": f"https://{domain}",
        "plan": {
            "publicDisplayName": plan,
            "displayName": plan,
            "partnerDevelopment": False,
            "shopifyPlus": call.store.plan in ("plus", "enterprise"),
        },
    }


def _status(item: Item) -> str:
    return "active" if item.approve_status == "onsale" else "draft"


def _order_status(trade: Trade) -> str:
    if nodes.financial_status(trade) == "VOIDED":
        return "cancelled"
    return "open" if trade.end_time is None else "closed"


PRODUCT_FIELDS: dict[str, Field[Item]] = {
    "id": Field(NUMBER, lambda item: item.num_iid),
    "title": Field(TEXT, lambda item: item.title),
    "handle": Field(TEXT, lambda item: item.outer_id.lower()),
    "status": Field(NAME, _status),
    "created_at": Field(MOMENT, lambda item: item.created),
    "updated_at": Field(MOMENT, lambda item: item.modified),
    "inventory_total": Field(NUMBER, lambda item: sum(row.quantity for row in item.rows)),
}
VARIANT_FIELDS: dict[str, Field[Variant]] = {
    "id": Field(NUMBER, lambda pair: pair[1].sku_id),
    "sku": Field(TEXT, lambda pair: pair[1].outer_id),
    "barcode": Field(TEXT, lambda pair: pair[1].barcode),
    "title": Field(TEXT, lambda pair: pair[1].properties_name.rpartition(":")[2] or "Default Title"),
    "product_id": Field(NUMBER, lambda pair: pair[0].num_iid),
    "product_ids": Field(NUMBER, lambda pair: pair[0].num_iid),
    "product_status": Field(NAME, lambda pair: _status(pair[0])),
    "inventory_quantity": Field(NUMBER, lambda pair: pair[1].quantity),
    "updated_at": Field(MOMENT, lambda pair: pair[1].modified),
}
INVENTORY_ITEM_FIELDS: dict[str, Field[Variant]] = {
    "id": Field(NUMBER, lambda pair: inventory_item_id(pair[1])),
    "sku": Field(TEXT, lambda pair: pair[1].outer_id),
    "created_at": Field(MOMENT, lambda pair: pair[0].created),
    "updated_at": Field(MOMENT, lambda pair: pair[1].modified),
}
ORDER_FIELDS: dict[str, Field[Trade]] = {
    "id": Field(NUMBER, lambda trade: trade.tid),
    "name": Field(TEXT, nodes.order_name),
    "created_at": Field(MOMENT, lambda trade: trade.created),
    "processed_at": Field(MOMENT, lambda trade: trade.created),
    "updated_at": Field(MOMENT, lambda trade: trade.modified),
    "test": Field(FLAG, lambda trade: False),
    "financial_status": Field(NAME, nodes.financial_status),
    "fulfillment_status": Field(NAME, nodes.fulfilment_status),
    "status": Field(NAME, _order_status),
}
