"""A night of planning: 100,000 SKUs with a year of demand, from the database to saved plans and advice.

python -m benchmarks plan
"""

import resource
import statistics
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection, transaction

from benchmarks.forecast import made_up
from benchmarks.harness import report, timed
from catalog.database import copy_rows, put_rows
from catalog.models import (
    Channel,
    Listing,
    Product,
    PurchaseOrder,
    PurchaseOrderLine,
    Sku,
    StockLevel,
    StockMovement,
    Supplier,
    SupplierSku,
    Warehouse,
)
from monitoring.models import Advice, DemandHistory, PlanRun, SkuPlan
from monitoring.services.planning import demand as histories
from monitoring.services.planning.running import run_plan

NOW = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)
DAY = timedelta(days=1)
SKUS, DAYS = 100_000, 365
SOLD_LAST_NIGHT = 30_000  # SKUs
ON_THE_WAY = 5_000
NIGHTS = 2
LEAD_TIMES = (7, 9, 14, 30)
_AT_ONCE = 10_000


def load(skus: int) -> None:
    """Histories until the day before yesterday, of which a run is on record; and what yesterday sold."""
    random = np.random.default_rng(3)
    with transaction.atomic():
        warehouse = Warehouse.objects.create(code="HZ", name="杭州仓")
        channel = Channel.objects.create(name="天猫旗舰店")
        product = Product.objects.create(name="手冲咖啡壶")
        suppliers = [
            Supplier.objects.create(name=f"工厂 {days}", lead_time_days=days, lead_time_spread_days=1, review_days=7)
            for days in LEAD_TIMES
        ]
        by_place = [suppliers[number % len(suppliers)].pk for number in range(skus)]
        also = {"name": "", "barcode": "", "status": "active", "stock_version": 0, "created_at": NOW, "updated_at": NOW}
        copy_rows(
            Sku,
            ("code", "supplier", "cost_price", "cost_currency"),
            ((f"S{number:06d}", by_place[number], f"{10 + number % 90}.0000", "CNY") for number in range(skus)),
            also={**also, "product": product.pk},
        )
        keys = list(Sku.objects.order_by("pk").values_list("pk", flat=True))
        terms = ((by_place[number], key, "", 6, 12) for number, key in enumerate(keys))
        copy_rows(SupplierSku, ("supplier", "sku", "supplier_code", "pack", "minimum"), terms)
        listing = Listing(channel=channel)
        fields = [field for field in Listing._meta.concrete_fields if field.name not in ("id", "sku")]
        own = {field.name: field.value_from_object(listing) for field in fields}
        own |= {"title": "手冲咖啡壶", "list_price": "129.0000", "created_at": NOW, "updated_at": NOW}
        listed = ((key, str(616_000_000_000 + key)) for key in keys)
        copy_rows(Listing, ("sku", "platform_item_id"), listed, also=_without(own, "platform_item_id"))
        levels = ((key, on_hand) for key, on_hand in zip(keys, random.integers(0, 60, skus).tolist(), strict=True))
        counted = {"reserved": 0, "is_counted": True, "updated_at": NOW, "warehouse": warehouse.pk}
        copy_rows(StockLevel, ("sku", "on_hand"), levels, also=counted)
        order = PurchaseOrder.objects.create(
            supplier=suppliers[0],
            warehouse=warehouse,
            status=PurchaseOrder.Status.SENT,
            sent_at=NOW - 3 * DAY,
            expected_at=NOW + 5 * DAY,
        )
        coming = ((order.pk, key, 24, 0, 0) for key in keys[:: max(skus // ON_THE_WAY, 1)])
        copy_rows(PurchaseOrderLine, ("order", "sku", "quantity", "received", "cancelled"), coming)
        known = made_up()[:skus]
        last = histories.yesterday(NOW) - DAY
        stored = tuple(connection.ops.adapt_datefield_value(day) for day in (last - (DAYS - 1) * DAY, last))
        built_at = connection.ops.adapt_datetimefield_value(NOW - DAY)
        marks = bytes([histories.Mark.COUNTED]) * DAYS
        for start in range(0, skus, _AT_ONCE):
            rows = [
                (key, warehouse.pk, "ledger", *stored, known[start + number].astype("<i4").tobytes(), marks, built_at)
                for number, key in enumerate(keys[start : start + _AT_ONCE])
            ]
            fields_of = ("source", "first_day", "last_day", "units", "marks", "built_at")
            put_rows(DemandHistory, ("sku", "warehouse"), fields_of, rows)
        PlanRun.objects.create(kind=PlanRun.Kind.FULL, started_at=NOW - DAY, ended_at=NOW - DAY)
        copy_rows(StockMovement, *_sold(keys, warehouse.pk))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name and value is not None}


def _sold(keys: list[int], warehouse: int) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
    at = NOW - DAY
    step = max(len(keys) // SOLD_LAST_NIGHT, 1)
    fields = ("sku", "warehouse", "kind", "quantity", "key", "source", "reason", "happened_at", "created_at")
    return fields, ((key, warehouse, "sale", -2, f"sold {key}", "import", "", at, at) for key in keys[::step])


def main(_database: str) -> None:
    skus = int(sys.argv[2]) if len(sys.argv) > 2 else SKUS
    load(skus)
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, statements = [], 0
    for night in range(NIGHTS):
        if night:
            PlanRun.objects.filter(started_at__gte=NOW).delete()  # as if the last night had not been
        statements = 0

        def counted(execute: Any, *arguments: Any) -> Any:
            nonlocal statements
            statements += 1
            return execute(*arguments)

        with connection.execute_wrapper(counted):
            seconds.append(timed(lambda: run_plan(now=NOW)))
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    plans, advice = SkuPlan.objects.count(), Advice.objects.filter(state=Advice.State.OPEN).count()
    slowest = max(seconds)
    report(
        f"a night of planning {skus:,} SKUs over {DAYS} days",
        target="below 15 s and 1 GB, from the database to saved advice",
        passed=slowest < 15 and megabytes < 1024 and plans == skus,
        seconds=[round(each, 2) for each in seconds],
        median=round(statistics.median(seconds), 2),
        megabytes=round(megabytes),
        megabytes_after_loading=round(loaded),
        statements=statements,
        plans=plans,
        open_advice=advice,
    )
