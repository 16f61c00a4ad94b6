"""Webhook subscriptions, and the deliveries they lead to."""

import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from integrations.simulator.shopify.accounts import Accounts, App
from integrations.simulator.shopify.calls import Call, Node, iso_time
from integrations.simulator.shopify.catalogue import gid, number_in
from integrations.simulator.shopify.payloads import TOPICS
from integrations.simulator.shopify.signing import webhook_hmac
from integrations.simulator.webhooks import Delivery, Subscription, Webhooks
from integrations.simulator.world import SHOPIFY, News, World

MAX_FAILURES = 8
EVENTS = uuid.uuid4()  # events are numbered anew by each process
# Besides TOPICS, which the market sets off: what is done to a shop or an application, and told by tell().
BULK_FINISHED = "bulk_operations/finish"
UNINSTALLED, SCOPES_CHANGED = "app/uninstalled", "app/scopes_update"
LOCATION_ACTIVATED, LOCATION_DEACTIVATED = "locations/activate", "locations/deactivate"
TOPIC_OF = {
    topic.replace("/", "_").upper(): topic
    for topic in (*TOPICS, BULK_FINISHED, UNINSTALLED, SCOPES_CHANGED, LOCATION_ACTIVATED, LOCATION_DEACTIVATED)
}


# The API


def create(call: Call, arguments: dict[str, Any]) -> Node:
    given = arguments["webhookSubscription"]
    address = given.get("uri") or given.get("callbackUrl") or ""
    enum = arguments["topic"]
    message = _address_refusal(call, address, enum)
    if message is not None:
        error = {"field": ["webhookSubscription", "callbackUrl"], "message": message}
        return {"webhookSubscription": None, "userErrors": [error]}
    topic = TOPIC_OF[enum]
    kind, _ = TOPICS.get(topic, ("", None))
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
        SHOPIFY, call.shop.key, topic, address, call.app.client_secret, kind, detail
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
        _, bodies = TOPICS[subscription.topic]
        return [
            (self.encode(subscription, body), self.event_headers(f"{news.shop} {news.event}"), "")
            for body in bodies(world, world.shops[subscription.shop], news)
        ]

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


def tell(webhooks: Webhooks, shop: str, topic: str, body: dict[str, Any], client_id: str | None = None) -> None:
    """Tell the subscriptions of a topic, of one application or of all, what was done to a shop; it is one event."""
    event = f"{shop} {uuid.uuid4()}"
    for entry in webhooks.of_shop(SHOPIFY, shop):
        if entry.topic == topic and client_id in (None, entry.detail["client_id"]):
            webhooks.enqueue(entry, Sender.encode(entry, body), Sender.event_headers(event))
