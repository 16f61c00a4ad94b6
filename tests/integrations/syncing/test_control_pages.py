"""The pages by which stock sync of a channel is switched on, looked at, paused and limited; who may, and who sees."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import BundleComponent, ChannelLocation, Listing, Product, Sku, StockLevel, StockRule
from integrations.models import ChannelSync, ListingSync, SavedFilter, SyncRun
from integrations.syncing.dry_runs import make_dry_run
from integrations.syncing.rows import GUARD
from monitoring.models import ListingWatch
from tests.factories import CredentialFactory, ListingFactory, SkuFactory, UserFactory, WarehouseFactory
from tests.integrations.shops import shopify_channel
from tests.integrations.syncing.conftest import count, warehouse
from tests.staff import member, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel():
    """A channel with six listings that were read just now; five have counted stock."""
    found = CredentialFactory(app_key="k", app_secret="s", access_token="t").channel
    now = timezone.now()
    for index in range(6):
        listing = ListingFactory(channel=found, sku=SkuFactory(), stock=10, title=f"Kettle {index}")
        times = dict.fromkeys(["read_at", "tried_at", "next_due_at"], now)
        ListingWatch.objects.create(listing=listing, channel=found, outcome="read", **times)
        if index < 5:
            count(listing.sku, 10 + index)
    return found


@pytest.fixture
def operator(client, channel):
    return signed_in(client, "Operator", channel)


@pytest.fixture
def synced(channel):
    return ChannelSync.objects.create(channel=channel, is_on=True, is_confirmed=True)


def url(name, channel):
    return reverse(f"integrations:{name}", args=[channel.pk])


def page_of(client, channel):
    return client.get(reverse("admin:catalog_channel_change", args=[channel.pk])).content.decode()


def text_of(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def test_the_page_before_switching_on_says_what_happens_and_what_is_missing(client, channel, operator):
    bundle = SkuFactory()
    BundleComponent.objects.create(bundle=bundle, component=Sku.objects.earliest("pk"), units=2)
    ListingFactory(channel=channel, sku=bundle)
    ListingFactory(channel=channel, sku=None)
    told = text_of(client.get(url("sync_on", channel)))
    assert "Orders made from now on are booked." in told
    assert "earlier orders that were not sent yet: their units still lie on the shelf" in told
    assert "Listings mapped to a SKU 7 of 8" in told
    assert "SKUs with counted stock 6 of 7" in told  # a bundle is counted when its parts are
    assert "Listings read just now 2 are not" in told
    assert not ChannelSync.objects.exists()


def test_switched_on_by_a_person_it_waits_for_its_dry_run(client, channel, operator):
    answer = client.post(url("sync_on", channel), follow=True)
    sync = ChannelSync.objects.get()
    assert (sync.is_on, sync.is_confirmed) == (True, False)
    told = text_of(answer)
    assert "Nothing is sent before you apply a dry run." in told
    assert "Waits for its first dry run" in told
    assert "Full run now" not in told
    assert client.post(url("sync_off", channel), follow=True).status_code == 200
    assert not ChannelSync.objects.get().is_on


def test_keys_that_may_only_read_cannot_be_switched_on_and_the_page_says_what_to_do(client, channel, operator):
    channel.credential.reads_only = True
    channel.credential.save()
    told = text_of(client.get(url("sync_on", channel)))
    assert "lets us read, but not write" in told
    assert "test the connection" in told
    assert 'action="/connect/' not in client.get(url("sync_on", channel)).content.decode().split("<main")[-1]
    client.post(url("sync_on", channel))
    assert not ChannelSync.objects.filter(is_on=True).exists()
    assert "Switch on" not in page_of(client, channel)


def test_a_platform_whose_stock_cannot_be_written_cannot_be_switched_on(client, channel, operator, monkeypatch):
    monkeypatch.setattr("integrations.connectors.taobao.client.TaobaoConnector.capabilities", frozenset())
    assert "Stock cannot be written on" in text_of(client.get(url("sync_on", channel)))
    client.post(url("sync_on", channel))
    assert not ChannelSync.objects.filter(is_on=True).exists()


def test_a_pause_wants_a_reason_and_is_shown_with_who_paused(client, channel, operator, synced):
    answer = client.post(url("sync_pause", channel), {"reason": " "})
    assert answer.status_code == 400
    assert not ChannelSync.objects.get().is_paused
    client.post(url("sync_pause", channel), {"reason": "stocktaking"})
    page = page_of(client, channel)
    assert "stocktaking" in page
    assert operator.username in page
    assert "Resume" in page
    client.post(url("sync_resume", channel))
    assert not ChannelSync.objects.get().is_paused


@pytest.mark.parametrize(("percent", "status"), [("0", 400), ("101", 400), ("ten", 400), ("", 400), ("55", 302)])
def test_the_limit_is_1_to_100_percent(client, channel, operator, synced, percent, status):
    assert client.post(url("sync_limit", channel), {"most_zeroed_percent": percent}).status_code == status
    assert ChannelSync.objects.get().most_zeroed_percent == (55 if status == 302 else 30)


def test_a_full_run_is_begun_once_and_told(client, channel, operator, synced):
    for _press in range(2):
        answer = client.post(url("sync_run", channel), {"kind": "full"}, follow=True)
    run = SyncRun.objects.get(kind="full")
    assert run.asked_by == operator
    assert "running now" in text_of(answer)


@pytest.mark.parametrize("state", [{"is_paused": True}, {"is_confirmed": False}, {"is_on": False}])
def test_no_full_run_where_nothing_may_be_sent(client, channel, operator, synced, state):
    ChannelSync.objects.update(**state)
    client.post(url("sync_run", channel), {"kind": "full"})
    assert not SyncRun.objects.exists()


def test_a_dry_run_is_looked_at_and_applied_with_its_number(client, channel, operator, synced):
    ChannelSync.objects.update(is_confirmed=False)
    answer = client.post(url("sync_run", channel), {"kind": "dry"}, follow=True)
    told = text_of(answer)
    assert "Would change 4" in told
    assert "Left alone 1" in told
    assert "14 available" in told
    assert 'value="Apply 4 changes"' in answer.content.decode()
    run = SyncRun.objects.get()
    answer = client.post(reverse("integrations:apply_dry_run", args=[run.pk]), follow=True)
    assert "Applied: 4 listings are sent." in text_of(answer)
    assert ChannelSync.objects.get().is_confirmed
    assert "Apply 4 changes" not in answer.content.decode()


def test_a_dry_run_whose_reasons_an_older_version_told_is_still_shown(client, channel, operator, synced):
    run = make_dry_run(channel=channel, asked_by=operator, now=timezone.now())
    run.items.update(steps=[["rounded", 1, 2]])
    assert "Would change 4" in text_of(client.get(run.get_absolute_url()))


def test_what_moved_since_a_dry_run_is_told(client, channel, operator, synced):
    run = make_dry_run(channel=channel, asked_by=operator, now=timezone.now())
    count(Listing.objects.earliest("pk").sku, 1)
    told = text_of(client.post(reverse("integrations:apply_dry_run", args=[run.pk]), follow=True))
    assert "Applied: 4 listings are sent." in told
    assert "1 figure moved since the dry run. It is worked out anew" in told


def test_a_dry_run_of_which_nothing_holds_is_refused_with_the_reason(client, channel, operator, synced):
    run = make_dry_run(channel=channel, asked_by=operator, now=timezone.now())
    StockRule.objects.create(channel=channel, cap=3)
    answer = client.post(reverse("integrations:apply_dry_run", args=[run.pk]), follow=True)
    assert "5 figures are others by now. Nothing was sent." in text_of(answer)
    client.post(reverse("integrations:dry_run_again", args=[run.pk]))
    assert SyncRun.objects.count() == 2


def test_what_was_not_read_is_said_and_not_guessed(client, channel, operator, synced):
    ListingWatch.objects.update(read_at=timezone.now() - timedelta(days=1))
    told = text_of(client.post(url("sync_run", channel), {"kind": "dry"}, follow=True))
    assert "Of 5 listings it is not known what they show now" in told
    assert "— not known" in told


def zeroed(channel):
    for level in StockLevel.objects.select_related("sku"):
        count(level.sku, -level.on_hand)


def test_too_many_zeros_are_applied_only_by_somebody_who_says_so(client, channel, operator, synced):
    zeroed(channel)
    answer = client.post(url("sync_run", channel), {"kind": "dry"}, follow=True)
    assert "This run would set 5 of 5 listings to 0. Nothing was sent." in text_of(answer)
    run = SyncRun.objects.get()
    apply = reverse("integrations:apply_dry_run", args=[run.pk])
    for wrong in ({}, {"zeros": "4"}, {"zeros": "x"}):
        assert "Agree to that, or leave it." in text_of(client.post(apply, wrong, follow=True))
    client.post(apply, {"zeros": "5"})
    run.refresh_from_db()
    assert run.applied_at is not None
    assert ListingSync.objects.filter(zero_agreed_at__isnull=False).count() == 5


def test_what_is_held_stands_on_the_channels_page_and_is_left_with_a_reason(client, channel, operator, synced):
    zeroed(channel)
    for listing in Listing.objects.filter(sku__stock_levels__isnull=False):
        ListingSync.objects.update_or_create(
            listing=listing,
            defaults={"channel": channel, "state": "waiting", "cause": GUARD, "wanted": 0, "due_at": None},
        )
    page = client.get(reverse("admin:catalog_channel_change", args=[channel.pk]))
    assert "5 of 5 listings would go to 0. Nothing of that was sent." in text_of(page)
    answer = client.post(url("sync_run", channel), {"kind": "held"}, follow=True)
    assert "what would go to 0" in text_of(answer)
    assert client.post(url("sync_leave", channel), {"reason": ""}).status_code == 400
    client.post(url("sync_leave", channel), {"reason": "import was broken"})
    assert set(ListingSync.objects.values_list("state", "problem")) == {("dismissed", "import was broken")}
    assert "would go to 0" not in page_of(client, channel)


def test_what_is_held_is_told_on_the_dashboard_as_long_as_it_waits(client, channel, operator, synced):
    assert "Channels needing you 0" in text_of(client.get("/"))
    listing = Listing.objects.filter(channel=channel).earliest("pk")
    row = ListingSync.objects.create(listing=listing, channel=channel, state="waiting", cause=GUARD, wanted=0)
    told = text_of(client.get("/"))
    assert "Channels needing you 1" in told
    assert "1 listing would go to 0" in told
    assert channel.name in text_of(client.get(reverse("admin:catalog_channel_changelist") + "?tab=attention"))
    signed_in(client, "Operator")
    assert "would go to 0" not in text_of(client.get("/"))
    client.force_login(operator)
    ListingSync.objects.filter(pk=row.pk).update(state="dismissed")
    ChannelSync.objects.update(is_paused=True)
    assert "Sync paused" in text_of(client.get("/"))


def test_a_part_is_chosen_by_product_or_saved_filter(client, channel, operator, synced):
    product = Product.objects.filter(skus__listings=Listing.objects.earliest("pk")).get()
    client.post(url("sync_part", channel), {"product": product.pk})
    assert SyncRun.objects.get().scope == {"product": product.pk}
    saved = SavedFilter.objects.create(owner=operator, name="one", query="q=%22Kettle+3%22", created_at=timezone.now())
    client.post(url("sync_part", channel), {"filter": saved.pk, "full": "1"})
    run = SyncRun.objects.get(kind="full")
    assert (run.scope, run.total) == ({"filter": saved.pk}, 1)
    foreign = SavedFilter.objects.create(owner=UserFactory(), name="x", query="q=a", created_at=timezone.now())
    assert client.post(url("sync_part", channel), {"filter": foreign.pk}).status_code == 400


def test_the_filters_of_the_list_are_saved_and_deleted(client, channel, operator):
    page = client.get("/catalog/listing/?q=Kettle&o=1").content.decode()
    [address] = re.findall(r'href="([^"]*filters/save/[^"]*)"', page)
    assert "filters/save" not in client.get("/catalog/listing/").content.decode()
    address = address.replace("&amp;", "&")
    assert "6 listings now" in text_of(client.get(address))
    client.post(address, {"name": "kettles"})
    saved = SavedFilter.objects.get()
    assert (saved.owner, saved.name, saved.query) == (operator, "kettles", "q=Kettle")
    assert "filter of this name" in text_of(client.post(address, {"name": "kettles"}))
    client.post(reverse("integrations:delete_filter", args=[saved.pk]))
    assert not SavedFilter.objects.exists()


@pytest.mark.parametrize("query", ["", "o=1", "stock__gt=5", "q=" + "x" * 1_000])
def test_what_narrows_nothing_is_not_saved(client, channel, operator, query):
    answer = client.post(f"/connect/filters/save/?{query}", {"name": "all"}, follow=True)
    assert "There is nothing to save" in text_of(answer)
    assert not SavedFilter.objects.exists()


# --- Who may --------------------------------------------------------------------------------------------------------

DEEDS = ["sync_on", "sync_off", "sync_pause", "sync_resume", "sync_limit", "sync_run", "sync_part", "sync_leave"]


@pytest.mark.parametrize("role", ["Viewer", "Buyer", "Manager"])
def test_other_roles_decide_nothing(client, channel, synced, role):
    signed_in(client, role, channel)
    for name in DEEDS:
        assert client.post(url(name, channel), {"reason": "x", "kind": "dry"}).status_code == 403
    assert ChannelSync.objects.filter(is_on=True, is_paused=False).exists()
    assert not SyncRun.objects.exists()


def test_nobody_decides_over_a_channel_of_others(client, channel, synced):
    signed_in(client, "Operator")
    for name in DEEDS:
        assert client.post(url(name, channel), {"reason": "x", "kind": "dry"}).status_code == 404


def test_a_dry_run_is_seen_by_those_of_its_channel_and_decided_by_operators(client, channel, operator, synced):
    run = make_dry_run(channel=channel, asked_by=operator, now=timezone.now())
    page, apply = run.get_absolute_url(), reverse("integrations:apply_dry_run", args=[run.pk])
    client.force_login(member("Viewer", channel))
    assert "Apply" not in text_of(client.get(page))
    assert client.post(apply).status_code == 403
    client.force_login(member("Operator"))
    assert client.get(page).status_code == client.post(apply).status_code == 404
    run.refresh_from_db()
    assert run.applied_at is None


def test_a_page_of_a_dry_run_costs_no_more_for_more_listings(
    client, channel, operator, synced, django_assert_max_num_queries
):
    for _more in range(20):
        ListingFactory(channel=channel, sku=SkuFactory())
    run = make_dry_run(channel=channel, asked_by=operator, now=timezone.now())
    client.get(run.get_absolute_url())
    with django_assert_max_num_queries(20):
        client.get(run.get_absolute_url())


# --- Locations ------------------------------------------------------------------------------------------------------


def locations_form(place, location_id):
    fields = {"used": "on", "location": location_id, "position": "1"}
    return {"location_mode": "sum", **{f"{name}_{place.pk}": value for name, value in fields.items()}}


def test_the_locations_of_a_shop_are_chosen_from_what_it_has(client, simulator):
    shop = shopify_channel(simulator)
    client.force_login(UserFactory(is_superuser=True))
    place = warehouse()
    ChannelLocation.objects.create(channel=shop, warehouse=place, location_id="999")
    address = reverse("admin:catalog_stock_channel_locations", args=[shop.pk])
    page = client.get(address).content.decode()
    known = [each.rpartition("/")[2] for each in simulator.shopify.shop()["locations"]]
    options = re.findall(r'<option value="(\d+)"', page)
    assert {*known, "999"} == set(options)
    assert "999 (the shop does not have it)" in page
    chosen = next(option for option in options if option != "999")
    form = {
        "location_mode": "sum",
        f"used_{place.pk}": "on",
        f"location_{place.pk}": chosen,
        f"position_{place.pk}": "1",
    }
    assert client.post(address, form).status_code == 302
    assert ChannelLocation.objects.get().location_id == chosen
    assert client.post(address, locations_form(place, "12345")).status_code == 400


def test_a_shop_that_does_not_answer_takes_a_typed_location(client, simulator):
    shop = shopify_channel(simulator, app_secret="wrong")
    client.force_login(UserFactory(is_superuser=True))
    place = WarehouseFactory()
    address = reverse("admin:catalog_stock_channel_locations", args=[shop.pk])
    assert "The shop did not tell its locations." in text_of(client.get(address))
    assert client.post(address, locations_form(place, "77")).status_code == 302
    assert ChannelLocation.objects.get().location_id == "77"
