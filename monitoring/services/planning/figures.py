"""Every figure of the plans, worked out in memory of what is known: nothing is read or stored."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.models import ForecastOverride, SkuPlan
from monitoring.planning import classes, health, ordering, risk, safety
from monitoring.planning.choosing import Forecaster, choose
from monitoring.planning.demand import NEW_DAYS, ONE_OFF_QUANTILE, ONE_OFF_TIMES, capped, velocity
from monitoring.planning.forecasting import CHUNK, DAYS, Array
from monitoring.planning.safety import Flags, Floats
from monitoring.planning.transfers import Lanes, plan_transfers, shortage, surplus
from monitoring.services.planning.demand import Demand, Ints, site_zone
from monitoring.services.planning.inputs import Inputs, Rules, commonest, rules_of
from monitoring.services.planning.turnover import turns_of

Status = SkuPlan.Status

MOST_HORIZONS = 5  # more different ones are rounded up to these
LADDER = (7, 14, 28, 60, 120)
LONGEST_HORIZON = 180
PROJECTED_DAYS = 400
CENSORED_SHARE = 0.9  # of the days since a history began: where fewer are known, it says so
# The sentence of each is in the pages that show plans.
NO_STOCK_COUNT, NO_LEAD_TIME, NO_HISTORY = "not-counted", "no-lead-time", "no-history"


@dataclass(slots=True)
class Forecast:
    """Of the protection period of each place, and of its lead time; pieces, NaN where not known."""

    mean: Floats
    held: Floats  # what the quantile at the service target has above the mean
    method: NDArray[np.object_]
    probability: Floats  # of running out before what is ordered now could arrive
    missing: Floats  # pieces, on average, until then
    is_by_hand: Flags


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
    turns: Floats
    mean_stock: Floats  # pieces, of the days that the turnover is of
    health: health.Health
    status: NDArray[np.object_]
    reason: NDArray[np.object_]
    notes: list[list[str]]
    moved: Floats  # by the transfers that are advised, more or less
    moves: list["Move"] = field(default_factory=list)

    @property
    def at_stake(self) -> Floats:
        """Margin that is lost on average before what is ordered now could arrive."""
        return self.forecast.missing * np.maximum(self.inputs.margin, 0)


@dataclass(frozen=True, slots=True)
class Move:
    """Pieces of one SKU that should go from one place to another."""

    source: int  # places
    destination: int
    units: int
    in_days: int  # when it has to leave at the latest, so that what is there does not fall below the safety stock


def figure_out(demand: Demand, sample: Array, inputs: Inputs, *, now: datetime) -> Figures:
    """All figures of the places; `sample` holds the histories that methods are chosen on."""
    count = len(inputs.keys)
    units, one_offs = without_one_offs(demand.units)
    known_days, last_sold, unsold, year = np.zeros((4, count), np.int64)
    is_censored = np.zeros(count, dtype=bool)
    days_ago = np.arange(units.shape[1], 0, -1)
    per_day_91, spread = np.full((2, count), np.nan)
    pattern, xyz = np.full(count, "", "<U12"), np.full(count, "", "<U1")
    for start in range(0, count, 1_000):
        rows = slice(start, start + 1_000)
        part = units[rows]
        known, sold = ~np.isnan(part), part > 0
        known_days[rows] = known.sum(axis=1)
        is_censored[rows] = known_days[rows] < CENSORED_SHARE * (units.shape[1] - known.argmax(axis=1))
        last_sold[rows] = np.where(sold.any(axis=1), sold[:, ::-1].argmax(axis=1) + 1, -1)
        since = np.where(last_sold[rows] < 0, len(days_ago) + 1, last_sold[rows])
        unsold[rows] = (known & (days_ago < since[:, np.newaxis])).sum(axis=1)
        year[rows] = np.nansum(demand.units[rows], axis=1)
        per_day_91[rows], spread[rows] = velocity(part, DAYS.spread_window)
        pattern[rows] = classes.demand_patterns(part).pattern
        xyz[rows] = classes.xyz(part)
    spread = np.where(np.isnan(spread), velocity(units)[1], spread)

    worth = np.where(np.isnan(inputs.price), inputs.unit_cost, inputs.price)
    abc = _abc(inputs, year, worth) if inputs.grades is None else inputs.grades
    rules = rules_of(inputs, abc.tolist())
    lead = safety.lead_times(inputs.lead_days, inputs.lead_spread, rules.lead_days)
    review = np.where(np.isnan(rules.review), np.nan_to_num(inputs.supplier_review), rules.review)
    period = np.ceil(lead.days + review)
    counted = inputs.on_hand - inputs.reserved
    coming = _coming_within(inputs, lead.days)
    today = now.astimezone(site_zone()).date()
    forecast = _forecasts(units, sample, pattern, period, lead.days, counted, coming, rules.target, inputs, today)

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
    lack = np.where(inputs.is_retired, 0.0, shortage(counted + inputs.on_the_way, point))
    moves = _moves(inputs, counted, point, lack, lead.days, held=safety_stock, per_day=per_day)
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
    turns, mean_stock = turns_of(inputs.flow, inputs.on_hand, demand.counted_since)
    scored = _health(inputs, forecast, cover, lead.days, review, rules, last_sold, unsold, turns)
    status, reason = _status_of(inputs, known_days, last_sold, lead.days, forecast.mean)
    notes = _notes(
        lead,
        inputs,
        known_days,
        is_censored & (known_days > 0),
        np.isin(np.arange(count), one_offs),
        forecast.is_by_hand,
        safety_stock,
        lack,
        turns,
    )
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
        turns,
        mean_stock,
        scored,
        status,
        reason,
        notes,
        moved,
        moves,
    )


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
    inputs: Inputs,
    today: date,
) -> Forecast:
    """By horizon, each with a forecaster of its own; a period between two horizons is read off the longer one: the mean
    in proportion, the spread with the root, which is no less than what it should be. What persons expect counts."""
    count = len(period)
    mean, held, probability, missing = np.full((4, count), np.nan)
    found = Forecast(mean, held, np.full(count, "", object), probability, missing, np.zeros(count, dtype=bool))
    of_pattern = {name: number for number, name in enumerate(classes.Pattern) if name}
    horizon = horizons(period)
    for days in np.unique(horizon[~np.isnan(horizon)]).astype(int).tolist():
        forecaster = choose(sample, days, DAYS)
        places = np.flatnonzero(horizon == days)
        names = {name: forecaster.choice_of(number).method for name, number in of_pattern.items()}
        for start in range(0, len(places), CHUNK):
            here = places[start : start + CHUNK]
            times = partial(_times, inputs.overrides, here, period, today)
            _of_horizon(found, forecaster, units[here], here, period, lead, available, coming, target, times)
            found.method[here] = [names.get(name, "") for name in pattern[here].tolist()]
    _only_by_hand(found, inputs.overrides, period, lead, available, coming, target, today)
    found.method[found.is_by_hand] = "by-hand"
    # Nothing is needed in no time.
    at_once = period == 0
    found.mean[at_once] = found.held[at_once] = 0
    found.probability[at_once & (available > 0)] = 0
    return found


def horizons(period: Floats) -> Floats:
    """The horizon that each period is read off; NaN where there is none to forecast."""
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
    times: Callable[[Floats], Floats],
) -> None:
    """`times`: what persons expect, as a multiple of the mean of the period; the spread grows with its root."""
    totals = forecaster.totals(demand)
    share = period[here] / forecaster.horizon
    told = times(totals.mean * share)
    found.is_by_hand[here] = ~np.isnan(told)
    told = np.where(np.isnan(told), 1.0, told)
    found.mean[here] = totals.mean * share * told
    quantile = np.full(len(here), np.nan)
    for level in np.unique(target[here]).tolist():
        alike = target[here] == level
        quantile[alike] = totals.quantile(level)[alike]
    found.held[here] = np.maximum(quantile - totals.mean, 0) * np.sqrt(share * told)
    # Of the lead time alone: as far from its mean, in spreads, as what is there.
    of_lead = lead[here] / forecaster.horizon * told
    root = np.sqrt(of_lead)
    there = available[here] + coming[here]
    mean = totals.mean * of_lead
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.where(root > 0, totals.mean + (there - mean) / root, np.inf)
    alike = np.where(np.isnan(there), np.nan, np.where(there < 0, there, np.maximum(alike, 0)))
    is_out = (available[here] <= 0) & (totals.mean * told > 0)
    certain = np.where(np.isinf(alike), 0.0, totals.exceedance(np.where(np.isinf(alike), 0.0, alike)))
    found.probability[here] = np.where(np.isnan(there), np.nan, np.where(is_out, 1.0, certain))
    missing = np.where(there < 0, mean - there, totals.missing(np.where(np.isinf(alike), 0.0, alike)) * root)
    found.missing[here] = np.where(np.isinf(alike), np.maximum(-there, 0), missing)


def _times(
    overrides: Mapping[int, ForecastOverride], here: NDArray[np.intp], period: Floats, today: date, mean: Floats
) -> Floats:
    """What persons expect of these places as a multiple of the forecast; NaN where nobody does, or nothing is forecast.

    After the last day on which it holds, the forecast counts again.
    """
    times = np.full(len(here), np.nan)
    if not overrides:
        return times
    for number in np.flatnonzero(np.isin(here, list(overrides)) & (mean > 0)).tolist():
        row, days = overrides[int(here[number])], period[here[number]]
        holds = min((row.until - today).days + 1, days) / days
        told = float(row.per_day or 0) * days / mean[number] if row.factor is None else float(row.factor)
        times[number] = told * holds + 1 - holds
    return times


def _only_by_hand(
    found: Forecast,
    overrides: Mapping[int, ForecastOverride],
    period: Floats,
    lead: Floats,
    available: Floats,
    coming: Floats,
    target: Floats,
    today: date,
) -> None:
    """Where nothing is forecast, what a person expects a day, as counts; after its last day nothing is, or is known."""
    for place, row in overrides.items():
        days, before = period[place], found.mean[place]
        if found.is_by_hand[place] or row.per_day is None or math.isnan(days) or days == 0:
            continue
        holds = min((row.until - today).days + 1, days)
        expected = float(row.per_day) * holds
        if math.isnan(before) and holds < days:
            continue
        of_lead = expected * lead[place] / days
        there = available[place] + coming[place]
        found.mean[place] = expected
        found.held[place] = safety.of_counts(expected, expected, target[place])
        is_out = available[place] <= 0 and of_lead > 0
        found.probability[place] = 1.0 if is_out else risk.stock_out_probability(there, of_lead, of_lead)
        found.missing[place] = risk.expected_missing(there, of_lead, of_lead)
        found.is_by_hand[place] = True


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


def _moves(
    inputs: Inputs, available: Floats, point: Floats, lack: Floats, lead: Floats, *, held: Floats, per_day: Floats
) -> list[Move]:
    """What to move first: SKUs that one warehouse has too much of and another too little."""
    if not inputs.lanes:
        return []
    keep = np.where(inputs.is_retired, 0.0, point)
    # Where nobody asks for it nothing is short; where too little is known nothing is moved.
    spare = surplus(available, keep)
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
    for lane in inputs.lanes:
        rate = inputs.rates.between(lane.currency, main)
        if lane.source_id in at and lane.destination_id in at and rate is not None:
            here = at[lane.source_id], at[lane.destination_id]
            cost[here], days[here] = float(lane.unit_cost) * rate, lane.days
            fixed[here], lot[here] = float(lane.fixed_cost) * rate, lane.minimum
    # A missing piece is worth its margin; where that is not known, its price, or as much as anything.
    worth = np.where(np.isnan(inputs.margin), inputs.price, inputs.margin)
    for currency in set(inputs.currency.tolist()) - {main}:
        rate = inputs.rates.between(currency, main)
        worth[inputs.currency == currency] *= math.nan if rate is None else rate
    found = plan_transfers(
        grid(spare), grid(lack), Lanes(cost, days, fixed, lot), np.maximum(grid(worth), 0), lead_time_days=grid(lead)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        lasts = np.floor((available - held) / per_day + 1e-9)
    moves = []
    for sku, source, destination, units in zip(found.sku, found.source, found.destination, found.units, strict=True):
        place = int(number[sku, destination])
        in_days = lasts[place] - days[source, destination]
        in_days = int(in_days) if math.isfinite(in_days) else 0
        moves.append(Move(int(number[sku, source]), place, int(units), max(in_days, 0)))
    return moves


def _has_unrated_lane(inputs: Inputs) -> Flags:
    """Where a lane leads to of which nobody knows what it costs in the currency that most SKUs count in."""
    main = commonest(inputs.currency.tolist())
    left_out = [lane.destination_id for lane in inputs.lanes if inputs.rates.between(lane.currency, main) is None]
    return np.isin(inputs.warehouse, left_out)


def _health(
    inputs: Inputs,
    forecast: Forecast,
    cover: Floats,
    lead: Floats,
    review: Floats,
    rules: Rules,
    last_sold: Ints,
    unsold: Ints,
    turns: Floats,
) -> health.Health:
    least, most = health.usual_cover(lead, review)
    return health.health(
        stock_out_probability=forecast.probability,
        cover_days=cover,
        least_cover_days=least,
        most_cover_days=most,
        turns=np.where(inputs.is_retired, np.nan, turns),  # nobody wants to sell more of it
        turns_target=rules.turns,
        dead_share=health.dead_share(last_sold, unsold, inputs.on_hand),
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
    is_censored: Flags,
    had_one_off: Flags,
    is_by_hand: Flags,
    held: Floats,
    lack: Floats,
    turns: Floats,
) -> list[list[str]]:
    """Slugs of what was assumed or is to be looked at."""
    with np.errstate(invalid="ignore"):
        found = {
            "lead-time-default": lead.is_default & ~np.isnan(lead.days),
            "lead-time-spread-unknown": lead.is_spread_assumed & ~np.isnan(lead.days),
            "pooled-spread": (known_days < NEW_DAYS) & ~np.isnan(held),
            "one-off-orders": had_one_off,
            "censored": is_censored,
            "by-hand": is_by_hand,
            "as-shown": inputs.is_shown,
            "oversold": inputs.on_hand - inputs.reserved < 0,
            "overdue": inputs.overdue > 0,
            "turns-in-pieces": ~np.isnan(turns) & np.isnan(inputs.unit_cost),
            "lane-rate-unknown": (lack > 0) & _has_unrated_lane(inputs),
        }
    notes: list[list[str]] = [[] for _place in range(len(known_days))]
    for slug, flags in found.items():
        for place in np.flatnonzero(flags).tolist():
            notes[place].append(slug)
    return notes
