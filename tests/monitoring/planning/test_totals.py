"""Distributions of totals: calibrated by past errors, or of counts."""

import numpy as np
import pytest

from monitoring.planning.totals import LEAST_OF_CLASS, Spread, calibrate, quantile_loss, totals

NAN = float("nan")
RANDOM = np.random.default_rng(7)
NEVER = np.zeros(1, bool)


def spread_of(mean, deviation=1.0):
    mean = np.asarray(mean, float)
    return Spread(mean, np.full(mean.shape, deviation), np.zeros(mean.shape), np.zeros(mean.shape))


def calibrated_on(mean, actual):
    return calibrate(np.asarray(actual, float), spread_of(mean), np.ones(len(mean)))


def one(calibration, mean, **options):
    options = {"is_short": NEVER, "is_empty": NEVER} | options
    return totals(calibration, spread_of([mean]), **options)


def test_quantile_is_the_share_of_past_cases_and_one_to_come():
    # Totals of 1 to 199 about a forecast of 100: the 190th of 200 places, by (n + 1) x 0.95.
    found = one(calibrated_on([100] * 199, range(1, 200)), 100)
    assert [found.quantile(level).item() for level in (0.5, 0.9, 0.95)] == pytest.approx([100, 180, 190])


def test_whole_pieces_cover_as_much_as_the_quantile():
    actual = RANDOM.poisson(3, 400)
    found = one(calibrated_on(np.full(400, 2.7), actual), 2.7)
    quantile, whole = found.quantile(0.9).item(), found.whole_quantile(0.9).item()
    assert whole == np.floor(quantile + 1e-9)
    assert (actual <= whole).mean() == (actual <= quantile + 1e-9).mean() >= 0.9
    # A quantile that is whole but for rounding stays.
    assert one(calibrated_on([100] * 199, range(1, 200)), 100).whole_quantile(0.95).item() == 190


def test_levels_beyond_what_the_cases_can_tell_go_on_rising():
    found = one(calibrated_on([100] * 199, range(1, 200)), 100)
    top, beyond, far = (found.quantile(level).item() for level in (0.995, 0.999, 0.9999))
    assert pytest.approx(top) == 199
    assert top < beyond < far < 250


@pytest.mark.parametrize("level", [0, 1, -0.5, 1.5])
def test_a_level_lies_between_0_and_1(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        one(calibrated_on([100] * 199, range(1, 200)), 100).quantile(level)


def test_probability_and_size_of_a_shortage():
    found = one(calibrated_on([100] * 199, range(1, 200)), 100)
    assert found.exceedance(149).item() == pytest.approx(50 / 199)
    assert found.missing(149).item() == pytest.approx(sum(range(1, 51)) / 199)
    assert found.exceedance(1000).item() == found.missing(1000).item() == 0
    assert found.exceedance(-1).item() == 1
    assert found.missing(-5).item() == pytest.approx(100 + 5)
    assert np.isnan(found.exceedance(NAN).item())


def test_classes_of_volume_have_errors_of_their_own():
    # The small ones sell in bursts, the large ones hardly vary.
    small = RANDOM.negative_binomial(0.2, 0.2 / 2.2, 4 * LEAST_OF_CLASS)
    large = RANDOM.poisson(1000, 4 * LEAST_OF_CLASS)
    mean = np.repeat([2.0, 1000.0], 4 * LEAST_OF_CLASS)
    calibration = calibrated_on(mean, np.concatenate([small, large]))
    assert one(calibration, 2).quantile(0.95).item() == pytest.approx(np.quantile(small, 0.95), rel=0.1)
    assert one(calibration, 1000).quantile(0.95).item() == pytest.approx(np.quantile(large, 0.95), rel=0.01)


def test_the_scale_with_the_least_loss_is_taken():
    deviation = RANDOM.uniform(1, 50, 4000)
    actual = 100 + deviation * RANDOM.standard_normal(4000)
    spread = Spread(np.full(4000, 100.0), deviation, np.zeros(4000), np.zeros(4000))
    calibration = calibrate(actual, spread, np.ones(4000))
    assert calibration.scale == "deviation"
    assert min(calibration.losses.values()) == calibration.losses["deviation"]


def test_own_errors_count_more_the_more_there_are():
    calibration = calibrated_on([100] * 400, RANDOM.normal(100, 10, 400))
    few = Spread(np.full(3, 100.0), np.ones(3), np.array([0.0, 1, 100]) * 50**2, np.array([0.0, 1, 100]))
    rmse = calibration.rmse(few)
    assert rmse[0] == pytest.approx(10, rel=0.1)
    assert rmse[0] < rmse[1] < rmse[2]
    assert rmse[2] == pytest.approx(50, rel=0.05)


def test_short_histories_have_the_quantiles_of_counts():
    calibration = calibrated_on([3] * 200, RANDOM.negative_binomial(1, 0.25, 200))
    found = one(calibration, 3.0, is_short=np.ones(1, bool))
    assert found.quantile(0.95).item() in {9, 10, 11}
    wider = one(calibration, 3.0, is_short=np.ones(1, bool), unsure=30.0)
    assert wider.quantile(0.95) > found.quantile(0.95)
    assert wider.missing(6) > found.missing(6)
    assert found.exceedance(4).item() == pytest.approx(0.237, abs=0.04)


def test_without_enough_cases_all_are_counts():
    calibration = calibrated_on([3] * 10, [0, 1, 3, 9, 2, 3, 0, 12, 0, 0])
    assert not calibration.is_calibrated
    found = one(calibration, 3.0)
    assert found.is_counted.all()
    assert found.quantile(0.95).item() == round(found.quantile(0.95).item()) > 3


def test_what_never_sold_needs_nothing():
    found = one(calibrated_on([0.0] * 199, range(1, 200)), 0.0, is_empty=np.ones(1, bool))
    assert [found.quantile(0.99).item(), found.exceedance(0).item(), found.missing(0).item()] == [0, 0, 0]
    assert found.missing(-3).item() == 3


def test_many_equal_means_make_no_empty_class():
    mean = np.array([0.0] * 3000 + [5.0] * 10)
    calibration = calibrated_on(mean, RANDOM.poisson(mean + 0.1))
    assert all(len(errors) for errors in calibration.errors)


def test_quantile_loss():
    assert quantile_loss([10, 10], [4, 14], 0.95).tolist() == pytest.approx([5.7, 0.2])
