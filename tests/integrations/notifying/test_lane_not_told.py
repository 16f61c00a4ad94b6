"""What is not told, or not yet: alerts that are over, targets that are switched off, quiet hours."""

from datetime import UTC, datetime
from datetime import time as time_of_day

import pytest

from integrations.connectors.errors import ConnectorError
from integrations.notifying import deliveries
from integrations.notifying.deliveries import claim, record
from integrations.notifying.targets import sender_for
from monitoring.models import Delivery, Notification, Severity, Target
from monitoring.services import acknowledge, resolve, snooze, wake_snoozed
from monitoring.services.notifying import queue
from tests.factories import UserFactory
from tests.integrations.notifying.sending import MINUTE, SECOND, Event, Status, alerts, run

pytestmark = pytest.mark.django_db(transaction=True)


# --- What is not told any more --------------------------------------------------------------------------------------


def test_an_escalation_goes_out_only_if_nobody_acknowledged(simulator, clock, target):
    target.routes.update(after_minutes=10)
    seen, unseen, over = alerts(3, clock)
    acknowledge(alerts=[seen], actor=UserFactory(), now=clock.now)
    end_alerts_of([over], clock.now)
    clock.move(10 * MINUTE)
    assert run(clock).sent == 1
    (message,) = simulator.messages("dingtalk-signed")
    assert "Not acknowledged for 10 min" in message["text"]
    causes = dict(Notification.objects.values_list("alert", "dropped_cause"))
    assert causes == {seen.pk: "acknowledged", unseen.pk: "", over.pk: "over"}


def test_an_escalation_waits_for_the_end_of_a_snooze(simulator, clock, target):
    target.routes.update(after_minutes=10)
    (alert,) = alerts(1, clock)
    until = clock.now + 60 * MINUTE
    snooze(alerts=[alert], until=until, actor=UserFactory(), now=clock.now)
    clock.move(10 * MINUTE)
    assert run(clock).sent == 0
    assert Notification.objects.values_list("due_at", "dropped_cause").get() == (until, "")
    clock.move(50 * MINUTE)
    wake_snoozed(now=clock.now)
    assert run(clock).sent == 1
    assert "Not acknowledged for 1 h" in simulator.messages("dingtalk-signed")[0]["text"]


def test_a_snooze_made_longer_moves_the_escalation_again_and_an_acknowledgement_ends_it(simulator, clock, target):
    target.routes.update(after_minutes=10)
    (alert,) = alerts(1, clock)
    for hours in (1, 2):
        snooze(alerts=[alert], until=clock.now + hours * 60 * MINUTE, actor=UserFactory(), now=clock.now)
        clock.move(30 * MINUTE)
        assert run(clock).sent == 0
    assert Notification.objects.get().due_at > clock.now
    acknowledge(alerts=[alert], actor=UserFactory(), now=clock.now)
    clock.move(120 * MINUTE)
    assert run(clock).sent == 0
    assert Notification.objects.get().dropped_cause == "acknowledged"


def end_alerts_of(ended, now) -> None:
    for alert in ended:
        alert.cleared_at = alert.resolved_at = alert.updated_at = now
        alert.status = alert.Status.RESOLVED
        alert.save()
    queue(alert_ids=[alert.pk for alert in ended], event=Event.ENDED, now=now)


def test_an_alert_that_is_over_before_it_was_told_is_told_as_over_once(simulator, clock, target):
    target.digest_minutes = 15
    target.save()
    (alert,) = alerts(1, clock)
    clock.move(5 * MINUTE)
    end_alerts_of([alert], clock.now)
    clock.move(10 * MINUTE)
    assert run(clock).sent == 1
    clock.move(20 * MINUTE)
    assert run(clock).sent == 0
    (message,) = simulator.messages("dingtalk-signed")
    assert message["text"].startswith("Over: ")
    assert "Already over, since" in message["text"]
    assert Delivery.objects.get().notifications.count() == 2


def test_an_alert_that_somebody_resolved_before_it_was_told_is_not_told(simulator, clock, target):
    (alert,) = alerts(1, clock)
    resolve(alerts=[alert], actor=UserFactory(), now=clock.now)
    assert run(clock).sent == 0
    assert set(Notification.objects.values_list("event", "dropped_cause")) == {
        ("opened", "resolved"),
        ("ended", "not-told-before"),
    }


def test_the_end_is_told_in_a_message_of_its_own_when_the_opening_was_told(simulator, clock, target):
    (alert,) = alerts(1, clock)
    run(clock)
    clock.move(MINUTE)
    end_alerts_of([alert], clock.now)
    assert run(clock).sent == 1
    assert simulator.messages("dingtalk-signed")[-1]["text"].startswith("Over: Below ¥200")


def test_an_inactive_target_is_sent_nothing(simulator, clock, target):
    alerts(1, clock)
    target.is_active = False
    target.save()
    assert run(clock).sent == 0
    assert simulator.messages("dingtalk-signed") == []


@pytest.mark.parametrize("code", [pytest.param(-1, id="to be tried again"), pytest.param(130101, id="to wait")])
def test_what_fails_while_its_target_is_deactivated_is_given_up(simulator, clock, target, code):
    simulator.robots.fail_next("dingtalk", code=code)
    alerts(1, clock)
    job = claim(target_id=target.pk, now=clock.now)
    assert job is not None
    Target.objects.update(is_active=False)
    deliveries.give_up(target=target)  # leaves what is under way to the worker
    with pytest.raises(ConnectorError) as caught:
        sender_for(job.target).send(job.message(), now=clock.now)
    record(job=job, outcome=caught.value, now=clock.now)
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.cause) == (Status.DROPPED, "target-inactive")
    Target.objects.update(is_active=True)
    clock.move(24 * 60 * MINUTE)
    assert run(clock).sent == 0


# --- Quiet hours ----------------------------------------------------------------------------------------------------

BEFORE_QUIET = datetime(2026, 11, 22, 13, 59, 30, tzinfo=UTC)  # 21:59:30 in Shanghai
QUIET_ENDS = datetime(2026, 11, 22, 23, tzinfo=UTC)


@pytest.fixture
def night(simulator, clock, target):
    """The target is quiet from 22:00 to 07:00; the clock shows half a minute before."""
    target.quiet_from, target.quiet_until = time_of_day(22), time_of_day(7)
    target.secret, target.address = "", simulator.robots["dingtalk-open"]["url"]
    target.save()
    clock.now = BEFORE_QUIET
    return target


def fails_before_the_night(simulator, clock, severity) -> None:
    """Its retry comes within quiet hours."""
    simulator.robots.fail_next("dingtalk", code=-1)
    alerts(1, clock, severity=severity)
    assert run(clock).waiting == 1
    clock.move(MINUTE)


def limited_before_the_night(simulator, clock, severity) -> None:
    """The platform's wait ends within quiet hours."""
    simulator.robots.fail_next("dingtalk", code=130101)
    alerts(1, clock, severity=severity)
    run(clock)
    clock.move(10 * MINUTE)


def held_before_the_night(simulator, clock, severity) -> None:
    """It was due before, while the target was held."""
    Target.objects.update(held_until=clock.now + 2 * MINUTE, held_cause="timeout")
    alerts(1, clock, severity=severity)
    clock.move(2 * MINUTE)


def gathered_before_the_night(simulator, clock, severity) -> None:
    """It was being gathered when somebody set earlier quiet hours."""
    Target.objects.update(quiet_from=time_of_day(23), digest_minutes=30)
    alerts(1, clock, severity=severity)
    Target.objects.update(quiet_from=time_of_day(22))
    clock.move(30 * MINUTE)


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.WARNING])
@pytest.mark.parametrize(
    "begins", [fails_before_the_night, limited_before_the_night, held_before_the_night, gathered_before_the_night]
)
def test_whatever_it_waited_for_only_critical_news_goes_out_in_quiet_hours(simulator, clock, night, begins, severity):
    begins(simulator, clock, severity)
    tries = len(simulator.messages())
    for _hour in range(3):
        clock.move(60 * MINUTE)
        run(clock)
    passes = severity == Severity.CRITICAL
    assert Notification.objects.filter(delivery__status=Status.SENT).count() == int(passes)
    if not passes:
        assert len(simulator.messages()) == tries
        clock.now = QUIET_ENDS - SECOND
        assert run(clock).sent == 0
        clock.move(SECOND)
        assert run(clock).sent == 1


def test_critical_news_does_not_take_the_rest_along_into_quiet_hours(simulator, clock, night):
    Target.objects.update(held_until=clock.now + 2 * MINUTE, held_cause="timeout")
    alerts(2, clock, severity=Severity.WARNING)
    alerts(1, clock, severity=Severity.CRITICAL)
    clock.move(2 * MINUTE)
    assert run(clock).sent == 1
    assert Notification.objects.filter(delivery__isnull=True, due_at=QUIET_ENDS).count() == 2


def test_where_critical_alerts_may_not_pass_they_wait_as_well(simulator, clock, night):
    Target.objects.update(critical_passes_quiet=False)
    fails_before_the_night(simulator, clock, Severity.CRITICAL)
    clock.move(60 * MINUTE)
    assert run(clock).sent == 0
    assert Delivery.objects.get().next_due_at == QUIET_ENDS
