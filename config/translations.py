"""Finds, checks and compiles the translated strings with Babel alone, so that no gettext program is needed."""

from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation import to_locale
from django.utils.translation.template import templatize

APPS = ("config", "catalog", "monitoring", "integrations")
_KEYWORDS = {
    name: arguments
    for function, arguments in {
        "gettext": None,
        "ngettext": (1, 2),
        "pgettext": ((1, "c"), 2),
        "npgettext": ((1, "c"), 2, 3),
    }.items()
    for name in (function, f"{function}_lazy", f"{function}_noop")
} | {"_": None}
_IDLE_HEADERS = tuple(
    f'"{name}'.encode()
    for name in (
        "Project-Id-Version",
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
    )
)


def po_path(language: str) -> Path:
    """The catalog of a language code such as zh-hans."""
    return Path(settings.LOCALE_PATHS[0]) / to_locale(language) / "LC_MESSAGES" / "django.po"


def extract_catalog() -> Catalog:
    """Every translatable string of the Python files and templates, with the files that hold it."""
    catalog = Catalog(project="Evenshelf", charset="utf-8", fuzzy=False)
    base = Path(settings.BASE_DIR)
    for app in APPS:
        for path in sorted((base / app).rglob("*.py")):
            _add(catalog, path.relative_to(base), path.read_bytes())
    for path in sorted((base / "templates").rglob("*.*")):
        # What templatize blanks out would not be Python line by line, but is as one line of names and calls.
        source = " ".join(templatize(path.read_text(encoding="utf-8"), origin=str(path)).split("\n"))
        _add(catalog, path.relative_to(base), source.encode())
    return catalog


def _add(catalog: Catalog, path: Path, source: bytes) -> None:
    for _line, message, comments, context in extract(
        "python", BytesIO(source), _KEYWORDS, ["Translators:"], {"encoding": "utf-8"}
    ):
        catalog.add(message, locations=[(path.as_posix(), 0)], auto_comments=comments, context=context)


def update(language: str) -> Catalog:
    """Bring a language's file up to date: new strings come in empty, strings that are gone go. Returns the catalog."""
    catalog = load(language)
    catalog.update(extract_catalog(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    for message in catalog:
        message.locations = [(name, 0) for name, _line in message.locations]
    path = po_path(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    catalog.header_comment = f"# Evenshelf in {catalog.locale.english_name}." if catalog.locale else ""
    text = BytesIO()
    write_po(text, catalog, width=120, sort_output=True, include_lineno=False)
    # Babel's dates and placeholder names would change, or say nothing, in every file.
    path.write_bytes(b"".join(line for line in text.getvalue().splitlines(True) if not line.startswith(_IDLE_HEADERS)))
    return catalog


def load(language: str) -> Catalog:
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=to_locale(language), project="Evenshelf", charset="utf-8", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=to_locale(language))


def faults(language: str) -> list[str]:
    """What is wrong with a language's file, a line each: strings missing, empty, fuzzy or with other placeholders."""
    stored, found = load(language), []
    for message in extract_catalog():
        if not message.id:
            continue
        translated = stored.get(message.id, message.context)
        where = message.locations[0][0]
        if translated is None:
            found.append(f"not in the file: {message.id!r} ({where})")
        elif not all(translated.string if isinstance(translated.string, tuple | list) else [translated.string]):
            found.append(f"not translated: {message.id!r} ({where})")
        elif translated.fuzzy:
            found.append(f"fuzzy: {message.id!r} ({where})")
        else:
            found.extend(f"{fault}: {message.id!r} ({where})" for fault in translated.check(stored))
    return found


def compile_all() -> int:
    """Write the .mo file beside every .po file; returns how many."""
    count = 0
    for path in Path(settings.LOCALE_PATHS[0]).rglob("*.po"):
        with path.open("rb") as file:
            catalog = read_po(file, locale=path.parent.parent.name)
        with path.with_suffix(".mo").open("wb") as file:
            write_mo(file, catalog)
        count += 1
    return count
