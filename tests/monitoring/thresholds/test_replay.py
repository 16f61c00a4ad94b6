from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.facts import ShelfState
from catalog.models import Listing
from monitoring.models import Alert, ListingWatch, Observation, PollRun, Threshold
from monitoring.services import preview
from tests.factories import NOW, ChannelFactory, ListingFactory, ListingWatchFactory, UserFactory
from tests.monitoring.thresholds.reading import INTERVAL, priced, read, read_each, stocked, threshold
from tests.staff import member

pytestmark = pytest.mark.django_db
Kind = Threshold.Kind
HOUR = timedelta(hours=1)

RULES = [
    {"kind": Kind.PRICE_RANGE, "min_price": 100, "max_price": 130},
    {"kind": Kind.PRICE_RANGE, "min_price": 100, "hysteresis": 10, "cooldown_minutes": 60},
    {"kind": Kind.PRICE_CHANGE, "percent": 10, "reference": "previous"},
    {"kind": Kind.PRICE_CHANGE, "percent": 10, "reference": "previous", "direction": "down", "cooldown_minutes": 20},
    {"kind": Kind.PRICE_CHANGE, "percent": 10, "reference": "baseline", "baseline_at": NOW + 3 * INTERVAL},
    {"kind": Kind.PRICE_CHANGE, "percent": 10, "reference": "median", "days": 1, "hysteresis": 3},
    {"kind": Kind.VOLATILITY, "percent": 20, "days": 1},
    {"kind": Kind.STOCK_AT_MOST, "stock": 5, "hysteresis": 2},
    {"kind": Kind.SOLD_OUT, "cooldown_minutes": 15},
    {"kind": Kind.RESTOCKED},
    {"kind": Kind.OFF_SHELF},
]

readings = st.one_of(
    st.none(),  # a reading that failed
    st.builds(
        lambda price, stock, shelf: priced(price, stock=stock, shelf_state=shelf),
        st.sampled_from([None, 90, 95, 99, 100, 105, 110, 120, 131, 145]),
        st.sampled_from([None, 0, 1, 5, 6, 7, 40]),
        st.sampled_from(list(ShelfState)),
    ),
)
# How many intervals pass before each reading: across a gap, and out of a window of one day.
waits = st.sampled_from([1, 1, 1, 2, 4, 150, 300])


@pytest.mark.parametrize("fields", RULES, ids=lambda fields: "-".join(map(str, list(fields.values())[:3])))
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(steps=st.lists(st.tuples(waits, readings), min_size=2, max_size=12))
def test_a_preview_equals_the_readings_as_they_were_recorded(fields, steps):
    watch = _fresh_watch()
    made = threshold(channel=watch.channel, **{"min_price": None, **fields})
    at = NOW
    for wait, facts in steps:
        at += wait * INTERVAL
        read_each([facts], start=at, channel=watch.channel)
    assert Observation.objects.filter(listing=watch.listing).count() <= 2 * len(steps)
    shown = preview(made, now=at)
    alerts = Alert.objects.filter(threshold=made)
    assert Counter((firing.listing_id, firing.at) for firing in shown.firings) == Counter(
        alerts.values_list("listing_id", "opened_at")
    )
    assert shown.count == len(shown.firings)
    first_values = {firing.at: (firing.old_value, firing.new_value) for firing in shown.firings}
    for alert in alerts.filter(count=1):
        assert first_values[alert.opened_at] == (alert.old_value, alert.new_value)


def _fresh_watch():
    """Another channel with one listing, for each example of a test."""
    for model in (Alert, Threshold, Observation, PollRun, ListingWatch, Listing):
        model.objects.all().delete()
    return ListingWatchFactory()


def test_a_preview_of_what_is_not_stored_says_what_would_have_fired():
    watch = ListingWatchFactory()
    other = ListingFactory(channel=watch.channel)
    at = read_each([priced(268), priced(189), priced(250), priced(188)])
    shown = preview(Threshold(kind=Kind.PRICE_RANGE, channel=watch.channel, min_price=200, cooldown_minutes=0), now=at)
    assert (shown.count, shown.listings, shown.checked_listings) == (2, 2, 2)
    assert [(firing.listing_id, firing.at, firing.old_value, firing.new_value) for firing in shown.firings] == [
        (watch.pk, at, "250.00", "188.00"),
        (watch.pk, NOW + INTERVAL, "268.00", "189.00"),
    ]
    assert other.pk not in {firing.listing_id for firing in shown.firings}
    assert (Threshold.objects.count(), Alert.objects.count()) == (0, 0)


def test_a_preview_of_an_edited_threshold_is_that_of_the_form():
    watch = ListingWatchFactory()
    stored = threshold(
        channel=None, listing=watch.listing, kind=Kind.PRICE_CHANGE, min_price=None, percent=10, reference="baseline",
        baseline_at=NOW,
    )  # fmt: skip
    at = read_each([priced(100), priced(150), priced(160)])
    assert preview(stored, now=at).count == 1
    stored.baseline_at = NOW + INTERVAL
    assert preview(stored, now=at).count == 0


def test_what_was_true_when_the_days_began_is_the_first_firing():
    watch = ListingWatchFactory()
    read_each([priced(189), priced(189)])
    rule = Threshold(kind=Kind.PRICE_RANGE, channel=watch.channel, min_price=200)
    now = NOW + timedelta(days=31)
    shown = preview(rule, now=now)
    assert [firing.at for firing in shown.firings] == [now - timedelta(days=30)]
    assert shown.since == now - timedelta(days=30)


def test_days_before_the_preview_count_for_a_median():
    watch = ListingWatchFactory()
    rule = Threshold(kind=Kind.PRICE_CHANGE, channel=watch.channel, percent=10, reference="median", days=7)
    read(priced(100), NOW)
    later = NOW + timedelta(days=2)
    ListingWatch.objects.update(interval_seconds=7 * 86_400)
    read(priced(120), later)
    assert preview(rule, now=later + HOUR, days=1).count == 1


def test_a_preview_is_of_what_a_person_may_see():
    watch = ListingWatchFactory()
    read(priced(100), NOW)
    rule = Threshold(kind=Kind.PRICE_RANGE, channel=watch.channel, min_price=200)
    assert preview(rule, now=NOW, user=member("Operator", ChannelFactory())).listings == 0
    assert preview(rule, now=NOW, user=member("Operator", watch.channel)).count == 1
    assert preview(rule, now=NOW, user=UserFactory(is_superuser=True)).count == 1


def test_removed_listings_are_not_previewed():
    watch = ListingWatchFactory()
    read(stocked(0), NOW)
    Listing.objects.update(removed_at=NOW)
    assert preview(Threshold(kind=Kind.SOLD_OUT, channel=watch.channel), now=NOW).listings == 0


@pytest.mark.parametrize("kind", [Kind.BLIND, Kind.AUTHORISATION])
def test_what_history_does_not_tell_has_no_preview(kind):
    shown = preview(Threshold(kind=kind, channel=ChannelFactory(), days=7, intervals=5), now=NOW)
    assert (shown.is_possible, shown.count) == (False, 0)


def test_a_preview_says_when_it_did_not_look_at_every_listing(monkeypatch):
    channel = ChannelFactory()
    for _each in range(5):
        ListingWatchFactory(listing__channel=channel)
    read(stocked(0), NOW)
    monkeypatch.setattr("monitoring.services.thresholds.replay._PREVIEW_LISTINGS", 2)
    monkeypatch.setattr("monitoring.services.thresholds.replay._PREVIEW_ROWS", 3)
    shown = preview(Threshold(kind=Kind.SOLD_OUT, channel=channel), now=NOW)
    assert (shown.count, shown.listings, shown.checked_listings) == (4, 5, 4)


def test_a_preview_of_many_listings_takes_a_bounded_number_of_statements(django_assert_num_queries):
    channel = ChannelFactory()
    for _each in range(6):
        ListingWatchFactory(listing__channel=channel)
    read_each([priced(100), priced(120)])
    rule = Threshold(kind=Kind.PRICE_CHANGE, channel=channel, percent=10, reference="median", days=7)
    with django_assert_num_queries(3):  # the listings, what was in force, the change points
        assert preview(rule, now=NOW + HOUR).count == 6


def test_a_preview_of_several_listings_is_that_of_each():
    channel = ChannelFactory()
    ids = [ListingWatchFactory(listing__channel=channel).pk for _each in range(3)]
    for number, prices in enumerate([(250, 190, 250), (190, 250, 190), (250, 250, 150), (180, 180, 250)]):
        read(dict(zip(ids, map(priced, prices), strict=True)), NOW + number * INTERVAL, channel=channel)
    rule = Threshold(kind=Kind.PRICE_RANGE, channel=channel, min_price=200, cooldown_minutes=0)
    for now in (NOW + 4 * INTERVAL, NOW + timedelta(days=30) + INTERVAL):
        shown = preview(rule, now=now)
        each = [preview(Threshold(kind=Kind.PRICE_RANGE, listing_id=pk, min_price=200, cooldown_minutes=0), now=now)
                for pk in ids]  # fmt: skip
        assert shown.count == sum(one.count for one in each) > 3
        assert {(f.listing_id, f.at) for f in shown.firings} == {
            (f.listing_id, f.at) for one in each for f in one.firings
        }
