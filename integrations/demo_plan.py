"""The demo world's planning: suppliers and their terms, what is on the way, lanes, and the sales of the last months."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np

from catalog.models import Lane, PurchaseOrder, Sku, StockLevel, Supplier, SupplierSku, User, Warehouse
from catalog.purchasing.orders import Wanted, draft_order, send_order
from monitoring.models import PlanPolicy, SalesImport
from monitoring.services.planning.demand import yesterday
from monitoring.services.planning.sales_history import Sale, apply

HISTORY = "demo-sales.csv"
HISTORY_DAYS = 120
# Lead time, its spread and days between two orders, in the order of the suppliers' names; what an order weighs.
_TERMS = ((14, Decimal(3), 7), (21, Decimal(5), 7), (30, Decimal(6), 14))
_PACKS = (1, 6, 12)
_SHARE_OF_PRICE = Decimal("0.9")  # of the cost price, which counts freight and duty too
# For how many days what is there lasts, by SKU and warehouse in turn: from sold out within the week to dead.
_COVERS = (5, 70, 55, 120, 12, 90, 100, 400, 28, 9)
_WEEKEND = 1.35
_LEAST_RATE = 0.15  # units a day, of what is sold out
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
    usual = {"service_target": Decimal("0.95"), "lead_time_days": 21, "review_days": 7}
    PlanPolicy.objects.get_or_create(sku=None, abc="", warehouse=None, defaults=usual)
    PlanPolicy.objects.get_or_create(sku=None, abc="A", warehouse=None, defaults={"service_target": Decimal("0.98")})
    if not SalesImport.objects.exists():
        apply(sales=_sales(now), name=HISTORY, actor=owner, now=now)
    if not PurchaseOrder.objects.exists():
        _order(suppliers, warehouses[0], owner, now)


def _order(suppliers: Sequence[Supplier], warehouse: Warehouse, owner: User, now: datetime) -> None:
    """Two orders on the way: one comes within days, the other should have come long ago."""
    for supplier, sent, expected in zip(suppliers, (10, 45), (now + 4 * _DAY, now - 24 * _DAY), strict=False):
        skus = Sku.objects.filter(supplier=supplier, status=Sku.Status.ACTIVE).order_by("pk")[:3]
        lines = [Wanted(sku.pk, 24 * (place + 1)) for place, sku in enumerate(skus)]
        order = draft_order(
            supplier_id=supplier.pk, warehouse_id=warehouse.pk, lines=lines, actor=owner, now=now - (sent + 1) * _DAY
        )
        send_order(order_id=order.pk, actor=owner, expected_at=expected, now=now - sent * _DAY)


def _sales(now: datetime) -> list[Sale]:
    """Until yesterday, at a pace at which what is there lasts as long as _COVERS says; the same whenever it is made."""
    rng = np.random.default_rng(_SEED)
    last = yesterday(now).toordinal()
    days = np.arange(last - HISTORY_DAYS + 1, last + 1)
    is_weekend = np.array([date.fromordinal(day).weekday() >= 5 for day in days.tolist()])
    found: list[Sale] = []
    levels = StockLevel.objects.order_by("sku", "warehouse").values_list("sku", "warehouse", "available")
    for place, (sku, warehouse, units) in enumerate(levels):
        rate = max((units or 0) / _COVERS[place % len(_COVERS)], _LEAST_RATE)
        sold = rng.poisson(np.where(is_weekend, rate * _WEEKEND, rate))
        found += [(sku, warehouse, int(day), int(count)) for day, count in zip(days, sold, strict=True) if count]
    return found
