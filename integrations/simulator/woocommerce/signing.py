"""Signatures as a WooCommerce shop computes them: OAuth 1.0a of requests, and of the webhooks it sends. Pure."""

import base64
import hmac
import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, unquote_plus

METHODS = {"HMAC-SHA1": "sha1", "HMAC-SHA256": "sha256"}
# What PHP makes of a query: a name with brackets becomes a list or a mapping.
Parameters: TypeAlias = dict[str, "str | Parameters"]

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_HEADER_FIELD = re.compile(r'(oauth_[a-z_-]*)=(?:"([^"]*)"|([^,]*))')


def php_parameters(text: str) -> Parameters:
    """A query string or form body as PHP reads it: of a repeated name the last value stays, `a[]` counts from 0."""
    found: Parameters = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        base, bracket, rest = name.partition("[")
        keys = _BRACKETS.findall(bracket + rest)
        place, key = found, base.replace(".", "_").replace(" ", "_")
        for inner in keys:
            deeper = place.get(key)
            if not isinstance(deeper, dict):
                deeper = place[key] = {}
            place, key = deeper, inner or str(sum(1 for known in deeper if known.isdigit()))
        place[key] = value
    return found


def header_parameters(authorization: str) -> dict[str, str]:
    """The oauth_ fields of an `Authorization: OAuth ...` header; none for any other scheme."""
    text = authorization.strip()
    if not text.startswith("OAuth "):
        return {}
    return {name: unquote_plus(quoted or bare) for name, quoted, bare in _HEADER_FIELD.findall(text)}


def base_string(verb: str, url: str, parameters: Parameters) -> str:
    """What is signed: the verb, the shop's own URL without a query, and every parameter but the signature."""
    names = sorted((name for name in parameters if name != "oauth_signature"), key=str.encode)
    pairs = (pair for name in names for pair in _flat(name, parameters[name]))
    signed = "%26".join(_encoded(f"{_encoded(name)}={_encoded(value)}") for name, value in pairs)
    return f"{verb.upper()}&{_encoded(url)}&{signed}"


def oauth_signature(base: str, consumer_secret: str, method: str) -> str:
    """Base64. Raises ValueError for a method other than HMAC-SHA1 and HMAC-SHA256."""
    if method not in METHODS:
        raise ValueError(f"unknown signature method {method!r}")
    digest = hmac.digest(f"{consumer_secret}&".encode(), base.encode(), METHODS[method])
    return base64.b64encode(digest).decode()


def webhook_signature(body: bytes, secret: str) -> str:
    """X-WC-Webhook-Signature of the bytes as they are sent."""
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()


def _flat(name: str, value: "str | Parameters") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
        return
    for key, inner in value.items():
        yield from _flat(f"{name}[{key}]", inner)


def _encoded(text: str) -> str:
    return quote(text, safe="")


def values(value: "str | Parameters") -> Iterable[str]:
    """The texts in a value, whether it came as one, as a comma list or in brackets."""
    if isinstance(value, str):
        return [part for part in re.split(r"[\s,]+", value) if part]
    return [text for _, text in _flat("", value)]
