"""The shops and what they sell: the facts every platform answers from.

Money is in the smallest unit of the shop's currency (fen for CNY) and whole; times are whole epoch seconds of the
market clock. Sums of money are never held as floats.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_TRADES = 5_000

ON_SALE = "onsale"
IN_STOCK = "instock"

WAITING_FOR_PAYMENT = "WAIT_BUYER_PAY"
WAITING_FOR_SHIPMENT = "WAIT_SELLER_SEND_GOODS"
SHIPPED = "WAIT_BUYER_CONFIRM_GOODS"
FINISHED = "TRADE_FINISHED"
CLOSED_UNPAID = "TRADE_CLOSED_BY_TAOBAO"
REFUNDED = "TRADE_CLOSED"


class WorldError(ValueError):
    """A request to change the world that names something unknown or impossible."""


def cents(text: str) -> int:
    """'12.50' as 1250. Raises WorldError unless it is a number with at most two decimals."""
    try:
        value = Decimal(str(text)) * 100
    except InvalidOperation as error:
        raise WorldError(f"not an amount: {text!r}") from error
    if not value.is_finite() or value != int(value):
        raise WorldError(f"not an amount with at most two decimals: {text!r}")
    return int(value)


def amount(value: int) -> str:
    """1250 as '12.50'."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    return f"{sign}{value // 100}.{value % 100:02d}"


@dataclass(slots=True)
class Shop:
    key: str  # our short name for it, used by the control paths
    platform: str
    nick: str
    user_id: int
    currency: str
    own: bool  # False: a competitor, without authorisation
    kind: str  # "tmall" or "taobao"


@dataclass(slots=True)
class Row:
    """What a buyer can choose: a variant of an item, or the item itself when it has none."""

    sku_id: int  # 0: the item has no variants
    outer_id: str
    properties: str
    properties_name: str
    price: int
    live_price: int
    quantity: int
    held: int  # units in orders that are not paid yet, where stock goes down on payment
    modified: int
    reference_price: int  # the price at which the daily demand holds
    daily_demand: float  # units per day
    elasticity: float
    status: str = "normal"  # or "delete"
    arrival_at: int | None = None  # the next delivery from the supplier
    arrival_quantity: int = 0


@dataclass(slots=True)
class Item:
    num_iid: int
    shop: str
    title: str
    cid: int
    outer_id: str
    sub_stock: int  # 1: stock goes down when ordered, 2: when paid
    approve_status: str
    modified: int
    created: int
    list_time: int
    delist_time: int
    sold_quantity: int
    rows: list[Row]
    shelf_reason: str = ""  # why it is off the shelf: "off_shelf", "sold_out", "never_on_shelf"
    promotion_ends_at: int | None = None
    back_on_shelf_at: int | None = None
    _answers: dict[str, Any] = field(default_factory=dict)  # rendered answers by the fields asked; see touch()

    @property
    def has_variants(self) -> bool:
        return bool(self.rows) and self.rows[0].sku_id != 0

    def sellable_rows(self) -> Iterator[Row]:
        return (row for row in self.rows if row.status == "normal")

    def touch(self, now: int, row: Row | None = None) -> None:
        """The item (and the row) changed: new modification time, rendered answers forgotten."""
        self.modified = max(self.modified, now)
        if row is not None:
            row.modified = max(row.modified, now)
        self._answers.clear()


@dataclass(slots=True)
class Line:
    oid: int
    num_iid: int
    sku_id: int
    outer_sku_id: str
    title: str
    num: int
    price: int
    discount_fee: int
    payment: int
    status: str
    refund_status: str = "NO_REFUND"


@dataclass(slots=True)
class Trade:
    tid: int
    shop: str
    status: str
    created: int
    modified: int
    lines: list[Line]
    pay_time: int | None = None
    consign_time: int | None = None
    end_time: int | None = None

    @property
    def payment(self) -> int:
        return sum(line.payment for line in self.lines)


@dataclass(slots=True)
class ShopCoupon:
    coupon_id: int
    shop: str
    face: int
    minimum: int
    created: int
    ends_at: int


@dataclass(slots=True)
class AffiliateCoupon:
    activity_id: str
    num_iid: int
    face: int
    minimum: int
    starts_at: int
    ends_at: int
    total: int
    remaining: int
    single_item: bool
    affiliate_only: bool


@dataclass(slots=True)
class World:
    """Everything the market clock moves. `now` is the moment up to which it has been simulated."""

    seed: int
    now: int
    shops: dict[str, Shop] = field(default_factory=dict)
    items: dict[int, Item] = field(default_factory=dict)
    trades: dict[int, Trade] = field(default_factory=dict)  # oldest first, at most MAX_TRADES
    steps: list[tuple[int, int]] = field(default_factory=list)  # heap of (due at, tid): the next step of a trade
    shop_coupons: list[ShopCoupon] = field(default_factory=list)
    affiliate_coupons: list[AffiliateCoupon] = field(default_factory=list)
    next_tid: int = 2_188_000_000_000_000_001
    version: int = 0  # rises with every change, so that an unchanged world is not saved again
    _demand_stale: bool = True  # prices or shelves moved: the market must weigh its rows again

    def changed(self, *, demand: bool = True) -> None:
        self.version += 1
        if demand:
            self._demand_stale = True

    def own_items(self, shop: str) -> Iterator[Item]:
        return (item for item in self.items.values() if item.shop == shop)

    def rows(self) -> Iterator[tuple[Item, Row]]:
        return ((item, row) for item in self.items.values() for row in item.sellable_rows())

    def add_trade(self, trade: Trade, next_step_at: int) -> None:
        """Keep a trade and when it moves on; the oldest makes room, and gives back what it held."""
        self.trades[trade.tid] = trade
        heapq.heappush(self.steps, (next_step_at, trade.tid))
        if len(self.trades) > MAX_TRADES:
            oldest = self.trades.pop(next(iter(self.trades)))
            if oldest.status == WAITING_FOR_PAYMENT:
                self.release(oldest)

    def release(self, trade: Trade) -> None:
        """Give the stock of an unpaid trade back."""
        for item, row, line in self.lines_with_stock(trade):
            if item.sub_stock == 1:
                row.quantity += line.num
            else:
                row.held = max(0, row.held - line.num)
            item.touch(self.now, row)

    def lines_with_stock(self, trade: Trade) -> Iterator[tuple[Item, Row, Line]]:
        """The lines whose item and variant still exist."""
        for line in trade.lines:
            item = self.items.get(line.num_iid)
            row = None if item is None else next((row for row in item.rows if row.sku_id == line.sku_id), None)
            if item is not None and row is not None:
                yield item, row, line

    def force(
        self,
        *,
        num_iid: int,
        sku_id: int | None,
        price: str | None,
        live_price: str | None,
        quantity: int | None,
        approve_status: str | None,
        title: str | None,
        delete: bool,
    ) -> None:
        """Set facts of an item or of one variant, whatever the market thinks of them.

        Without a variant, prices are set on every variant. While no promotion runs the live price follows the list
        price. Raises WorldError for unknown ids and for values no shop could hold.
        """
        item = self.items.get(num_iid)
        if item is None:
            raise WorldError(f"no item {num_iid}")
        if sku_id:
            rows = [row for row in item.rows if row.sku_id == sku_id]
            if not rows:
                raise WorldError(f"item {num_iid} has no variant {sku_id}")
        else:
            rows = list(item.rows)
            if quantity is not None and item.has_variants:
                raise WorldError(f"item {num_iid} has variants: name the one whose quantity is set")
        if approve_status not in (None, ON_SALE, IN_STOCK):
            raise WorldError(f"approve_status is {ON_SALE} or {IN_STOCK}, not {approve_status!r}")
        new_price = None if price is None else cents(price)
        new_live_price = None if live_price is None else cents(live_price)
        for row in rows:
            if new_price is not None:
                if row.live_price == row.price:
                    row.live_price = new_price
                row.price = new_price
            if new_live_price is not None:
                row.live_price = new_live_price
            if quantity is not None:
                row.quantity = quantity
            if delete and sku_id:
                row.status, row.quantity, row.held = "delete", 0, 0
            item.touch(self.now, row)
        if approve_status is not None and approve_status != item.approve_status:
            item.approve_status = approve_status
            item.shelf_reason = "" if approve_status == ON_SALE else "off_shelf"
            item.back_on_shelf_at = None
        if title is not None:
            item.title = title
        if delete and not sku_id:
            del self.items[num_iid]
        self.changed()

    def shift(self, seconds: int) -> None:
        """Re-date everything, so that the world looks the same from a now that is `seconds` later (or earlier)."""
        self.now += seconds
        for item in self.items.values():
            for name in ("modified", "created", "list_time", "delist_time", "promotion_ends_at", "back_on_shelf_at"):
                _shift(item, name, seconds)
            for row in item.rows:
                _shift(row, "modified", seconds)
                _shift(row, "arrival_at", seconds)
            item._answers.clear()
        for trade in self.trades.values():
            for name in ("created", "modified", "pay_time", "consign_time", "end_time"):
                _shift(trade, name, seconds)
        for coupon in self.shop_coupons:
            _shift(coupon, "created", seconds)
            _shift(coupon, "ends_at", seconds)
        for affiliate in self.affiliate_coupons:
            _shift(affiliate, "starts_at", seconds)
            _shift(affiliate, "ends_at", seconds)
        self.steps = [(due + seconds, tid) for due, tid in self.steps]
        self.changed()

    def to_json(self) -> dict[str, Any]:
        """A value orjson can write; names that start with an underscore stay out of it."""
        return {
            "seed": self.seed,
            "now": self.now,
            "shops": list(self.shops.values()),
            "items": list(self.items.values()),
            "trades": list(self.trades.values()),
            "steps": self.steps,
            "shop_coupons": self.shop_coupons,
            "affiliate_coupons": self.affiliate_coupons,
            "next_tid": self.next_tid,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "World":
        """The world `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        shops = [Shop(**shop) for shop in data["shops"]]
        items = [Item(**{**item, "rows": [Row(**row) for row in item["rows"]]}) for item in data["items"]]
        trades = [Trade(**{**trade, "lines": [Line(**line) for line in trade["lines"]]}) for trade in data["trades"]]
        steps = [(int(due), int(tid)) for due, tid in data["steps"]]
        heapq.heapify(steps)
        return cls(
            seed=int(data["seed"]),
            now=int(data["now"]),
            shops={shop.key: shop for shop in shops},
            items={item.num_iid: item for item in items},
            trades={trade.tid: trade for trade in trades},
            steps=steps,
            shop_coupons=[ShopCoupon(**coupon) for coupon in data["shop_coupons"]],
            affiliate_coupons=[AffiliateCoupon(**coupon) for coupon in data["affiliate_coupons"]],
            next_tid=int(data["next_tid"]),
        )


def _shift(thing: object, name: str, seconds: int) -> None:
    value = getattr(thing, name)
    if value is not None:
        setattr(thing, name, value + seconds)
