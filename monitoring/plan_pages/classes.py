"""The stock by class: how much of it there is, how fast it turns, what of it is dead, and what is too much."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.paginator import Page
from django.db.models import Count, Exists, ExpressionWrapper, F, FloatField, OuterRef, Q, QuerySet, Sum, Value
from django.db.models.functions import Cast
from django.utils import timezone

from config.formatting import money
from monitoring.history import safe_cell
from monitoring.models import DemandHistory, SkuPlan
from monitoring.plan_pages.scope import NO_CLASS, PlanScope, class_is, page_of
from monitoring.planning.health import usual_cover

DEAD_DAYS = 90
ABC, XYZ = ("A", "B", "C", ""), ("X", "Y", "Z", "")
STANDINGS = ("dead", "excess")
ORDERS = {
    "cover": (F("cover_days").desc(nulls_last=True),),
    "health": (F("health").asc(nulls_last=True),),
    "sold": (F("last_sold_on").asc(nulls_first=True),),
    "value": ("currency", F("stock_value").desc(nulls_last=True)),
}
CSV_HEAD = [
    *("sku", "product", "brand", "warehouse", "class", "steadiness", "status", "on hand", "days of cover"),
    *("turnover", "last sold", "health"),
]
CSV_COSTS = ["stock value", "currency"]

# Days of cover that are still healthy, unless somebody set others.
_MOST = ExpressionWrapper(
    F("lead_time_days") + F("review_days") + Value(float(usual_cover(0, 0)[1])), output_field=FloatField()
)
# What the turnover is of, at cost: the mean of the days that it is of, and not what is there now.
_HELD = ExpressionWrapper(F("mean_stock") * Cast("sku__cost_price", FloatField()), output_field=FloatField())


def sold_before(now: datetime) -> date:
    """What was last sold before this day is dead."""
    return timezone.localdate(now) - timedelta(days=DEAD_DAYS)


def dead(plans: QuerySet[SkuPlan], now: datetime) -> QuerySet[SkuPlan]:
    """What lies there and was not sold for 90 days; what nobody has watched for so long is not known to be dead."""
    day = sold_before(now)
    histories = DemandHistory.objects.filter(sku=OuterRef("sku"), warehouse=OuterRef("warehouse"), first_day__lte=day)
    never = Q(last_sold_on__isnull=True) & Exists(histories)
    return plans.filter(Q(last_sold_on__lt=day) | never, on_hand__gt=0)


def excess(plans: QuerySet[SkuPlan]) -> QuerySet[SkuPlan]:
    """What lasts for longer than is healthy."""
    return plans.annotate(most_cover=_MOST).filter(on_hand__gt=0, cover_days__gt=F("most_cover"))


@dataclass
class Part:
    """Plans of one class or standing: how many, their stock at cost by currency, and how fast it turns."""

    plans: int = 0
    unvalued: int = 0  # with stock whose cost is not known
    values: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    turned: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # turns x mean stock
    of: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, row: Mapping[str, Any]) -> None:
        self.plans += row["plans"]
        self.unvalued += row["unvalued"]
        if row["value"] is not None:
            self.values[row["currency"]] += row["value"]
        if row.get("turned") is not None:
            self.turned[row["currency"]] += row["turned"]
            self.of[row["currency"]] += row["of"]

    @property
    def turns(self) -> float | None:
        """A year, of what was sold beside the mean stock, both at cost; of several currencies nobody can tell."""
        weights = {currency: value for currency, value in self.of.items() if value > 0}
        if len(weights) != 1:
            return None
        ((currency, value),) = weights.items()
        return self.turned[currency] / value

    @property
    def amounts(self) -> str:
        return " · ".join(money(value, currency) for currency, value in sorted(self.values.items()))


@dataclass(frozen=True, slots=True)
class Bar:
    """`width` in hundredths of the longest of its currency."""

    label: str
    text: str
    width: float


@dataclass(frozen=True, slots=True)
class Classes:
    cells: Mapping[tuple[str, str], Part]
    rows: Mapping[str, Part]  # by ABC
    total: Part
    dead: Part
    excess: Part

    def bars(self) -> list[tuple[str, list[Bar]]]:
        """The stock value of each class, for each currency."""
        found = []
        for currency in sorted(self.total.values):
            longest = max(part.values.get(currency, Decimal()) for part in self.rows.values())
            bars = [
                Bar(name, money(value, currency), round(float(value / longest) * 100, 2))
                for name, part in self.rows.items()
                if longest > 0 and (value := part.values.get(currency, Decimal())) >= 0 and part.plans
            ]
            found.append((currency, bars))
        return found


def classes(scope: PlanScope, now: datetime) -> Classes:
    """Three queries, whatever there is."""
    known = Q(turns__isnull=False, mean_stock__isnull=False, sku__cost_price__isnull=False)
    sums = {
        "plans": Count("pk"),
        "value": Sum("stock_value"),
        "unvalued": Count("pk", filter=Q(on_hand__gt=0, stock_value__isnull=True)),
    }
    turned = ExpressionWrapper(F("turns") * _HELD, output_field=FloatField())
    cells = {(abc, xyz): Part() for abc in ABC for xyz in XYZ}
    rows, total = {abc: Part() for abc in ABC}, Part()
    grouped = scope.plans.order_by().values("abc", "xyz", "currency")
    for row in grouped.annotate(**sums, turned=Sum(turned, filter=known), of=Sum(_HELD, filter=known)):
        for part in (cells[row["abc"], row["xyz"]], rows[row["abc"]], total):
            part.add(row)
    return Classes(
        cells,
        rows,
        total,
        dead=_part(dead(scope.plans, now), sums),
        excess=_part(excess(scope.plans), sums),
    )


def _part(plans: QuerySet[SkuPlan], sums: Mapping[str, Any]) -> Part:
    part = Part()
    for row in plans.order_by().values("currency").annotate(**sums):
        part.add(row)
    return part


# --- The list behind a figure ---------------------------------------------------------------------------------------


def narrowed(scope: PlanScope, data: Mapping[str, Any], now: datetime) -> QuerySet[SkuPlan]:
    """The plans of the scope with the class, the standing and the SKU of the address; none where one is wrong."""
    plans = scope.plans
    steady, standing, sku = (data.get(name, "") for name in ("xyz", "stock", "sku"))
    if steady:
        plans = plans.filter(class_is("xyz", steady)) if steady in ("X", "Y", "Z", NO_CLASS) else plans.none()
    if sku:
        plans = plans.filter(sku=int(sku)) if sku.isdecimal() and len(sku) < 19 else plans.none()
    if standing == "dead":
        return dead(plans, now)
    if standing == "excess":
        return excess(plans)
    return plans.none() if standing else plans


def order_of(data: Mapping[str, Any]) -> str:
    usual = {"dead": "sold", "excess": "cover"}.get(data.get("stock", ""), "health")
    name = data.get("order", "")
    return name if name in ORDERS else usual


def listed(scope: PlanScope, data: Mapping[str, Any], now: datetime) -> Page[SkuPlan]:
    plans = narrowed(scope, data, now).select_related("sku__product", "warehouse")
    return page_of(plans.order_by(*ORDERS[order_of(data)], "pk"), data)


def csv_rows(scope: PlanScope, data: Mapping[str, Any], now: datetime, *, with_costs: bool) -> Iterator[list[str]]:
    yield CSV_HEAD + (CSV_COSTS if with_costs else [])
    plans = narrowed(scope, data, now).select_related("sku__product", "warehouse")
    for plan in plans.order_by(*ORDERS[order_of(data)], "pk").iterator():
        product = plan.sku.product
        texts = (plan.sku.code, product.name, product.brand, str(plan.warehouse), plan.abc, plan.xyz, plan.status)
        figures = (plan.on_hand, _tenth(plan.cover_days), _tenth(plan.turns), plan.last_sold_on, _tenth(plan.health))
        costs: Sequence[Any] = (plan.stock_value, plan.currency) if with_costs else ()
        yield [*map(safe_cell, texts), *("" if value is None else str(value) for value in (*figures, *costs))]


def _tenth(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
