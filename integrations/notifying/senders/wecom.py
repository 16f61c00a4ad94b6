"""WeCom's group robots, which know no signature: the key in the address is the only secret."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import SplitResult

from django.utils.translation import gettext as _

from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import ConnectorError, Retry, Wait
from integrations.connectors.http import Answer, HttpClient
from integrations.notifying.senders.base import Message, byte_length, json_body
from integrations.notifying.senders.robot import Robot, query_value

WAIT = timedelta(minutes=1)
MAX_TEXT_BYTES = 2_048
MAX_MARKDOWN_BYTES = 4_096

_CAUSES = {
    "93000": "unknown-robot",
    "40008": "bad-request",
    "40058": "bad-request",
    "44004": "bad-request",
    "45002": "bad-request",
}
# What would be more than text in a text (<@someone>) or in Markdown, each with a character of one byte that is not.
_MARKUP = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")", "*": "·", "`": "'", "_": " "})
_HEADING = re.compile(r"^#+(?=\s)", re.MULTILINE)


class WeComSender(Robot):
    """Text; a longer message is Markdown, which may be twice as long but does not show on every client."""

    kind = "wecom"
    per_minute = 18  # of 20
    start = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key="
    hosts = frozenset({"qyapi.weixin.qq.com"})
    code_name = "errcode"
    text_name = "errmsg"
    option_names = frozenset()

    def __init__(
        self,
        address: str,
        secret: str = "",
        options: Mapping[str, Any] | None = None,
        *,
        http: HttpClient | None = None,
    ) -> None:
        super().__init__(address, secret, options, http=http)
        if self.secret:
            raise InvalidSetting("secret", _("WeCom robots have no secret: leave it empty."))

    @classmethod
    def token(cls, parts: SplitResult) -> str:
        return query_value(parts, "key") if parts.path == "/cgi-bin/webhook/send" else ""

    def harmless(self, text: str) -> str:
        return _HEADING.sub("", text.translate(_MARKUP))

    def body(self, message: Message, now: datetime) -> bytes:
        text = self.text(message, MAX_MARKDOWN_BYTES)
        if byte_length(text) <= MAX_TEXT_BYTES:
            return json_body({"msgtype": "text", "text": {"content": text}})
        link = f"[{message.url}]({message.url})" if message.url else ""
        markdown = self.text(message, MAX_MARKDOWN_BYTES, link=link)
        return json_body({"msgtype": "markdown", "markdown": {"content": markdown}})

    def refusal(self, code: str, text: str, answer: Answer, now: datetime) -> ConnectorError:
        if code == "45009":
            return Wait(self.kind, "send", retry_at=now + WAIT, cause="quota", code=code, detail=text)
        if code == "-1":
            return Retry(self.kind, "send", cause="server-error", code=code, detail=text)
        return self.fatal(_CAUSES.get(code, "unrecognised"), code, text)
