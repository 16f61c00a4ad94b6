"""A person makes a key for another program, copies it, and revokes it."""

import re

import pytest
import requests

from tests.factories import UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_key_is_made_used_and_revoked(browser_page, live_server):
    page = browser_page(user=UserFactory(is_superuser=True, username="linyue"))
    page.goto("/")
    page.get_by_role("link", name="API keys").click()
    page.get_by_role("link", name=re.compile("Add")).first.click()
    page.get_by_label("Name").fill("ERP")
    page.get_by_label("products, SKUs and channels").check()
    page.get_by_role("button", name="Save").click()
    token = page.locator("code", has_text=re.compile(r"^es_[\w-]{43}$")).inner_text()

    def status():
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{live_server.url}/api/v1/products/", headers=headers, timeout=20).status_code

    assert status() == 200
    page.get_by_role("link", name="‹ API keys").click()
    assert token not in page.content()
    page.get_by_text("Works", exact=True).wait_for()
    page.locator("input.action-select").check()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_text("Revoked 1 key; it opens nothing any more.").wait_for()
    assert status() == 401
