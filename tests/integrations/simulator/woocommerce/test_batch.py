"""Many in one call: mixed outcomes, the limit, and what is not undone."""

import pytest

pytestmark = pytest.mark.pure


def test_printed_batch_is_answered_as_printed(shop, mug):
    body = {"update": [{"id": 794, "manage_stock": True, "stock_quantity": 7}, {"id": 999999, "stock_quantity": 1}]}
    response = shop.send("POST", "products/batch", body)
    assert response.status_code == 200
    applied, refused = response.json()["update"]
    assert {name: applied[name] for name in ("id", "manage_stock", "stock_quantity")} == {
        "id": 794,
        "manage_stock": True,
        "stock_quantity": 7,
    }
    assert refused == {
        "id": 999999,
        "error": {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID.", "data": {"status": 400}},
    }


def test_each_list_keeps_its_order(shop, shirt, mug):
    body = {
        "create": [{"sku": "NEW", "regular_price": "3.00"}, {"sku": "PQ-1"}],
        "update": [{"id": 22, "name": "Shirt"}, {"id": 732, "stock_quantity": 1}, {"id": mug, "regular_price": 3}],
        "delete": [mug, 5],
    }
    answer = shop.post("products/batch", body)
    assert [entry.get("sku") for entry in answer["create"]] == ["NEW", None]
    assert answer["create"][1] == {
        "id": 0,
        "error": {
            "code": "product_invalid_sku",
            "message": "Invalid or duplicated SKU.",
            "data": {"status": 400, "resource_id": mug, "unique_sku": "PQ-1-1"},
        },
    }
    codes = [entry.get("error", {}).get("code") for entry in answer["update"]]
    assert codes == [None, "woocommerce_rest_invalid_product_id", "rest_invalid_param"]
    # Deletions are forced.
    assert [entry.get("error", {}).get("code") for entry in answer["delete"]] == [
        None,
        "woocommerce_rest_product_invalid_id",
    ]
    assert shop.refusal("GET", f"products/{mug}")[0] == 404


def test_variations_of_one_product_are_written_together(shop, shirt):
    shop.add(30, variations=[{"id": 31, "sku": "OTHER", "quantity": 1}])
    body = {"update": [{"id": 732, "stock_quantity": 1}, {"id": 733, "stock_quantity": 2}, {"id": 31}]}
    answer = shop.post("products/22/variations/batch", body)
    assert [entry.get("stock_quantity") for entry in answer["update"]] == [1, 2, None]
    assert answer["update"][2]["error"]["message"] == "Parent product does not match current variation."


def test_hundred_are_taken_and_more_are_not(shop, mug):
    rows = [{"id": mug, "stock_quantity": number} for number in range(100)]
    assert len(shop.post("products/batch", {"update": rows})["update"]) == 100
    refused = (413, "woocommerce_rest_request_entity_too_large")
    assert shop.refusal("POST", "products/batch", {"update": rows, "delete": [mug]}) == refused
    assert shop.get(f"products/{mug}")["stock_quantity"] == 99
    shop.set(batch_limit=10)
    response = shop.send("POST", "products/batch", {"update": rows[:11]})
    assert response.json()["message"] == "Unable to accept more than 10 items for this request."


def test_body_of_another_shape_is_refused(shop):
    assert shop.refusal("POST", "products/batch", {"update": ["x"]}) == (400, "rest_invalid_param")
    assert shop.refusal("POST", "products/batch", {"update": 7}) == (400, "rest_invalid_param")
    assert shop.post("products/batch", {}) == []


def test_orders_and_coupons_have_batches_too(shop, mug):
    order = shop.post("orders", {"line_items": [{"product_id": mug, "quantity": 1}]})
    answer = shop.post("orders/batch", {"update": [{"id": order["id"], "status": "processing"}, {"id": 1}]})
    assert answer["update"][0]["status"] == "processing"
    assert answer["update"][1]["error"]["code"] == "woocommerce_rest_shop_order_invalid_id"
    answer = shop.post("coupons/batch", {"create": [{"code": "A"}, {"code": "a"}]})
    assert answer["create"][0]["code"] == "a"
    assert answer["create"][1]["error"]["code"] == "woocommerce_rest_coupon_code_already_exists"
