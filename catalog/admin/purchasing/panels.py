"""What buying adds to the page of a SKU: from whom, on which terms, and what is on its way."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from catalog.admin.product import may_see_cost
from catalog.models import PurchaseOrder, Sku, Warehouse
from catalog.purchasing.lead_times import lead_times
from catalog.purchasing.on_the_way import Way, arrivals
from config import formatting
from config.admin_site import add_panel
from config.model_admin import person


def _buying(request: HttpRequest, sku: Sku) -> dict[str, Any] | None:
    if not request.user.has_perm("catalog.view_suppliersku"):
        return None
    now = timezone.now()
    terms = list(sku.terms.select_related("supplier"))
    times = lead_times({(each.supplier_id, sku.pk) for each in terms}, now=now)
    coming = [each for each in arrivals([sku.pk], now=now) if each.way == Way.PURCHASE]
    orders = PurchaseOrder.objects.visible_to(person(request)).in_bulk({each.pk for each in coming})
    places = Warehouse.objects.in_bulk({each.warehouse_id for each in coming})
    if not terms and not coming:
        return None
    return {
        "terms": [(each, times[each.supplier_id, sku.pk]) for each in terms],
        "coming": [
            (each, orders.get(each.pk), places[each.warehouse_id], formatting.day(each.due_at, now)) for each in coming
        ],
        "shows_cost": may_see_cost(request),
    }


add_panel("sku", "admin/catalog/purchasing/sku_buying.html", _buying, area="main", order=20)
