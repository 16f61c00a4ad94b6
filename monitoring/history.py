"""A listing's history row by row, newest first: what each reading changed, from what to what."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from catalog.facts import Facts, ShelfState
from catalog.models import Listing
from monitoring.charts.data import FACTS, Row, exact_text, figure, moment_of
from monitoring.models import Observation

PAGE_SIZE = 20
CSV_HEAD = ["time", "read", *FACTS, "shelf_state", "currency"]
# How far back the start of a present value is looked for.
SINCE_ROWS = 500


@dataclass(frozen=True)
class Entry:
    """One row of the history. `before` is None for the first one, and for the first one after a gap."""

    at: datetime
    after: Facts | None  # None: from then on nothing was read
    before: Facts | None

    @property
    def stock_change(self) -> int | None:
        """Units gained or lost; None when either side is not known or nothing changed."""
        if not (self.before and self.after) or self.before.stock is None or self.after.stock is None:
            return None
        return (self.after.stock - self.before.stock) or None


@dataclass(frozen=True)
class Since:
    """From when on a fact has had its present value."""

    at: datetime
    is_exact: bool  # False: at least since then; further back was not looked


def facts_of(observation: Observation) -> Facts | None:
    if observation.is_gap:
        return None
    return Facts(
        list_price=observation.list_price,
        live_price=observation.live_price,
        promotion_price=observation.promotion_price,
        stock=observation.stock,
        shelf_state=ShelfState(observation.shelf_state),
    )


def page(*, listing: Listing, before: datetime | None = None, size: int = PAGE_SIZE) -> tuple[list[Entry], bool]:
    """The newest `size` entries before a time, and whether there are older ones. One query, whatever came before."""
    rows: QuerySet[Observation] = listing.observations.order_by("-observed_at")
    if before is not None:
        rows = rows.filter(observed_at__lt=before)
    found = list(rows[: size + 1])
    entries = [
        Entry(row.observed_at, facts_of(row), facts_of(found[index + 1]) if index + 1 < len(found) else None)
        for index, row in enumerate(found[:size])
    ]
    return entries, len(found) > size


def since(*, listing: Listing, now: datetime) -> dict[str, Since]:
    """When each fact took its present value, for the facts that are known; one query over the newest rows."""
    rows = list(listing.observations.filter(observed_at__lte=now).order_by("-observed_at")[:SINCE_ROWS])
    found = {fact: _since(rows, fact) for fact in (*FACTS, "shelf_state")}
    return {fact: began for fact, began in found.items() if began is not None}


def _since(rows: Sequence[Observation], fact: str) -> Since | None:
    """From when on the rows, newest first, have the value of the first one.

    Where the value was not known for a while and was the same before, it counts as unchanged. It is exact only when the
    row before had another known value: a value that is older than what was looked at, or that may have come while
    nothing was known, is at least that old.
    """
    present: Any = None
    began: datetime | None = None
    is_adjacent = True
    for row in rows:
        value = None if row.is_gap or getattr(row, fact) == ShelfState.UNKNOWN else getattr(row, fact)
        if value is None:
            if began is None:
                return None
            is_adjacent = False
        elif began is None or value == present:
            present, began, is_adjacent = value, row.observed_at, True
        else:
            return Since(began, is_exact=is_adjacent)
    return None if began is None else Since(began, is_exact=False)


def csv_rows(*, listing: Listing, rows: Iterable[Row]) -> Iterator[list[str]]:
    """The change points as text: exact amounts, times with the offset of the channel's zone, empty for not known."""
    zone, currency = ZoneInfo(listing.channel.time_zone), listing.channel.currency
    yield CSV_HEAD
    for _listing_id, at, is_gap, *values, shelf_state in rows:
        texts = [exact_text(figure(fact, value), currency) for fact, value in zip(FACTS, values, strict=True)]
        time = moment_of(at).astimezone(zone).isoformat(timespec="seconds")
        yield [time, "no" if is_gap else "yes", *texts, "" if is_gap else shelf_state, currency]


def safe_cell(text: str) -> str:
    """Text for a file that a spreadsheet opens: what it would take for a formula becomes plain text."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def was_supplied(*, listing: Listing, fact: str) -> bool:
    """Whether one of the newest readings gave the fact; one bounded look."""
    newest = listing.observations.order_by("-observed_at").values_list(fact, flat=True)[:SINCE_ROWS]
    return any(value is not None for value in newest)
