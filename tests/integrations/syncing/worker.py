"""A worker process of its own for test_processes: `python -m tests.integrations.syncing.worker JOB ...`.

It works on the database of DATABASE_URL; times are shifted by SHIFT seconds, so that leases run out without waiting.
"""

import json
import os
import sys
from datetime import datetime, timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from catalog.models import Channel, Listing, Product, Sku, StockMovement, Warehouse  # noqa: E402
from catalog.stock.ledger import Movement, record_movements  # noqa: E402
from integrations.lanes import engine  # noqa: E402
from integrations.models import ChannelSync, Credential, ListingSync, SyncAttempt  # noqa: E402
from integrations.syncing import dirty  # noqa: E402
from integrations.syncing.pushing import push_slice  # noqa: E402


def now() -> datetime:
    return timezone.now() + timedelta(seconds=int(os.environ.get("SHIFT", "0")))


def set_up(base_url: str, account: str, rows: str) -> None:
    """Each listing has a SKU of which there are as many units as its place in the list, and one more."""
    call_command("migrate", verbosity=0)
    channel = Channel.objects.create(name="Shop")
    Credential.objects.create(channel=channel, base_url=base_url, **json.loads(account))
    warehouse, product = Warehouse.objects.create(code="MAIN", name="Main"), Product.objects.create(name="Kettle")
    movements = []
    for number, (item_id, sku_id) in enumerate(json.loads(rows), start=1):
        sku = Sku.objects.create(code=f"EV-{number}", product=product)
        Listing.objects.create(channel=channel, platform_item_id=item_id, platform_sku_id=sku_id, sku=sku)
        kind, source = StockMovement.Kind.COUNT, StockMovement.Source.COUNT
        movements.append(Movement(sku.pk, warehouse.pk, kind, number, f"of {number}", source))
    record_movements(movements, now=now())
    ChannelSync.objects.create(channel=channel, is_on=True, is_confirmed=True)
    dirty.sweep(now=now())


def push() -> None:
    """One slice in small chunks, so that a kill meets some written, some on their way and some waiting."""
    engine.CHUNK = 4
    push_slice(now_fn=now, seconds=20)


def report() -> None:
    rows = ListingSync.objects.order_by("listing__sku__code")
    sys.stdout.write(
        json.dumps(
            {
                "wanted": {
                    f"{item_id}/{sku_id}": wanted
                    for item_id, sku_id, wanted in rows.values_list(
                        "listing__platform_item_id", "listing__platform_sku_id", "wanted"
                    )
                },
                "states": sorted(rows.values_list("state", flat=True)),
                "leased": rows.filter(lease_until__gt=now()).count(),
                "pushes": SyncAttempt.objects.filter(kind="push").count(),
            }
        )
    )


if __name__ == "__main__":
    job, *arguments = sys.argv[1:]
    if job == "set_up":
        set_up(*arguments)
    elif job == "push":
        push()
    else:
        report()
    connection.close()
