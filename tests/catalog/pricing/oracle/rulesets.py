"""The platforms' rule sets as data: layers in the order of evaluation, and what `settings` may change."""

PICK, THRESHOLD, EFFECT, WEIGHT, ROUNDING, ROUND_AT = (
    "pick",
    "threshold_base",
    "effect_base",
    "weight_base",
    "rounding",
    "round_at",
)


def _layer(name, pick, threshold, effect, weight, rounding, round_at, *, item_flagged=False, measure_lines="scope"):
    return {
        "name": name,
        PICK: pick,
        THRESHOLD: threshold,
        EFFECT: effect,
        WEIGHT: weight,
        ROUNDING: rounding,
        ROUND_AT: round_at,
        "item_flagged": item_flagged,
        "measure_lines": measure_lines,
    }


def _same(names, *columns):
    return [_layer(name, *columns) for name in names]


_SHIPPING = _layer("shipping", "one", "running", "running", "running", "half_up", "promotion")
_RUNNING = ("running", "running", "running")
_START = ("start", "start", "start")
_LAYER = ("layer", "layer", "layer")
_ITEM = ("item", "item", "item")

_TAOBAO_ITEM = _layer(
    "item", "one_per_line", "start", "running", "running", "half_down", "unit", item_flagged=True
)
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

# The other values of what is unconfirmed. Rounding may differ in every layer.
OTHER_VALUES = {
    "taobao": {
        "coupon.pick": "many",
        "coupon.threshold_base": "running",
        "cross.threshold_base": "running",
        "platform.effect_base": "item",
        "item.round_at": "line",
        "excess": "redistribute",
    },
    "alibaba1688": {
        "coupon.pick": "many",
        "coupon.threshold_base": "running",
        "platform.effect_base": "item",
        "item.round_at": "line",
        "excess": "redistribute",
    },
    "amazon": {"subscribe.effect_base": "running"},
    "shopify": {"shipping.threshold_base": "start"},
    "ebay": {"offer.pick": "many", "coupon.effect_base": "item"},
    "woocommerce": {"coupon.effect_base": "running"},
    "generic": {},
}
OTHER_ROUNDINGS = ["half_up", "half_down", "down"]


def rules_of(request):
    """The rule set with the request's settings written over it: {"excess", "allocation", "layers": [...]}."""
    chosen = RULE_SETS[request["ruleset"]]
    rules = {"excess": chosen["excess"], "allocation": chosen.get("allocation", "shares")}
    rules["layers"] = [dict(layer) for layer in chosen["layers"]]
    for key, value in request.get("settings", {}).items():
        layer_name, dot, field = key.partition(".")
        if not dot:
            rules[key] = value
            continue
        for layer in rules["layers"]:
            if layer["name"] == layer_name:
                layer[field] = value
    return rules
