"""Alerts of worked-out prices: when each opens, at its very limit, and when it ends."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import translation

from catalog.models import ChannelFees, ChannelPricing
from monitoring.alert_text import alert_sentence, alert_title
from monitoring.models import Alert, Notification
from monitoring.services.prices import requote
from tests.factories import ListingFactory, PromotionFactory, RouteFactory, SkuFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def listing():
    sku = SkuFactory(cost_price=Decimal("42.00"), cost_currency="CNY")
    sku.costs.update(valid_from=NOW - 90 * DAY)
    found = ListingFactory(sku=sku, list_price=Decimal("99.00"))
    ChannelFees.objects.create(
        channel=found.channel, valid_from=NOW - 90 * DAY, tax_rate=1300, fee_rate=500, freight=600
    )
    return found


def priced(listing, price, at=NOW):
    """Kinds in force once the listing costs so much."""
    type(listing).objects.filter(pk=listing.pk).update(list_price=Decimal(price))
    requote(listing_ids=[listing.pk], now=at)
    return sorted(Alert.objects.filter(cleared_at=None).values_list("kind", flat=True))


@pytest.mark.parametrize(("price", "kinds"), [("57.48", []), ("57.47", ["below_break_even"])])
def test_a_sale_below_break_even_is_told_and_one_at_it_is_not(listing, price, kinds):
    assert priced(listing, price) == kinds


def test_a_loss_ends_when_it_is_none_any_more_and_not_when_nobody_can_tell(listing):
    assert priced(listing, "50.00") == ["below_break_even"]
    ChannelFees.objects.update(freight=None)
    assert priced(listing, "50.00", NOW + DAY) == ["below_break_even"]
    ChannelFees.objects.update(freight=600)
    assert priced(listing, "60.00", NOW + 2 * DAY) == []
    assert Alert.objects.get().status == Alert.Status.RESOLVED


def test_a_loss_is_one_alert_however_often_it_is_worked_out(listing):
    for day in range(3):
        priced(listing, f"{50 - day}.00", NOW + day * DAY)
    assert Alert.objects.count() == 1


def test_a_loss_is_told_to_those_who_are_told_of_alerts(listing):
    RouteFactory()
    priced(listing, "50.00")
    assert Notification.objects.filter(alert__kind="below_break_even").exists()


@pytest.mark.parametrize(
    ("floor", "kinds"),
    [(1000, []), (2901, ["below_margin"]), (2900, []), (None, [])],
)
def test_a_margin_below_its_floor_is_told_and_one_at_it_is_not(listing, floor, kinds):
    ChannelPricing.objects.create(channel=listing.channel, ruleset="taobao", margin_floor=floor)
    # 100.00 less 11.50 tax, 5.00 fee, 6.00 freight and the goods leaves just 29.00
    listing.sku.costs.update(amount=Decimal("48.50"))
    assert priced(listing, "100.00") == kinds


def test_a_loss_is_not_told_once_more_as_a_thin_margin(listing):
    ChannelPricing.objects.create(channel=listing.channel, ruleset="taobao", margin_floor=5000)
    assert priced(listing, "50.00") == ["below_break_even"]


class TestDiscountsThatAreNone:
    def test_a_price_above_the_low_of_30_days_is_told_while_a_promotion_says_otherwise(self, listing):
        priced(listing, "90.00", NOW - 40 * DAY)
        priced(listing, "120.00", NOW - 5 * DAY)
        PromotionFactory(channel=listing.channel, value=2000)
        assert priced(listing, "120.00") == ["not_below_low"]
        assert priced(listing, "110.00", NOW + DAY) == []  # 90.00 again, which is the low

    def test_without_30_days_nobody_can_tell(self, listing):
        priced(listing, "90.00", NOW - 29 * DAY)
        PromotionFactory(channel=listing.channel, value=2000)
        assert priced(listing, "120.00") == []

    def test_a_dearer_price_without_a_promotion_claims_nothing(self, listing):
        priced(listing, "90.00", NOW - 40 * DAY)
        assert priced(listing, "120.00") == []

    def test_a_low_before_the_30_days_is_forgotten(self, listing):
        priced(listing, "80.00", NOW - 60 * DAY)
        priced(listing, "100.00", NOW - 40 * DAY)
        PromotionFactory(channel=listing.channel, value=1000)
        assert priced(listing, "110.00") == []


def test_a_platform_that_tells_another_price_is_told(listing):
    type(listing).objects.update(promotion_price=Decimal("89.00"))
    assert priced(listing, "99.00") == ["platform_differs"]
    PromotionFactory(channel=listing.channel, value=1000)
    assert priced(listing, "99.00", NOW + DAY) == []


@pytest.mark.parametrize(
    ("kind", "fields", "title", "sentence"),
    [
        (
            "below_break_even",
            {"new_value": "50.00"},
            "Sold below break-even",
            "¥50.00 come in for one, less than it costs",
        ),
        (
            "loss_ahead",
            {"old_value": "49.00", "new_value": "2026-11-24T01:30:00+00:00"},
            "Will sell below break-even",
            "From 24 Nov 09:30 on, down to ¥49.00, less than it costs",
        ),
        (
            "loss_ahead",
            {"old_value": "49.00", "new_value": "2026-11-24T01:30:00+00:00", "limit": "88VIP"},
            "Will sell below break-even",
            "From 24 Nov 09:30 on, down to ¥49.00 for 88VIP, less than it costs",
        ),
        (
            "promotion_ends",
            {"old_value": "Ten off", "new_value": "2026-11-24T01:30:00+00:00", "limit": "7"},
            "“Ten off” ends soon",
            "It ends 24 Nov 09:30, 7 are left, prices are worked out with it",
        ),
        (
            "below_margin",
            {"new_value": "100.00", "limit": "1000"},
            "Margin below 10.0%",
            "¥100.00 come in for one, of which less than 10.0% is left",
        ),
        (
            "not_below_low",
            {"old_value": "90.00", "new_value": "100.00", "limit": "90.00"},
            "Discount above the 30-day low",
            "After coupon ¥100.00, but it was ¥90.00 within 30 days",
        ),
        (
            "platform_differs",
            {"old_value": "89.00", "new_value": "99.00"},
            "Platform tells another price",
            "We work out ¥99.00, the platform says ¥89.00",
        ),
    ],
)
def test_alerts_in_words(kind, fields, title, sentence):
    alert = Alert(kind=kind, currency="CNY", **fields)
    with translation.override("en"):
        assert (alert_title(alert), alert_sentence(alert)) == (title, sentence)
