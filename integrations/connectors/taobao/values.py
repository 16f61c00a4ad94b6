"""Values of TOP's JSON that are its own: ids, prices in yuan, counts and shop times, each exact or not at all."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from integrations.connectors.taobao.signing import GATEWAY_TIME, TIME_FORMAT
from integrations.connectors.values import HalfAnswer, text

_ID = re.compile(r"[1-9][0-9]{0,19}")
_YUAN = re.compile(r"-?[0-9]{1,10}(?:\.[0-9]{1,2}0*)?")
_COUNT = re.compile(r"-?[0-9]{1,10}")
_LARGEST_COUNT = 2**31 - 1


def is_id(text: str) -> bool:
    """Whether the platform could know this item or SKU id; one other would make it refuse the whole call."""
    return _ID.fullmatch(text) is not None


def identity(value: Any) -> str | None:
    """An id as text, exact; a number with a fraction or an exponent is not an id, whatever its value."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if 0 < value < 10**20 else ""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def yuan(value: Any) -> tuple[Decimal | None, str]:
    """A price and a remark when it is not usable; null and "" are simply not supplied."""
    if value is None or value == "":
        return None, ""
    if not isinstance(value, str) and isinstance(value, int | Decimal) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _YUAN.fullmatch(value):
        return None, "price-unreadable"
    price = Decimal(value)
    return (price, "") if price > 0 else (None, "price-not-positive")


def count(value: Any) -> tuple[int | None, str]:
    """A whole number of units (or seconds) and a remark when it is not usable."""
    if value is None or value == "":
        return None, ""
    if isinstance(value, str) and _COUNT.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value > _LARGEST_COUNT:
        return None, "stock-unreadable"
    return (value, "") if value >= 0 else (None, "stock-negative")


def money(value: Any) -> Decimal | None:
    """An amount in yuan that may be 0; None when it was not told or cannot be read."""
    amount, remark = yuan(value)
    if remark == "price-not-positive" and Decimal(str(value)) == 0:
        return Decimal(0)
    return amount


def fen(value: Any) -> Decimal | None:
    """An amount told in fen, in yuan; None when it was not told or cannot be read."""
    units, _ = count(value)
    return None if units is None else Decimal(units) / 100


def shop_time(value: Any) -> datetime:
    """A time of the shop as aware UTC; raises HalfAnswer when it cannot be read."""
    try:
        return datetime.strptime(text(value), TIME_FORMAT).replace(tzinfo=GATEWAY_TIME).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise HalfAnswer("a time that cannot be read") from error
