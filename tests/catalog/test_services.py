from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

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
