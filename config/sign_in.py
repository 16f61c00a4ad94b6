"""What keeps passwords from being guessed: who asks from where, and what a person is told who must wait.

django-axes counts the failures per user name and address, so that guessing from one address locks nobody out elsewhere.
"""

import ipaddress
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

_LONGEST_NAME = 255  # what the table of attempts holds


def client_address(request: HttpRequest) -> str | None:
    """Where the request comes from; None when that cannot be told. Of IPv6 it is the /64 that one customer gets.

    Behind a proxy it is the last entry of X-Forwarded-For: that one the proxy wrote, the others anyone can write.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_PROXY:
        address = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip() or address
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False).network_address)


def user_name(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """The user name that was entered, as long as attempts are told apart by it."""
    name = (credentials or request.POST).get("username", "")
    return str(name or "")[:_LONGEST_NAME]


def locked_out(request: HttpRequest, response: HttpResponse, credentials: dict[str, Any] | None) -> HttpResponse:
    """The page that says when to try again; takes the place of the answer to a sign-in that was not looked at."""
    attempts = AccessAttempt.objects.filter(
        username=user_name(request, credentials), ip_address=client_address(request)
    )
    now = timezone.now()
    last = max(attempts.values_list("attempt_time", flat=True), default=now)
    left = max(last + settings.AXES_COOLOFF_TIME - now, timedelta())
    answer = render(request, "locked_out.html", {"left": left, "at": now + left}, status=HTTPStatus.TOO_MANY_REQUESTS)
    answer["Retry-After"] = str(int(left.total_seconds()) + 1)
    return answer
