"""Shops behind the canned server whose stock is ours to write, for the benchmarks of pushing."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import requests
from django.db.models import Q

from benchmarks.canned_shop import FIRST_PRODUCT, FIRST_STOCK, FIRST_VARIANT, LOCATION, first_quantity
from benchmarks.shop import settle
from catalog.models import Channel, ChannelLocation, Listing, Product, Sku, StockMovement, Warehouse
from catalog.stock.ledger import Movement, record_movements
from integrations.connectors.shopify import ShopifyConnector
from integrations.lanes.lane import Chunk
from integrations.models import ChannelSync, Credential, ListingSync
from integrations.syncing import pushing

SKUS, CHANNELS, BATCH = 10_000, 3, 50


def fill(
    address: str, *, skus: int = SKUS, channels: int = CHANNELS, calls_per_second: Decimal | None = None
) -> list[str]:
    """SKUs that every channel sells and shows as they are; returns the tokens of the shops.

    A write takes BATCH rows, though the platform would take more.
    """
    ShopifyConnector.max_rows_per_push = BATCH
    now = datetime.now(UTC)
    warehouse = Warehouse.objects.create(code="MAIN", name="Main")
    product = Product.objects.create(name="Kettle")
    sold = Sku.objects.bulk_create(Sku(code=f"K-{number}", product=product) for number in range(skus))
    move(first_quantity, kind=StockMovement.Kind.COUNT)
    tokens = [f"shpat_canned_{number}" for number in range(channels)]
    for number, token in enumerate(tokens):
        channel = Channel.objects.create(name=f"Canned {number}", platform="shopify", currency="USD")
        Credential.objects.create(
            channel=channel,
            access_token=token,
            base_url=address,
            options={"shop": f"canned-{number}.myshopify.com", "app_kind": "custom"},
            calls_per_second=calls_per_second,
        )
        ChannelLocation.objects.create(channel=channel, warehouse=warehouse, location_id=LOCATION)
        listings = Listing.objects.bulk_create(
            Listing(
                channel=channel,
                sku=sku,
                platform_item_id=str(FIRST_PRODUCT + place),
                platform_sku_id=str(FIRST_VARIANT + place),
                platform_stock_id=str(FIRST_STOCK + place),
                title=f"手冲咖啡壶 细口 600ml {place}",
            )
            for place, sku in enumerate(sold)
        )
        ChannelSync.objects.create(channel=channel, is_on=True, is_confirmed=True)
        ListingSync.objects.bulk_create(
            ListingSync(
                listing=listing,
                channel=channel,
                location_id=LOCATION,
                state=ListingSync.State.IN_SYNC,
                wanted=first_quantity(place),
                confirmed=first_quantity(place),
                confirmed_at=now,
            )
            for place, listing in enumerate(listings)
        )
    settle()
    return tokens


def all_channels() -> list[int]:
    return list(Channel.objects.order_by("pk").values_list("pk", flat=True))


def sell(*, every: int = 1) -> None:
    """One unit of every SKU (or of one in so many) is sold, in one booking, and what shows them is due."""
    move(lambda _place: -1, kind=StockMovement.Kind.SALE, every=every)


def move(units: Callable[[int], int], *, kind: StockMovement.Kind, every: int = 1) -> None:
    now = datetime.now(UTC)
    (warehouse,) = Warehouse.objects.values_list("pk", flat=True)
    source = StockMovement.Source.MANUAL
    record_movements(
        [
            Movement(sku_id, warehouse, kind, units(place), f"{now.isoformat()} {sku_id}", source)
            for place, sku_id in enumerate(Sku.objects.order_by("pk").values_list("pk", flat=True))
            if place % every == 0
        ],
        now=now,
    )


class Progress:
    """When so many rows were recorded as sent, of these channels; time.perf_counter()."""

    def __init__(self, rows: int, channel_ids: Sequence[int] | None = None) -> None:
        self.left = rows
        self.channel_ids = channel_ids
        self.done_at: float | None = None

    def note(self, channel_id: int, sent: int) -> None:
        if self.channel_ids is None or channel_id in self.channel_ids:
            self.left -= sent
        if self.left <= 0 and self.done_at is None:
            self.done_at = time.perf_counter()


@contextmanager
def watched(progress: Progress) -> Iterator[None]:
    """Inside the block every chunk that is recorded counts."""
    record = pushing.PushingJob.record

    def noting(job: pushing.PushingJob, chunk: Chunk, now: datetime) -> Counter[str]:
        counts = record(job, chunk, now)
        progress.note(chunk.lane.channel.pk, counts["sent"])
        return counts

    pushing.PushingJob.record = noting  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        pushing.PushingJob.record = record  # type: ignore[method-assign]


def push(*, seconds: float = 60, **options: Any) -> pushing.PushSummary:
    """One lane slice over everything that is due."""
    return pushing.push_slice(seconds=seconds, **options)


def seconds_to_send(rows: int, *, channel_ids: Sequence[int] | None = None, slice_seconds: float = 180) -> float:
    """Seconds of one lane slice until so many rows (of these channels) were answered and recorded."""
    progress = Progress(rows, channel_ids)
    started = time.perf_counter()
    with watched(progress):
        summary = push(seconds=slice_seconds)
    if progress.done_at is None:
        raise RuntimeError(f"{progress.left} rows were not sent: {summary}")
    return progress.done_at - started


def settle_rows(*, seconds: float = 300, channel_ids: Sequence[int] | None = None) -> None:
    """Slices until nothing (of these channels) is due, and nothing left to be read back."""
    ends = time.monotonic() + seconds
    rows = ListingSync.objects.filter(channel__in=all_channels() if channel_ids is None else channel_ids)
    while rows.filter(~Q(due_at=None) | ~Q(verify_at=None)).exists():
        if time.monotonic() > ends:
            raise RuntimeError(f"rows are still not as they should be after {seconds} seconds")
        push(channel_ids=channel_ids)
        time.sleep(0.2)


def tell(address: str, token: str, **what: Any) -> None:
    """Set what a shop of the canned server has, such as its faults."""
    requests.post(f"{address}/shops/{token}", json=what, timeout=20).raise_for_status()


def told(address: str, token: str) -> dict[str, Any]:
    """`stock` by row ("0" is the first), `writes` and `rows_written` of a shop."""
    answer: dict[str, Any] = requests.get(f"{address}/shops/{token}", timeout=20).json()
    return answer


def wrong_rows(address: str, tokens: Sequence[str]) -> int:
    """How many rows of these shops show anything but what is available of their SKU."""
    available = dict(Sku.objects.order_by("pk").values_list("pk", "stock_levels__available"))
    wrong = 0
    for token in tokens:
        stock = told(address, token)["stock"]
        wrong += sum(
            stock.get(str(place), first_quantity(place)) != units for place, units in enumerate(available.values())
        )
    return wrong
