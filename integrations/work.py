"""When the watchdog acts: what it knows about a cluster, and what it does about it. Pure; times are aware UTC."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

CLUSTERS = ("bulk", "interactive")

# A cluster looks for due schedules every 30 s, and each has one that is due every minute.
SCHEDULER_SLACK = timedelta(seconds=60)
LONGEST_RESTART_DELAY = timedelta(seconds=30)


class Step(StrEnum):
    NOTHING = "nothing"
    START = "start"
    ASK_FOR_BEAT = "ask for a beat"  # queue a canary for it
    STOP = "stop"  # politely; the grace begins
    KILL = "kill"  # it, and all that it started


@dataclass(frozen=True, slots=True)
class Limits:
    beat_every: timedelta  # a cluster that was silent for this long is sent a canary
    stale_after: timedelta  # a cluster that was silent for longer than this is frozen
    stop_grace: timedelta


@dataclass(frozen=True, slots=True)
class Signs:
    """What the database says about a cluster."""

    beat_at: datetime | None  # its last heartbeat; None: none ever
    oldest_due_at: datetime | None  # of its schedules, the longest overdue; None: it has none


@dataclass(slots=True)
class Watch:
    """What the watchdog remembers about one cluster."""

    name: str
    started_at: datetime | None = None
    asked_at: datetime | None = None  # the last canary
    stop_asked_at: datetime | None = None
    failures: int = 0  # starts in a row that did not lead to a heartbeat
    start_after: datetime | None = None
    reason: str = ""  # of the last stop, for the log

    def started(self, now: datetime) -> None:
        self.started_at, self.asked_at, self.stop_asked_at, self.start_after = now, None, None, None

    def ended(self, now: datetime) -> None:
        """It is gone: the next start comes at once the first time, later and later while starts keep failing."""
        self.started_at = self.stop_asked_at = None
        delay = timedelta(seconds=2**self.failures - 1) if self.failures < 6 else LONGEST_RESTART_DELAY
        self.start_after = now + min(delay, LONGEST_RESTART_DELAY)
        self.failures += 1


def next_step(
    watch: Watch, *, is_running: bool, signs: Signs | None, blind_until: datetime | None, limits: Limits, now: datetime
) -> Step:
    """What to do about the cluster now.

    `signs` is None while the database does not answer: nothing is known, so nobody is judged. Nor is
    silence held against a cluster until it had its whole limit after `blind_until`, when we last could not see it.
    """
    if not is_running:
        return Step.START if watch.start_after is None or now >= watch.start_after else Step.NOTHING
    if watch.stop_asked_at is not None:
        return Step.KILL if now - watch.stop_asked_at >= limits.stop_grace else Step.NOTHING
    if signs is None or watch.started_at is None:
        return Step.NOTHING
    grace_from = max(watch.started_at, blind_until or watch.started_at)
    beat_at = max(grace_from, signs.beat_at or grace_from)
    if now - beat_at > limits.stale_after:
        watch.reason = f"no heartbeat for {_seconds(now - beat_at)}"
        return Step.STOP
    if signs.oldest_due_at is not None:
        # Workers may well be alive while the process that guards them hangs: then no schedule moves.
        overdue = now - max(grace_from, signs.oldest_due_at)
        if overdue > limits.stale_after + SCHEDULER_SLACK:
            watch.reason = f"schedules have not moved for {_seconds(overdue)}"
            return Step.STOP
    if signs.beat_at is not None and signs.beat_at > watch.started_at:
        watch.failures = 0
    heard_or_asked_at = max(filter(None, (signs.beat_at, watch.asked_at)), default=None)
    is_new = watch.asked_at is None
    if is_new or heard_or_asked_at is None or now - heard_or_asked_at >= limits.beat_every:
        return Step.ASK_FOR_BEAT
    return Step.NOTHING


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"
