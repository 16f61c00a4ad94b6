"""People of each role, and the addresses of their pages."""

from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client
from django.urls import reverse

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


def address(obj: Model, view: str) -> str:
    """The page of an object in the admin site, or of its kind."""
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_{view}", args=[obj.pk])


def errors_of(page):
    return str(page.context["adminform"].form.errors)
