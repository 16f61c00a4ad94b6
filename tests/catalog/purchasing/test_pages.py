"""The pages about buying: who sees and does what, and that a deed is shown before it happens."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import AuditEvent, Lane, PurchaseOrder, StockLevel, SupplierSku
from catalog.purchasing.orders import receive_order, send_order
from tests.factories import (
    NOW,
    ChannelFactory,
    LaneFactory,
    ListingFactory,
    PurchaseOrderFactory,
    SkuFactory,
    SupplierFactory,
    SupplierSkuFactory,
    UserFactory,
    WarehouseFactory,
)
from tests.staff import address, signed_in

pytestmark = pytest.mark.django_db
LISTS = ("purchaseorder", "suppliersku", "lane")
REFUSED = re.compile(r"""<[^>]+\sstyle=|<style|<script(?![^>]*\ssrc=)(?![^>]*type=["']?application/json)""", re.I)


@pytest.fixture
def order():
    """40 kettles at ¥2.50 and 5 pots, on their way to Hangzhou."""
    supplier = SupplierFactory(name="Factory 7", minimum_value=500)
    order = PurchaseOrderFactory(supplier=supplier, warehouse=WarehouseFactory(name="Hangzhou"))
    order.lines.create(sku=SkuFactory(code="EV-1"), quantity=40, unit_cost="2.5000")
    order.lines.create(sku=SkuFactory(code="EV-2"), quantity=5)
    return order


def sent(order):
    return send_order(order_id=order.pk, actor=None, now=NOW)


def deed(name, order):
    return reverse(f"admin:catalog_purchaseorder_{name}", args=[order.pk])


def hidden(page, name):
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    return found[1] if found else ""


def asked(client, where, **data):
    return client.post(where, {**data, "key": hidden(client.get(where), "key")})


def agreed(client, where, page, **data):
    return client.post(where, {**data, "key": hidden(page, "key"), "mark": hidden(page, "mark")}, follow=True)


def lines(order, *units):
    rows = order.lines.order_by("sku__code")
    return {f"line_{line.pk}": str(number) for line, number in zip(rows, units, strict=True)}


def written(supplier, warehouse, *rows, **changes):
    """What the form of an order sends: (sku, units, price), ..."""
    data = {
        "supplier": supplier.pk,
        "warehouse": warehouse.pk,
        "number": "",
        "note": "",
        "expected_on": "",
        "lines-TOTAL_FORMS": len(rows),
        "lines-INITIAL_FORMS": 0,
        **changes,
    }
    for number, (sku, units, price) in enumerate(rows):
        data |= {
            f"lines-{number}-sku": sku.pk,
            f"lines-{number}-quantity": units,
            f"lines-{number}-unit_cost": price,
        }
    return data


def test_a_buyer_writes_an_order(client):
    buyer = signed_in(client, "Buyer")
    supplier, warehouse, sku = SupplierFactory(currency="USD"), WarehouseFactory(), SkuFactory(code="EV-1")
    SupplierSkuFactory(supplier=supplier, sku=sku, unit_cost="2.50")
    page = client.post(
        reverse("admin:catalog_purchaseorder_add"), written(supplier, warehouse, (sku, 40, "")), follow=True
    )
    order = PurchaseOrder.objects.get()
    assert f"Added “PO-{order.pk:05d}”." in page.text
    assert (order.status, order.currency, order.created_by) == ("draft", "USD", buyer)
    assert order.expected_at is None
    assert order.lines.get().unit_cost == 2.5
    assert "US$100.00" in page.text
    event = AuditEvent.objects.get(action="added", object_type="catalog.purchaseorder")
    assert event.changes["lines"] == ["", "40 × EV-1"]


def test_a_draft_is_changed_and_the_log_tells_what(client, order):
    signed_in(client, "Buyer")
    first = order.lines.get(sku__code="EV-1")
    order.lines.exclude(pk=first.pk).delete()
    data = written(order.supplier, order.warehouse, (first.sku, 50, "2.5"), number=order.number)
    data |= {"lines-INITIAL_FORMS": 1, "lines-0-id": first.pk, "lines-0-order": order.pk, "expected_on": "2026-12-24"}
    client.post(address(order, "edit"), data)
    order.refresh_from_db()
    assert (order.lines.get().quantity, timezone.localdate(order.expected_at).isoformat()) == (50, "2026-12-24")
    event = AuditEvent.objects.latest("pk")
    assert event.changes == {"expected_at": [None, "2026-12-24"], "lines": ["40 × EV-1", "50 × EV-1"]}


def test_a_sku_is_ordered_once(client):
    signed_in(client, "Buyer")
    sku = SkuFactory()
    page = client.post(
        reverse("admin:catalog_purchaseorder_add"),
        written(SupplierFactory(), WarehouseFactory(), (sku, 40, ""), (sku, 1, "")),
    )
    assert page.status_code == 200
    assert not PurchaseOrder.objects.exists()


def test_a_number_is_given_once(client, order):
    signed_in(client, "Buyer")
    data = written(order.supplier, order.warehouse, (SkuFactory(), 1, ""), number=order.number)
    page = client.post(reverse("admin:catalog_purchaseorder_add"), data)
    assert "There is an order with this number already." in page.text


def test_sending_is_shown_first_and_warns(client, order):
    signed_in(client, "Buyer")
    SupplierSkuFactory(supplier=order.supplier, sku=order.lines.get(sku__code="EV-2").sku, pack=6)
    day = timezone.localdate() + timedelta(days=9)
    page = asked(client, deed("send", order), expected_on=day.isoformat())
    assert "45 units from Factory 7 count as on their way to Hangzhou, expected" in page.text
    assert "Nothing is sent to the supplier from here" in page.text
    assert "Not in whole packs, or below the minimum order: EV-2." in page.text
    assert "Its value is not known" in page.text
    order.refresh_from_db()
    assert order.is_draft
    done = agreed(client, deed("send", order), page, expected_on=day.isoformat())
    assert "counts as on its way." in done.text
    order.refresh_from_db()
    assert (order.status, timezone.localdate(order.expected_at)) == ("sent", day)


def test_an_order_below_the_minimum_value_says_so(client, order):
    signed_in(client, "Buyer")
    order.lines.filter(sku__code="EV-2").delete()
    page = asked(client, deed("send", order), expected_on="")
    assert "¥100.00 of ¥500.00, which the supplier asks for at least: add ¥400.00." in page.text
    order.refresh_from_db()
    assert order.is_draft
    told = client.get(reverse("admin:catalog_purchaseorder_change", args=[order.pk])).text
    assert "of at least ¥500.00: add ¥400.00" in told
    order.lines.update(quantity=200)  # just as much
    page = asked(client, deed("send", order), expected_on="")
    assert "asks for at least" not in page.text
    assert "of at least" not in client.get(reverse("admin:catalog_purchaseorder_change", args=[order.pk])).text


def test_an_order_that_changed_since_is_shown_again(client, order):
    signed_in(client, "Buyer")
    page = asked(client, deed("send", order), expected_on="")
    order.lines.filter(sku__code="EV-1").update(unit_cost="9.00")
    again = agreed(client, deed("send", order), page, expected_on="")
    assert "It has changed since you looked. Look at it again." in again.text
    order.refresh_from_db()
    assert order.is_draft


def test_a_day_that_has_passed_is_refused(client, order):
    signed_in(client, "Buyer")
    page = asked(client, deed("send", order), expected_on="2020-01-01")
    assert "This day has passed." in page.text


def test_an_operator_receives_what_arrived(client, order):
    operator = signed_in(client, "Operator")
    sent(order)
    data = {**lines(order, 30, 5), "note": "DN 7"}
    page = asked(client, deed("receive", order), **data)
    assert "35 of 45 arrive in Hangzhou; still to come: 10." in page.text
    assert not StockLevel.objects.exists()
    for _press in range(2):
        done = agreed(client, deed("receive", order), page, **data)
        assert "35 units arrived in Hangzhou." in done.text
    assert list(StockLevel.objects.order_by("sku__code").values_list("on_hand", flat=True)) == [30, 5]
    assert order.receipts.get().received_by == operator
    assert "DN 7" in done.text
    rest = asked(client, deed("receive", order), **lines(order, 10, 0), note="")
    assert "10 of 10 arrive in Hangzhou; nothing more is to come." in rest.text


def test_more_than_was_ordered_takes_a_tick(client, order):
    signed_in(client, "Operator")
    sent(order)
    page = asked(client, deed("receive", order), **lines(order, 41, 5), note="")
    assert "40 were to come. Enter less, or tick below that more arrived." in page.text
    data = {**lines(order, 41, 5), "note": "", "accept_more": "on"}
    page = asked(client, deed("receive", order), **data)
    assert "More than was to come: EV-1." in page.text
    agreed(client, deed("receive", order), page, **data)
    assert StockLevel.objects.get(sku__code="EV-1").on_hand == 41


def test_a_warehouse_that_is_not_active_takes_what_arrives_and_says_that_it_is_not_offered(client, order):
    signed_in(client, "Buyer")
    type(order.warehouse).objects.update(is_active=False)
    words = "Hangzhou is not active: what is there is not offered."
    assert words in asked(client, deed("send", order), expected_on="").text
    sent(order)
    data = {**lines(order, 40, 0), "note": ""}
    page = asked(client, deed("receive", order), **data)
    assert words in page.text
    agreed(client, deed("receive", order), page, **data)
    assert StockLevel.objects.get().on_hand == 40


def test_nothing_is_no_receipt(client, order):
    signed_in(client, "Operator")
    sent(order)
    page = asked(client, deed("receive", order), **lines(order, 0, 0), note="")
    assert "0 units change nothing. Enter how many." in page.text


def test_the_rest_is_cancelled(client, order):
    signed_in(client, "Buyer")
    sent(order)
    line = order.lines.get(sku__code="EV-1")
    receive_order(order_id=order.pk, arrived={line.pk: 30}, key="k", actor=None, now=NOW)
    page = asked(client, deed("cancel", order), reason="sold out there")
    assert "15 units of" in page.text
    assert "30 arrived and stay." in page.text
    agreed(client, deed("cancel", order), page, reason="sold out there")
    order.refresh_from_db()
    assert order.status == "received"


@pytest.mark.parametrize(
    ("role", "buttons"),
    [
        ("Buyer", {"draft": {"send", "cancel", "edit"}, "sent": {"receive", "cancel"}}),
        ("Manager", {"draft": {"send", "cancel", "edit"}, "sent": {"cancel"}}),
        ("Operator", {"draft": set(), "sent": {"receive"}}),
        ("Viewer", {"draft": set(), "sent": set()}),
    ],
)
def test_each_role_does_what_is_its_own(client, order, role, buttons):
    signed_in(client, role)
    for state in ("draft", "sent"):
        if state == "sent":
            sent(order)
        page = client.get(address(order, "change")).text
        assert {name for name in ("send", "receive", "cancel", "edit") if f"/{order.pk}/{name}/" in page} == buttons[
            state
        ]
    may = {name: client.get(deed(name, order)).status_code for name in ("send", "receive", "cancel")}
    allowed = {"send": role in ("Buyer", "Manager"), "receive": role in ("Buyer", "Operator")}
    assert (may["send"] == 200, may["receive"] == 200) == (allowed["send"], allowed["receive"])
    assert (may["cancel"] == 200) == allowed["send"]


def test_prices_are_only_for_those_who_see_costs(client, order):
    SupplierSkuFactory(supplier=order.supplier, sku=order.lines.get(sku__code="EV-1").sku, unit_cost="2.5000")
    pages = [
        address(order, "change"),
        reverse("admin:catalog_purchaseorder_changelist"),
        reverse("admin:catalog_suppliersku_changelist"),
        address(order.lines.get(sku__code="EV-1").sku, "change"),
    ]
    signed_in(client, "Operator")
    assert [page for page in pages if "¥2.50" in client.get(page).text or "¥100.00" in client.get(page).text] == []
    order.lines.filter(sku__code="EV-2").delete()
    signed_in(client, "Buyer")
    seen = [client.get(page).text for page in pages]
    assert ["¥2.50" in text or "¥100.00" in text for text in seen] == [True] * 4


def test_an_order_with_a_hidden_sku_is_hidden(client, order):
    channel, other = ChannelFactory(), ChannelFactory()
    ListingFactory(channel=other, sku=order.lines.get(sku__code="EV-2").sku)
    buyer = signed_in(client, "Buyer", channel)
    sent(order)
    assert client.get(deed("receive", order)).status_code == 404
    assert client.get(address(order, "change")).status_code == 404
    assert order.number not in client.get(reverse("admin:catalog_purchaseorder_changelist")).text
    buyer.channels.add(other)
    assert client.get(address(order, "change")).status_code == 200


def test_what_was_sent_is_neither_edited_nor_deleted(client, order):
    signed_in(client, "Buyer")
    sent(order)
    data = written(order.supplier, WarehouseFactory(), (SkuFactory(), 1, ""))
    for view in ("edit", "change", "delete"):
        assert client.post(address(order, view), data | {"post": "yes"}).status_code == 403, view
    order.refresh_from_db()
    assert (order.warehouse.name, order.lines.count()) == ("Hangzhou", 2)


def test_an_overdue_order_is_found(admin_client, order):
    sent(order)
    PurchaseOrder.objects.update(expected_at=timezone.now() - timedelta(days=3))
    assert "Overdue" in admin_client.get(address(order, "change")).text
    found = admin_client.get(reverse("admin:catalog_purchaseorder_changelist"), {"tab": "overdue"})
    assert list(found.context["cl"].result_list) == [order]


def test_terms_say_from_whom_a_sku_is_bought(client):
    signed_in(client, "Buyer")
    sku, supplier = SkuFactory(supplier=SupplierFactory()), SupplierFactory()
    data = {"supplier": supplier.pk, "sku": sku.pk, "unit_cost": "2.5", "pack": 6, "minimum": 12, "is_preferred": "on"}
    client.post(reverse("admin:catalog_suppliersku_add"), data)
    terms = SupplierSku.objects.get()
    assert (terms.sku.supplier, terms.pack, terms.minimum) == (supplier, 6, 12)
    assert "bought here" in client.get(address(sku, "change")).text
    client.post(address(terms, "change"), {**data, "is_preferred": "", "unit_cost": "3"})
    event = AuditEvent.objects.filter(action="changed", object_type="catalog.suppliersku").get()
    assert event.changes == {"unit_cost": ["2.5000", "3"], "We buy it here": [True, False]}
    history = address(terms, "history")
    assert "2.5000" in client.get(history).text
    signed_in(client, "Operator")
    assert "2.5000" not in client.get(history).text
    signed_in(client, "Buyer")
    again = client.post(reverse("admin:catalog_suppliersku_add"), data)
    assert "There are terms of this supplier for this SKU already." in again.text


def test_the_page_of_a_sku_tells_what_is_on_its_way(admin_client, order):
    sent(order)
    page = admin_client.get(address(order.lines.get(sku__code="EV-1").sku, "change")).text
    assert "40 to Hangzhou" in page
    assert order.number in page


def test_a_lane_is_between_two_warehouses(admin_client):
    warehouse = WarehouseFactory()
    data = {"days": 2, "currency": "CNY", "unit_cost": "0.5", "fixed_cost": "0", "minimum": 1}
    page = admin_client.post(
        reverse("admin:catalog_lane_add"), {**data, "source": warehouse.pk, "destination": warehouse.pk}
    )
    assert "A lane is between two warehouses." in page.text
    admin_client.post(
        reverse("admin:catalog_lane_add"), {**data, "source": warehouse.pk, "destination": WarehouseFactory().pk}
    )
    assert Lane.objects.count() == 1


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_all_pages_answer_and_hold_nothing_that_the_policy_refuses(admin_client, order, language):
    admin_client.cookies["django_language"] = language
    draft = PurchaseOrderFactory()
    terms = SupplierSkuFactory(supplier=order.supplier, sku=order.lines.first().sku)
    lane = LaneFactory()
    sent(order)
    receive_order(order_id=order.pk, arrived={order.lines.first().pk: 3}, key="k", actor=None, now=NOW)
    pages = [reverse(f"admin:catalog_{name}_{view}") for name in LISTS for view in ("changelist", "add")]
    pages += [address(each, view) for each in (terms, lane, draft) for view in ("change", "history", "delete")]
    pages += [address(draft, "edit"), deed("send", draft), address(order.supplier, "change")]
    pages += [address(order, "change"), address(order, "history"), deed("receive", order), deed("cancel", order)]
    pages += [address(terms.sku, "change"), f"/search/?q={order.number}"]
    for page in pages:
        answer = admin_client.get(page)
        assert answer.status_code == 200, page
        assert REFUSED.findall(answer.text) == [], page


@pytest.mark.parametrize("role", ["owner", "Buyer"])
def test_lists_cost_the_same_few_queries(client, django_assert_max_num_queries, role):
    for number in range(30):
        order = PurchaseOrderFactory()
        order.lines.create(sku=SkuFactory(), quantity=number + 1)
        SupplierSkuFactory()
        LaneFactory()
    if role == "owner":
        client.force_login(UserFactory(is_superuser=True))
    else:
        signed_in(client, role, ChannelFactory())
    for name in LISTS:
        with django_assert_max_num_queries(12):
            assert client.get(reverse(f"admin:catalog_{name}_changelist")).status_code == 200
