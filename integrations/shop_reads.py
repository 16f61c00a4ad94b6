"""Long readings of a shop, in slices that go on where the last one stopped: its listings, and its orders for sales."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from catalog.models import Channel, ShopRead
from integrations import discovery, sales
from integrations.connections import (
    USABLE,
    Unconnected,
    claim_probe,
    connector_after_refusal,
    connector_for,
    mark_failed,
    mark_good,
    needs_probe,
)
from integrations.connectors.base import Connector
from integrations.connectors.errors import ConnectorError, Fatal, Reauthorise, Retry, Wait
from integrations.lanes.pace import CALLS, OWN_QUOTA
from integrations.models import ChannelHealth, Credential
from integrations.quotas import give_back, reserve

logger = logging.getLogger(__name__)

SLICE_SECONDS = 60
_LEASE = timedelta(minutes=11)  # longer than the queue lets a slice take
_RETRY_AFTER = timedelta(minutes=2)
_GIVE_UP_AFTER = timedelta(hours=24)
_LONGEST_PAUSE_SECONDS = 60.0  # for a place in the quota: as far ahead as others reserve theirs
_LANE_EVERY = timedelta(minutes=1)  # how often the clock starts the lane

_OVER = "slice-over"  # cause of the Wait that cuts a slice short; no one is told

# What one slice does: reads until `ends` (time.monotonic()), keeps in `read.state` how far it is, says whether that
# was all.
Reader = Callable[[Channel, Connector, ShopRead, datetime, float], bool]
_READERS: dict[str, Reader] = {ShopRead.Kind.LISTINGS: discovery.read_listings, ShopRead.Kind.SALES: sales.read_sales}


@dataclass(frozen=True)
class Sliced:
    """How a reading stands after a slice; `error` is what went wrong. That it waits until `next_at` is no error."""

    read: ShopRead
    error: ConnectorError | Unconnected | None = None


def begin(*, channel: Channel, kind: ShopRead.Kind, now: datetime) -> ShopRead:
    """The channel's reading of that kind: the one that is not finished, or a new one. It is due now.

    One that stopped is begun anew when it is so old that its beginning may not be true any more.
    """
    read, created = ShopRead.objects.get_or_create(
        channel=channel, kind=kind, defaults={"started_at": now, "next_at": now}
    )
    if not created:
        stopped = Q(next_at__isnull=True, started_at__lte=now - _GIVE_UP_AFTER) & _free(now)
        ShopRead.objects.filter(Q(ended_at__isnull=False) | stopped, pk=read.pk).update(
            started_at=now, ended_at=None, slice_at=None, next_at=now, count=0, cause="", code="", state={}
        )
        ShopRead.objects.filter(pk=read.pk).update(next_at=now)
        read.refresh_from_db()
    return read


def _free(now: datetime) -> Q:
    """No worker is at it."""
    return Q(lease_until__isnull=True) | Q(lease_until__lte=now)


def take_slice(
    *,
    read: ShopRead,
    now_fn: Callable[[], datetime],
    seconds: float = SLICE_SECONDS,
    is_asked: bool = False,
    is_cut_short: bool = False,
) -> Sliced:
    """Read on for about `seconds`. Nothing where another worker is at it, or while the channel is held.

    A slice gets a page further, however short it is; one that is cut short begins no call once its time is over.
    `is_asked`: a person waits for it, who may try a channel that rests, though not one that was told to wait.
    """
    now = now_fn()
    if not ShopRead.objects.filter(_free(now), pk=read.pk, ended_at__isnull=True).update(lease_until=now + _LEASE):
        read.refresh_from_db()
        return Sliced(read)
    read.refresh_from_db()
    channel = Channel.objects.select_related("credential").get(pk=read.channel_id)
    ends = time.monotonic() + seconds
    is_all = False
    error: ConnectorError | Unconnected | None = None
    try:
        held, is_probe = _hold(channel, now, is_asked)
        if held is not None:
            error = held
        else:
            pace = _Pace(channel, now_fn, last_call=ends if is_cut_short else None)
            is_all, error = _read_on(channel, read, pace, ends, is_probe)
    finally:
        _store(channel, read, is_all, error, now_fn())
    return Sliced(read, None if _is_own_wait(error) else error)


def _hold(channel: Channel, now: datetime, is_asked: bool) -> tuple[Wait | None, bool]:
    """What keeps the channel from being called now, if anything; and whether it may be tried, to see if it is back."""
    health = ChannelHealth.objects.filter(channel=channel).first()
    if health is None:
        return None, False
    is_probe = needs_probe(health)
    if is_asked and health.kind != Wait.kind:
        return None, is_probe
    if (health.retry_at is None or health.retry_at <= now) and (not is_probe or claim_probe(channel.pk, now)):
        return None, is_probe
    health.refresh_from_db()
    retry_at = health.retry_at or now
    return Wait(channel.platform, CALLS, retry_at=retry_at, cause=health.cause, code=health.code), False


def _read_on(
    channel: Channel, read: ShopRead, pace: "_Pace", ends: float, is_probe: bool
) -> tuple[bool, ConnectorError | Unconnected | None]:
    """Whether the reading came to its end, and what ended the slice early; the channel's health is noted."""
    now_fn = pace.now_fn
    now = now_fn()
    connector: Connector | None = None
    is_all, error = False, None
    try:
        connector = connector_for(channel, before_call=pace.before_call)
        sent_at = now_fn()
        try:
            is_all = _READERS[read.kind](channel, connector, read, now_fn(), ends)
        except Reauthorise as refused:
            renewed = connector_after_refusal(channel, sent_at=sent_at, now=now_fn(), before_call=pace.before_call)
            if renewed is None:
                raise
            logger.info("channel %s: token renewed after %s", channel.pk, refused)
            connector = renewed
            is_all = _READERS[read.kind](channel, connector, read, now_fn(), ends)
    except ConnectorError as refused:
        error = refused
    except Unconnected as unconnected:
        return False, unconnected
    quota = connector.quota_told if connector is not None else None
    if error is not None and not _is_own_wait(error):
        mark_failed(channel, error, now_fn(), quota=quota)
    elif pace.calls:
        mark_good([channel.pk], now_fn(), sent_at=now, is_probe=is_probe, quota=quota)
    return is_all, error


class _Pace:
    """The calls of a slice, each of which waits for its place in the channel's quota."""

    def __init__(self, channel: Channel, now_fn: Callable[[], datetime], *, last_call: float | None) -> None:
        """No call is begun after `last_call` (time.monotonic())."""
        self.now_fn = now_fn
        self.calls = 0
        self._channel, self._last_call = channel, last_call

    def before_call(self) -> None:
        now, longest = self.now_fn(), _LONGEST_PAUSE_SECONDS
        if self._last_call is not None:
            longest = min(longest, self._last_call - time.monotonic())
        if longest < 0:
            raise self._wait(now, _OVER)
        credential = self._channel.credential
        (slot,) = reserve(credential=credential, operation=CALLS, count=1, now=now)
        pause = (slot - now).total_seconds()
        if pause > longest:
            give_back(credential=credential, operation=CALLS, unused=[slot])
            raise self._wait(slot, OWN_QUOTA)
        if pause > 0:
            time.sleep(pause)
        self.calls += 1

    def _wait(self, retry_at: datetime, cause: str) -> Wait:
        return Wait(self._channel.platform, CALLS, retry_at=retry_at, scope="operation", cause=cause)


def _is_own_wait(error: Exception | None) -> bool:
    """Whether only the reading waits, and nothing is wrong with the channel."""
    return isinstance(error, Wait) and error.scope == "operation"


def _store(
    channel: Channel, read: ShopRead, is_all: bool, error: ConnectorError | Unconnected | None, now: datetime
) -> None:
    read.slice_at, read.lease_until = now, None
    is_trouble = error is not None and not _is_own_wait(error)
    read.cause = error.cause if error is not None and is_trouble else ""
    read.code = error.code if isinstance(error, ConnectorError) and is_trouble else ""
    read.next_at = _next_at(channel, read, error, now)
    if isinstance(error, Fatal):
        read.state = {}  # it may be how far we are that the platform does not take
    if is_all:
        read.ended_at, read.next_at, read.state = now, None, {}
    read.save()


def _next_at(
    channel: Channel, read: ShopRead, error: ConnectorError | Unconnected | None, now: datetime
) -> datetime | None:
    """When the next slice is due; None: not before somebody asks for it."""
    if error is None:
        return now
    if isinstance(error, Wait):
        return max(error.retry_at, now + timedelta(seconds=1))
    is_temporary = isinstance(error, Retry) or (isinstance(error, Reauthorise | Unconnected) and _renews(channel, now))
    return now + _RETRY_AFTER if is_temporary and now - read.started_at < _GIVE_UP_AFTER else None


def _renews(channel: Channel, now: datetime) -> bool:
    """Whether another token will be had without a person."""
    credential = Credential.objects.select_related("channel").filter(channel=channel).first()
    return credential is not None and credential.state(now) in USABLE and credential.renews_itself(now)


@dataclass
class ReadSlices:
    """What a lane's slice did; see tasks._Slice."""

    told: list[str] = field(default_factory=list)
    more_due: bool = False
    due_at: datetime | None = None

    def __str__(self) -> str:
        return "; ".join(self.told) or "nothing due"


def read_due(*, now_fn: Callable[[], datetime], seconds: float) -> ReadSlices:
    """Take a slice of each reading that is due, one after the other, the longest waiting first."""
    summary = ReadSlices()
    ends = time.monotonic() + max(seconds, SLICE_SECONDS)
    tried: set[Any] = set()
    while True:
        now = now_fn()
        due = ShopRead.objects.filter(_free(now), ended_at__isnull=True, next_at__lte=now)
        read = due.exclude(pk__in=tried).order_by("next_at").first()
        if read is None:
            summary.more_due = due.exists()
            waiting = ShopRead.objects.filter(ended_at__isnull=True, next_at__gt=now, next_at__lte=now + _LANE_EVERY)
            summary.due_at = waiting.order_by("next_at").values_list("next_at", flat=True).first()
            return summary
        if time.monotonic() >= ends:
            summary.more_due = True
            return summary
        tried.add(read.pk)
        done = take_slice(read=read, now_fn=now_fn, seconds=ends - time.monotonic())
        summary.told.append(f"{read.kind} of channel {read.channel_id}: {done.read.count}")
