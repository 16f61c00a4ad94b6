"""The market: the clock of prices and stock, and the demand that moves them.

Time passes in ticks of TICK seconds, at the multiples of TICK in epoch seconds. Each tick draws from a generator seeded
by the world's seed and the tick's own number, so a world depends on the moments it passed through and never on how
many steps it took to get there. Each platform has a generator of its own, so that none changes what happens on another.
"""

import heapq
import itertools
import math
import random
import time

from integrations.simulator.seed import DAY, promotion_price
from integrations.simulator.world import (
    CLOSED_UNPAID,
    COUPON_CREATED,
    COUPON_DELETED,
    FINISHED,
    IN_STOCK,
    ON_SALE,
    ORDER_CHANGED,
    REFUNDED,
    SHIPPED,
    SHOPIFY,
    TAOBAO,
    WAITING_FOR_PAYMENT,
    WAITING_FOR_SHIPMENT,
    WOOCOMMERCE,
    Item,
    Line,
    Row,
    Trade,
    World,
)

TICK = 300  # seconds
TICKS_PER_DAY = DAY // TICK
MAX_CATCH_UP = 7 * DAY
MAX_STEP = 400 * DAY
CHINA_OFFSET = 8 * 3600

# Shares of a day's sales by hour, and of a week's by day (Monday first), in China time; both average to 1.
HOURS = (
    0.55, 0.30, 0.16, 0.10, 0.08, 0.12, 0.30, 0.55, 0.85, 1.15, 1.30, 1.25,
    1.20, 1.15, 1.20, 1.20, 1.15, 1.05, 1.10, 1.40, 1.95, 2.25, 2.05, 1.59,
)  # fmt: skip
WEEKDAYS = (0.92, 0.90, 0.92, 0.95, 1.05, 1.15, 1.11)

PROMOTIONS_PER_ITEM_AND_DAY = 0.05
PRICE_CHANGES_PER_ITEM_AND_DAY = 0.012
DELISTINGS_PER_ITEM_AND_DAY = 0.006
REORDER_DAYS = 4


class MarketClock:
    """Market time as a function of real time: a starting point and a speed. Times in epoch seconds."""

    def __init__(self, now: float, speed: float = 1.0) -> None:
        self._start = now
        self._real_start = time.time()
        self.speed = speed

    def now(self) -> float:
        return self._start + max(0.0, time.time() - self._real_start) * self.speed

    def set(self, now: float, speed: float | None = None) -> None:
        self._start, self._real_start = now, time.time()
        if speed is not None:
            self.speed = speed


SALTS = {TAOBAO: 0, SHOPIFY: 0x5408, WOOCOMMERCE: 0x3003}


class Market:
    """Moves a world through time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._parts = {platform: Part(world, platform) for platform in SALTS}

    def advance(self, now: int) -> None:
        """Run every tick after the world's moment up to and including `now`; nothing for a moment already past."""
        world = self.world
        if now <= world.now:
            return
        for tick in range(world.now // TICK + 1, now // TICK + 1):
            self._run(tick)
        world.now = now

    def order(self, item: Item, row: Row, units: int, location: int = 0) -> Trade:
        """A buyer orders now, whether or not there is enough; at a location where stock lies at several."""
        part = self._parts[self.world.platform_of(item)]
        trade = part.order(item, row, units, self.world.now, location)
        self.world.changed(demand=False)
        return trade

    def _run(self, tick: int) -> None:
        world = self.world
        at = tick * TICK
        world.now = at
        for part in self._parts.values():
            part.start(tick)
        while world.steps and world.steps[0][0] <= at:
            due, tid = heapq.heappop(world.steps)
            trade = world.trades.get(tid)
            if trade is not None:
                self._parts[world.shops[trade.shop].platform].move_trade(trade, due)
        for part in self._parts.values():
            part.trade(at)


class Part:
    """The shops of one platform on the market."""

    def __init__(self, world: World, platform: str) -> None:
        self.world, self.platform = world, platform
        self._rows: list[tuple[Item, Row]] = []
        self._weights: list[float] = []
        self._weighed = -1
        self._listed: list[Item] = []
        self._shape = (-1, 0)
        self._rng = random.Random()

    def start(self, tick: int) -> None:
        """What a tick begins with, before orders move on."""
        self._rng.seed((self.world.seed ^ SALTS[self.platform] << 20) << 40 ^ tick)
        self._deliver(tick * TICK)

    def trade(self, at: int) -> None:
        """The rest of a tick."""
        rng = self._rng
        self._end_promotions(at)
        self._renew_coupons(at)
        self._sell(at)
        items = len(self._items())
        for _ in range(_poisson(rng, items * PROMOTIONS_PER_ITEM_AND_DAY / TICKS_PER_DAY)):
            self._start_promotion(at)
        for _ in range(_poisson(rng, items * PRICE_CHANGES_PER_ITEM_AND_DAY / TICKS_PER_DAY)):
            self._change_price(at)
        for _ in range(_poisson(rng, items * DELISTINGS_PER_ITEM_AND_DAY / TICKS_PER_DAY)):
            self._delist(at)

    def _items(self) -> list[Item]:
        """The platform's items; looked for again when items came or went."""
        if self._shape != self.world.shape:
            self._listed, self._shape = list(self.world.items_of(self.platform)), self.world.shape
        return self._listed

    # Sales

    def _sell(self, at: int) -> None:
        if self.world._demand_version != self._weighed:
            self._weigh()
        if not self._rows:
            return
        rng, world = self._rng, self.world
        local = at + CHINA_OFFSET
        season = HOURS[local % DAY // 3600] * WEEKDAYS[(local // DAY + 3) % 7]  # 1 January 1970 was a Thursday
        sales = _poisson(rng, self._weights[-1] * season / TICKS_PER_DAY)
        for item, row in rng.choices(self._rows, cum_weights=self._weights, k=sales) if sales else ():
            wanted = rng.choices((1, 2, 3, 6), (80, 14, 5, 1))[0]
            sold = min(wanted, row.sellable)
            if sold <= 0:
                continue
            moment = at - rng.randrange(TICK)
            if world.shops[item.shop].own:
                self.order(item, row, sold, moment)
            else:
                self.world.add_units(item, row, -sold, moment)
                item.sold_quantity += sold
            self._reorder(row, at)
            self._take_off_when_sold_out(item, at)
            world.changed(demand=False)

    def _weigh(self) -> None:
        """Cumulative demand (units per day) over the rows on sale, at today's prices."""
        on_sale = (item for item in self._items() if item.approve_status == ON_SALE)
        self._rows = [(item, row) for item in on_sale for row in item.sellable_rows()]
        self._weights = list(itertools.accumulate(_daily_demand(row) for _, row in self._rows))
        self._weighed = self.world._demand_version

    def order(self, item: Item, row: Row, units: int, moment: int, location: int = 0) -> Trade:
        world, rng = self.world, self._rng
        tid = world.next_tid
        world.next_tid += 2
        total = row.price * units
        payment = row.live_price * units
        line = Line(
            oid=tid + 1,
            num_iid=item.num_iid,
            sku_id=row.sku_id,
            outer_sku_id=row.outer_id,
            title=item.title,
            num=units,
            price=row.price,
            discount_fee=total - payment,
            payment=payment,
            status=WAITING_FOR_PAYMENT,
        )
        trade = Trade(tid, item.shop, WAITING_FOR_PAYMENT, moment, moment, [line])
        if item.sub_stock == 1:
            line.location = world.add_units(item, row, -units, moment, location)
        else:
            row.held += units
            world.touch(item, moment, row)
        world.add_trade(trade, moment + rng.randint(60, 1800))
        return trade

    def move_trade(self, trade: Trade, due: int) -> None:
        """Take a trade that is due to its next state: paid or closed, shipped, finished or refunded."""
        world, rng = self.world, self._rng
        again_at: int | None = None
        if trade.status == WAITING_FOR_PAYMENT and rng.random() < 0.08:
            world.release(trade)
            trade.end_time = due
            self._set_status(trade, CLOSED_UNPAID, due)
        elif trade.status == WAITING_FOR_PAYMENT:
            self._pay(trade, due)
            again_at = due + rng.randint(2, 36) * 3600
        elif trade.status == WAITING_FOR_SHIPMENT:
            trade.consign_time = due
            self._set_status(trade, SHIPPED, due)
            again_at = due + rng.randint(2, 10) * DAY
        elif trade.status == SHIPPED:
            trade.end_time = due
            refunded = rng.random() < 0.03
            if refunded:
                for line in trade.lines:
                    line.refund_status = "SUCCESS"
            self._set_status(trade, REFUNDED if refunded else FINISHED, due)
        if again_at is not None:
            heapq.heappush(world.steps, (again_at, trade.tid))
        world.changed(demand=False)

    def _pay(self, trade: Trade, at: int) -> None:
        trade.pay_time = at
        self._set_status(trade, WAITING_FOR_SHIPMENT, at)
        for item, row, line in self.world.lines_with_stock(trade):
            if item.sub_stock == 2:
                row.held = max(0, row.held - line.num)
                line.location = self.world.add_units(item, row, -min(line.num, row.quantity), at)
                self._take_off_when_sold_out(item, at)
            item.sold_quantity += line.num
            self.world.touch(item, at, row)
            self._reorder(row, at)

    def _set_status(self, trade: Trade, status: str, at: int) -> None:
        trade.status, trade.modified = status, at
        self.world.report_trade(trade, ORDER_CHANGED, at)
        for line in trade.lines:
            line.status = status

    # Supply

    def _reorder(self, row: Row, at: int) -> None:
        """Order from the supplier when a few days' demand is left; late deliveries are where sell-outs come from."""
        if row.arrival_at is None and row.quantity - row.held <= row.daily_demand * REORDER_DAYS:
            row.arrival_at = at + self._rng.randint(1 * DAY, 7 * DAY)
            row.arrival_quantity = max(20, round(row.daily_demand * self._rng.uniform(12, 30)))

    def _deliver(self, at: int) -> None:
        """Goods that arrived go on the shelf; an item taken off because it was sold out comes back."""
        if at % 3600:
            return
        world = self.world
        for item, row in world.rows(self.platform):
            if row.arrival_at is None:
                self._reorder(row, at)
            elif row.arrival_at <= at:
                if item.shelf_reason == "sold_out":
                    self._put_on_shelf(item, at)
                units, row.arrival_at, row.arrival_quantity = row.arrival_quantity, None, 0
                world.add_units(item, row, units, at)
                world.changed()

    def _take_off_when_sold_out(self, item: Item, at: int) -> None:
        """Taobao does; elsewhere what is sold out stays to be seen."""
        if self.platform != TAOBAO:
            return
        if item.approve_status == ON_SALE and not any(row.quantity for row in item.sellable_rows()):
            item.approve_status, item.shelf_reason = IN_STOCK, "sold_out"
            item.delist_time = at
            self.world.touch(item, at)
            self.world.changed()

    # Prices and shelves

    def _start_promotion(self, at: int) -> None:
        rng, item = self._rng, self._any_item()
        off = rng.choice((5, 8, 10, 12, 15, 20, 30))
        ends_at = at + rng.randint(6, 120) * 3600
        if item.promotion_ends_at is None:
            for row in item.sellable_rows():
                self._set_prices(row, row.price, promotion_price(row.price, off), at)
            item.promotion_ends_at = ends_at
            self.world.touch(item, at)
            self.world.changed()

    def _end_promotions(self, at: int) -> None:
        """Promotions and absences from the shelf that are over; hourly, as shops set them."""
        if at % 3600:
            return
        for item in self._items():
            if item.promotion_ends_at is not None and item.promotion_ends_at <= at:
                for row in item.rows:
                    self._set_prices(row, row.price, row.price, at)
                item.promotion_ends_at = None
                self.world.touch(item, at)
                self.world.changed()
            if item.back_on_shelf_at is not None and item.back_on_shelf_at <= at:
                self._put_on_shelf(item, at)
                self.world.touch(item, at)
                self.world.changed()

    def _renew_coupons(self, at: int) -> None:
        """Shops hand out the next coupon when one runs out; under a new id, as platforms do. Once a day."""
        if at % DAY:
            return
        rng, world = self._rng, self.world
        coupons = [coupon for coupon in world.shop_coupons if world.shops[coupon.shop].platform == self.platform]
        newest = max((coupon.coupon_id for coupon in coupons), default=0)
        for coupon in coupons:
            if coupon.ends_at <= at:
                world.report_coupon(coupon, COUPON_DELETED, at)
                newest += 1
                coupon.coupon_id, coupon.created, coupon.ends_at = newest, at, at + rng.randint(3, 40) * DAY
                world.report_coupon(coupon, COUPON_CREATED, at)
                world.changed(demand=False)
        for affiliate in world.affiliate_coupons if self.platform == TAOBAO else ():
            if affiliate.ends_at <= at:
                affiliate.activity_id = f"{rng.getrandbits(128):032x}"
                affiliate.starts_at, affiliate.ends_at = at, at + rng.randint(2, 30) * DAY
                affiliate.remaining = affiliate.total
                world.changed(demand=False)

    def _change_price(self, at: int) -> None:
        rng, item = self._rng, self._any_item()
        percent = rng.choice((-12, -8, -5, -3, 3, 5, 8, 12))
        for row in item.sellable_rows():
            bound = row.reference_price // 2, row.reference_price * 2
            new_price = min(max(row.price * (100 + percent) // 100 // 10 * 10, bound[0]), bound[1])
            live_price = new_price if item.promotion_ends_at is None else min(row.live_price, new_price)
            self._set_prices(row, new_price, live_price, at)
            row.modified = at
        self.world.touch(item, at)
        self.world.changed()

    def _delist(self, at: int) -> None:
        item = self._any_item()
        hours = self._rng.randint(2, 48)
        if item.approve_status == ON_SALE:
            item.approve_status, item.shelf_reason = IN_STOCK, "off_shelf"
            item.delist_time, item.back_on_shelf_at = at, at + hours * 3600
            self.world.touch(item, at)
            self.world.changed()

    def _set_prices(self, row: Row, price: int, live_price: int, at: int) -> None:
        row.set_prices(price, live_price)
        if self.platform != TAOBAO:  # whose promotions do not count as a change of the variant
            row.modified = at

    @staticmethod
    def _put_on_shelf(item: Item, at: int) -> None:
        item.approve_status, item.shelf_reason, item.back_on_shelf_at = ON_SALE, "", None
        item.list_time, item.delist_time = at, at + 7 * DAY

    def _any_item(self) -> Item:
        items = self._items()
        return items[self._rng.randrange(len(items))]


def _daily_demand(row: Row) -> float:
    """Units per day at the row's live price: constant elasticity around the reference price, within a factor of 8."""
    if row.live_price <= 0 or row.reference_price <= 0:
        return row.daily_demand * 8
    factor: float = (row.live_price / row.reference_price) ** -row.elasticity
    return row.daily_demand * min(max(factor, 0.125), 8.0)


def _poisson(rng: random.Random, mean: float) -> int:
    """A Poisson draw (Knuth's product method; the normal approximation where the product would take too long)."""
    if mean <= 0:
        return 0
    if mean > 60:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count
