"""Custom bots of Feishu, and of Lark, its edition outside of China."""

import re
from datetime import datetime, timedelta
from urllib.parse import SplitResult

from integrations.connectors.errors import ConnectorError, Wait
from integrations.connectors.http import Answer, http_date
from integrations.notifying.senders.base import Message
from integrations.notifying.senders.robot import Robot, fitting_body
from integrations.notifying.senders.signing import feishu_sign

MAX_BODY_BYTES = 20_000
WAIT = timedelta(minutes=1)
WINDOW = timedelta(hours=1)  # how old a timestamp may be

_PATH = re.compile(r"/open-apis/bot/v2/hook/([0-9A-Za-z_-]+)/?")
_AT = re.compile(r"<(?=/?at\b)", re.IGNORECASE)
_TOO_FAST = frozenset({"11232", "11233", "99991400"})
_CAUSES = {
    "9499": "bad-request",
    "19001": "unknown-robot",
    "19022": "ip-whitelist",
    "19024": "keyword",
}


class FeishuSender(Robot):
    kind = "feishu"
    per_second = 4  # of 5
    per_minute = 90  # of 100
    start = "https://open.feishu.cn/open-apis/bot/v2/hook/"
    hosts = frozenset({"open.feishu.cn", "open.larksuite.com"})
    code_name = "code"
    text_name = "msg"

    @classmethod
    def token(cls, parts: SplitResult) -> str:
        found = _PATH.fullmatch(parts.path)
        return found[1] if found and not parts.query else ""

    def harmless(self, text: str) -> str:
        # Feishu reads <at user_id="all"> in a text as a call to everybody.
        return _AT.sub("(", text)

    def body(self, message: Message, now: datetime) -> bytes:
        signed = {}
        if self.secret:
            timestamp_s = int(now.timestamp())
            signed = {"timestamp": str(timestamp_s), "sign": feishu_sign(self.secret, timestamp_s)}
        return fitting_body(
            lambda size: {**signed, "msg_type": "text", "content": {"text": self.text(message, size)}}, MAX_BODY_BYTES
        )

    def refusal(self, code: str, text: str, answer: Answer, now: datetime) -> ConnectorError:
        if code in _TOO_FAST or (code == "9499" and "too many" in text.lower()):
            return Wait(self.kind, "send", retry_at=now + WAIT, cause="quota", code=code, detail=text)
        if code == "19021":
            # One code for a wrong secret and a wrong clock; the answer's own time tells which.
            served_at = http_date(answer.date)
            is_late = served_at is not None and abs(served_at - now) > WINDOW
            return self.fatal("clock" if is_late else "bad-signature", code, text)
        return self.fatal(_CAUSES.get(code, "unrecognised"), code, text)
