"""When to order and how much, in pieces and days; NaN where not known. Arrays are broadcast against each other.

Days are counted from today: 0 is today, day 1 is the first day of the forecast. Source: Silver, Pyke & Thomas,
Inventory and Production Management in Supply Chains, 4th ed., ch. 6 and 7.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from monitoring.planning.safety import Flags, Floats, floats, refuse_negative

# Sums of fractions may end a hair above a whole piece, and that is no reason to buy another one.
_HAIR = 1e-6


def inventory_position(
    on_hand: ArrayLike, reserved: ArrayLike, on_order: ArrayLike, back_ordered: ArrayLike = 0
) -> Floats:
    """What is there or comes, without what is promised; keeps its sign. An order line is reserved or back-ordered."""
    return floats(on_hand) - floats(reserved) - floats(back_ordered) + floats(on_order)


def reorder_point(
    demand: ArrayLike, lead_time_days: ArrayLike, safety_stock: ArrayLike, review_days: ArrayLike = 0
) -> Floats:
    """Inventory position at or below which the SKU is reordered: D (L + RP) + Ss; not rounded (orders are)."""
    mean, lead, held, review = map(floats, (demand, lead_time_days, safety_stock, review_days))
    refuse_negative(demand=mean, lead_time_days=lead, safety_stock=held, review_period_days=review)
    return mean * (lead + review) + held


@dataclass(frozen=True, slots=True)
class OrderQuantity:
    unrounded: Floats  # what is missing
    quantity: Floats  # in whole packs, at least the minimum order; 0 where nothing is missing


def order_quantity(
    needed: ArrayLike,
    safety_stock: ArrayLike,
    position: ArrayLike,
    *,
    pack: ArrayLike = 1,
    minimum: ArrayLike = 0,
    presence: ArrayLike = 0,
    is_discontinued: ArrayLike = False,
) -> OrderQuantity:
    """What the inventory position lacks of `needed` (the demand of the next L + RP days) and the safety stock.

    `presence` is the least that shall be there even where nothing is sold. A discontinued SKU is not bought, whatever
    else is not known. Packs and minimum order that are not known count as single pieces and none.
    """
    wanted, held, there, least = map(floats, (needed, safety_stock, position, presence))
    packs, smallest = (np.nan_to_num(floats(each), nan=instead) for each, instead in ((pack, 1.0), (minimum, 0.0)))
    refuse_negative(demand=wanted, safety_stock=held, minimum_order=smallest, minimum_presence=least)
    if np.any(packs < 1):
        raise ValueError("a pack holds at least one piece")
    missing = np.maximum(0.0, np.maximum(wanted + held, least) - there)
    missing = np.where(is_discontinued, 0.0, missing)
    whole = np.ceil(np.maximum(np.ceil(missing - _HAIR), smallest) / packs) * packs
    return OrderQuantity(missing, np.where(missing > _HAIR, whole, missing * 0))


@dataclass(frozen=True, slots=True)
class Receipts:
    """What of the units on order is counted on."""

    is_counted: Flags
    overdue_days: Floats  # 0: not overdue; NaN: nobody said when it comes


def expected_receipts(due_day: ArrayLike, lead_time_spread_days: ArrayLike) -> Receipts:
    """A receipt overdue by more than the spread of its lead time is shown and not counted on.

    `due_day` is below 0 for days that have passed, and NaN where nobody said it: it is ordered all the same, and so it
    is counted on. A spread that is not known is 0.
    """
    due, spread = np.broadcast_arrays(floats(due_day), np.nan_to_num(floats(lead_time_spread_days)))
    refuse_negative(lead_time_spread_days=spread)
    overdue = np.maximum(0.0, -due)
    return Receipts(~(overdue > spread), overdue)


def projected_stock(available: ArrayLike, forecast: ArrayLike, arrivals: ArrayLike) -> Floats:
    """The stock at the end of each coming day, one row a series; it goes below 0 where demand is not met.

    `available` is on hand less reserved and back-ordered. `forecast` and `arrivals` are [series, days]; what is due
    already belongs to the first day.
    """
    changes = floats(arrivals) - floats(forecast)
    return floats(available)[..., np.newaxis] + np.cumsum(changes, axis=-1)


@dataclass(frozen=True, slots=True)
class OrderDay:
    need_day: Floats  # the first day whose stock ends below the safety stock; inf: none as far as is projected
    order_by_day: Floats  # at the latest; 0 is today; inf: not as far as is projected
    is_late: Flags  # it should have been ordered before today


def order_day(projected: ArrayLike, safety_stock: ArrayLike, lead_time_days: ArrayLike) -> OrderDay:
    """By which day to order, so that the receipt comes before the stock ends a day below the safety stock."""
    lead = floats(lead_time_days)
    refuse_negative(lead_time_days=lead)
    need = _first_day_below(projected, safety_stock)
    by = np.floor(need - lead)
    return OrderDay(need, np.maximum(0.0, by), by < 0)


def stock_out_day(projected: ArrayLike) -> Floats:
    """The first day on which demand exceeds what is there; inf: none as far as is projected."""
    return _first_day_below(projected, 0)


def _first_day_below(projected: ArrayLike, limit: ArrayLike) -> Floats:
    stock = floats(projected)
    least = np.broadcast_to(floats(limit), stock.shape[:-1])[..., np.newaxis]
    is_below = stock < least - _HAIR
    first = np.where(is_below.any(axis=-1), is_below.argmax(axis=-1) + 1.0, np.inf)
    # Nobody knows what comes first once there is a day that is not known.
    unknown = np.isnan(stock + least)
    return np.where(unknown.any(axis=-1) & (first > unknown.argmax(axis=-1)), np.nan, first)


def days_until_order(position: ArrayLike, point: ArrayLike, demand: ArrayLike) -> Floats:
    """Whole days until the position falls to the reorder point at a steady demand; inf where nothing is sold."""
    above, daily = floats(position) - floats(point), floats(demand)
    refuse_negative(demand=daily)
    with np.errstate(divide="ignore", invalid="ignore"):
        days = np.floor(above / daily + _HAIR)
    return np.where(above <= 0, 0.0, np.maximum(0.0, days))
