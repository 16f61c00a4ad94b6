"""Demand out of the ledger: by local days, censored where nothing was there, the same however it is worked out."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import BundleComponent, Order
from catalog.stock.booking import book_orders
from catalog.stock.ledger import Kind, Movement, Source, record_movements
from integrations.connectors import base
from monitoring.models import DemandHistory, ImportedSale, Observation, PlanRun
from monitoring.services.planning.demand import build_demand, load_demand
from tests.factories import ChannelFactory, ListingFactory, SkuFactory, WarehouseFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)  # noon of the 21st where the site is
FIRST = NOW - 10 * DAY
S = base.OrderStatus
Mark = DemandHistory.Mark


@pytest.fixture(autouse=True)
def zone(settings):
    settings.TIME_ZONE = "Asia/Shanghai"


@pytest.fixture
def warehouse():
    return WarehouseFactory(position=1)


@pytest.fixture
def listing(warehouse):
    channel = ChannelFactory(orders_since=FIRST - 365 * DAY)
    return ListingFactory(channel=channel, sku=SkuFactory(), platform_item_id="61", platform_sku_id="7")


def book(sku, warehouse, kind, units, at, *, told_at=None):
    """Booked when it happened, unless it was told later."""
    key = f"{kind} {sku.pk} {warehouse.pk} {at.isoformat()} {units}"
    movement = Movement(sku.pk, warehouse.pk, kind, units, key, Source.MANUAL, happened_at=at)
    record_movements([movement], now=told_at or at)


def sell(listing, units, at, *, name="", status=S.SENT, told_at=None, returned=0):
    line = base.OrderLine(line_id="1", item_id="61", sku_id="7", outer_id="", quantity=units, returned=returned)
    order = base.Order(
        order_id=name or f"{at.isoformat()}",
        status=status,
        created_at=at,
        changed_at=told_at or at,
        currency="CNY",
        lines=(line,),
    )
    book_orders(listing.channel, [order], now=told_at or at)


def units_of(sku, warehouse=None):
    """Day of the month -> units, None where not known."""
    rows = DemandHistory.objects.filter(sku=sku)
    row = (rows.filter(warehouse=warehouse) if warehouse else rows).get()
    values = np.frombuffer(bytes(row.units), "<i4").tolist()
    days = [row.first_day + number * DAY for number in range(len(values))]
    assert days[-1] == row.last_day
    return {day.day: None if units < 0 else units for day, units in zip(days, values, strict=True)}


def marks_of(sku):
    row = DemandHistory.objects.get(sku=sku)
    return {(row.first_day + n * DAY).day: mark for n, mark in enumerate(bytes(row.marks))}


def stored():
    fields = ("sku", "warehouse", "source", "first_day", "last_day", "units", "marks")
    return [
        tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
        for row in DemandHistory.objects.order_by("sku", "warehouse").values_list(*fields)
    ]


def test_orders_count_on_the_day_they_were_placed_with_what_was_ordered(listing, warehouse):
    sku = listing.sku
    book(sku, warehouse, Kind.RECEIPT, 100, FIRST)
    sell(listing, 3, FIRST + DAY)
    sell(listing, 2, FIRST + DAY)  # the same order: told twice
    sell(listing, 4, FIRST + 2 * DAY, name="waits", status=S.PAID)
    sell(listing, 9, FIRST + 3 * DAY, name="cancelled", status=S.PAID)
    sell(listing, 9, FIRST + 3 * DAY, name="cancelled", status=S.CANCELLED, told_at=FIRST + 5 * DAY)
    sell(listing, 5, FIRST + 4 * DAY, name="back")
    sell(listing, 5, FIRST + 4 * DAY, name="back", told_at=FIRST + 6 * DAY, returned=5)
    assert build_demand(now=NOW) == 1
    assert units_of(sku) == {11: None, 12: 2, 13: 4, 14: 0, 15: 5, 16: 0, 17: 0}
    assert DemandHistory.objects.get().source == "orders"


def test_a_day_is_the_sites_local_day_and_today_is_not_over(listing, warehouse):
    book(listing.sku, warehouse, Kind.RECEIPT, 100, FIRST)
    for at in ("2026-11-12T15:59:59", "2026-11-12T16:00:00", "2026-11-13T15:59:59", "2026-11-20T16:00:00"):
        sell(listing, 1, datetime.fromisoformat(at).replace(tzinfo=UTC))
    build_demand(now=NOW)
    assert units_of(listing.sku) == {11: None, 12: 1, 13: 2}


@pytest.mark.parametrize(
    ("at", "day"),
    [
        pytest.param("2026-03-08T04:59:59", 7, id="the evening before"),
        pytest.param("2026-03-08T05:00:00", 8, id="a day of 23 hours begins"),
        pytest.param("2026-03-09T03:59:59", 8, id="and ends an hour earlier"),
        pytest.param("2026-03-09T04:00:00", 9, id="the next day"),
        pytest.param("2026-11-02T04:59:59", 1, id="a day of 25 hours ends an hour later"),
        pytest.param("2026-11-02T05:00:00", 2, id="and then the next one begins"),
    ],
)
def test_days_of_23_and_25_hours_are_one_day(settings, listing, warehouse, at, day):
    settings.TIME_ZONE = "America/New_York"
    at = datetime.fromisoformat(at).replace(tzinfo=UTC)
    book(listing.sku, warehouse, Kind.RECEIPT, 100, at - 3 * DAY)
    sell(listing, 4, at)
    build_demand(now=NOW)
    assert [number for number, units in units_of(listing.sku).items() if units == 4] == [day]


def test_a_day_that_opened_without_stock_is_not_known_and_one_that_ended_without_is_a_lower_bound(listing, warehouse):
    sku = listing.sku
    book(sku, warehouse, Kind.RECEIPT, 3, FIRST)
    sell(listing, 3, FIRST + 2 * DAY)  # the 13th ends empty
    book(sku, warehouse, Kind.RECEIPT, 50, FIRST + 5 * DAY)  # the 16th opens empty
    sell(listing, 1, FIRST + 6 * DAY)
    build_demand(now=NOW)
    assert units_of(sku) == {11: None, 12: 0, 13: 3, 14: None, 15: None, 16: None, 17: 1}
    marks = marks_of(sku)
    assert [day for day, mark in marks.items() if mark & Mark.LOWER_BOUND] == [13, 14, 15]


def test_stock_that_was_never_counted_censors_nothing(listing, warehouse):
    sell(listing, 3, FIRST)
    sell(listing, 2, FIRST + 2 * DAY)
    build_demand(now=NOW)
    assert units_of(listing.sku) == {11: 3, 12: 0, 13: 2}


def test_what_waits_to_be_sent_is_not_there_any_more(listing, warehouse):
    book(listing.sku, warehouse, Kind.RECEIPT, 3, FIRST)
    sell(listing, 3, FIRST + DAY, status=S.PAID)
    book(listing.sku, warehouse, Kind.RECEIPT, 5, FIRST + 3 * DAY)
    build_demand(now=NOW)
    assert units_of(listing.sku) == {11: None, 12: 3, 13: None, 14: None}


def test_sales_without_an_order_count_and_other_departures_do_not(listing, warehouse):
    sku, other = listing.sku, WarehouseFactory(position=2)
    book(sku, warehouse, Kind.RECEIPT, 50, FIRST)
    book(sku, warehouse, Kind.SALE, -4, FIRST + DAY)
    book(sku, warehouse, Kind.ADJUSTMENT, -2, FIRST + 2 * DAY)
    book(sku, warehouse, Kind.TRANSFER_OUT, -5, FIRST + 2 * DAY)
    book(sku, other, Kind.TRANSFER_IN, 5, FIRST + 3 * DAY)
    build_demand(now=NOW)
    assert units_of(sku, warehouse) == {11: None, 12: 4, 13: 0}
    assert units_of(sku, other) == {14: None}
    assert set(DemandHistory.objects.values_list("source", flat=True)) == {"ledger"}


def test_a_bundle_is_asked_for_as_the_components_it_had_then(listing, warehouse):
    cup, saucer = SkuFactory(), SkuFactory()
    for part, units in ((cup, 2), (saucer, 1)):
        BundleComponent.objects.create(bundle=listing.sku, component=part, units=units)
        book(part, warehouse, Kind.RECEIPT, 50, FIRST)
    sell(listing, 3, FIRST + DAY)
    BundleComponent.objects.filter(component=cup).update(units=9)
    build_demand(now=NOW)
    assert [units_of(part)[12] for part in (cup, saucer)] == [6, 3]
    assert not DemandHistory.objects.filter(sku=listing.sku).exists()


def test_after_its_last_day_nothing_was_sold_or_nothing_was_there(listing, warehouse):
    empty = SkuFactory()
    book(listing.sku, warehouse, Kind.RECEIPT, 50, FIRST)
    sell(listing, 3, FIRST + DAY)
    book(empty, warehouse, Kind.RECEIPT, 4, FIRST)
    book(empty, warehouse, Kind.SALE, -4, FIRST + DAY)
    build_demand(now=NOW)
    found = load_demand(now=NOW)
    assert (found.last_day, found.units.shape) == (date(2026, 11, 20), (2, 10))
    rows = dict(zip(found.sku.tolist(), found.units, strict=True))
    np.testing.assert_array_equal(rows[listing.sku.pk][1:], [3, *[0] * 8])
    np.testing.assert_array_equal(rows[empty.pk][1:], [4, *[np.nan] * 8])


def whole_run(now):
    build_demand(now=now)
    PlanRun.objects.create(kind=PlanRun.Kind.FULL, started_at=now, ended_at=now)


def test_night_by_night_it_comes_to_the_same_bytes_as_at_once(listing, warehouse):
    sku, other, still = listing.sku, SkuFactory(), SkuFactory()
    steps = [
        lambda at: book(sku, warehouse, Kind.RECEIPT, 6, at),
        lambda at: book(still, warehouse, Kind.RECEIPT, 6, at),
        lambda at: sell(listing, 4, at, name="slow", status=S.PAID),
        lambda at: sell(listing, 2, at),
        lambda at: book(other, warehouse, Kind.SALE, -1, at),
        lambda at: book(sku, warehouse, Kind.RECEIPT, 9, at),
        lambda at: sell(listing, 4, FIRST + 2 * DAY, name="slow", told_at=at),
        lambda at: book(other, warehouse, Kind.COUNT, 7, at),
        lambda at: sell(listing, 1, at, name="never", status=S.PAID),
        lambda at: sell(listing, 1, at - DAY, name="never", status=S.CANCELLED, told_at=at),
        lambda at: book(other, warehouse, Kind.SALE, -2, at - 5 * DAY, told_at=at),  # told late
        lambda at: book(other, warehouse, Kind.SALE, -6, at),
    ]
    for number, step in enumerate(steps):
        step(FIRST + number * DAY)
        if number != 4:  # one night it did not run
            whole_run(FIRST + number * DAY + timedelta(hours=13))
    now = FIRST + len(steps) * DAY
    whole_run(now)
    by_night = stored()
    DemandHistory.objects.all().delete()
    assert build_demand([sku.pk, other.pk, still.pk], now=now) == 3
    assert by_night == stored()
    build_demand([sku.pk, other.pk, still.pk], now=now)
    assert by_night == stored()


def test_what_a_file_tells_lies_before_the_ledger(listing, warehouse):
    sku = listing.sku
    for day, units in ((1, 5), (4, 2), (12, 99)):
        ImportedSale.objects.create(sku=sku, warehouse=warehouse, day=date(2026, 11, day), units=units)
    book(sku, warehouse, Kind.COUNT, 9, FIRST)
    sell(listing, 3, FIRST + DAY)
    build_demand(now=NOW)
    known = units_of(sku)
    assert (known[1], known[2], known[4], known[10], known[11], known[12]) == (5, 0, 2, 0, None, 3)
    assert [day for day, mark in marks_of(sku).items() if mark & Mark.IMPORTED] == list(range(1, 11))


def test_days_between_a_file_and_the_ledger_are_not_known(listing, warehouse):
    ImportedSale.objects.create(sku=listing.sku, warehouse=warehouse, day=date(2026, 11, 8), units=5)
    book(listing.sku, warehouse, Kind.COUNT, 9, FIRST)
    build_demand(now=NOW)
    assert units_of(listing.sku) == {8: 5, 9: None, 10: None, 11: None}


def test_readings_of_a_listing_tell_the_days_before_the_ledger(listing, warehouse):
    def read(day, hour, stock, *, is_gap=False):
        at = datetime(2026, 11, day, hour, tzinfo=UTC)
        shelf = "unknown" if is_gap else "on_shelf"
        Observation.objects.create(listing=listing, observed_at=at, stock=stock, is_gap=is_gap, shelf_state=shelf)

    read(2, 1, 20)
    read(2, 5, 17)
    read(3, 5, 0)
    read(5, 5, 30)  # a receipt that nobody booked; what was sold meanwhile cannot be told
    read(6, 1, None, is_gap=True)
    read(8, 5, 24)
    book(listing.sku, warehouse, Kind.COUNT, 24, datetime(2026, 11, 10, 5, tzinfo=UTC))
    build_demand(now=NOW)
    assert units_of(listing.sku) == {2: 3, 3: 17, 4: None, 5: None, 6: 2, 7: 2, 8: 2, 9: 0, 10: None}
    marks = marks_of(listing.sku)
    assert [day for day, mark in marks.items() if mark & Mark.SPREAD] == [6, 7, 8]
    assert marks[5] & Mark.INFERRED
    assert DemandHistory.objects.get().source == "ledger"


def test_a_night_takes_the_same_number_of_statements_however_many_moved(listing, warehouse):
    skus = [listing.sku, *SkuFactory.create_batch(5)]
    for sku in skus:
        book(sku, warehouse, Kind.RECEIPT, 50, FIRST)
    whole_run(FIRST + DAY)

    def night(some, at):
        for sku in some:
            book(sku, warehouse, Kind.SALE, -1, at)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert build_demand(now=at + DAY) == len(some)
        return len(queries)

    few = night(skus[:1], FIRST + 3 * DAY)
    assert night(skus, FIRST + 5 * DAY) == few


def test_orders_of_unknown_state_are_left_out(listing, warehouse):
    book(listing.sku, warehouse, Kind.RECEIPT, 50, FIRST)
    sell(listing, 3, FIRST + DAY)
    Order.objects.update(status=Order.Status.UNKNOWN)
    build_demand(now=NOW)
    assert units_of(listing.sku)[12] == 0
