"""The arithmetic of planning 100,000 SKUs over 365 days against the loop over SKUs and a bare numpy pass; the choice of
methods for 10,000 series by backtest; and forecasts of 100,000 with the memory that they take.

python -m benchmarks forecast
"""

import resource
from typing import Any

import numpy as np

from benchmarks.baselines import bare_planning, per_sku_planning
from benchmarks.harness import pairs, report, timed
from monitoring.planning import ordering, safety
from monitoring.planning.choosing import choose
from monitoring.planning.demand import velocity
from monitoring.planning.forecasting import DAYS, Array, method_names
from monitoring.planning.safety import Floats

SKUS, PERIODS, SERIES = 100_000, 365, 10_000
LOOPED = 4_000  # SKUs of the loop, whose time grows with them; it is told for all
LEAD, REVIEW = 9, 5


def made_up() -> Array:
    """Daily demand of SKUs that sell from never to often; every tenth one began within the year."""
    random = np.random.default_rng(1)
    demand = np.empty((SKUS, PERIODS), np.float32)
    rate = np.exp(random.normal(-1, 1.5, (SKUS, 1)))
    for start in range(0, SKUS, 2_000):
        rows = slice(start, start + 2_000)
        demand[rows] = random.negative_binomial(0.7, 0.7 / (0.7 + rate[rows]), (2_000, PERIODS))
    return demand


def planned(demand: Array, positions: Floats) -> Floats:
    """Orders by the textbook form, through the functions that the product uses."""
    mean, spread = velocity(demand)
    held = safety.textbook(spread, LEAD, 0.95)
    return ordering.order_quantity(mean * (LEAD + REVIEW), held, positions).quantity


def arithmetic(demand: Array, positions: Floats) -> dict[str, Any]:
    days, there = demand[:LOOPED].tolist(), positions[:LOOPED].tolist()
    share = SKUS / LOOPED
    of_loop = pairs(
        lambda: timed(lambda: planned(demand, positions)),
        lambda: share * timed(lambda: per_sku_planning(days, there, lead=LEAD, review=REVIEW)),
    )
    of_bare = pairs(
        lambda: timed(lambda: planned(demand, positions)),
        lambda: timed(lambda: bare_planning(demand, positions, lead=LEAD, review=REVIEW)),
        count=9,
    )
    return {"against_the_loop": of_loop, "against_bare_numpy": of_bare}


def main(_database: str) -> None:
    demand = made_up()
    positions = np.random.default_rng(2).integers(0, 60, SKUS).astype(float)
    ratios = arithmetic(demand, positions)
    demand[::10, : PERIODS // 2] = np.nan
    some = demand[:SERIES]
    backtest = timed(lambda: choose(some, LEAD + REVIEW, DAYS).totals(some).quantile(0.95))
    everything = timed(lambda: choose(demand, LEAD + REVIEW, DAYS).totals(demand).quantile(0.95))
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    loop, bare = ratios["against_the_loop"]["ratio"], ratios["against_bare_numpy"]["ratio"]
    report(
        "planning 100,000 SKUs over 365 days",
        target="15 x the loop, 0.5 of bare numpy; 10,000 series tested in 10 s; below 1 GB",
        passed=loop >= 15 and bare >= 0.5 and backtest < 10 and megabytes < 1024,
        **ratios,
        seconds_to_test_and_choose_for_10_000=round(backtest, 2),
        methods=len(method_names(DAYS, LEAD + REVIEW)),
        seconds_to_choose_and_forecast_100_000=round(everything, 2),
        megabytes=round(megabytes),
    )
