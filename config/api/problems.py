"""Errors as problem responses (RFC 9457), whoever found them: a view, the framework below it, or nobody in time."""

import math
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext
from django.views import defaults
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.exceptions import PermissionDenied as Refused

MEDIA_TYPE = "application/problem+json"
ROOT = "/api/"


def problem(
    request: HttpRequest,
    status: int,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """The status says what kind of problem it is, so that no type of ours has to be looked up."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": quote(request.path),
    }
    if errors:
        body["errors"] = errors
    response = HttpResponse(orjson.dumps(body), status=status, content_type=MEDIA_TYPE, headers=headers)
    patch_cache_control(response, no_store=True)
    return response


def answer_exception(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """The framework's hook; None leaves what nobody expected to Django, which logs it and calls `server_error`."""
    if isinstance(error, Http404):
        error = NotFound(gettext("There is nothing here, or nothing that you may see."))
    elif isinstance(error, PermissionDenied):
        error = Refused()
    if not isinstance(error, APIException):
        return None
    headers = {}
    if authenticate := getattr(error, "auth_header", ""):
        headers["WWW-Authenticate"] = authenticate
    if (wait_seconds := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait_seconds)))
    request = context["request"]._request
    if isinstance(error, ValidationError):
        detail = gettext("Some parameters are wrong. Nothing was read.")
        return problem(request, error.status_code, detail, errors=list(_errors(error.detail)), headers=headers)
    return problem(request, error.status_code, str(error.detail), headers=headers)


def _errors(details: Any) -> Iterator[dict[str, str]]:
    for parameter, texts in details.items():
        for text in texts if isinstance(texts, list) else [texts]:
            yield {"parameter": str(parameter), "detail": str(text)}


def unknown_address(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """For every address below the root that is no resource; else the admin would ask a program to sign in."""
    detail = gettext("There is no such address. Resources are below /api/v1/, and addresses end with a slash.")
    return problem(request, HTTPStatus.NOT_FOUND, detail)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler400."""
    if not request.path_info.startswith(ROOT):
        return defaults.bad_request(request, exception)
    return problem(request, HTTPStatus.BAD_REQUEST, gettext("The request is malformed."))


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500; what happened is in the log."""
    if not request.path_info.startswith(ROOT):
        return defaults.server_error(request)
    detail = gettext("Something went wrong on our side. Nothing can be said about what you asked for; try again later.")
    return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)
