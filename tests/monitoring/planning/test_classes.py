"""Classes of SKUs."""

import numpy as np
import pytest

from monitoring.planning.classes import abc, demand_patterns, xyz

NAN = float("nan")


def close(value):
    return pytest.approx(value, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize(
    ("demand", "interval", "variation", "pattern"),
    [
        pytest.param([0, 0, 5, 0, 0, 3, 0, 4], 8 / 3, 0.0625, "intermittent", id="worked example"),
        pytest.param([4, 5, 4, 5, 4, 5, 0, 4], 8 / 7, 0.01457, "smooth", id="smooth"),
        pytest.param([1, 20, 1, 1, 30, 1, 1, 1], 1, 2.66472, "erratic", id="erratic"),
        pytest.param([0, 0, 1, 0, 20, 0, 0, 1], 8 / 3, 2.2376, "lumpy", id="lumpy"),
        pytest.param([0, 0, 0, 0, 6, 0, 0, 0], 8, NAN, "lumpy", id="sold once"),
        pytest.param([0] * 8, NAN, NAN, "", id="never sold"),
        pytest.param([NAN] * 8, NAN, NAN, "", id="nothing known"),
        pytest.param([NAN, NAN, 5, 4, 3, 5, NAN, 4], 1, 0.0397, "smooth", id="days that are not known are no days"),
    ],
)
def test_demand_pattern(demand, interval, variation, pattern):
    found = demand_patterns([demand])
    assert found.interval.tolist() == close([interval])
    assert found.size_variation.tolist() == close([variation])
    assert found.pattern.tolist() == [pattern]


def test_days_and_weeks_may_differ():
    days = np.zeros((1, 56))
    days[0, 2::7] = 5
    assert demand_patterns(days).pattern.tolist() == ["intermittent"]
    assert demand_patterns(days.reshape(1, 8, 7).sum(axis=2)).pattern.tolist() == ["smooth"]


@pytest.mark.parametrize(
    ("values", "grades"),
    [
        ([500, 250, 120, 80, 50], "AAABC"),
        ([50, 80, 120, 250, 500], "CBAAA"),
        ([0, 0], "CC"),
        ([10, 0, NAN], "ACC"),
        ([10, -5], "AC"),
        ([7], "A"),
        ([], ""),
        pytest.param([100, 100], "AA", id="below 80 % before the second"),
        pytest.param([80, 15, 5], "ABC", id="the share before is the limit itself"),
    ],
)
def test_abc(values, grades):
    assert "".join(abc(np.array(values, dtype=float), np.arange(len(values)))) == grades
    if not np.isnan(np.array(values, dtype=float)).any():
        assert "".join(abc(np.array(values, dtype=np.int64), np.arange(len(values)))) == grades


def test_of_equal_values_the_lower_id_comes_first():
    assert abc(np.array([20, 20, 20, 20, 20]), np.array([9, 1, 7, 3, 5])).tolist() == ["B", "A", "A", "A", "A"]


def weekly(*totals):
    days = np.zeros(7 * len(totals))
    days[3::7] = totals
    return days


@pytest.mark.parametrize(
    ("days", "grade"),
    [
        (weekly(*[10] * 8), "X"),
        (weekly(5, 15, 5, 15, 5, 15, 5, 15), "Y"),
        (weekly(0, 0, 0, 40, 0, 0, 0, 40), "Z"),
        pytest.param(weekly(*[10] * 7), "", id="seven weeks"),
        pytest.param(weekly(*[0] * 8), "", id="nothing sold"),
        pytest.param(np.concatenate([[99.0] * 6, weekly(*[10] * 8)]), "X", id="a part of a week is none"),
        pytest.param(np.concatenate([[NAN], weekly(*[10] * 8)[1:]]), "", id="a week with a gap is no full one"),
    ],
)
def test_xyz(days, grade):
    assert xyz([days]).tolist() == [grade]
