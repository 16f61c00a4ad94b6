"""A plain caller of a WooCommerce shop, so that each test says only what is special about its request."""

import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

from integrations.simulator.woocommerce.signing import base_string, oauth_signature, php_parameters
from tests.simulator import Simulator


class Shop:
    """Calls a shop over plain HTTP, signed with OAuth 1.0a as its first key."""

    def __init__(self, simulator: Simulator, number: int = 0) -> None:
        self.simulator = simulator
        self.number = number
        self.http = requests.Session()
        self.http.trust_env = False
        self.use(self.account["keys"][0])

    @property
    def account(self) -> dict[str, Any]:
        account: dict[str, Any] = self.simulator.woocommerce.account["shops"][self.number]
        return account

    @property
    def key(self) -> str:
        return str(self.account["shop"])

    def use(self, key: dict[str, Any]) -> None:
        self.consumer_key, self.consumer_secret = key["consumer_key"], key["consumer_secret"]

    def set(self, **settings: Any) -> None:
        self.simulator.woocommerce.set(self.key, **settings)

    def add(self, id: int, **product: Any) -> None:
        self.simulator.woocommerce.add_product(id, self.key, **product)

    def fault(self, kind: str, **rule: Any) -> None:
        self.simulator.woocommerce.fail_next(kind=kind, **rule)

    def oauth(self, verb: str, url: str, query: str = "", **changes: Any) -> dict[str, str]:
        """The oauth_ parameters of a call; a value of None leaves one out, and `secret` signs with another secret."""
        secret = changes.pop("secret", self.consumer_secret)
        method = changes.get("oauth_signature_method", "HMAC-SHA256")
        oauth = {
            "oauth_consumer_key": self.consumer_key,
            "oauth_timestamp": str(int(time.time())),
            "oauth_nonce": secrets.token_hex(16),
            "oauth_signature_method": method,
            **changes,
        }
        oauth = {name: value for name, value in oauth.items() if value is not None}
        if "oauth_signature" not in changes:
            known = method if method in ("HMAC-SHA1", "HMAC-SHA256") else "HMAC-SHA256"
            oauth["oauth_signature"] = oauth_signature(
                base_string(verb, url, {**php_parameters(query), **oauth}), secret, known
            )
        return oauth

    def send(
        self, verb: str, path: str, json: Any = None, *, oauth: dict[str, Any] | None = None, **query: Any
    ) -> requests.Response:
        """A signed call of /wp-json/wc/v3/<path>."""
        url = f"{self.simulator.base_url}/wp-json/wc/v3/{path}"
        text = urlencode([(name, str(value)) for name, value in query.items()], quote_via=quote)
        signed = urlencode(self.oauth(verb, url, text, **(oauth or {})), quote_via=quote)
        address = f"{url}?{'&'.join(part for part in (text, signed) if part)}"
        return self.http.request(verb, address, json=json, timeout=20, allow_redirects=False)

    def get(self, path: str, **query: Any) -> Any:
        return self._value(self.send("GET", path, **query))

    def put(self, path: str, json: Any) -> Any:
        return self._value(self.send("PUT", path, json))

    def post(self, path: str, json: Any) -> Any:
        return self._value(self.send("POST", path, json))

    @staticmethod
    def _value(response: requests.Response) -> Any:
        assert response.status_code in (200, 201), response.text
        return response.json()

    def refusal(self, verb: str, path: str, json: Any = None, **query: Any) -> tuple[int, str]:
        """Status and code of a call that is refused."""
        response = self.send(verb, path, json, **query)
        answer = response.json()
        assert answer["data"]["status"] == response.status_code
        return response.status_code, answer["code"]

    def all(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Every page of a list."""
        found: list[dict[str, Any]] = []
        number = 1
        while True:
            response = self.send("GET", path, per_page=100, page=number, **query)
            found += self._value(response)
            if number >= int(response.headers["X-WP-TotalPages"]):
                return found
            number += 1


class Receiver(ThreadingHTTPServer):
    """Listens on this machine, keeps the headers and body of every POST, and answers with `status`."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), _Post)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers.items()), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def receiver():
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def shop(simulator):
    caller = Shop(simulator)
    yield caller
    caller.http.close()


@pytest.fixture
def other_shop(simulator):
    caller = Shop(simulator, 1)
    yield caller
    caller.http.close()


@pytest.fixture
def shirt(shop):
    """Product 22 with the variations 732 (5 units) and 733 (none)."""
    red = [{"id": 6, "name": "Color", "option": "Red"}]
    blue = [{"id": 6, "name": "Color", "option": "Blue"}]
    shop.add(
        22,
        sku="TS",
        name="T-shirt",
        variations=[
            {"id": 732, "sku": "TS-RED-M", "price": "24.90", "quantity": 5, "attributes": red},
            {"id": 733, "sku": "TS/蓝-M", "price": "24.90", "quantity": 0, "attributes": blue},
        ],
    )
    return 22


@pytest.fixture
def mug(shop):
    """Product 794, without variations, which counts its stock."""
    shop.add(794, sku="PQ-1", name="Premium Quality", price="19.90", quantity=12, barcode="4006381333931")
    return 794
