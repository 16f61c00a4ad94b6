"""The price of a request: which promotions the buyer ends up with, what each takes off, and why each other does not."""

from collections.abc import Sequence

from catalog.pricing.basket import Amounts, Basket, Candidate, lines_of, mask_of
from catalog.pricing.conflicts import Conflicts
from catalog.pricing.evaluation import Outcome, evaluate, working_lines
from catalog.pricing.model import Kind, Promotion, Quote, Request, Status, Step, Total
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
        return Quote(Status.CANNOT_TELL, "budget", not_used=aside, work=search.spent)
    except NoPlan:
        return Quote(Status.CANNOT_TELL, "no_plan", not_used=aside, work=search.spent)
    return _explained(basket, conflicts, uses, aside, search.spent)


def _explained(basket: Basket, conflicts: Conflicts, uses: Sequence[Use], aside: dict[str, str], work: int) -> Quote:
    """The plan evaluated once more in order, with what each promotion did, or would have done at its turn."""
    used = {use.candidate.index: use for use in uses}
    amounts = basket.at_start()
    layer, taken = None, 0
    steps: list[Step] = []
    not_used = dict(aside)
    for candidate in basket.candidates:
        if candidate.layer is not layer:
            layer = candidate.layer
            amounts = amounts._replace(layer=amounts.running)
            taken = mask_of(at for use in uses if use.candidate.layer is layer for at in lines_of(use.lines))
        per_line = candidate.layer.pick == "one_per_line"
        if use := used.get(candidate.index):
            seen = lines_of(use.lines) if per_line else candidate.covered
            outcome = evaluate(basket, candidate, amounts, seen)
            after = basket.applied(candidate, outcome.discounts, amounts)
            steps.append(_step(basket, use, outcome, amounts.pays, after.pays, _base(basket, candidate, use, amounts)))
            amounts = after
            continue
        reason = _conflict(conflicts, candidate, uses)
        if not reason:
            seen = candidate.covered
            if per_line:
                open_lines = working_lines(amounts._replace(running=amounts.layer), candidate.covered)
                seen = tuple(at for at in open_lines if not taken >> at & 1)
                if open_lines and not seen:
                    reason = "line_taken"
                # Lines that cost nothing are nobody's: judged as they stand.
                seen = seen or candidate.covered
            reason = reason or evaluate(basket, candidate, amounts, seen).reason or "no_gain"
        not_used[candidate.id] = reason
    return Quote(
        Status.OK,
        total=Total(sum(amounts.running), None if basket.shipping is None else amounts.shipping),
        lines={line.id: amount for line, amount in zip(basket.lines, amounts.running, strict=True)},
        steps=tuple(steps),
        not_used=dict(sorted(not_used.items())),
        work=work,
    )


def _conflict(conflicts: Conflicts, candidate: Candidate, uses: Sequence[Use]) -> str:
    for use in uses:
        if conflicts.between(candidate, candidate.mask, use.candidate, use.lines):
            return f"conflict:{use.candidate.id}"
    return ""


def _base(basket: Basket, candidate: Candidate, use: Use, amounts: Amounts) -> int:
    """The sum that the effect counts on."""
    if candidate.is_shipping:
        return amounts.shipping
    per_order = candidate.promotion.kind == Kind.AMOUNT_OFF and candidate.promotion.per == "order"
    prices = candidate.promotion.kind in (Kind.FIXED_PRICE, Kind.BUNDLE_PRICE)
    name = "running" if prices else candidate.weight_base if per_order else candidate.effect_base
    base = basket.base(name, amounts)
    return sum(base[at] for at in lines_of(use.lines))


def _step(basket: Basket, use: Use, outcome: Outcome, before: int, after: int, base: int) -> Step:
    promotion = use.candidate.promotion
    return Step(
        id=promotion.id,
        layer=promotion.layer,
        kind=promotion.kind,
        discount=outcome.total,
        measured=outcome.measured,
        minimum=outcome.minimum,
        base=base,
        before=before,
        after=after,
        lines={basket.lines[at].id: discount for at, discount in outcome.discounts if at >= 0 and discount},
    )
