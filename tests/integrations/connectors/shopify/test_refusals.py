"""Every row of the platform's error table, and what follows from it."""

from datetime import UTC, datetime, timedelta

import pytest

from integrations.connectors.base import PushStatus
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review, Wait
from integrations.connectors.shopify import refusals
from integrations.connectors.shopify.pacing import Throttle

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


def mask(text: str) -> str:
    return text.replace("shpat_secret", "***")


def of_code(code, throttle=None, **extensions):
    errors = [{"message": "quotes shpat_secret", "extensions": {"code": code, **extensions}}]
    return refusals.graphql_error(errors, "variants", NOW, throttle, mask)


@pytest.mark.parametrize(
    ("status", "expected", "cause"),
    [
        ("401", Reauthorise, "session-invalid"),
        ("402", Review, "shop-frozen"),
        ("403", Reauthorise, "scope-missing"),
        ("404", Fatal, "wrong-shop"),
        ("423", Review, "shop-locked"),
        ("430", Review, "security-rejection"),
    ],
)
def test_a_status_with_a_meaning_of_its_own(status, expected, cause):
    found = refusals.by_status(Fatal("shopify", "variants", cause="bad-request", code=status))
    assert (type(found), found.cause, found.code) == (expected, cause, status)
    assert getattr(found, "scope", "channel") == "channel"


@pytest.mark.parametrize(
    "error",
    [
        Wait("shopify", "variants", retry_at=NOW, code="429"),
        Retry("shopify", "variants", cause="server-error", code="502", may_have_arrived=True),
        Retry("shopify", "variants", cause="timeout", may_have_arrived=True),
    ],
)
def test_any_other_status_stays_what_it_is(error):
    assert refusals.by_status(error) is error


@pytest.mark.parametrize(
    ("code", "expected", "cause"),
    [
        ("ACCESS_DENIED", Reauthorise, "scope-missing"),
        ("SHOP_INACTIVE", Review, "shop-frozen"),
        ("INTERNAL_SERVER_ERROR", Retry, "server-error"),
        ("TIMEOUT", Retry, "server-error"),
        ("INVALID_VARIABLE", Fatal, "bad-request"),
        ("undefinedField", Fatal, "bad-request"),
        ("argumentNotAccepted", Fatal, "bad-request"),
        ("missingRequiredArguments", Fatal, "bad-request"),
        ("INVALID_FIELD_ARGUMENTS", Fatal, "bad-request"),
        ("BAD_REQUEST", Fatal, "bad-request"),
        ("MAX_INPUT_SIZE_EXCEEDED", Fatal, "bad-request"),
        ("MAX_COST_EXCEEDED", Fatal, "bad-request"),
        ("SOMETHING_NEW", Review, "unrecognised"),
        ("", Review, "unrecognised"),
        (None, Review, "unrecognised"),
    ],
)
def test_a_code_says_what_happens_next(code, expected, cause):
    found = of_code(code)
    assert (type(found), found.cause, found.code) == (expected, cause, code or "")
    assert found.detail == "quotes ***"
    assert getattr(found, "may_have_arrived", True)  # nobody can tell what a server did before it failed


@pytest.mark.parametrize(
    ("requested", "available", "rate", "seconds"),
    [
        pytest.param(752, 666, 100, 1, id="the published one: 0.86 s, at least a second"),
        pytest.param(752, 0, 100, 7.52, id="as long as the refill takes"),
        pytest.param(900, 100, 50, 16, id="a slower plan"),
        pytest.param(10, 500, 100, 1, id="there by now"),
        pytest.param(1000, 0, 0, 300, id="a rate that cannot be"),
    ],
)
def test_throttling_says_how_long(requested, available, rate, seconds):
    found = of_code("THROTTLED", Throttle(requested, 0, available, 2000, rate))
    assert (type(found), found.cause) == (Wait, "quota")
    assert found.retry_at == NOW + timedelta(seconds=seconds)


def test_throttling_without_numbers_waits_a_little():
    assert of_code("THROTTLED").retry_at == NOW + timedelta(seconds=5)


@pytest.mark.parametrize("errors", [["x"], [None], [{}], [{"message": None}], [{"extensions": []}]])
def test_errors_of_any_shape_are_errors(errors):
    assert isinstance(refusals.graphql_error(errors, "variants", NOW, None, mask), ConnectorError)


@pytest.mark.parametrize(
    ("code", "expected", "cause"),
    [
        ("IDEMPOTENCY_CONCURRENT_REQUEST", Wait, "same-push-running"),
        ("SERVICE_UNAVAILABLE", Wait, "server-error"),
        ("ADJUST_QUANTITIES_FAILED", Wait, "server-error"),
        ("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", Fatal, "key-used-otherwise"),
        ("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", Retry, "server-error"),
        ("INVALID_REASON", Fatal, "bad-request"),
        ("INVALID_NAME", Fatal, "bad-request"),
        ("INVALID_REFERENCE_DOCUMENT", Fatal, "bad-request"),
    ],
)
def test_some_user_errors_are_about_the_whole_write(code, expected, cause):
    found = refusals.write_error(code, "quotes shpat_secret", "set-stock", NOW, mask)
    assert found is not None
    assert (type(found), found.cause, found.code) == (expected, cause, code)
    assert "shpat_secret" not in str(found)
    assert code not in refusals.ROWS


@pytest.mark.parametrize(
    ("code", "status", "cause"),
    [
        ("CHANGE_FROM_QUANTITY_STALE", PushStatus.STALE, "moved"),
        ("COMPARE_QUANTITY_STALE", PushStatus.STALE, "moved"),
        ("INVALID_INVENTORY_ITEM", PushStatus.REFUSED, "unknown-listing"),
        ("PRODUCT_VARIANT_DOES_NOT_EXIST", PushStatus.REFUSED, "unknown-listing"),
        ("INVALID_LOCATION", PushStatus.REFUSED, "unknown-location"),
        ("NON_MUTABLE_INVENTORY_ITEM", PushStatus.REFUSED, "stock-not-ours"),
        ("ITEM_NOT_STOCKED_AT_LOCATION", PushStatus.REFUSED, "not-stocked-there"),
        ("INVALID_QUANTITY_NEGATIVE", PushStatus.REFUSED, "refused-by-rule"),
        ("INVALID_QUANTITY_TOO_HIGH", PushStatus.REFUSED, "refused-by-rule"),
        ("INVALID_QUANTITY_TOO_LOW", PushStatus.REFUSED, "refused-by-rule"),
        ("NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", PushStatus.REFUSED, "twice-in-one-push"),
        ("SOMETHING_NEW", PushStatus.REFUSED, "refused-by-rule"),
        ("", PushStatus.REFUSED, "refused-by-rule"),
    ],
)
def test_the_others_are_about_a_row(code, status, cause):
    assert refusals.write_error(code, "", "set-stock", NOW, mask) is None
    assert refusals.ROWS.get(code, refusals.REFUSED_ROW) == (status, cause)


@pytest.mark.parametrize(
    ("code", "expected", "cause"),
    [
        ("invalid_grant", Reauthorise, "authorisation-refused"),
        ("invalid_request", Reauthorise, "authorisation-refused"),
        ("invalid_client", Fatal, "bad-secret"),
        ("application_cannot_be_found", Fatal, "bad-app-key"),
        ("shop_not_permitted", Review, "other-organisation"),
        ("unsupported_grant_type", Fatal, "bad-request"),
        ("THROTTLED", Wait, "quota"),
        ("something_new", Review, "unrecognised"),
    ],
)
def test_the_token_endpoint_has_words_of_its_own(code, expected, cause):
    found = refusals.token_error(code, "quotes shpat_secret", "token", NOW, mask)
    assert (type(found), found.cause) == (expected, cause)
    assert "shpat_secret" not in str(found)
