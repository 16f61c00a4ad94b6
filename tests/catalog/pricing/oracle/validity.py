"""What is refused, what is set aside and why, what stays a candidate, and when nothing can be told (3.1)."""

from datetime import datetime
from itertools import pairwise
from typing import Any

CURRENCIES = {"CNY", "USD", "EUR", "JPY", "KWD"}
BASES = {"list", "live", "start", "item", "layer", "running"}
KINDS = {"amount_off", "percent_off", "fixed_price", "nth_piece", "bundle_price"}

DEFAULTS: dict[str, Any] = {
    "priority": 0,
    "auto": False,
    "value": None,
    "tiers": None,
    "measure": "none",
    "repeat": False,
    "max_times": None,
    "per": "order",
    "of": None,
    "take": None,
    "measure_over": "scope",
    "measure_lines": None,
    "min_qty": None,
    "max_amount": None,
    "threshold_base": None,
    "effect_base": None,
    "weight_base": None,
    "max_discount": None,
    "max_units": None,
    "scope": None,
    "all_lines": False,
    "start": None,
    "end": None,
    "currency": None,
    "status": "active",
    "audience": None,
    "remaining": None,
    "per_buyer": None,
    "used": 0,
    "class": None,
    "combines": None,
    "groups": [],
    "in_live": False,
    "rebase": True,
    "unknown": [],
}


def with_defaults(promotion):
    return {**DEFAULTS, **promotion}


def moment(text):
    """An aware time, or None where the text has no offset."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is not None else None


def is_refused(request):
    lines, promotions = request["lines"], request["promotions"]
    ids = [line["id"] for line in lines]
    promotion_ids = [promotion["id"] for promotion in promotions]
    prices = [request.get("shipping")] + [line.get(name) for line in lines for name in ("list", "live")]
    return (
        request["currency"] not in CURRENCIES
        or not lines
        or len(set(ids)) < len(ids)
        or len(set(promotion_ids)) < len(promotion_ids)
        or any(line["qty"] < 1 for line in lines)
        or any(price is not None and price < 0 for price in prices)
        or moment(request["at"]) is None
    )


def tiers_of(promotion):
    """The [min, value] pairs; a bare value is one tier from 0."""
    return promotion["tiers"] if promotion["tiers"] is not None else [[0, promotion["value"]]]


def layer_of(promotion, rules):
    return next((layer for layer in rules["layers"] if layer["name"] == promotion["layer"]), None)


def setting_of(promotion, rules, field):
    """The promotion's own base or measured lines, else its layer's."""
    return promotion[field] if promotion[field] is not None else layer_of(promotion, rules)[field]


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def broken_field(promotion, rules):
    """The first field that is not as it must be, else None."""
    if layer_of(promotion, rules) is None:
        return "layer"
    if not promotion["unknown"]:
        field = broken_effect(promotion, rules)
        if field is not None:
            return field
    start, end = (moment(promotion[name]) if promotion[name] else None for name in ("start", "end"))
    if (promotion["start"] and start is None) or (promotion["end"] and end is None):
        return "window"
    if start and end and start >= end:
        return "window"
    return None


def broken_effect(promotion, rules):
    kind = promotion["kind"]
    if kind not in KINDS:
        return "kind"
    if promotion["tiers"] is None and not is_int(promotion["value"]):
        return "value"
    tiers = tiers_of(promotion)
    mins = [tier[0] for tier in tiers]
    if not tiers or not all(is_int(number) for tier in tiers for number in tier):
        return "tiers"
    if any(one >= following for one, following in pairwise(mins)):
        return "tiers"
    if promotion["measure"] not in {"none", "amount", "quantity"}:
        return "measure"
    if promotion["measure"] == "none" and mins != [0]:
        return "measure"
    values = [tier[1] for tier in tiers]
    if kind in {"percent_off", "nth_piece"} and not all(1 <= value <= 10000 for value in values):
        return "percent"
    if kind == "amount_off" and min(values) <= 0:
        return "amount"
    if kind in {"fixed_price", "bundle_price"} and min(values) < 0:
        return "amount"
    if promotion["per"] not in {"order", "unit"}:
        return "per"
    if promotion["repeat"] and not (
        kind == "amount_off" and promotion["per"] == "order" and len(tiers) == 1 and mins[0] > 0
    ):
        return "repeat"
    of, take = promotion["of"], promotion["take"]
    if kind == "bundle_price" and take is None:
        take = of  # a bundle takes whole sets
    if kind in {"nth_piece", "bundle_price"} and not (is_int(of) and is_int(take) and 1 <= take <= of):
        return "pieces"
    for limit in ("max_discount", "max_units", "max_times"):
        if promotion[limit] is not None and promotion[limit] <= 0:
            return limit
    if promotion["measure_over"] not in {"scope", "line", "item"}:
        return "measure_over"
    if promotion["measure_over"] != "scope" and (
        promotion["max_discount"] is not None
        or promotion["max_units"] is not None
        or setting_of(promotion, rules, "measure_lines") == "basket"
    ):
        return "measure_over"
    if promotion["layer"] == "shipping" and not (
        kind == "percent_off" or (kind == "amount_off" and promotion["per"] == "order")
    ):
        return "shipping"
    for base in ("threshold_base", "effect_base", "weight_base"):
        if promotion[base] is not None and promotion[base] not in BASES:
            return base
    return None


def covers(promotion, line):
    scope = promotion["scope"] or {}
    if (
        line["item"] in scope.get("not_items", [])
        or line["sku"] in scope.get("not_skus", [])
        or set(line.get("categories", [])) & set(scope.get("not_categories", []))
        or (scope.get("not_on_sale") and line.get("on_sale"))
    ):
        return False
    if not any(scope.get(name) for name in ("items", "skus", "categories", "shops")):
        return True
    return bool(
        line["item"] in scope.get("items", [])
        or line["sku"] in scope.get("skus", [])
        or line["shop"] in scope.get("shops", [])
        or set(line.get("categories", [])) & set(scope.get("categories", []))
    )


def covered_by(promotion, lines):
    return frozenset(line["id"] for line in lines if covers(promotion, line))


def set_aside(promotion, request, rules):
    """Why the promotion is not even a candidate, else None; the first reason wins."""
    field = broken_field(promotion, rules)
    if field is not None:
        return f"invalid:{field}"
    at = moment(request["at"])
    audience = promotion["audience"] or []
    covered = covered_by(promotion, request["lines"])
    reasons = [
        ("currency", promotion["currency"] not in (None, request["currency"])),
        ("paused", promotion["status"] != "active"),
        ("not_started", promotion["start"] and at < moment(promotion["start"])),
        ("expired", promotion["end"] and at >= moment(promotion["end"])),
        ("audience", audience and not set(audience) & set(request.get("buyer", []))),
        ("used_up", promotion["remaining"] is not None and promotion["remaining"] <= 0),
        ("buyer_limit", promotion["per_buyer"] is not None and promotion["used"] >= promotion["per_buyer"]),
        ("in_live_price", promotion["in_live"] and request["basis"] == "live"),
        ("no_shipping", promotion["layer"] == "shipping" and request.get("shipping") is None),
        ("out_of_scope", not covered),
        ("other_lines", promotion["all_lines"] and len(covered) < len(request["lines"])),
    ]
    return next((reason for reason, holds in reasons if holds), None)


def cannot_be_told(request, candidates, rules):
    if any(line[request["basis"]] is None for line in request["lines"]):
        return True
    return any(promotion["unknown"] or lacks_a_base(promotion, request["lines"], rules) for promotion in candidates)


def lacks_a_base(promotion, lines, rules):
    """A base the promotion works with, `list` or `live`, is null on a line it covers or measures."""
    covered = [line for line in lines if line["id"] in promotion["covered"]]
    measured = lines if setting_of(promotion, rules, "measure_lines") == "basket" else covered
    kind, needed = promotion["kind"], []
    if promotion["measure"] == "amount" or promotion["max_amount"] is not None:
        needed.append((setting_of(promotion, rules, "threshold_base"), measured))
    if promotion["layer"] != "shipping":
        per_order = kind == "amount_off" and promotion["per"] == "order"
        if kind in {"percent_off", "nth_piece"} or (kind == "amount_off" and not per_order):
            needed.append((setting_of(promotion, rules, "effect_base"), covered))
        if per_order and rules["allocation"] != "woo":
            needed.append((setting_of(promotion, rules, "weight_base"), covered))
    return any(base in {"list", "live"} and line[base] is None for base, where in needed for line in where)
