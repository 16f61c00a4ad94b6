"""One request to one answer (3.10)."""

from tests.catalog.pricing.oracle.plans import best_plan, first_conflict
from tests.catalog.pricing.oracle.rulesets import rules_of
from tests.catalog.pricing.oracle.validity import cannot_be_told, is_refused, set_aside, with_defaults


def answer(request):
    if is_refused(request):
        return {"status": "refused"}
    rules = rules_of(request)
    not_used, candidates = {}, []
    for promotion in map(with_defaults, request["promotions"]):
        reason = set_aside(promotion, request, rules)
        if reason is None:
            candidates.append(promotion)
        else:
            not_used[promotion["id"]] = reason
    if cannot_be_told(request, candidates, rules):
        return {"status": "cannot_tell"}
    plan = best_plan(request, candidates, rules)
    for unused in plan.unused:
        not_used[unused.promotion["id"]] = reason_of(unused, plan, rules)
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


def reason_of(unused, plan, rules):
    first = first_conflict(unused.promotion, unused.covered, plan.uses, rules)
    if first is not None:
        return f"conflict:{first.promotion['id']}"
    if unused.reason is not None:
        return unused.reason
    return "no_gain" if unused.would_discount else "no_effect"
