"""Orders: what of a trade is told, and which pages are read in which order."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from integrations.connectors.base import OrderStatus
from integrations.connectors.errors import Reauthorise, Retry, Review, Wait
from integrations.connectors.taobao import TaobaoConnector, TaobaoCredentials, orders
from integrations.connectors.values import HalfAnswer
from tests.integrations.connectors.raw_server import RawServer, answer_json
from tests.integrations.connectors.taobao.test_client import refused

pytestmark = pytest.mark.pure

NOW = datetime(2025, 6, 2, 4, 0, tzinfo=UTC)
METHOD = "taobao.trades.sold.increment.get"
MINUTE = timedelta(minutes=1)


def line(**fields):
    found = {
        "oid": 2188000000000000002,
        "num_iid": 616000000001,
        "sku_id": "4400000000001",
        "outer_sku_id": "SKU-1",
        "num": 2,
        "price": "99.00",
        "payment": "180.00",
        "divide_order_fee": "170.00",
        "status": "WAIT_SELLER_SEND_GOODS",
        "refund_status": "NO_REFUND",
    } | fields
    return {name: value for name, value in found.items() if value is not None}


def trade(tid=2188000000000000001, lines=None, **fields):
    found = {
        "tid": tid,
        "status": "WAIT_SELLER_SEND_GOODS",
        "created": "2025-06-01 09:00:00",
        "modified": "2025-06-01 10:00:03",
        "pay_time": "2025-06-01 09:05:00",
        "orders": {"order": [line()] if lines is None else lines},
    } | fields
    return {name: value for name, value in found.items() if value is not None}


# --- One order ------------------------------------------------------------------------------------------------------


def test_an_order_is_told_with_exact_ids_and_in_utc():
    found = orders.order(trade())
    assert found.order_id == "2188000000000000001"
    assert (found.status, found.currency, found.is_test) == (OrderStatus.PAID, "CNY", False)
    assert found.created_at == datetime(2025, 6, 1, 1, 0, tzinfo=UTC)
    assert found.changed_at == datetime(2025, 6, 1, 2, 0, 3, tzinfo=UTC)
    assert found.paid_at == datetime(2025, 6, 1, 1, 5, tzinfo=UTC)
    [row] = found.lines
    assert (row.line_id, row.item_id, row.sku_id) == ("2188000000000000002", "616000000001", "4400000000001")
    assert (row.outer_id, row.quantity, row.returned) == ("SKU-1", 2, 0)
    assert row.paid_per_unit == Decimal("85")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("TRADE_NO_CREATE_PAY", OrderStatus.UNPAID),
        ("WAIT_BUYER_PAY", OrderStatus.UNPAID),
        ("PAY_PENDING", OrderStatus.UNPAID),
        ("WAIT_SELLER_SEND_GOODS", OrderStatus.PAID),
        ("SELLER_CONSIGNED_PART", OrderStatus.PAID),
        ("PAID_FORBID_CONSIGN", OrderStatus.PAID),
        ("WAIT_BUYER_CONFIRM_GOODS", OrderStatus.SENT),
        ("TRADE_BUYER_SIGNED", OrderStatus.SENT),
        ("TRADE_FINISHED", OrderStatus.FINISHED),
        ("TRADE_CLOSED", OrderStatus.CANCELLED),
        ("TRADE_CLOSED_BY_TAOBAO", OrderStatus.CANCELLED),
        ("WAIT_PRE_AUTH_CONFIRM", OrderStatus.UNKNOWN),
        (None, OrderStatus.UNKNOWN),
    ],
)
def test_a_status_is_mapped_and_a_new_one_is_not_guessed(status, expected):
    assert orders.order(trade(status=status)).status is expected


@pytest.mark.parametrize(
    ("order_status", "fields", "returned"),
    [
        pytest.param("WAIT_SELLER_SEND_GOODS", {}, 0, id="nothing asked back"),
        pytest.param("WAIT_SELLER_SEND_GOODS", {"refund_status": "WAIT_SELLER_AGREE"}, 0, id="asked, not agreed"),
        pytest.param("WAIT_SELLER_SEND_GOODS", {"refund_status": "SUCCESS"}, 2, id="refunded"),
        pytest.param("TRADE_CLOSED", {"refund_status": "SUCCESS", "status": "TRADE_CLOSED"}, 2, id="order refunded"),
        pytest.param("WAIT_SELLER_SEND_GOODS", {"status": "TRADE_CLOSED_BY_TAOBAO"}, 2, id="line closed alone"),
        pytest.param("TRADE_CLOSED_BY_TAOBAO", {"status": "TRADE_CLOSED_BY_TAOBAO"}, 0, id="order closed unpaid"),
    ],
)
def test_units_given_back_before_they_were_sent_are_returned(order_status, fields, returned):
    [row] = orders.order(trade(status=order_status, lines=[line(**fields)])).lines
    assert (row.returned, row.refunded) == (returned, 0)


@pytest.mark.parametrize(
    ("order_status", "status"),
    [
        pytest.param("SELLER_CONSIGNED_PART", OrderStatus.PAID, id="some of it sent: which, nobody tells"),
        pytest.param("WAIT_BUYER_CONFIRM_GOODS", OrderStatus.SENT, id="sent"),
        pytest.param("TRADE_CLOSED", OrderStatus.FINISHED, id="closed by the refund"),
    ],
)
def test_whether_goods_are_back_that_were_sent_and_paid_back_is_not_guessed(order_status, status):
    lines = [line(refund_status="SUCCESS", status="TRADE_CLOSED")]
    told = orders.order(trade(status=order_status, consign_time="2026-10-01 10:00:00", lines=lines))
    assert told.status is status
    assert (told.lines[0].returned, told.lines[0].refunded) == (0, 2)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"divide_order_fee": "10.00", "num": 3}, Decimal("3.3333")),
        ({"divide_order_fee": None}, Decimal("90")),
        ({"divide_order_fee": None, "payment": None}, None),
        ({"divide_order_fee": "0.00"}, Decimal("0")),
        ({"divide_order_fee": "free", "payment": "much"}, None),
    ],
)
def test_what_a_unit_cost_is_after_discounts_or_not_told(fields, expected):
    [row] = orders.order(trade(lines=[line(**fields)])).lines
    assert row.paid_per_unit == expected
    assert row.paid_per_unit is None or type(row.paid_per_unit) is Decimal


@pytest.mark.parametrize("sku_id", [None, "", 0, "0"])
def test_an_item_without_variants_has_no_sku_id_and_its_own_code(sku_id):
    [row] = orders.order(trade(lines=[line(sku_id=sku_id, outer_sku_id=None, outer_iid="SPU/红 1")])).lines
    assert (row.sku_id, row.outer_id) == ("", "SPU/红 1")


@pytest.mark.parametrize("units", [0, "0", 1_000_000])
def test_units_that_cannot_be_are_told_as_they_are_and_hold_up_no_other_order(units):
    [row] = orders.order(trade(lines=[line(num=units)])).lines
    assert row.quantity == int(units)
    assert (row.paid_per_unit is None) == (not int(units))


def test_a_sku_id_as_a_number_is_the_same_as_one_in_text():
    [row] = orders.order(trade(lines=[line(sku_id=9007199254740993)])).lines
    assert row.sku_id == "9007199254740993"


@pytest.mark.parametrize(
    "spoilt",
    [
        trade(tid=None),
        trade(created=None),
        trade(modified="yesterday"),
        trade(orders=None),
        trade(orders={}),
        trade(lines=[]),
        trade(lines=[1]),
        trade(lines=[line(oid=None)]),
        trade(lines=[line(num_iid="x")]),
        trade(lines=[line(num="many")]),
    ],
)
def test_an_order_that_cannot_be_told_is_no_order(spoilt):
    with pytest.raises(HalfAnswer):
        orders.order(spoilt)


# --- Pages and windows ----------------------------------------------------------------------------------------------


class Trades:
    """A shop of orders, newest change first; `leave` takes one out after so many calls, as a change in it does."""

    server: RawServer

    def __init__(self, count, leave_after=None):
        self.rows = [trade(tid=number) for number in range(1, count + 1)]
        self.leave_after, self.calls = leave_after, 0

    def __call__(self, connection):
        form = self.server.forms[-1]
        if self.calls == self.leave_after:
            self.rows.pop(0)
        self.calls += 1
        page_no, size = int(form["page_no"]), int(form["page_size"])
        shown = self.rows[(page_no - 1) * size : page_no * size]
        body: dict[str, Any] = {"request_id": "r", "trades": {"trade": shown}} if shown else {"request_id": "r"}
        if form["use_has_next"] == "true":
            body["has_next"] = len(self.rows) > page_no * size
        else:
            body["total_results"] = len(self.rows)
        answer_json({"trades_sold_increment_get_response": body})(connection)


def read(server, since=NOW - 20 * MINUTE, until=NOW):
    credentials = TaobaoCredentials.from_settings({"app_key": "1", "app_secret": "5ec4e7", "access_token": "6200e1"})
    return list(TaobaoConnector(credentials, base_url=server.url).read_orders(since=since, until=until, now=NOW))


@pytest.mark.parametrize(
    ("count", "pages"),
    [(0, [1]), (1, [1]), (100, [1]), (101, [1, 2, 1]), (250, [1, 3, 2, 1])],
)
def test_pages_are_read_from_the_last_to_the_first(count, pages):
    shop = Trades(count)
    with RawServer(shop) as server:
        shop.server = server
        found = read(server)
    assert sorted(int(order.order_id) for order in found) == list(range(1, count + 1))
    assert [int(form["page_no"]) for form in server.forms] == pages
    assert [form["use_has_next"] for form in server.forms] == ["false"] + ["true"] * (len(pages) - 1)
    assert {form["page_size"] for form in server.forms} == {"100"}


@pytest.mark.parametrize("leave_after", [1, 2, 3])
def test_an_order_that_changes_meanwhile_makes_no_other_one_pass_unseen(leave_after):
    shop = Trades(250, leave_after=leave_after)
    with RawServer(shop) as server:
        shop.server = server
        found = [int(order.order_id) for order in read(server)]
    assert len(found) == len(set(found))
    assert set(range(2, 251)) <= set(found)


def test_orders_that_appear_behind_the_last_page_are_not_passed_over():
    more = {"request_id": "r", "trades": {"trade": [trade()]}, "has_next": True}
    counted = {"request_id": "r", "trades": {"trade": [trade()]}, "total_results": 101}
    handlers = [answer_json({"trades_sold_increment_get_response": body}) for body in (counted, more)]
    with RawServer(*handlers) as server, pytest.raises(Retry) as caught:
        read(server)
    assert caught.value.cause == "half-answer"


def test_windows_of_half_an_hour_meet_without_overlap():
    shop = Trades(0)
    since = NOW - 75 * MINUTE + timedelta(microseconds=5)
    with RawServer(shop) as server:
        shop.server = server
        read(server, since=since)
    windows = [(form["start_modified"][11:], form["end_modified"][11:]) for form in server.forms]
    assert windows == [("10:45:00", "11:14:59"), ("11:15:00", "11:44:59"), ("11:45:00", "11:59:59")]
    assert {form["method"] for form in server.forms} == {METHOD}


def test_nothing_is_asked_for_no_time_at_all():
    with RawServer(Trades(0)) as server:
        assert read(server, since=NOW, until=NOW) == []
    assert server.forms == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"trades": None},
        {"request_id": "r", "trades": {"trade": [trade()]}},
        {"request_id": "r", "total_results": 1},
        {"request_id": "r", "total_results": 1, "trades": {"trade": [trade(tid=None)]}},
        {"request_id": "r", "total_results": 1, "trades": {"trade": [trade(modified=None)]}},
    ],
)
def test_half_a_page_is_read_again(body):
    with RawServer(answer_json({"trades_sold_increment_get_response": body})) as server, pytest.raises(Retry) as caught:
        read(server)
    assert caught.value.cause == "half-answer"


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (refused(27, "session-expired"), Reauthorise),
        (refused(11, "isv.permission-api-package-limit"), Review),
        (refused(7, "accesscontrol.limited-by-api-access-count"), Wait),
        (refused(15, "isp.remote-service-timeout"), Retry),
    ],
)
def test_refusals_are_told_apart(handler, expected):
    with RawServer(handler) as server, pytest.raises(expected):
        read(server)


# --- Against the simulator ------------------------------------------------------------------------------------------


def test_every_order_of_a_shop_is_read_as_it_is(simulator, connect_to):
    start = datetime(2026, 3, 2, tzinfo=UTC)
    simulator.reset(now=start, speed=0)
    simulator.step(seconds=3 * 86_400)
    found = {}
    until = simulator.now() + timedelta(seconds=1)
    now = datetime.now(UTC)
    for order in connect_to("tmall-nuanju").read_orders(since=start, until=until, now=now):
        assert order.order_id not in found
        found[order.order_id] = order
    items = {str(row["num_iid"]): row for row in simulator.taobao.items(shop="tmall-nuanju")}
    assert len(found) > 100
    assert {order.status for order in found.values()} > {OrderStatus.PAID, OrderStatus.SENT, OrderStatus.CANCELLED}
    for order in found.values():
        [row] = order.lines
        assert start <= order.changed_at < until
        assert row.item_id in items
        assert row.quantity > 0
        assert row.paid_per_unit > 0


def test_an_order_of_now_is_read_with_its_variant(simulator, connect_to):
    row = next(row for row in simulator.taobao.items(shop="taobao-shanye") if row["sku_id"])
    body = {"num_iid": row["num_iid"], "sku_id": row["sku_id"], "quantity": 3}
    tid = simulator.control("POST", "stores/orders", json=body)["tid"]
    at = simulator.now()
    [order] = connect_to("taobao-shanye").read_orders(since=at - MINUTE, until=at + MINUTE, now=datetime.now(UTC))
    assert (order.order_id, order.status, order.paid_at) == (str(tid), OrderStatus.UNPAID, None)
    [line] = order.lines
    assert (line.item_id, line.sku_id, line.outer_id) == (str(row["num_iid"]), str(row["sku_id"]), row["outer_id"])
    assert (line.quantity, line.paid_per_unit) == (3, Decimal(row["live_price"]))
