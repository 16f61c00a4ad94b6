"""What a series of requests and their answers holds: how many of them had each kind, layer, reason and so on."""

from collections import Counter

from tests.catalog.pricing.oracle.rulesets import OTHER_VALUES, RULE_SETS
from tests.catalog.pricing.oracle.validity import BASES, DEFAULTS, KINDS

# fmt: off
BROKEN_FIELDS = [
    "layer", "kind", "value", "tiers", "measure", "percent", "amount", "per", "repeat", "pieces", "max_discount",
    "max_units", "max_times", "measure_over", "shipping", "threshold_base", "effect_base", "weight_base", "window",
]
REASONS = [
    "currency", "paused", "not_started", "expired", "audience", "used_up", "buyer_limit", "in_live_price",
    "no_shipping", "out_of_scope", "other_lines", "conflict", "line_taken", "above_maximum", "below_quantity",
    "below_threshold", "no_effect", "no_gain",
]
# What a used promotion may have that is not its default.
TRAITS = [
    "auto", "repeat", "max_times", "per", "measure_over", "measure_lines", "min_qty", "max_amount", "max_discount",
    "max_units", "all_lines", "priority", "audience", "remaining", "per_buyer", "class", "combines", "groups", "rebase",
    "start", "end", "scope",
]
# fmt: on

EXPECTED = {
    "status": ["ok", "cannot_tell", "refused"],
    "currency": ["CNY", "USD", "EUR", "JPY", "KWD"],
    "basis": ["list", "live"],
    "used: layer": [f"{name}.{layer['name']}" for name, rules in RULE_SETS.items() for layer in rules["layers"]],
    "used: kind": sorted(KINDS),
    "used: measure": ["none", "amount", "quantity"],
    "used: tiers": ["1", "2", "3"],
    "used: field": TRAITS,
    "used: threshold_base": sorted(BASES),
    "used: effect_base": sorted(BASES),
    "used: weight_base": sorted(BASES),
    "setting": [
        *(f"{name}: {key}={value}" for name, values in OTHER_VALUES.items() for key, value in values.items()),
        *(f"rounding={mode}" for mode in ("half_up", "half_down", "half_even", "up", "down")),
    ],
    "not used": [*(f"invalid:{field}" for field in BROKEN_FIELDS), *REASONS],
    "used together": ["0", "1", "2", "3", "4"],
}


def coverage(pairs):
    """{title: Counter} of (request, answer) pairs; each request counts once."""
    table: dict[str, Counter] = {title: Counter() for title in EXPECTED}
    for request, answer in pairs:
        for title, value in set(_found(request, answer)):
            table[title][value] += 1
    return table


def _found(request, answer):
    yield "status", answer["status"]
    yield "currency", request["currency"]
    yield "basis", request["basis"]
    if answer["status"] != "ok":
        return
    for key, value in request["settings"].items():
        yield "setting", f"{key}={value}" if key == "rounding" else f"{request['ruleset']}: {key}={value}"
    for reason in answer["not_used"].values():
        yield "not used", "conflict" if reason.startswith("conflict:") else reason
    yield "used together", str(len(answer["used"]))
    promotions = {promotion["id"]: promotion for promotion in request["promotions"]}
    for used in answer["used"]:
        promotion = promotions[used["id"]]
        yield "used: layer", f"{request['ruleset']}.{promotion['layer']}"
        yield "used: kind", promotion["kind"]
        yield "used: measure", promotion.get("measure", "none")
        yield "used: tiers", str(len(promotion.get("tiers") or [0]))
        for field in TRAITS:
            if promotion.get(field) not in (None, [], DEFAULTS[field]):
                yield "used: field", field
        for base in ("threshold_base", "effect_base", "weight_base"):
            if promotion.get(base):
                yield f"used: {base}", promotion[base]


def as_text(table):
    lines = []
    for title, counts in table.items():
        lines.append(title)
        lines += [f"  {counts[value]:>6}  {value}" for value in EXPECTED[title]]
    return "\n".join(lines)


def missing(table):
    return [f"{title}: {value}" for title, values in EXPECTED.items() for value in values if not table[title][value]]
