"""What is reserved for orders nobody hears of any more: told, and released by a person who has looked."""

from datetime import timedelta

import pytest
from django.urls import reverse

from catalog.models import AuditEvent, BundleComponent, Order, OrderLine, StockLevel, StockMovement
from catalog.stock.booking import book_orders
from catalog.stock.ledger import Kind, Movement, Source, StockError, check, record_movements
from catalog.stock.releasing import SILENT_AFTER, release, reserved_units, silent_orders
from integrations.connectors import base
from tests.factories import NOW, ChannelFactory, ListingFactory, SkuFactory, WarehouseFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db
S = base.OrderStatus
LATER = NOW + SILENT_AFTER
ORDERS = reverse("admin:catalog_order_changelist")


@pytest.fixture
def warehouse():
    return WarehouseFactory(position=1)


@pytest.fixture
def listing(warehouse):
    """A listing of a SKU that there are 10 of."""
    channel = ChannelFactory(orders_since=NOW - timedelta(days=1))
    listing = ListingFactory(channel=channel, sku=SkuFactory(), platform_item_id="61")
    receive(listing.sku, warehouse, 10)
    return listing


def receive(sku, warehouse, units):
    key = f"receipt {sku.pk} {warehouse.pk}"
    record_movements([Movement(sku.pk, warehouse.pk, Kind.RECEIPT, units, key, Source.MANUAL)], now=NOW)


def tell(listing, *, at=NOW, quantity=3, status=S.PAID, number="A1"):
    line = base.OrderLine("1", listing.platform_item_id, listing.platform_sku_id, "", quantity, 0)
    book_orders(listing.channel, [base.Order(number, status, NOW, at, "CNY", (line,))], now=at)
    return Order.objects.get(platform_order_id=number)


def let_go(order, *, reason="deleted in the shop", now=LATER):
    return release(order_id=order.pk, reason=reason, actor=None, now=now)


def reserved(sku):
    return sum(StockLevel.objects.filter(sku=sku).values_list("reserved", flat=True))


@pytest.mark.parametrize(
    ("told", "now", "is_silent"),
    [
        ({}, LATER, True),
        ({"status": S.UNPAID}, LATER, True),
        ({}, LATER - timedelta(seconds=1), False),
        ({"status": S.SENT}, LATER, False),
        ({"status": S.CANCELLED}, LATER, False),
        ({"quantity": 0}, LATER, False),
    ],
)
def test_an_order_that_reserves_and_of_which_nothing_was_heard_for_a_week_is_found(listing, told, now, is_silent):
    order = tell(listing, **told)
    assert list(silent_orders(now)) == [order] * is_silent


def test_what_it_reserves_is_released_once_and_written_down(listing):
    order = tell(listing)
    assert reserved_units(order) == 3
    assert let_go(order) == 3
    assert (reserved(listing.sku), reserved_units(order)) == (0, 0)
    movement = StockMovement.objects.latest("pk")
    assert (movement.kind, movement.quantity, movement.source) == ("release", -3, "manual")
    assert movement.order_line is not None
    assert (movement.order_line.order, movement.reason) == (order, "deleted in the shop")
    assert AuditEvent.objects.latest("pk").changes == {"units reserved": [3, 0]}
    assert check() == []
    assert list(silent_orders(LATER)) == []
    with pytest.raises(StockError, match="Nothing is to be released"):
        let_go(order)
    assert reserved(listing.sku) == 0


@pytest.mark.parametrize(
    ("status", "then_reserved", "on_hand"), [(S.PAID, 3, 10), (S.SENT, 0, 7), (S.CANCELLED, 0, 10)]
)
def test_told_of_once_more_it_is_booked_as_the_platform_says(listing, status, then_reserved, on_hand):
    order = tell(listing)
    let_go(order)
    tell(listing, at=LATER, status=status)
    level = StockLevel.objects.get(sku=listing.sku)
    assert (level.reserved, level.on_hand) == (then_reserved, on_hand)
    assert OrderLine.objects.get().cause == ""


def test_of_a_bundle_all_parts_are_released(listing, warehouse):
    lid = SkuFactory()
    receive(lid, warehouse, 10)
    bundle = SkuFactory()
    for component, units in ((listing.sku, 1), (lid, 2)):
        BundleComponent.objects.create(bundle=bundle, component=component, units=units)
    listing.sku = bundle
    listing.save()
    assert let_go(tell(listing, quantity=2)) == 6
    assert (reserved(lid), check()) == (0, [])


@pytest.mark.parametrize(("reason", "now"), [(" ", LATER), ("why not", NOW)])
def test_one_that_was_told_of_lately_is_not_released_nor_without_a_reason(listing, reason, now):
    order = tell(listing)
    with pytest.raises(StockError):
        let_go(order, reason=reason, now=now)
    assert reserved(listing.sku) == 3


def test_it_is_shown_and_released_on_its_page(client, listing):
    operator = signed_in(client, "Operator", listing.channel)
    tell(listing)
    tell(listing, number="B2")
    Order.objects.filter(platform_order_id="A1").update(changed_at=NOW - timedelta(days=900))
    order = Order.objects.get(platform_order_id="A1")
    page = client.get(ORDERS, {"tab": "silent"}).text
    assert "A1" in page
    address, form = reverse("admin:catalog_order_release", args=[order.pk]), {"reason": "deleted there"}
    assert f'href="{address}"' in client.get(reverse("admin:catalog_order_change", args=[order.pk])).text
    shown = client.post(address, {**form, "key": "k"})
    assert "3 units reserved can be sold again." in shown.text
    assert reserved(listing.sku) == 6, "nothing is booked before it was looked at"
    done = client.post(address, {**form, "key": "k", "mark": shown.context["shown"].mark}, follow=True)
    assert "Released: 3 units can be sold again." in done.text
    assert "Released by hand" in done.text
    assert reserved(listing.sku) == 3
    assert StockMovement.objects.latest("pk").actor == operator
    assert address not in client.get(reverse("admin:catalog_order_change", args=[order.pk])).text
    again = client.post(address, {**form, "key": "k", "mark": "3"}, follow=True)
    assert "Nothing is to be released" in again.text
    assert reserved(listing.sku) == 3


@pytest.mark.parametrize(("role", "is_own", "status"), [("Viewer", True, 403), ("Operator", False, 404)])
def test_others_release_nothing(client, listing, role, is_own, status):
    order = tell(listing)
    Order.objects.update(changed_at=NOW - timedelta(days=900))
    signed_in(client, role, *([listing.channel] if is_own else []))
    address = reverse("admin:catalog_order_release", args=[order.pk])
    assert client.post(address, {"reason": "x", "key": "k", "mark": "3"}).status_code == status
    assert reserved(listing.sku) == 3
