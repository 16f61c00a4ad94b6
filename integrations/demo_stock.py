"""The demo world's own stock: two warehouses, an opening count, and three shops that show what is there."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import F, Max

from catalog.models import Channel, ChannelLocation, Listing, Sku, StockMovement, StockRule, User, Warehouse
from catalog.stock.counts import Counted, count_many
from integrations.connections import connector_for
from integrations.syncing import dry_runs, orders, switching

WAREHOUSES = (("HZ", "杭州仓"), ("YW", "义乌仓"))
IN_THE_FIRST = 7  # of ten units
UNSEEN = 24  # units of a SKU whose listings do not tell their stock
# What each of the synced shops holds back, in their order.
RULES = ({"cap": 200}, {"buffer": 2}, {"share_percent": 80, "cap": 50})
READ_SECONDS = 20


def add_stock(*, synced: Sequence[Channel], waiting: Channel, owner: User, now: datetime) -> None:
    """Count what there is, and have the synced shops show it; for `waiting` a dry run is there to be looked at."""
    warehouses = [
        Warehouse.objects.get_or_create(code=code, defaults={"name": name, "position": position})[0]
        for position, (code, name) in enumerate(WAREHOUSES, start=1)
    ]
    _count(warehouses, owner, now)
    for channel, rule in zip(synced, RULES, strict=True):
        StockRule.objects.get_or_create(channel=channel, defaults=rule)
        _map_locations(channel, warehouses, now)
    for channel in (*synced, waiting):
        switching.switch_on(channel=channel, actor=owner, now=now)
    orders.read_slice(seconds=READ_SECONDS)
    for channel in (*synced, waiting):
        run = dry_runs.make_dry_run(channel=channel, asked_by=owner, now=now)
        dry_runs.fill(run, now=now)  # here and now, also what is left to a task elsewhere
        if channel != waiting:
            dry_runs.apply_dry_run(run, actor=owner, now=now, zeros_agreed=True)


def _count(warehouses: Sequence[Warehouse], owner: User, now: datetime) -> None:
    """The opening stock of every SKU: as much as the shop that shows most of it says."""
    shown = Listing.objects.filter(ownership=Listing.Ownership.OWN, sku__isnull=False, stock__gt=0)
    most = dict(shown.order_by().values_list("sku").annotate(most=Max(F("stock") * F("pack_factor"))))
    first, second = warehouses
    counts = []
    for sku_id in Sku.objects.order_by("pk").values_list("pk", flat=True):
        units = most.get(sku_id, UNSEEN)
        here = units * IN_THE_FIRST // 10
        counts.append(Counted(sku_id, first.pk, here, f"demo {first.code} {sku_id}"))
        counts.append(Counted(sku_id, second.pk, units - here, f"demo {second.code} {sku_id}"))
    count_many(counts, actor=owner, source=StockMovement.Source.OPENING, now=now)


def _map_locations(channel: Channel, warehouses: Sequence[Warehouse], now: datetime) -> None:
    """A shop with locations of its own shows one warehouse at each."""
    connector = connector_for(channel)
    if not connector.has_locations:
        return
    locations = [location for location in connector.read_locations(now=now) if location.is_active]
    for position, (warehouse, location) in enumerate(zip(warehouses, locations, strict=False), start=1):
        ChannelLocation.objects.get_or_create(
            channel=channel,
            warehouse=warehouse,
            defaults={"location_id": location.location_id, "position": position},
        )
