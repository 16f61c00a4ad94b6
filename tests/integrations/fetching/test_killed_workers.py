"""Real worker processes that read, against the simulator."""

import time

from tests.integrations.fetching import worker


def test_a_worker_killed_in_the_middle_of_a_pass_loses_and_doubles_nothing(simulator, start_worker):
    account, shop = simulator.taobao.account, simulator.taobao.shop()
    rows = [(str(row["num_iid"]), str(row["sku_id"])) for row in simulator.taobao.items(shop=shop["shop"])]
    secrets = {
        "app_key": account["app_key"],
        "app_secret": account["app_secret"],
        "access_token": shop["session"],
        "calls_per_second": "4",
    }
    start_worker(worker.set_up, simulator.base_url, secrets, rows).result()

    simulator.clear_ledger()
    victim = start_worker(worker.read)
    while len(simulator.ledger()) < 4:
        assert victim.is_running, "it ended before it could be killed"
        time.sleep(0.05)
    victim.kill()
    left = start_worker(worker.report).result()
    assert 0 < left["recorded"] < len(rows)
    assert left["leased"] > 0
    assert left["runs"] == [(0, False)]

    # Two others at once, after the leases of the killed one ran out.
    others = [start_worker(worker.read, shift=120) for _ in range(2)]
    for other in others:
        other.result()
    done = start_worker(worker.report, shift=120).result()
    assert done["observations"] == [1] * len(rows)
    assert done["leased"] == 0
    assert (len(rows), True) in done["runs"]
