"""The worked examples as requests: (name, request, total, ids used in order or None, line amounts or None)."""

from itertools import count


def line(identity="a", price=10000, qty=1, **fields):
    return {
        "id": identity,
        "sku": f"sku-{identity}",
        "item": f"item-{identity}",
        "shop": "shop",
        "categories": [],
        "qty": qty,
        "list": price,
        "live": None,
        "on_sale": False,
    } | fields


def request(ruleset, lines, promotions, **fields):
    return {
        "ruleset": ruleset,
        "settings": {},
        "currency": "CNY",
        "at": "2026-11-11T12:00:00+08:00",
        "basis": "list",
        "buyer": [],
        "shipping": None,
        "lines": lines,
        "promotions": promotions,
    } | fields


def off(identity, layer, least, value, **fields):
    return _promotion(identity, layer, "amount_off", least, value, fields)


def percent(identity, layer, least, value, **fields):
    return _promotion(identity, layer, "percent_off", least, value, fields)


def _promotion(identity, layer, kind, least, value, fields):
    promotion = {"id": identity, "layer": layer, "kind": kind, "tiers": [[least, value]]}
    if least:
        promotion["measure"] = "amount"
    return promotion | fields


AUTO = {"auto": True}
EACH = {"repeat": True}
NTH = {"id": "nth", "layer": "item", "kind": "nth_piece", "value": 5000, "of": 2, "take": 1, "auto": True}
BUNDLE = {"id": "set", "layer": "shop", "kind": "bundle_price", "value": 9900, "of": 2, "auto": True}
LADDER = {
    "id": "ladder",
    "layer": "item",
    "kind": "fixed_price",
    "tiers": [[3, 25800], [10, 16100]],
    "measure": "quantity",
    "measure_over": "item",
    "auto": True,
}
THREE_OFF = [off("shop", "shop", 30000, 5000, **AUTO), off("coupon", "coupon", 20000, 2000)]
THREE_OFF.append(off("each", "cross", 30000, 5000, **EACH, **AUTO))
TIERS = off("shop", "shop", 0, 0) | {"tiers": [[19900, 2000], [29900, 4000], [49900, 8000]], "measure": "amount"}
FLASH = {"id": "flash", "layer": "item", "kind": "fixed_price", "value": 7900, "auto": True}
FLASH_COUPON = [FLASH, off("coupon", "coupon", 8000, 1000)]
CROSS_200 = off("cross", "cross", 20000, 3000, **EACH, **AUTO)
E17_LINES = [line("a", 15000), line("b", 5000)]
E17_SCOPE = {"scope": {"items": ["item-a"]}}
E17 = [off("shop", "shop", 15000, 10000, **E17_SCOPE, **AUTO), off("coupon", "coupon", 15000, 3000, **E17_SCOPE)]
E17.append(CROSS_200)
FIXED_CART = off("cart", "coupon", 0, 3000, priority=3)
SHIRT = [line("pants", 10000), line("shirt", 1500)]
THREE = [line("pants", 10000), line("belt", 5000), line("coat", 20000)]
PANTS = {"scope": {"items": ["item-pants"]}}
E25 = [off("pants", "product", 0, 2000, **PANTS), percent("order", "order", 0, 1000)]
FREE = percent("free", "shipping", 10000, 10000, auto=True, combines=["order", "shipping"])
DEAL = {"id": "deal", "layer": "item", "kind": "fixed_price", "value": 2500, "auto": True}
UNTIL = off("coupon", "coupon", 0, 1000, end="2026-11-12T00:00:00+08:00")
IN_LIVE = percent("sale", "item", 0, 2000, in_live=True, auto=True)
EACH_300 = off("cross", "cross", 30000, 5000, **EACH, **AUTO)
PIECE = {"measure": "quantity", "tiers": [[2, 1000]]}
MARKDOWN = [percent("markdown", "item", 0, 2000, **AUTO), percent("volume", "offer", 0, 1000, **AUTO) | PIECE]
VIP = [off("coupon", "coupon", 19900, 2000), percent("vip", "platform", 0, 500, priority=10, **AUTO)]
VIP.append(percent("coins", "platform", 0, 200, priority=40))
PIECES_8 = percent("pieces", "shop", 0, 2000, **AUTO) | {"measure": "quantity", "tiers": [[3, 2000]]}
FIFTEEN_20 = [off("fixed", "coupon", 0, 1500, per="unit", priority=1), percent("rate", "coupon", 0, 2000, priority=2)]
ALONE = [percent("alone", "coupon", 0, 2500, combines=["item"], priority=2), off("cart", "coupon", 0, 1000, priority=3)]
ONE_GROUP = [off("a", "coupon", 10000, 3000, groups=["g"]), percent("b", "coupon", 0, 1000, groups=["g"])]
ONE_GROUP.append(off("c", "coupon", 30000, 1500))
CROSS_3 = [line("a", 10000), line("b", 3333), line("c", 19998)]
LIST_LIVE = [line("a", 20000, live=16000)]
OF_LIST = [percent("p", "shop", 0, 1000, effect_base="list")]
PRIME_COUPON = percent("coupon", "coupon", 0, 500)
BEFORE, AFTER = "2026-11-11T15:59:59.999Z", "2026-11-11T16:00:00Z"
SKUS = [line("a", 30000, 6, item="offer"), line("b", 30000, 4, item="offer")]
SALE_LIVE = [line("a", 10000, live=8000)]

_ROWS = [
    ("E1", request("taobao", [line(price=9900)], [off("p", "coupon", 10000, 5000)]), 9900, [], None),
    ("E2", request("taobao", [line(price=10000)], [off("p", "coupon", 10000, 5000)]), 5000, ["p"], None),
    ("E3", request("taobao", [line(price=32000)], THREE_OFF), 20000, ["shop", "coupon", "each"], None),
    ("E4", request("generic", [line(price=32000)], THREE_OFF), 25000, ["shop", "coupon"], None),
    (
        "E5",
        request("generic", [line(price=100000)], [off("p", "shop", 20000, 3000, max_times=3, **EACH)]),
        91000,
        None,
        None,
    ),
    ("E5", request("taobao", [line(price=150000)], [EACH_300 | {"max_discount": 15000}]), 135000, None, None),
    ("E6", request("taobao", [line(price=39900)], [TIERS]), 35900, None, None),
    ("E6", request("taobao", [line(price=49900)], [TIERS]), 41900, None, None),
    ("E7", request("generic", LIST_LIVE, OF_LIST, basis="live"), 14000, None, None),
    ("E7", request("generic", LIST_LIVE, [OF_LIST[0] | {"effect_base": None}], basis="live"), 14400, None, None),
    ("E8", request("taobao", [line(price=12900)], FLASH_COUPON), 7900, ["flash"], None),
    (
        "E9",
        request("taobao", [line(price=12900)], FLASH_COUPON, settings={"coupon.threshold_base": "start"}),
        6900,
        None,
        None,
    ),
    (
        "E10",
        request(
            "generic", [line(price=10300)], [percent("i", "item", 0, 500, **AUTO), off("c", "coupon", 10000, 2000)]
        ),
        9785,
        ["i"],
        None,
    ),
    ("E11", request("generic", [line(price=40000)], ONE_GROUP), 34500, ["b", "c"], None),
    (
        "E12",
        request(
            "taobao",
            [line(price=40000)],
            [off("a", "coupon", 30000, 5000), off("b", "coupon", 50000, 6000), percent("c", "coupon", 0, 1500)],
        ),
        34000,
        ["c"],
        None,
    ),
    ("E13", request("taobao", [line(price=4550, qty=2)], [NTH]), 6825, None, None),
    ("E13", request("taobao", [line(price=4550, qty=3)], [NTH]), 11375, None, None),
    ("E14", request("taobao", [line(price=3333, qty=3)], [PIECES_8]), 7999, None, None),
    (
        "E15",
        request("taobao", [line("a", 6900), line("b", 5900), line("c", 3900)], [BUNDLE]),
        13800,
        None,
        [5337, 4563, 3900],
    ),
    ("E16", request("taobao", CROSS_3, [EACH_300]), 28331, None, [8500, 2833, 16998]),
    ("E17", request("taobao", E17_LINES, E17), 4250, None, [0, 4250]),
    ("E17", request("taobao", E17_LINES, E17, settings={"excess": "redistribute"}), 4000, None, None),
    (
        "E18",
        request(
            "taobao", [line(price=40000)], [off("c", "coupon", 40000, 38000), off("x", "cross", 40000, 5000, **AUTO)]
        ),
        0,
        ["c", "x"],
        None,
    ),
    (
        "E19",
        request(
            "woocommerce",
            [line("a", 10000), line("b", 5000, 2)],
            [FIXED_CART, percent("p", "coupon", 0, 1000, priority=2)],
        ),
        15000,
        ["p", "cart"],
        [8000, 7000],
    ),
    ("E20", request("woocommerce", [line(price=5000, qty=2)], FIFTEEN_20), 5000, None, None),
    (
        "E20",
        request("woocommerce", [line(price=5000, qty=2)], FIFTEEN_20, settings={"coupon.effect_base": "running"}),
        5600,
        None,
        None,
    ),
    ("E21", request("woocommerce", [line(price=8000)], ALONE), 6000, ["alone"], None),
    (
        "E22",
        request("woocommerce", [line(price=2000, qty=3)], [percent("p", "coupon", 0, 5000, max_units=1)]),
        5000,
        None,
        None,
    ),
    (
        "E23",
        request("woocommerce", [line("a", 333), line("b", 167)], [percent("p", "coupon", 0, 1250)]),
        438,
        None,
        [291, 147],
    ),
    (
        "E24",
        request(
            "shopify", SHIRT, [percent("p", "product", 0, 2000, **PANTS, **AUTO), percent("o", "order", 10000, 1000)]
        ),
        9500,
        ["p"],
        None,
    ),
    ("E25", request("shopify", THREE, E25, shipping=2000), 31700, ["pants", "order"], None),
    ("E25", request("shopify", THREE, [*E25, FREE], shipping=2000), 31500, ["order", "free"], None),
    (
        "E26",
        request("shopify", [line(price=35000)], [percent("a", "order", 0, 1000), percent("b", "order", 20000, 1500)]),
        26250,
        None,
        None,
    ),
    (
        "E27",
        request(
            "amazon", [line(price=10000)], [percent("c", "coupon", 0, 4000), percent("p", "promo", 0, 5000, **AUTO)]
        ),
        1000,
        None,
        None,
    ),
    (
        "E28",
        request(
            "amazon",
            [line(price=10000)],
            [percent("a", "promo", 0, 500, **AUTO), percent("b", "promo", 0, 1500, **AUTO)],
            currency="JPY",
        ),
        8000,
        None,
        None,
    ),
    ("E29", request("amazon", [line(price=3000)], [DEAL | {"rebase": False}, PRIME_COUPON]), 2350, None, None),
    ("E29", request("amazon", [line(price=3000)], [DEAL, PRIME_COUPON]), 2375, None, None),
    (
        "E30",
        request("generic", [line(price=999)], [percent("p", "item", 0, 1500, **AUTO)], currency="JPY"),
        849,
        None,
        None,
    ),
    (
        "E30",
        request("generic", [line(price=12345)], [percent("p", "item", 0, 1000, **AUTO)], currency="KWD"),
        11110,
        None,
        None,
    ),
    ("E31", request("taobao", [line(price=9900)], [UNTIL], at=BEFORE), 8900, ["coupon"], None),
    ("E31", request("taobao", [line(price=9900)], [UNTIL], at=AFTER), 9900, [], None),
    ("E32", request("taobao", [line(price=9900)], [off("c", "coupon", 9900, 1000)]), 8900, None, None),
    ("E33", request("taobao", [line(price=990)], [off("c", "coupon", 0, 2000)]), 0, ["c"], None),
    ("E34", request("generic", SALE_LIVE, [IN_LIVE], basis="live"), 8000, [], None),
    ("E34", request("generic", SALE_LIVE, [IN_LIVE]), 8000, ["sale"], None),
    ("E35", request("taobao", [line(price=16000)], [EACH_300]), 16000, [], None),
    ("E35", request("taobao", [line(price=16000, qty=2)], [EACH_300]), 27000, None, None),
    ("E35", request("taobao", [line(price=16000, qty=4)], [EACH_300]), 54000, None, None),
    ("E36", request("alibaba1688", [line(price=30000, qty=9)], [LADDER]), 232200, None, None),
    ("E36", request("alibaba1688", SKUS, [LADDER]), 161000, None, None),
    (
        "E37",
        request("ebay", [line(price=5000, qty=2)], [*MARKDOWN, off("code", "coupon", 7000, 500)]),
        6700,
        None,
        None,
    ),
    ("E38", request("taobao", [line(price=20000)], VIP), 16758, None, None),
]
EXAMPLES = [(f"{name}.{number}", *row) for (name, *row), number in zip(_ROWS, count(), strict=False)]
