"""A request made ready to compute with: lines and candidates in their order, and what each line stands at."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from catalog.pricing.model import Kind, Line, Promotion, Request
from catalog.pricing.reasons import CannotTell
from catalog.pricing.rulesets import SHIPPING, Layer, RuleSet


class Amounts(NamedTuple):
    """What the lines stand at, in the order of their ids: whole lines, minor units."""

    running: tuple[int, ...]
    item: tuple[int, ...]
    layer: tuple[int, ...]  # when the current layer began
    shipping: int

    @property
    def pays(self) -> int:
        return sum(self.running) + self.shipping

    def at_layer(self) -> "Amounts":
        """The same, at the beginning of a layer."""
        return self if self.layer is self.running else Amounts(self.running, self.item, self.running, self.shipping)


class Candidate:
    """A promotion that may be used in the basket, with what the rule set says where it says nothing itself."""

    __slots__ = (
        "auto",
        "bit",
        "covered",
        "effect_base",
        "family",
        "id",
        "index",
        "is_of_order",
        "is_shipping",
        "layer",
        "line_labels",
        "mask",
        "measure_all",
        "promotion",
        "rebase",
        "threshold_base",
        "tiers",
        "weight_base",
    )

    def __init__(self, promotion: Promotion, layer: Layer, covered: tuple[int, ...]) -> None:
        self.promotion = promotion
        self.layer = layer
        self.covered = covered  # lines in scope, by position
        self.index = 0  # in the order of evaluation
        self.bit = 1
        self.id = promotion.id
        self.auto = promotion.auto
        self.mask = mask_of(covered)
        self.tiers = promotion.steps if not promotion.unknown else ()
        self.threshold_base = promotion.threshold_base or layer.threshold_base
        self.effect_base = promotion.effect_base or layer.effect_base
        self.weight_base = promotion.weight_base or layer.weight_base
        self.measure_all = (promotion.measure_lines or layer.measure_lines) == "basket"
        self.rebase = layer.item_flagged and (promotion.rebase if layer.rebase is None else layer.rebase)
        self.is_shipping = layer.name == SHIPPING
        self.is_of_order = promotion.kind == Kind.AMOUNT_OFF and promotion.per == "order"
        self.line_labels = frozenset(label for label in promotion.groups if label.startswith("line:"))
        # Of a family at most one is used: of those that share a label, or of a layer that picks one.
        self.family = "" if layer.pick == "one" else min(promotion.groups - self.line_labels, default=None)

    def needed_bases(self, *, per_piece: bool) -> Iterable[tuple[str, bool]]:
        """The bases that the arithmetic reads, and whether of all lines rather than those covered."""
        promotion = self.promotion
        if promotion.measure == "amount" or promotion.max_amount is not None:
            yield self.threshold_base, self.measure_all
        if self.is_shipping:
            return
        if self.is_of_order:
            if not per_piece:
                yield self.weight_base, False
        elif promotion.kind in (Kind.AMOUNT_OFF, Kind.PERCENT_OFF, Kind.NTH_PIECE):
            yield self.effect_base, False


class Basket:
    """Lines in the order of their ids, candidates in the order of evaluation."""

    __slots__ = ("candidates", "lines", "list", "live", "qty", "rules", "shipping", "start")

    def __init__(self, request: Request, rules: RuleSet, promotions: Iterable[Promotion]) -> None:
        self.rules = rules
        self.lines: tuple[Line, ...] = tuple(sorted(request.lines, key=lambda line: line.id))
        self.qty = tuple(line.qty for line in self.lines)
        self.list = tuple(None if line.list is None else line.list * line.qty for line in self.lines)
        self.live = tuple(None if line.live is None else line.live * line.qty for line in self.lines)
        self.start = self.live if request.basis == "live" else self.list
        self.shipping = request.shipping
        everything = tuple(range(len(self.lines)))
        places = {layer.name: (place, layer) for place, layer in enumerate(rules.layers)}
        ordered = sorted(promotions, key=lambda each: (places[each.layer][0], each.priority, each.id))
        self.candidates: list[Candidate] = []
        for index, promotion in enumerate(ordered):
            scope = promotion.scope
            covered = everything if scope is None else tuple(at for at in everything if scope.covers(self.lines[at]))
            candidate = Candidate(promotion, places[promotion.layer][1], covered)
            candidate.index, candidate.bit = index, 1 << index
            self.candidates.append(candidate)

    def cannot_tell(self) -> str:
        """Why no price can be told; "" if one can: a price, a fact or a base that is not known."""
        for at, price in enumerate(self.start):
            if price is None:
                return f"{CannotTell.PRICE}:{self.lines[at].id}"
        for candidate in self.candidates:
            if candidate.promotion.unknown:
                return f"{CannotTell.UNKNOWN}:{candidate.id}"
            for name, of_all in candidate.needed_bases(per_piece=self.rules.per_piece):
                amounts = self.list if name == "list" else self.live if name == "live" else ()
                read = amounts if of_all else [amounts[at] for at in candidate.covered] if amounts else ()
                if None in read:
                    return f"{CannotTell.BASE}:{candidate.id}"
        return ""

    def at_start(self) -> Amounts:
        start = self._known(self.start)
        return Amounts(start, start, start, self.shipping or 0)

    def base(self, name: str, amounts: Amounts) -> Sequence[int]:
        """Line amounts of a base; where a price is not known nobody reads it, see `cannot_tell`."""
        if name == "running":
            return amounts.running
        if name == "item":
            return amounts.item
        if name == "layer":
            return amounts.layer
        return self._known(getattr(self, name))

    @staticmethod
    def _known(amounts: tuple[int | None, ...]) -> tuple[int, ...]:
        return amounts if None not in amounts else tuple(amount or 0 for amount in amounts)  # type: ignore[return-value]

    def applied(self, candidate: Candidate, discounts: Sequence[tuple[int, int]], amounts: Amounts) -> Amounts:
        """The amounts after the candidate's discounts, (line, minor units) each; of shipping where it is for that."""
        if candidate.is_shipping:
            return amounts._replace(shipping=amounts.shipping - sum(discount for _, discount in discounts))
        running = list(amounts.running)
        for at, discount in discounts:
            running[at] -= discount
        item = amounts.item
        if candidate.rebase:
            lowered = list(item)
            for at, discount in discounts:
                lowered[at] -= discount
            item = tuple(lowered)
        return Amounts(tuple(running), item, amounts.layer, amounts.shipping)


def mask_of(lines: Iterable[int]) -> int:
    mask = 0
    for at in lines:
        mask |= 1 << at
    return mask


def lines_of(mask: int) -> list[int]:
    """Positions of the set bits, ascending."""
    lines = []
    while mask:
        low = mask & -mask
        lines.append(low.bit_length() - 1)
        mask ^= low
    return lines
