"""Two real processes at the same purchase orders at once."""

import pytest
from django.db import connection

from tests.catalog.purchasing import worker
from tests.workers import FORKS


@pytest.fixture
def orders():
    """On SQLite writers take turns, and a small race tells as much."""
    return 40 if connection.features.has_select_for_update_skip_locked else 8


@pytest.fixture
def race(start_worker, orders):
    """Set up, have two processes begin at once when both are ready; what they return, and what is there then."""

    def run(*jobs):
        start_worker(worker.set_up, orders).result()
        start = FORKS.Barrier(len(jobs))
        started = [start_worker(job, *arguments, start) for job, *arguments in jobs]
        answers = [each.result(seconds=300) for each in started]
        return answers, start_worker(worker.report).result()

    return run


def test_a_receipt_that_two_send_at_once_lands_once(race, orders):
    refused, found = race((worker.receive, ""), (worker.receive, ""))
    assert refused == [[], []]
    assert (found["receipts"], found["movements"]) == (orders, orders * worker.LINES)
    assert (found["levels"], found["states"], found["wrong"]) == ({orders * worker.UNITS}, {"received"}, 0)


def test_of_two_who_receive_the_same_order_one_is_told_that_nothing_is_to_come(race, orders):
    refused, found = race((worker.receive, "a"), (worker.receive, "b"))
    told = [text for texts in refused for text in texts]
    assert len(told) == orders
    assert all("is not on its way, so nothing can arrive of it" in text for text in told)
    assert (found["receipts"], found["levels"], found["wrong"]) == (orders, {orders * worker.UNITS}, 0)


def test_an_order_that_is_received_and_cancelled_at_once_is_one_of_the_two(race, orders):
    (refused, cancelled), found = race((worker.receive, "a"), (worker.cancel,))
    assert cancelled == []
    assert found["receipts"] == orders - len(refused)
    assert found["lines"] <= {("received", worker.UNITS, 0), ("cancelled", 0, worker.UNITS)}
    assert (found["levels"] or {0}, found["wrong"]) == ({found["receipts"] * worker.UNITS}, 0)
