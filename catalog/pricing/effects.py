"""What a promotion takes off the lines it works on (pricing contract 3.6): one group, one value, lines in id order."""

from collections.abc import Sequence
from fractions import Fraction

from catalog.pricing.apportionment import spread, spread_per_piece, top_up_per_piece
from catalog.pricing.basket import Amounts, Basket, Candidate
from catalog.pricing.model import Kind
from catalog.pricing.rounding import divide, unit_blocks

_WHOLE_RATE = 10_000
Blocks = list[tuple[int, int]]  # (amount of one unit, how many of them)


class Group:
    """Lines that one discount works on: all have something left to pay."""

    __slots__ = ("amounts", "basket", "candidate", "lines", "pieces", "rooms")

    def __init__(self, basket: Basket, candidate: Candidate, amounts: Amounts, lines: Sequence[int]) -> None:
        self.basket = basket
        self.candidate = candidate
        self.amounts = amounts
        self.lines = lines
        running, qty = amounts.running, basket.qty
        self.rooms = [running[at] for at in lines]
        self.pieces = [qty[at] for at in lines]

    def of(self, base: str) -> list[int]:
        amounts = self.basket.base(base, self.amounts)
        return [amounts[at] for at in self.lines]

    def per_piece_order(self) -> list[int]:
        """WooCommerce sorts by line amount x pieces, though the amount counts them already."""
        item, qty, lines = self.amounts.item, self.basket.qty, self.lines
        return sorted(range(len(lines)), key=lambda spot: -item[lines[spot]] * qty[lines[spot]])


def discounts(group: Group, value: int, times: int) -> list[int]:
    """What each line of the group gets off, never more than it has left."""
    candidate = group.candidate
    kind = candidate.promotion.kind
    if candidate.is_of_order:
        shares = _amount_off(group, value * times)
    elif kind == Kind.PERCENT_OFF:
        shares = _percent_off(group, value)
    elif kind == Kind.AMOUNT_OFF:
        shares = _amount_off_each(group, value)
    elif kind == Kind.FIXED_PRICE:
        shares = [
            sum([max(0, unit - value) * count for unit, count in blocks])
            for blocks in _chosen_units(group, group.rooms)
        ]
    elif kind == Kind.NTH_PIECE:
        shares = _percentage_of_units(group, value, _cheapest_of_sets(group))
    else:
        shares = _bundle(group, value)
    cap = candidate.promotion.max_discount
    return shares if cap is None or sum(shares) <= cap else spread(cap, shares, shares, redistribute=False)


def shipping_discount(basket: Basket, candidate: Candidate, amounts: Amounts, value: int, times: int) -> int:
    """What one group takes off the shipping, before the cap: its base is the shipping, its thresholds measure goods."""
    if candidate.promotion.kind == Kind.AMOUNT_OFF:
        return value * times
    base = amounts.shipping if candidate.effect_base == "running" else basket.shipping or 0
    return divide(value * base, _WHOLE_RATE, candidate.layer.rounding)


def _amount_off(group: Group, amount: int) -> list[int]:
    rules = group.basket.rules
    if rules.per_piece:
        return spread_per_piece(amount, group.per_piece_order(), group.pieces, group.rooms)
    return spread(amount, group.of(group.candidate.weight_base), group.rooms, redistribute=rules.redistribute)


def _amount_off_each(group: Group, value: int) -> list[int]:
    chosen = _chosen_units(group, group.of(group.candidate.effect_base))
    return [
        min(room, sum([min(value, unit) * count for unit, count in blocks]))
        for room, blocks in zip(group.rooms, chosen, strict=True)
    ]


def _chosen_units(group: Group, base: Sequence[int]) -> list[Blocks]:
    """The units of each line that get the effect: all, or the first `max_units`, the dearest line first."""
    pieces = group.pieces
    limit = group.candidate.promotion.max_units
    if limit is None:
        return [unit_blocks(amount, count, count) for amount, count in zip(base, pieces, strict=True)]
    if group.basket.rules.per_piece:
        order = group.per_piece_order()
    else:
        order = sorted(range(len(base)), key=lambda spot: Fraction(-base[spot], pieces[spot]))
    chosen: list[Blocks] = [[] for _ in base]
    for spot in order:
        count = min(limit, pieces[spot])
        chosen[spot] = unit_blocks(base[spot], pieces[spot], count)
        limit -= count
    return chosen


def _percent_off(group: Group, rate: int) -> list[int]:
    candidate = group.candidate
    base = group.of(candidate.effect_base)
    if candidate.promotion.max_units is None and candidate.layer.round_at != "unit":
        return _percentage(group, rate, base)
    return _percentage_of_units(group, rate, _chosen_units(group, base))


def _percentage_of_units(group: Group, rate: int, chosen: Sequence[Blocks]) -> list[int]:
    layer = group.candidate.layer
    if layer.round_at != "unit":
        return _percentage(group, rate, [sum([unit * count for unit, count in blocks]) for blocks in chosen])
    shares = [
        sum([divide(rate * unit, _WHOLE_RATE, layer.rounding) * count for unit, count in blocks]) for blocks in chosen
    ]
    return list(map(min, shares, group.rooms))


def _percentage(group: Group, rate: int, sums: Sequence[int]) -> list[int]:
    """Of the sums that the lines bring in, rounded by line or once for all."""
    layer = group.candidate.layer
    if layer.round_at == "line":
        return list(map(min, [divide(rate * each, _WHOLE_RATE, layer.rounding) for each in sums], group.rooms))
    total = divide(rate * sum(sums), _WHOLE_RATE, layer.rounding)
    if group.basket.rules.per_piece:
        floors = [rate * each // _WHOLE_RATE for each in sums]
        return top_up_per_piece(total, floors, group.per_piece_order(), group.pieces, group.rooms)
    return spread(total, sums, group.rooms, redistribute=False)


def _sets(group: Group) -> int:
    promotion = group.candidate.promotion
    assert promotion.of is not None  # noqa: S101 - `validity` has seen to it
    sets = sum(group.pieces) // promotion.of
    return sets if promotion.max_times is None else min(sets, promotion.max_times)


def _taken(group: Group, base: Sequence[int], units: int, *, dearest: bool) -> list[Blocks]:
    """The cheapest or the dearest units of all lines together; equal ones from the first line on."""
    sign = -1 if dearest else 1
    blocks = [
        (sign * unit, spot, count)
        for spot, (amount, pieces) in enumerate(zip(base, group.pieces, strict=True))
        for unit, count in unit_blocks(amount, pieces, pieces)
    ]
    blocks.sort()
    taken: list[Blocks] = [[] for _ in base]
    for signed, spot, count in blocks:
        if not units:
            break
        some = min(units, count)
        taken[spot].append((sign * signed, some))
        units -= some
    return taken


def _cheapest_of_sets(group: Group) -> list[Blocks]:
    units = _sets(group) * (group.candidate.promotion.take or 0)
    return _taken(group, group.of(group.candidate.effect_base), units, dearest=False)


def _bundle(group: Group, price: int) -> list[int]:
    sets = _sets(group)
    rooms = group.rooms
    chosen = _taken(group, rooms, sets * (group.candidate.promotion.of or 0), dearest=True)
    sums = [sum([unit * count for unit, count in blocks]) for blocks in chosen]
    return spread(max(0, sum(sums) - sets * price), sums, rooms, redistribute=False)
