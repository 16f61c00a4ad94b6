"""What each refusal of the platform means for us, as data: first by sub_code, then by code."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal

from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review, Wait
from integrations.connectors.taobao.parse import Refusal
from integrations.connectors.taobao.signing import GATEWAY_TIME

PLATFORM = "taobao"


@dataclass(frozen=True, slots=True)
class Meaning:
    """The error class, its cause, and what that class needs besides."""

    error: type[ConnectorError]
    cause: str
    scope: Literal["listing", "channel"] = "channel"  # Review
    wait_seconds: int = 0  # Wait, when the platform does not say how long; 0: until the gateway's midnight


BAD_REQUEST = Meaning(Fatal, "bad-request")
BAD_SIGNATURE = Meaning(Fatal, "bad-signature")
BAD_APP_KEY = Meaning(Fatal, "bad-app-key")
CLOCK = Meaning(Fatal, "clock")
SERVER_ERROR = Meaning(Retry, "server-error")
SESSION_INVALID = Meaning(Reauthorise, "session-invalid")
PERMISSION = Meaning(Review, "permission")
PLATFORM_FAULT = Meaning(Review, "platform-fault")
UNRECOGNISED = Meaning(Review, "unrecognised")
LIMITED = Meaning(Wait, "quota", wait_seconds=60)
LIMITED_SHORTLY = Meaning(Wait, "quota", wait_seconds=2)

# The first pattern that fits decides, so the particular ones stand above the general ones.
BY_SUB_CODE: tuple[tuple[str, Meaning], ...] = (
    ("accesscontrol.limited-by-app-access-count", Meaning(Wait, "daily-quota")),
    ("accesscontrol.limited-by-api-access-count", LIMITED_SHORTLY),
    ("accesscontrol.limited-by-app-api-access-count", LIMITED_SHORTLY),
    ("accesscontrol.limited-by-dynamic-access-count", LIMITED_SHORTLY),
    ("accesscontrol.*", LIMITED),
    ("is[pv].call-limited", Meaning(Wait, "quota", wait_seconds=1)),
    ("*invalid-sessionkey", SESSION_INVALID),
    ("*session-expired", SESSION_INVALID),
    ("*session-not-exist", SESSION_INVALID),
    ("*sessionkey-not-generated-by-server", SESSION_INVALID),
    ("isv.permission-ip-whitelist-limit", Meaning(Review, "ip-whitelist")),
    ("isv.permission-*", PERMISSION),
    ("isp.item-update-service-error:IC_SYSTEM_NOT_READY_TRY_AGAIN_LATER", SERVER_ERROR),
    ("isp.remote-service-error", SERVER_ERROR),
    ("isp.remote-service-timeout", SERVER_ERROR),
    ("isp.remote-connection-error", SERVER_ERROR),
    ("isp.top-remote-connection-timeout", SERVER_ERROR),
    ("isp.top-remote-connection-error", SERVER_ERROR),
    ("isp.*-service-unavailable", SERVER_ERROR),
    ("isp.unknown-error", SERVER_ERROR),
    ("isp.system-busy", SERVER_ERROR),
    ("isp.null-pointer-exception", PLATFORM_FAULT),
    ("isp.top-parse-error", PLATFORM_FAULT),
    ("isp.top-mapping-parse-error", PLATFORM_FAULT),
    ("isv.invalid-parameter:gain-number-too-large", Meaning(Fatal, "paging-too-deep")),
    ("isv.invalid-permission:*", Meaning(Review, "foreign-listing", "listing")),
    ("isv.item-update-service-error:*", Meaning(Review, "refused-by-rule", "listing")),
    ("isv.sku-not-exist*", Meaning(Review, "unknown-variant", "listing")),
    ("isv.*-not-exist:*", Meaning(Review, "unknown-listing", "listing")),
    ("isv.*-not-exist", Meaning(Review, "unknown-listing", "listing")),
    ("isv.missing-parameter*", BAD_REQUEST),
    ("isv.invalid-parameter*", BAD_REQUEST),
    ("isv.parameters-mismatch*", BAD_REQUEST),
)

BY_CODE: dict[str, Meaning] = {
    **dict.fromkeys(("4", "5", "6", "7", "8"), LIMITED),
    "10": SERVER_ERROR,
    **dict.fromkeys(("11", "12", "13"), PERMISSION),
    # "Remote service error": without a sub_code that says more it is for a person to look at.
    **dict.fromkeys(("15", "50"), PLATFORM_FAULT),
    **dict.fromkeys(("24", "25"), BAD_SIGNATURE),
    **dict.fromkeys(("26", "27"), SESSION_INVALID),
    **dict.fromkeys(("28", "29"), BAD_APP_KEY),
    **dict.fromkeys(("30", "31"), CLOCK),
    **dict.fromkeys(("3", "9", "21", "22", "23", "32", "33", "34", "40", "41", "42", "43"), BAD_REQUEST),
}

# The authorisation server's own words (RFC 6749, 5.2). It says "invalid_client" for a code that was used, has expired
# or belongs to another callback, so that one is for a person to authorise again.
BY_OAUTH_ERROR: dict[str, Meaning] = {
    "invalid_client": Meaning(Reauthorise, "authorisation-refused"),
    "invalid_grant": Meaning(Reauthorise, "authorisation-refused"),
    "access_denied": Meaning(Reauthorise, "authorisation-refused"),
    "unauthorized_client": BAD_APP_KEY,
    "invalid_request": BAD_REQUEST,
    "unsupported_grant_type": BAD_REQUEST,
    "unsupported_response_type": BAD_REQUEST,
    "server_error": SERVER_ERROR,
    "temporarily_unavailable": SERVER_ERROR,
}

_BAN = re.compile(r"This ban will last for ([0-9]+) more seconds")
_LONGEST_BAN_SECONDS = 24 * 60 * 60


def meaning(code: str, sub_code: str) -> Meaning:
    """What a refusal of the gateway means."""
    for pattern, found in BY_SUB_CODE:
        if fnmatchcase(sub_code, pattern):
            return found
    if code in BY_CODE:
        return BY_CODE[code]
    return PLATFORM_FAULT if len(code) == 3 and code.startswith("5") else UNRECOGNISED


def gateway_error(refusal: Refusal, operation: str, now: datetime, mask: Callable[[str], str]) -> ConnectorError:
    """The error to raise for a refusal of the gateway; `mask` takes secrets out of what the platform quotes."""
    return _error(meaning(refusal.code, refusal.sub_code), refusal, operation, now, mask)


def token_error(refusal: Refusal, operation: str, now: datetime, mask: Callable[[str], str]) -> ConnectorError:
    """The error to raise for a refusal of the authorisation server."""
    return _error(BY_OAUTH_ERROR.get(refusal.code, UNRECOGNISED), refusal, operation, now, mask)


def retry_at(found: Meaning, message: str, now: datetime) -> datetime:
    """When a limited call may be repeated: as long as the platform says (a day at most), else as the table says."""
    if not found.wait_seconds:
        midnight = now.astimezone(GATEWAY_TIME).replace(hour=0, minute=0, second=0, microsecond=0)
        return (midnight + timedelta(days=1)).astimezone(now.tzinfo)
    ban = _BAN.search(message)
    if ban is None:
        return now + timedelta(seconds=found.wait_seconds)
    seconds = int(ban[1]) if len(ban[1]) < 6 else _LONGEST_BAN_SECONDS
    return now + timedelta(seconds=min(max(seconds, 1), _LONGEST_BAN_SECONDS))


def _error(
    found: Meaning, refusal: Refusal, operation: str, now: datetime, mask: Callable[[str], str]
) -> ConnectorError:
    # The platform does not say which permission is missing: it is the one of the call that was made.
    lacking = f"{operation}: " if found is PERMISSION else ""
    said: dict[str, Any] = {
        "request_id": mask(refusal.request_id),
        "code": mask(" ".join(filter(None, (refusal.code, refusal.sub_code)))),
        "detail": lacking + mask(refusal.message),
    }
    if issubclass(found.error, Wait):
        return Wait(PLATFORM, operation, cause=found.cause, retry_at=retry_at(found, refusal.message, now), **said)
    if issubclass(found.error, Review):
        return Review(PLATFORM, operation, cause=found.cause, scope=found.scope, **said)
    return found.error(PLATFORM, operation, cause=found.cause, **said)
