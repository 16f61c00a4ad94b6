"""The demo's planning, on a stock of its own: a new user sees what runs out, what is dead, and what is late."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from catalog.models import Lane, PurchaseOrder, SupplierSku
from catalog.purchasing.on_the_way import arrivals
from catalog.stock.counts import count
from integrations.demo_plan import HISTORY_DAYS, add_planning
from monitoring.models import DemandHistory, ImportedSale, PlanPolicy, SalesImport
from tests.factories import SkuFactory, SupplierFactory, UserFactory, WarehouseFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    warehouses = [WarehouseFactory(code=code, position=place) for place, code in enumerate(("HZ", "YW"), start=1)]
    suppliers = [SupplierFactory(name=name) for name in ("Amber", "Birch")]
    now = timezone.now()
    for number in range(6):
        sku = SkuFactory(supplier=suppliers[number % 2], cost_price=Decimal(10 + number))
        for warehouse in warehouses:
            key = f"{sku.pk} {warehouse.pk}"
            count(sku_id=sku.pk, warehouse_id=warehouse.pk, counted=120, key=key, actor=None, now=now)
    add_planning(owner=UserFactory(), now=now)
    return now


def test_there_is_what_a_plan_needs_to_know(world):
    assert {each.supplier.lead_time_days for each in PurchaseOrder.objects.all()} == {14, 21}
    assert [SupplierSku.objects.filter(unit_cost__gt=0).count(), Lane.objects.count()] == [6, 2]
    assert PlanPolicy.objects.get(sku=None, abc="", warehouse=None).service_target == Decimal("0.95")
    histories = DemandHistory.objects.filter(source="import")
    assert histories.count() == 12
    assert {row.last_day - row.first_day >= timedelta(days=HISTORY_DAYS - 40) for row in histories} == {True}


def test_one_of_the_two_orders_on_the_way_is_overdue(world):
    found = arrivals(now=world)
    assert {each.pk for each in found} == {order.pk for order in PurchaseOrder.objects.all()}
    assert {each.is_overdue for each in found} == {True, False}


def test_the_same_again_adds_nothing(world):
    before = [model.objects.count() for model in (PurchaseOrder, SupplierSku, Lane, PlanPolicy, SalesImport)]
    sold = list(ImportedSale.objects.order_by("pk").values_list("pk", "units"))
    add_planning(owner=UserFactory(), now=world)
    assert [model.objects.count() for model in (PurchaseOrder, SupplierSku, Lane, PlanPolicy, SalesImport)] == before
    assert list(ImportedSale.objects.order_by("pk").values_list("pk", "units")) == sold
