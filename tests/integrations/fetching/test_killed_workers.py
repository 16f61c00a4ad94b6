"""Real worker processes on a database of their own, against the simulator."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture
def database_url(tmp_path, transactional_db):
    """The address of an empty database of the kind under test."""
    if connection.features.has_select_for_update_skip_locked:
        with connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS evenshelf_killed")
            cursor.execute("CREATE DATABASE evenshelf_killed")
        yield f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/evenshelf_killed"
        with connection.cursor() as cursor:
            cursor.execute("DROP DATABASE evenshelf_killed WITH (FORCE)")
    else:
        yield f"sqlite:///{tmp_path / 'killed.sqlite3'}"


@pytest.fixture
def start(database_url):
    """Starts worker processes; those that still run at the end are killed."""
    started = []

    def worker(*arguments, shift=0):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integrations.fetching.worker", *arguments],
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


def test_a_worker_killed_in_the_middle_of_a_pass_loses_and_doubles_nothing(simulator, start):
    account, shop = simulator.taobao.account, simulator.taobao.shop()
    rows = [[str(row["num_iid"]), str(row["sku_id"])] for row in simulator.taobao.items(shop=shop["shop"])]
    secrets = {
        "app_key": account["app_key"],
        "app_secret": account["app_secret"],
        "access_token": shop["session"],
        "calls_per_second": "4",
    }
    output(start("set_up", simulator.base_url, json.dumps(secrets), json.dumps(rows)))

    simulator.clear_ledger()
    victim = start("read")
    while len(simulator.ledger()) < 4:
        assert victim.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    victim.kill()
    victim.wait()
    left = json.loads(output(start("report")))
    assert 0 < left["recorded"] < len(rows)
    assert left["leased"] > 0
    assert left["runs"] == [[0, False]]

    # Two others at once, after the leases of the killed one ran out.
    others = [start("read", shift=120) for _ in range(2)]
    for other in others:
        output(other)
    done = json.loads(output(start("report", shift=120)))
    assert done["observations"] == [1] * len(rows)
    assert done["leased"] == 0
    assert [len(rows), True] in done["runs"]
