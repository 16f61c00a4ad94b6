"""The forms of people and roles, in both languages."""

import json
import re

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils.translation import override

from catalog.audit_text import readable_changes
from catalog.models import AuditEvent
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def speak(admin_client):
    """The owner's client, speaking a language."""

    def make(language):
        admin_client.cookies.load({settings.LANGUAGE_COOKIE_NAME: language})
        return admin_client

    return make


@pytest.mark.parametrize(
    ("language", "roles"),
    [("en", {"Buyer", "Manager", "Operator", "Viewer"}), ("zh-hans", {"采购", "经理", "运营", "只读"})],
)
def test_roles_and_channels_are_ticked_by_their_names(speak, own_channel, language, roles):
    page = speak(language).get(reverse("admin:catalog_user_add")).text
    ticks = re.findall(r'<input type="checkbox" name="(groups|channels)"[^>]*>\s*([^<]+?)\s*<', page)
    assert {name for field, name in ticks if field == "groups"} == roles
    assert [name for field, name in ticks if field == "channels"] == [str(own_channel)]


@pytest.mark.parametrize(
    ("language", "names"),
    [
        ("en", ["Listing: change", "SKU: Can see cost prices", "Channel: Can see every channel"]),
        ("zh-hans", ["商品：修改", "SKU：可查看成本价", "渠道：可查看全部渠道"]),
    ],
)
def test_permissions_are_named_in_the_language_of_the_page(speak, language, names):
    page = speak(language).get(reverse("admin:auth_group_add")).text
    options = re.findall(r"<option[^>]*>([^<]+)</option>", page)
    assert [name for name in names if name not in options] == []
    assert language == "en" or not [name for name in options if re.search(r"[:：] ?.*[a-z]{3}", name)]


def test_the_picker_speaks_chinese(speak):
    script = speak("zh-hans").get(reverse("admin:jsi18n")).text
    said = {
        id_: json.loads(f'"{text}"')
        for id_, text in re.findall(r'"((?:Choose|Remove|Chosen|Available)[^"\\]*%s)": "([^"]*)"', script)
    }
    assert said["Choose all %s"] == "选择全部%s"
    assert said["Available %s"] == "可选%s"
    assert "Choose" not in "".join(said.values())


def test_a_role_bears_its_name_in_the_language_of_the_page(speak):
    role = Group.objects.get(name="Buyer")
    for view in ("change", "history"):
        assert "“采购”" in speak("zh-hans").get(reverse(f"admin:auth_group_{view}", args=[role.pk])).text


def test_the_audit_log_names_given_roles_in_the_language_of_the_page(speak, admin_user):
    user = UserFactory()
    form = {
        "username": user.username,
        "first_name": "",
        "last_name": "",
        "email": "",
        "is_active": "on",
        "is_staff": "on",
    }
    answer = speak("zh-hans").post(
        reverse("admin:catalog_user_change", args=[user.pk]),
        {**form, "groups": [Group.objects.get(name="Buyer").pk]},
    )
    assert answer.status_code == 302
    event = AuditEvent.objects.get(action="changed", object_id=str(user.pk))
    assert event.changes["groups"] == [[], ["Buyer"]]
    page = speak("zh-hans").get(reverse("admin:catalog_auditevent_changelist")).text
    assert "— → 采购" in page
    with override("en"):
        shown = [(before, after) for _field, before, after in readable_changes(event, admin_user)]
    assert shown == [("—", "Buyer")]
