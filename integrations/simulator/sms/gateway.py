"""`/`: Alibaba Cloud's gateway with SendSms of Dysmsapi 2017-05-25, in the RPC style.

What is wrong with the call itself is refused with a status of 400 or 404, what is wrong with the message with status
200 and a Code of its own. Parameters are read from the query, where the API's description places them.
"""

import hashlib
import itertools
import re
import time
import uuid
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qsl

import orjson

from integrations.simulator.faults import ANSWERED, Fault, perform
from integrations.simulator.messages import Message
from integrations.simulator.routing import Request, Response, json_response
from integrations.simulator.simulation import Simulation, iso
from integrations.simulator.sms.accounts import Template
from integrations.simulator.sms.signing import ALGORITHM, canonical_request, expected_signature, string_to_sign

PLATFORM = "aliyun_sms"
ACTION = "SendSms"
VERSION = "2017-05-25"
HOST = "dysmsapi.aliyuncs.com"
TIMESTAMP_WINDOW_SECONDS = 900
MAX_PHONES = 1_000
MAX_VARIABLE = 35
PHONE = re.compile(r"(?:\+?86|0086|\+)?(1[3-9][0-9]{9})")
WEB_ADDRESS = re.compile(r"https?://|www\.", re.IGNORECASE)
AUTHORIZATION = re.compile(
    rf"{ALGORITHM} +Credential=(?P<key>[^, ]+), *SignedHeaders=(?P<headers>[a-z0-9;-]+),"
    r" *Signature=(?P<signature>[0-9a-f]{64})"
)


class Refusal(Exception):
    """A Code and Message in place of success."""

    def __init__(self, code: str, text: str, status: int = 200) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.status = status


class SmsGateway:
    path = "/"

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self._numbers = itertools.count(1)

    def handle(self, request: Request) -> Response:
        action = request.headers.get("x-acs-action", "")
        fault = self.simulation.faults.take(PLATFORM, action, "")
        if fault is None:
            return self._answer(request)
        if fault.kind not in ANSWERED:
            self._record(request, Message(), _code_of(fault), fault.msg or "")
        return perform(
            fault,
            normal=lambda: self._answer(request),
            error=lambda rule: self._error(Refusal(_code_of(rule), rule.msg or "", rule.status or 200)),
            keep=frozenset({"RequestId"}),
            stopping=self.simulation.stopping,
        )

    def _answer(self, request: Request) -> Response:
        message = Message()
        try:
            self._admit(request)
            message.signed = True
            self._send(request, message)
        except Refusal as refused:
            self._record(request, message, refused.code, refused.text)
            return self._error(refused)
        self._record(request, message, "OK", "OK")
        receipt = f"{next(self._numbers):018d}^0"
        return json_response({"RequestId": _request_id(), "Message": "OK", "BizId": receipt, "Code": "OK"})

    @staticmethod
    def _error(refusal: Refusal) -> Response:
        body = {"RequestId": _request_id(), "Message": refusal.text, "Code": refusal.code}
        if refusal.status != 200:
            body["HostId"] = HOST
            body["Recommend"] = f"https://api.aliyun.com/troubleshoot?q={refusal.code}&product=Dysmsapi"
        return json_response(body, refusal.status)

    def _record(self, request: Request, message: Message, code: str, text: str) -> None:
        now = time.time()
        # A refused signature is answered with the string to sign, which is no secret but of no use here.
        answer = text.partition(" server string to sign")[0]
        self.simulation.messages.record(
            message,
            at=iso(now),
            platform=PLATFORM,
            robot=PLATFORM,
            code=code,
            answer=answer,
            accepted=code == "OK",
        )
        self.simulation.ledger.record(
            at=now,
            platform=PLATFORM,
            verb=request.verb,
            path=request.path,
            method=request.headers.get("x-acs-action", ""),
            shop="",
            item_ids=(),
            code=0 if code == "OK" else -1,
            sub_code="" if code == "OK" else code,
        )

    # The call

    def _admit(self, request: Request) -> None:
        """Raises Refusal unless the call is one of ours and rightly signed."""
        headers, account = request.headers, self.simulation.sms
        if request.verb not in ("GET", "POST"):
            raise Refusal("UnsupportedHTTPMethod", "This http method is not supported.", 400)
        if headers.get("x-acs-action") != ACTION:
            raise Refusal(
                "InvalidAction.NotFound", "Specified api is not found, please check your url and method.", 404
            )
        if headers.get("x-acs-version") != VERSION:
            raise Refusal("InvalidVersion", "Specified parameter Version is not valid.", 400)
        if "authorization" not in headers:
            raise Refusal("MissingAccessKeyId", "AccessKeyId is mandatory for this action.", 400)
        found = AUTHORIZATION.fullmatch(headers["authorization"])
        if found is None:
            raise _incomplete()
        if found["key"] != account.access_key_id:
            raise Refusal("InvalidAccessKeyId.NotFound", "Specified access key is not found.", 404)
        self._check_date(headers.get("x-acs-date", ""))
        nonce = headers.get("x-acs-signature-nonce", "")
        if not nonce:
            raise Refusal("MissingSignatureNonce", "SignatureNonce is mandatory for this action.", 400)
        self._check_signature(request, found["headers"].split(";"), found["signature"])
        if not account.use_nonce(nonce):
            raise Refusal("SignatureNonceUsed", "Specified signature nonce was used already.", 400)

    @staticmethod
    def _check_date(text: str) -> None:
        if not text:
            raise Refusal("MissingTimestamp", "Timestamp is mandatory for this action.", 400)
        try:
            sent_at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError as error:
            wrong = "Specified time stamp or date value is not well formatted."
            raise Refusal("InvalidTimeStamp.Format", wrong, 400) from error
        if abs(time.time() - sent_at) > TIMESTAMP_WINDOW_SECONDS:
            raise Refusal("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.", 400)

    def _check_signature(self, request: Request, signed: list[str], signature: str) -> None:
        headers = request.headers
        required = {"host", *(name for name in headers if name.startswith("x-acs-"))}
        if signed != sorted(set(signed)) or not required <= set(signed) <= set(headers):
            raise _incomplete()
        payload_hash = hashlib.sha256(request.body).hexdigest()
        canonical = canonical_request(
            verb=request.verb,
            path=request.path,
            parameters=parse_qsl(request.query, keep_blank_values=True),
            headers=headers,
            signed_headers=signed,
            payload_hash=payload_hash,
        )
        expected = expected_signature(canonical, self.simulation.sms.access_key_secret)
        if headers.get("x-acs-content-sha256") != payload_hash or not compare_digest(signature, expected):
            raise Refusal(
                "SignatureDoesNotMatch",
                "Specified signature is not matched with our calculation."
                f" server string to sign is:{string_to_sign(canonical)}, server CanonicalRequest is:{canonical}",
                400,
            )

    # The message

    def _send(self, request: Request, message: Message) -> None:
        """Raises Refusal when the message is not delivered."""
        parameters = dict(parse_qsl(request.query, keep_blank_values=True))
        message.type = ACTION
        message.detail = {
            "phones": parameters.get("PhoneNumbers", "").split(","),
            "signature": parameters.get("SignName", ""),
            "template": parameters.get("TemplateCode", ""),
        }
        for name in ("PhoneNumbers", "SignName", "TemplateCode"):
            if not parameters.get(name):
                raise Refusal(f"Missing{name}", f"{name} is mandatory for this action.", 400)
        account = self.simulation.sms
        phones = _phones(parameters["PhoneNumbers"])
        if parameters["SignName"] not in account.signatures:
            raise Refusal("isv.SMS_SIGNATURE_ILLEGAL", "该账号下找不到对应签名")
        template = account.templates.get(parameters["TemplateCode"])
        if template is None:
            raise Refusal("isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模板")
        values = _variables(template, parameters.get("TemplateParam", ""))
        message.detail["variables"] = values
        message.text = f"【{parameters['SignName']}】{template.render(values)}"
        if not account.may_send(phones, parameters["SignName"], template.code):
            raise Refusal("isv.BUSINESS_LIMIT_CONTROL", f"触发天级流控Permits:{account.per_day}")


def _phones(text: str) -> list[str]:
    """The eleven digits of each number. Raises Refusal for too many, and for one that is no mobile of the mainland."""
    numbers = text.split(",")
    if len(numbers) > MAX_PHONES:
        raise Refusal("isv.MOBILE_COUNT_OVER_LIMIT", "手机号码数量超过限制")
    found = [PHONE.fullmatch(number) for number in numbers]
    if not all(found):
        raise Refusal("isv.MOBILE_NUMBER_ILLEGAL", f"{text}号码格式错误")
    return [match[1] for match in found if match is not None]


def _variables(template: Template, text: str) -> dict[str, str]:
    """The values of a template's variables. Raises Refusal when one is missing or not allowed."""
    if not text:
        values: Any = {}
    else:
        try:
            values = orjson.loads(text)
        except ValueError as error:
            raise _invalid_json() from error
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise _invalid_json()
    if not all(values.get(name) for name in template.variables):
        raise Refusal("isv.TEMPLATE_MISSING_PARAMETERS", "模板变量中存在未赋值变量")
    for name in template.variables:
        if WEB_ADDRESS.search(values[name]):
            raise Refusal("isv.PARAM_NOT_SUPPORT_URL", "变量不支持传入URL")
        if len(values[name]) > MAX_VARIABLE:
            raise Refusal("isv.PARAM_LENGTH_LIMIT", "参数超出长度限制")
    return values


def _invalid_json() -> Refusal:
    return Refusal("isv.INVALID_JSON_PARAM", "JSON参数不合法，只接受字符串值")


def _incomplete() -> Refusal:
    return Refusal("IncompleteSignature", "The request signature does not conform to Aliyun standards.", 400)


def _code_of(fault: Fault) -> str:
    return fault.sub_code or str(fault.code or fault.status or fault.kind)


def _request_id() -> str:
    return str(uuid.uuid4()).upper()
