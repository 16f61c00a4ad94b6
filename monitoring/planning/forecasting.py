"""Forecasts of the demand per period, of all series at once, at as many past moments as a backtest needs.

Every function takes Series and `ends`, numbers of leading periods: a forecast at end e knows periods 0 to e - 1 and
none after. It answers float32 [series, ends], pieces per period, never negative, NaN where nothing is known yet.

Where a smoothed average starts changes the figures of short series. Here each known period weighs (1 - a)^age and the
weights are scaled to 1, so that the first period is one like the others; `textbook_start` gives it the weight that it
has where the average starts at its value. A period that is not known has no weight, and the others keep theirs.

Sources: Croston, Oper. Res. Quarterly 23 (1972); Syntetos & Boylan, Int. J. Forecasting 21 (2005); Teunter, Syntetos &
Babai, EJOR 214 (2011); Makridakis et al., Int. J. Forecasting 38 (2022) on combinations of simple methods.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]

CHUNK = 4_000  # series at a time: some arrays of a year stay below 100 MB together
_PIECE = 32  # series
_LEAST_WEIGHT = 1e-30  # below it float32 loses its digits


class Series:
    """The demand of a chunk of series, and what the methods share of it. See the package for the array."""

    def __init__(self, demand: NDArray[np.floating]) -> None:
        is_known = ~np.isnan(demand)
        self.known: Array = is_known.astype(np.float32)
        self.values: Array = np.where(is_known, demand, 0).astype(np.float32)  # 0 where not known

    @property
    def periods(self) -> int:
        return int(self.values.shape[1])

    @cached_property
    def sold(self) -> Array:
        return (self.values > 0).astype(np.float32)

    @cached_property
    def roots(self) -> Array:
        return np.sqrt(self.values)

    @cached_property
    def squares(self) -> Array:
        return self.values * self.values

    @cached_property
    def begin(self) -> NDArray[np.intp]:
        """The first known period of each series; the number of periods if there is none."""
        return np.where(self.known.any(axis=1), self.known.argmax(axis=1), self.periods)


def moving_average(series: Series, window: int, ends: Sequence[int]) -> Array:
    """Mean of the known ones of the last `window` periods."""
    weights = _windows(series.periods, window, ends)
    return _divided(product(series.values, weights), product(series.known, weights))


def naive(series: Series, ends: Sequence[int]) -> Array:
    """The last period that is known, repeated."""
    places = np.arange(1, series.periods + 1, dtype=np.float32)
    last = np.maximum.accumulate(series.known * places, axis=1)[:, [end - 1 for end in ends]].astype(np.intp)
    found = np.take_along_axis(series.values, np.maximum(last - 1, 0), axis=1)
    return np.where(last > 0, found, np.float32(np.nan))


def seasonal_naive(series: Series, season: int, horizon: int, ends: Sequence[int]) -> Array:
    """Mean per period of the total in which each period repeats the one a season ago."""
    weights = np.zeros((series.periods, len(ends)), np.float32)
    for column, end in enumerate(ends):
        for ahead in range(horizon):
            if (place := end - season + ahead % season) >= 0:
                weights[place, column] += 1
    return _divided(product(series.values, weights), product(series.known, weights))


def ses(series: Series, alpha: float, ends: Sequence[int], *, textbook_start: bool = False) -> Array:
    """Simple exponential smoothing."""
    return _discounted(series, series.values, series.known, alpha, ends, textbook_start=textbook_start)


def croston(series: Series, alpha: float, ends: Sequence[int]) -> Array:
    """Smoothed size over smoothed interval, both moved at a demand; started at the first size and interval."""
    sizes, intervals = _at_demands(series, alpha, ends)
    return _divided(sizes, intervals)


def sba(series: Series, alpha: float, ends: Sequence[int]) -> Array:
    """Croston's rate without its bias: (1 - alpha / 2) times as much."""
    return np.float32(1 - alpha / 2) * croston(series, alpha, ends)


def tsb(
    series: Series, probability_alpha: float, size_alpha: float, ends: Sequence[int], *, textbook_start: bool = False
) -> Array:
    """Probability of a demand, which falls while nothing is sold, times its size.

    Textbook: the size starts at the first one and moves at demands only. Else it is the mean of the sizes, weighted by
    their age in periods.
    """
    probability = _discounted(series, series.sold, series.known, probability_alpha, ends, textbook_start=textbook_start)
    if textbook_start:
        sizes = _at_demands(series, size_alpha, ends)[0]
    else:
        sizes = _discounted(series, series.values, series.sold, size_alpha, ends)
    return probability * np.nan_to_num(sizes)  # nothing was sold: probability 0, no size


def root_tsb(series: Series, probability_alpha: float, size_alpha: float, ends: Sequence[int]) -> Array:
    """TSB whose size is the square of the mean root, so that one wholesale order moves it little.

    Too low by itself: choosing scales each method to the group's total.
    """
    probability = _discounted(series, series.sold, series.known, probability_alpha, ends)
    roots = np.nan_to_num(_discounted(series, series.roots, series.sold, size_alpha, ends))
    return probability * roots * roots


def deviation(series: Series, alpha: float, ends: Sequence[int]) -> Array:
    """Standard deviation of the demand of a period, its mean and square smoothed like SES."""
    mean = ses(series, alpha, ends)
    square = _discounted(series, series.squares, series.known, alpha, ends)
    variance = square - mean * mean
    # What is less is the rounding of float32.
    return np.sqrt(np.where(variance > 1e-6 * square, variance, variance * 0))


@dataclass(frozen=True, slots=True)
class Calendar:
    """What depends on how long a period is; all lengths in periods."""

    season: int
    windows: tuple[int, ...]  # of moving averages
    alphas: tuple[float, ...]  # of SES
    sba_alphas: tuple[float, ...]
    tsb_alphas: tuple[tuple[float, float], ...]  # of the probability and of the size
    basket: tuple[str, ...]  # the simple methods that are combined
    step: int  # between two past origins of a backtest
    span: int  # from its first origin to its last
    least_history: int  # known periods below which a series is new
    profile: int  # periods that the profile of the season is taken from; 0: none
    spread_alpha: float  # of the deviation
    mean_window: int  # of the textbook formula
    spread_window: int


DAYS = Calendar(
    season=7,
    windows=(7, 28, 56, 91),
    alphas=(0.02, 0.05, 0.1, 0.2),
    sba_alphas=(0.1,),
    tsb_alphas=((0.03, 0.02), (0.05, 0.02), (0.08, 0.03)),
    basket=("mean of 28", "mean of 91", "SES 0.05", "SBA 0.1", "TSB 0.05 0.02"),
    step=7,
    span=91,
    least_history=28,
    profile=84,
    spread_alpha=0.02,
    mean_window=28,
    spread_window=91,
)
MONTHS = Calendar(
    season=12,
    windows=(1, 3, 6, 12),
    alphas=(0.05, 0.1, 0.2, 0.4),
    sba_alphas=(0.1,),
    tsb_alphas=((0.05, 0.05), (0.1, 0.05), (0.2, 0.1), (0.3, 0.1)),
    basket=("mean of 3", "mean of 12", "SES 0.2", "SBA 0.1", "TSB 0.1 0.05"),
    step=1,
    span=12,
    least_history=6,
    profile=0,
    spread_alpha=0.1,
    mean_window=3,
    spread_window=12,
)

NAIVE, SEASONAL_NAIVE, MEAN, MEDIAN = "naive", "seasonal naive", "mean of methods", "median of methods"
Method: TypeAlias = Callable[..., Array]  # (series, ends=...)


def simple_methods(calendar: Calendar, horizon: int) -> dict[str, Method]:
    """All but the combinations, by name; the plainest are the first."""
    methods: dict[str, Method] = {
        NAIVE: naive,
        SEASONAL_NAIVE: partial(seasonal_naive, season=calendar.season, horizon=horizon),
    }
    for window in calendar.windows:
        methods[f"mean of {window}"] = partial(moving_average, window=window)
    for alpha in calendar.alphas:
        methods[f"SES {alpha:g}"] = partial(ses, alpha=alpha)
    for alpha in calendar.sba_alphas:
        methods[f"SBA {alpha:g}"] = partial(sba, alpha=alpha)
    for name, method in (("TSB", tsb), ("root TSB", root_tsb)):
        for of_probability, of_size in calendar.tsb_alphas:
            smoothed = partial(method, probability_alpha=of_probability, size_alpha=of_size)
            methods[f"{name} {of_probability:g} {of_size:g}"] = smoothed
    return methods


def method_names(calendar: Calendar, horizon: int) -> list[str]:
    return [*simple_methods(calendar, horizon), MEAN, MEDIAN]


def rates(
    series: Series, names: Sequence[str], ends: Sequence[int], *, calendar: Calendar, horizon: int
) -> dict[str, Array]:
    """The named methods at all the ends. `horizon` matters to the seasonal naive method only."""
    methods = simple_methods(calendar, horizon)
    combined = {MEAN, MEDIAN} & set(names)
    wanted = dict.fromkeys([*names, *(calendar.basket if combined else ())])
    found = {name: methods[name](series, ends=ends) for name in wanted if name in methods}
    if combined:
        basket = np.stack([found[name] for name in calendar.basket])
        if MEAN in combined:
            found[MEAN] = basket.mean(axis=0)
        if MEDIAN in combined:
            # Sorting is several times quicker here than np.median.
            basket.sort(axis=0)
            found[MEDIAN] = basket[len(basket) // 2]
    # Where the periods that a method looks at are all unknown, the slowest average stands in.
    slowest = ses(series, min(calendar.alphas), ends)
    return {name: np.where(np.isnan(found[name]), slowest, found[name]) for name in names}


def season_profile(totals: NDArray[np.floating], calendar: Calendar, end: int, horizon: int) -> float:
    """What to multiply a steady total of the periods after `end` with, by the places in the season that they have.

    `totals` are the sums per period over all series of a warehouse. 1 for whole seasons, and while fewer than four
    seasons are known.
    """
    season = calendar.season
    seasons = min(calendar.profile, end) // season
    if horizon % season == 0 or seasons < 4:
        return 1.0
    share = totals[end - seasons * season : end].reshape(seasons, season).sum(axis=0)
    if share.sum() <= 0:
        return 1.0
    return float((share / share.mean())[np.arange(horizon) % season].mean())


def product(values: Array, weights: Array) -> Array:
    """values @ weights, in pieces that the processor's cache holds and that are too small to be shared among threads.

    Those would wait for each other whenever the machine has other work to do.
    """
    count, periods = values.shape
    full = count // _PIECE
    whole = full * _PIECE
    result = np.empty((count, weights.shape[1]), np.float32)
    pieces = result[:whole].reshape(full, _PIECE, weights.shape[1])
    np.matmul(values[:whole].reshape(full, _PIECE, periods), weights, out=pieces)
    np.matmul(values[whole:], weights, out=result[whole:])
    return result


def _discounted(
    series: Series, values: Array, counted: Array, alpha: float, ends: Sequence[int], *, textbook_start: bool = False
) -> Array:
    """Mean of the values in the periods that count, each weighing (1 - alpha)^age."""
    ages = np.asarray(ends)[np.newaxis, :] - 1 - np.arange(series.periods)[:, np.newaxis]
    weights = np.where(ages >= 0, (1 - alpha) ** np.maximum(ages, 0).astype(np.float64), 0)
    weights[weights < _LEAST_WEIGHT] = 0
    weights = weights.astype(np.float32)
    above, below = product(values, weights), product(counted, weights)
    if textbook_start:
        row, first = np.arange(len(values)), np.minimum(series.begin, series.periods - 1)
        extra = weights[first] * np.float32(1 / alpha - 1) * counted[row, first][:, np.newaxis]
        above, below = above + extra * values[row, first][:, np.newaxis], below + extra
    return _divided(above, below)


def _at_demands(series: Series, alpha: float, ends: Sequence[int]) -> tuple[Array, Array]:
    """Sizes and intervals smoothed at each demand, as they stand at the ends; in one pass over the periods.

    An interval counts the known periods since the last demand, or since the first known period.
    """
    a = np.float32(alpha)
    count = len(series.values)
    # Periods first, so that each step reads what lies together.
    values, known = np.ascontiguousarray(series.values.T), np.ascontiguousarray(series.known.T)
    size = np.full(count, np.nan, np.float32)
    interval = np.full(count, np.nan, np.float32)
    waited = np.zeros(count, np.float32)
    sizes, intervals = np.empty((2, count, len(ends)), np.float32)
    columns: dict[int, list[int]] = {}
    for column, end in enumerate(ends):
        columns.setdefault(end, []).append(column)
    for period in range(max(ends)):
        waited += known[period]
        at = np.flatnonzero(values[period] > 0)
        if len(at):
            y, q, z, p = values[period][at], waited[at], size[at], interval[at]
            is_first = np.isnan(z)
            size[at] = np.where(is_first, y, z + a * (y - z))
            interval[at] = np.where(is_first, q, p + a * (q - p))
            waited[at] = 0
        for column in columns.get(period + 1, ()):
            sizes[:, column], intervals[:, column] = size, interval
    # Nothing sold yet: no demand in all the time, not an unknown one.
    unsold = np.isnan(sizes) & (series.begin[:, np.newaxis] < np.asarray(ends)[np.newaxis, :])
    sizes[unsold], intervals[unsold] = 0, 1
    return sizes, intervals


def _windows(periods: int, window: int, ends: Sequence[int]) -> Array:
    places, last = np.arange(periods)[:, np.newaxis], np.asarray(ends)[np.newaxis, :]
    return ((places < last) & (places >= last - window)).astype(np.float32)


def _divided(above: Array, below: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.float32(np.nan))
