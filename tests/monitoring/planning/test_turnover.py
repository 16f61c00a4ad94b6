"""How often a stock turns over in a year: from the ledger's movements, by local days."""

from datetime import UTC, datetime, timedelta

import pytest

from catalog.stock.ledger import Kind, Movement, Source, record_movements
from monitoring.models import PlanRun, SkuPlan
from monitoring.services.planning.running import plan
from tests.factories import SkuFactory, WarehouseFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)  # the 22nd in Shanghai
TODAY = 0


@pytest.fixture(autouse=True)
def zone(settings):
    settings.TIME_ZONE = "Asia/Shanghai"


def booked(sku, warehouse, *events):
    """Events are (days ago, kind, units), at noon of the local day."""
    noon = datetime(2026, 11, 22, 4, 0, tzinfo=UTC) - DAY / 2
    for number, (ago, kind, units) in enumerate(events):
        at = noon - ago * DAY
        key = f"{sku.pk} {warehouse.pk} {number}"
        record_movements(
            [Movement(sku.pk, warehouse.pk, kind, units, key, Source.MANUAL, happened_at=at)],
            now=max(at, NOW - 200 * DAY),
        )


def planned(*events, **of_sku):
    sku = SkuFactory(**of_sku)
    booked(sku, WarehouseFactory(), *events)
    plan(now=NOW, run=PlanRun.objects.create(kind=PlanRun.Kind.FULL, started_at=NOW))
    return SkuPlan.objects.get()


def test_the_worked_example_goods_of_12000_in_90_days_out_of_a_mean_stock_of_10000():
    # 1,200 pieces at 10 each; 1,600 there on 45 of the 90 days and 400 on the others.
    found = planned((120, Kind.RECEIPT, 1_600), (45, Kind.SALE, -1_200), cost_price="10")
    assert found.mean_stock == pytest.approx(1_000)
    assert found.turns == pytest.approx(4.8667, abs=1e-4)
    assert 365 / found.turns == pytest.approx(75.0, abs=1e-3)
    assert "turns-in-pieces" not in found.notes
    # 4.8667 of 6 a year
    assert found.health_parts["turnover"] == pytest.approx(0.8111, abs=1e-4)


@pytest.mark.parametrize(
    ("events", "mean", "sold", "days"),
    [
        pytest.param([(90, Kind.RECEIPT, 90), (90, Kind.SALE, -9)], 81, 9, 90, id="the first day counts"),
        pytest.param([(91, Kind.RECEIPT, 90), (91, Kind.SALE, -9)], 81, 0, 90, id="the day before it does not"),
        pytest.param([(100, Kind.RECEIPT, 90), (1, Kind.SALE, -45)], 89.5, 45, 90, id="yesterday counts"),
        pytest.param([(100, Kind.RECEIPT, 90), (TODAY, Kind.SALE, -45)], 90, 0, 90, id="today does not"),
        pytest.param([(30, Kind.RECEIPT, 60), (15, Kind.SALE, -30)], 45, 30, 30, id="since it is there"),
        pytest.param(
            [(100, Kind.RECEIPT, 90), (45, Kind.SALE, -45), (20, Kind.RETURN, 9)],
            69.5,
            36,
            90,
            id="less what came back",
        ),
        pytest.param([(100, Kind.COUNT, 10), (45, Kind.ADJUSTMENT, 10)], 15, 0, 90, id="a correction is no sale"),
    ],
)
def test_the_mean_is_of_the_stock_at_the_end_of_each_day(events, mean, sold, days):
    found = planned(*events, cost_price="10")
    assert found.mean_stock == pytest.approx(mean)
    assert found.turns == pytest.approx(sold * 365 / days / mean, abs=1e-4)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([(27, Kind.RECEIPT, 60), (15, Kind.SALE, -30)], id="known for too short a time"),
        pytest.param([(100, Kind.RECEIPT, 5), (99, Kind.SALE, -5)], id="no stock at all"),
        pytest.param([(40, Kind.SALE, -5), (35, Kind.COUNT, 20)], id="nobody knows what was there before the count"),
        pytest.param([(100, Kind.SALE, -5)], id="never counted"),
        pytest.param([], id="nothing"),
    ],
)
def test_nobody_can_tell_is_not_0(events):
    sku, warehouse = SkuFactory(), WarehouseFactory()
    booked(sku, warehouse, *events)
    plan(now=NOW, run=PlanRun.objects.create(kind=PlanRun.Kind.FULL, started_at=NOW))
    for found in SkuPlan.objects.all():
        assert found.turns is None
        assert "turnover" not in found.health_parts


def test_without_a_cost_the_turnover_is_of_pieces_and_says_so():
    found = planned((120, Kind.RECEIPT, 1_600), (45, Kind.SALE, -1_200), cost_price=None)
    assert found.turns == pytest.approx(4.8667, abs=1e-4)
    assert "turns-in-pieces" in found.notes


def test_what_is_not_sold_any_more_has_no_target_to_reach():
    found = planned((120, Kind.RECEIPT, 1_600), (45, Kind.SALE, -1_200), status="retired")
    assert found.turns is not None
    assert "turnover" not in found.health_parts
