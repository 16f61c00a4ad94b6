"""A second pass in which 5 % of 10,000 listings changed: what is written, and what it costs the database.

python -m benchmarks.second_pass
"""

from benchmarks.harness import pairs, report, set_up, timed

database = set_up()

from collections import Counter  # noqa: E402
from collections.abc import Callable  # noqa: E402
from contextlib import ExitStack  # noqa: E402
from dataclasses import replace  # noqa: E402
from datetime import UTC, datetime, timedelta  # noqa: E402
from decimal import Decimal  # noqa: E402
from typing import Any  # noqa: E402
from uuid import uuid4  # noqa: E402

from django.db import connection  # noqa: E402

from benchmarks import shop  # noqa: E402
from benchmarks.canned_server import canned_server  # noqa: E402
from catalog.facts import Facts, ShelfState  # noqa: E402
from catalog.models import Channel  # noqa: E402
from integrations.connectors.base import Reading, ReadOutcome  # noqa: E402
from monitoring.models import Observation, PollRun  # noqa: E402
from monitoring.services import claim_due, close_run, open_run, record  # noqa: E402

CHUNK = 500
BOOKKEEPING = ("monitoring_listingwatch", "monitoring_pollrun")


def count_bookkeeping(counts: Counter[str]) -> Callable[..., Any]:
    """An execute wrapper that counts statements that write to the tables which only keep the books."""

    def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        verb = sql.lstrip().split(" ", 1)[0].upper()
        if verb in {"UPDATE", "INSERT", "DELETE"}:
            table = next((name for name in BOOKKEEPING if f'"{name}"' in sql[:60]), "other")
            counts[table] += 1
        return execute(sql, params, many, context)

    return wrapper


def pass_over(facts_of: Callable[[int], Facts], now: datetime) -> float:
    """Claim and record every listing in chunks, without HTTP; returns the seconds of it."""

    def work() -> None:
        for channel in Channel.objects.all():
            run = open_run(channel_id=channel.pk, now=now)
            token = uuid4()
            while claims := claim_due(run=run, limit=CHUNK, token=token, now=now):
                record(
                    run=run,
                    token=token,
                    claims={claim.listing_id: claim for claim in claims},
                    readings=[
                        Reading(claim.listing_id, ReadOutcome.READ, facts=facts_of(claim.listing_id))
                        for claim in claims
                    ],
                    now=now,
                )
            close_run(run=run, now=now)

    return timed(work)


def main() -> None:
    with canned_server() as address:
        shop.fill(address)
        shop.fetch_all()
        before = Observation.objects.count()
        PollRun.objects.all().delete()
        shop.make_due()
        shop.set_generation(address, 1)
        counts: Counter[str] = Counter()
        with ExitStack() as stack:
            stack.enter_context(connection.execute_wrapper(count_bookkeeping(counts)))
            shop.fetch_all()
        written = Observation.objects.count() - before
        runs = PollRun.objects.count()
        chunks = -(-shop.LISTINGS // shop.CHANNELS // CHUNK) * shop.CHANNELS
        watch_writes = counts["monitoring_listingwatch"]

    # The cost, on readings that are in memory already: 5 % changed against every row written.
    base = Facts(list_price=Decimal("100.00"), stock=37, shelf_state=ShelfState.ON_SHELF)
    clock = datetime.now(UTC) + timedelta(days=1)
    step = 0

    def facts_with(share: int) -> Callable[[int], Facts]:
        changed = replace(base, list_price=Decimal(200 + step))
        return lambda pk: changed if pk % 100 < share else base

    def timed_pass(share: int) -> float:
        nonlocal step
        # Back to known facts first, outside the time, so that both sides start from the same place.
        for is_timed in (False, True):
            step += 1
            seconds = pass_over(
                facts_with(share) if is_timed else lambda _pk: base, clock + timedelta(seconds=301 * step)
            )
        return seconds

    cost = pairs(lambda: timed_pass(5), lambda: timed_pass(100))
    report(
        "second pass with 5 % changed",
        target="rows = changed listings; one poll run a channel; <= 2 bookkeeping writes a chunk; <= 0.5 of writing all",
        passed=written == shop.LISTINGS // 20
        and runs == shop.CHANNELS
        and watch_writes <= 2 * chunks
        and cost["ratio"] >= 2,
        database=database,
        observations_written=written,
        poll_runs=runs,
        chunks=chunks,
        watch_writes=watch_writes,
        poll_run_writes=counts["monitoring_pollrun"],
        **cost,
    )


if __name__ == "__main__":
    main()
