"""Reads the change points of listings and makes charts of them, in one or two queries however long the time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from babel.numbers import get_currency_precision
from django.db.models import DateTimeField, OuterRef, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Cast, Coalesce

from catalog.facts import ShelfState
from catalog.models import Listing
from monitoring.charts import series
from monitoring.charts.series import Band, Drawing, Figure, Step
from monitoring.freshness import watch_of
from monitoring.models import Observation
from monitoring.timing import gap_start

FACTS = ("list_price", "live_price", "promotion_price", "stock")
PRICES = FACTS[:3]
# How far back a chart reaches, by the name used in its address.
RANGES = {"7d": timedelta(days=7), "30d": timedelta(days=30), "60d": timedelta(days=60), "1y": timedelta(days=365)}
DEFAULT_RANGE = "30d"
# A listing that was first read within the range begins its chart there, but no chart is narrower than this.
_NARROWEST = timedelta(hours=1)

_SHELF = {state.value: state for state in ShelfState}

Row = tuple[int, str, bool, str | None, str | None, str | None, int | None, str]


@dataclass(frozen=True)
class ListingChart:
    """What is drawn of one listing between `start` and `end` (milliseconds)."""

    start: int
    end: int
    steps: list[Step]  # as drawn; values in the order of `facts`
    drawing: Drawing
    gaps: list[tuple[int, int]]
    shelf: list[Band]  # empty when no reading told the shelf state
    facts: list[str]  # those that were ever known; the others are not drawn
    is_thinned: bool
    is_single: bool  # there has been only one reading so far


@dataclass(frozen=True)
class ComparedLine:
    listing: Listing
    fact: str  # "live_price" or "list_price"
    gaps: list[tuple[int, int]]


@dataclass(frozen=True)
class ComparisonChart:
    """What is drawn of several listings in one currency; column i of the drawing is `lines[i]`."""

    start: int
    end: int
    steps: list[Step]
    drawing: Drawing
    lines: list[ComparedLine]
    is_thinned: bool


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def plain_amount(amount: Decimal, currency: str) -> str:
    """The exact amount without symbol or grouping, with at least the currency's usual decimals: 268.00, 0.1234."""
    plain = amount.normalize()
    exponent = plain.as_tuple().exponent
    digits = max(_precision(currency), -exponent if isinstance(exponent, int) else 0)
    return f"{plain:.{digits}f}"


@cache
def _precision(currency: str) -> int:
    return get_currency_precision(currency)


def change_points(observations: QuerySet[Observation]) -> QuerySet[Observation, Row]:
    """The rows as plain tuples. Times and amounts come as text: exact, and much cheaper to read than model fields."""
    texts = {f"{name}_text": Cast(name, TextField()) for name in ("observed_at", *PRICES)}
    return observations.annotate(**texts).values_list(
        "listing_id", "observed_at_text", "is_gap", *(f"{fact}_text" for fact in PRICES), "stock", "shelf_state"
    )


def moment_of(text: str) -> datetime:
    """A time as the database writes it, which is in UTC where no offset stands behind it."""
    return datetime.fromisoformat(text if "+" in text else f"{text}+00:00")


def steps_of(rows: Sequence[Row], facts: Sequence[str] = FACTS) -> list[Step]:
    """The rows as steps whose values are these facts; made column by column, which is several times as fast."""
    if not rows:
        return []
    _ids, times, gaps, *given, shelves = zip(*rows, strict=True)
    columns = dict(zip(FACTS, given, strict=True))
    figures = [
        columns[fact] if fact == "stock" else [text and Decimal(text) for text in columns[fact]] for fact in facts
    ]
    at = [int(moment_of(text).timestamp() * 1000) for text in times]
    values = zip(*figures, strict=True) if figures else [()] * len(at)
    return list(map(Step, at, values, gaps, map(_SHELF.__getitem__, shelves)))


def known_facts(rows: Sequence[Row]) -> list[str]:
    """Those that at least one of the rows supplies."""
    return [fact for place, fact in enumerate(FACTS, 3) if any(row[place] is not None for row in rows)]


def in_range(listing: Listing, start: datetime, now: datetime) -> QuerySet[Observation]:
    """The rows from `start` to `now` by time, beginning with the one in force at `start` where there is one."""
    in_force = listing.observations.filter(observed_at__lte=start).order_by("-observed_at").values("observed_at")[:1]
    first = Coalesce(Subquery(in_force), Value(start, output_field=DateTimeField()))
    return listing.observations.filter(observed_at__gte=first, observed_at__lte=now).order_by("observed_at")


def listing_chart(*, listing: Listing, start: datetime, now: datetime) -> ListingChart:
    """The listing's facts from `start` to `now`, in one query."""
    rows = list(change_points(in_range(listing, start, now)))
    facts = known_facts(rows)
    steps, watch = steps_of(rows, facts), watch_of(listing)
    has_one_reading = len(steps) == 1 and not (watch and watch.read_at and milliseconds(watch.read_at) > steps[0].at)
    return chart_of(
        steps, facts, start=start, now=now, unknown_since=_unknown_since(listing, steps, now), is_single=has_one_reading
    )


def chart_of(
    steps: Sequence[Step],
    facts: Sequence[str],
    *,
    start: datetime,
    now: datetime,
    unknown_since: datetime | None,
    is_single: bool = False,
) -> ListingChart:
    """A chart of steps with these facts; the first step may be the one in force at `start`.

    The time after `unknown_since` is a gap. Facts that are not known anywhere in the range are left out.
    """
    end = milliseconds(now)
    exact = _closed(steps, start, now, unknown_since)
    known = [i for i in range(len(facts)) if any(step.values[i] is not None for step in exact)]
    if len(known) < len(facts):
        exact = series.narrow(exact, known)
    shown = series.thin(exact, end) if exact else []
    stretches = series.stretches(exact, end)
    return ListingChart(
        start=_begin(exact, start, now),
        end=end,
        steps=shown,
        drawing=series.draw(shown, end),
        gaps=series.gaps(stretches),
        shelf=series.fewer(stretches) if any(step.shelf is not ShelfState.UNKNOWN for step in exact) else [],
        facts=[facts[i] for i in known],
        is_thinned=len(shown) < len(exact),
        is_single=is_single,
    )


def _unknown_since(listing: Listing, steps: Sequence[Step], now: datetime) -> datetime | None:
    """Since when the listing is not known; None when its last reading speaks for now."""
    watch = watch_of(listing)
    if watch is None or watch.read_at is None:
        return datetime.fromtimestamp(steps[-1].at / 1000, UTC) if steps else None
    return gap_start(read_at=watch.read_at, interval=watch.interval, gap_after=watch.gap_after, now=now)


def _closed(steps: Sequence[Step], start: datetime, now: datetime, unknown_since: datetime | None) -> list[Step]:
    closed = series.close(steps, milliseconds(unknown_since or now), milliseconds(now))
    return series.clip(closed, milliseconds(start))


def _begin(steps: Sequence[Step], start: datetime, now: datetime) -> int:
    if not steps:
        return milliseconds(start)
    return max(milliseconds(start), min(steps[0].at, milliseconds(now - _NARROWEST)))


def comparison_chart(*, listings: Sequence[Listing], start: datetime, now: datetime) -> ComparisonChart:
    """The prices of listings of one currency from `start` to `now`, in two queries.

    Each listing shows one fact throughout, so that a line never mixes two: its live price where a reading gave one,
    otherwise its list price.
    """
    ids = [listing.pk for listing in listings]
    in_force = Observation.objects.filter(listing=OuterRef("listing"), observed_at__lte=start).order_by("-observed_at")
    first = Observation.objects.filter(listing__in=ids, observed_at=Subquery(in_force.values("observed_at")[:1]))
    later = Observation.objects.filter(listing__in=ids, observed_at__gt=start, observed_at__lte=now)
    by_listing: dict[int, list[Row]] = {pk: [] for pk in ids}
    for row in [*change_points(first), *change_points(later.order_by("observed_at"))]:
        by_listing[row[0]].append(row)
    end, columns, lines, is_thinned = milliseconds(now), [], [], False
    for listing in listings:
        steps = steps_of(by_listing[listing.pk])
        exact = _closed(steps, start, now, _unknown_since(listing, steps, now))
        column = FACTS.index("live_price") if series.known(exact, FACTS.index("live_price")) else 0
        price = series.collapse([Step(step.at, (step.values[column],), step.is_gap) for step in exact])
        # Every change point of one line is a point of all of them, so the lines share what may be drawn.
        shown = series.thin(price, end, series.MAX_POINTS // (2 * len(listings))) if price else []
        is_thinned |= len(shown) < len(price)
        columns.append(shown)
        lines.append(ComparedLine(listing, FACTS[column], series.gaps(series.stretches(price, end))))
    merged = series.merge(columns)
    return ComparisonChart(_begin(merged, start, now), end, merged, series.draw(merged, end), lines, is_thinned)


def floats(values: Iterable[Figure]) -> list[float | None]:
    """Where to draw the points; only positions on a canvas, never amounts to count with."""
    return [None if value is None else float(value) for value in values]


def exact_text(value: Figure, currency: str) -> str:
    """A value for tables and files; "" is not known."""
    if value is None:
        return ""
    return plain_amount(value, currency) if isinstance(value, Decimal) else str(value)


def plotted(chart: ListingChart) -> dict[str, list[Any]]:
    """The points of each drawn fact."""
    return {fact: floats(column) for fact, column in zip(chart.facts, chart.drawing.columns, strict=False)}
