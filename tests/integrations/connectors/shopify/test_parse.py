"""Shopify's JSON in, plain values out."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from catalog.facts import Facts, ShelfState
from integrations.connectors.base import ListingRef, PushStatus, ReadOutcome, StockTarget
from integrations.connectors.shopify import parse
from integrations.connectors.values import HalfAnswer

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("gid://shopify/InventoryItem/53469430055218", "53469430055218"),
        ("gid://shopify/ProductVariant/9007199254740993", "9007199254740993"),
        ("gid://shopify/InventoryLevel/143273034034?inventory_item_id=53486247084338", "143273034034"),
        (271878346596884015, "271878346596884015"),
        ("271878346596884015", "271878346596884015"),
        ("gid://shopify/Product/", ""),
        ("gid://shopify/Product/0", ""),
        ("gid://shopify/Product/12x", ""),
        ("gid://other/Product/12", ""),
        (True, ""),
        (Decimal("1.5"), ""),
        (None, ""),
        ("", ""),
        ({}, ""),
    ],
)
def test_the_number_of_an_id_is_exact_text(value, expected):
    assert parse.number_of(value) == expected


def variant(**changes):
    return {
        "id": "gid://shopify/ProductVariant/11",
        "sku": "A/灯-1",
        "barcode": "6901234567892",
        "price": "19.90",
        "compareAtPrice": None,
        "inventoryPolicy": "DENY",
        "inventoryQuantity": 7,
        "updatedAt": "2026-11-21T10:00:00Z",
        "product": {"id": "gid://shopify/Product/1", "title": "Lamp", "status": "ACTIVE"},
        "inventoryItem": {"id": "gid://shopify/InventoryItem/1001", "tracked": True},
    } | changes


def product(status):
    return {"product": {"id": "gid://shopify/Product/1", "title": "Lamp", "status": status}}


@pytest.mark.parametrize(
    ("changes", "expected", "cause"),
    [
        pytest.param({}, ("19.90", "19.90", 7, "on_shelf"), "", id="as it is"),
        pytest.param({"compareAtPrice": "24.90"}, ("24.90", "19.90", 7, "on_shelf"), "", id="on sale"),
        pytest.param({"compareAtPrice": "19.90"}, ("19.90", "19.90", 7, "on_shelf"), "", id="compared with itself"),
        pytest.param({"compareAtPrice": "9.90"}, ("19.90", "19.90", 7, "on_shelf"), "", id="compared with less"),
        pytest.param({"compareAtPrice": "0.00"}, ("19.90", "19.90", 7, "on_shelf"), "", id="compared with nothing"),
        pytest.param({"price": "1500"}, ("1500", "1500", 7, "on_shelf"), "", id="yen"),
        pytest.param({"price": "0.00"}, (None, None, 7, "on_shelf"), "price-not-positive", id="free"),
        pytest.param({"price": None}, (None, None, 7, "on_shelf"), "", id="no price"),
        pytest.param({"price": "x"}, (None, None, 7, "on_shelf"), "price-unreadable", id="no amount"),
        pytest.param(
            {"compareAtPrice": "x"}, ("19.90", "19.90", 7, "on_shelf"), "price-unreadable", id="no amount to compare"
        ),
        pytest.param({"inventoryQuantity": 0}, ("19.90", "19.90", 0, "sold_out"), "", id="none left"),
        pytest.param({"inventoryQuantity": -3}, ("19.90", "19.90", -3, "sold_out"), "", id="oversold"),
        pytest.param(
            {"inventoryQuantity": 0, "inventoryPolicy": "CONTINUE"},
            ("19.90", "19.90", 0, "on_shelf"),
            "",
            id="sold on when none are left",
        ),
        pytest.param({"inventoryQuantity": None}, ("19.90", "19.90", None, "on_shelf"), "", id="stock not told"),
        pytest.param(
            {"inventoryQuantity": "many"}, ("19.90", "19.90", None, "on_shelf"), "stock-unreadable", id="no number"
        ),
        pytest.param(
            {"inventoryItem": {"id": "gid://shopify/InventoryItem/1", "tracked": False}, "inventoryQuantity": 0},
            ("19.90", "19.90", None, "on_shelf"),
            "",
            id="not counted",
        ),
        pytest.param({"inventoryItem": None}, ("19.90", "19.90", None, "on_shelf"), "", id="counted or not: not told"),
        pytest.param(product("DRAFT"), ("19.90", "19.90", 7, "off_shelf"), "", id="draft"),
        pytest.param(product("ARCHIVED"), ("19.90", "19.90", 7, "off_shelf"), "", id="archived"),
        pytest.param(product("UNLISTED"), ("19.90", "19.90", 7, "on_shelf"), "", id="sold by link"),
        pytest.param(product("SOMETHING_NEW"), ("19.90", "19.90", 7, "unknown"), "", id="unheard of"),
        pytest.param(product(None), ("19.90", "19.90", 7, "unknown"), "", id="status not told"),
    ],
)
def test_facts_of_a_variant(changes, expected, cause):
    before, live, stock, state = expected
    facts = Facts(before and Decimal(before), live and Decimal(live), None, stock, ShelfState(state))
    [reading] = parse.readings([ListingRef(1, "1", "11")], [variant(**changes)])
    assert (reading.outcome, reading.facts, reading.cause) == (ReadOutcome.READ, facts, cause)
    assert (reading.title, reading.outer_id) == ("Lamp", "A/灯-1")
    found = parse.discovered(variant(**changes))
    assert (found.facts, found.cause) == (facts, cause)


def test_a_discovered_listing_has_all_that_mapping_needs():
    found = parse.discovered(variant())
    assert (found.item_id, found.sku_id, found.stock_id) == ("1", "11", "1001")
    assert (found.outer_id, found.barcode, found.title) == ("A/灯-1", "6901234567892", "Lamp")
    assert found.changed_at == datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.mark.parametrize("changes", [{"id": None}, {"id": "x"}, {"product": None}, {"product": {"id": None}}])
def test_a_variant_without_its_ids_is_half_an_answer(changes):
    with pytest.raises(HalfAnswer):
        parse.discovered(variant(**changes))


@pytest.mark.parametrize(
    ("nodes", "outcome", "cause"),
    [
        pytest.param([None], ReadOutcome.MISSING, "unknown-variant", id="unknown"),
        pytest.param([{}], ReadOutcome.MISSING, "unknown-variant", id="of another kind"),
        pytest.param(
            [variant(id="gid://shopify/ProductVariant/12")], ReadOutcome.MISSING, "unknown-variant", id="other"
        ),
        pytest.param(
            [variant(product={"id": "gid://shopify/Product/2"})], ReadOutcome.MISSING, "unknown-variant", id="moved"
        ),
        pytest.param([variant(product=None)], ReadOutcome.FAILED, "unreadable-row", id="its item not told"),
        pytest.param([], ReadOutcome.FAILED, "unreadable-row", id="left out"),
        pytest.param([{"sku": "A"}], ReadOutcome.FAILED, "unreadable-row", id="without an id"),
        pytest.param(["x"], ReadOutcome.FAILED, "unreadable-row", id="no object"),
        pytest.param(
            [{"id": "gid://shopify/ProductVariant/11", "product": {"id": "gid://shopify/Product/1"}}],
            ReadOutcome.FAILED,
            "nothing-usable",
            id="without facts",
        ),
    ],
)
def test_what_is_not_told_is_not_called_missing(nodes, outcome, cause):
    [reading] = parse.readings([ListingRef(1, "1", "11")], nodes)
    assert (reading.outcome, reading.facts, reading.cause) == (outcome, None, cause)


@pytest.mark.parametrize("nodes", [None, {}, "x"])
def test_no_list_is_half_an_answer(nodes):
    with pytest.raises(HalfAnswer):
        parse.readings([ListingRef(1, "1", "11")], nodes)
    with pytest.raises(HalfAnswer):
        parse.known_nodes({"nodes": nodes})


@pytest.mark.parametrize(
    ("quantities", "expected"),
    [
        ([{"name": "available", "quantity": 7}], 7),
        ([{"name": "on_hand", "quantity": 9}, {"name": "available", "quantity": -2}], -2),
        ([{"name": "available", "quantity": None}], None),
        ([{"name": "on_hand", "quantity": 9}], None),
        ([], None),
    ],
)
def test_a_level_is_what_can_be_sold_and_never_zero_for_not_known(quantities, expected):
    assert parse.levels([{"location": {"id": "gid://shopify/Location/2001"}, "quantities": quantities}]) == {
        "2001": expected
    }


@pytest.mark.parametrize("node", [{}, {"location": None, "quantities": []}, {"location": {"id": "gid://shopify/L/1"}}])
def test_a_level_without_its_location_is_half_an_answer(node):
    with pytest.raises(HalfAnswer):
        parse.levels([node])


@pytest.mark.parametrize(
    ("path", "row"),
    [
        (["input", "quantities", "0", "quantity"], 0),
        (["input", "quantities", "249", "changeFromQuantity"], 249),
        (["input", "quantities", 3, "locationId"], 3),
        (["input", "quantities"], None),
        (["input", "reason"], None),
        (["input", "quantities", "x", "quantity"], None),
        (["input", "quantities", "99999", "quantity"], None),
        (None, None),
        ("input", None),
    ],
)
def test_an_error_of_a_write_names_its_row(path, row):
    [error] = parse.write_errors({"userErrors": [{"field": path, "message": "no", "code": "X"}]})
    assert (error.row, error.code, error.message) == (row, "X", "no")


@pytest.mark.parametrize("payload", [None, {}, {"userErrors": None}, {"userErrors": {}}, []])
def test_a_write_without_its_list_of_errors_is_half_an_answer(payload):
    with pytest.raises(HalfAnswer):
        parse.write_errors(payload)


def test_a_throttle_is_known_only_with_all_its_figures():
    status = {"maximumAvailable": 2000, "currentlyAvailable": 666, "restoreRate": 100}
    cost = {"requestedQueryCost": 752, "actualQueryCost": None, "throttleStatus": status}
    found = parse.throttle({"extensions": {"cost": cost}})
    answered = parse.throttle({"data": {"x": 1}, "extensions": {"cost": cost}})
    assert found is not None
    assert answered is not None
    assert (found.requested, found.actual, found.available) == (752, 0, 666)
    assert found.is_refusal
    assert answered.actual == 752
    for missing in status:
        assert parse.throttle({"extensions": {"cost": cost | {"throttleStatus": status | {missing: None}}}}) is None
    nothings: tuple[Any, ...] = (None, {}, [], {"extensions": None}, {"extensions": {"cost": []}})
    for nothing in nothings:
        assert parse.throttle(nothing) is None


@pytest.mark.parametrize("number", ["12", "9007199254740993", "18446744073709551615"])
def test_what_an_id_may_be(number):
    assert parse.is_id(number)
    assert parse.number_of(parse.gid("ProductVariant", number)) == number


@pytest.mark.parametrize("number", ["", "0", "-1", "1.5", "x", "1e3", "１２", " 1", "1" * 21])
def test_what_no_id_is(number):
    assert not parse.is_id(number)


# --- What the platform page prints ----------------------------------------------------------------------------------


def test_the_printed_answer_of_a_write_confirms_it():
    payload = {
        "inventoryAdjustmentGroup": {
            "id": "gid://shopify/InventoryAdjustmentGroup/3001",
            "createdAt": "2026-11-21T10:00:00Z",
            "reason": "correction",
            "referenceDocumentUri": "gid://stock-sync/SyncJob/2026-11-21-001",
            "changes": [
                {
                    "name": name,
                    "delta": -2,
                    "quantityAfterChange": None,
                    "item": {"id": "gid://shopify/InventoryItem/1001"},
                    "location": {"id": "gid://shopify/Location/2001"},
                }
                for name in ("available", "on_hand")
            ],
        },
        "userErrors": [],
    }
    assert parse.write_errors(payload) == []
    changed = parse.changed_rows(payload)
    assert changed == {("1001", "2001")}
    target = StockTarget(1, "1", "11", 7, 9, "2001", "1001")
    outcome = parse.written(target, "1001", "2001", changed)
    assert (outcome.status, outcome.shown) == (PushStatus.APPLIED, 7)


def test_the_printed_lines_of_a_bulk_result_are_read():
    lines = [
        b'{"id":"gid://shopify/ProductVariant/11","sku":"A-1","inventoryItem":{"id":"gid://shopify/InventoryItem/1001"}}',
        b"",
        b'{"id":"gid://shopify/InventoryLevel/9?inventory_item_id=1001","location":{"id":"gid://shopify/Location/2001"},'
        b'"__parentId":"gid://shopify/ProductVariant/11"}',
    ]
    rows = list(parse.bulk_rows(lines, "2"))
    assert [parse.number_of(row["id"]) for row in rows] == ["11", "9"]
    for total in ("3", "1", None, "x"):
        with pytest.raises(HalfAnswer):
            list(parse.bulk_rows(lines, total))
