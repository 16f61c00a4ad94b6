"""Thresholds for 10,000 changed readings: the time they add to fetching and storing them, against that time.

Each channel has a price range, a stock limit and a change against the median of seven days; every reading differs from
what was stored, has three prices behind it, and 5 % of the listings cross a limit.

    python -m benchmarks thresholds
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from benchmarks import shop
from benchmarks.canned_server import canned_server
from benchmarks.harness import pairs, report, timed
from catalog.database import copy_rows
from catalog.models import Channel, Listing
from monitoring.models import Alert, ListingWatch, Observation, Threshold
from monitoring.services import preview, recording
from monitoring.services.thresholds import check_readings

POINTS = 3  # change points of each listing before the reading
FIRING_PERCENT = 5
WINDOW = timedelta(days=7)


class Stopwatch:
    """Adds up the seconds spent in a call, those in which it waits for its turn among the threads included."""

    def __init__(self, call: Callable[..., None]) -> None:
        self.seconds = 0.0
        self._call = call

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        start = time.perf_counter()
        try:
            self._call(*args, **kwargs)
        finally:
            self.seconds += time.perf_counter() - start


def give_history(listing_ids: list[int], prices: dict[int, Decimal]) -> None:
    """Three prices over the last days for every listing, the last of them its present facts."""
    shop.forget()
    now = datetime.now(UTC)
    moments = [now - WINDOW + number * WINDOW / POINTS for number in range(1, POINTS)] + [now - timedelta(minutes=1)]
    rows = [
        # A price that is never far from the one that will be read; the stock differs from it by one.
        (pk, at, False, prices[pk] + Decimal(1 + number) / 100, 500 + number, "on_shelf")
        for pk in listing_ids
        for number, at in enumerate(moments)
    ]
    copy_rows(Observation, ["listing", "observed_at", "is_gap", "list_price", "stock", "shelf_state"], rows)
    last = moments[-1]
    Listing.objects.update(stock=500 + POINTS - 1, shelf_state="on_shelf", observed_at=last)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE catalog_listing SET list_price = (SELECT list_price FROM monitoring_observation o "
            "WHERE o.listing_id = catalog_listing.id ORDER BY observed_at DESC LIMIT 1)"
        )
    ListingWatch.objects.update(read_at=last, outcome="read")
    shop.settle()


def set_thresholds(prices: dict[int, Decimal]) -> None:
    """Three for each channel; the price range is the one that so many of its listings are outside of."""
    ordered = sorted(prices.values())
    limit = ordered[len(ordered) * FIRING_PERCENT // 100]
    for channel in Channel.objects.all():
        rules: list[dict[str, Any]] = [
            {"kind": Threshold.Kind.PRICE_RANGE, "min_price": limit, "max_price": Decimal(1_000_000)},
            {"kind": Threshold.Kind.STOCK_AT_MOST, "stock": 0},
            {
                "kind": Threshold.Kind.PRICE_CHANGE,
                "percent": 30,
                "reference": Threshold.Reference.MEDIAN,
                "days": WINDOW.days,
            },
        ]
        for rule in rules:
            Threshold.objects.create(channel=channel, **rule)


def main(database: str) -> None:
    stopwatch = Stopwatch(check_readings)
    recording.check_readings = stopwatch  # type: ignore[attr-defined]
    with canned_server() as address:
        listing_ids = sorted(shop.fill(address).values())
        shop.fetch_all()
        prices = {pk: price for pk, price in Listing.objects.values_list("pk", "list_price") if price is not None}
        set_thresholds(prices)
        inside: list[float] = []
        fired: list[int] = []

        def fetched(*, are_active: bool) -> float:
            Alert.objects.all().delete()
            Threshold.objects.update(is_active=are_active, updated_at=datetime.now(UTC) - 2 * WINDOW)
            give_history(listing_ids, prices)
            before = Observation.objects.count()
            stopwatch.seconds = 0.0
            seconds = timed(shop.fetch_all)
            assert Observation.objects.count() - before == shop.LISTINGS
            if are_active:
                inside.append(round(stopwatch.seconds, 3))
                fired.append(Alert.objects.count())
            return seconds

        cost = pairs(lambda: fetched(are_active=True), lambda: fetched(are_active=False))
        median = Threshold.objects.filter(kind=Threshold.Kind.PRICE_CHANGE).first()
        assert median is not None
        previewed = timed(lambda: preview(median, now=datetime.now(UTC)))
        report(
            "thresholds for 10,000 changed readings",
            target="under 0.5 of fetching and storing them on top: a ratio above 0.667",
            passed=cost["ratio"] > 1 / 1.5 and fired == [shop.LISTINGS * FIRING_PERCENT // 100] * 3,
            database=database,
            **cost,
            seconds_in_thresholds=inside,  # with what they wait for the threads that go on fetching
            fired=fired,
            preview_seconds=round(previewed, 3),
        )
