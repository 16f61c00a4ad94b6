"""The watchdog's decisions, on a clock of our own."""

from datetime import UTC, datetime, timedelta

import pytest

from integrations.work import Limits, Signs, Step, Watch, next_step

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
LIMITS = Limits(beat_every=timedelta(seconds=60), stale_after=timedelta(seconds=150), stop_grace=timedelta(seconds=10))


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def step(watch, signs, *, is_running=True, blind_until=None, now=NOW):
    return next_step(watch, is_running=is_running, signs=signs, blind_until=blind_until, limits=LIMITS, now=now)


@pytest.mark.parametrize(
    ("beat_seconds_ago", "expected"),
    [
        pytest.param(0, Step.NOTHING, id="just heard"),
        pytest.param(59, Step.NOTHING, id="within the interval"),
        pytest.param(60, Step.ASK_FOR_BEAT, id="silent for one interval"),
        pytest.param(150, Step.ASK_FOR_BEAT, id="exactly at the limit"),
        pytest.param(151, Step.STOP, id="beyond the limit"),
        pytest.param(None, Step.STOP, id="never heard"),
    ],
)
def test_silence_is_first_asked_about_and_then_ended(beat_seconds_ago, expected):
    watch = Watch("bulk", started_at=ago(1000), asked_at=ago(1000))
    beat_at = None if beat_seconds_ago is None else ago(beat_seconds_ago)
    assert step(watch, Signs(beat_at, None)) is expected


def test_a_cluster_is_asked_for_a_beat_as_soon_as_it_was_started():
    assert step(Watch("bulk", started_at=ago(1)), Signs(ago(1), None)) is Step.ASK_FOR_BEAT


def test_no_second_canary_is_sent_while_the_first_is_on_its_way():
    assert step(Watch("bulk", started_at=ago(100), asked_at=ago(30)), Signs(ago(100), None)) is Step.NOTHING


def test_a_cluster_gets_its_whole_limit_after_a_start_whatever_the_old_heartbeat_says():
    assert step(Watch("bulk", started_at=ago(149), asked_at=ago(1)), Signs(ago(9_999), None)) is Step.NOTHING


def test_schedules_that_do_not_move_count_as_frozen_even_while_workers_beat():
    watch = Watch("bulk", started_at=ago(1000), asked_at=ago(5))
    assert step(watch, Signs(ago(1), ago(210))) is Step.NOTHING
    assert step(watch, Signs(ago(1), ago(211))) is Step.STOP
    assert "schedules" in watch.reason


def test_nobody_is_judged_while_the_database_does_not_answer():
    assert step(Watch("bulk", started_at=ago(9_999)), None) is Step.NOTHING


def test_after_an_outage_silence_counts_from_its_end():
    watch = Watch("bulk", started_at=ago(9_999), asked_at=ago(1))
    silent = Signs(ago(5_000), ago(5_000))
    assert step(watch, silent, blind_until=ago(149)) is Step.NOTHING
    assert step(watch, silent, blind_until=ago(151)) is Step.STOP


def test_a_cluster_that_was_told_to_stop_is_killed_after_the_grace():
    assert step(Watch("bulk", started_at=ago(500), stop_asked_at=ago(9)), None) is Step.NOTHING
    assert step(Watch("bulk", started_at=ago(500), stop_asked_at=ago(10)), None) is Step.KILL


def test_starts_that_fail_in_a_row_come_later_and_later_up_to_half_a_minute():
    watch = Watch("bulk")
    delays = []
    for _ in range(8):
        watch.started(NOW)
        watch.ended(NOW)
        assert watch.start_after is not None
        delays.append((watch.start_after - NOW).total_seconds())
    assert delays == [0, 1, 3, 7, 15, 30, 30, 30]
    assert step(watch, None, is_running=False, now=NOW + timedelta(seconds=29)) is Step.NOTHING
    assert step(watch, None, is_running=False, now=NOW + timedelta(seconds=30)) is Step.START


def test_a_heartbeat_after_the_start_forgives_the_failed_ones():
    watch = Watch("bulk", started_at=ago(100), asked_at=ago(1), failures=5)
    step(watch, Signs(ago(2), None))
    assert watch.failures == 0
