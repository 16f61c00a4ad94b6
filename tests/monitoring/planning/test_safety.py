"""Safety stock in all its forms, against the worked numbers of the field."""

import numpy as np
import pytest
from scipy import stats

from monitoring.planning import safety

NAN = float("nan")


def close(value):
    return pytest.approx(value, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize(
    ("target", "factor"), [(0.9, 1.28155), (0.95, 1.64485), (0.975, 1.95996), (0.99, 2.32635), (0.5, 0.0)]
)
def test_the_service_factor_is_the_normal_quantile(target, factor):
    assert safety.service_factor(target) == pytest.approx(factor, abs=1e-5)


@pytest.mark.parametrize("target", [0, 1, 1.2, -0.1])
def test_a_service_target_of_0_or_1_or_beyond_is_refused(target):
    with pytest.raises(ValueError, match="between 0 and 1"):
        safety.textbook(12, 9, target)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param(lambda: safety.textbook(12, 9, 0.95), 59.2147, id="textbook"),
        pytest.param(lambda: safety.calibrated(1.65, 12 * 9**0.5), 59.40, id="textbook with the factor 1.65"),
        pytest.param(lambda: safety.periodic(12, 9, 5, 0.95), 73.8537, id="periodic review"),
        pytest.param(lambda: safety.variable_lead_time(20, 12, 9, 2, 0.95), 88.5170, id="variable lead time"),
        pytest.param(
            lambda: safety.variable_lead_time(2500, 500, 7, 7, 0.90), 22_491.14, id="variable lead time at 90 %"
        ),
        pytest.param(
            lambda: safety.variable_lead_time(20, 12, 9, 2, 0.95, review_days=5),
            1.644854 * (14 * 144 + 1600) ** 0.5,
            id="variable lead time with review",
        ),
        pytest.param(lambda: safety.calibrated(1.9, 40), 76, id="forecast error"),
        pytest.param(lambda: safety.of_counts(3, 12, 0.95), 7, id="negative binomial"),
        pytest.param(lambda: safety.of_counts(3, 3, 0.95), 3, id="Poisson"),
        pytest.param(lambda: safety.textbook(500, 2, 0.90), 906.19, id="weeks at 90 %"),
    ],
)
def test_worked_examples(held, expected):
    assert held() == pytest.approx(expected, rel=1e-6, abs=1e-2 if expected > 500 else 1e-4)


def test_the_deviation_of_the_demand_of_a_variable_lead_time():
    # sqrt(9 x 12^2 + 20^2 x 2^2) = sqrt(2896), at a service of one standard deviation.
    assert safety.variable_lead_time(20, 12, 9, 2, 0.8413447460685429) == close(53.8145)


def test_the_variable_lead_time_of_a_week_by_its_service():
    # 17,549.93 is held for one standard deviation, which is a service of 84.13 %.
    assert safety.variable_lead_time(2500, 500, 7, 7, 0.8413447460685429) == pytest.approx(17_549.93, abs=0.01)


@pytest.mark.parametrize(
    ("mean", "variance", "target", "quantile"),
    [
        (3, 12, 0.90, 8),
        (3, 12, 0.95, 10),
        (3, 12, 0.99, 16),
        (3, 3, 0.95, 6),
        pytest.param(3, 1, 0.95, 6, id="less variance than Poisson counts as Poisson"),
        (0, 0, 0.95, 0),
        (NAN, 1, 0.95, NAN),
        (1, NAN, 0.95, NAN),
    ],
)
def test_quantiles_of_counts(mean, variance, target, quantile):
    assert safety.count_quantile(mean, variance, target) == close(quantile)


def test_shares_of_the_negative_binomial():
    assert safety.share_within([9, 10, -1], 3, 12).tolist() == close([0.94369, 0.95776, 0])
    assert safety.textbook(12**0.5, 1, 0.95) + 3 == close(8.69795)  # what the normal would have said


def test_quantiles_of_counts_are_those_of_the_library():
    rng = np.random.default_rng(7)
    mean, ratio = rng.gamma(0.7, 30, 2_000), rng.uniform(1.01, 20, 2_000)
    target = rng.choice([0.5, 0.8, 0.9, 0.95, 0.99, 0.999], 2_000)
    ours = safety.count_quantile(mean, mean * ratio, target)
    theirs = stats.nbinom.ppf(target, mean / (ratio - 1), 1 / ratio)
    assert np.array_equal(ours, theirs)
    assert np.array_equal(safety.count_quantile(mean, mean, target), stats.poisson.ppf(target, mean))


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param(safety.textbook(12, 0, 0.95), 0, id="no lead time, no review"),
        pytest.param(safety.periodic(12, 0, 5, 0.95), 1.644854 * 5**0.5 * 12, id="no lead time, with review"),
        pytest.param(safety.textbook(0, 9, 0.95), 0, id="no variation"),
        pytest.param(safety.textbook(NAN, 9, 0.95), NAN, id="spread not known"),
        pytest.param(
            safety.textbook(np.array(None, dtype=object), 9, 0.95), NAN, id="spread not known, from the database"
        ),
        pytest.param(safety.textbook(12, NAN, 0.95), NAN, id="lead time not known"),
        pytest.param(safety.textbook(12, 9, 0.4), 0, id="a target below a half"),
        pytest.param(safety.calibrated(-0.3, 10), 0, id="a factor below 0"),
        pytest.param(safety.calibrated(1.7, NAN), NAN, id="error not known"),
    ],
)
def test_edge_cases(held, expected):
    assert held == close(expected)


@pytest.mark.parametrize(("spread", "lead_time_days"), [(-1, 9), (12, -9)])
def test_figures_below_0_are_refused(spread, lead_time_days):
    with pytest.raises(ValueError, match="cannot be negative"):
        safety.textbook(spread, lead_time_days, 0.95)


def test_all_series_at_once_are_as_each_on_its_own():
    spread, lead = np.array([12.0, 3.0, NAN]), np.array([9.0, 4.0, 1.0])
    together = safety.periodic(spread, lead, 5, [0.95, 0.9, 0.99])
    assert together.tolist() == close([73.8537, 1.281552 * 3 * 3, NAN])


def test_a_lead_time_that_is_not_known_is_the_default_and_says_so():
    times = safety.lead_times([9, NAN, NAN, 4], [2, 1, NAN, NAN], [14, 14, NAN, 14])
    assert times.days.tolist() == close([9, 14, NAN, 4])
    assert times.spread_days.tolist() == [2, 1, 0, 0]
    assert times.is_default.tolist() == [False, True, True, False]
    assert times.is_spread_assumed.tolist() == [False, False, True, True]


def test_what_sold_once_takes_the_variance_of_its_group():
    variance = safety.pooled_variance([1, 2, 0.5, 3], [2, 6, NAN, NAN], [0, 0, 0, 1])
    assert variance.tolist() == close([8 / 3, 16 / 3, 0.5 * 8 / 3, NAN])


def test_service_of_a_safety_stock():
    sd = 500 * 2**0.5
    assert sd == close(707.10678)
    assert safety.cycle_service_level(1000, sd) == close(0.92135)
    assert safety.expected_shortage(1000, sd) == pytest.approx(25.127, abs=1e-3)
    assert safety.fill_rate(1000, sd, 10_000) == close(0.99749)


def test_factor_for_a_fill_rate():
    factor = safety.factor_for_fill_rate(50, 200, 0.98)
    assert factor == close(1.02124)
    assert safety.unit_loss(factor) == close(0.08)
    assert factor * 50 == pytest.approx(51.06, abs=0.005)
    assert safety.fill_rate(factor * 50, 50, 200) == close(0.98)


@pytest.mark.parametrize(("sd", "target"), [(50, 0.5), (50, 0.999), (1e-3, 0.9), (5_000, 0.999999)])
def test_the_fill_rate_is_reached_far_out_too(sd, target):
    factor = safety.factor_for_fill_rate(sd, 200, target)
    assert safety.fill_rate(factor * sd, sd, 200) == pytest.approx(target, abs=1e-9)


def test_without_variation_what_is_there_suffices():
    assert safety.cycle_service_level([0, -1, NAN], 0).tolist() == close([1, 0, NAN])
    assert safety.expected_shortage([5, -3], 0).tolist() == [0, 3]
    assert safety.fill_rate(0, 50, 0) == close(NAN)
    assert safety.factor_for_fill_rate(0, 200, 0.98) == close(NAN)


def test_newsvendor():
    quantity, cost = safety.newsvendor(0.18, 0.70, 50, 8)
    assert quantity == close(56.60396)
    assert cost == close(1.997605)
    with pytest.raises(ValueError, match="cost something"):
        safety.newsvendor(0, 0.7, 50, 8)
