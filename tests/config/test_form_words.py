"""What the buttons and the parts of forms are called."""

import re

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
