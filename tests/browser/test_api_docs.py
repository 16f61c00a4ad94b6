"""The page that describes the API, with its own scripts under the site's content security policy."""

import pytest

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
