import sqlite3
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Count

from catalog import services
from catalog.models import AuditEvent, Channel, Listing
from catalog.signals import channel_changed, listing_changed
from tests.factories import NOW, ChannelFactory, ListingFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def news():
    """The ids that receivers of the two signals got."""
    heard = []

    def hear(sender, **kwargs):
        heard.append(kwargs.get("listing_ids") or kwargs.get("channel_ids"))

    listing_changed.connect(hear)
    channel_changed.connect(hear)
    yield heard
    listing_changed.disconnect(hear)
    channel_changed.disconnect(hear)


def test_adding_listings_stores_the_new_ones_and_tells_after_the_commit(news, django_capture_on_commit_callbacks):
    channel, owner = ChannelFactory(), UserFactory()
    with django_capture_on_commit_callbacks(execute=True):
        added = services.add_listings(
            listings=[Listing(channel=channel, platform_item_id=item) for item in ("1", "2")], actor=owner, now=NOW
        )
        assert news == []
    assert added == 2
    assert news == [list(Listing.objects.order_by("pk").values_list("pk", flat=True))]
    assert list(AuditEvent.objects.values_list("action", "actor", "channel")) == [("added", owner.pk, channel.pk)] * 2


def test_adding_a_listing_that_is_there_changes_nothing(news):
    listing = ListingFactory(title="stays")
    again = Listing(channel=listing.channel, platform_item_id=listing.platform_item_id, title="other")
    assert services.add_listings(listings=[again], actor=None, now=NOW) == 0
    assert Listing.objects.get().title == "stays"


def test_adding_a_removed_listing_brings_it_back_with_its_history():
    listing = ListingFactory(removed_at=NOW - timedelta(days=3))
    again = Listing(channel=listing.channel, platform_item_id=listing.platform_item_id)
    assert services.add_listings(listings=[again], actor=None, now=NOW) == 1
    assert Listing.objects.get().removed_at is None


def test_removing_keeps_the_row_and_can_be_undone(news, django_capture_on_commit_callbacks):
    listing = ListingFactory()
    with django_capture_on_commit_callbacks(execute=True):
        assert services.remove_listings(listings=Listing.objects.all(), actor=None, now=NOW) == 1
    assert Listing.objects.current().count() == 0
    assert Listing.objects.get().removed_at == NOW
    assert services.remove_listings(listings=Listing.objects.all(), actor=None, now=NOW) == 0
    assert services.restore_listings(listings=Listing.objects.all(), actor=None, now=NOW) == 1
    assert Listing.objects.current().get() == listing
    assert news == [[listing.pk]]


def test_stopping_a_channel_counts_only_those_that_were_watched(news, django_capture_on_commit_callbacks):
    watched, stopped = ChannelFactory(), ChannelFactory(is_watched=False)
    with django_capture_on_commit_callbacks(execute=True):
        assert services.set_watched(channels=Channel.objects.all(), is_watched=False, actor=None, now=NOW) == 1
    assert news == [[watched.pk]]
    assert AuditEvent.objects.get().changes == {"is_watched": [True, False]}
    stopped.refresh_from_db()
    assert not stopped.is_watched


def test_audit_events_can_neither_be_changed_nor_deleted():
    event = services.audit(action="tried", obj=ChannelFactory(), actor=None, now=NOW)
    for attempt in (
        event.save,
        event.delete,
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(action="x"),
    ):
        with pytest.raises(TypeError, match="append-only"):
            attempt()


def test_a_listing_is_unique_by_channel_item_and_variant():
    listing = ListingFactory(platform_sku_id="7")
    ListingFactory(channel=listing.channel, platform_item_id=listing.platform_item_id, platform_sku_id="8")
    with pytest.raises(IntegrityError), transaction.atomic():
        ListingFactory(channel=listing.channel, platform_item_id=listing.platform_item_id, platform_sku_id="7")


@pytest.mark.parametrize("wrong", [{"pack_factor": 0}, {"platform_item_id": ""}])
def test_a_listing_sells_at_least_one_unit_of_a_named_item(wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        ListingFactory(**wrong)


@pytest.fixture
def few_parameters():
    """A SQLite that takes as few parameters in a statement as older ones did, so that fewer rows are too many."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    usual = connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 2_500)
    yield
    connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, usual)


def test_more_listings_than_a_statement_takes_are_added_removed_and_restored(few_parameters):
    channel = ChannelFactory()

    def listings():
        return [Listing(channel=channel, platform_item_id=str(item)) for item in range(1, 4_502)]

    every = Listing.objects.all()
    assert services.add_listings(listings=listings(), actor=None, now=NOW) == 4_501
    assert services.add_listings(listings=listings(), actor=None, now=NOW) == 0
    assert services.remove_listings(listings=every, actor=None, now=NOW) == 4_501
    assert services.add_listings(listings=listings(), actor=None, now=NOW) == 4_501
    assert every.current().count() == 4_501
    events = AuditEvent.objects.values("action").annotate(found=Count("pk", distinct=True)).order_by("action")
    assert [(row["action"], row["found"]) for row in events] == [
        ("added", 4_501),
        ("removed", 4_501),
        ("restored", 4_501),
    ]


def test_a_part_that_cannot_be_stored_undoes_those_before_it():
    channel = ChannelFactory()
    listings = [Listing(channel=channel, platform_item_id=str(item)) for item in range(1, 2_100)]
    listings[-1].platform_item_id = ""
    with pytest.raises(IntegrityError), transaction.atomic():
        services.add_listings(listings=listings, actor=None, now=NOW)
    assert not Listing.objects.exists()


def test_more_channels_than_a_statement_takes_are_stopped(few_parameters):
    Channel.objects.bulk_create(Channel(name=str(number)) for number in range(4_501))
    assert services.set_watched(channels=Channel.objects.all(), is_watched=False, actor=None, now=NOW) == 4_501
    assert not Channel.objects.filter(is_watched=True).exists()


@pytest.mark.parametrize("field", ["channel", "platform_item_id", "platform_sku_id"])
def test_a_listing_that_was_read_stays_the_item_whose_history_it_has(field):
    listing = ListingFactory(observed_at=NOW, platform_sku_id="7")
    setattr(listing, field, ChannelFactory(currency="JPY") if field == "channel" else "8")
    with pytest.raises(ValidationError) as caught:
        listing.full_clean()
    assert list(caught.value.message_dict) == [field]
    new = ListingFactory()
    setattr(new, field, ChannelFactory() if field == "channel" else "8")
    new.full_clean()
