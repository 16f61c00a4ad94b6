"""Locations of shops: those that a platform does not have, and those that are no longer ours to write."""

import pytest
from django.utils import timezone

from catalog.models import ChannelLocation, Listing, Sku, StockRule, Warehouse
from catalog.stock.ledger import Kind, Movement, Source, record_movements
from integrations.models import ListingSync, SyncAttempt
from integrations.syncing import dirty
from tests.integrations.syncing.conftest import warehouse

pytestmark = pytest.mark.django_db


def second_warehouse(sku, units):
    other = Warehouse.objects.create(code="B", name="B", position=9)
    record_movements([Movement(sku.pk, other.pk, Kind.COUNT, units, "of B", Source.COUNT)], now=timezone.now())
    return other


@pytest.mark.parametrize(("mode", "more"), [("sum", 3), ("priority", 0)])
def test_a_shop_without_locations_shows_one_figure_whatever_ids_were_given(open_shop, settle, mode, more):
    shop = open_shop("woocommerce")
    settle()
    start = shop.shown()
    shop.channel.location_mode = mode
    shop.channel.save()
    for place, each in enumerate((warehouse(), second_warehouse(shop.skus[0], 3)), start=1):
        ChannelLocation.objects.create(channel=shop.channel, warehouse=each, location_id=str(place), position=place)
    dirty.sweep(now=timezone.now())
    settle()
    assert shop.shown() == start + more
    row = ListingSync.objects.get()
    assert (row.location_id, row.state, row.confirmed) == ("", "in-sync", start + more)


# --- A location that is no longer fed -------------------------------------------------------------------------------


@pytest.fixture
def moved(open_shop, settle):
    """A shop whose channel is moved from one of its locations to another; its listing, and what it shows at each."""
    shop = open_shop("shopify")
    shop.count(1)
    settle()
    places = list(shop.rows[0].levels)[:2]
    levels = lambda: [shop.subject.row(shop.rows[0]).levels[place] for place in places]  # noqa: E731

    def move(change=None):
        ChannelLocation.objects.update(location_id=places[1])
        if change is not None:
            change(shop)
        for _sweep in range(3):
            dirty.sweep(now=timezone.now())
            settle()

    return shop, places, levels, move


def row_at(place):
    return ListingSync.objects.get(location_id=place)


def test_what_moves_to_another_location_is_sold_at_that_one_only(moved, settle):
    shop, places, levels, move = moved
    total = shop.sync().wanted
    move()
    assert levels() == [0, total]
    assert (row_at(places[0]).state, row_at(places[0]).cause) == ("stopped", "location-left")
    assert row_at(places[1]).state == "in-sync"


def test_a_location_that_was_left_is_set_to_0_once_and_is_then_the_shops_own(moved, settle):
    shop, places, levels, move = moved
    move()
    shop.subject.control.set_variant(shop.subject._variant(shop.rows[0]), location=f"/{places[0]}", quantity=7)
    written = SyncAttempt.objects.filter(kind="push", item__location_id=places[0]).count()
    dirty.doubt_listings(list(Listing.objects.values_list("pk", flat=True)), now=timezone.now())
    dirty.begin_full(shop.channel, now=timezone.now())
    shop.count(-1)
    settle()
    assert levels()[0] == 7
    assert SyncAttempt.objects.filter(kind="push", item__location_id=places[0]).count() == written
    ChannelLocation.objects.update(location_id=places[0])
    dirty.sweep(now=timezone.now())
    settle()
    assert row_at(places[0]).state == "in-sync"
    assert levels() == [row_at(places[0]).wanted, 0], "it is ours again"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda shop: Listing.objects.update(sku=None), id="not mapped"),
        pytest.param(lambda shop: Sku.objects.update(status="paused"), id="SKU not active"),
        pytest.param(lambda shop: StockRule.objects.create(channel=shop.channel, is_paused=True), id="paused"),
        pytest.param(lambda shop: ListingSync.objects.update(pushed=None), id="never written by us"),
        pytest.param(lambda shop: ChannelLocation.objects.update(location_id=""), id="the same, without its name"),
    ],
)
def test_what_is_left_alone_is_not_set_to_0_either(moved, change):
    _shop, places, levels, move = moved
    before = levels()[0]
    move(change)
    assert levels()[0] == before
    assert row_at(places[0]).state == "stopped"
