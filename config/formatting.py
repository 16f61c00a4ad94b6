"""How figures, money and times are written, in the language of the page.

None becomes an em dash: not known is shown, never guessed. The minus sign is U+2212 and stands before the currency.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import format_currency
from django.utils import timezone
from django.utils.translation import get_language, gettext, ngettext, pgettext, to_locale

UNKNOWN = "—"
MINUS = "−"
# Chinese symbols tell currencies apart in every language: ¥ is the yuan, JP¥ the yen, US$ and AU$ the dollars.
_SYMBOLS = Locale.parse("zh_Hans_CN")
_AGO_DAYS = 7
_HAN, _LATIN = "[\u3400-\u9fff\uf900-\ufaff]", "[A-Za-z0-9]"
_AFTER_FULL_STOP = re.compile("([。！？]) ")
_BETWEEN_SCRIPTS = re.compile(f"(?<={_HAN})(?={_LATIN})|(?<={_LATIN})(?={_HAN})")


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(to_locale(language))


def _current_locale() -> Locale:
    return _locale(get_language() or "en")


def money(amount: Decimal | None, currency: str) -> str:
    """An amount with its symbol and the decimals that ISO 4217 gives the currency: ¥268.00, JP¥1,280, −£26.50."""
    if amount is None:
        return UNKNOWN
    return format_currency(amount, currency, "¤#,##0.00", locale=_SYMBOLS).replace("-", MINUS)


def count(number: int | None) -> str:
    """A whole number with thousands by comma."""
    return UNKNOWN if number is None else f"{number:,}".replace("-", MINUS)


def units(number: int | None) -> str:
    """A stock on its own, with its unit: 26 units."""
    if number is None:
        return UNKNOWN
    return ngettext("%(count)s unit", "%(count)s units", number) % {"count": count(number)}


def joined(parts: Iterable[str]) -> str:
    """The parts of a list on one line, with what the language puts between them."""
    return pgettext("between the parts of a list", ", ").join(parts)


def labelled(label: str, text: str) -> str:
    """A text after what it is about: no space follows a colon of full width."""
    colon = gettext(":")
    return f"{label}{colon}{' ' if colon == ':' else ''}{text}"


def percent(ratio: Decimal | None) -> str:
    """A ratio, 1 being the whole, as a percentage with one decimal: 0.252 becomes 25.2%."""
    if ratio is None:
        return UNKNOWN
    return f"{_tenths(ratio * 100):,}%".replace("-", MINUS)


def change_percent(old: Decimal | int | None, new: Decimal | int | None) -> str:
    """By how much a figure moved, as a share of the old one: ▼ 7.2%, ▲ 10.0%, or “no change”."""
    if old is None or new is None:
        return UNKNOWN
    if old == new:
        return gettext("no change")
    arrow = "▲" if new > old else "▼"
    if old == 0:
        return f"{arrow} {gettext('from 0')}"
    share = _tenths(abs(Decimal(new) - Decimal(old)) / abs(Decimal(old)) * 100)
    return f"{arrow} {share:,}%" if share else f"{arrow} <0.1%"


def ago(moment_at: datetime | None, now: datetime) -> str:
    """How long before `now`, in one unit; the date when it is more than seven days."""
    if moment_at is None:
        return UNKNOWN
    seconds = int((now - moment_at).total_seconds())
    if seconds < 0:
        return gettext("in %(duration)s") % {"duration": duration(moment_at - now)}
    if seconds < 60:
        return gettext("%(count)d s ago") % {"count": seconds}
    if seconds < 3600:
        return gettext("%(count)d min ago") % {"count": seconds // 60}
    if seconds < 86_400:
        return gettext("%(count)d h ago") % {"count": seconds // 3600}
    if seconds <= _AGO_DAYS * 86_400:
        return gettext("%(count)d d ago") % {"count": seconds // 86_400}
    return day(moment_at, now)


def day(moment_at: datetime | None, now: datetime, tz: tzinfo | None = None) -> str:
    """The date, with its year when that is not the year of `now`: 24 Nov, 11-24, 24 Nov 2025, 2025-11-24."""
    if moment_at is None:
        return UNKNOWN
    local = timezone.localtime(moment_at, tz)
    pattern = (
        # Translators: a date without its year in Unicode (CLDR) letters, "24 Nov" in English.
        pgettext("date pattern", "d MMM")
        if local.year == timezone.localtime(now, tz).year
        # Translators: a date with its year in Unicode (CLDR) letters, "24 Nov 2026" in English.
        else pgettext("date pattern", "d MMM y")
    )
    return format_datetime(local, pattern, locale=_current_locale())


def moment(moment_at: datetime | None, tz: tzinfo | None = None) -> str:
    """A time for people, with its year when that is not the present one: 24 Nov 09:30, 11-24 09:30, 2025-11-24 09:30.

    `tz`: the site's when None.
    """
    if moment_at is None:
        return UNKNOWN
    return f"{day(moment_at, timezone.now(), tz)} {timezone.localtime(moment_at, tz):%H:%M}"


def iso_moment(moment_at: datetime | None, tz: tzinfo | None = None) -> str:
    """A time for tables and logs, the same in every language: 2026-11-21 11:58."""
    return UNKNOWN if moment_at is None else f"{timezone.localtime(moment_at, tz):%Y-%m-%d %H:%M}"


def duration(length: timedelta | None) -> str:
    """A span in its two largest units: 3 h 4 min. Rounded down; a negative one is written by its size."""
    if length is None:
        return UNKNOWN
    seconds = int(abs(length.total_seconds()))
    if seconds < 60:
        return gettext("%(seconds)d s") % {"seconds": seconds}
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return gettext("%(minutes)d min") % {"minutes": minutes}
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        if not minutes:
            return gettext("%(hours)d h") % {"hours": hours}
        return gettext("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    days, hours = divmod(hours, 24)
    if not hours:
        return gettext("%(days)d d") % {"days": days}
    return gettext("%(days)d d %(hours)d h") % {"days": days, "hours": hours}


def spaced(text: str) -> str:
    """A sentence with a space between Han and Latin letters or digits, wherever a name that was put in lacks it."""
    return _BETWEEN_SCRIPTS.sub(" ", text)


def sentences(*parts: object) -> str:
    """The parts that are not empty, one after the other: no space follows a full stop of full width."""
    return _AFTER_FULL_STOP.sub(r"\1", " ".join(filter(None, map(str, parts))))


def _tenths(figure: Decimal) -> Decimal:
    return figure.quantize(Decimal("0.1"), ROUND_HALF_UP)
