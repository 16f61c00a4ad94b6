"""What a lane costs in another currency than the SKU counts by its exchange rate, and not at all without one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from catalog.models import ExchangeRate
from monitoring.models import Advice
from tests.factories import LaneFactory, ListingFactory, SkuFactory, SupplierFactory, WarehouseFactory
from tests.monitoring.planning.test_running import run_plan, sells, the_plan

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


@pytest.fixture
def warehouses(settings):
    settings.TIME_ZONE = "Asia/Shanghai"
    return WarehouseFactory(position=1), WarehouseFactory(position=2)


@pytest.fixture
def sku(warehouses):
    """A margin of 50 yuan; the first warehouse lacks of it, and the second has too much."""
    supplier = SupplierFactory(lead_time_days=9, lead_time_spread_days=Decimal(0), review_days=5)
    sku = SkuFactory(supplier=supplier, cost_price=Decimal(40))
    ListingFactory(sku=sku, list_price=Decimal(90))
    short, full = warehouses
    sells(sku, short, 10, left=20, days=60)
    sells(sku, full, 1, left=1000, days=60)
    return sku


@pytest.mark.parametrize(
    ("unit_cost", "rate", "is_moved"),
    [
        pytest.param("0.50", ("USD", "CNY", "7.2"), True, id="3.60 yuan of 50"),
        pytest.param("7.50", ("USD", "CNY", "7.2"), False, id="54 yuan: more than the unit earns"),
        pytest.param("7.50", ("CNY", "USD", "0.2"), True, id="the inverse rate: 37.50 yuan"),
        pytest.param("0.50", None, False, id="nobody knows what it costs"),
        pytest.param("0.50", ("USD", "EUR", "0.9"), False, id="a rate of another currency"),
    ],
)
def test_a_lane_in_another_currency_weighs_by_its_rate(warehouses, sku, unit_cost, rate, is_moved):
    short, full = warehouses
    LaneFactory(source=full, destination=short, currency="USD", unit_cost=Decimal(unit_cost))
    if rate:
        of, to, units = rate
        ExchangeRate.objects.create(
            cost_currency=of, sale_currency=to, day=NOW.date(), rate=Decimal(units), source="test"
        )
    run_plan(now=NOW)
    assert Advice.objects.filter(kind="transfer", source=full).exists() is is_moved
    is_rated = rate is not None and "CNY" in rate
    assert ("lane-rate-unknown" in the_plan(warehouse=short).notes) is not is_rated
    assert "lane-rate-unknown" not in the_plan(warehouse=full).notes


def test_a_rate_of_long_ago_says_nothing_about_today(warehouses, sku):
    short, full = warehouses
    LaneFactory(source=full, destination=short, currency="USD", unit_cost=Decimal("0.50"))
    ExchangeRate.objects.create(
        cost_currency="USD", sale_currency="CNY", day=NOW.date() - timedelta(days=30), rate=Decimal(7), source="test"
    )
    run_plan(now=NOW)
    assert not Advice.objects.filter(kind="transfer").exists()


def test_a_sku_that_counts_in_another_currency_is_moved_by_its_rate(warehouses, sku):
    short, full = warehouses
    LaneFactory(source=full, destination=short, currency="CNY", unit_cost=Decimal("0.50"))
    other = SkuFactory(cost_price=Decimal(4), cost_currency="USD", supplier=sku.supplier)
    ListingFactory(sku=other, channel__currency="USD", list_price=Decimal(9))
    for each in (SkuFactory(), SkuFactory()):  # so that most count in yuan
        sells(each, short, 1, left=900, days=60)
    sells(other, short, 10, left=20, days=60)
    sells(other, full, 1, left=1000, days=60)
    run_plan(now=NOW)
    moved = Advice.objects.filter(kind="transfer")
    assert list(moved.values_list("sku", flat=True)) == [sku.pk]
    ExchangeRate.objects.create(
        cost_currency="USD", sale_currency="CNY", day=NOW.date(), rate=Decimal("7.2"), source="test"
    )
    run_plan(now=NOW)
    assert set(moved.values_list("sku", flat=True)) == {sku.pk, other.pk}
