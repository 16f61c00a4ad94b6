"""`/open-apis/bot/v2/hook/<token>`: Feishu's custom bot, Lark abroad.

Refusals have HTTP status 200 and a code: 19021 for signature and clock, 19022 for the address, 19024 for keywords, 9499
for shape and size, 19002 for a missing type, 19001 for the token, 11232 for too many messages.
"""

import time
from collections.abc import Callable
from hmac import compare_digest
from typing import Any
from urllib.parse import unquote

from integrations.simulator.messages import Message
from integrations.simulator.robots.accounts import FEISHU, Robot
from integrations.simulator.robots.endpoint import Endpoint, Refusal, is_json, read_json
from integrations.simulator.robots.shapes import Missing, objects, optional_string, part, string
from integrations.simulator.robots.signing import feishu_sign
from integrations.simulator.routing import Request

TIMESTAMP_WINDOW_SECONDS = 3600
MAX_BODY = 20 * 1024
LANGUAGES = ("zh_cn", "en_us", "ja_jp", "zh_hk", "zh_tw")


def _text(body: dict[str, Any]) -> tuple[str, str]:
    return "", string(part(body, "content"), "text")


def _post(body: dict[str, Any]) -> tuple[str, str]:
    post = part(part(body, "content"), "post")
    language = next((name for name in LANGUAGES if name in post), "")
    one = part(post, language)
    lines = one.get("content")
    if not isinstance(lines, list) or not lines:
        raise Missing("content")
    texts = []
    for line in lines:
        pieces = objects({"line": line}, "line")
        for piece in pieces:
            string(piece, "tag")
        texts.append("".join(optional_string(piece, "text") for piece in pieces))
    return optional_string(one, "title"), "\n".join(texts)


def _image(body: dict[str, Any]) -> tuple[str, str]:
    string(part(body, "content"), "image_key")
    return "", ""


def _share_chat(body: dict[str, Any]) -> tuple[str, str]:
    string(part(body, "content"), "share_chat_id")
    return "", ""


def _card(body: dict[str, Any]) -> tuple[str, str]:
    """A card of version 1, whose elements stand in the card, or of version 2, where they stand in its body."""
    card = part(body, "card")
    title = string(part(part(card, "header"), "title"), "content") if "header" in card else ""
    elements = objects(part(card, "body") if card.get("schema") == "2.0" else card, "elements")
    texts = []
    for element in elements:
        string(element, "tag")
        holder = element["text"] if isinstance(element.get("text"), dict) else element
        texts.append(optional_string(holder, "content"))
    return title, "\n".join(text for text in texts if text)


TYPES: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "text": _text,
    "post": _post,
    "image": _image,
    "share_chat": _share_chat,
    "interactive": _card,
}


def _bad_request() -> Refusal:
    return Refusal(9499, "Bad Request")


class Feishu(Endpoint):
    platform = FEISHU
    path = "/open-apis/bot/v2/hook/"

    def find(self, request: Request) -> Robot | None:
        return self.simulation.robots.find(FEISHU, unquote(request.path.removeprefix(self.path).removesuffix("/")))

    def answer(self, code: int, text: str) -> dict[str, Any]:
        if code:
            return {"code": code, "msg": text, "data": {}}
        twins = {"Extra": None, "StatusCode": 0, "StatusMessage": "success"}
        return {**twins, "code": 0, "data": {}, "msg": "success"}

    def judge(self, request: Request, robot: Robot | None, message: Message) -> None:
        if robot is None:
            raise Refusal(19001, "param invalid: incoming webhook access token invalid")
        if not self.simulation.robots.may_send(robot):
            raise Refusal(11232, "frequency limited")
        if request.verb != "POST" or not is_json(request) or len(request.body) > MAX_BODY:
            raise _bad_request()
        body = read_json(request.body)
        if body is None:
            raise _bad_request()
        self._read(body, message)
        self._check_signature(body, robot, message)
        if not robot.allows(request.client):
            raise Refusal(19022, "Ip Not Allowed")
        if robot.keywords and not any(word in f"{message.title}\n{message.text}" for word in robot.keywords):
            raise Refusal(19024, "Key Words Not Found")

    @staticmethod
    def _read(body: dict[str, Any], message: Message) -> None:
        kind = body.get("msg_type")
        if not kind:
            raise Refusal(19002, "params error, msg_type need")
        if not isinstance(kind, str) or kind not in TYPES:
            raise _bad_request()
        message.type = kind
        try:
            message.title, message.text = TYPES[kind](body)
        except Missing as error:
            raise _bad_request() from error

    @staticmethod
    def _check_signature(body: dict[str, Any], robot: Robot, message: Message) -> None:
        if not robot.secret:
            return
        timestamp, sign = body.get("timestamp"), body.get("sign")
        refusal = Refusal(19021, "sign match fail or timestamp is not within one hour from current time")
        if not isinstance(timestamp, str) or not isinstance(sign, str):
            raise refusal
        within = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20
        if not within or abs(time.time() - int(timestamp)) > TIMESTAMP_WINDOW_SECONDS:
            raise refusal
        if not compare_digest(sign.encode(), feishu_sign(timestamp, robot.secret).encode()):
            raise refusal
        message.signed = True
