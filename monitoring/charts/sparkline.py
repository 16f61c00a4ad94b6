"""Small pictures drawn on the server as SVG: a step line without axes, and bars from zero. Pure; no styles."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

WIDTH, HEIGHT, MARGIN = 84, 24, 3
Point = tuple[int, Decimal | None]  # time in milliseconds, value from then on; None: not known


@dataclass(frozen=True)
class Sparkline:
    path: str  # of an SVG path in a box of WIDTH x HEIGHT
    end: tuple[str, str] | None  # where the dot of the last value stands


def sparkline(points: Sequence[Point], start: int, end: int) -> Sparkline | None:
    """The values from `start` to `end` as steps, with holes where they are not known; None when none is known."""
    known = [value for _at, value in points if value is not None]
    if not known or end <= start:
        return None
    low, high = min(known), max(known)
    parts: list[str] = []
    before: Decimal | None = None
    y = ""
    for index, (at, value) in enumerate(points):
        x = _x(max(at, start), start, end)
        if before is not None:
            parts.append(f"H{x}")
        if value is not None:
            y = _y(value, low, high)
            parts.append(f"V{y}" if before is not None else f"M{x} {y}")
        before = value
        if index == len(points) - 1 and value is not None:
            parts.append(f"H{_x(end, start, end)}")
    return Sparkline("".join(parts), (_x(end, start, end), y) if before is not None else None)


def _x(at: int, start: int, end: int) -> str:
    return _short(MARGIN + (WIDTH - 2 * MARGIN) * (at - start) / (end - start))


def _y(value: Decimal, low: Decimal, high: Decimal) -> str:
    if high == low:
        return _short(HEIGHT / 2)
    return _short(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * float((value - low) / (high - low)))


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class Bar:
    """One bar of a diverging chart; all positions in percent of its width."""

    x: str
    width: str
    label_x: str
    is_down: bool


@dataclass(frozen=True)
class Bars:
    zero: str
    bars: list[Bar]


def diverging(ratios: Sequence[Decimal], label_room: int = 22) -> Bars:
    """Bars to the left and right of one zero line, on one scale, with room in percent for a label at either end."""
    down, up = max([-min(ratios, default=Decimal(0)), Decimal(0)]), max([*ratios, Decimal(0)])
    room = 100 - label_room * (bool(down) + bool(up))
    scale = room / float(down + up) if down + up else 0.0
    zero = label_room * bool(down) + float(down) * scale
    bars = []
    for ratio in ratios:
        length = abs(float(ratio)) * scale
        is_down = ratio < 0
        left = zero - length if is_down else zero
        label = left - 1 if is_down else zero + length + 1
        bars.append(Bar(f"{left:.2f}%", f"{length:.2f}%", f"{label:.2f}%", is_down))
    return Bars(f"{zero:.2f}%", bars)
