"""Seeded schedules with real worker processes that are killed, on PostgreSQL, against the simulator over HTTP."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from django.conf import settings
from django.db import connection

from tests.processes import PROJECT

pytestmark = [
    pytest.mark.django_db,  # whose tables are copied
    pytest.mark.skipif(
        "postgresql" not in settings.DATABASES["default"]["ENGINE"], reason="several processes at once need PostgreSQL"
    ),
]
SEEDS = range(1, 11)
EACH = 4  # listings of a shop
UNITS = 30
LEASE_SECONDS = 130  # after which what a lost worker held is free
EMPTY, COPY = "evenshelf_empty", "evenshelf_killed"


class Workers:
    """The process that starts workers, on a database of its own."""

    def __init__(self, database_url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.convergence.worker"],
            cwd=PROJECT,
            env={**os.environ, "DATABASE_URL": database_url, "LOG_LEVEL": "ERROR"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started: set[int] = set()

    def ask(self, name, *arguments):
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{name}: the process of the workers is gone"
        return json.loads(line)

    def start(self, shift, seconds=6.0):
        pid = self.ask("fork", shift, seconds)
        self.started.add(pid)
        return pid

    def end(self, pid):
        """Let it end, or see how it ended."""
        self.started.discard(pid)
        return self.ask("wait", pid)

    def close(self):
        for pid in self.started:
            os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.communicate()


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture(scope="module")
def workers(django_db_setup, django_db_blocker):
    """Workers, and an empty database with all its tables that others are copied from."""
    with django_db_blocker.unblock():
        connection.close()
        name = connection.settings_dict["NAME"]
        with connection._nodb_cursor() as cursor:  # nobody may be connected to what is copied
            cursor.execute(f"DROP DATABASE IF EXISTS {EMPTY} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {EMPTY} TEMPLATE {name}")
    found = Workers(f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{EMPTY}")
    yield found
    found.close()
    with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:
        for database in (COPY, EMPTY):
            cursor.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


@pytest.fixture
def empty(workers, django_db_blocker):
    with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {COPY} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {COPY} TEMPLATE {EMPTY}")
    workers.ask("empty", COPY)
    return workers


class Market:
    """The same goods in a shop of each platform."""

    def __init__(self, simulator):
        self.simulator = simulator
        self.taobao = simulator.taobao.items(shop=simulator.taobao.shop()["shop"])[:EACH]
        self.shopify = simulator.shopify.variants()[:EACH]
        self.place = next(iter(self.shopify[0]["levels"]))
        self.woocommerce = list(range(91_001, 91_001 + EACH))
        for product in self.woocommerce:
            simulator.woocommerce.add_product(product, sku=f"EV-{product}", price="9.00", quantity=5)
        self.sold = Counter[int]()

    def shops(self):
        taobao, woocommerce = self.simulator.taobao, self.simulator.woocommerce.shop()
        shopify = self.simulator.shopify.shop()
        keys = {name: taobao.account[name] for name in ("app_key", "app_secret")}
        return [
            {
                "platform": "taobao",
                "currency": "CNY",
                "credential": {
                    **keys,
                    "access_token": taobao.shop()["session"],
                    "base_url": self.simulator.base_url,
                    "options": {"shop_kind": "tmall"},
                },
                "rows": [[str(row["num_iid"]), str(row["sku_id"] or "")] for row in self.taobao],
                "locations": [],
            },
            {
                "platform": "shopify",
                "currency": "USD",
                "credential": {
                    "access_token": shopify["access_token"],
                    "base_url": self.simulator.base_url,
                    "options": {"shop": shopify["domain"], "app_kind": "custom"},
                },
                "rows": [[str(row["num_iid"]), str(row["sku_id"])] for row in self.shopify],
                "locations": [self.place.rpartition("/")[2]],
            },
            {
                "platform": "woocommerce",
                "currency": "EUR",
                "credential": {
                    "app_key": woocommerce["consumer_key"],
                    "app_secret": woocommerce["consumer_secret"],
                    "base_url": woocommerce["url"],
                },
                "rows": [[str(product), ""] for product in self.woocommerce],
                "locations": [],
            },
        ]

    def sell(self, rng):
        """A buyer orders on one of the shops; what is not paid yet is reserved."""
        number, units = rng.randrange(EACH), rng.randint(1, 2)
        platform = rng.choice(("taobao", "shopify", "woocommerce"))
        if platform == "taobao":
            row = self.taobao[number]
            self.simulator.taobao.order(row["num_iid"], row["sku_id"] or "", units)
        elif platform == "shopify":
            self.simulator.shopify.order(self.shopify[number], units, location=self.place)
        else:
            self.simulator.woocommerce.order(self.woocommerce[number], "", units)
        self.sold[number] += units

    def shown(self):
        """By platform, item and variant."""
        found = {
            ("taobao", str(row["num_iid"]), str(row["sku_id"] or "")): row["quantity"]
            for row in self.simulator.taobao.items(shop=self.simulator.taobao.shop()["shop"])
        }
        found |= {
            ("shopify", str(row["num_iid"]), str(row["sku_id"])): row["levels"].get(self.place)
            for row in self.simulator.shopify.variants()
        }
        return found | {
            ("woocommerce", str(row["num_iid"]), str(row["sku_id"] or "")): row["quantity"]
            for row in self.simulator.woocommerce.items()
        }


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_that_are_killed_leave_nothing_wrong_behind(seed, simulator, empty):
    rng, market = random.Random(f"killed {seed}"), Market(simulator)
    empty.ask("set_up", market.shops(), UNITS)
    shift, kills = 0.0, 0
    for _generation in range(2):
        workers = [empty.start(shift) for _ in range(2)]
        for victim in workers:
            for _sale in range(rng.randint(1, 3)):
                market.sell(rng)
            simulator.clear_ledger()
            calls, deadline = rng.randint(1, 7), time.monotonic() + 5
            while len(simulator.ledger()) < calls and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(victim, signal.SIGKILL)
            kills += empty.end(victim) == -signal.SIGKILL
        shift += LEASE_SECONDS
    assert kills == 4, "they ended before they could be killed"

    done = empty.ask("settle", shift)
    shown = market.shown()
    differs = [row for row in done["targets"] if shown[tuple(row[:3])] != row[4]]
    story = f"seed {seed}: {done}"
    assert not differs, f"{differs}; {story}"
    assert (done["wrong"], done["open"], done["leased"], done["states"]) == ([], 0, 0, ["in-sync"]), story
    assert done["available"] == {f"EV-{n}": UNITS - market.sold[n] for n in range(EACH)}, story
    assert sum(reserved for _line, reserved, _sold in done["booked"]) == sum(market.sold.values()), story
