"""What holds for every request, whatever the rule set."""

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from catalog.pricing.exchange import answer
from catalog.pricing.rulesets import OTHER_VALUES, RULE_SETS
from tests.catalog.pricing.requests import line, promotion, request

pytestmark = pytest.mark.pure

PRICES = st.integers(0, 40) | st.integers(100, 30_000)
MINIMUMS = st.integers(0, 30) | st.integers(100, 40_000)


@st.composite
def lines(draw):
    return [
        line(
            name,
            draw(PRICES),
            draw(st.integers(1, 4)),
            item=draw(st.sampled_from(["x", "y"])),
            on_sale=draw(st.booleans()),
        )
        for name in "abc"[: draw(st.integers(1, 3))]
    ]


@st.composite
def promotions(draw, ruleset, name):
    layers = [layer.name for layer in RULE_SETS[ruleset].layers]
    layer = draw(st.sampled_from(layers))
    kinds = ["amount_off", "percent_off", "fixed_price", "nth_piece", "bundle_price"]
    kind = draw(st.sampled_from(kinds[:2] if layer == "shipping" else kinds))
    value = draw(st.integers(1, 10_000) if kind in ("percent_off", "nth_piece") else PRICES.map(lambda each: each + 1))
    limits = {
        "over": st.none() | MINIMUMS,
        "max_discount": st.none() | st.integers(1, 5_000),
        "max_units": st.none() | st.integers(1, 5),
        "scope": st.none() | st.sampled_from([{"items": ["x"]}, {"skus": ["a", "b"]}, {"not_on_sale": True}]),
        "combines": st.none() | st.sets(st.sampled_from(layers)).map(sorted),
        "groups": st.just([]) | st.sampled_from([["g"], ["line:g"]]),
        "priority": st.integers(0, 2),
        "auto": st.booleans(),
        "rebase": st.booleans(),
        "effect_base": st.none() | st.sampled_from(["start", "item", "running"]),
    }
    fields = {field: draw(strategy) for field, strategy in limits.items()}
    if kind in ("nth_piece", "bundle_price"):
        fields |= {"of": draw(st.integers(1, 3)), "take": 1}
    return promotion(name, layer, kind, value, **fields)


@st.composite
def requests(draw):
    ruleset = draw(st.sampled_from(sorted(RULE_SETS)))
    return request(
        ruleset,
        draw(lines()),
        [draw(promotions(ruleset, f"p{place}")) for place in range(draw(st.integers(0, 5)))],
        shipping=draw(st.none() | st.integers(0, 900)),
        settings=draw(st.sampled_from([{}, *OTHER_VALUES[ruleset]])),
    )


@given(requests(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_every_answer_holds_together(asked, shuffle: random.Random):
    found = answer(asked)
    assume(found["status"] == "ok")
    start = sum(each["live"] * each["qty"] for each in asked["lines"]) + (asked["shipping"] or 0)
    assert found["total"] == start - sum(used["discount"] for used in found["used"])
    assert min(found["lines"].values()) >= 0
    assert found["shipping"] is None or found["shipping"] >= 0
    assert sum(found["lines"].values()) == found["goods"] == found["total"] - (found["shipping"] or 0)
    assert all(used["discount"] > 0 for used in found["used"])
    shown = {used["id"] for used in found["used"]} | found["not_used"].keys()
    assert shown == {each["id"] for each in asked["promotions"]}
    for step in found["trace"]:
        assert sum(step["lines"].values()) in (0, step["before"] - step["after"])
    other = asked | {"lines": asked["lines"][:], "promotions": asked["promotions"][:]}
    shuffle.shuffle(other["lines"])
    shuffle.shuffle(other["promotions"])
    assert answer(other) == found


@given(requests(), st.data())
@settings(max_examples=40, deadline=None)
def test_one_more_optional_promotion_never_raises_the_total(asked, data):
    before = answer(asked)
    added = data.draw(promotions(asked["ruleset"], "q")) | {"auto": False}
    after = answer(asked | {"promotions": [*asked["promotions"], added]})
    assume(before["status"] == after["status"] == "ok")
    assert after["total"] <= before["total"]


@given(requests())
@settings(max_examples=25, deadline=None)
def test_what_is_not_used_may_as_well_not_be_there(asked):
    found = answer(asked)
    assume(found["status"] == "ok")
    used = {used["id"] for used in found["used"]}
    alone = answer(asked | {"promotions": [each for each in asked["promotions"] if each["id"] in used]})
    assert alone["total"] <= found["total"]
