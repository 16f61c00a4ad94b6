"""What every connector promises, checked for each capability it declares against its platform in the simulator."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from catalog.facts import ShelfState
from integrations.connectors import CONNECTORS
from integrations.connectors.base import (
    Capability,
    Connector,
    HintKind,
    InvalidSetting,
    ListingRef,
    Order,
    PushOutcome,
    PushStatus,
    ReadOutcome,
    StockTarget,
)
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review, Wait
from tests.integrations.connectors.discovery import discovered
from tests.integrations.connectors.subjects import SUBJECTS, Row, Subject, TaobaoSubject, authorised

pytestmark = pytest.mark.pure

METHODS = {
    Capability.READ_LISTINGS: ["read_listings"],
    Capability.READ_COMPETITORS: ["read_listings"],
    Capability.DISCOVER_LISTINGS: ["discover_listings"],
    Capability.READ_CHANGES: ["read_changes"],
    Capability.READ_STOCK_LEVELS: ["read_stock_levels", "read_locations"],
    Capability.PUSH_STOCK: ["push_stock"],
    Capability.READ_ORDERS: ["read_orders"],
    Capability.READ_PROMOTIONS: ["read_promotions"],
    Capability.RECEIVE_WEBHOOKS: ["is_genuine", "parse_webhook"],
    Capability.PULL_MESSAGES: ["permit_messages", "pull_messages", "confirm_messages"],
    Capability.AUTHORISE: ["authorise_url", "exchange_code"],
    Capability.REFRESH_TOKEN: ["refresh"],
    Capability.REQUEST_TOKEN: ["request_token"],
    Capability.REQUEST_KEYS: ["keys_url", "parse_keys"],
}
# What each platform must be able to do at least; Taobao tells of changes by messages that are fetched.
MINIMUM = {
    Capability.READ_LISTINGS,
    Capability.DISCOVER_LISTINGS,
    Capability.READ_CHANGES,
    Capability.PUSH_STOCK,
    Capability.READ_ORDERS,
    Capability.READ_PROMOTIONS,
}
DONE = {PushStatus.APPLIED, PushStatus.ACCEPTED}
TOLD = {Capability.RECEIVE_WEBHOOKS, Capability.PULL_MESSAGES}


@pytest.fixture(params=sorted(SUBJECTS))
def subject(request, simulator) -> Subject:
    return SUBJECTS[request.param](simulator)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def read(connector: Connector, rows: list[Row], now: datetime) -> dict[int, Any]:
    """Readings by the place of their row."""
    refs = [row.ref(place) for place, row in enumerate(rows)]
    found = [reading for batch in connector.read_batches(refs) for reading in connector.read_listings(batch, now=now)]
    assert sorted(reading.listing_id for reading in found) == list(range(len(rows)))
    return {reading.listing_id: reading for reading in found}


def push(subject: Subject, targets: list[StockTarget], now: datetime, key: str = "push-1") -> list[PushOutcome]:
    """Outcomes in the order of the targets."""
    outcomes: dict[int, PushOutcome] = {}
    for number, batch in enumerate(subject.connector.push_batches(targets)):
        for target, outcome in zip(
            batch, subject.connector.push_stock(batch, key=f"{key}/{number}", now=now), strict=True
        ):
            assert outcome.listing_id == target.listing_id
            outcomes[target.listing_id] = outcome
    return [outcomes[target.listing_id] for target in targets]


# --- Reading --------------------------------------------------------------------------------------------------------


def reads_own_listings_and_reports_the_missing(subject: Subject, now: datetime) -> None:
    rows = subject.rows()
    unknown = Row("999999999999", "999999999998", "", 0, Decimal(0))
    readings = read(subject.connector, [*rows, subject.unknown(rows[0]), unknown], now)
    for place, row in enumerate(rows):
        facts = readings[place].facts
        assert facts is not None, readings[place]
        assert (facts.stock, facts.list_price) == (row.stock, row.list_price)
        assert type(facts.list_price) is Decimal
        assert readings[place].outer_id == row.outer_id
    for place in (len(rows), len(rows) + 1):
        assert readings[place].outcome is ReadOutcome.MISSING
        assert readings[place].facts is None


def reads_other_shops_without_inventing_their_stock(subject: Subject, now: datetime) -> None:
    assert isinstance(subject, TaobaoSubject)
    refs = [row.ref(number, is_own=False) for number, row in enumerate(subject.others())]
    for batch in subject.connector.read_batches(refs):
        for reading in subject.connector.read_listings(batch, now=now):
            assert reading.outcome is ReadOutcome.READ
            assert reading.facts is not None
            assert type(reading.facts.list_price) is Decimal
            assert (reading.facts.stock, reading.facts.shelf_state) == (None, ShelfState.UNKNOWN)


def discovers_each_own_listing_once(subject: Subject, now: datetime) -> None:
    found = list(discovered(subject.connector, now))
    codes = subject.codes()
    assert len(found) == len(codes)
    assert {(each.item_id, each.sku_id): each.outer_id for each in found} == codes
    # Begun again from the cursor of each page, as another process does.
    found = list(discovered(subject.connector, now, pages_at_once=1))
    assert {(each.item_id, each.sku_id): each.outer_id for each in found} == codes


def tells_what_changed_since(subject: Subject, now: datetime) -> None:
    row = subject.ordinary()[0]
    since = subject.simulator.now()
    subject.move_stock(row, row.shown + 7)
    changed = {
        (each.item_id, each.sku_id): each.facts.stock
        for each in subject.connector.read_changes(since=since, now=subject.simulator.now())
    }
    assert changed[row.item_id, row.sku_id] == subject.row(row).stock


def reads_stock_of_every_location(subject: Subject, now: datetime) -> None:
    rows = subject.ordinary(5)
    levels = subject.connector.read_stock_levels([row.ref(place) for place, row in enumerate(rows)], now=now)
    places = {location.location_id for location in subject.connector.read_locations(now=now)}
    for place, row in enumerate(rows):
        found = {level.location_id: level.available for level in levels if level.listing_id == place}
        assert found == row.levels
        assert found.keys() <= places


# --- Writing --------------------------------------------------------------------------------------------------------


def pushes_stock(subject: Subject, now: datetime) -> None:
    shows_what_was_pushed(subject, now)
    refuses_one_row_without_the_others(subject, now)
    does_not_write_over_what_moved(subject, now)
    the_same_push_again_changes_nothing(subject, now)


def shows_what_was_pushed(subject: Subject, now: datetime) -> None:
    rows = subject.ordinary(4) + subject.siblings(3)
    rows = list({(row.item_id, row.sku_id): row for row in rows}.values())
    targets = [row.target(row.shown - 1, place, expected=row.shown) for place, row in enumerate(rows)]
    assert {outcome.status for outcome in push(subject, targets, now)} <= DONE
    for row, target in zip(rows, targets, strict=True):
        assert subject.row(row).shown == target.quantity


def refuses_one_row_without_the_others(subject: Subject, now: datetime) -> None:
    first, second = subject.siblings(2)
    targets = [
        first.target(first.shown + 1, 1, expected=first.shown),
        subject.unknown(first).target(5, 2, expected=10),
        second.target(second.shown + 1, 3, expected=second.shown),
    ]
    outcomes = push(subject, targets, now, "partly")
    assert {outcomes[0].status, outcomes[2].status} <= DONE
    assert outcomes[1].status is PushStatus.REFUSED
    assert outcomes[1].cause in {"unknown-listing", "unknown-variant"}
    assert [subject.row(row).shown for row in (first, second)] == [first.shown + 1, second.shown + 1]


def does_not_write_over_what_moved(subject: Subject, now: datetime) -> None:
    row = subject.ordinary()[0]
    subject.move_stock(row, row.shown - 2)
    (outcome,) = push(subject, [row.target(row.shown + 5, expected=row.shown)], now, "late")
    if subject.connector.has_compare_and_set:
        assert outcome.status is PushStatus.STALE
    is_stale = outcome.status is PushStatus.STALE
    assert is_stale or outcome.status in DONE
    assert subject.row(row).shown == row.shown + (-2 if is_stale else 5)


def the_same_push_again_changes_nothing(subject: Subject, now: datetime) -> None:
    row = subject.ordinary()[0]
    target = row.target(row.shown - 1)
    assert {push(subject, [target], now, "once")[0].status for _again in range(2)} <= DONE
    assert subject.row(row).shown == row.shown - 1


# --- Orders, promotions, news ---------------------------------------------------------------------------------------


def reads_each_order_once(subject: Subject, now: datetime) -> None:
    row = subject.ordinary()[0]
    since = subject.simulator.now() - timedelta(seconds=2)
    order_id = subject.order(row, 2)
    subject.simulator.step(seconds=5)
    until = subject.simulator.now()
    orders = list(subject.connector.read_orders(since=since, until=until, now=until))
    assert len({order.order_id for order in orders}) == len(orders)
    (order,) = [order for order in orders if order.order_id == order_id]
    (line,) = order.lines
    assert (line.item_id, line.sku_id, line.outer_id, line.quantity) == (row.item_id, row.sku_id, row.outer_id, 2)
    assert since <= order.created_at <= until
    assert type(line.paid_per_unit) is Decimal
    assert not list(subject.connector.read_orders(since=until, until=until + timedelta(hours=1), now=until))


def reads_promotions_without_floats(subject: Subject, now: datetime) -> None:
    promotions = list(subject.connector.read_promotions(now=subject.simulator.now()))
    assert promotions
    for promotion in promotions:
        assert promotion.kind in {"amount_off", "percent_off"}
        assert promotion.value is None or type(promotion.value) is Decimal
        assert promotion.value is not None or promotion.unknown
        assert len(promotion.currency) == 3
        assert promotion.ends_at is None or promotion.ends_at.tzinfo is not None


class Receiver:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with receiver._arrived:
                    receiver.deliveries.append(({name.lower(): value for name, value in self.headers.items()}, body))
                    receiver._arrived.notify_all()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Nothing: a test's output is its own."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/hooks"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_for(self, is_wanted: Callable[[dict[str, str], bytes], bool], count: int = 1) -> list[Any]:
        with self._arrived:
            self._arrived.wait_for(lambda: sum(is_wanted(*each) for each in self.deliveries) >= count, timeout=10)
            return [each for each in self.deliveries if is_wanted(*each)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def knows_genuine_webhooks_and_what_they_say(subject: Subject, now: datetime) -> None:
    receiver = Receiver()
    try:
        secrets = subject.subscribe(receiver.address)
        row = subject.ordinary()[0]
        subject.control.fail_next(kind="webhook_duplicate", times=0)
        subject.move_stock(row, row.shown + 3)

        def is_news(headers: dict[str, str], body: bytes) -> bool:
            hints = subject.connector.parse_webhook(headers=headers, body=body)
            return any(hint.kind in {HintKind.STOCK, HintKind.LISTING} for hint in hints)

        news = receiver.wait_for(is_news, 2)
        assert len(news) >= 2
        keys = []
        for headers, body in news:
            assert subject.connector.is_genuine(headers=headers, body=body, secrets=secrets)
            assert subject.connector.is_genuine(headers=headers, body=body, secrets=("new-one", *secrets))
            assert not subject.connector.is_genuine(headers=headers, body=body + b" ", secrets=secrets)
            assert not subject.connector.is_genuine(headers=headers, body=body, secrets=("other",))
            assert not subject.connector.is_genuine(headers={}, body=body, secrets=secrets)
            (hint,) = subject.connector.parse_webhook(headers=headers, body=body)
            assert hint.item_id == row.item_id or hint.stock_id
            keys.append(hint.delivery_key)
        assert len(set(keys)) < len(keys), "what came twice has one key"
    finally:
        receiver.close()


def hands_out_messages_and_takes_their_confirmation(subject: Subject, now: datetime) -> None:
    row = subject.ordinary()[0]
    subject.move_stock(row, row.shown + 1)
    assert subject.connector.pull_messages(now=now) == [], "nothing is kept for a shop that was not permitted"
    for _again in range(2):
        subject.connector.permit_messages(now=now)
    subject.move_stock(row, row.shown + 3)
    hints = subject.connector.pull_messages(now=now)
    assert row.item_id in {hint.item_id for hint in hints}
    assert len({hint.delivery_key for hint in hints}) == len(hints)
    subject.connector.confirm_messages([hint.receipt for hint in hints], now=now)
    assert subject.connector.pull_messages(now=now) == []


# --- Access ---------------------------------------------------------------------------------------------------------


def authorises_by_a_code_that_works(subject: Subject, now: datetime) -> None:
    connector = subject.connector if subject.platform == "taobao" else subject.refreshing  # type: ignore[attr-defined]
    tokens = authorised(connector)
    assert tokens.access_token
    assert tokens.expires_at > now
    assert tokens.access_token not in repr(tokens)


def refreshes_where_it_says_it_can(subject: Subject, now: datetime) -> None:
    refreshing = subject.refreshing  # type: ignore[attr-defined]
    assert refreshing.can_refresh
    tokens = authorised(refreshing)
    assert refreshing.refresh(refresh_token=tokens.refresh_token, now=now).access_token != tokens.access_token
    if not subject.connector.can_refresh:
        with pytest.raises(Fatal):
            subject.connector.refresh(refresh_token="x", now=now)


def gets_a_token_for_its_keys(subject: Subject, now: datetime) -> None:
    assert subject.connector.can_request_token
    tokens = subject.connector.request_token(now=now)
    assert tokens.expires_at > now
    assert tokens.access_token not in repr(tokens)


def has_keys_handed_over_that_work(subject: Subject, now: datetime) -> None:
    receiver = Receiver()
    try:
        address = {"return_url": "http://127.0.0.1:8000/back/", "callback_url": f"{receiver.address}/keys"}
        url = type(subject.connector).keys_url(subject.simulator.base_url, state="s-1", **address)
        back = requests.get(url, allow_redirects=False, timeout=5).headers["Location"]
        assert parse_qs(urlsplit(back).query)["success"] == ["1"]
        ((_headers, body),) = receiver.wait_for(lambda headers, body: True, 1)
    finally:
        receiver.close()
    handed = type(subject.connector).parse_keys(body)
    assert handed.state == "s-1"
    assert not any(key in repr(handed) for key in handed.keys.values())
    assert subject.build(**handed.keys).check_connection(now=now)
    for spoilt in (b"", b"[]", b"{}", body.replace(b"read_write", b"read")):
        with pytest.raises(Retry):
            type(subject.connector).parse_keys(spoilt)
    with pytest.raises(InvalidSetting):
        type(subject.connector).parse_keys(body.replace(b"ck_", b"xx_"))


CONTRACT: dict[Capability, Callable[[Subject, datetime], None]] = {
    Capability.READ_LISTINGS: reads_own_listings_and_reports_the_missing,
    Capability.READ_COMPETITORS: reads_other_shops_without_inventing_their_stock,
    Capability.DISCOVER_LISTINGS: discovers_each_own_listing_once,
    Capability.READ_CHANGES: tells_what_changed_since,
    Capability.READ_STOCK_LEVELS: reads_stock_of_every_location,
    Capability.PUSH_STOCK: pushes_stock,
    Capability.READ_ORDERS: reads_each_order_once,
    Capability.READ_PROMOTIONS: reads_promotions_without_floats,
    Capability.RECEIVE_WEBHOOKS: knows_genuine_webhooks_and_what_they_say,
    Capability.PULL_MESSAGES: hands_out_messages_and_takes_their_confirmation,
    Capability.AUTHORISE: authorises_by_a_code_that_works,
    Capability.REFRESH_TOKEN: refreshes_where_it_says_it_can,
    Capability.REQUEST_TOKEN: gets_a_token_for_its_keys,
    Capability.REQUEST_KEYS: has_keys_handed_over_that_work,
}


@pytest.mark.parametrize("platform", sorted(CONNECTORS))
def test_every_declared_capability_is_implemented_and_has_its_contract(platform):
    connector_class = CONNECTORS[platform]
    assert connector_class.platform == platform
    assert platform in SUBJECTS
    assert connector_class.capabilities <= CONTRACT.keys()
    assert connector_class.capabilities >= MINIMUM
    assert connector_class.capabilities & TOLD
    for capability in connector_class.capabilities:
        for method in METHODS[capability]:
            assert getattr(connector_class, method) is not getattr(Connector, method)
    assert connector_class.check_connection is not Connector.check_connection
    assert {setting.name for setting in connector_class.settings} <= {
        *connector_class.Credentials.__dataclass_fields__,
        "base_url",
    }


@pytest.mark.parametrize("capability", list(Capability))
def test_a_declared_capability_keeps_its_contract(subject, capability, now):
    if capability in subject.connector.capabilities:
        CONTRACT[capability](subject, now)


# --- What goes wrong, on every platform -----------------------------------------------------------------------------


def test_ids_and_codes_arrive_as_they_are_however_large_or_strange(subject, now):
    rows = subject.rows()
    strange = [row for row in rows if "/" in row.outer_id and not row.outer_id.isascii()]
    assert strange, "the shop has a code with a slash and Chinese characters"
    readings = read(subject.connector, strange, now)
    assert [readings[place].outer_id for place in range(len(strange))] == [row.outer_id for row in strange]


@pytest.mark.parametrize("platform", ["shopify", "taobao"])
def test_ids_beyond_what_a_float_holds_stay_exact(simulator, platform, now):
    subject = SUBJECTS[platform](simulator)
    large = max(subject.rows(), key=lambda row: int(row.sku_id or 0))
    if platform == "shopify":
        assert int(large.sku_id) > 2**53
    neighbour = Row(large.item_id, str(int(large.sku_id) + 1), "", 0, Decimal(0))
    readings = read(subject.connector, [large, neighbour], now)
    assert readings[0].outcome is ReadOutcome.READ
    assert readings[1].outcome is ReadOutcome.MISSING


def test_prices_are_in_the_units_of_their_currency(subject, now):
    for connector, row in subject.priced():
        (reading,) = connector.read_listings([row.ref()], now=now)
        assert reading.facts.list_price == row.list_price


def test_the_quota_is_told_exactly_where_answers_tell_one(subject, now):
    assert not subject.connector.quota_told, "before the first answer"
    subject.connector.read_listings([subject.rows()[0].ref()], now=now)
    told = subject.connector.quota_told
    assert (told is not None) == bool(subject.connector.quota_unit)
    if told is not None:
        assert 0 < told.left < told.most
        assert told.per_second > 0
        assert now - timedelta(seconds=1) <= told.told_at <= now + timedelta(seconds=30)


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda subject, now: subject.connector.check_connection(now=now), id="the test of the connection"),
        pytest.param(
            lambda subject, now: subject.connector.read_listings([subject.rows()[0].ref()], now=now), id="a reading"
        ),
        pytest.param(lambda subject, now: list(subject.connector.discover_listings(now=now)), id="discovery"),
        pytest.param(lambda subject, now: list(subject.connector.read_changes(since=now, now=now)), id="changes"),
        pytest.param(lambda subject, now: list(subject.connector.read_promotions(now=now)), id="promotions"),
    ],
)
def test_no_amount_is_told_for_a_channel_in_another_currency(subject, now, read):
    subject.connector.currency = "XAF"
    with pytest.raises(Review) as caught:
        read(subject, now)
    assert (caught.value.cause, caught.value.scope) == ("currency-differs", "channel")


def test_throttling_is_a_wait_with_an_end(subject, now):
    subject.throttle()
    with pytest.raises(Wait) as caught:
        subject.connector.read_listings([subject.rows()[0].ref()], now=now)
    assert now < caught.value.retry_at <= now + timedelta(hours=1)


def test_access_that_ends_in_mid_run_asks_for_authorisation_and_works_again_after(subject, now):
    rows = subject.ordinary(2)
    assert read(subject.connector, rows[:1], now)[0].facts is not None
    subject.end_access()
    with pytest.raises(Reauthorise):
        subject.connector.read_listings([rows[1].ref()], now=now)
    assert read(subject.with_access(), rows[1:], now)[0].facts is not None


@pytest.mark.parametrize("mode", ["truncated", "missing_keys", "short_body"])
def test_half_an_answer_invents_nothing(subject, mode, now):
    row = subject.ordinary()[0]
    subject.fail(subject.read_call, "half", mode=mode)
    try:
        (reading,) = subject.connector.read_listings([row.ref()], now=now)
    except Retry:
        return
    assert reading.outcome is not ReadOutcome.MISSING
    if reading.facts is not None:
        assert reading.facts.stock in {None, row.stock}
        assert reading.facts.list_price in {None, row.list_price}


def test_nulls_are_unknown_never_zero(subject, now):
    row = subject.ordinary()[0]
    subject.fail(subject.read_call, "null")
    try:
        (reading,) = subject.connector.read_listings([row.ref()], now=now)
    except Retry:
        return
    assert reading.facts is None or reading.facts.stock in {None, row.stock}


@pytest.mark.parametrize("kind", ["html", "big", "drop", "redirect"])
def test_what_is_no_answer_is_a_connector_error(subject, kind, now):
    subject.fail(subject.read_call, kind)
    with pytest.raises(ConnectorError) as caught:
        subject.connector.read_listings([subject.rows()[0].ref()], now=now)
    assert caught.value.kind in {"retry", "fatal"}


def test_a_write_whose_answer_is_lost_is_not_called_refused(subject, now):
    row = subject.siblings(1)[0]
    subject.fail(subject.write_call, "lost", times=2)
    (outcome,) = push(subject, [row.target(row.shown - 1, expected=row.shown)], now, "lost")
    assert outcome.status in {*DONE, PushStatus.UNKNOWN}
    assert subject.row(row).shown == row.shown - 1
    subject.simulator.clear_faults()
    (again,) = push(subject, [row.target(row.shown - 1)], now, "lost-again")
    assert again.status in DONE
    assert subject.row(row).shown == row.shown - 1


def test_a_write_that_did_not_arrive_is_not_called_applied(subject, now):
    row = subject.siblings(1)[0]
    subject.fail(subject.write_call, "drop", times=0)
    try:
        (outcome,) = push(subject, [row.target(row.shown - 1, expected=row.shown)], now, "dropped")
    except Retry:
        pass
    else:
        assert outcome.status is PushStatus.UNKNOWN
    assert subject.row(row).shown == row.shown


def test_the_connection_test_names_the_shop(subject, now):
    assert subject.connector.check_connection(now=now)


def test_orders_of_a_window_do_not_come_in_the_next(subject, now):
    row = subject.ordinary()[0]
    start = subject.simulator.now() - timedelta(seconds=2)
    subject.order(row, 1)
    subject.simulator.step(seconds=3600)
    middle = subject.simulator.now() - timedelta(seconds=1800)
    end = subject.simulator.now() + timedelta(seconds=1)

    def orders(since: datetime, until: datetime) -> dict[str, Order]:
        return {order.order_id: order for order in subject.connector.read_orders(since=since, until=until, now=end)}

    whole, parts = orders(start, end), {**orders(start, middle), **orders(middle, end)}
    assert whole.keys() == parts.keys()


@pytest.mark.parametrize("fraction", [1, 700_000])
def test_an_order_comes_in_the_later_of_two_windows_that_meet_within_its_second(subject, now, fraction):
    start = subject.simulator.now() - timedelta(seconds=2)
    order_id = subject.order(subject.ordinary()[0], 1)
    end = subject.simulator.now() + timedelta(seconds=3)

    def orders(since: datetime, until: datetime) -> dict[str, Order]:
        return {order.order_id: order for order in subject.connector.read_orders(since=since, until=until, now=end)}

    # Stamped to the second, it may have changed after the first window was read.
    middle = orders(start, end)[order_id].changed_at + timedelta(microseconds=fraction)
    assert order_id not in orders(start, middle)
    assert order_id in orders(middle, end)


# --- Without the simulator ------------------------------------------------------------------------------------------


def made_up(platform: str) -> Connector:
    settings = SUBJECTS[platform].made_up(None)  # type: ignore[attr-defined]
    credentials = CONNECTORS[platform].Credentials.from_settings(settings)
    return CONNECTORS[platform](credentials, base_url="http://127.0.0.1:9")


@pytest.mark.parametrize("platform", sorted(CONNECTORS))
def test_credentials_keep_their_secrets_to_themselves(platform):
    connector = made_up(platform)
    credentials = connector.credentials  # type: ignore[attr-defined]
    secrets = [getattr(credentials, field.name) for field in fields(credentials) if not field.repr]
    assert any(secrets)
    for secret in filter(None, secrets):
        assert secret not in repr(credentials)
        assert secret not in repr(connector)
        assert secret not in connector.without_secrets(f"the platform quotes {secret} here")


@pytest.mark.parametrize("platform", sorted(CONNECTORS))
def test_a_platform_that_cannot_be_reached_is_a_connector_error(platform, now):
    with pytest.raises(ConnectorError) as caught:
        made_up(platform).read_listings([ListingRef(1, "5", "6")], now=now)
    assert (caught.value.platform, caught.value.kind) == (platform, "retry")


@pytest.mark.parametrize("platform", sorted(name for name in CONNECTORS if name != "taobao"))
@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff\xfe", json.dumps({"id": None}).encode()])
def test_a_webhook_of_any_shape_is_a_hint_or_a_retry(platform, body):
    connector = made_up(platform)
    headers = {"content-type": "application/json", "x-shopify-topic": "products/update", "x-wc-webhook-signature": "x"}
    try:
        hints = connector.parse_webhook(headers=headers, body=body)
    except Retry:
        return
    assert all(hint.delivery_key for hint in hints)


class Silent(Connector):
    """A platform that can do nothing yet."""

    platform = "silent"
    title = "Silent"
    capabilities = frozenset()
    settings = ()
    default_base_url = default_auth_url = "https://silent.example"
    max_items_per_read = 1


def test_what_is_not_declared_is_refused_as_unsupported(now):
    credentials = CONNECTORS["taobao"].Credentials.from_settings({"app_key": "1", "app_secret": "s"})
    silent = Silent(credentials)
    calls = [
        lambda: silent.check_connection(now=now),
        lambda: silent.read_listings([], now=now),
        lambda: silent.read_batches([ListingRef(1, "5", is_own=False)]),
        lambda: list(silent.discover_listings(now=now)),
        lambda: list(silent.read_changes(since=now, now=now)),
        lambda: silent.read_locations(now=now),
        lambda: silent.read_stock_levels([], now=now),
        lambda: silent.push_batches([]),
        lambda: silent.push_stock([], key="k", now=now),
        lambda: list(silent.read_orders(since=now, until=now, now=now)),
        lambda: list(silent.read_promotions(now=now)),
        lambda: silent.is_genuine(headers={}, body=b"", secrets=["s"]),
        lambda: silent.parse_webhook(headers={}, body=b""),
        lambda: silent.pull_messages(now=now),
        lambda: silent.confirm_messages([], now=now),
        lambda: silent.authorise_url(redirect_uri="x", state="y"),
        lambda: silent.exchange_code(code="x", redirect_uri="y", now=now),
        lambda: silent.refresh(refresh_token="x", now=now),
        lambda: silent.request_token(now=now),
    ]
    for call in calls:
        with pytest.raises(Fatal) as caught:
            call()
        assert caught.value.cause == "unsupported"
    assert not silent.can_refresh
    assert not silent.can_request_token
