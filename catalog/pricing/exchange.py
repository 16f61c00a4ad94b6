"""Requests and answers as JSON, by the names of the pricing contract (sections 2 and 3.10)."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from typing import Any

from catalog.pricing.model import Line, Promotion, Quote, Refused, Request, Scope, Status
from catalog.pricing.quoting import quote
from catalog.pricing.reasons import Refusal

_WRITTEN = {"promotion_class": "class"}
_PROMOTION_FIELDS = frozenset(field.name for field in fields(Promotion)) - {"promotion_class"}
_LABELS = ("audience", "groups")
_SCOPE_FIELDS = frozenset(field.name for field in fields(Scope))
_LINE_FIELDS = frozenset(field.name for field in fields(Line))
# A field that is left out or null has its default, where null is not a value of its own.
_NULLABLE = frozenset(field.name for field in fields(Promotion) if field.default is None)


def answer(request_json: Any) -> Any:
    """The answer to one request, or the answers to a list of requests. Never raises for what stands in a request."""
    if isinstance(request_json, list):
        return [answer(each) for each in request_json]
    try:
        request = read_request(request_json)
    except Refused as refused:
        return to_json(Quote(Status.REFUSED, str(refused)))
    return to_json(quote(request))


def to_json(quoted: Quote) -> dict[str, Any]:
    if quoted.total is None:
        return {"status": str(quoted.status), "reason": str(quoted.reason)}
    return {
        "status": str(quoted.status),
        "goods": quoted.total.goods,
        "shipping": quoted.total.shipping,
        "total": quoted.total.pays,
        "lines": dict(quoted.lines),
        "used": [{"id": step.id, "discount": step.discount} for step in quoted.steps],
        "not_used": {name: str(reason) for name, reason in quoted.not_used.items()},
        "trace": [
            {
                "id": step.id,
                "measured": step.measured,
                "min": step.minimum,
                "base": step.base,
                "before": step.before,
                "after": step.after,
                "lines": dict(step.lines),
            }
            for step in quoted.steps
        ],
    }


def request_to_json(request: Request) -> dict[str, Any]:
    """What read_request() makes the same request of; what has its default is left out."""
    return {
        "ruleset": request.ruleset,
        "settings": dict(request.settings),
        "currency": request.currency,
        "at": request.at.isoformat(),
        "basis": request.basis,
        "buyer": sorted(request.buyer),
        "shipping": request.shipping,
        "lines": [_plain(line) for line in request.lines],
        "promotions": [_plain(promotion) for promotion in request.promotions],
    }


def _plain(record: Any) -> dict[str, Any]:
    """The fields of a line, a promotion or a scope that differ from their defaults."""
    written = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if value != field.default and not (field.default is MISSING and value is None):
            written[_WRITTEN.get(field.name, field.name)] = _plain_value(value)
    return written


def _plain_value(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain_value(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return _plain(value) if isinstance(value, Scope) else value


def read_request(raw: Any) -> Request:
    """Raises Refused where it is not even a request; what its values are worth is judged when it is priced."""
    if not isinstance(raw, Mapping):
        raise Refused(Refusal.REQUEST)
    lines, promotions, settings, buyer = (
        default if raw.get(name) is None else raw[name]
        for name, default in (("lines", []), ("promotions", []), ("settings", {}), ("buyer", []))
    )
    if not isinstance(lines, list):
        raise Refused(Refusal.LINES)
    if not isinstance(promotions, list):
        raise Refused(Refusal.PROMOTIONS)
    if not isinstance(settings, Mapping):
        raise Refused(Refusal.SETTINGS)
    buyer = _texts(buyer)
    if not isinstance(buyer, frozenset):
        raise Refused(Refusal.BUYER)
    return Request(
        ruleset=raw.get("ruleset", ""),
        currency=raw.get("currency", ""),
        at=_moment(raw.get("at")),
        basis=raw.get("basis", ""),
        lines=tuple(map(_line, lines)),
        promotions=tuple(map(_promotion, promotions)),
        buyer=buyer,
        shipping=raw.get("shipping"),
        settings=settings,
    )


def _line(raw: Any) -> Line:
    if not isinstance(raw, Mapping):
        raise Refused(Refusal.LINES)
    values = {name: raw[name] for name in _LINE_FIELDS & raw.keys()}
    categories = values["categories"] = _texts([] if raw.get("categories") is None else raw["categories"])
    texts = (raw.get("sku"), raw.get("item"), raw.get("shop"))
    if not isinstance(categories, frozenset) or not all(isinstance(text, str | None) for text in texts):
        raise Refused(Refusal.LINES)
    values["on_sale"] = bool(raw.get("on_sale"))
    if values.get("minimum_order") is None:
        values["minimum_order"] = 1
    return Line(**{"id": None, "qty": None, **values})


def _promotion(raw: Any) -> Promotion:
    """What was sent, as it was sent where it is not what it should be: `validity` names it."""
    if not isinstance(raw, Mapping):
        raise Refused(Refusal.PROMOTIONS)
    values = {name: raw[name] for name in _PROMOTION_FIELDS & raw.keys() if raw[name] is not None or name in _NULLABLE}
    if "class" in raw:
        values["promotion_class"] = raw["class"]
    for name in _LABELS:
        if name in values:
            values[name] = _texts(values[name])
    if values.get("combines") is not None:
        values["combines"] = _texts(values["combines"])
    if isinstance(values.get("tiers"), list):
        values["tiers"] = tuple(tuple(tier) if isinstance(tier, list) else tier for tier in values["tiers"])
    for name in ("start", "end"):
        if name in values:
            values[name] = _moment(values[name])
    if values.get("scope") is not None:
        values["scope"] = _scope(values["scope"])
    if "unknown" in values and isinstance(values["unknown"], list):
        values["unknown"] = tuple(values["unknown"])
    return Promotion(**{"id": None, "layer": None, "kind": None, **values})


def _scope(raw: Any) -> Any:
    if not isinstance(raw, Mapping) or not raw.keys() <= _SCOPE_FIELDS:
        return raw
    values = {name: _texts(value) for name, value in raw.items() if value is not None and name != "not_on_sale"}
    if not all(isinstance(value, frozenset) for value in values.values()):
        return raw
    return Scope(not_on_sale=bool(raw.get("not_on_sale")), **values)


def _texts(raw: Any) -> Any:
    if isinstance(raw, list) and all(isinstance(each, str) for each in raw):
        return frozenset(raw)
    return raw


def _moment(raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    try:
        return datetime.fromisoformat(raw)
    except ValueError:
        return raw
