"""Rows straight from columns: what a resource shows of a model, said once, for reading and for the description."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

from babel.numbers import get_currency_precision
from django.db.models import F, QuerySet, TextField, Value
from django.db.models.functions import NullIf
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from catalog.database import AmountText


@extend_schema_field({"type": ["string", "null"], "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "examples": ["268.00"]})
class AmountField(serializers.Field):
    """An exact amount as text, with at least the decimals usual for the currency in the field named by `currency`."""

    def __init__(self, *, currency: str = "currency", **kwargs: Any) -> None:
        self.currency = currency
        super().__init__(allow_null=True, **kwargs)


class ReadSerializer(serializers.Serializer):
    """Fields whose `source` is the path of a column from the model, in the words of the ORM.

    Rows are read as values and shown as they come, without model instances and without a call for each field, which is
    what most of the time of a ModelSerializer goes into. Text that may be null is null where "" is stored.
    """

    # Columns that are read for `complete`, and not shown: name -> path.
    also: ClassVar[dict[str, str]] = {}

    @classmethod
    def read(cls, queryset: QuerySet[Any], *, without: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The rows of the queryset in one query, without these fields."""
        fields = {name: field for name, field in cls._declared_fields.items() if name not in without}
        columns = {name: _column(name, field) for name, field in fields.items() if not field.read_only}
        columns |= {name: F(path) for name, path in cls.also.items()}
        names = list(columns)
        rows = [dict(zip(names, row, strict=True)) for row in queryset.values_list(*columns.values())]
        amounts = [(name, field.currency) for name, field in fields.items() if isinstance(field, AmountField)]
        for row in rows:
            for name, currency in amounts:
                if (text := row[name]) is not None:
                    row[name] = amount_text(text, row[currency])
        return cls.complete(rows)

    @classmethod
    def complete(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Fill in the read-only fields, which are not columns, and take out what only served that."""
        return rows


def _column(name: str, field: Any) -> Any:
    path = field.source or name
    if isinstance(field, AmountField):
        return AmountText(path)
    if isinstance(field, serializers.CharField | serializers.ChoiceField) and field.allow_null:
        return NullIf(F(path), Value(""), output_field=TextField())
    return F(path)


@lru_cache(maxsize=10_000)
def amount_text(four_decimals: str, currency: str) -> str:
    """268.0000 as 268.00, 0.1234 as it is."""
    whole, _point, decimals = four_decimals.partition(".")
    shown = decimals.rstrip("0").ljust(get_currency_precision(currency), "0")
    return f"{whole}.{shown}" if shown else whole
