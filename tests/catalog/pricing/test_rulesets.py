import pytest

from catalog.pricing.rulesets import OTHER_VALUES, RULE_SETS, UnknownRule, rules_for
from tests.catalog.pricing.requests import line, priced, promotion

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("generic", "item shop coupon cross platform shipping"),
        ("taobao", "item shop coupon cross platform shipping"),
        ("alibaba1688", "item shop coupon platform shipping"),
        ("amazon", "item coupon promo subscribe shipping"),
        ("shopify", "product order shipping"),
        ("ebay", "item offer coupon shipping"),
        ("woocommerce", "item coupon shipping"),
    ],
)
def test_the_layers_of_each_platform_in_their_order(name, layers):
    rules = RULE_SETS[name]
    assert [layer.name for layer in rules.layers] == layers.split()
    assert [layer.item_flagged for layer in rules.layers] == [True] + [False] * (len(rules.layers) - 1)
    shipping = rules.layers[-1]
    assert (shipping.pick, shipping.threshold_base, shipping.rounding) == ("one", "running", "half_up")


@pytest.mark.parametrize("name", RULE_SETS)
def test_every_other_value_is_a_setting_that_changes_the_rules(name):
    plain = rules_for(name, {})
    assert plain == RULE_SETS[name]
    changed = [rules_for(name, other) for other in OTHER_VALUES[name]]
    roundings = sum("rounding" in other for other in OTHER_VALUES[name])
    assert sum(rules != plain for rules in changed) >= len(changed) - (roundings and 1)


def test_a_rounding_for_all_layers_leaves_one_that_is_set_by_itself():
    rules = rules_for("taobao", {"rounding": "down", "coupon.rounding": "up"})
    assert {layer.name: layer.rounding for layer in rules.layers} == {
        "item": "down",
        "shop": "down",
        "coupon": "up",
        "cross": "down",
        "platform": "down",
        "shipping": "down",
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"rebase": True},
        {"coupon.name": "x"},
        {"coupon.excess": "lose"},
        {"coupon.rounding": "half"},
        {"": "lose"},
        {"excess": None},
    ],
)
def test_an_unknown_setting_is_an_error(settings):
    with pytest.raises(UnknownRule):
        rules_for("taobao", settings)


def test_a_deal_that_is_said_not_to_rebase_may_be_tried_the_other_way():
    promotions = [
        promotion("deal", "item", "fixed_price", 2500, auto=True, rebase=False),
        promotion("coupon", "coupon", "percent_off", 500),
    ]
    prices = [priced("amazon", 3000, promotions, settings=other)["total"] for other in ({}, {"item.rebase": True})]
    assert prices == [2350, 2375]


def test_the_allocation_is_a_setting():
    lines = [line("a", 3000), line("b", 1000, 2)]
    off = [promotion("p", "coupon", value=900)]
    assert priced("woocommerce", lines, off)["lines"] == {"a": 2700, "b": 1400}
    by_value = priced("woocommerce", lines, off, settings={"allocation": "largest_remainder"})
    assert by_value["lines"] == {"a": 2460, "b": 1640}
