"""Values as platforms' JSON has them in, plain ones out; what cannot be right is not a value. Pure."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from integrations.connectors.errors import Retry

LONGEST_TITLE = 255
LONGEST_CODE = 128
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_AMOUNT = re.compile(r"-?[0-9]{1,10}(?:\.[0-9]{1,4}0*)?")
_COUNT = re.compile(r"-?[0-9]{1,10}")
_LARGEST_COUNT = 2**31 - 1


class HalfAnswer(ValueError):
    """Valid JSON that is not the documented answer."""


@contextmanager
def whole(platform: str, operation: str) -> Iterator[None]:
    """What is not the documented shape inside of it is told as Retry("half-answer")."""
    try:
        yield
    except (HalfAnswer, AttributeError) as half:
        raise Retry(platform, operation, cause="half-answer", detail=str(half), may_have_arrived=True) from half


def text(value: Any) -> str:
    """Text on one line without control characters, which databases refuse; "" for what is neither text nor number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**20 else ""
    if not isinstance(value, str):
        return ""
    return value.strip() if value.isprintable() else _CONTROL.sub(" ", value).strip()


def title(value: Any) -> str:
    return text(value)[:LONGEST_TITLE]


def code(value: Any) -> str:
    """The shop's own code; one that is too long to be one is left out, because half a code is another code."""
    found = text(value)
    return found if len(found) <= LONGEST_CODE else ""


def amount(value: Any) -> tuple[Decimal | None, str]:
    """An amount of money, zero and less included, and a remark when it cannot be read; null and "" are none."""
    if value is None or value == "":
        return None, ""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        return None, "price-unreadable"
    return Decimal(value), ""


def price(value: Any) -> tuple[Decimal | None, str]:
    """A price and a remark when it is not usable."""
    found, remark = amount(value)
    if found is not None and found <= 0:
        return None, "price-not-positive"
    return found, remark


def count(value: Any) -> tuple[int | None, str]:
    """A whole number of units, below zero too, and a remark when it cannot be read."""
    if value is None or value == "":
        return None, ""
    if isinstance(value, str) and _COUNT.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST_COUNT:
        return None, "stock-unreadable"
    return value, ""


def moment(value: Any) -> datetime | None:
    """An ISO 8601 time with its offset as aware UTC; None when it cannot be read or has none."""
    try:
        found = datetime.fromisoformat(text(value))
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
