"""Listings, discovery, changes and stock levels, over HTTP against the strict simulator."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import graphql
import pytest

from catalog.facts import ShelfState
from integrations.connectors.base import ListingRef, ReadOutcome
from integrations.connectors.clock import Clock
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review, Wait
from integrations.connectors.shopify import documents
from integrations.simulator.shopify.cost import Calculator
from integrations.simulator.shopify.documents import operation_of
from integrations.simulator.shopify.schema import schema_of
from tests.integrations.connectors.discovery import discovered
from tests.integrations.connectors.raw_server import RawServer, answer, answer_json

from .conftest import Shop, levels, number, ref

pytestmark = pytest.mark.pure

NEVER_IN_TIME = ("delay", "endless")  # faults


def read(shop, rows, now, **changes):
    connector = shop.connect(**changes)
    refs = [ref(row, place) for place, row in enumerate(rows)]
    readings = [
        reading for batch in connector.read_batches(refs) for reading in connector.read_listings(batch, now=now)
    ]
    return sorted(readings)


@pytest.mark.parametrize("key", ["shopify-nuanju", "shopify-tokyo"])
def test_every_listing_is_read_as_it_is(simulator, now, key):
    shop = Shop(simulator, key)
    rows = shop.rows()
    for reading, row in zip(read(shop, rows, now), rows, strict=True):
        before = row["compare_at_price"]
        assert reading.outcome is ReadOutcome.READ
        assert reading.facts.live_price == Decimal(row["price"])
        assert reading.facts.list_price == Decimal(before or row["price"])
        assert reading.facts.stock == sum(row["levels"].values())
        assert reading.outer_id == row["sku"]
        assert (reading.facts.promotion_price, reading.cause) == (None, "")
    prices = {str(reading.facts.live_price) for reading in read(shop, rows[:5], now)}
    assert all(("." in price) == (key == "shopify-nuanju") for price in prices)  # yen have no decimals


def test_the_world_holds_what_is_hard_to_read(shop):
    rows = shop.rows()
    assert any(int(number(row["variant_id"])) > 2**53 for row in rows)
    assert any("/" in row["sku"] and not row["sku"].isascii() for row in rows)
    assert max(Counter(row["sku"] for row in rows).values()) > 1
    assert max(Counter(row["product_id"] for row in rows).values()) > 100


def test_two_variants_under_one_sku_stay_apart(shop, now):
    twins = [row for row in shop.rows() if row["sku"] == "TWIN-1"]
    shop.simulator.shopify.set_variant(twins[0], location=shop.location, quantity=3)
    first, second = read(shop, [shop.row(row) for row in twins], now)
    assert first.facts.stock != second.facts.stock
    assert first.outer_id == second.outer_id == "TWIN-1"


def test_shelf_states_follow_the_shop(shop, now):
    row = shop.rows()[0]
    product = {"num_iid": row["num_iid"], "sku_id": row["sku_id"]}
    for place in levels(row):
        shop.simulator.shopify.set_variant(product, location=place, quantity=0)
    [reading] = read(shop, [row], now)
    assert (reading.facts.stock, reading.facts.shelf_state) == (0, ShelfState.SOLD_OUT)
    shop.simulator.shopify.set_variant(product, approve_status="instock")
    [reading] = read(shop, [row], now)
    assert (reading.facts.stock, reading.facts.shelf_state) == (0, ShelfState.OFF_SHELF)


def test_an_oversold_variant_keeps_its_figure(shop, now):
    row = shop.rows()[0]
    connector = shop.connect()
    data = connector._gateway.query(
        "set-stock",
        {
            "key": "oversell",
            "input": {
                "name": "available",
                "reason": "correction",
                "quantities": [
                    {
                        "inventoryItemId": row["inventory_item_id"],
                        "locationId": place,
                        "quantity": -4,
                        "changeFromQuantity": None,
                    }
                    for place in row["levels"]
                ],
            },
        },
        _clock(now),
    )
    assert not data["inventorySetQuantities"]["userErrors"]
    [reading] = read(shop, [row], now)
    assert (reading.facts.stock, reading.facts.shelf_state) == (-4 * len(row["levels"]), ShelfState.SOLD_OUT)


def test_unknown_foreign_and_impossible_ids_spoil_nothing(shop, now):
    row = shop.rows()[0]
    foreign = Shop(shop.simulator, "shopify-tokyo").rows()[0]
    item_id, sku_id = number(row["product_id"]), number(row["variant_id"])
    refs = [
        ref(row, 1),
        ListingRef(2, item_id, "4999999999999"),
        ref(foreign, 3),
        ListingRef(4, "1", sku_id),
        ListingRef(5, item_id, ""),
        ListingRef(6, item_id, "12x"),
        ListingRef(7, "gid://shopify/Product/1", sku_id),
    ]
    readings = shop.connect().read_listings(refs, now=now)
    assert [reading.outcome.value for reading in readings] == ["read"] + ["missing"] * 3 + ["refused"] * 3
    assert {reading.cause for reading in readings[4:]} == {"bad-listing-id"}
    assert len(shop.calls("shop,nodes")) == 1


def test_nothing_is_asked_for_impossible_ids_alone(shop, now):
    [reading] = shop.connect().read_listings([ListingRef(1, "5", "x")], now=now)
    assert reading.outcome is ReadOutcome.REFUSED
    assert shop.calls() == []


def test_one_call_reads_250_variants_however_many_listings_stand_for_them(shop):
    connector = shop.connect()
    refs = [ListingRef(place, "7", str(1 + place % 300)) for place in range(600)]
    batches = connector.read_batches(refs)
    assert [len({each.sku_id for each in batch}) for batch in batches] == [250, 50]
    assert sorted(each for batch in batches for each in batch) == sorted(refs)
    with pytest.raises(Fatal):
        connector.read_batches([ListingRef(1, "7", "1", is_own=False)])


# --- Currency -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda c, row, now: c.read_listings([ref(row)], now=now), id="read"),
        pytest.param(lambda c, row, now: list(discovered(c, now)), id="discover"),
        pytest.param(lambda c, row, now: list(c.read_changes(since=now, now=now)), id="changes"),
        pytest.param(lambda c, row, now: list(c.read_promotions(now=now)), id="promotions"),
        pytest.param(lambda c, row, now: c.check_connection(now=now), id="connection"),
    ],
)
def test_amounts_in_another_currency_than_the_channels_are_not_passed_on(shop, now, act):
    row = shop.rows()[0]
    connector = shop.connect()
    connector.currency = "CNY"
    with pytest.raises(Review) as caught:
        act(connector, row, now)
    assert (caught.value.cause, caught.value.scope, caught.value.detail) == ("currency-differs", "channel", "USD")
    connector.currency = "USD"
    act(connector, row, now)


# --- Discovery ------------------------------------------------------------------------------------------------------


def discovered_as_they_are(shop, now):
    found = {(listing.item_id, listing.sku_id): listing for listing in discovered(shop.connect(), now)}
    rows = shop.rows()
    assert len(found) == len(rows)
    for row in rows:
        listing = found[number(row["product_id"]), number(row["variant_id"])]
        assert listing.stock_id == number(row["inventory_item_id"])
        assert (listing.outer_id, listing.barcode) == (row["sku"], row["barcode"])
        assert listing.facts.stock == sum(row["levels"].values())
        assert listing.facts.live_price == Decimal(row["price"])
        assert listing.changed_at is not None


def test_a_small_shop_is_discovered_page_by_page(shop, now, monkeypatch):
    monkeypatch.setattr("integrations.connectors.shopify.client._PAGE", 50)
    discovered_as_they_are(shop, now)
    assert len(shop.calls("productVariants")) == -(-len(shop.rows()) // 50)
    assert shop.calls("bulkOperationRunQuery") == []


def test_a_large_shop_is_discovered_by_one_bulk_operation(shop, now, monkeypatch):
    monkeypatch.setattr("integrations.connectors.shopify.client._BULK_FROM", 10)
    discovered_as_they_are(shop, now)
    assert shop.calls("productVariants") == []
    assert len(shop.calls("bulkOperationRunQuery")) == 1


@pytest.mark.parametrize(
    ("code", "expected", "cause"),
    [
        ("ACCESS_DENIED", Reauthorise, "scope-missing"),
        ("INTERNAL_SERVER_ERROR", Retry, "server-error"),
        ("TIMEOUT", Retry, "server-error"),
    ],
)
def test_a_failed_bulk_operation_is_no_discovery(shop, now, monkeypatch, code, expected, cause):
    monkeypatch.setattr("integrations.connectors.shopify.client._BULK_FROM", 10)
    shop.simulator.shopify.set_bulk(fail=code)
    with pytest.raises(expected) as caught:
        list(discovered(shop.connect(), now))
    assert (caught.value.cause, caught.value.code) == (cause, code)
    discovered_as_they_are(shop, now)


def test_five_bulk_operations_at_once_are_all_there_are(shop, now, monkeypatch):
    monkeypatch.setattr("integrations.connectors.shopify.client._BULK_FROM", 10)
    shop.simulator.shopify.set_bulk(seconds=60)
    connector = shop.connect()
    for _ in range(5):
        connector._gateway.query("run-bulk", {"query": documents.BULK_VARIANTS}, _clock(now))
    with pytest.raises(Wait) as caught:
        list(discovered(connector, now))
    assert caught.value.cause == "bulk-running"
    assert caught.value.retry_at > now


def test_a_bulk_operation_that_never_ends_is_left_for_later(shop, now, monkeypatch):
    monkeypatch.setattr("integrations.connectors.shopify.client._BULK_FROM", 10)
    shop.simulator.shopify.set_bulk(seconds=600)
    pages = shop.connect().discover_listings(now=now)
    listings, cursor = next(pages)
    assert not listings
    with pytest.raises(Wait) as caught:
        next(pages)
    assert (caught.value.cause, caught.value.scope) == ("bulk-running", "operation")
    assert now < caught.value.retry_at <= now + timedelta(seconds=10)
    # Hours later it is asked less often.
    later = now + timedelta(hours=3)
    with pytest.raises(Wait) as caught:
        list(shop.connect().discover_listings(now=later, cursor=cursor))
    assert later + timedelta(seconds=30) < caught.value.retry_at <= later + timedelta(minutes=2)
    assert len(shop.calls("bulkOperationRunQuery")) == 1


def bulk_server(result, *, url=None, total="1", status="COMPLETED"):
    """Answers as Shopify does up to a bulk result, which lies on another host: the server `result`."""
    operation = {"id": "gid://shopify/BulkOperation/1", "status": "CREATED"}
    done = operation | {"status": status, "url": url or f"{result.url}/result?sig=1", "objectCount": total}
    return RawServer(
        answer_json({"data": {"shop": {"currencyCode": "USD"}, "productVariantsCount": {"count": 5000}}}),
        answer_json({"data": {"bulkOperationRunQuery": {"bulkOperation": operation, "userErrors": []}}}),
        answer_json({"data": {"bulkOperation": done}}),
    )


LINE = b'{"id":"gid://shopify/ProductVariant/11","sku":"A-1","price":"1.00","product":{"id":"gid://shopify/Product/1"}}'


def test_the_host_of_a_bulk_result_gets_no_token(shop, now):
    with RawServer(answer(LINE + b"\n")) as result, bulk_server(result) as server:
        [listing] = discovered(shop.connect(base_url=server.url), now)
    assert (listing.item_id, listing.sku_id) == ("1", "11")
    assert len(result.heads) == 1
    assert "shopify" not in result.heads[0].lower()
    assert shop.account["access_token"] not in result.heads[0] + result.bodies[0].decode()


@pytest.mark.parametrize(
    ("handler", "total", "cause"),
    [
        pytest.param(answer(LINE + b"\n"), "2", "half-answer", id="a line missing"),
        pytest.param(answer(LINE[:-9] + b"\n"), "1", "half-answer", id="half a line"),
        pytest.param(answer(b"[1]\n"), "1", "half-answer", id="no object"),
        pytest.param(answer(b'{"sku":"A"}\n'), "1", "half-answer", id="no id"),
        pytest.param(answer(b""), "1", "half-answer", id="empty"),
        pytest.param(answer(b"<html>", "404 Not Found"), "1", "wrong-address", id="gone"),
        pytest.param(answer(b"", "302 Found", Location="http://127.0.0.1:9/"), "1", "redirect", id="moved"),
        pytest.param(
            lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"), "1", "connection", id="cut"
        ),
    ],
)
def test_half_a_bulk_result_is_not_taken_for_the_whole(shop, now, handler, total, cause):
    cut = handler

    def once(connection):
        cut(connection)
        connection.close()

    with RawServer(once) as result, bulk_server(result, total=total) as server:
        found = discovered(shop.connect(base_url=server.url), now)
        with pytest.raises(ConnectorError) as caught:
            list(found)
    assert caught.value.cause == cause
    assert "sig=1" not in str(caught.value)


@pytest.mark.parametrize(("total", "is_whole"), [("0", True), ("3", False)])
def test_a_bulk_operation_without_a_file_found_nothing(shop, now, total, is_whole):
    with RawServer(answer()) as result, bulk_server(result, url=" ", total=total) as server:
        found = discovered(shop.connect(base_url=server.url), now)
        if is_whole:
            assert list(found) == []
        else:
            with pytest.raises(Retry):
                list(found)


# --- Changes --------------------------------------------------------------------------------------------------------


def changed(shop, since, now):
    return [listing.sku_id for listing in shop.connect().read_changes(since=since, now=now)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda shop, row: shop.simulator.shopify.set_variant(row, live_price="1.23"), id="price"),
        pytest.param(
            lambda shop, row: shop.simulator.shopify.set_variant(row, location=shop.other_location, quantity=77),
            id="stock",
        ),
        pytest.param(lambda shop, row: shop.simulator.shopify.set_variant(row, title="New name"), id="title"),
        pytest.param(lambda shop, row: shop.simulator.shopify.set_variant(row, approve_status="instock"), id="status"),
    ],
)
def test_each_change_is_told_and_each_listing_once(shop, now, change):
    since = shop.simulator.now() + timedelta(seconds=5)
    row = shop.rows()[0]
    assert changed(shop, since, now) == []
    shop.simulator.set_now(since + timedelta(seconds=5))
    change(shop, row)
    found = changed(shop, since, now)
    assert number(row["variant_id"]) in found
    assert len(found) == len(set(found))


def test_a_change_at_the_very_moment_is_told(shop, now):
    since = shop.simulator.now() + timedelta(seconds=5)
    shop.simulator.set_now(since)
    row = shop.rows()[0]
    shop.simulator.shopify.set_variant(row, live_price="1.23")
    assert number(row["variant_id"]) in changed(shop, since, now)


def test_a_changed_product_of_many_variants_is_told_whole(shop, now):
    since = shop.simulator.now() + timedelta(seconds=5)
    shop.simulator.set_now(since)
    rows = [row for row in shop.rows() if row["sku"].startswith("TILE-")]
    assert len(rows) > 100
    shop.simulator.shopify.set_variant(rows[0], title="Tiles")
    assert {number(row["variant_id"]) for row in rows} <= set(changed(shop, since, now))
    assert shop.calls("product")


# --- Stock levels ---------------------------------------------------------------------------------------------------


def test_every_location_is_read_with_its_stock(shop, now):
    connector = shop.connect()
    found = {each.location_id: each.is_active for each in connector.read_locations(now=now)}
    assert found == {shop.location: True, shop.other_location: True}
    rows = shop.rows()[:30]
    found = connector.read_stock_levels([ref(row, place) for place, row in enumerate(rows)], now=now)
    expected = {(place, each, units) for place, row in enumerate(rows) for each, units in levels(row).items()}
    assert {tuple(level) for level in found} == expected
    assert len(shop.calls("nodes")) == 1


def test_an_inactive_location_is_told_as_such(shop, now):
    shop.simulator.shopify.set_store(inactive_locations=[shop.account["locations"][1]])
    found = {each.location_id: each.is_active for each in shop.connect().read_locations(now=now)}
    assert found == {shop.location: True, shop.other_location: False}


def test_levels_of_unknown_listings_are_not_invented(shop, now):
    row = shop.rows()[0]
    refs = [ListingRef(1, "1", number(row["variant_id"])), ListingRef(2, "5", "4999999999999"), ListingRef(3, "5")]
    assert shop.connect().read_stock_levels(refs, now=now) == []


def test_more_locations_than_one_page_are_all_read(shop, now, monkeypatch):
    monkeypatch.setitem(documents.SENT, "levels", documents.LEVELS.replace("first: 20", "first: 1"))
    row = shop.rows()[0]
    found = shop.connect().read_stock_levels([ref(row, 5)], now=now)
    assert {(level.location_id, level.available) for level in found} == set(levels(row).items())
    assert len(shop.calls("inventoryItem")) == 1


def test_what_is_not_counted_has_no_level(shop, now):
    node = {
        "id": "gid://shopify/ProductVariant/11",
        "product": {"id": "gid://shopify/Product/1"},
        "inventoryItem": {"id": "gid://shopify/InventoryItem/2", "tracked": False, "inventoryLevels": None},
    }
    with RawServer(answer_json({"data": {"nodes": [node, None, {}]}})) as server:
        assert shop.connect(base_url=server.url).read_stock_levels([ListingRef(1, "1", "11")], now=now) == []


# --- Calls ----------------------------------------------------------------------------------------------------------


def test_the_costs_we_expect_are_not_below_those_of_the_cost_model():
    variables = {"first": 250, "ids": []}
    for name, document in documents.SENT.items():
        parsed = graphql.parse(document)
        given = variables | {"first": {"orders": 100, "changed-products": 100}.get(name, 250)}
        cost = Calculator(schema_of("2026-10"), parsed, operation_of(parsed, None), given).requested()
        assert cost <= documents.COSTS[name] <= cost * 1.5 + 5, name


@pytest.mark.parametrize(
    ("fault", "expected", "cause"),
    [
        pytest.param({"kind": "html"}, Retry, "not-json", id="HTML"),
        pytest.param({"kind": "half"}, Retry, "not-json", id="cut short"),
        pytest.param({"kind": "half", "mode": "short_body"}, Retry, "connection", id="cut short on the way"),
        pytest.param({"kind": "null", "fields": ["nodes"]}, Retry, "half-answer", id="null list"),
        pytest.param({"kind": "null", "fields": ["data"]}, Retry, "half-answer", id="null data"),
        pytest.param({"kind": "big"}, Retry, "too-large", id="10 MB"),
        pytest.param({"kind": "endless"}, Retry, "timeout", id="endless"),
        pytest.param({"kind": "redirect"}, Fatal, "redirect", id="redirect"),
        pytest.param({"kind": "drop"}, Retry, "connection", id="hung up"),
        pytest.param({"kind": "delay", "seconds": 1.5}, Retry, "timeout", id="too slow"),
        pytest.param({"kind": "retry_after"}, Wait, "quota", id="429"),
        pytest.param({"status": 500}, Retry, "server-error", id="500"),
        pytest.param({"sub_code": "INTERNAL_SERVER_ERROR"}, Retry, "server-error", id="its own error"),
        pytest.param({"sub_code": "SOMETHING_NEW"}, Review, "unrecognised", id="unknown code"),
        pytest.param({"sub_code": "THROTTLED"}, Wait, "quota", id="throttled"),
    ],
)
def test_bad_answers_are_told_apart_and_the_next_read_is_good(shop, now, fault, expected, cause):
    row = shop.rows()[0]
    connector = shop.connect(patience=1 if fault.get("kind") in NEVER_IN_TIME else 10)
    shop.simulator.shopify.fail_next(**fault)
    with pytest.raises(expected) as caught:
        connector.read_listings([ref(row)], now=now)
    assert caught.value.cause == cause
    for told in (str(caught.value), repr(caught.value), repr(caught.value.__cause__)):
        assert shop.account["access_token"] not in told
        assert shop.account["client_secret"] not in told
    [reading] = shop.connect().read_listings([ref(row)], now=now)
    assert reading.outcome is ReadOutcome.READ


@pytest.mark.parametrize(
    ("status", "expected", "cause"),
    [
        ("frozen", Review, "shop-frozen"),
        ("forbidden", Reauthorise, "scope-missing"),
        ("locked", Review, "shop-locked"),
        ("rejected", Review, "security-rejection"),
    ],
)
def test_a_shop_that_does_not_let_us_in_says_why(shop, now, status, expected, cause):
    shop.simulator.shopify.set_store(status=status)
    with pytest.raises(expected) as caught:
        shop.connect().check_connection(now=now)
    assert caught.value.cause == cause


def test_another_host_never_gets_the_token(shop, now):
    row = shop.rows()[0]
    with RawServer(answer()) as thief:
        shop.simulator.shopify.fail_next(kind="redirect", location=f"{thief.url}/admin")
        with pytest.raises(Fatal) as caught:
            shop.connect().read_listings([ref(row)], now=now)
    assert caught.value.cause == "redirect"
    assert thief.heads == []


def test_an_empty_bucket_is_waited_for_and_a_long_wait_is_told(shop, now, monkeypatch):
    connector = shop.connect()

    def dear_call():
        return list(connector.read_orders(since=now, until=now, now=now))

    assert dear_call() == []
    shop.simulator.shopify.set_store(points=0)
    with pytest.raises(Wait) as caught:
        dear_call()  # others emptied it: we could not know
    assert timedelta(seconds=1) <= caught.value.retry_at - now <= timedelta(seconds=5)
    assert dear_call() == []  # now we do, and wait
    monkeypatch.setattr("integrations.connectors.shopify.gateway._LONGEST_WAIT_SECONDS", 0.0)
    shop.simulator.shopify.set_store(points=0)
    with pytest.raises(Wait):
        dear_call()
    shop.simulator.clear_ledger()
    with pytest.raises(Wait) as caught:
        dear_call()
    assert caught.value.cause == "quota"
    assert shop.calls() == []  # not even asked


# --- Versions -------------------------------------------------------------------------------------------------------


def test_a_retired_version_still_reads_with_a_warning_and_writes_nothing(shop, now, caplog):
    row = shop.rows()[0]
    shop.simulator.shopify.set_versions(oldest="2027-01", latest="2027-04")
    connector = shop.connect()
    [reading] = connector.read_listings([ref(row)], now=now)
    assert reading.outcome is ReadOutcome.READ
    assert "2027-01 where 2026-10 is asked for" in caplog.text
    for writer in (connector, shop.connect()):  # one that has read, and one that knows nothing yet
        with pytest.raises(Review) as caught:
            writer.push_stock([shop.target(row, 5)], key="k", now=now)
        assert (caught.value.cause, caught.value.scope) == ("api-version", "channel")
    assert shop.calls("inventorySetQuantities") == []
    with pytest.raises(Review) as caught:
        shop.connect().check_connection(now=now)
    assert caught.value.cause == "api-version"


def _clock(now):
    return Clock(now)
