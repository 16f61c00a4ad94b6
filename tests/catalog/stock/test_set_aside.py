"""An order that cannot be booked is set aside: kept whole, told, tried again, and in nobody's way."""

from datetime import timedelta

import pytest
from django.db import OperationalError

from catalog.models import Order, StockLevel
from catalog.stock import booking
from catalog.stock.booking import book_orders, book_set_aside
from catalog.stock.ledger import Kind, Movement, Source, StockError, check, record_movements
from integrations.connectors import base
from tests.factories import NOW, ChannelFactory, ListingFactory, SkuFactory, WarehouseFactory

pytestmark = pytest.mark.django_db
S = base.OrderStatus
MINUTE = timedelta(minutes=1)


@pytest.fixture
def listing():
    """A listing of a SKU that there are 10 of."""
    listing = ListingFactory(
        channel=ChannelFactory(orders_since=NOW - timedelta(days=1)), sku=SkuFactory(), platform_item_id="61"
    )
    key = "receipt"
    warehouse = WarehouseFactory()
    record_movements([Movement(listing.sku_id, warehouse.pk, Kind.RECEIPT, 10, key, Source.MANUAL)], now=NOW)
    return listing


def order(number, *, at=0, status=S.PAID, quantity=1, **values):
    line = base.OrderLine(line_id="1", item_id="61", sku_id="", outer_id="x\0\ud800", quantity=quantity, **values)
    changed_at = NOW + at * MINUTE
    return base.Order(str(number), status, NOW, changed_at, "CNY", (line,), paid_at=NOW)


@pytest.fixture
def bad(monkeypatch):
    """The numbers of the orders that booking trips over, told how often it met each."""
    numbers: set[str] = set()
    met: list[str] = []
    booked = booking._kept_lines

    def trips(orders, told):
        for each in told:
            if each in numbers:
                met.append(each)
                raise StockError("the shelf is bent")
        return booked(orders, told)

    monkeypatch.setattr(booking, "_kept_lines", trips)
    return numbers, met


def available(listing):
    return StockLevel.objects.get(sku=listing.sku).available


def test_one_bad_order_is_set_aside_and_the_others_are_booked(listing, bad):
    numbers, _met = bad
    numbers.add("3")
    result = book_orders(listing.channel, [order(n) for n in range(7)], now=NOW)
    assert (result.orders, result.movements, result.set_aside) == (6, 6, 1)
    assert available(listing) == 4
    aside = Order.objects.get(set_aside_at__isnull=False)
    assert (aside.platform_order_id, aside.status, aside.set_aside_at) == ("3", "unknown", NOW)
    assert aside.set_aside_reason == "StockError: the shelf is bent"
    assert not aside.lines.exists()
    assert check() == []


def test_it_is_booked_as_it_was_told_once_that_works(listing, bad):
    numbers, _met = bad
    numbers.add("3")
    told = order("3", quantity=4, returned=1)
    book_orders(listing.channel, [told], now=NOW)
    retry_at = Order.objects.get().retry_at
    assert retry_at is not None
    assert book_set_aside(now=retry_at - timedelta(seconds=1)).orders == 0
    numbers.clear()
    assert book_set_aside(now=retry_at).orders == 1
    kept = Order.objects.get()
    assert (kept.status, kept.changed_at, kept.paid_at) == ("paid", told.changed_at, NOW)
    assert (kept.set_aside_at, kept.set_aside_told, kept.set_aside_reason, kept.retry_at) == (None, "", "", None)
    assert available(listing) == 7
    assert book_set_aside(now=retry_at + timedelta(days=9)).orders == 0
    assert available(listing) == 7


def test_it_rests_longer_each_time_and_is_not_tried_because_it_is_told_again(listing, bad):
    numbers, met = bad
    numbers.add("3")
    book_orders(listing.channel, [order("3")], now=NOW)
    rests, now = [], NOW
    for _try in range(4):
        tried = len(met)
        again = book_orders(listing.channel, [order("3"), order("4")], now=now)
        assert (len(met), again.set_aside) == (tried, 1), "told again while it rests"
        retry_at = Order.objects.get(platform_order_id="3").retry_at
        assert retry_at is not None
        rests.append(retry_at - now)
        now = retry_at
        assert book_set_aside(now=now).set_aside == 1
    assert rests == sorted(rests)
    assert rests[0] < rests[-1] <= timedelta(hours=6)
    assert Order.objects.get(platform_order_id="3").set_aside_at == NOW


def test_news_of_it_is_tried_at_once_and_takes_its_place(listing, bad):
    numbers, _met = bad
    numbers.add("3")
    book_orders(listing.channel, [order("3", quantity=4)], now=NOW)
    numbers.clear()
    assert book_orders(listing.channel, [order("3", at=1, quantity=2)], now=NOW).orders == 1
    assert Order.objects.get().set_aside_at is None
    assert available(listing) == 8


def test_older_news_that_can_be_booked_leaves_the_newest_set_aside(listing, bad, monkeypatch):
    numbers, _met = bad
    numbers.add("3")
    book_orders(listing.channel, [order("3", at=5, status=S.CANCELLED)], now=NOW)
    numbers.clear()
    assert book_orders(listing.channel, [order("3", at=1)], now=NOW).orders == 1
    assert available(listing) == 9
    assert Order.objects.get().set_aside_at == NOW
    assert book_set_aside(now=NOW + timedelta(days=1)).orders == 1
    assert available(listing) == 10
    assert Order.objects.get().status == "cancelled"


def test_what_is_booked_of_an_order_stays_when_its_news_is_set_aside(listing, bad):
    numbers, _met = bad
    book_orders(listing.channel, [order("3", quantity=2)], now=NOW)
    numbers.add("3")
    for at in (2, 1):
        book_orders(listing.channel, [order("3", at=at, quantity=2, returned=at)], now=NOW)
    kept = Order.objects.get()
    assert (kept.status, kept.set_aside_at) == ("paid", NOW)
    assert available(listing) == 8
    numbers.clear()
    book_set_aside(now=NOW + timedelta(days=1))
    assert available(listing) == 10, "the newest state, which said that both came back"


def test_a_database_that_refuses_is_no_fault_of_an_order(listing, monkeypatch):
    def refuses(*args, **kwargs):
        raise OperationalError("locked")

    monkeypatch.setattr(booking, "_kept_lines", refuses)
    with pytest.raises(OperationalError):
        book_orders(listing.channel, [order("3")], now=NOW)
    assert not Order.objects.exists()


def test_a_units_figure_that_no_column_takes_is_set_aside_not_half_applied(listing):
    book_orders(listing.channel, [order("1", quantity=1), order("2", quantity="many")], now=NOW)
    assert available(listing) == 9
    aside = Order.objects.get(set_aside_at__isnull=False)
    assert aside.platform_order_id == "2"
    assert aside.set_aside_reason.startswith("TypeError")
    assert book_set_aside(now=NOW + timedelta(days=1)).set_aside == 1, "still so, and still kept"
