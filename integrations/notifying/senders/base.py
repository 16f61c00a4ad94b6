"""What every sender has in common: the message, the receipt, how settings are checked and how failures are told.

A sender delivers one message once. It stores nothing, repeats nothing and reads no wall clock; limits are declared as
class attributes and kept by the caller. Failures are the ConnectorErrors of integrations/connectors/errors.py.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import SplitResult, urlsplit

import orjson
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.connectors.addresses import is_named, is_refused, port_of, refusal
from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import Retry
from integrations.connectors.http import Answer, HttpClient, Limits

SHORTEST_SECRET = 4  # what is shorter would mask half of every text
SHORTEST_BEGINNING = 16  # bytes of a line that are worth showing
_HOST = re.compile(r"[0-9a-z]([0-9a-z.-]*[0-9a-z.])?|[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE)
_PATH = re.compile(r"[!-~]*")  # what an address holds: printable ASCII, no space


@dataclass(frozen=True, slots=True)
class Message:
    """One message as every sender gets it; each makes of it what its platform can carry."""

    subject: str  # one line
    lines: tuple[str, ...]  # plain text, most important first; who must cut drops whole lines from the end
    severity: str  # the worst of what it tells: critical, warning or info
    message_id: str  # the same on every try
    url: str = ""  # where to look, absolute; "" not known
    alerts: tuple[Mapping[str, object], ...] = ()  # machine-readable, for webhooks
    sms: Mapping[str, str] = field(default_factory=dict)  # variables of a text message's template
    made_at: datetime | None = None  # aware UTC, the same on every try; None: the time of the try


@dataclass(frozen=True, slots=True)
class Receipt:
    """The other side took the message: its code and words, without secrets."""

    code: str
    text: str = ""


class Sender(ABC):
    """One way to deliver a message to one address. Making one is cheap and checks its settings."""

    kind: ClassVar[str]
    # What we allow ourselves, per target; None: no limit. Callers keep them.
    per_second: ClassVar[int | None] = None
    per_minute: ClassVar[int | None] = None
    per_day: ClassVar[int | None] = None  # in any 24 hours
    least_severity: ClassVar[str] = "info"  # what is less severe is not meant for this kind
    option_names: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        address: str,
        secret: str = "",
        options: Mapping[str, Any] | None = None,
        *,
        http: HttpClient | None = None,
    ) -> None:
        """Raises InvalidSetting for settings that cannot work."""
        self.address = address.strip()
        self.secret = secret.strip()
        self.options = {name: str(value).strip() for name, value in (options or {}).items() if value not in (None, "")}
        for name in self.options:
            if name not in self.option_names:
                raise InvalidSetting("options", _("There is no such option: %s.") % name)
        self.http = http or http_client()

    @classmethod
    def check(cls, address: str, secret: str = "", options: Mapping[str, Any] | None = None) -> None:
        """What a form asks before it saves: raises InvalidSetting(field, message). May look a host's name up."""
        cls(address, secret, options)

    @classmethod
    def identity(cls, address: str) -> str:
        """The same for every way to write one address; the address itself where it cannot be read."""
        return address.strip()

    @abstractmethod
    def send(self, message: Message, *, now: datetime) -> Receipt:
        """Deliver the message; `now` (aware UTC) is what signatures are made with. Raises ConnectorError.

        A Retry whose cause is "no-answer" means that the message may have arrived.
        """

    def secrets(self) -> tuple[str, ...]:
        """What must not be seen anywhere; the address is one, since it holds a token."""
        return (self.address, self.secret)

    def without_secrets(self, text: str) -> str:
        """The text with every secret masked: platforms like to quote what they were sent."""
        for secret in sorted(self.secrets(), key=len, reverse=True):
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return text

    def post_json(
        self,
        url: str,
        body: bytes,
        *,
        now: datetime,
        headers: Mapping[str, str] | None = None,
        statuses: Container[int] = (200,),
        read_json: bool = True,
    ) -> Answer:
        """The answer to a POST of JSON; a line that broke after the message was sent is told as "no-answer"."""
        try:
            return self.http.request(
                "POST",
                url,
                body=body,
                headers={"Content-Type": "application/json; charset=utf-8", **(headers or {})},
                platform=self.kind,
                operation="send",
                now=now,
                statuses=statuses,
                read_json=read_json,
            )
        except Retry as error:
            if error.may_have_arrived and error.cause in {"timeout", "connection"}:
                raise Retry(self.kind, "send", cause="no-answer", may_have_arrived=True) from error
            if error.cause == "server-error":
                error.may_have_arrived = False  # that status is an answer, and it says that the message was not taken
            raise


def http_client() -> HttpClient:
    """A client with the time limits and the proxy of the settings."""
    limits = Limits(
        connect_seconds=settings.HTTP_CONNECT_TIMEOUT_SECONDS,
        read_seconds=settings.HTTP_READ_TIMEOUT_SECONDS,
        total_seconds=settings.HTTP_TOTAL_TIMEOUT_SECONDS,
        max_bytes=64 * 1024,
    )
    return HttpClient(limits=limits, proxy=settings.HTTP_PROXY_URL)


def json_body(value: object) -> bytes:
    """Compact UTF-8 JSON, with question marks for what UTF-8 cannot hold."""
    try:
        return orjson.dumps(value, default=str)
    except TypeError:  # half of a surrogate pair, in a title that a platform broke off
        return orjson.dumps(_without_surrogates(value), default=str)


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {_without_surrogates(name): _without_surrogates(content) for name, content in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(content) for content in value]
    return value


def split_address(address: str) -> SplitResult:
    """The parts of an http(s) address of a public host, or of one named in ALLOWED_PRIVATE_HOSTS (this machine too).

    Raises InvalidSetting, without the address, which holds a token.
    """
    try:
        parts = urlsplit(address)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        raise InvalidSetting("address", _("The address cannot be read.")) from None
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(host) or not port_is_right:
        raise InvalidSetting("address", _("The address must start with https:// and name a host."))
    if parts.username is not None or parts.fragment or not _PATH.fullmatch(parts.path + parts.query):
        raise InvalidSetting("address", _("The address must not hold a user name, a fragment or a space."))
    if not is_named(host, port_of(parts)):
        if is_refused(host) or host.lower().rstrip(".") == "localhost":
            raise InvalidSetting("address", refusal(host, port_of(parts)))
        if parts.scheme != "https":
            raise InvalidSetting("address", _("The address must start with https://."))
    return parts


def encodable(text: str) -> str:
    """The text with question marks for what UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def byte_length(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def cut_bytes(text: str, max_bytes: int) -> str:
    """The text within max_bytes of UTF-8, cut between two characters, with "…" where something was left out."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    ellipsis = "…".encode()
    return encoded[: max(0, max_bytes - len(ellipsis))].decode("utf-8", "ignore") + "…"


def fit_lines(head: str, lines: Sequence[str], tail: str, max_bytes: int) -> str:
    """Head, lines and tail as one text of at most max_bytes of UTF-8.

    Lines that do not fit are left out from the end, and a line says how many. Of a first line that is too long by
    itself the beginning stays. Head and tail ("": none) stay, unless even they are too long: then the head is cut.
    """

    def text(count: int, first: str = "") -> str:
        left_out = len(lines) - count
        note = ngettext("%d more line was left out.", "%d more lines were left out.", left_out) % left_out
        shown = [first] if first else lines[:count]
        return "\n".join(part for part in (head, *shown, note if left_out else "", tail) if part)

    if byte_length(text(len(lines))) <= max_bytes:
        return cut_bytes(text(len(lines)), max_bytes)
    # The count of lines with which the text is just still short enough; -1 when not even none of them is.
    count = bisect_right(range(len(lines)), max_bytes, key=lambda lines_shown: byte_length(text(lines_shown))) - 1
    if count < 0:
        room = max_bytes - byte_length(tail) - 1
        return f"{cut_bytes(head, room)}\n{tail}" if tail and room > 0 else cut_bytes(head or tail, max_bytes)
    room = max_bytes - byte_length(text(1, "-")) + 1
    if count == 0 and room >= SHORTEST_BEGINNING:
        return cut_bytes(text(1, cut_bytes(lines[0], room)), max_bytes)
    return cut_bytes(text(count), max_bytes)
