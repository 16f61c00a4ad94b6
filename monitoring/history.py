"""A listing's history row by row, newest first: what each reading changed, from what to what."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
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


def since(*, listing: Listing) -> dict[str, Since]:
    """When each fact took its present value, for the facts that are known; one query over the newest rows."""
    rows = list(listing.observations.order_by("-observed_at")[: SINCE_ROWS + 1])
    found: dict[str, Since] = {}
    for fact in (*FACTS, "shelf_state"):
        began, is_exact = None, len(rows) <= SINCE_ROWS
        for row in rows:
            if row.is_gap or getattr(row, fact) != getattr(rows[0], fact):
                is_exact = True
                break
            began = row
        if began is not None:
            found[fact] = Since(began.observed_at, is_exact)
    return found


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
