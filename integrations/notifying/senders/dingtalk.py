"""DingTalk's custom robots."""

from datetime import datetime, timedelta
from urllib.parse import SplitResult, urlencode

from integrations.connectors.errors import ConnectorError, Retry, Wait
from integrations.connectors.http import Answer
from integrations.notifying.senders.base import Message
from integrations.notifying.senders.robot import Robot, fitting_body, query_value
from integrations.notifying.senders.signing import dingtalk_sign

# A robot that was called too often is blocked for this long.
BLOCK = timedelta(minutes=10)
MAX_BODY_BYTES = 20_000

_TOO_FAST = frozenset({"130101", "410100"})
_UNKNOWN_ROBOT = frozenset({"300001", "300005", "400013", "400101", "400102", "400106"})
_REFUSED_CONTENT = frozenset({"430101", "430102", "430103", "430104"})
# 310000 stands for all of these; the texts are the English ones and the newer Chinese ones. The Chinese text on the
# signature mentions the timestamp too, so the order counts.
_SECURITY = [
    ("bad-signature", ("sign not match", "签名不匹配")),
    ("clock", ("timestamp", "时间戳", "签名过期")),
    ("keyword", ("keyword", "关键词")),
    ("ip-whitelist", ("whitelist", "白名单")),
]


class DingTalkSender(Robot):
    kind = "dingtalk"
    per_minute = 18  # of 20
    start = "https://oapi.dingtalk.com/robot/send?access_token="
    hosts = frozenset({"oapi.dingtalk.com"})
    code_name = "errcode"
    text_name = "errmsg"

    @classmethod
    def token(cls, parts: SplitResult) -> str:
        return query_value(parts, "access_token") if parts.path == "/robot/send" else ""

    def url(self, now: datetime) -> str:
        query = {"access_token": self._token}
        if self.secret:
            timestamp_ms = int(now.timestamp() * 1000)
            query |= {"timestamp": str(timestamp_ms), "sign": dingtalk_sign(self.secret, timestamp_ms)}
        return self._parts._replace(query=urlencode(query)).geturl()

    def body(self, message: Message, now: datetime) -> bytes:
        return fitting_body(
            lambda size: {"msgtype": "text", "text": {"content": self.text(message, size)}}, MAX_BODY_BYTES
        )

    def refusal(self, code: str, text: str, answer: Answer, now: datetime) -> ConnectorError:
        if code in _TOO_FAST:
            return Wait(self.kind, "send", retry_at=now + BLOCK, cause="quota", code=code, detail=text)
        if code == "310000":
            said = text.lower()
            cause = next((cause for cause, words in _SECURITY if any(word in said for word in words)), "not-admitted")
            return self.fatal(cause, code, text)
        if code in _UNKNOWN_ROBOT:
            return self.fatal("unknown-robot", code, text)
        if code in _REFUSED_CONTENT:
            return self.fatal("refused-content", code, text)
        if code in {"40035", "43004", "400105"}:
            return self.fatal("bad-request", code, text)
        if code == "-1":
            return Retry(self.kind, "send", cause="server-error", code=code, detail=text)
        return self.fatal("unrecognised", code, text)
