"""The order and form of the calls, against answers written out in the test."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from integrations.connectors.base import InvalidSetting, ListingRef, ReadOutcome
from integrations.connectors.errors import Fatal, Reauthorise, Retry, Review, Wait
from integrations.connectors.http import HttpClient
from integrations.connectors.taobao import TaobaoConnector, TaobaoCredentials
from integrations.connectors.taobao.signing import signed
from tests.integrations.connectors.discovery import discovered
from tests.integrations.connectors.raw_server import RawServer, answer, answer_json

pytestmark = pytest.mark.pure

NOW = datetime(2025, 6, 1, 4, 0, tzinfo=UTC)
SECRET = "5ec4e7"
SESSION = "6200e1"
CREDENTIALS = TaobaoCredentials(app_key="12345678", app_secret=SECRET, access_token=SESSION)


def refused(code, sub_code="", sub_msg="", request_id="req-9"):
    error = {"code": code, "msg": "Refused", "sub_code": sub_code, "sub_msg": sub_msg, "request_id": request_id}
    return answer_json({"error_response": {name: value for name, value in error.items() if value}})


def items_answer(*items):
    body = {"items": {"item": list(items)}} if items else {}
    return answer_json({"items_seller_list_get_response": body | {"request_id": "r"}})


def item(num_iid, **fields):
    return {"num_iid": num_iid, "title": "demo", "price": "9.00", "num": 4, "approve_status": "onsale"} | fields


def skus_answer(*skus):
    return answer_json({"item_skus_get_response": {"skus": {"sku": list(skus)}, "request_id": "r"}})


def connector(server, **credentials):
    settings = {"app_key": "12345678", "app_secret": SECRET, "access_token": SESSION} | credentials
    return TaobaoConnector(TaobaoCredentials.from_settings(settings), base_url=server.url)


def outcomes(readings):
    return [(reading.listing_id, reading.outcome.value, reading.cause) for reading in readings]


# --- Calls ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign_method", ["md5", "hmac", "hmac-sha256"])
def test_a_call_is_a_signed_form_with_a_gmt_8_timestamp(sign_method):
    with RawServer(items_answer(item(5))) as server:
        connector(server, sign_method=sign_method).read_listings([ListingRef(1, "5")], now=NOW)
    assert server.heads[0].startswith("POST /router/rest HTTP/1.1")
    form = server.forms[0]
    assert form["timestamp"] == "2025-06-01 12:00:00"
    assert (form["format"], form["v"], form["sign_method"]) == ("json", "2.0", sign_method)
    assert (form["method"], form["num_iids"], form["session"]) == ("taobao.items.seller.list.get", "5", SESSION)
    assert form == signed(form, SECRET)


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
def test_the_timestamp_does_not_depend_on_the_host(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with RawServer(items_answer(item(5))) as server:
            connector(server).read_listings([ListingRef(1, "5")], now=NOW)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert server.forms[0]["timestamp"] == "2025-06-01 12:00:00"


def test_an_override_of_the_address_serves_the_gateway_and_the_authorisation():
    found = TaobaoConnector(CREDENTIALS, base_url="http://127.0.0.1:8900/")
    assert found.authorise_url(redirect_uri="x", state="y").startswith("http://127.0.0.1:8900/authorize?")
    assert TaobaoConnector(CREDENTIALS).auth_base_url == "https://oauth.taobao.com"
    apart = TaobaoConnector(CREDENTIALS, base_url="http://127.0.0.1:1", auth_base_url="http://127.0.0.1:2")
    assert (apart.base_url, apart.auth_base_url) == ("http://127.0.0.1:1", "http://127.0.0.1:2")


# --- Reading --------------------------------------------------------------------------------------------------------


def test_own_items_and_variants_are_read_in_one_call_in_the_order_asked():
    with_skus = item(5, skus={"sku": [{"sku_id": 51, "price": "7.00", "quantity": 2}]})
    refs = [ListingRef(1, "5", "51"), ListingRef(2, "6"), ListingRef(3, "5"), ListingRef(4, "404")]
    with RawServer(items_answer(item(6), with_skus)) as server:
        readings = connector(server).read_listings(refs, now=NOW)
    assert [form["num_iids"] for form in server.forms] == ["5,6,404"]
    assert outcomes(readings) == [(1, "read", ""), (2, "read", ""), (3, "read", ""), (4, "missing", "unknown-listing")]
    assert [reading.facts.stock for reading in readings[:3]] == [2, 4, 4]


def test_the_same_listing_asked_twice_is_answered_twice():
    with RawServer(items_answer(item(5))) as server:
        readings = connector(server).read_listings(
            [ListingRef(1, "5"), ListingRef(2, "5"), ListingRef(1, "5")], now=NOW
        )
    assert [reading.listing_id for reading in readings] == [1, 2, 1]


def test_variants_left_out_of_an_item_are_fetched_apart():
    refs = [ListingRef(1, "5", "51"), ListingRef(2, "5", "52"), ListingRef(3, "6")]
    sku = {"num_iid": 5, "sku_id": 51, "price": "7.00", "quantity": 0, "status": "normal"}
    with RawServer(items_answer(item(5), item(6)), skus_answer(sku)) as server:
        readings = connector(server).read_listings(refs, now=NOW)
    assert [(form["method"], form["num_iids"]) for form in server.forms] == [
        ("taobao.items.seller.list.get", "5,6"),
        ("taobao.item.skus.get", "5"),
    ]
    assert outcomes(readings) == [(1, "read", ""), (2, "missing", "unknown-variant"), (3, "read", "")]
    assert readings[0].facts.shelf_state == "sold_out"


def test_an_id_that_the_platform_would_refuse_is_not_sent():
    refs = [ListingRef(1, "5,6"), ListingRef(2, ""), ListingRef(3, "5", "x"), ListingRef(4, "7"), ListingRef(5, "０")]
    with RawServer(items_answer(item(7))) as server:
        readings = connector(server).read_listings(refs, now=NOW)
        assert connector(server).read_listings(refs[:3], now=NOW)[0].outcome is ReadOutcome.REFUSED
    assert [form["num_iids"] for form in server.forms] == ["7"]
    bad = "bad-listing-id"
    assert outcomes(readings) == [
        (1, "refused", bad),
        (2, "refused", bad),
        (3, "refused", bad),
        (4, "read", ""),
        (5, "refused", bad),
    ]


def test_one_refused_listing_does_not_cost_the_others_their_reading():
    def by_ids(connection):
        asked = server.forms[-1]["num_iids"].split(",")
        if "404" in asked:
            refused(15, "isv.item-not-exist:invalid-numIid-or-iid")(connection)
        elif "403" in asked:
            refused(15, "isv.invalid-permission:get-item")(connection)
        else:
            items_answer(*[item(int(item_id)) for item_id in asked])(connection)

    refs = [ListingRef(number, item_id) for number, item_id in enumerate(["1", "404", "2", "3", "403", "4"])]
    with RawServer(by_ids) as server:
        readings = connector(server).read_listings(refs, now=NOW)
    assert [cause for _, _, cause in outcomes(readings)] == ["", "unknown-listing", "", "", "foreign-listing", ""]
    assert [outcome for _, outcome, _ in outcomes(readings)] == ["read", "missing", "read", "read", "refused", "read"]
    assert len(server.forms) < 2 * len(refs)


def test_competitors_are_read_without_the_session_of_the_shop():
    found = {"num_iid": 5, "title": "theirs", "reserve_price": "20.00", "zk_final_price": "15.00"}
    body = {"results": {"n_tbk_item": [found]}, "request_id": "r"}
    refs = [ListingRef(1, "5", is_own=False), ListingRef(2, "6", is_own=False), ListingRef(3, "5", "51", is_own=False)]
    with RawServer(answer_json({"tbk_item_info_get_response": body})) as server:
        readings = connector(server).read_listings(refs, now=NOW)
    assert outcomes(readings) == [
        (1, "read", ""),
        (2, "missing", "unknown-listing"),
        (3, "refused", "no-variants-of-others"),
    ]
    assert (readings[0].facts.stock, readings[0].facts.shelf_state) == (None, "unknown")
    assert "session" not in server.forms[0]
    assert server.forms[0]["num_iids"] == "5,6"


def test_own_and_competitors_in_one_batch_are_two_calls():
    def by_method(connection):
        if server.forms[-1]["method"] == "taobao.tbk.item.info.get":
            answer_json({"tbk_item_info_get_response": {"request_id": "r"}})(connection)
        else:
            items_answer(item(5))(connection)

    with RawServer(by_method) as server:
        readings = connector(server).read_listings([ListingRef(1, "5", is_own=False), ListingRef(2, "5")], now=NOW)
    assert outcomes(readings) == [(1, "missing", "unknown-listing"), (2, "read", "")]


def test_without_an_access_token_nothing_is_asked():
    with RawServer(items_answer()) as server, pytest.raises(Reauthorise) as caught:
        connector(server, access_token="").read_listings([ListingRef(1, "5")], now=NOW)
    assert caught.value.cause == "session-invalid"
    assert server.forms == []


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(answer_json({}), id="empty object"),
        pytest.param(answer_json(None), id="null"),
        pytest.param(answer_json([]), id="list"),
        pytest.param(answer_json({"items_onsale_get_response": {}}), id="answer to another question"),
        pytest.param(answer_json({"items_seller_list_get_response": None}), id="null under the root"),
        pytest.param(answer_json({"items_seller_list_get_response": {}}), id="nothing under the root"),
        pytest.param(answer_json({"items_seller_list_get_response": {"items": None}}), id="null list"),
        pytest.param(answer_json({"error_response": "no"}), id="error of another shape"),
    ],
)
def test_half_answers_are_tried_again_and_nothing_is_invented(handler):
    with RawServer(handler) as server, pytest.raises(Retry) as caught:
        connector(server).read_listings([ListingRef(1, "5")], now=NOW)
    assert caught.value.cause == "half-answer"


def test_secrets_quoted_by_the_platform_do_not_reach_the_error():
    quoting = refused(27, f"bad {SESSION}", f"session {SESSION} of {SECRET}", SESSION)
    with RawServer(quoting) as server, pytest.raises(Reauthorise) as caught:
        connector(server).read_listings([ListingRef(1, "5")], now=NOW)
    told = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert SESSION not in told
    assert SECRET not in told
    assert "session *** of ***" in told


def test_a_wait_is_counted_from_now():
    ban = "This ban will last for 31 more seconds"
    with (
        RawServer(refused(7, "accesscontrol.limited-by-api-access-count", ban)) as server,
        pytest.raises(Wait) as caught,
    ):
        connector(server).read_listings([ListingRef(1, "5")], now=NOW)
    assert caught.value.retry_at == NOW + timedelta(seconds=31)


# --- The clock ------------------------------------------------------------------------------------------------------


def time_answer(text):
    return answer_json({"time_get_response": {"time": text, "request_id": "r"}})


@pytest.mark.parametrize("code", [30, 31])
def test_a_refused_timestamp_is_corrected_by_the_clock_of_the_platform(code):
    handlers = [refused(code), time_answer("2025-06-01 13:30:00"), items_answer(item(5))]
    with RawServer(*handlers) as server:
        found = connector(server)
        assert found.read_listings([ListingRef(1, "5")], now=NOW)[0].outcome is ReadOutcome.READ
        found.read_listings([ListingRef(1, "5")], now=NOW + timedelta(minutes=1))
    assert [form["timestamp"][11:] for form in server.forms] == ["12:00:00", "12:00:00", "13:30:00", "13:31:00"]


def test_a_timestamp_refused_again_is_fatal():
    with RawServer(refused(31), time_answer("2025-06-01 13:30:00"), refused(31)) as server:
        with pytest.raises(Fatal) as caught:
            connector(server).read_listings([ListingRef(1, "5")], now=NOW)
        assert len(server.forms) == 3
    assert caught.value.cause == "clock"


def test_where_asking_for_the_time_is_refused_too_the_date_of_the_answer_serves():
    def refuse(connection):
        error = {"error_response": {"code": 31, "msg": "Invalid Timestamp"}}
        answer(orjson.dumps(error), Date="Sun, 01 Jun 2025 05:30:00 GMT")(connection)

    with RawServer(refuse, refuse, items_answer(item(5))) as server:
        assert connector(server).read_listings([ListingRef(1, "5")], now=NOW)[0].outcome is ReadOutcome.READ
    assert server.forms[-1]["timestamp"] == "2025-06-01 13:30:00"


@pytest.mark.parametrize("date", [{}, {"Date": "soon"}])
def test_without_any_time_of_the_platform_the_clock_is_fatal(date):
    body = orjson.dumps({"error_response": {"code": 31, "msg": "Invalid Timestamp"}})
    with RawServer(answer(body, **date)) as server, pytest.raises(Fatal) as caught:
        connector(server).read_listings([ListingRef(1, "5")], now=NOW)
    assert caught.value.cause == "clock"


def test_every_call_takes_a_slot():
    slots = []
    with RawServer(refused(31), time_answer("2025-06-01 13:30:00"), items_answer(item(5))) as server:
        http = HttpClient(before_call=lambda: slots.append(1))
        TaobaoConnector(CREDENTIALS, base_url=server.url, http=http).read_listings([ListingRef(1, "5")], now=NOW)
    assert len(slots) == 3


# --- Discovery ------------------------------------------------------------------------------------------------------


class Shop:
    """A shop of so many items on sale, a few per second of change time; deep pages are refused."""

    server: RawServer

    def __init__(self, count, per_second=7, total=True):
        start = datetime(2025, 1, 1)  # noqa: DTZ001  # shop time, written without a zone
        self.items = [(number, start + timedelta(seconds=number // per_second)) for number in range(count, 0, -1)]
        self.total = total
        self.stocked = [1, count + 1]

    def __call__(self, connection):
        form = self.server.forms[-1]
        match form["method"]:
            case "taobao.items.onsale.get":
                until = datetime.fromisoformat(form.get("end_modified", "2099-01-01"))
                self.page(connection, form, [row for row in self.items if row[1] <= until], "items_onsale_get_response")
            case "taobao.items.inventory.get":
                rows = [(number, datetime(2025, 1, 1)) for number in self.stocked]  # noqa: DTZ001
                rows = rows if form["banner"] == "for_shelved" else []
                self.page(connection, form, rows, "items_inventory_get_response")
            case _:
                items_answer(*[item(int(item_id)) for item_id in form["num_iids"].split(",")])(connection)

    def page(self, connection, form, rows, root):
        page_no, size = int(form["page_no"]), int(form["page_size"])
        if page_no * size > 20_000:
            refused(41, "isv.invalid-parameter:gain-number-too-large")(connection)
            return
        found = rows[(page_no - 1) * size : page_no * size]
        body: dict[str, Any] = {"request_id": "r"} | ({"total_results": len(rows)} if self.total else {})
        if found:
            body["items"] = {"item": [{"num_iid": number, "modified": str(modified)} for number, modified in found]}
        answer_json({root: body})(connection)


@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 400])
def test_every_listing_of_a_shop_is_discovered_once(count, total):
    shop = Shop(count, total=total)
    with RawServer(shop) as server:
        shop.server = server
        found = [listing.item_id for listing in discovered(connector(server), NOW)]
    assert sorted(map(int, found)) == list(range(1, count + 2))


def test_a_shop_too_large_for_paging_is_listed_in_slices_of_time():
    shop = Shop(20_450)
    with RawServer(shop) as server:
        shop.server = server
        found = [listing.item_id for listing in discovered(connector(server), NOW)]
    assert len(found) == len(set(found)) == 20_451


def test_more_items_of_one_second_than_pages_allow_are_told_not_lost():
    shop = Shop(20_450, per_second=50_000)
    with RawServer(shop) as server:
        shop.server = server
        with pytest.raises(Fatal) as caught:
            list(discovered(connector(server), NOW))
    assert caught.value.cause == "paging-too-deep"


def test_an_empty_page_in_the_middle_is_a_half_answer():
    empty = answer_json({"items_onsale_get_response": {"total_results": 500, "request_id": "r"}})
    with RawServer(empty) as server, pytest.raises(Retry) as caught:
        list(discovered(connector(server), NOW))
    assert caught.value.cause == "half-answer"


# --- Authorisation --------------------------------------------------------------------------------------------------


def test_the_address_for_a_person_names_the_app_and_the_way_back():
    url = TaobaoConnector(CREDENTIALS).authorise_url(redirect_uri="https://shop.example/back?x=1", state="a&b")
    parts = urlsplit(url)
    assert (parts.hostname, parts.path) == ("oauth.taobao.com", "/authorize")
    assert parse_qs(parts.query) == {
        "response_type": ["code"],
        "client_id": ["12345678"],
        "redirect_uri": ["https://shop.example/back?x=1"],
        "state": ["a&b"],
        "view": ["web"],
    }
    assert SECRET not in url


TOKENS = {"access_token": "new", "refresh_token": "again", "expires_in": 86400, "re_expires_in": 3600}


def test_a_code_is_exchanged_by_form_body_alone():
    with RawServer(answer_json(TOKENS)) as server:
        tokens = connector(server).exchange_code(code="c-1", redirect_uri="http://127.0.0.1:8000/back", now=NOW)
    assert server.heads[0].startswith("POST /token HTTP/1.1")
    assert server.forms == [
        {
            "grant_type": "authorization_code",
            "code": "c-1",
            "redirect_uri": "http://127.0.0.1:8000/back",
            "client_id": "12345678",
            "client_secret": SECRET,
        }
    ]
    assert (tokens.access_token, tokens.expires_at) == ("new", NOW + timedelta(days=1))


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "401 Unauthorized"])
def test_a_used_code_asks_for_authorisation_again_and_is_not_told(status):
    body = {"error": "invalid_client", "error_description": "code c-123 is used"}
    with RawServer(answer_json(body, status)) as server, pytest.raises(Reauthorise) as caught:
        connector(server).exchange_code(code="c-123", redirect_uri="http://127.0.0.1/", now=NOW)
    assert caught.value.cause == "authorisation-refused"
    assert "c-123" not in str(caught.value)


def test_an_answer_without_tokens_is_a_half_answer():
    with RawServer(answer_json({"token_type": "Bearer"})) as server, pytest.raises(Retry) as caught:
        connector(server).exchange_code(code="c", redirect_uri="http://127.0.0.1/", now=NOW)
    assert caught.value.cause == "half-answer"


def test_only_service_market_apps_refresh():
    with RawServer(answer_json(TOKENS)) as server:
        service = connector(server, app_type="service")
        assert service.can_refresh
        assert service.refresh(refresh_token="old", now=NOW).refresh_token == "again"
        assert server.forms[0]["grant_type"] == "refresh_token"
        merchant = connector(server, app_type="merchant")
        assert not merchant.can_refresh
        with pytest.raises(Fatal) as caught:
            merchant.refresh(refresh_token="old", now=NOW)
    assert caught.value.cause == "unsupported"
    assert len(server.forms) == 1


def test_a_token_server_that_answers_in_html_is_tried_again():
    with RawServer(answer(b"<html>", "403 Forbidden")) as server, pytest.raises(Retry):
        connector(server).exchange_code(code="c", redirect_uri="http://127.0.0.1/", now=NOW)


# --- Settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"app_key": ""}, "app_key"),
        ({"app_key": "12 34"}, "app_key"),
        ({"app_secret": "  "}, "app_secret"),
        ({"app_type": "mobile"}, "app_type"),
        ({"sign_method": "sha1"}, "sign_method"),
        ({"shop": "x"}, "shop"),
    ],
)
def test_a_setting_that_cannot_work_is_named_without_its_value(changes, field):
    with pytest.raises(InvalidSetting) as caught:
        TaobaoCredentials.from_settings({"app_key": "1", "app_secret": SECRET} | changes)
    assert caught.value.field == field
    assert SECRET not in str(caught.value)


def test_settings_left_empty_take_their_defaults():
    found = TaobaoCredentials.from_settings({"app_key": " 1 ", "app_secret": SECRET, "sign_method": "", "app_type": ""})
    assert (found.app_key, found.sign_method, found.app_type) == ("1", "hmac-sha256", "merchant")
    assert SECRET not in repr(found)


def test_a_refusal_about_the_channel_stops_the_batch():
    with RawServer(refused(11, "isv.permission-api-package-empty")) as server:
        with pytest.raises(Review) as caught:
            connector(server).read_listings([ListingRef(1, "5"), ListingRef(2, "6")], now=NOW)
        assert len(server.forms) == 1
    assert (caught.value.scope, caught.value.cause, caught.value.request_id) == ("channel", "permission", "req-9")
