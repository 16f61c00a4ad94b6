"""The sum behind an advice as it is stored."""

from collections.abc import Mapping
from typing import Any

import orjson

from monitoring.planning.advice_text import OrderSum, Part, Reason, Rounding, ShortSum, Term


def as_json(order: OrderSum) -> str:
    parts = [[str(part.term), part.pieces, part.days] for part in order.parts]
    text: bytes = orjson.dumps(
        {
            "quantity": order.quantity,
            "unrounded": order.unrounded,
            "parts": parts,
            "rounding": str(order.rounding),
            "pack": order.pack,
            "minimum": order.minimum,
            "not_counted": order.not_counted,
        }
    )
    return text.decode()


def order_of(stored: Mapping[str, Any]) -> OrderSum:
    """The sum of an advice to buy, for monitoring.advice_words."""
    parts = tuple(Part(Term(term), pieces, days) for term, pieces, days in stored["parts"])
    return OrderSum(
        stored["quantity"],
        stored["unrounded"],
        parts,
        Rounding(stored["rounding"]),
        stored["pack"],
        stored["minimum"],
        stored["not_counted"],
    )


def short_of(stored: Mapping[str, Any]) -> ShortSum:
    """The sum of an advice to limit something, as it is stored by its fields."""
    return ShortSum(**{**stored, "reason": stored["reason"] and Reason(stored["reason"])})
