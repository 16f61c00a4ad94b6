"""The page of mappings that look wrong: what it finds, mends and takes back."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from catalog.audit_text import readable_changes
from catalog.models import AuditEvent, Channel, Dismissal, Listing
from catalog.services import map_listings
from monitoring import mapping_lint
from monitoring.models import ListingWatch
from tests.factories import (
    ChannelFactory,
    ListingFactory,
    ListingWatchFactory,
    ProposalFactory,
    SkuFactory,
    UserFactory,
)
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
    return client.post(
        f"{PAGE}fix/", {"listing": listing.pk, "sku": listing.sku_id, "shown": listing.pack_factor, **data}, follow=True
    )


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
    ListingFactory(channel=channel, sku=sku, outer_id="KET")
    second = ListingFactory(channel=channel, sku=sku, title="浴巾")
    page = client.get(PAGE).text
    assert "Another listing of this channel" in page
    assert "Take the SKU away" in page
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


@pytest.mark.parametrize("fields", [{"sku": "another"}, {"pack_factor": 12}])
def test_a_fix_is_not_undone_once_somebody_mapped_the_listing_anew(client, operator, channel, fields):
    listing = six_pack(channel)
    mend(client, listing, pack_factor="6")
    event = AuditEvent.objects.get()
    values = {"skus": {listing.pk: SkuFactory()}} if "sku" in fields else {"skus": {}, "pack_factors": {listing.pk: 12}}
    map_listings(**values, actor=operator, now=timezone.now())
    if "pack_factor" in fields:  # and back again, which is another one's deed all the same
        map_listings(skus={}, pack_factors={listing.pk: 6}, actor=operator, now=timezone.now())
    assert "Mended lately" not in client.get(PAGE).text
    assert "Nothing was changed" in client.post(f"{PAGE}undo/", {"event": event.pk}, follow=True).text
    assert Listing.objects.get().pack_factor == 6


def test_units_that_changed_after_a_sku_was_taken_away_stay_with_it(client, operator, channel):
    listing = ListingFactory(channel=channel, sku=SkuFactory(code="KET"))
    mend(client, listing)
    map_listings(skus={}, pack_factors={listing.pk: 6}, actor=operator, now=timezone.now())
    event = AuditEvent.objects.earliest("pk")
    assert "Nothing was changed" in client.post(f"{PAGE}undo/", {"event": event.pk}, follow=True).text
    assert Listing.objects.get().sku is None


def test_units_that_changed_since_they_were_shown_are_not_set(client, operator, channel):
    listing = six_pack(channel)
    Listing.objects.update(pack_factor=12)
    assert "Nothing was changed" in mend(client, listing, pack_factor="6").text
    assert Listing.objects.get().pack_factor == 12


@pytest.mark.parametrize("units", ["0", "abc", "", "-1", "1000000", "99999999999"])
@pytest.mark.parametrize("name", ["pack_factor", "shown"])
def test_units_that_no_page_offers_are_refused(client, operator, channel, name, units):
    listing = six_pack(channel)
    assert mend(client, listing, **{name: units}).status_code == 400
    listing.refresh_from_db()
    assert (listing.sku.code, listing.pack_factor) == ("TISSUE", 1)


# --- Which side is wrong ----------------------------------------------------------------------------------------------

POT, TOWEL = "Enamelled cast-iron pot", "Long-staple cotton towel"


def fixes_of(client) -> list[tuple[str, str, str]]:
    """Kind of finding, the listing that its button changes (or "?"), and what the button says."""
    shown = client.get(PAGE).context["findings"]
    return sorted((each.finding.kind.value, each.listing.title if each.fix else "?", each.fix) for each in shown)


def test_of_two_on_one_sku_the_one_whose_code_is_another_sku_is_accused(client, operator, channel):
    pot, _towel = SkuFactory(code="POT-01"), SkuFactory(code="TOWEL-01")
    wrong = {"title": TOWEL, "outer_id": "TOWEL-01", "live_price": Decimal("8.99")}
    ListingFactory(channel=channel, sku=pot, **wrong)
    ListingFactory(channel=channel, sku=pot, title=POT, outer_id="POT-01", live_price=Decimal("56.10"))
    take = "Take the SKU away"
    assert fixes_of(client) == [("price", TOWEL, take), ("twice", TOWEL, take)]
    page = client.get(PAGE).text
    assert "merchant code is another SKU" in page
    assert "merchant code is the SKU" in page
    assert "units per listing" not in page


def test_a_barcode_speaks_as_a_merchant_code_does(client, operator, channel):
    pot = SkuFactory(code="POT-01", barcode="6901234567892")
    SkuFactory(code="TOWEL-01", barcode="6900000000007")
    for title, barcode in ((TOWEL, "6900000000007"), (POT, "6901234567892")):
        listing = ListingFactory(channel=channel, sku=pot, title=title)
        ProposalFactory(channel=channel, listing=listing, barcode=barcode, status="accepted")
    assert fixes_of(client) == [("twice", TOWEL, "Take the SKU away")]
    assert "barcode of another SKU" in client.get(PAGE).text


def test_the_same_code_on_another_mapped_listing_speaks_for_a_sku(client, operator, channel):
    pot = SkuFactory(code="A-1")
    ListingFactory(sku=pot, outer_id="POT-0001", title=POT)
    ListingFactory(channel=channel, sku=pot, outer_id="TOWEL-0006", title=TOWEL)
    ListingFactory(channel=channel, sku=pot, outer_id="POT-0001", title=f"{POT} 1")
    assert fixes_of(client) == [("twice", TOWEL, "Take the SKU away")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"title": POT}, {"title": TOWEL}, id="titles alone"),
        pytest.param({"title": POT, "outer_id": "POT-01"}, {"title": f"{POT} white"}, id="the same goods twice"),
        pytest.param({"title": POT, "outer_id": "POT-01"}, {"title": "铸铁珐琅锅"}, id="titles of two languages"),
        pytest.param({"outer_id": "POT-01"}, {"outer_id": "POT-01"}, id="both by their code"),
        pytest.param({"outer_id": "TOWEL-01"}, {"outer_id": "TOWEL-01"}, id="neither by its code"),
    ],
)
def test_where_nothing_tells_the_sides_apart_both_are_shown_and_none_is_accused(
    client, operator, channel, first, second
):
    pot, _towel = SkuFactory(code="POT-01"), SkuFactory(code="TOWEL-01")
    listings = [ListingFactory(channel=channel, sku=pot, **fields) for fields in (first, second)]
    assert fixes_of(client) == [("twice", "?", "")]
    page = client.get(PAGE).text
    assert "do not tell which of the two is wrong" in page
    assert all(f"/catalog/listing/{listing.pk}/change/" in page for listing in listings)


@pytest.mark.parametrize(
    ("title", "fix"),
    [
        pytest.param("Enamelled cast-iron pot 6", "Set to 7 units per listing", id="the same goods"),
        pytest.param(TOWEL, "", id="other goods"),
        pytest.param("铸铁珐琅锅", "", id="cannot tell"),
        pytest.param("Enamelled cast-iron pot, pack of 3", "", id="a title that tells another number"),
    ],
)
def test_a_pack_is_guessed_from_prices_only_of_the_same_goods(client, operator, channel, title, fix):
    sku = SkuFactory()
    other = ChannelFactory()
    operator.channels.add(other)
    ListingFactory(channel=other, sku=sku, title=title, live_price=Decimal(70))
    ListingFactory(channel=channel, sku=sku, title=POT, live_price=Decimal(10))
    prices = [each for each in fixes_of(client) if each[0] == "price"]
    assert prices == [("price", title if fix else "?", fix)]


def test_a_sku_that_is_itself_a_pack_is_fine(client, operator, channel):
    ListingFactory(channel=channel, sku=SkuFactory(product__name="Socks 3-pack"), title="Warm socks, 3-pack")
    assert "The title tells" not in client.get(PAGE).text


def test_units_of_the_title_are_not_offered_where_the_price_speaks_against_them(client, operator, channel):
    other = ChannelFactory()
    operator.channels.add(other)
    sku = SkuFactory()
    ListingFactory(channel=other, sku=sku, title="抽纸", live_price=Decimal(30))
    ListingFactory(channel=channel, sku=sku, title="抽纸 6包装", live_price=Decimal(31))
    assert fixes_of(client) == [("pack", "?", "")]


def test_what_is_wrong_is_dismissed_on_its_own_page(client, operator, channel):
    pot, _towel = SkuFactory(code="POT-01"), SkuFactory(code="TOWEL-01")
    wrong = ListingFactory(channel=channel, sku=pot, title=TOWEL, outer_id="TOWEL-01")
    ListingFactory(channel=channel, sku=pot, title=POT, outer_id="POT-01")
    dismiss(client, wrong, "twice")
    assert fixes_of(client) == []


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
    assert "A unit costs ¥600.00 here, and ¥50.00 in the other listing" in client.get(PAGE).text


def test_costs_are_told_only_to_those_who_may_see_them(client, operator, channel):
    ListingFactory(channel=channel, sku=SkuFactory(cost_price=Decimal(60)), live_price=Decimal(10))
    assert "costs us" not in client.get(PAGE).text
    client.force_login(UserFactory(is_superuser=True))
    assert "A unit is sold for ¥10.00, and costs us ¥60.00." in client.get(PAGE).text


# --- What is fine -----------------------------------------------------------------------------------------------------


def dismissing(listing, kind) -> str:
    return f"{PAGE}dismiss/?listing={listing.pk}&kind={kind}"


def dismiss(client, listing, kind, reason="sold in bundles"):
    shown = client.get(dismissing(listing, kind))
    return client.post(dismissing(listing, kind), {"facts": shown.context["facts"], "reason": reason}, follow=True)


def is_open(client, listing) -> bool:
    return f"/catalog/listing/{listing.pk}/change/" in client.get(PAGE).text


def test_what_is_fine_is_shown_apart_with_its_reason_and_taken_back(client, operator, channel):
    listing = six_pack(channel)
    done = dismiss(client, listing, "pack", reason="the title is the supplier's")
    assert "is fine, and comes back here when the facts change." in done.text
    assert "The title tells 6 units" not in done.text
    shown = client.get(PAGE, {"show": "dismissed"}).text
    assert "The title tells 6 units, the mapping 1." in shown
    assert "fine: the title is the supplier&#x27;s" in shown
    assert operator.username in shown
    dismissal = Dismissal.objects.get()
    undone = client.post(f"{PAGE}take-back/", {"dismissal": dismissal.pk, "show": "dismissed"}, follow=True)
    assert "is to be looked at again." in undone.text
    assert "Nothing is dismissed here" in undone.text
    assert is_open(client, listing)
    again = client.post(f"{PAGE}take-back/", {"dismissal": dismissal.pk}, follow=True)
    assert "it is not dismissed any more" in again.text
    history = list(readable_changes(AuditEvent.objects.earliest("pk"), operator))
    assert history == [
        ("Finding", "—", "units in the title"),
        ("Why it is fine", "—", "the title is the supplier's"),
    ]
    assert [event.action for event in AuditEvent.objects.order_by("pk")] == ["finding dismissed", "dismissal undone"]
    assert {event.object_id for event in AuditEvent.objects.all()} == {str(listing.pk)}


@pytest.mark.parametrize(
    ("kind", "change", "comes_back"),
    [
        pytest.param("pack", {"pack_factor": 2}, True, id="another pack factor"),
        pytest.param("pack", {"title": "抽纸 12包装"}, True, id="another number of units in the title"),
        pytest.param("pack", {"title": "抽纸 6包装 特价"}, False, id="other words in the title"),
        pytest.param("pack", {"stock": 7, "live_price": Decimal(30)}, False, id="what it does not rest on"),
        pytest.param("price", {"live_price": Decimal("599.99")}, False, id="a ratio that moved a little"),
        pytest.param("price", {"live_price": Decimal(600)}, True, id="a ratio half as far again"),
        pytest.param("price", {"live_price": Decimal(300)}, False, id="a ratio that is less odd"),
        pytest.param("price", {"live_price": Decimal(20)}, True, id="too cheap after too dear"),
    ],
)
def test_what_is_fine_comes_back_when_its_facts_change(client, operator, channel, kind, change, comes_back):
    if kind == "pack":
        listing = six_pack(channel)
    else:
        sku = SkuFactory()
        for _ in range(2):
            ListingFactory(sku=sku, live_price=Decimal(100), channel=ChannelFactory())
        operator.channels.set(Channel.objects.all())
        listing = ListingFactory(channel=channel, sku=sku, live_price=Decimal(400))
    assert is_open(client, listing)
    dismiss(client, listing, kind)
    assert not is_open(client, listing)
    Listing.objects.filter(pk=listing.pk).update(**change)
    assert is_open(client, listing) is comes_back


def test_what_is_fine_comes_back_when_the_listing_is_mapped_anew(client, operator, channel):
    listing = six_pack(channel)
    sku = listing.sku
    dismiss(client, listing, "pack")
    for chosen in (None, sku):
        map_listings(skus={listing.pk: chosen}, actor=operator, now=timezone.now())
    assert is_open(client, listing)
    dismiss(client, listing, "pack", reason="still")
    assert not is_open(client, listing)
    assert Dismissal.objects.get().reason == "still"


def test_what_is_fine_comes_back_when_it_clashes_with_another(client, operator, channel):
    item, variant = (
        ListingFactory(channel=channel, sku=SkuFactory(), platform_item_id="616", platform_sku_id=sku_id)
        for sku_id in ("", "9")
    )
    dismiss(client, item, "two-skus")
    assert not is_open(client, item)
    map_listings(skus={variant.pk: SkuFactory()}, actor=operator, now=timezone.now())
    assert is_open(client, item)


def test_a_listing_that_came_back_and_is_gone_again_is_not_fine_any_more(client, operator, channel):
    gone = timezone.now() - timedelta(days=20)
    watch = ListingWatchFactory(
        listing__channel=channel, listing__sku=SkuFactory(), outcome=ListingWatch.Outcome.MISSING, read_at=gone
    )
    dismiss(client, watch.listing, "dead")
    assert not is_open(client, watch.listing)
    ListingWatch.objects.update(read_at=gone + timedelta(days=10))
    assert is_open(client, watch.listing)


def test_one_kind_that_is_fine_hides_no_other(client, operator, channel):
    sku = SkuFactory()
    ListingFactory(channel=channel, sku=sku)
    second = ListingFactory(channel=channel, sku=sku, title="抽纸 6包装")
    dismiss(client, second, "pack")
    page = client.get(PAGE).text
    assert "Another listing of this channel" in page
    assert "The title tells" not in page


def test_a_reason_is_needed(client, operator, channel):
    listing = six_pack(channel)
    answer = dismiss(client, listing, "pack", reason=" ")
    assert answer.status_code == 400
    assert "Say why it is fine." in answer.text
    assert not Dismissal.objects.exists()


def test_what_changed_since_it_was_looked_at_is_not_dismissed(client, operator, channel):
    listing = six_pack(channel)
    facts = client.get(dismissing(listing, "pack")).context["facts"]
    Listing.objects.update(title="抽纸 12包装")
    answer = client.post(dismissing(listing, "pack"), {"facts": facts, "reason": "fine"})
    assert answer.status_code == 400
    assert "It has changed since you opened this page." in answer.text
    assert "The title tells 12 units" in answer.text
    Listing.objects.update(title="抽纸")
    gone = client.post(dismissing(listing, "pack"), {"facts": facts, "reason": "fine"}, follow=True)
    assert "This is not found any more." in gone.text
    assert not Dismissal.objects.exists()


def test_only_those_who_change_listings_dismiss_and_only_of_their_channels(client, operator, channel):
    foreign = six_pack(ChannelFactory())
    assert client.get(dismissing(foreign, "pack")).status_code == 404
    listing = ListingFactory(channel=channel, sku=SkuFactory(), title="抽纸 6包装")
    dismiss(client, listing, "pack")
    dismissal = Dismissal.objects.get()
    signed_in(client, "Operator", foreign.channel)
    client.post(f"{PAGE}take-back/", {"dismissal": dismissal.pk})
    assert Dismissal.objects.exists()
    signed_in(client, "Viewer", channel)
    assert client.get(dismissing(listing, "pack")).status_code == 403
    assert client.post(dismissing(listing, "pack"), {"reason": "fine"}).status_code == 403
    assert client.post(f"{PAGE}take-back/", {"dismissal": dismissal.pk}).status_code == 403
    shown = client.get(PAGE, {"show": "dismissed"}).text
    assert "sold in bundles" in shown
    assert "Undo" not in shown
    assert Dismissal.objects.exists()


def test_a_cost_is_told_nowhere_by_its_dismissal(client, channel):
    client.force_login(UserFactory(is_superuser=True))
    listing = ListingFactory(channel=channel, sku=SkuFactory(cost_price=Decimal("61.37")), live_price=Decimal(10))
    dismiss(client, listing, "cost", reason="clearance")
    assert "61.37" in client.get(PAGE, {"show": "dismissed"}).text
    event = AuditEvent.objects.get()
    assert event.changes == {"catalog.dismissal.kind": [None, "cost"], "catalog.dismissal.reason": [None, "clearance"]}
    signed_in(client, "Operator", channel)
    assert "clearance" not in client.get(PAGE, {"show": "dismissed"}).text
    assert client.get(dismissing(listing, "cost")).status_code == 302


def test_dismissed_ones_leave_room_for_others(client, operator, channel, monkeypatch):
    monkeypatch.setattr(mapping_lint, "_MOST_OF_ITEMS", 1)
    watches = [
        ListingWatchFactory(
            listing__channel=channel,
            listing__sku=SkuFactory(),
            outcome=ListingWatch.Outcome.MISSING,
            read_at=timezone.now() - timedelta(days=20 - number),
        )
        for number in range(3)
    ]
    dismiss(client, watches[0].listing, "dead")
    assert is_open(client, watches[1].listing)


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
    for listing in Listing.objects.all()[:20]:
        dismiss(client, listing, "pack")
    for query in ({}, {"show": "dismissed"}):
        with django_assert_max_num_queries(15):
            assert client.get(PAGE, query).text.count("The title tells 6 units") == 20
