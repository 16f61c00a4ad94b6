"""Orders of the channels become stock movements, exactly once, in whatever order and however often they are told.

Of an order the newest state that the platform told is kept. For each line and SKU what that state asks for is held
against what was booked for it, and the difference is booked: so any two ways to the same state end with the same stock.
"""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, Exists, OuterRef, Q, Sum

from catalog.database import among, insert_new, update_rows
from catalog.models import (
    BundleComponent,
    Channel,
    ChannelLocation,
    LineCause,
    Listing,
    Order,
    OrderLine,
    StockMovement,
)
from catalog.models.stock import MOST_UNITS
from catalog.stock import set_aside
from catalog.stock.ledger import (
    Kind,
    Movement,
    Source,
    active_warehouses,
    available_units,
    counted_places,
    lock_skus,
    record_movements,
)

logger = logging.getLogger(__name__)

# Lines that may be booked later; the others wait for other news of their order.
WAITING = (LineCause.NOT_MAPPED, LineCause.NO_WAREHOUSE)
# Until they are sent, units lie on the shelf, where a count finds them: they are reserved, paid or not.
HERE = (Order.Status.UNPAID, Order.Status.PAID)
_GONE = (Order.Status.SENT, Order.Status.FINISHED)
# Of two states told for the same moment the later one in the life of an order is the newer.
_PROGRESS: dict[str, int] = {status: rank for rank, status in enumerate(Order.Status) if status != Order.Status.UNKNOWN}
_MOST_STORED = 2**31 - 1
_ORDERS_AT_ONCE = 500
_ORDER_FIELDS = ("status", "changed_at", "paid_at", "currency", "is_test")
_LINE_FIELDS = (
    "listing",
    "platform_item_id",
    "platform_sku_id",
    "outer_id",
    "quantity",
    "returned",
    "refunded",
    "paid_per_unit",
    "components",
    "warehouse",
    "cause",
)


class LineTold(Protocol):
    """A line as a connector reads it; see integrations/connectors/base.py."""

    @property
    def line_id(self) -> str: ...
    @property
    def item_id(self) -> str: ...
    @property
    def sku_id(self) -> str: ...
    @property
    def outer_id(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def returned(self) -> int: ...
    @property
    def refunded(self) -> int: ...
    @property
    def paid_per_unit(self) -> Decimal | None: ...


class OrderTold(Protocol):
    """An order as a connector reads it."""

    @property
    def order_id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def changed_at(self) -> datetime: ...
    @property
    def currency(self) -> str: ...
    @property
    def lines(self) -> Sequence[LineTold]: ...
    @property
    def paid_at(self) -> datetime | None: ...
    @property
    def is_test(self) -> bool: ...


@dataclass
class Booked:
    """What came of some orders."""

    orders: int = 0  # taken as told, new or not
    outdated: int = 0  # a newer state is known
    movements: int = 0
    set_aside: int = 0  # orders that could not be booked, and are kept to be tried again
    causes: Counter[str] = field(default_factory=Counter)  # of the lines that were looked at, by LineCause
    # Listings of the orders that there is news of, booked or not: their shop's own figure may have moved with it.
    moved: set[int] = field(default_factory=set)

    @property
    def waiting(self) -> int:
        return sum(self.causes[cause] for cause in WAITING)

    def add(self, other: "Booked") -> None:
        self.orders += other.orders
        self.outdated += other.outdated
        self.movements += other.movements
        self.causes += other.causes
        self.moved |= other.moved


def book_orders(channel: Channel, orders: Iterable[OrderTold], *, now: datetime) -> Booked:
    """Keep the orders and book what they ask for; a page takes the same number of statements however long it is.

    Idempotent, in one transaction. A state that cannot be read ("unknown") changes nothing that is known. An order
    that cannot be booked is set aside, and keeps no other from being booked.
    """
    told: dict[str, OrderTold] = {}
    for order in orders:
        order_id = _text(order.order_id, 128)
        if order_id not in told or _age(order) >= _age(told[order_id]):
            told[order_id] = order
    result = Booked()
    for order_id, text in set_aside.resting(channel, list(told), now=now).items():
        if _age(set_aside.told(text)) == _age(told[order_id]):
            del told[order_id]  # its time has not come, and this is no news of it
            result.set_aside += 1
    # In one order, so that nobody who inserts some of the same waits in a circle.
    _book_or_set_aside(channel, sorted(told.items()), result, now)
    return result


def book_set_aside(*, order_ids: Sequence[int] | None = None, now: datetime) -> Booked:
    """Try the orders once more that could not be booked: these, or all whose time has come."""
    orders = Order.objects.filter(retry_at__isnull=False).select_related("channel").order_by("retry_at", "pk")
    orders = orders.filter(retry_at__lte=now) if order_ids is None else orders.filter(pk__in=among(list(order_ids)))
    result = Booked()
    for order in list(orders[:_ORDERS_AT_ONCE]):
        told = {order.platform_order_id: set_aside.told(order.set_aside_told)}
        _book_or_set_aside(order.channel, list(told.items()), result, now)
    return result


def _book_or_set_aside(channel: Channel, told: Sequence[tuple[str, OrderTold]], result: Booked, now: datetime) -> None:
    """Book all of them at once; where that fails one half, then the other, until the order that fails stands alone."""
    try:
        with transaction.atomic():
            result.add(_keep(channel, dict(told), now))
    except (OperationalError, InterfaceError):
        raise  # the database, which no order is to blame for
    except Exception as error:
        if len(told) > 1:
            middle = len(told) // 2
            _book_or_set_aside(channel, told[:middle], result, now)
            _book_or_set_aside(channel, told[middle:], result, now)
            return
        [(order_id, order)] = told
        # A bug of ours, or an order that cannot be: as loud as it gets, but the others go on.
        logger.exception("channel %s: order %s is set aside", channel.pk, order_id)
        _set_aside(channel, order_id, order, error, now)
        result.set_aside += 1


def _set_aside(channel: Channel, order_id: str, told: OrderTold, error: Exception, now: datetime) -> None:
    stub = {"status": Order.Status.UNKNOWN, "ordered_at": told.created_at, "changed_at": told.changed_at}
    with transaction.atomic():
        Order.objects.get_or_create(channel=channel, platform_order_id=order_id, defaults={**stub, "seen_at": now})
        [order] = _locked(Order.objects.filter(channel=channel, platform_order_id=order_id))
        kept = order.set_aside_told
        is_newest = not kept or _age(told) >= _age(set_aside.told(kept))
        set_aside.set_aside(order, set_aside.as_text(told) if is_newest else kept, error, now=now)


def book_waiting(*, listing_ids: Sequence[int] | None = None, now: datetime) -> Booked:
    """Book the lines that waited for a SKU or a warehouse and have one now, of these listings or of all."""
    listing = Listing.objects.filter(
        channel=OuterRef("order__channel"),
        platform_item_id=OuterRef("platform_item_id"),
        platform_sku_id=OuterRef("platform_sku_id"),
        sku__isnull=False,
        ownership=Listing.Ownership.OWN,
    )
    if listing_ids is not None:
        listing = listing.filter(pk__in=among(listing_ids))
    waiting = OrderLine.objects.filter(Exists(listing), components__isnull=True, cause__in=WAITING)
    orders = sorted(set(waiting.values_list("order", flat=True)))
    result = Booked()
    for start in range(0, len(orders), _ORDERS_AT_ONCE):
        with transaction.atomic():
            part = _locked(Order.objects.filter(pk__in=among(orders[start : start + _ORDERS_AT_ONCE])))
            lines = waiting.filter(order__in=among([order.pk for order in part])).order_by("pk")
            _book(part, list(lines), result, now)
    return result


def _keep(channel: Channel, told: Mapping[str, OrderTold], now: datetime) -> Booked:
    result = Booked()
    if not told:
        return result
    fields = ("channel", "platform_order_id", *_ORDER_FIELDS, "ordered_at", "seen_at")
    new = set(
        insert_new(
            Order,
            fields,
            [(channel.pk, order_id, *_order_values(order), order.created_at, now) for order_id, order in told.items()],
        )
    )
    stored = _locked(Order.objects.filter(channel=channel, platform_order_id__in=list(told)))
    taken = [order for order in stored if order.pk in new or _age(told[order.platform_order_id]) >= _age(order)]
    result.orders += len(taken)
    result.outdated += len(stored) - len(taken)
    news = {order.pk for order in taken if order.pk in new or _age(told[order.platform_order_id]) != _age(order)}
    rows = []
    for order in taken:
        values = _order_values(told[order.platform_order_id])
        for name, value in zip(_ORDER_FIELDS, values, strict=True):
            setattr(order, name, value)
        if order.pk not in new:
            rows.append((order.pk, *values))
    update_rows(Order, "id", _ORDER_FIELDS, rows)
    lines = _kept_lines(taken, told)
    _book(taken, lines, result, now)
    # A shop takes units out when an order is made, or when it is paid, and puts them back when it ends.
    result.moved |= {line.listing_id for line in lines if line.listing_id is not None and line.order_id in news}
    _clear_set_aside(stored, told)
    return result


def _clear_set_aside(orders: Sequence[Order], told: Mapping[str, OrderTold]) -> None:
    """News that is at least as new as what was set aside takes its place."""
    done = [
        order.pk
        for order in orders
        if order.set_aside_told and _age(told[order.platform_order_id]) >= _age(set_aside.told(order.set_aside_told))
    ]
    if done:
        set_aside.clear(done)


def _order_values(order: OrderTold) -> tuple[Any, ...]:
    return (_status(order), order.changed_at, order.paid_at, _text(order.currency, 3), order.is_test)


def _status(order: OrderTold | Order) -> Order.Status:
    return Order.Status(str(order.status)) if str(order.status) in Order.Status.values else Order.Status.UNKNOWN


def _age(order: OrderTold | Order) -> tuple[bool, datetime, int]:
    """Of two states of an order the one with the higher age holds. One that is not known never hides one that is."""
    status = _status(order)
    return status != Order.Status.UNKNOWN, order.changed_at, _PROGRESS.get(status, 0)


def _locked(orders: Any) -> list[Order]:
    return list(orders.select_related("channel").select_for_update(of=("self",), no_key=True).order_by("pk"))


def _kept_lines(orders: Sequence[Order], told: Mapping[str, OrderTold]) -> list[OrderLine]:
    """The lines of the orders as they were told last; those that are not among them any more have no units."""
    lines_told = {
        (order.pk, _text(line.line_id, 128)): line for order in orders for line in told[order.platform_order_id].lines
    }
    insert_new(
        OrderLine,
        ("order", "line_id", "platform_item_id", "platform_sku_id", "outer_id", "quantity", "returned", "cause"),
        [(*key, "", "", "", 0, 0, "") for key in lines_told],
    )
    lines = list(OrderLine.objects.filter(order__in=among([order.pk for order in orders])).order_by("pk"))
    for line in lines:
        as_told = lines_told.get((line.order_id, line.line_id))
        if as_told is None:
            line.quantity, line.returned, line.cause = 0, 0, LineCause.GONE
            continue
        line.platform_item_id = _text(as_told.item_id, 128)
        line.platform_sku_id = _text(as_told.sku_id, 128)
        line.outer_id = _text(as_told.outer_id, 128)
        line.quantity = _stored_units(as_told.quantity)
        line.returned = _stored_units(as_told.returned)
        line.refunded = _stored_units(as_told.refunded)
        line.paid_per_unit = _amount(as_told.paid_per_unit)
        line.cause = ""
    return lines


def _book(orders: Sequence[Order], lines: Sequence[OrderLine], result: Booked, now: datetime) -> None:
    """Book what the lines ask for and have not got yet, and store them. Their orders are locked."""
    if not lines:
        return
    by_key = {order.pk: order for order in orders}
    wants = {line.pk: _wanted(line, by_key[line.order_id]) for line in lines}
    goods = _goods(orders, lines)
    candidates = {}
    for line in lines:
        order = by_key[line.order_id]
        line.listing_id, components = goods.get((order.channel_id, *_item(line)), (None, []))
        if line.components is None and wants[line.pk].units:
            candidates[line.pk] = components
    skus = {sku for line in lines for sku, _units in line.components or candidates.get(line.pk, [])}
    lock_skus(skus)
    warehouses = _Warehouses(orders, skus) if any(candidates.values()) else None
    bundles = set(BundleComponent.objects.filter(bundle__in=among(sorted(skus))).values_list("bundle", flat=True))
    booked = booked_of(lines)
    movements: list[Movement] = []
    for line in lines:
        order, wanted = by_key[line.order_id], wants[line.pk]
        line.cause = wanted.cause
        components = line.components or candidates.get(line.pk, [])
        if line.pk in candidates and not components:
            line.cause = LineCause.NOT_MAPPED
        elif any(units * wanted.units > MOST_UNITS for _sku, units in components):
            line.cause, wanted = LineCause.TOO_MANY_UNITS, _Wanted()
        if line.components is None and components and wanted.units and warehouses:
            line.warehouse_id = warehouses.choose(order, components, wanted.units)
            if line.warehouse_id is None:
                line.cause = LineCause.NO_WAREHOUSE
            else:
                line.components = components
        for sku, units in line.components or []:
            if sku in bundles:
                line.cause = LineCause.BUNDLE
            else:
                movements += _difference(order, line, sku, units, wanted, booked[line.pk, sku])
                if line.listing_id is not None and wanted.units * units != sum(booked[line.pk, sku][:2]):
                    result.moved.add(line.listing_id)
        if line.cause:
            result.causes[line.cause] += 1
    update_rows(
        OrderLine,
        "id",
        _LINE_FIELDS,
        [
            (
                line.pk,
                line.listing_id,
                line.platform_item_id,
                line.platform_sku_id,
                line.outer_id,
                line.quantity,
                line.returned,
                line.refunded,
                line.paid_per_unit,
                None if line.components is None else json.dumps(line.components),
                line.warehouse_id,
                str(line.cause),
            )
            for line in lines
        ],
    )
    result.movements += len(record_movements(movements, now=now))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Pieces of a line that its order asks for, and a LineCause where that is not what the platform told."""

    reserved: int = 0
    sold: int = 0
    cause: str = ""

    @property
    def units(self) -> int:
        return self.reserved + self.sold


def _wanted(line: OrderLine, order: Order) -> _Wanted:
    since = order.channel.orders_since
    if line.cause == LineCause.GONE:
        return _Wanted(cause=LineCause.GONE)
    if order.is_test:
        return _Wanted(cause=LineCause.TEST_ORDER)
    # What was booked once is followed to its end, whenever syncing was switched on anew. What was not sent when stock
    # was counted lay among it, whenever it was ordered.
    was_counted = since is None or (order.ordered_at < since and order.status not in HERE)
    if line.components is None and was_counted:
        return _Wanted(cause=LineCause.BEFORE_SYNC)
    if line.quantity == 0:
        return _Wanted(cause=LineCause.NO_UNITS)
    if line.quantity >= MOST_UNITS:
        return _Wanted(cause=LineCause.TOO_MANY_UNITS)
    cause = LineCause.RETURNED_TOO_MANY if line.returned > line.quantity else ""
    kept = max(line.quantity - line.came_back, 0)
    if order.status in HERE:
        return _Wanted(reserved=kept, cause=cause)
    if order.status not in _GONE:
        return _Wanted(cause=cause)
    if line.refunded and not cause and line.came_back < line.refunded:
        cause = LineCause.REFUNDED
    return _Wanted(sold=kept, cause=cause)


def _difference(
    order: Order, line: OrderLine, sku: int, units: int, wanted: _Wanted, booked: tuple[int, int, int]
) -> Iterable[Movement]:
    """What leads from the units booked (reserved, sold, in so many movements) to those wanted."""
    reserved, sold, number = booked
    to_reserve, to_sell = wanted.reserved * units - reserved, wanted.sold * units - sold
    for quantity, more, less in ((to_reserve, Kind.RESERVE, Kind.RELEASE), (-to_sell, Kind.RETURN, Kind.SALE)):
        if quantity:
            # The number makes that of two who book the same difference at once only one can.
            yield Movement(
                sku,
                line.warehouse_id or 0,
                more if quantity > 0 else less,
                quantity,
                f"order:{line.pk}:{sku}:{number}",
                Source.ORDER,
                channel_id=order.channel_id,
                order_line_id=line.pk,
                happened_at=(order.paid_at or order.ordered_at) if quantity == -to_sell < 0 else order.changed_at,
            )
            number += 1


def _item(line: OrderLine) -> tuple[str, str]:
    return line.platform_item_id, line.platform_sku_id


def _goods(
    orders: Sequence[Order], lines: Sequence[OrderLine]
) -> dict[tuple[int, str, str], tuple[int, list[list[int]]]]:
    """(channel, item, variant) -> our listing of it, and what one piece of it consists of: [SKU, units], ..."""
    listings = Listing.objects.filter(
        channel__in={order.channel_id for order in orders},
        platform_item_id__in={line.platform_item_id for line in lines},
        ownership=Listing.Ownership.OWN,
    ).values_list("pk", "channel", "platform_item_id", "platform_sku_id", "sku", "pack_factor")
    rows = list(listings)
    parts: dict[int, list[tuple[int, int]]] = defaultdict(list)
    skus = sorted({sku for *_rest, sku, _pack in rows if sku})
    components = BundleComponent.objects.filter(bundle__in=among(skus)).order_by("component")
    for bundle, component, units in components.values_list("bundle", "component", "units"):
        parts[bundle].append((component, units))
    return {
        (channel, item, variant): (
            listing,
            [[component, units * pack] for component, units in parts[sku] or [(sku, 1)]] if sku else [],
        )
        for listing, channel, item, variant, sku, pack in rows
    }


def booked_of(lines: Sequence[OrderLine]) -> dict[tuple[int, int], tuple[int, int, int]]:
    """(line, SKU) -> units reserved and sold now, and the number of movements that led there."""
    of_lines = StockMovement.objects.filter(order_line__in=among([line.pk for line in lines])).order_by()
    sums = of_lines.values_list("order_line", "sku").annotate(
        reserved=Sum("quantity", filter=Q(kind__in=StockMovement.RESERVING)),
        on_hand=Sum("quantity", filter=~Q(kind__in=StockMovement.RESERVING)),
        count=Count("pk"),
    )
    booked = {(line, sku): (reserved or 0, -(on_hand or 0), count) for line, sku, reserved, on_hand, count in sums}
    return defaultdict(lambda: (0, 0, 0), booked)


class _Warehouses:
    """Where the orders of each channel take their units from; what one line takes, the next does not find there."""

    def __init__(self, orders: Sequence[Order], skus: Iterable[int]) -> None:
        self.active = active_warehouses()
        self.of_channel: dict[int, set[int]] = defaultdict(set)
        locations = ChannelLocation.objects.filter(channel__in={order.channel_id for order in orders})
        for channel, warehouse in locations.values_list("channel", "warehouse"):
            self.of_channel[channel].add(warehouse)
        self.available = defaultdict(int, available_units(skus))
        self.counted = counted_places(skus)

    def choose(self, order: Order, components: Sequence[Sequence[int]], pieces: int) -> int | None:
        """The first that has enough of all; or else the first where all were counted; or else the first.

        None: no warehouse is active.
        """
        own = [each for each in self.active if each in self.of_channel[order.channel_id]] or self.active
        enough = [each for each in own if all(self.available[sku, each] >= units * pieces for sku, units in components)]
        # What is missing is told where somebody knows what there was: elsewhere it would not be seen to be missing.
        counted = [each for each in own if all((sku, each) in self.counted for sku, _units in components)]
        chosen = next(iter([*enough, *counted, *own]), None)
        if chosen is not None:
            for sku, units in components:
                self.available[sku, chosen] -= units * pieces
        return chosen


def _text(value: str, longest: int) -> str:
    """As the column takes it: PostgreSQL stores no NUL, and no half of a character."""
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()[:longest]


def _stored_units(units: int) -> int:
    return min(max(units, 0), _MOST_STORED)


def _amount(amount: Decimal | None) -> Decimal | None:
    """As the column holds it; None for what it cannot hold."""
    return None if amount is None or not amount.is_finite() or abs(amount) >= 10**10 else round(amount, 4)
