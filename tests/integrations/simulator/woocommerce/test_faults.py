"""What goes wrong in the field, on request."""

import time

import pytest
import requests

pytestmark = pytest.mark.pure

BATCH = "POST products/batch"


def units(shop, id):
    return shop.get(f"products/{id}")["stock_quantity"]


@pytest.fixture
def many(shop):
    """Ten products of 5 units each, as rows that set them to 1."""
    for id in range(2_001, 2_011):
        shop.add(id, sku=f"M-{id}", quantity=5)
    return [{"id": id, "stock_quantity": 1} for id in range(2_001, 2_011)]


def quantities(shop):
    return [units(shop, id) for id in range(2_001, 2_011)]


def test_gateway_gives_up_after_half_a_batch(shop, many):
    shop.fault("partial", method=BATCH)
    response = shop.send("POST", "products/batch", {"update": many})
    assert response.status_code == 504
    assert response.headers["Content-Type"].startswith("text/html")
    assert quantities(shop) == [1] * 5 + [5] * 5


@pytest.mark.parametrize("rows", [0, 3, 10])
def test_how_much_of_a_batch_is_applied_can_be_said(shop, many, rows):
    shop.fault("partial", method=BATCH, rows=rows)
    assert shop.send("POST", "products/batch", {"update": many}).status_code == 504
    assert quantities(shop) == [1] * rows + [5] * (10 - rows)


def test_answer_may_be_lost_after_the_write(shop, mug):
    shop.fault("lost", method="PUT products/{id}")
    with pytest.raises(requests.ConnectionError):
        shop.send("PUT", f"products/{mug}", {"stock_quantity": 3})
    assert units(shop, mug) == 3


def test_page_of_a_firewall_stands_in_place_of_json(shop):
    shop.fault("html", body="<html>Just a moment...</html>", status=403)
    response = shop.send("GET", "products")
    assert (response.status_code, response.text) == (403, "<html>Just a moment...</html>")
    assert shop.send("GET", "products").status_code == 200


def test_php_notice_stands_before_the_json(shop):
    shop.fault("notice")
    response = shop.send("GET", "products")
    assert response.status_code == 200
    assert response.text.startswith("<br />\n<b>Notice</b>")
    assert response.text.endswith("]")


@pytest.mark.parametrize("status", [429, 503])
def test_host_may_refuse_for_a_while(shop, status):
    shop.fault("status", status=status, headers={"Retry-After": "30"})
    response = shop.send("GET", "products")
    assert (response.status_code, response.headers["Retry-After"]) == (status, "30")


@pytest.mark.parametrize("status", [500, 502, 504])
def test_server_may_fail(shop, mug, status):
    shop.fault("error", status=status, code=status)
    response = shop.send("PUT", f"products/{mug}", {"stock_quantity": 3})
    assert (response.status_code, response.json()["code"]) == (status, "internal_server_error")
    assert units(shop, mug) == 12


def test_any_error_of_the_shop_can_be_had(shop):
    rule = {
        "status": 401,
        "code": 401,
        "sub_code": "woocommerce_rest_authentication_error",
        "msg": "Invalid timestamp.",
    }
    shop.fault("error", **rule)
    answer = shop.send("GET", "products").json()
    assert (answer["code"], answer["message"]) == ("woocommerce_rest_authentication_error", "Invalid timestamp.")


def test_write_may_be_answered_as_done_and_not_be(shop, mug):
    shop.fault("silent_drop", method="PUT products/{id}")
    assert shop.put(f"products/{mug}", {"stock_quantity": 3, "sku": "OTHER"})["stock_quantity"] == 3
    assert (units(shop, mug), shop.get(f"products/{mug}")["sku"]) == (12, "PQ-1")
    assert shop.put(f"products/{mug}", {"stock_quantity": 3})["stock_quantity"] == 3
    assert units(shop, mug) == 3


def test_dropped_write_leaves_the_market_what_it_had(shop, simulator, mug):
    shop.fault("silent_drop")
    shop.put(f"products/{mug}", {"stock_quantity": 0})
    simulator.step(seconds=86_400)
    assert units(shop, mug) > 0


def test_write_may_be_seen_later(shop, many):
    shop.fault("delayed_visibility", seconds=0.3, method=BATCH)
    answer = shop.post("products/batch", {"update": many})
    assert [entry["stock_quantity"] for entry in answer["update"]] == [1] * 10
    assert quantities(shop) == [5] * 10
    time.sleep(0.35)
    assert quantities(shop) == [1] * 10


def test_null_blanks_facts_and_keeps_identities(shop, mug):
    shop.fault("null", fields=["stock_quantity", "price"])
    entry = shop.get(f"products/{mug}")
    assert (entry["id"], entry["stock_quantity"], entry["price"], entry["sku"]) == (mug, None, None, "PQ-1")


def test_half_an_answer_is_cut_json(shop):
    shop.fault("half")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        shop.send("GET", "products").json()


def test_fault_meets_its_shop_only(shop, other_shop):
    shop.fault("status", status=500, shop=other_shop.key)
    assert shop.send("GET", "products").status_code == 200
    assert other_shop.send("GET", "products").status_code == 500


def test_spoilt_call_is_in_the_ledger(shop, simulator):
    shop.fault("drop", method="GET products")
    with pytest.raises(requests.ConnectionError):
        shop.send("GET", "products")
    assert [(entry["method"], entry["sub_code"]) for entry in simulator.ledger()] == [("GET products", "drop")]
