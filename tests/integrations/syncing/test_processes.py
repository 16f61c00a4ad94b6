"""Real worker processes that push, on a database of their own, against the simulator."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent.parent
ROWS = 24


@pytest.fixture
def database_url(tmp_path, transactional_db):
    """The address of an empty database of the kind under test."""
    if connection.features.has_select_for_update_skip_locked:
        with connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS evenshelf_pushed")
            cursor.execute("CREATE DATABASE evenshelf_pushed")
        yield f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/evenshelf_pushed"
        with connection.cursor() as cursor:
            cursor.execute("DROP DATABASE evenshelf_pushed WITH (FORCE)")
    else:
        yield f"sqlite:///{tmp_path / 'pushed.sqlite3'}"


@pytest.fixture
def start(database_url):
    """Starts worker processes; those that still run at the end are killed."""
    started = []

    def worker(*arguments, shift=0):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integrations.syncing.worker", *arguments],
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


def output(process):
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return text


@pytest.fixture
def set_up(simulator, start):
    """Returns a function that connects the shop, with targets that none of its listings shows."""

    def make(**more):
        account, shop = simulator.taobao.account, simulator.taobao.shop()
        keys = {name: account[name] for name in ("app_key", "app_secret")}
        keys |= {"access_token": shop["session"], "options": {"shop_kind": "tmall"}, **more}
        items = simulator.taobao.items(shop=shop["shop"])[:ROWS]
        rows = [[str(row["num_iid"]), str(row["sku_id"] or "")] for row in items]
        output(start("set_up", simulator.base_url, json.dumps(keys), json.dumps(rows)))
        simulator.clear_ledger()

    return make


def shown(simulator):
    items = simulator.taobao.items(shop=simulator.taobao.shop()["shop"])[:ROWS]
    return {f"{row['num_iid']}/{row['sku_id'] or ''}": row["quantity"] for row in items}


def test_a_worker_killed_in_mid_push_leaves_nothing_wrong_behind(simulator, start, set_up):
    set_up(calls_per_second="4")
    victim = start("push")
    while len(simulator.ledger()) < 3:
        assert victim.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    victim.kill()
    victim.wait()
    left = json.loads(output(start("report")))
    assert left["leased"] > 0

    others = [start("push", shift=150) for _ in range(2)]
    for other in others:
        output(other)
    output(start("push", shift=300))  # reads back what the last of them sent
    done = json.loads(output(start("report", shift=300)))
    assert done["states"] == ["in-sync"] * ROWS
    assert shown(simulator) == done["wanted"]


def test_two_workers_at_once_send_each_figure_once(simulator, start, set_up):
    set_up()
    for worker in [start("push") for _ in range(2)]:
        output(worker)
    output(start("push", shift=60))
    done = json.loads(output(start("report", shift=60)))
    assert (done["pushes"], done["states"]) == (ROWS, ["in-sync"] * ROWS)
    assert shown(simulator) == done["wanted"]
