"""The ACS3-HMAC-SHA256 signature that Alibaba Cloud expects. Pure; written from its V3 page, for checking requests."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import quote

ALGORITHM = "ACS3-HMAC-SHA256"


def canonical_request(
    *,
    verb: str,
    path: str,
    parameters: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    signed_headers: Iterable[str],
    payload_hash: str,
) -> str:
    """What is hashed and signed. parameters are those of the query, decoded; header names are lower case."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parameters)
    names = sorted(signed_headers)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return "\n".join((verb, path, query, lines, ";".join(names), payload_hash))


def string_to_sign(canonical: str) -> str:
    return f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def expected_signature(canonical: str, secret: str) -> str:
    """Lower-case hex."""
    return hmac.digest(secret.encode(), string_to_sign(canonical).encode(), "sha256").hex()
