"""What each kind takes off, line by line."""

import pytest

from tests.catalog.pricing.requests import line, priced, promotion

pytestmark = pytest.mark.pure


def amounts(ruleset, lines, *promotions, **fields):
    found = priced(ruleset, lines, promotions, **fields)
    assert found["status"] == "ok"
    return tuple(found["lines"][each] for each in sorted(found["lines"]))


AB = [line("a", 1000, 2), line("b", 500, 3)]


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        pytest.param({"value": 300}, (1829, 1371), id="an amount by value of the line"),
        pytest.param(
            {"value": 300, "weight_base": "start", "scope": {"items": ["b"]}}, (2000, 1200), id="in scope only"
        ),
        pytest.param({"value": 300, "per": "unit"}, (1400, 600), id="an amount of each unit"),
        pytest.param({"value": 700, "per": "unit"}, (600, 0), id="never more than the unit costs"),
        pytest.param({"value": 300, "per": "unit", "max_units": 3}, (1400, 1200), id="of three units, dearest first"),
        pytest.param({"kind": "percent_off", "value": 1000}, (1800, 1350), id="a percentage"),
        pytest.param({"kind": "percent_off", "value": 1000, "max_units": 3}, (1800, 1450), id="of three units"),
        pytest.param({"kind": "percent_off", "value": 1000, "max_discount": 100}, (1943, 1457), id="capped"),
        pytest.param({"kind": "fixed_price", "value": 700}, (1400, 1500), id="a price never raises one"),
        pytest.param({"kind": "fixed_price", "value": 400, "max_units": 3}, (800, 1400), id="a price for three units"),
        pytest.param({"kind": "nth_piece", "value": 10000, "of": 2, "take": 1}, (2000, 500), id="cheapest of the sets"),
        pytest.param(
            {"kind": "nth_piece", "value": 10000, "of": 2, "take": 1, "max_times": 1}, (2000, 1000), id="one set only"
        ),
        pytest.param({"kind": "nth_piece", "value": 10000, "of": 6, "take": 1}, (2000, 1500), id="no set"),
        pytest.param({"kind": "bundle_price", "value": 1800, "of": 3}, (1440, 1360), id="dearest units in bundles"),
        pytest.param(
            {"kind": "bundle_price", "value": 9900, "of": 3}, (2000, 1500), id="a bundle never raises a price"
        ),
        pytest.param(
            {"measure": "quantity", "tiers": [[2, 1000], [5, 200]], "kind": "amount_off"},
            (1886, 1414),
            id="the highest tier reached, even if a lower one gives more",
        ),
        pytest.param(
            {"measure": "quantity", "tiers": [[3, 100]], "measure_over": "line"}, (2000, 1400), id="each line by itself"
        ),
        pytest.param(
            {"measure": "amount", "tiers": [[1000, 100]], "repeat": True}, (1829, 1371), id="every full thousand"
        ),
        pytest.param(
            {"measure": "amount", "tiers": [[1000, 100]], "repeat": True, "max_times": 2},
            (1886, 1414),
            id="twice at most",
        ),
    ],
)
def test_what_a_promotion_takes_off_two_lines(fields, left):
    used = {"id": "p", "layer": "shop", "kind": "amount_off", **fields}
    assert amounts("generic", AB, used) == left


@pytest.mark.parametrize(
    ("price", "level", "left"),
    [
        pytest.param(333, "unit", 3 * (333 - 67), id="each unit"),
        pytest.param(333, "line", 999 - 200, id="the line"),
        pytest.param(333, "promotion", 999 - 200, id="the sum"),
    ],
)
def test_a_percentage_is_rounded_where_the_rule_set_says(price, level, left):
    used = promotion("p", "item", "percent_off", 2000)
    assert amounts("generic", [line("a", price, 3)], used, settings={"item.round_at": level}) == (left,)


@pytest.mark.parametrize(
    ("rounding", "left"), [("half_up", 24), ("half_down", 25), ("half_even", 25), ("up", 24), ("down", 25)]
)
def test_the_rounding_is_that_of_the_discount(rounding, left):
    used = promotion("p", "shop", "percent_off", 5000)
    assert amounts("generic", 49, used, settings={"rounding": rounding}) == (left,)


def test_the_unit_amounts_of_a_line_differ_by_the_minor_units_left_over():
    """10.00 over three pieces: 3.34, 3.33, 3.33; the dearest one gets the half price."""
    first = promotion("first", "shop", value=2000)
    second = promotion("second", "coupon", "percent_off", 5000, max_units=1)
    assert amounts("generic", [line("a", 1000, 3)], first, second) == (1000 - 167,)


@pytest.mark.parametrize(
    ("base", "off"),
    [("list", 1000), ("live", 800), ("start", 800), ("item", 760), ("layer", 700), ("running", 650)],
)
def test_each_base_is_what_its_name_says(base, off):
    """List 100, live 80, 76 after the item sale, 70 after the shop's, 65 after the first of the coupons; 10 % of it."""
    promotions = [
        promotion("sale", "item", "percent_off", 500, auto=True),
        promotion("shop", "shop", value=600, auto=True),
        promotion("first", "coupon", value=500, auto=True, priority=1),
        promotion("second", "coupon", "percent_off", 1000, effect_base=base, auto=True, priority=2),
    ]
    lines = [line("a", None, list=10000, live=8000)]
    assert amounts("generic", lines, *promotions) == (6500 - off,)


def test_a_promotion_that_does_not_rebase_leaves_the_item_base():
    deposit = promotion("deposit", "item", value=3000, per="unit", auto=True, rebase=False)
    coupon = promotion("coupon", "coupon", value=1000, over=9000)
    assert amounts("taobao", 10000, deposit, coupon) == (6000,)
    assert amounts("taobao", 10000, deposit | {"rebase": True}, coupon) == (7000,)


def test_thresholds_may_count_the_whole_basket():
    lines = [line("a", 6000), line("b", 6000)]
    own = promotion("p", "coupon", value=1000, over=10000, items=["a"])
    assert amounts("generic", lines, own) == (6000, 6000)
    assert amounts("generic", lines, own | {"measure_lines": "basket"}) == (5000, 6000)


def test_lines_that_cost_nothing_still_count_for_a_threshold():
    lines = [line("a", 0, 2), line("b", 5000, 1)]
    assert amounts("generic", lines, promotion("p", "shop", value=1000, pieces=3)) == (0, 4000)


@pytest.mark.parametrize(
    ("fields", "shipping"),
    [
        pytest.param({"kind": "percent_off", "value": 10000}, 0, id="free"),
        pytest.param({"kind": "percent_off", "value": 3333}, 667, id="a third, half up"),
        pytest.param({"value": 300}, 700, id="an amount"),
        pytest.param({"value": 3000}, 0, id="never below nothing"),
        pytest.param({"value": 3000, "max_discount": 400}, 600, id="capped"),
        pytest.param({"tiers": [[5000, 300]], "measure": "amount"}, 700, id="its threshold measures goods"),
        pytest.param({"tiers": [[5001, 300]], "measure": "amount"}, 1000, id="goods below it"),
        pytest.param({"value": 300, "effect_base": "list"}, 700, id="its base is the shipping"),
    ],
)
def test_shipping_promotions_lower_the_shipping_only(fields, shipping):
    used = {"id": "p", "layer": "shipping", "kind": "amount_off", **fields}
    found = priced("generic", 5000, [used], shipping=1000)
    assert (found["goods"], found["shipping"], found["total"]) == (5000, shipping, 5000 + shipping)


def test_an_unknown_shipping_is_left_out():
    found = priced("generic", 5000, [promotion("p", "shipping", value=300)])
    assert (found["shipping"], found["total"], found["not_used"]) == (None, 5000, {"p": "no_shipping"})


def test_woocommerce_percentages_give_the_lost_fractions_to_the_dearest_lines():
    lines = [line("a", 99, 1), line("b", 99, 3), line("c", 99, 1)]
    used = promotion("p", "coupon", "percent_off", 1000)
    assert amounts("woocommerce", lines, used) == (90, 266, 90)


def test_a_small_woocommerce_amount_goes_piece_by_piece():
    lines = [line("a", 100, 2), line("b", 100, 3)]
    assert amounts("woocommerce", lines, promotion("p", "coupon", value=4)) == (199, 297)


@pytest.mark.parametrize("price", [0, 1])
@pytest.mark.parametrize("ruleset", ["generic", "taobao", "woocommerce"])
def test_nothing_goes_below_nothing(ruleset, price):
    promotions = [promotion(f"p{place}", "coupon", value=5000, per="unit") for place in range(3)]
    assert amounts(ruleset, price, *promotions) == (0,)
