"""The board of what to do about stock: advice by urgency, with what is behind it; constant queries at any size."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Min, Q, QuerySet, Sum, Value, When
from django.db.models.functions import TruncDate
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.stock.scope import product_line
from catalog.models import (
    Product,
    PurchaseOrder,
    PurchaseOrderLine,
    StockLevel,
    StockMovement,
    Supplier,
    User,
    Warehouse,
)
from catalog.purchasing.on_the_way import Arrival, arrivals
from config.formatting import UNKNOWN, count, iso_moment, money, sentences
from monitoring.charts.projection import Small, ahead, small
from monitoring.history import safe_cell
from monitoring.models import Advice, PlanRun, SkuPlan
from monitoring.plan_words import (
    accept_label,
    advice_sentence,
    days_ahead,
    decided_line,
    likely,
    plan_reason,
    shortfall_line,
    shown_day,
    week_ahead,
)
from monitoring.services.planning.deeds import DECIDE, may_accept
from monitoring.services.planning.minimums import Shortfall, shortfalls

Kind, State, Status = Advice.Kind, Advice.State, SkuPlan.Status
Place = tuple[int, int]  # SKU, warehouse

PER_PAGE = 50
PAST_DAYS, COMING_DAYS = 28, 42
DECIDED_DAYS = 90  # that the tab of the decided ones goes back
_CANNOT_TELL_SHOWN = 5  # below the others; the tab has all of them

GROUPS: Sequence[tuple[str, Promise | str, str]] = (
    ("today", _("Order today"), "critical"),
    ("week", _("This week"), "warning"),
    ("later", _("Later"), "muted"),
    ("cannot-tell", _("Cannot tell"), "unknown"),
)
TABS: Sequence[tuple[str, Promise | str]] = (
    ("decide", _("To decide")),
    ("cannot-tell", _("Cannot tell")),
    ("snoozed", _("Snoozed")),
    ("decided", _("Decided")),
)
_DECIDED = (State.ACCEPTED, State.CHANGED, State.REJECTED)


@dataclass(frozen=True, slots=True)
class Choice:
    label: str
    query: str  # of its address
    is_current: bool


@dataclass(frozen=True, slots=True)
class Menu:
    label: str
    current: str  # "": all
    choices: Sequence[Choice]


@dataclass(frozen=True, slots=True)
class Row:
    """An advice, or the plan of a SKU that nobody can plan for, as the board shows it."""

    advice: Advice | None
    plan: SkuPlan | None
    sku: Any
    warehouse: Any
    name: str
    picture: Small | None
    out_on: str
    out_line: str
    money: str  # "": the person may not see margins
    on_hand: str
    sentence: str
    accept: str
    may_accept: bool
    line: str = ""  # of a decided one: what was decided; of a snoozed one: until when
    is_late: bool = False  # should have been ordered before


@dataclass(frozen=True, slots=True)
class Group:
    slug: str
    label: Promise | str
    severity: str
    count: int
    rows: Sequence[Row]

    @property
    def is_first(self) -> bool:
        return self.slug == GROUPS[0][0]


class Board:
    """One page of the board, as the address asks for it. What an address has that there is not is left out."""

    def __init__(self, user: User, query: QueryDict, now: datetime) -> None:
        self.user, self.query, self.now = user, query, now
        asked = query.get("show", "")
        self.tab = asked if asked in dict(TABS) else TABS[0][0]
        page = query.get("page", "")
        self.page = max(int(page), 1) if page.isdecimal() and len(page) < 8 else 1
        self.sees_money = user.has_perm("catalog.view_cost")
        self.chosen = {name: query.get(name, "") for name in ("warehouse", "supplier", "brand", "class", "kind")}
        self.may_decide = user.has_perm(DECIDE)

    # What it is made of

    def _narrowed(self, rows: QuerySet[Any], *, is_advice: bool) -> QuerySet[Any]:
        chosen = self.chosen
        for name in ("warehouse", "supplier"):
            if chosen[name].isdecimal() and len(chosen[name]) < 19:
                rows = rows.filter(**{name: int(chosen[name])})
        if chosen["brand"]:
            rows = rows.filter(sku__product__brand=chosen["brand"])
        if chosen["class"] in tuple("ABC"):
            if is_advice:
                same = SkuPlan.objects.filter(abc=chosen["class"])
                # Of the places of the class: a SKU may be another one elsewhere.
                rows = rows.filter(sku__plans__in=same, sku__plans__warehouse=F("warehouse"))
            else:
                rows = rows.filter(abc=chosen["class"])
        if is_advice and chosen["kind"] in Advice.Kind.values:
            rows = rows.filter(kind=chosen["kind"])
        return rows

    @property
    def advice(self) -> QuerySet[Advice]:
        return self._narrowed(Advice.objects.visible_to(self.user), is_advice=True)

    @property
    def unplanned(self) -> QuerySet[SkuPlan]:
        """Plans of which nobody can tell anything; none while advice of a kind is asked for."""
        plans = SkuPlan.objects.visible_to(self.user).filter(status=Status.CANNOT_TELL)
        if self.chosen["kind"]:
            return plans.none()
        return self._narrowed(plans, is_advice=False).order_by("sku__code", "warehouse", "pk")

    def _of_tab(self, tab: str) -> Q:
        asleep = Q(state=State.SNOOZED, snoozed_until__gt=self.now)
        return {
            "decide": Q(state__in=Advice.UNDECIDED) & ~asleep,
            "snoozed": asleep,
            "decided": Q(state__in=_DECIDED, decided_at__gt=self.now - timedelta(days=DECIDED_DAYS)),
        }[tab]

    @property
    def _group(self) -> Case:
        return Case(
            When(by__lte=timezone.localdate(self.now), then=Value(0)),
            When(by__lte=week_ahead(self.now), then=Value(1)),
            default=Value(2),
            output_field=IntegerField(),
        )

    def rows_of(self, tab: str) -> QuerySet[Advice]:
        """The advice of a tab, the most urgent or the newest first."""
        found = self.advice.filter(self._of_tab(tab)).annotate(group=self._group)
        order = {"decide": ("group", "rank", "pk"), "snoozed": ("snoozed_until", "pk")}.get(tab, ("-decided_at", "-pk"))
        return found.order_by(*order)

    def load(self) -> None:
        """Everything that the page shows; call it once."""
        decide = self._of_tab("decide")
        found = (
            self.advice.annotate(group=self._group)
            .order_by()
            .aggregate(
                **{
                    slug: Count("pk", filter=decide & Q(group=place))
                    for place, (slug, _label, _severity) in enumerate(GROUPS[:3])
                },
                snoozed=Count("pk", filter=self._of_tab("snoozed")),
                decided=Count("pk", filter=self._of_tab("decided")),
            )
        )
        self.counts: dict[str, int] = {**found, "cannot-tell": self.unplanned.count()}
        self.counts["decide"] = sum(self.counts[slug] for slug, _label, _severity in GROUPS[:3])
        self.pages = max(1, -(-self.counts[self.tab] // PER_PAGE))
        self.page = min(self.page, self.pages)
        start = PER_PAGE * (self.page - 1)
        part = slice(start, start + PER_PAGE)
        listed: list[Advice] = []
        plans: list[SkuPlan] = []
        if self.tab == "cannot-tell":
            plans = self._plans(self.unplanned[part])
        else:
            related = ("sku__product", "warehouse", "source", "supplier", "channel", "promotion", "order", "transfer")
            listed = list(self.rows_of(self.tab).select_related(*related, "decided_by")[part])
            if self.tab == "decide" and self.page == self.pages and self.counts["cannot-tell"]:
                plans = self._plans(self.unplanned[:_CANNOT_TELL_SHOWN])
        places = {(each.sku_id, each.warehouse_id) for each in listed}
        places |= {(plan.sku_id, plan.warehouse_id) for plan in plans}
        stored = {(plan.sku_id, plan.warehouse_id): plan for plan in plans}
        donors = {(each.sku_id, each.source_id) for each in listed if each.source_id}
        stored |= plans_of({place for place in places | donors if place not in stored})
        stock = Stock(places | donors, now=self.now)
        drafted = _drafted(places) if self.tab == "decide" else {}
        # What orders come to says what units cost.
        self._shortfalls: dict[tuple[int, int], Shortfall] = {}
        if self.sees_money and self.tab == "decide":
            self._shortfalls = shortfalls({each.supplier_id for each in listed if each.supplier_id})
        rows = [self._advice_row(each, stored, stock, drafted) for each in listed]
        self.rows = rows
        told = [self._plan_row(plan, stock) for plan in plans]
        self.groups = self._grouped(rows, told)
        runs = PlanRun.objects.order_by("-pk")
        self.last_run = runs.filter(ended_at__isnull=False, problem="").first()
        self.open_run = runs.filter(kind=PlanRun.Kind.FULL, ended_at=None).first()

    def _plans(self, plans: QuerySet[SkuPlan]) -> list[SkuPlan]:
        return list(plans.select_related("sku__product", "warehouse"))

    def _grouped(self, rows: Sequence[Row], told: Sequence[Row]) -> list[Group]:
        groups = []
        if self.tab == "decide":
            for place, part in groupby(rows, key=lambda row: row.advice.group if row.advice else 0):  # type: ignore[attr-defined]
                slug, label, severity = GROUPS[place]
                groups.append(Group(slug, label, severity, self.counts[slug], list(part)))
        elif rows:
            slug, label = next(tab for tab in TABS if tab[0] == self.tab)
            groups.append(Group(slug, label, "muted", self.counts[slug], rows))
        if told:
            slug, label, severity = GROUPS[3]
            groups.append(Group(slug, label, severity, self.counts[slug], told))
        return groups

    def _advice_row(
        self, advice: Advice, stored: Mapping[Place, SkuPlan], stock: "Stock", drafted: Mapping[Place, str]
    ) -> Row:
        place = (advice.sku_id, advice.warehouse_id)
        plan = stored.get(place)
        keeps, point = None, None
        if advice.source_id:
            donor, donor_plan = ((advice.sku_id, advice.source_id), stored.get((advice.sku_id, advice.source_id)))
            level = stock.level(donor)
            keeps = level.available - advice.quantity if level else None
            point = donor_plan.reorder_point if donor_plan else None
        out_on = advice.stock_out_on
        probability = advice.probability
        line = self._order_line(advice, drafted.get(place, "")) if advice.kind == Kind.BUY else ""
        if self.tab == "decided":
            line = decided_line(advice)
        elif self.tab == "snoozed":
            until = gettext("until %(time)s") % {"time": iso_moment(advice.snoozed_until)}
            line = f"{until} · {advice.reason}" if advice.reason else until
        return Row(
            advice=advice,
            plan=plan,
            sku=advice.sku,
            warehouse=advice.warehouse,
            name=product_line(advice.sku),
            picture=stock.picture(place, plan),
            out_on=shown_day(out_on, self.now),
            out_line=f"{days_ahead(out_on, self.now)} · {likely(probability)}"
            if out_on
            else likely(probability)
            if probability is not None
            else gettext("not within the plan"),
            money=money(advice.money_at_stake, advice.currency or "CNY") if self.sees_money else "",
            on_hand=stock.on_hand_text(place),
            sentence=advice_sentence(advice, keeps=keeps, point=point),
            accept=accept_label(advice),
            may_accept=may_accept(self.user, advice.kind),
            line=line,
            is_late=bool(self.tab == "decide" and advice.kind == Kind.BUY and plan and plan.is_late),
        )

    def _order_line(self, advice: Advice, drafted: str) -> str:
        """What stands in a draft already; on the first row of an order, whether it is worth enough for the supplier."""
        shortfall = self._shortfalls.pop((advice.supplier_id or 0, advice.warehouse_id), None)
        return sentences(drafted, shortfall_line(advice, shortfall) if shortfall else "")

    def _plan_row(self, plan: SkuPlan, stock: "Stock") -> Row:
        place = (plan.sku_id, plan.warehouse_id)
        return Row(
            advice=None,
            plan=plan,
            sku=plan.sku,
            warehouse=plan.warehouse,
            name=product_line(plan.sku),
            picture=stock.picture(place, plan),
            out_on=UNKNOWN,
            out_line=str(plan.get_status_display()),
            money=UNKNOWN if self.sees_money else "",
            on_hand=stock.on_hand_text(place),
            sentence=plan_reason(plan),
            accept="",
            may_accept=False,
        )

    # Addresses

    def address(self, **changes: str | int | None) -> str:
        """The query of this page with these changes; without the page, unless it is given."""
        query = self.query.copy()
        query.pop("page", None)
        for name, value in changes.items():
            if value in (None, ""):
                query.pop(name, None)
            else:
                query[name] = str(value)
        return f"?{query.urlencode()}"

    @property
    def is_narrowed(self) -> bool:
        return any(self.chosen.values())

    @property
    def cleared(self) -> str:
        return self.address(**dict.fromkeys(self.chosen))

    @property
    def tabs(self) -> list[tuple[Promise | str, str, int, bool]]:
        return [
            (label, self.address(show="" if slug == TABS[0][0] else slug), self.counts[slug], slug == self.tab)
            for slug, label in TABS
        ]

    @property
    def menus(self) -> list[Menu]:
        """The filters; two queries, and one for the brands."""
        brands = Product.objects.visible_to(self.user).exclude(brand="").order_by("brand")
        found: list[tuple[str, Promise | str, Iterable[tuple[str, Any]]]] = [
            ("warehouse", _("Warehouse"), ((str(each.pk), each) for each in Warehouse.objects.all())),
            ("supplier", _("Supplier"), ((str(each.pk), each) for each in Supplier.objects.only("name")[:_MOST])),
            ("brand", _("Brand"), ((each, each) for each in brands.values_list("brand", flat=True).distinct()[:_MOST])),
            ("class", _("Class"), ((each, each) for each in "ABC")),
            ("kind", _("Kind"), ((value, _KINDS[value]) for value in Advice.Kind.values)),
        ]
        return [self._menu(name, label, list(values)) for name, label, values in found]

    def _menu(self, name: str, label: Promise | str, values: Sequence[tuple[str, Any]]) -> Menu:
        chosen = self.chosen[name]
        choices = [Choice(gettext("All"), self.address(**{name: None}), not chosen)]
        choices += [Choice(str(text), self.address(**{name: value}), value == chosen) for value, text in values]
        current = next((choice.label for choice in choices[1:] if choice.is_current), "")
        return Menu(str(label), current, choices)

    @property
    def page_links(self) -> list[tuple[int, str, bool]]:
        near = {1, self.pages, *range(self.page - 2, self.page + 3)}
        return [
            (number, self.address(page=number), number == self.page)
            for number in sorted(near)
            if 1 <= number <= self.pages
        ]


_MOST = 200  # choices of a filter
_KINDS: Mapping[str, Promise | str] = {
    Advice.Kind.BUY: _("Buy"),
    Advice.Kind.TRANSFER: _("Transfer"),
    Advice.Kind.LIMIT_PROMOTION: _("Limit a promotion"),
    Advice.Kind.LOWER_CAP: _("Lower a cap"),
}


# --- The stock behind it ---------------------------------------------------------------------------------------------


class Stock:
    """What the places had, have and will have; three queries, and those of what is on its way."""

    def __init__(self, places: Collection[Place], *, now: datetime, past_days: int = PAST_DAYS) -> None:
        self.now, self.today, self.past_days = now, timezone.localdate(now), past_days
        self.levels: dict[Place, StockLevel] = {}
        self.arrivals: dict[Place, list[Arrival]] = defaultdict(list)
        self._changes: dict[Place, dict[date, int]] = defaultdict(dict)
        self._counted_on: dict[Place, date] = {}
        if places:
            self._load(places)

    def _load(self, places: Collection[Place]) -> None:
        of_places = {"sku__in": {sku for sku, _warehouse in places}, "warehouse__in": {at for _sku, at in places}}
        levels = StockLevel.objects.filter(**of_places)
        self.levels = {(each.sku_id, each.warehouse_id): each for each in levels}
        for each in arrivals(of_places["sku__in"], now=self.now):
            self.arrivals[each.sku_id, each.warehouse_id].append(each)
        booked = StockMovement.objects.filter(**of_places).order_by()
        counting = booked.filter(kind__in=StockMovement.COUNTING).values("sku", "warehouse")
        for row in counting.annotate(first=Min("happened_at")):
            self._counted_on[row["sku"], row["warehouse"]] = timezone.localdate(row["first"])
        available = Case(When(kind__in=StockMovement.RESERVING, then=-F("quantity")), default=F("quantity"))
        days = (
            booked.filter(happened_at__gt=self.now - timedelta(days=self.past_days + 1))
            .annotate(day=TruncDate("happened_at"))
            .values("sku", "warehouse", "day")
            .annotate(units=Sum(available))
        )
        for sku, warehouse, day, units in days.values_list("sku", "warehouse", "day", "units"):
            self._changes[sku, warehouse][day] = units

    def level(self, place: Place) -> StockLevel | None:
        """The counted level; None: nobody knows what there is."""
        found = self.levels.get(place)
        return found if found is not None and found.is_counted else None

    def on_hand_text(self, place: Place) -> str:
        found = self.level(place)
        return count(found.on_hand if found else None)

    def past(self, place: Place) -> list[float | None]:
        """What was available at the end of each day up to now, by the ledger; None before it was ever counted."""
        level = self.level(place)
        if level is None:
            return []
        value, days = level.available, []
        counted_on = self._counted_on.get(place)
        for back in range(self.past_days + 1):
            on = self.today - timedelta(days=back)
            days.append(float(value) if counted_on is None or on >= counted_on else None)
            value -= self._changes[place].get(on, 0)
        return days[::-1]

    def due(self, place: Place) -> dict[int, int]:
        """Units that are counted on, by the days until they come."""
        found: dict[int, int] = defaultdict(int)
        for each in self.arrivals.get(place, ()):
            if each.due_at is not None and not each.is_overdue:
                found[max((timezone.localdate(each.due_at) - self.today).days, 1)] += each.units
        return dict(found)

    def coming(self, place: Place, per_day: float | None, days: int = COMING_DAYS) -> list[float]:
        """What will be available, from now on; [] where that cannot be told."""
        level = self.level(place)
        if level is None or per_day is None:
            return []
        return ahead(float(level.available), per_day, self.due(place), days)

    def picture(self, place: Place, plan: SkuPlan | None) -> Small | None:
        coming = self.coming(place, plan.per_day if plan else None)
        return small(self.past(place), coming, plan.safety_stock if plan else None)


def _drafted(places: Collection[Place]) -> dict[Place, str]:
    """What drafts that nobody has sent have of the places already."""
    lines = PurchaseOrderLine.objects.filter(
        order__status=PurchaseOrder.Status.DRAFT,
        sku__in={sku for sku, _warehouse in places},
        order__warehouse__in={at for _sku, at in places},
    ).order_by("pk")
    return {
        (sku, warehouse): gettext("%(units)s are in the draft %(order)s already.")
        % {"units": count(units), "order": number}
        for sku, warehouse, units, number in lines.values_list("sku", "order__warehouse", "quantity", "order__number")
    }


def plans_of(places: Collection[Place]) -> dict[Place, SkuPlan]:
    if not places:
        return {}
    found = SkuPlan.objects.filter(
        sku__in={sku for sku, _warehouse in places}, warehouse__in={at for _sku, at in places}
    )
    return {(plan.sku_id, plan.warehouse_id): plan for plan in found}


def csv_rows(board: Board) -> Iterator[list[str]]:
    """The advice of the tab that is open, all pages; of those that nobody can plan for, why."""
    heading = ["sku", "product", "warehouse", "kind", "units", "by", "from", "supplier", "runs_out_on", "probability"]
    if board.sees_money:
        heading += ["money_at_stake", "currency"]
    yield [*heading, "state", "sum", "reason"]
    if board.tab == "cannot-tell":
        plans = board.unplanned.select_related("sku__product", "warehouse", "supplier").iterator(chunk_size=2_000)
        blank = [""] * (len(heading) - 8)
        for plan in plans:
            first = [safe_cell(each) for each in (plan.sku.code, product_line(plan.sku), str(plan.warehouse))]
            yield [
                *first,
                "",
                "",
                "",
                "",
                safe_cell(str(plan.supplier or "")),
                *blank,
                plan.status,
                "",
                plan_reason(plan),
            ]
        return
    related = ("sku__product", "warehouse", "source", "supplier", "channel", "promotion")
    for advice in board.rows_of(board.tab).select_related(*related).iterator(chunk_size=2_000):
        row = [
            advice.sku.code,
            product_line(advice.sku),
            str(advice.warehouse),
            advice.kind,
            str(advice.quantity),
            advice.by.isoformat() if advice.by else "",
            str(advice.source or ""),
            str(advice.supplier or ""),
            advice.stock_out_on.isoformat() if advice.stock_out_on else "",
            "" if advice.probability is None else f"{advice.probability:.4f}",
        ]
        row[0], row[1], row[2], row[6], row[7] = (safe_cell(row[each]) for each in (0, 1, 2, 6, 7))
        if board.sees_money:
            row += ["" if advice.money_at_stake is None else str(advice.money_at_stake), advice.currency]
        yield [*row, advice.state, advice_sentence(advice), safe_cell(advice.reason)]
