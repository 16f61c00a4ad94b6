"""The panel beside the form of a promotion, and the question before one is stored that sells below break-even."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import AuditEvent, ChannelFees, Promotion
from tests.factories import ChannelFactory, ListingFactory, PromotionFactory, SkuFactory
from tests.staff import address, signed_in

pytestmark = pytest.mark.django_db

ADD = "admin:catalog_promotion_add"
PREVIEW = "admin:catalog_promotion_preview"
DAY = timedelta(days=1)


@pytest.fixture
def channel():
    made = ChannelFactory()
    ChannelFees.objects.create(channel=made, valid_from=timezone.now() - DAY, tax_rate=1300, fee_rate=500, freight=600)
    return made


@pytest.fixture
def listing(channel):
    sku = SkuFactory(cost_price=Decimal("42.00"), cost_currency="CNY")
    sku.costs.update(valid_from=timezone.now() - DAY)
    return ListingFactory(channel=channel, sku=sku, list_price=Decimal("99.00"))


def filled(channel, **fields):
    return {
        "channel": channel.pk,
        "name": "双十二券",
        "layer": "coupon",
        "kind": "amount_off",
        "figure": "10",
        "per": "order",
        "measure": "none",
        "measure_over": "scope",
        "status": "active",
        "priority": "0",
        "our_share": "100",
        "uplift": "1",
        **fields,
    }


def previewed(client, channel, **fields):
    return client.post(reverse(PREVIEW), filled(channel, **fields)).json()["html"]


def test_the_panel_tells_prices_margins_and_break_even(client, channel, listing):
    signed_in(client, "Manager")
    html = previewed(client, channel, figure="45")
    for part in (
        "1 listing sells below break-even",
        "¥99.00 → ¥54.00",
        "break-even: ¥57.48",
        "−¥2.91 (−5.4%)",
        "Changes the price of 1 of 1 listing as soon as it is saved.",
        "its stock was never counted",
        "No other channel that you work with sells from it.",
    ):
        assert part in html
    assert Promotion.objects.count() == 0
    assert "None of them sells below break-even." in previewed(client, channel)


def test_whoever_may_not_see_costs_is_told_of_the_loss_and_of_no_figure_behind_it(client, channel, listing):
    signed_in(client, "Operator", channel)
    html = previewed(client, channel, figure="45")
    assert "1 listing sells below break-even" in html
    assert "¥99.00 → ¥54.00" in html
    for secret in ("57.48", "2.91", "5.4", "Margins", "margin", "42.00"):
        assert secret not in html


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"figure": "9.999"}, "Enter an amount with no more decimals than CNY has."),
        ({"kind": "percent_off", "figure": "120"}, "percentage is not between 0.01 and 100"),
        ({"name": ""}, "Name"),
        ({"layer": "promo"}, "This shop has the layers"),
        ({"uplift": "0"}, "Sales while it lasts"),
    ],
)
def test_what_is_wrong_or_missing_is_named_in_place_of_figures(client, channel, listing, fields, told):
    signed_in(client, "Operator", channel)
    html = previewed(client, channel, **fields)
    assert told in html
    assert "¥99.00" not in html


def test_a_cannot_tell_names_what_is_not_known(client, channel, listing):
    signed_in(client, "Manager")
    ChannelFees.objects.update(freight=None)
    html = previewed(client, channel)
    assert "Cannot tell whether any of them sells below break-even." in html
    assert "margin not known for want of: freight and packing" in html


def test_prices_that_cannot_be_told_are_not_told_to_stay(client, channel, listing):
    signed_in(client, "Manager")
    unpriced = ListingFactory(channel=channel)
    html = previewed(client, channel)
    assert "Changes the price of 1 of 2 listings" in html
    assert "The price of 1 of them cannot be told." in html
    html = previewed(client, channel, items=unpriced.platform_item_id)
    assert "Cannot tell which prices it changes." in html
    assert "1 listing: Cannot tell: its list price is not known." in html


def test_without_a_script_the_button_shows_the_same_and_stores_nothing(client, channel, listing):
    signed_in(client, "Manager")
    page = client.post(reverse(ADD), filled(channel, _check="1"))
    assert page.status_code == 200
    assert "¥99.00 → ¥89.00" in page.text
    assert Promotion.objects.count() == 0


def test_a_loss_is_asked_about_before_it_is_stored_and_stored_when_that_is_said(client, channel, listing):
    signed_in(client, "Operator", channel)
    page = client.post(reverse(ADD), filled(channel, figure="45", _save="Save"))
    assert "1 listing sells below break-even, first at" in page.text
    assert Promotion.objects.count() == 0
    posted = dict(page.context["posted"])
    assert client.post(reverse(ADD), {**posted, "_check": "1"}).status_code == 200
    assert Promotion.objects.count() == 0
    assert client.post(reverse(ADD), {**posted, "_confirmed": "1"}).status_code == 302
    assert Promotion.objects.get().value == 4500
    assert [event.action for event in AuditEvent.objects.all()] == ["added"]


def test_what_sells_nothing_below_break_even_is_stored_at_once(client, channel, listing):
    signed_in(client, "Operator", channel)
    assert client.post(reverse(ADD), filled(channel, _save="Save")).status_code == 302


def test_a_change_that_makes_a_loss_is_asked_about_and_one_audit_event_tells_it(client, channel, listing):
    signed_in(client, "Operator", channel)
    promotion = PromotionFactory(channel=channel, name="双十二券")
    edit = address(promotion, "edit")
    assert "Save “双十二券”?" in client.post(edit, filled(channel, figure="45")).text
    promotion.refresh_from_db()
    assert promotion.value == 1000
    changed = filled(channel, figure="45", fee_percent="0", fee_per_order="0", items=listing.platform_item_id)
    assert client.post(edit, {**changed, "_confirmed": "1"}).status_code == 302
    promotion.refresh_from_db()
    assert promotion.value == 4500
    [event] = AuditEvent.objects.all()
    assert event.changes == {"value": ["10", "45"], "only these items": ["", [listing.platform_item_id]]}


@pytest.mark.parametrize("role", ["Viewer", "Buyer"])
def test_whoever_may_not_add_promotions_gets_no_preview(client, channel, listing, role):
    signed_in(client, role, channel)
    assert client.post(reverse(PREVIEW), filled(channel)).status_code == 403


def test_a_promotion_of_another_channel_or_of_the_platform_is_not_previewed(client, channel, listing):
    signed_in(client, "Operator", channel)
    theirs = PromotionFactory()
    read = PromotionFactory(channel=channel, source="platform", platform_id="coupon:7")
    for promotion, status in ((theirs, 404), (read, 403)):
        url = f"{reverse(PREVIEW)}?promotion={promotion.pk}"
        assert client.post(url, filled(channel)).status_code == status
    assert "Select a valid choice" in previewed(client, theirs.channel)
    assert client.get(reverse(PREVIEW)).status_code == 405


def test_the_page_of_a_promotion_tells_its_fee(client, channel):
    signed_in(client, "Viewer", channel)
    promotion = PromotionFactory(channel=channel, fee_rate=250, fee_fixed=500)
    assert "fee: 2.5% of what comes in, ¥5.00 per order" in client.get(address(promotion, "change")).text
