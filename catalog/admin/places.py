"""What can be chosen for a shop: its currency and its time zone, those that most shops have first."""

from collections.abc import Iterable
from datetime import date
from functools import cache
from zoneinfo import available_timezones

from babel import Locale
from babel.core import get_global
from babel.numbers import get_currency_name, get_territory_currencies
from django.conf import settings
from django.utils import timezone
from django.utils.translation import get_language, gettext, to_locale

from catalog.models import Platform

Group = tuple[str, list[tuple[str, str]]]

_COMMON_CURRENCIES = ("CNY", "USD", "EUR", "GBP", "JPY", "HKD", "TWD", "KRW", "SGD", "MYR", "AUD", "CAD")
_REGIONS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


def currency_choices(stored: str = "") -> list[Group]:
    """The currencies that are legal tender somewhere, with their names; `stored` is among them in any case."""
    language = get_language() or "en"
    others = sorted({*_tender(timezone.now().date()), stored} - {*_COMMON_CURRENCIES, ""})
    return [
        (gettext("Common"), [(code, _named(code, language)) for code in _COMMON_CURRENCIES]),
        (gettext("Others"), [(code, _named(code, language)) for code in others]),
    ]


@cache
def _tender(day: date) -> frozenset[str]:
    territories = get_global("territory_currencies")
    return frozenset(code for territory in territories for code in get_territory_currencies(territory, day, day))


@cache
def _named(code: str, language: str) -> str:
    name = get_currency_name(code, locale=Locale.parse(to_locale(language)))
    return f"{code} · {name}" if name != code else code


def time_zone_choices(stored: str = "") -> list[Group]:
    """The time zones by region; `stored` is among them in any case."""
    common = sorted({settings.TIME_ZONE, "UTC", *(platform.usual["time_zone"] for platform in Platform)})
    by_region = [(region, _same(_zones(region))) for region in _REGIONS]
    if stored and stored not in common and stored.partition("/")[0] not in _REGIONS:
        common.append(stored)
    return [(gettext("Common"), _same(common)), *by_region]


@cache
def _zones(region: str) -> tuple[str, ...]:
    return tuple(sorted(name for name in available_timezones() if name.startswith(f"{region}/")))


def _same(names: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, name) for name in names]
