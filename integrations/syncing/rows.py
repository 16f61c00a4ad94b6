"""Rows of ListingSync while they are worked on: what was claimed, what came of it, and how they stand then."""

import random
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from catalog.stock.availability import Blocked, Target
from integrations.syncing.models import ListingSync

State = ListingSync.State
_SENT_STATE, _STOPPED = State.SENT.value, State.STOPPED.value  # as a claim has them, of thousands of rows at once

VERIFY_AFTER = timedelta(seconds=2)
# Of many that are sent together: until then those still to be sent come first.
VERIFY_MANY_AFTER, MANY = timedelta(seconds=6), 500
MOVED, NOT_SHOWN = "moved", "not-shown"  # causes: it showed another figure before a write, or after it
GUARD = "guard"  # cause: it would go to 0 together with too many others, and a person is asked
POSTPONED_FOR = timedelta(seconds=1)
MOST_LOOKS = 6  # after which a figure that does not show is given up
_LONGEST_CAUSE = 60
_DELAYS = (2, 10, 60, 300, 900)  # seconds after so many failures in a row; the last one stays


def delay(failures: int) -> timedelta:
    """How long a row rests after so many failures in a row; between three quarters of the time and all of it."""
    seconds = _DELAYS[min(max(failures, 1), len(_DELAYS)) - 1]
    return timedelta(seconds=seconds * random.uniform(0.75, 1))


class Claim(NamedTuple):
    """A row that we hold the lease of, as it was then."""

    pk: int
    listing_id: int
    item_id: str
    sku_id: str
    stock_id: str
    location_id: str
    state: str
    cause: str
    attempts: int
    wanted: int | None
    pushed: int | None
    confirmed: int | None
    synced_version: int
    synced_rule: str
    verify_us: int | None = None  # its verify_at, in microseconds since 1970

    @property
    def shown(self) -> int | None:
        """The last figure that was sent or seen."""
        return self.pushed if self.state == _SENT_STATE else self.confirmed

    @property
    def known(self) -> int | None:
        """What the platform shows as far as we know: the last that was sent or seen.

        Of what was left alone until now nobody knows what has become.
        """
        state = self.state
        return None if state == _STOPPED else self.pushed if state == _SENT_STATE else self.confirmed

    @property
    def has_moved(self) -> bool:
        """Whether somebody else changed what it shows, as a sale does."""
        return self.state == State.WAITING and self.cause in {MOVED, NOT_SHOWN}


class Status(StrEnum):
    """What became of a row; the first five are those of connectors.base.PushStatus."""

    APPLIED = "applied"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    STALE = "stale"
    UNKNOWN = "unknown"
    LOST = "lost"  # the call ended in a way that tells nothing of what it wrote
    FAILED = "failed"  # nothing was written
    READ = "read"
    UNREAD = "unread"  # the platform did not tell what it shows
    UNCHANGED = "unchanged"  # it shows its target already, and no call was made
    KEPT = "kept"  # refused before, and the target is still the same
    STOPPED = "stopped"
    POSTPONED = "postponed"  # somebody else moved its figure, and the orders that may tell why are being read
    HELD = "held"  # it would go to 0 together with too many others, and a person is asked


SENT = frozenset({Status.APPLIED, Status.ACCEPTED, Status.REFUSED, Status.STALE, Status.UNKNOWN, Status.LOST})


_TAKEN = frozenset({Status.APPLIED, Status.ACCEPTED})


class Wanted(NamedTuple):
    """A target with the versions it was worked out from."""

    target: Target
    version: int  # of Sku.stock_version
    rule: str  # marks the rules and the pack


NOTHING_WANTED = Wanted(Target(None, blocked=Blocked.NOT_MAPPED), 0, "")


class Result(NamedTuple):
    """What one call, or none, said about a row."""

    pk: int
    status: Status
    at: datetime | None = None  # of the call
    quantity: int | None = None  # sent
    expected: int | None = None
    shown: int | None = None
    error_class: str = ""
    cause: str = ""
    code: str = ""
    key: str = ""
    duration_ms: int | None = None
    looks: tuple["Result", ...] = ()  # what was read before it


class Standing(NamedTuple):
    """How a row stands; the fields that a result may change, in the order in which they are written."""

    state: str
    cause: str
    attempts: int
    wanted: int | None
    pushed: int | None
    pushed_at: datetime | None
    confirmed: int | None
    confirmed_at: datetime | None
    changed_at: datetime | None
    synced_version: int
    synced_rule: str
    due_at: datetime | None
    verify_at: datetime | None
    problem: str = ""  # why a person dismissed it

    @property
    def stored(self) -> "Standing":
        """As the row takes it: no cause is too long, and what is dismissed no more has no reason for it."""
        problem = self.problem if self.state == State.DISMISSED else ""
        if problem == self.problem and len(self.cause) <= _LONGEST_CAUSE:
            return self
        return self._replace(cause=self.cause[:_LONGEST_CAUSE], problem=problem)


def after_push(before: Standing, wanted: Wanted, result: Result, now: datetime) -> Standing:
    """How a row stands once its target was worked out, and sent where it had to be; `before` is not due any more."""
    quantity = wanted.target.quantity
    row = before._replace(wanted=quantity)
    for look in result.looks:
        row = row._replace(confirmed=look.shown, confirmed_at=look.at if look.shown is not None else row.confirmed_at)
    # Whether a figure that was sent before this one shows there, nobody has seen; nor what has become of one that is
    # to be read back.
    is_doubtful = (before.state == State.SENT or before.verify_at is not None) and not result.looks
    seen = None if is_doubtful else row.confirmed
    if result.status is Status.STOPPED:
        return row._replace(
            state=State.STOPPED,
            cause=result.cause,
            attempts=0,
            confirmed=seen,
            changed_at=None,
            due_at=None,
            verify_at=None,
        )
    if result.status is Status.KEPT:
        return row
    if result.status is Status.POSTPONED:
        return before._replace(due_at=_sooner(before.due_at, now + POSTPONED_FOR))
    if result.status is Status.HELD:
        return row._replace(state=State.WAITING, cause=GUARD, confirmed=seen)
    versions: dict[str, Any] = {
        # It only rises, but for another SKU, whose versions are others: the mark tells.
        "synced_version": max(before.synced_version, wanted.version)
        if wanted.rule == before.synced_rule
        else wanted.version,
        "synced_rule": wanted.rule,
    }
    if result.status is Status.UNCHANGED and before.state == State.SENT:
        return row._replace(**versions)  # it is still to be seen there
    if result.status is Status.UNCHANGED:
        return _in_sync(row._replace(**versions))
    if result.status is Status.READ:
        return _in_sync(row._replace(verify_at=None, **versions))
    if result.status is Status.APPLIED or result.status is Status.ACCEPTED:
        return row._replace(
            state=State.SENT,
            cause="",
            attempts=before.attempts if quantity == before.wanted else 0,
            pushed=quantity,
            pushed_at=result.at,
            verify_at=now + VERIFY_AFTER,
            **versions,
        )
    if result.status is Status.REFUSED:
        return row._replace(state=State.REFUSED, cause=result.cause, attempts=0, confirmed=seen, verify_at=None)
    failed = row._replace(attempts=row.attempts + 1, cause=result.cause, verify_at=None)
    again = now + delay(failed.attempts)
    if result.status is Status.STALE:
        # What it shows now is news; where it was not told, it is read before the next write.
        seen_at = result.at if result.shown is not None else row.confirmed_at
        return failed._replace(
            state=State.WAITING,
            cause=MOVED,
            confirmed=result.shown,
            confirmed_at=seen_at,
            due_at=_sooner(row.due_at, again),
        )
    if result.status is Status.FAILED:
        return failed._replace(state=State.FAILED, confirmed=seen, due_at=_sooner(row.due_at, again))
    return failed._replace(
        state=State.FAILED,
        pushed=quantity,
        pushed_at=result.at,
        confirmed=None,
        due_at=_sooner(row.due_at, again),
    )


def applied(now: datetime, count: int) -> dict[str, Any]:
    """What is the same for all plain rows once so many were sent together; PLAIN says what differs."""
    return {
        "state": State.SENT,
        "cause": "",
        "problem": "",
        "attempts": 0,
        "due_at": None,
        "verify_at": now + (VERIFY_AFTER if count < MANY else VERIFY_MANY_AFTER),
    }


PLAIN = ("wanted", "pushed", "pushed_at", "synced_version", "synced_rule")


def plain(claim: Claim, wanted: Wanted, result: Result) -> tuple[Any, ...] | None:
    """The values of PLAIN behind the key, for a row that took its figure and how it stands follows from its claim;
    None for any other. applied() says the same of it as after_push(), as long as nobody touched the row since."""
    quantity, version, rule = result.quantity, wanted.version, wanted.rule
    if result.status not in _TAKEN or result.looks or (claim.attempts and quantity == claim.wanted):
        return None
    if version < claim.synced_version and rule == claim.synced_rule:
        return None
    return result.pk, quantity, quantity, result.at, version, rule


def after_look(before: Standing, result: Result, now: datetime) -> Standing:
    """How a row stands once it was read back."""
    row = before
    if result.status is Status.REFUSED:  # the platform does not know the listing
        return row._replace(state=State.REFUSED, cause=result.cause, attempts=0, verify_at=None)
    attempts = row.attempts + 1
    is_left_alone = row.state in {State.REFUSED, State.DISMISSED, State.STOPPED} or row.cause == GUARD
    if result.shown is None:
        if attempts < MOST_LOOKS:
            row = row._replace(attempts=attempts, verify_at=now + delay(attempts))
        else:
            row = row._replace(attempts=0 if is_left_alone else attempts, confirmed=None, verify_at=None)
        if is_left_alone:
            return row
        state = row.state if row.verify_at is not None else State.FAILED
        return row._replace(state=state, cause=result.cause or "not-read")
    row = row._replace(confirmed=result.shown, confirmed_at=result.at, verify_at=None)
    if row.wanted is None or row.state == State.STOPPED:
        return row
    if result.shown == row.wanted:
        return _in_sync(row)
    if is_left_alone:
        return row
    row = row._replace(attempts=attempts, cause=NOT_SHOWN, changed_at=row.changed_at or now)
    if attempts >= MOST_LOOKS:
        return row._replace(state=State.REFUSED)
    return row._replace(state=State.WAITING, due_at=_sooner(row.due_at, now + delay(attempts)))


def _in_sync(row: Standing) -> Standing:
    """It shows what was wanted; one that is due again waits for its next target."""
    if row.due_at is not None:
        return row._replace(state=State.WAITING, cause="", attempts=0)
    return row._replace(state=State.IN_SYNC, cause="", attempts=0, changed_at=None)


def _sooner(due_at: datetime | None, other: datetime) -> datetime:
    return other if due_at is None else min(due_at, other)
