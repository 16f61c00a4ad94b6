"""What the page of a listing says of its facts and of how it is watched."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Case, Q, QuerySet, SmallIntegerField, Value, When
from django.utils import timezone
from django.utils.translation import gettext

from catalog.facts import ShelfState
from catalog.models import Listing, User
from catalog.promotions.requests import amount_of
from config.formatting import ago, count, day, moment, money, units
from monitoring import history
from monitoring.causes import cause_label, missing_label
from monitoring.charts.data import FACTS
from monitoring.charts.describe import fact_label, shelf_label
from monitoring.freshness import is_fresh, unread_since, watch_of
from monitoring.models import AlertKind, ListingPrice, ListingWatch, Threshold


@dataclass(frozen=True)
class ShownFact:
    """A fact as the page shows it: its present value with its times, or why that is not known."""

    label: str
    value: str | None  # None: not known
    line: str
    state: str = ""  # a ShelfState, for the shelf


def shown_facts(listing: Listing, now: datetime) -> list[ShownFact]:
    """The facts that readings have supplied or may supply; one query."""
    known_since = history.since(listing=listing, now=now)
    watch = watch_of(listing)
    fresh = is_fresh(listing, now)
    facts = ["list_price", "live_price", "stock"]
    # Most platforms never give this price; where one did, it stays.
    if listing.promotion_price is not None or history.was_supplied(listing=listing, fact="promotion_price"):
        facts.insert(2, "promotion_price")
    shown = []
    for fact in facts:
        value = getattr(listing, fact)
        text = None if value is None else _figure(listing, fact)
        if text is not None and fresh:
            line = _times(watch, known_since.get(fact), now)
            if fact == "stock" and listing.pack_factor != 1:
                line = f"{units(value * listing.pack_factor)} · {line}"
            shown.append(ShownFact(fact_label(fact), text, line))
        else:
            shown.append(ShownFact(fact_label(fact), None, _reason(watch, text, fresh, now)))
    return [*shown, _shelf(listing, watch, known_since.get("shelf_state"), fresh, now)]


def after_coupon(listing: Listing, now: datetime) -> ShownFact | None:
    """What a buyer of one pays, and whether that covers what it costs; None before it was worked out once. One query.

    What was worked out from a reading that is too old to speak for now is not known either. `state` is set for a loss.
    """
    price = ListingPrice.objects.filter(listing=listing).select_related("quote").first()
    if price is None or price.quote is None or price.quoted_at is None:
        return None
    quote, label, currency = price.quote, gettext("After coupon"), listing.channel.currency
    if quote.buy_one is None:
        return ShownFact(label, None, gettext("cannot tell"))
    shown = money(amount_of(quote.buy_one, currency), currency)
    if not is_fresh(listing, now):
        return ShownFact(
            label,
            None,
            gettext("last %(value)s, as of %(time)s") % {"value": shown, "time": clock(price.quoted_at, now)},
        )
    if quote.margin is None:
        return ShownFact(label, shown, gettext("break-even not known"))
    if quote.margin < 0:
        return ShownFact(label, shown, gettext("below break-even"), "loss")
    return ShownFact(label, shown, gettext("covers its costs"))


def present_fact(listing: Listing, fact: str, now: datetime) -> ShownFact:
    """A price, "stock" or "shelf_state" as it is now, with the age of its reading; one query, for the watch."""
    watch, fresh = watch_of(listing), is_fresh(listing, now)
    if fact == "shelf_state":
        shown = _shelf(listing, watch, None, fresh, now)
    else:
        value = getattr(listing, fact)
        text = None if value is None else units(value) if fact == "stock" else _figure(listing, fact)
        shown = ShownFact(fact_label(fact), text if fresh else None, _reason(watch, text, fresh, now))
    if shown.value is None or watch is None:
        return shown
    return replace(shown, line=gettext("read %(time)s") % {"time": ago(watch.read_at, now)})


def _figure(listing: Listing, fact: str) -> str:
    value = getattr(listing, fact)
    return count(value) if fact == "stock" else money(value, listing.channel.currency)


def _shelf(
    listing: Listing, watch: ListingWatch | None, since: history.Since | None, fresh: bool, now: datetime
) -> ShownFact:
    label, state = gettext("Shelf state"), ShelfState(listing.shelf_state)
    last = None if state is ShelfState.UNKNOWN else shelf_label(state)
    if fresh and last is not None:
        return ShownFact(label, last, _times(watch, since, now), state)
    return ShownFact(label, None, _reason(watch, last, fresh, now))


def _times(watch: ListingWatch | None, since: history.Since | None, now: datetime) -> str:
    """“as of 11:58 · since 1 Nov”."""
    parts = []
    if watch and watch.read_at:
        parts.append(gettext("as of %(time)s") % {"time": clock(watch.read_at, now)})
    if since:
        form = gettext("since %(day)s") if since.is_exact else gettext("since before %(day)s")
        parts.append(form % {"day": since_text(since.at, now)})
    return " · ".join(parts)


def clock(at: datetime, now: datetime) -> str:
    """The time alone on the same day, else with its date."""
    return f"{timezone.localtime(at):%H:%M}" if _is_same_day(at, now) else moment(at)


def since_text(at: datetime, now: datetime) -> str:
    return f"{timezone.localtime(at):%H:%M}" if _is_same_day(at, now) else day(at, now)


def _is_same_day(at: datetime, now: datetime) -> bool:
    return timezone.localtime(at).date() == timezone.localtime(now).date()


def _reason(watch: ListingWatch | None, last: str | None, fresh: bool, now: datetime) -> str:
    """Why a fact is not known."""
    if fresh:
        return gettext("this read does not supply it")
    cause = missing_label(watch) if watch and watch.is_missing else cause_label(watch.cause) if watch else ""
    if watch is None or watch.read_at is None:
        return cause or gettext("not read yet")
    time = clock(watch.read_at, now)
    if watch.is_missing:
        if last is None:
            return cause
        return f"{gettext('last %(value)s, as of %(time)s') % {'value': last, 'time': time}} · {cause}"
    text = gettext("not read since %(time)s") % {"time": time}
    if last is not None:
        text = gettext("%(reason)s, last %(value)s") % {"reason": text, "value": last}
    return f"{text} · {cause}" if cause else text


def with_present_gap(listing: Listing, entries: Sequence[history.Entry], now: datetime) -> list[history.Entry]:
    """The newest entries of the history, headed by the gap that goes on now, which is not stored before it ends."""
    watch = watch_of(listing)
    if watch is None or not entries or entries[0].after is None:
        return list(entries)
    at = unread_since(watch, now)
    if at is None or at <= entries[0].at:
        return list(entries)
    return [history.Entry(at, None, None), *entries]


def history_facts(listing: Listing, entries: Sequence[history.Entry]) -> list[str]:
    """The facts that the table of these entries has a column for: those that some reading has supplied."""
    return [
        fact
        for fact in FACTS
        if any(entry.after and getattr(entry.after, fact) is not None for entry in entries)
        or history.was_supplied(listing=listing, fact=fact)
    ]


def watching(listing: Listing, now: datetime) -> dict[str, Any] | None:
    """How the listing is watched; None while nothing watches it yet."""
    watch = watch_of(listing)
    if watch is None:
        return None
    outcome, cause = watch.get_outcome_display(), cause_label(watch.cause)
    if watch.is_missing:
        outcome, cause = missing_label(watch), ""  # the cause says the same and more
    is_meant_to_be_read = listing.removed_at is None and not watch.is_paused and listing.channel.is_watched
    return {
        "watch": watch,
        "now": now,
        "interval": watch.interval,
        "has_own_interval": watch.interval_seconds is not None,
        "is_blind": is_meant_to_be_read and not watch.is_missing and not is_fresh(listing, now),
        "outcome": outcome,
        "cause": cause if cause != outcome else "",
        "is_stopped": not listing.channel.is_watched,
        "is_removed": listing.removed_at is not None,
        "is_overdue": watch.next_due_at <= now,
    }


def thresholds_of(listing: Listing, user: User) -> QuerySet[Threshold]:
    """Those that speak of the listing, itself first, then its product, brand and channel."""
    about = Q(listing=listing)
    wider = Q(channel=listing.channel)
    if listing.sku:
        wider |= Q(product=listing.sku.product)
        if listing.sku.product.brand:
            wider |= Q(brand=listing.sku.product.brand)
    about |= wider & (Q(ownership="") | Q(ownership=listing.ownership))
    nearest = Case(
        When(listing__isnull=False, then=Value(0)),
        When(product__isnull=False, then=Value(1)),
        When(channel__isnull=True, then=Value(2)),
        default=Value(3),
        output_field=SmallIntegerField(),
    )
    found = Threshold.objects.visible_to(user).filter(about, is_active=True)
    return found.select_related("listing", "product", "channel").order_by(nearest, "-pk")


def chart_limits(listing: Listing, user: User) -> list[dict[str, Any]]:
    """The fixed limits of the listing's thresholds, as the chart draws them: a line in a pane, and the text on it."""
    currency = listing.channel.currency
    limits: list[dict[str, Any]] = []
    for threshold in thresholds_of(listing, user).filter(kind__in=[AlertKind.PRICE_RANGE, AlertKind.STOCK_AT_MOST]):
        if threshold.kind == AlertKind.STOCK_AT_MOST and threshold.stock is not None:
            text = gettext("stock alert ≤ %(stock)s") % {"stock": count(threshold.stock)}
            limits.append({"pane": "stock", "value": threshold.stock, "text": text, "severity": threshold.severity})
        elif threshold.kind == AlertKind.PRICE_RANGE and threshold.currency == currency:
            for amount, text in (
                (threshold.min_price, gettext("lowest %(price)s")),
                (threshold.max_price, gettext("highest %(price)s")),
            ):
                if amount is not None:
                    shown = text % {"price": money(amount, currency)}
                    # A position on a screen, so a float is exact enough.
                    limits.append(
                        {"pane": "price", "value": float(amount), "text": shown, "severity": threshold.severity}
                    )
    return limits
