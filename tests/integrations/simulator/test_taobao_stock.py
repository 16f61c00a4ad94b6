"""The three ways to write stock at the simulated Taobao: what they change, and everything they refuse."""

import json
import time

import pytest
import requests

from tests.integrations.simulator.test_gateway import refusal

pytestmark = pytest.mark.pure

ONE = "taobao.item.quantity.update"
MANY = "taobao.skus.quantity.update"
TMALL = "tmall.item.quantity.update"
NO_ITEM = (15, "isv.item-not-exist:invalid-numIid-or-iid")
NO_SKU = (15, "isv.sku-not-exist:invalid-skuId")
UNMATCHED = (15, "isv.item-update-service-error:IC_CHECKSTEP_SKU_QUANTITY_UNMATCH")


class Shop:
    """One own shop: its rows, and calls with its session."""

    def __init__(self, simulator, taobao, key):
        self.simulator, self.taobao, self.key = simulator, taobao, key
        self.session = simulator.taobao.shop(key)["session"]

    def call(self, method, **business):
        return self.taobao.call(method, session=self.session, **business)

    def rows(self, *, of_item=None):
        rows = self.simulator.taobao.items(shop=self.key)
        return rows if of_item is None else [row for row in rows if row["num_iid"] == of_item]

    def item(self, *, has_variants):
        """The rows of the first item on sale of that kind."""
        first = next(
            row for row in self.rows() if bool(row["sku_id"]) is has_variants and row["approve_status"] == "onsale"
        )
        return self.rows(of_item=first["num_iid"])

    def shown(self, num_iid):
        return {row["sku_id"]: row["quantity"] for row in self.rows(of_item=num_iid)}


@pytest.fixture
def shop(simulator, taobao):
    return Shop(simulator, taobao, "taobao-shanye")


@pytest.fixture
def tmall(simulator, taobao):
    return Shop(simulator, taobao, "tmall-nuanju")


def pairs(rows, *quantities):
    return ";".join(f"{row['sku_id']}:{quantity}" for row, quantity in zip(rows, quantities, strict=False))


def test_variants_of_an_item_are_written_in_one_call(shop):
    first, second, *_ = shop.item(has_variants=True)
    answer = shop.call(MANY, num_iid=first["num_iid"], skuid_quantities=pairs([first, second], 7, 0))
    assert [(sku["sku_id"], sku["quantity"]) for sku in answer["item"]["skus"]["sku"]] == [
        (first["sku_id"], 7),
        (second["sku_id"], 0),
    ]
    shown = shop.shown(first["num_iid"])
    assert (shown[first["sku_id"]], shown[second["sku_id"]]) == (7, 0)
    assert answer["item"]["num"] == sum(shown.values())


def test_a_merchant_code_writes_every_variant_that_has_it(shop):
    first, *_ = shop.item(has_variants=True)
    answer = shop.call(MANY, num_iid=first["num_iid"], outerid_quantities=f"{first['outer_id']}:9")
    assert answer["item"]["skus"]["sku"][0]["quantity"] == 9
    assert shop.shown(first["num_iid"])[first["sku_id"]] == 9


def test_codes_do_not_count_beside_ids(shop):
    first, second, *_ = shop.item(has_variants=True)
    before = second["quantity"]
    codes = f"{second['outer_id']}:999"
    shop.call(MANY, num_iid=first["num_iid"], skuid_quantities=pairs([first], 3), outerid_quantities=codes)
    assert shop.shown(first["num_iid"])[second["sku_id"]] == before


def test_an_item_without_variants_is_written_as_a_whole(shop):
    [row] = shop.item(has_variants=False)
    answer = shop.call(ONE, num_iid=row["num_iid"], quantity=11)
    assert (answer["item"]["num_iid"], answer["item"]["num"]) == (row["num_iid"], 11)
    assert "skus" not in answer["item"]
    assert shop.shown(row["num_iid"]) == {"": 11}


def test_one_variant_is_written_by_the_call_for_items(shop):
    first, *_ = shop.item(has_variants=True)
    shop.call(ONE, num_iid=first["num_iid"], sku_id=first["sku_id"], quantity=4)
    assert shop.shown(first["num_iid"])[first["sku_id"]] == 4


def test_a_difference_below_zero_ends_at_zero_for_many_and_is_refused_for_one(shop):
    first, *_ = shop.item(has_variants=True)
    num_iid, below = first["num_iid"], -(first["quantity"] + 1)
    one = shop.call(ONE, num_iid=num_iid, sku_id=first["sku_id"], quantity=below, type=2)
    assert refusal(one) == (15, "isv.item-update-service-error:IC_CHECKSTEP_QUANTITY_ERROR")
    shop.call(MANY, num_iid=num_iid, skuid_quantities=pairs([first], below), type=2)
    assert shop.shown(num_iid)[first["sku_id"]] == 0


def test_an_item_sold_out_by_a_write_leaves_the_shelf(shop):
    [row] = shop.item(has_variants=False)
    shop.call(ONE, num_iid=row["num_iid"], quantity=0)
    assert [row["approve_status"] for row in shop.rows(of_item=row["num_iid"])] == ["instock"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"num_iid": None}, (40, "isv.missing-parameter:num_iid"), id="no item"),
        pytest.param({"num_iid": "1.5"}, (41, "isv.invalid-parameter:num_iid"), id="no id"),
        pytest.param({"num_iid": "404"}, NO_ITEM, id="unknown item"),
        pytest.param({"skuid_quantities": None}, (40, "isv.missing-parameter:skuid_quantities"), id="no rows"),
        pytest.param({"skuid_quantities": "404:1"}, NO_SKU, id="unknown variant"),
        pytest.param({"skuid_quantities": "0:1"}, NO_SKU, id="no variant"),
        pytest.param({"skuid_quantities": "404"}, (41, "isv.invalid-parameter:skuid_quantities"), id="no quantity"),
        pytest.param({"type": 3}, (41, "isv.invalid-parameter:type"), id="neither set nor difference"),
        pytest.param(
            {"skuid_quantities": ";".join(f"{number}:1" for number in range(1, 22))},
            (41, "isv.invalid-parameter:skuid_quantities"),
            id="21 rows",
        ),
        pytest.param({"skuid_quantities": None, "outerid_quantities": "NOPE:1"}, NO_SKU, id="unknown code"),
    ],
)
def test_a_wrong_write_has_its_code_and_changes_nothing(shop, changes, expected):
    rows = shop.item(has_variants=True)
    before = shop.shown(rows[0]["num_iid"])
    call = {"num_iid": rows[0]["num_iid"], "skuid_quantities": pairs(rows, 1)} | changes
    assert refusal(shop.call(MANY, **call)) == expected
    assert shop.shown(rows[0]["num_iid"]) == before


@pytest.mark.parametrize("quantity", [-1, 100_000_000, "many", "1.0"])
def test_a_quantity_no_shop_could_have_is_refused(shop, quantity):
    first, *_ = shop.item(has_variants=True)
    many = shop.call(MANY, num_iid=first["num_iid"], skuid_quantities=f"{first['sku_id']}:{quantity}")
    assert refusal(many) == (41, "isv.invalid-parameter:skuid_quantities")
    one = shop.call(ONE, num_iid=first["num_iid"], sku_id=first["sku_id"], quantity=quantity)
    assert refusal(one) == (41, "isv.invalid-parameter:quantity")


def test_one_unknown_variant_leaves_the_others_unwritten(shop):
    first, *_ = shop.item(has_variants=True)
    before = shop.shown(first["num_iid"])
    answer = shop.call(MANY, num_iid=first["num_iid"], skuid_quantities=f"{first['sku_id']}:1;404:1")
    assert refusal(answer) == NO_SKU
    assert "404" in answer["sub_msg"]
    assert shop.shown(first["num_iid"]) == before


def test_a_deleted_variant_cannot_be_written(shop):
    first, *_ = shop.item(has_variants=True)
    shop.simulator.taobao.set_item(first["num_iid"], first["sku_id"], delete=True)
    assert refusal(shop.call(MANY, num_iid=first["num_iid"], skuid_quantities=pairs([first], 1))) == NO_SKU


def test_an_item_with_variants_cannot_be_written_as_a_whole(shop):
    first, *_ = shop.item(has_variants=True)
    assert refusal(shop.call(ONE, num_iid=first["num_iid"], quantity=5)) == UNMATCHED


def test_items_of_other_shops_cannot_be_written(shop, simulator):
    foreign = next(row for row in simulator.taobao.items() if row["shop"] != shop.key)
    answer = shop.call(ONE, num_iid=foreign["num_iid"], quantity=5)
    assert refusal(answer) == (15, "isv.invalid-permission:update-item")


def test_each_kind_of_shop_has_its_own_way(shop, tmall):
    own, other = shop.item(has_variants=False)[0], tmall.item(has_variants=True)[0]
    assert shop.call(TMALL, item_id=own["num_iid"], item_quantity=1)["code"] == 12
    assert tmall.call(MANY, num_iid=other["num_iid"], skuid_quantities=pairs([other], 1))["code"] == 12
    assert tmall.call(ONE, num_iid=other["num_iid"], quantity=1)["code"] == 12


def test_a_write_needs_the_level_for_writing(shop, simulator):
    [row] = shop.item(has_variants=False)
    simulator.taobao.set_levels(shop.key, w1=0)
    assert refusal(shop.call(ONE, num_iid=row["num_iid"], quantity=1)) == (27, "session-expired")


# --- Tmall ----------------------------------------------------------------------------------------------------------


def tmall_rows(*entries):
    return json.dumps([{"sku_id": sku_id, "quantity": quantity} for sku_id, quantity in entries])


def test_tmall_names_the_item_and_no_figure(tmall):
    first, second, *_ = tmall.item(has_variants=True)
    rows = tmall_rows((first["sku_id"], 7), (second["sku_id"], 3))
    answer = tmall.call(TMALL, item_id=first["num_iid"], sku_quantities=rows, options='{"type":1}')
    assert answer["quantity_update_result"] == str(first["num_iid"])
    shown = tmall.shown(first["num_iid"])
    assert (shown[first["sku_id"]], shown[second["sku_id"]]) == (7, 3)


@pytest.mark.parametrize("key", ["outer_id", "properties"])
def test_tmall_finds_a_variant_by_what_it_is_told(tmall, taobao, key):
    first, *_ = tmall.item(has_variants=True)
    fields = f"sku_id,{key}"
    skus = taobao.call("taobao.item.skus.get", fields=fields, num_iids=first["num_iid"])["skus"]["sku"]
    value = next(sku[key] for sku in skus if sku["sku_id"] == first["sku_id"])
    tmall.call(TMALL, item_id=first["num_iid"], sku_quantities=json.dumps([{key: value, "quantity": 8}]))
    assert tmall.shown(first["num_iid"])[first["sku_id"]] == 8


def test_a_difference_under_the_same_key_is_applied_once(tmall):
    first, *_ = tmall.item(has_variants=True)
    rows = tmall_rows((first["sku_id"], 2))
    for key in ("ab12", "ab12", "ab13"):
        options = json.dumps({"type": 2, "outer_biz_key": key})
        answer = tmall.call(TMALL, item_id=first["num_iid"], sku_quantities=rows, options=options)
        assert answer["quantity_update_result"] == str(first["num_iid"])
    assert tmall.shown(first["num_iid"])[first["sku_id"]] == first["quantity"] + 4


def test_the_key_does_not_count_for_absolute_figures(tmall):
    first, *_ = tmall.item(has_variants=True)
    for quantity in (5, 6):
        options = json.dumps({"type": 1, "outer_biz_key": "ab12"})
        rows = tmall_rows((first["sku_id"], quantity))
        tmall.call(TMALL, item_id=first["num_iid"], sku_quantities=rows, options=options)
    assert tmall.shown(first["num_iid"])[first["sku_id"]] == 6


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"item_id": None}, (40, "isv.missing-parameter:item_id"), id="no item"),
        pytest.param({"item_id": "404"}, NO_ITEM, id="unknown item"),
        pytest.param({"sku_quantities": None}, (40, "isv.missing-parameter:item_quantity"), id="nothing to write"),
        pytest.param({"sku_quantities": "{}"}, (41, "isv.invalid-parameter:sku_quantities"), id="no list"),
        pytest.param({"sku_quantities": "[1"}, (41, "isv.invalid-parameter:sku_quantities"), id="no JSON"),
        pytest.param({"sku_quantities": "[1]"}, (41, "isv.invalid-parameter:sku_quantities"), id="no object"),
        pytest.param({"sku_quantities": '[{"quantity":1}]'}, (41, "isv.invalid-parameter:sku_quantities"), id="no key"),
        pytest.param({"sku_quantities": tmall_rows((404, 1))}, NO_SKU, id="unknown variant"),
        pytest.param(
            {"sku_quantities": tmall_rows(*((number, 1) for number in range(1, 22)))},
            (41, "isv.invalid-parameter:sku_quantities"),
            id="21 rows",
        ),
        pytest.param({"options": '{"type":3}'}, (41, "isv.invalid-parameter:options"), id="unknown type"),
        pytest.param(
            {"options": '{"type":2,"outer_biz_key":"push-7"}'}, (41, "isv.invalid-parameter:options"), id="key not hex"
        ),
        pytest.param({"sku_quantities": None, "item_quantity": 5}, UNMATCHED, id="variants written as a whole"),
    ],
)
def test_a_wrong_write_at_tmall_has_its_code(tmall, changes, expected):
    first, *_ = tmall.item(has_variants=True)
    call = {"item_id": first["num_iid"], "sku_quantities": tmall_rows((first["sku_id"], 1))} | changes
    assert refusal(tmall.call(TMALL, **call)) == expected
    assert tmall.shown(first["num_iid"])[first["sku_id"]] == first["quantity"]


# --- Faults ---------------------------------------------------------------------------------------------------------


def test_a_lost_answer_leaves_the_write_done(shop, simulator):
    first, *_ = shop.item(has_variants=True)
    simulator.taobao.fail_next(method=MANY, kind="lost")
    with pytest.raises(requests.ConnectionError):
        shop.call(MANY, num_iid=first["num_iid"], skuid_quantities=pairs([first], 2))
    assert shop.shown(first["num_iid"])[first["sku_id"]] == 2


def test_a_silent_drop_answers_as_if_written(shop, simulator):
    first, *_ = shop.item(has_variants=True)
    simulator.taobao.fail_next(method=MANY, kind="silent_drop")
    answer = shop.call(MANY, num_iid=first["num_iid"], skuid_quantities=pairs([first], 2))
    assert answer["item"]["skus"]["sku"][0]["quantity"] == 2
    assert shop.shown(first["num_iid"])[first["sku_id"]] == first["quantity"]


def test_a_write_can_become_visible_late(shop, simulator):
    first, *_ = shop.item(has_variants=True)
    simulator.taobao.fail_next(method=MANY, kind="delayed_visibility", seconds=0.2)
    shop.call(MANY, num_iid=first["num_iid"], skuid_quantities=pairs([first], 2))
    seen = [shop.shown(first["num_iid"])[first["sku_id"]]]
    giving_up = time.monotonic() + 5
    while seen[-1] != 2 and time.monotonic() < giving_up:
        seen.append(shop.shown(first["num_iid"])[first["sku_id"]])
    assert (seen[0], seen[-1]) == (first["quantity"], 2)


def test_the_seller_says_who_it_is(shop, tmall):
    told = [one.call("taobao.user.seller.get", fields="user_id,nick,type")["user"] for one in (shop, tmall)]
    assert [user["type"] for user in told] == ["C", "B"]
    assert [user["nick"] for user in told] == [one.simulator.taobao.shop(one.key)["nick"] for one in (shop, tmall)]
    assert refusal(shop.call("taobao.user.seller.get", fields="phone")) == (41, "isv.invalid-parameter:fields")
