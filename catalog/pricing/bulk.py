"""One line's price at very many unit prices: by arrays where at most one promotion can be used, else one by one.

What the arrays compute is what `quote` would, to the minor unit and to the promotion.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catalog.pricing.basket import Basket, Candidate
from catalog.pricing.model import Kind, Line, Quote, Request, Status
from catalog.pricing.quoting import quote
from catalog.pricing.rulesets import UnknownRule, rules_for
from catalog.pricing.validity import refusal, set_aside

UNKNOWN = -1
_CHUNK = 16_384  # prices at a time, so that they stay in the processor's cache
_WHOLE_RATE = 10_000
_MOST = 1 << 40  # minor units: with a rate or a candidate's place beside it, it still is an int64
_MOST_CANDIDATES = 1_000
_HALVES = {"half_up": 5_000, "half_down": 4_999, "up": 9_999, "down": 0}

Integers = npt.NDArray[np.int64]


class BulkPrices(NamedTuple):
    """For each price what is paid for the goods, UNKNOWN where it cannot be told, and what was used for it.

    That is a place in `combinations` (ids in the order of evaluation), whose first is no promotion at all.
    """

    goods: Integers
    used: Integers
    combinations: Sequence[tuple[str, ...]]


def bulk_prices(request: Request, prices: Integers) -> BulkPrices:
    """Prices of the request's only line, were these its unit prices (in the request's basis; negative: not known).

    Raises ValueError for a request of several lines, and for one that is refused whatever the price.
    """
    if len(request.lines) != 1:
        raise ValueError("prices in bulk are of one line")
    request = _at(request, 0)
    try:
        rules = rules_for(request.ruleset, request.settings)
    except UnknownRule as unknown:
        raise ValueError(str(unknown)) from None
    if reason := refusal(request):
        raise ValueError(reason)
    basket = Basket(request, rules, [each for each in request.promotions if not set_aside(each, request, rules)])
    goods = np.full(len(prices), UNKNOWN, np.int64)
    used = np.zeros(len(prices), np.int64)
    if basket.cannot_tell():
        return BulkPrices(goods, used, [()])
    combinations: list[tuple[str, ...]] = [()]
    one_by_one = prices >= 0
    if _at_most_one_is_used(basket):
        combinations += [(candidate.id,) for candidate in _by_id(basket)]
        for start in range(0, len(prices), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            goods[chunk], used[chunk] = _best_single(_by_id(basket), prices[chunk])
        out_of_reach = (prices < 0) | (prices > _MOST)
        goods[out_of_reach], used[out_of_reach] = UNKNOWN, 0
        one_by_one = prices > _MOST
    places = {names: place for place, names in enumerate(combinations)}
    for at, quoted in _quoted(request, prices, np.flatnonzero(one_by_one)):
        if quoted.status is Status.OK and quoted.total is not None:
            names = tuple(step.id for step in quoted.steps)
            goods[at], used[at] = quoted.total.goods, places.setdefault(names, len(places))
    return BulkPrices(goods, used, list(places))


def _at(request: Request, price: int) -> Request:
    line: Line = request.lines[0]
    priced = replace(line, live=price) if request.basis == "live" else replace(line, list=price)
    return replace(request, lines=(priced,))


def _quoted(request: Request, prices: Integers, places: Integers) -> Iterator[tuple[int, Quote]]:
    for at in places.tolist():
        yield at, quote(_at(request, int(prices[at])))


def _by_id(basket: Basket) -> list[Candidate]:
    return sorted(basket.candidates, key=lambda candidate: candidate.id)


def _at_most_one_is_used(basket: Basket) -> bool:
    """Whether the answer is the best of single optional promotions, each a plain function of the price."""
    candidates = basket.candidates
    if basket.qty != (1,) or len(candidates) > _MOST_CANDIDATES or not all(map(_is_plain, candidates)):
        return False
    if len({candidate.layer.name for candidate in candidates}) > 1:
        return False
    if len(candidates) < 2 or candidates[0].layer.pick != "many":
        return True
    return bool(frozenset.intersection(*(each.promotion.groups for each in candidates)))


def _is_plain(candidate: Candidate) -> bool:
    promotion = candidate.promotion
    bases = {candidate.threshold_base, candidate.effect_base}
    return (
        not candidate.auto
        and not candidate.is_shipping
        and promotion.kind in (Kind.AMOUNT_OFF, Kind.PERCENT_OFF, Kind.FIXED_PRICE)
        and promotion.measure in ("none", "amount")
        and len(candidate.tiers) == 1
        and not promotion.repeat
        and promotion.max_amount is None
        and (promotion.min_qty is None or promotion.min_qty <= 1)
        and not bases & {"list", "live"}
        and (promotion.kind != Kind.PERCENT_OFF or candidate.layer.rounding in _HALVES)
        and max(*candidate.tiers[0], promotion.max_discount or 0) <= _MOST
    )


def _best_single(candidates: Sequence[Candidate], prices: Integers) -> tuple[Integers, Integers]:
    """What is paid, and the place of the promotion used counted from 1; of equal ones the first."""
    count = len(candidates)
    best = np.zeros(len(prices), np.int64)
    for place, candidate in enumerate(candidates):
        # One number tells the discount and, where it is equal, which candidate comes first.
        precedence = count - 1 - place
        minimum = candidate.tiers[0][0]
        if (flat := _flat_discount(candidate)) is not None:
            key: Integers = (prices >= minimum) * np.int64(flat * count + precedence)
        else:
            key = _discount(candidate, prices)
            key *= count
            key += precedence
            if minimum > 0:
                key *= prices >= minimum
        np.maximum(best, key, out=best)
    off, rank = np.divmod(best, count) if count else (best, best)
    return prices - off, np.where(off > 0, count - rank, 0)


def _flat_discount(candidate: Candidate) -> int | None:
    """What it takes off every price that reaches its threshold; None where that hangs on the price."""
    minimum, value = candidate.tiers[0]
    if candidate.promotion.kind != Kind.AMOUNT_OFF or value > minimum:
        return None
    cap = candidate.promotion.max_discount
    return value if cap is None else min(value, cap)


def _discount(candidate: Candidate, prices: Integers) -> Integers:
    promotion = candidate.promotion
    value = candidate.tiers[0][1]
    cap = promotion.max_discount
    if promotion.kind == Kind.AMOUNT_OFF:
        return np.minimum(prices, value if cap is None else min(value, cap))
    if promotion.kind == Kind.FIXED_PRICE:
        off = np.maximum(prices - value, 0)
    else:
        off = prices * value
        off += _HALVES[candidate.layer.rounding]
        off //= _WHOLE_RATE
    return off if cap is None else np.minimum(off, cap, out=off)
