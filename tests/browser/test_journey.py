"""A person's way through the site with a platform behind it: sign in, find a listing, see its chart, read it anew."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from catalog.models import Listing
from integrations.fetching import fetch_listings
from monitoring.models import ListingWatch, Observation
from tests.browser.conftest import fits
from tests.factories import (
    ChannelFactory,
    CredentialFactory,
    ListingFactory,
    ListingWatchFactory,
    UserFactory,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"
NEW_PRICE = Decimal("4321.00")
# How many pixels of a canvas have the colour of a token, and over which share of its height they spread.
LINE = """([canvas, token]) => {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(token).trim().slice(1);
  const wanted = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let pixels = 0, top = canvas.height, bottom = 0;
  for (let y = 0; y < canvas.height; y += 1) {
    for (let x = 0; x < canvas.width; x += 1) {
      const at = (y * canvas.width + x) * 4;
      if (data[at + 3] > 60 && wanted.every((value, channel) => Math.abs(value - data[at + channel]) < 12)) {
        pixels += 1;
        top = Math.min(top, y);
        bottom = Math.max(bottom, y);
      }
    }
  }
  return { pixels, spread: (bottom - top) / canvas.height };
}"""


@pytest.fixture
def rows(simulator):
    return simulator.taobao.items(shop=simulator.taobao.shop()["shop"])[:6]


@pytest.fixture
def listings(live_server, simulator, rows):
    """Own listings of a simulated shop, which the connector has read once."""
    account = simulator.accounts()["taobao"]
    channel = CredentialFactory(
        app_key=account["app_key"],
        app_secret=account["app_secret"],
        access_token=account["shops"][0]["session"],
        base_url=simulator.base_url,
        channel__name="天猫旗舰店",
    ).channel
    found = []
    for row in rows:
        listing = ListingFactory(
            channel=channel, platform_item_id=row["num_iid"], platform_sku_id=row["sku_id"] or "", title=""
        )
        ListingWatchFactory(listing=listing, next_due_at=timezone.now() + timedelta(hours=1))
        found.append(listing)
    summary = fetch_listings(listing_ids=[listing.pk for listing in found], now=timezone.now())
    assert summary.read == len(found)
    return found


def sign_in(page: Page, user) -> None:
    page.goto("/")
    page.get_by_label("Username").fill(user.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Today")


def open_from_menu(page: Page, name: str, *, phone: bool) -> None:
    if phone:
        page.locator(".menu-toggle > summary").click()
    page.locator("#menu").get_by_role("link", name=name).click()


def fact(page: Page, label: str) -> Locator:
    return page.locator(".fact", has=page.get_by_text(label, exact=True)).locator("strong")


def line(page: Page, token: str) -> dict[str, float]:
    """The line of the price pane, once it is drawn."""
    page.wait_for_selector(".chart[aria-busy=false]")
    canvas = page.locator(".chart-pane.price canvas").element_handle()
    found: dict[str, float] = page.evaluate(LINE, [canvas, token])
    return found


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_a_price_that_changes_at_the_platform_shows_after_fetch_now(browser_page, simulator, listings, rows, phone):
    listing, row = Listing.objects.get(pk=listings[0].pk), rows[0]
    # The first reading was three days ago, so that the chart has a line and not only a point.
    earlier = timezone.now() - timedelta(days=3)
    Observation.objects.filter(listing=listing).update(observed_at=earlier)
    old_price = listing.list_price and listing.list_price.quantize(Decimal("0.01"))
    assert old_price is not None
    page = browser_page(phone=phone)
    sign_in(page, UserFactory(is_superuser=True))

    open_from_menu(page, "Listings", phone=phone)
    page.locator("#result_list").get_by_role("link", name=listing.platform_id).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(listing.title)
    expect(fact(page, "List price")).to_have_text(f"¥{old_price:,}")
    page.get_by_role("button", name="7 d").click()
    before = line(page, "--c6")
    assert before["pixels"] > 10
    assert before["spread"] < 0.1

    simulator.taobao.set_item(row["num_iid"], row["sku_id"] or "", price=str(NEW_PRICE))
    page.get_by_role("button", name="Fetch now").click()
    expect(page.get_by_role("status")).to_contain_text("Fetched 1 listing; 1 price changed.")
    expect(fact(page, "List price")).to_have_text(f"¥{NEW_PRICE:,}")
    page.get_by_role("button", name="7 d").click()
    after = line(page, "--c6")
    assert after["pixels"] > 10
    assert after["spread"] > 0.5  # the new point is far above the old line
    label = page.locator(".chart-pane.price canvas").get_attribute("aria-label") or ""
    assert f"¥{old_price:,} to ¥{NEW_PRICE:,}" in label

    page.get_by_role("button", name="Table").click()
    table = page.locator("[data-chart-table] tbody tr")
    expect(table).to_have_count(2)
    expect(table.first).to_contain_text("4321.00")
    expect(table.last).to_contain_text(str(old_price))
    assert fits(page)


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_the_figures_of_the_dashboard_lead_to_lists_with_as_many_rows(browser_page, simulator, listings, rows, phone):
    now = timezone.now()
    # Since the readings of yesterday: two other prices, a listing that sold out, two that nobody read any more, and a
    # second channel, which nobody has connected yet.
    Observation.objects.update(observed_at=now - timedelta(hours=30))
    for row, price in zip(rows[:2], ("11.00", "9999.00"), strict=True):
        simulator.taobao.set_item(row["num_iid"], row["sku_id"] or "", price=price)
    simulator.taobao.set_item(rows[2]["num_iid"], rows[2]["sku_id"] or "", quantity=0)
    fetch_listings(listing_ids=[listing.pk for listing in listings], now=now)
    Listing.objects.filter(pk=listings[2].pk).update(shelf_state="sold_out")
    ListingWatch.objects.filter(listing__in=listings[3:5]).update(read_at=now - timedelta(days=2))
    ChannelFactory()
    page = browser_page(phone=phone)
    sign_in(page, UserFactory(is_superuser=True))

    figures = {
        "Listings not read": 2,
        "Channels needing you": 2,
        "Price changes, 24 h": 2,
        "Sold out now": 1,
    }
    for label, expected in figures.items():
        page.goto("/")
        figure = fact(page, label)
        expect(figure).to_have_text(str(expected))
        figure.get_by_role("link").click()
        expect(page.locator("#result_list tbody tr")).to_have_count(expected)
        expect(page.locator(".page-head h1 small")).to_have_text(str(expected))
    page.goto("/")
    fact(page, "Oldest reading").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(Listing.objects.get(pk=listings[3].pk).title)
