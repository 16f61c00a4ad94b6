"""Sales from before the stock ledger as CSV and Excel files: read, looked at, and stored as a whole or not at all.

The last file counts: it replaces what others told of the same day. What the ledger knows itself is left out.
"""

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from django.db import connection, transaction
from django.db.models import Count, Max, Min, QuerySet, Sum
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from catalog.database import among, driver_rows, parts, put_rows
from catalog.mapping.files import cell_fault, cell_text, codes_alike, read_table, safe_cell, skus_by_code
from catalog.models import BundleComponent, Sku, StockMovement, User, Warehouse
from catalog.models.stock import MOST_UNITS
from catalog.services import audit
from config import formatting
from monitoring.models import DemandHistory, ImportedSale, SalesImport
from monitoring.services.planning.demand import build_demand, local_day, yesterday

COLUMNS = {
    "day": gettext_lazy("day"),
    "sku": gettext_lazy("SKU"),
    "units": gettext_lazy("units sold"),
    "warehouse": gettext_lazy("warehouse"),
}
_NEEDED = ("day", "sku", "units")
# What the platforms' exports, ERPs and merchants call them.
_ALSO_CALLED: Mapping[str, Sequence[str]] = {
    "day": ("date", "sale date", "order date", "日期", "销售日期", "下单日期", "付款日期", "统计日期"),
    "sku": ("sku code", "product code", "code", "barcode", "商品编码", "商家编码", "SKU编码", "规格编码", "条码"),
    "units": ("quantity", "qty", "units", "sold", "sales", "销量", "数量", "销售数量", "销售件数", "件数"),
    "warehouse": ("warehouse code", "仓库", "仓库编码", "仓库名称", "发货仓", "发货仓库"),
}  # fmt: skip
MOST_ROWS = 100_000  # of a file
OLDEST_DAYS = 5 * 366
GAP_DAYS = 28  # so many days without one row look like a part of the history that is missing
_ROWS_AT_ONCE = 5_000
_DATE = re.compile(r"(\d{4})([-/.年])(\d{1,2})([-/.月])(\d{1,2})日?(?:[ T]0?0:00(?::00)?)?")
_UNITS = re.compile(r"([0-9]{1,9})(?:\.0+)?")
IMPORTED = gettext_noop("sales imported")
REMOVED = gettext_noop("import of sales removed")

Sale = tuple[int, int, int, int]  # SKU, warehouse, ordinal of the day, units


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file, as it stands there; `number` as spreadsheets count, the heading being 1."""

    number: int
    day: str
    code: str
    units: str
    warehouse: str
    fault: str = ""


@dataclass(slots=True)
class Place:
    """What a file tells of a SKU in a warehouse."""

    code: str
    name: str
    warehouse: str
    first: date
    last: date
    days: int = 0
    units: int = 0
    replaced: int = 0  # days of which another file told other units


@dataclass(frozen=True, slots=True)
class Gap:
    """Days of a warehouse, both inclusive, of which the file tells nothing, and which count as without sales."""

    warehouse: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class RowError:
    number: int
    text: str


@dataclass
class Preview:
    """What a file would store. With an error in it nothing of it is."""

    places: list[Place] = field(default_factory=list)
    sales: list[Sale] = field(default_factory=list)
    unchanged: int = 0
    in_ledger: int = 0  # lines of days that the stock ledger knows
    gaps: list[Gap] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)


# --- Read -------------------------------------------------------------------------------------------------------------


def read_sales(content: bytes) -> list[Row]:
    """The lines of a CSV or Excel file. Raises Unreadable."""
    rows = []
    for number, cells in read_table(content, COLUMNS, _NEEDED, also_called=_ALSO_CALLED, most_rows=MOST_ROWS):
        texts = {name: cell_text(value) for name, value in cells.items()}
        fault = cell_fault(cells, ids=("sku",))
        rows.append(Row(number, texts["day"], texts["sku"], texts["units"], texts.get("warehouse", ""), fault))
    return rows


def template_rows() -> Iterator[list[str]]:
    """The heading, and a line that shows how to fill it in."""
    yield [str(label) for label in COLUMNS.values()]
    sku = Sku.objects.filter(status=Sku.Status.ACTIVE).order_by("code").values_list("code", flat=True).first()
    place = Warehouse.objects.filter(is_active=True).values_list("code", flat=True).first()
    yield ["2026-01-31", safe_cell(sku or "EV-KET-600"), "12", safe_cell(place or "")]


# --- Compared ---------------------------------------------------------------------------------------------------------


def preview(*, rows: Sequence[Row], user: User, now: datetime) -> Preview:
    """What the lines would store, of SKUs that the person sees. The queries grow by chunks, not by lines."""
    codes = {row.code for row in rows if row.code and not row.fault}
    finder = _Finder(codes, user, now)
    shown = Preview()
    seen: dict[tuple[int, int, int], int] = {}
    begins = _ledger_begins(finder.sku_ids)
    known = _stored(finder.sku_ids)
    places: dict[tuple[int, int], Place] = {}
    for row in rows:
        found = finder.find(row)
        if isinstance(found, str):
            shown.errors.append(RowError(row.number, found))
            continue
        sku, warehouse, day, units = found
        key = (sku.pk, warehouse.pk, day)
        if key in seen:
            text = gettext("Row %(number)d is about the same day of the same SKU and warehouse.")
            shown.errors.append(RowError(row.number, text % {"number": seen[key]}))
            continue
        seen[key] = row.number
        if day >= begins.get(key[:2], day + 1):
            shown.in_ledger += 1
            continue
        before = known.get(key)
        if before == units:
            shown.unchanged += 1
            continue
        at = date.fromordinal(day)
        place = places.get(key[:2])
        if place is None:
            name = f"{sku.product} {sku.name}".strip()
            place = places[key[:2]] = Place(sku.code, name, str(warehouse), at, at)
        place.first, place.last = min(place.first, at), max(place.last, at)
        place.days += 1
        place.units += units
        place.replaced += before is not None
        shown.sales.append((*key, units))
    shown.places = list(places.values())
    told: dict[str, set[int]] = {}
    for _sku, warehouse_id, day in (*seen, *known):
        told.setdefault(finder.names[warehouse_id], set()).add(day)
    shown.gaps = [gap for warehouse, days in told.items() for gap in _gaps(warehouse, sorted(days))]
    return shown


def _gaps(warehouse: str, days: Sequence[int]) -> Iterator[Gap]:
    for before, after in itertools.pairwise(days):
        if after - before > GAP_DAYS:
            yield Gap(warehouse, date.fromordinal(before + 1), date.fromordinal(after - 1))


class _Finder:
    """Finds what a line is about, or says in words why it cannot be stored."""

    def __init__(self, codes: Collection[str], user: User, now: datetime) -> None:
        self._skus = skus_by_code(codes, user)
        unknown = sorted(set(codes) - self._skus.keys())
        self._barcodes: dict[str, list[Sku]] = {}
        for some in parts(unknown):
            for sku in Sku.objects.visible_to(user).filter(barcode__in=some).select_related("product"):
                self._barcodes.setdefault(sku.barcode, []).append(sku)
        self._alike = codes_alike(set(unknown) - self._barcodes.keys(), user)
        of_codes = [*self._skus.values(), *(sku for skus in self._barcodes.values() for sku in skus)]
        self.sku_ids = sorted({sku.pk for sku in of_codes})
        held = BundleComponent.objects.filter(bundle__in=among(self.sku_ids))
        self._bundles = set(held.values_list("bundle", flat=True))
        warehouses = list(Warehouse.objects.all())
        by_name = {each.name.casefold(): each for each in reversed(warehouses) if each.name}
        self._warehouses = by_name | {each.code.casefold(): each for each in warehouses}
        self.names = {each.pk: str(each) for each in warehouses}
        self._first = next((each for each in warehouses if each.is_active), None)
        self._last_day = yesterday(now).toordinal()
        self._days: dict[str, int | None] = {}

    def find(self, row: Row) -> tuple[Sku, Warehouse, int, int] | str:
        if row.fault:
            return row.fault
        sku = self._sku(row.code)
        if isinstance(sku, str):
            return sku
        warehouse = self._warehouses.get(row.warehouse.casefold()) if row.warehouse else self._first
        if warehouse is None:
            return gettext("There is no warehouse “%(name)s”.") % {"name": row.warehouse[:80]}
        if row.day not in self._days:
            self._days[row.day] = _day(row.day)
        day = self._days[row.day]
        if day is None:
            return gettext("“%(day)s” is no day: write 2026-01-31.") % {"day": row.day[:40]}
        if day > self._last_day:
            return gettext("%(day)s is not over yet.") % {"day": date.fromordinal(day).isoformat()}
        if day <= self._last_day - OLDEST_DAYS:
            return gettext("%(day)s is more than 5 years ago. Leave such days out.") % {
                "day": date.fromordinal(day).isoformat()
            }
        units = _UNITS.fullmatch(row.units)
        if units is None or int(units[1]) > MOST_UNITS:
            return gettext("“%(units)s” is no number of units sold: enter a whole one from 0 to %(most)s.") % {
                "units": row.units[:40],
                "most": formatting.count(MOST_UNITS),
            }
        return sku, warehouse, day, int(units[1])

    def _sku(self, code: str) -> Sku | str:
        """By its code, or by a barcode that no other one has."""
        found = [self._skus[code]] if code in self._skus else self._barcodes.get(code, [])
        if len(found) > 1:
            return gettext("Several SKUs have the barcode “%(code)s”. Give the code of one.") % {"code": code[:100]}
        if not found:
            no_sku = gettext("There is no SKU “%(code)s”.") % {"code": code[:100]}
            meant = self._alike.get(code.upper())
            return formatting.sentences(no_sku, gettext("Did you mean %(code)s?") % {"code": meant} if meant else "")
        if found[0].pk in self._bundles:
            text = gettext("%(sku)s is a bundle. Give the sales of the SKUs it consists of.")
            return text % {"sku": found[0]}
        return found[0]


def _day(text: str) -> int | None:
    """Its ordinal; None for what is no day, or could be two."""
    if re.fullmatch(r"20\d{6}", text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    found = _DATE.fullmatch(text)
    if found is None or (found[2], found[4]) not in {("-", "-"), ("/", "/"), (".", "."), ("年", "月")}:
        return None
    try:
        return date(int(found[1]), int(found[3]), int(found[5])).toordinal()
    except ValueError:
        return None


def _ledger_begins(sku_ids: Sequence[int]) -> dict[tuple[int, int], int]:
    """(SKU, warehouse) -> the local day of its first movement."""
    moved = StockMovement.objects.filter(sku__in=among(sku_ids)).order_by().values("sku", "warehouse")
    first = moved.annotate(day=Min(local_day("happened_at")))
    return {(sku, warehouse): day for sku, warehouse, day in driver_rows(first, ("sku", "warehouse", "day"))}


def _stored(sku_ids: Sequence[int]) -> dict[tuple[int, int, int], int]:
    rows = ImportedSale.objects.filter(sku__in=among(sku_ids)).order_by()
    known = rows.values_list("sku", "warehouse", "day", "units").iterator()
    return {(sku, warehouse, day.toordinal()): units for sku, warehouse, day, units in known}


# --- Stored -----------------------------------------------------------------------------------------------------------


def apply(*, sales: Sequence[Sale], name: str, actor: User, now: datetime) -> SalesImport:
    """Store all that a preview showed, and work out the demand of its SKUs anew."""
    with transaction.atomic():
        brought = SalesImport.objects.create(name=name[:200], imported_at=now, imported_by=actor)
        as_stored = connection.ops.adapt_datefield_value
        for start in range(0, len(sales), _ROWS_AT_ONCE):
            rows = [
                (sku, warehouse, as_stored(date.fromordinal(day)), units, brought.pk)
                for sku, warehouse, day, units in sales[start : start + _ROWS_AT_ONCE]
            ]
            put_rows(ImportedSale, ("sku", "warehouse", "day"), ("units", "file"), rows)
        SalesImport.objects.filter(sales__isnull=True).delete()  # of which nothing counts any more
        changes = {gettext_noop("sales"): [None, len(sales)]}
        audit(action=IMPORTED, obj=brought, actor=actor, now=now, changes=changes)
        _work_out({sale[0] for sale in sales}, now)
    return brought


def remove(*, brought: SalesImport, actor: User, now: datetime) -> int:
    """Forget what a file told, as far as no later one told it anew; returns how many days of SKUs."""
    with transaction.atomic():
        found = SalesImport.objects.select_for_update(of=("self",)).filter(pk=brought.pk).first()
        if found is None:
            return 0
        sku_ids = set(found.sales.order_by().values_list("sku", flat=True).distinct())
        count = found.sales.count()
        audit(action=REMOVED, obj=found, actor=actor, now=now, changes={gettext_noop("sales"): [count, None]})
        found.delete()
        _work_out(sku_ids, now)
    return count


def _work_out(sku_ids: Iterable[int], now: datetime) -> None:
    """A history of which nothing is left is not worked out, and would stay."""
    changed = sorted(sku_ids)
    DemandHistory.objects.filter(sku__in=among(changed), source=DemandHistory.Source.IMPORT).delete()
    build_demand(changed, now=now)


@dataclass(frozen=True, slots=True)
class Brought:
    """What counts of a file by now."""

    file: SalesImport
    skus: int
    days: int
    units: int
    first: date | None
    last: date | None


def brought(files: QuerySet[SalesImport]) -> list[Brought]:
    """The newest 50, in two statements."""
    newest = list(files.select_related("imported_by")[:50])
    sales = ImportedSale.objects.filter(file__in=among([each.pk for each in newest])).order_by()
    sums = {
        file: figures
        for file, *figures in sales.values_list("file").annotate(
            Count("sku", distinct=True), Count("pk"), Sum("units"), Min("day"), Max("day")
        )
    }
    return [Brought(each, *sums.get(each.pk, (0, 0, 0, None, None))) for each in newest]
