"""Mail, against a real SMTP server on this machine and against servers that misbehave."""

import email
import email.policy
import socket
import ssl
import threading
import time
import traceback
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integrations.connectors.base import InvalidSetting
from integrations.connectors.errors import ConnectorError, Fatal, Retry, Review
from integrations.notifying.senders.mail import MailSender
from tests.integrations.notifying.senders.conftest import NOW, message

pytestmark = pytest.mark.pure

STAFF = "mei@shop.example, ops@shop.example"


class Mailbox:
    """Takes what it is sent, but for recipients and senders whose answer a test sets."""

    def __init__(self):
        self.mails = []
        self.answers = {}
        self.data_answer = "250 2.0.0 queued as 4F2"
        self.later_answer = ""  # to the second mail and those after it

    async def handle_MAIL(self, server, session, envelope, address, mail_options):  # noqa: N802
        if address in self.answers:
            return self.answers[address]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):  # noqa: N802
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.mails.append(envelope)
        return self.data_answer if len(self.mails) == 1 or not self.later_answer else self.later_answer


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def running(mailbox, settings, **options):
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", controller.port
    try:
        yield
    finally:
        controller.stop()


@contextmanager
def misbehaving(settings, *handlers):
    """A server whose connections are each given to the next handler; the last one stays."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings.EMAIL_HOST, settings.EMAIL_PORT = listener.getsockname()
    left = list(handlers)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    (left.pop(0) if len(left) > 1 else left[0])(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


@pytest.fixture(autouse=True)
def mail_settings(settings):
    settings.EMAIL_TIMEOUT = 0.6
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    settings.DEFAULT_FROM_EMAIL = "Evenshelf <alerts@shop.example>"
    settings.SITE_URL = "https://evenshelf.shop.example"


@pytest.fixture
def mailbox(settings):
    box = Mailbox()
    with running(box, settings):
        yield box


def send(address=STAFF, **fields):
    return MailSender(address).send(message(**fields), now=NOW)


def refused(address=STAFF, **fields):
    with pytest.raises(ConnectorError) as caught:
        send(address, **fields)
    return caught.value


def read(envelope):
    return email.message_from_bytes(envelope.content, policy=email.policy.default)


# --- What is sent ---------------------------------------------------------------------------------------------------


def test_a_message_arrives_as_plain_text_in_utf8(mailbox):
    receipt = send()
    (envelope,) = mailbox.mails
    mail = read(envelope)
    assert (receipt.code, receipt.text) == ("250", "2.0.0 queued as 4F2")
    assert envelope.mail_from == "alerts@shop.example"
    assert envelope.rcpt_tos == ["mei@shop.example", "ops@shop.example"]
    assert mail["Subject"] == "Below ¥200: 台灯"
    assert mail["From"] == "Evenshelf <alerts@shop.example>"
    assert mail["To"] == "mei@shop.example, ops@shop.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"] == "Sun, 22 Nov 2026 04:00:00 +0000"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == [
        "台灯 · 天猫旗舰店",
        "Live price ¥268.00 → ¥189.00, limit ¥200.00",
        "",
        "https://shop.example/alerts/1/",
    ]


CROWD = [f"m{number:03}@shop.example" for number in range(120)]


def test_many_addresses_are_told_in_mails_to_50_at_most(mailbox):
    receipt = send(", ".join(CROWD))
    assert [len(envelope.rcpt_tos) for envelope in mailbox.mails] == [50, 50, 20]
    assert [name for envelope in mailbox.mails for name in envelope.rcpt_tos] == CROWD
    assert [read(envelope)["To"].count("@") for envelope in mailbox.mails] == [50, 50, 20]
    assert (receipt.code, receipt.text) == ("250", "2.0.0 queued as 4F2")


def test_of_many_addresses_those_that_are_refused_are_counted(mailbox):
    """Also when it is every one of a mail's."""
    mailbox.answers |= dict.fromkeys(CROWD[:51], "550 no such mailbox")
    receipt = send(", ".join(CROWD))
    assert [len(envelope.rcpt_tos) for envelope in mailbox.mails] == [49, 20]
    assert receipt.text == "2.0.0 queued as 4F2 · 51 of 120 addresses were refused: no such mailbox"
    mailbox.answers |= dict.fromkeys(CROWD, "550 no such mailbox")
    assert refused(", ".join(CROWD)).cause == "refused-recipient"


@pytest.mark.parametrize("answer", ["451 later", "552 too much mail data"])
def test_when_only_the_first_mails_are_taken_that_is_told(mailbox, answer):
    mailbox.later_answer = answer
    error = refused(", ".join(CROWD))
    assert (type(error), error.cause, error.may_have_arrived) == (Retry, "partly-sent", True)
    assert (error.code, error.detail) == (answer[:3], f"50 of 120 addresses · {answer[4:]}")


def test_every_try_has_the_same_message_id(mailbox):
    send()
    send()
    assert {read(envelope)["Message-ID"] for envelope in mailbox.mails} == {"<msg_7f3a@shop.example>"}


def test_a_subject_cannot_add_a_header(mailbox):
    send(subject="Lamp\r\nBcc: all@shop.example\n\nbody", message_id="x>\r\nBcc: y", lines=("a\r\nb\rc",))
    (envelope,) = mailbox.mails
    mail = read(envelope)
    assert envelope.rcpt_tos == ["mei@shop.example", "ops@shop.example"]
    assert (mail["Subject"], mail["Bcc"]) == ("Lamp Bcc: all@shop.example body", None)
    assert mail["Message-ID"] == "<xBccy@shop.example>"


def test_a_line_of_one_dot_and_a_long_line_arrive(mailbox):
    lines = ("first", ".", "灯" * 2_000, "last")
    send(lines=lines, url="")
    assert read(mailbox.mails[0]).get_content().splitlines() == list(lines)


def test_half_of_a_surrogate_pair_arrives_as_a_question_mark(mailbox):
    send(subject="a\ud83d", lines=("b\ud83d",), url="")
    mail = read(mailbox.mails[0])
    assert (mail["Subject"], mail.get_content().strip()) == ("a?", "b?")


def test_the_server_is_not_told_the_name_of_this_machine(settings):
    heard = []

    def listen(connection):
        connection.sendall(b"220 ready\r\n")
        heard.append(connection.recv(1000))

    with misbehaving(settings, listen):
        refused()
    assert heard == [b"ehlo evenshelf.shop.example\r\n"]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_it_signs_in_when_the_settings_have_a_user(settings):
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "alerts", "geheim"

    def check(server, session, envelope, mechanism, login):
        assert isinstance(login, LoginPassword)
        return AuthResult(success=(login.login, login.password) == (b"alerts", b"geheim"), handled=False)

    box = Mailbox()
    with running(box, settings, authenticator=check, auth_required=True, auth_require_tls=False):
        send()
        settings.EMAIL_HOST_PASSWORD = "verkehrt"
        error = refused()
    assert len(box.mails) == 1
    assert (type(error), error.cause, error.code) == (Fatal, "bad-login", "535")
    assert "verkehrt" not in "".join(traceback.format_exception(error))


# --- Refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected", "cause"),
    [
        pytest.param("550 5.1.1 no such mailbox mei@shop.example", Review, "refused-recipient", id="550"),
        pytest.param("554 5.7.1 relay denied", Review, "refused-recipient", id="554"),
        pytest.param("450 4.2.0 greylisted", Retry, "server-error", id="450"),
        pytest.param("452 4.2.2 mailbox full", Retry, "server-error", id="452"),
    ],
)
def test_a_refused_recipient_is_for_a_person_and_a_busy_one_for_later(mailbox, answer, expected, cause):
    mailbox.answers["mei@shop.example"] = answer
    error = refused("mei@shop.example")
    assert (type(error), error.cause, error.code) == (expected, cause, answer[:3])
    assert mailbox.mails == []
    assert "mei@" not in str(error)


def test_who_is_refused_does_not_keep_the_others_from_their_mail(mailbox):
    mailbox.answers["mei@shop.example"] = "550 no such mailbox mei@shop.example"
    receipt = send()
    assert mailbox.mails[0].rcpt_tos == ["ops@shop.example"]
    assert receipt.text == "2.0.0 queued as 4F2 · 1 of 2 addresses were refused: no such mailbox ***"


def test_one_recipient_for_later_is_enough_to_come_back(mailbox):
    mailbox.answers |= {"mei@shop.example": "550 no", "ops@shop.example": "451 later"}
    assert isinstance(refused(), Retry)


@pytest.mark.parametrize(
    ("answer", "expected", "cause"),
    [
        ("550 5.7.1 not this sender", Review, "refused-sender"),
        ("451 try later", Retry, "server-error"),
    ],
)
def test_a_refused_sender_is_told(mailbox, answer, expected, cause):
    mailbox.answers["alerts@shop.example"] = answer
    error = refused()
    assert (type(error), error.cause) == (expected, cause)


@pytest.mark.parametrize(
    ("answer", "expected", "cause"),
    [
        ("552 too much mail data", Review, "refused-content"),
        ("554 spam", Review, "refused-content"),
        ("451 later", Retry, "server-error"),
    ],
)
def test_a_refused_mail_is_told(mailbox, answer, expected, cause):
    mailbox.data_answer = answer
    error = refused()
    assert (type(error), error.cause) == (expected, cause)


# --- Servers that misbehave -----------------------------------------------------------------------------------------


def say(connection, *answers):
    """Greets, and answers each line with the next answer."""
    connection.settimeout(5)
    connection.sendall(b"220 ready\r\n")
    for answer in answers:
        if connection.recv(65536):
            connection.sendall(answer + b"\r\n")


def hang(connection):
    connection.settimeout(5)
    while connection.recv(65536):  # until the client has enough
        pass


def drip(connection):
    for _ in range(200):
        connection.sendall(b"2")
        time.sleep(0.02)


def hang_after_data(connection):
    say(connection, b"250 hello", b"250 ok", b"250 ok", b"250 ok", b"354 go on")
    hang(connection)


def hang_in_the_second_mail(connection):
    say(connection, b"250 hello", *[b"250 ok"] * 51, b"354 go on", b"250 queued", b"250 ok")
    hang(connection)


def hang_up_after_data(connection):
    say(connection, b"250 hello", b"250 ok", b"250 ok", b"250 ok", b"354 go on")
    connection.recv(65536)


@pytest.mark.parametrize(
    ("handler", "expected", "cause"),
    [
        pytest.param(hang, Retry, "timeout", id="says nothing"),
        pytest.param(drip, Retry, "timeout", id="never ends its greeting"),
        pytest.param(lambda connection: (say(connection), hang(connection)), Retry, "timeout", id="hangs after it"),
        pytest.param(hang_after_data, Retry, "no-answer", id="hangs after the mail"),
        pytest.param(hang_up_after_data, Retry, "no-answer", id="hangs up after the mail"),
        pytest.param(lambda connection: None, Retry, "connection", id="hangs up at once"),
        pytest.param(lambda connection: connection.sendall(b"421 busy\r\n"), Retry, "server-error", id="busy"),
        pytest.param(lambda connection: connection.sendall(b"554 go away\r\n"), Review, "refused-sender", id="554"),
        pytest.param(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n"), Retry, "connection", id="no SMTP"),
        pytest.param(lambda connection: connection.sendall(b"x" * 100_000), Retry, "connection", id="a flood"),
    ],
)
def test_no_server_holds_a_worker_longer_than_the_timeout(settings, handler, expected, cause):
    started = time.monotonic()
    with misbehaving(settings, handler):
        error = refused()
    assert (type(error), error.cause) == (expected, cause)
    assert time.monotonic() - started < 2


def test_a_server_that_hangs_between_two_mails_took_the_first(settings):
    with misbehaving(settings, hang_in_the_second_mail):
        error = refused(", ".join(CROWD))
    assert (type(error), error.cause, error.may_have_arrived) == (Retry, "partly-sent", True)


@contextmanager
def crowded_port():
    """An address of this machine whose connections are neither taken nor refused."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
        for _waiting in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_server_that_drips_after_a_slow_connection_is_cut_off(settings, monkeypatch):
    """The name has two addresses: the first takes up all of the time, the second one drips."""
    with crowded_port() as port, socket.create_server(("127.0.0.1", port)) as listener:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "mail.shop.example", port
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)

        def serve():
            connection, _address = listener.accept()
            with connection, suppress(OSError):
                for _byte in range(200):  # four seconds, never silent for long
                    connection.sendall(b"2")
                    time.sleep(0.02)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        started = time.monotonic()
        error = refused()
        took = time.monotonic() - started
        thread.join(timeout=5)
    assert (type(error), error.cause) == (Retry, "timeout")
    assert 0.6 < took < 2


def test_a_server_without_tls_gets_no_mail_that_asks_for_it(settings):
    settings.EMAIL_USE_TLS = True
    box = Mailbox()
    with running(box, settings):
        error = refused()
    assert (type(error), error.cause, box.mails) == (Fatal, "unsupported", [])


def test_a_server_that_speaks_no_tls_is_told_apart(settings):
    settings.EMAIL_USE_SSL = True
    with misbehaving(settings, lambda connection: connection.sendall(b"220 ready\r\n")):
        error = refused()
    assert (type(error), error.cause) == (Retry, "tls")


def test_nobody_listening_is_a_broken_connection(settings):
    settings.EMAIL_PORT = free_port()
    error = refused()
    assert (type(error), error.cause, error.may_have_arrived) == (Retry, "connection", False)


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certified(tmp_path):
    """A certificate for 127.0.0.1: the server's context, and the file that makes it trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, secret)
    return context, chain


@pytest.mark.parametrize("setting", ["EMAIL_USE_TLS", "EMAIL_USE_SSL"])
def test_a_server_with_tls_gets_the_mail_only_when_its_certificate_is_right(settings, certified, monkeypatch, setting):
    context, chain = certified
    setattr(settings, setting, True)
    options = {"ssl_context": context} if setting == "EMAIL_USE_SSL" else {"tls_context": context}
    box = Mailbox()
    with running(box, settings, **options):
        error = refused()
        assert (type(error), error.cause, box.mails) == (Retry, "tls", [])
        monkeypatch.setenv("SSL_CERT_FILE", str(chain))
        assert send().code == "250"
        settings.EMAIL_HOST = "localhost"  # which that certificate does not name
        assert refused().cause == "tls"
    assert len(box.mails) == 1


# --- Settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "",
        " , ",
        "mei",
        "mei@",
        "Mei <mei@shop.example>",
        "mei@shop.example\r\nRCPT TO:<x@y.example>",
    ],
)
def test_what_is_no_mail_address_is_refused(address):
    with pytest.raises(InvalidSetting) as caught:
        MailSender.check(address)
    assert caught.value.field == "address"


@pytest.mark.parametrize("separator", [",", ", ", "\n", "\r\n", "; ", " ", "，"])
def test_addresses_are_separated_as_people_do(mailbox, separator):
    send(separator.join(["mei@shop.example", "ops@shop.example", "mei@shop.example"]))
    assert mailbox.mails[0].rcpt_tos == ["mei@shop.example", "ops@shop.example"]


def test_without_a_mail_server_no_target_can_be_made(settings):
    settings.EMAIL_HOST = ""
    with pytest.raises(InvalidSetting, match="EMAIL_URL"):
        MailSender.check("mei@shop.example")
