"""The simulator as tests use it: a client of its control paths, and the fixtures that run it.

`simulator_server` starts the process once, `simulator` hands it out with the seed world, a market that stands still at
`market_start`, no faults and an empty ledger. Tests call `simulator.step(seconds=...)` to let the market move.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from integrations.simulator.market import TICK
from integrations.simulator.woocommerce.sites import order_id

PROJECT = Path(__file__).resolve().parent.parent
START_SECONDS = 90
STOP_SECONDS = 10


class SimulatorError(AssertionError):
    """The simulator refused what a test asked of it."""


class Simulator:
    """The control paths of a running simulator, and its platforms by name."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False
        self.taobao = TaobaoControl(self)
        self.robots = RobotControl(self)
        self.sms = SmsControl(self)
        self.shopify = ShopifyControl(self)
        self.woocommerce = WooCommerceControl(self)

    def control(self, verb: str, path: str, **kwargs: Any) -> dict[str, Any]:
        """Call /_simulator/<path>. Raises SimulatorError with its own words when it refuses."""
        response = self._session.request(verb, f"{self.base_url}/_simulator/{path}", timeout=60, **kwargs)
        answer: dict[str, Any] = response.json()
        if response.status_code != 200:
            raise SimulatorError(f"{verb} {path}: {answer.get('error')}")
        return answer

    def accounts(self) -> dict[str, Any]:
        """Per platform: application key, secret and type, and the shops with their sessions."""
        return self.control("GET", "accounts")

    def state(self) -> dict[str, Any]:
        return self.control("GET", "state")

    def reset(self, *, now: datetime | None = None, speed: float | None = None) -> None:
        """The seed world and accounts, no faults, the quotas of the start, an empty ledger."""
        body: dict[str, Any] = {}
        if now is not None:
            body["now"] = now.isoformat()
        if speed is not None:
            body["speed"] = speed
        self.control("POST", "reset", json=body)

    def now(self) -> datetime:
        """The market clock, aware UTC."""
        return datetime.fromisoformat(self.control("GET", "clock")["now"])

    def step(self, *, seconds: float) -> datetime:
        """Let market time pass; returns the new market time."""
        return datetime.fromisoformat(self.control("POST", "clock", json={"step_seconds": seconds})["now"])

    def set_now(self, now: datetime) -> None:
        self.control("POST", "clock", json={"set": now.isoformat()})

    def set_speed(self, speed: float) -> None:
        self.control("POST", "clock", json={"speed": speed})

    def fail_next(self, platform: str, *, times: int = 1, kind: str | None = None, **rule: Any) -> None:
        """Spoil the next calls of a platform (0: all until cleared); the rule is what else a Fault says.

        Without a kind: `error` for a code or a sub_code, otherwise `status`.
        """
        if kind is None:
            kind = "error" if rule.keys() & {"code", "sub_code"} else "status"
        self.control("POST", "faults", json={"platform": platform, "kind": kind, "times": times, **rule})

    def clear_faults(self) -> None:
        self.control("DELETE", "faults")

    def webhooks(self) -> dict[str, Any]:
        """subscriptions, waiting (a number) and the last deliveries with their status, of every platform."""
        return self.control("GET", "webhooks")

    def ledger(self, *, since: int = 0, method: str | None = None) -> list[dict[str, Any]]:
        """The calls received, oldest first; with a method, only its calls."""
        entries: list[dict[str, Any]] = self.control("GET", "ledger", params={"since": since})["entries"]
        return [entry for entry in entries if method is None or entry["method"] == method]

    def clear_ledger(self) -> None:
        self.control("DELETE", "ledger")

    def messages(self, robot: str | None = None, *, since: int = 0) -> list[dict[str, Any]]:
        """What arrived at robots and as text messages ("aliyun_sms"), oldest first, refused ones included.

        Each has number, at, platform, robot, accepted, code, answer, type, title, text, signed, body and detail.
        """
        params = {"since": str(since)} if robot is None else {"since": str(since), "robot": robot}
        messages: list[dict[str, Any]] = self.control("GET", "messages", params=params)["messages"]
        return messages

    def clear_messages(self) -> None:
        self.control("DELETE", "messages")

    def stop_limits(self) -> None:
        """From now until a reset, limits of robots and text messages see no time go by but by `let_limits_pass`."""
        self.control("POST", "limits", json={"stop": True})

    def let_limits_pass(self, seconds: float) -> None:
        """Let time go by for the limits of robots and text messages, and for nothing else."""
        self.control("POST", "limits", json={"pass_seconds": seconds})

    def close(self) -> None:
        self._session.close()


class PlatformControl:
    """What a test may do to any platform; each says of itself what its account holds and what its faults meet."""

    platform: str

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    @property
    def account(self) -> dict[str, Any]:
        account: dict[str, Any] = self._simulator.accounts()[self.platform]
        return account

    def fail_next(self, **rule: Any) -> None:
        """Spoil the next calls; see Simulator.fail_next."""
        self._simulator.fail_next(self.platform, **rule)


class ShopsControl(PlatformControl):
    """What a test may do to any platform on which there are shops."""

    def shop(self, key: str | None = None) -> dict[str, Any]:
        """A shop with what it takes to call it; the first without a key."""
        shops: list[dict[str, Any]] = self.account["shops"]
        return shops[0] if key is None else next(shop for shop in shops if shop["shop"] == key)

    def webhooks(self) -> dict[str, Any]:
        return self._simulator.webhooks()


class TaobaoControl(ShopsControl):
    """What a test may do to the Taobao side. The shops are its own ones, each with its session."""

    platform = "taobao"

    @property
    def gateway_url(self) -> str:
        return f"{self._simulator.base_url}/router/rest"

    def items(self, *, shop: str | None = None) -> list[dict[str, Any]]:
        """Every sellable row with its true facts; sku_id '' where the item has no variants."""
        params = {} if shop is None else {"shop": shop}
        rows: list[dict[str, Any]] = self._simulator.control("GET", "taobao/items", params=params)["items"]
        return rows

    def coupons(self) -> dict[str, list[dict[str, Any]]]:
        return self._simulator.control("GET", "taobao/coupons")

    def set_item(
        self,
        num_iid: int | str,
        sku_id: int | str = "",
        *,
        price: str | None = None,
        live_price: str | None = None,
        quantity: int | None = None,
        approve_status: str | None = None,
        title: str | None = None,
        delete: bool = False,
    ) -> None:
        """Force facts of an item or a variant; what is None stays as it is."""
        body = {
            "num_iid": num_iid,
            "sku_id": sku_id,
            "price": price,
            "live_price": live_price,
            "quantity": quantity,
            "approve_status": approve_status,
            "title": title,
            "delete": delete,
        }
        self._simulator.control("POST", "taobao/items", json=body)

    def order(self, num_iid: int, sku_id: int | str = "", quantity: int = 1) -> int:
        """A buyer orders now, and has not paid yet; returns the trade's id."""
        body = {"num_iid": num_iid, "sku_id": sku_id, "quantity": quantity}
        return int(self._simulator.control("POST", "stores/orders", json=body)["tid"])

    def set_quota(
        self,
        *,
        calls_per_second: float | None = None,
        calls_per_day: int | None = None,
        methods: dict[str, float] | None = None,
    ) -> None:
        """Replace the quotas; None is no limit, methods are calls per second of one method."""
        body = {"calls_per_second": calls_per_second, "calls_per_day": calls_per_day, "methods": methods or {}}
        self._simulator.control("POST", "quotas", json={"platform": self.platform, **body})

    def refuse_method(self, method: str, *, sub_code: str = "isv.permission-api-package-limit") -> None:
        """Take a method out of the application's permission package."""
        self._simulator.control("POST", "permissions", json={"method": method, "allowed": False, "sub_code": sub_code})

    def allow_method(self, method: str) -> None:
        self._simulator.control("POST", "permissions", json={"method": method, "allowed": True})

    def expire_session(self, shop: str) -> None:
        self._simulator.control("POST", "tokens", json={"expire": shop})

    def revoke_session(self, shop: str) -> None:
        self._simulator.control("POST", "tokens", json={"revoke": shop})

    def set_levels(self, shop: str, **seconds_left: float) -> None:
        """Seconds left of the security levels r1, r2, w1, w2 of a shop's sessions."""
        self._simulator.control("POST", "tokens", json={"levels": {"shop": shop, **seconds_left}})

    def set_oauth(self, **settings: Any) -> None:
        """deny, shop (who approves), app_type, redirect_uris, app_key (whose)."""
        self._simulator.control("POST", "oauth", json=settings)


class ShopifyControl(ShopsControl):
    """What a test may do to the Shopify side.

    The account is api_version, apps, public_app (for consent) and shops: shopify-nuanju (USD) and shopify-tokyo (JPY),
    each with url, domain, access_token, client_id, client_secret and locations. The method of a fault is a root field,
    "token" or "authorize", or a topic; with user_error=True an `error` is one of a write's userErrors.
    """

    platform = "shopify"

    def variants(self, shop: str = "shopify-nuanju") -> list[dict[str, Any]]:
        """Every variant with its true facts, under global ids: product_id, variant_id, inventory_item_id, levels."""
        rows: list[dict[str, Any]] = self._simulator.control("GET", "shopify/variants", params={"shop": shop})[
            "variants"
        ]
        return rows

    def set_variant(self, variant: dict[str, Any], location: str | None = None, **facts: Any) -> None:
        """Force price, live_price, quantity (of a location, by global id), approve_status, title or delete."""
        place = None if location is None else location.rpartition("/")[2]
        body = {"num_iid": variant["num_iid"], "sku_id": variant["sku_id"], "location": place, **facts}
        self._simulator.control("POST", "stores/items", json=body)

    def unstock(self, variant: dict[str, Any], location: str) -> None:
        """The variant is not stocked at a location any more."""
        body = {"num_iid": variant["num_iid"], "sku_id": variant["sku_id"], "location": location}
        self._simulator.control("POST", "shopify/unstock", json=body)

    def order(self, variant: dict[str, Any], quantity: int = 1, location: str | None = None, discount: int = 0) -> int:
        """A buyer orders now, `discount` cents (or yen times 100) off the whole order; returns the order's id."""
        place = None if location is None else location.rpartition("/")[2]
        body = {"num_iid": variant["num_iid"], "sku_id": variant["sku_id"], "quantity": quantity, "location": place}
        body["discount"] = discount
        return int(self._simulator.control("POST", "stores/orders", json=body)["tid"])

    def add_products(self, variants: int, *, variants_each: int = 1, shop: str = "shopify-nuanju") -> None:
        body = {"shop": shop, "variants": variants, "variants_each": variants_each}
        self._simulator.control("POST", "stores/products", json=body)

    def set_store(self, shop: str = "shopify-nuanju", **settings: Any) -> None:
        """plan, status (open, frozen, forbidden, locked, rejected), scopes, points (left now), inactive_locations."""
        self._simulator.control("POST", "shopify/stores", json={"shop": shop, **settings})

    def change_tokens(self, **what: str) -> None:
        """expire, revoke, revoke_refresh or rotate_secret, each a shop."""
        self._simulator.control("POST", "shopify/tokens", json=what)

    def set_oauth(self, **settings: Any) -> None:
        """deny, shop (who approves), redirect_uris, client_id (whose; the public application's)."""
        self._simulator.control("POST", "shopify/oauth", json=settings)

    def set_versions(self, **settings: str) -> None:
        """oldest, latest."""
        self._simulator.control("POST", "shopify/versions", json=settings)

    def set_bulk(self, **settings: Any) -> None:
        """seconds (of an operation), fail (error code of the next one)."""
        self._simulator.control("POST", "shopify/bulk", json=settings)

    def put_key(self, key: str, state: str, shop: str = "shopify-nuanju") -> None:
        """Make an idempotency key one whose call is "running", or "failed"."""
        self._simulator.control("POST", "shopify/idempotency", json={"shop": shop, "key": key, "state": state})


class WooCommerceControl(ShopsControl):
    """What a test may do to the WooCommerce side.

    The account is authorize_url (for consent) and shops: woo-yatai (EUR, Berlin) and woo-hudson (USD, New York), each
    with url, consumer_key, consumer_secret, keys and settings. The method of a fault is a verb and path, as
    "PUT products/{id}", or a topic; an `error` has the shop's code as sub_code, with msg and status. Besides the
    general kinds: notice, partial (with rows: how many of a batch are applied), silent_drop, delayed_visibility.
    """

    platform = "woocommerce"

    def set(self, shop: str = "woo-yatai", **settings: Any) -> dict[str, Any]:
        """home_url, time_zone, batch_limit, approves (consent is this shop's), and flags.

        Flags: pretty_permalinks, behind_proxy (Basic counts), header_stripped, denies, plain_callbacks.
        """
        return self._simulator.control("POST", "woocommerce/settings", json={"shop": shop, **settings})

    def add_key(self, shop: str = "woo-yatai", **key: str) -> dict[str, Any]:
        """permissions (read, write, read_write) and role (shop_manager, customer)."""
        return self._simulator.control("POST", "woocommerce/keys", json={"shop": shop, **key})

    def revoke_key(self, consumer_key: str) -> None:
        self._simulator.control("POST", "woocommerce/keys", json={"revoke": consumer_key})

    def items(self, shop: str = "woo-yatai") -> list[dict[str, Any]]:
        """Every sellable row with its true facts: num_iid is the product's id, sku_id the variation's ('': none)."""
        rows: list[dict[str, Any]] = self._simulator.control("GET", "stores/items", params={"shop": shop})["items"]
        return rows

    def set_item(self, num_iid: int, sku_id: int | str = "", **facts: Any) -> None:
        """Force price, live_price, quantity, approve_status, title or delete."""
        self._simulator.control("POST", "stores/items", json={"num_iid": num_iid, "sku_id": sku_id, **facts})

    def add_product(self, id: int, shop: str = "woo-yatai", **product: Any) -> None:
        """sku, name, price, quantity, barcode, manage_stock; variations: each with id and the same, and attributes."""
        self._simulator.control("POST", "woocommerce/products", json={"shop": shop, "id": id, **product})

    def add_products(self, variants: int, *, variants_each: int = 1, shop: str = "woo-yatai") -> None:
        body = {"shop": shop, "variants": variants, "variants_each": variants_each}
        self._simulator.control("POST", "stores/products", json=body)

    def order(self, num_iid: int, sku_id: int | str = "", quantity: int = 1) -> int:
        """A buyer orders now, and has not paid yet; returns the order's id."""
        body = {"num_iid": num_iid, "sku_id": sku_id, "quantity": quantity}
        return order_id(self._simulator.control("POST", "stores/orders", json=body)["tid"])

    def set_quota(self, *, calls_per_second: float | None = None, methods: dict[str, float] | None = None) -> None:
        """What the host takes of each shop, 429 with Retry-After beyond it; None is no limit."""
        body = {"calls_per_second": calls_per_second, "methods": methods or {}}
        self._simulator.control("POST", "woocommerce/quotas", json=body)


class RobotControl:
    """What a test may do to the robots of DingTalk, Feishu and WeCom.

    Their keys: dingtalk-signed, dingtalk-keyword, dingtalk-open, feishu-signed, feishu-keyword, feishu-open, wecom-open
    and wecom-second.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def __getitem__(self, key: str) -> dict[str, Any]:
        """A robot's url (its webhook), token, secret, keywords, addresses and wording."""
        robots: list[dict[str, Any]] = self._simulator.accounts()[key.partition("-")[0]]["robots"]
        return next(robot for robot in robots if robot["robot"] == key)

    def set(self, key: str, **settings: Any) -> None:
        """secret, keywords, addresses (who may send), wording ("classic" or "described" refusals of DingTalk)."""
        self._simulator.control("POST", "robots", json={"robot": key, **settings})

    def fail_next(self, platform: str, *, robot: str = "*", **rule: Any) -> None:
        """Spoil the next messages of a platform's robots, or of one; see Simulator.fail_next."""
        self._simulator.fail_next(platform, shop=robot, **rule)


class SmsControl(PlatformControl):
    """What a test may do to Alibaba Cloud's text messages.

    The account is url, access_key_id, access_key_secret, signatures, templates (code and content) and per_day. The
    sub_code of a fault is the Code of the answer, such as isv.OUT_OF_SERVICE, and msg its Message.
    """

    platform = "aliyun_sms"

    def set(self, **settings: Any) -> None:
        """signatures, templates, per_day (messages of one signature and template that a phone takes in 24 hours)."""
        self._simulator.control("POST", "sms", json=settings)


def start_simulator(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Run `manage.py simulator` on a free port; returns the process and its address.

    Raises SimulatorError with what the process wrote when it does not come up within START_SECONDS.
    """
    process = subprocess.Popen(
        [sys.executable, "manage.py", "simulator", "--port", "0", *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    giving_up = threading.Timer(START_SECONDS, process.kill)
    giving_up.start()
    said: list[str] = []
    for line in process.stdout:
        if line.startswith("Simulator on "):
            giving_up.cancel()
            # What it says from now on is read away, so that a full pipe never stops it.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process, line.removeprefix("Simulator on ").strip()
        said.append(line)
    giving_up.cancel()
    process.stdout.close()
    process.wait()
    raise SimulatorError(f"the simulator did not start:\n{''.join(said)}")


def stop_simulator(process: subprocess.Popen[str]) -> int:
    """Ask a simulator to stop, and end it when it does not; returns its exit code."""
    process.terminate()
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session")
def simulator_server() -> Iterator[str]:
    """The address of a simulator that lives as long as the test run."""
    process, base_url = start_simulator("--seed", "7", "--listings", "80")
    yield base_url
    stop_simulator(process)


@pytest.fixture
def market_start() -> datetime:
    """The moment at which the market of `simulator` stands: about now, a second after it has moved by itself.

    It does so again TICK - 1 seconds later, so that shorter steps bring what the test did and nothing else. Whoever
    takes longer ones to see the market at work has a moment of its own, for what it does depends on the time.
    """
    return datetime.fromtimestamp(time.time() // TICK * TICK + 1, UTC)


@pytest.fixture
def simulator(simulator_server: str, market_start: datetime) -> Iterator[Simulator]:
    """The simulator with a fresh world whose market stands still until it is stepped."""
    client = Simulator(simulator_server)
    client.reset(now=market_start, speed=0)
    yield client
    client.close()
