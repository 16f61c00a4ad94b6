"""Who comes and goes is in the audit log, and so is who tried to."""

import pytest
from django.contrib.auth import authenticate
from django.http import HttpRequest
from django.urls import reverse

from catalog.models import AuditEvent
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture
def linyue():
    return UserFactory(username="linyue")


def sign_in(client, **entered):
    return client.post(reverse("admin:login"), {"username": "linyue", "password": PASSWORD, **entered})


def events():
    return list(AuditEvent.objects.order_by("pk").values_list("action", "actor", "object_name", "object_id"))


def test_signing_in_and_out_is_logged(client, linyue):
    sign_in(client)
    client.post(reverse("admin:logout"))
    assert events() == [
        ("signed in", linyue.pk, "linyue", str(linyue.pk)),
        ("signed out", linyue.pk, "linyue", str(linyue.pk)),
    ]


@pytest.mark.parametrize("name", ["linyue", "nobody", "n" * 1_000])
def test_a_failed_sign_in_is_logged_with_the_user_name_only(client, linyue, name):
    sign_in(client, username=name, password="geheim-7")
    [(action, actor, object_name, object_id)] = events()
    assert (action, actor, object_name) == ("sign-in failed", None, name[:255])
    assert object_id == (str(linyue.pk) if name == "linyue" else "")
    assert "geheim" not in str(AuditEvent.objects.values().get())


def test_signing_out_without_being_signed_in_is_not_logged(client, db):
    client.post(reverse("admin:logout"))
    assert events() == []


def test_sessions_that_programs_make_are_not_logged(client, linyue):
    client.force_login(linyue)
    assert authenticate(HttpRequest(), username="linyue", password="wrong") is None
    assert events() == []
