"""Reading as a job of the lanes: which listings are read in one call, and what is recorded of them."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TypeVar
from uuid import UUID

from catalog.models import Listing
from integrations.connectors.base import Capability, Connector, ListingRef, Reading, ReadOutcome
from integrations.connectors.errors import ConnectorError
from integrations.lanes.lane import Batch, Chunk, Job, Lane
from monitoring.services import (
    Claim,
    Recorded,
    claim_due,
    close_run,
    due_channels,
    due_watches,
    open_run,
    record,
    release,
)

_READ_BY = {
    Listing.Ownership.OWN: Capability.READ_LISTINGS,
    Listing.Ownership.COMPETITOR: Capability.READ_COMPETITORS,
}
T = TypeVar("T")


class ReadingJob(Job):
    """Listings that are due are read and recorded; passes are opened and ended."""

    name = "read"

    def __init__(
        self,
        *,
        channel_ids: Collection[int] | None = None,
        find_due: Callable[[datetime], list[int]] | None = None,
        observed_at: datetime | None = None,
        interval: timedelta | None = None,
        watched_only: bool = True,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """`channel_ids`: of these channels only. `find_due` replaces the question which channels are due.

        `observed_at` and `interval` replace the present time and the listings' own interval in what is recorded.
        """
        self._channel_ids = channel_ids
        self._find_due = find_due
        self._observed_at = observed_at
        self._interval = interval
        self._watched_only = watched_only
        self._progress = progress

    def due_channels(self, now: datetime) -> list[int]:
        if self._find_due is not None:
            return self._find_due(now)
        return due_channels(now=now, channel_ids=self._channel_ids)

    def rows_per_call(self, connector: Connector) -> int:
        return connector.max_items_per_read

    # --- Claiming ---------------------------------------------------------------------------------------------------

    def claim(self, lane: Lane, chunk: Chunk, limit: int, now: datetime) -> None:
        if lane.is_scheduled:
            claims = self._claim_due(lane, limit, chunk.token, now)
        else:
            chunk.token = lane.token
            claims = [lane.requested.popleft() for _ in range(min(limit, len(lane.requested)))]
        chunk.claims = {claim.listing_id: claim for claim in claims}

    def _claim_due(self, lane: Lane, limit: int, token: UUID, now: datetime) -> list[Claim]:
        if lane.run is None:
            # A pass covers what is due at its start; later ones wait for the next, so that passes end.
            if not due_watches(lane.channel.pk, now, watched_only=self._watched_only).exists():
                return []
            lane.run = open_run(channel_id=lane.channel.pk, now=now)
        return claim_due(run=lane.run, limit=limit, token=token, now=now, watched_only=self._watched_only)

    def split(self, chunk: Chunk) -> list[Batch]:
        """In batches that are own, or other shops'; what the platform cannot be asked for is refused at once."""
        lane = chunk.lane
        refs = [
            ListingRef(claim.listing_id, claim.item_id, claim.sku_id, claim.ownership == Listing.Ownership.OWN)
            for claim in chunk.claims.values()
        ]
        causes = {capability: _refusal(lane, capability) for capability in _READ_BY.values()}
        if any(causes.values()):
            chunk.results += [
                Reading(ref.listing_id, ReadOutcome.REFUSED, cause=cause)
                for ref in refs
                if (cause := causes[_capability_of(ref)])
            ]
            refs = [ref for ref in refs if not causes[_capability_of(ref)]]
        return [
            Batch(chunk, _capability_of(batch[0]), [ref.listing_id for ref in batch], batch)
            for batch in lane.connector.read_batches(refs)
        ]

    # --- Calling ----------------------------------------------------------------------------------------------------

    def call(self, batch: Batch, now: datetime) -> list[Reading]:
        return batch.chunk.lane.connector.read_listings(batch.rows, now=now)

    def without_answer(self, batch: Batch, error: ConnectorError, *, is_refused: bool) -> list[Reading]:
        outcome = ReadOutcome.REFUSED if is_refused else ReadOutcome.FAILED
        return [Reading(pk, outcome, cause=error.cause) for pk in batch.keys]

    def has_other_kinds(self, lane: Lane) -> bool:
        kinds = [
            ownership
            for ownership, capability in _READ_BY.items()
            if capability in lane.connector.capabilities and capability not in lane.refused
        ]
        left = Listing.objects.current().filter(channel=lane.channel, ownership__in=kinds)
        return left.exclude(watch__is_paused=True).exists()

    # --- Recording --------------------------------------------------------------------------------------------------

    def keys_of(self, results: Sequence[Reading]) -> list[int]:
        return [reading.listing_id for reading in results]

    def record(self, chunk: Chunk, now: datetime) -> Counter[str]:
        now = self._observed_at or chunk.started_at or now
        if chunk.untried:
            release(listing_ids=chunk.untried, token=chunk.token)
        for cause, listing_ids in chunk.held.items():
            release(listing_ids=listing_ids, token=chunk.token, run=chunk.lane.run, cause=cause, now=now)
        done = Recorded()
        if chunk.results:
            # Everyone locks rows in the order of their keys, so that nobody waits in a circle.
            chunk.results.sort(key=attrgetter("listing_id"))
            done = record(
                run=_known(chunk.lane.run),
                token=chunk.token,
                claims=chunk.claims,
                readings=chunk.results,
                now=now,
                interval=self._interval,
            )
            if self._progress is not None:
                self._progress(done.read + done.missing + done.failed)
        failed = done.failed + sum(map(len, chunk.held.values()))
        return Counter(read=done.read, changed=done.changed, missing=done.missing, failed=failed, lost=done.lost)

    def give_back(self, lane: Lane, keys: Sequence[int], token: UUID, now: datetime, *, cause: str = "") -> None:
        release(listing_ids=keys, token=token, run=lane.run, cause=cause, now=self._observed_at or now)

    def close(self, lane: Lane, now: datetime) -> None:
        close_run(run=lane.run, now=self._observed_at or now, watched_only=self._watched_only)


def _capability_of(ref: ListingRef) -> Capability:
    return Capability.READ_LISTINGS if ref.is_own else Capability.READ_COMPETITORS


def _refusal(lane: Lane, capability: Capability) -> str:
    """Why such listings are not asked for, "" when they are."""
    return lane.refused.get(capability, "") if capability in lane.connector.capabilities else "unsupported"


def _known(value: T | None) -> T:
    assert value is not None  # noqa: S101  # a lane that has chunks has a pass
    return value
