"""How good the forecasts are: of all SKUs together and of each pattern of demand every night, of each SKU after it.

Figures are of totals at past origins, beside the seasonal naive method and the textbook formula.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from catalog.database import among, driver_rows, parts, update_rows
from monitoring.models import ForecastReport, PlanRun, SkuPlan
from monitoring.planning import classes
from monitoring.planning.forecasting import DAYS, Array
from monitoring.planning.report import (
    OURS,
    SEASONAL_NAIVE,
    TEXTBOOK,
    Accuracy,
    ReportCard,
    past_forecasters,
    report_card,
)
from monitoring.planning.safety import Floats
from monitoring.services.planning.demand import history_keys, load_demand, place_keys
from monitoring.services.planning.figures import LONGEST_HORIZON, horizons, without_one_offs

JUDGED = 1_500  # series that stand for all
FIGURES = ("wape", "bias", "coverage", "quantile_loss")
_AT_ONCE = 20_000  # places in memory
_NAMES: Mapping[str, ForecastReport.Method] = {
    OURS: ForecastReport.Method.OURS,
    SEASONAL_NAIVE: ForecastReport.Method.SEASONAL_NAIVE,
    TEXTBOOK: ForecastReport.Method.TEXTBOOK,
}


def save_report(sample: Array, period: Floats, run: PlanRun) -> None:
    """The report card of the commonest protection period: of all, and of each pattern of demand."""
    period = period[~np.isnan(period) & (period > 0)]
    if not len(period) or not len(sample):
        return
    periods, counts = np.unique(period, return_counts=True)
    horizon = int(min(periods[counts.argmax()], LONGEST_HORIZON))
    judged = sample[np.linspace(0, len(sample) - 1, min(JUDGED, len(sample))).astype(np.intp)]
    if judged.shape[1] < horizon + DAYS.least_history:
        return
    names, group = np.unique(classes.demand_patterns(judged).pattern, return_inverse=True)
    card = report_card(judged, horizon, DAYS, told_of=group)
    told = [
        ("", 0, card.everything),
        *((name, number, card.groups) for number, name in enumerate(names.tolist()) if name),
    ]
    ForecastReport.objects.bulk_create(
        ForecastReport(
            run=run,
            group=name,
            of=_NAMES[method],
            horizon=horizon,
            level=str(card.level),
            totals=int(accuracy.totals[number]),
            **dict(zip(FIGURES, _figures(accuracy, number), strict=True)),
        )
        for name, number, by_method in told
        for method, accuracy in by_method.items()
        if not name or accuracy.totals[number]
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """Of how many plans the forecasts were judged."""

    plans: int
    unknown: int

    def __str__(self) -> str:
        return f"{self.plans} forecasts judged, {self.unknown} of which nobody can tell"


def judge_forecasts(sku_ids: Collection[int] | None = None, *, now: datetime, sample: Array) -> Judged:
    """Give each plan of these SKUs, or of all, the report card of its own forecasts, over its own period.

    Methods are chosen on the sample alone, as they are for the plans. In a number of statements that stays the same for
    every 20,000 plans; the same again changes nothing.
    """
    plans = SkuPlan.objects.filter(protection_days__gt=0).order_by("sku", "warehouse")
    if sku_ids is not None:
        plans = plans.filter(sku__in=among(sorted(sku_ids)))
    rows = np.array(driver_rows(plans, ("pk", "sku", "warehouse", "protection_days")), np.int64).reshape(-1, 4)
    rows = rows[np.argsort(place_keys(rows[:, 1], rows[:, 2]))]
    rows = rows[np.isin(place_keys(rows[:, 1], rows[:, 2]), history_keys())]
    days = horizons(rows[:, 3].astype(float)).astype(int)
    judged = 0
    for horizon in np.unique(days).tolist():
        if sample.shape[1] < horizon + DAYS.least_history:
            continue
        chosen = past_forecasters(sample, horizon, DAYS)
        alike = rows[days == horizon]
        for start in range(0, len(alike), _AT_ONCE):
            some = alike[start : start + _AT_ONCE]
            demand = without_one_offs(load_demand(place_keys(some[:, 1], some[:, 2]), now=now).units)[0]
            card = report_card(demand, horizon, DAYS, chosen=chosen)
            judged += _save_cards(some[:, 0], card)
    return Judged(judged, plans.count() - judged)


def _save_cards(plans: NDArray[np.int64], card: ReportCard) -> int:
    """Returns how many have one."""
    told = []
    for place, key in enumerate(plans.tolist()):
        totals = int(card.series[OURS].totals[place])
        figures = {str(_NAMES[name]): _figures(each, place) for name, each in card.series.items()}
        kept = {"days": card.horizon, "level": card.level, "totals": totals, "methods": figures} if totals else {}
        told.append((key, *_figures(card.series[OURS], place), orjson.dumps(kept).decode(), totals))
    for some in parts(range(len(told))):
        update_rows(SkuPlan, "id", (*FIGURES, "report_card"), [told[number][:-1] for number in some])
    return sum(1 for row in told if row[-1])


def _figures(accuracy: Accuracy, place: int) -> list[Any]:
    """Null where nobody can tell."""
    values = [float(getattr(accuracy, name)[place]) for name in FIGURES]
    return [None if math.isnan(value) else round(value, 6) for value in values]
