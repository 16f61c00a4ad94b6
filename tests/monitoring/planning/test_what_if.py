"""What if: the changed plan is the one that a run would make of it, and nothing is stored."""

import csv
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.models import PurchaseOrder
from catalog.stock.ledger import Kind, Movement, Source, record_movements
from monitoring.models import ForecastOverride, PlanPolicy, PlanRun, SkuPlan
from monitoring.services.planning import what_if as service
from monitoring.services.planning.running import plan
from monitoring.services.planning.what_if import Change, FurtherOrder, last_planned, scope_keys, what_if
from tests.factories import (
    ListingFactory,
    PurchaseOrderFactory,
    PurchaseOrderLineFactory,
    SkuFactory,
    SupplierFactory,
    SupplierSkuFactory,
    WarehouseFactory,
)
from tests.staff import member, signed_in

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
TODAY = date(2026, 11, 21)


@pytest.fixture(autouse=True)
def _now(settings):
    settings.TIME_ZONE = "Asia/Shanghai"
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def warehouse():
    return WarehouseFactory(position=1, name="North")


def sells(sku, warehouse, daily, *, left, days=120):
    """What sold so many a day, over and over, until `left` are left."""
    sold = [daily[number % len(daily)] for number in range(days)]
    first = NOW - (days + 1) * DAY
    booked = [(Kind.RECEIPT, sum(sold) + left, first)]
    booked += [(Kind.SALE, -units, first + (day + 1) * DAY) for day, units in enumerate(sold) if units]
    record_movements(
        [
            Movement(
                sku.pk, warehouse.pk, kind, units, f"{sku.pk} {warehouse.pk} {number}", Source.MANUAL, happened_at=at
            )
            for number, (kind, units, at) in enumerate(booked)
        ],
        now=first,
    )


@pytest.fixture
def sku(warehouse):
    """Lasts for 35 of the 14 days that it has to."""
    found = SkuFactory(code="KETTLE", supplier=SupplierFactory(lead_time_days=9, review_days=5), cost_price=Decimal(40))
    SupplierSkuFactory(supplier=found.supplier, sku=found, pack=6)
    ListingFactory(sku=found, list_price=Decimal(100))
    sells(found, warehouse, [20, 12, 28, 16], left=400)
    return found


@pytest.fixture
def other(warehouse):
    found = SkuFactory(code="POT", supplier=SupplierFactory(lead_time_days=9, review_days=5), cost_price=Decimal(10))
    sells(found, warehouse, [3, 9, 5], left=40)
    return found


def run(sku_ids=None):
    found = PlanRun.objects.create(kind=PlanRun.Kind.FULL, started_at=NOW)
    plan(sku_ids, now=NOW, run=found)
    PlanRun.objects.filter(pk=found.pk).update(ended_at=NOW)


def compare(change, **which):
    planned_at = last_planned()
    assert planned_at is not None
    return what_if(scope_keys(SkuPlan.objects.filter(**which)), change, planned_at=planned_at, now=NOW)


def stored(sku) -> tuple[Any, ...]:
    found: Any = SkuPlan.objects.get(sku=sku)
    rounded = [round(each, 4) for each in (found.stock_out_probability, found.safety_stock, found.reorder_point)]
    money = round(found.money_at_stake, 2)
    return (found.quantity, found.order_by, found.stock_out_on, *rounded, money)


def told(side) -> tuple[Any, ...]:
    rounded = [round(each, 4) for each in (side.probability, side.safety_stock, side.reorder_point)]
    return (side.quantity, side.order_by, side.out_on, *rounded, round(side.at_stake, 2))


def page(client, **query):
    return client.get(reverse("planning:what-if"), query)


# --- The figures ----------------------------------------------------------------------------------------------------


def longer(sku, warehouse):
    sku.supplier.lead_time_days = 30
    sku.supplier.save()


def safer(sku, warehouse):
    PlanPolicy.objects.create(sku=sku, service_target=Decimal("0.99"))


def busier(sku, warehouse):
    ForecastOverride.objects.create(sku=sku, factor=Decimal("2.5"), until=TODAY + 400 * DAY, reason="fair", made_at=NOW)


def ordered(sku, warehouse):
    order = PurchaseOrderFactory(
        supplier=sku.supplier,
        warehouse=warehouse,
        status=PurchaseOrder.Status.SENT,
        sent_at=NOW - DAY,
        expected_at=NOW + 5 * DAY,
    )
    PurchaseOrderLineFactory(order=order, sku=sku, quantity=90)


@pytest.mark.parametrize(
    ("change", "make_it_so"),
    [
        pytest.param(Change(lead_time_days=30), longer, id="lead time in days"),
        pytest.param(Change(lead_time_factor=30 / 9), longer, id="lead time in per cent"),
        pytest.param(
            Change(lead_time_days=30, service_target=0.99), (longer, safer), id="lead time and service target"
        ),
        pytest.param(Change(demand_factor=2.5), busier, id="demand"),
    ],
)
def test_what_would_be_is_what_a_run_makes_of_it(sku, other, warehouse, change, make_it_so):
    run()
    found = compare(change, sku=sku)
    (pair,) = found.pairs
    assert (pair.sku_id, pair.warehouse_id, found.places) == (sku.pk, warehouse.pk, 1)
    assert told(pair.before) == stored(sku)
    for make in make_it_so if isinstance(make_it_so, tuple) else (make_it_so,):
        make(sku, warehouse)
    run()
    assert told(pair.after) == stored(sku) != told(pair.before)


# --- A forecast by hand ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by_hand", "likely", "lost"),
    [
        pytest.param({"factor": Decimal("0.25")}, 0, 0, id="a quarter"),
        pytest.param({"per_day": Decimal(0)}, 0, 0, id="nothing"),
        # 9 days of 57 are 513, of which 150 are there; a piece earns 60
        pytest.param({"factor": Decimal(3)}, 1, (513 - 150) * 60, id="three times"),
        pytest.param({"per_day": Decimal(57)}, 1, (513 - 150) * 60, id="three times, by the day"),
    ],
)
def test_a_forecast_by_hand_moves_the_likelihood_and_the_money_at_stake(sku, warehouse, by_hand, likely, lost):
    record_movements(
        [Movement(sku.pk, warehouse.pk, Kind.ADJUSTMENT, -250, "count", Source.MANUAL, happened_at=NOW - DAY / 8)],
        now=NOW,
    )
    run()
    before: Any = SkuPlan.objects.get()
    assert 0.6 < before.stock_out_probability < 1
    ForecastOverride.objects.create(sku=sku, until=TODAY + 400 * DAY, reason="fair", made_at=NOW, **by_hand)
    run()
    found: Any = SkuPlan.objects.get()
    assert (found.method, found.stock_out_probability) == ("by-hand", pytest.approx(likely, abs=0.001))
    assert float(found.money_at_stake) == pytest.approx(lost, rel=0.01, abs=1)


def test_what_is_expected_by_hand_alone_says_how_likely_it_runs_out(sku, warehouse):
    fresh = SkuFactory(supplier=sku.supplier, cost_price=Decimal(40))
    ListingFactory(sku=fresh, list_price=Decimal(100))
    record_movements(
        [Movement(fresh.pk, warehouse.pk, Kind.RECEIPT, 10, "begin", Source.MANUAL, happened_at=NOW)], now=NOW
    )
    ForecastOverride.objects.create(sku=fresh, per_day=5, until=TODAY + 400 * DAY, reason="launch", made_at=NOW)
    run()
    found: Any = SkuPlan.objects.get(sku=fresh)
    # 45 are expected in 9 days, of which 10 are there
    assert found.stock_out_probability == pytest.approx(1, abs=1e-4)
    assert float(found.money_at_stake) == pytest.approx(35 * 60, rel=0.001)


def test_what_is_oversold_lacks_that_and_the_demand_of_the_lead_time(sku, warehouse):
    record_movements(
        [Movement(sku.pk, warehouse.pk, Kind.ADJUSTMENT, -430, "count", Source.MANUAL, happened_at=NOW - DAY / 8)],
        now=NOW,
    )
    run()
    found: Any = SkuPlan.objects.get()
    assert (found.on_hand, found.stock_out_probability) == (-30, 1)
    # 9 days of 19 are lacking, and the 30 that are owed; not the 5 days of the review period
    assert float(found.money_at_stake) == pytest.approx((9 * 19 + 30) * 60, rel=0.01)


def test_a_sku_planned_alone_keeps_the_class_that_it_has_among_all(sku, other):
    run()
    classes = dict(SkuPlan.objects.values_list("sku__code", "abc"))
    assert classes == {"KETTLE": "A", "POT": "C"}
    run([other.pk])
    assert dict(SkuPlan.objects.values_list("sku__code", "abc")) == classes


# --- What changes ---------------------------------------------------------------------------------------------------


def test_one_more_order_counts_where_and_when_it_comes(sku, other, warehouse):
    record_movements(
        [Movement(sku.pk, warehouse.pk, Kind.ADJUSTMENT, -250, "count", Source.MANUAL, happened_at=NOW - DAY / 8)],
        now=NOW,
    )
    run()
    found = compare(Change(order=FurtherOrder(sku.pk, warehouse.pk, 900, TODAY + 5 * DAY)))
    kettle, pot = sorted(found.pairs, key=lambda pair: pair.sku_id)
    assert kettle.is_gone
    assert (kettle.before.out_on, kettle.after.out_on) == (TODAY + 7 * DAY, TODAY + 55 * DAY)
    assert (kettle.before.quantity, kettle.after.quantity) == (192, 0)
    assert pot.before == pot.after
    assert (found.before.units, found.after.units) == (192 + pot.before.quantity, pot.after.quantity)
    assert found.before.groups[3] + 1 == found.after.groups[3]
    # 150 and the order of 900 in place of 192, at 40.00 each
    assert found.after.held["CNY"] - found.before.held["CNY"] == (900 - 192) * 40


def test_a_change_is_only_for_the_places_that_are_asked_about(sku, other, warehouse):
    south = WarehouseFactory(position=2, name="South")
    sells(sku, south, [20, 12, 28, 16], left=100)
    run()
    for which, changed in (({"warehouse": south}, {south.pk}), ({"sku": other}, {warehouse.pk})):
        found = compare(Change(demand_factor=3), **which)
        assert {pair.warehouse_id for pair in found.pairs} == changed
        assert found.places == 1
    assert compare(Change(demand_factor=1)).before == compare(Change(demand_factor=1)).after


def test_more_demand_is_more_of_what_a_person_expects(sku, warehouse):
    ForecastOverride.objects.create(sku=sku, per_day=40, until=TODAY + 400 * DAY, reason="fair", made_at=NOW)
    run()
    (pair,) = compare(Change(demand_factor=1.5)).pairs
    # 400 last 10 days of 40, and 6 of 60
    assert (pair.before.out_on, pair.after.out_on) == (TODAY + 10 * DAY, TODAY + 6 * DAY)


def test_what_nobody_can_tell_stays_so(warehouse):
    blind = SkuFactory(cost_price=Decimal(40))  # of no supplier: nobody knows its lead time
    sells(blind, warehouse, [4], left=9)
    run()
    longer = compare(Change(lead_time_factor=2, demand_factor=2))
    assert (longer.pairs, longer.after.groups[4]) == ([], 1)
    known = compare(Change(lead_time_days=7))
    assert (known.before.groups[4], known.after.groups[4], known.pairs[0].is_new) == (1, 0, True)


# --- The page -------------------------------------------------------------------------------------------------------


def test_the_page_shows_both_plans_and_changes_nothing(client, sku, other):
    run()
    signed_in(client, "Manager")
    before = list(SkuPlan.objects.order_by("pk").values())
    with CaptureQueriesContext(connection) as queries:
        answer = page(client, lead_days=30, target="0.99")
    assert answer.status_code == 200
    writes = re.compile(r"INSERT INTO|UPDATE \"|DELETE FROM|COPY |CREATE ")
    assert not [each["sql"] for each in queries if writes.search(each["sql"])]
    assert list(SkuPlan.objects.order_by("pk").values()) == before
    (kettle,) = [row for row in answer.context["rows"] if row.sku == sku]
    cells = {cell.label: (cell.before, cell.after) for cell in kettle.cells}
    assert cells["To do"][0] == "nothing"
    assert cells["To do"][1].startswith("buy ")
    assert [(str(label), number) for label, _url, number, _current in answer.context["tabs"]] == [
        ("To order or to move", 2),
        ("Comes new", 1),
        ("Not needed any more", 0),
    ]
    assert [row.sku for row in page(client, lead_days=30, target="0.99", show="new").context["rows"]] == [sku]
    assert "comes new" in answer.text
    # The address has all of it, so that it can be passed on.
    rows = list(csv.reader(client.get(answer.context["csv_url"]).getvalue().decode().splitlines()))
    assert rows[0][:5] == ["sku", "product", "warehouse", "to buy now", "moved here now"]
    assert [row[0] for row in rows[1:]] == [row.sku.code for row in answer.context["rows"]]


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ({"lead_days": "-3"}, "lead_days", "Enter 0 to 730 days."),
        ({"lead_days": "soon"}, "lead_days", "Enter 0 to 730 days."),
        ({"lead_days": "7", "lead_change": "10"}, "lead_change", "Give the days, or the percentage: not both."),
        ({"target": "1"}, "target", "Enter a share from 0.5 to below 1, for example 0.95."),
        ({"target": "0"}, "target", "Enter a share from 0.5 to below 1, for example 0.95."),
        ({"target": "NaN"}, "target", "Enter a share from 0.5 to below 1, for example 0.95."),
        ({"demand_change": "-101"}, "demand_change", "Enter −100 to 900 percent, for example 20 or -20."),
        ({"sku": "NOPE", "target": "0.9"}, "sku", "There is no SKU “NOPE”. Write the code as the list of SKUs has it."),
        ({"order_sku": "KETTLE"}, "order_units", "Enter how many."),
        ({"order_sku": "KETTLE", "order_units": "0"}, "order_units", "Enter 1 to"),
        ({"order_units": "5"}, "order_sku", "Enter the SKU that is ordered."),
        ({"order_on": "2026-11-20"}, "order_on", "This day has passed. Enter today or a later one."),
        ({"order_on": "soon"}, "order_on", "Enter a date, for example 2026-12-01."),
        ({"order_warehouse": "999"}, "order_warehouse", "Select a valid choice"),
    ],
)
def test_a_mistake_is_told_at_its_field_and_the_rest_stays(client, sku, query, field, message):
    run()
    signed_in(client, "Manager")
    answer = page(client, **{"warehouse": "", "demand_change": "15", **query})
    form = answer.context["form"]
    assert form.errors[field][0].startswith(message)
    assert "found" not in answer.context
    for name, value in ({"demand_change": "15"} | query).items():
        if name != "order_warehouse":  # a list has no place for what is not one of its choices
            assert form[name].value() == value
    csv_url = reverse("planning:what-if-csv")
    assert client.get(csv_url, query).status_code == 404


def test_more_than_can_be_worked_out_at_once_is_said(client, sku, other, monkeypatch):
    run()
    signed_in(client, "Manager")
    monkeypatch.setattr(service, "MOST_PLACES", 1)
    assert "These are 2 SKUs in warehouses." in page(client, target="0.9").text
    assert page(client, target="0.9", sku="POT").context["found"].places == 1


def test_without_a_plan_there_is_nothing_to_compare(client, sku):
    signed_in(client, "Manager")
    assert "Nothing is planned yet" in page(client, target="0.9").text


def test_it_shows_what_the_person_may_see(client, sku, other):
    run()
    listing = ListingFactory(sku=other)
    client.force_login(member("Viewer", listing.channel))
    answer = page(client, demand_change="50")
    assert [row.sku for row in answer.context["rows"]] == [other]
    assert answer.context["found"].places == 1
    assert not [row.label for row in answer.context["totals"] if "cost" in row.label or "risk" in row.label]
    assert "¥" not in answer.text
    assert page(client, demand_change="50", sku="KETTLE").context["form"].errors["sku"]


def test_more_skus_take_no_more_queries(client, sku, other, warehouse):
    run()
    signed_in(client, "Manager")
    numbers = []
    for more in range(2):
        for number in range(4 * more):
            sells(SkuFactory(supplier=sku.supplier), warehouse, [number + 1], left=5, days=40)
        run()
        with CaptureQueriesContext(connection) as queries:
            answer = page(client, demand_change="50", lead_change="10")
        numbers.append(len(queries))
    assert len(answer.context["rows"]) == 6
    assert numbers[0] == numbers[1] <= 40
