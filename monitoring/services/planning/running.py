"""The planning run: what is known of each SKU in each warehouse becomes its plan, and advice where something is due."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import orjson
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from numpy.typing import NDArray

from catalog.database import among, copy_rows, driver_rows, parts, put_rows, update_rows
from catalog.models import Lane, StockLevel
from monitoring.models import Advice, ForecastReport, PlanRun, SkuPlan
from monitoring.planning import classes, health, ordering, risk, safety
from monitoring.planning.advice_text import order_sum
from monitoring.planning.choosing import Forecaster, choose
from monitoring.planning.demand import NEW_DAYS, ONE_OFF_QUANTILE, ONE_OFF_TIMES, capped, velocity
from monitoring.planning.forecasting import CHUNK, DAYS, Array
from monitoring.planning.report import OURS, SEASONAL_NAIVE, TEXTBOOK, report_card
from monitoring.planning.safety import Flags, Floats
from monitoring.planning.transfers import Lanes, plan_transfers, shortage, surplus
from monitoring.services.planning.crossing import check_points
from monitoring.services.planning.demand import (
    Demand,
    Ints,
    catch_up,
    history_keys,
    load_demand,
    site_zone,
)
from monitoring.services.planning.inputs import Inputs, Rules, commonest, inputs_of, places_to_plan, rules_of
from monitoring.services.planning.sums import as_json

Status, Kind, State = SkuPlan.Status, Advice.Kind, Advice.State

SAMPLE = 4_000  # series that methods are chosen on
JUDGED = 1_500  # series of the report card
MOST_HORIZONS = 5  # more different ones are rounded up to these
LADDER = (7, 14, 28, 60, 120)
LONGEST_HORIZON = 180
FRESH_DAYS = 90  # what was not sold for longer is dead
PROJECTED_DAYS = 400
_PLANS_AT_ONCE = 20_000
_BUY = str(Kind.BUY)
_DAY = timedelta(days=1)
# The sentence of each is in the pages that show plans.
NO_STOCK_COUNT, NO_LEAD_TIME, NO_HISTORY = "not-counted", "no-lead-time", "no-history"


@dataclass(frozen=True, slots=True)
class Planned:
    """What came of a run."""

    places: int
    advice: int
    gone: int

    def __str__(self) -> str:
        return f"{self.places} places planned, {self.advice} advised, {self.gone} not needed any more"


@dataclass(slots=True)
class Forecast:
    """Of the protection period of each place, and of its lead time; pieces, NaN where not known."""

    mean: Floats
    held: Floats  # what the quantile at the service target has above the mean
    method: NDArray[np.object_]
    probability: Floats  # of running out before what is ordered now could arrive
    missing: Floats  # pieces, on average, until then


@dataclass(slots=True)
class Figures:
    """All that a plan says, one entry for each place."""

    inputs: Inputs
    rules: Rules
    known_days: Ints
    per_day: Floats
    spread: Floats
    pattern: NDArray[np.str_]
    abc: NDArray[np.str_]
    xyz: NDArray[np.str_]
    lead: safety.LeadTimes
    review: Floats
    period: Floats
    forecast: Forecast
    safety_stock: Floats
    textbook: Floats
    point: Floats
    cover: Floats
    stock_out_day: Floats
    order_day: Floats
    is_late: Flags
    unrounded: Floats
    quantity: Floats
    last_sold: Ints  # days ago; -1: never
    health: health.Health
    status: NDArray[np.object_]
    reason: NDArray[np.object_]
    notes: list[list[str]]
    moved: Floats  # by the transfers that are advised, more or less
    moves: list["Move"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Move:
    """Pieces of one SKU that should go from one place to another."""

    source: int  # places
    destination: int
    units: int


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
    demand = load_demand(keys, now=now)
    PlanRun.objects.filter(pk=run.pk).update(total=len(keys))
    sample = _sample(demand, now)
    tell("Forecasts", len(keys))
    figures = figure_out(demand, sample, inputs, now=now)
    del demand  # the largest of all, and not needed any more
    tell("Plans and advice", len(keys))
    with transaction.atomic():
        _save_plans(figures, now, sku_ids=sku_ids)
        advised, gone = _save_advice(figures, now, sku_ids=sku_ids)
        if sku_ids is None:
            _save_report(sample, figures, run)
        PlanRun.objects.filter(pk=run.pk).update(done=len(keys))
    return Planned(len(keys), advised, gone)


def _sample(demand: Demand, now: datetime) -> Array:
    """Histories spread evenly over all."""
    keys = history_keys()
    if len(keys) > SAMPLE:
        keys = keys[np.linspace(0, len(keys) - 1, SAMPLE).astype(np.intp)]
    if np.isin(keys, demand.keys).all():
        found = demand.units[np.searchsorted(demand.keys, keys)]
    else:
        found = load_demand(keys, now=now).units
    return without_one_offs(found)[0]


def without_one_offs(demand: Array) -> tuple[Array, NDArray[np.intp]]:
    """Wholesale orders capped, and the series that had some. As planning.demand.capped(), which sorts each series that
    it is given: only those are that could have one."""
    rows: list[NDArray[np.intp]] = []
    result = demand
    for start in range(0, len(demand), CHUNK):
        part = demand[start : start + CHUNK]
        with np.errstate(invalid="ignore"):
            days = (~np.isnan(part)).sum(axis=1)
            most = np.fmax.reduce(part, axis=1)
            near = (part * np.float32(ONE_OFF_TIMES) >= most[:, np.newaxis]).sum(axis=1)
        places = np.flatnonzero((days >= NEW_DAYS) & (most > 0) & (near <= (1 - ONE_OFF_QUANTILE) * days + 1))
        if len(places):
            mended, found = capped(part[places])
            if len(found.series):
                if result is demand:
                    result = demand.copy()
                result[start + places] = mended
                rows.append(start + places[np.unique(found.series)])
    return result, np.concatenate(rows) if rows else np.empty(0, np.intp)


# --- Figures --------------------------------------------------------------------------------------------------------


def figure_out(demand: Demand, sample: Array, inputs: Inputs, *, now: datetime) -> Figures:
    """All figures of the places, in memory; nothing is read or stored."""
    count = len(inputs.keys)
    units, one_offs = without_one_offs(demand.units)
    known_days, last_sold, year = np.zeros((3, count), np.int64)
    per_day_91, spread = np.full((2, count), np.nan)
    pattern, xyz = np.full(count, "", "<U12"), np.full(count, "", "<U1")
    for start in range(0, count, 1_000):
        rows = slice(start, start + 1_000)
        part = units[rows]
        known_days[rows] = (~np.isnan(part)).sum(axis=1)
        sold = part > 0
        last_sold[rows] = np.where(sold.any(axis=1), sold[:, ::-1].argmax(axis=1) + 1, -1)
        year[rows] = np.nansum(demand.units[rows], axis=1)
        per_day_91[rows], spread[rows] = velocity(part, DAYS.spread_window)
        pattern[rows] = classes.demand_patterns(part).pattern
        xyz[rows] = classes.xyz(part)
    spread = np.where(np.isnan(spread), velocity(units)[1], spread)

    unit_cost = inputs.unit_cost
    worth = np.where(np.isnan(inputs.price), unit_cost, inputs.price)
    abc = _abc(inputs, year, worth)
    rules = rules_of(inputs, abc.tolist())
    lead = safety.lead_times(inputs.lead_days, inputs.lead_spread, rules.lead_days)
    review = np.where(np.isnan(rules.review), np.nan_to_num(inputs.supplier_review), rules.review)
    period = np.ceil(lead.days + review)
    counted = inputs.on_hand - inputs.reserved
    coming = _coming_within(inputs, lead.days)
    forecast = _forecasts(units, sample, pattern, period, lead.days, counted, coming, rules.target)
    is_by_hand = _override(forecast, inputs, period, now)

    per_day = np.where(period > 0, forecast.mean / np.where(period > 0, period, np.nan), per_day_91)
    # An uncertain lead time adds to what an uncertain demand asks for.
    late = safety.service_factor(rules.target) * per_day * lead.spread_days
    safety_stock = np.maximum(np.sqrt(forecast.held**2 + np.maximum(late, 0) ** 2), 0)
    textbook = _each(
        lambda here: safety.variable_lead_time(
            np.nan_to_num(per_day_91[here]),
            spread[here],
            lead.days[here],
            lead.spread_days[here],
            rules.target[here],
            review_days=review[here],
        ),
        count,
    )
    point = forecast.mean + safety_stock
    moves = _moves(inputs, counted, point, lead.days)
    moved = np.zeros(count)
    for move in moves:
        moved[move.source] -= move.units
        moved[move.destination] += move.units
    position = ordering.inventory_position(inputs.on_hand, inputs.reserved, inputs.on_the_way) + moved
    order = ordering.order_quantity(
        forecast.mean,
        safety_stock,
        position,
        pack=inputs.pack,
        minimum=inputs.minimum,
        presence=rules.presence,
        is_discontinued=inputs.is_retired,
    )
    cover, _status = risk.days_of_cover(counted, per_day)
    stock_out, order_by, is_late = _days(inputs, counted, moved, per_day, safety_stock, lead.days)
    scored = _health(inputs, forecast, cover, lead.days, review, rules, last_sold, unit_cost)
    status, reason = _status_of(inputs, known_days, last_sold, lead.days, forecast.mean)
    notes = _notes(lead, inputs, known_days, np.isin(np.arange(count), one_offs), is_by_hand, safety_stock)
    return Figures(
        inputs,
        rules,
        known_days,
        per_day,
        spread,
        pattern,
        abc,
        xyz,
        lead,
        review,
        period,
        forecast,
        safety_stock,
        textbook,
        point,
        cover,
        stock_out,
        order_by,
        is_late,
        order.unrounded,
        order.quantity,
        last_sold,
        scored,
        status,
        reason,
        notes,
        moved,
        moves,
    )


def _each(work: Any, count: int) -> Floats:
    """The result over all places, worked out in parts."""
    found: list[Floats] = [work(slice(start, start + 20_000)) for start in range(0, count, 20_000)]
    return np.concatenate(found) if found else np.empty(0)


def _abc(inputs: Inputs, year: Ints, worth: Floats) -> NDArray[np.str_]:
    """By what a SKU earned in all warehouses; those of another currency than most are compared among themselves."""
    skus, first, of = np.unique(inputs.sku, return_index=True, return_inverse=True)
    earned = np.bincount(of, year * np.nan_to_num(worth), len(skus))
    currency = inputs.currency[first]
    grades = np.full(len(skus), "C", "<U1")
    for each in set(currency.tolist()):
        here = currency == each
        grades[here] = classes.abc(earned[here], skus[here])
    return grades[of]


def _forecasts(
    units: Array,
    sample: Array,
    pattern: NDArray[np.str_],
    period: Floats,
    lead: Floats,
    available: Floats,
    coming: Floats,
    target: Floats,
) -> Forecast:
    """By horizon, each with a forecaster of its own; a period between two horizons is read off the longer one: the mean
    in proportion, the spread with the root, which is no less than what it should be."""
    count = len(period)
    mean, held, probability, missing = np.full((4, count), np.nan)
    found = Forecast(mean, held, np.full(count, "", object), probability, missing)
    of_pattern = {name: number for number, name in enumerate(classes.Pattern) if name}
    horizon = _horizons(period)
    for days in np.unique(horizon[~np.isnan(horizon)]).astype(int).tolist():
        forecaster = choose(sample, days, DAYS)
        places = np.flatnonzero(horizon == days)
        names = {name: forecaster.choice_of(number).method for name, number in of_pattern.items()}
        for start in range(0, len(places), CHUNK):
            here = places[start : start + CHUNK]
            _of_horizon(found, forecaster, units[here], here, period, lead, available, coming, target)
            found.method[here] = [names.get(name, "") for name in pattern[here].tolist()]
    # Nothing is needed in no time.
    at_once = period == 0
    found.mean[at_once] = found.held[at_once] = 0
    found.probability[at_once & (available > 0)] = 0
    return found


def _horizons(period: Floats) -> Floats:
    wanted = np.unique(period[~np.isnan(period) & (period > 0)])
    if len(wanted) <= MOST_HORIZONS and (not len(wanted) or wanted[-1] <= LONGEST_HORIZON):
        return np.where(period > 0, period, np.nan)
    steps = np.array([*LADDER, LONGEST_HORIZON], np.float64)
    known = np.where(period > 0, period, np.nan)
    return np.where(
        np.isnan(known), np.nan, steps[np.minimum(np.searchsorted(steps, np.nan_to_num(known)), len(LADDER))]
    )


def _of_horizon(
    found: Forecast,
    forecaster: Forecaster,
    demand: Array,
    here: NDArray[np.intp],
    period: Floats,
    lead: Floats,
    available: Floats,
    coming: Floats,
    target: Floats,
) -> None:
    totals = forecaster.totals(demand)
    share = period[here] / forecaster.horizon
    found.mean[here] = totals.mean * share
    quantile = np.full(len(here), np.nan)
    for level in np.unique(target[here]).tolist():
        alike = target[here] == level
        quantile[alike] = totals.quantile(level)[alike]
    found.held[here] = np.maximum(quantile - totals.mean, 0) * np.sqrt(share)
    # Of the lead time alone: as far from its mean, in spreads, as what is there.
    of_lead = lead[here] / forecaster.horizon
    root = np.sqrt(of_lead)
    there = available[here] + coming[here]
    mean = totals.mean * of_lead
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.where(root > 0, totals.mean + (there - mean) / root, np.inf)
    alike = np.where(np.isnan(there), np.nan, np.where(there < 0, there, np.maximum(alike, 0)))
    is_out = (available[here] <= 0) & (totals.mean > 0)
    certain = np.where(np.isinf(alike), 0.0, totals.exceedance(np.where(np.isinf(alike), 0.0, alike)))
    found.probability[here] = np.where(np.isnan(there), np.nan, np.where(is_out, 1.0, certain))
    missing = totals.missing(np.where(np.isinf(alike), 0.0, alike)) * np.where(there < 0, 1.0, root)
    found.missing[here] = np.where(np.isinf(alike), np.maximum(-there, 0), missing)


def _override(forecast: Forecast, inputs: Inputs, period: Floats, now: datetime) -> Flags:
    """What persons expect, as long as they said it holds; the spread grows with the root of the demand."""
    today = now.astimezone(site_zone()).date()
    touched = np.zeros(len(period), dtype=bool)
    for place, row in inputs.overrides.items():
        days = period[place]
        if math.isnan(days) or days == 0:
            continue
        before = forecast.mean[place]
        holds = min((row.until - today).days + 1, days)
        rest = 0.0 if holds == days else (days - holds) / days * before
        daily = float(row.per_day or 0) if row.factor is None else float(row.factor) * before / days
        told = daily * holds
        after = told + rest
        if math.isnan(after):
            continue
        if before > 0:
            forecast.held[place] *= math.sqrt(after / before)
        else:
            forecast.held[place] = safety.of_counts(after, after, 0.95)
        forecast.mean[place] = after
        forecast.method[place] = "by-hand"
        touched[place] = True
    return touched


def _coming_within(inputs: Inputs, lead: Floats) -> Floats:
    """Units that arrive before what is ordered now could; of what nobody said when, none."""
    coming = np.zeros(len(lead))
    for place, found in inputs.due.items():
        within = lead[place]
        coming[place] = sum(units for days, units in found if days is not None and days <= within)
    return coming


def _days(
    inputs: Inputs, available: Floats, moved: Floats, per_day: Floats, held: Floats, lead: Floats
) -> tuple[Floats, Floats, Flags]:
    """In how many days stock runs out and by when to order, at a steady demand; inf: never as far as one can see."""
    there = available + moved
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.where(per_day > 0, np.floor(np.maximum(there, 0) / per_day + 1e-9), np.inf)
        need = np.where(per_day > 0, np.floor((there - held) / per_day + 1e-9), np.where(there < held, 0, np.inf))
    unknown = np.isnan(there + per_day)
    out, need = np.where(unknown, np.nan, out), np.where(unknown | np.isnan(held), np.nan, np.maximum(need, 0))
    dated = np.array(sorted(place for place in inputs.due if not unknown[place]), np.intp)
    for start in range(0, len(dated), 1_000):
        places = dated[start : start + 1_000]
        arriving = np.zeros((len(places), PROJECTED_DAYS))
        for row, place in enumerate(places.tolist()):
            for days, units in inputs.due[place]:
                # What nobody said when it comes may take as long as what is ordered today.
                day = days if days is not None else math.ceil(np.nan_to_num(lead[place]))
                arriving[row, min(day, PROJECTED_DAYS - 1)] += units
        daily = np.broadcast_to(per_day[places][:, np.newaxis], arriving.shape)
        stock = ordering.projected_stock(there[places], daily, arriving)
        out[places] = ordering.stock_out_day(stock) - 1
        need[places] = ordering.order_day(stock, held[places], 0).need_day - 1
    with np.errstate(invalid="ignore"):
        by = np.floor(need - lead)
        return out, np.maximum(by, 0), by < 0


def _moves(inputs: Inputs, available: Floats, point: Floats, lead: Floats) -> list[Move]:
    """What to move first: SKUs that one warehouse has too much of and another too little."""
    lanes = list(Lane.objects.filter(source__is_active=True, destination__is_active=True))
    if not lanes:
        return []
    keep = np.where(inputs.is_retired, 0.0, point)
    spare = surplus(available, keep)
    # Where nobody asks for it nothing is short; where too little is known nothing is moved.
    lack = np.where(inputs.is_retired, 0.0, shortage(available + inputs.on_the_way, point))
    gives = np.unique(inputs.sku[np.nan_to_num(spare) > 0])
    takes = np.unique(inputs.sku[np.nan_to_num(lack) > 0])
    skus = np.intersect1d(gives, takes)
    if not len(skus):
        return []
    warehouses = np.unique(inputs.warehouse)
    shape = (len(skus), len(warehouses))
    places = np.flatnonzero(np.isin(inputs.sku, skus))
    row = np.searchsorted(skus, inputs.sku[places])
    column = np.searchsorted(warehouses, inputs.warehouse[places])
    number = np.full(shape, -1, np.int64)
    number[row, column] = places

    def grid(values: Floats) -> Floats:
        result = np.full(shape, np.nan)
        result[row, column] = values[places]
        return result

    pair = (len(warehouses), len(warehouses))
    cost, days, fixed, lot = np.full(pair, np.nan), np.full(pair, np.nan), np.zeros(pair), np.ones(pair)
    main = commonest(inputs.currency.tolist())
    at = {pk: place for place, pk in enumerate(warehouses.tolist())}
    for lane in lanes:
        if lane.source_id in at and lane.destination_id in at and lane.currency == main:
            here = at[lane.source_id], at[lane.destination_id]
            cost[here], days[here] = float(lane.unit_cost), lane.days
            fixed[here], lot[here] = float(lane.fixed_cost), lane.minimum
    # A missing piece is worth its margin; where that is not known, its price, or as much as anything.
    worth = np.where(np.isnan(inputs.margin), inputs.price, inputs.margin)
    worth = np.where(inputs.currency == main, worth, np.nan)
    found = plan_transfers(
        grid(spare), grid(lack), Lanes(cost, days, fixed, lot), np.maximum(grid(worth), 0), lead_time_days=grid(lead)
    )
    return [
        Move(int(number[sku, source]), int(number[sku, destination]), int(units))
        for sku, source, destination, units in zip(found.sku, found.source, found.destination, found.units, strict=True)
    ]


def _health(
    inputs: Inputs,
    forecast: Forecast,
    cover: Floats,
    lead: Floats,
    review: Floats,
    rules: Rules,
    last_sold: Ints,
    unit_cost: Floats,
) -> health.Health:
    least, most = health.usual_cover(lead, review)
    # The whole stock of a SKU is fresh or is not.
    dead = np.where((last_sold < 0) | (last_sold > FRESH_DAYS), 1.0, 0.0)
    return health.health(
        stock_out_probability=forecast.probability,
        cover_days=cover,
        least_cover_days=least,
        most_cover_days=most,
        turns=np.full(len(cover), np.nan),
        turns_target=rules.turns,
        dead_share=np.where(np.nan_to_num(inputs.on_hand) > 0, dead, np.nan),
    )


def _status_of(
    inputs: Inputs, known_days: Ints, last_sold: Ints, lead: Floats, mean: Floats
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    no_stock, no_lead = np.isnan(inputs.on_hand), np.isnan(lead)
    reason = np.select(
        [inputs.is_retired, no_stock, no_lead, np.isnan(mean)], ["", NO_STOCK_COUNT, NO_LEAD_TIME, NO_HISTORY], ""
    ).astype(object)
    status = np.select(
        [inputs.is_retired, reason != "", known_days < NEW_DAYS, last_sold < 0],
        [str(Status.RETIRED), str(Status.CANNOT_TELL), str(Status.NEW), str(Status.NO_DEMAND)],
        str(Status.PLANNED),
    ).astype(object)
    return status, reason


def _notes(
    lead: safety.LeadTimes,
    inputs: Inputs,
    known_days: Ints,
    had_one_off: Flags,
    is_by_hand: Flags,
    held: Floats,
) -> list[list[str]]:
    """Slugs of what was assumed or is to be looked at."""
    with np.errstate(invalid="ignore"):
        found = {
            "lead-time-default": lead.is_default & ~np.isnan(lead.days),
            "lead-time-spread-unknown": lead.is_spread_assumed & ~np.isnan(lead.days),
            "pooled-spread": (known_days < NEW_DAYS) & ~np.isnan(held),
            "one-off-orders": had_one_off,
            "by-hand": is_by_hand,
            "oversold": inputs.on_hand - inputs.reserved < 0,
            "overdue": inputs.overdue > 0,
        }
    notes: list[list[str]] = [[] for _place in range(len(known_days))]
    for slug, flags in found.items():
        for place in np.flatnonzero(flags).tolist():
            notes[place].append(slug)
    return notes


# --- Saving ---------------------------------------------------------------------------------------------------------

_PLAN_FIELDS = (
    *("supplier", "planned_at", "status", "reason", "notes", "on_hand", "reserved", "on_the_way", "overdue", "method"),
    *("pattern", "abc", "xyz", "per_day", "spread_per_day", "lead_time_days", "lead_time_spread_days", "review_days"),
    *("protection_days", "service_target", "expected", "expected_high", "safety_stock", "safety_stock_textbook"),
    *("reorder_point", "cover_days", "stock_out_on", "stock_out_probability", "order_by", "is_late", "unrounded"),
    *("quantity", "money_at_stake", "currency", "stock_value", "health", "health_parts", "last_sold_on"),
)
# A plan that is there keeps what it stood at when it was last compared with its points: crossing.py tells of changes.
# What is below a point when it is planned first has not crossed it: the board says so, and no alert.
_NEW_PLAN_FIELDS = ("is_below_safety", "is_below_reorder")


def _values(array: Floats, digits: int = 6) -> list[float | None]:
    """None where not known, or without end."""
    rounded = np.round(array, digits)
    if np.isfinite(rounded).all():
        return list(rounded.tolist())
    return [None if value != value or math.isinf(value) else value for value in rounded.tolist()]


def _whole(array: Floats) -> list[int | None]:
    if not np.isnan(array).any():
        return list(array.astype(np.int64).tolist())
    return [None if value != value else int(value) for value in array.tolist()]


def _counts(array: Floats) -> list[int]:
    """For places of which all is known; 0 elsewhere."""
    counts: list[int] = np.nan_to_num(array).astype(np.int64).tolist()
    return counts


def _dates(days: Floats, today: date) -> list[Any]:
    """As the database takes them; None where not known or never."""
    known: dict[float, Any] = {}
    found: list[Any] = []
    for value in days.tolist():
        if value != value or math.isinf(value) or value > PROJECTED_DAYS:
            found.append(None)
            continue
        if value not in known:
            known[value] = connection.ops.adapt_datefield_value(today + int(value) * _DAY)
        found.append(known[value])
    return found


def _money(array: Floats) -> list[str | None]:
    return [None if value != value else f"{value:.4f}" for value in array.tolist()]


def _save_plans(figures: Figures, now: datetime, *, sku_ids: Collection[int] | None) -> None:
    for start in range(0, len(figures.inputs.keys), _PLANS_AT_ONCE):
        rows = _plan_rows(figures, slice(start, start + _PLANS_AT_ONCE), now)
        put_rows(SkuPlan, ("sku", "warehouse"), _PLAN_FIELDS, rows, only_new=_NEW_PLAN_FIELDS)
    stale = SkuPlan.objects.filter(planned_at__lt=now)
    if sku_ids is not None:
        stale = stale.filter(sku__in=among(sorted(sku_ids)))
    stale.delete()


def _plan_rows(figures: Figures, part: slice, now: datetime) -> list[tuple[Any, ...]]:
    """Values of these places, in the order of the fields."""
    today = now.astimezone(site_zone()).date()
    inputs, forecast, lead, scored = figures.inputs, figures.forecast, figures.lead, figures.health
    planned_at = connection.ops.adapt_datetimefield_value(now)
    status = figures.status[part]
    advised = np.where(status == str(Status.CANNOT_TELL), np.nan, figures.quantity[part])
    on_hand = inputs.on_hand[part]
    available = on_hand - inputs.reserved[part]
    stock_value = [
        None if each is None or here != here else f"{int(each) * int(here) / 10_000:.4f}"
        for each, here in zip(inputs.cost[part].tolist(), np.maximum(on_hand, 0).tolist(), strict=True)
    ]
    parts_of_health = [
        orjson.dumps({name: value for name, value in zip(health.WEIGHTS, values, strict=True) if value is not None})
        for values in zip(
            *(
                _values(each[part], 4)
                for each in (scored.availability, scored.cover, scored.turnover, scored.freshness)
            ),
            strict=True,
        )
    ]
    last_sold = figures.last_sold[part]
    columns: list[Sequence[Any]] = [
        inputs.sku[part].tolist(),
        inputs.warehouse[part].tolist(),
        [each or None for each in inputs.supplier[part].tolist()],
        [planned_at] * len(status),
        status.tolist(),
        figures.reason[part].tolist(),
        [orjson.dumps(each).decode() for each in figures.notes[part]],
        _whole(on_hand),
        _whole(inputs.reserved[part]),
        _whole(inputs.on_the_way[part]),
        _whole(inputs.overdue[part]),
        forecast.method[part].tolist(),
        figures.pattern[part].tolist(),
        figures.abc[part].tolist(),
        figures.xyz[part].tolist(),
        _values(figures.per_day[part]),
        _values(figures.spread[part]),
        _values(lead.days[part]),
        _values(lead.spread_days[part]),
        _whole(figures.review[part]),
        _whole(figures.period[part]),
        [f"{target:.4f}" for target in figures.rules.target[part].tolist()],
        _values(forecast.mean[part]),
        _values(forecast.mean[part] + forecast.held[part]),
        _values(figures.safety_stock[part]),
        _values(figures.textbook[part]),
        _values(figures.point[part]),
        _values(figures.cover[part]),
        _dates(figures.stock_out_day[part], today),
        _values(forecast.probability[part]),
        _dates(figures.order_day[part], today),
        figures.is_late[part].tolist(),
        _values(figures.unrounded[part]),
        _whole(advised),
        _money(_at_stake(figures)[part]),
        inputs.currency[part].tolist(),
        stock_value,
        _values(scored.score[part], 2),
        [text.decode() for text in parts_of_health],
        _dates(np.where(last_sold < 0, np.nan, -last_sold.astype(float)), today),
        (available < np.ceil(figures.safety_stock[part])).tolist(),
        (available + inputs.on_the_way[part] <= np.floor(figures.point[part])).tolist(),
    ]
    return list(zip(*columns, strict=True))


def _at_stake(figures: Figures) -> Floats:
    """Margin that is lost on average before what is ordered now could arrive."""
    return figures.forecast.missing * np.maximum(figures.inputs.margin, 0)


_ADVICE_FIELDS = (
    *("source", "supplier", "quantity", "by", "sum", "stock_out_on", "probability", "money_at_stake", "currency"),
    *("rank", "changed_at"),
)


def _advice(figures: Figures, now: datetime) -> Iterator[tuple[int, str, str, tuple[Any, ...]]]:
    """Place, kind, subject and the values of what should be done, the most urgent first."""
    inputs, forecast = figures.inputs, figures.forecast
    today = now.astimezone(site_zone()).date()
    at_stake = _at_stake(figures)
    is_told = np.isin(figures.status, [str(Status.PLANNED), str(Status.NEW), str(Status.NO_DEMAND)])
    buys = is_told & (np.nan_to_num(figures.quantity) > 0)
    incoming: dict[int, list[Move]] = {}
    for move in figures.moves:
        incoming.setdefault(move.destination, []).append(move)
    wanted = buys.copy()
    wanted[list(incoming)] = True
    is_out = np.nan_to_num(inputs.on_hand - inputs.reserved, nan=1.0) <= 0
    order = risk.urgency_order(at_stake, forecast.probability, is_out, inputs.sku)
    by, out = _dates(figures.order_day, today), _dates(figures.stock_out_day, today)
    money, probability = _money(at_stake), _values(forecast.probability)
    changed_at = connection.ops.adapt_datetimefield_value(now)
    stored_today = connection.ops.adapt_datefield_value(today)
    currency, supplier = inputs.currency.tolist(), inputs.supplier.tolist()
    needed, held = forecast.mean.tolist(), figures.safety_stock.tolist()
    days, quantity = _counts(figures.period), _counts(figures.quantity)
    on_hand, reserved, overdue = _counts(inputs.on_hand), _counts(inputs.reserved), _counts(inputs.overdue)
    on_the_way = _counts(inputs.on_the_way + figures.moved)
    pack, minimum = _counts(np.nan_to_num(inputs.pack, nan=1)), _counts(inputs.minimum)
    presence = _counts(figures.rules.presence)
    for rank, place in enumerate(order[wanted[order]].tolist()):
        risks = (out[place], probability[place], money[place], currency[place], rank, changed_at)
        for move in incoming.get(place, ()):
            source = int(inputs.warehouse[move.source])
            moved = (source, None, move.units, stored_today, "{}", *risks)
            yield place, str(Kind.TRANSFER), f"{Kind.TRANSFER}:{source}", moved
        if buys[place]:
            told = order_sum(
                needed=needed[place],
                days=days[place],
                safety_stock=held[place],
                on_hand=on_hand[place],
                on_the_way=on_the_way[place],
                reserved=reserved[place],
                not_counted=overdue[place],
                presence=presence[place],
                pack=pack[place],
                minimum=minimum[place],
                quantity=quantity[place],
            )
            due = stored_today if by[place] is None else by[place]
            bought = (None, supplier[place] or None, quantity[place], due, as_json(told), *risks)
            yield place, _BUY, _BUY, bought


def _save_advice(figures: Figures, now: datetime, *, sku_ids: Collection[int] | None) -> tuple[int, int]:
    """Change what is undecided, add what is new, and end what is not needed any more; returns how many of each."""
    # Locked: what a person decides meanwhile is either seen here, or waits and finds what it is about changed.
    undecided = Advice.objects.select_for_update().filter(
        state__in=Advice.UNDECIDED, kind__in=(Kind.BUY, Kind.TRANSFER)
    )
    if sku_ids is not None:
        undecided = undecided.filter(sku__in=among(sorted(sku_ids)))
    known = {
        (sku, warehouse, subject): pk
        for pk, sku, warehouse, subject in driver_rows(undecided.order_by(), ("pk", "sku", "warehouse", "subject"))
    }
    inputs = figures.inputs
    changed: list[tuple[Any, ...]] = []
    added: list[tuple[Any, ...]] = []
    made_at = connection.ops.adapt_datetimefield_value(now)
    for place, kind, subject, values in _advice(figures, now):
        key = (int(inputs.sku[place]), int(inputs.warehouse[place]), subject)
        if (pk := known.pop(key, None)) is not None:
            changed.append((pk, *values))
        else:
            added.append((key[0], key[1], kind, subject, made_at, *values))
    for some in parts(range(len(changed))):
        update_rows(Advice, "id", _ADVICE_FIELDS, [changed[number] for number in some])
    fields = ("sku", "warehouse", "kind", "subject", "made_at", *_ADVICE_FIELDS)
    also = {"state": State.OPEN, "reason": "", "outcome": ""}
    copy_rows(Advice, fields, added, also=also)
    gone = sorted(known.values())
    for some in parts(gone):
        Advice.objects.filter(pk__in=among(some)).update(state=State.GONE, changed_at=now)
    return len(changed) + len(added), len(gone)


def _save_report(sample: Array, figures: Figures, run: PlanRun) -> None:
    """The report card of the commonest protection period."""
    period = figures.period[~np.isnan(figures.period) & (figures.period > 0)]
    if not len(period) or not len(sample):
        return
    periods, counts = np.unique(period, return_counts=True)
    horizon = int(min(periods[counts.argmax()], LONGEST_HORIZON))
    judged = sample[np.linspace(0, len(sample) - 1, min(JUDGED, len(sample))).astype(np.intp)]
    if judged.shape[1] < horizon + DAYS.least_history:
        return
    card = report_card(judged, horizon, DAYS)
    names: Mapping[str, str] = {
        OURS: ForecastReport.Method.OURS,
        SEASONAL_NAIVE: ForecastReport.Method.SEASONAL_NAIVE,
        TEXTBOOK: ForecastReport.Method.TEXTBOOK,
    }
    reports = []
    for name, accuracy in card.everything.items():
        figures_of = {
            field_name: None if math.isnan(value := float(getattr(accuracy, field_name)[0])) else value
            for field_name in ("wape", "bias", "coverage", "quantile_loss")
        }
        reports.append(
            ForecastReport(
                run=run,
                of=names[name],
                horizon=horizon,
                level=str(card.level),
                totals=int(accuracy.totals[0]),
                **figures_of,
            )
        )
    ForecastReport.objects.bulk_create(reports)


# --- Runs -----------------------------------------------------------------------------------------------------------


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
