"""Shops of the simulator whose stock is ours to write."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from catalog.models import ChannelLocation, Listing, Sku, StockMovement, Warehouse
from catalog.stock.ledger import Movement, record_movements
from integrations.models import ChannelSync, ListingSync
from integrations.syncing import dirty, pushing
from tests.factories import ListingFactory, SkuFactory
from tests.integrations.connectors.subjects import SUBJECTS
from tests.integrations.shops import shopify_channel, taobao_channel, woocommerce_channel

CHANNELS = {"shopify": shopify_channel, "taobao": taobao_channel, "woocommerce": woocommerce_channel}


def warehouse():
    found, _made = Warehouse.objects.get_or_create(code="MAIN", defaults={"name": "Main"})
    return found


def count(sku, units):
    """A count finds so many units of the SKU more, or fewer."""
    movement = Movement(
        sku.pk, warehouse().pk, StockMovement.Kind.COUNT, units, str(uuid4()), StockMovement.Source.COUNT
    )
    record_movements([movement], now=timezone.now())
    dirty.mark_dirty([sku.pk], now=timezone.now())


@dataclass
class Shop:
    """A channel with the listings of these rows of its shop, each with a SKU that has what the shop shows."""

    subject: Any
    channel: Any
    rows: list[Any]
    skus: list[Sku]

    def shown(self, index=0):
        return self.subject.row(self.rows[index]).shown

    def sync(self, index=0):
        return ListingSync.objects.get(listing__sku=self.skus[index], channel=self.channel)

    def fail_writes(self, kind, **rule):
        """Spoil the next write, or more of them."""
        call = self.subject.write_call
        if self.subject.platform == "woocommerce" and not self.rows[0].sku_id:
            call = "POST products/batch"
        self.subject.fail(call, kind, **rule)

    def count(self, units, index=0):
        count(self.skus[index], units)


@pytest.fixture
def open_shop(simulator, db):
    """Returns a function that connects a platform's shop, with sync on and its listings as they should be."""

    def make(platform, rows=1, *, skus=None, together=False):
        subject = SUBJECTS[platform](simulator)
        chosen = subject.siblings(rows) if together else subject.ordinary(rows)
        channel = CHANNELS[platform](simulator)
        if platform == "taobao":
            channel.credential.options = {**channel.credential.options, "shop_kind": "tmall"}
            channel.credential.save()
        if chosen and chosen[0].location_id:
            ChannelLocation.objects.create(channel=channel, warehouse=warehouse(), location_id=chosen[0].location_id)
        made = skus or []
        for row in chosen if not made else []:
            made.append(SkuFactory())
            count(made[-1], row.shown)
        for row, sku in zip(chosen, made, strict=True):
            listing = ListingFactory(channel=channel, platform_item_id=row.item_id, platform_sku_id=row.sku_id, sku=sku)
            assert Listing.objects.filter(pk=listing.pk).exists()
        ChannelSync.objects.create(channel=channel, is_on=True, is_confirmed=True)
        dirty.sweep(now=timezone.now())
        return Shop(subject, channel, chosen, made)

    return make


class Clock:
    """The real time, ahead by as much as is waited for."""

    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return timezone.now() + self.ahead


@pytest.fixture
def settle():
    """Returns a function that runs slices, and has time pass between them, until nothing is due any more."""

    def run(slices=12):
        clock = Clock()
        for _slice in range(slices):
            pushing.push_slice(now_fn=clock, seconds=5)
            rows = ListingSync.objects.filter(channel__sync__is_on=True)
            if not rows.exclude(due_at=None, verify_at=None).exists():
                return
            clock.ahead += timedelta(minutes=2)

    return run
