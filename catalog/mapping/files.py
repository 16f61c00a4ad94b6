"""Mappings as CSV and Excel files: written, read, compared with what is stored, applied as a whole or not at all."""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Upper
from django.utils import translation
from django.utils.translation import gettext, gettext_lazy, gettext_noop, ngettext
from openpyxl import Workbook, load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from catalog.mapping import fixes
from catalog.models import AuditEvent, Channel, Listing, Sku, User
from catalog.services import audit, map_listings
from config import formatting

MOST_BYTES = 5_000_000
MOST_ROWS = 20_000
MOST_EXCEL_ROWS = 50_000
_MOST_UNPACKED_BYTES = 200_000_000
_KEYS_AT_ONCE = 500
_EXACT_DIGITS = 15  # spreadsheets keep no more of a number

# What the audit log calls it: of each listing, and of the file.
IMPORTED, UNDONE = gettext_noop("mapping imported"), gettext_noop("mapping import undone")
_IMPORT, _IMPORT_UNDONE = gettext_noop("imported"), gettext_noop("import undone")
_USER = "catalog.user"
_SHOWN = 10

# The columns by their machine names. Their headings are accepted in every language of the site.
COLUMNS = {
    "channel": gettext_lazy("channel"),
    "platform_item_id": gettext_lazy("platform item id"),
    "platform_sku_id": gettext_lazy("platform SKU id"),
    "sku": gettext_lazy("SKU"),
    "pack_factor": gettext_lazy("units per listing"),
    "title": gettext_lazy("title"),  # written for the reader, not read
}
_NEEDED = ("channel", "platform_item_id", "sku")
# A spreadsheet runs what begins with one of these, be it behind what it takes for the end of a cell: where it expects
# semicolons, the file's commas end none.
_FORMULA = re.compile(r"(^\s*|[;|\t\r\n][\s\"]*)(?='*[=+\-@＝＋－＠])|(^)(?=['\t\r])")
_APOSTROPHE = re.compile(r"(^\s*|[;|\t\r\n][\s\"]*)'(?='*[=+\-@＝＋－＠])|(^)'(?=['\t\r])")
# How files begin that are no tables, though their bytes may pass for a text: pictures, PDF, the Excel of before 2007.
_NO_TABLE = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"%PDF", b"\xd0\xcf\x11\xe0")
# What reading a damaged workbook raises, among openpyxl, zipfile and the XML parser.
_DAMAGED = (
    csv.Error,
    InvalidFileException,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    SyntaxError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
)
_SCIENTIFIC = re.compile(r"[0-9](\.[0-9]+)?E\+[0-9]+", re.IGNORECASE)


class Unreadable(ValueError):
    """A file that holds no table of mappings; the message says why, in the present language."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file, as it stands there; `number` as spreadsheets count, the heading being 1."""

    number: int
    channel: str
    item_id: str
    sku_id: str
    code: str
    pack_factor: str
    fault: str = ""  # why the line cannot be believed


@dataclass(frozen=True, slots=True)
class Change:
    """What applying a line does to a listing; keys and pack factors before and after."""

    number: int
    listing_id: int
    name: str
    channel: str
    platform_id: str
    sku_id: int | None
    code: str
    pack_factor: int
    new_sku_id: int | None
    new_code: str
    new_pack_factor: int
    sku_name: str = ""
    new_sku_name: str = ""


@dataclass(frozen=True, slots=True)
class RowError:
    number: int
    text: str


@dataclass
class Preview:
    """What a file would change. With an error in it nothing of it is applied."""

    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    errors: list[RowError] = field(default_factory=list)


class Moved(Exception):
    """So many of the listings are no longer as the preview showed them; nothing was written."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


# --- Written ----------------------------------------------------------------------------------------------------------


def export_rows(listings: QuerySet[Listing]) -> Iterator[list[str]]:
    """The heading and a line per listing, each cell safe to open in a spreadsheet."""
    yield [str(label) for label in COLUMNS.values()]
    rows = listings.order_by("channel__name", "platform_item_id", "platform_sku_id").values_list(
        "channel__name", "platform_item_id", "platform_sku_id", "sku__code", "pack_factor", "title"
    )
    for row in rows.iterator(chunk_size=2_000):
        yield [safe_cell("" if cell is None else str(cell)) for cell in row]


def safe_cell(text: str) -> str:
    """The text with an apostrophe before what a spreadsheet would run; plain_cell() takes it away again."""
    return _FORMULA.sub(lambda found: f"{found[0]}'", text)


def plain_cell(text: str) -> str:
    return _APOSTROPHE.sub(lambda found: found[1] or "", text)


def excel_file(rows: Iterable[Sequence[str]], sheet_name: str = "mapping") -> bytes:
    """The rows as a workbook of one sheet, every cell of it text, so that long ids keep their digits."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(sheet_name)
    for row in rows:
        sheet.append([re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", cell) for cell in row])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


# --- Read -------------------------------------------------------------------------------------------------------------


def read_file(content: bytes) -> list[Row]:
    """The lines of a CSV or Excel file. Raises Unreadable."""
    return [_row(number, cells) for number, cells in read_table(content, COLUMNS, _NEEDED)]


def read_table(
    content: bytes,
    columns: Mapping[str, Any],
    needed: Sequence[str],
    *,
    also_called: Mapping[str, Sequence[str]] | None = None,
    most_rows: int = MOST_ROWS,
) -> list[tuple[int, dict[str, Any]]]:
    """The lines of a CSV or Excel file with their numbers, each cell by the name of its column; empty lines left out.

    `columns`: names and their headings, which are understood in every language; `also_called`: other headings of them.
    Raises Unreadable.
    """
    if len(content) > MOST_BYTES:
        raise Unreadable(gettext("The file is larger than 5 MB. Split it."))
    if content.startswith(_NO_TABLE):
        raise Unreadable(gettext("This is no CSV or Excel file. Save the table as CSV (UTF-8) or .xlsx."))
    try:
        table = _excel_cells(content) if content.startswith(b"PK") else _csv_cells(content)
        places = _places(next(table, []), columns, needed, also_called or {})
        rows = []
        for number, cells in enumerate(table, start=2):
            if any(cell not in (None, "") for cell in cells):
                named = {name: cells[place] if place < len(cells) else None for name, place in places.items()}
                rows.append((number, named))
            if len(rows) > most_rows:
                text = gettext("The file has more than %(most)s rows. Split it.")
                raise Unreadable(text % {"most": formatting.count(most_rows)})
    except _DAMAGED as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(gettext("The file cannot be read. Save it as CSV (UTF-8) or .xlsx.")) from error
    if not rows:
        raise Unreadable(gettext("The file has no rows."))
    return rows


def _csv_cells(content: bytes) -> Iterator[list[Any]]:
    text = _decoded(content)
    heading = text.partition("\n")[0]
    delimiter = max(",\t;", key=heading.count)
    return iter(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _decoded(content: bytes) -> str:
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    # Excel in China writes GB 18030 where nobody asks for another.
    for encoding in ["utf-16"] if is_utf16 else ["utf-8-sig", "gb18030"]:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Unreadable(gettext("The file cannot be read. Save it as CSV (UTF-8) or .xlsx."))


def _excel_cells(content: bytes) -> Iterator[list[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        unpacked = sum(part.file_size for part in packed.infolist())
    if unpacked > _MOST_UNPACKED_BYTES:
        raise Unreadable(gettext("The file is larger than 5 MB. Split it."))
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    if not book.worksheets:
        raise Unreadable(gettext("The file has no rows."))
    return (list(row) for row in book.worksheets[0].iter_rows(values_only=True))


def _places(
    heading: Sequence[Any], columns: Mapping[str, Any], needed: Sequence[str], also_called: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    """Where each column stands."""
    named = {_folded(each): name for name, others in also_called.items() for each in others} | _headings(columns)
    found: dict[str, int] = {}
    for place, cell in enumerate(heading):
        name = named.get(_folded(str(cell or "")))
        if name in found:
            raise Unreadable(gettext("The column “%(name)s” comes twice.") % {"name": columns[name]})
        if name is not None:
            found[name] = place
    if missing := [str(columns[name]) for name in needed if name not in found]:
        names = formatting.joined(gettext("“%(name)s”") % {"name": name} for name in missing)
        text = ngettext("The file has no column %(names)s.", "The file has no columns %(names)s.", len(missing))
        raise Unreadable(text % {"names": names})
    return found


def _headings(columns: Mapping[str, Any]) -> dict[str, str]:
    """Every heading that is understood, folded, with the column that it stands for."""
    found = {_folded(name): name for name in columns}
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            found |= {_folded(str(label)): name for name, label in columns.items()}
    return found


def _folded(heading: str) -> str:
    return re.sub(r"[\s_\ufeff-]", "", plain_cell(heading)).casefold()


def _row(number: int, cells: Mapping[str, Any]) -> Row:
    texts = {name: cell_text(value) for name, value in cells.items()}
    return Row(
        number=number,
        channel=texts["channel"],
        item_id=texts["platform_item_id"],
        sku_id=texts.get("platform_sku_id", ""),
        code=texts["sku"],
        pack_factor=texts.get("pack_factor", ""),
        fault=cell_fault(cells, ids=("platform_item_id", "platform_sku_id", "sku")),
    )


def cell_fault(cells: Mapping[str, Any], *, ids: Sequence[str]) -> str:
    """Why the line cannot be believed: a spreadsheet shortened one of the `ids`, or a cell is no text; "" if it can."""
    fault = ""
    for name, value in cells.items():
        text = cell_text(value)
        if name in ids and (_lost_digits(value) or _SCIENTIFIC.fullmatch(text)):
            fault = gettext(
                "The spreadsheet shortened an id or a SKU. Format these columns as text and enter it again."
            )
        elif "\x00" in text:  # which no database holds
            fault = gettext("A cell holds a character that is none. Enter it again.")
    return fault


def cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return plain_cell(str(value).strip())


def _lost_digits(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) >= 10**_EXACT_DIGITS


# --- Compared ---------------------------------------------------------------------------------------------------------


def preview(*, rows: Sequence[Row], user: User) -> Preview:
    """What the lines would change, among what the person sees. The queries grow by chunks, not by lines."""
    channels = {channel.name: channel for channel in Channel.objects.visible_to(user)}
    listings = _listings_of(rows, channels)
    codes = {row.code for row in rows if row.code and not row.fault}
    skus = skus_by_code(codes, user)
    alike = codes_alike(codes - skus.keys(), user)
    shown = Preview()
    seen: dict[int, int] = {}
    for row in rows:
        listing = listings.get((row.channel, row.item_id, row.sku_id))
        if error := _error(row, channels, listing, skus, alike, seen):
            shown.errors.append(RowError(row.number, error))
            continue
        if listing is None:
            continue  # never: such a line has an error
        seen[listing.pk] = row.number
        sku = skus[row.code] if row.code else None
        pack_factor = int(row.pack_factor) if row.pack_factor else listing.pack_factor
        if (sku.pk if sku else None, pack_factor) == (listing.sku_id, listing.pack_factor):
            shown.unchanged += 1
            continue
        shown.changes.append(
            Change(
                number=row.number,
                listing_id=listing.pk,
                name=str(listing),
                channel=row.channel,
                platform_id=listing.platform_id,
                sku_id=listing.sku_id,
                code=listing.sku.code if listing.sku else "",
                pack_factor=listing.pack_factor,
                new_sku_id=sku.pk if sku else None,
                new_code=sku.code if sku else "",
                new_pack_factor=pack_factor,
                sku_name=_name(listing.sku),
                new_sku_name=_name(sku),
            )
        )
    return shown


def _listings_of(rows: Sequence[Row], channels: Mapping[str, Channel]) -> dict[tuple[str, str, str], Listing]:
    found: dict[tuple[str, str, str], Listing] = {}
    ids: dict[str, set[str]] = {}
    for row in rows:
        if row.channel in channels and row.item_id and not row.fault:
            ids.setdefault(row.channel, set()).add(row.item_id)
    for name, item_ids in ids.items():
        for some in _parts(sorted(item_ids)):
            listings = (
                channels[name].listings.current().filter(platform_item_id__in=some).select_related("sku__product")
            )
            for listing in listings:
                found[name, listing.platform_item_id, listing.platform_sku_id] = listing
    return found


def skus_by_code(codes: Iterable[str], user: User) -> dict[str, Sku]:
    """The SKUs that the person sees, with their products."""
    skus = Sku.objects.visible_to(user).select_related("product")
    return {sku.code: sku for some in _parts(sorted(codes)) for sku in skus.filter(code__in=some)}


def codes_alike(codes: Iterable[str], user: User) -> dict[str, str]:
    """By codes that are no SKU's in capitals, the codes of SKUs that are the same but for capitals."""
    found: dict[str, str] = {}
    skus = Sku.objects.visible_to(user).annotate(folded=Upper("code"))
    for some in _parts(sorted({code.upper() for code in codes})):
        found |= dict(skus.filter(folded__in=some).values_list("folded", "code"))
    return found


def _name(sku: Sku | None) -> str:
    return f"{sku.product} {sku.name}".strip() if sku is not None else ""


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[start : start + _KEYS_AT_ONCE]


def _error(
    row: Row,
    channels: Mapping[str, Channel],
    listing: Listing | None,
    skus: Mapping[str, Sku],
    alike: Mapping[str, str],
    seen: Mapping[int, int],
) -> str:
    """Why a line cannot be applied; "" when it can."""
    if row.fault:
        return row.fault
    if row.channel not in channels:
        return gettext("There is no channel “%(name)s”.") % {"name": row.channel[:80]}
    if listing is None:
        ids = f"{row.item_id}/{row.sku_id}" if row.sku_id else row.item_id
        return gettext("The channel has no listing %(id)s. Find its listings first.") % {"id": ids[:80] or "—"}
    if listing.pk in seen:
        return gettext("Row %(number)d is about the same listing.") % {"number": seen[listing.pk]}
    if row.code and row.code not in skus:
        no_sku = gettext("There is no SKU “%(code)s”.") % {"code": row.code[:100]}
        meant = alike.get(row.code.upper())
        return formatting.sentences(no_sku, gettext("Did you mean %(code)s?") % {"code": meant} if meant else "")
    if row.pack_factor and not re.fullmatch(r"0*[1-9][0-9]{0,5}", row.pack_factor):
        return gettext("Units per listing is a whole number from 1 to 999999.")
    return ""


# --- Applied ----------------------------------------------------------------------------------------------------------


def apply(*, changes: Sequence[Change], actor: User, now: datetime) -> int:
    """Write all changes of a preview; returns how many listings changed. Raises Moved, and writes nothing, when one of
    the listings is not any more what the preview showed, or its SKU is gone."""
    by_id = {change.listing_id: change for change in changes}
    skus: dict[int, Sku] = {}
    with transaction.atomic():
        visible = Listing.objects.visible_to(actor).current().select_for_update(of=("self",))
        stored: dict[int, tuple[int | None, int]] = {}
        for some in _id_parts(sorted(by_id)):
            rows = visible.filter(pk__in=some).order_by("pk").values_list("pk", "sku", "pack_factor")
            stored |= {pk: (sku_id, pack_factor) for pk, sku_id, pack_factor in rows}
        for some in _id_parts(sorted({change.new_sku_id for change in changes if change.new_sku_id})):
            skus |= Sku.objects.visible_to(actor).in_bulk(list(some))
        moved = [
            change
            for change in changes
            if stored.get(change.listing_id) != (change.sku_id, change.pack_factor)
            or (change.new_sku_id is not None and change.new_sku_id not in skus)
        ]
        if moved:
            raise Moved(len(moved))
        changed = map_listings(
            skus={pk: skus[change.new_sku_id] if change.new_sku_id else None for pk, change in by_id.items()},
            pack_factors={pk: change.new_pack_factor for pk, change in by_id.items()},
            actor=actor,
            now=now,
            action=IMPORTED,
        )
        audit(
            action=_IMPORT,
            obj=actor,
            actor=actor,
            now=now,
            changes={gettext_noop("mappings"): [None, len(changed)]},
        )
    return len(changed)


def recent_imports(user: User, now: datetime) -> list[AuditEvent]:
    """The latest files that were brought back and can be undone, newest first."""
    events = AuditEvent.objects.visible_to(user).filter(at__gt=now - fixes.UNDONE_WITHIN, object_type=_USER)
    undone = {event.changes["import"][0] for event in events.filter(action=_IMPORT_UNDONE)}
    imports = events.filter(action=_IMPORT).select_related("actor").order_by("-at", "-pk")
    found = [event for event in imports[: _SHOWN + len(undone)] if event.at.isoformat() not in undone]
    return [event for event in found if event.changes["mappings"][1]][:_SHOWN]


def undo_import(*, event: AuditEvent, actor: User, now: datetime) -> tuple[int, int]:
    """Put back the mappings that a file changed; returns of how many listings, and how many were left alone, because
    they were mapped anew since or cannot be seen."""
    with transaction.atomic():
        AuditEvent.objects.select_for_update().get(pk=event.pk)  # two people at once
        if AuditEvent.objects.filter(action=_IMPORT_UNDONE, changes__import=[event.at.isoformat(), None]).exists():
            return 0, 0
        events = list(AuditEvent.objects.filter(action=IMPORTED, at=event.at, actor=event.actor).order_by("pk"))
        done = fixes.undo(events=events, actor=actor, now=now, action=UNDONE)
        changes: dict[str, list[Any]] = {
            gettext_noop("import"): [event.at.isoformat(), None],
            gettext_noop("mappings"): [done, None],
        }
        audit(action=_IMPORT_UNDONE, obj=actor, actor=actor, now=now, changes=changes)
    return done, len(events) - done


def _id_parts(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[start : start + _KEYS_AT_ONCE]
