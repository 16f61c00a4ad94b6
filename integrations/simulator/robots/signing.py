"""The signatures that DingTalk and Feishu expect. Pure; written from the protocol pages, for checking requests."""

import base64
import hmac


def dingtalk_sign(timestamp_ms: str, secret: str) -> str:
    """Plain Base64 over `timestamp\\nsecret` with the secret as key; the address carries it percent-encoded once."""
    return base64.b64encode(hmac.digest(secret.encode(), f"{timestamp_ms}\n{secret}".encode(), "sha256")).decode()


def feishu_sign(timestamp: str, secret: str) -> str:
    """Base64 over nothing with `timestamp\\nsecret` as key: the other way round than DingTalk; seconds."""
    return base64.b64encode(hmac.digest(f"{timestamp}\n{secret}".encode(), b"", "sha256")).decode()
