"""Two real processes at the same stock at once."""

import pytest
from django.db import connection

from tests.catalog.stock import worker
from tests.workers import FORKS


@pytest.fixture
def is_large():
    """Whether writers work side by side; on SQLite they take turns, and a small race tells as much."""
    return connection.features.has_select_for_update_skip_locked


@pytest.fixture
def race(start_worker):
    """Starts two processes, which begin at once when both are ready; what they return."""

    def run(job, *names):
        start = FORKS.Barrier(len(names))
        return [each.result(seconds=600) for each in [start_worker(job, name, start) for name in names]]

    return run


@pytest.fixture
def report(start_worker):
    return lambda: start_worker(worker.report).result()


@pytest.fixture
def set_up(start_worker):
    return lambda skus, units: start_worker(worker.set_up, skus, units).result()


def test_the_same_last_unit_is_never_promised_twice(race, report, set_up, is_large):
    skus = 2_500 if is_large else 50  # each is tried twice by each of the two
    set_up(skus, 1)
    first, second = race(worker.sell, "a", "b")
    assert len(first + second) == len({*first, *second}) == skus
    # Else it was no race; the few of the small one may all go to whoever wakes up first.
    assert not is_large or (first and second)
    found = report()
    assert (found["levels"], found["wrong"]) == ({(1, 1)}, 0)


def test_orders_that_two_book_at_once_are_booked_once(race, report, set_up, is_large):
    orders = 120 if is_large else 20
    set_up(orders, 10)
    race(worker.book, 1, 2)
    found = report()
    assert (found["levels"], found["levels_count"], found["wrong"]) == ({(8, 0)}, orders, 0)


def test_the_first_movements_of_a_level_that_two_book_at_once_all_land(race, report, set_up, is_large):
    skus = 60 if is_large else 12
    set_up(skus, 0)
    race(worker.begin, "a", "b")
    found = report()
    # The later of the two receipts may come after the other's count.
    assert found["levels"] <= {(7, 0), (9, 0)}
    assert found["kinds"] == {"receipt": 2 * skus, "count": 2 * skus}
    assert (found["levels_count"], found["wrong"]) == (skus, 0)
