"""Which figure each listing is to show at each location, and what makes it be looked at again."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import BundleComponent, ChannelLocation, Listing, Sku, StockLevel
from catalog.stock.availability import Blocked
from catalog.stock.explaining import explain
from catalog.stock.targets import stock_targets
from tests.factories import (
    NOW,
    ChannelFactory,
    ListingFactory,
    SkuFactory,
    StockLevelFactory,
    StockRuleFactory,
    WarehouseFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def warehouse():
    return WarehouseFactory(position=1)


@pytest.fixture
def listing(warehouse):
    """A listing of a SKU that there are 23 of."""
    listing = ListingFactory(sku=SkuFactory(stock_version=4), channel__platform="shopify")
    StockLevelFactory(sku=listing.sku, warehouse=warehouse, on_hand=25, reserved=2)
    return listing


def shown():
    """(location, figure or why there is none) of every target."""
    return [(each.location_id, each.target.blocked or each.target.quantity) for each in stock_targets()]


def test_a_target_goes_through_the_rules_of_its_channel_and_its_own(listing):
    StockRuleFactory(channel=listing.channel, buffer=2, share_percent=50, cap=10)
    StockRuleFactory(channel=None, listing=listing, share_percent=80)
    StockRuleFactory(buffer=20)
    (found,) = stock_targets()
    assert (found.listing_id, found.channel_id, found.sku_id) == (listing.pk, listing.channel_id, listing.sku_id)
    assert (found.location_id, found.stock_version) == ("", 4)
    assert explain(found.target) == "23 available − 2 buffer = 21, 80% → 16, cap 10 → 10"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"pack_factor": 6}, 3, id="pack"),
        pytest.param({"sku": None}, Blocked.NOT_MAPPED, id="not mapped"),
    ],
)
def test_what_the_listing_says_counts(listing, values, expected):
    Listing.objects.filter(pk=listing.pk).update(**values)
    assert shown() == [("", expected)]


@pytest.mark.parametrize("status", ["paused", "retired"])
def test_a_sku_that_is_not_active_is_left_alone(listing, status):
    Sku.objects.update(status=status)
    assert shown() == [("", Blocked.SKU_INACTIVE)]


def test_a_paused_channel_is_left_alone_but_for_listings_of_their_own_mind(listing):
    StockRuleFactory(channel=listing.channel, is_paused=True)
    assert shown() == [("", Blocked.PAUSED)]
    StockRuleFactory(channel=None, listing=listing, is_paused=False)
    assert shown() == [("", 23)]


def test_only_our_own_current_listings_have_targets(listing):
    ListingFactory(sku=listing.sku, ownership="competitor")
    ListingFactory(sku=listing.sku, removed_at=NOW)
    assert [each.listing_id for each in stock_targets()] == [listing.pk]


def test_some_listings_or_those_of_some_skus_can_be_asked_for(listing):
    other = ListingFactory(sku=SkuFactory())
    assert [each.listing_id for each in stock_targets(listing_ids=[other.pk])] == [other.pk]
    assert [each.listing_id for each in stock_targets(sku_ids=[listing.sku_id])] == [listing.pk]
    assert stock_targets(listing_ids=[]) == []


class TestNotCounted:
    def test_no_level_is_not_known_and_never_nothing(self, warehouse):
        ListingFactory(sku=SkuFactory())
        assert shown() == [("", Blocked.NOT_COUNTED)]

    def test_sales_alone_tell_nothing(self, listing):
        StockLevel.objects.update(on_hand=-3, is_counted=False)
        assert shown() == [("", Blocked.NOT_COUNTED)]

    def test_counted_and_none_there_is_nothing(self, listing):
        StockLevel.objects.update(on_hand=2)
        assert shown() == [("", 0)]

    def test_a_bundle_is_not_known_while_a_component_is_not(self, warehouse, listing):
        bundle = SkuFactory()
        for component in (listing.sku, SkuFactory()):
            BundleComponent.objects.create(bundle=bundle, component=component)
        Listing.objects.update(sku=bundle)
        assert shown() == [("", Blocked.NOT_COUNTED)]


class TestWarehouses:
    @pytest.fixture
    def second(self, listing):
        second = WarehouseFactory(position=2)
        StockLevelFactory(sku=listing.sku, warehouse=second, on_hand=7)
        return second

    def place(self, listing, warehouse, location_id="", position=1):
        ChannelLocation.objects.create(
            channel=listing.channel, warehouse=warehouse, location_id=location_id, position=position
        )

    def test_all_active_ones_feed_a_shop_without_locations(self, listing, second):
        assert shown() == [("", 30)]

    def test_one_that_is_not_active_offers_nothing(self, listing, warehouse, second):
        warehouse.is_active = False
        warehouse.save()
        assert shown() == [("", 7)]
        second.is_active = False
        second.save()
        assert shown() == [("", 0)]

    def test_each_location_shows_its_own(self, listing, warehouse, second):
        self.place(listing, warehouse, "L1")
        self.place(listing, second, "L2", position=2)
        self.place(listing, WarehouseFactory(), "L3", position=3)
        assert shown() == [("L1", 23), ("L2", 7), ("L3", Blocked.NOT_COUNTED)]

    def test_several_behind_one_location_count_together_or_the_first_that_has_any(self, listing, warehouse, second):
        self.place(listing, warehouse, "L1", position=2)
        self.place(listing, second, "L1", position=1)
        assert shown() == [("L1", 30)]
        listing.channel.location_mode = "priority"
        listing.channel.save()
        assert shown() == [("L1", 7)]
        StockLevel.objects.filter(warehouse=second).update(on_hand=0)
        assert shown() == [("L1", 23)]

    def test_a_bundle_is_made_of_all_together_or_in_one_of_them(self, listing, warehouse, second):
        bundle, filters = SkuFactory(), SkuFactory()
        BundleComponent.objects.create(bundle=bundle, component=listing.sku, units=1)
        BundleComponent.objects.create(bundle=bundle, component=filters, units=10)
        StockLevelFactory(sku=filters, warehouse=second, on_hand=59)
        Listing.objects.update(sku=bundle)
        assert shown() == [("", 5)]
        StockLevel.objects.filter(sku=listing.sku, warehouse=second).update(on_hand=3)
        listing.channel.location_mode = "priority"
        listing.channel.save()
        assert shown() == [("", 3)]


class TestMark:
    """The mark changes with everything but the stock."""

    def mark(self, listing):
        (found,) = stock_targets(listing_ids=[listing.pk])
        assert len(found.rule_mark) <= 64
        return found.rule_mark

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda listing: StockRuleFactory(channel=listing.channel, cap=9), id="rule of the channel"),
            pytest.param(
                lambda listing: StockRuleFactory(channel=None, listing=listing, cap=9), id="rule of the listing"
            ),
            pytest.param(lambda listing: Listing.objects.update(pack_factor=2), id="pack"),
            pytest.param(lambda listing: Listing.objects.update(sku=SkuFactory()), id="another SKU"),
            pytest.param(lambda listing: Listing.objects.update(sku=None), id="no SKU"),
            pytest.param(lambda listing: Sku.objects.update(status="retired"), id="status of the SKU"),
            pytest.param(lambda listing: WarehouseFactory(), id="another warehouse"),
            pytest.param(lambda listing: WarehouseFactory._meta.model.objects.update(is_active=False), id="inactive"),
            pytest.param(lambda listing: type(listing.channel).objects.update(location_mode="priority"), id="mode"),
            pytest.param(
                lambda listing: ChannelLocation.objects.create(channel=listing.channel, warehouse=WarehouseFactory()),
                id="location",
            ),
        ],
    )
    def test_it_changes_with(self, listing, change):
        before = self.mark(listing)
        assert self.mark(listing) == before
        change(listing)
        assert self.mark(listing) != before

    def test_it_stays_while_only_the_stock_changes_or_a_rule_that_is_none_of_its_own(self, listing):
        before = self.mark(listing)
        StockLevel.objects.update(on_hand=1)
        Sku.objects.update(stock_version=9)
        StockRuleFactory(cap=1)
        assert self.mark(listing) == before


def test_queries_do_not_grow_with_the_listings(warehouse):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            stock_targets()
        return len(captured)

    listing, channel = ListingFactory(sku=SkuFactory()), ChannelFactory()
    few = queries()
    product = listing.sku.product
    skus = Sku.objects.bulk_create(Sku(code=f"BULK-{n}", product=product) for n in range(5_000))
    skus = list(Sku.objects.filter(code__startswith="BULK-"))
    StockLevel.objects.bulk_create(StockLevel(sku=sku, warehouse=warehouse, on_hand=9, is_counted=True) for sku in skus)
    Listing.objects.bulk_create(
        Listing(channel=each, sku=sku, platform_item_id=str(sku.pk))
        for sku in skus
        for each in (listing.channel, channel)
    )
    assert queries() == few <= 8
    assert len(stock_targets()) == 10_001
