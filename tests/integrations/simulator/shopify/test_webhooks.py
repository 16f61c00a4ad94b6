"""Subscriptions, and what arrives at their addresses."""

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.integrations.simulator.shopify.documents import ACTIVATE, SUBSCRIBE

pytestmark = pytest.mark.pure


class Receiver:
    """Takes deliveries on a port of its own; `status` is what it answers with."""

    def __init__(self):
        self.received: list[Any] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((dict(self.headers), body))
                self.send_response(receiver.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.url = f"https://127.0.0.1:{self.server.server_port}/hooks/shopify/42"

    def bodies(self):
        return [json.loads(body) for _, body in self.received]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.close()


def subscribe(shopify, topic, url, **rest):
    payload = shopify.data(SUBSCRIBE, topic=topic, sub={"uri": url, "format": "JSON", **rest})[
        "webhookSubscriptionCreate"
    ]
    assert payload["userErrors"] == []
    return payload["webhookSubscription"]


def test_sale_is_told_with_a_signed_level(shopify, simulator, receiver, wait_until):
    subscription = subscribe(shopify, "INVENTORY_LEVELS_UPDATE", receiver.url)
    assert subscription["topic"] == "INVENTORY_LEVELS_UPDATE"
    assert (subscription["uri"], subscription["apiVersion"]) == (receiver.url, {"handle": "2026-10"})
    variant = shopify.variant()
    simulator.shopify.order(variant, 2, shopify.location)
    ((headers, body),) = wait_until(lambda: receiver.received)
    level, item = shopify.location.rpartition("/")[2], variant["inventory_item_id"].rpartition("/")[2]
    found = json.loads(body)
    assert found.keys() == {"inventory_item_id", "location_id", "available", "updated_at", "admin_graphql_api_id"}
    assert (found["inventory_item_id"], found["location_id"]) == (int(item), int(level))
    assert found["available"] == variant["levels"][shopify.location] - 2
    assert found["admin_graphql_api_id"] == f"gid://shopify/InventoryLevel/{level}?inventory_item_id={item}"
    assert rb"gid:\/\/shopify" in body
    secret = simulator.shopify.shop()["client_secret"].encode()
    expected = base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest()).decode()
    assert headers["X-Shopify-Hmac-Sha256"] == expected
    assert headers["X-Shopify-Topic"] == "inventory_levels/update"
    assert headers["X-Shopify-Shop-Domain"] == "nuanju-home.myshopify.com"
    assert headers["X-Shopify-API-Version"] == "2026-10"
    assert headers["X-Shopify-Webhook-Id"]
    assert headers["X-Shopify-Event-Id"]
    assert headers["X-Shopify-Triggered-At"].endswith("Z")


def test_one_sale_is_one_event_for_every_topic_about_it(shopify, simulator, receiver, wait_until):
    for topic in ("ORDERS_CREATE", "INVENTORY_LEVELS_UPDATE", "PRODUCTS_UPDATE"):
        subscribe(shopify, topic, receiver.url)
    variant = shopify.variant()
    number = simulator.shopify.order(variant, 1, shopify.location)
    wait_until(lambda: len(receiver.received) >= 3)
    by_topic = {headers["X-Shopify-Topic"]: json.loads(body) for headers, body in receiver.received}
    order = by_topic["orders/create"]
    assert order["id"] == number
    (line,) = order["line_items"]
    assert (line["sku"], line["quantity"]) == (variant["sku"], 1)
    assert line["variant_id"] == int(variant["variant_id"].rpartition("/")[2])
    product = by_topic["products/update"]
    (row,) = [row for row in product["variants"] if row["sku"] == variant["sku"]]
    assert row["inventory_quantity"] == sum(variant["levels"].values()) - 1
    assert row["price"] == variant["price"]
    assert len({headers["X-Shopify-Webhook-Id"] for headers, _ in receiver.received}) == 3
    assert len({headers["X-Shopify-Event-Id"] for headers, _ in receiver.received}) == 1
    simulator.shopify.order(variant, 1, shopify.location)
    wait_until(lambda: len(receiver.received) >= 6)
    assert len({headers["X-Shopify-Event-Id"] for headers, _ in receiver.received}) == 2


def test_products_above_a_hundred_variants_are_cut(shopify, simulator, receiver, wait_until):
    subscribe(shopify, "PRODUCTS_UPDATE", receiver.url)
    variant = next(row for row in simulator.shopify.variants() if row["sku"].startswith("TILE"))
    simulator.shopify.set_variant(variant, price="3.00")
    (body,) = wait_until(receiver.bodies)
    assert len(body["variants"]) == 100
    assert len(body["variant_gids"]) == 120


def test_own_writes_come_back(shopify, receiver, wait_until):
    subscribe(shopify, "PRODUCTS_UPDATE", receiver.url, includeFields=["id", "updated_at"])
    variant = shopify.variant()
    document = """mutation P($id: ID!, $variants: [ProductVariantsBulkInput!]!) {
      productVariantsBulkUpdate(productId: $id, variants: $variants) { userErrors { message } } }"""
    shopify.data(document, id=variant["product_id"], variants=[{"id": variant["variant_id"], "price": "3"}])
    (body,) = wait_until(receiver.bodies)
    assert body.keys() == {"id", "updated_at"}


def test_deleted_product_and_finished_operation_are_told(shopify, simulator, receiver, wait_until):
    subscribe(shopify, "PRODUCTS_DELETE", receiver.url)
    subscribe(shopify, "BULK_OPERATIONS_FINISH", receiver.url)
    variant = shopify.variant()
    simulator.shopify.set_variant({**variant, "sku_id": ""}, delete=True)
    assert {"id": variant["num_iid"]} in wait_until(receiver.bodies)
    shopify.data(
        'mutation { bulkOperationRunQuery(query: "{ products { edges { node { id } } } }") { bulkOperation { id } } }'
    )
    wait_until(lambda: len(receiver.received) == 2)
    assert receiver.bodies()[1]["status"] == "completed"


def test_a_variant_comes_to_a_location_and_leaves_it(shopify, simulator, receiver, wait_until):
    for topic in ("INVENTORY_LEVELS_CONNECT", "INVENTORY_LEVELS_DISCONNECT", "PRODUCTS_CREATE"):
        subscribe(shopify, topic, receiver.url)
    variant = shopify.variant()
    simulator.shopify.unstock(variant, shopify.other_location)
    shopify.data(
        ACTIVATE, item=variant["inventory_item_id"], location=shopify.other_location, available=3, key=shopify.new_key()
    )
    simulator.shopify.add_products(1)
    wait_until(lambda: len(receiver.received) == 3)
    by_topic = {headers["X-Shopify-Topic"]: json.loads(body) for headers, body in receiver.received}
    assert by_topic["inventory_levels/disconnect"].keys() == {"inventory_item_id", "location_id"}
    assert by_topic["inventory_levels/connect"]["available"] == 3
    assert by_topic["products/create"]["variants"][0]["sku"].startswith("MORE-")


def test_revoked_tokens_are_told_as_an_uninstallation(shopify, simulator, receiver, wait_until):
    subscribe(shopify, "APP_UNINSTALLED", receiver.url)
    simulator.shopify.change_tokens(revoke="shopify-nuanju")
    ((headers, body),) = wait_until(lambda: receiver.received)
    assert headers["X-Shopify-Topic"] == "app/uninstalled"
    assert json.loads(body)["myshopify_domain"] == "nuanju-home.myshopify.com"


def test_other_shops_hear_nothing(shopify, simulator, receiver, wait_until):
    subscribe(shopify, "INVENTORY_LEVELS_UPDATE", receiver.url)
    simulator.shopify.order(simulator.shopify.variants("shopify-tokyo")[0])
    simulator.shopify.order(shopify.variant())
    wait_until(lambda: receiver.received)
    assert {headers["X-Shopify-Shop-Domain"] for headers, _ in receiver.received} == {"nuanju-home.myshopify.com"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"uri": "http://127.0.0.1/hook"}, "Address protocol http:// is not supported"),
        ({"callbackUrl": "http://127.0.0.1/hook"}, "Address protocol http:// is not supported"),
        ({}, "Address can't be blank"),
        ({"uri": "/hook"}, "Address is invalid"),
    ],
)
def test_wrong_address_is_a_user_error_without_a_code(shopify, given, message):
    payload = shopify.data(SUBSCRIBE, topic="ORDERS_CREATE", sub=given)["webhookSubscriptionCreate"]
    assert payload == {
        "webhookSubscription": None,
        "userErrors": [{"field": ["webhookSubscription", "callbackUrl"], "message": message}],
    }


def test_same_address_for_a_topic_is_taken(shopify, receiver):
    subscribe(shopify, "ORDERS_CREATE", receiver.url)
    sub = {"uri": receiver.url}
    payload = shopify.data(SUBSCRIBE, topic="ORDERS_CREATE", sub=sub)["webhookSubscriptionCreate"]
    assert payload["userErrors"][0]["message"] == "Address for this topic has already been taken"


def test_subscriptions_are_listed_and_deleted(shopify, receiver):
    kept = subscribe(shopify, "ORDERS_CREATE", receiver.url)
    gone = subscribe(shopify, "ORDERS_PAID", receiver.url)
    listed = "{ webhookSubscriptions(first: 9) { nodes { id topic } } }"
    assert len(shopify.data(listed)["webhookSubscriptions"]["nodes"]) == 2
    delete = """mutation D($id: ID!) { webhookSubscriptionDelete(id: $id) {
      deletedWebhookSubscriptionId userErrors { field message } } }"""
    assert shopify.data(delete, id=gone["id"])["webhookSubscriptionDelete"] == {
        "deletedWebhookSubscriptionId": gone["id"],
        "userErrors": [],
    }
    assert shopify.data(listed)["webhookSubscriptions"]["nodes"] == [{"id": kept["id"], "topic": "ORDERS_CREATE"}]
    (error,) = shopify.data(delete, id=gone["id"])["webhookSubscriptionDelete"]["userErrors"]
    assert error == {"field": ["id"], "message": "Webhook subscription does not exist"}


# Faults


def test_duplicate_is_the_same_delivery_twice(shopify, simulator, receiver, wait_until):
    subscribe(shopify, "INVENTORY_LEVELS_UPDATE", receiver.url)
    simulator.shopify.fail_next(kind="webhook_duplicate", method="inventory_levels/update")
    simulator.shopify.order(shopify.variant())
    wait_until(lambda: len(receiver.received) == 2)
    (first, body), (second, same) = receiver.received
    assert first["X-Shopify-Webhook-Id"] == second["X-Shopify-Webhook-Id"]
    assert body == same


def test_reordered_deliveries_change_places(shopify, simulator, receiver, wait_until):
    subscribe(shopify, "INVENTORY_LEVELS_UPDATE", receiver.url)
    simulator.shopify.fail_next(kind="webhook_reorder")
    for _ in range(2):
        simulator.shopify.order(shopify.variant(), 1, shopify.location)
    wait_until(lambda: len(receiver.received) == 2)
    first, second = receiver.bodies()
    assert first["updated_at"] <= second["updated_at"]
    ids = [entry["number"] for entry in simulator.shopify.webhooks()["deliveries"]]
    assert ids == sorted(ids, reverse=True)


def test_dropped_delivery_never_arrives(shopify, simulator, receiver, wait_until):
    subscribe(shopify, "INVENTORY_LEVELS_UPDATE", receiver.url)
    simulator.shopify.fail_next(kind="webhook_drop")
    for _ in range(2):
        simulator.shopify.order(shopify.variant(), 1, shopify.location)
    wait_until(lambda: receiver.received)
    wait_until(lambda: simulator.shopify.webhooks()["waiting"] == 0)
    assert [entry["reason"] for entry in simulator.shopify.webhooks()["deliveries"]] == ["dropped", ""]


def test_delayed_delivery_arrives_later(shopify, simulator, receiver, wait_until):
    subscribe(shopify, "INVENTORY_LEVELS_UPDATE", receiver.url)
    simulator.shopify.fail_next(kind="webhook_delay", seconds=1.5)
    simulator.shopify.order(shopify.variant())
    wait_until(lambda: simulator.shopify.webhooks()["waiting"] == 1)
    assert receiver.received == []
    wait_until(lambda: receiver.received)


def test_fault_of_a_webhook_leaves_calls_alone(shopify, simulator):
    simulator.shopify.fail_next(kind="webhook_drop")
    assert "errors" not in shopify.call("{ shop { id } }")


@pytest.mark.parametrize("status", [500, 302])
def test_failed_delivery_is_tried_again_with_the_same_body_and_id(shopify, simulator, receiver, wait_until, status):
    simulator.control("POST", "webhooks", json={"retry_seconds": [0.1] * 8})
    subscribe(shopify, "INVENTORY_LEVELS_UPDATE", receiver.url)
    receiver.status = status
    simulator.shopify.order(shopify.variant())
    wait_until(lambda: len(receiver.received) >= 2)
    receiver.status = 200
    wait_until(lambda: simulator.shopify.webhooks()["waiting"] == 0)
    assert len({headers["X-Shopify-Webhook-Id"] for headers, _ in receiver.received}) == 1
    assert len({body for _, body in receiver.received}) == 1
    (entry,) = simulator.shopify.webhooks()["subscriptions"]
    wait_until(lambda: simulator.shopify.webhooks()["subscriptions"][0]["failures"] == 0)
    assert entry["topic"] == "inventory_levels/update"


def test_subscription_is_gone_after_eight_failures_in_a_row(shopify, simulator, receiver, wait_until):
    simulator.control("POST", "webhooks", json={"retry_seconds": [0.01] * 8})
    subscribe(shopify, "INVENTORY_LEVELS_UPDATE", receiver.url)
    receiver.status = 500
    simulator.shopify.order(shopify.variant())
    wait_until(lambda: simulator.shopify.webhooks()["subscriptions"] == [])
    assert len(receiver.received) == 8


def test_rotated_secret_signs_with_the_old_one_for_a_while(shopify, simulator, receiver, wait_until):
    old = simulator.shopify.shop()["client_secret"].encode()
    subscribe(shopify, "INVENTORY_LEVELS_UPDATE", receiver.url)
    simulator.shopify.change_tokens(rotate_secret="shopify-nuanju")
    simulator.shopify.order(shopify.variant())
    ((headers, body),) = wait_until(lambda: receiver.received)
    expected = base64.b64encode(hmac.new(old, body, hashlib.sha256).digest()).decode()
    assert headers["X-Shopify-Hmac-Sha256"] == expected


def test_nothing_is_sent_to_another_machine(shopify, simulator, wait_until):
    subscribe(shopify, "INVENTORY_LEVELS_UPDATE", "https://sync.example.com/hooks/shopify/42")
    simulator.shopify.order(shopify.variant())
    (entry, *_) = wait_until(lambda: simulator.shopify.webhooks()["deliveries"])
    assert entry["reason"] == "not sent: not an address of this machine"
    assert entry["status"] is None
