"""Shopify's signatures. Pure."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence


def is_genuine_callback(parameters: Mapping[str, str], secret: str) -> bool:
    """Whether Shopify signed the query of a redirect back to us: hex HMAC-SHA256 of the other parameters, sorted."""
    signed = "&".join(f"{key}={parameters[key]}" for key in sorted(parameters) if key not in {"hmac", "signature"})
    expected = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), parameters.get("hmac", "").encode())


def is_genuine_body(body: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Whether a webhook's raw body was signed with one of the secrets: base64 HMAC-SHA256.

    After a rotation Shopify may sign with the old secret for an hour.
    """
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    digests = [hmac.new(secret.encode(), body, hashlib.sha256).digest() for secret in secrets if secret]
    return any(hmac.compare_digest(digest, given) for digest in digests)
