"""One listing's local days in short, from its change points. Pure; times are aware UTC."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
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
