"""Requests of the tests, in the exchange format: prices in minor units, everything else as short as it can be."""

from catalog.pricing.exchange import answer

AT = "2026-11-11T12:00:00+08:00"


def line(line_id, price, qty=1, **fields):
    """One price is both; `list` and `live` tell them apart."""
    return {"id": line_id, "sku": line_id, "item": line_id, "qty": qty, "list": price, "live": price, **fields}


def promotion(promotion_id, layer, kind="amount_off", value=None, *, over=None, pieces=None, **fields):
    """`over` is a minimum amount, `pieces` a minimum quantity; `items` a scope of items."""
    found = {"id": promotion_id, "layer": layer, "kind": kind, **fields}
    if value is not None:
        minimum = over if over is not None else pieces
        found |= {"value": value} if minimum is None else {"tiers": [[minimum, value]]}
    if over is not None or pieces is not None:
        found["measure"] = "amount" if over is not None else "quantity"
    if items := found.pop("items", None):
        found["scope"] = {"items": items}
    return found


def request(ruleset, lines, promotions=(), **fields):
    if isinstance(lines, int):
        lines = [line("a", lines)]
    return {
        "ruleset": ruleset,
        "currency": "CNY",
        "at": AT,
        "basis": "live",
        "lines": list(lines),
        "promotions": list(promotions),
        **fields,
    }


def priced(ruleset, lines, promotions=(), **fields):
    return answer(request(ruleset, lines, promotions, **fields))
