"""The machine itself: claims, calls in a pool of threads, and one writer.

Threads make HTTP calls and parse; they never touch the database. The thread that runs the lanes is the only one that
does: it reserves quota slots, claims chunks, records each as soon as its batches are back, and ends passes. One thread
more sends for channels with a quota when their slots come, since the writer may be busy just then.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings

from catalog.models import Channel
from integrations.connections import (
    Unconnected,
    claim_probe,
    connector_for,
    needs_probe,
)
from integrations.connectors.errors import Wait
from integrations.lanes.lane import Batch, Chunk, Job, Lane
from integrations.lanes.outcomes import Outcomes, stored
from integrations.lanes.pace import OWN_QUOTA, Clock, Pace, SlotWanted
from integrations.lanes.problem import Problem, problem_of
from integrations.models import ChannelHealth, Credential

CHUNK = 1_000  # rows that are claimed and recorded together; a job may say another number for channels without quota
SHARE = 8  # threads that a channel may hold while others have batches waiting
_AHEAD = 64  # batches of a channel that should be ready to send, so that threads have work while we write
_LOOK_EVERY = 1.0  # seconds between two looks for channels that became due
_PATIENCE = timedelta(seconds=5)  # a channel that may be called again within this time is waited for
_LONGEST_CHUNK_SECONDS = 60.0  # what is leased is sent within this time, well inside its lease


class Engine:
    """One slice of a job, or one piece of it that somebody asked for. Leases, holds and slots go by the clock."""

    def __init__(self, job: Job, *, clock: Clock, seconds: float, is_alone: bool = False) -> None:
        """Calls are sent for at most `seconds`; `is_alone`: no other channel needs threads."""
        self._job = job
        self.clock = clock
        self.lanes: dict[int, Lane] = {}
        self.looked_at: datetime | None = None  # when it last asked which channels are due
        self._ends = time.monotonic() + seconds
        self._ends_at = clock() + timedelta(seconds=seconds)
        self._threads = settings.FETCH_THREADS
        # The rest is kept free for a channel that becomes due while a slow one holds all it can get.
        self._most_for_one = self._threads if is_alone else max(self._threads - SHARE, SHARE)
        # A thread that is done with a call takes the next batch by itself, so that none is idle while we write. The
        # lock guards what it touches then: batches that wait, calls under way, threads that are busy.
        self._lock = threading.RLock()
        self._outcomes = Outcomes(job, clock=clock, lock=self._lock)
        self.counts = self._outcomes.counts
        self.problems = self._outcomes.problems
        self._in_flight = 0  # calls whose results we have not taken yet
        self._busy = 0  # threads with a call
        self._is_sending = True
        self._pacer: threading.Thread | None = None
        self._slots_changed = threading.Event()  # the pacer has to look again when the next slot comes
        self._next_look = 0.0  # time.monotonic()
        self._wake_at: datetime | None = None  # when a held channel may be called again
        self._results: SimpleQueue[tuple[Batch, Future[Sequence[Any]]] | SlotWanted] = SimpleQueue()

    # --- The loop ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix=self._job.name)
        # Calls that are under way at the end may finish; one that is still not back then is left to its lease.
        gives_up = self._ends + settings.HTTP_TOTAL_TIMEOUT_SECONDS + _PATIENCE.total_seconds()
        try:
            while True:
                self._look_for_work()
                claimed = self._claim_chunk()
                self._reserve_slots(pool)
                self._send(pool)
                if self._in_flight:
                    self._collect(wait_seconds=0 if claimed else self._pause())
                elif not claimed and (self._is_over() or not self._wait_for_slot_or_hold()) and self._stop_sending():
                    break
                if time.monotonic() >= gives_up:
                    break
            self._wind_up()
        finally:
            with self._lock:
                self._is_sending = False
            self._slots_changed.set()
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def has_more(self) -> bool:
        """Whether time ran out before the work did."""
        return any(lane.has_more for lane in self.lanes.values())

    def _is_over(self) -> bool:
        return time.monotonic() >= self._ends

    def _stop_sending(self) -> bool:
        """Whether no call is under way, and none will be sent by any thread from now on."""
        with self._lock:
            self._is_sending = self._in_flight > 0
            return not self._is_sending

    def _pause(self) -> float:
        """Seconds until there may be something to do besides taking results."""
        pause = _LOOK_EVERY if self._is_over() else min(self._next_look, self._ends) - time.monotonic()
        return max(pause, 0.001)

    def _wait_for_slot_or_hold(self) -> bool:
        """With no call under way: sleep until a slot or the end of a short hold comes; False when neither will."""
        moments = self._slots_in_hand()
        now = self.clock()
        if self._wake_at is not None and self._wake_at <= min(now + _PATIENCE, self._ends_at):
            moments.append(self._wake_at)
        if not moments:
            # Slots that passed unused since they were reserved are reserved anew at the next turn.
            return any(lane.pending and lane.pace is not None for lane in self.lanes.values())
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
        due = [pk for pk in self._job.due_channels(self.looked_at) if pk not in self.lanes or self.lanes[pk].is_idle]
        if not due:
            return
        channels = Channel.objects.select_related("credential").in_bulk(due)
        for channel_id in due:
            channel = channels[channel_id]
            may_call, is_probe = self._may_call(channel)
            if may_call:
                self.add_lane(Lane(channel, clock=self.clock, is_probing=is_probe))

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
            self._outcomes.leave(before)
            lane.refused = before.refused
        try:
            if lane.channel.credential.calls_per_second is not None:
                lane.pace = Pace(lane.channel, ask=self._results.put, clock=self.clock, ends_at=self._ends_at)
            lane.connector = connector_for(lane.channel, before_call=lane.before_call)
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
        """Claim a chunk for the channel that will first run out of batches; False when none needs one, or has more."""
        while not self._is_over():
            # A channel that did not answer yet gets one small chunk: what a dead one has due is dear to take back.
            hungry = [
                lane
                for lane in self.lanes.values()
                if not lane.is_drained and len(lane.pending) < _AHEAD and (lane.has_answered or not lane.chunks)
            ]
            if not hungry:
                return False
            lane = min(hungry, key=lambda lane: len(lane.pending) + lane.in_flight)
            limit = self._chunk_limit(lane)
            chunk = Chunk(lane)
            stored(lane.channel, partial(self._job.claim, lane, chunk, limit, self.clock()))
            is_last = len(chunk.claims) < limit and not (chunk.claims and chunk.has_more)
            lane.is_drained = is_last or lane.is_probing
            if chunk.claims:
                self._split(chunk)
                return True
            self._outcomes.close(lane)
        return False

    def _split(self, chunk: Chunk) -> None:
        batches = self._job.split(chunk)
        if chunk.lane.is_probing:
            # One call shows whether the channel is back, however many its rows would take.
            chunk.untried += [key for batch in batches[1:] for key in batch.keys]
            batches = batches[:1]
        chunk.waiting = len(batches)
        chunk.lane.chunks.add(chunk)
        chunk.lane.pending.extend(batches)
        if not batches:
            self._outcomes.record(chunk)

    def _chunk_limit(self, lane: Lane) -> int:
        batch = self._job.rows_per_call(lane.connector)
        if lane.is_probing:
            return batch
        if lane.pace is None or lane.pace.calls_per_second is None:
            return (self._job.chunk or CHUNK) if lane.has_answered else min(batch * SHARE, CHUNK)
        # Under a quota no more is leased than can be sent before the end.
        left = min(self._ends - time.monotonic(), _LONGEST_CHUNK_SECONDS)
        return max(batch, min(CHUNK, int(lane.pace.calls_per_second * max(int(left), 0)) * batch))

    # --- Calling ----------------------------------------------------------------------------------------------------

    def _send(self, pool: ThreadPoolExecutor) -> None:
        """Give threads to the channels that hold the fewest, as long as there are batches that may be sent."""
        with self._lock:
            while self._is_sending and self._busy < self._threads and not self._is_over():
                now = self.clock()
                ready = [
                    lane
                    for lane in self.lanes.values()
                    if lane.pending
                    and not lane.has_trouble
                    and (lane.pace is None or ((slot := lane.pace.slot_in_hand()) is not None and slot <= now))
                ]
                if not ready:
                    return
                lane = min(ready, key=lambda lane: (lane.in_flight, lane.sent))
                if lane.in_flight >= SHARE and (len(ready) > 1 or lane.in_flight >= self._most_for_one):
                    return
                if lane.pace is not None and lane.pace.take_slot(by=now) is None:
                    continue
                batch = lane.pending.popleft()
                batch.sent_at = now
                if batch.chunk.started_at is None:
                    batch.chunk.started_at = now
                lane.in_flight += 1
                lane.sent += 1
                self._in_flight += 1
                self._busy += 1
                future = pool.submit(self._call, batch, now)
                future.add_done_callback(partial(self._put, pool, batch))

    def _call(self, batch: Batch, now: datetime) -> Sequence[Any]:
        """In a thread: one batch, over HTTP."""
        batch.chunk.lane.begin(batch)
        return self._job.call(batch, now)

    def _put(self, pool: ThreadPoolExecutor, batch: Batch, future: "Future[Sequence[Any]]") -> None:
        """In the thread that made the call: hand its result over, and go on with the next batch."""
        lane = batch.chunk.lane
        with self._lock:
            self._busy -= 1
            lane.in_flight -= 1
            # What the error means is decided where its result is taken; until then nothing more is sent there.
            lane.has_trouble = lane.has_trouble or future.cancelled() or future.exception() is not None
        self._results.put((batch, future))
        self._send(pool)

    def _keep_pace(self, pool: ThreadPoolExecutor) -> None:
        """In a thread of its own: send the batches of channels with a quota when their slots come."""
        while self._is_sending:
            self._slots_changed.clear()
            now = self.clock()
            self._send(pool)
            # A slot that was there already waits for a thread, and so for a result.
            waits = [(slot - now).total_seconds() for slot in self._slots_in_hand() if slot > now]
            self._slots_changed.wait(max(min([_LOOK_EVERY, *waits]), 0.001))

    def _slots_in_hand(self) -> list[datetime]:
        """When the channels with a quota may send their next batches, as far as slots are reserved."""
        with self._lock:
            return [
                slot
                for lane in self.lanes.values()
                if lane.pending and lane.pace is not None and (slot := lane.pace.slot_in_hand()) is not None
            ]

    def _reserve_slots(self, pool: ThreadPoolExecutor) -> None:
        """See that channels with batches that wait have slots in hand; those without one before the end rest."""
        paced = [(lane, lane.pace) for lane in self.lanes.values() if lane.pending and lane.pace is not None]
        for lane, pace in paced:
            if stored(lane.channel, partial(pace.next_slot, len(lane.pending))) is None:
                if not lane.sent or not lane.is_scheduled:
                    self.problems[lane.channel.pk] = Problem(lane.channel.pk, Wait.kind, OWN_QUOTA)
                self._outcomes.give_up(lane)
                lane.is_out_of_slots = True
        if paced and self._pacer is None:
            self._pacer = threading.Thread(target=self._keep_pace, args=(pool,), name="pace", daemon=True)
            self._pacer.start()
        self._slots_changed.set()

    # --- Results ----------------------------------------------------------------------------------------------------

    def _collect(self, wait_seconds: float) -> None:
        """Take the results that are there; when there is none yet, wait for the first."""
        try:
            result = self._results.get(timeout=wait_seconds) if wait_seconds > 0 else self._results.get_nowait()
            while True:
                if isinstance(result, SlotWanted):
                    stored(result.pace.channel, partial(result.pace.answer, result))
                else:
                    batch, future = result
                    with self._lock:
                        self._in_flight -= 1
                    self._outcomes.take(batch, future)
                    if not batch.chunk.waiting:
                        return  # it was recorded, which takes a while: threads may have run out of batches
                result = self._results.get_nowait()
        except Empty:
            return

    def _wind_up(self) -> None:
        """Write what is back, give back what was not sent, and say which channels answered."""
        with self._lock:
            self._is_sending = False
        for lane in self.lanes.values():
            lane.has_more = not lane.is_drained or bool(lane.pending) or any(each.has_more for each in lane.chunks)
            lane.has_more = lane.has_more or (lane.is_out_of_slots and lane.sent > 0)
            if lane.pending or lane.requested:
                self._outcomes.give_up(lane)
            for chunk in list(lane.chunks):  # only those with a call that is still not back
                self._outcomes.record(chunk)
            self._outcomes.leave(lane)
