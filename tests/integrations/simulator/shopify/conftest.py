"""A plain caller of the Admin API, so that each test says only what is special about its request."""

import itertools
import time
from typing import Any

import pytest
import requests

from tests.simulator import Simulator

LATEST = "2026-10"


class Caller:
    """Calls as the first shop's own application, with its token for ever."""

    def __init__(self, simulator: Simulator, shop: str = "shopify-nuanju") -> None:
        self.simulator = simulator
        self.account = simulator.shopify.shop(shop)
        self.token = self.account["access_token"]
        self.location, self.other_location = self.account["locations"]
        self.http = requests.Session()
        self.http.trust_env = False
        self._keys = itertools.count(1)

    def send(self, query: str, version: str = LATEST, /, **variables: Any) -> requests.Response:
        url = f"{self.simulator.base_url}/admin/api/{version}/graphql.json"
        headers = {"X-Shopify-Access-Token": self.token}
        return self.http.post(url, json={"query": query, "variables": variables}, headers=headers, timeout=20)

    def call(self, query: str, version: str = LATEST, /, **variables: Any) -> dict[str, Any]:
        """The whole body of an answer with status 200."""
        response = self.send(query, version, **variables)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def data(self, query: str, version: str = LATEST, /, **variables: Any) -> Any:
        """The data of an answer without errors."""
        body = self.call(query, version, **variables)
        assert "errors" not in body, body["errors"]
        return body["data"]

    def error(self, query: str, version: str = LATEST, /, **variables: Any) -> dict[str, Any]:
        """The first of an answer's errors."""
        error: dict[str, Any] = self.call(query, version, **variables)["errors"][0]
        return error

    def new_key(self) -> str:
        return f"key-{next(self._keys)}"

    def variant(self, variant_id: str | None = None) -> dict[str, Any]:
        """The true facts of a variant; the first without an id."""
        rows = self.simulator.shopify.variants(self.account["shop"])
        return rows[0] if variant_id is None else next(row for row in rows if row["variant_id"] == variant_id)

    def entry(self, quantity: int, **changes: Any) -> dict[str, Any]:
        """One quantity of inventorySetQuantities, of the first variant at the first location; None leaves a key out."""
        variant = self.variant()
        entry = {
            "inventoryItemId": variant["inventory_item_id"],
            "locationId": self.location,
            "quantity": quantity,
            "changeFromQuantity": variant["levels"][self.location],
        }
        entry.update(changes)
        return {name: value for name, value in entry.items() if value is not None or name == "changeFromQuantity"}


@pytest.fixture
def shopify(simulator):
    caller = Caller(simulator)
    yield caller
    caller.http.close()


@pytest.fixture
def wait_until():
    """Call a question until it is answered with something true, and return that; fails after ten seconds."""

    def wait(question):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            answer = question()
            if answer:
                return answer
            time.sleep(0.02)
        pytest.fail("it did not come about in ten seconds")

    return wait
