"""Tokens: every grant, their rotation, and the callback's signature."""

from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from integrations.simulator.shopify.signing import callback_hmac, webhook_hmac

pytestmark = pytest.mark.pure

REDIRECT = "http://127.0.0.1:8000/connect/shopify/"
CALLBACK = {
    "code": "0907a61c0c8d55e99db179b68161bc00",
    "shop": "some-shop.myshopify.com",
    "state": "0.6784241404160823",
    "timestamp": "1337178173",
}
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, "700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf"),
        (
            {"host": "YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvc29tZS1zaG9w"},
            "9fe3d5ea81959305fd96bd3d2d44e878654e753bc8e455b5369c15a009412163",
        ),
    ],
)
def test_callback_signature_matches_the_published_vectors(extra, expected):
    assert callback_hmac({**CALLBACK, **extra, "hmac": "left out"}, "hush") == expected


@pytest.mark.parametrize(
    ("secret", "body", "expected"),
    [
        (
            "shpss_demo_secret",
            rb'{"inventory_item_id":271878346596884015,"location_id":24826418,"available":7,'
            rb'"updated_at":"2026-11-21T10:15:30-05:00","admin_graphql_api_id":'
            rb'"gid:\/\/shopify\/InventoryLevel\/24826418?inventory_item_id=271878346596884015"}',
            "3xpASQIg/DK8E8PjGF4Q/Qumc8j8IuG0QIXBWmShvnw=",
        ),
        ("test_secret_key", b'{"foo": "bar"}', "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g="),
    ],
)
def test_webhook_signature_matches_the_published_vectors(secret, body, expected):
    assert webhook_hmac(body, secret) == expected


class Client:
    """Asks the token endpoint as one application."""

    def __init__(self, simulator, app):
        self.simulator, self.app = simulator, app
        self.http = requests.Session()
        self.http.trust_env = False

    def post(self, **form):
        url = f"{self.simulator.base_url}/admin/oauth/access_token"
        credentials = {"client_id": self.app["client_id"], "client_secret": self.app["client_secret"]}
        return self.http.post(url, data={**credentials, **form}, timeout=20)

    def token(self, **form):
        response = self.post(**form)
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, **form):
        response = self.post(**form)
        assert response.status_code == 400
        return response.json()["error"]

    def works(self, access_token):
        url = f"{self.simulator.base_url}/admin/api/2026-10/graphql.json"
        headers = {"X-Shopify-Access-Token": access_token}
        return self.http.post(url, json={"query": "{ shop { id } }"}, headers=headers, timeout=20).status_code == 200

    def authorize(self, **changes):
        """The parameters the browser is sent back with; the response where it is not sent back."""
        parameters = {
            "client_id": self.app["client_id"],
            "scope": "read_products,write_inventory",
            "redirect_uri": REDIRECT,
            "state": "nonce-1",
            **changes,
        }
        sent = {name: value for name, value in parameters.items() if value is not None}
        url = f"{self.simulator.base_url}/admin/oauth/authorize"
        response = self.http.get(url, params=sent, timeout=20, allow_redirects=False)
        if response.status_code != 302:
            return response
        parts = urlsplit(response.headers["Location"])
        assert parts._replace(query="").geturl() == REDIRECT
        return dict(parse_qsl(parts.query))


@pytest.fixture
def custom(simulator):
    client = Client(simulator, simulator.shopify.shop())
    yield client
    client.http.close()


@pytest.fixture
def public(simulator):
    client = Client(simulator, simulator.shopify.account["public_app"])
    yield client
    client.http.close()


def test_client_credentials_give_a_token_for_a_day(custom):
    body = custom.token(grant_type="client_credentials")
    assert body.keys() == {"access_token", "scope", "expires_in"}
    assert body["expires_in"] == 86_399
    assert "write_inventory" in body["scope"].split(",")
    assert custom.works(body["access_token"])


def test_json_body_is_taken_as_a_form_is(custom, simulator):
    body = {
        "client_id": custom.app["client_id"],
        "client_secret": custom.app["client_secret"],
        "grant_type": "client_credentials",
    }
    response = custom.http.post(f"{simulator.base_url}/admin/oauth/access_token", json=body, timeout=20)
    assert response.json()["expires_in"] == 86_399


def test_client_credentials_are_for_the_owners_shop_only(public):
    assert public.refused(grant_type="client_credentials") == "shop_not_permitted"


def test_expired_token_is_refused_and_a_new_one_works(custom, simulator):
    token = custom.token(grant_type="client_credentials")["access_token"]
    simulator.shopify.change_tokens(expire="shopify-nuanju")
    assert not custom.works(token)
    assert custom.works(simulator.shopify.shop()["access_token"])  # that one is for ever
    assert custom.works(custom.token(grant_type="client_credentials")["access_token"])


def test_consent_leads_to_a_pair_of_tokens(public):
    callback = public.authorize()
    assert callback["hmac"] == callback_hmac(callback, public.app["client_secret"])
    assert (callback["state"], callback["shop"]) == ("nonce-1", "nuanju-home.myshopify.com")
    assert {"code", "host", "timestamp"} <= callback.keys()
    body = public.token(code=callback["code"], expiring="1")
    assert body.keys() == {"access_token", "scope", "expires_in", "refresh_token", "refresh_token_expires_in"}
    assert (body["expires_in"], body["refresh_token_expires_in"]) == (3600, 90 * 86_400)
    assert body["scope"] == "read_products,write_inventory"
    assert public.works(body["access_token"])
    assert public.refused(code=callback["code"], expiring="1") == "invalid_request"


def test_public_applications_must_take_expiring_tokens(public):
    assert public.refused(code=public.authorize()["code"]) == "invalid_request"


def test_custom_application_may_have_a_token_for_ever(custom):
    body = custom.token(code=custom.authorize()["code"])
    assert body.keys() == {"access_token", "scope"}


def test_refusing_merchant_sends_the_browser_back_without_a_code(public, simulator):
    simulator.shopify.set_oauth(deny=True)
    callback = public.authorize()
    assert callback["error"] == "access_denied"
    assert "code" not in callback


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "unknown"},
        {"redirect_uri": "https://evil.example/"},
        {"state": None},
        {"scope": "everything"},
    ],
)
def test_wrong_request_for_consent_ends_on_a_page(public, changes):
    assert public.authorize(**changes).status_code == 400


def test_the_previous_refresh_token_works_until_its_replacement_is_used(public):
    first = public.token(code=public.authorize()["code"], expiring="1")
    second = public.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    # The answer may have been lost: the old one still works.
    again = public.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    public.token(grant_type="refresh_token", refresh_token=again["refresh_token"])
    assert public.refused(grant_type="refresh_token", refresh_token=first["refresh_token"]) == "invalid_grant"
    assert public.works(again["access_token"])


@pytest.mark.parametrize("token", ["shprt_unknown", ""])
def test_dead_refresh_token_is_an_invalid_grant(public, token):
    assert public.refused(grant_type="refresh_token", refresh_token=token) == "invalid_grant"


def test_revoked_refresh_token_is_an_invalid_grant(public, simulator):
    pair = public.token(code=public.authorize()["code"], expiring="1")
    simulator.shopify.change_tokens(revoke_refresh="shopify-nuanju")
    assert public.refused(grant_type="refresh_token", refresh_token=pair["refresh_token"]) == "invalid_grant"


def test_refresh_token_of_another_application_is_refused(public, custom):
    pair = public.token(code=public.authorize()["code"], expiring="1")
    assert custom.refused(grant_type="refresh_token", refresh_token=pair["refresh_token"]) == "invalid_grant"


def test_token_for_ever_is_exchanged_for_an_expiring_pair(custom, simulator):
    old = simulator.shopify.shop()["access_token"]
    form = {
        "grant_type": EXCHANGE,
        "subject_token": old,
        "subject_token_type": OFFLINE,
        "requested_token_type": OFFLINE,
        "expiring": "1",
    }
    body = custom.token(**form)
    assert custom.works(body["access_token"])
    assert not custom.works(old)
    assert custom.refused(**form) == "invalid_subject_token"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_secret": "wrong", "grant_type": "client_credentials"}, "invalid_client"),
        ({"client_id": "wrong", "grant_type": "client_credentials"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({}, "unsupported_grant_type"),
        ({"code": "wrong"}, "invalid_request"),
    ],
)
def test_wrong_request_for_a_token_is_refused(custom, form, error):
    assert custom.refused(**form) == error


def test_rotated_secret_replaces_the_old_one(custom, simulator):
    simulator.shopify.change_tokens(rotate_secret="shopify-nuanju")
    assert custom.refused(grant_type="client_credentials") == "invalid_client"
    custom.app = simulator.shopify.shop()
    assert custom.works(custom.token(grant_type="client_credentials")["access_token"])


def test_unknown_domain_is_not_found(custom, simulator):
    headers = {"Host": "nobody.myshopify.com"}
    url = f"{simulator.base_url}/admin/oauth/access_token"
    assert custom.http.post(url, headers=headers, timeout=20).status_code == 404
    headers = {"Host": "nuanju-home.myshopify.com"}
    form = {
        "client_id": custom.app["client_id"],
        "client_secret": custom.app["client_secret"],
        "grant_type": "client_credentials",
    }
    assert custom.http.post(url, data=form, headers=headers, timeout=20).status_code == 200


def test_token_endpoint_can_be_spoilt(custom, simulator):
    simulator.shopify.fail_next(method="token", status=503)
    assert custom.post(grant_type="client_credentials").status_code == 503
    simulator.shopify.fail_next(method="token", sub_code="invalid_grant")
    assert custom.refused(grant_type="client_credentials") == "invalid_grant"


def test_no_secret_or_token_enters_the_ledger(custom, simulator):
    token = custom.token(grant_type="client_credentials")["access_token"]
    custom.works(token)
    written = str(simulator.ledger())
    assert token not in written
    assert custom.app["client_secret"] not in written
