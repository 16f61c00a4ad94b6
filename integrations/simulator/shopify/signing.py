"""Signatures of callbacks and webhooks: HMAC-SHA256 with the application's client secret."""

import base64
import hashlib
import hmac
from collections.abc import Mapping


def callback_hmac(parameters: Mapping[str, str], secret: str) -> str:
    """Of the parameters a browser is sent back with, in hexadecimal digits; hmac and signature are left out."""
    kept = sorted((name, value) for name, value in parameters.items() if name not in ("hmac", "signature"))
    message = "&".join(f"{name}={value}" for name, value in kept)
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def webhook_hmac(body: bytes, secret: str) -> str:
    """Of a webhook's raw body, in base64."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
