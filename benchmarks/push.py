"""Push 10,000 SKUs to three channels (batch 50, 20 ms, 32 threads): every row sent, answered and recorded.

Against the bare batched pusher, which makes the same calls with the same threads, and against the thread-pool sync on
300 of the SKUs, without its sleeps (and on 50 with them). Reading back comes after what is compared, and is told apart.

    python -m benchmarks push
"""

import time

from django.db.models import F

from benchmarks import stock_shops
from benchmarks.baselines import bare_push, thread_pool_sync
from benchmarks.canned_server import canned_server
from benchmarks.harness import FOLDER, pairs, report, timed
from benchmarks.memory import resident_bytes
from benchmarks.shop import settle
from benchmarks.stock_shops import BATCH, CHANNELS, SKUS
from catalog.database import update_rows
from integrations.models import ListingSync, SyncAttempt, SyncItem
from integrations.syncing.rows import VERIFY_MANY_AFTER

THREADS = 32
SYNCED, SYNCED_SLOWLY = 300, 50
ROWS = SKUS * CHANNELS


def main(database: str) -> None:
    booked: list[float] = []
    confirmed: list[float] = []
    sizes: list[int] = []
    with canned_server() as address:
        tokens = stock_shops.fill(address)
        # The bare side writes to shops of its own, so that none finds the figures of the other.
        pks = {
            f"{token}-bare": list(
                ListingSync.objects.filter(channel=channel_id).order_by("pk").values_list("pk", flat=True)
            )
            for token, channel_id in zip(tokens, stock_shops.all_channels(), strict=True)
        }
        figure = 0

        def ours() -> float:
            SyncAttempt.objects.all().delete()
            SyncItem.objects.all().delete()
            booked.append(round(timed(lambda: stock_shops.sell()), 3))
            settle()
            seconds = stock_shops.seconds_to_send(ROWS)
            assert SyncItem.objects.filter(call__status="applied").count() == ROWS
            assert stock_shops.wrong_rows(address, tokens) == 0
            confirmed.append(round(seconds + read_back(), 3))
            sizes.append(resident_bytes())
            return seconds

        def read_back() -> float:
            """Seconds of work, without the time that is let go by before a figure is looked for."""
            time.sleep(VERIFY_MANY_AFTER.total_seconds())
            seconds = timed(stock_shops.push)
            states = set(ListingSync.objects.values_list("state", flat=True))
            assert states == {"in-sync"}
            assert not ListingSync.objects.exclude(confirmed=F("pushed")).exists()
            return seconds

        def store(rows: list[tuple[str, int, int]]) -> None:
            update_rows(
                ListingSync, "id", ["pushed"], [(pks[token][place], quantity) for token, place, quantity in rows]
            )

        def bare() -> float:
            nonlocal figure
            figure += 1
            quantities = {token: [figure + place % 50 for place in range(SKUS)] for token in pks}
            settle()
            written = []
            seconds = timed(
                lambda: written.append(bare_push(address, quantities, threads=THREADS, batch=BATCH, store=store))
            )
            assert written == [ROWS]
            return seconds

        def naive(skus: int, *, with_sleeps: bool) -> float:
            quantities = {f"{token}-naive": [7] * skus for token in tokens}
            database = FOLDER / "naive.sqlite3"
            seconds = timed(lambda: thread_pool_sync(address, quantities, database, with_sleeps=with_sleeps))
            return seconds / skus

        # Once unmeasured: a worker that has been at it for longer than one pass is what is compared.
        ours(), bare()
        against_bare = pairs(ours, bare)
        ours_each = sorted(against_bare["ours_seconds"])[1] / SKUS
        times = round(naive(SYNCED, with_sleeps=False) / ours_each)
        times_with_sleeps = round(naive(SYNCED_SLOWLY, with_sleeps=True) / ours_each)
    report(
        "push 10,000 SKUs to 3 channels",
        target="at least 0.5 of the bare batched pusher, 50 x the thread-pool sync without its sleeps",
        passed=against_bare["ratio"] >= 0.5 and times >= 50,
        database=database,
        **against_bare,
        times_the_sync=times,
        times_the_sync_with_sleeps=times_with_sleeps,
        seconds_until_confirmed=confirmed[1:],
        seconds_to_book_and_mark=booked[1:],
        megabytes=[round(size / 1_000_000, 1) for size in sizes],
    )
