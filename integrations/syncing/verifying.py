"""Reading back: what the platform shows of rows that were sent, or that something else says it shows differently."""

import time
from collections.abc import Sequence
from datetime import datetime

from integrations.connectors.base import Capability, Connector, ListingRef, ReadOutcome
from integrations.syncing.rows import Claim, Result, Status

AMBIGUOUS = "unknown-location"  # the shop has several locations, and none is named
NOT_STOCKED = "not-stocked-there"


def capability_of(connector: Connector) -> Capability:
    return Capability.READ_STOCK_LEVELS if connector.has_locations else Capability.READ_LISTINGS


def batches(connector: Connector, claims: Sequence[Claim]) -> list[tuple[list[ListingRef], list[Claim]]]:
    """The rows in groups that one look reads."""
    by_listing: dict[int, list[Claim]] = {}
    for claim in claims:
        by_listing.setdefault(claim.listing_id, []).append(claim)
    refs = [ListingRef(pk, rows[0].item_id, rows[0].sku_id) for pk, rows in by_listing.items()]
    return [
        (batch, [claim for ref in batch for claim in by_listing[ref.listing_id]])
        for batch in connector.read_batches(refs)
    ]


def look(connector: Connector, claims: Sequence[Claim], now: datetime) -> list[Result]:
    """What the platform shows of each row now; raises ConnectorError where a call brought nothing."""
    return [
        result
        for refs, rows in batches(connector, claims)
        for result in (_levels if connector.has_locations else _listings)(connector, refs, rows, now)
    ]


def _levels(connector: Connector, refs: list[ListingRef], claims: Sequence[Claim], now: datetime) -> list[Result]:
    started = time.monotonic()
    by_listing: dict[int, dict[str, int | None]] = {}
    for level in connector.read_stock_levels(refs, now=now):
        by_listing.setdefault(level.listing_id, {})[level.location_id] = level.available
    took = _milliseconds(started)
    results = []
    for claim in claims:
        levels = by_listing.get(claim.listing_id, {})
        is_elsewhere = bool(levels) and claim.location_id not in levels
        shown, cause = levels.get(claim.location_id), NOT_STOCKED if is_elsewhere else "not-read"
        if not claim.location_id and levels:
            shown, cause = (next(iter(levels.values())), "not-read") if len(levels) == 1 else (None, AMBIGUOUS)
        results.append(_result(claim, shown, cause, now, took))
    return results


def _listings(connector: Connector, refs: list[ListingRef], claims: Sequence[Claim], now: datetime) -> list[Result]:
    started = time.monotonic()
    readings = {reading.listing_id: reading for reading in connector.read_listings(refs, now=now)}
    took = _milliseconds(started)
    results = []
    for claim in claims:
        reading = readings[claim.listing_id]
        if reading.outcome == ReadOutcome.MISSING:
            cause = reading.cause or "unknown-listing"
            results.append(Result(claim.pk, Status.REFUSED, at=now, cause=cause, duration_ms=took))
            continue
        shown = reading.facts.stock if reading.facts is not None else None
        results.append(_result(claim, shown, reading.cause or "not-read", now, took))
    return results


def _result(claim: Claim, shown: int | None, cause: str, now: datetime, took: int) -> Result:
    if shown is None:
        return Result(claim.pk, Status.UNREAD, at=now, cause=cause, duration_ms=took)
    return Result(claim.pk, Status.READ, at=now, shown=shown, duration_ms=took)


def _milliseconds(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
