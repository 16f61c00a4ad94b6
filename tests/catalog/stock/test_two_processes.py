"""Two real processes at the same stock at once, on a database of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def is_large():
    """Whether writers work side by side; on SQLite they take turns, and a small race tells as much."""
    return connection.features.has_select_for_update_skip_locked


@pytest.fixture
def database_url(tmp_path, transactional_db, is_large):
    """The address of an empty database of the kind under test."""
    if is_large:
        name = f"evenshelf_stock_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name}")
        yield f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{name}"
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    else:
        yield f"sqlite:///{tmp_path / 'stock.sqlite3'}"


@pytest.fixture
def start(database_url):
    """Starts worker processes; those that still run at the end are killed."""
    started = []

    def worker(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.catalog.stock.worker", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url, "LOG_LEVEL": "WARNING"},
            stdin=subprocess.PIPE,
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
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return text


def race(*processes):
    """Start the work of all of them at once when all are ready; what they say."""
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [output(process) for process in processes]


def test_the_same_last_unit_is_never_promised_twice(start, is_large):
    skus = 2_500 if is_large else 50  # each is tried twice by each of the two
    output(start("set_up", skus, 1))
    first, second = map(json.loads, race(start("sell", "a"), start("sell", "b")))
    assert len(first + second) == len({*first, *second}) == skus
    # Else it was no race; the few of the small one may all go to whoever wakes up first.
    assert not is_large or (first and second)
    report = json.loads(output(start("report")))
    assert (report["levels"], report["wrong"]) == ([[1, 1]], 0)


def test_orders_that_two_book_at_once_are_booked_once(start, is_large):
    orders = 120 if is_large else 20
    output(start("set_up", orders, 10))
    race(start("book", 1), start("book", 2))
    report = json.loads(output(start("report")))
    assert (report["levels"], report["levels_count"], report["wrong"]) == ([[8, 0]], orders, 0)


def test_the_first_movements_of_a_level_that_two_book_at_once_all_land(start, is_large):
    skus = 60 if is_large else 12
    output(start("set_up", skus, 0))
    race(start("begin", "a"), start("begin", "b"))
    report = json.loads(output(start("report")))
    # The later of the two receipts may come after the other's count.
    assert {tuple(level) for level in report["levels"]} <= {(7, 0), (9, 0)}
    assert report["kinds"] == {"receipt": 2 * skus, "count": 2 * skus}
    assert (report["levels_count"], report["wrong"]) == (skus, 0)
