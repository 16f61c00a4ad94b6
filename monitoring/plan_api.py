"""What programs read of planning: how each SKU stands in each warehouse, what is advised, and how healthy it is."""

from typing import Any

from django.db.models import F, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers

from catalog.models import ApiKey
from config.api.authentication import may_read_costs
from config.api.filters import IdFilter, OneOfFilter, ResourceFilters, TextFilter
from config.api.reading import AmountField, ReadSerializer
from config.api.resources import Resource
from monitoring.models import Advice, SkuPlan
from monitoring.plan_pages.health import weights_of
from monitoring.planning.health import WEIGHTS

PLAN_COSTS = ("stock_value", "money_at_stake", "currency")  # they say what a unit costs, or what is left of it
ADVICE_COSTS = ("money_at_stake", "currency")

_SHARE = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_ABC, _XYZ = [(each, each) for each in "ABC"], [(each, each) for each in "XYZ"]


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class CodesField(serializers.JSONField):
    """Codes."""


@extend_schema_field({"type": "object"})
class SumField(serializers.JSONField):
    """Codes and figures."""


@extend_schema_field({"type": "object", "additionalProperties": _SHARE})
class PartsField(serializers.JSONField):
    """A share for each part of the health, null where it is not known."""


class PlanSerializer(ReadSerializer):
    """Pieces and days; null is not known. Amounts are left out for readers who may not see costs."""

    id = serializers.IntegerField()
    sku = serializers.IntegerField(source="sku_id")
    warehouse = serializers.IntegerField(source="warehouse_id")
    supplier = serializers.IntegerField(source="supplier_id", allow_null=True)
    status = serializers.ChoiceField(SkuPlan.Status.choices)
    reason = serializers.CharField(allow_null=True, help_text="A code: why it cannot be told.")
    notes = CodesField(help_text="What was assumed.")
    on_hand = serializers.IntegerField(allow_null=True)
    reserved = serializers.IntegerField(allow_null=True)
    on_the_way = serializers.IntegerField(help_text="What is counted on.")
    overdue = serializers.IntegerField(help_text="What should have arrived, and is not counted on.")
    method = serializers.CharField(allow_null=True, help_text="Of the forecast.")
    pattern = serializers.CharField(allow_null=True, help_text="Of the demand.")
    abc = serializers.CharField(allow_null=True, help_text="By what it earns.")
    xyz = serializers.CharField(allow_null=True, help_text="By how steadily it sells.")
    per_day = serializers.FloatField(allow_null=True, help_text="The forecast of a day.")
    lead_time_days = serializers.FloatField(allow_null=True)
    lead_time_spread_days = serializers.FloatField(allow_null=True, help_text="Standard deviation.")
    review_days = serializers.IntegerField()
    protection_days = serializers.IntegerField(
        allow_null=True, help_text="Until what is ordered at the next occasion has arrived."
    )
    service_target = serializers.FloatField(allow_null=True)
    expected = serializers.FloatField(allow_null=True, help_text="Demand of the protection period.")
    expected_high = serializers.FloatField(allow_null=True, help_text="Its quantile at the service target.")
    safety_stock = serializers.FloatField(allow_null=True)
    safety_stock_textbook = serializers.FloatField(allow_null=True)
    reorder_point = serializers.FloatField(allow_null=True)
    cover_days = serializers.FloatField(allow_null=True)
    stock_out_on = serializers.DateField(allow_null=True)
    stock_out_probability = serializers.FloatField(
        allow_null=True, help_text="Before what is ordered now could arrive."
    )
    order_by = serializers.DateField(allow_null=True)
    is_late = serializers.BooleanField(help_text="It should have been ordered before.")
    quantity = serializers.IntegerField(allow_null=True, help_text="To order, in packs.")
    turns = serializers.FloatField(allow_null=True, help_text="A year.")
    last_sold_on = serializers.DateField(allow_null=True)
    wape = serializers.FloatField(allow_null=True, help_text="Of its own forecasts at past origins; a share.")
    bias = serializers.FloatField(allow_null=True)
    coverage = serializers.FloatField(allow_null=True)
    stock_value = AmountField(required=False, help_text="At cost.")
    money_at_stake = AmountField(required=False, help_text="Expected lost margin.")
    currency = serializers.CharField(required=False, allow_null=True)
    updated_at = serializers.DateTimeField(help_text="When it was planned.")

    @classmethod
    def complete(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            if row["service_target"] is not None:
                row["service_target"] = float(row["service_target"])
        return rows


class PlaceFilters(ResourceFilters):
    sku = IdFilter(field_name="sku_id")
    warehouse = IdFilter(field_name="warehouse_id")
    supplier = IdFilter(field_name="supplier_id")
    brand = TextFilter(field_name="sku__product__brand")


class PlanFilters(PlaceFilters):
    abc = OneOfFilter(choices=_ABC)
    xyz = OneOfFilter(choices=_XYZ)
    status = OneOfFilter(choices=SkuPlan.Status.choices)


@extend_schema_view(list=extend_schema(summary="Plans"), retrieve=extend_schema(summary="One plan"))
class PlanResource(Resource):
    """How each SKU stands in each warehouse, as the last run found it."""

    queryset = SkuPlan.objects.annotate(updated_at=F("planned_at"))
    serializer_class = PlanSerializer
    filterset_class: type[filters.FilterSet] = PlanFilters
    scope = ApiKey.Scope.PLANS
    permissions = ("monitoring.view_skuplan",)

    def read(self, queryset: QuerySet[Any]) -> list[dict[str, Any]]:
        return self.serializer_class.read(queryset, without=() if may_read_costs(self.request) else PLAN_COSTS)


class AdviceSerializer(ReadSerializer):
    """What a person is asked to decide, or has decided. Amounts are left out for readers who may not see costs."""

    id = serializers.IntegerField()
    sku = serializers.IntegerField(source="sku_id")
    warehouse = serializers.IntegerField(source="warehouse_id")
    kind = serializers.ChoiceField(Advice.Kind.choices)
    state = serializers.ChoiceField(Advice.State.choices)
    source_warehouse = serializers.IntegerField(source="source_id", allow_null=True, help_text="Of a transfer.")
    supplier = serializers.IntegerField(source="supplier_id", allow_null=True)
    promotion = serializers.IntegerField(source="promotion_id", allow_null=True)
    channel = serializers.IntegerField(source="channel_id", allow_null=True)
    quantity = serializers.IntegerField()
    by = serializers.DateField(allow_null=True, help_text="The last day for it.")
    sum = SumField(help_text="How the quantity comes about.")
    stock_out_on = serializers.DateField(allow_null=True)
    probability = serializers.FloatField(allow_null=True)
    rank = serializers.IntegerField(help_text="Of urgency and money; the first is 0.")
    snoozed_until = serializers.DateTimeField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(source="decided_by__username", allow_null=True)
    decided_quantity = serializers.IntegerField(allow_null=True)
    decision_reason = serializers.CharField(source="reason", allow_null=True)
    order = serializers.IntegerField(source="order_id", allow_null=True, help_text="The purchase order it went into.")
    transfer = serializers.IntegerField(source="transfer_id", allow_null=True)
    outcome = serializers.ChoiceField(Advice.Outcome.choices, allow_null=True, help_text="What happened; null: open.")
    money_at_stake = AmountField(required=False, help_text="Expected lost margin.")
    currency = serializers.CharField(required=False, allow_null=True)
    created_at = serializers.DateTimeField(source="made_at")
    updated_at = serializers.DateTimeField()


class AdviceFilters(PlaceFilters):
    kind = OneOfFilter(choices=Advice.Kind.choices)
    state = OneOfFilter(choices=Advice.State.choices)


@extend_schema_view(list=extend_schema(summary="Advice"), retrieve=extend_schema(summary="One advice"))
class AdviceResource(Resource):
    """What to buy, to move and to limit, undecided and decided."""

    queryset = Advice.objects.annotate(updated_at=F("changed_at"))
    serializer_class = AdviceSerializer
    filterset_class: type[filters.FilterSet] = AdviceFilters
    scope = ApiKey.Scope.PLANS
    permissions = ("monitoring.view_advice",)

    def read(self, queryset: QuerySet[Any]) -> list[dict[str, Any]]:
        return self.serializer_class.read(queryset, without=() if may_read_costs(self.request) else ADVICE_COSTS)


class HealthSerializer(ReadSerializer):
    """The score from 0 to 100 of the parts that are known, each weighed as `weights` says."""

    id = serializers.IntegerField(help_text="Of the plan.")
    sku = serializers.IntegerField(source="sku_id")
    warehouse = serializers.IntegerField(source="warehouse_id")
    score = serializers.FloatField(source="health", allow_null=True, help_text="null: no part is known.")
    parts = PartsField(source="health_parts")
    weights = PartsField(read_only=True, help_text="Of the parts that are known; together 1.")
    updated_at = serializers.DateTimeField(help_text="When it was planned.")

    @classmethod
    def complete(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            row["parts"] = {name: row["parts"].get(name) for name in WEIGHTS}
            row["weights"] = {
                name: None if weight is None else round(weight, 4) for name, weight in weights_of(row["parts"]).items()
            }
        return rows


@extend_schema_view(list=extend_schema(summary="Health of the stock"), retrieve=extend_schema(summary="One health"))
class HealthResource(Resource):
    """How healthy the stock of each SKU in each warehouse is, with the parts of the score."""

    queryset = SkuPlan.objects.annotate(updated_at=F("planned_at"))
    serializer_class = HealthSerializer
    filterset_class: type[filters.FilterSet] = PlanFilters
    scope = ApiKey.Scope.PLANS
    permissions = ("monitoring.view_skuplan",)
