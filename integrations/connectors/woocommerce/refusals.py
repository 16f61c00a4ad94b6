"""What each refusal of a WooCommerce shop means for us, as data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review

PLATFORM = "woocommerce"
CLOCK = "clock"
NONCE = "nonce-used"
NO_API = "no-api"
ANONYMOUS = "keys-not-taken"


@dataclass(frozen=True, slots=True)
class Meaning:
    error: type[ConnectorError]
    cause: str
    scope: Literal["listing", "channel"] = "channel"  # Review


SERVER_ERROR = Meaning(Retry, "server-error")
BAD_REQUEST = Meaning(Fatal, "bad-request")
UNKNOWN_LISTING = Meaning(Review, "unknown-listing", "listing")

# Of "woocommerce_rest_authentication_error", by what its message says; the first that fits decides.
BY_AUTHENTICATION_MESSAGE: tuple[tuple[str, Meaning], ...] = (
    ("permission", Meaning(Reauthorise, "scope-missing")),
    ("timestamp", Meaning(Fatal, CLOCK)),
    ("nonce", Meaning(Retry, NONCE)),
    ("consumer key", Meaning(Reauthorise, "bad-app-key")),
    ("consumer secret", Meaning(Reauthorise, "bad-secret")),
    ("signature", Meaning(Reauthorise, "bad-secret")),
)
_NOT_ALLOWED = ("cannot_view", "cannot_edit", "cannot_create", "cannot_batch", "cannot_delete")

BY_CODE: dict[str, Meaning] = {
    "woocommerce_rest_authentication_error": Meaning(Reauthorise, "bad-secret"),
    "woocommerce_rest_authentication_missing_parameter": BAD_REQUEST,
    "rest_no_route": Meaning(Review, NO_API),
    "woocommerce_rest_product_invalid_id": UNKNOWN_LISTING,
    "woocommerce_rest_product_variation_invalid_id": UNKNOWN_LISTING,
    "woocommerce_rest_invalid_product_id": UNKNOWN_LISTING,
    "rest_invalid_param": BAD_REQUEST,
    "rest_missing_callback_param": BAD_REQUEST,
    "product_invalid_sku": Meaning(Review, "refused-by-rule", "listing"),
    "woocommerce_rest_request_entity_too_large": Meaning(Fatal, "too-many-rows"),
    "woocommerce_rest_trash_not_supported": BAD_REQUEST,
    "internal_server_error": SERVER_ERROR,
}

# A row of a batch, by the code of its error.
ROWS: dict[str, str] = {
    "woocommerce_rest_product_invalid_id": "unknown-listing",
    "woocommerce_rest_product_variation_invalid_id": "unknown-listing",
    "woocommerce_rest_invalid_product_id": "unknown-listing",
    "woocommerce_rest_cannot_edit": "not-allowed",
}
REFUSED_ROW = "refused-by-rule"


def meaning(status: int, code: str, message: str) -> Meaning:
    if code == "woocommerce_rest_authentication_error":
        said = message.lower()
        return next((found for word, found in BY_AUTHENTICATION_MESSAGE if word in said), BY_CODE[code])
    if code.endswith(_NOT_ALLOWED):
        # A shop that did not see our keys takes us for a visitor: 401. One that saw them knows whom they belong to.
        return Meaning(Reauthorise, ANONYMOUS if status == 401 else "scope-missing")
    if code in BY_CODE:
        return BY_CODE[code]
    if status == 401:
        return Meaning(Reauthorise, ANONYMOUS)
    if status == 403:
        return Meaning(Review, "forbidden")
    if status == 413:
        return BY_CODE["woocommerce_rest_request_entity_too_large"]
    if status >= 500:
        return SERVER_ERROR
    return BAD_REQUEST if status == 400 else Meaning(Review, "unrecognised")


def error(status: int, code: str, message: str, operation: str, mask: Callable[[str], str]) -> ConnectorError:
    found = meaning(status, code, message)
    said = {"code": mask(f"{status} {code}".strip()), "detail": mask(message)}
    if issubclass(found.error, Review):
        return Review(PLATFORM, operation, cause=found.cause, scope=found.scope, **said)
    if issubclass(found.error, Retry):
        return Retry(PLATFORM, operation, cause=found.cause, may_have_arrived=status >= 500, **said)
    return found.error(PLATFORM, operation, cause=found.cause, **said)
