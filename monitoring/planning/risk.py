"""How soon a SKU runs out, how likely that is, and what it would cost. NaN where not known."""

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from monitoring.planning.ordering import projected_stock, stock_out_day
from monitoring.planning.safety import Floats, floats, refuse_negative, share_within, unit_loss


class CoverStatus(IntEnum):
    KNOWN = 0
    NO_DEMAND = 1  # the cover is without end
    OUT_OF_STOCK = 2
    OVERSOLD = 3  # more is promised than is there: to be counted
    UNKNOWN = 4


def days_of_cover(available: ArrayLike, demand: ArrayLike) -> tuple[Floats, NDArray[np.int8]]:
    """Days that what is available lasts at a steady demand, and the status. NaN without demand, 0 below nothing."""
    there, daily = np.broadcast_arrays(floats(available), floats(demand))
    refuse_negative(demand=daily)
    with np.errstate(divide="ignore", invalid="ignore"):
        cover = np.where(daily > 0, np.maximum(0.0, there) / daily, np.nan)
    status = np.select(
        [np.isnan(there), there < 0, np.isnan(daily), daily == 0, there == 0],
        [
            CoverStatus.UNKNOWN,
            CoverStatus.OVERSOLD,
            CoverStatus.UNKNOWN,
            CoverStatus.NO_DEMAND,
            CoverStatus.OUT_OF_STOCK,
        ],
        CoverStatus.KNOWN,
    ).astype(np.int8)
    return np.where(there < 0, 0.0, cover), status


def cover_of_forecast(available: ArrayLike, forecast: ArrayLike) -> Floats:
    """The first day on which the cumulated forecast, [series, days], exceeds what is available; inf: none of them."""
    return stock_out_day(projected_stock(available, forecast, 0))


def stock_out_probability_normal(available: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> Floats:
    """P(demand of the lead time > available), of normal demand; `available` counts what arrives within it."""
    there, m, deviation = np.broadcast_arrays(floats(available), floats(mean), floats(sd))
    refuse_negative(demand=m, sd=deviation)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(deviation == 0, (m > there).astype(float), special.ndtr((m - there) / deviation))
    return _with_certain(share, there, m, deviation)


def stock_out_probability(available: ArrayLike, mean: ArrayLike, variance: ArrayLike) -> Floats:
    """The same of whole pieces: negative binomial, or Poisson where the variance is not above the mean."""
    there, m, v = np.broadcast_arrays(floats(available), floats(mean), floats(variance))
    refuse_negative(demand=m, variance=v)
    return _with_certain(1 - share_within(there, m, v), there, m, v)


def _with_certain(share: Floats, there: Floats, mean: Floats, spread: Floats) -> Floats:
    """1 where it is out already, 0 where nothing is asked for."""
    share = np.where((there <= 0) & (mean > 0) | (there < 0), 1.0, np.where(mean == 0, 0.0, share))
    return np.where(np.isnan(there + mean + spread), np.nan, np.clip(share, 0, 1))


def expected_missing_normal(available: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> Floats:
    """E[(demand - available)+] of normal demand, in pieces."""
    there, m, deviation = np.broadcast_arrays(floats(available), floats(mean), floats(sd))
    refuse_negative(demand=m, sd=deviation)
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.where(deviation == 0, 0.0, (there - m) / deviation)
    return np.where(deviation == 0, np.maximum(0, m - there), deviation * unit_loss(k))


def expected_missing(available: ArrayLike, mean: ArrayLike, variance: ArrayLike) -> Floats:
    """The same of whole pieces: negative binomial, or Poisson where the variance is not above the mean."""
    there, m, v = np.broadcast_arrays(floats(available), floats(mean), floats(variance))
    refuse_negative(demand=m, variance=v)
    # The sum of x P(x) above a limit is m P(above limit - 1) of the same distribution with r + 1 in place of r, whose
    # mean is m + (v - m) / m, and its variance that much larger.
    with np.errstate(divide="ignore", invalid="ignore"):
        extra = np.where((v > m) & (m > 0), (v - m) / m, 0.0)
        ratio = np.where(m > 0, np.maximum(v, m) / m, 1.0)
    above = m * (1 - share_within(there - 1, m + extra, (m + extra) * ratio))
    missing = above - there * (1 - share_within(there, m, v))
    return np.where(there < 0, m - there, np.maximum(0.0, missing))


def urgency_order(
    lost_margin: ArrayLike, probability: ArrayLike, is_out: ArrayLike, sku_id: ArrayLike
) -> NDArray[np.intp]:
    """The rows, most urgent first: what is out already, then by expected lost margin, probability and SKU.

    What is not known comes after what is.
    """
    margin, share = floats(lost_margin), floats(probability)
    return np.lexsort(
        (
            np.asarray(sku_id),
            -np.nan_to_num(share, nan=-1.0),
            -np.nan_to_num(margin),
            np.isnan(margin),
            ~np.asarray(is_out, dtype=bool),
        )
    )
