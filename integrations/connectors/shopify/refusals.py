"""What each refusal of Shopify means for us, as data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from integrations.connectors.base import PushStatus
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review, Wait
from integrations.connectors.shopify.pacing import Throttle
from integrations.connectors.values import text

PLATFORM = "shopify"
_LONGEST_THROTTLE = timedelta(minutes=5)
_SHORT_WAIT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Meaning:
    error: type[ConnectorError]
    cause: str
    scope: Literal["listing", "channel"] = "channel"  # Review


BAD_REQUEST = Meaning(Fatal, "bad-request")
SERVER_ERROR = Meaning(Retry, "server-error")
SCOPE_MISSING = Meaning(Reauthorise, "scope-missing")
UNRECOGNISED = Meaning(Review, "unrecognised")

BY_STATUS: dict[str, Meaning] = {
    "401": Meaning(Reauthorise, "session-invalid"),
    "402": Meaning(Review, "shop-frozen"),
    "403": SCOPE_MISSING,
    "404": Meaning(Fatal, "wrong-shop"),
    "423": Meaning(Review, "shop-locked"),
    "430": Meaning(Review, "security-rejection"),
}

# extensions.code of a top-level error.
BY_CODE: dict[str, Meaning] = {
    "THROTTLED": Meaning(Wait, "quota"),
    "ACCESS_DENIED": SCOPE_MISSING,
    "SHOP_INACTIVE": Meaning(Review, "shop-frozen"),
    "INTERNAL_SERVER_ERROR": SERVER_ERROR,
    "TIMEOUT": SERVER_ERROR,
    **dict.fromkeys(
        (
            "INVALID_VARIABLE",
            "INVALID_FIELD_ARGUMENTS",
            "BAD_REQUEST",
            "MAX_INPUT_SIZE_EXCEEDED",
            "MAX_COST_EXCEEDED",
            "undefinedField",
            "argumentNotAccepted",
            "missingRequiredArguments",
            "selectionMismatch",
        ),
        BAD_REQUEST,
    ),
}

# The token endpoint's own words.
BY_OAUTH_ERROR: dict[str, Meaning] = {
    "invalid_grant": Meaning(Reauthorise, "authorisation-refused"),
    "invalid_request": Meaning(Reauthorise, "authorisation-refused"),  # a code that was used or has expired
    "invalid_client": Meaning(Fatal, "bad-secret"),
    "application_cannot_be_found": Meaning(Fatal, "bad-app-key"),
    "shop_not_permitted": Meaning(Review, "other-organisation"),
    "unsupported_grant_type": BAD_REQUEST,
    "THROTTLED": Meaning(Wait, "quota"),
}

# A row of a stock write, by the code of its userError.
ROWS: dict[str, tuple[PushStatus, str]] = {
    "CHANGE_FROM_QUANTITY_STALE": (PushStatus.STALE, "moved"),
    "COMPARE_QUANTITY_STALE": (PushStatus.STALE, "moved"),
    "INVALID_INVENTORY_ITEM": (PushStatus.REFUSED, "unknown-listing"),
    "PRODUCT_VARIANT_DOES_NOT_EXIST": (PushStatus.REFUSED, "unknown-listing"),
    "INVALID_LOCATION": (PushStatus.REFUSED, "unknown-location"),
    "NON_MUTABLE_INVENTORY_ITEM": (PushStatus.REFUSED, "stock-not-ours"),
    "ITEM_NOT_STOCKED_AT_LOCATION": (PushStatus.REFUSED, "not-stocked-there"),
    "INVALID_QUANTITY_NEGATIVE": (PushStatus.REFUSED, "refused-by-rule"),
    "INVALID_QUANTITY_TOO_HIGH": (PushStatus.REFUSED, "refused-by-rule"),
    "INVALID_QUANTITY_TOO_LOW": (PushStatus.REFUSED, "refused-by-rule"),
    "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR": (PushStatus.REFUSED, "twice-in-one-push"),
}
REFUSED_ROW = (PushStatus.REFUSED, "refused-by-rule")

# A stock write as a whole.
IDEMPOTENCY_FAILED = "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
BY_WRITE_CODE: dict[str, Meaning] = {
    "IDEMPOTENCY_CONCURRENT_REQUEST": Meaning(Wait, "same-push-running"),
    "SERVICE_UNAVAILABLE": Meaning(Wait, "server-error"),
    "ADJUST_QUANTITIES_FAILED": Meaning(Wait, "server-error"),
    "IDEMPOTENCY_KEY_PARAMETER_MISMATCH": Meaning(Fatal, "key-used-otherwise"),
    IDEMPOTENCY_FAILED: SERVER_ERROR,  # under several keys in turn
    "INVALID_REASON": BAD_REQUEST,
    "INVALID_NAME": BAD_REQUEST,
    "INVALID_REFERENCE_DOCUMENT": BAD_REQUEST,
}
# Of these a repeated write says nothing about what became of the first one.
VAGUE_WRITE_CODES = BY_WRITE_CODE.keys() - {IDEMPOTENCY_FAILED}

Mask = Callable[[str], str]


def by_status(error: ConnectorError) -> ConnectorError:
    """The error for an HTTP status that has a meaning of its own here; any other stays what it is."""
    found = BY_STATUS.get(error.code)
    return error if found is None else _error(found, error.operation, code=error.code, detail="")


def graphql_error(
    errors: Sequence[Any], operation: str, now: datetime, throttle: Throttle | None, mask: Mask
) -> ConnectorError:
    """The error for top-level `errors`: the request or the server is at fault."""
    first: Mapping[str, Any] = next((each for each in errors if isinstance(each, Mapping)), {})
    extensions = first.get("extensions")
    code = text(extensions.get("code")) if isinstance(extensions, Mapping) else ""
    detail = mask(text(first.get("message")))
    found = BY_CODE.get(code, UNRECOGNISED)
    if found.error is Wait:
        return Wait(PLATFORM, operation, cause=found.cause, code=code, retry_at=now + _throttled_for(throttle))
    if found is SERVER_ERROR:
        return Retry(PLATFORM, operation, cause=found.cause, code=code, detail=detail, may_have_arrived=True)
    return _error(found, operation, code=code, detail=detail)


def _throttled_for(throttle: Throttle | None) -> timedelta:
    """Until the bucket holds what the call asked for; at least a second."""
    if throttle is None:
        return _SHORT_WAIT
    missing = (throttle.requested - throttle.available) / max(throttle.restore_rate, 1.0)
    return min(max(timedelta(seconds=missing), timedelta(seconds=1)), _LONGEST_THROTTLE)


def token_error(code: str, description: str, operation: str, now: datetime, mask: Mask) -> ConnectorError:
    found = BY_OAUTH_ERROR.get(code, UNRECOGNISED)
    if found.error is Wait:
        return Wait(PLATFORM, operation, cause=found.cause, code=code, retry_at=now + _SHORT_WAIT)
    return _error(found, operation, code=mask(code), detail=mask(description))


def write_error(code: str, message: str, operation: str, now: datetime, mask: Mask) -> ConnectorError | None:
    """The error for a userError that concerns a whole write, of which nothing was done; None when it is about a row."""
    found = BY_WRITE_CODE.get(code)
    if found is None:
        return None
    if found.error is Wait:
        return Wait(PLATFORM, operation, cause=found.cause, code=code, retry_at=now + _SHORT_WAIT)
    return _error(found, operation, code=code, detail=mask(message))


def _error(found: Meaning, operation: str, *, code: str, detail: str) -> ConnectorError:
    if issubclass(found.error, Review):
        return Review(PLATFORM, operation, cause=found.cause, scope=found.scope, code=code, detail=detail)
    return found.error(PLATFORM, operation, cause=found.cause, code=code, detail=detail)
