"""The figures of a run as rows: plans, and advice where something is due."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import orjson
from django.db import connection

from catalog.database import among, copy_rows, driver_rows, parts, put_rows
from monitoring.models import Advice, SkuPlan
from monitoring.planning import health, risk
from monitoring.planning.advice_text import order_sum
from monitoring.planning.safety import Floats
from monitoring.services.planning.demand import site_zone
from monitoring.services.planning.figures import PROJECTED_DAYS, Figures, Move
from monitoring.services.planning.sums import as_json

Status, Kind, State = SkuPlan.Status, Advice.Kind, Advice.State

_PLANS_AT_ONCE = 20_000
_BUY = str(Kind.BUY)
_DAY = timedelta(days=1)
_PLAN_FIELDS = (
    *("supplier", "planned_at", "status", "reason", "notes", "on_hand", "reserved", "on_the_way", "overdue", "method"),
    *("pattern", "abc", "xyz", "per_day", "spread_per_day", "lead_time_days", "lead_time_spread_days", "review_days"),
    *("protection_days", "service_target", "expected", "expected_high", "safety_stock", "safety_stock_textbook"),
    *("reorder_point", "cover_days", "stock_out_on", "stock_out_probability", "order_by", "is_late", "unrounded"),
    *("quantity", "money_at_stake", "currency", "stock_value", "turns", "mean_stock", "health", "health_parts"),
    "last_sold_on",
)
# A plan that is there keeps what it stood at when it was last compared with its points: crossing.py tells of changes.
# What is below a point when it is planned first has not crossed it: the board says so, and no alert.
_NEW_PLAN_FIELDS = ("is_below_safety", "is_below_reorder", "report_card")


def _values(array: Floats, digits: int = 6) -> list[float | None]:
    """None where not known, or without end."""
    rounded = np.round(array, digits)
    if np.isfinite(rounded).all():
        return list(rounded.tolist())
    return [None if value != value or math.isinf(value) else value for value in rounded.tolist()]


def _whole(array: Floats) -> list[int | None]:
    if not np.isnan(array).any():
        return list(array.astype(np.int64).tolist())
    return [None if value != value else int(value) for value in array.tolist()]


def _counts(array: Floats) -> list[int]:
    """For places of which all is known; 0 elsewhere."""
    counts: list[int] = np.nan_to_num(array).astype(np.int64).tolist()
    return counts


def _dates(days: Floats, today: date) -> list[Any]:
    """As the database takes them; None where not known or never."""
    known: dict[float, Any] = {}
    found: list[Any] = []
    for value in days.tolist():
        if value != value or math.isinf(value) or value > PROJECTED_DAYS:
            found.append(None)
            continue
        if value not in known:
            known[value] = connection.ops.adapt_datefield_value(today + int(value) * _DAY)
        found.append(known[value])
    return found


def _money(array: Floats) -> list[str | None]:
    return [None if value != value else f"{value:.4f}" for value in array.tolist()]


def save_plans(figures: Figures, now: datetime, *, sku_ids: Collection[int] | None) -> None:
    for start in range(0, len(figures.inputs.keys), _PLANS_AT_ONCE):
        rows = _plan_rows(figures, slice(start, start + _PLANS_AT_ONCE), now)
        put_rows(SkuPlan, ("sku", "warehouse"), _PLAN_FIELDS, rows, only_new=_NEW_PLAN_FIELDS)
    stale = SkuPlan.objects.filter(planned_at__lt=now)
    if sku_ids is not None:
        stale = stale.filter(sku__in=among(sorted(sku_ids)))
    stale.delete()


def _plan_rows(figures: Figures, part: slice, now: datetime) -> list[tuple[Any, ...]]:
    """Values of these places, in the order of the fields."""
    today = now.astimezone(site_zone()).date()
    inputs, forecast, lead, scored = figures.inputs, figures.forecast, figures.lead, figures.health
    planned_at = connection.ops.adapt_datetimefield_value(now)
    status = figures.status[part]
    advised = np.where(status == str(Status.CANNOT_TELL), np.nan, figures.quantity[part])
    on_hand = inputs.on_hand[part]
    available = on_hand - inputs.reserved[part]
    stock_value = [
        None if each is None or here != here else f"{int(each) * int(here) / 10_000:.4f}"
        for each, here in zip(inputs.cost[part].tolist(), np.maximum(on_hand, 0).tolist(), strict=True)
    ]
    parts_of_health = [
        orjson.dumps({name: value for name, value in zip(health.WEIGHTS, values, strict=True) if value is not None})
        for values in zip(
            *(
                _values(each[part], 4)
                for each in (scored.availability, scored.cover, scored.turnover, scored.freshness)
            ),
            strict=True,
        )
    ]
    last_sold = figures.last_sold[part]
    columns: list[Sequence[Any]] = [
        inputs.sku[part].tolist(),
        inputs.warehouse[part].tolist(),
        [each or None for each in inputs.supplier[part].tolist()],
        [planned_at] * len(status),
        status.tolist(),
        figures.reason[part].tolist(),
        [orjson.dumps(each).decode() for each in figures.notes[part]],
        _whole(on_hand),
        _whole(inputs.reserved[part]),
        _whole(inputs.on_the_way[part]),
        _whole(inputs.overdue[part]),
        forecast.method[part].tolist(),
        figures.pattern[part].tolist(),
        figures.abc[part].tolist(),
        figures.xyz[part].tolist(),
        _values(figures.per_day[part]),
        _values(figures.spread[part]),
        _values(lead.days[part]),
        _values(lead.spread_days[part]),
        _whole(figures.review[part]),
        _whole(figures.period[part]),
        [f"{target:.4f}" for target in figures.rules.target[part].tolist()],
        _values(forecast.mean[part]),
        _values(forecast.mean[part] + forecast.held[part]),
        _values(figures.safety_stock[part]),
        _values(figures.textbook[part]),
        _values(figures.point[part]),
        _values(figures.cover[part]),
        _dates(figures.stock_out_day[part], today),
        _values(forecast.probability[part]),
        _dates(figures.order_day[part], today),
        figures.is_late[part].tolist(),
        _values(figures.unrounded[part]),
        _whole(advised),
        _money(figures.at_stake[part]),
        inputs.currency[part].tolist(),
        stock_value,
        _values(figures.turns[part], 4),
        _values(figures.mean_stock[part], 4),
        _values(scored.score[part], 2),
        [text.decode() for text in parts_of_health],
        _dates(np.where(last_sold < 0, np.nan, -last_sold.astype(float)), today),
        (available < np.ceil(figures.safety_stock[part])).tolist(),
        (available + inputs.on_the_way[part] <= np.floor(figures.point[part])).tolist(),
        ["{}"] * len(status),
    ]
    return list(zip(*columns, strict=True))


_ADVICE_FIELDS = (
    *("source", "supplier", "quantity", "by", "sum", "stock_out_on", "probability", "money_at_stake", "currency"),
    *("rank", "changed_at"),
)


def advice_of(figures: Figures, now: datetime) -> Iterator[tuple[int, str, str, tuple[Any, ...]]]:
    """Place, kind, subject and the values of what should be done, the most urgent first."""
    inputs, forecast = figures.inputs, figures.forecast
    today = now.astimezone(site_zone()).date()
    at_stake = figures.at_stake
    is_told = np.isin(figures.status, [str(Status.PLANNED), str(Status.NEW), str(Status.NO_DEMAND)])
    buys = is_told & (np.nan_to_num(figures.quantity) > 0)
    incoming: dict[int, list[Move]] = {}
    for move in figures.moves:
        incoming.setdefault(move.destination, []).append(move)
    wanted = buys.copy()
    wanted[list(incoming)] = True
    is_out = np.nan_to_num(inputs.on_hand - inputs.reserved, nan=1.0) <= 0
    order = risk.urgency_order(at_stake, forecast.probability, is_out, inputs.sku)
    by, out = _dates(figures.order_day, today), _dates(figures.stock_out_day, today)
    money, probability = _money(at_stake), _values(forecast.probability)
    changed_at = connection.ops.adapt_datetimefield_value(now)
    stored_today = connection.ops.adapt_datefield_value(today)
    currency, supplier = inputs.currency.tolist(), inputs.supplier.tolist()
    needed, held = forecast.mean.tolist(), figures.safety_stock.tolist()
    days, quantity = _counts(figures.period), _counts(figures.quantity)
    on_hand, reserved, overdue = _counts(inputs.on_hand), _counts(inputs.reserved), _counts(inputs.overdue)
    on_the_way = _counts(inputs.on_the_way + figures.moved)
    pack, minimum = _counts(np.nan_to_num(inputs.pack, nan=1)), _counts(inputs.minimum)
    presence = _counts(figures.rules.presence)
    for rank, place in enumerate(order[wanted[order]].tolist()):
        risks = (out[place], probability[place], money[place], currency[place], rank, changed_at)
        for move in incoming.get(place, ()):
            source = int(inputs.warehouse[move.source])
            leaves = connection.ops.adapt_datefield_value(today + move.in_days * _DAY)
            moved = (source, None, move.units, leaves, "{}", *risks)
            yield place, str(Kind.TRANSFER), f"{Kind.TRANSFER}:{source}", moved
        if buys[place]:
            told = order_sum(
                needed=needed[place],
                days=days[place],
                safety_stock=held[place],
                on_hand=on_hand[place],
                on_the_way=on_the_way[place],
                reserved=reserved[place],
                not_counted=overdue[place],
                presence=presence[place],
                pack=pack[place],
                minimum=minimum[place],
                quantity=quantity[place],
            )
            due = stored_today if by[place] is None else by[place]
            bought = (None, supplier[place] or None, quantity[place], due, as_json(told), *risks)
            yield place, _BUY, _BUY, bought


def save_advice(figures: Figures, now: datetime, *, sku_ids: Collection[int] | None) -> tuple[int, int]:
    """What to buy and to move; returns how many are advised, and how many are not needed any more."""
    inputs = figures.inputs
    wanted = (
        (int(inputs.sku[place]), int(inputs.warehouse[place]), kind, subject, values)
        for place, kind, subject, values in advice_of(figures, now)
    )
    return store_advice(wanted, _ADVICE_FIELDS, kinds=(Kind.BUY, Kind.TRANSFER), sku_ids=sku_ids, now=now)


def store_advice(
    wanted: Iterable[tuple[int, int, str, str, tuple[Any, ...]]],
    fields: Sequence[str],
    *,
    kinds: Sequence[Advice.Kind],
    sku_ids: Collection[int] | None,
    now: datetime,
) -> tuple[int, int]:
    """Change what is undecided of these kinds, add what is new, and end what is not needed any more; returns how many
    of each. `wanted` are SKU, warehouse, kind, subject and the values of `fields`."""
    # Locked: what a person decides meanwhile is either seen here, or waits and finds what it is about changed.
    undecided = Advice.objects.select_for_update().filter(state__in=Advice.UNDECIDED, kind__in=kinds)
    if sku_ids is not None:
        undecided = undecided.filter(sku__in=among(sorted(sku_ids)))
    known = {
        (sku, warehouse, subject): pk
        for pk, sku, warehouse, subject in driver_rows(undecided.order_by(), ("pk", "sku", "warehouse", "subject"))
    }
    changed: list[tuple[Any, ...]] = []
    added: list[tuple[Any, ...]] = []
    made_at = connection.ops.adapt_datetimefield_value(now)
    for sku, warehouse, kind, subject, values in wanted:
        if (pk := known.pop((sku, warehouse, subject), None)) is not None:
            changed.append((pk, *values, sku, warehouse, kind, subject, made_at, str(State.OPEN), "", ""))
        else:
            added.append((sku, warehouse, kind, subject, made_at, *values))
    about, decided = ("sku", "warehouse", "kind", "subject", "made_at"), ("state", "reason", "outcome")
    put_rows(Advice, ("id",), fields, changed, only_new=(*about, *decided))
    copy_rows(Advice, (*about, *fields), added, also=dict(zip(decided, (State.OPEN, "", ""), strict=True)))
    gone = sorted(known.values())
    for some in parts(gone):
        Advice.objects.filter(pk__in=among(some)).update(state=State.GONE, changed_at=now)
    return len(changed) + len(added), len(gone)
