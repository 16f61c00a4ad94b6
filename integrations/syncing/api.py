"""What programs read of the sync of stock: where each channel stands, and all together."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_serializer, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import ApiKey, Channel
from config.api.filters import check_parameters
from config.api.resources import Resource
from integrations.syncing.models import ListingSync
from integrations.syncing.status import ChannelStatus, Figures, Run, Spread, Standing, SyncStatus, sync_status


class SpreadSerializer(serializers.Serializer):
    """Measured over the last 24 hours, by nearest rank; both null: cannot tell."""

    count = serializers.IntegerField(help_text="How many were measured.")
    p50_seconds = serializers.FloatField(allow_null=True)
    p95_seconds = serializers.FloatField(allow_null=True)


class RunSerializer(serializers.Serializer):
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField()
    duration_seconds = serializers.FloatField()


class StatesSerializer(serializers.Serializer):
    """Listings at each location of their shops; the names are those of the states."""

    def get_fields(self) -> dict[str, Any]:
        return {state.value: serializers.IntegerField() for state in ListingSync.State}


class FiguresSerializer(serializers.Serializer):
    active_listings = serializers.IntegerField(help_text="Own, not removed, mapped to a SKU that is active.")
    active_skus = serializers.IntegerField(help_text="Of those listings, each SKU once.")
    states = StatesSerializer()
    backlog = serializers.IntegerField(help_text="To be sent or to be read back.")
    oldest_at = serializers.DateTimeField(allow_null=True, help_text="Since when the oldest of the backlog differs.")
    attempts = serializers.IntegerField(help_text="Figures sent within 24 hours.")
    taken = serializers.IntegerField(help_text="Of those, accepted by the platform.")
    success_rate = serializers.FloatField(allow_null=True, help_text="Taken of sent; null: nothing was sent.")
    freshness = SpreadSerializer(help_text="From when a target was found to differ until it was read there.")
    detection = SpreadSerializer(help_text="From the time of an order until it was here.")
    waiting_lines = serializers.IntegerField(help_text="Of orders, for a SKU or a warehouse.")
    orders_set_aside = serializers.IntegerField(help_text="Orders that cannot be booked yet.")
    orders_silent = serializers.IntegerField(
        help_text="Orders that reserve stock, and of which nothing was heard for a week."
    )
    zeros_held = serializers.IntegerField(
        help_text="Listings that would go to 0 together with too many others, and wait for a person."
    )


class ChannelStatusSerializer(FiguresSerializer):
    id = serializers.IntegerField(help_text="Of the channel.")
    name = serializers.CharField()
    platform = serializers.CharField()
    standing = serializers.ChoiceField([standing.value for standing in Standing])
    held_until = serializers.DateTimeField(allow_null=True, help_text="Until when nothing of it is called.")
    last_full_run = RunSerializer(allow_null=True)
    last_incremental_run = RunSerializer(allow_null=True)
    orders_polled_seconds = serializers.FloatField(allow_null=True, help_text="null: it is not asked for orders.")
    orders_lag_seconds = serializers.FloatField(allow_null=True, help_text="How far its orders are behind.")
    quota_left = serializers.IntegerField(allow_null=True, help_text="As the platform told it; null: not told.")
    quota_told_at = serializers.DateTimeField(allow_null=True)


@extend_schema_serializer(many=False)
class SyncStatusSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    total = FiguresSerializer()
    results = ChannelStatusSerializer(many=True)


@extend_schema_view(
    list=extend_schema(summary="Sync status", responses=SyncStatusSerializer, filters=False),
    retrieve=extend_schema(summary="Sync status of one channel"),
)
class SyncStatusResource(Resource):
    """Where the sync of stock stands; all channels come at once, without pages."""

    queryset = Channel.objects.all()
    serializer_class: Any = ChannelStatusSerializer
    scope = ApiKey.Scope.SYNC
    permissions = ("integrations.view_listingsync",)
    pagination_class: Any = None
    filter_backends = ()

    def read(self, queryset: QuerySet[Any]) -> list[dict[str, Any]]:
        return [_channel(each) for each in self._status(queryset).channels]

    def _status(self, channels: QuerySet[Channel]) -> SyncStatus:
        return sync_status(channels.order_by("pk"), now=timezone.now())

    def list(self, request: Request) -> Response:
        check_parameters(request.query_params, ())
        status = self._status(self.get_queryset())
        total = _figures(status.total)
        now = timezone.now()
        return Response({"at": now, "total": total, "results": [_channel(each) for each in status.channels]})


def _figures(figures: Figures) -> dict[str, Any]:
    rate = figures.success_rate
    return {
        "active_listings": figures.listings,
        "active_skus": figures.skus,
        "states": {state.value: figures.states[state] for state in ListingSync.State},
        "backlog": figures.backlog,
        "oldest_at": figures.oldest_at,
        "attempts": figures.attempts,
        "taken": figures.taken,
        "success_rate": None if rate is None else round(float(rate), 4),
        "freshness": _spread(figures.freshness),
        "detection": _spread(figures.detection),
        "waiting_lines": figures.waiting_lines,
        "orders_set_aside": figures.set_aside,
        "orders_silent": figures.silent_orders,
        "zeros_held": figures.zeros_held,
    }


def _channel(status: ChannelStatus) -> dict[str, Any]:
    health = status.health
    return {
        "id": status.channel.pk,
        "name": status.channel.name,
        "platform": status.channel.platform,
        "standing": status.standing.value,
        "held_until": status.held_until,
        "last_full_run": _run(status.last_full),
        "last_incremental_run": _run(status.last_incremental),
        "orders_polled_seconds": _seconds(status.polled_every),
        "orders_lag_seconds": _seconds(status.orders_lag),
        "quota_left": health.quota_left if health is not None else None,
        "quota_told_at": health.quota_told_at if health is not None else None,
        **_figures(status),
    }


def _spread(spread: Spread) -> dict[str, Any]:
    return {"count": spread.measured, "p50_seconds": _seconds(spread.p50), "p95_seconds": _seconds(spread.p95)}


def _run(run: Run | None) -> dict[str, Any] | None:
    if run is None:
        return None
    return {"started_at": run.started_at, "ended_at": run.ended_at, "duration_seconds": _seconds(run.took)}


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()
