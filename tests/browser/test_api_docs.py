"""The page that describes the API, with its own scripts under the site's content security policy."""

import re

import pytest

from tests.browser.conftest import DESKTOP, PHONE, SMALL_PHONE, TABLET, fits
from tests.factories import UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(browser_page):
    page = browser_page(user=UserFactory(is_superuser=True))
    page.goto("/api/v1/docs/")
    return page


def test_every_resource_is_described(page):
    page.get_by_text("/api/v1/listings/{id}/observations/").wait_for()
    shown = page.locator(".opblock-summary-path").all_inner_texts()
    plain = {path.replace("\u200b", "") for path in shown}
    assert {
        f"/api/v1/{name}/" for name in ("products", "skus", "channels", "listings", "thresholds", "alerts")
    } <= plain


def test_an_address_can_be_tried_with_the_own_session(page):
    page.get_by_text("/api/v1/channels/", exact=True).click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table .response-col_status", has_text="200").wait_for()
    assert '"results"' in page.locator(".live-responses-table .microlight").first.inner_text()


def test_everything_comes_from_this_site(browser_page, live_server):
    page = browser_page(user=UserFactory(is_superuser=True))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/api/v1/docs/")
    page.get_by_text("/api/v1/channels/", exact=True).wait_for()
    assert [url for url in asked if not url.startswith((live_server.url, "data:"))] == []


def lightness(page, selector):
    """Of the ground behind it, 0 to 255."""
    colour = page.locator(selector).evaluate("element => getComputedStyle(element).backgroundColor")
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


@pytest.mark.parametrize(
    ("is_system_dark", "chosen", "is_dark"),
    [(True, "auto", True), (False, "auto", False), (False, "dark", True), (True, "light", False)],
)
def test_the_page_has_the_theme_of_the_site(browser_page, is_system_dark, chosen, is_dark):
    page = browser_page(user=UserFactory(is_superuser=True), dark=is_system_dark)
    page.add_init_script(f"localStorage.setItem('theme', '{chosen}')")
    page.goto("/api/v1/docs/")
    page.get_by_text("/api/v1/channels/", exact=True).wait_for()
    for selector in ("html", ".docs-head", ".swagger-ui .scheme-container"):
        assert (lightness(page, selector) < 80) == is_dark, selector


def test_it_leads_back_to_the_site(page):
    page.get_by_role("link", name="Evenshelf").click()
    page.get_by_role("heading", name="Set up Evenshelf").wait_for()


@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE, SMALL_PHONE])
def test_its_head_fits_every_screen(browser_page, size):
    page = browser_page(user=UserFactory(is_superuser=True), size=size)
    page.goto("/api/v1/docs/")
    page.get_by_text("/api/v1/channels/", exact=True).wait_for()
    assert fits(page)
