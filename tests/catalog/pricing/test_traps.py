"""The faults of the naive ways of computing a price: each of them gives a plausible figure that is wrong."""

import pytest

from tests.catalog.pricing.requests import line, priced, promotion

pytestmark = pytest.mark.pure


def test_a_coupon_whose_minimum_is_not_reached_is_not_subtracted():
    found = priced("taobao", 9900, [promotion("coupon", "coupon", value=5000, over=10000)])
    assert (found["total"], found["not_used"]) == (9900, {"coupon": "below_threshold"})


def test_an_item_coupon_is_for_its_item_and_a_shop_coupon_for_all():
    lines = [line("a", 6000, shop="s"), line("b", 6000, shop="s")]
    of_item = promotion("item coupon", "coupon", value=500, over=6000, items=["a"])
    of_shop = promotion("shop coupon", "coupon", value=1500, over=12000, scope={"shops": ["s"]})
    assert priced("taobao", lines, [of_item])["lines"] == {"a": 5500, "b": 6000}
    assert priced("taobao", lines, [of_shop])["lines"] == {"a": 5250, "b": 5250}
    assert priced("taobao", lines[:1], [of_shop])["not_used"] == {"shop coupon": "below_threshold"}


def test_list_and_live_prices_are_not_mixed_up():
    lines = [line("a", None, list=20000, live=9900)]
    coupon = [promotion("coupon", "coupon", value=3000, over=10000)]
    assert priced("taobao", lines, coupon, basis="live")["total"] == 9900
    assert priced("taobao", lines, coupon, basis="list")["total"] == 17000


def test_a_sale_that_is_in_the_live_price_is_not_taken_off_again():
    lines = [line("a", None, list=10000, live=8000)]
    sale = [promotion("sale", "item", "percent_off", 2000, auto=True, in_live=True)]
    assert {priced("taobao", lines, sale, basis=basis)["total"] for basis in ("list", "live")} == {8000}


def test_the_largest_face_value_is_not_the_best_price():
    coupons = [promotion("face", "coupon", value=6000, over=50000), promotion("rate", "coupon", "percent_off", 1500)]
    assert priced("taobao", 40000, coupons)["total"] == 34000


def test_more_than_one_coupon_is_used_where_they_stack():
    coupons = [promotion("a", "coupon", value=1000), promotion("b", "platform", value=500)]
    assert priced("taobao", 10000, coupons)["total"] == 8500


@pytest.mark.parametrize("price", [99.0, "99.00", 0.1])
def test_money_in_binary_floats_or_text_is_refused(price):
    assert priced("generic", [line("a", price)])["status"] == "refused"


def test_a_million_fractions_do_not_add_up_to_a_wrong_unit():
    """0.07 off 10 % of 1.15: 0.115 is a half exactly, which no binary float can hold."""
    found = priced("generic", [line("a", 115)], [promotion("p", "item", "percent_off", 1000)])
    assert found["total"] == 103
    assert priced("taobao", [line("a", 115)], [promotion("p", "item", "percent_off", 1000)])["total"] == 104


def test_local_time_is_never_compared_with_another_zone_s():
    midnight = promotion("coupon", "coupon", value=1000, end="2026-11-12T00:00:00+08:00")
    assert priced("taobao", 9900, [midnight], at="2026-11-11T16:00:00+00:00")["total"] == 9900
    assert priced("taobao", 9900, [midnight], at="2026-11-11T23:00:00+08:00")["total"] == 8900
    assert priced("taobao", 9900, [midnight], at="2026-11-11T23:00:00")["status"] == "refused"


def test_three_equal_lines_share_a_coupon_without_losing_a_unit():
    lines = [line(name, 1000) for name in "abc"]
    found = priced("generic", lines, [promotion("coupon", "coupon", value=1000)])
    assert (found["total"], found["lines"]) == (2000, {"a": 666, "b": 667, "c": 667})


def test_decimals_are_not_cut_before_a_threshold_is_compared():
    assert priced("taobao", 9901, [promotion("coupon", "coupon", value=1000, over=10000)])["total"] == 9901
