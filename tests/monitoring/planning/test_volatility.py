"""How much a price moves."""

import pytest

from monitoring.planning.volatility import volatility

NAN = float("nan")


def close(value):
    return pytest.approx(value, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("prices", "variation", "change_sd", "range_share"),
    [
        pytest.param([10, 10.5, 10, 11, 10.2], 0.040803, 0.080516, 0.096712, id="worked example"),
        pytest.param([10, 10, 10], 0, 0, 0, id="never moved"),
        pytest.param([10], NAN, NAN, NAN, id="one price"),
        pytest.param([NAN, 10, NAN], NAN, NAN, NAN, id="one observation"),
        pytest.param([NAN, NAN], NAN, NAN, NAN, id="none"),
        pytest.param([10, 12], 0.128565, NAN, 0.181818, id="one change has no spread"),
        # Daily 10, 10, 12, 12, 9; changes 10 to 12 and 12 to 9 only.
        pytest.param([NAN, 10, NAN, 12, NAN, 9], 0.126570, 0.332343, 0.283019, id="gaps"),
    ],
)
def test_volatility(prices, variation, change_sd, range_share):
    found = volatility([prices])
    assert found.variation.tolist() == close([variation])
    assert found.change_sd.tolist() == close([change_sd])
    assert found.range_share.tolist() == close([range_share])


def test_a_price_of_0_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        volatility([[10, 0]])
