"""Read 10,000 Shopify variants with 8 threads inside the cost bucket; memory of discovery by bulk operation.

The simulator stands in for the platform here: what counts is its calls and its bucket, not its speed.

    python -m benchmarks shopify
"""

import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from benchmarks.harness import report, timed
from integrations.connectors.base import ListingRef, ReadOutcome
from integrations.connectors.errors import Wait
from integrations.connectors.http import HttpClient, Limits
from integrations.connectors.shopify import ShopifyConnector, ShopifyCredentials
from tests.simulator import Simulator, start_simulator, stop_simulator

VARIANTS, SMALL = 10_000, 2_000
THREADS = 8
A_CALL_READS = 250
READ_CALL = "shop,nodes"


def main(database: str) -> None:
    process, address = start_simulator("--seed", "7", "--listings", "80")
    simulator = Simulator(address)
    try:
        simulator.reset(speed=0)
        _fill(simulator, SMALL)
        small = _memory_of_discovery(simulator, SMALL)
        _fill(simulator, VARIANTS)
        large = _memory_of_discovery(simulator, VARIANTS)
        refs = [
            ListingRef(number, str(row["num_iid"]), str(row["sku_id"]))
            for number, row in enumerate(simulator.shopify.variants()[:VARIANTS])
        ]
        simulator.clear_ledger()
        seconds = timed(lambda: _read(simulator, refs))
        calls = [entry for entry in simulator.ledger() if entry["platform"] == "shopify"]
    finally:
        simulator.close()
        stop_simulator(process)
    least = -(-VARIANTS // A_CALL_READS)
    throttled = sum(entry["sub_code"] == "THROTTLED" for entry in calls)
    growth = large / small - 1
    report(
        "read 10,000 Shopify variants",
        target="at most 1.2 x the least calls, none throttled, memory of discovery at most 25 % more for 5 x the rows",
        passed=len(calls) <= 1.2 * least and not throttled and growth <= 0.25,
        database=database,
        calls=len(calls),
        least_calls=least,
        throttled=throttled,
        seconds=round(seconds, 2),
        kilobytes_of_discovery=[round(each / 1000) for each in (small, large)],
    )


def _fill(simulator: Simulator, variants: int) -> None:
    """Have the shop hold so many variants at least."""
    simulator.shopify.add_products(variants - len(simulator.shopify.variants()), variants_each=50)


def _connect(simulator: Simulator) -> ShopifyConnector:
    shop = simulator.shopify.shop()
    settings = {
        "shop": shop["domain"],
        "app_key": shop["client_id"],
        "app_secret": shop["client_secret"],
        "access_token": shop["access_token"],
    }
    http = HttpClient(limits=Limits(read_seconds=60, total_seconds=120))
    return ShopifyConnector(ShopifyCredentials.from_settings(settings), base_url=simulator.base_url, http=http)


def _read(simulator: Simulator, refs: list[ListingRef]) -> None:
    connector, now = _connect(simulator), datetime.now(UTC)
    with ThreadPoolExecutor(THREADS) as pool:
        batches = pool.map(lambda batch: connector.read_listings(batch, now=now), connector.read_batches(refs))
        outcomes = [reading.outcome for readings in batches for reading in readings]
    assert outcomes == [ReadOutcome.READ] * len(refs)


def _discovered(connector: ShopifyConnector) -> int:
    """How many listings are told, without keeping them."""
    found, cursor, is_all = 0, None, False
    while not is_all:
        try:
            for page in connector.discover_listings(now=datetime.now(UTC), cursor=cursor):
                found, cursor, is_all = found + len(page.listings), page.cursor, page.cursor is None
        except Wait:  # until the bulk operation is done
            time.sleep(0.2)
    return found


def _memory_of_discovery(simulator: Simulator, least: int) -> int:
    """The most bytes in use at once while a shop is discovered, whose listings are looked at and let go."""
    connector = _connect(simulator)
    tracemalloc.start()
    try:
        found = _discovered(connector)
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found >= least
    return most
