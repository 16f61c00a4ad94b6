"""Reads the change points of listings and makes charts of them, in one or two queries however long the time.

Amounts are whole ten-thousandths here, which is as exact as they are stored and the cheapest to read and compare; only
what is shown becomes a Decimal.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from heapq import merge
from itertools import repeat
from typing import Any
from zoneinfo import ZoneInfo

from babel.numbers import get_currency_precision
from django.conf import settings
from django.db import connection
from django.db.models import Min, OuterRef, QuerySet, Subquery

from catalog.database import Microseconds, TenThousandths, driver_rows
from catalog.facts import ShelfState
from catalog.models import Listing
from monitoring.charts import series
from monitoring.charts.series import Band, Drawing, Figure, Step
from monitoring.freshness import unread_since, watch_of
from monitoring.models import DailyRollup, Observation
from monitoring.rollup import StoredDay, points_of
from monitoring.timing import CLOCK_SKEW

FACTS = ("list_price", "live_price", "promotion_price", "stock")
PRICES = FACTS[:3]
# How far back a chart reaches, by the name used in its address.
RANGES = {"7d": timedelta(days=7), "30d": timedelta(days=30), "60d": timedelta(days=60), "1y": timedelta(days=365)}
DEFAULT_RANGE = "30d"
# A listing that was first read within the range begins its chart there, but no chart is narrower than this.
_NARROWEST = timedelta(hours=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHELF = {state.value: state for state in ShelfState}

# A listing, a time in microseconds since 1970, whether a gap begins, the facts in their order, the shelf state.
Row = tuple[int, int, bool, int | None, int | None, int | None, int | None, str]
_KEPT = """
SELECT listing_id, {observed_at}, is_gap, {prices}, stock, shelf_state FROM {table}
WHERE listing_id = %s AND observed_at <= %s AND observed_at >= COALESCE(
  (SELECT MAX(observed_at) FROM {table} WHERE listing_id = %s AND observed_at <= %s), %s
) ORDER BY observed_at"""
# Days that a chart goes back beyond the observations that are kept: as many as its longest range has, and a few.
_MOST_DAYS = 400
_ROWS_AT_ONCE = 2_000


@dataclass(frozen=True)
class ListingChart:
    """What is drawn of one listing between `start` and `end` (milliseconds)."""

    start: int
    end: int
    steps: list[Step]  # as drawn; values in the order of `facts`
    drawing: Drawing
    gaps: list[tuple[int, int]]
    shelf: list[Band]  # as drawn; empty when no reading told the shelf state
    sold_out: timedelta  # exact, however few bands are drawn
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


# A Row of an observation: plain numbers are exact, and much cheaper to read than model fields.
_ROW: tuple[Any, ...] = (
    "listing_id",
    Microseconds("observed_at"),
    "is_gap",
    *map(TenThousandths, PRICES),
    "stock",
    "shelf_state",
)


def change_points(observations: QuerySet[Observation]) -> QuerySet[Observation, Row]:
    return observations.values_list(*_ROW)


def moment_of(microseconds: int) -> datetime:
    """The time (aware UTC) of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def figure(fact: str, value: Figure) -> Decimal | int | None:
    """A value of a step as it is shown: an exact amount, or units."""
    return value if value is None or fact == "stock" else Decimal(value).scaleb(-4)


def steps_of(rows: Sequence[Row], facts: Sequence[str] = FACTS) -> list[Step]:
    """The rows as steps whose values are these facts; made column by column, which is several times as fast."""
    if not rows:
        return []
    _ids, times, gaps, *given, shelves = zip(*rows, strict=True)
    columns = dict(zip(FACTS, given, strict=True))
    at = [microseconds // 1000 for microseconds in times]
    values = zip(*(columns[fact] for fact in facts), strict=True) if facts else [()] * len(at)
    fields = zip(at, values, map(bool, gaps), map(_SHELF.__getitem__, shelves), strict=True)
    return list(map(tuple.__new__, repeat(Step), fields))  # what Step() does, without a call of Python's for each


def known_facts(rows: Sequence[Row]) -> list[str]:
    """Those that at least one of the rows supplies."""
    return [fact for place, fact in enumerate(FACTS, 3) if any(row[place] is not None for row in rows)]


def kept_rows(listing: Listing, start: datetime, now: datetime) -> list[Row]:
    """The rows from `start` to `now` by time, beginning with the one in force at `start` where there is one."""
    # Said in SQL, since putting it together from querysets each time took as long as the statement itself.
    since, until = (connection.ops.adapt_datetimefield_value(moment) for moment in (start, now))
    statement = _KEPT.format(
        observed_at=Microseconds.of_column("observed_at"),
        prices=", ".join(map(TenThousandths.of_column, PRICES)),
        table=Observation._meta.db_table,
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [listing.pk, until, listing.pk, since, since])
        return list(cursor.fetchall())


def earlier_days(listing: Listing, start: datetime, kept_from: datetime | None, now: datetime) -> list[Row]:
    """What the stored days still tell of the time from `start` to the first kept observation (None: there is none)."""
    is_complete = kept_from is not None and kept_from <= start
    if is_complete or start >= now - timedelta(days=settings.OBSERVATION_RETENTION_DAYS):
        return []
    newest = stored_days(listing, kept_from or now).order_by("-day")[:_MOST_DAYS]
    return list(rows_of_days(listing, reversed(newest)))


def stored_days(listing: Listing, until: datetime) -> QuerySet[DailyRollup]:
    """The listing's days that ended by `until`; the later ones are told by the observations that are kept."""
    return listing.rollups.filter(day__lt=until.astimezone(ZoneInfo(listing.channel.time_zone)).date()).order_by("day")


def rows_of_days(listing: Listing, days: Iterable[DailyRollup]) -> Iterator[Row]:
    """What these days (in their order) say, as change points."""
    told = (
        StoredDay(
            row.day, row.gap_seconds, row.list_price, row.live_price, row.promotion_price, row.stock, row.shelf_state
        )
        for row in days
    )
    for point in points_of(told, ZoneInfo(listing.channel.time_zone)):
        prices = [None if price is None else int(price.scaleb(4)) for price in point[2:5]]
        at = (point.at - _EPOCH) // timedelta(microseconds=1)
        yield listing.pk, at, point.is_gap, prices[0], prices[1], prices[2], point.stock, point.shelf_state


def _first_of(rows: Sequence[Row]) -> datetime | None:
    return moment_of(rows[0][1]) if rows else None


def range_rows(listing: Listing, start: datetime, now: datetime) -> list[Row]:
    """All change points from `start` to `now`, beginning with the one in force at `start` where there is one."""
    kept = kept_rows(listing, start, now)
    return [*earlier_days(listing, start, _first_of(kept), now), *kept]


def all_rows(listing: Listing) -> Iterator[Row]:
    """The whole history: the days of which the observations are gone, then the observations."""
    observations = listing.observations.order_by("observed_at")
    kept_from = observations.values_list("observed_at", flat=True).first()
    if kept_from:
        yield from rows_of_days(listing, stored_days(listing, kept_from).iterator(chunk_size=_ROWS_AT_ONCE))
    yield from change_points(observations).iterator(chunk_size=_ROWS_AT_ONCE)


def compared_rows(listings: Sequence[Listing], start: datetime, now: datetime) -> Iterator[Row]:
    """All change points of the listings by time, beginning with those in force at `start`."""
    first, later = _compared(listings, start, now)
    before: list[Row] = driver_rows(first, _ROW)
    if missing := {listing.pk for listing in listings} - {row[0] for row in before}:
        kept_from = dict(later.filter(listing__in=missing).values_list("listing").annotate(Min("observed_at")))
        for listing in listings:
            if listing.pk in missing:
                before += earlier_days(listing, start, kept_from.get(listing.pk), now)
    by_time = change_points(later.order_by("observed_at", "listing")).iterator(chunk_size=_ROWS_AT_ONCE)
    return merge(sorted(before, key=_by_time), by_time, key=_by_time)


def _by_time(row: Row) -> tuple[int, int]:
    return row[1], row[0]


def _compared(
    listings: Sequence[Listing], start: datetime, now: datetime
) -> tuple[QuerySet[Observation], QuerySet[Observation]]:
    """The rows in force at `start`, and those from then on to `now`."""
    ids = [listing.pk for listing in listings]
    in_force = Observation.objects.filter(listing=OuterRef("listing"), observed_at__lte=start).order_by("-observed_at")
    first = Observation.objects.filter(listing__in=ids, observed_at=Subquery(in_force.values("observed_at")[:1]))
    return first, Observation.objects.filter(listing__in=ids, observed_at__gt=start, observed_at__lte=now)


def listing_chart(*, listing: Listing, start: datetime, now: datetime) -> ListingChart:
    """The listing's facts from `start` to `now`, in one query, or two where it goes back beyond what is kept."""
    rows = range_rows(listing, start, now)
    facts = known_facts(rows)
    steps, watch = steps_of(rows, facts), watch_of(listing)
    has_one_reading = len(steps) == 1 and not (watch and watch.read_at and milliseconds(watch.read_at) > steps[0].at)
    not_known_since = unknown_since(listing, _last_of(steps), now)
    return chart_of(steps, facts, start=start, now=now, unknown_since=not_known_since, is_single=has_one_reading)


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
        sold_out=timedelta(
            milliseconds=sum(band.end - band.start for band in stretches if band.state == ShelfState.SOLD_OUT)
        ),
        facts=[facts[i] for i in known],
        is_thinned=len(shown) < len(exact),
        is_single=is_single,
    )


def unknown_since(listing: Listing, last_at: datetime | None, now: datetime) -> datetime | None:
    """Since when the listing is not known; None when its last reading speaks for now. It changed last at `last_at`."""
    watch = watch_of(listing)
    if watch is None or watch.read_at is None or watch.read_at > now + CLOCK_SKEW:
        return last_at
    return unread_since(watch, now)


def _last_of(steps: Sequence[Step]) -> datetime | None:
    return datetime.fromtimestamp(steps[-1].at / 1000, UTC) if steps else None


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
    first, later = _compared(listings, start, now)
    by_listing: dict[int, list[Row]] = {listing.pk: [] for listing in listings}
    kept: list[Row] = [*driver_rows(first, _ROW), *driver_rows(later.order_by("observed_at"), _ROW)]
    for row in kept:
        by_listing[row[0]].append(row)
    for listing in listings:
        rows = by_listing[listing.pk]
        rows[:0] = earlier_days(listing, start, _first_of(rows), now)
    end, columns, lines, is_thinned = milliseconds(now), [], [], False
    for listing in listings:
        steps = steps_of(by_listing[listing.pk])
        exact = _closed(steps, start, now, unknown_since(listing, _last_of(steps), now))
        column = FACTS.index("live_price") if series.known(exact, FACTS.index("live_price")) else 0
        price = series.collapse([Step(step.at, (step.values[column],), step.is_gap) for step in exact])
        # Every change point of one line is a point of all of them, so the lines share what may be drawn.
        shown = series.thin(price, end, series.MAX_POINTS // (2 * len(listings))) if price else []
        is_thinned |= len(shown) < len(price)
        columns.append(shown)
        lines.append(ComparedLine(listing, FACTS[column], series.gaps(series.stretches(price, end))))
    merged = series.merge(columns)
    return ComparisonChart(_begin(merged, start, now), end, merged, series.draw(merged, end), lines, is_thinned)


def floats(fact: str, values: Iterable[Figure]) -> list[float | None]:
    """Where to draw the points; only positions on a canvas, never amounts to count with."""
    unit = 1 if fact == "stock" else 10_000
    return [None if value is None else value / unit for value in values]


def exact_text(value: Decimal | int | None, currency: str) -> str:
    """A value for tables and files; "" is not known."""
    if value is None:
        return ""
    return plain_amount(value, currency) if isinstance(value, Decimal) else str(value)


def plotted(chart: ListingChart) -> dict[str, list[Any]]:
    """The points of each drawn fact."""
    return {fact: floats(fact, column) for fact, column in zip(chart.facts, chart.drawing.columns, strict=False)}
