"""One request to one answer (3.10)."""

from tests.catalog.pricing.oracle.effects import judge
from tests.catalog.pricing.oracle.plans import best_plan, first_conflict
from tests.catalog.pricing.oracle.rulesets import rules_of
from tests.catalog.pricing.oracle.validity import cannot_be_told, covered_by, is_refused, set_aside, with_defaults


def answer(request):
    if is_refused(request):
        return {"status": "refused"}
    rules = rules_of(request)
    not_used, candidates = {}, []
    for promotion in map(with_defaults, request["promotions"]):
        reason = set_aside(promotion, request, rules)
        if reason is None:
            candidates.append(promotion | {"covered": covered_by(promotion, request["lines"])})
        else:
            not_used[promotion["id"]] = reason
    if cannot_be_told(request, candidates, rules):
        return {"status": "cannot_tell"}
    plan = best_plan(request, candidates, rules)
    for unused in plan.unused:
        not_used[unused.promotion["id"]] = reason_of(unused, plan, request["lines"], rules)
    goods = sum(plan.state.running.values())
    return {
        "status": "ok",
        "goods": goods,
        "shipping": plan.state.shipping,
        "total": goods + (plan.state.shipping or 0),
        "lines": plan.state.running,
        "used": [{"id": use.promotion["id"], "discount": use.discount} for use in plan.uses],
        "not_used": not_used,
    }


def reason_of(unused, plan, lines, rules):
    conflicting = first_conflict(unused.promotion, unused.promotion["covered"], plan.uses, rules)
    if conflicting is not None:
        return f"conflict:{conflicting.promotion['id']}"
    if unused.is_taken:
        return "line_taken"
    reason, discounts = judge(unused.promotion, lines, unused.state, rules, unused.free)
    if reason is not None:
        return reason
    return "no_gain" if discounts else "no_effect"
