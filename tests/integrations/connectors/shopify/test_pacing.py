"""The cost bucket, against a bucket that behaves as the platform's does, in made-up time."""

import heapq
import itertools
import math
import threading
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.connectors.shopify.pacing import CostBucket, Throttle

pytestmark = pytest.mark.pure

MAXIMUM, RATE = 2000.0, 100.0


def throttle(available: float, requested: float = 10, actual: float = 10, maximum: float = MAXIMUM) -> Throttle:
    return Throttle(requested, actual, available, maximum, RATE)


def told_bucket(available: float = MAXIMUM, document: str = "first", requested: float = 10) -> CostBucket:
    """A bucket that one answer has told of, at time 0."""
    bucket = CostBucket()
    call = bucket.enter(document, requested)
    assert bucket.wait(call, 0.0) == 0
    bucket.settle(call, throttle(available, requested, requested), 0.0)
    return bucket


def test_until_the_first_answer_one_call_goes_at_once():
    bucket = CostBucket()
    first, second = bucket.enter("a", 5), bucket.enter("b", 5)
    assert bucket.wait(second, 0.0) == math.inf
    assert bucket.wait(first, 0.0) == 0
    assert bucket.wait(second, 1.0) == math.inf
    bucket.settle(first, throttle(1000), 2.0)
    assert bucket.wait(second, 2.0) == 0


def test_a_first_call_without_an_answer_lets_the_next_one_try():
    bucket = CostBucket()
    first, second = bucket.enter("a", 5), bucket.enter("a", 5)
    assert bucket.wait(first, 0.0) == 0
    bucket.settle(first, None, 1.0)
    assert bucket.wait(second, 1.0) == 0


def test_a_call_waits_until_time_has_filled_the_bucket_with_its_cost():
    bucket = told_bucket(available=50)
    call = bucket.enter("dear", 250)
    assert bucket.wait(call, 0.0) == pytest.approx(2.0)
    assert bucket.wait(call, 1.5) == pytest.approx(0.5)
    assert bucket.wait(call, 2.0) == 0


def test_whoever_comes_later_waits_behind_those_who_wait():
    bucket = told_bucket(available=50)
    dear, cheap = bucket.enter("dear", 250), bucket.enter("cheap", 10)
    assert bucket.wait(cheap, 0.0) == pytest.approx(2.1)
    assert bucket.wait(dear, 2.0) == 0
    assert bucket.wait(cheap, 2.0) == pytest.approx(0.1)


def test_one_who_leaves_makes_room():
    bucket = told_bucket(available=50)
    dear, cheap = bucket.enter("dear", 250), bucket.enter("cheap", 10)
    bucket.leave(dear)
    assert bucket.wait(cheap, 0.0) == 0


def test_a_cost_is_learnt_and_those_who_wait_profit():
    bucket = told_bucket(available=50)
    first = bucket.enter("document", 40)
    second = bucket.enter("document", 40)
    assert bucket.wait(first, 0.0) == 0
    assert bucket.wait(second, 0.0) == pytest.approx(0.3)
    bucket.settle(first, throttle(46, requested=4, actual=4), 0.0)
    assert bucket.wait(second, 0.0) == 0
    assert second.cost == 4


def test_the_dearest_answer_of_a_document_is_what_it_costs():
    bucket = told_bucket(document="orders", requested=200)
    call = bucket.enter("orders", 10)
    assert bucket.wait(call, 0.0) == 0
    bucket.settle(call, throttle(1700, requested=100), 0.0)
    assert bucket.enter("orders", 10).cost == 200


def test_what_others_took_out_is_noticed():
    bucket = told_bucket()
    call = bucket.enter("a", 10)
    assert bucket.wait(call, 0.0) == 0
    bucket.settle(call, throttle(available=5), 0.1)
    assert bucket.wait(bucket.enter("a", 10), 0.1) == pytest.approx(0.05)


def test_a_call_that_brought_no_word_counts_as_taken():
    bucket = told_bucket(available=100)
    call = bucket.enter("a", 90)
    assert bucket.wait(call, 0.0) == 0
    bucket.settle(call, None, 0.0)
    assert bucket.wait(bucket.enter("b", 90), 0.0) == pytest.approx(0.8)


def test_a_cost_above_the_bucket_is_sent_with_a_full_one_for_the_platform_to_refuse():
    bucket = told_bucket(available=1900)
    call = bucket.enter("too-dear", 5000)
    assert bucket.wait(call, 0.0) == pytest.approx(1.0)
    assert bucket.wait(call, 1.0) == 0


def test_the_bucket_was_not_fuller_than_what_was_under_way_left_of_it():
    bucket = told_bucket(available=1800)
    first, second = bucket.enter("a", 669), bucket.enter("a", 669)
    assert bucket.wait(first, 0.0) == bucket.wait(second, 0.0) == 0
    # Full when both arrived after two seconds: 2000 less twice 669.
    bucket.settle(first, throttle(1331, requested=669, actual=669), 2.0)
    bucket.settle(second, throttle(662, requested=669, actual=669), 2.0)
    assert bucket.wait(bucket.enter("a", 669), 2.0) == pytest.approx(0.07)


# --- Against the platform's side ------------------------------------------------------------------------------------


class Platform:
    """The bucket as the platform keeps it: the requested cost must be there, and what was not used comes back."""

    def __init__(self, available: float) -> None:
        self.available, self.at, self.throttled = available, 0.0, 0

    def refill(self, now: float) -> None:
        self.available, self.at = min(MAXIMUM, self.available + (now - self.at) * RATE), now

    def take(self, now: float, requested: float) -> bool:
        self.refill(now)
        if self.available < requested:
            self.throttled += 1
            return False
        self.available -= requested
        return True

    def give_back(self, now: float, points: float) -> None:
        self.refill(now)
        self.available = min(MAXIMUM, self.available + points)


def play(
    documents: list[tuple[float, float]],
    jobs: list[tuple[int, float, float]],
    *,
    threads: int,
    available: float,
    losses: frozenset[int] = frozenset(),
    others: list[tuple[float, float]] | None = None,
) -> tuple[Platform, list[float]]:
    """Let threads work off jobs (document, seconds to the platform, seconds back); returns when each was done.

    documents are (requested, actual) costs; of the jobs in losses the answer never comes; others are (at, points) that
    another user of the app takes out.
    """
    platform, bucket = Platform(available), CostBucket()
    done: dict[int, float] = {}
    waiting = iter(enumerate(jobs))
    events: list[tuple[float, int, Callable[[float], None]]] = []
    order = itertools.count()

    def at(moment: float, action: Callable[[float], None]) -> None:
        heapq.heappush(events, (moment, next(order), action))

    def begin(now: float) -> None:
        job = next(waiting, None)
        if job is not None:
            index, (document, there, back) = job
            requested, actual = documents[document]
            call = bucket.enter(str(document), requested)
            ask(now, index, call, requested, actual, there, back)

    def ask(now: float, *job) -> None:
        _index, call, _requested, _actual, there, _back = job
        seconds = bucket.wait(call, now)
        if seconds > 0:
            at(now + min(seconds + 1e-6, 0.05), lambda then: ask(then, *job))
        else:
            at(now + there, lambda then: arrive(then, *job))

    def arrive(now: float, *job) -> None:
        index, call, requested, actual, _there, back = job
        taken = platform.take(now, requested)
        if taken:
            platform.give_back(now, requested - actual)
        told = Throttle(requested, actual if taken else 0.0, platform.available, MAXIMUM, RATE)
        at(now + back, lambda then: settle(then, index, call, None if index in losses else told))

    def settle(now: float, index: int, call, told: Throttle | None) -> None:
        bucket.settle(call, told, now)
        done[index] = now
        begin(now)

    def draw(points: float, now: float) -> None:
        platform.give_back(now, -min(points, platform.available))

    for moment, points in others or ():
        at(moment, partial(draw, points))
    for _ in range(threads):
        at(0.0, begin)
    while events:
        moment, _, action = heapq.heappop(events)
        action(moment)
    return platform, [done[index] for index in range(len(jobs))]


costs = st.tuples(st.integers(1, 900), st.floats(0, 1)).map(
    lambda pair: (float(pair[0]), math.floor(pair[0] * pair[1]))
)
delays = st.floats(0.0, 5.0)
plays = st.lists(costs, min_size=1, max_size=4).flatmap(
    lambda documents: st.tuples(
        st.just(documents),
        st.lists(st.tuples(st.integers(0, len(documents) - 1), delays, delays), min_size=1, max_size=60),
    )
)


@settings(max_examples=200, deadline=None)
@given(plays, st.integers(1, 12), st.floats(0, MAXIMUM), st.frozensets(st.integers(0, 59)))
def test_no_more_goes_out_than_the_bucket_can_hold_whatever_the_order_of_the_answers(plan, threads, available, losses):
    documents, jobs = plan
    available = max(available, max(requested for requested, _actual in documents))  # the first call knows nothing yet
    losses -= {0}  # where no answer came yet, nobody can know how much is left
    platform, done = play(documents, jobs, threads=threads, available=available, losses=losses)
    assert platform.throttled == 0
    assert len(done) == len(jobs)


@settings(max_examples=100, deadline=None)
@given(plays, st.integers(1, 12), st.floats(0, MAXIMUM))
def test_nobody_starves(plan, threads, available):
    documents, jobs = plan
    dearest = max(requested for requested, _actual in documents)
    _platform, done = play(documents, jobs, threads=threads, available=max(available, dearest))
    # Each may wait for the refill of all the costs before it, and for every answer on the way, never longer.
    longest = sum(documents[document][0] / RATE + there + back for document, there, back in jobs)
    assert max(done) <= longest + MAXIMUM / RATE + 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, MAXIMUM)), max_size=10))
def test_others_at_the_bucket_cost_us_few_refusals(others):
    """Nobody can know what others will take; but each answer, a refusal too, puts our figure right."""
    jobs = [(0, 0.05, 0.05)] * 200
    platform, _done = play([(100.0, 100.0)], jobs, threads=4, available=MAXIMUM, others=others)
    assert platform.throttled <= 4 * len(others)


def test_a_full_bucket_is_used_at_once_and_then_at_its_rate():
    jobs = [(0, 0.01, 0.01)] * 100
    _platform, done = play([(100.0, 100.0)], jobs, threads=8, available=MAXIMUM)
    assert done[15] < 1  # 2,000 points are there
    # 8,000 more come at 100 a second; a little is lost while answers are on their way.
    assert 80 <= max(done) <= 84


def test_threads_may_share_it():
    bucket = told_bucket(requested=1)
    settled = []

    def work() -> None:
        for _ in range(200):
            call = bucket.enter("first", 1)
            while bucket.wait(call, 1.0) > 0:
                pass
            bucket.settle(call, throttle(MAXIMUM, 1, 1), 1.0)
            settled.append(call)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(settled) == 1600
