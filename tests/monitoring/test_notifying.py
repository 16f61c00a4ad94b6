from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from monitoring.models import Alert, Notification, Severity
from monitoring.services import acknowledge, resolve, snooze, wake_snoozed
from monitoring.services.notifying import after_quiet, due_at, queue
from monitoring.signals import notification_queued
from tests.factories import (
    NOW,
    AlertFactory,
    ChannelFactory,
    DeliveryFactory,
    NotificationFactory,
    RouteFactory,
    TargetFactory,
    UserFactory,
)

Event = Notification.Event
MINUTE = timedelta(minutes=1)
CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO


def opened(*alerts: Alert, now: datetime = NOW) -> int:
    return queue(alert_ids=[alert.pk for alert in alerts], event=Event.OPENED, now=now)


def ended(*alerts: Alert, now: datetime = NOW) -> int:
    return queue(alert_ids=[alert.pk for alert in alerts], event=Event.ENDED, now=now)


def waiting() -> list[tuple[str, datetime]]:
    return list(Notification.objects.order_by("due_at", "pk").values_list("event", "due_at"))


# --- Routes ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("least", "severity", "is_told"),
    [
        pytest.param(CRITICAL, CRITICAL, True, id="critical from critical"),
        pytest.param(CRITICAL, WARNING, False, id="warning from critical"),
        pytest.param(WARNING, CRITICAL, True, id="critical from warning"),
        pytest.param(WARNING, WARNING, True, id="warning from warning"),
        pytest.param(WARNING, INFO, False, id="info from warning"),
        pytest.param(INFO, INFO, True, id="info from info"),
    ],
)
def test_a_route_takes_its_severity_and_worse_ones(least, severity, is_told):
    RouteFactory(least_severity=least)
    assert opened(AlertFactory(severity=severity)) == int(is_told)
    assert bool(waiting()) is is_told


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("routed", "is_told"),
    [
        pytest.param([], True, id="no channel means all"),
        pytest.param(["own"], True, id="the alert's channel"),
        pytest.param(["other"], False, id="another channel"),
        pytest.param(["own", "other"], True, id="one of two"),
    ],
)
def test_a_route_takes_alerts_of_its_channels(routed, is_told):
    alert = AlertFactory()
    channels = {"own": alert.channel, "other": ChannelFactory()}
    RouteFactory().channels.set([channels[name] for name in routed])
    opened(alert)
    assert bool(waiting()) is is_told


@pytest.mark.django_db
def test_a_target_is_told_once_however_many_routes_lead_to_it_and_however_often_it_is_queued():
    target = TargetFactory()
    RouteFactory(target=target, least_severity=INFO)
    RouteFactory(target=target, least_severity=WARNING)
    alert = AlertFactory()
    assert opened(alert) == 1
    assert opened(alert, now=NOW + MINUTE) == 0
    assert waiting() == [("opened", NOW)]


@pytest.mark.django_db
def test_a_deactivated_target_is_told_nothing():
    RouteFactory(target__is_active=False)
    assert opened(AlertFactory()) == 0


@pytest.mark.django_db
def test_an_alert_without_a_listing_is_told_like_any_other():
    RouteFactory()
    assert opened(AlertFactory(listing=None, channel=ChannelFactory())) == 1


@pytest.mark.django_db
def test_news_of_many_alerts_costs_no_more_queries_than_of_one(django_assert_max_num_queries):
    channel = ChannelFactory()
    for number in range(5):
        RouteFactory(target__digest_minutes=number, after_minutes=number, tells_end=True).channels.add(channel)
    alerts = [AlertFactory(listing__channel=channel) for _number in range(60)]
    with django_assert_max_num_queries(8):
        opened(*alerts)
    with django_assert_max_num_queries(8):
        ended(*alerts, now=NOW + MINUTE)


@pytest.mark.django_db
def test_the_lane_hears_of_news_that_is_due_soon_after_the_commit(django_capture_on_commit_callbacks):
    heard = []
    receiver = lambda sender, **kwargs: heard.append(sender)  # noqa: E731
    notification_queued.connect(receiver)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            RouteFactory(after_minutes=30)
            opened(AlertFactory())
        assert heard == []  # the escalation is not due for a long time
        with django_capture_on_commit_callbacks(execute=True):
            RouteFactory()
            opened(AlertFactory())
        assert heard == [Notification]
    finally:
        notification_queued.disconnect(receiver)


# --- Escalation -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_an_escalation_is_due_its_minutes_after_the_opening():
    RouteFactory(after_minutes=30)
    assert opened(AlertFactory(), now=NOW + MINUTE) == 1
    assert waiting() == [("escalated", NOW + 30 * MINUTE)]


@pytest.mark.django_db
def test_of_two_escalations_to_one_target_the_earlier_counts():
    target = TargetFactory()
    RouteFactory(target=target)
    RouteFactory(target=target, after_minutes=60)
    RouteFactory(target=target, after_minutes=20)
    assert opened(AlertFactory()) == 2
    assert waiting() == [("opened", NOW), ("escalated", NOW + 20 * MINUTE)]


@pytest.mark.django_db
@pytest.mark.parametrize("severity", [CRITICAL, WARNING])
def test_an_escalation_stored_before_it_had_a_bound_is_due_after_thirty_days(severity):
    RouteFactory(after_minutes=2_000_000_000, target__quiet_from=time(22), target__quiet_until=time(6))
    opened(AlertFactory(severity=severity))
    assert waiting() == [("escalated", NOW + timedelta(days=30))]


@pytest.mark.django_db
def test_the_end_of_an_alert_whose_cooldown_was_stored_before_it_had_a_bound_is_told_within_a_year():
    RouteFactory(tells_end=True)
    alert = AlertFactory(threshold__cooldown_minutes=2_000_000_000, count=2)
    opened(alert)
    Alert.objects.update(cleared_at=NOW + MINUTE)
    ended(alert, now=NOW + MINUTE)
    assert waiting() == [("opened", NOW), ("ended", NOW + timedelta(days=365))]


@pytest.mark.django_db
def test_an_escalation_cannot_be_queued_by_itself():
    with pytest.raises(ValueError, match="with the opening"):
        queue(alert_ids=[1], event=Event.ESCALATED, now=NOW)


# --- The end --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("tells_end", "before", "is_told"),
    [
        pytest.param(True, "sent", True, id="told of the opening"),
        pytest.param(True, "waiting", True, id="the opening still waits"),
        pytest.param(True, "dropped", False, id="the opening was given up"),
        pytest.param(True, "escalated", True, id="told by an escalation"),
        pytest.param(True, "escalation waits", False, id="an escalation that is not due will not come"),
        pytest.param(True, "never", False, id="never told of the alert"),
        pytest.param(False, "sent", False, id="not asked for"),
    ],
)
def test_the_end_is_told_to_whoever_was_told_of_the_beginning(tells_end, before, is_told):
    route = RouteFactory(tells_end=tells_end)
    alert = AlertFactory()
    delivery = DeliveryFactory(target=route.target)
    stored: dict[str, dict[str, Any]] = {
        "sent": {"delivery": delivery},
        "waiting": {},
        "dropped": {"dropped_cause": "target-inactive"},
        "escalated": {"event": Event.ESCALATED, "delivery": delivery},
        "escalation waits": {"event": Event.ESCALATED, "due_at": NOW + 30 * MINUTE},
    }
    if before in stored:
        NotificationFactory(alert=alert, target=route.target, **stored[before])
    assert ended(alert) == int(is_told)
    assert Notification.objects.filter(event=Event.ENDED).exists() is is_told


# --- When news is due -----------------------------------------------------------------------------------------------


def local(text: str) -> datetime:
    """A time of the day in Shanghai on 21 November 2026, or on the 22nd with a "+"."""
    day = 22 if text.startswith("+") else 21
    clock = time.fromisoformat(text.removeprefix("+"))
    return datetime(2026, 11, day, clock.hour, clock.minute, tzinfo=UTC) - timedelta(hours=8)


@pytest.mark.parametrize(
    ("quiet", "at", "due"),
    [
        pytest.param(("22:00", "08:00"), "21:59", "21:59", id="before"),
        pytest.param(("22:00", "08:00"), "22:00", "+08:00", id="the beginning is quiet"),
        pytest.param(("22:00", "08:00"), "23:30", "+08:00", id="before midnight"),
        pytest.param(("22:00", "08:00"), "03:00", "08:00", id="after midnight"),
        pytest.param(("22:00", "08:00"), "08:00", "08:00", id="the end is not quiet"),
        pytest.param(("12:00", "14:00"), "13:00", "14:00", id="within a day"),
        pytest.param(("12:00", "14:00"), "11:59", "11:59", id="before, within a day"),
        pytest.param(("12:00", "14:00"), "14:00", "14:00", id="after, within a day"),
        pytest.param(("00:00", "07:00"), "23:59", "23:59", id="from midnight on"),
        pytest.param(("08:00", "08:00"), "03:00", "03:00", id="no time at all"),
        pytest.param((None, None), "03:00", "03:00", id="none"),
    ],
)
def test_quiet_hours_are_local_and_may_pass_midnight(quiet, at, due):
    begins, ends = (end and time.fromisoformat(end) for end in quiet)
    target = TargetFactory.build(quiet_from=begins, quiet_until=ends)
    assert after_quiet(target, local(at)) == local(due)


@pytest.mark.parametrize(
    ("quiet", "at", "due"),
    [
        # Berlin puts its clocks back on 25 October 2026 at 3:00, which is 1:00 UTC, and forward on 29 March at 2:00.
        pytest.param(("22:00", "07:00"), "2026-10-24T22:00", "2026-10-25T06:00", id="the night with an hour more"),
        pytest.param(("22:00", "07:00"), "2026-03-28T22:00", "2026-03-29T05:00", id="the night with an hour less"),
        pytest.param(("22:00", "02:30"), "2026-10-25T00:10", "2026-10-25T00:30", id="an end that comes twice, first"),
        pytest.param(("22:00", "02:30"), "2026-10-25T01:10", "2026-10-25T01:30", id="an end that comes twice, again"),
        pytest.param(("22:00", "02:30"), "2026-03-28T23:00", "2026-03-29T01:30", id="an end that never comes"),
    ],
)
def test_quiet_hours_end_by_the_clock_where_clocks_are_changed(quiet, at, due):
    begins, ends = (time.fromisoformat(end) for end in quiet)
    target = TargetFactory.build(quiet_from=begins, quiet_until=ends, time_zone="Europe/Berlin")
    asked, expected = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (at, due))
    assert after_quiet(target, asked) == expected


@pytest.mark.parametrize(
    ("digest_minutes", "window_at", "at_once", "due"),
    [
        pytest.param(0, None, False, NOW, id="nothing is gathered"),
        pytest.param(30, None, False, NOW + 30 * MINUTE, id="the first begins the gathering"),
        pytest.param(30, NOW + 4 * MINUTE, False, NOW + 4 * MINUTE, id="a later one joins it"),
        pytest.param(30, NOW - MINUTE, False, NOW, id="what should be out by now"),
        pytest.param(
            30, NOW + 60 * MINUTE, False, NOW + 30 * MINUTE, id="what waits for longer than that is not joined"
        ),
        pytest.param(30, NOW + 4 * MINUTE, True, NOW, id="at once all the same"),
    ],
)
def test_news_is_gathered_from_the_first_on(digest_minutes, window_at, at_once, due):
    target = TargetFactory.build(digest_minutes=digest_minutes)
    assert due_at(target, NOW, at_once=at_once, window_at=window_at) == due


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("severity", "passes", "event", "waits"),
    [
        pytest.param(CRITICAL, True, Event.OPENED, False, id="critical that may pass"),
        pytest.param(CRITICAL, False, Event.OPENED, True, id="critical that may not"),
        pytest.param(WARNING, True, Event.OPENED, True, id="a warning"),
        pytest.param(CRITICAL, True, Event.ENDED, True, id="the end of a critical one"),
    ],
)
def test_only_critical_alerts_pass_quiet_hours_and_gathering(severity, passes, event, waits):
    route = RouteFactory(
        target__quiet_from=time(22),
        target__quiet_until=time(8),
        target__digest_minutes=15,
        target__critical_passes_quiet=passes,
        tells_end=True,
    )
    alert = AlertFactory(severity=severity)
    if event == Event.ENDED:
        NotificationFactory(alert=alert, target=route.target, delivery=DeliveryFactory(target=route.target))
    queue(alert_ids=[alert.pk], event=event, now=local("23:00"))
    assert Notification.objects.get(event=event).due_at == (local("+08:00") if waits else local("23:00"))


@pytest.mark.django_db
def test_what_is_gathered_goes_out_together():
    target = TargetFactory(digest_minutes=30)
    RouteFactory(target=target)
    RouteFactory(target=target, after_minutes=1)
    for minute in (0, 10, 29):
        opened(AlertFactory(severity=WARNING, opened_at=NOW + minute * MINUTE), now=NOW + minute * MINUTE)
    dues = Notification.objects.filter(event=Event.OPENED).values_list("due_at", flat=True)
    assert set(dues) == {NOW + 30 * MINUTE}


@pytest.mark.django_db
def test_a_critical_alert_in_between_ends_no_gathering():
    RouteFactory(target__digest_minutes=30)
    opened(AlertFactory(severity=WARNING))
    opened(AlertFactory(severity=CRITICAL), now=NOW + MINUTE)
    opened(AlertFactory(severity=WARNING), now=NOW + 2 * MINUTE)
    assert waiting() == [("opened", NOW + MINUTE), ("opened", NOW + 30 * MINUTE), ("opened", NOW + 30 * MINUTE)]


@pytest.mark.django_db
def test_an_escalation_waits_for_the_end_of_quiet_hours_unless_critical():
    RouteFactory(after_minutes=60, target__quiet_from=time(22), target__quiet_until=time(8))
    for severity in (WARNING, CRITICAL):
        opened(AlertFactory(severity=severity, opened_at=local("21:30")), now=local("21:30"))
    assert waiting() == [("escalated", local("22:30")), ("escalated", local("+08:00"))]


# --- What people do to alerts ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_snooze_that_is_over_is_told_each_time_anew():
    route = RouteFactory(tells_end=True)
    alert = AlertFactory()
    opened(alert)
    actor = UserFactory()
    for start in (1, 60):
        Notification.objects.update(delivery=DeliveryFactory(target=route.target))
        until = NOW + (start + 30) * MINUTE
        snooze(alerts=[alert], until=until, actor=actor, now=NOW + start * MINUTE)
        assert wake_snoozed(now=until) == 1
        woken = Notification.objects.get(event=Event.WOKEN)
        assert (woken.delivery_id, woken.due_at) == (None, until)
        alert.refresh_from_db()


@pytest.mark.django_db
def test_what_people_do_reaches_whoever_was_told():
    RouteFactory(tells_end=True)
    alert = AlertFactory()
    opened(alert)
    acknowledge(alerts=[alert], actor=UserFactory(), now=NOW + MINUTE)
    assert waiting() == [("opened", NOW)]
    resolve(alerts=[alert], actor=UserFactory(), now=NOW + 2 * MINUTE)
    assert waiting() == [("opened", NOW), ("ended", NOW + 2 * MINUTE)]
