"""The page of mappings that look wrong: what it finds, mends and takes back."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from catalog.models import AuditEvent, Listing
from monitoring import mapping_lint
from monitoring.models import ListingWatch
from tests.factories import ChannelFactory, ListingFactory, ListingWatchFactory, SkuFactory, UserFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

PAGE = "/watch/mapping/"


@pytest.fixture
def channel():
    return ChannelFactory(name="天猫旗舰店")


@pytest.fixture
def operator(client, channel):
    return signed_in(client, "Operator", channel)


def six_pack(channel, **fields):
    return ListingFactory(channel=channel, sku=SkuFactory(code="TISSUE"), title="抽纸 6包装", **fields)


def mend(client, listing, **data):
    return client.post(f"{PAGE}fix/", {"listing": listing.pk, "sku": listing.sku_id, **data}, follow=True)


def test_a_pack_factor_is_mended_and_taken_back(client, operator, channel):
    listing = six_pack(channel)
    assert "The title tells 6 units, the mapping 1." in client.get(PAGE).text
    done = mend(client, listing, pack_factor="6")
    assert "has 6 units per listing. Undo it below." in done.text
    listing.refresh_from_db()
    assert listing.pack_factor == 6
    event = AuditEvent.objects.get()
    assert (event.actor, event.changes) == (operator, {"pack_factor": [1, 6]})
    undone = client.post(f"{PAGE}undo/", {"event": event.pk}, follow=True)
    assert "is as it was before." in undone.text
    listing.refresh_from_db()
    assert listing.pack_factor == 1
    assert "Mended lately" not in undone.text
    again = client.post(f"{PAGE}undo/", {"event": event.pk}, follow=True)
    assert "Nothing was changed" in again.text


def test_a_sku_is_taken_away_and_given_back(client, operator, channel):
    sku = SkuFactory(code="KET")
    ListingFactory(channel=channel, sku=sku)
    second = ListingFactory(channel=channel, sku=sku)
    assert "Another listing of this channel" in client.get(PAGE).text
    assert "KET → not mapped" in mend(client, second).text
    assert Listing.objects.get(pk=second.pk).sku is None
    client.post(f"{PAGE}undo/", {"event": AuditEvent.objects.get().pk})
    assert Listing.objects.get(pk=second.pk).sku == sku


def test_a_fix_of_what_changed_meanwhile_does_nothing(client, operator, channel):
    listing = six_pack(channel)
    Listing.objects.update(sku=SkuFactory())
    assert "Nothing was changed" in mend(client, listing, pack_factor="6").text
    assert Listing.objects.get().pack_factor == 1


def test_what_was_changed_after_a_fix_is_not_undone(client, operator, channel):
    listing = six_pack(channel)
    mend(client, listing, pack_factor="6")
    Listing.objects.update(pack_factor=12)
    assert (
        "Nothing was changed" in client.post(f"{PAGE}undo/", {"event": AuditEvent.objects.get().pk}, follow=True).text
    )
    assert Listing.objects.get().pack_factor == 12


@pytest.mark.parametrize(("days", "is_found"), [(8, True), (6, False)])
def test_a_mapped_listing_that_the_platform_lost_is_dead_after_days(client, operator, channel, days, is_found):
    ListingWatchFactory(
        listing__channel=channel,
        listing__sku=SkuFactory(),
        outcome=ListingWatch.Outcome.MISSING,
        read_at=timezone.now() - timedelta(days=days),
    )
    assert ("has not known this listing for 7 days" in client.get(PAGE).text) is is_found


def test_the_item_beside_its_variant_under_two_skus_is_found(client, operator, channel):
    ListingFactory(channel=channel, sku=SkuFactory(), platform_item_id="616")
    ListingFactory(channel=channel, sku=SkuFactory(), platform_item_id="616", platform_sku_id="9")
    assert "stands here under another SKU" in client.get(PAGE).text


def test_prices_are_compared_among_what_one_sees(client, operator, channel):
    sku = SkuFactory()
    ListingFactory(channel=channel, sku=sku, live_price=Decimal(600))
    ListingFactory(sku=sku, live_price=Decimal(100))  # of a channel one does not see
    assert "A unit costs" not in client.get(PAGE).text
    ListingFactory(channel=channel, sku=sku, live_price=Decimal(100), pack_factor=2)
    assert "A unit costs ¥50.00 here, and ¥600.00 in the SKU" in client.get(PAGE).text


def test_costs_are_told_only_to_those_who_may_see_them(client, operator, channel):
    ListingFactory(channel=channel, sku=SkuFactory(cost_price=Decimal(60)), live_price=Decimal(10))
    assert "costs us" not in client.get(PAGE).text
    client.force_login(UserFactory(is_superuser=True))
    assert "A unit is sold for ¥10.00, and costs us ¥60.00." in client.get(PAGE).text


def test_only_those_who_change_listings_mend_their_own(client, operator, channel):
    foreign = six_pack(ChannelFactory())
    assert mend(client, foreign, pack_factor="6").status_code == 404
    signed_in(client, "Viewer", channel)
    listing = ListingFactory(channel=channel, sku=SkuFactory(), title="抽纸 6包装")
    assert "Set to 6 units" not in client.get(PAGE).text
    assert mend(client, listing, pack_factor="6").status_code == 403
    assert client.post(f"{PAGE}undo/", {"event": 1}).status_code == 403
    assert client.get(f"{PAGE}fix/").status_code == 405


def test_many_skus_are_gone_through_in_parts(channel, monkeypatch):
    monkeypatch.setattr(mapping_lint, "MOST", 3)
    user, now = UserFactory(is_superuser=True), timezone.now()
    for number in range(7):
        ListingFactory(channel=channel, sku=SkuFactory(), title=f"抽纸 6包装 {number}")
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        found = mapping_lint.find(user=user, now=now, after=after, sees_cost=False)
        seen += [each.listing_id for each in found.findings]
        after = found.go_on_after
    assert seen == sorted(Listing.objects.values_list("pk", flat=True))


def test_the_page_costs_as_many_queries_for_many_as_for_few(client, operator, channel, django_assert_max_num_queries):
    for number in range(40):
        ListingFactory(channel=channel, sku=SkuFactory(), title=f"抽纸 6包装 {number}")
    client.get(PAGE)
    with django_assert_max_num_queries(12):
        assert client.get(PAGE).text.count("The title tells 6 units") == 40
