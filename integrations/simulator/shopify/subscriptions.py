"""Webhook subscriptions, and the deliveries they lead to."""

import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from integrations.simulator.shopify import nodes
from integrations.simulator.shopify.accounts import Accounts, App
from integrations.simulator.shopify.calls import Call, Node, iso_time
from integrations.simulator.shopify.catalogue import gid, inventory_item_id, number_in
from integrations.simulator.shopify.signing import webhook_hmac
from integrations.simulator.webhooks import Delivery, Subscription, Webhooks
from integrations.simulator.world import (
    CLOSED_UNPAID,
    ORDER,
    ORDER_CHANGED,
    PRODUCT,
    PRODUCT_CREATED,
    PRODUCT_DELETED,
    SHIPPED,
    SHOPIFY,
    STOCK,
    STOCKED,
    UNSTOCKED,
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
MAX_FAILURES = 8
EVENTS = uuid.uuid4()  # events are numbered anew by each process
# topic: the kind of news that sets it off. The others can be subscribed to, and nothing happens that they are about.
KINDS = {
    "inventory_levels/update": STOCK,
    "inventory_levels/connect": STOCKED,
    "inventory_levels/disconnect": UNSTOCKED,
    "products/create": PRODUCT_CREATED,
    "products/update": PRODUCT,
    "products/delete": PRODUCT_DELETED,
    "orders/create": ORDER,
    "orders/updated": ORDER_CHANGED,
    "orders/paid": ORDER_CHANGED,
    "orders/fulfilled": ORDER_CHANGED,
    "orders/cancelled": ORDER_CHANGED,
}
STATUS_OF_TOPIC = {
    "orders/paid": WAITING_FOR_SHIPMENT,
    "orders/fulfilled": SHIPPED,
    "orders/cancelled": CLOSED_UNPAID,
}
BULK_FINISHED, UNINSTALLED = "bulk_operations/finish", "app/uninstalled"
# topic of the enumeration that is not its lower case with the last word cut off
COMPOUND = (
    "inventory_levels",
    "inventory_items",
    "bulk_operations",
    "app",
    "variants",
    "products",
    "orders",
    "discounts",
)


def topic_of(enum: str) -> str:
    """INVENTORY_LEVELS_UPDATE as inventory_levels/update."""
    name = enum.lower()
    resource = next((found for found in (*COMPOUND, "locations") if name.startswith(f"{found}_")), "")
    return f"{resource}/{name[len(resource) + 1 :]}"


# The API


def create(call: Call, arguments: dict[str, Any]) -> Node:
    given = arguments["webhookSubscription"]
    address = given.get("uri") or given.get("callbackUrl") or ""
    enum = arguments["topic"]
    message = _address_refusal(call, address, enum)
    if message is not None:
        error = {"field": ["webhookSubscription", "callbackUrl"], "message": message}
        return {"webhookSubscription": None, "userErrors": [error]}
    topic = topic_of(enum)
    detail = {
        "enum": enum,
        "client_id": call.app.client_id,
        "api_version": call.version,
        "created_at": datetime.now(UTC).isoformat(),
        "format": given.get("format") or "JSON",
        "filter": given.get("filter"),
        "include_fields": given.get("includeFields") or [],
        "name": given.get("name"),
    }
    entry = call.simulation.webhooks.subscribe(
        SHOPIFY, call.shop.key, topic, address, call.app.client_secret, KINDS.get(topic, ""), detail
    )
    return {"webhookSubscription": subscription_node(call, entry), "userErrors": []}


def _address_refusal(call: Call, address: str, enum: str) -> str | None:
    if not address:
        return "Address can't be blank"
    parts = urlsplit(address)
    if parts.scheme != "https":
        return f"Address protocol {parts.scheme}:// is not supported" if parts.scheme else "Address is invalid"
    if not parts.hostname:
        return "Address is invalid"
    for entry in call.simulation.webhooks.of_shop(SHOPIFY, call.shop.key):
        if (entry.detail["client_id"], entry.detail["enum"], entry.address) == (call.app.client_id, enum, address):
            return "Address for this topic has already been taken"
    return None


def delete(call: Call, arguments: dict[str, Any]) -> Node:
    number = number_in(arguments["id"], "WebhookSubscription")
    found = call.simulation.webhooks.subscriptions.get(number or 0)
    if found is None or found.shop != call.shop.key or found.detail["client_id"] != call.app.client_id:
        error = {"field": ["id"], "message": "Webhook subscription does not exist"}
        return {"deletedWebhookSubscriptionId": None, "userErrors": [error]}
    call.simulation.webhooks.unsubscribe(found.id)
    return {"deletedWebhookSubscriptionId": arguments["id"], "userErrors": []}


def subscription_node(call: Call, entry: Subscription) -> Node:
    detail = entry.detail
    version = detail["api_version"]
    created_at = datetime.fromisoformat(detail["created_at"]).timestamp()
    return {
        "__typename": "WebhookSubscription",
        "id": gid("WebhookSubscription", entry.id),
        "legacyResourceId": entry.id,
        "topic": detail["enum"],
        "uri": entry.address,
        "callbackUrl": entry.address,
        "format": detail["format"],
        "filter": detail["filter"],
        "includeFields": detail["include_fields"],
        "name": detail["name"],
        "apiVersion": {"handle": version, "displayName": version, "supported": True},
        "createdAt": iso_time(created_at),
        "updatedAt": iso_time(created_at),
    }


# Deliveries


class Sender:
    """Bodies in the shape of the REST API, signed with the application's secret."""

    retry_seconds: tuple[float, ...] = (10.0, 30.0, 90.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0)
    timeout_seconds = 5.0
    success = range(200, 300)

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def deliveries(self, world: World, subscription: Subscription, news: News) -> list[tuple[Any, dict[str, str], str]]:
        shop = world.shops[subscription.shop]
        wanted = STATUS_OF_TOPIC.get(subscription.topic)
        body: dict[str, Any] | None = None
        if news.kind == PRODUCT_DELETED:
            body = {"id": news.num_iid}
        elif news.kind in (ORDER, ORDER_CHANGED):
            trade = world.trades.get(news.tid)
            if trade is not None and wanted in (None, trade.status):
                body = order_body(trade, shop)
        else:
            item = world.items.get(news.num_iid)
            row = None if item is None else next((row for row in item.rows if row.sku_id == news.sku_id), None)
            if item is not None and news.kind in (PRODUCT, PRODUCT_CREATED):
                body = product_body(item, shop)
            elif row is not None:
                body = level_body(row, news.location, news.at)
                if news.kind == UNSTOCKED:
                    body = {name: body[name] for name in ("inventory_item_id", "location_id")}
        if body is None:
            return []
        return [(self.encode(subscription, body), self.event_headers(f"{news.shop} {news.event}"), "")]

    @staticmethod
    def encode(subscription: Subscription, body: dict[str, Any]) -> bytes:
        wanted = subscription.detail["include_fields"]
        shown = {name: value for name, value in body.items() if not wanted or name in wanted}
        # Slashes are escaped, as the platform sends them.
        return orjson.dumps(shown).replace(b"/", b"\\/")

    @staticmethod
    def event_headers(event: str) -> dict[str, str]:
        """The ids of a delivery: the event's, which its other deliveries share, and one of its own."""
        return {
            "X-Shopify-Event-Id": str(uuid.uuid5(EVENTS, event)),
            "X-Shopify-Webhook-Id": str(uuid.uuid4()),
            "X-Shopify-Triggered-At": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }

    def headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        subscription = delivery.subscription
        app: App = self._accounts.apps[subscription.detail["client_id"]]
        now = datetime.now(UTC).timestamp()
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": subscription.topic,
            "X-Shopify-Shop-Domain": self._accounts.domain(subscription.shop),
            "X-Shopify-API-Version": subscription.detail["api_version"],
            "X-Shopify-Hmac-Sha256": webhook_hmac(body, app.signing_secret(now)),
        }
        if subscription.detail["name"]:
            headers["X-Shopify-Name"] = subscription.detail["name"]
        return headers

    def failed(self, subscription: Subscription) -> bool:
        return subscription.failures >= MAX_FAILURES


def finish_bulk(webhooks: Webhooks, shop: str, client_id: str, body: dict[str, Any]) -> None:
    """Tell the subscriptions of bulk_operations/finish."""
    for entry in webhooks.of_shop(SHOPIFY, shop):
        if entry.topic == BULK_FINISHED and entry.detail["client_id"] == client_id:
            headers = Sender.event_headers(body["admin_graphql_api_id"])
            webhooks.enqueue(entry, Sender.encode(entry, body), headers)


def uninstall(webhooks: Webhooks, shop: Shop, domain: str) -> None:
    """Tell the subscriptions of app/uninstalled."""
    for entry in webhooks.of_shop(SHOPIFY, shop.key):
        if entry.topic == UNINSTALLED:
            headers = Sender.event_headers(f"{shop.key} {UNINSTALLED}")
            webhooks.enqueue(entry, Sender.encode(entry, {"id": shop.user_id, "myshopify_domain": domain}), headers)


def level_body(row: Row, location: int, at: int) -> dict[str, Any]:
    item_id = inventory_item_id(row)
    return {
        "inventory_item_id": item_id,
        "location_id": location,
        "available": row.levels.get(location),
        "updated_at": iso_time(at).replace("Z", "+00:00"),
        "admin_graphql_api_id": f"gid://shopify/InventoryLevel/{location}?inventory_item_id={item_id}",
    }


def product_body(item: Item, shop: Shop) -> dict[str, Any]:
    rows = [row for row in item.rows if row.status == "normal"]
    at = _rest_time(item.modified)
    body: dict[str, Any] = {
        "id": item.num_iid,
        "admin_graphql_api_id": gid("Product", item.num_iid),
        "title": item.title,
        "vendor": shop.nick,
        "handle": item.outer_id.lower(),
        "status": "active" if item.approve_status == "onsale" else "draft",
        "created_at": _rest_time(item.created),
        "updated_at": at,
        "variants": [_variant_body(item, row, shop) for row in rows[:MAX_VARIANTS_IN_BODY]],
    }
    if len(rows) > MAX_VARIANTS_IN_BODY:
        body["variant_gids"] = [
            {"admin_graphql_api_id": gid("ProductVariant", row.sku_id), "updated_at": _rest_time(row.modified)}
            for row in rows
        ]
    return body


def _variant_body(item: Item, row: Row, shop: Shop) -> dict[str, Any]:
    return {
        "id": row.sku_id,
        "admin_graphql_api_id": gid("ProductVariant", row.sku_id),
        "product_id": item.num_iid,
        "title": row.properties_name.rpartition(":")[2] or "Default Title",
        "sku": row.outer_id,
        "barcode": row.barcode or None,
        "price": amount(row.live_price, shop.decimals),
        "compare_at_price": None if row.compare_at is None else amount(row.compare_at, shop.decimals),
        "inventory_item_id": inventory_item_id(row),
        "inventory_quantity": row.quantity,
        "updated_at": _rest_time(row.modified),
    }


def order_body(trade: Trade, shop: Shop) -> dict[str, Any]:
    return {
        "id": trade.tid,
        "admin_graphql_api_id": gid("Order", trade.tid),
        "name": nodes.order_name(trade),
        "created_at": _rest_time(trade.created),
        "updated_at": _rest_time(trade.modified),
        "cancelled_at": _rest_time(trade.modified) if trade.status == CLOSED_UNPAID else None,
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


def _rest_time(seconds: int) -> str:
    return iso_time(seconds).replace("Z", "+00:00")
