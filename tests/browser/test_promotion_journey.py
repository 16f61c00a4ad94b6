"""A person plans a promotion: the panel that says what it would do, the question before a loss, and the alert of it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from catalog.models import ChannelFees, Promotion
from integrations.tasks import price_lane
from tests.browser.conftest import fits
from tests.factories import ChannelFactory, ListingFactory, SkuFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def listing(live_server):
    """At 99.00; it breaks even at 57.48."""
    channel = ChannelFactory(name="天猫旗舰店")
    yesterday = timezone.now() - timedelta(days=1)
    ChannelFees.objects.create(channel=channel, valid_from=yesterday, tax_rate=1300, fee_rate=500, freight=600)
    sku = SkuFactory(cost_price=Decimal("42.00"), cost_currency="CNY")
    sku.costs.update(valid_from=yesterday)
    return ListingFactory(channel=channel, sku=sku, list_price=Decimal("99.00"), title="手冲咖啡壶")


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_a_promotion_is_tried_beside_its_form_saved_all_the_same_and_its_loss_told(browser_page, listing, phone):
    page = browser_page(user=UserFactory(is_superuser=True), phone=phone, dark=phone)
    page.goto("/catalog/promotion/add/")
    panel = page.locator("[data-preview]")
    page.get_by_label("Channel").select_option(label="天猫旗舰店")
    page.get_by_label("Name").fill("双十二券")
    page.get_by_label("Layer").select_option(label="Coupon")
    page.get_by_label("Kind").select_option(label="percentage off")
    page.locator("#id_figure").fill("120")
    expect(panel).to_contain_text("percentage is not between 0.01 and 100")
    page.locator("#id_figure").fill("10")
    expect(panel).to_contain_text("¥99.00 → ¥89.10")
    expect(panel).to_contain_text("None of them sells below break-even.")
    page.locator("#id_figure").fill("50")
    expect(panel).to_contain_text("1 listing sells below break-even")
    expect(panel).to_contain_text("break-even: ¥57.48")
    assert fits(page)

    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Save “双十二券”?")
    expect(page.locator("#content")).to_contain_text("1 listing sells below break-even, first at")
    assert fits(page)
    assert Promotion.objects.count() == 0
    page.get_by_role("button", name="Save all the same").click()
    expect(page.get_by_role("status")).to_contain_text("Added “双十二券”.")

    price_lane()
    page.goto(f"/catalog/listing/{listing.pk}/change/")
    expect(page.locator("#content")).to_contain_text("Sold below break-even")
    expect(page.locator(".fact.key").first).to_contain_text("¥49.50")
