"""After-coupon prices of listings: worked out, stored when they differ, due again at each window's edge."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from catalog.models import BundleComponent, ChannelFees, ExchangeRate, SkuCost
from monitoring.models import ListingPrice, PriceQuote
from monitoring.services.prices import mark_due, replay_differences, requote, requote_due
from tests.factories import ListingFactory, PromotionFactory, SkuFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def listing():
    sku = SkuFactory(cost_price=Decimal("42.00"), cost_currency="CNY")
    sku.costs.update(valid_from=NOW - 30 * 24 * HOUR)
    return ListingFactory(sku=sku, list_price=Decimal("99.00"), stock=20)


@pytest.fixture
def fees(listing):
    return ChannelFees.objects.create(
        channel=listing.channel, valid_from=NOW - HOUR, tax_rate=1300, fee_rate=500, freight=600
    )


def last_quote(listing):
    return ListingPrice.objects.get(listing=listing).quote


def test_a_price_has_its_promotions_its_margin_and_until_when_it_holds(listing, fees):
    coupon = PromotionFactory(
        channel=listing.channel, measure="amount", tiers=[[9900, 1000]], end=NOW + 5 * HOUR, platform_id="coupon:7"
    )
    assert requote(listing_ids=[listing.pk], now=NOW).stored == 1
    found = last_quote(listing)
    assert (found.status, found.buy_one, found.valid_until) == ("ok", 8900, coupon.end)
    assert found.answer["used"] == [{"id": "coupon:7", "discount": 1000}]
    assert found.break_even == 5748
    # 89.00 less 10.24 tax, 4.45 fee, 6.00 freight and 42.00 for the goods
    assert found.margin == 8900 - 1024 - 445 - 600 - 4200


def test_the_same_answer_is_stored_once(listing, fees):
    PromotionFactory(channel=listing.channel, value=1000)
    stored = [requote(listing_ids=[listing.pk], now=NOW + number * HOUR).stored for number in range(3)]
    assert (stored, PriceQuote.objects.count()) == ([1, 0, 0], 1)


def test_each_edge_of_a_window_is_worked_out_when_it_comes(listing, fees):
    PromotionFactory(channel=listing.channel, value=500, start=NOW + HOUR, end=NOW + 2 * HOUR)
    mark_due(listing_ids=[listing.pk], now=NOW)
    seen = []
    for moment in (NOW, NOW + HOUR - timedelta(seconds=1), NOW + HOUR, NOW + 2 * HOUR, NOW + 3 * HOUR):
        requote_due(seconds=30, now_fn=partial(datetime.fromtimestamp, moment.timestamp(), UTC))
        seen.append(last_quote(listing).buy_one)
    assert seen == [9900, 9900, 9400, 9900, 9900]
    assert ListingPrice.objects.get().due_at is None


def test_fees_and_costs_that_begin_later_are_counted_from_then_on(listing, fees):
    ChannelFees.objects.create(
        channel=listing.channel, valid_from=NOW + HOUR, tax_rate=1300, fee_rate=1000, freight=600
    )
    SkuCost.objects.create(sku=listing.sku, valid_from=NOW + 2 * HOUR, amount=Decimal("50.00"), currency="CNY")
    mark_due(listing_ids=[listing.pk], now=NOW)
    margins = []
    for hour in range(3):
        requote_due(seconds=30, now_fn=partial(datetime.fromtimestamp, (NOW + hour * HOUR).timestamp(), UTC))
        margins.append(last_quote(listing).margin)
    assert margins == [3466, 2971, 2171]
    assert ListingPrice.objects.get().due_at is None


def test_a_bundle_is_worked_out_when_the_cost_of_a_component_begins(listing, fees):
    part = SkuFactory(cost_price=Decimal("10.00"), cost_currency="CNY")
    part.costs.update(valid_from=NOW - HOUR)
    listing.sku.costs.all().delete()
    BundleComponent.objects.create(bundle=listing.sku, component=part, units=2)
    SkuCost.objects.create(sku=part, valid_from=NOW + HOUR, amount=Decimal("15.00"), currency="CNY")
    requote(listing_ids=[listing.pk], now=NOW)
    assert ListingPrice.objects.get().due_at == NOW + HOUR


def test_a_promotion_of_other_goods_touches_nothing(listing, fees):
    other = ListingFactory(channel=listing.channel, list_price=Decimal("50.00"))
    PromotionFactory(channel=listing.channel, value=500, scope={"items": [other.platform_item_id]})
    requote(listing_ids=[listing.pk, other.pk], now=NOW)
    assert (last_quote(listing).buy_one, last_quote(other).buy_one) == (9900, 4500)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"tax_rate": None}, "tax_rate"),
        ({"fee_rate": None}, "fee_rate"),
        ({"freight": None}, "freight"),
        ({"valid_from": NOW + HOUR}, "freight"),
    ],
)
def test_what_is_not_known_makes_the_margin_unknown_and_not_the_price(listing, fees, change, part):
    ChannelFees.objects.update(**change)
    requote(listing_ids=[listing.pk], now=NOW)
    found = last_quote(listing)
    assert (found.buy_one, found.margin, found.break_even) == (9900, None, None)
    assert found.costs[part] is None


def test_a_price_that_is_not_known_is_not_told(listing, fees):
    type(listing).objects.update(list_price=None)
    requote(listing_ids=[listing.pk], now=NOW)
    found = last_quote(listing)
    assert (found.status, found.reason, found.buy_one, found.margin) == ("cannot_tell", "price:1", None, None)


def test_one_broken_promotion_breaks_no_other(listing, fees):
    PromotionFactory(channel=listing.channel, kind="percent_off", value=20_000, platform_id="coupon:1")
    PromotionFactory(channel=listing.channel, value=1000, platform_id="coupon:2")
    requote(listing_ids=[listing.pk], now=NOW)
    found = last_quote(listing)
    assert (found.buy_one, found.answer["not_used"]) == (8900, {"coupon:1": "invalid:percent"})


def test_stored_quotes_are_worked_out_to_the_same_answer_again(listing, fees):
    PromotionFactory(channel=listing.channel, value=1000, audience=["vip"], groups=["one"], combines=["coupon"])
    PromotionFactory(
        channel=listing.channel,
        kind="percent_off",
        measure="quantity",
        tiers=[[1, 500], [3, 2000]],
        scope={"items": [listing.platform_item_id], "not_on_sale": True},
        end=NOW + HOUR,
    )
    requote(listing_ids=[listing.pk], now=NOW)
    assert replay_differences(PriceQuote.objects.all()) == []
    PriceQuote.objects.update(answer={"status": "ok"})
    assert replay_differences(PriceQuote.objects.all()) == [last_quote(listing).pk]


@pytest.mark.parametrize(("day", "known"), [(0, True), (-6, True), (-7, False), (1, False)])
def test_an_exchange_rate_is_good_for_a_week(listing, fees, day, known):
    listing.sku.costs.update(amount=Decimal("5.00"), currency="USD")
    today = NOW.astimezone(UTC).date()
    ExchangeRate.objects.create(
        cost_currency="USD",
        sale_currency="CNY",
        day=today + timedelta(days=day),
        rate=Decimal("7.1234"),
        source="Central bank",
    )
    requote(listing_ids=[listing.pk], now=NOW)
    found = last_quote(listing)
    # 99.00 less 11.39 tax, 4.95 fee, 6.00 freight, 5.00 USD at 7.1234
    assert found.margin == (9900 - 1139 - 495 - 600 - 3562 if known else None)
    assert ("rate" in found.costs) == known


BROKEN = [
    {"value": None, "tiers": "many"},
    {"layer": "basement"},
    {"kind": "percent_off", "value": 20_000},
    {"scope": {"items": 7}},
    {"scope": ["7"]},
    {"source": "file", "start": NOW + HOUR, "end": NOW},
    {"currency": "USD"},
    {"audience": "everybody"},
    {"groups": {"a": 1}},
    {"tiers": [[1, 2], [1, 3]], "measure": "amount"},
    {"scope": {"items": ["0"], "not_items": ["0"]}},
]


@pytest.mark.parametrize("broken", BROKEN)
def test_one_broken_promotion_never_breaks_the_others(listing, fees, broken):
    PromotionFactory(channel=listing.channel, platform_id="coupon:good", value=1_000)
    PromotionFactory(channel=listing.channel, platform_id="coupon:bad", **broken)
    requote(listing_ids=[listing.pk], now=NOW)
    quote = last_quote(listing)
    assert (quote.status, quote.answer["used"]) == ("ok", [{"id": "coupon:good", "discount": 1_000}])


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        ({"categories": ["tea"]}, "unknown:coupon:1"),
        ({"not_categories": ["tea"]}, "unknown:coupon:1"),
        ({"items": ["0"], "categories": ["tea"]}, "unknown:coupon:1"),
        ({"items": ["0"], "not_categories": ["tea"]}, ""),  # of other goods whichever categories they are in
    ],
)
def test_with_a_promotion_of_categories_nobody_can_tell_as_long_as_those_of_the_goods_are_not_known(
    listing, fees, scope, reason
):
    PromotionFactory(channel=listing.channel, platform_id="coupon:1", value=1_000, scope=scope)
    requote(listing_ids=[listing.pk], now=NOW)
    quote = last_quote(listing)
    assert (quote.status, quote.reason) == ("cannot_tell" if reason else "ok", reason)


def test_a_listing_without_a_list_price_has_no_price_and_the_others_have_theirs(listing, fees):
    other = ListingFactory(channel=listing.channel, list_price=None)
    PromotionFactory(channel=listing.channel, value=1_000)
    requote(listing_ids=[listing.pk, other.pk], now=NOW)
    assert (last_quote(other).reason, last_quote(other).buy_one) == ("price:1", None)
    assert last_quote(listing).status == "ok"
