"""Text messages in mainland China, through Alibaba Cloud's SMS service (Dysmsapi 2017-05-25, SendSms)."""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from integrations.connectors.addresses import is_named, port_of
from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import ConnectorError, Fatal, Retry, Wait
from integrations.connectors.http import HttpClient
from integrations.notifying.senders.base import Message, Receipt, Sender, json_body, split_address
from integrations.notifying.senders.signing import acs3_authorization, acs3_query, content_sha256

MAX_NUMBERS = 20  # in one call; the platform takes 1,000
MAX_VARIABLE_CHARACTERS = 35  # of one variable, unless the template was granted more
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

_BASE_URL = "https://dysmsapi.aliyuncs.com"
_NUMBER = re.compile(r"(?:\+86|0086|86)?(1\d{10})")
_SEPARATOR = re.compile(r"[\s,;，；]+")
_VARIABLE = re.compile(r"[A-Za-z][0-9A-Za-z_]*")
_TEMPLATE_CODE = re.compile(r"SMS_[0-9]+")
_KEY_ID = re.compile(r"[0-9A-Za-z]{1,64}")
# An address in a variable makes the platform refuse the message.
_URL = re.compile(r"(?:https?://|www\.)\S*", re.IGNORECASE)

# By the beginning of a code; the longest that fits counts.
_CAUSES = {
    "isv.AMOUNT_NOT_ENOUGH": "no-credit",
    "isv.OUT_OF_SERVICE": "no-credit",
    "isv.PRODUCT_UN_SUBSCRIPT": "no-credit",
    "isv.PRODUCT_UNSUBSCRIBE": "no-credit",
    "isv.SMS_SIGN": "bad-sign-name",
    "isv.SIGN_": "bad-sign-name",
    "isv.SMS_TEMPLATE_ILLEGAL": "bad-template",
    "isv.TEMPLATE_": "bad-template",
    "isv.INVALID_JSON_PARAM": "bad-template",
    "isv.PARAM_": "bad-template",
    "isv.BLACK_KEY_CONTROL_LIMIT": "refused-content",
    "isv.MOBILE_": "bad-phone-number",
    "isp.RAM_PERMISSION_DENY": "permission",
    "NoPermission": "permission",
    "Forbidden": "permission",
    "InvalidAccessKeyId": "bad-app-key",
    "SignatureDoesNotMatch": "bad-signature",
    "IncompleteSignature": "bad-signature",
    "InvalidTimeStamp": "clock",
    "isv.INVALID_PARAMETERS": "bad-request",
    "InvalidParameter": "bad-request",
    "Missing": "bad-request",
}
_TRY_AGAIN = ("isp.SYSTEM_ERROR", "ServiceUnavailable", "InternalError", "SignatureNonceUsed")


class SmsSender(Sender):
    """Address: telephone numbers. Secret: the access key's. Each message costs money and numbers are capped per day."""

    kind = "sms"
    per_minute = 10
    per_day = 50  # per number, signature and template, in any 24 hours
    least_severity = "critical"
    option_names = frozenset({"access_key_id", "sign_name", "template_code", "variables", "base_url"})

    def __init__(
        self,
        address: str,
        secret: str = "",
        options: Mapping[str, Any] | None = None,
        *,
        http: HttpClient | None = None,
    ) -> None:
        super().__init__(address, secret, options, http=http)
        self._numbers = _numbers(self.address)
        if not self.secret:
            raise InvalidSetting("secret", _("Enter the access key's secret."))
        if not _KEY_ID.fullmatch(self._option("access_key_id", _("Enter the access key id."))):
            raise InvalidSetting("access_key_id", _("An access key id is made of digits and letters only."))
        self._option("sign_name", _("Enter the approved signature name, without brackets."))
        if not _TEMPLATE_CODE.fullmatch(self._option("template_code", _("Enter the code of the approved template."))):
            raise InvalidSetting("template_code", _("A template code looks like SMS_123456789."))
        self._variables = [name for name in _SEPARATOR.split(self.options.get("variables", "")) if name]
        if not all(_VARIABLE.fullmatch(name) for name in self._variables):
            raise InvalidSetting("variables", _("Names of variables are made of digits, letters and underscores."))
        self._base_url = self.options.get("base_url", _BASE_URL).rstrip("/")
        self._host = _host(self._base_url)

    def _option(self, name: str, message: str) -> str:
        if not self.options.get(name):
            raise InvalidSetting(name, message)
        return self.options[name]

    @classmethod
    def identity(cls, address: str) -> str:
        try:
            return ",".join(sorted(_numbers(address)))
        except InvalidSetting:
            return address

    def send(self, message: Message, *, now: datetime) -> Receipt:
        query = {
            "PhoneNumbers": ",".join(self._numbers),
            "SignName": self.options["sign_name"],
            "TemplateCode": self.options["template_code"],
            "TemplateParam": json_body(self._template_param(message)).decode(),
            "OutId": message.message_id[:64],
        }
        body = b""
        headers = {
            "host": self._host,
            "x-acs-action": "SendSms",
            "x-acs-content-sha256": content_sha256(body),
            "x-acs-date": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": "2017-05-25",
        }
        authorization = acs3_authorization(
            key_id=self.options["access_key_id"],
            secret=self.secret,
            method="POST",
            query=query,
            headers=headers,
            body=body,
        )
        answer = self.post_json(
            f"{self._base_url}/?{acs3_query(query)}",
            body,
            now=now,
            headers={**headers, "Authorization": authorization},
            statuses=(200, 400, 403, 404, 503),
        )
        parsed = answer.json if isinstance(answer.json, dict) else {}
        code = str(parsed.get("Code") or "")
        text = self.without_secrets(str(parsed.get("Message") or ""))
        request_id = str(parsed.get("RequestId") or "")
        if code == "OK" and answer.status == 200:
            return Receipt(code, str(parsed.get("BizId") or ""))
        if not code or code == "OK":
            raise Retry(self.kind, "send", cause="half-answer", code=str(answer.status), may_have_arrived=True)
        raise _refusal(code, text, request_id, now)

    def _template_param(self, message: Message) -> dict[str, str]:
        """The template's variables; a variable is never empty, which the platform would refuse."""
        names = self._variables or list(message.sms)
        return {name: _variable(message.sms.get(name, "")) for name in names}

    def secrets(self) -> tuple[str, ...]:
        return (*super().secrets(), *self._numbers)


def _refusal(code: str, text: str, request_id: str, now: datetime) -> ConnectorError:
    about: dict[str, Any] = {"code": code, "detail": text, "request_id": request_id}
    if code == "isv.BUSINESS_LIMIT_CONTROL":
        # It names the limit: 触发分钟级流控, 触发小时级流控, 触发天级流控. The day is any 24 hours.
        is_day = "分钟" not in text and "小时" not in text
        pause = DAY if is_day else HOUR if "小时" in text else MINUTE
        return Wait("sms", "send", retry_at=now + pause, cause="daily-quota" if is_day else "quota", **about)
    if code.startswith(("isv.DAY_LIMIT_CONTROL", "isv.MONTH_LIMIT_CONTROL")):
        return Wait("sms", "send", retry_at=now + DAY, cause="daily-quota", **about)
    if code.startswith("Throttling"):
        return Wait("sms", "send", retry_at=now + MINUTE, **about)
    if code.startswith(_TRY_AGAIN):
        return Retry("sms", "send", cause="server-error", **about)
    fitting = [start for start in _CAUSES if code.startswith(start)]
    return Fatal("sms", "send", cause=_CAUSES[max(fitting, key=len)] if fitting else "unrecognised", **about)


def _numbers(text: str) -> list[str]:
    """Telephone numbers of mainland China, each once, without the country's prefix."""
    numbers = []
    for written in filter(None, _SEPARATOR.split(text)):
        found = _NUMBER.fullmatch(written.replace("-", ""))
        if not found:
            raise InvalidSetting("address", _("Enter mobile numbers of mainland China, 11 digits each."))
        numbers.append(found[1])
    if not numbers:
        raise InvalidSetting("address", _("Enter at least one mobile number."))
    if len(numbers) > MAX_NUMBERS:
        raise InvalidSetting("address", _("Enter at most %d mobile numbers.") % MAX_NUMBERS)
    return list(dict.fromkeys(numbers))


def _host(base_url: str) -> str:
    """The Host header of the address; raises InvalidSetting for one that is not the platform's own or allowed."""
    try:
        parts = split_address(base_url)
    except InvalidSetting as error:
        raise InvalidSetting("base_url", str(error)) from None
    host = parts.hostname or ""
    is_own = host.startswith("dysmsapi.") and host.endswith(".aliyuncs.com") and parts.port in {None, 443}
    if parts.path or parts.query or not (is_own or is_named(host, port_of(parts))):
        raise InvalidSetting("base_url", _("The address must be %s, or be named in ALLOWED_PRIVATE_HOSTS.") % _BASE_URL)
    return parts.netloc.lower()


def _variable(value: str) -> str:
    """One line of at most MAX_VARIABLE_CHARACTERS without an address; "-" when nothing is left."""
    line = " ".join(_URL.sub("", str(value)).replace("【", "[").replace("】", "]").split())
    if len(line) > MAX_VARIABLE_CHARACTERS:
        line = line[: MAX_VARIABLE_CHARACTERS - 1] + "…"
    return line or "-"
