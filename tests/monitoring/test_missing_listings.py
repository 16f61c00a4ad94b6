"""A listing that the platform does not know any more: nothing of it is shown as present, and it is counted."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from monitoring.freshness import is_fresh, unread_since
from monitoring.models import ListingWatch, Observation
from tests.factories import NOW, ListingFactory, ProductFactory, SkuFactory
from tests.monitoring.watching import observe, watched

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

MINUTE = timedelta(minutes=1)


def deleted(*, tried=MINUTE, read=6 * MINUTE, cause="unknown-listing", **fields):
    """On shelf at the last good reading; since then the platform answered that it does not know it."""
    listing = watched(read=read, **fields)
    observe(listing, timedelta(days=2), list_price=Decimal("8.99"), live_price=Decimal("8.99"), stock=20)
    missing = ListingWatch.Outcome.MISSING
    ListingWatch.objects.filter(listing=listing).update(outcome=missing, cause=cause, tried_at=NOW - tried, attempts=1)
    return type(listing).objects.select_related("channel", "watch").get(pk=listing.pk)


def page_of(client, listing):
    return client.get(reverse("admin:catalog_listing_change", args=[listing.pk]))


def test_its_facts_speak_for_no_present_however_recent_the_last_reading(owner):
    listing = deleted()
    assert not is_fresh(listing, NOW)
    assert list(type(listing).objects.filter(watch__outcome="missing")) == [listing]
    facts = page_of(owner, listing).content.decode().partition('class="card facts')[2].partition("</section>")[0]
    assert facts.count("—</span>") == 4
    assert "last ¥8.99, as of 11:54 · not known to the platform" in facts
    assert "last On shelf, as of 11:54 · not known to the platform" in facts


def test_its_page_says_so_in_the_head(owner):
    page = page_of(owner, deleted())
    assert (page.context["badge"].severity, str(page.context["badge"].text)) == ("critical", "Not found at the shop")
    assert "blind" not in page.text
    assert page_of(owner, deleted(removed_at=NOW)).context["badge"].severity == "muted"


def test_its_row_tells_the_reason_and_no_figure(owner):
    deleted(title="towel")
    page = owner.get(reverse("admin:catalog_listing_changelist"), {"tab": "trouble"}).text
    assert "not found at the shop" in page
    assert "id not known" in page
    assert "¥8.99" not in page
    assert "On shelf" not in page.partition("<tbody>")[2].partition("</tbody>")[0]


@pytest.mark.parametrize("place", ["product", "sku", "compare", "listing"])
def test_beside_other_listings_it_shows_no_present_value(owner, place):
    product = ProductFactory()
    sku = SkuFactory(product=product)
    deleted(sku=sku)
    other = watched(sku=sku)
    urls = {
        "product": reverse("admin:catalog_product_change", args=[product.pk]),
        "sku": reverse("admin:catalog_sku_change", args=[sku.pk]),
        "compare": reverse("watch:compare", args=[product.pk]),
        "listing": reverse("admin:catalog_listing_change", args=[other.pk]),
    }
    text = owner.get(urls[place]).text
    assert "not found at the shop" in text
    assert "¥8.99" not in text


def test_the_dashboard_counts_it_among_those_that_are_not_read(owner):
    deleted()
    watched(channel=ListingFactory().channel)
    page = owner.get("/").text
    figure = page.partition("Listings not read")[2].partition("</div>")[0]
    assert ">1</a>" in figure
    assert "not found at the shop" in figure
    tabs = owner.get(reverse("admin:catalog_listing_changelist")).context["cl"].tabs
    assert {str(tab["label"]): tab["count"] for tab in tabs}["Not read"] == 1


def test_others_that_are_not_read_are_told_apart_in_the_figure(owner):
    listing = deleted()
    watched(read=timedelta(hours=5), channel=listing.channel)
    figure = owner.get("/").text.partition("Listings not read")[2].partition("</div>")[0]
    assert ">2</a>" in figure
    assert "1 not found<" in figure


@pytest.mark.parametrize(
    ("read", "tried", "since"),
    [
        pytest.param(6, 1, 1, id="from one interval after the last reading on"),
        pytest.param(3, 1, 1, id="but not after the answer"),
        pytest.param(60, 2, 55, id="however often it was asked for since"),
    ],
)
def test_it_is_not_known_since_the_last_reading_spoke(read, tried, since):
    watch = deleted(read=read * MINUTE, tried=tried * MINUTE).watch
    assert unread_since(watch, NOW) == NOW - since * MINUTE


def test_its_chart_and_history_end_with_a_gap_and_nothing_is_written_for_it(owner):
    listing = deleted()
    chart = owner.get(reverse("watch:listing-chart", args=[listing.pk])).json()
    assert chart["gaps"] == [[int((NOW - MINUTE).timestamp() * 1000), int(NOW.timestamp() * 1000)]]
    assert [each["data"][-1] for each in chart["datasets"]] == [None, None, None]
    assert "not read from here on" in page_of(owner, listing).text
    assert Observation.objects.count() == 1


def test_a_good_reading_shows_it_again(owner):
    listing = deleted()
    ListingWatch.objects.update(outcome="read", cause="", read_at=NOW)
    assert page_of(owner, listing).context["badge"] is None
    assert "<strong>¥8.99</strong>" in page_of(owner, listing).text


def test_a_row_with_a_recent_reading_tells_that_the_last_attempt_failed(owner):
    watched()
    ListingWatch.objects.update(outcome="failed", cause="timeout")
    page = owner.get(reverse("admin:catalog_listing_changelist"), {"tab": "trouble"}).text
    assert "last attempt: no answer in time" in page
