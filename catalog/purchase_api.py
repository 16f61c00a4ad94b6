"""What programs read of what we buy: the purchase orders that were sent, with what came of them."""

from collections import defaultdict
from typing import Any

from django.db.models import F, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers

from catalog.database import AmountText, among
from catalog.models import ApiKey, PurchaseOrder, PurchaseOrderLine, PurchaseReceipt
from config.api.authentication import may_read_costs
from config.api.filters import IdFilter, OneOfFilter, ResourceFilters
from config.api.reading import ReadSerializer, amount_text
from config.api.resources import Resource

COSTS = ("currency",)
_SENT = [choice for choice in PurchaseOrder.Status.choices if choice[0] != PurchaseOrder.Status.DRAFT]
_UNITS = {"type": "integer", "minimum": 0}


@extend_schema_field(
    {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                **dict.fromkeys(("sku", "quantity", "received", "cancelled", "outstanding"), _UNITS),
                "unit_cost": {"type": ["string", "null"], "description": "Left out for readers who may not see costs."},
            },
            "required": ["sku", "quantity", "received", "cancelled", "outstanding"],
        },
    }
)
class LinesField(serializers.JSONField):
    """Units of each SKU."""


class PurchaseOrderSerializer(ReadSerializer):
    """An order to a supplier. A line is `outstanding` as far as it neither came nor was cancelled."""

    id = serializers.IntegerField()
    number = serializers.CharField()
    supplier = serializers.IntegerField(source="supplier_id")
    warehouse = serializers.IntegerField(source="warehouse_id")
    status = serializers.ChoiceField(_SENT)
    expected_at = serializers.DateTimeField(allow_null=True)
    lines = LinesField(read_only=True)
    currency = serializers.CharField(required=False, help_text="Left out together with the cost of the units.")
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True, help_text="Nothing more is to come since then.")
    updated_at = serializers.DateTimeField(help_text="When it was sent, last received, or closed.")


class PurchaseOrderFilters(ResourceFilters):
    supplier = IdFilter(field_name="supplier_id")
    warehouse = IdFilter(field_name="warehouse_id")
    status = OneOfFilter(choices=_SENT)


def _sent() -> QuerySet[PurchaseOrder]:
    receipts = PurchaseReceipt.objects.filter(order=OuterRef("pk")).order_by().values("order")
    last = Subquery(receipts.annotate(last=Max("received_at")).values("last"))
    later = (Coalesce(each, F("sent_at")) for each in (last, F("closed_at")))
    return PurchaseOrder.objects.filter(sent_at__isnull=False).annotate(updated_at=Greatest(F("sent_at"), *later))


@extend_schema_view(list=extend_schema(summary="Purchase orders"), retrieve=extend_schema(summary="One purchase order"))
class PurchaseOrderResource(Resource):
    """What was ordered from suppliers, and what came of it. A draft is not an order yet."""

    queryset = _sent()
    serializer_class = PurchaseOrderSerializer
    filterset_class: type[filters.FilterSet] = PurchaseOrderFilters
    scope = ApiKey.Scope.PLANS
    permissions = ("catalog.view_purchaseorder",)

    def read(self, queryset: QuerySet[Any]) -> list[dict[str, Any]]:
        with_costs = may_read_costs(self.request)
        rows = self.serializer_class.read(queryset, without=() if with_costs else COSTS)
        lines: dict[int, list[dict[str, Any]]] = defaultdict(list)
        of_orders = PurchaseOrderLine.objects.filter(order__in=among([row["id"] for row in rows])).order_by("pk")
        columns = ("order", "order__currency", "sku", "quantity", "received", "cancelled", AmountText("unit_cost"))
        for order, currency, sku, quantity, received, cancelled, cost in of_orders.values_list(*columns):
            line = {"sku": sku, "quantity": quantity, "received": received, "cancelled": cancelled}
            line["outstanding"] = max(0, quantity - received - cancelled)
            if with_costs:
                line["unit_cost"] = None if cost is None else amount_text(cost, currency)
            lines[order].append(line)
        return [{**row, "lines": lines[row["id"]]} for row in rows]
