"""Alerts that end, come back, or were opened by what their threshold said before."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from catalog.facts import Facts, ShelfState
from monitoring.models import Alert, Notification, Threshold
from monitoring.services import acknowledge, resolve
from monitoring.services.thresholds.book import Book, last_alerts
from monitoring.services.thresholds.figures import rule_of
from monitoring.thresholds.rules import Crossing, Move
from tests.factories import NOW, AlertFactory, DeliveryFactory, RouteFactory, UserFactory
from tests.monitoring.thresholds.reading import DAY, INTERVAL, of, priced, read, read_each, stocked, told

pytestmark = pytest.mark.django_db
Kind = Threshold.Kind
Status = Alert.Status


def test_an_end_by_the_facts_resolves_whatever_people_did_with_the_alert(listing):
    of(listing)
    read(priced(189), NOW)
    Alert.objects.update(status=Status.SNOOZED, snoozed_until=NOW + DAY)
    at = read_each([priced(189), priced(200)], start=NOW + INTERVAL)
    alert = Alert.objects.get()
    assert (alert.status, alert.cleared_at, alert.resolved_at, alert.resolved_by) == ("resolved", at, at, None)


def test_one_resolved_by_hand_stays_quiet_until_it_was_over_once(listing):
    of(listing)
    read(priced(189), NOW)
    person = UserFactory()
    resolve(alerts=Alert.objects.all(), actor=person, now=NOW + timedelta(minutes=1))
    read_each([priced(189), priced(188)], start=NOW + INTERVAL)
    alert = Alert.objects.get()
    assert (alert.status, alert.cleared_at, alert.resolved_by) == ("resolved", None, person)
    at = read_each([priced(250), priced(189)], start=NOW + 3 * INTERVAL)
    alert.refresh_from_db()
    assert (alert.cleared_at, alert.resolved_at) == (at - INTERVAL, NOW + timedelta(minutes=1))
    assert [row[5] for row in told()] == [True, False]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"status": "open"}, "open", id="open"),
        pytest.param({"status": "acknowledged", "acknowledged_at": NOW}, "acknowledged", id="acknowledged"),
        pytest.param({"status": "snoozed", "snoozed_until": NOW + DAY}, "snoozed", id="snoozed"),
        pytest.param({"status": "snoozed", "snoozed_until": NOW + INTERVAL}, "open", id="snoozed until before"),
        pytest.param({"status": "resolved", "resolved_at": NOW, "resolved_by": "somebody"}, "open", id="resolved"),
    ],
)
def test_one_that_comes_back_within_the_cooldown_is_the_same_once_more(listing, before, after):
    of(listing, cooldown_minutes=60)
    read(priced(189), NOW)
    if "resolved_by" in before:
        before = {**before, "resolved_by": UserFactory()}
    Alert.objects.update(**before)
    at = read_each([priced(250), priced(180)], start=NOW + INTERVAL)
    assert told() == [("price_range", "250.00", "180.00", "200.00", 2, False)]
    alert = Alert.objects.get()
    assert (alert.status, alert.opened_at, alert.last_at, alert.updated_at) == (after, NOW, at, at)
    assert (alert.resolved_at, alert.resolved_by) == (None, None)


def test_what_somebody_did_while_a_reading_was_judged_stays(listing):
    rule = of(listing, min_price=None, kind=Kind.PRICE_CHANGE, percent=10, reference="previous", cooldown_minutes=60)
    at = read_each([priced(100), priced(120)]) + INTERVAL
    (alert,) = last_alerts(Alert.objects.all(), "listing_id", [rule], at).values()
    acknowledge(alerts=Alert.objects.all(), actor=UserFactory(), now=at)
    book = Book(now=at)
    book.enter(
        rule, rule_of(rule), listing.channel_id, listing.pk, Crossing(Move.AGAIN, 1_200_000, 1_400_000, 1_000), alert
    )
    book.close()
    stored = Alert.objects.get()
    assert (stored.status, stored.acknowledged_at, stored.new_value, stored.count) == (
        "acknowledged", at, "140.00", 2,
    )  # fmt: skip


def test_whoever_was_told_that_it_is_over_is_told_when_it_is_the_same_once_more(listing):
    of(listing, cooldown_minutes=60)
    told, deaf = RouteFactory(tells_end=True).target, RouteFactory(after_minutes=30).target
    news = Notification.objects.order_by("target", "event")

    def send():
        for target in (told, deaf):
            waiting = news.filter(target=target, delivery=None, dropped_cause="").exclude(event="escalated")
            waiting.update(delivery=DeliveryFactory(target=target))

    read(priced(189), NOW)
    send()
    read(priced(250), NOW + INTERVAL)
    assert [row.event for row in news.filter(delivery=None)] == ["ended", "escalated"]
    read(priced(188), NOW + 2 * INTERVAL)
    assert [row.event for row in news.filter(delivery=None)] == ["escalated"], "nobody had been told of the end"
    read(priced(250), NOW + 3 * INTERVAL)
    send()
    news.filter(event="escalated").update(dropped_cause="over")
    at = NOW + 4 * INTERVAL
    read(priced(187), at)
    assert [(row.target, row.event, row.due_at, row.dropped_cause) for row in news.filter(delivery=None)] == [
        (told, "opened", at, ""),
        (deaf, "escalated", at + timedelta(minutes=30), ""),
    ]
    send()
    read(priced(187), NOW + 5 * INTERVAL)
    assert [row.event for row in news.filter(delivery=None)] == ["escalated"]


def test_after_the_cooldown_it_is_a_new_alert(listing):
    of(listing, cooldown_minutes=10)
    read_each([priced(189), priced(250), priced(180)])
    assert [row[4:] for row in told()] == [(1, True), (1, False)]


def test_flapping_is_one_alert_that_counts(listing):
    of(listing, cooldown_minutes=60)
    read_each([priced(189), priced(250)] * 20)
    assert told() == [("price_range", "250.00", "189.00", "200.00", 20, True)]


# --- A threshold that was made into another rule ----------------------------------------------------------------------

RULES: list[dict[str, Any]] = [
    {"kind": Kind.PRICE_RANGE, "min_price": 300},
    {"kind": Kind.PRICE_RANGE, "min_price": 300, "price": "live_price"},
    {"kind": Kind.PRICE_CHANGE, "percent": 5, "reference": "previous"},
    {"kind": Kind.VOLATILITY, "percent": 5, "days": 7},
    {"kind": Kind.STOCK_AT_MOST, "stock": 5},
    {"kind": Kind.SOLD_OUT},
    {"kind": Kind.OFF_SHELF},
    {"kind": Kind.BLIND, "intervals": 3},
]


# What an alert of a kind holds: fact, before, now.
HELD = {
    Kind.PRICE_RANGE: ("list_price", "268.00", "189.00"),
    Kind.PRICE_CHANGE: ("list_price", "268.00", "189.00"),
    Kind.VOLATILITY: ("list_price", "189.00", "268.00"),
    Kind.STOCK_AT_MOST: ("stock", "9", "3"),
    Kind.SOLD_OUT: ("stock", "9", "0"),
    Kind.OFF_SHELF: ("stock", "on_shelf", "off_shelf"),
    Kind.BLIND: ("", "2026-11-20T10:00:00+00:00", ""),
}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [(one, other) for one in RULES for other in RULES if one is not other and other["kind"] != Kind.BLIND],
    ids=lambda rule: f"{rule['kind']} {rule.get('price', '')}".strip(),
)
@pytest.mark.parametrize("was_over", [False, True])
def test_what_an_earlier_rule_opened_says_nothing_about_a_later_one(listing, earlier, later, was_over):
    fact, old, new = HELD[earlier["kind"]]
    fact = earlier.get("price", fact)
    made = of(listing, **later, cooldown_minutes=60)
    alert = AlertFactory(
        threshold=made, listing=listing, channel=listing.channel, kind=earlier["kind"], fact=fact, old_value=old,
        new_value=new,
    )  # fmt: skip
    if was_over:
        Alert.objects.filter(pk=alert.pk).update(cleared_at=NOW, status=Status.RESOLVED, resolved_at=NOW)
    read(Facts(Decimal(100), Decimal(100), None, 0, ShelfState.SOLD_OUT), NOW + INTERVAL)
    alert.refresh_from_db()
    assert (alert.kind, alert.count, alert.cleared_at is not None) == (earlier["kind"], 1, True)
    opened = Alert.objects.exclude(pk=alert.pk)
    fires_at_once = later["kind"] in (Kind.PRICE_RANGE, Kind.STOCK_AT_MOST, Kind.SOLD_OUT)
    assert [each.kind for each in opened] == ([later["kind"]] if fires_at_once else [])


def test_too_high_after_too_low_is_told_though_the_cooldown_lasts(listing):
    of(listing, min_price=200, max_price=300, cooldown_minutes=60)
    read_each([priced(250), priced(150), priced(900)])
    assert [(alert.new_value, alert.cleared_at is None) for alert in Alert.objects.order_by("pk")] == [
        ("150.00", False),
        ("900.00", True),
    ]


def test_sold_out_with_stock_left_does_not_hide_that_it_was_sold_out(listing):
    of(listing, kind=Kind.RESTOCKED)
    contradiction = stocked(5, ShelfState.SOLD_OUT)
    read_each([stocked(5), stocked(0), contradiction, stocked(5)])
    assert Alert.objects.filter(kind=Kind.RESTOCKED).count() == 1
