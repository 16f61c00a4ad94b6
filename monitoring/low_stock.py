"""Whether cover is short: less than the safety stock is there, or it runs out before anything new can arrive."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from django.db.models import F, OuterRef, Q, Subquery

from catalog.database import among
from catalog.models import StockLevel
from monitoring.models import SkuPlan
from monitoring.services.planning.readings import shown_stock

# Of these nothing is kept in reserve.
_WITHOUT_SAFETY = (SkuPlan.Status.NO_DEMAND, SkuPlan.Status.RETIRED)
# Plans of which running out is likelier than their service target allows, with all that arrives in time.
RUNS_OUT = Q(stock_out_probability__gt=1 - F("service_target")) & ~Q(status__in=_WITHOUT_SAFETY)


def low_stock(sku_ids: Collection[int], *, now: datetime) -> dict[int, bool | None]:
    """Per SKU with a plan whether cover is short in a warehouse that is active: what is available now is below the
    safety stock, or by the last plan it runs out before what is ordered now could arrive.

    None: in none that can be compared, while in another the stock or the safety stock is not known. What nobody counted
    is compared as its plan has it, by what its shops show. A constant number of queries.
    """
    level = StockLevel.objects.filter(sku=OuterRef("sku"), warehouse=OuterRef("warehouse"), is_counted=True)
    plans = SkuPlan.objects.filter(sku__in=among([*sku_ids]), warehouse__is_active=True)
    found: dict[int, bool | None] = {}
    columns = ("sku_id", "warehouse_id", "status", "safety_stock", "stock_out_probability", "service_target")
    rows = list(plans.values_list(*columns, Subquery(level.values("available")[:1])))
    uncounted = {sku_id for sku_id, *_figures, available in rows if available is None}
    shown = shown_stock(uncounted, now=now) if uncounted else {}
    for sku_id, warehouse_id, status, safety_stock, probability, target, counted in rows:
        available = shown.get((sku_id, warehouse_id)) if counted is None else counted
        is_low: bool | None = None
        if status in _WITHOUT_SAFETY:
            is_low = False
        elif safety_stock is not None and available is not None:
            is_low = available < safety_stock or _is_likely(probability, target)
        found[sku_id] = _either(found[sku_id], is_low) if sku_id in found else is_low
    return found


def _either(one: bool | None, other: bool | None) -> bool | None:
    if one or other:
        return True
    return None if one is None or other is None else False


def _is_likely(probability: float | None, service_target: Decimal | None) -> bool:
    """As RUNS_OUT has it."""
    return probability is not None and service_target is not None and probability > 1 - float(service_target)
