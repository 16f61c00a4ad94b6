"""The control paths, and the process around them."""

import signal
import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import requests

from integrations.simulator.simulation import STATE_VERSION
from integrations.simulator.world import MAX_TRADES
from tests.simulator import Simulator, SimulatorError, start_simulator, stop_simulator

pytestmark = pytest.mark.pure

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def test_accounts_hand_out_working_credentials(simulator):
    account = simulator.accounts()["taobao"]
    assert account["app_type"] == "merchant back-office"
    assert {shop["currency"] for shop in account["shops"]} == {"CNY"}
    assert len(account["shops"]) == 3
    for shop in account["shops"]:
        assert shop["item_count"] == len({row["num_iid"] for row in simulator.taobao.items(shop=shop["shop"])})


def test_market_stands_still_until_it_is_stepped(simulator):
    before, rows = simulator.now(), simulator.taobao.items()
    assert simulator.now() == before
    assert simulator.step(seconds=86_400) == before + timedelta(days=1)
    assert simulator.taobao.items() != rows


def test_market_runs_at_its_speed(simulator):
    simulator.set_speed(3600)
    before = simulator.now()
    time.sleep(0.1)
    assert timedelta(minutes=5) < simulator.now() - before < timedelta(hours=3)


def test_same_moments_give_the_same_world_over_http(simulator):
    seen = []
    for steps in (1, 24):
        simulator.reset(now=MONDAY, speed=0)
        for _ in range(steps):
            simulator.step(seconds=86_400 / steps)
        seen.append(simulator.taobao.items())
    assert seen[0] == seen[1]


def test_reset_is_quick_and_undoes_everything(simulator, taobao):
    simulator.reset(now=MONDAY, speed=0)
    rows = simulator.taobao.items()
    simulator.taobao.set_item(rows[0]["num_iid"], delete=True)
    simulator.taobao.fail_next(status=500, times=0)
    simulator.taobao.set_quota(calls_per_second=1)
    simulator.taobao.set_oauth(deny=True)
    simulator.taobao.expire_session(taobao.account["shops"][0]["shop"])
    started = time.monotonic()
    simulator.reset(now=MONDAY, speed=0)
    assert time.monotonic() - started < 0.5
    assert simulator.taobao.items() == rows
    assert simulator.ledger() == []
    assert [taobao.call("taobao.items.onsale.get", fields="num_iid").get("code") for _ in range(3)] == [None] * 3


def test_forced_values_are_read_back(simulator):
    row = next(row for row in simulator.taobao.items() if row["sku_id"] and row["price"] == row["live_price"])
    ids = row["num_iid"], row["sku_id"]
    simulator.taobao.set_item(*ids, price="0.00", quantity=0)
    changed = next(r for r in simulator.taobao.items() if (r["num_iid"], r["sku_id"]) == ids)
    assert (changed["price"], changed["live_price"], changed["quantity"]) == ("0.00", "0.00", 0)
    simulator.taobao.set_item(*ids, price="20.00", live_price="15.00")
    changed = next(r for r in simulator.taobao.items() if (r["num_iid"], r["sku_id"]) == ids)
    assert (changed["price"], changed["live_price"]) == ("20.00", "15.00")


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("POST", "taobao/items", {"num_iid": 404, "quantity": 1}),
        ("POST", "taobao/items", {"num_iid": 404, "stock": 1}),
        ("POST", "taobao/items", {"num_iid": "x"}),
        ("POST", "clock", {"set": "2026-01-01T00:00:00"}),
        ("POST", "clock", {"step_seconds": "soon"}),
        ("POST", "clock", {"speed": -1}),
        ("POST", "tokens", {"expire": "nobody"}),
        ("POST", "oauth", {"app_type": "other"}),
        ("GET", "nothing", None),
    ],
)
def test_control_says_what_it_cannot_do(simulator, verb, path, body):
    with pytest.raises(SimulatorError):
        simulator.control(verb, path, json=body)


def accounts_without_address(simulator):
    """With robots and text messages, whose addresses hold the port."""
    return orjson.dumps(simulator.accounts()).replace(simulator.base_url.encode(), b"")


def test_state_file_keeps_world_sessions_and_clock(tmp_path):
    state = tmp_path / "simulator.json"
    process, base_url = start_simulator("--seed", "3", "--listings", "40", "--state", str(state))
    first = Simulator(base_url)
    first.set_speed(0)
    first.set_now(MONDAY)
    first.step(seconds=2 * 86_400)
    row = first.taobao.items()[0]
    first.taobao.set_item(row["num_iid"], row["sku_id"], quantity=4321)
    rows, accounts = first.taobao.items(), accounts_without_address(first)
    first.close()
    assert stop_simulator(process) == 0
    assert state.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [state]

    process, base_url = start_simulator("--state", str(state))
    second = Simulator(base_url)
    try:
        assert second.taobao.items() == rows
        assert accounts_without_address(second) == accounts
        assert second.now() == MONDAY + timedelta(days=2)
        assert second.state()["seed"] == 3
    finally:
        second.close()
        stop_simulator(process)


def test_start_catches_up_on_a_week_at_most(tmp_path):
    state = tmp_path / "simulator.json"
    process, base_url = start_simulator("--listings", "200", "--state", str(state))
    assert stop_simulator(process) == 0
    saved = orjson.loads(state.read_bytes())
    month = 30 * 86_400
    saved["saved_at"] -= month
    saved["clock"]["now"] -= month
    saved["world"]["now"] -= month
    state.write_bytes(orjson.dumps(saved))
    process, base_url = start_simulator("--state", str(state))
    simulator = Simulator(base_url)
    try:
        assert abs(simulator.now() - datetime.now(UTC)) < timedelta(seconds=30)
        assert 0 < simulator.state()["orders"] <= 3 * MAX_TRADES
    finally:
        simulator.close()
        stop_simulator(process)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b'{"version": 1, "seed"', "cannot be read", id="cut off"),
        pytest.param(b"[]", "not a state file", id="something else"),
        pytest.param(b'{"version": 0}', "version 0", id="older version"),
        pytest.param(
            orjson.dumps({"version": STATE_VERSION, "seed": 1, "listings": 40, "world": {}}), "lacks", id="incomplete"
        ),
    ],
)
def test_unusable_state_file_is_refused_and_left_alone(tmp_path, content, reason):
    state = tmp_path / "simulator.json"
    state.write_bytes(content)
    with pytest.raises(SimulatorError, match=reason) as caught:
        start_simulator("--state", str(state))
    assert "Traceback" not in str(caught.value)
    assert state.read_bytes() == content


def test_taken_port_is_a_plain_message(simulator_server):
    port = simulator_server.rpartition(":")[2]
    with pytest.raises(SimulatorError, match="cannot start"):
        start_simulator("--port", port)


def test_interrupt_stops_it_cleanly_even_while_it_drips():
    process, base_url = start_simulator("--listings", "20")
    simulator = Simulator(base_url)
    simulator.taobao.fail_next(kind="endless")
    simulator.close()
    with requests.post(f"{base_url}/router/rest", timeout=10, stream=True) as response:
        next(response.iter_content(1))
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert stop_simulator(process) == 0


def test_latency_and_quota_of_the_command_line_hold():
    process, base_url = start_simulator("--listings", "20", "--latency-ms", "50", "--quota", "1")
    simulator = Simulator(base_url)
    try:
        started = time.monotonic()
        requests.get(f"{base_url}/router/rest", timeout=10)
        assert time.monotonic() - started >= 0.05
        simulator.reset()
        assert simulator.control("GET", "state")["listings"] == 20
    finally:
        simulator.close()
        stop_simulator(process)
