"""What looks wrong about mappings: rules over the listings of one SKU, and over those of one item of a shop.

A price that is not known, or in another currency, is no ground for anything. A clash of two listings tells that one of
them is wrong, and not which: that is weighed from codes, barcodes and titles, and left open where they do not tell.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import IntEnum, StrEnum
from functools import partial
from statistics import median_high, median_low
from typing import Any

DEAD_AFTER = timedelta(days=7)  # not known to the platform for so long
ODD_RATIO = Decimal(3)  # a unit's price, against the median of the SKU's other listings; also its inverse
LOWEST_OF_COST = Decimal("0.5")  # of what a unit costs us
HIGHEST_OF_COST = Decimal(20)
MOVED_RATIO = Decimal("1.5")  # how much further off a price is when it is another matter than the one dismissed
_NEAR = Decimal("0.1")  # how far a price may be from a whole number of units to be a pack of so many
_ALIKE, _UNLIKE = 0.6, 0.2  # the part of the shorter title's words that the other has, too: from, below


class FindingKind(StrEnum):
    TWICE = "twice"  # another listing of the channel has the same SKU and as many units
    TWO_SKUS = "two-skus"  # one listing of the platform stands here twice, under two SKUs
    PACK = "pack"  # the title tells another number of units
    PRICE = "price"  # a unit's price is far from that of the SKU's other listings
    COST = "cost"  # a unit's price is far from what it costs us
    DEAD = "dead"  # the platform has not known it for days


@dataclass(frozen=True, slots=True)
class Line:
    """One mapped own listing; `price` is of the whole listing, None: not known."""

    listing_id: int
    sku_id: int
    channel_id: int
    item_id: str
    variant_id: str
    stock_id: str
    title: str
    pack_factor: int
    price: Decimal | None
    currency: str
    name: str = ""  # of the SKU's product, and of the SKU

    @property
    def unit_price(self) -> Decimal | None:
        return None if self.price is None else self.price / self.pack_factor


class Standing(IntEnum):
    """What the merchant keyed in, a code or a barcode, says of a listing's own SKU."""

    AGAINST = -1  # it names another SKU
    SILENT = 0  # or says both
    FOR = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that looks wrong about one listing, and the fix: another pack factor, or to take its SKU away.

    With neither it is not known which listing is wrong, or what would mend it. `other_id` is the listing it clashes
    with. `told` is the figure it is held against: units that the title tells, or the price of a unit elsewhere; a cost
    is told only to those who may see costs.
    """

    kind: FindingKind
    listing_id: int
    sku_id: int
    other_id: int | None = None
    told: Decimal | None = None
    pack_factor: int | None = None
    takes_sku: bool = False
    # What it rests on, as JSON holds it: see is_as_dismissed().
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        kind: FindingKind,
        line: Line,
        *,
        other: Line | None = None,
        told: Decimal | None = None,
        pack_factor: int | None = None,
        takes_sku: bool = False,
        **facts: str,
    ) -> "Finding":
        """A finding about the line, resting on its mapping, on what it clashes with, and on further `facts`."""
        mapping = {"sku": line.sku_id, "pack_factor": line.pack_factor}
        clash = {"other": other.listing_id, "other_sku": other.sku_id} if other else {}
        return cls(
            kind,
            line.listing_id,
            line.sku_id,
            other.listing_id if other else None,
            told,
            pack_factor,
            takes_sku,
            {**mapping, **clash, **facts},
        )

    @property
    def has_fix(self) -> bool:
        return self.takes_sku or self.pack_factor is not None


def is_as_dismissed(facts: Mapping[str, Any], dismissed: Mapping[str, Any]) -> bool:
    """Whether a finding rests on what it rested on when somebody dismissed it.

    A ratio of prices moves from day to day: it is another fact once it is MOVED_RATIO times further from 1, or on its
    other side.
    """
    if {**facts, "ratio": None} != {**dismissed, "ratio": None}:
        return False
    if facts.get("ratio") is None or dismissed.get("ratio") is None:
        return facts.get("ratio") == dismissed.get("ratio")
    ratio, before = Decimal(facts["ratio"]), Decimal(dismissed["ratio"])
    if before < 1:
        ratio, before = 1 / ratio, 1 / before
    return 1 <= ratio < before * MOVED_RATIO


def of_sku(lines: Sequence[Line], *, cost: Decimal | None, cost_currency: str) -> list[Finding]:
    """What looks wrong among all listings of one SKU, in the order of their keys."""
    ordered = sorted(lines, key=lambda line: line.listing_id)
    return [*_twice(ordered), *_packs(ordered), *_prices(ordered, cost, cost_currency)]


def _twice(lines: Sequence[Line]) -> list[Finding]:
    """A single and a box of six are two offers of one SKU; two of as many units are one too many."""
    first: dict[tuple[int, int], Line] = {}
    found = []
    for line in lines:
        before = first.setdefault((line.channel_id, line.pack_factor), line)
        if before is not line:
            found.append(Finding.of(FindingKind.TWICE, line, other=before))
    return found


def _packs(lines: Sequence[Line]) -> list[Finding]:
    found = []
    for line in lines:
        told = units_in_title(line.title)
        # Where the SKU's own name tells as many, the SKU is the pack.
        if told is None or told == line.pack_factor or (line.pack_factor == 1 and units_in_title(line.name) == told):
            continue
        pack_factor = None if _price_speaks_against(line, told, lines) else told
        found.append(Finding.of(FindingKind.PACK, line, told=Decimal(told), pack_factor=pack_factor, units=str(told)))
    return found


def _price_speaks_against(line: Line, pack_factor: int, lines: Sequence[Line]) -> bool:
    """Whether a unit's price, near that of the SKU's other listings now, would be far from it with that many units."""
    others = [
        other.unit_price
        for other in lines
        if other is not line and other.currency == line.currency and other.unit_price
    ]
    if line.price is None or not line.unit_price or not others:
        return False
    middle = min(median_low(others), median_high(others), key=partial(_distance, line.unit_price))
    return not _is_far(line.unit_price, middle) and _is_far(line.price / pack_factor, middle)


def _prices(lines: Sequence[Line], cost: Decimal | None, cost_currency: str) -> list[Finding]:
    by_currency: dict[str, list[tuple[Line, Decimal]]] = defaultdict(list)
    for line in lines:
        if line.unit_price:
            by_currency[line.currency].append((line, line.unit_price))
    found = []
    for currency, priced in by_currency.items():
        for place, (line, unit_price) in enumerate(priced):
            others = [price for other, price in priced if other is not line]
            # Of two nobody knows which is wrong: the later is asked about, until they are weighed.
            if others and (len(others) > 1 or place == 1):
                # Of two middle prices the nearer one: the SKU's usual listings are not held against the odd one.
                middle = min(median_low(others), median_high(others), key=partial(_distance, unit_price))
                if _is_far(unit_price, middle):
                    other = next(other for other, price in priced if other is not line and price == middle)
                    found.append(_price_finding(line, other, is_odd_one=len(others) > 1))
                    continue
            if not cost or currency != cost_currency:
                continue
            if not cost * LOWEST_OF_COST <= unit_price <= cost * HIGHEST_OF_COST:
                found.append(Finding.of(FindingKind.COST, line, told=cost, ratio=str(unit_price / cost)))
    return found


def _price_finding(line: Line, other: Line, *, is_odd_one: bool) -> Finding:
    """That the unit's price is far from the other's. Of two, the one that a pack factor would mend is asked about."""
    pack_factor = _pack_by_price(line, other)
    if not is_odd_one:
        backwards = _pack_by_price(other, line)
        if backwards is not None and pack_factor is None:
            line, other, pack_factor = other, line, backwards
        elif backwards is not None:
            pack_factor = None  # either would be mended by one: a person knows which
    if line.unit_price is None or other.unit_price is None:
        raise ValueError("prices that are not known are not compared")
    ratio = str(line.unit_price / other.unit_price)
    # Which of the others has the middle price changes from day to day: no fact of its own.
    finding = Finding.of(FindingKind.PRICE, line, told=other.unit_price, pack_factor=pack_factor, ratio=ratio)
    return replace(finding, other_id=other.listing_id)


def _distance(price: Decimal, other: Decimal) -> Decimal:
    return max(price, other) / min(price, other)


def _is_far(price: Decimal, middle: Decimal) -> bool:
    """A price exactly ODD_RATIO times the other is far."""
    return price >= middle * ODD_RATIO or price * ODD_RATIO <= middle


def _pack_by_price(line: Line, other: Line) -> int | None:
    """The number of the other's units that the price of the listing is about; None when it is none."""
    if line.price is None or not other.unit_price:
        return None
    units = line.price / other.unit_price
    whole = int(units.to_integral_value(ROUND_HALF_UP))
    is_near = whole >= 1 and abs(units - whole) <= whole * _NEAR
    if not is_near or whole == line.pack_factor or units_in_title(line.title) not in (None, whole):
        return None
    return whole


def of_item(lines: Sequence[Line]) -> list[Finding]:
    """What stands twice among the listings of one item of a channel: the item beside its variants, or two listings
    that share one stock, under different SKUs."""
    ordered = sorted(lines, key=lambda line: line.listing_id)
    found = []
    variants = [line for line in ordered if line.variant_id]
    by_stock: dict[str, Line] = {}
    for line in ordered:
        clash = None
        if not line.variant_id:
            clash = next((other for other in variants if other.sku_id != line.sku_id), None)
        elif line.stock_id:
            before = by_stock.setdefault(line.stock_id, line)
            clash = before if before.sku_id != line.sku_id else None
        if clash is not None:
            found.append(Finding.of(FindingKind.TWO_SKUS, line, other=clash))
    return found


def weighed(found: Sequence[Finding], lines: Mapping[int, Line], standings: Mapping[int, Standing]) -> list[Finding]:
    """The findings, each about the listing that is wrong, with a fix only where the evidence points to one side.

    `lines` and `standings` by the keys of the listings that the findings name. Two that come out about one listing for
    the same reason become one.
    """
    kept: dict[tuple[int, FindingKind], Finding] = {}
    for finding in found:
        line, other = lines[finding.listing_id], lines.get(finding.other_id or 0)
        if other is not None:
            finding = _weighed_pair(finding, line, other, standings)
        elif finding.kind == FindingKind.COST:
            finding = replace(finding, takes_sku=standings.get(line.listing_id) == Standing.AGAINST)
        before = kept.setdefault((finding.listing_id, finding.kind), finding)
        if finding.has_fix and not before.has_fix:
            kept[finding.listing_id, finding.kind] = finding
    return list(kept.values())


def _weighed_pair(finding: Finding, line: Line, other: Line, standings: Mapping[int, Standing]) -> Finding:
    wrong = _wrong_of(line, other, standings)
    if wrong is None:
        if finding.pack_factor is not None and not _are_same_goods(line, other, standings):
            return replace(finding, pack_factor=None)
        return finding
    right = line if wrong is other else other
    if finding.kind != FindingKind.PRICE:
        return Finding.of(finding.kind, wrong, other=right, takes_sku=True)
    about = finding if wrong is line else _price_finding(wrong, right, is_odd_one=True)
    return replace(about, pack_factor=None, takes_sku=True)


def _wrong_of(line: Line, other: Line, standings: Mapping[int, Standing]) -> Line | None:
    """The one of two listings that codes and barcodes speak against, or whose title differs from the one that they
    speak for; None where that cannot be told."""
    both = {each.listing_id: standings.get(each.listing_id, Standing.SILENT) for each in (line, other)}
    worse, better = sorted((line, other), key=lambda each: both[each.listing_id])
    if both[worse.listing_id] == both[better.listing_id]:
        return None
    if both[worse.listing_id] == Standing.AGAINST:
        return worse
    # Of two SKUs nobody expects one title.
    is_other_goods = line.sku_id == other.sku_id and are_titles_alike(worse.title, better.title) is False
    return worse if is_other_goods else None


def _are_same_goods(line: Line, other: Line, standings: Mapping[int, Standing]) -> bool:
    both = [standings.get(each.listing_id, Standing.SILENT) for each in (line, other)]
    if Standing.AGAINST in both:
        return False
    alike = are_titles_alike(line.title, other.title)
    return bool(alike) or (alike is None and both == [Standing.FOR, Standing.FOR])


def are_titles_alike(title: str, other: str) -> bool | None:
    """Whether two titles name the same goods; None where that cannot be told, as between two scripts.

    Compared are words of letters, and pairs of Han characters. Numbers and single letters tell little.
    """
    shares = []
    for words in (_letters, _han_pairs):
        first, second = words(title), words(other)
        if first and second:
            shares.append(len(first & second) / min(len(first), len(second)))
    if not shares:
        return None
    if max(shares) >= _ALIKE:
        return True
    return False if max(shares) < _UNLIKE else None


def _letters(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_\u3040-\u30ff\u3400-\u9fff]{2,}", text.casefold()))


def _han_pairs(text: str) -> set[str]:
    runs = re.findall(r"[\u3040-\u30ff\u3400-\u9fff]{2,}", text)
    return {run[place : place + 2] for run in runs for place in range(len(run) - 1)}


def dead(line: Line, last_good_at: datetime) -> Finding:
    return Finding.of(FindingKind.DEAD, line, takes_sku=True, last_good_at=last_good_at.isoformat())


def is_dead(*, is_missing: bool, last_good_at: datetime, now: datetime) -> bool:
    """Whether the platform has not known a listing for DEAD_AFTER or longer; `last_good_at`: read or added last."""
    return is_missing and now - last_good_at >= DEAD_AFTER


_COUNTERS = "个件瓶包只支袋盒条片罐双枚卷"
_UNITS_IN_TITLE = [
    re.compile(rf"(?<![0-9.])([0-9]{{1,3}})\s*[{_COUNTERS}]装"),
    re.compile(rf"[x×*]\s*([0-9]{{1,3}})\s*[{_COUNTERS}]", re.IGNORECASE),
    re.compile(r"(?:ml|kg|g|克|毫升|升)\s*[x×*]\s*([0-9]{1,3})(?![0-9.]|\s*[cm]?m\b)", re.IGNORECASE),
    re.compile(r"\b(?:pack|set|box|case) of ([0-9]{1,3})\b", re.IGNORECASE),
    re.compile(r"(?<![0-9.])([0-9]{1,3})[\s-]*(?:pack|pk|pcs|pieces)\b", re.IGNORECASE),
]


def units_in_title(title: str) -> int | None:
    """How many units a title says there are in the listing, 2 or more; None when it says none, or different ones."""
    told = {int(number) for pattern in _UNITS_IN_TITLE for number in pattern.findall(title)} - {0, 1}
    return told.pop() if len(told) == 1 else None
