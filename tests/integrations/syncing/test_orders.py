"""Orders of the simulator's shops, read over HTTP and booked: each sale once, whatever happens on the way."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from catalog.models import Channel, Listing, Order, OrderLine, StockLevel, StockMovement
from catalog.services import tell_listings_changed
from catalog.stock import booking
from catalog.stock.booking import book_orders
from catalog.stock.ledger import check
from integrations import tasks
from integrations.connectors.errors import Retry
from integrations.models import ChannelHealth, ChannelSync, Credential, ListingSync
from integrations.syncing import dirty, orders
from integrations.syncing.orders import LONGEST_FOLLOWED, OVERLAP, make_due, read_slice
from integrations.syncing.pushing import push_slice
from tests.integrations.connectors.subjects import SUBJECTS
from tests.integrations.syncing.conftest import Clock

pytestmark = pytest.mark.django_db
PLATFORMS = sorted(SUBJECTS)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def open_selling(open_shop, simulator):
    """As open_shop, with orders booked that are made from now on in the market's time."""

    def make(platform, rows=1, **options):
        shop = open_shop(platform, rows, **options)
        Channel.objects.filter(pk=shop.channel.pk).update(orders_since=simulator.now() - SECOND)
        simulator.clear_ledger()
        return shop

    return make


@pytest.fixture(params=PLATFORMS)
def shop(request, open_selling):
    return open_selling(request.param)


def sync(shop):
    return ChannelSync.objects.get(channel=shop.channel)


def of_orders():
    """Kind and units of what was booked for orders."""
    booked = StockMovement.objects.filter(source="order").order_by("pk")
    return list(booked.values_list("kind", "quantity"))


def available(sku):
    return StockLevel.objects.get(sku=sku).available


def at(when):
    return lambda: when


# --- One channel ----------------------------------------------------------------------------------------------------


def test_an_order_is_kept_and_takes_its_units(shop):
    before = available(shop.skus[0])
    order_id = shop.subject.order(shop.rows[0], 2)
    summary = read_slice(seconds=5)
    assert (summary.orders, summary.failed, summary.problems) == (1, 0, [])
    line = OrderLine.objects.get(order__platform_order_id=order_id, listing__sku=shop.skus[0])
    assert (line.quantity, line.cause) == (2, "")
    assert available(shop.skus[0]) == before - 2
    assert check() == []


def test_what_is_read_again_in_the_overlap_is_booked_once(shop):
    shop.subject.order(shop.rows[0], 1)
    clock = Clock()
    read_slice(now_fn=clock, seconds=5)
    booked = of_orders()
    for _slice in range(3):
        clock.ahead += MINUTE
        assert read_slice(now_fn=clock, seconds=5).movements == 0
    assert of_orders() == booked
    assert Order.objects.count() == 1


def test_a_reading_is_noted_and_the_next_one_rests(shop):
    started = timezone.now()
    read_slice(seconds=5)
    row = sync(shop)
    assert started <= row.orders_read_until <= row.orders_read_at <= timezone.now()
    assert (row.orders_lease_token, row.orders_lease_until, row.orders_attempts, row.orders_cause) == (
        None,
        None,
        0,
        "",
    )
    assert row.orders_due_at == row.orders_read_until + orders._REST
    calls = len(shop.subject.simulator.ledger())
    read_slice(seconds=5)
    assert len(shop.subject.simulator.ledger()) == calls
    read_slice(now_fn=at(row.orders_due_at), seconds=5)
    assert len(shop.subject.simulator.ledger()) > calls


def test_each_reading_begins_before_the_last_one_ended(open_selling, monkeypatch):
    shop = open_selling("shopify")
    windows = []
    seen = type(shop.subject.connector).read_orders

    def noting(self, *, since, until, now):
        windows.append((since, until))
        return seen(self, since=since, until=until, now=now)

    monkeypatch.setattr(type(shop.subject.connector), "read_orders", noting)
    clock = Clock()
    read_slice(now_fn=clock, seconds=5)
    first = sync(shop).orders_read_until
    clock.ahead = MINUTE
    read_slice(now_fn=clock, seconds=5)
    counted_at = Channel.objects.get(pk=shop.channel.pk).orders_since
    assert counted_at is not None
    assert windows[0][0] == counted_at - LONGEST_FOLLOWED, "what is still to be sent lay among it"
    assert windows[1][0] == first - timedelta(days=1), "by no order is it known how far its clock is behind"
    assert all(until > read for (_since, until), read in zip(windows, (first, first), strict=True))
    shop.subject.order(shop.rows[0], 1)
    clock.ahead = 2 * MINUTE
    read_slice(now_fn=clock, seconds=5)
    last = sync(shop).orders_read_until
    clock.ahead = 3 * MINUTE
    read_slice(now_fn=clock, seconds=5)
    assert windows[3][0] == last - OVERLAP


def test_what_was_too_much_to_be_read_at_once_is_read_window_by_window(open_selling):
    shop = open_selling("woocommerce")
    now = timezone.now()
    shop.subject.order(shop.rows[0], 1)
    ChannelSync.objects.update(orders_read_until=now - timedelta(hours=3, minutes=30), orders_attempts=2)
    assert read_slice(now_fn=at(now), seconds=5).movements > 0
    row = sync(shop)
    assert (row.orders_read_until, row.orders_due_at) == (now, now + orders._REST)
    assert len(shop.subject.simulator.ledger()) == 3, "a quarter, half of the rest, the rest"


def test_a_quota_that_is_too_small_for_all_at_once_is_enough_for_part_after_part(open_selling):
    shop = open_selling("taobao")
    Credential.objects.update(calls_per_second=4)
    behind = timezone.now() - timedelta(days=5)
    ChannelSync.objects.update(orders_read_until=behind)
    assert read_slice(seconds=1).orders == 0
    row = sync(shop)
    assert (row.orders_read_until, row.orders_attempts, row.orders_cause) == (behind, 1, "own-quota")
    for _slice in range(4):
        read_slice(seconds=1)
    assert sync(shop).orders_read_until > behind


@pytest.mark.parametrize("changes", [{"is_confirmed": False}, {"is_paused": True}])
def test_sales_of_a_channel_that_is_not_written_are_booked_all_the_same(open_selling, changes):
    shop = open_selling("shopify")
    ChannelSync.objects.update(**changes)
    shop.subject.order(shop.rows[0], 1)
    assert read_slice(seconds=5).movements == 1


def test_a_channel_whose_sync_is_off_is_not_read(open_selling):
    shop = open_selling("shopify")
    ChannelSync.objects.update(is_on=False)
    read_slice(seconds=5)
    assert shop.subject.simulator.ledger() == []


# --- What goes wrong ------------------------------------------------------------------------------------------------


def test_how_far_it_is_read_stays_until_all_is_booked(shop, monkeypatch):
    read_slice(seconds=5)
    before = sync(shop).orders_read_until
    make_due([shop.channel.pk], now=timezone.now())
    shop.subject.order(shop.rows[0], 1)
    connector = type(shop.subject.connector)
    whole = connector.read_orders

    def half(self, **window):
        yield from whole(self, **window)
        raise Retry(self.platform, "read_orders", cause="half-answer")

    monkeypatch.setattr(connector, "read_orders", half)
    summary = read_slice(seconds=1)
    row = sync(shop)
    assert (summary.failed, [problem.cause for problem in summary.problems]) == (1, ["half-answer"])
    assert (row.orders_read_until, row.orders_attempts, row.orders_cause) == (before, 1, "half-answer")
    assert row.orders_lease_token is None
    assert timezone.now() < row.orders_due_at <= timezone.now() + 2 * SECOND
    assert summary.due_at == row.orders_due_at
    monkeypatch.setattr(connector, "read_orders", whole)
    assert read_slice(now_fn=at(timezone.now() + MINUTE), seconds=5).movements == 1
    row = sync(shop)
    assert (row.orders_attempts, row.orders_cause) == (0, "")
    assert row.orders_read_until > before


def test_a_booking_that_fails_moves_nothing_forward(open_selling, monkeypatch):
    shop = open_selling("woocommerce")
    shop.subject.order(shop.rows[0], 1)
    booking = book_orders

    def broken(*args, **kwargs):
        raise ValueError("a bug")

    monkeypatch.setattr(orders, "book_orders", broken)
    assert [problem.cause for problem in read_slice(seconds=1).problems] == ["internal"]
    row = sync(shop)
    assert (row.orders_read_until, row.orders_lease_token, row.orders_cause) == (None, None, "internal")
    monkeypatch.setattr(orders, "book_orders", booking)
    assert read_slice(now_fn=at(timezone.now() + 20 * MINUTE), seconds=5).movements == 1


def test_an_order_that_cannot_be_booked_holds_up_no_other_and_is_not_lost(open_selling, monkeypatch):
    shop = open_selling("woocommerce")
    ids = [str(shop.subject.order(shop.rows[0], 1)) for _order in range(3)]
    keeping = booking._kept_lines

    def trips(orders, told):
        if ids[1] in told:
            raise ValueError("a bug")
        return keeping(orders, told)

    monkeypatch.setattr(booking, "_kept_lines", trips)
    summary = read_slice(seconds=5)
    assert (summary.orders, summary.set_aside, summary.failed, summary.problems) == (2, 1, 0, [])
    row = sync(shop)
    assert row.orders_read_until is not None
    assert row.orders_cause == ""
    assert len(of_orders()) == 2
    monkeypatch.setattr(booking, "_kept_lines", keeping)
    Order.objects.filter(platform_order_id=ids[1]).update(retry_at=timezone.now())
    tasks.sweep_stock()
    assert len(of_orders()) == 3
    assert not Order.objects.filter(set_aside_at__isnull=False).exists()
    assert check() == []


def test_a_refused_token_is_renewed_once_and_the_orders_are_read(open_selling):
    shop = open_selling("shopify")
    read_slice(seconds=5)
    shop.subject.end_access()
    Credential.objects.update(authorised_at=timezone.now() - timedelta(hours=1))
    shop.subject.order(shop.rows[0], 1)
    summary = read_slice(now_fn=at(timezone.now() + MINUTE), seconds=5)
    assert (summary.orders, summary.problems) == (1, [])


def test_a_channel_that_is_held_is_not_called_and_stays_due(open_selling):
    shop = open_selling("shopify")
    later = timezone.now() + timedelta(minutes=10)
    ChannelHealth.objects.create(channel=shop.channel, kind="wait", cause="quota", retry_at=later)
    assert [problem.cause for problem in read_slice(seconds=1).problems] == ["quota"]
    assert shop.subject.simulator.ledger() == []
    shop.subject.order(shop.rows[0], 1)
    assert read_slice(now_fn=at(later + SECOND), seconds=5).movements == 1


def test_readings_keep_to_the_quota(open_selling, settings):
    shop = open_selling("woocommerce")
    Credential.objects.update(calls_per_second="2")
    clock = Clock()
    started = timezone.now()
    for _reading in range(4):
        read_slice(now_fn=clock, seconds=5)
        make_due([shop.channel.pk], now=clock())
    calls = len(shop.subject.simulator.ledger())
    assert calls >= 4
    assert (timezone.now() - started).total_seconds() >= (calls - 1) / 2 - 0.1


def test_where_orders_are_not_permitted_stock_is_still_written(open_selling, settle):
    shop = open_selling("taobao")
    shop.subject.control.refuse_method("taobao.trades.sold.increment.get")
    read_slice(seconds=2)
    row = sync(shop)
    assert (row.orders_cause, row.orders_attempts, row.orders_read_until) == ("permission", 1, None)
    assert row.orders_due_at > timezone.now() + 10 * MINUTE
    shop.count(-1)
    settle()
    assert shop.sync().state == "in-sync"


@pytest.mark.parametrize("minutes", [15, 23 * 60])
def test_orders_of_a_shop_whose_clock_is_behind_ours_are_read(open_selling, minutes):
    shop = open_selling("shopify")
    ours = timezone.now() + minutes * MINUTE
    read_slice(now_fn=at(ours), seconds=5)
    booked = StockMovement.objects.filter(kind="reserve").count()
    for number in range(1, 4):
        shop.subject.order(shop.rows[0], 1)
        read_slice(now_fn=at(ours + number * MINUTE), seconds=5)
        assert StockMovement.objects.filter(kind="reserve").count() > booked
        booked = StockMovement.objects.filter(kind="reserve").count()


def test_a_clock_that_was_ahead_for_a_while_leaves_no_order_out(open_selling):
    shop = open_selling("woocommerce")
    ChannelSync.objects.update(orders_read_until=timezone.now() + timedelta(days=400))
    shop.subject.order(shop.rows[0], 1)
    assert read_slice(seconds=5).movements == 1
    assert sync(shop).orders_read_until <= timezone.now()


def test_a_lost_worker_holds_its_orders_back_for_minutes_only(open_selling):
    shop = open_selling("woocommerce")
    now = timezone.now()
    lease = {"orders_lease_token": "00000000-0000-0000-0000-000000000001", "orders_lease_until": now + orders._LEASE}
    ChannelSync.objects.update(orders_due_at=now, **lease)
    shop.subject.order(shop.rows[0], 1)
    assert read_slice(now_fn=at(now + MINUTE), seconds=5).orders == 0
    assert read_slice(now_fn=at(now + orders._LEASE), seconds=5).movements == 1


def test_who_asks_during_a_reading_gets_another_one(open_selling, monkeypatch):
    shop = open_selling("shopify")
    connector = type(shop.subject.connector)
    whole = connector.read_orders
    asked = []

    def slow(self, **window):
        found = list(whole(self, **window))
        asked.append(window)
        return found

    booking = book_orders

    def late(channel, *args, **kwargs):
        if len(asked) == 1:
            make_due([channel.pk], now=timezone.now())
        return booking(channel, *args, **kwargs)

    shop.subject.order(shop.rows[0], 1)
    monkeypatch.setattr(connector, "read_orders", slow)
    monkeypatch.setattr(orders, "book_orders", late)
    read_slice(seconds=5)
    row = sync(shop)
    assert row.orders_due_at <= timezone.now()
    read_slice(seconds=5)
    assert len(asked) == 2


def test_a_figure_that_moved_has_the_orders_read_at_once(
    open_selling, settle, django_capture_on_commit_callbacks, settings, tmp_path
):
    settings.VAR_DIR = tmp_path
    shop = open_selling("shopify")
    settle()
    read_slice(seconds=5)
    start = shop.shown()
    ChannelSync.objects.update(orders_due_at=timezone.now() + MINUTE)
    shop.subject.order(shop.rows[0], 2)
    shop.count(-1)
    with django_capture_on_commit_callbacks(execute=True):
        push_slice(seconds=2)
    assert sync(shop).orders_due_at <= timezone.now()
    assert "integrations.tasks.orders_lane" in [task.func() for task in OrmQ.objects.all()]
    assert "1 orders" in tasks.orders_lane()
    settle()
    assert (shop.shown(), shop.sync().state) == (start - 3, "in-sync")


# --- Lines that wait ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told_by", ["listing_changed", "sweep"])
def test_a_line_is_booked_once_its_listing_is_mapped(open_selling, django_capture_on_commit_callbacks, told_by):
    shop = open_selling("woocommerce")
    sku = shop.skus[0]
    Listing.objects.update(sku=None)
    shop.subject.order(shop.rows[0], 2)
    assert read_slice(seconds=5).waiting == 1
    assert of_orders() == []
    before = available(sku)
    Listing.objects.update(sku=sku)
    if told_by == "sweep":
        tasks.sweep_stock()
    else:
        with django_capture_on_commit_callbacks(execute=True):
            tell_listings_changed(list(Listing.objects.values_list("pk", flat=True)))
    assert available(sku) == before - 2
    tasks.sweep_stock()
    assert available(sku) == before - 2


# --- All channels ---------------------------------------------------------------------------------------------------


@pytest.fixture
def three(open_selling, settle):
    """Shops of all platforms that sell the same SKU, of which one unit is left."""
    first = open_selling("shopify")
    shops = {"shopify": first}
    for platform in ("taobao", "woocommerce"):
        shops[platform] = open_selling(platform, skus=first.skus)
    settle()
    first.count(1 - available(first.skus[0]))
    settle()
    assert {shop.shown() for shop in shops.values()} == {1}
    return shops


def move_on(django_capture_on_commit_callbacks, clock, slices=1):
    """A slice of each lane, a minute later."""
    for _slice in range(slices):
        clock.ahead += MINUTE
        with django_capture_on_commit_callbacks(execute=True):
            read_slice(now_fn=clock, seconds=5)
        push_slice(now_fn=clock, seconds=5)


def sold_and_reserved(sku):
    booked = StockMovement.objects.filter(sku=sku, source="order")
    on_hand = sum(each.quantity for each in booked if each.kind in {"sale", "return"})
    reserved = sum(each.quantity for each in booked if each.kind in {"reserve", "release"})
    return -on_hand + reserved


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_last_unit_sold_on_one_channel_is_gone_from_the_others(
    three, platform, django_capture_on_commit_callbacks, settle
):
    sku = three[platform].skus[0]
    three[platform].subject.order(three[platform].rows[0], 1)
    clock = Clock()
    move_on(django_capture_on_commit_callbacks, clock)
    assert {name: shop.shown() for name, shop in three.items() if name != platform} == {
        name: 0 for name in three if name != platform
    }
    move_on(django_capture_on_commit_callbacks, clock, slices=2)
    assert [shop.shown() for shop in three.values()] == [0, 0, 0]
    assert sold_and_reserved(sku) == 1
    assert available(sku) == 0
    assert set(ListingSync.objects.values_list("state", flat=True)) == {"in-sync"}
    assert check() == []


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_sale_told_twice_and_out_of_order_is_booked_once(
    three, platform, simulator, django_capture_on_commit_callbacks
):
    shop = three[platform]
    sku, channel = shop.skus[0], Channel.objects.get(pk=shop.channel.pk)
    shop.subject.order(shop.rows[0], 1)
    since, until = simulator.now() - MINUTE, timezone.now() + MINUTE
    connector = shop.subject.connector if platform != "shopify" else shop.subject.with_access()
    early = list(connector.read_orders(since=since, until=until, now=timezone.now()))
    simulator.step(seconds=200)
    clock = Clock()
    move_on(django_capture_on_commit_callbacks, clock, slices=2)
    newest = list(Order.objects.filter(channel=channel).values_list("platform_order_id", "status", "changed_at"))
    for told in (early, early, early):
        book_orders(channel, told, now=clock())
    move_on(django_capture_on_commit_callbacks, clock)
    after = list(Order.objects.filter(channel=channel).values_list("platform_order_id", "status", "changed_at"))
    assert after == newest
    assert (sold_and_reserved(sku), available(sku)) == (1, 0)
    assert [each.shown() for each in three.values()] == [0, 0, 0]


def test_a_runner_that_lost_its_lease_and_the_next_one_book_a_sale_once(three, monkeypatch, settle):
    sku = three["shopify"].skus[0]
    for shop in three.values():
        shop.subject.order(shop.rows[0], 1)
    booking, overtaken = book_orders, []

    def late(channel, *args, **kwargs):
        if channel.pk not in overtaken:
            overtaken.append(channel.pk)
            read_slice(now_fn=at(timezone.now() + 2 * orders._LEASE), seconds=5, channel_ids=[channel.pk])
        return booking(channel, *args, **kwargs)

    monkeypatch.setattr(orders, "book_orders", late)
    first = timezone.now()
    read_slice(now_fn=at(first), seconds=5)
    assert len(overtaken) == 3
    assert sold_and_reserved(sku) == 3, "one on each channel"
    assert available(sku) == -2, "oversold, and told so"
    assert check() == []
    for row in ChannelSync.objects.all():
        assert row.orders_read_until is not None
        assert row.orders_read_until >= first + 2 * orders._LEASE, "the later one's, which only rises"
        assert row.orders_lease_token is None
    dirty.mark_dirty([sku.pk], now=timezone.now())
    settle()
    assert [shop.shown() for shop in three.values()] == [0, 0, 0]
