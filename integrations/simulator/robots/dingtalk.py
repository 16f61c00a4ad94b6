"""`/robot/send`: DingTalk's custom robot.

Refusals have HTTP status 200 and a code: 310000 for signature, clock, keyword and address, 300001 for the token, 130101
for too many messages, 460101 for too long ones, 40035 for what is not JSON, 400402 for a missing part.
"""

import time
import uuid
from collections.abc import Callable
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qs

from integrations.simulator.messages import Message
from integrations.simulator.robots.accounts import DESCRIBED, DINGTALK, Robot
from integrations.simulator.robots.endpoint import Endpoint, Refusal, is_json, read_json
from integrations.simulator.robots.shapes import Missing, objects, part, string, strings
from integrations.simulator.robots.signing import dingtalk_sign
from integrations.simulator.routing import Request

TIMESTAMP_WINDOW_SECONDS = 3600
MAX_BODY = 20_000
MORE = ", more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"
LINK = "请参考本接口对应文档获得具体要求，或者在https://open.dingtalk.com/document/  搜索相关文档"
SIGN = "sign not match"
TIMESTAMP = "invalid timestamp"
KEYWORDS = "keywords not in content"
ADDRESS = "not in whitelist"
DESCRIPTIONS = {
    SIGN: (
        "机器人发送签名不匹配",
        "请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确",
    ),
    TIMESTAMP: ("机器人发送签名过期", "签名生成时间和发送时间请保持在 timestampms 以内"),
    KEYWORDS: ("关键词不匹配", "请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词"),
    ADDRESS: ("机器人发送的IP地址不在白名单", "请联系群管理员将此IP加入机器人的白名单"),
}


def _guard(robot: Robot, reason: str, classic: str = "") -> Refusal:
    """A 310000 in the robot's wording."""
    if robot.wording == DESCRIBED:
        description, solution = DESCRIPTIONS[reason]
        return Refusal(310000, f"description:{description};solution:{solution};link:{LINK};")
    return Refusal(310000, (classic or reason) + MORE)


def _text(body: dict[str, Any]) -> tuple[str, str]:
    return "", string(body, "content")


def _titled(body: dict[str, Any]) -> tuple[str, str]:
    return string(body, "title"), string(body, "text")


def _link(body: dict[str, Any]) -> tuple[str, str]:
    string(body, "messageUrl")
    return _titled(body)


def _action_card(body: dict[str, Any]) -> tuple[str, str]:
    if "btns" in body:
        for button in objects(body, "btns"):
            string(button, "title"), string(button, "actionURL")
    else:
        string(body, "singleTitle"), string(body, "singleURL")
    return _titled(body)


def _feed_card(body: dict[str, Any]) -> tuple[str, str]:
    links = objects(body, "links")
    for link in links:
        string(link, "messageURL"), string(link, "picURL")
    return "", "\n".join(string(link, "title") for link in links)


TYPES: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "text": _text,
    "link": _link,
    "markdown": _titled,
    "actionCard": _action_card,
    "feedCard": _feed_card,
}


class DingTalk(Endpoint):
    platform = DINGTALK
    path = "/robot/send"

    def find(self, request: Request) -> Robot | None:
        return self.simulation.robots.find(DINGTALK, parse_qs(request.query).get("access_token", [""])[0])

    def answer(self, code: int, text: str) -> dict[str, Any]:
        return {"errcode": code, "errmsg": text or "ok"}

    def judge(self, request: Request, robot: Robot | None, message: Message) -> None:
        if request.verb != "POST":
            raise Refusal(43002, "需要POST请求")
        if robot is None:
            raise Refusal(300001, "token is not exist")
        if not self.simulation.robots.may_send(robot):
            raise Refusal(130101, "send too fast, exceed 20 times per minute", extra=_punishment(robot))
        if not is_json(request):
            raise Refusal(43004, "无效的HTTP HEADER Content-Type")
        if len(request.body) > MAX_BODY:
            raise Refusal(460101, "message too long, exceed 20000 bytes")
        body = read_json(request.body)
        if body is None:
            raise Refusal(40035, "缺少参数 json")
        self._read(body, message)
        self._check_signature(request, robot, message)
        if not robot.allows(request.client):
            raise _guard(robot, ADDRESS, f"ip {request.client} {ADDRESS}")
        if robot.keywords and not any(word in f"{message.title}\n{message.text}" for word in robot.keywords):
            raise _guard(robot, KEYWORDS)

    @staticmethod
    def _read(body: dict[str, Any], message: Message) -> None:
        kind = body.get("msgtype")
        if not isinstance(kind, str) or kind not in TYPES:
            raise Refusal(400105, f"不支持的消息类型 msgtype:{kind}")
        message.type = kind
        try:
            message.title, message.text = TYPES[kind](part(body, kind))
            at = part(body, "at") if body.get("at") is not None else {}
            strings(at, "atMobiles"), strings(at, "atUserIds")
            if not isinstance(at.get("isAtAll", False), bool):
                raise Missing("isAtAll")
        except Missing as error:
            description = f"参数 {kind} --》 {error} 缺失，或者参数格式不正确"
            text = f"错误描述:{description}; 解决方案:请填充上对应参数;参考链接:{LINK};"
            raise Refusal(400402, text) from error

    @staticmethod
    def _check_signature(request: Request, robot: Robot, message: Message) -> None:
        if not robot.secret:
            return
        query = parse_qs(request.query)
        timestamp, sign = query.get("timestamp", [""])[0], query.get("sign", [""])[0]
        if not timestamp or not sign:
            raise _guard(robot, SIGN)
        within = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20
        if not within or abs(time.time() - int(timestamp) / 1000) > TIMESTAMP_WINDOW_SECONDS:
            raise _guard(robot, TIMESTAMP)
        if not compare_digest(sign.encode(), dingtalk_sign(timestamp, robot.secret).encode()):
            raise _guard(robot, SIGN)
        message.signed = True


def _punishment(robot: Robot) -> dict[str, Any]:
    """The block that a gateway before DingTalk adds; here to every second refusal."""
    if robot.refused_in_block % 2:
        return {}
    return {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": uuid.uuid4().hex}
