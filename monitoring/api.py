"""What programs read of the watch: listings with their present facts, their history, thresholds and alerts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.facts import ShelfState
from catalog.models import ApiKey, Listing
from catalog.models.listing import SHELF_CHOICES
from config.api.filters import (
    IdFilter,
    MomentField,
    OneOfFilter,
    ResourceFilters,
    TextFilter,
    YesNoFilter,
    check_parameters,
)
from config.api.reading import AmountField, ReadSerializer, amount_text
from config.api.resources import Resource
from monitoring.alert_text import alert_sentence, alert_title, threshold_sentence
from monitoring.charts import series
from monitoring.charts.data import FACTS, PRICES, Row, moment_of, range_rows, unknown_since
from monitoring.charts.series import Step
from monitoring.freshness import OF_LISTING
from monitoring.low_stock import low_stock
from monitoring.models import GAP_INTERVALS, Alert, AlertKind, Severity, Threshold
from monitoring.timing import CLOCK_SKEW

DEFAULT_RANGE, LONGEST_RANGE = timedelta(days=30), timedelta(days=400)
DEFAULT_POINTS, FEWEST_POINTS, MOST_POINTS = 500, 50, 5_000


# --- Listings -------------------------------------------------------------------------------------------------------


class ListingSerializer(ReadSerializer):
    """Facts are those of now. Where the last good reading is too old to speak for now they are null, and the shelf
    state is “unknown”; what was last seen is in the observations.
    """

    id = serializers.IntegerField()
    channel = serializers.IntegerField(source="channel_id")
    sku = serializers.IntegerField(source="sku_id", allow_null=True, help_text="null: not mapped to one.")
    product = serializers.IntegerField(source="sku__product_id", allow_null=True, help_text="Of the SKU.")
    ownership = serializers.ChoiceField(Listing.Ownership.choices)
    platform_item_id = serializers.CharField()
    platform_sku_id = serializers.CharField(allow_blank=True, help_text="Empty: an item without variants.")
    title = serializers.CharField(allow_null=True)
    outer_id = serializers.CharField(allow_null=True, help_text="Our code as the platform holds it.")
    pack_factor = serializers.IntegerField(help_text="Units that one of it sells.")
    currency = serializers.CharField(source="channel__currency", help_text="Of the prices.")
    list_price = AmountField()
    live_price = AmountField()
    promotion_price = AmountField()
    stock = serializers.IntegerField(allow_null=True, help_text="0: none left; null: not known.")
    shelf_state = serializers.ChoiceField(SHELF_CHOICES)
    observed_at = serializers.DateTimeField(allow_null=True, help_text="When a reading last differed.")
    read_at = serializers.DateTimeField(source="watch__read_at", allow_null=True, help_text="The last good reading.")
    fresh_until = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="Until when that reading speaks for now, unless another follows."
    )
    is_low_stock = serializers.BooleanField(
        read_only=True,
        allow_null=True,
        help_text="Whether its SKU is below the safety stock in a warehouse, or runs out there before anything new can "
        "arrive; null: not planned, or cannot tell.",
    )
    removed_at = serializers.DateTimeField(allow_null=True, help_text="Since when it is no longer read nor shown.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField(help_text="The last change of anything but the time of reading.")

    also = {"interval": "watch__interval_seconds", "channel_interval": "channel__interval_seconds"}

    @classmethod
    def complete(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        now = timezone.now()
        latest = now + CLOCK_SKEW
        spans: dict[int, timedelta] = {}
        low = low_stock({row["sku"] for row in rows if row["sku"] is not None}, now=now)
        for row in rows:
            row["is_low_stock"] = low.get(row["sku"])
            own, read_at = row.pop("interval"), row["read_at"]
            seconds = own or row["channel_interval"]
            del row["channel_interval"]
            fresh_until = None
            if read_at is not None and read_at <= latest:
                if seconds not in spans:
                    spans[seconds] = timedelta(seconds=seconds) * GAP_INTERVALS
                fresh_until = read_at + spans[seconds]
            row["fresh_until"] = fresh_until
            if fresh_until is None or fresh_until < now:
                row.update(_NOT_KNOWN)
        return rows


_NOT_KNOWN = {**dict.fromkeys(FACTS), "shelf_state": ShelfState.UNKNOWN.value}


class ListingFilters(ResourceFilters):
    channel = IdFilter(field_name="channel_id")
    sku = IdFilter(field_name="sku_id")
    product = IdFilter(field_name="sku__product_id")
    ownership = OneOfFilter(choices=Listing.Ownership.choices)
    platform_item_id = TextFilter()
    outer_id = TextFilter()
    shelf_state = OneOfFilter(choices=SHELF_CHOICES, method="with_shelf_state")
    is_removed = YesNoFilter(field_name="removed_at", lookup_expr="isnull", exclude=True)

    def with_shelf_state(self, listings: QuerySet[Listing], name: str, value: list[str]) -> QuerySet[Listing]:
        """By the state that is shown: one that was read too long ago is unknown."""
        fresh = OF_LISTING.fresh(timezone.now())
        shown = fresh & Q(shelf_state__in=value)
        return listings.filter(shown | ~fresh if ShelfState.UNKNOWN in value else shown)


class ObservationSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    is_gap = serializers.BooleanField(help_text="From here on nothing was read.")
    list_price = AmountField()
    live_price = AmountField()
    promotion_price = AmountField()
    stock = serializers.IntegerField(allow_null=True)
    shelf_state = serializers.ChoiceField(SHELF_CHOICES)


class ObservationsSerializer(serializers.Serializer):
    """Each row holds until the next one, the last one until `to`. The first is the one in force at `from`, with the
    time at which it began.
    """

    listing = serializers.IntegerField()
    currency = serializers.CharField()
    to = serializers.DateTimeField()
    is_thinned = serializers.BooleanField(help_text="Rows were left out; ask for a shorter time to have them all.")
    results = ObservationSerializer(many=True)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": serializers.DateTimeField()}


class ObservationParameters(forms.Form):
    to = MomentField(required=False)
    points = forms.IntegerField(min_value=FEWEST_POINTS, max_value=MOST_POINTS, required=False)

    def __init__(self, data: Mapping[str, Any], now: datetime) -> None:
        super().__init__(data)
        self.now = now
        self.fields["from"] = MomentField(required=False)

    def clean(self) -> dict[str, Any]:
        found = self.cleaned_data
        if not self.errors:
            # Of the future nothing is known.
            found["to"] = min(found["to"] or self.now, self.now)
            found["from"] = found["from"] or found["to"] - DEFAULT_RANGE
            if found["from"] >= found["to"]:
                self.add_error("from", gettext("This is not before “to”, or lies in the future."))
            elif found["to"] - found["from"] > LONGEST_RANGE:
                text = gettext("This is more than %(days)d days before “to”; ask for one part after the other.")
                self.add_error("from", text % {"days": LONGEST_RANGE.days})
        return found


@extend_schema_view(list=extend_schema(summary="Listings"), retrieve=extend_schema(summary="One listing"))
class ListingResource(Resource):
    """Items on the channels, our own and competitors’, with what was last read of them."""

    queryset = Listing.objects.all()
    serializer_class = ListingSerializer
    filterset_class: type[filters.FilterSet] = ListingFilters
    scope = ApiKey.Scope.WATCH
    permissions = ("catalog.view_listing", "monitoring.view_observation")

    @extend_schema(
        summary="History of a listing",
        parameters=[
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="Without it: 30 days before “to”."),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="Without it: now."),
            OpenApiParameter(
                "points",
                {"type": "integer", "minimum": FEWEST_POINTS, "maximum": MOST_POINTS, "default": DEFAULT_POINTS},
                description="At most so many rows; lowest and highest values, and gaps, stay.",
            ),
        ],
        responses=ObservationsSerializer,
        filters=False,
    )
    @action(detail=True, pagination_class=None, filterset_class=None)
    def observations(self, request: Request, pk: str) -> Response:
        """What was read, as steps; a gap is a row of its own."""
        now = timezone.now()
        listing = get_object_or_404(self.get_queryset().select_related("channel", "watch"), pk=int(pk))
        check_parameters(request.query_params, ("from", "to", "points"))
        asked = ObservationParameters(request.query_params, now)
        if not asked.is_valid():
            raise ValidationError({name: [str(text) for text in texts] for name, texts in asked.errors.items()})
        start, end = asked.cleaned_data["from"], asked.cleaned_data["to"]
        steps, is_thinned = observed_steps(
            listing, start=start, end=end, now=now, points=asked.cleaned_data["points"] or DEFAULT_POINTS
        )
        return Response(
            {
                "listing": listing.pk,
                "currency": listing.channel.currency,
                "from": start,
                "to": end,
                "is_thinned": is_thinned,
                "results": [_observation(step, listing.channel.currency) for step in steps],
            }
        )


def observed_steps(
    listing: Listing, *, start: datetime, end: datetime, now: datetime, points: int
) -> tuple[list[Step], bool]:
    """At most `points` steps from the one in force at `start` on, and whether some were left out.

    Times are in microseconds here, so that they are those of the stored rows.
    """
    rows = range_rows(listing, start, end)
    steps = [_step(row) for row in rows]
    end_us = _microseconds(end)
    gap_at = unknown_since(listing, moment_of(steps[-1].at) if steps else None, now)
    steps = series.close(steps, end_us if gap_at is None else min(_microseconds(gap_at), end_us), end_us)
    exact = series.clip(steps, _microseconds(start))
    shown = series.thin(exact, end_us, points) if exact else []
    if shown:
        shown[0] = shown[0]._replace(at=steps[len(steps) - len(exact)].at)
    return shown, len(shown) < len(exact)


def _step(row: Row) -> Step:
    _listing_id, at, is_gap, *values, shelf_state = row
    return Step(at, tuple(values), bool(is_gap), ShelfState(shelf_state))


def _microseconds(moment: datetime) -> int:
    return (moment - moment_of(0)) // timedelta(microseconds=1)


def _observation(step: Step, currency: str) -> dict[str, Any]:
    values = dict(zip(FACTS, step.values, strict=True))
    for price in PRICES:
        if (value := values[price]) is not None:
            values[price] = amount_text(format(Decimal(value).scaleb(-4), ".4f"), currency)  # type: ignore[assignment]
    return {"at": moment_of(step.at), "is_gap": step.is_gap, **values, "shelf_state": step.shelf.value}


# --- Thresholds -----------------------------------------------------------------------------------------------------


class ThresholdSerializer(ReadSerializer):
    """What a kind does not use is null."""

    id = serializers.IntegerField()
    name = serializers.CharField(allow_null=True)
    sentence = serializers.CharField(read_only=True, help_text="The rule in words, in the language of the answer.")
    kind = serializers.ChoiceField(AlertKind.choices)
    severity = serializers.ChoiceField(Severity.choices)
    is_active = serializers.BooleanField()
    listing = serializers.IntegerField(source="listing_id", allow_null=True)
    product = serializers.IntegerField(source="product_id", allow_null=True)
    brand = serializers.CharField(allow_null=True)
    channel = serializers.IntegerField(source="channel_id", allow_null=True)
    ownership = serializers.ChoiceField(Listing.Ownership.choices, allow_null=True, help_text="null: both.")
    price = serializers.ChoiceField(Threshold.Price.choices, allow_null=True)
    currency = serializers.CharField(help_text="Of the amounts.")
    min_price = AmountField(help_text="Itself within the range.")
    max_price = AmountField(help_text="Itself within the range.")
    percent = serializers.DecimalField(7, 2, allow_null=True)
    reference = serializers.ChoiceField(Threshold.Reference.choices, allow_null=True)
    direction = serializers.ChoiceField(Threshold.Direction.choices)
    days = serializers.IntegerField(allow_null=True)
    baseline_at = serializers.DateTimeField(allow_null=True)
    stock = serializers.IntegerField(allow_null=True, help_text="Units; itself within the limit.")
    intervals = serializers.IntegerField(allow_null=True)
    hysteresis = serializers.DecimalField(7, 2)
    cooldown_minutes = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    @classmethod
    def complete(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            row["sentence"] = threshold_sentence(_unsaved(Threshold, row, _RULE, ("min_price", "max_price")))
        return rows


_RULE = ("kind", "price", "currency", "percent", "reference", "direction", "days", "baseline_at", "stock", "intervals")


def _unsaved(model: type[Any], row: Mapping[str, Any], names: Sequence[str], amounts: Sequence[str] = ()) -> Any:
    """An object with these values of a row, for the functions that put one into words."""
    values = {name: row[name] for name in names}
    values |= {name: None if row[name] is None else Decimal(row[name]) for name in amounts}
    return model(**{name: "" if value is None and name in _TEXTS else value for name, value in values.items()})


_TEXTS = ("price", "reference", "fact", "old_value", "new_value", "limit", "currency")


class ThresholdFilters(ResourceFilters):
    kind = OneOfFilter(choices=AlertKind.choices)
    severity = OneOfFilter(choices=Severity.choices)
    is_active = YesNoFilter()
    listing = IdFilter(field_name="listing_id")
    product = IdFilter(field_name="product_id")
    brand = TextFilter()
    channel = IdFilter(field_name="channel_id")


@extend_schema_view(list=extend_schema(summary="Thresholds"), retrieve=extend_schema(summary="One threshold"))
class ThresholdResource(Resource):
    """What people want to be told of."""

    queryset = Threshold.objects.all()
    serializer_class = ThresholdSerializer
    filterset_class: type[filters.FilterSet] = ThresholdFilters
    scope = ApiKey.Scope.ALERTS
    permissions = ("monitoring.view_threshold",)


# --- Alerts ---------------------------------------------------------------------------------------------------------


class AlertSerializer(ReadSerializer):
    """Values are text, and null where not known: an amount, units, a time or a state, as the kind has it."""

    id = serializers.IntegerField()
    title = serializers.CharField(read_only=True, help_text="In a few words, in the language of the answer.")
    sentence = serializers.CharField(read_only=True, help_text="Before, then and the limit, likewise.")
    threshold = serializers.IntegerField(source="threshold_id", allow_null=True, help_text="null: deleted since.")
    kind = serializers.ChoiceField(AlertKind.choices)
    severity = serializers.ChoiceField(Severity.choices)
    channel = serializers.IntegerField(source="channel_id")
    listing = serializers.IntegerField(source="listing_id", allow_null=True, help_text="null: about the channel.")
    fact = serializers.CharField(allow_null=True)
    old_value = serializers.CharField(allow_null=True)
    new_value = serializers.CharField(allow_null=True)
    limit = serializers.CharField(allow_null=True)
    reference = serializers.ChoiceField(Threshold.Reference.choices, allow_null=True)
    currency = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(Alert.Status.choices)
    opened_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField(help_text="Of its last crossing.")
    count = serializers.IntegerField(help_text="Crossings that it stands for.")
    cleared_at = serializers.DateTimeField(allow_null=True, help_text="When its condition ended; null: it still holds.")
    owner = serializers.CharField(source="owner__username", allow_null=True)
    note = serializers.CharField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    snoozed_until = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolved_by = serializers.CharField(source="resolved_by__username", allow_null=True, help_text="null: by itself.")
    updated_at = serializers.DateTimeField()

    @classmethod
    def complete(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            alert = _unsaved(Alert, row, _CROSSING)
            row["title"], row["sentence"] = alert_title(alert), alert_sentence(alert)
        return rows


_CROSSING = ("kind", "fact", "old_value", "new_value", "limit", "reference", "currency", "last_at")


class AlertFilters(ResourceFilters):
    status = OneOfFilter(choices=Alert.Status.choices)
    kind = OneOfFilter(choices=AlertKind.choices)
    severity = OneOfFilter(choices=Severity.choices)
    channel = IdFilter(field_name="channel_id")
    listing = IdFilter(field_name="listing_id")
    threshold = IdFilter(field_name="threshold_id")
    is_cleared = YesNoFilter(field_name="cleared_at", lookup_expr="isnull", exclude=True)


@extend_schema_view(list=extend_schema(summary="Alerts"), retrieve=extend_schema(summary="One alert"))
class AlertResource(Resource):
    """What crossed a limit, newest first, and what became of it."""

    queryset = Alert.objects.all()
    serializer_class = AlertSerializer
    filterset_class: type[filters.FilterSet] = AlertFilters
    scope = ApiKey.Scope.ALERTS
    permissions = ("monitoring.view_alert",)
    ordering = "-id"
