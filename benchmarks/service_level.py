"""Weekly review, a lead time of 14 days and lost sales: the service that forecasts reach, and the stock that it takes.

Each week each SKU is ordered up to the quantile of the demand until the delivery of the next week's order. What is sold
out is not sold later, and the days that opened without stock are not known to the forecast. The textbook formula gets
the same days, and whatever safety factor it needs for the same service.

    python -m benchmarks service_level          # of a regular and of a lumpy trade that are made up
    python -m benchmarks service_level FILE     # of sales as sku,date,quantity, .csv or .csv.gz
"""

import gzip
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.harness import report
from monitoring.planning.choosing import choose
from monitoring.planning.demand import read_sales, velocity
from monitoring.planning.forecasting import DAYS, Array
from monitoring.planning.ordering import order_quantity
from monitoring.planning.safety import Floats

LEAD, REVIEW, TARGET = 14, 7, 0.95
FIRST_DAY = 150  # of the simulation; before it everything was for sale
SETTLING = LEAD + 4 * REVIEW  # days until the stock no longer shows how it began
HALVINGS = 12
MOST_DEVIATIONS = 12.0

Policy = Callable[[Array], Floats]  # the demand as it is known: how many pieces to order up to


class Result(NamedTuple):
    service: float  # share of the cycles, the weeks between two deliveries, in which nothing was missing
    stock: float  # mean pieces on hand, over all SKUs
    fill_rate: float


def calibrated(known: Array) -> Floats:
    return choose(known, LEAD + REVIEW, DAYS).totals(known).whole_quantile(TARGET)


def textbook(factor: float) -> Policy:
    """D (L + RP) + factor x sqrt(L) x s."""

    def policy(known: Array) -> Floats:
        mean, spread = velocity(known, DAYS.mean_window)[0], velocity(known, DAYS.spread_window)[1]
        # Out of stock for the whole window: as all of the history tells.
        mean = np.where(np.isnan(mean), velocity(known)[0], mean)
        level: Floats = mean * (LEAD + REVIEW) + factor * np.sqrt(LEAD) * np.nan_to_num(spread)
        return level

    return policy


def simulated(demand: Array, policy: Policy) -> Result:
    """Of a demand without unknown days, NaN only before a SKU was for sale."""
    wanted = np.nan_to_num(demand).astype(float)
    skus, days = wanted.shape
    known = demand.copy()
    on_hand = np.ceil(policy(known[:, :FIRST_DAY]))
    arrivals = np.zeros((skus, days + LEAD + 1))
    missing, stock = np.zeros((2, skus, days))
    for day in range(FIRST_DAY, days):
        on_hand = on_hand + arrivals[:, day]
        if (day - FIRST_DAY) % REVIEW == 0:
            position = on_hand + arrivals[:, day + 1 :].sum(axis=1)
            arrivals[:, day + LEAD] = order_quantity(policy(known[:, :day]), 0, position).quantity
        known[on_hand <= 0, day] = np.nan
        sold = np.minimum(on_hand, wanted[:, day])
        can_be_seen = on_hand > 0
        known[can_be_seen, day] = sold[can_be_seen]
        missing[:, day] = wanted[:, day] - sold
        on_hand = on_hand - sold
        stock[:, day] = on_hand
    first = FIRST_DAY + SETTLING
    cycles = (days - first) // REVIEW
    measured = slice(first, first + cycles * REVIEW)
    is_short = missing[:, measured].reshape(skus, cycles, REVIEW).any(axis=2)
    lost = missing[:, measured].sum() / wanted[:, measured].sum()
    return Result(1 - float(is_short.mean()), float(stock[:, measured].mean(axis=1).sum()), 1 - float(lost))


def textbook_of_same_service(demand: Array, service: float) -> tuple[float, Result]:
    low, high = 0.0, MOST_DEVIATIONS
    for _halving in range(HALVINGS):
        middle = (low + high) / 2
        reached = simulated(demand, textbook(middle)).service
        low, high = (middle, high) if reached < service else (low, middle)
    return high, simulated(demand, textbook(high))


def made_up(*, skus: int, shape: float, drift: float, seed: int, days: int = 400) -> Array:
    """Negative binomial days about rates that wander; the lower the shape, the rarer and larger the sales."""
    random = np.random.default_rng(seed)
    rate = np.exp(random.normal(0, 1.2, (skus, 1)) + np.cumsum(random.normal(0, drift, (skus, days)), axis=1))
    return random.negative_binomial(shape, shape / (shape + rate)).astype(np.float32)


def of_file(name: str) -> Array:
    """The SKUs that had sold for four weeks when the simulation begins."""
    opened = gzip.open if name.endswith(".gz") else open
    with opened(name, "rt", encoding="utf-8-sig") as file:
        sales, _refused = read_sales(file, today=datetime.now(UTC).date())
    demand = sales.demand(int(sales.period.max()), 3 * 365)
    return demand[~np.isnan(demand[:, FIRST_DAY - DAYS.least_history])]


def main(_database: str) -> None:
    if sys.argv[2:]:
        trades = {Path(sys.argv[2]).name: of_file(sys.argv[2])}
    else:
        trades = {
            "a regular trade": made_up(skus=400, shape=2.0, drift=0.015, seed=1),
            "a lumpy trade": made_up(skus=600, shape=0.3, drift=0.02, seed=2),
        }
    for name, demand in trades.items():
        ours = simulated(demand, calibrated)
        factor, other = textbook_of_same_service(demand, ours.service)
        usual = simulated(demand, textbook(1.65))
        share = ours.stock / other.stock
        report(
            f"service level in {name}",
            target="0.94 to 0.97 at a target of 0.95, with at most 0.95 of the textbook formula's stock for the same",
            passed=0.94 <= ours.service <= 0.97 and share <= 0.95,
            skus=len(demand),
            service=round(ours.service, 4),
            fill_rate=round(ours.fill_rate, 4),
            stock=round(ours.stock),
            share_of_the_textbook_stock=round(share, 3),
            textbook_of_the_same_service={"factor": round(factor, 2), "service": round(other.service, 4)},
            textbook_of_165={"service": round(usual.service, 4), "stock": round(usual.stock)},
        )
