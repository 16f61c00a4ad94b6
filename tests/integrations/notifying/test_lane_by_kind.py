"""Sending to what is no robot: the people of a role by mail, webhooks, text messages."""

import email
import email.policy
import json
import socket
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.contrib.auth.models import Group

from catalog.models import User
from integrations.notifying import deliveries
from integrations.notifying.lane import send_slice
from monitoring.models import Delivery, Notification, Severity
from monitoring.services.notifying import queue
from tests.factories import AlertFactory, ChannelFactory, RouteFactory, TargetFactory, UserFactory
from tests.integrations.notifying.senders.test_mail import Mailbox, running
from tests.integrations.notifying.sending import MINUTE, SECOND, Event, Status, alerts, run

pytestmark = pytest.mark.django_db(transaction=True)


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
