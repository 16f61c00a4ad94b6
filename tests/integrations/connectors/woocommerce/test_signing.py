"""WooCommerce's signatures against vectors that were computed apart and taken by its own clients' servers."""

from datetime import UTC, datetime

import pytest

from integrations.connectors.woocommerce.signing import basic, is_genuine_body, query, signed

pytestmark = pytest.mark.pure

KEY, SECRET = "ck_1234567890abcdef1234567890abcdef12345678", "cs_abcdef1234567890abcdef1234567890abcdef12"
NOW = datetime.fromtimestamp(1795200000, UTC)
BODY = b'{"id":794,"name":"Premium Quality","sku":"PQ-1","manage_stock":true,"stock_quantity":7}'
SIGNATURE = "SErsBV+AtX90X3KpfC8+Bktruu8Xlkr5qhilelcwSgQ="


def sign(verb="GET", address="http://127.0.0.1:8088/wp-json/wc/v3/products", secret=SECRET, **parameters):
    found = signed(verb, address, parameters, key=KEY, secret=secret, nonce="c2d2e7a0b6f94a3f9a0c6b1e4d5f7788", now=NOW)
    return found["oauth_signature"]


def test_a_call_is_signed_as_in_the_reference():
    parameters = {"modified_after": "2026-11-01T00:00:00", "page": "2", "per_page": "100"}
    assert sign(**parameters) == "qO1LLWBgTTFYc6Xq4N0lLa2JrNsi+IbDkC5Ud9uXnUc="
    assert sign("get", **dict(reversed(parameters.items()))) == sign(**parameters)


@pytest.mark.parametrize(
    "changed",
    [
        {"verb": "POST"},
        {"address": "http://127.0.0.1:8089/wp-json/wc/v3/products"},
        {"secret": "cs_" + "0" * 40},
        {"page": "3"},
        {"sku": "A/红 色"},
    ],
)
def test_everything_is_part_of_the_signature(changed):
    assert sign(**changed) != sign()


def test_what_is_sent_is_encoded_as_it_was_signed():
    assert query({"sku": "A/红 ~*", "page": "2"}) == "sku=A%2F%E7%BA%A2%20~%2A&page=2"


def test_the_key_pair_goes_over_tls_as_basic():
    encoded = (
        "Y2tfMTIzNDU2Nzg5MGFiY2RlZjEyMzQ1Njc4OTBhYmNkZWYxMjM0NTY3ODpj"
        "c19hYmNkZWYxMjM0NTY3ODkwYWJjZGVmMTIzNDU2Nzg5MGFiY2RlZjEy"
    )
    assert basic(KEY, SECRET) == f"Basic {encoded}"


@pytest.mark.parametrize(
    ("body", "signature", "secrets", "expected"),
    [
        pytest.param(BODY, SIGNATURE, ["woo-hook-secret"], True, id="as published"),
        pytest.param(BODY, SIGNATURE, ["new", "woo-hook-secret"], True, id="the secret before a rotation"),
        pytest.param(BODY, SIGNATURE, [], False, id="no secret"),
        pytest.param(BODY, SIGNATURE, ["", "other"], False, id="another secret"),
        pytest.param(BODY.replace(b"7}", b"8}"), SIGNATURE, ["woo-hook-secret"], False, id="another figure"),
        pytest.param(BODY.replace(b",", b", "), SIGNATURE, ["woo-hook-secret"], False, id="written anew"),
        pytest.param(BODY, "", ["woo-hook-secret"], False, id="not signed"),
        pytest.param(BODY, SIGNATURE.lower(), ["woo-hook-secret"], False, id="another case"),
        pytest.param(BODY, "48" * 32, ["woo-hook-secret"], False, id="hex"),
        pytest.param(BODY, "签名", ["woo-hook-secret"], False, id="not base64"),
    ],
)
def test_a_webhook_is_genuine_when_its_raw_body_was_signed_with_a_secret(body, signature, secrets, expected):
    assert is_genuine_body(body, signature, secrets) is expected
