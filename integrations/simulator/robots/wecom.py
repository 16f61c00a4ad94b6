"""`/cgi-bin/webhook/send`: WeCom's group robot, whose key is its only guard.

Refusals have HTTP status 200 and a code: 93000 for the key, 45009 for too many messages, 40058 for too long a text, as
for any other part that is not as it must be, 40008 for the type, 44004 for an empty text.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from integrations.simulator.messages import Message
from integrations.simulator.robots.accounts import WECOM, Robot
from integrations.simulator.robots.endpoint import Endpoint, Refusal, is_json, read_json
from integrations.simulator.robots.shapes import Missing, objects, part, string, strings
from integrations.simulator.routing import Request

# In bytes of UTF-8. What is longer is refused, not cut.
MAX_CONTENT = {"text": 2048, "markdown": 4096, "markdown_v2": 4096}
MAX_ARTICLES = 8


def _content(body: dict[str, Any]) -> tuple[str, str]:
    strings(body, "mentioned_list"), strings(body, "mentioned_mobile_list")
    return "", string(body, "content")


def _image(body: dict[str, Any]) -> tuple[str, str]:
    string(body, "base64"), string(body, "md5")
    return "", ""


def _news(body: dict[str, Any]) -> tuple[str, str]:
    articles = objects(body, "articles")
    if len(articles) > MAX_ARTICLES:
        raise Missing("articles")
    for article in articles:
        string(article, "url")
    return "", "\n".join(string(article, "title") for article in articles)


def _file(body: dict[str, Any]) -> tuple[str, str]:
    string(body, "media_id")
    return "", ""


def _template_card(body: dict[str, Any]) -> tuple[str, str]:
    string(body, "card_type")
    return string(part(body, "main_title"), "title"), ""


TYPES: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "text": _content,
    "markdown": _content,
    "markdown_v2": _content,
    "image": _image,
    "news": _news,
    "file": _file,
    "template_card": _template_card,
}


class WeCom(Endpoint):
    platform = WECOM
    path = "/cgi-bin/webhook/send"

    def find(self, request: Request) -> Robot | None:
        return self.simulation.robots.find(WECOM, parse_qs(request.query).get("key", [""])[0])

    def answer(self, code: int, text: str) -> dict[str, Any]:
        return {"errcode": code, "errmsg": text or "ok"}

    def judge(self, request: Request, robot: Robot | None, message: Message) -> None:
        def refusal(code: int, text: str) -> Refusal:
            hint = f"{int(time.time())}{uuid.uuid4().int % 10**15:015d}"
            more = f"more info at https://open.work.weixin.qq.com/devtool/query?e={code}"
            return Refusal(code, f"{text}, hint: [{hint}], from ip: {request.client}, {more}")

        if request.verb != "POST":
            raise refusal(43002, "require POST http method")
        if robot is None:
            raise refusal(93000, "invalid webhook url")
        if not self.simulation.robots.may_send(robot):
            raise refusal(45009, "api freq out of limit")
        if not is_json(request):
            raise Refusal(-1, "Unsupported Media Type", status=415)
        body = read_json(request.body)
        if body is None:
            raise refusal(47001, "data format error")
        kind = body.get("msgtype")
        if not isinstance(kind, str) or kind not in TYPES:
            raise refusal(40008, "invalid message type")
        message.type = kind
        try:
            message.title, message.text = TYPES[kind](part(body, kind))
        except Missing as error:
            if str(error) == "content":
                raise refusal(44004, "empty content") from error
            raise refusal(40058, f"{kind}.{error} missing or invalid. invalid Request Parameter") from error
        longest = MAX_CONTENT.get(kind)
        if longest is not None and len(message.text.encode("utf-8", "surrogatepass")) > longest:
            raise refusal(40058, f"{kind}.content exceed max length {longest}. invalid Request Parameter")
