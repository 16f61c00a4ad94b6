"""One promotion at its turn: does it qualify, and what does it take off (pricing contract 3.4 to 3.6)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from catalog.pricing.basket import Amounts, Basket, Candidate
from catalog.pricing.effects import Group, discounts, shipping_discount
from catalog.pricing.reasons import NotUsed


class Outcome(NamedTuple):
    """What a promotion does; `reason` is "" where it takes something off, else why it does not.

    `discounts` are (line, minor units), or one pair of no line (-1) for shipping.
    """

    reason: str
    discounts: Sequence[tuple[int, int]] = ()
    measured: int = 0
    minimum: int = 0

    @property
    def total(self) -> int:
        return sum(discount for _, discount in self.discounts)


_Qualified = tuple[int, int, int, int]  # measured, minimum, value, times


def evaluate(basket: Basket, candidate: Candidate, amounts: Amounts, seen: Sequence[int]) -> Outcome:
    """The candidate over the lines it sees: all it covers, or those assigned to it; ascending."""
    first: _Qualified | None = None
    first_reason = ""
    shares: list[tuple[int, int]] = []
    off_shipping = 0
    for lines in _groups(basket, candidate, seen):
        qualified = _qualify(basket, candidate, amounts, lines)
        if isinstance(qualified, str):
            first_reason = first_reason or qualified
            continue
        first = first or qualified
        _, _, value, times = qualified
        if candidate.is_shipping:
            off_shipping += shipping_discount(basket, candidate, amounts, value, times)
            continue
        works = working_lines(amounts, lines)
        if works:
            shares += zip(works, discounts(Group(basket, candidate, amounts, works), value, times), strict=True)
    if first is None:
        return Outcome(first_reason)
    if candidate.is_shipping:
        cap = candidate.promotion.max_discount
        off_shipping = min(off_shipping, amounts.shipping, off_shipping if cap is None else cap)
        shares = [(-1, off_shipping)]
    reason = "" if any(discount for _, discount in shares) else NotUsed.NO_EFFECT
    return Outcome(reason, shares, first[0], first[1])


def working_lines(amounts: Amounts, lines: Iterable[int]) -> list[int]:
    """Those with anything left to pay."""
    running = amounts.running
    return [at for at in lines if running[at] > 0]


def _groups(basket: Basket, candidate: Candidate, seen: Sequence[int]) -> Iterable[Sequence[int]]:
    over = candidate.promotion.measure_over
    if over == "scope":
        return (seen,)
    if over == "line":
        return [(at,) for at in seen]
    groups: dict[str, list[int]] = {}
    for at in seen:
        line = basket.lines[at]
        groups.setdefault(line.item or line.id, []).append(at)  # an item that is not known is nobody else's
    return [groups[key] for key in sorted(groups)]


def _qualify(basket: Basket, candidate: Candidate, amounts: Amounts, lines: Sequence[int]) -> _Qualified | str:
    """The tier that is reached, or the reason why none is: gates first, then the greatest minimum."""
    promotion = candidate.promotion
    measure = promotion.measure
    spots = range(len(basket.lines)) if candidate.measure_all else lines
    measured = 0
    if measure == "amount" or promotion.max_amount is not None:
        base = basket.base(candidate.threshold_base, amounts)
        measured = sum([base[at] for at in spots])
        if promotion.max_amount is not None and measured > promotion.max_amount:
            return NotUsed.ABOVE_MAXIMUM
    if measure == "quantity" or promotion.min_qty is not None:
        pieces = sum([basket.qty[at] for at in spots])
        if promotion.min_qty is not None and pieces < promotion.min_qty:
            return NotUsed.BELOW_QUANTITY
        if measure == "quantity":
            measured = pieces
    if measure == "none":
        return measured, 0, candidate.tiers[0][1], 1
    for minimum, value in reversed(candidate.tiers):
        if minimum <= measured:
            times = 1
            if promotion.repeat:
                times = measured // minimum
                if promotion.max_times is not None:
                    times = min(times, promotion.max_times)
            return measured, minimum, value, times
    return NotUsed.BELOW_THRESHOLD
