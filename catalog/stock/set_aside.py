"""Orders that could not be booked: what was told of them is kept as text, until it can be."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from catalog.models import Channel, Order

_RESTS = (timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6))  # the last one stays
_CLEARED: dict[str, Any] = {
    "set_aside_at": None,
    "set_aside_told": "",
    "set_aside_reason": "",
    "set_aside_tries": 0,
    "retry_at": None,
}


@dataclass(frozen=True, slots=True)
class KeptLine:
    """A line as it was told; see booking.LineTold."""

    line_id: str
    item_id: str
    sku_id: str
    outer_id: str
    quantity: int
    returned: int
    paid_per_unit: Decimal | None
    refunded: int = 0


@dataclass(frozen=True, slots=True)
class KeptOrder:
    """An order as it was told; see booking.OrderTold."""

    order_id: str
    status: str
    created_at: datetime
    changed_at: datetime
    currency: str
    paid_at: datetime | None
    is_test: bool
    lines: tuple[KeptLine, ...]


def as_text(order: Any) -> str:
    """What was told of an order, for told(); ASCII, so that any database takes it."""
    lines = tuple(
        KeptLine(**{name: getattr(line, name) for name in KeptLine.__dataclass_fields__}) for line in order.lines
    )
    names = [name for name in KeptOrder.__dataclass_fields__ if name != "lines"]
    kept = KeptOrder(**{name: getattr(order, name) for name in names}, lines=lines)
    return json.dumps(asdict(kept), default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def told(text: str) -> KeptOrder:
    """The order that as_text() kept."""
    values = json.loads(text)
    lines = tuple(
        KeptLine(**{**line, "paid_per_unit": None if line["paid_per_unit"] is None else Decimal(line["paid_per_unit"])})
        for line in values.pop("lines")
    )
    for name in ("created_at", "changed_at", "paid_at"):
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
    return KeptOrder(**values, lines=lines)


def set_aside(order: Order, news: str, error: Exception, *, now: datetime) -> None:
    """Keep `news`, of as_text(), and why it could not be booked."""
    tries = order.set_aside_tries + 1
    Order.objects.filter(pk=order.pk).update(
        set_aside_at=order.set_aside_at or now,
        set_aside_told=news,
        set_aside_reason=reason(error),
        set_aside_tries=tries,
        retry_at=now + _RESTS[min(tries, len(_RESTS)) - 1],
    )


def reason(error: Exception) -> str:
    """The error in its own words, as far as the column takes them."""
    first, _line, _rest = str(error).partition("\n")
    text = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:200]


def clear(order_ids: list[int]) -> None:
    """What was set aside of these orders is booked, or newer news of them is."""
    Order.objects.filter(pk__in=order_ids).update(**_CLEARED)


def resting(channel: Channel, order_ids: list[str], *, now: datetime) -> Mapping[str, str]:
    """Of these orders those that are set aside and not to be tried yet, by their number: what was told of them."""
    rows = Order.objects.filter(channel=channel, platform_order_id__in=order_ids, retry_at__gt=now)
    return dict(rows.values_list("platform_order_id", "set_aside_told"))
