"""The jobs of the processes of test_two_processes."""

from datetime import timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

from catalog.models import (
    Product,
    PurchaseOrder,
    PurchaseReceipt,
    Sku,
    StockLevel,
    StockMovement,
    Supplier,
    Warehouse,
)
from catalog.purchasing.orders import Wanted, cancel_order, draft_order, receive_order, send_order
from catalog.signals import stock_changed
from catalog.stock.ledger import StockError, check
from tests.factories import NOW

UNITS, LINES = 10, 3


def set_up(orders: int) -> None:
    """Orders of the same SKUs, on their way to the same warehouse."""
    product, warehouse = Product.objects.create(name="P"), Warehouse.objects.create(code="W")
    supplier = Supplier.objects.create(name="S")
    Sku.objects.bulk_create(Sku(code=str(number), product=product) for number in range(LINES))
    lines = [Wanted(sku, UNITS) for sku in Sku.objects.values_list("pk", flat=True)]
    for _number in range(orders):
        order = draft_order(supplier_id=supplier.pk, warehouse_id=warehouse.pk, lines=lines, actor=None, now=NOW)
        send_order(order_id=order.pk, actor=None, now=NOW)


def receive(name: str, start: Barrier) -> list[str]:
    """Receive all of each order, under the same key as everybody or one of our own; what was refused."""
    return _each(lambda order: _receive(order, f"{name or 'same'} {order.pk}"), start)


def cancel(start: Barrier) -> list[str]:
    return _each(lambda order: cancel_order(order_id=order.pk, actor=None, now=NOW + timedelta(days=1)), start)


def _each(deed: Any, start: Barrier) -> list[str]:
    stock_changed.receivers = []  # what others make of the news would only slow the race down
    orders = list(PurchaseOrder.objects.order_by("pk"))
    refused = []
    start.wait(60)
    for order in orders:
        try:
            deed(order)
        except StockError as error:
            refused.append(str(error))
    return refused


def _receive(order: PurchaseOrder, key: str) -> None:
    arrived = dict.fromkeys(order.lines.values_list("pk", flat=True), UNITS)
    receive_order(order_id=order.pk, arrived=arrived, key=key, actor=None, now=NOW + timedelta(days=1))


def report() -> dict[str, Any]:
    orders = PurchaseOrder.objects.order_by()
    return {
        "levels": set(StockLevel.objects.values_list("on_hand", flat=True)),
        "receipts": PurchaseReceipt.objects.count(),
        "movements": StockMovement.objects.count(),
        "states": set(orders.values_list("status", flat=True)),
        "lines": set(orders.values_list("status", "lines__received", "lines__cancelled")),
        "wrong": len(check()),
    }
