"""The only writer of stock: movements are added, and the levels follow them in the same transaction.

Whoever books locks the rows of the SKUs first, components in the order of their keys and then the bundles that contain
them: a component is never a bundle, so that nobody waits in a circle. The lock of a SKU stands for all its levels.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext

from catalog.database import add_up, among, insert_new, parts
from catalog.models import BundleComponent, Sku, StockLevel, StockMovement, Warehouse
from catalog.models.stock import MOST_UNITS
from catalog.signals import stock_changed
from config import formatting

Kind = StockMovement.Kind
Source = StockMovement.Source
_NEGATIVE = (Kind.SALE, Kind.TRANSFER_OUT, Kind.RELEASE)
_POSITIVE = (Kind.RETURN, Kind.RECEIPT, Kind.TRANSFER_IN, Kind.RESERVE)
_FIELDS = (
    "sku",
    "warehouse",
    "kind",
    "quantity",
    "key",
    "source",
    "reason",
    "actor",
    "channel",
    "order_line",
    "transfer",
    "happened_at",
    "created_at",
)
_LEVEL_FIELDS = ("on_hand", "reserved", "is_counted", "updated_at")


class StockError(Exception):
    """What was asked for cannot be booked, and nothing of it was; the text says why, in the language of the page."""

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row  # which of several, from 0; None: it is about none of them in particular


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry to be booked. `quantity` is signed as StockMovement has it; `key` names it for ever."""

    sku_id: int
    warehouse_id: int
    kind: Kind
    quantity: int
    key: str
    source: Source
    reason: str = ""
    actor_id: int | None = None
    channel_id: int | None = None
    order_line_id: int | None = None
    transfer_id: int | None = None
    happened_at: datetime | None = None  # None: as it is booked


def record_movements(movements: Sequence[Movement], *, now: datetime) -> list[Movement]:
    """Book what was not booked before; returns those. All or nothing, in a number of statements that stays the same.

    Raises StockError for a SKU that is not there or is a bundle, a warehouse that is not there, units with the wrong
    sign or beyond reason, and a key that stands for something else already.
    """
    rows: dict[str, tuple[int, Movement]] = {}
    for row, movement in enumerate(movements):
        _check(movement, row)
        _row, first = rows.setdefault(movement.key, (row, movement))
        if _content(first) != _content(movement):
            raise key_taken(movement.key, row)
    if not rows:
        return []
    with transaction.atomic():
        check_places([(movement.sku_id, movement.warehouse_id, row) for row, movement in rows.values()])
        new = _insert(rows, now)
        sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        counted = set()
        for movement in new:
            level = (movement.sku_id, movement.warehouse_id)
            sums[level][movement.kind in StockMovement.RESERVING] += movement.quantity
            if movement.kind in StockMovement.COUNTING:
                counted.add(level)
        add_up(
            StockLevel,
            ["sku", "warehouse"],
            _LEVEL_FIELDS,
            [(*level, *sums[level], level in counted, now) for level in sorted(sums)],
        )
        raise_versions({movement.sku_id for movement in new})
    return new


def _check(movement: Movement, row: int) -> None:
    quantity = movement.quantity
    # A count may find that everything of many receipts is gone.
    if abs(quantity) > MOST_UNITS and movement.kind != Kind.COUNT:
        message = gettext("%(units)s is more than the %(most)s units that can be booked at once.")
        raise StockError(
            message % {"units": formatting.count(quantity), "most": formatting.count(MOST_UNITS)},
            row,
        )
    if quantity == 0 and movement.kind != Kind.COUNT:
        raise StockError(gettext("0 units change nothing. Enter how many."), row)
    if (movement.kind in _NEGATIVE and quantity > 0) or (movement.kind in _POSITIVE and quantity < 0):
        message = gettext("%(kind)s of %(units)s units has the wrong sign.")
        raise StockError(message % {"kind": Kind(movement.kind).label, "units": formatting.count(quantity)}, row)
    if not movement.key or len(movement.key) > 200:
        raise StockError(gettext("A movement needs a key of 1 to 200 characters."), row)


def check_places(places: Collection[tuple[int, int, int | None]]) -> None:
    """Lock the SKUs of (SKU, warehouse, row), and raise StockError with the row that nothing can be booked on."""
    sku_ids = sorted({sku for sku, _warehouse, _row in places})
    there = set(lock_skus(sku_ids))
    bundles = dict(BundleComponent.objects.filter(bundle__in=among(sku_ids)).values_list("bundle", "bundle__code"))
    warehouses = set(Warehouse.objects.values_list("pk", flat=True))
    for sku, warehouse, row in places:
        if sku not in there:
            raise StockError(gettext("This SKU does not exist any more."), row)
        if sku in bundles:
            message = gettext("%(sku)s is a bundle and has no stock of its own. Book the SKUs it consists of.")
            raise StockError(message % {"sku": bundles[sku]}, row)
        if warehouse not in warehouses:
            raise StockError(gettext("This warehouse does not exist any more."), row)


def _insert(rows: Mapping[str, tuple[int, Movement]], now: datetime) -> list[Movement]:
    """Those that the database took; the others are there with the same content, or StockError is raised."""
    movements = [movement for _row, movement in rows.values()]
    inserted = insert_new(
        StockMovement,
        _FIELDS,
        [
            (
                each.sku_id,
                each.warehouse_id,
                str(each.kind),
                each.quantity,
                each.key,
                str(each.source),
                each.reason[:200],
                each.actor_id,
                each.channel_id,
                each.order_line_id,
                each.transfer_id,
                each.happened_at or now,
                now,
            )
            for each in movements
        ],
    )
    if len(inserted) == len(movements):
        return movements
    ours, old = set(inserted), set()
    for keys in parts(list(rows)):
        for stored in StockMovement.objects.filter(key__in=keys):
            if stored.pk not in ours:
                row, movement = rows[stored.key]
                if _content(stored) != _content(movement):
                    raise key_taken(stored.key, row)
                old.add(stored.key)
    return [movement for movement in movements if movement.key not in old]


def _content(movement: Movement | StockMovement) -> tuple[object, ...]:
    return (
        movement.sku_id,
        movement.warehouse_id,
        str(movement.kind),
        movement.quantity,
        movement.order_line_id,
        movement.transfer_id,
    )


def key_taken(key: str, row: int | None) -> StockError:
    message = gettext("“%(key)s” was booked already, with another content. Reload the page and look at what is there.")
    return StockError(message % {"key": key}, row)


def lock_skus(sku_ids: Iterable[int]) -> list[int]:
    """Hold the stock of these SKUs, which are no bundles, until the transaction ends; returns those that are there."""
    locked = Sku.objects.filter(pk__in=among(sorted(sku_ids))).order_by("pk").select_for_update(no_key=True)
    return list(locked.values_list("pk", flat=True))


def raise_versions(sku_ids: Iterable[int]) -> None:
    """Tell that what can be sold of these SKUs changed, and with it of the bundles that contain them.

    For changes that are no movement, too: of a bundle's components, a SKU's status.
    """
    own = sorted(sku_ids)
    if not own:
        return
    with transaction.atomic():
        lock_skus(own)
        containing = BundleComponent.objects.filter(component__in=among(own)).values("bundle")
        bundles = Sku.objects.filter(pk__in=containing).order_by("pk").select_for_update(no_key=True)
        changed = sorted({*own, *bundles.values_list("pk", flat=True)})
        Sku.objects.filter(pk__in=among(changed)).update(stock_version=F("stock_version") + 1)
        transaction.on_commit(partial(stock_changed.send, Sku, sku_ids=changed))


def reserve(
    *,
    sku_id: int,
    quantity: int,
    key: str,
    source: Source,
    now: datetime,
    reason: str = "",
    actor_id: int | None = None,
    channel_id: int | None = None,
    only_if_available: bool = True,
) -> bool:
    """Promise units of a SKU, or of a bundle's components, from the active warehouses; False: there are too few.

    All or none. The same key again is the same promise. With only_if_available=False it is made in any case, and what
    is missing shows as oversold. Raises StockError as record_movements() does, and where no warehouse is active.
    """
    if not 0 < quantity <= MOST_UNITS:
        message = gettext("Enter 1 to %(most)s units.")
        raise StockError(message % {"most": formatting.count(MOST_UNITS)})
    with transaction.atomic():
        components = list(BundleComponent.objects.filter(bundle=sku_id).values_list("component", "units"))
        needs = {component: units * quantity for component, units in components} or {sku_id: quantity}
        lock_skus(needs)
        promised = dict(
            StockMovement.objects.filter(
                key__in=[_piece(key, sku, n) for sku in needs for n in range(_MOST_PIECES + 1)]
            )
            .order_by()
            .values_list("sku")
            .annotate(Sum("quantity"))
        )
        if promised:
            if promised != needs:
                raise key_taken(key, None)
            return True
        levels = StockLevel.objects.filter(sku__in=among(sorted(needs)), warehouse__is_active=True)
        available: dict[int, dict[int, int]] = {sku: {} for sku in needs}
        rows = levels.order_by("warehouse__position", "warehouse__code").values_list("sku", "warehouse", "available")
        for sku, warehouse, units in rows:
            available[sku][warehouse] = units
        movements = []
        for sku, units in needs.items():
            taken = _take(units, available[sku])
            if (missing := units - sum(taken.values())) > 0:
                if only_if_available:
                    return False
                warehouses = active_warehouses()
                if not warehouses:
                    raise StockError(gettext("There is no active warehouse. Add one, or switch one on."))
                taken[warehouses[0]] = taken.get(warehouses[0], 0) + missing
            movements += [
                Movement(sku, warehouse, Kind.RESERVE, some, _piece(key, sku, n), source, reason, actor_id, channel_id)
                for n, (warehouse, some) in enumerate(taken.items())
            ]
        record_movements(movements, now=now)
    return True


_MOST_PIECES = 20  # warehouses that one promise is taken from; what is missing may be one more


def _piece(key: str, sku_id: int, n: int) -> str:
    return f"{key}:{sku_id}:{n}"


def _take(units: int, available: Mapping[int, int]) -> dict[int, int]:
    """Units by warehouse: all from the first that has enough, or else what each of them has, in their order."""
    for warehouse, there in available.items():
        if there >= units:
            return {warehouse: units}
    taken: dict[int, int] = {}
    for warehouse, there in available.items():
        if there > 0 and len(taken) < _MOST_PIECES:
            taken[warehouse] = min(there, units - sum(taken.values()))
    return {warehouse: some for warehouse, some in taken.items() if some}


def active_warehouses() -> list[int]:
    """Their keys, in the order in which sales are taken from them."""
    return list(Warehouse.objects.filter(is_active=True).values_list("pk", flat=True))


def available_units(sku_ids: Iterable[int]) -> dict[tuple[int, int], int]:
    """(SKU, warehouse) -> units that can be sold; without those that nothing was ever booked for."""
    levels = StockLevel.objects.filter(sku__in=among(sorted(sku_ids))).order_by()
    return {(sku, warehouse): units for sku, warehouse, units in levels.values_list("sku", "warehouse", "available")}


def counted_places(sku_ids: Iterable[int]) -> set[tuple[int, int]]:
    """(SKU, warehouse) of the levels that were counted."""
    levels = StockLevel.objects.filter(sku__in=among(sorted(sku_ids)), is_counted=True).order_by()
    return set(levels.values_list("sku", "warehouse"))


@dataclass(frozen=True, slots=True)
class Difference:
    """A level that is not the sum of its movements: (on hand, reserved) as each of them has it.

    None: there is no level, or nothing was booked on it. The same on both sides: whether it was counted is wrong.
    """

    sku_id: int
    sku: str
    warehouse_id: int
    warehouse: str
    level: tuple[int, int] | None
    ledger: tuple[int, int] | None
    is_counted: bool


_ON_HAND, _RESERVED = (
    Sum("quantity", filter=condition)
    for condition in (~Q(kind__in=StockMovement.RESERVING), Q(kind__in=StockMovement.RESERVING))
)


def check(sku_ids: Collection[int] | None = None) -> list[Difference]:
    """The levels that are not the sums of their movements, of these SKUs or of all."""
    of_level = {"sku": OuterRef("sku"), "warehouse": OuterRef("warehouse")}
    of_skus = Q() if sku_ids is None else Q(sku__in=among(sorted(sku_ids)))
    booked = StockMovement.objects.filter(**of_level)
    of_one = booked.order_by().values("sku")
    levels = StockLevel.objects.filter(of_skus).annotate(
        ledger_on_hand=Coalesce(Subquery(of_one.annotate(sum=_ON_HAND).values("sum")), 0),
        ledger_reserved=Coalesce(Subquery(of_one.annotate(sum=_RESERVED).values("sum")), 0),
        ledger_counted=Exists(booked.filter(kind__in=StockMovement.COUNTING)),
        is_booked=Exists(booked),
    )
    same = Q(on_hand=F("ledger_on_hand"), reserved=F("ledger_reserved"), is_counted=F("ledger_counted"), is_booked=True)
    different = [
        Difference(
            level.sku_id,
            level.sku.code,
            level.warehouse_id,
            level.warehouse.code,
            (level.on_hand, level.reserved),
            (level.ledger_on_hand, level.ledger_reserved) if level.is_booked else None,
            level.ledger_counted,
        )
        for level in levels.exclude(same).select_related("sku", "warehouse")
    ]
    without = (
        StockMovement.objects.filter(of_skus, ~Exists(StockLevel.objects.filter(**of_level)))
        .order_by()
        .values_list("sku", "sku__code", "warehouse", "warehouse__code")
        .annotate(on_hand=_ON_HAND, reserved=_RESERVED, counts=Count("pk", filter=Q(kind__in=StockMovement.COUNTING)))
    )
    different += [
        Difference(sku, code, warehouse, name, None, (on_hand or 0, reserved or 0), counts > 0)
        for sku, code, warehouse, name, on_hand, reserved, counts in without
    ]
    return sorted(different, key=lambda each: (each.sku, each.warehouse))


def rebuild(*, now: datetime) -> list[Difference]:
    """Set the levels to the sums of their movements; returns those that were wrong. Others may book meanwhile."""
    with transaction.atomic():
        locked = lock_skus({each.sku_id for each in check()})
        wrong = check(locked)
        for each in wrong:
            StockLevel.objects.filter(sku=each.sku_id, warehouse=each.warehouse_id).delete()
        add_up(
            StockLevel,
            ["sku", "warehouse"],
            _LEVEL_FIELDS,
            [
                (each.sku_id, each.warehouse_id, *each.ledger, each.is_counted, now)
                for each in wrong
                if each.ledger is not None
            ],
        )
        raise_versions({each.sku_id for each in wrong})
    return wrong
