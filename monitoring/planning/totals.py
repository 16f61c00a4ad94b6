"""The total demand of the protection period as a distribution: its mean, quantiles, and what would be missing.

Calibrated on the errors that the forecast in use made at past origins: (actual total - forecast) / scale, pooled over
the series of a volume class (split conformal prediction), so that a quantile is the forecast + k x scale with the k
that would have reached that share of the past cases. Scales with whole volumes in them let the small sellers, whose
own errors are few, borrow from their like. Series too short for that get a negative binomial distribution.

Quantiles of a total are never sums of the quantiles of its days.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitoring.planning import risk, safety
from monitoring.planning.safety import Floats, floats

TARGET = 0.95  # the scale is chosen at it
CLASSES = 8  # of volume, at most
LEAST_ERRORS = 30  # with fewer nothing is calibrated
LEAST_OF_CLASS = 250  # errors in each class, where there are several
_OWN_ERRORS = 3.0  # a series' own errors weigh as much as those of its like when it has so many of them


@dataclass(frozen=True, slots=True)
class Spread:
    """What the scale of a series' error is made of; [series] or [samples]."""

    mean: Floats  # the forecast of the total
    deviation: Floats  # standard deviation of a period x sqrt(periods)
    squared_error: Floats  # sum over the past origins, of totals
    errors: Floats  # how many origins that sum has


@dataclass(frozen=True, slots=True)
class Calibration:
    """What past origins tell about the errors of forecasts; see calibrate()."""

    scale: str
    prior: tuple[float, float]  # squared error of a series of mean m without own errors: prior . (m + 1/2, m^2)
    edges: Floats  # between the classes, of the mean
    errors: tuple[Floats, ...]  # by class, in scales, ascending
    dispersion: float  # variance / mean of a total
    losses: Mapping[str, float]  # of the scales that were tried

    @property
    def is_calibrated(self) -> bool:
        return bool(self.errors)

    def rmse(self, spread: Spread) -> Floats:
        """Of the totals of each series: of its own past origins, and the fewer they are the more of its like."""
        like = self.prior[0] * (spread.mean + 0.5) + self.prior[1] * spread.mean**2
        return np.sqrt((spread.squared_error + _OWN_ERRORS * like) / (spread.errors + _OWN_ERRORS))

    def scales(self, spread: Spread) -> dict[str, Floats]:
        volume, deviation, rmse = spread.mean + 0.5, spread.deviation + 0.1, self.rmse(spread)
        return {
            "volume": volume,
            "deviation": deviation,
            "rmse": rmse,
            "volume and deviation": np.sqrt(volume * deviation),
            "volume and rmse": np.sqrt(volume * rmse),
        }


@dataclass(frozen=True, slots=True)
class Totals:
    """Of each series the distribution of its total. NaN: nothing is known of the series."""

    mean: Floats
    scale: Floats
    rmse: Floats  # of the totals at past origins
    volume_class: NDArray[np.intp]
    calibration: Calibration
    is_counted: NDArray[np.bool_]  # negative binomial with the variance below
    variance: Floats
    is_empty: NDArray[np.bool_]  # never sold: 0 for certain

    def quantile(self, level: float) -> Floats:
        """The total that is not exceeded with this probability; not rounded. Raises ValueError beyond 0 and 1."""
        safety.service_factor(level)
        found = np.full(self.mean.shape, np.nan)
        for number, errors in enumerate(self.calibration.errors):
            here = self.volume_class == number
            found[here] = self.mean[here] + _quantile(errors, level) * self.scale[here]
        counted = self.is_counted
        found[counted] = safety.count_quantile(self.mean[counted], self.variance[counted], level)
        return np.where(self.is_empty, 0.0, np.maximum(found, 0.0))

    def whole_quantile(self, level: float) -> Floats:
        """Whole pieces that cover as many of the past cases as quantile() does: totals are whole themselves."""
        return np.floor(self.quantile(level) + 1e-9)

    def exceedance(self, available: ArrayLike) -> Floats:
        """P(total > available)."""
        there = np.broadcast_to(floats(available), self.mean.shape)
        found = np.full(self.mean.shape, np.nan)
        for number, errors in enumerate(self.calibration.errors):
            here = self.volume_class == number
            limit = (there[here] - self.mean[here]) / self.scale[here]
            found[here] = 1 - np.searchsorted(errors, limit, side="right") / len(errors)
        counted = self.is_counted
        found[counted] = risk.stock_out_probability(there[counted], self.mean[counted], self.variance[counted])
        return np.where(np.isnan(there + self.mean), np.nan, np.where(there < 0, 1.0, self._none_sold(found)))

    def missing(self, available: ArrayLike) -> Floats:
        """E[(total - available)+], in pieces."""
        there = np.broadcast_to(floats(available), self.mean.shape)
        held = np.maximum(there, 0.0)
        found = np.full(self.mean.shape, np.nan)
        for number, errors in enumerate(self.calibration.errors):
            here = self.volume_class == number
            limit = (held[here] - self.mean[here]) / self.scale[here]
            first = np.searchsorted(errors, limit, side="right")
            above = np.append(np.cumsum(errors[::-1])[::-1], 0.0)[first]
            found[here] = self.scale[here] * (above - limit * (len(errors) - first)) / len(errors)
        counted = self.is_counted
        found[counted] = risk.expected_missing(held[counted], self.mean[counted], self.variance[counted])
        return np.where(np.isnan(there + self.mean), np.nan, self._none_sold(found) + held - there)

    def _none_sold(self, found: Floats) -> Floats:
        return np.where(self.is_empty, 0.0, found)


def calibrate(actual: Floats, spread: Spread, weight: Floats) -> Calibration:
    """From samples of past origins: the actual totals beside what was known of them then.

    The scale is the one whose quantile at TARGET has the least loss, each sample weighing `weight`. The squared errors
    of a sample are those of totals that were known at its origin. With fewer than LEAST_ERRORS samples the
    result is not calibrated.
    """
    mean = spread.mean
    squared = (actual - mean) ** 2
    dispersion = max(float(squared.sum() / max(mean.sum(), 1e-9)), 1.0) if len(actual) else 1.0
    if len(actual) < LEAST_ERRORS:
        return Calibration("", (dispersion, 0.0), np.empty(0), (), dispersion, {})
    blank = Calibration("", _prior(mean, squared), _edges(mean), (), dispersion, {})
    numbers = np.searchsorted(blank.edges, mean, side="right")
    losses: dict[str, float] = {}
    pooled: dict[str, tuple[Floats, ...]] = {}
    for name, scale in blank.scales(spread).items():
        scaled = (actual - mean) / scale
        pooled[name] = tuple(np.sort(scaled[numbers == number]) for number in range(len(blank.edges) + 1))
        factor = np.array([_quantile(errors, TARGET) for errors in pooled[name]])[numbers]
        losses[name] = float((quantile_loss(actual, np.maximum(mean + factor * scale, 0), TARGET) * weight).sum())
    best = min(losses, key=lambda name: losses[name])
    return Calibration(best, blank.prior, blank.edges, pooled[best], dispersion, losses)


def totals(
    calibration: Calibration,
    spread: Spread,
    *,
    is_short: NDArray[np.bool_],
    is_empty: NDArray[np.bool_],
    unsure: ArrayLike = 0.0,
) -> Totals:
    """The distributions of series that are like those of the samples; the short ones, or all, as counts.

    `unsure` is the variance of the mean itself; it widens the distributions of counts.
    """
    is_counted = is_short if calibration.is_calibrated else np.ones(spread.mean.shape, dtype=bool)
    rmse = calibration.rmse(spread)
    scale = calibration.scales(spread)[calibration.scale] if calibration.is_calibrated else rmse
    numbers = np.searchsorted(calibration.edges, spread.mean, side="right")
    return Totals(
        spread.mean,
        scale,
        np.where(is_empty, 0.0, rmse),
        np.where(is_counted | np.isnan(spread.mean), -1, numbers),
        calibration,
        is_counted,
        np.maximum(spread.mean * calibration.dispersion, rmse**2) + floats(unsure),
        is_empty,
    )


def quantile_loss(actual: ArrayLike, quantile: ArrayLike, level: float) -> Floats:
    """level x what was missing, or (1 - level) x what was left over."""
    over = floats(quantile) - floats(actual)
    return np.where(over > 0, (1 - level) * over, -level * over)


def _quantile(errors: Floats, level: float) -> float:
    """Of so many errors the one that leaves this share of all cases below it, those to come counted in.

    Beyond what so many can tell it grows like a normal one.
    """
    reach = len(errors) / (len(errors) + 1)
    place = int(np.ceil(min(level, reach) * (len(errors) + 1) - 1e-9)) - 1
    found = float(errors[max(place, 0)])
    if level > reach and found > 0:
        found *= float(safety.service_factor(level) / safety.service_factor(reach))
    return found


def _edges(mean: Floats) -> Floats:
    """Between classes of about as many samples each; an edge belongs to the class above it, and is a sample's mean."""
    classes = min(CLASSES, max(len(mean) // LEAST_OF_CLASS, 1))
    edges: Floats = np.unique(np.quantile(mean, np.arange(1, classes) / classes, method="lower"))
    return np.extract(edges > mean.min(), edges)


def _prior(mean: Floats, squared: Floats) -> tuple[float, float]:
    """How the squared error grows with the mean, by least squares of relative figures."""
    volume = mean + 0.5
    parts = np.stack([1 / volume, (mean / volume) ** 2], axis=1)
    wanted = squared / volume**2
    found = np.linalg.lstsq(parts, np.minimum(wanted, np.quantile(wanted, 0.99)), rcond=None)[0]
    return max(float(found[0]), 0.01), max(float(found[1]), 0.01)
