"""Does a promotion qualify at its turn, and what does it take off which line (3.4 to 3.6)."""

from fractions import Fraction

from tests.catalog.pricing.oracle.amounts import (
    rounded,
    share_once,
    spread,
    unit_amounts,
    woo_amount,
    woo_order,
    woo_percent,
)
from tests.catalog.pricing.oracle.validity import layer_of, setting_of, tiers_of

SHIPPING = ""  # the "line" of a discount on shipping


def judge(promotion, lines, state, rules, assigned=None):
    """(reason, discounts by line id); the reason is None where a group qualifies, even if nothing comes off.

    assigned: ids of the lines the promotion has in a layer with one promotion per line, None in other layers.
    """
    if assigned is None:
        counted = [line for line in lines if line["id"] in promotion["covered"]]
        worked = [line for line in counted if state.running[line["id"]] > 0]
    else:
        counted = worked = [line for line in lines if line["id"] in assigned]
    if setting_of(promotion, rules, "measure_lines") == "basket":
        counted = lines
    reasons: list[str | None] = []
    discounts: dict[str, int] = {}
    for group, members in groups_of(promotion, counted):
        reason, value, times = qualify(promotion, members, state, rules)
        reasons.append(reason)
        if reason is None:
            in_group = [line for line in worked if key_of(promotion, line) == group]
            for line, discount in discount_of_group(promotion, in_group, state, rules, value, times).items():
                discounts[line] = discounts.get(line, 0) + discount
    if None not in reasons:
        return reasons[0], {}
    if promotion["layer"] == "shipping":
        discounts = {SHIPPING: min(state.shipping, discounts[SHIPPING])}
    cap = promotion["max_discount"]
    if cap is not None and sum(discounts.values()) > cap:
        discounts = share_once(cap, discounts, discounts)
    return None, {line: discount for line, discount in discounts.items() if discount > 0}


def key_of(promotion, line):
    return {"scope": "", "line": line["id"], "item": line["item"]}[promotion["measure_over"]]


def groups_of(promotion, counted):
    if promotion["measure_over"] == "scope" or not counted:
        return [("", counted)]
    keys = sorted({key_of(promotion, line) for line in counted})
    return [(key, [line for line in counted if key_of(promotion, line) == key]) for key in keys]


def qualify(promotion, counted, state, rules):
    """(reason or None, value of the tier reached, times)."""
    base = setting_of(promotion, rules, "threshold_base")
    pieces = sum(line["qty"] for line in counted)
    maximum, fewest, measure = promotion["max_amount"], promotion["min_qty"], promotion["measure"]
    if maximum is not None and sum(state.amount(base, line) for line in counted) > maximum:
        return "above_maximum", None, None
    if fewest is not None and pieces < fewest:
        return "below_quantity", None, None
    if measure == "none":
        return None, tiers_of(promotion)[0][1], 1
    measured = pieces if measure == "quantity" else sum(state.amount(base, line) for line in counted)
    reached = [tier for tier in tiers_of(promotion) if tier[0] <= measured]
    if not reached:
        return "below_threshold", None, None
    least, value = reached[-1]
    times = 1
    if promotion["repeat"]:
        times = measured // least
        if promotion["max_times"] is not None:
            times = min(times, promotion["max_times"])
    return None, value, times


def discount_of_group(promotion, lines, state, rules, value, times):
    layer, kind = layer_of(promotion, rules), promotion["kind"]
    effect_base = setting_of(promotion, rules, "effect_base")
    if promotion["layer"] == "shipping":
        if kind == "amount_off":
            return {SHIPPING: value * times}
        base = state.shipping if effect_base == "running" else state.full_shipping
        return {SHIPPING: rounded(Fraction(base * value, 10000), layer["rounding"])}
    room = {line["id"]: state.running[line["id"]] for line in lines}
    if kind == "amount_off" and promotion["per"] == "order":
        if rules["allocation"] == "woo":
            return woo_amount(value * times, woo_order(lines, state), room)
        weight_base = setting_of(promotion, rules, "weight_base")
        weights = {line["id"]: state.amount(weight_base, line) for line in lines}
        return spread(value * times, weights, room, rules["excess"])
    if kind == "amount_off":
        chosen = chosen_units(promotion, lines, state, rules, effect_base)
        return {line: min(sum(min(value, unit) for unit in units), room[line]) for line, units in chosen.items()}
    if kind == "fixed_price":
        chosen = chosen_units(promotion, lines, state, rules, "running")
        return {line: sum(max(0, unit - value) for unit in units) for line, units in chosen.items()}
    if kind == "bundle_price":
        sets = number_of_sets(promotion, lines)
        chosen = picked_units(lines, state, "running", sets * promotion["of"], dearest=True)
        sums = {line: sum(units) for line, units in chosen.items()}
        return share_once(max(0, sum(sums.values()) - sets * value), sums, room)
    if kind == "nth_piece":
        count = number_of_sets(promotion, lines) * promotion["take"]
        chosen = picked_units(lines, state, effect_base, count, dearest=False)
    else:
        chosen = chosen_units(promotion, lines, state, rules, effect_base)
    return percent_of(chosen, value, lines, state, rules, layer, room)


def number_of_sets(promotion, lines):
    sets = sum(line["qty"] for line in lines) // promotion["of"]
    return sets if promotion["max_times"] is None else min(sets, promotion["max_times"])


def chosen_units(promotion, lines, state, rules, base):
    """The amounts of the units that get the effect, by line id: all, or the first `max_units` line by line."""
    left = promotion["max_units"]
    if left is None:
        return {line["id"]: unit_amounts(state.amount(base, line), line["qty"]) for line in lines}
    if rules["allocation"] == "woo":
        ordered = woo_order(lines, state)
    else:
        ordered = sorted(lines, key=lambda line: (-Fraction(state.amount(base, line), line["qty"]), line["id"]))
    chosen = {}
    for line in ordered:
        chosen[line["id"]] = unit_amounts(state.amount(base, line), line["qty"])[:left]
        left -= len(chosen[line["id"]])
    return chosen


def picked_units(lines, state, base, count, *, dearest):
    """The `count` dearest or cheapest units of all lines, by line id."""
    units = [
        (amount, line["id"], number)
        for line in lines
        for number, amount in enumerate(unit_amounts(state.amount(base, line), line["qty"]))
    ]
    if dearest:
        units.sort(key=lambda unit: (-unit[0], unit[1], unit[2]))
    else:
        units.sort(key=lambda unit: (unit[0], unit[1], -unit[2]))
    picked: dict[str, list[int]] = {line["id"]: [] for line in lines}
    for amount, line, _number in units[:count]:
        picked[line].append(amount)
    return picked


def percent_of(chosen, rate, lines, state, rules, layer, room):
    mode = layer["rounding"]
    exact = {line: Fraction(sum(units) * rate, 10000) for line, units in chosen.items()}
    if layer["round_at"] == "unit":
        return {
            line: min(sum(rounded(Fraction(unit * rate, 10000), mode) for unit in units), room[line])
            for line, units in chosen.items()
        }
    if layer["round_at"] == "line":
        return {line: min(rounded(share, mode), room[line]) for line, share in exact.items()}
    total = rounded(sum(exact.values()), mode)
    if rules["allocation"] == "woo":
        return woo_percent(total, exact, woo_order(lines, state), room)
    return share_once(total, {line: sum(units) for line, units in chosen.items()}, room)
