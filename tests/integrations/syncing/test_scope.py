"""Runs over a part of a channel: a brand, a product, or what a saved filter finds."""

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.utils import timezone

from catalog.models import Channel, Listing, Product
from integrations.models import ChannelSync, ListingSync, SavedFilter, SyncRun
from integrations.syncing import dirty, runs
from integrations.syncing.scope import Scope, UnknownScope, filtered
from tests.factories import ChannelFactory, ListingFactory, ProductFactory, SkuFactory, UserFactory
from tests.integrations.syncing.conftest import count

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    return UserFactory(is_superuser=True)


@pytest.fixture
def listings():
    """Three of one channel, the first two of one brand, and one of another channel."""
    channel, other = ChannelFactory(), ChannelFactory()
    kettle, mug = ProductFactory(name="Kettle", brand="Acme"), ProductFactory(name="Mug", brand="Acme")
    lamp = ProductFactory(name="Lamp", brand="Lumo")
    skus = [SkuFactory(product=product) for product in (kettle, mug, lamp)]
    for sku in skus:
        count(sku, 5)
    made = [ListingFactory(channel=channel, sku=sku, title=sku.product.name) for sku in skus]
    return [*made, ListingFactory(channel=other, sku=skus[0], title="Kettle")]


def save(owner, query, name="mine"):
    return SavedFilter.objects.create(owner=owner, name=name, query=query, created_at=timezone.now())


def names(found):
    return sorted(found.values_list("title", flat=True))


def test_a_scope_is_narrowed_by_all_that_it_names(listings, owner):
    channel = listings[0].channel
    saved = save(owner, "q=Kettle")
    assert names(Scope().listings(channel)) == ["Kettle", "Lamp", "Mug"]
    assert names(Scope(brand="Acme").listings(channel)) == ["Kettle", "Mug"]
    assert names(Scope(product=listings[2].sku.product_id).listings(channel)) == ["Lamp"]
    assert names(Scope(filter=saved.pk).listings(channel)) == ["Kettle"]
    assert names(Scope(brand="Lumo", filter=saved.pk).listings(channel)) == []


def test_a_scope_is_kept_and_told_in_words(listings, owner):
    saved = save(owner, "q=Kettle", "kettles")
    scope = Scope(brand="Acme", product=listings[1].sku.product_id, filter=saved.pk)
    assert Scope.from_json(scope.as_json()) == scope
    assert str(scope) == "brand Acme, product Mug, filter “kettles”"
    assert (Scope().as_json(), str(Scope()), Scope().is_whole) == ({}, "", True)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("brand=Acme", ["Kettle", "Kettle", "Mug"]),
        ("brand=Acme&q=mug", ["Mug"]),
        ("tab=unmapped", []),
        ("mapped=yes&ownership__exact=own", ["Kettle", "Kettle", "Lamp", "Mug"]),
    ],
)
def test_a_saved_filter_finds_what_the_list_shows_under_it(listings, owner, client, query, found):
    client.force_login(owner)
    answer = client.get(f"/catalog/listing/?{query}")
    assert names(filtered(save(owner, query))) == found
    assert sorted(row.title for row in answer.context["cl"].result_list) == found


@pytest.mark.parametrize("query", ["", "stock__gt=5", "channel__name=x", "brand=Acme&gone=1"])
def test_a_filter_that_narrows_nothing_is_refused_rather_than_be_everything(listings, owner, query):
    with pytest.raises(UnknownScope, match="mine"):
        filtered(save(owner, query))


def test_a_brand_that_the_owner_no_longer_sees_is_not_everything(listings, owner):
    saved = save(owner, "brand=Acme")
    Product.objects.update(brand="")
    with pytest.raises(UnknownScope):
        filtered(saved)


def test_a_deleted_filter_is_told(listings, owner):
    saved = save(owner, "q=Kettle")
    scope = Scope(filter=saved.pk)
    saved.delete()
    with pytest.raises(UnknownScope, match="deleted"):
        scope.listings(listings[0].channel)


def test_a_filter_finds_no_more_than_its_owner_sees(listings):
    someone = UserFactory()
    someone.channels.set([listings[3].channel])
    someone.user_permissions.add(Permission.objects.get(codename="view_listing"))
    found = filtered(save(someone, "q=Kettle"))
    assert set(found.values_list("channel", flat=True)) == {listings[3].channel_id}


@pytest.fixture
def synced(listings):
    channel = listings[0].channel
    ChannelSync.objects.create(channel=channel, is_on=True, is_confirmed=True)
    dirty.sweep(now=timezone.now(), channel_ids=[channel.pk])
    ListingSync.objects.update(due_at=None, state="in-sync", wanted=5, confirmed=5)
    return Channel.objects.get(pk=channel.pk)


def test_a_full_run_of_a_part_reads_that_part_back_and_is_not_the_daily_one(synced):
    now = timezone.now()
    run = dirty.begin_full(synced, scope=Scope(brand="Acme"), now=now)
    assert (run.kind, run.total, run.scope) == ("full", 2, {"brand": "Acme"})
    assert names(Listing.objects.filter(syncs__verify_at__isnull=False)) == ["Kettle", "Mug"]
    assert dirty.begin_full(synced, scope=Scope(brand="Acme"), now=now) == run
    whole = dirty.begin_full(synced, now=now)
    assert (whole.pk != run.pk, whole.total) == (True, 3)
    runs.end_run(run, now=now)
    assert ChannelSync.objects.get().full_at is None
    runs.end_run(whole, now=now)
    assert ChannelSync.objects.get().full_at == now


def test_the_command_tells_the_changes_of_a_part(listings, owner, capsys):
    channel = listings[0].channel
    save(owner, "q=Kettle", "kettles")
    call_command("sync", "--dry-run", "--channel", channel.name, "--brand", "Acme")
    assert f"{channel}: 2 would change" in capsys.readouterr().out
    call_command("sync", "--dry-run", "--channel", channel.name, "--filter", "kettles")
    assert f"{channel}: 1 would change" in capsys.readouterr().out
    call_command("sync", "--dry-run", "--channel", channel.name, "--product", "Lamp")
    assert f"{channel}: Lamp: ? -> 5" in capsys.readouterr().out
    assert not SyncRun.objects.exists()


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (["--brand", "Nobody"], "no brand “Nobody”"),
        (["--product", "Nothing"], "no product “Nothing”"),
        (["--product", "999999"], "no product “999999”"),
        (["--filter", "none"], "no saved filter “none”"),
        (["--filter", "twice"], "several saved filters"),
    ],
)
def test_the_command_refuses_what_is_not_there(listings, option, told):
    for user in UserFactory.create_batch(2):
        save(user, "q=x", "twice")
    with pytest.raises(CommandError, match=told):
        call_command("sync", "--dry-run", "--channel", listings[0].channel.name, *option)
