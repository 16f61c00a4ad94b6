"""The platforms' rule sets as data: layers in the order of evaluation, and what `settings` may change."""

from typing import Any


def _layer(name, pick, threshold, effect, weight, rounding, round_at, *, item_flagged=False, measure_lines="scope"):
    return {
        "name": name,
        "pick": pick,
        "threshold_base": threshold,
        "effect_base": effect,
        "weight_base": weight,
        "rounding": rounding,
        "round_at": round_at,
        "item_flagged": item_flagged,
        "measure_lines": measure_lines,
        "rebase": None,  # None: each promotion says it
    }


def _same(names, *columns):
    return [_layer(name, *columns) for name in names]


_SHIPPING = _layer("shipping", "one", "running", "running", "running", "half_up", "promotion")
_RUNNING = ("running", "running", "running")
_START = ("start", "start", "start")
_LAYER = ("layer", "layer", "layer")
_ITEM = ("item", "item", "item")

_TAOBAO_ITEM = _layer("item", "one_per_line", "start", "running", "running", "half_down", "unit", item_flagged=True)
_TAOBAO_PLATFORM = _layer("platform", "many", "item", "running", "running", "half_down", "promotion")
_TAOBAO_SHOP = _same(["shop", "coupon"], "one_per_line", *_ITEM, "half_down", "promotion")

RULE_SETS = {
    "generic": {
        "excess": "redistribute",
        "layers": [
            _layer("item", "one_per_line", "start", "running", "running", "half_up", "line", item_flagged=True),
            *_same(["shop", "coupon", "cross", "platform"], "many", *_RUNNING, "half_up", "promotion"),
            _SHIPPING,
        ],
    },
    "taobao": {
        "excess": "lose",
        "layers": [
            _TAOBAO_ITEM,
            *_TAOBAO_SHOP,
            _layer("cross", "one", *_ITEM, "half_down", "promotion"),
            _TAOBAO_PLATFORM,
            _SHIPPING,
        ],
    },
    "alibaba1688": {"excess": "lose", "layers": [_TAOBAO_ITEM, *_TAOBAO_SHOP, _TAOBAO_PLATFORM, _SHIPPING]},
    "amazon": {
        "excess": "redistribute",
        "layers": [
            _layer("item", "one_per_line", *_START, "half_up", "line", item_flagged=True),
            _layer("coupon", "one_per_line", *_ITEM, "half_up", "line"),
            _layer("promo", "many", *_ITEM, "half_up", "promotion"),
            _layer("subscribe", "one_per_line", *_ITEM, "half_up", "line"),
            _SHIPPING,
        ],
    },
    "shopify": {
        "excess": "redistribute",
        "layers": [
            _layer("product", "one_per_line", *_START, "half_up", "line", item_flagged=True),
            _layer("order", "many", *_LAYER, "half_up", "promotion"),
            _SHIPPING,
        ],
    },
    "ebay": {
        "excess": "redistribute",
        "layers": [
            _layer("item", "one_per_line", *_START, "half_up", "line", item_flagged=True),
            _layer("offer", "one_per_line", *_LAYER, "half_up", "line"),
            _layer("coupon", "one", *_LAYER, "half_up", "promotion"),
            _SHIPPING,
        ],
    },
    "woocommerce": {
        "excess": "redistribute",
        "allocation": "woo",
        "layers": [
            _layer("item", "one_per_line", *_START, "half_down", "line", item_flagged=True),
            _layer("coupon", "many", *_ITEM, "half_down", "promotion", measure_lines="basket"),
            _SHIPPING,
        ],
    },
}

# The other values of what no platform's own words confirm; rounding, of all layers or of one, has others besides.
_MALL = {
    "coupon.pick": "many",
    "coupon.threshold_base": "running",
    "platform.effect_base": "item",
    "item.round_at": "line",
    "excess": "redistribute",
}
OTHER_VALUES: dict[str, dict[str, Any]] = {
    "generic": {},
    "taobao": {**_MALL, "cross.threshold_base": "running"},
    "alibaba1688": _MALL,
    "amazon": {"subscribe.effect_base": "running", "item.rebase": False},
    "shopify": {"shipping.threshold_base": "start"},
    "ebay": {"offer.pick": "many", "coupon.effect_base": "item"},
    "woocommerce": {"coupon.effect_base": "running"},
}


def rules_of(request):
    """The rule set with the request's settings written over it: {"excess", "allocation", "layers": [...]}.

    A setting is `<layer>.<field>`, or one of the whole rule set; `rounding` alone is that of the layers with none set.
    """
    chosen = RULE_SETS[request["ruleset"]]
    rules = {"excess": chosen["excess"], "allocation": chosen.get("allocation", "shares")}
    rules["layers"] = [dict(layer) for layer in chosen["layers"]]
    settings = request.get("settings", {})
    for name in ("excess", "allocation"):
        rules[name] = settings.get(name, rules[name])
    for layer in rules["layers"]:
        layer["rounding"] = settings.get("rounding", layer["rounding"])
        for key, value in settings.items():
            layer_name, _dot, field = key.rpartition(".")
            if layer_name == layer["name"]:
                layer[field] = value
    return rules
