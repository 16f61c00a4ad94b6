"""The stock of SKUs that nobody counts here, as their shops show it."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from catalog.database import among, driver_rows
from catalog.models import BundleComponent, Listing, StockLevel, Warehouse
from monitoring.freshness import OF_LISTING
from monitoring.models import SkuPlan


def shown_stock(sku_ids: Collection[int] | None = None, *, now: datetime) -> dict[tuple[int, int], int]:
    """Units by SKU and warehouse, which is the first active one; of SKUs without any counted stock, bundles left out.

    Several listings may show the same stock, so that their figures cannot be added up: the least of them counts. What
    was not read for too long is not known.
    """
    warehouse = Warehouse.objects.filter(is_active=True).values_list("pk", flat=True).first()
    if warehouse is None:
        return {}
    read = _of_readings().filter(OF_LISTING.fresh(now), stock__isnull=False)
    if sku_ids is not None:
        read = read.filter(sku__in=among(sorted(sku_ids)))
    found: dict[tuple[int, int], int] = {}
    for sku, stock, pack in driver_rows(read.order_by(), ("sku", "stock", "pack_factor")):
        key = sku, warehouse
        found[key] = min(stock * pack, found.get(key, stock * pack))
    return found


def planned_by_readings(listing_ids: Collection[int]) -> list[int]:
    """The SKUs of these listings that have a plan which goes by what is read of them."""
    plans = SkuPlan.objects.filter(sku=OuterRef("sku"))
    rows = _of_readings().filter(Exists(plans), pk__in=among(sorted(listing_ids)))
    return sorted(set(rows.order_by().values_list("sku", flat=True)))


def _of_readings() -> QuerySet[Listing]:
    counted = StockLevel.objects.filter(sku=OuterRef("sku"), is_counted=True)
    made_up = BundleComponent.objects.filter(bundle=OuterRef("sku"))
    own = Listing.objects.current().filter(sku__isnull=False, ownership=Listing.Ownership.OWN)
    return own.filter(~Exists(counted), ~Exists(made_up))
