"""What the platform's documents print, word for word: answers as we read them, and as the simulator shapes them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
import requests

from catalog.facts import ShelfState
from integrations.connectors.base import ListingRef
from integrations.connectors.errors import Fatal
from integrations.connectors.taobao import TaobaoConnector, TaobaoCredentials
from integrations.connectors.taobao.signing import signature
from tests.integrations.connectors.raw_server import RawServer, answer, answer_json
from tests.integrations.simulator.conftest import china_time

pytestmark = pytest.mark.pure

NOW = datetime(2025, 6, 1, 4, 0, tzinfo=UTC)
TOKEN = rb"""
{"access_token":"6200e1...", "token_type":"Bearer", "expires_in":31536000,
 "refresh_token":"6201a2...", "re_expires_in":0,
 "r1_expires_in":31536000, "r2_expires_in":259200, "w1_expires_in":31536000, "w2_expires_in":1800,
 "taobao_user_id":"706388888", "taobao_user_nick":"%E5%95%86%E5%AE%B6", "sub_taobao_user_id":"...", "sub_taobao_user_nick":"..."}
"""  # noqa: E501
TOKEN_REFUSAL = b'{"error":"invalid_client","error_description":"..."}'
ITEM = b"""
{"item_seller_get_response":{"item":{"num_iid":616000000001,"title":"demo","price":"99.00","num":37,"with_hold_quantity":2,
 "sub_stock":2,"approve_status":"onsale","modified":"2025-06-01 10:00:03","outer_id":"SPU-1",
 "skus":{"sku":[{"sku_id":4400000000001,"properties":"1627207:28341","quantity":20,"with_hold_quantity":2,"price":"99.00","outer_id":"SKU-1","status":"normal","modified":"2025-06-01 10:00:03"},
                {"sku_id":4400000000002,"properties":"1627207:3232483","quantity":17,"with_hold_quantity":0,"price":"109.00","outer_id":"SKU-2","status":"normal","modified":"2025-05-30 09:00:00"}]}},
 "request_id":"16abc0demo"}}
"""  # noqa: E501
ERROR = b"""
{"error_response":{"code":15,"msg":"Remote service error","sub_code":"isv.invalid-parameter","sub_msg":"...","request_id":"q6cjuaz74qxp"}}
"""  # noqa: E501
READ = {
    "method": "taobao.item.seller.get",
    "app_key": "12345678",
    "session": "test",
    "timestamp": "2016-01-01 12:00:00",
    "format": "json",
    "v": "2.0",
    "fields": "num_iid,title,nick,price,num",
    "num_iid": "11223344",
}
WRITE = {
    "method": "taobao.item.quantity.update",
    "app_key": "12345678",
    "session": "test",
    "timestamp": "2016-01-01 12:00:00",
    "format": "json",
    "v": "2.0",
    "num_iid": "11223344",
    "sku_id": "1230005",
    "quantity": "7",
    "type": "1",
}


def connector(server):
    settings = {"app_key": "12345678", "app_secret": "helloworld", "access_token": "test"}
    return TaobaoConnector(TaobaoCredentials.from_settings(settings), base_url=server.url)


def test_the_token_answer():
    with RawServer(answer(TOKEN)) as server:
        tokens = connector(server).exchange_code(code="c", redirect_uri="http://127.0.0.1/", now=NOW)
    assert (tokens.access_token, tokens.refresh_token) == ("6200e1...", "")  # re_expires_in 0: cannot be refreshed
    assert tokens.expires_at == NOW + timedelta(days=365)
    assert {level: (end - NOW).total_seconds() for level, end in tokens.levels.items()} == {
        "r1": 31_536_000,
        "r2": 259_200,
        "w1": 31_536_000,
        "w2": 1_800,
    }
    assert (tokens.account_id, tokens.account_name) == ("706388888", "商家")


def test_the_token_answer_of_the_simulator_has_the_same_fields(simulator, connect_to, now):
    url = connect_to("tmall-nuanju").authorise_url(redirect_uri="http://127.0.0.1:8000/back", state="s")
    code = requests.get(url, allow_redirects=False, timeout=5).headers["Location"].split("code=")[1].split("&")[0]
    account = simulator.taobao.account
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": account["app_key"],
        "client_secret": account["app_secret"],
        "redirect_uri": "http://127.0.0.1:8000/back",
    }
    found = requests.post(f"{simulator.base_url}/token", data=form, timeout=5).json()
    printed = orjson.loads(TOKEN)
    of_employees = {"sub_taobao_user_id", "sub_taobao_user_nick"}
    assert printed.keys() - of_employees == found.keys()
    assert {name: type(value) for name, value in found.items()} == {name: type(printed[name]) for name in found}
    again = requests.post(f"{simulator.base_url}/token", data=form, timeout=5).json()
    assert again.keys() == orjson.loads(TOKEN_REFUSAL).keys()
    assert again["error"] == "invalid_client"


def test_an_item_with_its_variants():
    item = orjson.loads(ITEM)["item_seller_get_response"]["item"]
    body = {"items": {"item": [item]}, "request_id": "16abc0demo"}
    refs = [
        ListingRef(1, "616000000001", "4400000000001"),
        ListingRef(2, "616000000001", "4400000000002"),
        ListingRef(3, "616000000001"),
    ]
    with RawServer(answer_json({"items_seller_list_get_response": body})) as server:
        readings = connector(server).read_listings(refs, now=NOW)
    told = [(reading.facts.list_price, reading.facts.stock, reading.outer_id) for reading in readings]
    assert told == [(Decimal("99.00"), 20, "SKU-1"), (Decimal("109.00"), 17, "SKU-2"), (Decimal("99.00"), 37, "SPU-1")]
    assert {(reading.title, reading.facts.shelf_state) for reading in readings} == {("demo", ShelfState.ON_SHELF)}


def test_an_item_of_the_simulator_has_the_same_fields(simulator, taobao):
    printed = orjson.loads(ITEM)["item_seller_get_response"]["item"]
    row = next(row for row in simulator.taobao.items(shop=simulator.taobao.shop()["shop"]) if row["sku_id"])
    fields = ",".join([name for name in printed if name != "skus"] + [f"sku.{n}" for n in printed["skus"]["sku"][0]])
    found = taobao.call("taobao.item.seller.get", fields=fields, num_iid=row["num_iid"])
    assert found.keys() == {"item", "request_id"}
    assert {name: type(value) for name, value in found["item"].items()} == {n: type(v) for n, v in printed.items()}
    of_variant = printed["skus"]["sku"][0]
    for sku in found["item"]["skus"]["sku"]:
        assert {name: type(value) for name, value in sku.items()} == {n: type(v) for n, v in of_variant.items()}


def test_an_error_answer():
    with RawServer(answer(ERROR)) as server, pytest.raises(Fatal) as caught:
        connector(server).read_listings([ListingRef(1, "5")], now=NOW)
    error = caught.value
    assert (error.cause, error.code, error.request_id) == ("bad-request", "15 isv.invalid-parameter", "q6cjuaz74qxp")


def test_an_error_answer_of_the_simulator_has_the_same_fields(simulator, taobao):
    simulator.taobao.fail_next(code=15, sub_code="isv.invalid-parameter", sub_msg="...")
    found = taobao.send("taobao.time.get").json()
    printed = orjson.loads(ERROR)
    assert found["error_response"].keys() == printed["error_response"].keys()
    printed["error_response"]["request_id"] = found["error_response"]["request_id"]
    assert found == printed


@pytest.mark.parametrize(
    ("printed", "sign_method", "sign"),
    [
        (READ, "md5", "66987CB115214E59E6EC978214934FB8"),
        (READ, "hmac", "D56D7858309C31B6251083A874D48273"),
        (READ, "hmac-sha256", "04DB15AD0774D5CFCE2C837DE43E3FCEA9011ED74F3038FB6AB5F3C4CEA119E8"),
        (WRITE, "hmac-sha256", "040BBDB6F19BC316A3B30E98B4907146A40ADCC2C9F41BE7827BF61661DD1FBB"),
    ],
)
def test_a_printed_request_is_signed_as_printed(printed, sign_method, sign):
    assert signature({**printed, "sign_method": sign_method}, "helloworld", sign_method) == sign


@pytest.mark.parametrize("sign_method", ["md5", "hmac", "hmac-sha256"])
@pytest.mark.parametrize("printed", [READ, WRITE], ids=["read", "write"])
def test_a_printed_request_is_taken_by_the_simulator(simulator, printed, sign_method):
    """With an application, a session, a time and ids of its own, signed by us: neither side knows the other's code."""
    account, shop = simulator.taobao.account, simulator.taobao.shop("taobao-shanye")
    row = next(row for row in simulator.taobao.items(shop=shop["shop"]) if row["sku_id"])
    form = printed | {
        "app_key": account["app_key"],
        "session": shop["session"],
        "timestamp": china_time(datetime.now(UTC)),
        "sign_method": sign_method,
        "num_iid": str(row["num_iid"]),
    }
    if "sku_id" in form:
        form["sku_id"] = str(row["sku_id"])
    form["sign"] = signature(form, account["app_secret"], sign_method)
    found = requests.post(simulator.taobao.gateway_url, data=form, timeout=5).json()
    root = printed["method"].removeprefix("taobao.").replace(".", "_") + "_response"
    assert found[root]["item"]["num_iid"] == row["num_iid"]
    if printed is WRITE:
        after = simulator.taobao.items(shop=shop["shop"])
        assert next(r["quantity"] for r in after if r["sku_id"] == row["sku_id"]) == 7


@pytest.mark.parametrize("printed", [READ, WRITE], ids=["read", "write"])
def test_a_printed_request_sent_today_is_refused_for_its_time(simulator, printed):
    form = printed | {"app_key": simulator.taobao.account["app_key"], "sign_method": "md5"}
    form["sign"] = signature(form, simulator.taobao.account["app_secret"], "md5")
    found = requests.post(simulator.taobao.gateway_url, data=form, timeout=5).json()
    assert found["error_response"]["code"] == 31
