"""The jobs of the processes of test_keys."""

from datetime import datetime

from django.conf import settings

from catalog.api_keys import take_turn
from catalog.models import ApiKey
from tests.factories import ApiKeyFactory


def set_up() -> None:
    ApiKeyFactory()


def ask(now: datetime) -> int:
    """How many of 25 requests at that moment were let through, of 300 a minute."""
    settings.API_REQUESTS_PER_MINUTE = 300
    key = ApiKey.objects.get()
    return sum(not take_turn(key=key, now=now) for _request in range(25))
