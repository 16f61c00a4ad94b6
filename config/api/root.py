"""Where a program begins: the addresses of what it may read."""

from collections.abc import Sequence
from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from catalog.models import ApiKey
from config.api.authentication import refusal
from config.api.filters import check_parameters
from config.api.resources import PersonalAnswers, Resource
from config.api.schema import ResourceSchema


class RootSchema(ResourceSchema):
    def get_response_serializers(self) -> Any:
        view = cast("Root", self.view)
        names = [*(name for name, _kind, _basename in view.resources), "schema", "docs"]
        addresses = {name: {"type": "string", "format": "uri"} for name in names}
        return {200: {"type": "object", "required": ["schema"], "properties": addresses}}


class Root(PersonalAnswers, APIView):
    """The lists that may be read with this key, and where they are described; the page is for staff in a browser."""

    http_method_names = ["get", "head"]
    schema = RootSchema()
    resources: Sequence[tuple[str, type[Resource], str]] = ()  # as the router has them

    @extend_schema(summary="Addresses", tags=["root"], operation_id="root_retrieve")
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, ())
        names = {name: f"{basename}-list" for name, kind, basename in self.resources if not refusal(request, kind)}
        names["schema"] = "api-schema"
        if not isinstance(request.auth, ApiKey):
            names["docs"] = "api-docs"
        return Response({name: reverse(view, request=request) for name, view in names.items()})
