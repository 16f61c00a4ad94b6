"""Signatures of what is sent, each by its platform's rule. Pure: times, ids and bytes come in as arguments."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote


def dingtalk_sign(secret: str, timestamp_ms: int) -> str:
    """Plain Base64, to be URL-encoded once."""
    return _base64_hmac(secret.encode(), f"{timestamp_ms}\n{secret}".encode())


def feishu_sign(secret: str, timestamp_s: int) -> str:
    """Base64. Key and message are swapped: the text to sign is the key, and the message is empty."""
    return _base64_hmac(f"{timestamp_s}\n{secret}".encode(), b"")


def webhook_key(secret: str) -> bytes:
    """The key of a Standard Webhooks secret, "whsec_" and Base64; raises ValueError unless it has 24 to 64 bytes."""
    encoded = secret.removeprefix("whsec_").rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not Base64") from None
    if not 24 <= len(key) <= 64:
        raise ValueError("not 24 to 64 bytes")
    return key


def webhook_signature(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """One entry of the webhook-signature header (Standard Webhooks 1.0.0)."""
    return "v1," + _base64_hmac(key, f"{message_id}.{timestamp_s}.".encode() + body)


def acs3_authorization(
    *, key_id: str, secret: str, method: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> str:
    """The Authorization header of Alibaba Cloud's V3 signature for a request to "/".

    All `headers` given (host and x-acs-…, lower-case names) are signed; x-acs-content-sha256 must be that of the body.
    """
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            method,
            "/",
            acs3_query(query),
            *(f"{name}:{headers[name].strip()}" for name in sorted(headers)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={names},Signature={signature}"


def acs3_query(query: Mapping[str, str]) -> str:
    """The parameters sorted by name and percent-encoded by RFC 3986, as they are signed and sent."""
    return "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query))


def content_sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def utc_seconds(now: datetime) -> int:
    return int(now.timestamp())


def _base64_hmac(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
