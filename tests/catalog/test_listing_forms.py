"""The forms of listings: what they take and refuse, and what they write to the audit log."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from catalog.models import AuditEvent, Listing
from tests.factories import (
    ListingFactory,
    ListingWatchFactory,
    SkuFactory,
)
from tests.staff import address, errors_of

pytestmark = pytest.mark.django_db


def listing_form(channel, **fields):
    return {
        "channel": channel.pk,
        "platform_item_id": "616",
        "platform_sku_id": "",
        "title": "",
        "ownership": "own",
        "sku": "",
        "pack_factor": "1",
        "outer_id": "",
        **fields,
    }


def test_adding_a_listing_is_logged_and_told(
    operator_client, operator, own_channel, heard, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        answer = operator_client.post(reverse("admin:catalog_listing_add"), listing_form(own_channel))
    listing = Listing.objects.get()
    assert answer.url == address(listing, "change")
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.object_id, event.channel) == (
        "added",
        operator,
        str(listing.pk),
        own_channel,
    )
    assert event.changes["platform_item_id"] == [None, "616"]
    assert ("listings", [listing.pk]) in heard


def test_editing_logs_what_was_and_what_is_by_name(operator_client, own_channel):
    listing = ListingFactory(channel=own_channel, sku=SkuFactory(code="OLD"), title="Kettle")
    new = SkuFactory(code="NEW")
    form = listing_form(
        own_channel, platform_item_id=listing.platform_item_id, title="Kettle", sku=new.pk, pack_factor="6"
    )
    operator_client.post(address(listing, "edit"), form)
    assert AuditEvent.objects.get().changes == {"sku": ["OLD", "NEW"], "pack_factor": [1, 6]}
    page = operator_client.get(address(listing, "history")).content.decode()
    assert "SKU: OLD → NEW" in page
    assert "Units per listing: 1 → 6" in page


def test_saving_without_a_change_logs_nothing(operator_client, own_channel):
    listing = ListingFactory(channel=own_channel, title="Kettle")
    form = listing_form(own_channel, platform_item_id=listing.platform_item_id, title="Kettle")
    operator_client.post(address(listing, "edit"), form)
    assert not AuditEvent.objects.exists()


def test_a_duplicate_is_refused_with_a_link_to_the_first(operator_client, own_channel):
    first = ListingFactory(channel=own_channel, platform_item_id="616")
    errors = errors_of(operator_client.post(reverse("admin:catalog_listing_add"), listing_form(own_channel)))
    assert "already a listing of the channel" in errors
    assert address(first, "change") in errors


def test_a_removed_listing_is_offered_for_restoring(operator_client, own_channel):
    gone = ListingFactory(
        channel=own_channel, platform_item_id="616", removed_at=datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
    )
    errors = errors_of(operator_client.post(reverse("admin:catalog_listing_add"), listing_form(own_channel)))
    assert "was removed on 2026-11-20" in errors
    assert "Restore" in operator_client.get(address(gone, "change")).content.decode()
    operator_client.post(address(gone, "restore"))
    gone.refresh_from_db()
    assert gone.removed_at is None


def test_removing_and_restoring_are_logged_and_told(
    operator_client, own_channel, heard, django_capture_on_commit_callbacks
):
    listing = ListingFactory(channel=own_channel)
    with django_capture_on_commit_callbacks(execute=True):
        operator_client.post(address(listing, "remove"))
        operator_client.post(address(listing, "restore"))
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == ["removed", "restored"]
    assert heard.count(("listings", [listing.pk])) == 2


def test_a_listing_cannot_be_deleted_by_anybody(admin_client):
    listing = ListingFactory()
    assert admin_client.post(address(listing, "delete"), {"post": "yes"}).status_code == 403
    admin_client.post(
        reverse("admin:catalog_listing_changelist"),
        {"action": "delete_selected", "index": "0", "_selected_action": [listing.pk], "post": "yes"},
    )
    assert Listing.objects.filter(pk=listing.pk).exists()


def test_removing_needs_a_post(operator_client, own_channel):
    assert operator_client.get(address(ListingFactory(channel=own_channel), "remove")).status_code == 405


def test_a_listing_that_was_read_keeps_its_channel_and_ids(operator_client, operator, own_channel, foreign_channel):
    operator.channels.add(foreign_channel)
    listing = ListingFactory(
        channel=own_channel, platform_item_id="616", observed_at=datetime(2026, 11, 20, tzinfo=UTC)
    )
    page = operator_client.get(address(listing, "edit"))
    assert "Channel and ids stay" in page.text
    assert 'name="platform_item_id"' not in page.text
    form = listing_form(foreign_channel, platform_item_id="617", platform_sku_id="9", title="Kettle")
    operator_client.post(address(listing, "edit"), form)
    listing.refresh_from_db()
    assert (listing.channel, listing.platform_id, listing.title) == (own_channel, "616", "Kettle")


def test_the_watch_of_a_new_listing_follows_it_to_another_channel(
    operator_client, operator, own_channel, foreign_channel, django_capture_on_commit_callbacks
):
    operator.channels.add(foreign_channel)
    listing = ListingFactory(channel=own_channel)
    ListingWatchFactory(listing=listing)
    form = listing_form(foreign_channel, platform_item_id=listing.platform_item_id, title=listing.title)
    with django_capture_on_commit_callbacks(execute=True):
        operator_client.post(address(listing, "edit"), form)
    listing.refresh_from_db()
    assert listing.channel == listing.watch.channel == foreign_channel


def test_saving_the_form_does_not_undo_a_reading_that_came_meanwhile(operator_client, own_channel, monkeypatch):
    listing = ListingFactory(channel=own_channel)

    def clean(self):
        Listing.objects.filter(pk=self.pk).update(stock=3)

    monkeypatch.setattr(Listing, "clean", clean)
    form = listing_form(own_channel, platform_item_id=listing.platform_item_id, title="Kettle")
    operator_client.post(address(listing, "edit"), form)
    listing.refresh_from_db()
    assert (listing.title, listing.stock) == ("Kettle", 3)


@pytest.mark.parametrize(
    ("pasted", "typed_sku_id", "ids"),
    [
        ("https://item.taobao.com/item.htm?id=603455037983&skuId=4400000000001", "", "603455037983/4400000000001"),
        ("https://detail.tmall.com/item.htm?spm=a1.b2&skuId=44&id=603455037983&x=" + "y" * 200, "", "603455037983/44"),
        (" detail.tmall.com/item.htm?abid=5&id=603455037983 ", "", "603455037983"),
        ("https://item.taobao.com/item.htm?id=603455037983&skuId=44", "45", "603455037983/45"),
        ("603455037983", "44", "603455037983/44"),
    ],
)
def test_the_ids_are_taken_from_a_pasted_address(operator_client, own_channel, pasted, typed_sku_id, ids):
    form = listing_form(own_channel, platform_item_id=pasted, platform_sku_id=typed_sku_id)
    operator_client.post(reverse("admin:catalog_listing_add"), form)
    assert Listing.objects.get().platform_id == ids


def test_an_address_pasted_into_an_unread_listing_changes_both_ids(operator_client, own_channel):
    listing = ListingFactory(channel=own_channel)
    address_of_item = "https://item.taobao.com/item.htm?id=603455037983&skuId=44"
    operator_client.post(address(listing, "edit"), listing_form(own_channel, platform_item_id=address_of_item))
    listing.refresh_from_db()
    assert listing.platform_id == "603455037983/44"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("platform_item_id", "abc"),
        ("platform_item_id", "1" * 21),
        ("platform_item_id", "١٢٣"),  # digits, but not the platform's
        ("platform_item_id", "https://example.com/item.htm?id=603455037983"),
        ("platform_item_id", "https://example.com/?u=item.taobao.com/item.htm?id=603455037983"),
        ("platform_item_id", "https://shop.taobao.com/"),
        ("platform_sku_id", "red"),
    ],
)
def test_an_id_that_the_platform_cannot_have_is_refused(operator_client, own_channel, field, value):
    page = operator_client.post(reverse("admin:catalog_listing_add"), listing_form(own_channel, **{field: value}))
    assert "1 to 20 digits" in page.context["adminform"].form.errors[field][0]
    assert not Listing.objects.exists()
