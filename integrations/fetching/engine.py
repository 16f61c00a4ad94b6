"""The machine that fetches: claims, calls in a pool of threads, and one writer.

Threads make HTTP calls and parse; they never touch the database. The thread that runs the fetch is the only one that
does: it reserves quota slots, claims chunks, records each as soon as its batches are back, and ends passes.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from queue import Empty, SimpleQueue
from typing import TypeVar

from django.conf import settings
from django.db import OperationalError

from catalog.models import Channel
from integrations.connections import (
    Unconnected,
    claim_probe,
    connector_for,
    mark_failed,
    mark_good,
    needs_probe,
)
from integrations.connectors.base import Reading, ReadOutcome
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review, Wait
from integrations.fetching.lanes import OWN_QUOTA, READ, Batch, Chunk, Lane, Pace, SlotWanted
from integrations.fetching.summaries import Problem
from integrations.models import ChannelHealth, Credential
from monitoring.services import Claim, Recorded, claim_due, close_run, due_watches, open_run, record, release

logger = logging.getLogger(__name__)

CHUNK = 500  # listings that are claimed and recorded together
SHARE = 8  # threads that a channel may hold while others have batches waiting
PERMISSION = "permission"  # cause of the refusal of one kind of call, not of the channel
_AHEAD = 64  # batches of a channel that should be ready to send, so that threads have work while we write
_LOOK_EVERY = 1.0  # seconds between two looks for channels that became due
_PATIENCE = timedelta(seconds=5)  # a channel that may be called again within this time is waited for
_LONGEST_CHUNK_SECONDS = 60.0  # what is leased is sent within this time, well inside its lease

Clock = Callable[[], datetime]
T = TypeVar("T")


class Engine:
    """One fetch, of any kind. Leases, holds and slots go by the clock; `observed_at` is for readings only."""

    def __init__(
        self,
        *,
        clock: Clock,
        seconds: float,
        find_due: Callable[[datetime], list[int]],
        observed_at: datetime | None = None,
        interval: timedelta | None = None,
        watched_only: bool = True,
        is_alone: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """`find_due` names the channels with something to read; `is_alone`: no other channel needs threads.

        `observed_at` and `interval` replace the present time and the listings' own interval in what is recorded.
        """
        self.clock = clock
        self.counts: Counter[str] = Counter()
        self.problems: dict[int, Problem] = {}
        self.lanes: dict[int, Lane] = {}
        self.looked_at: datetime | None = None  # when it last asked which channels are due
        self._ends = time.monotonic() + seconds
        self._ends_at = clock() + timedelta(seconds=seconds)
        self._find_due = find_due
        self._observed_at = observed_at
        self._interval = interval
        self._watched_only = watched_only
        self._progress = progress
        self._threads = settings.FETCH_THREADS
        # The rest is kept free for a channel that becomes due while a slow one holds all it can get.
        self._most_for_one = self._threads if is_alone else max(self._threads - SHARE, SHARE)
        # A thread that is done with a call takes the next batch by itself, so that none is idle while we write. The
        # lock guards what it touches then: batches that wait, calls under way, threads that are busy.
        self._lock = threading.RLock()
        self._in_flight = 0  # calls whose results we have not taken yet
        self._busy = 0  # threads with a call
        self._is_sending = True
        self._next_look = 0.0  # time.monotonic()
        self._wake_at: datetime | None = None  # when a held channel may be called again
        self._results: SimpleQueue[tuple[Batch, Future[list[Reading]]] | SlotWanted] = SimpleQueue()

    # --- The loop ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="fetch")
        # Calls that are under way at the end may finish; one that is still not back then is left to its lease.
        gives_up = self._ends + settings.HTTP_TOTAL_TIMEOUT_SECONDS + _PATIENCE.total_seconds()
        try:
            while True:
                self._look_for_work()
                claimed = self._claim_chunk()
                self._send(pool)
                if self._in_flight:
                    self._collect(wait_seconds=0 if claimed else self._pause())
                elif not claimed and (self._is_over() or not self._wait_for_slot_or_hold()):
                    break
                if time.monotonic() >= gives_up:
                    break
            self._wind_up()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def has_more(self) -> bool:
        """Whether time ran out before the work did."""
        return any(lane.has_more for lane in self.lanes.values())

    def _is_over(self) -> bool:
        return time.monotonic() >= self._ends

    def _pause(self) -> float:
        """Seconds until there may be something to do besides taking results."""
        pause = _LOOK_EVERY if self._is_over() else min(self._next_look, self._ends) - time.monotonic()
        # A slot that is there already waits for a thread, and so for a result.
        slots = [left for slot in self._slots() if (left := (slot - self.clock()).total_seconds()) > 0]
        return max(min([pause, *slots]), 0.001)

    def _wait_for_slot_or_hold(self) -> bool:
        """With no call under way: sleep until a slot or the end of a short hold comes; False when neither will."""
        moments = self._slots()
        now = self.clock()
        if self._wake_at is not None and self._wake_at <= min(now + _PATIENCE, self._ends_at):
            moments.append(self._wake_at)
        if not moments:
            return False
        time.sleep(min(max((min(moments) - now).total_seconds(), 0.001), _LOOK_EVERY))
        self._next_look = 0.0
        return True

    # --- Claiming ---------------------------------------------------------------------------------------------------

    def _look_for_work(self) -> None:
        """Take up channels that are due; a channel that rests is taken up again when its hold is over."""
        if time.monotonic() < self._next_look or self._is_over():
            return
        self._next_look = time.monotonic() + _LOOK_EVERY
        self._wake_at = None
        self.looked_at = self.clock()
        due = [pk for pk in self._find_due(self.looked_at) if pk not in self.lanes or self.lanes[pk].is_idle]
        if not due:
            return
        channels = Channel.objects.select_related("credential").in_bulk(due)
        for channel_id in due:
            channel = channels[channel_id]
            may_call, is_probe = self._may_call(channel)
            if may_call:
                self.add_lane(Lane(channel, is_probing=is_probe))

    def _may_call(self, channel: Channel) -> tuple[bool, bool]:
        """Whether the channel may be called now, and whether by one call only, to see whether it is back."""
        health = ChannelHealth.objects.filter(channel=channel).first()
        if health is None:
            return True, False
        now = self.clock()
        if health.retry_at is not None and health.retry_at > now:
            self._wake_at = min(filter(None, (self._wake_at, health.retry_at)))
            self.problems[channel.pk] = problem_of(health)
            return False, False
        if not needs_probe(health):
            return True, False
        return claim_probe(channel.pk, now), True

    def add_lane(self, lane: Lane) -> bool:
        """Have the engine work on the channel; False, with the problem noted, when it cannot be called."""
        before = self.lanes.get(lane.channel.pk)
        if before is not None:
            self._leave(before)
            lane.refused = before.refused
        try:
            if lane.channel.credential.calls_per_second is not None:
                lane.pace = Pace(lane.channel, ask=self._results.put, clock=self.clock, ends_at=self._ends_at)
            lane.connector = connector_for(lane.channel, before_call=lane.pace.before_call if lane.pace else None)
        except Credential.DoesNotExist:
            self.problems[lane.channel.pk] = Problem(lane.channel.pk, Unconnected.kind, "not-set-up")
            return False
        except Unconnected as error:
            self.problems[lane.channel.pk] = Problem(lane.channel.pk, error.kind, error.cause)
            return False
        with self._lock:
            self.lanes[lane.channel.pk] = lane
        return True

    def _claim_chunk(self) -> bool:
        """Claim a chunk for the channel that will first run out of batches; False when none needs one."""
        if self._is_over():
            return False
        hungry = [lane for lane in self.lanes.values() if not lane.is_drained and len(lane.pending) < _AHEAD]
        if not hungry:
            return False
        lane = min(hungry, key=lambda lane: len(lane.pending) + lane.in_flight)
        limit = self._chunk_limit(lane)
        if lane.run is None or lane.run.is_scheduled:
            chunk = Chunk(lane, {})
            claims = _stored(lane.channel, partial(self._claim_due, lane, limit, chunk)) or []
            lane.is_drained = len(claims) < limit or lane.is_probing
        else:
            chunk = Chunk(lane, {}, token=lane.token)
            claims = [lane.requested.popleft() for _ in range(min(limit, len(lane.requested)))]
            lane.is_drained = not lane.requested or lane.is_probing
        chunk.claims = {claim.listing_id: claim for claim in claims}
        if claims:
            lane.split(chunk)
            if not chunk.waiting:
                self._record(chunk)
        else:
            self._close(lane)
        return True

    def _claim_due(self, lane: Lane, limit: int, chunk: Chunk) -> list[Claim]:
        now = self.clock()
        if lane.run is None:
            # A pass covers what is due at its start; later ones wait for the next, so that passes end.
            if not due_watches(lane.channel.pk, now, watched_only=self._watched_only).exists():
                return []
            lane.run = open_run(channel_id=lane.channel.pk, now=now)
        return claim_due(run=lane.run, limit=limit, token=chunk.token, now=now, watched_only=self._watched_only)

    def _chunk_limit(self, lane: Lane) -> int:
        batch = lane.connector.max_items_per_read
        if lane.is_probing:
            return batch
        if lane.pace is None or lane.pace.calls_per_second is None:
            return CHUNK
        # Under a quota no more is leased than can be sent before the end.
        left = min(self._ends - time.monotonic(), _LONGEST_CHUNK_SECONDS)
        return max(batch, min(CHUNK, int(lane.pace.calls_per_second * max(int(left), 0)) * batch))

    # --- Calling ----------------------------------------------------------------------------------------------------

    def _send(self, pool: ThreadPoolExecutor, *, paced: bool = True) -> None:
        """Give threads to the channels that hold the fewest, as long as there are batches that may be sent.

        Channels with a pace ask the database for their slots, so only the thread that runs the fetch sends for them.
        """
        with self._lock:
            while self._is_sending and self._busy < self._threads and not self._is_over():
                now = self.clock()
                ready = [
                    lane
                    for lane in self.lanes.values()
                    if lane.pending
                    and not lane.has_trouble
                    and (lane.pace is None or (paced and self._may_send(lane, now)))
                ]
                if not ready:
                    return
                lane = min(ready, key=lambda lane: (lane.in_flight, lane.sent))
                if lane.in_flight >= SHARE and (len(ready) > 1 or lane.in_flight >= self._most_for_one):
                    return
                batch = lane.pending.popleft()
                batch.sent_at = now
                if batch.chunk.started_at is None:
                    batch.chunk.started_at = now
                if lane.pace is not None:
                    lane.pace.take_slot()
                lane.in_flight += 1
                lane.sent += 1
                self._in_flight += 1
                self._busy += 1
                future = pool.submit(_read, lane, batch, now)
                future.add_done_callback(partial(self._put, pool, batch))

    def _put(self, pool: ThreadPoolExecutor, batch: Batch, future: "Future[list[Reading]]") -> None:
        """In the thread that made the call: hand its result over, and go on with the next batch."""
        lane = batch.chunk.lane
        with self._lock:
            self._busy -= 1
            lane.in_flight -= 1
            # What the error means is decided where its result is taken; until then nothing more is sent there.
            lane.has_trouble = lane.has_trouble or future.cancelled() or future.exception() is not None
        self._results.put((batch, future))
        self._send(pool, paced=False)

    def _may_send(self, lane: Lane, now: datetime) -> bool:
        if lane.pace is None:
            return True
        slot = self._slot(lane, lane.pace)
        return slot is not None and slot <= now

    def _slots(self) -> list[datetime]:
        """When the paced channels may send their next batches."""
        return [
            slot
            for lane in self.lanes.values()
            if lane.pending and lane.pace is not None and (slot := self._slot(lane, lane.pace)) is not None
        ]

    def _slot(self, lane: Lane, pace: Pace) -> datetime | None:
        """When the lane's next batch may be sent; None when not before the end, and then the lane is given up."""
        slot = _stored(lane.channel, partial(pace.next_slot, len(lane.pending)))
        if slot is None:
            if not lane.sent or not self._is_scheduled(lane):
                self.problems[lane.channel.pk] = Problem(lane.channel.pk, Wait.kind, OWN_QUOTA)
            self._give_up(lane)
            lane.is_out_of_slots = True
        return slot

    # --- Results ----------------------------------------------------------------------------------------------------

    def _collect(self, wait_seconds: float) -> None:
        """Take the results that are there; when there is none yet, wait for the first."""
        try:
            result = self._results.get(timeout=wait_seconds) if wait_seconds > 0 else self._results.get_nowait()
            while True:
                if isinstance(result, SlotWanted):
                    _stored(result.pace.channel, partial(result.pace.answer, result))
                else:
                    self._take(*result)
                result = self._results.get_nowait()
        except Empty:
            return

    def _take(self, batch: Batch, future: "Future[list[Reading]]") -> None:
        lane, chunk = batch.chunk.lane, batch.chunk
        with self._lock:
            self._in_flight -= 1
        error = future.exception()
        if error is None:
            chunk.readings += future.result()
            self._take_good_news(lane, batch)
        else:
            self._take_error(lane, batch, error)
            lane.has_trouble = False
        self._take_back(chunk)

    def _take_back(self, chunk: Chunk) -> None:
        """One of the chunk's batches is done with, one way or another."""
        chunk.waiting -= 1
        if not chunk.waiting:
            self._record(chunk)

    def _take_good_news(self, lane: Lane, batch: Batch) -> None:
        lane.good_sent_at = max(filter(None, (lane.good_sent_at, batch.sent_at)))
        if lane.is_probing:
            lane.is_probing = lane.is_drained = False
            self._mark_good(lane, is_probe=True)

    def _take_error(self, lane: Lane, batch: Batch, error: BaseException) -> None:
        if not isinstance(error, ConnectorError):
            # A bug in a connector: as loud as it gets, but the other channels go on.
            logger.error("channel %s: reading failed", lane.channel.pk, exc_info=error)
            error = Fatal(lane.channel.platform, READ, cause="internal")
        if isinstance(error, Wait) and error.cause == OWN_QUOTA:
            batch.chunk.untried += batch.listing_ids
            return
        if isinstance(error, Review) and error.scope == "listing":
            self._refuse(batch, error.cause)
            self._take_good_news(lane, batch)
            return
        logger.warning("channel %s: %s", lane.channel.pk, error)
        if isinstance(error, Review) and error.cause == PERMISSION and self._is_one_kind(lane, batch, error):
            return
        if isinstance(error, Wait | Reauthorise | Review):
            # Nothing is wrong with these listings: they stay due, and the hold keeps them from being asked for.
            batch.chunk.held.setdefault(error.cause, []).extend(batch.listing_ids)
        else:
            batch.chunk.readings += [Reading(pk, ReadOutcome.FAILED, cause=error.cause) for pk in batch.listing_ids]
        if lane.good_sent_at is not None:
            self._mark_good(lane)
        health = _stored(lane.channel, partial(self._mark_failed, lane.channel, error, batch.sent_at))
        retry_at = health.retry_at if health is not None else None
        self.problems[lane.channel.pk] = Problem(lane.channel.pk, error.kind, error.cause, error.code, retry_at)
        # Someone who asks for a reading now gets all of it, unless the channel as a whole has a problem.
        if self._is_scheduled(lane) or not isinstance(error, Retry) or (health is not None and needs_probe(health)):
            self._give_up(lane)

    def _is_one_kind(self, lane: Lane, batch: Batch, error: Review) -> bool:
        """Whether only one of several kinds of reads lacks a permission. Then the rest of that kind is refused without
        being asked for, comes back at its listings' own pace, and the other kinds go on."""
        lane.refused[batch.capability] = error.cause
        if not lane.reads_besides_refused():
            return False
        self.problems[lane.channel.pk] = Problem(lane.channel.pk, error.kind, error.cause, error.code)
        self._refuse(batch, error.cause)
        self._take_good_news(lane, batch)
        with self._lock:
            dropped = [waiting for waiting in lane.pending if waiting.capability == batch.capability]
            lane.pending = deque(waiting for waiting in lane.pending if waiting.capability != batch.capability)
        for waiting in dropped:
            self._refuse(waiting, error.cause)
            self._take_back(waiting.chunk)
        return True

    @staticmethod
    def _refuse(batch: Batch, cause: str) -> None:
        batch.chunk.readings += [Reading(pk, ReadOutcome.REFUSED, cause=cause) for pk in batch.listing_ids]

    @staticmethod
    def _is_scheduled(lane: Lane) -> bool:
        return lane.run is None or lane.run.is_scheduled

    def _mark_failed(self, channel: Channel, error: ConnectorError, sent_at: datetime | None) -> ChannelHealth | None:
        mark_failed(channel, error, self.clock(), sent_at=sent_at)
        return ChannelHealth.objects.filter(channel=channel).first()

    def _give_up(self, lane: Lane) -> None:
        """Send nothing more to the channel for now: what was not tried goes back, without a penalty."""
        lane.is_drained = True
        lane.is_probing = False
        if lane.requested:
            ids = [claim.listing_id for claim in lane.requested]
            _stored(lane.channel, partial(release, listing_ids=ids, token=lane.token))
            lane.requested.clear()
        with self._lock:
            batches = list(lane.pending)
            lane.pending.clear()
        for batch in batches:
            batch.chunk.untried += batch.listing_ids
            self._take_back(batch.chunk)

    # --- Recording --------------------------------------------------------------------------------------------------

    def _record(self, chunk: Chunk) -> None:
        lane = chunk.lane
        lane.chunks.discard(chunk)
        done = _stored(lane.channel, partial(self._write, chunk))
        if done is not None:
            failed = done.failed + sum(map(len, chunk.held.values()))
            self.counts.update(
                read=done.read, changed=done.changed, missing=done.missing, failed=failed, lost=done.lost
            )
            if self._progress is not None and chunk.readings:
                self._progress(done.read + done.missing + done.failed)
        if lane.is_idle:
            self._close(lane)

    def _write(self, chunk: Chunk) -> Recorded:
        """Store what became of a chunk's listings; may be repeated."""
        now = self._observed_at or chunk.started_at or self.clock()
        if chunk.untried:
            release(listing_ids=chunk.untried, token=chunk.token)
        for cause, listing_ids in chunk.held.items():
            release(listing_ids=listing_ids, token=chunk.token, cause=cause, now=now)
        if not chunk.readings:
            return Recorded()
        # Everyone locks rows in the order of their keys, so that nobody waits in a circle.
        chunk.readings.sort(key=attrgetter("listing_id"))
        return record(
            run=_known(chunk.lane.run),
            token=chunk.token,
            claims=chunk.claims,
            readings=chunk.readings,
            now=now,
            interval=self._interval,
        )

    def _close(self, lane: Lane) -> None:
        """End the channel's pass if nothing of it is left; the next claim opens another one."""
        if lane.run is not None and lane.is_drained and not lane.chunks:
            now = self._observed_at or self.clock()
            _stored(lane.channel, partial(close_run, run=lane.run, now=now, watched_only=self._watched_only))
            if lane.run.is_scheduled:
                lane.run = None

    def _mark_good(self, lane: Lane, *, is_probe: bool = False) -> None:
        sent_at, lane.good_sent_at = lane.good_sent_at, None
        _stored(lane.channel, partial(mark_good, [lane.channel.pk], self.clock(), sent_at=sent_at, is_probe=is_probe))

    def _wind_up(self) -> None:
        """Write what is back, give back what was not sent, and say which channels answered."""
        with self._lock:
            self._is_sending = False
        for lane in self.lanes.values():
            lane.has_more = not lane.is_drained or bool(lane.pending) or (lane.is_out_of_slots and lane.sent > 0)
            if lane.pending or lane.requested:
                self._give_up(lane)
            for chunk in list(lane.chunks):  # only those with a call that is still not back
                self._record(chunk)
            self._leave(lane)

    def _leave(self, lane: Lane) -> None:
        if lane.pace is not None:
            _stored(lane.channel, lane.pace.return_unused)
        if lane.good_sent_at is not None:
            self._mark_good(lane)


def problem_of(health: ChannelHealth) -> Problem:
    """The problem that holds a channel back."""
    return Problem(health.channel_id, health.kind, health.cause, health.code, health.retry_at)


def _stored(channel: Channel, store: Callable[[], T]) -> T | None:
    """What `store` returns; it is done once more when the database is locked or ends a deadlock at our cost.

    None when it refuses again: what this was about is left to its leases, and the other channels go on.
    """
    try:
        return store()
    except OperationalError as error:
        logger.warning("channel %s: the database refused, trying again: %s", channel.pk, _first_line(error))
    try:
        return store()
    except OperationalError as error:
        logger.error("channel %s: the database refused twice: %s", channel.pk, _first_line(error))
        return None


def _first_line(error: OperationalError) -> str:
    return str(error).partition("\n")[0]


def _read(lane: Lane, batch: Batch, now: datetime) -> list[Reading]:
    """In a thread: one batch, over HTTP."""
    if lane.pace is not None:
        lane.pace.grant()
    return lane.connector.read_listings(batch.refs, now=now)


def _known(value: T | None) -> T:
    assert value is not None  # noqa: S101  # a lane that has chunks has a pass
    return value
