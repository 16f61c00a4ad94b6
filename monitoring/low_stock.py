"""Whether what can be sold of a SKU has fallen below the safety stock somewhere."""

from collections.abc import Collection

from django.db.models import OuterRef, Subquery

from catalog.database import among
from catalog.models import StockLevel
from monitoring.models import SkuPlan

# Of these nothing is kept in reserve.
_WITHOUT_SAFETY = (SkuPlan.Status.NO_DEMAND, SkuPlan.Status.RETIRED)


def low_stock(sku_ids: Collection[int]) -> dict[int, bool | None]:
    """Per SKU with a plan whether what is available now is below the safety stock in a warehouse that is active.

    None: in none that can be compared, while in another the stock or the safety stock is not known. One query.
    """
    level = StockLevel.objects.filter(sku=OuterRef("sku"), warehouse=OuterRef("warehouse"), is_counted=True)
    plans = SkuPlan.objects.filter(sku__in=among([*sku_ids]), warehouse__is_active=True)
    found: dict[int, bool | None] = {}
    for sku_id, status, safety_stock, available in plans.values_list(
        "sku_id", "status", "safety_stock", Subquery(level.values("available")[:1])
    ):
        is_low: bool | None = None
        if status in _WITHOUT_SAFETY:
            is_low = False
        elif safety_stock is not None and available is not None:
            is_low = available < safety_stock
        found[sku_id] = _either(found[sku_id], is_low) if sku_id in found else is_low
    return found


def _either(one: bool | None, other: bool | None) -> bool | None:
    if one or other:
        return True
    return None if one is None or other is None else False
