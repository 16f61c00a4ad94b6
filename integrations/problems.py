"""What went wrong on a channel, in sentences: what happened, then what to do, and which button does it.

What differs between platforms is named as their settings are: the sentences are the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel
from config.admin_site import Severity
from config.formatting import joined, moment, sentences
from integrations.connectors import CONNECTORS
from integrations.connectors.base import READS_ONLY, SettingKind
from integrations.models import Credential

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


class Help(StrEnum):
    """The button that solves a problem."""

    REAUTHORISE = "reauthorise"
    CREDENTIAL = "credential"
    TEST = "test"
    REMOVE = "remove"  # the listings it is about
    EDIT_CHANNEL = "edit-channel"
    REPLACE_CHANNEL = "replace-channel"
    NONE = "none"


_BY_KEYS = _(
    "Its listings are not being read. Compare what the connection holds with what is shown in %(console)s, enter again "
    "what differs, then test the connection."
)


@dataclass(frozen=True)
class Kind:
    """One kind of problem; what its sentences may name is in _Words."""

    severity: Severity
    what: _StrPromise
    advice: _StrPromise
    help: Help = Help.NONE
    # Instead of the advice to authorise, where nobody is asked for consent.
    advice_by_keys: _StrPromise = _BY_KEYS
    help_by_keys: Help = Help.CREDENTIAL


@dataclass(frozen=True)
class Explanation:
    """A problem told to a person; `code` is the platform's own, "" where it gave none, and so are the words of
    `detail`."""

    severity: Severity
    what: str
    advice: str
    help: Help
    code: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return sentences(self.what, self.advice)


_WE_TRY_AGAIN = _("We try again by ourselves. Nothing to do.")
_CHECK_SETTINGS = _("Compare the connection's settings with what is shown in %(console)s.")
_CHECK_ADDRESS = _("We try again by ourselves. If it lasts, check “%(address)s” of the connection, and the proxy.")
_TELL_US = _("Trying again will not help. Tell whoever looks after this installation, with the code below.")

CURRENCY_DIFFERS = "currency-differs"

PROBLEMS: dict[str, Kind] = {
    # No usable answer.
    "timeout": Kind("warning", _("%(channel)s did not answer in time at %(time)s."), _WE_TRY_AGAIN),
    "connection": Kind(
        "warning",
        _("%(channel)s could not be reached at %(time)s."),
        _("We try again by ourselves. If it lasts, check this computer's network and “%(address)s” of the connection."),
        Help.CREDENTIAL,
    ),
    "tls": Kind(
        "warning",
        _("No secure connection to %(channel)s could be made at %(time)s."),
        _("Check “%(address)s” of the connection, the proxy and the clock of this computer."),
        Help.CREDENTIAL,
    ),
    "server-error": Kind("warning", _("%(channel)s reported an error of its own at %(time)s."), _WE_TRY_AGAIN),
    "not-json": Kind(
        "warning",
        _("%(channel)s answered with something that is not data at %(time)s."),
        _CHECK_ADDRESS,
        Help.CREDENTIAL,
    ),
    "half-answer": Kind("warning", _("%(channel)s sent half an answer at %(time)s."), _WE_TRY_AGAIN),
    "too-large": Kind(
        "warning",
        _("%(channel)s sent an answer larger than we accept at %(time)s."),
        _CHECK_ADDRESS,
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
            "Authorise again. If it is refused each time, compare “%(secret)s” and the callback address with what is "
            "shown in %(console)s."
        ),
        Help.REAUTHORISE,
    ),
    "not-set-up": Kind(
        "warning",
        _("%(channel)s is not connected yet."),
        _("Enter what is missing: %(missing)s. It is found in %(console)s."),
        Help.CREDENTIAL,
    ),
    "key-missing": Kind(
        "critical",
        _("The secrets of %(channel)s can no longer be decrypted: the key they were stored with is missing."),
        _("Put that key back into CREDENTIAL_KEYS, or enter again what was lost: %(secret)s."),
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
    "token-renewal": Kind("info", _("Another token of %(channel)s was being asked for at %(time)s."), _WE_TRY_AGAIN),
    "forbidden": Kind(
        "critical",
        _("%(channel)s turned our call away at %(time)s."),
        _("Check “%(address)s” and the proxy, and whether the platform admits this computer's address."),
        Help.CREDENTIAL,
    ),
    "permission": Kind(
        "critical",
        _("%(channel)s said at %(time)s that the app lacks a permission."),
        _("Ask for it in %(console)s. When it is granted, test the connection."),
        Help.TEST,
    ),
    "ip-whitelist": Kind(
        "critical",
        _("%(channel)s said at %(time)s that it does not admit this computer's address."),
        _("Add the address to the app's list in %(console)s, then test the connection."),
        Help.TEST,
    ),
    "scope-missing": Kind(
        "critical",
        _("%(channel)s said at %(time)s that our access lacks a permission."),
        _("Give the app the permission in %(console)s, then authorise again."),
        Help.REAUTHORISE,
        _("Give it the permission in %(console)s, then test the connection."),
        Help.TEST,
    ),
    READS_ONLY: Kind(
        "info",
        _("%(channel)s lets us read, but not write: what is entered may only read."),
        _("Only to write stock needs more: give the permission in %(console)s, then test the connection."),
        Help.TEST,
    ),
    "role-too-weak": Kind(
        "critical",
        _("The user of the keys of %(channel)s may not do what was asked."),
        _("Give that user the role of a shop manager, or enter the keys of one who has it; then test the connection."),
        Help.CREDENTIAL,
    ),
    "keys-not-taken": Kind(
        "critical",
        _("%(channel)s took us for a visitor at %(time)s: it does not know the keys, or never saw them."),
        _("Compare “%(key)s”. If it is right, the shop's server drops the header that carries it."),
        Help.CREDENTIAL,
    ),
    "shop-frozen": Kind(
        "critical",
        _("%(channel)s is frozen: the platform lets nobody in until its bill is paid."),
        _("Settle it in the shop's back office, then test the connection."),
        Help.TEST,
    ),
    "shop-locked": Kind(
        "critical",
        _("%(channel)s is locked by the platform."),
        _("Ask the platform's support to unlock it, then test the connection."),
        Help.TEST,
    ),
    "shop-taken": Kind(
        "critical",
        _("The shop of %(channel)s is connected as another channel, too."),
        _("Disconnect one of the two."),
    ),
    "other-organisation": Kind(
        "critical",
        _("The app of %(channel)s belongs to another organisation than the shop."),
        _("Make the app in the organisation that owns the shop, or choose another kind of app."),
        Help.CREDENTIAL,
    ),
    "security-rejection": Kind(
        "critical",
        _("The platform of %(channel)s took our calls for an attack at %(time)s."),
        _("Ask the platform's support, with the code below."),
    ),
    # Asked wrongly.
    "bad-setting": Kind("critical", _("A setting of %(channel)s cannot work."), _CHECK_SETTINGS, Help.CREDENTIAL),
    "bad-app-key": Kind(
        "critical",
        _("%(channel)s did not know what is entered as “%(key)s” at %(time)s."),
        _CHECK_SETTINGS,
        Help.CREDENTIAL,
    ),
    "bad-signature": Kind(
        "critical",
        _("%(channel)s did not accept our signature at %(time)s."),
        _("“%(secret)s” is most likely wrong: enter it again, as it is shown in %(console)s."),
        Help.CREDENTIAL,
    ),
    "bad-secret": Kind(
        "critical",
        _("%(channel)s did not accept what is entered as “%(secret)s” at %(time)s."),
        _("Enter it again, as it is shown in %(console)s."),
        Help.CREDENTIAL,
    ),
    "nonce-used": Kind("warning", _("%(channel)s took our call for a repetition at %(time)s."), _WE_TRY_AGAIN),
    "clock": Kind(
        "critical",
        _("%(channel)s did not accept our time at %(time)s."),
        _("Set the clock of this computer, let it follow a time server, then test the connection."),
        Help.TEST,
    ),
    "wrong-address": Kind(
        "critical", _("Nothing for us answers at the address of %(channel)s."), _CHECK_SETTINGS, Help.CREDENTIAL
    ),
    "wrong-shop": Kind(
        "critical",
        _("There is no shop at the address of %(channel)s."),
        _("Enter the shop's own address on the platform."),
        Help.CREDENTIAL,
    ),
    "no-api": Kind(
        "critical",
        _("The interface of %(channel)s does not answer at its address."),
        _("Check the address. In WordPress, check that WooCommerce is active and that permalinks are not plain."),
        Help.CREDENTIAL,
    ),
    "api-version": Kind(
        "critical",
        _("%(channel)s answers with another version of its interface than the one we ask for."),
        _("Update this program."),
    ),
    CURRENCY_DIFFERS: Kind(
        "critical",
        _("The shop of %(channel)s counts in another currency than the channel, %(currency)s."),
        _(
            "Its amounts are not taken over. Disconnect this channel, then add one in the shop's currency: that of a "
            "channel with listings stays."
        ),
        Help.REPLACE_CHANNEL,
    ),
    "redirect": Kind(
        "critical",
        _("%(channel)s sent us to another address at %(time)s; we did not follow."),
        _("Check “%(address)s” of the connection, and the proxy."),
        Help.CREDENTIAL,
    ),
    "bad-request": Kind("critical", _("%(channel)s did not understand our request at %(time)s."), _TELL_US),
    "key-used-otherwise": Kind(
        "critical", _("%(channel)s had seen the key of a write of ours with other figures."), _TELL_US
    ),
    "too-many-rows": Kind("critical", _("%(channel)s takes fewer rows in one call than we sent."), _TELL_US),
    "same-push-running": Kind("info", _("%(channel)s was still at work on the same write at %(time)s."), _WE_TRY_AGAIN),
    "bulk-running": Kind(
        "info", _("%(channel)s was still putting together an earlier large reading at %(time)s."), _WE_TRY_AGAIN
    ),
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
        Help.REMOVE,
    ),
    "unknown-variant": Kind(
        "warning",
        _("%(channel)s: the platform knows the item, but not this variant of it."),
        _("It was deleted, or its id is wrong. Remove the listing, or add it again with the right id."),
        Help.REMOVE,
    ),
    "variant-deleted": Kind(
        "warning",
        _("The variant was deleted on %(channel)s."),
        _("Remove the listing; its history stays."),
        Help.REMOVE,
    ),
    "foreign-listing": Kind(
        "warning",
        _("%(channel)s says that the item belongs to another shop."),
        _("If it is a competitor's, mark the listing so; else remove it."),
        Help.REMOVE,
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
        Help.REMOVE,
    ),
    "no-variants-of-others": Kind(
        "warning",
        _("%(channel)s shows items of other shops as a whole only, not by variant."),
        _("Remove the listing and add the item without a variant id."),
        Help.REMOVE,
    ),
    "has-variants": Kind(
        "warning",
        _("%(channel)s: the item has variants, and its own price and stock are none of theirs."),
        _("Add its variants one by one, and remove this listing."),
        Help.REMOVE,
    ),
    # One write.
    "moved": Kind(
        "info",
        _("%(channel)s: the stock had moved since it was read."),
        _("It is worked out again by itself."),
    ),
    "not-answered": Kind(
        "warning",
        _("%(channel)s gave no answer after we wrote. We do not know whether it was applied."),
        _("It is read back before anything is repeated."),
    ),
    "not-confirmed": Kind(
        "warning",
        _("%(channel)s took the figure, but shows another one."),
        _("It is read back before anything is repeated."),
    ),
    "stock-not-counted": Kind(
        "warning",
        _("%(channel)s does not count the stock of the item."),
        _("Switch on stock management for it in the shop's back office."),
    ),
    "stock-of-product": Kind(
        "warning",
        _("%(channel)s counts one stock for all variants of the item, so one variant's cannot be written."),
        _("In the shop's back office, have each variant count its own stock."),
    ),
    "unknown-location": Kind(
        "warning",
        _("%(channel)s does not know the location."),
        _("Choose one of its locations, or leave the stock of this one out."),
    ),
    "not-stocked-there": Kind(
        "warning",
        _("%(channel)s: the item is not stocked at the location."),
        _("Stock it there in the shop's back office, or choose another location."),
    ),
    "stock-not-ours": Kind(
        "warning",
        _("%(channel)s: the stock of the item is kept by another service."),
        _("Have the shop keep its stock, or leave the listing out."),
    ),
    "twice-in-one-push": Kind("critical", _("%(channel)s was sent the same row twice in one write."), _TELL_US),
    "not-shown": Kind(
        "warning",
        _("%(channel)s took the figure, but does not show it."),
        _(
            "Look at the item in the platform's back office: something else may write its stock, too. Then send it "
            "again, or dismiss it with a reason."
        ),
    ),
    "not-read": Kind(
        "warning",
        _("%(channel)s did not tell what the item shows."),
        _("It is read again by itself. If it lasts, look at the item in the platform's back office."),
    ),
    "interrupted": Kind(
        "warning",
        _("A worker ended before it told what %(channel)s answered. We do not know whether the figure was applied."),
        _("It is read back before anything is repeated."),
    ),
    "lease-over": Kind(
        "info", _("There was no time left to send it to %(channel)s."), _("It is sent by itself. Nothing to do.")
    ),
    "guard": Kind(
        "warning",
        _("%(channel)s: too many listings would go to 0 at once, so nobody was told yet."),
        _("Look at them on the page of the channel, and apply or reject them there."),
    ),
    # Left alone.
    "paused": Kind(
        "info",
        _("%(channel)s: the stock of the listing is paused by a rule, so what it shows is left as it is."),
        _("Change the rule of the listing or of the channel to have it sent again."),
    ),
    "not-mapped": Kind(
        "warning",
        _("%(channel)s: the listing is not mapped, so what it shows is left as it is."),
        _("Choose the SKU it sells, and its stock is sent from then on."),
    ),
    "sku-inactive": Kind(
        "info",
        _("%(channel)s: the SKU of the listing is not active, so what it shows is left as it is."),
        _("Set the SKU to active to have its stock sent."),
    ),
    "not-counted": Kind(
        "warning",
        _("%(channel)s: the stock of the listing was never counted here, so nothing is sent."),
        _("Count it or enter a receipt."),
    ),
    "location-left": Kind(
        "info",
        _("%(channel)s: no warehouse feeds this location any more, so it is left to the shop."),
        _("Choose a warehouse for the location to have its stock sent again."),
    ),
    # One fact.
    "price-unreadable": Kind(
        "warning", _("%(channel)s gave a price that is no amount."), _("The price counts as not known.")
    ),
    "price-not-positive": Kind(
        "warning", _("%(channel)s gave a price that is not above 0."), _("The price counts as not known.")
    ),
    "currency-unknown": Kind(
        "warning",
        _("%(channel)s did not tell us the currency of its prices."),
        _("The prices count as not known. Give the user of the keys the role of a shop manager."),
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


# Of these the detail names what is missing, or the shop's currency.
NAMED_IN_DETAIL = frozenset({"permission", "scope-missing", CURRENCY_DIFFERS})
_BOTH_CURRENCIES = _("The shop of %(channel)s counts in %(detail)s, the channel in %(currency)s.")
_WITHOUT_LISTINGS = _("Set the channel's currency to %(detail)s; as long as it has no listings it can be changed.")
_WITH_LISTINGS = _(
    "Its amounts are not taken over. Disconnect this channel, then add one in %(detail)s: the currency of a channel "
    "with listings stays."
)


def explain(
    *,
    cause: str,
    channel: Channel,
    at: datetime | None,
    retry_at: datetime | None = None,
    code: str = "",
    detail: str = "",
) -> Explanation:
    """Tell a problem of a channel or of its listings; a cause that is not in the table is told as "not read".

    `retry_at` is added to the advice when it lies in a minute ahead and the problem ends without a person's help; `at`
    None: now. `detail` is of the causes in NAMED_IN_DETAIL.
    """
    kind = PROBLEMS.get(cause, _OTHER)
    words = _Words(channel, at, detail)
    if kind.help == Help.REAUTHORISE and words.credential.pk and words.credential.grant != Credential.Grant.CONSENT:
        kind = replace(kind, advice=kind.advice_by_keys, help=kind.help_by_keys)
    if cause == CURRENCY_DIFFERS and detail:
        kind = _told_currencies(kind, channel)
    now = timezone.now()
    advice = str(kind.advice) % words
    # What a person must end first is critical, and so is what lasts: then the time of a try says nothing.
    if retry_at is not None and kind.severity != "critical" and _minute(retry_at) > _minute(now):
        next_try = _clock(retry_at, now)
        if cause == "quota" and retry_at - (at or now) >= _LONG:
            advice = str(_LONG_WAIT) % {"retry": next_try}
        else:
            advice = sentences(advice, gettext("Next try %(time)s.") % {"time": next_try})
    told = "" if cause == CURRENCY_DIFFERS else detail
    return Explanation(kind.severity, str(kind.what) % words, advice, kind.help, code, told)


def _told_currencies(kind: Kind, channel: Channel) -> Kind:
    """Both currencies by name, and the deed that is possible."""
    if channel.pk and channel.listings.exists():
        return replace(kind, what=_BOTH_CURRENCIES, advice=_WITH_LISTINGS)
    return replace(kind, what=_BOTH_CURRENCIES, advice=_WITHOUT_LISTINGS, help=Help.EDIT_CHANNEL)


class _Words:
    """What a sentence may name, looked up when it does: settings by the labels that the platform's form shows."""

    def __init__(self, channel: Channel, at: datetime | None, detail: str) -> None:
        self._channel = channel
        self._at = at
        self.channel = channel.name
        self.currency = channel.currency
        self.detail = detail

    def __getitem__(self, name: str) -> str:
        return str(getattr(self, name))

    @cached_property
    def credential(self) -> Credential:
        try:
            return self._channel.credential
        except Credential.DoesNotExist:
            return Credential(channel=self._channel)

    @property
    def time(self) -> str:
        now = timezone.now()
        return _clock(self._at or now, now)

    @property
    def address(self) -> str:
        labels = [setting.label for setting in self.credential.asked if setting.name == "base_url"]
        return str(labels[0] if labels else capfirst(Credential._meta.get_field("base_url").verbose_name))

    @property
    def key(self) -> str:
        labels = [setting.label for setting in self.credential.asked if setting.name == "app_key"]
        return str(labels[0]) if labels else self.secret

    @property
    def secret(self) -> str:
        return joined(str(setting.label) for setting in self.credential.asked if setting.kind == SettingKind.SECRET)

    @property
    def missing(self) -> str:
        stored = self.credential.settings_and_address
        required = [s for s in self.credential.asked if s.is_required and s.kind != SettingKind.CHOICE]
        return joined(str(setting.label) for setting in required if not stored.get(setting.name))

    @property
    def console(self) -> str:
        return CONNECTORS[self._channel.platform].console(self.credential.stored_settings)


def sentence(
    *, cause: str, channel: Channel, at: datetime | None, retry_at: datetime | None = None, detail: str = ""
) -> str:
    """What happened and what to do, on one line."""
    return str(explain(cause=cause, channel=channel, at=at, retry_at=retry_at, detail=detail))


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _clock(at: datetime, now: datetime) -> str:
    """The time of day, as all other times of the page are told, with the date when that is not today."""
    local = timezone.localtime(at)
    return f"{local:%H:%M}" if local.date() == timezone.localtime(now).date() else moment(at)
