"""`manage.py work` with real clusters on a database of their own."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from django.db import connection

from tests.processes import PROJECT, alive, family, members, wait_for

pytestmark = pytest.mark.pure


def database(path):
    """The environment of a process that works there."""
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": f"sqlite:///{path}"}


class Work:
    """A running `manage.py work` with one cluster, quick to judge."""

    def __init__(self, folder, tables):
        self.database = shutil.copy(tables, folder)
        self.log = folder / "work.log"
        env = {
            **database(self.database),
            "HEARTBEAT_SECONDS": "1",
            "HEARTBEAT_STALE_SECONDS": "6",
            "WORK_STOP_SECONDS": "2",
        }
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "work", "--cluster", "bulk"],
                cwd=PROJECT,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self):
        return self.log.read_text()

    def clusters(self):
        """The process of each cluster that was started, oldest first."""
        return [int(pid) for pid in re.findall(r"cluster bulk started, process (\d+)", self.said())]

    def beat_at(self):
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as reader:
            row = reader.execute("SELECT beat_at FROM integrations_heartbeat WHERE name = 'bulk'").fetchone()
        return row and row[0]

    def wait_until_beating(self):
        before = self.beat_at()
        wait_for(lambda: self.beat_at() != before, seconds=180, said=self.said)

    def wait_for_new_cluster(self, old):
        wait_for(lambda: self.clusters()[-1] != old, seconds=180, said=self.said)
        wait_for(lambda: members(old) == [], seconds=10, said=self.said)  # a killed process is gone a moment later
        self.wait_until_beating()


@pytest.fixture(scope="module")
def tables(tmp_path_factory, django_db_setup, django_db_blocker):
    """A database in which there is nothing yet: a copy of that of the tests, since to migrate takes long."""
    if connection.vendor != "sqlite":
        pytest.skip("the clusters are given a file")
    path = tmp_path_factory.mktemp("work") / "work.sqlite3"
    with django_db_blocker.unblock(), closing(sqlite3.connect(path)) as copy:
        connection.ensure_connection()
        connection.connection.backup(copy)
    return path


@pytest.fixture
def work(tmp_path, tables):
    running = Work(tmp_path, tables)
    yield running
    everyone = family(running.process.pid)
    running.process.terminate()
    running.process.wait(timeout=60)
    assert alive(everyone) == set()


def test_a_killed_cluster_is_started_again_without_leftovers(work):
    work.wait_until_beating()
    cluster = work.clusters()[0]
    os.kill(cluster, signal.SIGKILL)
    work.wait_for_new_cluster(cluster)


def test_clusters_do_not_outlive_a_watchdog_that_was_killed(work):
    work.wait_until_beating()
    cluster = work.clusters()[0]
    work.process.kill()
    wait_for(lambda: members(cluster) == [], seconds=60, said=work.said)


def test_a_frozen_cluster_is_noticed_and_replaced(work):
    work.wait_until_beating()
    cluster = work.clusters()[0]
    for pid in members(cluster):
        os.kill(pid, signal.SIGSTOP)
    work.wait_for_new_cluster(cluster)
    assert "cluster bulk is frozen (no heartbeat for" in work.said()
    assert "did not stop in time: killing it" in work.said()


def test_a_cluster_that_froze_while_it_held_the_databases_lock_is_replaced(work):
    """The watchdog's own canary cannot be queued then, and must not keep it from acting."""
    work.wait_until_beating()
    cluster = work.clusters()[0]
    with closing(sqlite3.connect(work.database, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        for pid in members(cluster):
            os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: "did not stop in time: killing it" in work.said(), seconds=120, said=work.said)
        lock.execute("ROLLBACK")
    work.wait_for_new_cluster(cluster)


def test_a_cluster_that_froze_because_an_idle_worker_was_killed_is_replaced(work):
    """It waits while it holds the queue's lock; killed, it leaves a cluster that looks alive and does nothing."""
    work.wait_until_beating()
    cluster = work.clusters()[0]

    def sentinels():
        """Its children are two workers, a monitor and a pusher; each comes a while after the cluster's process."""
        return [pid for pid in members(cluster) if pid != cluster and len(family(pid)) > 4]

    wait_for(sentinels, seconds=60, said=work.said)
    [sentinel] = sentinels()
    work.wait_until_beating()  # and right after a beat its workers are idle
    # Killing all of them surely hits the one with the lock.
    for pid in family(sentinel) - {sentinel}:
        os.kill(pid, signal.SIGKILL)
    work.wait_for_new_cluster(cluster)
    assert "cluster bulk is frozen" in work.said()


def test_a_database_outage_does_not_end_the_watchdog_nor_its_cluster(work):
    work.wait_until_beating()
    cluster = work.clusters()[0]
    with closing(sqlite3.connect(work.database)) as writer:
        writer.execute("ALTER TABLE integrations_heartbeat RENAME TO heartbeat_away")
    wait_for(lambda: "the database does not answer" in work.said(), seconds=60, said=work.said)
    with closing(sqlite3.connect(work.database)) as writer:
        writer.execute("ALTER TABLE heartbeat_away RENAME TO integrations_heartbeat")
    work.wait_until_beating()
    assert work.process.poll() is None
    assert work.clusters() == [cluster]
