"""Amounts of lines and units, rounding, and the two ways to share a discount over lines (3.3, 3.7, 3.8)."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor


@dataclass(frozen=True)
class State:
    """Amounts in minor units by line id at one turn of the evaluation."""

    start: dict
    running: dict
    layer: dict
    item: dict
    full_shipping: int | None
    shipping: int | None  # None: left out

    def at_layer_start(self):
        return replace(self, layer=self.running)

    def after(self, discounts, *, lowers_item):
        running = {line: amount - discounts.get(line, 0) for line, amount in self.running.items()}
        item = self.item
        if lowers_item:
            item = {line: amount - discounts.get(line, 0) for line, amount in self.item.items()}
        return replace(self, running=running, item=item)

    def amount(self, base, line):
        if base in {"list", "live"}:
            return line[base] * line["qty"]
        return getattr(self, base)[line["id"]]


def first_state(request):
    start = {line["id"]: line[request["basis"]] * line["qty"] for line in request["lines"]}
    shipping = request.get("shipping")
    return State(start=start, running=start, layer=start, item=start, full_shipping=shipping, shipping=shipping)


def unit_amounts(amount, quantity):
    return [amount // quantity + (1 if unit < amount % quantity else 0) for unit in range(quantity)]


def rounded(exact, mode):
    """A discount, a Fraction of minor units, as a whole number of them."""
    half = exact - floor(exact) == Fraction(1, 2)
    if mode == "down":
        return floor(exact)
    if mode == "up":
        return ceil(exact)
    if half and mode == "half_up":
        return ceil(exact)
    if half and mode == "half_down":
        return floor(exact)
    return round(exact)  # the nearest; a half that is left goes to the even neighbour


def share_once(total, weights, room):
    """One pass of the largest remainder; no line takes more than its room, what does not fit is not given."""
    lines = sorted(line for line in weights if room[line] > 0)
    if not any(weights[line] for line in lines):
        weights = room
    whole = sum(weights[line] for line in lines)
    if whole == 0:
        return {}
    shares = {line: total * weights[line] // whole for line in lines}
    missing = total - sum(shares.values())
    for line in sorted(lines, key=lambda line: (-(total * weights[line] % whole), line))[:missing]:
        shares[line] += 1
    return {line: min(shares[line], room[line]) for line in lines}


def spread(total, weights, room, excess):
    if excess == "lose":
        return share_once(total, weights, room)
    left, given = min(total, sum(room.values())), dict.fromkeys(weights, 0)
    while left > 0:
        room_left = {line: room[line] - given[line] for line in weights}
        for line, share in share_once(left, weights, room_left).items():
            given[line] += share
            left -= share
    return given


def woo_order(lines, state):
    return sorted(lines, key=lambda line: (-state.item[line["id"]] * line["qty"], line["id"]))


def woo_amount(total, ordered, room):
    """The same for every piece; what is left is given again, at last one unit per piece in order."""
    left, given = total, {line["id"]: 0 for line in ordered}
    while left > 0:
        with_room = [line for line in ordered if room[line["id"]] > given[line["id"]]]
        if not with_room:
            break
        each = left // sum(line["qty"] for line in with_room)
        for line in with_room:
            wanted = each * line["qty"] if each else min(line["qty"], left)
            share = min(wanted, room[line["id"]] - given[line["id"]])
            given[line["id"]] += share
            left -= share
    return given


def woo_percent(total, exact, ordered, room):
    """Floors, then the rest up to the rounded total one unit per piece in one pass, pieces without the effect too."""
    given = {line["id"]: min(floor(exact[line["id"]]), room[line["id"]]) for line in ordered}
    left = total - sum(given.values())
    for line in ordered:
        extra = min(line["qty"], left, room[line["id"]] - given[line["id"]])
        given[line["id"]] += extra
        left -= extra
    return given
