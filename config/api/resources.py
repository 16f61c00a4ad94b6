"""What every resource has in common: lists in pages, single rows, only what the asking person may see."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import conditional_page
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from catalog.models import ApiKey
from config.api.filters import check_parameters
from config.api.paging import CursorPages
from config.api.reading import ReadSerializer


class PersonalAnswers:
    """An answer may be kept, but is asked for each time; it belongs to who asked."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if response.status_code < 400:
            patch_cache_control(response, private=True, no_cache=True)
        patch_vary_headers(response, ["Authorization", "Cookie"])
        return super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]


# The tag is that of the plain text, so that 304 does not depend on how the text travels.
@method_decorator([gzip_page, conditional_page], name="dispatch")
class Resource(PersonalAnswers, GenericViewSet):
    """A model as programs read it. `queryset` must have `visible_to`."""

    http_method_names = ["get", "head"]
    lookup_value_regex = "[0-9]{1,19}"  # as many digits as an id can have; Python refuses to read thousands
    pagination_class = CursorPages
    serializer_class: type[ReadSerializer]
    scope: ClassVar[ApiKey.Scope]
    permissions: Sequence[str] = ()
    ordering = "id"

    def get_queryset(self) -> QuerySet[Any]:
        queryset: Any = super().get_queryset()
        visible: QuerySet[Any] = queryset.visible_to(self.request.user)
        return visible

    def read(self, queryset: QuerySet[Any]) -> list[dict[str, Any]]:
        return self.serializer_class.read(queryset)

    def list(self, request: Request) -> Response:
        return self.get_paginated_response(self.paginate_queryset(self.filter_queryset(self.get_queryset())))

    def retrieve(self, request: Request, pk: str) -> Response:
        check_parameters(request.query_params, ())
        rows = self.read(self.get_queryset().filter(pk=int(pk)))
        if not rows:
            raise Http404
        return Response(rows[0])
