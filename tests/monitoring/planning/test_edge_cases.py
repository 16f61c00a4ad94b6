"""What plans make of odd histories, places and terms; all from the ledger on."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from catalog.stock.ledger import Kind, Movement, Source, record_movements
from monitoring.models import Advice, DemandHistory, Observation, PlanPolicy, SkuPlan
from monitoring.services.planning.running import run_plan
from tests.factories import LaneFactory, ListingFactory, SkuFactory, SupplierFactory, WarehouseFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
DAYS = 120


@pytest.fixture(autouse=True)
def zone(settings):
    settings.TIME_ZONE = "Asia/Shanghai"


@pytest.fixture
def warehouse():
    return WarehouseFactory(position=1)


@pytest.fixture
def sku():
    supplier = SupplierFactory(lead_time_days=9, lead_time_spread_days=Decimal("0"), review_days=5)
    return SkuFactory(supplier=supplier, cost_price=Decimal("40.00"))


def book(sku, warehouse, *movements):
    """Kind, units (with their sign) and how many days ago."""
    rows = [
        Movement(
            sku.pk, warehouse.pk, kind, units, f"{sku} {warehouse} {n}", Source.MANUAL, happened_at=NOW - ago * DAY
        )
        for n, (kind, units, ago) in enumerate(movements)
    ]
    record_movements(rows, now=NOW)


def sells(sku, warehouse, daily, *, left, days=DAYS):
    """So many on each of the last days, the first one being the oldest, until so many are left."""
    sold = [daily[number % len(daily)] for number in range(days)]
    sales = [(Kind.SALE, -units, days - number) for number, units in enumerate(sold) if units]
    book(sku, warehouse, (Kind.RECEIPT, sum(sold) + left, days + 1), *sales)


def planned(**which):
    run_plan(now=NOW)
    return SkuPlan.objects.get(**which)


def test_a_wholesale_order_is_kept_in_the_history_and_counts_in_part_for_the_rate(sku, warehouse):
    daily = [2] * DAYS
    daily[60] = 1000
    sells(sku, warehouse, daily, left=500)
    found = planned()
    assert "censored" not in found.notes
    units = np.frombuffer(bytes(DemandHistory.objects.get().units), "<i4")
    assert units.max() == 1000
    assert found.per_day == pytest.approx(2, rel=0.1)
    assert "one-off-orders" in found.notes


def test_without_lead_time_there_is_enough_until_the_next_occasion_to_order(sku, warehouse):
    type(sku.supplier).objects.update(lead_time_days=0)
    sells(sku, warehouse, [1, 9, 30, 2], left=0)
    found = planned()
    assert (found.protection_days, found.lead_time_days) == (5, 0)
    assert found.expected == pytest.approx(5 * found.per_day, rel=0.01)
    assert found.safety_stock > 0
    assert found.reorder_point == pytest.approx(found.expected + found.safety_stock, abs=0.01)
    assert found.quantity >= found.reorder_point


def test_a_warehouse_without_lanes_is_bought_for_though_another_has_too_much(sku, warehouse):
    other, third = WarehouseFactory(position=2), WarehouseFactory(position=3)
    ListingFactory(sku=sku, list_price=Decimal("90.00"))
    LaneFactory(source=other, destination=third, days=1, unit_cost=Decimal("0.10"))
    sells(sku, warehouse, [10], left=20)
    sells(sku, other, [1], left=2000)
    run_plan(now=NOW)
    [advice] = Advice.objects.all()
    assert (advice.kind, advice.warehouse, advice.source) == ("buy", warehouse, None)


def test_days_without_stock_tell_nothing_of_the_demand(sku, warehouse):
    """Ten a day while there are some; every other week there are none."""
    movements = []
    for ago in range(DAYS, 0, -1):
        if ago % 14 == 0:
            movements.append((Kind.RECEIPT, 70, ago))
        if 7 < (ago % 14 or 14) <= 14:
            movements.append((Kind.SALE, -10, ago))
    first = next(n for n, each in enumerate(movements) if each[0] == Kind.RECEIPT)
    book(sku, warehouse, *movements[first:], (Kind.RECEIPT, 30, 0))
    found = planned()
    assert found.per_day == pytest.approx(10, rel=0.15)
    assert "censored" in found.notes


@pytest.mark.parametrize(
    ("movements", "status", "quantity"),
    [
        pytest.param([(Kind.RECEIPT, 9, 300), (Kind.SALE, -3, 299)], "planned", 0, id="sold once, long ago"),
        pytest.param([(Kind.RECEIPT, 9, 300), (Kind.SALE, -9, 299)], "new", None, id="sold out ever since"),
        pytest.param([(Kind.RECEIPT, 9, 10), (Kind.SALE, -1, 9)], "new", None, id="sold once, and new"),
        pytest.param([(Kind.RECEIPT, 9, 200)], "no-demand", 0, id="never sold"),
    ],
)
def test_what_hardly_sold_is_planned_without_a_figure_out_of_nowhere(sku, warehouse, movements, status, quantity):
    book(sku, warehouse, *movements)
    found = planned()
    assert found.status == status
    assert 0 <= found.per_day <= 9
    assert found.expected_high >= found.expected
    if quantity is not None:
        assert found.quantity == quantity


@pytest.mark.parametrize(
    ("movements", "freshness"),
    [
        pytest.param([(Kind.RECEIPT, 9, 89)], None, id="new, and never sold"),
        pytest.param([(Kind.RECEIPT, 9, 92)], 0, id="never sold in 90 days"),
        pytest.param([(Kind.RECEIPT, 9, 200), (Kind.SALE, -1, 90)], 1, id="sold 90 days ago"),
        pytest.param([(Kind.RECEIPT, 9, 200), (Kind.SALE, -1, 91)], 0, id="sold 91 days ago"),
        pytest.param(
            [(Kind.RECEIPT, 9, 200), (Kind.SALE, -9, 150), (Kind.RECEIPT, 9, 5)], None, id="back for some days"
        ),
    ],
)
def test_only_what_could_be_sold_for_90_days_is_dead(sku, warehouse, movements, freshness):
    book(sku, warehouse, *movements)
    found = planned()
    assert found.health_parts.get("freshness") == freshness


def test_what_was_sold_in_a_gap_in_which_a_receipt_came_is_not_known(sku, warehouse):
    listing = ListingFactory(sku=sku)
    for day, stock in ((2, 20), (3, 17), (4, None), (7, 90), (8, 88)):
        is_gap = stock is None
        shelf = "unknown" if is_gap else "on_shelf"
        at = datetime(2026, 11, day, 5, tzinfo=UTC)
        Observation.objects.create(listing=listing, observed_at=at, stock=stock, is_gap=is_gap, shelf_state=shelf)
    book(sku, warehouse, (Kind.COUNT, 88, 10))
    run_plan(now=NOW)
    history = DemandHistory.objects.get()
    units, marks = np.frombuffer(bytes(history.units), "<i4"), bytes(history.marks)
    known = {(history.first_day + n * DAY).day: count for n, count in enumerate(units.tolist())}
    assert {day: known[day] for day in range(2, 9)} == {2: 0, 3: 3, 4: -1, 5: -1, 6: -1, 7: -1, 8: 2}
    assert marks[(date(2026, 11, 7) - history.first_day).days] & DemandHistory.Mark.INFERRED


def test_a_discontinued_sku_is_not_bought_and_has_no_turnover_to_reach(sku, warehouse):
    sells(sku, warehouse, [3], left=4)
    assert planned().quantity > 0
    type(sku).objects.update(status="retired")
    found = planned()
    assert (found.status, found.quantity, found.health_parts.get("turnover")) == ("retired", 0, None)
    assert not Advice.objects.filter(state="open").exists()


def test_the_rule_of_a_warehouse_says_how_long_it_takes_where_nobody_else_does(sku, warehouse):
    type(sku.supplier).objects.update(lead_time_days=None, review_days=0)
    PlanPolicy.objects.create(warehouse=warehouse, lead_time_days=12)
    sells(sku, warehouse, [5], left=400)
    found = planned()
    assert (found.lead_time_days, found.lead_time_spread_days) == (12, 0)
    assert {"lead-time-default", "lead-time-spread-unknown"} <= set(found.notes)
    assert found.order_by > date(2026, 11, 21)
