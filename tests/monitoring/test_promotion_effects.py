"""Margins in bands, and when a stock is sold: the arithmetic behind what a promotion would do."""

from decimal import Decimal

import pytest

from monitoring.promotion_effects import Band, Day, Pace, bands, pace, sold_out_after


@pytest.mark.parametrize(
    ("margins", "floor", "expected"),
    [
        pytest.param([], None, [Band(None, 0, 0)], id="nothing is told of nothing"),
        pytest.param([(-1, 100), (0, 100)], None, [Band(None, 0, 1), Band(0, 1000, 1)], id="at break-even no loss"),
        pytest.param(
            [(999, 10_000), (1000, 10_000), (1999, 10_000)],
            None,
            [Band(None, 0, 0), Band(0, 1000, 1), Band(1000, 2000, 2)],
            id="the lower limit is in, the upper is not",
        ),
        pytest.param(
            [(-5, 100), (14, 100), (15, 100), (40, 100)],
            1500,
            [
                Band(None, 0, 1),
                Band(0, 1500, 1, is_below_floor=True),
                Band(1500, 2000, 1),
                Band(4000, 5000, 1),
            ],
            id="at the floor not below it",
        ),
        pytest.param(
            [(50, 100), (99, 100)], None, [Band(None, 0, 0), Band(5000, None, 2)], id="half and more is one band"
        ),
        pytest.param([(0, 0)], None, [Band(None, 0, 0), Band(0, 1000, 1)], id="a gift that costs nothing"),
    ],
)
def test_margins_are_counted_in_bands(margins, floor, expected):
    assert bands(margins, floor) == expected


@pytest.mark.parametrize(
    ("days", "available", "expected"),
    [
        pytest.param([Day(2, -2)] * 10, 5, Pace(20, 10), id="sold every day"),
        pytest.param([Day(0, 0)] * 3 + [Day(0, 30)] + [Day(3, -3)] * 7, 9, Pace(21, 8), id="nothing there at first"),
        pytest.param([Day(1, -1), *[Day(0, 0)] * 9], 0, Pace(1, 1), id="sold out on the first day"),
        pytest.param([Day(4, -4), Day(0, 0)], -4, Pace(4, 1), id="sold what was not there"),
        pytest.param([], 5, Pace(0, 0), id="no days"),
    ],
)
def test_days_without_stock_say_nothing_of_the_pace(days, available, expected):
    assert pace(days, available) == expected


@pytest.mark.parametrize(("days", "per_day"), [(6, None), (7, Decimal(2)), (28, Decimal("0.5"))])
def test_a_pace_takes_a_week_with_stock(days, per_day):
    assert Pace(14, days).per_day == per_day


@pytest.mark.parametrize(
    ("available", "per_day", "uplift", "begins_after", "expected"),
    [
        pytest.param(30, 2, 1, 0, 15, id="as now"),
        pytest.param(30, 2, "1.5", 0, 10, id="half as much again"),
        pytest.param(30, 2, 2, 5, 10, id="from its start on"),
        pytest.param(30, 2, 2, 20, 15, id="gone before it starts"),
        pytest.param(0, 2, 1, 0, 0, id="nothing left"),
        pytest.param(-3, 2, 1, 0, 0, id="oversold"),
        pytest.param(30, 0, 5, 0, None, id="nothing is sold"),
    ],
)
def test_a_stock_lasts_as_long_as_its_pace_lets_it(available, per_day, uplift, begins_after, expected):
    found = sold_out_after(available, Decimal(per_day), uplift=Decimal(uplift), begins_after=Decimal(begins_after))
    assert found == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("arrivals", "expected"),
    [
        pytest.param([(3, 6)], 7, id="in time, before it begins faster"),
        pytest.param([(5, 6)], 7, id="in time, once it sells faster"),
        pytest.param([(6, 6)], 6, id="just when nothing is left"),
        pytest.param([(7, 6)], 6, id="too late"),
        pytest.param([(5, 3), (6, 3), (8, 4)], 7, id="the last of several too late"),
    ],
)
def test_what_arrives_in_time_is_sold_as_well(arrivals, expected):
    """24 are there, of which 3 are sold a day, and 6 from the fourth day on: without more they last for 6 days."""
    coming = [(Decimal(day), units) for day, units in arrivals]
    found = sold_out_after(24, Decimal(3), uplift=Decimal(2), begins_after=Decimal(4), arrivals=coming)
    assert found == Decimal(expected)
