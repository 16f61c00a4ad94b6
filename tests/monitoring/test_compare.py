"""All listings of a product on one page: which ones, in which chart, with which fact."""

import csv
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.urls import reverse

from monitoring.charts.comparison import pick
from monitoring.charts.data import comparison_chart
from monitoring.models import Observation
from tests.factories import NOW, ChannelFactory, ListingFactory, ProductFactory, SkuFactory, UserFactory
from tests.monitoring.watching import miss, observe, watched
from tests.staff import member

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def owner(client):
    client.force_login(UserFactory(is_superuser=True))
    return client


@pytest.fixture
def product():
    return ProductFactory()


def listing_of(product, *prices, fact="list_price", **fields):
    listing = watched(sku=SkuFactory(product=product), **fields)
    for days, price in prices:
        observe(listing, days * DAY, **{fact: Decimal(price)})
    return listing


def chart_of(client, product, **query):
    return client.get(reverse("watch:compare-chart", args=[product.pk], query={"currency": "CNY", **query}))


def test_own_and_competing_listings_stand_on_one_time_line(owner, product):
    listing_of(product, (40, 100), (10, 90), title="ours")
    listing_of(product, (20, 120), fact="live_price", ownership="competitor", title="theirs")
    answer = chart_of(owner, product).json()
    assert len(answer["labels"]) == 4
    assert [each["data"] for each in answer["datasets"]] == [[100.0, 100.0, 90.0, 90.0], [None, 120.0, 120.0, 120.0]]
    assert [each["own"] for each in answer["datasets"]] == [True, False]


def test_each_line_says_which_price_it_is(owner, product):
    listing_of(product, (20, 100))
    listing_of(product, (20, 120), fact="live_price")
    labels = [each["label"] for each in chart_of(owner, product).json()["datasets"]]
    assert sorted(label.rsplit(", ", 1)[1] for label in labels) == ["list price", "live price"]


def test_a_gap_of_one_listing_is_not_one_of_the_other(owner, product):
    listing_of(product, (20, 100))
    other = listing_of(product, (20, 120), ownership="competitor")
    miss(other, 5 * DAY)
    answer = chart_of(owner, product).json()
    assert None not in answer["datasets"][0]["data"]
    assert answer["datasets"][1]["data"][-1] is None
    assert len(answer["datasets"][1]["gaps"]) == 1
    assert answer["gaps"] == []
    assert answer["summary"].count("not read for") == 1
    answer = chart_of(owner, product, table=1).json()
    assert answer["table"]["rows"][0][1:] == ["100.00", "not read"]


def test_a_listing_without_any_price_has_no_line(owner, product):
    listing_of(product, (20, 100))
    observe(listing_of(product), 3 * DAY, stock=4)
    assert len(chart_of(owner, product).json()["datasets"]) == 1


def test_currencies_never_share_a_chart(owner, product):
    listing_of(product, (20, 100), channel=ChannelFactory(name="A"))
    listing_of(product, (20, 15), channel=ChannelFactory(name="B", currency="USD"))
    page = owner.get(reverse("watch:compare", args=[product.pk]))
    assert [chart.currency for chart in page.context["charts"]] == ["CNY", "USD"]
    assert "nothing is converted" in page.content.decode()
    assert len(chart_of(owner, product, currency="USD").json()["datasets"]) == 1
    assert chart_of(owner, product, currency="EUR").status_code == 404


def test_no_more_lines_than_can_be_told_apart(owner, product):
    listings = [listing_of(product, (20, 100 + n)) for n in range(9)]
    assert len(chart_of(owner, product).json()["datasets"]) == 6
    assert [each.pk for each in pick(listings, [str(listings[8].pk), "x", "99999"])] == [listings[8].pk]
    assert len(pick(listings, [])) == 6


def test_of_too_many_listings_every_channel_gets_a_line_first(product):
    sku = SkuFactory(product=product)
    shopify, woo, taobao = (ChannelFactory(name=name) for name in ("A", "B", "C"))
    variants = [ListingFactory(sku=sku, channel=shopify) for _ in range(5)]
    variants += [ListingFactory(sku=sku, channel=woo) for _ in range(5)]
    last = ListingFactory(sku=sku, channel=taobao)
    rival = ListingFactory(sku=sku, channel=taobao, ownership="competitor")
    picked = pick([*variants, last, rival], [])
    assert picked == [variants[0], variants[1], variants[5], variants[6], last, rival]
    assert pick(variants[:3], []) == variants[:3]


def test_many_lines_stay_within_the_points_of_one_chart(product):
    listings = [listing_of(product) for _n in range(6)]
    Observation.objects.bulk_create(
        Observation(
            listing=listing,
            observed_at=NOW - timedelta(minutes=7 * n + place),
            list_price=n % 97,
            shelf_state="on_shelf",
        )
        for place, listing in enumerate(listings)
        for n in range(1, 400)
    )
    chart = comparison_chart(listings=listings, start=NOW - 30 * DAY, now=NOW)
    assert chart.is_thinned
    assert 100 < len(chart.drawing.times) <= 500


def test_two_queries_whatever_the_number_of_listings(product, django_assert_num_queries):
    listings = [listing_of(product, (40, 100), (5, 90)) for _n in range(6)]
    listings = list(type(listings[0]).objects.select_related("channel", "watch", "sku"))
    with django_assert_num_queries(2):
        comparison_chart(listings=listings, start=NOW - 30 * DAY, now=NOW)


def test_members_compare_only_what_they_see(client, product):
    mine = listing_of(product, (20, 100), title="mine")
    listing_of(product, (20, 90), title="foreign")
    client.force_login(member("Viewer", mine.channel))
    page = client.get(reverse("watch:compare", args=[product.pk])).content.decode()
    assert "mine" in page
    assert "foreign" not in page
    assert len(chart_of(client, product).json()["datasets"]) == 1
    text = b"".join(client.get(reverse("watch:compare-csv", args=[product.pk])).streaming_content).decode()
    assert "mine" in text
    assert "foreign" not in text


def test_a_product_of_foreign_channels_is_not_there(client, product):
    listing_of(product, (20, 100))
    client.force_login(member("Viewer", ChannelFactory()))
    for name in ("compare", "compare-chart", "compare-csv"):
        assert client.get(reverse(f"watch:{name}", args=[product.pk])).status_code == 404


def test_a_product_without_listings_says_how_to_fill_the_page(owner, product):
    page = owner.get(reverse("watch:compare", args=[product.pk]))
    assert "mapped to a SKU of this product" in page.content.decode()


def test_the_same_comparison_is_sent_once(owner, product):
    listing_of(product, (20, 100))
    etag = chart_of(owner, product).headers["ETag"]
    response = owner.get(
        reverse("watch:compare-chart", args=[product.pk], query={"currency": "CNY"}), headers={"If-None-Match": etag}
    )
    assert response.status_code == 304


def test_the_page_costs_the_same_for_many_listings(owner, product, django_assert_max_num_queries):
    for _n in range(20):
        listing_of(product, (20, 100))
    with django_assert_max_num_queries(10):
        owner.get(reverse("watch:compare", args=[product.pk]))


def test_the_page_of_a_listing_leads_to_the_comparison(owner, product):
    listing = listing_of(product, (20, 100))
    listing_of(product, (20, 90), title="另一个")
    page = owner.get(reverse("admin:catalog_listing_change", args=[listing.pk])).content.decode()
    assert reverse("watch:compare", args=[product.pk]) in page
    assert "另一个" in page
    assert reverse("watch:listing-chart", args=[listing.pk]) in page


def test_the_file_begins_with_what_was_in_force_at_the_start(owner, product):
    listing_of(product, (45, 110), (40, 100), (10, 90), title="changed")
    listing_of(product, (60, 50), title="unchanged")
    response = owner.get(reverse("watch:compare-csv", args=[product.pk]), {"range": "30d"})
    rows = list(csv.DictReader(b"".join(response.streaming_content).decode().splitlines()))
    assert [(row["title"], row["list_price"]) for row in rows] == [
        ("unchanged", "50.00"),
        ("changed", "100.00"),
        ("changed", "90.00"),
    ]
