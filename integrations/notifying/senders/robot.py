"""Robots in group chats: a webhook address that holds the token, and answers whose HTTP status 200 says nothing."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import SplitResult, parse_qs, urlsplit

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from integrations.connectors.addresses import is_named, port_of
from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import ConnectorError, Fatal, Retry
from integrations.connectors.http import Answer, HttpClient
from integrations.notifying.senders.base import (
    Message,
    Receipt,
    Sender,
    fit_lines,
    json_body,
    split_address,
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Robot(Sender):
    """The message is text, so that nothing in a listing's title becomes a link or a heading."""

    start: ClassVar[str]  # how an address of this kind begins, for people
    hosts: ClassVar[frozenset[str]]
    code_name: ClassVar[str]  # where the answer has its code and its words
    text_name: ClassVar[str]
    # A word that the robot demands of every message, when its group set one.
    option_names = frozenset({"keyword"})

    def __init__(
        self,
        address: str,
        secret: str = "",
        options: Mapping[str, Any] | None = None,
        *,
        http: HttpClient | None = None,
    ) -> None:
        super().__init__(address, secret, options, http=http)
        self._parts = split_address(self.address)
        # Others are named in ALLOWED_PRIVATE_HOSTS: a gateway of one's own, or the simulator.
        is_own = self._parts.hostname in self.hosts and self._parts.port in {None, 443}
        if not is_own and not is_named(self._parts.hostname or "", port_of(self._parts)):
            raise InvalidSetting("address", _("The address of this robot starts with %s.") % self.start)
        self._token = self.token(self._parts)
        if not self._token:
            raise InvalidSetting("address", _("Copy the whole address of the robot, with its token."))

    @classmethod
    def identity(cls, address: str) -> str:
        try:
            return cls.token(urlsplit(address.strip())) or address
        except ValueError:
            return address

    @classmethod
    @abstractmethod
    def token(cls, parts: SplitResult) -> str:
        """The token in an address of this kind, "" when there is none."""

    @abstractmethod
    def body(self, message: Message, now: datetime) -> bytes:
        """The JSON that is sent, within the platform's limits."""

    @abstractmethod
    def refusal(self, code: str, text: str, answer: Answer, now: datetime) -> ConnectorError:
        """What a code other than 0 means."""

    def url(self, now: datetime) -> str:
        return self.address

    def text(self, message: Message, max_bytes: int, *, link: str = "") -> str:
        """Subject, lines and link (the message's own address unless given) within max_bytes of UTF-8."""
        keyword = self.options.get("keyword", "")
        subject, *lines = (self.harmless(_CONTROL.sub(" ", line)) for line in (message.subject, *message.lines))
        if keyword not in f"{subject}\n{''.join(lines[:1])}":
            subject = pgettext("subject and keyword", "%(subject)s (%(keyword)s)") % {
                "subject": subject,
                "keyword": keyword,
            }
        return fit_lines(subject, lines, link or message.url, max_bytes)

    def harmless(self, text: str) -> str:
        """The text without what this platform takes for more than text."""
        return text

    def send(self, message: Message, *, now: datetime) -> Receipt:
        # Some refusals come with status 400 and the same body.
        answer = self.post_json(self.url(now), self.body(message, now), now=now, statuses=(200, 400))
        body = answer.json if isinstance(answer.json, dict) else {}
        code = _code(body.get(self.code_name))
        text = self.without_secrets(str(body.get(self.text_name) or ""))
        if code == "0" and answer.status == 200:
            return Receipt(code, text)
        if not code or code == "0":
            raise Retry(self.kind, "send", cause="half-answer", code=str(answer.status), may_have_arrived=True)
        raise self.refusal(code, text, answer, now)

    def secrets(self) -> tuple[str, ...]:
        return (*super().secrets(), self._token)

    def fatal(self, cause: str, code: str, text: str) -> Fatal:
        return Fatal(self.kind, "send", cause=cause, code=code, detail=text)


def fitting_body(build: Callable[[int], object], max_bytes: int) -> bytes:
    """The JSON of build(max_text_bytes), within max_bytes; quotes and line ends take more room there than in a text."""
    max_text_bytes = max_bytes
    while True:
        body = json_body(build(max_text_bytes))
        if len(body) <= max_bytes:
            return body
        max_text_bytes -= len(body) - max_bytes


def query_value(parts: SplitResult, name: str) -> str:
    """The one value of a parameter of the address; "" when it is missing or doubled."""
    values = parse_qs(parts.query).get(name, [])
    return values[0].strip() if len(values) == 1 else ""


def _code(value: object) -> str:
    """The code of an answer, a whole number or its text; "" when there is none."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    text = str(value).strip()
    return text if text.removeprefix("-").isdecimal() and len(text) < 20 else ""
