"""Webhooks: how they are managed, what a delivery says, and when the shop gives up."""

import base64
import hmac
import time

import orjson
import pytest

pytestmark = pytest.mark.pure

SECRET = "woo-hook-secret"
FORM = "application/x-www-form-urlencoded"


class Deliveries:
    """What a receiver was sent, pings left out unless asked for."""

    def __init__(self, receiver):
        self.receiver = receiver
        self.url = f"{receiver.url}/hooks/woo/42"

    def all(self, *, pings=False):
        return [entry for entry in list(self.receiver.received) if (entry[0]["Content-Type"] == FORM) == pings]

    def wait(self, count, *, pings=False):
        """The first `count` of them, once they are there."""
        until = time.monotonic() + 5
        while len(self.all(pings=pings)) < count:
            assert time.monotonic() < until, f"{len(self.all(pings=pings))} of {count} deliveries"
            time.sleep(0.01)
        return self.all(pings=pings)


@pytest.fixture
def deliveries(receiver):
    return Deliveries(receiver)


def subscribe(shop, deliveries, topic, **changes):
    body = {"name": "Stock", "topic": topic, "delivery_url": deliveries.url, "secret": SECRET, **changes}
    hook = shop.post("webhooks", body)
    deliveries.wait(1, pings=True)
    return hook


def noted(simulator, count):
    """The shop knows what became of `count` deliveries."""
    until = time.monotonic() + 5
    while sum(1 for d in simulator.woocommerce.webhooks()["deliveries"] if d["topic"] != "ping") < count:
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.03)


def settled(simulator):
    """Everything on its way has arrived, or failed to."""
    until = time.monotonic() + 5
    time.sleep(0.15)
    while simulator.woocommerce.webhooks()["waiting"]:
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.1)


def test_webhook_is_made_with_an_unsigned_ping(shop, deliveries):
    response = shop.send("POST", "webhooks", {"topic": "product.updated", "delivery_url": deliveries.url})
    hook = response.json()
    assert response.status_code == 201
    assert (hook["status"], hook["topic"], hook["resource"], hook["event"]) == (
        "active",
        "product.updated",
        "product",
        "updated",
    )
    assert "secret" not in hook
    ((headers, body),) = deliveries.wait(1, pings=True)
    assert body == f"webhook_id={hook['id']}".encode()
    assert not [name for name in headers if name.lower().startswith("x-wc-")]


def test_delivery_is_signed_and_says_what_it_is_about(shop, deliveries, mug):
    hook = subscribe(shop, deliveries, "product.updated")
    shop.put(f"products/{mug}", {"stock_quantity": 7})
    ((headers, body),) = deliveries.wait(1)
    assert headers["X-WC-Webhook-Topic"] == "product.updated"
    assert (headers["X-WC-Webhook-Resource"], headers["X-WC-Webhook-Event"]) == ("product", "updated")
    assert headers["X-WC-Webhook-ID"] == str(hook["id"])
    assert headers["X-WC-Webhook-Source"] == f"{shop.simulator.base_url}/"
    assert headers["Content-Type"] == "application/json"
    assert "Hookshot" in headers["User-Agent"]
    assert headers["Connection"] == "close"
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode()
    assert headers["X-WC-Webhook-Signature"] == signature
    assert orjson.loads(body) == shop.get(f"products/{mug}")


def test_variation_is_delivered_under_its_own_id(shop, deliveries, shirt):
    subscribe(shop, deliveries, "product.updated")
    shop.put("products/22/variations/732", {"stock_quantity": 1})
    ((_, body),) = deliveries.wait(1)
    sent = orjson.loads(body)
    assert (sent["id"], sent["type"], sent["parent_id"], sent["stock_quantity"]) == (732, "variation", 22, 1)


def test_what_the_market_sells_is_delivered(shop, deliveries, simulator):
    subscribe(shop, deliveries, "order.created")
    simulator.step(seconds=86_400)
    headers, body = deliveries.wait(3)[0]
    order = orjson.loads(body)
    assert headers["X-WC-Webhook-Topic"] == "order.created"
    assert shop.get(f"orders/{order['id']}")["line_items"] == order["line_items"]


def test_orders_that_change_and_stock_they_take_are_delivered(shop, deliveries, mug):
    order = shop.post("orders", {"line_items": [{"product_id": mug, "quantity": 2}]})
    subscribe(shop, deliveries, "order.updated")
    subscribe(shop, deliveries, "product.updated")
    shop.put(f"orders/{order['id']}", {"status": "processing"})
    sent = {headers["X-WC-Webhook-Topic"]: orjson.loads(body) for headers, body in deliveries.wait(2)}
    assert sent["order.updated"]["status"] == "processing"
    assert (sent["product.updated"]["id"], sent["product.updated"]["stock_quantity"]) == (mug, 10)


def test_deleted_says_the_id_only(shop, deliveries, mug):
    subscribe(shop, deliveries, "product.deleted")
    shop.send("DELETE", f"products/{mug}", force="true")
    ((_, body),) = deliveries.wait(1)
    assert body == b'{"id":794}'


@pytest.mark.parametrize(
    ("topic", "verb", "path", "body"),
    [
        ("product.created", "POST", "products", {"name": "New"}),
        ("product.deleted", "DELETE", "products/794", None),
        ("product.restored", "PUT", "products/795", {"status": "publish"}),
        ("coupon.created", "POST", "coupons", {"code": "new"}),
        ("order.created", "POST", "orders", {"line_items": [{"product_id": 794, "quantity": 1}]}),
    ],
)
def test_each_topic_is_set_off_by_its_deed(shop, deliveries, mug, topic, verb, path, body):
    shop.add(795, sku="TRASHED")
    shop.send("DELETE", "products/795")
    subscribe(shop, deliveries, topic)
    assert shop.send(verb, path, body).status_code in (200, 201)
    ((headers, _),) = deliveries.wait(1)
    assert headers["X-WC-Webhook-Topic"] == topic


def test_changes_that_wait_are_one_delivery_of_the_last_state(shop, deliveries, simulator, mug):
    subscribe(shop, deliveries, "product.updated")
    shop.fault("webhook_delay", method="product.updated", seconds=0.4)
    for quantity in (9, 8, 7):
        shop.put(f"products/{mug}", {"stock_quantity": quantity})
    deliveries.wait(1)
    settled(simulator)
    assert [orjson.loads(body)["stock_quantity"] for _, body in deliveries.all()] == [7]


def test_delivery_id_is_not_unique(shop, deliveries, shirt, mug):
    subscribe(shop, deliveries, "product.updated")
    for _ in range(3):  # within one second, sooner or later
        body = {"update": [{"id": mug, "inventory_delta": -1}, {"id": shirt, "name": f"Shirt {time.monotonic()}"}]}
        shop.post("products/batch", body)
        (first, second) = deliveries.wait(2)[:2]
        ids = {entry[0]["X-WC-Webhook-Delivery-ID"] for entry in (first, second)}
        assert len(ids.pop()) == 32
        if not ids:
            return
        deliveries.receiver.received.clear()
    pytest.fail("two deliveries of one second had different ids three times")


def test_duplicates_and_losses_happen(shop, deliveries, simulator, mug):
    subscribe(shop, deliveries, "product.updated")
    shop.fault("webhook_duplicate", method="product.updated")
    shop.put(f"products/{mug}", {"stock_quantity": 9})
    (first, second) = deliveries.wait(2)
    assert first[1] == second[1]
    deliveries.receiver.received.clear()
    shop.fault("webhook_drop", method="product.updated")
    shop.put(f"products/{mug}", {"stock_quantity": 8})
    settled(simulator)
    assert deliveries.all() == []


def test_deliveries_may_come_in_another_order(shop, deliveries, shirt, mug):
    subscribe(shop, deliveries, "product.updated")
    shop.fault("webhook_reorder", method="product.updated")
    shop.put(f"products/{mug}", {"stock_quantity": 9})
    time.sleep(0.2)
    assert deliveries.all() == []
    shop.put("products/22/variations/732", {"stock_quantity": 1})
    assert [orjson.loads(body)["id"] for _, body in deliveries.wait(2)] == [732, mug]


def test_seventh_failure_in_a_row_disables_and_nothing_is_sent_again(shop, deliveries, simulator, mug):
    hook = subscribe(shop, deliveries, "product.updated")
    path = f"webhooks/{hook['id']}"
    deliveries.receiver.status = 500
    for number in range(1, 8):
        assert shop.get(path)["status"] == "active"
        shop.put(f"products/{mug}", {"stock_quantity": number})
        noted(simulator, number)
    assert len(deliveries.all()) == 7
    assert shop.get(path)["status"] == "disabled"
    assert [entry["id"] for entry in shop.get("webhooks", status="disabled")] == [hook["id"]]
    shop.put(f"products/{mug}", {"stock_quantity": 20})
    settled(simulator)
    assert len(deliveries.all()) == 7
    deliveries.receiver.status = 200
    assert shop.put(path, {"status": "active"})["status"] == "active"
    shop.put(f"products/{mug}", {"stock_quantity": 21})
    deliveries.wait(8)


@pytest.mark.parametrize("status", [200, 204, 302])
def test_success_starts_the_count_again(shop, deliveries, simulator, mug, status):
    hook = subscribe(shop, deliveries, "product.updated")
    for number in range(1, 10):
        deliveries.receiver.status = status if number == 6 else 500
        shop.put(f"products/{mug}", {"stock_quantity": number})
        noted(simulator, number)
    assert shop.get(f"webhooks/{hook['id']}")["status"] == "active"


def test_webhooks_are_changed_and_deleted(shop, deliveries, simulator, mug):
    hook = subscribe(shop, deliveries, "product.updated")
    path = f"webhooks/{hook['id']}"
    assert shop.put(path, {"name": "Other", "status": "paused"})["name"] == "Other"
    shop.put(f"products/{mug}", {"stock_quantity": 1})
    settled(simulator)
    assert deliveries.all() == []
    assert shop.refusal("DELETE", path) == (501, "woocommerce_rest_trash_not_supported")
    assert shop.send("DELETE", path, force="true").json()["id"] == hook["id"]
    assert shop.refusal("GET", path) == (404, "woocommerce_rest_shop_webhook_invalid_id")
    assert shop.get("webhooks") == []


def test_wrong_webhooks_are_refused(shop):
    url = "https://sync.example.com/hooks"
    topic = {"topic": "product.sold", "delivery_url": url}
    address = {"topic": "product.updated", "delivery_url": "ftp://sync.example.com"}
    assert shop.refusal("POST", "webhooks", topic) == (400, "woocommerce_rest_shop_webhook_invalid_topic")
    assert shop.refusal("POST", "webhooks", address) == (400, "woocommerce_rest_shop_webhook_invalid_delivery_url")


def test_webhooks_of_another_shop_stay_hidden(shop, other_shop, deliveries):
    hook = subscribe(shop, deliveries, "product.updated")
    assert other_shop.get("webhooks") == []
    assert other_shop.refusal("GET", f"webhooks/{hook['id']}")[0] == 404
