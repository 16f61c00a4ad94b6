"""Stock that falls to what its plan keeps for safety, or to where it is to be ordered: told as it happens."""

import math
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from catalog.database import among, driver_rows, parts, update_rows
from catalog.models import BundleComponent, Listing, StockLevel
from catalog.purchasing.on_the_way import Place, arrivals, by_place
from monitoring.models import Alert, AlertKind, Severity, SkuPlan
from monitoring.services.alerts import end_alerts, open_alerts
from monitoring.services.planning.readings import planned_by_readings, shown_stock

KINDS: Mapping[AlertKind, Severity] = {
    AlertKind.BELOW_SAFETY_STOCK: Severity.WARNING,
    AlertKind.BELOW_REORDER_POINT: Severity.INFO,
}
_LONGEST_VALUE = 40  # of an alert
_Status = SkuPlan.Status
_WITHOUT_POINTS = (_Status.NO_DEMAND, _Status.RETIRED)


@dataclass(frozen=True, slots=True)
class Short:
    """How units stand to a point. `holds` None: cannot tell, so that nothing opens and nothing ends."""

    kind: AlertKind
    holds: bool | None
    units: int | None
    limit: int | None  # whole units: with fewer than the safety stock, or no more than the reorder point, it holds


def check_points(sku_ids: Collection[int], *, now: datetime) -> list[int]:
    """Compare these SKUs with their plans, open and end alerts; returns the SKUs that stand otherwise than before.

    An alert is of a SKU in a warehouse, on the channel of the first listing that sells it; what no listing sells has
    none, and shows on the board alone.
    """
    planned = SkuPlan.objects.order_by()
    crossed: set[int] = set()
    for some in parts(sorted(sku_ids)):
        if planned.filter(sku__in=among(some)).exists():
            crossed.update(_check(some, now))
    return sorted(crossed)


def check_listings(listing_ids: Collection[int], *, now: datetime) -> list[int]:
    """The same for listings that were read to show another stock, where a plan goes by that."""
    found: list[int] = []
    for some in parts(sorted(listing_ids)):
        found += check_points(planned_by_readings(some), now=now)
    return found


def shorts(plan: SkuPlan, *, available: int | None, on_the_way: int) -> list[Short]:
    """Both points of a plan; `on_the_way` is what is counted on.

    What is below a point is so until there is more than a day's demand above it: what goes up and down around the
    point has crossed it once.
    """
    if plan.status in _WITHOUT_POINTS:
        return [Short(kind, False, available, None) for kind in KINDS]
    safety = None if plan.safety_stock is None else math.ceil(plan.safety_stock)
    reorder = None if plan.reorder_point is None else math.floor(plan.reorder_point)
    a_day = max(math.ceil(plan.per_day or 0), 1)
    position = None if available is None else available + on_the_way
    is_below = is_due = None
    if available is not None and safety is not None:
        is_below = available < safety + a_day * plan.is_below_safety
    if position is not None and reorder is not None:
        is_due = position <= reorder + a_day * plan.is_below_reorder
    return [
        Short(AlertKind.BELOW_SAFETY_STOCK, is_below, available, safety),
        Short(AlertKind.BELOW_REORDER_POINT, is_due, position, reorder),
    ]


def _check(sku_ids: Sequence[int], now: datetime) -> set[int]:
    with transaction.atomic():
        # Locked before the stock is read: of two movements, the later one decides.
        rows = SkuPlan.objects.filter(sku__in=among(sku_ids)).select_for_update(of=("self",), no_key=True)
        plans = list(rows.select_related("sku", "warehouse").order_by("sku", "warehouse"))
        levels = StockLevel.objects.filter(sku__in=among(sku_ids), is_counted=True).order_by()
        available: dict[Place, int] = {
            (sku, warehouse): units for sku, warehouse, units in driver_rows(levels, ("sku", "warehouse", "available"))
        }
        if uncounted := {plan.sku_id for plan in plans if (plan.sku_id, plan.warehouse_id) not in available}:
            available |= shown_stock(uncounted, now=now)
        coming = by_place(arrivals(sku_ids, now=now))
        found: dict[Place, list[Short]] = {}
        moved: list[tuple[int, bool, bool]] = []
        crossed: set[tuple[int, AlertKind]] = set()  # plans that went below a point
        for plan in plans:
            place = (plan.sku_id, plan.warehouse_id)
            to_come = coming.get(place)
            found[place] = shorts(
                plan,
                available=available.get(place),
                on_the_way=to_come.units - to_come.overdue if to_come else 0,
            )
            before = (plan.is_below_safety, plan.is_below_reorder)
            flags = [was if each.holds is None else each.holds for each, was in zip(found[place], before, strict=True)]
            if flags != list(before):
                moved.append((plan.pk, flags[0], flags[1]))
            crossed |= {(plan.pk, each.kind) for each, was in zip(found[place], before, strict=True) if not was}
        update_rows(SkuPlan, "id", ["is_below_safety", "is_below_reorder"], moved)
        _tell(plans, found, crossed, now)
    changed = {pk for pk, *_flags in moved}
    return {plan.sku_id for plan in plans if plan.pk in changed}


def _tell(
    plans: Sequence[SkuPlan],
    found: Mapping[Place, Sequence[Short]],
    crossed: Container[tuple[int, AlertKind]],
    now: datetime,
) -> None:
    """Open the alerts of plans that went below a point, unless they have one, and end those that are over."""
    sku_ids = sorted({plan.sku_id for plan in plans})
    known = Alert.objects.filter(kind__in=list(KINDS), sku__in=among(sku_ids), cleared_at=None).order_by()
    rows = driver_rows(known, ("sku", "warehouse", "kind", "pk"))
    in_force = {(sku, warehouse, kind): pk for sku, warehouse, kind, pk in rows}
    opened: list[tuple[SkuPlan, Short]] = []
    over: list[int] = []
    for plan in plans:
        for each in found[plan.sku_id, plan.warehouse_id]:
            alert_id = in_force.get((plan.sku_id, plan.warehouse_id, each.kind.value))
            if each.holds and alert_id is None and (plan.pk, each.kind) in crossed:
                opened.append((plan, each))
            elif each.holds is False and alert_id is not None:
                over.append(alert_id)
    end_alerts(alert_ids=over, now=now)
    if opened:
        sold = _listings({plan.sku_id for plan, _short in opened})
        new = [_alert(plan, each, *sold[plan.sku_id], now) for plan, each in opened if plan.sku_id in sold]
        open_alerts(alerts=new, now=now)


def _listings(sku_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """By SKU the first own listing that sells it, alone before in a bundle, and its channel."""
    own = Listing.objects.current().filter(ownership=Listing.Ownership.OWN).order_by("-pk")
    alone = own.filter(sku__in=among(sorted(sku_ids)))
    found = {sku: (pk, channel) for sku, pk, channel in driver_rows(alone, ("sku", "pk", "channel"))}
    missing = sorted(set(sku_ids) - found.keys())
    if missing:
        held = BundleComponent.objects.filter(component__in=among(missing)).order_by()
        sets: dict[int, list[int]] = {}
        for bundle, sku in driver_rows(held, ("bundle", "component")):
            sets.setdefault(bundle, []).append(sku)
        of_sets = own.filter(sku__in=among(sorted(sets)))
        for bundle, pk, channel in driver_rows(of_sets, ("sku", "pk", "channel")):
            found |= dict.fromkeys(sets[bundle], (pk, channel))
    return found


def _alert(plan: SkuPlan, short: Short, listing_id: int, channel_id: int, now: datetime) -> Alert:
    return Alert(
        kind=short.kind,
        severity=KINDS[short.kind],
        channel_id=channel_id,
        listing_id=listing_id,
        sku_id=plan.sku_id,
        warehouse_id=plan.warehouse_id,
        old_value=f"{plan.warehouse.code} · {plan.sku.code}"[:_LONGEST_VALUE],
        new_value=str(short.units),
        limit=str(short.limit),
        opened_at=now,
        last_at=now,
        updated_at=now,
    )
