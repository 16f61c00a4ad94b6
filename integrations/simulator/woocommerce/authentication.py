"""Who calls: Basic where TLS ends in front of the shop, OAuth 1.0a anywhere, and in which order things are refused."""

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any
from urllib.parse import unquote

from integrations.simulator.routing import Request
from integrations.simulator.woocommerce.errors import Refusal, unauthenticated
from integrations.simulator.woocommerce.signing import (
    METHODS,
    Parameters,
    base_string,
    header_parameters,
    oauth_signature,
    php_parameters,
)
from integrations.simulator.woocommerce.sites import NONCE_SECONDS, READ, WRITE, Key, Site

REQUIRED = ("oauth_consumer_key", "oauth_timestamp", "oauth_nonce", "oauth_signature", "oauth_signature_method")
READING = frozenset({"GET", "HEAD"})
WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everything in a request that could say who calls."""

    basic: tuple[str, str] | None
    in_query: tuple[str, str] | None
    oauth: Parameters  # every signed parameter, the oauth_ ones among them
    has_oauth: bool

    @property
    def claimed_key(self) -> str:
        if self.has_oauth:
            return _text(self.oauth, "oauth_consumer_key")
        pair = self.in_query or self.basic
        return pair[0] if pair is not None else ""


def credentials(request: Request, query: Parameters, *, header_stripped: bool = False) -> Credentials:
    header = "" if header_stripped else request.headers.get("authorization", "")
    oauth: Parameters = {**query}
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        oauth.update(php_parameters(request.body.decode("utf-8", "replace")))
    oauth.update(header_parameters(header))
    key, secret = _text(query, "consumer_key"), _text(query, "consumer_secret")
    return Credentials(
        basic=_basic(header),
        in_query=(key, secret) if key and secret else None,
        oauth=oauth,
        has_oauth=any(_present(oauth, name) for name in REQUIRED),
    )


def authenticate(site: Site, found: Credentials, verb: str, path: str, home: str) -> Key | None:
    """The key of the caller; None for a caller who is nobody. Raises Refusal 401.

    `home` is the shop's address without a slash at the end; its scheme says whether TLS ends in front of the shop.
    """
    refusal: Refusal | None = None
    if home.startswith("https://"):
        pair = found.in_query or found.basic
        key = site.key_of(pair[0]) if pair is not None else None
        if pair is not None and key is not None:
            if compare_digest(key.consumer_secret.encode(), pair[1].encode()):
                return key
            refusal = unauthenticated("Consumer secret is invalid.")
    if not found.has_oauth:
        if refusal is not None:
            raise refusal
        return None
    return _oauth_key(site, found.oauth, verb, path, home)


def check_permission(key: Key, verb: str) -> None:
    """Refuse a verb that the key was not made for."""
    if verb in READING:
        if not key.may(READ):
            raise unauthenticated("The API key provided does not have read permissions.")
    elif verb in WRITING:
        if not key.may(WRITE):
            raise unauthenticated("The API key provided does not have write permissions.")
    elif verb != "OPTIONS":
        raise unauthenticated("Unknown request method.")


def _oauth_key(site: Site, parameters: Parameters, verb: str, path: str, home: str) -> Key:
    absent = [name for name in REQUIRED if not _present(parameters, name)]
    if absent:
        plural = "s" if len(absent) > 1 else ""
        message = f"Missing OAuth parameter{plural} {', '.join(absent)}"
        raise Refusal("woocommerce_rest_authentication_missing_parameter", message, 401)
    key = site.key_of(_text(parameters, "oauth_consumer_key"))
    if key is None:
        raise unauthenticated("Consumer key is invalid.")
    method = _text(parameters, "oauth_signature_method")
    if method not in METHODS:
        raise unauthenticated("Invalid signature - signature method is invalid.")
    # WordPress writes the address of its front page without a slash.
    url = home + path.rstrip("/") if path == "/" else home + path
    expected = oauth_signature(base_string(verb, url, parameters), key.consumer_secret, method)
    sent = unquote(_text(parameters, "oauth_signature").replace(" ", "+"))
    if not compare_digest(expected.encode(), sent.encode()):
        raise unauthenticated("Invalid signature - provided signature does not match.")
    _check_moment(key, _text(parameters, "oauth_timestamp"), _text(parameters, "oauth_nonce"))
    return key


def _check_moment(key: Key, timestamp: str, nonce: str) -> None:
    now = int(time.time())
    if not timestamp.isdigit() or abs(int(timestamp) - now) > NONCE_SECONDS:
        raise unauthenticated("Invalid timestamp.")
    if nonce in key.nonces:
        raise unauthenticated("Invalid nonce - nonce has already been used.")
    key.nonces = {known: at for known, at in key.nonces.items() if at >= now - NONCE_SECONDS}
    key.nonces[nonce] = int(timestamp)


def _present(parameters: Mapping[str, Any], name: str) -> bool:
    """PHP takes '0' for nothing."""
    return parameters.get(name) not in (None, "", "0", {})


def _text(parameters: Mapping[str, Any], name: str) -> str:
    value = parameters.get(name)
    return value if isinstance(value, str) else ""


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon and user and password else None
