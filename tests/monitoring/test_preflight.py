"""What a promotion would do before it is stored: prices, losses with their first minute, and the stock behind them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from catalog.models import BundleComponent, ChannelFees, ChannelPricing, Promotion
from catalog.stock.ledger import Kind, Movement, Source, record_movements
from monitoring.models import PriceQuote
from monitoring.services.preflight import preflight
from monitoring.services.prices import requote
from tests.factories import (
    ChannelFactory,
    ListingFactory,
    PromotionFactory,
    PurchaseOrderFactory,
    PurchaseOrderLineFactory,
    SkuFactory,
    WarehouseFactory,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def channel():
    """Its break-even for goods that cost 42.00 is 57.48."""
    made = ChannelFactory()
    ChannelFees.objects.create(channel=made, valid_from=NOW - DAY, tax_rate=1300, fee_rate=500, freight=600)
    return made


def listed(channel, price="99.00", cost="42.00", **fields):
    sku = SkuFactory(cost_price=cost and Decimal(cost), cost_currency="CNY")
    sku.costs.update(valid_from=NOW - 60 * DAY)
    return ListingFactory(channel=channel, sku=sku, list_price=price and Decimal(price), **fields)


def proposed(channel, **fields):
    """Valid and not stored."""
    return PromotionFactory.build(channel=channel, **fields)


def asked(promotion, uplift="1", now=NOW):
    return preflight(promotion, uplift=Decimal(uplift), now=now)


def test_prices_without_and_with_it_and_the_worst_margin_first(channel):
    thin, thick = listed(channel, price="70.00"), listed(channel)
    found = asked(proposed(channel, value=1000))
    assert [(each.listing, each.before, each.after) for each in found.effects] == [
        (thin, 7000, 6000),
        (thick, 9900, 8900),
    ]
    assert (found.touched, found.looked_at, found.losses, Promotion.objects.count()) == (2, 2, [], 0)
    assert [band.count for band in found.bands] == [0, 1, 1]


@pytest.mark.parametrize(("value", "is_loss"), [(4152, False), (4153, True)])
def test_one_unit_below_break_even_is_a_loss_and_at_it_there_is_none(channel, value, is_loss):
    listed(channel)
    found = asked(proposed(channel, value=value))
    assert found.effects[0].after == 9900 - value
    assert found.first_loss_at == (NOW if is_loss else None)


def test_it_is_worked_out_at_its_start(channel):
    listed(channel)
    PromotionFactory(channel=channel, value=9000, end=NOW + HOUR)
    found = asked(proposed(channel, value=4153, start=NOW + 2 * HOUR))
    assert (found.at, found.first_loss_at, found.effects[0].before) == (NOW + 2 * HOUR, NOW + 2 * HOUR, 9900)


def test_the_first_minute_of_a_loss_is_the_edge_at_which_another_one_begins(channel):
    listing, other = listed(channel), listed(channel, price="200.00")
    PromotionFactory(channel=channel, value=2000, layer="shop", auto=True, start=NOW + 5 * HOUR, end=NOW + 9 * HOUR)
    found = asked(proposed(channel, value=2500, end=NOW + 2 * DAY))
    assert [(each.listing, each.first_loss_at) for each in found.losses] == [(listing, NOW + 5 * HOUR)]
    assert {each.listing for each in found.effects} == {listing, other}
    assert asked(proposed(channel, value=2500, end=NOW + 5 * HOUR)).losses == []


def test_a_loss_that_begins_once_a_better_one_is_over_is_found(channel):
    listing = listed(channel)
    PromotionFactory(channel=channel, value=4000, groups=["one"], end=NOW + HOUR)
    ChannelFees.objects.create(
        channel=channel, valid_from=NOW + HOUR, tax_rate=1300, fee_rate=500, freight=2600
    )  # from then on the other one would be a loss as well
    found = asked(proposed(channel, value=3900, groups=["one"]))
    assert found.effects == []
    assert [(each.listing, each.before, each.after, each.first_loss_at) for each in found.losses] == [
        (listing, 9900, 6000, NOW + HOUR)
    ]


def test_what_is_stored_is_left_out_and_what_the_form_says_counts_instead(channel):
    listed(channel)
    stored = PromotionFactory(channel=channel, value=1000)
    stored.value = 3000
    [effect] = asked(stored).effects
    assert (effect.before, effect.after) == (9900, 6900)


def test_what_is_a_loss_already_is_told_as_such(channel):
    listed(channel, price="50.00")
    [loss] = asked(proposed(channel)).losses
    assert loss.was_loss


def test_what_cannot_be_told_is_counted_by_its_reason_and_never_as_0(channel):
    listed(channel, price=None)
    listed(channel, cost=None)
    listed(channel, price="200.00")
    found = asked(proposed(channel, measure="amount", tiers=[[9000, 1000]]))
    assert list(found.no_price.values()) == [1]
    assert dict(found.no_margin) == {("cost",): 1}
    assert sum(band.count for band in found.bands) == 1
    found = asked(proposed(channel, measure="amount", tiers=[[10_000, 1000]]))
    assert dict(found.not_used) == {"Only from ¥100.00 on.": 1}


def test_it_is_asked_for_as_many_pieces_as_it_takes_and_for_its_buyers(channel):
    listed(channel)
    found = asked(proposed(channel, kind="nth_piece", value=5000, of=2, take=1, audience=["88VIP"]))
    [effect] = found.effects
    assert (found.quantity, effect.before, effect.after) == (2, 19_800, 14_850)


def test_one_that_is_over_changes_nothing(channel):
    listed(channel)
    found = asked(proposed(channel, end=NOW))
    assert (found.is_over, found.effects) == (True, [])


def test_other_channels_and_other_items_are_not_touched(channel):
    ListingFactory(list_price=Decimal(99))
    mine, _other = listed(channel), listed(channel)
    found = asked(proposed(channel, scope={"items": [mine.platform_item_id]}))
    assert [each.listing for each in found.effects] == [mine]


def test_of_very_many_listings_those_with_the_thinnest_margin_are_worked_out(
    channel, monkeypatch, django_assert_max_num_queries
):
    monkeypatch.setattr("monitoring.services.preflight.MOST_LISTINGS", 3)
    rich = [listed(channel, price="300.00") for _ in range(4)]
    poor = listed(channel, price="70.00")
    requote(listing_ids=[each.pk for each in (*rich, poor)], now=NOW)
    with django_assert_max_num_queries(30):
        found = asked(proposed(channel, value=2000))
    assert (found.touched, found.looked_at) == (5, 3)
    assert found.effects[0].listing == poor


def test_what_there_is_no_time_for_is_not_looked_at_and_that_is_told(channel):
    for _number in range(2):
        listed(channel)
    PromotionFactory(channel=channel, value=500, start=NOW + HOUR)
    found = preflight(proposed(channel), uplift=Decimal(1), now=NOW, seconds=-1)
    assert (found.touched, found.looked_at, len(found.effects)) == (2, 1, 1)
    assert found.ahead_until == NOW + HOUR


def test_the_margin_floor_of_the_channel_is_a_band(channel):
    ChannelPricing.usual(channel).save()
    ChannelPricing.objects.update(margin_floor=1500)
    listed(channel, price="70.00")
    found = asked(proposed(channel, value=500))
    assert [(band.is_below_floor, band.count) for band in found.bands] == [(False, 0), (True, 1)]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"value": 1500}, id="an amount"),
        pytest.param({"kind": "percent_off", "value": 1250, "max_discount": 900}, id="a rate with a cap"),
        pytest.param({"kind": "fixed_price", "value": 8000, "layer": "item", "auto": True}, id="an item price"),
        pytest.param({"measure": "amount", "tiers": [[9000, 1000], [15_000, 4000]]}, id="tiers"),
        pytest.param(
            {"value": 2000, "layer": "platform", "seller_share": 4000, "fee_rate": 250}, id="shared, with a fee"
        ),
        pytest.param({"value": 2000, "start": NOW + 3 * HOUR, "groups": ["one"]}, id="later, and excluded by another"),
    ],
)
def test_it_tells_what_the_prices_are_once_it_is_stored(channel, fields):
    listings = [listed(channel, price=price) for price in ("70.00", "99.00", "180.00")]
    PromotionFactory(channel=channel, value=700, groups=["one"])
    PromotionFactory(channel=channel, layer="platform", kind="percent_off", value=500, auto=True, end=NOW + 9 * HOUR)
    promotion = proposed(channel, **fields)
    found = asked(promotion)
    promotion.save()
    requote(listing_ids=[each.pk for each in listings], now=found.at)
    stored = {row.listing_id: (row.buy_one, row.margin) for row in PriceQuote.objects.all()}
    assert found.effects
    assert {each.listing.pk: (each.after, each.margin) for each in found.effects}.items() <= stored.items()
    unchanged = stored.keys() - {each.listing.pk for each in found.effects}
    promotion.delete()
    requote(listing_ids=sorted(unchanged), now=found.at)
    assert all(
        (row.buy_one, row.margin) == stored[row.listing_id] for row in PriceQuote.objects.filter(listing__in=unchanged)
    )


class TestStock:
    @pytest.fixture
    def warehouse(self):
        return WarehouseFactory()

    def book(self, sku, warehouse, kind, quantity, at):
        key = f"{sku.pk}-{kind}-{at.isoformat()}"
        movement = Movement(sku.pk, warehouse.pk, kind, quantity, key, Source.MANUAL, happened_at=at)
        record_movements([movement], now=at)

    def sold(self, sku, warehouse, received=100, a_day=2, days=28):
        """Received 40 days ago, and so many sold on each of the last days."""
        self.book(sku, warehouse, Kind.RECEIPT, received, NOW - 40 * DAY)
        for day in range(1, days + 1):
            self.book(sku, warehouse, Kind.SALE, -a_day, NOW - day * DAY)

    def test_a_stock_lasts_at_the_pace_of_the_last_weeks_times_the_uplift(self, channel, warehouse):
        listing = listed(channel)
        self.sold(listing.sku, warehouse)
        [selling] = asked(proposed(channel), uplift="2").selling
        assert (selling.available, selling.pace.sold, selling.pace.days) == (44, 56, 28)
        assert selling.sold_out_at == NOW + 11 * DAY

    def test_days_without_stock_are_left_out_of_the_pace(self, channel, warehouse):
        listing = listed(channel)
        self.sold(listing.sku, warehouse, received=0 + 56, days=28)
        self.book(listing.sku, warehouse, Kind.RECEIPT, 10, NOW - HOUR)
        [selling] = asked(proposed(channel)).selling
        assert (selling.available, selling.pace.days) == (10, 28)
        self.book(listing.sku, warehouse, Kind.SALE, -10, NOW - HOUR)
        later = NOW + 14 * DAY
        self.book(listing.sku, warehouse, Kind.RECEIPT, 20, later - HOUR)
        [selling] = asked(proposed(channel), now=later).selling
        assert selling.pace.days < 28
        assert selling.pace.per_day > 2

    def test_a_short_history_tells_no_pace(self, channel, warehouse):
        listing = listed(channel)
        self.book(listing.sku, warehouse, Kind.COUNT, 50, NOW - 5 * DAY)
        self.book(listing.sku, warehouse, Kind.SALE, -10, NOW - 2 * DAY)
        [selling] = asked(proposed(channel)).selling
        assert (selling.available, selling.pace.per_day, selling.sold_out_at) == (40, None, None)

    def test_a_stock_that_nobody_counted_is_not_known(self, channel):
        listing = listed(channel)
        [selling] = asked(proposed(channel)).selling
        assert (selling.sku_id, selling.available, selling.sold_out_at) == (listing.sku_id, None, None)

    @pytest.mark.parametrize(("days", "sold_out", "too_late"), [(10, 27, None), (23, 22, 10)])
    def test_what_is_on_order_comes_in_time_or_too_late(self, channel, warehouse, days, sold_out, too_late):
        listing = listed(channel)
        self.sold(listing.sku, warehouse)
        order = PurchaseOrderFactory(
            warehouse=warehouse, status="sent", sent_at=NOW - DAY, expected_at=NOW + days * DAY
        )
        PurchaseOrderLineFactory(order=order, sku=listing.sku, quantity=10)
        [selling] = asked(proposed(channel)).selling
        assert selling.sold_out_at == NOW + sold_out * DAY
        assert (selling.too_late and selling.too_late.units) == too_late

    def test_of_a_bundle_its_parts_run_out(self, channel, warehouse):
        bundle, part = listed(channel).sku, SkuFactory()
        BundleComponent.objects.create(bundle=bundle, component=part, units=2)
        self.sold(part, warehouse)
        found = asked(proposed(channel))
        assert found.sku_ids == {part.pk}
        assert found.selling[0].sold_out_at == NOW + 22 * DAY
