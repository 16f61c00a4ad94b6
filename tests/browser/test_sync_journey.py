"""Change stock and watch the channels turn green; send what was refused again, one or all of it; dismiss the rest."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from integrations.models import ListingSync
from integrations.syncing import pushing
from tests.browser.conftest import PHONE, fits
from tests.factories import UserFactory
from tests.integrations.syncing.conftest import open_shop, warehouse  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
BOARD = "/integrations/listingsync/"


@pytest.fixture
def owner(db):
    return UserFactory(is_superuser=True)


def send():
    """What the lane does: slices until nothing is due, with the time that passes between."""
    ahead = timedelta()
    for _slice in range(6):
        pushing.push_slice(now_fn=lambda: timezone.now() + ahead, seconds=5)  # noqa: B023
        if not ListingSync.objects.exclude(due_at=None, verify_at=None).exists():
            return
        ahead += timedelta(minutes=1)


def line_of(page: Page, shop: Any) -> Locator:
    """The line of a shop's listing on the page of its SKU."""
    panel = page.locator(".card", has=page.get_by_role("heading", name="Stock sync"))
    return panel.locator("tbody tr", has_text=f"{shop.channel.mark} {shop.rows[0].item_id}")


def test_a_change_of_stock_turns_every_channel_green(browser_page, open_shop, owner):  # noqa: F811
    taobao = open_shop("taobao")
    woo = open_shop("woocommerce", skus=taobao.skus)
    [sku] = taobao.skus
    send()
    shown = taobao.shown()
    page = browser_page(user=owner)
    page.goto(f"/catalog/sku/{sku.pk}/change/")
    for shop in (taobao, woo):
        expect(line_of(page, shop)).to_contain_text("In step")

    page.get_by_role("link", name="Adjust…").click()
    page.get_by_label("Warehouse").select_option(str(warehouse().pk))
    page.get_by_label("Units").fill("-2")
    page.get_by_label("Reason").fill("Broken in the store")
    page.get_by_role("button", name="Show what is booked").click()
    page.get_by_role("button", name="Book −2").click()
    expect(page.get_by_role("status").first).to_contain_text("Booked −2.")

    page.goto(BOARD)
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text(f"{shown - 2} available")
    expect(rows.first).to_contain_text("Waiting")
    send()
    page.reload()
    expect(page.get_by_role("heading", name="Everything shows its target")).to_be_visible()
    assert [shop.shown() for shop in (taobao, woo)] == [shown - 2, shown - 2]
    page.goto(f"/catalog/sku/{sku.pk}/change/")
    for shop in (taobao, woo):
        expect(line_of(page, shop)).to_contain_text("In step")
    line_of(page, woo).get_by_role("link").click()
    expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
    expect(page.locator("tbody tr", has_text="Read back").first).to_contain_text(str(shown - 2))
    page.get_by_role("link", name="Run: changes").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(woo.channel.name)


@pytest.fixture
def refused(open_shop):  # noqa: F811
    """A shop that refused three listings, of which it now takes what is sent."""
    shop = open_shop("woocommerce", rows=3)
    send()
    for index in range(3):
        shop.count(-1, index)
    ListingSync.objects.update(state="refused", cause="refused-by-rule", due_at=None)
    return shop


def test_one_or_all_that_was_refused_is_sent_again(browser_page, refused, owner):
    before = [refused.shown(index) for index in range(3)]
    page = browser_page(user=owner)
    page.goto(BOARD)
    expect(page.locator(".problem")).to_contain_text("Refused 3")
    page.locator("#result_list tbody th a").first.click()
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status").first).to_contain_text("1 listing is sent again.")
    send()
    page.reload()
    expect(page.locator(".page-head .badge")).to_have_text("In step")

    page.goto(BOARD)
    page.get_by_role("button", name="Retry all 2").click()
    expect(page.get_by_role("status").first).to_contain_text("2 listings are sent again.")
    send()
    page.goto(f"{BOARD}?tab=in-sync")
    expect(page.locator("#result_list tbody tr")).to_have_count(3)
    assert [refused.shown(index) for index in range(3)] == [units - 1 for units in before]


def test_what_is_all_right_is_dismissed_with_a_reason(browser_page, refused, owner):
    before = [refused.shown(index) for index in range(3)]
    page = browser_page(user=owner)
    page.goto(BOARD)
    page.get_by_role("link", name="Dismiss all 3…").click()
    expect(page.get_by_role("heading", name="Dismiss 3 listings?")).to_be_visible()
    page.get_by_label("Reason").fill("Sold in the store only")
    page.get_by_role("button", name="Dismiss 3 listings").click()
    expect(page.get_by_role("status").first).to_contain_text("Dismissed 3 listings.")
    send()
    page.goto(f"{BOARD}?tab=dismissed")
    expect(page.locator("#result_list tbody tr")).to_have_count(3)
    expect(page.locator("#result_list tbody tr").first).to_contain_text("Dismissed: Sold in the store only")
    assert [refused.shown(index) for index in range(3)] == before


def test_the_pages_fit_a_phone(browser_page, refused, owner):
    page = browser_page(user=owner, size=PHONE)
    row = ListingSync.objects.order_by("pk")[0]
    run = refused.channel.sync_runs.first()
    for address in (BOARD, f"{BOARD}{row.pk}/change/", f"{BOARD}{row.pk}/dismiss/", "/integrations/syncrun/"):
        page.goto(address)
        assert fits(page), address
    page.goto(f"/integrations/syncrun/{run.pk}/change/")
    assert fits(page)
