"""Runs a schedule: real connectors, lanes, ledger and database against the simulator, under the faults of its seed.

What is checked on the way: nothing is booked twice, no two runners have a call out for the same row, every figure that
is sent was a target while its runner ran, and no write goes uncompared where the platform can compare. What is checked
once it is quiet is in `Run.differences`.
"""

import gc
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest import mock

from django.core.cache import caches
from django.db import connection, transaction
from django.db.models import F, Min, Q, Sum
from django.db.transaction import Atomic

from catalog.models import (
    BundleComponent,
    Channel,
    ChannelLocation,
    Listing,
    Order,
    Product,
    Sku,
    StockLevel,
    StockMovement,
    StockRule,
    Warehouse,
)
from catalog.services import map_listings, tell_channels_changed, tell_listings_changed
from catalog.stock import booking, counts, ledger, transfers
from catalog.stock.targets import stock_targets
from integrations import tasks
from integrations.connectors import CONNECTORS
from integrations.connectors.http import HttpClient
from integrations.lanes import engine
from integrations.models import ChannelHealth, ChannelSync, ListingSync, SyncRun
from integrations.simulator.world import Item, Row
from integrations.syncing import dirty, orders, pushing, switching
from tests.convergence.clock import VirtualClock, in_force
from tests.convergence.plan import FEWEST_FAULTS, Call, Fault, Schedule, Step
from tests.convergence.shops import Shops, units_kept
from tests.convergence.wire import InlinePool, Killed, Wire
from tests.integrations.shops import shopify_channel, taobao_channel, woocommerce_channel

SLICE_SECONDS = 20.0
SWEEP_EVERY = 300.0
MOST_FURTHER_ROUNDS = 40
MOST_QUIET_TURNS = 80
QUIET_TURN_SECONDS = 15.0  # at least: what comes due meanwhile is done together
CHANNELS = {"taobao": taobao_channel, "shopify": shopify_channel, "woocommerce": woocommerce_channel}


class Diverged(AssertionError):
    """A schedule did not end, or go, as it has to."""


@dataclass
class Sold:
    """What a row of a shop stands for: its listing, and what one piece of it takes, as (SKU, units)."""

    shops: Shops
    channel: Channel
    key: tuple[int, int]  # of item and variant
    location: int  # where its buyers take it from; 0: the shop has no locations
    listing: Listing
    sku: Sku
    parts: list[tuple[int, int]] = field(default_factory=list)
    is_mapped: bool = True

    @property
    def goods(self) -> tuple[Item, Row]:
        """As the shop has them now."""
        return self.shops.find(*self.key)

    @property
    def shown(self) -> int:
        _item, row = self.goods
        return row.levels[self.location] if self.location else row.quantity


@dataclass
class Runner:
    """A slice that is running."""

    moment: int  # of Run.targets
    # For which it has a call out, with the end of its lease by our host's clock.
    rows: dict[tuple[int, str], datetime] = field(default_factory=dict)


def _leases(batch: Sequence[Any]) -> dict[tuple[int, str], datetime]:
    """The rows of a batch that is sent, with the ends of their leases."""
    rows = ListingSync.objects.filter(listing__in=[target.listing_id for target in batch])
    sent = {(target.listing_id, target.location_id) for target in batch}
    found = rows.values_list("listing", "location_id", "lease_until")
    return {(pk, place): until for pk, place, until in found if until is not None and (pk, place) in sent}


def check(schedule: Schedule) -> "Run":
    """Run a schedule inside a transaction that is rolled back. Raises Diverged, which tells how to see it again."""
    run = Run(schedule)
    try:
        with transaction.atomic():
            run.play()
            transaction.set_rollback(True)
    except Exception as error:
        raise Diverged(run.story(error)) from error
    return run


class Run:
    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.clock = VirtualClock()
        self.met: list[str] = []  # the faults, as they came
        self.wrong: list[str] = []  # what must not happen on the way
        self.queue: list[tuple[str, tuple[Any, ...]]] = []
        self.channels: dict[str, Channel] = {}
        self.sold: list[Sold] = []
        self.skus: list[Sku] = []
        self.warehouses: list[Warehouse] = []
        self.hand: Counter[int] = Counter()  # units that people booked, by SKU
        self.deeds = 0
        self.told: list[tuple[Channel, list[Any]]] = []  # pages of orders as they were read
        self.targets: dict[tuple[int, str], list[tuple[int, int | None]]] = defaultdict(list)
        self.moment = 0
        self._watches_targets = schedule.seed % 4 == 0
        self._runners: list[Runner] = []
        self._loses_signal = False
        self._kills_booking: Fault | None = None
        self._swept_at = 0.0
        self._rng = random.Random(f"world {schedule.seed}")

    def story(self, error: Exception) -> str:
        lines = [
            f"seed {self.schedule.seed}: {type(error).__name__}: {error}",
            f"again: make soak SCHEDULES=1 SEED={self.schedule.seed}",
            f"{len(self.met)} faults met:",
            *(f"  {number}. {fault}" for number, fault in enumerate(self.met, start=1)),
        ]
        return "\n".join(lines)

    # --- The whole of it --------------------------------------------------------------------------------------------

    def play(self) -> None:
        state = random.getstate()
        random.seed(self.schedule.seed)
        gc.disable()  # nothing of a schedule is worth looking for before it is over
        try:
            with self._in_our_hands():
                self._set_up()
                for steps in self.schedule.rounds:
                    self._do(steps)
                self._meet_the_rest()
                self._come_to_rest()
                self._raise(self.wrong + self.differences())
        finally:
            gc.enable()
            random.setstate(state)

    def _do(self, steps: Sequence[Step]) -> None:
        for step in steps:
            getattr(self, f"_{step.name}")(step)
            self._raise(self.wrong)

    def _raise(self, wrong: list[str]) -> None:
        if wrong:
            raise Diverged("\n".join(wrong))

    def _meet_the_rest(self) -> None:
        """Go on trading until every call that has something in store was made."""
        for turn in range(MOST_FURTHER_ROUNDS):
            if not self.wire.left:
                break
            numbers = tuple(self._rng.randrange(1_000_000) for _ in range(4))
            if Call.LOOK in self.wire.left or Call.WRITE in self.wire.left:
                self._receive(Step("receive", numbers))
            if turn % 4 == 3:  # where nothing more is called, all may be paused
                self._rule(Step("rule", (turn // 4, 0)))
                self._listing_rule(Step("listing_rule", (numbers[0], 0)))
            self._order_moves(Step("order_moves", numbers))
            now = self.clock()
            self._do([Step("work", numbers)])
            all_read = [channel.pk for channel in self.channels.values()]
            self.clock.sleep(max((self._next(now, all_read) - now).total_seconds(), 5.0))
            self._read_orders()
            self._push()
        if self.wire.left or len(self.met) < FEWEST_FAULTS:
            raise Diverged(f"only {len(self.met)} faults were met, and left are {self.wire.left}")

    def _come_to_rest(self) -> None:
        """No more faults, nor orders: the clock is set right, and what waits or was lost is taken up in its time."""
        self.clock.error = 0.0
        self._map(Step("map"))
        read_before = dict(ChannelSync.objects.values_list("pk", "orders_read_at"))
        unread: set[int] = set(read_before)
        open_in: set[int] = set()
        self._swept_at = -SWEEP_EVERY
        for _turn in range(MOST_QUIET_TURNS):
            if self.clock.passed - self._swept_at >= SWEEP_EVERY:
                self._sweep()
            self.queue.clear()
            # No shop sells anything now: what was read once is read again only where a listing may wait for it.
            if unread | open_in:
                self._read_orders(unread | open_in)
            self._push()
            self._raise(self.wrong)
            now = self.clock()
            unread = {
                sync.pk
                for sync in ChannelSync.objects.filter(pk__in=unread)
                if sync.orders_read_at == read_before[sync.pk]
                or sync.orders_lease_token is not None
                or (sync.orders_due_at is not None and sync.orders_due_at <= now)
            }
            open_rows = ListingSync.objects.exclude(due_at=None, verify_at=None, lease_token=None)
            open_in = set(open_rows.values_list("channel", flat=True))
            if not (unread or open_in or self.queue):
                return
            self.clock.sleep(max((self._next(now, unread) - now).total_seconds(), QUIET_TURN_SECONDS))
        raise Diverged("it does not come to rest:\n" + "\n".join(self._unsettled()))

    def _next(self, now: datetime, unread: Collection[int]) -> datetime:
        """When something is due next, at most a few minutes ahead; of orders, those of these channels."""
        moments = [now + timedelta(minutes=5)]
        for rows, names in (
            (ListingSync.objects.all(), ("due_at", "verify_at", "lease_until")),
            (ChannelSync.objects.filter(pk__in=unread), ("orders_due_at", "orders_lease_until")),
            (ChannelHealth.objects.all(), ("retry_at",)),
        ):
            found = rows.aggregate(**{name: Min(name, filter=Q(**{f"{name}__gt": now})) for name in names})
            moments += [moment for moment in found.values() if moment is not None]
        return min(moments)

    # --- Before it begins -------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        rng, now = self._rng, self.clock()
        self.shops = Shops(self.clock)
        self.wire = Wire(self.shops, self.clock, self.schedule.of_calls, self, self.met.append)
        product = Product.objects.create(name="手冲咖啡壶")
        self.warehouses = [Warehouse.objects.create(code=code, name=code, position=n) for n, code in enumerate("AB")]
        self.skus = [Sku.objects.create(code=f"EV-{n}", product=product) for n in range(4)]
        bundle = Sku.objects.create(code="EV-SET", product=product)
        BundleComponent.objects.create(bundle=bundle, component=self.skus[0], units=1)
        BundleComponent.objects.create(bundle=bundle, component=self.skus[1], units=2)
        parts = {sku.pk: [(sku.pk, 1)] for sku in self.skus} | {bundle.pk: [(self.skus[0].pk, 1), (self.skus[1].pk, 2)]}
        unmapped = rng.choice(sorted(CHANNELS))
        places = rng.choice(("one", "two", "sum", "priority"))
        for platform, connect in CHANNELS.items():
            channel = self.channels[platform] = connect(self.shops, **_KINDS.get(platform, {}))
            if platform == "taobao":
                channel.credential.options = {**channel.credential.options, "shop_kind": "tmall"}
                channel.credential.save()
            locations = self._place(channel, places) if platform == "shopify" else [0]
            rows = [(item, row) for item, row in self.shops.rows(platform) if row.status == "normal"]
            rng.shuffle(rows)
            packed = rng.randrange(4)
            goods = [(sku, 1) for sku in self.skus] + [(bundle, 1), (self.skus[packed], rng.choice((2, 3)))]
            goods = rng.sample(goods, rng.randint(4, 6))
            for number, ((item, row), (sku, pack)) in enumerate(zip(rows, goods, strict=False)):
                item.sub_stock = rng.choice((1, 2)) if platform == "taobao" else item.sub_stock
                is_mapped = platform != unmapped or number > 0
                listing = Listing.objects.create(
                    channel=channel,
                    platform_item_id=str(item.num_iid),
                    platform_sku_id=str(row.sku_id or ""),
                    sku=sku if is_mapped else None,
                    pack_factor=pack,
                )
                taken = [(part, units * pack) for part, units in parts[sku.pk]]
                key = item.num_iid, row.sku_id
                self.sold += [
                    Sold(self.shops, channel, key, each, listing, sku, taken, is_mapped) for each in locations
                ]
        opening = [
            counts.Counted(sku.pk, warehouse.pk, rng.choice((0, 1, 3, 8, 20, 45)), f"opening {sku.pk} {warehouse.pk}")
            for sku in self.skus
            for warehouse in self.warehouses
        ]
        counts.count_many(opening, actor=None, now=now)
        for each in opening:
            self.hand[each.sku_id] += each.units
        for platform, channel in self.channels.items():
            if rng.random() < 0.5:
                StockRule.objects.create(channel=channel, **_RULES[rng.randrange(len(_RULES))])
            switching.switch_on(channel=channel, actor=None, now=now)
            ChannelSync.objects.filter(channel=channel).update(is_confirmed=True, **_ASKS_NOBODY)
            assert platform in CONNECTORS
        self.clock.sleep(1.0)

    def _place(self, channel: Channel, places: str) -> list[int]:
        """Where the shop's stock lies, and which warehouses it comes from; what lies elsewhere is cleared away."""
        first, second = self.shops.simulation.world.shops["shopify-nuanju"].locations
        own, other = self.warehouses
        mapped = {"one": [(first, own)], "two": [(first, own), (second, other)]}.get(
            places, [(first, own), (first, other)]
        )
        for position, (location, warehouse) in enumerate(mapped):
            ChannelLocation.objects.create(
                channel=channel, warehouse=warehouse, location_id=str(location), position=position
            )
        Channel.objects.filter(pk=channel.pk).update(location_mode="priority" if places == "priority" else "sum")
        used = list(dict.fromkeys(location for location, _warehouse in mapped))
        for _item, row in self.shops.rows("shopify"):
            for location in [location for location in row.levels if location not in used]:
                row.quantity -= row.levels[location]
                row.levels[location] = 0
        return used

    # --- What people and buyers do ----------------------------------------------------------------------------------

    def _sell(self, step: Step, platform: str = "") -> None:
        choice, units, *_rest = step.numbers
        sold = [each for each in self.sold if platform in {"", each.channel.platform}]
        self._order(sold[choice % len(sold)], 1 + units % 3)

    def _order(self, each: Sold, units: int) -> None:
        item, row = each.goods
        there = each.shown if each.location else row.sellable
        if there > 0:
            self.shops.order(item, row, min(units, there), each.location)

    def _order_moves(self, step: Step) -> None:
        choice, fate, *_rest = step.numbers
        trades = self.shops.trades()
        if trades:
            self.shops.move(trades[choice % len(trades)], gives_up=fate % 3 == 0)

    def _adjust(self, step: Step) -> None:
        sku, warehouse = self._place_of(step)
        units = (-4, -2, -1, 1, 3, 9)[step.numbers[2] % 6]
        self._book(partial(counts.adjust, quantity=units, reason="found"), sku, warehouse, units, step.fault)

    def _receive(self, step: Step) -> None:
        sku, warehouse = self._place_of(step)
        units, kind = 1 + step.numbers[2] % 12, StockMovement.Kind.RECEIPT
        self._book(partial(counts.adjust, quantity=units, reason="", kind=kind), sku, warehouse, units, step.fault)

    def _book(self, deed: Callable[..., Any], sku: Sku, warehouse: Warehouse, units: int, fault: Fault | None) -> None:
        self.deeds += 1
        for _time in range(2 if fault is Fault.DEED_TWICE else 1):
            deed(sku_id=sku.pk, warehouse_id=warehouse.pk, key=f"form {self.deeds}", actor=None, now=self.clock())
        self.hand[sku.pk] += units

    def _count(self, step: Step) -> None:
        sku, warehouse = self._place_of(step)
        self.deeds += 1
        found = counts.count(
            sku_id=sku.pk,
            warehouse_id=warehouse.pk,
            counted=step.numbers[2] % 30,
            key=f"form {self.deeds}",
            actor=None,
            now=self.clock(),
        )
        assert found is not None
        self.hand[sku.pk] += found.quantity

    def _transfer(self, step: Step) -> None:
        sku, source = self._place_of(step)
        [other] = [each for each in self.warehouses if each != source]
        self.deeds += 1
        sent = transfers.send_transfer(
            sku_id=sku.pk,
            source_id=source.pk,
            destination_id=other.pk,
            quantity=3,
            key=f"form {self.deeds}",
            actor=None,
            now=self.clock(),
        )
        arrived = step.numbers[2] % 4
        transfers.receive_transfer(transfer_id=sent.pk, quantity=arrived, actor=None, now=self.clock())
        self.hand[sku.pk] += arrived - 3

    def _place_of(self, step: Step) -> tuple[Sku, Warehouse]:
        return self.skus[step.numbers[0] % len(self.skus)], self.warehouses[step.numbers[1] % len(self.warehouses)]

    def _rule(self, step: Step) -> None:
        channel = list(self.channels.values())[step.numbers[0] % len(self.channels)]
        with transaction.atomic():
            StockRule.objects.update_or_create(channel=channel, defaults=_RULES[step.numbers[1] % len(_RULES)])
            tell_channels_changed([channel.pk])

    def _listing_rule(self, step: Step) -> None:
        listing = self.sold[step.numbers[0] % len(self.sold)].listing
        with transaction.atomic():
            StockRule.objects.update_or_create(listing=listing, defaults=_RULES[step.numbers[1] % len(_RULES)])
            tell_listings_changed([listing.pk])

    def _map(self, step: Step) -> None:
        """The listing that was not mapped is, and what was sold of it before is booked."""
        for each in self.sold:
            if not each.is_mapped:
                map_listings(skus={each.listing.pk: each.sku}, actor=None, now=self.clock())
                each.is_mapped = True

    # --- What goes wrong between the slices -------------------------------------------------------------------------

    def _go_wrong(self, step: Step) -> None:
        fault = step.fault
        assert fault is not None
        self.met.append(str(fault))
        if fault in {Fault.CLOCK_FORWARD, Fault.CLOCK_BACK}:
            self.step_clock(step.numbers[0] % 2 if fault is Fault.CLOCK_FORWARD else 2 + step.numbers[0] % 2)
        elif fault is Fault.TASK_DROPPED:
            self._ensure_task()
            del self.queue[step.numbers[0] % len(self.queue)]
        elif fault is Fault.TASK_TWICE:
            self._ensure_task()
            self.queue.append(self.queue[step.numbers[0] % len(self.queue)])
            self._run_queue(every=True)
        elif fault is Fault.TASKS_REVERSED:
            self._ensure_task()
            self.queue.reverse()
            self._run_queue(every=True)
        elif fault is Fault.SIGNAL_LOST:
            self._loses_signal = True
            self._adjust(step)
            self._loses_signal = False
        elif fault is Fault.DEED_TWICE:
            self._adjust(step)
        elif fault is Fault.STALE_NEWS:
            self._tell_again(step)
        else:
            self._sell(step)
            self.clock.sleep(61.0)
            self._kills_booking = fault
            self._read_orders()
            self._kills_booking = None

    def _ensure_task(self) -> None:
        if not self.queue:
            self._adjust(Step("adjust", (1, 0, 3, 0)))
        if not self.queue:
            self.queue.append(("integrations.tasks.push_lane", ()))

    def _tell_again(self, step: Step) -> None:
        """Old pages once more, the oldest last, as webhooks that were held up would tell them."""
        for channel, page in reversed(self.told[-6:]):
            with transaction.atomic():
                booked = booking.book_orders(channel, page, now=self.clock())
                dirty.doubt_listings(booked.moved, now=self.clock())

    def step_clock(self, number: int) -> None:
        self.clock.error += (75.0, 290.0, -75.0, -290.0)[number % 4]
        self.clock.error = min(max(self.clock.error, -300.0), 300.0)

    def second_runner(self, call: Call) -> None:
        if call is Call.ORDERS:
            self._read_orders()
        else:
            self.change_meanwhile()
            self._push()

    def sell_meanwhile(self, platform: str) -> None:
        n = self.wire.calls
        self._sell(Step("sell", (n, n + 1, 0, 0)), platform)

    def change_meanwhile(self) -> None:
        n = self.wire.calls
        self._adjust(Step("adjust", (n, n // 2, n // 3, 0)))

    # --- What our workers do ----------------------------------------------------------------------------------------

    def _work(self, step: Step) -> None:
        self._run_queue()
        if self.clock.passed - self._swept_at >= SWEEP_EVERY:
            self._sweep()
            self._run_queue()

    def _wait(self, step: Step) -> None:
        """Time passes; the clock starts the lanes each minute."""
        [seconds] = step.numbers
        minute = self.clock.passed // 60
        self.clock.sleep(seconds)
        if self.clock.passed // 60 > minute:
            self._read_orders()
            self._push()

    def _run_queue(self, *, every: bool = False) -> None:
        """What was queued; a lane that was queued twice runs once, since one is enough, unless `every`."""
        waiting, self.queue = self.queue, []
        for path, arguments in waiting if every else list(dict.fromkeys(waiting)):
            name = path.rpartition(".")[2]
            if name == "push_lane":
                self._push()
            elif name == "orders_lane":
                self._read_orders()
            elif name == "sweep_stock":
                tasks.sweep_stock(*(list(each) for each in arguments))
                self._committed()

    def _sweep(self) -> None:
        self._swept_at = self.clock.passed
        tasks.sweep_stock()
        self._committed()

    def _push(self) -> None:
        self._slice(pushing.push_slice)

    def _read_orders(self, channel_ids: Collection[int] | None = None) -> None:
        self._slice(partial(orders.read_slice, channel_ids=channel_ids))
        self.wrong += self._booked_twice()

    def _slice(self, one_slice: Callable[..., Any]) -> None:
        self._runners.append(Runner(self.moment))
        try:
            one_slice(now_fn=self.clock, seconds=SLICE_SECONDS)
        except Killed:
            connection.run_on_commit.clear()  # nobody is left to do it
        finally:
            self._runners.pop()
        self._committed()

    # --- What is watched on the way ---------------------------------------------------------------------------------

    @contextmanager
    def _in_our_hands(self) -> Iterator[None]:
        """Time, the wire, the pool, the queue and what follows a commit are the schedule's."""
        self._depth = len(connection.savepoint_ids)
        errors = _Errors(self.wrong)
        with ExitStack() as stack:
            stack.enter_context(in_force(self.clock))
            exchange = lambda _client, *call: self.wire.exchange(*call)  # noqa: E731
            for target, name, stand_in in (
                (HttpClient, "_exchange", exchange),
                (engine, "ThreadPoolExecutor", InlinePool),
                (Atomic, "__exit__", self._leaving(Atomic.__exit__)),
                (orders, "book_orders", self._booking(booking.book_orders)),
                *((module, "async_task", self._queued) for module in _QUEUEING),
                *((CONNECTORS[name], "push_stock", self._pushing(CONNECTORS[name].push_stock)) for name in CHANNELS),
            ):
                stack.enter_context(mock.patch.object(target, name, stand_in))
            for name in ("integrations", "catalog"):
                logging.getLogger(name).addHandler(errors)
                stack.callback(logging.getLogger(name).removeHandler, errors)
            caches["process"].clear()
            yield

    def _queued(self, path: str, *arguments: Any, **options: Any) -> None:
        self.queue.append((path, tuple(tuple(each) for each in arguments)))

    def _leaving(self, leave: Callable[..., Any]) -> Callable[..., Any]:
        """What follows a commit follows the end of the outermost block inside the test's own."""

        def left(block: Atomic, *error: Any) -> Any:
            result = leave(block, *error)
            if len(connection.savepoint_ids) == self._depth and error[0] is None:
                self._committed()
            return result

        return left

    def _committed(self) -> None:
        while connection.run_on_commit and len(connection.savepoint_ids) == self._depth:
            callbacks, connection.run_on_commit = connection.run_on_commit, []
            self._note_targets()
            if not self._loses_signal:
                for after in callbacks:
                    after[1]()

    def _booking(self, book: Callable[..., Any]) -> Callable[..., Any]:
        def booked(channel: Channel, page: Sequence[Any], *, now: datetime) -> Any:
            if page:
                self.told.append((channel, list(page)))
            if self._kills_booking is Fault.KILLED_BOOKING:
                self._kills_booking = None
                with transaction.atomic():
                    book(channel, page, now=now)
                    raise Killed
            result = book(channel, page, now=now)
            if self._kills_booking is Fault.KILLED_BOOKED:
                self._kills_booking = None
                raise Killed
            return result

        return booked

    def _pushing(self, push: Callable[..., Any]) -> Callable[..., Any]:
        def pushed(connector: Any, batch: Sequence[Any], **options: Any) -> Any:
            rows = _leases(batch)
            *others, runner = self._runners
            for other in others:
                both = sorted(row for row in rows if row in other.rows and self.clock() < other.rows[row])
                if both:
                    self.wrong.append(f"two runners send {both} at once")
            if self._watches_targets:
                for target in batch:
                    self._look_at_figure(target, runner)
            runner.rows |= rows
            try:
                return push(connector, batch, **options)
            finally:
                for row in rows:
                    runner.rows.pop(row, None)

        return pushed

    def _note_targets(self) -> None:
        if self._watches_targets:
            self.moment += 1
            for each in stock_targets():
                seen = self.targets[each.listing_id, each.location_id]
                if not seen or seen[-1][1] != each.target.quantity:
                    seen.append((self.moment, each.target.quantity))

    def _look_at_figure(self, target: Any, runner: Runner) -> None:
        """A figure that is sent was its listing's target at some moment since its runner began."""
        seen = self.targets[target.listing_id, target.location_id]
        later = [quantity for moment, quantity in seen if moment > runner.moment]
        earlier = [quantity for moment, quantity in seen if moment <= runner.moment]
        if target.quantity not in later + earlier[-1:]:
            self.wrong.append(f"{target.quantity} sent for listing {target.listing_id}, whose targets were {seen}")

    def _booked_twice(self) -> list[str]:
        """Lines for which more is booked, in all, than their buyers ordered."""
        booked = (
            StockMovement.objects.filter(order_line__isnull=False)
            .order_by()
            .values_list("order_line", "sku")
            .annotate(
                reserved=Sum("quantity", filter=Q(kind__in=StockMovement.RESERVING), default=0),
                sold=-Sum("quantity", filter=~Q(kind__in=StockMovement.RESERVING), default=0),
                pieces=F("order_line__quantity"),
            )
        )
        most = max(units for each in self.sold for _sku, units in each.parts)
        return [
            f"order line {line}: {reserved} reserved and {sold} sold of {pieces} pieces"
            for line, _sku, reserved, sold, pieces in booked
            if reserved < 0 or sold < 0 or reserved + sold > pieces * most
        ]

    # --- What has to be so in the end -------------------------------------------------------------------------------

    def differences(self) -> list[str]:
        """What is not as it has to be once it is quiet."""
        return [
            *self._unlike_targets(),
            *self._unlike_orders(),
            *(f"level and ledger differ: {each}" for each in ledger.check()),
            *self._booked_twice(),
            *self._unsettled(),
            *(f"{stock_id} was written without a comparison" for stock_id in self.wire.uncompared),
        ]

    def _unlike_targets(self) -> list[str]:
        targets = {(each.listing_id, each.location_id): each.target for each in stock_targets()}
        found = []
        for each in self.sold:
            target = targets[each.listing.pk, str(each.location or "")]
            if target.quantity is not None and target.quantity != each.shown:
                row = ListingSync.objects.filter(listing=each.listing, location_id=str(each.location or ""))
                found.append(
                    f"{each.channel.platform} shows {each.shown} of {each.sku.code} (listing {each.listing.pk}, at "
                    f"{each.location}), its target is {target.quantity}; {row.values().first()}"
                )
        return found

    def _unlike_orders(self) -> list[str]:
        reserved, sold = Counter[int](), Counter[int]()
        by_row = {each.key: each for each in self.sold}
        trades = self.shops.trades()
        for trade in trades:
            [line] = trade.lines
            of_reserved, of_sold = units_kept(trade)
            for part, units in by_row[line.num_iid, line.sku_id].parts:
                reserved[part] += of_reserved * units
                sold[part] += of_sold * units
        found = [] if Order.objects.count() == len(trades) else [f"{Order.objects.count()} orders of {len(trades)}"]
        for sku in self.skus:
            levels = StockLevel.objects.filter(sku=sku).aggregate(on_hand=Sum("on_hand"), reserved=Sum("reserved"))
            wanted = {"on_hand": self.hand[sku.pk] - sold[sku.pk], "reserved": reserved[sku.pk]}
            if levels != wanted:
                found.append(f"the ledger of {sku.code} has {levels}, its orders make {wanted}")
        if found:
            told = Order.objects.order_by("pk").values_list(
                "channel__platform", "platform_order_id", "status", "changed_at"
            )
            found += [str(each) for each in told]
            found += [f"{trade.tid} {trade.shop} {trade.status} {trade.modified}" for trade in trades]
        return found

    def _unsettled(self) -> list[str]:
        rows = ListingSync.objects.exclude(
            due_at=None, verify_at=None, lease_token=None, lease_until=None, state__in=["in-sync", "stopped"]
        )
        syncs = ChannelSync.objects.exclude(orders_lease_token=None, orders_attempts=0)
        runs = SyncRun.objects.filter(ended_at=None, started_at__lt=self.clock() - timedelta(minutes=10))
        return [f"left: {values}" for found in (rows, syncs, runs) for values in found.values()]


class _Errors(logging.Handler):
    """Bugs that the lanes caught, so that the other channels went on."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._wrong = wrong

    def emit(self, record: logging.LogRecord) -> None:
        self._wrong.append(f"{record.name}: {record.getMessage()}: {record.exc_info and record.exc_info[1]!r}")


# What would set many listings to 0 is not what this is about.
_ASKS_NOBODY = {"most_zeroed_percent": 100} if hasattr(ChannelSync, "most_zeroed_percent") else {}
_KINDS: dict[str, dict[str, Any]] = {"shopify": {"kind": "custom"}}
_QUEUEING = (tasks, orders, switching)
_RULES: Sequence[dict[str, Any]] = (
    {"buffer": None, "share_percent": None, "cap": None, "stop_at": None, "is_paused": None},
    {"buffer": 2, "share_percent": None, "cap": None, "stop_at": None, "is_paused": None},
    {"buffer": None, "share_percent": 80, "cap": None, "stop_at": None, "is_paused": None},
    {"buffer": 1, "share_percent": 50, "cap": 6, "stop_at": 1, "is_paused": None},
    {"buffer": None, "share_percent": None, "cap": None, "stop_at": None, "is_paused": True},
)
