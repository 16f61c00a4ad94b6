"""The jobs of the processes of test_processes."""

from typing import Any

from catalog.models import Channel, Listing, Product, Sku, StockMovement, Warehouse
from catalog.stock.ledger import Movement, record_movements
from integrations.models import ChannelSync, Credential, ListingSync, SyncAttempt, SyncItem
from integrations.syncing import dirty
from integrations.syncing.pushing import PushingJob, push_slice
from tests.worker_process import now


def set_up(base_url: str, account: dict[str, Any], rows: list[tuple[str, str]]) -> None:
    """Each listing has a SKU of which there are as many units as its place in the list, and one more."""
    channel = Channel.objects.create(name="Shop")
    Credential.objects.create(channel=channel, base_url=base_url, **account)
    warehouse, product = Warehouse.objects.create(code="MAIN", name="Main"), Product.objects.create(name="Kettle")
    movements = []
    for number, (item_id, sku_id) in enumerate(rows, start=1):
        sku = Sku.objects.create(code=f"EV-{number}", product=product)
        Listing.objects.create(channel=channel, platform_item_id=item_id, platform_sku_id=sku_id, sku=sku)
        kind, source = StockMovement.Kind.COUNT, StockMovement.Source.COUNT
        movements.append(Movement(sku.pk, warehouse.pk, kind, number, f"of {number}", source))
    record_movements(movements, now=now())
    ChannelSync.objects.create(channel=channel, is_on=True, is_confirmed=True)
    dirty.sweep(now=now())


def push() -> None:
    """One slice in small chunks, so that a kill meets some written, some on their way and some waiting."""
    PushingJob.chunk = 4
    push_slice(now_fn=now, seconds=20)


def report() -> dict[str, Any]:
    rows = ListingSync.objects.order_by("listing__sku__code")
    wanted = rows.values_list("listing__platform_item_id", "listing__platform_sku_id", "wanted")
    return {
        "wanted": {f"{item_id}/{sku_id}": units for item_id, sku_id, units in wanted},
        "states": sorted(rows.values_list("state", flat=True)),
        "leased": rows.filter(lease_until__gt=now()).count(),
        "pushes": SyncAttempt.objects.filter(kind="push").count() + SyncItem.objects.exclude(call=None).count(),
    }
