"""Webhooks: their management under `webhooks`, and what a delivery holds and says."""

import hashlib
import secrets
import string
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from integrations.simulator.simulation import Simulation
from integrations.simulator.webhooks import Delivery, Subscription
from integrations.simulator.woocommerce import batch, views
from integrations.simulator.woocommerce.calls import CREATE, DELETE, EDIT, READ, Answer, Call, Route, created, page
from integrations.simulator.woocommerce.errors import Refusal, invalid_id
from integrations.simulator.woocommerce.parameters import COLLECTION, TEXT, Parameter, gmt, local
from integrations.simulator.woocommerce.products import REMOVE
from integrations.simulator.woocommerce.selection import find
from integrations.simulator.woocommerce.signing import webhook_signature
from integrations.simulator.woocommerce.sites import VERSION, WORDPRESS_VERSION, Sites, order_id
from integrations.simulator.world import (
    ORDER,
    ORDER_CHANGED,
    PRODUCT,
    PRODUCT_DELETED,
    WOOCOMMERCE,
    News,
    World,
)

RESOURCES = ("coupon", "customer", "order", "product")
EVENTS = ("created", "updated", "deleted", "restored")
TOPICS = {
    "product.updated": PRODUCT,
    "product.deleted": PRODUCT_DELETED,
    "order.created": ORDER,
    "order.updated": ORDER_CHANGED,
}
STATUSES = ("active", "paused", "disabled")
FAILURES_FORGIVEN = 6
FORM = "application/x-www-form-urlencoded"
LETTERS = string.ascii_letters + string.digits
AGENT = f"WooCommerce/{VERSION} Hookshot (WordPress/{WORDPRESS_VERSION})"

LIST = {
    **{name: rule for name, rule in COLLECTION.items() if not name.startswith("modified_")},
    "orderby": Parameter("string", ("date", "id", "include", "title"), default="date"),
    "status": Parameter("string", ("all", *STATUSES), default="all"),
}
WRITE = {
    "name": TEXT,
    "status": Parameter("string", STATUSES),
    "topic": TEXT,
    "delivery_url": TEXT,
    "secret": TEXT,
}
NEW = {**WRITE, "topic": Parameter("string", required=True), "delivery_url": Parameter("string", required=True)}
Show = Callable[[World, Call, int], dict[str, Any] | None]


class Hooks:
    """The shop's side of webhooks: `Webhooks` queues and sends, this says what."""

    retry_seconds: tuple[float, ...] = ()
    timeout_seconds = 60.0
    success = range(200, 303)

    def __init__(self, simulation: Simulation, sites: Sites) -> None:
        self.simulation = simulation
        self.sites = sites
        self.show: dict[str, Show] = {"product": _product}  # the body of a delivery, by resource
        simulation.webhooks.register(WOOCOMMERCE, self)

    def routes(self) -> list[Route]:
        return [
            Route(READ, "webhooks", "list", LIST, self.all),
            Route(CREATE, "webhooks", "create", NEW, self.create),
            Route(EDIT, "webhooks/batch", "batch", batch.SCHEMA, self.batch),
            Route(READ, "webhooks/{id}", "view", {}, self.read),
            Route(EDIT, "webhooks/{id}", "edit", WRITE, self.update),
            Route(DELETE, "webhooks/{id}", "delete", REMOVE, self.delete),
        ]

    # Management

    def all(self, world: World, call: Call) -> Answer:
        asked = call.checked
        found = [
            hook
            for hook in self._own(call)
            if asked["status"] in ("all", hook.status)
            and hook.id in asked.get("include", [hook.id])
            and hook.id not in asked.get("exclude", ())
            and asked.get("search", "").lower() in hook.detail["name"].lower()
        ]
        found.sort(key=lambda hook: hook.id, reverse=asked["order"] == "desc")
        return page(call, found, lambda hook: _shown(call, hook))

    def read(self, world: World, call: Call) -> Answer:
        return Answer(_shown(call, self._hook(call, 404)))

    def create(self, world: World, call: Call) -> Answer:
        sent = call.checked
        topic, address = sent.get("topic", ""), sent.get("delivery_url", "")
        _check_topic(topic)
        _check_address(address)
        now = int(time.time())
        detail = {
            "name": sent.get("name") or f"Webhook created on {gmt(now)}",
            "created": now,
            "modified": now,
            "home": call.home,
        }
        secret = sent.get("secret") or "".join(secrets.choice(LETTERS) for _ in range(50))
        webhooks = self.simulation.webhooks
        kind = TOPICS.get(topic, "")
        hook = webhooks.subscribe(WOOCOMMERCE, call.site.shop, topic, address, secret, kind, detail)
        hook.status = sent.get("status", "active")
        # The ping is not counted as a delivery: it goes to a subscription of its own that nobody keeps.
        ping = Subscription(hook.id, WOOCOMMERCE, call.site.shop, "ping", address, "", "", detail=detail)
        webhooks.enqueue(ping, urlencode({"webhook_id": hook.id}).encode(), {"Content-Type": FORM})
        return created(call, hook.id, _shown(call, hook))

    def update(self, world: World, call: Call) -> Answer:
        hook, sent = self._hook(call, 400), call.checked
        if "topic" in sent:
            _check_topic(sent["topic"])
            hook.topic, hook.kind = sent["topic"], TOPICS.get(sent["topic"], "")
        if "delivery_url" in sent:
            _check_address(sent["delivery_url"])
            hook.address = sent["delivery_url"]
        if "status" in sent:
            if sent["status"] == "active" and hook.status != "active":
                hook.failures = 0
            hook.status = sent["status"]
        hook.secret = sent.get("secret", hook.secret)
        hook.detail["name"] = sent.get("name", hook.detail["name"])
        hook.detail["modified"] = int(time.time())
        self.simulation.webhooks.version += 1
        return Answer(_shown(call, hook))

    def delete(self, world: World, call: Call) -> Answer:
        if not call.checked.get("force"):
            raise Refusal("woocommerce_rest_trash_not_supported", "Webhooks do not support trashing.", 501)
        hook = self._hook(call, 404)
        self.simulation.webhooks.unsubscribe(hook.id)
        return Answer(_shown(call, hook))

    def batch(self, world: World, call: Call) -> Answer:
        return batch.run(world, call, schema=WRITE, create=self.create, update=self.update, delete=self.delete)

    def _own(self, call: Call) -> list[Subscription]:
        return self.simulation.webhooks.of_shop(WOOCOMMERCE, call.site.shop)

    def _hook(self, call: Call, status: int) -> Subscription:
        for hook in self._own(call):
            if hook.id == call.id():
                return hook
        raise invalid_id("shop_webhook", status)

    # Deliveries

    def product_changed(self, call: Call, topic: str, id: int) -> None:
        self.report(call.site.shop, topic, id)

    def report(self, shop: str, topic: str, id: int) -> None:
        """Tell subscribers of what happens through the API and not in the market."""
        for hook in self.simulation.webhooks.of_shop(WOOCOMMERCE, shop):
            if hook.topic == topic and hook.status == "active":
                self.simulation.webhooks.enqueue(hook, *self._parts(hook, id))

    def deliveries(self, world: World, subscription: Subscription, news: News) -> list[tuple[Any, dict[str, str], str]]:
        id = news.sku_id or news.num_iid or order_id(news.tid)
        return [self._parts(subscription, id)]

    def _parts(self, hook: Subscription, id: int) -> tuple[Any, dict[str, str], str]:
        resource, _, event = hook.topic.partition(".")
        body: Any = orjson.dumps({"id": id}) if event == "deleted" else partial(self._body, hook, resource, id)
        # A second change before the first is sent is part of it.
        return body, {}, f"{resource} {id}"

    def _body(self, hook: Subscription, resource: str, id: int, world: World) -> bytes | None:
        """The resource as it is now, whatever it was when something happened to it."""
        site = self.sites.by_shop.get(hook.shop)
        if site is None:
            return None
        views.settle(world, site)
        value = self.show[resource](world, Call(site, None, hook.detail["home"], ""), id)
        return None if value is None else orjson.dumps(value)

    def headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        hook = delivery.subscription
        if delivery.headers.get("Content-Type") == FORM:
            return {"User-Agent": AGENT, "Connection": "close"}
        resource, _, event = hook.topic.partition(".")
        # The second, not the delivery, makes the id.
        delivery_id = hashlib.md5(f"{hook.id}{int(time.time())}".encode(), usedforsecurity=False).hexdigest()
        return {
            "User-Agent": AGENT,
            "Content-Type": "application/json",
            "Connection": "close",
            "X-WC-Webhook-Source": f"{hook.detail['home']}/",
            "X-WC-Webhook-Topic": hook.topic,
            "X-WC-Webhook-Resource": resource,
            "X-WC-Webhook-Event": event,
            "X-WC-Webhook-Signature": webhook_signature(body, hook.secret),
            "X-WC-Webhook-ID": str(hook.id),
            "X-WC-Webhook-Delivery-ID": delivery_id,
        }

    def failed(self, subscription: Subscription) -> bool:
        """The seventh failure in a row disables the webhook, which stays; the count stays at six."""
        if subscription.failures > FAILURES_FORGIVEN:
            subscription.status, subscription.failures = "disabled", FAILURES_FORGIVEN
        return False


def _product(world: World, call: Call, id: int) -> dict[str, Any] | None:
    view = find(world, call, id)
    return None if view is None else {name: field(view) for name, field in views.PRODUCT.items()}


def _check_topic(topic: str) -> None:
    resource, _, event = topic.partition(".")
    if not (resource in RESOURCES and event in EVENTS) and not (resource == "action" and event):
        message = "Webhook topic must be valid."
        raise Refusal("woocommerce_rest_shop_webhook_invalid_topic", message, 400)


def _check_address(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = "Webhook delivery URL must be a valid URL starting with http:// or https://."
        raise Refusal("woocommerce_rest_shop_webhook_invalid_delivery_url", message, 400)


def _shown(call: Call, hook: Subscription) -> dict[str, Any]:
    """Everything but the secret, which is never shown."""
    resource, _, event = hook.topic.partition(".")
    zone, detail = call.site.zone, hook.detail
    return {
        "id": hook.id,
        "name": detail["name"],
        "status": hook.status,
        "topic": hook.topic,
        "resource": resource,
        "event": event,
        "hooks": [],
        "delivery_url": hook.address,
        "date_created": local(detail["created"], zone),
        "date_created_gmt": gmt(detail["created"]),
        "date_modified": local(detail["modified"], zone),
        "date_modified_gmt": gmt(detail["modified"]),
    }
