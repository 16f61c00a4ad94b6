"""20 channels polled at once, each inside a quota of its own that the server enforces.

Against the loop that sleeps after each call: one thread for each channel, no session, 1 / quota seconds between calls.

    python -m benchmarks quotas
"""

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import requests
from django.db import connection

from benchmarks import shop
from benchmarks.canned_server import canned_server
from benchmarks.harness import report
from benchmarks.memory import resident_bytes
from catalog.models import Channel, Listing
from integrations.fetching import fetch_slice
from integrations.models import Credential, QuotaSlot
from monitoring.services import ensure_watches

RATES = [Decimal(rate) for rate in ("0.5", "1", "1.5", "2", "2.5", "3", "4", "5", "8", "12.5")] * 2  # 80 calls a second
SECONDS = 20
RUNS = 3
BATCH = 20


def fill(address: str) -> dict[str, Decimal]:
    """A channel for each rate with more listings than its quota can read in a run; returns the rates by app key."""
    rates = {str(10_000_000 + number): rate for number, rate in enumerate(RATES)}
    for app_key, rate in rates.items():
        channel = Channel.objects.create(name=f"Canned {app_key}")
        Credential.objects.create(
            channel=channel,
            app_key=app_key,
            app_secret="canned",
            access_token="canned",
            base_url=address,
            calls_per_second=rate,
        )
        Listing.objects.bulk_create(
            Listing(channel=channel, platform_item_id=str(shop.FIRST_ITEM + number))
            for number in range(int(rate * (SECONDS + 10)) * BATCH)
        )
    ensure_watches(now=datetime.now(UTC))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return rates


def set_quotas(address: str, rates: dict[str, Decimal]) -> None:
    """Begin counting anew on both sides."""
    QuotaSlot.objects.all().delete()
    for app_key, rate in rates.items():
        requests.post(f"{address}/quota/{app_key}/{rate}", timeout=20).raise_for_status()


def used(address: str, rates: dict[str, Decimal]) -> tuple[float, float, int]:
    """The share of the sum of quotas that was served, that of the channel with the smallest one, and the 429s."""
    calls = requests.get(f"{address}/calls", timeout=20).json()
    shares = {app_key: calls[app_key][0] / float(rate * SECONDS) for app_key, rate in rates.items()}
    share = sum(served for served, _refused in calls.values()) / float(sum(rates.values()) * SECONDS)
    return round(share, 3), round(min(shares.values()), 3), sum(refused for _served, refused in calls.values())


def sleeping_loops(address: str, rates: dict[str, Decimal]) -> None:
    """One thread for each channel, which sleeps for 1 / quota seconds after each call."""
    ends = time.monotonic() + SECONDS
    items = ",".join(str(shop.FIRST_ITEM + number) for number in range(BATCH))

    def loop(app_key: str, rate: Decimal) -> None:
        form = {"method": "taobao.items.seller.list.get", "app_key": app_key, "num_iids": items}
        while time.monotonic() < ends:
            requests.post(f"{address}/router/rest", data=form, timeout=20)
            time.sleep(float(1 / rate))

    with ThreadPoolExecutor(len(rates)) as pool:
        list(pool.map(loop, rates.keys(), rates.values()))


def main(database: str) -> None:
    shares, least, refused, growths = [], [], [], []
    with canned_server() as address:
        rates = fill(address)
        for _run in range(RUNS):
            shop.forget()
            set_quotas(address, rates)
            sizes: list[int] = []
            sampler = threading.Timer(SECONDS / 3, lambda sizes=sizes: sizes.append(resident_bytes()))
            sampler.start()
            fetch_slice(seconds=SECONDS)
            sampler.join()
            sizes.append(resident_bytes())
            share, smallest, over = used(address, rates)
            shares.append(share)
            least.append(smallest)
            refused.append(over)
            growths.append(round((sizes[1] / sizes[0] - 1) * 100, 2))
        set_quotas(address, rates)
        sleeping_loops(address, rates)
        naive_share, _least, naive_refused = used(address, rates)
    report(
        "20 channels polled at once, each inside its quota",
        target="at least 0.95 of the sum of quotas used, no 429, at most 5 % more memory from a third of the run on",
        passed=statistics.median(shares) >= 0.95 and not any(refused) and statistics.median(growths) <= 5,
        database=database,
        share_used=shares,
        least_share_of_a_channel=least,
        refused_429=refused,
        memory_growth_percent=growths,
        calls_per_second=float(sum(rates.values())),
        sleeping_loop_share=naive_share,
        sleeping_loop_429=naive_refused,
    )
