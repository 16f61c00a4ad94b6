"""The demo's planning, on a stock of its own: a new user sees what runs out, what is dead, and what is late."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from catalog.models import Lane, PurchaseOrder, SupplierSku
from catalog.purchasing.on_the_way import arrivals
from catalog.stock.counts import Counted, count_many
from integrations.demo_plan import HISTORY_DAYS, add_planning
from monitoring.models import Advice, DemandHistory, ImportedSale, PlanPolicy, SalesImport, SkuPlan
from monitoring.plan_pages.classes import excess
from monitoring.services.planning.running import run_plan
from tests.factories import ChannelFactory, ListingFactory, SkuFactory, SupplierFactory, UserFactory, WarehouseFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    warehouses = [WarehouseFactory(code=code, position=place) for place, code in enumerate(("HZ", "YW"), start=1)]
    suppliers = [SupplierFactory(name=name) for name in ("Amber", "Birch")]
    now = timezone.now()
    skus = [SkuFactory(supplier=suppliers[number % 2], cost_price=Decimal(10 + number)) for number in range(30)]
    channel = ChannelFactory()
    for sku in skus:
        ListingFactory(sku=sku, channel=channel, list_price=Decimal(99))
    places = [(sku.pk, warehouse.pk) for sku in skus for warehouse in warehouses]
    count_many([Counted(*place, 120, f"{place}") for place in places], actor=None, now=now)
    add_planning(owner=UserFactory(), now=now)
    return now


def test_there_is_what_a_plan_needs_to_know(world):
    assert {each.supplier.lead_time_days for each in PurchaseOrder.objects.all()} == {10, 14}
    assert [SupplierSku.objects.filter(unit_cost__gt=0).count(), Lane.objects.count()] == [30, 2]
    assert PlanPolicy.objects.get(sku=None, abc="", warehouse=None).service_target == Decimal("0.95")
    histories = DemandHistory.objects.filter(source="import")
    assert histories.count() == 60
    assert {row.last_day - row.first_day >= timedelta(days=HISTORY_DAYS - 40) for row in histories} == {True}


def test_one_of_the_orders_on_the_way_is_overdue(world):
    found = arrivals(now=world)
    assert {each.pk for each in found} == {order.pk for order in PurchaseOrder.objects.all()}
    assert {each.is_overdue for each in found} == {True, False}


def test_a_new_user_sees_a_plan_with_all_that_can_be_and_most_of_it_is_fine(world):
    run_plan(now=world)
    today = timezone.localdate(world)
    buy = Advice.objects.filter(kind="buy")
    assert buy.filter(by__lte=today).exists()
    assert buy.filter(by__gt=today).exists()
    assert Advice.objects.filter(kind="transfer").exists()
    assert 0 < Advice.objects.count() < SkuPlan.objects.count() / 3
    assert excess(SkuPlan.objects.all()).count() < SkuPlan.objects.count() / 2
    assert SkuPlan.objects.filter(is_late=True).exists()
    assert SkuPlan.objects.filter(overdue__gt=0).exists()
    assert SkuPlan.objects.filter(on_hand__gt=0, last_sold_on__lt=today - timedelta(days=90)).exists()


def test_the_same_again_adds_nothing(world):
    before = [model.objects.count() for model in (PurchaseOrder, SupplierSku, Lane, PlanPolicy, SalesImport)]
    sold = list(ImportedSale.objects.order_by("pk").values_list("pk", "units"))
    add_planning(owner=UserFactory(), now=world)
    assert [model.objects.count() for model in (PurchaseOrder, SupplierSku, Lane, PlanPolicy, SalesImport)] == before
    assert list(ImportedSale.objects.order_by("pk").values_list("pk", "units")) == sold
