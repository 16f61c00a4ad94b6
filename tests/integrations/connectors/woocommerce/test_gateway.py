"""How a shop is let know who calls, what its refusals mean for the next call, and lists that move."""

import base64
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from integrations.connectors.base import ListingRef, ReadOutcome, StockTarget
from integrations.connectors.errors import Fatal, Reauthorise, Retry, Review, Wait
from tests.integrations.connectors.discovery import discovered
from tests.integrations.connectors.raw_server import RawServer, answer, answer_json, raw

pytestmark = pytest.mark.pure

NEVER_IN_TIME = ("delay", "endless")  # faults
LIST = "GET products"
CURRENCY = "GET data/currencies/current"
ROW = {
    "id": 794,
    "type": "simple",
    "status": "publish",
    "manage_stock": True,
    "stock_quantity": 7,
    "stock_status": "instock",
    "price": "1.00",
    "regular_price": "1.00",
}


def read(connector, now, item_id="794", sku_id=""):
    return connector.read_listings([ListingRef(1, item_id, sku_id)], now=now)[0]


# --- Who calls ------------------------------------------------------------------------------------------------------


def test_over_plain_http_every_call_is_signed_with_a_nonce_of_its_own(connect, mug, calls, now):
    connector = connect()
    for _again in range(3):
        assert read(connector, now).outcome is ReadOutcome.READ
    assert calls() == [(LIST, 0)] * 3


def test_over_tls_the_keys_go_in_the_header(simulator, connect, tls, mug, now):
    assert read(connect(tls.url), now).facts.stock == 12
    [head] = tls.heads
    key = simulator.woocommerce.shop()
    pair = base64.b64encode(f"{key['consumer_key']}:{key['consumer_secret']}".encode()).decode()
    assert f"\r\nAuthorization: Basic {pair}" in head
    assert "oauth" not in head
    assert key["consumer_secret"] not in head


def test_a_server_that_takes_the_header_away_gets_the_keys_in_the_query(simulator, connect, tls, mug, calls, now):
    simulator.woocommerce.set(header_stripped=True)
    connector = connect(tls.url)
    for _again in range(2):
        assert read(connector, now).facts.stock == 12
    assert calls() == [(LIST, 401), (LIST, 0), (LIST, 0)]
    assert [("Authorization" in head, "consumer_secret=" in head) for head in tls.heads] == [
        (True, False),
        (False, True),
        (False, True),
    ]


def test_threads_that_find_out_together_are_all_let_in(simulator, connect, tls, mug, now):
    simulator.woocommerce.set(header_stripped=True, pretty_permalinks=False)
    connector = connect(tls.url)
    with ThreadPoolExecutor(8) as threads:
        readings = list(threads.map(lambda _number: read(connector, now), range(16)))
    assert [reading.outcome for reading in readings] == [ReadOutcome.READ] * 16


def test_keys_are_put_in_the_query_once_where_that_does_not_help(connect, tls, mug, calls, now):
    connector = connect(tls.url, app_key=f"ck_{'0' * 40}")
    for _again in range(3):
        with pytest.raises(Reauthorise) as caught:
            read(connector, now)
        assert caught.value.cause == "keys-not-taken"
    assert ["consumer_secret" in head for head in tls.heads] == [False, True, False, False]


@pytest.mark.parametrize("over_tls", [False, True])
@pytest.mark.parametrize(
    ("key", "changes", "cause"),
    [
        pytest.param({}, {"app_secret": f"cs_{'0' * 40}"}, {False: "bad-signature", True: "bad-secret"}, id="secret"),
        pytest.param({}, {"app_key": f"ck_{'0' * 40}"}, {False: "bad-app-key", True: "keys-not-taken"}, id="key"),
        pytest.param({"permissions": "write"}, {}, {False: "scope-missing", True: "scope-missing"}, id="cannot read"),
        pytest.param({"role": "customer"}, {}, {False: "role-too-weak", True: "role-too-weak"}, id="weak role"),
    ],
)
def test_keys_that_do_not_let_us_in_are_told_apart(simulator, connect, request, now, over_tls, key, changes, cause):
    address = request.getfixturevalue("tls").url if over_tls else ""
    added = simulator.woocommerce.add_key(**key)
    settings = {"app_key": added["consumer_key"], "app_secret": added["consumer_secret"]} | changes
    with pytest.raises(Reauthorise) as caught:
        connect(address, **settings).check_connection(now=now)
    assert caught.value.cause == cause[over_tls]
    assert settings["app_secret"] not in repr(caught.value) + str(caught.value)


def test_a_key_for_reading_reads_and_does_not_write(simulator, connect, mug, now):
    key = simulator.woocommerce.add_key(permissions="read")
    connector = connect(app_key=key["consumer_key"], app_secret=key["consumer_secret"])
    assert read(connector, now).outcome is ReadOutcome.READ
    with pytest.raises(Reauthorise) as caught:
        connector.push_stock([StockTarget(1, "794", "", 3)], key="p", now=now)
    assert caught.value.cause == "key-reads-only"


@pytest.mark.parametrize("over_tls", [False, True])
@pytest.mark.parametrize("said", ["", "Ce jeton n'a pas d'autorisation d'écriture."])
def test_the_test_of_the_connection_finds_a_key_that_cannot_write(simulator, connect, tls, mug, now, said, over_tls):
    key = simulator.woocommerce.add_key(permissions="read")
    refused = {"status": 401, "sub_code": "woocommerce_rest_authentication_error", "msg": said}
    if said:  # as a shop does in its own language
        simulator.woocommerce.fail_next(method="POST products/batch", times=0, **refused)
    connector = connect(tls.url if over_tls else "", app_key=key["consumer_key"], app_secret=key["consumer_secret"])
    with pytest.raises(Reauthorise) as caught:
        connector.check_connection(now=now)
    assert caught.value.cause == "key-reads-only"


def test_the_test_of_the_connection_changes_nothing(simulator, connect, mug, now):
    before = simulator.woocommerce.items("woo-yatai")
    assert connect().check_connection(now=now)
    assert simulator.woocommerce.items("woo-yatai") == before


def test_a_key_that_is_revoked_in_mid_run_asks_for_another(simulator, connect, tls, mug, now):
    connector = connect(tls.url)
    assert read(connector, now).outcome is ReadOutcome.READ
    simulator.woocommerce.revoke_key(connector.credentials.app_key)
    with pytest.raises(Reauthorise):
        read(connector, now)


@pytest.mark.parametrize("wrong", [timedelta(minutes=-30), timedelta(hours=7)])
def test_a_wrong_clock_is_put_right_by_the_date_of_the_answer(connect, mug, calls, now, wrong):
    connector = connect()
    for _again in range(2):
        assert read(connector, now + wrong).outcome is ReadOutcome.READ
    assert calls() == [(LIST, 401), (LIST, 0), (LIST, 0)]


def test_a_clock_that_cannot_be_put_right_is_told(connect, now):
    refused = answer(
        orjson.dumps({"code": "woocommerce_rest_authentication_error", "message": "Invalid timestamp."}),
        "401 Unauthorized",
        Date="Sun, 22 Nov 2026 04:00:00 GMT",
    )
    with RawServer(refused) as server, pytest.raises(Fatal) as caught:
        read(connect(server.url), now)
    assert caught.value.cause == "clock"
    assert len(server.heads) == 2


def test_a_nonce_that_was_used_is_replaced_by_a_new_one(connect, mug, calls, now, monkeypatch):
    nonces = iter(["a" * 32, "a" * 32, "b" * 32])
    monkeypatch.setattr("secrets.token_hex", lambda size: next(nonces))
    connector = connect()
    for _again in range(2):
        assert read(connector, now).outcome is ReadOutcome.READ
    assert calls() == [(LIST, 0), (LIST, 401), (LIST, 0)]


@pytest.mark.parametrize("home", ["http://shop.example", "http://shop.example:8088/", "http://shop.example/de"])
def test_a_shop_that_knows_itself_by_another_address_is_signed_for_under_that(
    simulator, connect, mug, calls, now, home
):
    simulator.woocommerce.set(home_url=home)
    connector = connect()
    for _again in range(2):
        assert read(connector, now).outcome is ReadOutcome.READ
    assert [call for call in calls() if call[0] == LIST] == [(LIST, 401), (LIST, 0), (LIST, 0)]


@pytest.mark.parametrize("over_tls", [False, True])
def test_without_permalinks_the_path_goes_in_the_query(simulator, connect, request, shirt, calls, now, over_tls):
    address = request.getfixturevalue("tls").url if over_tls else ""
    simulator.woocommerce.set(pretty_permalinks=False)
    connector = connect(address)
    for _again in range(2):
        assert read(connector, now, "22", "732").facts.stock == 5
    assert [code for _method, code in calls()].count(404) == 1
    [outcome] = connector.push_stock([StockTarget(1, "22", "732", 9)], key="p", now=now)
    assert (outcome.status, outcome.shown) == ("applied", 9)
    assert connector.check_connection(now=now)


def test_a_write_may_be_the_first_to_find_out_what_a_server_needs(simulator, connect, tls, mug, now):
    simulator.woocommerce.set(header_stripped=True, pretty_permalinks=False)
    [outcome] = connect(tls.url).push_stock([StockTarget(1, "794", "", 3)], key="p", now=now)
    assert (outcome.status, outcome.shown) == ("applied", 3)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(answer(b"<html>404 Not Found</html>", "404 Not Found"), id="a page"),
        pytest.param(answer_json({"code": "rest_no_route", "data": {"status": 404}}, "404 Not Found"), id="WordPress"),
    ],
)
def test_an_address_without_the_api_is_for_a_person(connect, now, page):
    with RawServer(page) as server, pytest.raises(Review) as caught:
        read(connect(server.url), now)
    assert (caught.value.scope, caught.value.cause) == ("channel", "no-api")
    paths = [urlsplit(head.split()[1]) for head in server.heads]
    assert [path.path for path in paths] == ["/wp-json/wc/v3/products", "/"]
    assert dict(parse_qsl(paths[1].query))["rest_route"] == "/wc/v3/products"


def test_the_connection_is_tested_with_the_calls_of_a_reader_and_a_batch_of_nothing(simulator, connect, calls, now):
    assert connect().check_connection(now=now) == simulator.woocommerce.shop()["name"]
    assert [method for method, _code in calls()] == [
        LIST,
        "GET orders",
        "GET coupons",
        CURRENCY,
        "POST products/batch",
        "GET ",
    ]


def test_a_shop_that_keeps_its_name_to_itself_is_called_by_its_host(connect, now):
    empty = answer(b"[]", X_WP_Total="0")
    currency = answer_json({"code": "EUR"})
    refused = answer_json({"code": "rest_forbidden"}, "401 Unauthorized")
    with RawServer(empty, empty, empty, currency, empty, refused) as server:
        assert connect(server.url).check_connection(now=now) == "127.0.0.1"


# --- Bad answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "expected", "cause"),
    [
        pytest.param({"kind": "html"}, Retry, "not-json", id="HTML"),
        pytest.param({"kind": "notice"}, Retry, "not-json", id="PHP notice before the JSON"),
        pytest.param({"status": 403, "body": "<html>Blocked</html>"}, Retry, "not-json", id="firewall"),
        pytest.param({"kind": "half"}, Retry, "not-json", id="cut short"),
        pytest.param({"kind": "half", "mode": "short_body"}, Retry, "connection", id="cut short on the way"),
        pytest.param({"kind": "big"}, Retry, "too-large", id="10 MB"),
        pytest.param({"kind": "endless"}, Retry, "timeout", id="endless"),
        pytest.param({"kind": "drop"}, Retry, "connection", id="hung up"),
        pytest.param({"kind": "delay", "seconds": 1.5}, Retry, "timeout", id="too slow"),
        pytest.param({"kind": "redirect"}, Fatal, "redirect", id="redirect"),
        pytest.param({"status": 429}, Wait, "quota", id="429"),
        pytest.param({"status": 503, "headers": {"Retry-After": "600"}}, Wait, "quota", id="maintenance"),
        pytest.param({"kind": "retry_after"}, Wait, "quota", id="hostile Retry-After"),
        pytest.param({"status": 503}, Retry, "server-error", id="503"),
        pytest.param({"status": 500}, Retry, "server-error", id="500 and a page"),
        pytest.param({"sub_code": "internal_server_error", "status": 500}, Retry, "server-error", id="500"),
        pytest.param({"status": 502}, Retry, "server-error", id="502"),
        pytest.param({"status": 504}, Retry, "server-error", id="504"),
        pytest.param({"sub_code": "rest_invalid_param", "status": 400}, Fatal, "bad-request", id="400"),
        pytest.param({"sub_code": "wordfence", "status": 403}, Review, "forbidden", id="403"),
    ],
)
def test_bad_answers_are_told_apart_and_the_next_read_is_good(simulator, connect, mug, now, fault, expected, cause):
    connector = connect(patience=1 if fault.get("kind") in NEVER_IN_TIME else 10)
    simulator.woocommerce.fail_next(method=LIST, **fault)
    with pytest.raises(expected) as caught:
        read(connector, now)
    assert caught.value.cause == cause
    for told in (str(caught.value), repr(caught.value), repr(caught.value.__cause__)):
        assert connector.credentials.app_secret not in told
    if isinstance(caught.value, Wait):
        assert timedelta(seconds=1) <= caught.value.retry_at - now <= timedelta(hours=1)
    simulator.clear_faults()
    assert read(connect(), now).outcome is ReadOutcome.READ


def test_a_wait_lasts_as_long_as_the_host_says(simulator, connect, mug, now):
    simulator.woocommerce.fail_next(method=LIST, status=429, headers={"Retry-After": "30"})
    with pytest.raises(Wait) as caught:
        read(connect(), now)
    assert caught.value.retry_at == now + timedelta(seconds=30)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_credentials_never_follow_a_redirect(connect, now, status):
    with RawServer(answer()) as elsewhere:
        moved = answer(b"", f"{status} Moved", Location=f"{elsewhere.url}/wp-json/wc/v3/products")
        with RawServer(moved) as server, pytest.raises(Fatal) as caught:
            read(connect(server.url), now)
    assert caught.value.cause == "redirect"
    assert elsewhere.heads == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param([ROW, {}], id="a row without its id"),
        pytest.param({"code": "x"}, id="an object"),
        pytest.param(None, id="null"),
        pytest.param([ROW, {**ROW, "id": 5}], id="another number than the header says"),
    ],
)
def test_half_an_answer_is_no_reading(connect, now, body):
    with RawServer(answer(orjson.dumps(body), X_WP_Total="1")) as server, pytest.raises(Retry) as caught:
        read(connect(server.url), now)
    assert caught.value.cause == "half-answer"


def test_a_shop_that_quotes_what_it_was_sent_is_masked_and_nothing_is_logged(connect, now, caplog):
    connector = connect()
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "urllib3")  # as in the settings
    key, secret = connector.credentials.app_key, connector.credentials.app_secret
    pair = base64.b64encode(f"{key}:{secret}".encode()).decode()
    quoting = answer_json({"code": secret, "message": f"{secret} {pair} {key}"}, "400 Bad Request")
    with RawServer(quoting) as server, pytest.raises(Fatal) as caught:
        read(connect(server.url), now)
    told = f"{caught.value} {caught.value.code} {caught.value.detail} {caplog.text}"
    assert secret not in told
    assert pair not in told


# --- Lists ----------------------------------------------------------------------------------------------------------


def page(*ids, total):
    return answer(orjson.dumps([ROW | {"id": number} for number in ids]), X_WP_Total=str(total))


def found_in(server, connect, now):
    return [listing.item_id for listing in discovered(connect(server.url), now)]


def offsets(server):
    return [int(dict(parse_qsl(urlsplit(head.split()[1]).query))["offset"]) for head in server.heads]


def test_each_page_begins_with_the_last_row_of_the_page_before(connect, now):
    with RawServer(page(*range(1, 101), total=150), page(*range(100, 151), total=150)) as server:
        assert found_in(server, connect, now) == [str(number) for number in range(1, 151)]
    assert offsets(server) == [0, 99]


def test_what_left_the_list_meanwhile_makes_us_step_back(connect, now):
    first = page(*range(1, 101), total=150)
    # 50 and 51 are gone: what was the 101st row is the 99th now.
    moved, again = page(*range(102, 151), total=148), page(*range(1, 50), *range(52, 103), total=148)
    rest = page(*range(102, 151), total=148)
    with RawServer(first, moved, again, rest) as server:
        assert found_in(server, connect, now) == [str(number) for number in range(1, 151)]
    assert offsets(server) == [0, 99, 0, 99]


def test_a_list_that_shrinks_to_what_was_read_ends(connect, now):
    first, gone = page(*range(1, 101), total=150), answer(b"[]", X_WP_Total="40")
    with RawServer(first, gone, page(*range(1, 41), total=40)) as server:
        assert len(found_in(server, connect, now)) == 100


@pytest.mark.parametrize(
    ("handlers", "calls_made"),
    [
        pytest.param([answer(b"[]", X_WP_Total="3")], 1, id="nothing of three rows"),
        pytest.param([page(*range(1, 101), total=500), answer(b"[]", X_WP_Total="500")], 3, id="nothing of the rest"),
    ],
)
def test_a_list_that_does_not_hold_together_is_half_an_answer(connect, now, handlers, calls_made):
    with RawServer(*handlers) as server, pytest.raises(Retry) as caught:
        found_in(server, connect, now)
    assert caught.value.cause == "half-answer"
    assert len(server.heads) == calls_made


def test_a_list_that_never_holds_still_is_given_up(connect, now):
    numbers = iter(range(1, 100_000))

    def other_rows(connection):
        page(*(next(numbers) for _row in range(100)), total=10_000)(connection)

    with RawServer(other_rows) as server, pytest.raises(Retry) as caught:
        found_in(server, connect, now)
    assert caught.value.cause == "half-answer"
    assert len(server.heads) < 30


def test_a_list_without_totals_ends_with_a_page_that_is_not_full(connect, now):
    rows = [ROW | {"id": number} for number in range(1, 151)]
    with RawServer(answer_json(rows[:100]), answer_json(rows[99:])) as server:
        assert len(found_in(server, connect, now)) == 150


def test_raw_bytes_that_are_no_http_are_a_lost_connection(connect, now):
    with RawServer(raw(b"garbage\r\n\r\n")) as server, pytest.raises(Retry) as caught:
        read(connect(server.url), now)
    assert caught.value.cause == "connection"
