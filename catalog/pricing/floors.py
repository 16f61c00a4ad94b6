"""The least that a buyer of one unit can pay, for very many goods at once: never more than what `quote` answers.

It looks at no combination: each promotion is taken at the most that it could do, one after the other in the order of
the rule set, and of promotions that exclude each other the one that does most. What comes out decides which goods
have to be quoted at all.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

import numpy as np
import numpy.typing as npt

from catalog.pricing.model import Kind, Promotion
from catalog.pricing.rulesets import Layer, RuleSet

Integers = npt.NDArray[np.int64]

NEVER = np.iinfo(np.int64).max  # a price that lowers none
_WHOLE_RATE = 10_000
# What makes whole units of ten-thousandths when it is added before the rest is cut off; never less than the mode's.
_HALVES = {"half_up": 5_000, "half_down": 4_999, "half_even": 5_000, "up": 9_999, "down": 0}


@dataclass(frozen=True, slots=True)
class Goods:
    """Unit prices by row, minor units; `start` in the basis of the request, `highest` the highest of all bases."""

    start: Integers
    highest: Integers


class Floors:
    """What each of some promotions can do to each of some goods, worked out once for many moments and rule sets.

    `covered` are the rows that each promotion covers, None all. A promotion in `blind` may do anything: nobody knows.
    """

    def __init__(
        self,
        goods: Goods,
        promotions: Sequence[Promotion],
        covered: Sequence[Integers | None],
        blind: Collection[int] = (),
    ) -> None:
        self._goods = goods
        # No discount is above the highest price; a rate times it still is an int64.
        self._most = int(goods.highest.max(initial=0)) + _WHOLE_RATE
        self._promotions = promotions
        self._covered = covered
        self._blind = blind
        self._best = [
            None if place in blind else self._best_values(promotion, covered[place])
            for place, promotion in enumerate(promotions)
        ]

    def lowest(self, places: Sequence[int], rules: RuleSet, rows: Integers) -> Integers:
        """Of these rows with these promotions, by their places; -1 where a blind one covers the row."""
        layers = {layer.name: (number, layer) for number, layer in enumerate(rules.layers)}
        promotions = self._promotions
        seeing = sorted(
            (place for place in places if place not in self._blind),
            key=lambda place: (layers[promotions[place].layer][0], promotions[place].priority, promotions[place].id),
        )
        left = self._goods.start[rows]
        bases = {"start": left, "item": left, "list": self._goods.highest[rows], "live": self._goods.highest[rows]}
        follows = self._may_follow(seeing, rules)
        for name, members in groupby(seeing, key=lambda place: promotions[place].layer):
            layer = layers[name][1]
            bases["layer"] = left if follows else bases["start"]
            if layer.pick == "many":
                left = self._many(left, list(members), layer, bases, rows)
            else:
                left = np.minimum.reduce([self._after(place, layer, left, bases, rows) for place in members])
            if layer.item_flagged and follows:
                bases["item"] = left
        if follows:
            left = np.maximum(left - len(seeing), 0)  # what their roundings may be worth
        for place in places:
            if place in self._blind:
                covered = self._covered[place]
                left[slice(None) if covered is None else np.isin(rows, covered)] = -1
        return left

    def _may_follow(self, places: Sequence[int], rules: RuleSet) -> bool:
        """Whether the bases of items and layers may be taken as low as they can come to be.

        Less is left in the end the lower such a base is, as long as it is all that is left when it is set, and nothing
        after it sets a price: then each step takes a part of it, or something that does not hang on it.
        """
        flagged = {layer.name: layer for layer in takewhile(lambda layer: layer.item_flagged, rules.layers)}
        if any(layer.item_flagged and layer.name not in flagged for layer in rules.layers):
            return False
        for place in places:
            promotion = self._promotions[place]
            layer = flagged.get(promotion.layer)
            if layer is None:
                if promotion.kind in (Kind.FIXED_PRICE, Kind.BUNDLE_PRICE):
                    return False
            elif not (promotion.rebase if layer.rebase is None else layer.rebase):
                return False
        return True

    def may_do(self, place: int, row: int) -> bool:
        """False where the promotion cannot take anything off, whatever else there is."""
        if place in self._blind:
            return True
        values = self._best[place]
        if values is None:
            return False
        is_price = self._promotions[place].kind in (Kind.FIXED_PRICE, Kind.BUNDLE_PRICE)
        return bool(values[row] != (NEVER if is_price else 0))

    def _many(
        self, begun: Integers, members: Sequence[int], layer: Layer, bases: Mapping[str, Integers], rows: Integers
    ) -> Integers:
        """Of a family at most one is used; it takes off no more than it would where the layer begins."""
        left = begun
        families: dict[object, Integers] = {}
        for place in members:
            family = _family(self._promotions[place])
            if family is None:
                left = self._after(place, layer, left, bases, rows)
                continue
            off = begun - self._after(place, layer, begun, bases, rows)
            known = families.get(family)
            families[family] = off if known is None else np.maximum(known, off)
        for off in families.values():
            left = np.maximum(left - off, 0)
        return left

    def _after(
        self, place: int, layer: Layer, left: Integers, bases: Mapping[str, Integers], rows: Integers
    ) -> Integers:
        """What is left after the promotion at the most that it can do; less where there was less before."""
        promotion, values = self._promotions[place], self._best[place]
        if values is None:
            return left
        best = values[rows]
        if promotion.kind in (Kind.FIXED_PRICE, Kind.BUNDLE_PRICE):
            after = np.minimum(left, best)
        elif promotion.kind == Kind.AMOUNT_OFF:
            after = np.maximum(left - best, 0)
        else:
            base = promotion.effect_base or layer.effect_base
            off = (best * bases.get(base, left) + _HALVES[layer.rounding]) // _WHOLE_RATE
            after = np.maximum(left - off, 0)
        cap = promotion.max_discount
        return after if cap is None else np.maximum(after, left - cap)

    def _best_values(self, promotion: Promotion, covered: Integers | None) -> Integers | None:
        """By row, the best value of the tiers in reach of one unit, as often as it counts; None: it does nothing."""
        per_set = promotion.kind in (Kind.NTH_PIECE, Kind.BUNDLE_PRICE)
        if (per_set and promotion.of != 1) or (promotion.min_qty is not None and promotion.min_qty > 1):
            return None
        is_price = promotion.kind in (Kind.FIXED_PRICE, Kind.BUNDLE_PRICE)
        better = np.minimum if is_price else np.maximum
        nothing = NEVER if is_price else 0
        count = len(self._goods.start)
        rows = np.arange(count) if covered is None else covered
        reach = self._goods.highest[rows] if promotion.measure == "amount" else np.ones(len(rows), np.int64)
        found = np.full(len(rows), nothing, np.int64)
        for minimum, value in promotion.steps:
            better(found, min(value, self._most), out=found, where=(reach >= minimum) | (promotion.measure == "none"))
        if promotion.repeat:
            minimum, value = promotion.steps[0]
            enough = self._most // value + 1  # more would only overflow
            times = np.minimum(reach // minimum, enough if promotion.max_times is None else promotion.max_times)
            found *= np.minimum(times, enough)
        if (found == nothing).all():
            return None
        best = np.full(count, nothing, np.int64)
        best[rows] = found
        return best


def _family(promotion: Promotion) -> object:
    """What at most one promotion of a layer is used of in a basket of one line; None: it excludes none of its layer."""
    if promotion.groups:
        return min(promotion.groups)
    if promotion.combines is not None and promotion.standing not in promotion.combines:
        return (promotion.standing,)
    return None
