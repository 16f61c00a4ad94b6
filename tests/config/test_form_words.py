"""What the buttons and the parts of forms are called."""

import json
import re
from html import unescape

import pytest
from django.conf import settings
from django.urls import reverse

from tests.factories import RouteFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(client):
    client.force_login(UserFactory(is_superuser=True))
    return client


@pytest.fixture
def chinese(owner):
    owner.cookies[settings.LANGUAGE_COOKIE_NAME] = "zh-hans"
    return owner


@pytest.mark.parametrize(
    ("model", "words"),
    [("catalog_sku", "添加 SKU"), ("catalog_apikey", "添加 API 密钥"), ("catalog_listing", "添加商品")],
)
def test_a_latin_name_stands_apart_from_the_chinese_verb(chinese, model, words):
    assert f">{words}</a>" in chinese.get(reverse(f"admin:{model}_changelist")).text
    assert f"<h1>{words}</h1>" in chinese.get(reverse(f"admin:{model}_add")).text


def test_the_parts_of_a_form_are_called_by_what_they_are(owner):
    route = RouteFactory(target__name="group", least_severity="warning")
    page = owner.get(reverse("admin:monitoring_target_edit", args=[route.target_id])).text
    titles = re.findall(r'<span class="inline_label">(.*?)</span>', page)
    assert titles == ["Warning → group", "New route"]
    page = owner.get(reverse("admin:monitoring_target_add"), {"kind": "dingtalk"}).text
    assert re.findall(r'<span class="inline_label">(.*?)</span>', page) == ["New route", "New route"]


def _words_to_add_a_part(client):
    page = client.get(reverse("admin:monitoring_target_add"), {"kind": "dingtalk"}).text
    (data,) = re.findall(r'data-inline-formset="(.*?)"', page)
    return json.loads(unescape(data))["options"]["addText"]


def test_a_further_part_is_added_in_lower_case(owner):
    assert _words_to_add_a_part(owner) == "Add route"


def test_a_further_part_is_added_without_a_stray_space_in_chinese(chinese):
    assert _words_to_add_a_part(chinese) == "添加通知规则"


@pytest.mark.parametrize(
    ("kind", "names_a_limit"),
    [
        *((kind, True) for kind in ("dingtalk", "feishu", "wecom")),
        *((kind, False) for kind in ("mail", "sms", "webhook", "apprise")),
    ],
)
def test_only_the_form_of_a_robot_names_the_limit_of_a_robot(owner, kind, names_a_limit):
    page = owner.get(reverse("admin:monitoring_target_add"), {"kind": kind}).text
    assert "Minutes. 0: each alert at once" in page
    assert ("as far as the robot's own limit lets us" in page) is names_a_limit


def test_the_form_of_a_threshold_says_who_is_told_again(owner):
    page = owner.get(reverse("admin:monitoring_threshold_add")).text
    assert "What crosses again within this time is the same alert" in page
    assert "only those who were told that it was over are told again" in page


@pytest.mark.parametrize(
    ("address", "posted"),
    [
        ("/catalog/supplier/add/", {"name": ""}),
        ("/password_change/", {}),
        ("/catalog/user/{user}/password/", {"set-password": "1", "usable_password": "true"}),
    ],
)
def test_an_error_is_told_without_a_please(owner, address, posted):
    address = address.format(user=UserFactory().pk)
    page = owner.post(address, posted).text
    assert "Correct the error" in page
    assert "lease" not in page


def test_a_wrong_password_is_told_without_a_please(client):
    page = client.post("/login/", {"username": "li", "password": "wrong"}).text
    assert "This user name and password fit no account." in page
    assert "lease" not in page
    assert "Correct the errors below." in client.post("/login/", {}).text
