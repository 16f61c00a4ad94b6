"""Signed webhooks: a receiver's view of them, and what its answers mean."""

import base64
import hashlib
import hmac
import json
import socket
import time
import traceback
from datetime import UTC, datetime, timedelta

import pytest

from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import ConnectorError, Fatal, Retry, Review, Wait
from integrations.notifying.senders.webhook import WebhookSender
from tests.integrations.connectors.raw_server import RawServer, answer, raw
from tests.integrations.notifying.senders.conftest import NOW, message

pytestmark = pytest.mark.pure

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "whsec_" + base64.b64encode(b"old-secret-of-24-bytes--").decode()


def send(server, http, secret=SECRET, path="/hooks/geheim42?token=heimlich", **fields):
    return WebhookSender(server.url + path, secret, http=http).send(message(**fields), now=NOW)


def refused(http, *handlers):
    with RawServer(*handlers) as server, pytest.raises(ConnectorError) as caught:
        send(server, http)
    return caught.value


def received(server, number=0):
    line, *rest = server.heads[number].split("\r\n")
    headers = {name.lower(): value for name, _, value in (header.partition(": ") for header in rest)}
    return line, headers, server.bodies[number]


def signature(secret, headers, body):
    """As a receiver computes it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_a_receiver_can_check_what_it_gets(http):
    alerts = ({"id": 7, "old": None, "new": "189.00"},)
    with RawServer(answer(b"", "204 No Content")) as server:
        receipt = send(server, http, alerts=alerts, made_at=datetime(2026, 11, 22, 3, 59, 30, tzinfo=UTC))
    line, headers, body = received(server)
    assert receipt.code == "204"
    assert line == "POST /hooks/geheim42?token=heimlich HTTP/1.1"
    assert headers["webhook-id"] == "msg_7f3a"
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert headers["webhook-signature"] == signature(SECRET, headers, body)
    assert headers["content-type"].startswith("application/json")
    assert json.loads(body) == {
        "type": "alerts.notification",
        "timestamp": "2026-11-22T03:59:30Z",
        "data": {
            "subject": "Below ¥200: 台灯",
            "lines": ["台灯 · 天猫旗舰店", "Live price ¥268.00 → ¥189.00, limit ¥200.00"],
            "severity": "critical",
            "url": "https://shop.example/alerts/1/",
            "alert_count": 1,
            "alerts": [{"id": 7, "old": None, "new": "189.00"}],
        },
    }


def test_a_second_try_has_the_same_id_and_body_but_a_new_time_and_signature(http):
    with RawServer(answer(b"")) as server:
        sender = WebhookSender(server.url, SECRET, http=http)
        for seconds in (0, 300):
            sender.send(message(made_at=NOW), now=NOW + timedelta(seconds=seconds))
    (_, first, body), (_, second, body_again) = received(server, 0), received(server, 1)
    assert (first["webhook-id"], body) == (second["webhook-id"], body_again)
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 300
    assert second["webhook-signature"] == signature(SECRET, second, body) != first["webhook-signature"]


def test_during_a_change_of_secret_both_sign(http):
    with RawServer(answer(b"")) as server:
        send(server, http, secret=f"{SECRET} {OLD}")
    _, headers, body = received(server)
    assert headers["webhook-signature"].split(" ") == [signature(key, headers, body) for key in (SECRET, OLD)]


def test_a_webhook_id_holds_no_dot(http):
    with RawServer(answer(b"")) as server:
        send(server, http, message_id="delivery.7")
    assert received(server)[1]["webhook-id"] == "delivery_7"


def test_a_thousand_alerts_stay_below_the_size_and_are_counted(http):
    alerts = tuple({"id": number, "title": "台灯" * 20} for number in range(1_000))
    with RawServer(answer(b"")) as server:
        send(server, http, alerts=alerts, lines=tuple(["台灯"] * 1_000))
    body = received(server)[2]
    data = json.loads(body)["data"]
    assert len(body) <= 20_000
    assert data["alert_count"] == 1_000
    assert 0 < len(data["alerts"]) < 1_000


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content"])
def test_any_2xx_is_success_whatever_the_body(status, http):
    with RawServer(raw(f"HTTP/1.1 {status}\r\nContent-Length: 99999999\r\n\r\n<html>".encode())) as server:
        assert send(server, http).code == status[:3]


@pytest.mark.parametrize(
    ("handler", "expected", "cause"),
    [
        pytest.param(answer(b"", "302 Found", Location="http://127.0.0.1:1/x"), Review, "redirect", id="302"),
        pytest.param(answer(b"", "400 Bad Request"), Review, "bad-request", id="400"),
        pytest.param(answer(b"", "401 Unauthorized"), Review, "forbidden", id="401"),
        pytest.param(answer(b"", "404 Not Found"), Review, "wrong-address", id="404"),
        pytest.param(answer(b"", "410 Gone"), Fatal, "gone", id="410"),
        pytest.param(answer(b"", "408 Request Timeout"), Retry, "timeout", id="408"),
        pytest.param(answer(b"", "429 Too Many", Retry_After="120"), Wait, "quota", id="429"),
        pytest.param(answer(b"", "503 Unavailable", Retry_After="120"), Wait, "quota", id="503 with a time"),
        pytest.param(answer(b"", "500 Oops"), Retry, "server-error", id="500"),
        pytest.param(answer(b"", "502 Bad Gateway"), Retry, "server-error", id="502"),
        pytest.param(answer(b"", "504 Gateway Timeout"), Retry, "server-error", id="504"),
        pytest.param(lambda connection: time.sleep(0.6), Retry, "no-answer", id="timeout"),
        pytest.param(lambda connection: connection.shutdown(socket.SHUT_RDWR), Retry, "no-answer", id="hung up"),
    ],
)
def test_an_answer_says_what_happens_next(handler, expected, cause, http):
    error = refused(http, handler)
    assert (type(error), error.cause) == (expected, cause)
    if isinstance(error, Wait):
        assert error.retry_at == NOW + timedelta(seconds=120)


@pytest.mark.parametrize(
    "handler",
    [
        answer(b"geheim42", "400 Bad Request"),
        answer(b"", "302 Found", Location="http://x.example/geheim42?token=heimlich"),
        lambda connection: connection.shutdown(socket.SHUT_RDWR),
    ],
)
def test_no_error_holds_the_address_or_the_secret(handler, http):
    error = refused(http, handler)
    seen = f"{error} {error!r} {''.join(traceback.format_exception(error))}"
    assert not [secret for secret in ("geheim42", "heimlich", SECRET[6:]) if secret in seen]


# --- Where it may lead ----------------------------------------------------------------------------------------------


@pytest.fixture
def resolve(monkeypatch):
    """Makes every name lead to this machine."""
    from urllib3.util import connection

    connect, look_up = connection.create_connection, socket.getaddrinfo
    monkeypatch.setattr(
        connection,
        "create_connection",
        lambda address, *args, **more: connect(("127.0.0.1", address[1]), *args, **more),
    )
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args, **more: look_up("127.0.0.1", *args, **more))


@pytest.mark.parametrize(
    "address", ["https://169.254.169.254/latest", "https://127.0.0.2/hook", "http://10.0.0.5/", "http://hooks.example/"]
)
def test_a_private_address_is_refused(address):
    with pytest.raises(InvalidSetting) as caught:
        WebhookSender.check(address, SECRET)
    assert caught.value.field == "address"


def test_a_name_that_leads_inside_is_refused_when_it_is_entered(resolve, settings):
    settings.ALLOWED_PRIVATE_HOSTS = []
    with pytest.raises(InvalidSetting) as caught:
        WebhookSender.check("https://hooks.example/x", SECRET)
    assert caught.value.field == "address"


def test_a_name_that_leads_to_a_metadata_service_is_refused_even_when_the_settings_name_it(monkeypatch, settings):
    settings.ALLOWED_PRIVATE_HOSTS = ["hooks.example"]
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fd00:ec2::254", 443, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)
    with pytest.raises(InvalidSetting) as caught:
        WebhookSender.check("https://hooks.example/x", SECRET)
    assert "never allowed" in str(caught.value)


def test_a_name_that_leads_inside_later_is_told_nothing(resolve, settings, http):
    with RawServer(answer(b"{}")) as server:
        port = server.url.rpartition(":")[2]
        settings.ALLOWED_PRIVATE_HOSTS = []
        sender = WebhookSender(f"https://hooks.example:{port}/x", SECRET, http=http)
        with pytest.raises(Fatal) as caught:
            sender.send(message(), now=NOW)
    assert (caught.value.cause, caught.value.detail) == ("wrong-address", "leads into a private network")
    assert server.heads == []


def test_a_name_that_leads_nowhere_yet_is_taken(monkeypatch):
    def unknown(*args, **more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    WebhookSender.check("https://hooks.example/x", SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "geheim", "whsec_short", f"{SECRET} whsec_short"])
def test_a_secret_must_be_there_and_long_enough(secret):
    with pytest.raises(InvalidSetting) as caught:
        WebhookSender.check("https://93.184.216.34/x", secret)
    assert caught.value.field == "secret"
    assert not secret or secret not in str(caught.value) or secret == "whsec_"
