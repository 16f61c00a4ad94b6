"""The jobs of the processes of test_orders_processes."""

from datetime import datetime
from typing import Any

from catalog.models import Channel, Order, StockLevel, StockMovement
from catalog.stock.ledger import check
from integrations.models import ChannelSync
from integrations.syncing import orders
from tests.worker_process import now


def sell_since(moment: datetime) -> None:
    """Orders are booked that are made from then on, a few in each transaction."""
    Channel.objects.update(orders_since=moment)


def read() -> None:
    orders._PAGE = 3
    orders.read_slice(now_fn=now, seconds=20)


def report() -> dict[str, Any]:
    booked = StockMovement.objects.filter(source="order")
    sync = ChannelSync.objects.get()
    return {
        "orders": Order.objects.count(),
        "movements": sorted(booked.values_list("kind", "quantity")),
        "available": list(StockLevel.objects.order_by("sku__code").values_list("available", flat=True)),
        "wrong": len(check()),
        "is_leased": sync.orders_lease_token is not None,
        "is_read": sync.orders_read_until is not None,
    }
