"""How each platform stacks promotions, as data (pricing contract, section 4), and a channel's own settings over it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from catalog.pricing.reasons import Refusal
from catalog.pricing.rounding import MODES

VERSION = 1  # of this file's data: stored with every quote, raised with every change of a rule

PICKS = ("many", "one", "one_per_line")
BASES = ("list", "live", "start", "item", "layer", "running")
LEVELS = ("unit", "line", "promotion")
SHIPPING = "shipping"


class UnknownRule(ValueError):
    """There is no such rule set, setting, or value of a setting."""


@dataclass(frozen=True, slots=True)
class Layer:
    name: str
    pick: str
    threshold_base: str
    effect_base: str
    weight_base: str
    rounding: str  # of the discount
    round_at: str
    item_flagged: bool = False  # its discounts lower the `item` base
    measure_lines: str = "scope"
    rebase: bool | None = None  # None: each promotion says it


@dataclass(frozen=True, slots=True)
class RuleSet:
    name: str
    layers: tuple[Layer, ...]
    redistribute: bool  # what does not fit on a line goes to the others; else it is lost
    per_piece: bool = False  # WooCommerce's allocation


def _layer(name: str, pick: str, bases: str, rounding: str, round_at: str, **more: Any) -> Layer:
    """`bases`: of the threshold, the effect and the weights; one word where all three are the same."""
    words = bases.split()
    threshold, effect, weight = words if len(words) == 3 else words * 3
    return Layer(name, pick, threshold, effect, weight, rounding, round_at, **more)


def _rules(name: str, *layers: Layer, redistribute: bool = True, per_piece: bool = False) -> RuleSet:
    shipping = _layer(SHIPPING, "one", "running", "half_up", "promotion")
    return RuleSet(name, (*layers, shipping), redistribute, per_piece)


_TAOBAO_ITEM = _layer("item", "one_per_line", "start running running", "half_down", "unit", item_flagged=True)
_TAOBAO_SHOP = _layer("shop", "one_per_line", "item", "half_down", "promotion")
_TAOBAO_COUPON = replace(_TAOBAO_SHOP, name="coupon")
_TAOBAO_CROSS = replace(_TAOBAO_SHOP, name="cross", pick="one")
_TAOBAO_PLATFORM = _layer("platform", "many", "item running running", "half_down", "promotion")
_PRODUCT = _layer("product", "one_per_line", "start", "half_up", "line", item_flagged=True)
_AMAZON_COUPON = _layer("coupon", "one_per_line", "item", "half_up", "line")

RULE_SETS: Mapping[str, RuleSet] = {
    rules.name: rules
    for rules in (
        _rules(
            "generic",
            _layer("item", "one_per_line", "start running running", "half_up", "line", item_flagged=True),
            *(
                _layer(name, "many", "running", "half_up", "promotion")
                for name in ("shop", "coupon", "cross", "platform")
            ),
        ),
        _rules(
            "taobao",
            _TAOBAO_ITEM,
            _TAOBAO_SHOP,
            _TAOBAO_COUPON,
            _TAOBAO_CROSS,
            _TAOBAO_PLATFORM,
            redistribute=False,
        ),
        _rules(
            "alibaba1688",
            _TAOBAO_ITEM,
            _TAOBAO_SHOP,
            _TAOBAO_COUPON,
            _TAOBAO_PLATFORM,
            redistribute=False,
        ),
        _rules(
            "amazon",
            replace(_PRODUCT, name="item"),
            _AMAZON_COUPON,
            _layer("promo", "many", "item", "half_up", "promotion"),
            replace(_AMAZON_COUPON, name="subscribe"),
        ),
        _rules("shopify", _PRODUCT, _layer("order", "many", "layer", "half_up", "promotion")),
        _rules(
            "ebay",
            replace(_PRODUCT, name="item"),
            _layer("offer", "one_per_line", "layer", "half_up", "line"),
            _layer("coupon", "one", "layer", "half_up", "promotion"),
        ),
        _rules(
            "woocommerce",
            _layer("item", "one_per_line", "start", "half_down", "line", item_flagged=True),
            _layer("coupon", "many", "item", "half_down", "promotion", measure_lines="basket"),
            per_piece=True,
        ),
    )
}

# What no platform's own words confirm, at its other values: each is a setting to quote with in turn.
_MALL = (
    {"coupon.pick": "many"},
    {"coupon.threshold_base": "running"},
    {"platform.effect_base": "item"},
    {"item.round_at": "line"},
    {"excess": "redistribute"},
)
_ROUNDINGS = tuple({"rounding": mode} for mode in ("half_up", "half_down", "down"))
OTHER_VALUES: Mapping[str, tuple[Mapping[str, str | bool], ...]] = {
    "generic": (),
    "taobao": (*_MALL, {"cross.threshold_base": "running"}, *_ROUNDINGS),
    "alibaba1688": (*_MALL, *_ROUNDINGS),
    "amazon": ({"subscribe.effect_base": "running"}, {"item.rebase": True}, {"item.rebase": False}, *_ROUNDINGS),
    "shopify": ({"shipping.threshold_base": "start"}, *_ROUNDINGS),
    "ebay": ({"offer.pick": "many"}, {"coupon.effect_base": "item"}, *_ROUNDINGS),
    "woocommerce": ({"coupon.effect_base": "running"}, *_ROUNDINGS),
}

_CHOICES: Mapping[str, tuple[str | bool, ...]] = {
    "pick": PICKS,
    "threshold_base": BASES,
    "effect_base": BASES,
    "weight_base": BASES,
    "rounding": MODES,
    "round_at": LEVELS,
    "item_flagged": (True, False),
    "measure_lines": ("scope", "basket"),
    "rebase": (True, False),
    "excess": ("lose", "redistribute"),
    "allocation": ("largest_remainder", "woo"),
}


def rules_for(name: str, settings: Mapping[str, Any]) -> RuleSet:
    """The rule set under settings: `<layer>.<field>`, `excess`, `allocation`, or `rounding` of every layer.

    Raises UnknownRule.
    """
    try:
        return _rules_for(name, tuple(sorted(settings.items())))
    except TypeError:  # a name or a value that cannot be a key
        raise UnknownRule(Refusal.SETTINGS) from None


@lru_cache(maxsize=1_000)
def _rules_for(name: str, settings: tuple[tuple[str, Any], ...]) -> RuleSet:
    if name not in RULE_SETS:
        raise UnknownRule(Refusal.RULESET)
    rules = RULE_SETS[name]
    changes: dict[str, dict[str, Any]] = {layer.name: {} for layer in rules.layers}
    for key, value in settings:
        layer_name, _, field = key.rpartition(".")
        if value not in _CHOICES.get(field, ()):
            raise UnknownRule(f"{Refusal.SETTINGS}:{key}")
        if layer_name in changes and field in _LAYER_FIELDS:
            changes[layer_name][field] = value
        elif key == "rounding":
            for change in changes.values():
                change.setdefault("rounding", value)
        elif key == "excess":
            rules = replace(rules, redistribute=value == "redistribute")
        elif key == "allocation":
            rules = replace(rules, per_piece=value == "woo")
        else:
            raise UnknownRule(f"{Refusal.SETTINGS}:{key}")
    return replace(rules, layers=tuple(replace(layer, **changes[layer.name]) for layer in rules.layers))


_LAYER_FIELDS = frozenset(field.name for field in fields(Layer)) - {"name"}
