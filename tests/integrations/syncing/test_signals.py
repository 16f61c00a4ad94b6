"""From a booked movement to the push lane, without anybody asking for it."""

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from catalog.models import BundleComponent, Listing, StockMovement
from catalog.stock.ledger import Movement, record_movements
from integrations import tasks
from integrations.models import ChannelSync, ListingSync
from integrations.syncing.wanted import wanted_of
from tests.factories import ChannelFactory, ListingFactory, SkuFactory
from tests.integrations.syncing.conftest import warehouse

pytestmark = pytest.mark.django_db


@pytest.fixture
def synced(django_capture_on_commit_callbacks):
    """A listing with 5 units, on a channel that is synced, and in sync."""
    listing = ListingFactory(sku=SkuFactory())
    ChannelSync.objects.create(channel=listing.channel, is_on=True, is_confirmed=True)
    with django_capture_on_commit_callbacks(execute=True):
        book(listing.sku, 5, "first")
    tasks.sweep_stock()
    [wanted] = wanted_of([listing.pk]).values()
    marks = {"synced_version": wanted.version, "synced_rule": wanted.rule}
    ListingSync.objects.update(due_at=None, changed_at=None, state="in-sync", wanted=5, confirmed=5, **marks)
    OrmQ.objects.all().delete()
    return listing


def book(sku, units, key):
    movement = Movement(sku.pk, warehouse().pk, StockMovement.Kind.COUNT, units, key, StockMovement.Source.COUNT)
    record_movements([movement], now=timezone.now())


def queued():
    return [(task.key, task.func()) for task in OrmQ.objects.order_by("pk")]


def test_a_movement_makes_its_listings_due_and_starts_the_lane_at_once(synced, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        book(synced.sku, -1, "second")
        assert queued() == [], "nothing before the commit"
    row = ListingSync.objects.get()
    assert (row.state, row.due_at is not None, row.changed_at is not None) == ("waiting", True, True)
    assert queued() == [("interactive", "integrations.tasks.push_lane")]


def test_a_movement_of_a_component_makes_its_bundles_due(synced, django_capture_on_commit_callbacks):
    component = SkuFactory()
    BundleComponent.objects.create(bundle=synced.sku, component=component, units=2)
    with django_capture_on_commit_callbacks(execute=True):
        book(component, 9, "second")
    assert ListingSync.objects.get().due_at is not None


def test_a_channel_that_is_not_synced_has_no_rows_and_starts_nothing(django_capture_on_commit_callbacks):
    listing = ListingFactory(sku=SkuFactory(), channel=ChannelFactory())
    with django_capture_on_commit_callbacks(execute=True):
        book(listing.sku, 4, "first")
    assert (tasks.sweep_stock(), queued()) == ("0 due", [])
    assert not ListingSync.objects.exists()


def test_a_newly_mapped_listing_is_due_at_once(synced, django_capture_on_commit_callbacks):
    other = ListingFactory(channel=synced.channel)
    Listing.objects.filter(pk=other.pk).update(sku=synced.sku)
    tasks.push_changed_listings(None, [other.pk])
    assert ListingSync.objects.get(listing=other).due_at is not None
    assert ("interactive", "integrations.tasks.push_lane") in queued()


def test_a_sku_that_was_never_counted_is_never_pushed(synced):
    ListingFactory(channel=synced.channel, sku=SkuFactory())
    assert tasks.sweep_stock() == "0 due"


def test_the_sweep_takes_a_constant_number_of_statements(synced, django_assert_max_num_queries):
    for number in range(30):
        listing = ListingFactory(channel=synced.channel, sku=SkuFactory())
        book(listing.sku, number, f"of {number}")
    with django_assert_max_num_queries(28):
        assert tasks.sweep_stock() == "30 due"
    with django_assert_max_num_queries(28):
        assert tasks.sweep_stock() == "0 due"


def test_marking_many_skus_takes_a_constant_number_of_statements(synced, django_assert_max_num_queries):
    from integrations.syncing import dirty

    for _number in range(20):
        listing = ListingFactory(channel=synced.channel, sku=SkuFactory())
        ListingSync.objects.create(listing=listing, channel=listing.channel)
    skus = list(Listing.objects.values_list("sku", flat=True))
    with django_assert_max_num_queries(6):
        assert dirty.mark_dirty(skus, now=timezone.now()) == 21


def test_a_lane_with_nothing_to_do_queues_nothing(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    assert "0 sent" in tasks.push_lane()
    assert queued() == []
