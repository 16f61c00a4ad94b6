"""Real worker processes that read orders, on a database of their own, against the simulator."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from tests.integrations.syncing.test_processes import ROOT, database_url, output, set_up, start  # noqa: F401

ORDERS = 12


@pytest.fixture
def run(database_url):  # noqa: F811
    """Starts processes that read orders; those that still run at the end are killed."""
    started = []

    def worker(*arguments, shift=0):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integrations.syncing.orders_worker", *arguments],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url, "SHIFT": str(shift), "LOG_LEVEL": "WARNING"},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield worker
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def sold(simulator, set_up, run):  # noqa: F811
    """Buyers order one unit of so many listings."""
    set_up()
    output(run("sell_since", (simulator.now() - timedelta(seconds=1)).isoformat()))
    for row in simulator.taobao.items(shop=simulator.taobao.shop()["shop"])[:ORDERS]:
        simulator.taobao.order(row["num_iid"], row["sku_id"] or "", 1)
    simulator.clear_ledger()


def test_workers_that_read_the_same_orders_at_once_book_each_once(sold, run):
    before = json.loads(output(run("report")))
    # The later ones find the leases of the earlier ones over.
    for reader in [run("read", shift=shift) for shift in (0, 0, 600, 1200)]:
        output(reader)
    after = json.loads(output(run("report")))
    assert (after["orders"], after["movements"]) == (ORDERS, [["reserve", 1]] * ORDERS)
    assert sum(after["available"]) == sum(before["available"]) - ORDERS
    assert (after["wrong"], after["is_read"]) == (0, True)


def test_a_worker_killed_while_it_reads_leaves_each_order_to_be_booked_once(simulator, sold, run):
    # The answer is on its way when the worker goes.
    simulator.fail_next("taobao", method="taobao.trades.sold.increment.get", kind="delay", seconds=15)
    victim = run("read")
    while not (left := json.loads(output(run("report"))))["is_leased"]:
        assert victim.poll() is None, "it ended before it could be killed"
    victim.kill()
    victim.wait()
    assert (left["is_leased"], left["is_read"]) == (True, False)
    output(run("read"))
    assert json.loads(output(run("report")))["orders"] == 0, "its lease is not over"
    output(run("read", shift=600))
    done = json.loads(output(run("report")))
    assert (done["movements"], done["wrong"], done["is_leased"]) == ([["reserve", 1]] * ORDERS, 0, False)
