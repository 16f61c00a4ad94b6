"""What a worker process of a test runs; it is loaded once, in the process that tests.workers has them forked from."""

from collections.abc import Callable
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

import django
from django.apps import apps

if not apps.ready:
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()

from django.db import connection
from django.utils import timezone

import integrations.tasks  # noqa: F401  so that it is there before the first fork

_shift = timedelta()


def work(answer: Connection, database: str, shift: float, job: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Do the job at that database, at times `shift` seconds from now, and tell what it returns."""
    global _shift
    _shift = timedelta(seconds=shift)
    connection.settings_dict["NAME"] = database
    answer.send(job(*arguments))
    connection.close()


def now() -> datetime:
    return timezone.now() + _shift
