"""Promotions that prices are worked out with are told of before they end, once each."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import ChannelPricing, Promotion
from config.formatting import moment
from integrations.tasks import check_promotions, price_lane
from monitoring.models import Alert
from monitoring.services.prices import requote
from monitoring.services.promotion_alerts import check_ending
from tests.factories import ListingFactory, PromotionFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def listing():
    return ListingFactory(list_price=Decimal("99.00"))


def checked(listing, now=NOW, *, requoted=True):
    """Names of the promotions whose alerts are in force once prices are worked out."""
    if requoted:
        requote(listing_ids=[listing.pk], now=now)
    check_ending(now=now)
    return sorted(Alert.objects.filter(kind="promotion_ends", cleared_at=None).values_list("old_value", flat=True))


@pytest.mark.parametrize(
    ("terms", "is_told"),
    [
        pytest.param({"end": NOW + 24 * HOUR}, True, id="ends within a day"),
        pytest.param({"end": NOW + 24 * HOUR + timedelta(seconds=1)}, False, id="ends later"),
        pytest.param({"remaining": 20}, True, id="few are left"),
        pytest.param({"remaining": 21}, False, id="enough are left"),
        pytest.param({}, False, id="no end known"),
        pytest.param({"end": NOW}, False, id="has ended"),
        pytest.param({"start": NOW + HOUR, "end": NOW + 2 * HOUR}, False, id="has not begun"),
        pytest.param({"end": NOW + HOUR, "scope": {"items": ["another"]}}, False, id="no price uses it"),
        pytest.param({"end": NOW + HOUR, "tiers": [[20_000, 500]], "measure": "amount"}, False, id="out of reach"),
    ],
)
def test_one_in_use_is_told_when_little_is_left_of_it(listing, terms, is_told):
    PromotionFactory(channel=listing.channel, name="Ten off", **terms)
    assert checked(listing) == (["Ten off"] if is_told else [])


def test_a_channel_says_itself_how_early_and_how_few(listing):
    PromotionFactory(channel=listing.channel, name="Long", layer="shop", end=NOW + 30 * HOUR)
    PromotionFactory(channel=listing.channel, name="Many", remaining=30)
    assert checked(listing) == []
    ChannelPricing.objects.create(channel=listing.channel, ruleset="taobao", ends_within_hours=48, few_left=30)
    assert checked(listing) == ["Long", "Many"]


def test_it_is_one_alert_however_many_prices_use_it(listing):
    other = ListingFactory(channel=listing.channel, list_price=Decimal("50.00"))
    PromotionFactory(channel=listing.channel, name="Ten off", end=NOW + HOUR, layer="shop")
    PromotionFactory(channel=listing.channel, name="Coupon", end=NOW + HOUR)
    requote(listing_ids=[other.pk], now=NOW)
    for _time in range(2):
        assert checked(listing) == ["Coupon", "Ten off"]
    assert {alert.listing_id for alert in Alert.objects.all()} == {None}


@pytest.mark.parametrize(
    ("change", "at"),
    [
        pytest.param({}, NOW + HOUR, id="ended"),
        pytest.param({"end": NOW + 90 * HOUR}, NOW, id="prolonged"),
        pytest.param({"status": "paused"}, NOW, id="paused"),
        pytest.param({"status": "gone"}, NOW, id="gone"),
        pytest.param(None, NOW, id="deleted"),
    ],
)
def test_its_alert_ends(listing, change, at):
    PromotionFactory(channel=listing.channel, name="Ten off", end=NOW + HOUR)
    assert checked(listing) == ["Ten off"]
    rows = Promotion.objects.all()
    rows.delete() if change is None else rows.update(**{"name": "Ten off", **change})
    assert checked(listing, at) == []
    assert Alert.objects.get().status == Alert.Status.RESOLVED


def test_what_is_left_is_told_as_it_is_now(listing):
    PromotionFactory(channel=listing.channel, name="Ten off", remaining=9)
    checked(listing)
    Promotion.objects.update(remaining=4)
    checked(listing)
    assert Alert.objects.get().limit == "4"


def test_the_clock_tells_it_and_people_read_it(client, listing):
    ends = timezone.now() + HOUR
    PromotionFactory(channel=listing.channel, name="Ten off", end=ends)
    price_lane()
    assert check_promotions() == "1 promotions about to end"
    signed_in(client, "Viewer", listing.channel)
    board = client.get(reverse("admin:monitoring_alert_changelist")).text
    assert "“Ten off” ends soon" in board
    assert f"It ends {moment(ends)}" in board
    page = client.get(reverse("admin:monitoring_alert_change", args=[Alert.objects.get().pk])).text
    assert "prices are worked out with it" in page
