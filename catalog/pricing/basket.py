"""A request made ready to compute with: lines and candidates in their order, and what each line stands at."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
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
    pays: int  # the sum of what is running, and the shipping

    def at_layer(self) -> "Amounts":
        """The same, at the beginning of a layer."""
        running = self.running
        return self if self.layer is running else Amounts(running, self.item, running, self.shipping, self.pays)


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
        "pieces",
        "promotion",
        "rate_of_running",
        "rebase",
        "sets",
        "threshold_base",
        "tiers",
        "weight_base",
    )

    def __init__(self, promotion: Promotion, layer: Layer, covered: tuple[int, ...], qty: tuple[int, ...]) -> None:
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
        of_covered = sum([qty[at] for at in covered])
        self.pieces = sum(qty) if self.measure_all else of_covered  # that a threshold of pieces counts at most
        self.sets = _sets(promotion, of_covered, len(covered))
        self.rate_of_running = 0  # where it is a percentage of all that is still to be paid, without a limit
        if (
            promotion.kind == Kind.PERCENT_OFF
            and self.effect_base == "running"
            and len(self.tiers) == 1
            and len(covered) == len(qty)
            and promotion.max_discount is None
            and promotion.max_units is None
            and layer.name != SHIPPING
        ):
            self.rate_of_running = self.tiers[0][1]
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

    __slots__ = ("_fixed", "candidates", "lines", "list", "live", "qty", "rules", "shipping", "start")

    def __init__(self, request: Request, rules: RuleSet, promotions: Iterable[Promotion]) -> None:
        self.rules = rules
        self.lines: tuple[Line, ...] = tuple(sorted(request.lines, key=lambda line: line.id))
        self.qty = tuple(line.qty for line in self.lines)
        self.list = tuple(None if line.list is None else line.list * line.qty for line in self.lines)
        self.live = tuple(None if line.live is None else line.live * line.qty for line in self.lines)
        self.start = self.live if request.basis == "live" else self.list
        # Where a price is not known nobody reads it, see `cannot_tell`.
        self._fixed = {name: _known(getattr(self, name)) for name in ("list", "live", "start")}
        self.shipping = request.shipping
        everything = tuple(range(len(self.lines)))
        places = {layer.name: (place, layer) for place, layer in enumerate(rules.layers)}
        ordered = sorted(promotions, key=lambda each: (places[each.layer][0], each.priority, each.id))
        self.candidates: list[Candidate] = []
        for index, promotion in enumerate(ordered):
            scope = promotion.scope
            covered = everything if scope is None else tuple(at for at in everything if scope.covers(self.lines[at]))
            candidate = Candidate(promotion, places[promotion.layer][1], covered, self.qty)
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
        start, shipping = self._fixed["start"], self.shipping or 0
        return Amounts(start, start, start, shipping, sum(start) + shipping)

    def base(self, name: str, amounts: Amounts) -> Sequence[int]:
        """Line amounts of a base."""
        fixed = self._fixed.get(name)
        return getattr(amounts, name) if fixed is None else fixed

    def applied(self, candidate: Candidate, discounts: Sequence[tuple[int, int]], amounts: Amounts) -> Amounts:
        """The amounts after the candidate's discounts, (line, minor units) each; of shipping where it is for that."""
        running, item, layer, shipping, pays = amounts
        if candidate.is_shipping:
            off = sum([discount for _, discount in discounts])
            return Amounts(running, item, layer, shipping - off, pays - off)
        now = list(running)
        for at, discount in discounts:
            now[at] -= discount
            pays -= discount
        if candidate.rebase:
            lowered = list(item)
            for at, discount in discounts:
                lowered[at] -= discount
            item = tuple(lowered)
        return Amounts(tuple(now), item, layer, shipping, pays)


def _known(amounts: tuple[int | None, ...]) -> tuple[int, ...]:
    return amounts if None not in amounts else tuple(amount or 0 for amount in amounts)  # type: ignore[return-value]


def _sets(promotion: Promotion, pieces: int, lines: int) -> int:
    """The most sets of pieces that its lines hold, all together; 0 for a promotion without sets."""
    if promotion.kind not in (Kind.NTH_PIECE, Kind.BUNDLE_PRICE) or promotion.unknown:
        return 0
    sets = pieces // (promotion.of or 1)
    if promotion.max_times is None:
        return sets
    return min(sets, promotion.max_times * (1 if promotion.measure_over == "scope" else lines))


def mask_of(lines: Iterable[int]) -> int:
    mask = 0
    for at in lines:
        mask |= 1 << at
    return mask


@lru_cache(maxsize=4_096)
def lines_of(mask: int) -> tuple[int, ...]:
    """Positions of the set bits, ascending."""
    lines = []
    while mask:
        low = mask & -mask
        lines.append(low.bit_length() - 1)
        mask ^= low
    return tuple(lines)
