"""Signatures and timestamps as the TOP gateway checks them."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

GATEWAY_TIME = timezone(timedelta(hours=8), "GMT+8")  # the gateway's only time zone, the whole year
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
SIGN_METHODS = ("hmac-sha256", "hmac", "md5")


def signature(parameters: Mapping[str, str], secret: str, sign_method: str) -> str:
    """Upper-case hex signature over all parameters but `sign` and empty ones.

    TOP, "API invocation protocol": names and values joined unencoded in the byte order of the names; "md5" has the
    secret at both ends, "hmac" (HMAC-MD5) and "hmac-sha256" use it as the key. Raises ValueError for another method.
    """
    # Python orders text by code point, which is the byte order of UTF-8.
    joined = "".join([name + value for name, value in sorted(parameters.items()) if value and name != "sign"])
    key = secret.encode()
    match sign_method:
        case "md5":
            # The platform's choice, not ours; whoever can choose uses hmac-sha256.
            return hashlib.md5(key + joined.encode() + key, usedforsecurity=False).hexdigest().upper()
        case "hmac":
            return hmac.digest(key, joined.encode(), "md5").hex().upper()
        case "hmac-sha256":
            return hmac.digest(key, joined.encode(), "sha256").hex().upper()
    raise ValueError(f"sign_method must be one of {', '.join(SIGN_METHODS)}")


def signed(parameters: Mapping[str, str], secret: str) -> dict[str, str]:
    """The form to send: the parameters that have a value, and `sign` made by their `sign_method`."""
    form = {name: value for name, value in parameters.items() if value}
    form["sign"] = signature(form, secret, form["sign_method"])
    return form


def timestamp(at: datetime) -> str:
    """An aware time as the gateway writes it, whatever the time zone of this host."""
    return at.astimezone(GATEWAY_TIME).strftime(TIME_FORMAT)
