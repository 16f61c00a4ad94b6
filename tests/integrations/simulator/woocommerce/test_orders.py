"""Orders take stock and give it back; refunds count downwards."""

from datetime import UTC, datetime

import pytest

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)


def units(shop, id):
    return shop.get(f"products/{id}")["stock_quantity"]


@pytest.fixture
def order(shop, shirt, mug):
    """Two mugs and a red shirt, not paid yet."""
    lines = [{"product_id": mug, "quantity": 2}, {"product_id": 22, "variation_id": 732, "quantity": 1}]
    return shop.post("orders", {"line_items": lines})


def test_order_has_the_shape_that_demand_is_read_from(shop, simulator, shirt, mug):
    simulator.set_now(NOW)
    shop.put(f"products/{mug}", {"sale_price": "9.95"})
    lines = [{"product_id": mug, "quantity": 2}, {"product_id": 22, "variation_id": 732, "quantity": 1}]
    made = shop.send("POST", "orders", {"line_items": lines, "set_paid": True})
    assert made.status_code == 201
    order = shop.get(f"orders/{made.json()['id']}")
    assert order == made.json()
    assert made.headers["Location"].endswith(f"/orders/{order['id']}")
    assert (order["status"], order["currency"], order["total"], order["discount_total"]) == (
        "processing",
        "EUR",
        "44.80",
        "0.00",
    )
    assert order["number"] == str(order["id"])
    assert order["date_created_gmt"] == order["date_paid_gmt"] == "2026-11-21T10:15:30"
    assert order["date_created"] == "2026-11-21T11:15:30"
    assert order["date_completed_gmt"] is None
    names = ("product_id", "variation_id", "sku", "quantity", "subtotal", "total", "price")
    assert [{name: line[name] for name in names} for line in order["line_items"]] == [
        {
            "product_id": 794,
            "variation_id": 0,
            "sku": "PQ-1",
            "quantity": 2,
            "subtotal": "19.90",
            "total": "19.90",
            "price": 9.95,
        },
        {
            "product_id": 22,
            "variation_id": 732,
            "sku": "TS-RED-M",
            "quantity": 1,
            "subtotal": "24.90",
            "total": "24.90",
            "price": 24.9,
        },
    ]


def test_pending_order_holds_and_a_worked_on_one_takes(shop, mug, order):
    assert order["status"] == "pending"
    assert (units(shop, mug), units(shop, 732)) == (12, 5)
    for status in ("processing", "on-hold", "completed"):
        assert shop.put(f"orders/{order['id']}", {"status": status})["status"] == status
        assert (units(shop, mug), units(shop, 732)) == (10, 4)


@pytest.mark.parametrize("status", ["cancelled", "pending"])
def test_stock_comes_back_when_an_order_is_cancelled_or_pending_again(shop, mug, order, status):
    shop.put(f"orders/{order['id']}", {"status": "on-hold"})
    assert units(shop, mug) == 10
    shop.put(f"orders/{order['id']}", {"status": status})
    assert (units(shop, mug), units(shop, 732)) == (12, 5)


def test_unknown_orders_and_states_are_refused(shop, order):
    code = "woocommerce_rest_shop_order_invalid_id"
    assert shop.refusal("GET", "orders/1") == (404, code)
    assert shop.refusal("PUT", "orders/1", {"status": "completed"}) == (400, code)
    assert shop.refusal("PUT", f"orders/{order['id']}", {"status": "lost"}) == (400, "rest_invalid_param")
    unknown = {"line_items": [{"product_id": 4040}]}
    assert shop.refusal("POST", "orders", unknown) == (400, "woocommerce_rest_required_product_reference")


def test_refund_is_negative_and_puts_units_back(shop, mug, order):
    shop.put(f"orders/{order['id']}", {"status": "completed"})
    line = order["line_items"][0]["id"]
    body = {"amount": "19.90", "reason": "broken", "line_items": [{"id": line, "quantity": 1, "refund_total": 19.9}]}
    refund = shop.post(f"orders/{order['id']}/refunds", body)
    assert (refund["amount"], refund["reason"]) == ("19.90", "broken")
    assert [(entry["product_id"], entry["quantity"], entry["total"]) for entry in refund["line_items"]] == [
        (mug, -1, "-19.90")
    ]
    assert units(shop, mug) == 11
    assert shop.get(f"orders/{order['id']}/refunds") == [refund]
    assert shop.get(f"orders/{order['id']}/refunds/{refund['id']}") == refund
    shown = shop.get(f"orders/{order['id']}")
    assert shown["refunds"] == [{"id": refund["id"], "reason": "broken", "total": "-19.90"}]
    assert shown["status"] == "completed"


def test_order_refunded_in_full_is_refunded_and_never_beyond(shop, mug, order):
    shop.put(f"orders/{order['id']}", {"status": "completed"})
    refunds = f"orders/{order['id']}/refunds"
    assert shop.refusal("POST", refunds, {"amount": "0"}) == (400, "woocommerce_rest_invalid_order_refund")
    assert shop.refusal("POST", refunds, {"amount": "64.71"}) == (500, "woocommerce_rest_cannot_create_order_refund")
    shop.post(refunds, {"amount": "64.70"})
    assert shop.get(f"orders/{order['id']}")["status"] == "refunded"


def test_buyers_of_the_market_order_pay_and_send_back(shop, simulator):
    simulator.reset(now=datetime(2026, 1, 5, tzinfo=UTC), speed=0)
    simulator.step(seconds=20 * 86_400)
    orders = shop.all("orders", orderby="id", order="asc")
    assert {"pending", "processing", "completed", "cancelled", "refunded"} >= {order["status"] for order in orders}
    assert {"processing", "completed", "cancelled"} <= {order["status"] for order in orders}
    assert all((order["date_paid_gmt"] is None) == (order["status"] in ("pending", "cancelled")) for order in orders)
    assert len({order["id"] for order in orders}) == len(orders)
    for order in (entry for entry in orders if entry["status"] == "refunded"):
        (refund,) = shop.get(f"orders/{order['id']}/refunds")
        assert refund["amount"] == order["total"]
        assert [line["quantity"] for line in refund["line_items"]] == [
            -line["quantity"] for line in order["line_items"]
        ]


def test_orders_are_found_by_state_time_and_product(shop, simulator, mug, order):
    simulator.step(seconds=60)
    late = shop.post("orders", {"line_items": [{"product_id": mug, "quantity": 1}], "set_paid": True})

    def found(**query):
        return [entry["id"] for entry in shop.all("orders", orderby="id", order="asc", **query)]

    assert found(status="processing") == [late["id"]]
    assert found(status="pending,processing") == [order["id"], late["id"]]
    assert found(after=order["date_created_gmt"], dates_are_gmt="true") == [late["id"]]
    assert found(modified_after=order["date_created_gmt"], dates_are_gmt="true") == [late["id"]]
    assert found(product=22) == [order["id"]]
    assert found(include=late["id"]) == [late["id"]]
    assert shop.refusal("GET", "orders", status="lost") == (400, "rest_invalid_param")


def test_orders_of_another_shop_stay_hidden(other_shop, order):
    assert other_shop.refusal("GET", f"orders/{order['id']}")[0] == 404
    assert order["id"] not in [entry["id"] for entry in other_shop.all("orders")]


def test_order_of_a_buyer_can_be_asked_for(shop, simulator, shirt):
    number = simulator.woocommerce.order(22, 732, quantity=2)
    order = shop.get(f"orders/{number}")
    assert (order["status"], order["line_items"][0]["quantity"]) == ("pending", 2)
    assert units(shop, 732) == 5
    simulator.step(seconds=3_600)
    assert shop.get(f"orders/{number}")["status"] in ("processing", "cancelled")
