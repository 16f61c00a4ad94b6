"""From the first price to what the buyer pays, as bars of SVG: upright for wide pages, lying for narrow ones. Pure.

Amounts are integers of the minor unit; the axis may be cut, and then total bars have a break mark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1000, 300
_PLOT_LEFT, _PLOT_TOP, _PLOT_BOTTOM = 64, 24, 264
_ROW, _LABELS, _RIGHT = 44, 4, 330  # of the lying one, which is 360 wide
NARROW = 360
_MOST_TICKS = 6
_CUT_FROM = 0.4  # of the highest: an axis that begins lower than this begins at 0


@dataclass(frozen=True, slots=True)
class Amount:
    """A bar: a total stands on the axis, what is taken off hangs from what was left before it."""

    label: str
    text: str
    low: int
    high: int
    is_total: bool


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    text: str
    is_total: bool
    x: int
    y: int
    width: int
    height: int
    text_x: int
    text_y: int
    label_x: int
    label_y: int
    connector: str  # of an SVG path to the next bar; "" after the last
    break_mark: str  # of an SVG path through a total bar on a cut axis; "" without


@dataclass(frozen=True, slots=True)
class Tick:
    at: int
    value: int


@dataclass(frozen=True, slots=True)
class Loss:
    """From the price up to break-even."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Drawing:
    width: int
    height: int
    bars: list[Bar]
    ticks: list[Tick]
    limit: int | None  # where the break-even line is
    loss: Loss | None
    start: int  # the axis begins at this amount
    plot: tuple[int, int, int, int]  # left, top, right, bottom

    @property
    def middle(self) -> int:
        return (self.plot[0] + self.plot[2]) // 2


def upright(amounts: Sequence[Amount], limit: int | None) -> Drawing:
    """`limit`: break-even; None: not known."""
    start, ticks = _axis(amounts, limit)
    top = ticks[-1]
    right = WIDTH - 8

    def y_of(value: int) -> int:
        return round(_PLOT_BOTTOM - (_PLOT_BOTTOM - _PLOT_TOP) * (value - start) / (top - start))

    step = (right - _PLOT_LEFT) / len(amounts)
    width = round(min(step * 0.7, 120))
    bars = []
    for place, amount in enumerate(amounts):
        x = round(_PLOT_LEFT + step * place + (step - width) / 2)
        y, bottom = y_of(amount.high), y_of(start if amount.is_total else amount.low)
        level = y_of(amount.high if amount.is_total else amount.low)
        is_last = place == len(amounts) - 1
        is_cut = amount.is_total and start > 0
        is_lossy = is_last and limit is not None and limit > amount.high
        bars.append(
            Bar(
                amount.label,
                amount.text,
                amount.is_total,
                x,
                y,
                width,
                max(bottom - y, 1),
                x + width // 2,
                y + 18 if is_lossy and bottom - y > 24 else y - 7,
                x + width // 2,
                _PLOT_BOTTOM + 20,
                "" if is_last else f"M{x + width} {level}H{round(x + step)}",
                f"M{x} {bottom - 10}L{x + width} {bottom - 18}" if is_cut and bottom - y > 24 else "",
            )
        )
    last = bars[-1]
    loss = None
    if limit is not None and limit > amounts[-1].high:
        loss = Loss(last.x, y_of(limit), last.width, y_of(amounts[-1].high) - y_of(limit))
    return Drawing(
        WIDTH,
        HEIGHT,
        bars,
        [Tick(y_of(value), value) for value in ticks],
        None if limit is None or limit > top or limit < start else y_of(limit),
        loss,
        start,
        (_PLOT_LEFT, _PLOT_TOP, right, _PLOT_BOTTOM),
    )


def lying(amounts: Sequence[Amount], limit: int | None) -> Drawing:
    """One row for each bar, its label above it."""
    start, ticks = _axis(amounts, limit)
    top = ticks[-1]
    bottom = _ROW * len(amounts)

    def x_of(value: int) -> int:
        return round(_LABELS + (_RIGHT - _LABELS) * (value - start) / (top - start))

    bars = []
    for place, amount in enumerate(amounts):
        x, right = x_of(start if amount.is_total else amount.low), x_of(amount.high)
        y = _ROW * place
        level = x_of(amount.high if amount.is_total else amount.low)
        is_last = place == len(amounts) - 1
        bars.append(
            Bar(
                amount.label,
                amount.text,
                amount.is_total,
                x,
                y + 20,
                max(right - x, 1),
                16,
                NARROW - 2,
                y + 14,
                _LABELS,
                y + 14,
                "" if is_last else f"M{level} {y + 36}V{y + _ROW + 20}",
                f"M{x + 10} {y + 36}L{x + 18} {y + 20}" if amount.is_total and start > 0 and right - x > 24 else "",
            )
        )
    loss = None
    if limit is not None and limit > amounts[-1].high:
        loss = Loss(x_of(amounts[-1].high), bars[-1].y, x_of(limit) - x_of(amounts[-1].high), 16)
    return Drawing(
        NARROW,
        bottom,
        bars,
        [Tick(x_of(value), value) for value in ticks],
        None if limit is None or limit > top or limit < start else x_of(limit),
        loss,
        start,
        (_LABELS, 0, _RIGHT, bottom),
    )


def _axis(amounts: Sequence[Amount], limit: int | None) -> tuple[int, list[int]]:
    """Where the axis begins, and its ticks from there to above all bars."""
    marks = [amount.high if amount.is_total else amount.low for amount in amounts] + ([limit] if limit else [])
    low, high = min(marks), max(max(amount.high for amount in amounts), limit or 0, 1)
    base = low - (high - low) // 3 if low > _CUT_FROM * high and low > 0 else 0
    step = _nice((high - base) / (_MOST_TICKS - 1))
    start = base // step * step
    ticks = [start]
    while ticks[-1] < high or len(ticks) < 2:
        ticks.append(ticks[-1] + step)
    return start, ticks


def _nice(rough: float) -> int:
    """The next of 1, 2, 5, 10, 20, … that is not below."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size >= rough:
                return factor * size
        size *= 10
