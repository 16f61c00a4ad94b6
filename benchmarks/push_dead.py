"""One dead channel of four, which takes calls and never answers them: what it costs the other three.

Both sides push 10,000 SKUs to the three living channels; on one of them the dead one has 10,000 rows due as well.

    python -m benchmarks push_dead
"""

from django.conf import settings

from benchmarks import stock_shops
from benchmarks.canned_server import canned_server
from benchmarks.harness import pairs, report
from benchmarks.stock_shops import CHANNELS, SKUS
from integrations.connections import forget_failures
from integrations.models import ChannelSync, ListingSync


def main(database: str) -> None:
    settings.HTTP_READ_TIMEOUT_SECONDS = 5  # it only sets how long a run of this benchmark takes
    with canned_server() as address:
        tokens = stock_shops.fill(address, channels=CHANNELS + 1)
        *living, dead = stock_shops.all_channels()
        stock_shops.tell(address, tokens[-1], is_dead=True)

        def seconds(*, with_dead: bool) -> float:
            stock_shops.settle_rows(channel_ids=living)
            rows = ListingSync.objects.filter(channel=dead)
            rows.update(due_at=None, verify_at=None, lease_token=None, lease_until=None, state="in-sync", cause="")
            ChannelSync.objects.filter(channel=dead).update(is_on=with_dead)
            forget_failures(ChannelSync.objects.get(channel=dead).channel)
            stock_shops.sell()
            return stock_shops.seconds_to_send(SKUS * CHANNELS, channel_ids=living)

        seconds(with_dead=False)
        compared = pairs(lambda: seconds(with_dead=True), lambda: seconds(with_dead=False))
        wrong = stock_shops.wrong_rows(address, tokens[:-1])
    report(
        "push beside a dead channel",
        target="the others lose at most 5 %",
        passed=compared["ratio"] >= 0.95 and not wrong,
        database=database,
        **compared,
        rows_wrong_in_the_end=wrong,
    )
