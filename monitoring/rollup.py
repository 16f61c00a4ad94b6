"""One listing's local days in short, from its change points. Pure; times are aware UTC."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

T = TypeVar("T", int, Decimal)


class Point(NamedTuple):
    """Facts in force from `at` to the next point; in a gap none is known."""

    at: datetime
    is_gap: bool
    list_price: Decimal | None
    live_price: Decimal | None
    promotion_price: Decimal | None
    stock: int | None
    shelf_state: str


@dataclass(frozen=True, slots=True)
class Day:
    """A day on which something changed; lows and highs include the value that was in force when it began.

    `last` was in force at its end, and is so until the next such day.
    """

    day: date
    last: Point
    live_price_low: Decimal | None
    live_price_high: Decimal | None
    stock_low: int | None
    stock_high: int | None
    gap_seconds: int


def roll_up(points: Sequence[Point], zone: ZoneInfo) -> Iterator[Day]:
    """The days of the points (in order of time); all of a day's points must be among them, and one from before it."""
    carried: Point | None = None
    for day, group in groupby(points, key=lambda point: point.at.astimezone(zone).date()):
        changes = list(group)
        starts_at = datetime.combine(day, time(), zone)
        ends_at = datetime.combine(day + timedelta(days=1), time(), zone)  # 23 or 25 hours later twice a year
        in_force = changes if carried is None or changes[0].at <= starts_at else [carried, *changes]
        prices = [point.live_price for point in in_force if point.live_price is not None]
        stocks = [point.stock for point in in_force if point.stock is not None]
        yield Day(
            day=day,
            last=changes[-1],
            live_price_low=_least(prices),
            live_price_high=_greatest(prices),
            stock_low=_least(stocks),
            stock_high=_greatest(stocks),
            gap_seconds=_gap_seconds(in_force, starts_at, ends_at),
        )
        carried = changes[-1]


def _gap_seconds(in_force: Sequence[Point], starts_at: datetime, ends_at: datetime) -> int:
    ends = [*(point.at for point in in_force[1:]), ends_at]
    # Differences of instants, since two times of one zone would be subtracted by their wall clocks.
    gaps = (
        end.timestamp() - max(point.at, starts_at).timestamp()
        for point, end in zip(in_force, ends, strict=True)
        if point.is_gap
    )
    return round(sum(gaps))


def _least(values: list[T]) -> T | None:
    return min(values) if values else None


def _greatest(values: list[T]) -> T | None:
    return max(values) if values else None


class StoredDay(NamedTuple):
    """What is kept of a day on which something changed: the facts at its end, and how long nothing was known."""

    day: date
    gap_seconds: int
    list_price: Decimal | None
    live_price: Decimal | None
    promotion_price: Decimal | None
    stock: int | None
    shelf_state: str

    @property
    def ends_in_gap(self) -> bool:
        return self[2:6] == (None, None, None, None) and self.shelf_state == "unknown"


def points_of(days: Iterable[StoredDay], zone: ZoneInfo) -> Iterator[Point]:
    """The days (in their order) as change points: each one's last facts from its end on, when they surely held.

    Its gap, of which only the length is kept, begins with the day where the one before ended in a gap, else it ends
    with it; so the times in which nothing was known add up to what they were.
    """
    was_known: bool | None = None
    for each in days:
        ends_at = datetime.combine(each.day + timedelta(days=1), time(), zone).astimezone(UTC)
        at, gap = ends_at, timedelta(seconds=each.gap_seconds)
        if was_known is False and not each.ends_in_gap:
            at = datetime.combine(each.day, time(), zone).astimezone(UTC) + gap
        elif was_known and gap:
            yield Point(ends_at - gap, True, None, None, None, None, "unknown")
        if not each.ends_in_gap:
            yield Point(at, False, *each[2:])
        was_known = not each.ends_in_gap
