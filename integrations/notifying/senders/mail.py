"""Mail through the SMTP server of the settings, bounded in time whatever that server does."""

import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.mail.message import sanitize_address
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import ConnectorError, Fatal, Retry, Review
from integrations.connectors.http import HttpClient
from integrations.notifying.senders.base import Message, Receipt, Sender, encodable

MAX_RECIPIENTS = 50  # of one mail; servers refuse more

_SEPARATOR = re.compile(r"[\s,;，；]+")


class MailSender(Sender):
    """Plain text to mail addresses, separated by commas or line ends.

    Who is refused for good, or has no room just now, does not keep the others from their mail: the receipt tells. More
    than MAX_RECIPIENTS get several mails; a failure after the first of them was taken is told as "partly-sent".
    """

    kind = "mail"
    per_minute = 30

    def __init__(
        self,
        address: str,
        secret: str = "",
        options: Mapping[str, Any] | None = None,
        *,
        http: HttpClient | None = None,
    ) -> None:
        super().__init__(address, secret, options, http=http)
        self._recipients = list(dict.fromkeys(filter(None, _SEPARATOR.split(self.address))))
        if not settings.EMAIL_HOST:
            raise InvalidSetting("address", _("No mail server is set up: set EMAIL_URL first."))
        if not self._recipients:
            raise InvalidSetting("address", _("Enter at least one mail address."))
        for recipient in self._recipients:
            try:
                validate_email(recipient)
            except ValidationError:
                raise InvalidSetting("address", _("%s is not a mail address.") % recipient) from None

    def send(self, message: Message, *, now: datetime) -> Receipt:
        done = 0  # addresses that were told, or refused
        taken: list[tuple[int, bytes]] = []
        refused: list[tuple[int, bytes]] = []
        with _Deadline(settings.EMAIL_TIMEOUT) as deadline:
            try:
                smtp = deadline.connect()
                self._sign_in(smtp)
                smtp.ehlo_or_helo_if_needed()
                while recipients := self._recipients[done : done + MAX_RECIPIENTS]:
                    if done:
                        smtp.rset()  # where all of a mail's recipients were refused it is still open
                    answer = self._deliver(smtp, recipients, _text(message, recipients, now), refused)
                    taken += [answer] if answer else []
                    done += len(recipients)
            except (ConnectorError, smtplib.SMTPException, OSError) as error:
                failure = error if isinstance(error, ConnectorError) else self._failure(error, deadline)
                raise (self._partly(failure, done) if taken else failure) from error
        if not taken:
            # One that may be taken later is reason enough to come back.
            raise self._refusal("refused-recipient", *min(refused))
        code, said = taken[-1]
        words = [self._words(said)]
        if refused:
            words.append(
                _("%(refused)d of %(all)d addresses were refused: %(words)s")
                % {"refused": len(refused), "all": len(self._recipients), "words": self._words(refused[0][1])}
            )
        return Receipt(str(code), " · ".join(filter(None, words)))

    def _deliver(
        self, smtp: smtplib.SMTP, recipients: Sequence[str], text: bytes, refused: list[tuple[int, bytes]]
    ) -> tuple[int, bytes] | None:
        """One mail: the answer to it, None when all of the recipients were refused, who are added to `refused`."""
        sender = sanitize_address(settings.DEFAULT_FROM_EMAIL, "utf-8")
        code, said = smtp.mail(_bare(sender), ["body=8bitmime"] if smtp.has_extn("8bitmime") else [])
        if code != 250:
            raise self._refusal("refused-sender", code, said)
        answers = [smtp.rcpt(sanitize_address(recipient, "utf-8")) for recipient in recipients]
        turned_away = [answer for answer in answers if answer[0] not in {250, 251}]
        refused += turned_away
        if len(turned_away) == len(recipients):
            return None
        try:
            code, said = smtp.data(text)
        except smtplib.SMTPDataError as error:
            raise self._refusal("refused-content", error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPException, OSError) as error:
            raise Retry(self.kind, "send", cause="no-answer", may_have_arrived=True) from error
        if code != 250:
            raise self._refusal("refused-content", code, said)
        return code, said

    def _partly(self, failure: ConnectorError, done: int) -> Retry:
        told = _("%(done)d of %(all)d addresses") % {"done": done, "all": len(self._recipients)}
        detail = " · ".join(filter(None, (told, failure.detail)))
        return Retry(self.kind, "send", cause="partly-sent", code=failure.code, detail=detail, may_have_arrived=True)

    def _sign_in(self, smtp: smtplib.SMTP) -> None:
        if settings.EMAIL_USE_TLS:
            smtp.starttls(context=ssl.create_default_context())
        if settings.EMAIL_HOST_USER:
            try:
                smtp.login(settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD)
            except smtplib.SMTPAuthenticationError as error:
                raise self._refusal("bad-login", error.smtp_code, error.smtp_error) from None  # it quotes the login

    def _refusal(self, cause: str, code: int, said: bytes | str) -> ConnectorError:
        """4xx: again later. 5xx: a person must look, at the target or, for the login, at the settings."""
        about: dict[str, Any] = {"code": str(code), "detail": self._words(said)}
        if not 500 <= code < 600:
            return Retry(self.kind, "send", cause="server-error", **about)
        if cause == "bad-login":
            return Fatal(self.kind, "send", cause=cause, **about)
        return Review(self.kind, "send", scope="channel", cause=cause, **about)

    def _failure(self, error: Exception, deadline: "_Deadline") -> ConnectorError:
        # What smtplib makes of silence is a lost connection; that it was silence stands behind it.
        if deadline.is_over or isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            return Retry(self.kind, "send", cause="timeout")
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return Fatal(self.kind, "send", cause="unsupported")
        # An answer that is none has the code -1; one that does not end raises the plain class.
        is_plain = type(error) is smtplib.SMTPResponseException
        if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code > 0 and not is_plain:
            return self._refusal("refused-sender", error.smtp_code, error.smtp_error)
        return Retry(self.kind, "send", cause="tls" if isinstance(error, ssl.SSLError) else "connection")

    def _words(self, said: bytes | str) -> str:
        return self.without_secrets(said.decode("utf-8", "replace") if isinstance(said, bytes) else said)

    def secrets(self) -> tuple[str, ...]:
        return (*super().secrets(), *self._recipients, settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD)


_AGAIN_SECONDS = 0.2


class _Deadline:
    """Ends a conversation after `seconds`: timeouts of a socket limit silence only, not a server that drips."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._smtp: smtplib.SMTP | None = None
        self._timer = self._timer_of(seconds)
        self._is_left = False
        self.is_over = False

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_left = True
        self._timer.cancel()
        if self._smtp is not None:
            self._smtp.close()  # without a word: a server that hangs now has the mail all the same

    def connect(self) -> smtplib.SMTP:
        name = urlsplit(settings.SITE_URL).hostname or "localhost"  # not this machine's own, which is nobody's business
        if settings.EMAIL_USE_SSL:
            context = ssl.create_default_context()
            self._smtp = smtplib.SMTP_SSL(local_hostname=name, timeout=self._seconds, context=context)
        else:
            self._smtp = smtplib.SMTP(local_hostname=name, timeout=self._seconds)
        # Given only now, so that the socket is known to the timer while the greeting is waited for.
        self._smtp._host = settings.EMAIL_HOST  # type: ignore[attr-defined]  # what certificates are checked against
        code, said = self._smtp.connect(settings.EMAIL_HOST, settings.EMAIL_PORT)
        if code != 220:
            raise smtplib.SMTPConnectError(code, said)
        return self._smtp

    def _timer_of(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        return timer

    def _end(self) -> None:
        self.is_over = True
        sock = self._smtp.sock if self._smtp is not None else None
        if sock is None:
            # Still connecting, which has limits of its own; the conversation after it has none but this.
            if not self._is_left:
                self._timer = self._timer_of(_AGAIN_SECONDS)
                self._timer.start()
        else:
            try:
                # Not through TLS, which would wait for the thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already


def _text(message: Message, recipients: Sequence[str], now: datetime) -> bytes:
    from_domain = _bare(settings.DEFAULT_FROM_EMAIL).rpartition("@")[2] or "localhost"
    mail = EmailMessage(
        subject=encodable(" ".join(message.subject.split())),
        body=encodable("\n".join([*message.lines, *(["", message.url] if message.url else []), ""])),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=list(recipients),
        headers={
            # The same on every try, so that a mailbox can tell a repeated mail.
            "Message-ID": f"<{re.sub(r'[^0-9A-Za-z_-]', '', message.message_id)}@{from_domain}>",
            "Date": (message.made_at or now).strftime("%a, %d %b %Y %H:%M:%S +0000"),
            "Auto-Submitted": "auto-generated",
        },
    )
    return re.sub(rb"\r?\n|\r", b"\r\n", mail.message().as_bytes())


def _bare(address: str) -> str:
    """The address without its name: "Evenshelf <a@example.com>" is a@example.com."""
    return address.rpartition("<")[2].rstrip("> ")
