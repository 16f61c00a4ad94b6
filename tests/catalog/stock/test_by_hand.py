"""Counts, adjustments and transfers: what people book, once, and with their name on it."""

import pytest

from catalog.audit_text import readable_changes
from catalog.models import AuditEvent, BundleComponent, StockLevel, StockMovement, Transfer
from catalog.stock.counts import Counted, adjust, count, count_many
from catalog.stock.ledger import Kind, Movement, Source, StockError, check, record_movements
from catalog.stock.transfers import receive_transfer, send_transfer
from tests.factories import NOW, SkuFactory, UserFactory, WarehouseFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def sku():
    return SkuFactory(code="EV-KET-600")


@pytest.fixture
def warehouse():
    return WarehouseFactory(name="Hangzhou")


@pytest.fixture
def actor():
    return UserFactory()


def on_hand(sku, warehouse):
    return StockLevel.objects.get(sku=sku, warehouse=warehouse).on_hand


def events():
    return list(AuditEvent.objects.order_by("pk").values_list("action", "object_name", "changes", "actor"))


class TestCounts:
    def count(self, sku, warehouse, counted, key="c1", actor=None, **values):
        return count(sku_id=sku.pk, warehouse_id=warehouse.pk, counted=counted, key=key, actor=actor, now=NOW, **values)

    def test_the_difference_is_booked_to_what_is_there(self, sku, warehouse, actor):
        assert self.count(sku, warehouse, 12, "opening", actor, source=Source.OPENING).quantity == 12
        assert self.count(sku, warehouse, 10, "later", actor, reason="two broken").quantity == -2
        assert self.count(sku, warehouse, 10, "same", actor).quantity == 0
        assert on_hand(sku, warehouse) == 10
        assert list(StockMovement.objects.order_by("pk").values_list("kind", "source", "reason", "actor")) == [
            ("count", "opening", "", actor.pk),
            ("count", "count", "two broken", actor.pk),
            ("count", "count", "", actor.pk),
        ]
        assert events()[1] == ("counted", "EV-KET-600 · Hangzhou", {"on_hand": [12, 10]}, actor.pk)

    def test_the_log_says_it_in_words(self, sku, warehouse, actor):
        self.count(sku, warehouse, 12, actor=actor)
        assert list(readable_changes(AuditEvent.objects.get(), actor)) == [("On hand", "0", "12")]

    def test_two_operators_at_once_both_land_and_the_later_count_is_right(self, sku, warehouse, actor):
        self.count(sku, warehouse, 10, "opening")
        self.count(sku, warehouse, 8, "first", actor)
        record_movements([Movement(sku.pk, warehouse.pk, Kind.SALE, -1, "sale", Source.ORDER)], now=NOW)
        self.count(sku, warehouse, 9, "second", UserFactory())
        assert on_hand(sku, warehouse) == 9
        assert StockMovement.objects.filter(kind="count").count() == 3
        assert check() == []

    def test_the_same_count_again_is_booked_once_even_when_stock_moved_since(self, sku, warehouse):
        self.count(sku, warehouse, 10)
        record_movements([Movement(sku.pk, warehouse.pk, Kind.SALE, -3, "sale", Source.ORDER)], now=NOW)
        assert self.count(sku, warehouse, 10) is None
        assert on_hand(sku, warehouse) == 7
        with pytest.raises(StockError, match="already"):
            self.count(sku, warehouse, 7)
        assert AuditEvent.objects.count() == 1

    @pytest.mark.parametrize("units", [-1, 1_000_001])
    def test_a_count_beyond_reason_is_refused_and_none_of_its_company_booked(self, sku, warehouse, units):
        counts = [Counted(sku.pk, warehouse.pk, 3, "a"), Counted(SkuFactory().pk, warehouse.pk, units, "b")]
        with pytest.raises(StockError, match="0 to 1,000,000") as caught:
            count_many(counts, actor=None, now=NOW)
        assert caught.value.row == 1
        assert not StockMovement.objects.exists()

    def test_the_row_of_a_sku_that_cannot_be_counted_is_told_though_others_are_known(self, sku, warehouse):
        self.count(sku, warehouse, 3, "a")
        bundle = SkuFactory(code="SET")
        BundleComponent.objects.create(bundle=bundle, component=sku)
        counts = [Counted(sku.pk, warehouse.pk, 3, "a"), Counted(bundle.pk, warehouse.pk, 3, "b")]
        with pytest.raises(StockError, match="SET is a bundle") as caught:
            count_many(counts, actor=None, now=NOW)
        assert caught.value.row == 1

    def test_of_two_counts_of_one_place_the_last_holds(self, sku, warehouse):
        counts = [Counted(sku.pk, warehouse.pk, units, str(units)) for units in (5, 3)]
        assert [each.quantity for each in count_many(counts, actor=None, now=NOW)] == [5, -2]
        assert on_hand(sku, warehouse) == 3

    def test_everything_of_many_receipts_can_be_gone(self, sku, warehouse):
        record_movements(
            [Movement(sku.pk, warehouse.pk, Kind.RECEIPT, 900_000, key, Source.MANUAL) for key in "ab"], now=NOW
        )
        assert self.count(sku, warehouse, 0).quantity == -1_800_000


class TestAdjustments:
    def adjust(self, sku, warehouse, quantity, key="a1", actor=None, reason="broken", **values):
        return adjust(
            sku_id=sku.pk,
            warehouse_id=warehouse.pk,
            quantity=quantity,
            key=key,
            actor=actor,
            reason=reason,
            now=NOW,
            **values,
        )

    def test_units_are_added_and_taken_away_once_with_name_and_reason(self, sku, warehouse, actor):
        assert self.adjust(sku, warehouse, 5, "in", actor, "", kind=Kind.RECEIPT).quantity == 5
        assert self.adjust(sku, warehouse, -2, "out", actor).quantity == -2
        assert self.adjust(sku, warehouse, -2, "out", actor) is None
        assert on_hand(sku, warehouse) == 3
        assert [(action, changes) for action, _name, changes, _actor in events()] == [
            ("received", {"on_hand": [0, 5]}),
            ("adjusted", {"on_hand": [5, 3]}),
        ]

    def test_two_operators_at_once_both_land(self, sku, warehouse):
        self.adjust(sku, warehouse, -2, "mine", UserFactory())
        self.adjust(sku, warehouse, -3, "yours", UserFactory())
        assert on_hand(sku, warehouse) == -5

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ({"quantity": 0}, "0 units"),
            ({"quantity": 5, "reason": " "}, "Say why"),
            ({"quantity": -5, "kind": Kind.RECEIPT}, "wrong sign"),
            ({"quantity": 2_000_000}, "more than"),
        ],
    )
    def test_what_cannot_be_is_refused(self, sku, warehouse, values, says):
        with pytest.raises(StockError, match=says):
            self.adjust(sku, warehouse, **values)
        assert not AuditEvent.objects.exists()


class TestTransfers:
    @pytest.fixture
    def destination(self):
        return WarehouseFactory(name="Shenzhen")

    def send(self, sku, source, destination, quantity=4, key="t1", actor=None):
        return send_transfer(
            sku_id=sku.pk,
            source_id=source.pk,
            destination_id=destination.pk,
            quantity=quantity,
            key=key,
            actor=actor,
            now=NOW,
        )

    def test_units_on_their_way_are_in_neither_warehouse(self, sku, warehouse, destination, actor):
        transfer = self.send(sku, warehouse, destination, actor=actor)
        assert transfer.is_in_transit
        assert on_hand(sku, warehouse) == -4
        assert not StockLevel.objects.filter(warehouse=destination).exists()
        receive_transfer(transfer_id=transfer.pk, quantity=4, actor=actor, now=NOW)
        assert on_hand(sku, destination) == 4
        assert [event[0] for event in events()] == ["sent", "received"]
        assert set(StockMovement.objects.values_list("transfer", flat=True)) == {transfer.pk}

    def test_the_rest_that_did_not_arrive_stays_told(self, sku, warehouse, destination):
        transfer = self.send(sku, warehouse, destination)
        assert transfer.missing == 0
        assert receive_transfer(transfer_id=transfer.pk, quantity=3, actor=None, now=NOW).missing == 1
        assert Transfer.objects.get().missing == 1
        assert on_hand(sku, destination) == 3

    def test_nothing_may_arrive(self, sku, warehouse, destination):
        transfer = self.send(sku, warehouse, destination)
        assert receive_transfer(transfer_id=transfer.pk, quantity=0, actor=None, now=NOW).missing == 4
        assert not StockLevel.objects.filter(warehouse=destination).exists()

    def test_sent_or_received_twice_is_booked_once(self, sku, warehouse, destination):
        transfer = self.send(sku, warehouse, destination)
        assert self.send(sku, warehouse, destination) == transfer
        for _ in range(2):
            receive_transfer(transfer_id=transfer.pk, quantity=4, actor=None, now=NOW)
        assert (on_hand(sku, warehouse), on_hand(sku, destination)) == (-4, 4)
        assert AuditEvent.objects.count() == 2
        with pytest.raises(StockError, match="already"):
            self.send(sku, warehouse, destination, quantity=5)
        with pytest.raises(StockError, match="4 units of this transfer were received already"):
            receive_transfer(transfer_id=transfer.pk, quantity=3, actor=None, now=NOW)

    def test_what_cannot_be_sent_or_received_is_refused_and_nothing_stored(self, sku, warehouse, destination):
        bundle = SkuFactory(code="SET")
        BundleComponent.objects.create(bundle=bundle, component=sku)
        for arguments, says in [
            ((sku, warehouse, destination, 0), "1 to 1,000,000"),
            ((sku, warehouse, destination, 1_000_001), "1 to 1,000,000"),
            ((sku, warehouse, warehouse), "another warehouse"),
            ((bundle, warehouse, destination), "SET is a bundle"),
        ]:
            with pytest.raises(StockError, match=says):
                self.send(*arguments)
        assert not Transfer.objects.exists()
        transfer = self.send(sku, warehouse, destination)
        for quantity in (-1, 5):
            with pytest.raises(StockError, match="4 units were sent"):
                receive_transfer(transfer_id=transfer.pk, quantity=quantity, actor=None, now=NOW)
