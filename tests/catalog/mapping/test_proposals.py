"""What is stored of a shop's listings, and which SKU each is proposed to be."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from catalog.mapping import FoundListing, store_found
from catalog.mapping.proposals import forget_gone, review_open
from catalog.models import Listing, Proposal
from tests.factories import NOW, ChannelFactory, ListingFactory, ProductFactory, ProposalFactory, SkuFactory

pytestmark = pytest.mark.django_db

CUP = FoundListing(
    item_id="818000000001",
    sku_id="",
    title="不锈钢保温杯 500ml",
    outer_id="CUP-01",
    barcode="6901234567892",
    stock_id="",
    price=Decimal("59.90"),
    stock=12,
    shelf_state="on_shelf",
)


@pytest.fixture
def channel():
    return ChannelFactory(name="天猫旗舰店")


def found(channel, *listings: FoundListing, now=NOW) -> Proposal:
    store_found(channel=channel, found=listings, now=now)
    return Proposal.objects.get(
        channel=channel, platform_item_id=listings[0].item_id, platform_sku_id=listings[0].sku_id
    )


def kinds(proposal) -> list[str]:
    return [conflict["kind"] for conflict in proposal.conflicts]


@pytest.mark.parametrize(
    ("sku", "evidence"),
    [
        ({"barcode": "6901234567892"}, "barcode"),
        ({"barcode": "06901234567892"}, "barcode"),
        ({"code": "CUP-01"}, "code"),
    ],
)
def test_what_the_merchant_keyed_in_names_the_sku(channel, sku, evidence):
    known = SkuFactory(**sku)
    proposal = found(channel, CUP)
    assert (proposal.sku, proposal.evidence, proposal.conflicts) == (known, evidence, [])
    assert proposal.is_clear


def test_a_merchant_code_that_is_mapped_elsewhere_names_the_sku(channel):
    listing = ListingFactory(sku=SkuFactory(), outer_id="CUP-01")
    proposal = found(channel, CUP)
    assert (proposal.sku, proposal.evidence) == (listing.sku, "elsewhere")


def test_a_removed_listing_and_a_competitors_name_nothing(channel):
    ListingFactory(sku=SkuFactory(), outer_id="CUP-01", removed_at=NOW)
    ListingFactory(sku=SkuFactory(), outer_id="CUP-01", ownership="competitor")
    assert found(channel, CUP).sku is None


def test_a_title_is_a_hint_that_is_not_clear(channel):
    sku = SkuFactory(product=ProductFactory(name=CUP.title))
    proposal = found(channel, CUP)
    assert (proposal.sku, proposal.evidence) == (sku, "title")
    assert not proposal.is_clear
    assert not Proposal.objects.clear().exists()


def test_half_a_barcode_is_not_kept(channel):
    SkuFactory(barcode="6901234567892" + "0" * 19)
    proposal = found(channel, replace(CUP, outer_id="", barcode="6901234567892" + "0" * 20))
    assert (proposal.barcode, proposal.sku) == ("", None)


def test_a_list_price_is_not_taken_for_a_live_one(channel):
    proposal = found(channel, replace(CUP, price=None, list_price=Decimal("99.00")))
    assert (proposal.price, proposal.list_price) == (None, Decimal("99.00"))


def test_two_skus_that_fit_are_a_conflict(channel):
    by_barcode, by_code = SkuFactory(barcode=CUP.barcode), SkuFactory(code=CUP.outer_id)
    proposal = found(channel, CUP)
    assert proposal.sku == by_barcode
    assert proposal.conflicts[0] == {"kind": "two-skus", "sku_ids": [by_barcode.pk, by_code.pk], "words": []}


def test_one_sku_that_fits_two_listings_is_a_conflict_of_both(channel):
    SkuFactory(code="CUP-01")
    twin = replace(CUP, item_id="818000000002", barcode="")
    found(channel, CUP)
    found(channel, twin)
    review_open(channel)
    assert [kinds(each) for each in Proposal.objects.order_by("pk")] == [["two-listings"], ["two-listings"]]
    first = Proposal.objects.order_by("pk")[0]
    assert first.conflicts[0]["words"] == ["818000000002"]


def test_a_sku_that_a_listing_of_the_channel_has_already_is_a_conflict(channel):
    sku = SkuFactory(code="CUP-01")
    ListingFactory(channel=channel, sku=sku, platform_item_id="616000000009")
    assert kinds(found(channel, CUP)) == ["two-listings"]


def test_the_same_sku_on_another_channel_is_none(channel):
    ListingFactory(sku=SkuFactory(code="CUP-01"))
    assert found(channel, CUP).is_clear


def test_a_barcode_that_the_skus_other_listing_has_otherwise_is_a_conflict(channel):
    listing = ListingFactory(sku=SkuFactory(code="CUP-01"))
    ProposalFactory(
        channel=listing.channel, listing=listing, barcode="6900000000007", status="accepted", sku=listing.sku
    )
    assert kinds(found(channel, CUP)) == ["barcode-differs"]


def test_a_listing_that_is_mapped_so_needs_no_decision(channel):
    listing = ListingFactory(channel=channel, platform_item_id=CUP.item_id, sku=SkuFactory(code="CUP-01"))
    proposal = found(channel, CUP)
    assert (proposal.status, proposal.listing, proposal.decided_at) == ("accepted", listing, None)
    assert not proposal.can_be_undone


def test_a_listing_that_is_mapped_otherwise_is_asked_about(channel):
    SkuFactory(code="CUP-01")
    ListingFactory(channel=channel, platform_item_id=CUP.item_id, sku=SkuFactory())
    proposal = found(channel, CUP)
    assert proposal.is_open
    assert kinds(proposal) == ["mapped-otherwise"]


def test_what_a_person_removed_stays_removed(channel):
    SkuFactory(code="CUP-01")
    ListingFactory(channel=channel, platform_item_id=CUP.item_id, removed_at=NOW)
    assert found(channel, CUP).status == "rejected"


def test_the_same_again_renews_the_facts_and_makes_no_second_row(channel):
    found(channel, CUP)
    later = NOW + timedelta(days=1)
    proposal = found(channel, replace(CUP, stock=3, price=None), now=later)
    assert Proposal.objects.count() == 1
    assert (proposal.stock, proposal.price, proposal.found_at, proposal.seen_at) == (3, None, NOW, later)


def test_a_decision_stays_when_the_shop_is_read_again(channel):
    proposal = found(channel, CUP)
    Proposal.objects.filter(pk=proposal.pk).update(status="rejected", decided_at=NOW)
    SkuFactory(code="CUP-01")
    assert found(channel, CUP).status == "rejected"


def test_the_stock_id_is_kept_on_the_listing(channel):
    listing = ListingFactory(channel=channel, platform_item_id=CUP.item_id)
    found(channel, replace(CUP, stock_id="45"))
    assert Listing.objects.get(pk=listing.pk).platform_stock_id == "45"


def test_open_proposals_that_the_shop_no_longer_has_go(channel):
    found(channel, CUP)
    kept = found(channel, replace(CUP, item_id="818000000002"), now=NOW + timedelta(hours=1))
    assert forget_gone(channel=channel, since=NOW + timedelta(hours=1), found=0) == 0
    assert forget_gone(channel=channel, since=NOW + timedelta(hours=1), found=1) == 1
    assert list(Proposal.objects.all()) == [kept]


def test_many_cost_as_many_queries_as_few(channel, django_assert_max_num_queries):
    SkuFactory(code="CUP-01")

    listings = [replace(CUP, item_id=str(800_000 + number), title=f"杯 {number}") for number in range(300)]
    with django_assert_max_num_queries(16):
        store_found(channel=channel, found=listings[:2], now=NOW)
    # SQLite takes a few statements to insert so many.
    with django_assert_max_num_queries(26):
        store_found(channel=channel, found=listings, now=NOW)
