"""Why something is not known, in a few words for lists; causes are slugs, the same for every platform."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from config.formatting import count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.utils.functional import _StrPromise

    from monitoring.models import ListingWatch

CAUSE_LABELS: dict[str, _StrPromise] = {
    # No usable answer.
    "timeout": _("no answer in time"),
    "connection": _("no connection"),
    "tls": _("no secure connection"),
    "server-error": _("error at the platform"),
    "not-json": _("unreadable answer"),
    "half-answer": _("incomplete answer"),
    "too-large": _("answer too large"),
    "unreadable-row": _("unreadable answer"),
    "nothing-usable": _("nothing usable in the answer"),
    # Too much asked.
    "quota": _("too many calls"),
    "own-quota": _("kept to the calls per second"),
    "daily-quota": _("today's quota is used up"),
    # Not let in.
    "session-invalid": _("access refused"),
    "authorisation-refused": _("authorisation refused"),
    "not-set-up": _("channel not set up"),
    "key-missing": _("key missing"),
    "not-authorised": _("channel not authorised"),
    "expired": _("authorisation ended"),
    "token-renewal": _("token being renewed"),
    "forbidden": _("access refused"),
    "permission": _("permission missing"),
    "ip-whitelist": _("address not allowed"),
    "scope-missing": _("permission missing"),
    "role-too-weak": _("user may not do this"),
    "key-reads-only": _("may only read"),
    "keys-not-taken": _("keys not accepted"),
    "shop-frozen": _("shop frozen"),
    "shop-locked": _("shop locked"),
    "shop-taken": _("shop of another channel"),
    "other-organisation": _("of another organisation"),
    "security-rejection": _("taken for an attack"),
    # Asked wrongly.
    "bad-setting": _("wrong setting"),
    "bad-app-key": _("app key refused"),
    "bad-signature": _("signature refused"),
    "bad-secret": _("secret refused"),
    "nonce-used": _("taken for a repetition"),
    "wrong-shop": _("no such shop"),
    "no-api": _("interface not found"),
    "api-version": _("other version"),
    "currency-differs": _("currency differs"),
    "key-used-otherwise": _("key used twice"),
    "too-many-rows": _("too many rows"),
    "same-push-running": _("write still running"),
    "bulk-running": _("large reading running"),
    "bad-request": _("request refused"),
    "clock": _("clock differs"),
    "wrong-address": _("wrong address"),
    "redirect": _("sent to another address"),
    "paging-too-deep": _("too many rows"),
    "unsupported": _("not supported"),
    "platform-fault": _("fault at the platform"),
    "unrecognised": _("refused for an unknown reason"),
    "internal": _("a fault of ours"),
    "being-read": _("being read just now"),
    # One listing.
    "unknown-listing": _("not known to the platform"),
    "unknown-variant": _("variant not known to the platform"),
    "variant-deleted": _("variant deleted"),
    "foreign-listing": _("belongs to another shop"),
    "refused-by-rule": _("refused by a rule of the platform"),
    "bad-listing-id": _("id cannot be right"),
    "no-variants-of-others": _("variants of other shops cannot be read"),
    "has-variants": _("has variants"),
    # One write.
    "moved": _("moved since it was read"),
    "not-answered": _("write not answered"),
    "not-confirmed": _("shows another figure"),
    "stock-not-counted": _("stock not counted"),
    "stock-of-product": _("one stock, all variants"),
    "unknown-location": _("unknown location"),
    "not-stocked-there": _("not stocked there"),
    "stock-not-ours": _("stock kept elsewhere"),
    "twice-in-one-push": _("sent twice"),
    "not-shown": _("figure does not show"),
    "not-read": _("not read back"),
    "interrupted": _("broken off"),
    "lease-over": _("not in time"),
    "guard": _("asks before 0"),
    # Left alone.
    "paused": _("paused"),
    "not-mapped": _("not mapped"),
    "sku-inactive": _("SKU not active"),
    "not-counted": _("never counted"),
    "location-left": _("no warehouse feeds it"),
    # One fact.
    "price-unreadable": _("unreadable price"),
    "price-not-positive": _("price not above 0"),
    "currency-unknown": _("currency not known"),
    "stock-unreadable": _("unreadable stock"),
    "stock-negative": _("stock below 0"),
}
# The long ones in the words of a narrow column.
SHORT_LABELS: dict[str, _StrPromise] = {
    "nothing-usable": _("nothing usable"),
    "own-quota": _("too many calls"),
    "daily-quota": _("quota used up"),
    "authorisation-refused": _("access refused"),
    "not-set-up": _("not set up"),
    "not-authorised": _("not authorised"),
    "expired": _("not authorised"),
    "redirect": _("wrong address"),
    "unrecognised": _("refused"),
    "unknown-listing": _("id not known"),
    "unknown-variant": _("variant not known"),
    "foreign-listing": _("of another shop"),
    "refused-by-rule": _("refused"),
    "no-variants-of-others": _("cannot be read"),
}
_OTHER = _("not read")
NOT_FOUND = _("not found at the shop")


def cause_label(cause: str) -> str:
    """A few words for a cause, in the present language; "" for no cause."""
    return str(CAUSE_LABELS.get(cause, _OTHER)) if cause else ""


def missing_label(watch: ListingWatch) -> str:
    """Why the platform does not show a listing that we watch: the cause, or that it does not know it."""
    return cause_label(watch.cause) or watch.get_outcome_display()


def not_known_reason(watch: ListingWatch | None) -> str:
    """Why the facts of a listing are not known, in two or three words for a row of a list."""
    if watch is not None and watch.is_missing:
        return str(NOT_FOUND)
    return gettext("not read") if watch is not None and watch.read_at else gettext("not read yet")


def short_cause_label(cause: str) -> str:
    """The same in two or three words, for a column of figures."""
    return str(SHORT_LABELS[cause]) if cause in SHORT_LABELS else cause_label(cause)


def cause_lines(causes: Mapping[str, int]) -> list[str]:
    """Why the listings of a pass were not read: words and how many listings, most first; no number beside one alone."""
    listings: Counter[str] = Counter()
    for cause, number in causes.items():
        listings[cause_label(cause)] += number
    if len(listings) == 1:
        return list(listings)
    ordered = sorted(listings.items(), key=lambda entry: (-entry[1], entry[0]))
    return [f"{label} · {count(number)}" for label, number in ordered]
