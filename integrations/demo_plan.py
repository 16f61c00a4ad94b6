"""The demo world's planning: suppliers and their terms, what is on the way, lanes, and the sales of the last months."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby, product
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from catalog.models import Lane, PurchaseOrder, Sku, StockLevel, Supplier, SupplierSku, User, Warehouse
from catalog.purchasing.orders import Wanted, draft_order, send_order
from monitoring.models import PlanPolicy, SalesImport
from monitoring.services.planning.demand import yesterday
from monitoring.services.planning.sales_history import Sale, apply

HISTORY = "demo-sales.csv"
HISTORY_DAYS = 120
# Lead time, its spread and days between two orders, in the order of the suppliers' names.
_TERMS = ((10, Decimal(2), 7), (14, Decimal(3), 7), (21, Decimal(4), 14))
_LEAD_DAYS = 14  # of SKUs that nobody is said to sell
_PACKS = (1, 6, 12)
_SHARE_OF_PRICE = Decimal("0.9")  # of the cost price, which counts freight and duty too
# What is there, as a share of what is needed until an order could be here, in each of the two warehouses; None: sold
# long ago, and not since. By SKU in turn.
_FINE = (1.55, 1.65)
_STORIES: tuple[tuple[float | None, float | None], ...] = (
    *(_FINE, (0.4, 0.87), _FINE, _FINE, (2.2, 1.7), _FINE, (0.3, 6.0), _FINE, _FINE, (0.93, 0.85)),
    *(_FINE, (1.8, 1.6), _FINE, (None, 2.0), _FINE, _FINE, (5.0, 0.6), _FINE, (9.0, 6.0), _FINE),
    *((0.9, 0.93), _FINE, (2.5, 1.8), _FINE, (2.0, None), _FINE, (1.9, 2.2), _FINE, _FINE, _FINE),
)
_FEW = 4  # units, of what is nearly sold out
_RESTOCKED = 24
_SHORTEST = 3  # SKUs
_WEEKEND = 1.35
_SOLD_DAYS = 20  # of the first days, of what was not sold since
_DEAD_SHARE = 1.5
_SEED = 20_261_111
_DAY = timedelta(days=1)


def add_planning(*, owner: User, now: datetime) -> None:
    """What a plan needs to know; the plan itself is made by whoever loads the world."""
    suppliers = list(Supplier.objects.filter(skus__isnull=False).distinct().order_by("name"))
    for supplier, (lead_time, spread, review) in zip(suppliers, _TERMS * len(suppliers), strict=False):
        supplier.lead_time_days, supplier.lead_time_spread_days, supplier.review_days = lead_time, spread, review
    Supplier.objects.bulk_update(suppliers, ["lead_time_days", "lead_time_spread_days", "review_days"])
    skus = list(Sku.objects.order_by("pk"))
    SupplierSku.objects.bulk_create(
        (
            SupplierSku(
                supplier_id=sku.supplier_id,
                sku=sku,
                unit_cost=None
                if sku.cost_price is None
                else (sku.cost_price * _SHARE_OF_PRICE).quantize(Decimal("0.01")),
                pack=_PACKS[sku.pk % len(_PACKS)],
                minimum=2 * _PACKS[sku.pk % len(_PACKS)],
            )
            for sku in skus
            if sku.supplier_id
        ),
        ignore_conflicts=True,
    )
    warehouses = list(Warehouse.objects.all()[:2])
    for source, destination in (warehouses, warehouses[::-1]):
        terms = {"days": 2, "unit_cost": Decimal("0.60"), "fixed_cost": Decimal(20)}
        Lane.objects.get_or_create(source=source, destination=destination, defaults=terms)
    usual = {"service_target": Decimal("0.95"), "lead_time_days": _LEAD_DAYS}
    PlanPolicy.objects.get_or_create(sku=None, abc="", warehouse=None, defaults=usual)
    PlanPolicy.objects.get_or_create(sku=None, abc="A", warehouse=None, defaults={"service_target": Decimal("0.98")})
    if not SalesImport.objects.exists():
        apply(sales=_sales(now), name=HISTORY, actor=owner, now=now)
    if not PurchaseOrder.objects.exists():
        _order(suppliers, warehouses, owner, now)


def _order(suppliers: Sequence[Supplier], warehouses: Sequence[Warehouse], owner: User, now: datetime) -> None:
    """What is nearly sold out comes within days, some of what is shortest too; more of that is long overdue."""
    places = sorted(_places(), key=lambda place: (_FINE[0] if place.share is None else place.share, place.sku))
    for supplier, warehouse in product(suppliers, warehouses):
        here = [place for place in places if (place.supplier, place.warehouse) == (supplier.pk, warehouse.pk)]
        shortest = [Wanted(place.sku, place.units) for place in here[:_SHORTEST] if place.units > _FEW]
        nearly_out = [Wanted(place.sku, _RESTOCKED) for place in here if place.units <= _FEW]
        if warehouse == warehouses[0] and supplier == suppliers[-1]:
            _send(supplier, warehouse, shortest, owner, sent=45, due=-24, now=now)
            shortest = []
        elif supplier != suppliers[0]:
            shortest = []
        _send(supplier, warehouse, shortest + nearly_out, owner, sent=10, due=4, now=now)


def _send(
    supplier: Supplier,
    warehouse: Warehouse,
    lines: Sequence[Wanted],
    owner: User,
    *,
    sent: int,
    due: int,
    now: datetime,
) -> None:
    """An order that was sent so many days ago and is due in so many."""
    if not lines:
        return
    order = draft_order(
        supplier_id=supplier.pk,
        warehouse_id=warehouse.pk,
        lines=lines,
        actor=owner,
        now=now - (sent + 1) * _DAY,
    )
    send_order(order_id=order.pk, actor=owner, expected_at=now + due * _DAY, now=now - sent * _DAY)


def _sales(now: datetime) -> list[Sale]:
    """Until yesterday, at a pace at which what is there is as much of the need as _STORIES says.

    The same whenever it is made.
    """
    rng = np.random.default_rng(_SEED)
    last = yesterday(now).toordinal()
    days = np.arange(last - HISTORY_DAYS + 1, last + 1)
    is_weekend = np.array([date.fromordinal(day).weekday() >= 5 for day in days.tolist()])
    found: list[Sale] = []
    for place in _places():
        rate = _rate(place.units / (place.share or _DEAD_SHARE), place.period)
        sold = rng.poisson(np.where(is_weekend, rate * _WEEKEND, rate))
        sold[0] = max(sold[0], 1)  # since then it can be sold
        if place.share is None:
            sold[_SOLD_DAYS:] = 0
        days_sold = zip(days.tolist(), sold.tolist(), strict=True)
        found += [(place.sku, place.warehouse, day, count) for day, count in days_sold if count]
    return found


class _Place(NamedTuple):
    sku: int
    warehouse: int
    supplier: int | None
    units: int
    period: int  # days until an order could be here
    share: float | None  # see _STORIES


def _places() -> Iterator[_Place]:
    levels = StockLevel.objects.filter(sku__status=Sku.Status.ACTIVE).order_by("sku_id", "warehouse_id")
    figures = ("available", "sku__supplier__lead_time_days", "sku__supplier__review_days")
    rows = levels.values_list("sku", "warehouse", "sku__supplier", *figures)
    for number, (_sku, of_sku) in enumerate(groupby(rows, key=itemgetter(0))):
        story = _STORIES[number % len(_STORIES)]
        for (sku, warehouse, supplier, units, lead, review), share in zip(of_sku, story, strict=False):
            period = (_LEAD_DAYS if lead is None else lead) + (review or 0)
            yield _Place(sku, warehouse, supplier, max(units or 0, 1), period, share)


def _rate(need: float, period: int) -> float:
    """Units a day of which so many are needed in the period, with about what is held for safety."""
    rates = np.geomspace(0.01, 300, 400)
    total = rates * period
    return float(np.interp(need, 1.2 + total + 2 * total**0.65, rates))
