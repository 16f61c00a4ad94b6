"""Every plan: each candidate used or not, each line of a one-per-line layer given to each that covers it (3.9)."""

from dataclasses import dataclass, replace
from itertools import combinations, product

from tests.catalog.pricing.oracle.amounts import State, first_state
from tests.catalog.pricing.oracle.effects import SHIPPING, judge


@dataclass(frozen=True)
class Use:
    promotion: dict
    lines: frozenset  # ids of the lines it works on
    discount: int


@dataclass(frozen=True)
class Unused:
    """A promotion that is left aside at its turn, with what it is judged by."""

    promotion: dict
    state: State
    free: frozenset | None  # lines it would be judged on, None: as in any layer without assignment
    is_taken: bool  # other promotions of its layer have its lines


@dataclass(frozen=True)
class Plan:
    state: State
    uses: tuple = ()
    unused: tuple = ()
    pairs: tuple = ()  # (line, promotion) of the one-per-line layers

    def rank(self):
        ids = sorted(use.promotion["id"] for use in self.uses)
        amounts = [amount for _line, amount in sorted(self.state.running.items())]
        total = sum(amounts) + (self.state.shipping or 0)
        return total, len(ids), ids, amounts, -len(self.pairs), sorted(self.pairs)


def best_plan(request, candidates, rules):
    plans = [Plan(first_state(request))]
    for layer in rules["layers"]:
        in_layer = [promotion for promotion in candidates if promotion["layer"] == layer["name"]]
        in_layer.sort(key=lambda promotion: (promotion["priority"], promotion["id"]))
        plans = [longer for plan in plans for longer in through_layer(plan, layer, in_layer, request["lines"], rules)]
    allowed = [plan for plan in plans if automatic_ones_are_used(plan, request["lines"], rules)]
    return min(allowed, key=Plan.rank)


def automatic_ones_are_used(plan, lines, rules):
    for unused in plan.unused:
        promotion = unused.promotion
        if not promotion["auto"] or unused.is_taken:
            continue
        _reason, discounts = judge(promotion, lines, unused.state, rules, unused.free)
        if discounts and not first_conflict(promotion, promotion["covered"], plan.uses, rules):
            return False
    return True


def through_layer(plan, layer, candidates, lines, rules):
    state = plan.state.at_layer_start()
    if layer["pick"] == "one_per_line":
        choices = []
        for line in lines:
            covering = [p["id"] for p in candidates if line["id"] in p["covered"] and state.layer[line["id"]] > 0]
            choices.append([None, *covering])
        for choice in product(*choices):
            taken = {line["id"]: chosen for line, chosen in zip(lines, choice, strict=True) if chosen is not None}
            longer = walk(plan, state, layer, candidates, set(taken.values()), taken, lines, rules)
            if longer is not None:
                yield longer
    else:
        for size in range(len(candidates) + 1):
            for used in combinations([promotion["id"] for promotion in candidates], size):
                longer = walk(plan, state, layer, candidates, set(used), None, lines, rules)
                if longer is not None:
                    yield longer


def walk(plan, state, layer, candidates, used, taken, lines, rules):
    """The plan after one layer; None where a used promotion does nothing, conflicts, or leaves a line it must take."""
    uses, unused = list(plan.uses), list(plan.unused)
    for promotion in candidates:
        covered = promotion["covered"]
        if taken is None:
            assigned = free = None
            works_on = frozenset(line for line in covered if state.running[line] > 0)
        else:
            assigned = works_on = frozenset(line for line, chosen in taken.items() if chosen == promotion["id"])
            free = frozenset(line for line in covered if state.layer[line] > 0 and line not in taken)
        if promotion["id"] not in used:
            is_taken = taken is not None and not free and not covered.isdisjoint(taken)
            # Where all it covers costs nothing, no line was taken from it: it is judged on those lines.
            unused.append(Unused(promotion, state, None if taken is None else free or covered, is_taken))
            continue
        reason, discounts = judge(promotion, lines, state, rules, assigned)
        if reason is not None or not discounts or first_conflict(promotion, works_on, uses, rules):
            return None
        if free:
            _reason, with_free = judge(promotion, lines, state, rules, works_on | free)
            if free & with_free.keys():
                return None
        uses.append(Use(promotion, works_on, sum(discounts.values())))
        state = paid(state, discounts, layer, promotion)
    pairs = plan.pairs + tuple((taken or {}).items())
    return Plan(state, tuple(uses), tuple(unused), pairs)


def paid(state, discounts, layer, promotion):
    if SHIPPING in discounts:
        return replace(state, shipping=state.shipping - discounts[SHIPPING])
    rebase = promotion["rebase"] if layer["rebase"] is None else layer["rebase"]
    return state.after(discounts, lowers_item=layer["item_flagged"] and rebase)


def first_conflict(promotion, lines, uses, rules):
    """The first use the promotion cannot stand beside, else None. lines: where it works, or all it covers if unused."""
    return next((use for use in uses if conflict(promotion, lines, use.promotion, use.lines, rules)), None)


def conflict(one, lines_of_one, other, lines_of_other, rules):
    if not (admits(one, other) and admits(other, one)):
        return True
    for label in set(one["groups"]) & set(other["groups"]):
        if not label.startswith("line:") or lines_of_one & lines_of_other:
            return True
    pick = next(layer["pick"] for layer in rules["layers"] if layer["name"] == one["layer"])
    return one["layer"] == other["layer"] and pick == "one"


def admits(one, other):
    return one["combines"] is None or (other["class"] or other["layer"]) in one["combines"]
