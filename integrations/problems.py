"""What went wrong on a channel, in sentences: what happened, then what to do, and which button does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel
from config.admin_site import Severity
from config.formatting import moment

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


class Help(StrEnum):
    """The button that solves a problem."""

    REAUTHORISE = "reauthorise"
    CREDENTIAL = "credential"
    NONE = "none"


@dataclass(frozen=True)
class Kind:
    """One kind of problem; in both sentences %(channel)s and %(time)s stand for the channel and its local time."""

    severity: Severity
    what: _StrPromise
    advice: _StrPromise
    help: Help = Help.NONE


@dataclass(frozen=True)
class Explanation:
    """A problem told to a person; `code` is the platform's own, "" where it gave none."""

    severity: Severity
    what: str
    advice: str
    help: Help
    code: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.advice}"


_WE_TRY_AGAIN = _("We try again by ourselves. Nothing to do.")
_CHECK_SETTINGS = _("Compare the connection's settings with the platform's console.")
_TELL_US = _("Trying again will not help. Tell whoever looks after this installation, with the code below.")

PROBLEMS: dict[str, Kind] = {
    # No usable answer.
    "timeout": Kind("warning", _("%(channel)s did not answer in time at %(time)s."), _WE_TRY_AGAIN),
    "connection": Kind(
        "warning",
        _("%(channel)s could not be reached at %(time)s."),
        _("We try again by ourselves. If it lasts, check this computer's network and the connection's base URL."),
    ),
    "tls": Kind(
        "warning",
        _("No secure connection to %(channel)s could be made at %(time)s."),
        _("Check the base URL, the proxy and the clock of this computer."),
        Help.CREDENTIAL,
    ),
    "server-error": Kind("warning", _("%(channel)s reported an error of its own at %(time)s."), _WE_TRY_AGAIN),
    "not-json": Kind(
        "warning",
        _("%(channel)s answered with something that is not data at %(time)s."),
        _("We try again by ourselves. If it lasts, check the base URL and the proxy."),
        Help.CREDENTIAL,
    ),
    "half-answer": Kind("warning", _("%(channel)s sent half an answer at %(time)s."), _WE_TRY_AGAIN),
    "too-large": Kind(
        "warning",
        _("%(channel)s sent an answer larger than we accept at %(time)s."),
        _("We try again by ourselves. If it lasts, check the base URL and the proxy."),
        Help.CREDENTIAL,
    ),
    "unreadable-row": Kind("warning", _("%(channel)s sent a row without an id at %(time)s."), _WE_TRY_AGAIN),
    "nothing-usable": Kind(
        "warning", _("%(channel)s answered without a price, stock or shelf state at %(time)s."), _WE_TRY_AGAIN
    ),
    # Too much asked.
    "quota": Kind(
        "info",
        _("%(channel)s limited our calls at %(time)s."),
        _("We wait as long as it asks. If it happens often, set calls per second to what the console grants."),
        Help.CREDENTIAL,
    ),
    "own-quota": Kind(
        "info",
        _("The calls per second set for %(channel)s were used up at %(time)s."),
        _("Reading goes on by itself. Set more if the platform's console grants more."),
        Help.CREDENTIAL,
    ),
    "daily-quota": Kind(
        "warning",
        _("Today's calls to %(channel)s were used up at %(time)s."),
        _("Reading goes on after midnight there. Read less often, or reset the quota in the platform's console."),
    ),
    # Not let in.
    "session-invalid": Kind(
        "critical",
        _("%(channel)s refused our access at %(time)s."),
        _("Its listings are not being read until the shop authorises again."),
        Help.REAUTHORISE,
    ),
    "authorisation-refused": Kind(
        "critical",
        _("%(channel)s did not accept the authorisation at %(time)s."),
        _(
            "Authorise again. If it is refused each time, compare the app secret and the callback address with the "
            "platform's console."
        ),
        Help.REAUTHORISE,
    ),
    "not-set-up": Kind(
        "warning",
        _("%(channel)s has no app key and secret yet."),
        _("Enter those of your app from the platform's console."),
        Help.CREDENTIAL,
    ),
    "key-missing": Kind(
        "critical",
        _("The secrets of %(channel)s can no longer be decrypted: the key they were stored with is missing."),
        _("Put that key back into CREDENTIAL_KEYS, or enter the app secret again and have the shop authorise again."),
        Help.CREDENTIAL,
    ),
    "not-authorised": Kind(
        "warning",
        _("The shop has not authorised the app of %(channel)s yet."),
        _("Its listings are read as soon as it has."),
        Help.REAUTHORISE,
    ),
    "expired": Kind(
        "critical",
        _("The authorisation of %(channel)s has ended."),
        _("Its listings are not being read until the shop authorises again."),
        Help.REAUTHORISE,
    ),
    "forbidden": Kind(
        "critical",
        _("%(channel)s turned our call away at %(time)s."),
        _("Check the base URL and the proxy, and whether the platform admits this computer's address."),
        Help.CREDENTIAL,
    ),
    "permission": Kind(
        "critical",
        _("%(channel)s said at %(time)s that the app lacks a permission."),
        _("Ask for it in the platform's console. Reading goes on when it is granted."),
    ),
    "ip-whitelist": Kind(
        "critical",
        _("%(channel)s said at %(time)s that it does not admit this computer's address."),
        _("Add the address to the app's list in the platform's console."),
    ),
    # Asked wrongly.
    "bad-setting": Kind("critical", _("A setting of %(channel)s cannot work."), _CHECK_SETTINGS, Help.CREDENTIAL),
    "bad-app-key": Kind(
        "critical", _("%(channel)s did not know our app key at %(time)s."), _CHECK_SETTINGS, Help.CREDENTIAL
    ),
    "bad-signature": Kind(
        "critical",
        _("%(channel)s did not accept our signature at %(time)s."),
        _("The app secret is most likely wrong: enter it again from the platform's console."),
        Help.CREDENTIAL,
    ),
    "clock": Kind(
        "critical",
        _("%(channel)s did not accept our time at %(time)s."),
        _("Set the clock of this computer; let it follow a time server."),
    ),
    "wrong-address": Kind(
        "critical", _("Nothing for us answers at the address of %(channel)s."), _CHECK_SETTINGS, Help.CREDENTIAL
    ),
    "redirect": Kind(
        "critical",
        _("%(channel)s sent us to another address at %(time)s; we did not follow."),
        _("Check the base URL and the proxy."),
        Help.CREDENTIAL,
    ),
    "bad-request": Kind("critical", _("%(channel)s did not understand our request at %(time)s."), _TELL_US),
    "paging-too-deep": Kind(
        "critical", _("%(channel)s has more rows changed in one second than it lets us read."), _TELL_US
    ),
    "unsupported": Kind("critical", _("%(channel)s cannot do what was asked of it."), _TELL_US),
    "platform-fault": Kind(
        "critical",
        _("%(channel)s could not carry out our request at %(time)s and did not say why."),
        _("If it lasts, ask the platform's support, with the code below."),
    ),
    "unrecognised": Kind(
        "critical",
        _("%(channel)s refused our request at %(time)s for a reason we do not know."),
        _("Look the code below up in the platform's documentation."),
    ),
    "internal": Kind(
        "critical", _("Reading %(channel)s met a fault of ours at %(time)s."), _("Look it up in the log.")
    ),
    "being-read": Kind(
        "info", _("Some listings of %(channel)s are being read by a worker just now."), _("Nothing to do.")
    ),
    # One listing.
    "unknown-listing": Kind(
        "warning",
        _("%(channel)s: the item is not known to the platform."),
        _("It was deleted, or its id is wrong. Remove the listing, or add it again with the right id."),
    ),
    "unknown-variant": Kind(
        "warning",
        _("%(channel)s: the platform knows the item, but not this variant of it."),
        _("It was deleted, or its id is wrong. Remove the listing, or add it again with the right id."),
    ),
    "variant-deleted": Kind(
        "warning", _("The variant was deleted on %(channel)s."), _("Remove the listing; its history stays.")
    ),
    "foreign-listing": Kind(
        "warning",
        _("%(channel)s says that the item belongs to another shop."),
        _("If it is a competitor's, mark the listing so; else remove it."),
    ),
    "refused-by-rule": Kind(
        "warning",
        _("A rule of %(channel)s refused the item at %(time)s."),
        _("Look at the item in the platform's back office."),
    ),
    "bad-listing-id": Kind(
        "warning",
        _("The item id cannot be one of %(channel)s, so it was not asked for."),
        _("Remove the listing and add it again with the right id."),
    ),
    "no-variants-of-others": Kind(
        "warning",
        _("%(channel)s shows items of other shops as a whole only, not by variant."),
        _("Remove the listing and add the item without a variant id."),
    ),
    # One fact.
    "price-unreadable": Kind(
        "warning", _("%(channel)s gave a price that is no amount."), _("The price counts as not known.")
    ),
    "price-not-positive": Kind(
        "warning", _("%(channel)s gave a price that is not above 0."), _("The price counts as not known.")
    ),
    "stock-unreadable": Kind(
        "warning", _("%(channel)s gave a stock that is no number."), _("The stock counts as not known.")
    ),
    "stock-negative": Kind("warning", _("%(channel)s gave a stock below 0."), _("The stock counts as not known.")),
}
# Instead of the advice for "quota": what the platform asked for may be longer than we are willing to wait.
_LONG_WAIT = _("It asks for a long wait; we try again at %(retry)s.")
_LONG = timedelta(minutes=50)
_OTHER = Kind("unknown", _("%(channel)s was not read at %(time)s."), _WE_TRY_AGAIN)


def explain(
    *, cause: str, channel: Channel, at: datetime | None, retry_at: datetime | None = None, code: str = ""
) -> Explanation:
    """Tell a problem of a channel or of its listings; a cause that is not in the table is told as "not read".

    `retry_at` is added to the advice when it lies in a minute ahead and the problem ends without a person's help; `at`
    None: now.
    """
    kind = PROBLEMS.get(cause, _OTHER)
    now = timezone.now()
    names = {"channel": channel.name, "time": _clock(at or now, channel, now)}
    advice = str(kind.advice) % names
    # What a person must end first is critical, and so is what lasts: then the time of a try says nothing.
    if retry_at is not None and kind.severity != "critical" and _minute(retry_at) > _minute(now):
        next_try = _clock(retry_at, channel, now)
        if cause == "quota" and retry_at - (at or now) >= _LONG:
            advice = str(_LONG_WAIT) % {"retry": next_try}
        else:
            advice += " " + gettext("Next try %(time)s.") % {"time": next_try}
    return Explanation(kind.severity, str(kind.what) % names, advice, kind.help, code)


def sentence(*, cause: str, channel: Channel, at: datetime | None, retry_at: datetime | None = None) -> str:
    """What happened and what to do, on one line."""
    return str(explain(cause=cause, channel=channel, at=at, retry_at=retry_at))


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _clock(at: datetime, channel: Channel, now: datetime) -> str:
    """The time of day where the channel is, with the date when that is not today."""
    zone = ZoneInfo(channel.time_zone)
    local = at.astimezone(zone)
    return f"{local:%H:%M}" if local.date() == now.astimezone(zone).date() else moment(at, zone)
