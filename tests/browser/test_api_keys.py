"""A person makes a key for another program, copies it, and revokes it."""

import re

import pytest
import requests

from tests.browser.conftest import fits
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


TOKEN = re.compile(r"^es_[\w-]{43}$")


def new_key(page):
    """Makes a key; returns what its page shows."""
    page.goto("/catalog/apikey/add/")
    page.get_by_label("Name").fill("ERP")
    page.get_by_label("products, SKUs and channels").check()
    page.get_by_role("button", name="Save").click()
    return page.locator("code", has_text=TOKEN).inner_text()


def press_copy(page):
    """With the keyboard alone."""
    page.locator("#content-start").focus()
    for _step in range(5):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('[data-copies]')"):
            break
    page.keyboard.press("Enter")


@pytest.mark.parametrize("phone", [False, True])
def test_a_new_key_is_copied_by_a_button_and_this_is_announced(browser_page, live_server, phone):
    page = browser_page(user=UserFactory(is_superuser=True), phone=phone)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live_server.url)
    token = new_key(page)
    press_copy(page)
    page.get_by_role("status").get_by_text("Copied", exact=True).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == token
    assert fits(page)


def test_where_there_is_no_clipboard_the_key_is_copied_the_old_way(browser_page, live_server):
    page = browser_page(user=UserFactory(is_superuser=True))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live_server.url)
    page.add_init_script(
        "window.clipboard = navigator.clipboard; Object.defineProperty(navigator, 'clipboard', {value: undefined})"
    )
    token = new_key(page)
    press_copy(page)
    page.get_by_role("status").get_by_text("Copied", exact=True).wait_for()
    assert page.evaluate("window.clipboard.readText()") == token


def test_a_key_that_cannot_be_copied_is_selected(browser_page):
    page = browser_page(user=UserFactory(is_superuser=True))
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined}); document.execCommand = () => false"
    )
    token = new_key(page)
    press_copy(page)
    page.get_by_role("status").get_by_text("Selected. Press Ctrl+C to copy it.").wait_for()
    assert page.evaluate("getSelection().toString()") == token
