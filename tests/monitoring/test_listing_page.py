"""What stands beside a listing: the zone of its times, its variant, its pack, and the work that waits."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.models import ChannelFees, Proposal
from monitoring.models import ListingWatch
from monitoring.services.prices import requote
from tests.factories import (
    NOW,
    AlertFactory,
    ChannelFactory,
    CredentialFactory,
    ListingFactory,
    ProductFactory,
    ProposalFactory,
    SkuFactory,
)
from tests.monitoring.watching import observe, watched
from tests.staff import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

MINUTE = timedelta(minutes=1)


def page_of(client, obj):
    return client.get(reverse(f"admin:catalog_{obj._meta.model_name}_change", args=[obj.pk])).text


# --- Times


def abroad(**fields):
    listing = watched(channel=ChannelFactory(name="Nuanju", time_zone="America/New_York", currency="USD"), **fields)
    observe(listing, 3 * MINUTE, list_price=Decimal("10.99"), stock=3)
    return listing


def test_times_in_text_are_those_of_the_site_whatever_the_zone_of_the_shop(owner):
    page = page_of(owner, abroad())
    assert "as of 11:59 · since" in page
    assert ">2026-11-21 11:57</time>" in page
    assert "Each change as it was read, times in Asia/Shanghai" in page


def test_the_page_of_a_history_has_the_times_of_the_site(owner):
    page = owner.get(reverse("watch:listing-history", args=[abroad().pk])).text
    assert "times in Asia/Shanghai" in page
    assert ">2026-11-21 11:57</time>" in page


@pytest.mark.parametrize(("zone", "note"), [("America/New_York", "times in America/New_York"), ("Asia/Shanghai", "")])
def test_a_chart_names_its_zone_where_the_times_beside_it_have_another(owner, zone, note):
    product = ProductFactory()
    listing = watched(channel=ChannelFactory(time_zone=zone), sku=SkuFactory(product=product))
    observe(listing, 3 * MINUTE, list_price=Decimal("10.99"))
    assert owner.get(reverse("watch:listing-chart", args=[listing.pk])).json()["note"] == note
    compared = owner.get(reverse("watch:compare-chart", args=[product.pk]), {"currency": "CNY"}).json()
    assert (compared["timeZone"], compared["note"]) == (zone, note)


# --- Variants and packs


def test_variants_of_one_title_are_told_apart_wherever_they_stand_together(owner):
    product = ProductFactory()
    one, _other = (
        watched(title="Drawer organiser", sku=SkuFactory(product=product, name=name, code=f"BOX-{name}"))
        for name in ("Small", "Large")
    )
    pages = [
        page_of(owner, one),
        page_of(owner, product),
        owner.get(reverse("watch:compare", args=[product.pk])).text,
        owner.get(reverse("admin:catalog_listing_changelist")).text,
    ]
    for page in pages:
        assert "Large · BOX-Large" in page


def test_alerts_of_variants_of_one_title_are_told_apart(owner):
    for name in ("Small", "Large"):
        AlertFactory(listing=watched(title="Drawer organiser", sku=SkuFactory(name=name)))
    card = owner.get("/").text.partition('class="rows alerts"')[2].partition("</ul>")[0]
    assert "Drawer organiser · Small<" in card
    assert "Drawer organiser · Large<" in card


def test_an_unmapped_variant_shows_the_ids_of_the_platform(owner):
    ListingFactory(title="Drawer organiser", platform_item_id="6000", platform_sku_id="6001")
    assert "6000/6001" in owner.get(reverse("admin:catalog_listing_changelist")).text


def test_a_pack_shows_how_many_units_it_takes_and_its_stock_in_units(owner):
    sku = SkuFactory()
    for factor, stock in ((1, 5), (12, 48)):
        listing = watched(sku=sku, pack_factor=factor)
        observe(listing, 3 * MINUTE, stock=stock)
    page = page_of(owner, sku)
    assert page.count("units per listing") == 1
    assert "12 units per listing" in page
    assert "48<small>576 units</small>" in page
    assert "48<small>576 units</small>" in owner.get(reverse("admin:catalog_listing_changelist")).text
    assert "576 units · as of" in page_of(owner, listing)


# --- Channels


def test_a_stopped_channel_does_not_say_that_it_is_connected(owner):
    stopped = CredentialFactory(channel=watched().channel).channel
    assert "Connected" in owner.get("/").text
    type(stopped).objects.update(is_watched=False)
    row = owner.get("/").text.partition(f"/catalog/channel/{stopped.pk}/")[2].partition("</tr>")[0]
    assert "Stopped" in row
    assert "Connected" not in row


# --- Work that waits


def test_the_menu_and_the_dashboard_lead_to_what_waits_to_be_mapped(owner):
    channel = watched(title="loose").channel
    ProposalFactory.create_batch(3, channel=channel)
    ProposalFactory(channel=channel, status=Proposal.Status.REJECTED)
    ListingFactory(channel=channel, ownership="competitor")
    page = owner.get("/").text
    assert "Proposals <small>3</small>" in page
    assert ">3 proposals</a>" in page
    assert ">1 unmapped</a>" in page
    picked = owner.get("/", {"channel": ChannelFactory().pk}).text
    assert "3 proposals" not in picked
    assert "1 unmapped" not in picked


def test_nothing_is_told_of_what_waits_on_the_channels_of_others(client):
    mine, others = watched(sku=SkuFactory()).channel, watched().channel
    ProposalFactory(channel=others)
    signed_in(client, "Operator", mine)
    page = client.get("/").text
    assert "Proposals</a>" in page
    assert "To map" not in page


def test_the_count_of_what_waits_is_asked_once_for_a_page(owner):
    ProposalFactory(channel=watched().channel)
    with CaptureQueriesContext(connection) as asked:
        owner.get("/")
    assert sum("catalog_proposal" in query["sql"] for query in asked.captured_queries) == 1


def test_mapping_is_a_step_of_the_set_up(owner):
    listing = watched()
    step = owner.get("/set-up/").context["steps"][-1]
    assert (str(step.title), step.is_done, step.url) == ("Map listings to SKUs", False, "/catalog/unmappedlisting/")
    ProposalFactory(channel=listing.channel)
    assert owner.get("/set-up/").context["steps"][-1].url == "/catalog/proposal/"
    watched(channel=listing.channel, sku=SkuFactory(), ownership="competitor")
    assert not owner.get("/set-up/").context["steps"][-1].is_done
    watched(channel=listing.channel, sku=SkuFactory())
    assert not owner.get("/set-up/").context["steps"][-1].is_done
    Proposal.objects.update(status=Proposal.Status.REJECTED)
    assert owner.get("/set-up/").context["steps"][-1].is_done


# --- Empty views


def test_an_empty_saved_view_says_that_the_others_are_not(owner):
    watched()
    page = owner.get(reverse("admin:catalog_listing_changelist"), {"tab": "not-read"}).text
    assert "Nothing under “Not read”" in page
    assert "No listings here yet" not in page
    assert '<a class="btn" href="?">All 1</a>' in page
    ListingWatch.objects.update(read_at=NOW - timedelta(days=1))
    assert "Nothing under" not in owner.get(reverse("admin:catalog_listing_changelist"), {"tab": "not-read"}).text


# --- After coupon


@pytest.mark.parametrize(
    ("price", "verdict"), [("99.00", "covers its costs"), ("50.00", "below break-even"), (None, "cannot tell")]
)
def test_the_price_after_coupons_stands_first_and_says_whether_it_covers_its_costs(client, price, verdict):
    sku = SkuFactory(cost_price=Decimal("42.00"), cost_currency="CNY")
    sku.costs.update(valid_from=NOW - 60 * MINUTE)
    listing = watched(sku=sku)
    observe(listing, 3 * MINUTE, list_price=None if price is None else Decimal(price), stock=3)
    ChannelFees.objects.create(
        channel=listing.channel, valid_from=NOW - 60 * MINUTE, tax_rate=1300, fee_rate=500, freight=600
    )
    signed_in(client, "Viewer", listing.channel)
    assert verdict not in page_of(client, listing)
    requote(listing_ids=[listing.pk], now=NOW)
    page = page_of(client, listing)
    assert verdict in page
    if price is not None:
        assert page.index(f">¥{price}</a>") < page.index("List price")
