from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.lanes.pace import Pace
from integrations.models import QuotaSlot
from integrations.quotas import give_back, reserve, spacing
from tests.factories import NOW, CredentialFactory

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def test_without_a_quota_calls_start_at_once_and_nothing_is_stored(django_assert_num_queries):
    credential = CredentialFactory.build(calls_per_second=None)
    with django_assert_num_queries(0):
        assert reserve(credential=credential, operation="read", count=3, now=NOW) == [NOW] * 3


def test_slots_are_evenly_paced_and_go_on_where_the_last_ones_ended():
    credential = CredentialFactory(calls_per_second=Decimal("4"))
    first = reserve(credential=credential, operation="read", count=2, now=NOW)
    second = reserve(credential=credential, operation="read", count=1, now=NOW)
    assert [slot - NOW for slot in first + second] == [0 * SECOND, SECOND / 4, SECOND / 2]


def test_time_that_passed_unused_is_no_credit():
    credential = CredentialFactory(calls_per_second=Decimal("1"))
    reserve(credential=credential, operation="read", count=1, now=NOW)
    later = reserve(credential=credential, operation="read", count=2, now=NOW + 60 * SECOND)
    assert [slot - NOW for slot in later] == [60 * SECOND, 61 * SECOND]


def test_unused_slots_go_back_unless_others_reserved_behind_them():
    credential = CredentialFactory(calls_per_second=Decimal("1"))
    block = reserve(credential=credential, operation="read", count=3, now=NOW)
    give_back(credential=credential, operation="read", unused=block[1:])
    again = reserve(credential=credential, operation="read", count=2, now=NOW)
    assert again == block[1:]
    reserve(credential=credential, operation="read", count=1, now=NOW)
    give_back(credential=credential, operation="read", unused=again)
    assert QuotaSlot.objects.get().next_free_at == NOW + 4 * SECOND


def test_of_two_blocks_only_the_one_that_nobody_reserved_behind_goes_back():
    credential = CredentialFactory(calls_per_second=Decimal("1"))
    first, others, second = (
        reserve(credential=credential, operation="read", count=2, now=NOW) for _reservation in range(3)
    )
    give_back(credential=credential, operation="read", unused=first + second)
    [again] = reserve(credential=credential, operation="read", count=1, now=NOW)
    assert again == second[0] > others[-1]


def test_slots_are_reserved_again_before_the_last_one_is_spent():
    channel = CredentialFactory(calls_per_second=Decimal("4")).channel
    pace = Pace(channel, ask=lambda question: None, clock=lambda: NOW, ends_at=NOW + 3600 * SECOND)
    assert pace.next_slot(99) == NOW
    taken = [pace.take_slot() for _call in range(4)]
    assert pace.next_slot(99) == NOW + SECOND
    taken += [pace.take_slot() for _call in range(8)]
    assert taken == [NOW + SECOND / 4 * number for number in range(12)]


def test_a_slot_is_not_spent_before_its_time():
    channel = CredentialFactory(calls_per_second=Decimal("4")).channel
    pace = Pace(channel, ask=lambda question: None, clock=lambda: NOW, ends_at=NOW + 3600 * SECOND)
    pace.next_slot(2)
    assert [pace.take_slot(by=NOW), pace.take_slot(by=NOW)] == [NOW, None]


@pytest.mark.parametrize(
    ("rate", "ahead", "believed"),
    [
        pytest.param("10", timedelta(seconds=60), True, id="others reserved it"),
        pytest.param("10", timedelta(hours=2), False, id="the clock went back"),
        pytest.param("0.05", timedelta(minutes=20), True, id="a slow quota is far ahead with few calls"),
        pytest.param("0.05", timedelta(hours=2), False, id="but not that far"),
    ],
)
def test_a_moment_further_ahead_than_reservations_put_it_is_not_believed(rate, ahead, believed):
    credential = CredentialFactory(calls_per_second=Decimal(rate))
    QuotaSlot.objects.create(credential=credential, operation="read", next_free_at=NOW + ahead)
    [slot] = reserve(credential=credential, operation="read", count=1, now=NOW)
    assert slot == (NOW + ahead if believed else NOW)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.decimals(min_value="0.5", max_value="50", places=2),
    # Each step is some worker's: how long the fetch was busy with other things, and whose batches are sent then.
    steps=st.lists(st.tuples(st.integers(0, 2_500), st.integers(0, 2)), min_size=1, max_size=40),
)
def test_slots_that_a_busy_fetch_left_lying_are_not_used_at_once(rate, steps):
    QuotaSlot.objects.all().delete()
    channel = CredentialFactory(calls_per_second=rate).channel
    moment, starts = [NOW], []
    paces = [
        Pace(channel, ask=lambda question: None, clock=lambda: moment[0], ends_at=NOW + 3600 * SECOND)
        for _worker in range(3)
    ]
    for milliseconds, worker in steps:
        moment[0] += timedelta(milliseconds=milliseconds)
        while (slot := paces[worker].next_slot(99)) is not None and slot <= moment[0]:
            paces[worker].take_slot()
            starts.append(moment[0])
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            window = Decimal((starts[last] - starts[first]) // timedelta(microseconds=1)) / 1_000_000
            assert last - first + 1 <= rate * window + 2


def test_the_spacing_is_rounded_to_the_safe_side():
    assert spacing(Decimal("3")) * 3 >= SECOND


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.decimals(min_value="0.05", max_value="50", places=2),
    # Each step is some worker's: milliseconds after the step before, and how many calls it wants.
    steps=st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 8)), min_size=1, max_size=25),
    unused=st.integers(0, 3),
)
def test_any_number_of_workers_together_stay_inside_the_quota(rate, steps, unused):
    QuotaSlot.objects.all().delete()
    credential = CredentialFactory(calls_per_second=rate)
    clock, starts = NOW, []
    for milliseconds, count in steps:
        clock += timedelta(milliseconds=milliseconds)
        block = reserve(credential=credential, operation="read", count=count, now=clock)
        kept = block[: len(block) - unused] if unused < len(block) else block
        give_back(credential=credential, operation="read", unused=block[len(kept) :])
        assert all(start >= clock for start in kept)
        starts += kept
    starts.sort()
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            window = Decimal((starts[last] - starts[first]) // timedelta(microseconds=1)) / 1_000_000
            assert last - first + 1 <= rate * window + 1
