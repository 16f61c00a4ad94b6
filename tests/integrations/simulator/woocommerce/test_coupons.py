"""Coupons as the shop keeps them."""

import pytest

pytestmark = pytest.mark.pure

PRINTED = {
    "code": "black25",
    "discount_type": "percent",
    "amount": "25.00",
    "minimum_amount": "50.00",
    "product_ids": [22, 31],
    "date_expires_gmt": "2026-12-01T00:00:00",
    "individual_use": True,
    "usage_limit": 500,
}


def test_printed_coupon_is_kept_as_printed(shop):
    coupon = shop.post("coupons", PRINTED)
    assert {name: coupon[name] for name in PRINTED} == PRINTED
    assert coupon["date_expires"] == "2026-12-01T01:00:00"
    (found,) = shop.get("coupons", code="black25")
    assert found == shop.get(f"coupons/{coupon['id']}") == coupon


def test_codes_are_lower_case_and_there_once(shop):
    first = shop.post("coupons", {"code": "BLACK25", "amount": "5"})
    assert (first["code"], first["amount"], first["discount_type"]) == ("black25", "5.00", "fixed_cart")
    assert shop.refusal("POST", "coupons", PRINTED) == (400, "woocommerce_rest_coupon_code_already_exists")
    second = shop.post("coupons", {"code": "other"})
    assert shop.refusal("PUT", f"coupons/{second['id']}", {"code": "Black25"})[0] == 400
    assert [entry["id"] for entry in shop.get("coupons", code="Black25")] == [first["id"]]


def test_coupon_is_changed_and_deleted(shop):
    coupon = shop.post("coupons", PRINTED)
    changed = shop.put(f"coupons/{coupon['id']}", {"amount": "30", "date_expires": "", "usage_limit": None})
    assert (changed["amount"], changed["date_expires_gmt"], changed["usage_limit"]) == ("30.00", None, None)
    assert changed["product_ids"] == [22, 31]
    assert shop.send("DELETE", f"coupons/{coupon['id']}").json()["status"] == "trash"
    assert shop.get("coupons", code="black25") == []
    assert shop.send("DELETE", f"coupons/{coupon['id']}", force="true").status_code == 200
    assert shop.refusal("GET", f"coupons/{coupon['id']}") == (404, "woocommerce_rest_shop_coupon_invalid_id")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "rest_missing_callback_param"),
        ({"code": " "}, 400, "woocommerce_rest_empty_coupon_code"),
        ({"code": "x", "amount": 25}, 400, "rest_invalid_param"),
        ({"code": "x", "amount": "101", "discount_type": "percent"}, 400, "coupon_invalid_amount"),
        ({"code": "x", "amount": "-1"}, 400, "coupon_invalid_amount"),
        ({"code": "x", "discount_type": "gift"}, 400, "rest_invalid_param"),
    ],
)
def test_wrong_coupons_are_refused(shop, body, status, code):
    assert shop.refusal("POST", "coupons", body) == (status, code)


def test_missing_parameters_are_named(shop):
    answer = shop.send("POST", "coupons", {}).json()
    assert answer["message"] == "Missing parameter(s): code"
    assert answer["data"] == {"status": 400, "params": ["code"]}


def test_coupons_are_found_by_date(shop, simulator):
    before = simulator.now().strftime("%Y-%m-%dT%H:%M:%S")
    simulator.step(seconds=60)
    coupon = shop.post("coupons", {"code": "late"})
    found = shop.get("coupons", modified_after=before, dates_are_gmt="true")
    assert [entry["id"] for entry in found] == [coupon["id"]]
    assert len(shop.get("coupons")) == 4
