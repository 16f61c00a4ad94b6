"""Turnover, and the health of a stock as one number with its parts. NaN where not known.

Money comes in as figures of one currency and only ratios of it go out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from monitoring.planning.safety import Floats, floats, refuse_negative

DAYS_OF_A_YEAR = 365
FRESH_DAYS = 90
WEIGHTS = {"availability": 0.35, "cover": 0.25, "turnover": 0.20, "freshness": 0.20}
_SPARE_COVER_DAYS = 60


@dataclass(frozen=True, slots=True)
class Turnover:
    turns: Floats  # a year
    days: Floats  # that the stock lasts


def turnover(cost_of_goods: ArrayLike, days: ArrayLike, mean_stock: ArrayLike) -> Turnover:
    """Of what was sold in so many days, and the mean of the daily stock; both at cost, or both in pieces.

    NaN without any stock; infinite days where nothing was sold.
    """
    sold, period, stock = floats(cost_of_goods), floats(days), floats(mean_stock)
    refuse_negative(cost_of_goods=sold)
    if np.any(period <= 0):
        raise ValueError("a turnover is of at least one day")
    with np.errstate(divide="ignore", invalid="ignore"):
        turns = np.where(stock > 0, sold * DAYS_OF_A_YEAR / period / stock, np.nan)
        return Turnover(turns, DAYS_OF_A_YEAR / turns)


def usual_cover(lead_time_days: ArrayLike, review_days: ArrayLike) -> tuple[Floats, Floats]:
    """The least and the most days of cover that count as healthy, unless somebody set others."""
    lead = floats(lead_time_days)
    return lead, lead + floats(review_days) + _SPARE_COVER_DAYS


def cover_part(cover_days: ArrayLike, least_days: ArrayLike, most_days: ArrayLike) -> Floats:
    """1 from `least_days` to `most_days`; below in proportion, above falling to 0 at twice as much."""
    cover, least, most = map(floats, (cover_days, least_days, most_days))
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(cover < least, cover / least, np.where(cover > most, 1 - (cover - most) / most, 1.0))
    return np.where(np.isnan(cover + least + most), np.nan, np.maximum(0.0, part))


def dead_share(last_sold: ArrayLike, unsold_days: ArrayLike, on_hand: ArrayLike) -> Floats:
    """Of a SKU's stock in a warehouse: 0 if it was sold in the last 90 days, 1 if it could have been and was not.

    `last_sold` is days ago, below 0 for never; `unsold_days` the days since then, or of all its history, on which it
    could be sold. NaN without stock, and where these are fewer than 90: nobody can tell yet.
    """
    ago, unsold, there = map(floats, (last_sold, unsold_days, on_hand))
    fresh = (ago >= 0) & (ago <= FRESH_DAYS)
    share = np.where(fresh, 0.0, np.where(unsold >= FRESH_DAYS, 1.0, np.nan))
    return np.where(there > 0, share, np.nan)


@dataclass(frozen=True, slots=True)
class Health:
    """Parts from 0 to 1, and the score from 0 to 100 of those that are known; NaN where none is."""

    availability: Floats
    cover: Floats
    turnover: Floats
    freshness: Floats
    score: Floats


def health(
    *,
    stock_out_probability: ArrayLike,
    cover_days: ArrayLike,
    least_cover_days: ArrayLike,
    most_cover_days: ArrayLike,
    turns: ArrayLike,
    turns_target: ArrayLike,
    dead_share: ArrayLike,
) -> Health:
    """`dead_share` is the share of the stock's value without a sale in 90 days.

    A part that is not known is left out, and the weights of the others make up for it.
    """
    target = floats(turns_target)
    if np.any(target <= 0):
        raise ValueError("the target of the turnover is above 0")
    parts = np.stack(
        np.broadcast_arrays(
            1 - floats(stock_out_probability),
            cover_part(cover_days, least_cover_days, most_cover_days),
            np.minimum(1.0, floats(turns) / target),
            1 - floats(dead_share),
        )
    )
    weights = np.array(list(WEIGHTS.values())).reshape(-1, *[1] * (parts.ndim - 1))
    known = ~np.isnan(parts)
    with np.errstate(invalid="ignore"):
        score = 100 * np.where(known, parts * weights, 0.0).sum(axis=0) / np.where(known, weights, 0.0).sum(axis=0)
    availability, cover, turned, freshness = parts
    return Health(availability, cover, turned, freshness, score)
