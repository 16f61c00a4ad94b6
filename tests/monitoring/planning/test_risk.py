"""Cover, risk and rank."""

import numpy as np
import pytest
from scipy import stats

from monitoring.planning import risk
from monitoring.planning.risk import CoverStatus

NAN, INF = float("nan"), float("inf")


def close(value):
    return pytest.approx(value, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize(
    ("available", "demand", "cover", "status"),
    [
        (230, 20, 11.5, CoverStatus.KNOWN),
        pytest.param(230, 0, NAN, CoverStatus.NO_DEMAND, id="no demand"),
        pytest.param(0, 20, 0, CoverStatus.OUT_OF_STOCK, id="out of stock"),
        pytest.param(-4, 20, 0, CoverStatus.OVERSOLD, id="below 0"),
        pytest.param(NAN, 20, NAN, CoverStatus.UNKNOWN, id="stock not known"),
        pytest.param(230, NAN, NAN, CoverStatus.UNKNOWN, id="demand not known"),
    ],
)
def test_days_of_cover(available, demand, cover, status):
    days, found = risk.days_of_cover(available, demand)
    assert days == close(cover)
    assert found == status


def test_cover_of_a_forecast_with_a_profile():
    forecast = np.array([[10, 20, 30, 40], [10, 20, 30, 40], [0, 0, 0, 0]])
    assert risk.cover_of_forecast([60, 59, 5], forecast).tolist() == [4, 3, INF]


@pytest.mark.parametrize(
    ("available", "share"), [(230, 0.08243), (180, 0.5), (0, 1), (-3, 1), pytest.param(NAN, NAN, id="not known")]
)
def test_probability_of_a_stock_out_of_normal_demand(available, share):
    assert risk.stock_out_probability_normal(available, 20 * 9, 12 * 9**0.5) == close(share)


@pytest.mark.parametrize(
    ("available", "mean", "variance", "share"),
    [
        pytest.param(4, 3, 12, 0.23730, id="negative binomial"),
        pytest.param(4, 3, 3, 0.18474, id="Poisson"),
        pytest.param(0, 3, 12, 1, id="already out"),
        pytest.param(-2, 0, 0, 1, id="oversold"),
        pytest.param(0, 0, 0, 0, id="nothing is asked for"),
        pytest.param(4, NAN, 12, NAN, id="demand not known"),
        pytest.param(4, 3, NAN, NAN, id="variance not known"),
    ],
)
def test_probability_of_a_stock_out_of_counts(available, mean, variance, share):
    assert risk.stock_out_probability(available, mean, variance) == close(share)


def test_without_variation_it_is_certain():
    assert risk.stock_out_probability_normal([10, 9], 10, 0).tolist() == [0, 1]
    assert risk.expected_missing_normal([10, 7], 10, 0).tolist() == [0, 3]


@pytest.mark.parametrize(("mean", "variance"), [(3, 12), (3, 3), (40, 55), (0.05, 0.3)])
@pytest.mark.parametrize("available", [-2, 0, 1, 4, 30])
def test_expected_missing_is_the_sum_over_all_demands(mean, variance, available):
    demands = np.arange(0, 2_000)
    if variance > mean:
        shares = stats.nbinom.pmf(demands, mean**2 / (variance - mean), mean / variance)
    else:
        shares = stats.poisson.pmf(demands, mean)
    expected = (np.maximum(demands - available, 0) * shares).sum()
    assert risk.expected_missing(available, mean, variance) == pytest.approx(expected, abs=1e-8)


def test_expected_missing_of_normal_demand():
    assert risk.expected_missing_normal(6000, 5000, 500 * 2**0.5) == pytest.approx(25.127, abs=1e-3)
    assert risk.expected_missing(4, NAN, 3) == close(NAN)


def test_the_most_urgent_comes_first_and_the_order_is_stable():
    rows = [
        # lost margin, probability, out, id
        (10, 0.5, False, 5),
        (NAN, 0.9, False, 1),
        (10, 0.7, False, 9),
        (99, 0.7, False, 2),
        (10, 0.5, False, 4),
        (1, 1, True, 7),
        (NAN, NAN, False, 3),
        (NAN, 1, True, 8),
    ]
    order = risk.urgency_order(*zip(*rows, strict=True))
    assert [rows[each][3] for each in order] == [7, 8, 2, 9, 4, 5, 1, 3]
