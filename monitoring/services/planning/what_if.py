"""The plans as they would be with other terms: worked out beside the present ones, in memory; nothing is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
from django.db.models import QuerySet

from catalog.database import driver_rows
from monitoring.models import ForecastOverride, PlanRun, SkuPlan
from monitoring.planning import risk
from monitoring.planning.safety import Flags, Floats
from monitoring.services.planning.demand import PLACES, Ints, load_demand, place_keys, site_zone
from monitoring.services.planning.figures import Figures, figure_out
from monitoring.services.planning.inputs import Inputs, inputs_of, known_grades, places_to_plan
from monitoring.services.planning.running import sample_of

MOST_PLACES = 5_000  # SKUs in warehouses that are worked out while somebody waits
Status = SkuPlan.Status
_TOLD = (Status.PLANNED, Status.NEW, Status.NO_DEMAND)
_WEEK = 7
_FAR = 3_650  # days


@dataclass(frozen=True, slots=True)
class FurtherOrder:
    """Units of one SKU that would be on their way to a warehouse, too."""

    sku_id: int
    warehouse_id: int
    units: int
    due_on: date


@dataclass(frozen=True, slots=True)
class Change:
    """What would be otherwise; None leaves it as it is. Factors multiply: 1.2 is a fifth more."""

    lead_time_days: float | None = None
    lead_time_factor: float | None = None
    service_target: float | None = None
    demand_factor: float | None = None
    order: FurtherOrder | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One place in the present plan, or in the changed one; None is not known, or never."""

    quantity: int | None  # to buy
    moved_here: int
    order_by: date | None
    is_late: bool
    out_on: date | None
    probability: float | None
    safety_stock: float | None
    reorder_point: float | None
    at_stake: Decimal | None
    group: int  # of the board: 0 today, 1 this week, 2 later; 3 nothing to do, 4 cannot tell

    @property
    def is_advised(self) -> bool:
        return self.group < 3


@dataclass(frozen=True, slots=True)
class Pair:
    """A SKU in a warehouse, as it is and as it would be."""

    sku_id: int
    warehouse_id: int
    currency: str
    before: Side
    after: Side

    @property
    def is_new(self) -> bool:
        return self.after.is_advised and not self.before.is_advised

    @property
    def is_gone(self) -> bool:
        return self.before.is_advised and not self.after.is_advised


@dataclass(frozen=True, slots=True)
class Sums:
    """Over the places of one of the two plans; money by currency, of what has a known cost or margin."""

    groups: tuple[int, int, int, int, int]  # places in each of Side.group
    units: int  # to buy
    cost: Mapping[str, Decimal]
    uncosted: int  # places that buy at an unknown cost
    at_stake: Mapping[str, Decimal]
    held: Mapping[str, Decimal]  # on hand, on the way and to buy, at cost
    safety: Mapping[str, Decimal]  # of it, the safety stock


@dataclass(frozen=True, slots=True)
class WhatIf:
    pairs: list[Pair]  # something is to be done before or after; in the order of the changed board
    before: Sums
    after: Sums
    places: int
    last_day: date  # of the sales that both go by


class TooManyPlacesError(ValueError):
    """More than are worked out while somebody waits."""

    def __init__(self, places: int) -> None:
        super().__init__(f"{places} places are more than {MOST_PLACES}")
        self.places = places


def last_planned() -> datetime | None:
    """When the last plan of everything began; demand is known up to the day before."""
    runs = PlanRun.objects.filter(kind=PlanRun.Kind.FULL, ended_at__isnull=False, problem="")
    return runs.order_by("-pk").values_list("started_at", flat=True).first()


def what_if(scope: Ints, change: Change, *, planned_at: datetime, now: datetime) -> WhatIf:
    """Compare these places as they are planned with how they would be; a constant number of queries.

    Both plans go by the stock, orders and terms of `now`, and by the sales up to the day before `planned_at`, the last
    plan of everything. All places of the SKUs are worked out, since stock moves between them; the change is only for
    the places of the scope. Raises TooManyPlacesError.
    """
    if len(scope) > MOST_PLACES:
        raise TooManyPlacesError(len(scope))
    keys = places_to_plan(np.unique(scope // PLACES).tolist())
    if len(keys) > 2 * MOST_PLACES:
        raise TooManyPlacesError(len(keys))
    inputs = inputs_of(keys, now=now)
    inputs.grades = known_grades(inputs)
    demand = load_demand(keys, now=planned_at)
    sample = sample_of(demand, planned_at)
    before = figure_out(demand, sample, inputs, now=now)
    is_in = np.isin(keys, scope)
    after = figure_out(demand, sample, _changed(before, is_in, change, now), now=now)
    today = now.astimezone(site_zone()).date()
    places = np.flatnonzero(is_in)
    old, new = _sides(before, places, today), _sides(after, places, today)
    rank = np.empty(len(keys), np.int64)
    figures = after.at_stake, after.forecast.probability, _is_out(after.inputs), after.inputs.sku
    rank[risk.urgency_order(*figures)] = np.arange(len(keys))
    pairs = [
        (new[place].group, int(rank[place]), _pair(inputs, place, old[place], new[place]))
        for place in places.tolist()
        if old[place].is_advised or new[place].is_advised
    ]
    pairs.sort(key=lambda each: each[:2])
    sums = _sums(before, old), _sums(after, new)
    return WhatIf([pair for _group, _rank, pair in pairs], *sums, len(places), demand.last_day)


def scope_keys(plans: QuerySet[SkuPlan]) -> Ints:
    """The places of these plans."""
    places = np.array(driver_rows(plans.order_by(), ("sku", "warehouse")), np.int64).reshape(-1, 2)
    return np.sort(place_keys(places[:, 0], places[:, 1]))


def _changed(before: Figures, here: Flags, change: Change, now: datetime) -> Inputs:
    """The inputs with the change; those of the present plan stay as they are."""
    inputs = before.inputs
    lead = inputs.lead_days
    if change.lead_time_days is not None:
        lead = np.where(here, change.lead_time_days, lead)
    elif change.lead_time_factor is not None:
        # What is taken by default is as long as that; what nobody knows stays unknown.
        lead = np.where(here, before.lead.days * change.lead_time_factor, lead)
    target = None if change.service_target is None else np.where(here, change.service_target, np.nan)
    overrides = inputs.overrides
    if change.demand_factor is not None:
        overrides = overrides | {
            place: _override(before, place, change.demand_factor, now) for place in np.flatnonzero(here).tolist()
        }
    changed = replace(inputs, lead_days=lead, service_target=target, overrides=overrides)
    return changed if change.order is None else _with_order(changed, change.order, now)


def _override(before: Figures, place: int, factor: float, now: datetime) -> ForecastOverride:
    """As a person would set it; where one did already, their forecast is what is multiplied."""
    until = now.date() + timedelta(days=_FAR)
    if place not in before.inputs.overrides:
        return ForecastOverride(factor=Decimal(str(factor)), until=until)
    return ForecastOverride(per_day=Decimal(str(np.nan_to_num(before.per_day[place]) * factor)), until=until)


def _with_order(inputs: Inputs, order: FurtherOrder, now: datetime) -> Inputs:
    place = int(np.searchsorted(inputs.keys, place_keys(order.sku_id, order.warehouse_id)))
    days = max((order.due_on - now.astimezone(site_zone()).date()).days, 0)
    on_the_way: Floats = inputs.on_the_way.copy()
    on_the_way[place] += order.units
    due = inputs.due | {place: [*inputs.due.get(place, []), (days, order.units)]}
    return replace(inputs, on_the_way=on_the_way, due=due)


# --- What comes of it -----------------------------------------------------------------------------------------------


def _is_out(inputs: Inputs) -> Flags:
    return np.nan_to_num(inputs.available, nan=1.0) <= 0


def _sides(figures: Figures, places: Ints, today: date) -> dict[int, Side]:
    moved = np.maximum(figures.moved, 0)
    told = np.isin(figures.status, [str(each) for each in _TOLD])
    return {place: _side(figures, place, bool(told[place]), int(moved[place]), today) for place in places.tolist()}


def _side(figures: Figures, place: int, is_told: bool, moved_here: int, today: date) -> Side:
    quantity = _whole(figures.quantity[place]) if is_told else None
    due = figures.order_day[place]
    order_by = _day(due, today)
    at_stake = figures.at_stake[place]
    if figures.status[place] == Status.CANNOT_TELL:
        group = 4
    elif not (is_told and quantity) and not moved_here:
        group = 3
    elif moved_here or order_by is None or due <= 0:
        group = 0
    else:
        group = 1 if due <= _WEEK else 2
    return Side(
        quantity=quantity,
        moved_here=moved_here,
        order_by=order_by,
        is_late=bool(figures.is_late[place]),
        out_on=_day(figures.stock_out_day[place], today),
        probability=_known(figures.forecast.probability[place]),
        safety_stock=_known(figures.safety_stock[place]),
        reorder_point=_known(figures.point[place]),
        at_stake=None if np.isnan(at_stake) else Decimal(f"{at_stake:.4f}"),
        group=group,
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _whole(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None


def _day(days: float, today: date) -> date | None:
    return today + timedelta(days=int(days)) if np.isfinite(days) and days <= _FAR else None


def _pair(inputs: Inputs, place: int, before: Side, after: Side) -> Pair:
    currency = str(inputs.currency[place] or "")
    return Pair(int(inputs.sku[place]), int(inputs.warehouse[place]), currency, before, after)


def _sums(figures: Figures, sides: Mapping[int, Side]) -> Sums:
    inputs = figures.inputs
    groups = [0] * 5
    cost: dict[str, Decimal] = {}
    at_stake: dict[str, Decimal] = {}
    held: dict[str, Decimal] = {}
    safety: dict[str, Decimal] = {}
    units = uncosted = 0
    for place, side in sides.items():
        groups[side.group] += 1
        currency = str(inputs.currency[place] or "")
        bought = side.quantity or 0
        units += bought
        if side.at_stake is not None:
            at_stake[currency] = at_stake.get(currency, Decimal()) + side.at_stake
        if inputs.cost[place] is None:
            uncosted += bool(bought)
            continue
        each = Decimal(int(inputs.cost[place])) / 10_000
        there = int(np.nan_to_num(np.maximum(inputs.on_hand[place], 0))) + int(inputs.on_the_way[place])
        kept = Decimal(f"{side.safety_stock or 0:.4f}")
        for sums, amount in ((cost, bought * each), (held, (there + bought) * each), (safety, kept * each)):
            sums[currency] = sums.get(currency, Decimal()) + amount
    first, second, third, fourth, fifth = groups
    return Sums((first, second, third, fourth, fifth), units, cost, uncosted, at_stake, held, safety)
