"""A worker process of its own for test_orders_processes: `python -m tests.integrations.syncing.orders_worker JOB ...`.

It works on the database of DATABASE_URL; times are shifted by SHIFT seconds, so that leases run out without waiting.
"""

import json
import sys
from collections.abc import Callable
from datetime import datetime

from tests.integrations.syncing import worker  # the first, since it sets Django up

from django.db import connection  # isort: skip

from catalog.models import Channel, Order, StockLevel, StockMovement  # isort: skip
from catalog.stock.ledger import check  # isort: skip
from integrations.models import ChannelSync  # isort: skip
from integrations.syncing import orders  # isort: skip


def sell_since(moment: str) -> None:
    """Orders are booked that are made from then on, a few in each transaction."""
    Channel.objects.update(orders_since=datetime.fromisoformat(moment))


def read() -> None:
    orders._PAGE = 3
    orders.read_slice(now_fn=worker.now, seconds=20)


def report() -> None:
    booked = StockMovement.objects.filter(source="order")
    sync = ChannelSync.objects.get()
    sys.stdout.write(
        json.dumps(
            {
                "orders": Order.objects.count(),
                "movements": sorted(booked.values_list("kind", "quantity")),
                "available": list(StockLevel.objects.order_by("sku__code").values_list("available", flat=True)),
                "wrong": len(check()),
                "is_leased": sync.orders_lease_token is not None,
                "is_read": sync.orders_read_until is not None,
            }
        )
    )


if __name__ == "__main__":
    deeds: dict[str, Callable[..., None]] = {"sell_since": sell_since, "read": read, "report": report}
    deeds[sys.argv[1]](*sys.argv[2:])
    connection.close()
