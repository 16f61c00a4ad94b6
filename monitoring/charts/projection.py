"""Stock as it was and as it will be, drawn on the server as SVG: a small line for a row, and a chart for a page. Pure.

Values are stocks at the ends of days, None where nobody knows. The last value of the past is that of now, and the first
of the time ahead; what is drawn never goes below 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import ceil

WIDTH, HEIGHT, MARGIN = 172, 40, 5
# The chart of a page: upright for wide ones, and the same data in a narrower box for phones.
_CHART_HEIGHT, _LEFT, _TOP, _RIGHT, _FOOT = 300, 52, 14, 10, 26
_MOST_TICKS = 6

Value = float | None


def ahead(available: float, per_day: float, arrivals: dict[int, int], days: int) -> list[float]:
    """The stock at the end of today and of so many coming days at a steady demand; an arrival counts on its day.

    Demand that is not met is lost, so the stock waits at 0 for what arrives.
    """
    line = [available + arrivals.get(0, 0)]
    for day in range(1, days + 1):
        line.append(max(line[-1] + arrivals.get(day, 0) - per_day, 0.0))
    return line


@dataclass(frozen=True, slots=True)
class Small:
    """Paths in a box of WIDTH x HEIGHT; "" where there is nothing to draw."""

    past: str
    ahead: str
    safety: str
    now: str
    zero: str
    cross: str  # where it runs out


def small(past: Sequence[Value], coming: Sequence[float], safety: float | None) -> Small | None:
    """None where neither the past nor the time ahead is known."""
    known = [value for value in past if value is not None]
    if not coming and not known:
        return None
    top = max([*known, *coming, safety or 0.0, 1.0])
    days = max(len(past) - 1, 0) + max(len(coming) - 1, 1)

    def x(day: int) -> str:
        return _short(MARGIN + (WIDTH - 2 * MARGIN) * day / days)

    def y(value: float) -> str:
        return _short(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * max(value, 0.0) / top)

    today = max(len(past) - 1, 0)
    out = _out(coming)
    return Small(
        past=_line([(x(day), None if value is None else y(value)) for day, value in enumerate(past)]),
        ahead=_line([(x(today + day), y(value)) for day, value in enumerate(coming)]),
        safety="" if safety is None else f"M{MARGIN} {y(safety)}H{WIDTH - MARGIN}",
        now=f"M{x(today)} 2V{HEIGHT - 2}",
        zero=f"M{MARGIN} {y(0)}H{WIDTH - MARGIN}",
        cross="" if out is None else _cross(float(x(today + out)), float(y(0)), 4),
    )


@dataclass(frozen=True, slots=True)
class Tick:
    at: int
    value: int


@dataclass(frozen=True, slots=True)
class DayTick:
    at: int
    label: str  # MM-DD


@dataclass(frozen=True, slots=True)
class Chart:
    """The chart of a page."""

    width: int
    height: int
    past: str
    ahead: str
    band: str
    safety: int | None  # where its line is
    cross: str
    today: int
    ticks: list[Tick]
    days: list[DayTick]
    plot: tuple[int, int, int, int]  # left, top, right, bottom
    arrivals: list[Tick] = field(default_factory=list)  # where something comes, and how many units
    gaps: list[tuple[int, int]] = field(default_factory=list)  # where nobody knows it: from where, how wide


def chart(
    past: Sequence[Value],
    coming: Sequence[float],
    band: Sequence[tuple[float, float]],
    *,
    safety: float | None,
    arrivals: dict[int, int],
    today: date,
    width: int = 1000,
) -> Chart:
    """`band`: for each day ahead between which stocks it will be, today among them."""
    known = [value for value in past if value is not None]
    highest = max([*known, *coming, *(high for _low, high in band), safety or 0.0, 1.0])
    step = _nice(highest / (_MOST_TICKS - 1))
    top = step * max(1, ceil(highest / step))
    back, forward = max(len(past) - 1, 0), max(len(coming) - 1, 1)
    right, bottom = width - _RIGHT, _CHART_HEIGHT - _FOOT

    def x(day: int) -> int:
        return round(_LEFT + (right - _LEFT) * (day + back) / (back + forward))

    def y(value: float) -> int:
        return round(bottom - (bottom - _TOP) * max(value, 0.0) / top)

    out = _out(coming)
    upper = [f"{x(day)} {y(high)}" for day, (_low, high) in enumerate(band)]
    lower = [f"{x(day)} {y(low)}" for day, (low, _high) in enumerate(band)]
    between = 14 if width > 600 else 28
    return Chart(
        width=width,
        height=_CHART_HEIGHT,
        past=_line([(str(x(day - back)), None if value is None else str(y(value))) for day, value in enumerate(past)]),
        ahead=_line([(str(x(day)), str(y(value))) for day, value in enumerate(coming)]),
        band=f"M{'L'.join([*upper, *reversed(lower)])}Z" if len(band) > 1 else "",
        safety=None if safety is None else y(safety),
        cross="" if out is None else _cross(x(out), y(0), 6),
        today=x(0),
        ticks=[Tick(y(value), value) for value in range(0, top + 1, step)],
        days=[
            DayTick(x(day), f"{today + timedelta(days=day):%m-%d}")
            for day in range(-(back // between) * between, forward + 1, between)
        ],
        plot=(_LEFT, _TOP, right, bottom),
        arrivals=[Tick(x(day), units) for day, units in sorted(arrivals.items()) if 0 <= day <= forward],
        gaps=[(x(first - back), x(last - back) - x(first - back)) for first, last in holes(past)],
    )


def holes(values: Sequence[Value]) -> list[tuple[int, int]]:
    """From which place to which other one the values are not known, each with the known one after it."""
    found: list[tuple[int, int]] = []
    for place, value in enumerate(values):
        if value is None and place and values[place - 1] is None:
            found[-1] = (found[-1][0], place + 1)
        elif value is None:
            found.append((max(place - 1, 0), place + 1))
    return [(first, min(last, len(values) - 1)) for first, last in found]


def _out(coming: Sequence[float]) -> int | None:
    return next((day for day, value in enumerate(coming) if value <= 0), None)


def _line(points: Sequence[tuple[str, str | None]]) -> str:
    """Straight lines with holes where the value is not known."""
    parts: list[str] = []
    is_open = False
    for x, y in points:
        if y is not None:
            parts.append(f"{'L' if is_open else 'M'}{x} {y}")
        is_open = y is not None
    return "".join(parts)


def _cross(x: float, y: float, size: int) -> str:
    left, right, top, bottom = (_short(each) for each in (x - size, x + size, y - size, y + size))
    return f"M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _nice(rough: float) -> int:
    """The next of 1, 2, 5, 10, 20, … that is not below."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size >= rough:
                return factor * size
        size *= 10
