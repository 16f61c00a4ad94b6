"""A shop of many listings behind the canned server, for the benchmarks of fetching."""

from datetime import UTC, datetime, timedelta

import requests
from django.db import connection

from catalog.models import Channel, Listing
from integrations.fetching import fetch_slice
from integrations.models import Credential
from monitoring.models import ListingWatch, Observation, PollRun
from monitoring.services import ensure_watches

FIRST_ITEM = 616_000_000_001
CHANNELS = 4
LISTINGS = 10_000


def fill(address: str, *, listings: int = LISTINGS) -> dict[int, int]:
    """Channels and listings on the canned server; returns listing id by item id."""
    now = datetime.now(UTC)
    channels = [Channel.objects.create(name=f"Canned {number}") for number in range(CHANNELS)]
    for channel in channels:
        Credential.objects.create(
            channel=channel, app_key="12345678", app_secret="canned", access_token="canned", base_url=address
        )
    Listing.objects.bulk_create(
        Listing(channel=channels[number % CHANNELS], platform_item_id=str(FIRST_ITEM + number))
        for number in range(listings)
    )
    ensure_watches(now=now)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as the database's own upkeep would have by the time of a second pass
    return {int(item_id): pk for pk, item_id in Listing.objects.values_list("pk", "platform_item_id")}


def forget() -> None:
    """Every listing as if it had never been read, and due."""
    Observation.objects.all().delete()
    Listing.objects.update(
        list_price=None, live_price=None, promotion_price=None, stock=None, shelf_state="unknown", observed_at=None
    )
    ListingWatch.objects.update(read_at=None, outcome="", attempts=0, poll_run=None)
    PollRun.objects.all().delete()
    make_due()
    settle()


def settle() -> None:
    """Have the database do now what tidying up after such a change it would else do in the middle of what is timed."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)" if connection.vendor == "postgresql" else "PRAGMA wal_checkpoint(TRUNCATE)")


def make_due() -> None:
    ListingWatch.objects.update(
        next_due_at=datetime.now(UTC) - timedelta(seconds=1), lease_token=None, lease_until=None
    )


def fetch_all(*, seconds: float = 60) -> int:
    """One lane slice over everything that is due; returns the listings read."""
    summary = fetch_slice(seconds=seconds)
    if summary.problems or summary.failed or summary.missing:
        raise RuntimeError(f"the canned server should have no problems: {summary}")
    return summary.read


def set_generation(address: str, generation: int) -> None:
    requests.post(f"{address}/generation/{generation}", timeout=20).raise_for_status()
