"""What people book by hand: shown in a sentence first, booked once, refused at the field."""

import re

import pytest

from catalog.models import AuditEvent, BundleComponent, StockLevel, StockMovement, Transfer
from catalog.stock.counts import adjust, count
from tests.factories import NOW, ChannelFactory, ListingFactory, SkuFactory, WarehouseFactory
from tests.staff import member, signed_in

pytestmark = pytest.mark.django_db

COUNT, ADJUST, RECEIPT, SEND = (
    "/catalog/stocklevel/count/",
    "/catalog/stocklevel/adjust/",
    "/catalog/stocklevel/receipt/",
    "/catalog/transfer/add/",
)


@pytest.fixture
def sku():
    return SkuFactory(code="EV-KET-600")


@pytest.fixture
def warehouse():
    return WarehouseFactory(name="Hangzhou")


@pytest.fixture
def operator(client):
    return signed_in(client, "Operator")


def has(sku, warehouse, units, key="opening"):
    count(sku_id=sku.pk, warehouse_id=warehouse.pk, counted=units, key=key, actor=None, now=NOW)


def on_hand(sku, warehouse):
    return StockLevel.objects.get(sku=sku, warehouse=warehouse).on_hand


def hidden(page, name):
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    return found[1] if found else ""


def asked(client, address, **data):
    """The page after the first press: with its sentence, or with what is wrong."""
    opened = client.get(address)
    return client.post(address, {**data, "key": hidden(opened, "key")})


def agreed(client, address, page, **data):
    marks = {"key": hidden(page, "key"), "mark": hidden(page, "mark")}
    return client.post(address, {**data, **marks}, follow=True)


def test_a_count_is_shown_as_a_sentence_and_then_booked(client, operator, sku, warehouse):
    has(sku, warehouse, 15)
    data = {"sku": sku.pk, "warehouse": warehouse.pk, "units": "12", "reason": "shelf 3"}
    page = asked(client, COUNT, **data)
    assert "Counted 12; the books say 15; books −3." in page.text
    assert on_hand(sku, warehouse) == 15
    done = agreed(client, COUNT, page, **data)
    assert "Booked −3. EV-KET-600 in Hangzhou: 12 on hand." in done.text
    movement = StockMovement.objects.latest("pk")
    assert (movement.kind, movement.source, movement.quantity, movement.reason) == ("count", "count", -3, "shelf 3")
    assert movement.actor == operator
    event = AuditEvent.objects.filter(actor=operator).latest("pk")
    assert (event.action, event.changes) == ("counted", {"on_hand": [15, 12]})


def test_the_first_count_is_the_opening_stock(client, operator, sku, warehouse):
    data = {"sku": sku.pk, "warehouse": warehouse.pk, "units": "0"}
    page = asked(client, COUNT, **data)
    assert "this is the opening stock" in page.text
    agreed(client, COUNT, page, **data)
    assert StockMovement.objects.get().source == "opening"
    assert StockLevel.objects.get().is_counted


def test_a_button_pressed_twice_books_once(client, operator, sku, warehouse):
    has(sku, warehouse, 15)
    for address, data in (
        (COUNT, {"units": "12"}),
        (ADJUST, {"units": "-2", "reason": "broken"}),
        (RECEIPT, {"units": "5"}),
    ):
        before = StockMovement.objects.count()
        data |= {"sku": sku.pk, "warehouse": warehouse.pk}
        page = asked(client, address, **data)
        agreed(client, address, page, **data)
        again = agreed(client, address, page, **data)
        assert "This was booked already and is not booked again." in again.text
        assert StockMovement.objects.count() == before + 1
    assert on_hand(sku, warehouse) == 15


def test_a_transfer_sent_twice_leaves_once(client, operator, sku, warehouse):
    has(sku, warehouse, 15)
    other = WarehouseFactory(name="Ningbo")
    data = {"sku": sku.pk, "source": warehouse.pk, "destination": other.pk, "units": "5", "note": "truck"}
    page = asked(client, SEND, **data)
    assert "Hangzhou: 15 on hand − 5 = 10. On their way to Ningbo: 5." in page.text
    for _press in range(2):
        assert "5 units of EV-KET-600 are on their way to Ningbo." in agreed(client, SEND, page, **data).text
    assert Transfer.objects.get().created_by == operator
    assert on_hand(sku, warehouse) == 10


def test_two_operators_at_once_both_land(client, operator, sku, warehouse):
    has(sku, warehouse, 15)
    data = {"sku": sku.pk, "warehouse": warehouse.pk, "units": "-2", "reason": "broken"}
    page = asked(client, ADJUST, **data)
    adjust(sku_id=sku.pk, warehouse_id=warehouse.pk, quantity=5, key="x", actor=member(), reason="found", now=NOW)
    agreed(client, ADJUST, page, **data)
    assert on_hand(sku, warehouse) == 18


def test_a_count_whose_books_moved_is_shown_again_and_then_lands(client, operator, sku, warehouse):
    has(sku, warehouse, 15)
    data = {"sku": sku.pk, "warehouse": warehouse.pk, "units": "12"}
    page = asked(client, COUNT, **data)
    adjust(sku_id=sku.pk, warehouse_id=warehouse.pk, quantity=-1, key="x", actor=member(), reason="gift", now=NOW)
    again = agreed(client, COUNT, page, **data)
    assert "It has changed since you looked. Look at it again." in again.text
    assert "Counted 12; the books say 14; books −2." in again.text
    assert on_hand(sku, warehouse) == 14
    agreed(client, COUNT, again, **data)
    assert on_hand(sku, warehouse) == 12


def test_what_was_not_shown_is_not_booked(client, operator, sku, warehouse):
    has(sku, warehouse, 15)
    data = {"sku": sku.pk, "warehouse": warehouse.pk, "units": "12"}
    page = asked(client, COUNT, **data)
    agreed(client, COUNT, page, **{**data, "units": "2"})
    assert on_hand(sku, warehouse) == 15


def test_a_key_stands_for_one_deed(client, operator, sku, warehouse):
    has(sku, warehouse, 15)
    data = {"sku": sku.pk, "warehouse": warehouse.pk, "units": "5"}
    page = asked(client, RECEIPT, **data)
    agreed(client, RECEIPT, page, **data)
    other = {**data, "units": "6"}
    page = client.post(RECEIPT, {**other, "key": hidden(page, "key")})
    refused = agreed(client, RECEIPT, page, **other)
    assert "was booked already, with another content" in refused.text
    assert on_hand(sku, warehouse) == 20


@pytest.mark.parametrize(
    ("address", "units", "sentence"),
    [
        (COUNT, "-1", "A count is 0 to 1,000,000 units."),
        (COUNT, "1000001", "A count is 0 to 1,000,000 units."),
        (COUNT, "twelve", "Enter a whole number of units."),
        (COUNT, "9" * 5000, "Enter a whole number of units."),
        (COUNT, "", "Enter how many."),
        (ADJUST, "0", "0 units change nothing. Enter how many."),
        (ADJUST, "-1000001", "Enter at most 1,000,000 units, with a minus to take some away."),
        (RECEIPT, "0", "Enter 1 to 1,000,000 units."),
        (RECEIPT, "1000001", "Enter 1 to 1,000,000 units."),
    ],
)
def test_units_that_cannot_be_booked_are_refused_at_the_field(
    client, operator, sku, warehouse, address, units, sentence
):
    data = {"sku": sku.pk, "warehouse": warehouse.pk, "units": units, "reason": "x"}
    page = asked(client, address, **data)
    assert page.status_code == 400
    assert page.context["form"].errors["units"] == [sentence]
    assert sentence in page.text
    assert not StockMovement.objects.exists()


def test_a_sku_that_is_unknown_or_a_bundle_is_refused_at_the_field(client, operator, warehouse):
    bundle = BundleComponent.objects.create(bundle=SkuFactory(code="SET"), component=SkuFactory(), units=2).bundle
    foreign = ListingFactory(channel=ChannelFactory(), sku=SkuFactory()).sku
    for sku_id, sentence in (
        (bundle.pk, "SET is a bundle and has no stock of its own. Book the SKUs it consists of."),
        (999_999, "There is no such SKU. Choose one of the list."),
        (foreign.pk, "There is no such SKU. Choose one of the list."),
    ):
        page = asked(client, RECEIPT, sku=sku_id, warehouse=warehouse.pk, units="3")
        assert page.context["form"].errors == {"sku": [sentence]}
    assert not StockMovement.objects.exists()


def test_an_adjustment_needs_a_reason(client, operator, sku, warehouse):
    page = asked(client, ADJUST, sku=sku.pk, warehouse=warehouse.pk, units="3", reason="  ")
    assert page.context["form"].errors == {"reason": ["Say why the stock is changed."]}


def test_a_transfer_needs_two_warehouses(client, operator, sku, warehouse):
    page = asked(client, SEND, sku=sku.pk, source=warehouse.pk, destination=warehouse.pk, units="3")
    assert page.context["form"].errors == {"destination": ["Choose another warehouse to send it to."]}


def test_fewer_units_can_arrive_than_were_sent(client, operator, sku, warehouse):
    has(sku, warehouse, 15)
    other = WarehouseFactory(name="Ningbo")
    data = {"sku": sku.pk, "source": warehouse.pk, "destination": other.pk, "units": "6"}
    agreed(client, SEND, asked(client, SEND, **data), **data)
    address = f"/catalog/transfer/{Transfer.objects.get().pk}/receive/"
    refused = asked(client, address, units="7")
    assert refused.context["form"].errors == {"units": ["6 units were sent: enter 0 to 6."]}
    page = asked(client, address, units="5")
    assert "5 of 6 arrived in Ningbo; missing: 1." in page.text
    done = agreed(client, address, page, units="5")
    assert "5 units arrived in Ningbo." in done.text
    assert "1 missing" in done.text
    assert on_hand(sku, other) == 5
    again = asked(client, address, units="6")
    assert "were received already" in agreed(client, address, again, units="6").text


def test_people_who_may_only_look_book_nothing(client, sku, warehouse):
    signed_in(client, "Viewer")
    has(sku, warehouse, 15)
    for address in (COUNT, ADJUST, RECEIPT, SEND, "/catalog/stocklevel/file/"):
        assert client.get(address).status_code == 403
        assert client.post(address, {"sku": sku.pk, "warehouse": warehouse.pk, "units": "1"}).status_code == 403
    page = client.get(f"/catalog/stocklevel/{StockLevel.objects.get().pk}/change/")
    assert page.status_code == 200
    assert "Count…" not in page.text
