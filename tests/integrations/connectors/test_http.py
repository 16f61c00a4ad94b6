import http.client
import os
import socket
import ssl
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import certifi
import pytest

from integrations.connectors import http as connector_http
from integrations.connectors.errors import Fatal, Retry, Review, Wait
from integrations.connectors.http import Answer, HttpClient, Limits, parse_json, retry_after
from tests.integrations.connectors.raw_server import RawServer, answer, raw

pytestmark = pytest.mark.pure

NOW = datetime(2025, 6, 1, 4, 0, tzinfo=UTC)
QUICK = Limits(connect_seconds=0.5, read_seconds=0.3, total_seconds=0.8, max_bytes=100_000)


def post(url, client=None, **form):
    client = client or HttpClient(limits=QUICK)
    return client.post_form(url + "/router/rest", form, platform="acme", operation="read", now=NOW).json


def test_a_form_is_posted_in_the_body_and_json_comes_back():
    with RawServer(answer(b'{"id": 9007199254740993, "price": "9.90"}')) as server:
        assert post(server.url, session="geheim", title="灯 & lamp") == {"id": 9007199254740993, "price": "9.90"}
    assert server.forms == [{"session": "geheim", "title": "灯 & lamp"}]
    assert server.heads[0].startswith("POST /router/rest HTTP/1.1\r\n")
    assert "geheim" not in server.heads[0]


def test_one_connection_serves_a_thread_whatever_the_client():
    with RawServer(answer(b"{}")) as server:
        for _ in range(5):
            post(server.url, HttpClient(limits=QUICK))
    assert server.connections == 1


def test_a_request_goes_out_in_one_piece(monkeypatch):
    pieces = []
    send = http.client.HTTPConnection.send

    def noting(self, data):
        pieces.append(bytes(data))
        send(self, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", noting)
    with RawServer(answer(b"{}")) as server:
        post(server.url, title="lamp")
    assert [piece.endswith(b"\r\n\r\ntitle=lamp") for piece in pieces] == [True]


def test_threads_speak_at_the_same_time():
    together = threading.Barrier(32, timeout=5)

    def wait_for_all(connection):
        together.wait()
        answer(b"{}")(connection)

    patient = HttpClient(limits=Limits(read_seconds=6, total_seconds=6))
    with RawServer(wait_for_all) as server, ThreadPoolExecutor(32) as pool:
        assert list(pool.map(lambda _: post(server.url, patient), range(32))) == [{}] * 32
    assert server.connections == 32


def test_cookies_of_one_shop_are_not_sent_for_another():
    with RawServer(answer(b"{}", Set_Cookie="shop=1; Path=/")) as server:
        post(server.url)
        post(server.url)
    assert not any("cookie" in head.lower() for head in server.heads)


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with RawServer(answer(b"{}")) as server:
        assert post(server.url) == {}


def test_a_proxy_from_settings_is_used():
    with RawServer(answer(b'{"by": "proxy"}')) as proxy:
        client = HttpClient(limits=QUICK, proxy=proxy.url)
        assert post("http://shop.invalid", client) == {"by": "proxy"}
    assert proxy.heads[0].startswith("POST http://shop.invalid/router/rest")


def test_a_slot_is_asked_for_before_each_call_and_can_refuse_it():
    slots = iter([None, Wait("acme", "read", retry_at=NOW)])

    def take_slot():
        refusal = next(slots)
        if refusal is not None:
            raise refusal

    with RawServer(answer(b"{}")) as server:
        client = HttpClient(limits=QUICK, before_call=take_slot)
        post(server.url, client)
        with pytest.raises(Wait):
            post(server.url, client)
    assert len(server.forms) == 1


# --- Hostile and broken servers -------------------------------------------------------------------------------------


def drip(start: bytes, piece: bytes):
    """Sends `start`, then `piece` again and again for as long as anyone listens."""

    def handler(connection):
        connection.sendall(start)
        for _ in range(200):
            connection.sendall(piece)
            time.sleep(0.02)

    return handler


def flood(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b" " * 100_000)


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(lambda connection: time.sleep(0.6), id="silence"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b" "), id="endless body"),
        pytest.param(
            drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), id="endless chunks"
        ),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n", b"X"), id="endless header"),
        pytest.param(drip(b"HTTP/1.1 302 Found\r\nContent-Length: 5000\r\n", b"X"), id="endless redirect"),
        pytest.param(drip(b"HTTP/1", b"."), id="endless status line"),
        pytest.param(drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="endless continuation"),
    ],
)
def test_answers_that_do_not_end_are_ended(handler):
    started = time.monotonic()
    with RawServer(handler) as server:
        with pytest.raises(Retry) as caught:
            post(server.url)
        assert time.monotonic() - started < 2
    assert caught.value.cause == "timeout"


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(flood, id="no length given"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n[" + b" " * 200_000), id="length given"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 600 + b"\r\n\r\n{"), id="absurd length"),
    ],
)
def test_answers_that_are_too_large_are_not_read_to_the_end(handler):
    with RawServer(handler) as server, pytest.raises(Retry) as caught:
        post(server.url)
    assert caught.value.cause == "too-large"


def test_an_answer_of_just_the_allowed_size_is_read():
    body = b'"' + b"x" * (QUICK.max_bytes - 2) + b'"'
    with RawServer(answer(body)) as server:
        assert len(post(server.url)) == QUICK.max_bytes - 2


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed_and_only_their_host_is_named(status):
    with RawServer(answer(b"{}")) as elsewhere:
        location = f"{elsewhere.url}/steal?session=geheim"
        with RawServer(answer(b"", status, Location=location)) as server, pytest.raises(Fatal) as caught:
            post(server.url, session="geheim")
    assert (caught.value.cause, caught.value.detail) == ("redirect", "to 127.0.0.1")
    assert "geheim" not in str(caught.value)
    assert elsewhere.forms == []


@pytest.mark.parametrize("location", ["", "//[broken", "/login", "http://" + "a" * 5000 + ".example/\x7f"])
def test_a_redirect_to_nowhere_is_still_a_redirect(location):
    with RawServer(answer(b"", "302 Found", Location=location)) as server, pytest.raises(Fatal) as caught:
        post(server.url)
    assert caught.value.cause == "redirect"
    assert len(caught.value.detail) < 120


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        pytest.param(b"<!DOCTYPE html><html>geheim</html>", "HTML", id="HTML"),
        pytest.param(b"", "empty body", id="nothing"),
        pytest.param(b'{"a": ', "6 bytes", id="cut short"),
        pytest.param(b'{"a": NaN}', "10 bytes", id="NaN"),
        pytest.param(b'"\xff\xfe"', "4 bytes", id="not UTF-8"),
        pytest.param(b"[" * 50_000 + b"]" * 50_000, "100000 bytes", id="nested without end"),
        pytest.param(
            b"[1.5," + b"[" * 40_000 + b"]" * 40_001, "80006 bytes", id="nested without end beside a fraction"
        ),
        pytest.param(b"\x1f\x8b\x08\x00", "4 bytes", id="compressed though not asked"),
    ],
)
def test_what_is_not_json_is_told_without_its_text(body, detail):
    with RawServer(answer(body, Content_Encoding="gzip")) as server, pytest.raises(Retry) as caught:
        post(server.url)
    assert (caught.value.cause, caught.value.detail) == ("not-json", detail)


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(lambda connection: connection.shutdown(socket.SHUT_RDWR), id="hung up"),
        pytest.param(raw(b"ICY 200 OK\r\n\r\n"), id="not HTTP"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n"), id="hundreds of headers"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n"), id="a huge header"),
    ],
)
def test_broken_connections_are_tried_again(handler):
    with RawServer(handler) as server, pytest.raises(Retry) as caught:
        post(server.url)
    assert caught.value.cause == "connection"


def test_a_body_shorter_than_promised_is_a_broken_connection():
    def half(connection):
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"a":')
        connection.shutdown(socket.SHUT_RDWR)

    with RawServer(half) as server, pytest.raises(Retry) as caught:
        post(server.url)
    assert caught.value.cause == "connection"


def test_nobody_listening_is_a_broken_connection():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Retry) as caught:
        post(f"http://127.0.0.1:{port}", session="geheim")
    assert caught.value.cause == "connection"
    assert "geheim" not in repr(caught.value.__cause__)


def test_a_server_without_tls_is_told_apart():
    with RawServer(answer(b"{}")) as server, pytest.raises(Retry) as caught:
        post(server.url.replace("http:", "https:"))
    assert caught.value.cause in {"tls", "connection", "timeout"}


def ends_tls_with(certificate, *, after_request):
    """A handler that breaks TLS: in the handshake, or once it has the request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def handle(listener):
        connection, _address = listener.accept()
        with connection:
            connection.settimeout(5)
            if after_request:
                with context.wrap_socket(connection.dup(), server_side=True) as tls:
                    assert tls.recv(65536).startswith(b"POST ")
            else:
                connection.recv(65536)
            connection.sendall(b"this is no record of TLS")

    return handle


@pytest.mark.parametrize("after_request", [False, True])
def test_what_broke_after_the_handshake_may_have_arrived(certificate, monkeypatch, after_request):
    monkeypatch.setattr(certifi, "where", lambda: str(certificate))
    connector_http._threads.pools.clear()  # connections of other tests trust other certificates
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handler = ends_tls_with(certificate, after_request=after_request)
        server = threading.Thread(target=handler, args=(listener,), daemon=True)
        server.start()
        with pytest.raises(Retry) as caught:
            post(f"https://127.0.0.1:{listener.getsockname()[1]}")
        server.join(timeout=5)
    connector_http._threads.pools.clear()
    assert (caught.value.cause, caught.value.may_have_arrived) == ("tls", after_request)


def test_an_answer_keeps_its_content_to_itself():
    assert "shpat_1" not in repr(Answer({"access_token": "shpat_1"}))


def test_an_address_that_cannot_be_called_is_a_mistake_of_ours():
    with pytest.raises(Fatal) as caught:
        post("http://127.0.0.1:99999")
    assert caught.value.cause == "wrong-address"


@pytest.mark.parametrize(
    ("status", "expected", "cause"),
    [
        ("204 No Content", Retry, "not-json"),
        ("400 Bad Request", Fatal, "bad-request"),
        ("401 Unauthorized", Review, "forbidden"),
        ("403 Forbidden", Review, "forbidden"),
        ("404 Not Found", Fatal, "wrong-address"),
        ("405 Method Not Allowed", Fatal, "wrong-address"),
        ("408 Request Timeout", Retry, "timeout"),
        ("413 Too Large", Fatal, "bad-request"),
        ("429 Too Many Requests", Wait, "quota"),
        ("500 Internal Server Error", Retry, "server-error"),
        ("502 Bad Gateway", Retry, "server-error"),
        ("503 Service Unavailable", Retry, "server-error"),
        ("504 Gateway Timeout", Retry, "server-error"),
    ],
)
def test_a_status_says_what_happens_next(status, expected, cause):
    body = b"" if status.startswith("204") else b"<html>"
    with RawServer(answer(body, status)) as server, pytest.raises(expected) as caught:
        post(server.url)
    assert (caught.value.cause, caught.value.code) == (cause, status[:3])


def test_a_status_that_may_carry_json_is_read():
    with RawServer(answer(b'{"error": "invalid_client"}', "400 Bad Request")) as server:
        found = HttpClient(limits=QUICK).post_form(
            server.url, {}, platform="acme", operation="token", now=NOW, json_statuses=frozenset({400})
        )
    assert found.json == {"error": "invalid_client"}


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_retry_after_is_obeyed(status):
    with RawServer(answer(b"", status, Retry_After="30")) as server, pytest.raises(Wait) as caught:
        post(server.url)
    assert caught.value.retry_at == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("30", 30, id="seconds"),
        pytest.param(" 30 ", 30, id="seconds in spaces"),
        pytest.param("Sun, 01 Jun 2025 04:02:00 GMT", 120, id="date"),
        pytest.param("Sun, 01 Jun 2025 12:02:00 +0800", 120, id="date in another zone"),
        pytest.param("Sun, 01 Jun 2025 04:02:00 -0000", 120, id="date without zone"),
        pytest.param("0", 1, id="at once"),
        pytest.param("Sun, 01 Jun 2014 04:02:00 GMT", 1, id="date that has passed"),
        pytest.param("3601", 3600, id="longer than an hour"),
        pytest.param("999999999999", 3600, id="thousands of years"),
        pytest.param("9" * 6000, 3600, id="beyond any number"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", 3600, id="date at the end of time"),
    ],
)
def test_retry_after_is_kept_within_an_hour(value, seconds):
    assert retry_after(value, NOW) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-5",
        "1e9",
        "1.5",
        "soon",
        "\uff13\uff10",
        "Sun, 99 Foo 2025",
        "Sun, 01 Jun 99999999999 04:02:00 GMT",
        "\x00",
    ],
)
def test_retry_after_without_sense_is_ignored(value):
    assert retry_after(value, NOW) is None


def test_a_429_without_sense_waits_a_little():
    with RawServer(answer(b"", "429 Too Many", Retry_After="-5")) as server, pytest.raises(Wait) as caught:
        post(server.url)
    assert caught.value.retry_at == NOW + timedelta(seconds=30)


def test_a_thread_can_go_on_after_a_bad_answer():
    handlers = [flood, drip(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b" "), answer(b"{}")]
    with RawServer(*handlers) as server:
        for _ in range(2):
            with pytest.raises(Retry):
                post(server.url)
        assert post(server.url) == {}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_opens_its_own_connection():
    with RawServer(answer(b"{}")) as server:
        post(server.url)
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if post(server.url) == {} else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        post(server.url)
    assert server.connections == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"price": 0.1}', {"price": Decimal("0.1")}),
        (b'[1.10, "1.5"]', [Decimal("1.10"), "1.5"]),
        (b'{"price":\n 1E2}', {"price": Decimal("1E2")}),
        (b"-0.5", Decimal("-0.5")),
        (b"[99999999999999999999]", [99999999999999999999]),
        (b"[-9999999999999999999]", [-9999999999999999999]),
    ],
)
def test_numbers_never_become_binary_floats(text, expected):
    found = parse_json(text)
    assert found == expected
    assert "float" not in str([type(value) for value in (found if isinstance(found, list) else [found])])


# --- Other methods, bodies and headers ------------------------------------------------------------------------------


def request(url, method="PUT", **more):
    return HttpClient(limits=QUICK).request(method, url, platform="acme", operation="write", now=NOW, **more)


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
def test_a_body_is_sent_as_it_is_with_the_callers_headers(method):
    body = b'{"quantity":  7, "title": "\xe7\x81\xaf"}'
    headers = {"Content-Type": "application/json", "Authorization": "Bearer geheim", "If-Match": '"v1"'}
    with RawServer(answer(b'{"ok": true}', X_Total="3")) as server:
        found = request(f"{server.url}/items/1?v=2", method, body=body, headers=headers)
    assert (found.json, found.status, found.headers["x-total"]) == ({"ok": True}, 200, "3")
    assert server.bodies == [body]
    head = server.heads[0].split("\r\n")
    assert head[0] == f"{method} /items/1?v=2 HTTP/1.1"
    assert {"Content-Type: application/json", "Authorization: Bearer geheim", 'If-Match: "v1"'} <= set(head)
    assert {"Accept: application/json", "Accept-Encoding: identity", "User-Agent: Evenshelf"} <= set(head)


def test_a_get_has_no_body():
    with RawServer(answer(b"[]")) as server:
        assert request(f"{server.url}/items", "GET", headers={"X-Token": "1"}).json == []
    assert server.heads[0].startswith("GET /items HTTP/1.1\r\n")
    assert "Content-Length" not in server.heads[0]
    assert "Content-Type" not in server.heads[0]


def test_only_the_statuses_asked_for_are_answers():
    with RawServer(answer(b"{}", "201 Created")) as server:
        assert request(server.url, statuses=(200, 201)).status == 201
        with pytest.raises(Retry) as caught:
            request(server.url)
    assert (caught.value.cause, caught.value.code) == ("not-json", "201")


def test_a_redirect_is_no_answer_whatever_is_asked_for():
    moved = answer(b"{}", "307 Temporary", Location="http://127.0.0.1:1/")
    with RawServer(moved) as server, pytest.raises(Fatal) as caught:
        request(server.url, statuses=range(600))
    assert caught.value.cause == "redirect"


def test_a_body_that_does_not_matter_is_not_read():
    with RawServer(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n<html>"), answer(b"{}")) as server:
        assert (request(server.url, read_json=False).json, request(server.url).json) == (None, {})
    assert server.connections == 2


@pytest.mark.parametrize("value", ["geheim\r\nX-Other: 1", "geheim\n", "geheim\x00灯"])
def test_a_header_that_cannot_be_sent_is_not_quoted(value):
    with RawServer(answer(b"{}")) as server, pytest.raises(Fatal) as caught:
        request(server.url, headers={"Authorization": value})
    assert caught.value.cause == "bad-request"
    assert "geheim" not in "".join(traceback.format_exception(caught.value)).replace(repr(value), "")
    assert server.heads == []


def test_an_address_that_cannot_be_called_is_not_quoted():
    with pytest.raises(Fatal) as caught:
        request("http://127.0.0.1:99999/?token=" + "gehe" + "im")
    assert "geheim" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("handler", "may_have_arrived"),
    [
        pytest.param(lambda connection: time.sleep(0.6), True, id="no answer"),
        pytest.param(lambda connection: connection.shutdown(socket.SHUT_RDWR), True, id="hung up"),
        pytest.param(answer(b"<html>"), True, id="a page"),
        pytest.param(answer(b"", "502 Bad Gateway"), True, id="502"),
        pytest.param(flood, True, id="too large"),
        pytest.param(answer(b"", "408 Request Timeout"), False, id="the server waited for us"),
    ],
)
def test_a_failure_tells_whether_the_request_may_have_been_carried_out(handler, may_have_arrived):
    with RawServer(handler) as server, pytest.raises(Retry) as caught:
        request(server.url, body=b"{}")
    assert caught.value.may_have_arrived is may_have_arrived


def test_what_never_left_has_not_arrived():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}", "http://no-such-host.invalid"):
        with pytest.raises(Retry) as caught:
            request(address)
        assert (caught.value.cause, caught.value.may_have_arrived) == ("connection", False)


# --- Files of lines -------------------------------------------------------------------------------------------------


def lines(url, *, limits=None, before_call=None):
    client = HttpClient(limits=limits or QUICK, before_call=before_call)
    return client.lines(url, platform="acme", operation="file", now=NOW)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"one\ntwo\n", [b"one", b"two"], id="each ended"),
        pytest.param(b"one\ntwo", [b"one", b"two"], id="the last not ended"),
        pytest.param(b"", [], id="empty"),
        pytest.param(b"\n\none\n", [b"", b"", b"one"], id="empty lines"),
        pytest.param("灯/1\n".encode() * 50_000, ["灯/1".encode()] * 50_000, id="across pieces"),
        pytest.param(b"x" * 200_000 + b"\ny", [b"x" * 200_000, b"y"], id="longer than a piece"),
    ],
)
def test_a_file_is_read_line_by_line(body, expected):
    limits = Limits(connect_seconds=2, read_seconds=1, total_seconds=2, max_bytes=300_000)
    with RawServer(answer(body)) as server:
        assert list(lines(f"{server.url}/file?sig=1", limits=limits)) == expected
    assert server.heads[0].startswith("GET /file?sig=1 HTTP/1.1")


def test_a_chunked_file_is_read_too():
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b"on", b"e\ntw", b"o\n"))
    with RawServer(raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")) as server:
        assert list(lines(server.url)) == [b"one", b"two"]


def test_a_line_is_told_before_the_rest_is_there():
    gate = threading.Event()

    def slowly(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 65543\r\n\r\n" + b"first\n" + b"x" * 65_530)
        gate.wait(5)
        connection.sendall(b"\nthird\n")

    with RawServer(slowly) as server:
        found = lines(server.url)
        assert next(found) == b"first"
        gate.set()
        assert list(found) == [b"x" * 65_530, b"third"]


def test_a_call_between_two_lines_changes_no_deadline(monkeypatch):
    monkeypatch.setattr("integrations.connectors.http.STREAM_SECONDS", 1.0)
    body = b"".join(b"%06d\n" % number for number in range(40_000))
    with RawServer(answer(body)) as server, RawServer(answer(b"{}")) as other:
        found = lines(server.url)
        assert next(found) == b"000000"
        request(other.url)  # has a deadline of its own
        time.sleep(1.2)  # what the caller does with a line is not the platform's time
        assert len(list(found)) == 39_999


def test_a_file_that_drips_for_ever_is_given_up(monkeypatch):
    monkeypatch.setattr("integrations.connectors.http.STREAM_SECONDS", 0.4)

    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x\n")
            time.sleep(0.05)

    with RawServer(drip) as server, pytest.raises(Retry) as caught:
        list(lines(server.url))
    assert caught.value.cause == "timeout"


@pytest.mark.parametrize(
    ("handler", "expected", "cause"),
    [
        pytest.param(answer(b"x", "404 Not Found"), Fatal, "wrong-address", id="gone"),
        pytest.param(answer(b"x", "403 Forbidden"), Review, "forbidden", id="its address has ended"),
        pytest.param(answer(b"x", "503 Service Unavailable"), Retry, "server-error", id="503"),
        pytest.param(answer(b"", "302 Found", Location="http://127.0.0.1:1/"), Fatal, "redirect", id="moved"),
        pytest.param(answer(b"x" * 200_000), Retry, "too-large", id="one endless line"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(handler, expected, cause):
    with RawServer(handler) as server, pytest.raises(expected) as caught:
        list(lines(f"{server.url}/?sig=geheim"))
    assert caught.value.cause == cause
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\none\ntw",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n9\r\ntw",
    ],
)
def test_a_file_that_ends_early_is_an_error_and_not_the_end(content):
    def cut(connection):
        connection.sendall(content)
        connection.close()

    with RawServer(cut) as server, pytest.raises(Retry) as caught:
        list(lines(server.url))
    assert caught.value.cause == "connection"


def test_a_file_is_one_call_of_the_quota():
    calls = []
    with RawServer(answer(b"one\ntwo\n")) as server:
        assert len(list(lines(server.url, before_call=lambda: calls.append(1)))) == 2
    assert calls == [1]
