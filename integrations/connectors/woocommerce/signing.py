"""WooCommerce's signatures: one-legged OAuth 1.0a for plain HTTP, and those of its webhooks. Pure."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

METHOD = "HMAC-SHA256"


def basic(key: str, secret: str) -> str:
    """The Authorization header for HTTPS."""
    return "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode("ascii")


def signed(
    verb: str, address: str, parameters: Mapping[str, str], *, key: str, secret: str, nonce: str, now: datetime
) -> dict[str, str]:
    """The parameters with their signature. `address` is the whole one of the call, without a query.

    What is signed: the verb, the address, and all parameters encoded twice; a JSON body is not.
    """
    every = {
        **parameters,
        "oauth_consumer_key": key,
        "oauth_nonce": nonce,
        "oauth_signature_method": METHOD,
        "oauth_timestamp": str(int(now.timestamp())),
    }
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in every.items())
    joined = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join((verb.upper(), _encoded(address), _encoded(joined)))
    digest = hmac.new(f"{secret}&".encode(), base.encode(), hashlib.sha256).digest()
    return {**every, "oauth_signature": base64.b64encode(digest).decode("ascii")}


def query(parameters: Mapping[str, str]) -> str:
    """As it is sent: encoded like what was signed."""
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in parameters.items())


def _encoded(text: str) -> str:
    return quote(text, safe="-._~")


def is_genuine_body(body: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Whether a webhook's raw body was signed with one of the secrets: base64 HMAC-SHA256."""
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    digests = [hmac.new(secret.encode(), body, hashlib.sha256).digest() for secret in secrets if secret]
    return any(hmac.compare_digest(digest, given) for digest in digests)
