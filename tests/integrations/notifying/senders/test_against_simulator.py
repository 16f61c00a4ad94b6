"""The robots and the text messages against the simulator, which was written from the platforms' facts alone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from integrations.connectors.errors import Fatal, Retry, Wait
from integrations.notifying.senders.dingtalk import DingTalkSender
from integrations.notifying.senders.feishu import FeishuSender
from integrations.notifying.senders.robot import Robot
from integrations.notifying.senders.sms import SmsSender
from integrations.notifying.senders.wecom import WeComSender
from tests.integrations.notifying.senders.conftest import message

pytestmark = pytest.mark.pure

KINDS: dict[str, Callable[..., Robot]] = {"dingtalk": DingTalkSender, "feishu": FeishuSender, "wecom": WeComSender}
OPEN = ["dingtalk-open", "feishu-open", "wecom-open"]
SIGNED = ["dingtalk-signed", "feishu-signed"]


def now():
    return datetime.now(UTC)


def robot(simulator, key, **changed):
    found = {**simulator.robots[key], **changed}
    return KINDS[key.partition("-")[0]](found["url"], found["secret"], found.get("options"))


def sms(simulator, **changed):
    account = simulator.sms.account
    options = {
        "access_key_id": account["access_key_id"],
        "sign_name": account["signatures"][0],
        "template_code": account["templates"][0]["code"],
        "base_url": account["url"],
    }
    secret = changed.pop("secret", account["access_key_secret"])
    return SmsSender("13800000000", secret, {**options, **changed})


VARIABLES = {"severity": "Critical", "name": "台灯", "what": "Below ¥200.00", "count": "1"}


@pytest.mark.parametrize("key", [*OPEN, *SIGNED, "wecom-second"])
def test_a_message_arrives(simulator, key):
    receipt = robot(simulator, key).send(message(), now=now())
    (arrived,) = simulator.messages(key)
    assert receipt.code == "0"
    assert arrived["accepted"]
    assert arrived["signed"] is (key in SIGNED)
    assert arrived["text"].split("\n") == [
        "Below ¥200: 台灯",
        "台灯 · 天猫旗舰店",
        "Live price ¥268.00 → ¥189.00, limit ¥200.00",
        "https://shop.example/alerts/1/",
    ]


@pytest.mark.parametrize("key", [*OPEN, *SIGNED])
def test_a_thousand_alerts_fit_into_one_message(simulator, key):
    lines = tuple(f'台灯 {number} "Lamp" · ¥268.00 → ¥189.00' for number in range(1_000))
    robot(simulator, key).send(message(lines=lines), now=now())
    (arrived,) = simulator.messages(key)
    assert arrived["accepted"]
    assert "more lines were left out." in arrived["text"]


@pytest.mark.parametrize("key", SIGNED)
@pytest.mark.parametrize("secret", ["SEC-another", ""])
def test_a_wrong_secret_is_told(simulator, key, secret):
    with pytest.raises(Fatal) as caught:
        robot(simulator, key, secret=secret).send(message(), now=now())
    assert caught.value.cause == "bad-signature"


@pytest.mark.parametrize("key", SIGNED)
def test_a_wrong_clock_is_told(simulator, key):
    with pytest.raises(Fatal) as caught:
        robot(simulator, key).send(message(), now=now() - timedelta(hours=2))
    assert caught.value.cause == "clock"


@pytest.mark.parametrize("wording", ["classic", "described"])
def test_dingtalk_refusals_are_read_in_both_wordings(simulator, wording):
    for key in ("dingtalk-signed", "dingtalk-keyword", "dingtalk-open"):
        simulator.robots.set(key, wording=wording)
    simulator.robots.set("dingtalk-open", addresses=["203.0.113.7"])
    causes = []
    for sender, at in [
        (robot(simulator, "dingtalk-signed", secret="SEC-another"), now()),
        (robot(simulator, "dingtalk-signed"), now() + timedelta(hours=2)),
        (robot(simulator, "dingtalk-keyword"), now()),
        (robot(simulator, "dingtalk-open"), now()),
    ]:
        with pytest.raises(Fatal) as caught:
            sender.send(message(), now=at)
        causes.append(caught.value.cause)
    assert causes == ["bad-signature", "clock", "keyword", "ip-whitelist"]


@pytest.mark.parametrize("platform", ["dingtalk", "feishu"])
def test_a_keyword_lets_the_message_in(simulator, platform):
    key = f"{platform}-keyword"
    with pytest.raises(Fatal) as caught:
        robot(simulator, key).send(message(), now=now())
    assert caught.value.cause == "keyword"
    robot(simulator, key, options={"keyword": "库存"}).send(message(), now=now())
    assert simulator.messages(key)[-1]["accepted"]


def test_feishu_refuses_an_address_that_is_not_listed(simulator):
    simulator.robots.set("feishu-open", addresses=["203.0.113.7"])
    with pytest.raises(Fatal) as caught:
        robot(simulator, "feishu-open").send(message(), now=now())
    assert caught.value.cause == "ip-whitelist"


@pytest.mark.parametrize("key", OPEN)
def test_an_unknown_token_is_told(simulator, key):
    found = simulator.robots[key]
    url = found["url"].replace(found["token"], "0123456789")
    with pytest.raises(Fatal) as caught:
        robot(simulator, key, url=url).send(message(), now=now())
    assert caught.value.cause == "unknown-robot"


@pytest.mark.parametrize(
    ("key", "taken", "pause"),
    [
        ("dingtalk-open", 20, timedelta(minutes=10)),
        ("wecom-open", 20, timedelta(minutes=1)),
        ("feishu-open", 5, timedelta(minutes=1)),
    ],
)
def test_more_than_a_robots_limit_waits(simulator, key, taken, pause):
    simulator.stop_limits()
    sender, at = robot(simulator, key), now()
    for _ in range(taken):
        sender.send(message(lines=(), url=""), now=at)
    with pytest.raises(Wait) as caught:
        sender.send(message(lines=(), url=""), now=at)
    assert caught.value.retry_at - at == pause
    simulator.let_limits_pass(pause.total_seconds() + 1)
    assert sender.send(message(lines=(), url=""), now=at).code == "0"


def test_feishu_tells_its_limit_with_the_code_of_a_bad_request_too(simulator):
    simulator.robots.fail_next("feishu", status=400, code=9499, msg="too many request")
    at = now()
    with pytest.raises(Wait) as caught:
        robot(simulator, "feishu-open").send(message(), now=at)
    assert (caught.value.cause, caught.value.code, caught.value.retry_at - at) == (
        "quota",
        "9499",
        timedelta(minutes=1),
    )


@pytest.mark.parametrize("platform", ["dingtalk", "feishu", "wecom"])
@pytest.mark.parametrize(
    ("fault", "cause"),
    [({"status": 502}, "server-error"), ({"kind": "drop"}, "no-answer")],
)
def test_a_broken_robot_is_tried_again(simulator, platform, fault, cause):
    simulator.robots.fail_next(platform, **fault)
    with pytest.raises(Retry) as caught:
        robot(simulator, f"{platform}-open").send(message(), now=now())
    assert caught.value.cause == cause


# --- Text messages --------------------------------------------------------------------------------------------------


def test_a_text_message_arrives(simulator):
    receipt = sms(simulator).send(message(sms=VARIABLES), now=now())
    (arrived,) = simulator.messages("aliyun_sms")
    assert receipt.code == "OK"
    assert arrived["accepted"]
    assert "台灯" in arrived["text"]


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"secret": "another"}, "bad-signature"),
        ({"access_key_id": "LTAIunknown"}, "bad-app-key"),
        ({"sign_name": "别家"}, "bad-sign-name"),
        ({"template_code": "SMS_999999999"}, "bad-template"),
        ({"variables": "name"}, "bad-template"),
    ],
)
def test_a_wrong_setting_of_text_messages_is_told(simulator, changed, cause):
    with pytest.raises(Fatal) as caught:
        sms(simulator, **changed).send(message(sms=VARIABLES), now=now())
    assert caught.value.cause == cause


def test_a_wrong_clock_stops_text_messages(simulator):
    with pytest.raises(Fatal) as caught:
        sms(simulator).send(message(sms=VARIABLES), now=now() - timedelta(hours=2))
    assert caught.value.cause == "clock"


def test_the_daily_cap_of_a_number_waits_a_day(simulator):
    simulator.sms.set(per_day=2)
    sender, at = sms(simulator), now()
    for _ in range(2):
        sender.send(message(sms=VARIABLES), now=at)
    with pytest.raises(Wait) as caught:
        sender.send(message(sms=VARIABLES), now=at)
    assert (caught.value.cause, caught.value.retry_at - at) == ("daily-quota", timedelta(hours=24))
