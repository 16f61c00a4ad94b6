"""The most that promotions can still take off: never less than what they do, so that a search may leave plans out.

Amounts only fall while a plan is evaluated, and no discount grows when amounts fall; so what a promotion could do now
over all lines that it covers bounds what it can do at its turn, in every plan that goes on from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from catalog.pricing.basket import Amounts, Basket, Candidate
from catalog.pricing.model import Kind
from catalog.pricing.rounding import divide

_WHOLE_RATE = 10_000
_WHOLE = 1 << 40  # that parts of what is to be paid are told in


@dataclass(slots=True)
class Outlook:
    """What the candidates from each place on can take off together, seen from `amounts` or from less than those.

    In layers with one promotion per line that is, for the layer's candidates from a place on, the lesser of the sum of
    all and the sum over the lines still free of the best for each. Percentages of what is still to be paid take the
    less off the more others did: `parts` is how much less of each unit that is paid no more.
    """

    amounts: Amounts
    rest: list[int]  # by place; from there to the end of the request
    after: list[int]  # by place; from the end of its layer on
    sums: list[int]  # by place; from there to the end of its layer, where lines are assigned
    parts: list[int]  # by place; from there on, and in a layer where lines are assigned from its end on; of _WHOLE
    per_line: list[Mapping[int, int]]
    alone: list[tuple[int, Mapping[int, int]]]  # the candidate of the place by itself, see `most`

    def is_of(self, amounts: Amounts) -> bool:
        return self.amounts.running is amounts.running and self.amounts.shipping == amounts.shipping

    def most(self, place: int, free: int | None, amounts: Amounts) -> int:
        """Off these amounts, from the place on; `free` lines where lines are assigned, else None."""
        if free is None:
            return self._less(self.rest[place], place, amounts)
        of_layer = min(self.sums[place], _sum_over(self.per_line[place], free))
        return self._less(self.after[place], place, amounts) + _kept(of_layer, self.parts[place])

    def most_with(self, candidate: Candidate, lines: int, free: int, amounts: Amounts, *, is_last: bool) -> int:
        """The same, where the candidate gets these lines and those after it in its layer the others."""
        place = candidate.index
        limit, each = self.alone[place]
        own = _kept(min(limit, _sum_over(each, lines)), self.parts[place])
        if is_last:
            return own + self._less(self.after[place], place, amounts)
        return own + self.most(place + 1, free & ~lines, amounts)

    def _less(self, off: int, place: int, amounts: Amounts) -> int:
        if not (part := self.parts[place]):
            return off
        seen = self.amounts
        return off - part * (seen.pays - seen.shipping - amounts.pays + amounts.shipping) // _WHOLE


def _sum_over(each: Mapping[int, int], lines: int) -> int:
    return sum([off for at, off in each.items() if lines >> at & 1])


def _kept(off: int, part: int) -> int:
    """What taking this off gains, where that part of it would have been taken off later anyway; rounded up."""
    return -(-off * (_WHOLE - part) // _WHOLE) if part else off


def outlook(basket: Basket, amounts: Amounts, standing: int, first: int) -> Outlook:
    """Of the candidates in `standing`, a mask, from the place `first` on."""
    candidates = basket.candidates
    count = len(candidates)
    rest, ends, sums, parts = [[0] * (count + 1) for _ in range(4)]
    per_line: list[Mapping[int, int]] = [{}] * (count + 1)
    alone: list[tuple[int, Mapping[int, int]]] = [(0, {})] * (count + 1)
    later = amounts.at_layer()  # a layer that has not begun begins with no more than this
    current = candidates[first].layer if first < count else None
    goods = amounts.pays - amounts.shipping
    layer, seen = None, amounts
    total = after = summed = part = 0
    best: dict[int, int] = {}
    families: dict[str, int] = {}
    for place in range(count - 1, first - 1, -1):
        candidate = candidates[place]
        if candidate.layer is not layer:
            layer = candidate.layer
            seen = amounts if layer is current else later
            after, summed, best, families = total, 0, {}, {}
        if standing & candidate.bit:
            limit, each = alone[place] = most(basket, candidate, seen)
            if layer.pick == "one_per_line":
                summed += limit
                if better := {at: off for at, off in each.items() if off > best.get(at, 0)}:
                    best = {**best, **better}
                total = after + _kept(min(summed, sum(best.values())), part)
            elif (family := candidate.family) is not None:
                known = families.get(family, 0)
                if limit > known:
                    total += _kept(limit - known, part)
                    families[family] = limit
            elif limit and (rate := candidate.rate_of_running):
                of_goods = rate * (_WHOLE - part)
                total += -(-of_goods * goods // (_WHOLE * _WHOLE_RATE)) + candidate.pieces
                part -= -of_goods // _WHOLE_RATE
            else:
                total += _kept(limit, part)
        rest[place], ends[place], sums[place], parts[place], per_line[place] = total, after, summed, part, best
    return Outlook(amounts, rest, ends, sums, parts, per_line, alone)


def most(basket: Basket, candidate: Candidate, amounts: Amounts) -> tuple[int, Mapping[int, int]]:
    """The most the candidate can take off now or later, of all lines together and of each one."""
    best = _best_value(basket, candidate, amounts)
    if best is None:
        return 0, {}
    value, times = best
    promotion = candidate.promotion
    if candidate.is_shipping:
        off = value * times
        if promotion.kind == Kind.PERCENT_OFF:
            off = divide(value * (basket.shipping or 0), _WHOLE_RATE, "up") * times
        limit = min(off, amounts.shipping)
        return (limit if promotion.max_discount is None else min(limit, promotion.max_discount)), {}
    running = amounts.running
    works = [at for at in candidate.covered if running[at] > 0]
    if not works:
        return 0, {}
    if candidate.is_of_order:
        limit = value * times
        each: Mapping[int, int] = {at: min(running[at], limit) for at in works}
    else:
        limit, each = _of_units(basket, candidate, amounts, works, value)
    if promotion.max_discount is not None and limit > promotion.max_discount:
        limit = promotion.max_discount
    return min(limit, sum(each.values())), each


def _best_value(basket: Basket, candidate: Candidate, amounts: Amounts) -> tuple[int, int] | None:
    """The best value of the tiers within reach and how often it counts; None if no tier is."""
    promotion, tiers = candidate.promotion, candidate.tiers
    measure = promotion.measure
    if promotion.min_qty is not None and promotion.min_qty > candidate.pieces:
        return None
    groups = 1 if promotion.measure_over == "scope" else len(candidate.covered)
    if measure == "none":
        return tiers[0][1], groups
    if measure == "quantity":
        reach = candidate.pieces
    else:
        base = basket.base(candidate.threshold_base, amounts)
        reach = sum(base) if candidate.measure_all else sum([base[at] for at in candidate.covered])
    if len(tiers) > 1:
        values = [value for minimum, value in tiers if minimum <= reach]
        if not values:
            return None
        is_price = promotion.kind in (Kind.FIXED_PRICE, Kind.BUNDLE_PRICE)
        return (min(values) if is_price else max(values)), groups
    minimum, value = tiers[0]
    if minimum > reach:
        return None
    if not promotion.repeat:
        return value, groups
    times = reach // minimum
    return value, times if promotion.max_times is None else min(times, promotion.max_times * groups)


def _of_units(
    basket: Basket, candidate: Candidate, amounts: Amounts, works: Sequence[int], value: int
) -> tuple[int, Mapping[int, int]]:
    promotion = candidate.promotion
    kind = promotion.kind
    running, qty = amounts.running, basket.qty
    if kind == Kind.BUNDLE_PRICE:
        size = promotion.of or 1
        dearest = max([-(-running[at] // qty[at]) for at in works])
        limit = candidate.sets * max(0, size * dearest - value)
        return limit, {at: min(running[at], limit) for at in works}
    base = running if kind == Kind.FIXED_PRICE else basket.base(candidate.effect_base, amounts)
    units = promotion.max_units
    if kind == Kind.NTH_PIECE:
        units = candidate.sets * (promotion.take or 0)
    if units is None:
        if kind == Kind.PERCENT_OFF and candidate.layer.round_at != "unit":
            return _of_rate(basket, candidate, base, amounts, works, value)
        mode = candidate.layer.rounding
        each = {at: min(running[at], _of_line(kind, base[at], qty[at], value, mode)) for at in works}
        return sum(each.values()), each
    # Which units it will be hangs on the amounts then: as if they were the dearest, each rounded up.
    per_unit = [_of_unit(kind, -(-base[at] // qty[at]), value, "up") for at in works]
    limit = units * max(per_unit)
    if basket.rules.per_piece and kind != Kind.FIXED_PRICE:  # what does not fit tops other lines up
        return limit, {at: running[at] for at in works}
    return limit, {at: min(running[at], off * min(units, qty[at])) for at, off in zip(works, per_unit, strict=True)}


def _of_line(kind: str, amount: int, quantity: int, value: int, mode: str) -> int:
    """Of all units of a line, the dearer ones and the others."""
    unit, dearer = divmod(amount, quantity)
    off = _of_unit(kind, unit, value, mode) * (quantity - dearer)
    return off + _of_unit(kind, unit + 1, value, mode) * dearer if dearer else off


def _of_unit(kind: str, unit: int, value: int, mode: str) -> int:
    if kind == Kind.FIXED_PRICE:
        return max(0, unit - value)
    return min(value, unit) if kind == Kind.AMOUNT_OFF else divide(value * unit, _WHOLE_RATE, mode)


def _of_rate(
    basket: Basket, candidate: Candidate, base: Sequence[int], amounts: Amounts, works: Sequence[int], rate: int
) -> tuple[int, Mapping[int, int]]:
    running, mode = amounts.running, candidate.layer.rounding
    if candidate.layer.round_at == "line":
        each = {at: min(running[at], divide(rate * base[at], _WHOLE_RATE, mode)) for at in works}
        return sum(each.values()), each
    total = divide(rate * sum([base[at] for at in works]), _WHOLE_RATE, mode)
    if basket.rules.per_piece:
        return total, {at: running[at] for at in works}
    return total, {at: min(running[at], divide(rate * base[at], _WHOLE_RATE, "up")) for at in works}


def surely_discounted(basket: Basket, candidate: Candidate, amounts: Amounts, lines: Sequence[int]) -> list[int]:
    """Those of the lines that the candidate discounts whichever others of them it sees too, if it qualifies at all.

    Such a line is left to nobody: a used promotion takes every line that it would discount.
    """
    promotion, layer = candidate.promotion, candidate.layer
    per_set = promotion.kind in (Kind.NTH_PIECE, Kind.BUNDLE_PRICE)
    if per_set or promotion.max_amount is not None or promotion.max_units is not None:
        return []
    if promotion.measure_over != "scope":
        return []
    values = [value for _, value in candidate.tiers]
    least = max(values) if promotion.kind == Kind.FIXED_PRICE else min(values)
    qty, running = basket.qty, amounts.running
    if candidate.is_of_order:
        if basket.rules.per_piece:
            each = dict.fromkeys(lines, least // sum(qty[at] for at in lines))
        else:
            weights = basket.base(candidate.weight_base, amounts)
            whole = sum(weights[at] for at in lines) or 1
            each = {at: least * weights[at] // whole for at in lines}
    elif promotion.kind == Kind.PERCENT_OFF and layer.round_at != "unit":
        base = basket.base(candidate.effect_base, amounts)
        if layer.round_at == "line":
            each = {at: divide(least * base[at], _WHOLE_RATE, layer.rounding) for at in lines}
        else:  # the rounded sum is less than one unit below the exact one, and so is a share of it
            each = {at: least * base[at] // _WHOLE_RATE - 1 for at in lines}
    else:
        base = running if promotion.kind == Kind.FIXED_PRICE else basket.base(candidate.effect_base, amounts)
        each = {at: _of_unit(promotion.kind, -(-base[at] // qty[at]), least, layer.rounding) for at in lines}
    if promotion.max_discount is not None:
        whole = sum(most(basket, candidate, amounts)[1].values()) or 1
        each = {at: promotion.max_discount * min(off, running[at]) // whole for at, off in each.items()}
    return [at for at, off in each.items() if off > 0]
