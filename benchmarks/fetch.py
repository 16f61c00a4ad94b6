"""Fetch and store 10,000 listings of four channels (batch 20, 20 ms, 32 threads).

Against the bare loop, and against the naive monitor on 300 of them.

    python -m benchmarks fetch
"""

from benchmarks import shop
from benchmarks.baselines import Row, bare_fetch, one_by_one_monitor
from benchmarks.canned_server import canned_server
from benchmarks.harness import FOLDER, pairs, report, timed
from catalog.database import copy_rows
from monitoring.models import Observation

MONITORED = 300
THREADS, BATCH = 32, 20


def main(database: str) -> None:
    with canned_server() as address:
        listing_ids = shop.fill(address)
        items = list(listing_ids)

        def ours() -> float:
            shop.forget()
            seconds = timed(shop.fetch_all)
            assert Observation.objects.count() == len(items)
            return seconds

        def store(rows: list[Row]) -> None:
            copy_rows(
                Observation,
                ["listing", "observed_at", "is_gap", "list_price", "stock", "shelf_state"],
                [(listing_ids[item], at, False, price, stock, "on_shelf") for item, at, price, stock, _status in rows],
            )

        def bare() -> float:
            Observation.objects.all().delete()
            shop.settle()
            return timed(lambda: bare_fetch(address, items, threads=THREADS, batch=BATCH, store=store))

        # Once unmeasured: a worker that has been at it for longer than one pass is what is compared.
        ours(), bare()
        against_bare = pairs(ours, bare)
        naive = timed(lambda: one_by_one_monitor(address, items[:MONITORED], FOLDER / "naive.sqlite3")) / MONITORED
        ours_each = sorted(against_bare["ours_seconds"])[1] / len(items)
        times = round(naive / ours_each)
        report(
            "fetch and store 10,000 listings",
            target="at least 0.6 of the bare loop, 300 x the one-by-one monitor",
            passed=against_bare["ratio"] >= 0.6 and times >= 300,
            database=database,
            **against_bare,
            times_the_monitor=times,
        )
