"""The forms of users and roles: what they take and refuse, and that nobody gives more than they have."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from django.utils.translation import gettext, override

from catalog.models import AuditEvent, User
from catalog.services import audit
from tests.factories import (
    ProductFactory,
    UserFactory,
)
from tests.staff import address

pytestmark = pytest.mark.django_db


def user_form(user, **fields):
    return {"username": user.username, "is_active": "on", "is_staff": "on", **fields}


def test_nothing_of_a_password_is_logged(admin_client):
    user = UserFactory()
    form = {"password1": "new correct horse", "password2": "new correct horse", "usable_password": "true"}
    admin_client.post(reverse("admin:auth_user_password_change", args=[user.pk]), {**form, "set-password": "1"})
    user.refresh_from_db()
    assert user.check_password("new correct horse")
    event = AuditEvent.objects.get()
    assert (event.action, event.changes) == ("changed", {"password": ["•••", "•••"]})


def test_changing_ones_own_password_is_logged(client):
    user = UserFactory()
    client.force_login(user)
    form = {
        "old_password": "correct horse battery",
        "new_password1": "new correct horse",
        "new_password2": "new correct horse",
    }
    client.post(reverse("admin:password_change"), form)
    assert AuditEvent.objects.get().changes == {"password": ["•••", "•••"]}
    client.post(reverse("admin:password_change"), {**form, "old_password": "wrong"})
    assert AuditEvent.objects.count() == 1


def new_user_form(**fields):
    password = "correct horse battery"
    return {"username": "linyue", "password1": password, "password2": password, "is_staff": "on", **fields}


def test_one_form_makes_a_user_who_can_work(admin_client, client, own_channel):
    page = admin_client.get(reverse("admin:catalog_user_add"))
    assert page.context["adminform"].form["is_staff"].value() is True
    assert "Can sign in here" in page.text
    form = new_user_form(groups=[Group.objects.get(name="Viewer").pk], channels=[own_channel.pk])
    answer = admin_client.post(reverse("admin:catalog_user_add"), form, follow=True)
    assert [str(message) for message in answer.context["messages"]] == ["Added “linyue”."]
    client.post(reverse("admin:login"), {"username": "linyue", "password": "correct horse battery"})
    assert client.get(reverse("admin:catalog_listing_changelist")).status_code == 200
    assert list(User.objects.get(username="linyue").channels.all()) == [own_channel]


@pytest.mark.parametrize(
    ("fields", "told"), [({}, "sees nothing until they have a role"), ({"is_staff": ""}, "cannot sign in until")]
)
def test_adding_a_user_who_cannot_work_yet_says_so(admin_client, fields, told):
    page = admin_client.post(reverse("admin:catalog_user_add"), new_user_form(**fields), follow=True)
    assert told in [*map(str, page.context["messages"])][-1]


def test_a_new_user_gets_no_more_than_their_maker_has(client, people_manager, foreign_channel):
    client.force_login(people_manager)
    form = new_user_form(
        groups=[Group.objects.get(name="Manager").pk], channels=[foreign_channel.pk], is_superuser="on"
    )
    page = client.post(reverse("admin:catalog_user_add"), form)
    assert set(page.context["adminform"].form.errors) == {"groups", "channels"}
    client.post(reverse("admin:catalog_user_add"), new_user_form(is_superuser="on"))
    assert not User.objects.get(username="linyue").is_superuser


def test_nothing_of_a_password_is_shown(admin_client, client, someone):
    user = UserFactory()
    text = admin_client.get(address(user, "change")).text
    assert "Change password</a>" in text
    looking = someone("Viewer")
    looking.user_permissions.add(Permission.objects.get(codename="view_user"))
    client.force_login(looking)
    seen = client.get(address(user, "change")).text
    assert "../password/" not in seen
    for page in (text, seen):
        assert user.password.split("$")[-1][:6] not in page
        assert "algorithm" not in page


@pytest.mark.parametrize("of", ["user", "role"])
def test_forms_offer_the_permissions_of_our_apps_only(admin_client, of):
    obj: Any = UserFactory() if of == "user" else Group.objects.first()
    field = "user_permissions" if of == "user" else "permissions"
    offered = admin_client.get(address(obj, "change")).context["adminform"].form.fields[field].queryset
    apps = set(offered.values_list("content_type__app_label", flat=True))
    assert apps == {"catalog", "monitoring", "integrations"}


@pytest.mark.parametrize("view", ["changelist", "add", "change", "delete"])
def test_roles_are_called_roles(admin_client, view):
    args = [Group.objects.get(name="Viewer").pk] if view in ("change", "delete") else []
    text = admin_client.get(reverse(f"admin:auth_group_{view}", args=args)).text
    assert "group" not in " ".join(re.findall(r">([^<>]+)<", text)).lower()


def test_roles_are_named_in_the_language_of_the_page(admin_client):
    UserFactory().groups.add(Group.objects.get(name="Manager"))
    admin_client.cookies["django_language"] = "zh-hans"
    for url in ("admin:catalog_user_changelist", "admin:catalog_user_add", "admin:auth_group_changelist"):
        text = admin_client.get(reverse(url)).text
        assert gettext_in("zh-hans", "Manager") in text
        assert ">Manager<" not in text


def gettext_in(language, text):
    with override(language):
        return gettext(text)


@pytest.mark.parametrize("how", ["one", "several"])
def test_of_a_user_who_cannot_be_deleted_it_is_said_what_to_do_instead(admin_client, how):
    user = UserFactory()
    audit(action="added", obj=ProductFactory(), actor=user, now=datetime(2026, 11, 21, tzinfo=UTC))
    if how == "one":
        page = admin_client.get(address(user, "delete"))
    else:
        selection = {"action": "delete_selected", "index": "0", "_selected_action": [user.pk]}
        page = admin_client.post(reverse("admin:catalog_user_changelist"), selection)
    assert "untick “Active”" in page.text


def test_a_new_user_is_logged_without_the_password(admin_client):
    admin_client.post(reverse("admin:catalog_user_add"), new_user_form())
    assert User.objects.get(username="linyue").check_password("correct horse battery")
    event = AuditEvent.objects.get()
    assert event.changes["username"] in ([None, "linyue"], ["", "linyue"])
    assert "correct horse" not in str(event.changes)


@pytest.fixture
def people_manager(someone):
    """Holds the user permissions and the role of an operator, on our channel only."""
    user = someone("Operator")
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "add_user", "change_user"]))
    return user


@pytest.mark.parametrize("more", ["role", "permission", "channel", "role of an inactive user"])
def test_people_with_more_than_the_editor_has_are_not_changed_by_them(client, people_manager, foreign_channel, more):
    user = UserFactory(is_active="inactive" not in more)
    if more == "channel":
        user.channels.add(foreign_channel)
    elif more == "permission":
        user.user_permissions.add(Permission.objects.get(codename="view_cost"))
    else:
        user.groups.add(Group.objects.get(name="Manager"))
    client.force_login(people_manager)
    assert client.post(address(user, "change"), user_form(user, first_name="Changed")).status_code == 403
    password = {"password1": "new correct horse", "password2": "new correct horse", "usable_password": "true"}
    url = reverse("admin:auth_user_password_change", args=[user.pk])
    assert client.post(url, {**password, "set-password": "1"}).status_code == 403
    stored = User.objects.get(pk=user.pk)
    assert (stored.password, stored.first_name) == (user.password, "")
    assert stored.groups.exists() or stored.channels.exists() or stored.user_permissions.exists()


def test_people_with_no_more_than_the_editor_has_are_changed_by_them(client, people_manager, own_channel):
    user = UserFactory()
    user.channels.add(own_channel)
    client.force_login(people_manager)
    role = Group.objects.get(name="Viewer")
    form = user_form(user, groups=[role.pk], channels=[own_channel.pk])
    assert client.post(address(user, "change"), form).status_code == 302
    assert (user.groups.get(), user.channels.get()) == (role, own_channel)


def test_people_with_more_than_the_editor_has_are_not_deleted_by_them(client, people_manager):
    user = UserFactory()
    user.groups.add(Group.objects.get(name="Manager"))
    people_manager.user_permissions.add(Permission.objects.get(codename="delete_user"))
    client.force_login(people_manager)
    assert client.post(address(user, "delete"), {"post": "yes"}).status_code == 403
    selection = {"action": "delete_selected", "index": "0", "_selected_action": [user.pk], "post": "yes"}
    client.post(reverse("admin:catalog_user_changelist"), selection)
    assert User.objects.filter(pk=user.pk).exists()


def test_nobody_gives_what_they_do_not_have(client, people_manager, foreign_channel):
    user = UserFactory()
    client.force_login(people_manager)
    manager_role = Group.objects.get(name="Manager")
    for more in ({"groups": [manager_role.pk]}, {"channels": [foreign_channel.pk]}):
        page = client.post(address(user, "change"), user_form(user, **more))
        assert set(page.context["adminform"].form.errors) == set(more)
    permission = Permission.objects.get(codename="view_cost")
    client.post(address(user, "change"), user_form(user, is_superuser="on", user_permissions=[permission.pk]))
    user.refresh_from_db()
    assert not user.is_superuser
    assert not user.user_permissions.exists()


def test_superusers_are_changed_by_superusers_only(client, people_manager):
    owner = UserFactory(is_superuser=True)
    client.force_login(people_manager)
    assert client.post(address(owner, "change"), user_form(owner)).status_code == 403
    url = reverse("admin:auth_user_password_change", args=[owner.pk])
    assert client.post(url, {"password1": "x", "password2": "x"}).status_code == 403


def test_roles_are_changed_by_superusers_only(client, someone, admin_client):
    user = someone("Manager")
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    role = Group.objects.get(name="Manager")
    client.force_login(user)
    assert client.post(address(role, "change"), {"name": "Boss"}).status_code == 403
    admin_client.post(address(role, "change"), {"name": "Boss", "permissions": []})
    assert Group.objects.filter(name="Boss").exists()


def test_people_without_user_permissions_see_no_team(operator_client):
    assert operator_client.get(reverse("admin:catalog_user_changelist")).status_code == 403
