"""The ledger: what is booked once, what is refused, and levels that are always its sums."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from catalog.models import BundleComponent, Sku, StockLevel, StockMovement
from catalog.signals import stock_changed
from catalog.stock.ledger import Kind, Movement, Source, StockError, check, rebuild, record_movements, reserve
from tests.factories import NOW, SkuFactory, StockLevelFactory, WarehouseFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def sku():
    return SkuFactory(code="EV-KET-600")


@pytest.fixture
def warehouse():
    return WarehouseFactory(code="HZ")


@pytest.fixture
def told():
    """What stock_changed said, call by call."""
    calls = []

    def receive(sender, sku_ids, **kwargs):
        calls.append(sku_ids)

    stock_changed.connect(receive)
    yield calls
    stock_changed.disconnect(receive)


def movement(sku, warehouse, kind=Kind.RECEIPT, quantity=5, key="k1", **values):
    return Movement(sku.pk, warehouse.pk, kind, quantity, key, Source.MANUAL, **values)


def level(sku, warehouse):
    return StockLevel.objects.values_list("on_hand", "reserved", "available").get(sku=sku, warehouse=warehouse)


@pytest.mark.parametrize(
    ("booked", "expected"),
    [
        pytest.param([(Kind.RECEIPT, 5)], (5, 0, 5), id="receipt"),
        pytest.param([(Kind.RECEIPT, 5), (Kind.SALE, -2)], (3, 0, 3), id="sale"),
        pytest.param([(Kind.RECEIPT, 5), (Kind.RESERVE, 2)], (5, 2, 3), id="reserved"),
        pytest.param([(Kind.RECEIPT, 5), (Kind.RESERVE, 2), (Kind.RELEASE, -2)], (5, 0, 5), id="released"),
        pytest.param([(Kind.SALE, -2)], (-2, 0, -2), id="oversold stays visible"),
        pytest.param([(Kind.COUNT, 0)], (0, 0, 0), id="counted, and there is none"),
        pytest.param(
            [(Kind.RECEIPT, 5), (Kind.RETURN, 1), (Kind.ADJUSTMENT, -3)], (3, 0, 3), id="return and adjustment"
        ),
        pytest.param([(Kind.TRANSFER_IN, 4), (Kind.TRANSFER_OUT, -1)], (3, 0, 3), id="transfers"),
    ],
)
def test_a_level_is_the_sum_of_its_movements(sku, warehouse, booked, expected):
    for n, (kind, quantity) in enumerate(booked):
        record_movements([movement(sku, warehouse, kind, quantity, key=f"one by one {n}")], now=NOW)
    assert level(sku, warehouse) == expected
    other = WarehouseFactory()
    record_movements([movement(sku, other, kind, units, key=f"{n}") for n, (kind, units) in enumerate(booked)], now=NOW)
    assert level(sku, other) == expected
    assert check() == []


def test_the_same_movement_again_is_booked_once(sku, warehouse):
    first = movement(sku, warehouse, quantity=5, key="k1")
    assert record_movements([first, first], now=NOW) == [first]
    assert record_movements([first], now=NOW + timedelta(days=1)) == []
    second = movement(sku, warehouse, quantity=7, key="k2")
    assert record_movements([first, second], now=NOW) == [second]
    assert level(sku, warehouse) == (12, 0, 12)
    assert Sku.objects.get(pk=sku.pk).stock_version == 2


@pytest.mark.parametrize("values", [{"quantity": 6}, {"kind": Kind.ADJUSTMENT}])
def test_a_key_that_stands_for_something_else_is_refused_and_nothing_booked(sku, warehouse, values):
    record_movements([movement(sku, warehouse)], now=NOW)
    with pytest.raises(StockError, match="was booked already") as caught:
        record_movements([movement(sku, warehouse, key="k0"), movement(sku, warehouse, **values)], now=NOW)
    assert caught.value.row == 1
    with pytest.raises(StockError):
        record_movements([movement(SkuFactory(), warehouse)], now=NOW)
    assert StockMovement.objects.count() == 1
    assert level(sku, warehouse) == (5, 0, 5)


def test_a_key_with_two_contents_in_one_call_is_refused(sku, warehouse):
    with pytest.raises(StockError) as caught:
        record_movements([movement(sku, warehouse), movement(sku, warehouse, quantity=6)], now=NOW)
    assert caught.value.row == 1
    assert not StockMovement.objects.exists()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        pytest.param({"quantity": 1_000_001}, "1,000,001 is more than the 1,000,000", id="too many"),
        pytest.param({"quantity": -1_000_001, "kind": Kind.SALE}, "more than", id="too many sold"),
        pytest.param({"quantity": 0}, "0 units", id="none"),
        pytest.param({"quantity": 3, "kind": Kind.SALE}, "sale of 3 units has the wrong sign", id="sale of more"),
        pytest.param({"quantity": -3, "kind": Kind.RESERVE}, "wrong sign", id="reservation of less"),
        pytest.param({"key": ""}, "key", id="no key"),
    ],
)
def test_what_cannot_be_is_refused_with_its_row_and_nothing_is_booked(sku, warehouse, values, says):
    with pytest.raises(StockError, match=says) as caught:
        record_movements([movement(sku, warehouse, key="fine"), movement(sku, warehouse, **values)], now=NOW)
    assert caught.value.row == 1
    assert not StockMovement.objects.exists()
    assert not StockLevel.objects.exists()


def test_unknown_skus_and_warehouses_and_bundles_are_refused(sku, warehouse):
    bundle = SkuFactory(code="EV-SET")
    BundleComponent.objects.create(bundle=bundle, component=sku)
    missing = movement(sku, warehouse, key="b")
    for wrong, says in [
        (Movement(10**9, warehouse.pk, Kind.RECEIPT, 1, "x", Source.MANUAL), "SKU does not exist"),
        (Movement(sku.pk, 10**9, Kind.RECEIPT, 1, "x", Source.MANUAL), "warehouse does not exist"),
        (movement(bundle, warehouse, key="x"), "EV-SET is a bundle"),
    ]:
        with pytest.raises(StockError, match=says) as caught:
            record_movements([missing, wrong], now=NOW)
        assert caught.value.row == 1
    assert not StockMovement.objects.exists()


def test_versions_rise_and_news_is_sent_for_what_was_new_and_the_bundles_of_it(
    sku, warehouse, told, django_capture_on_commit_callbacks
):
    bundle, other = SkuFactory(), SkuFactory()
    BundleComponent.objects.create(bundle=bundle, component=sku)
    with django_capture_on_commit_callbacks(execute=True):
        record_movements([movement(sku, warehouse)], now=NOW)
    assert [Sku.objects.get(pk=each.pk).stock_version for each in (sku, bundle, other)] == [1, 1, 0]
    assert told == [sorted([sku.pk, bundle.pk])]
    with django_capture_on_commit_callbacks(execute=True):
        record_movements([movement(sku, warehouse)], now=NOW)
    assert Sku.objects.get(pk=sku.pk).stock_version == 1
    assert len(told) == 1


def test_a_form_that_was_open_meanwhile_does_not_turn_the_version_back(sku, warehouse):
    as_read = Sku.objects.get(pk=sku.pk)
    record_movements([movement(sku, warehouse)], now=NOW)
    as_read.name = "600 ml"
    as_read.save()
    sku.refresh_from_db()
    assert (sku.name, sku.stock_version) == ("600 ml", 1)


def test_only_what_says_how_much_there_is_makes_a_level_counted(sku, warehouse):
    def is_counted():
        return StockLevel.objects.get(sku=sku).is_counted

    for n, (kind, quantity) in enumerate(
        [(Kind.SALE, -1), (Kind.RESERVE, 1), (Kind.RETURN, 1), (Kind.TRANSFER_OUT, -1)]
    ):
        record_movements([movement(sku, warehouse, kind, quantity, key=str(n))], now=NOW)
        assert not is_counted()
    record_movements([movement(sku, warehouse, Kind.COUNT, 0, key="count")], now=NOW)
    assert is_counted()
    record_movements([movement(sku, warehouse, Kind.SALE, -1, key="sale")], now=NOW)
    assert is_counted()


def test_statements_do_not_grow_with_the_movements(warehouse):
    def statements(count):
        skus = [SkuFactory() for _ in range(count)]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            record_movements([movement(sku, warehouse, key=f"{count}-{sku.pk}") for sku in skus], now=NOW)
        return len(queries)

    assert statements(2) == statements(40) <= 12


def test_ten_thousand_movements_take_as_many_statements_as_a_few(warehouse, django_assert_max_num_queries):
    first = SkuFactory()
    Sku.objects.bulk_create(Sku(code=f"BULK-{n}", product=first.product) for n in range(2_500))
    skus = list(Sku.objects.all()[:2_500])
    movements = [movement(sku, warehouse, key=f"{sku.pk}-{n}", quantity=n + 1) for sku in skus for n in range(4)]
    with django_assert_max_num_queries(40):
        assert len(record_movements(movements, now=NOW)) == 10_000
    assert set(StockLevel.objects.values_list("on_hand", flat=True)) == {10}
    assert record_movements(movements, now=NOW) == []


class TestReserving:
    def reserve(self, sku, quantity, key="r1", **values):
        return reserve(sku_id=sku.pk, quantity=quantity, key=key, source=Source.MANUAL, now=NOW, **values)

    def test_units_are_promised_while_there_are_enough(self, sku, warehouse):
        record_movements([movement(sku, warehouse, quantity=3)], now=NOW)
        assert self.reserve(sku, 2, "a")
        assert not self.reserve(sku, 2, "b")
        assert self.reserve(sku, 1, "c")
        assert not self.reserve(sku, 1, "d")
        assert level(sku, warehouse) == (3, 3, 0)

    def test_the_same_key_is_the_same_promise(self, sku, warehouse):
        record_movements([movement(sku, warehouse, quantity=3)], now=NOW)
        assert self.reserve(sku, 2)
        assert self.reserve(sku, 2)
        with pytest.raises(StockError, match="another content"):
            self.reserve(sku, 1)
        assert level(sku, warehouse) == (3, 2, 1)

    def test_the_first_warehouse_that_has_enough_is_asked_and_else_all_of_them(self, sku):
        first, second, off = (WarehouseFactory(position=n, is_active=n < 3) for n in (1, 2, 3))
        record_movements(
            [
                movement(sku, each, quantity=units, key=str(units))
                for each, units in ((first, 2), (second, 3), (off, 9))
            ],
            now=NOW,
        )
        assert self.reserve(sku, 3, "a")
        assert level(sku, second) == (3, 3, 0)
        assert not self.reserve(sku, 3, "b")
        assert self.reserve(sku, 2, "c")
        assert level(sku, first) == (2, 2, 0)

    def test_units_are_put_together_from_several_warehouses(self, sku):
        first, second = WarehouseFactory(position=1), WarehouseFactory(position=2)
        record_movements([movement(sku, each, quantity=2, key=each.code) for each in (first, second)], now=NOW)
        assert self.reserve(sku, 3)
        assert self.reserve(sku, 3)
        assert (level(sku, first), level(sku, second)) == ((2, 2, 0), (2, 1, 1))

    def test_a_bundle_is_promised_with_all_components_or_not_at_all(self, sku, warehouse):
        bundle, filter_paper = SkuFactory(), SkuFactory()
        BundleComponent.objects.create(bundle=bundle, component=sku, units=1)
        BundleComponent.objects.create(bundle=bundle, component=filter_paper, units=2)
        stock = [(sku, 5, "a"), (filter_paper, 5, "b")]
        record_movements([movement(each, warehouse, quantity=units, key=key) for each, units, key in stock], now=NOW)
        assert self.reserve(bundle, 2, "x")
        assert not self.reserve(bundle, 1, "y")
        assert (level(sku, warehouse), level(filter_paper, warehouse)) == ((5, 2, 3), (5, 4, 1))

    def test_it_can_be_made_in_any_case_and_shows_as_oversold(self, sku, warehouse):
        record_movements([movement(sku, warehouse, quantity=1)], now=NOW)
        assert self.reserve(sku, 3, only_if_available=False)
        assert level(sku, warehouse) == (1, 3, -2)

    def test_what_nobody_counted_is_not_promised(self, sku, warehouse):
        assert not self.reserve(sku, 1)

    @pytest.mark.parametrize("quantity", [0, -1, 1_000_001])
    def test_units_beyond_reason_are_refused(self, sku, warehouse, quantity):
        with pytest.raises(StockError, match="1 to 1,000,000"):
            self.reserve(sku, quantity)


class TestRebuilding:
    @pytest.fixture
    def wrong(self, sku, warehouse):
        """A level that was written by hand, one without movements, and movements without a level."""
        record_movements(
            [movement(sku, warehouse, quantity=5), movement(sku, warehouse, Kind.RESERVE, 1, "r")], now=NOW
        )
        StockLevel.objects.update(on_hand=9, is_counted=False)
        StockLevelFactory(sku=SkuFactory(code="GHOST"), warehouse=warehouse, on_hand=2)
        lost = SkuFactory(code="LOST")
        record_movements([movement(lost, warehouse, quantity=7, key="lost")], now=NOW)
        StockLevel.objects.filter(sku=lost).delete()

    def test_levels_that_differ_are_told(self, wrong):
        found = [(each.sku, each.warehouse, each.level, each.ledger) for each in check()]
        assert found == [
            ("EV-KET-600", "HZ", (9, 1), (5, 1)),
            ("GHOST", "HZ", (2, 0), None),
            ("LOST", "HZ", None, (7, 0)),
        ]

    def test_levels_become_what_the_ledger_says(self, wrong, sku, warehouse):
        version = Sku.objects.get(pk=sku.pk).stock_version
        assert len(rebuild(now=NOW)) == 3
        assert check() == []
        assert level(sku, warehouse) == (5, 1, 4)
        assert level(Sku.objects.get(code="LOST"), warehouse) == (7, 0, 7)
        assert not StockLevel.objects.filter(sku__code="GHOST").exists()
        assert Sku.objects.get(pk=sku.pk).stock_version == version + 1
        assert all(StockLevel.objects.values_list("is_counted", flat=True))
        assert rebuild(now=NOW) == []

    def test_the_command_fails_with_the_rows_that_differ(self, wrong):
        out = StringIO()
        with pytest.raises(CommandError, match="3 levels differ") as caught:
            call_command("rebuild_stock", "--check", stdout=out)
        assert caught.value.returncode == 1
        assert "EV-KET-600 · HZ: level 9 on hand, 1 reserved, ledger 5 on hand, 1 reserved" in out.getvalue()
        assert len(check()) == 3

    def test_the_command_mends_and_is_content_afterwards(self, wrong):
        out = StringIO()
        call_command("rebuild_stock", stdout=out)
        assert "3 levels rebuilt." in out.getvalue()
        call_command("rebuild_stock", "--check", stdout=out)
        assert "All 2 levels are the sums of their movements." in out.getvalue()


def test_an_error_within_a_larger_transaction_leaves_it_usable(sku, warehouse):
    with transaction.atomic():
        record_movements([movement(sku, warehouse)], now=NOW)
        with pytest.raises(StockError):
            record_movements([movement(sku, warehouse, quantity=9), movement(sku, warehouse, key="k2")], now=NOW)
        record_movements([movement(sku, warehouse, key="k3")], now=NOW)
    assert level(sku, warehouse) == (10, 0, 10)
