"""The page that explains an after-coupon price."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import ChannelFees
from tests.factories import ListingFactory, PromotionFactory, SkuFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def listing():
    sku = SkuFactory(cost_price=Decimal("42.00"), cost_currency="CNY")
    sku.costs.update(valid_from=timezone.now() - DAY)
    found = ListingFactory(sku=sku, list_price=Decimal("99.00"), stock=20)
    ChannelFees.objects.create(
        channel=found.channel, valid_from=timezone.now() - DAY, tax_rate=1300, fee_rate=500, freight=600
    )
    return found


def url(listing):
    return reverse("watch:listing-price", args=[listing.pk])


def test_it_tells_what_is_paid_what_is_left_and_why(client, listing):
    signed_in(client, "Manager")
    ends = timezone.now() + DAY
    PromotionFactory(channel=listing.channel, name="Ten off", measure="amount", tiers=[[9900, 1000]], end=ends)
    PromotionFactory(channel=listing.channel, name="Members", value=500, audience=["vip"])
    text = client.get(url(listing)).text
    for part in ("¥89.00", "list price ¥99.00, ▼ 10.1%", "¥57.48", "¥26.31", "then ¥99.00", "Threshold ¥99.00 reached"):
        assert part in text
    assert "Only for vip." in text


def test_whoever_may_not_see_costs_sees_the_price_alone(client, listing):
    signed_in(client, "Viewer", listing.channel)
    text = client.get(url(listing)).text
    assert "¥99.00" in text
    for secret in ("42.00", "57.48", "Break-even", "Margin"):
        assert secret not in text


def test_what_is_not_known_is_named(client, listing):
    signed_in(client, "Manager")
    ChannelFees.objects.update(freight=None)
    text = client.get(url(listing)).text
    assert "not known: freight and packing" in text
    assert "cannot tell" in text


def test_another_quantity_and_moment_are_worked_out(client, listing):
    signed_in(client, "Manager")
    starts = timezone.now() + 2 * DAY
    PromotionFactory(channel=listing.channel, value=None, measure="quantity", tiers=[[3, 5000]], start=starts)
    at = timezone.localtime(starts + DAY).strftime("%Y-%m-%dT%H:%M")
    text = client.get(url(listing), {"quantity": "3", "at": at}).text
    assert "Buyer pays for 3" in text
    assert "¥247.00" in text


@pytest.mark.parametrize("query", [{"quantity": "0"}, {"quantity": "x"}, {"at": "soon"}])
def test_a_wrong_question_is_told_and_nothing_is_worked_out(client, listing, query):
    signed_in(client, "Manager")
    response = client.get(url(listing), query)
    assert response.status_code == 200
    assert "errornote" in response.text
    assert "¥99.00" not in response.text


def test_a_listing_of_a_channel_that_one_does_not_see_is_not_there(client, listing):
    signed_in(client, "Operator")
    assert client.get(url(listing)).status_code == 404


def test_a_page_takes_the_same_queries_for_many_promotions_as_for_few(client, listing, django_assert_max_num_queries):
    signed_in(client, "Manager")
    for number in range(20):
        PromotionFactory(channel=listing.channel, value=100 + number, groups=["one"])
    client.get(url(listing))
    with django_assert_max_num_queries(24):
        client.get(url(listing))
