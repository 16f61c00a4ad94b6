"""What people take back of an order by hand; the platform may tell of the same pieces before or after."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext, ngettext

from catalog.models import Order, OrderLine, StockLevel, StockMovement, User
from catalog.services import audit_each
from catalog.stock.ledger import Kind, Movement, Source, StockError, lock_skus, record_movements
from config import formatting

SOLD = (Order.Status.SENT, Order.Status.FINISHED)  # until then units are here, and only reserved


def left_to_return(line: OrderLine) -> int:
    """Pieces of a line that were sold and did not come back yet; its order is loaded."""
    if line.components is None or line.order.status not in SOLD:
        return 0
    return max(line.quantity - line.came_back, 0)


def take_back(
    *,
    line_id: int,
    pieces: int,
    warehouse_id: int,
    is_sellable: bool,
    key: str,
    reason: str,
    actor: User | None,
    now: datetime,
) -> bool:
    """Book that so many pieces of an order line came back; False: it was booked already under this key.

    Those that cannot be sold again are written off in the same breath, so that both are in the ledger. Raises
    StockError where fewer were sold, and for what record_movements() refuses; then nothing is booked.
    """
    with transaction.atomic():
        # As whoever books orders: the order first, then its SKUs.
        order = Order.objects.select_for_update(of=("self",), no_key=True).get(lines=line_id)
        line = OrderLine.objects.select_related("order", "listing").get(pk=line_id)
        if StockMovement.objects.filter(key=key).exists():
            return False
        check_pieces(line, pieces)
        components = line.components or []
        lock_skus(sku for sku, _units in components)
        movements: list[Movement] = []
        for number, (sku, units) in enumerate(components):
            own_key = key if not number else f"{key}:{number}"
            quantity = units * pieces
            who = actor.pk if actor else None
            movements.append(
                Movement(
                    sku,
                    warehouse_id,
                    Kind.RETURN,
                    quantity,
                    own_key,
                    Source.MANUAL,
                    reason,
                    who,
                    channel_id=order.channel_id,
                    order_line_id=line.pk,
                )
            )
            if not is_sellable:
                # Without the number of the order: the SKU may be that of people who do not see the order's channel.
                why = reason or gettext("Came back and cannot be sold again.")
                movements.append(
                    Movement(sku, warehouse_id, Kind.ADJUSTMENT, -quantity, f"{own_key}:off", Source.MANUAL, why, who)
                )
        skus = {sku for sku, _units in components}
        before = _on_hand(skus, warehouse_id)
        record_movements(movements, now=now)
        OrderLine.objects.filter(pk=line.pk).update(returned_by_hand=line.came_back + pieces)
        levels = StockLevel.objects.filter(sku__in=skus, warehouse=warehouse_id).select_related("sku", "warehouse")
        audit_each(
            action="received",
            changed=((level, {"on_hand": [before.get(level.sku_id, 0), level.on_hand]}) for level in levels),
            actor=actor,
            now=now,
        )
    return True


def check_pieces(line: OrderLine, pieces: int) -> None:
    """Raises StockError where so many pieces of the line cannot come back."""
    left = left_to_return(line)
    if not left:
        raise StockError(gettext("Nothing of this line can come back: it was not sold, or all of it came back."))
    if not 0 < pieces <= left:
        message = ngettext(
            "Enter 1: that many were sold and did not come back yet.",
            "Enter 1 to %(left)s: that many were sold and did not come back yet.",
            left,
        )
        raise StockError(message % {"left": formatting.count(left)})


def _on_hand(sku_ids: set[int], warehouse_id: int) -> dict[int, int]:
    return dict(StockLevel.objects.filter(sku__in=sku_ids, warehouse=warehouse_id).values_list("sku", "on_hand"))
