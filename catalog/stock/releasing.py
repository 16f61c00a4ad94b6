"""Units that are reserved for orders nobody hears of any more, such as those that were deleted for good in the shop.

A platform tells of what changes, and of a deleted order nothing changes any more. So its units stay reserved until a
person, who has looked there, releases them. Told of the order once more, they are booked as the platform tells.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext, gettext_noop

from catalog.models import LineCause, Order, OrderLine, User
from catalog.services import audit
from catalog.stock.booking import HERE, booked_of
from catalog.stock.ledger import Kind, Movement, Source, StockError, lock_skus, record_movements

SILENT_AFTER = timedelta(days=7)
RESERVED = gettext_noop("units reserved")  # in the audit log


def silent_orders(now: datetime) -> QuerySet[Order]:
    """Orders that reserve units, and of which nothing was heard since SILENT_AFTER."""
    lines = OrderLine.objects.filter(order=OuterRef("pk"), components__isnull=False, cause="", quantity__gt=0)
    return Order.objects.filter(Exists(lines), status__in=HERE, changed_at__lte=now - SILENT_AFTER)


def reserved_units(order: Order) -> int:
    """Units of all SKUs that are reserved for the order."""
    return sum(reserved for reserved, _sold, _number in booked_of(list(order.lines.all())).values())


def check_silent(order: Order, now: datetime) -> None:
    """Raises StockError where nothing of the order is to be released."""
    if not silent_orders(now).filter(pk=order.pk).exists():
        raise StockError(gettext("Nothing is to be released: the order reserves nothing, or was told of lately."))


def release(*, order_id: int, reason: str, actor: User | None, now: datetime) -> int:
    """Make the units that an order reserves available again; returns how many.

    Raises StockError where the platform told of the order lately, nothing is reserved for it, or no reason is given;
    then nothing is booked.
    """
    if not reason.strip():
        raise StockError(gettext("Say why the stock is changed."))
    with transaction.atomic():
        # As whoever books orders: the order first, then its SKUs.
        order = Order.objects.select_for_update(of=("self",), no_key=True).get(pk=order_id)
        check_silent(order, now)
        lines = list(order.lines.filter(components__isnull=False).order_by("pk"))
        lock_skus({sku for line in lines for sku, _units in line.components or []})
        place = {line.pk: line.warehouse_id or 0 for line in lines}
        movements = [
            Movement(
                sku,
                place[line],
                Kind.RELEASE,
                -reserved,
                f"order:{line}:{sku}:{number}",  # as booking names it
                Source.MANUAL,
                reason.strip()[:200],
                actor.pk if actor else None,
                channel_id=order.channel_id,
                order_line_id=line,
            )
            for (line, sku), (reserved, _sold, number) in sorted(booked_of(lines).items())
            if reserved > 0
        ]
        released = -sum(each.quantity for each in record_movements(movements, now=now))
        OrderLine.objects.filter(~Q(cause=LineCause.GONE), order=order).update(cause=LineCause.RELEASED)
        audit(action="released", obj=order, actor=actor, now=now, changes={RESERVED: [released, 0]})
    return released
