"""Sending what is due, to the simulator's robots over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from integrations.notifying import deliveries
from integrations.notifying.deliveries import claim, record
from integrations.notifying.lane import send_slice
from integrations.notifying.senders.base import Receipt
from monitoring.models import Delivery, Notification, Severity
from monitoring.services.alerts import end_alerts, open_again
from tests.factories import RouteFactory, UserFactory
from tests.integrations.notifying.sending import MINUTE, SECOND, Status, alerts, robot_target, run

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_alert_reaches_a_signed_robot(simulator, clock, target):
    (alert,) = alerts(1, clock)
    assert run(clock).sent == 1
    (message,) = simulator.messages("dingtalk-signed")
    assert message["accepted"]
    assert message["signed"]
    assert "Live" in message["text"] or "List price ¥268.00 → ¥189.00, limit ¥200.00" in message["text"]
    assert alert.listing.title in message["text"]
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.code, delivery.attempts) == (Status.SENT, "0", 1)
    assert list(delivery.notifications.values_list("alert", "event")) == [(alert.pk, "opened")]
    assert run(clock).sent == 0


def test_whoever_works_with_a_channel_sees_what_was_sent_though_its_alert_came_back(simulator, clock, target):
    (alert,) = alerts(1, clock)
    person, other = UserFactory(), UserFactory()
    person.channels.set([alert.channel])
    run(clock)
    clock.move(2 * MINUTE)
    end_alerts(alert_ids=[alert.pk], now=clock.now)
    assert run(clock).sent == 1
    clock.move(2 * MINUTE)
    alert.cleared_at = None
    alert.save(update_fields=["cleared_at"])
    with transaction.atomic():
        open_again(alert_ids=[alert.pk], now=clock.now)
    assert Delivery.objects.exclude(notifications=None).count() == 0
    assert Delivery.objects.visible_to(person).count() == 2
    assert Delivery.objects.visible_to(other).count() == 0
    assert run(clock).sent == 1
    assert Delivery.objects.visible_to(person).count() == 3


# --- Many alerts ----------------------------------------------------------------------------------------------------


def test_a_burst_of_a_thousand_alerts_is_a_handful_of_messages(simulator, clock, target):
    """They come in over two minutes, while the lane looks every second."""
    for _second in range(40):
        alerts(25, clock, severity=Severity.WARNING)
        run(clock)
        clock.move(3 * SECOND)
    for _minute in range(3):
        clock.move(MINUTE)
        run(clock)
    messages = simulator.messages("dingtalk-signed")
    assert all(message["accepted"] for message in messages)
    assert len(messages) <= 5
    told = Notification.objects.filter(delivery__status=Status.SENT)
    assert told.count() == 1_000


def test_alerts_that_come_one_by_one_never_exceed_the_robots_limit(simulator, clock, target):
    """As many messages as the pace allows: single ones, each as soon as the robot may be sent to."""
    for _second in range(150):
        if not Notification.objects.filter(delivery__isnull=True).exists():
            alerts(1, clock)
        run(clock)
        clock.move(SECOND)
    messages = simulator.messages("dingtalk-signed")
    assert all(message["accepted"] for message in messages)  # the simulator refuses the 21st within a minute
    assert 36 <= len(messages) <= 48


def test_a_digest_tells_the_worst_first_and_how_many_more_there_are(simulator, clock, target):
    alerts(30, clock, severity=Severity.INFO)
    alerts(2, clock, severity=Severity.CRITICAL)
    assert run(clock).sent == 1
    (message,) = simulator.messages("dingtalk-signed")
    lines = message["text"].splitlines()
    assert lines[0] == "32 alerts: 2 critical, 30 info"
    assert [line.partition(" · ")[0] for line in lines[1:4]] == ["Critical", "Critical", "Info"]
    assert "and 12 more" in lines


def test_webhooks_and_other_targets_do_not_wait_for_a_slow_robot(simulator, clock, target):
    simulator.robots.fail_next("dingtalk", kind="delay", times=0, seconds=3)
    RouteFactory(target=robot_target(simulator, "feishu-open"))
    alerts(1, clock)
    assert run(clock).sent == 2


# --- What the other side says ---------------------------------------------------------------------------------------


def test_status_200_with_an_error_code_is_not_sent(simulator, clock, target):
    target.secret = "SEC" + "0" * 64
    target.save()
    alerts(1, clock)
    assert run(clock).failed == 1
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.cause, delivery.code) == (Status.FAILED, "bad-signature", "310000")
    target.refresh_from_db()
    assert target.held_cause == "bad-signature"


def test_what_a_wrong_setting_kept_back_goes_out_once_it_is_mended(simulator, clock, target):
    right, target.secret = target.secret, "SEC" + "0" * 64
    target.save()
    alerts(1, clock)
    run(clock)
    clock.move(MINUTE)
    alerts(1, clock)
    assert run(clock).failed == 0  # held: each alert would only be refused, too
    target.secret = right
    target.save()
    deliveries.release(target=target, now=clock.now)
    assert deliveries.send_again(deliveries=Delivery.objects.all(), actor=None, now=clock.now) == 1
    assert run(clock).sent == 1
    assert "2 alerts" in simulator.messages("dingtalk-signed")[-1]["text"]
    assert deliveries.send_again(deliveries=Delivery.objects.all(), actor=None, now=clock.now) == 0


def test_a_limited_robot_is_left_alone_and_then_told_everything_at_once(simulator, clock, target):
    simulator.robots.fail_next("dingtalk", code=130101)
    alerts(1, clock)
    assert run(clock).waiting == 1
    for _minute in range(9):
        clock.move(MINUTE)
        alerts(1, clock)
        assert run(clock).sent == 0
    clock.move(MINUTE)
    assert run(clock).sent == 1
    refused, told = simulator.messages("dingtalk-signed")
    assert (refused["accepted"], told["accepted"]) == (False, True)
    assert "10 alerts" in told["text"]
    assert list(Delivery.objects.values_list("status", "cause")) == [("sent", ""), ("replaced", "quota")]


def test_a_failing_robot_is_tried_again_later_and_later_until_it_answers(simulator, clock, target):
    simulator.robots.fail_next("dingtalk", times=3, code=-1)
    alerts(1, clock)
    waits = []
    while not run(clock).sent:
        delivery = Delivery.objects.get()
        assert delivery.status == Status.WAITING
        waits.append((delivery.next_due_at - clock.now).total_seconds())
        clock.move(delivery.next_due_at - clock.now)
    assert [round(wait / 10 / 2**number, 2) for number, wait in enumerate(waits)] == [
        pytest.approx(0.875, abs=0.126) for _wait in waits
    ]
    assert Delivery.objects.get().attempts == 4


def test_after_the_last_try_a_message_is_failed_and_its_news_kept(simulator, clock, target):
    simulator.robots.fail_next("dingtalk", times=0, code=-1)
    alerts(1, clock)
    for _try in range(deliveries.MOST_TRIES):
        run(clock)
        clock.move(deliveries.LONGEST_PAUSE)
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.cause) == (Status.FAILED, 10, "server-error")
    assert delivery.notifications.count() == 1
    assert len(simulator.messages("dingtalk-signed")) == deliveries.MOST_TRIES


@pytest.mark.parametrize(
    ("severity", "tries"),
    [
        pytest.param(Severity.CRITICAL, 2, id="critical is sent once more"),
        pytest.param(Severity.WARNING, 1, id="a warning is not"),
    ],
)
def test_of_a_message_without_an_answer_nobody_says_that_it_arrived(simulator, clock, target, severity, tries):
    simulator.robots.fail_next("dingtalk", times=0, kind="drop")
    alerts(1, clock, severity=severity)
    for _minute in range(5):
        run(clock)
        clock.move(2 * MINUTE)
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == (Status.UNKNOWN, tries)


# --- Workers that come together, or go ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "status", "sent"),
    [
        pytest.param(Severity.CRITICAL, Status.SENT, 1, id="critical is sent once more"),
        pytest.param(Severity.WARNING, Status.UNKNOWN, 0, id="a warning may have arrived"),
    ],
)
def test_a_killed_worker_loses_nothing(simulator, clock, target, severity, status, sent):
    alerts(1, clock, severity=severity)
    assert claim(target_id=target.pk, now=clock.now) is not None  # and then it was gone
    assert run(clock).sent == 0  # somebody else may still be sending it
    clock.move(deliveries.LEASE)
    summary = run(clock)
    if sent:
        clock.move(2 * MINUTE)
        summary = run(clock)
    assert summary.sent == sent
    assert Delivery.objects.get().status == status
    assert Notification.objects.filter(delivery__isnull=True).count() == 0


def test_what_comes_back_after_its_lease_changes_nothing(simulator, clock, target):
    alerts(1, clock, severity=Severity.WARNING)
    job = claim(target_id=target.pk, now=clock.now)
    assert job is not None
    clock.move(deliveries.LEASE)
    run(clock)
    assert record(job=job, outcome=Receipt("0"), now=clock.now) is None
    assert Delivery.objects.get().status == Status.UNKNOWN


def test_two_workers_never_have_a_target_at_once(simulator, clock, target):
    alerts(3, clock)
    assert claim(target_id=target.pk, now=clock.now) is not None
    alerts(3, clock)
    clock.move(MINUTE)
    assert claim(target_id=target.pk, now=clock.now) is None


def test_a_fault_of_ours_about_one_target_holds_up_nobody_else(simulator, clock, target):
    """A zone that the time zone database has dropped since, say."""
    broken = RouteFactory(target=robot_target(simulator, "feishu-open", time_zone="Asia/Nowhere")).target
    alerts(1, clock)
    assert run(clock).sent == 1
    broken.refresh_from_db()
    assert broken.held_cause == "internal"
    assert Notification.objects.filter(delivery__isnull=True, target=broken).count() == 1


def test_two_lanes_at_once_send_each_message_once(simulator, clock):
    """As hosts do: each in its own thread, with its own connections to the database."""
    if connection.vendor == "sqlite":
        pytest.skip("one connection is the whole database of this test")
    keys = ["dingtalk-signed", "dingtalk-open", "feishu-signed", "feishu-open", "wecom-open", "wecom-second"]
    for key in keys:
        RouteFactory(target=robot_target(simulator, key))
    alerts(3, clock)

    def lane() -> int:
        try:
            return send_slice(now_fn=clock, seconds=5).sent
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        sent = [future.result() for future in [pool.submit(lane) for _lane in range(3)]]
    assert sum(sent) == len(keys)
    assert sorted(message["robot"] for message in simulator.messages()) == sorted(keys)
    assert Delivery.objects.filter(status=Status.SENT).count() == len(keys)
