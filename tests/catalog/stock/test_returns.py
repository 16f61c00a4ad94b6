"""What people take back by hand: once, where it was sold, and never a second time when the platform tells it."""

from datetime import timedelta

import pytest
from django.urls import reverse

from catalog.models import AuditEvent, BundleComponent, Order, OrderLine, StockLevel, StockMovement
from catalog.stock import set_aside
from catalog.stock.booking import book_orders
from catalog.stock.ledger import Kind, Movement, Source, StockError, check, record_movements
from catalog.stock.returns import take_back
from integrations.connectors import base
from tests.factories import NOW, ChannelFactory, ListingFactory, SkuFactory, WarehouseFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db
S = base.OrderStatus


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


def tell(listing, *, at=0, quantity=3, returned=0, status=S.SENT):
    line = base.OrderLine("1", listing.platform_item_id, listing.platform_sku_id, "", quantity, returned)
    told = base.Order("A1", status, NOW, NOW + timedelta(minutes=at), "CNY", (line,))
    book_orders(listing.channel, [told], now=NOW)
    return OrderLine.objects.get()


def back(line, pieces, *, key="k1", warehouse=None, is_sellable=True):
    return take_back(
        line_id=line.pk,
        pieces=pieces,
        warehouse_id=warehouse.pk if warehouse else line.warehouse_id,
        is_sellable=is_sellable,
        key=key,
        reason="box 7",
        actor=None,
        now=NOW,
    )


def on_hand(sku):
    return [level.on_hand for level in StockLevel.objects.filter(sku=sku).order_by("warehouse")]


def test_what_came_back_is_on_hand_again_once(listing):
    line = tell(listing)
    assert back(line, 2) is True
    assert back(line, 2) is False, "the same key: the same return"
    assert on_hand(listing.sku) == [9]
    line.refresh_from_db()
    assert (line.returned, line.returned_by_hand, line.came_back) == (0, 2, 2)
    movement = StockMovement.objects.latest("pk")
    assert (movement.kind, movement.quantity, movement.order_line, movement.reason) == ("return", 2, line, "box 7")
    assert check() == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param([0], 9, id="the platform knows of none"),
        pytest.param([1], 9, id="of one of the two"),
        pytest.param([2], 9, id="of both"),
        pytest.param([3], 10, id="of one more"),
        pytest.param([2, 0], 9, id="and takes it back"),
    ],
)
def test_the_platform_tells_of_the_same_pieces_and_not_of_others(listing, told, expected):
    line = tell(listing)
    back(line, 2)
    for at, returned in enumerate(told, 1):
        tell(listing, at=at, returned=returned)
    assert on_hand(listing.sku) == [expected]
    assert check() == []


def test_what_the_platform_told_before_counts(listing):
    line = tell(listing, returned=1)
    assert on_hand(listing.sku) == [8]
    back(line, 1)
    line.refresh_from_db()
    assert (on_hand(listing.sku), line.returned_by_hand) == ([9], 2)
    with pytest.raises(StockError, match="1"):
        back(line, 2, key="k2")
    tell(listing, at=1, returned=2)
    assert on_hand(listing.sku) == [9]


def test_it_may_come_back_to_another_warehouse(listing):
    other = WarehouseFactory(position=2)
    line = tell(listing)
    back(line, 1, warehouse=other)
    assert on_hand(listing.sku) == [7, 1]
    tell(listing, at=1, status=S.FINISHED)
    assert on_hand(listing.sku) == [7, 1]


def test_what_cannot_be_sold_again_is_written_off_and_both_are_told(listing):
    line = tell(listing)
    back(line, 2, is_sellable=False)
    assert on_hand(listing.sku) == [7]
    kinds = list(StockMovement.objects.order_by("pk").values_list("kind", "quantity", "order_line"))
    assert kinds[-2:] == [("return", 2, line.pk), ("adjustment", -2, None)]
    tell(listing, at=1, returned=2)
    assert on_hand(listing.sku) == [7]
    assert back(line, 2, is_sellable=False) is False


def test_a_bundle_comes_back_as_its_parts(warehouse):
    channel = ChannelFactory(orders_since=NOW - timedelta(days=1))
    bundle, cup, lid = SkuFactory(), SkuFactory(), SkuFactory()
    for sku, units in ((cup, 1), (lid, 2)):
        BundleComponent.objects.create(bundle=bundle, component=sku, units=units)
        receive(sku, warehouse, 20)
    listing = ListingFactory(channel=channel, sku=bundle, platform_item_id="62", pack_factor=2)
    line = tell(listing, quantity=2)
    assert (on_hand(cup), on_hand(lid)) == ([16], [12])
    back(line, 1)
    back(line, 1)
    assert (on_hand(cup), on_hand(lid)) == ([18], [16])


@pytest.mark.parametrize(
    ("pieces", "status", "why"),
    [
        pytest.param(0, S.SENT, "Enter", id="none"),
        pytest.param(4, S.SENT, "3", id="more than were sold"),
        pytest.param(1, S.UNPAID, "not sold", id="not paid yet"),
        pytest.param(1, S.PAID, "not sold", id="not sent yet"),
        pytest.param(1, S.CANCELLED, "not sold", id="cancelled, and back already"),
    ],
)
def test_what_cannot_come_back_is_refused_and_nothing_is_booked(listing, pieces, status, why):
    tell(listing)
    line = tell(listing, at=1, status=status)
    before = (StockMovement.objects.count(), line.returned_by_hand)
    with pytest.raises(StockError, match=why):
        back(line, pieces)
    line.refresh_from_db()
    assert (StockMovement.objects.count(), line.returned_by_hand) == before


def test_a_line_that_was_never_booked_gives_nothing_back(listing):
    listing.sku = None
    listing.save()
    with pytest.raises(StockError, match="not sold"):
        back(tell(listing), 1, warehouse=WarehouseFactory())


# --- The form --------------------------------------------------------------------------------------------------------


def form(line, units="2", **values):
    return {
        "order_line": line.pk,
        "units": units,
        "warehouse": line.warehouse_id,
        "condition": "sellable",
        "reason": "box 7",
        "key": "abc",
        **values,
    }


def test_a_return_is_shown_before_it_is_booked_and_booked_once(client, listing):
    line = tell(listing)
    user = signed_in(client, "Operator", listing.channel)
    address = reverse("admin:catalog_order_return", args=[line.order_id])
    assert str(listing) in client.get(address).content.decode()
    shown = client.post(address, form(line))
    assert on_hand(listing.sku) == [7]
    agreed = form(line, mark=shown.context["shown"].mark)
    for _press in range(2):
        answer = client.post(address, agreed)
        assert (answer.status_code, answer.url) == (302, reverse("admin:catalog_order_change", args=[line.order_id]))
    assert on_hand(listing.sku) == [9]
    assert StockMovement.objects.latest("pk").actor == user
    event = AuditEvent.objects.latest("pk")
    assert (event.action, event.actor) == ("received", user)
    page = client.get(answer.url).content.decode()
    assert "2 by hand" in page


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"units": "4"}, "3", id="more than were sold"),
        pytest.param({"units": "0"}, "Enter 1", id="none"),
        pytest.param({"order_line": "999999"}, "Choose", id="a line of another order"),
        pytest.param({"warehouse": ""}, "Choose a warehouse.", id="no warehouse"),
        pytest.param({"condition": "eaten"}, "condition", id="no such condition"),
    ],
)
def test_a_wrong_return_is_told_at_its_field(client, listing, values, expected):
    line = tell(listing)
    signed_in(client, "Operator", listing.channel)
    answer = client.post(reverse("admin:catalog_order_return", args=[line.order_id]), form(line) | values)
    assert answer.status_code == 400
    assert expected in answer.content.decode()
    assert on_hand(listing.sku) == [7]


def test_a_return_of_an_order_is_for_who_books_and_sees_it(client, listing):
    line = tell(listing)
    address = reverse("admin:catalog_order_return", args=[line.order_id])
    signed_in(client, "Viewer", listing.channel)
    assert client.get(address).status_code == 403
    signed_in(client, "Operator", ChannelFactory())
    assert client.get(address).status_code == 404


# --- Orders that are set aside ----------------------------------------------------------------------------------------


def test_the_list_has_what_was_set_aside_and_what_waits_for_a_mapping(client, listing):
    Order.objects.create(
        channel=listing.channel, platform_order_id="BAD-1", status="unknown", ordered_at=NOW, changed_at=NOW,
        seen_at=NOW, set_aside_at=NOW, retry_at=NOW, set_aside_reason="ValueError: a bug", set_aside_tries=1,
    )  # fmt: skip
    unlisted = base.OrderLine("1", "nowhere", "", "", 1)
    book_orders(listing.channel, [base.Order("A9", S.PAID, NOW, NOW, "CNY", (unlisted,))], now=NOW)
    signed_in(client, "Viewer", listing.channel)
    changelist = reverse("admin:catalog_order_changelist")
    aside = client.get(changelist, {"tab": "set-aside"})
    assert [str(order) for order in aside.context["cl"].result_list] == ["BAD-1"]
    assert "Set aside" in aside.content.decode()
    waiting = client.get(changelist, {"tab": "waiting"})
    assert [str(order) for order in waiting.context["cl"].result_list] == ["A9"]


def test_an_order_that_is_set_aside_says_why_and_can_be_tried_again(client, listing):
    line = base.OrderLine("1", "61", "", "", 2)
    book_orders(listing.channel, [base.Order("A1", S.SENT, NOW, NOW, "CNY", (line,))], now=NOW)
    order = Order.objects.get()
    news = base.Order("A1", S.CANCELLED, NOW, NOW + timedelta(minutes=1), "CNY", (line,))
    set_aside.set_aside(order, set_aside.as_text(news), ValueError("a bug"), now=NOW)
    signed_in(client, "Operator", listing.channel)
    page = client.get(reverse("admin:catalog_order_change", args=[order.pk])).content.decode()
    assert "ValueError: a bug" in page
    assert on_hand(listing.sku) == [8]
    again = reverse("admin:catalog_order_book_again", args=[order.pk])
    assert client.get(again).status_code == 405
    assert client.post(again).status_code == 302
    assert on_hand(listing.sku) == [10]
    assert Order.objects.get().set_aside_at is None
    signed_in(client, "Viewer", listing.channel)
    assert client.post(again).status_code == 403


def test_nobody_tries_an_order_again_that_they_do_not_see(client, listing):
    order = tell(listing).order
    signed_in(client, "Operator", ChannelFactory())
    assert client.post(reverse("admin:catalog_order_book_again", args=[order.pk])).status_code == 404
