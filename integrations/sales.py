"""How many units of each unmapped listing were ordered lately: the order in which they are worth a look."""

import time
from collections import Counter
from datetime import datetime, timedelta

from catalog.mapping.unmapped import store_sales
from catalog.models import Channel, ShopRead
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Capability, Connector, Order, OrderStatus

PERIOD = timedelta(days=30)
_WINDOW = timedelta(days=1)  # of changes, read at a time

_COUNTED = frozenset({OrderStatus.PAID, OrderStatus.SENT, OrderStatus.FINISHED})


def can_read_sales(channel: Channel) -> bool:
    """Whether the channel's platform tells orders."""
    return Capability.READ_ORDERS in CONNECTORS[channel.platform].capabilities


def read_sales(channel: Channel, connector: Connector, read: ShopRead, now: datetime, ends: float) -> bool:
    """Count the units of orders made in the 30 days before the reading began, day by day, until `ends`.

    `ends` is of time.monotonic(). Stored when all days were read, and only then: half a count is no count. Orders that
    changed meanwhile are read by a last window up to now.
    """
    since = read.started_at - PERIOD
    state = read.state
    reached = datetime.fromisoformat(state["reached"]) if state else since
    units = Counter({(item_id, sku_id): count for item_id, sku_id, count in state.get("units", ())})
    unclear = {(item_id, sku_id) for item_id, sku_id in state.get("unclear", ())}
    counted = set(state.get("orders", ()))
    while reached < now:
        until = min(reached + _WINDOW, now)
        for order in connector.read_orders(since=reached, until=until, now=now):
            # One that changes while we read comes twice: the first time counts.
            if order.order_id not in counted and order.created_at >= since:
                counted.add(order.order_id)
                _count(order, units, unclear)
        reached = until
        read.count = len(counted)
        read.state = {
            "reached": reached.isoformat(),
            "units": [[*identity, count] for identity, count in units.items()],
            "unclear": [list(identity) for identity in unclear],
            "orders": list(counted),
        }
        if reached < now and time.monotonic() >= ends:
            return False
    store_sales(channel=channel, units=units, unclear=unclear, since=since, now=now)
    return True


def _count(order: Order, units: Counter[tuple[str, str]], unclear: set[tuple[str, str]]) -> None:
    if order.is_test:
        return
    for line in order.lines:
        if order.status in _COUNTED:
            units[line.item_id, line.sku_id] += line.quantity - line.returned
        elif order.status == OrderStatus.UNKNOWN:
            unclear.add((line.item_id, line.sku_id))
