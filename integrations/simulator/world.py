"""The shops and what they sell: the facts every platform answers from.

Money is in the smallest unit of the shop's currency (fen for CNY) and whole; times are whole epoch seconds of the
market clock. Sums of money are never held as floats.
"""

import heapq
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_TRADES = 5_000  # of each platform

CURRENCY_DECIMALS = {"JPY": 0}  # two for any other
TAOBAO, SHOPIFY, WOOCOMMERCE = "taobao", "shopify", "woocommerce"

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


def cents(text: str, decimals: int = 2) -> int:
    """'12.50' as 1250. Raises WorldError unless it is a number with at most `decimals` decimals."""
    try:
        value = Decimal(str(text)) * 10**decimals
    except InvalidOperation as error:
        raise WorldError(f"not an amount: {text!r}") from error
    if not value.is_finite() or value != int(value):
        raise WorldError(f"not an amount with at most {decimals} decimals: {text!r}")
    return int(value)


def amount(value: int, decimals: int = 2) -> str:
    """1250 as '12.50'; as '1250' in a currency without decimals."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    if not decimals:
        return f"{sign}{value}"
    unit = 10**decimals
    return f"{sign}{value // unit}.{value % unit:0{decimals}d}"


@dataclass(slots=True)
class Shop:
    key: str  # our short name for it, used by the control paths
    platform: str
    nick: str
    user_id: int
    currency: str
    own: bool  # False: a competitor, without authorisation
    kind: str  # of Taobao's: "tmall" or "taobao"
    locations: list[int] = field(default_factory=list)  # of Shopify's: the places where stock can lie

    @property
    def decimals(self) -> int:
        return CURRENCY_DECIMALS.get(self.currency, 2)


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
    barcode: str = ""
    compare_at: int | None = None  # the list price while the live price is below it
    levels: dict[int, int] = field(default_factory=dict)  # units by location, in sum the quantity; empty: no locations

    @property
    def sellable(self) -> int:
        """Units that one order can take: what is not held, and at one location where there are several."""
        return max(self.levels.values()) if self.levels else self.quantity - self.held

    def set_prices(self, price: int, live_price: int) -> None:
        self.price, self.live_price = price, live_price
        self.compare_at = price if live_price < price else None

    def add(self, units: int, location: int = 0) -> int:
        """Add units (below 0: take them) at a location; returns which.

        With 0, units are taken where there are most, and delivered at the first location.
        """
        if self.levels:
            if location not in self.levels:
                location = next(iter(self.levels)) if units > 0 else max(self.levels, key=lambda key: self.levels[key])
            self.levels[location] += units
        self.quantity += units
        return location if self.levels else 0


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
    location: int = 0  # where its units were taken; 0: the shop has no locations
    order_discount: int = 0  # its share of what was taken off the whole order


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
        return sum(line.payment - line.order_discount for line in self.lines)


@dataclass(slots=True)
class ShopCoupon:
    coupon_id: int
    shop: str
    face: int
    minimum: int
    created: int
    ends_at: int
    percent: int = 0  # off the price, in place of face
    code: str = ""  # what the buyer types in; "": none is needed
    num_iids: list[int] = field(default_factory=list)  # the items it is for; empty, and sku_ids too: all
    sku_ids: list[int] = field(default_factory=list)  # the variants it is for, besides those items


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


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened in a shop that somebody subscribed to."""

    kind: str  # one of NEWS
    shop: str
    at: int  # market time
    num_iid: int = 0
    sku_id: int = 0
    location: int = 0
    tid: int = 0
    coupon: ShopCoupon | None = None  # as it was then
    event: int = 0  # the same for all that one action brought about: a sale is an order, less stock, another product


STOCK = "stock"
STOCKED, UNSTOCKED = "stocked", "unstocked"  # a variant came to a location, or left it
SOLD_OUT, BACK_IN_STOCK = "sold out", "back in stock"  # a variant, at all its locations together
PRODUCT, PRODUCT_CREATED, PRODUCT_DELETED = "product", "product created", "product deleted"
VARIANT_DELETED, CODE_CHANGED = "variant deleted", "code changed"  # the code is the seller's own one
ORDER, ORDER_CHANGED = "order", "order changed"
COUPON_CREATED, COUPON_DELETED = "coupon created", "coupon deleted"
NEWS = frozenset({STOCK, STOCKED, UNSTOCKED, SOLD_OUT, BACK_IN_STOCK, PRODUCT, PRODUCT_CREATED, PRODUCT_DELETED})
NEWS |= {VARIANT_DELETED, CODE_CHANGED, ORDER, ORDER_CHANGED, COUPON_CREATED, COUPON_DELETED}


@dataclass(slots=True)
class World:
    """Everything the market clock moves. `now` is the moment up to which it has been simulated."""

    seed: int
    now: int
    shops: dict[str, Shop] = field(default_factory=dict)
    items: dict[int, Item] = field(default_factory=dict)
    trades: dict[int, Trade] = field(default_factory=dict)  # oldest first, at most MAX_TRADES of each platform
    steps: list[tuple[int, int]] = field(default_factory=list)  # heap of (due at, tid): the next step of a trade
    shop_coupons: list[ShopCoupon] = field(default_factory=list)
    affiliate_coupons: list[AffiliateCoupon] = field(default_factory=list)
    next_tid: int = 2_188_000_000_000_000_001
    version: int = 0  # rises with every change, so that an unchanged world is not saved again
    _demand_version: int = 0  # rises when prices or shelves moved: the market must weigh its rows again
    _tids: dict[str, deque[int]] = field(default_factory=dict)  # by platform, oldest first; see add_trade
    _watched: Collection[str] = ()  # the shops whose news are kept until somebody takes them
    _news: list[News] = field(default_factory=list)
    _event: int = 0

    def changed(self, *, demand: bool = True) -> None:
        self.version += 1
        if demand:
            self._demand_version += 1

    @property
    def shape(self) -> tuple[int, int]:
        """Another one when items came or went."""
        return len(self.items), next(reversed(self.items), 0)

    def platform_of(self, item: Item) -> str:
        return self.shops[item.shop].platform

    def own_items(self, shop: str) -> Iterator[Item]:
        return (item for item in self.items.values() if item.shop == shop)

    def items_of(self, platform: str) -> Iterator[Item]:
        shops = {shop.key for shop in self.shops.values() if shop.platform == platform}
        return (item for item in self.items.values() if item.shop in shops)

    def rows(self, platform: str | None = None) -> Iterator[tuple[Item, Row]]:
        """Every row a buyer may choose, of all platforms or of one."""
        items = self.items.values() if platform is None else self.items_of(platform)
        return ((item, row) for item in items for row in item.sellable_rows())

    # News, for those who subscribe to them

    def watch(self, shops: Collection[str]) -> None:
        self._watched = shops

    def take_news(self) -> list[News]:
        """What happened since the last time, oldest first."""
        news, self._news = self._news, []
        return news

    def touch(self, item: Item, at: int, row: Row | None = None, *, stock_at: int | None = None) -> None:
        """The item (and the row) changed at `at`; stock_at is the location whose units did (0: there are none)."""
        item.touch(at, row)
        if item.shop in self._watched:
            self._event += 1
            sku_id = 0 if row is None else row.sku_id
            if stock_at is not None:
                self._news.append(News(STOCK, item.shop, at, item.num_iid, sku_id, stock_at, event=self._event))
            self._news.append(News(PRODUCT, item.shop, at, item.num_iid, sku_id, event=self._event))

    def add_units(self, item: Item, row: Row, units: int, at: int, location: int = 0) -> int:
        """Put units on the shelf (below 0: take them off); returns at which location. See Row.add."""
        before = row.quantity
        location = row.add(units, location)
        self.touch(item, at, row, stock_at=location)
        self._report_turn(item, row, before, at)
        return location

    def unstock(self, item: Item, row: Row, location: int) -> None:
        """The row is not stocked at a location any more; its units there are gone."""
        before = row.quantity
        row.quantity -= row.levels.pop(location)
        self.touch(item, self.now, row)
        self._report_turn(item, row, before, self.now)
        self.report(item, UNSTOCKED, row, location, same_event=True)
        self.changed(demand=False)

    def _report_turn(self, item: Item, row: Row, before: int, at: int) -> None:
        """News of the row when its units, `before` until just now, came to an end or are there again."""
        if item.shop in self._watched and (before > 0) != (row.quantity > 0):
            kind = BACK_IN_STOCK if row.quantity > 0 else SOLD_OUT
            self._news.append(News(kind, item.shop, at, item.num_iid, row.sku_id, event=self._event))

    def report(
        self, item: Item, kind: str, row: Row | None = None, location: int = 0, *, same_event: bool = False
    ) -> None:
        """News of an item, or of a row at a location, besides that of its changed facts; see News.event."""
        if item.shop in self._watched:
            self._event += not same_event
            sku_id = 0 if row is None else row.sku_id
            self._news.append(News(kind, item.shop, self.now, item.num_iid, sku_id, location, event=self._event))

    def report_trade(self, trade: Trade, kind: str, at: int) -> None:
        if trade.shop in self._watched:
            # An order is one event with the change of stock that it has just made.
            self._event += kind != ORDER
            self._news.append(News(kind, trade.shop, at, tid=trade.tid, event=self._event))

    def report_coupon(self, coupon: ShopCoupon, kind: str, at: int) -> None:
        if coupon.shop in self._watched:
            self._event += 1
            self._news.append(News(kind, coupon.shop, at, coupon=replace(coupon), event=self._event))

    def add_trade(self, trade: Trade, next_step_at: int) -> None:
        """Keep a trade and when it moves on; the oldest makes room, and gives back what it held."""
        self.trades[trade.tid] = trade
        heapq.heappush(self.steps, (next_step_at, trade.tid))
        self.report_trade(trade, ORDER, trade.created)
        platform = self.shops[trade.shop].platform
        if platform not in self._tids:
            shops = {shop.key for shop in self.shops.values() if shop.platform == platform}
            self._tids[platform] = deque(tid for tid, each in self.trades.items() if each.shop in shops)
        else:
            self._tids[platform].append(trade.tid)
        if len(self._tids[platform]) > MAX_TRADES:
            oldest = self.trades.pop(self._tids[platform].popleft())
            if oldest.status == WAITING_FOR_PAYMENT:
                self.release(oldest)

    def release(self, trade: Trade) -> None:
        """Give the stock of an unpaid trade back."""
        for item, row, line in self.lines_with_stock(trade):
            if item.sub_stock == 1:
                self.add_units(item, row, line.num, self.now, line.location)
            else:
                row.held = max(0, row.held - line.num)
                self.touch(item, self.now, row)

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
        location: int = 0,
    ) -> None:
        """Set facts of an item or of one variant, whatever the market thinks of them.

        Without a variant, prices are set on every variant. While no promotion runs the live price follows the list
        price. With a location, the quantity is that location's; without, the difference is made up as by Row.add.
        Raises WorldError for unknown ids and for values no shop could hold.
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
        decimals = self.shops[item.shop].decimals
        new_price = None if price is None else cents(price, decimals)
        new_live_price = None if live_price is None else cents(live_price, decimals)
        for row in rows:
            if location and location not in row.levels:
                raise WorldError(f"item {num_iid} is not stocked at location {location}")
            live = row.live_price if new_live_price is None else new_live_price
            if new_price is not None and new_live_price is None and row.live_price == row.price:
                live = new_price
            row.set_prices(row.price if new_price is None else new_price, live)
            is_deleted = bool(delete and sku_id) and row.status != "delete"
            if is_deleted:
                row.status, row.quantity, row.held, row.levels = "delete", 0, 0, {}
            if quantity is not None:
                before = row.levels[location] if location else row.quantity
                self.add_units(item, row, quantity - before, self.now, location)
            else:
                self.touch(item, self.now, row)
            if is_deleted:
                self.report(item, VARIANT_DELETED, row, same_event=True)
        if approve_status is not None and approve_status != item.approve_status:
            item.approve_status = approve_status
            item.shelf_reason = "" if approve_status == ON_SALE else "off_shelf"
            item.back_on_shelf_at = None
        if title is not None:
            item.title = title
        if delete and not sku_id:
            del self.items[num_iid]
            self.report(item, PRODUCT_DELETED)
            for row in item.sellable_rows():
                self.report(item, VARIANT_DELETED, row, same_event=True)
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
        items = [Item(**{**item, "rows": [_row(row) for row in item["rows"]]}) for item in data["items"]]
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


def _row(data: dict[str, Any]) -> Row:
    row = Row(**data)
    row.levels = {int(location): int(units) for location, units in row.levels.items()}  # JSON's keys are texts
    return row


def _shift(thing: object, name: str, seconds: int) -> None:
    value = getattr(thing, name)
    if value is not None:
        setattr(thing, name, value + seconds)
