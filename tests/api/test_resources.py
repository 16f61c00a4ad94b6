"""What each resource shows, to whom, in which pages."""

import gzip
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.facts import Facts
from catalog.models import Channel, Listing, Product, Sku
from catalog.services import remove_listings, set_watched
from monitoring.models import Alert, Observation, Threshold
from tests.api.test_keys import problem
from tests.factories import (
    NOW,
    AlertFactory,
    ChannelFactory,
    ListingFactory,
    ProductFactory,
    SkuFactory,
    ThresholdFactory,
    UserFactory,
)
from tests.monitoring.test_record import read
from tests.monitoring.watching import miss, observe, watched
from tests.staff import member

pytestmark = pytest.mark.django_db

RESOURCES = ("products", "skus", "channels", "listings", "thresholds", "alerts")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


def make(count=1):
    """So many rows of every resource."""
    for _ in range(count):
        sku = SkuFactory(cost_price=1)
        listing = watched(sku=sku)
        observe(listing, HOUR, list_price=Decimal("268.5"), stock=7)
        AlertFactory(listing=listing)


def ids(rows):
    return [row["id"] for row in rows]


# --- What is shown --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_row_is_the_same_in_the_list_and_by_itself(owner, resource):
    make(2)
    for row in owner.rows(f"{resource}/"):
        assert owner.get(f"{resource}/{row['id']}/").json() == row


def test_present_facts_of_a_listing_are_exact_text_with_their_currency(owner):
    listing = watched(read=timedelta(minutes=1), title="")
    observe(listing, HOUR, list_price=Decimal("268.5"), live_price=Decimal("0.1234"), stock=0, shelf_state="sold_out")
    row = owner.get(f"listings/{listing.pk}/").json()
    shown = {name: row[name] for name in ("currency", "list_price", "live_price", "promotion_price", "stock")}
    assert shown == {
        "currency": "CNY",
        "list_price": "268.50",
        "live_price": "0.1234",
        "promotion_price": None,
        "stock": 0,
    }
    assert (row["shelf_state"], row["title"], row["sku"]) == ("sold_out", None, None)
    assert row["observed_at"] == "2026-11-21T03:00:00Z"
    assert row["read_at"] == "2026-11-21T03:59:00Z"
    assert row["fresh_until"] == "2026-11-21T04:14:00Z"


@pytest.mark.parametrize(
    ("read", "is_known"),
    [
        pytest.param(timedelta(minutes=15), True, id="just within three intervals"),
        pytest.param(timedelta(minutes=15, seconds=1), False, id="too old"),
        pytest.param(timedelta(minutes=-2), False, id="by a clock that ran ahead"),
        pytest.param(None, False, id="never"),
    ],
)
def test_what_was_not_read_lately_is_null_and_never_the_last_value(owner, read, is_known):
    listing = watched(read=read)
    observe(listing, HOUR, list_price=Decimal("268"), stock=7)
    row = owner.get(f"listings/{listing.pk}/").json()
    facts = (row["list_price"], row["stock"], row["shelf_state"])
    assert facts == (("268.00", 7, "on_shelf") if is_known else (None, None, "unknown"))
    state = "on_shelf" if is_known else "unknown"
    for asked in ("on_shelf", "unknown"):
        assert ids(owner.rows("listings/", shelf_state=asked)) == ([listing.pk] if asked == state else [])


def test_amounts_have_the_decimals_of_their_currency(owner):
    listing = watched(channel=ChannelFactory(currency="JPY"))
    observe(listing, HOUR, list_price=Decimal("1280"))
    assert owner.rows("listings/")[0]["list_price"] == "1280"


def test_an_alert_is_told_in_values_and_in_words(owner):
    alert = AlertFactory(old_value="", owner=UserFactory(username="林悦"))
    row = owner.get(f"alerts/{alert.pk}/").json()
    assert (row["title"], row["old_value"], row["new_value"], row["limit"]) == ("Below ¥200", None, "189.00", "200.00")
    assert (row["owner"], row["resolved_by"], row["cleared_at"]) == ("林悦", None, None)


def test_a_threshold_is_told_in_values_and_in_words(owner):
    threshold = ThresholdFactory(min_price="200", max_price=None)
    row = owner.get(f"thresholds/{threshold.pk}/").json()
    assert row["sentence"].startswith("List price below ¥200.00")
    assert (row["min_price"], row["max_price"], row["percent"], row["brand"]) == ("200.00", None, None, None)
    assert (row["channel"], row["listing"], row["hysteresis"]) == (threshold.channel_id, None, "0.00")


# --- Who sees what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", RESOURCES)
def test_each_person_sees_the_rows_of_their_channels_alone(program, owner, resource):
    make(2)
    channel = Channel.objects.order_by("pk")[0]
    reader = program(member("Viewer", channel))
    everything, (own,) = owner.rows(f"{resource}/"), reader.rows(f"{resource}/")
    assert len(everything) == 2
    hidden = next(row for row in everything if row["id"] != own["id"])
    problem(reader.get(f"{resource}/{hidden['id']}/"), 404)
    if resource == "listings":
        problem(reader.get(f"listings/{hidden['id']}/observations/"), 404)


@pytest.mark.parametrize("resource", RESOURCES)
def test_whoever_works_with_no_channel_sees_nothing_that_is_listed(program, resource):
    make()
    assert program(member("Viewer")).rows(f"{resource}/") == []


def test_a_filter_does_not_tell_what_is_hidden(program):
    make()
    reader = program(member("Viewer", ChannelFactory()))
    assert reader.rows("listings/", channel=Listing.objects.get().channel_id) == []


# --- Pages ----------------------------------------------------------------------------------------------------------


def pages(reader, path, **parameters):
    """The rows of each page, following `next`."""
    answer = reader.get(path, query_params=parameters).json()
    while True:
        yield answer["results"]
        if answer["next"] is None:
            return
        answer = reader.get(answer["next"]).json()


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("ordering", ["id", "-id", "updated_at", "-updated_at"])
def test_pages_hold_every_row_once_in_order(owner, resource, ordering):
    make(3)
    with time_machine.travel(NOW + HOUR, tick=False):
        make(2)
    found = list(pages(owner, f"{resource}/", limit=2, ordering=ordering))
    assert [len(page) for page in found] == [2, 2, 1]
    rows = [row for page in found for row in page]
    assert len(set(ids(rows))) == 5
    field = ordering.removeprefix("-")
    assert rows == sorted(rows, key=lambda row: (row[field], row["id"]), reverse=ordering.startswith("-"))


@pytest.mark.parametrize("ordering", ["id", "-id"])
def test_a_walk_meets_every_row_once_while_others_come_and_go(owner, ordering):
    made = [ProductFactory() for _ in range(9)]
    met = []
    for number, page in enumerate(pages(owner, "products/", limit=2, ordering=ordering)):
        met += ids(page)
        if number < 2:
            ProductFactory()
            Product.objects.get(pk=met[-1]).delete()  # the very row that the cursor names
    stayed = {product.pk for product in made}
    assert len(met) == len(set(met))
    assert stayed <= set(met)


def test_a_page_has_at_most_500_rows(owner):
    Product.objects.bulk_create(Product(name=str(number)) for number in range(501))
    assert len(owner.rows("products/", limit=500)) == 500
    assert len(owner.rows("products/")) == 100


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(owner, resource):
    def queries():
        with CaptureQueriesContext(connection) as caught:
            owner.rows(f"{resource}/")
        return len(caught)

    make(5)
    few = queries()
    make(45)
    assert queries() == few


# --- Filters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "parameters", "expected"),
    [
        ("products/", {"brand": "Hario"}, ["V60"]),
        ("products/", {"brand": " Hario"}, []),
        ("products/", {"name": "V60"}, ["V60"]),
    ],
)
def test_text_filters_take_the_exact_text(owner, path, parameters, expected):
    ProductFactory(name="V60", brand="Hario")
    ProductFactory(name="Kalita", brand="")
    assert [row["name"] for row in owner.rows(path, **parameters)] == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param({"status": "active"}, ["a"], id="one"),
        pytest.param({"status": ["active", "paused"]}, ["a", "p"], id="any of several"),
        pytest.param({}, ["a", "p", "r"], id="none"),
    ],
)
def test_a_choice_may_be_repeated(owner, parameters, expected):
    for code, status in (("a", "active"), ("p", "paused"), ("r", "retired")):
        SkuFactory(code=code, status=status)
    assert [row["code"] for row in owner.rows("skus/", **parameters)] == expected


def test_removed_listings_are_listed_until_they_are_filtered_out(owner):
    kept, removed = ListingFactory(), ListingFactory(removed_at=NOW)
    assert ids(owner.rows("listings/")) == [kept.pk, removed.pk]
    assert ids(owner.rows("listings/", is_removed="false")) == [kept.pk]
    assert ids(owner.rows("listings/", is_removed="true")) == [removed.pk]


def test_alerts_are_found_by_what_they_are_about(owner):
    alert = AlertFactory(severity="critical")
    AlertFactory(status="resolved", resolved_at=NOW, cleared_at=NOW)
    for parameters in (
        {"status": "open"},
        {"severity": "critical"},
        {"listing": alert.listing_id},
        {"channel": alert.channel_id},
        {"threshold": alert.threshold_id},
        {"is_cleared": "false"},
    ):
        assert ids(owner.rows("alerts/", **parameters)) == [alert.pk], parameters
    assert owner.rows("alerts/", kind="sold_out") == []


# --- What has changed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", RESOURCES)
def test_updated_since_includes_its_moment(owner, resource):
    make()
    (row,) = owner.rows(f"{resource}/")
    at = datetime.fromisoformat(row["updated_at"])
    assert ids(owner.rows(f"{resource}/", updated_since=at.isoformat())) == [row["id"]]
    assert owner.rows(f"{resource}/", updated_since=(at + timedelta(microseconds=1)).isoformat()) == []


@pytest.mark.parametrize("offset", ["Z", "+08:00", "-05:30"])
def test_a_time_may_have_any_offset(owner, offset):
    ProductFactory()
    hour = {"Z": "04", "+08:00": "12", "-05:30": "22:30"}[offset]
    text = f"2026-11-{'20' if offset == '-05:30' else '21'}T{hour if ':' in hour else f'{hour}:00'}:00{offset}"
    assert len(owner.get(f"products/?updated_since={text}").json()["results"]) == 1


def bulk_update():
    Sku.objects.update(status="paused")


def rename():
    Product.objects.get().save()


def stop_watching():
    set_watched(channels=Channel.objects.all(), is_watched=False, actor=None, now=NOW)


def remove():
    remove_listings(listings=Listing.objects.all(), actor=None, now=NOW)


def many_at_once():
    listing = Listing.objects.get()
    listing.pack_factor = 6
    Listing.objects.bulk_update([listing], ["pack_factor"])


def edit_threshold():
    Threshold.objects.get().save()


@pytest.mark.parametrize(
    ("resource", "change"),
    [
        ("skus", bulk_update),
        ("products", rename),
        ("channels", stop_watching),
        ("listings", remove),
        ("listings", many_at_once),
        ("thresholds", edit_threshold),
    ],
)
def test_however_a_row_is_written_it_counts_as_changed(owner, resource, change):
    make()
    later = NOW + HOUR
    with time_machine.travel(later, tick=False):
        change()
    assert len(owner.rows(f"{resource}/", updated_since=later.isoformat())) == 1


@pytest.mark.parametrize(
    ("facts", "title", "is_changed"),
    [
        pytest.param({"list_price": Decimal("250")}, "壶", True, id="another price"),
        pytest.param({"list_price": Decimal("268")}, "新壶", True, id="another title"),
        pytest.param({"list_price": Decimal("268")}, "壶", False, id="the same"),
    ],
)
def test_a_reading_counts_as_a_change_when_it_changes_something(owner, facts, title, is_changed):
    watched(title="壶", read=None)
    read(Facts(list_price=Decimal("268")), NOW, title="壶")
    later = NOW + timedelta(minutes=5)
    with time_machine.travel(later, tick=False):
        read(Facts(**facts), later, title=title)
    assert bool(owner.rows("listings/", updated_since=later.isoformat())) is is_changed


# --- History --------------------------------------------------------------------------------------------------------


def history(reader, listing, **parameters):
    answer = reader.get(f"listings/{listing.pk}/observations/", query_params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_history_begins_with_what_was_in_force_and_shows_gaps(owner):
    listing = watched()
    observe(listing, 40 * DAY, list_price=Decimal("299"), stock=9)
    miss(listing, 10 * DAY)
    observe(listing, 2 * DAY, list_price=Decimal("268.5"), stock=0, shelf_state="sold_out")
    answer = history(owner, listing)
    assert (answer["listing"], answer["currency"], answer["is_thinned"]) == (listing.pk, "CNY", False)
    assert (answer["from"], answer["to"]) == ("2026-10-22T04:00:00Z", "2026-11-21T04:00:00Z")
    keys = ("at", "is_gap", "list_price", "stock", "shelf_state", "live_price")
    assert [tuple(row[key] for key in keys) for row in answer["results"]] == [
        ("2026-10-12T04:00:00Z", False, "299.00", 9, "on_shelf", None),
        ("2026-11-11T04:00:00Z", True, None, None, "unknown", None),
        ("2026-11-19T04:00:00Z", False, "268.50", 0, "sold_out", None),
    ]


def test_history_ends_in_a_gap_when_the_listing_is_not_known_any_more(owner):
    listing = watched(read=HOUR)
    observe(listing, 2 * DAY, list_price=Decimal("268"))
    assert [(row["at"], row["is_gap"]) for row in history(owner, listing)["results"]] == [
        ("2026-11-19T04:00:00Z", False),
        ("2026-11-21T03:05:00Z", True),
    ]
    # It was known at the end of a range that is over.
    earlier = history(owner, listing, to=(NOW - DAY).isoformat())["results"]
    assert [row["is_gap"] for row in earlier] == [False]


def test_times_of_history_are_those_of_the_rows_to_the_microsecond(owner):
    listing = watched()
    observe(listing, DAY - timedelta(microseconds=7), list_price=Decimal("268"))
    assert history(owner, listing)["results"][0]["at"] == "2026-11-20T04:00:00.000007Z"


@pytest.mark.parametrize("points", [50, 51, 137, 5000])
def test_thinned_history_keeps_to_its_points_and_loses_no_spike(owner, points):
    listing = watched()
    step = timedelta(minutes=1)
    Observation.objects.bulk_create(
        Observation(
            listing=listing,
            observed_at=NOW - step * number,
            list_price=Decimal(9_999 if number == 777 else 100 + number % 7),
            stock=number % 3,
            shelf_state="on_shelf",
        )
        for number in range(1, 2_000)
    )
    answer = history(owner, listing, points=points)
    assert len(answer["results"]) <= points
    assert answer["is_thinned"] is (points < 1_999)
    assert "9999.00" in [row["list_price"] for row in answer["results"]]
    times = [row["at"] for row in answer["results"]]
    assert times == sorted(times)


def test_a_listing_without_history_has_none(owner):
    assert history(owner, ListingFactory())["results"] == []


def test_history_takes_a_fixed_number_of_queries(owner):
    listing = watched()
    for age in range(1, 30):
        observe(listing, age * DAY, stock=age)
    with CaptureQueriesContext(connection) as caught:
        history(owner, listing)
    assert len(caught) <= 5


# --- Bad parameters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("listings/?limit=0", "limit"),
        ("listings/?limit=501", "limit"),
        ("listings/?limit=²", "limit"),
        ("listings/?limit=many", "limit"),
        ("listings/?ordering=stock", "ordering"),
        ("listings/?cursor=xyz", "cursor"),
        ("listings/?cursor=WyItaWQiLDFd", "cursor"),  # of another ordering
        ("listings/?cursor=WyJpZCIsImEiXQ==", "cursor"),
        ("listings/?cursor=壶", "cursor"),
        ("listings/?ordering=updated_at&cursor=WyJ1cGRhdGVkX2F0IiwiMDAwMS0wMS0wMVQwMDowMDowMCsxNDowMCIsMV0=", "cursor"),
        ("listings/?channel=abc", "channel"),
        ("listings/?channel=", "channel"),
        ("listings/?chanel=1", "chanel"),
        ("listings/?shelf_state=gone", "shelf_state"),
        ("listings/?is_removed=maybe", "is_removed"),
        ("listings/?updated_since=yesterday", "updated_since"),
        ("listings/?updated_since=2026-11-21T04:00:00", "updated_since"),
        ("listings/?updated_since=2026-13-21T04:00:00Z", "updated_since"),
        ("listings/?updated_since=0001-01-01T00:00:00%2B14:00", "updated_since"),
        ("products/?brand=a%00b", "brand"),
        ("products/1/?brand=a", "brand"),
        ("{listing}/observations/?from=2026-11-21", "from"),
        ("{listing}/observations/?from=2026-11-22T00:00:00Z", "from"),
        ("{listing}/observations/?from=2025-01-01T00:00:00Z", "from"),
        ("{listing}/observations/?to=tomorrow", "to"),
        ("{listing}/observations/?to=0001-01-01T00:00:00Z", "to"),
        ("{listing}/observations/?points=49", "points"),
        ("{listing}/observations/?points=5001", "points"),
        ("{listing}/observations/?limit=5", "limit"),
    ],
)
def test_a_bad_parameter_is_named(owner, path, parameter):
    address = path.format(listing=f"listings/{watched().pk}")
    body = problem(owner.get(address), 400)
    assert [error["parameter"] for error in body["errors"]] == [parameter]
    assert body["errors"][0]["detail"]


def test_all_bad_parameters_of_paging_are_named_at_once(owner):
    errors = problem(owner.get("products/?limit=0&ordering=name"), 400)["errors"]
    assert {error["parameter"] for error in errors} == {"limit", "ordering"}


@pytest.mark.parametrize("number", [2**63, 10**23, "9" * 5_000], ids=["64 bits", "23 digits", "5000 digits"])
@pytest.mark.parametrize(
    ("resource", "parameter"),
    [
        *(("alerts", name) for name in ("channel", "listing", "threshold")),
        *(("listings", name) for name in ("channel", "sku", "product")),
        *(("thresholds", name) for name in ("channel", "listing", "product")),
        ("skus", "product"),
    ],
)
def test_an_id_beyond_what_a_database_holds_is_a_problem(owner, resource, parameter, number):
    make()
    assert owner.rows(f"{resource}/", **{parameter: 2**63 - 1}) == []
    answer = owner.get(f"{resource}/", query_params={parameter: number})
    assert [error["parameter"] for error in problem(answer, 400)["errors"]] == [parameter]


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64, "9" * 5_000], ids=["63", "64", "65", "5000 digits"])
@pytest.mark.parametrize("path", [*(f"{resource}/%s/" for resource in RESOURCES), "listings/%s/observations/"])
def test_no_number_of_a_row_is_too_large_to_be_looked_for(owner, path, number):
    make()
    problem(owner.get(path % number), 404)


@pytest.mark.parametrize(
    ("place", "status"),
    [
        pytest.param(["id", 2**63 - 1], 200, id="the largest id"),
        pytest.param(["id", 2**63], 400, id="beyond it"),
        pytest.param(["id", 2**64 - 1], 400, id="the largest number that is read"),
        pytest.param(["id", -(2**63)], 400, id="no id is below 1"),
        pytest.param(["updated_at", "2026-11-21T04:00:00Z", 2**63], 400, id="beyond it behind a time"),
        pytest.param(["updated_at", "0001-01-01T00:00:00+23:59", 1], 400, id="a time before all others"),
    ],
)
def test_a_cursor_that_was_tampered_with_never_breaks_a_list(owner, place, status):
    cursor = urlsafe_b64encode(orjson.dumps(place)).decode()
    assert owner.get("listings/", query_params={"cursor": cursor, "ordering": place[0]}).status_code == status


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        pytest.param({"from": "1970-01-01T00:00:00Z", "to": "1970-01-02T00:00:00Z"}, 200, id="the first day"),
        pytest.param({"to": "1970-01-01T00:00:00Z"}, 200, id="what it begins with lies before all times"),
        pytest.param({"from": "9999-12-31T23:59:59Z"}, 400, id="the last moment"),
        pytest.param({"from": "9999-12-31T23:59:59-12:00"}, 400, id="later than the last moment"),
        pytest.param({"to": "9999-12-31T23:59:59-12:00"}, 400, id="until later than the last moment"),
        pytest.param({"to": "9999-12-31T23:59:59Z"}, 200, id="until the last moment"),
        pytest.param({"to": "10000-01-01T00:00:00Z"}, 400, id="five digits of a year"),
        pytest.param({"points": "9" * 30}, 400, id="more points than fit a number"),
        pytest.param({"points": "9" * 5_000}, 400, id="more digits than are read"),
    ],
)
def test_history_at_the_ends_of_time_and_number(owner, parameters, status):
    listing = watched()
    observe(listing, HOUR, stock=1)
    assert owner.get(f"listings/{listing.pk}/observations/", query_params=parameters).status_code == status


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize(
    ("moment", "status"),
    [("1970-01-01T00:00:00Z", 200), ("9999-12-31T23:59:59Z", 200), ("9999-12-31T23:59:59-12:00", 400)],
)
def test_updated_since_at_the_ends_of_time(owner, resource, moment, status):
    make()
    assert owner.get(f"{resource}/", query_params={"updated_since": moment}).status_code == status


@pytest.mark.parametrize("pk", ["0", "999999", "9" * 30, "abc", "-1"])
def test_what_is_not_there_is_a_problem(owner, pk):
    problem(owner.get(f"products/{pk}/"), 404)


@pytest.mark.parametrize("path", ["/api/", "/api/v2/products/", "/api/v1/products", "/api/v1/nothing/"])
def test_an_unknown_address_is_a_problem(client, path):
    problem(client.get(path), 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_is_written(owner, client, method):
    answer = owner.send(method, "products/")
    problem(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD"
    client.force_login(UserFactory(is_superuser=True))
    problem(client.generic(method, "/api/v1/products/"), 405)


def test_only_json_is_spoken(owner):
    problem(owner.get("products/", headers={"Accept": "text/csv"}), 406)


def test_our_own_mistake_is_a_problem_without_details(owner, monkeypatch):
    def fail(*args):
        raise RuntimeError("es_secret")

    monkeypatch.setattr("catalog.api.ProductResource.read", fail)
    assert "es_secret" not in problem(owner.get("products/"), 500)["detail"]


def test_a_host_that_is_not_ours_is_a_problem(owner):
    problem(owner.get("products/", headers={"Host": "elsewhere.example"}), 400)


# --- On the way -----------------------------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_sent_again(owner):
    make()
    first = owner.get("listings/")
    tag = first.headers["ETag"]
    again = owner.get("listings/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == tag
    Listing.objects.update(pack_factor=6)
    assert owner.get("listings/", headers={"If-None-Match": tag}).status_code == 200


def test_a_fact_that_grows_too_old_changes_the_tag(owner):
    make()
    tag = owner.get("listings/").headers["ETag"]
    with time_machine.travel(NOW + HOUR, tick=False):
        assert owner.get("listings/", headers={"If-None-Match": tag}).status_code == 200


def test_answers_travel_packed_when_asked(owner):
    make(5)
    plain = owner.get("listings/")
    packed = owner.get("listings/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    headers = {"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]}
    assert owner.get("listings/", headers=headers).status_code == 304


def test_answers_belong_to_who_asked(owner):
    make(5)
    answer = owner.get("listings/")
    assert {"private", "no-cache"} <= set(answer.headers["Cache-Control"].split(", "))
    assert {"Authorization", "Cookie", "Accept-Encoding"} <= set(answer.headers["Vary"].split(", "))


def test_times_end_in_z(owner):
    product = ProductFactory()
    Product.objects.filter(pk=product.pk).update(updated_at=datetime(2026, 11, 21, 4, 0, 0, 5, tzinfo=UTC))
    row = owner.get(f"products/{product.pk}/").json()
    assert (row["created_at"], row["updated_at"]) == ("2026-11-21T04:00:00Z", "2026-11-21T04:00:00.000005Z")
    assert timezone.now() == NOW


def test_problems_are_in_the_language_that_was_asked_for(owner):
    assert Alert.objects.count() == 0
    answer = owner.get("products/?limit=0", headers={"Accept-Language": "zh-hans"})
    assert problem(answer, 400)["title"] == "Bad Request"
    assert answer.headers["Content-Language"] == "zh-hans"
