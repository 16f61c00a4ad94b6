"""What becomes of the calls of a slice: results are taken, errors are weighed, chunks are recorded, passes end."""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from django.db import OperationalError

from catalog.models import Channel
from integrations.connections import Unconnected, connector_after_refusal, mark_failed, mark_good, needs_probe
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Review, Wait
from integrations.lanes.lane import OWN_WAITS, Batch, Chunk, Job, Lane
from integrations.lanes.pace import Clock
from integrations.lanes.problem import Problem
from integrations.models import ChannelHealth

logger = logging.getLogger(__name__)

INTERNAL = "internal"  # cause of what a bug of ours spoilt
PERMISSION = "permission"  # cause of the refusal of one kind of call, not of the channel

T = TypeVar("T")


class Outcomes:
    """The writer of a slice; only the thread that runs the lanes calls this."""

    def __init__(self, job: Job, *, clock: Clock, lock: "threading.RLock") -> None:
        """`lock` guards the batches of a lane that wait, which other threads take from."""
        self.counts: Counter[str] = Counter()
        self.problems: dict[int, Problem] = {}
        self._job = job
        self._clock = clock
        self._lock = lock

    # --- Results ----------------------------------------------------------------------------------------------------

    def take(self, batch: Batch, future: "Future[Sequence[Any]]") -> None:
        lane, chunk = batch.chunk.lane, batch.chunk
        error = future.exception()
        if error is None:
            chunk.results += future.result()
            self._take_good_news(lane, batch)
        else:
            goes_again = isinstance(error, Reauthorise) and self._goes_again(lane, batch, error)
            if not goes_again:
                self._take_error(lane, batch, error)
            lane.has_trouble = False
            if goes_again:
                return
        self._take_back(chunk)

    def _take_back(self, chunk: Chunk) -> None:
        """One of the chunk's batches is done with, one way or another."""
        chunk.waiting -= 1
        if not chunk.waiting:
            self.record(chunk)

    def _take_good_news(self, lane: Lane, batch: Batch) -> None:
        lane.has_answered = True
        lane.good_sent_at = max(filter(None, (lane.good_sent_at, batch.sent_at)))
        if lane.is_probing:
            lane.is_probing = lane.is_drained = False
            self._mark_good(lane, is_probe=True)

    def _goes_again(self, lane: Lane, batch: Batch, error: Reauthorise) -> bool:
        """Whether another token was got for the one that was refused, and the batch waits to be sent with it."""
        if batch.sent_at is None or lane.channel.pk in self.problems:
            return False
        renew = partial(connector_after_refusal, lane.channel, sent_at=batch.sent_at, before_call=lane.before_call)
        try:
            connector = stored(lane.channel, lambda: renew(now=self._clock()))
        except Unconnected as unconnected:
            # Not to be had just now; what that means for the channel is noted. The listings stay due.
            batch.chunk.held.setdefault(unconnected.cause, []).extend(batch.keys)
            self.problems[lane.channel.pk] = Problem(lane.channel.pk, unconnected.kind, unconnected.cause)
            self.give_up(lane)
            self._take_back(batch.chunk)
            return True
        if connector is None:
            return False
        logger.info("channel %s: token renewed after %s", lane.channel.pk, error)
        lane.connector = connector
        with self._lock:
            lane.pending.appendleft(batch)
        return True

    def _take_error(self, lane: Lane, batch: Batch, error: BaseException) -> None:
        if not isinstance(error, ConnectorError):
            # A bug in a connector: as loud as it gets, but the other channels go on.
            logger.error("channel %s: %s failed", lane.channel.pk, self._job.name, exc_info=error)
            error = Fatal(lane.channel.platform, self._job.name, cause=INTERNAL)
        if isinstance(error, Wait) and error.cause in OWN_WAITS:
            batch.chunk.untried += batch.keys
            return
        if isinstance(error, Review) and error.scope == "listing":
            self._refuse(batch, error)
            self._take_good_news(lane, batch)
            return
        logger.warning("channel %s: %s", lane.channel.pk, error)
        if isinstance(error, Review) and error.cause == PERMISSION and self._is_one_kind(lane, batch, error):
            return
        if isinstance(error, Wait | Reauthorise | Review):
            # Nothing is wrong with these rows: they stay due, and the hold keeps them from being asked for.
            batch.chunk.held.setdefault(error.cause, []).extend(batch.keys)
        else:
            batch.chunk.results += self._job.without_answer(batch, error, is_refused=False)
        if lane.good_sent_at is not None:
            self._mark_good(lane)
        health = stored(lane.channel, partial(self._mark_failed, lane, error, batch.sent_at))
        retry_at = health.retry_at if health is not None else None
        self.problems[lane.channel.pk] = Problem(lane.channel.pk, error.kind, error.cause, error.code, retry_at)
        # Someone who waits for it gets all of it, unless the channel as a whole has a problem.
        if lane.is_scheduled or not isinstance(error, Retry) or (health is not None and needs_probe(health)):
            self.give_up(lane)

    def _is_one_kind(self, lane: Lane, batch: Batch, error: Review) -> bool:
        """Whether only one of several kinds of calls lacks a permission. Then the rest of that kind is refused without
        being asked for, comes back at its rows' own pace, and the other kinds go on."""
        lane.refused[batch.capability] = error.cause
        if not self._job.has_other_kinds(lane):
            return False
        self.problems[lane.channel.pk] = Problem(lane.channel.pk, error.kind, error.cause, error.code)
        self._refuse(batch, error)
        self._take_good_news(lane, batch)
        with self._lock:
            dropped = [waiting for waiting in lane.pending if waiting.capability == batch.capability]
            lane.pending = deque(waiting for waiting in lane.pending if waiting.capability != batch.capability)
        for waiting in dropped:
            self._refuse(waiting, error)
            self._take_back(waiting.chunk)
        return True

    def _refuse(self, batch: Batch, error: ConnectorError) -> None:
        batch.chunk.results += self._job.without_answer(batch, error, is_refused=True)

    def _mark_failed(self, lane: Lane, error: ConnectorError, sent_at: datetime | None) -> ChannelHealth | None:
        mark_failed(lane.channel, error, self._clock(), sent_at=sent_at, quota=lane.connector.quota_told)
        return ChannelHealth.objects.filter(channel=lane.channel).first()

    def give_up(self, lane: Lane) -> None:
        """Send nothing more to the channel for now: what was not tried goes back, without a penalty."""
        lane.is_drained = lane.is_given_up = True
        lane.is_probing = False
        if lane.requested:
            keys = [claim[0] for claim in lane.requested]
            stored(lane.channel, partial(self._job.give_back, lane, keys, lane.token, self._clock()))
            lane.requested.clear()
        with self._lock:
            batches = list(lane.pending)
            lane.pending.clear()
        for batch in batches:
            batch.chunk.untried += batch.keys
            self._take_back(batch.chunk)

    # --- Recording --------------------------------------------------------------------------------------------------

    def record(self, chunk: Chunk) -> None:
        lane = chunk.lane
        lane.chunks.discard(chunk)
        try:
            done = stored(lane.channel, partial(self._job.record, chunk, self._clock()))
        except Exception:
            # A bug of ours: as loud as it gets, but the other channels go on.
            logger.exception("channel %s: recording failed", lane.channel.pk)
            self._take_unrecorded(chunk)
            done = None
        if done is not None:
            self.counts.update(done)
        if chunk.has_more and not lane.is_given_up:
            lane.is_drained = False
        if lane.is_idle:
            self.close(lane)

    def _take_unrecorded(self, chunk: Chunk) -> None:
        """Have the channel rest, and give back what of it could not be recorded.

        Where that fails, too, it is left to its leases.
        """
        lane, now = chunk.lane, self._clock()
        keys = self._job.keys_of(chunk.results)
        self.counts.update(failed=len(keys) + sum(map(len, chunk.held.values())))
        error = Fatal(lane.channel.platform, self._job.name, cause=INTERNAL)
        health = None
        try:
            # The hold comes first: what is given back is due, and would be claimed again at once.
            health = stored(lane.channel, partial(self._mark_failed, lane, error, None))
            stored(lane.channel, partial(self._job.give_back, lane, keys, chunk.token, now, cause=error.cause))
        except Exception:
            logger.exception("channel %s: what was not recorded is left to its leases", lane.channel.pk)
        retry_at = health.retry_at if health is not None else None
        self.problems[lane.channel.pk] = Problem(lane.channel.pk, error.kind, error.cause, retry_at=retry_at)
        self.give_up(lane)

    def close(self, lane: Lane) -> None:
        """End the channel's pass if nothing of it is left; the next claim opens another one."""
        if lane.run is not None and lane.is_drained and not lane.chunks:
            stored(lane.channel, partial(self._job.close, lane, self._clock()))
            if lane.is_scheduled:
                lane.run = None

    def _mark_good(self, lane: Lane, *, is_probe: bool = False) -> None:
        sent_at, lane.good_sent_at = lane.good_sent_at, None
        note = partial(mark_good, sent_at=sent_at, is_probe=is_probe, quota=lane.connector.quota_told)
        stored(lane.channel, partial(note, [lane.channel.pk], self._clock()))

    def leave(self, lane: Lane) -> None:
        if lane.pace is not None:
            stored(lane.channel, lane.pace.return_unused)
        if lane.good_sent_at is not None:
            self._mark_good(lane)


def stored(channel: Channel, store: Callable[[], T]) -> T | None:
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
