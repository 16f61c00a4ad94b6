"""The planning run: what is known of each SKU in each warehouse becomes its plan, and advice where something is due."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from catalog.database import among, refresh_statistics
from catalog.models import StockLevel
from monitoring.models import Advice, PlanRun, SkuPlan
from monitoring.planning.forecasting import Array
from monitoring.services.planning.crossing import check_points
from monitoring.services.planning.demand import Demand, Ints, catch_up, history_keys, load_demand
from monitoring.services.planning.figures import figure_out, without_one_offs
from monitoring.services.planning.inputs import inputs_of, known_grades, places_to_plan
from monitoring.services.planning.low_stock import propose_limits
from monitoring.services.planning.report_cards import Judged, judge_forecasts, save_report
from monitoring.services.planning.saving import save_advice, save_plans

SAMPLE = 4_000  # series that methods are chosen on


@dataclass(frozen=True, slots=True)
class Planned:
    """What came of a run."""

    places: int
    advice: int
    gone: int

    def __str__(self) -> str:
        return f"{self.places} places planned, {self.advice} advised, {self.gone} not needed any more"


Tell = Callable[[str, int], None]  # what is being done now, and for how many places


def _silent(_step: str, _places: int) -> None:
    """Nobody wants to know."""


def plan(sku_ids: Collection[int] | None = None, *, now: datetime, run: PlanRun, tell: Tell = _silent) -> Planned:
    """Plan these SKUs, or all: bring demand up to yesterday, forecast, and store plans and advice.

    Methods are chosen on the same sample of all histories whichever SKUs are planned, so that a SKU's plan does not
    hang on who is planned with it.
    """
    tell("Demand", 0)
    catch_up(sku_ids, now=now)
    keys = places_to_plan(sku_ids)
    tell("Stock, orders and terms", len(keys))
    inputs = inputs_of(keys, now=now)
    if sku_ids is not None:
        inputs.grades = known_grades(inputs)
    demand = load_demand(keys, now=now)
    PlanRun.objects.filter(pk=run.pk).update(total=len(keys))
    sample = sample_of(demand, now)
    tell("Forecasts", len(keys))
    figures = figure_out(demand, sample, inputs, now=now)
    del demand  # the largest of all, and not needed any more
    tell("Plans and advice", len(keys))
    with transaction.atomic():
        save_plans(figures, now, sku_ids=sku_ids)
        advised, gone = save_advice(figures, now, sku_ids=sku_ids)
        if sku_ids is None:
            refresh_statistics(SkuPlan, Advice)
        limits, needless = propose_limits(sku_ids, now=now)
        if sku_ids is None:
            save_report(sample, figures.period, run)
        PlanRun.objects.filter(pk=run.pk).update(done=len(keys))
    return Planned(len(keys), advised + limits, gone + needless)


def sample_keys() -> Ints:
    """Of histories spread evenly over all."""
    keys = history_keys()
    return keys if len(keys) <= SAMPLE else keys[np.linspace(0, len(keys) - 1, SAMPLE).astype(np.intp)]


def sample_of(demand: Demand, now: datetime) -> Array:
    """Histories spread evenly over all, that methods are chosen on."""
    keys = sample_keys()
    if np.isin(keys, demand.keys).all():
        found = demand.units[np.searchsorted(demand.keys, keys)]
    else:
        found = load_demand(keys, now=now).units
    return without_one_offs(found)[0]


def judge_plans(sku_ids: Collection[int] | None = None, *, now: datetime) -> Judged:
    """Give the plans of these SKUs, or all, the report cards of their own forecasts."""
    sample = without_one_offs(load_demand(sample_keys(), now=now).units)[0]
    return judge_forecasts(sku_ids, now=now, sample=sample)


def run_plan(
    sku_ids: Collection[int] | None = None,
    *,
    now: datetime,
    run: PlanRun | None = None,
    tell: Tell = _silent,
) -> tuple[PlanRun, Planned]:
    """Plan as one run that is kept, with why it ended early where it did; the error is raised all the same.

    `run` is one that somebody asked for.
    """
    if run is None:
        kind = PlanRun.Kind.FULL if sku_ids is None else PlanRun.Kind.CHANGES
        run = PlanRun.objects.create(kind=kind, started_at=now)
    try:
        planned = plan(sku_ids, now=now, run=run, tell=tell)
    except Exception as error:
        PlanRun.objects.filter(pk=run.pk).update(ended_at=timezone.now(), problem=type(error).__name__[:200])
        raise
    check_points(_crossed(sku_ids), now=now)
    PlanRun.objects.filter(pk=run.pk).update(ended_at=max(timezone.now(), now))
    run.refresh_from_db()
    return run, planned


def _crossed(sku_ids: Collection[int] | None) -> list[int]:
    """SKUs that stand otherwise to their points than they did: the points moved, or what is on its way."""
    plans = SkuPlan.objects.annotate(there=F("on_hand") - F("reserved"), to_come=F("there") + F("on_the_way"))
    is_below, is_due = Q(there__lt=F("safety_stock")), Q(to_come__lte=F("reorder_point"))
    moved = (
        (is_below & Q(is_below_safety=False))
        | (Q(there__gte=F("safety_stock")) & Q(is_below_safety=True))
        | (is_due & Q(is_below_reorder=False))
        | (Q(to_come__gt=F("reorder_point")) & Q(is_below_reorder=True))
    )
    if sku_ids is not None:
        plans = plans.filter(sku__in=among(sorted(sku_ids)))
    return sorted(set(plans.filter(moved).order_by().values_list("sku", flat=True)))


def changed_skus(*, now: datetime) -> list[int]:
    """SKUs whose stock, orders or terms moved since they were planned; those of no plan yet, too."""
    planned = SkuPlan.objects.filter(sku=OuterRef("sku"), warehouse=OuterRef("warehouse"))
    newer = planned.filter(planned_at__gte=OuterRef("updated_at"))
    levels = StockLevel.objects.filter(~Exists(newer), warehouse__is_active=True).order_by()
    return sorted(set(levels.values_list("sku", flat=True)))
