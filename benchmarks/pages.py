"""A 90-day chart over 1 million observations against its bare SQL, and over 10 times as few.

python -m benchmarks pages
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db import connection

from benchmarks.harness import pairs, report, timed
from catalog.database import copy_rows
from catalog.models import Channel, Listing
from monitoring.charts.data import listing_chart, plotted
from monitoring.models import Observation
from monitoring.services import ensure_watches

LISTINGS, EACH = 1_000, 1_000
DAYS = 90
DRAWN = 50  # charts on each side of a pair
NOW = datetime(2026, 11, 21, tzinfo=UTC)
BARE = """select observed_at, is_gap, list_price, live_price, promotion_price, stock, shelf_state
from monitoring_observation where listing_id = %s and observed_at > %s and observed_at <= %s order by observed_at"""


def fill() -> None:
    channel = Channel.objects.create(name="Canned")
    Listing.objects.bulk_create(Listing(channel=channel, platform_item_id=str(n)) for n in range(LISTINGS))
    ensure_watches(now=NOW)
    step = timedelta(days=DAYS) / EACH
    times = [NOW - step * (EACH - n) for n in range(EACH)]
    for pk in Listing.objects.values_list("pk", flat=True):
        rows = [
            (pk, at, False, Decimal("299.00"), Decimal(200 + (pk + n) % 90), None, (pk + n) % 50, "on_shelf")
            for n, at in enumerate(times)
        ]
        copy_rows(
            Observation,
            ["listing", "observed_at", "is_gap", "list_price", "live_price", "promotion_price", "stock", "shelf_state"],
            rows,
        )


def main(database: str) -> None:
    fill()
    listings = list(Listing.objects.select_related("channel", "watch").order_by("pk")[:: LISTINGS // DRAWN])
    start = NOW - timedelta(days=DAYS)

    def charts() -> None:
        for listing in listings:
            points = plotted(listing_chart(listing=listing, start=start, now=NOW))
            assert all(len(series) <= 501 for series in points.values())

    def bare() -> None:
        with connection.cursor() as cursor:
            for listing in listings:
                cursor.execute(BARE, [listing.pk, start, NOW])
                assert len(cursor.fetchall()) >= EACH - 1

    compared = pairs(lambda: timed(charts), lambda: timed(bare))
    times = 1 / compared["ratio"]
    report(
        "90-day chart over 1,000,000 observations",
        target="within 4 x the bare SQL",
        passed=times <= 4,
        database=database,
        times_the_bare_sql=round(times, 2),
        milliseconds_a_chart=round(sorted(compared["ours_seconds"])[1] / len(listings) * 1000, 1),
        **compared,
    )
