"""A second pass in which 5 % of 10,000 listings changed: what is written, and what it costs the database.

python -m benchmarks second_pass
"""

import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import wraps
from typing import Any
from uuid import uuid4

from django.db import connection

from benchmarks import shop
from benchmarks.canned_server import canned_server
from benchmarks.harness import pairs, report
from catalog.facts import Facts, ShelfState
from catalog.models import Channel
from integrations.connectors.base import Reading, ReadOutcome
from integrations.lanes.engine import CHUNK
from monitoring.models import Observation, PollRun
from monitoring.services import claim_due, close_run, open_run, record, recording

WRITTEN = re.compile(r'(?:UPDATE|INSERT INTO) "(monitoring_listingwatch|monitoring_pollrun)"')


def count_bookkeeping(counts: Counter[str]) -> Callable[..., Any]:
    """An execute wrapper that counts statements that write to the tables which only keep the books."""

    def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        found = WRITTEN.search(sql)
        if found:
            counts[found[1]] += 1
        return execute(sql, params, many, context)

    return wrapper


class DatabaseClock:
    """Adds up the seconds spent in what talks to the database, and nothing of the rest."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.is_running = False  # on while a chunk or the end of a pass is stored

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def timed_call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self.seconds += (time.perf_counter() - start) * self.is_running

        return timed_call


clock = DatabaseClock()
recording.copy_rows = clock.wrap(recording.copy_rows)  # type: ignore[attr-defined]
recording.update_rows = clock.wrap(recording.update_rows)  # type: ignore[attr-defined]
recording.update_alike = clock.wrap(recording.update_alike)  # type: ignore[attr-defined]
connection._commit = clock.wrap(connection._commit)  # type: ignore[attr-defined]
timed_close = clock.wrap(close_run)


def pass_over(facts_of: Callable[[int], Facts], now: datetime) -> float:
    """Claim and record every listing in chunks, without HTTP; returns the database's seconds for storing them.

    Claiming is left out: it shares work out, and is the same whether rows are written or not.
    """
    clock.seconds = 0.0
    for channel in Channel.objects.all():
        run = open_run(channel_id=channel.pk, now=now)
        token = uuid4()
        while claims := claim_due(run=run, limit=CHUNK, token=token, now=now):
            readings = [
                Reading(claim.listing_id, ReadOutcome.READ, facts=facts_of(claim.listing_id)) for claim in claims
            ]
            by_id = {claim.listing_id: claim for claim in claims}
            clock.is_running = True
            record(run=run, token=token, claims=by_id, readings=readings, now=now)
            clock.is_running = False
        clock.is_running = True
        timed_close(run=run, now=now)
        clock.is_running = False
    return clock.seconds


def main(database: str) -> None:
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
    first = datetime.now(UTC) + timedelta(days=1)
    step = 0

    def facts_with(share: int) -> Callable[[int], Facts]:
        changed = base._replace(list_price=Decimal(200 + step))
        return lambda pk: changed if pk % 100 < share else base

    def timed_pass(share: int) -> float:
        nonlocal step
        # Back to known facts first, outside the time, so that both sides start from the same place.
        for is_timed in (False, True):
            step += 1
            facts_of = facts_with(share) if is_timed else lambda _pk: base
            seconds = pass_over(facts_of, first + timedelta(seconds=301 * step))
        return seconds

    cost = pairs(lambda: timed_pass(5), lambda: timed_pass(100))
    report(
        "second pass with 5 % changed",
        target="rows = changed listings, one poll run a channel, 2 bookkeeping writes a chunk, 0.5 of writing all",
        passed=written == shop.LISTINGS // 20
        and runs == shop.CHANNELS
        and watch_writes <= 2 * chunks + shop.CHANNELS  # the last look for more claims nothing
        and cost["ratio"] >= 2,
        database=database,
        observations_written=written,
        poll_runs=runs,
        chunks=chunks,
        watch_writes=watch_writes,
        poll_run_writes=counts["monitoring_pollrun"],
        **cost,
    )
