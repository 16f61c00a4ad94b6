"""Units sent from one warehouse to another, and what of them arrives."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext

from catalog.models import StockMovement, Transfer, User
from catalog.models.stock import MOST_UNITS
from catalog.services import audit
from catalog.stock.ledger import (
    Kind,
    Movement,
    Source,
    StockError,
    check_places,
    key_taken,
    lock_skus,
    record_movements,
)
from config import formatting


def send_transfer(
    *,
    sku_id: int,
    source_id: int,
    destination_id: int,
    quantity: int,
    key: str,
    actor: User | None,
    note: str = "",
    now: datetime,
) -> Transfer:
    """Take units out of a warehouse; until they arrive they are in none. The same key again is the same transfer.

    Raises StockError for units beyond reason, one warehouse for both, a key that stands for another transfer, and what
    record_movements() refuses.
    """
    if not 0 < quantity <= MOST_UNITS:
        raise StockError(gettext("Enter 1 to %(most)s units.") % {"most": formatting.count(MOST_UNITS)})
    if source_id == destination_id:
        raise StockError(gettext("Choose another warehouse to send it to."))
    key = f"transfer:{key}:out"
    with transaction.atomic():
        lock_skus([sku_id])
        booked = StockMovement.objects.filter(key=key).select_related("transfer").first()
        if booked is not None and booked.transfer is not None:
            transfer = booked.transfer
            same = (transfer.sku_id, transfer.source_id, transfer.destination_id, transfer.quantity)
            if same != (sku_id, source_id, destination_id, quantity):
                raise key_taken(key, None)
            return transfer
        transfer = Transfer(
            sku_id=sku_id,
            source_id=source_id,
            destination_id=destination_id,
            quantity=quantity,
            note=note.strip()[:200],
            sent_at=now,
            created_by=actor,
        )
        check_places([(sku_id, source_id, None), (sku_id, destination_id, None)])
        transfer.save()
        record_movements([_movement(transfer, Kind.TRANSFER_OUT, source_id, -quantity, key, actor)], now=now)
        audit(action="sent", obj=transfer, actor=actor, now=now, changes={"quantity": [None, quantity]})
    return transfer


def receive_transfer(*, transfer_id: int, quantity: int, actor: User | None, now: datetime) -> Transfer:
    """Put what arrived of a transfer into its warehouse; `transfer.missing` tells the rest, which is nowhere.

    Received again with the same units it stays as it is. Raises StockError for other units than before, or more than
    were sent.
    """
    with transaction.atomic():
        transfer = (
            Transfer.objects.select_related("sku", "source", "destination")
            .select_for_update(of=("self",), no_key=True)
            .get(pk=transfer_id)
        )
        if transfer.received_quantity is not None:
            if transfer.received_quantity != quantity:
                message = gettext("%(units)s units of this transfer were received already. Adjust the stock instead.")
                raise StockError(message % {"units": formatting.count(transfer.received_quantity)})
            return transfer
        if not 0 <= quantity <= transfer.quantity:
            message = gettext("%(units)s units were sent: enter 0 to %(units)s.")
            raise StockError(message % {"units": formatting.count(transfer.quantity)})
        transfer.received_at, transfer.received_quantity = now, quantity
        transfer.save(update_fields=["received_at", "received_quantity"])
        if quantity:
            key = f"transfer:{transfer.pk}:in"
            place = transfer.destination_id
            record_movements([_movement(transfer, Kind.TRANSFER_IN, place, quantity, key, actor)], now=now)
        audit(action="received", obj=transfer, actor=actor, now=now, changes={"received_quantity": [None, quantity]})
    return transfer


def _movement(
    transfer: Transfer, kind: Kind, warehouse_id: int, quantity: int, key: str, actor: User | None
) -> Movement:
    return Movement(
        transfer.sku_id,
        warehouse_id,
        kind,
        quantity,
        key,
        Source.TRANSFER,
        transfer.note,
        actor.pk if actor else None,
        transfer_id=transfer.pk,
    )
