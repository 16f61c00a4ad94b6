"""The robots of DingTalk, Feishu and WeCom, called as their protocol pages say; signatures are made here anew."""

import base64
import hashlib
import hmac
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote_plus

import orjson
import pytest
import requests
from apprise.common import NotifyFormat
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.wecombot import NotifyWeComBot

from integrations.simulator.robots.signing import dingtalk_sign, feishu_sign
from tests.simulator import SimulatorError

pytestmark = pytest.mark.pure

HOUR = 3600
DINGTALK_TEXT = {"msgtype": "text", "text": {"content": "库存不足"}}
DINGTALK_MARKDOWN = {
    "msgtype": "markdown",
    "markdown": {"title": "Stock low", "text": "### Stock low\n- SKU-1: 3 left"},
}
FEISHU_TEXT = {"msg_type": "text", "content": {"text": "库存不足"}}
WECOM_TEXT = {"msgtype": "text", "text": {"content": "库存不足"}}


@pytest.fixture
def http():
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def post(http):
    """The answer's JSON; every answer of a robot has status 200."""

    def send(url, body):
        response = http.post(url, json=body, timeout=10)
        assert response.status_code == 200
        return response.json()

    return send


def hmac_sha256(key, message):
    return base64.b64encode(hmac.new(key.encode(), message.encode(), hashlib.sha256).digest()).decode()


def dingtalk_query(secret, *, at=None, timestamp=None, sign=None):
    """&timestamp=...&sign=... in milliseconds, of the moment `at`; timestamp and sign replace what is right."""
    timestamp = timestamp or str(round((at or time.time()) * 1000))
    sign = sign or hmac_sha256(secret, f"{timestamp}\n{secret}")
    return f"&timestamp={timestamp}&sign={quote_plus(sign)}"


def feishu_signed(body, secret, *, at=None, timestamp=None, sign=None):
    timestamp = timestamp or str(round(at or time.time()))
    return {"timestamp": timestamp, "sign": sign or hmac_sha256(f"{timestamp}\n{secret}", ""), **body}


# Signatures


def test_signatures_are_those_of_the_published_rules():
    assert dingtalk_sign("1599360473000", "this is secret") == "hXZTWifRGHclNuZSKxoXc//sh51SWfVfRIhcdeKs63I="
    assert feishu_sign("1599360473", "demo") == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="


def test_dingtalk_takes_a_rightly_signed_message(simulator, post):
    robot = simulator.robots["dingtalk-signed"]
    url = robot["url"] + dingtalk_query(robot["secret"])
    assert post(url, DINGTALK_MARKDOWN) == {"errcode": 0, "errmsg": "ok"}
    (message,) = simulator.messages("dingtalk-signed")
    assert message["accepted"]
    assert message["signed"]
    assert (message["type"], message["title"], message["text"]) == (
        "markdown",
        "Stock low",
        "### Stock low\n- SKU-1: 3 left",
    )
    assert message["body"] == DINGTALK_MARKDOWN


def double_encoded(secret):
    timestamp = str(round(time.time() * 1000))
    return dingtalk_query(secret, timestamp=timestamp, sign=quote_plus(hmac_sha256(secret, f"{timestamp}\n{secret}")))


def unencoded(secret):
    """A signature with a + in it, as it is: the + arrives as a space."""
    timestamp = round(time.time() * 1000)
    while "+" not in (sign := hmac_sha256(secret, f"{timestamp}\n{secret}")):
        timestamp += 1
    return f"&timestamp={timestamp}&sign={sign}"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        pytest.param(lambda secret: "", "sign not match", id="unsigned"),
        pytest.param(lambda secret: dingtalk_query("SECother"), "sign not match", id="another secret"),
        pytest.param(double_encoded, "sign not match", id="encoded twice"),
        pytest.param(unencoded, "sign not match", id="not encoded"),
        pytest.param(
            lambda secret: dingtalk_query(secret, timestamp="1599360473000"), "invalid timestamp", id="long ago"
        ),
        pytest.param(
            lambda secret: dingtalk_query(secret, at=time.time() - HOUR - 5), "invalid timestamp", id="over an hour old"
        ),
        pytest.param(
            lambda secret: dingtalk_query(secret, at=time.time() + HOUR + 5), "invalid timestamp", id="clock ahead"
        ),
        pytest.param(
            lambda secret: dingtalk_query(secret, timestamp=str(round(time.time()))), "invalid timestamp", id="seconds"
        ),
        pytest.param(lambda secret: dingtalk_query(secret, timestamp="soon"), "invalid timestamp", id="no number"),
    ],
)
def test_dingtalk_refuses_a_wrong_signature_with_status_200(simulator, post, query, text):
    robot = simulator.robots["dingtalk-signed"]
    answer = post(robot["url"] + query(robot["secret"]), DINGTALK_TEXT)
    assert answer["errcode"] == 310000
    assert answer["errmsg"].startswith(text)
    (message,) = simulator.messages("dingtalk-signed")
    assert (message["accepted"], message["signed"], message["code"]) == (False, False, 310000)


def test_dingtalk_signature_holds_for_almost_an_hour(simulator, post):
    robot = simulator.robots["dingtalk-signed"]
    for offset in (-HOUR + 10, HOUR - 10):
        url = robot["url"] + dingtalk_query(robot["secret"], at=time.time() + offset)
        assert post(url, DINGTALK_TEXT)["errcode"] == 0


def test_dingtalk_may_describe_its_refusals_in_chinese(simulator, post):
    simulator.robots.set("dingtalk-signed", wording="described")
    answer = post(simulator.robots["dingtalk-signed"]["url"], DINGTALK_TEXT)
    assert answer["errcode"] == 310000
    assert answer["errmsg"].startswith("description:机器人发送签名不匹配;solution:")


def test_feishu_takes_a_rightly_signed_message_and_answers_with_its_legacy_twins(simulator, post):
    robot = simulator.robots["feishu-signed"]
    card = {
        "header": {"title": {"tag": "plain_text", "content": "Stock low"}},
        "elements": [{"tag": "markdown", "content": "**SKU-1** 3 left"}],
    }
    answer = post(robot["url"], feishu_signed({"msg_type": "interactive", "card": card}, robot["secret"]))
    assert answer == {
        "code": 0,
        "msg": "success",
        "data": {},
        "StatusCode": 0,
        "StatusMessage": "success",
        "Extra": None,
    }
    (message,) = simulator.messages("feishu-signed")
    assert message["signed"]
    assert (message["title"], message["text"]) == ("Stock low", "**SKU-1** 3 left")
    assert message["body"] == {"msg_type": "interactive", "card": card}


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param(lambda secret: FEISHU_TEXT, id="unsigned"),
        pytest.param(lambda secret: feishu_signed(FEISHU_TEXT, "other"), id="another secret"),
        pytest.param(
            lambda secret: feishu_signed(
                FEISHU_TEXT,
                secret,
                timestamp=(now := str(round(time.time()))),
                sign=hmac_sha256(secret, f"{now}\n{secret}"),
            ),
            id="DingTalk's rule",
        ),
        pytest.param(lambda secret: feishu_signed(FEISHU_TEXT, secret, at=time.time() - HOUR - 5), id="over an hour"),
        pytest.param(
            lambda secret: feishu_signed(FEISHU_TEXT, secret, timestamp=str(round(time.time() * 1000))),
            id="milliseconds",
        ),
    ],
)
def test_feishu_refuses_a_wrong_signature_with_status_200(simulator, post, sign):
    robot = simulator.robots["feishu-signed"]
    assert post(robot["url"], sign(robot["secret"])) == {
        "code": 19021,
        "data": {},
        "msg": "sign match fail or timestamp is not within one hour from current time",
    }


# Tokens, keywords, addresses


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/robot/send?access_token=unknown", DINGTALK_TEXT, 300001),
        ("/robot/send", DINGTALK_TEXT, 300001),
        ("/open-apis/bot/v2/hook/unknown", FEISHU_TEXT, 19001),
        ("/cgi-bin/webhook/send?key=unknown", WECOM_TEXT, 93000),
    ],
)
def test_unknown_robot_is_refused_with_status_200(simulator, post, path, body, code):
    answer = post(simulator.base_url + path, body)
    assert answer.get("errcode", answer.get("code")) == code
    (message,) = simulator.messages()
    assert (message["robot"], message["accepted"]) == ("", False)


@pytest.mark.parametrize(
    ("robot", "refused", "accepted", "code"),
    [
        pytest.param(
            "dingtalk-keyword", {"msgtype": "text", "text": {"content": "hello"}}, DINGTALK_TEXT, 310000, id="DingTalk"
        ),
        pytest.param(
            "feishu-keyword", {"msg_type": "text", "content": {"text": "hello"}}, FEISHU_TEXT, 19024, id="Feishu"
        ),
    ],
)
def test_message_without_a_keyword_is_refused(simulator, post, robot, refused, accepted, code):
    url = simulator.robots[robot]["url"]
    answer = post(url, refused)
    assert answer.get("errcode", answer.get("code")) == code
    assert (
        answer.get("errmsg", answer.get("msg")).lower().startswith(("keywords not in content", "key words not found"))
    )
    answer = post(url, accepted)
    assert answer.get("errcode", answer.get("code")) == 0


@pytest.mark.parametrize(
    ("addresses", "passes"),
    [
        (["203.0.113.7"], False),
        (["203.0.113.0/24", "127.0.0.2"], False),
        (["203.0.113.7", "127.0.0.1"], True),
        (["127.0.0.1/24"], True),
        (["127.0.0.*"], True),
        (["127.0.1.*"], False),
    ],
)
def test_robot_takes_messages_from_its_addresses_only(simulator, post, addresses, passes):
    for robot, body in (("dingtalk-open", DINGTALK_TEXT), ("feishu-open", FEISHU_TEXT)):
        simulator.robots.set(robot, addresses=addresses)
        answer = post(simulator.robots[robot]["url"], body)
        if passes:
            assert answer.get("errcode", answer.get("code")) == 0
        elif robot == "dingtalk-open":
            assert answer["errcode"] == 310000
            assert answer["errmsg"].startswith("ip 127.0.0.1 not in whitelist")
        else:
            assert (answer["code"], answer["msg"]) == (19022, "Ip Not Allowed")


# Bodies


@pytest.mark.parametrize(
    ("robot", "body", "title", "text"),
    [
        ("dingtalk-open", DINGTALK_TEXT, "", "库存不足"),
        (
            "dingtalk-open",
            {"msgtype": "link", "link": {"title": "T", "text": "a", "messageUrl": "https://x.example"}},
            "T",
            "a",
        ),
        (
            "dingtalk-open",
            {"msgtype": "actionCard", "actionCard": {"title": "T", "text": "a", "singleTitle": "b", "singleURL": "c"}},
            "T",
            "a",
        ),
        (
            "dingtalk-open",
            {
                "msgtype": "actionCard",
                "actionCard": {"title": "T", "text": "a", "btns": [{"title": "b", "actionURL": "c"}]},
            },
            "T",
            "a",
        ),
        (
            "dingtalk-open",
            {"msgtype": "feedCard", "feedCard": {"links": [{"title": "T", "messageURL": "b", "picURL": "c"}]}},
            "",
            "T",
        ),
        (
            "dingtalk-open",
            {**DINGTALK_TEXT, "at": {"atMobiles": ["13800000000"], "isAtAll": False}},
            "",
            "库存不足",
        ),
        ("feishu-open", FEISHU_TEXT, "", "库存不足"),
        (
            "feishu-open",
            {
                "msg_type": "post",
                "content": {
                    "post": {
                        "zh_cn": {
                            "title": "T",
                            "content": [[{"tag": "text", "text": "a "}, {"tag": "a", "text": "b", "href": "c"}]],
                        }
                    }
                },
            },
            "T",
            "a b",
        ),
        ("feishu-open", {"msg_type": "image", "content": {"image_key": "img_1"}}, "", ""),
        ("feishu-open", {"msg_type": "share_chat", "content": {"share_chat_id": "oc_1"}}, "", ""),
        (
            "feishu-open",
            {
                "msg_type": "interactive",
                "card": {
                    "schema": "2.0",
                    "body": {"elements": [{"tag": "div", "text": {"tag": "lark_md", "content": "a"}}]},
                },
            },
            "",
            "a",
        ),
        ("wecom-open", {"msgtype": "text", "text": {"content": "a", "mentioned_mobile_list": ["@all"]}}, "", "a"),
        ("wecom-open", {"msgtype": "markdown", "markdown": {"content": "**a**"}}, "", "**a**"),
        ("wecom-open", {"msgtype": "markdown_v2", "markdown_v2": {"content": "a"}}, "", "a"),
        ("wecom-open", {"msgtype": "image", "image": {"base64": "aaaa" * 20_000, "md5": "b"}}, "", ""),
        ("wecom-open", {"msgtype": "news", "news": {"articles": [{"title": "T", "url": "c"}]}}, "", "T"),
        ("wecom-open", {"msgtype": "file", "file": {"media_id": "a"}}, "", ""),
        (
            "wecom-open",
            {"msgtype": "template_card", "template_card": {"card_type": "text_notice", "main_title": {"title": "T"}}},
            "T",
            "",
        ),
    ],
)
def test_every_message_type_is_taken_and_read(simulator, post, robot, body, title, text):
    answer = post(simulator.robots[robot]["url"], body)
    assert answer.get("errcode", answer.get("code")) == 0
    (message,) = simulator.messages(robot)
    assert (message["title"], message["text"]) == (title, text)


@pytest.mark.parametrize(
    ("robot", "body", "code"),
    [
        ("dingtalk-open", b"", 40035),
        ("dingtalk-open", b"{", 40035),
        ("dingtalk-open", b"[]", 40035),
        ("dingtalk-open", '{"msgtype":"text","text":{"content":"售罄"}}'.encode("gbk"), 40035),
        ("dingtalk-open", b"{}", 400105),
        ("dingtalk-open", b'{"msgtype":"post"}', 400105),
        ("dingtalk-open", b'{"msgtype":"text","text":{"content":" "}}', 400402),
        ("dingtalk-open", b'{"msgtype":"text","text":"a"}', 400402),
        ("dingtalk-open", b'{"msgtype":"markdown","markdown":{"text":"a"}}', 400402),
        ("dingtalk-open", b'{"msgtype":"text","text":{"content":"a"},"at":{"atMobiles":"13800000000"}}', 400402),
        ("dingtalk-open", b'{"msgtype":"text","text":{"content":"a"},"at":{"isAtAll":"no"}}', 400402),
        ("feishu-open", b"", 9499),
        ("feishu-open", b"{", 9499),
        ("feishu-open", b"{}", 19002),
        ("feishu-open", b'{"msgtype":"text","text":{"content":"a"}}', 19002),
        ("feishu-open", b'{"msg_type":"markdown","content":{"text":"a"}}', 9499),
        ("feishu-open", b'{"msg_type":"text","content":{}}', 9499),
        ("feishu-open", b'{"msg_type":"interactive","card":{"elements":[]}}', 9499),
        ("wecom-open", b"{", 47001),
        ("wecom-open", b"{}", 40008),
        ("wecom-open", b'{"msg_type":"text","content":{"text":"a"}}', 40008),
        ("wecom-open", b'{"msgtype":"text","text":{"content":""}}', 44004),
        ("wecom-open", b'{"msgtype":"image","image":{"base64":"a"}}', 40058),
        ("wecom-open", b'{"msgtype":"text","text":{"content":"a","mentioned_list":"@all"}}', 40058),
    ],
)
def test_body_of_another_shape_is_refused_with_status_200(simulator, http, robot, body, code):
    headers = {"Content-Type": "application/json"}
    response = http.post(simulator.robots[robot]["url"], data=body, headers=headers, timeout=10)
    assert response.status_code == 200
    assert response.json().get("errcode", response.json().get("code")) == code
    assert [message["accepted"] for message in simulator.messages(robot)] == [False]


@pytest.mark.parametrize(
    ("robot", "status", "code"), [("dingtalk-open", 200, 43004), ("feishu-open", 200, 9499), ("wecom-open", 415, -1)]
)
def test_form_is_not_taken(simulator, http, robot, status, code):
    response = http.post(simulator.robots[robot]["url"], data={"msgtype": "text"}, timeout=10)
    assert response.status_code == status
    assert response.json().get("errcode", response.json().get("code")) == code


@pytest.mark.parametrize(("robot", "code"), [("dingtalk-open", 43002), ("feishu-open", 9499), ("wecom-open", 43002)])
def test_get_is_not_taken(simulator, http, robot, code):
    answer = http.get(simulator.robots[robot]["url"], timeout=10).json()
    assert answer.get("errcode", answer.get("code")) == code


@pytest.mark.parametrize(("robot", "limit", "code"), [("dingtalk-open", 20_000, 460101), ("feishu-open", 20_480, 9499)])
def test_whole_body_counts_in_bytes(simulator, http, robot, limit, code):
    def send(size):
        start, end = (
            (b'{"msgtype":"text","text":{"content":"', b'"}}')
            if robot == "dingtalk-open"
            else (b'{"msg_type":"text","content":{"text":"', b'"}}')
        )
        room = size - len(start) - len(end)
        body = start + "售".encode() * (room // 3) + b"x" * (room % 3) + end
        headers = {"Content-Type": "application/json; charset=utf-8"}
        answer = http.post(simulator.robots[robot]["url"], data=body, headers=headers, timeout=10).json()
        return answer.get("errcode", answer.get("code"))

    assert send(limit) == 0
    assert send(limit + 1) == code


@pytest.mark.parametrize(("kind", "limit"), [("text", 2048), ("markdown", 4096), ("markdown_v2", 4096)])
def test_wecom_counts_the_text_in_bytes_and_refuses_what_is_longer(simulator, post, kind, limit):
    url = simulator.robots["wecom-open"]["url"]
    fitting = "售" * (limit // 3) + "x" * (limit % 3)
    assert post(url, {"msgtype": kind, kind: {"content": fitting}})["errcode"] == 0
    answer = post(url, {"msgtype": kind, kind: {"content": fitting + "x"}})
    assert answer["errcode"] == 40058
    assert answer["errmsg"].startswith(f"{kind}.content exceed max length {limit}.")
    assert [message["accepted"] for message in simulator.messages("wecom-open")] == [True, False]


# Limits


def codes(post, url, body, times):
    answers = [post(url, body) for _ in range(times)]
    return [answer.get("errcode", answer.get("code")) for answer in answers]


def test_dingtalk_shuts_a_robot_for_ten_minutes_after_twenty_in_a_minute(simulator, post):
    url = simulator.robots["dingtalk-open"]["url"]
    assert codes(post, url, DINGTALK_TEXT, 21) == [0] * 20 + [130101]
    simulator.let_limits_pass(590)
    assert codes(post, url, DINGTALK_TEXT, 2) == [130101] * 2
    simulator.let_limits_pass(11)
    assert codes(post, url, DINGTALK_TEXT, 20) == [0] * 20
    assert codes(post, simulator.robots["dingtalk-keyword"]["url"], DINGTALK_TEXT, 1) == [0]


def test_dingtalk_sometimes_adds_the_block_of_its_gateway(simulator, post):
    url = simulator.robots["dingtalk-open"]["url"]
    codes(post, url, DINGTALK_TEXT, 20)
    plain, punished = post(url, DINGTALK_TEXT), post(url, DINGTALK_TEXT)
    assert plain == {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}
    assert punished.items() >= {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "errcode": 130101}.items()


def test_limit_holds_when_many_send_at_once(simulator):
    simulator.stop_limits()
    url = simulator.robots["dingtalk-open"]["url"]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: requests.post(url, json=DINGTALK_TEXT, timeout=20), range(80)))
    messages = simulator.messages("dingtalk-open")
    assert [len(messages), sum(message["accepted"] for message in messages)] == [80, 20]


def test_dingtalk_counts_refused_messages_too(simulator, post):
    url = simulator.robots["dingtalk-signed"]["url"]
    assert codes(post, url, DINGTALK_TEXT, 21) == [310000] * 20 + [130101]


@pytest.mark.parametrize(
    ("robot", "body"), [("dingtalk-open", DINGTALK_TEXT), ("wecom-open", WECOM_TEXT)], ids=["DingTalk", "WeCom"]
)
def test_the_minute_rolls(simulator, post, robot, body):
    url = simulator.robots[robot]["url"]
    assert codes(post, url, body, 10) == [0] * 10
    simulator.let_limits_pass(40)
    assert codes(post, url, body, 10) == [0] * 10
    simulator.let_limits_pass(21)
    assert codes(post, url, body, 10) == [0] * 10
    assert codes(post, url, body, 1) != [0]


def test_wecom_takes_messages_again_as_soon_as_the_minute_has_room(simulator, post):
    url = simulator.robots["wecom-open"]["url"]
    assert codes(post, url, WECOM_TEXT, 22) == [0] * 20 + [45009] * 2
    assert post(url, WECOM_TEXT)["errmsg"].startswith("api freq out of limit")
    assert codes(post, simulator.robots["wecom-second"]["url"], WECOM_TEXT, 1) == [0]
    simulator.let_limits_pass(60)
    assert codes(post, url, WECOM_TEXT, 1) == [0]


def test_feishu_takes_five_a_second_and_a_hundred_a_minute(simulator, post):
    simulator.stop_limits()
    url = simulator.robots["feishu-open"]["url"]
    assert codes(post, url, FEISHU_TEXT, 6) == [0] * 5 + [11232]
    for _ in range(19):
        simulator.let_limits_pass(1)
        assert codes(post, url, FEISHU_TEXT, 5) == [0] * 5
    simulator.let_limits_pass(1)
    assert codes(post, url, FEISHU_TEXT, 1) == [11232]
    simulator.let_limits_pass(60)
    assert codes(post, url, FEISHU_TEXT, 1) == [0]


def test_reset_lifts_limits_guards_and_messages(simulator, post):
    url = simulator.robots["dingtalk-open"]["url"]
    codes(post, url, DINGTALK_TEXT, 21)
    simulator.robots.set("dingtalk-open", secret="SECnew", keywords=["x"])
    simulator.reset()
    assert simulator.messages() == []
    assert codes(post, url, DINGTALK_TEXT, 1) == [0]


# Control


def test_spoilt_message_is_recorded_and_not_accepted(simulator, http):
    urls = {key: simulator.robots[key]["url"] for key in ("dingtalk-open", "dingtalk-keyword", "feishu-open")}
    simulator.robots.fail_next("dingtalk", robot="dingtalk-open", status=502)
    assert http.post(urls["dingtalk-keyword"], json=DINGTALK_TEXT, timeout=10).json()["errcode"] == 0
    assert http.post(urls["dingtalk-open"], json=DINGTALK_TEXT, timeout=10).status_code == 502
    simulator.robots.fail_next("dingtalk", code=-1, msg="system busy")
    answer = http.post(urls["dingtalk-open"], json=DINGTALK_TEXT, timeout=10).json()
    assert answer == {"errcode": -1, "errmsg": "system busy"}
    simulator.robots.fail_next("feishu", kind="drop")
    with pytest.raises(requests.ConnectionError):
        http.post(urls["feishu-open"], json=FEISHU_TEXT, timeout=10)
    assert [(message["robot"], message["accepted"], message["code"]) for message in simulator.messages()] == [
        ("dingtalk-keyword", True, 0),
        ("dingtalk-open", False, 502),
        ("dingtalk-open", False, -1),
        ("feishu-open", False, -1),
    ]


def test_delayed_answer_still_delivers(simulator, http):
    url = simulator.robots["wecom-open"]["url"]
    simulator.robots.fail_next("wecom", kind="delay", seconds=0.5)
    with pytest.raises(requests.ReadTimeout):
        http.post(url, json=WECOM_TEXT, timeout=0.1)
    deadline = time.monotonic() + 5
    while not (messages := simulator.messages("wecom-open")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [message["accepted"] for message in messages] == [True]


def test_ledger_and_messages_hold_no_secret(simulator, post):
    dingtalk, feishu, wecom = (simulator.robots[key] for key in ("dingtalk-signed", "feishu-signed", "wecom-open"))
    sign = hmac_sha256(dingtalk["secret"], f"1599360473000\n{dingtalk['secret']}")
    signed = feishu_signed(FEISHU_TEXT, feishu["secret"])
    post(dingtalk["url"] + dingtalk_query(dingtalk["secret"], timestamp="1599360473000"), DINGTALK_TEXT)
    post(feishu["url"], signed)
    post(wecom["url"], WECOM_TEXT)
    kept = orjson.dumps([simulator.ledger(), simulator.messages()]).decode()
    assert [entry["shop"] for entry in simulator.ledger()] == ["dingtalk-signed", "feishu-signed", "wecom-open"]
    for secret in (*(robot[name] for robot in (dingtalk, feishu) for name in ("token", "secret")), wecom["token"]):
        assert secret not in kept
    assert signed["sign"] not in kept
    assert sign not in kept


def test_messages_can_be_asked_for_by_robot_and_number(simulator, post):
    for key, body in (("dingtalk-open", DINGTALK_TEXT), ("wecom-open", WECOM_TEXT), ("dingtalk-open", DINGTALK_TEXT)):
        post(simulator.robots[key]["url"], body)
    first, second = simulator.messages("dingtalk-open")
    assert simulator.messages("dingtalk-open", since=first["number"]) == [second]
    assert len(simulator.messages()) == 3
    simulator.clear_messages()
    assert simulator.messages() == []


@pytest.mark.parametrize(
    "settings",
    [
        {"robot": "nobody"},
        {"robot": "dingtalk-open", "addresses": ["here"]},
        {"robot": "dingtalk-open", "addresses": ["*.0.0.1"]},
        {"robot": "dingtalk-open", "keywords": ["x"] * 11},
        {"robot": "dingtalk-open", "wording": "rude"},
        {"robot": "dingtalk-open", "colour": "red"},
    ],
)
def test_control_refuses_settings_that_make_no_sense(simulator, settings):
    with pytest.raises(SimulatorError):
        simulator.control("POST", "robots", json=settings)


# Clients that others wrote, with nothing changed but the host


@pytest.fixture
def patient(monkeypatch):
    """Without apprise's pause of seconds between messages."""
    for plugin in (NotifyDingTalk, NotifyFeishu, NotifyWeComBot):
        monkeypatch.setattr(plugin, "request_rate_per_sec", 0)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("body_format", [NotifyFormat.TEXT, NotifyFormat.MARKDOWN])
def test_apprise_reaches_dingtalk(simulator, body_format):
    plugin = NotifyDingTalk(token=simulator.robots["dingtalk-open"]["token"])
    plugin.notify_url = simulator.base_url + "/robot/send?access_token={token}"
    assert plugin.send(body="SKU-1 3 left", title="Stock low", body_format=body_format)
    (message,) = simulator.messages("dingtalk-open")
    assert message["accepted"]
    assert "SKU-1 3 left" in message["text"]


@pytest.mark.usefixtures("patient")
def test_apprise_reaches_feishu(simulator):
    plugin = NotifyFeishu(token=simulator.robots["feishu-open"]["token"])
    plugin.notify_url = simulator.base_url + "/open-apis/bot/v2/hook/{token}/"
    assert plugin.send(body="SKU-1 3 left")
    (message,) = simulator.messages("feishu-open")
    assert (message["accepted"], message["text"]) == (True, "SKU-1 3 left")


@pytest.mark.usefixtures("patient")
def test_apprise_reaches_wecom(simulator, monkeypatch):
    monkeypatch.setattr(NotifyWeComBot, "notify_url", simulator.base_url + "/cgi-bin/webhook/send?key={key}")
    plugin = NotifyWeComBot(key=simulator.robots["wecom-open"]["token"])
    assert plugin.send(body="SKU-1 3 left")
    (message,) = simulator.messages("wecom-open")
    assert (message["accepted"], message["text"]) == (True, "SKU-1 3 left")


@pytest.mark.usefixtures("patient")
def test_refusal_with_status_200_is_a_success_to_a_client_that_reads_the_status_only(simulator):
    plugin = NotifyFeishu(token=simulator.robots["feishu-signed"]["token"])
    plugin.notify_url = simulator.base_url + "/open-apis/bot/v2/hook/{token}/"
    assert plugin.send(body="SKU-1 3 left")
    (message,) = simulator.messages("feishu-signed")
    assert (message["accepted"], message["code"]) == (False, 19021)


def test_fault_of_an_unknown_robot_is_refused(simulator):
    with pytest.raises(SimulatorError, match="no robot"):
        simulator.robots.fail_next("dingtalk", robot="nobody", status=500)
