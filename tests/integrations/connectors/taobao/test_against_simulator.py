"""The connector over HTTP against the strict simulator: the protocol as a whole."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import requests

from catalog.facts import ShelfState
from integrations.connectors.base import ListingRef, ReadOutcome
from integrations.connectors.errors import Fatal, Reauthorise, Retry, Review, Wait
from integrations.connectors.http import HttpClient, Limits
from integrations.connectors.taobao import TaobaoConnector, TaobaoCredentials
from tests.integrations.connectors.discovery import discovered

pytestmark = pytest.mark.pure

NEVER_IN_TIME = ("delay", "endless")  # faults
READ = "taobao.items.seller.list.get"
SERVICE_MARKET = "service-market"


@pytest.fixture
def now():
    return datetime.now(UTC)


@pytest.fixture
def connect(simulator):
    """A connector of the first own shop, its patience in seconds; other keywords replace its credentials."""
    account = simulator.taobao.account

    def build(patience=10, **changes):
        http = HttpClient(limits=Limits(connect_seconds=5, read_seconds=patience, total_seconds=patience + 1))
        settings = {
            "app_key": account["app_key"],
            "app_secret": account["app_secret"],
            "access_token": simulator.taobao.shop()["session"],
        }
        credentials = TaobaoCredentials.from_settings(settings | changes)
        return TaobaoConnector(credentials, base_url=simulator.base_url, http=http)

    return build


@pytest.fixture
def own(simulator):
    """The true rows of the first own shop."""
    return simulator.taobao.items(shop=simulator.taobao.shop()["shop"])


@pytest.fixture
def rivals(simulator):
    return [row for row in simulator.taobao.items() if not row["own"]]


def ref(row, listing_id=1, is_own=True):
    sku_id = str(row["sku_id"] or "") if is_own else ""
    return ListingRef(listing_id, str(row["num_iid"]), sku_id, is_own)


@pytest.mark.parametrize("sign_method", ["md5", "hmac", "hmac-sha256"])
def test_every_own_listing_is_read_as_it_is(connect, own, now, sign_method):
    connector = connect(sign_method=sign_method)
    refs = [ref(row, number) for number, row in enumerate(own)]
    readings = {
        reading.listing_id: reading
        for batch in connector.read_batches(refs)
        for reading in connector.read_listings(batch, now=now)
    }
    assert len(readings) == len(own)
    for number, row in enumerate(own):
        reading = readings[number]
        assert reading.outcome is ReadOutcome.READ
        assert (reading.facts.list_price, reading.facts.stock) == (Decimal(row["price"]), row["quantity"])
        assert reading.facts.live_price is None
        assert (reading.title, reading.outer_id) == (row["title"], row["outer_id"])
        expected = {"instock": ShelfState.OFF_SHELF, "onsale": ShelfState.ON_SHELF}[row["approve_status"]]
        if expected is ShelfState.ON_SHELF and row["quantity"] == 0:
            expected = ShelfState.SOLD_OUT
        assert reading.facts.shelf_state is expected


def test_shelf_states_follow_the_shop(simulator, connect, own, now):
    with_variants = next(row for row in own if row["sku_id"])
    simulator.taobao.set_item(with_variants["num_iid"], with_variants["sku_id"], quantity=0, approve_status="onsale")
    [reading] = connect().read_listings([ref(with_variants)], now=now)
    assert (reading.facts.stock, reading.facts.shelf_state) == (0, ShelfState.SOLD_OUT)
    simulator.taobao.set_item(with_variants["num_iid"], approve_status="instock")
    [reading] = connect().read_listings([ref(with_variants)], now=now)
    assert reading.facts.shelf_state is ShelfState.OFF_SHELF


def test_unknown_and_foreign_listings_are_missing_and_the_others_are_read(connect, own, rivals, now):
    refs = [
        ref(own[0], 1),
        ListingRef(2, "999999999999"),
        ref(rivals[0], 3),
        ListingRef(4, str(own[0]["num_iid"]), "1"),
    ]
    readings = connect().read_listings(refs, now=now)
    assert [reading.outcome.value for reading in readings] == ["read", "missing", "missing", "missing"]


def test_competitors_show_prices_and_nothing_else(connect, rivals, now):
    on_sale = next(row for row in rivals if row["approve_status"] == "onsale")
    of_item = [row for row in rivals if row["num_iid"] == on_sale["num_iid"]]
    [reading] = connect().read_listings([ref(on_sale, is_own=False)], now=now)
    assert reading.facts.list_price == min(Decimal(row["price"]) for row in of_item)
    assert reading.facts.live_price == min(Decimal(row["live_price"]) for row in of_item)
    assert (reading.facts.stock, reading.facts.shelf_state) == (None, ShelfState.UNKNOWN)


def test_a_variant_without_its_list_is_fetched_apart(simulator, connect, own, now):
    with_variants = next(row for row in own if row["sku_id"])
    simulator.taobao.fail_next(method=READ, kind="half", mode="missing_keys", fields=["skus"])
    [reading] = connect().read_listings([ref(with_variants)], now=now)
    assert (reading.outcome, reading.facts.stock) == (ReadOutcome.READ, with_variants["quantity"])
    assert [call["method"] for call in simulator.ledger()][-2:] == [READ, "taobao.item.skus.get"]


def test_the_whole_shop_is_discovered(simulator, connect, own, now):
    simulator.taobao.set_item(own[0]["num_iid"], approve_status="instock")
    found = list(discovered(connect(), now))
    assert sorted((listing.item_id, listing.sku_id) for listing in found) == sorted(
        (str(row["num_iid"]), str(row["sku_id"] or "")) for row in own
    )
    by_id = {(listing.item_id, listing.sku_id): listing for listing in found}
    for row in own:
        listing = by_id[(str(row["num_iid"]), str(row["sku_id"] or ""))]
        assert (listing.facts.list_price, listing.facts.stock) == (Decimal(row["price"]), row["quantity"])
        assert (listing.title, listing.outer_id) == (row["title"], row["outer_id"])


def test_a_wrong_clock_is_put_right(connect, own, now):
    connector = connect()
    for wrong in (timedelta(minutes=-30), timedelta(hours=7)):
        [reading] = connector.read_listings([ref(own[0])], now=now + wrong)
        assert reading.outcome is ReadOutcome.READ


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_the_gateway_accepts_our_time_from_any_host(simulator, connect, own, now, zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        connect().read_listings([ref(own[0])], now=now)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [call["code"] for call in simulator.ledger()] == [0]


# --- Refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        pytest.param(lambda taobao, shop: taobao.expire_session(shop), "session-invalid", id="expired"),
        pytest.param(lambda taobao, shop: taobao.revoke_session(shop), "session-invalid", id="revoked"),
        pytest.param(lambda taobao, shop: taobao.set_levels(shop, r1=0), "session-invalid", id="level lapsed"),
    ],
)
def test_a_session_that_has_ended_asks_for_authorisation(simulator, connect, own, now, spoil, cause):
    connector = connect()
    spoil(simulator.taobao, simulator.taobao.shop()["shop"])
    with pytest.raises(Reauthorise) as caught:
        connector.read_listings([ref(own[0])], now=now)
    assert caught.value.cause == cause
    assert simulator.taobao.account["app_secret"] not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected", "cause"),
    [
        pytest.param({"app_secret": "wrong"}, Fatal, "bad-signature", id="wrong secret"),
        pytest.param({"app_key": "10000000"}, Fatal, "bad-app-key", id="unknown app"),
        pytest.param({"access_token": "made-up"}, Reauthorise, "session-invalid", id="unknown session"),
    ],
)
def test_wrong_credentials_are_told_apart(connect, own, now, changes, expected, cause):
    with pytest.raises(expected) as caught:
        connect(**changes).read_listings([ref(own[0])], now=now)
    assert caught.value.cause == cause
    assert caught.value.request_id


def test_a_missing_permission_is_for_a_person(simulator, connect, own, now):
    simulator.taobao.refuse_method(READ)
    with pytest.raises(Review) as caught:
        connect().read_listings([ref(own[0])], now=now)
    assert (caught.value.scope, caught.value.cause) == ("channel", "permission")


def test_a_quota_of_a_second_is_waited_for(simulator, connect, own, now):
    simulator.taobao.set_quota(calls_per_second=1)
    connector = connect()
    connector.read_listings([ref(own[0])], now=now)
    with pytest.raises(Wait) as caught:
        connector.read_listings([ref(own[0])], now=now)
    assert caught.value.cause == "quota"
    assert timedelta(0) < caught.value.retry_at - now <= timedelta(seconds=5)


def test_a_quota_of_a_day_ends_at_the_midnight_of_the_gateway(simulator, connect, own, now):
    simulator.taobao.set_quota(calls_per_day=1)
    connector = connect()
    connector.read_listings([ref(own[0])], now=now)
    with pytest.raises(Wait) as caught:
        connector.read_listings([ref(own[0])], now=now)
    assert caught.value.cause == "daily-quota"
    assert (caught.value.retry_at + timedelta(hours=8)).strftime("%H:%M:%S") == "00:00:00"
    assert timedelta(0) < caught.value.retry_at - now <= timedelta(days=1)


@pytest.mark.parametrize(
    ("fault", "expected", "cause"),
    [
        pytest.param({"kind": "html"}, Retry, "not-json", id="HTML"),
        pytest.param({"kind": "half"}, Retry, "not-json", id="cut short"),
        pytest.param({"kind": "half", "mode": "short_body"}, Retry, "connection", id="cut short on the way"),
        pytest.param({"kind": "null", "fields": ["items"]}, Retry, "half-answer", id="null list"),
        pytest.param({"kind": "null", "fields": ["items_seller_list_get_response"]}, Retry, "half-answer", id="null"),
        pytest.param({"kind": "big"}, Retry, "too-large", id="10 MB"),
        pytest.param({"kind": "endless"}, Retry, "timeout", id="endless and slow"),
        pytest.param({"kind": "endless", "seconds": 0}, Retry, "too-large", id="endless and fast"),
        pytest.param({"kind": "redirect"}, Fatal, "redirect", id="redirect to another host"),
        pytest.param({"kind": "drop"}, Retry, "connection", id="hung up"),
        pytest.param({"kind": "delay", "seconds": 1.5}, Retry, "timeout", id="too slow"),
        pytest.param({"kind": "retry_after"}, Wait, "quota", id="hostile Retry-After"),
        pytest.param({"status": 500}, Retry, "server-error", id="500"),
        pytest.param({"status": 403}, Review, "forbidden", id="403"),
        pytest.param({"code": 15, "sub_code": "isp.remote-service-timeout"}, Retry, "server-error", id="code 15"),
    ],
)
def test_bad_answers_are_told_apart_and_the_next_read_is_good(simulator, connect, own, now, fault, expected, cause):
    connector = connect(patience=1 if fault.get("kind") in NEVER_IN_TIME else 10)
    simulator.taobao.fail_next(method=READ, **fault)
    with pytest.raises(expected) as caught:
        connector.read_listings([ref(own[0])], now=now)
    assert caught.value.cause == cause
    session, secret = simulator.taobao.shop()["session"], simulator.taobao.account["app_secret"]
    for told in (str(caught.value), repr(caught.value), repr(caught.value.__cause__)):
        assert session not in told
        assert secret not in told
    if isinstance(caught.value, Wait):
        assert caught.value.retry_at - now == timedelta(hours=1)
    simulator.clear_faults()
    assert connect().read_listings([ref(own[0])], now=now)[0].outcome is ReadOutcome.READ


@pytest.mark.parametrize("fault", [{"kind": "null"}, {"kind": "half", "mode": "missing_keys"}])
def test_an_answer_of_nulls_is_no_reading(simulator, connect, own, now, fault):
    simulator.taobao.fail_next(method=READ, **fault)
    [reading] = connect().read_listings([ListingRef(1, str(own[0]["num_iid"]))], now=now)
    assert (reading.outcome, reading.facts) == (ReadOutcome.FAILED, None)


def test_a_price_of_null_leaves_the_stock_readable(simulator, connect, own, now):
    simulator.taobao.fail_next(method=READ, kind="null", fields=["price"])
    [reading] = connect().read_listings([ref(own[0])], now=now)
    assert (reading.outcome, reading.facts.list_price) == (ReadOutcome.READ, None)
    assert reading.facts.stock == own[0]["quantity"]


# --- Authorisation --------------------------------------------------------------------------------------------------

CALLBACK = "http://127.0.0.1:8000/back"


def authorise(connector):
    """The code a seller's consent brings back."""
    url = connector.authorise_url(redirect_uri=CALLBACK, state="s-1")
    answer = requests.get(url, allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    _, _, query = answer.headers["Location"].partition("?")
    parameters = dict(part.split("=", 1) for part in query.split("&"))
    assert parameters["state"] == "s-1"
    return parameters["code"]


def test_a_shop_authorises_and_is_read_with_its_new_token(simulator, connect, own, now):
    connector = connect(access_token="")
    tokens = connector.exchange_code(code=authorise(connector), redirect_uri=CALLBACK, now=now)
    shop = simulator.taobao.shop()
    assert (tokens.account_id, tokens.account_name) == (str(shop["user_id"]), shop["nick"])
    assert tokens.expires_at - now > timedelta(days=364)
    assert tokens.levels["w2"] < tokens.levels["r1"]
    assert tokens.refresh_token == ""
    [reading] = connect(access_token=tokens.access_token).read_listings([ref(own[0])], now=now)
    assert reading.outcome is ReadOutcome.READ


def test_a_code_works_once(connect, now):
    connector = connect(access_token="")
    code = authorise(connector)
    connector.exchange_code(code=code, redirect_uri=CALLBACK, now=now)
    with pytest.raises(Reauthorise) as caught:
        connector.exchange_code(code=code, redirect_uri=CALLBACK, now=now)
    assert caught.value.cause == "authorisation-refused"
    assert code not in str(caught.value)


def test_a_service_market_app_refreshes_its_token(simulator, connect, own, now):
    app = next(app for app in simulator.taobao.account["apps"] if app["app_type"] == SERVICE_MARKET)
    service = {"app_key": app["app_key"], "app_secret": app["app_secret"], "app_type": "service"}
    connector = connect(**service, access_token="")
    tokens = connector.exchange_code(code=authorise(connector), redirect_uri=CALLBACK, now=now)
    fresh = connector.refresh(refresh_token=tokens.refresh_token, now=now)
    assert fresh.access_token != tokens.access_token
    assert fresh.refresh_expires_at is not None
    [reading] = connect(**service, access_token=fresh.access_token).read_listings([ref(own[0])], now=now)
    assert reading.outcome is ReadOutcome.READ
    with pytest.raises(Reauthorise):
        connector.refresh(refresh_token=tokens.refresh_token, now=now)
