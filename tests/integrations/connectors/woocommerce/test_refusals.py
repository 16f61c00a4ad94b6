import pytest

from integrations.connectors.errors import Fatal, Reauthorise, Retry, Review
from integrations.connectors.woocommerce import refusals

pytestmark = pytest.mark.pure

AUTHENTICATION = "woocommerce_rest_authentication_error"


def error_for(status, code, message=""):
    return refusals.error(status, code, message, "GET products", lambda text: text)


@pytest.mark.parametrize(
    ("status", "code", "message", "expected", "cause"),
    [
        (401, AUTHENTICATION, "Consumer secret is invalid.", Reauthorise, "bad-secret"),
        (401, AUTHENTICATION, "Consumer key is invalid.", Reauthorise, "bad-app-key"),
        (
            401,
            AUTHENTICATION,
            "Invalid signature - provided signature does not match.",
            Reauthorise,
            "bad-signature",
        ),
        (401, AUTHENTICATION, "Invalid timestamp.", Fatal, "clock"),
        (401, AUTHENTICATION, "Invalid nonce - nonce has already been used.", Retry, "nonce-used"),
        (401, AUTHENTICATION, "The API key provided does not have read permissions.", Reauthorise, "scope-missing"),
        (401, AUTHENTICATION, "The API key provided does not have write permissions.", Reauthorise, "key-reads-only"),
        (401, AUTHENTICATION, "密钥无效", Reauthorise, "bad-secret"),
        (401, "woocommerce_rest_authentication_missing_parameter", "", Fatal, "bad-request"),
        *(
            (status, f"woocommerce_rest_cannot_{deed}", "Sorry", Reauthorise, cause)
            for deed in ("view", "edit", "create", "batch", "delete")
            for status, cause in ((401, "keys-not-taken"), (403, "role-too-weak"))
        ),
        (404, "rest_no_route", "", Review, "no-api"),
        (400, "rest_invalid_param", "", Fatal, "bad-request"),
        (400, "rest_missing_callback_param", "", Fatal, "bad-request"),
        (413, "woocommerce_rest_request_entity_too_large", "", Fatal, "too-many-rows"),
        (413, "", "", Fatal, "too-many-rows"),
        (500, "internal_server_error", "", Retry, "server-error"),
        (500, "woocommerce_rest_something", "", Retry, "server-error"),
        (501, "woocommerce_rest_trash_not_supported", "", Fatal, "bad-request"),
        (401, "rest_forbidden", "", Reauthorise, "keys-not-taken"),
        (403, "wordfence_blocked", "", Review, "forbidden"),
        (400, "something_new", "", Fatal, "bad-request"),
        (404, "something_new", "", Review, "unrecognised"),
    ],
)
def test_a_refusal_says_what_happens_next(status, code, message, expected, cause):
    error = error_for(status, code, message)
    assert (type(error), error.cause) == (expected, cause)
    assert getattr(error, "scope", "channel") == "channel"
    assert error.code == f"{status} {code}".strip()


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        *((status, "woocommerce_rest_product_invalid_id", "unknown-listing") for status in (400, 404)),
        *((status, "woocommerce_rest_product_variation_invalid_id", "unknown-variant") for status in (400, 404)),
        (404, "woocommerce_rest_invalid_product_id", "unknown-listing"),
        (400, "product_invalid_sku", "refused-by-rule"),
        (404, "woocommerce_rest_order_invalid_id", "unknown-order"),
    ],
)
def test_some_refusals_are_about_one_listing_or_order(status, code, cause):
    error = error_for(status, code)
    assert (type(error), error.cause, error.scope) == (Review, cause, "listing")


@pytest.mark.parametrize(("status", "code"), [(500, "internal_server_error"), (500, ""), (501, "other")])
def test_what_failed_may_have_been_carried_out(status, code):
    assert error_for(status, code).may_have_arrived is True


def test_a_used_nonce_was_refused_before_anything_was_done():
    assert error_for(401, AUTHENTICATION, "Invalid nonce - nonce has already been used.").may_have_arrived is False


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("woocommerce_rest_product_invalid_id", "unknown-listing"),
        ("woocommerce_rest_product_variation_invalid_id", "unknown-variant"),
        ("product_invalid_sku", "refused-by-rule"),
        ("woocommerce_rest_cannot_edit", "refused-by-rule"),
        ("rest_invalid_param", "refused-by-rule"),
        ("", "refused-by-rule"),
    ],
)
def test_a_row_of_a_batch_is_refused_for_a_cause(code, cause):
    assert refusals.row_cause(code) == cause


def test_errors_say_where_they_come_from_and_mask_what_they_are_told_to():
    error = refusals.error(
        403, "woocommerce_rest_cannot_edit", "no\ncs_1", "POST products/batch", lambda text: text.replace("cs_1", "***")
    )
    assert str(error) == (
        "woocommerce POST products/batch: reauthorise (role-too-weak), code 403 woocommerce_rest_cannot_edit: no ***"
    )
