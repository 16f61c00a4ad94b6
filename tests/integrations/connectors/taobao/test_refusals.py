from datetime import UTC, datetime, timedelta

import pytest

from integrations.connectors.errors import Fatal, Reauthorise, Retry, Review, Wait
from integrations.connectors.taobao.parse import Refusal
from integrations.connectors.taobao.refusals import gateway_error, token_error

pytestmark = pytest.mark.pure

NOW = datetime(2025, 6, 1, 4, 0, tzinfo=UTC)  # noon at the gateway
MIDNIGHT = datetime(2025, 6, 1, 16, 0, tzinfo=UTC)  # 00:00 GMT+8 of the next day


def error_for(code, sub_code="", message=""):
    return gateway_error(Refusal(str(code), sub_code, message, "req-1"), "taobao.x.get", NOW, lambda text: text)


@pytest.mark.parametrize(
    ("code", "expected", "cause"),
    [
        *((code, Wait, "quota") for code in (4, 5, 6, 7, 8)),
        (10, Retry, "server-error"),
        *((code, Review, "platform-fault") for code in (15, 50, 500, 501, 530, 599)),
        *((code, Review, "permission") for code in (11, 12, 13)),
        *((code, Fatal, "bad-signature") for code in (24, 25)),
        *((code, Reauthorise, "session-invalid") for code in (26, 27)),
        *((code, Fatal, "bad-app-key") for code in (28, 29)),
        *((code, Fatal, "clock") for code in (30, 31)),
        *((code, Fatal, "bad-request") for code in (3, 9, 21, 22, 23, 32, 33, 34, 40, 41, 42, 43)),
        (999, Review, "unrecognised"),
        ("", Review, "unrecognised"),
    ],
)
def test_a_code_alone_says_what_happens_next(code, expected, cause):
    error = error_for(code)
    assert (type(error), error.cause) == (expected, cause)
    assert getattr(error, "scope", "channel") == "channel"


@pytest.mark.parametrize(
    ("sub_code", "expected", "cause"),
    [
        *(
            (sub_code, Retry, "server-error")
            for sub_code in (
                "isp.remote-service-error",
                "isp.remote-service-timeout",
                "isp.remote-connection-error",
                "isp.top-remote-connection-timeout",
                "isp.top-remote-connection-error",
                "isp.top-remote-service-unavailable",
                "isp.item-service-unavailable",
                "isp.unknown-error",
                "isp.system-busy",
                "isp.item-update-service-error:IC_SYSTEM_NOT_READY_TRY_AGAIN_LATER",
            )
        ),
        ("isp.null-pointer-exception", Review, "platform-fault"),
        ("isp.top-parse-error", Review, "platform-fault"),
        ("isp.top-mapping-parse-error", Review, "platform-fault"),
        ("isp.item-update-service-error:IC_OTHER", Review, "platform-fault"),
        ("isv.missing-parameter:num_iids", Fatal, "bad-request"),
        ("isv.invalid-parameter:fields", Fatal, "bad-request"),
        ("isv.invalid-parameter", Fatal, "bad-request"),
        ("isv.parameters-mismatch:price-and-sku", Fatal, "bad-request"),
        ("isv.invalid-parameter:gain-number-too-large", Fatal, "paging-too-deep"),
        ("isv.permission-api-package-empty", Review, "permission"),
        ("isv.permission-api-package-limit", Review, "permission"),
        ("isv.permission-api-package-not-allowed", Review, "permission"),
        ("isv.permission-ip-whitelist-limit", Review, "ip-whitelist"),
        ("invalid-sessionkey", Reauthorise, "session-invalid"),
        ("session-expired", Reauthorise, "session-invalid"),
        ("session-not-exist", Reauthorise, "session-invalid"),
        ("sessionkey-not-generated-by-server", Reauthorise, "session-invalid"),
        ("isv.session-not-exist", Reauthorise, "session-invalid"),
        ("accesscontrol.limited-by-app-access-count", Wait, "daily-quota"),
        ("accesscontrol.limited-by-api-access-count", Wait, "quota"),
        ("accesscontrol.limited-by-app-api-access-count", Wait, "quota"),
        ("accesscontrol.limited-by-dynamic-access-count", Wait, "quota"),
        ("isp.call-limited", Wait, "quota"),
    ],
)
@pytest.mark.parametrize("code", [15, 50, 530])
def test_a_sub_code_decides_before_the_code(code, sub_code, expected, cause):
    error = error_for(code, sub_code)
    assert (type(error), error.cause) == (expected, cause)
    assert getattr(error, "scope", "channel") == "channel"


ROW_SUB_CODES = [
    ("isv.sku-not-exist:invalid-skuId", "unknown-variant"),
    ("isv.sku-not-exist", "unknown-variant"),
    ("isv.item-update-service-error:IC_CHECKSTEP_PRICE_ERROR", "refused-by-rule"),
    ("isv.item-update-service-error:IC_CHECKSTEP_ITME_SKU_PRICE_UNMATCH", "refused-by-rule"),
]


@pytest.mark.parametrize(
    ("sub_code", "cause"),
    [
        ("isv.item-not-exist:invalid-numIid-or-iid", "unknown-listing"),
        ("isv.item-not-exist", "unknown-listing"),
        ("isv.invalid-permission:update-item", "foreign-listing"),
        *ROW_SUB_CODES,
    ],
)
def test_some_refusals_are_about_one_listing(sub_code, cause):
    error = error_for(15, sub_code)
    assert (type(error), error.cause, error.scope) == (Review, cause, "listing")


@pytest.mark.parametrize(
    ("sub_code", "message", "expected"),
    [
        pytest.param(
            "accesscontrol.limited-by-api-access-count",
            "This ban will last for 7 more seconds",
            NOW + timedelta(seconds=7),
            id="as the platform says",
        ),
        pytest.param("accesscontrol.limited-by-api-access-count", "", NOW + timedelta(seconds=2), id="not said"),
        pytest.param("isp.call-limited", "", NOW + timedelta(seconds=1), id="call-limited"),
        pytest.param("", "", NOW + timedelta(seconds=60), id="code 7 and nothing more"),
        pytest.param(
            "", "This ban will last for 0 more seconds", NOW + timedelta(seconds=1), id="never without a pause"
        ),
        pytest.param("", f"This ban will last for {'9' * 5000} more seconds", NOW + timedelta(days=1), id="hostile"),
        pytest.param(
            "accesscontrol.limited-by-app-access-count",
            "This ban will last for 31062 more seconds",
            MIDNIGHT,
            id="the day's quota lasts until midnight at the gateway",
        ),
    ],
)
def test_waits_end_when_the_platform_says(sub_code, message, expected):
    assert error_for(7, sub_code, message).retry_at == expected


def test_the_gateway_day_turns_at_16_utc():
    last_second = datetime(2025, 6, 1, 15, 59, 59, tzinfo=UTC)
    refusal = Refusal("7", "accesscontrol.limited-by-app-access-count")
    before, at = gateway_error(refusal, "x", last_second, str), gateway_error(refusal, "x", MIDNIGHT, str)
    assert isinstance(before, Wait)
    assert isinstance(at, Wait)
    assert (before.retry_at, at.retry_at) == (MIDNIGHT, MIDNIGHT + timedelta(days=1))


def test_errors_say_where_they_come_from_and_mask_what_they_are_told_to():
    error = gateway_error(
        Refusal("27", "session-expired", "session 6200e1 has\nexpired", "req-1"),
        "taobao.x.get",
        NOW,
        lambda text: text.replace("6200e1", "***"),
    )
    assert str(error) == (
        "taobao taobao.x.get: reauthorise (session-invalid), code 27 session-expired, request req-1: "
        "session *** has expired"
    )


@pytest.mark.parametrize(
    ("word", "expected", "cause"),
    [
        ("invalid_client", Reauthorise, "authorisation-refused"),
        ("invalid_grant", Reauthorise, "authorisation-refused"),
        ("access_denied", Reauthorise, "authorisation-refused"),
        ("unauthorized_client", Fatal, "bad-app-key"),
        ("invalid_request", Fatal, "bad-request"),
        ("unsupported_grant_type", Fatal, "bad-request"),
        ("server_error", Retry, "server-error"),
        ("temporarily_unavailable", Retry, "server-error"),
        ("something_new", Review, "unrecognised"),
    ],
)
def test_the_authorisation_server_has_its_own_words(word, expected, cause):
    error = token_error(Refusal(word), "token", NOW, str)
    assert (type(error), error.cause) == (expected, cause)
