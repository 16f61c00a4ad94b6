"""Promotions that together sell below break-even are found before they begin, with the first minute, and none else."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from catalog.costs import changes_ahead, costs_of
from catalog.models import ChannelFees, ChannelPricing, ExchangeRate, Listing, SkuCost
from catalog.pricing.rulesets import OTHER_VALUES, rules_for
from catalog.promotions.prices import LOOKED_AHEAD, price_of
from catalog.promotions.requests import edges, shops_of
from monitoring.models import Alert, Collision, ListingPrice
from monitoring.services.collisions import scan, scan_due
from monitoring.services.prices import mark_due, requote
from tests.factories import ChannelFactory, ListingFactory, PromotionFactory, SkuFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def channel():
    found = ChannelFactory()
    ChannelFees.objects.create(channel=found, valid_from=NOW - 90 * DAY, tax_rate=1300, fee_rate=500, freight=600)
    return found


def listing_of(channel, *, price="99.00", cost="42.00", currency="CNY", **more):
    sku = SkuFactory(cost_price=Decimal(cost), cost_currency=currency) if cost else SkuFactory()
    sku.costs.update(valid_from=NOW - 90 * DAY)
    return ListingFactory(channel=channel, sku=sku, list_price=Decimal(price), **more)


@pytest.fixture
def listing(channel):
    return listing_of(channel)  # breaks even at 57.48


def found(listing, certainty="certain", now=NOW):
    scan(listing_ids=[listing.pk], now=now)
    return Collision.objects.filter(listing=listing, certainty=certainty).first()


def test_two_that_are_harmless_alone_are_found_where_they_meet(listing):
    PromotionFactory(
        channel=listing.channel, layer="shop", auto=True, value=2500, platform_id="act:1", name="Shop week"
    )
    coupon = PromotionFactory(
        channel=listing.channel,
        layer="coupon",
        value=2000,
        platform_id="coupon:1",
        name="Twenty off",
        start=NOW + 9 * DAY + timedelta(minutes=7),
    )
    collision = found(listing)
    assert (collision.starts_at, collision.worst_at) == (coupon.start, coupon.start)
    assert (collision.price, collision.break_even) == (5400, 5748)
    assert collision.margin == 5400 - 621 - 270 - 600 - 4200  # tax 6.21, fee 2.70, freight, goods
    assert collision.promotions == [["act:1", "Shop week"], ["coupon:1", "Twenty off"]]
    assert (collision.rule, collision.buyer) == ("", "")


@pytest.mark.parametrize(("value", "is_found"), [(4152, False), (4153, True)])
def test_at_break_even_nothing_is_missing(listing, value, is_found):
    PromotionFactory(channel=listing.channel, value=value, start=NOW + DAY)
    assert (found(listing) is not None) == is_found


def test_windows_that_do_not_meet_are_none(listing):
    PromotionFactory(channel=listing.channel, layer="shop", value=2500, start=NOW + DAY, end=NOW + 2 * DAY)
    PromotionFactory(channel=listing.channel, layer="coupon", value=2000, start=NOW + 2 * DAY, end=NOW + 3 * DAY)
    assert found(listing) is None


def test_what_stands_for_each_other_is_not_added_up(listing):
    for value in (2000, 2500, 3000):
        PromotionFactory(channel=listing.channel, layer="coupon", value=value)
    assert found(listing) is None


def test_other_goods_paused_and_used_up_ones_bring_about_nothing(listing):
    PromotionFactory(channel=listing.channel, value=6000, scope={"items": ["another"]})
    PromotionFactory(channel=listing.channel, value=6000, status="paused")
    PromotionFactory(channel=listing.channel, value=6000, remaining=0)
    PromotionFactory(channel=listing.channel, value=6000, start=NOW + 91 * DAY)
    PromotionFactory(channel=listing.channel, value=6000, end=NOW)
    PromotionFactory(channel=listing.channel, kind="percent_off", value=20_000)
    scan(listing_ids=[listing.pk], now=NOW)
    assert not Collision.objects.exists()


def test_the_lowest_price_is_told_with_the_first_minute_of_any_loss(listing):
    PromotionFactory(channel=listing.channel, layer="shop", value=4200, start=NOW + DAY)
    PromotionFactory(channel=listing.channel, layer="coupon", value=1000, start=NOW + 5 * DAY, end=NOW + 6 * DAY)
    collision = found(listing)
    assert (collision.starts_at, collision.worst_at, collision.price) == (NOW + DAY, NOW + 5 * DAY, 4700)


def test_fees_and_costs_that_begin_later_bring_losses_about(listing):
    PromotionFactory(channel=listing.channel, value=3000)
    SkuCost.objects.create(sku=listing.sku, valid_from=NOW + 3 * DAY, amount=Decimal("56.00"), currency="CNY")
    assert found(listing).starts_at == NOW + 3 * DAY
    ChannelFees.objects.create(
        channel=listing.channel, valid_from=NOW + 2 * DAY, tax_rate=1300, fee_rate=3000, freight=600
    )
    assert found(listing).starts_at == NOW + 2 * DAY


def test_a_price_that_is_too_low_without_any_promotion_is_no_collision(channel):
    listing = listing_of(channel, price="57.47")
    assert found(listing) is None
    PromotionFactory(channel=channel, value=100, start=NOW + DAY)
    collision = found(listing)
    assert (collision.starts_at, collision.worst_at, collision.price) == (NOW, NOW + DAY, 5647)


def test_the_platforms_part_of_a_discount_comes_in_too(listing):
    PromotionFactory(channel=listing.channel, layer="platform", value=5000, seller_share=0)
    assert found(listing) is None


def test_fees_of_a_promotion_count(listing):
    PromotionFactory(channel=listing.channel, value=3900, start=NOW + DAY, fee_fixed=500)
    assert found(listing).starts_at == NOW + DAY


def test_a_loss_of_some_buyers_names_them(listing):
    PromotionFactory(channel=listing.channel, value=5000, audience=["88VIP"], start=NOW + DAY)
    collision = found(listing)
    assert (collision.buyer, collision.starts_at) == ("88VIP", NOW + DAY)


def test_a_rule_that_nobody_confirms_is_possible_and_named(listing):
    for number in range(2):
        PromotionFactory(
            channel=listing.channel, layer="coupon", value=2500, platform_id=f"coupon:{number}", start=NOW + DAY
        )
    assert found(listing) is None
    collision = found(listing, "possible")
    assert (collision.rule, collision.price, collision.starts_at) == ("coupon.pick=many", 4900, NOW + DAY)


def test_a_rule_that_the_channel_has_of_its_own_is_known(listing):
    ChannelPricing.objects.create(channel=listing.channel, ruleset="taobao", settings={"coupon.pick": "one_per_line"})
    for number in range(2):
        PromotionFactory(channel=listing.channel, layer="coupon", value=2500, platform_id=f"coupon:{number}")
    assert found(listing, "possible") is None


def test_what_another_rule_does_not_make_lower_is_only_certain(listing):
    PromotionFactory(channel=listing.channel, layer="coupon", value=6000)
    assert found(listing) is not None
    assert not Collision.objects.filter(certainty="possible").exists()


class TestWhatNobodyCanTell:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"tax_rate": None}, "missing:tax_rate"),
            ({"freight": None, "fee_rate": None}, "missing:freight,fee_rate"),
        ],
    )
    def test_missing_fees_are_named_and_no_loss_is_invented(self, listing, change, reason):
        ChannelFees.objects.update(**change)
        PromotionFactory(channel=listing.channel, value=9000)
        assert found(listing) is None
        row = found(listing, "cannot_tell")
        assert (row.reason, row.starts_at) == (reason, NOW)

    def test_a_missing_cost_or_price_is_named(self, channel):
        assert found(listing_of(channel, cost=None), "cannot_tell").reason == "missing:cost"
        other = listing_of(channel)
        Listing.objects.filter(pk=other.pk).update(list_price=None)
        assert found(other, "cannot_tell").reason == "price:1"

    def test_what_a_platform_does_not_tell_is_unknown_from_then_on(self, listing):
        PromotionFactory(
            channel=listing.channel, value=None, unknown=["value"], start=NOW + 2 * DAY, platform_id="coupon:9"
        )
        PromotionFactory(channel=listing.channel, value=5000, start=NOW + DAY)
        assert found(listing).starts_at == NOW + DAY
        row = found(listing, "cannot_tell")
        assert (row.reason, row.starts_at) == ("unknown:coupon:9", NOW + 2 * DAY)

    def test_a_rate_of_today_counts_for_what_is_ahead(self, channel):
        listing = listing_of(channel, cost="5.90", currency="USD")
        PromotionFactory(channel=channel, value=4200, start=NOW + 40 * DAY)
        assert found(listing, "cannot_tell").reason == "missing:exchange_rate"
        ExchangeRate.objects.create(
            cost_currency="USD", sale_currency="CNY", day=NOW.date(), rate=Decimal("7.2"), source="Central bank"
        )
        assert found(listing, "cannot_tell") is None
        assert found(listing).starts_at == NOW + 40 * DAY


class TestWarnings:
    def in_force(self):
        return sorted(Alert.objects.filter(cleared_at=None).values_list("kind", "severity"))

    def test_a_loss_ahead_is_told_before_it_begins_and_as_a_loss_once_it_does(self, listing):
        coupon = PromotionFactory(channel=listing.channel, value=5000, start=NOW + DAY, end=NOW + 2 * DAY)
        mark_due(listing_ids=[listing.pk], now=NOW)
        scan_due(seconds=30, now_fn=lambda: NOW)
        requote(listing_ids=[listing.pk], now=NOW)
        assert self.in_force() == [("loss_ahead", "warning")]
        alert = Alert.objects.get()
        assert (alert.new_value, alert.old_value) == (coupon.start.isoformat(), "49.00")
        assert ListingPrice.objects.get().scan_due_at == coupon.start - DAY + 14 * HOUR  # the night, at two
        for at in (coupon.start, coupon.end):
            requote(listing_ids=[listing.pk], now=at)
            scan_due(seconds=30, now_fn=partial(lambda at: at, at))
            expected = [("below_break_even", "critical")] if at == coupon.start else []
            assert self.in_force() == expected
            assert [row.starts_at for row in Collision.objects.all()] == [coupon.start] * len(expected)

    def test_a_warning_ends_with_its_cause_and_follows_its_minute(self, listing):
        coupon = PromotionFactory(channel=listing.channel, value=5000, start=NOW + DAY)
        found(listing)
        type(coupon).objects.update(start=NOW + 3 * DAY)
        found(listing)
        assert Alert.objects.get().new_value == (NOW + 3 * DAY).isoformat()
        coupon.delete()
        found(listing)
        assert self.in_force() == []
        assert Alert.objects.count() == 1

    def test_a_warning_lasts_while_nobody_can_tell(self, listing):
        PromotionFactory(channel=listing.channel, value=5000, start=NOW + DAY)
        found(listing)
        ChannelFees.objects.update(freight=None)
        found(listing)
        assert self.in_force() == [("loss_ahead", "warning")]

    def test_what_is_only_possible_warns_of_nothing(self, listing):
        for number in range(2):
            PromotionFactory(channel=listing.channel, layer="coupon", value=2500, platform_id=f"coupon:{number}")
        found(listing)
        assert self.in_force() == []


class TestWhenItIsDue:
    def test_only_what_a_change_can_touch_is_looked_through_again(self, listing):
        other = listing_of(listing.channel)
        mark_due(listing_ids=[listing.pk, other.pk], now=NOW)
        assert scan_due(seconds=30, now_fn=lambda: NOW).listings == 2
        assert scan_due(seconds=30, now_fn=lambda: NOW + HOUR).listings == 0
        mark_due(listing_ids=[other.pk], now=NOW + HOUR)
        assert scan_due(seconds=30, now_fn=lambda: NOW + HOUR).listings == 1

    def test_each_listing_is_looked_through_every_night(self, listing):
        mark_due(listing_ids=[listing.pk], now=NOW)
        seen = [scan_due(seconds=30, now_fn=partial(lambda at: at, NOW + hour * HOUR)).listings for hour in range(48)]
        assert sum(seen) == 3

    def test_a_mark_set_meanwhile_stays(self, listing):
        mark_due(listing_ids=[listing.pk], now=NOW)
        ListingPrice.objects.update(scan_due_at=NOW + HOUR)
        scan(listing_ids=[listing.pk], now=NOW)
        assert ListingPrice.objects.get().scan_due_at == NOW + HOUR

    def test_scanning_twice_changes_nothing(self, listing):
        PromotionFactory(channel=listing.channel, value=5000, start=NOW + DAY)
        found(listing)
        before = Collision.objects.values().get()
        found(listing)
        after = Collision.objects.values().get()
        assert {**before, "id": 0} == {**after, "id": 0}
        assert Alert.objects.count() == 1


def _by_asking_for_every_edge(listing, now):
    """Lowest price below break-even and first minute by the channel's own rules; lowest price by any other."""
    shop = shops_of([listing.channel], at=now)[listing.channel_id]
    moments = {now, *edges(shop.promotions, now, now + LOOKED_AHEAD)}
    moments |= set(changes_ahead([listing], after=now, until=now + LOOKED_AHEAD).get(listing.pk, ()))
    own = shop.pricing.settings

    def losses(settings):
        if settings and rules_for(shop.pricing.ruleset, own | dict(settings)) == rules_for(shop.pricing.ruleset, own):
            return []
        found = []
        for at in sorted(moments):
            costs = costs_of([listing], at=at, known_at=now)[listing.pk]
            price = price_of(listing, shop, costs, at=at, settings=settings)
            if price.margin is not None and price.is_below_break_even:
                found.append((price.goods, price.margin.left, at))
        return [(min(found)[0], min(at for *_rest, at in found))] if found else []

    certain = losses({})
    limit = certain[0][0] if certain else 10**9
    others = [loss for settings in OTHER_VALUES[shop.pricing.ruleset] for loss in losses(settings) if loss[0] < limit]
    return (certain[0] if certain else None), (min(others)[0] if others else None)


@pytest.mark.parametrize("ruleset", sorted(OTHER_VALUES))
def test_it_finds_what_asking_for_every_edge_finds(channel, ruleset):
    luck = random.Random(ruleset)
    ChannelPricing.objects.create(channel=channel, ruleset=ruleset, basis="list")
    layers = [layer.name for layer in rules_for(ruleset, {}).layers]
    listings = [
        listing_of(channel, price=f"{whole}.{luck.randint(0, 99):02}", live_price=Decimal("59.00"))
        for whole in (57, *luck.sample(range(58, 100), 3))
    ]
    PromotionFactory(channel=channel, layer=layers[0], value=500, start=NOW + 50 * HOUR, end=NOW + 99 * HOUR)
    for number in range(11):
        kind = luck.choice(["amount_off", "percent_off", "percent_off", "fixed_price"])
        start = NOW + luck.randint(-40, 60) * HOUR
        value = {"amount_off": luck.randint(500, 4000), "percent_off": luck.randint(500, 4000)}.get(kind)
        value = value or luck.randint(4000, 9000)
        minimum = luck.choice([0, 5000, 9900, 15000])
        goods = luck.sample(listings, 2)
        PromotionFactory(
            channel=channel,
            layer=luck.choice(layers),
            kind=kind,
            measure="amount" if minimum else "none",
            tiers=[[minimum, value]],
            value=None,
            auto=luck.random() < 0.4,
            repeat=kind == "amount_off" and minimum > 0 and luck.random() < 0.3,
            max_discount=luck.choice([None, None, 1500]),
            groups=luck.choice([[], [], ["one"]]),
            combines=luck.choice([None, None, [], ["coupon", "order", "item"]]),
            effect_base=luck.choice([None, None, "running", "list", "live"]),
            seller_share=luck.choice([10_000, 10_000, 4_000]),
            fee_rate=luck.choice([0, 0, 200]),
            scope=luck.choice([None, {"items": [each.platform_item_id for each in goods]}]),
            start=start,
            end=start + luck.randint(1, 80) * HOUR,
            platform_id=f"p:{number}",
        )
    scan(listing_ids=[each.pk for each in listings], now=NOW)
    got = {
        (row.listing_id, row.certainty): (row.price, row.starts_at)
        for row in Collision.objects.exclude(certainty="cannot_tell")
    }
    assert got  # or nothing is compared
    for listing in listings:
        certain, lowest = _by_asking_for_every_edge(listing, NOW)
        assert got.get((listing.pk, "certain")) == certain
        assert got.get((listing.pk, "possible"), (None,))[0] == lowest
