"""Pages of levels, movements, transfers, orders and warehouses: what they show, to whom, in how many queries."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from catalog.models import AuditEvent, BundleComponent, Order, OrderLine, Sku, StockLevel, StockMovement, Warehouse
from catalog.stock.booking import book_orders
from catalog.stock.counts import adjust, count
from catalog.stock.ledger import Kind, Source, lock_skus, reserve
from catalog.stock.returns import take_back
from catalog.stock.transfers import receive_transfer, send_transfer
from tests.factories import NOW, ChannelFactory, ListingFactory, SkuFactory, UserFactory, WarehouseFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

LEVELS, MOVEMENTS, TRANSFERS, ORDERS, WAREHOUSES, RULES = (
    f"/catalog/{model}/" for model in ("stocklevel", "stockmovement", "transfer", "order", "warehouse", "stockrule")
)
MOST_QUERIES = 12


@dataclass
class Line:
    line_id: str
    item_id: str
    quantity: int
    sku_id: str = ""
    outer_id: str = ""
    returned: int = 0
    refunded: int = 0
    paid_per_unit: Decimal | None = None


@dataclass
class Told:
    order_id: str
    lines: list[Line]
    status: str = "sent"
    created_at: datetime = NOW
    changed_at: datetime = NOW
    currency: str = "CNY"
    paid_at: datetime | None = None
    is_test: bool = False


@pytest.fixture
def channel():
    return ChannelFactory(name="Ours", orders_since=NOW - timedelta(days=1))


@pytest.fixture
def warehouse():
    return WarehouseFactory(name="Hangzhou", code="HZ")


@pytest.fixture
def sku(channel):
    sku = SkuFactory(code="EV-KET-600")
    ListingFactory(channel=channel, sku=sku, platform_item_id="616")
    return sku


@pytest.fixture
def operator(client, channel):
    return signed_in(client, "Operator", channel)


def has(sku, warehouse, units, key="opening"):
    count(sku_id=sku.pk, warehouse_id=warehouse.pk, counted=units, key=f"{key}:{sku.pk}", actor=None, now=NOW)
    return StockLevel.objects.get(sku=sku, warehouse=warehouse)


class TestLevels:
    def test_a_level_shows_its_sums_and_what_is_on_its_way(self, client, operator, sku, warehouse):
        other = WarehouseFactory(name="Ningbo")
        has(sku, warehouse, 1200)
        has(sku, other, 5, "other")
        reserve(sku_id=sku.pk, quantity=3, key="r", source=Source.MANUAL, now=NOW)
        send_transfer(
            sku_id=sku.pk, source_id=warehouse.pk, destination_id=other.pk, quantity=40, key="t", actor=None, now=NOW
        )
        text = client.get(LEVELS).text
        for figure in ("1,160", "1,157", ">40<"):
            assert figure in text
        page = client.get(f"{LEVELS}{StockLevel.objects.get(warehouse=other).pk}/change/")
        assert "on its way here" in page.text
        assert ">40<" in page.text

    def test_oversold_stock_has_a_tab_and_a_badge(self, client, operator, sku, warehouse):
        has(sku, warehouse, 2)
        has(SkuFactory(code="FINE"), warehouse, 2, "fine")
        reserve(sku_id=sku.pk, quantity=5, key="r", source=Source.MANUAL, now=NOW, only_if_available=False)
        page = client.get(LEVELS, {"tab": "oversold"})
        assert "EV-KET-600" in page.text
        assert "FINE" not in page.text
        assert "−3" in page.text
        assert "Oversold" in client.get(f"{LEVELS}{StockLevel.objects.get(sku=sku).pk}/change/").text

    def test_what_was_only_sold_is_not_known(self, client, operator, channel, sku, warehouse):
        book_orders(channel, [Told("1", [Line("1", "616", 2)])], now=NOW)
        assert not StockLevel.objects.get().is_counted
        text = client.get(LEVELS, {"tab": "uncounted"}).text
        assert text.count("never counted") >= 2
        assert "−2" not in text
        assert "EV-KET-600" not in client.get(LEVELS, {"tab": "oversold"}).text

    def test_a_page_tells_how_the_level_came_about(self, client, operator, sku, warehouse):
        level = has(sku, warehouse, 20)
        adjust(
            sku_id=sku.pk,
            warehouse_id=warehouse.pk,
            quantity=-2,
            key="a",
            actor=UserFactory(username="lin"),
            reason="glass lid broken",
            now=NOW,
        )
        reserve(sku_id=sku.pk, quantity=3, key="r", source=Source.MANUAL, now=NOW)
        page = client.get(f"{LEVELS}{level.pk}/change/")
        text = page.text
        assert "glass lid broken" in text
        assert "lin" in text
        history = text[text.index("Movements <small>") :]
        shown = [history.index(part) for part in ('<td class="num">+3', '<td class="num">−2', '<td class="num">+20')]
        assert shown == sorted(shown)

    def test_the_history_goes_on_where_the_page_ends(self, client, operator, sku, warehouse, monkeypatch):
        monkeypatch.setattr("catalog.admin.stock.levels._MOVEMENTS_SHOWN", 2)
        level = has(sku, warehouse, 20)
        for number in range(3):
            adjust(
                sku_id=sku.pk,
                warehouse_id=warehouse.pk,
                quantity=-1,
                key=f"a{number}",
                actor=None,
                reason=f"reason {number}",
                now=NOW,
            )
        first = client.get(f"{LEVELS}{level.pk}/change/").text
        assert "reason 0" not in first
        older = StockMovement.objects.order_by("-pk")[1].pk
        assert f"?before={older}" in first
        second = client.get(f"{LEVELS}{level.pk}/change/?before={older}").text
        assert "reason 0" in second
        assert '<td class="num">19</td>' in second
        assert '<td class="num">20</td>' in second

    def test_levels_of_skus_of_other_channels_are_not_shown(self, client, operator, sku, warehouse):
        has(sku, warehouse, 20)
        foreign = ListingFactory(channel=ChannelFactory(), sku=SkuFactory(code="FOREIGN")).sku
        level = has(foreign, warehouse, 77, "foreign")
        for address in (LEVELS, MOVEMENTS):
            assert "FOREIGN" not in client.get(address).text
        assert client.get(f"{LEVELS}{level.pk}/change/").status_code == 404
        assert ">20<" in client.get(WAREHOUSES).text

    def test_an_empty_list_offers_the_first_step(self, client, operator):
        assert "Add warehouse" in client.get(LEVELS).text
        WarehouseFactory()
        assert "Count stock" in client.get(LEVELS).text

    @pytest.mark.parametrize("query", [{"q": "KET"}, {"brand": "Kettles"}, {"warehouse__id__exact": 1}])
    def test_levels_are_searched_and_narrowed(self, client, operator, sku, query):
        warehouse = WarehouseFactory(pk=1)
        sku.product.brand = "Kettles"
        sku.product.save()
        has(sku, warehouse, 20)
        has(SkuFactory(code="CUP-1"), WarehouseFactory(), 20, "cup")
        text = client.get(LEVELS, query).text
        assert "EV-KET-600" in text
        assert "CUP-1" not in text


class TestMovements:
    def test_each_tells_its_kind_units_who_and_why(self, client, operator, channel, sku, warehouse):
        has(sku, warehouse, 20)
        adjust(
            sku_id=sku.pk,
            warehouse_id=warehouse.pk,
            quantity=5,
            key="a",
            actor=operator,
            reason="delivery note 7",
            kind=Kind.RECEIPT,
            now=NOW,
        )
        book_orders(channel, [Told("A310", [Line("1", "616", 2)])], now=NOW)
        text = client.get(MOVEMENTS).text
        for part in ("+20", "+5", "−2", "delivery note 7", operator.username, "Order A310", "Receipt", "Sale"):
            assert part in text
        assert "delivery note 7" not in client.get(MOVEMENTS, {"kind__exact": "sale"}).text
        assert "delivery note 7" not in client.get(MOVEMENTS, {"q": "A310"}).text
        assert "delivery note 7" in client.get(MOVEMENTS, {"source__exact": "manual"}).text

    def test_what_happened_before_it_was_booked_tells_both_times(self, client, operator, channel, sku, warehouse):
        has(sku, warehouse, 20)
        book_orders(channel, [Told("310", [Line("1", "616", 3)])], now=NOW + timedelta(days=3))
        for page in (MOVEMENTS, f"{LEVELS}{StockLevel.objects.get().pk}/change/"):
            text = client.get(page).text
            assert text.count("happened <time") == 1
            assert text.index("2026-11-24 12:00") < text.index("happened <time"), "newest first, as it was booked"

    def test_the_order_of_another_channel_is_not_named(self, client, operator, channel, sku, warehouse):
        has(sku, warehouse, 20)
        theirs = ChannelFactory(name="Theirs", orders_since=NOW - timedelta(days=1))
        ListingFactory(channel=theirs, sku=sku, platform_item_id="717")
        book_orders(theirs, [Told("SECRET-9", [Line("1", "717", 2)])], now=NOW)
        line, what = OrderLine.objects.get(), {"warehouse_id": warehouse.pk, "is_sellable": False, "reason": ""}
        take_back(line_id=line.pk, pieces=1, key="back", actor=operator, now=NOW, **what)
        for address in (MOVEMENTS, f"{LEVELS}{StockLevel.objects.get().pk}/change/"):
            text = client.get(address).text
            assert "−2" in text
            assert "another channel" in text
            assert "SECRET-9" not in text
            assert "Theirs" not in text
        assert "−2" not in client.get(MOVEMENTS, {"q": "SECRET-9"}).text
        assert "cannot be sold" not in client.get(MOVEMENTS, {"q": "SECRET-9"}).text

    def test_nobody_writes_the_ledger_by_hand(self, admin_client, sku, warehouse):
        has(sku, warehouse, 20)
        movement = StockMovement.objects.get()
        assert admin_client.get(f"{MOVEMENTS}add/").status_code == 403
        admin_client.post(f"{MOVEMENTS}{movement.pk}/change/", {"quantity": 99})
        admin_client.post(f"{MOVEMENTS}{movement.pk}/delete/", {"post": "yes"})
        assert StockMovement.objects.get().quantity == 20


class TestTransfers:
    def test_what_is_on_its_way_stands_first(self, client, operator, sku, warehouse):
        other = WarehouseFactory(name="Ningbo")
        has(sku, warehouse, 20)
        places = {"sku_id": sku.pk, "source_id": warehouse.pk, "destination_id": other.pk, "actor": operator}
        arrived = send_transfer(**places, quantity=3, key="1", note="first truck", now=NOW)
        send_transfer(**places, quantity=4, key="2", note="second truck", now=NOW)
        receive_transfer(transfer_id=arrived.pk, quantity=2, actor=operator, now=NOW)
        text = client.get(TRANSFERS).text
        assert "second truck" in text
        assert "first truck" not in text
        text = client.get(TRANSFERS, {"tab": "arrived"}).text
        assert "first truck" in text
        assert "1 missing" in text


class TestOrders:
    def test_a_page_tells_what_is_booked_and_why_not(self, client, operator, channel, sku, warehouse):
        has(sku, warehouse, 20)
        lines = [Line("1", "616", 3, returned=1, paid_per_unit=Decimal("268")), Line("2", "999", 1, outer_id="GIFT")]
        book_orders(channel, [Told("310", lines)], now=NOW)
        text = client.get(f"{ORDERS}{Order.objects.get().pk}/change/").text
        for part in ("2 sold", "¥268.00", "GIFT", "Its listing has no SKU. Map it, and the line is booked then."):
            assert part in text
        assert "Waiting to be booked" in text
        assert "310" in client.get(ORDERS, {"tab": "waiting"}).text
        assert "1 line waits" in client.get(ORDERS).text

    def test_units_that_cannot_be_true_are_to_be_looked_at(self, client, operator, channel, sku, warehouse):
        told = [Told("none", [Line("1", "616", 0)]), Told("lots", [Line("1", "616", 1_000_000)])]
        book_orders(channel, [*told, Told("demo", [Line("1", "616", 1)], is_test=True)], now=NOW)
        text = client.get(ORDERS, {"tab": "doubtful"}).text
        assert "none" in text
        assert "lots" in text
        assert "demo" not in text
        page = client.get(f"{ORDERS}{Order.objects.get(platform_order_id='lots').pk}/change/")
        assert "Too many units to be true" in page.text

    def test_orders_of_other_channels_are_not_shown(self, client, operator, channel, warehouse):
        theirs = ChannelFactory()
        book_orders(theirs, [Told("SECRET-9", [Line("1", "616", 1)])], now=NOW)
        assert "SECRET-9" not in client.get(ORDERS).text
        assert client.get("/search/", {"q": "SECRET-9"}).context["groups"] == []
        assert client.get(f"{ORDERS}{Order.objects.get().pk}/change/").status_code == 404


class TestWarehouses:
    def test_one_with_movements_is_never_deleted(self, admin_client, sku, warehouse):
        has(sku, warehouse, 20)
        assert admin_client.post(f"{WAREHOUSES}{warehouse.pk}/delete/", {"post": "yes"}).status_code == 403
        assert Warehouse.objects.exists()

    def test_the_first_one_books_what_waited_for_it(self, client, operator, channel, sku):
        book_orders(channel, [Told("310", [Line("1", "616", 2)])], now=NOW)
        assert not StockMovement.objects.exists()
        client.post(f"{WAREHOUSES}add/", {"code": "HZ", "name": "Hangzhou", "is_active": "on", "position": "1"})
        assert StockMovement.objects.get().quantity == -2

    def test_switching_one_off_is_told_to_the_channels(
        self, client, operator, channel, warehouse, django_capture_on_commit_callbacks
    ):
        from catalog.signals import channel_changed

        heard = []

        def hear(sender, channel_ids, **kwargs):
            heard.extend(channel_ids)

        channel_changed.connect(hear)
        try:
            with django_capture_on_commit_callbacks(execute=True):
                data = {"code": "HZ", "name": "Hangzhou", "position": "1"}
                client.post(f"{WAREHOUSES}{warehouse.pk}/change/", data)
        finally:
            channel_changed.disconnect(hear)
        assert not Warehouse.objects.get().is_active
        assert heard == [channel.pk]
        assert AuditEvent.objects.filter(object_type="catalog.warehouse").latest("pk").actor == operator


class TestBundles:
    def formset(self, sku, *parts):
        data = {"product": sku.product_id, "code": sku.code, "status": sku.status, "cost_currency": "CNY"}
        data |= {"components-TOTAL_FORMS": len(parts), "components-INITIAL_FORMS": 0}
        for number, (component, units) in enumerate(parts):
            prefix = f"components-{number}"
            data |= {f"{prefix}-component": component.pk, f"{prefix}-units": units, f"{prefix}-bundle": sku.pk}
        return data

    def test_its_parts_are_chosen_on_the_form_of_the_sku(self, client, operator, sku, warehouse):
        bundle, lid = SkuFactory(code="SET"), SkuFactory(code="LID")
        has(sku, warehouse, 9)
        has(lid, warehouse, 20, "lid")
        data = self.formset(bundle, (sku, 2), (lid, 1))
        page = client.post(f"/catalog/sku/{bundle.pk}/edit/", data, follow=True)
        assert "4 available" in page.text
        assert set(BundleComponent.objects.values_list("component__code", "units")) == {("EV-KET-600", 2), ("LID", 1)}
        assert Sku.objects.get(pk=bundle.pk).stock_version == 1
        event = AuditEvent.objects.filter(object_type="catalog.sku").latest("pk")
        assert event.changes == {"components": ["", "2 × EV-KET-600, 1 × LID"]}
        assert "SET" in client.get(f"/catalog/sku/{sku.pk}/change/").text

    @pytest.mark.parametrize(
        ("units", "stock", "sentence"),
        [
            (0, 0, "Ensure this value is greater than or equal to 1."),
            (1, 3, "This SKU has stock of its own. Count it to 0 before it becomes a bundle."),
        ],
    )
    def test_what_cannot_be_a_bundle_is_refused(self, client, operator, sku, warehouse, units, stock, sentence):
        bundle = SkuFactory(code="SET")
        has(bundle, warehouse, stock, "set")
        page = client.post(f"/catalog/sku/{bundle.pk}/edit/", self.formset(bundle, (sku, units)))
        assert sentence in page.text
        assert not BundleComponent.objects.exists()

    def test_a_sku_that_is_on_its_way_does_not_become_one_since_it_could_not_be_received(
        self, client, operator, sku, warehouse
    ):
        bundle, there = SkuFactory(code="SET"), WarehouseFactory()
        has(bundle, warehouse, 3, "set")
        sent = {"source_id": warehouse.pk, "destination_id": there.pk, "quantity": 3, "key": "way"}
        send_transfer(sku_id=bundle.pk, actor=operator, now=NOW, **sent)
        page = client.post(f"/catalog/sku/{bundle.pk}/edit/", self.formset(bundle, (sku, 1)))
        assert "Receive the transfer first." in page.text
        assert not BundleComponent.objects.exists()

    @pytest.mark.parametrize("other", ["its component becomes a bundle", "it becomes a component", "it is counted"])
    def test_two_people_at_once_cannot_make_what_neither_could_alone(
        self, client, operator, sku, warehouse, monkeypatch, other
    ):
        bundle = SkuFactory(code="SET")
        locked: list[set[int]] = []

        def lock_after_another(sku_ids):
            # What another person saves while this one waits for the lock, is there once it is held.
            if not locked:
                if other == "its component becomes a bundle":
                    BundleComponent.objects.create(bundle=sku, component=SkuFactory())
                elif other == "it becomes a component":
                    BundleComponent.objects.create(bundle=SkuFactory(), component=bundle)
                else:
                    has(bundle, warehouse, 3, "set")
            locked.extend(sku_ids)
            return lock_skus(sku_ids)

        monkeypatch.setattr("catalog.admin.stock.bundles.lock_skus", lock_after_another)
        page = client.post(f"/catalog/sku/{bundle.pk}/edit/", self.formset(bundle, (sku, 1)))
        assert page.status_code == 200, "the form is shown again"
        assert locked == [sku.pk, bundle.pk][: len(locked)], "components first, as the ledger does"
        assert not bundle.components.exists()

    def test_pausing_a_sku_raises_its_version(self, client, operator, sku):
        client.post(f"/catalog/sku/{sku.pk}/edit/", {**self.formset(sku), "status": "paused"})
        assert Sku.objects.get(pk=sku.pk).status == "paused"
        assert Sku.objects.get(pk=sku.pk).stock_version == 1


@pytest.mark.parametrize("address", [LEVELS, MOVEMENTS, TRANSFERS, ORDERS, WAREHOUSES, RULES])
@pytest.mark.parametrize("role", ["Operator", "Manager"])
def test_a_list_takes_few_queries_however_long_it_is(
    client, channel, warehouse, django_assert_max_num_queries, address, role
):
    user = signed_in(client, role, channel)
    other = WarehouseFactory()
    for number in range(12):
        sku = ListingFactory(channel=channel, sku=SkuFactory(), platform_item_id=str(number)).sku
        has(sku, warehouse, 20)
        places = {"sku_id": sku.pk, "source_id": warehouse.pk, "destination_id": other.pk}
        send_transfer(**places, quantity=3, key=str(number), actor=user, now=NOW)
        book_orders(channel, [Told(str(number), [Line("1", str(number), 2), Line("2", "?", 1)])], now=NOW)
    client.get(address)
    with django_assert_max_num_queries(MOST_QUERIES):
        assert client.get(address).status_code == 200


@pytest.mark.parametrize("address", [LEVELS, MOVEMENTS, TRANSFERS, ORDERS, WAREHOUSES, RULES])
def test_people_without_a_role_see_none_of_it(client, address):
    client.force_login(UserFactory())
    assert client.get(address).status_code == 403
