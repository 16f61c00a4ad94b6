"""Random requests, small enough for every plan to be tried, with amounts that tie, halve and just reach thresholds."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.catalog.pricing.oracle.broken import AT, BROKEN, refuse
from tests.catalog.pricing.oracle.rulesets import OTHER_VALUES, RULE_SETS
from tests.catalog.pricing.oracle.validity import covers

PRICES = [0, 1, 2, 3, 5, 33, 50, 99, 100, 101, 150, 167, 333, 500, 999, 1000, 1250, 3333, 5000, 9900, 9999, 19998]
RATES = [1, 250, 500, 500, 1000, 1000, 1250, 1500, 2000, 3333, 5000, 10000]
ROUNDINGS = ["half_up", "half_down", "half_even", "up", "down"]
BASES = ["list", "live", "start", "item", "layer", "running"]
LAYER_SETTINGS: dict[str, list] = {
    "pick": ["many", "one", "one_per_line"],
    "threshold_base": BASES,
    "effect_base": BASES,
    "weight_base": BASES,
    "rounding": ROUNDINGS,
    "round_at": ["unit", "line", "promotion"],
    "item_flagged": [True, False],
    "measure_lines": ["scope", "basket"],
    "rebase": [True, False],
}
# How many lines, and at most how many promotions: few of one where there are many of the other.
SIZES = [(1, 3), (1, 4), (1, 6), (2, 2), (2, 3), (2, 4), (2, 6), (3, 2), (3, 3), (3, 5), (4, 2), (4, 3), (4, 4)]


class Dice(Random):
    """`fuss` is how often, against the usual share, promotions have scopes, limits and relations.

    Where they are `labelled` most of them exclude others on the lines they share.
    """

    fuss = 1.0
    labelled = False

    def now_and_then(self, share):
        return self.random() < share * self.fuss


def random_request(seed):
    """The same request for the same seed."""
    rng = Dice(seed)
    rng.fuss = rng.choice([0.25, 0.25, 1.0])
    rng.labelled = rng.random() < 0.15
    ruleset = rng.choice(list(RULE_SETS))
    line_count, promotion_count = rng.choice(SIZES)
    prices = rng.sample(PRICES, 4) if rng.random() < 0.5 else rng.sample(PRICES[9:], 2)
    unknown = 0.25 if rng.random() < 0.04 else 0.015
    request = {
        "ruleset": ruleset,
        "settings": _settings(rng, ruleset),
        "currency": rng.choice(["CNY", "USD", "EUR", "JPY", "KWD"]),
        "at": rng.choice([AT, "2026-11-11T12:00:00Z", "2026-11-11T11:59:59.999Z"]),
        "basis": rng.choice(["list", "list", "live"]),
        "buyer": rng.choice([[], [], ["vip"], ["vip", "new"]]),
        "shipping": rng.choice([None, None, 0, 1, 500, 1000, 1999]),
        "lines": [_line(rng, number, prices, unknown) for number in range(line_count)],
    }
    rng.shuffle(request["lines"])
    request["promotions"] = _promotions(rng, request, promotion_count)
    if rng.random() < 0.01:
        refuse(rng, request)
    return request


def _settings(rng, ruleset):
    settings: dict[str, Any] = {}
    if rng.random() < 0.3:
        settings |= {key: value for key, value in OTHER_VALUES[ruleset].items() if rng.random() < 0.5}
    if rng.random() < 0.1:
        settings["rounding"] = rng.choice(ROUNDINGS)
    if rng.random() < 0.03:
        settings |= rng.choice([{"excess": "lose"}, {"excess": "redistribute"}, {"allocation": "woo"}])
    if rng.random() < 0.25:
        layer = rng.choice(RULE_SETS[ruleset]["layers"])["name"]
        field, values = rng.choice(list(LAYER_SETTINGS.items()))
        value = rng.choice(values)
        if (layer, value) != ("shipping", "one_per_line"):
            settings[f"{layer}.{field}"] = value
    return settings


def _line(rng, number, prices, unknown):
    price = rng.choice(prices)
    live = rng.choice([price, price, price * 4 // 5, rng.choice(prices)])
    return {
        "id": rng.choice(["", "L"]) + "abcdefgh"[number],
        "sku": f"sku{rng.choice([number, 0])}",
        "item": rng.choice(["i1", "i2", "i3"]),
        "shop": rng.choice(["north", "north", "south"]),
        "categories": rng.choice([[], ["tea"], ["tea", "cups"], ["cups"]]),
        "qty": rng.choice([1, 1, 1, 2, 2, 3, 4, 5]),
        "list": None if rng.random() < unknown else price,
        "live": None if rng.random() < unknown * 2 else live,
        "on_sale": rng.random() < 0.3,
    }


def _promotions(rng, request, promotion_count):
    layers = [layer["name"] for layer in RULE_SETS[request["ruleset"]]["layers"]]
    crowded = rng.random()
    if crowded < 0.5:
        layers = rng.sample(layers, 1 if crowded < 0.15 else 2)
    promotions: list[dict] = []
    for number in range(rng.randint(max(1, promotion_count - 2), promotion_count)):
        if promotions and rng.random() < 0.1:
            promotion = dict(rng.choice(promotions))
        else:
            promotion = _promotion(rng, request, rng.choice(layers))
        promotion["id"] = rng.choice(["", "P", "p"]) + "qwertyuio"[number]
        promotions.append(promotion)
    return promotions


def _promotion(rng, request, layer):
    promotion = {"layer": layer, "auto": rng.random() < 0.35}
    if rng.random() < 0.3:
        promotion["priority"] = rng.randint(-1, 2)
    if rng.now_and_then(0.5) or (rng.labelled and rng.random() < 0.5):
        promotion["scope"] = _scope(rng)
    covered = [line for line in request["lines"] if covers(promotion | {"scope": promotion.get("scope")}, line)]
    _effect(rng, promotion, layer, request, covered or request["lines"])
    _limits(rng, promotion, request, covered)
    _bases(rng, promotion)
    _relations(rng, promotion, request)
    if rng.random() < 0.12:
        _circumstances(rng, promotion)
    if rng.random() < 0.05:
        promotion |= rng.choice(BROKEN)
    if rng.random() < 0.006:
        promotion |= rng.choice([{"unknown": ["value"], "value": None}, {"unknown": ["end"]}])
    return promotion


def _scope(rng):
    scope = {}
    for name, values in {
        "items": ["i1", "i2"],
        "skus": ["sku0", "sku1"],
        "categories": ["tea"],
        "shops": ["north", "south"],
    }.items():
        if rng.random() < 0.3:
            scope[name] = rng.sample(values, rng.randint(1, len(values)))
    for name, value in {"not_items": ["i3"], "not_skus": ["sku0"], "not_categories": ["cups"]}.items():
        if rng.now_and_then(0.08):
            scope[name] = value
    if rng.now_and_then(0.1):
        scope["not_on_sale"] = True
    return scope


def _amount_of(lines, basis):
    return sum((line[basis] or 0) * line["qty"] for line in lines)


def _effect(rng, promotion, layer, request, covered):
    kinds = ["amount_off", "percent_off", "fixed_price", "nth_piece", "bundle_price"]
    kind = promotion["kind"] = rng.choice(["amount_off", "percent_off"] * (1 if layer != "shipping" else 4) + kinds)
    if layer == "shipping" and rng.random() < 0.9:
        kind = promotion["kind"] = rng.choice(["amount_off", "percent_off"])
    amount, pieces = _amount_of(covered, request["basis"]), sum(line["qty"] for line in covered)
    if kind in {"nth_piece", "bundle_price"}:
        promotion["of"] = rng.randint(1, 3)
        if kind == "nth_piece":
            promotion["take"] = rng.randint(1, promotion["of"])
        if rng.random() < 0.2:
            promotion["max_times"] = rng.randint(1, 2)
    if kind == "amount_off" and layer != "shipping" and rng.random() < 0.25:
        promotion["per"] = "unit"
    measure = rng.choice(["none", "none", "amount", "amount", "quantity"])
    if measure == "none":
        if rng.random() < 0.5:
            promotion["value"] = _value(rng, promotion, amount, pieces)
        else:
            promotion["tiers"] = [[0, _value(rng, promotion, amount, pieces)]]
        return
    promotion["measure"] = measure
    least = _threshold(rng, amount) if measure == "amount" else rng.randint(0, pieces + 1)
    tiers = promotion["tiers"] = [[least, _value(rng, promotion, amount, pieces)]]
    repeatable = kind == "amount_off" and "per" not in promotion and least > 0
    if repeatable and rng.random() < 0.35:
        promotion["repeat"] = True
        tiers[0][0] = max(1, least // rng.randint(1, 4))
        if rng.random() < 0.4:
            promotion["max_times"] = rng.randint(1, 3)
    elif rng.random() < 0.4:
        for _more in range(rng.randint(1, 2)):
            step = rng.choice([1, max(1, amount // 3), max(1, amount - tiers[-1][0])]) if measure == "amount" else 1
            tiers.append([tiers[-1][0] + step, _value(rng, promotion, amount, pieces)])


def _threshold(rng, amount):
    """Near what the covered lines cost, so that it is just reached, just missed, or reached before a discount only."""
    part = rng.choice([amount, amount, amount // 2, amount * 4 // 5, amount * 2 // 3])
    return max(0, part + rng.choice([0, 0, 0, 1, -1]))


def _value(rng, promotion, amount, pieces):
    kind = promotion["kind"]
    if kind in {"percent_off", "nth_piece"}:
        return rng.choice(RATES)
    unit = amount // max(1, pieces)
    if kind == "amount_off":
        shares = [unit // 2, unit, amount // 3, amount // 10, amount // 10, amount // 20, amount + 1]
        return max(1, rng.choice([1, 2, 10, 100, *shares]))
    if kind == "bundle_price":
        unit *= promotion["of"]
    return max(0, rng.choice([0, 100, unit // 2, unit, unit - 1, unit * 9 // 10, unit * 4 // 5, unit + 1]))


def _limits(rng, promotion, request, covered):
    amount = _amount_of(covered, request["basis"])
    if rng.now_and_then(0.15):
        promotion["measure_over"] = rng.choice(["line", "item"])
    else:
        if rng.now_and_then(0.12):
            promotion["max_discount"] = max(1, rng.choice([1, 10, 100, amount // 10, amount // 4]))
        if rng.now_and_then(0.15):
            promotion["max_units"] = rng.randint(1, 4)
        if rng.now_and_then(0.1):
            promotion["measure_lines"] = rng.choice(["scope", "basket"])
    if rng.now_and_then(0.1):
        promotion["min_qty"] = rng.randint(1, 5)
    if rng.now_and_then(0.1):
        promotion["max_amount"] = _threshold(rng, amount)
    if rng.now_and_then(0.08):
        promotion["all_lines"] = True


def _bases(rng, promotion):
    for field in ("threshold_base", "effect_base", "weight_base"):
        if rng.now_and_then(0.12):
            promotion[field] = rng.choice(BASES)
    if rng.now_and_then(0.15):
        promotion["rebase"] = False


def _relations(rng, promotion, request):
    layers = [layer["name"] for layer in RULE_SETS[request["ruleset"]]["layers"]]
    if rng.labelled and rng.random() < 0.7:
        promotion["groups"] = rng.choice([["line:x"], ["line:x", "line:y"]])
    elif rng.now_and_then(0.15):
        promotion["groups"] = rng.choice([["g"], ["line:x"], ["line:x"], ["g", "h"], ["h", "line:x"]])
    if rng.now_and_then(0.06):
        promotion["class"] = rng.choice(["code", layers[0]])
    if rng.now_and_then(0.12):
        promotion["combines"] = rng.choice([[], ["code"], layers, layers[:1], layers[:2]])


def _circumstances(rng, promotion):
    near = [datetime.fromisoformat(AT) + timedelta(seconds=seconds) for seconds in (-3600, -1, 0, 1, 3600)]
    stamps = [time.astimezone(zone).isoformat() for time in near for zone in (time.tzinfo, UTC)]
    promotion |= rng.choice(
        [
            {"start": rng.choice(stamps)},
            {"end": rng.choice(stamps)},
            {"start": stamps[0], "end": rng.choice(stamps[2:])},
            {"currency": rng.choice(["CNY", "USD"])},
            {"status": rng.choice(["active", "paused"])},
            {"audience": rng.choice([["vip"], ["new"], ["new", "vip"], []])},
            {"remaining": rng.choice([None, 0, 1])},
            {"per_buyer": rng.choice([None, 1, 2]), "used": rng.choice([0, 1, 2])},
            {"in_live": True},
        ]
    )
