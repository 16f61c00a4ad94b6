"""How many units of each unmapped listing were ordered lately: the order in which they are worth a look."""

import time
from collections import Counter
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from catalog.mapping.unmapped import store_sales
from catalog.models import Channel, ShopRead
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Capability, Connector, Order, OrderStatus

PERIOD = timedelta(days=30)
_WINDOW = timedelta(hours=6)  # of changes, read at a time

_COUNTED = frozenset({OrderStatus.PAID, OrderStatus.SENT, OrderStatus.FINISHED})


def can_read_sales(channel: Channel) -> bool:
    """Whether the channel's platform tells orders."""
    return Capability.READ_ORDERS in CONNECTORS[channel.platform].capabilities


def read_sales(channel: Channel, connector: Connector, read: ShopRead, now: datetime, ends: float) -> bool:
    """Count the units of orders made in the 30 days before the reading began, window by window, until `ends`.

    `ends` is of time.monotonic(). Stored when all windows were read, and only then: half a count is no count. Orders
    that changed meanwhile are read by the last windows up to now, and count as they were told last.
    """
    since = read.started_at - PERIOD
    state = read.state
    reached = datetime.fromisoformat(state["reached"]) if "counted" in state else since
    counted: dict[str, list[list[Any]]] = state.get("counted", {})
    while reached < now:
        until = min(reached + _WINDOW, now)
        for order in connector.read_orders(since=reached, until=until, now=now):
            if order.created_at >= since:
                counted[order.order_id] = _counted(order)
        reached = until
        read.count = len(counted)
        read.state = {"reached": reached.isoformat(), "counted": counted}
        if reached < now and time.monotonic() >= ends:
            return False
    units: Counter[tuple[str, str]] = Counter()
    unclear: set[tuple[str, str]] = set()
    for item_id, sku_id, count in chain.from_iterable(counted.values()):
        if count is None:
            unclear.add((item_id, sku_id))
        else:
            units[item_id, sku_id] += count
    store_sales(channel=channel, units=units, unclear=unclear, since=since, now=now)
    return True


def _counted(order: Order) -> list[list[Any]]:
    """The item, the variant and the units of each line, None where nobody can tell whether they count."""
    if order.is_test or order.status not in {*_COUNTED, OrderStatus.UNKNOWN}:
        return []
    is_clear = order.status in _COUNTED
    return [[line.item_id, line.sku_id, line.quantity - line.returned if is_clear else None] for line in order.lines]
