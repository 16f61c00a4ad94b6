"""Writing stock: the traps of the shop's API, and what is known after a write that went wrong."""

import orjson
import pytest

from integrations.connectors.base import PushStatus, StockTarget
from integrations.connectors.errors import Fatal, Reauthorise, Retry, Wait
from integrations.connectors.woocommerce.stock import MAX_ROWS
from tests.integrations.connectors.raw_server import RawServer, answer, answer_json

pytestmark = pytest.mark.pure

PRODUCTS = "POST products/batch"
VARIATIONS = "POST products/{product_id}/variations/batch"
APPLIED, ACCEPTED, REFUSED = PushStatus.APPLIED, PushStatus.ACCEPTED, PushStatus.REFUSED
STALE, UNKNOWN = PushStatus.STALE, PushStatus.UNKNOWN


@pytest.fixture
def push(connect, now):
    """Push (item, variation, quantity[, expected]) and get (status, cause, shown) of each."""

    def pushed(*rows, connector=None):
        connector = connector or connect()
        targets = [StockTarget(number, *row) for number, row in enumerate(rows)]
        outcomes = connector.push_stock(targets, key="push-1", now=now)
        assert [outcome.listing_id for outcome in outcomes] == list(range(len(rows)))
        return [(outcome.status, outcome.cause, outcome.shown) for outcome in outcomes]

    return pushed


@pytest.fixture
def stock(simulator):
    """The units of a product or variation as the market has them."""

    def units(item_id, sku_id=""):
        rows = simulator.woocommerce.items()
        return next(row["quantity"] for row in rows if (row["num_iid"], row["sku_id"] or "") == (item_id, sku_id))

    return units


@pytest.fixture
def shelf(shop):
    """Products 1001 to 1008 with 10 units each."""
    ids = list(range(1001, 1009))
    for number in ids:
        shop.add(number, sku=f"S-{number}", price="5.00", quantity=10)
    return ids


def writes(calls):
    return [(method, code) for method, code in calls() if method.startswith("POST")]


def written_ids(simulator):
    """The ids that each write was sent with."""
    return [[int(id) for id in call["item_ids"]] for call in simulator.ledger() if call["method"] == PRODUCTS]


# --- What is written ------------------------------------------------------------------------------------------------


def test_products_and_variations_show_what_was_pushed(push, stock, shirt, mug):
    assert push(("794", "", 7, 12)) == [(APPLIED, "", 7)]
    assert push(("22", "732", 6, 5), ("22", "733", 1, 0)) == [(APPLIED, "", 6), (APPLIED, "", 1)]
    assert [stock(794), stock(22, 732), stock(22, 733)] == [7, 6, 1]


def test_targets_are_grouped_by_the_call_that_takes_them(connect):
    targets = [StockTarget(number, str(number), "", 5) for number in range(1, 61)]
    targets += [StockTarget(100, "22", "732", 5), StockTarget(101, "23", "734", 5), StockTarget(102, "22", "733", 5)]
    targets += [StockTarget(103, "22", "732", 6)]
    batches = connect().push_batches(targets)
    assert [len(batch) for batch in batches] == [MAX_ROWS, 10, 2, 1, 1]
    assert [target.sku_id for target in batches[2]] == ["732", "733"]
    assert batches[4] == [targets[-1]]  # the same variation again: after the other
    assert sorted(target.listing_id for batch in batches for target in batch) == [*range(1, 61), 100, 101, 102, 103]


def test_what_is_shown_already_is_not_written(push, calls, mug):
    assert push(("794", "", 12, 9)) == [(APPLIED, "", 12)]
    assert writes(calls) == []


def test_the_same_push_again_writes_nothing(push, calls, mug):
    for _again in range(2):
        assert push(("794", "", 7)) == [(APPLIED, "", 7)]
    assert writes(calls) == [(PRODUCTS, 0)]


def test_what_moved_since_it_was_read_is_stale_and_the_others_are_written(push, stock, shirt):
    assert push(("22", "732", 9, 4), ("22", "733", 3, 0)) == [(STALE, "moved", 5), (APPLIED, "", 3)]
    assert (stock(22, 732), stock(22, 733)) == (5, 3)


# --- Traps ----------------------------------------------------------------------------------------------------------


def test_stock_that_is_not_counted_is_counted_from_the_push_on(push, stock, shop):
    shop.add(795, sku="N", price="5.00", quantity=3, manage_stock=False)
    assert push(("795", "", 7)) == [(APPLIED, "", 7)]
    assert shop.get("products/795")["manage_stock"] is True
    assert stock(795) == 7


def test_stock_that_is_not_counted_any_more_is_stale(push, shop, calls):
    shop.add(795, sku="N", price="5.00", quantity=3, manage_stock=False)
    assert push(("795", "", 7, 3)) == [(STALE, "moved", None)]
    assert writes(calls) == []


def test_a_variation_that_sells_from_its_products_stock_keeps_doing_so(push, shop, calls):
    shop.add(
        30,
        sku="P",
        manage_stock=True,
        variations=[{"id": 301, "sku": "P-1", "price": "5.00", "quantity": 8, "manage_stock": False}],
    )
    assert shop.get("products/30/variations/301")["manage_stock"] == "parent"
    assert push(("30", "301", 5)) == [(REFUSED, "stock-of-product", None)]
    assert writes(calls) == []
    assert shop.get("products/30/variations/301")["manage_stock"] == "parent"


def test_a_figure_that_the_shop_drops_is_never_applied(push, connect):
    before = [{"id": 794, "type": "simple", "manage_stock": False, "stock_quantity": None}]
    read, dropped = answer_json(before), answer_json({"update": before})
    with RawServer(read, dropped) as server:
        assert push(("794", "", 7), connector=connect(server.url)) == [(REFUSED, "stock-not-counted", None)]
        assert orjson.loads(server.bodies[1]) == {"update": [{"id": 794, "manage_stock": True, "stock_quantity": 7}]}


def test_a_shop_that_answers_with_another_figure_leaves_it_open(push, connect):
    before = {"id": 794, "type": "simple", "manage_stock": True, "stock_quantity": 12}
    with RawServer(answer_json([before]), answer_json({"update": [{**before, "stock_quantity": 11}]})) as server:
        assert push(("794", "", 7), connector=connect(server.url)) == [(UNKNOWN, "not-confirmed", 11)]


def test_a_write_that_is_answered_and_not_done_is_never_applied(simulator, push, mug):
    simulator.woocommerce.fail_next(method=PRODUCTS, kind="silent_drop")
    assert push(("794", "", 7)) == [(ACCEPTED, "", 12)]


def test_a_write_that_shows_later_is_accepted_until_it_does(simulator, push, stock, mug):
    simulator.woocommerce.fail_next(method=PRODUCTS, kind="delayed_visibility", seconds=60)
    assert push(("794", "", 7)) == [(ACCEPTED, "", 12)]
    simulator.step(seconds=61)
    assert push(("794", "", 7)) == [(APPLIED, "", 7)]


def test_a_write_that_cannot_be_read_after_it_is_accepted(simulator, push, mug):
    simulator.woocommerce.fail_next(method="GET products", kind="html", after=1)
    assert push(("794", "", 7)) == [(ACCEPTED, "", None)]


# --- Refused rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        (("999999", "", 5), "unknown-listing"),
        (("22", "999999", 5), "unknown-variant"),
        (("999999", "732", 5), "unknown-variant"),
        (("794", "732", 5), "unknown-variant"),
        (("22", "", 5), "has-variants"),
        (("TS-RED-M", "", 5), "bad-listing-id"),
        (("22", "0", 5), "bad-listing-id"),
        (("22", "732", -1), "refused-by-rule"),
        (("22", "732", 2**31), "refused-by-rule"),
    ],
)
def test_one_refused_row_does_not_keep_the_others_from_being_written(push, stock, shirt, mug, target, cause):
    refused, applied = push(target, ("794", "", 7, 12))
    assert refused == (REFUSED, cause, None)
    assert applied == (APPLIED, "", 7)
    assert (stock(22, 732), stock(794)) == (5, 7)


def test_a_product_that_went_away_before_the_write_is_refused_row_by_row(push, connect):
    rows = [{"id": number, "type": "simple", "manage_stock": True, "stock_quantity": 5} for number in (794, 795)]
    refused = {"id": 795, "error": {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID."}}
    written = {**rows[0], "stock_quantity": 7}
    answers = [answer_json(rows), answer_json({"update": [written, refused]}), answer_json([written])]
    with RawServer(*answers) as server:
        outcomes = push(("794", "", 7), ("795", "", 7), connector=connect(server.url))
    assert outcomes == [(APPLIED, "", 7), (REFUSED, "unknown-listing", None)]


def test_a_parent_that_went_away_before_the_write_refuses_all_of_its_variations(simulator, push, shirt):
    simulator.woocommerce.fail_next(
        method=VARIATIONS, sub_code="woocommerce_rest_product_invalid_id", msg="Invalid ID.", status=404
    )
    assert push(("22", "732", 9), ("22", "733", 9)) == [(REFUSED, "unknown-listing", None)] * 2


# --- Writes that go wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"kind": "lost"}, {"kind": "half"}, {"kind": "notice"}])
def test_an_answer_that_is_lost_is_made_up_for_by_reading(simulator, push, calls, stock, shelf, fault):
    simulator.woocommerce.fail_next(method=PRODUCTS, **fault)
    assert push(*((str(id), "", 7, 10) for id in shelf)) == [(APPLIED, "", 7)] * 8
    assert [method for method, _code in writes(calls)] == [PRODUCTS]
    assert {stock(id) for id in shelf} == {7}


@pytest.mark.parametrize("expected", [10, None])
@pytest.mark.parametrize("applied", [0, 1, 3, 7, 8])
def test_after_a_batch_that_was_applied_in_part_the_rest_is_written_in_halves(
    simulator, push, stock, shelf, applied, expected
):
    simulator.woocommerce.fail_next(method=PRODUCTS, kind="partial", rows=applied)
    assert push(*((str(id), "", 7, expected) for id in shelf)) == [(APPLIED, "", 7)] * 8
    sent = written_ids(simulator)
    assert sent[0] == shelf
    assert [id for batch in sent[1:] for id in batch] == shelf[applied:], "nothing is written twice"
    assert all(len(batch) <= 4 for batch in sent[1:])
    assert {stock(id) for id in shelf} == {7}


def test_a_row_that_moved_while_the_write_was_silent_is_left_open(push, connect):
    rows = [{"id": number, "type": "simple", "manage_stock": True, "stock_quantity": 10} for number in (794, 795)]
    after = [{**rows[0], "stock_quantity": 9}, {**rows[1], "stock_quantity": 7}]
    silent = answer(b"<html>", "504 Gateway Time-out")
    with RawServer(answer_json(rows), silent, answer_json(after)) as server:
        outcomes = push(("794", "", 7), ("795", "", 7), connector=connect(server.url))
        assert outcomes == [(UNKNOWN, "not-answered", 9), (APPLIED, "", 7)]
        assert sum(head.startswith("POST") for head in server.heads) == 1


def test_where_nothing_can_be_read_after_a_silent_write_nobody_can_tell(simulator, push, shelf):
    simulator.woocommerce.fail_next(method=PRODUCTS, kind="lost")
    simulator.woocommerce.fail_next(method="GET products", kind="html", times=0, after=1)
    assert push(*((str(id), "", 7) for id in shelf)) == [(UNKNOWN, "not-answered", None)] * 8


def test_a_shop_that_never_answers_a_write_is_asked_a_few_times_only(simulator, push, calls, shelf):
    simulator.woocommerce.fail_next(method=PRODUCTS, status=504, times=0)
    assert push(*((str(id), "", 7) for id in shelf)) == [(UNKNOWN, "not-answered", 10)] * 8
    assert len(writes(calls)) == 5


def test_a_single_row_without_an_answer_is_not_written_again(simulator, push, calls, mug):
    simulator.woocommerce.fail_next(method=PRODUCTS, status=504)
    assert push(("794", "", 7)) == [(UNKNOWN, "not-answered", 12)]
    assert len(writes(calls)) == 1


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_shop_that_takes_fewer_rows_gets_them_in_smaller_batches(simulator, push, shelf, limit):
    simulator.woocommerce.set(batch_limit=limit)
    assert push(*((str(id), "", 7, 10) for id in shelf)) == [(APPLIED, "", 7)] * 8
    # It is asked for more than it takes only until it has said so.
    refused = [len(ids) for ids in written_ids(simulator) if len(ids) > limit]
    assert refused == [size for size in (8, 4, 2) if size > limit]


def test_a_server_that_takes_no_large_bodies_gets_smaller_ones(simulator, push, shelf):
    simulator.woocommerce.fail_next(method=PRODUCTS, status=413, body="<html>413 Request Entity Too Large</html>")
    assert push(*((str(id), "", 7, 10) for id in shelf)) == [(APPLIED, "", 7)] * 8


def test_a_shop_that_takes_no_rows_at_all_is_a_fault_to_be_told(simulator, push, mug):
    simulator.woocommerce.set(batch_limit=0)
    with pytest.raises(Fatal) as caught:
        push(("794", "", 7))
    assert caught.value.cause == "too-many-rows"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"status": 429, "headers": {"Retry-After": "30"}}, Wait),
        ({"sub_code": "woocommerce_rest_cannot_batch", "status": 403}, Reauthorise),
        ({"sub_code": "rest_invalid_param", "status": 400}, Fatal),
    ],
)
def test_a_push_of_which_nothing_was_written_is_an_error(simulator, push, stock, mug, fault, expected):
    simulator.woocommerce.fail_next(method=PRODUCTS, **fault)
    with pytest.raises(expected):
        push(("794", "", 7))
    assert stock(794) == 12


def test_a_push_that_cannot_be_read_before_it_writes_nothing(simulator, push, calls, mug):
    simulator.woocommerce.fail_next(method="GET products", kind="html")
    with pytest.raises(Retry):
        push(("794", "", 7))
    assert writes(calls) == []


def test_a_push_that_is_stopped_half_way_tells_what_was_written(simulator, push, stock, shelf):
    simulator.woocommerce.set(batch_limit=4)
    simulator.woocommerce.fail_next(method=PRODUCTS, status=429, after=2)
    outcomes = push(*((str(id), "", 7, 10) for id in shelf))
    assert outcomes == [(APPLIED, "", 7)] * 4 + [(UNKNOWN, "quota", None)] * 4
    assert [stock(id) for id in shelf] == [7] * 4 + [10] * 4
