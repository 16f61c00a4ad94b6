"""Orders as the platform tells them. No network, no clock."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from integrations.connectors.base import Order, OrderLine, OrderStatus
from integrations.connectors.taobao.values import count, identity, money, shop_time
from integrations.connectors.values import HalfAnswer, code, text

FIELDS = "tid,status,created,modified,pay_time,consign_time,orders"
CURRENCY = "CNY"

_STATUSES = {
    "TRADE_NO_CREATE_PAY": OrderStatus.UNPAID,
    "WAIT_BUYER_PAY": OrderStatus.UNPAID,
    "PAY_PENDING": OrderStatus.UNPAID,
    "WAIT_SELLER_SEND_GOODS": OrderStatus.PAID,
    "SELLER_CONSIGNED_PART": OrderStatus.PAID,  # the rest is still to be sent
    "PAID_FORBID_CONSIGN": OrderStatus.PAID,
    "WAIT_BUYER_CONFIRM_GOODS": OrderStatus.SENT,
    "TRADE_BUYER_SIGNED": OrderStatus.SENT,
    "TRADE_FINISHED": OrderStatus.FINISHED,
    "TRADE_CLOSED": OrderStatus.CANCELLED,
    "TRADE_CLOSED_BY_TAOBAO": OrderStatus.CANCELLED,
}
_CLOSED = frozenset({"TRADE_CLOSED", "TRADE_CLOSED_BY_TAOBAO"})
_SMALLEST = Decimal("0.0001")  # a price per unit that is no whole number of fen is told this exactly


def order(trade: Mapping[str, Any]) -> Order:
    """One trade; raises HalfAnswer when it, one of its lines or a time of it cannot be told."""
    order_id = identity(trade.get("tid"))
    if order_id is None:
        raise HalfAnswer("an order without a number")
    status = _STATUSES.get(text(trade.get("status")), OrderStatus.UNKNOWN)
    found = trade.get("orders")
    rows = found.get("order") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not rows:
        raise HalfAnswer("an order without lines")
    pay_time = trade.get("pay_time")
    may_be_sent = bool(trade.get("consign_time")) or status in {OrderStatus.SENT, OrderStatus.FINISHED}
    if status is OrderStatus.CANCELLED and may_be_sent:
        status = OrderStatus.FINISHED  # it was closed by refunds of what had been sent
    return Order(
        order_id=order_id,
        status=status,
        created_at=shop_time(trade.get("created")),
        changed_at=shop_time(trade.get("modified")),
        currency=CURRENCY,
        lines=tuple(_line(row, is_cancelled=status is OrderStatus.CANCELLED, may_be_sent=may_be_sent) for row in rows),
        paid_at=shop_time(pay_time) if pay_time else None,
    )


def _line(row: Any, *, is_cancelled: bool, may_be_sent: bool) -> OrderLine:
    if not isinstance(row, dict):
        raise HalfAnswer("an order line of another shape")
    line_id, item_id, (quantity, _) = identity(row.get("oid")), identity(row.get("num_iid")), count(row.get("num"))
    if line_id is None or item_id is None or quantity is None:
        raise HalfAnswer("an order line without its ids or its quantity")
    is_refunded = row.get("refund_status") == "SUCCESS"
    # A line can be closed by itself, before it was paid; where the whole order is, its status says it.
    is_taken_back = is_refunded or (row.get("status") in _CLOSED and not is_cancelled)
    return OrderLine(
        line_id=line_id,
        item_id=item_id,
        sku_id=identity(row.get("sku_id")) or "",
        outer_id=code(row.get("outer_sku_id") or row.get("outer_iid")),
        quantity=quantity,
        returned=quantity if is_taken_back and not may_be_sent else 0,
        refunded=quantity if is_taken_back and may_be_sent else 0,
        paid_per_unit=_per_unit(row, quantity),
    )


def _per_unit(row: Mapping[str, Any], quantity: int) -> Decimal | None:
    """The line's share of what was paid, discounts of the whole order included, for one unit."""
    paid = money(row.get("divide_order_fee"))
    if paid is None:
        paid = money(row.get("payment"))
    return None if paid is None or not quantity else (paid / quantity).quantize(_SMALLEST, ROUND_HALF_EVEN)
