"""How much a price moves. Only prices of one currency, tax and quantity tier are compared.

Prices are [series, days] as plain figures, NaN on days without an observation; the results are ratios.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from monitoring.planning.safety import Floats, floats


@dataclass(frozen=True, slots=True)
class Volatility:
    """NaN with fewer than two prices; `change_sd` needs three, for two make one change."""

    variation: Floats  # standard deviation of the daily price / its mean
    change_sd: Floats  # standard deviation of the logarithm of the change between consecutive observations
    range_share: Floats  # (highest - lowest) / mean


def volatility(prices: ArrayLike) -> Volatility:
    """A day without an observation has the last price before it, except between observations for `change_sd`."""
    given = floats(prices)
    if np.any(given <= 0):
        raise ValueError("a price is above 0")
    observed = ~np.isnan(given)
    number = observed.sum(axis=-1)
    last = np.maximum.accumulate(np.where(observed, np.arange(given.shape[-1]), -1), axis=-1)
    filled = np.where(last < 0, np.nan, np.take_along_axis(given, np.maximum(last, 0), axis=-1))
    mean, sd = _mean_and_sd(filled)
    # The observation before each one, over gaps.
    previous = np.full(given.shape, np.nan)
    previous[..., 1:] = filled[..., :-1]
    with np.errstate(invalid="ignore"):
        _mean, change_sd = _mean_and_sd(np.log(given / previous))
        widest = np.where(observed, given, -np.inf).max(axis=-1, initial=-np.inf) - np.where(
            observed, given, np.inf
        ).min(axis=-1, initial=np.inf)
        enough = number >= 2
        return Volatility(
            np.where(enough, sd / mean, np.nan),
            np.where(enough, change_sd, np.nan),
            np.where(enough, widest / mean, np.nan),
        )


def _mean_and_sd(values: Floats) -> tuple[Floats, Floats]:
    """Of the known ones of each row; NaN with none, or fewer than two."""
    known = ~np.isnan(values)
    number = known.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=-1) / number
        squares = (np.where(known, values - mean[..., np.newaxis], 0.0) ** 2).sum(axis=-1)
        return mean, np.where(number > 1, np.sqrt(squares / (number - 1)), np.nan)
