"""Which promotions cannot stand together (pricing contract 3.9, rule 2). Sets of candidates are bit masks."""

from collections import defaultdict

from catalog.pricing.basket import Basket, Candidate


class Conflicts:
    """Looks pairs up; those of `line:` labels hang on the lines that a used promotion works on."""

    def __init__(self, basket: Basket) -> None:
        self._everyone = (1 << len(basket.candidates)) - 1
        self._by_class: dict[str, int] = defaultdict(int)
        self._by_label: dict[str, int] = defaultdict(int)
        self._by_layer: dict[str, int] = defaultdict(int)
        self._by_line_label: dict[str, list[Candidate]] = defaultdict(list)
        self._choosy: list[Candidate] = []  # stand with some classes only
        self._found: dict[int, int] = {}
        for candidate in basket.candidates:
            promotion = candidate.promotion
            self._by_class[promotion.standing] |= candidate.bit
            if promotion.combines is not None:
                self._choosy.append(candidate)
            for label in promotion.groups - candidate.line_labels:
                self._by_label[label] |= candidate.bit
            for label in candidate.line_labels:
                self._by_line_label[label].append(candidate)
            if candidate.layer.pick == "one":
                self._by_layer[candidate.layer.name] |= candidate.bit

    def always(self, candidate: Candidate) -> int:
        """Those it conflicts with whatever the lines."""
        mask = self._found.get(candidate.index)
        if mask is None:
            mask = self._found[candidate.index] = self._always(candidate)
        return mask

    def _always(self, candidate: Candidate) -> int:
        promotion = candidate.promotion
        mask = 0
        if promotion.combines is not None:
            mask = self._everyone
            for name in promotion.combines:
                mask &= ~self._by_class.get(name, 0)
        for other in self._choosy:
            if promotion.standing not in (other.promotion.combines or ()):
                mask |= other.bit
        for label in promotion.groups - candidate.line_labels:
            mask |= self._by_label[label]
        if candidate.layer.pick == "one":
            mask |= self._by_layer[candidate.layer.name]
        return mask & ~candidate.bit

    def possible(self, candidate: Candidate) -> int:
        """Those that it conflicts with if they work on a line that it covers."""
        mask = self.always(candidate)
        for label in candidate.line_labels:
            for other in self._by_line_label[label]:
                if other is not candidate and other.mask & candidate.mask:
                    mask |= other.bit
        return mask

    def between(self, candidate: Candidate, lines: int, used: Candidate, used_lines: int) -> bool:
        """Whether the candidate on these lines conflicts with a used one on those."""
        if self.always(used) & candidate.bit:
            return True
        return bool(lines & used_lines) and not candidate.line_labels.isdisjoint(used.line_labels)
