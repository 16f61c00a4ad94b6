"""Purchase orders from the draft to the last unit: written, sent, received into the ledger, or cancelled.

Who changes an order locks its row first, and then the SKUs, as whoever receives a transfer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from catalog.database import among
from catalog.models import (
    BundleComponent,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseReceipt,
    PurchaseReceiptLine,
    Sku,
    SupplierSku,
    User,
)
from catalog.models.stock import MOST_UNITS
from catalog.services import audit
from catalog.stock.ledger import Kind, Movement, Source, StockError, key_taken, record_movements
from config import formatting

Status = PurchaseOrder.Status


@dataclass(frozen=True, slots=True)
class Wanted:
    """Units of a SKU to be ordered; without a price it is that of the supplier's terms."""

    sku_id: int
    units: int
    unit_cost: Decimal | None = None


def draft_order(
    *,
    supplier_id: int,
    warehouse_id: int,
    lines: Sequence[Wanted],
    actor: User | None,
    expected_at: datetime | None = None,
    note: str = "",
    now: datetime,
) -> PurchaseOrder:
    """Write down an order, which is not sent yet.

    Raises StockError, with its row, for units beyond reason, a SKU that is there twice, or one that is a bundle.
    """
    check_lines(lines)
    with transaction.atomic():
        order = PurchaseOrder(
            supplier_id=supplier_id,
            warehouse_id=warehouse_id,
            expected_at=expected_at,
            note=note.strip()[:200],
            created_at=now,
            created_by=actor,
        )
        order.currency = order.supplier.currency
        order.save()
        PurchaseOrderLine.objects.bulk_create(
            PurchaseOrderLine(order=order, sku_id=line.sku_id, quantity=line.units, unit_cost=line.unit_cost)
            for line in lines
        )
        fill_prices(order)
        audit(action="added", obj=order, actor=actor, now=now, changes={"lines": ["", lines_text(order)]})
    return order


def check_lines(lines: Sequence[Wanted]) -> None:
    bundles = BundleComponent.objects.filter(bundle__in=among(sorted({line.sku_id for line in lines})))
    codes = dict(bundles.values_list("bundle", "bundle__code"))
    seen: set[int] = set()
    for row, line in enumerate(lines):
        if not 0 < line.units <= MOST_UNITS:
            message = gettext("Enter 1 to %(most)s units.")
            raise StockError(message % {"most": formatting.count(MOST_UNITS)}, row)
        if line.sku_id in seen:
            raise StockError(gettext("This SKU is in the order already. Change its units instead."), row)
        if line.sku_id in codes:
            message = gettext("%(sku)s is a bundle. Order the SKUs it consists of.")
            raise StockError(message % {"sku": codes[line.sku_id]}, row)
        seen.add(line.sku_id)


def fill_prices(order: PurchaseOrder) -> None:
    """Give lines without a price that of the supplier's terms, where they are in the currency of the order."""
    if order.currency != order.supplier.currency:
        return
    lines = list(order.lines.filter(unit_cost__isnull=True))
    terms = SupplierSku.objects.filter(supplier=order.supplier_id, sku__in=[line.sku_id for line in lines])
    prices = dict(terms.values_list("sku", "unit_cost"))
    for line in lines:
        line.unit_cost = prices.get(line.sku_id)
    PurchaseOrderLine.objects.bulk_update(lines, ["unit_cost"])


def lines_text(order: PurchaseOrder) -> str:
    return ", ".join(f"{line.quantity} × {line.sku.code}" for line in order.lines.select_related("sku"))


def send_order(
    *, order_id: int, actor: User | None, expected_at: datetime | None = None, now: datetime
) -> PurchaseOrder:
    """Count what is ordered as on its way from now on; sent already it stays as it is.

    Where nobody says when it is expected, it is the stated lead time from now, if there is one. Raises StockError for
    an order that is cancelled or received, or has no lines.
    """
    with transaction.atomic():
        order = _locked(order_id)
        if order.is_on_the_way:
            return order
        if not order.is_draft:
            raise StockError(gettext("%(order)s is closed. Write a new order.") % {"order": order})
        if not order.lines.exists():
            raise StockError(gettext("An order needs at least one line. Add what to order."))
        expected = order.expected_at
        order.status, order.sent_at = Status.SENT, now
        if expected_at is not None:
            order.expected_at = expected_at
        elif expected is None and (days := order.supplier.lead_time_days) is not None:
            order.expected_at = now + timedelta(days=days)
        order.save(update_fields=["status", "sent_at", "expected_at"])
        changes: dict[str, list[Any]] = {"status": [Status.DRAFT, Status.SENT]}
        if order.expected_at != expected:
            changes["expected_at"] = [expected, order.expected_at]
        audit(action="sent", obj=order, actor=actor, now=now, changes=changes)
    return order


def receive_order(
    *,
    order_id: int,
    arrived: Mapping[int, int],
    key: str,
    actor: User | None,
    note: str = "",
    accept_more: bool = False,
    now: datetime,
) -> PurchaseReceipt:
    """Book what arrived of an order, units by line; the same key again is the same receipt.

    Raises StockError for an order that is not on its way, nothing or too much at once, lines of another order, more
    than was ordered unless `accept_more`, a key that stands for another receipt, and what record_movements() refuses.
    """
    units = {line: number for line, number in arrived.items() if number}
    with transaction.atomic():
        order = _locked(order_id)
        known = PurchaseReceipt.objects.filter(key=key).first()
        if known is not None:
            if known.order_id != order.pk or dict(known.lines.values_list("line", "quantity")) != units:
                raise key_taken(key, None)
            return known
        if not order.is_on_the_way:
            message = gettext("%(order)s is not on its way, so nothing can arrive of it.")
            raise StockError(message % {"order": order})
        lines = {line.pk: line for line in order.lines.select_related("sku").select_for_update(of=("self",))}
        _check_arrived(lines, units, accept_more=accept_more)
        receipt = PurchaseReceipt.objects.create(
            order=order, key=key, note=note.strip()[:200], received_at=now, received_by=actor
        )
        PurchaseReceiptLine.objects.bulk_create(
            PurchaseReceiptLine(receipt=receipt, line_id=line, quantity=number) for line, number in units.items()
        )
        record_movements([_movement(receipt, lines[line], number, actor) for line, number in units.items()], now=now)
        before = order.status
        for line, number in units.items():
            lines[line].received += number
        PurchaseOrderLine.objects.bulk_update([lines[line] for line in units], ["received"])
        _close_if_complete(order, lines.values(), now)
        came = ", ".join(f"{number} × {lines[line].sku.code}" for line, number in units.items())
        audit(
            action="received",
            obj=order,
            actor=actor,
            now=now,
            changes={"received": ["", came], "status": [before, order.status]},
        )
    return receipt


def _check_arrived(lines: Mapping[int, PurchaseOrderLine], units: Mapping[int, int], *, accept_more: bool) -> None:
    if not units:
        raise StockError(gettext("0 units change nothing. Enter how many."))
    for line, number in units.items():
        if line not in lines:
            raise StockError(gettext("This line is not in the order any more. Reload the page."))
        if not 0 < number <= MOST_UNITS:
            message = gettext("Enter 1 to %(most)s units.")
            raise StockError(message % {"most": formatting.count(MOST_UNITS)})
        outstanding = lines[line].outstanding
        if number > outstanding and not accept_more:
            message = gettext("%(sku)s: %(units)s arrived and %(due)s were to come. Confirm that there are more.")
            figures = {"units": formatting.count(number), "due": formatting.count(outstanding)}
            raise StockError(message % {"sku": lines[line].sku, **figures})


def _movement(receipt: PurchaseReceipt, line: PurchaseOrderLine, units: int, actor: User | None) -> Movement:
    return Movement(
        line.sku_id,
        receipt.order.warehouse_id,
        Kind.RECEIPT,
        units,
        f"purchase:{receipt.pk}:{line.pk}",
        Source.PURCHASE,
        " · ".join(text for text in (receipt.order.number, receipt.note) if text),
        actor.pk if actor else None,
    )


def cancel_order(*, order_id: int, actor: User | None, reason: str = "", now: datetime) -> PurchaseOrder:
    """Count on nothing more of an order: of one that came in part, on the rest. Closed already it stays as it is."""
    with transaction.atomic():
        order = _locked(order_id)
        if not order.is_draft and not order.is_on_the_way:
            return order
        lines = list(order.lines.select_related("sku").select_for_update(of=("self",)))
        rest = {line.sku.code: line.outstanding for line in lines if line.outstanding}
        for line in lines:
            line.cancelled += line.outstanding
        PurchaseOrderLine.objects.bulk_update(lines, ["cancelled"])
        before = order.status
        _close_if_complete(order, lines, now)
        cancelled = ", ".join(f"{units} × {code}" for code, units in rest.items())
        changes = {"status": [before, order.status], "cancelled": ["", cancelled]}
        if reason := reason.strip():
            changes["reason"] = ["", reason[:200]]
        audit(action="cancelled", obj=order, actor=actor, now=now, changes=changes)
    return order


def _close_if_complete(order: PurchaseOrder, lines: Iterable[PurchaseOrderLine], now: datetime) -> None:
    """Received: nothing more is to come, and something came. Cancelled: nothing came."""
    arrived = any(line.received for line in lines)
    if any(line.outstanding for line in lines):
        order.status = Status.PARTLY_RECEIVED if arrived else order.status
    else:
        order.status, order.closed_at = (Status.RECEIVED if arrived else Status.CANCELLED), now
    order.save(update_fields=["status", "closed_at"])


def _locked(order_id: int) -> PurchaseOrder:
    orders = PurchaseOrder.objects.select_related("supplier", "warehouse")
    return orders.select_for_update(of=("self",), no_key=True).get(pk=order_id)


def save_terms(terms: SupplierSku, *, is_preferred: bool) -> None:
    """Store the terms, and buy the SKU from this supplier, or from nobody in particular, as is said."""
    with transaction.atomic():
        terms.save()
        skus = Sku.objects.filter(pk=terms.sku_id)
        if is_preferred:
            skus.exclude(supplier=terms.supplier_id).update(supplier=terms.supplier_id)
        else:
            skus.filter(supplier=terms.supplier_id).update(supplier=None)
