"""Parameters of lists. What is not known, empty or wrong is refused: a list that is wider than was meant misleads."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import exceptions

LARGEST_ID = 2**63 - 1  # of what a database holds; SQLite raises OverflowError when asked for a larger number
TEXT = {"type": "string", "minLength": 1, "pattern": r"^[^\x00]+$"}


class MomentField(forms.Field):
    """A time with its offset; one without would be read in whatever zone the server has. Nothing of ours is older than
    1970, and calendars end in year 1.
    """

    default_error_messages = {
        "invalid": _("This is not a time since 1970 with its offset, for example 2026-11-21T04:00:00Z.")
    }

    def to_python(self, value: Any) -> datetime | None:
        if not value:
            return None
        try:
            # In an address, a plus that is not escaped arrives as a space.
            moment = parse_datetime(value.strip().replace(" ", "+"))
            if moment is not None and not is_naive(moment) and moment.year >= 1970:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ValidationError(self.error_messages["invalid"]) from error
        raise ValidationError(self.error_messages["invalid"])


@extend_schema_field({"type": "string", "format": "date-time"})
class MomentFilter(filters.Filter):
    field_class = MomentField


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": LARGEST_ID})
class IdFilter(filters.Filter):
    field_class = forms.IntegerField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, min_value=1, max_value=LARGEST_ID, **kwargs)


@extend_schema_field(TEXT)
class TextFilter(filters.CharFilter):
    """The exact text; spaces count."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, strip=False, **kwargs)


@extend_schema_field({"type": "boolean"})
class YesNoFilter(filters.TypedChoiceFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        choices = [("true", "true"), ("false", "false")]
        super().__init__(*args, choices=choices, coerce=lambda text: text == "true", **kwargs)


class OneOfFilter(filters.MultipleChoiceFilter):
    """One of the choices, or any of several when the parameter is repeated."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, distinct=False, **kwargs)


class ResourceFilters(filters.FilterSet):
    """The filters of a resource that tells when its rows changed."""

    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte")


class Filters(filters.DjangoFilterBackend):
    """As django-filter does it, after a look at what is not a filter at all."""

    def filter_queryset(self, request: Any, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        known = [*view.filterset_class.base_filters, *view.paginator.parameters]
        check_parameters(request.query_params, known)
        found: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return found


def check_parameters(given: Mapping[str, str], known: Any) -> None:
    """Raises the framework's ValidationError for parameters that there are not, and for empty ones."""
    wrong: dict[str, list[str]] = {}
    for name, value in given.items():
        if name not in known:
            text = gettext("There is no such parameter; there are %(names)s.")
            wrong[name] = [text % {"names": ", ".join(sorted(known)) or "—"}]
        elif not value:
            wrong[name] = [gettext("This is empty. Leave the parameter out, or give it a value.")]
    if wrong:
        raise exceptions.ValidationError(wrong)
