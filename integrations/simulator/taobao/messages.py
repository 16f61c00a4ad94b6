"""The message service: what happened in permitted shops, in a queue of each application until it is confirmed.

What happened is found by comparing shops with what they were at the last look, so that several changes of one thing
between two looks are one message.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from integrations.simulator.world import CLOSED_UNPAID, ON_SALE, REFUNDED, Item, Trade, World

REDELIVER_SECONDS = 600  # until a message that was consumed and not confirmed comes again
DEFAULT_GROUP = "default"
FIRST_ID = 6_210_000_000_000_001_000
TOPICS = (
    "taobao_item_ItemAdd",
    "taobao_item_ItemDelete",
    "taobao_item_ItemUpdate",
    "taobao_item_ItemUpshelf",
    "taobao_item_ItemDownshelf",
    "taobao_item_ItemStockChanged",
    "taobao_item_ItemZeroStock",
    "taobao_item_ItemSkuZeroStock",
    "taobao_trade_TradeCreate",
    "taobao_trade_TradeBuyerPay",
    "taobao_trade_TradeSellerShip",
    "taobao_trade_TradeClose",
    "taobao_trade_TradeSuccess",
    "taobao_refund_RefundSuccess",
)


@dataclass(slots=True)
class Message:
    id: int
    app_key: str
    shop: str
    topic: str
    content: str
    pub_time: int
    hidden_until: float = 0.0  # on the limit clock


@dataclass(slots=True)
class Permit:
    """One shop's consent that an application gets its messages."""

    app_key: str
    shop: str
    topics: list[str]
    # What the shop was at the last look: {item: [status, title, {variant: [price, quantity]}]}, {order: its events}.
    items: dict[int, Any] = field(default_factory=dict)
    trades: dict[int, list[str]] = field(default_factory=dict)


class MessageService:
    def __init__(self) -> None:
        self.permits: dict[tuple[str, str], Permit] = {}  # by application and shop
        self.groups: dict[str, dict[str, list[str]]] = {}  # by application: the shops' nicks by group
        self.queue: list[Message] = []
        self._next_id = FIRST_ID
        self._looked_at = -1  # the world's version then

    def permit(self, world: World, app_key: str, shop: str, topics: list[str]) -> None:
        """From now on; a permit given before is replaced, topics and all."""
        self.look(world)
        permit = Permit(app_key, shop, topics)
        permit.items, permit.trades = _items(world, shop), _trades(world, shop)
        self.permits[app_key, shop] = permit

    def look(self, world: World) -> None:
        """Queue what happened since the last look."""
        if world.version == self._looked_at:
            return
        self._looked_at = world.version
        for permit in self.permits.values():
            items, trades = _items(world, permit.shop), _trades(world, permit.shop)
            for topic, content in _news(world, permit, items, trades):
                if topic in permit.topics:
                    self._add(permit, topic, content, world.now)
            permit.items, permit.trades = items, trades

    def _add(self, permit: Permit, topic: str, content: dict[str, Any], at: int) -> None:
        text = orjson.dumps(content).decode()
        self.queue.append(Message(self._next_id, permit.app_key, permit.shop, topic, text, at))
        self._next_id += 1

    def group_of(self, app_key: str, nick: str) -> str:
        groups = self.groups.get(app_key, {})
        return next((name for name, nicks in groups.items() if nick in nicks), DEFAULT_GROUP)

    def consume(self, world: World, app_key: str, group: str, quantity: int, now: float) -> list[Message]:
        """The oldest that nobody confirmed and nobody took of late."""
        self.look(world)
        found = [
            message
            for message in self.queue
            if message.app_key == app_key
            and message.hidden_until <= now
            and self.group_of(app_key, world.shops[message.shop].nick) == group
        ][:quantity]
        for message in found:
            message.hidden_until = now + REDELIVER_SECONDS
        return found

    def confirm(self, app_key: str, ids: set[int]) -> None:
        self.queue = [message for message in self.queue if message.app_key != app_key or message.id not in ids]

    # State

    def to_json(self) -> dict[str, Any]:
        # Hiding times are of a clock that ends with the process: after a restart all that waits comes again.
        return {
            "permits": list(self.permits.values()),
            "groups": self.groups,
            "queue": [{**_fields(message), "hidden_until": 0.0} for message in self.queue],
            "next_id": self._next_id,
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        self.permits = {}
        for saved in data["permits"]:
            permit = Permit(**saved)
            permit.items = {
                int(num_iid): [status, title, {int(sku_id): row for sku_id, row in rows.items()}]
                for num_iid, (status, title, rows) in permit.items.items()
            }
            permit.trades = {int(tid): events for tid, events in permit.trades.items()}
            self.permits[permit.app_key, permit.shop] = permit
        self.groups = data["groups"]
        self.queue = [Message(**message) for message in data["queue"]]
        self._next_id = int(data["next_id"])


def _fields(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in Message.__dataclass_fields__}


def _items(world: World, shop: str) -> dict[int, Any]:
    return {
        item.num_iid: [
            item.approve_status,
            item.title,
            {row.sku_id: [row.price, row.quantity] for row in item.sellable_rows()},
        ]
        for item in world.own_items(shop)
    }


def _trades(world: World, shop: str) -> dict[int, list[str]]:
    return {trade.tid: list(_events(trade)) for trade in world.trades.values() if trade.shop == shop}


def _events(trade: Trade) -> Iterator[str]:
    yield "taobao_trade_TradeCreate"
    if trade.pay_time is not None:
        yield "taobao_trade_TradeBuyerPay"
    if trade.consign_time is not None:
        yield "taobao_trade_TradeSellerShip"
    if trade.status == REFUNDED:
        yield "taobao_refund_RefundSuccess"
    if trade.end_time is not None:
        is_closed = trade.status in (CLOSED_UNPAID, REFUNDED)
        yield "taobao_trade_TradeClose" if is_closed else "taobao_trade_TradeSuccess"


def _news(
    world: World, permit: Permit, items: dict[int, Any], trades: dict[int, list[str]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    nick = world.shops[permit.shop].nick
    for num_iid in permit.items.keys() - items.keys():
        yield "taobao_item_ItemDelete", {"num_iid": num_iid, "nick": nick}
    for num_iid, after in items.items():
        before = permit.items.get(num_iid)
        if before is None:
            yield "taobao_item_ItemAdd", {"num_iid": num_iid, "nick": nick}
        elif before != after:
            yield from _item_news(world.items[num_iid], nick, before, after)
    for tid, events in trades.items():
        for topic in events[len(permit.trades.get(tid, [])) :]:
            trade = world.trades[tid]
            line = trade.lines[0]
            content = {"tid": tid, "oid": line.oid, "status": trade.status, "payment": f"{trade.payment / 100:.2f}"}
            yield topic, {**content, "seller_nick": nick, "iid": line.num_iid}


def _item_news(item: Item, nick: str, before: Any, after: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    about = {"num_iid": item.num_iid, "nick": nick}
    was_status, was_title, was_rows = before
    status, title, rows = after
    changed = [] if title == was_title else ["title"]
    if any(sku_id in was_rows and was_rows[sku_id][0] != row[0] for sku_id, row in rows.items()):
        changed.append("price")
    if rows.keys() != was_rows.keys():
        changed.append("sku")
    if changed:
        yield "taobao_item_ItemUpdate", {**about, "changed_fields": ",".join(changed)}
    if status != was_status:
        yield f"taobao_item_Item{'Upshelf' if status == ON_SALE else 'Downshelf'}", about
    total = sum(quantity for _, quantity in rows.values())
    for sku_id, (price, quantity) in rows.items():
        difference = quantity - was_rows.get(sku_id, [0, quantity])[1]
        if not difference:
            continue
        content: dict[str, Any] = {**about, "increment": difference, "num": total, "price": f"{price / 100:.2f}"}
        if sku_id:
            content |= {"sku_id": sku_id, "sku_num": quantity}
        yield "taobao_item_ItemStockChanged", {**content, "changed_fields": "num", "status": status}
        if sku_id and not quantity:
            yield "taobao_item_ItemSkuZeroStock", {**about, "sku_id": sku_id}
        if not total:
            yield "taobao_item_ItemZeroStock", about
