"""What is refused, and what is set aside, before anything is computed (pricing contract 3.1)."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import Any

from catalog.pricing import currencies
from catalog.pricing.model import Kind, Line, Promotion, Request, Scope
from catalog.pricing.reasons import NotUsed, Refusal
from catalog.pricing.rulesets import BASES, SHIPPING, Layer, RuleSet

_RATES = (Kind.PERCENT_OFF, Kind.NTH_PIECE)
_PRICES = (Kind.FIXED_PRICE, Kind.BUNDLE_PRICE)
_KINDS = frozenset(Kind)
_WHOLE_RATE = 10_000
_NONE = type(None)
_FRAME: Mapping[str, tuple[type, ...]] = {
    "priority": (int,),
    "used": (int,),
    "remaining": (int, _NONE),
    "per_buyer": (int, _NONE),
    "auto": (bool,),
    "all_lines": (bool,),
    "in_live": (bool,),
    "rebase": (bool,),
    "audience": (frozenset,),
    "groups": (frozenset,),
    "combines": (frozenset, _NONE),
    "promotion_class": (str, _NONE),
    "scope": (Scope, _NONE),
    "unknown": (tuple,),
}
_frame_of = attrgetter(*_FRAME)


@lru_cache
def _first_wrong(types: tuple[type, ...]) -> str:
    """The first field of the frame whose value has not the type it should have."""
    for (name, allowed), found in zip(_FRAME.items(), types, strict=True):
        if found not in allowed:
            return "class" if name == "promotion_class" else name
    return ""


def refusal(request: Request) -> str:
    """Why the request cannot be priced; "" if it can."""
    if not currencies.is_known(request.currency):
        return Refusal.UNKNOWN_CURRENCY
    if request.basis not in ("list", "live"):
        return Refusal.BASIS
    if not isinstance(request.at, datetime) or request.at.utcoffset() is None:
        return Refusal.TIME_WITHOUT_OFFSET
    if not request.lines:
        return Refusal.NO_LINES
    for entries in (request.lines, request.promotions):
        ids = [entry.id for entry in entries]
        if not all(isinstance(each, str) for each in ids):
            return Refusal.ID
        if len(set(ids)) < len(ids):
            return Refusal.REPEATED_ID
    return (
        next(filter(None, map(_line_refusal, request.lines)), "") or _price_refusal(request.shipping) or _order(request)
    )


def _line_refusal(line: Line) -> str:
    if not _is_int(line.qty) or line.qty < 1:
        return Refusal.QUANTITY
    if not _is_int(line.minimum_order):
        return Refusal.MINIMUM_ORDER
    return _price_refusal(line.list) or _price_refusal(line.live)


def _price_refusal(price: Any) -> str:
    if price is None:
        return ""
    if not _is_int(price):
        return Refusal.PRICE
    return Refusal.NEGATIVE_PRICE if price < 0 else ""


def _order(request: Request) -> str:
    """The platform's minimum order counts all SKUs of an item."""
    for line in request.lines:
        if line.minimum_order > 1:
            pieces = sum(
                other.qty for other in request.lines if other is line or (line.item and other.item == line.item)
            )
            if pieces < line.minimum_order:
                return Refusal.BELOW_MINIMUM_ORDER
    return ""


def invalid_field(promotion: Promotion, rules: RuleSet) -> str:
    """The first broken field of the promotion; "" if it is whole.

    What a promotion with unknown facts does is not judged: it may be half read.
    """
    layer = next((layer for layer in rules.layers if layer.name == promotion.layer), None)
    if layer is None:
        return "layer"
    if not promotion.unknown and (broken := next(_broken_effect(promotion, layer), "")):
        return broken
    return next(_broken_frame(promotion), "")


def _broken_effect(promotion: Promotion, layer: Layer) -> Iterator[str]:
    kind, per = promotion.kind, promotion.per
    if not isinstance(kind, str) or kind not in _KINDS:
        yield "kind"
        return
    if promotion.tiers is None:
        if not _is_int(promotion.value):
            yield "value"
            return
    elif not _are_tiers(promotion.tiers):
        yield "tiers"
        return
    tiers = promotion.steps
    if promotion.measure not in ("none", "amount", "quantity") or (
        promotion.measure == "none" and (len(tiers) > 1 or tiers[0][0] != 0)
    ):
        yield "measure"
    values = [value for _, value in tiers]
    if kind in _RATES and not all(1 <= value <= _WHOLE_RATE for value in values):
        yield "percent"
    if (kind == Kind.AMOUNT_OFF and min(values) <= 0) or (kind in _PRICES and min(values) < 0):
        yield "amount"
    if per not in ("order", "unit"):
        yield "per"
    if not isinstance(promotion.repeat, bool) or (
        promotion.repeat and not (kind == Kind.AMOUNT_OFF and per == "order" and len(tiers) == 1 and tiers[0][0] > 0)
    ):
        yield "repeat"
    if not _has_pieces(promotion):
        yield "pieces"
    for name in ("max_discount", "max_units", "max_times"):
        limit = getattr(promotion, name)
        if limit is not None and (not _is_int(limit) or limit <= 0):
            yield name
    if promotion.measure_lines not in (None, "scope", "basket"):
        yield "measure_lines"
    if promotion.measure_over != "scope" and (
        promotion.measure_over not in ("line", "item")
        or promotion.max_discount is not None
        or promotion.max_units is not None
        or (promotion.measure_lines or layer.measure_lines) == "basket"
    ):
        yield "measure_over"
    if layer.name == SHIPPING and not (
        kind == Kind.PERCENT_OFF or (kind == Kind.AMOUNT_OFF and promotion.per == "order")
    ):
        yield "shipping"
    for name in ("threshold_base", "effect_base", "weight_base"):
        if getattr(promotion, name) not in (None, *BASES):
            yield name
    for name in ("min_qty", "max_amount"):
        if not _is_int_or_none(getattr(promotion, name)):
            yield name


def _broken_frame(promotion: Promotion) -> Iterator[str]:
    """What is not the effect: when, for whom, on what, beside what."""
    edges = [edge for edge in (promotion.start, promotion.end) if edge is not None]
    if not all(isinstance(edge, datetime) and edge.utcoffset() is not None for edge in edges) or (
        len(edges) == 2 and edges[0] >= edges[1]
    ):
        yield "window"
    if wrong := _first_wrong(tuple(map(type, _frame_of(promotion)))):
        yield wrong
    if not _is_int(promotion.seller_share) or not 0 <= promotion.seller_share <= _WHOLE_RATE:
        yield "seller_share"


def set_aside(promotion: Promotion, request: Request, rules: RuleSet) -> str:
    """Why the promotion is no candidate; "" if it is one. The first reason of the contract's order."""
    if broken := invalid_field(promotion, rules):
        return f"{NotUsed.INVALID}:{broken}"
    if promotion.currency is not None and promotion.currency != request.currency:
        return NotUsed.CURRENCY
    if promotion.status != "active":
        return NotUsed.PAUSED
    if promotion.start is not None and request.at < promotion.start:
        return NotUsed.NOT_STARTED
    if promotion.end is not None and request.at >= promotion.end:
        return NotUsed.EXPIRED
    if promotion.audience and promotion.audience.isdisjoint(request.buyer):
        return NotUsed.AUDIENCE
    if promotion.remaining is not None and promotion.remaining <= 0:
        return NotUsed.USED_UP
    if promotion.per_buyer is not None and promotion.used >= promotion.per_buyer:
        return NotUsed.BUYER_LIMIT
    if promotion.in_live and request.basis == "live":
        return NotUsed.IN_LIVE_PRICE
    if promotion.layer == SHIPPING and request.shipping is None:
        return NotUsed.NO_SHIPPING
    if promotion.scope is None:
        return ""
    covered = [promotion.scope.covers(line) for line in request.lines]
    if not any(covered):
        return NotUsed.OUT_OF_SCOPE
    return NotUsed.OTHER_LINES if promotion.all_lines and not all(covered) else ""


def _are_tiers(tiers: Any) -> bool:
    return (
        isinstance(tiers, tuple)
        and len(tiers) > 0
        and all(isinstance(tier, tuple) and len(tier) == 2 and all(map(_is_int, tier)) for tier in tiers)
        and all(lower[0] < upper[0] for lower, upper in pairwise(tiers))
    )


def _has_pieces(promotion: Promotion) -> bool:
    """A bundle takes all pieces of a set, so it need not say how many."""
    if promotion.kind not in (Kind.NTH_PIECE, Kind.BUNDLE_PRICE):
        return True
    take = promotion.of if promotion.kind == Kind.BUNDLE_PRICE and promotion.take is None else promotion.take
    return _is_int(promotion.of) and _is_int(take) and 1 <= take <= promotion.of  # type: ignore[operator]


def _is_int(value: Any) -> bool:
    return type(value) is int


def _is_int_or_none(value: Any) -> bool:
    return value is None or type(value) is int
