"""Services that we have no sender of our own for, through the apprise library.

Only those are allowed whose host is fixed in the library: with a host to choose, an address could make the server call
its own network, and the library also knows addresses that write to files, the system's log or the desktop. And only
those that refuse with an HTTP status, or whose answer's body the library reads: else what was refused counts as sent.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import apprise
from apprise.result import AppriseResultStatus
from django.conf import settings
from django.utils.translation import gettext as _

from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import ConnectorError, Fatal, Retry, Review, Wait
from integrations.connectors.http import HttpClient
from integrations.notifying.senders.base import Message, Receipt, Sender, fit_lines

SERVICES = frozenset(
    {
        *("discord", "flock", "gchat", "ifttt", "kook", "line", "msgbird", "opsgenie", "pagerduty", "pbul", "postmark"),
        *("pover", "pushplus", "sendgrid", "slack", "tgram", "twilio", "webex", "wpush", "wxpusher", "wxteams"),
    }
)
# These let the host be chosen, but their usual one is public.
HOSTS = {"barks": "api.day.app"}
# What an address may ask for. Others would have the library read a file, call another address or wait.
PARAMETERS = frozenset({"from", "to", "priority", "region", "sound", "silent", "group", "level"})
WAIT = timedelta(minutes=1)
MAX_BYTES = 19_000

_SCHEME = re.compile(r"([a-z0-9]+)://", re.IGNORECASE)
_STATUS = re.compile(r"\berror\s*[=:]\s*(\d{3})\b")
_TYPES = {"critical": apprise.NotifyType.FAILURE, "warning": apprise.NotifyType.WARNING}


class OtherSender(Sender):
    kind = "apprise"
    per_minute = 18

    def __init__(
        self,
        address: str,
        secret: str = "",
        options: Mapping[str, Any] | None = None,
        *,
        http: HttpClient | None = None,
    ) -> None:
        super().__init__(address, secret, options, http=http)
        found = _SCHEME.match(self.address)
        scheme = found[1].lower() if found else ""
        if scheme not in SERVICES and scheme not in HOSTS:
            services = ", ".join(sorted({*SERVICES, *HOSTS}))
            raise InvalidSetting("address", _("The address must start with one of these and ://: %s.") % services)
        parameters = re.findall(r"[?&]([^=&]*)", self.address)
        if any(unquote(name).lower() not in PARAMETERS for name in parameters):
            names = ", ".join(sorted(PARAMETERS))
            raise InvalidSetting("address", _("After the question mark, only these may be set: %s.") % names)
        self._service = _service(self.address)
        if self._service is None:
            raise InvalidSetting("address", _("The address cannot be read."))
        if scheme in HOSTS and self._service.host != HOSTS[scheme]:
            raise InvalidSetting("address", _("For this service, only the host %s is allowed.") % HOSTS[scheme])
        if len(self._service) > 1:
            # Half of them could fail, and a second try would reach the others twice.
            raise InvalidSetting("address", _("Enter one recipient; make a target for each."))

    @classmethod
    def identity(cls, address: str) -> str:
        scheme, mark, rest = address.strip().partition("://")
        return f"{scheme.lower()}{mark}{rest}"

    def send(self, message: Message, *, now: datetime) -> Receipt:
        service = _service(self.address)  # made anew: it keeps the time of its last call, and two threads may send
        if service is None:
            raise Fatal(self.kind, "send", cause="bad-setting")
        room = min(service.body_maxlen, MAX_BYTES)
        if service.notify_format != apprise.NotifyFormat.TEXT:
            room //= 2  # line ends and brackets take more room once the library has made HTML or Markdown of them
        if not service.title_maxlen:  # then the subject becomes a part of the text
            room -= len(message.subject.encode()) + 2
        sending = apprise.Apprise(asset=service.asset)
        sending.add(service)
        result = sending.notify(
            title=message.subject,
            body=fit_lines("", message.lines, message.url, max(room, 1)) or message.subject,
            notify_type=_TYPES.get(message.severity, apprise.NotifyType.INFO),
            body_format=apprise.NotifyFormat.TEXT,
            timeout=settings.HTTP_TOTAL_TIMEOUT_SECONDS,
        )
        if result.status == AppriseResultStatus.SUCCESS and result.success_count == 1:
            return Receipt("ok", str(service.service_name))
        if any(one.status == AppriseResultStatus.TIMEOUT for one in result):
            raise Retry(self.kind, "send", cause="no-answer", may_have_arrived=True)
        said = [entry.message for one in result for attempt in one for entry in attempt.logs]
        raise self._failure(self.without_secrets(" ".join(said)), now)

    def _failure(self, said: str, now: datetime) -> ConnectorError:
        """The library tells a failure as text only; with the HTTP status when there was one."""
        found = _STATUS.search(said)
        status = int(found[1]) if found else 0
        about: dict[str, Any] = {"code": str(status) if status else "", "detail": said}
        if status == 429:
            return Wait(self.kind, "send", retry_at=now + WAIT, **about)
        if status in {401, 403}:
            return Review(self.kind, "send", scope="channel", cause="forbidden", **about)
        if 400 <= status < 500:
            return Review(self.kind, "send", scope="channel", cause="bad-request", **about)
        if status:
            return Retry(self.kind, "send", cause="server-error", **about)
        if not said or "connection error" in said.lower():
            return Retry(self.kind, "send", cause="connection", **about)
        return Review(self.kind, "send", scope="channel", cause="unrecognised", **about)

    def secrets(self) -> tuple[str, ...]:
        pieces = re.split(r"[/?&=@:]+", self.address)
        return (*super().secrets(), *pieces[1:], *(unquote(piece) for piece in pieces[1:]))


def _service(address: str) -> apprise.NotifyBase | None:
    """The library's object for an address: no file, redirect, pause or repetition; one message, and bounded calls."""
    asset = apprise.AppriseAsset(
        async_mode=False,
        http_redirects=False,
        storage_mode="memory",
        allow_templates=False,
        app_id="Evenshelf",
        app_desc="Evenshelf",
        app_url=settings.SITE_URL,
        service_timeout=settings.HTTP_TOTAL_TIMEOUT_SECONDS,
    )
    service = apprise.Apprise.instantiate(address, asset=asset)
    if service is None:
        return None
    service.socket_connect_timeout = settings.HTTP_CONNECT_TIMEOUT_SECONDS
    service.socket_read_timeout = settings.HTTP_READ_TIMEOUT_SECONDS
    service.request_rate_per_sec = 0
    service.throttle = lambda *args, **kwargs: None  # type: ignore[method-assign]
    service.retry = 0
    service.overflow_mode = apprise.OverflowMode.TRUNCATE
    return service
