"""From the merchant's consent to keys that work."""

from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import requests

pytestmark = pytest.mark.pure


def ask(simulator, receiver, **changes):
    query = {
        "app_name": "Evenshelf",
        "scope": "read_write",
        "user_id": "channel 42",
        "return_url": "http://127.0.0.1:8000/channels/?keep=1",
        "callback_url": f"{receiver.url}/hooks/keys?x=1",
    }
    query = {name: value for name, value in {**query, **changes}.items() if value is not None}
    url = simulator.accounts()["woocommerce"]["authorize_url"]
    return requests.get(url, params=query, timeout=10, allow_redirects=False)


def keys_of(receiver):
    return orjson.loads(receiver.received[0][1])


def returned(response):
    assert response.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}


def test_keys_are_posted_and_the_merchant_comes_back(shop, simulator, receiver):
    assert returned(ask(simulator, receiver)) == {"keep": "1", "success": "1", "user_id": "channel 42"}
    ((headers, _),) = receiver.received
    assert headers["Content-Type"].startswith("application/json")
    body = keys_of(receiver)
    assert set(body) == {"key_id", "user_id", "consumer_key", "consumer_secret", "key_permissions"}
    assert (body["user_id"], body["key_permissions"]) == ("channel 42", "read_write")
    assert len(body["consumer_key"]) == len(body["consumer_secret"]) == 43
    shop.use(body)
    assert shop.send("GET", "products").status_code == 200


def test_merchant_may_refuse(shop, simulator, receiver):
    shop.set(denies=True)
    assert returned(ask(simulator, receiver))["success"] == "0"
    assert receiver.received == []


def test_scope_limits_the_key(shop, simulator, receiver, mug):
    ask(simulator, receiver, scope="read")
    shop.use(keys_of(receiver))
    assert shop.refusal("PUT", f"products/{mug}", {})[0] == 401


def test_another_shop_may_be_the_one_that_consents(other_shop, simulator, receiver):
    other_shop.set(approves=True)
    ask(simulator, receiver)
    other_shop.use(keys_of(receiver))
    assert other_shop.get("data/currencies/current")["code"] == "USD"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"app_name": None}, "Missing parameter app_name"),
        ({"scope": "all"}, "Invalid scope all"),
        ({"return_url": "nowhere"}, "The return_url is not a valid URL"),
        ({"callback_url": "javascript:1"}, "The callback_url is not a valid URL"),
    ],
)
def test_wrong_request_gets_a_page_and_no_redirect(simulator, receiver, changes, sentence):
    response = ask(simulator, receiver, **changes)
    assert response.status_code == 401
    assert sentence in response.text
    assert receiver.received == []


def test_real_shops_insist_on_https(shop, simulator, receiver):
    shop.set(plain_callbacks=False)
    response = ask(simulator, receiver)
    assert (response.status_code, receiver.received) == (401, [])
    assert "needs to be over SSL" in response.text


def test_key_that_nobody_took_is_gone_again(shop, simulator, receiver):
    receiver.status = 500
    assert ask(simulator, receiver).status_code == 401
    shop.use(keys_of(receiver))
    assert shop.send("GET", "products").json()["message"] == "Consumer key is invalid."


def test_keys_are_sent_to_this_machine_only(simulator, receiver):
    response = ask(simulator, receiver, callback_url="http://198.51.100.7/hooks/keys")
    assert response.status_code == 401
