"""What a buyer of one unit will pay from moment to moment, as far as promotions, fees and costs are known already."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext, ngettext

from catalog.costs import ListingCosts, changes_ahead, costs_of
from catalog.models import Listing
from catalog.promotions.prices import price_of
from catalog.promotions.requests import amount_of, edges, shops_of
from catalog.promotions.words import Words
from config.formatting import count, day, duration, iso_moment, joined, moment, money
from monitoring.charts import describe, series
from monitoring.charts.data import milliseconds, plain_amount
from monitoring.charts.series import NOT_READ, Drawing, Step
from monitoring.price_page import limit_of

RANGES = {"14d": timedelta(days=14), "30d": timedelta(days=30), "90d": timedelta(days=90)}
DEFAULT_RANGE = "30d"
MOST_MOMENTS = 300  # worked out for one calendar; where there are more, it ends there


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` up to, but not at, `end` nothing changes. Amounts in minor units, None is not known."""

    start: datetime
    end: datetime
    pays: int | None
    limit: int | None  # what a buyer has to pay so that nothing is missing
    is_loss: bool | None
    promotions: tuple[str, ...]
    reason: str  # why there is no price; "" where there is one


@dataclass(frozen=True)
class Calendar:
    """`end` is before the end of what was asked for where too much changes."""

    listing: Listing
    start: datetime
    end: datetime
    stretches: Sequence[Stretch]
    with_costs: bool
    is_cut: bool

    @cached_property
    def facts(self) -> list[str]:
        """What is drawn: the price, and break-even where it is known at any time."""
        has_limit = self.with_costs and any(each.limit is not None for each in self.stretches)
        return ["after_coupon", "break_even"] if has_limit else ["after_coupon"]

    @cached_property
    def drawing(self) -> Drawing:
        has_limit = "break_even" in self.facts
        steps = [
            Step(milliseconds(each.start), (each.pays, each.limit) if has_limit else (each.pays,))
            for each in self.stretches
        ]
        return series.draw(steps, milliseconds(self.end))

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Where nobody can tell the price."""
        return [(milliseconds(each.start), milliseconds(each.end)) for each in self.stretches if each.pays is None]


def calendar(listing: Listing, *, now: datetime, until: datetime, with_costs: bool) -> Calendar:
    """From now on; costs in another currency count at the rate of now."""
    shop = shops_of([listing.channel], at=now)[listing.channel_id]
    cost_changes = changes_ahead([listing], after=now, until=until).get(listing.pk, [])
    windows = edges(shop.for_listing(listing), now, until)
    moments = sorted({now, *windows, *cost_changes})
    is_cut = len(moments) > MOST_MOMENTS
    if is_cut:
        until = moments[MOST_MOMENTS]
        moments = moments[:MOST_MOMENTS]
    costs: dict[datetime, ListingCosts] = {
        at: costs_of([listing], at=at, known_at=now)[listing.pk] for at in (now, *cost_changes) if at < until
    }
    found: list[Stretch] = []
    for start, end in zip(moments, [*moments[1:], until], strict=True):
        price = price_of(listing, shop, costs[max(at for at in costs if at <= start)], at=start)
        words = Words(price.request, shop.names)
        stretch = Stretch(
            start,
            end,
            price.goods,
            limit_of(price) if with_costs else None,
            price.is_below_break_even if with_costs else None,
            tuple(shop.names[step.id] for step in price.quote.steps),
            "" if price.goods is not None else words.no_price(price.quote),
        )
        # An edge of a promotion that is not used changes nothing.
        if found and _same(found[-1], stretch):
            stretch = Stretch(found.pop().start, *_after_start(stretch))
        found.append(stretch)
    return Calendar(listing, now, until, found, with_costs, is_cut)


def _after_start(stretch: Stretch) -> tuple[Any, ...]:
    return (stretch.end, stretch.pays, stretch.limit, stretch.is_loss, stretch.promotions, stretch.reason)


def _same(one: Stretch, other: Stretch) -> bool:
    return _after_start(one)[1:] == _after_start(other)[1:]


# --- Words ----------------------------------------------------------------------------------------------------------


def ranges() -> list[tuple[str, str]]:
    """The range switch: name in the address, label."""
    labels = {"14d": gettext("14 d"), "30d": gettext("30 d"), "90d": gettext("90 d")}
    return [(name, labels[name]) for name in RANGES]


def strings() -> dict[str, Any]:
    """The words that the script writes."""
    usual = describe.strings()
    return {
        **usual,
        "notRead": gettext("cannot tell"),
        "shelf": {**usual["shelf"], NOT_READ: gettext("Cannot tell")},
        "empty": gettext("There is no price to tell."),
    }


def fact_label(fact: str) -> str:
    return {"after_coupon": gettext("After coupon"), "break_even": gettext("Break-even")}[fact]


def summary(found: Calendar) -> str:
    """One sentence for people who do not see the canvas."""
    channel = found.listing.channel
    zone = ZoneInfo(channel.time_zone)
    known = [each for each in found.stretches if each.pays is not None]
    told = []
    if known:
        lowest = min(known, key=lambda each: each.pays or 0)
        told.append(
            gettext("After coupon %(first)s to %(last)s, lowest %(lowest)s on %(day)s")
            % {
                "first": _money(known[0].pays, found),
                "last": _money(known[-1].pays, found),
                "lowest": _money(lowest.pays, found),
                "day": day(lowest.start, found.start, zone),
            }
        )
    loss = next((each for each in known if each.is_loss), None)
    if loss is not None:
        told.append(gettext("below break-even from %(time)s on") % {"time": moment(loss.start, zone)})
    untold = sum((each.end - each.start for each in found.stretches if each.pays is None), timedelta())
    if untold:
        told.append(gettext("cannot tell for %(duration)s") % {"duration": duration(untold)})
    return joined(told) + gettext(".")


def note(found: Calendar) -> str:
    """What the picture does not say by itself."""
    zone = ZoneInfo(found.listing.channel.time_zone)
    loss = next((each for each in found.stretches if each.is_loss), None)
    return describe.notes(
        gettext("below break-even from %(time)s on") % {"time": moment(loss.start, zone)} if loss else "",
        next((each.reason for each in found.stretches if each.reason), ""),
        gettext("too many changes to work out: ends %(time)s") % {"time": moment(found.end, zone)}
        if found.is_cut
        else "",
        describe.zone_note(found.listing.channel),
    )


def table(found: Calendar) -> dict[str, Any]:
    """Each change in order, as text: exact amounts, times in the channel's zone."""
    channel = found.listing.channel
    zone = ZoneInfo(channel.time_zone)
    amounts = [
        gettext("%(fact)s, %(currency)s") % {"fact": fact_label(fact), "currency": channel.currency}
        for fact in found.facts
    ]
    rows = [
        [
            iso_moment(each.start, zone),
            _plain(each.pays, found) or gettext("cannot tell"),
            *([_plain(each.limit, found) or gettext("cannot tell")] if "break_even" in found.facts else []),
            each.reason or joined(each.promotions) or gettext("no promotion"),
        ]
        for each in found.stretches
    ]
    changes = ngettext("%(count)s change", "%(count)s changes", len(rows)) % {"count": count(len(rows))}
    caption = gettext("%(changes)s, times in %(zone)s") % {"changes": changes, "zone": channel.time_zone}
    return {"head": [gettext("From"), *amounts, gettext("Promotions")], "rows": rows, "caption": caption}


def csv_rows(found: Calendar) -> Iterator[Sequence[str]]:
    zone = ZoneInfo(found.listing.channel.time_zone)
    limit = ["break_even"] if found.with_costs else []
    yield ["from", "until", "currency", "after_coupon", *limit, "promotions", "reason"]
    for each in found.stretches:
        yield [
            each.start.astimezone(zone).isoformat(timespec="seconds"),
            each.end.astimezone(zone).isoformat(timespec="seconds"),
            found.listing.channel.currency,
            _plain(each.pays, found),
            *([_plain(each.limit, found)] if found.with_costs else []),
            " + ".join(each.promotions),
            each.reason,
        ]


def _money(units: int | None, found: Calendar) -> str:
    currency = found.listing.channel.currency
    return money(None if units is None else amount_of(units, currency), currency)


def _plain(units: int | None, found: Calendar) -> str:
    currency = found.listing.channel.currency
    return "" if units is None else plain_amount(amount_of(units, currency), currency)
