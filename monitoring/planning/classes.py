"""Classes of SKUs: by the pattern of their demand, by what they earn, by how steadily they sell.

Daily demand is [series, days], the last column the last full day, NaN what is not known. Sources: Syntetos & Boylan,
Int. J. Forecasting 21 (2005); Syntetos, Boylan & Croston, J. Oper. Res. Soc. 56 (2005); Silver, Pyke & Thomas, ch. 2.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitoring.planning.safety import Floats, floats

ADI_LIMIT = 1.32
CV2_LIMIT = 0.49
A_TENTHS, B_TWENTIETHS = 8, 19  # A below 80 %, B below 95 % of the cumulated value
X_LIMIT, Y_LIMIT = 0.5, 1.0
LEAST_WEEKS = 8
_WEEK = 7


class Pattern(StrEnum):
    SMOOTH = "smooth"
    INTERMITTENT = "intermittent"
    ERRATIC = "erratic"
    LUMPY = "lumpy"
    NONE = ""  # nothing was sold


@dataclass(frozen=True, slots=True)
class Patterns:
    interval: Floats  # ADI, periods for one with demand; NaN: nothing was sold
    size_variation: Floats  # CV2 of the sizes; NaN with fewer than two
    pattern: NDArray[np.str_]


def demand_patterns(demand: ArrayLike) -> Patterns:
    """By ADI and CV2 of the periods that are known; the class of days and that of weeks may differ.

    What was sold once is lumpy, with a spread that nobody knows.
    """
    sold = floats(demand)
    is_demand = sold > 0
    days, times = (~np.isnan(sold)).sum(axis=-1), is_demand.sum(axis=-1)
    sizes = np.where(is_demand, sold, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = np.where(times > 0, days / times, np.nan)
        mean = sizes.sum(axis=-1) / times
        squares = (np.where(is_demand, sold - mean[..., np.newaxis], 0.0) ** 2).sum(axis=-1)
        variation = np.where(times > 1, squares / (times - 1) / mean**2, np.nan)
    rare, uneven = interval >= ADI_LIMIT, variation >= CV2_LIMIT
    pattern = np.select(
        [times == 0, times == 1, rare & uneven, rare, uneven],
        [Pattern.NONE, Pattern.LUMPY, Pattern.LUMPY, Pattern.INTERMITTENT, Pattern.ERRATIC],
        Pattern.SMOOTH,
    )
    return Patterns(interval, variation, pattern)


def abc(value: ArrayLike, sku_id: ArrayLike) -> NDArray[np.str_]:
    """A, B or C of each SKU by its revenue, or margin, of a year.

    By the share that the more valuable ones have together: below 80 % A, below 95 % B; of equals the lower id is
    the first. Without revenue, or where it is not known: C. Whole minor units of money are compared exactly.
    """
    given = np.asarray(value)
    exact = np.issubdtype(given.dtype, np.integer)
    earned = given.astype(np.int64) if exact else np.nan_to_num(floats(value))
    earned = np.maximum(earned, 0)
    order = np.lexsort((np.asarray(sku_id), -earned))
    running = np.cumsum(earned[order])
    before = running - earned[order]
    total = earned.sum()
    is_a, is_b = before * 10 < total * A_TENTHS, before * 20 < total * B_TWENTIETHS
    grades = np.where(earned[order] <= 0, "C", np.where(is_a, "A", np.where(is_b, "B", "C")))
    result = np.empty(grades.shape, dtype=grades.dtype)
    result[order] = grades
    return result


def xyz(demand: ArrayLike) -> NDArray[np.str_]:
    """X, Y or Z by the variation of the weekly demand; "" with fewer than 8 full weeks, or where nothing was sold.

    Weeks are counted back from the last day; one with a day that is not known is no full week.
    """
    sold = floats(demand)
    weeks = sold.shape[-1] // _WEEK
    totals = sold[..., sold.shape[-1] - weeks * _WEEK :].reshape(*sold.shape[:-1], weeks, _WEEK).sum(axis=-1)
    known = ~np.isnan(totals)
    number = known.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, totals, 0.0).sum(axis=-1) / number
        squares = (np.where(known, totals - mean[..., np.newaxis], 0.0) ** 2).sum(axis=-1)
        variation = np.sqrt(squares / (number - 1)) / mean
    return np.select(
        [(number < LEAST_WEEKS) | ~(mean > 0), variation <= X_LIMIT, variation <= Y_LIMIT], ["", "X", "Y"], "Z"
    )
