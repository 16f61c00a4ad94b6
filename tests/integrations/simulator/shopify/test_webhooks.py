"""Subscriptions, and what arrives at their addresses."""

import base64
import hashlib
import hmac
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from graphql import GraphQLEnumType

from integrations.simulator.shopify.schema import schema_of
from tests.integrations.simulator.shopify.documents import ACTIVATE, PRICES, RUN_BULK, SUBSCRIBE

pytestmark = pytest.mark.pure

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAY = 86_400


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


# Topics


def set_units(shopify, quantity):
    """The first variant's, at each of its locations."""
    variant = shopify.variant()
    for location in variant["levels"]:
        shopify.simulator.shopify.set_variant(variant, location, quantity=quantity)


def give_a_code(shopify, sku):
    variant = shopify.variant()
    entry = {"id": variant["variant_id"], "inventoryItem": {"sku": sku}}
    payload = shopify.data(PRICES, productId=variant["product_id"], variants=[entry])["productVariantsBulkUpdate"]
    assert payload["userErrors"] == []


def stock_again(shopify):
    simulator, variant, location = shopify.simulator, shopify.variant(), shopify.other_location
    simulator.shopify.unstock(variant, location)
    shopify.data(ACTIVATE, item=variant["inventory_item_id"], location=location, available=3, key=shopify.new_key())


def delete_product(shopify):
    shopify.simulator.shopify.set_variant({**shopify.variant(), "sku_id": ""}, delete=True)


def close_and_open(shopify):
    shopify.simulator.shopify.set_store(inactive_locations=[shopify.other_location])
    shopify.simulator.shopify.set_store(inactive_locations=[])


def sell_out_and_restock(shopify):
    set_units(shopify, 0)
    set_units(shopify, 5)


def wait_two_days(shopify):
    shopify.simulator.step(seconds=2 * DAY)


# Of the topics of discounts tells a test of their own, for they take months.
HAPPENINGS = {
    "APP_SCOPES_UPDATE": lambda shopify: shopify.simulator.shopify.set_store(scopes=["read_products"]),
    "APP_UNINSTALLED": lambda shopify: shopify.simulator.shopify.change_tokens(revoke="shopify-nuanju"),
    "BULK_OPERATIONS_FINISH": lambda shopify: shopify.data(RUN_BULK, query="{ products { edges { node { id } } } }"),
    "INVENTORY_ITEMS_CREATE": lambda shopify: shopify.simulator.shopify.add_products(1),
    "INVENTORY_ITEMS_DELETE": delete_product,
    "INVENTORY_ITEMS_UPDATE": lambda shopify: give_a_code(shopify, "NEW-1"),
    "INVENTORY_LEVELS_CONNECT": stock_again,
    "INVENTORY_LEVELS_DISCONNECT": stock_again,
    "INVENTORY_LEVELS_UPDATE": lambda shopify: shopify.simulator.shopify.order(shopify.variant()),
    "LOCATIONS_ACTIVATE": close_and_open,
    "LOCATIONS_DEACTIVATE": close_and_open,
    "ORDERS_CANCELLED": wait_two_days,
    "ORDERS_CREATE": lambda shopify: shopify.simulator.shopify.order(shopify.variant()),
    "ORDERS_FULFILLED": wait_two_days,
    "ORDERS_PAID": wait_two_days,
    "ORDERS_UPDATED": wait_two_days,
    "PRODUCTS_CREATE": lambda shopify: shopify.simulator.shopify.add_products(1),
    "PRODUCTS_DELETE": delete_product,
    "PRODUCTS_UPDATE": lambda shopify: set_units(shopify, 4),
    "VARIANTS_IN_STOCK": sell_out_and_restock,
    "VARIANTS_OUT_OF_STOCK": sell_out_and_restock,
}


def test_no_topic_is_offered_that_is_not_known_to_happen():
    offered = cast("GraphQLEnumType", schema_of("2026-10").type_map["WebhookSubscriptionTopic"])
    assert offered.values.keys() == HAPPENINGS.keys() | {"DISCOUNTS_CREATE", "DISCOUNTS_DELETE"}


@pytest.mark.parametrize("topic", HAPPENINGS)
def test_a_topic_that_is_offered_happens(shopify, simulator, receiver, wait_until, topic):
    simulator.reset(now=MONDAY, speed=0)
    subscribe(shopify, topic, receiver.url)
    HAPPENINGS[topic](shopify)
    headers, _ = wait_until(lambda: receiver.received)[0]
    assert headers["X-Shopify-Topic"].replace("/", "_").upper() == topic


@pytest.mark.parametrize(
    "topic", ["DISCOUNTS_UPDATE", "LOCATIONS_CREATE", "LOCATIONS_DELETE", "LOCATIONS_UPDATE", "ORDERS_EDITED"]
)
def test_a_topic_that_never_happens_is_not_offered(shopify, receiver, topic):
    error = shopify.error(SUBSCRIBE, topic=topic, sub={"uri": receiver.url})
    assert error["extensions"]["code"] == "INVALID_VARIABLE"
    assert error["extensions"]["problems"][0]["explanation"].startswith(f'Expected "{topic}" to be one of: ')


ORIGIN: dict[str, Any] = {
    "country_code_of_origin": None,
    "province_code_of_origin": None,
    "harmonized_system_code": None,
    "country_harmonized_system_codes": [],
}


def number_in(gid):
    return int(gid.rpartition("/")[2])


def test_inventory_items_come_and_go_with_the_variants_they_are_of(shopify, simulator, receiver, wait_until):
    subscribe(shopify, "INVENTORY_ITEMS_CREATE", receiver.url)
    subscribe(shopify, "INVENTORY_ITEMS_DELETE", receiver.url)
    simulator.shopify.add_products(3, variants_each=3)
    bodies = {body["sku"]: body for body in wait_until(lambda: len(receiver.received) == 3 and receiver.bodies())}
    added = {row["sku"]: row for row in simulator.shopify.variants() if row["sku"].startswith("MORE-")}
    assert bodies.keys() == added.keys()
    for sku, body in bodies.items():
        at = body["created_at"]
        assert body == {
            "id": number_in(added[sku]["inventory_item_id"]),
            "admin_graphql_api_id": added[sku]["inventory_item_id"],
            "sku": sku,
            "cost": body["cost"],
            "tracked": True,
            "requires_shipping": True,
            **ORIGIN,
            "created_at": at,
            "updated_at": body["updated_at"],
        }
        assert datetime.fromisoformat(at) <= datetime.fromisoformat(body["updated_at"]) <= simulator.now()
    first, second, third = added.values()
    receiver.received.clear()
    simulator.shopify.set_variant(first, delete=True)
    simulator.shopify.set_variant({**second, "sku_id": ""}, delete=True)
    wait_until(lambda: len(receiver.received) == 3)
    assert receiver.bodies() == [
        {"id": number_in(row["inventory_item_id"]), "admin_graphql_api_id": row["inventory_item_id"], **ORIGIN}
        for row in (first, second, third)
    ]
    events = [headers["X-Shopify-Event-Id"] for headers, _ in receiver.received]
    assert events[0] != events[1] == events[2]


def test_an_inventory_item_is_told_when_its_code_changes_and_only_then(shopify, receiver, wait_until):
    subscribe(shopify, "INVENTORY_ITEMS_UPDATE", receiver.url)
    variant = shopify.variant()
    give_a_code(shopify, variant["sku"])
    set_units(shopify, 4)
    give_a_code(shopify, "NEW-1")
    give_a_code(shopify, "NEW-2")
    wait_until(lambda: len(receiver.received) == 2)
    assert {body["id"] for body in receiver.bodies()} == {number_in(variant["inventory_item_id"])}
    assert receiver.bodies()[-1]["sku"] == "NEW-2"


def test_a_variant_is_told_when_its_last_unit_goes_and_the_first_comes(shopify, simulator, receiver, wait_until):
    for topic in ("VARIANTS_IN_STOCK", "VARIANTS_OUT_OF_STOCK", "INVENTORY_LEVELS_UPDATE"):
        subscribe(shopify, topic, receiver.url)
    variant = shopify.variant()
    set_units(shopify, 2)
    simulator.shopify.set_variant(variant, shopify.location, quantity=0)  # there are two left elsewhere
    wait_until(lambda: len(receiver.received) == 3)
    assert {headers["X-Shopify-Topic"] for headers, _ in receiver.received} == {"inventory_levels/update"}
    receiver.received.clear()
    simulator.shopify.order(variant, 2, shopify.other_location)
    wait_until(lambda: len(receiver.received) == 2)
    by_topic = {headers["X-Shopify-Topic"]: (headers, json.loads(body)) for headers, body in receiver.received}
    headers, body = by_topic["variants/out_of_stock"]
    assert headers["X-Shopify-Event-Id"] == by_topic["inventory_levels/update"][0]["X-Shopify-Event-Id"]
    known = {
        "id": number_in(variant["variant_id"]),
        "admin_graphql_api_id": variant["variant_id"],
        "product_id": number_in(variant["product_id"]),
        "sku": variant["sku"],
        "price": variant["price"],
        "compare_at_price": variant["compare_at_price"],
        "inventory_policy": "deny",
        "inventory_quantity": 0,
        "old_inventory_quantity": 0,
    }
    assert known.items() <= body.items()
    others = {"barcode", "created_at", "image_id", "option1", "option2", "option3", "position", "taxable", "title"}
    assert body.keys() == known.keys() | others | {"updated_at"}
    receiver.received.clear()
    simulator.shopify.set_variant(variant, shopify.location, quantity=1)
    simulator.shopify.set_variant(variant, shopify.location, quantity=2)
    wait_until(lambda: len(receiver.received) == 3)
    topics = [headers["X-Shopify-Topic"] for headers, _ in receiver.received]
    assert topics.count("variants/in_stock") == 1


def test_a_variant_whose_last_units_lay_where_it_is_no_more_is_out_of_stock(shopify, simulator, receiver, wait_until):
    simulator.shopify.set_variant(shopify.variant(), shopify.other_location, quantity=0)
    subscribe(shopify, "VARIANTS_OUT_OF_STOCK", receiver.url)
    simulator.shopify.unstock(shopify.variant(), shopify.location)
    (body,) = wait_until(receiver.bodies)
    assert body["inventory_quantity"] == 0


def test_locations_that_close_and_open_are_told(shopify, simulator, receiver, wait_until):
    subscribe(shopify, "LOCATIONS_DEACTIVATE", receiver.url)
    subscribe(shopify, "LOCATIONS_ACTIVATE", receiver.url)
    simulator.shopify.set_store(inactive_locations=[shopify.other_location])
    simulator.shopify.set_store(inactive_locations=[shopify.other_location])  # it is closed already
    simulator.shopify.set_store(inactive_locations=[])
    wait_until(lambda: len(receiver.received) == 2)
    told = [(headers["X-Shopify-Topic"], json.loads(body)) for headers, body in receiver.received]
    assert [(topic, body["active"]) for topic, body in told] == [
        ("locations/deactivate", False),
        ("locations/activate", True),
    ]
    for _, body in told:
        assert body["admin_graphql_api_id"] == shopify.other_location
        assert (body["id"], body["name"]) == (number_in(shopify.other_location), "City store")
        address = {"address1", "address2", "city", "zip", "province", "province_code", "phone"}
        address |= {"country", "country_code", "country_name"}
        assert {body[name] for name in address} == {None}
        others = {"id", "admin_graphql_api_id", "name", "active", "legacy", "created_at", "updated_at"}
        assert body.keys() == address | others


def test_a_discount_that_follows_another_has_a_new_id(shopify, simulator, receiver, wait_until):
    simulator.reset(now=MONDAY, speed=0)
    subscribe(shopify, "DISCOUNTS_DELETE", receiver.url)
    subscribe(shopify, "DISCOUNTS_CREATE", receiver.url)
    ids = "{ discountNodes(first: 9) { nodes { id } } }"
    before = {node["id"] for node in shopify.data(ids)["discountNodes"]["nodes"]}
    simulator.step(seconds=61 * DAY)
    after = {node["id"] for node in shopify.data(ids)["discountNodes"]["nodes"]}
    wait_until(lambda: len(receiver.received) == 8)
    by_topic: dict[str, list[Any]] = {"discounts/delete": [], "discounts/create": []}
    for headers, body in receiver.received:
        by_topic[headers["X-Shopify-Topic"]].append(json.loads(body))
    assert {body["admin_graphql_api_id"] for body in by_topic["discounts/delete"]} == before
    assert all(body.keys() == {"admin_graphql_api_id", "deleted_at"} for body in by_topic["discounts/delete"])
    created = {body["admin_graphql_api_id"]: body for body in by_topic["discounts/create"]}
    assert created.keys() == after
    assert after.isdisjoint(before)
    assert {body["title"] for body in created.values()} == {"WELCOME5", "SAVE20", "ONE15", "10% off everything"}
    for body in created.values():
        assert body.keys() == {"admin_graphql_api_id", "title", "status", "created_at", "updated_at"}
        assert (body["status"], body["created_at"]) == ("ACTIVE", "2026-03-06T00:00:00+00:00")


def test_an_application_is_told_what_it_may_do_from_now_on(shopify, simulator, receiver, wait_until):
    subscribe(shopify, "APP_SCOPES_UPDATE", receiver.url)
    before = simulator.shopify.shop()["scopes"]
    simulator.shopify.set_store(scopes=before)  # nothing changes
    simulator.shopify.set_store(scopes=["read_products"])
    (body,) = wait_until(receiver.bodies)
    assert body.keys() == {"id", "previous", "current", "updated_at"}
    assert (body["previous"], body["current"]) == (before, ["read_products"])


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
