"""What programs read of after-coupon prices: the stored ones, and one that is worked out for them."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import F
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.costs import costs_of
from catalog.models import ApiKey
from catalog.pricing import exchange
from catalog.promotions.forms import words_of
from catalog.promotions.prices import price_of, prices_by_tag, unit_prices_of
from catalog.promotions.requests import amount_of, shops_of
from config.api.authentication import may_read_costs
from config.api.filters import IdFilter, MomentField, OneOfFilter, ResourceFilters, check_parameters
from config.api.reading import ReadSerializer, amount_text
from config.api.resources import Resource
from monitoring.api import ListingResource
from monitoring.models import PriceQuote

MOST_UNITS = 10_000
COSTS = ("receipts", "break_even", "margin")
_AMOUNTS = ("buy_one", "platform_price", *COSTS)


@extend_schema_field({"type": ["string", "null"], "pattern": r"^-?[0-9]+(\.[0-9]+)?$"})
class MinorUnitsField(serializers.IntegerField):
    """A column in minor units, shown as an exact amount of the currency."""


class PriceQuoteSerializer(ReadSerializer):
    """Of one unit. Amounts are null where they are not known; those of costs are left out for readers who may not see
    costs.
    """

    id = serializers.IntegerField()
    listing = serializers.IntegerField(source="listing_id")
    at = serializers.DateTimeField(help_text="The moment it is about.")
    updated_at = serializers.DateTimeField(help_text="When it was worked out; a stored quote never changes.")
    valid_until = serializers.DateTimeField(allow_null=True, help_text="The next moment at which a promotion changes.")
    rules_version = serializers.IntegerField()
    currency = serializers.CharField()
    status = serializers.ChoiceField(PriceQuote.Status.choices)
    reason = serializers.CharField(allow_null=True, help_text="A code: why there is no price.")
    buy_one = MinorUnitsField(allow_null=True, help_text="What a buyer of one pays for the goods.")
    platform_price = MinorUnitsField(allow_null=True, help_text="What the platform says that a buyer pays.")
    receipts = MinorUnitsField(
        allow_null=True, required=False, help_text="What comes in: with the platform’s part of the discounts."
    )
    break_even = MinorUnitsField(allow_null=True, required=False)
    margin = MinorUnitsField(allow_null=True, required=False)
    answer = serializers.JSONField(help_text="Used promotions in order, and the reason of each other one.")

    @classmethod
    def complete(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            for name in _AMOUNTS:
                if name in row:
                    row[name] = _amount(row[name], row["currency"])
        return rows


def _amount(units: int | None, currency: str) -> str | None:
    return None if units is None else amount_text(f"{amount_of(units, currency):.4f}", currency)


class PriceQuoteFilters(ResourceFilters):
    listing = IdFilter(field_name="listing_id")
    channel = IdFilter(field_name="listing__channel_id")
    status = OneOfFilter(choices=PriceQuote.Status.choices)


@extend_schema_view(list=extend_schema(summary="Price quotes"), retrieve=extend_schema(summary="One price quote"))
class PriceQuoteResource(Resource):
    """Stored after-coupon prices: one whenever the answer of a listing changed."""

    queryset = PriceQuote.objects.annotate(updated_at=F("made_at"))
    serializer_class = PriceQuoteSerializer
    filterset_class: type[filters.FilterSet] = PriceQuoteFilters
    scope = ApiKey.Scope.PRICES
    permissions = ("monitoring.view_pricequote",)

    def read(self, queryset: Any) -> list[dict[str, Any]]:
        return self.serializer_class.read(queryset, without=() if may_read_costs(self.request) else COSTS)


class TagsField(forms.CharField):
    """Kinds of buyers, with commas."""

    def clean(self, value: Any) -> list[str]:
        return words_of(super().clean(value))


class QuoteParameters(forms.Form):
    quantity = forms.IntegerField(min_value=1, max_value=MOST_UNITS, required=False)
    at = MomentField(required=False)
    buyer_tags = TagsField(max_length=200, required=False)

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)


class BestSerializer(serializers.Serializer):
    quantity = serializers.IntegerField()
    goods = serializers.CharField()
    per_unit = serializers.CharField(help_text="Rounded half up; for showing only.")


class TaggedSerializer(serializers.Serializer):
    tag = serializers.CharField()
    status = serializers.ChoiceField(PriceQuote.Status.choices)
    reason = serializers.CharField(allow_null=True)
    goods = serializers.CharField(allow_null=True, help_text="For all of them.")


class QuoteSerializer(serializers.Serializer):
    listing = serializers.IntegerField()
    at = serializers.DateTimeField()
    quantity = serializers.IntegerField()
    buyer_tags = serializers.ListField(child=serializers.CharField(), help_text="What the buyer is taken for.")
    currency = serializers.CharField()
    status = serializers.ChoiceField(PriceQuote.Status.choices)
    reason = serializers.CharField(allow_null=True)
    goods = serializers.CharField(allow_null=True, help_text="For all of them.")
    buy_one = serializers.CharField(allow_null=True, help_text="The price of one.")
    best_per_unit = BestSerializer(allow_null=True, help_text="Of up to ten units; never the price of one.")
    valid_until = serializers.DateTimeField(allow_null=True)
    receipts = serializers.CharField(allow_null=True, required=False)
    break_even = serializers.CharField(allow_null=True, required=False)
    margin = serializers.CharField(allow_null=True, required=False)
    by_buyer_tag = TaggedSerializer(
        many=True, help_text="What a buyer of each kind pays, of those that the listing’s promotions are for."
    )
    answer = serializers.JSONField()


@extend_schema_view(list=extend_schema(summary="Listings"), retrieve=extend_schema(summary="One listing"))
class PricedListingResource(ListingResource):
    """Items on the channels, our own and competitors’, with what was last read of them."""

    @extend_schema(
        summary="After-coupon price of a listing",
        parameters=[
            OpenApiParameter(
                "quantity", {"type": "integer", "minimum": 1, "maximum": MOST_UNITS, "default": 1},
                description="Units bought together.",
            ),
            OpenApiParameter("at", OpenApiTypes.DATETIME, description="Without it: now."),
            OpenApiParameter(
                "buyer_tags",
                description="Kinds of buyers, with commas, such as 88VIP. Without it: like everybody.",
            ),
        ],
        responses=QuoteSerializer,
        filters=False,
    )  # fmt: skip
    @action(
        detail=True,
        pagination_class=None,
        filterset_class=None,
        scope=ApiKey.Scope.PRICES,
        permissions=("catalog.view_listing", "catalog.view_promotion"),
    )
    def quote(self, request: Request, pk: str) -> Response:
        """Worked out now, for the quantity, the moment, and the kind of buyer."""
        listing = get_object_or_404(self.get_queryset().select_related("channel", "sku"), pk=int(pk))
        check_parameters(request.query_params, ("quantity", "at", "buyer_tags"))
        asked = QuoteParameters(request.query_params)
        if not asked.is_valid():
            raise ValidationError({name: [str(text) for text in texts] for name, texts in asked.errors.items()})
        at, quantity = asked.cleaned_data["at"] or timezone.now(), asked.cleaned_data["quantity"] or 1
        tags = asked.cleaned_data["buyer_tags"]
        shop, costs = shops_of([listing.channel])[listing.channel_id], costs_of([listing], at=at)[listing.pk]
        price = price_of(listing, shop, costs, at=at, quantity=quantity, buyer=frozenset(tags))
        tagged = prices_by_tag(listing, shop, costs, at=at, quantity=quantity)
        units = unit_prices_of(price.request, stock=listing.stock)
        currency = listing.channel.currency
        answer = {
            "listing": listing.pk,
            "at": at,
            "quantity": quantity,
            "buyer_tags": tags,
            "currency": currency,
            "status": price.quote.status.value,
            "reason": str(price.quote.reason) or None,
            "goods": _amount(price.goods, currency),
            "buy_one": _amount(units.buy_one, currency),
            "best_per_unit": units.best
            and {
                "quantity": units.best.quantity,
                "goods": _amount(units.best.goods, currency),
                "per_unit": _amount(units.best.per_unit, currency),
            },
            "valid_until": price.valid_until,
            "by_buyer_tag": [
                {
                    "tag": tag,
                    "status": each.quote.status.value,
                    "reason": str(each.quote.reason) or None,
                    "goods": _amount(each.goods, currency),
                }
                for tag, each in tagged.items()
                if tag
            ],
            "answer": exchange.to_json(price.quote),
        }
        if may_read_costs(request):
            left = None if price.margin is None else price.margin.left
            figures = (price.received, price.break_even, left)
            answer |= {name: _amount(units, currency) for name, units in zip(COSTS, figures, strict=True)}
        return Response(answer)
