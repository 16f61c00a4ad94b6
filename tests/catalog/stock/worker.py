"""The jobs of the processes of test_two_processes."""

import random
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

from django.db.models import Count

from catalog.models import Channel, Listing, Product, Sku, StockLevel, StockMovement, Warehouse
from catalog.signals import stock_changed
from catalog.stock.booking import book_orders
from catalog.stock.counts import count
from catalog.stock.ledger import Kind, Movement, Source, check, record_movements, reserve
from integrations.connectors.base import Order, OrderLine, OrderStatus

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
STATES = (OrderStatus.UNPAID, OrderStatus.PAID, OrderStatus.SENT)


def set_up(skus: int, units: int) -> None:
    product, warehouse = Product.objects.create(name="P"), Warehouse.objects.create(code="W")
    Sku.objects.bulk_create(Sku(code=str(n), product=product) for n in range(skus))
    channel = Channel.objects.create(name="Shop", orders_since=NOW)
    rows = list(Sku.objects.all())
    Listing.objects.bulk_create(Listing(channel=channel, platform_item_id=sku.code, sku=sku) for sku in rows)
    if units:
        receipts = [
            Movement(sku.pk, warehouse.pk, Kind.RECEIPT, units, f"opening {sku.pk}", Source.OPENING) for sku in rows
        ]
        record_movements(receipts, now=NOW)


def _tell_nobody() -> None:
    """In this process: what others make of the news would only slow the race down."""
    stock_changed.receivers = []


def sell(name: str, start: Barrier) -> list[int]:
    """Try twice to promise one unit of every SKU; the SKUs that were promised, as often as they were."""
    _tell_nobody()
    skus = list(Sku.objects.order_by("pk").values_list("pk", flat=True))
    start.wait(60)
    return [
        sku
        for sku in skus
        for n in range(2)
        if reserve(sku_id=sku, quantity=1, key=f"{name} {n} {sku}", source=Source.MANUAL, now=NOW)
    ]


def book(seed: int, start: Barrier) -> None:
    """Book three states of an order for each SKU, in pages, in an order of its own."""
    _tell_nobody()
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
    random.Random(seed).shuffle(told)
    start.wait(60)
    for first in range(0, len(told), 20):
        book_orders(channel, told[first : first + 20], now=NOW)


def begin(name: str, start: Barrier) -> None:
    """Book the first movement of every SKU, and count it."""
    _tell_nobody()
    warehouse = Warehouse.objects.get()
    skus = list(Sku.objects.order_by("pk").values_list("pk", flat=True))
    start.wait(60)
    for sku in skus:
        receipt = Movement(sku, warehouse.pk, Kind.RECEIPT, 2, f"{name} {sku}", Source.MANUAL)
        record_movements([receipt], now=NOW)
        count(sku_id=sku, warehouse_id=warehouse.pk, counted=7, key=f"{name} {sku} count", actor=None, now=NOW)


def report() -> dict[str, Any]:
    return {
        "levels": set(StockLevel.objects.values_list("on_hand", "reserved")),
        "levels_count": StockLevel.objects.count(),
        "kinds": dict(StockMovement.objects.order_by().values_list("kind").annotate(Count("pk"))),
        "wrong": len(check()),
    }
