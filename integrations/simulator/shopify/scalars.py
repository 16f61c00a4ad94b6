"""How the platform's own scalars are read and written: money and large integers are texts."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from graphql import GraphQLError


def _text(value: Any) -> str:
    return str(value)


def _decimal(value: Any) -> Decimal:
    """A decimal number, sent as text or as a number. Raises GraphQLError for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise GraphQLError("Invalid input: expected a decimal number")
    try:
        found = Decimal(str(value))
    except InvalidOperation as error:
        raise GraphQLError(f'Could not coerce value "{value}" to a decimal') from error
    if not found.is_finite():
        raise GraphQLError(f'Could not coerce value "{value}" to a decimal')
    return found


def _url(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError("Invalid url")
    return value


# name: (how it is written, how it is read)
SCALARS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "DateTime": (_text, _url),
    "Decimal": (_text, _decimal),
    "Money": (_text, _decimal),
    "UnsignedInt64": (_text, _text),
    "URL": (_text, _url),
}
