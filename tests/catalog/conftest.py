"""People of each role, and the channel they work with."""

import pytest
from django.contrib.auth.models import Group

from catalog.signals import channel_changed, listing_changed
from tests.factories import ChannelFactory, UserFactory


@pytest.fixture
def own_channel(db):
    return ChannelFactory(name="Ours")


@pytest.fixture
def foreign_channel(db):
    return ChannelFactory(name="Theirs")


@pytest.fixture
def someone(own_channel):
    """Makes a member of staff with a role, on our channel only."""

    def make(role):
        user = UserFactory()
        user.groups.add(Group.objects.get(name=role))
        user.channels.add(own_channel)
        return user

    return make


@pytest.fixture
def operator(someone):
    return someone("Operator")


@pytest.fixture
def operator_client(client, operator):
    client.force_login(operator)
    return client


@pytest.fixture
def heard():
    """The signals that were sent, as (name, ids)."""
    sent = []

    def on_listings(sender, listing_ids, **kwargs):
        sent.append(("listings", listing_ids))

    def on_channels(sender, channel_ids, **kwargs):
        sent.append(("channels", channel_ids))

    listing_changed.connect(on_listings)
    channel_changed.connect(on_channels)
    yield sent
    listing_changed.disconnect(on_listings)
    channel_changed.disconnect(on_channels)
