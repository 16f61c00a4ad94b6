"""What was seen is not believed for ever: a shop's own sales, a rest of the sync and other hands change it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import ChannelLocation, Listing, Order, StockRule, Warehouse
from catalog.stock.ledger import Kind, Movement, Source, record_movements
from integrations.connectors.clock import Clock as PlatformClock
from integrations.lanes.lane import Chunk, Lane
from integrations.models import ChannelSync, ListingSync, SyncItem
from integrations.syncing import dirty, pushing
from integrations.syncing.orders import read_slice
from integrations.syncing.pushing import push_slice
from integrations.syncing.rows import Result, Status
from integrations.syncing.switching import pause, resume, switch_off, switch_on
from tests.integrations.connectors.subjects import SUBJECTS
from tests.integrations.syncing.conftest import Clock
from tests.integrations.syncing.test_orders import MINUTE, SECOND, move_on, open_selling

__all__ = ["open_selling"]
pytestmark = pytest.mark.django_db
PLATFORMS = sorted(SUBJECTS)


def test_what_was_given_up_without_a_word_of_the_shop_is_tried_again(open_shop, settle):
    shop = open_shop("woocommerce")
    settle()
    shop.subject.move_stock(shop.rows[0], shop.shown() + 3)
    ListingSync.objects.update(state="failed", cause="not-read", confirmed=None, attempts=6)
    assert dirty.sweep(now=timezone.now()) == 1
    settle()
    row = shop.sync()
    assert (row.state, shop.shown()) == ("in-sync", row.wanted)


# --- The shop's own sales -------------------------------------------------------------------------------------------


def own_sale(shop, units, capture, clock):
    """A buyer takes so many there, and the next slices of the lanes hear of it."""
    shop.subject.order(shop.rows[0], units)
    move_on(capture, clock)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_a_shop_sold_is_filled_up_there_though_the_target_is_the_same(
    open_selling, settle, platform, django_capture_on_commit_callbacks
):
    shop = open_selling(platform)
    shop.count(1000)
    StockRule.objects.create(channel=shop.channel, cap=10)
    dirty.sweep(now=timezone.now())
    settle()
    assert shop.shown() == 10
    clock = Clock()
    own_sale(shop, 2, django_capture_on_commit_callbacks, clock)
    move_on(django_capture_on_commit_callbacks, clock, slices=2)
    assert (shop.shown(), shop.sync().state, shop.sync().confirmed) == (10, "in-sync", 10)


def test_what_a_shop_put_back_is_set_right_though_the_target_is_the_same(
    open_selling, settle, django_capture_on_commit_callbacks
):
    shop = open_selling("woocommerce")
    settle()
    start, clock = shop.shown(), Clock()
    own_sale(shop, 2, django_capture_on_commit_callbacks, clock)
    move_on(django_capture_on_commit_callbacks, clock)
    assert (shop.shown(), shop.sync().state) == (start - 2, "in-sync")
    order_id = Order.objects.get().platform_order_id
    gateway = shop.subject.connector._gateway
    gateway.call("PUT", f"orders/{order_id}", PlatformClock(timezone.now()), body={"status": "cancelled"})
    shop.count(-2)  # as many were sold elsewhere
    move_on(django_capture_on_commit_callbacks, clock, slices=3)
    assert (shop.shown(), shop.sync().state) == (start - 2, "in-sync")


def test_an_order_that_was_never_booked_and_is_cancelled_puts_its_figure_in_doubt(open_selling, settle):
    shop = open_selling("woocommerce")
    settle()
    shop.subject.order(shop.rows[0], 2)
    shop.channel.orders_since = timezone.now() + timedelta(days=1)
    shop.channel.save()
    clock = Clock()
    read_slice(now_fn=clock, seconds=5)
    ListingSync.objects.update(confirmed=3, state="in-sync", verify_at=None)
    clock.ahead += MINUTE
    read_slice(now_fn=clock, seconds=5)
    assert shop.sync().confirmed == 3, "it is no news"
    order_id = Order.objects.get().platform_order_id
    gateway = shop.subject.connector._gateway
    gateway.call("PUT", f"orders/{order_id}", PlatformClock(timezone.now()), body={"status": "cancelled"})
    clock.ahead += MINUTE
    read_slice(now_fn=clock, seconds=5)
    row = shop.sync()
    assert (row.state, row.confirmed, row.verify_at is not None) == ("waiting", None, True)


def test_doubt_leaves_alone_what_is_stopped_and_notes_what_is_on_its_way(open_shop):
    shop = open_shop("woocommerce", 3)
    now = timezone.now()
    for index, state in enumerate(("sent", "stopped", "refused")):
        row = shop.sync(index)
        verify_at = now + SECOND if state == "sent" else None
        ListingSync.objects.filter(pk=row.pk).update(
            state=state, pushed=4, confirmed=5, due_at=None, verify_at=verify_at
        )
    assert dirty.doubt(ListingSync.objects.all(), now=now) == 3
    rows = [shop.sync(index) for index in range(3)]
    assert [(row.state, row.pushed, row.confirmed) for row in rows] == [
        ("sent", 4, None),
        ("stopped", 4, None),
        ("refused", 4, None),
    ]
    assert [row.verify_at for row in rows] == [now + SECOND, None, now]


def test_a_page_of_orders_puts_its_figures_in_doubt_in_the_same_number_of_statements(
    open_selling, django_assert_max_num_queries
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    numbers = []
    clock = Clock()
    shop = open_selling("woocommerce", 5)
    for count in (1, 4):
        for index in range(count):
            shop.subject.order(shop.rows[index], 1)
        clock.ahead += MINUTE
        with CaptureQueriesContext(connection) as queries:
            assert read_slice(now_fn=clock, seconds=5).movements == count
        numbers.append(sum("integrations_listingsync" in query["sql"] for query in queries.captured_queries))
    assert numbers[0] == numbers[1] <= 2


@pytest.mark.parametrize("is_push", [False, True], ids=["look", "read before a push"])
def test_a_look_that_was_out_while_doubt_came_is_not_the_last(open_shop, settle, is_push):
    shop = open_shop("woocommerce")
    settle()
    shown, now = shop.shown(), timezone.now()
    dirty.doubt(ListingSync.objects.all(), now=now)
    if is_push:
        ListingSync.objects.update(due_at=now)
    job = pushing.PushingJob()
    lane = Lane(shop.channel, clock=lambda: now)
    lane.connector = shop.subject.connector
    chunk = Chunk(lane)
    job.claim(lane, chunk, 100, now)
    later = now + SECOND
    dirty.doubt(ListingSync.objects.all(), now=later)
    [pk] = chunk.claims
    chunk.results = [Result(pk, Status.READ, at=now, shown=shown)]
    job.record(chunk, later)
    assert shop.sync().verify_at == later


# --- A rest, and a full run -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", ["switched off", "paused"])
def test_what_was_changed_by_hand_while_the_sync_rested_is_set_right(open_shop, settle, rest):
    shop = open_shop("woocommerce")
    settle()
    start = shop.shown()
    who = {"channel": shop.channel, "actor": None}
    if rest == "paused":
        pause(**who, reason="stocktaking", now=timezone.now())
    else:
        switch_off(**who, now=timezone.now())
    shop.subject.move_stock(shop.rows[0], start + 7)
    if rest == "paused":
        resume(**who, now=timezone.now())
    else:
        switch_on(**who, now=timezone.now())
    row = shop.sync()
    assert (row.state, row.confirmed) == ("waiting", None)
    ChannelSync.objects.update(is_confirmed=True)
    settle()
    assert (shop.shown(), shop.sync().state) == (start, "in-sync")


def test_a_listing_that_was_left_alone_is_set_right_once_it_is_not(open_shop, settle):
    shop = open_shop("woocommerce")
    settle()
    start = shop.shown()
    rule = StockRule.objects.create(channel=shop.channel, is_paused=True)
    dirty.sweep(now=timezone.now())
    settle()
    shop.subject.move_stock(shop.rows[0], start + 7)
    rule.delete()
    dirty.sweep(now=timezone.now())
    settle()
    assert (shop.shown(), shop.sync().state) == (start, "in-sync")


def test_a_full_run_reads_back_what_is_due_as_well(open_shop, settle):
    shop = open_shop("woocommerce")
    settle()
    start = shop.shown()
    shop.subject.move_stock(shop.rows[0], start + 7)
    shop.count(1)
    shop.count(-1)
    dirty.begin_full(shop.channel, now=timezone.now())
    settle()
    assert (shop.shown(), shop.sync().state) == (start, "in-sync")


# --- Readings of shops with several locations -----------------------------------------------------------------------


@pytest.fixture
def two_places(open_shop, settle):
    """A shop that shows one listing at two of its locations, in step."""
    shop = open_shop("shopify")
    [variant] = [row for row in shop.subject.rows() if row.sku_id == shop.rows[0].sku_id]
    first, second = list(variant.levels)[:2]
    assert first == shop.rows[0].location_id
    other = Warehouse.objects.create(code="B", name="B")
    ChannelLocation.objects.create(channel=shop.channel, warehouse=other, location_id=second)
    units = variant.levels[second] + 1
    record_movements([Movement(shop.skus[0].pk, other.pk, Kind.COUNT, units, "of B", Source.COUNT)], now=timezone.now())
    dirty.sweep(now=timezone.now())
    settle()
    assert set(ListingSync.objects.values_list("state", flat=True)) == {"in-sync"}
    return shop


def test_a_reading_of_all_locations_is_compared_with_all_of_them(two_places):
    rows = list(ListingSync.objects.order_by("pk"))
    total, seen_at = sum(row.confirmed or 0 for row in rows), timezone.now() + timedelta(hours=1)
    listing = Listing.objects.filter(pk=rows[0].listing_id)
    listing.update(stock=total, observed_at=seen_at)
    assert dirty.sweep(now=seen_at) == 0
    listing.update(stock=total - 1)
    assert dirty.sweep(now=seen_at) == 2


# --- The log --------------------------------------------------------------------------------------------------------


def test_a_look_is_kept_with_what_was_sent_last_to_its_location(two_places, settle):
    first, second = ListingSync.objects.order_by("pk")
    items = SyncItem.objects.order_by("pk")
    last = [item for row in (first, second) if (item := items.filter(location_id=row.location_id).last()) is not None]
    assert second.location_id in {item.location_id for item in last}
    kept = [item.attempts.count() for item in last]
    ListingSync.objects.update(verify_at=timezone.now())
    push_slice(seconds=5)
    assert [item.attempts.count() for item in last] == [count + 1 for count in kept]
