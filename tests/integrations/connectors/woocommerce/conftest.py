"""A connector of one shop of the simulator, over plain HTTP or TLS, and a plain caller for what it has no call for."""

import contextlib
import socket
import ssl
import threading
from datetime import UTC, datetime
from urllib.parse import urlsplit

import certifi
import pytest

from integrations.connectors import http as connector_http
from integrations.connectors.http import HttpClient, Limits
from integrations.connectors.woocommerce import WooCommerceConnector, WooCommerceCredentials
from tests.integrations.simulator.woocommerce.conftest import Shop


@pytest.fixture
def now():
    return datetime.now(UTC)


@pytest.fixture
def connect(simulator):
    """A connector of the first shop's first key, its patience in seconds; other keywords replace its credentials."""

    def build(base_url="", shop="woo-yatai", patience=10, **changes):
        known = simulator.woocommerce.shop(shop)
        settings = {"app_key": known["consumer_key"], "app_secret": known["consumer_secret"]} | changes
        return WooCommerceConnector(
            WooCommerceCredentials.from_settings(settings),
            base_url=base_url or simulator.base_url,
            http=HttpClient(limits=Limits(connect_seconds=5, read_seconds=patience, total_seconds=patience + 1)),
        )

    return build


@pytest.fixture
def shop(simulator):
    caller = Shop(simulator)
    yield caller
    caller.http.close()


@pytest.fixture
def shirt(shop):
    """Product 22 with the variations 732 (5 units) and 733 (none)."""
    shop.add(
        22,
        sku="TS",
        name="T-shirt",
        variations=[
            {"id": 732, "sku": "TS-RED-M", "price": "24.90", "quantity": 5},
            {"id": 733, "sku": "TS/蓝-M", "price": "24.90", "quantity": 0},
        ],
    )
    return 22


@pytest.fixture
def mug(shop):
    """Product 794, without variations, 12 units."""
    shop.add(794, sku="PQ-1", name="Premium Quality", price="19.90", quantity=12, barcode="4006381333931")
    return 794


@pytest.fixture
def calls(simulator):
    """The calls made so far, as method and status, 0 for one that was answered well."""
    return lambda: [(call["method"], call["code"]) for call in simulator.ledger()]


# --- TLS ------------------------------------------------------------------------------------------------------------


class TlsFront:
    """A proxy that ends TLS before the simulator, as in front of a real shop."""

    def __init__(self, address, certificate):
        parts = urlsplit(address)
        self._behind = (parts.hostname, parts.port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._stopped = threading.Event()
        self._threads = []
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heads = []  # of requests, as they came
        self._start(self._accept)

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _address = self._listener.accept()
                self._start(self._serve, connection)

    def _serve(self, connection):
        connection.settimeout(5)
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(connection, server_side=True) as client,
            socket.create_connection(self._behind) as server,
        ):
            self._start(self._copy, server, client)
            while piece := client.recv(65536):
                if b" HTTP/1.1\r\n" in piece:
                    self.heads.append(piece.partition(b"\r\n\r\n")[0].decode("latin-1"))
                server.sendall(piece)
            server.shutdown(socket.SHUT_RDWR)  # a mere close would wait for the thread that reads from it

    def _copy(self, source, target):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
            target.close()

    def close(self):
        self._stopped.set()
        self._threads[0].join()
        self._listener.close()


@pytest.fixture
def tls(simulator, certificate, monkeypatch):
    """The first shop's https:// address, whose certificate is trusted, and what came in by it."""
    monkeypatch.setattr(certifi, "where", lambda: str(certificate))
    connector_http._threads.pools.clear()  # connections of other tests trust other certificates
    simulator.woocommerce.set(behind_proxy=True)
    front = TlsFront(simulator.base_url, certificate)
    yield front
    connector_http._threads.pools.clear()
    front.close()
