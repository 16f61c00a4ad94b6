"""Change points as lines, gaps and bands; times are small numbers here, for reading."""

from decimal import Decimal
from itertools import pairwise

import pytest

from catalog.facts import ShelfState
from monitoring.charts import series
from monitoring.charts.series import NOT_READ, Band, Step
from monitoring.charts.sparkline import diverging, sparkline

pytestmark = pytest.mark.pure

ON, OUT = ShelfState.ON_SHELF, ShelfState.SOLD_OUT


def step(at, *values, shelf=ON):
    return Step(at, values, shelf=shelf)


def gap(at, columns=1):
    return Step(at, (None,) * columns, is_gap=True)


@pytest.mark.parametrize(
    ("steps", "start", "expected"),
    [
        pytest.param([], 10, [], id="nothing"),
        pytest.param([step(3, 1), step(20, 2)], 10, [step(10, 1), step(20, 2)], id="the last one before is carried in"),
        pytest.param([step(3, 1), step(6, 5), step(20, 2)], 10, [step(10, 5), step(20, 2)], id="only the last one"),
        pytest.param([step(10, 1), step(20, 2)], 10, [step(10, 1), step(20, 2)], id="one exactly at the start"),
        pytest.param([step(12, 1)], 10, [step(12, 1)], id="first read within the range"),
        pytest.param([step(3, 1), gap(5), step(20, 2)], 10, [gap(10), step(20, 2)], id="a gap is carried in too"),
    ],
)
def test_a_range_begins_with_what_was_in_force(steps, start, expected):
    assert series.clip(steps, start) == expected


@pytest.mark.parametrize(
    ("steps", "known_until", "expected"),
    [
        pytest.param([step(0, 1)], 100, [step(0, 1)], id="read just now"),
        pytest.param([step(0, 1)], 60, [step(0, 1), gap(60)], id="not read since"),
        pytest.param([step(0, 1), gap(40)], 30, [step(0, 1), gap(40)], id="the gap is stored already"),
        pytest.param(
            [step(0, 1), step(50, 2)], 20, [step(0, 1), step(50, 2), gap(50)], id="never before the last step"
        ),
        pytest.param([], 60, [], id="nothing"),
    ],
)
def test_a_line_ends_where_readings_end(steps, known_until, expected):
    assert series.close(steps, known_until, end=100) == expected


def test_a_line_holds_its_value_and_goes_on_to_the_end():
    drawing = series.draw([step(0, 10, 5), step(40, 12, 5)], end=100)
    assert drawing.times == [0, 40, 100]
    assert drawing.columns == [[10, 12, 12], [5, 5, 5]]


def test_a_gap_ends_the_line_at_its_last_value_and_is_never_bridged():
    drawing = series.draw([step(0, 10), gap(30), step(60, 8)], end=100)
    assert drawing.times == [0, 30, 30, 60, 100]
    assert drawing.columns == [[10, 10, None, 8, 8]]


def test_a_gap_at_the_end_leaves_nothing_to_draw_there():
    drawing = series.draw([step(0, 10), gap(30)], end=100)
    assert drawing.times == [0, 30, 30]
    assert drawing.columns == [[10, 10, None]]


def test_a_fact_that_is_not_supplied_any_more_ends_only_its_own_line():
    drawing = series.draw([step(0, 10, 5), step(40, 10, None)], end=100)
    assert drawing.times == [0, 40, 40, 100]
    assert drawing.columns == [[10, 10, 10, 10], [5, 5, None, None]]


def test_a_stock_of_nothing_is_drawn_and_is_not_a_gap():
    steps = [step(0, 3), step(10, 0, shelf=OUT)]
    assert series.draw(steps, end=20).columns == [[3, 0, 0]]
    assert series.gaps(series.stretches(steps, end=20)) == []


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([step(0, 1), gap(30), step(60, 1)], [(30, 60)], id="between"),
        pytest.param([step(0, 1), gap(30)], [(30, 100)], id="up to the end"),
        pytest.param([gap(0), step(30, 1)], [(0, 30)], id="from the start"),
        pytest.param([step(0, 1), gap(30), gap(50), step(60, 1)], [(30, 60)], id="neighbours are one"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_gaps_are_stretches(steps, expected):
    assert series.gaps(series.stretches(steps, end=100)) == expected


@pytest.mark.parametrize(
    ("gaps_by_line", "expected"),
    [
        pytest.param([], [], id="no line"),
        pytest.param([[(10, 20)]], [(10, 20)], id="one line"),
        pytest.param([[(10, 20)], []], [], id="the other was read"),
        pytest.param([[(10, 20)], [(20, 30)]], [], id="one after the other"),
        pytest.param([[(10, 40), (60, 90)], [(30, 70)]], [(30, 40), (60, 70)], id="where they meet"),
        pytest.param([[(0, 100)], [(10, 50), (60, 90)], [(40, 70)]], [(40, 50), (60, 70)], id="three lines"),
    ],
)
def test_what_no_line_was_read_in_is_a_gap_of_the_chart(gaps_by_line, expected):
    assert series.common(gaps_by_line) == expected


def test_the_shelf_band_names_each_stretch():
    steps = [step(0, 1), step(10, 2), step(20, 0, shelf=OUT), gap(50), step(70, 4)]
    assert series.stretches(steps, end=100) == [
        Band(0, 20, "on_shelf"),
        Band(20, 50, "sold_out"),
        Band(50, 70, NOT_READ),
        Band(70, 100, "on_shelf"),
    ]


def test_too_many_stretches_keep_every_sold_out_moment_visible():
    steps = [step(at, 1, shelf=OUT if at == 5001 else (ON if at % 2 else ShelfState.UNKNOWN)) for at in range(10_000)]
    bands = series.fewer(series.stretches(steps, end=10_000), limit=100)
    assert len(bands) <= 100
    assert [band for band in bands if band.state == "sold_out"] == [Band(5000, 5100, "sold_out")]
    assert (bands[0].start, bands[-1].end) == (0, 10_000)
    assert all(one.end == other.start for one, other in pairwise(bands))


def test_few_steps_are_all_drawn():
    steps = [step(at, at) for at in range(400)]
    assert series.thin(steps, end=400) == steps


@pytest.mark.parametrize("count", [501, 5_000, 50_000])
def test_thinning_keeps_the_spikes_the_ends_and_the_limit(count):
    steps = [step(at, 100 + at % 7, 50) for at in range(count)]
    steps[count // 3] = step(count // 3, 5, 50)
    steps[count // 2] = step(count // 2, 100, 9_999)
    thinned = series.thin(steps, end=count)
    assert len(series.draw(thinned, end=count).times) <= series.MAX_POINTS
    assert len(thinned) > 60
    assert min(value for value, _at in series.known(thinned, 0)) == 5
    assert max(value for value, _at in series.known(thinned, 1)) == 9_999
    assert (thinned[0], thinned[-1]) == (steps[0], steps[-1])
    assert set(thinned) <= set(steps)


def test_thinning_stays_within_the_limit_when_every_other_reading_is_missing():
    steps = [step(at, at, at, at, at) if at % 2 else gap(at, 4) for at in range(4_000)]
    thinned = series.thin(steps, end=4_000)
    assert len(series.draw(thinned, end=4_000).times) <= series.MAX_POINTS


def test_thinning_keeps_a_short_gap_a_gap():
    steps = [step(at, at) for at in range(2_000)]
    steps[1_000] = gap(1_000)
    thinned = series.thin(steps, end=2_000)
    at = thinned.index(gap(1_000))
    assert thinned[at + 1] == step(1_001, 1_001)


def test_rows_that_change_nothing_drawn_are_left_out():
    assert series.collapse([step(0, 1), step(5, 1), step(9, 2)]) == [step(0, 1), step(9, 2)]


def test_lines_of_several_listings_share_their_times():
    merged = series.merge([[step(0, 10), step(40, 12)], [step(20, 7), gap(60)]])
    assert [(each.at, each.values) for each in merged] == [
        (0, (10, None)),
        (20, (10, 7)),
        (40, (12, 7)),
        (60, (12, None)),
    ]


def test_a_sparkline_is_steps_with_holes():
    line = sparkline([(0, Decimal(10)), (50, None), (75, Decimal(20))], 0, 100)
    assert line is not None
    assert line.path == "M3 21H42M61.5 3H81"
    assert line.end == ("81", "3")


def test_a_sparkline_that_ends_unknown_has_no_dot():
    line = sparkline([(0, Decimal(10)), (50, None)], 0, 100)
    assert line is not None
    assert line.end is None


def test_a_sparkline_of_nothing_known_is_not_drawn():
    assert sparkline([(0, None)], 0, 100) is None
    assert sparkline([], 0, 100) is None


def test_bars_share_one_zero_line_and_one_scale():
    bars = diverging([Decimal("-0.3"), Decimal("0.1")], label_room=20)
    assert bars.zero == "65.00%"
    assert [(bar.x, bar.width, bar.is_down) for bar in bars.bars] == [
        ("20.00%", "45.00%", True),
        ("65.00%", "15.00%", False),
    ]


def test_bars_of_one_direction_begin_at_the_edge():
    assert diverging([Decimal("-0.3")], label_room=20).zero == "100.00%"
    assert diverging([Decimal("0.3")], label_room=20).zero == "0.00%"
