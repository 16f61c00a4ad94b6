"""The description of the API, and whether the API keeps to it."""

import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from django.utils import timezone

from catalog.models import ApiKey
from monitoring.models import Observation
from monitoring.services.prices import requote
from tests.factories import (
    AdviceFactory,
    AlertFactory,
    ApiKeyFactory,
    ListingWatchFactory,
    PromotionFactory,
    SkuFactory,
    SkuPlanFactory,
    UserFactory,
)

EXAMPLES = 10  # for each operation and kind of data
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


def fill():
    now = timezone.now()
    for number in range(3):
        listing = ListingWatchFactory(read_at=now, listing__sku=SkuFactory(cost_price=number)).listing
        listing.list_price = Decimal("268.50")
        listing.save()
        for age in range(4):
            at = now - timedelta(hours=age)
            Observation.objects.create(listing=listing, observed_at=at, list_price=9, shelf_state="on_shelf")
        AlertFactory(listing=listing)
        SkuPlanFactory(sku=listing.sku)
        AdviceFactory(sku=listing.sku)
        PromotionFactory(channel=listing.channel)
        requote(listing_ids=[listing.pk], now=now)


def test_the_api_answers_as_it_is_described(transactional_db, live_server, settings, tmp_path):
    """Thousands of right and wrong requests: no error of the server's, and no answer that is not in the description."""
    settings.API_REQUESTS_PER_MINUTE = 1_000_000
    fill()
    key = ApiKeyFactory.build(
        user=UserFactory(is_superuser=True),
        scopes=list(ApiKey.Scope.values),
    )
    token = key.issue()
    key.save()
    # What is right by itself may be wrong together (a time after another), and no random text is a cursor.
    (tmp_path / "config.toml").write_text(
        '[checks.positive_data_acceptance]\nexpected-statuses = ["2xx", "400", "404"]\n', encoding="utf-8"
    )
    command = [
        str(SCHEMATHESIS),
        "--config-file",
        str(tmp_path / "config.toml"),
        "run",
        f"{live_server.url}/api/v1/schema/",
        # On a connection that is kept, the test server and the client wait 40 ms for each other with every answer.
        *("--header", f"Authorization: Bearer {token}", "--header", "Connection: close"),
        *("--max-examples", str(EXAMPLES), "--workers", "1"),
        *("--phases", "examples,coverage,fuzzing", "--generation-deterministic"),
        *("--continue-on-failure", "--no-color", "--no-shrink"),
    ]
    environment = {**os.environ, "NO_PROXY": "*"}
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout[-6_000:] + found.stderr
