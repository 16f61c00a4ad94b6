"""What people find on the shelves and book by hand. Each deed has a key, so that a form sent twice is booked once."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import OuterRef, Q, Subquery, Sum
from django.utils.translation import gettext

from catalog.database import among, parts
from catalog.models import StockLevel, StockMovement, User
from catalog.models.stock import MOST_UNITS
from catalog.services import audit_each
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

_BY_HAND = (Kind.ADJUSTMENT, Kind.RECEIPT, Kind.RETURN)


@dataclass(frozen=True, slots=True)
class Counted:
    """Units of a SKU that are in a warehouse, reserved ones among them. `key` names this count for ever."""

    sku_id: int
    warehouse_id: int
    units: int
    key: str
    reason: str = ""


def count(
    *,
    sku_id: int,
    warehouse_id: int,
    counted: int,
    key: str,
    actor: User | None,
    reason: str = "",
    source: Source = Source.COUNT,
    now: datetime,
) -> Movement | None:
    """Book the difference between the units on hand and those that were counted; None: this count is booked already.

    Opening stock is the first count, with its own source.
    """
    counts = [Counted(sku_id, warehouse_id, counted, key, reason)]
    return next(iter(count_many(counts, actor=actor, source=source, now=now)), None)


def count_many(
    counts: Sequence[Counted], *, actor: User | None, source: Source = Source.COUNT, now: datetime
) -> list[Movement]:
    """Book several counts, all or none; returns what was new. The last of two counts of one place holds.

    Raises StockError, with its row, for units below 0 or beyond reason, a key that stands for another count, and what
    record_movements() refuses.
    """
    for row, each in enumerate(counts):
        if not 0 <= each.units <= MOST_UNITS:
            message = gettext("A count is 0 to %(most)s units.")
            raise StockError(message % {"most": formatting.count(MOST_UNITS)}, row)
    if len({each.key for each in counts}) < len(counts):
        raise StockError(gettext("Two of the counts have the same key."))
    with transaction.atomic():
        check_places([(each.sku_id, each.warehouse_id, row) for row, each in enumerate(counts)])
        known = _known(counts)
        on_hand = _on_hand(counts)
        new = []
        for row, each in enumerate(counts):
            if each.key in known:
                if known[each.key] != (each.sku_id, each.warehouse_id, Kind.COUNT, each.units):
                    raise key_taken(each.key, row)
                continue
            place = (each.sku_id, each.warehouse_id)
            new.append(
                Movement(
                    *place,
                    Kind.COUNT,
                    each.units - on_hand[place],
                    each.key,
                    source,
                    each.reason,
                    actor.pk if actor else None,
                )
            )
            on_hand[place] = each.units
        _record(new, "counted", actor, now)
    return new


def adjust(
    *,
    sku_id: int,
    warehouse_id: int,
    quantity: int,
    key: str,
    actor: User | None,
    reason: str,
    kind: Kind = Kind.ADJUSTMENT,
    now: datetime,
) -> Movement | None:
    """Add units to those on hand, or take some away; None: it is booked already. `kind`: adjustment, receipt, return.

    Raises StockError for what record_movements() refuses, and where no reason is given for an adjustment.
    """
    if kind not in _BY_HAND:
        raise ValueError(f"{kind} is not booked by hand")
    if kind == Kind.ADJUSTMENT and not reason.strip():
        raise StockError(gettext("Say why the stock is changed."))
    movement = Movement(
        sku_id, warehouse_id, kind, quantity, key, Source.MANUAL, reason.strip(), actor.pk if actor else None
    )
    with transaction.atomic():
        lock_skus([sku_id])
        return next(iter(_record([movement], "received" if kind == Kind.RECEIPT else "adjusted", actor, now)), None)


def _record(movements: Sequence[Movement], action: str, actor: User | None, now: datetime) -> list[Movement]:
    """Book the movements, and tell who changed the units on hand from what to what."""
    places = {(each.sku_id, each.warehouse_id) for each in movements}
    before = _on_hand(movements)
    new = record_movements(movements, now=now)
    levels = StockLevel.objects.filter(sku__in=among(sorted({each.sku_id for each in new})))
    audit_each(
        action=action,
        changed=(
            (level, {"on_hand": [before[level.sku_id, level.warehouse_id], level.on_hand]})
            for level in levels.select_related("sku", "warehouse")
            if (level.sku_id, level.warehouse_id) in places
        ),
        actor=actor,
        now=now,
    )
    return new


def _on_hand(places: Sequence[Counted | Movement]) -> defaultdict[tuple[int, int], int]:
    levels = StockLevel.objects.filter(sku__in=among(sorted({each.sku_id for each in places})))
    rows = levels.order_by().values_list("sku", "warehouse", "on_hand")
    return defaultdict(int, {(sku, warehouse): units for sku, warehouse, units in rows})


def _known(counts: Sequence[Counted]) -> dict[str, tuple[int, int, str, int]]:
    """Key -> (SKU, warehouse, kind, units on hand after it) of those that are booked."""
    # The SKU is locked while something is booked on it, so that keys rise in the order of booking.
    until = StockMovement.objects.filter(
        ~Q(kind__in=StockMovement.RESERVING),
        sku=OuterRef("sku"),
        warehouse=OuterRef("warehouse"),
        pk__lte=OuterRef("pk"),
    )
    after = Subquery(until.order_by().values("sku").annotate(sum=Sum("quantity")).values("sum"))
    return {
        key: (sku, warehouse, kind, units)
        for some in parts([each.key for each in counts])
        for key, sku, warehouse, kind, units in StockMovement.objects.filter(key__in=some).values_list(
            "key", "sku", "warehouse", "kind", after
        )
    }
