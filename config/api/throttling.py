"""How often a key may ask."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from catalog.api_keys import take_turn
from catalog.models import ApiKey


class KeyThrottle(BaseThrottle):
    """The pace of a key, the same for all processes and hosts. Staff in a browser are as free as on the pages."""

    _wait = timedelta()

    def allow_request(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, ApiKey):
            self._wait = take_turn(key=request.auth, now=timezone.now())
        return not self._wait

    def wait(self) -> float:
        return self._wait.total_seconds()
