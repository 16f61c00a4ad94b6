"""Other services: which addresses are allowed, and what a result of the library means."""

import json
import logging
import time
import traceback
from datetime import timedelta

import apprise
import pytest
from apprise.plugins.telegram import NotifyTelegram
from apprise.plugins.wpush import NotifyWPush

from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import ConnectorError, Retry, Review, Wait
from integrations.notifying.senders.other import HOSTS, SERVICES, OtherSender
from tests.integrations.connectors.raw_server import RawServer, answer, answer_json
from tests.integrations.notifying.senders.conftest import NOW, message

pytestmark = pytest.mark.pure

TOKEN = "WPUSHgeheimgeheimgeheimgeheim012"
ADDRESS = f"wpush://{TOKEN}/"
BOT = "tgram://123456789:geheimgeheimgeheimgeheimgeheimgeheimg/12345678/"


@pytest.fixture(autouse=True)
def quick(settings):
    settings.HTTP_CONNECT_TIMEOUT_SECONDS = 0.5
    settings.HTTP_READ_TIMEOUT_SECONDS = 0.5
    settings.HTTP_TOTAL_TIMEOUT_SECONDS = 1.0


@pytest.fixture
def at(monkeypatch):
    """Points the two services of these tests at a server of the test."""

    def point(server):
        monkeypatch.setattr(NotifyWPush, "notify_url", server.url)
        monkeypatch.setattr(NotifyTelegram, "notify_url", f"{server.url}/bot")

    return point


def refused(at, handler, address=ADDRESS):
    with RawServer(handler) as server:
        at(server)
        with pytest.raises(ConnectorError) as caught:
            OtherSender(address).send(message(), now=NOW)
    return caught.value


def test_a_message_is_sent_through_the_library(at):
    with RawServer(answer(b'{"code": 0}')) as server:
        at(server)
        receipt = OtherSender(ADDRESS).send(message(), now=NOW)
    (body,) = map(json.loads, server.bodies)
    assert receipt.code == "ok"
    assert (body["apikey"], body["title"]) == (TOKEN, "Below ¥200: 台灯")
    assert "Live price ¥268.00 → ¥189.00, limit ¥200.00" in body["content"]


def test_a_refusal_in_the_body_of_a_good_status_is_no_success(at):
    error = refused(at, answer_json({"code": 40001, "message": f"no such key {TOKEN}"}))
    assert (type(error), error.cause) == (Review, "unrecognised")
    assert "no such key ***" in error.detail


def test_a_title_cannot_be_more_than_text(at):
    with RawServer(answer(b'{"ok": true}')) as server:
        at(server)
        OtherSender(BOT).send(message(subject="<b>hot</b>", lines=("<a href='http://x'>y</a>",)), now=NOW)
    assert b"&lt;a href" in server.bodies[0] or b"<a href" not in server.bodies[0]


def test_a_long_message_is_one_message(at):
    lines = tuple(f"台灯 {number} · ¥268.00 → ¥189.00" for number in range(1_000))
    with RawServer(answer(b'{"ok": true}')) as server:
        at(server)
        OtherSender(BOT).send(message(lines=lines), now=NOW)
    assert len(server.heads) == 1
    assert b"more lines were left out" in server.bodies[0]


@pytest.mark.parametrize(
    ("status", "expected", "cause"),
    [
        ("400 Bad Request", Review, "bad-request"),
        ("401 Unauthorized", Review, "forbidden"),
        ("403 Forbidden", Review, "forbidden"),
        ("404 Not Found", Review, "bad-request"),
        ("429 Too Many", Wait, "quota"),
        ("500 Oops", Retry, "server-error"),
        ("503 Unavailable", Retry, "server-error"),
    ],
)
def test_a_failure_is_told_by_its_status(at, status, expected, cause):
    error = refused(at, answer(TOKEN.encode(), status))
    assert (type(error), error.cause, error.code) == (expected, cause, status[:3])
    if isinstance(error, Wait):
        assert error.retry_at == NOW + timedelta(minutes=1)


def test_a_redirect_is_not_followed(at):
    with RawServer(answer(b"success")) as elsewhere:
        error = refused(at, answer(b"", "302 Found", Location=elsewhere.url))
    assert isinstance(error, ConnectorError)
    assert elsewhere.heads == []


def drip(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    for _ in range(200):
        connection.sendall(b" ")
        time.sleep(0.02)


@pytest.mark.parametrize("handler", [lambda connection: time.sleep(1), drip], ids=["silence", "endless body"])
def test_a_service_that_hangs_does_not_hold_the_worker(at, handler):
    started = time.monotonic()
    error = refused(at, handler)
    assert isinstance(error, Retry)
    assert time.monotonic() - started < 6


def test_no_error_or_log_line_holds_the_token(at, caplog):
    with caplog.at_level(logging.INFO):
        error = refused(at, answer(TOKEN.encode(), "403 Forbidden"))
    seen = f"{error} {error!r} {''.join(traceback.format_exception(error))} {caplog.text}"
    assert TOKEN not in seen


@pytest.mark.parametrize(
    "address",
    [
        "json://127.0.0.1/x",
        "jsons://hooks.example/x",
        "xml://10.0.0.1/",
        "form://169.254.169.254/",
        "forms://hooks.example/",
        "syslog://",
        "rsyslog://127.0.0.1",
        "dbus://",
        "glib://",
        "gnome://",
        "macosx://",
        "windows://",
        "mailto://user:pass@shop.example?smtp=127.0.0.1",
        "apprise://127.0.0.1/key",
        "gotify://10.0.0.1/token",
        "ntfy://127.0.0.1/topic",
        "matrix://127.0.0.1",
        "mqtt://127.0.0.1/topic",
        "mmost://10.0.0.1/token",
        "hassio://10.0.0.1/token",
        "irc://10.0.0.1/x",
        "bark://10.0.0.1/key",
        "barks://10.0.0.1/key",
        "barks://127.0.0.1/key",
        "dingtalk://token",
        "feishu://token",
        "wecombot://token",
        "vonage://key:secret/15551234567/15557654321",
        "schan://token",
        "file:///etc/passwd",
        "https://hooks.example/x",
        "http://127.0.0.1/x",
        "exec://ls",
        "",
        "geheim",
        " ://x",
    ],
)
def test_services_whose_host_can_be_chosen_or_that_act_on_this_machine_are_refused(address):
    with pytest.raises(InvalidSetting) as caught:
        OtherSender.check(address)
    assert caught.value.field == "address"
    assert not address.strip() or address not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "template=/etc/passwd",
        "TEMPLATE=http://169.254.169.254/",
        "%74emplate=/etc/passwd",
        "silent=yes&template=x",
        "redirect=yes",
        "verify=no",
        "rto=9999",
        "cto=9999",
        "retry=9",
        "wait=60",
        "overflow=split",
        "tag=x",
        "store=yes",
        "+header=x",
    ],
)
def test_parameters_that_read_files_or_lift_the_limits_are_refused(query):
    with pytest.raises(InvalidSetting):
        OtherSender.check(f"{BOT}?{query}")


def test_several_recipients_in_one_address_are_refused():
    with pytest.raises(InvalidSetting, match="one recipient"):
        OtherSender.check(BOT + "87654321/")


@pytest.mark.parametrize(
    "address", [BOT, ADDRESS, "barks://api.day.app/devicekey", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"]
)
def test_a_usual_address_is_taken(address):
    OtherSender.check(address)


def test_no_allowed_service_lets_an_address_choose_its_host():
    by_scheme = {}
    for plugin in apprise.plugins.N_MGR.plugins():
        for names in (plugin.protocol, plugin.secure_protocol):
            for scheme in [names] if isinstance(names, str) else names or ():
                by_scheme[scheme] = plugin
    assert SERVICES | set(HOSTS) <= set(by_scheme)
    choosing = {scheme for scheme in SERVICES if any("{host}" in form for form in by_scheme[scheme].templates)}
    assert choosing == set()
