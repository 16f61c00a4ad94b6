"""A process of its own for test_keys, on the database of DATABASE_URL.

It is called as `python -m tests.api.asking set_up`, or with `ask` and a time.
"""

import os
import sys
from datetime import datetime

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from catalog.api_keys import take_turn  # noqa: E402
from catalog.models import ApiKey  # noqa: E402
from tests.factories import ApiKeyFactory  # noqa: E402

if __name__ == "__main__":
    if sys.argv[1] == "set_up":
        call_command("migrate", verbosity=0)
        ApiKeyFactory()
    else:
        now, key = datetime.fromisoformat(sys.argv[2]), ApiKey.objects.get()
        sys.stdout.write(str(sum(not take_turn(key=key, now=now) for _request in range(25))))
    connection.close()
