"""Titles of forms, channels, and deleting."""

import pytest
from django.urls import reverse

from catalog.models import AuditEvent, Channel, Sku
from tests.factories import (
    ListingFactory,
    SkuFactory,
    SupplierFactory,
)
from tests.staff import address, errors_of

pytestmark = pytest.mark.django_db


# --- Titles


@pytest.mark.parametrize(("language", "title"), [("en", "Add user"), ("zh-hans", "添加用户")])
def test_the_title_of_an_add_form_is_one_phrase(admin_client, language, title):
    admin_client.cookies["django_language"] = language
    assert f"<h1>{title}</h1>" in admin_client.get(reverse("admin:catalog_user_add")).text


def test_a_sku_is_called_so_when_it_is_deleted(admin_client):
    assert "Delete SKU “EV-9”?" in admin_client.get(address(SkuFactory(code="EV-9"), "delete")).text


def test_languages_bear_their_own_names(admin_client):
    admin_client.cookies["django_language"] = "zh-hans"
    text = admin_client.get(reverse("admin:catalog_supplier_changelist")).text
    assert ">English</button>" in text
    assert ">简体中文</button>" in text


# --- Channels


@pytest.mark.parametrize("seconds", [29, 604_801])
def test_the_limits_of_a_channels_interval_are_said_before_and_after(operator_client, own_channel, seconds):
    assert "from 30 seconds to 7 days" in operator_client.get(address(own_channel, "edit")).text
    form = {"name": "Ours", "platform": "taobao", "currency": "CNY", "time_zone": "Asia/Shanghai"}
    page = operator_client.post(address(own_channel, "edit"), {**form, "interval_seconds": seconds})
    assert "enter 30 to 604800" in errors_of(page)


def test_a_channels_page_says_its_interval_in_words(operator_client, own_channel):
    assert "read every 5 min" in operator_client.get(address(own_channel, "change")).text


def test_a_channel_is_stopped_and_started_again(
    operator_client, own_channel, heard, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        operator_client.post(address(own_channel, "watch") + "?is_watched=0")
        assert not Channel.objects.get().is_watched
        operator_client.post(address(own_channel, "watch") + "?is_watched=1")
    assert Channel.objects.get().is_watched
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == ["stopped", "started"]
    assert ("channels", [own_channel.pk]) in heard


def test_a_currency_that_the_platform_cannot_have_is_refused(operator_client, own_channel, admin_client):
    form = {"name": "Ours", "currency": "USD", "time_zone": "UTC", "interval_seconds": 300}
    assert "counts in CNY only" in errors_of(operator_client.post(address(own_channel, "edit"), form))
    for platform, refused in (("taobao", True), ("shopify", False)):
        page = admin_client.post(f"/catalog/channel/add/?platform={platform}", {**form, "name": platform})
        assert (page.status_code == 200 and "counts in CNY only" in errors_of(page)) is refused
    assert list(Channel.objects.exclude(pk=own_channel.pk).values_list("platform", "currency")) == [("shopify", "USD")]


def test_a_channel_with_listings_keeps_its_currency(operator_client, own_channel):
    ListingFactory(channel=own_channel)
    form = {"name": "Ours", "platform": "taobao", "currency": "USD", "time_zone": "Moon/Base", "interval_seconds": 5}
    errors = errors_of(operator_client.post(address(own_channel, "edit"), form))
    assert "Its history is in CNY" in errors
    assert "is not a time zone" in errors
    assert "interval_seconds" in errors


def test_a_channel_with_listings_is_not_deleted(admin_client, own_channel):
    ListingFactory(channel=own_channel)
    assert admin_client.post(address(own_channel, "delete"), {"post": "yes"}).status_code == 403


# --- Deleting


def test_deleting_is_logged(admin_client):
    supplier = SupplierFactory(name="Factory 7")
    admin_client.post(address(supplier, "delete"), {"post": "yes"})
    event = AuditEvent.objects.get()
    assert (event.action, event.object_type, event.object_name) == ("deleted", "catalog.supplier", "Factory 7")


def test_what_is_in_use_is_not_deleted_and_its_users_are_not_named(admin_client, own_channel):
    listing = ListingFactory(channel=own_channel, title="Secret kettle", sku=SkuFactory())
    page = admin_client.post(address(listing.sku, "delete"), {"post": "yes"}).content.decode()
    assert "1 object that uses it" in page
    assert "Secret kettle" not in page
    assert Sku.objects.filter(pk=listing.sku_id).exists()
