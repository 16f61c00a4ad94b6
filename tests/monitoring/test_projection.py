"""Stock as it was and will be, as paths of SVG."""

from datetime import date
from typing import Any

import pytest

from monitoring.charts.projection import ahead, chart, holes, small

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("available", "per_day", "arrivals", "line"),
    [
        pytest.param(10, 3, {}, [10, 7, 4, 1, 0], id="runs out"),
        pytest.param(10, 0, {}, [10, 10, 10, 10, 10], id="nothing sold"),
        pytest.param(2, 3, {3: 12}, [2, 0, 0, 9, 6], id="waits at 0 for what arrives"),
        pytest.param(-4, 1, {2: 10}, [-4, 0, 9, 8, 7], id="oversold"),
    ],
)
def test_demand_takes_from_the_stock_and_arrivals_add(available, per_day, arrivals, line):
    assert ahead(available, per_day, arrivals, 4) == line


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1, 2], []),
        ([None, None, 2, 3], [(0, 2)]),
        ([1, None, 2, None, None, 3], [(0, 2), (2, 5)]),
        ([1, None], [(0, 1)]),
        ([], []),
    ],
)
def test_a_hole_reaches_from_one_known_value_to_the_next(values, found):
    assert holes(values) == found


def test_what_nobody_knew_is_a_hole_and_the_end_has_a_cross():
    drawn: Any = small([30, None, 20], [20, 10, 0], safety=5)
    assert drawn.past == "M5 5M86 15"
    assert drawn.ahead == "M86 15L126.5 25L167 35"
    assert drawn.cross == "M163 31L171 39M163 39L171 31"
    drawn = small([30, 20], [20, 15], safety=None)
    assert drawn.cross == ""


def test_where_nothing_is_known_nothing_is_drawn():
    assert small([None, None], [], safety=5) is None


def test_a_chart_starts_at_0_and_names_its_days():
    drawn = chart([40.0] * 15, [40.0, 20.0], [(40, 40), (10, 30)], safety=8, arrivals={1: 5}, today=TODAY)
    assert [tick.value for tick in drawn.ticks] == [0, 10, 20, 30, 40]
    assert [day.label for day in drawn.days] == ["11-08", "11-22"]
    assert [tick.value for tick in drawn.arrivals] == [5]
    assert drawn.band.startswith(f"M{drawn.today} ")
    assert drawn.cross == ""
