"""Sending what is due, to the simulator's robots over HTTP."""

import email
import email.policy
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone

from catalog.models import User
from integrations.connectors.errors import ConnectorError
from integrations.notifying import deliveries
from integrations.notifying.deliveries import claim, record
from integrations.notifying.lane import send_slice
from integrations.notifying.senders.base import Receipt
from integrations.notifying.targets import sender_for
from monitoring.models import Delivery, Notification, Severity, Target
from monitoring.services import acknowledge, resolve, snooze, wake_snoozed
from monitoring.services.alerts import end_alerts, open_again
from monitoring.services.notifying import queue
from tests.factories import AlertFactory, ChannelFactory, ListingFactory, RouteFactory, TargetFactory, UserFactory
from tests.integrations.notifying.senders.test_mail import Mailbox, running

pytestmark = pytest.mark.django_db(transaction=True)

Event = Notification.Event
Status = Delivery.Status
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Clock:
    """A clock that a test moves; the simulator's limits move along."""

    def __init__(self, simulator) -> None:
        self.simulator = simulator
        self.now = timezone.now()

    def __call__(self) -> datetime:
        return self.now

    def move(self, span: timedelta) -> None:
        self.now += span
        self.simulator.let_limits_pass(span.total_seconds())


@pytest.fixture
def clock(simulator, settings):
    settings.ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    return Clock(simulator)


def robot_target(simulator, key: str, **fields):
    robot = simulator.robots[key]
    secret = robot["secret"]
    return TargetFactory(kind=key.partition("-")[0], address=robot["url"], secret=secret, **fields)


@pytest.fixture
def target(simulator, clock):
    """The signed DingTalk robot, told of everything and of its end."""
    return RouteFactory(
        target=robot_target(simulator, "dingtalk-signed"), least_severity=Severity.INFO, tells_end=True
    ).target


def alerts(number: int, clock, **fields):
    listing = ListingFactory()
    made = [AlertFactory(listing=listing, opened_at=clock.now, **fields) for _number in range(number)]
    queue(alert_ids=[alert.pk for alert in made], event=Event.OPENED, now=clock.now)
    return made


def run(clock):
    return send_slice(now_fn=clock, seconds=5)


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


# --- Mail to a role -------------------------------------------------------------------------------------------------


@pytest.fixture
def mailbox(settings):
    """What a real SMTP server on this machine was sent."""
    box = Mailbox()
    with running(box, settings):
        yield box


def member(role: Group, address: str, *channels) -> None:
    user = UserFactory(email=address)
    user.groups.add(role)
    user.channels.set(channels)


def test_people_of_a_role_are_told_only_of_the_channels_they_see(clock, mailbox):
    own, other = ChannelFactory(name="Own shop"), ChannelFactory(name="Other shop")
    role, manager = Group.objects.get(name="Buyer"), Group.objects.get(name="Manager")
    member(role, "mei@shop.example", own)
    member(role, "lin@shop.example", own, other)
    User.objects.get(email="lin@shop.example").groups.add(manager)
    RouteFactory(target__kind="mail", target__address="all@shop.example", target__role=role)
    for channel in (own, other):
        alert = AlertFactory(listing__channel=channel, opened_at=clock.now)
        queue(alert_ids=[alert.pk], event=Event.OPENED, now=clock.now)
    sent = 0
    for _try in range(3):
        sent += run(clock).sent
        clock.move(MINUTE)
    assert sent == 2
    told = {tuple(sorted(mail.rcpt_tos)): body(mail) for mail in mailbox.mails}
    everybody = told[("all@shop.example", "lin@shop.example", "mei@shop.example")]
    assert "Own shop" in everybody
    assert "Other shop" not in everybody
    assert "Other shop" in told[("all@shop.example", "lin@shop.example")]


def body(mail) -> str:
    return str(email.message_from_bytes(mail.content, policy=email.policy.default).get_content())


def test_a_role_of_more_than_fifty_people_is_told_in_several_mails(clock, mailbox):
    shop, role = ChannelFactory(), Group.objects.get(name="Buyer")
    for number in range(70):
        member(role, f"m{number:02}@shop.example", shop)
    RouteFactory(target__kind="mail", target__address="boss@shop.example", target__role=role)
    alert = AlertFactory(listing__channel=shop, opened_at=clock.now)
    queue(alert_ids=[alert.pk], event=Event.OPENED, now=clock.now)
    assert run(clock).sent == 1
    assert [len(mail.rcpt_tos) for mail in mailbox.mails] == [50, 21]
    assert len({name for mail in mailbox.mails for name in mail.rcpt_tos}) == 71


@pytest.mark.parametrize(
    ("severity", "mails"),
    [
        pytest.param(Severity.CRITICAL, 4, id="critical: twice is better than never"),
        pytest.param(Severity.WARNING, 2, id="a warning waits for a person"),
    ],
)
def test_when_half_of_a_role_was_told_it_says_so(clock, mailbox, severity, mails):
    mailbox.later_answer = "451 later"
    address = ", ".join(f"m{number:02}@shop.example" for number in range(70))
    RouteFactory(target__kind="mail", target__address=address)
    alerts(1, clock, severity=severity)
    run(clock)
    delivery = Delivery.objects.get()
    assert (delivery.cause, delivery.answer) == ("partly-sent", "50 of 70 addresses · later")
    if severity == Severity.CRITICAL:
        mailbox.later_answer = ""
        clock.move(2 * MINUTE)
        run(clock)
        delivery.refresh_from_db()
    assert delivery.status == (Status.SENT if severity == Severity.CRITICAL else Status.UNKNOWN)
    assert len(mailbox.mails) == mails


def test_news_that_nobody_of_the_role_may_see_is_dropped_and_says_why(clock, mailbox):
    RouteFactory(target__kind="mail", target__address="", target__role=Group.objects.get(name="Buyer"))
    alerts(1, clock)
    assert run(clock).failed == 0
    assert Notification.objects.get().dropped_cause == "no-reader"


def test_a_mail_server_that_hangs_holds_up_nobody_else(simulator, clock, target, settings):
    settings.EMAIL_TIMEOUT = 2
    RouteFactory(target__kind="mail", target__address="mei@shop.example")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_HOST, settings.EMAIL_PORT = silent.getsockname()
        alerts(1, clock)
        started = time.monotonic()
        summary = send_slice(now_fn=clock, seconds=1)
        assert time.monotonic() - started < 5
    assert (summary.sent, summary.waiting) == (1, 1)
    waiting = Delivery.objects.get(status=Status.WAITING)
    assert (waiting.cause, waiting.target.kind) == ("timeout", "mail")


# --- Webhooks -------------------------------------------------------------------------------------------------------


class Receiver(ThreadingHTTPServer):
    """A receiver of webhooks on this machine: the events it was sent, and the status it answers with."""

    status = 204

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.events: list[tuple[str, Any]] = []


@pytest.fixture
def receiver():

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            content = self.rfile.read(int(self.headers["Content-Length"]))
            server.events.append((self.headers["webhook-id"], json.loads(content)))
            self.send_response(server.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            """Nothing on the test's output."""

    server = Receiver(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def hook(receiver, clock):
    return RouteFactory(
        target__kind="webhook",
        target__address=f"http://127.0.0.1:{receiver.server_port}/hook",
        target__secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ).target


def test_a_webhook_is_sent_every_alert(clock, hook, receiver):
    made = alerts(25, clock)
    for _second in range(5):
        run(clock)
        clock.move(SECOND)
    told = [alert for _id, event in receiver.events for alert in event["data"]["alerts"]]
    assert sorted(alert["id"] for alert in told) == sorted(alert.pk for alert in made)
    assert [len(event["data"]["alerts"]) for _id, event in receiver.events] == [10, 10, 5]
    first = told[0]
    assert first["url"].endswith(f"/monitoring/alert/{first['id']}/change/")
    assert (first["events"], first["old_value"], first["limit"]) == (["opened"], "268.00", "200.00")
    assert "path" not in first


def test_a_webhook_is_repeated_with_the_same_id_and_body_until_it_is_answered_well(clock, hook, receiver):
    receiver.status = 500
    alerts(1, clock, severity=Severity.WARNING)
    run(clock)
    clock.move(MINUTE)
    run(clock)
    receiver.status = 200
    clock.move(2 * MINUTE)
    assert run(clock).sent == 1
    assert len(receiver.events) == 3
    assert len({message_id for message_id, _event in receiver.events}) == 1
    assert all(event == receiver.events[0][1] for _id, event in receiver.events)


# --- Text messages --------------------------------------------------------------------------------------------------


def test_no_more_text_messages_are_sent_in_24_hours_than_the_platform_takes(simulator, clock):
    account = simulator.sms.account
    template = account["templates"][0]
    target = TargetFactory(
        kind="sms",
        address="13800000000",
        secret=account["access_key_secret"],
        options={
            "access_key_id": account["access_key_id"],
            "sign_name": account["signatures"][0],
            "template_code": template["code"],
            "base_url": account["url"].rstrip("/"),
        },
    )
    RouteFactory(target=target, least_severity=Severity.CRITICAL)
    for _number in range(55):
        alerts(1, clock, severity=Severity.CRITICAL)
        run(clock)
        clock.move(10 * SECOND)
    target.refresh_from_db()
    assert Delivery.objects.filter(attempts__gt=0).count() == 50
    assert target.held_cause == deliveries.DAILY_LIMIT
    assert target.held_until == Delivery.objects.order_by("created_at")[0].created_at + timedelta(days=1)


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
