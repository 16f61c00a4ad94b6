"""A plain caller of the gateway, so that each test says only what is special about its request."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from integrations.simulator.taobao.signing import expected_sign
from tests.simulator import Simulator


def china_time(moment: datetime) -> str:
    return (moment + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")


@pytest.fixture
def market_start():
    """Always the same, so that the market does the same whenever these tests run."""
    return datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)


class Caller:
    """Signs and sends calls as the first application, with the first shop's session."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.account = simulator.taobao.account
        self.session = self.account["shops"][0]["session"]
        self.http = requests.Session()
        self.http.trust_env = False

    def parameters(self, method: str, **business: Any) -> dict[str, str]:
        """Signed parameters. A value of None leaves a parameter out; `secret` signs with another secret."""
        secret = business.pop("secret", self.account["app_secret"])
        parameters = {
            "method": method,
            "app_key": self.account["app_key"],
            "session": self.session,
            "timestamp": china_time(datetime.now(UTC)),
            "format": "json",
            "v": "2.0",
            "sign_method": "hmac-sha256",
        }
        parameters.update(business)
        sent = {name: str(value) for name, value in parameters.items() if value is not None}
        if "sign" not in business:
            sign_method = sent.get("sign_method", "md5")
            known = sign_method if sign_method in ("md5", "hmac", "hmac-sha256") else "md5"
            sent["sign"] = expected_sign(sent, secret, known)
        return sent

    def send(self, method: str, **business: Any) -> requests.Response:
        data = self.parameters(method, **business)
        return self.http.post(self.simulator.taobao.gateway_url, data=data, timeout=20, allow_redirects=False)

    def call(self, method: str, **business: Any) -> dict[str, Any]:
        """The answer without its root, or the error_response with its code."""
        response = self.send(method, **business)
        assert response.status_code == 200
        (answer,) = response.json().values()
        assert isinstance(answer, dict)
        return answer


@pytest.fixture
def taobao(simulator):
    caller = Caller(simulator)
    yield caller
    caller.http.close()


@pytest.fixture
def own_row(simulator, taobao):
    """The first row with a variant in the first shop."""
    rows = simulator.taobao.items(shop=taobao.account["shops"][0]["shop"])
    return next(row for row in rows if row["sku_id"] and row["approve_status"] == "onsale")


def milliseconds(offset_seconds: float = 0) -> str:
    return str(int((time.time() + offset_seconds) * 1000))
