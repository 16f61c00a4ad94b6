"""The simulated message service and the activities of the promotion tool."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from integrations.simulator.simulation import Simulation
from integrations.simulator.taobao.messages import TOPICS
from tests.integrations.simulator.test_gateway import refusal

pytestmark = pytest.mark.pure

PERMIT = "taobao.tmc.user.permit"
CONSUME = "taobao.tmc.messages.consume"
CONFIRM = "taobao.tmc.messages.confirm"
GROUP = "taobao.tmc.group.add"
START = datetime(2026, 3, 2, tzinfo=UTC)


def consume(taobao, **parameters):
    answer = taobao.call(CONSUME, session=None, quantity=200, **parameters)
    return answer.get("messages", {}).get("tmc_message", [])


def order(simulator, row, quantity=1):
    body = {"num_iid": row["num_iid"], "sku_id": row["sku_id"], "quantity": quantity}
    return simulator.control("POST", "stores/orders", json=body)["tid"]


def test_nothing_comes_without_permission(taobao, simulator, own_row):
    simulator.taobao.set_item(own_row["num_iid"], own_row["sku_id"], quantity=3)
    assert consume(taobao) == []
    assert taobao.call(PERMIT)["is_success"] is True
    assert consume(taobao) == []  # nor what was before


def test_what_changes_in_a_permitted_shop_is_told(taobao, simulator, own_row):
    taobao.call(PERMIT)
    num_iid, sku_id = own_row["num_iid"], own_row["sku_id"]
    simulator.taobao.set_item(num_iid, sku_id, quantity=own_row["quantity"] + 5)
    [message] = consume(taobao)
    content = json.loads(message["content"])
    assert message["topic"] == "taobao_item_ItemStockChanged"
    assert (content["num_iid"], content["sku_id"], content["increment"]) == (num_iid, sku_id, 5)
    assert content["sku_num"] == own_row["quantity"] + 5
    assert message["user_nick"] == simulator.taobao.shop()["nick"]
    simulator.taobao.set_item(num_iid, sku_id, price="77.00")
    simulator.taobao.set_item(num_iid, approve_status="instock")
    simulator.taobao.set_item(num_iid, sku_id, quantity=0)
    topics = [message["topic"] for message in consume(taobao)]
    assert topics[:3] == ["taobao_item_ItemUpdate", "taobao_item_ItemDownshelf", "taobao_item_ItemStockChanged"]
    assert "taobao_item_ItemSkuZeroStock" in topics
    simulator.taobao.set_item(num_iid, delete=True)
    assert [message["topic"] for message in consume(taobao)] == ["taobao_item_ItemDelete"]


def test_orders_are_told_step_by_step(taobao, simulator):
    simulator.reset(now=START, speed=0)
    taobao.call(PERMIT)
    simulator.step(seconds=2 * 86_400)
    seen: dict[Any, Any] = {}
    while messages := consume(taobao):
        for message in messages:
            content = json.loads(message["content"])
            if "tid" in content:
                seen.setdefault(content["tid"], []).append(message["topic"].removeprefix("taobao_trade_"))
        ids = ",".join(str(message["id"]) for message in messages)
        taobao.call(CONFIRM, session=None, s_message_ids=ids)
    assert ["TradeCreate", "TradeBuyerPay", "TradeSellerShip"] in seen.values()
    assert ["TradeCreate", "TradeClose"] in seen.values()


def test_a_forced_order_is_told_at_once(taobao, simulator, own_row):
    taobao.call(PERMIT, topics="taobao_trade_TradeCreate")
    tid = order(simulator, own_row)
    [message] = consume(taobao)
    assert json.loads(message["content"])["tid"] == tid


def test_messages_come_again_until_they_are_confirmed(taobao, simulator, own_row):
    taobao.call(PERMIT)
    simulator.stop_limits()
    simulator.taobao.set_item(own_row["num_iid"], own_row["sku_id"], quantity=own_row["quantity"] + 5)
    [first] = consume(taobao)
    assert consume(taobao) == []  # somebody is working on it
    simulator.let_limits_pass(600)
    assert consume(taobao) == [first]
    taobao.call(CONFIRM, session=None, s_message_ids=first["id"])
    simulator.let_limits_pass(600)
    assert consume(taobao) == []


def test_a_later_permission_replaces_the_topics(taobao, simulator, own_row):
    taobao.call(PERMIT)
    taobao.call(PERMIT, topics="taobao_item_ItemUpdate")
    simulator.taobao.set_item(own_row["num_iid"], own_row["sku_id"], quantity=1, price="55.00")
    assert [message["topic"] for message in consume(taobao)] == ["taobao_item_ItemUpdate"]


def test_a_group_gets_the_messages_of_its_shops_only(taobao, simulator):
    shops = [simulator.taobao.shop(key) for key in ("taobao-shanye", "taobao-chufang")]
    taobao.call(GROUP, session=None, group_name="camping", nicks=shops[0]["nick"])
    for shop in shops:
        taobao.call(PERMIT, session=shop["session"])
        row = simulator.taobao.items(shop=shop["shop"])[0]
        simulator.taobao.set_item(row["num_iid"], row["sku_id"], quantity=row["quantity"] + 1)
    assert [message["user_nick"] for message in consume(taobao, group_name="camping")] == [shops[0]["nick"]]
    assert [message["user_nick"] for message in consume(taobao)] == [shops[1]["nick"]]


def test_messages_of_one_application_are_not_those_of_another(taobao, simulator, own_row):
    taobao.call(PERMIT)
    simulator.taobao.set_item(own_row["num_iid"], own_row["sku_id"], quantity=own_row["quantity"] + 5)
    other = taobao.account["apps"][1]
    assert consume(taobao, app_key=other["app_key"], secret=other["app_secret"]) == []
    assert len(consume(taobao)) == 1


@pytest.mark.parametrize(
    ("method", "parameters", "expected"),
    [
        (CONSUME, {"quantity": 9}, (41, "isv.invalid-parameter:quantity")),
        (CONSUME, {"quantity": 201}, (41, "isv.invalid-parameter:quantity")),
        (CONSUME, {"group_name": "nobody"}, (41, "isv.invalid-parameter:group_name")),
        (CONFIRM, {}, (40, "isv.missing-parameter:s_message_ids")),
        (CONFIRM, {"s_message_ids": "a,b"}, (41, "isv.invalid-parameter:s_message_ids")),
        (CONFIRM, {"s_message_ids": ",".join(map(str, range(201)))}, (41, "isv.invalid-parameter:s_message_ids")),
        (PERMIT, {"topics": "taobao_item_Nothing"}, (41, "isv.invalid-parameter:topics")),
        (PERMIT, {"session": None}, (26, None)),
        (GROUP, {"group_name": "x", "nicks": "nobody"}, (41, "isv.invalid-parameter:nicks")),
    ],
)
def test_the_service_refuses_what_the_platform_refuses(taobao, method, parameters, expected):
    assert refusal(taobao.call(method, **parameters)) == expected


def test_a_restart_keeps_permissions_groups_and_messages():
    simulation = Simulation(seed=7, listings=40)
    simulation.set_speed(0)
    messages, app_key = simulation.accounts.messages, simulation.accounts.first_app.app_key
    shop = simulation.accounts.own_shops()[0]
    messages.permit(simulation.world, app_key, shop.key, list(TOPICS))
    item = next(simulation.world.own_items(shop.key))
    simulation.world.add_units(item, item.rows[0], 3, simulation.world.now)
    simulation.world.changed()
    messages.look(simulation.world)
    saved = orjson.loads(orjson.dumps(simulation.to_json(), option=orjson.OPT_NON_STR_KEYS))
    again = Simulation(seed=7, listings=40, state=saved)
    restored = again.accounts.messages
    assert [message.topic for message in restored.queue] == ["taobao_item_ItemStockChanged"]
    restored.look(again.world)
    assert len(restored.queue) == 1  # what was told is not told again


# --- Activities -----------------------------------------------------------------------------------------------------


def test_a_running_promotion_is_an_activity_of_its_item(taobao, simulator):
    simulator.reset(now=START, speed=0)
    simulator.step(seconds=5 * 86_400)
    rows = simulator.taobao.items(shop=simulator.taobao.shop()["shop"])
    on_offer = {row["num_iid"] for row in rows if row["live_price"] != row["price"]}
    answer = taobao.call("taobao.promotionmisc.item.activity.list.get", page_size=50)
    found = answer["item_promotion_list"]["item_promotion"]
    assert answer["total_count"] == len(found) >= len(on_offer) > 0
    covered = set()
    for heading in found:
        about = {"activity_id": heading["activity_id"]}
        one = taobao.call("taobao.promotionmisc.item.activity.get", **about)["item_promotion"]
        ranges = taobao.call("taobao.promotionmisc.activity.range.list.get", **about)
        [entry] = ranges["promotion_range_list"]["promotion_range"]
        covered.add(entry["item_id"])
        row = next(row for row in rows if row["num_iid"] == entry["item_id"])
        if one["is_decrease_money"]:
            assert round(float(row["price"]) * 100 - float(row["live_price"]) * 100) <= one["decrease_amount"]
        else:
            assert abs(float(row["live_price"]) / float(row["price"]) - one["discount_rate"] / 1000) < 0.02
        end = datetime.strptime(one["end_time"] + " +0800", "%Y-%m-%d %H:%M:%S %z")
        assert timedelta(0) < end - simulator.now() < timedelta(days=6)
    assert on_offer <= covered


@pytest.mark.parametrize(
    ("method", "parameters", "expected"),
    [
        ("taobao.promotionmisc.item.activity.list.get", {"page_size": 51}, (41, "isv.invalid-parameter:page_size")),
        ("taobao.promotionmisc.item.activity.get", {}, (40, "isv.missing-parameter:activity_id")),
        (
            "taobao.promotionmisc.item.activity.get",
            {"activity_id": 1},
            (15, "isv.activity-not-exist:invalid-activityId"),
        ),
    ],
)
def test_activities_refuse_what_the_platform_refuses(taobao, method, parameters, expected):
    assert refusal(taobao.call(method, **parameters)) == expected
