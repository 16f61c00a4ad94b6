"""What a chart says in words, in the language of the page: names, the sentence for the canvas, the table behind it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext, ngettext

from catalog.facts import ShelfState
from catalog.models import Channel, Listing
from catalog.models.listing import SHELF_LABELS
from config.formatting import count, day, duration, iso_moment, money
from monitoring.charts import series
from monitoring.charts.data import RANGES, ComparedLine, ComparisonChart, ListingChart, exact_text, figure
from monitoring.charts.series import NOT_READ, Figure, Step


def to_json(context: dict[str, Any]) -> str:
    """JSON of plain values; raises TypeError for anything else."""
    return json.dumps(context, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def fact_label(fact: str) -> str:
    return {
        "list_price": gettext("List price"),
        "live_price": gettext("Live price"),
        "promotion_price": gettext("Promotional price"),
        "stock": gettext("Stock"),
    }[fact]


def listing_label(listing: Listing) -> str:
    """A listing among those of its product: whose, on which channel, which variant."""
    variant = listing.sku.name or listing.sku.code if listing.sku else ""
    name = str(listing) if not listing.is_own else variant or str(listing)
    return f"{listing.channel.name} · {name}" if len(name) <= 40 else f"{listing.channel.name} · {name[:39]}…"


def line_label(line: ComparedLine) -> str:
    fact = gettext("live price") if line.fact == "live_price" else gettext("list price")
    return gettext("%(listing)s, %(fact)s") % {"listing": listing_label(line.listing), "fact": fact}


def shelf_label(state: str) -> str:
    if state == NOT_READ:
        return gettext("Not read")
    label = str(SHELF_LABELS[ShelfState(state)])
    return label[:1].upper() + label[1:]


def ranges() -> list[tuple[str, str]]:
    """The range switch: name in the address, label."""
    labels = {"7d": gettext("7 d"), "30d": gettext("30 d"), "60d": gettext("60 d"), "1y": gettext("1 y")}
    return [(name, labels[name]) for name in RANGES]


def empty_sentence() -> str:
    return gettext("Nothing was read in this time. The chart begins with the first reading.")


def strings() -> dict[str, Any]:
    """The words that the script writes."""
    return {
        "price": gettext("Price, %(currency)s"),
        "stock": gettext("Stock shown, units"),
        "stockAndShelf": gettext("Stock shown, units, and shelf state"),
        "shelf": {state: shelf_label(state) for state in (*ShelfState, NOT_READ)},
        "notRead": gettext("not read"),
        "axisStartsAt": gettext("axis starts at %(amount)s"),
        "samePrice": gettext("a line around another: both have the same price"),
        "oneReading": gettext("one reading so far"),
        "empty": empty_sentence(),
        "failed": gettext("The chart could not be loaded. Reload the page to try again."),
    }


def currency(code: str) -> dict[str, Any]:
    """How the script writes amounts on the axis."""
    sample = money(Decimal(0), code)
    number = sample.lstrip("".join(character for character in sample if not character.isdigit() and character != "."))
    return {
        "code": code,
        "symbol": sample[: len(sample) - len(number)],
        "digits": len(number.partition(".")[2]),
    }


def zone_note(channel: Channel) -> str:
    """The zone of the chart's clock, where the times beside it are in another."""
    if channel.time_zone == timezone.get_current_timezone_name():
        return ""
    return gettext("times in %(zone)s") % {"zone": channel.time_zone}


def notes(*sentences: str) -> str:
    return " · ".join(filter(None, sentences))


def thinned_note(is_thinned: bool) -> str:
    if not is_thinned:
        return ""
    return gettext(
        "Too many changes to draw each: every stretch shows its last, lowest and highest values. The CSV has them all."
    )


def listing_summary(chart: ListingChart, channel: Channel) -> str:
    """One sentence for people who do not see the canvas; numbers without a symbol are in the channel's currency."""
    if not chart.facts:
        return empty_sentence()
    parts = []
    price = next((fact for fact in ("live_price", "list_price", "promotion_price") if fact in chart.facts), None)
    for fact in (price, "stock" if "stock" in chart.facts else None):
        if fact:
            known = series.known(chart.steps, chart.facts.index(fact))
            parts.append(_course(fact_label(fact), fact, known, channel))
    if chart.sold_out:
        parts.append(gettext("sold out for %(duration)s") % {"duration": duration(chart.sold_out)})
    return gettext(", ").join([*parts, *_unread(chart.gaps)]) + gettext(".")


def comparison_summary(chart: ComparisonChart, channel: Channel) -> str:
    lines = [
        gettext(", ").join(
            [_course(line_label(line), line.fact, series.known(chart.steps, index), channel), *_unread(line.gaps)]
        )
        for index, line in enumerate(chart.lines)
        if series.known(chart.steps, index)
    ]
    return gettext("; ").join(lines) + gettext(".") if lines else empty_sentence()


def _unread(gaps: Sequence[tuple[int, int]]) -> list[str]:
    """“not read for 4 d”; nothing without a gap."""
    unread = sum(end - start for start, end in gaps)
    return (
        [gettext("not read for %(duration)s") % {"duration": duration(timedelta(milliseconds=unread))}]
        if unread
        else []
    )


def _course(label: str, fact: str, known: Sequence[tuple[int, int]], channel: Channel) -> str:
    """“Live price ¥268.00 to ¥268.00, lowest ¥239.00 on 4 Nov”."""
    zone = ZoneInfo(channel.time_zone)
    first, last = known[0][0], known[-1][0]
    lowest, at = min(known)
    now = datetime.fromtimestamp(known[-1][1] / 1000, UTC)
    course = gettext("%(fact)s %(first)s to %(last)s") % {
        "fact": label,
        "first": _shown(fact, first, channel),
        "last": _shown(fact, last, channel),
    }
    if lowest < min(first, last):
        course += gettext(", lowest %(lowest)s on %(day)s") % {
            "lowest": _shown(fact, lowest, channel),
            "day": day(datetime.fromtimestamp(at / 1000, UTC), now, zone),
        }
    return course


def _shown(fact: str, value: int, channel: Channel) -> str:
    shown = figure(fact, value)
    return money(shown, channel.currency) if isinstance(shown, Decimal) else count(value)


def listing_table(chart: ListingChart, channel: Channel) -> dict[str, Any]:
    """The drawn change points, newest first, as text: exact amounts, times in the channel's zone."""
    head = [gettext("Time"), *(_head(fact, channel) for fact in chart.facts), gettext("Shelf")]
    rows = [
        [
            _time(step, channel),
            *(_cell(step, index, fact, channel) for index, fact in enumerate(chart.facts)),
            _shelf_cell(step),
        ]
        for step in reversed(chart.steps)
    ]
    return {"head": head, "rows": rows, "caption": _caption(len(rows), channel)}


def comparison_table(chart: ComparisonChart, channel: Channel) -> dict[str, Any]:
    head = [gettext("Time"), *(_in_currency(line_label(line), channel) for line in chart.lines)]
    rows = [
        [_time(step, channel), *(_compared_cell(step, index, line, channel) for index, line in enumerate(chart.lines))]
        for step in reversed(chart.steps)
    ]
    return {"head": head, "rows": rows, "caption": _caption(len(rows), channel)}


def _caption(rows: int, channel: Channel) -> str:
    shown = ngettext("%(count)s change", "%(count)s changes", rows) % {"count": count(rows)}
    return gettext("%(changes)s, times in %(zone)s") % {"changes": shown, "zone": channel.time_zone}


def _head(fact: str, channel: Channel) -> str:
    return fact_label(fact) if fact == "stock" else _in_currency(fact_label(fact), channel)


def _in_currency(label: str, channel: Channel) -> str:
    return gettext("%(fact)s, %(currency)s") % {"fact": label, "currency": channel.currency}


def _time(step: Step, channel: Channel) -> str:
    return iso_moment(datetime.fromtimestamp(step.at / 1000, UTC), ZoneInfo(channel.time_zone))


def _cell(step: Step, index: int, fact: str, channel: Channel) -> str:
    return gettext("not read") if step.is_gap else _value(fact, step.values[index], channel)


def _compared_cell(step: Step, index: int, line: ComparedLine, channel: Channel) -> str:
    if any(start <= step.at < end for start, end in line.gaps):
        return gettext("not read")
    return _value(line.fact, step.values[index], channel)


def _value(fact: str, value: Figure, channel: Channel) -> str:
    return exact_text(figure(fact, value), channel.currency) or "—"


def _shelf_cell(step: Step) -> str:
    return shelf_label(NOT_READ if step.is_gap else step.shelf.value)
