"""What looks wrong about mappings: rules over the listings of one SKU, and over those of one item of a shop.

A price that is not known, or in another currency, is no ground for anything.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import partial
from statistics import median_high, median_low
from typing import Any

DEAD_AFTER = timedelta(days=7)  # not known to the platform for so long
ODD_RATIO = Decimal(3)  # a unit's price, against the median of the SKU's other listings; also its inverse
LOWEST_OF_COST = Decimal("0.5")  # of what a unit costs us
HIGHEST_OF_COST = Decimal(20)
MOVED_RATIO = Decimal("1.5")  # how much further off a price is when it is another matter than the one dismissed
_NEAR = Decimal("0.1")  # how far a price may be from a whole number of units to be a pack of so many


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

    @property
    def unit_price(self) -> Decimal | None:
        return None if self.price is None else self.price / self.pack_factor


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that looks wrong about one listing, and the fix: another pack factor, or (None) no SKU.

    `other_id` is the listing it clashes with. `told` is the figure it is held against: units that the title tells, or
    the price of a unit elsewhere; a cost is told only to those who may see costs.
    """

    kind: FindingKind
    listing_id: int
    sku_id: int
    other_id: int | None = None
    told: Decimal | None = None
    pack_factor: int | None = None
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
            {**mapping, **clash, **facts},
        )


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
        if told is not None and told != line.pack_factor:
            finding = Finding.of(FindingKind.PACK, line, told=Decimal(told), pack_factor=told, units=str(told))
            found.append(finding)
    return found


def _prices(lines: Sequence[Line], cost: Decimal | None, cost_currency: str) -> list[Finding]:
    by_currency: dict[str, list[tuple[Line, Decimal]]] = defaultdict(list)
    for line in lines:
        if line.unit_price:
            by_currency[line.currency].append((line, line.unit_price))
    found = []
    for currency, priced in by_currency.items():
        for place, (line, unit_price) in enumerate(priced):
            others = [price for other, price in priced if other is not line]
            # Of two nobody knows which is wrong: the later is asked about.
            if others and (len(others) > 1 or place == 1):
                # Of two middle prices the nearer one: the SKU's usual listings are not held against the odd one.
                middle = min(median_low(others), median_high(others), key=partial(_distance, unit_price))
                if _is_far(unit_price, middle):
                    found.append(
                        Finding.of(
                            FindingKind.PRICE,
                            line,
                            told=middle,
                            pack_factor=_pack_by_price(line, middle),
                            ratio=str(unit_price / middle),
                        )
                    )
                    continue
            if not cost or currency != cost_currency:
                continue
            if not cost * LOWEST_OF_COST <= unit_price <= cost * HIGHEST_OF_COST:
                found.append(Finding.of(FindingKind.COST, line, told=cost, ratio=str(unit_price / cost)))
    return found


def _distance(price: Decimal, other: Decimal) -> Decimal:
    return max(price, other) / min(price, other)


def _is_far(price: Decimal, middle: Decimal) -> bool:
    """A price exactly ODD_RATIO times the other is far."""
    return price >= middle * ODD_RATIO or price * ODD_RATIO <= middle


def _pack_by_price(line: Line, middle: Decimal) -> int | None:
    """The number of units that the price of the listing is about; None when it is none."""
    if line.price is None:
        return None
    units = line.price / middle
    whole = int(units.to_integral_value(ROUND_HALF_UP))
    is_near = whole >= 1 and abs(units - whole) <= whole * _NEAR
    return whole if is_near and whole != line.pack_factor else None


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


def dead(line: Line, last_good_at: datetime) -> Finding:
    return Finding.of(FindingKind.DEAD, line, last_good_at=last_good_at.isoformat())


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
