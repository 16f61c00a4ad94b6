"""The choice of a method by past origins, and what it never looks at."""

import numpy as np
import pytest

from monitoring.planning.choosing import LEAST_ORIGINS, actual_totals, choose, past_ends
from monitoring.planning.forecasting import DAYS, MEDIAN, MONTHS, NAIVE, SEASONAL_NAIVE, Series
from tests.monitoring.planning.series import lumpy

NAN = float("nan")


def forecast(demand, horizon=14, calendar=DAYS, groups=None):
    totals = choose(demand, horizon, calendar, groups).totals(demand, groups)
    return totals.mean, totals.quantile(0.95)


@pytest.mark.parametrize(
    ("periods", "horizon", "calendar", "expected"),
    [
        pytest.param(200, 14, DAYS, tuple(range(95, 187, 7)), id="every week of the span"),
        pytest.param(58, 14, DAYS, (29, 34, 39, 44), id="closer where there would be too few"),
        pytest.param(44, 14, DAYS, (28, 29, 30), id="as many as there are"),
        pytest.param(41, 14, DAYS, (), id="none"),
        pytest.param(24, 6, MONTHS, tuple(range(6, 19)), id="every month"),
    ],
)
def test_past_origins(periods, horizon, calendar, expected):
    found = past_ends(periods, horizon, calendar)
    assert found == expected
    assert all(end + horizon <= periods and end >= calendar.least_history for end in found)


def test_totals_of_mostly_unknown_periods_are_not_known():
    demand = np.array([[1, 2, 3, NAN, NAN, NAN, 4, 4, 4, 4]])
    found = actual_totals(Series(demand), [0, 2, 6], 4)
    np.testing.assert_array_equal(found, [[8, NAN, 16]])  # three of four days known: the fourth was like them


def test_the_future_is_not_looked_at():
    demand = lumpy(periods=220)
    origin = 180
    futures = [demand.copy() for _future in range(3)]
    futures[1][:, origin:] = 1000
    futures[2][:, origin:] = np.roll(demand[:, origin:], 5, axis=1)
    before, *others = [forecast(future[:, :origin]) for future in futures]
    for other in others:
        np.testing.assert_array_equal(before, other)
    # And the past is: a forecast that ignored all of it would pass as well.
    changed = demand.copy()
    changed[:, origin - 30 : origin] *= 3
    assert forecast(changed[:, :origin])[0].sum() > 1.2 * before[0].sum()


def test_naive_is_chosen_where_nothing_beats_it():
    # Each walks in large steps, so that yesterday tells most.
    random = np.random.default_rng(3)
    walks = np.abs(200 + np.cumsum(random.choice([-20, 20], (200, 150)), axis=1)).astype(np.float32)
    choice = choose(walks, 1, DAYS).choices[-1]
    assert (choice.method, round(choice.level, 1)) == (NAIVE, 1.0)


def test_seasonal_naive_is_chosen_for_a_season_that_repeats():
    season = np.tile(np.array([1, 2, 3, 5, 9, 14, 22, 30, 22, 9, 3, 1]), 5)
    demand = season * np.arange(1, 201)[:, np.newaxis].astype(np.float32)
    assert choose(demand, 2, MONTHS).choices[-1].method == SEASONAL_NAIVE


def test_each_group_gets_its_own_method_and_small_ones_share():
    random = np.random.default_rng(3)
    walks = np.abs(200 + np.cumsum(random.choice([-20, 20], (200, 150)), axis=1)).astype(np.float32)
    steady = random.poisson(3, (200, 150)).astype(np.float32)
    demand = np.concatenate([walks, steady, steady[:3]])
    groups = np.repeat([0, 1, 2], [200, 200, 3])
    forecaster = choose(demand, 1, DAYS, groups)
    assert forecaster.choice_of(0).method == NAIVE
    assert forecaster.choice_of(1).method != NAIVE
    assert forecaster.choice_of(2) == forecaster.choices[-1]
    assert len(forecaster.past_ends) >= LEAST_ORIGINS


def test_the_chosen_method_has_the_least_error_of_all():
    forecaster = choose(lumpy(), 14, DAYS, np.zeros(300, np.intp))
    assert forecaster.choices[0].wape <= min(forecaster.wapes.values()) + 0.01


def test_forecasts_are_right_in_sum():
    demand = lumpy(400, 240)
    mean, _quantile = forecast(demand[:, :212], 28)
    assert mean.sum() == pytest.approx(np.nansum(demand[:, 212:]), rel=0.15)


def test_quantiles_cover_what_they_promise():
    demand = lumpy(1000, 240, seed=5)
    for horizon in (7, 28):
        _mean, quantile = forecast(demand[:, :212], horizon)
        within = np.nansum(demand[:, 212 : 212 + horizon], axis=1) <= quantile
        assert 0.92 <= within.mean() <= 0.98


def test_a_history_too_short_to_be_tested_gets_the_median_and_quantiles_of_counts():
    demand = lumpy(100, 35)
    forecaster = choose(demand, 14, DAYS)
    assert forecaster.choices[-1].method == MEDIAN
    assert np.isnan(forecaster.choices[-1].wape)
    totals = forecaster.totals(demand)
    assert totals.is_counted.all()
    assert (totals.quantile(0.95) >= totals.mean).mean() > 0.9


def test_a_new_series_is_forecast_like_the_others_and_less_surely():
    demand = lumpy(300, 200, mean=4)
    demand[0] = NAN
    demand[1, :197] = NAN
    demand[1, 197:] = 0
    totals = choose(demand, 14, DAYS).totals(demand)
    others = totals.mean[2:].mean()
    assert totals.mean[0] == pytest.approx(others, rel=0.02)
    assert others * 0.5 < totals.mean[1] < others
    assert totals.quantile(0.95)[0] > 1.5 * others


@pytest.mark.parametrize(
    "demand",
    [
        pytest.param(np.zeros((3, 100), np.float32), id="nothing sold"),
        pytest.param(np.eye(120, 120, dtype=np.float32), id="each sold once"),
        pytest.param(np.full((3, 100), NAN, np.float32), id="nothing known"),
        pytest.param(np.ones((1, 400), np.float32), id="one series"),
        pytest.param(np.ones((5, 1), np.float32), id="one day"),
        pytest.param(np.empty((0, 100), np.float32), id="no series"),
    ],
)
@pytest.mark.parametrize("calendar", [pytest.param(DAYS, id="days"), pytest.param(MONTHS, id="months")])
def test_odd_histories_have_forecasts_that_make_sense(demand, calendar):
    mean, quantile = forecast(demand, 10, calendar)
    unknown = np.isnan(demand).all(axis=1)
    assert np.isnan(mean[unknown]).all()
    assert (mean[~unknown] >= 0).all()
    assert (quantile[~unknown] >= 0).all()
    never_sold = ~unknown & (np.nansum(demand, axis=1) == 0)
    assert (mean[never_sold] == 0).all()
    assert (quantile[never_sold] == 0).all()


def test_skus_that_sold_once_each_are_forecast_no_more_than_they_sold():
    random = np.random.default_rng(4)
    demand = np.zeros((2000, 365), np.float32)
    demand[np.arange(2000), random.integers(0, 365, 2000)] = random.integers(1, 9, 2000)
    forecaster = choose(demand, 14, DAYS)
    totals = forecaster.totals(demand)
    assert 0 < totals.mean.sum() < demand.sum() * 14 / 365
    assert totals.quantile(0.95).max() < 9
    assert np.isnan(forecaster.choices[-1].wape)  # nothing was sold after any past origin: no error to speak of


def test_a_hundred_thousand_skus_of_one_sale_each_are_forecast():
    random = np.random.default_rng(4)
    sold_on = random.integers(0, 70, 100_000)
    demand = np.zeros((100_000, 70), np.float32)
    demand[np.arange(100_000), sold_on] = 1
    demand[np.arange(70) < sold_on[:, np.newaxis]] = NAN  # a SKU is there from its sale on
    totals = choose(demand, 14, DAYS).totals(demand)
    assert np.isfinite(totals.quantile(0.95)).all()
    assert 0 < totals.mean.mean() < 1
    assert (totals.quantile(0.95) >= 0).all()


def test_chunks_change_nothing(monkeypatch):
    demand = lumpy(101, 150)
    groups = np.arange(101) % 2
    whole = forecast(demand, groups=groups)
    monkeypatch.setattr("monitoring.planning.choosing.CHUNK", 20)
    np.testing.assert_allclose(forecast(demand, groups=groups), whole, rtol=1e-5)


def test_a_sample_of_the_series_is_enough_to_choose_by(monkeypatch):
    demand = lumpy(600, 150)
    mean = forecast(demand)[0]
    monkeypatch.setattr("monitoring.planning.choosing.MOST_SERIES", 300)
    sampled = forecast(demand)[0]
    assert sampled.shape == mean.shape
    assert sampled.sum() == pytest.approx(mean.sum(), rel=0.15)


def test_a_horizon_has_a_period():
    with pytest.raises(ValueError, match="at least one period"):
        choose(lumpy(3, 60), 0, DAYS)
