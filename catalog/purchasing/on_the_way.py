"""What is on its way to each warehouse, from suppliers and from other warehouses, and what of it is overdue."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import F, Q

from catalog.database import among
from catalog.models import Lane, PurchaseOrderLine, Transfer
from catalog.models.purchasing import PurchaseOrder
from catalog.purchasing.lead_times import lead_times

Place = tuple[int, int]  # SKU, warehouse


class Way(StrEnum):
    PURCHASE = "purchase"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class Arrival:
    """Units of one order line or transfer that are still to come."""

    way: Way
    pk: int  # of the purchase order or transfer
    sku_id: int
    warehouse_id: int
    units: int
    due_at: datetime | None  # None: nobody said when
    is_overdue: bool  # by more than the spread of its lead time: shown, and not counted on silently


@dataclass(frozen=True, slots=True)
class OnTheWay:
    """Units to come to one place; `units` counts those that are overdue, too."""

    units: int
    overdue: int
    without_date: int


def arrivals(sku_ids: Collection[int] | None = None, *, now: datetime) -> list[Arrival]:
    """Everything that is on its way, of these SKUs or of all, the earliest first; five statements at most.

    A transfer is due after the days of its lane. Where the spread of a lead time is not known, a day late is overdue.
    """
    of_skus = Q() if sku_ids is None else Q(sku__in=among(sorted(sku_ids)))
    found = [*_purchases(of_skus, now), *_transfers(of_skus, now)]
    latest = max((each.due_at for each in found if each.due_at), default=now)
    return sorted(found, key=lambda each: (each.due_at or latest, each.due_at is None, each.way, each.pk, each.sku_id))


def by_place(found: Iterable[Arrival]) -> dict[Place, OnTheWay]:
    """Their sums; a place that nothing is on its way to is left out."""
    sums: dict[Place, list[int]] = defaultdict(lambda: [0, 0, 0])
    for each in found:
        place = sums[each.sku_id, each.warehouse_id]
        place[0] += each.units
        place[1] += each.units * each.is_overdue
        place[2] += each.units * (each.due_at is None)
    return {place: OnTheWay(*units) for place, units in sums.items()}


def _purchases(of_skus: Q, now: datetime) -> list[Arrival]:
    lines = PurchaseOrderLine.objects.filter(
        of_skus,
        order__status__in=PurchaseOrder.ON_THE_WAY,
        quantity__gt=F("received") + F("cancelled"),
    )
    rows = list(
        lines.order_by().values_list(
            "order",
            "order__supplier",
            "order__warehouse",
            "order__expected_at",
            "sku",
            F("quantity") - F("received") - F("cancelled"),
        )
    )
    late = {(supplier, sku) for _pk, supplier, _place, due, sku, _units in rows if due is not None and due < now}
    times = lead_times(late, now=now) if late else {}
    found = []
    for pk, supplier, warehouse, due, sku, units in rows:
        time = times.get((supplier, sku))
        spread = timedelta(days=(time.spread_days or 0) if time else 0)
        found.append(
            Arrival(Way.PURCHASE, pk, sku, warehouse, units, due, due is not None and due + max(spread, _A_DAY) < now)
        )
    return found


_A_DAY = timedelta(days=1)  # what is expected on a day may come until its end


def _transfers(of_skus: Q, now: datetime) -> list[Arrival]:
    rows = list(
        Transfer.objects.filter(of_skus, received_at__isnull=True)
        .order_by()
        .values_list("pk", "sku", "source", "destination", "quantity", "sent_at")
    )
    days: dict[tuple[int, int], int] = {}
    if rows:
        days = {(source, to): each for source, to, each in Lane.objects.values_list("source", "destination", "days")}
    found = []
    for pk, sku, source, destination, units, sent in rows:
        lane = days.get((source, destination))
        due = None if lane is None else sent + timedelta(days=lane)
        found.append(Arrival(Way.TRANSFER, pk, sku, destination, units, due, due is not None and due + _A_DAY < now))
    return found
