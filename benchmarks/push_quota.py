"""Push stock to three channels under a quota of 20 calls a second each (batch 50), which the server enforces.

A slice of some seconds has more due than it can send; what counts is the rows that were written in it, of those that
the quota would let through.

    python -m benchmarks push_quota
"""

import statistics
from decimal import Decimal

import requests

from benchmarks import stock_shops
from benchmarks.canned_server import canned_server
from benchmarks.harness import report
from benchmarks.stock_shops import BATCH, CHANNELS
from integrations.models import QuotaSlot

CALLS_PER_SECOND = Decimal(20)
SECONDS = 9
RUNS = 3
POSSIBLE = int(CALLS_PER_SECOND) * BATCH * SECONDS * CHANNELS  # rows


def rows_in_a_slice(address: str, tokens: list[str]) -> tuple[int, int]:
    """The rows that a slice writes of all that are due, and how many calls were over the quota."""
    stock_shops.settle_rows()
    stock_shops.sell()
    QuotaSlot.objects.all().delete()
    for token in tokens:
        requests.post(f"{address}/quota/{token}/{CALLS_PER_SECOND}", timeout=20).raise_for_status()
    before = sum(stock_shops.told(address, token)["rows_written"] for token in tokens)
    stock_shops.push(seconds=SECONDS)
    written = sum(stock_shops.told(address, token)["rows_written"] for token in tokens) - before
    calls = requests.get(f"{address}/calls", timeout=20).json()
    return written, sum(calls[token][1] for token in tokens)


def main(database: str) -> None:
    shares, refused = [], []
    with canned_server() as address:
        tokens = stock_shops.fill(address, calls_per_second=CALLS_PER_SECOND)
        for _run in range(RUNS):
            written, over = rows_in_a_slice(address, tokens)
            shares.append(round(written / POSSIBLE, 3))
            refused.append(over)
        stock_shops.settle_rows()
        wrong = stock_shops.wrong_rows(address, tokens)
    report(
        "push under a quota of 20 calls a second for each of 3 channels",
        target="at least 0.95 of quota x batch, no 429",
        passed=statistics.median(shares) >= 0.95 and not any(refused) and not wrong,
        database=database,
        share_used=shares,
        refused_429=refused,
        rows_wrong_in_the_end=wrong,
    )
