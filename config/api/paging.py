"""Pages that stay in order while rows come and go: each begins behind the last row of the one before."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC
from typing import Any

import orjson
from django.db.models import Q
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive
from django.utils.translation import gettext
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from config.api.filters import LARGEST_ID

DEFAULT_LIMIT, MAX_LIMIT = 100, 500
# Each is carried by an index; rows of one time are in the order of their ids.
ORDERINGS = ("id", "-id", "updated_at", "-updated_at")


class CursorPages(BasePagination):
    """`limit` rows at a time. A cursor is the place of the last row, so that a page costs the same however far it lies,
    and no row that stays is left out or shown twice; one that changes meanwhile moves in the order of changes.
    """

    parameters = ("cursor", "limit", "ordering")

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        errors: dict[str, str] = {}
        limit = _whole(request.query_params.get("limit", str(DEFAULT_LIMIT)))
        if limit is None or not 1 <= limit <= MAX_LIMIT:
            errors["limit"] = gettext("Enter a whole number from 1 to %(max)d.") % {"max": MAX_LIMIT}
        self.ordering = request.query_params.get("ordering", view.ordering)
        if self.ordering not in ORDERINGS:
            errors["ordering"] = gettext("Use one of %(names)s.") % {"names": ", ".join(ORDERINGS)}
        behind = Q()
        if not errors and "cursor" in request.query_params:
            try:
                behind = self._behind(request.query_params["cursor"])
            except (ValueError, OverflowError):
                errors["cursor"] = gettext("This is not a cursor of this list. Take it from “next” as it is.")
        if errors or limit is None:
            raise ValidationError(errors)
        sign, field = ("-", self.ordering[1:]) if self.ordering.startswith("-") else ("", self.ordering)
        order = [self.ordering] if field == "id" else [self.ordering, f"{sign}id"]
        rows: list[dict[str, Any]] = view.read(queryset.filter(behind).order_by(*order)[: limit + 1])
        self.next_url = None
        if len(rows) > limit:
            rows.pop()
            self.next_url = self._url_behind(rows[-1], field)
        return rows

    def _behind(self, cursor: str) -> Q:
        """The condition on rows behind the cursor. Raises ValueError for what is none."""
        place = orjson.loads(urlsafe_b64decode(cursor.encode("ascii")))
        ordering, *values = place if isinstance(place, list) and place else [None]
        if ordering != self.ordering or not values or type(values[-1]) is not int:
            raise ValueError("a cursor of another ordering")
        if not 1 <= values[-1] <= LARGEST_ID:
            raise ValueError("not an id")
        side = "lt" if self.ordering.startswith("-") else "gt"
        behind_id = Q(**{f"id__{side}": values[-1]})
        if len(values) == 1:
            return behind_id
        at = parse_datetime(values[0]) if isinstance(values[0], str) else None
        if at is None or is_naive(at):
            raise ValueError("not a time")
        # The first condition is what an index begins with.
        at = at.astimezone(UTC)
        return Q(**{f"updated_at__{side}e": at}) & (Q(**{f"updated_at__{side}": at}) | behind_id)

    def _url_behind(self, row: dict[str, Any], field: str) -> str:
        values = [row["id"]] if field == "id" else [row[field].astimezone(UTC), row["id"]]
        place = urlsafe_b64encode(orjson.dumps([self.ordering, *values])).decode()
        query = self.request.query_params.copy()
        query["cursor"] = place
        return f"{self.request.build_absolute_uri(self.request.path)}?{query.urlencode()}"

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next_url, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["next", "results"],
            "properties": {
                "next": {"type": ["string", "null"], "format": "uri", "description": "Where the next rows are."},
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        described = {
            "cursor": ({"type": "string"}, "Where a page begins; part of “next”, to be used as it is."),
            "limit": (
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
                "Rows on a page.",
            ),
            "ordering": ({"type": "string", "enum": list(ORDERINGS), "default": view.ordering}, "A minus: downwards."),
        }
        return [
            {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
            for name, (schema, description) in described.items()
        ]


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
