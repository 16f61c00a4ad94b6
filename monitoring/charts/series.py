"""Change points turned into what a chart draws. Pure: times are whole milliseconds since 1970, values whole numbers of
any unit (amounts come in ten-thousandths), `None` is not known.

A step holds from its time until the next one. A gap step says that from then on nothing was read. What is drawn never
has more points than asked for: where there are more change points, the time is cut into equal parts, and each part
keeps its last step, its lowest and highest values, and where a gap begins and ends, so that no spike is lost.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from operator import attrgetter
from typing import NamedTuple

from catalog.facts import ShelfState

MAX_POINTS = 500
# The name of a band in which nothing was read; the others are shelf states.
NOT_READ = "not_read"
# When a part of the band is too narrow to draw, the state a person most needs to see wins.
_BAND_ORDER = [
    ShelfState.SOLD_OUT.value,
    NOT_READ,
    ShelfState.OFF_SHELF.value,
    ShelfState.UNKNOWN.value,
    ShelfState.ON_SHELF.value,
]

Figure = int | None


class Step(NamedTuple):
    """The facts from `at` on; all of them are None in a gap."""

    at: int
    values: tuple[Figure, ...]
    is_gap: bool = False
    shelf: ShelfState = ShelfState.UNKNOWN


class Band(NamedTuple):
    start: int
    end: int
    state: str  # a ShelfState, or NOT_READ


class Drawing(NamedTuple):
    """Points in drawing order; `columns[i][j]` is the value of series i at `times[j]`.

    A time appears twice where a line ends: once with the last value, once with None.
    """

    times: list[int]
    columns: list[list[Figure]]


_at = attrgetter("at")


def clip(steps: Sequence[Step], start: int) -> list[Step]:
    """The steps from `start` on; the last one before it is carried in and begins at `start`."""
    first = bisect_right(steps, start, key=_at)
    return [steps[first - 1]._replace(at=start), *steps[first:]] if first else list(steps)


def narrow(steps: Sequence[Step], columns: Sequence[int]) -> list[Step]:
    """With these columns only."""
    return [Step(at, tuple([values[i] for i in columns]), is_gap, shelf) for at, values, is_gap, shelf in steps]


def close(steps: Sequence[Step], known_until: int, end: int) -> list[Step]:
    """With a gap at the end when the last good reading, at `known_until`, is too old to speak for `end`."""
    if not steps or steps[-1].is_gap or known_until >= end:
        return list(steps)
    last = steps[-1]
    return [*steps, Step(max(known_until, last.at), (None,) * len(last.values), is_gap=True)]


def collapse(steps: Sequence[Step]) -> list[Step]:
    """Without the steps that change nothing of what is drawn."""
    kept: list[Step] = []
    for step in steps:
        if not kept or kept[-1][1:] != step[1:]:
            kept.append(step)
    return kept


def merge(lines: Sequence[Sequence[Step]]) -> list[Step]:
    """Several lines of one value each as the columns of one: every change point of any of them is a step."""
    present: list[Figure] = [None] * len(lines)
    points = sorted(
        (step.at, index, step.values[0]) for index, line in enumerate(lines) for step in _last_of_each_time(line)
    )
    merged = []
    for at, changes in groupby(points, key=lambda point: point[0]):
        for _at, index, value in changes:
            present[index] = value
        merged.append(Step(at, tuple(present)))
    return merged


def _last_of_each_time(line: Sequence[Step]) -> Iterator[Step]:
    for step, later in pairwise([*line, None]):
        if step is not None and (later is None or later.at > step.at):
            yield step


def thin(steps: Sequence[Step], end: int, limit: int = MAX_POINTS) -> list[Step]:
    """At most as many steps as can be drawn with `limit` points."""
    kept = list(steps)
    if _points(kept) <= limit:
        return kept
    times = [step.at for step in steps]
    columns = [column for column in zip(*(step.values for step in steps), strict=True) if len(set(column)) > 1]
    # A part keeps its last step, and two of each column that moves.
    parts = limit // (1 + 2 * len(columns))
    while parts and _points(kept) > limit:
        kept = [steps[index] for index in _kept(steps, times, columns, end, parts)]
        parts //= 2
    return kept


def _points(steps: Sequence[Step]) -> int:
    """How many points `draw` makes of them, at most."""
    ends = [_ends_a_line(before, step) for before, step in pairwise(steps) if None in step.values]
    return len(steps) + 1 + sum(ends)


def _ends_a_line(before: Step, step: Step) -> bool:
    # The first half is cheap, and mostly decides.
    return None in step.values and any(
        old is not None and new is None for old, new in zip(before.values, step.values, strict=True)
    )


def _kept(
    steps: Sequence[Step], times: list[int], columns: list[tuple[Figure, ...]], end: int, parts: int
) -> list[int]:
    """Which steps stay when the time is cut into so many parts."""
    start, width = times[0], max(end - times[0], 1)

    def part_of(index: int) -> int:
        return (times[index] - start) * parts // width

    keep = {0, len(steps) - 1}
    first = 0
    while first < len(steps):
        # The next part begins with the first whole time that is not before its share of the width.
        last = bisect_left(times, start - (-(part_of(first) + 1) * width // parts), first)
        keep.add(last - 1)
        for column in columns:
            values = column[first:last]
            known = [value for value in values if value is not None]
            if known:
                keep.add(first + values.index(min(known)))
                keep.add(first + values.index(max(known)))
        first = last
    gaps = [index for index, step in enumerate(steps) if step.is_gap]
    for indexes in (gaps, [index + 1 for index in gaps if index + 1 < len(steps)]):
        keep.update(next(members) for _part, members in groupby(indexes, key=part_of))
    return sorted(keep)


def draw(steps: Sequence[Step], end: int) -> Drawing:
    """Points for lines that hold their value until the next one; a line ends where its value stops being known."""
    if not steps:
        return Drawing([], [])
    times, values = [steps[0].at], [steps[0].values]
    for before, step in pairwise(steps):
        if None in step.values and _ends_a_line(before, step):  # the first half is cheap, and mostly decides
            times.append(step.at)
            values.append(before.values)
        times.append(step.at)
        values.append(step.values)
    last = steps[-1]
    if end > last.at and any(value is not None for value in last.values):
        times.append(end)
        values.append(last.values)
    return Drawing(times, [list(column) for column in zip(*values, strict=True)])


def stretches(steps: Sequence[Step], end: int) -> list[Band]:
    """The shelf state over time, and where nothing was read, as stretches that follow each other up to `end`."""
    found: list[Band] = []
    start, present = 0, ""
    for step in steps:
        state = NOT_READ if step.is_gap else step.shelf
        if state == present:
            continue
        if present and step.at > start:
            found.append(Band(start, step.at, present))
        start, present = step.at, state
    if present and end > start:
        found.append(Band(start, end, present))
    return found


def gaps(found: Sequence[Band]) -> list[tuple[int, int]]:
    """Those in which nothing was read."""
    return [(band.start, band.end) for band in found if band.state == NOT_READ]


def common(gaps_by_line: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    """The times that lie in a gap of every line."""
    found = list(gaps_by_line[0]) if gaps_by_line else []
    for others in gaps_by_line[1:]:
        pairs = [(max(one[0], other[0]), min(one[1], other[1])) for one in found for other in others]
        found = [(start, end) for start, end in pairs if start < end]
    return found


def fewer(found: Sequence[Band], limit: int = MAX_POINTS // 2) -> list[Band]:
    """At most `limit` stretches: where there are more, the time is cut into `limit` parts, and the state that a person
    most needs to see takes the whole part.
    """
    if len(found) <= limit:
        return list(found)
    start, end = found[0].start, found[-1].end
    width = end - start
    states: list[str] = [""] * limit
    for band in found:
        first, last = ((at - start) * limit // width for at in (band.start, band.end - 1))
        for part in range(first, last + 1):
            shown = states[part]
            if not shown or _BAND_ORDER.index(band.state) < _BAND_ORDER.index(shown):
                states[part] = band.state
    cut: list[Band] = []
    for state, parts in groupby(range(limit), key=states.__getitem__):
        members = list(parts)
        cut.append(Band(start + members[0] * width // limit, start + (members[-1] + 1) * width // limit, state))
    return cut


def known(steps: Sequence[Step], column: int) -> list[tuple[int, int]]:
    """The known values of a column, each with the time it began."""
    return [(value, step.at) for step in steps if (value := step.values[column]) is not None]
