"""A worker process of its own for test_killed_workers: `python -m tests.integrations.fetching.worker JOB ...`.

It works on the database of DATABASE_URL; times are shifted by SHIFT seconds, so that leases run out without waiting.
"""

import json
import os
import sys
from datetime import datetime, timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Count  # noqa: E402
from django.utils import timezone  # noqa: E402

from catalog.models import Channel, Listing  # noqa: E402
from integrations.connectors.taobao import TaobaoConnector  # noqa: E402
from integrations.fetching import fetch_slice  # noqa: E402
from integrations.lanes import engine  # noqa: E402
from integrations.models import Credential  # noqa: E402
from monitoring.models import ListingWatch, Observation, PollRun  # noqa: E402
from monitoring.services import ensure_watches  # noqa: E402


def now() -> datetime:
    return timezone.now() + timedelta(seconds=int(os.environ.get("SHIFT", "0")))


def set_up(base_url: str, account: str, rows: str) -> None:
    call_command("migrate", verbosity=0)
    channel = Channel.objects.create(name="Shop")
    Credential.objects.create(channel=channel, base_url=base_url, **json.loads(account))
    Listing.objects.bulk_create(
        Listing(channel=channel, platform_item_id=item_id, platform_sku_id=sku_id)
        for item_id, sku_id in json.loads(rows)
    )
    ensure_watches(now=now())


def read() -> None:
    """One slice in small chunks and batches, so that a kill meets some written, some on their way and some waiting."""
    TaobaoConnector.max_items_per_read = 1
    engine.CHUNK = 4
    fetch_slice(now_fn=now, seconds=20)


def report() -> None:
    per_listing = Listing.objects.annotate(count=Count("observations")).values_list("count", flat=True)
    runs = PollRun.objects.order_by("pk").values_list("read_ids", "finished_at")
    sys.stdout.write(
        json.dumps(
            {
                "observations": list(per_listing),
                "recorded": Observation.objects.count(),
                "leased": ListingWatch.objects.filter(lease_until__gt=now()).count(),
                "runs": [[len(ids), finished_at is not None] for ids, finished_at in runs],
            }
        )
    )


if __name__ == "__main__":
    job, *arguments = sys.argv[1:]
    if job == "set_up":
        set_up(*arguments)
    elif job == "read":
        read()
    else:
        report()
    connection.close()
