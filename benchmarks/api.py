"""A list of 100 listings by the API against the same view with a ModelSerializer.

python -m benchmarks api
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.test import Client
from django.urls import path
from rest_framework import serializers

from benchmarks.harness import pairs, report, timed
from benchmarks.shop import settle
from catalog.models import ApiKey, Channel, Listing, Product, Sku, User
from monitoring.api import ListingResource
from monitoring.models import ListingWatch
from monitoring.services import ensure_watches

ROWS, SHOWN = 1_000, 100
REQUESTS = 30  # on each side of a pair


class PlainSerializer(serializers.ModelSerializer):
    """What a ModelSerializer makes of the fields that the resource shows without computing them."""

    currency = serializers.CharField(source="channel.currency")
    product = serializers.IntegerField(source="sku.product_id")
    read_at = serializers.DateTimeField(source="watch.read_at")

    class Meta:
        model = Listing
        fields = [
            *("id", "channel", "sku", "product", "ownership", "platform_item_id", "platform_sku_id", "title"),
            *("outer_id", "pack_factor", "currency", "list_price", "live_price", "promotion_price", "stock"),
            *("shelf_state", "observed_at", "read_at", "removed_at", "created_at", "updated_at"),
        ]


class PlainResource(ListingResource):
    def read(self, queryset: QuerySet[Any]) -> list[dict[str, Any]]:
        found = queryset.select_related("channel", "sku", "watch")
        return list(PlainSerializer(found, many=True).data)


urlpatterns = [
    path("ours/", ListingResource.as_view({"get": "list"})),
    path("plain/", PlainResource.as_view({"get": "list"})),
]


def fill() -> str:
    """A watched shop with prices and stock; returns a key of its owner."""
    now = datetime.now(UTC)
    channel = Channel.objects.create(name="Canned")
    product = Product.objects.create(name="Kettle")
    skus = Sku.objects.bulk_create(Sku(code=f"K-{number}", product=product) for number in range(ROWS))
    Listing.objects.bulk_create(
        Listing(
            channel=channel,
            sku=sku,
            platform_item_id=str(616_000_000_001 + number),
            title=f"手冲咖啡壶 细口 600ml {number}",
            list_price=Decimal("299.00"),
            live_price=Decimal(200 + number % 90),
            stock=number % 50,
            shelf_state="on_shelf",
            observed_at=now - timedelta(hours=1),
            created_at=now,
            updated_at=now,
        )
        for number, sku in enumerate(skus)
    )
    ensure_watches(now=now)
    # Fresh for as long as the benchmark may take.
    ListingWatch.objects.update(read_at=now, interval_seconds=86_400)
    key = ApiKey(name="bench", user=User.objects.create(username="bench", is_superuser=True), scopes=["read:watch"])
    token = key.issue()
    key.save()
    settle()
    return token


def main(database: str) -> None:
    settings.ROOT_URLCONF = "benchmarks.api"
    settings.API_REQUESTS_PER_MINUTE = 1_000_000
    client = Client(SERVER_NAME="localhost", headers={"Authorization": f"Bearer {fill()}"})

    def lists(address: str) -> Callable[[], float]:
        rows = client.get(address, {"limit": SHOWN}).json()["results"]
        assert [row["stock"] for row in rows] == [number % 50 for number in range(SHOWN)]
        assert Decimal(rows[1]["live_price"]) == 201

        def ask() -> None:
            for _request in range(REQUESTS):
                assert client.get(address, {"limit": SHOWN}).status_code == 200

        return lambda: timed(ask)

    ours, plain = lists("/ours/"), lists("/plain/")
    compared = pairs(ours, plain)
    report(
        "API list of 100 against a ModelSerializer in the same view",
        target="2 x",
        passed=compared["ratio"] >= 2,
        database=database,
        milliseconds_a_list=round(sorted(compared["ours_seconds"])[1] / REQUESTS * 1000, 1),
        **compared,
    )
