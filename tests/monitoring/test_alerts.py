from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation

from catalog.models import AuditEvent
from monitoring.alert_text import alert_sentence, alert_title, alert_url, severity_word, threshold_sentence
from monitoring.models import Alert, Delivery, Notification, Route, Target, Threshold
from monitoring.services import acknowledge, add_note, assign, reopen, resolve, snooze, wake_snoozed
from monitoring.services.alerts import end_alerts, open_alerts
from monitoring.services.notifying import queue
from tests.factories import NOW, AlertFactory, DeliveryFactory, RouteFactory, ThresholdFactory, UserFactory

HOUR = timedelta(hours=1)
LATER = NOW + timedelta(minutes=5)
Event = Notification.Event
Status = Alert.Status
ALL = Alert.objects.all()


@pytest.fixture
def person(db):
    return UserFactory(username="lin", first_name="Lin", last_name="Wei")


def alert_in(status, **fields):
    needs = {
        Status.ACKNOWLEDGED: {"acknowledged_at": NOW},
        Status.SNOOZED: {"snoozed_until": NOW + HOUR},
        Status.RESOLVED: {"resolved_at": NOW},
    }
    return AlertFactory(status=status, **{**needs.get(status, {}), **fields})


def deeds():
    return [(event.action, event.actor, event.changes) for event in AuditEvent.objects.order_by("pk")]


@pytest.mark.parametrize(
    ("deed", "applies", "after"),
    [
        pytest.param(acknowledge, {"open", "snoozed"}, "acknowledged", id="acknowledge"),
        pytest.param(
            lambda **kwargs: snooze(until=NOW + 2 * HOUR, **kwargs), {"open", "acknowledged", "snoozed"}, "snoozed",
            id="snooze",
        ),
        pytest.param(resolve, {"open", "acknowledged", "snoozed"}, "resolved", id="resolve"),
        pytest.param(reopen, {"acknowledged", "snoozed", "resolved"}, "open", id="reopen"),
    ],
)  # fmt: skip
def test_a_deed_applies_to_some_states_and_is_done_once(person, deed, applies, after):
    alerts = {status: alert_in(status) for status in Status}
    assert deed(alerts=ALL, actor=person, now=LATER) == len(applies)
    for status, alert in alerts.items():
        alert.refresh_from_db()
        assert alert.status == (after if status in applies else status)
        assert (alert.updated_at == LATER) == (status in applies)
    assert AuditEvent.objects.count() == len(applies)
    assert set(AuditEvent.objects.values_list("actor", "object_type")) == {(person.pk, "monitoring.alert")}
    assert deed(alerts=list(alerts.values()), actor=person, now=LATER + HOUR / 60) == 0
    assert AuditEvent.objects.count() == len(applies)


def test_what_a_deed_leaves_behind(person):
    alert = AlertFactory()
    acknowledge(alerts=[alert], actor=person, now=LATER)
    snooze(alerts=[alert], until=NOW + HOUR, actor=person, now=LATER)
    resolve(alerts=[alert], actor=person, now=LATER)
    alert.refresh_from_db()
    assert (alert.acknowledged_at, alert.resolved_at, alert.resolved_by, alert.cleared_at) == (
        LATER, LATER, person, None,
    )  # fmt: skip
    assert [(action, changes.get("status")) for action, _actor, changes in deeds()] == [
        ("acknowledged", ["open", "acknowledged"]),
        ("snoozed", ["acknowledged", "snoozed"]),
        ("resolved", ["snoozed", "resolved"]),
    ]
    reopen(alerts=[alert], actor=person, now=LATER)
    alert.refresh_from_db()
    assert (alert.acknowledged_at, alert.snoozed_until, alert.resolved_at, alert.resolved_by) == (None,) * 4


def test_one_whose_condition_is_over_is_not_reopened(person):
    AlertFactory(status="resolved", resolved_at=NOW, cleared_at=NOW)
    assert reopen(alerts=ALL, actor=person, now=LATER) == 0


def test_a_snooze_ends_after_it_begins(person):
    with pytest.raises(ValueError, match="later"):
        snooze(alerts=[AlertFactory()], until=NOW, actor=person, now=NOW)


def test_deeds_on_many_alerts_take_the_same_number_of_statements(person, django_assert_num_queries):
    for count in (1, 12):
        ids = [AlertFactory().pk for _each in range(count)]
        with django_assert_num_queries(6):  # savepoints, the ids, the rows, the update, the events
            assert acknowledge(alerts=Alert.objects.filter(pk__in=ids), actor=person, now=LATER) == count


def test_an_owner_is_assigned_and_taken_away(person):
    alert = AlertFactory()
    assert [assign(alerts=ALL, owner=person, actor=person, now=LATER) for _twice in range(2)] == [1, 0]
    assert [assign(alerts=[alert], owner=None, actor=person, now=LATER) for _twice in range(2)] == [1, 0]
    assert [(action, changes["owner"]) for action, _actor, changes in deeds()] == [
        ("assigned", [None, str(person)]),
        ("assigned", [str(person), None]),
    ]


def test_notes_are_lines_with_time_and_name(person):
    alert = AlertFactory()
    assert add_note(alert=alert, note="  supplier\n called ", actor=person, now=NOW)
    assert not add_note(alert=alert, note="supplier called", actor=person, now=LATER), "the form came twice"
    assert not add_note(alert=alert, note=" ", actor=person, now=LATER)
    assert add_note(alert=alert, note="stock on Monday", actor=person, now=LATER)
    alert.refresh_from_db()
    assert alert.note == "2026-11-21 12:00 Lin Wei: supplier called\n2026-11-21 12:05 Lin Wei: stock on Monday"
    assert [action for action, _actor, _changes in deeds()] == ["noted", "noted"]


def test_after_a_snooze_an_alert_that_still_holds_is_open_again(person):
    asleep = alert_in(Status.SNOOZED)
    over = alert_in(Status.SNOOZED)
    end_alerts(alert_ids=[over.pk], now=LATER)
    assert wake_snoozed(now=NOW + HOUR - timedelta(seconds=1)) == 0
    assert [wake_snoozed(now=NOW + HOUR) for _twice in range(2)] == [1, 0]
    asleep.refresh_from_db()
    over.refresh_from_db()
    assert (asleep.status, asleep.snoozed_until) == ("open", None)
    assert (over.status, over.resolved_by) == ("resolved", None)
    assert [(action, actor) for action, actor, _changes in deeds()] == [("reopened", None)]


def test_the_end_keeps_who_resolved_it_by_hand(person):
    alert = AlertFactory()
    resolve(alerts=[alert], actor=person, now=LATER)
    assert [end_alerts(alert_ids=[alert.pk], now=LATER + HOUR) for _twice in range(2)] == [1, 0]
    alert.refresh_from_db()
    assert (alert.resolved_at, alert.resolved_by, alert.cleared_at) == (LATER, person, LATER + HOUR)


def test_openings_and_ends_are_told(person):
    target = Target.objects.create(name="群", kind=Target.Kind.DINGTALK, address="https://robot.example/send")
    Route.objects.create(target=target, tells_end=True)
    made = AlertFactory()
    new = AlertFactory.build(threshold=made.threshold, listing=AlertFactory().listing, channel=made.channel)
    assert [open_alerts(alerts=[new], now=NOW) for _twice in range(2)] == [1, 0]
    opened = Alert.objects.get(listing=new.listing, threshold=made.threshold)
    events = Notification.objects.filter(alert=opened).order_by("pk").values_list("event", flat=True)
    assert list(events.all()) == ["opened"]
    end_alerts(alert_ids=[opened.pk], now=LATER)
    assert list(events.all()) == ["opened", "ended"]


# --- What comes back ------------------------------------------------------------------------------------------------


def news(alert):
    """Of each piece of news about the alert, in the order of events: whether it waits, and why it will not be sent."""
    rows = Notification.objects.filter(alert=alert).order_by("target", "event")
    return [(row.event, row.delivery_id is None and not row.dropped_cause, row.dropped_cause) for row in rows]


def sent(event, target, **fields):
    return Notification.objects.filter(event=event, target=target, **fields).update(
        delivery=DeliveryFactory(target=target)
    )


def test_a_reopened_alert_takes_an_end_back_that_nobody_was_told_of(person):
    target = RouteFactory(tells_end=True).target
    alert = AlertFactory()
    queue(alert_ids=[alert.pk], event=Event.OPENED, now=NOW)
    sent(Event.OPENED, target)
    resolve(alerts=[alert], actor=person, now=LATER)
    assert news(alert) == [("ended", True, ""), ("opened", False, "")]
    reopen(alerts=[alert], actor=person, now=LATER)
    assert news(alert) == [("opened", False, "")]


def test_a_reopened_alert_is_told_again_to_whoever_was_told_that_it_was_over(person):
    told, deaf = RouteFactory(tells_end=True).target, RouteFactory().target
    alert = AlertFactory()
    queue(alert_ids=[alert.pk], event=Event.OPENED, now=NOW)
    for target in (told, deaf):
        sent(Event.OPENED, target)
    resolve(alerts=[alert], actor=person, now=LATER)
    assert sent(Event.ENDED, told) == 1
    reopen(alerts=[alert], actor=person, now=LATER + HOUR)
    assert [(row.target, row.event, row.due_at) for row in Notification.objects.filter(delivery=None)] == [
        (told, "opened", LATER + HOUR)
    ]
    sent(Event.OPENED, told)
    resolve(alerts=[alert], actor=person, now=LATER + 2 * HOUR)
    assert Notification.objects.get(event=Event.ENDED).target == told, "the next end is told, too"


@pytest.mark.parametrize(
    ("status", "is_told"),
    [("sent", True), ("unknown", True), ("waiting", True), ("failed", False), ("dropped", False)],
)
def test_only_an_end_that_may_arrive_makes_the_beginning_news_again(person, status, is_told):
    target = RouteFactory(tells_end=True).target
    alert = AlertFactory()
    queue(alert_ids=[alert.pk], event=Event.OPENED, now=NOW)
    sent(Event.OPENED, target)
    resolve(alerts=[alert], actor=person, now=LATER)
    sent(Event.ENDED, target)
    Delivery.objects.filter(notifications__event=Event.ENDED).update(status=status)
    reopen(alerts=[alert], actor=person, now=LATER)
    assert news(alert) == [("opened", is_told, "")]


def test_a_beginning_that_failed_is_told_when_the_alert_is_open_again(person):
    target = RouteFactory(tells_end=True).target
    alert = AlertFactory()
    queue(alert_ids=[alert.pk], event=Event.OPENED, now=NOW)
    resolve(alerts=[alert], actor=person, now=LATER)
    Notification.objects.update(delivery=DeliveryFactory(target=target, status="failed"))
    reopen(alerts=[alert], actor=person, now=LATER)
    assert news(alert) == [("opened", True, "")]


@pytest.mark.parametrize("cause", ["acknowledged", "over"])
def test_a_reopened_alert_is_escalated_when_nobody_acknowledges_it_then(person, cause):
    RouteFactory(after_minutes=30)
    alert = AlertFactory()
    queue(alert_ids=[alert.pk], event=Event.OPENED, now=NOW)
    acknowledge(alerts=[alert], actor=person, now=LATER)
    Notification.objects.update(dropped_cause=cause)
    reopen(alerts=[alert], actor=person, now=LATER + HOUR)
    assert news(alert) == [("escalated", True, "")]
    assert Notification.objects.get().due_at == LATER + 1.5 * HOUR


def test_a_beginning_that_was_not_told_any_more_is_told_when_the_alert_is_open_again(person):
    RouteFactory()
    alert = AlertFactory()
    queue(alert_ids=[alert.pk], event=Event.OPENED, now=NOW)
    resolve(alerts=[alert], actor=person, now=NOW)
    Notification.objects.update(dropped_cause="resolved")
    reopen(alerts=[alert], actor=person, now=LATER)
    assert news(alert) == [("opened", True, "")]


def test_what_was_given_up_with_its_target_stays_given_up(person):
    RouteFactory(tells_end=True)
    alert = AlertFactory()
    queue(alert_ids=[alert.pk], event=Event.OPENED, now=NOW)
    Notification.objects.update(dropped_cause="target-inactive")
    resolve(alerts=[alert], actor=person, now=LATER)
    reopen(alerts=[alert], actor=person, now=LATER)
    assert news(alert) == [("opened", False, "target-inactive")]


def test_the_end_of_an_alert_that_came_back_waits_until_it_cannot_come_back_any_more(person):
    target = RouteFactory(tells_end=True).target
    steady, flapping, by_hand = AlertFactory(), AlertFactory(count=2), AlertFactory(count=2)
    ids = [steady.pk, flapping.pk, by_hand.pk]
    queue(alert_ids=ids, event=Event.OPENED, now=NOW)
    sent(Event.OPENED, target)
    resolve(alerts=[by_hand], actor=person, now=LATER)
    end_alerts(alert_ids=ids[:2], now=LATER)
    ends = Notification.objects.filter(event=Event.ENDED)
    assert {row.alert_id: row.due_at for row in ends} == {
        steady.pk: LATER,
        flapping.pk: NOW + HOUR,  # its last crossing, and the cooldown
        by_hand.pk: LATER,
    }


# --- In words -------------------------------------------------------------------------------------------------------

WORDS = [
    pytest.param({}, "Below ¥200", "List price ¥268.00 → ¥189.00, limit ¥200.00", id="price below"),
    pytest.param(
        {"new_value": "301.50", "limit": "300.50", "old_value": "", "fact": "live_price"}, "Above ¥300.50",
        "Live price ¥301.50, limit ¥300.50", id="price above, nothing known before",
    ),
    pytest.param(
        {"kind": "price_change", "limit": "10.00", "reference": "previous"}, "List price ▼ 29.5%",
        "List price ¥268.00 → ¥189.00 (▼ 29.5%), limit 10.0%", id="change",
    ),
    pytest.param(
        {"kind": "price_change", "limit": "10.00", "reference": "median"}, "List price ▼ 29.5%",
        "List price ¥189.00, median ¥268.00 (▼ 29.5%), limit 10.0%", id="change against the median",
    ),
    pytest.param(
        {"kind": "price_change", "limit": "10.00", "reference": "baseline"}, "List price ▼ 29.5%",
        "List price ¥189.00, ¥268.00 when the comparison began (▼ 29.5%), limit 10.0%", id="against the baseline",
    ),
    pytest.param(
        {"kind": "volatility", "old_value": "100.00", "new_value": "125.00", "limit": "20.00"}, "List price swings",
        "List price between ¥100.00 and ¥125.00 (25.0% apart), limit 20.0%", id="swings",
    ),
    pytest.param(
        {"kind": "stock_at_most", "fact": "stock", "old_value": "7", "new_value": "5", "limit": "5"}, "Stock at 5",
        "Stock 7 → 5, limit 5", id="stock",
    ),
    pytest.param(
        {"kind": "sold_out", "fact": "stock", "old_value": "1", "new_value": "0", "limit": ""}, "Sold out",
        "Stock 1 → 0", id="sold out",
    ),
    pytest.param(
        {"kind": "restocked", "fact": "stock", "old_value": "0", "new_value": "1200", "limit": ""}, "Back in stock",
        "Stock 0 → 1,200", id="restocked",
    ),
    pytest.param(
        {"kind": "off_shelf", "fact": "stock", "old_value": "on_shelf", "new_value": "off_shelf", "limit": ""},
        "Off shelf", "The platform does not show it to buyers any more", id="off the shelf",
    ),
    pytest.param(
        {"kind": "blind", "fact": "", "old_value": NOW.isoformat(), "new_value": "", "limit": "5"}, "Not read any more",
        "Last read 21 Nov 12:00, more than 5 readings missed", id="blind",
    ),
    pytest.param(
        {"kind": "blind", "fact": "", "old_value": "", "new_value": "", "limit": "5"}, "Never read",
        "Not one good reading so far, more than 5 readings missed", id="never read",
    ),
    pytest.param(
        {"kind": "authorisation", "fact": "", "old_value": "", "new_value": (NOW + HOUR).isoformat(), "limit": "7"},
        "Authorisation ends soon", "Authorised until 21 Nov 13:00", id="authorisation ends",
    ),
    pytest.param(
        {"kind": "authorisation", "fact": "", "old_value": "", "new_value": (NOW - HOUR).isoformat(), "limit": "7"},
        "Authorisation ended", "It ended 21 Nov 11:00", id="authorisation ended",
    ),
]  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(("fields", "title", "sentence"), WORDS)
def test_an_alert_in_words(fields, title, sentence):
    alert = AlertFactory(**fields)
    with translation.override("en"):
        assert (alert_title(alert), alert_sentence(alert)) == (title, sentence)


@pytest.mark.django_db
def test_an_alert_has_a_page_and_its_severity_a_word():
    alert = AlertFactory()
    assert alert_url(alert).endswith(f"/monitoring/alert/{alert.pk}/change/")
    with translation.override("en"):
        assert [severity_word(severity) for severity in ("critical", "warning", "info")] == [
            "Critical", "Warning", "Info",
        ]  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        pytest.param(
            {"max_price": 300}, "List price below ¥200.00 or above ¥300.00 (both are within the range)", id="range",
        ),
        pytest.param({}, "List price below ¥200.00 (which itself is within the range)", id="lowest"),
        pytest.param(
            {"min_price": None, "max_price": 5, "price": "live_price"},
            "Live price above ¥5.00 (which itself is within the range)", id="highest",
        ),
        pytest.param(
            {"kind": "price_change", "percent": 10, "reference": "previous", "direction": "down"},
            "List price 10.0% or more below the price before", id="change",
        ),
        pytest.param(
            {"kind": "price_change", "percent": 10, "reference": "median", "days": 7},
            "List price 10.0% or more above or below the median of the 7 days before", id="median",
        ),
        pytest.param(
            {"kind": "price_change", "percent": 10, "reference": "baseline", "baseline_at": NOW, "direction": "up"},
            "List price 10.0% or more above what it was on 21 Nov 12:00", id="baseline",
        ),
        pytest.param(
            {"kind": "volatility", "percent": 20, "days": 1},
            "List price: highest and lowest of 1 day 20.0% or more apart", id="swings",
        ),
        pytest.param({"kind": "stock_at_most", "stock": 5}, "Stock at or below 5", id="stock"),
        pytest.param({"kind": "sold_out"}, "Sold out: on shelf with a stock of 0", id="sold out"),
        pytest.param({"kind": "restocked"}, "Back in stock after it was sold out", id="restocked"),
        pytest.param({"kind": "off_shelf"}, "Off shelf", id="off the shelf"),
        pytest.param(
            {"kind": "blind", "intervals": 5}, "No good reading for 5 intervals", id="blind",
        ),
        pytest.param({"kind": "authorisation", "days": 7}, "Authorisation ends within 7 days", id="authorisation"),
    ],
)  # fmt: skip
def test_a_threshold_in_words(fields, sentence):
    threshold = ThresholdFactory.build(**{"min_price": Decimal(200), **fields})
    with translation.override("en"):
        assert threshold_sentence(threshold) == sentence


def test_every_kind_has_words():
    fields: list[Any] = [case.values[0] for case in WORDS]
    kinds = {value for value, _label in Threshold._meta.get_field("kind").flatchoices}
    assert {each.get("kind", "price_range") for each in fields} == kinds
