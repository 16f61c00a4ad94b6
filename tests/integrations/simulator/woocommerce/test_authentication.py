"""Who is let in, and what everybody else is told."""

import base64
import time
from urllib.parse import quote, urlencode

import pytest
import requests

pytestmark = pytest.mark.pure

ERROR = "woocommerce_rest_authentication_error"
CANNOT_VIEW = "woocommerce_rest_cannot_view"


def ask(url, **kwargs):
    response = requests.get(url, timeout=10, **kwargs)
    answer = response.json()
    return response.status_code, answer.get("code") if isinstance(answer, dict) else None


@pytest.fixture
def products(shop):
    return f"{shop.simulator.base_url}/wp-json/wc/v3/products"


def pair(shop):
    return shop.consumer_key, shop.consumer_secret


@pytest.mark.parametrize("method", ["HMAC-SHA1", "HMAC-SHA256"])
def test_both_signature_methods_are_taken(shop, method):
    response = shop.send("GET", "products", oauth={"oauth_signature_method": method, "oauth_version": "1.0"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        pytest.param({"oauth_consumer_key": "ck_unknown"}, ERROR, "Consumer key is invalid.", id="unknown key"),
        pytest.param({"secret": "cs_wrong"}, ERROR, "provided signature does not match", id="wrong secret"),
        pytest.param({"oauth_signature": "x"}, ERROR, "provided signature does not match", id="wrong signature"),
        pytest.param({"oauth_signature_method": "PLAINTEXT"}, ERROR, "method is invalid", id="unknown method"),
        pytest.param({"oauth_timestamp": "never"}, ERROR, "Invalid timestamp.", id="unreadable timestamp"),
        pytest.param(
            {"oauth_nonce": None},
            "woocommerce_rest_authentication_missing_parameter",
            "Missing OAuth parameter oauth_nonce",
            id="no nonce",
        ),
        pytest.param(
            {"oauth_nonce": None, "oauth_timestamp": None, "oauth_signature": None},
            "woocommerce_rest_authentication_missing_parameter",
            "Missing OAuth parameters oauth_timestamp, oauth_nonce, oauth_signature",
            id="three missing",
        ),
    ],
)
def test_each_wrong_signature_has_its_sentence(shop, changes, code, message):
    response = shop.send("GET", "products", oauth=changes)
    assert (response.status_code, response.json()["code"]) == (401, code)
    assert message in response.json()["message"]


@pytest.mark.parametrize("minutes", [-16, 16])
def test_timestamp_outside_fifteen_minutes_is_refused(shop, minutes):
    response = shop.send("GET", "products", oauth={"oauth_timestamp": str(int(time.time()) + minutes * 60)})
    assert response.json()["message"] == "Invalid timestamp."


@pytest.mark.parametrize("minutes", [-14, 14])
def test_timestamp_within_fifteen_minutes_passes(shop, minutes):
    timestamp = str(int(time.time()) + minutes * 60)
    assert shop.send("GET", "products", oauth={"oauth_timestamp": timestamp}).status_code == 200


def test_nonce_is_good_once(shop):
    first = shop.send("GET", "products", oauth={"oauth_nonce": "same"})
    second = shop.send("GET", "products", oauth={"oauth_nonce": "same"})
    assert first.status_code == 200
    assert (second.status_code, second.json()["message"]) == (401, "Invalid nonce - nonce has already been used.")


def test_signature_is_looked_at_before_the_timestamp_and_the_key_before_both(shop):
    old = {"oauth_timestamp": "1", "oauth_nonce": "x"}
    assert "signature" in shop.send("GET", "products", oauth={**old, "secret": "no"}).json()["message"]
    assert "key" in shop.send("GET", "products", oauth={**old, "oauth_consumer_key": "ck_no"}).json()["message"]
    absent = shop.send("GET", "products", oauth={"oauth_nonce": None, "oauth_consumer_key": "ck_no"})
    assert absent.json()["code"] == "woocommerce_rest_authentication_missing_parameter"


def test_repeated_parameters_count_once_with_the_last_value(shop, products):
    signed = urlencode(shop.oauth("GET", products, "per_page=2"), quote_via=quote)
    answer = requests.get(f"{products}?per_page=7&{signed}&per_page=2", timeout=10)
    assert len(answer.json()) == 2
    assert requests.get(f"{products}?per_page=2&{signed}&per_page=7", timeout=10).status_code == 401


def test_parameters_may_stand_in_the_header(shop, products):
    fields = shop.oauth("GET", products)
    header = "OAuth " + ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in fields.items())
    assert ask(products, headers={"Authorization": header}) == (200, None)


def test_form_fields_are_signed_and_json_is_not(shop, mug):
    url = f"{shop.simulator.base_url}/wp-json/wc/v3/products/{mug}"
    form = "stock_quantity=3&manage_stock=true"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    unsigned = urlencode(shop.oauth("PUT", url), quote_via=quote)
    assert requests.put(f"{url}?{unsigned}", data=form, headers=headers, timeout=10).status_code == 401
    signed = urlencode(shop.oauth("PUT", url, form), quote_via=quote)
    assert requests.put(f"{url}?{signed}", data=form, headers=headers, timeout=10).json()["stock_quantity"] == 3
    assert shop.put(f"products/{mug}", {"stock_quantity": 4})["stock_quantity"] == 4


def test_signature_is_of_the_shops_own_address(shop, products):
    shop.set(home_url="https://shop.example/store/")
    assert ask(f"{products}?{urlencode(shop.oauth('GET', products), quote_via=quote)}") == (401, ERROR)
    own = "https://shop.example/store/wp-json/wc/v3/products"
    response = requests.get(f"{products}?per_page=1&{urlencode(shop.oauth('GET', own, 'per_page=1'))}", timeout=10)
    assert response.status_code == 200
    assert response.headers["Link"].startswith("<https://shop.example/store/wp-json/wc/v3/products?per_page=1&page=2>")


def test_over_plain_http_basic_is_nobody(shop, products):
    assert ask(products, auth=pair(shop)) == (401, CANNOT_VIEW)
    key, secret = pair(shop)
    assert ask(products, params={"consumer_key": key, "consumer_secret": secret}) == (401, CANNOT_VIEW)
    assert ask(products) == (401, CANNOT_VIEW)


def test_behind_a_proxy_basic_counts_and_so_does_the_query(shop, products):
    shop.set(behind_proxy=True)
    key, secret = pair(shop)
    assert ask(products, auth=pair(shop)) == (200, None)
    assert ask(products, params={"consumer_key": key, "consumer_secret": secret}) == (200, None)
    assert ask(products, auth=(key, "cs_wrong")) == (401, ERROR)
    assert requests.get(products, auth=(key, "cs_wrong"), timeout=10).json()["message"] == "Consumer secret is invalid."
    assert ask(products, auth=("ck_unknown", secret)) == (401, CANNOT_VIEW)


def test_basic_header_of_the_published_pair_is_read(shop):
    encoded = base64.b64encode(
        b"ck_1234567890abcdef1234567890abcdef12345678:cs_abcdef1234567890abcdef1234567890abcdef12"
    )
    assert encoded == (
        b"Y2tfMTIzNDU2Nzg5MGFiY2RlZjEyMzQ1Njc4OTBhYmNkZWYxMjM0NTY3ODpjc19hYmNkZWYxMjM0NTY3ODkwYWJjZGVmMTIzNDU2Nzg5MGFi"
        b"Y2RlZjEy"
    )


def test_behind_a_proxy_oauth_signs_https(shop, products):
    shop.set(behind_proxy=True)
    secure = products.replace("http://", "https://")
    assert ask(f"{products}?{urlencode(shop.oauth('GET', secure), quote_via=quote)}") == (200, None)
    assert ask(f"{products}?{urlencode(shop.oauth('GET', products), quote_via=quote)}") == (401, ERROR)


def test_stripped_header_leaves_the_query(shop, products):
    shop.set(behind_proxy=True, header_stripped=True)
    key, secret = pair(shop)
    assert ask(products, auth=pair(shop)) == (401, CANNOT_VIEW)
    assert ask(products, params={"consumer_key": key, "consumer_secret": secret}) == (200, None)


def test_keys_do_what_they_were_made_for(shop, mug):
    _, reading, writing, weak = shop.account["keys"]
    shop.use(reading)
    assert shop.send("GET", "products").status_code == 200
    assert shop.refusal("PUT", f"products/{mug}", {}) == (401, ERROR)
    shop.use(writing)
    assert shop.refusal("GET", "products") == (401, ERROR)
    assert shop.send("PUT", f"products/{mug}", {}).status_code == 200
    shop.use(weak)
    assert shop.refusal("GET", "products") == (403, CANNOT_VIEW)
    assert shop.refusal("PUT", f"products/{mug}", {}) == (403, "woocommerce_rest_cannot_edit")
    assert shop.refusal("POST", "products", {}) == (403, "woocommerce_rest_cannot_create")
    assert shop.refusal("DELETE", f"products/{mug}") == (403, "woocommerce_rest_cannot_delete")
    assert shop.refusal("POST", "products/batch", {}) == (403, "woocommerce_rest_cannot_batch")


def test_revoked_key_is_unknown(shop, simulator):
    simulator.woocommerce.revoke_key(shop.consumer_key)
    assert shop.send("GET", "products").json()["message"] == "Consumer key is invalid."


def test_shops_are_told_apart_by_the_key(shop, other_shop):
    mine, theirs = ({entry["id"] for entry in caller.all("products")} for caller in (shop, other_shop))
    assert mine
    assert theirs
    assert not mine & theirs
    assert shop.refusal("GET", f"products/{theirs.pop()}") == (404, "woocommerce_rest_product_invalid_id")
    assert (shop.account["currency"], other_shop.account["currency"]) == ("EUR", "USD")


def test_anybody_may_read_the_index(shop):
    index = requests.get(f"{shop.simulator.base_url}/wp-json/", timeout=10).json()
    assert "wc/v3" in index["namespaces"]
    assert index["timezone_string"] == "Europe/Berlin"


def test_without_pretty_permalinks_the_route_is_a_parameter(shop):
    shop.set(pretty_permalinks=False)
    assert shop.refusal("GET", "products") == (404, "rest_no_route")
    # WordPress knows its front page without a slash.
    base = shop.simulator.base_url
    query = "rest_route=/wc/v3/products&per_page=1"
    signed = urlencode(shop.oauth("GET", base, query), quote_via=quote)
    response = requests.get(f"{base}/?{query}&{signed}", timeout=10)
    assert len(response.json()) == 1
    assert response.headers["Link"].startswith(f"<{base}/index.php?rest_route=/wc/v3/products&")
    front = urlencode(shop.oauth("GET", f"{base}/index.php", query), quote_via=quote)
    assert len(requests.get(f"{base}/index.php?{query}&{front}", timeout=10).json()) == 1
    wrong = urlencode(shop.oauth("GET", f"{base}/", query), quote_via=quote)
    assert requests.get(f"{base}/?{query}&{wrong}", timeout=10).status_code == 401


def test_ledger_names_the_call_and_no_secret(shop, simulator, mug):
    shop.put(f"products/{mug}", {"stock_quantity": 1})
    shop.refusal("GET", "products/1")
    first, second = (entry for entry in simulator.ledger() if entry["platform"] == "woocommerce")
    assert (first["method"], first["shop"], first["item_ids"], first["code"]) == (
        "PUT products/{id}",
        shop.key,
        [str(mug)],
        0,
    )
    assert (second["code"], second["sub_code"]) == (404, "woocommerce_rest_product_invalid_id")
    text = requests.get(f"{simulator.base_url}/_simulator/ledger", timeout=10).text
    assert shop.consumer_secret not in text
    assert "oauth_" not in text
