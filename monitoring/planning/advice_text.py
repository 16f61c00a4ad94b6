"""The sum behind an advice, as codes and figures that others put into words."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Term(StrEnum):
    NEEDED = "needed"  # the demand of so many days
    SAFETY = "safety"
    ON_HAND = "on_hand"
    RESERVED = "reserved"
    BACK_ORDERED = "back_ordered"
    ON_THE_WAY = "on_the_way"
    PRESENCE = "presence"  # the least that shall be there, where it is more than what is needed and held


class Rounding(StrEnum):
    NONE = "none"  # the sum is a whole number of packs already, or nothing is bought
    WHOLE = "whole"  # up to a whole piece
    PACKS = "packs"
    MINIMUM = "minimum"  # up to the minimum order
    PACKS_OF_MINIMUM = "packs_of_minimum"  # up to the packs that hold the minimum order


@dataclass(frozen=True, slots=True)
class Part:
    """One term, in pieces with its sign; `days` is only known of what is needed."""

    term: Term
    pieces: float
    days: int | None = None


@dataclass(frozen=True, slots=True)
class OrderSum:
    """`quantity` = the parts, rounded as it says; None: something of it is not known."""

    quantity: int | None
    unrounded: float | None  # what is missing, never below 0
    parts: tuple[Part, ...]
    rounding: Rounding
    pack: int
    minimum: int
    not_counted: int = 0  # overdue units on order, which are not among the parts
    unknown: tuple[Term, ...] = ()


class Reason(StrEnum):
    """Why this channel of all."""

    EARNS_LEAST = "earns_least"
    SELLS_MOST = "sells_most"


@dataclass(frozen=True, slots=True)
class ShortSum:
    """Why something that sells a SKU is to be slowed down: units and days."""

    available: int
    coming: int  # that arrives before what is ordered now could
    cover_days: float | None
    lead_days: float
    sold: int | None  # by the channel in the last `sold_days`; None: not known
    sold_days: int
    others: int | None = None  # what the other channels need until then; None: nobody asked
    reason: Reason | None = None


def order_sum(
    *,
    needed: float | None,
    days: int,
    safety_stock: float | None,
    on_hand: int | None,
    on_the_way: int | None,
    reserved: int = 0,
    back_ordered: int = 0,
    not_counted: int = 0,
    presence: int = 0,
    pack: int = 1,
    minimum: int = 0,
    quantity: float | None,
) -> OrderSum:
    """`quantity` is what ordering.order_quantity() advises; `needed` the demand of the next `days` days.

    What is not known (None or NaN) is named in `unknown`, and then nothing is advised.
    """
    given = {Term.NEEDED: needed, Term.SAFETY: safety_stock, Term.ON_HAND: on_hand, Term.ON_THE_WAY: on_the_way}
    unknown = tuple(term for term, pieces in given.items() if pieces is None or math.isnan(pieces))
    if unknown or quantity is None or math.isnan(quantity):
        return OrderSum(None, None, (), Rounding.NONE, pack, minimum, not_counted, unknown)
    known = {term: float(pieces) for term, pieces in given.items() if pieces is not None}
    wanted = [Part(Term.NEEDED, known[Term.NEEDED], days), Part(Term.SAFETY, known[Term.SAFETY])]
    if presence > known[Term.NEEDED] + known[Term.SAFETY]:
        wanted = [Part(Term.PRESENCE, float(presence))]
    parts = [*wanted, Part(Term.ON_HAND, -known[Term.ON_HAND])]
    parts += [Part(term, float(pieces)) for term, pieces in _promised(reserved, back_ordered)]
    parts.append(Part(Term.ON_THE_WAY, -known[Term.ON_THE_WAY]))
    missing = max(0.0, sum(part.pieces for part in parts))
    bought = round(quantity)
    return OrderSum(
        bought, missing, tuple(parts), _rounding(bought, missing, pack, minimum), pack, minimum, not_counted
    )


def _promised(reserved: int, back_ordered: int) -> list[tuple[Term, int]]:
    return [(term, pieces) for term, pieces in ((Term.RESERVED, reserved), (Term.BACK_ORDERED, back_ordered)) if pieces]


def _rounding(bought: int, missing: float, pack: int, minimum: int) -> Rounding:
    if bought == 0:
        return Rounding.NONE
    if minimum > math.ceil(missing):
        return Rounding.MINIMUM if minimum % pack == 0 else Rounding.PACKS_OF_MINIMUM
    if pack > 1:
        return Rounding.PACKS
    return Rounding.NONE if abs(bought - missing) < 1e-6 else Rounding.WHOLE
