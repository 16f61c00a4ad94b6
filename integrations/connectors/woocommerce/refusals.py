"""What each refusal of a WooCommerce shop means for us, as data. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from integrations.connectors.base import READS_ONLY
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review

PLATFORM = "woocommerce"
# Causes that another way of asking may end.
CLOCK = "clock"
NONCE = "nonce-used"
SIGNATURE = "bad-signature"
NO_API = "no-api"
ANONYMOUS = "keys-not-taken"
ROLE_TOO_WEAK = "role-too-weak"
BAD_SECRET = "bad-secret"  # noqa: S105  # a cause
NO_ORDER = "unknown-order"
# What is written again in smaller parts.
TOO_MANY_ROWS = "too-many-rows"


@dataclass(frozen=True, slots=True)
class Meaning:
    error: type[ConnectorError]
    cause: str
    scope: Literal["listing", "channel"] = "channel"  # of Review


_SERVER_ERROR = Meaning(Retry, "server-error")
_BAD_REQUEST = Meaning(Fatal, "bad-request")
_NO_API = Meaning(Review, NO_API)
_TOO_MANY_ROWS = Meaning(Fatal, TOO_MANY_ROWS)
_UNKNOWN_LISTING = Meaning(Review, "unknown-listing", "listing")
_UNKNOWN_VARIANT = Meaning(Review, "unknown-variant", "listing")
_REFUSED_BY_RULE = Meaning(Review, "refused-by-rule", "listing")

_AUTHENTICATION = "woocommerce_rest_authentication_error"
# Of that one code, by what its message says; the first that fits decides.
_BY_AUTHENTICATION_MESSAGE: tuple[tuple[str, Meaning], ...] = (
    ("write permission", Meaning(Reauthorise, READS_ONLY)),
    ("permission", Meaning(Reauthorise, "scope-missing")),
    ("timestamp", Meaning(Fatal, CLOCK)),
    ("nonce", Meaning(Retry, NONCE)),
    ("signature", Meaning(Reauthorise, SIGNATURE)),
    ("consumer key", Meaning(Reauthorise, "bad-app-key")),
)
_NOT_ALLOWED = ("_cannot_view", "_cannot_edit", "_cannot_create", "_cannot_batch", "_cannot_delete")

BY_CODE: dict[str, Meaning] = {
    _AUTHENTICATION: Meaning(Reauthorise, BAD_SECRET),
    "woocommerce_rest_authentication_missing_parameter": _BAD_REQUEST,
    "rest_no_route": _NO_API,
    "woocommerce_rest_product_invalid_id": _UNKNOWN_LISTING,
    "woocommerce_rest_product_variation_invalid_id": _UNKNOWN_VARIANT,
    "woocommerce_rest_order_invalid_id": Meaning(Review, NO_ORDER, "listing"),
    "woocommerce_rest_shop_order_invalid_id": Meaning(Review, NO_ORDER, "listing"),
    "woocommerce_rest_invalid_product_id": _UNKNOWN_LISTING,  # a variation, where a product is meant
    "rest_invalid_param": _BAD_REQUEST,
    "rest_missing_callback_param": _BAD_REQUEST,
    "product_invalid_sku": _REFUSED_BY_RULE,
    "woocommerce_rest_request_entity_too_large": _TOO_MANY_ROWS,
    "woocommerce_rest_trash_not_supported": _BAD_REQUEST,
    "internal_server_error": _SERVER_ERROR,
}

# By the status of an answer that is a page: its server speaks for WordPress.
BY_PAGE: dict[str, Meaning] = {"404": _NO_API, "413": _TOO_MANY_ROWS, "500": _SERVER_ERROR}


def meaning(status: int, code: str, message: str) -> Meaning:
    if code == _AUTHENTICATION:
        said = message.lower()
        return next((found for word, found in _BY_AUTHENTICATION_MESSAGE if word in said), BY_CODE[code])
    if code.endswith(_NOT_ALLOWED):
        # A shop that did not see our keys takes us for a visitor: 401. One that saw them knows whom they belong to.
        return Meaning(Reauthorise, ANONYMOUS if status == 401 else ROLE_TOO_WEAK)
    if code in BY_CODE:
        return BY_CODE[code]
    match status:
        case 400:
            return _BAD_REQUEST
        case 401:
            return Meaning(Reauthorise, ANONYMOUS)
        case 403:
            return Meaning(Review, "forbidden")
        case 413:
            return _TOO_MANY_ROWS
        case _ if status >= 500:
            return _SERVER_ERROR
    return Meaning(Review, "unrecognised")


def row_cause(code: str) -> str:
    """Why one row of a batch was refused, by the code of its error."""
    found = BY_CODE.get(code)
    return found.cause if found is not None and found.scope == "listing" else "refused-by-rule"


def error(status: int, code: str, message: str, operation: str, mask: Callable[[str], str]) -> ConnectorError:
    found = meaning(status, code, message)
    return of(found, operation, code=mask(f"{status} {code}".strip()), detail=mask(message))


def of(found: Meaning, operation: str, *, code: str, detail: str = "") -> ConnectorError:
    if issubclass(found.error, Review):
        return Review(PLATFORM, operation, cause=found.cause, scope=found.scope, code=code, detail=detail)
    if issubclass(found.error, Retry):
        # A server that failed may have done a part before; one that refuses has done nothing.
        has_failed = found is _SERVER_ERROR
        return Retry(PLATFORM, operation, cause=found.cause, code=code, detail=detail, may_have_arrived=has_failed)
    return found.error(PLATFORM, operation, cause=found.cause, code=code, detail=detail)
