"""The frame in a real browser: nothing scrolls sideways, menus and keys work, the policy is never broken."""

import re

import pytest
from django.contrib.auth.models import Group
from django.db.models import Model
from django.urls import reverse
from playwright.sync_api import expect

from catalog.models import AuditEvent, Listing
from tests.browser.conftest import DESKTOP, PHONE, SMALL_PHONE, TABLET, overflow
from tests.factories import (
    NOW,
    ChannelFactory,
    ListingFactory,
    ListingWatchFactory,
    ProductFactory,
    SkuFactory,
    SupplierFactory,
    UserFactory,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def owner(transactional_db):
    return UserFactory(username="linyue", is_superuser=True)


@pytest.fixture
def shop(transactional_db):
    """A channel with a usual listing, one nothing is known of, and one with a name as long as names get."""
    channel = ChannelFactory(name="天猫旗舰店")
    product = ProductFactory(name="手冲咖啡壶 细口 600ml", brand="MOKA")
    sku = SkuFactory(code="EV-KET-600", product=product, supplier=SupplierFactory(), cost_price="148")
    usual = ListingFactory(
        channel=channel,
        sku=sku,
        title="手冲咖啡壶 细口 600ml 胡桃木柄",
        list_price="299",
        live_price="268",
        stock=36,
        shelf_state="on_shelf",
        observed_at=NOW,
    )
    ListingWatchFactory(listing=usual, read_at=NOW)
    ListingFactory(channel=channel, title="", platform_item_id="9" * 40)
    ListingFactory(channel=channel, title="手冲咖啡壶" * 24, sku=sku, ownership="competitor", live_price="1234567.89")
    return usual


def addresses(listing: Listing) -> list[str]:
    sku = listing.sku
    assert sku is not None
    assert sku.supplier is not None
    role, _created = Group.objects.get_or_create(name="Viewer")
    objects: list[Model] = [listing, listing.channel, sku, sku.product, sku.supplier]
    found = [
        "/",
        "/set-up/",
        "/search/?q=600",
        "/password_change/",
        "/catalog/user/add/",
        "/catalog/auditevent/",
        reverse("admin:auth_group_change", args=[role.pk]),
    ]
    for obj in objects:
        name = f"admin:catalog_{obj._meta.model_name}"
        found += [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[obj.pk]), reverse(f"{name}_add")]
    found += [
        reverse(f"admin:catalog_{kind}_edit", args=[pk]) for kind, pk in (("listing", listing.pk), ("sku", sku.pk))
    ]
    found += [
        reverse("admin:catalog_supplier_delete", args=[sku.supplier_id]),
        reverse("admin:catalog_sku_history", args=[sku.pk]),
    ]
    return found


@pytest.mark.parametrize(
    ("size", "dark", "language"),
    [
        pytest.param(DESKTOP, False, "en", id="desktop light"),
        pytest.param(TABLET, True, "zh-hans", id="tablet dark in Chinese"),
        pytest.param(PHONE, True, "en", id="phone dark"),
        pytest.param(SMALL_PHONE, False, "zh-hans", id="small phone light in Chinese"),
    ],
)
def test_no_page_scrolls_sideways_or_breaks_the_policy(browser_page, owner, shop, size, dark, language):
    page = browser_page(user=owner, size=size, dark=dark, language=language)
    for address in addresses(shop):
        page.goto(address)
        assert overflow(page) <= 0, address
        assert page.locator("h1").count() == 1, address
        assert page.locator("html").get_attribute("lang") == language


def test_pop_ups_have_no_header_and_break_no_policy(browser_page, owner, shop):
    page = browser_page(user=owner, size=(800, 600))
    for address in ("/catalog/sku/add/?_popup=1", "/catalog/listing/?_popup=1"):
        page.goto(address)
        expect(page.locator("#header, #menu")).to_have_count(0)
        expect(page.locator("h1")).to_have_count(1)


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_signing_in_and_out(browser_page, owner, phone):
    page = browser_page(phone=phone)
    page.goto("/catalog/listing/")
    page.get_by_label("Username").fill("linyue")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".errornote")).to_be_visible()
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Listings")
    assert overflow(page) <= 0
    page.locator(".menu-toggle > summary" if phone else ".user-menu > summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log out")).to_have_count(0)


def test_on_a_phone_active_filters_take_one_line(browser_page, owner, shop):
    page = browser_page(user=owner, phone=True)
    page.goto("/catalog/listing/?shelf_state__exact=on_shelf&ownership__exact=own")
    expect(page.get_by_role("link", name="Clear filters").first).to_be_attached()
    assert page.locator("#changelist-filter").evaluate("row => row.offsetHeight") < 60
    assert overflow(page) <= 0


def test_slash_searches_and_escape_closes_menus(browser_page, owner, shop):
    page = browser_page(user=owner)
    page.goto("/catalog/listing/")
    page.keyboard.press("/")
    expect(page.locator("#site-search")).to_be_focused()
    page.keyboard.type("胡桃木柄")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_contain_text("手冲咖啡壶 细口 600ml 胡桃木柄")

    page.goto("/catalog/listing/")
    channel, shelf = (
        page.locator("#changelist-filter details").nth(0),
        page.locator("#changelist-filter details").nth(1),
    )
    channel.locator("summary").click()
    shelf.locator("summary").click()
    expect(channel).not_to_have_attribute("open", "")
    expect(shelf).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    expect(shelf).not_to_have_attribute("open", "")
    expect(shelf.locator("summary")).to_be_focused()
    shelf.locator("summary").click()
    page.locator("h1").click()
    expect(shelf).not_to_have_attribute("open", "")


def test_the_theme_is_switched_and_stays(browser_page, owner):
    page = browser_page(user=owner)
    page.goto("/set-up/")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator(".tools .theme-toggle").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/catalog/listing/")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") not in (light, "rgba(0, 0, 0, 0)")


def test_the_language_is_switched(browser_page, owner):
    page = browser_page(user=owner)
    page.goto("/set-up/")
    page.locator(".tools details summary").first.click()
    page.locator(".tools").get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")


def test_the_menu_of_a_phone_covers_the_page(browser_page, owner):
    page = browser_page(user=owner, phone=True)
    page.goto("/set-up/")
    menu = page.locator("#menu")
    expect(menu).not_to_be_visible()
    page.locator(".menu-toggle > summary").click()
    expect(menu).to_be_visible()
    for item in menu.get_by_role("link").all():
        assert item.bounding_box()["height"] >= 40
    page.keyboard.press("Escape")
    expect(menu).not_to_be_visible()
    page.locator(".menu-toggle > summary").click()
    menu.get_by_role("link", name="Listings").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Listings")


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_the_bulk_bar_rises_with_the_first_tick_and_acts(browser_page, owner, shop, phone):
    page = browser_page(user=owner, phone=phone)
    page.goto("/catalog/listing/")
    bar = page.locator(".actions.bulk")
    expect(bar).not_to_be_visible()
    page.locator(".action-select").nth(0).check()
    expect(bar).to_be_visible()
    expect(bar).to_contain_text("1 of 3 selected")
    remove = bar.get_by_role("button", name="Remove")
    if not remove.is_visible():
        bar.locator("summary").click()
    remove.click()
    expect(page.locator(".messagelist")).to_contain_text("Removed 1 listing")
    assert Listing.objects.filter(removed_at__isnull=False).count() == 1
    assert AuditEvent.objects.get().action == "removed"


def test_rows_become_labelled_cards_on_a_phone(browser_page, owner, shop):
    page = browser_page(user=owner, phone=True)
    page.goto("/catalog/listing/")
    cell = page.locator("#result_list td.num").first
    label = cell.evaluate("cell => getComputedStyle(cell, '::before').content")
    assert label == '"List price"'
    expect(page.locator("#result_list thead")).not_to_be_visible()
    tick = page.locator("td.action-checkbox").first.bounding_box()
    assert min(tick["width"], tick["height"]) >= 40


def test_choosing_a_sku_by_autocomplete(browser_page, owner, shop):
    SkuFactory(code="EV-NEW")
    page = browser_page(user=owner)
    page.goto(reverse("admin:catalog_listing_edit", args=[shop.pk]))
    page.locator(".field-sku .select2-selection").click()
    page.locator(".select2-search__field").fill("EV-NEW")
    page.locator(".select2-results__option", has_text=re.compile("^EV-NEW$")).click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".page-head .line")).to_contain_text("EV-NEW")
    assert Listing.objects.filter(pk=shop.pk, sku__code="EV-NEW").exists()


def test_a_deletion_can_be_thought_better_of(browser_page, owner, shop):
    supplier = shop.sku.supplier
    page = browser_page(user=owner)
    page.goto(reverse("admin:catalog_supplier_change", args=[supplier.pk]))
    page.get_by_role("link", name="Delete…").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Delete supplier “{supplier}”?")
    page.get_by_role("link", name="Keep").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Edit")


def test_the_header_stays_when_the_list_scrolls(browser_page, owner, shop):
    ListingFactory.create_batch(45, channel=shop.channel)
    page = browser_page(user=owner)
    page.goto("/catalog/listing/")
    page.mouse.wheel(0, 1500)
    page.wait_for_function("window.scrollY > 500")
    assert page.locator("#header").bounding_box()["y"] == 0
    assert page.locator("#result_list thead th").nth(1).bounding_box()["y"] == pytest.approx(48, abs=1)


def test_on_a_phone_the_search_is_in_the_menu(browser_page, owner, shop):
    page = browser_page(user=owner, phone=True)
    page.goto("/catalog/channel/")
    expect(page.locator("#site-search")).not_to_be_visible()
    page.locator(".menu-toggle > summary").click()
    search = page.locator("#menu").get_by_role("searchbox", name="Search")
    search.fill("胡桃木")
    search.press("Enter")
    page.get_by_role("link", name=shop.title).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(shop.title)


@pytest.mark.parametrize("name", ["product", "sku"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_the_tables_of_a_page_fit_into_its_width(browser_page, owner, shop, name, phone):
    page = browser_page(user=owner, phone=phone)
    obj = shop.sku if name == "sku" else shop.sku.product
    page.goto(reverse(f"admin:catalog_{name}_change", args=[obj.pk]))
    assert page.locator(".scroll").evaluate_all("each => each.every((box) => box.scrollWidth <= box.clientWidth)")
    expect(page.locator(".data thead").last).to_be_visible(visible=not phone)
