"""What every connector promises, checked for each capability it declares against its platform in the simulator."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from catalog.facts import ShelfState
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Capability, Connector, ListingRef, ReadOutcome, Tokens
from integrations.connectors.errors import ConnectorError, Fatal

pytestmark = pytest.mark.pure

CALLBACK = "http://127.0.0.1:8000/back"
METHODS = {
    Capability.READ_LISTINGS: ["read_listings"],
    Capability.READ_COMPETITORS: ["read_listings"],
    Capability.DISCOVER_LISTINGS: ["discover_listings"],
    Capability.AUTHORISE: ["authorise_url", "exchange_code"],
    Capability.REFRESH_TOKEN: ["refresh"],
}


@dataclass
class Subject:
    """A connector of an own shop, one whose app may refresh its tokens, and the true rows of all shops."""

    connector: Connector
    refreshing: Connector
    own: list[dict[str, Any]]
    others: list[dict[str, Any]]


def taobao_subject(simulator) -> Subject:
    account, shop = simulator.taobao.account, simulator.taobao.shop()
    service = next(app for app in account["apps"] if app["app_type"] == "service-market")
    connector_class = CONNECTORS["taobao"]

    def connect(app, **more):
        settings = {"app_key": app["app_key"], "app_secret": app["app_secret"], **more}
        return connector_class(connector_class.Credentials.from_settings(settings), base_url=simulator.base_url)

    rows = simulator.taobao.items()
    return Subject(
        connector=connect(account, access_token=shop["session"]),
        refreshing=connect(service, app_type="service"),
        own=[row for row in rows if row["shop"] == shop["shop"]],
        others=[row for row in rows if not row["own"] and row["approve_status"] == "onsale"],
    )


SUBJECTS: dict[str, Callable[[Any], Subject]] = {"taobao": taobao_subject}


# Settings that are complete, of no account at all.
MADE_UP_SETTINGS = {"taobao": {"app_key": "1", "app_secret": "geheim-1", "access_token": "geheim-2"}}


@pytest.fixture(params=sorted(CONNECTORS))
def subject(request, simulator) -> Subject:
    return SUBJECTS[request.param](simulator)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def _ref(row, listing_id, is_own):
    return ListingRef(listing_id, str(row["num_iid"]), str(row["sku_id"] or "") if is_own else "", is_own)


def _authorise(connector: Connector, now: datetime) -> Tokens:
    answer = requests.get(connector.authorise_url(redirect_uri=CALLBACK, state="s-1"), allow_redirects=False, timeout=5)
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["state"] == ["s-1"]
    return connector.exchange_code(code=query["code"][0], redirect_uri=CALLBACK, now=now)


def reads_own_listings_and_reports_the_missing(subject: Subject, now: datetime) -> None:
    refs = [_ref(row, number, True) for number, row in enumerate(subject.own)]
    refs.append(ListingRef(len(refs), "999999999999"))
    readings = [
        reading
        for batch in subject.connector.read_batches(refs)
        for reading in subject.connector.read_listings(batch, now=now)
    ]
    assert sorted(reading.listing_id for reading in readings) == list(range(len(refs)))
    by_id = {reading.listing_id: reading for reading in readings}
    assert by_id[len(refs) - 1].outcome is ReadOutcome.MISSING
    for number, row in enumerate(subject.own):
        facts = by_id[number].facts
        assert facts is not None
        assert facts.stock == row["quantity"]
        assert type(facts.list_price) is Decimal


def reads_other_shops_without_inventing_their_stock(subject: Subject, now: datetime) -> None:
    refs = [_ref(row, number, False) for number, row in enumerate(subject.others)]
    for batch in subject.connector.read_batches(refs):
        for reading in subject.connector.read_listings(batch, now=now):
            assert reading.outcome is ReadOutcome.READ
            assert reading.facts is not None
            assert type(reading.facts.list_price) is Decimal
            assert (reading.facts.stock, reading.facts.shelf_state) == (None, ShelfState.UNKNOWN)


def discovers_each_own_listing_once(subject: Subject, now: datetime) -> None:
    found = [(listing.item_id, listing.sku_id) for listing in subject.connector.discover_listings(now=now)]
    assert sorted(found) == sorted((str(row["num_iid"]), str(row["sku_id"] or "")) for row in subject.own)


def authorises_by_a_code_that_works(subject: Subject, now: datetime) -> None:
    tokens = _authorise(subject.connector, now)
    assert tokens.access_token
    assert tokens.expires_at > now
    assert tokens.access_token not in repr(tokens)


def refreshes_where_it_says_it_can(subject: Subject, now: datetime) -> None:
    assert subject.refreshing.can_refresh
    tokens = _authorise(subject.refreshing, now)
    assert subject.refreshing.refresh(refresh_token=tokens.refresh_token, now=now).access_token != tokens.access_token
    if not subject.connector.can_refresh:
        with pytest.raises(Fatal):
            subject.connector.refresh(refresh_token="x", now=now)


CONTRACT: dict[Capability, Callable[[Subject, datetime], None]] = {
    Capability.READ_LISTINGS: reads_own_listings_and_reports_the_missing,
    Capability.READ_COMPETITORS: reads_other_shops_without_inventing_their_stock,
    Capability.DISCOVER_LISTINGS: discovers_each_own_listing_once,
    Capability.AUTHORISE: authorises_by_a_code_that_works,
    Capability.REFRESH_TOKEN: refreshes_where_it_says_it_can,
}


@pytest.mark.parametrize("platform", sorted(CONNECTORS))
def test_every_declared_capability_is_implemented_and_has_its_contract(platform):
    connector_class = CONNECTORS[platform]
    assert connector_class.platform == platform
    assert platform in SUBJECTS
    assert connector_class.capabilities <= CONTRACT.keys()
    for capability in connector_class.capabilities:
        for method in METHODS[capability]:
            assert getattr(connector_class, method) is not getattr(Connector, method)


@pytest.mark.parametrize("capability", list(Capability))
def test_a_declared_capability_keeps_its_contract(subject, capability, now):
    if capability in subject.connector.capabilities:
        CONTRACT[capability](subject, now)


@pytest.mark.parametrize("platform", sorted(CONNECTORS))
def test_credentials_keep_their_secrets_to_themselves(platform):
    credentials = CONNECTORS[platform].Credentials.from_settings(MADE_UP_SETTINGS[platform])
    connector = CONNECTORS[platform](credentials)
    secrets = [getattr(credentials, field.name) for field in fields(credentials) if not field.repr]
    assert any(secrets)
    for secret in filter(None, secrets):
        assert secret not in repr(credentials)
        assert secret not in repr(connector)
        assert secret not in connector.without_secrets(f"the platform quotes {secret} here")


@pytest.mark.parametrize("platform", sorted(CONNECTORS))
def test_a_platform_that_cannot_be_reached_is_a_connector_error(platform, now):
    connector_class = CONNECTORS[platform]
    credentials = connector_class.Credentials.from_settings(MADE_UP_SETTINGS[platform])
    connector = connector_class(credentials, base_url="http://127.0.0.1:9")
    with pytest.raises(ConnectorError) as caught:
        connector.read_listings([ListingRef(1, "5")], now=now)
    assert (caught.value.platform, caught.value.kind) == (platform, "retry")


class Silent(Connector):
    """A platform that can do nothing yet."""

    platform = "silent"
    title = "Silent"
    capabilities = frozenset()
    default_base_url = default_auth_url = "https://silent.example"
    max_items_per_read = 1


def test_what_is_not_declared_is_refused_as_unsupported(now):
    credentials = CONNECTORS["taobao"].Credentials.from_settings({"app_key": "1", "app_secret": "s"})
    silent = Silent(credentials)
    calls = [
        lambda: silent.read_listings([], now=now),
        lambda: silent.read_batches([ListingRef(1, "5", is_own=False)]),
        lambda: list(silent.discover_listings(now=now)),
        lambda: silent.authorise_url(redirect_uri="x", state="y"),
        lambda: silent.exchange_code(code="x", redirect_uri="y", now=now),
        lambda: silent.refresh(refresh_token="x", now=now),
    ]
    for call in calls:
        with pytest.raises(Fatal) as caught:
            call()
        assert caught.value.cause == "unsupported"
    assert not silent.can_refresh
