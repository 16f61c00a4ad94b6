"""Whether what is advised from a supplier is worth as much as it asks for, and who is told."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from monitoring.models import Advice
from monitoring.services.planning.minimums import shortfalls
from tests.factories import (
    AdviceFactory,
    PurchaseOrderFactory,
    PurchaseOrderLineFactory,
    SkuFactory,
    SupplierFactory,
    SupplierSkuFactory,
    WarehouseFactory,
)
from tests.staff import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def supplier():
    return SupplierFactory(name="Factory 7", minimum_value=Decimal(500))


@pytest.fixture
def hangzhou():
    return WarehouseFactory(name="Hangzhou")


def advised(supplier, warehouse, quantity, price, **fields):
    terms = SupplierSkuFactory(supplier=supplier, unit_cost=price)
    return AdviceFactory(sku=terms.sku, supplier=supplier, warehouse=warehouse, quantity=quantity, **fields)


def told(supplier, warehouse):
    found = shortfalls([supplier.pk]).get((supplier.pk, warehouse.pk))
    return found and (found.value, found.missing)


def test_all_advice_for_one_order_counts_together(supplier, hangzhou):
    advised(supplier, hangzhou, 40, "5.0000")
    advised(supplier, hangzhou, 12, "10.0000", state=Advice.State.SNOOZED)
    advised(supplier, WarehouseFactory(), 500, "10.0000")
    advised(supplier, hangzhou, 500, "10.0000", state=Advice.State.REJECTED)
    advised(SupplierFactory(), hangzhou, 500, "10.0000")
    assert told(supplier, hangzhou) == (320, 180)


@pytest.mark.parametrize(
    ("least", "price", "expected"),
    [
        pytest.param(None, "5.0000", None, id="no minimum"),
        pytest.param(200, "5.0000", None, id="just enough"),
        pytest.param(Decimal("200.01"), "5.0000", (200, Decimal("0.01")), id="a cent too little"),
        pytest.param(500, None, None, id="a price that is not known: cannot tell"),
    ],
)
def test_only_what_is_known_to_be_too_little_is_told(supplier, hangzhou, least, price, expected):
    supplier.minimum_value = least
    supplier.save()
    advised(supplier, hangzhou, 40, price)
    assert told(supplier, hangzhou) == expected


def test_what_the_draft_has_already_counts_once(supplier, hangzhou):
    both = advised(supplier, hangzhou, 40, "5.0000")
    order = PurchaseOrderFactory(supplier=supplier, warehouse=hangzhou)
    PurchaseOrderLineFactory(order=order, sku=both.sku, quantity=10, unit_cost="5.0000")
    PurchaseOrderLineFactory(order=order, sku=SkuFactory(), quantity=10, unit_cost="9.0000")
    PurchaseOrderLineFactory(  # of another order, which was sent
        order__supplier=supplier,
        order__warehouse=hangzhou,
        quantity=90,
        unit_cost="9.0000",
        order__status="cancelled",
        order__closed_at="2026-01-01T00:00Z",
    )
    assert told(supplier, hangzhou) == (290, 210)
    PurchaseOrderLineFactory(order=order, sku=SkuFactory(), quantity=1)
    assert told(supplier, hangzhou) is None


@pytest.mark.parametrize(("role", "is_told"), [("Manager", True), ("Operator", False)])
def test_the_board_says_so_to_those_who_may_see_costs(client, supplier, hangzhou, role, is_told):
    advised(supplier, hangzhou, 60, "5.0000")
    advised(supplier, hangzhou, 4, "5.0000", rank=1)
    signed_in(client, role)
    page = client.get(reverse("plan:board"))
    sentence = "All that is advised from Factory 7 to Hangzhou comes to ¥320.00 of at least ¥500.00: add ¥180.00."
    assert page.text.count(sentence) == is_told  # once, though both rows are of that order
    assert [row.advice.quantity for row in page.context["board"].rows] == [60, 4]  # as it was


def test_many_suppliers_take_as_many_statements_as_one(hangzhou):
    counts = []
    suppliers = []
    for number in (1, 6):
        for _supplier in range(number):
            suppliers.append(SupplierFactory(minimum_value=500))
            advised(suppliers[-1], hangzhou, 4, "5.0000")
        with CaptureQueriesContext(connection) as captured:
            assert len(shortfalls([each.pk for each in suppliers])) == len(suppliers)
        counts.append(len(captured))
    assert counts[0] == counts[1] == 3
