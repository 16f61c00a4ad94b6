from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from catalog.facts import Facts, ShelfState
from integrations.connectors.base import InvalidSetting, ListingRef, OrderStatus, ReadOutcome
from integrations.connectors.http import parse_json
from integrations.connectors.values import HalfAnswer
from integrations.connectors.woocommerce import WooCommerceConnector, WooCommerceCredentials, parse
from integrations.connectors.woocommerce.parse import WrittenRow
from integrations.connectors.woocommerce.signing import basic

pytestmark = pytest.mark.pure

SIMPLE = {
    "id": 794,
    "parent_id": 0,
    "name": "Premium Quality",
    "type": "simple",
    "status": "publish",
    "sku": "PQ/1-红",
    "global_unique_id": "4006381333931",
    "price": "19.90",
    "regular_price": "24.90",
    "manage_stock": True,
    "stock_quantity": 7,
    "stock_status": "instock",
    "date_modified_gmt": "2026-11-21T10:15:30",
    "variations": [],
}
SHIRT = SIMPLE | {"id": 22, "name": "T-shirt", "type": "variable", "sku": "TS", "price": "24.90", "regular_price": ""}
# As printed in the reference.
RED = {
    "id": 732,
    "date_modified_gmt": "2026-11-21T10:15:30",
    "sku": "TS-RED-M",
    "price": "24.90",
    "regular_price": "24.90",
    "sale_price": "19.90",
    "on_sale": False,
    "manage_stock": True,
    "stock_quantity": 7,
    "stock_status": "instock",
    "backorders": "no",
    "attributes": [{"id": 6, "name": "Color", "option": "Red"}],
}


def simple(**changes) -> Any:
    row = parse_json(orjson.dumps(SIMPLE | changes))
    return parse.reading(ListingRef(1, "794"), {"794": row}, {})


def variation(**changes):
    row = RED | {"parent_id": 22, "status": "publish"} | changes
    return parse.reading(ListingRef(1, "22", "732"), {"22": SHIRT}, {"732": row})


# --- Listings -------------------------------------------------------------------------------------------------------


def test_a_product_gives_its_prices_stock_and_state():
    reading = simple()
    assert reading.outcome is ReadOutcome.READ
    assert reading.facts == Facts(Decimal("24.90"), Decimal("19.90"), None, 7, ShelfState.ON_SHELF)
    assert (reading.title, reading.outer_id, reading.cause) == ("Premium Quality", "PQ/1-红", "")


def test_a_variation_gives_its_own_facts_under_the_title_of_its_product():
    reading = variation()
    assert reading.facts == Facts(Decimal("24.90"), Decimal("24.90"), None, 7, ShelfState.ON_SHELF)
    assert (reading.title, reading.outer_id) == ("T-shirt", "TS-RED-M")


@pytest.mark.parametrize(
    ("changes", "list_price", "live_price", "remark"),
    [
        pytest.param({"price": "24.90"}, "24.90", "24.90", "", id="not on sale"),
        pytest.param({"price": "19.9", "regular_price": "24.9"}, "24.9", "19.9", "", id="fewer digits"),
        pytest.param({"price": "1234.5678", "regular_price": "1500"}, "1500", "1234.5678", "", id="more digits"),
        pytest.param({"price": "", "regular_price": ""}, None, None, "", id="no price"),
        pytest.param({"price": "0", "regular_price": "24.90"}, "24.90", None, "price-not-positive", id="free today"),
        pytest.param({"price": "0.00", "regular_price": "0.00"}, None, None, "price-not-positive", id="always free"),
        pytest.param({"price": "-1", "regular_price": ""}, None, None, "price-not-positive", id="below 0"),
        pytest.param({"price": "19,90"}, "24.90", None, "price-unreadable", id="a comma"),
        pytest.param({"regular_price": "€ 24.90"}, "19.90", "19.90", "price-unreadable", id="a sign"),
        pytest.param({"regular_price": ""}, "19.90", "19.90", "", id="only what is charged"),
        pytest.param({"price": None, "regular_price": None}, None, None, "", id="null"),
        pytest.param({"price": True}, "24.90", None, "price-unreadable", id="no amount"),
    ],
)
def test_prices_are_exact_or_not_known(changes, list_price, live_price, remark):
    reading = simple(**changes)
    expected = [None if text is None else Decimal(text) for text in (list_price, live_price)]
    assert [reading.facts.list_price, reading.facts.live_price] == expected
    assert reading.cause == remark


@pytest.mark.parametrize(
    ("changes", "stock", "remark"),
    [
        pytest.param({"stock_quantity": 0}, 0, "", id="none left"),
        pytest.param({"stock_quantity": -3}, -3, "", id="oversold"),
        pytest.param({"manage_stock": False, "stock_quantity": None}, None, "", id="not counted"),
        pytest.param({"manage_stock": False, "stock_quantity": 7}, None, "", id="left over from when it was"),
        pytest.param({"manage_stock": "parent", "stock_quantity": 40}, 40, "", id="of the product"),
        pytest.param({"stock_quantity": None}, None, "", id="null"),
        pytest.param({"stock_quantity": "7"}, 7, "", id="text"),
        pytest.param({"stock_quantity": 7.5}, None, "stock-unreadable", id="half a unit"),
        pytest.param({"stock_quantity": 2**31}, None, "stock-unreadable", id="more than can be"),
    ],
)
def test_stock_is_a_count_or_not_known(changes, stock, remark):
    assert (simple(**changes).facts.stock, simple(**changes).cause) == (stock, remark)


@pytest.mark.parametrize(
    ("status", "stock_status", "expected"),
    [
        ("publish", "instock", ShelfState.ON_SHELF),
        ("publish", "onbackorder", ShelfState.ON_SHELF),
        ("publish", "outofstock", ShelfState.SOLD_OUT),
        ("publish", "something_new", ShelfState.UNKNOWN),
        *((status, "instock", ShelfState.OFF_SHELF) for status in ("draft", "pending", "private", "future", "trash")),
        ("wc-custom", "instock", ShelfState.UNKNOWN),
        (None, "instock", ShelfState.UNKNOWN),
    ],
)
def test_the_state_says_whether_people_can_order(status, stock_status, expected):
    assert simple(status=status, stock_status=stock_status).facts.shelf_state is expected


@pytest.mark.parametrize(
    ("of_product", "of_variation", "expected"),
    [
        ("publish", "private", ShelfState.OFF_SHELF),
        ("draft", "publish", ShelfState.OFF_SHELF),
        ("publish", "publish", ShelfState.ON_SHELF),
    ],
)
def test_a_variation_is_off_the_shelf_with_its_product(of_product, of_variation, expected):
    row = RED | {"parent_id": 22, "status": of_variation}
    reading: Any = parse.reading(ListingRef(1, "22", "732"), {"22": SHIRT | {"status": of_product}}, {"732": row})
    assert reading.facts.shelf_state is expected


@pytest.mark.parametrize(
    ("ref", "outcome", "cause"),
    [
        (ListingRef(1, "23"), ReadOutcome.MISSING, "unknown-listing"),
        (ListingRef(1, "23", "732"), ReadOutcome.MISSING, "unknown-listing"),
        (ListingRef(1, "22", "733"), ReadOutcome.MISSING, "unknown-variant"),
        (ListingRef(1, "794", "732"), ReadOutcome.MISSING, "unknown-variant"),
        (ListingRef(1, "22"), ReadOutcome.REFUSED, "has-variants"),
    ],
)
def test_what_is_not_there_is_missing_and_a_product_of_many_prices_has_none(ref, outcome, cause):
    reading = parse.reading(ref, {"22": SHIRT, "794": SIMPLE}, {"732": RED | {"parent_id": 22}})
    assert (reading.outcome, reading.facts, reading.cause) == (outcome, None, cause)


def test_a_row_without_facts_is_no_reading():
    reading = parse.reading(ListingRef(1, "794"), {"794": {"id": 794}}, {})
    assert (reading.outcome, reading.facts, reading.cause) == (ReadOutcome.FAILED, None, "nothing-usable")


def test_a_variation_without_codes_of_its_own_does_not_take_its_products():
    own = parse.discovered(RED | {"global_unique_id": "40063813"}, SHIRT)
    inherited = parse.discovered(RED | {"sku": "TS", "global_unique_id": SHIRT["global_unique_id"]}, SHIRT)
    assert (own.outer_id, own.barcode) == ("TS-RED-M", "40063813")
    assert (inherited.outer_id, inherited.barcode) == ("", "")
    assert variation(sku="TS").outer_id == ""
    assert parse.discovered(SIMPLE, SIMPLE).outer_id == "PQ/1-红"


def test_a_listing_that_was_found_has_its_ids_code_and_time():
    found = parse.discovered(RED, SHIRT)
    assert (found.item_id, found.sku_id, found.title) == ("22", "732", "T-shirt")
    assert found.changed_at == datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)
    alone = parse.discovered(SIMPLE, SIMPLE)
    assert (alone.item_id, alone.sku_id, alone.barcode) == ("794", "", "4006381333931")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (794, "794"),
        (9007199254740993, "9007199254740993"),
        (18446744073709551615, "18446744073709551615"),
        ("794", "794"),
        (0, ""),
        (-1, ""),
        (True, ""),
        (None, ""),
        (Decimal("794.0"), ""),
        ("7 94", ""),
        (10**21, ""),
    ],
)
def test_ids_are_exact_or_none(value, expected):
    assert parse.id_of({"id": value}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-21T10:15:30", datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)),
        ("2026-11-21T18:15:30+08:00", datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)),
        ("0001-01-01T00:00:00+08:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_utc_whether_they_say_so_or_not(value, expected):
    assert parse.moment(value) == expected


@pytest.mark.parametrize("answer", [None, {}, "", [1], [{}], [{"id": 0}], [{"id": 1}, {"name": "x"}]])
def test_what_is_no_list_of_rows_is_half_an_answer(answer):
    with pytest.raises(HalfAnswer):
        parse.rows(answer)


def test_a_product_names_its_variations():
    assert parse.variation_ids(SHIRT | {"variations": [732, 733]}) == [("22", "732"), ("22", "733")]
    with pytest.raises(HalfAnswer):
        parse.variation_ids({"id": 22, "type": "variable"})


# --- Stock ----------------------------------------------------------------------------------------------------------

# As printed in the reference.
BATCH = parse_json(
    b'{"update":[{"id":794,"manage_stock":true,"stock_quantity":7},{"id":999999,"error":'
    b'{"code":"woocommerce_rest_product_invalid_id","message":"Invalid ID.","data":{"status":400}}}]}'
)


def test_a_batch_tells_of_each_row_whatever_its_status():
    assert parse.written_rows(["794", "999999"], BATCH) == [WrittenRow(stock=7), WrittenRow(cause="unknown-listing")]


@pytest.mark.parametrize(
    "row",
    [
        {"id": 794, "manage_stock": False, "stock_quantity": None},
        {"id": 794, "manage_stock": False, "stock_quantity": 7},
        {"id": 794, "manage_stock": "parent", "stock_quantity": 7},
        {"id": 794, "manage_stock": True, "stock_quantity": None},
        {"id": 794},
    ],
)
def test_a_figure_that_was_dropped_without_a_word_is_refused(row):
    assert parse.written_rows(["794"], {"update": [row]}) == [WrittenRow(cause="stock-not-counted")]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"update": None},
        {"update": [{"id": 794}]},
        {"update": [{"id": 999999}, {"id": 794}]},
        {"update": [{"id": 794}, {}]},
    ],
)
def test_a_batch_with_other_rows_is_half_an_answer(answer):
    with pytest.raises(HalfAnswer):
        parse.written_rows(["794", "999999"], answer)


# --- Orders ---------------------------------------------------------------------------------------------------------

LINE = {
    "id": 11,
    "product_id": 22,
    "variation_id": 732,
    "sku": "TS/红",
    "quantity": 3,
    "subtotal": "74.70",
    "total": "59.70",
    "total_tax": "11.34",
    "price": 19.9,
}
ORDER = {
    "id": 9007199254740993,
    "number": "A-1",
    "status": "processing",
    "currency": "EUR",
    "prices_include_tax": False,
    "date_created_gmt": "2026-11-21T10:00:00",
    "date_modified_gmt": "2026-11-21T10:15:30",
    "date_paid_gmt": "2026-11-21T10:01:00",
    "line_items": [LINE],
    "refunds": [],
}


def order(refunds=(), **changes):
    return parse.order(parse_json(orjson.dumps(ORDER)) | changes, refunds)


def test_an_order_has_its_lines_times_and_currency():
    found = order()
    assert (found.order_id, found.status, found.currency) == ("9007199254740993", OrderStatus.PAID, "EUR")
    assert found.created_at == datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
    assert found.changed_at == datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)
    assert found.paid_at == datetime(2026, 11, 21, 10, 1, tzinfo=UTC)
    [line] = found.lines
    assert (line.line_id, line.item_id, line.sku_id, line.outer_id) == ("11", "22", "732", "TS/红")
    assert (line.quantity, line.returned, line.paid_per_unit) == (3, 0, Decimal("19.9000"))


def test_what_was_paid_holds_the_tax_where_prices_do():
    assert order(prices_include_tax=True).lines[0].paid_per_unit == Decimal("23.6800")
    untold = [{**LINE, "total_tax": "?"}]
    assert order(prices_include_tax=True, line_items=untold).lines[0].paid_per_unit is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", OrderStatus.UNPAID),
        ("on-hold", OrderStatus.UNPAID),
        ("processing", OrderStatus.PAID),
        ("completed", OrderStatus.FINISHED),
        ("cancelled", OrderStatus.CANCELLED),
        ("refunded", OrderStatus.CANCELLED),
        ("failed", OrderStatus.CANCELLED),
        ("trash", OrderStatus.CANCELLED),
        ("awaiting-pickup", OrderStatus.UNKNOWN),
        (None, OrderStatus.UNKNOWN),
    ],
)
def test_statuses_are_those_we_know_or_unknown(status, expected):
    assert order(status=status).status is expected


GOODS = {"id": 91, "product_id": 22, "variation_id": 732}


@pytest.mark.parametrize(
    ("refunds", "returned"),
    [
        pytest.param([[{**GOODS, "quantity": -1}]], [1, 0], id="one unit"),
        pytest.param([[{**GOODS, "quantity": -1}], [{**GOODS, "quantity": -1}]], [2, 0], id="two refunds"),
        pytest.param([[{**GOODS, "quantity": -4}]], [3, 1], id="more than the first line has"),
        pytest.param([[{**GOODS, "quantity": 0}]], [0, 0], id="money without goods"),
        pytest.param([[{**GOODS, "product_id": 23, "quantity": -1}]], [0, 0], id="another product"),
        pytest.param([[]], [0, 0], id="an amount and no line"),
        pytest.param(
            [[{**GOODS, "quantity": -2, "meta_data": [{"key": "_refunded_item_id", "value": "12"}]}]],
            [0, 2],
            id="the line it names",
        ),
    ],
)
def test_refunded_units_are_counted_once_and_are_back_unless_they_were_sent(refunds, returned):
    told = [{"id": 5, "line_items": lines} for lines in refunds]
    lines = [LINE, {**LINE, "id": 12, "quantity": 2}]
    here = order(told, line_items=lines, status="processing", date_completed_gmt=None)
    assert [(line.returned, line.refunded) for line in here.lines] == [(units, 0) for units in returned]
    sent = order(told, line_items=lines, status="completed")
    assert [(line.returned, line.refunded) for line in sent.lines] == [(0, units) for units in returned]


@pytest.mark.parametrize("status", ["refunded", "cancelled"])
def test_whether_goods_of_a_whole_order_are_back_that_had_been_sent_is_not_guessed(status):
    found = order(status=status, date_completed_gmt="2026-10-02T08:00:00")
    assert found.status is OrderStatus.FINISHED
    assert [(line.returned, line.refunded) for line in found.lines] == [(0, line.quantity) for line in found.lines]


@pytest.mark.parametrize(
    "changes",
    [
        {"line_items": None},
        {"line_items": [{"id": 11}]},
        {"line_items": [{**LINE, "quantity": "many"}]},
        {"line_items": [None]},
        {"date_modified_gmt": None},
        {"date_created_gmt": "?"},
        {"id": None},
    ],
)
def test_half_an_order_is_no_order(changes):
    with pytest.raises(HalfAnswer):
        order(**changes)


@pytest.mark.parametrize(
    ("changes", "paid"),
    [({"total": ""}, None), ({"total": "free"}, None), ({"total": "0.00"}, Decimal(0)), ({"quantity": 0}, None)],
)
def test_what_a_unit_cost_is_exact_or_not_known(changes, paid):
    assert order(line_items=[LINE | changes]).lines[0].paid_per_unit == paid


# --- Coupons --------------------------------------------------------------------------------------------------------

# As printed in the reference.
COUPON = parse_json(
    b'{"code":"black25","discount_type":"percent","amount":"25.00","minimum_amount":"50.00","product_ids":[22,31],'
    b'"date_expires_gmt":"2026-12-01T00:00:00","individual_use":true,"usage_limit":500}'
)


def coupon(**changes):
    return parse.promotion({"id": 5, **COUPON, **changes}, "EUR", {"22", "31"})


def test_a_coupon_is_told_in_the_words_of_promotions():
    found = coupon()
    assert (found.kind, found.value, found.currency) == ("percent_off", Decimal("25.00"), "EUR")
    assert (found.codes, found.minimum_amount, found.maximum_amount) == (("black25",), Decimal("50.00"), None)
    assert found.item_ids == ("22", "31")
    assert found.ends_at == datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)
    assert (found.is_alone, found.is_active, found.remaining, found.unknown) == (True, True, 500, ())


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"discount_type": "fixed_cart"}, "kind", "amount_off"),
        ({"discount_type": "fixed_cart"}, "is_on_each_unit", False),
        ({"discount_type": "fixed_product"}, "is_on_each_unit", True),
        ({"usage_count": 499}, "remaining", 1),
        ({"usage_count": 501}, "remaining", 0),
        ({"usage_limit": None}, "remaining", None),
        ({"usage_limit": 0}, "remaining", None),
        ({"minimum_amount": "0.00"}, "minimum_amount", None),
        ({"maximum_amount": "200.00"}, "maximum_amount", Decimal("200.00")),
        ({"date_expires_gmt": None}, "ends_at", None),
        ({"exclude_sale_items": True}, "excludes_on_sale", True),
        ({"status": "draft"}, "is_active", False),
        ({"product_ids": []}, "item_ids", ()),
        ({"product_ids": [22, 732]}, "item_ids", ("22",)),
        ({"product_ids": [22, 732]}, "sku_ids", ("732",)),
        ({"excluded_product_ids": [31]}, "excluded_item_ids", ("31",)),
        ({"description": "Black week"}, "title", "Black week"),
        ({"description": ""}, "title", "black25"),
    ],
)
def test_each_rule_of_a_coupon_is_read(changes, name, expected):
    found = coupon(**changes)
    assert (getattr(found, name), found.unknown) == (expected, ())


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        ({"discount_type": "sign_up_fee"}, "kind"),
        ({"amount": ""}, "value"),
        ({"amount": "a quarter"}, "value"),
        ({"amount": "-5.00"}, "value"),
        ({"minimum_amount": "fifty"}, "minimum_amount"),
        ({"maximum_amount": "much"}, "maximum_amount"),
        ({"date_expires_gmt": "soon"}, "ends_at"),
        ({"product_ids": "22"}, "items"),
        ({"product_ids": [22, "x"]}, "items"),
        ({"excluded_product_ids": [732]}, "items"),
        ({"product_categories": [15]}, "categories"),
        ({"excluded_product_categories": [15]}, "categories"),
        ({"email_restrictions": ["*@example.com"]}, "audience"),
        ({"limit_usage_to_x_items": 2}, "max_units"),
        ({"usage_limit": "few"}, "remaining"),
    ],
)
def test_what_cannot_be_read_of_a_coupon_is_named(changes, unknown):
    assert coupon(**changes).unknown == (unknown,)


def test_a_coupon_for_the_postage_takes_nothing_off_the_goods():
    assert coupon(amount="0.00", free_shipping=True) is None


# --- Credentials ----------------------------------------------------------------------------------------------------

# As a shop posts them after consent.
KEYS = {"app_key": "ck_" + "a1" * 20, "app_secret": "cs_" + "b2" * 20}


def test_keys_are_taken_with_the_spaces_around_them_and_shown_nowhere():
    credentials = WooCommerceCredentials.from_settings({**KEYS, "app_key": f" {KEYS['app_key']}\n", "access_token": ""})
    assert (credentials.app_key, credentials.app_secret) == (KEYS["app_key"], KEYS["app_secret"])
    connector = WooCommerceConnector(credentials, base_url="https://shop.example/")
    assert connector.base_url == "https://shop.example"
    assert not connector.needs_token
    assert KEYS["app_secret"] not in repr(credentials) + repr(connector)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"app_key": ""}, "app_key"),
        ({"app_key": KEYS["app_secret"]}, "app_key"),
        ({"app_key": KEYS["app_key"].upper()}, "app_key"),
        ({"app_secret": KEYS["app_secret"][:-1]}, "app_secret"),
        ({"app_secret": "geheim"}, "app_secret"),
        ({"shop": "x"}, "shop"),
    ],
)
def test_keys_that_cannot_be_are_named_and_not_quoted(changes, field):
    with pytest.raises(InvalidSetting) as caught:
        WooCommerceCredentials.from_settings(KEYS | changes)
    assert caught.value.field == field
    assert not any(value and value in str(caught.value) for value in changes.values() if len(value) > 1)


def test_a_shop_has_no_address_but_its_own():
    with pytest.raises(InvalidSetting) as caught:
        WooCommerceConnector(WooCommerceCredentials.from_settings(KEYS))
    assert caught.value.field == "base_url"


def test_the_header_is_masked_as_well_as_the_secret():
    credentials = WooCommerceCredentials.from_settings(KEYS)
    connector = WooCommerceConnector(credentials, base_url="https://shop.example")
    header = basic(*KEYS.values())
    assert connector.without_secrets(f"you sent {header} and {KEYS['app_secret']}") == "you sent Basic *** and ***"
