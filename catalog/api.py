"""What programs read of the catalog: products, SKUs and channels."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers

from catalog.models import ApiKey, Channel, Platform, Product, Promotion, Sku
from config.api.authentication import may_read_costs
from config.api.filters import IdFilter, OneOfFilter, ResourceFilters, TextFilter, YesNoFilter
from config.api.reading import AmountField, ReadSerializer
from config.api.resources import Resource

COST = ("cost_price", "cost_currency")


class ProductSerializer(ReadSerializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    brand = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class SkuSerializer(ReadSerializer):
    id = serializers.IntegerField()
    code = serializers.CharField()
    product = serializers.IntegerField(source="product_id")
    name = serializers.CharField(allow_null=True, help_text="What sets the variant apart.")
    barcode = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(Sku.Status.choices)
    cost_price = AmountField(
        currency="cost_currency",
        required=False,
        help_text="One unit, without tax; null: not known. Left out for readers who may not see costs.",
    )
    cost_currency = serializers.CharField(required=False, help_text="Left out together with the cost price.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ChannelSerializer(ReadSerializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    platform = serializers.ChoiceField(Platform.choices)
    currency = serializers.CharField(help_text="ISO 4217, of all its prices.")
    time_zone = serializers.CharField()
    is_watched = serializers.BooleanField(help_text="False: none of its listings is read.")
    interval_seconds = serializers.IntegerField(help_text="Between two readings of a listing without its own.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


@extend_schema_field({"type": ["array", "null"], "items": {"type": "array", "items": {"type": "integer"}}})
class TiersField(serializers.JSONField):
    """Pairs of a threshold and a value."""


@extend_schema_field({"type": ["object", "null"]})
class ScopeField(serializers.JSONField):
    """Lists of the platform's ids by their kind."""


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class LabelsField(serializers.JSONField):
    """Names."""


class PromotionSerializer(ReadSerializer):
    """Amounts are whole minor units of the currency, rates basis points; what is not set is null."""

    id = serializers.IntegerField()
    channel = serializers.IntegerField(source="channel_id")
    name = serializers.CharField()
    origin = serializers.ChoiceField(Promotion.Source.choices, source="source")
    platform_id = serializers.CharField(allow_null=True)
    code = serializers.CharField(allow_null=True)
    layer = serializers.CharField()
    priority = serializers.IntegerField()
    auto = serializers.BooleanField(help_text="False: the buyer claims it.")
    kind = serializers.ChoiceField(Promotion.Kind.choices)
    value = serializers.IntegerField(allow_null=True, help_text="Amount, price or rate, by the kind.")
    tiers = TiersField(allow_null=True, help_text="Pairs of a threshold and a value; before the value.")
    measure = serializers.ChoiceField(Promotion.Measure.choices)
    repeat = serializers.BooleanField()
    max_times = serializers.IntegerField(allow_null=True)
    per = serializers.ChoiceField(Promotion.Per.choices)
    of = serializers.IntegerField(allow_null=True)
    take = serializers.IntegerField(allow_null=True)
    min_qty = serializers.IntegerField(allow_null=True)
    max_amount = serializers.IntegerField(allow_null=True)
    max_discount = serializers.IntegerField(allow_null=True)
    max_units = serializers.IntegerField(allow_null=True)
    scope = ScopeField(allow_null=True, help_text="null: all goods.")
    start = serializers.DateTimeField(allow_null=True, help_text="Inclusive.")
    end = serializers.DateTimeField(allow_null=True, help_text="Exclusive.")
    status = serializers.ChoiceField(Promotion.State.choices)
    audience = LabelsField()
    remaining = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField()
    groups = LabelsField()
    in_live = serializers.BooleanField()
    seller_share = serializers.IntegerField(help_text="Of the discount; the platform pays the rest.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class PromotionFilters(ResourceFilters):
    channel = IdFilter(field_name="channel_id")
    origin = OneOfFilter(field_name="source", choices=Promotion.Source.choices)
    status = OneOfFilter(choices=Promotion.State.choices)
    kind = OneOfFilter(choices=Promotion.Kind.choices)


class ProductFilters(ResourceFilters):
    name = TextFilter()
    brand = TextFilter()


class SkuFilters(ResourceFilters):
    code = TextFilter()
    barcode = TextFilter()
    product = IdFilter(field_name="product_id")
    status = OneOfFilter(choices=Sku.Status.choices)


class ChannelFilters(ResourceFilters):
    platform = OneOfFilter(choices=Platform.choices)
    is_watched = YesNoFilter()


@extend_schema_view(
    list=extend_schema(summary="Products"),
    retrieve=extend_schema(summary="One product"),
)
class ProductResource(Resource):
    """What we sell, whoever shows it."""

    queryset = Product.objects.all()
    serializer_class = ProductSerializer
    filterset_class: type[filters.FilterSet] = ProductFilters
    scope = ApiKey.Scope.CATALOG
    permissions = ("catalog.view_product",)


@extend_schema_view(
    list=extend_schema(summary="SKUs"),
    retrieve=extend_schema(summary="One SKU"),
)
class SkuResource(Resource):
    """Our codes for sellable items. The cost needs the scope read:cost and a role that sees cost prices."""

    queryset = Sku.objects.all()
    serializer_class = SkuSerializer
    filterset_class: type[filters.FilterSet] = SkuFilters
    scope = ApiKey.Scope.CATALOG
    permissions = ("catalog.view_sku",)

    def read(self, queryset: QuerySet[Any]) -> list[dict[str, Any]]:
        return self.serializer_class.read(queryset, without=() if may_read_costs(self.request) else COST)


@extend_schema_view(
    list=extend_schema(summary="Channels"),
    retrieve=extend_schema(summary="One channel"),
)
class ChannelResource(Resource):
    """The shops that we read."""

    queryset = Channel.objects.all()
    serializer_class = ChannelSerializer
    filterset_class: type[filters.FilterSet] = ChannelFilters
    scope = ApiKey.Scope.CATALOG
    permissions = ("catalog.view_channel",)


@extend_schema_view(list=extend_schema(summary="Promotions"), retrieve=extend_schema(summary="One promotion"))
class PromotionResource(Resource):
    """What lowers the price that buyers pay."""

    queryset = Promotion.objects.all()
    serializer_class = PromotionSerializer
    filterset_class: type[filters.FilterSet] = PromotionFilters
    scope = ApiKey.Scope.PRICES
    permissions = ("catalog.view_promotion",)
