"""Safety stock, in pieces: held against variation of demand and lead time. Never below 0, and NaN where not known.

All take numbers or arrays, which are broadcast against each other. `demand` and `spread` are the mean and the standard
deviation of the demand of a day, `*_days` are days, `target` is the share of cycles that shall pass without a
stock-out.
Sources: Silver, Pyke & Thomas, Inventory and Production Management in Supply Chains, 4th ed., ch. 6 and 7; Chopra &
Meindl, Supply Chain Management, "Managing uncertainty in a supply chain"; Snyder & Shen, Fundamentals of Supply Chain
Theory, 2nd ed., ch. 4.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class LeadTimes:
    """Lead times to reckon with, and which parts of them nobody knows."""

    days: Floats
    spread_days: Floats
    is_default: Flags  # the warehouse's default stands in for the supplier's
    is_spread_assumed: Flags  # not known, and so 0 in the formulas


def lead_times(days: ArrayLike, spread_days: ArrayLike, default_days: ArrayLike) -> LeadTimes:
    """The known lead times, and the default where none is known; still NaN where there is no default either."""
    known, spread, default = np.broadcast_arrays(floats(days), floats(spread_days), floats(default_days))
    refuse_negative(lead_time_days=known, lead_time_spread_days=spread, default_days=default)
    is_default = np.isnan(known)
    return LeadTimes(
        np.where(is_default, default, known),
        np.where(np.isnan(spread), 0.0, spread),
        is_default,
        np.isnan(spread),
    )


def service_factor(target: ArrayLike) -> Floats:
    """Z, the quantile of the standard normal; below 0 for targets below 0.5. Raises ValueError for 0, 1 and beyond."""
    wanted = floats(target)
    if np.any((wanted <= 0) | (wanted >= 1)):
        raise ValueError("a service target lies between 0 and 1, both left out")
    return floats(special.ndtri(wanted))


def textbook(spread: ArrayLike, lead_time_days: ArrayLike, target: ArrayLike) -> Floats:
    """Z sqrt(L) s: orders on any day, a fixed lead time, independent days, a total that is nearly normal."""
    return periodic(spread, lead_time_days, 0, target)


def periodic(spread: ArrayLike, lead_time_days: ArrayLike, review_days: ArrayLike, target: ArrayLike) -> Floats:
    """Z sqrt(L + RP) s: as the textbook form, ordering once in a review period."""
    return variable_lead_time(0, spread, lead_time_days, 0, target, review_days=review_days)


def variable_lead_time(
    demand: ArrayLike,
    spread: ArrayLike,
    lead_time_days: ArrayLike,
    lead_time_spread_days: ArrayLike,
    target: ArrayLike,
    *,
    review_days: ArrayLike = 0,
) -> Floats:
    """Z sqrt((L + RP) s^2 + D^2 sL^2). A spread of the lead time that is not known gives NaN: see lead_times()."""
    mean, sd, lead, lead_sd, review = map(floats, (demand, spread, lead_time_days, lead_time_spread_days, review_days))
    refuse_negative(
        demand=mean, spread=sd, lead_time_days=lead, lead_time_spread_days=lead_sd, review_period_days=review
    )
    return _held(service_factor(target) * np.sqrt((lead + review) * sd**2 + mean**2 * lead_sd**2))


def calibrated(factor: ArrayLike, rmse: ArrayLike) -> Floats:
    """k x RMSE of the total of the protection period; `factor` is the empirical quantile of the scaled past errors."""
    error = floats(rmse)
    refuse_negative(rmse=error)
    return _held(floats(factor) * error)


def of_counts(mean: ArrayLike, variance: ArrayLike, target: ArrayLike) -> Floats:
    """What the quantile of a total of whole pieces has above its mean; see count_quantile()."""
    return _held(count_quantile(mean, variance, target) - floats(mean))


def count_quantile(mean: ArrayLike, variance: ArrayLike, target: ArrayLike) -> Floats:
    """The least whole number that the total stays within, in a share `target` of all cases.

    Negative binomial; Poisson where the variance is not above the mean.
    """
    service_factor(target)
    m, v, wanted = np.broadcast_arrays(floats(mean), floats(variance), floats(target))
    refuse_negative(mean=m, variance=v)
    # By halving between whole numbers; Cantelli's inequality bounds the quantile on both sides.
    sd = np.sqrt(np.maximum(v, m))
    high = np.nan_to_num(np.ceil(m + sd * np.sqrt(wanted / (1 - wanted))))
    low = np.nan_to_num(np.maximum(np.floor(m - sd * np.sqrt((1 - wanted) / wanted)), 0) - 1)  # reaches too little
    while np.any(high - low > 1):
        middle = np.floor((low + high) / 2)
        reached = share_within(middle, m, v) >= wanted
        high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    return np.where(np.isnan(sd), np.nan, high)


def share_within(limit: ArrayLike, mean: ArrayLike, variance: ArrayLike) -> Floats:
    """P(total <= limit) of a total of whole pieces with this mean and variance; 0 below a limit of 0."""
    m, v = floats(mean), floats(variance)
    whole = np.floor(floats(limit))
    least = np.maximum(whole, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        negative_binomial = special.betainc(m**2 / (v - m), least + 1, m / v)
        poisson = special.pdtr(least, m)
    share = np.where(v > m, negative_binomial, poisson)
    share = np.where(m == 0, 1.0, share)
    return np.where(np.isnan(whole + m + v), np.nan, np.where(whole < 0, 0.0, share))


def pooled_variance(mean: ArrayLike, variance: ArrayLike, group: ArrayLike) -> Floats:
    """For each series its mean times the ratio of variance to mean of its group: for those too short for their own.

    `group` numbers the groups from 0. Series whose variance is not known do not speak for their group; a group in
    which none is known, or nothing is sold, gives NaN.
    """
    m, v = floats(mean), floats(variance)
    groups = np.asarray(group, dtype=np.intp)
    known = ~np.isnan(m + v)
    counted = np.bincount(groups[known], v[known], groups.max(initial=-1) + 1)
    means = np.bincount(groups[known], m[known], groups.max(initial=-1) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(means > 0, counted / means, np.nan)
    return floats(m * ratio[groups])


# Service that a safety stock gives; `sd` is the standard deviation of the demand of the lead time.


def cycle_service_level(safety_stock: ArrayLike, sd: ArrayLike) -> Floats:
    """P(no stock-out in a cycle)."""
    return floats(special.ndtr(_in_deviations(safety_stock, sd)))


def unit_loss(factor: ArrayLike) -> Floats:
    """G(k): what is missing on average in a cycle, in standard deviations, with a safety stock of k of them."""
    k = floats(factor)
    # cdf(-k), not 1 - cdf(k): it stays exact far out.
    return _held(np.exp(-(k**2) / 2) / np.sqrt(2 * np.pi) - np.where(np.isinf(k), 0, k) * special.ndtr(-k))


def expected_shortage(safety_stock: ArrayLike, sd: ArrayLike) -> Floats:
    """Pieces that are missing on average in a cycle (ESC)."""
    deviation = floats(sd)
    short = deviation * unit_loss(_in_deviations(safety_stock, deviation))
    return np.where(deviation == 0, np.maximum(0, -floats(safety_stock)), short)


def fill_rate(safety_stock: ArrayLike, sd: ArrayLike, order_quantity: ArrayLike) -> Floats:
    """Share of the demand that is served at once, with orders of this size; NaN for orders of 0."""
    quantity = floats(order_quantity)
    refuse_negative(order_quantity=quantity)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(quantity > 0, 1 - expected_shortage(safety_stock, sd) / quantity, np.nan)


def factor_for_fill_rate(sd: ArrayLike, order_quantity: ArrayLike, target: ArrayLike) -> Floats:
    """k for which a share `target` of the demand is served at once: G(k) = (1 - target) Q / sd; NaN for sd 0.

    Below 0 where even less than no safety stock would do.
    """
    service_factor(target)
    deviation, quantity, wanted = np.broadcast_arrays(floats(sd), floats(order_quantity), floats(target))
    refuse_negative(sd=deviation, order_quantity=quantity)
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = (1 - wanted) * quantity / deviation
    unknown = np.isnan(loss) | np.isinf(loss) | (loss <= 0)
    # G falls steadily; it is above -k for every k, and below 1e-300 beyond 37.
    low, high = np.where(unknown, -1.0, -loss - 1), np.full(loss.shape, 40.0)
    for _halving in range(_HALVINGS):
        middle = (low + high) / 2
        above = unit_loss(middle) > loss
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(unknown, np.nan, (low + high) / 2)


def newsvendor(holding: ArrayLike, shortage: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> tuple[Floats, Floats]:
    """The stock for one period of normal demand that costs least, and its cost.

    `holding` is the cost of a piece left over, `shortage` of a piece missing, both above 0.
    """
    over, under, deviation = floats(holding), floats(shortage), floats(sd)
    if np.any((over <= 0) | (under <= 0)):
        raise ValueError("holding and shortage cost something")
    refuse_negative(sd=deviation)
    z = special.ndtri(under / (over + under))
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return floats(floats(mean) + z * deviation), floats((over + under) * density * deviation)


def _in_deviations(safety_stock: ArrayLike, sd: ArrayLike) -> Floats:
    """Without any variation whatever is there suffices, and whatever is missing does not."""
    held, deviation = floats(safety_stock), floats(sd)
    refuse_negative(sd=deviation)
    with np.errstate(divide="ignore", invalid="ignore"):
        certain = np.where(np.isnan(held), np.nan, np.where(held >= 0, np.inf, -np.inf))
        return np.where(deviation == 0, certain, held / deviation)


def _held(safety_stock: ArrayLike) -> Floats:
    return np.maximum(0.0, floats(safety_stock))  # NaN stays NaN


def floats(values: ArrayLike) -> Floats:
    """As an array of floats; None is NaN."""
    return np.asarray(values, dtype=np.float64)


def refuse_negative(**values: Floats) -> None:
    """Raises ValueError with the name of the first that has a figure below 0."""
    for name, array in values.items():
        if np.any(array < 0):
            raise ValueError(f"{name.replace('_', ' ')} cannot be negative")
