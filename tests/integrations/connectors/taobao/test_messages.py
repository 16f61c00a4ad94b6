"""The message service: messages as hints, pulled and confirmed."""

import json
from datetime import UTC, datetime

import pytest

from integrations.connectors.base import Hint, HintKind
from integrations.connectors.errors import ConnectorError, Retry, Review, Wait
from integrations.connectors.taobao import TaobaoConnector, TaobaoCredentials, messages
from integrations.connectors.values import HalfAnswer
from tests.integrations.connectors.raw_server import RawServer, answer_json
from tests.integrations.connectors.taobao.test_client import refused

pytestmark = pytest.mark.pure

NOW = datetime(2025, 6, 1, 4, 0, tzinfo=UTC)
CONSUME = "taobao.tmc.messages.consume"
CONFIRM = "taobao.tmc.messages.confirm"


def message(topic="taobao_item_ItemUpdate", content=None, **fields):
    return {
        "id": 6210000000000001000,
        "topic": topic,
        "content": json.dumps(content if content is not None else {"num_iid": 616000000001}),
        "pub_time": "2025-06-01 11:59:00",
        "pub_app_key": "12497914",
        "user_id": 706388888,
        "user_nick": "商家",
    } | fields


def hints(*rows):
    return messages.hints({"messages": {"tmc_message": list(rows)}, "request_id": "r"})


@pytest.mark.parametrize(
    ("topic", "kind", "is_deleted"),
    [
        ("taobao_item_ItemStockChanged", HintKind.STOCK, False),
        ("taobao_item_ItemZeroStock", HintKind.STOCK, False),
        ("taobao_item_ItemSkuZeroStock", HintKind.STOCK, False),
        ("taobao_item_ItemUpdate", HintKind.LISTING, False),
        ("taobao_item_ItemUpshelf", HintKind.LISTING, False),
        ("taobao_item_ItemDownshelf", HintKind.LISTING, False),
        ("taobao_item_ItemPunishDownshelf", HintKind.LISTING, False),
        ("taobao_item_ItemDelete", HintKind.LISTING, True),
        ("taobao_trade_TradeCreate", HintKind.ORDER, False),
        ("taobao_trade_TradeBuyerPay", HintKind.ORDER, False),
        ("taobao_trade_TradeClose", HintKind.ORDER, False),
        ("taobao_trade_TradeSuccess", HintKind.ORDER, False),
        ("taobao_refund_RefundSuccess", HintKind.ORDER, False),
        ("taobao_jushita_Something", HintKind.OTHER, False),
        ("", HintKind.OTHER, False),
    ],
)
def test_a_topic_says_what_to_read_again(topic, kind, is_deleted):
    [hint] = hints(message(topic))
    assert (hint.topic, hint.kind, hint.is_deleted) == (topic, kind, is_deleted)


def test_a_message_names_what_it_is_about_with_exact_ids():
    content = {"num_iid": 9007199254740993, "sku_id": 9007199254740995, "increment": -1, "price": "9.90"}
    [hint] = hints(message("taobao_item_ItemStockChanged", content))
    assert hint == Hint(
        delivery_key="6210000000000001000",
        topic="taobao_item_ItemStockChanged",
        kind=HintKind.STOCK,
        item_id="9007199254740993",
        sku_id="9007199254740995",
        changed_at=datetime(2025, 6, 1, 3, 59, tzinfo=UTC),
        receipt="6210000000000001000",
    )
    [hint] = hints(message("taobao_trade_TradeCreate", {"tid": "2188000000000000001", "oid": 1}))
    assert (hint.order_id, hint.item_id) == ("2188000000000000001", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "{"},
        {"content": "7"},
        {"content": 7},
        {"content": '{"num_iid": 1.5}'},
        {"content": '{"num_iid": "1;DROP"}'},
        {"content": {"num_iid": None}},
        {"pub_time": "yesterday"},
        {"pub_time": None, "content": "[]"},
    ],
)
def test_a_message_that_cannot_be_read_can_still_be_confirmed(fields):
    [hint] = hints(message(**fields))
    assert (hint.kind, hint.receipt) == (HintKind.LISTING, "6210000000000001000")
    assert hint.item_id == ("616000000001" if "content" not in fields else "")


def test_content_that_came_as_an_object_is_read_too():
    [hint] = hints(message(content=None) | {"content": {"num_iid": 5}})
    assert hint.item_id == "5"


def test_a_message_without_a_number_leaves_the_others_readable():
    assert [hint.receipt for hint in hints(message(id=None), message(id=7), "x")] == ["7"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": {"tmc_message": {}}},
        {"messages": {"tmc_message": [message(id=None)]}, "request_id": "r"},
    ],
)
def test_what_is_no_list_of_messages_is_half_an_answer(body):
    with pytest.raises(HalfAnswer):
        messages.hints(body)


def test_no_message_is_no_hint():
    assert messages.hints({"request_id": "r"}) == []


# --- Calls ----------------------------------------------------------------------------------------------------------


def connector(server, **changes):
    settings = {"app_key": "1", "app_secret": "5ec4e7", "access_token": "6200e1"} | changes
    return TaobaoConnector(TaobaoCredentials.from_settings(settings), base_url=server.url)


@pytest.mark.parametrize("group", ["", "camping"])
def test_messages_are_the_app_s_and_come_by_the_group(group):
    body = {"messages": {"tmc_message": [message()]}}
    with RawServer(answer_json({"tmc_messages_consume_response": body})) as server:
        [hint] = connector(server, group_name=group).pull_messages(now=NOW)
    [form] = server.forms
    assert (form["method"], form["quantity"]) == (CONSUME, "200")
    assert form.get("group_name", "") == group
    assert "session" not in form
    assert hint.receipt == "6210000000000001000"


def test_at_most_two_hundred_are_confirmed_in_one_call():
    with RawServer(answer_json({"tmc_messages_confirm_response": {"is_success": True}})) as server:
        connector(server, group_name="camping").confirm_messages([str(n) for n in range(1, 402)], now=NOW)
        connector(server).confirm_messages([], now=NOW)
    assert [form["s_message_ids"].count(",") + 1 for form in server.forms] == [200, 200, 1]
    assert {(form["method"], form["group_name"]) for form in server.forms} == {(CONFIRM, "camping")}


@pytest.mark.parametrize("body", [{"is_success": False}, {"request_id": "r"}])
def test_a_permission_that_was_not_given_is_told(body):
    with RawServer(answer_json({"tmc_user_permit_response": body})) as server, pytest.raises(Retry):
        connector(server).permit_messages(now=NOW)
    [form] = server.forms
    # The shop's own call; and a list of topics would replace those that are subscribed to in the console.
    assert (form["method"], form["session"], "topics" in form) == ("taobao.tmc.user.permit", "6200e1", False)


@pytest.mark.parametrize("body", [{"is_success": False}, {"request_id": "r"}])
def test_what_was_not_confirmed_is_told(body):
    with RawServer(answer_json({"tmc_messages_confirm_response": body})) as server, pytest.raises(Retry):
        connector(server).confirm_messages(["1"], now=NOW)


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (refused(11, "isv.permission-api-package-limit"), Review),
        (refused(7, "accesscontrol.limited-by-api-access-count"), Wait),
    ],
)
def test_refusals_are_told_apart(handler, expected):
    with RawServer(handler) as server, pytest.raises(expected):
        connector(server).pull_messages(now=NOW)


# --- Against the simulator ------------------------------------------------------------------------------------------


@pytest.fixture
def permitted(simulator, connect_to, now):
    """The first own shop, whose messages are told from now on, on a clock that stands."""
    shop: str = simulator.taobao.shop()["shop"]
    connect_to(shop).permit_messages(now=now)
    simulator.stop_limits()
    return shop


def test_a_shop_has_no_messages_before_it_is_permitted(simulator, connect_to, now):
    shop = simulator.taobao.shop()["shop"]
    row, found = simulator.taobao.items(shop=shop)[0], connect_to(shop)
    simulator.taobao.set_item(row["num_iid"], price="98.00")
    assert found.pull_messages(now=now) == []
    for _again in range(2):
        found.permit_messages(now=now)
    assert found.pull_messages(now=now) == []  # what was before is not told
    simulator.taobao.set_item(row["num_iid"], price="99.00")
    assert [hint.item_id for hint in found.pull_messages(now=now)] == [str(row["num_iid"])]


def test_news_of_the_shop_come_until_they_are_confirmed(simulator, connect_to, permitted, now):
    row = next(row for row in simulator.taobao.items(shop=permitted) if row["sku_id"])
    simulator.taobao.set_item(row["num_iid"], row["sku_id"], quantity=row["quantity"] + 1)
    found = connect_to(permitted)
    [hint] = found.pull_messages(now=now)
    assert (hint.kind, hint.item_id, hint.sku_id) == (HintKind.STOCK, str(row["num_iid"]), str(row["sku_id"]))
    assert found.pull_messages(now=now) == []
    simulator.let_limits_pass(600)
    assert found.pull_messages(now=now) == [hint]
    found.confirm_messages([hint.receipt], now=now)
    simulator.let_limits_pass(600)
    assert found.pull_messages(now=now) == []


def test_messages_whose_answer_was_lost_come_again(simulator, connect_to, permitted, now):
    row = simulator.taobao.items(shop=permitted)[0]
    simulator.taobao.set_item(row["num_iid"], price="99.00")
    simulator.taobao.fail_next(method=CONSUME, kind="lost")
    found = connect_to(permitted)
    with pytest.raises(Retry):
        found.pull_messages(now=now)
    simulator.let_limits_pass(600)
    assert [hint.item_id for hint in found.pull_messages(now=now)] == [str(row["num_iid"])]


def test_a_backlog_is_pulled_in_several_calls_and_each_message_once(simulator, connect_to, permitted, now):
    simulator.step(seconds=3 * 86_400)
    found, keys = connect_to(permitted), []
    while hints := found.pull_messages(now=now):
        assert len(hints) <= 200
        keys += [hint.delivery_key for hint in hints]
        found.confirm_messages([hint.receipt for hint in hints], now=now)
    assert len(keys) == len(set(keys)) > 200


def test_an_unknown_group_is_refused(connect_to, permitted, now):
    with pytest.raises(ConnectorError, match="group_name") as caught:
        connect_to(permitted, group_name="nobody").pull_messages(now=now)
    assert caught.value.cause == "bad-request"
