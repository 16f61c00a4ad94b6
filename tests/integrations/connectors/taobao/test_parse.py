import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pytest

from catalog.facts import Facts, ShelfState
from integrations.connectors.base import ListingRef, ReadOutcome
from integrations.connectors.http import parse_json
from integrations.connectors.taobao import parse
from integrations.connectors.taobao.parse import Rows
from integrations.connectors.values import HalfAnswer

pytestmark = pytest.mark.pure

NOW = datetime(2025, 6, 1, 4, 0, tzinfo=UTC)
ITEM = {
    "num_iid": 616000000001,
    "title": "demo",
    "price": "99.00",
    "num": 37,
    "approve_status": "onsale",
    "outer_id": "SPU-1",
    "skus": {
        "sku": [
            {"sku_id": 4400000000001, "quantity": 20, "price": "99.00", "outer_id": "SKU-1", "status": "normal"},
            {"sku_id": 4400000000002, "quantity": 0, "price": "109.00", "outer_id": "SKU-2", "status": "normal"},
            {"sku_id": 4400000000003, "quantity": 5, "price": "119.00", "outer_id": "SKU-3", "status": "delete"},
        ]
    },
}


def items(*found):
    answer = {"items": {"item": list(found)}, "request_id": "r"}
    return parse.rows(parse_json(orjson.dumps(answer)), "items", "item", "num_iid")


def item_reading(**changes):
    return parse.own_reading(ListingRef(1, "616000000001"), items(ITEM | changes), None)


def test_item_gives_list_price_stock_and_shelf_state_but_no_live_price():
    reading = item_reading()
    assert reading.outcome is ReadOutcome.READ
    assert reading.facts == Facts(list_price=Decimal("99.00"), stock=37, shelf_state=ShelfState.ON_SHELF)
    assert (reading.title, reading.outer_id, reading.cause) == ("demo", "SPU-1", "")


def test_variant_gives_its_own_price_and_stock_under_the_title_of_its_item():
    reading = parse.own_reading(ListingRef(7, "616000000001", "4400000000002"), items(ITEM), None)
    assert reading.facts == Facts(list_price=Decimal("109.00"), stock=0, shelf_state=ShelfState.SOLD_OUT)
    assert (reading.listing_id, reading.title, reading.outer_id) == (7, "demo", "SKU-2")


@pytest.mark.parametrize(
    ("item_id", "sku_id", "cause"),
    [
        pytest.param("616000000009", "", "unknown-listing", id="item not in the answer"),
        pytest.param("616000000001", "4400000000009", "unknown-variant", id="variant not of the item"),
        pytest.param("616000000001", "4400000000003", "variant-deleted", id="variant deleted"),
    ],
)
def test_what_is_not_in_a_whole_answer_is_missing(item_id, sku_id, cause):
    reading = parse.own_reading(ListingRef(1, item_id, sku_id), items(ITEM), None)
    assert (reading.outcome, reading.facts, reading.cause) == (ReadOutcome.MISSING, None, cause)


def test_a_variant_fetched_separately_counts_only_for_its_own_item():
    without = {name: value for name, value in ITEM.items() if name != "skus"}
    fetched = Rows({"5": {"num_iid": 616000000001, "sku_id": 5, "price": "8.00", "quantity": 3, "status": "normal"}})
    own = parse.own_reading(ListingRef(1, "616000000001", "5"), items(without), fetched)
    assert own.facts == Facts(list_price=Decimal("8.00"), stock=3, shelf_state=ShelfState.ON_SHELF)
    other = parse.own_reading(ListingRef(1, "616000000002", "5"), items(without | {"num_iid": 616000000002}), fetched)
    assert other.outcome is ReadOutcome.MISSING


@pytest.mark.parametrize(
    ("approve_status", "stock", "expected"),
    [
        pytest.param("onsale", 1, ShelfState.ON_SHELF, id="on sale"),
        pytest.param("onsale", 0, ShelfState.SOLD_OUT, id="on sale, nothing left"),
        pytest.param("onsale", None, ShelfState.ON_SHELF, id="on sale, stock not known"),
        pytest.param("instock", 9, ShelfState.OFF_SHELF, id="in the warehouse"),
        pytest.param("instock", 0, ShelfState.OFF_SHELF, id="in the warehouse, nothing left"),
        pytest.param("frozen", 9, ShelfState.UNKNOWN, id="a word we do not know"),
        pytest.param(None, 9, ShelfState.UNKNOWN, id="null"),
    ],
)
def test_shelf_state_follows_status_and_stock(approve_status, stock, expected):
    assert item_reading(approve_status=approve_status, num=stock).facts.shelf_state is expected


@pytest.mark.parametrize(
    ("price", "expected", "cause"),
    [
        pytest.param("0.01", Decimal("0.01"), "", id="a fen"),
        pytest.param("1234567.89", Decimal("1234567.89"), "", id="large"),
        pytest.param("99", Decimal(99), "", id="whole yuan"),
        pytest.param("99.9000", Decimal("99.90"), "", id="zeros behind the fen"),
        pytest.param(99, Decimal(99), "", id="a whole number"),
        pytest.param("0.00", None, "price-not-positive", id="zero"),
        pytest.param("-1.00", None, "price-not-positive", id="negative"),
        pytest.param("99.00-199.00", None, "price-unreadable", id="a range"),
        pytest.param("¥99", None, "price-unreadable", id="with a sign"),
        pytest.param("1e3", None, "price-unreadable", id="exponent"),
        pytest.param("NaN", None, "price-unreadable", id="not a number"),
        pytest.param("99.999", None, "price-unreadable", id="less than a fen"),
        pytest.param("9" * 40, None, "price-unreadable", id="beyond any price"),
        pytest.param(True, None, "price-unreadable", id="boolean"),
        pytest.param(["99.00"], None, "price-unreadable", id="list"),
        pytest.param("\uff19\uff19", None, "price-unreadable", id="full-width digits"),
        pytest.param(None, None, "", id="null"),
        pytest.param("", None, "", id="empty"),
    ],
)
def test_price_is_an_exact_positive_amount_or_not_known(price, expected, cause):
    reading = item_reading(price=price)
    assert (reading.outcome, reading.facts.list_price, reading.cause) == (ReadOutcome.READ, expected, cause)


def test_a_price_sent_as_a_number_keeps_the_digits_of_its_text():
    answer = parse_json(b'{"items": {"item": [{"num_iid": 1, "price": 0.1}, {"num_iid": 2, "price":1234567890.07}]}}')
    found = parse.rows(answer, "items", "item", "num_iid")
    readings = [parse.own_reading(ListingRef(1, item_id), found, None) for item_id in ("1", "2")]
    expected = [Facts(list_price=Decimal("0.1")), Facts(list_price=Decimal("1234567890.07"))]
    assert [reading.facts for reading in readings] == expected


@pytest.mark.parametrize(
    ("stock", "expected", "cause"),
    [
        pytest.param(0, 0, "", id="none left"),
        pytest.param("12", 12, "", id="as text"),
        pytest.param(2**31 - 1, 2**31 - 1, "", id="the largest"),
        pytest.param(-3, None, "stock-negative", id="negative"),
        pytest.param(2**31, None, "stock-unreadable", id="too large"),
        pytest.param(1.5, None, "stock-unreadable", id="half a unit"),
        pytest.param("many", None, "stock-unreadable", id="a word"),
        pytest.param(False, None, "stock-unreadable", id="boolean"),
        pytest.param(None, None, "", id="null"),
    ],
)
def test_stock_is_a_count_or_not_known(stock, expected, cause):
    reading = item_reading(num=stock)
    assert (reading.facts.stock, reading.cause) == (expected, cause)


def test_an_item_of_nulls_is_a_failed_read_not_an_empty_one():
    reading = item_reading(price=None, num=None, approve_status=None)
    assert (reading.outcome, reading.facts, reading.cause) == (ReadOutcome.FAILED, None, "nothing-usable")


@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        pytest.param(b"9007199254740993", "9007199254740993", id="beyond what a double holds"),
        pytest.param(b"9223372036854775807", "9223372036854775807", id="64 bits"),
        pytest.param(b"18446744073709551617", "18446744073709551617", id="beyond 64 bits"),
        pytest.param(b'"616000000001"', "616000000001", id="as text"),
    ],
)
def test_ids_are_exact_whatever_their_form(sent, asked):
    answer = parse_json(b'{"items": {"item": [{"num_iid": ' + sent + b', "num": 1}]}, "request_id": "r"}')
    found = parse.rows(answer, "items", "item", "num_iid")
    assert parse.own_reading(ListingRef(1, asked), found, None).outcome is ReadOutcome.READ


@pytest.mark.parametrize("sent", [b"616000000001.0", b"6.16e11", b"true", b"null", b'"616 "', b"-5", b'"\xef\xbc\x91"'])
def test_a_row_without_an_exact_id_is_nobody_and_calls_nobody_missing(sent):
    answer = parse_json(b'{"items": {"item": [{"num_iid": ' + sent + b', "num": 1}]}, "request_id": "r"}')
    found = parse.rows(answer, "items", "item", "num_iid")
    reading = parse.own_reading(ListingRef(1, "616000000001"), found, None)
    assert (reading.outcome, reading.cause) == (ReadOutcome.FAILED, "unreadable-row")


@pytest.mark.parametrize("answer", [None, [], "text", 7, {}, {"other_response": {}}, {"root": None}, {"root": []}])
def test_an_answer_without_its_root_is_a_half_answer(answer):
    with pytest.raises(HalfAnswer):
        parse.body(answer, "root")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nothing at all"),
        pytest.param({"items": None, "request_id": "r"}, id="null"),
        pytest.param({"items": [], "request_id": "r"}, id="a list in place of its wrapper"),
        pytest.param({"items": {"item": None}, "request_id": "r"}, id="null list"),
        pytest.param({"items": {"item": {"num_iid": 1}}, "request_id": "r"}, id="one row in place of a list"),
    ],
)
def test_a_list_of_another_shape_is_a_half_answer(body):
    with pytest.raises(HalfAnswer):
        parse.rows(body, "items", "item", "num_iid")


@pytest.mark.parametrize("body", [{"request_id": "r"}, {"total_results": 0}, {"items": {}, "request_id": "r"}])
def test_a_list_left_out_of_a_whole_answer_is_empty(body):
    assert parse.rows(body, "items", "item", "num_iid") == Rows({})


def test_competitor_gives_three_prices_and_neither_stock_nor_shelf_state():
    found = Rows({"5": {"title": "theirs", "reserve_price": "199.00", "zk_final_price": "149.50", "sale_price": "99"}})
    reading = parse.competitor_reading(ListingRef(1, "5", is_own=False), found)
    assert reading.facts == Facts(Decimal("199.00"), Decimal("149.50"), Decimal(99), None, ShelfState.UNKNOWN)
    assert reading.title == "theirs"


def test_competitor_without_a_promotion_has_no_promotion_price():
    found = Rows({"5": {"reserve_price": "199.00", "zk_final_price": "0", "sale_price": None}})
    reading = parse.competitor_reading(ListingRef(1, "5", is_own=False), found)
    assert reading.facts == Facts(list_price=Decimal("199.00"))
    assert reading.cause == "price-not-positive"


def test_titles_come_without_what_a_database_refuses():
    reading = item_reading(title=" new\x00\nlamp ", outer_id="x" * 200)
    assert (reading.title, reading.outer_id) == ("new lamp", "")
    assert len(item_reading(title="长" * 1000).title) == 255


def test_discovered_item_stands_for_its_variants_that_are_not_deleted():
    found = list(parse.discovered("616000000001", ITEM))
    assert [(listing.sku_id, listing.outer_id, listing.facts.stock) for listing in found] == [
        ("4400000000001", "SKU-1", 20),
        ("4400000000002", "SKU-2", 0),
    ]
    assert [listing.sku_id for listing in parse.discovered("5", {"num": 3})] == [""]


def test_discovered_item_with_an_unreadable_variant_is_a_half_answer():
    with pytest.raises(HalfAnswer):
        list(parse.discovered("5", {"num": 3, "skus": {"sku": [{"sku_id": None}]}}))


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def host_zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("host_zone")
def test_shop_times_are_read_as_gmt_8_on_any_host():
    expected = datetime(2025, 5, 31, 16, 0, 3, tzinfo=UTC)
    assert parse.modified_at({"modified": "2025-06-01 00:00:03"}) == expected
    assert parse.server_time({"time": "2025-06-01 00:00:03"}) == expected


@pytest.mark.parametrize("value", [None, "", "2025-06-01", "yesterday", 1748707203, "0001-01-01 00:00:00"])
def test_a_time_that_cannot_be_read_is_a_half_answer(value):
    with pytest.raises(HalfAnswer):
        parse.server_time({"time": value})


TOKENS = {
    "access_token": "6200e1",
    "refresh_token": "6201a2",
    "expires_in": 31536000,
    "re_expires_in": 86400,
    "r1_expires_in": 31536000,
    "r2_expires_in": 259200,
    "w1_expires_in": "31536000",
    "w2_expires_in": 1800,
    "taobao_user_id": "706388888",
    "taobao_user_nick": "%E5%95%86%E5%AE%B6",
}


def test_tokens_carry_their_ends_levels_and_the_name_of_the_shop():
    tokens = parse.tokens(TOKENS, NOW)
    assert (tokens.access_token, tokens.refresh_token) == ("6200e1", "6201a2")
    assert tokens.expires_at == NOW + timedelta(days=365)
    assert tokens.refresh_expires_at == NOW + timedelta(days=1)
    assert tokens.levels["w2"] == NOW + timedelta(minutes=30)
    assert set(tokens.levels) == {"r1", "r2", "w1", "w2"}
    assert (tokens.account_id, tokens.account_name) == ("706388888", "商家")


def test_a_refresh_token_that_lives_for_no_time_is_none():
    tokens = parse.tokens(TOKENS | {"re_expires_in": 0}, NOW)
    assert (tokens.refresh_token, tokens.refresh_expires_at) == ("", None)


def test_tokens_are_kept_out_of_their_own_text():
    assert "6200e1" not in repr(parse.tokens(TOKENS, NOW))
    assert "6201a2" not in repr(parse.tokens(TOKENS, NOW))


@pytest.mark.parametrize("changes", [{"access_token": None}, {"expires_in": None}, {"expires_in": "soon"}])
def test_tokens_without_what_matters_are_a_half_answer(changes):
    with pytest.raises(HalfAnswer):
        parse.tokens(TOKENS | changes, NOW)


def test_refusals_are_read_with_and_without_a_sub_code():
    full = {"code": 15, "msg": "Remote service error", "sub_code": "isv.x", "sub_msg": "why", "request_id": "q6c"}
    assert parse.refusal({"error_response": full}) == parse.Refusal("15", "isv.x", "why", "q6c")
    assert parse.refusal({"error_response": {"code": "27", "msg": "Invalid"}}) == parse.Refusal("27", "", "Invalid")
    assert parse.refusal({"items_onsale_get_response": {}}) is None
