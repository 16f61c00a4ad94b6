"""What planning needs besides demand, of many places at once: stock, what comes, lead times, terms, rules, money."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.database import TenThousandths, among, driver_rows
from catalog.models import (
    BundleComponent,
    Lane,
    Listing,
    Sku,
    StockLevel,
    Supplier,
    SupplierSku,
    Warehouse,
)
from catalog.pricing.currencies import exponent
from catalog.purchasing.lead_times import lead_times
from catalog.purchasing.on_the_way import arrivals
from monitoring.models import ForecastOverride, PlanPolicy, SkuPlan
from monitoring.planning.safety import Flags, Floats
from monitoring.services.planning.demand import PLACES, Ints, history_keys, place_keys, site_zone
from monitoring.services.planning.rates import Rates, rates_at
from monitoring.services.planning.readings import shown_stock
from monitoring.services.planning.turnover import Flow, flow_of

SERVICE_TARGET = 0.95
TURNS_TARGET = 6.0
_SCALE = 10_000


@dataclass
class Inputs:
    """One entry for each place, a SKU in a warehouse, in ascending order of their keys. NaN is not known, "" too."""

    keys: Ints
    sku: Ints
    warehouse: Ints
    is_retired: Flags
    on_hand: Floats
    reserved: Floats
    on_the_way: Floats  # what is counted on
    overdue: Floats
    due: dict[int, list[tuple[int | None, int]]]  # place -> (days from today, units) of what is counted on
    supplier: Ints  # 0: none
    pack: Floats
    minimum: Floats
    lead_days: Floats  # as the receipts or the supplier tell
    lead_spread: Floats
    supplier_review: Floats
    cost: NDArray[np.object_]  # of a unit, in ten-thousandths of `currency`; None: not known
    currency: NDArray[np.object_]
    margin: Floats  # of a unit, in `currency`
    price: Floats
    flow: Flow
    overrides: dict[int, ForecastOverride] = field(default_factory=dict)  # by place
    policies: list[PlanPolicy] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    rates: Rates = field(default_factory=lambda: Rates({}))
    grades: NDArray[np.str_] | None = None  # ABC as the last plan has it; None: worked out among these places
    service_target: Floats | None = None  # instead of what the rules say; NaN where they count
    is_shown: Flags = field(default_factory=lambda: np.empty(0, bool))  # nobody counted it: stock as the shop shows it

    @property
    def available(self) -> Floats:
        return self.on_hand - self.reserved

    @property
    def unit_cost(self) -> Floats:
        return np.array([math.nan if each is None else each / _SCALE for each in self.cost], np.float64)


def places_to_plan(sku_ids: Collection[int] | None) -> Ints:
    """Where these SKUs, or all, have stock or were asked for, in active warehouses; bundles have neither."""
    active = np.array(list(Warehouse.objects.filter(is_active=True).values_list("pk", flat=True)), np.int64)
    levels = StockLevel.objects.order_by()
    known = history_keys()
    if sku_ids is not None:
        levels = levels.filter(sku__in=among(sorted(sku_ids)))
        known = known[np.isin(known // PLACES, sorted(sku_ids))]
    rows = np.array(driver_rows(levels, ("sku", "warehouse")), np.int64).reshape(-1, 2)
    keys = np.union1d(known, place_keys(rows[:, 0], rows[:, 1]))
    bundles = list(BundleComponent.objects.order_by().values_list("bundle", flat=True).distinct())
    return keys[np.isin(keys % PLACES, active) & ~np.isin(keys // PLACES, bundles)]


def inputs_of(keys: Ints, *, now: datetime) -> Inputs:
    """In a number of statements that stays the same."""
    sku, warehouse = keys // PLACES, keys % PLACES
    skus = np.unique(sku).tolist()
    of_skus = among(skus)
    place_of = {key: place for place, key in enumerate(keys.tolist())}
    count = len(keys)

    on_hand, reserved = np.full((2, count), np.nan)
    levels = StockLevel.objects.filter(sku__in=of_skus, is_counted=True).order_by()
    for sku_id, warehouse_id, here, promised in driver_rows(levels, ("sku", "warehouse", "on_hand", "reserved")):
        if (place := place_of.get(sku_id * PLACES + warehouse_id)) is not None:
            on_hand[place], reserved[place] = here, promised
    is_shown = np.zeros(count, bool)
    uncounted = np.unique(sku[np.isnan(on_hand)]).tolist()
    for (sku_id, warehouse_id), shown in shown_stock(uncounted, now=now).items() if uncounted else ():
        if (place := place_of.get(sku_id * PLACES + warehouse_id)) is not None:
            # A shop shows what is not promised yet.
            on_hand[place], reserved[place], is_shown[place] = shown, 0, True

    on_the_way, overdue = np.zeros((2, count))
    due: dict[int, list[tuple[int | None, int]]] = defaultdict(list)
    today = now.astimezone(site_zone()).date()
    for each in arrivals(skus, now=now):
        place = place_of.get(each.sku_id * PLACES + each.warehouse_id)
        if place is None:
            continue
        if each.is_overdue:
            overdue[place] += each.units
            continue
        on_the_way[place] += each.units
        days = None if each.due_at is None else max((each.due_at.astimezone(site_zone()).date() - today).days, 0)
        due[place].append((days, each.units))

    columns = ("pk", "status", "supplier", TenThousandths("cost_price"), "cost_currency")
    rows = driver_rows(Sku.objects.filter(pk__in=of_skus).order_by("pk"), columns)
    at = np.searchsorted(np.array([row[0] for row in rows], np.int64), sku)
    _pks, statuses, suppliers, costs, currencies = (
        [np.array(column, object) for column in zip(*rows, strict=True)] if rows else [np.empty(0, object)] * 5
    )
    supplier = np.array([each or 0 for each in suppliers], np.int64)[at]
    terms = _terms(supplier, sku, now)
    rates = rates_at(now)
    sale = _sales(skus, {row[0]: (row[3], row[4]) for row in rows}, rates)
    margin, price = sale
    return Inputs(
        keys,
        sku,
        warehouse,
        statuses[at] == Sku.Status.RETIRED,
        on_hand,
        reserved,
        on_the_way,
        overdue,
        dict(due),
        supplier,
        *terms,
        costs[at],
        currencies[at],
        np.array([margin.get(pk, math.nan) for pk in sku.tolist()], np.float64),
        np.array([price.get(pk, math.nan) for pk in sku.tolist()], np.float64),
        flow_of(place_of, skus, now=now),
        _overrides(place_of, skus, today),
        list(PlanPolicy.objects.all()),
        list(Lane.objects.filter(source__is_active=True, destination__is_active=True)),
        rates,
        is_shown=is_shown,
    )


def _terms(supplier: Ints, sku: Ints, now: datetime) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Pack, minimum order, lead time, its spread, review period."""
    pairs = list(zip(supplier.tolist(), sku.tolist(), strict=True))
    wanted = {pair for pair in pairs if pair[0]}
    rows = driver_rows(SupplierSku.objects.order_by(), ("supplier", "sku", "pack", "minimum"))
    sold = {(of, sku_id): (pack, minimum) for of, sku_id, pack, minimum in rows}
    times = lead_times(wanted, now=now)
    review = dict(Supplier.objects.order_by().values_list("pk", "review_days"))
    unsold, nan = (math.nan, math.nan), math.nan
    of_pairs = [sold.get(pair, unsold) for pair in pairs]
    known = [times.get(pair) for pair in pairs]
    lead = [nan if time is None or time.days is None else time.days for time in known]
    spread = [nan if time is None or time.spread_days is None else time.spread_days for time in known]
    packs, minimums = np.array(of_pairs, np.float64).reshape(-1, 2).T
    reviews = [review.get(of, nan) for of, _sku in pairs]
    return packs, minimums, np.array(lead, np.float64), np.array(spread, np.float64), np.array(reviews, np.float64)


def _sales(
    skus: list[int], costs: Mapping[int, tuple[int | None, str]], rates: Rates
) -> tuple[dict[int, float], dict[int, float]]:
    """Mean margin and mean price of a unit over the own listings of each SKU, in the currency of its cost.

    The margin is that of the last quote, or else the list price less the cost.
    """
    own = Listing.objects.current().filter(sku__in=among(skus), ownership=Listing.Ownership.OWN).order_by()
    columns = (
        *("sku", "pack_factor", "channel__currency", TenThousandths("list_price")),
        *("price__quote__margin", "price__quote__currency"),
    )
    margins: dict[int, list[float]] = defaultdict(list)
    prices: dict[int, list[float]] = defaultdict(list)
    for sku, pack, currency, list_price, margin, quoted_in in driver_rows(own, columns):
        cost, cost_currency = costs[sku]
        rate = rates.between(cost_currency, currency)
        if rate is None:
            continue
        price = None if list_price is None else list_price / _SCALE / pack / rate
        if price is not None:
            prices[sku].append(price)
        if margin is not None and quoted_in == currency:
            margins[sku].append(margin / 10 ** exponent(currency) / pack / rate)
        elif price is not None and cost is not None:
            margins[sku].append(price - cost / _SCALE)
    return _means(margins), _means(prices)


def _means(values: Mapping[int, list[float]]) -> dict[int, float]:
    return {key: sum(each) / len(each) for key, each in values.items()}


def _overrides(place_of: Mapping[int, int], skus: list[int], today: Any) -> dict[int, ForecastOverride]:
    """The newest that holds counts; one for a warehouse counts before one for all."""
    rows = ForecastOverride.objects.filter(sku__in=among(skus), until__gte=today).order_by("made_at", "pk")
    if not (found := list(rows)):
        return {}
    everywhere = {row.sku_id: row for row in found if row.warehouse_id is None}
    here = {(row.sku_id, row.warehouse_id): row for row in found if row.warehouse_id is not None}
    chosen = {}
    for key, place in place_of.items():
        row = here.get((key // PLACES, key % PLACES)) or everywhere.get(key // PLACES)
        if row is not None:
            chosen[place] = row
    return chosen


@dataclass(frozen=True, slots=True)
class Rules:
    """How each place is planned; NaN where no rule says it."""

    target: Floats
    lead_days: Floats
    review: Floats
    presence: Floats
    turns: Floats


def rules_of(inputs: Inputs, abc: Iterable[str]) -> Rules:
    """The SKU's own rule counts before its class's, then the warehouse's, then the general one."""
    rows = inputs.policies
    by_sku = {row.sku_id: row for row in rows if row.sku_id}
    by_class = {row.abc: row for row in rows if row.abc and not row.sku_id}
    by_warehouse = {row.warehouse_id: row for row in rows if row.warehouse_id}
    general = next((row for row in rows if not (row.sku_id or row.abc or row.warehouse_id)), None)
    names = ("service_target", "lead_time_days", "review_days", "presence", "turns_target")
    cache: dict[tuple[Any, ...], list[float]] = {}
    found = np.empty((len(inputs.keys), len(names)))
    for place, (sku, grade, warehouse) in enumerate(
        zip(inputs.sku.tolist(), abc, inputs.warehouse.tolist(), strict=True)
    ):
        key = (sku if sku in by_sku else 0, grade, warehouse)
        if key not in cache:
            levels = [by_sku.get(sku), by_class.get(grade), by_warehouse.get(warehouse), general]
            cache[key] = [
                next(
                    (float(value) for row in levels if row and (value := getattr(row, name)) is not None),
                    math.nan,
                )
                for name in names
            ]
        found[place] = cache[key]
    target, lead, review, presence, turns = found.T
    if inputs.service_target is not None:
        target = np.where(np.isnan(inputs.service_target), target, inputs.service_target)
    return Rules(
        np.where(np.isnan(target), SERVICE_TARGET, target),
        lead,
        review,
        np.nan_to_num(presence),
        np.where(np.isnan(turns), TURNS_TARGET, turns),
    )


def known_grades(inputs: Inputs) -> NDArray[np.str_] | None:
    """The classes of the last plan, for some SKUs, since a class is what a SKU earns among all; C for those that it did
    not have, and None where it had none of them."""
    plans = SkuPlan.objects.filter(sku__in=among(np.unique(inputs.sku).tolist())).exclude(abc="").order_by()
    known = dict(driver_rows(plans, ("sku", "abc")))
    return np.array([known.get(sku, "C") for sku in inputs.sku.tolist()], "<U1") if known else None


def commonest(values: Iterable[str]) -> str:
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value)) if counts else ""
