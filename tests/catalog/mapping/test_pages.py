"""Pages of proposals and unmapped listings: what they show, do and leave alone."""

import re
from datetime import timedelta

import pytest
from django.utils.http import urlencode

from catalog.mapping import review
from catalog.mapping.unmapped import store_sales
from catalog.models import Listing, Proposal, ProposalSales, ShopRead
from tests.factories import (
    NOW,
    ChannelFactory,
    CredentialFactory,
    ListingFactory,
    ProductFactory,
    ProposalFactory,
    SkuFactory,
)
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

LIST = "/catalog/proposal/"


@pytest.fixture
def channel():
    return ChannelFactory(name="天猫旗舰店")


@pytest.fixture
def operator(client, channel):
    return signed_in(client, "Operator", channel)


def proposed(channel, **fields) -> Proposal:
    proposal = ProposalFactory(channel=channel, **fields)
    review([proposal])
    return Proposal.objects.get(pk=proposal.pk)


def act(client, action: str, *proposals: Proposal, tab: str = ""):
    data = {"action": action, "_selected_action": [each.pk for each in proposals], "index": 0, "select_across": 0}
    return client.post(f"{LIST}{f'?tab={tab}' if tab else ''}", data, follow=True)


def test_many_are_accepted_and_what_was_left_alone_is_told(client, operator, channel):
    SkuFactory(code="CUP-01")
    SkuFactory(product=ProductFactory(name="保温杯"))
    SkuFactory(code="CUP-02")
    SkuFactory(barcode="6901234567892")
    clear = proposed(channel, outer_id="CUP-01")
    weak = proposed(channel, title="保温杯")
    contested = proposed(channel, outer_id="CUP-02", barcode="6901234567892")
    nothing = proposed(channel)
    done = act(client, "accept_proposals", clear, weak, contested, nothing)
    assert "Accepted 1 proposal. 1 listing is new." in done.text
    assert "1 left alone: only the title fits." in done.text
    assert "1 left alone: something speaks against it." in done.text
    assert "1 left alone: no SKU fits." in done.text
    assert Listing.objects.get(sku__code="CUP-01")
    undone = act(client, "undo_decision", clear, tab="accepted")
    assert "Took back 1 decision." in undone.text
    assert Listing.objects.get().removed_at is not None


def test_a_deed_to_many_is_asked_about_first(client, operator, channel, monkeypatch):
    monkeypatch.setattr("catalog.admin.mapping.deeds._ASKS_ABOVE", 2)
    proposals = [proposed(channel, title=f"杯 {number}") for number in range(3)]
    asked = act(client, "reject_proposals", *proposals)
    assert "Reject: 3 proposals" in asked.text
    assert Proposal.objects.open().count() == 3
    data = {"action": "reject_proposals", "index": 0, "select_across": 0, "confirmed": 1}
    done = client.post(LIST, {**data, "_selected_action": [each.pk for each in proposals]}, follow=True)
    assert "Rejected 3 proposals." in done.text


@pytest.mark.parametrize(
    ("action", "words", "status"),
    [
        ("reject_proposals", "Rejected 1 proposal.", "rejected"),
        ("add_unmapped", "Added 1 listing without a SKU.", "accepted"),
    ],
)
def test_one_is_rejected_or_added_without_a_sku(client, operator, channel, action, words, status):
    proposal = proposed(channel)
    assert words in act(client, action, proposal).text
    proposal.refresh_from_db()
    assert proposal.status == status


def test_an_open_view_offers_no_undo_and_a_decided_one_only_that(client, operator, channel):
    proposed(channel)
    proposed(channel, status="rejected", decided_at=NOW)
    assert 'value="undo_decision"' not in client.get(LIST).text
    decided = client.get(f"{LIST}?tab=rejected").text
    assert 'value="undo_decision"' in decided
    assert 'value="accept_proposals"' not in decided


def test_the_page_of_one_names_conflicts_and_takes_what_the_person_chooses(client, operator, channel):
    by_barcode, by_code = SkuFactory(code="CUP-01", barcode="6901234567892"), SkuFactory(code="CUP-02")
    proposal = proposed(channel, outer_id="CUP-02", barcode="6901234567892")
    page = client.get(f"{LIST}{proposal.pk}/change/").text
    assert "Several SKUs fit: CUP-01, CUP-02." in page
    assert "Map to CUP-01" in page
    assert "Map to CUP-02" in page
    client.post(f"{LIST}{proposal.pk}/accept/", {"sku": by_code.pk})
    assert Listing.objects.get().sku == by_code
    client.post(f"{LIST}{proposal.pk}/decide/", {"deed": "undo"})
    assert Proposal.objects.get().is_open
    assert by_barcode.listings.count() == 0


def test_no_choice_is_an_error_of_the_form(client, operator, channel):
    proposal = proposed(channel)
    answer = client.post(f"{LIST}{proposal.pk}/accept/", {"sku": ""})
    assert answer.status_code == 400
    assert "Choose a SKU." in answer.text


def test_a_sku_of_other_channels_is_not_named(client, operator, channel):
    sku = SkuFactory(code="SECRET-01")
    ListingFactory(sku=sku, outer_id="CUP-01")
    proposal = proposed(channel, outer_id="CUP-01")
    for address in (LIST, f"{LIST}{proposal.pk}/change/"):
        assert "SECRET-01" not in client.get(address).text
    assert "a SKU of another channel" in client.get(LIST).text
    assert client.post(f"{LIST}{proposal.pk}/accept/", {"sku": sku.pk}).status_code == 400


def test_proposals_of_other_channels_are_not_there(client, operator, channel):
    foreign = proposed(ChannelFactory())
    assert client.get(f"{LIST}{foreign.pk}/change/").status_code == 404
    assert client.post(f"{LIST}{foreign.pk}/decide/", {"deed": "reject"}).status_code == 404
    act(client, "reject_proposals", foreign)
    foreign.refresh_from_db()
    assert foreign.is_open


def test_who_may_only_look_decides_nothing(client, channel):
    signed_in(client, "Viewer", channel)
    proposal = proposed(channel)
    page = client.get(f"{LIST}{proposal.pk}/change/")
    assert page.status_code == 200
    assert "Reject" not in page.text
    assert client.post(f"{LIST}{proposal.pk}/decide/", {"deed": "reject"}).status_code == 403
    assert client.post(f"{LIST}{proposal.pk}/accept/", {"sku": 1}).status_code == 403
    act(client, "reject_proposals", proposal)
    proposal.refresh_from_db()
    assert proposal.is_open


def test_a_reading_that_stopped_says_why(client, operator, channel):
    ShopRead.objects.create(channel=channel, kind="listings", started_at=NOW, slice_at=NOW, count=40, cause="timeout")
    page = client.get(LIST).text
    assert "stopped after 40" in page
    assert "no answer in time" in page


def batch(client, proposal, *, post: bool = False):
    proposal.refresh_from_db()
    address = f"{LIST}undo/?{urlencode({'at': proposal.decided_at.isoformat()})}"
    return client.post(address, follow=True) if post else client.get(address)


def test_what_was_decided_together_is_undone_together_but_for_what_changed_since(client, operator, channel):
    for number in range(4):
        SkuFactory(code=f"CUP-{number}")
    before, *chosen = [proposed(channel, outer_id=f"CUP-{number}") for number in range(4)]
    act(client, "accept_proposals", before)
    told = act(client, "accept_proposals", *chosen).text
    assert "Look at them or undo" in told
    Listing.objects.filter(sku__code="CUP-1").update(sku=SkuFactory())
    asked = batch(client, chosen[0])
    assert "Undo: 3 proposals" in asked.text
    assert before.title not in asked.text
    undone = batch(client, chosen[0], post=True).text
    assert "Took back 2 decisions." in undone
    assert "1 left alone: its listing was changed since." in undone
    assert set(Proposal.objects.open()) == set(chosen[1:])
    assert Listing.objects.current().filter(sku__code="CUP-0").exists()


def test_only_what_one_decided_oneself_is_undone_by_its_time(client, operator, channel):
    proposal = proposed(channel)
    act(client, "reject_proposals", proposal)
    signed_in(client, "Operator", channel)
    batch(client, proposal, post=True)
    assert not Proposal.objects.open().exists()
    for at in ("", "x", "2026-11-21", "2026-11-21 04:00"):
        assert client.get(f"{LIST}undo/?{urlencode({'at': at})}").status_code == 404
    signed_in(client, "Viewer", channel)
    assert batch(client, proposal, post=True).status_code == 403


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"price": "59.90", "list_price": "99"}, "¥59.90"),
        ({"list_price": "99"}, "list price ¥99.00"),
        ({}, "not supplied"),
    ],
)
def test_a_list_price_is_shown_under_its_own_name(client, operator, channel, fields, shown):
    proposal = proposed(channel, **fields)
    listed, page = client.get(LIST).text, client.get(f"{LIST}{proposal.pk}/change/").text
    assert shown in listed
    assert ("List price" in page) is ("list price" in shown)


def test_conflicts_come_first_then_what_is_clear_and_of_each_the_most_sold(client, operator, channel):
    SkuFactory(code="CUP-1")
    SkuFactory(code="CUP-2", barcode="")
    SkuFactory(barcode="6901234567892")
    for title in ("nothing", "clear", "conflict", "nothing sold"):
        codes = {"clear": {"outer_id": "CUP-1"}, "conflict": {"outer_id": "CUP-2", "barcode": "6901234567892"}}
        proposed(channel, title=title, **codes.get(title, {}))
    sold(channel, **{"nothing sold": 40})
    rows = client.get(LIST).context["cl"].result_list
    assert [row.title for row in rows] == ["conflict", "clear", "nothing sold", "nothing"]


def test_tabs_count_what_the_chosen_channel_has(client, operator, channel):
    other = ChannelFactory()
    operator.channels.add(other)
    for place in (channel, other, other):
        proposed(place)
    proposed(other, status="rejected", decided_at=NOW)
    tabs = client.get(LIST, {"channel__id__exact": other.pk}).context["cl"].tabs
    assert {tab["url"]: tab["count"] for tab in tabs if tab["count"]} == {
        f"?tab=open&channel__id__exact={other.pk}": 2,
        f"?tab=weak&channel__id__exact={other.pk}": 2,
        f"?tab=rejected&channel__id__exact={other.pk}": 1,
    }
    assert next(tab["count"] for tab in client.get(LIST).context["cl"].tabs) == 3


def test_every_shop_that_was_read_is_told_of(client, operator, channel):
    for number in range(7):
        other = ChannelFactory(name=f"shop {number}")
        operator.channels.add(other)
        ShopRead.objects.create(channel=other, kind="listings", started_at=NOW, ended_at=NOW, slice_at=NOW)
    page = client.get(LIST).text
    assert all(f"<strong>shop {number}</strong>" in page for number in range(7))
    assert "and 3 more" in page


def test_sales_that_are_not_read_lead_to_where_they_are(client, operator, channel):
    proposed(channel)
    page = client.get(LIST).text
    address = f"?channel__id__exact={channel.pk}"
    assert f'<a href="{address}#readings">not read</a>' in page
    narrowed = client.get(f"{LIST}{address}").text
    assert '<section class="card collapse" id="readings"><details open>' in narrowed
    assert "not read yet" in narrowed
    assert "Open the channel" in narrowed


def test_codes_and_barcodes_of_skus_that_one_does_not_see_are_not_found_out(client, operator, channel):
    sku = SkuFactory(code="SECRET-01", barcode="6900000000007")
    ListingFactory(sku=sku, outer_id="CUP-01")
    proposal = proposed(channel, outer_id="CUP-01", barcode="6901234567892")
    page = client.get(f"{LIST}{proposal.pk}/change/").text
    assert "The SKU is known with another barcode." in page
    assert "6900000000007" not in page
    assert client.get(LIST, {"q": "SECRET"}).context["cl"].result_count == 0
    ListingFactory(channel=channel, sku=sku, outer_id="other")
    page = client.get(f"{LIST}{proposal.pk}/change/").text
    assert "The SKU is known with another barcode: 6900000000007." in page
    assert client.get(LIST, {"q": "secret"}).context["cl"].result_count == 1


@pytest.mark.parametrize(("codes", "primary"), [({"outer_id": "CUP-01"}, "Map to CUP-01"), ({}, "Create a SKU…")])
def test_the_page_of_one_has_one_filled_button(client, operator, channel, codes, primary):
    SkuFactory(code="CUP-01")
    proposal = proposed(channel, **codes)
    page = client.get(f"{LIST}{proposal.pk}/change/").text
    filled = re.findall(r'<button class="btn primary"[^>]*>([^<]*)', page)
    assert filled == [primary]
    assert 'type="submit"' not in page.partition("<main")[2]


def test_with_a_conflict_no_choice_is_put_before_the_others(client, operator, channel):
    SkuFactory(code="CUP-01", barcode="6901234567892")
    SkuFactory(code="CUP-02")
    proposal = proposed(channel, outer_id="CUP-02", barcode="6901234567892")
    page = client.get(f"{LIST}{proposal.pk}/change/").text
    assert "primary" not in page.partition("<main")[2]


def sold(channel, **units) -> None:
    """Store what was sold of proposals, by their titles; of all others: none."""
    found = channel.proposals.filter(title__in=units)
    store_sales(
        channel=channel,
        units={(each.platform_item_id, ""): units[each.title] for each in found},
        unclear=set(),
        since=NOW - timedelta(days=30),
        now=NOW,
    )


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("", ["many", "few", "none", "?", "?"]),
        ("-5", ["many", "few", "none", "?", "?"]),
        ("5", ["?", "?", "none", "few", "many"]),
    ],
)
def test_proposals_come_by_what_they_sold_and_unknown_is_not_zero(client, operator, channel, order, expected):
    proposed(channel, title="variant", platform_item_id="616", platform_sku_id="9")
    for title in ("none", "many", "few"):
        proposed(channel, title=title)
    proposed(channel, title="told", platform_item_id="616", status="rejected", decided_at=NOW)
    store_sales(
        channel=channel,
        units={
            ("616", ""): 5,  # of which variant, the order did not say
            **{
                (channel.proposals.get(title=title).platform_item_id, ""): units
                for title, units in (("many", 40), ("few", 3))
            },
        },
        unclear=set(),
        since=NOW - timedelta(days=30),
        now=NOW,
    )
    proposed(channel, title="late")
    answer = client.get(LIST, {"o": order} if order else {})
    rows = list(answer.context["cl"].result_list)
    sales = {row.title: getattr(getattr(row, "sales", None), "units", "not read") for row in rows}
    assert sales == {"many": 40, "few": 3, "none": 0, "variant": None, "late": "not read"}
    assert ["?" if row.title in ("variant", "late") else row.title for row in rows] == expected
    assert "variant not told" in answer.text


def test_the_page_of_a_proposal_tells_what_it_sold_and_when_that_was_read(client, operator, channel):
    proposal = proposed(channel, title="A")
    address = f"{LIST}{proposal.pk}/change/"
    assert '<strong>—</strong><small class="below">not read</small>' in client.get(address).text
    sold(channel, A=1234)
    assert "<strong>1,234</strong>" in client.get(address).text
    sold(channel)
    assert "<strong>0</strong>" in client.get(address).text


def test_sales_of_proposals_are_read_anew_and_only_of_their_channel(channel):
    mine, theirs = proposed(channel, title="A"), proposed(ChannelFactory(), title="A")
    sold(theirs.channel, A=7)
    sold(channel, A=3)
    sold(channel, A=2)
    assert list(ProposalSales.objects.order_by("units").values_list("proposal", "units")) == [
        (mine.pk, 2),
        (theirs.pk, 7),
    ]


def test_the_list_costs_as_many_queries_for_many_as_for_few(client, operator, channel, django_assert_max_num_queries):
    for number in range(40):
        SkuFactory(code=f"CUP-{number}")
        proposed(channel, outer_id=f"CUP-{number}", title=f"{number}")
    sold(channel, **{f"{number}": number for number in range(20)})
    for _ in range(5):
        other = CredentialFactory().channel
        operator.channels.add(other)
        ShopRead.objects.create(channel=other, kind="sales", started_at=NOW, slice_at=NOW)
    client.get(LIST)
    with django_assert_max_num_queries(12):
        assert client.get(LIST).text.count("merchant code is the SKU") >= 40


# --- Unmapped listings ------------------------------------------------------------------------------------------------


def test_unmapped_listings_come_by_what_they_sold_and_unknown_is_not_zero(client, operator, channel):
    few, many, none, unclear = (ListingFactory(channel=channel, title=title) for title in "ABCD")
    variant = ListingFactory(channel=channel, title="E", platform_item_id=unclear.platform_item_id, platform_sku_id="9")
    ListingFactory(channel=channel, title="mapped", sku=SkuFactory())
    units = {
        (few.platform_item_id, ""): 3,
        (many.platform_item_id, ""): 40,
        (unclear.platform_item_id, ""): 5,
    }
    store_sales(channel=channel, units=units, unclear=set(), since=NOW - timedelta(days=30), now=NOW)
    late = ListingFactory(channel=channel, title="F")  # added since
    answer = client.get("/catalog/unmappedlisting/")
    rows = [row.title for row in answer.context["cl"].result_list]
    assert rows[:4] == ["B", "D", "A", "C"]
    assert "mapped" not in rows
    shown = {
        row.pk: getattr(getattr(row, "sales", None), "units", "not read") for row in answer.context["cl"].result_list
    }
    assert (shown[none.pk], shown[variant.pk], shown[late.pk]) == (0, None, "not read")
    assert "variant not told" in answer.text
    assert "not read" in answer.text


def test_unmapped_variants_of_one_title_are_told_apart(client, operator, channel):
    for number in "12":
        ListingFactory(
            channel=channel, title="保温杯", platform_item_id="616", platform_sku_id=number, outer_id=f"CUP-{number}"
        )
    page = client.get("/catalog/unmappedlisting/").text
    assert all(words in page for words in ("CUP-1", "CUP-2", "616/1", "616/2"))


def test_an_unmapped_listing_opens_its_own_page(client, operator, channel):
    listing = ListingFactory(channel=channel)
    answer = client.get(f"/catalog/unmappedlisting/{listing.pk}/change/")
    assert answer.headers["Location"] == f"/catalog/listing/{listing.pk}/change/"


def test_unmapped_listings_of_other_channels_are_not_there(client, operator, channel, django_assert_max_num_queries):
    ListingFactory(title="theirs")
    for _ in range(30):
        ListingFactory(channel=channel)
    client.get("/catalog/unmappedlisting/")
    with django_assert_max_num_queries(12):
        answer = client.get("/catalog/unmappedlisting/")
    assert answer.context["cl"].result_count == 30
