"""Channel scope: what a person sees follows from the channels they work with."""

import pytest
from django.contrib.auth.models import Group

from catalog import services
from catalog.models import AuditEvent, Channel, Listing, Product, Sku, User
from config.roles import ROLES, create_roles
from monitoring.models import Observation, PollRun
from tests.factories import NOW, ChannelFactory, ListingFactory, ProductFactory, SkuFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def seen_and_hidden():
    """A person with one of two channels; everything exists once on each."""
    operator = UserFactory()
    rows = {}
    for name in ("seen", "hidden"):
        channel = ChannelFactory(name=name)
        listing = ListingFactory(channel=channel, sku=SkuFactory(code=name))
        PollRun.objects.create(channel=channel, started_at=NOW)
        Observation.objects.create(listing=listing, observed_at=NOW, shelf_state="unknown")
        services.audit(action="tried", obj=listing, actor=None, now=NOW)
        rows[name] = listing
    operator.channels.add(rows["seen"].channel)
    return User.objects.get(pk=operator.pk), rows


@pytest.mark.parametrize(
    ("model", "channel_of"),
    [
        (Channel, lambda row: row.name),
        (Listing, lambda row: row.channel.name),
        (Sku, lambda row: row.code),
        (Product, lambda row: row.skus.get().code),
        (PollRun, lambda row: row.channel.name),
        (Observation, lambda row: row.listing.channel.name),
        (AuditEvent, lambda row: row.channel.name),
    ],
)
def test_a_person_sees_their_channels_and_an_owner_sees_all(seen_and_hidden, model, channel_of):
    operator, _rows = seen_and_hidden
    owner = UserFactory(is_superuser=True)
    assert [channel_of(row) for row in model.objects.visible_to(operator)] == ["seen"]
    assert sorted(channel_of(row) for row in model.objects.visible_to(owner)) == ["hidden", "seen"]


def test_a_product_listed_on_both_channels_is_seen_once(seen_and_hidden):
    operator, rows = seen_and_hidden
    ListingFactory(channel=rows["hidden"].channel, sku=rows["seen"].sku)
    assert Product.objects.visible_to(operator).get() == rows["seen"].sku.product


def test_what_is_not_listed_yet_is_seen_by_everyone(seen_and_hidden):
    operator, _rows = seen_and_hidden
    sku = SkuFactory()
    empty = ProductFactory()
    assert sku in Sku.objects.visible_to(operator)
    assert {sku.product, empty} <= set(Product.objects.visible_to(operator))


def test_roles_exist_after_migrate_and_mend_themselves():
    assert set(Group.objects.values_list("name", flat=True)) >= set(ROLES)
    operator = Group.objects.get(name="Operator")
    operator.permissions.clear()
    own = Group.objects.create(name="Night shift")
    create_roles()
    create_roles()
    assert operator.permissions.filter(codename="change_listing").exists()
    assert not operator.permissions.filter(codename="view_cost").exists()
    assert Group.objects.get(pk=own.pk).permissions.count() == 0


def test_a_manager_sees_every_channel_and_costs():
    added = UserFactory()
    added.groups.add(Group.objects.get(name="Manager"))
    manager = User.objects.get(pk=added.pk)
    assert manager.sees_all_channels
    assert manager.has_perm("catalog.view_cost")
    assert not manager.has_perm("catalog.change_listing")
