"""What a promotion does to listings, added up: margins in bands, and when the stock behind them is sold. Pure.

Money in minor units; None is not known, and is counted as such, never as 0.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

_WHOLE_RATE = 10_000
_BAND = 1_000  # basis points
_LAST_BAND = 5_000  # and more
LEAST_DAYS = 7  # with stock, before a pace is told


@dataclass(frozen=True, slots=True)
class Band:
    """Listings whose margin, in basis points of what comes in, is from `lower` to below `upper`; None: no limit."""

    lower: int | None
    upper: int | None
    count: int
    is_below_floor: bool = False


def bands(margins: Iterable[tuple[int, int]], floor: int | None) -> list[Band]:
    """Of (margin, receipts): below break-even, from there to the floor, then in tens of percent, from low to high.

    At break-even nothing is missing, and at the floor the margin is not below it. Bands that nobody is in are left
    out, but those of losses and below the floor are always told.
    """
    losses = thin = 0
    higher: Counter[int] = Counter()
    for left, received in margins:
        if left < 0:
            losses += 1
        elif floor is not None and left * _WHOLE_RATE < floor * received:
            thin += 1
        else:
            share = left * _WHOLE_RATE // received if received > 0 else 0
            higher[min(share // _BAND * _BAND, _LAST_BAND)] += 1
    found = [Band(None, 0, losses)]
    if floor is not None:
        found.append(Band(0, floor, thin, is_below_floor=True))
    for lower in sorted(higher):
        upper = None if lower == _LAST_BAND else lower + _BAND
        found.append(Band(max(lower, floor or 0), upper, higher[lower]))
    return found


@dataclass(frozen=True, slots=True)
class Day:
    """Units of a SKU sold on a day, and by how much what was available changed on it."""

    sold: int
    change: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Units sold on the days on which there was something to sell; `per_day` is None while these are too few."""

    sold: int
    days: int

    @property
    def per_day(self) -> Decimal | None:
        return Decimal(self.sold) / self.days if self.days >= LEAST_DAYS else None


def pace(days: Sequence[Day], available: int) -> Pace:
    """Of days in order, `available` at the end of the last one.

    A day counts if it began or ended with stock, or something was sold on it: a day without stock tells nothing about
    how much people want.
    """
    sold = counted = 0
    at_end = available
    for day in reversed(days):
        at_start = at_end - day.change
        if day.sold > 0 or max(at_start, at_end) > 0:
            sold += day.sold
            counted += 1
        at_end = at_start
    return Pace(sold, counted)


def sold_out_after(
    available: int,
    per_day: Decimal,
    *,
    uplift: Decimal,
    begins_after: Decimal,
    arrivals: Sequence[tuple[Decimal, int]] = (),
) -> Decimal | None:
    """Days from now until nothing is left: at the pace of today, and at `uplift` times it once the promotion begins.

    `arrivals` are days from now, ascending, and units; what comes once nothing is left comes too late. 0 where there is
    nothing left already; None where nothing is sold.
    """
    if available <= 0:
        return Decimal(0)
    if per_day <= 0 or uplift <= 0:
        return None
    faster = per_day * uplift
    today, left = Decimal(0), Decimal(available)
    for due, units in (*arrivals, (None, 0)):
        slow = max(begins_after - today, Decimal(0))
        empty_at = today + (left / per_day if per_day * slow >= left else slow + (left - per_day * slow) / faster)
        if due is None or empty_at <= due:
            return empty_at
        slow = min(slow, due - today)
        left += units - per_day * slow - faster * (due - today - slow)
        today = due
    return None
