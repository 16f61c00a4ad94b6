"""Methods of forecasting, against the worked examples and against what their definitions ask for."""

import numpy as np
import pytest

from monitoring.planning.forecasting import (
    DAYS,
    MEAN,
    MEDIAN,
    MONTHS,
    Series,
    croston,
    deviation,
    method_names,
    moving_average,
    naive,
    rates,
    root_tsb,
    sba,
    season_profile,
    seasonal_naive,
    ses,
    simple_methods,
    tsb,
)
from tests.monitoring.planning.series import lumpy

NAN = float("nan")
WORKED = [0, 0, 5, 0, 0, 3, 0, 4]


def close(value):
    return pytest.approx(value, abs=1e-4, nan_ok=True)


def at_end(method, demand, *args, **options):
    return method(Series(np.array([demand], float)), *args, [len(demand)], **options).item()


def test_worked_examples():
    assert at_end(croston, WORKED, 0.1) == close(1.627586)
    assert at_end(sba, WORKED, 0.1) == close(1.546207)
    # Its parts: the sizes and the intervals, each started at the first.
    assert at_end(ses, [5, 3, 4], 0.1, textbook_start=True) == close(4.72)
    assert at_end(ses, [3, 3, 2], 0.1, textbook_start=True) == close(2.9)
    assert at_end(tsb, WORKED, 0.1, 0.1, textbook_start=True) == close(1.133031)


def test_textbook_start_of_the_probability_is_the_first_period():
    sold = [float(each > 0) for each in WORKED]
    assert at_end(ses, sold, 0.1, textbook_start=True) == close(0.240049)
    # l <- l + a (y - l), by hand.
    assert at_end(ses, [10, 20, 0], 0.5, textbook_start=True) == close(7.5)


def test_smoothing_without_textbook_start_weighs_every_period_by_its_age():
    assert at_end(ses, [10, 20, 0], 0.5) == close((0.25 * 10 + 0.5 * 20) / 1.75)
    assert at_end(tsb, [0, 4], 0.5, 0.5) == close(4 * 1 / 1.5)


@pytest.mark.parametrize(
    ("demand", "expected"),
    [
        pytest.param([1, 2, 3, 4], 3.5, id="the last of the window"),
        pytest.param([1, 2, 3, NAN], 3, id="without what is not known"),
        pytest.param([1, 2, NAN, NAN], NAN, id="nothing known in the window"),
    ],
)
def test_moving_average(demand, expected):
    assert at_end(moving_average, demand, 2) == close(expected)


def test_naive_is_the_last_known_period():
    assert at_end(naive, [5, 7, NAN]) == 7
    assert at_end(naive, [NAN, NAN]) == close(NAN)


def test_seasonal_naive_repeats_the_last_season():
    week = [1, 2, 3, 4, 5, 6, 7]
    assert at_end(seasonal_naive, [9] * 7 + week, 7, 7) == close(4)
    assert at_end(seasonal_naive, [9] * 7 + week, 7, 10) == close((28 + 1 + 2 + 3) / 10)


@pytest.mark.parametrize("calendar", [pytest.param(DAYS, id="days"), pytest.param(MONTHS, id="months")])
def test_every_method_of_nothing_sold_is_nothing(calendar):
    series = Series(np.zeros((1, 60)))
    names = method_names(calendar, 14)
    assert all(rate.item() == 0 for rate in rates(series, names, [60], calendar=calendar, horizon=14).values())


def test_croston_stays_while_nothing_is_sold_and_tsb_falls():
    aged = [*WORKED, *[0] * 50]
    assert at_end(croston, aged, 0.1) == close(1.627586)
    assert at_end(tsb, aged, 0.1, 0.1, textbook_start=True) < 0.01


def test_a_wholesale_order_moves_root_tsb_less():
    usual = [2, 0, 3] * 20
    once = [*usual[:30], 1000, *usual[31:]]
    grown = at_end(tsb, once, 0.05, 0.02) / at_end(tsb, usual, 0.05, 0.02)
    assert at_end(root_tsb, once, 0.05, 0.02) / at_end(root_tsb, usual, 0.05, 0.02) < grown / 2


@pytest.mark.parametrize("calendar", [pytest.param(DAYS, id="days"), pytest.param(MONTHS, id="months")])
def test_what_comes_after_an_end_changes_nothing(calendar):
    demand = lumpy(40, 120)
    changed = demand.copy()
    changed[:, 100:] = 77
    names, ends = method_names(calendar, 9), [60, 80, 100]
    before = rates(Series(demand), names, ends, calendar=calendar, horizon=9)
    after = rates(Series(changed), names, ends, calendar=calendar, horizon=9)
    cut = rates(Series(demand[:, :100]), names, ends, calendar=calendar, horizon=9)
    for name in names:
        np.testing.assert_array_equal(before[name], after[name])
        np.testing.assert_allclose(before[name], cut[name], rtol=1e-5)


@pytest.mark.parametrize("method", simple_methods(DAYS, 14).items(), ids=lambda method: method[0])
def test_each_series_is_forecast_as_if_it_were_alone(method):
    demand = lumpy(70, 90)
    together = method[1](Series(demand), ends=[50, 90])
    alone = np.concatenate([method[1](Series(demand[place : place + 1]), ends=[50, 90]) for place in range(70)])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_combinations_are_of_the_five_simple_methods():
    series = Series(lumpy(20, 120))
    found = rates(series, [*DAYS.basket, MEAN, MEDIAN], [120], calendar=DAYS, horizon=14)
    basket = np.stack([found[name] for name in DAYS.basket])
    np.testing.assert_allclose(found[MEAN], basket.mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(found[MEDIAN], np.median(basket, axis=0))


def test_a_method_whose_periods_are_all_unknown_falls_back_to_the_slowest_average():
    demand = np.array([[4.0] * 40 + [NAN] * 30])
    found = rates(Series(demand), ["mean of 7", "mean of 28"], [70], calendar=DAYS, horizon=14)
    assert [rate.item() for rate in found.values()] == close([4, 4])


def test_deviation():
    assert at_end(deviation, [2, 4] * 400, 0.01) == pytest.approx(1, abs=0.01)
    assert at_end(deviation, [3] * 50, 0.02) == close(0)


def test_profile_of_the_week():
    totals = np.tile([10.0, 10, 10, 10, 10, 20, 0], 16)
    assert season_profile(totals, DAYS, 84, 14) == 1
    assert season_profile(totals, DAYS, 84, 1) == close(1)
    assert season_profile(totals, DAYS, 84, 6) == close(70 / 6 / 10)
    assert season_profile(totals, DAYS, 89, 2) == close(1)  # the fifth, with 20, and the sixth, with 0
    assert season_profile(totals[:21], DAYS, 21, 6) == 1
    assert season_profile(totals * 0, DAYS, 84, 6) == 1
    assert season_profile(totals, MONTHS, 84, 6) == 1
