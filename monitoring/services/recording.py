"""Readings become history: change points, gaps, and the latest facts of each listing."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from catalog.database import Rows, copy_rows, update_alike, update_rows
from catalog.facts import Facts, ShelfState
from catalog.models import Listing
from monitoring.models import GAP_INTERVALS, ListingWatch, Observation
from monitoring.services.planning.crossing import check_listings
from monitoring.services.prices import mark_repriced
from monitoring.services.thresholds import Read, check_readings
from monitoring.services.watching import Claim, Run, microseconds
from monitoring.timing import CLOCK_SKEW, due_after_absence, due_after_failure, due_after_success, gap_start

_FACT_FIELDS = ("list_price", "live_price", "promotion_price", "stock", "shelf_state")
_PRICES = 3  # of them, the first ones
_STOCK = _FACT_FIELDS.index("stock")
_NAME_FIELDS = ("title", "outer_id")
_WATCH_FIELDS = ("outcome", "cause", "attempts", "read_at", "next_due_at")
_GAP = {"is_gap": True, **dict.fromkeys(_FACT_FIELDS), "shelf_state": ShelfState.UNKNOWN.value}
_NOTHING = Facts()
_SKEW_US = CLOCK_SKEW // timedelta(microseconds=1)
# What the columns hold: ten digits before the point, four after it; four bytes of stock.
_PRICE_LIMIT = Decimal(10) ** 10
_STOCK_LIMIT = 2**31
_SHELF_TEXTS = {state: state.value for state in ShelfState}
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
    not later than the last observation is not stored, unless that one lies far ahead: then a wrong clock wrote it, and
    it stays where it is, out of sight until its time. `interval` replaces the listings' own for this pass.
    Thresholds are judged in the same transaction.
    """
    good: list[tuple[int, str, datetime]] = []  # listing, remark, due; read now, and the last of all
    reads: list[Read] = []  # the same with what they said, for thresholds
    others: list[tuple[Any, ...]] = []  # whole rows of watches
    repriced: list[int] = []  # listings with another price
    restocked: list[int] = []  # listings that show another stock
    changed = Rows()  # listing and its facts: observations, and the latest facts of the listings
    gaps: list[tuple[int, datetime]] = []  # listing, and since when it was not known before this reading
    renamed: list[tuple[int, str, str]] = []
    due_by_seconds: dict[int, datetime] = {}  # most listings of a chunk share their interval
    now_us = microseconds(now)

    for reading in readings:
        claim = claims[reading.listing_id]
        # Rounded up: what speaks for no time at all would be a gap in the moment it is stored.
        seconds = claim.interval_seconds if interval is None else -(-interval // timedelta(seconds=1))
        facts = reading.facts
        values = None if facts is None or facts == _NOTHING else _values(facts)
        if reading.outcome != _READ or values is None:
            others.append(_unread_row(claim, reading, seconds, now))
            continue
        due_at = due_by_seconds.get(seconds)
        if due_at is None:
            span = timedelta(seconds=seconds)
            due_at = due_by_seconds[seconds] = due_after_success(started_at=run.started_at, interval=span, now=now)
        if not run.is_scheduled and claim.next_due_us > now_us:
            due_at = claim.next_due_at  # a reading in between does not take it out of its pass
        cause = reading.cause[:_LONGEST_CAUSE]
        if _is_late(claim, now_us):
            others.append((claim.listing_id, _READ, cause, 0, claim.read_at, due_at))
            continue
        good.append((claim.listing_id, cause, due_at))
        reads.append(Read(claim, values, seconds, due_at))
        gap_at = _gap_at(claim, seconds, now, now_us)
        is_new = _is_unplaced(claim, now_us) or gap_at is not None or values != claim[6:11]
        if gap_at is not None:
            gaps.append((claim.listing_id, gap_at))
        if is_new:
            changed.append((claim.listing_id, *values))
            if values[:_PRICES] != claim[6 : 6 + _PRICES]:
                repriced.append(claim.listing_id)
            if values[_STOCK] != claim[6 + _STOCK]:
                restocked.append(claim.listing_id)
        if reading.title != claim.title or reading.outer_id != claim.outer_id:
            title = _text(reading.title, _LONGEST_TITLE) or claim.title
            outer_id = _text(reading.outer_id, _LONGEST_OUTER_ID) or claim.outer_id
            if (title, outer_id) != (claim.title, claim.outer_id):
                renamed.append((claim.listing_id, title, outer_id))

    with transaction.atomic():
        # First, because it tells which leases are still ours; whoever has the others records them.
        ours = _complete(run, token, good, others, now)
        if len(ours) < len(good) + len(others):
            changed = Rows(row for row in changed if row[0] in ours)
            gaps = [row for row in gaps if row[0] in ours]
            renamed = [row for row in renamed if row[0] in ours]
            reads = [read for read in reads if read.claim.listing_id in ours]
        if gaps:
            copy_rows(Observation, ("listing", "observed_at"), gaps, also=_GAP)
        if changed:
            copy_rows(Observation, ("listing", *_FACT_FIELDS), changed, also={"observed_at": now, "is_gap": False})
        # When it was written, which may be later than when it was read.
        written = {"updated_at": timezone.now()}
        update_rows(Listing, "id", _FACT_FIELDS, changed, also={"observed_at": now, **written})
        update_rows(Listing, "id", _NAME_FIELDS, renamed, also=written)
        mark_repriced([pk for pk in repriced if pk in ours], now=now)
        check_readings(channel_id=run.channel_id, reads=reads, now=now, started_at=run.started_at)
        if restocked:
            # What is wrong with a plan is no reason to lose what was read.
            moved = [pk for pk in restocked if pk in ours]
            transaction.on_commit(partial(check_listings, moved, now=now), robust=True)

    outcomes = [row[1] for row in others if row[0] in ours]
    missing = outcomes.count(ListingWatch.Outcome.MISSING.value)
    read = outcomes.count(_READ) + sum(1 for row in good if row[0] in ours)
    return Recorded(
        read=read,
        changed=len(changed),
        missing=missing,
        failed=len(ours) - read - missing,
        lost=len(good) + len(others) - len(ours),
    )


def _complete(
    run: Run, token: UUID, good: list[tuple[int, str, datetime]], others: list[tuple[Any, ...]], now: datetime
) -> set[int]:
    """Write how each listing was handled and end its lease, in one statement; returns the listings that were ours."""
    handled = {"tried_at": now, "poll_run": run.pk, "lease_token": None, "lease_until": None}
    only = {"lease_token": token}
    if not others and len({row[1:] for row in good}) == 1:
        # The usual chunk: everything was read, and is due again together.
        _listing_id, cause, due_at = good[0]
        same = {"outcome": _READ, "cause": cause, "attempts": 0, "read_at": now, "next_due_at": due_at}
        keys = [row[0] for row in good]
        return set(update_alike(ListingWatch, keys, {**handled, **same}, only=only))
    rows: list[tuple[Any, ...]] = [(listing_id, _READ, cause, 0, now, due_at) for listing_id, cause, due_at in good]
    return set(update_rows(ListingWatch, "listing", _WATCH_FIELDS, rows + others, also=handled, only=only))


def _values(facts: Facts) -> tuple[Any, ...] | None:
    """The facts as a claim holds them and as columns take them, amounts as text with the four decimals of a column.

    None for what no column can hold, which cannot be a fact either.
    """
    texts: list[str | None] = []
    for price in (facts.list_price, facts.live_price, facts.promotion_price):
        if price is None:
            texts.append(None)
        elif price.is_finite() and abs(price) < _PRICE_LIMIT:
            texts.append(format(price, ".4f"))
        else:
            return None
    if facts.stock is not None and abs(facts.stock) >= _STOCK_LIMIT:
        return None
    return (*texts, facts.stock, _SHELF_TEXTS[facts.shelf_state])


def _is_late(claim: Claim, now_us: int) -> bool:
    """Whether something newer is stored, which an older reading must not overwrite.

    What lies far ahead is not newer: a clock that ran ahead wrote it, and waiting for that time to come would mean to
    throw away every reading until then.
    """
    ahead = now_us + _SKEW_US
    return (claim.observed_us is not None and now_us <= claim.observed_us <= ahead) or (
        claim.read_us is not None and now_us < claim.read_us <= ahead
    )


def _is_unplaced(claim: Claim, now_us: int) -> bool:
    """Whether no observation is known to hold now: there is none, or its time is one that has not come yet."""
    return claim.observed_us is None or claim.observed_us > now_us


def _gap_at(claim: Claim, seconds: int, now: datetime, now_us: int) -> datetime | None:
    """Since when the listing was not known before this good reading, None when it was or never had been."""
    span = seconds * 1_000_000
    if claim.observed_us is None or claim.read_us is None or now_us - claim.read_us <= span:
        return None
    interval = timedelta(seconds=seconds)
    return gap_start(read_at=claim.read_at, interval=interval, gap_after=interval * GAP_INTERVALS, now=now)


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
