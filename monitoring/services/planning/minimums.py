"""Whether what is advised to be bought from a supplier is worth as much as it asks for in one order."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, DecimalField, Exists, ExpressionWrapper, F, OuterRef, Q, Subquery, Sum

from catalog.models import PurchaseOrder, PurchaseOrderLine, Supplier, SupplierSku
from monitoring.models import Advice

Group = tuple[int, int]  # supplier, warehouse: one order


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What is advised for one order, with what its draft has already, is worth less than `least`."""

    value: Decimal
    least: Decimal
    currency: str

    @property
    def missing(self) -> Decimal:
        return self.least - self.value


def shortfalls(supplier_ids: Collection[int]) -> dict[Group, Shortfall]:
    """Of these suppliers; a group is left out that is worth enough, or of which a price is not known. Three queries.

    Prices are those of the supplier's terms. A SKU that is advised and drafted counts once, as accepting raises the
    draft to what is advised.
    """
    asking = Supplier.objects.filter(pk__in=supplier_ids, minimum_value__gt=0).in_bulk()
    if not asking:
        return {}
    values: dict[Group, Decimal] = {}
    unknown: set[Group] = set()
    advised = Advice.objects.filter(kind=Advice.Kind.BUY, state__in=Advice.UNDECIDED, supplier__in=asking)
    terms = SupplierSku.objects.filter(supplier=OuterRef("supplier"), sku=OuterRef("sku"))
    priced = advised.order_by().annotate(price=Subquery(terms.values("unit_cost")[:1]))
    again = advised.filter(
        sku=OuterRef("sku"), supplier=OuterRef("order__supplier"), warehouse=OuterRef("order__warehouse")
    )
    drafted = PurchaseOrderLine.objects.filter(
        ~Exists(again), order__status=PurchaseOrder.Status.DRAFT, order__supplier__in=asking
    ).order_by()
    for rows, fields, price in (
        (priced, ("supplier", "warehouse"), "price"),
        (drafted, ("order__supplier", "order__warehouse"), "unit_cost"),
    ):
        worth = ExpressionWrapper(F("quantity") * F(price), output_field=DecimalField(max_digits=20, decimal_places=4))
        sums = rows.values(*fields).annotate(
            worth=Sum(worth), unpriced=Count("pk", filter=Q(**{f"{price}__isnull": True}))
        )
        for supplier, warehouse, value, unpriced in sums.values_list(*fields, "worth", "unpriced"):
            group = supplier, warehouse
            values[group] = values.get(group, Decimal(0)) + (value or 0)
            if unpriced:
                unknown.add(group)
    return {
        group: Shortfall(value, least, asking[group[0]].currency)
        for group, value in values.items()
        if group not in unknown and (least := asking[group[0]].minimum_value) is not None and value < least
    }
