"""The prices of arrays are those of `quote`, to the minor unit and to the promotion."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.pricing.bulk import UNKNOWN, bulk_prices
from catalog.pricing.exchange import read_request
from catalog.pricing.quoting import quote
from catalog.pricing.rulesets import RULE_SETS
from tests.catalog.pricing.requests import line, promotion, request

pytestmark = pytest.mark.pure

COUPONS = [promotion(f"c{off}", "coupon", value=off, over=over) for off, over in [(500, 0), (1500, 5000), (1200, 6000)]]


def exact(asked, price):
    quoted = quote(replace(asked, lines=(replace(asked.lines[0], live=price),)))
    assert quoted.total is not None
    return quoted.total.goods, tuple(step.id for step in quoted.steps)


def in_bulk(asked, prices):
    found = bulk_prices(asked, np.array(prices, np.int64))
    return [
        (goods, found.combinations[used]) for goods, used in zip(found.goods.tolist(), found.used.tolist(), strict=True)
    ]


def coupons(layer, name):
    return st.builds(
        lambda kind, value, over, cap, groups: promotion(
            name, layer, kind, value, over=over, max_discount=cap, groups=groups
        ),
        st.sampled_from(["amount_off", "percent_off", "fixed_price"]),
        st.integers(1, 10_000),
        st.none() | st.integers(0, 12_000),
        st.none() | st.integers(1, 900),
        st.sampled_from([["g"], ["g", "h"], []]),
    )


@st.composite
def requests(draw):
    """Mostly of one layer, so that arrays do; the rest shows that what they do not is handed on."""
    ruleset = draw(st.sampled_from(sorted(RULE_SETS)))
    layers = [layer.name for layer in RULE_SETS[ruleset].layers[:-1]]
    layer = draw(st.sampled_from(layers))
    found = [draw(coupons(layer, f"p{place}")) for place in range(draw(st.integers(0, 4)))]
    if draw(st.integers(0, 3)) == 0:
        found.append(draw(coupons(draw(st.sampled_from(layers)), "q")) | {"auto": draw(st.booleans())})
    return read_request(
        request(
            ruleset,
            [line("a", 1)],
            found,
            settings=draw(st.sampled_from([{}, {"rounding": "up"}, {"rounding": "down"}])),
        )
    )


@settings(max_examples=60, deadline=None)
@given(requests(), st.lists(st.integers(0, 15_000), max_size=8))
def test_bulk_is_exact(asked, prices):
    assert in_bulk(asked, prices) == [exact(asked, price) for price in prices]


def test_prices_around_every_threshold():
    asked = read_request(request("taobao", [line("a", 1)], COUPONS))
    prices = [0, 1, 499, 500, 4999, 5000, 5001, 5999, 6000, 100_000]
    assert in_bulk(asked, prices) == [exact(asked, price) for price in prices]


def test_more_prices_than_one_chunk_holds():
    asked = read_request(request("taobao", [line("a", 1)], COUPONS))
    found = bulk_prices(asked, np.arange(40_000))
    assert found.goods[[0, 16_384, 39_999]].tolist() == [0, 14_884, 38_499]


@pytest.mark.parametrize(
    ("promotions", "price"),
    [
        pytest.param([each | {"layer": "platform"} for each in COUPONS], 6800, id="that stack"),
        pytest.param([COUPONS[0] | {"auto": True}, COUPONS[1]], 8500, id="of which one is automatic"),
        pytest.param([COUPONS[1], promotion("p", "shop", value=1000)], 7500, id="of two layers"),
    ],
)
def test_promotions_that_are_not_so_simple_are_handed_on(promotions, price):
    asked = read_request(request("taobao", [line("a", 1)], promotions))
    assert in_bulk(asked, [10_000])[0][0] == price
    assert in_bulk(asked, [10_000]) == [exact(asked, 10_000)]


def test_a_price_too_large_for_the_arrays_is_handed_on():
    asked = read_request(request("taobao", [line("a", 1)], COUPONS))
    assert in_bulk(asked, [1 << 60, 5000]) == [((1 << 60) - 1500, ("c1500",)), (3500, ("c1500",))]


def test_what_is_not_known_is_never_a_price():
    asked = read_request(request("taobao", [line("a", 1)], COUPONS))
    assert in_bulk(asked, [-1, 5000]) == [(UNKNOWN, ()), (3500, ("c1500",))]
    unknown = read_request(request("taobao", [line("a", 1)], [*COUPONS, promotion("u", "coupon", unknown=["value"])]))
    assert in_bulk(unknown, [5000]) == [(UNKNOWN, ())]


def test_the_basis_says_which_price_it_is():
    asked = read_request(request("taobao", [line("a", None, live=1)], COUPONS, basis="list"))
    assert in_bulk(asked, [5000]) == [(3500, ("c1500",))]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"currency": "XYZ"}, "unknown_currency"),
        ({"ruleset": "bazaar"}, "ruleset"),
        ({"lines": [line("a", 1), line("b", 1)]}, "one line"),
    ],
)
def test_a_request_that_no_price_can_save_is_an_error(fields, reason):
    asked = read_request(request("taobao", [line("a", 1)], COUPONS) | fields)
    with pytest.raises(ValueError, match=reason):
        bulk_prices(asked, np.array([1]))
