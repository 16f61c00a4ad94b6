"""The three ways to a token, and how each ends."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from integrations.connectors.base import InvalidSetting, ReadOutcome
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review, Wait
from integrations.connectors.shopify import ShopifyConnector, ShopifyCredentials
from integrations.connectors.shopify.credentials import VERSION
from integrations.models import settings_asked
from tests.integrations.connectors.raw_server import RawServer, answer, answer_json

from .conftest import ref

pytestmark = pytest.mark.pure

CALLBACK = "http://127.0.0.1:8000/back"
REQUIRED = {"shop": "demo.myshopify.com", "app_key": "abc123", "app_secret": "shpss_geheim"}


@pytest.fixture
def public(shop):
    """A connector of the app for other merchants; keywords replace its credentials."""
    app = shop.simulator.shopify.account["public_app"]

    def build(**changes):
        keys = {"app_kind": "public", "app_key": app["client_id"], "app_secret": app["client_secret"]}
        return shop.connect(**(keys | {"access_token": ""} | changes))

    return build


def consent(connector, now):
    """Tokens for the consent that the simulator's merchant gives at once."""
    url = connector.authorise_url(redirect_uri=CALLBACK, state="nonce-1")
    location = requests.get(url, allow_redirects=False, timeout=5).headers["Location"]
    parameters = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert parameters["state"] == "nonce-1"
    assert connector.check_callback(parameters)
    return connector.exchange_code(code=parameters["code"], redirect_uri=CALLBACK, now=now), parameters


def works(shop, token, now):
    [reading] = shop.connect(access_token=token).read_listings([ref(shop.rows()[0])], now=now)
    return reading.outcome is ReadOutcome.READ


# --- An app of the shop's own organisation --------------------------------------------------------------------------


def test_client_credentials_are_a_token_for_a_day(shop, now):
    connector = shop.connect(access_token="")
    assert (connector.can_request_token, connector.can_refresh, connector.needs_token) == (True, False, True)
    tokens = connector.request_token(now=now)
    assert timedelta(hours=23) < tokens.expires_at - now <= timedelta(days=1)
    assert (tokens.refresh_token, tokens.account_id) == ("", shop.account["domain"])
    assert works(shop, tokens.access_token, now)


def test_an_ended_token_is_told_and_another_one_works(shop, now):
    old = shop.connect(access_token="").request_token(now=now).access_token
    shop.simulator.shopify.change_tokens(expire=shop.key)
    with pytest.raises(Reauthorise) as caught:
        works(shop, old, now)
    assert caught.value.cause == "session-invalid"
    assert works(shop, shop.connect(access_token="").request_token(now=now).access_token, now)


@pytest.mark.parametrize(
    ("changes", "expected", "cause"),
    [
        pytest.param({"app_secret": "shpss_wrong"}, Fatal, "bad-secret", id="wrong secret"),
        pytest.param({"app_key": "nobody"}, Fatal, "bad-secret", id="unknown app"),
    ],
)
def test_wrong_keys_are_told(shop, now, changes, expected, cause):
    with pytest.raises(expected) as caught:
        shop.connect(access_token="", **changes).request_token(now=now)
    assert caught.value.cause == cause
    assert "shpss_" not in str(caught.value)


def test_an_app_of_another_organisation_gets_no_token(shop, now, public):
    app = shop.simulator.shopify.account["public_app"]
    connector = shop.connect(access_token="", app_key=app["client_id"], app_secret=app["client_secret"])
    with pytest.raises(Review) as caught:
        connector.request_token(now=now)
    assert caught.value.cause == "other-organisation"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param({"sub_code": "THROTTLED", "msg": "Throttled"}, "THROTTLED", id="in its own words"),
        pytest.param({"status": 429, "headers": {"Retry-After": "5"}}, "429", id="by its status"),
    ],
)
def test_a_token_that_is_asked_for_too_often_is_waited_for(shop, now, fault, code):
    shop.simulator.shopify.fail_next(method="token", **fault)
    with pytest.raises(Wait) as caught:
        shop.connect(access_token="").request_token(now=now)
    assert (caught.value.cause, caught.value.code) == ("quota", code)
    assert caught.value.retry_at == now + timedelta(seconds=5)


# --- A custom app made in the admin ---------------------------------------------------------------------------------


def test_a_custom_app_lives_on_its_token(shop, now):
    connector = shop.connect(app_kind="custom", app_key="", app_secret="")
    assert (connector.can_request_token, connector.can_refresh) == (False, False)
    assert connector.check_connection(now=now) == "Nuanju Home"
    for call in (lambda: connector.request_token(now=now), lambda: connector.refresh(refresh_token="x", now=now)):
        with pytest.raises(Fatal) as caught:
            call()
        assert caught.value.cause == "unsupported"
    shop.simulator.shopify.change_tokens(revoke=shop.key)
    with pytest.raises(Reauthorise):
        connector.check_connection(now=now)


# --- An app for other merchants -------------------------------------------------------------------------------------


def test_consent_gives_a_pair_that_rotates(shop, public, now):
    tokens, _parameters = consent(public(), now)
    assert timedelta(minutes=59) < tokens.expires_at - now <= timedelta(minutes=60)
    assert timedelta(days=89) < tokens.refresh_expires_at - now <= timedelta(days=90)
    assert works(shop, tokens.access_token, now)
    renewed = public().refresh(refresh_token=tokens.refresh_token, now=now)
    assert renewed.access_token != tokens.access_token
    assert renewed.refresh_token != tokens.refresh_token
    assert works(shop, renewed.access_token, now)


def test_the_previous_refresh_token_works_until_its_replacement_is_used(public, now):
    tokens, _parameters = consent(public(), now)
    lost = public().refresh(refresh_token=tokens.refresh_token, now=now)  # as if it had not been stored
    again = public().refresh(refresh_token=tokens.refresh_token, now=now)
    public().refresh(refresh_token=again.refresh_token, now=now)
    with pytest.raises(Reauthorise) as caught:
        public().refresh(refresh_token=tokens.refresh_token, now=now)
    assert (caught.value.cause, caught.value.code) == ("authorisation-refused", "invalid_grant")
    for secret in (tokens.refresh_token, lost.refresh_token):
        assert secret not in str(caught.value)


def test_a_revoked_refresh_token_asks_for_consent(shop, public, now):
    tokens, _parameters = consent(public(), now)
    shop.simulator.shopify.change_tokens(revoke_refresh=shop.key)
    with pytest.raises(Reauthorise) as caught:
        public().refresh(refresh_token=tokens.refresh_token, now=now)
    assert caught.value.cause == "authorisation-refused"


def test_a_code_works_once(public, now):
    _tokens, parameters = consent(public(), now)
    with pytest.raises(Reauthorise) as caught:
        public().exchange_code(code=parameters["code"], redirect_uri=CALLBACK, now=now)
    assert parameters["code"] not in str(caught.value)


@pytest.mark.parametrize(
    "changes", [{"shop": "other.myshopify.com"}, {"shop": ""}, {"code": "x"}, {"hmac": ""}, {"state": "another"}]
)
def test_a_callback_of_somebody_else_is_not_ours(public, now, changes):
    connector = public()
    _tokens, parameters = consent(connector, now)
    assert connector.check_callback(parameters)
    assert not connector.check_callback(parameters | changes)


def test_missing_scopes_are_named(shop, now):
    shop.simulator.shopify.set_store(scopes=["read_products", "write_inventory"])
    with pytest.raises(Reauthorise) as caught:
        shop.connect().check_connection(now=now)
    assert (caught.value.cause, caught.value.detail) == (
        "scope-missing",
        "read_locations, read_orders, read_discounts",
    )
    shop.simulator.shopify.set_store(scopes=["write_products", "write_inventory", "read_orders", "read_discounts"])
    assert shop.connect().check_connection(now=now)  # a write scope holds its read scope, and stock its locations


def test_a_shop_there_is_not_is_told(shop, now):
    with RawServer(answer_json({"errors": "Not Found"}, "404 Not Found")) as server:
        for call in (
            lambda: shop.connect(base_url=server.url).check_connection(now=now),
            lambda: shop.connect(base_url=server.url).request_token(now=now),
        ):
            with pytest.raises(Fatal) as caught:
                call()
            assert caught.value.cause == "wrong-shop"


@pytest.mark.parametrize(
    ("handler", "cause"),
    [
        pytest.param(answer(b"<html>"), "not-json", id="HTML"),
        pytest.param(answer_json({}), "half-answer", id="empty"),
        pytest.param(answer_json([]), "half-answer", id="a list"),
        pytest.param(answer_json({"access_token": None}), "half-answer", id="null"),
        pytest.param(answer(b"", "503 Service Unavailable"), "server-error", id="503"),
    ],
)
def test_half_an_answer_is_no_token(shop, now, handler, cause):
    with RawServer(handler) as server, pytest.raises(Retry) as caught:
        shop.connect(base_url=server.url).request_token(now=now)
    assert caught.value.cause == cause


@pytest.mark.parametrize(
    "body", [{"access_token": "shpat_1", "scope": "read_products"}, {"access_token": "shpat_1", "expires_in": 10**12}]
)
def test_a_token_without_a_sensible_end_stays_valid(shop, now, body):
    with RawServer(answer_json(body)) as server:
        tokens = shop.connect(base_url=server.url).request_token(now=now)
    assert tokens.expires_at - now > timedelta(days=3000)


def test_without_a_token_nothing_is_sent(shop, now):
    with pytest.raises(Reauthorise):
        shop.connect(access_token="").check_connection(now=now)
    assert shop.calls() == []


def test_another_host_never_gets_the_secret(shop, now):
    with RawServer(answer()) as thief:
        shop.simulator.shopify.fail_next(method="token", kind="redirect", location=thief.url)
        with pytest.raises(ConnectorError) as caught:
            shop.connect().request_token(now=now)
    assert caught.value.cause == "redirect"
    assert thief.heads == []


# --- Settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"shop": ""}, "shop"),
        ({"shop": "demo"}, "shop"),
        ({"shop": "demo.example.com"}, "shop"),
        ({"shop": "demo.myshopify.com.evil.example"}, "shop"),
        ({"shop": "-demo.myshopify.com"}, "shop"),
        ({"shop": "demo.myshopify.com/admin"}, "shop"),
        ({"app_key": ""}, "app_key"),
        ({"app_key": "a b"}, "app_key"),
        ({"app_secret": ""}, "app_secret"),
        ({"app_kind": "other"}, "app_kind"),
        ({"api_version": "2026-11"}, "api_version"),
        ({"api_version": "unstable"}, "api_version"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_settings_that_cannot_work_are_named(changes, field):
    with pytest.raises(InvalidSetting) as caught:
        ShopifyCredentials.from_settings(REQUIRED | changes)
    assert caught.value.field == field
    assert "geheim" not in str(caught.value)


def test_the_shop_is_where_calls_go_unless_an_address_replaces_it():
    credentials = ShopifyCredentials.from_settings(REQUIRED | {"shop": " Demo.MyShopify.com ", "app_kind": ""})
    assert credentials == ShopifyCredentials("demo.myshopify.com", "abc123", "shpss_geheim", api_version=VERSION)
    assert "geheim" not in repr(credentials)
    connector = ShopifyConnector(credentials)
    assert (connector.base_url, connector.auth_base_url) == ("https://demo.myshopify.com",) * 2
    assert connector.authorise_url(redirect_uri=CALLBACK, state="s").startswith(
        "https://demo.myshopify.com/admin/oauth"
    )


def test_every_setting_is_one_of_the_credentials():
    assert {setting.name for setting in ShopifyConnector.settings} < set(ShopifyCredentials.__dataclass_fields__)


@pytest.mark.parametrize("kind", ["client_credentials", "custom", "public"])
def test_the_client_secret_can_be_entered_for_every_kind_of_app_and_only_a_custom_one_works_without(kind):
    assert "app_secret" in {setting.name for setting in settings_asked(ShopifyConnector, {"app_kind": kind})}
    settings = {"shop": "a.myshopify.com", "app_kind": kind, "app_key": "1", "access_token": "shpat_1"}
    assert ShopifyCredentials.from_settings({**settings, "app_secret": "s"}).app_secret == "s"
    if kind == "custom":
        assert ShopifyCredentials.from_settings(settings).app_secret == ""
    else:
        with pytest.raises(InvalidSetting) as caught:
            ShopifyCredentials.from_settings(settings)
        assert caught.value.field == "app_secret"
