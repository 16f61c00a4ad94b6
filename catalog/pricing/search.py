"""The allowed plan with the lowest total, and of those the first in the contract's order (pricing contract 3.9).

A depth-first walk over the candidates in the order of evaluation, each used or not; branches that cannot reach the best
plan found so far are left out. Exact, or `OutOfBudget`: what it spends is counted in steps, so that the same request
gives the same answer on every machine.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import NamedTuple

from catalog.pricing.basket import Amounts, Basket, Candidate, lines_of, mask_of
from catalog.pricing.bounds import Outlook, outlook, surely_discounted
from catalog.pricing.conflicts import Conflicts
from catalog.pricing.evaluation import Outcome, evaluate, working_lines

# Steps: places of the walk, sets of lines tried, promotions used, and those looked at to bound what is left.
BUDGET = 2_000
BUDGET_PER_CANDIDATE = 4
FEW = 12  # candidates: a basket of some lines, to be answered even where they can be shared in many ways
BUDGET_OF_FEW = 20_000
LINES_PER_STEP = 5  # where there are more, each step counts as two, and so on
WORTH_LEAVING_OUT = 3  # candidates, to walk over the most promising ones first
PART_FOR_SOME = 8  # of the budget, at most, for that
MOST_USED = 250  # each is a level of the walk


class OutOfBudget(Exception):
    """There are too many ways to combine the promotions."""


class NoPlan(Exception):
    """The automatic promotions cannot all be satisfied."""


class _Hopeless(Exception):
    """No plan on from here comes before the best one found."""


class Use(NamedTuple):
    candidate: Candidate
    lines: int  # that it works on, a mask; in a layer with one promotion per line those assigned to it
    outcome: Outcome
    before: Amounts
    after: Amounts


class _Turn(NamedTuple):
    """A candidate of a layer with one promotion per line, as it was met; no lines: not used."""

    candidate: Candidate
    lines: int
    amounts: Amounts


class _Owed(NamedTuple):
    """An automatic candidate that was left out: one of the mask must still be used, and conflict with it."""

    candidate: Candidate
    mask: int


class _Way(NamedTuple):
    """What is decided so far."""

    amounts: Amounts
    uses: tuple[Use, ...] = ()
    blocked: int = 0  # candidates in conflict with a used one
    owed: tuple[_Owed, ...] = ()


class _Layer(NamedTuple):
    pick: str
    candidates: int  # a mask


class _Assigning(NamedTuple):
    """A layer with one promotion per line; an outcome is that of a candidate with some lines."""

    layer: int
    outcomes: dict[tuple[int, int], Outcome]


# What the contract orders allowed plans by: what is paid, how many are used, which, the lines' amounts, how many lines
# are assigned (the most first), and to which.
_Key = tuple[int, int, list[str], tuple[int, ...], int, list[tuple[str, str]]]


class Search:
    def __init__(self, basket: Basket, conflicts: Conflicts, budget: int | None = None) -> None:
        self.basket = basket
        self.conflicts = conflicts
        count = len(basket.candidates)
        if budget is None:
            budget = BUDGET_OF_FEW if count <= FEW else BUDGET + BUDGET_PER_CANDIDATE * count
        self.budget = budget
        self._step = 1 + (len(basket.lines) - 1) // LINES_PER_STEP
        self.spent = count * self._step
        everyone = (1 << count) - 1
        self._known = outlook(basket, basket.at_start(), everyone, 0)
        # What does nothing on the amounts at the start never will.
        able = [candidate for candidate in basket.candidates if self._known.alone[candidate.index][0]]
        self._able = mask_of(candidate.index for candidate in able)
        groups = [list(group) for _, group in groupby(able, key=lambda candidate: candidate.layer)]
        self._layers = [_Layer(group[0].layer.pick, mask_of(each.index for each in group)) for group in groups]
        self._later: dict[int, int] = {}  # by place: the lines that later candidates of the layer cover
        for group in groups:
            lines = 0
            for candidate in reversed(group):
                self._later[candidate.index] = lines
                lines |= candidate.mask
        self._best: _Key | None = None
        self._best_uses: tuple[Use, ...] = ()

    def best(self) -> tuple[Use, ...]:
        """The used promotions in order; raises OutOfBudget or NoPlan."""
        promising = self._promising()
        if len(self.basket.lines) > 1 and (self._able & ~promising).bit_count() >= WORTH_LEAVING_OUT:
            self._walk_some(promising)
        self._enter(0, _Way(self._known.amounts), self._known)
        if self._best is None:
            raise NoPlan
        return self._best_uses

    def _walk_some(self, promising: int) -> None:
        """A plan without some optional promotions is allowed with them there too: a good one, soon found, leaves little
        of the whole walk to do. It is not looked for at any price.
        """
        able, layers, budget = self._able, self._layers, self.budget
        self._able = promising
        self._layers = [layer._replace(candidates=layer.candidates & promising) for layer in layers]
        self.budget = self.spent + (budget - self.spent) // PART_FOR_SOME
        with suppress(OutOfBudget):
            self._enter(0, _Way(self._known.amounts), self._known)
        self._able, self._layers, self.budget = able, layers, budget

    def _promising(self) -> int:
        """The automatic candidates, and of the optional ones those that may take most off a line or of their family."""
        kept = 0
        best: dict[tuple[str, str | int], tuple[int, int]] = {}
        for candidate in self.basket.candidates:
            if not self._able & candidate.bit:
                continue
            limit, each = self._known.alone[candidate.index]
            rivals: Iterable[tuple[str | int, int]]
            if candidate.auto:
                rivals = ()
            elif candidate.layer.pick == "one_per_line":
                rivals = each.items()
            else:
                rivals = () if candidate.family is None else ((candidate.family, limit),)
            if not rivals:
                kept |= candidate.bit
            for rival, off in rivals:
                key = candidate.layer.name, rival
                best[key] = max(best.get(key, (0, 0)), (off, candidate.bit))
        for _off, bit in best.values():
            kept |= bit
        return kept

    def _standing(self, layer: int, start: int, way: _Way) -> Iterator[Candidate]:
        """The layer's candidates from a place on that conflict with no used one."""
        mask = (self._layers[layer].candidates & ~way.blocked) >> start << start
        while mask:
            low = mask & -mask
            yield self.basket.candidates[low.bit_length() - 1]
            mask ^= low

    def _spend(self, steps: int) -> None:
        self.spent += steps * self._step
        if self.spent > self.budget:
            raise OutOfBudget

    def _enter(self, layer: int, way: _Way, known: Outlook) -> None:
        if layer == len(self._layers):
            if not way.owed:
                self._compare(way)
            return
        way = _Way(way.amounts.at_layer(), way.uses, way.blocked, way.owed)
        if self._layers[layer].pick == "one_per_line":
            free = mask_of(working_lines(way.amounts, range(len(self.basket.lines))))
            self._assign(_Assigning(layer, {}), 0, free, way, (), known)
        else:
            self._pick(layer, 0, way, known)

    def _looked(self, way: _Way, place: int, free: int | None, known: Outlook) -> Outlook:
        """The outlook from here, `known` if that will do; raises _Hopeless if no plan on from here can be the best.

        An outlook from further up the way is too bright, but right; a new one is made where it does not decide.
        """
        if self._best is None:
            return known
        if self._is_hopeless(way, known, place, free):
            raise _Hopeless
        left = (self._able & ~way.blocked) >> place
        if left & (left - 1) and not known.is_of(way.amounts):  # one alone is as soon evaluated
            self._spend(left.bit_count())
            known = outlook(self.basket, way.amounts, self._able & ~way.blocked, place)
            if self._is_hopeless(way, known, place, free):
                raise _Hopeless
        return known

    def _is_hopeless(self, way: _Way, known: Outlook, place: int, free: int | None) -> bool:
        return self._comes_after(way, known.most(place, free, way.amounts), 0)

    def _comes_after(self, way: _Way, most: int, more: int) -> bool:
        """Whether every plan on from here that uses `more` others or more comes after the best one found."""
        assert self._best is not None  # noqa: S101 - asked only once there is one
        pays, best = way.amounts.pays, self._best[0]
        if pays - most != best:
            return pays - most > best
        return len(way.uses) + max(more, pays > best) > self._best[1]

    # Layers that pick many promotions, or one.

    def _pick(self, layer: int, start: int, way: _Way, known: Outlook) -> None:
        for candidate in self._standing(layer, start, way):
            self._spend(1)
            if not _is_payable(way, candidate.index):
                return
            try:
                known = self._looked(way, candidate.index, None, known)
            except _Hopeless:
                return
            outcome = evaluate(self.basket, candidate, way.amounts, candidate.covered)
            if outcome.reason:
                continue
            lines = mask_of(working_lines(way.amounts, candidate.covered))
            if not self._clashes(candidate, lines, way):
                self._pick(layer, candidate.index + 1, self._with(way, candidate, lines, outcome), known)
            if candidate.auto and not self._clashes(candidate, candidate.mask, way):
                owed = self._owe(candidate, way)
                if owed is None:
                    return
                way = owed
        self._enter(layer + 1, way, known)

    def _clashes(self, candidate: Candidate, lines: int, way: _Way) -> bool:
        """Whether it conflicts with a used one where they share a line; those that always do are blocked."""
        return bool(candidate.line_labels) and any(
            self.conflicts.between(candidate, lines, use.candidate, use.lines) for use in way.uses
        )

    def _with(self, way: _Way, candidate: Candidate, lines: int, outcome: Outcome) -> _Way:
        self._spend(1)
        if len(way.uses) == MOST_USED:
            raise OutOfBudget
        owed = way.owed
        if owed:
            owed = tuple(
                each
                for each in owed
                if not self.conflicts.between(each.candidate, each.candidate.mask, candidate, lines)
            )
        after = self.basket.applied(candidate, outcome.discounts, way.amounts)
        return _Way(
            after,
            (*way.uses, Use(candidate, lines, outcome, way.amounts, after)),
            way.blocked | self.conflicts.always(candidate),
            owed,
        )

    def _owe(self, candidate: Candidate, way: _Way) -> _Way | None:
        """The way on without an automatic candidate that would do something; None if nothing later can excuse it."""
        mask = self.conflicts.possible(candidate)
        found = way._replace(owed=(*way.owed, _Owed(candidate, mask)))
        return found if _is_payable(found, candidate.index + 1) else None

    # Layers with one promotion per line.

    def _assign(
        self,
        assigning: _Assigning,
        start: int,
        free: int,
        way: _Way,
        turns: tuple[_Turn, ...],
        known: Outlook,
    ) -> None:
        if free and not free & (free - 1):
            self._assign_one(assigning, start, free, way, turns, known)
            return
        for candidate in self._standing(assigning.layer, start, way) if free else ():
            self._spend(1)
            if not _is_payable(way, candidate.index):
                return
            try:
                known = self._looked(way, candidate.index, free, known)
            except _Hopeless:
                return
            is_last = not self._layers[assigning.layer].candidates >> candidate.index + 1
            for lines in self._choices(candidate, free, way):
                self._spend(1)
                if self._best is not None:
                    most_off = known.most_with(candidate, lines, free, way.amounts, is_last=is_last)
                    if self._comes_after(way, most_off, 1):
                        continue
                outcome = self._assigned(assigning, candidate, lines, way.amounts)
                if outcome.reason or self._clashes(candidate, lines, way):
                    continue
                on = self._with(way, candidate, lines, outcome)
                turn = _Turn(candidate, lines, way.amounts)
                self._assign(assigning, candidate.index + 1, free & ~lines, on, (*turns, turn), known)
            turns = (*turns, _Turn(candidate, 0, way.amounts))
        self._complete(assigning, free, way, turns, known)

    def _assign_one(
        self, assigning: _Assigning, start: int, free: int, way: _Way, turns: tuple[_Turn, ...], known: Outlook
    ) -> None:
        """The same, where one line is free: whoever gets it is the last, so that the most promising one goes first."""
        candidates = [each for each in self._standing(assigning.layer, start, way) if free & each.mask]
        if candidates:
            try:
                known = self._looked(way, candidates[0].index, free, known)
            except _Hopeless:
                return
        hopes = [
            (known.most_with(candidate, free, free, way.amounts, is_last=True), -candidate.index, candidate)
            for candidate in candidates
        ]
        for most_off, _place, candidate in sorted(hopes, reverse=True):
            self._spend(1)
            if self._best is not None and self._comes_after(way, most_off, 1):
                break
            outcome = self._assigned(assigning, candidate, free, way.amounts)
            if not outcome.reason and not self._clashes(candidate, free, way):
                self._enter(assigning.layer + 1, self._with(way, candidate, free, outcome), known)
        left = tuple(_Turn(candidate, 0, way.amounts) for candidate in candidates)
        self._complete(assigning, free, way, (*turns, *left), known)

    def _choices(self, candidate: Candidate, free: int, way: _Way) -> Iterator[int]:
        """The sets of free lines that the candidate may be assigned, the largest first."""
        mask = free & candidate.mask
        must = 0
        if mask & (mask - 1) and (own := mask & ~self._later[candidate.index]):
            must = own & mask_of(surely_discounted(self.basket, candidate, way.amounts, lines_of(mask)))
        return _subsets(mask & ~must, must)

    def _assigned(self, assigning: _Assigning, candidate: Candidate, lines: int, amounts: Amounts) -> Outcome:
        """The outcome for these lines; other lines' promotions do not matter to it unless it measures the basket."""
        key = (candidate.index, lines)
        outcome = assigning.outcomes.get(key)
        if outcome is None:
            outcome = evaluate(self.basket, candidate, amounts, lines_of(lines))
            if not candidate.measure_all:
                assigning.outcomes[key] = outcome
        return outcome

    def _complete(self, assigning: _Assigning, free: int, way: _Way, turns: Sequence[_Turn], known: Outlook) -> None:
        """No line stays free where a used or an automatic promotion of the layer would discount it."""
        for candidate, lines, amounts in turns if free else ():
            more = free & candidate.mask
            if not more or not (lines or candidate.auto):
                continue
            if not lines and (way.blocked & candidate.bit or self._clashes(candidate, candidate.mask, way)):
                continue
            outcome = self._assigned(assigning, candidate, lines | more, amounts)
            if any(discount and more >> at & 1 for at, discount in outcome.discounts):
                owed = None if lines else self._owe(candidate, way)
                if owed is None:
                    return
                way = owed
        self._enter(assigning.layer + 1, way, known)

    def _compare(self, way: _Way) -> None:
        lines = self.basket.lines
        pairs = [
            (lines[at].id, use.candidate.id)
            for use in way.uses
            if use.candidate.layer.pick == "one_per_line"
            for at in lines_of(use.lines)
        ]
        key = (
            way.amounts.pays,
            len(way.uses),
            sorted(use.candidate.id for use in way.uses),
            way.amounts.running,
            -len(pairs),
            sorted(pairs),
        )
        if self._best is None or key < self._best:
            self._best, self._best_uses = key, way.uses


def _is_payable(way: _Way, index: int) -> bool:
    """Whether each automatic candidate left out can still meet a used one, from this place on, to conflict with."""
    return not way.owed or all((each.mask & ~way.blocked) >> index for each in way.owed)


def _subsets(mask: int, must: int) -> Iterator[int]:
    """The parts of the mask, each with `must`, the largest number first; not the empty one."""
    part = mask
    while part | must:
        yield part | must
        if not part:
            break
        part = (part - 1) & mask
