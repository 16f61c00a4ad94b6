"""Readings become history: change points, gaps, and the latest facts of each listing."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from django.db import transaction

from catalog.database import copy_rows, update_rows
from catalog.facts import Facts, ShelfState
from catalog.models import Listing
from monitoring.models import GAP_INTERVALS, ListingWatch, Observation
from monitoring.services.watching import Claim, Run
from monitoring.timing import due_after_absence, due_after_failure, due_after_success, gap_start

_FACT_FIELDS = ("list_price", "live_price", "promotion_price", "stock", "shelf_state")
_OBSERVATION_FIELDS = ("listing", "observed_at", "is_gap", *_FACT_FIELDS)
_LISTING_FIELDS = (*_FACT_FIELDS, "observed_at", "title", "outer_id")
_WATCH_FIELDS = ("outcome", "cause", "attempts", "read_at", "next_due_at")
_GAP = (True, None, None, None, None, ShelfState.UNKNOWN.value)
_NOTHING = Facts()
# What the columns hold: ten digits before the point, four after it; four bytes of stock.
_PRICE_LIMIT = Decimal(10) ** 10
_PRICE_UNIT = Decimal("0.0001")
_STOCK_LIMIT = 2**31
_READ = ListingWatch.Outcome.READ.value
_FAILED = ListingWatch.Outcome.FAILED.value
_LONGEST_CAUSE = 60
_LONGEST_TITLE = 255
_LONGEST_OUTER_ID = 128


class Reading(Protocol):
    """What one read said about one listing; there are facts exactly when the outcome is "read"."""

    @property
    def listing_id(self) -> int: ...
    @property
    def outcome(self) -> str: ...
    @property
    def facts(self) -> Facts | None: ...
    @property
    def title(self) -> str: ...
    @property
    def outer_id(self) -> str: ...
    @property
    def cause(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many listings had which outcome; `lost` were not ours to record any more.

    `changed` counts those of the read ones that got an observation.
    """

    read: int = 0
    changed: int = 0
    missing: int = 0
    failed: int = 0
    lost: int = 0


def record(
    *,
    run: Run,
    token: UUID,
    claims: Mapping[int, Claim],
    readings: Iterable[Reading],
    now: datetime,
    interval: timedelta | None = None,
) -> Recorded:
    """Store what was read at `now` about listings leased with `token`, in one transaction, and end their leases.

    An observation is written for a listing whose facts changed, or that was never read, or not for longer than its
    gap; an unchanged one costs no row. A listing whose lease went to another worker is left to it. A reading that is
    not later than the last observation is not stored. `interval` replaces the listings' own for this pass.
    """
    watch_rows: list[tuple[Any, ...]] = []
    observations: dict[int, list[tuple[Any, ...]]] = {}
    listing_rows: dict[int, tuple[Any, ...]] = {}
    due_by_seconds: dict[int, datetime] = {}  # most listings of a chunk share their interval

    for reading in readings:
        claim = claims[reading.listing_id]
        seconds = claim.interval_seconds if interval is None else int(interval.total_seconds())
        facts = reading.facts
        values = None if facts is None or facts == _NOTHING else _values(facts)
        if str(reading.outcome) != _READ or values is None:
            watch_rows.append(_unread_row(claim, reading, seconds, now))
            continue
        due_at = due_by_seconds.get(seconds)
        if due_at is None:
            span = timedelta(seconds=seconds)
            due_at = due_by_seconds[seconds] = due_after_success(started_at=run.started_at, interval=span, now=now)
        if not run.is_scheduled and claim.next_due_at > now:
            due_at = claim.next_due_at  # a reading in between does not take it out of its pass
        is_late = _is_late(claim, now)
        read_at = claim.read_at if is_late else now
        watch_rows.append((claim.listing_id, _READ, reading.cause[:_LONGEST_CAUSE], 0, read_at, due_at))
        if is_late:
            continue
        span = timedelta(seconds=seconds)
        gap_at = gap_start(read_at=claim.read_at, interval=span, gap_after=span * GAP_INTERVALS, now=now)
        observed_at = claim.observed_at
        if observed_at is None or gap_at is not None or values != claim[6:11]:
            rows = observations[claim.listing_id] = []
            if gap_at is not None and observed_at is not None:
                rows.append((claim.listing_id, gap_at, *_GAP))
            rows.append((claim.listing_id, now, False, *values))
            observed_at = now
        title = _text(reading.title, _LONGEST_TITLE) or claim.title
        outer_id = _text(reading.outer_id, _LONGEST_OUTER_ID) or claim.outer_id
        if observed_at is now or title != claim.title or outer_id != claim.outer_id:
            listing_rows[claim.listing_id] = (claim.listing_id, *values, observed_at, title, outer_id)

    with transaction.atomic():
        # First, because it tells which leases are still ours; whoever has the others records them.
        ours = set(
            update_rows(
                ListingWatch,
                "listing",
                _WATCH_FIELDS,
                watch_rows,
                also={"tried_at": now, "poll_run": run.pk, "lease_token": None, "lease_until": None},
                only={"lease_token": token},
            )
        )
        new_rows = [row for listing_id, rows in observations.items() if listing_id in ours for row in rows]
        if new_rows:
            copy_rows(Observation, _OBSERVATION_FIELDS, new_rows)
        update_rows(Listing, "id", _LISTING_FIELDS, [row for pk, row in listing_rows.items() if pk in ours])

    outcomes = [row[1] for row in watch_rows if row[0] in ours]
    read, missing = outcomes.count(_READ), outcomes.count(ListingWatch.Outcome.MISSING.value)
    return Recorded(
        read=read,
        changed=len(observations.keys() & ours),
        missing=missing,
        failed=len(outcomes) - read - missing,
        lost=len(watch_rows) - len(ours),
    )


def _values(facts: Facts) -> tuple[Any, ...] | None:
    """The facts as the columns hold them; None for what no column can hold, which cannot be a fact either."""
    prices = (facts.list_price, facts.live_price, facts.promotion_price)
    for price in prices:
        if price is not None and (not price.is_finite() or abs(price) >= _PRICE_LIMIT):
            return None
    if facts.stock is not None and abs(facts.stock) >= _STOCK_LIMIT:
        return None
    return (*(_rounded(price) for price in prices), facts.stock, facts.shelf_state.value)


def _rounded(price: Decimal | None) -> Decimal | None:
    """At most four decimals: with more, a price would differ from its stored self at every reading."""
    if price is None or price == (rounded := price.quantize(_PRICE_UNIT)):
        return price
    return rounded


def _is_late(claim: Claim, now: datetime) -> bool:
    """Whether something newer is stored, which an older reading must not overwrite."""
    return (claim.observed_at is not None and now <= claim.observed_at) or (
        claim.read_at is not None and now < claim.read_at
    )


def _unread_row(claim: Claim, reading: Reading, seconds: int, now: datetime) -> tuple[Any, ...]:
    """The watch after a reading that brought no facts; the last good one stays what it is, and grows old."""
    outcome, cause = str(reading.outcome), reading.cause
    if outcome == _READ:
        outcome, cause = _FAILED, cause or "nothing-usable"
    attempts, interval = claim.attempts + 1, timedelta(seconds=seconds)
    due_at = (
        due_after_failure(attempts=attempts, interval=interval, now=now, spread=random.uniform)
        if outcome == _FAILED
        else due_after_absence(attempts=attempts, interval=interval, now=now)
    )
    return (claim.listing_id, outcome, cause[:_LONGEST_CAUSE], attempts, claim.read_at, due_at)


def _text(text: str, longest: int) -> str:
    """Text that every database takes: no NUL, no half of a surrogate pair."""
    if text.isascii() and "\x00" not in text:
        return text[:longest]
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:longest]
