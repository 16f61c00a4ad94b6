"""From the ledger to advice: what is planned, what is advised, and what a second run changes."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import PurchaseOrder
from catalog.stock.ledger import Kind, Movement, Source, record_movements
from monitoring.advice_words import order_sentence
from monitoring.models import Advice, Alert, ForecastOverride, ForecastReport, PlanPolicy, PlanRun, SkuPlan
from monitoring.services.planning import running
from monitoring.services.planning.running import plan
from monitoring.services.planning.sums import order_of
from tests.factories import (
    LaneFactory,
    ListingFactory,
    PurchaseOrderFactory,
    PurchaseOrderLineFactory,
    SkuFactory,
    SupplierFactory,
    SupplierSkuFactory,
    WarehouseFactory,
)

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
TODAY = date(2026, 11, 21)
DAYS = 120


@pytest.fixture(autouse=True)
def zone(settings):
    settings.TIME_ZONE = "Asia/Shanghai"


@pytest.fixture
def warehouse():
    return WarehouseFactory(position=1)


@pytest.fixture
def supplier():
    return SupplierFactory(lead_time_days=9, lead_time_spread_days=Decimal("0"), review_days=5)


@pytest.fixture
def sku(supplier):
    return SkuFactory(supplier=supplier, cost_price=Decimal("40.00"))


def sells(sku, warehouse, daily, *, left, days=DAYS, now=NOW):
    """What was there `days` ago sold so many a day (a list repeats) until `left` are left."""
    daily = [daily] if isinstance(daily, int) else daily
    sold = [daily[number % len(daily)] for number in range(days)]
    first = now - (days + 1) * DAY
    name = f"{sku.pk} {warehouse.pk}"
    movements = [
        Movement(sku.pk, warehouse.pk, kind, units, f"{name} {number}", Source.MANUAL, happened_at=at)
        for number, (kind, units, at) in enumerate(
            [
                (Kind.RECEIPT, sum(sold) + left, first),
                *((Kind.SALE, -units, first + (day + 1) * DAY) for day, units in enumerate(sold) if units),
            ]
        )
        if units
    ]
    record_movements(movements, now=first)


def the_plan(**which) -> Any:
    return SkuPlan.objects.get(**which)


def run_plan(sku_ids=None, *, now=NOW):
    run = PlanRun.objects.create(kind=PlanRun.Kind.FULL, started_at=now)
    summary = plan(sku_ids, now=now, run=run)
    PlanRun.objects.filter(pk=run.pk).update(ended_at=now)
    return summary


def test_a_steady_seller_is_planned_and_bought_with_the_sum_in_one_sentence(sku, warehouse):
    sells(sku, warehouse, 20, left=150)
    SupplierSkuFactory(supplier=sku.supplier, sku=sku, pack=24)
    order = PurchaseOrderFactory(
        supplier=sku.supplier,
        warehouse=warehouse,
        status=PurchaseOrder.Status.SENT,
        sent_at=NOW - DAY,
        expected_at=NOW + 3 * DAY,
    )
    PurchaseOrderLineFactory(order=order, sku=sku, quantity=40)
    assert run_plan().places == 1
    found = the_plan()
    assert (found.status, found.reason, found.pattern, found.abc) == ("planned", "", "smooth", "A")
    assert (found.on_hand, found.reserved, found.on_the_way, found.protection_days) == (150, 0, 40, 14)
    assert found.expected == pytest.approx(280, rel=0.02)
    assert found.per_day == pytest.approx(20, rel=0.02)
    assert found.reorder_point == pytest.approx(found.expected + found.safety_stock, abs=0.01)
    assert found.cover_days == pytest.approx(7.5, rel=0.02)
    # 150 and the 40 of the third day last nine days
    assert found.stock_out_on == TODAY + 9 * DAY
    assert found.order_by == TODAY
    assert found.stock_value == Decimal("6000.0000")
    advice = Advice.objects.get()
    assert (advice.kind, advice.state, advice.supplier, advice.by) == ("buy", "open", sku.supplier, TODAY)
    assert advice.quantity % 24 == 0
    assert 0 <= advice.quantity - found.unrounded < 24
    sentence = order_sentence(order_of(advice.sum))
    assert sentence.startswith(f"{advice.quantity} = ")
    assert " on hand − 40 on the way" in sentence
    assert sentence.endswith("rounded to packs of 24")


def test_what_is_there_for_long_is_not_bought(sku, warehouse):
    sells(sku, warehouse, 20, left=5000)
    run_plan()
    found = the_plan()
    assert (found.quantity, found.is_late) == (0, False)
    assert found.order_by > TODAY + 200 * DAY
    assert not Advice.objects.exists()


def test_an_advice_is_changed_while_it_is_open_and_gone_when_it_is_not_needed(sku, warehouse):
    sells(sku, warehouse, 20, left=150)
    run_plan()
    first = Advice.objects.get()
    run_plan()
    again = Advice.objects.get()
    assert (again.pk, again.quantity) == (first.pk, first.quantity)
    receipt = Movement(sku.pk, warehouse.pk, Kind.RECEIPT, 5000, "more", Source.MANUAL)
    record_movements([receipt], now=NOW)
    assert run_plan(now=NOW + timedelta(hours=1)).gone == 1
    assert Advice.objects.get().state == "gone"
    assert the_plan().on_hand == 5150


def test_what_was_decided_stays_as_it_was(sku, warehouse):
    sells(sku, warehouse, 20, left=150)
    run_plan()
    Advice.objects.update(state=Advice.State.REJECTED, quantity=1)
    run_plan()
    assert list(Advice.objects.order_by("pk").values_list("state", flat=True)) == ["rejected", "open"]
    assert Advice.objects.earliest("pk").quantity == 1


def test_a_snoozed_advice_stays_snoozed_with_the_figures_of_today(sku, warehouse):
    sells(sku, warehouse, 20, left=150)
    run_plan()
    Advice.objects.update(state=Advice.State.SNOOZED, quantity=1, snoozed_until=NOW + DAY)
    run_plan()
    advice = Advice.objects.get()
    assert (advice.state, advice.quantity > 1) == ("snoozed", True)


def test_a_new_sku_says_so(sku, warehouse):
    for _number in range(3):
        other = SkuFactory(supplier=sku.supplier)
        sells(other, warehouse, [2, 0, 3], left=500)
    sells(sku, warehouse, 4, left=3, days=10)
    run_plan()
    found = the_plan(sku=sku)
    assert found.status == "new"
    assert "pooled-spread" in found.notes
    assert 0 < found.per_day < 5
    assert Advice.objects.filter(sku=sku).exists()  # for a person to look at


def test_without_any_history_nobody_can_tell(sku, warehouse):
    record_movements([Movement(sku.pk, warehouse.pk, Kind.COUNT, 9, "first", Source.MANUAL)], now=NOW)
    run_plan()
    found = the_plan()
    assert (found.status, found.reason, found.quantity, found.per_day) == ("cannot-tell", "no-history", None, None)


def test_nothing_sold_needs_nothing_but_the_least_stock(sku, warehouse):
    record_movements(
        [Movement(sku.pk, warehouse.pk, Kind.RECEIPT, 3, "first", Source.MANUAL, happened_at=NOW - 90 * DAY)],
        now=NOW - 90 * DAY,
    )
    run_plan()
    found = the_plan()
    assert (found.status, found.per_day, found.safety_stock, found.quantity) == ("no-demand", 0, 0, 0)
    assert (found.cover_days, found.stock_out_on, found.stock_out_probability) == (None, None, 0)
    PlanPolicy.objects.create(sku=sku, presence=5)
    run_plan()
    assert the_plan().quantity == 2


def test_out_of_stock_comes_first_and_its_rate_is_that_of_the_days_before(supplier, warehouse):
    out, low = SkuFactory(supplier=supplier), SkuFactory(supplier=supplier)
    for each, left in ((low, 20), (out, 0)):
        ListingFactory(sku=each, list_price=Decimal("60.00"))
        sells(each, warehouse, 10 if each == low else 2, left=left)
    run_plan()
    found = the_plan(sku=out)
    assert (found.stock_out_probability, found.cover_days, found.stock_out_on) == (1, 0, TODAY)
    assert found.per_day == pytest.approx(2, rel=0.05)
    assert list(Advice.objects.order_by("rank").values_list("sku", flat=True)) == [out.pk, low.pk]


def test_oversold_units_keep_their_sign_in_what_to_buy(sku, warehouse):
    sells(sku, warehouse, 2, left=0)
    record_movements([Movement(sku.pk, warehouse.pk, Kind.SALE, -7, "over", Source.MANUAL)], now=NOW)
    run_plan()
    found = the_plan()
    assert (found.on_hand, found.cover_days, "oversold" in found.notes) == (-7, 0, True)
    assert found.unrounded == pytest.approx(found.reorder_point + 7, abs=0.01)


def test_a_sku_whose_stock_was_never_counted_is_not_planned(sku, warehouse):
    key = f"{sku.pk}"
    record_movements(
        [
            Movement(sku.pk, warehouse.pk, Kind.SALE, -2, f"{key} {day}", Source.MANUAL, happened_at=NOW - day * DAY)
            for day in range(1, 60)
        ],
        now=NOW - 60 * DAY,
    )
    run_plan()
    found = the_plan()
    assert (found.status, found.reason, found.on_hand, found.quantity) == ("cannot-tell", "not-counted", None, None)
    assert not Advice.objects.exists()


def test_a_retired_sku_is_not_bought(sku, warehouse):
    sells(sku, warehouse, 20, left=5)
    type(sku).objects.update(status="retired")
    run_plan()
    assert (the_plan().status, the_plan().quantity) == ("retired", 0)
    assert not Advice.objects.exists()


@pytest.mark.parametrize(
    ("of_supplier", "of_rule", "expected"),
    [
        pytest.param(None, None, ("cannot-tell", None, []), id="nobody knows it"),
        pytest.param(None, 12, ("planned", 12.0, ["lead-time-default", "lead-time-spread-unknown"]), id="the rule's"),
        pytest.param(9, 12, ("planned", 9.0, ["lead-time-spread-unknown"]), id="the supplier's before the rule's"),
        pytest.param(0, None, ("planned", 0.0, ["lead-time-spread-unknown"]), id="at once"),
    ],
)
def test_lead_times_that_are_not_known_are_told(sku, warehouse, of_supplier, of_rule, expected):
    type(sku.supplier).objects.update(lead_time_days=of_supplier, lead_time_spread_days=None, review_days=0)
    if of_rule is not None:
        PlanPolicy.objects.create(warehouse=warehouse, lead_time_days=of_rule)
    sells(sku, warehouse, 20, left=150)
    run_plan()
    found = the_plan()
    assert (found.status, found.lead_time_days, found.notes) == expected
    if of_supplier == 0:
        assert (found.expected, found.safety_stock, found.quantity) == (0, 0, 0)


def test_the_rule_nearest_to_a_sku_counts(sku, warehouse):
    sells(sku, warehouse, [1, 9, 30, 2], left=100)
    held: list[Any] = []
    PlanPolicy.objects.create(service_target=Decimal("0.8"))
    for fields in ({}, {"warehouse": warehouse}, {"abc": "A"}, {"sku": sku}):
        if fields:
            PlanPolicy.objects.create(service_target=Decimal("0.8") + len(held) * Decimal("0.05"), **fields)
        run_plan()
        held.append((the_plan().service_target, the_plan().safety_stock))
    assert [float(target) for target, _held in held] == [0.8, 0.85, 0.9, 0.95]
    assert sorted(held) == held


def test_a_person_who_expects_more_is_believed_until_the_day_that_they_said(sku, warehouse):
    sells(sku, warehouse, 20, left=5000)
    run_plan()
    before = the_plan().expected
    row = ForecastOverride.objects.create(sku=sku, factor=2, reason="festival", until=TODAY + 6 * DAY, made_at=NOW)
    run_plan()
    found = the_plan()
    assert found.expected == pytest.approx(before * 1.5)  # 7 of 14 days
    assert (found.method, "by-hand" in found.notes) == ("by-hand", True)
    ForecastOverride.objects.filter(pk=row.pk).update(factor=None, per_day=50, until=TODAY + 60 * DAY)
    run_plan()
    assert the_plan().expected == pytest.approx(700)
    ForecastOverride.objects.filter(pk=row.pk).update(until=TODAY - DAY)
    run_plan()
    assert the_plan().expected == pytest.approx(before)


def test_overdue_units_are_shown_and_not_counted_on(sku, warehouse):
    sells(sku, warehouse, 20, left=150)
    order = PurchaseOrderFactory(
        supplier=sku.supplier,
        warehouse=warehouse,
        status=PurchaseOrder.Status.SENT,
        sent_at=NOW - 30 * DAY,
        expected_at=NOW - 10 * DAY,
    )
    PurchaseOrderLineFactory(order=order, sku=sku, quantity=40)
    run_plan()
    found = the_plan()
    assert (found.on_the_way, found.overdue, "overdue" in found.notes) == (0, 40, True)
    assert order_sentence(order_of(Advice.objects.get().sum)).endswith("40 overdue not counted")


def test_what_another_warehouse_has_too_much_of_is_moved_before_anything_is_bought(sku, warehouse):
    other = WarehouseFactory(position=2)
    ListingFactory(sku=sku, list_price=Decimal("90.00"))
    LaneFactory(source=other, destination=warehouse, days=2, unit_cost=Decimal("0.50"))
    sells(sku, warehouse, 10, left=20)
    sells(sku, other, 1, left=1000)
    run_plan()
    [advice] = Advice.objects.all()
    assert (advice.kind, advice.warehouse, advice.source) == ("transfer", warehouse, other)
    here, there = the_plan(warehouse=warehouse), the_plan(warehouse=other)
    assert advice.quantity == pytest.approx(here.reorder_point - 20, abs=1)
    assert there.on_hand - advice.quantity >= there.reorder_point
    assert here.quantity == 0


def test_a_transfer_leaves_in_time_to_arrive_before_the_safety_stock_is_touched(sku, warehouse):
    other = WarehouseFactory(position=2)
    ListingFactory(sku=sku, list_price=Decimal("90.00"))
    LaneFactory(source=other, destination=warehouse, days=2, unit_cost=Decimal("0.50"))
    sells(sku, warehouse, 10, left=100)
    sells(sku, other, 1, left=1000)
    run_plan()
    here, advice = the_plan(warehouse=warehouse), Advice.objects.get()
    lasts = math.floor((100 - here.safety_stock) / here.per_day)
    assert lasts > 2
    assert advice.by == timezone.localdate(NOW) + timedelta(days=lasts - 2)


def test_a_margin_that_is_not_known_makes_no_money_at_stake(sku, supplier, warehouse):
    priced = SkuFactory(supplier=supplier, cost_price=Decimal("40.00"))
    ListingFactory(sku=priced, list_price=Decimal("60.00"))
    for each in (sku, priced):
        sells(each, warehouse, [5, 25], left=100)
    run_plan()
    known, unknown = the_plan(sku=priced), the_plan(sku=sku)
    assert unknown.money_at_stake is None
    assert known.money_at_stake > 0
    assert known.currency == "CNY"


def test_a_plan_of_some_is_the_same_as_that_of_all(sku, supplier, warehouse):
    for number in range(8):
        other = SkuFactory(supplier=supplier)
        sells(other, warehouse, [number, 0, 5, 2], left=40)
    sells(sku, warehouse, [9, 0, 4], left=30)

    def figures():
        left_out = {"id"}
        return [
            {name: value for name, value in row.items() if name not in left_out}
            for row in SkuPlan.objects.filter(sku=sku).values()
        ]

    run_plan()
    before, others = figures(), SkuPlan.objects.exclude(sku=sku).count()
    run_plan([sku.pk])
    assert figures() == before
    assert SkuPlan.objects.exclude(sku=sku).count() == others == 8


def test_a_run_takes_the_same_number_of_statements_however_many_it_plans(supplier, warehouse):
    def queries():
        with CaptureQueriesContext(connection) as found:
            run_plan()
        return len(found)

    for number in range(2):
        sells(SkuFactory(supplier=supplier), warehouse, [number, 3], left=4)
    queries()
    few = queries()
    for number in range(6):
        sells(SkuFactory(supplier=supplier), warehouse, [number, 3], left=4)
    run_plan()
    assert queries() == few


def test_a_whole_run_keeps_its_report_card(supplier, warehouse):
    for number in range(12):
        sells(SkuFactory(supplier=supplier), warehouse, [number, 3, 0, 8, 1], left=4, days=250)
    run_plan()
    cards: dict[str, Any] = {card.of: card for card in ForecastReport.objects.all()}
    assert set(cards) == {"ours", "seasonal-naive", "textbook"}
    assert cards["ours"].horizon == 14
    assert 0 <= cards["ours"].wape < 0.5
    assert cards["seasonal-naive"].quantile_loss is None


def test_what_is_below_its_points_when_it_is_planned_first_has_not_crossed_them(sku, warehouse):
    ListingFactory(sku=sku)
    sells(sku, warehouse, 20, left=10)
    run_plan()
    assert the_plan().is_below_safety
    assert the_plan().is_below_reorder
    assert not Alert.objects.exists()


def test_a_point_that_rises_above_what_is_there_is_crossed_as_well(sku, warehouse):
    ListingFactory(sku=sku)
    sells(sku, warehouse, 2, left=60)
    run_plan()
    assert not the_plan().is_below_reorder
    sku.supplier.lead_time_days = 60
    sku.supplier.save()
    running.run_plan(now=NOW + DAY)
    assert the_plan().is_below_reorder
    assert Alert.objects.get().kind == "below_reorder_point"


def test_an_advice_that_was_accepted_while_a_run_was_at_it_stays_accepted(sku, warehouse):
    sells(sku, warehouse, 20, left=10)
    run_plan()
    Advice.objects.update(state=Advice.State.ACCEPTED, decided_at=NOW)
    figures = Advice.objects.values().get()
    SkuPlan.objects.all().delete()
    run_plan(now=NOW + DAY)
    assert Advice.objects.filter(pk=figures["id"]).values().get() == figures


def test_an_empty_database_has_nothing_to_plan(db):
    assert run_plan().places == 0
