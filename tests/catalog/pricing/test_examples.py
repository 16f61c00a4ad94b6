"""The worked examples of the pricing contract (section 5), by their numbers."""

import pytest

from catalog.pricing.exchange import answer, read_request
from catalog.pricing.unit_prices import PerUnit, UnitPrices, unit_prices
from tests.catalog.pricing.requests import line, promotion, request

pytestmark = pytest.mark.pure

OFF_100 = promotion("coupon", "coupon", value=5000, over=10000)
SHOP_300 = promotion("shop", "shop", value=5000, over=30000, auto=True)
COUPON_200 = promotion("coupon", "coupon", value=2000, over=20000)
CROSS_300 = promotion("cross", "cross", value=5000, over=30000, auto=True, repeat=True)
SHOP_TIERS = promotion("shop", "shop", measure="amount", tiers=[[19900, 2000], [29900, 4000], [49900, 8000]], auto=True)
FLASH_79 = promotion("flash", "item", "fixed_price", 7900, auto=True)
COUPON_80 = promotion("coupon", "coupon", value=1000, over=8000)
SECOND_HALF = promotion("half", "shop", "nth_piece", 5000, of=2, take=1, auto=True)
FIXED_CART = promotion("cart", "coupon", value=3000, priority=3)
TEN_PERCENT = promotion("ten", "coupon", "percent_off", 1000, priority=2)
WOO_50 = [
    promotion("each", "coupon", value=1500, per="unit", priority=1),
    promotion("percent", "coupon", "percent_off", 2000, priority=2),
]
PANTS_AND_ALL = [
    promotion("pants", "product", value=2000, items=["pants"]),
    promotion("ten", "order", "percent_off", 1000),
]
THREE_LINES = [line("pants", 10000), line("b", 5000), line("c", 20000)]
FREE_SHIPPING = promotion(
    "free", "shipping", "percent_off", 10000, over=10000, auto=True, combines=["order", "shipping"]
)
LADDER = promotion(
    "ladder",
    "item",
    "fixed_price",
    measure="quantity",
    measure_over="item",
    tiers=[[3, 25800], [10, 16100]],
    auto=True,
)
COUPON_10 = promotion("coupon", "coupon", value=1000, end="2026-11-12T00:00:00+08:00")
LIST_AND_LIVE = [line("a", None, list=20000, live=16000)]
IN_LIVE = [promotion("sale", "item", "percent_off", 2000, auto=True, in_live=True)]
LIST_100_LIVE_80 = [line("a", None, list=10000, live=8000)]

PAYS = [
    ("E1", request("taobao", 9900, [OFF_100]), 9900, {}),
    ("E2", request("taobao", 10000, [OFF_100]), 5000, {}),
    ("E3", request("taobao", 32000, [SHOP_300, COUPON_200, CROSS_300]), 20000, {}),
    ("E4", request("generic", 32000, [SHOP_300, COUPON_200, CROSS_300]), 25000, {}),
    (
        "E5 at most 3 times",
        request(
            "generic", 100000, [promotion("p", "shop", value=3000, over=20000, auto=True, repeat=True, max_times=3)]
        ),
        91000,
        {},
    ),
    ("E5 capped", request("taobao", 150000, [CROSS_300 | {"max_discount": 15000}]), 135000, {}),
    ("E6 second tier", request("taobao", 39900, [SHOP_TIERS]), 35900, {}),
    ("E6 third tier", request("taobao", 49900, [SHOP_TIERS]), 41900, {}),
    (
        "E7 of list",
        request("generic", LIST_AND_LIVE, [promotion("p", "shop", "percent_off", 1000, effect_base="list")]),
        14000,
        {},
    ),
    ("E7 of live", request("generic", LIST_AND_LIVE, [promotion("p", "shop", "percent_off", 1000)]), 14400, {}),
    ("E8", request("taobao", 12900, [FLASH_79, COUPON_80]), 7900, {}),
    (
        "E9",
        request("taobao", 12900, [FLASH_79, COUPON_80], settings={"coupon.threshold_base": "start"}),
        6900,
        {},
    ),
    (
        "E10",
        request(
            "generic",
            10300,
            [
                promotion("five", "item", "percent_off", 500, auto=True),
                promotion("coupon", "coupon", value=2000, over=10000),
            ],
        ),
        9785,
        {},
    ),
    (
        "E10 without the automatic one",
        request("generic", 10300, [promotion("coupon", "coupon", value=2000, over=10000)]),
        8300,
        {},
    ),
    (
        "E11",
        request(
            "generic",
            40000,
            [
                promotion("A", "coupon", value=3000, over=10000, groups=["g"]),
                promotion("B", "coupon", "percent_off", 1000, groups=["g"]),
                promotion("C", "coupon", value=1500, over=30000),
            ],
        ),
        34500,
        {},
    ),
    (
        "E12",
        request(
            "taobao",
            40000,
            [
                promotion("fifty", "coupon", value=5000, over=30000),
                promotion("sixty", "coupon", value=6000, over=50000),
                promotion("rate", "coupon", "percent_off", 1500),
            ],
        ),
        34000,
        {},
    ),
    ("E13 two", request("taobao", [line("a", 4550, 2)], [SECOND_HALF]), 6825, {}),
    ("E13 three", request("taobao", [line("a", 4550, 3)], [SECOND_HALF]), 11375, {}),
    (
        "E14",
        request("taobao", [line("a", 3333, 3)], [promotion("p", "shop", "percent_off", 2000, pieces=3, auto=True)]),
        7999,
        {},
    ),
    (
        "E15",
        request(
            "taobao",
            [line("a", 6900), line("b", 5900), line("c", 3900)],
            [promotion("two", "shop", "bundle_price", 9900, of=2, auto=True)],
        ),
        13800,
        {"a": 5337, "b": 4563, "c": 3900},
    ),
    (
        "E16",
        request("taobao", [line("a", 10000), line("b", 3333), line("c", 19998)], [CROSS_300]),
        28331,
        {"a": 8500, "b": 2833, "c": 16998},
    ),
    (
        "E17",
        request(
            "taobao",
            [line("a", 15000), line("b", 5000)],
            [
                promotion("shop", "shop", value=10000, over=15000, auto=True, items=["a"]),
                promotion("coupon", "coupon", value=3000, over=15000, items=["a"]),
                promotion("cross", "cross", value=3000, over=20000, auto=True, repeat=True),
            ],
        ),
        4250,
        {"a": 0, "b": 4250},
    ),
    (
        "E17 spread again",
        request(
            "taobao",
            [line("a", 15000), line("b", 5000)],
            [
                promotion("shop", "shop", value=10000, over=15000, auto=True, items=["a"]),
                promotion("coupon", "coupon", value=3000, over=15000, items=["a"]),
                promotion("cross", "cross", value=3000, over=20000, auto=True, repeat=True),
            ],
            settings={"excess": "redistribute"},
        ),
        4000,
        {"a": 0, "b": 4000},
    ),
    (
        "E18",
        request(
            "taobao",
            40000,
            [
                promotion("coupon", "coupon", value=38000, over=40000),
                promotion("cross", "cross", value=5000, over=40000, auto=True),
            ],
        ),
        0,
        {},
    ),
    (
        "E19",
        request("woocommerce", [line("a", 10000), line("b", 5000, 2)], [FIXED_CART, TEN_PERCENT]),
        15000,
        {"a": 8000, "b": 7000},
    ),
    ("E20", request("woocommerce", [line("a", 5000, 2)], WOO_50), 5000, {}),
    (
        "E20 sequentially",
        request("woocommerce", [line("a", 5000, 2)], WOO_50, settings={"coupon.effect_base": "running"}),
        5600,
        {},
    ),
    (
        "E21",
        request(
            "woocommerce",
            8000,
            [
                promotion("alone", "coupon", "percent_off", 2500, combines=["item"], priority=2),
                promotion("cart", "coupon", value=1000, priority=3),
            ],
        ),
        6000,
        {},
    ),
    (
        "E22",
        request("woocommerce", [line("a", 2000, 3)], [promotion("p", "coupon", "percent_off", 5000, max_units=1)]),
        5000,
        {},
    ),
    (
        "E23",
        request("woocommerce", [line("a", 333), line("b", 167)], [promotion("p", "coupon", "percent_off", 1250)]),
        438,
        {"a": 291, "b": 147},
    ),
    (
        "E24",
        request(
            "shopify",
            [line("pants", 10000), line("shirt", 1500)],
            [
                promotion("pants", "product", "percent_off", 2000, auto=True, items=["pants"]),
                promotion("ten", "order", "percent_off", 1000, over=10000),
            ],
        ),
        9500,
        {},
    ),
    ("E25", request("shopify", THREE_LINES, PANTS_AND_ALL, shipping=2000), 31700, {}),
    (
        "E25 with free shipping",
        request("shopify", THREE_LINES, [*PANTS_AND_ALL, FREE_SHIPPING], shipping=2000),
        31500,
        {"pants": 9000, "b": 4500, "c": 18000},
    ),
    (
        "E26",
        request(
            "shopify",
            35000,
            [
                promotion("ten", "order", "percent_off", 1000),
                promotion("fifteen", "order", "percent_off", 1500, over=20000),
            ],
        ),
        26250,
        {},
    ),
    (
        "E27",
        request(
            "amazon",
            10000,
            [
                promotion("coupon", "coupon", "percent_off", 4000),
                promotion("promo", "promo", "percent_off", 5000, auto=True),
            ],
        ),
        1000,
        {},
    ),
    (
        "E28",
        request(
            "amazon",
            10000,
            [
                promotion("five", "promo", "percent_off", 500, auto=True),
                promotion("fifteen", "promo", "percent_off", 1500, auto=True),
            ],
            currency="JPY",
        ),
        8000,
        {},
    ),
    (
        "E29 lightning deal",
        request(
            "amazon",
            3000,
            [
                promotion("deal", "item", "fixed_price", 2500, auto=True, rebase=False),
                promotion("coupon", "coupon", "percent_off", 500),
            ],
        ),
        2350,
        {},
    ),
    (
        "E29 prime exclusive",
        request(
            "amazon",
            3000,
            [
                promotion("prime", "item", "fixed_price", 2500, auto=True),
                promotion("coupon", "coupon", "percent_off", 500),
            ],
        ),
        2375,
        {},
    ),
    (
        "E30 yen",
        request("generic", 999, [promotion("p", "item", "percent_off", 1500, auto=True)], currency="JPY"),
        849,
        {},
    ),
    (
        "E30 fils",
        request("generic", 12345, [promotion("p", "item", "percent_off", 1000, auto=True)], currency="KWD"),
        11110,
        {},
    ),
    ("E31 inside", request("generic", 9900, [COUPON_10], at="2026-11-11T15:59:59.999Z"), 8900, {}),
    ("E31 after", request("generic", 9900, [COUPON_10], at="2026-11-11T16:00:00Z"), 9900, {}),
    ("E32", request("taobao", 9900, [promotion("coupon", "coupon", value=1000, over=9900)]), 8900, {}),
    ("E33", request("taobao", 990, [promotion("coupon", "coupon", value=2000)]), 0, {}),
    ("E34 live", request("generic", LIST_100_LIVE_80, IN_LIVE), 8000, {}),
    ("E34 list", request("generic", LIST_100_LIVE_80, IN_LIVE, basis="list"), 8000, {}),
    ("E36 nine", request("alibaba1688", [line("a", 30000, 9)], [LADDER]), 232200, {}),
    (
        "E36 six and four of one offer",
        request("alibaba1688", [line("a", 30000, 6, item="o"), line("b", 30000, 4, item="o")], [LADDER]),
        161000,
        {},
    ),
    (
        "E37",
        request(
            "ebay",
            [line("a", 5000, 2)],
            [
                promotion("markdown", "item", "percent_off", 2000, auto=True),
                promotion("volume", "offer", "percent_off", 1000, pieces=2, auto=True),
                promotion("code", "coupon", value=500, over=7000),
            ],
        ),
        6700,
        {},
    ),
    (
        "E38",
        request(
            "taobao",
            20000,
            [
                promotion("coupon", "coupon", value=2000, over=19900),
                promotion("88vip", "platform", "percent_off", 500, auto=True, priority=10),
                promotion("coins", "platform", "percent_off", 200, priority=40),
            ],
        ),
        16758,
        {},
    ),
]


@pytest.mark.parametrize(("asked", "pays", "lines"), [pytest.param(*case[1:], id=case[0]) for case in PAYS])
def test_worked_examples_pay_to_the_minor_unit(asked, pays, lines):
    found = answer(asked)
    assert (found["status"], found["total"]) == ("ok", pays)
    assert {line_id: found["lines"][line_id] for line_id in lines} == lines


CASES = {name: asked for name, asked, *_ in PAYS}


@pytest.mark.parametrize(
    ("example", "used", "not_used"),
    [
        ("E1", [], {"coupon": "below_threshold"}),
        ("E3", [("shop", 5000), ("coupon", 2000), ("cross", 5000)], {}),
        ("E4", [("shop", 5000), ("coupon", 2000)], {"cross": "below_threshold"}),
        ("E8", [("flash", 5000)], {"coupon": "below_threshold"}),
        ("E10", [("five", 515)], {"coupon": "below_threshold"}),
        ("E11", [("B", 4000), ("C", 1500)], {"A": "conflict:B"}),
        ("E12", [("rate", 6000)], {"fifty": "line_taken", "sixty": "line_taken"}),
        ("E17", [("shop", 10000), ("coupon", 3000), ("cross", 2750)], {}),
        ("E18", [("coupon", 38000), ("cross", 2000)], {}),
        ("E19", [("ten", 2000), ("cart", 3000)], {}),
        ("E21", [("alone", 2000)], {"cart": "conflict:alone"}),
        ("E24", [("pants", 2000)], {"ten": "below_threshold"}),
        ("E25 with free shipping", [("ten", 3500), ("free", 2000)], {"pants": "conflict:free"}),
        ("E26", [("fifteen", 5250), ("ten", 3500)], {}),
        ("E31 after", [], {"coupon": "expired"}),
        ("E33", [("coupon", 990)], {}),
        ("E34 live", [], {"sale": "in_live_price"}),
        ("E38", [("coupon", 2000), ("88vip", 900), ("coins", 342)], {}),
    ],
)
def test_worked_examples_name_what_was_used_and_why_the_others_were_not(example, used, not_used):
    found = answer(CASES[example])
    assert [(each["id"], each["discount"]) for each in found["used"]] == used
    assert found["not_used"] == not_used


def test_buy_one_and_the_best_price_per_unit_are_kept_apart():  # E35
    found = unit_prices(read_request(request("taobao", 16000, [CROSS_300])))
    assert found == UnitPrices(16000, PerUnit(quantity=2, goods=27000))
    assert PerUnit(2, 27000).per_unit == 13500


def test_ten_of_the_ladder_cost_less_than_nine():  # E36
    assert answer(CASES["E36 six and four of one offer"])["total"] < answer(CASES["E36 nine"])["total"]
