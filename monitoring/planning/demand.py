"""Demand per day from sales, from a ledger's figures, or from stock snapshots; and what a sales history may hold.

Returns are no negative demand: they are booked as receipts. A bundle's sales are given as those of its components.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitoring.planning.forecasting import Array
from monitoring.planning.safety import Flags, Floats, floats

NEW_DAYS = 28  # known days below which a SKU is new
MOST_PIECES = 9_999_999  # in one row; float32 holds it exactly
ONE_OFF_QUANTILE = 0.995
ONE_OFF_TIMES = 3.0
_ROWS = 256  # that stay in the processor's cache together


class MissingColumn(Exception):
    """The heading of a file does not name what is needed."""


class Fault(StrEnum):
    """Why a row of a sales history is refused."""

    NO_SKU = "there is no SKU"
    DATE = "this is not a date like 2026-11-30"
    FUTURE = "this day is not over yet"
    NUMBER = "this is not a number of pieces"
    NEGATIVE = "negative: returns are booked as receipts"
    FRACTION = "not a whole number of pieces"
    LARGE = "more pieces than one day can have"
    DUPLICATE = "the SKU has a row for this day already"


@dataclass(frozen=True, slots=True)
class Refusal:
    line: int  # of the file, its heading being 1
    fault: Fault


@dataclass
class Sales:
    """A sales history, row by row. A day is its proleptic ordinal, a month 12 x year + month - 1."""

    is_monthly: bool
    codes: list[str] = field(default_factory=list)
    series: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  # places in `codes`
    period: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    quantity: Array = field(default_factory=lambda: np.empty(0, np.float32))
    last_day: dict[int, int] = field(default_factory=dict)  # of each period that has rows

    def demand(self, until: int, most: int) -> Array:
        """[series, periods] up to `until`, that included, at most so many; see the package. Rows after it are not read.

        A period without a row is one without sales, from the series' first sale on.
        """
        is_before = (self.period <= until) & (self.quantity > 0)
        series, period, quantity = self.series[is_before], self.period[is_before], self.quantity[is_before]
        begin = np.full(len(self.codes), until + 1)
        np.minimum.at(begin, series, period)
        first = max(int(begin.min(initial=until + 1)), until + 1 - most)
        demand = np.zeros((len(self.codes), until + 1 - first), np.float32)
        is_within = period >= first
        np.add.at(demand, (series[is_within], period[is_within] - first), quantity[is_within])
        demand[np.arange(first, until + 1) < begin[:, np.newaxis]] = np.nan
        return demand


def read_sales(lines: Iterable[str], *, today: date, is_monthly: bool = False) -> tuple[Sales, list[Refusal]]:
    """The rows of a CSV file with sku, date and quantity, in any order of columns; what is refused is left out.

    A month is any of its days, and the sum of its rows. Raises MissingColumn.
    """
    rows = csv.reader(lines)
    at = columns_of(next(rows, []), ("sku", "date", "quantity"))
    places: dict[str, int] = {}
    days: dict[str, int | Fault] = {}
    refusals: list[Refusal] = []
    series, ordinals, quantities, numbers = [], [], [], []
    width = max(at) + 1
    for row in rows:
        if not row:
            continue
        code, day_text, quantity_text = (row[place].strip() for place in at) if len(row) >= width else ("", "", "")
        day = days.get(day_text)
        if day is None:
            day = days[day_text] = day_number(day_text, today, is_monthly=is_monthly)
        quantity = _pieces(quantity_text)
        fault = Fault.NO_SKU if not code else next((each for each in (day, quantity) if isinstance(each, Fault)), None)
        if fault is not None:
            refusals.append(Refusal(rows.line_num, fault))
            continue
        series.append(places.setdefault(code, len(places)))
        ordinals.append(day)
        quantities.append(quantity)
        numbers.append(rows.line_num)
    where, day_numbers = np.array(series, np.int64), np.array(ordinals, np.int64)
    _same, kept = np.unique(day_numbers * max(len(places), 1) + where, return_index=True)
    if len(kept) < len(where):
        doubled = np.setdiff1d(np.arange(len(where)), kept)
        refusals += [Refusal(numbers[place], Fault.DUPLICATE) for place in doubled]
        refusals.sort(key=lambda refusal: refusal.line)
    period = day_numbers[kept]
    if is_monthly:
        months = {day: month_number(date.fromordinal(day)) for day in np.unique(period).tolist()}
        period = np.array([months[day] for day in period.tolist()], np.int64)
    sales = Sales(is_monthly, list(places), where[kept], period, np.array(quantities, np.float32)[kept])
    # In the order of the days: the last one of a period stays.
    sales.last_day = dict(zip(period.tolist(), day_numbers[kept].tolist(), strict=True))
    return sales, refusals


def columns_of(heading: list[str], names: tuple[str, ...]) -> list[int]:
    """Places of the named columns. Raises MissingColumn."""
    found = [name.strip().lstrip("\ufeff").casefold() for name in heading]
    if missing := [name for name in names if name not in found]:
        raise MissingColumn(f"the first line names no column {', '.join(missing)}")
    return [found.index(name) for name in names]


def month_number(day: date) -> int:
    return 12 * day.year + day.month - 1


def day_number(text: str, today: date, *, is_monthly: bool) -> int | Fault:
    """Its ordinal. A month may be written as 2026-11, which is its first day."""
    try:
        day = date.fromisoformat(f"{text}-01" if is_monthly and text.count("-") == 1 else text)
    except ValueError:
        return Fault.DATE
    return Fault.FUTURE if day >= today else day.toordinal()


def _pieces(text: str) -> int | Fault:
    try:
        quantity = float(text)
    except ValueError:
        return Fault.NUMBER
    if quantity != quantity:
        return Fault.NUMBER
    if quantity < 0:
        return Fault.NEGATIVE
    if quantity > MOST_PIECES:
        return Fault.LARGE
    return int(quantity) if quantity.is_integer() else Fault.FRACTION


# Days that tell less than they seem to.


def without_censored(sold: ArrayLike, opening_stock: ArrayLike) -> Array:
    """The demand, NaN on days that opened without stock: what was not sold then, nobody knows.

    A day that only ended without stock is kept: demand was high on it, its sales are a lower bound. An opening stock
    that is not known (NaN) censors nothing.
    """
    with np.errstate(invalid="ignore"):
        return np.where(floats(opening_stock) <= 0, np.nan, floats(sold)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Balance:
    """Sales of intervals by their stock snapshots; both in pieces, never negative."""

    sold: Floats  # 0 also where the stock rose by more than was booked
    unexplained_receipts: Floats  # by so much; inferred, and to be recorded as such

    @property
    def demand(self) -> Floats:
        """The sales that can be told: NaN where an unexplained receipt hides them."""
        return np.where(self.unexplained_receipts > 0, np.nan, self.sold)


def sales_of_snapshots(
    before: ArrayLike,
    after: ArrayLike,
    *,
    receipts: ArrayLike = 0,
    returns: ArrayLike = 0,
    write_offs: ArrayLike = 0,
    transfers: ArrayLike = 0,
) -> Balance:
    """What left the stock between two snapshots and was not booked otherwise; `transfers` count in, less out.

    Snapshots that are not known give NaN for both.
    """
    left = floats(before) - floats(after) + floats(receipts) + floats(returns) - floats(write_offs) + floats(transfers)
    return Balance(np.maximum(left, 0.0), np.maximum(-left, 0.0))


def over_gap(total: float, days: int) -> Floats:
    """What was sold in a gap between snapshots, spread evenly over its days; the caller marks them."""
    if days < 1:
        raise ValueError("a gap has at least one day")
    return np.full(days, total / days)


@dataclass(frozen=True, slots=True)
class OneOffs:
    """Days whose sales stand out so far that they are one order, by place, and what they are capped at."""

    series: NDArray[np.intp]
    period: NDArray[np.intp]
    quantity: Floats
    cap: Floats


def capped(demand: Array) -> tuple[Array, OneOffs]:
    """The demand with one-off orders at the series' 99.5 % day, for its rate; the history itself stays as it is.

    A one-off order is more than three times that day. New series have none: nobody knows yet what is usual.
    """
    known = ~np.isnan(demand)
    old = known.sum(axis=1) >= NEW_DAYS
    caps = np.full(len(demand), np.inf, np.float32)
    if old.any():
        caps[old] = np.nanquantile(demand[old], ONE_OFF_QUANTILE, axis=1, method="lower")
    # The only sale of a series is no exception from the others.
    caps[caps <= 0] = np.inf
    with np.errstate(invalid="ignore"):
        series, period = np.nonzero(demand > ONE_OFF_TIMES * caps[:, np.newaxis])
    found = OneOffs(series, period, floats(demand[series, period]), floats(caps[series]))
    result = demand.copy()
    result[series, period] = caps[series]
    return result, found


def is_new(demand: Array, least: int = NEW_DAYS) -> Flags:
    known: NDArray[np.intp] = (~np.isnan(demand)).sum(axis=1)
    return known < least


def velocity(demand: Array, window: int | None = None) -> tuple[Floats, Floats]:
    """Mean and standard deviation (n - 1) of the known ones of the last `window` periods; of all without one.

    NaN without any period, and with fewer than two for the deviation.
    """
    part = demand if window is None else demand[:, -window:]
    mean, spread = np.empty((2, len(part)))
    for start in range(0, len(part), _ROWS):
        rows = slice(start, start + _ROWS)
        mean[rows], spread[rows] = _moments(part[rows])
    return mean, spread


def _moments(demand: Array) -> tuple[Floats, Floats]:
    periods = demand.shape[1]
    ones = np.ones(periods, np.float32)
    total = demand @ ones
    if periods > 1 and not np.isnan(total).any():
        mean = total / np.float32(periods)
        rest = demand - mean[:, np.newaxis]
        return floats(mean), floats(np.sqrt(np.einsum("ij,ij->i", rest, rest) / np.float32(periods - 1)))
    known = ~np.isnan(demand)
    count = known.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, demand, 0).sum(axis=1) / np.where(count, count, np.nan)
        rest = np.where(known, demand - mean[:, np.newaxis], 0)
        spread = np.sqrt((rest**2).sum(axis=1) / np.where(count > 1, count - 1, np.nan))
    return floats(mean), floats(spread)
