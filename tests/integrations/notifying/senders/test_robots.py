"""The three robots: what they are sent, and what each of their answers means."""

import json
import logging
import socket
import time
import traceback
from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import ConnectorError, Fatal, Retry, Review, Wait
from integrations.notifying.senders.dingtalk import DingTalkSender
from integrations.notifying.senders.feishu import FeishuSender
from integrations.notifying.senders.robot import Robot
from integrations.notifying.senders.signing import dingtalk_sign, feishu_sign
from integrations.notifying.senders.wecom import WeComSender
from tests.integrations.connectors.raw_server import RawServer, answer, answer_json, raw
from tests.integrations.notifying.senders.conftest import NOW, message

pytestmark = pytest.mark.pure

TOKEN = "5f3c9e1d-0b7a-4c2e-geheim"
PATHS = {
    DingTalkSender: f"/robot/send?access_token={TOKEN}",
    FeishuSender: f"/open-apis/bot/v2/hook/{TOKEN}",
    WeComSender: f"/cgi-bin/webhook/send?key={TOKEN}",
}
OWN = {
    DingTalkSender: "https://oapi.dingtalk.com",
    FeishuSender: "https://open.feishu.cn",
    WeComSender: "https://qyapi.weixin.qq.com",
}
GOOD: dict[type[Robot], dict[str, object]] = {
    DingTalkSender: {"errcode": 0, "errmsg": "ok"},
    FeishuSender: {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success", "Extra": None},
    WeComSender: {"errcode": 0, "errmsg": "ok"},
}
ROBOTS = pytest.mark.parametrize("kind", PATHS, ids=lambda kind: kind.kind)


def send(kind, server, http, secret="", options=None, **fields):
    return kind(server.url + PATHS[kind], secret, options, http=http).send(message(**fields), now=NOW)


def refused(kind, http, *handlers, secret=""):
    with RawServer(*handlers) as server, pytest.raises(ConnectorError) as caught:
        send(kind, server, http, secret)
    return caught.value


# --- What is sent ---------------------------------------------------------------------------------------------------


@ROBOTS
def test_code_0_in_the_body_is_success(kind, http):
    with RawServer(answer_json(GOOD[kind])) as server:
        receipt = send(kind, server, http)
    assert (receipt.code, receipt.text) == ("0", "success" if kind is FeishuSender else "ok")
    assert server.heads[0].startswith(f"POST {PATHS[kind]} HTTP/1.1\r\n")
    assert "Content-Type: application/json; charset=utf-8" in server.heads[0]


def test_dingtalk_signs_milliseconds_in_the_query_and_encodes_the_signature_once(http):
    with RawServer(answer_json(GOOD[DingTalkSender])) as server:
        send(DingTalkSender, server, http, "SEC-geheim")
    query = parse_qs(urlsplit(server.heads[0].split(" ")[1]).query)
    timestamp = int(query["timestamp"][0])
    assert timestamp == NOW.timestamp() * 1000
    assert query == {
        "access_token": [TOKEN],
        "timestamp": [str(timestamp)],
        "sign": [dingtalk_sign("SEC-geheim", timestamp)],
    }
    assert json.loads(server.bodies[0]) == {
        "msgtype": "text",
        "text": {
            "content": "Below ¥200: 台灯\n台灯 · 天猫旗舰店\nLive price ¥268.00 → ¥189.00, limit ¥200.00\n"
            "https://shop.example/alerts/1/"
        },
    }
    assert "SEC-geheim" not in server.heads[0]


def test_dingtalk_address_of_the_vector_is_as_published(http):
    sender = DingTalkSender("https://oapi.dingtalk.com/robot/send?access_token=T", "this is secret", http=http)
    address = sender.url(NOW.fromtimestamp(1599360473, tz=NOW.tzinfo))
    assert address == (
        "https://oapi.dingtalk.com/robot/send?access_token=T&timestamp=1599360473000"
        "&sign=hXZTWifRGHclNuZSKxoXc%2F%2Fsh51SWfVfRIhcdeKs63I%3D"
    )


def test_feishu_signs_seconds_in_the_body(http):
    with RawServer(answer_json(GOOD[FeishuSender])) as server:
        send(FeishuSender, server, http, "geheim", lines=("one",), url="")
    assert server.heads[0].startswith(f"POST {PATHS[FeishuSender]} HTTP/1.1\r\n")
    timestamp = int(NOW.timestamp())
    assert json.loads(server.bodies[0]) == {
        "timestamp": str(timestamp),
        "sign": feishu_sign("geheim", timestamp),
        "msg_type": "text",
        "content": {"text": "Below ¥200: 台灯\none"},
    }


def test_feishu_without_secret_sends_no_signature(http):
    with RawServer(answer_json(GOOD[FeishuSender])) as server:
        send(FeishuSender, server, http)
    assert set(json.loads(server.bodies[0])) == {"msg_type", "content"}


def test_wecom_sends_text_without_a_signature(http):
    with RawServer(answer_json(GOOD[WeComSender])) as server:
        send(WeComSender, server, http, lines=("one",), url="")
    assert json.loads(server.bodies[0]) == {"msgtype": "text", "text": {"content": "Below ¥200: 台灯\none"}}


def test_wecom_sends_up_to_2048_bytes_as_text_and_more_as_markdown(http):
    subject = "Below ¥200"
    room = 2_048 - len(f"{subject}\n\nhttps://shop.example/alerts/1/".encode())
    with RawServer(answer_json(GOOD[WeComSender])) as server:
        send(WeComSender, server, http, subject=subject, lines=("x" * room,))
        send(WeComSender, server, http, subject=subject, lines=("x" * (room + 1),))
    just, over = (json.loads(body) for body in server.bodies)
    assert len(just["text"]["content"].encode()) == 2_048
    assert over["msgtype"] == "markdown"
    assert over["markdown"]["content"].endswith("[https://shop.example/alerts/1/](https://shop.example/alerts/1/)")


LONG = tuple(f'台灯 {number} "Lamp" \\ · 天猫旗舰店 · ¥268.00 → ¥189.00' for number in range(1_000))


@pytest.mark.parametrize(
    ("kind", "read", "limit"),
    [
        pytest.param(DingTalkSender, lambda body: (body, json.loads(body)["text"]["content"]), 20_000, id="dingtalk"),
        pytest.param(FeishuSender, lambda body: (body, json.loads(body)["content"]["text"]), 20_000, id="feishu"),
        pytest.param(
            WeComSender,
            lambda body: (json.loads(body)["markdown"]["content"].encode(), json.loads(body)["markdown"]["content"]),
            4_096,
            id="wecom",
        ),
    ],
)
def test_a_thousand_alerts_fit_the_byte_limit_and_the_rest_is_counted(kind, read, limit, http):
    with RawServer(answer_json(GOOD[kind])) as server:
        send(kind, server, http, "" if kind is WeComSender else "geheim", lines=LONG)
    measured, text = read(server.bodies[0])
    assert limit * 0.97 < len(measured) <= limit
    shown = [line for line in text.split("\n") if line.startswith("台灯 ")]
    assert f"{1_000 - len(shown)} more lines were left out." in text
    assert shown[-1].endswith("¥189.00")
    assert "shop.example/alerts/1/" in text


@ROBOTS
@pytest.mark.parametrize("line", ['"' * 50_000, "\n" * 50_000, "灯" * 50_000, "\x01" * 50_000, "a\ud83d" * 9])
def test_no_line_makes_a_body_too_large_or_unreadable(kind, line, http):
    with RawServer(answer_json(GOOD[kind])) as server:
        send(kind, server, http, lines=(line,), subject=line)
    assert len(server.bodies[0]) <= 20_000
    assert json.loads(server.bodies[0])


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        pytest.param(
            FeishuSender, 'Lamp <at user_id="all">all</at>', 'Lamp (at user_id="all">all(/at>', id="feishu calls all"
        ),
        pytest.param(FeishuSender, "a < b, <attic>", "a < b, <attic>", id="feishu leaves the rest"),
        pytest.param(WeComSender, "Lamp <@all> [x](http://y)", "Lamp (@all) (x)(http://y)", id="wecom mentions, links"),
        pytest.param(WeComSender, "# 1 *hot* `deal`", " 1 ·hot· 'deal'", id="wecom headings"),
        pytest.param(DingTalkSender, "Lamp [x](http://y) @all", "Lamp [x](http://y) @all", id="dingtalk text is text"),
    ],
)
def test_a_title_cannot_be_more_than_text(kind, given, expected, http):
    with RawServer(answer_json(GOOD[kind])) as server:
        send(kind, server, http, subject=given, lines=("one",), url="")
    body = json.loads(server.bodies[0])
    content = body.get("text", {}).get("content") or body["content"]["text"]
    assert content == f"{expected}\none"


@pytest.mark.parametrize("kind", [DingTalkSender, FeishuSender])
def test_a_keyword_that_the_group_demands_is_added_once(kind, http):
    with RawServer(answer_json(GOOD[kind])) as server:
        send(kind, server, http, options={"keyword": "Evenshelf"})
        send(kind, server, http, options={"keyword": "Below"})
    first, second = (body.decode() for body in server.bodies)
    assert first.count("Evenshelf") == 1
    assert second.count("Below") == 1


# --- What answers mean ----------------------------------------------------------------------------------------------

MINUTE = timedelta(minutes=1)
BLOCK = {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": "2f5e"}


@pytest.mark.parametrize(
    ("kind", "code", "text", "expected", "cause", "wait"),
    [
        (DingTalkSender, 310000, "sign not match", Fatal, "bad-signature", None),
        (DingTalkSender, 310000, "invalid timestamp", Fatal, "clock", None),
        (DingTalkSender, 310000, "keywords not in content", Fatal, "keyword", None),
        (DingTalkSender, 310000, "ip 1.2.3.4 not in whitelist", Fatal, "ip-whitelist", None),
        (
            DingTalkSender,
            310000,
            "错误描述:机器人发送签名不匹配;解决方案:请确认签名和时间戳",
            Fatal,
            "bad-signature",
            None,
        ),
        (DingTalkSender, 310000, "错误描述:机器人发送签名过期;解决方案:请校准时钟", Fatal, "clock", None),
        (DingTalkSender, 310000, "错误描述:关键词不匹配;解决方案:请查看此机器人的关键词", Fatal, "keyword", None),
        (DingTalkSender, 310000, "错误描述:IP地址不在白名单内", Fatal, "ip-whitelist", None),
        (DingTalkSender, 310000, "something new", Fatal, "not-admitted", None),
        (DingTalkSender, 130101, "send too fast, exceed 20 times per minute", Wait, "quota", 10 * MINUTE),
        (DingTalkSender, 300001, "token is not exist", Fatal, "unknown-robot", None),
        (DingTalkSender, -1, "system busy", Retry, "server-error", None),
        (DingTalkSender, 987654, "?", Fatal, "unrecognised", None),
        (FeishuSender, 19021, "sign match fail or timestamp is not within one hour", Fatal, "bad-signature", None),
        (FeishuSender, 19022, "Ip Not Allowed", Fatal, "ip-whitelist", None),
        (FeishuSender, 19024, "Key Words Not Found", Fatal, "keyword", None),
        (FeishuSender, 9499, "Bad Request", Fatal, "bad-request", None),
        (FeishuSender, 9499, "too many request", Wait, "quota", MINUTE),
        (FeishuSender, 9499, "Too Many Requests", Wait, "quota", MINUTE),
        (FeishuSender, 11232, "frequency limited psm", Wait, "quota", MINUTE),
        (FeishuSender, 11233, "create message trigger rate limit", Wait, "quota", MINUTE),
        (FeishuSender, 99991400, "request trigger frequency limit", Wait, "quota", MINUTE),
        (FeishuSender, 19001, "param invalid: incoming webhook access token invalid", Fatal, "unknown-robot", None),
        (FeishuSender, 987654, "?", Fatal, "unrecognised", None),
        (WeComSender, 45009, "api freq out of limit", Wait, "quota", MINUTE),
        (WeComSender, 93000, "invalid webhook url", Fatal, "unknown-robot", None),
        (WeComSender, 45002, "content size out of limit", Fatal, "bad-request", None),
        (WeComSender, -1, "system busy", Retry, "server-error", None),
        (WeComSender, 987654, "?", Fatal, "unrecognised", None),
    ],
)
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request"])
def test_a_code_in_the_body_says_what_happens_next(kind, code, text, expected, cause, wait, status, http):
    body = {kind.code_name: code, kind.text_name: text}
    error = refused(kind, http, answer_json(body, status))
    assert type(error) is expected
    assert (error.cause, error.code, error.detail) == (cause, str(code), text)
    assert (error.retry_at - NOW if isinstance(error, Wait) else None) == wait


def test_dingtalk_puts_other_fields_beside_the_code(http):
    error = refused(DingTalkSender, http, answer_json({**BLOCK, "errcode": 130101, "errmsg": "send too fast"}))
    assert isinstance(error, Wait)
    assert error.retry_at == NOW + timedelta(minutes=10)


def test_a_code_written_as_text_is_read(http):
    with RawServer(answer_json({"errcode": "0", "errmsg": None})) as server:
        assert send(DingTalkSender, server, http).code == "0"


def test_feishu_tells_a_wrong_clock_by_the_time_of_its_answer(http):
    body = json.dumps({"code": 19021, "msg": "sign match fail or timestamp is not within one hour"}).encode()
    late = format_datetime(NOW + timedelta(hours=2), usegmt=True)
    near = format_datetime(NOW + timedelta(minutes=2), usegmt=True)
    assert refused(FeishuSender, http, answer(body, Date=late)).cause == "clock"
    assert refused(FeishuSender, http, answer(body, Date=near)).cause == "bad-signature"


@ROBOTS
@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"null", b'"ok"', b'{"errcode":null,"code":null}', b'{"errcode":true,"code":1.5}']
)
def test_an_answer_without_a_code_is_no_success(kind, body, http):
    error = refused(kind, http, answer(body))
    assert (type(error), error.cause) == (Retry, "half-answer")


@ROBOTS
@pytest.mark.parametrize(
    ("handler", "expected", "cause"),
    [
        pytest.param(answer(b"", "500 Internal Server Error"), Retry, "server-error", id="500"),
        pytest.param(answer(b"", "502 Bad Gateway"), Retry, "server-error", id="502"),
        pytest.param(answer(b"", "503 Service Unavailable"), Retry, "server-error", id="503"),
        pytest.param(answer(b"", "504 Gateway Timeout"), Retry, "server-error", id="504"),
        pytest.param(answer(b"", "429 Too Many", Retry_After="30"), Wait, "quota", id="429"),
        pytest.param(answer(b"", "403 Forbidden"), Review, "forbidden", id="403"),
        pytest.param(answer(b"", "404 Not Found"), Fatal, "wrong-address", id="404"),
        pytest.param(answer(b"", "302 Found", Location="http://127.0.0.1:1/x"), Fatal, "redirect", id="redirect"),
        pytest.param(answer(b"<html>log in"), Retry, "not-json", id="a page"),
        pytest.param(lambda connection: time.sleep(0.6), Retry, "no-answer", id="timeout"),
        pytest.param(lambda connection: connection.shutdown(socket.SHUT_RDWR), Retry, "no-answer", id="hung up"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"), Retry, "no-answer", id="half a body"),
    ],
)
def test_what_is_no_answer_of_the_robot_is_told_apart(kind, handler, expected, cause, http):
    error = refused(kind, http, handler)
    assert (type(error), error.cause) == (expected, cause)
    if isinstance(error, Retry):
        assert error.may_have_arrived is (cause != "server-error")


@ROBOTS
def test_nobody_listening_means_that_nothing_arrived(kind, http):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Retry) as caught:
        kind(f"http://127.0.0.1:{port}{PATHS[kind]}", http=http).send(message(), now=NOW)
    assert (caught.value.cause, caught.value.may_have_arrived) == ("connection", False)


# --- Settings -------------------------------------------------------------------------------------------------------


@ROBOTS
def test_the_platforms_own_address_is_taken(kind):
    kind.check(OWN[kind] + PATHS[kind])
    kind.check(f"{OWN[kind]}:443{PATHS[kind]}")


def test_lark_is_feishu_abroad():
    FeishuSender.check(f"https://open.larksuite.com{PATHS[FeishuSender]}", "secret")


@ROBOTS
@pytest.mark.parametrize(
    "base",
    [
        "https://hooks.example",
        "https://oapi.dingtalk.com.hooks.example",
        "https://hooks.example/oapi.dingtalk.com",
        "https://oapi.dingtalk.com:8443",
        "http://oapi.dingtalk.com",
        "http://open.feishu.cn",
        "http://qyapi.weixin.qq.com",
        "https://169.254.169.254",
        "https://127.0.0.2",
    ],
)
def test_another_host_is_refused(kind, base):
    with pytest.raises(InvalidSetting) as caught:
        kind.check(base + PATHS[kind])
    assert caught.value.field == "address"
    assert TOKEN not in str(caught.value)


@ROBOTS
@pytest.mark.parametrize(
    "path", ["", "/", "/robot/send", "/robot/send?access_token=", "/open-apis/bot/v2/hook/", "/x?key=1"]
)
def test_an_address_without_its_token_is_refused(kind, path):
    with pytest.raises(InvalidSetting) as caught:
        kind.check(OWN[kind] + path)
    assert caught.value.field == "address"


def test_a_robot_of_this_machine_is_refused_unless_the_settings_allow_it(settings):
    settings.ALLOWED_PRIVATE_HOSTS = []
    with pytest.raises(InvalidSetting):
        DingTalkSender.check(f"http://127.0.0.1:8900{PATHS[DingTalkSender]}")


def test_wecom_takes_no_secret():
    with pytest.raises(InvalidSetting) as caught:
        WeComSender.check(OWN[WeComSender] + PATHS[WeComSender], "geheim")
    assert caught.value.field == "secret"


@ROBOTS
def test_an_unknown_option_is_refused(kind):
    with pytest.raises(InvalidSetting) as caught:
        kind.check(OWN[kind] + PATHS[kind], "", {"colour": "red"})
    assert caught.value.field == "options"


# --- Secrets --------------------------------------------------------------------------------------------------------


@ROBOTS
@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(
            lambda kind: answer_json({kind.code_name: 310000, kind.text_name: f"bad {TOKEN} SEC-geheim"}), id="x"
        ),
        pytest.param(lambda kind: answer_json({kind.code_name: 11232, kind.text_name: TOKEN}), id="wait"),
        pytest.param(lambda kind: answer(b"<html>" + TOKEN.encode()), id="page"),
        pytest.param(lambda kind: answer(b"", "302 Found", Location=f"http://x.example/{TOKEN}"), id="redirect"),
        pytest.param(lambda kind: answer(b"", "500 Oops"), id="500"),
        pytest.param(lambda kind: lambda connection: time.sleep(0.6), id="timeout"),
        pytest.param(lambda kind: lambda connection: connection.shutdown(socket.SHUT_RDWR), id="hung up"),
    ],
)
def test_no_error_or_log_line_holds_a_secret(kind, handler, http, caplog):
    secret = "" if kind is WeComSender else "SEC-geheim"
    with caplog.at_level(logging.INFO):
        error = refused(kind, http, handler(kind), secret=secret)
    seen = f"{error} {error!r} {''.join(traceback.format_exception(error))} {caplog.text}"
    assert TOKEN not in seen
    assert kind is WeComSender or "SEC-geheim" not in seen


@ROBOTS
def test_a_receipt_and_a_sender_hold_no_secret(kind, http):
    body = {**GOOD[kind], kind.text_name: f"ok {TOKEN}"}
    with RawServer(answer_json(body)) as server:
        sender = kind(server.url + PATHS[kind], http=http)
        assert sender.send(message(), now=NOW).text == "ok ***"
    assert TOKEN not in repr(sender)
