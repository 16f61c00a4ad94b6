"""Pushing stock as a job of the lanes: every channel that is behind is sent its newest targets, and read back.

A row is due once, however often its SKU moved: the target is worked out while its lease is held, so that the newest
figure is what is sent. While a channel has nothing to send, what was sent is read back.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4, uuid5

import orjson
from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet
from django.utils import timezone

from catalog.database import Microseconds, among, claim_rows, driver_rows, moment_of, update_rows
from integrations.connectors.base import Capability, Connector, PushStatus, StockTarget
from integrations.connectors.errors import ConnectorError, Retry
from integrations.lanes.engine import SHARE, Engine
from integrations.lanes.lane import Batch, Chunk, Job, Lane
from integrations.lanes.outcomes import INTERNAL, PERMISSION, stored
from integrations.lanes.problem import Problem
from integrations.syncing import guards, orders, runs, verifying
from integrations.syncing.models import ChannelSync, ListingSync, SyncRun
from integrations.syncing.rows import (
    GUARD,
    NOT_SHOWN,
    NOTHING_WANTED,
    PLAIN,
    SENT,
    Claim,
    Result,
    Standing,
    State,
    Status,
    Wanted,
    after_look,
    after_push,
    applied,
    plain,
)
from integrations.syncing.wanted import left_of, wanted_of

logger = logging.getLogger(__name__)

LANE_EVERY = timedelta(minutes=1)  # how often the clock starts a slice
LEASE = timedelta(seconds=120)
_LOOKING = 2  # chunks of a channel that are read back at a time: one is out while the other is written
_LONGEST_WAIT_FOR_ORDERS = timedelta(seconds=15)
_LONGEST_CAUSE = 60
_CLAIM_COLUMNS = (
    "pk",
    "listing_id",
    "listing__platform_item_id",
    "listing__platform_sku_id",
    "listing__platform_stock_id",
    "location_id",
    "state",
    "cause",
    "attempts",
    "wanted",
    "pushed",
    "confirmed",
    "synced_version",
    "synced_rule",
    Microseconds("verify_at"),
)
_STATUSES = {status: Status(status) for status in PushStatus}
_LEFT_ALONE = (State.REFUSED, State.DISMISSED)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENTS = [place for place, name in enumerate(Standing._fields) if name.endswith("_at")]
_DUE_AT = Standing._fields.index("due_at")


@dataclass(frozen=True, slots=True)
class PushSummary:
    """Rows by what became of them; `more_due` and `due_at` as of a slice of any lane."""

    sent: int = 0
    unchanged: int = 0
    refused: int = 0
    failed: int = 0
    looked: int = 0  # read back
    problems: list[Problem] = field(default_factory=list)
    more_due: bool = False
    due_at: datetime | None = None

    def __str__(self) -> str:
        line = f"{self.sent} sent, {self.unchanged} unchanged, {self.refused} refused, {self.failed} failed"
        line += f", {self.looked} read back"
        return f"{line}, {len(self.problems)} problems" if self.problems else line


def push_slice(
    *, now_fn: Callable[[], datetime] = timezone.now, seconds: float, channel_ids: Collection[int] | None = None
) -> PushSummary:
    """Send what is due, fairly to all channels whose sync is on (or these of them), for at most `seconds`.

    Any number of slices may run at once, on any number of hosts: each works on other rows.
    """
    runs.end_abandoned_runs(now=now_fn())
    job = PushingJob(channel_ids=channel_ids)
    engine = Engine(job, clock=now_fn, seconds=seconds, is_alone=_writable(channel_ids).count() == 1)
    engine.run()
    job.end_runs(now_fn())
    now = engine.looked_at or now_fn()
    counts = engine.counts
    summary = PushSummary(
        **{name: counts[name] for name in ("sent", "unchanged", "refused", "failed", "looked")},
        problems=sorted(engine.problems.values(), key=lambda problem: problem.channel_id),
        more_due=engine.has_more,
        due_at=_next_due(now, now_fn() + LANE_EVERY, channel_ids),
    )
    if engine.lanes:
        logger.info("pushed to %s channels: %s", len(engine.lanes), summary)
    return summary


def _writable(channel_ids: Collection[int] | None = None) -> QuerySet[ChannelSync]:
    """The channels whose stock may be written now."""
    on = ChannelSync.objects.filter(is_on=True, is_confirmed=True, is_paused=False).exclude(
        channel__credential__reads_only=True
    )
    return on if channel_ids is None else on.filter(channel__in=channel_ids)


def _free(now: datetime) -> Q:
    return Q(lease_until__isnull=True) | Q(lease_until__lte=now)


def _next_due(now: datetime, until: datetime, channel_ids: Collection[int] | None) -> datetime | None:
    """When the first row is due after `now` and before `until`; None when none is."""
    moments = []
    for name in ("due_at", "verify_at"):
        rows = ListingSync.objects.filter(channel__in=_writable(channel_ids).values("channel"))
        soon = rows.filter(**{f"{name}__gt": now, f"{name}__lt": until})
        moments.append(soon.aggregate(first=Min(name))["first"])
    return min(filter(None, moments), default=None)


class PushingJob(Job):
    """Rows that are due are worked out and sent; where none is, those to be verified are read back."""

    name = "push"
    chunk = 2_500  # what a chunk costs besides its rows is much, and the calls wait for it

    def __init__(self, *, channel_ids: Collection[int] | None = None) -> None:
        self._channel_ids = channel_ids
        self._wanted: dict[int, Wanted] = {}  # by row, while its chunk is not recorded
        self._runs: dict[int, SyncRun] = {}  # of this slice, by channel
        self._awaits_orders: set[int] = set()  # channels whose orders are about to be read
        self._guard = guards.Guard()
        self._begun: set[Lane] = set()  # whose lost rows were looked for
        self._held: set[int] = set()  # rows that would go to 0 and wait for a person, while their chunk is not recorded

    def due_channels(self, now: datetime) -> list[int]:
        rows = ListingSync.objects.filter(channel=OuterRef("channel")).filter(_free(now))
        due = Exists(rows.filter(due_at__lte=now)) | Exists(rows.filter(verify_at__lte=now))
        return list(_writable(self._channel_ids).filter(due).order_by("channel").values_list("channel", flat=True))

    def rows_per_call(self, connector: Connector) -> int:
        return max(connector.max_rows_per_push, 1)

    # --- Claiming ---------------------------------------------------------------------------------------------------

    def claim(self, lane: Lane, chunk: Chunk, limit: int, now: datetime) -> None:
        if lane not in self._begun:
            self._begun.add(lane)
            _free_lost(lane.channel.pk, now)
        chunk.lease_until = None
        if lane.run is None:
            lane.run = runs.asked_run(lane.channel)
        rows = ListingSync.objects.filter(channel=lane.channel)
        lease = {"lease_token": chunk.token, "lease_until": now + LEASE}
        # What lost its worker meanwhile has to be freed first, and so is left to the next lane.
        due = rows.filter(due_at__lte=now, lease_token__isnull=True).order_by("due_at", "pk")[:limit]
        # Due again when the lease is over, should nobody tell what came of it; sooner when it is marked meanwhile.
        claimed = claim_rows(due, _CLAIM_COLUMNS, {**lease, "due_at": now + LEASE})
        if claimed:
            chunk.lease_until = now + LEASE
            chunk.has_more = True  # to be read back, when no more is due
            claims = [Claim._make(row) for row in claimed]
            self._note_awaited_orders(claims, lane.channel.pk, now)
            wanted = wanted_of(sorted({claim.listing_id for claim in claims}))
            wanted |= left_of(wanted, claims)
            zeros = []
            for claim in claims:
                each = wanted.get((claim.listing_id, claim.location_id), NOTHING_WANTED)
                self._wanted[claim.pk] = each
                if each.target.quantity == 0 and _without_call(claim, each, claim.known) is None:
                    zeros.append(claim.pk)  # over something else, as far as we know
            if zeros:
                self._held |= self._guard.held(lane.channel.pk, zeros, now)
        elif sum(not _is_push(each) for each in lane.chunks) >= _LOOKING:
            claims = []
        else:
            # Only a few, so that what becomes due meanwhile does not wait for all that is to be read back.
            limit = min(limit, _looks_at_once(lane))
            to_look_at = rows.filter(_free(now), verify_at__lte=now).order_by("verify_at", "pk")[:limit]
            claims = [Claim._make(row) for row in claim_rows(to_look_at, _CLAIM_COLUMNS, lease)]
            chunk.has_more = len(claims) == limit
        chunk.claims = {claim.pk: claim for claim in claims}

    def _note_awaited_orders(self, claims: Sequence[Claim], channel_id: int, now: datetime) -> None:
        self._awaits_orders.discard(channel_id)
        if any(claim.cause and claim.has_moved for claim in claims):
            since = now - _LONGEST_WAIT_FOR_ORDERS
            sync = ChannelSync.objects.filter(channel=channel_id, orders_due_at__gt=since, orders_due_at__lte=now)
            if sync.exists():
                self._awaits_orders.add(channel_id)

    def split(self, chunk: Chunk) -> list[Batch]:
        return self._looks(chunk) if not _is_push(chunk) else self._pushes(chunk)

    def _looks(self, chunk: Chunk) -> list[Batch]:
        connector = chunk.lane.connector
        capability = verifying.capability_of(connector)
        return [
            Batch(chunk, capability, [claim.pk for claim in claims], claims)
            for _refs, claims in verifying.batches(connector, list(chunk.claims.values()))
        ]

    def _pushes(self, chunk: Chunk) -> list[Batch]:
        lane, targets = chunk.lane, []
        pks: dict[tuple[int, str], int] = {}
        refusal = lane.refused.get(Capability.PUSH_STOCK, "")
        can_push = Capability.PUSH_STOCK in lane.connector.capabilities
        awaits_orders = lane.channel.pk in self._awaits_orders
        for pk, claim in chunk.claims.items():
            quantity, known = self._wanted[pk].target.quantity, claim.known
            result = _without_call(claim, self._wanted[pk], known)
            if result is None and pk in self._held:
                result = Result(pk, Status.HELD)
            if result is None and awaits_orders and claim.has_moved:
                result = Result(pk, Status.POSTPONED)
            if result is None and not can_push:
                result = Result(pk, Status.REFUSED, cause="unsupported")
            elif result is None and refusal:
                result = Result(pk, Status.FAILED, cause=refusal)
            if result is not None:
                chunk.results.append(result)
                continue
            assert quantity is not None  # noqa: S101  # such a row is not sent
            listing_id, location_id = claim.listing_id, claim.location_id
            targets.append(
                StockTarget(listing_id, claim.item_id, claim.sku_id, quantity, known, location_id, claim.stock_id)
            )
            pks[listing_id, location_id] = pk
        return [
            Batch(
                chunk,
                Capability.PUSH_STOCK,
                [pks[target.listing_id, target.location_id] for target in batch],
                (uuid4(), batch),
            )
            for batch in (lane.connector.push_batches(targets) if targets else [])
        ]

    # --- Calling ----------------------------------------------------------------------------------------------------

    def call(self, batch: Batch, now: datetime) -> list[Result]:
        connector = batch.chunk.lane.connector
        if not _is_push(batch.chunk):
            return verifying.look(connector, batch.rows, now)
        name, targets = batch.rows
        claims = [batch.chunk.claims[pk] for pk in batch.keys]
        return _push(connector, name, claims, targets, now)

    def without_answer(self, batch: Batch, error: ConnectorError, *, is_refused: bool) -> list[Result]:
        if not _is_push(batch.chunk):
            status = Status.UNREAD
        elif is_refused and error.cause != PERMISSION:
            status = Status.REFUSED
        elif error.cause == INTERNAL or (isinstance(error, Retry) and error.may_have_arrived):
            status = Status.LOST
        else:
            status = Status.FAILED
        targets: Sequence[StockTarget | None] = batch.rows[1] if _is_push(batch.chunk) else [None] * len(batch.keys)
        return [
            Result(
                pk,
                status,
                at=batch.sent_at,
                quantity=target.quantity if target is not None else None,
                expected=target.expected if target is not None else None,
                error_class=error.kind,
                cause=error.cause,
                code=error.code,
            )
            for pk, target in zip(batch.keys, targets, strict=True)
        ]

    def has_other_kinds(self, lane: Lane) -> bool:
        return True  # reading goes on where writing is not permitted

    # --- Recording --------------------------------------------------------------------------------------------------

    def keys_of(self, results: Sequence[Result]) -> list[int]:
        return [result.pk for result in results]

    def record(self, chunk: Chunk, now: datetime) -> Counter[str]:
        counts: Counter[str] = Counter()
        _release(chunk.untried, chunk, now)
        for cause, keys in chunk.held.items():
            _release(keys, chunk, now, cause=cause)
            counts["failed"] += len(keys)
        if chunk.results:
            counts += self._write(chunk, now)
        for pk in chunk.claims:
            self._wanted.pop(pk, None)
            self._held.discard(pk)
        return counts

    def _write(self, chunk: Chunk, now: datetime) -> Counter[str]:
        results = {result.pk: result for result in chunk.results}
        is_push = _is_push(chunk)
        logs = is_push and any(result.at is not None for result in results.values())
        run = chunk.lane.run or (self._run(chunk.lane, now) if logs else None)
        with transaction.atomic():
            done = self._write_plain(chunk, results, now) if is_push else []
            before = _held_rows(results, chunk.token)
            after = {
                pk: _still_doubted(
                    chunk.claims[pk],
                    standing,
                    after_push(standing, self._wanted[pk], results[pk], now)
                    if is_push
                    else after_look(standing, results[pk], now),
                )
                for pk, standing in before.items()
            }
            _store(before, after)
            # Others have the lease by now; what we wrote may have come after what they wrote, so it is read back.
            lost = [pk for pk, result in results.items() if pk not in before and result.status in SENT]
            if lost:
                ListingSync.objects.filter(pk__in=among(lost)).update(verify_at=now)
            ours = [results[pk] for pk in before]
            if any(_has_moved(result, after[result.pk]) for result in ours):
                orders.make_due([chunk.lane.channel.pk], now=now)
            if is_push:
                counts = runs.counted(ours)
                counts["sent"] += len(done)
                if run is not None:
                    runs.count(run, counts)
                    if any(result.status is Status.HELD for result in ours):
                        runs.note_stop(run, GUARD)
                    plain = [(chunk.claims[result.pk], self._wanted[result.pk], result) for result in done]
                    pushes: list[tuple[Claim, Wanted, Result, int | None]] = []
                    for result in ours:
                        is_seen = result.status is Status.READ
                        after_ms = runs.confirmed_after_ms(before[result.pk], result) if is_seen else None
                        if result.at is not None:
                            pushes.append((chunk.claims[result.pk], self._wanted[result.pk], result, after_ms))
                    runs.log_pushes(run, plain, pushes, now=now)
            else:
                counts = Counter(looked=len(ours))
                if run is not None:
                    in_sync = [each for each in before if after[each].state == State.IN_SYNC]
                    # What the run sent itself was counted then.
                    unchanged = [each for each in in_sync if not _was_sent(before[each], run.started_at)]
                    runs.count(run, {"unchanged": len(unchanged)})
                looks = []
                for result in ours:
                    outcome = _seen(before[result.pk], after[result.pk], result)
                    after_ms = runs.confirmed_after_ms(before[result.pk], result) if outcome == "confirmed" else None
                    looks.append((chunk.claims[result.pk], result, outcome, after_ms))
                runs.log_looks(looks, now=now)
        return counts

    def _write_plain(self, chunk: Chunk, results: dict[int, Result], now: datetime) -> list[Result]:
        """Store what went as it should, and take it out of the results; nearly all does, and is not read again for it.

        What somebody marked meanwhile, or has the lease of by now, stays in them.
        """
        claims, wanted_of_row = chunk.claims, self._wanted
        rows = [
            row for pk, result in results.items() if (row := plain(claims[pk], wanted_of_row[pk], result)) is not None
        ]
        stored = update_rows(
            ListingSync,
            "id",
            PLAIN,
            rows,
            also={**applied(now, len(rows)), "lease_token": None, "lease_until": None},
            only={"lease_token": chunk.token, "due_at": chunk.lease_until},
        )
        return [results.pop(pk) for pk in stored]

    def give_back(self, lane: Lane, keys: Sequence[int], token: UUID, now: datetime, *, cause: str = "") -> None:
        """What came of these rows could not be recorded: they are read back before they are sent again."""
        ours = ListingSync.objects.filter(pk__in=among(list(keys)), lease_token=token)
        ours.update(
            lease_token=None,
            lease_until=None,
            due_at=now,
            confirmed=None,
            state=State.FAILED,
            cause=cause,
            problem="",
            attempts=F("attempts") + 1,
        )

    def close(self, lane: Lane, now: datetime) -> None:
        """End the run that somebody asked for, unless the slice was over before it was."""
        left = ListingSync.objects.filter(Q(due_at__lte=now) | Q(verify_at__lte=now), channel=lane.channel)
        if not left.exists():
            runs.end_run(lane.run, now=now)

    def _run(self, lane: Lane, now: datetime) -> SyncRun:
        channel = lane.channel
        if channel.pk not in self._runs:
            self._runs[channel.pk] = runs.open_run(channel, SyncRun.Kind.INCREMENTAL, now=now)
        return self._runs[channel.pk]

    def end_runs(self, now: datetime) -> None:
        """End the runs of changes that this slice began."""
        for run in self._runs.values():
            stored(run.channel, partial(runs.end_run, run, now=now))


def _looks_at_once(lane: Lane) -> int:
    """Rows of one chunk that is read back: with the other chunk they take the channel about a second."""
    rate = lane.pace.calls_per_second if lane.pace is not None else None
    calls = SHARE if rate is None else max(1, min(SHARE, int(rate / _LOOKING)))
    return calls * lane.connector.max_items_per_read


def _is_push(chunk: Chunk) -> bool:
    """Whether its rows are sent, rather than read back: only a write must not outlast its lease."""
    return chunk.lease_until is not None


def _free_lost(channel_id: int, now: datetime) -> None:
    """Rows whose worker did not say what came of them: what they show is not known, so they are read first."""
    lost = ListingSync.objects.filter(
        channel=channel_id, due_at__lte=now, lease_token__isnull=False, lease_until__lte=now
    )
    lost.update(
        lease_token=None,
        lease_until=None,
        confirmed=None,
        state=State.FAILED,
        cause="interrupted",
        problem="",
        attempts=F("attempts") + 1,
    )


def _held_rows(keys: Collection[int], token: UUID) -> dict[int, Standing]:
    """The rows that are still ours, locked, as they stand once the claim is over."""
    if not keys:
        return {}
    rows = ListingSync.objects.select_for_update().filter(pk__in=among(list(keys)), lease_token=token).order_by("pk")
    columns = list(zip(*driver_rows(rows, ("pk", "lease_until", *Standing._fields)), strict=True))
    if not columns:
        return {}
    pks, leases, *values = columns
    # As the claim left it: nobody marked it since.
    values[_DUE_AT] = tuple(None if at == lease else at for at, lease in zip(values[_DUE_AT], leases, strict=True))
    for place in _MOMENTS:
        values[place] = tuple(at and moment_of(at) for at in values[place])
    return dict(zip(pks, map(Standing._make, zip(*values, strict=True)), strict=True))


def _still_doubted(claim: Claim, before: Standing, after: Standing) -> Standing:
    """A look that was wanted since the row was claimed is not made by one that was out by then."""
    if after.verify_at is not None or before.verify_at is None:
        return after
    if claim.verify_us is not None and before.verify_at == _EPOCH + timedelta(microseconds=claim.verify_us):
        return after
    return after._replace(verify_at=before.verify_at)


def _store(before: Mapping[int, Standing], after: Mapping[int, Standing]) -> None:
    """End the lease of these rows, which are locked, with what changed of them."""
    if not after:
        return
    stored = [standing.stored for standing in after.values()]
    columns = zip(Standing._fields, zip(*before.values(), strict=True), zip(*stored, strict=True), strict=True)
    # The claim had set when it is due.
    changed = {name: values for name, earlier, values in columns if values != earlier or name == "due_at"}
    update_rows(
        ListingSync,
        "id",
        list(changed),
        list(zip(after, *changed.values(), strict=True)),
        also={"lease_token": None, "lease_until": None},
    )


def _release(keys: Sequence[int], chunk: Chunk, now: datetime, *, cause: str = "") -> None:
    """Give rows back that nothing was sent for; with a cause, it is their channel's and costs them nothing."""
    if not keys:
        return
    ours = ListingSync.objects.filter(pk__in=among(list(keys)), lease_token=chunk.token)
    changes: dict[str, object] = {"lease_token": None, "lease_until": None}
    if _is_push(chunk):
        changes["due_at"] = now
    if cause:
        changes["cause"] = cause[:_LONGEST_CAUSE]
    ours.update(**changes)


def _without_call(claim: Claim, wanted: Wanted, known: int | None) -> Result | None:
    """What becomes of a row that needs no call; None for one that is to be sent."""
    quantity = wanted.target.quantity
    if quantity is None:
        return Result(claim.pk, Status.STOPPED, cause=str(wanted.target.blocked or ""))
    if claim.state in _LEFT_ALONE and quantity == claim.wanted:
        return Result(claim.pk, Status.KEPT)
    if quantity == known:
        return Result(claim.pk, Status.UNCHANGED)
    return None


def _push(
    connector: Connector, name: UUID, claims: Sequence[Claim], targets: Sequence[StockTarget], now: datetime
) -> list[Result]:
    """Send one batch, in a thread; what nobody knows the figure of is read first, and not sent where it shows already.

    Raises ConnectorError only when nothing was written.
    """
    # What it shows is to be known before it is written: to be compared with, or since nobody knows what an earlier
    # write did.
    compares = connector.has_compare_and_set
    unknown = [
        claim
        for claim, target in zip(claims, targets, strict=True)
        if target.expected is None and (compares or claim.attempts > 0)
    ]
    looks = {look.pk: look for look in verifying.look(connector, unknown, now)} if unknown else {}
    results: dict[int, Result] = {}
    sent: list[StockTarget] = []
    keys: list[int] = []
    for claim, target in zip(claims, targets, strict=True):
        look = looks.get(claim.pk) if looks else None
        if look is None:
            keys.append(claim.pk)
            sent.append(target)
        elif look.status is Status.REFUSED:
            results[claim.pk] = Result(claim.pk, Status.REFUSED, at=now, cause=look.cause, looks=(look,))
        elif look.shown is None and claim.attempts and look.cause != verifying.NOT_STOCKED:
            # It is not written over what nobody could compare with: an earlier write may have done anything.
            results[claim.pk] = Result(claim.pk, Status.FAILED, at=now, cause=look.cause, looks=(look,))
        elif look.shown == target.quantity:
            results[claim.pk] = Result(claim.pk, Status.READ, at=now, shown=look.shown, looks=(look,))
        else:
            keys.append(claim.pk)
            sent.append(target._replace(expected=look.shown))
    if sent:
        # The same rows of the same push have the same key whenever they are sent, and others never do.
        key = str(uuid5(name, orjson.dumps(list(map(tuple, sent))).decode()))
        started = time.monotonic()
        outcomes = connector.push_stock(sent, key=key, now=now)
        took = int((time.monotonic() - started) * 1000)
        for pk, target, (_listing, _location, status, cause, shown) in zip(keys, sent, outcomes, strict=True):
            look = looks.get(pk) if looks else None
            results[pk] = Result(
                pk,
                _STATUSES[status],
                now,
                target[3],  # its quantity, and what is expected; of thousands of rows
                target[4],
                shown,
                "",
                cause,
                "",
                key,
                took,
                (look,) if look is not None else (),
            )
    return [results[claim.pk] for claim in claims]


def _has_moved(result: Result, after: Standing) -> bool:
    """Whether something else than we changed what it shows: an order may be on its way to us."""
    if result.status is Status.STALE:
        return True
    return result.status is Status.READ and after.state == State.WAITING and after.cause == NOT_SHOWN


def _was_sent(before: Standing, since: datetime) -> bool:
    return before.state == State.SENT and before.pushed_at is not None and before.pushed_at >= since


def _seen(before: Standing, after: Standing, result: Result) -> str:
    """The outcome of an item by what was seen; "" leaves what it is."""
    if result.shown is not None and result.shown == after.wanted:
        return "confirmed"
    return "not-shown" if after.state in {State.WAITING, State.REFUSED} and before.state != after.state else ""
