"""Charts as JSON and CSV: what is in them, and who gets them."""

import csv
import json
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.urls import reverse
from django.utils import translation

from catalog.models import Channel
from monitoring.charts.data import comparison_chart, listing_chart, milliseconds, plain_amount
from monitoring.models import ListingWatch, Observation
from monitoring.services import prune
from tests.factories import NOW, ChannelFactory, SkuFactory, UserFactory
from tests.monitoring.watching import miss, observe, watched
from tests.staff import member

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def listing():
    listing = watched()
    observe(listing, 40 * DAY, list_price=Decimal("299"), stock=9)
    observe(listing, 10 * DAY, list_price=Decimal("268.5"), stock=9)
    observe(listing, 2 * DAY, list_price=Decimal("268.5"), stock=0, shelf_state="sold_out")
    return listing


@pytest.fixture
def owner(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


def chart_url(listing, **query):
    return reverse("watch:listing-chart", args=[listing.pk], query=query)


def rows_of(response):
    return list(csv.DictReader(b"".join(response.streaming_content).decode().splitlines()))


def test_the_value_at_the_start_of_the_range_is_carried_in(client, owner, listing):
    answer = client.get(chart_url(listing, range="30d")).json()
    start, end = milliseconds(NOW - 30 * DAY), milliseconds(NOW)
    assert answer["start"] == start
    assert answer["labels"] == [start, milliseconds(NOW - 10 * DAY), milliseconds(NOW - 2 * DAY), end]
    assert [(each["fact"], each["data"]) for each in answer["datasets"]] == [
        ("list_price", [299.0, 268.5, 268.5, 268.5]),
        ("stock", [9.0, 9.0, 0.0, 0.0]),
    ]
    assert answer["shelf"][-1] == [milliseconds(NOW - 2 * DAY), end, "sold_out"]


def test_thirty_days_are_shown_unless_asked_otherwise(client, owner, listing):
    assert client.get(chart_url(listing)).json()["start"] == milliseconds(NOW - 30 * DAY)


def test_a_listing_first_read_within_the_range_begins_there(client, owner, listing):
    assert client.get(chart_url(listing, range="1y")).json()["start"] == milliseconds(NOW - 40 * DAY)


@pytest.mark.parametrize("name", ["", "90d", "30D", "1", "30d' OR 1=1"])
def test_a_range_that_there_is_not_is_refused_plainly(client, owner, listing, name):
    for url in (
        chart_url(listing, range=name),
        reverse("watch:listing-chart-csv", args=[listing.pk], query={"range": name}),
    ):
        response = client.get(url)
        assert response.status_code == 400
        assert response.headers["Content-Type"].startswith("text/plain")


def test_a_fact_that_no_reading_supplied_is_left_out(client, owner, listing):
    names = {each["label"] for each in client.get(chart_url(listing)).json()["datasets"]}
    assert names == {"List price", "Stock"}


def test_a_stored_gap_is_a_gap(client, owner, listing):
    miss(listing, 6 * DAY)
    observe(listing, 4 * DAY, list_price=Decimal("268.5"), stock=5)
    answer = client.get(chart_url(listing)).json()
    assert answer["gaps"] == [[milliseconds(NOW - 6 * DAY), milliseconds(NOW - 4 * DAY)]]
    assert None in answer["datasets"][0]["data"]
    assert "not read for 2 d" in answer["summary"]


def test_a_listing_that_is_not_read_any_more_ends_in_a_gap(client, owner, listing):
    ListingWatch.objects.filter(listing=listing).update(read_at=NOW - HOUR)
    answer = client.get(chart_url(listing)).json()
    # A reading speaks for one interval, 300 s here.
    ends = milliseconds(NOW - HOUR + timedelta(seconds=300))
    assert answer["gaps"] == [[ends, milliseconds(NOW)]]
    assert answer["labels"][-2:] == [ends, ends]
    assert answer["datasets"][0]["data"][-2:] == [268.5, None]


def test_a_listing_not_read_since_before_the_range_is_all_gap(client, owner, listing):
    ListingWatch.objects.filter(listing=listing).update(read_at=NOW - 60 * DAY)
    Observation.objects.filter(listing=listing, observed_at__gt=NOW - 39 * DAY).delete()
    answer = client.get(chart_url(listing)).json()
    assert answer["gaps"] == [[milliseconds(NOW - 30 * DAY), milliseconds(NOW)]]
    assert answer["datasets"] == []


def test_one_reading_says_so(client, owner):
    listing = watched(read=HOUR / 60)
    observe(listing, HOUR / 60, list_price=Decimal("9.9"))
    answer = client.get(chart_url(listing)).json()
    assert answer["isSingle"] is True
    assert "table" not in answer


def test_one_change_that_was_read_again_is_not_one_reading(client, owner):
    listing = watched(read=HOUR / 60)
    observe(listing, 3 * HOUR, list_price=Decimal("9.9"))
    assert client.get(chart_url(listing)).json()["isSingle"] is False


def test_nothing_read_yet_is_an_empty_chart(client, owner):
    answer = client.get(chart_url(watched(read=None))).json()
    assert (answer["labels"], answer["datasets"], answer["gaps"]) == ([], [], [])
    assert answer["summary"].startswith("Nothing was read")


def test_more_changes_than_points_are_thinned_and_said(client, owner):
    listing = watched()
    Observation.objects.bulk_create(
        Observation(
            listing=listing, observed_at=NOW - timedelta(minutes=5 * n), list_price=100, stock=n, shelf_state="on_shelf"
        )
        for n in range(3_000)
    )
    answer = client.get(chart_url(listing)).json()
    assert len(answer["labels"]) <= 500
    assert max(answer["datasets"][1]["data"]) == 2_999
    assert "Too many changes" in answer["note"]


def test_the_json_holds_plain_values_only(client, owner, listing):
    response = client.get(chart_url(listing))
    assert response.headers["Content-Type"] == "application/json"
    answer = json.loads(response.content)
    assert "view" not in answer
    assert "listing_id" not in answer
    assert b"object at 0x" not in response.content
    assert b"<" not in response.content


def test_the_same_chart_is_sent_once(client, owner, listing):
    first = client.get(chart_url(listing))
    again = client.get(chart_url(listing), headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert "private" in first.headers["Cache-Control"]


def test_a_304_does_not_look_at_the_history(client, owner, listing, django_assert_num_queries):
    etag = client.get(chart_url(listing)).headers["ETag"]
    with django_assert_num_queries(3) as asked:  # session, person, listing
        client.get(chart_url(listing), headers={"If-None-Match": etag})
    assert not any("monitoring_observation" in query["sql"] for query in asked.captured_queries)


def test_a_new_reading_another_language_and_another_range_are_other_charts(client, owner, listing):
    etags = {client.get(chart_url(listing)).headers["ETag"], client.get(chart_url(listing, range="7d")).headers["ETag"]}
    with translation.override("zh-hans"):
        etags.add(client.get(chart_url(listing), headers={"Accept-Language": "zh-hans"}).headers["ETag"])
    ListingWatch.objects.filter(listing=listing).update(read_at=NOW)
    etags.add(client.get(chart_url(listing)).headers["ETag"])
    assert len(etags) == 4


def test_a_reading_that_grows_too_old_changes_the_chart(client, owner, listing):
    before = client.get(chart_url(listing, range="1y")).headers["ETag"]
    with time_machine.travel(NOW + timedelta(minutes=20), tick=False):
        after = client.get(chart_url(listing, range="1y"), headers={"If-None-Match": before})
    assert after.status_code == 200
    assert after.json()["gaps"]


def test_one_query_whatever_the_range(listing, django_assert_num_queries):
    listing = type(listing).objects.select_related("channel", "watch").get(pk=listing.pk)
    for days in (7, 365):
        with django_assert_num_queries(1):
            listing_chart(listing=listing, start=NOW - days * DAY, now=NOW)


def every_url(listing):
    return [
        chart_url(listing),
        *(
            reverse(f"watch:{name}", args=[listing.pk])
            for name in ("listing-chart-csv", "listing-history", "listing-history-csv")
        ),
    ]


def test_a_listing_of_a_channel_that_is_not_theirs_is_not_there(client, listing):
    client.force_login(member("Viewer", ChannelFactory()))
    assert [client.get(url).status_code for url in every_url(listing)] == [404] * 4


def test_their_own_listing_is_there(client, listing):
    client.force_login(member("Viewer", listing.channel))
    assert [client.get(url).status_code for url in every_url(listing)] == [200] * 4


def test_staff_without_the_permission_are_refused(client, listing):
    client.force_login(UserFactory())
    assert [client.get(url).status_code for url in every_url(listing)] == [403] * 4


def test_people_who_are_not_staff_any_more_are_refused(client, listing):
    user = member("Manager")
    user.is_staff = False
    user.save()
    client.force_login(user)
    assert client.get(chart_url(listing)).status_code == 403


def test_strangers_are_asked_to_sign_in(client, listing):
    assert client.get(chart_url(listing)).status_code == 403
    page = client.get(reverse("watch:listing-history", args=[listing.pk]))
    assert page.status_code == 302
    assert "/login/" in page.headers["Location"]


def test_the_csv_has_exact_amounts_and_times_with_their_offset(client, owner):
    listing = watched(channel=ChannelFactory(time_zone="America/New_York", currency="USD"))
    observe(listing, 40 * DAY, list_price=Decimal("0.1"), stock=0)
    observe(listing, 3 * DAY, list_price=Decimal("1234567890.1234"), live_price=Decimal("20"), stock=5)
    miss(listing, 2 * DAY)
    rows = rows_of(client.get(reverse("watch:listing-chart-csv", args=[listing.pk])))
    assert [row["time"] for row in rows] == [
        "2026-10-12T00:00:00-04:00",
        "2026-11-17T23:00:00-05:00",
        "2026-11-18T23:00:00-05:00",
    ]
    assert [row["list_price"] for row in rows] == ["0.10", "1234567890.1234", ""]
    assert [row["live_price"] for row in rows] == ["", "20.00", ""]
    assert [row["stock"] for row in rows] == ["0", "5", ""]
    assert [row["read"] for row in rows] == ["yes", "yes", "no"]
    assert {row["currency"] for row in rows} == {"USD"}


def test_the_table_has_exact_amounts(client, owner, listing):
    Observation.objects.filter(listing=listing).update(list_price=Decimal("0.1234"))
    table = client.get(chart_url(listing, table=1)).json()["table"]
    assert table["head"] == ["Time", "List price, CNY", "Stock", "Shelf"]
    assert table["rows"][0] == ["2026-11-19 12:00", "0.1234", "0", "Sold out"]


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("268.0000", "CNY", "268.00"),
        ("268.5", "CNY", "268.50"),
        ("0.0001", "CNY", "0.0001"),
        ("1280", "JPY", "1280"),
        ("100", "CNY", "100.00"),
        ("9999999999.9999", "CNY", "9999999999.9999"),
    ],
)
def test_amounts_in_files_are_exact(amount, currency, text):
    assert plain_amount(Decimal(amount), currency) == text


def test_the_names_follow_the_language(client, owner, listing):
    answer = client.get(chart_url(listing), headers={"Accept-Language": "en"}).json()
    assert answer["datasets"][0]["label"] == "List price"
    assert answer["currency"] == {"code": "CNY", "symbol": "¥", "digits": 2}
    assert answer["timeZone"] == Channel.objects.get().time_zone


def test_the_sentence_names_the_lowest_price_and_its_day(client, owner):
    listing = watched()
    for age, price in ((20, "268"), (12, "239"), (5, "268")):
        observe(listing, age * DAY, list_price=Decimal(price), stock=3)
    summary = client.get(chart_url(listing)).json()["summary"]
    assert summary == "List price ¥268.00 to ¥268.00, lowest ¥239.00 on 9 Nov, Stock 3 to 3."


def test_the_sentence_counts_sold_out_time_exactly_however_often_it_was(client, owner):
    listing = watched()
    Observation.objects.bulk_create(
        Observation(
            listing=listing,
            observed_at=NOW - 360 * DAY + n * DAY + hours * HOUR,
            stock=1 - hours,
            shelf_state="on_shelf" if hours == 0 else "sold_out",
        )
        for n in range(359)
        for hours in (0, 1)
    )
    # Each day sold out for 23 hours, but for the last of them, which goes on.
    answer = client.get(chart_url(listing, range="1y")).json()
    assert len(answer["shelf"]) <= 250
    hours = 358 * 23 + 47
    assert f"sold out for {hours // 24} d {hours % 24} h" in answer["summary"]


# --- Beyond the observations that are kept


@pytest.fixture
def pruned(settings):
    """A listing of which all but the last 20 days are kept as days only."""
    settings.OBSERVATION_RETENTION_DAYS = 20
    listing = watched()
    for age, price in ((90, "300"), (60, "280"), (50, "270"), (30, "260"), (10, "250")):
        observe(listing, age * DAY + HOUR, list_price=Decimal(price), stock=age)
        observe(listing, age * DAY, list_price=Decimal(price), stock=age + 1)
    prune(now=NOW)
    assert Observation.objects.count() == 3
    return listing


def local_day_end(age):
    """NOW is noon in Shanghai."""
    return NOW - age * DAY + 12 * HOUR


def test_a_chart_that_begins_before_what_is_kept_is_completed_from_days(client, owner, pruned):
    answer = client.get(chart_url(pruned, range="60d")).json()
    start = milliseconds(NOW - 60 * DAY)
    assert answer["start"] == start
    ends = [milliseconds(local_day_end(age)) for age in (60, 50)]
    times = [
        start,
        *ends,
        *(milliseconds(NOW - age) for age in (30 * DAY, 10 * DAY + HOUR, 10 * DAY)),
        milliseconds(NOW),
    ]
    assert answer["labels"] == times
    assert answer["datasets"][0]["data"] == [300.0, 280.0, 270.0, 260.0, 250.0, 250.0, 250.0]
    assert answer["datasets"][1]["data"] == [91, 61, 51, 31, 10, 11, 11]


@pytest.mark.parametrize("name", ["listing-chart-csv", "listing-history-csv", "compare-csv"])
def test_files_that_begin_before_what_is_kept_are_completed_from_days(client, owner, pruned, name):
    sku = SkuFactory()
    type(pruned).objects.update(sku=sku)
    key = sku.product_id if name == "compare-csv" else pruned.pk
    rows = rows_of(client.get(reverse(f"watch:{name}", args=[key], query={"range": "1y"})))
    assert [row["list_price"] for row in rows] == ["300.00", "280.00", "270.00", "260.00", "250.00", "250.00"]
    assert rows[0]["time"] == "2026-08-24T00:00:00+08:00"


def test_a_comparison_that_begins_before_what_is_kept_is_completed_from_days(pruned):
    chart = comparison_chart(listings=[pruned], start=NOW - 365 * DAY, now=NOW)
    assert [step.values[0] for step in chart.steps] == [3_000_000, 2_800_000, 2_700_000, 2_600_000, 2_500_000]


def test_a_chart_of_what_is_kept_does_not_look_at_days(pruned, django_assert_num_queries):
    listing = type(pruned).objects.select_related("channel", "watch").get()
    with django_assert_num_queries(1):
        listing_chart(listing=listing, start=NOW - 19 * DAY, now=NOW)
