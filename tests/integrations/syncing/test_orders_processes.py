"""Real worker processes that read orders, against the simulator."""

from datetime import timedelta

import pytest

from tests.integrations.syncing import orders_worker
from tests.integrations.syncing.test_processes import set_up  # noqa: F401

ORDERS = 12


@pytest.fixture
def report(start_worker):
    return lambda: start_worker(orders_worker.report).result()


@pytest.fixture
def read(start_worker):
    """Starts a process that reads orders."""
    return lambda shift=0: start_worker(orders_worker.read, shift=shift)


@pytest.fixture
def sold(simulator, set_up, start_worker):  # noqa: F811
    """Buyers order one unit of so many listings."""
    set_up()
    start_worker(orders_worker.sell_since, simulator.now() - timedelta(seconds=1)).result()
    for row in simulator.taobao.items(shop=simulator.taobao.shop()["shop"])[:ORDERS]:
        simulator.taobao.order(row["num_iid"], row["sku_id"] or "", 1)
    simulator.clear_ledger()


def test_workers_that_read_the_same_orders_at_once_book_each_once(sold, read, report):
    before = report()
    # The later ones find the leases of the earlier ones over.
    for reader in [read(shift=shift) for shift in (0, 0, 600, 1200)]:
        reader.result()
    after = report()
    assert (after["orders"], after["movements"]) == (ORDERS, [("reserve", 1)] * ORDERS)
    assert sum(after["available"]) == sum(before["available"]) - ORDERS
    assert (after["wrong"], after["is_read"]) == (0, True)


def test_a_worker_killed_while_it_reads_leaves_each_order_to_be_booked_once(simulator, sold, read, report):
    # The answer is on its way when the worker goes.
    simulator.fail_next("taobao", method="taobao.trades.sold.increment.get", kind="delay", seconds=15)
    victim = read()
    while not (left := report())["is_leased"]:
        assert victim.is_running, "it ended before it could be killed"
    victim.kill()
    assert (left["is_leased"], left["is_read"]) == (True, False)
    read().result()
    assert report()["orders"] == 0, "its lease is not over"
    read(shift=600).result()
    done = report()
    assert (done["movements"], done["wrong"], done["is_leased"]) == ([("reserve", 1)] * ORDERS, 0, False)
