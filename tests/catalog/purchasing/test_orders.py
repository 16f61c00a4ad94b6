"""Purchase orders: from the draft to the last unit in the ledger."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from catalog.models import (
    AuditEvent,
    BundleComponent,
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseReceipt,
    StockLevel,
    StockMovement,
)
from catalog.purchasing.orders import Wanted, cancel_order, draft_order, receive_order, save_terms, send_order
from catalog.stock.ledger import StockError, check
from tests.factories import (
    NOW,
    PurchaseOrderFactory,
    SkuFactory,
    SupplierFactory,
    SupplierSkuFactory,
    UserFactory,
    WarehouseFactory,
)

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=9)


def ordered(*units, is_sent=True, **changes):
    """An order of so many units of a SKU each, and its lines in that order."""
    order = draft_order(
        supplier_id=changes.pop("supplier", None) or SupplierFactory().pk,
        warehouse_id=WarehouseFactory(name="Hangzhou").pk,
        lines=[Wanted(SkuFactory(code=f"EV-{number}").pk, each) for number, each in enumerate(units, start=1)],
        actor=None,
        now=NOW,
        **changes,
    )
    if is_sent:
        order = send_order(order_id=order.pk, actor=None, now=NOW)
    return order, list(order.lines.order_by("sku__code"))


def receive(order, arrived, key="r1", now=LATER, **changes):
    units = {line.pk: number for line, number in arrived.items()}
    return receive_order(order_id=order.pk, arrived=units, key=key, actor=None, now=now, **changes)


def on_hand(order, line):
    level = StockLevel.objects.filter(sku=line.sku_id, warehouse=order.warehouse_id).first()
    return level.on_hand if level else None


def states(order):
    order.refresh_from_db()
    lines = order.lines.order_by("sku__code")
    return order.status, [(line.received, line.cancelled, line.outstanding) for line in lines]


def test_a_draft_has_a_number_of_its_own_the_suppliers_currency_and_prices():
    supplier = SupplierFactory(currency="USD")
    sku, other = SkuFactory(), SkuFactory()
    SupplierSkuFactory(supplier=supplier, sku=sku, unit_cost="2.50")
    SupplierSkuFactory(sku=other, unit_cost="9")  # of another supplier
    order = draft_order(
        supplier_id=supplier.pk,
        warehouse_id=WarehouseFactory().pk,
        lines=[Wanted(sku.pk, 10), Wanted(other.pk, 5)],
        actor=None,
        now=NOW,
    )
    assert (order.number, order.currency, order.status) == (f"PO-{order.pk:05d}", "USD", "draft")
    prices = dict(order.lines.values_list("sku", "unit_cost"))
    assert prices == {sku.pk: Decimal("2.50"), other.pk: None}
    assert not StockMovement.objects.exists()


def test_a_given_price_stands_above_the_terms():
    supplier, sku = SupplierFactory(), SkuFactory()
    SupplierSkuFactory(supplier=supplier, sku=sku, unit_cost="2.50")
    order = draft_order(
        supplier_id=supplier.pk,
        warehouse_id=WarehouseFactory().pk,
        lines=[Wanted(sku.pk, 10, Decimal("2.20"))],
        actor=None,
        now=NOW,
    )
    assert order.lines.get().unit_cost == Decimal("2.20")


def test_lines_that_cannot_be_ordered_are_refused_with_their_row():
    sku, bundle = SkuFactory(), SkuFactory(code="SET")
    BundleComponent.objects.create(bundle=bundle, component=sku)
    for lines, row, words in (
        ([Wanted(sku.pk, 0)], 0, "Enter 1 to"),
        ([Wanted(sku.pk, 1_000_001)], 0, "Enter 1 to"),
        ([Wanted(sku.pk, 1), Wanted(sku.pk, 2)], 1, "in the order already"),
        ([Wanted(sku.pk, 1), Wanted(bundle.pk, 1)], 1, "SET is a bundle"),
    ):
        with pytest.raises(StockError, match=words) as caught:
            draft_order(
                supplier_id=SupplierFactory().pk, warehouse_id=WarehouseFactory().pk, lines=lines, actor=None, now=NOW
            )
        assert caught.value.row == row
    assert not PurchaseOrder.objects.exists()


def test_a_sent_order_is_expected_after_the_stated_lead_time():
    supplier = SupplierFactory(lead_time_days=9)
    order, _lines = ordered(10, supplier=supplier.pk)
    assert (order.status, order.sent_at, order.expected_at) == ("sent", NOW, NOW + timedelta(days=9))
    assert send_order(order_id=order.pk, actor=None, now=LATER).sent_at == NOW  # sent once


def test_a_day_that_somebody_said_stands_above_the_lead_time():
    supplier = SupplierFactory(lead_time_days=9)
    written, _lines = ordered(10, supplier=supplier.pk, expected_at=NOW + timedelta(days=3))
    assert written.expected_at == NOW + timedelta(days=3)
    order = PurchaseOrderFactory(supplier=supplier)
    order.lines.create(sku=SkuFactory(), quantity=1)
    said = send_order(order_id=order.pk, actor=None, expected_at=LATER, now=NOW)
    assert said.expected_at == LATER


def test_without_a_lead_time_nobody_knows_when_it_comes():
    order, _lines = ordered(10)
    assert order.expected_at is None


def test_an_order_without_lines_or_a_closed_one_is_not_sent():
    order = PurchaseOrderFactory()
    with pytest.raises(StockError, match="needs at least one line"):
        send_order(order_id=order.pk, actor=None, now=NOW)
    cancel_order(order_id=order.pk, actor=None, now=NOW)
    with pytest.raises(StockError, match="is closed"):
        send_order(order_id=order.pk, actor=None, now=NOW)


def test_what_arrives_in_parts_is_booked_as_it_comes():
    order, (first, second) = ordered(40, 5)
    receive(order, {first: 30, second: 0})
    assert states(order) == ("partly_received", [(30, 0, 10), (0, 0, 5)])
    assert (on_hand(order, first), on_hand(order, second)) == (30, None)
    receive(order, {first: 10, second: 5}, key="r2", note="DN 7")
    assert states(order) == ("received", [(40, 0, 0), (5, 0, 0)])
    assert order.closed_at == LATER
    assert (on_hand(order, first), on_hand(order, second)) == (40, 5)
    last = StockMovement.objects.filter(sku=second.sku_id).get()
    assert (last.kind, last.source, last.reason) == ("receipt", "purchase", f"{order.number} · DN 7")
    assert check() == []


def test_a_receipt_sent_twice_is_booked_once():
    order, (line,) = ordered(40)
    first = receive(order, {line: 40})
    again = receive(order, {line: 40}, now=LATER + timedelta(hours=1))
    assert first.pk == again.pk
    assert (PurchaseReceipt.objects.count(), StockMovement.objects.count()) == (1, 1)
    with pytest.raises(StockError, match="booked already, with another content"):
        receive(order, {line: 39})


def test_the_key_of_one_order_does_not_receive_another():
    order, (line,) = ordered(40)
    other = PurchaseOrderFactory(supplier=order.supplier, warehouse=order.warehouse)
    own = other.lines.create(sku=line.sku, quantity=40)
    send_order(order_id=other.pk, actor=None, now=NOW)
    receive(order, {line: 40})
    with pytest.raises(StockError, match="booked already"):
        receive(other, {own: 40})
    assert on_hand(order, line) == 40


def test_more_than_was_to_come_is_asked_about_first():
    order, (line, other) = ordered(40, 5)
    with pytest.raises(StockError, match="EV-1: 41 arrived and 40 were to come"):
        receive(order, {line: 41, other: 5})
    assert states(order) == ("sent", [(0, 0, 40), (0, 0, 5)])
    assert not StockMovement.objects.exists()
    receive(order, {line: 41, other: 5}, accept_more=True)
    assert states(order) == ("received", [(41, 0, 0), (5, 0, 0)])
    assert on_hand(order, line) == 41


@pytest.mark.parametrize(
    ("units", "words"), [(0, "0 units change nothing"), (-3, "Enter 1 to"), (1_000_001, "Enter 1 to")]
)
def test_units_beyond_reason_are_refused(units, words):
    order, (line,) = ordered(40)
    with pytest.raises(StockError, match=words):
        receive(order, {line: units}, accept_more=True)
    assert states(order) == ("sent", [(0, 0, 40)])


def test_only_what_is_on_its_way_can_arrive():
    draft, (line,) = ordered(40, is_sent=False)
    with pytest.raises(StockError, match="is not on its way"):
        receive(draft, {line: 40})
    send_order(order_id=draft.pk, actor=None, now=NOW)
    cancel_order(order_id=draft.pk, actor=None, now=NOW)
    with pytest.raises(StockError, match="is not on its way"):
        receive(draft, {line: 40})


def test_a_line_of_another_order_is_refused():
    order, _lines = ordered(40)
    other = PurchaseOrderFactory()
    line = other.lines.create(sku=SkuFactory(), quantity=1)
    with pytest.raises(StockError, match="not in the order any more"):
        receive(order, {line: 1})


def test_what_became_a_bundle_since_is_refused_and_nothing_is_booked():
    order, (first, second) = ordered(40, 5)
    BundleComponent.objects.create(bundle=second.sku, component=SkuFactory())
    with pytest.raises(StockError, match="is a bundle"):
        receive(order, {first: 40, second: 5})
    assert states(order) == ("sent", [(0, 0, 40), (0, 0, 5)])
    assert not PurchaseReceipt.objects.exists()


def test_the_rest_of_an_order_is_cancelled_and_what_came_stays():
    order, (first, _second) = ordered(40, 5)
    receive(order, {first: 30})
    cancel_order(order_id=order.pk, actor=None, reason="sold out there", now=LATER)
    assert states(order) == ("received", [(30, 10, 0), (0, 5, 0)])
    assert on_hand(order, first) == 30
    event = AuditEvent.objects.filter(action="cancelled").get()
    assert event.changes["cancelled"] == ["", "10 × EV-1, 5 × EV-2"]
    assert event.changes["reason"] == ["", "sold out there"]
    cancel_order(order_id=order.pk, actor=None, now=LATER)
    assert AuditEvent.objects.filter(action="cancelled").count() == 1


def test_what_comes_after_the_rest_was_cancelled_is_refused():
    order, (line,) = ordered(40)
    receive(order, {line: 30})
    cancel_order(order_id=order.pk, actor=None, now=LATER)
    with pytest.raises(StockError, match="is not on its way, so nothing can arrive of it"):
        receive(order, {line: 10}, key="r2", accept_more=True)
    assert receive(order, {line: 30}).pk == PurchaseReceipt.objects.get().pk, "the same receipt again is the same"
    assert on_hand(order, line) == 30


@pytest.mark.parametrize("is_sent", [True, False])
def test_an_order_of_which_nothing_came_is_cancelled(is_sent):
    order, _lines = ordered(40, is_sent=is_sent)
    cancel_order(order_id=order.pk, actor=None, now=LATER)
    assert states(order) == ("cancelled", [(0, 40, 0)])
    assert order.closed_at == LATER


def test_every_deed_leaves_an_event():
    actor = UserFactory()
    order, (line,) = ordered(40)
    receive_order(order_id=order.pk, arrived={line.pk: 10}, key="k", actor=actor, now=LATER)
    events = AuditEvent.objects.filter(object_type="catalog.purchaseorder").order_by("pk")
    assert [event.action for event in events] == ["added", "sent", "received"]
    assert events[2].actor == actor
    assert events[2].changes == {"received": ["", "10 × EV-1"], "status": ["sent", "partly_received"]}


def test_receiving_costs_the_same_statements_however_many_lines_it_has(django_assert_max_num_queries):
    order, lines = ordered(*[5] * 40)
    with django_assert_max_num_queries(30):
        receive(order, dict.fromkeys(lines, 5))
    assert StockMovement.objects.count() == 40


def test_the_database_refuses_what_contradicts_itself():
    order, (line,) = ordered(40)
    for rows, values in (
        (PurchaseOrder.objects.filter(pk=order.pk), {"sent_at": None}),
        (PurchaseOrder.objects.filter(pk=order.pk), {"closed_at": NOW}),
        (PurchaseOrderLine.objects.filter(pk=line.pk), {"cancelled": 41}),
        (PurchaseOrderLine.objects.filter(pk=line.pk), {"quantity": 0}),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**values)


def test_a_sku_is_bought_from_one_supplier():
    sku, first, second = SkuFactory(), SupplierFactory(), SupplierFactory()
    save_terms(SupplierSkuFactory.build(sku=sku, supplier=first), is_preferred=True)
    sku.refresh_from_db()
    assert sku.supplier == first
    terms = SupplierSkuFactory.build(sku=sku, supplier=second)
    save_terms(terms, is_preferred=False)
    sku.refresh_from_db()
    assert sku.supplier == first
    save_terms(terms, is_preferred=True)
    sku.refresh_from_db()
    assert sku.supplier == second
    save_terms(terms, is_preferred=False)
    sku.refresh_from_db()
    assert sku.supplier is None
