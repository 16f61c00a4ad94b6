"""The gateway over HTTP: what it answers, and everything it refuses."""

import base64
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
import requests

from tests.integrations.simulator.conftest import china_time, milliseconds

pytestmark = pytest.mark.pure

ITEM = "taobao.item.seller.get"
ITEMS = "taobao.items.seller.list.get"
TIME = "taobao.time.get"
FAR_PAST = datetime(2025, 1, 6, tzinfo=UTC)


def refusal(answer):
    return answer.get("code"), answer.get("sub_code")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"method": None}, (21, None), id="no method"),
        pytest.param({"method": "taobao.item.get"}, (22, "isv.invalid-method"), id="withdrawn method"),
        pytest.param({"method": "taobao.items.get"}, (22, "isv.invalid-method"), id="withdrawn search"),
        pytest.param({"sign": None}, (24, None), id="no sign"),
        pytest.param({"sign": "0" * 64}, (25, None), id="wrong sign"),
        pytest.param({"secret": "other"}, (25, None), id="wrong secret"),
        pytest.param({"session": None}, (26, None), id="no session"),
        pytest.param({"session": "nobody"}, (27, "session-not-exist"), id="unknown session"),
        pytest.param({"app_key": None}, (28, None), id="no app key"),
        pytest.param({"app_key": "1"}, (29, "isv.appkey-not-exists"), id="unknown app key"),
        pytest.param({"timestamp": None}, (30, None), id="no timestamp"),
        pytest.param({"timestamp": "yesterday"}, (31, None), id="unreadable timestamp"),
        pytest.param({"timestamp": "2016-01-01 12:00:00"}, (31, "isv.invalid-timestamp"), id="old timestamp"),
        pytest.param({"v": None}, (32, None), id="no version"),
        pytest.param({"v": "two"}, (33, None), id="no such version"),
        pytest.param({"v": "1.0"}, (34, None), id="version no longer served"),
        pytest.param({"sign_method": None}, (40, "isv.missing-parameter:sign_method"), id="no sign method"),
        pytest.param({"sign_method": "sha1"}, (41, "isv.invalid-parameter:sign_method"), id="sha1 is no sign method"),
        pytest.param({"simplify": "true"}, (41, "isv.invalid-parameter:simplify"), id="simplified answers"),
        pytest.param({"fields": None}, (40, "isv.missing-parameter:fields"), id="no fields"),
        pytest.param({"fields": "num_iid,stock"}, (41, "isv.invalid-parameter:fields"), id="unknown field"),
        pytest.param({"num_iid": None}, (40, "isv.missing-parameter:num_iid"), id="no item"),
        pytest.param({"num_iid": "1.5e3"}, (41, "isv.invalid-parameter:num_iid"), id="an id that was a float"),
        pytest.param({"num_iid": "404"}, (15, "isv.item-not-exist:invalid-numIid-or-iid"), id="unknown item"),
    ],
)
def test_each_wrong_call_has_its_code(taobao, changes, expected):
    call = {"fields": "num_iid", "num_iid": "1", **changes}
    assert refusal(taobao.call(call.pop("method", ITEM), **call)) == expected


def test_unknown_format_is_refused_in_the_default_one(taobao):
    assert ElementTree.fromstring(taobao.send(TIME, format="yaml").content).findtext("code") == "23"  # noqa: S314


@pytest.mark.parametrize("offset_minutes", [-11, 11])
def test_timestamp_outside_ten_minutes_is_refused(taobao, offset_minutes):
    sent = datetime.now(UTC) + timedelta(minutes=offset_minutes)
    assert refusal(taobao.call(TIME, timestamp=china_time(sent))) == (31, "isv.invalid-timestamp")
    assert taobao.call(TIME, timestamp=milliseconds(offset_minutes * 60))["code"] == 31


@pytest.mark.parametrize("offset_minutes", [-9, 9])
def test_timestamp_within_ten_minutes_passes_in_both_forms(taobao, offset_minutes):
    sent = datetime.now(UTC) + timedelta(minutes=offset_minutes)
    assert "time" in taobao.call(TIME, timestamp=china_time(sent))
    assert "time" in taobao.call(TIME, timestamp=milliseconds(offset_minutes * 60))


def test_timestamp_in_another_zone_is_refused(taobao):
    assert taobao.call(TIME, timestamp=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"))["code"] == 31


@pytest.mark.parametrize("sign_method", ["md5", "hmac", "hmac-sha256"])
def test_every_sign_method_passes(taobao, sign_method):
    assert "time" in taobao.call(TIME, sign_method=sign_method)


def test_signature_covers_query_and_body_together(taobao):
    parameters = taobao.parameters(TIME)
    body = {name: parameters.pop(name) for name in ("app_key", "v")}
    response = taobao.http.post(taobao.simulator.taobao.gateway_url, params=parameters, data=body, timeout=10)
    assert "time_get_response" in response.json()
    body["extra"] = "not signed"
    response = taobao.http.post(taobao.simulator.taobao.gateway_url, params=parameters, data=body, timeout=10)
    assert response.json()["error_response"]["code"] == 25


def test_lower_case_signature_is_wrong(taobao):
    parameters = taobao.parameters(TIME)
    assert taobao.call(TIME, timestamp=parameters["timestamp"], sign=parameters["sign"].lower())["code"] == 25


def test_get_is_taken_and_put_is_not(taobao):
    url = taobao.simulator.taobao.gateway_url
    assert "time_get_response" in taobao.http.get(url, params=taobao.parameters(TIME), timeout=10).json()
    assert taobao.http.put(url, data=taobao.parameters(TIME), timeout=10).json()["error_response"]["code"] == 9


def test_body_that_is_no_form_is_refused(taobao):
    parameters = taobao.parameters(TIME)
    response = taobao.http.post(taobao.simulator.taobao.gateway_url, params=parameters, json={}, timeout=10)
    assert response.json()["error_response"]["code"] == 43


def test_parameter_sent_twice_is_refused(taobao):
    parameters = taobao.parameters(TIME)
    twice = {"v": "2.0"}
    response = taobao.http.post(taobao.simulator.taobao.gateway_url, params=twice, data=parameters, timeout=10)
    assert response.json()["error_response"]["sub_code"] == "isv.parameters-mismatch:duplicate"


def test_answer_is_xml_unless_json_is_asked_for(taobao, own_row):
    fields = "num_iid,title,price,sku.sku_id"
    response = taobao.send(ITEM, format=None, fields=fields, num_iid=own_row["num_iid"])
    assert response.headers["Content-Type"] == "text/xml;charset=UTF-8"
    root = ElementTree.fromstring(response.content)  # noqa: S314 - our own answer
    assert root.tag == "item_seller_get_response"
    assert root.findtext("item/title") == own_row["title"]
    assert [skus.get("list") for skus in root.iterfind("item/skus")] == ["true"]
    assert str(own_row["sku_id"]) in [sku.findtext("sku_id") for sku in root.iterfind("item/skus/sku")]


def test_error_is_xml_unless_json_is_asked_for(taobao):
    root = ElementTree.fromstring(taobao.send(ITEM, format=None).content)  # noqa: S314 - our own answer
    assert root.tag == "error_response"
    assert root.findtext("sub_code") == "isv.missing-parameter:fields"


def test_only_the_fields_asked_for_come_back(taobao, own_row):
    item = taobao.call(ITEM, fields="num_iid,price", num_iid=own_row["num_iid"])["item"]
    assert set(item) == {"num_iid", "price"}
    item = taobao.call(ITEM, fields="num_iid,sku.sku_id,sku.quantity", num_iid=own_row["num_iid"])["item"]
    assert {frozenset(sku) for sku in item["skus"]["sku"]} == {frozenset({"sku_id", "quantity"})}


def test_prices_are_text_in_yuan_and_stock_is_the_sum_of_variants(taobao, simulator, own_row):
    num_iid, sku_id = own_row["num_iid"], own_row["sku_id"]
    simulator.taobao.set_item(num_iid, sku_id, price="1234.50", quantity=41)
    item = taobao.call(ITEM, fields="num,price,sku", num_iid=num_iid)["item"]
    skus = {sku["sku_id"]: sku for sku in item["skus"]["sku"]}
    assert skus[sku_id]["price"] == "1234.50"
    assert skus[sku_id]["quantity"] == 41
    assert item["num"] == sum(sku["quantity"] for sku in skus.values())
    assert item["price"] in {sku["price"] for sku in skus.values()}


def test_changed_item_has_a_new_modification_time(taobao, simulator, own_row):
    before = taobao.call(ITEM, fields="modified", num_iid=own_row["num_iid"])["item"]["modified"]
    simulator.taobao.set_item(own_row["num_iid"], own_row["sku_id"], quantity=3)
    after = taobao.call(ITEM, fields="modified", num_iid=own_row["num_iid"])["item"]["modified"]
    assert after > before
    assert after == china_time(simulator.now().replace(microsecond=0))


def test_unknown_and_foreign_ids_are_missing_from_a_batch(taobao, simulator, own_row):
    foreign = next(row["num_iid"] for row in simulator.taobao.items() if not row["own"])
    ids = f"{own_row['num_iid']},{foreign},404"
    found = taobao.call(ITEMS, fields="num_iid", num_iids=ids)["items"]["item"]
    assert [item["num_iid"] for item in found] == [own_row["num_iid"]]


def test_batch_without_any_known_id_has_no_list_at_all(taobao):
    assert set(taobao.call(ITEMS, fields="num_iid", num_iids="404,405")) == {"request_id"}


@pytest.mark.parametrize(
    ("method", "limit"),
    [(ITEMS, 20), ("taobao.item.skus.get", 40), ("taobao.tbk.item.info.get", 40)],
)
def test_batch_limit_is_exact(taobao, method, limit):
    ids = [str(number) for number in range(1, limit + 2)]
    fields = "num_iid"
    assert "code" not in taobao.call(method, fields=fields, num_iids=",".join(ids[:limit]))
    assert refusal(taobao.call(method, fields=fields, num_iids=",".join(ids))) == (41, "isv.invalid-parameter:num_iids")


def test_ids_beyond_a_double_come_back_whole(taobao, simulator):
    big = [row for row in simulator.taobao.items() if row["num_iid"] > 2**53]
    assert big
    assert all(int(float(row["num_iid"])) != row["num_iid"] for row in big)
    own = next(row for row in big if row["own"])
    shop = simulator.taobao.shop(own["shop"])
    item = taobao.call(ITEM, session=shop["session"], fields="num_iid", num_iid=own["num_iid"])["item"]
    assert item["num_iid"] == own["num_iid"]


def test_skus_of_items_and_one_sku_agree(taobao, own_row):
    fields = "sku_id,num_iid,price,quantity,outer_id,status"
    skus = taobao.call("taobao.item.skus.get", fields=fields, num_iids=own_row["num_iid"])["skus"]["sku"]
    one = taobao.call("taobao.item.sku.get", fields=fields, sku_id=own_row["sku_id"])["sku"]
    assert one in skus
    assert one["outer_id"] == own_row["outer_id"]
    unknown = taobao.call("taobao.item.sku.get", fields=fields, sku_id=404, num_iid=own_row["num_iid"])
    assert refusal(unknown) == (15, "isv.sku-not-exist:invalid-skuId")


def test_deleted_variant_is_marked_and_deleted_item_is_gone(taobao, simulator, own_row):
    num_iid = own_row["num_iid"]
    simulator.taobao.set_item(num_iid, own_row["sku_id"], delete=True)
    skus = taobao.call("taobao.item.skus.get", fields="sku_id,status", num_iids=num_iid)["skus"]["sku"]
    assert {"sku_id": own_row["sku_id"], "status": "delete"} in skus
    simulator.taobao.set_item(num_iid, delete=True)
    assert taobao.call(ITEM, fields="num_iid", num_iid=num_iid)["code"] == 15


def test_shelf_lists_part_the_shop_between_them(taobao, simulator, own_row):
    simulator.taobao.set_item(own_row["num_iid"], approve_status="instock")
    wanted = {row["num_iid"] for row in simulator.taobao.items(shop=own_row["shop"])}
    on_sale = taobao.call("taobao.items.onsale.get", fields="num_iid,approve_status", page_size=200)
    in_stock = taobao.call("taobao.items.inventory.get", fields="num_iid,approve_status", page_size=200)
    shown = [{item["num_iid"] for item in answer["items"]["item"]} for answer in (on_sale, in_stock)]
    assert shown[0] | shown[1] == wanted
    assert not shown[0] & shown[1]
    assert own_row["num_iid"] in shown[1]
    assert on_sale["total_results"] == len(shown[0])


def test_shelf_list_is_sliced_by_time_and_paged(taobao, simulator, own_row):
    method = "taobao.items.onsale.get"
    now = simulator.now()
    simulator.taobao.set_item(own_row["num_iid"], title="changed just now")
    changed = taobao.call(method, fields="num_iid", start_modified=china_time(now), order_by="modified:desc")
    assert changed["items"]["item"] == [{"num_iid": own_row["num_iid"]}]
    everything = taobao.call(method, fields="num_iid", page_size=200)["items"]["item"]
    pages = [taobao.call(method, fields="num_iid", page_size=5, page_no=page) for page in (1, 2)]
    assert [item for page in pages for item in page["items"]["item"]] == everything[:10]
    assert "items" not in taobao.call(method, fields="num_iid", page_size=5, page_no=900)


@pytest.mark.parametrize(
    ("method", "changes", "sub_code"),
    [
        ("taobao.items.onsale.get", {"page_size": 201}, "isv.invalid-parameter:page_size"),
        ("taobao.items.onsale.get", {"page_no": 0}, "isv.invalid-parameter:page_no"),
        ("taobao.items.onsale.get", {"page_no": 101, "page_size": 200}, "isv.invalid-parameter:gain-number-too-large"),
        ("taobao.items.onsale.get", {"order_by": "price:desc"}, "isv.invalid-parameter:order_by"),
        ("taobao.items.onsale.get", {"start_modified": "2026-01-01"}, "isv.invalid-parameter:start_modified"),
        ("taobao.items.onsale.get", {"fields": "num_iid,sku"}, "isv.invalid-parameter:fields"),
        ("taobao.items.inventory.get", {"page_no": 102}, "isv.invalid-parameter:page_no"),
        ("taobao.items.inventory.get", {"banner": "lost"}, "isv.invalid-parameter:banner"),
        ("taobao.trades.sold.get", {"page_size": 101, "fields": "tid"}, "isv.invalid-parameter:page_size"),
        ("taobao.trades.sold.increment.get", {"fields": "tid"}, "isv.missing-parameter:start_modified"),
    ],
)
def test_lists_refuse_what_the_platform_refuses(taobao, method, changes, sub_code):
    assert taobao.call(method, **{"fields": "num_iid", **changes})["sub_code"] == sub_code


def test_changed_orders_are_asked_for_a_day_at_a_time(taobao):
    window = {"start_modified": "2026-01-01 00:00:00", "end_modified": "2026-01-02 00:00:01"}
    answer = taobao.call("taobao.trades.sold.increment.get", fields="tid", **window)
    assert refusal(answer) == (41, "isv.invalid-parameter:end_modified")


def test_sales_become_orders_with_lines(taobao, simulator):
    simulator.reset(now=FAR_PAST, speed=0)
    simulator.step(seconds=86_400)
    fields = "tid,status,payment,created,modified,pay_time,orders"
    window = {"start_modified": china_time(FAR_PAST), "end_modified": china_time(FAR_PAST + timedelta(days=1))}
    trades, page, more = [], 1, True
    while more:
        paging = {"page_no": page, "page_size": 20, "use_has_next": "true"}
        answer = taobao.call("taobao.trades.sold.increment.get", fields=fields, **window, **paging)
        trades += answer["trades"]["trade"]
        more, page = answer["has_next"], page + 1
    sold = taobao.call("taobao.trades.sold.get", fields="tid")
    assert sold["total_results"] == len(trades) > 10
    assert [trade["modified"] for trade in trades] == sorted((trade["modified"] for trade in trades), reverse=True)
    lines = [line for trade in trades for line in trade["orders"]["order"]]
    assert all(isinstance(line["sku_id"], str) for line in lines if "sku_id" in line)
    assert all(isinstance(line["num_iid"], int) for line in lines)
    assert {trade["status"] for trade in trades} >= {"WAIT_SELLER_SEND_GOODS"}


def test_orders_of_another_shop_stay_hidden(taobao, simulator):
    simulator.step(seconds=86_400)
    shops = simulator.taobao.account["shops"]
    seen = [taobao.call("taobao.trades.sold.get", session=shop["session"], fields="tid") for shop in shops]
    tids = [trade["tid"] for answer in seen for trade in answer.get("trades", {}).get("trade", [])]
    assert len(tids) == len(set(tids))


def test_affiliate_reads_show_live_prices_of_any_shop_and_no_stock(taobao, simulator):
    foreign = next(row for row in simulator.taobao.items() if not row["own"] and not row["sku_id"])
    simulator.taobao.set_item(foreign["num_iid"], price="88.00", live_price="79.90", approve_status="onsale")
    answer = taobao.call("taobao.tbk.item.info.get", session=None, num_iids=f"{foreign['num_iid']},404")
    (item,) = answer["results"]["n_tbk_item"]
    assert item["num_iid"] == foreign["num_iid"]
    assert (item["reserve_price"], item["zk_final_price"], item["sale_price"]) == ("88.00", "79.90", "79.90")
    assert not {"num", "quantity", "stock"} & set(item)


def test_affiliates_see_nothing_that_is_off_the_shelf(taobao, simulator, own_row):
    simulator.taobao.set_item(own_row["num_iid"], approve_status="instock")
    assert set(taobao.call("taobao.tbk.item.info.get", num_iids=own_row["num_iid"])) == {"request_id"}


def test_shop_coupons_are_in_fen_and_affiliate_coupons_in_yuan(taobao, simulator):
    shop_coupon = taobao.call("taobao.promotion.coupons.get", coupon_id=10_000_001)["coupons"]["coupon"]
    assert [(coupon["denominations"], coupon["condition"]) for coupon in shop_coupon] == [(2000, 19900)]
    known = simulator.taobao.coupons()["affiliate"][0]
    ids = {"item_id": known["num_iid"], "activity_id": known["activity_id"]}
    by_ids = taobao.call("taobao.tbk.coupon.get", session=None, **ids)["data"]
    assert by_ids["coupon_amount"] == f"{known['face'] // 100}.{known['face'] % 100:02d}"
    assert by_ids["coupon_type"] == (1 if known["single_item"] else 0)
    me = base64.urlsafe_b64encode(f"{known['num_iid']}:{known['activity_id']}".encode()).decode()
    assert taobao.call("taobao.tbk.coupon.get", session=None, me=me)["data"] == by_ids
    assert refusal(taobao.call("taobao.tbk.coupon.get", item_id=known["num_iid"])) == (
        40,
        "isv.missing-parameter:activity_id",
    )


def test_time_is_the_real_clock_whatever_the_market_says(taobao, simulator):
    simulator.set_now(FAR_PAST)
    shown = datetime.strptime(taobao.call(TIME)["time"] + " +0800", "%Y-%m-%d %H:%M:%S %z")
    assert abs(shown - datetime.now(UTC)) < timedelta(seconds=5)


def test_session_is_refused_once_it_expired_or_was_revoked(taobao, simulator, own_row):
    shop = taobao.account["shops"][0]["shop"]
    read = {"fields": "num_iid", "num_iid": own_row["num_iid"]}
    simulator.taobao.expire_session(shop)
    assert refusal(taobao.call(ITEM, **read)) == (27, "session-expired")
    simulator.taobao.revoke_session(shop)
    assert refusal(taobao.call(ITEM, **read)) == (27, "invalid-sessionkey")


def test_security_level_may_lapse_before_the_session(taobao, simulator, own_row):
    simulator.taobao.set_levels(taobao.account["shops"][0]["shop"], r2=0)
    assert refusal(taobao.call("taobao.trades.sold.get", fields="tid")) == (27, "session-expired")
    assert "item" in taobao.call(ITEM, fields="num_iid", num_iid=own_row["num_iid"])


def test_session_of_another_application_is_refused(taobao):
    other = taobao.account["apps"][1]
    answer = taobao.call(ITEMS, app_key=other["app_key"], secret=other["app_secret"], fields="num_iid", num_iids="1")
    assert refusal(answer) == (27, "session-not-exist")


def test_method_outside_the_permission_package_is_refused(taobao, simulator):
    simulator.taobao.refuse_method(ITEMS, sub_code="isv.permission-api-package-empty")
    read = {"fields": "num_iid", "num_iids": "1"}
    assert refusal(taobao.call(ITEMS, **read)) == (11, "isv.permission-api-package-empty")
    simulator.taobao.allow_method(ITEMS)
    assert "code" not in taobao.call(ITEMS, **read)


def test_quota_per_second_names_the_wait(taobao, simulator):
    simulator.taobao.set_quota(calls_per_second=2)
    answers = [taobao.call(TIME) for _ in range(4)]
    assert ["code" in answer for answer in answers] == [False, False, True, True]
    assert refusal(answers[-1]) == (7, "accesscontrol.limited-by-app-api-access-count")
    assert answers[-1]["sub_msg"] == "This ban will last for 1 more seconds"


def test_quota_per_day_lasts_until_midnight_in_china(taobao, simulator):
    simulator.taobao.set_quota(calls_per_day=1)
    taobao.call(TIME)
    answer = taobao.call(TIME)
    assert answer["sub_code"] == "accesscontrol.limited-by-app-access-count"
    china = datetime.now(UTC) + timedelta(hours=8)
    midnight = china.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    (wait,) = re.findall(r"^This ban will last for (\d+) more seconds$", answer["sub_msg"])
    left = int(wait)
    assert abs(left - (midnight - china).total_seconds()) < 5 or left > 86_390


def test_quota_of_one_method_leaves_the_others_alone(taobao, simulator):
    simulator.taobao.set_quota(methods={TIME: 1})
    assert "time" in taobao.call(TIME)
    assert taobao.call(TIME)["sub_code"] == "accesscontrol.limited-by-api-access-count"
    assert "code" not in taobao.call(ITEMS, fields="num_iid", num_iids="1")


def test_ledger_holds_every_call_and_no_secret(taobao, simulator, own_row):
    taobao.call(ITEMS, fields="num_iid", num_iids=f"{own_row['num_iid']},404")
    taobao.call(ITEM, fields="num_iid", num_iid="404")
    first, second = simulator.ledger()
    assert (first["method"], first["code"], first["shop"]) == (ITEMS, 0, own_row["shop"])
    assert first["item_ids"] == [str(own_row["num_iid"]), "404"]
    assert (second["code"], second["sub_code"]) == (15, "isv.item-not-exist:invalid-numIid-or-iid")
    assert simulator.ledger(since=first["number"]) == [second]
    text = requests.get(f"{simulator.base_url}/_simulator/ledger", timeout=10).text
    assert taobao.session not in text
    assert taobao.account["app_secret"] not in text
    assert '"sign"' not in text


def test_connection_is_kept_between_calls(taobao):
    assert taobao.send(TIME).headers["Connection"] == "keep-alive"


def test_path_of_no_platform_is_not_found(simulator):
    assert requests.get(f"{simulator.base_url}/nowhere", timeout=10).status_code == 404
