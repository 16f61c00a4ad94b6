"""productVariantsBulkUpdate."""

import pytest

from tests.integrations.simulator.shopify.conftest import Caller
from tests.integrations.simulator.shopify.documents import PRICES

pytestmark = pytest.mark.pure


def set_prices(shopify, *variants, product=None, partial=False):
    product_id = product or shopify.variant()["product_id"]
    data = shopify.data(PRICES, productId=product_id, variants=list(variants), partial=partial)
    return data["productVariantsBulkUpdate"]


def test_price_and_compare_at_price_are_set(shopify, simulator):
    variant = shopify.variant()
    payload = set_prices(shopify, {"id": variant["variant_id"], "price": "19.90", "compareAtPrice": "24.90"})
    assert payload["userErrors"] == []
    (shown,) = payload["productVariants"]
    assert (shown["sku"], shown["price"], shown["compareAtPrice"]) == (variant["sku"], "19.90", "24.90")
    after = shopify.variant()
    assert (after["price"], after["compare_at_price"]) == ("19.90", "24.90")
    set_prices(shopify, {"id": variant["variant_id"], "compareAtPrice": None})
    after = shopify.variant()
    assert (after["price"], after["compare_at_price"]) == ("19.90", None)
    assert simulator.ledger()[-1]["item_ids"] == [variant["variant_id"]]


def test_number_is_taken_as_a_price_and_code_and_barcode_too(shopify):
    variant = shopify.variant()
    given = {"id": variant["variant_id"], "price": 7, "barcode": "4006381333931", "inventoryItem": {"sku": "新/编码"}}
    set_prices(shopify, given)
    after = shopify.variant()
    assert (after["price"], after["barcode"], after["sku"]) == ("7.00", "4006381333931", "新/编码")


def test_yen_have_no_decimals(simulator):
    tokyo = Caller(simulator, "shopify-tokyo")
    (shown,) = set_prices(tokyo, {"id": tokyo.variant()["variant_id"], "price": "1980"})["productVariants"]
    assert shown["price"] == "1980"
    tokyo.http.close()


@pytest.mark.parametrize("partial", [False, True])
def test_negative_price_keeps_the_others_out_unless_partial(shopify, simulator, partial):
    first, second = simulator.shopify.variants()[:2]
    assert first["product_id"] == second["product_id"]
    payload = set_prices(
        shopify,
        {"id": first["variant_id"], "price": "5.00"},
        {"id": second["variant_id"], "price": "-1"},
        partial=partial,
    )
    assert payload["userErrors"] == [
        {
            "field": ["variants", "1", "price"],
            "message": "Price must be greater than or equal to 0",
            "code": "GREATER_THAN_OR_EQUAL_TO",
        }
    ]
    written = shopify.variant()["price"]
    if partial:
        assert [node["id"] for node in payload["productVariants"]] == [first["variant_id"]]
        assert written == "5.00"
    else:
        assert payload["productVariants"] is None
        assert written == first["price"]


@pytest.mark.parametrize(
    ("entry", "product", "code", "field"),
    [
        ({"price": "1"}, None, "PRODUCT_VARIANT_ID_MISSING", ["variants", "0", "id"]),
        (
            {"id": "gid://shopify/ProductVariant/404"},
            None,
            "PRODUCT_VARIANT_DOES_NOT_EXIST",
            ["variants", "0", "id"],
        ),
        ({}, "gid://shopify/Product/404", "PRODUCT_DOES_NOT_EXIST", ["productId"]),
        ({"price": None, "id": "own"}, None, "INVALID_INPUT", ["variants", "0", "price"]),
        ({"compareAtPrice": "-3", "id": "own"}, None, "GREATER_THAN_OR_EQUAL_TO", ["variants", "0", "compareAtPrice"]),
    ],
)
def test_refused_price_is_named_by_its_index(shopify, entry, product, code, field):
    if entry.get("id") == "own":
        entry = {**entry, "id": shopify.variant()["variant_id"]}
    (error,) = set_prices(shopify, entry, product=product)["userErrors"]
    assert (error["code"], error["field"]) == (code, field)


def test_variant_of_another_product_is_not_found(shopify, simulator):
    rows = simulator.shopify.variants()
    other = next(row for row in rows if row["product_id"] != rows[0]["product_id"])
    (error,) = set_prices(shopify, {"id": other["variant_id"], "price": "1"})["userErrors"]
    assert error["code"] == "PRODUCT_VARIANT_DOES_NOT_EXIST"


def test_what_is_no_amount_is_an_invalid_variable(shopify):
    error = shopify.error(PRICES, productId="gid://shopify/Product/1", variants=[{"price": "cheap"}])
    assert error["extensions"]["code"] == "INVALID_VARIABLE"
    assert error["extensions"]["problems"][0]["path"] == [0, "price"]


def test_silent_drop_answers_with_the_price_that_was_not_set(shopify, simulator):
    variant = shopify.variant()
    simulator.shopify.fail_next(kind="silent_drop")
    (shown,) = set_prices(shopify, {"id": variant["variant_id"], "price": "0.05"})["productVariants"]
    assert shown["price"] == "0.05"
    assert shopify.variant()["price"] == variant["price"]
