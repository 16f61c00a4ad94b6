"""Alibaba Cloud's SendSms, called with signatures that are made here anew from the V3 page."""

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import requests

from integrations.simulator.sms.signing import canonical_request, expected_signature
from tests.simulator import SimulatorError

pytestmark = pytest.mark.pure

PHONE = "13800000000"
VALUES = {"severity": "严重", "name": "蓝 色~*T恤", "what": "售罄", "count": "3"}
EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("date", "nonce", "signature"),
    [
        (
            "2023-10-26T10:22:32Z",
            "3156853299f313e23d1673dc12e1703d",
            "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
        ),
        (
            "2023-10-26T09:01:01Z",
            "d410180a5abf7fe235dd9b74aca91fc0",
            "e521358f7776c97df52e6b2891a8bc73026794a071b50c3323388c4e0df64804",
        ),
    ],
)
def test_signature_is_that_of_the_published_examples(date, nonce, signature):
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": EMPTY_HASH,
        "x-acs-date": date,
        "x-acs-signature-nonce": nonce,
        "x-acs-version": "2014-05-26",
    }
    canonical = canonical_request(
        verb="POST",
        path="/",
        parameters=[
            ("RegionId", "cn-shanghai"),
            ("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"),
        ],
        headers=headers,
        signed_headers=headers,
        payload_hash=EMPTY_HASH,
    )
    assert expected_signature(canonical, "YourAccessKeySecret") == signature


class Caller:
    """Signs and sends SendSms; each test says only what is special about its request."""

    def __init__(self, simulator):
        self.account = simulator.sms.account
        self.http = requests.Session()
        self.http.trust_env = False

    def send(
        self,
        *,
        verb="POST",
        headers=None,
        unsigned=(),
        key=None,
        secret=None,
        body=b"",
        sent_body=None,
        payload_hash=None,
        **changed,
    ):
        """The response. headers and parameters of None are left out; unsigned headers are sent without being signed."""
        parameters = {
            "PhoneNumbers": PHONE,
            "SignName": self.account["signatures"][0],
            "TemplateCode": self.account["templates"][0]["code"],
            "TemplateParam": json.dumps(VALUES, ensure_ascii=False),
            **changed,
        }
        query = "&".join(
            f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(parameters.items()) if value is not None
        )
        sent = {
            "host": self.account["url"].removeprefix("http://").rstrip("/"),
            "x-acs-action": "SendSms",
            "x-acs-version": "2017-05-25",
            "x-acs-date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
            **(headers or {}),
        }
        sent = {name: value for name, value in sent.items() if value is not None}
        signed = [name for name in sorted(sent) if name not in unsigned and name != "authorization"]
        lines = "".join(f"{name}:{sent[name]}\n" for name in signed)
        canonical = (
            f"{verb}\n/\n{query}\n{lines}\n{';'.join(signed)}\n{payload_hash or sent.get('x-acs-content-sha256', '')}"
        )
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        signature = hmac.new((secret or self.account["access_key_secret"]).encode(), text.encode(), hashlib.sha256)
        authorization = (
            f"ACS3-HMAC-SHA256 Credential={key or self.account['access_key_id']},"
            f"SignedHeaders={';'.join(signed)},Signature={signature.hexdigest()}"
        )
        return self.http.request(
            verb,
            f"{self.account['url']}?{query}",
            data=body if sent_body is None else sent_body,
            headers={"authorization": authorization, **sent},
            timeout=10,
        )

    def code(self, **special):
        return self.send(**special).json()["Code"]


@pytest.fixture
def sms(simulator):
    caller = Caller(simulator)
    yield caller
    caller.http.close()


@pytest.mark.parametrize("verb", ["POST", "GET"])
def test_rightly_signed_message_arrives(simulator, sms, verb):
    response = sms.send(verb=verb)
    assert response.status_code == 200
    answer = response.json()
    assert (answer["Code"], answer["Message"]) == ("OK", "OK")
    assert answer["BizId"]
    assert answer["RequestId"]
    (message,) = simulator.messages("aliyun_sms")
    assert (message["accepted"], message["signed"]) == (True, True)
    assert message["text"] == "【货架提醒】严重：蓝 色~*T恤，售罄，共3条，请及时处理。"
    assert message["detail"] == {
        "phones": [PHONE],
        "signature": "货架提醒",
        "template": "SMS_100000001",
        "variables": VALUES,
    }


def values(**changed):
    return json.dumps({**VALUES, **changed})


def ago(**duration):
    return f"{datetime.now(UTC) - timedelta(**duration):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    ("special", "status", "code"),
    [
        pytest.param({"secret": "wrong"}, 400, "SignatureDoesNotMatch", id="another secret"),
        pytest.param({"key": "LTAInobody"}, 404, "InvalidAccessKeyId.NotFound", id="unknown key"),
        pytest.param({"sent_body": b"x"}, 400, "SignatureDoesNotMatch", id="body is not what was hashed"),
        pytest.param(
            {"headers": {"x-acs-content-sha256": None}}, 400, "SignatureDoesNotMatch", id="hash of the body missing"
        ),
        pytest.param(
            {"headers": {"x-acs-content-sha256": "0" * 64}, "payload_hash": EMPTY_HASH},
            400,
            "SignatureDoesNotMatch",
            id="hash of another body",
        ),
        pytest.param({"unsigned": ["x-acs-version"]}, 400, "IncompleteSignature", id="a header not signed"),
        pytest.param({"unsigned": ["host"]}, 400, "IncompleteSignature", id="host not signed"),
        pytest.param({"headers": {"authorization": "Bearer x"}}, 400, "IncompleteSignature", id="another scheme"),
        pytest.param(
            {"headers": {"x-acs-date": ago(minutes=16)}}, 400, "InvalidTimeStamp.Expired", id="16 minutes old"
        ),
        pytest.param({"headers": {"x-acs-date": ago(minutes=-90)}}, 400, "InvalidTimeStamp.Expired", id="clock ahead"),
        pytest.param(
            {"headers": {"x-acs-date": "1599360473"}}, 400, "InvalidTimeStamp.Format", id="a number for a date"
        ),
        pytest.param({"headers": {"x-acs-date": None}}, 400, "MissingTimestamp", id="no date"),
        pytest.param({"headers": {"x-acs-signature-nonce": None}}, 400, "MissingSignatureNonce", id="no nonce"),
        pytest.param({"headers": {"x-acs-action": "SendSMS"}}, 404, "InvalidAction.NotFound", id="unknown action"),
        pytest.param({"headers": {"x-acs-version": "2018-05-01"}}, 400, "InvalidVersion", id="other version"),
        pytest.param({"verb": "PUT"}, 400, "UnsupportedHTTPMethod", id="PUT"),
        pytest.param({"PhoneNumbers": None}, 400, "MissingPhoneNumbers", id="no phone"),
        pytest.param({"SignName": ""}, 400, "MissingSignName", id="no signature"),
        pytest.param({"TemplateCode": None}, 400, "MissingTemplateCode", id="no template"),
    ],
)
def test_wrong_call_is_refused_with_a_status(simulator, sms, special, status, code):
    response = sms.send(**special)
    answer = response.json()
    assert (response.status_code, answer["Code"]) == (status, code)
    assert answer["Message"]
    assert answer["RequestId"]
    assert [message["accepted"] for message in simulator.messages("aliyun_sms")] == [False]


def test_call_without_authorisation_is_refused(sms):
    headers = {"x-acs-action": "SendSms", "x-acs-version": "2017-05-25"}
    response = sms.http.post(sms.account["url"], headers=headers, timeout=10)
    assert (response.status_code, response.json()["Code"]) == (400, "MissingAccessKeyId")


def test_message_arrives_once_for_a_nonce(simulator, sms):
    nonce = {"headers": {"x-acs-signature-nonce": "d410180a5abf7fe235dd9b74aca91fc0"}}
    assert sms.code(**nonce) == "OK"
    assert sms.code(**nonce) == "SignatureNonceUsed"
    assert [message["accepted"] for message in simulator.messages("aliyun_sms")] == [True, False]


def test_body_and_its_type_may_be_signed_too(sms):
    body = b"OutId=1"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert sms.code(body=body, headers=headers) == "OK"


@pytest.mark.parametrize(
    ("special", "code"),
    [
        pytest.param({"PhoneNumbers": "12345"}, "isv.MOBILE_NUMBER_ILLEGAL", id="no mobile"),
        pytest.param({"PhoneNumbers": "12800000000"}, "isv.MOBILE_NUMBER_ILLEGAL", id="no mobile prefix"),
        pytest.param({"PhoneNumbers": f"{PHONE},"}, "isv.MOBILE_NUMBER_ILLEGAL", id="empty number"),
        pytest.param({"PhoneNumbers": f"{PHONE}；{PHONE}"}, "isv.MOBILE_NUMBER_ILLEGAL", id="wrong separator"),
        pytest.param({"PhoneNumbers": "85212345678"}, "isv.MOBILE_NUMBER_ILLEGAL", id="abroad"),
        pytest.param({"PhoneNumbers": ",".join([PHONE] * 1001)}, "isv.MOBILE_COUNT_OVER_LIMIT", id="too many"),
        pytest.param({"SignName": "别人"}, "isv.SMS_SIGNATURE_ILLEGAL", id="signature not approved"),
        pytest.param({"TemplateCode": "SMS_1"}, "isv.SMS_TEMPLATE_ILLEGAL", id="template not approved"),
        pytest.param({"TemplateParam": None}, "isv.TEMPLATE_MISSING_PARAMETERS", id="no variables"),
        pytest.param({"TemplateParam": "{}"}, "isv.TEMPLATE_MISSING_PARAMETERS", id="none of them"),
        pytest.param({"TemplateParam": '{"name":"a"}'}, "isv.TEMPLATE_MISSING_PARAMETERS", id="some missing"),
        pytest.param({"TemplateParam": values(what="")}, "isv.TEMPLATE_MISSING_PARAMETERS", id="one empty"),
        pytest.param({"TemplateParam": values(count=3)}, "isv.INVALID_JSON_PARAM", id="a number"),
        pytest.param({"TemplateParam": "name=a"}, "isv.INVALID_JSON_PARAM", id="no JSON"),
        pytest.param({"TemplateParam": '["a"]'}, "isv.INVALID_JSON_PARAM", id="a list"),
        pytest.param({"TemplateParam": values(what="https://x.example")}, "isv.PARAM_NOT_SUPPORT_URL", id="a link"),
        pytest.param({"TemplateParam": values(name="货" * 36)}, "isv.PARAM_LENGTH_LIMIT", id="too long"),
    ],
)
def test_wrong_message_is_refused_with_status_200(simulator, sms, special, code):
    response = sms.send(**special)
    assert (response.status_code, response.json()["Code"]) == (200, code)
    assert "BizId" not in response.json()
    assert [(message["accepted"], message["code"]) for message in simulator.messages("aliyun_sms")] == [(False, code)]


@pytest.mark.parametrize("prefix", ["", "86", "+86", "0086", "+"])
def test_phone_may_carry_the_country_code(sms, prefix):
    assert sms.code(PhoneNumbers=prefix + PHONE) == "OK"


def test_template_without_variables_needs_none(simulator, sms):
    assert sms.code(TemplateCode="SMS_100000002", TemplateParam=None) == "OK"
    (message,) = simulator.messages("aliyun_sms")
    assert message["text"] == "【货架提醒】您有新的店铺提醒，请登录后台查看。"


def test_phone_takes_fifty_of_a_template_in_any_twenty_four_hours(simulator, sms):
    assert [sms.code() for _ in range(50)] == ["OK"] * 50
    answer = sms.send().json()
    assert (answer["Code"], answer["Message"]) == ("isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:50")
    assert sms.code(PhoneNumbers=f"+86{PHONE}") == "isv.BUSINESS_LIMIT_CONTROL"
    assert sms.code(PhoneNumbers="13900000000") == "OK"
    assert sms.code(TemplateCode="SMS_100000002") == "OK"
    simulator.let_limits_pass(86_400 - 60)
    assert sms.code() == "isv.BUSINESS_LIMIT_CONTROL"
    simulator.let_limits_pass(61)
    assert sms.code() == "OK"


def test_one_phone_over_its_limit_stops_the_message_to_all(simulator, sms):
    simulator.sms.set(per_day=1)
    assert sms.code() == "OK"
    both = f"13900000000,{PHONE}"
    assert sms.code(PhoneNumbers=both) == "isv.BUSINESS_LIMIT_CONTROL"
    assert sms.code(PhoneNumbers="13900000000") == "OK"


def test_refused_messages_count_for_nothing(simulator, sms):
    simulator.sms.set(per_day=1)
    assert sms.code(TemplateParam="{}") == "isv.TEMPLATE_MISSING_PARAMETERS"
    assert sms.code(secret="wrong") == "SignatureDoesNotMatch"
    assert sms.code() == "OK"


def test_control_approves_signatures_and_templates(simulator, sms):
    simulator.sms.set(signatures=["云仓"], templates=[{"code": "SMS_7", "content": "${a}与${b}"}])
    assert sms.code() == "isv.SMS_SIGNATURE_ILLEGAL"
    assert sms.code(SignName="云仓", TemplateCode="SMS_7", TemplateParam='{"a":"x","b":"y","c":"unused"}') == "OK"
    assert simulator.messages("aliyun_sms")[-1]["text"] == "【云仓】x与y"
    with pytest.raises(SimulatorError):
        simulator.sms.set(templates=["SMS_7"])


def test_spoilt_messages_are_not_delivered(simulator, sms):
    simulator.sms.fail_next(sub_code="isv.OUT_OF_SERVICE", msg="业务停机")
    answer = sms.send().json()
    assert (answer["Code"], answer["Message"]) == ("isv.OUT_OF_SERVICE", "业务停机")
    simulator.sms.fail_next(sub_code="Throttling.User", msg="Request was denied due to user flow control.", status=400)
    response = sms.send()
    assert (response.status_code, response.json()["Code"]) == (400, "Throttling.User")
    simulator.sms.fail_next(status=503)
    assert sms.send().status_code == 503
    simulator.sms.fail_next(kind="drop")
    with pytest.raises(requests.ConnectionError):
        sms.send()
    assert [(message["accepted"], message["code"]) for message in simulator.messages("aliyun_sms")] == [
        (False, "isv.OUT_OF_SERVICE"),
        (False, "Throttling.User"),
        (False, "503"),
        (False, "drop"),
    ]
    assert sms.code() == "OK"


def test_ledger_and_messages_hold_no_secret(simulator, sms):
    sms.send()
    sms.send(secret="wrong")
    kept = json.dumps([simulator.ledger(), simulator.messages()])
    assert [(entry["method"], entry["sub_code"]) for entry in simulator.ledger()] == [
        ("SendSms", ""),
        ("SendSms", "SignatureDoesNotMatch"),
    ]
    assert sms.account["access_key_secret"] not in kept
    assert sms.account["access_key_id"] not in kept


def test_other_paths_are_still_nobodys(simulator):
    assert requests.get(f"{simulator.base_url}/nothing", timeout=10).status_code == 404
