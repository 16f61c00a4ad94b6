"""Signed webhooks to any public address (Standard Webhooks 1.0.0)."""

import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from integrations.connectors.addresses import is_metadata, is_named, is_refused, port_of, refusal
from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import Fatal, Review
from integrations.connectors.http import HttpClient
from integrations.notifying.senders.base import Message, Receipt, Sender, json_body, split_address
from integrations.notifying.senders.signing import webhook_key, webhook_signature

MAX_BODY_BYTES = 20_000


class WebhookSender(Sender):
    """The secret is "whsec_…"; during a change the new and the old one, with a space in between."""

    kind = "webhook"
    per_minute = 60

    def __init__(
        self,
        address: str,
        secret: str = "",
        options: Mapping[str, Any] | None = None,
        *,
        http: HttpClient | None = None,
    ) -> None:
        super().__init__(address, secret, options, http=http)
        self._parts = split_address(self.address)
        if not self.secret:
            raise InvalidSetting("secret", _("Enter a secret that starts with whsec_; the receiver checks us with it."))
        try:
            self._keys = [webhook_key(secret) for secret in self.secret.split()]
        except ValueError:
            raise InvalidSetting(
                "secret", _("The secret must be whsec_ followed by 24 to 64 bytes in Base64.")
            ) from None

    @classmethod
    def check(cls, address: str, secret: str = "", options: Mapping[str, Any] | None = None) -> None:
        """Also refuses a name that leads to a private address today; one that leads nowhere may be set up later."""
        parts = cls(address, secret, options)._parts
        host = parts.hostname or ""
        found = _addresses(host)
        refused = filter(is_metadata if is_named(host, port_of(parts)) else is_refused, found)
        if inside := next(refused, None):
            raise InvalidSetting("address", refusal(inside if is_metadata(inside) else host, port_of(parts)))

    @classmethod
    def identity(cls, address: str) -> str:
        try:
            parts = urlsplit(address.strip())
            port = port_of(parts)
        except ValueError:
            return address
        return f"{parts.scheme}://{parts.hostname}:{port}{parts.path or '/'}?{parts.query}"

    def send(self, message: Message, *, now: datetime) -> Receipt:
        body = _body(message, now)
        timestamp_s = int(now.timestamp())
        message_id = message.message_id.replace(".", "_")
        signatures = [webhook_signature(key, message_id, timestamp_s, body) for key in self._keys]
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": " ".join(signatures),
        }
        try:
            answer = self.post_json(
                self.address, body, now=now, headers=headers, statuses=range(200, 300), read_json=False
            )
        except Fatal as refused:
            raise self._refusal(refused) from refused
        return Receipt(str(answer.status))

    def _refusal(self, refused: Fatal) -> Fatal | Review:
        """A receiver's refusal is for its owner to look at, but an address that is gone is gone."""
        if refused.code == "410":
            return Fatal(self.kind, "send", cause="gone", code=refused.code)
        if not refused.code:
            return refused  # it was not even called
        return Review(self.kind, "send", scope="channel", cause=refused.cause, code=refused.code, detail=refused.detail)

    def secrets(self) -> tuple[str, ...]:
        path = self._parts.path.strip("/")
        return (*super().secrets(), *self.secret.split(), self._parts.query, path, *path.split("/"))


def _body(message: Message, now: datetime) -> bytes:
    """The event; of many alerts, as many as keep it within MAX_BODY_BYTES, and how many there are."""
    data: dict[str, Any] = {
        "subject": message.subject,
        "lines": list(message.lines),
        "severity": message.severity,
        "url": message.url or None,
        "alert_count": len(message.alerts),
        "alerts": list(message.alerts),
    }
    made_at = (message.made_at or now).astimezone(UTC)
    event = {"type": "alerts.notification", "timestamp": f"{made_at:%Y-%m-%dT%H:%M:%SZ}", "data": data}
    body = json_body(event)
    while len(body) > MAX_BODY_BYTES and (data["alerts"] or data["lines"]):
        longer = max(("alerts", "lines"), key=lambda name: len(data[name]))
        data[longer] = data[longer][: len(data[longer]) * 3 // 4]
        body = json_body(event)
    return body


def _addresses(host: str) -> list[str]:
    """Where the name leads today; nowhere when nobody knows it."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(address[0]) for *_ignored, address in found]
