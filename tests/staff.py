"""People of each role."""

from django.contrib.auth.models import Group
from django.test import Client

from catalog.models import Channel, User
from tests.factories import UserFactory


def member(role: str = "Viewer", *channels: Channel) -> User:
    """Somebody who works with these channels."""
    user: User = UserFactory()
    user.groups.add(Group.objects.get(name=role))
    user.channels.set(channels)
    return user


def signed_in(client: Client, role: str, *channels: Channel) -> User:
    """The same, whose requests the client makes from now on."""
    user = member(role, *channels)
    client.force_login(user)
    return user
