"""The published vectors, and how PHP reads a query."""

import pytest

from integrations.simulator.woocommerce.signing import (
    base_string,
    header_parameters,
    oauth_signature,
    php_parameters,
    webhook_signature,
)

pytestmark = pytest.mark.pure

URL = "http://127.0.0.1:8088/wp-json/wc/v3/products"
KEY, SECRET = "ck_1234567890abcdef1234567890abcdef12345678", "cs_abcdef1234567890abcdef1234567890abcdef12"
QUERY = "modified_after=2026-11-01T00:00:00&page=2&per_page=100"
OAUTH = {
    "oauth_consumer_key": KEY,
    "oauth_nonce": "c2d2e7a0b6f94a3f9a0c6b1e4d5f7788",
    "oauth_timestamp": "1795200000",
}
BASE = (
    "GET&http%3A%2F%2F127.0.0.1%3A8088%2Fwp-json%2Fwc%2Fv3%2Fproducts&modified_after%3D2026-11-01T00%253A00%253A00"
    "%26oauth_consumer_key%3Dck_1234567890abcdef1234567890abcdef12345678"
    "%26oauth_nonce%3Dc2d2e7a0b6f94a3f9a0c6b1e4d5f7788%26oauth_signature_method%3DHMAC-SHA256"
    "%26oauth_timestamp%3D1795200000%26page%3D2%26per_page%3D100"
)


def test_base_string_is_the_published_one():
    parameters = {**php_parameters(QUERY), **OAUTH, "oauth_signature_method": "HMAC-SHA256"}
    assert base_string("get", URL, parameters) == BASE
    assert base_string("get", URL, {**parameters, "oauth_signature": "is not signed"}) == BASE


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        ("HMAC-SHA256", "qO1LLWBgTTFYc6Xq4N0lLa2JrNsi+IbDkC5Ud9uXnUc="),
        ("HMAC-SHA1", "oFVN2uv8RQk/GzVNCOHHkyO0rF4="),
    ],
)
def test_signature_is_the_published_one(method, signature):
    parameters = {**php_parameters(QUERY), **OAUTH, "oauth_signature_method": method}
    assert oauth_signature(base_string("GET", URL, parameters), SECRET, method) == signature


def test_other_methods_are_refused():
    with pytest.raises(ValueError, match="PLAINTEXT"):
        oauth_signature("base", SECRET, "PLAINTEXT")


def test_webhook_signature_is_the_published_one():
    body = b'{"id":794,"name":"Premium Quality","sku":"PQ-1","manage_stock":true,"stock_quantity":7}'
    assert webhook_signature(body, "woo-hook-secret") == "SErsBV+AtX90X3KpfC8+Bktruu8Xlkr5qhilelcwSgQ="


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("a=1&a=2", {"a": "2"}, id="the last of a repeated name stays"),
        pytest.param("a[]=1&a[]=2", {"a": {"0": "1", "1": "2"}}, id="brackets make a list"),
        pytest.param("a[x][]=1", {"a": {"x": {"0": "1"}}}, id="brackets in brackets"),
        pytest.param("a[]=1&a=2", {"a": "2"}, id="a text after a list"),
        pytest.param("a%5B%5D=1", {"a": {"0": "1"}}, id="encoded brackets"),
        pytest.param("a.b=1+2", {"a_b": "1 2"}, id="dots and pluses"),
        pytest.param("a=", {"a": ""}, id="an empty value counts"),
    ],
)
def test_a_query_is_read_as_php_reads_it(query, expected):
    assert php_parameters(query) == expected


def test_lists_are_signed_with_their_numbers():
    base = base_string("GET", "http://shop.example/x", php_parameters("include[]=7&include[]=9"))
    assert base == "GET&http%3A%2F%2Fshop.example%2Fx&include%255B0%255D%3D7%26include%255B1%255D%3D9"


def test_reserved_characters_are_encoded_twice_and_tildes_never():
    assert base_string("GET", "http://a/x", {"sku": "TS/蓝 ~-._"}).endswith("&sku%3DTS%252F%25E8%2593%259D%2520~-._")


def test_header_holds_quoted_fields():
    header = 'OAuth oauth_consumer_key="ck_1", oauth_signature="a%2Bb%3D", oauth_nonce="n"'
    assert header_parameters(header) == {
        "oauth_consumer_key": "ck_1",
        "oauth_signature": "a+b=",
        "oauth_nonce": "n",
    }
    assert header_parameters("Basic Y2s6Y3M=") == {}
