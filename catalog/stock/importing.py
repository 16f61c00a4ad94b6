"""Stock counts as CSV and Excel files: read, compared with the books, booked as a whole or not at all.

The keys of the counts come from what the file says, so that the same file brought twice is booked once, whatever was
sold in between. Whoever counts the same figures anew says so in the reasons.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from catalog.database import among, parts
from catalog.mapping.files import cell_fault, cell_text, codes_alike, read_table, safe_cell, skus_by_code
from catalog.models import BundleComponent, Sku, StockLevel, StockMovement, User, Warehouse
from catalog.models.stock import MOST_UNITS
from catalog.services import audit
from catalog.stock.counts import Counted, count_many
from catalog.stock.ledger import Source, lock_skus
from config import formatting

COLUMNS = {
    "sku": gettext_lazy("SKU"),
    "warehouse": gettext_lazy("warehouse"),
    "counted": gettext_lazy("counted"),
    "reason": gettext_lazy("reason"),
}
_NEEDED = ("sku", "warehouse", "counted")
_LONGEST_REASON = 200
IMPORTED = gettext_noop("counts imported")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file, as it stands there; `number` as spreadsheets count, the heading being 1."""

    number: int
    code: str
    warehouse: str
    counted: str
    reason: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a line does to a level: the units on hand, by the books and as counted. `books` None: never counted."""

    number: int
    sku_id: int
    code: str
    name: str
    warehouse_id: int
    warehouse: str
    books: int | None
    counted: int
    reason: str
    key: str
    reserved: int = 0  # promised to orders from there

    @property
    def missing(self) -> int:
        """Units that are promised to orders and were not found."""
        return max(self.reserved - self.counted, 0)

    @property
    def difference(self) -> int:
        return self.counted - (self.books or 0)


@dataclass(frozen=True, slots=True)
class RowError:
    number: int
    text: str


@dataclass
class Preview:
    """What a file would book. With an error in it nothing of it is."""

    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    empty: int = 0  # lines in which nothing was counted
    errors: list[RowError] = field(default_factory=list)
    booked_at: datetime | None = None  # this very file was booked then

    @property
    def short(self) -> int:
        """Counts that leave less than is promised to orders."""
        return sum(bool(change.missing) for change in self.changes)


class Moved(Exception):
    """So many of the levels are no longer as the preview showed them; nothing was booked."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


def template_rows(skus: Iterable[Sku], warehouse: Warehouse | None) -> Iterator[list[str]]:
    """The heading, and a line to be filled in for each SKU that is to be counted in the warehouse."""
    yield [str(label) for label in COLUMNS.values()]
    if warehouse is not None:
        for sku in skus:
            yield [safe_cell(sku.code), safe_cell(warehouse.code), "", ""]


def countable(user: User) -> list[Sku]:
    """The active SKUs that the person sees, without bundles, which have no stock of their own."""
    is_bundle = Exists(BundleComponent.objects.filter(bundle=OuterRef("pk")))
    return list(Sku.objects.visible_to(user).filter(~is_bundle, status=Sku.Status.ACTIVE).order_by("code"))


def read_counts(content: bytes) -> list[Row]:
    """The lines of a CSV or Excel file. Raises Unreadable."""
    rows = []
    for number, cells in read_table(content, COLUMNS, _NEEDED):
        texts = {name: cell_text(value) for name, value in cells.items()}
        fault = cell_fault(cells, ids=("sku",))
        reason = texts.get("reason", "")
        rows.append(Row(number, texts["sku"], texts["warehouse"], texts["counted"], reason, fault))
    return rows


def preview(*, rows: Sequence[Row], user: User) -> Preview:
    """What the lines would book, of SKUs that the person sees. The queries grow by chunks, not by lines."""
    codes = {row.code for row in rows if row.code and not row.fault}
    skus = skus_by_code(codes, user)
    alike = codes_alike(codes - skus.keys(), user)
    bundles = _bundles(skus)
    warehouses = _warehouses()
    sku_ids = [sku.pk for sku in skus.values()]
    levels, reserved = _levels(sku_ids), _reserved(sku_ids)
    mark = _mark(rows)
    shown = Preview(booked_at=_booked_at(mark))
    seen: dict[tuple[int, int], int] = {}
    for row in rows:
        if not row.counted and not row.fault:
            shown.empty += 1
            continue
        sku, warehouse = skus.get(row.code), warehouses.get(row.warehouse.casefold())
        if error := _error(row, sku, warehouse, alike, bundles):
            shown.errors.append(RowError(row.number, error))
            continue
        if sku is None or warehouse is None:
            continue  # never: such a line has an error
        place = (sku.pk, warehouse.pk)
        if place in seen:
            text = gettext("Row %(number)d is about the same SKU in the same warehouse.")
            shown.errors.append(RowError(row.number, text % {"number": seen[place]}))
            continue
        seen[place] = row.number
        books, counted = levels.get(place), int(row.counted)
        if books == counted:
            shown.unchanged += 1
            continue
        shown.changes.append(
            Change(
                number=row.number,
                sku_id=sku.pk,
                code=sku.code,
                name=f"{sku.product} {sku.name}".strip(),
                warehouse_id=warehouse.pk,
                warehouse=str(warehouse),
                books=books,
                counted=counted,
                reason=row.reason,
                key=f"import:{mark}:{sku.pk}:{warehouse.pk}",
                reserved=reserved.get(place, 0),
            )
        )
    if shown.booked_at is not None:
        shown.changes = []
    return shown


def _bundles(skus: Mapping[str, Sku]) -> set[int]:
    keys = sorted(sku.pk for sku in skus.values())
    return set(BundleComponent.objects.filter(bundle__in=among(keys)).values_list("bundle", flat=True))


def _warehouses() -> dict[str, Warehouse]:
    """By name and by code, whatever their capitals; the code goes first."""
    warehouses = list(Warehouse.objects.all())
    by_name = {each.name.casefold(): each for each in reversed(warehouses) if each.name}
    return by_name | {each.code.casefold(): each for each in warehouses}


def _levels(sku_ids: Sequence[int]) -> dict[tuple[int, int], int]:
    """(SKU, warehouse) -> units on hand, where something was counted."""
    levels = StockLevel.objects.filter(sku__in=among(sorted(sku_ids)), is_counted=True).order_by()
    return {(sku, warehouse): units for sku, warehouse, units in levels.values_list("sku", "warehouse", "on_hand")}


def _reserved(sku_ids: Sequence[int]) -> dict[tuple[int, int], int]:
    """(SKU, warehouse) -> units that are promised to orders."""
    levels = StockLevel.objects.filter(sku__in=among(sorted(sku_ids)), reserved__gt=0).order_by()
    return {(sku, warehouse): units for sku, warehouse, units in levels.values_list("sku", "warehouse", "reserved")}


def _error(row: Row, sku: Sku | None, warehouse: Warehouse | None, alike: Mapping[str, str], bundles: set[int]) -> str:
    """Why a line cannot be booked; "" when it can."""
    if row.fault:
        return row.fault
    if sku is None:
        no_sku = gettext("There is no SKU “%(code)s”.") % {"code": row.code[:100]}
        meant = alike.get(row.code.upper())
        return f"{no_sku} {gettext('Did you mean %(code)s?') % {'code': meant}}" if meant else no_sku
    if sku.pk in bundles:
        text = gettext("%(sku)s is a bundle and has no stock of its own. Count the SKUs it consists of.")
        return text % {"sku": sku}
    if warehouse is None:
        return gettext("There is no warehouse “%(name)s”.") % {"name": row.warehouse[:80]}
    if not re.fullmatch(r"[0-9]{1,9}", row.counted) or int(row.counted) > MOST_UNITS:
        return gettext("“%(counted)s” is no count: enter 0 to %(most)s units.") % {
            "counted": row.counted[:40],
            "most": formatting.count(MOST_UNITS),
        }
    if len(row.reason) > _LONGEST_REASON:
        return gettext("The reason is longer than 200 characters.")
    return ""


def _mark(rows: Sequence[Row]) -> str:
    """What tells a file from another one: all that it says, in whatever format."""
    told = [[row.code, row.warehouse.casefold(), row.counted, row.reason] for row in rows]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:40]


def _booked_at(mark: str) -> datetime | None:
    """When counts of this file were booked; None if none was."""
    keys = StockMovement.objects.filter(key__startswith=f"import:{mark}:").order_by("pk")
    return keys.values_list("created_at", flat=True).first()


def apply(*, changes: Sequence[Change], actor: User, now: datetime) -> int:
    """Book all counts of a preview; returns how many are new. Raises Moved, and books nothing, when the books of one do
    not say any more what the preview showed, and StockError when one cannot be booked any more."""
    with transaction.atomic():
        lock_skus({change.sku_id for change in changes})
        done = {
            key
            for some in parts([change.key for change in changes])
            for key in StockMovement.objects.filter(key__in=some).values_list("key", flat=True)
        }
        levels = _levels(sorted({change.sku_id for change in changes}))
        new = [change for change in changes if change.key not in done]
        moved = [each for each in new if levels.get((each.sku_id, each.warehouse_id)) != each.books]
        if moved:
            raise Moved(len(moved))
        counts = [Counted(each.sku_id, each.warehouse_id, each.counted, each.key, each.reason) for each in new]
        booked = count_many(counts, actor=actor, source=Source.IMPORT, now=now) if counts else []
        if booked:
            audit(
                action=IMPORTED, obj=actor, actor=actor, now=now, changes={gettext_noop("counts"): [None, len(booked)]}
            )
    return len(booked)
