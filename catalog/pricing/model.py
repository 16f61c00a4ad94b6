"""What is asked and what is answered (pricing contract, sections 2 and 3.10). Money is integers of the minor unit.

A promotion may hold anything a source made of it: `validity` judges it before anybody computes with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

Tiers = tuple[tuple[int, int], ...]


class Refused(ValueError):
    """A request that cannot be priced as it stands; its text is the reason's code."""


class Kind(StrEnum):
    AMOUNT_OFF = "amount_off"
    PERCENT_OFF = "percent_off"
    FIXED_PRICE = "fixed_price"
    NTH_PIECE = "nth_piece"
    BUNDLE_PRICE = "bundle_price"


@dataclass(frozen=True, slots=True)
class Line:
    """Prices are per unit; None is not known."""

    id: str
    qty: int
    list: int | None = None
    live: int | None = None
    sku: str | None = None
    item: str | None = None
    shop: str | None = None
    categories: frozenset[str] = frozenset()
    on_sale: bool = False
    minimum_order: int = 1  # pieces of the item in the basket


@dataclass(frozen=True, slots=True)
class Scope:
    """A line is in if it matches any of the first four (all lines, where none is given) and none of the others."""

    items: frozenset[str] = frozenset()
    skus: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    shops: frozenset[str] = frozenset()
    not_items: frozenset[str] = frozenset()
    not_skus: frozenset[str] = frozenset()
    not_categories: frozenset[str] = frozenset()
    not_on_sale: bool = False

    def covers(self, line: Line) -> bool:
        if self.items or self.skus or self.categories or self.shops:
            named = (
                line.item in self.items
                or line.sku in self.skus
                or line.shop in self.shops
                or not self.categories.isdisjoint(line.categories)
            )
            if not named:
                return False
        return not (
            line.item in self.not_items
            or line.sku in self.not_skus
            or (self.not_on_sale and line.on_sale)
            or not self.not_categories.isdisjoint(line.categories)
        )


@dataclass(frozen=True, slots=True)
class Promotion:
    id: str
    layer: str
    kind: str
    value: int | None = None
    tiers: Tiers | None = None  # before `value`
    priority: int = 0
    auto: bool = False
    measure: str = "none"
    repeat: bool = False
    max_times: int | None = None
    per: str = "order"
    of: int | None = None
    take: int | None = None
    measure_over: str = "scope"
    measure_lines: str | None = None
    min_qty: int | None = None
    max_amount: int | None = None
    threshold_base: str | None = None
    effect_base: str | None = None
    weight_base: str | None = None
    max_discount: int | None = None
    max_units: int | None = None
    scope: Scope | None = None
    all_lines: bool = False
    start: datetime | None = None
    end: datetime | None = None
    status: str = "active"
    audience: frozenset[str] = frozenset()
    remaining: int | None = None
    per_buyer: int | None = None
    used: int = 0
    currency: str | None = None  # None: the request's
    promotion_class: str | None = None  # None: the layer's name
    combines: frozenset[str] | None = None
    groups: frozenset[str] = frozenset()
    in_live: bool = False
    rebase: bool = True
    seller_share: int = 10_000  # basis points
    unknown: tuple[str, ...] = ()

    @property
    def steps(self) -> Tiers:
        """The tiers; one from 0 where there is only a value."""
        if self.tiers is not None:
            return self.tiers
        assert self.value is not None  # noqa: S101 - `validity` has seen to it
        return ((0, self.value),)

    @property
    def standing(self) -> str:
        """The class that others combine with."""
        return self.layer if self.promotion_class is None else self.promotion_class


@dataclass(frozen=True, slots=True)
class Request:
    ruleset: str
    currency: str
    at: datetime
    basis: str  # list or live
    lines: tuple[Line, ...]
    promotions: tuple[Promotion, ...] = ()
    buyer: frozenset[str] = frozenset()
    shipping: int | None = None  # None: left out of the total
    settings: Mapping[str, str | bool] = field(default_factory=dict)


class Status(StrEnum):
    OK = "ok"
    CANNOT_TELL = "cannot_tell"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Step:
    """One used promotion, in its turn; `measured` and `minimum` are of its first group that qualified.

    `base` is the sum that the effect counts on, `before` and `after` what was and is to be paid.
    """

    id: str
    layer: str
    kind: str
    discount: int
    measured: int
    minimum: int
    base: int
    before: int
    after: int
    lines: Mapping[str, int]  # what each line gets of the discount; empty for shipping


class Total(NamedTuple):
    goods: int
    shipping: int | None

    @property
    def pays(self) -> int:
        return self.goods + (self.shipping or 0)


@dataclass(frozen=True, slots=True)
class Quote:
    """`total` is None unless the status is ok; `reason` is given unless it is."""

    status: Status
    reason: str = ""
    total: Total | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()  # the used promotions in the order of evaluation
    not_used: Mapping[str, str] = field(default_factory=dict)
    work: int = 0  # what the search spent of its budget
