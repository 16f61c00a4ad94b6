from dataclasses import asdict, replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.pricing.breakeven import (
    Costs,
    Margin,
    break_even,
    can_be_sold_at_a_profit,
    funded_by_platform,
    margin,
    rate_between,
    receipts,
)
from catalog.pricing.exchange import read_request
from catalog.pricing.quoting import quote
from tests.catalog.pricing.requests import line, promotion, request

pytestmark = pytest.mark.pure

SAME = Fraction(1)
AMAZON = Costs(cost=3500, exchange_rate=Fraction("0.1400"), freight=386, tax_rate=0, fee_rate=1500)
WITH_MINIMUM = Costs(cost=60, exchange_rate=SAME, freight=50, tax_rate=0, fee_rate=1500, fee_minimum=30)
CNY = Costs(cost=4200, exchange_rate=SAME, freight=600, tax_rate=1300, fee_rate=500)


def parts(received: int, costs: Costs) -> Margin:
    found = margin(received, costs)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("costs", "price"),
    [
        pytest.param(CNY, 5748, id="tax inside the price"),
        pytest.param(AMAZON, 1031, id="cost in another currency"),
        pytest.param(replace(AMAZON, promotion_rate=250), 1062, id="fee of a coupon"),
        pytest.param(WITH_MINIMUM, 140, id="minimum fee"),
        pytest.param(replace(WITH_MINIMUM, fee_minimum=0), 129, id="without the minimum"),
        pytest.param(
            Costs(
                cost=1200,
                exchange_rate=SAME,
                freight=450,
                tax_rate=0,
                fee_rate=0,
                payment_rate=290,
                payment_fixed=30,
            ),
            1730,
            id="payment fee",
        ),
        pytest.param(
            Costs(cost=780, exchange_rate=SAME, freight=350, tax_rate=1000, fee_rate=1000), 1397, id="yen, tax inside"
        ),
        pytest.param(Costs(cost=0, exchange_rate=SAME, freight=0, tax_rate=0, fee_rate=0), 0, id="no costs at all"),
        pytest.param(replace(WITH_MINIMUM, fee_minimum=1_000_000), 1_000_110, id="a minimum far above the rate"),
    ],
)
def test_break_even_is_the_smallest_price_that_leaves_nothing_missing(costs, price):
    assert break_even(costs) == price
    assert parts(price, costs).left >= 0
    assert price == 0 or parts(price - 1, costs).left < 0


def test_the_parts_of_a_margin_add_up_to_the_receipts():
    found = parts(5748, CNY)
    assert (found.tax, found.platform_fee, found.freight, found.cost, found.left) == (661, 287, 600, 4200, 0)
    assert parts(5747, CNY).left == -1


@pytest.mark.parametrize(
    ("costs", "fee"),
    [
        pytest.param(CNY, 565, id="price with tax"),
        pytest.param(replace(CNY, fee_is_on_net=True), 500, id="price without tax"),
        pytest.param(replace(CNY, fee_on_freight=1000), 615, id="freight the buyer pays counts too"),
    ],
)
def test_the_platform_fee_has_the_base_that_the_channel_says(costs, fee):
    assert parts(11300, costs).platform_fee == fee


@pytest.mark.parametrize(
    "part",
    ["cost", "exchange_rate", "freight", "tax_rate", "fee_rate", "fee_minimum", "promotion_fixed", "payment_rate"],
)
def test_a_missing_part_is_not_nothing(part):
    costs = Costs(**{**asdict(CNY), part: None})
    assert costs.unknown == (part,)
    assert (margin(9900, costs), break_even(costs), can_be_sold_at_a_profit(costs)) == (None, None, None)


def test_where_rates_eat_the_price_nothing_can_be_sold_at_a_profit():
    costs = replace(CNY, fee_rate=8000, payment_rate=2000)
    assert break_even(costs) is None
    assert can_be_sold_at_a_profit(costs) is False
    assert can_be_sold_at_a_profit(CNY) is True


def test_what_the_platform_pays_of_a_discount_is_received_and_the_price_stays():
    asked = read_request(
        request("taobao", [line("a", 9000)], [promotion("red packet", "platform", value=1000, seller_share=0)])
    )
    quoted = quote(asked)
    assert quoted.total is not None
    assert quoted.total.pays == 8000
    assert receipts(8000, quoted.steps, asked.promotions) == 9000
    assert receipts(8000, quoted.steps, asked.promotions, "a") == 9000


@pytest.mark.parametrize(
    ("discount", "seller_share", "funded"), [(1000, 0, 1000), (1000, 10_000, 0), (333, 5000, 167), (101, 7500, 25)]
)
def test_the_platform_s_part_is_rounded_half_up(discount, seller_share, funded):
    assert funded_by_platform(discount, seller_share) == funded


def test_an_exchange_rate_counts_the_decimal_places_of_both_currencies():
    yen_per_dollar = rate_between(Fraction("151.5"), cost_exponent=2, sale_exponent=0)
    costs = replace(CNY, cost=1000, exchange_rate=yen_per_dollar, freight=0, tax_rate=0, fee_rate=0)
    assert break_even(costs) == 1515


BASIS_POINTS = st.integers(0, 3000)


@settings(max_examples=40, deadline=None)
@given(
    st.builds(
        Costs,
        cost=st.integers(0, 20_000),
        exchange_rate=st.fractions(Fraction(1, 10), 20, max_denominator=10_000),
        freight=st.integers(0, 2_000),
        tax_rate=BASIS_POINTS,
        fee_rate=BASIS_POINTS,
        fee_minimum=st.integers(0, 500),
        fee_is_on_net=st.booleans(),
        fee_on_freight=st.integers(0, 900),
        promotion_rate=BASIS_POINTS,
        promotion_fixed=st.integers(0, 300),
        payment_rate=st.integers(0, 1500),
        payment_fixed=st.integers(0, 100),
    )
)
def test_no_price_below_the_break_even_leaves_anything(costs):
    found = break_even(costs)
    assert (found is not None) == can_be_sold_at_a_profit(costs)
    if found is not None:
        assert parts(found, costs).left >= 0
        assert all(parts(lower, costs).left < 0 for lower in range(max(0, found - 60), found))
