"""A process of its own for test_two_processes: `python -m tests.catalog.stock.worker JOB ...`.

It works on the database of DATABASE_URL; jobs that race say when they are ready and start at a line of input.
"""

import json
import os
import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Count  # noqa: E402

from catalog.models import Channel, Listing, Product, Sku, StockLevel, StockMovement, Warehouse  # noqa: E402
from catalog.signals import stock_changed  # noqa: E402
from catalog.stock.booking import book_orders  # noqa: E402
from catalog.stock.counts import count  # noqa: E402
from catalog.stock.ledger import Kind, Movement, Source, check, record_movements, reserve  # noqa: E402
from integrations.connectors.base import Order, OrderLine, OrderStatus  # noqa: E402

stock_changed.receivers = []  # what others make of the news would only slow the race down

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
STATES = (OrderStatus.UNPAID, OrderStatus.PAID, OrderStatus.SENT)


def set_up(skus: str, units: str) -> None:
    call_command("migrate", verbosity=0)
    product, warehouse = Product.objects.create(name="P"), Warehouse.objects.create(code="W")
    Sku.objects.bulk_create(Sku(code=str(n), product=product) for n in range(int(skus)))
    channel = Channel.objects.create(name="Shop", orders_since=NOW)
    rows = list(Sku.objects.all())
    Listing.objects.bulk_create(Listing(channel=channel, platform_item_id=sku.code, sku=sku) for sku in rows)
    if int(units):
        receipts = [
            Movement(sku.pk, warehouse.pk, Kind.RECEIPT, int(units), f"opening {sku.pk}", Source.OPENING)
            for sku in rows
        ]
        record_movements(receipts, now=NOW)


def wait() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


def sell(name: str) -> None:
    """Try twice to promise one unit of every SKU; the SKUs that were promised, as often as they were."""
    skus = list(Sku.objects.order_by("pk").values_list("pk", flat=True))
    wait()
    sold = [
        sku
        for sku in skus
        for n in range(2)
        if reserve(sku_id=sku, quantity=1, key=f"{name} {n} {sku}", source=Source.MANUAL, now=NOW)
    ]
    sys.stdout.write(json.dumps(sold))


def book(seed: str) -> None:
    """Book three states of an order for each SKU, in pages, in an order of its own."""
    channel = Channel.objects.get()
    told = [
        Order(
            order_id=sku.code,
            status=status,
            created_at=NOW,
            changed_at=NOW + timedelta(minutes=at),
            currency="CNY",
            lines=(OrderLine("1", sku.code, "", "", 3, returned=int(status == OrderStatus.SENT)),),
        )
        for sku in Sku.objects.all()
        for at, status in enumerate(STATES)
    ]
    random.Random(int(seed)).shuffle(told)
    wait()
    for start in range(0, len(told), 20):
        book_orders(channel, told[start : start + 20], now=NOW)


def begin(name: str) -> None:
    """Book the first movement of every SKU, and count it."""
    warehouse = Warehouse.objects.get()
    skus = list(Sku.objects.order_by("pk").values_list("pk", flat=True))
    wait()
    for sku in skus:
        receipt = Movement(sku, warehouse.pk, Kind.RECEIPT, 2, f"{name} {sku}", Source.MANUAL)
        record_movements([receipt], now=NOW)
        count(sku_id=sku, warehouse_id=warehouse.pk, counted=7, key=f"{name} {sku} count", actor=None, now=NOW)


def report() -> None:
    sys.stdout.write(
        json.dumps(
            {
                "levels": sorted(set(StockLevel.objects.values_list("on_hand", "reserved"))),
                "levels_count": StockLevel.objects.count(),
                "kinds": dict(StockMovement.objects.order_by().values_list("kind").annotate(Count("pk"))),
                "wrong": len(check()),
            }
        )
    )


if __name__ == "__main__":
    job, *arguments = sys.argv[1:]
    jobs: dict[str, Callable[..., None]] = {
        "set_up": set_up,
        "sell": sell,
        "book": book,
        "begin": begin,
        "report": report,
    }
    jobs[job](*arguments)
    connection.close()
