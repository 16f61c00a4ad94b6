"""The three kinds of fetch."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db.models import Q
from django.utils import timezone

from catalog.models import Channel, Listing
from integrations.connections import Unconnected, connector_for, needs_probe
from integrations.connectors.errors import Wait
from integrations.fetching.reading import ReadingJob
from integrations.fetching.summaries import FetchSummary, SliceSummary
from integrations.lanes.engine import Engine
from integrations.lanes.lane import Lane
from integrations.lanes.problem import Problem, problem_of
from integrations.models import ChannelHealth
from monitoring.models import PollRun
from monitoring.services import (
    Claim,
    claim_listings,
    close_idle_runs,
    close_run,
    due_watches,
    ensure_watches,
    make_all_due,
    next_due,
    open_run,
)

logger = logging.getLogger(__name__)

LANE_EVERY = timedelta(minutes=1)  # how often the clock starts a slice
_BUSY_SECONDS = 2.0  # how long a requested reading waits for listings that others are reading
_BUSY_STEP_SECONDS = 0.1
_NO_LIMIT_SECONDS = 86_400.0


def fetch_slice(
    *, now_fn: Callable[[], datetime] = timezone.now, seconds: float, channel_ids: Collection[int] | None = None
) -> SliceSummary:
    """Read what is due, fairly from all watched channels (or these), sending calls for at most `seconds`.

    Any number of slices may run at once, on any number of hosts: each reads other listings. What a killed one had
    claimed is free again when its leases run out.
    """
    now = now_fn()
    ensure_watches(now=now)
    close_idle_runs(now=now)
    is_alone = Channel.objects.filter(is_watched=True).count() == 1
    engine = Engine(ReadingJob(channel_ids=channel_ids), clock=now_fn, seconds=seconds, is_alone=is_alone)
    engine.run()
    due_at = next_due(now=engine.looked_at or now, until=now_fn() + LANE_EVERY, channel_ids=channel_ids)
    summary = SliceSummary(**_figures(engine), more_due=engine.has_more, due_at=due_at)
    if engine.lanes:
        logger.info("fetched %s channels: %s", len(engine.lanes), summary)
    return summary


def fetch_listings(*, listing_ids: Sequence[int], now: datetime, deadline_seconds: float = 25) -> FetchSummary:
    """Read these listings now, whether due, watched or paused, sending calls for at most `deadline_seconds`.

    A channel that is told to wait, or that a person must connect first, is reported instead of called. Listings that
    others are reading just now are waited for briefly, then reported as such.
    """
    started = time.monotonic()

    def clock() -> datetime:
        return now + timedelta(seconds=time.monotonic() - started)

    ensure_watches(listing_ids, now=now)
    job = ReadingJob(find_due=lambda at: [], watched_only=False)
    engine = Engine(job, clock=clock, seconds=deadline_seconds, is_alone=True)
    wanted: dict[int, list[int]] = {}
    for pk, channel_id in Listing.objects.current().filter(pk__in=listing_ids).values_list("pk", "channel_id"):
        wanted.setdefault(channel_id, []).append(pk)
    channels = Channel.objects.select_related("credential").in_bulk(wanted)
    healths = {health.channel_id: health for health in ChannelHealth.objects.filter(channel__in=wanted)}
    held = {
        health.channel_id: problem_of(health)
        for health in healths.values()
        if health.kind == Wait.kind and health.retry_at is not None and health.retry_at > now
    }
    token = uuid4()
    for channel_id, ids in wanted.items():
        if channel_id in held or not _is_connected(channels[channel_id], engine):
            continue
        claims = _claim_patiently(ids, token, clock)
        if len(claims) < len(ids):
            engine.problems[channel_id] = Problem(channel_id, "busy", "being-read")
        if claims:
            run = open_run(channel_id=channel_id, kind=PollRun.Kind.REQUESTED, now=now)
            # A person may try a channel that rests: one call shows whether it is back.
            is_probing = channel_id in healths and needs_probe(healths[channel_id])
            lane = Lane(
                channels[channel_id],
                clock=clock,
                run=run,
                requested=claims,
                token=token,
                is_scheduled=False,
                is_probing=is_probing,
            )
            engine.add_lane(lane)
    engine.problems |= held
    engine.run()
    for lane in engine.lanes.values():
        if lane.run is not None:
            close_run(run=lane.run, now=clock())
    return FetchSummary(**_figures(engine))


def pass_over_channel(
    *,
    channel: Channel,
    now: datetime,
    everything: bool = False,
    interval: timedelta | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FetchSummary:
    """One whole pass over the channel in the foreground, watched or not; paused and removed listings stay out of it.

    `now` is the time of the readings, which may be that of a market clock; calls, leases and holds go by the real one.
    `everything` reads what is not due yet, too. `interval` is how long each of these readings speaks, when that is
    not the listings' own interval. `progress` is called with the listings done, and those there are to do.
    """
    ensure_watches(now=now)
    run = open_run(channel_id=channel.pk, now=now)
    if everything:
        make_all_due(run=run)
    rest = due_watches(channel.pk, run.started_at, watched_only=False)
    total = rest.count()
    done = 0

    def count(listings: int) -> None:
        nonlocal done
        done += listings
        if progress is not None:
            progress(done, total)

    def find_due(at: datetime) -> list[int]:
        free = Q(lease_until__isnull=True) | Q(lease_until__lte=at)
        return [channel.pk] if rest.filter(free).exists() else []

    job = ReadingJob(find_due=find_due, observed_at=now, interval=interval, watched_only=False, progress=count)
    engine = Engine(job, clock=timezone.now, seconds=_NO_LIMIT_SECONDS, is_alone=True)
    engine.run()
    close_run(run=run, now=now, watched_only=False)
    return FetchSummary(**_figures(engine))


def _figures(engine: Engine) -> dict[str, Any]:
    counts = engine.counts
    return {
        **{name: counts[name] for name in ("read", "changed", "missing", "failed")},
        "problems": sorted(engine.problems.values(), key=lambda problem: problem.channel_id),
    }


def _is_connected(channel: Channel, engine: Engine) -> bool:
    try:
        connector_for(channel)
    except Unconnected as error:
        engine.problems[channel.pk] = Problem(channel.pk, error.kind, error.cause)
        return False
    return True


def _claim_patiently(listing_ids: Sequence[int], token: UUID, clock: Callable[[], datetime]) -> list[Claim]:
    claims = claim_listings(listing_ids=listing_ids, token=token, now=clock())
    gives_up = time.monotonic() + _BUSY_SECONDS
    while len(claims) < len(listing_ids) and time.monotonic() < gives_up:
        time.sleep(_BUSY_STEP_SECONDS)
        claimed = {claim.listing_id for claim in claims}
        claims += claim_listings(listing_ids=[pk for pk in listing_ids if pk not in claimed], token=token, now=clock())
    return claims
