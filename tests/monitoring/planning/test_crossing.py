"""Stock that falls to a point of its plan is told once, as it happens, and planned anew."""

from datetime import timedelta

import pytest

from catalog.models import BundleComponent
from catalog.stock.counts import count
from catalog.stock.ledger import Source, reserve
from monitoring.alert_text import alert_sentence, alert_title
from monitoring.models import Alert, Notification, SkuPlan
from monitoring.services.planning.crossing import check_points
from tests.factories import (
    NOW,
    ListingFactory,
    PurchaseOrderFactory,
    PurchaseOrderLineFactory,
    RouteFactory,
    SkuFactory,
    SkuPlanFactory,
    WarehouseFactory,
)

pytestmark = pytest.mark.django_db

SAFETY, REORDER = "below_safety_stock", "below_reorder_point"


@pytest.fixture
def plan():
    """At 8 pieces safe, to be ordered at 36, 2 are sold in a day."""
    listing = ListingFactory(sku=SkuFactory(code="EV-KET-600"))
    return SkuPlanFactory(sku=listing.sku, warehouse=WarehouseFactory(code="HZ", name="Hangzhou"))


def has(plan, units, now=NOW):
    """So many are there now, which is compared at once; returns whether it is planned anew."""
    key = f"{plan.sku_id} {plan.warehouse_id} {units} {now}"
    count(sku_id=plan.sku_id, warehouse_id=plan.warehouse_id, counted=units, key=key, actor=None, now=now)
    return check_points([plan.sku_id], now=now) == [plan.sku_id]


def in_force():
    return sorted(Alert.objects.filter(cleared_at=None).values_list("kind", flat=True))


@pytest.mark.parametrize(
    ("units", "kinds"),
    [
        pytest.param(37, [], id="above both"),
        pytest.param(36, [REORDER], id="at the reorder point"),
        pytest.param(8, [REORDER], id="at the safety stock"),
        pytest.param(7, [REORDER, SAFETY], id="below the safety stock"),
    ],
)
def test_an_alert_opens_as_the_stock_crosses_a_point(plan, units, kinds):
    has(plan, units)
    assert in_force() == kinds
    plan.refresh_from_db()
    assert (plan.is_below_safety, plan.is_below_reorder) == (SAFETY in kinds, REORDER in kinds)


def test_points_between_two_pieces_are_met_exactly(plan):
    SkuPlan.objects.update(safety_stock=8.2, reorder_point=36.7)
    has(plan, 37)
    assert in_force() == []
    has(plan, 8)
    assert in_force() == [REORDER, SAFETY]


def test_the_alert_says_where_how_many_and_from_where_on(plan):
    RouteFactory()
    has(plan, 5)
    alert = Alert.objects.get(kind=SAFETY)
    assert alert_title(alert) == "Below the safety stock of 8"
    assert alert_sentence(alert) == "HZ · EV-KET-600: 5 can be sold, the safety stock is 8"
    assert alert.listing is not None
    assert (alert.listing.sku, alert.channel) == (plan.sku, alert.listing.channel)
    ordering = Alert.objects.get(kind=REORDER)
    assert alert_title(ordering) == "At the reorder point of 36"
    assert alert_sentence(ordering) == "HZ · EV-KET-600: 5 with what is on the way, to be ordered at 36"
    assert set(Notification.objects.values_list("alert", "event")) == {(alert.pk, "opened")}


def test_what_goes_up_and_down_around_a_point_crosses_it_once(plan):
    moved = [has(plan, units, NOW + timedelta(minutes=minute)) for minute, units in enumerate((7, 8, 7, 9, 6))]
    assert moved == [True, False, False, False, False]
    assert Alert.objects.filter(kind=SAFETY).count() == 1
    assert in_force() == [REORDER, SAFETY]


def test_the_alert_ends_with_more_than_a_days_demand_above_its_point(plan):
    has(plan, 7)
    has(plan, 10, NOW + timedelta(hours=1))
    assert in_force() == [REORDER]
    assert Alert.objects.get(kind=SAFETY).cleared_at == NOW + timedelta(hours=1)
    has(plan, 39, NOW + timedelta(hours=2))
    assert in_force() == []
    assert has(plan, 7, NOW + timedelta(hours=3)), "the next crossing is another one"
    assert Alert.objects.filter(kind=SAFETY).count() == 2


def test_one_that_a_person_resolved_does_not_come_back_before_it_was_over(plan):
    has(plan, 7)
    Alert.objects.update(status="resolved", resolved_at=NOW)
    has(plan, 6, NOW + timedelta(hours=1))
    assert Alert.objects.count() == 2


def test_what_is_promised_is_not_there_to_be_sold(plan):
    has(plan, 10)
    reserve(sku_id=plan.sku_id, quantity=3, key="r", source=Source.ORDER, now=NOW)
    check_points([plan.sku_id], now=NOW)
    assert in_force() == [REORDER, SAFETY]


@pytest.mark.parametrize(
    ("expected_at", "kinds"),
    [
        pytest.param(NOW + timedelta(days=3), [], id="on the way"),
        pytest.param(NOW - timedelta(days=9), [REORDER], id="overdue is not counted on"),
    ],
)
def test_what_is_on_the_way_counts_for_the_reorder_point(plan, expected_at, kinds):
    order = PurchaseOrderFactory(
        warehouse=plan.warehouse, status="sent", sent_at=NOW - timedelta(days=20), expected_at=expected_at
    )
    PurchaseOrderLineFactory(order=order, sku=plan.sku, quantity=20)
    has(plan, 20)
    assert in_force() == kinds


@pytest.mark.parametrize("points", [{"safety_stock": None, "reorder_point": None}, {"status": "no-demand"}])
def test_without_points_nothing_opens(plan, points):
    SkuPlan.objects.update(**points)
    has(plan, 0)
    assert in_force() == []


def test_what_cannot_be_told_any_more_ends_nothing_and_no_demand_does(plan):
    has(plan, 5)
    SkuPlan.objects.update(safety_stock=None, reorder_point=None, status="cannot-tell")
    check_points([plan.sku_id], now=NOW)
    assert in_force() == [REORDER, SAFETY]
    SkuPlan.objects.update(status="no-demand")
    check_points([plan.sku_id], now=NOW)
    assert in_force() == []


def test_stock_that_nobody_counted_is_not_known_and_opens_nothing(plan):
    assert check_points([plan.sku_id], now=NOW) == []
    assert in_force() == []


def test_what_is_sold_in_a_bundle_alone_is_told_on_its_listing(plan):
    single = plan.sku.listings.get()
    bundle = ListingFactory(sku=SkuFactory(code="SET"))
    BundleComponent.objects.create(bundle=bundle.sku, component=plan.sku, units=2)
    single.delete()
    has(plan, 5)
    assert {alert.listing for alert in Alert.objects.all()} == {bundle}


def test_what_no_listing_sells_is_planned_anew_without_an_alert(plan):
    plan.sku.listings.all().delete()
    assert has(plan, 5)
    assert not Alert.objects.exists()
    assert not has(plan, 4)


def test_each_movement_is_compared_after_its_commit(plan, django_capture_on_commit_callbacks, monkeypatch):
    queued = []
    monkeypatch.setattr("integrations.tasks.async_task", lambda path, *args, **options: queued.append((path, args)))
    with django_capture_on_commit_callbacks(execute=True):
        count(sku_id=plan.sku_id, warehouse_id=plan.warehouse_id, counted=7, key="c", actor=None, now=NOW)
    assert in_force() == [REORDER, SAFETY]
    assert ("integrations.tasks.plan_lane", ([plan.sku_id],)) in queued


def test_the_queries_do_not_grow_with_the_skus(plan, django_assert_max_num_queries):
    plans = [SkuPlanFactory(sku=ListingFactory(sku=SkuFactory()).sku, warehouse=plan.warehouse) for _each in range(12)]
    for each in plans:
        count(sku_id=each.sku_id, warehouse_id=each.warehouse_id, counted=3, key=f"{each.pk}", actor=None, now=NOW)
    with django_assert_max_num_queries(14):
        assert len(check_points([each.sku_id for each in plans], now=NOW)) == 12
    with django_assert_max_num_queries(9):
        assert check_points([each.sku_id for each in plans], now=NOW) == []
    assert Alert.objects.count() == 24
