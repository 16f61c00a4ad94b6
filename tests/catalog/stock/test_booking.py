"""Orders become movements exactly once, whatever order and company they arrive in."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import BundleComponent, ChannelLocation, Order, OrderLine, StockLevel, StockMovement
from catalog.stock.booking import book_orders, book_waiting
from catalog.stock.counts import count
from catalog.stock.ledger import Kind, Movement, Source, check, record_movements
from integrations.connectors import base
from tests.factories import NOW, ChannelFactory, ListingFactory, SkuFactory, WarehouseFactory

pytestmark = pytest.mark.django_db
S = base.OrderStatus


@pytest.fixture
def channel():
    return ChannelFactory(orders_since=NOW - timedelta(days=1))


@pytest.fixture
def warehouse():
    return WarehouseFactory(position=1)


@pytest.fixture
def listing(channel, warehouse):
    """A listing of a SKU that there are 10 of."""
    listing = ListingFactory(channel=channel, sku=SkuFactory(), platform_item_id="61", platform_sku_id="7")
    receive(listing.sku, warehouse, 10)
    return listing


def receive(sku, warehouse, units):
    key = f"receipt {sku.pk} {warehouse.pk}"
    record_movements([Movement(sku.pk, warehouse.pk, Kind.RECEIPT, units, key, Source.MANUAL)], now=NOW)


def line(**values):
    return base.OrderLine(**{"line_id": "1", "item_id": "61", "sku_id": "7", "outer_id": "", "quantity": 2, **values})


def order(*lines, at=0, **values):
    """An order that was sent; `at`: minutes after NOW when the platform changed it."""
    told = {"order_id": "A1", "status": S.SENT, "created_at": NOW, "currency": "CNY", **values}
    return base.Order(changed_at=NOW + timedelta(minutes=at), lines=lines or (line(),), **told)


def levels(sku):
    return [(level.on_hand, level.reserved) for level in StockLevel.objects.filter(sku=sku).order_by("warehouse")]


def causes():
    return list(OrderLine.objects.order_by("pk").values_list("cause", flat=True))


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        pytest.param([(S.UNPAID, 0)], (10, 2), id="not paid: reserved"),
        pytest.param([(S.PAID, 0)], (10, 2), id="paid: reserved, since it lies on the shelf where it is counted"),
        pytest.param([(S.SENT, 0)], (8, 0), id="sent: sold"),
        pytest.param([(S.UNPAID, 0), (S.PAID, 0), (S.SENT, 0), (S.FINISHED, 0)], (8, 0), id="to its end"),
        pytest.param([(S.SENT, 0), (S.CANCELLED, 0)], (10, 0), id="back as a whole"),
        pytest.param([(S.UNPAID, 0), (S.CANCELLED, 0)], (10, 0), id="never paid"),
        pytest.param([(S.PAID, 0), (S.CANCELLED, 0)], (10, 0), id="cancelled"),
        pytest.param([(S.CANCELLED, 0)], (10, 0), id="cancelled before we knew it"),
        pytest.param([(S.FINISHED, 1)], (9, 0), id="one came back"),
        pytest.param([(S.PAID, 0), (S.FINISHED, 1), (S.FINISHED, 2)], (10, 0), id="one after the other came back"),
        pytest.param([(S.UNPAID, 1)], (10, 1), id="one was taken out before it was paid"),
        pytest.param([(S.UNKNOWN, 0)], (10, 0), id="unknown: nothing"),
        pytest.param([(S.PAID, 0), (S.UNKNOWN, 0)], (10, 2), id="unknown: as before"),
        pytest.param([(S.UNKNOWN, 0), (S.PAID, 0)], (10, 2), id="known at last"),
    ],
)
def test_stock_follows_what_the_order_has_come_to(channel, listing, states, expected):
    told = [order(line(returned=returned), status=status, at=at) for at, (status, returned) in enumerate(states)]
    for each in told:
        book_orders(channel, [each, each], now=NOW)
    assert levels(listing.sku) == [expected]
    for each in reversed(told):
        assert book_orders(channel, [each], now=NOW).movements == 0
    assert levels(listing.sku) == [expected]
    assert check() == []


def test_states_that_arrive_the_wrong_way_round_end_with_the_newest(channel, listing):
    told = [order(status=status, at=at) for at, status in enumerate([S.UNPAID, S.PAID, S.CANCELLED, S.UNKNOWN])]
    for each in reversed(told):
        book_orders(channel, [each], now=NOW)
    assert levels(listing.sku) == [(10, 0)]
    assert Order.objects.get().status == "cancelled"


def test_of_two_states_of_one_moment_the_later_in_an_orders_life_holds(channel, listing):
    for status in (S.SENT, S.PAID):
        book_orders(channel, [order(status=status)], now=NOW)
    assert levels(listing.sku) == [(8, 0)]


def test_news_of_an_order_tell_that_its_shop_shows_another_figure_though_nothing_is_booked(channel, listing):
    """As where the units are taken out of the shop's stock when they are paid, and were reserved here before."""
    assert book_orders(channel, [order(status=S.UNPAID)], now=NOW).moved == {listing.pk}
    paid = order(status=S.PAID, at=1)
    result = book_orders(channel, [paid], now=NOW)
    assert (result.movements, result.moved) == (0, {listing.pk})
    assert book_orders(channel, [paid], now=NOW).moved == set()


def test_a_count_while_orders_are_to_be_sent_does_not_give_their_units_back(channel, listing, warehouse):
    book_orders(channel, [order(line(quantity=3), status=S.PAID)], now=NOW)
    count(sku_id=listing.sku_id, warehouse_id=warehouse.pk, counted=10, key="recount", actor=None, now=NOW)
    assert StockLevel.objects.get(sku=listing.sku).available == 7
    book_orders(channel, [order(line(quantity=3), at=1)], now=NOW)
    assert levels(listing.sku) == [(7, 0)]


def test_orders_and_lines_are_kept_as_told(channel, listing):
    told = order(line(paid_per_unit=Decimal("268.00"), outer_id="EV-1"), line(line_id="2", item_id="9"), paid_at=NOW)
    result = book_orders(channel, [told], now=NOW)
    assert (result.orders, result.outdated, result.movements, result.waiting) == (1, 0, 1, 1)
    stored = Order.objects.get()
    assert (stored.platform_order_id, stored.status, stored.paid_at, stored.seen_at) == ("A1", "sent", NOW, NOW)
    first, second = stored.lines.order_by("pk")
    assert (first.listing, first.quantity, first.paid_per_unit, first.outer_id) == (listing, 2, Decimal("268"), "EV-1")
    assert (first.components, first.cause) == ([[listing.sku_id, 1]], "")
    assert (second.listing, second.components, second.cause) == (None, None, "not-mapped")
    movement = StockMovement.objects.get(kind="sale")
    assert (movement.order_line, movement.channel, movement.source) == (first, channel, "order")


def test_packs_and_bundles_are_booked_as_their_units(channel, warehouse):
    bundle, cup, filters = SkuFactory(), SkuFactory(), SkuFactory()
    BundleComponent.objects.create(bundle=bundle, component=cup, units=1)
    BundleComponent.objects.create(bundle=bundle, component=filters, units=3)
    ListingFactory(channel=channel, sku=bundle, platform_item_id="5", pack_factor=2)
    for sku in (cup, filters):
        receive(sku, warehouse, 50)
    book_orders(channel, [order(line(item_id="5", sku_id="", quantity=4, returned=1))], now=NOW)
    assert (levels(cup), levels(filters)) == ([(44, 0)], [(32, 0)])


def test_what_was_booked_once_is_followed_as_it_was_then(channel, listing):
    book_orders(channel, [order()], now=NOW)
    old, listing.sku, listing.pack_factor = listing.sku, SkuFactory(), 6
    listing.save()
    channel.orders_since = NOW + timedelta(days=1)
    channel.save()
    book_orders(channel, [order(line(returned=1), at=1)], now=NOW)
    assert levels(old) == [(9, 0)]
    assert levels(listing.sku) == []


def test_a_line_that_waits_is_booked_once_when_its_listing_is_mapped(channel, listing, warehouse):
    sku, listing.sku = listing.sku, None
    listing.save()
    unlisted = line(line_id="2", item_id="99", sku_id="")
    assert book_orders(channel, [order(line(), unlisted)], now=NOW).waiting == 2
    assert book_waiting(now=NOW).movements == 0
    listing.sku = sku
    listing.save()
    other = ListingFactory(channel=channel, sku=SkuFactory(), platform_item_id="99")
    assert book_waiting(listing_ids=[listing.pk], now=NOW).movements == 1
    assert book_waiting(listing_ids=[listing.pk], now=NOW).movements == 0
    assert (levels(sku), levels(other.sku)) == ([(8, 0)], [])
    assert book_waiting(now=NOW).movements == 1
    assert causes() == ["", ""]
    assert OrderLine.objects.get(line_id="2").listing == other


def test_an_order_that_was_cancelled_while_it_waited_is_not_booked(channel, listing):
    sku, listing.sku = listing.sku, None
    listing.save()
    book_orders(channel, [order()], now=NOW)
    book_orders(channel, [order(status=S.CANCELLED, at=1)], now=NOW)
    listing.sku = sku
    listing.save()
    assert book_waiting(now=NOW).movements == 0
    assert levels(sku) == [(10, 0)]


def test_a_competitors_listing_is_never_booked(channel, listing):
    listing.ownership = "competitor"
    listing.save()
    assert book_orders(channel, [order()], now=NOW).waiting == 1
    assert book_waiting(now=NOW).movements == 0


@pytest.mark.parametrize(
    ("told", "cause", "expected"),
    [
        pytest.param(order(line(quantity=0)), "no-units", (10, 0), id="no units"),
        pytest.param(order(line(quantity=-3)), "no-units", (10, 0), id="less than none"),
        pytest.param(order(line(quantity=1_000_000)), "too-many-units", (10, 0), id="a million"),
        pytest.param(order(line(quantity=10**30)), "too-many-units", (10, 0), id="more than a column holds"),
        pytest.param(order(line(returned=3)), "returned-too-many", (10, 0), id="more came back"),
        pytest.param(order(line(returned=-3)), "", (8, 0), id="less than none came back"),
        pytest.param(order(is_test=True), "test-order", (10, 0), id="test order"),
        pytest.param(order(created_at=NOW - timedelta(days=2)), "before-sync", (10, 0), id="sent before"),
        pytest.param(
            order(status=S.PAID, created_at=NOW - timedelta(days=2)), "", (10, 2), id="before, and still to be sent"
        ),
        pytest.param(order(line(refunded=2)), "refunded", (8, 0), id="paid back, and nobody knows where it is"),
        pytest.param(order(line(refunded=2), status=S.PAID), "", (10, 2), id="paid back: before it was sent"),
        pytest.param(order(line(paid_per_unit=Decimal("1e20"))), "", (8, 0), id="a price beyond reason"),
        pytest.param(order(line(outer_id="x\0" * 200)), "", (8, 0), id="a code that no column takes"),
    ],
)
def test_what_cannot_be_is_kept_with_its_cause_and_spoils_nothing_else(channel, listing, told, cause, expected):
    result = book_orders(channel, [told, order(line(quantity=1), order_id="B2")], now=NOW)
    assert levels(listing.sku) == [(expected[0] - 1, expected[1])]
    assert OrderLine.objects.get(order__platform_order_id="A1").cause == cause
    assert dict(result.causes) == ({cause: 1} if cause else {})


def test_a_pack_that_makes_too_many_units_is_not_booked(channel, listing):
    listing.pack_factor = 600_000
    listing.save()
    book_orders(channel, [order()], now=NOW)
    assert causes() == ["too-many-units"]
    assert levels(listing.sku) == [(10, 0)]


def test_nothing_is_booked_before_the_channel_is_synced(channel, listing):
    channel.orders_since = None
    channel.save()
    book_orders(channel, [order()], now=NOW)
    assert (levels(listing.sku), causes()) == ([(10, 0)], ["before-sync"])


def test_a_line_that_the_platform_took_out_is_booked_back(channel, listing):
    book_orders(channel, [order(line(), line(line_id="2", quantity=3))], now=NOW)
    assert levels(listing.sku) == [(5, 0)]
    book_orders(channel, [order(line(), at=1)], now=NOW)
    assert (levels(listing.sku), causes()) == ([(8, 0)], ["", "gone"])
    book_orders(channel, [order(line(), line(line_id="2", quantity=3), at=2)], now=NOW)
    assert (levels(listing.sku), causes()) == ([(5, 0)], ["", ""])


def test_a_sku_that_became_a_bundle_holds_up_no_other_line(channel, listing):
    other = ListingFactory(channel=channel, sku=SkuFactory(), platform_item_id="62")
    book_orders(channel, [order()], now=NOW)
    BundleComponent.objects.create(bundle=listing.sku, component=SkuFactory())
    lines = (line(returned=2), line(line_id="2", item_id="62", sku_id=""))
    book_orders(channel, [order(*lines, at=1)], now=NOW)
    assert causes() == ["became-bundle", ""]
    assert levels(other.sku) == [(-2, 0)]


class TestWarehouses:
    def test_the_first_that_has_enough_is_chosen_and_else_the_first(self, channel, listing, warehouse):
        second = WarehouseFactory(position=2)
        receive(listing.sku, second, 15)
        for n, quantity in enumerate([9, 9, 9]):
            book_orders(channel, [order(line(quantity=quantity), order_id=str(n))], now=NOW)
        assert levels(listing.sku) == [(-8, 0), (6, 0)]

    def test_what_is_missing_is_told_where_stock_was_counted(self, channel, listing, warehouse):
        first = WarehouseFactory(position=0)
        book_orders(channel, [order(line(quantity=13))], now=NOW)
        assert not StockLevel.objects.filter(warehouse=first).exists()
        assert levels(listing.sku) == [(-3, 0)]

    def test_lines_of_one_page_do_not_count_the_same_units_twice(self, channel, listing, warehouse):
        second = WarehouseFactory(position=2)
        receive(listing.sku, second, 15)
        book_orders(channel, [order(line(quantity=9), order_id=str(n)) for n in range(2)], now=NOW)
        assert levels(listing.sku) == [(1, 0), (6, 0)]

    def test_only_warehouses_of_the_channel_and_active_ones_are_taken_from(self, channel, listing, warehouse):
        off, own = WarehouseFactory(position=0, is_active=False), WarehouseFactory(position=3)
        for each in (off, own):
            ChannelLocation.objects.create(channel=channel, warehouse=each)
            receive(listing.sku, each, 5)
        book_orders(channel, [order()], now=NOW)
        assert StockLevel.objects.get(sku=listing.sku, warehouse=own).on_hand == 3

    def test_a_line_stays_where_it_was_booked_first(self, channel, listing, warehouse):
        book_orders(channel, [order()], now=NOW)
        WarehouseFactory(position=0)
        warehouse.is_active = False
        warehouse.save()
        book_orders(channel, [order(status=S.CANCELLED, at=1)], now=NOW)
        assert levels(listing.sku) == [(10, 0)]

    def test_without_any_the_line_waits(self, channel, listing, warehouse):
        warehouse.is_active = False
        warehouse.save()
        assert book_orders(channel, [order()], now=NOW).waiting == 1
        assert causes() == ["no-warehouse"]
        warehouse.is_active = True
        warehouse.save()
        assert book_waiting(now=NOW).movements == 1
        assert (levels(listing.sku), causes()) == ([(8, 0)], [""])


def test_a_page_takes_as_many_statements_as_an_order(channel, warehouse):
    def statements(page):
        for n in range(page):
            ListingFactory(channel=channel, sku=SkuFactory(), platform_item_id=f"{page}{n}")
        told = [
            order(line(item_id=f"{page}{n}", sku_id=""), line(line_id="2", item_id="none"), order_id=f"{page}-{n}")
            for n in range(page)
        ]
        with CaptureQueriesContext(connection) as queries:
            assert book_orders(channel, told, now=NOW).movements == page
        with CaptureQueriesContext(connection) as again:
            assert book_orders(channel, told, now=NOW).movements == 0
        return len(queries), len(again)

    assert statements(1) == statements(100)
    assert max(statements(7)) <= 30


STATES = st.tuples(
    st.sampled_from(S), st.integers(0, 4), st.integers(0, 3)
)  # status, quantity of the first line, returned of it


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    states=st.lists(st.lists(STATES, min_size=1, max_size=4), min_size=1, max_size=3),
    data=st.data(),
)
def test_any_history_in_any_order_ends_as_the_newest_states_say(states, data):
    channel = ChannelFactory(orders_since=NOW - timedelta(days=1))
    warehouse = WarehouseFactory()
    listing = ListingFactory(channel=channel, sku=None)
    sku = SkuFactory()
    receive(sku, warehouse, 100)
    told = [
        order(
            line(item_id=listing.platform_item_id, sku_id="", quantity=quantity, returned=returned),
            order_id=str(number),
            status=status,
            at=at,
        )
        for number, history in enumerate(states)
        for at, (status, quantity, returned) in enumerate(history)
    ]
    arriving = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=4))))
    mapped_at = data.draw(st.integers(0, len(arriving)))
    pages = data.draw(st.integers(1, 3))
    for start in range(0, len(arriving), pages):
        if start >= mapped_at and listing.sku is None:
            listing.sku = sku
            listing.save()
            book_waiting(now=NOW)
        book_orders(channel, arriving[start : start + pages], now=NOW)
    listing.sku = sku
    listing.save()
    book_waiting(now=NOW)

    newest: dict[str, base.Order] = {}
    for each in told:
        known = newest.get(each.order_id)
        if known is None or each.status != S.UNKNOWN or known.status == S.UNKNOWN:
            newest[each.order_id] = each
    kept = [(each.status, max(each.lines[0].quantity - each.lines[0].returned, 0)) for each in newest.values()]
    sold = sum(units for status, units in kept if status in (S.SENT, S.FINISHED))
    reserved = sum(units for status, units in kept if status in (S.UNPAID, S.PAID))
    assert levels(sku) == [(100 - sold, reserved)]
    assert check([sku.pk]) == []
