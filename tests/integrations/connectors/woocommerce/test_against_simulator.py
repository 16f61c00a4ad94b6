"""The connector over HTTP against the strict simulator: what it reads of a shop."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from catalog.facts import Facts, ShelfState
from integrations.connectors.base import HintKind, ListingRef, OrderStatus, ReadOutcome
from integrations.connectors.clock import Clock
from integrations.connectors.errors import Fatal, Retry
from tests.integrations.connectors.discovery import discovered
from tests.integrations.connectors.raw_server import RawServer, answer_json
from tests.integrations.simulator.woocommerce.conftest import Receiver

pytestmark = pytest.mark.pure

LARGEST = 9007199254740991  # a number of JSON that every program reads exactly
VARIATION_LIST = "GET variations"
NO_ROUTE = {"sub_code": "rest_no_route", "msg": "No route was found.", "status": 404}


def read(connector, now, *ids):
    refs = [ListingRef(number, *pair) for number, pair in enumerate(ids)]
    return connector.read_listings(refs, now=now)


def found(listings):
    """The listings by their ids; each may come once only."""
    by_id = {}
    for listing in listings:
        assert (listing.item_id, listing.sku_id) not in by_id
        by_id[listing.item_id, listing.sku_id] = listing
    return by_id


def truth(simulator, shop="woo-yatai"):
    return {(str(row["num_iid"]), str(row["sku_id"] or "")): row for row in simulator.woocommerce.items(shop)}


@pytest.fixture
def older(simulator):
    """The shop has no list of all variations."""
    simulator.woocommerce.fail_next(method=VARIATION_LIST, times=0, **NO_ROUTE)


# --- Listings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_older", [False, True])
@pytest.mark.parametrize("shop", ["woo-yatai", "woo-hudson"])
def test_every_listing_is_read_and_found_as_it_is(simulator, connect, request, now, shop, is_older):
    if is_older:
        request.getfixturevalue("older")
    rows = truth(simulator, shop)
    connector = connect(shop=shop)
    refs = [ListingRef(number, *ids) for number, ids in enumerate(rows)]
    readings = [
        reading for batch in connector.read_batches(refs) for reading in connector.read_listings(batch, now=now)
    ]
    listings = found(discovered(connector, now))
    assert listings.keys() == rows.keys()
    for reading, (ids, row) in zip(readings, rows.items(), strict=True):
        assert reading.outcome is ReadOutcome.READ
        assert reading.facts == listings[ids].facts
        assert (reading.outer_id, listings[ids].outer_id) == (row["outer_id"], row["outer_id"])
        assert reading.facts.live_price == Decimal(row["live_price"])
        assert reading.facts.list_price == Decimal(row["compare_at"] or row["live_price"])
        assert listings[ids].changed_at.tzinfo is UTC


def test_an_older_shop_is_asked_once_for_the_list_it_lacks(connect, older, shirt, calls, now):
    """However many batches are read at the same time."""
    connector = connect()
    with ThreadPoolExecutor(6) as threads:
        readings = list(threads.map(lambda _: read(connector, now, ("22", "732")), range(12)))
    assert {reading.outcome for [reading] in readings} == {ReadOutcome.READ}
    assert [method for method, _code in calls()].count(VARIATION_LIST) == 1


def test_a_product_is_read_as_the_reference_prints_it(connect, shop, shirt, now):
    """The printed request and answer, and what we read of it."""
    sent = {
        "manage_stock": True,
        "stock_quantity": 7,
        "regular_price": "24.90",
        "sale_price": "19.90",
        "date_on_sale_from_gmt": "2026-11-27T00:00:00",
        "date_on_sale_to_gmt": "2026-11-30T23:59:59",
    }
    shop.simulator.set_now(datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC))
    connector = connect()
    answer = connector._gateway.call("PUT", "products/22/variations/732", Clock(now), body=sent).json
    printed = {"id": 732, "sku": "TS-RED-M", "price": "24.90", "on_sale": False, "stock_quantity": 7}
    assert {name: answer[name] for name in printed} == printed
    [before] = read(connector, now, ("22", "732"))
    assert before.facts == Facts(Decimal("24.90"), Decimal("24.90"), None, 7, ShelfState.ON_SHELF)
    shop.simulator.set_now(datetime(2026, 11, 28, tzinfo=UTC))
    [during] = read(connector, now, ("22", "732"))
    assert (during.facts.list_price, during.facts.live_price) == (Decimal("24.90"), Decimal("19.90"))
    shop.simulator.set_now(datetime(2026, 12, 2, tzinfo=UTC))
    [after] = read(connector, now, ("22", "732"))
    assert (after.facts.list_price, after.facts.live_price) == (Decimal("24.90"), Decimal("24.90"))


def test_a_batch_is_answered_as_the_reference_prints_it(connect, shop, mug, now):
    sent = {"update": [{"id": 794, "manage_stock": True, "stock_quantity": 7}, {"id": 999999, "stock_quantity": 1}]}
    answer = connect()._gateway.call("POST", "products/batch", Clock(now), body=sent).json
    assert (answer["update"][0]["id"], answer["update"][0]["stock_quantity"]) == (794, 7)
    assert answer["update"][1] == {
        "id": 999999,
        "error": {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID.", "data": {"status": 400}},
    }


def test_ids_as_large_as_they_come_and_codes_of_any_kind_stay_what_they_are(connect, shop, now):
    variation = {"id": LARGEST, "sku": "A/1/红色 & <b>", "price": "9.90", "quantity": 3, "barcode": "6901234567892"}
    shop.add(LARGEST - 1, sku="A/1", name="红色 T恤", variations=[variation])
    connector = connect()
    [reading] = read(connector, now, (str(LARGEST - 1), str(LARGEST)))
    assert (reading.title, reading.outer_id, reading.facts.stock) == ("红色 T恤", "A/1/红色 & <b>", 3)
    listing = found(discovered(connector, now))[str(LARGEST - 1), str(LARGEST)]
    assert (listing.outer_id, listing.barcode) == ("A/1/红色 & <b>", "6901234567892")


@pytest.mark.parametrize(
    ("facts", "sent", "expected"),
    [
        ({"quantity": 0}, {}, (0, ShelfState.SOLD_OUT)),
        ({"quantity": 0}, {"backorders": "notify"}, (0, ShelfState.ON_SHELF)),
        ({}, {"status": "draft"}, (12, ShelfState.OFF_SHELF)),
        ({}, {"status": "private"}, (12, ShelfState.OFF_SHELF)),
        ({}, {"status": "pending"}, (12, ShelfState.OFF_SHELF)),
        ({}, {"manage_stock": False}, (None, ShelfState.ON_SHELF)),
        ({}, {"manage_stock": False, "stock_status": "outofstock"}, (None, ShelfState.SOLD_OUT)),
    ],
)
def test_stock_and_state_follow_the_shop(simulator, connect, shop, mug, now, facts, sent, expected):
    if facts:
        simulator.woocommerce.set_item(794, **facts)
    if sent:
        shop.put("products/794", sent)
    [reading] = read(connect(), now, ("794", ""))
    assert (reading.facts.stock, reading.facts.shelf_state) == expected


@pytest.mark.parametrize(
    ("sent", "prices", "remark"),
    [
        ({"regular_price": ""}, (None, None), ""),
        ({"regular_price": "0"}, (None, None), "price-not-positive"),
        ({"sale_price": "0"}, (Decimal("19.90"), None), "price-not-positive"),
        ({"sale_price": "15"}, (Decimal("19.90"), Decimal("15.00")), ""),
        ({"regular_price": "21.50"}, (Decimal("21.50"), Decimal("21.50")), ""),
    ],
)
def test_prices_follow_the_shop(connect, shop, mug, now, sent, prices, remark):
    shop.put("products/794", sent)
    [reading] = read(connect(), now, ("794", ""))
    assert ((reading.facts.list_price, reading.facts.live_price), reading.cause) == (prices, remark)


def test_variations_of_one_stock_all_show_it(connect, shop, now):
    variations = [
        {"id": id, "sku": f"P-{id}", "price": "5.00", "quantity": 4, "manage_stock": False} for id in (301, 302)
    ]
    shop.add(30, sku="P", manage_stock=True, variations=variations)
    readings = read(connect(), now, ("30", "301"), ("30", "302"))
    assert [reading.facts.stock for reading in readings] == [8, 8]


def test_what_is_not_there_is_missing_and_the_others_are_read(connect, shirt, mug, now):
    ids = [("794", ""), ("999999", ""), ("22", "999999"), ("794", "732"), ("22", ""), ("TS-RED-M", ""), ("22", "x")]
    readings = read(connect(), now, *ids)
    assert [(reading.outcome.value, reading.cause) for reading in readings] == [
        ("read", ""),
        ("missing", "unknown-listing"),
        ("missing", "unknown-variant"),
        ("missing", "unknown-variant"),
        ("refused", "has-variants"),
        ("refused", "bad-listing-id"),
        ("refused", "bad-listing-id"),
    ]
    assert [reading.listing_id for reading in readings] == list(range(7))


def test_batches_hold_as_many_listings_as_one_call_reads(connect):
    refs = [ListingRef(number, str(number)) for number in range(1, 151)]
    refs += [ListingRef(1000 + number, "2200", str(number)) for number in range(1, 121)]
    batches = connect().read_batches(refs)
    assert [len(batch) for batch in batches] == [100, 50, 100, 20]
    assert [ref for batch in batches for ref in batch] == refs
    assert connect().read_batches([]) == []
    with pytest.raises(Fatal):
        connect().read_batches([ListingRef(1, "794", is_own=False)])


def test_a_full_batch_takes_two_calls(connect, shop, calls, now):
    rows = [
        {"id": 700_000 + number, "sku": f"V-{number}", "price": "5.00", "quantity": number} for number in range(100)
    ]
    shop.add(50, sku="V", variations=rows)
    readings = read(connect(), now, *(("50", str(700_000 + number)) for number in range(100)))
    assert [reading.facts.stock for reading in readings] == list(range(100))
    assert [method for method, _code in calls()] == ["GET products", VARIATION_LIST]


def test_a_whole_shop_takes_a_call_for_each_hundred_products_and_each_hundred_variations(
    simulator, connect, calls, now
):
    simulator.woocommerce.add_products(500, variants_each=5)
    listings = found(discovered(connect(), now))
    assert listings.keys() == truth(simulator).keys()
    products, variations = len({item for item, _sku in listings}), sum(bool(sku) for _item, sku in listings)
    assert len(calls()) <= products / 99 + variations / 100 + 4


def test_what_is_deleted_while_a_shop_is_read_hides_nothing(simulator, connect, now):
    simulator.woocommerce.add_products(250)
    rows = truth(simulator)
    listings = discovered(connect(), now)
    first = next(listings)
    gone = sorted({item_id for item_id, _sku_id in rows}, key=int)[1:6]  # of those read already
    for item_id in gone:
        simulator.woocommerce.set_item(int(item_id), delete=True)
    seen = {first.item_id} | {listing.item_id for listing in listings}
    assert {item_id for item_id, _sku_id in rows} - set(gone) <= seen


@pytest.mark.parametrize("gone", [5, 130, 190])
def test_what_is_deleted_between_two_processes_that_read_a_shop_hides_nothing(simulator, connect, now, gone):
    simulator.woocommerce.add_products(250)
    first = []
    for page in connect().discover_listings(now=now):
        first += page.listings
        if len(first) >= 200 and not page.listings:
            break
    items = list(dict.fromkeys(listing.item_id for listing in first))
    for item_id in items[-gone:]:
        simulator.woocommerce.set_item(int(item_id), delete=True)
    rest = [each for page in connect().discover_listings(now=now, cursor=page.cursor) for each in page.listings]
    assert truth(simulator).keys() <= {(each.item_id, each.sku_id) for each in [*first, *rest]}


# --- Changes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def calm(simulator, shirt, mug):
    """More than the two minutes that are read again have gone by since the shop was filled; their end."""
    return simulator.step(seconds=200)


def changed(connect, simulator, since):
    """What changed of these tests' own products: sales of the seeded ones begin and end by the clock."""
    listings = found(connect().read_changes(since=since, now=simulator.now()))
    return {ids: listing for ids, listing in listings.items() if int(ids[0]) < 1_000}


def test_nothing_changed_is_nothing_told(connect, simulator, calm):
    assert changed(connect, simulator, calm) == {}


def test_a_changed_variation_is_told_though_its_product_was_not_touched(connect, simulator, shop, calm):
    touched = shop.get("products/22")["date_modified_gmt"]
    simulator.woocommerce.set_item(22, 732, quantity=3)
    assert shop.get("products/22")["date_modified_gmt"] == touched
    listings = changed(connect, simulator, calm)
    assert {ids: listing.facts.stock for ids, listing in listings.items()} == {("22", "732"): 3}
    assert listings["22", "732"].title == "T-shirt"


def test_a_changed_product_tells_of_all_its_variations_and_each_once(connect, simulator, shop, calm):
    simulator.woocommerce.set_item(22, 732, quantity=3)
    shop.put("products/22", {"status": "draft"})
    listings = changed(connect, simulator, calm)
    assert {ids: listing.facts.shelf_state for ids, listing in listings.items()} == {
        ("22", "732"): ShelfState.OFF_SHELF,
        ("22", "733"): ShelfState.OFF_SHELF,
    }


def test_changes_of_two_minutes_before_are_told_once_more(connect, simulator, calm):
    simulator.woocommerce.set_item(794, quantity=3)
    assert changed(connect, simulator, calm + timedelta(seconds=119)).keys() == {("794", "")}
    assert changed(connect, simulator, calm + timedelta(seconds=121)) == {}


def test_an_older_shop_tells_of_everything(connect, simulator, older, calm):
    assert found(connect().read_changes(since=calm, now=simulator.now())).keys() == truth(simulator).keys()


def test_more_changes_than_a_page_holds_are_all_told(connect, simulator, shop, now):
    rows = [{"id": 800_000 + number, "sku": f"V-{number}", "price": "5.00", "quantity": 5} for number in range(150)]
    shop.add(60, sku="V", variations=rows)
    since = simulator.step(seconds=200)
    for number in range(150):
        simulator.woocommerce.set_item(60, 800_000 + number, quantity=6)
    listings = changed(connect, simulator, since)
    assert listings.keys() == {("60", str(800_000 + number)) for number in range(150)}


# --- Orders ---------------------------------------------------------------------------------------------------------


def order(shop, *lines, **more):
    rows = [{"product_id": item, "variation_id": sku or 0, "quantity": units} for item, sku, units in lines]
    return shop.post("orders", {"line_items": rows, **more})


def passing(simulator):
    """Let a minute pass; returns the second that it is then."""
    return simulator.step(seconds=60).replace(microsecond=0)


def orders(connector, since, until):
    return {each.order_id: each for each in connector.read_orders(since=since, until=until, now=until)}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", OrderStatus.UNPAID),
        ("on-hold", OrderStatus.UNPAID),
        ("processing", OrderStatus.PAID),
        ("completed", OrderStatus.FINISHED),
        ("cancelled", OrderStatus.CANCELLED),
        ("failed", OrderStatus.CANCELLED),
    ],
)
def test_orders_are_read_with_their_lines_and_status(simulator, connect, shop, shirt, mug, status, expected):
    start = passing(simulator)
    made = order(shop, (22, 732, 2), (794, None, 3), status=status)
    end = passing(simulator)
    [read_order] = orders(connect(), start, end).values()
    assert (read_order.order_id, read_order.status, read_order.currency) == (str(made["id"]), expected, "EUR")
    assert start <= read_order.created_at < end
    assert [(line.item_id, line.sku_id, line.outer_id, line.quantity) for line in read_order.lines] == [
        ("22", "732", "TS-RED-M", 2),
        ("794", "", "PQ-1", 3),
    ]
    assert [line.paid_per_unit for line in read_order.lines] == [Decimal("24.9000"), Decimal("19.9000")]


def test_refunded_units_are_those_given_back(simulator, connect, shop, mug, shirt):
    start = passing(simulator)
    made = order(shop, (22, 732, 4), (794, None, 3), status="processing")
    lines = [{"id": made["line_items"][0]["id"], "quantity": 1, "refund_total": "24.90"}]
    for _again in range(2):
        shop.post(f"orders/{made['id']}/refunds", {"line_items": lines})
    [read_order] = orders(connect(), start, passing(simulator)).values()
    assert [line.returned for line in read_order.lines] == [2, 0]


def test_a_window_holds_its_beginning_and_not_its_end(simulator, connect, shop, mug):
    at = passing(simulator)
    made = str(order(shop, (794, None, 1))["id"])
    connector = connect()
    read_order = orders(connector, at - timedelta(hours=1), at + timedelta(hours=1))[made]
    changed_at = read_order.changed_at
    second = timedelta(seconds=1)
    assert made in orders(connector, changed_at, changed_at + second)
    assert made not in orders(connector, changed_at + second, changed_at + 2 * second)
    assert made not in orders(connector, changed_at - second, changed_at)


def test_more_orders_than_a_page_holds_are_each_read_once(simulator, connect, shop, mug):
    start = passing(simulator)
    made = {str(order(shop, (794, None, 1))["id"]) for _order in range(110)}
    end = passing(simulator)
    read_ids = [each.order_id for each in connect().read_orders(since=start, until=end, now=end)]
    assert len(read_ids) == len(set(read_ids))
    assert made <= set(read_ids)


def test_an_order_that_is_deleted_while_it_is_read_is_left_out(simulator, connect, shop, mug):
    start = passing(simulator)
    made = order(shop, (794, None, 2), status="processing")
    shop.post(f"orders/{made['id']}/refunds", {"amount": "1.00"})
    other = order(shop, (794, None, 1))
    simulator.woocommerce.fail_next(
        method="GET orders/{order_id}/refunds", sub_code="woocommerce_rest_order_invalid_id", status=404
    )
    assert orders(connect(), start, passing(simulator)).keys() == {str(other["id"])}


def test_orders_of_a_shop_are_in_its_currency(simulator, connect):
    start = passing(simulator)
    row = next(iter(truth(simulator, "woo-hudson").values()))
    simulator.woocommerce.order(row["num_iid"], row["sku_id"] or "", 1)
    [read_order] = orders(connect(shop="woo-hudson"), start, passing(simulator)).values()
    assert read_order.currency == "USD"


# --- Coupons --------------------------------------------------------------------------------------------------------


def promotions(connector, now):
    return {each.codes[0]: each for each in connector.read_promotions(now=now)}


def test_the_coupon_of_the_reference_is_read(simulator, connect, shop, shirt, mug):
    """As printed, for products that are there: of ids that are no product's the shop may mean variations."""
    sent = {
        "code": "black25",
        "discount_type": "percent",
        "amount": "25.00",
        "minimum_amount": "50.00",
        "product_ids": [22, 794, 733],
        "date_expires_gmt": "2099-12-01T00:00:00",
        "individual_use": True,
        "usage_limit": 500,
    }
    shop.post("coupons", sent)
    coupon = promotions(connect(), simulator.now())["black25"]
    assert (coupon.kind, coupon.value, coupon.currency) == ("percent_off", Decimal("25.00"), "EUR")
    assert (coupon.minimum_amount, coupon.is_alone, coupon.remaining) == (Decimal("50.00"), True, 500)
    assert (coupon.item_ids, coupon.sku_ids, coupon.unknown) == (("22", "794"), ("733",), ())
    assert coupon.ends_at == datetime(2099, 12, 1, 0, 0, 1, tzinfo=UTC)


def test_a_coupon_that_ended_is_left_out_and_one_we_cannot_compute_with_says_why(simulator, connect, shop):
    shop.post("coupons", {"code": "over", "amount": "5.00", "date_expires_gmt": "2020-01-01T00:00:00"})
    shop.post("coupons", {"code": "some", "amount": "5.00", "email_restrictions": ["a@example.com"]})
    shop.post("coupons", {"code": "kitchen", "amount": "5.00", "product_categories": [16]})
    read_coupons = promotions(connect(), simulator.now())
    assert "over" not in read_coupons
    assert read_coupons["some"].unknown == ("audience",)
    assert read_coupons["kitchen"].unknown == ("categories",)


def test_a_shop_that_does_not_name_its_currency_tells_no_amounts(connect, now):
    with RawServer(answer_json(["EUR"])) as server, pytest.raises(Retry) as caught:
        list(connect(server.url).read_promotions(now=now))
    assert caught.value.cause == "half-answer"


# --- Webhooks -------------------------------------------------------------------------------------------------------


def test_what_a_shop_delivers_is_genuine_and_says_what_changed(simulator, connect, shop, shirt, mug):
    connector = connect()
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        shop.post("webhooks", {"topic": "product.updated", "delivery_url": receiver.url, "secret": "hooksecret1"})
        simulator.woocommerce.set_item(22, 732, quantity=3)
        ends = time.monotonic() + 10
        while len(receiver.received) < 2 and time.monotonic() < ends:
            time.sleep(0.02)
        receiver.shutdown()
        thread.join()
    deliveries = [({name.lower(): value for name, value in head.items()}, body) for head, body in receiver.received]
    kinds = {}
    for headers, body in deliveries:
        [hint] = connector.parse_webhook(headers=headers, body=body)
        genuine = connector.is_genuine(headers=headers, body=body, secrets=["hooksecret1"])
        kinds[hint.kind] = (hint.item_id, hint.sku_id, genuine)
    assert kinds == {HintKind.PING: ("", "", False), HintKind.LISTING: ("22", "732", True)}
