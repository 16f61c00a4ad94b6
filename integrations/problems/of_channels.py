"""Problems of a channel as a whole: calls that bring nothing, are too many, are not let in, or are asked wrongly."""

from django.utils.translation import gettext_lazy as _

from integrations.connectors.base import READS_ONLY
from integrations.problems.kinds import CHECK_ADDRESS, CHECK_SETTINGS, TELL_US, WE_TRY_AGAIN, Help, Kind

CURRENCY_DIFFERS = "currency-differs"

OF_CHANNELS: dict[str, Kind] = {
    # No usable answer.
    "timeout": Kind("warning", _("%(channel)s did not answer in time at %(time)s."), WE_TRY_AGAIN),
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
    "server-error": Kind("warning", _("%(channel)s reported an error of its own at %(time)s."), WE_TRY_AGAIN),
    "not-json": Kind(
        "warning",
        _("%(channel)s answered with something that is not data at %(time)s."),
        CHECK_ADDRESS,
        Help.CREDENTIAL,
    ),
    "half-answer": Kind("warning", _("%(channel)s sent half an answer at %(time)s."), WE_TRY_AGAIN),
    "too-large": Kind(
        "warning",
        _("%(channel)s sent an answer larger than we accept at %(time)s."),
        CHECK_ADDRESS,
        Help.CREDENTIAL,
    ),
    "unreadable-row": Kind("warning", _("%(channel)s sent a row without an id at %(time)s."), WE_TRY_AGAIN),
    "nothing-usable": Kind(
        "warning", _("%(channel)s answered without a price, stock or shelf state at %(time)s."), WE_TRY_AGAIN
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
    "token-renewal": Kind("info", _("Another token of %(channel)s was being asked for at %(time)s."), WE_TRY_AGAIN),
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
    "bad-setting": Kind("critical", _("A setting of %(channel)s cannot work."), CHECK_SETTINGS, Help.CREDENTIAL),
    "bad-app-key": Kind(
        "critical",
        _("%(channel)s did not know what is entered as “%(key)s” at %(time)s."),
        CHECK_SETTINGS,
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
    "nonce-used": Kind("warning", _("%(channel)s took our call for a repetition at %(time)s."), WE_TRY_AGAIN),
    "clock": Kind(
        "critical",
        _("%(channel)s did not accept our time at %(time)s."),
        _("Set the clock of this computer, let it follow a time server, then test the connection."),
        Help.TEST,
    ),
    "wrong-address": Kind(
        "critical", _("Nothing for us answers at the address of %(channel)s."), CHECK_SETTINGS, Help.CREDENTIAL
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
    "bad-request": Kind("critical", _("%(channel)s did not understand our request at %(time)s."), TELL_US),
    "key-used-otherwise": Kind(
        "critical", _("%(channel)s had seen the key of a write of ours with other figures."), TELL_US
    ),
    "too-many-rows": Kind("critical", _("%(channel)s takes fewer rows in one call than we sent."), TELL_US),
    "same-push-running": Kind("info", _("%(channel)s was still at work on the same write at %(time)s."), WE_TRY_AGAIN),
    "bulk-running": Kind(
        "info", _("%(channel)s was still putting together an earlier large reading at %(time)s."), WE_TRY_AGAIN
    ),
    "paging-too-deep": Kind(
        "critical", _("%(channel)s has more rows changed in one second than it lets us read."), TELL_US
    ),
    "unsupported": Kind("critical", _("%(channel)s cannot do what was asked of it."), TELL_US),
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
}
