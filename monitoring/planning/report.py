"""The report card of a forecast: how far off it was, beside the seasonal naive method and the textbook formula.

Each figure is of totals at past origins, forecast by what was known there, the choice of the method included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitoring.planning import safety
from monitoring.planning.choosing import Forecaster, Groups, actual_totals, choose, past_ends
from monitoring.planning.demand import is_new, velocity
from monitoring.planning.forecasting import Calendar, Series, seasonal_naive
from monitoring.planning.safety import Floats, floats
from monitoring.planning.totals import TARGET, quantile_loss

ORIGINS = 4
OURS, SEASONAL_NAIVE, TEXTBOOK = "forecast", "seasonal naive", "textbook formula"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One figure for each series or group; NaN where nothing was sold, or there are no quantiles."""

    wape: Floats  # sum |forecast - actual| / sum actual
    bias: Floats  # sum (forecast - actual) / sum actual; above 0: too much was forecast
    coverage: Floats  # share of the totals within the quantile
    quantile_loss: Floats  # sum / sum actual
    totals: NDArray[np.intp]  # that were judged


@dataclass(frozen=True, slots=True)
class ReportCard:
    level: float  # of the quantiles
    horizon: int
    series: dict[str, Accuracy]  # by OURS, SEASONAL_NAIVE, TEXTBOOK
    groups: dict[str, Accuracy]
    everything: dict[str, Accuracy]


def past_forecasters(
    sample: NDArray[np.floating], horizon: int, calendar: Calendar, groups: Groups | None = None
) -> dict[int, Forecaster]:
    """Those of the last ORIGINS past origins, or of as many as there are, each chosen on what was known there."""
    ends = past_ends(sample.shape[1], horizon, calendar)[-ORIGINS:]
    return {end: choose(sample[:, :end], horizon, calendar, groups) for end in ends}


def report_card(
    demand: NDArray[np.floating],
    horizon: int,
    calendar: Calendar,
    groups: Groups | None = None,
    *,
    level: float = TARGET,
    chosen: Mapping[int, Forecaster] | None = None,
    told_of: Groups | None = None,
) -> ReportCard:
    """Judges the forecasts at past origins: those of past_forecasters() of a sample, or else of these series.

    `told_of` are the groups that figures are told of, where they are not the ones that methods are chosen for.
    """
    if chosen is None:
        chosen = past_forecasters(demand, horizon, calendar, groups)
    ends = sorted(chosen)
    series = Series(demand)
    actual = actual_totals(series, ends, horizon)
    for column, end in enumerate(ends):
        actual[is_new(demand[:, :end], calendar.least_history), column] = np.nan
    blank = np.full(actual.shape, np.nan)
    forecasts = {OURS: (blank.copy(), blank.copy()), TEXTBOOK: (blank.copy(), blank.copy())}
    for column, end in enumerate(ends):
        known = demand[:, :end]
        totals = chosen[end].totals(known, groups)
        mean, spread = velocity(known, calendar.mean_window)[0], velocity(known, calendar.spread_window)[1]
        for name, (means, quantiles) in forecasts.items():
            means[:, column] = totals.mean if name == OURS else mean * horizon
            held = safety.textbook(spread, horizon, level)
            quantiles[:, column] = totals.quantile(level) if name == OURS else mean * horizon + held
    repeated = seasonal_naive(series, calendar.season, horizon, ends).astype(float) * horizon
    forecasts[SEASONAL_NAIVE] = (repeated, blank)
    told_of = groups if told_of is None else told_of
    every, one = np.arange(len(demand)), np.zeros(len(demand), np.intp)
    return ReportCard(
        level,
        horizon,
        *(
            {
                name: accuracy(actual, means, quantiles, level=level, of=of)
                for name, (means, quantiles) in forecasts.items()
            }
            for of in (every, one if told_of is None else told_of, one)
        ),
    )


def accuracy(
    actual: ArrayLike, mean: ArrayLike, quantile: ArrayLike, *, level: float, of: Sequence[int] | Groups
) -> Accuracy:
    """Of totals [series, origins], summed over the series of the same number in `of`; those not known are left out."""
    y, told, limit = floats(actual), floats(mean), floats(quantile)
    judged = ~np.isnan(y + told)
    numbers = np.asarray(of, np.intp)
    count = int(numbers.max(initial=-1)) + 1

    def summed(figures: NDArray, where: NDArray[np.bool_]) -> Floats:
        return floats(np.bincount(numbers, np.where(where, figures, 0).sum(axis=1), count))

    has_quantile = judged & ~np.isnan(limit)
    with np.errstate(divide="ignore", invalid="ignore"):
        sold, cases = summed(y, judged), summed(has_quantile, judged)
        per_unit = np.where(sold > 0, sold, np.nan)
        return Accuracy(
            summed(np.abs(told - y), judged) / per_unit,
            summed(told - y, judged) / per_unit,
            np.where(cases > 0, summed(y <= limit, has_quantile) / cases, np.nan),
            np.where(cases > 0, summed(quantile_loss(y, limit, level), has_quantile) / per_unit, np.nan),
            summed(judged, judged).astype(np.intp),
        )


def scaled_errors(history: ArrayLike, actual: ArrayLike, forecast: ArrayLike) -> tuple[float, float]:
    """MASE and RMSSE of one series: errors per period beside those of repeating the last period, in the history.

    NaN where the history never changes. MAPE is not told: it is undefined where nothing is sold.
    """
    steps = np.diff(floats(history))
    errors = floats(actual) - floats(forecast)
    with np.errstate(divide="ignore", invalid="ignore"):
        mase = np.abs(errors).mean() / np.abs(steps).mean() if steps.any() else np.nan
        rmsse = np.sqrt((errors**2).mean() / (steps**2).mean()) if steps.any() else np.nan
    return float(mase), float(rmsse)
