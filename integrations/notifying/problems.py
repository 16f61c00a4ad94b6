"""Why a message did not arrive, in sentences: what happened, then what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from config.admin_site import Severity

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True)
class Kind:
    """One kind of problem."""

    severity: Severity
    what: _StrPromise
    advice: _StrPromise
    is_repeated: bool = False  # we try again, but for tests
    is_limit: bool = False  # it ends by itself, and nothing may be sent before, not even a test
    is_of_message: bool = False  # it says nothing about the next message


_WE_TRY_AGAIN = _("We try again by ourselves. Nothing to do.")
_MERGED = _("What waits is sent as one message as soon as we may. Nothing to do.")
_THEN_TEST = _("Then send a test message, and send what failed again.")
_THEN_ANOTHER_TEST = _("Then send another test message.")
_NOT_REPEATED = _("A test message is not repeated. Check the address and the network, then send another.")
_AFTER_THE_LIMIT = _("Send the test message again when the limit has ended.")
_LOOK_THERE = _("Look there whether it arrived; if not, send it again.")

PROBLEMS: dict[str, Kind] = {
    # No usable answer.
    "timeout": Kind("warning", _("The other side did not answer in time."), _WE_TRY_AGAIN, is_repeated=True),
    "connection": Kind(
        "warning",
        _("The other side could not be reached."),
        _("We try again by ourselves. If it lasts, check the address and this computer's network."),
        is_repeated=True,
    ),
    "tls": Kind(
        "warning",
        _("No secure connection to the other side could be made."),
        _("Check the address, the proxy and the clock of this computer."),
    ),
    "server-error": Kind("warning", _("The other side reported an error of its own."), _WE_TRY_AGAIN, is_repeated=True),
    "not-json": Kind(
        "warning",
        _("The other side answered with something that is not data."),
        _("We try again by ourselves. If it lasts, check the address and the proxy."),
        is_repeated=True,
    ),
    "half-answer": Kind("warning", _("The other side sent half an answer."), _WE_TRY_AGAIN, is_repeated=True),
    "too-large": Kind(
        "warning",
        _("The other side sent an answer larger than we accept."),
        _("We try again by ourselves. If it lasts, check the address and the proxy."),
        is_repeated=True,
    ),
    "no-answer": Kind("warning", _("No answer after we sent. We do not know whether it arrived."), _LOOK_THERE),
    "partly-sent": Kind(
        "warning",
        _("Some of the addresses were sent the message, the others were not."),
        _("A critical one goes out to all of them again; any other if you send it again."),
    ),
    "cut-off": Kind("warning", _("We were stopped while sending. We do not know whether it arrived."), _LOOK_THERE),
    # Too much sent.
    "quota": Kind("info", _("The other side limited our messages."), _MERGED, is_limit=True),
    "own-limit": Kind("info", _("A message was sent just now."), _MERGED, is_limit=True),
    "own-daily-limit": Kind(
        "warning",
        _("The messages of 24 hours are used up."),
        _("What waits is sent as one message when the first of them is a day old. Send critical alerts only."),
        is_limit=True,
    ),
    "daily-quota": Kind(
        "warning",
        _("The other side takes no more messages today."),
        _("What waits is sent as one message when it does. Send critical alerts only."),
        is_limit=True,
    ),
    # Not taken.
    "not-admitted": Kind(
        "critical",
        _("The robot's security settings did not admit the message."),
        _("Compare its signature, keywords and admitted addresses with the target's settings."),
    ),
    "refused-content": Kind(
        "critical",
        _("The other side refused what the message says."),
        _("Other messages go on. Look its answer up, and look at the alerts on the board."),
        is_of_message=True,
    ),
    "refused-sender": Kind(
        "critical",
        _("The mail server does not let us send."),
        _("Set DEFAULT_FROM_EMAIL to an address that may send through the server of EMAIL_URL."),
    ),
    "refused-recipient": Kind(
        "critical", _("The mail server knows none of the addresses."), _("Enter the addresses again.")
    ),
    "bad-login": Kind(
        "critical", _("The mail server did not accept our login."), _("Set EMAIL_URL with the right name and password.")
    ),
    "no-credit": Kind(
        "critical",
        _("The account for text messages has no credit, or the service is not open."),
        _("Top it up in the platform's console."),
    ),
    "bad-sign-name": Kind(
        "critical",
        _("The platform did not accept the signature name."),
        _("Enter the approved name, as it stands in the platform's console."),
    ),
    "bad-template": Kind(
        "critical",
        _("The platform did not accept the template or its variables."),
        _("Compare the template's code and variables with the platform's console."),
    ),
    "bad-phone-number": Kind(
        "critical", _("The platform did not accept a telephone number."), _("Enter the telephone numbers again.")
    ),
    "permission": Kind(
        "critical",
        _("The access key may not send text messages."),
        _("Grant it that in the platform's console, or enter another."),
    ),
    "bad-app-key": Kind("critical", _("The platform does not know the access key."), _("Enter the access key again.")),
    "unsupported": Kind(
        "critical",
        _("The mail server cannot do what its settings ask for."),
        _("Check the kind of connection and the port in EMAIL_URL."),
    ),
    "bad-signature": Kind(
        "critical",
        _("The other side did not accept our signature."),
        _("Enter the signing secret again from the robot's settings."),
    ),
    "clock": Kind(
        "critical",
        _("The other side did not accept our time."),
        _("Set the clock of this computer; let it follow a time server."),
    ),
    "keyword": Kind(
        "critical",
        _("The robot only takes messages with one of its keywords."),
        _("Add “Evenshelf” to the keywords in the robot's settings, or use a signature instead."),
    ),
    "ip-whitelist": Kind(
        "critical",
        _("The other side does not admit this computer's address."),
        _("Add the address to the list in the robot's settings."),
    ),
    "unknown-robot": Kind(
        "critical",
        _("The other side does not know this robot."),
        _("It was removed, or the address is wrong. Enter the webhook address again."),
    ),
    "bad-request": Kind(
        "critical",
        _("The other side did not understand the message."),
        _("Tell whoever looks after this installation, with the answer below."),
    ),
    "forbidden": Kind(
        "critical", _("The other side turned the message away."), _("Check the address, the secret and the proxy.")
    ),
    "wrong-address": Kind(
        "critical",
        _("Nothing for us answers at the address, or it leads into a private network."),
        _(
            "Enter the address again. For a private host, ask whoever runs the server to add HOST:PORT to"
            " ALLOWED_PRIVATE_HOSTS."
        ),
    ),
    "redirect": Kind(
        "critical",
        _("The other side sent us to another address; we did not follow."),
        _("Check the address and the proxy."),
    ),
    "gone": Kind(
        "critical",
        _("The receiver has closed this address for good."),
        _("Ask whoever runs it for a new address, or deactivate the target."),
    ),
    "target-inactive": Kind(
        "muted",
        _("The target was deactivated before it was sent."),
        _("What opens after the target is active again is sent. Look at the alerts on the board."),
    ),
    "bad-setting": Kind("critical", _("A setting of the target cannot work."), _("Edit the target.")),
    "key-missing": Kind(
        "critical",
        _("The target's secrets can no longer be decrypted: the key they were stored with is missing."),
        _("Put that key back into CREDENTIAL_KEYS, or enter the address and the secret again."),
    ),
    "unrecognised": Kind(
        "critical",
        _("The other side refused the message for a reason we do not know."),
        _("Look its answer up in the platform's documentation."),
    ),
    "internal": Kind("critical", _("Sending met a fault of ours."), _("Look it up in the log.")),
}
_OTHER = Kind("unknown", _("The message was not sent."), _WE_TRY_AGAIN, is_repeated=True)


@dataclass(frozen=True)
class Explanation:
    severity: Severity
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.what} {self.advice}"


def explain(cause: str, *, is_test: bool = False) -> Explanation:
    """Tell a cause, of a test message or of one about alerts; one that is not in the table is told as "not sent".

    What a person must mend ends with what to do then: the target is tried by itself only once an hour.
    """
    kind = PROBLEMS.get(cause, _OTHER)
    then = _THEN_ANOTHER_TEST if is_test else _THEN_TEST
    advice = f"{kind.advice} {then}" if kind.severity == "critical" else str(kind.advice)
    if is_test and kind.is_limit:
        advice = str(_AFTER_THE_LIMIT)
    elif is_test and kind.is_repeated:
        advice = str(_NOT_REPEATED)
    return Explanation(kind.severity, str(kind.what), advice)


def is_limit(cause: str) -> bool:
    return cause in PROBLEMS and PROBLEMS[cause].is_limit


def limits() -> list[str]:
    """The causes that are limits."""
    return [cause for cause in PROBLEMS if is_limit(cause)]


def is_of_message(cause: str) -> bool:
    return cause in PROBLEMS and PROBLEMS[cause].is_of_message
