"""The audit log: nobody writes it, and it shows each person what they may see."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from catalog.services import audit
from tests.factories import (
    ProductFactory,
)
from tests.staff import address

pytestmark = pytest.mark.django_db


def test_the_audit_log_cannot_be_written(admin_client):
    event = audit(action="added", obj=ProductFactory(), actor=None, now=datetime(2026, 11, 21, tzinfo=UTC))
    assert admin_client.post(reverse("admin:catalog_auditevent_add"), {}).status_code == 403
    assert admin_client.post(address(event, "change"), {"action": "x"}).status_code == 403
    assert admin_client.post(address(event, "delete"), {"post": "yes"}).status_code == 403


def test_a_connection_in_the_log_is_for_those_who_may_see_it(client, someone, own_channel):
    user = someone("Manager")
    user.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    changes = {"integrations.credential.app_key": ["12345678", "87654321"], "name": ["Old", "Ours"]}
    audit(action="changed", obj=own_channel, actor=user, now=datetime(2026, 11, 21, tzinfo=UTC), changes=changes)
    urls = [address(own_channel, "history"), reverse("admin:catalog_auditevent_changelist")]
    client.force_login(user)
    for url in urls:
        text = client.get(url).text
        assert "Name: Old → Ours" in text
        assert "12345678" not in text
    user.user_permissions.add(Permission.objects.get(codename="view_credential"))
    for url in urls:
        assert "App key: 12345678 → 87654321" in client.get(url).text


def test_the_audit_log_shows_the_system_and_hostile_names_as_text(admin_client):
    product = ProductFactory(name="<script>alert(1)</script>")
    audit(
        action="changed",
        obj=product,
        actor=None,
        now=datetime(2026, 11, 21, 4, 0, tzinfo=UTC),
        changes={"name": ["a", "<b>b</b>"], "is_watched": [True, None]},
    )
    text = admin_client.get(reverse("admin:catalog_auditevent_changelist")).content.decode()
    assert "the system" in text
    assert "Name: a → &lt;b&gt;b&lt;/b&gt;" in text
    assert "Is_watched: yes → —" in text
    assert "<script>alert" not in text
