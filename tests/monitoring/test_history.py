"""A listing's history: pages by time, what each row changed, and since when the present values hold."""

import csv
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.urls import reverse

from monitoring import history
from monitoring.listing_page import shown_facts, watching
from monitoring.models import ListingWatch, Observation
from tests.factories import NOW, ChannelFactory, UserFactory
from tests.monitoring.watching import miss, observe, watched

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def both(entries, fact):
    """Per entry the fact before and after, None where it was not read."""
    return [tuple(getattr(facts, fact, None) for facts in (entry.before, entry.after)) for entry in entries]


def test_each_row_knows_what_was_before():
    listing = watched()
    observe(listing, 3 * DAY, list_price=Decimal(10), stock=4)
    observe(listing, 2 * DAY, list_price=Decimal(12), stock=4)
    entries, has_older = history.page(listing=listing)
    assert not has_older
    assert both(entries, "list_price") == [(10, 12), (None, 10)]


def test_the_oldest_row_of_a_page_still_knows_what_was_before():
    listing = watched()
    for n in range(5):
        observe(listing, (5 - n) * DAY, stock=n)
    entries, has_older = history.page(listing=listing, size=2)
    assert has_older
    assert both(entries, "stock") == [(3, 4), (2, 3)]


def test_pages_follow_each_other_without_a_gap_or_a_repeat():
    listing = watched()
    for n in range(7):
        observe(listing, (n + 1) * HOUR, stock=n)
    seen, before = [], None
    while True:
        entries, has_older = history.page(listing=listing, before=before, size=3)
        seen += [stock for _before, stock in both(entries, "stock")]
        if not has_older:
            break
        before = entries[-1].at
    assert seen == list(range(7))


def test_after_a_gap_nothing_is_said_to_have_changed():
    listing = watched()
    observe(listing, 3 * DAY, stock=4)
    miss(listing, 2 * DAY)
    observe(listing, DAY, stock=9)
    entries, _has_older = history.page(listing=listing)
    assert [(entry.before, entry.after is None) for entry in entries[:1]] == [(None, False)]
    assert entries[1].after is None
    assert entries[0].stock_change is None


def test_a_page_costs_one_query_however_long_the_history(django_assert_num_queries):
    listing = watched()
    Observation.objects.bulk_create(
        Observation(listing=listing, observed_at=NOW - n * HOUR, stock=n, shelf_state="on_shelf") for n in range(300)
    )
    with django_assert_num_queries(1):
        history.page(listing=listing, before=NOW - 200 * HOUR)


@pytest.mark.parametrize(
    ("stocks", "expected", "is_exact"),
    [
        pytest.param([(5, 1)], 5, False, id="what the first reading found may be older"),
        pytest.param([(5, 1), (3, 2)], 3, True, id="since the last change"),
        pytest.param([(5, 2), (4, 1), (3, 2), (2, 2)], 3, True, id="not since it was the same before"),
        pytest.param([(5, 1), (4, 2), (3, None), (2, 2)], 4, True, id="the same before and after a gap"),
        pytest.param([(5, 2), (3, None), (2, 2)], 5, False, id="the same from the first reading on, but for a gap"),
        pytest.param([(5, 1), (3, None), (2, 2)], 2, False, id="changed while nothing was read"),
        pytest.param([(5, 1), (4, 2), (3, "?"), (2, 2)], 4, True, id="not supplied for a while"),
        pytest.param([(5, 1), (-1, 2)], 5, False, id="a row from the future says nothing yet"),
    ],
)
def test_since_when_a_value_holds(stocks, expected, is_exact):
    listing = watched()
    for days, stock in stocks:
        if stock is None:
            miss(listing, days * DAY)
        elif stock == "?":
            observe(listing, days * DAY, list_price=Decimal(9))
        else:
            observe(listing, days * DAY, stock=stock)
    assert history.since(listing=listing, now=NOW)["stock"] == history.Since(NOW - expected * DAY, is_exact=is_exact)


def test_a_fact_that_is_not_known_has_no_beginning():
    listing = watched()
    observe(listing, 3 * DAY, list_price=Decimal(9), shelf_state="unknown")
    assert set(history.since(listing=listing, now=NOW)) == {"list_price"}


def test_a_value_older_than_what_is_looked_at_is_at_least_that_old():
    listing = watched()
    Observation.objects.bulk_create(
        Observation(listing=listing, observed_at=NOW - n * HOUR, list_price=10, stock=n, shelf_state="on_shelf")
        for n in range(700)
    )
    found = history.since(listing=listing, now=NOW)
    assert not found["list_price"].is_exact
    assert found["stock"] == history.Since(NOW, is_exact=True)


def facts(listing):
    return {fact.label: (fact.value, fact.line) for fact in shown_facts(listing, NOW)}


def test_known_facts_say_as_of_when_and_since_when():
    listing = watched()
    observe(listing, 4 * DAY, list_price=Decimal("299"), stock=0)
    observe(listing, 3 * DAY, list_price=Decimal("268"), stock=0)
    shown = facts(listing)
    assert shown["List price"] == ("¥268.00", "as of 11:59 · since 18 Nov")
    assert shown["Stock"] == ("0", "as of 11:59 · since before 17 Nov")
    assert shown["Shelf state"][0] == "On shelf"


def test_a_fact_the_read_does_not_supply_says_so():
    listing = watched()
    observe(listing, 3 * DAY, list_price=Decimal("268"))
    assert facts(listing)["Live price"] == (None, "this read does not supply it")


def test_the_promotional_price_is_shown_once_it_was_supplied():
    listing = watched()
    observe(listing, 3 * DAY, list_price=Decimal("268"))
    assert "Promotional price" not in facts(listing)
    observe(listing, 2 * DAY, list_price=Decimal("268"), promotion_price=Decimal("199"))
    observe(listing, 1 * DAY, list_price=Decimal("268"))
    assert facts(listing)["Promotional price"] == (None, "this read does not supply it")


def test_a_blind_listing_shows_no_value_as_the_present_one():
    listing = watched(read=3 * HOUR)
    observe(listing, 3 * DAY, list_price=Decimal("268"), stock=5)
    ListingWatch.objects.filter(listing=listing).update(outcome="refused", cause="forbidden")
    listing.refresh_from_db()
    shown = facts(listing)
    assert shown["List price"] == (None, "not read since 09:00, last ¥268.00 · access refused")
    assert {value for value, _line in shown.values()} == {None}


def test_a_listing_that_was_never_read_says_why():
    listing = watched(read=None)
    assert facts(listing)["Stock"] == (None, "not read yet")
    ListingWatch.objects.filter(listing=listing).update(outcome="missing", cause="unknown-listing")
    listing.refresh_from_db()
    assert facts(listing)["Stock"] == (None, "not known to the platform")


@pytest.mark.parametrize(
    ("supplied", "columns"),
    [
        ({"list_price": Decimal(268), "stock": 5}, ["List price", "Stock"]),
        ({"list_price": Decimal(268), "live_price": Decimal(239)}, ["List price", "Live price"]),
        ({}, []),
    ],
)
def test_the_history_has_a_column_for_each_fact_that_was_ever_supplied(owner, supplied, columns):
    listing = watched()
    observe(listing, 3 * DAY, **supplied)
    for age in range(60):
        observe(listing, age * HOUR)
    page = owner.get(reverse("watch:listing-history", args=[listing.pk])).text
    known = ["List price", "Live price", "Promotional price", "Stock"]
    assert [name for name in known if f">{name}</th>" in page] == columns


def test_what_the_last_attempt_met_is_told_once():
    listing = watched(read=None)
    ListingWatch.objects.filter(listing=listing).update(outcome="missing", cause="unknown-variant", tried_at=NOW)
    listing.refresh_from_db()
    told = watching(listing, NOW)
    assert told is not None
    assert (told["outcome"], told["cause"]) == ("variant not known to the platform", "")


@pytest.fixture
def owner(client):
    with time_machine.travel(NOW, tick=False):
        client.force_login(UserFactory(is_superuser=True))
        yield client


@pytest.mark.parametrize(("read", "gap"), [(3 * HOUR, True), (HOUR / 12, False)])
def test_the_history_begins_with_the_gap_that_goes_on_now(owner, read, gap):
    listing = watched(read=read)
    observe(listing, 3 * DAY, stock=5)
    page = owner.get(reverse("watch:listing-history", args=[listing.pk]))
    began = [entry.at for entry in page.context["entries"] if entry.after is None]
    assert began == ([NOW - read + listing.watch.interval] if gap else [])
    shown = owner.get(reverse("admin:catalog_listing_change", args=[listing.pk])).text
    assert [("not read from here on" in text) for text in (page.text, shown)] == [gap, gap]
    older = owner.get(reverse("watch:listing-history", args=[listing.pk]), {"before": NOW.isoformat()})
    assert len(older.context["entries"]) == 1


def test_the_page_leads_to_what_is_older(owner):
    listing = watched()
    Observation.objects.bulk_create(
        Observation(listing=listing, observed_at=NOW - n * HOUR, stock=n, shelf_state="on_shelf") for n in range(70)
    )
    url = reverse("watch:listing-history", args=[listing.pk])
    first = owner.get(url)
    assert "2026-11-21 12:00" in first.content.decode()
    older = owner.get(url, {"before": first.context["older"]})
    assert [entry.after.stock for entry in older.context["entries"]] == list(range(50, 70))
    assert older.context["older"] is None


@pytest.mark.parametrize("before", ["yesterday", "2026-11-21T00:00:00", "2026-99-99T00:00:00+00:00"])
def test_a_time_that_is_none_is_not_found(owner, before):
    url = reverse("watch:listing-history", args=[watched().pk])
    assert owner.get(url, {"before": before}).status_code == 404


def test_the_whole_history_is_sent_oldest_first(owner):
    listing = watched(channel=ChannelFactory(time_zone="UTC"))
    observe(listing, 2 * DAY, list_price=Decimal("9.9000"))
    observe(listing, DAY, list_price=Decimal("9.9"), stock=0, shelf_state="sold_out")
    response = owner.get(reverse("watch:listing-history-csv", args=[listing.pk]))
    assert response.streaming
    assert response.headers["Content-Disposition"].startswith("attachment")
    rows = list(csv.reader(b"".join(response.streaming_content).decode().splitlines()))
    assert rows[1] == ["2026-11-19T04:00:00+00:00", "yes", "9.90", "", "", "", "on_shelf", "CNY"]
    assert rows[2] == ["2026-11-20T04:00:00+00:00", "yes", "9.90", "", "", "0", "sold_out", "CNY"]


@pytest.mark.parametrize(
    ("text", "safe"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("-5", "'-5"), ("\tx", "'\tx"), ("手冲壶", "手冲壶"), ("", "")],
)
def test_a_title_never_becomes_a_formula(text, safe):
    assert history.safe_cell(text) == safe
