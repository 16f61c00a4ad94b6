from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from catalog.database import Microseconds, claim_rows, copy_rows, insert_new, refresh_statistics, update_rows
from catalog.models import Channel, Listing, Sku
from monitoring.models import ListingWatch, Observation
from tests.factories import NOW, ChannelFactory, ListingFactory, ListingWatchFactory, SkuFactory

pytestmark = pytest.mark.django_db
FIELDS = ("listing", "observed_at", "is_gap", "list_price", "live_price", "promotion_price", "stock", "shelf_state")


def row(listing, **values):
    facts = {"at": NOW, "price": Decimal("268.0001"), "stock": 0, **values}
    return (listing.pk, facts["at"], False, facts["price"], None, None, facts["stock"], "on_shelf")


def test_copied_rows_are_exactly_what_was_given():
    listing = ListingFactory()
    with transaction.atomic():
        copy_rows(Observation, FIELDS, [row(listing), row(listing, at=NOW.replace(microsecond=7), price=None)])
    assert list(Observation.objects.order_by("observed_at").values_list("observed_at", "list_price", "stock")) == [
        (NOW, Decimal("268.0001"), 0),
        (NOW.replace(microsecond=7), None, 0),
    ]


def test_a_row_that_breaks_a_constraint_raises_and_stores_none():
    listing = ListingFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        copy_rows(Observation, FIELDS, [row(listing), row(listing)])
    assert not Observation.objects.exists()


def test_rows_are_updated_each_with_its_own_values():
    first, second, third = (ListingFactory() for _ in range(3))
    rows = [(first.pk, Decimal("1.5"), "壶'%s"), (second.pk, None, "b"), (10**9, None, "nobody")]
    updated = update_rows(Listing, "id", ("list_price", "title"), rows, also={"stock": 5, "observed_at": NOW})
    assert sorted(updated) == [first.pk, second.pk]
    stored = Listing.objects.order_by("pk").values_list("list_price", "title", "stock", "observed_at")
    assert list(stored) == [
        (Decimal("1.5"), "壶'%s", 5, NOW),
        (None, "b", 5, NOW),
        (None, third.title, None, None),
    ]


def test_values_that_all_rows_have_alike_are_stored_as_any_others():
    first, second = ListingFactory(), ListingFactory()
    with transaction.atomic():
        copy_rows(Observation, FIELDS, [row(first), row(second)])
        updated = update_rows(
            Listing, "id", ("title", "live_price"), [(each.pk, "同", Decimal("3.5000")) for each in (first, second)]
        )
    assert sorted(updated) == [first.pk, second.pk]
    assert set(Observation.objects.values_list("observed_at", "is_gap", "list_price", "live_price", "shelf_state")) == {
        (NOW, False, Decimal("268.0001"), None, "on_shelf")
    }
    assert set(Listing.objects.values_list("title", "live_price")) == {("同", Decimal("3.5000"))}


def test_a_column_that_repeats_another_one_is_stored_as_any_other():
    first, second = ListingFactory(), ListingFactory()
    rows = [(first.pk, "7", "7", 7), (second.pk, "8", "8", 9)]
    update_rows(Listing, "id", ("platform_sku_id", "platform_stock_id", "stock"), rows)
    stored = Listing.objects.order_by("pk").values_list("platform_sku_id", "platform_stock_id", "stock")
    assert list(stored) == [("7", "7", 7), ("8", "8", 9)]


def test_only_rows_that_still_hold_a_value_are_updated():
    ours, theirs = uuid4(), uuid4()
    watches = [ListingWatchFactory(lease_token=token) for token in (ours, theirs, None)]
    rows = [(watch.pk,) for watch in watches]
    only = {"lease_token": ours}
    assert update_rows(ListingWatch, "listing", (), rows, also={"lease_token": None}, only=only) == [watches[0].pk]


def test_no_row_is_updated_where_none_holds_the_value_any_more():
    watch = ListingWatchFactory(lease_token=uuid4())
    only = {"lease_token": uuid4()}
    assert update_rows(ListingWatch, "listing", (), [(watch.pk,)], also={"lease_token": None}, only=only) == []


def test_more_rows_than_one_statement_takes_are_updated():
    listing = ListingFactory()
    rows = [(pk, "x") for pk in range(listing.pk, listing.pk + 40_000)]
    assert update_rows(Listing, "id", ("title",), rows) == [listing.pk]


def test_nothing_to_update_is_no_statement(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert update_rows(Listing, "id", ("title",), []) == []


def test_rows_are_claimed_up_to_the_limit():
    token = uuid4()
    for _ in range(3):
        ListingWatchFactory()
    free = ListingWatch.objects.filter(lease_token=None).order_by("pk")
    claimed = claim_rows(free[:2], ["pk", "cause"], {"lease_token": token, "lease_until": NOW})
    assert sorted(claimed) == sorted(ListingWatch.objects.filter(lease_token=token).values_list("pk", "cause"))
    assert len(claimed) == 2


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        pytest.param(datetime(2026, 11, 21, 4, 0, 0, 7, tzinfo=UTC), 1_795_233_600_000_007, id="with a fraction"),
        pytest.param(datetime(2026, 11, 21, 4, 0, tzinfo=UTC), 1_795_233_600_000_000, id="whole seconds"),
        pytest.param(None, None, id="not known"),
    ],
)
def test_times_are_read_as_microseconds(moment, expected):
    ListingFactory(observed_at=moment)
    assert Listing.objects.values_list(Microseconds("observed_at"), flat=True).get() == expected


def test_rows_that_conflict_are_left_out_of_an_insert():
    channel = ChannelFactory()
    fields = [field.name for field in Channel._meta.concrete_fields if not field.primary_key]
    rows = [
        tuple(name if field == "name" else getattr(channel, field) for field in fields)
        for name in (channel.name, "新店")
    ]
    [key] = insert_new(Channel, fields, rows)
    assert Channel.objects.get(name="新店").pk == key
    assert insert_new(Channel, fields, rows) == []
    assert insert_new(Channel, fields, []) == []
    assert Channel.objects.count() == 2


def test_what_is_known_of_a_table_is_as_new_as_its_rows():
    SkuFactory.create_batch(30)
    refresh_statistics(Sku)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'catalog_sku'")
            assert cursor.fetchone() == (30,)
