"""The price of a request: which promotions the buyer ends up with, what each takes off, and why each other does not."""

from collections.abc import Sequence

from catalog.pricing.basket import Amounts, Basket, Candidate, lines_of
from catalog.pricing.conflicts import Conflicts
from catalog.pricing.evaluation import evaluate
from catalog.pricing.model import Kind, Promotion, Quote, Request, Status, Step, Total
from catalog.pricing.reasons import CannotTell, NotUsed
from catalog.pricing.rulesets import UnknownRule, rules_for
from catalog.pricing.search import NoPlan, OutOfBudget, Search, Use
from catalog.pricing.validity import refusal, set_aside


def quote(request: Request, *, budget: int | None = None) -> Quote:
    """The answer to a request, never a guess: where a fact is missing or the search too long it cannot tell."""
    try:
        rules = rules_for(request.ruleset, request.settings)
    except UnknownRule as unknown:
        return Quote(Status.REFUSED, str(unknown))
    if reason := refusal(request):
        return Quote(Status.REFUSED, reason)
    aside: dict[str, str] = {}
    standing: list[Promotion] = []
    for promotion in request.promotions:
        if reason := set_aside(promotion, request, rules):
            aside[promotion.id] = reason
        else:
            standing.append(promotion)
    basket = Basket(request, rules, standing)
    if reason := basket.cannot_tell():
        return Quote(Status.CANNOT_TELL, reason, not_used=aside)
    conflicts = Conflicts(basket)
    search = Search(basket, conflicts, budget)
    try:
        uses = search.best()
    except OutOfBudget:
        return Quote(Status.CANNOT_TELL, CannotTell.BUDGET, not_used=aside, work=search.spent)
    except NoPlan:
        return Quote(Status.CANNOT_TELL, CannotTell.NO_PLAN, not_used=aside, work=search.spent)
    return _explained(basket, conflicts, uses, aside, search.spent)


def _explained(basket: Basket, conflicts: Conflicts, uses: Sequence[Use], aside: dict[str, str], work: int) -> Quote:
    """The plan in order, with what each promotion did, or would have done at its turn."""
    used = {use.candidate.index: use for use in uses}
    amounts = basket.at_start()
    layer, taken = None, 0
    not_used = dict(aside)
    for candidate in basket.candidates:
        if candidate.layer is not layer:
            layer = candidate.layer
            amounts = amounts.at_layer()
            taken = 0
            for use in uses:
                if use.candidate.layer is layer:
                    taken |= use.lines
        if candidate.index in used:
            amounts = used[candidate.index].after
            continue
        not_used[candidate.id] = _conflict(conflicts, candidate, uses) or _why_not(basket, candidate, amounts, taken)
    return Quote(
        Status.OK,
        total=Total(sum(amounts.running), None if basket.shipping is None else amounts.shipping),
        lines={line.id: amount for line, amount in zip(basket.lines, amounts.running, strict=True)},
        steps=tuple(_step(basket, use) for use in uses),
        not_used=dict(sorted(not_used.items())),
        work=work,
    )


def _conflict(conflicts: Conflicts, candidate: Candidate, uses: Sequence[Use]) -> str:
    for use in uses:
        if conflicts.between(candidate, candidate.mask, use.candidate, use.lines):
            return f"{NotUsed.CONFLICT}:{use.candidate.id}"
    return ""


def _why_not(basket: Basket, candidate: Candidate, amounts: Amounts, taken: int) -> str:
    """Why it is not used though it conflicts with none; `taken` are the lines that its layer gave to others."""
    seen: Sequence[int] = candidate.covered
    if candidate.layer.pick == "one_per_line":
        cost_something = [at for at in candidate.covered if amounts.layer[at] > 0]
        free = [at for at in cost_something if not taken >> at & 1]
        if cost_something and not free:
            return NotUsed.LINE_TAKEN
        seen = free or candidate.covered  # where all cost nothing they are nobody's, and judged as they stand
    return evaluate(basket, candidate, amounts, seen).reason or NotUsed.NO_GAIN


def _step(basket: Basket, use: Use) -> Step:
    promotion, outcome = use.candidate.promotion, use.outcome
    return Step(
        id=promotion.id,
        layer=promotion.layer,
        kind=promotion.kind,
        discount=outcome.total,
        measured=outcome.measured,
        minimum=outcome.minimum,
        base=_base(basket, use),
        before=use.before.pays,
        after=use.after.pays,
        lines={basket.lines[at].id: discount for at, discount in outcome.discounts if at >= 0 and discount},
    )


def _base(basket: Basket, use: Use) -> int:
    """The sum that the effect counts on."""
    candidate = use.candidate
    if candidate.is_shipping:
        return use.before.shipping
    if candidate.promotion.kind in (Kind.FIXED_PRICE, Kind.BUNDLE_PRICE):
        name = "running"
    else:
        name = candidate.weight_base if candidate.is_of_order else candidate.effect_base
    base = basket.base(name, use.before)
    return sum(base[at] for at in lines_of(use.lines))
