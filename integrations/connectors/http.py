"""HTTP to platforms: bounded in time and size, never redirected, its failures told as ConnectorErrors.

Nothing is repeated here. The lanes that call connectors know the backoff, the quota and the other due work; a retry
hidden in here would spend quota slots unseen and hold a thread that another channel could use.
"""

import http.client
import io
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import certifi
import orjson
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from integrations.connectors.addresses import is_exempt, is_metadata, is_refused
from integrations.connectors.errors import ConnectorError, Fatal, Retry, Review, Wait

MAX_RETRY_AFTER = timedelta(hours=1)
DEFAULT_RETRY_AFTER = timedelta(seconds=30)  # for a 429 that does not say
STREAM_SECONDS = 600.0  # that a large file may take
_PIECE = 64 * 1024

_HEADERS = {
    "Accept": "application/json",
    # Without compression the size that is capped is the size that arrives: no small answer can unfold into a huge one.
    "Accept-Encoding": "identity",
    "User-Agent": "Evenshelf",
}
_FORM = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}
_HOST_CHARACTERS = re.compile(r"[^0-9A-Za-z.:-]")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_JSON = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes that one call may take; `total_seconds` covers it from connecting to the last byte."""

    connect_seconds: float = 5.0
    read_seconds: float = 15.0  # silence between two pieces of the answer
    total_seconds: float = 30.0
    max_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """The parsed JSON of an answer, and the server's own clock as its Date header has it ("" without one)."""

    json: Any = field(repr=False)  # which may hold tokens
    date: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # names in any case


class HttpClient:
    """Sends requests and reads JSON; cheap to make, may be shared by threads.

    Connections belong to the calling thread and are reused by every client in it, so no pool can run short however many
    threads there are. `before_call` runs before every call, once per call: it reserves a quota slot and may raise Wait.
    """

    def __init__(
        self, *, limits: Limits | None = None, proxy: str = "", before_call: Callable[[], None] | None = None
    ) -> None:
        self.limits = limits or Limits()
        self.before_call = before_call
        self._proxy = proxy

    def post_form(
        self,
        url: str,
        fields: Mapping[str, str],
        *,
        platform: str,
        operation: str,
        now: datetime,
        json_statuses: frozenset[int] = frozenset(),
    ) -> Answer:
        """The answer, when its status is 200 or one of `json_statuses`.

        Integers are exact, and numbers with a fraction come as Decimal, never as float. Raises ConnectorError.
        """
        return self.request(
            "POST",
            url,
            # A comma stands for itself in a form, and lists of ids are what calls mostly consist of.
            body=urlencode(fields, safe=",").encode("ascii"),
            headers=_FORM,
            platform=platform,
            operation=operation,
            now=now,
            statuses=json_statuses | {200},
        )

    def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        platform: str,
        operation: str,
        now: datetime,
        statuses: Container[int] = (200,),
        read_json: bool = True,
    ) -> Answer:
        """The answer, when its status is one of `statuses`; a redirect is none, whatever they are.

        `body` is sent as it is, so that it can have been signed. Without `read_json` the answer's body is not read, and
        its json is None. Integers are exact, and numbers with a fraction come as Decimal, never as float. Raises
        ConnectorError.
        """
        if self.before_call is not None:
            self.before_call()
        all_headers = {**_HEADERS, **(headers or {})}
        status, answered, content = self._exchange(method, url, body, all_headers, platform, operation, read_json)
        if status not in statuses:
            raise _status_error(status, answered, platform, operation, now)
        if content is None:
            return Answer(None, answered.get("Date", ""), status, answered)
        try:
            return Answer(parse_json(content), answered.get("Date", ""), status, answered)
        except ValueError as error:
            raise Retry(
                platform,
                operation,
                cause="not-json",
                code=str(status),
                detail=_kind_of_body(content),
                may_have_arrived=True,
            ) from error

    def lines(self, url: str, *, platform: str, operation: str, now: datetime) -> Iterator[bytes]:
        """The lines of a file that a platform has ready, as they arrive: however large it is, one line is held.

        Nothing is sent but the address, which is a secret of its own. Reading may take STREAM_SECONDS in all; what the
        caller does between two lines, other calls included, does not count. Raises ConnectorError, also in the middle.
        """
        if self.before_call is not None:
            self.before_call()
        rest = b""
        with self._answered("GET", url, None, _HEADERS, platform, operation, STREAM_SECONDS) as response:
            if response.status != 200:
                raise _status_error(response.status, response.headers, platform, operation, now)
            left = _threads.deadline - time.monotonic()
            while True:
                started = time.monotonic()
                _threads.deadline = started + left
                piece = response.read(_PIECE, decode_content=False)
                left -= time.monotonic() - started
                if not piece:
                    break
                *whole, rest = (rest + piece).split(b"\n")
                yield from whole
                if len(rest) > self.limits.max_bytes:
                    raise Retry(platform, operation, cause="too-large", detail="one line")
        if rest:
            yield rest

    def _exchange(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        platform: str,
        operation: str,
        read_body: bool,
    ) -> tuple[int, Mapping[str, str], bytes | None]:
        """Status, headers and body of the answer; the body is None when it was not to be read."""
        limits = self.limits
        content = None
        with self._answered(method, url, body, headers, platform, operation, limits.total_seconds) as response:
            if read_body:
                content = _bounded_body(response, limits.max_bytes)
                if content is None:
                    detail = f"more than {limits.max_bytes} bytes"
                    raise Retry(platform, operation, cause="too-large", detail=detail, may_have_arrived=True)
        return response.status, response.headers, content

    @contextmanager
    def _answered(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        platform: str,
        operation: str,
        total_seconds: float,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer before its body is read; what goes wrong inside is told as a ConnectorError as well."""
        limits = self.limits
        _threads.deadline = time.monotonic() + total_seconds
        _threads.is_in_handshake = False
        connect_seconds = min(limits.connect_seconds, total_seconds)
        try:
            # What holds connections is used without a session around it, which would cost more than the call itself:
            # nothing is redirected, repeated, unpacked or remembered in a cookie here.
            response = _pools(self._proxy).urlopen(
                method,
                url,
                body=body,
                headers=headers,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=connect_seconds, read=limits.read_seconds),
            )
            try:
                if 300 <= response.status < 400:
                    host = _host_of(response.headers.get("Location", ""))
                    raise Fatal(platform, operation, cause="redirect", code=str(response.status), detail=host)
                yield response
            finally:
                _return(response)
        except ConnectorError:
            raise
        except _PrivateAddress as error:
            raise Fatal(platform, operation, cause="wrong-address", detail="leads into a private network") from error
        except urllib3.exceptions.LocationValueError:  # which quotes the address, and that may hold a token
            raise Fatal(platform, operation, cause="wrong-address") from None
        except urllib3.exceptions.NewConnectionError as error:  # counts as a timeout too, there
            raise Retry(platform, operation, cause="connection") from error
        except urllib3.exceptions.TimeoutError as error:
            was_sent = not isinstance(error, urllib3.exceptions.ConnectTimeoutError)
            raise Retry(platform, operation, cause="timeout", may_have_arrived=was_sent) from error
        except urllib3.exceptions.SSLError as error:
            was_sent = not _threads.is_in_handshake
            raise Retry(platform, operation, cause="tls", may_have_arrived=was_sent) from error
        except urllib3.exceptions.ProxyError as error:
            raise Retry(platform, operation, cause="connection") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Retry(platform, operation, cause="connection", may_have_arrived=True) from error
        except ValueError:  # a header that no header can be; the text quotes it
            raise Fatal(platform, operation, cause="bad-request", detail="header") from None


def parse_json(body: bytes) -> Any:
    """JSON without binary floats: a number with a fraction or an exponent is the Decimal of its text.

    Raises ValueError for anything that is not strict UTF-8 JSON.
    """
    try:
        parsed = _JSON.decode(body.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if b"\\ud" in body.lower():
        orjson.loads(body)  # refuses half of a surrogate pair, which the other parser lets pass and no database takes
    return parsed


def http_date(value: str) -> datetime | None:
    """An HTTP date as aware UTC; None when it cannot be read."""
    try:
        date = parsedate_to_datetime(value)
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def retry_after(value: str, now: datetime) -> datetime | None:
    """When a Retry-After header (seconds or an HTTP date) allows the next call; None when it makes no sense.

    At least one second and at most MAX_RETRY_AFTER ahead, whatever the header claims.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        # Long enough to exceed the maximum: not worth converting, and int() has its own limit.
        wait = timedelta(seconds=int(value)) if len(value) < 7 else MAX_RETRY_AFTER
    else:
        date = http_date(value)
        if date is None:
            return None
        wait = date - now
    return now + min(max(wait, timedelta(seconds=1)), MAX_RETRY_AFTER)


def _status_error(
    status: int, headers: Mapping[str, str], platform: str, operation: str, now: datetime
) -> ConnectorError:
    code = str(status)
    retry_at = retry_after(headers.get("Retry-After", ""), now) if status in {429, 503} else None
    if status == 429 or retry_at is not None:
        return Wait(platform, operation, retry_at=retry_at or now + DEFAULT_RETRY_AFTER, cause="quota", code=code)
    if status == 408:
        return Retry(platform, operation, cause="timeout", code=code)
    if status in {401, 403, 407, 451}:
        return Review(platform, operation, scope="channel", cause="forbidden", code=code)
    if status in {404, 405, 410}:
        return Fatal(platform, operation, cause="wrong-address", code=code)
    if 400 <= status < 500:
        return Fatal(platform, operation, cause="bad-request", code=code)
    cause = "not-json" if status < 400 else "server-error"
    return Retry(platform, operation, cause=cause, code=code, may_have_arrived=True)


def _bounded_body(response: urllib3.BaseHTTPResponse, max_bytes: int) -> bytes | None:
    """The whole body, or None when it is larger; of a larger one no more than max_bytes are read."""
    declared = response.headers.get("Content-Length", "")
    if declared.isdigit() and (len(declared) > 15 or int(declared) > max_bytes):
        return None
    body: bytes = response.read(max_bytes + 1)
    if declared.isdigit() and len(body) < int(declared):
        raise urllib3.exceptions.IncompleteRead(len(body), int(declared) - len(body))
    return body if len(body) <= max_bytes else None


def _kind_of_body(body: bytes) -> str:
    """A word about a body that is not JSON; never its text, which may quote what was sent."""
    start = body[:200].lstrip().lower()
    if not start:
        return "empty body"
    return "HTML" if start.startswith((b"<!doctype html", b"<html")) else f"{len(body)} bytes"


def _host_of(location: str) -> str:
    try:
        host = urlsplit(location).hostname or ""
    except ValueError:
        host = ""
    return "to " + (_HOST_CHARACTERS.sub("", host)[:100] or "the same host")


# --- Connections of each thread -------------------------------------------------------------------------------------


class _Threads(threading.local):
    def __init__(self) -> None:
        self.pools: dict[str, urllib3.PoolManager] = {}  # by proxy, "" without one
        self.deadline = 0.0  # time.monotonic() at which the call of this thread must have ended
        self.is_in_handshake = False  # of TLS: nothing of the request was sent yet


_threads = _Threads()


def _forget_connections() -> None:
    """A forked child must not speak on its parent's connections."""
    global _threads
    _threads = _Threads()


os.register_at_fork(after_in_child=_forget_connections)


def _pools(proxy: str) -> urllib3.PoolManager:
    """The calling thread's connections. Proxies and certificates are ours, not those of the host's environment."""
    pools = _threads.pools.get(proxy)
    if pools is None:
        # One connection to each host is enough for a thread.
        options: dict[str, Any] = {"maxsize": 1, "ca_certs": certifi.where()}
        if proxy:
            login = urllib3.util.parse_url(proxy).auth
            headers = urllib3.util.make_headers(proxy_basic_auth=unquote(login)) if login else None
            # A proxy of ours is where it is, and looks up the names itself.
            pools = urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
            pools.pool_classes_by_scheme = {"http": _DeadlinePool, "https": _DeadlineTlsPool}
        else:
            pools = urllib3.PoolManager(**options)
            pools.pool_classes_by_scheme = {"http": _DirectPool, "https": _DirectTlsPool}
        _threads.pools[proxy] = pools
    return pools


def _return(response: urllib3.BaseHTTPResponse) -> None:
    """Give the connection of an answer that was read to its end back for reuse, and drop any other."""
    response.close()
    response.release_conn()


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until the deadline of the calling thread; the socket's own timeout only limits silence."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._silence = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = _threads.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left if self._silence is None else min(left, self._silence))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    """Status line, headers and body all count towards the deadline: a server may drip any of them for ever."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_DeadlineReader(sock), 64 * 1024)


class _InOnePiece(HTTPConnection):
    """Sends the head of a request together with its body: each piece costs as much as all the rest of the sending."""

    _held: list[bytes] | None = None  # pieces of the request that is being made

    def request(self, *args: Any, **options: Any) -> None:
        held: list[bytes] = []
        self._held = held
        try:
            super().request(*args, **options)
        finally:
            self._held = None
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)


class _DeadlineConnection(_InOnePiece):
    response_class = _DeadlineResponse


class _DeadlineTlsConnection(_InOnePiece, HTTPSConnection):
    response_class = _DeadlineResponse

    def connect(self) -> None:
        _threads.is_in_handshake = True
        super().connect()
        _threads.is_in_handshake = False


class _DeadlinePool(HTTPConnectionPool):
    ConnectionCls = _DeadlineConnection


class _DeadlineTlsPool(HTTPSConnectionPool):
    ConnectionCls = _DeadlineTlsConnection


class _PrivateAddress(ValueError):
    """The name of a public host led into a private network. No OSError, which urllib3 would take for a broken line."""


class _PublicOnly(HTTPConnection):
    """Looks at where a connection really leads, once, before anything is sent: a name can lead anywhere."""

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        peer = sock.getpeername()[0]
        if is_metadata(peer) or (is_refused(peer) and not is_exempt(self.host, self.port)):
            sock.close()
            raise _PrivateAddress(self.host)
        return sock


class _DirectConnection(_PublicOnly, _DeadlineConnection):
    pass


class _DirectTlsConnection(_PublicOnly, _DeadlineTlsConnection):
    pass


class _DirectPool(HTTPConnectionPool):
    ConnectionCls = _DirectConnection


class _DirectTlsPool(HTTPSConnectionPool):
    ConnectionCls = _DirectTlsConnection
