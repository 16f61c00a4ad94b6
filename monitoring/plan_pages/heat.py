"""Days of cover of each SKU in each warehouse, the most urgent first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page
from django.db.models import F, Min
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalog.models import Sku, Warehouse
from config.formatting import UNKNOWN, count
from monitoring.history import safe_cell
from monitoring.models import SkuPlan
from monitoring.plan_pages.scope import PlanScope, page_of

# The first days of each level; below the first it has run out.
LEVELS: Sequence[tuple[float, str | Promise]] = (
    (0, gettext_lazy("<7")),
    (7, "7–13"),
    (14, "14–29"),
    (30, "30–59"),
    (60, "60–119"),
    (120, "120+"),
)
_ICONS = {0: "critical", 1: "critical", 2: "warning"}
CSV_HEAD = ["sku", "product", "brand", "warehouse", "status", "days of cover", "runs out on"]


@dataclass(frozen=True, slots=True)
class Cell:
    """`level` is 0 for what has run out, 1 to 6 for LEVELS, None for what has no days of cover."""

    text: str
    level: int | None = None
    line: str = ""  # why there is no figure, or what it is about
    url: str = ""

    @property
    def icon(self) -> str:
        return "" if self.level is None else _ICONS.get(self.level, "")


NOT_HERE = Cell(UNKNOWN)


@dataclass(frozen=True, slots=True)
class Row:
    sku: Sku
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Heat:
    warehouses: Sequence[Warehouse]
    rows: Sequence[Row]
    page: Page[Any]


def level_of(days: float) -> int:
    return 0 if days <= 0 else sum(days >= first for first, _label in LEVELS)


def heat(scope: PlanScope, data: Mapping[str, Any]) -> Heat:
    """A page of SKUs by their least cover; what has none in any warehouse comes last."""
    warehouses = scope.warehouses
    plans = scope.plans.filter(warehouse__in=warehouses)
    ordered = plans.values("sku_id").annotate(least=Min("cover_days"))
    page = page_of(ordered.order_by(F("least").asc(nulls_last=True), "sku_id"), data)
    ids = [row["sku_id"] for row in page.object_list]
    skus = Sku.objects.select_related("product").in_bulk(ids)
    cells = {(plan.sku_id, plan.warehouse_id): _cell(plan) for plan in plans.filter(sku__in=ids)}
    rows = [
        Row(skus[sku_id], [cells.get((sku_id, warehouse.pk), NOT_HERE) for warehouse in warehouses]) for sku_id in ids
    ]
    return Heat(warehouses, rows, page)


def _cell(plan: SkuPlan) -> Cell:
    url = f"{reverse('plan:sku', args=[plan.sku_id])}?warehouse={plan.warehouse_id}"
    days = plan.cover_days
    if days is None:
        return Cell(UNKNOWN, None, plan.get_status_display(), url)
    if 0 < days < 1:
        return Cell("<1", 1, "", url)
    return Cell(count(max(0, int(days))), level_of(days), "", url)


def legend() -> list[Cell]:
    """One cell for each level, and the ones without."""
    levels = [Cell(str(label), level) for level, (_first, label) in enumerate(LEVELS, start=1)]
    return [Cell("0", 0), *levels, Cell(_("— not stocked here, or no days of cover"))]


def csv_rows(scope: PlanScope) -> Iterator[list[str]]:
    yield CSV_HEAD
    plans = scope.plans.filter(warehouse__in=scope.warehouses).order_by(
        F("cover_days").asc(nulls_last=True), "sku_id", "warehouse_id"
    )
    fields = ("sku__code", "sku__product__name", "sku__product__brand", "warehouse__name", "warehouse__code")
    for code, product, brand, name, warehouse, status, days, day in plans.values_list(
        *fields, "status", "cover_days", "stock_out_on"
    ).iterator():
        texts = [safe_cell(text) for text in (code, product, brand, name or warehouse)]
        yield [*texts, status, "" if days is None else f"{days:.1f}", "" if day is None else day.isoformat()]
