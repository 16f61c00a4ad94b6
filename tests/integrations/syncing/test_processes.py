"""Real worker processes that push, against the simulator."""

import time

import pytest

from tests.integrations.syncing import worker

ROWS = 24


@pytest.fixture
def set_up(simulator, start_worker):
    """Returns a function that connects the shop, with targets that none of its listings shows."""

    def make(**more):
        account, shop = simulator.taobao.account, simulator.taobao.shop()
        keys = {name: account[name] for name in ("app_key", "app_secret")}
        keys |= {"access_token": shop["session"], "options": {"shop_kind": "tmall"}, **more}
        items = simulator.taobao.items(shop=shop["shop"])[:ROWS]
        rows = [(str(row["num_iid"]), str(row["sku_id"] or "")) for row in items]
        start_worker(worker.set_up, simulator.base_url, keys, rows).result()
        simulator.clear_ledger()

    return make


def shown(simulator):
    items = simulator.taobao.items(shop=simulator.taobao.shop()["shop"])[:ROWS]
    return {f"{row['num_iid']}/{row['sku_id'] or ''}": row["quantity"] for row in items}


def test_a_worker_killed_in_mid_push_leaves_nothing_wrong_behind(simulator, start_worker, set_up):
    set_up(calls_per_second="4")
    victim = start_worker(worker.push)
    while len(simulator.ledger()) < 3:
        assert victim.is_running, "it ended before it could be killed"
        time.sleep(0.05)
    victim.kill()
    left = start_worker(worker.report).result()
    assert left["leased"] > 0

    others = [start_worker(worker.push, shift=150) for _ in range(2)]
    for other in others:
        other.result()
    start_worker(worker.push, shift=300).result()  # reads back what the last of them sent
    done = start_worker(worker.report, shift=300).result()
    assert done["states"] == ["in-sync"] * ROWS
    assert shown(simulator) == done["wanted"]


def test_two_workers_at_once_send_each_figure_once(simulator, start_worker, set_up):
    set_up()
    for each in [start_worker(worker.push) for _ in range(2)]:
        each.result()
    start_worker(worker.push, shift=60).result()
    done = start_worker(worker.report, shift=60).result()
    assert (done["pushes"], done["states"]) == (ROWS, ["in-sync"] * ROWS)
    assert shown(simulator) == done["wanted"]
