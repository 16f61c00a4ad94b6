"""One whole pass over a channel in the foreground."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from catalog.database import parts
from catalog.models import Channel
from integrations.lanes.problem import Problem
from integrations.syncing import dirty, guards, orders
from integrations.syncing.models import ChannelSync, ListingSync
from integrations.syncing.pushing import push_slice
from integrations.syncing.scope import WHOLE, Scope

FIGURES = ("orders", "movements", "waiting", "sent", "unchanged", "refused", "failed", "looked")
_SLICE_SECONDS = 60.0
_LONGEST_WAIT = timedelta(seconds=15)  # for what is read back or tried again; later it is left to the lanes
_SHOWN_EVERY_SECONDS = 1.0  # how far it is, to somebody who watches


@dataclass(frozen=True, slots=True)
class Pass:
    """Orders with news, movements booked for them and lines that wait; then rows by what became of them."""

    orders: int = 0
    movements: int = 0
    waiting: int = 0
    sent: int = 0
    unchanged: int = 0
    refused: int = 0
    failed: int = 0
    looked: int = 0
    held: int = 0  # in all, that would go to 0 and wait for a decision
    problems: list[Problem] = field(default_factory=list)

    def __str__(self) -> str:
        booked = f"{self.orders} orders, {self.movements} movements, {self.waiting} lines waiting"
        pushed = f"{self.sent} sent, {self.unchanged} unchanged, {self.refused} refused, {self.failed} failed"
        return f"{booked}; {pushed}, {self.looked} read back"


def pass_over_channel(
    *,
    channel: Channel,
    is_full: bool = False,
    scope: Scope = WHOLE,
    progress: Callable[[int, int], None] | None = None,
) -> Pass:
    """Book the channel's orders, send what differs from its target and wait until it is read back; by the real clock.

    `is_full`: every listing is read back, whether or not anything changed. `scope`: which listings are compared and
    read back; what is due besides is sent as well. What fails is left to the lanes, and so is what other workers are
    at. `progress` is told how many rows are done, of how many. Raises UnknownScope.
    """
    counts: Counter[str] = Counter()
    problems: dict[str, Problem] = {}
    ids = [channel.pk]
    orders.make_due(ids, now=timezone.now())
    more_due = True
    while more_due:
        read = orders.read_slice(seconds=_SLICE_SECONDS, channel_ids=ids)
        counts += Counter({name: getattr(read, name) for name in ("orders", "movements", "waiting", "failed")})
        problems |= {problem.cause: problem for problem in read.problems}
        more_due = read.more_due and not read.problems
    now = timezone.now()
    if is_full and ChannelSync.objects.filter(channel=channel, is_confirmed=True, is_paused=False).exists():
        dirty.begin_full(channel, scope=scope, now=now)
    elif scope.is_whole:
        dirty.sweep(now=now, channel_ids=ids)
    else:
        for some in parts(sorted(scope.listings(channel).values_list("pk", flat=True))):
            dirty.compare(some, now=now)
    total = _left(channel)
    while True:
        if progress is not None:
            total = max(total, left := _left(channel))
            progress(total - left, total)
        pushed = push_slice(seconds=_SLICE_SECONDS if progress is None else _SHOWN_EVERY_SECONDS, channel_ids=ids)
        counts += Counter(
            {name: getattr(pushed, name) for name in ("sent", "unchanged", "refused", "failed", "looked")}
        )
        problems |= {problem.cause: problem for problem in pushed.problems}
        if pushed.problems or not (pushed.more_due or _is_soon(pushed.due_at)):
            break
        if pushed.due_at is not None and not pushed.more_due:
            time.sleep(max((pushed.due_at - timezone.now()).total_seconds(), 0))
    held = guards.held_rows(channel).count()
    return Pass(**{name: counts[name] for name in FIGURES}, held=held, problems=list(problems.values()))


def _left(channel: Channel) -> int:
    """Rows that are to be sent or read back, now or later."""
    return ListingSync.objects.filter(channel=channel).exclude(due_at=None, verify_at=None).count()


def _is_soon(due_at: datetime | None) -> bool:
    return due_at is not None and due_at <= timezone.now() + _LONGEST_WAIT
