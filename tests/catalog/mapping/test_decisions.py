"""Accepting, rejecting and taking back, one or many."""

from datetime import timedelta

import pytest

from catalog.mapping import accept, add_unmapped, reject, review, take_back
from catalog.models import AuditEvent, Listing, Proposal
from tests.factories import NOW, ChannelFactory, ListingFactory, ProposalFactory, SkuFactory, UserFactory

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def channel():
    return ChannelFactory(name="天猫旗舰店")


@pytest.fixture
def actor():
    return UserFactory(is_superuser=True)


def proposed(channel, **fields) -> Proposal:
    """A proposal as finding it would have left it."""
    proposal = ProposalFactory(channel=channel, **fields)
    review([proposal])
    return Proposal.objects.get(pk=proposal.pk)


def every():
    return Proposal.objects.all()


def test_accepting_adds_the_listing_mapped(channel, actor):
    sku = SkuFactory(code="CUP-01")
    proposal = proposed(channel, outer_id="CUP-01", platform_stock_id="45")
    decided = accept(proposals=every(), actor=actor, now=LATER)
    listing = Listing.objects.get()
    assert (decided.done, decided.added, decided.mapped) == (1, 1, 1)
    assert (listing.sku, listing.platform_item_id, listing.platform_stock_id) == (
        sku,
        proposal.platform_item_id,
        "45",
    )
    proposal.refresh_from_db()
    assert (proposal.status, proposal.listing, proposal.decided_at, proposal.decided_by) == (
        "accepted",
        listing,
        LATER,
        actor,
    )
    assert list(AuditEvent.objects.order_by("pk").values_list("action", "changes")) == [
        ("added", {}),
        ("changed", {"sku": [None, "CUP-01"]}),
    ]


def test_accepting_maps_a_listing_that_is_there(channel, actor):
    sku = SkuFactory(code="CUP-01")
    listing = ListingFactory(channel=channel)
    proposed(channel, outer_id="CUP-01", platform_item_id=listing.platform_item_id)
    decided = accept(proposals=every(), actor=actor, now=LATER)
    listing.refresh_from_db()
    assert (decided.added, listing.sku, listing.mapped_at) == (0, sku, LATER)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"outer_id": "NOBODY"}, "nothing", id="nothing fits"),
        pytest.param({"outer_id": "CUP-01", "barcode": "6901234567892"}, "conflict", id="two SKUs fit"),
        pytest.param({"title": "保温杯"}, "weak", id="only the title fits"),
    ],
)
def test_many_are_accepted_only_where_nothing_is_in_doubt(channel, actor, fields, reason):
    SkuFactory(code="CUP-01", product__name="保温杯")
    SkuFactory(barcode="6901234567892")
    SkuFactory(code="CUP-02")
    proposed(channel, outer_id="CUP-02")
    doubtful = proposed(channel, **fields)
    decided = accept(proposals=every(), actor=actor, now=LATER)
    assert (decided.done, decided.left) == (1, {reason: 1})
    doubtful.refresh_from_db()
    assert doubtful.is_open
    assert Listing.objects.count() == 1


def test_evidence_counts_as_it_is_when_it_is_accepted(channel, actor):
    SkuFactory(code="CUP-01")
    proposed(channel, outer_id="CUP-01", barcode="6901234567892")
    SkuFactory(barcode="6901234567892")  # since it was found
    assert accept(proposals=every(), actor=actor, now=LATER).left == {"conflict": 1}


def test_two_listings_for_one_sku_are_both_left_alone(channel, actor):
    SkuFactory(code="CUP-01")
    proposed(channel, outer_id="CUP-01")
    proposed(channel, outer_id="CUP-01")
    assert accept(proposals=every(), actor=actor, now=LATER).left == {"conflict": 2}


def test_a_person_may_choose_against_the_evidence(channel, actor):
    SkuFactory(code="CUP-01")
    other = SkuFactory(code="CUP-02")
    proposal = proposed(channel, outer_id="CUP-01", barcode="")
    accept(proposals=every().filter(pk=proposal.pk), actor=actor, now=LATER, sku=other)
    assert Listing.objects.get().sku == other


def test_a_competitors_listing_is_not_made_ours(channel, actor):
    listing = ListingFactory(channel=channel, ownership="competitor")
    sku = SkuFactory(code="CUP-01")
    proposed(channel, outer_id="CUP-01", platform_item_id=listing.platform_item_id)
    assert accept(proposals=every(), actor=actor, now=LATER, sku=sku).left == {"competitor": 1}
    assert Listing.objects.get().sku is None


def test_a_sku_of_channels_one_does_not_see_is_left_alone(channel):
    ListingFactory(sku=SkuFactory(code="CUP-01"), channel__name="Theirs")
    proposed(channel, outer_id="CUP-01")
    user = UserFactory()
    user.channels.add(channel)
    assert accept(proposals=every(), actor=user, now=LATER).left == {"unseen": 1}


def test_accepting_twice_changes_nothing_more(channel, actor):
    SkuFactory(code="CUP-01")
    proposed(channel, outer_id="CUP-01")
    accept(proposals=every(), actor=actor, now=LATER)
    events = AuditEvent.objects.count()
    assert accept(proposals=every(), actor=actor, now=LATER).left == {"decided": 1}
    assert AuditEvent.objects.count() == events


def test_listings_are_added_without_a_sku_on_wish(channel, actor):
    SkuFactory(code="CUP-01")
    proposed(channel, outer_id="CUP-01")
    decided = add_unmapped(proposals=every(), actor=actor, now=LATER)
    assert (decided.done, decided.added, Listing.objects.get().sku) == (1, 1, None)


def test_rejected_proposals_are_audited_and_leave_the_catalog_alone(channel, actor):
    proposal = proposed(channel)
    assert reject(proposals=every(), actor=actor, now=LATER).done == 1
    assert not Listing.objects.exists()
    event = AuditEvent.objects.get()
    assert (event.action, event.object_type, event.object_id, event.channel) == (
        "rejected",
        "catalog.proposal",
        str(proposal.pk),
        channel,
    )


# --- Taken back -------------------------------------------------------------------------------------------------------


def test_an_added_listing_is_removed_and_the_proposal_open_again(channel, actor):
    SkuFactory(code="CUP-01")
    proposal = proposed(channel, outer_id="CUP-01")
    accept(proposals=every(), actor=actor, now=LATER)
    assert take_back(proposals=every(), actor=actor, now=LATER).done == 1
    proposal.refresh_from_db()
    assert proposal.is_open
    assert Listing.objects.get().removed_at == LATER
    # And it can be accepted again, with its listing's history.
    accept(proposals=every(), actor=actor, now=LATER)
    assert Listing.objects.get().removed_at is None
    assert Listing.objects.get(sku__code="CUP-01")


def test_a_listing_gets_back_what_it_was_mapped_to(channel, actor):
    before, chosen = SkuFactory(code="OLD"), SkuFactory(code="CUP-01")
    listing = ListingFactory(channel=channel, sku=before)
    proposed(channel, outer_id="CUP-01", platform_item_id=listing.platform_item_id)
    accept(proposals=every(), actor=actor, now=LATER, sku=chosen)
    take_back(proposals=every(), actor=actor, now=LATER)
    listing.refresh_from_db()
    assert listing.sku == before
    assert listing.removed_at is None


def test_what_was_mapped_otherwise_since_is_left_alone(channel, actor):
    SkuFactory(code="CUP-01")
    proposed(channel, outer_id="CUP-01")
    accept(proposals=every(), actor=actor, now=LATER)
    Listing.objects.update(sku=SkuFactory())
    assert take_back(proposals=every(), actor=actor, now=LATER).left == {"changed": 1}
    assert Listing.objects.get().removed_at is None


def test_a_rejection_is_taken_back(channel, actor):
    proposal = proposed(channel)
    reject(proposals=every(), actor=actor, now=LATER)
    take_back(proposals=every(), actor=actor, now=LATER)
    proposal.refresh_from_db()
    assert proposal.is_open


def test_what_nobody_decided_cannot_be_taken_back(channel, actor):
    listing = ListingFactory(channel=channel, sku=SkuFactory())
    proposed(channel, platform_item_id=listing.platform_item_id)
    assert take_back(proposals=every(), actor=actor, now=LATER).left == {"decided": 1}


def test_many_are_accepted_in_parts(channel, actor, monkeypatch):
    monkeypatch.setattr("catalog.mapping.decisions.CHUNK", 3)
    for number in range(8):
        SkuFactory(code=f"CUP-{number}")
        ProposalFactory(channel=channel, outer_id=f"CUP-{number}")
    assert accept(proposals=every(), actor=actor, now=LATER).done == 8
    assert Listing.objects.filter(sku__isnull=False).count() == 8
