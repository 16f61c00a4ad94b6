"""A person's way through alerts: a threshold, a price that moves at the platform, the board, and what is done there."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from catalog.models import Listing
from integrations.fetching import fetch_listings
from integrations.notifying.lane import send_slice
from monitoring.models import Alert, Target, Threshold
from tests.browser.conftest import fits
from tests.factories import AlertFactory, CredentialFactory, ListingFactory, ListingWatchFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def row(simulator):
    return simulator.taobao.items(shop=simulator.taobao.shop()["shop"])[0]


@pytest.fixture
def robot(simulator, settings):
    """A DingTalk robot of the simulator that takes signed messages only."""
    settings.ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    return simulator.robots["dingtalk-signed"]


@pytest.fixture
def listing(live_server, simulator, row):
    """An own listing of a simulated shop, which the connector has read once."""
    account = simulator.accounts()["taobao"]
    channel = CredentialFactory(
        app_key=account["app_key"],
        app_secret=account["app_secret"],
        access_token=account["shops"][0]["session"],
        base_url=simulator.base_url,
        channel__name="天猫旗舰店",
    ).channel
    found = ListingFactory(
        channel=channel, platform_item_id=row["num_iid"], platform_sku_id=row["sku_id"] or "", title=""
    )
    ListingWatchFactory(listing=found, next_due_at=timezone.now() + timedelta(hours=1))
    fetch_listings(listing_ids=[found.pk], now=timezone.now())
    return Listing.objects.get(pk=found.pk)


def move_price(simulator, row, price: Decimal) -> None:
    simulator.taobao.set_item(row["num_iid"], row["sku_id"] or "", price=str(price))


def add_robot(page: Page, robot) -> None:
    """A target for the robot, told of everything."""
    page.goto("/monitoring/target/add/?kind=dingtalk")
    page.get_by_label("Name").fill("运营群")
    page.locator("#id_address").fill(robot["url"])
    page.locator("#id_secret").fill(robot["secret"])
    page.locator("#id_routes-0-least_severity").select_option("info")
    page.get_by_role("button", name="Save").click()
    expect(status(page)).to_contain_text("Added “运营群”.")
    assert Target.objects.get().routes.get().least_severity == "info"


def status(page: Page):
    return page.get_by_role("status")


def tab(page: Page, name: str) -> None:
    page.locator(".tabs").get_by_role("link", name=name).click()


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_a_price_that_falls_below_a_threshold_is_told_and_taken_care_of(
    browser_page, simulator, robot, listing, row, phone
):
    price = listing.list_price.quantize(Decimal("0.01"))
    limit, low = price - 1, price - 2
    page = browser_page(user=UserFactory(is_superuser=True, username="li"), phone=phone)

    add_robot(page, robot)

    # A threshold, from the listing's page.
    page.goto(f"/catalog/listing/{listing.pk}/change/")
    page.get_by_role("link", name="Add a threshold").click()
    expect(page.locator("#select2-id_listing-container")).to_contain_text(listing.title)
    expect(page.get_by_label("Lowest price")).not_to_be_visible()
    page.get_by_label("Alert when").select_option("price_range")
    expect(page.get_by_label("Readings missed")).not_to_be_visible()
    preview = page.locator("[data-preview]")
    expect(preview).to_contain_text("Enter a lowest price, a highest price, or both.")
    page.get_by_label("Lowest price").fill(str(limit))
    expect(preview).to_contain_text("Would not have fired in the last 30 days, for any of 1 listing.")
    page.get_by_label("Lowest price").fill(str(price + 1))
    expect(preview).to_contain_text("Would have fired 1 time in the last 30 days, for 1 of 1 listing.")
    page.get_by_label("Lowest price").fill(str(limit))
    page.get_by_label("Severity").select_option("critical")
    assert fits(page)
    page.get_by_role("button", name="Save").click()
    expect(status(page)).to_contain_text("Added")
    assert Threshold.objects.get().min_price == limit

    # The platform changes the price.
    move_price(simulator, row, low)
    page.goto(f"/catalog/listing/{listing.pk}/change/")
    page.get_by_role("button", name="Fetch now").click()
    expect(status(page)).to_contain_text("1 price changed.")
    expect(page.locator(".rows.alerts")).to_contain_text(f"¥{price:,} → ¥{low:,}")

    # The worker tells the group.
    assert send_slice(seconds=10).sent == 1
    (message,) = simulator.messages(robot["robot"])
    assert (message["accepted"], message["signed"], message["code"]) == (True, True, 0)
    for words in (listing.title, f"¥{low:,}", f"¥{limit:,}"):
        assert words in message["text"]

    # The bell leads to it.
    expect(page.locator(".bell-count")).to_have_text("1")
    page.locator(".bell > summary").click()
    page.locator(".bell").get_by_role("link", name=re.compile("Below")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Below ¥")
    expect(page.locator(".fact.key strong")).to_have_text(f"¥{low:,}")
    assert fits(page)
    page.get_by_label("Add a note").fill("asked the shop")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".note")).to_contain_text("li: asked the shop")

    # The board: acknowledge, snooze, resolve.
    page.goto("/monitoring/alert/")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    assert fits(page)
    page.locator(".action-select").check()
    page.get_by_role("button", name="Acknowledge").click()
    expect(status(page)).to_contain_text("Acknowledged 1 alert.")
    expect(page.locator(".bell-count")).to_have_count(0)
    expect(page.get_by_role("heading", name="No open alerts")).to_be_visible()
    tab(page, "Acknowledged")
    page.locator(".action-select").check()
    page.get_by_role("button", name="Snooze…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Snooze 1 alert until when?")
    page.get_by_label("4 hours").check()
    page.get_by_role("button", name="Snooze 1 alert").click()
    expect(status(page)).to_contain_text("Snoozed 1 alert.")
    tab(page, "Snoozed")
    expect(page.locator("#result_list tbody")).to_contain_text("until")
    page.locator(".action-select").check()
    page.get_by_role("button", name="Resolve").click()
    expect(status(page)).to_contain_text("Resolved 1 alert.")
    tab(page, "Resolved")
    page.locator("#result_list tbody th a").click()
    history = page.locator(".events")
    for deed in ("acknowledged", "snoozed", "resolved", "noted"):
        expect(history).to_contain_text(deed)

    # Resolved by hand, it does not come back as long as the price stays.
    page.goto(f"/catalog/listing/{listing.pk}/change/")
    page.get_by_role("button", name="Fetch now").click()
    expect(status(page)).to_contain_text("no price changed")
    assert Alert.objects.get().status == Alert.Status.RESOLVED


def test_a_form_of_a_threshold_works_without_script(browser, browser_page, listing, live_server):
    user = UserFactory(is_superuser=True)
    page = browser_page(user=user)
    cookies = page.context.cookies()
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    context.add_cookies(cookies)
    plain = context.new_page()
    plain.goto(f"/monitoring/threshold/add/?listing={listing.pk}")
    plain.locator("#id_kind").select_option("price_range")
    plain.locator("#id_min_price").fill("999999")
    plain.get_by_role("button", name="Check").click()
    expect(plain.locator("[data-preview]")).to_contain_text("Would have fired 1 time")
    plain.get_by_role("button", name="Save").click()
    assert Threshold.objects.get().listing == listing
    context.close()


def test_check_says_what_an_empty_form_lacks_and_takes_back_errors_that_are_mended(browser_page, listing):
    page = browser_page(user=UserFactory(is_superuser=True))
    page.goto("/monitoring/threshold/add/")
    preview = page.locator("[data-preview]")
    page.get_by_role("button", name="Check").click()
    expect(preview).to_contain_text("Choose the listing.")
    expect(preview).to_contain_text("Choose when an alert opens.")

    page.goto(f"/monitoring/threshold/add/?listing={listing.pk}")
    page.get_by_label("Alert when").select_option("price_range")
    page.get_by_label("Lowest price").fill("99.999")
    page.get_by_role("button", name="Save").click()
    row = page.locator(".field-min_price")
    expect(row.locator(".errorlist")).to_have_text("Prices in CNY have at most 2 decimals.")
    expect(preview).to_contain_text("Prices in CNY have at most 2 decimals.")
    expect(row.locator(".errorlist")).to_have_count(1)  # the answer to the same form takes nothing back
    page.get_by_label("Lowest price").fill("999999")
    expect(preview).to_contain_text("Would have fired 1 time")
    expect(page.locator(".errorlist, .errornote, .form-row.errors, [aria-invalid]")).to_have_count(0)


def test_the_same_threshold_is_answered_with_a_link_to_the_one_there_is(browser_page, listing):
    page = browser_page(user=UserFactory(is_superuser=True))
    for _time in range(2):
        page.goto(f"/monitoring/threshold/add/?listing={listing.pk}")
        page.get_by_label("Alert when").select_option("sold_out")
        page.get_by_role("button", name="Save").click()
    threshold = Threshold.objects.get()
    page.locator("[data-preview]").get_by_role("link", name="Sold out").click()
    expect(page).to_have_url(re.compile(f"/monitoring/threshold/{threshold.pk}/change/"))
    expect(page.locator("[data-preview]")).not_to_contain_text("like this already")


@pytest.mark.parametrize("size", [(390, 844), (320, 640)])
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_no_button_of_the_bar_is_cut_off_on_a_phone(browser_page, live_server, size, language):
    AlertFactory()
    page = browser_page(user=UserFactory(is_superuser=True), size=size, language=language)
    page.goto("/monitoring/alert/?tab=all")
    page.locator(".action-select").check()
    buttons = page.locator(".actions.bulk .btn")
    expect(buttons).to_have_count(5)
    for box in (button.bounding_box() for button in buttons.all()):
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["height"] >= 40
    overflow = "buttons => buttons.filter(button => button.scrollWidth > button.clientWidth).length"
    assert buttons.evaluate_all(overflow) == 0
    assert fits(page)
