"""When a listing is read next, and since when it was not known. Pure; times are aware UTC."""

from collections.abc import Callable
from datetime import datetime, timedelta

FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(hours=1)
# A stored time further ahead than this was written by a clock that ran ahead: it says nothing about when.
CLOCK_SKEW = timedelta(seconds=60)
LONGEST_ABSENCE = timedelta(hours=6)  # between two looks for a listing that the platform does not know
_MOST_DOUBLINGS = 20  # far beyond the longest backoff, and no huge numbers


def due_after_success(*, started_at: datetime, interval: timedelta, now: datetime) -> datetime:
    """One interval after the start of the pass, so that the listings of a pass stay together and batches stay full."""
    together = started_at + interval
    return together if together > now else now + interval


def due_after_failure(
    *, attempts: int, interval: timedelta, now: datetime, spread: Callable[[float, float], float]
) -> datetime:
    """Twice as late after each of the `attempts` in a row, up to an hour, or the interval where that is longer.

    `spread` is random.uniform: listings that failed together do not come back all at once.
    """
    backoff = FIRST_BACKOFF * (1 << min(attempts - 1, _MOST_DOUBLINGS))
    longest = min(backoff, max(LONGEST_BACKOFF, interval)).total_seconds()
    return now + timedelta(seconds=max(FIRST_BACKOFF.total_seconds(), longest * spread(0.75, 1.25)))


def due_after_absence(*, attempts: int, interval: timedelta, now: datetime) -> datetime:
    """For what the platform does not know or would not show: ever rarer, but never given up, since it may come back."""
    return now + min(interval * (1 << min(attempts, _MOST_DOUBLINGS)), max(LONGEST_ABSENCE, interval))


def gap_start(*, read_at: datetime | None, interval: timedelta, gap_after: timedelta, now: datetime) -> datetime | None:
    """Since when the listing was not known, given a good reading now; None when it was known all along.

    A reading speaks for one interval. Exactly at the limit it still counts as known.
    """
    if read_at is None or now - read_at <= gap_after:
        return None
    return read_at + interval
