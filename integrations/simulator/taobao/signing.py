"""The signature Taobao's gateway expects. Pure; written from the protocol page, for checking requests."""

import hashlib
import hmac
from collections.abc import Mapping

SIGN_METHODS = frozenset({"md5", "hmac", "hmac-sha256"})


def expected_sign(parameters: Mapping[str, str], secret: str, sign_method: str) -> str:
    """The upper-case hex signature over all parameters but `sign`, sorted by name in byte order.

    Raises ValueError for a sign_method the gateway does not know.
    """
    names = sorted((name for name in parameters if name != "sign"), key=str.encode)
    text = "".join(f"{name}{parameters[name]}" for name in names)
    if sign_method == "md5":
        return hashlib.md5(f"{secret}{text}{secret}".encode(), usedforsecurity=False).hexdigest().upper()
    if sign_method == "hmac":
        return hmac.digest(secret.encode(), text.encode(), "md5").hex().upper()
    if sign_method == "hmac-sha256":
        return hmac.digest(secret.encode(), text.encode(), "sha256").hex().upper()
    raise ValueError(f"unknown sign_method {sign_method!r}")
