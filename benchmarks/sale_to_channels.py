"""From a sale that was seen on one channel until the other two show it, in the simulator without quotas.

Real worker processes (`manage.py work`, the interactive cluster) do the pushing: the order is booked here, by the door
through which polling and webhooks book, and all that follows is the product's own way, over the commit's signal, the
queue and the push lane. Sales come at any moment of the workers' rounds.

    python -m benchmarks sale_to_channels
"""

import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from django.db.models import Q

from benchmarks import stock_shops
from benchmarks.harness import FOLDER, report
from catalog.models import Channel, ChannelLocation, Listing, Product, Sku, StockMovement, Warehouse
from catalog.stock.booking import book_orders
from integrations.connectors.base import Order, OrderLine, OrderStatus
from integrations.models import ChannelSync, ListingSync
from integrations.syncing import dirty
from integrations.tasks import request_push_lane
from tests.integrations.connectors.subjects import SUBJECTS, Row, Subject
from tests.integrations.shops import shopify_channel, taobao_channel, woocommerce_channel
from tests.processes import PROJECT
from tests.simulator import Simulator, start_simulator, stop_simulator

SKUS, SALES = 4, 60
LONGEST_PAUSE_SECONDS = 3.0
LOOK_EVERY_SECONDS = 0.02
GIVE_UP_SECONDS = 60.0
CHANNELS = {"shopify": shopify_channel, "woocommerce": woocommerce_channel, "taobao": taobao_channel}


@contextmanager
def workers() -> Iterator[None]:
    """The interactive cluster on this benchmark's database, ended with all that it started."""
    with (FOLDER / "work.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "work", "--cluster", "interactive"],
            cwd=PROJECT,
            env={**os.environ, "VAR_DIR": str(FOLDER)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def connect(simulator: Simulator) -> list[tuple[Subject, list[Row], list[Listing]]]:
    """The first shop of each platform, whose ordinary rows are the same SKUs everywhere."""
    warehouse = Warehouse.objects.create(code="MAIN", name="Main")
    product = Product.objects.create(name="Kettle")
    skus = Sku.objects.bulk_create(Sku(code=f"K-{number}", product=product) for number in range(SKUS))
    stock_shops.move(lambda place: 500 + place, kind=StockMovement.Kind.COUNT)
    shops = []
    for platform, make in CHANNELS.items():
        subject = SUBJECTS[platform](simulator)
        channel = make(simulator)
        Channel.objects.filter(pk=channel.pk).update(orders_since=datetime.now(UTC))
        channel.refresh_from_db()
        if platform == "taobao":
            channel.credential.options = {**channel.credential.options, "shop_kind": "tmall"}
            channel.credential.save()
        rows = subject.ordinary(SKUS)
        if rows[0].location_id:
            ChannelLocation.objects.create(channel=channel, warehouse=warehouse, location_id=rows[0].location_id)
        listings = Listing.objects.bulk_create(
            Listing(channel=channel, sku=sku, platform_item_id=row.item_id, platform_sku_id=row.sku_id)
            for sku, row in zip(skus, rows, strict=True)
        )
        ChannelSync.objects.create(channel=channel, is_on=True, is_confirmed=True)
        shops.append((subject, rows, listings))
    return shops


def wait(is_so: Callable[[], bool], *, every: float = LOOK_EVERY_SECONDS) -> None:
    ends = time.monotonic() + GIVE_UP_SECONDS
    while not is_so():
        if time.monotonic() > ends:
            raise RuntimeError((FOLDER / "work.log").read_text(encoding="utf-8")[-5_000:])
        time.sleep(every)


def is_settled() -> bool:
    return not ListingSync.objects.filter(~Q(due_at=None) | ~Q(verify_at=None)).exists()


def main(database: str) -> None:
    chance = random.Random(7)
    seconds = []
    process, address = start_simulator("--seed", "7", "--listings", "80")
    simulator = Simulator(address)
    try:
        simulator.reset(speed=0)
        shops = connect(simulator)
        with workers():
            dirty.sweep(now=datetime.now(UTC))
            request_push_lane()
            wait(is_settled, every=0.2)
            for number in range(SALES):
                time.sleep(chance.uniform(0, LONGEST_PAUSE_SECONDS))
                place, seen_on = number % SKUS, number % len(shops)
                seconds.append(sale(shops, seen_on, place, number))
    finally:
        simulator.close()
        stop_simulator(process)
    p95 = statistics.quantiles(seconds, n=20)[-1]
    report(
        "from a sale to the other channels, in seconds",
        target="p95 under 3",
        passed=p95 < 3,
        database=database,
        p50=round(statistics.median(seconds), 2),
        p95=round(p95, 2),
        longest=round(max(seconds), 2),
        sales=len(seconds),
    )


def sale(shops: list[tuple[Subject, list[Row], list[Listing]]], seen_on: int, place: int, number: int) -> float:
    """Seconds from booking one unit of a SKU, sold on one of the shops, until the others show what is left."""
    _subject, rows, listings = shops[seen_on]
    row, channel = rows[place], listings[place].channel
    others = [(subject, its_rows[place]) for index, (subject, its_rows, _l) in enumerate(shops) if index != seen_on]
    now = datetime.now(UTC)
    line = OrderLine(line_id="1", item_id=row.item_id, sku_id=row.sku_id, outer_id="", quantity=1)
    order = Order(f"9{number:09}", OrderStatus.PAID, now, now, channel.currency, (line,), paid_at=now)
    started = time.monotonic()
    booked = book_orders(channel, [order], now=now)
    assert booked.movements == 1
    left = Sku.objects.filter(code=f"K-{place}").values_list("stock_levels__available", flat=True).get()
    wait(lambda: all(subject.row(other).shown == left for subject, other in others))
    return time.monotonic() - started
