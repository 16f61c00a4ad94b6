"""The page of a SKU in a warehouse: how its stock stands and will stand, the terms of its sum, what came of advice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import sqrt

import numpy as np
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from catalog.models import Sku, User, Warehouse
from config.formatting import UNKNOWN, count, joined, moment, percent
from config.formatting import units as with_unit
from monitoring.charts.projection import Chart, chart
from monitoring.models import Advice, DemandHistory, ForecastOverride, SkuPlan
from monitoring.plan_board import Stock
from monitoring.plan_cards import Card, cards_of_plan
from monitoring.plan_words import (
    advice_sentence,
    days_ahead,
    decided_line,
    likely,
    plan_reason,
    shown_day,
    units_text,
)
from monitoring.planning.forecasting import MEAN, MEDIAN, NAIVE, SEASONAL_NAIVE
from monitoring.services.planning.demand import ended_empty

PAST_DAYS, COMING_DAYS = 60, 60
_ADVICE_SHOWN = 20
_NARROW = 420

NOTES: Mapping[str, Promise | str] = {
    "lead-time-default": gettext_lazy("The lead time is a default: neither receipts nor the supplier tell it."),
    "lead-time-spread-unknown": gettext_lazy("How much the lead time varies is not known, and taken as not at all."),
    "pooled-spread": gettext_lazy("Its history is short: how much demand varies is taken from SKUs like it."),
    "one-off-orders": gettext_lazy("Large single orders are counted in part only."),
    "censored": gettext_lazy("On many of its days there was nothing to sell: they do not count for its demand."),
    "by-hand": gettext_lazy("Somebody set the forecast by hand."),
    "as-shown": gettext_lazy("Nobody counted it here: its stock is the least that one of its listings shows."),
    "oversold": gettext_lazy("More is promised than is there."),
    "overdue": gettext_lazy("Something that should have come is overdue, and not counted on."),
    "turns-in-pieces": gettext_lazy("Its cost is not known: the turnover is of pieces."),
    "lane-rate-unknown": gettext_lazy("A lane to here is left out: its exchange rate is not known."),
}
_METHODS: Mapping[str, Promise | str] = {
    "": gettext_lazy("chosen for SKUs like it"),
    "by-hand": gettext_lazy("set by hand"),
    NAIVE: gettext_lazy("as on the last day"),
    SEASONAL_NAIVE: gettext_lazy("as on the same weekday last week"),
    MEAN: gettext_lazy("mean of several methods"),
    MEDIAN: gettext_lazy("median of several methods"),
}
_OF_FAMILY: Mapping[str, Promise | str] = {
    "mean of": gettext_lazy("mean of the last %(parameters)s days"),
    "SES": gettext_lazy("exponential smoothing %(parameters)s"),
    "SBA": gettext_lazy("Croston-SBA %(parameters)s"),
    "TSB": gettext_lazy("TSB %(parameters)s"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str | None  # None: not known
    line: str
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class TermRow:
    sign: str
    name: str
    units: str
    why: str
    is_total: bool = False


@dataclass(frozen=True, slots=True)
class DayRow:
    """What the chart has of a day; None is not known, or not of this day."""

    day: date
    stock: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    arrives: int | None = None
    demand: int | None = None


@dataclass(frozen=True, slots=True)
class DemandPicture:
    """Bars of a day's demand, and the line of the forecast; of an SVG 1000 wide."""

    path: str
    rate: int | None
    top: int
    ticks: Sequence[tuple[int, int]]  # place, units
    days: Sequence[tuple[int, str]]
    gaps: Sequence[tuple[int, int]]  # days that nobody knows: from where, how wide


@dataclass(frozen=True, slots=True)
class SkuPage:
    plan: SkuPlan | None
    facts: Sequence[Fact]
    reason: str  # why nobody can tell; "": it is planned
    notes: Sequence[str]
    terms: Sequence[TermRow]
    wide: Chart | None
    narrow: Chart | None
    safety_text: str
    summary: str  # of the chart, in a sentence
    days: Sequence[DayRow]
    demand: DemandPicture | None
    demand_line: str
    cards: Sequence[Card]
    advice: Sequence[tuple[Advice, str, str]]
    overrides: Sequence[tuple[ForecastOverride, str]]


def sku_page(sku: Sku, warehouse: Warehouse, *, user: User, now: datetime) -> SkuPage:
    """All that the page shows, in a constant number of queries."""
    place = (sku.pk, warehouse.pk)
    of_place = {"sku": sku, "warehouse": warehouse}
    plan = SkuPlan.objects.filter(**of_place).select_related("supplier").first()
    history = DemandHistory.objects.filter(**of_place).first()
    stock = Stock([place], now=now, past_days=PAST_DAYS)
    days = _days(plan, history, stock, place)
    past = stock.past(place)
    coming = [row.expected for row in days if row.expected is not None]
    band = [(row.low, row.high) for row in days if row.low is not None and row.high is not None]
    due = stock.due(place)
    safety = plan.safety_stock if plan else None
    wide, narrow = (
        chart(past, coming, band, safety=safety, arrivals=due, today=stock.today, width=width)
        if past or coming
        else None
        for width in (1000, _NARROW)
    )
    advised = (
        Advice.objects.visible_to(user).filter(**of_place).select_related("source", "supplier", "channel", "promotion")
    )
    overrides = ForecastOverride.objects.filter(Q(warehouse=warehouse) | Q(warehouse=None), sku=sku)
    return SkuPage(
        plan=plan,
        facts=_facts(plan, stock, place, now),
        reason=plan_reason(plan) if plan and plan.status != SkuPlan.Status.PLANNED else "",
        notes=[str(NOTES[slug]) for slug in plan.notes if slug in NOTES] if plan else [],
        terms=_terms(plan) if plan else [],
        wide=wide,
        narrow=narrow,
        safety_text=_("safety stock %(units)s") % {"units": units_text(safety)} if safety is not None else "",
        summary=_summary(past, coming, stock.today),
        days=days,
        demand=_demand_picture(days, plan),
        demand_line=_demand_line(history, plan),
        cards=cards_of_plan(plan),
        advice=[
            (each, advice_sentence(each), decided_line(each))
            for each in advised.select_related("warehouse", "decided_by", "order", "transfer", "sku").order_by("-pk")[
                :_ADVICE_SHOWN
            ]
        ],
        overrides=[
            (each, _override_text(each)) for each in overrides.filter(until__gte=stock.today).select_related("made_by")
        ],
    )


def _short_day(day: date) -> str:
    return f"{day:%m-%d}"


def _override_text(override: ForecastOverride) -> str:
    if override.per_day is not None:
        text = _("%(units)s units a day") % {"units": f"{override.per_day.normalize():f}"}
    else:
        text = _("%(factor)s times the forecast") % {"factor": f"{(override.factor or Decimal(0)).normalize():f}"}
    until = _("until %(time)s") % {"time": override.until.isoformat()}
    return f"{text} · {until}"


def _facts(plan: SkuPlan | None, stock: Stock, place: tuple[int, int], now: datetime) -> list[Fact]:
    level = stock.level(place)
    to_come = stock.arrivals.get(place, [])
    on_the_way = sum(each.units for each in to_come if not each.is_overdue)
    overdue = sum(each.units for each in to_come if each.is_overdue)
    next_due = min((each.due_at for each in to_come if each.due_at and not each.is_overdue), default=None)
    coming = _("next %(time)s") % {"time": moment(next_due)} if next_due else ""
    late = _("%(units)s overdue, not counted") % {"units": count(overdue)} if overdue else ""
    facts = [
        Fact(
            _("On hand"),
            with_unit(level.on_hand) if level else None,
            _("%(units)s reserved") % {"units": count(level.reserved)} if level else _("nobody has counted it"),
        ),
        Fact(_("On the way"), with_unit(on_the_way), joined(filter(None, (coming, late)))),
    ]
    if plan is None:
        return facts
    textbook = _("textbook formula %(units)s") % {"units": units_text(plan.safety_stock_textbook)}
    needed = _("for %(days)s d of lead time and review") % {"days": count(plan.protection_days)}
    out, by = plan.stock_out_on, plan.order_by
    risk = likely(plan.stock_out_probability)
    if out is not None:
        out_fact = Fact(_("Runs out"), shown_day(out, now), f"{days_ahead(out, now)} · {risk}", is_key=True)
    elif plan.per_day is None or level is None:
        out_fact = Fact(_("Runs out"), None, _("cannot tell"), is_key=True)
    else:
        out_fact = Fact(_("Runs out"), _("not in sight"), risk, is_key=True)
    supplier = str(plan.supplier or _("no supplier"))
    return [
        *facts,
        Fact(_("Safety stock"), _shown(plan.safety_stock), textbook),
        Fact(_("Reorder point"), _shown(plan.reorder_point), needed),
        out_fact,
        Fact(
            _("Order by"),
            shown_day(by, now) if by else None,
            joined([_("late"), supplier]) if plan.is_late else supplier,
        ),
    ]


def _shown(value: float | None) -> str | None:
    return None if value is None else units_text(value)


def _method(name: str) -> str:
    if name in _METHODS:
        return str(_METHODS[name])
    for family, text in _OF_FAMILY.items():
        if name.startswith(f"{family} "):
            return str(text) % {"parameters": name.removeprefix(f"{family} ")}
    return name


def _moved(plan: SkuPlan) -> tuple[int, int]:
    """Units that the plan moves here and away before it buys; what was decided since it was made is part of it."""
    is_of_plan = Q(state__in=Advice.UNDECIDED) | Q(decided_at__gte=plan.planned_at)
    advised = Advice.objects.filter(is_of_plan, sku=plan.sku_id, kind=Advice.Kind.TRANSFER)
    moves = advised.exclude(state=Advice.State.GONE).values_list("warehouse", "source", "quantity")
    here = [(to == plan.warehouse_id, source == plan.warehouse_id, units) for to, source, units in moves]
    return sum(units for comes, _goes, units in here if comes), sum(units for _comes, goes, units in here if goes)


def _terms(plan: SkuPlan) -> list[TermRow]:
    """The sum, term by term, with what each is made of."""
    if plan.expected is None or plan.safety_stock is None:
        return []
    target = percent(plan.service_target)
    lead = _("lead time %(days)s d") % {"days": units_text(plan.lead_time_days)}
    if plan.lead_time_spread_days:
        lead += " ± " + units_text(plan.lead_time_spread_days)
    needed = _("%(per_day)s a day (%(method)s) for %(days)s d: %(lead)s, review period %(review)s d") % {
        "per_day": units_text(plan.per_day),
        "method": _method(plan.method),
        "days": count(plan.protection_days),
        "lead": lead,
        "review": count(plan.review_days),
    }
    held = _("so that %(target)s of the order cycles pass without running out; the textbook formula says %(units)s") % {
        "target": target,
        "units": units_text(plan.safety_stock_textbook),
    }
    rows = [
        TermRow("", _("needed"), units_text(plan.expected), needed),
        TermRow("+", _("safety stock"), units_text(plan.safety_stock), held),
        TermRow("=", _("reorder point"), units_text(plan.reorder_point), _("at or below it, it is ordered"), True),
    ]
    if plan.on_hand is None:
        return rows
    rows.append(TermRow("−", _("on hand"), count(plan.on_hand), _("when it was planned")))
    if plan.reserved:
        rows.append(TermRow("+", _("reserved"), count(plan.reserved), _("promised to orders")))
    not_counted = _("%(units)s overdue are not counted on") % {"units": count(plan.overdue)} if plan.overdue else ""
    rows.append(TermRow("−", _("on the way"), count(plan.on_the_way), not_counted))
    comes, goes = _moved(plan)
    if comes:
        rows.append(
            TermRow("−", _("to move here"), count(comes), _("from other warehouses, before anything is bought"))
        )
    if goes:
        rows.append(TermRow("+", _("to move away"), count(goes), _("to other warehouses, which need it sooner")))
    if plan.unrounded is not None:
        rows.append(TermRow("=", pgettext("in a sum", "missing"), units_text(plan.unrounded), _("never below 0"), True))
    if plan.quantity is not None:
        why = _("in packs, and at least the minimum order, of %(supplier)s") % {"supplier": plan.supplier or UNKNOWN}
        rows.append(TermRow("→", _("to order"), count(plan.quantity), why, True))
    return rows


def _days(plan: SkuPlan | None, history: DemandHistory | None, stock: Stock, place: tuple[int, int]) -> list[DayRow]:
    """From the past to what is expected; today has both."""
    past = stock.past(place) or [None] * (PAST_DAYS + 1)
    coming = stock.coming(place, plan.per_day if plan else None, COMING_DAYS)
    asked = _demand(history, stock.today)
    due = stock.due(place)
    rows = []
    for back in range(PAST_DAYS, 0, -1):
        day = stock.today - timedelta(days=back)
        rows.append(DayRow(day, stock=past[PAST_DAYS - back], demand=asked.get(day)))
    held = 0.0
    if plan and plan.expected is not None and plan.expected_high is not None and plan.protection_days:
        held = max(plan.expected_high - plan.expected, 0.0) / sqrt(plan.protection_days)
    rows.append(DayRow(stock.today, stock=past[PAST_DAYS], demand=asked.get(stock.today)))
    if coming:
        rows[-1] = DayRow(stock.today, past[PAST_DAYS], coming[0], coming[0], coming[0], demand=asked.get(stock.today))
    left = coming[0] if coming else 0.0  # what would be left if what is not met were owed: it never rises by itself
    for ahead, expected in enumerate(coming[1:], 1):
        spread = held * sqrt(ahead)
        left += due.get(ahead, 0) - (plan.per_day or 0.0 if plan else 0.0)
        rows.append(
            DayRow(
                stock.today + timedelta(days=ahead),
                expected=expected,
                low=max(expected - spread, 0.0),
                high=max(expected, left + spread),
                arrives=due.get(ahead),
            )
        )
    return rows


def _demand(history: DemandHistory | None, today: date) -> dict[date, int | None]:
    """What was asked for, by day; None where it is not known.

    After its last day nothing was booked: nothing was asked for, or there was nothing to sell, and nobody knows.
    """
    if history is None:
        return {}
    units = np.frombuffer(bytes(history.units), "<i4").tolist()
    units += [-1 if ended_empty(bytes(history.marks)) else 0] * ((today - history.last_day).days - 1)
    return {
        history.first_day + timedelta(days=place): None if value < 0 else value for place, value in enumerate(units)
    }


_BOTTOM, _PLOT_TOP, _PLOT_LEFT, _PLOT_RIGHT = 160, 12, 52, 990


def _demand_picture(days: Sequence[DayRow], plan: SkuPlan | None) -> DemandPicture | None:
    shown = days[: PAST_DAYS + 1]
    known = [row.demand for row in shown if row.demand is not None]
    if not known:
        return None
    rate = plan.per_day if plan else None
    top = max([*known, rate or 0, 1])
    step = max(1, -(-int(top) // 4))
    top = step * -(-int(top + 0.999) // step)

    width = -(-(_PLOT_RIGHT - _PLOT_LEFT) // len(shown))

    def x(place: int) -> int:
        return round(_PLOT_LEFT + (_PLOT_RIGHT - _PLOT_LEFT) * (place + 0.5) / len(shown))

    def y(value: float) -> int:
        return round(_BOTTOM - (_BOTTOM - _PLOT_TOP) * value / top)

    bars = [f"M{x(place)} {_BOTTOM}V{y(row.demand)}" for place, row in enumerate(shown) if row.demand]
    return DemandPicture(
        "".join(bars),
        None if rate is None else y(rate),
        top,
        [(y(value), value) for value in range(0, top + 1, step)],
        [(x(place), _short_day(row.day)) for place, row in enumerate(shown) if place % 14 == 4],
        [
            (x(place) - width // 2, width)
            for place, row in enumerate(shown[:-1])  # today is not over
            if row.demand is None
        ],
    )


def _demand_line(history: DemandHistory | None, plan: SkuPlan | None) -> str:
    if history is None:
        return _("Nothing tells what was sold of it here.")
    parts = [_("from %(source)s") % {"source": history.get_source_display()}]
    if plan and plan.per_day is not None:
        parts.append(_("forecast %(units)s a day") % {"units": units_text(plan.per_day)})
    if plan and plan.last_sold_on:
        parts.append(_("last sold %(day)s") % {"day": plan.last_sold_on.isoformat()})
    return " · ".join(parts)


def _summary(past: Sequence[float | None], coming: Sequence[float], today: date) -> str:
    known = [value for value in past if value is not None]
    told = []
    if known:
        told.append(
            _("Stock %(first)s to %(last)s units.") % {"first": units_text(known[0]), "last": units_text(known[-1])}
        )
    if coming:
        out = next((day for day, value in enumerate(coming) if value <= 0), None)
        if out is None:
            told.append(_("It lasts for %(days)s days and more.") % {"days": len(coming) - 1})
        else:
            told.append(_("At this rate it runs out on %(day)s.") % {"day": today + timedelta(days=out)})
    return " ".join(told)


def csv_rows(page: SkuPage) -> Iterator[list[str]]:
    """The days of the charts as plain figures; empty is not known, or not of that day."""
    yield ["day", "stock", "expected_stock", "low", "high", "arrives", "demand"]
    for row in page.days:
        figures = (row.stock, row.expected, row.low, row.high, row.arrives, row.demand)
        yield [row.day.isoformat(), *("" if value is None else f"{value:g}" for value in figures)]
