"""The jobs of the processes of test_killed_workers."""

from typing import Any

from django.db.models import Count

from catalog.models import Channel, Listing
from integrations.connectors.taobao import TaobaoConnector
from integrations.fetching import fetch_slice
from integrations.lanes import engine
from integrations.models import Credential
from monitoring.models import ListingWatch, Observation, PollRun
from monitoring.services import ensure_watches
from tests.worker_process import now


def set_up(base_url: str, account: dict[str, Any], rows: list[tuple[str, str]]) -> None:
    channel = Channel.objects.create(name="Shop")
    Credential.objects.create(channel=channel, base_url=base_url, **account)
    Listing.objects.bulk_create(
        Listing(channel=channel, platform_item_id=item_id, platform_sku_id=sku_id) for item_id, sku_id in rows
    )
    ensure_watches(now=now())


def read() -> None:
    """One slice in small chunks and batches, so that a kill meets some written, some on their way and some waiting."""
    TaobaoConnector.max_items_per_read = 1
    engine.CHUNK = 4
    fetch_slice(now_fn=now, seconds=20)


def report() -> dict[str, Any]:
    per_listing = Listing.objects.annotate(count=Count("observations")).values_list("count", flat=True)
    runs = PollRun.objects.order_by("pk").values_list("read_ids", "finished_at")
    return {
        "observations": list(per_listing),
        "recorded": Observation.objects.count(),
        "leased": ListingWatch.objects.filter(lease_until__gt=now()).count(),
        "runs": [(len(ids), finished_at is not None) for ids, finished_at in runs],
    }
