"""Coupons in fen and activities of items: what is told, and what is named as not known."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from integrations.connectors.errors import Retry, Review
from integrations.connectors.taobao import TaobaoConnector, TaobaoCredentials, promotions
from integrations.connectors.values import HalfAnswer
from tests.integrations.connectors.raw_server import RawServer, answer_json
from tests.integrations.connectors.taobao.test_client import refused

pytestmark = pytest.mark.pure

NOW = datetime(2025, 6, 1, 4, 0, tzinfo=UTC)
COUPONS = "taobao.promotion.coupons.get"
ACTIVITIES = "taobao.promotionmisc.item.activity.list.get"
ACTIVITY = "taobao.promotionmisc.item.activity.get"
ITEMS = "taobao.promotionmisc.activity.range.list.get"


def coupon(**fields):
    return {
        "coupon_id": 10000001,
        "denominations": 500,
        "condition": 9900,
        "creat_time": "2025-05-01 00:00:00",
        "end_time": "2025-07-01 00:00:00",
        "create_channel": "商家后台",
    } | fields


def activity(**fields):
    return {
        "activity_id": 77,
        "name": "限时优惠",
        "start_time": "2025-05-30 00:00:00",
        "end_time": "2025-06-05 00:00:00",
        "participate_range": 0,
        "is_decrease_money": True,
        "decrease_amount": 1050,
        "is_discount": False,
        "is_user_tag": False,
    } | fields


def test_a_coupon_is_in_fen_and_says_what_it_does_not_tell():
    found = promotions.coupon(coupon())
    assert (found.promotion_id, found.kind, found.currency) == ("coupon-10000001", "amount_off", "CNY")
    assert (found.value, found.minimum_amount) == (Decimal("5"), Decimal("99"))
    assert found.starts_at is None  # it tells when it was made
    assert found.ends_at == datetime(2025, 6, 30, 16, 0, tzinfo=UTC)
    assert set(found.unknown) == {"starts_at", "item_ids", "codes"}


@pytest.mark.parametrize(
    ("fields", "unknown"),
    [
        ({"denominations": "x"}, "value"),
        ({"denominations": 0}, "value"),
        ({"condition": None}, "minimum_amount"),
        ({"condition": Decimal("1.5")}, "minimum_amount"),
    ],
)
def test_an_amount_that_cannot_be_read_is_unknown(fields, unknown):
    found = promotions.coupon(coupon(**fields))
    assert unknown in found.unknown
    assert getattr(found, unknown) is None


def test_a_condition_of_nothing_is_no_unknown_condition():
    assert promotions.coupon(coupon(condition=0)).minimum_amount == 0


def test_an_activity_takes_an_amount_in_fen_off_each_unit():
    found = promotions.activity(activity(), [])
    assert (found.promotion_id, found.title) == ("activity-77", "限时优惠")
    assert (found.kind, found.value, found.is_on_each_unit) == ("amount_off", Decimal("10.5"), True)
    assert (found.item_ids, found.unknown) == ((), ())
    assert found.starts_at == datetime(2025, 5, 29, 16, 0, tzinfo=UTC)
    assert found.ends_at == datetime(2025, 6, 4, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(("rate", "percent"), [(800, "20"), (855, "14.5"), (999, "0.1"), (1, "99.9")])
def test_a_rate_of_800_is_a_fifth_off(rate, percent):
    row = activity(is_decrease_money=False, is_discount=True, discount_rate=rate)
    found = promotions.activity(row, [])
    assert (found.kind, found.value, found.unknown) == ("percent_off", Decimal(percent), ())


@pytest.mark.parametrize(
    ("fields", "item_ids", "unknown"),
    [
        pytest.param({"is_decrease_money": False}, [], "value", id="neither amount nor rate"),
        pytest.param({"is_discount": True, "discount_rate": 900}, [], "value", id="amount and rate"),
        pytest.param({"decrease_amount": None}, [], "value", id="no amount"),
        pytest.param({"is_decrease_money": False, "is_discount": True, "discount_rate": 1000}, [], "value", id="100 %"),
        pytest.param({"is_decrease_money": False, "is_discount": True, "discount_rate": 0}, [], "value", id="0 %"),
        pytest.param({"is_user_tag": True}, [], "codes", id="marked buyers only"),
        pytest.param({"is_user_tag": None}, [], "codes", id="for whom is not told"),
        pytest.param({"participate_range": 1}, [], "item_ids", id="some items, and none is told"),
        pytest.param({"participate_range": None}, [], "item_ids", id="range not told"),
    ],
)
def test_what_an_activity_does_not_tell_is_unknown(fields, item_ids, unknown):
    found = promotions.activity(activity(**fields), item_ids)
    assert found.unknown == (unknown,)
    assert unknown != "value" or found.value is None


@pytest.mark.parametrize(
    "row", [activity(activity_id=None), activity(start_time=None), activity(end_time="soon")]
)  # fmt: skip
def test_an_activity_without_an_id_or_times_is_half_an_answer(row):
    with pytest.raises(HalfAnswer):
        promotions.activity(row, [])


# --- Calls ----------------------------------------------------------------------------------------------------------


class Shop:
    server: RawServer

    def __init__(self, coupons=(), activities=(), items=(), refuse=None):
        self.coupons, self.activities, self.items, self.refuse = list(coupons), list(activities), list(items), refuse

    def __call__(self, connection):
        form = self.server.forms[-1]
        method = form["method"]
        if self.refuse and method == self.refuse[0]:
            self.refuse[1](connection)
            return
        body: dict[str, Any] = {"request_id": "r"}
        page = slice((int(form.get("page_no", 1)) - 1) * 100, int(form.get("page_no", 1)) * 100)
        if method == COUPONS and self.coupons[page]:
            body["coupons"] = {"coupon": self.coupons[page]}
        elif method == ACTIVITIES and self.activities:
            headings = [{"activity_id": row["activity_id"]} for row in self.activities]
            body["item_promotion_list"] = {"item_promotion": headings}
        elif method == ACTIVITY:
            body["item_promotion"] = next(r for r in self.activities if str(r["activity_id"]) == form["activity_id"])
        elif method == ITEMS and self.items:
            body["promotion_range_list"] = {"promotion_range": self.items}
        answer_json({method.removeprefix("taobao.").replace(".", "_") + "_response": body})(connection)


def read(shop):
    with RawServer(shop) as server:
        shop.server = server
        credentials = TaobaoCredentials.from_settings(
            {"app_key": "1", "app_secret": "5ec4e7", "access_token": "6200e1"}
        )
        found = list(TaobaoConnector(credentials, base_url=server.url).read_promotions(now=NOW))
    return found, [form["method"] for form in server.forms]


def test_what_is_over_is_left_out_and_every_page_is_read():
    coupons = [coupon(coupon_id=number) for number in range(1, 151)]
    coupons[3] |= {"end_time": "2025-06-01 11:59:59"}
    over = activity(activity_id=78, end_time="2025-06-01 12:00:00")
    found, methods = read(Shop(coupons, [activity(), over]))
    ids = [promotion.promotion_id for promotion in found]
    assert len(ids) == 150
    assert "coupon-4" not in ids
    assert ids[-1] == "activity-77"
    assert methods == [COUPONS, COUPONS, ACTIVITIES, ACTIVITY, ACTIVITY]


def test_the_items_of_an_activity_are_asked_for():
    items = [{"activity_id": 77, "item_id": 9007199254740993}, {"activity_id": 77, "item_id": 6}]
    found, methods = read(Shop(activities=[activity(participate_range=1)], items=items))
    assert found[0].item_ids == ("9007199254740993", "6")
    assert methods[-1] == ITEMS


@pytest.mark.parametrize("items", [[], [{"activity_id": 77}], [{"activity_id": 77, "item_id": 6}, {}]])
def test_items_that_are_not_all_told_do_not_mean_all_items(items):
    found, _ = read(Shop(activities=[activity(participate_range=1)], items=items))
    assert (found[0].item_ids, found[0].unknown) == ((), ("item_ids",))


def test_an_activity_that_ended_since_it_was_listed_is_left_out():
    gone = (ACTIVITY, refused(15, "isv.activity-not-exist:invalid-activityId"))
    assert read(Shop([coupon()], [activity()], refuse=gone))[0][0].promotion_id == "coupon-10000001"


@pytest.mark.parametrize(
    ("method", "handler", "expected"),
    [
        (COUPONS, refused(11, "isv.permission-api-package-limit"), Review),
        (ACTIVITIES, refused(11, "isv.permission-api-package-limit"), Review),
        (ACTIVITY, refused(11, "isv.permission-api-package-limit"), Review),
        (COUPONS, answer_json({"promotion_coupons_get_response": {"coupons": {"coupon": [{}]}}}), Retry),
        (ACTIVITY, answer_json({"promotionmisc_item_activity_get_response": {"request_id": "r"}}), Retry),
    ],
)
def test_what_cannot_be_read_is_not_left_out_in_silence(method, handler, expected):
    with pytest.raises(expected):
        read(Shop([coupon()], [activity()], refuse=(method, handler)))


def test_the_promotions_of_a_shop_are_read(simulator, connect_to):
    simulator.reset(now=datetime(2026, 3, 2, tzinfo=UTC), speed=0)
    simulator.step(seconds=4 * 86_400)
    found = {row.promotion_id: row for row in connect_to("tmall-nuanju").read_promotions(now=simulator.now())}
    for row in simulator.taobao.coupons()["shop"]:
        if row["shop"] == "tmall-nuanju":
            told = found.pop(f"coupon-{row['coupon_id']}")
            assert (told.value, told.minimum_amount) == (Decimal(row["face"]) / 100, Decimal(row["minimum"]) / 100)
    rows = simulator.taobao.items(shop="tmall-nuanju")
    assert found
    for told in found.values():
        [item_id] = told.item_ids
        assert told.unknown == ()
        for row in (row for row in rows if str(row["num_iid"]) == item_id):
            price, live = Decimal(row["price"]), Decimal(row["live_price"])
            expected = price - told.value if told.kind == "amount_off" else price * (100 - told.value) / 100
            assert abs(expected - live) < Decimal("0.10")
