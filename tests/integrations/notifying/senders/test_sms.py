"""Text messages: the signed call, and what each answer of the service means."""

import json
import traceback
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import ConnectorError, Fatal, Retry, Review, Wait
from integrations.notifying.senders.signing import acs3_authorization
from integrations.notifying.senders.sms import SmsSender
from tests.integrations.connectors.raw_server import RawServer, answer, answer_json
from tests.integrations.notifying.senders.conftest import NOW, message

pytestmark = pytest.mark.pure

OPTIONS = {"access_key_id": "LTAI5tDemo", "sign_name": "台灯店", "template_code": "SMS_123456789"}
NUMBERS = "13800000000, +8613900000000"
GOOD = {"Message": "OK", "RequestId": "A906", "Code": "OK", "BizId": "9006^0"}
SMS = {"shop": "天猫旗舰店", "item": "台灯 https://x.example/1", "price": "¥189.00", "note": "", "count": "1"}


def send(server, http, address=NUMBERS, options=None, **fields):
    sender = SmsSender(address, "geheim", {**OPTIONS, "base_url": server.url, **(options or {})}, http=http)
    return sender.send(message(**{"sms": SMS, **fields}), now=NOW)


def refused(http, *handlers):
    with RawServer(*handlers) as server, pytest.raises(ConnectorError) as caught:
        send(server, http)
    return caught.value


def called(server):
    line, *rest = server.heads[0].split("\r\n")
    headers = {name.lower(): value for name, _, value in (header.partition(": ") for header in rest)}
    query = {name: value[0] for name, value in parse_qs(urlsplit(line.split(" ")[1]).query).items()}
    return line, headers, query


def test_a_message_is_a_signed_call_of_send_sms(http):
    with RawServer(answer_json(GOOD)) as server:
        receipt = send(server, http)
    line, headers, query = called(server)
    assert (receipt.code, receipt.text) == ("OK", "9006^0")
    assert line.startswith("POST /?")
    assert query["PhoneNumbers"] == "13800000000,13900000000"
    assert (query["SignName"], query["TemplateCode"], query["OutId"]) == ("台灯店", "SMS_123456789", "msg_7f3a")
    assert (headers["x-acs-action"], headers["x-acs-version"]) == ("SendSms", "2017-05-25")
    assert headers["x-acs-date"] == "2026-11-22T04:00:00Z"
    assert headers["host"] == urlsplit(server.url).netloc
    signed = {name: value for name, value in headers.items() if name == "host" or name.startswith("x-acs-")}
    assert headers["authorization"] == acs3_authorization(
        key_id="LTAI5tDemo", secret="geheim", method="POST", query=query, headers=signed, body=b""
    )
    assert "geheim" not in server.heads[0]


def test_variables_are_short_and_never_empty_and_hold_no_address(http):
    with RawServer(answer_json(GOOD)) as server:
        send(server, http, sms={**SMS, "title": "灯" * 50, "lines": "a\nb", "brackets": "【台灯】"})
    assert json.loads(called(server)[2]["TemplateParam"]) == {
        "shop": "天猫旗舰店",
        "item": "台灯",
        "price": "¥189.00",
        "note": "-",
        "count": "1",
        "title": "灯" * 34 + "…",
        "lines": "a b",
        "brackets": "[台灯]",
    }


def test_only_the_variables_that_the_template_has_are_sent(http):
    with RawServer(answer_json(GOOD)) as server:
        send(server, http, options={"variables": "shop, price，owner"})
    assert json.loads(called(server)[2]["TemplateParam"]) == {"shop": "天猫旗舰店", "price": "¥189.00", "owner": "-"}


def test_each_call_has_its_own_nonce(http):
    with RawServer(answer_json(GOOD)) as server:
        for _ in range(2):
            send(server, http)
    nonces = {line for head in server.heads for line in head.split("\r\n") if line.startswith("x-acs-signature-nonce")}
    assert len(nonces) == 2


@pytest.mark.parametrize(
    ("text", "wait", "cause"),
    [
        ("触发天级流控Permits:50", timedelta(hours=24), "daily-quota"),
        ("触发小时级流控Permits:5", timedelta(hours=1), "quota"),
        ("触发分钟级流控Permits:1", timedelta(minutes=1), "quota"),
        ("", timedelta(hours=24), "daily-quota"),
    ],
)
def test_a_used_up_limit_waits_as_long_as_it_lasts(text, wait, cause, http):
    body = {"Code": "isv.BUSINESS_LIMIT_CONTROL", "Message": text, "RequestId": "R1"}
    error = refused(http, answer_json(body))
    assert isinstance(error, Wait)
    assert (error.retry_at - NOW, error.cause, error.code, error.request_id) == (wait, cause, body["Code"], "R1")


@pytest.mark.parametrize(
    ("status", "code", "expected", "cause"),
    [
        ("200 OK", "isv.AMOUNT_NOT_ENOUGH", Fatal, "no-credit"),
        ("200 OK", "isv.OUT_OF_SERVICE", Fatal, "no-credit"),
        ("200 OK", "isv.SMS_SIGNATURE_ILLEGAL", Fatal, "bad-sign-name"),
        ("200 OK", "isv.SMS_TEMPLATE_ILLEGAL", Fatal, "bad-template"),
        ("200 OK", "isv.TEMPLATE_MISSING_PARAMETERS", Fatal, "bad-template"),
        ("200 OK", "isv.PARAM_LENGTH_LIMIT", Fatal, "bad-template"),
        ("200 OK", "isv.BLACK_KEY_CONTROL_LIMIT", Fatal, "refused-content"),
        ("200 OK", "isv.MOBILE_NUMBER_ILLEGAL", Fatal, "bad-phone-number"),
        ("200 OK", "isp.RAM_PERMISSION_DENY", Fatal, "permission"),
        ("200 OK", "isp.SYSTEM_ERROR", Retry, "server-error"),
        ("200 OK", "isv.DAY_LIMIT_CONTROL", Wait, "daily-quota"),
        ("200 OK", "isv.SOMETHING_NEW", Fatal, "unrecognised"),
        ("400 Bad Request", "SignatureDoesNotMatch", Fatal, "bad-signature"),
        ("400 Bad Request", "IncompleteSignature", Fatal, "bad-signature"),
        ("400 Bad Request", "InvalidTimeStamp.Expired", Fatal, "clock"),
        ("400 Bad Request", "Throttling.User", Wait, "quota"),
        ("400 Bad Request", "MissingPhoneNumbers", Fatal, "bad-request"),
        ("403 Forbidden", "Forbidden.RAM", Fatal, "permission"),
        ("404 Not Found", "InvalidAccessKeyId.NotFound", Fatal, "bad-app-key"),
        ("503 Service Unavailable", "ServiceUnavailable", Retry, "server-error"),
    ],
)
def test_a_code_says_what_happens_next(status, code, expected, cause, http):
    error = refused(http, answer_json({"Code": code, "Message": "no", "RequestId": "R1"}, status))
    assert (type(error), error.cause, error.code, error.detail) == (expected, cause, code, "no")


@pytest.mark.parametrize(
    ("handler", "expected", "cause"),
    [
        pytest.param(answer(b"{}"), Retry, "half-answer", id="no code"),
        pytest.param(answer(b'{"Code":"OK"}', "400 Bad Request"), Retry, "half-answer", id="OK with status 400"),
        pytest.param(answer(b"<html>"), Retry, "not-json", id="a page"),
        pytest.param(answer(b"", "500 Oops"), Retry, "server-error", id="500"),
        pytest.param(answer(b"", "401 Unauthorized"), Review, "forbidden", id="401"),
        pytest.param(answer(b"", "429 Too Many"), Wait, "quota", id="429"),
        pytest.param(lambda connection: connection.close(), Retry, "no-answer", id="hung up"),
    ],
)
def test_what_is_no_answer_of_the_service_is_told_apart(handler, expected, cause, http):
    error = refused(http, handler)
    assert (type(error), error.cause) == (expected, cause)


def test_no_error_holds_the_secret_or_a_number(http):
    error = refused(http, answer_json({"Code": "isv.X", "Message": "geheim 13800000000 13900000000"}))
    seen = f"{error} {error!r} {''.join(traceback.format_exception(error))}"
    assert error.detail == "*** *** ***"
    assert "geheim" not in seen
    assert "13800000000" not in seen


def test_text_messages_are_for_critical_alerts_and_capped_per_day():
    assert (SmsSender.least_severity, SmsSender.per_day) == ("critical", 50)


@pytest.mark.parametrize(
    ("address", "secret", "changed", "field"),
    [
        ("", "geheim", {}, "address"),
        ("1380000000", "geheim", {}, "address"),
        ("852000012345", "geheim", {}, "address"),
        (",".join(f"138{number:08}" for number in range(21)), "geheim", {}, "address"),
        ("13800000000", "", {}, "secret"),
        ("13800000000", "geheim", {"access_key_id": ""}, "access_key_id"),
        ("13800000000", "geheim", {"access_key_id": "a,b"}, "access_key_id"),
        ("13800000000", "geheim", {"sign_name": ""}, "sign_name"),
        ("13800000000", "geheim", {"template_code": ""}, "template_code"),
        ("13800000000", "geheim", {"template_code": "123"}, "template_code"),
        ("13800000000", "geheim", {"variables": "a-b"}, "variables"),
        ("13800000000", "geheim", {"base_url": "https://hooks.example"}, "base_url"),
        ("13800000000", "geheim", {"base_url": "https://dysmsapi.evil.example/aliyuncs.com"}, "base_url"),
        ("13800000000", "geheim", {"base_url": "http://169.254.169.254"}, "base_url"),
        ("13800000000", "geheim", {"base_url": "http://dysmsapi.aliyuncs.com"}, "base_url"),
        ("13800000000", "geheim", {"other": "x"}, "options"),
    ],
)
def test_a_setting_that_cannot_work_is_named(address, secret, changed, field):
    with pytest.raises(InvalidSetting) as caught:
        SmsSender.check(address, secret, {**OPTIONS, **changed})
    assert caught.value.field == field


def test_the_services_own_hosts_are_taken():
    for base_url in ("", "https://dysmsapi.aliyuncs.com/", "https://dysmsapi.ap-southeast-1.aliyuncs.com"):
        SmsSender.check(NUMBERS, "geheim", {**OPTIONS, "base_url": base_url})
