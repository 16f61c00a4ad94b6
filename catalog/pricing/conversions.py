"""What sources write, in the terms of the pricing contract (section 2): exactly, or not at all."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from catalog.pricing.currencies import exponent

_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d*))?")
_LOCAL = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?")
_SECOND = timedelta(seconds=1)


class NotConvertible(ValueError):
    """The text says nothing that can be told exactly."""


def scaled(text: str, places: int) -> int:
    """A decimal number times 10 ** places, which must be whole: "9.90" and 2 give 990. Raises NotConvertible."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise NotConvertible(text)
    sign, whole, fraction = found[1], found[2], (found[3] or "").rstrip("0")
    if len(fraction) > places:
        raise NotConvertible(text)
    return int(sign + whole + fraction.ljust(places, "0"))


def minor_units(text: str, currency: str) -> int:
    """An amount in major units: "9.90" CNY is 990, "9.90" JPY is none. Raises NotConvertible."""
    return scaled(text, exponent(currency))


def percent_off(text: str) -> int:
    """A percentage, in basis points: "20.00" is 2000. Raises NotConvertible."""
    return scaled(text, 2)


def price_rate_off(thousandths: int) -> int:
    """Taobao's discount rate, the thousandths of the price still to be paid: 800 is 2000 basis points off."""
    return 10_000 - 10 * thousandths


def start_of(text: str, zone: tzinfo) -> datetime:
    """The first moment of a window, in UTC: local time, or a date, whose day it begins. Raises NotConvertible."""
    day, clock = _parts(text)
    return _utc(day, clock or timedelta(0), zone)


def end_of(text: str, zone: tzinfo) -> datetime:
    """The first moment after a window, in UTC: a date ends with its day, and so does its last second.

    Raises NotConvertible.
    """
    day, clock = _parts(text)
    if clock is None or clock == timedelta(hours=24) - _SECOND:
        clock = timedelta(hours=24)
    return _utc(day, clock, zone)


def inclusive_end(stamp: datetime) -> datetime:
    """WooCommerce's coupons and sales are good in their last second too."""
    return stamp + _SECOND


def _parts(text: str) -> tuple[date, timedelta | None]:
    """The day and the time since its midnight: 24:00 and a leap second are what comes next."""
    found = _LOCAL.fullmatch(text.strip())
    if found is None:
        raise NotConvertible(text)
    try:
        day = date.fromisoformat(found[1])
    except ValueError:
        raise NotConvertible(text) from None
    if found[2] is None:
        return day, None
    hours, minutes, seconds = int(found[2]), int(found[3]), int(found[4] or 0)
    if minutes > 59 or seconds > 60 or hours > 24 or (hours == 24 and (minutes or seconds)):
        raise NotConvertible(text)
    return day, timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _utc(day: date, clock: timedelta, zone: tzinfo) -> datetime:
    return (datetime.combine(day, time()) + clock).replace(tzinfo=zone).astimezone(UTC)
