"""Signatures, by the vectors that Shopify and its libraries publish."""

import base64
import hmac

import pytest

from integrations.connectors.shopify.signing import is_genuine_body, is_genuine_callback

pytestmark = pytest.mark.pure

CALLBACK = {
    "code": "0907a61c0c8d55e99db179b68161bc00",
    "shop": "some-shop.myshopify.com",
    "state": "0.6784241404160823",
    "timestamp": "1337178173",
}
WITHOUT_HOST = "700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf"
WITH_HOST = "9fe3d5ea81959305fd96bd3d2d44e878654e753bc8e455b5369c15a009412163"
HOST = {"host": "YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvc29tZS1zaG9w"}

LEVEL = (
    rb'{"inventory_item_id":271878346596884015,"location_id":24826418,"available":7,'
    rb'"updated_at":"2026-11-21T10:15:30-05:00",'
    rb'"admin_graphql_api_id":"gid:\/\/shopify\/InventoryLevel\/24826418?inventory_item_id=271878346596884015"}'
)
LEVEL_SIGNATURE = "3xpASQIg/DK8E8PjGF4Q/Qumc8j8IuG0QIXBWmShvnw="
LEVEL_SECRET = "shpss_demo_secret"


@pytest.mark.parametrize(
    ("parameters", "digest"),
    [
        pytest.param(CALLBACK, WITHOUT_HOST, id="without host"),
        pytest.param(CALLBACK | HOST, WITH_HOST, id="with host"),
        pytest.param(CALLBACK | {"signature": "old style"}, WITHOUT_HOST, id="signature is not signed"),
        pytest.param(dict(reversed(CALLBACK.items())), WITHOUT_HOST, id="in any order"),
    ],
)
def test_published_callbacks_are_genuine(parameters, digest):
    assert is_genuine_callback(parameters | {"hmac": digest}, "hush")
    assert not is_genuine_callback(parameters | {"hmac": digest}, "hush2")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"shop": "other-shop.myshopify.com"}, id="another shop"),
        pytest.param({"state": "1"}, id="another state"),
        pytest.param({"hmac": ""}, id="no hmac"),
        pytest.param({"hmac": WITHOUT_HOST.upper()}, id="upper case"),
        pytest.param({"hmac": "ü" * 64}, id="no hex"),
        pytest.param({"extra": "1"}, id="a parameter more"),
    ],
)
def test_a_callback_that_was_touched_is_not_genuine(changes):
    assert not is_genuine_callback(CALLBACK | {"hmac": WITHOUT_HOST} | changes, "hush")


@pytest.mark.parametrize(
    ("body", "signature", "secret"),
    [
        pytest.param(LEVEL, LEVEL_SIGNATURE, LEVEL_SECRET, id="inventory level"),
        pytest.param(
            b'{"foo": "bar"}', "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g=", "test_secret_key", id="Node library"
        ),
    ],
)
def test_published_bodies_are_genuine(body, signature, secret):
    assert is_genuine_body(body, signature, [secret])
    assert is_genuine_body(body, signature, ["new", secret])  # for an hour after a rotation
    assert not is_genuine_body(body, signature, ["new"])
    assert not is_genuine_body(body, signature, [])
    assert not is_genuine_body(body + b" ", signature, [secret])


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "not base64",
        "df1a404920",
        "ü",
        LEVEL_SIGNATURE.lower(),
        LEVEL_SIGNATURE[:-1],
        base64.b64decode(LEVEL_SIGNATURE).hex(),  # what a generic check would compare with
    ],
)
def test_what_is_no_signature_is_refused(signature):
    assert not is_genuine_body(LEVEL, signature, [LEVEL_SECRET])


def test_an_empty_secret_signs_nothing():
    forged = base64.b64encode(hmac.digest(b"", LEVEL, "sha256")).decode()
    assert not is_genuine_body(LEVEL, forged, ["", LEVEL_SECRET])


def test_parsing_and_writing_again_breaks_a_signature():
    assert not is_genuine_body(LEVEL.replace(rb"\/", b"/"), LEVEL_SIGNATURE, [LEVEL_SECRET])
