"""From the seller's consent to a session."""

from urllib.parse import parse_qs, unquote, urlsplit

import orjson
import pytest
import requests

pytestmark = pytest.mark.pure

CALLBACK = "http://127.0.0.1:8000/channels/callback?keep=1"


def authorize(simulator, **changes):
    account = simulator.taobao.account
    query = {"response_type": "code", "client_id": account["app_key"], "redirect_uri": CALLBACK, "state": "s t/ä"}
    query = {name: value for name, value in {**query, **changes}.items() if value is not None}
    return requests.get(f"{simulator.base_url}/authorize", params=query, timeout=10, allow_redirects=False)


def returned(response):
    assert response.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}


def token(simulator, *, app=0, **changes):
    account = simulator.taobao.account["apps"][app]
    form = {"client_id": account["app_key"], "client_secret": account["app_secret"], "redirect_uri": CALLBACK}
    form = {name: value for name, value in {**form, **changes}.items() if value is not None}
    return requests.post(f"{simulator.base_url}/token", data=form, timeout=10)


def redeem(simulator, *, app=0, **changes):
    client_id = simulator.taobao.account["apps"][app]["app_key"]
    code = returned(authorize(simulator, client_id=client_id))["code"]
    return token(simulator, app=app, **{"grant_type": "authorization_code", "code": code, **changes})


def test_seller_comes_back_with_code_state_and_the_callbacks_own_query(simulator):
    back = returned(authorize(simulator))
    assert set(back) == {"code", "state", "keep"}
    assert back["state"] == "s t/ä"


def test_seller_who_refuses_comes_back_with_an_error(simulator):
    simulator.taobao.set_oauth(deny=True)
    back = returned(authorize(simulator))
    assert back["error"] == "access_denied"
    assert back["error_description"]
    assert back["state"] == "s t/ä"
    assert "code" not in back


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client_id": "1"}, id="unknown application"),
        pytest.param({"client_id": None}, id="no application"),
        pytest.param({"redirect_uri": "https://evil.example/callback"}, id="foreign callback"),
        pytest.param({"redirect_uri": "http://127.0.0.1.evil.example/"}, id="callback that only looks local"),
        pytest.param({"redirect_uri": None}, id="no callback"),
    ],
)
def test_wrong_request_gets_a_page_and_no_redirect(simulator, changes):
    response = authorize(simulator, **changes)
    assert response.status_code == 400
    assert response.headers["Content-Type"].startswith("text/html")
    assert "Location" not in response.headers


def test_only_registered_callbacks_are_allowed(simulator):
    simulator.taobao.set_oauth(redirect_uris=["https://shop.example/callback"])
    assert authorize(simulator).status_code == 400
    assert authorize(simulator, redirect_uri="https://shop.example/callback").status_code == 302


def test_code_becomes_a_session_that_reads(simulator, taobao):
    simulator.taobao.set_oauth(shop="taobao-shanye")
    body = redeem(simulator).json()
    shop = simulator.taobao.shop("taobao-shanye")
    assert unquote(body["taobao_user_nick"]) == shop["nick"]
    assert body["taobao_user_nick"] != shop["nick"]
    assert body["taobao_user_id"] == str(shop["user_id"])
    item = simulator.taobao.items(shop="taobao-shanye")[0]["num_iid"]
    read = {"fields": "num_iid", "num_iid": item}
    assert taobao.call("taobao.item.seller.get", session=body["access_token"], **read)["item"] == {"num_iid": item}


def test_back_office_session_lives_a_year_and_cannot_be_refreshed(simulator):
    body = redeem(simulator).json()
    assert (body["expires_in"], body["re_expires_in"]) == (31_536_000, 0)
    refused = token(simulator, grant_type="refresh_token", refresh_token=body["refresh_token"])
    assert refused.json()["error"] == "invalid_client"


def test_service_market_session_is_refreshed_and_both_tokens_rotate(simulator):
    old = redeem(simulator, app=1).json()
    assert old["re_expires_in"] > 0
    refresh = {"grant_type": "refresh_token", "refresh_token": old["refresh_token"]}
    new = token(simulator, app=1, **refresh).json()
    assert new["access_token"] != old["access_token"]
    assert new["refresh_token"] != old["refresh_token"]
    assert token(simulator, app=1, **refresh).json()["error"] == "invalid_client"


def test_code_works_once(simulator):
    code = returned(authorize(simulator))["code"]
    answers = [token(simulator, grant_type="authorization_code", code=code) for _ in range(2)]
    assert "access_token" in answers[0].json()
    assert answers[1].json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"client_secret": "wrong"}, "invalid_client", id="wrong secret"),
        pytest.param({"client_id": "1"}, "invalid_client", id="unknown application"),
        pytest.param({"code": "made-up"}, "invalid_client", id="made-up code"),
        pytest.param({"redirect_uri": "http://127.0.0.1:1/other"}, "invalid_client", id="another callback"),
        pytest.param({"grant_type": "password"}, "unsupported_grant_type", id="another grant"),
    ],
)
def test_wrong_token_request_is_refused(simulator, changes, error):
    response = redeem(simulator, **changes)
    assert response.status_code == 400
    assert response.json()["error"] == error


def test_secrets_in_the_address_are_refused(simulator):
    account = simulator.taobao.account
    query = {"client_id": account["app_key"], "client_secret": account["app_secret"]}
    response = requests.post(f"{simulator.base_url}/token", params=query, timeout=10)
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_request"


def test_token_is_not_read(simulator):
    assert requests.get(f"{simulator.base_url}/token", timeout=10).status_code == 405


def test_gateway_redeems_a_code_too(simulator, taobao):
    code = returned(authorize(simulator))["code"]
    create = "taobao.top.auth.token.create"
    body = orjson.loads(taobao.call(create, session=None, code=code)["token_result"])
    assert body["expires_in"] == 31_536_000
    assert taobao.call(create, session=None, code=code)["sub_code"] == "isv.invalid-parameter:code"
