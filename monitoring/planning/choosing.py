"""Which method forecasts a group of series, by what it would have been worth at past origins; and its forecasts.

A sample is a series at a past origin: what was known of it then, and the total that followed. Nothing after the last
column is asked for, and nothing of a sample's future goes into its forecast, only into the judgement of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitoring.planning.classes import ADI_LIMIT, CV2_LIMIT
from monitoring.planning.forecasting import (
    CHUNK,
    MEDIAN,
    Array,
    Calendar,
    Series,
    deviation,
    method_names,
    product,
    rates,
    season_profile,
)
from monitoring.planning.safety import Floats
from monitoring.planning.totals import LEAST_ERRORS, Calibration, Spread, Totals, calibrate, totals

LEAST_ORIGINS = 4
LEAST_SAMPLES = 200  # of a group that gets a method of its own; others share that of all
LEAST_KNOWN = 0.5  # share of the periods of a total that must be known; the others are taken to be like them
MOST_SERIES = 10_000  # that the choice is made on, spread evenly over all
_LEVEL_SPREAD = 0.15  # how far groups' levels are thought to be off, before any error is seen
_LOWEST_LEVEL, _HIGHEST_LEVEL = 0.25, 4.0
_ALL = -1

Groups = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Choice:
    """Of one group: the method, what its forecasts are multiplied with, and how well it did at past origins."""

    method: str
    level: float
    wape: float  # NaN: not tested
    samples: int


@dataclass(frozen=True, slots=True)
class Forecaster:
    """Methods and errors as past origins of some series show them, to be used on these and on their like."""

    horizon: int
    calendar: Calendar
    choices: dict[int, Choice]  # by group; -1: of all
    wapes: dict[str, float]  # of every method, over all groups
    past_ends: tuple[int, ...]
    profiles: dict[int, float]  # by end
    calibration: Calibration
    mean: float  # of a total, and the variance between the series' means: for series that are new
    mean_variance: float

    def totals(self, demand: NDArray[np.floating], groups: Groups | None = None) -> Totals:
        """For each series the total of the next `horizon` periods. As many periods as the forecaster was made of."""
        parts = [
            self._of_chunk(demand[start : start + CHUNK], None if groups is None else groups[start : start + CHUNK])
            for start in range(0, max(len(demand), 1), CHUNK)
        ]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def choice_of(self, group: int) -> Choice:
        return self.choices.get(group, self.choices[_ALL])

    def _of_chunk(self, demand: NDArray[np.floating], groups: Groups | None) -> Totals:
        series = Series(demand)
        ends = [*self.past_ends, series.periods]
        names = sorted({choice.method for choice in self.choices.values()})
        found = rates(series, names, ends, calendar=self.calendar, horizon=self.horizon)
        state = _State(series, ends, groups)
        mean = self._means(found, state)
        actual = actual_totals(series, self.past_ends, self.horizon)
        squared = (actual - mean[:, :-1]) ** 2
        counts = (state.known[:, :-1] >= self.calendar.least_history) & ~np.isnan(squared)
        known = state.known[:, -1]
        is_short = known < self.calendar.least_history
        own = Spread(
            mean[:, -1],
            deviation(series, self.calendar.spread_alpha, [series.periods])[:, 0] * np.sqrt(self.horizon),
            np.where(counts, squared, 0).sum(axis=1),
            counts.sum(axis=1).astype(float),
        )
        blended, unsure = self._new(own.mean, known)
        own = Spread(np.where(is_short, blended, own.mean), own.deviation, own.squared_error, own.errors)
        is_empty = ~is_short & (state.times[:, -1] == 0)
        return totals(self.calibration, own, is_short=is_short, is_empty=is_empty, unsure=unsure)

    def _means(self, found: dict[str, Array], state: "_State") -> Floats:
        """The totals of the chosen methods at all ends, [series, ends]."""
        mean: Floats = np.full(state.group.shape, np.nan)
        for group in np.unique(state.group):
            choice = self.choice_of(int(group))
            here = state.group == group
            mean[here] = found[choice.method][here] * choice.level
        steady: Floats = self.horizon * np.array([self.profiles[end] for end in state.ends])
        return mean * steady

    def _new(self, own: Floats, known: Floats) -> tuple[Floats, Floats]:
        """Totals of series with a short history, and how unsure these are: the less is known, the more like others."""
        if np.isnan(self.mean):
            return own, np.zeros(own.shape)
        share = known / (known + self.calendar.least_history)
        mean = np.where(known > 0, share * np.nan_to_num(own) + (1 - share) * self.mean, self.mean)
        return mean, (1 - share) * self.mean_variance


class _State:
    """What is known of each series at each end, [series, ends]; and the group that it is in then.

    Without groups of the caller's it is that of its demand's pattern: smooth, intermittent, erratic, lumpy. It is the
    pattern at the end, not today's: who sells well today would else be judged by a past that led there.
    """

    def __init__(self, series: Series, ends: Sequence[int], groups: Groups | None) -> None:
        places = np.arange(series.periods)[:, np.newaxis]
        before = (places < np.asarray(ends)[np.newaxis, :]).astype(np.float32)
        self.series, self.ends = series, ends
        self.known = product(series.known, before).astype(float)
        self.times = product(series.sold, before).astype(float)
        if groups is not None:
            self.group = np.broadcast_to(groups[:, np.newaxis], self.known.shape)
            return
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = product(series.values, before) / self.times
            spread = product(series.squares, before) / self.times - mean**2
            uneven = spread * self.times / (self.times - 1) >= CV2_LIMIT * mean**2
            rare = self.known >= ADI_LIMIT * self.times
        self.group = (2 * uneven + rare).astype(np.intp)


def choose(demand: NDArray[np.floating], horizon: int, calendar: Calendar, groups: Groups | None = None) -> Forecaster:
    """Tests every method at past origins, whose totals lie within the columns, and takes each group's best.

    The best has the least pooled absolute error, and error of the sum, of the totals; a plainer one where they are
    equal, naive first. All are scaled to what the group sold in sum. Without any past origin, or too few samples, it
    is the median of the simple methods, and the quantiles are those of counts.
    """
    if horizon < 1:
        raise ValueError("a horizon has at least one period")
    if len(demand) > MOST_SERIES:
        picked = np.linspace(0, len(demand) - 1, MOST_SERIES).astype(np.intp)
        demand, groups = demand[picked], None if groups is None else groups[picked]
    series = Series(demand)
    ends = past_ends(series.periods, horizon, calendar)
    sums = series.values.sum(axis=0, dtype=np.float64)
    profiles = {end: season_profile(sums, calendar, end, horizon) for end in (*ends, series.periods)}
    samples = _Samples(series, ends, groups, horizon, calendar, np.array([profiles[end] for end in ends]))
    choices, wapes = _choices(samples)
    mean = samples.means(choices)
    calibration = calibrate(samples.actual, samples.spread(mean), samples.weight)
    forecaster = Forecaster(
        horizon, calendar, choices, wapes, ends, profiles, calibration, mean=np.nan, mean_variance=0.0
    )
    now = forecaster.totals(demand, groups)
    old = now.mean[(series.known.sum(axis=1) >= calendar.least_history)]
    if not len(old):
        return forecaster
    return replace(forecaster, mean=float(old.mean()), mean_variance=float(old.var()))


def past_ends(periods: int, horizon: int, calendar: Calendar) -> tuple[int, ...]:
    """Of the past origins, ascending: as far apart as the calendar says, closer where there would be too few."""
    last = periods - horizon
    first = max(last - calendar.span, calendar.least_history)
    step = max(min(calendar.step, (last - first) // (LEAST_ORIGINS - 1)), 1)
    return tuple(range(last, first - 1, -step))[::-1]


def actual_totals(series: Series, ends: Sequence[int], horizon: int) -> Floats:
    """What was sold in the `horizon` periods after each end; NaN where fewer than LEAST_KNOWN of them are known."""
    places, first = np.arange(series.periods)[:, np.newaxis], np.asarray(ends, dtype=np.intp)[np.newaxis, :]
    within = ((places >= first) & (places < first + horizon)).astype(np.float32)
    sold, known = product(series.values, within).astype(float), product(series.known, within).astype(float)
    return np.where(known >= max(LEAST_KNOWN * horizon, 1), sold * horizon / np.maximum(known, 1), np.nan)


class _Samples:
    """The past of some series: per sample the actual total, the group, and the total that each method told."""

    def __init__(
        self,
        series: Series,
        ends: Sequence[int],
        groups: Groups | None,
        horizon: int,
        calendar: Calendar,
        profiles: Floats,
    ) -> None:
        self.names = method_names(calendar, horizon)
        state = _State(series, ends, groups)
        actual = actual_totals(series, ends, horizon)
        self.within = (state.known >= calendar.least_history) & (state.times > 0) & ~np.isnan(actual)
        self.actual, self.group = actual[self.within], state.group[self.within]
        self.series = np.nonzero(self.within)[0]
        self.rates: dict[str, Floats] = {}
        self.deviation = np.empty(0)
        self._ends = np.asarray(ends)
        self._horizon = horizon
        if len(self.actual):
            found = rates(series, self.names, ends, calendar=calendar, horizon=horizon)
            steady = np.broadcast_to(profiles * horizon, actual.shape)[self.within]
            self.rates = {name: rate[self.within] * steady for name, rate in found.items()}
            spread = deviation(series, calendar.spread_alpha, ends)[self.within].astype(float)
            self.deviation = spread * np.sqrt(horizon)

    @property
    def weight(self) -> Floats:
        return 1 / np.maximum(self.deviation, 0.5)

    def means(self, choices: dict[int, Choice]) -> Floats:
        mean = np.zeros(self.actual.shape)
        for group in np.unique(self.group):
            choice = choices.get(int(group), choices[_ALL])
            here = self.group == group
            mean[here] = self.rates[choice.method][here] * choice.level
        return mean

    def spread(self, mean: Floats) -> Spread:
        squared, counted = np.zeros(self.within.shape), self.within.astype(float)
        squared[self.within] = (self.actual - mean) ** 2
        before = self._ends[:, np.newaxis] + self._horizon <= self._ends[np.newaxis, :]
        return Spread(mean, self.deviation, (squared @ before)[self.within], (counted @ before)[self.within])


def _choices(samples: _Samples) -> tuple[dict[int, Choice], dict[str, float]]:
    """By group, and the pooled error of every method."""
    if len(samples.actual) < LEAST_ERRORS:
        return {_ALL: Choice(MEDIAN, 1.0, np.nan, len(samples.actual))}, {}
    everywhere = np.ones(samples.actual.shape, dtype=bool)
    tested = _tested(samples, everywhere)
    choices = {_ALL: _best(tested, len(samples.actual))}
    numbers, counts = np.unique(samples.group, return_counts=True)
    for group, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        if count >= LEAST_SAMPLES:
            choices[group] = _best(_tested(samples, samples.group == group), count)
    return choices, {name: wape for name, (_criterion, wape, _level) in tested.items()}


def _tested(samples: _Samples, here: NDArray[np.bool_]) -> dict[str, tuple[float, float, float]]:
    """Of each method what it is chosen by, in pieces, its WAPE, and its level."""
    actual, series = samples.actual[here], samples.series[here]
    sold = float(actual.sum())
    found = {}
    for name, rate in samples.rates.items():
        told = rate[here]
        level = _level(actual, told, series)
        error = float(np.abs(level * told - actual).sum())
        wape = error / sold if sold > 0 else np.nan
        found[name] = (error + abs(level * float(told.sum()) - sold), wape, level)
    return found


def _best(tested: dict[str, tuple[float, float, float]], samples: int) -> Choice:
    # Where nothing was sold after any origin, to say nothing is the best only by accident.
    nothing_sold = np.isnan(tested[MEDIAN][1])
    name = MEDIAN if nothing_sold else min(tested, key=lambda name: tested[name][0])
    return Choice(name, tested[name][2], tested[name][1], samples)


def _level(actual: Floats, told: Floats, series: NDArray[np.intp]) -> float:
    """What the method is to be multiplied with to be right in sum; nearer to 1 the less the series agree on it."""
    number, place = np.unique(series, return_inverse=True)
    if len(number) < 2 or told.sum() <= 0:
        return 1.0
    ratio = actual.sum() / told.sum()
    missed = np.bincount(place, actual - ratio * told)
    error = (missed**2).sum() / told.sum() ** 2 * len(number) / (len(number) - 1)
    trust = _LEVEL_SPREAD**2 / (_LEVEL_SPREAD**2 + error)
    return float(np.clip(1 + trust * (ratio - 1), _LOWEST_LEVEL, _HIGHEST_LEVEL))


def _joined(parts: Sequence[Totals]) -> Totals:
    return Totals(
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.scale for part in parts]),
        np.concatenate([part.rmse for part in parts]),
        np.concatenate([part.volume_class for part in parts]),
        parts[0].calibration,
        np.concatenate([part.is_counted for part in parts]),
        np.concatenate([part.variance for part in parts]),
        np.concatenate([part.is_empty for part in parts]),
    )
