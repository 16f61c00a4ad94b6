"""The same under the same quota, with 1 % of the calls answered 503 and 0.5 % not at all, half of these carried out.

HTTP_READ_TIMEOUT_SECONDS is 2, as somebody would set it for a shop that answers at once: 20 is what it is else, and a
call without an answer would then outlast the slice. Every call is counted, so that the faults are as many as they say.

    python -m benchmarks push_faults
"""

import statistics

from django.conf import settings

from benchmarks import stock_shops
from benchmarks.canned_server import canned_server
from benchmarks.harness import report
from benchmarks.push_quota import CALLS_PER_SECOND, POSSIBLE, RUNS, rows_in_a_slice
from integrations.models import ListingSync


def main(database: str) -> None:
    settings.HTTP_READ_TIMEOUT_SECONDS = 2
    shares, unavailable, silent = [], [], []
    with canned_server() as address:
        tokens = stock_shops.fill(address, calls_per_second=CALLS_PER_SECOND)
        whole, _refused = rows_in_a_slice(address, tokens)
        for token in tokens:
            stock_shops.tell(address, token, every_unavailable=100, every_silent=200)
        for _run in range(RUNS):
            written, _refused = rows_in_a_slice(address, tokens)
            shares.append(round(written / POSSIBLE, 3))
        stock_shops.settle_rows()
        for token in tokens:
            shop = stock_shops.told(address, token)
            unavailable.append(shop["unavailable"])
            silent.append(shop["silences"])
        wrong = stock_shops.wrong_rows(address, tokens)
        states = set(ListingSync.objects.values_list("state", flat=True))
    share = statistics.median(shares)
    report(
        "push with 1 % of the calls answered 503 and 0.5 % not at all",
        target="at least 0.90 of quota x batch, and every SKU right at the end",
        passed=share >= 0.9 and not wrong and states == {"in-sync"} and min(silent) > 0 and min(unavailable) > 0,
        database=database,
        share_used=shares,
        share_without_faults=round(whole / POSSIBLE, 3),
        answered_503=sum(unavailable),
        not_answered=sum(silent),
        rows_wrong_in_the_end=wrong,
        states_in_the_end=sorted(states),
    )
