"""Long readings of a shop, in slices that go on where the last one stopped: its listings, and its orders for sales."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from catalog.models import Channel, ShopRead
from integrations import discovery, sales
from integrations.connections import Unconnected, connector_for, mark_failed, mark_good
from integrations.connectors.base import Connector
from integrations.connectors.errors import ConnectorError, Retry, Wait
from integrations.fetching.lanes import READ
from integrations.quotas import reserve

SLICE_SECONDS = 60
_LEASE = timedelta(minutes=11)  # a slice that waits for a bulk answer takes up to ten
_RETRY_AFTER = timedelta(minutes=2)
_GIVE_UP_AFTER = timedelta(hours=24)
_LONGEST_PAUSE_SECONDS = 10.0

# What one slice does: reads until `ends` (time.monotonic()), keeps in `read.state` how far it is, says whether that
# was all.
Reader = Callable[[Channel, Connector, ShopRead, datetime, float], bool]
_READERS: dict[str, Reader] = {ShopRead.Kind.LISTINGS: discovery.read_listings, ShopRead.Kind.SALES: sales.read_sales}


@dataclass(frozen=True)
class Sliced:
    """How a reading stands after a slice; `error` is what ended the slice early."""

    read: ShopRead
    error: ConnectorError | Unconnected | None = None


def begin(*, channel: Channel, kind: ShopRead.Kind, now: datetime) -> ShopRead:
    """The channel's reading of that kind: the one that is not finished, or a new one. It is due now."""
    read, created = ShopRead.objects.get_or_create(
        channel=channel, kind=kind, defaults={"started_at": now, "next_at": now}
    )
    if not created:
        ShopRead.objects.filter(pk=read.pk, ended_at__isnull=True).update(next_at=now)
        ShopRead.objects.filter(pk=read.pk, ended_at__isnull=False).update(
            started_at=now, ended_at=None, slice_at=None, next_at=now, count=0, cause="", code="", state={}
        )
        read.refresh_from_db()
    return read


def take_slice(*, read: ShopRead, now_fn: Callable[[], datetime], seconds: float = SLICE_SECONDS) -> Sliced:
    """Read on for about `seconds`; the present call is not cut short. Nothing where another worker is at it."""
    now = now_fn()
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    if not ShopRead.objects.filter(free, pk=read.pk, ended_at__isnull=True).update(lease_until=now + _LEASE):
        read.refresh_from_db()
        return Sliced(read)
    read.refresh_from_db()
    channel = Channel.objects.select_related("credential").get(pk=read.channel_id)
    ends = time.monotonic() + seconds
    error: ConnectorError | Unconnected | None = None
    is_all = False
    connector: Connector | None = None
    try:
        connector = connector_for(channel, before_call=_paced(channel, now_fn, ends))
        is_all = _READERS[read.kind](channel, connector, read, now_fn(), ends)
        mark_good([channel.pk], now_fn(), sent_at=now, quota=connector.quota_told)
    except ConnectorError as refused:
        error = refused
        mark_failed(channel, refused, now_fn(), quota=connector.quota_told if connector is not None else None)
    except Unconnected as unconnected:
        error = unconnected
    finally:
        _store(read, is_all, error, now_fn())
    return Sliced(read, error)


def _paced(channel: Channel, now_fn: Callable[[], datetime], ends: float) -> Callable[[], None]:
    """What runs before each call: it waits for the call's place in the channel's quota."""

    def before_call() -> None:
        now = now_fn()
        (slot,) = reserve(credential=channel.credential, operation=READ, count=1, now=now)
        pause = (slot - now).total_seconds()
        if pause > _LONGEST_PAUSE_SECONDS:
            raise Wait(channel.platform, READ, retry_at=slot, cause="own-quota")
        if pause > 0:
            time.sleep(pause)

    return before_call


def _store(read: ShopRead, is_all: bool, error: ConnectorError | Unconnected | None, now: datetime) -> None:
    read.slice_at, read.lease_until = now, None
    read.cause = error.cause if error is not None else ""
    read.code = error.code if isinstance(error, ConnectorError) else ""
    read.next_at = now if error is None else None
    if isinstance(error, Wait):
        read.next_at = max(error.retry_at, now + timedelta(seconds=1))
    elif isinstance(error, Retry) and now - read.started_at < _GIVE_UP_AFTER:
        read.next_at = now + _RETRY_AFTER
    if is_all:
        read.ended_at, read.next_at, read.state = now, None, {}
    read.save()


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
        due = ShopRead.objects.filter(
            Q(lease_until__isnull=True) | Q(lease_until__lte=now), ended_at__isnull=True, next_at__lte=now
        )
        read = due.exclude(pk__in=tried).order_by("next_at").first()
        if read is None:
            summary.more_due = due.exists()
            return summary
        if time.monotonic() >= ends:
            summary.more_due = True
            return summary
        tried.add(read.pk)
        done = take_slice(read=read, now_fn=now_fn, seconds=ends - time.monotonic())
        summary.told.append(f"{read.kind} of channel {read.channel_id}: {done.read.count}")
