"""The least that promotions could leave to be paid is never more than what is paid."""

from dataclasses import replace

import numpy as np
import pytest

from catalog.pricing.exchange import read_request
from catalog.pricing.floors import Floors, Goods
from catalog.pricing.model import Refused
from catalog.pricing.quoting import quote
from catalog.pricing.rulesets import UnknownRule, rules_for
from catalog.pricing.validity import refusal, set_aside
from tests.catalog.pricing.oracle.cases import random_request
from tests.catalog.pricing.requests import line, promotion, request

pytestmark = pytest.mark.pure

ROW = np.array([0])


def floor_of(asked):
    """Of the request's only line; None where its price is not known."""
    rules = rules_for(asked.ruleset, asked.settings)
    one = asked.lines[0]
    start = one.live if asked.basis == "live" else one.list
    if start is None:
        return None
    standing = [each for each in asked.promotions if not set_aside(each, asked, rules)]
    blind = {place for place, each in enumerate(standing) if each.unknown}
    goods = Goods(np.array([start]), np.array([max(one.list or 0, one.live or 0)]))
    floors = Floors(goods, standing, [None] * len(standing), blind)
    places = [place for place, each in enumerate(standing) if place in blind or floors.may_do(place, 0)]
    return int(floors.lowest(places, rules, ROW)[0])


def of_one_unit(seed):
    """A random request of one line and one unit, without shipping; None for a refused one."""
    try:
        asked = read_request(random_request(seed))
        rules_for(asked.ruleset, asked.settings)
    except (Refused, UnknownRule):
        return None
    if refusal(asked):
        return None
    return replace(asked, lines=(replace(asked.lines[0], qty=1, minimum_order=1),), shipping=None)


def test_it_is_never_above_the_exact_price():
    seen = lowered = 0
    for seed in range(4_000):
        asked = of_one_unit(seed)
        if asked is None:
            continue
        quoted, floor = quote(asked), floor_of(asked)
        if quoted.total is not None:
            seen += 1
            lowered += bool(quoted.steps)
            assert floor <= quoted.total.goods, seed
    assert seen > 2_000
    assert lowered > 500


@pytest.mark.parametrize(
    ("ruleset", "promotions", "floor"),
    [
        pytest.param("taobao", [("coupon", 1000), ("coupon", 2000)], 8000, id="one of a line"),
        pytest.param("generic", [("coupon", 1000), ("coupon", 2000)], 7000, id="many"),
        pytest.param("generic", [("coupon", 1000), ("platform", 9500)], 0, id="never below 0"),
        pytest.param("taobao", [("item", 3000), ("shop", 2000)], 5000, id="layer after layer"),
    ],
)
def test_it_is_as_high_as_the_rules_let_it_be(ruleset, promotions, floor):
    asked = read_request(
        request(
            ruleset,
            [line("a", 10_000)],
            [promotion(f"p{place}", layer, value=value) for place, (layer, value) in enumerate(promotions)],
        )
    )
    assert floor - len(promotions) <= floor_of(asked) <= floor


def test_what_nobody_knows_may_take_everything_off():
    asked = read_request(request("generic", [line("a", 10_000)], [promotion("p", "coupon", unknown=["value"])]))
    assert floor_of(asked) == -1
