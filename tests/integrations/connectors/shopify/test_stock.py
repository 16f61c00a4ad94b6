"""Writing stock against the strict simulator: what is written, refused, repeated, lost and replayed."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.connectors.base import ListingRef, PushOutcome, PushStatus, StockTarget
from integrations.connectors.clock import Clock
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Wait
from integrations.connectors.shopify import stock
from tests.integrations.connectors.raw_server import RawServer, answer_json

from .conftest import levels

pytestmark = pytest.mark.pure

WRITE = "inventorySetQuantities"
APPLIED, REFUSED, STALE, UNKNOWN = PushStatus.APPLIED, PushStatus.REFUSED, PushStatus.STALE, PushStatus.UNKNOWN


def units(shop, row):
    return levels(shop.row(row))[shop.location]


def push(shop, targets, now, key="push", **changes):
    return shop.connect(**changes).push_stock(targets, key=key, now=now)


def test_250_rows_are_written_in_one_call(shop, now):
    shop.simulator.shopify.add_products(200)
    rows = shop.rows()[:250]
    targets = [shop.target(row, place + 500, place) for place, row in enumerate(rows)]
    connector = shop.connect()
    [batch] = connector.push_batches(targets)
    assert [len(each) for each in connector.push_batches([*targets, targets[0]])] == [250, 1]
    outcomes = connector.push_stock(batch, key="many", now=now)
    assert outcomes == [PushOutcome(place, shop.location, APPLIED, "", place + 500) for place in range(250)]
    written = {row["variant_id"]: levels(row)[shop.location] for row in shop.rows()}
    assert [written[row["variant_id"]] for row in rows] == [place + 500 for place in range(250)]
    assert len(shop.calls(WRITE)) == 1


def test_refused_rows_are_taken_out_and_the_others_sent_again(shop, now):
    good, gone, moved, other = shop.rows()[:4]
    targets = [
        shop.target(good, 11, 1),
        shop.target(gone, 12, 2, stock_id="4999999999999"),
        shop.target(moved, 13, 3, expected=levels(moved)[shop.location] + 1),
        shop.target(other, 14, 4)._replace(location_id="4999999999999"),
        shop.target(other, 15, 5),
    ]
    outcomes = push(shop, targets, now)
    assert [(outcome.listing_id, outcome.status, outcome.cause) for outcome in outcomes] == [
        (1, APPLIED, ""),
        (2, REFUSED, "unknown-listing"),
        (3, STALE, "moved"),
        (4, REFUSED, "unknown-location"),
        (5, APPLIED, ""),
    ]
    assert (units(shop, good), units(shop, other)) == (11, 15)
    assert units(shop, moved) == levels(moved)[shop.location]
    assert len(shop.calls(WRITE)) == 2


def test_the_same_push_again_is_answered_as_before_and_writes_nothing(shop, now):
    row = shop.rows()[0]
    targets = [shop.target(row, 11)]
    first = push(shop, targets, now, key="k-1")
    shop.simulator.shopify.set_variant(row, location=shop.location, quantity=3)  # sold in between
    assert push(shop, targets, now, key="k-1") == first
    assert units(shop, row) == 3
    assert push(shop, targets, now, key="k-2")[0].status is STALE


@pytest.mark.parametrize("expects", [True, False])
def test_a_push_of_which_rows_were_refused_can_be_repeated_too(shop, now, expects):
    good, moved = shop.rows()[:2]
    expected = {} if expects else {"expected": None}
    targets = [shop.target(good, 11, 1, **expected), shop.target(moved, 13, 2, expected=99_999)]
    assert [outcome.status for outcome in push(shop, targets, now)] == [APPLIED, STALE]
    shop.simulator.shopify.set_variant(good, location=shop.location, quantity=3)  # sold in between
    # The platform does not tell which rows its failed attempt refused, so those that expect something have moved.
    assert [outcome.status for outcome in push(shop, targets, now)] == [STALE if expects else APPLIED, STALE]
    assert units(shop, good) == 3  # nothing was written over what was sold


def test_without_an_expectation_the_same_push_is_still_applied_once(shop, now):
    row = shop.rows()[0]
    target = shop.target(row, 40, expected=None)
    assert push(shop, [target], now)[0].status is APPLIED
    shop.simulator.shopify.set_variant(row, location=shop.location, quantity=3)
    assert push(shop, [target], now)[0].status is APPLIED
    assert units(shop, row) == 3


def test_another_batch_under_the_same_name_is_another_write(shop, now):
    row = shop.rows()[0]
    assert push(shop, [shop.target(row, 40)], now)[0].status is APPLIED
    assert push(shop, [shop.target(shop.row(row), 41)], now)[0].status is APPLIED
    assert units(shop, row) == 41


def test_a_figure_that_is_there_already_is_applied(shop, now):
    row = shop.rows()[0]
    shown = levels(row)[shop.location]
    for expected in (shown, None):
        [outcome] = push(shop, [shop.target(row, shown, expected=expected)], now, key=str(expected))
        assert outcome == PushOutcome(1, shop.location, APPLIED, "", shown)


def test_a_target_without_its_inventory_item_is_looked_up(shop, now):
    row = shop.rows()[0]
    targets = [
        shop.target(row, 21, 1, stock_id=""),
        shop.target(row, 22, 2, stock_id="", sku_id="4999999999999"),
        shop.target(row, 23, 3, stock_id="", item_id="5"),
        shop.target(row, 24, 4, sku_id=""),
        shop.target(row, 25, 5, sku_id="x"),
    ]
    outcomes = push(shop, targets, now)
    assert [(outcome.status, outcome.cause) for outcome in outcomes] == [
        (APPLIED, ""),
        (REFUSED, "unknown-listing"),
        (REFUSED, "unknown-listing"),
        (REFUSED, "bad-listing-id"),
        (REFUSED, "bad-listing-id"),
    ]
    assert units(shop, row) == 21


@pytest.mark.parametrize("quantity", [-1, 1_000_000_001, 2**40])
def test_a_quantity_that_cannot_be_does_not_spoil_the_others(shop, now, quantity):
    first, second = shop.rows()[:2]
    outcomes = push(shop, [shop.target(first, quantity, 1), shop.target(second, 9, 2)], now)
    assert [(outcome.status, outcome.cause) for outcome in outcomes] == [(REFUSED, "refused-by-rule"), (APPLIED, "")]
    assert units(shop, second) == 9


def test_the_only_active_location_is_meant_where_none_is_named(shop, now):
    row = shop.rows()[0]
    target = shop.target(row, 17)._replace(location_id="")
    [outcome] = push(shop, [target], now)
    assert (outcome.status, outcome.cause) == (REFUSED, "unknown-location")  # there are two: somebody must choose
    shop.simulator.shopify.set_store(inactive_locations=[shop.account["locations"][1]])
    [outcome] = push(shop, [target], now)
    assert outcome == PushOutcome(1, "", APPLIED, "", 17)
    assert units(shop, row) == 17


def test_one_place_twice_in_a_push_is_refused_twice(shop, now):
    first, second = shop.rows()[:2]
    outcomes = push(shop, [shop.target(first, 1, 1), shop.target(first, 2, 2), shop.target(second, 3, 3)], now)
    assert [(outcome.status, outcome.cause) for outcome in outcomes] == [
        (REFUSED, "twice-in-one-push"),
        (REFUSED, "twice-in-one-push"),
        (APPLIED, ""),
    ]


def test_an_item_not_stocked_there_yet_is_stocked_by_the_write(shop, now):
    row = shop.rows()[0]
    shop.simulator.shopify.unstock(row, shop.account["locations"][1])
    target = shop.target(row, 6)._replace(location_id=shop.other_location, expected=0)
    assert push(shop, [target], now)[0].status is APPLIED
    assert levels(shop.row(row))[shop.other_location] == 6


# --- Answers that do not come ---------------------------------------------------------------------------------------


def test_a_write_whose_answer_is_lost_is_repeated_under_its_key(shop, now):
    row = shop.rows()[0]
    connector = shop.connect()
    connector.check_connection(now=now)
    shop.simulator.shopify.fail_next(method=WRITE, kind="lost")
    [outcome] = connector.push_stock([shop.target(row, 33)], key="k", now=now)
    assert (outcome.status, outcome.shown) == (APPLIED, 33)
    assert units(shop, row) == 33
    assert len(shop.calls(WRITE)) == 2


def test_a_write_lost_twice_is_read_back(shop, now):
    row = shop.rows()[0]
    shop.simulator.shopify.fail_next(method=WRITE, kind="lost", times=2)
    [outcome] = push(shop, [shop.target(row, 33)], now)
    assert outcome == PushOutcome(1, shop.location, APPLIED, "", 33)


def test_a_write_that_never_arrived_is_not_called_applied(shop, now):
    row = shop.rows()[0]
    shop.simulator.shopify.fail_next(method=WRITE, kind="drop", times=2)
    [outcome] = push(shop, [shop.target(row, 33)], now)
    assert outcome == PushOutcome(1, shop.location, UNKNOWN, "not-answered", levels(row)[shop.location])
    assert units(shop, row) == levels(row)[shop.location]


def test_where_nothing_can_be_read_back_nobody_can_tell(shop, now):
    row = shop.rows()[0]
    shop.simulator.shopify.fail_next(method=WRITE, kind="lost", times=2)
    shop.simulator.shopify.fail_next(method="nodes", kind="drop")
    [outcome] = push(shop, [shop.target(row, 33)], now)
    assert (outcome.status, outcome.cause, outcome.shown) == (UNKNOWN, "not-answered", None)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({"sub_code": "THROTTLED"}, id="throttled"),
        pytest.param({"status": 401}, id="token ended"),
        pytest.param({"status": 500}, id="server error"),
        pytest.param({"sub_code": "BAD_REQUEST"}, id="refused"),
        pytest.param({"sub_code": "IDEMPOTENCY_CONCURRENT_REQUEST", "user_error": True}, id="still running"),
        pytest.param({"sub_code": "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "user_error": True}, id="mismatch"),
        pytest.param({"kind": "html"}, id="HTML"),
        pytest.param({"kind": "null", "fields": ["inventorySetQuantities"]}, id="half"),
    ],
)
def test_after_a_lost_answer_no_error_says_that_nothing_was_written(shop, now, second):
    row = shop.rows()[0]
    shop.simulator.shopify.fail_next(method=WRITE, kind="lost")
    shop.simulator.shopify.fail_next(method=WRITE, **second)
    [outcome] = push(shop, [shop.target(row, 33)], now)
    assert outcome == PushOutcome(1, shop.location, APPLIED, "", 33)


def test_half_an_answer_to_a_write_is_asked_for_again(shop, now):
    row = shop.rows()[0]
    shop.simulator.shopify.fail_next(method=WRITE, kind="null", fields=["userErrors"])
    [outcome] = push(shop, [shop.target(row, 33)], now)
    assert (outcome.status, units(shop, row)) == (APPLIED, 33)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        pytest.param({"inventoryAdjustmentGroup": {"changes": None}, "userErrors": []}, [WRITE], id="its payload"),
        pytest.param(None, [WRITE, "inventoryAdjustmentGroup", "changes", 0, "delta"], id="a place in its payload"),
    ],
)
@pytest.mark.parametrize("code", ["ACCESS_DENIED", "BAD_REQUEST", "SOMETHING_NEW"])
def test_an_error_beside_the_payload_of_a_write_does_not_say_that_nothing_was_written(shop, now, code, data, path):
    row = shop.rows()[0]
    error = {"message": "Field was refused", "path": path, "extensions": {"code": code}}
    half = answer_json({"data": {WRITE: data}, "errors": [error]})
    location = {"id": f"gid://shopify/Location/{shop.location}"}
    level = {"location": location, "quantities": [{"name": "available", "quantity": 33}]}
    item = {"id": row["inventory_item_id"], "tracked": True}
    item["inventoryLevels"] = {"nodes": [level], "pageInfo": {"hasNextPage": False}}
    node = {"id": row["variant_id"], "product": {"id": row["product_id"]}, "inventoryItem": item}
    answers = [answer_json({"data": {"shop": {}}}), half, half, answer_json({"data": {"nodes": [node]}})]
    with RawServer(*answers) as server:
        [outcome] = push(shop, [shop.target(row, 33)], now, base_url=server.url)
    assert outcome == PushOutcome(1, shop.location, APPLIED, "", 33)


@pytest.mark.parametrize(
    ("fault", "expected", "cause"),
    [
        pytest.param({"sub_code": "THROTTLED"}, Wait, "quota", id="throttled"),
        pytest.param({"status": 401}, Reauthorise, "session-invalid", id="401"),
        pytest.param({"sub_code": "ACCESS_DENIED"}, Reauthorise, "scope-missing", id="scope"),
        pytest.param({"sub_code": "MAX_INPUT_SIZE_EXCEEDED"}, Fatal, "bad-request", id="malformed"),
        pytest.param(
            {"sub_code": "IDEMPOTENCY_CONCURRENT_REQUEST", "user_error": True}, Wait, "same-push-running", id="running"
        ),
        pytest.param(
            {"sub_code": "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "user_error": True},
            Fatal,
            "key-used-otherwise",
            id="mismatch",
        ),
        pytest.param({"sub_code": "INVALID_REASON", "user_error": True}, Fatal, "bad-request", id="reason"),
    ],
)
def test_a_refused_write_is_an_error_and_writes_nothing(shop, now, fault, expected, cause):
    row = shop.rows()[0]
    shop.simulator.shopify.fail_next(method=WRITE, **fault)
    with pytest.raises(expected) as caught:
        push(shop, [shop.target(row, 33)], now)
    assert caught.value.cause == cause
    assert units(shop, row) == levels(row)[shop.location]


def test_an_unreachable_shop_is_an_error(shop, now):
    with pytest.raises(Retry) as caught:
        push(shop, [shop.target(shop.rows()[0], 33)], now, base_url="http://127.0.0.1:9")
    assert not caught.value.may_have_arrived


def test_a_user_error_about_no_row_in_particular_is_about_all(shop, now):
    rows = shop.rows()[:2]
    shop.simulator.shopify.fail_next(method=WRITE, sub_code="NON_MUTABLE_INVENTORY_ITEM", user_error=True)
    outcomes = push(shop, [shop.target(row, 33, place) for place, row in enumerate(rows)], now)
    assert {(outcome.status, outcome.cause) for outcome in outcomes} == {(REFUSED, "stock-not-ours")}


def _key(shop, targets, name, failed=0):
    """The idempotency key of a write, as Shopify gets it."""
    writer = stock.StockWriter(shop.connect()._gateway, key=name, clock=Clock(datetime.now(UTC)))
    rows = [stock._Row(place, each, each.stock_id, each.location_id) for place, each in enumerate(targets)]
    return writer._variables(rows, failed)["key"]


def test_a_key_of_a_failed_attempt_is_given_up_for_another(shop, now):
    row = shop.rows()[0]
    targets = [shop.target(row, 33)]
    shop.simulator.shopify.put_key(_key(shop, targets, "k"), "failed")
    [outcome] = push(shop, targets, now, key="k")
    assert (outcome.status, units(shop, row)) == (APPLIED, 33)
    assert len(shop.calls(WRITE)) == 2


def test_a_write_whose_attempts_all_failed_is_left_for_later(shop, now):
    targets = [shop.target(shop.rows()[0], 33)]
    for failed in range(3):
        shop.simulator.shopify.put_key(_key(shop, targets, "k", failed), "failed")
    with pytest.raises(Retry) as caught:
        push(shop, targets, now, key="k")
    assert (caught.value.cause, caught.value.may_have_arrived) == ("server-error", False)


def test_a_key_whose_call_is_still_running_is_waited_for(shop, now):
    row = shop.rows()[0]
    targets = [shop.target(row, 33)]
    shop.simulator.shopify.put_key(_key(shop, targets, "k"), "running")
    with pytest.raises(Wait) as caught:
        push(shop, targets, now, key="k")
    assert caught.value.cause == "same-push-running"
    assert caught.value.retry_at > now
    assert units(shop, row) == levels(row)[shop.location]


@pytest.mark.parametrize("kind", ["silent_drop", "delayed_visibility"])
def test_a_write_the_platform_only_claims_is_seen_when_it_is_read_again(shop, now, kind):
    """Nothing in the answer betrays it: whoever must be sure reads the level again."""
    row = shop.rows()[0]
    rule = {"seconds": 30} if kind == "delayed_visibility" else {}
    shop.simulator.shopify.fail_next(method=WRITE, kind=kind, **rule)
    target = shop.target(row, 33)
    connector = shop.connect()
    assert connector.push_stock([target], key="k", now=now)[0].status is APPLIED
    shown = {
        level.location_id: level.available
        for level in connector.read_stock_levels([ListingRef(1, target.item_id, target.sku_id)], now=now)
    }
    assert shown == levels(row)


def test_a_change_the_answer_does_not_confirm_is_unknown(shop, now):
    payload: dict[str, Any] = {"inventoryAdjustmentGroup": None, "userErrors": []}
    with RawServer(
        answer_json({"data": {"shop": {"currencyCode": "USD"}}}), answer_json({"data": {WRITE: payload}})
    ) as server:
        targets = [StockTarget(1, "1", "11", 7, 9, "2001", "1001"), StockTarget(2, "1", "12", 7, 7, "2001", "1002")]
        outcomes = push(shop, targets, now, base_url=server.url)
    assert [(outcome.status, outcome.cause) for outcome in outcomes] == [(UNKNOWN, "not-confirmed"), (APPLIED, "")]


def test_an_absurd_answer_ends(shop, now):
    """A refusal of a row that was not sent is about all of them, and is not sent again for ever."""
    error = {"field": ["input", "quantities", "7", "quantity"], "message": "no", "code": "INVALID_QUANTITY_TOO_HIGH"}
    payload = {"inventoryAdjustmentGroup": None, "userErrors": [error]}
    with RawServer(
        answer_json({"data": {"shop": {"currencyCode": "USD"}}}), answer_json({"data": {WRITE: payload}})
    ) as server:
        [outcome] = push(shop, [StockTarget(1, "1", "11", 7, 9, "2001", "1001")], now, base_url=server.url)
    assert outcome.status is REFUSED
    assert len(server.bodies) == 2


def test_a_write_says_what_it_is_for_and_nothing_secret(shop, now):
    row = shop.rows()[0]
    payload: dict[str, Any] = {"inventoryAdjustmentGroup": None, "userErrors": []}
    with RawServer(
        answer_json({"data": {"shop": {"currencyCode": "USD"}}}), answer_json({"data": {WRITE: payload}})
    ) as server:
        push(shop, [shop.target(row, 7, expected=9)], now, key="push-7", base_url=server.url)
    sent = json.loads(server.bodies[1])["variables"]
    assert sent["input"]["quantities"] == [
        {
            "inventoryItemId": row["inventory_item_id"],
            "locationId": shop.account["locations"][0],
            "quantity": 7,
            "changeFromQuantity": 9,
        }
    ]
    assert (sent["input"]["name"], sent["input"]["reason"]) == ("available", "correction")
    assert sent["input"]["referenceDocumentUri"].startswith("gid://evenshelf/StockPush/")
    assert shop.account["access_token"] not in json.dumps(sent)


def test_nothing_to_write_makes_no_call(shop, now):
    assert push(shop, [], now) == []
    assert shop.calls() == []


def test_a_missing_scope_is_told_before_anything_is_written(shop, now):
    shop.simulator.shopify.set_store(scopes=["read_products", "read_inventory"])
    with pytest.raises(ConnectorError) as caught:
        push(shop, [shop.target(shop.rows()[0], 33)], now)
    assert (caught.value.kind, caught.value.cause) == ("reauthorise", "scope-missing")
