"""Lead times as receipts show them, and as suppliers state them."""

from datetime import timedelta

import pytest

from catalog.purchasing.lead_times import Basis, LeadTime, lead_times
from catalog.purchasing.orders import receive_order, send_order
from tests.factories import NOW, PurchaseOrderFactory, SkuFactory, SupplierFactory, WarehouseFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def supplier():
    return SupplierFactory(lead_time_days=10, lead_time_spread_days="2.5")


def delivered(supplier, sku, *parts, days_ago=100):
    """An order of 10 units of which units came after so many days: (units, days), ..."""
    sent = NOW - timedelta(days=days_ago)
    order = PurchaseOrderFactory(supplier=supplier, warehouse=WarehouseFactory())
    line = order.lines.create(sku=sku, quantity=10)
    send_order(order_id=order.pk, actor=None, now=sent)
    for number, (units, days) in enumerate(parts):
        receive_order(
            order_id=order.pk,
            arrived={line.pk: units},
            key=f"{order.pk}:{number}",
            actor=None,
            now=sent + timedelta(days=days),
        )


def of(supplier, sku):
    return lead_times({(supplier.pk, sku.pk)}, now=NOW)[supplier.pk, sku.pk]


def test_three_receipts_and_more_are_measured(supplier):
    sku = SkuFactory()
    for days in (7, 9, 14):
        delivered(supplier, sku, (10, days))
    found = of(supplier, sku)
    assert (found.basis, found.receipts) == (Basis.MEASURED, 3)
    assert found.days == pytest.approx(10)
    assert found.spread_days == pytest.approx(13**0.5)


def test_with_two_receipts_what_the_supplier_states_holds(supplier):
    sku = SkuFactory()
    for days in (7, 9):
        delivered(supplier, sku, (10, days))
    assert of(supplier, sku) == LeadTime(Basis.STATED, 10.0, 2.5, 2)


@pytest.mark.parametrize(
    ("days", "spread", "expected"),
    [
        (None, None, LeadTime(Basis.UNKNOWN, None, None, 0)),
        pytest.param(None, "2", LeadTime(Basis.UNKNOWN, None, None, 0), id="a spread alone says nothing"),
        (10, None, LeadTime(Basis.STATED, 10.0, None, 0)),
        (0, 0, LeadTime(Basis.STATED, 0.0, 0.0, 0)),
    ],
)
def test_what_nobody_states_is_not_known(days, spread, expected):
    assert of(SupplierFactory(lead_time_days=days, lead_time_spread_days=spread), SkuFactory()) == expected


def test_a_rest_that_comes_late_weighs_as_little_as_it_is(supplier):
    sku = SkuFactory()
    for _order in range(3):
        delivered(supplier, sku, (9, 8), (1, 38))
    assert of(supplier, sku).days == pytest.approx(11)


def test_other_suppliers_other_skus_and_what_is_long_ago_do_not_count(supplier):
    sku = SkuFactory()
    for days in (7, 9, 14):
        delivered(SupplierFactory(), sku, (10, days))
        delivered(supplier, SkuFactory(), (10, days))
        delivered(supplier, sku, (10, days), days_ago=900)
    assert of(supplier, sku) == LeadTime(Basis.STATED, 10.0, 2.5, 0)


def test_many_pairs_cost_two_statements(supplier, django_assert_num_queries):
    skus = SkuFactory.create_batch(20)
    with django_assert_num_queries(2):
        assert len(lead_times({(supplier.pk, sku.pk) for sku in skus}, now=NOW)) == 20
