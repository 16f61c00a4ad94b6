"""Nobody reaches a channel that is not theirs: by list, page, form, choice, autocomplete, action or search."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from catalog.models import Channel, Listing, Product, Sku
from tests.factories import ListingFactory, SkuFactory


@pytest.fixture
def ours(own_channel):
    return ListingFactory(channel=own_channel, title="Our kettle", sku=SkuFactory(code="OUR-1"))


@pytest.fixture
def theirs(foreign_channel):
    return ListingFactory(channel=foreign_channel, title="Their kettle", sku=SkuFactory(code="THEIR-1"))


def address(obj, view):
    return reverse(f"admin:catalog_{obj._meta.model_name}_{view}", args=[obj.pk])


@pytest.mark.parametrize("model", ["listing", "channel", "product", "sku"])
def test_lists_hold_only_what_one_may_see(operator_client, ours, theirs, model):
    rows = operator_client.get(reverse(f"admin:catalog_{model}_changelist")).context["cl"].result_list
    expected = {"listing": ours, "channel": ours.channel, "product": ours.sku.product, "sku": ours.sku}[model]
    assert list(rows) == [expected]


@pytest.mark.parametrize("view", ["change", "history", "edit"])
@pytest.mark.parametrize("of", ["listing", "channel", "product", "sku"])
def test_pages_of_others_lead_nowhere(operator_client, theirs, of, view):
    obj = {"listing": theirs, "channel": theirs.channel, "product": theirs.sku.product, "sku": theirs.sku}[of]
    page = operator_client.get(address(obj, view))
    assert page.status_code == 404
    assert str(obj) not in page.text


@pytest.mark.parametrize("verb", ["remove", "restore"])
def test_listings_of_others_cannot_be_removed_or_restored(operator_client, theirs, verb):
    operator_client.post(reverse(f"admin:catalog_listing_{verb}", args=[theirs.pk]))
    theirs.refresh_from_db()
    assert theirs.removed_at is None


def test_channels_of_others_cannot_be_stopped(operator_client, theirs):
    operator_client.post(address(theirs.channel, "watch") + "?is_watched=0")
    assert Channel.objects.get(pk=theirs.channel_id).is_watched


def test_bulk_actions_skip_what_one_may_not_see(operator_client, ours, theirs):
    operator_client.post(
        reverse("admin:catalog_listing_changelist"),
        {"action": "remove", "index": "0", "select_across": "0", "_selected_action": [ours.pk, theirs.pk]},
    )
    assert set(Listing.objects.filter(removed_at__isnull=False)) == {ours}


def test_a_whole_selection_is_still_only_what_one_may_see(operator_client, ours, theirs):
    operator_client.post(
        reverse("admin:catalog_listing_changelist"),
        {"action": "remove", "index": "0", "select_across": "1", "_selected_action": [ours.pk]},
    )
    assert set(Listing.objects.filter(removed_at__isnull=False)) == {ours}


def listing_form(**fields):
    return {"platform_item_id": "616", "platform_sku_id": "", "ownership": "own", "pack_factor": "1", **fields}


def test_a_listing_cannot_be_put_on_a_channel_of_others(operator_client, theirs):
    page = operator_client.post(reverse("admin:catalog_listing_add"), listing_form(channel=theirs.channel_id))
    assert "channel" in page.context["adminform"].form.errors
    assert not Listing.objects.filter(platform_item_id="616").exists()


def test_a_listing_cannot_be_mapped_to_a_sku_of_others(operator_client, ours, theirs):
    form = listing_form(channel=ours.channel_id, platform_item_id=ours.platform_item_id, sku=theirs.sku_id)
    page = operator_client.post(address(ours, "edit"), form)
    assert "sku" in page.context["adminform"].form.errors
    ours.refresh_from_db()
    assert ours.sku.code == "OUR-1"


@pytest.mark.parametrize(("model", "field"), [("listing", "channel"), ("listing", "sku"), ("sku", "product")])
def test_autocomplete_offers_only_what_one_may_see(operator_client, ours, theirs, model, field):
    found = operator_client.get(
        reverse("admin:autocomplete"), {"app_label": "catalog", "model_name": model, "field_name": field, "term": ""}
    ).json()["results"]
    expected = {"channel": ours.channel, "sku": ours.sku, "product": ours.sku.product}[field]
    assert [row["text"] for row in found] == [str(expected)]


def test_filters_offer_only_channels_one_may_see(operator_client, own_channel, someone, ours, theirs):
    specs = operator_client.get(reverse("admin:catalog_listing_changelist")).context["cl"].filter_specs
    assert "Theirs" not in str([choice for spec in specs for choice in getattr(spec, "lookup_choices", [])])


def test_a_page_shared_with_others_shows_only_our_side(operator_client, ours, foreign_channel):
    ListingFactory(channel=foreign_channel, sku=ours.sku, title="Shared, but theirs")
    text = operator_client.get(address(ours.sku, "change")).content.decode()
    assert "Our kettle" in text
    assert "Shared, but theirs" not in text


def test_someone_without_permission_for_a_channel_gets_no_page(client, ours, django_user_model):
    client.force_login(django_user_model.objects.create(username="nobody", is_staff=True))
    assert client.get(address(ours, "change")).status_code in (302, 403)
    assert client.get(reverse("admin:catalog_listing_changelist")).status_code == 403


@pytest.mark.parametrize("role", ["Viewer", "Manager", "Buyer"])
def test_people_who_only_look_get_the_page_but_no_form(client, someone, ours, role):
    client.force_login(someone(role))
    page = client.get(address(ours, "change"))
    assert page.status_code == 200
    assert page.context["edit_url"] is None
    assert client.get(address(ours, "edit")).status_code == 403
    assert client.post(address(ours, "change"), listing_form()).status_code == 403
    assert client.post(address(ours, "remove")).status_code == 403


def test_managers_see_every_channel(client, someone, ours, theirs):
    client.force_login(someone("Manager"))
    rows = client.get(reverse("admin:catalog_listing_changelist")).context["cl"].result_list
    assert set(rows) == {ours, theirs}


def test_whoever_adds_a_channel_works_with_it(client, someone):
    user = someone("Operator")
    user.user_permissions.add(Permission.objects.get(codename="add_channel"))
    client.force_login(user)
    form = {
        "name": "New",
        "currency": "CNY",
        "time_zone": "Asia/Shanghai",
        "interval_seconds": 300,
    }
    client.post(reverse("admin:catalog_channel_add") + "?platform=taobao", form)
    assert {channel.name for channel in user.channels.all()} == {"Ours", "New"}


def test_products_that_are_not_listed_yet_are_everybodys(operator_client):
    sku = SkuFactory()
    assert operator_client.get(address(sku.product, "change")).status_code == 200
    assert Product.objects.count() == Sku.objects.count() == 1
