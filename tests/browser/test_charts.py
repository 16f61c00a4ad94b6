"""The charts as a person sees them: lines in pixels, the range switch, the table, the theme, one reading, none."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from catalog.models import ChannelFees, Listing
from monitoring.models import ListingWatch, Observation
from tests.browser.conftest import fits
from tests.factories import (
    ListingFactory,
    ListingWatchFactory,
    ProductFactory,
    PromotionFactory,
    SkuFactory,
    UserFactory,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DAY = timedelta(days=1)
# Counts the pixels of a canvas that are close to a colour, and all those that are not transparent.
PIXELS = """([canvas, token]) => {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(token).trim().slice(1);
  const wanted = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let close = 0, drawn = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] === 0) continue;
    drawn += 1;
    if (wanted.every((value, channel) => Math.abs(value - data[at + channel]) < 12) && data[at + 3] > 200) close += 1;
  }
  return { close, drawn };
}"""


def observe(listing, age, **facts):
    at = timezone.now() - age
    values = {"shelf_state": "on_shelf", **facts}
    Observation.objects.create(listing=listing, observed_at=at, **values)
    Listing.objects.filter(pk=listing.pk).update(observed_at=at, **values)


def watched(**fields):
    listing = ListingFactory(**fields)
    ListingWatchFactory(listing=listing, read_at=timezone.now())
    return listing


@pytest.fixture
def listing(live_server):
    listing = watched(sku=SkuFactory(product=ProductFactory()))
    observe(listing, 50 * DAY, list_price=Decimal(299), live_price=Decimal(268), stock=120)
    observe(listing, 20 * DAY, list_price=Decimal(299), live_price=Decimal(239), stock=60)
    Observation.objects.create(
        listing=listing, observed_at=timezone.now() - 15 * DAY, is_gap=True, shelf_state="unknown"
    )
    observe(listing, 10 * DAY, list_price=Decimal(299), live_price=Decimal(268), stock=0, shelf_state="sold_out")
    observe(listing, 5 * DAY, list_price=Decimal(299), live_price=Decimal(268), stock=90)
    return listing


@pytest.fixture
def owner():
    return UserFactory(is_superuser=True)


def opened(page: Page, listing) -> Page:
    page.goto(reverse("admin:catalog_listing_change", args=[listing.pk]))
    page.wait_for_selector(".chart[aria-busy=false]")
    return page


def pixels(page: Page, pane: str, token: str) -> dict[str, int]:
    canvas = page.locator(f".chart-pane.{pane} canvas").first.element_handle()
    found: dict[str, int] = page.evaluate(PIXELS, [canvas, token])
    return found


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_price_and_stock_are_drawn_in_their_colours(browser_page, owner, listing, phone, dark):
    page = opened(browser_page(user=owner, phone=phone, dark=dark), listing)
    live, listed, stock = (pixels(page, *each) for each in (("price", "--c1"), ("price", "--c6"), ("stock", "--c3")))
    assert live["close"] > 150
    assert listed["close"] > 30
    assert stock["close"] > 150
    assert live["drawn"] > live["close"]
    assert pixels(page, "stock", "--warning")["close"] > 50  # the sold-out stretch of the band
    assert fits(page)


def test_the_picture_is_told_in_a_sentence(browser_page, owner, listing):
    page = opened(browser_page(user=owner), listing)
    picture = page.locator(".chart-pane.price canvas")
    expect(picture).to_have_attribute("role", "img")
    label = picture.get_attribute("aria-label")
    assert label is not None
    assert "lowest ¥239.00" in label
    assert "not read for 5 d" in label


def test_the_legend_names_what_is_drawn_in_palette_order(browser_page, owner, listing):
    page = opened(browser_page(user=owner), listing)
    names = page.locator(".chart-legend li").all_inner_texts()
    assert names == ["List price", "Live price", "Stock", "On shelf", "Sold out", "Not read"]


def test_the_range_changes_without_a_reload(browser_page, owner, listing):
    page = opened(browser_page(user=owner), listing)
    page.evaluate("window.stillHere = true")
    with page.expect_response(lambda response: "range=7d" in response.url):
        page.get_by_role("button", name="7 d").click()
    expect(page.get_by_role("button", name="7 d")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".chart-legend")).not_to_contain_text("Not read")
    assert "range=7d" in (page.locator("[data-chart-csv]").get_attribute("href") or "")
    assert page.evaluate("window.stillHere")


def test_the_table_behind_the_chart_opens_in_place(browser_page, owner, listing):
    page = opened(browser_page(user=owner), listing)
    page.get_by_role("button", name="Table").click()
    expect(page.locator("[data-chart-table] tbody tr")).to_have_count(5)
    expect(page.locator("[data-chart-table]")).to_contain_text("239.00")
    expect(page.locator("[data-chart-table]")).to_contain_text("not read")


def test_another_theme_draws_the_lines_anew(browser_page, owner, listing):
    page = opened(browser_page(user=owner), listing)
    before = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--c1')")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_timeout(200)
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--c1')") != before
    assert pixels(page, "price", "--c1")["close"] > 150


def test_a_tap_tells_the_figures_of_a_moment(browser_page, owner, listing):
    page = opened(browser_page(user=owner, phone=True), listing)
    before = pixels(page, "price", "--border-color")["drawn"]
    page.locator(".chart-pane.price canvas").tap(position={"x": 250, "y": 60})
    page.wait_for_timeout(200)
    assert pixels(page, "price", "--border-color")["drawn"] > before + 1_000


def test_a_new_reading_is_a_new_point(browser_page, owner, listing):
    page = opened(browser_page(user=owner), listing)
    observe(listing, timedelta(0), list_price=Decimal(299), live_price=Decimal(111), stock=90)
    ListingWatch.objects.filter(listing=listing).update(read_at=timezone.now())
    page.reload()
    page.wait_for_selector(".chart[aria-busy=false]")
    assert "to ¥111.00" in (page.locator(".chart-pane.price canvas").get_attribute("aria-label") or "")
    page.get_by_role("button", name="Table").click()
    expect(page.locator("[data-chart-table] tbody tr").first).to_contain_text("111.00")


def test_one_reading_is_a_dot_with_its_value(browser_page, owner, live_server):
    listing = watched()
    observe(listing, timedelta(seconds=5), list_price=Decimal(9))
    ListingWatch.objects.filter(listing=listing).update(read_at=listing.observations.get().observed_at)
    page = opened(browser_page(user=owner), listing)
    assert pixels(page, "price", "--c6")["close"] > 20
    assert page.locator(".chart-pane").count() == 1


def test_nothing_read_yet_keeps_the_place_of_the_chart(browser_page, owner, listing):
    empty = watched()
    page = opened(browser_page(user=owner), listing)
    height = page.locator(".chart-frame").evaluate("frame => frame.clientHeight")
    page = opened(page, empty)
    expect(page.locator(".chart-empty")).to_contain_text("Nothing was read")
    assert page.locator(".chart-frame").evaluate("frame => frame.clientHeight") == height


def test_the_page_does_not_move_while_the_chart_loads(browser_page, owner, listing):
    page = browser_page(user=owner)
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver((list) => {"
        " for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.moved += entry.value;"
        "}).observe({ type: 'layout-shift', buffered: true });"
    )
    opened(page, listing)
    page.wait_for_timeout(300)
    assert page.evaluate("window.moved") < 0.02


def test_the_comparison_draws_each_listing(browser_page, owner, listing):
    rival = watched(sku=listing.sku, ownership="competitor")
    observe(rival, 20 * DAY, list_price=Decimal(260))
    page = browser_page(user=owner)
    page.goto(reverse("watch:compare", args=[listing.sku.product_id]))
    page.wait_for_selector(".chart[aria-busy=false]")
    assert pixels(page, "price", "--c1")["close"] > 150
    assert pixels(page, "price", "--c4")["close"] > 150
    names = page.locator(".chart-legend li").all_inner_texts()
    assert len(names) == 3
    assert names[-1] == "Not read"


def test_the_price_ahead_is_drawn_with_what_it_loses_and_has_a_table(browser_page, owner):
    sku = SkuFactory(cost_price=Decimal("42.00"), cost_currency="CNY")
    listing = watched(sku=sku, list_price=Decimal("99.00"))
    ChannelFees.objects.create(
        channel=listing.channel, valid_from=timezone.now() - DAY, tax_rate=1300, fee_rate=500, freight=600
    )
    sku.costs.update(valid_from=timezone.now() - DAY)
    starts = timezone.now() + 9 * DAY
    PromotionFactory(channel=listing.channel, name="Half off", value=5000, start=starts, end=starts + 9 * DAY)
    page = browser_page(user=owner)
    page.goto(reverse("watch:listing-price", args=[listing.pk]))
    page.wait_for_selector(".chart[aria-busy=false]")
    assert pixels(page, "price", "--c1")["close"] > 300
    canvas = page.locator(".chart-pane.price canvas").element_handle()
    # The hatching from the price up to break-even: its slanting lines are only half as dense as others.
    assert page.evaluate(PIXELS.replace("> 200", "> 60"), [canvas, "--critical"])["close"] > 300
    page.locator("[data-chart-open]").click()
    expect(page.locator("[data-chart-table] tbody tr")).to_have_count(3)
    expect(page.locator("[data-chart-table]")).to_contain_text("Half off")
