"""Worker processes for test_killed_processes: one that has loaded everything, and forks others that may be killed.

`python -m tests.convergence.worker` reads a command a line and answers each with a line of JSON. Times are shifted by
seconds that a command names, so that leases run out without waiting.
"""

import json
import os
import sys
import time
from datetime import datetime, timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connection  # noqa: E402
from django.db.models import Q, Sum  # noqa: E402
from django.utils import timezone  # noqa: E402

from catalog.models import Channel, Listing, Order, Product, Sku, StockLevel, StockMovement, Warehouse  # noqa: E402
from catalog.stock import counts, ledger  # noqa: E402
from catalog.stock.targets import stock_targets  # noqa: E402
from integrations.models import ChannelSync, Credential, ListingSync  # noqa: E402
from integrations.syncing import dirty, orders, pushing, switching  # noqa: E402

MOST_SECONDS = 12.0


class Clock:
    """The real time and a shift."""

    def __init__(self, shift: float) -> None:
        self.shift = shift

    def __call__(self) -> datetime:
        return timezone.now() + timedelta(seconds=self.shift)


def empty(database: str) -> None:
    """From now on work on this database, which is a copy of an empty one."""
    connection.close()
    connection.settings_dict["NAME"] = database


def set_up(shops: list[dict[str, Any]], units: int) -> None:
    """SKUs that every shop sells, `units` of each, and sync on."""
    clock = Clock(0)
    warehouse, product = Warehouse.objects.create(code="A", name="A"), Product.objects.create(name="Kettle")
    most = max(len(shop["rows"]) for shop in shops)
    skus = [Sku.objects.create(code=f"EV-{n}", product=product) for n in range(most)]
    for shop in shops:
        channel = Channel.objects.create(name=shop["platform"], platform=shop["platform"], currency=shop["currency"])
        Credential.objects.create(channel=channel, **shop["credential"])
        for sku, (item_id, sku_id) in zip(skus, shop["rows"], strict=False):
            Listing.objects.create(channel=channel, platform_item_id=item_id, platform_sku_id=sku_id, sku=sku)
        for location in shop["locations"]:
            channel.locations.create(warehouse=warehouse, location_id=location)
        switching.switch_on(channel=channel, actor=None, now=clock())
        ChannelSync.objects.filter(channel=channel).update(is_confirmed=True, most_zeroed_percent=100)
        Channel.objects.filter(pk=channel.pk).update(orders_since=clock() - timedelta(seconds=2))
    for sku in skus:
        counts.count(
            sku_id=sku.pk, warehouse_id=warehouse.pk, counted=units, key=f"opening {sku.pk}", actor=None, now=clock()
        )
    dirty.sweep(now=clock())


def work(shift: float, seconds: float) -> None:
    """Both lanes, slice after slice, for so long; in small chunks, so that a kill meets some of each kind."""
    clock, ends = Clock(shift), time.monotonic() + seconds
    pushing.PushingJob.chunk, orders._PAGE = 3, 2
    while time.monotonic() < ends:
        orders.make_due(list(ChannelSync.objects.values_list("channel", flat=True)), now=clock())
        orders.read_slice(now_fn=clock, seconds=1)
        pushing.push_slice(now_fn=clock, seconds=1)
        time.sleep(0.02)


def settle(shift: float) -> dict[str, Any]:
    """Work until nothing is due any more, putting the clock on to what is due next; returns what there is then."""
    clock, ends = Clock(shift), time.monotonic() + MOST_SECONDS
    channels = list(ChannelSync.objects.values_list("channel", flat=True))
    dirty.sweep(now=clock())
    reads = 0
    while time.monotonic() < ends:
        # A killed worker's lease has to end first.
        is_held = ChannelSync.objects.filter(orders_lease_token__isnull=False).exists()
        if reads < 2 or is_held:
            orders.make_due(channels, now=clock())
            orders.read_slice(now_fn=clock, seconds=2)
            reads += not is_held
        pushing.push_slice(now_fn=clock, seconds=2)
        open_rows = ListingSync.objects.exclude(due_at=None, verify_at=None, lease_token=None)
        if reads >= 2 and not open_rows.exists():
            break
        clock.shift += 20 if is_held else 3
    return report(clock.shift)


def report(shift: float) -> dict[str, Any]:
    booked = StockMovement.objects.filter(order_line__isnull=False)
    reserving = Q(kind__in=StockMovement.RESERVING)
    targets = {(each.listing_id, each.location_id): each.target.quantity for each in stock_targets()}
    listings = Listing.objects.select_related("channel").in_bulk()
    return {
        "shift": shift,
        "targets": [
            [
                listings[listing].channel.platform,
                listings[listing].platform_item_id,
                listings[listing].platform_sku_id,
                location,
                quantity,
            ]
            for (listing, location), quantity in targets.items()
        ],
        "available": dict(StockLevel.objects.values_list("sku__code", "available")),
        "booked": list(
            booked.order_by()
            .values_list("order_line")
            .annotate(
                reserved=Sum("quantity", filter=reserving, default=0),
                sold=-Sum("quantity", filter=~reserving, default=0),
            )
        ),
        "orders": Order.objects.count(),
        "wrong": [str(each) for each in ledger.check()],
        "open": ListingSync.objects.exclude(due_at=None, verify_at=None, lease_token=None).count(),
        "states": sorted(set(ListingSync.objects.values_list("state", flat=True))),
        "leased": ListingSync.objects.filter(lease_token__isnull=False).count()
        + ChannelSync.objects.filter(orders_lease_token__isnull=False).count(),
    }


def _fork(shift: float, seconds: float) -> int:
    """Start a worker; returns its process id."""
    connection.close()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work(shift, seconds)
            code = 0
        finally:
            os._exit(code)
    return pid


def _wait(pid: int) -> int:
    """How a worker ended: its exit code, or minus the signal that ended it."""
    _pid, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    deeds: dict[str, Any] = {each.__name__.strip("_"): each for each in (empty, set_up, settle, report, _fork, _wait)}
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        answer = deeds[name](*arguments)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
