"""How promotions stack on a channel, in words: the rules that no platform confirms, their defaults and other values."""

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalog.pricing.rulesets import OTHER_VALUES, rules_for
from catalog.promotions.words import LAYERS

RULE_SETS: Mapping[str, Promise | str] = {
    "generic": gettext_lazy("General"),
    "taobao": gettext_lazy("Taobao / Tmall"),
    "alibaba1688": "1688",
    "amazon": "Amazon",
    "shopify": "Shopify",
    "ebay": "eBay",
    "woocommerce": "WooCommerce",
}
_NAMES: Mapping[str, Promise | str] = {
    "pick": gettext_lazy("how many are used"),
    "threshold_base": gettext_lazy("its threshold counts"),
    "effect_base": gettext_lazy("its discount counts on"),
    "round_at": gettext_lazy("its discount is rounded"),
    "rebase": gettext_lazy("later promotions count on its price"),
}
_WHOLE: Mapping[str, Promise | str] = {  # rules of no layer
    "excess": gettext_lazy("What is more than the goods cost"),
    "rounding": gettext_lazy("Discounts are rounded"),
}
_VALUES: Mapping[str, Mapping[str | bool, Promise | str]] = {
    "pick": {
        "many": gettext_lazy("several together"),
        "one": gettext_lazy("one in a basket"),
        "one_per_line": gettext_lazy("one for each of the goods"),
    },
    "round_at": {
        "unit": gettext_lazy("for each unit"),
        "line": gettext_lazy("for each of the goods"),
        "promotion": gettext_lazy("once, for all goods together"),
    },
    "rebase": {True: gettext_lazy("yes"), False: gettext_lazy("no")},
    "excess": {
        "lose": gettext_lazy("is lost"),
        "redistribute": gettext_lazy("is taken off the other goods"),
    },
    "rounding": {
        "half_up": gettext_lazy("to the nearest, half up"),
        "half_down": gettext_lazy("to the nearest, half down"),
        "half_even": gettext_lazy("to the nearest, half to even"),
        "up": gettext_lazy("always up"),
        "down": gettext_lazy("always down"),
    },
}
_BASES: Mapping[str | bool, Promise | str] = {
    "list": gettext_lazy("the list price"),
    "live": gettext_lazy("the live price"),
    "start": gettext_lazy("the price before any promotion"),
    "item": gettext_lazy("the price after item promotions"),
    "layer": gettext_lazy("the price after the layers before it"),
    "running": gettext_lazy("what is left after all before it"),
}
# Rules of which more is known than that nobody confirms them.
_KNOWN: Mapping[tuple[str, str], Promise | str] = {
    ("woocommerce", "coupon.effect_base"): gettext_lazy(
        "An option of the shop: “calculate coupon discounts sequentially”."
    ),
}


def unconfirmed(ruleset: str) -> dict[str, list[str | bool]]:
    """The rules of the set that no platform's own words confirm, each with its values other than the default."""
    found: dict[str, list[str | bool]] = {}
    for setting in OTHER_VALUES[ruleset]:
        for name, value in setting.items():
            found.setdefault(name, []).append(value)
    return found


def rule_name(name: str) -> str:
    """“Coupon: its threshold counts”."""
    layer, _dot, field = name.rpartition(".")
    if not layer:
        return str(_WHOLE.get(field, field))
    return _("%(layer)s: %(rule)s") % {"layer": LAYERS.get(layer, layer), "rule": _NAMES.get(field, field)}


def value_text(name: str, value: str | bool) -> str:
    field = name.rpartition(".")[2]
    return str(_VALUES.get(field, _BASES).get(value, value))


def default_text(ruleset: str, name: str) -> str:
    """What holds where nothing else is chosen."""
    rules = rules_for(ruleset, {})
    layer_name, _dot, field = name.rpartition(".")
    if field == "excess":
        return value_text(name, "redistribute" if rules.redistribute else "lose")
    if not layer_name:
        return _("as each layer has it")
    value = next(getattr(layer, field) for layer in rules.layers if layer.name == layer_name)
    return _("as each promotion says") if value is None else value_text(name, value)


def confidence(ruleset: str, name: str) -> str:
    return str(_KNOWN.get((ruleset, name), _("Not confirmed by the platform.")))


def capitalised_default(ruleset: str, name: str) -> str:
    return capfirst(_("default: %(value)s") % {"value": default_text(ruleset, name)})
