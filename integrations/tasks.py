"""What the queue calls. Every task may come twice, or be cut off and come again."""

import fcntl
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from django import db
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django_q.models import Task
from django_q.tasks import async_task

from catalog.database import parts
from catalog.models import Channel, Listing
from catalog.stock.booking import book_set_aside, book_waiting
from integrations import fetching, services, shop_reads
from integrations.connections import forget_other_currency
from integrations.models import ChannelSync, Heartbeat, SyncRun
from integrations.notifying import lane as notifying
from integrations.promotions import read_all
from integrations.syncing import alerting, dirty, dry_runs, orders, pushing
from integrations.syncing.pruning import prune_log
from monitoring.models import PlanRun
from monitoring.services import check_authorisations, check_blind, end_abandoned, wake_snoozed
from monitoring.services import prune as prune_history
from monitoring.services.collisions import scan_due
from monitoring.services.planning.crossing import check_points
from monitoring.services.planning.judging import judge
from monitoring.services.planning.running import judge_plans, run_plan
from monitoring.services.price_runs import end_runs
from monitoring.services.prices import requote_due
from monitoring.services.promotion_alerts import check_ending

logger = logging.getLogger(__name__)

BULK, INTERACTIVE = "bulk", "interactive"
# Listings that one requested fetch reads, and how many such tasks one event may queue: the lane reads the rest.
REQUEST_CHUNK = 200
MOST_REQUESTS = 5
FETCH_DEADLINE_SECONDS = 25
SHOP_TIMEOUT_SECONDS = 550  # one call may wait for minutes until the platform has put its answer together
FINISHED_TASKS_KEPT = timedelta(days=14)
_PRICING_SECONDS = 50.0  # of one slice: the next one begins with the next minute
_PLANNING_SECONDS = 120.0  # longer than a whole run takes
_BEAT_EVERY_SECONDS = 5.0
_SHORTEST_PAUSE_SECONDS = 1.0  # between two slices of a lane, so that what becomes due one by one is read together


def fetch_lane() -> str:
    """One slice of scheduled reading; queues the next one while there is work that is due now.

    The clock starts it each minute. Short intervals are kept all the same: what is due before the next one is waited
    for, within the slice's time.

    A host runs one lane at a time. A further one wakes it and ends at once, and queues nothing, so that however many
    were queued, those that go on are never more than one per host.
    """
    return _lane("fetch", fetching.fetch_slice, cluster=BULK)


def notify_lane() -> str:
    """One slice of sending what people are to be told; kept going, and to one per host, as the fetch lane is."""
    return _lane("notify", notifying.send_slice, cluster=INTERACTIVE)


def push_lane() -> str:
    """One slice of sending stock to the channels that are behind, and of reading it back; kept going as the others."""
    return _lane("push", pushing.push_slice, cluster=INTERACTIVE)


def orders_lane() -> str:
    """One slice of reading the orders of synced channels and booking them; kept to one per host as the others."""
    return _lane("orders", orders.read_slice, cluster=INTERACTIVE)


def shop_lane() -> str:
    """One slice of the long readings that somebody asked for, listings and sales; kept going as the others are."""
    return _lane("shop", shop_reads.read_due, cluster=BULK, timeout=SHOP_TIMEOUT_SECONDS)


def _lane(name: str, one_slice: Callable[..., "_Slice"], *, cluster: str, **options: Any) -> str:
    with _only_one(f"{name}-lane") as turn:
        if turn is None:
            return "already running"
        told, goes_on = _slices(turn, one_slice, ends=time.monotonic() + settings.WORK_SLICE_SECONDS)
    if goes_on:
        async_task(f"integrations.tasks.{name}_lane", cluster=cluster, **options)
    return "; ".join(told)


class _Slice(Protocol):
    """What a slice tells: whether its time was over before its work was, and when something is due next."""

    @property
    def more_due(self) -> bool: ...
    @property
    def due_at(self) -> datetime | None: ...


def _slices(turn: "_Turn", one_slice: Callable[..., _Slice], *, ends: float) -> tuple[list[str], bool]:
    """Slices until `ends` (time.monotonic()), each when something is due.

    Returns what they did, and whether another lane should follow at once.
    """
    told = []
    while True:
        turn.begin()
        summary = one_slice(now_fn=timezone.now, seconds=ends - time.monotonic())
        told.append(str(summary))
        if summary.more_due:
            return told, True
        if summary.due_at is None:
            return told, turn.was_asked()
        left = (summary.due_at - timezone.now()).total_seconds()
        wakes = time.monotonic() + max(left, _SHORTEST_PAUSE_SECONDS)
        while time.monotonic() < min(wakes, ends) and not turn.was_asked():
            time.sleep(min(max(min(wakes, ends) - time.monotonic(), 0), _SHORTEST_PAUSE_SECONDS))
        if time.monotonic() >= ends:
            return told, True


def fetch_requested(listing_ids: Sequence[int]) -> str:
    """Read these listings at once, whatever is due."""
    summary = fetching.fetch_listings(
        listing_ids=list(listing_ids), now=timezone.now(), deadline_seconds=FETCH_DEADLINE_SECONDS
    )
    return str(summary)


def request_fetch(listing_ids: Sequence[int]) -> int:
    """Queue a reading of these listings now; returns how many tasks were queued."""
    chunks = [listing_ids[start : start + REQUEST_CHUNK] for start in range(0, len(listing_ids), REQUEST_CHUNK)]
    for chunk in chunks[:MOST_REQUESTS]:
        async_task("integrations.tasks.fetch_requested", list(chunk), cluster=INTERACTIVE)
    if len(chunks) > MOST_REQUESTS:
        async_task("integrations.tasks.fetch_lane", cluster=BULK)
    return len(chunks[:MOST_REQUESTS])


def request_shop_lane() -> None:
    """Have a reading of a shop go on now."""
    async_task("integrations.tasks.shop_lane", cluster=BULK, timeout=SHOP_TIMEOUT_SECONDS)


def fetch_new_listings(sender: Any, listing_ids: Sequence[int], **kwargs: Any) -> None:
    """Receiver of listing_changed: what was added, or came back and is due by now, is read at once."""
    now = timezone.now()
    waiting = (
        Listing.objects.current()
        .filter(channel__is_watched=True)
        .exclude(watch__is_paused=True)
        .exclude(watch__next_due_at__gt=now, watch__tried_at__isnull=False)
    )
    rows = [row for some in parts(listing_ids) for row in waiting.filter(pk__in=some).values_list("channel_id", "pk")]
    request_fetch([pk for _channel_id, pk in sorted(rows)])


def fetch_changed_channels(sender: Any, channel_ids: Sequence[int], **kwargs: Any) -> None:
    """Receiver of channel_changed: what is due on a channel that may be read by now does not wait for the next minute.

    One lane more than needed does no harm: it ends at once.
    """
    forget_other_currency(channel_ids)
    if Channel.objects.filter(pk__in=channel_ids, is_watched=True).exists():
        async_task("integrations.tasks.fetch_lane", cluster=BULK)


def push_changed_stock(sender: Any, sku_ids: Sequence[int], **kwargs: Any) -> None:
    """Receiver of stock_changed: every channel is told at once, also of what was counted for the first time."""
    now = timezone.now()
    due = dirty.mark_dirty(sku_ids, now=now)
    for some in parts(sku_ids):
        new = Listing.objects.current().filter(sku__in=some, channel__sync__is_on=True, syncs__isnull=True)
        due += dirty.compare(list(new.values_list("pk", flat=True)), now=now)
    if due:
        request_push_lane()


def plan_changed_stock(sender: Any, sku_ids: Sequence[int], **kwargs: Any) -> None:
    """Receiver of stock_changed: what falls to a point of its plan is told and planned anew, before the night."""
    if crossed := check_points(sku_ids, now=timezone.now()):
        async_task("integrations.tasks.plan_lane", crossed, cluster=BULK)


def push_changed_listings(sender: Any, listing_ids: Sequence[int], **kwargs: Any) -> None:
    """Receiver of listing_changed: what was mapped, removed or packed otherwise may have another target now."""
    if sum(dirty.compare(some, now=timezone.now()) for some in parts(listing_ids)):
        request_push_lane()


def book_mapped_listings(sender: Any, listing_ids: Sequence[int], **kwargs: Any) -> None:
    """Receiver of listing_changed: what was sold of a listing before it was mapped is booked now."""
    for some in parts(listing_ids):
        book_waiting(listing_ids=some, now=timezone.now())


def push_changed_channels(sender: Any, channel_ids: Sequence[int], **kwargs: Any) -> None:
    """Receiver of channel_changed: its rule or its warehouses may be others."""
    synced = ChannelSync.objects.filter(channel__in=channel_ids, is_on=True)
    if found := sorted(synced.values_list("channel", flat=True)):
        async_task("integrations.tasks.sweep_stock", found, cluster=INTERACTIVE)


def request_push_lane() -> None:
    """Have what is due sent now."""
    async_task("integrations.tasks.push_lane", cluster=INTERACTIVE)


def sweep_stock(channel_ids: Sequence[int] | None = None) -> str:
    """Find the listings that are behind their targets, and sales that can be booked, though nobody said so."""
    if channel_ids is None:
        book_waiting(now=timezone.now())
        with transaction.atomic():
            dirty.doubt_listings(book_set_aside(now=timezone.now()).moved, now=timezone.now())
    found = dirty.sweep(now=timezone.now(), channel_ids=channel_ids)
    alerting.tell_held(now=timezone.now())
    if found:
        request_push_lane()
    return f"{found} due"


def full_sync() -> str:
    """Compare everything with its target, and read all of it back."""
    begun = dirty.full(now=timezone.now())
    if begun:
        request_push_lane()
    return f"{begun} channels"


def fill_dry_run(run_id: int) -> str:
    """Work out a dry run that is too large to be waited for."""
    run = SyncRun.objects.select_related("channel").get(pk=run_id)
    return f"{dry_runs.fill(run, now=timezone.now())} listings"


def send_queued(sender: Any, **kwargs: Any) -> None:
    """Receiver of notification_queued: what is to be told now does not wait for the next minute."""
    async_task("integrations.tasks.notify_lane", cluster=INTERACTIVE)


def beat(cluster: str) -> str:
    """The canary: that it runs at all is what its cluster shows by it."""
    Heartbeat.objects.update_or_create(name=cluster, defaults={"beat_at": timezone.now()})
    return cluster


class _LastBeat:
    at = -_BEAT_EVERY_SECONDS  # time.monotonic() of this process's last one


def beat_before_task(sender: Any, task: dict[str, Any], **kwargs: Any) -> None:
    """Receiver of pre_execute: a worker that takes up any task shows that its cluster is alive.

    So a long queue in front of the canary does not look like a frozen cluster.
    """
    cluster = task.get("cluster")
    if not cluster or time.monotonic() - _LastBeat.at < _BEAT_EVERY_SECONDS:
        return
    try:
        beat(cluster)
    except db.Error as error:  # an exception here would end the worker
        logger.warning("no heartbeat for cluster %s: %s", cluster, str(error).partition("\n")[0])
    else:
        _LastBeat.at = time.monotonic()


def refresh_expiring() -> str:
    """Refresh the tokens that end soon, where the platform allows it."""
    return services.refresh_expiring(timezone.now())


def check_thresholds() -> str:
    """What no reading tells: listings that are not read, authorisations that end, snoozes that are over.

    Each is looked at though another fails; then the task fails at its end.
    """
    now = timezone.now()
    checks: dict[str, Callable[[], int]] = {
        "blind": partial(check_blind, now=now),
        "authorisations ending": lambda: check_authorisations(ends=services.authorisation_ends(now), now=now),
        "snoozes over": partial(wake_snoozed, now=now),
        "alerts without threshold": partial(end_abandoned, now=now),
    }
    told: list[str] = []
    errors: list[Exception] = []
    for name, check in checks.items():
        try:
            told.append(f"{check()} {name}")
        except Exception as error:
            logger.exception("thresholds were not checked: %s", name)
            errors.append(error)
            told.append(f"{name} failed")
    if errors:
        raise ExceptionGroup(", ".join(told), errors)
    return ", ".join(told)


def read_promotions() -> str:
    """What the watched shops offer; an hour is how late a new promotion may be known."""
    connected = Channel.objects.filter(is_watched=True, credential__isnull=False)
    return read_all(connected.select_related("credential"), now=timezone.now())


def price_lane() -> str:
    """Work out the after-coupon prices whose facts or promotions changed, or whose time has come."""
    summary = requote_due(seconds=_PRICING_SECONDS)
    end_runs(now=timezone.now())
    return str(summary)


def collision_lane() -> str:
    """Look through what is ahead of prices for losses: what a change touches at once, and each listing every night."""
    with _only_one("collisions") as turn:
        return str(scan_due(seconds=_PRICING_SECONDS)) if turn else "another one is at it"


def plan_all() -> str:
    """What to buy and what to move, of everything, once a day."""
    with _only_one("plan") as turn:
        return str(run_plan(now=timezone.now())[1]) if turn else "another one is at it"


def plan_lane(sku_ids: Sequence[int] | None = None) -> str:
    """Plan these SKUs anew, or what people asked for."""
    ends = time.monotonic() + _PLANNING_SECONDS
    while True:
        with _only_one("plan") as turn:
            if turn is not None:
                if sku_ids is not None:
                    return str(run_plan(sku_ids, now=timezone.now())[1])
                # Nobody else is at it: it waits, or was cut off.
                asked = PlanRun.objects.filter(kind=PlanRun.Kind.FULL, ended_at__isnull=True).order_by("pk").first()
                return str(run_plan(now=timezone.now(), run=asked)[1]) if asked else "nothing was asked for"
        if sku_ids is None or time.monotonic() > ends:
            return "another one is at it"
        time.sleep(_SHORTEST_PAUSE_SECONDS)


def judge_advice() -> str:
    """What became of the advice that people decided, once its time is over."""
    return str(judge(now=timezone.now()))


def judge_forecasts() -> str:
    """How far off the forecasts of each SKU were, once a day."""
    with _only_one("plan") as turn:  # it writes the same rows
        return str(judge_plans(now=timezone.now())) if turn else "another one is at it"


def check_promotions() -> str:
    """Tell of promotions in use that end soon, or of which few are left."""
    return f"{check_ending(now=timezone.now())} promotions about to end"


def prune() -> str:
    """Roll up and remove history that is older than it is kept, and what the queue itself left behind."""
    now = timezone.now()
    summary = prune_history(now=now)
    log = prune_log(now=now)
    finished, _details = Task.objects.filter(stopped__lt=now - FINISHED_TASKS_KEPT).delete()
    return (
        f"{summary.observations} observations, {summary.poll_runs} poll runs, {summary.alerts} alerts, "
        f"{summary.deliveries} deliveries, {summary.work_runs} runs of plans and prices, {log.items} sync items, "
        f"{finished} finished tasks removed"
    )


class _Turn:
    """The right to be the only one, and what those that came meanwhile asked for: the time of the lock's file."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._seen = 0
        self.begin()

    def begin(self) -> None:
        """Whoever asked until now is answered by what is done from now on."""
        self._seen = os.fstat(self._handle).st_mtime_ns

    def was_asked(self) -> bool:
        return os.fstat(self._handle).st_mtime_ns != self._seen


@contextmanager
def _only_one(name: str) -> Iterator[_Turn | None]:
    """The turn of this process when it is now the only one of this host, for this database, inside the block of that
    name; None when another one is, which then learns that it was asked again.

    A file lock rather than a row: it is gone the moment its process is, however that ended.
    """
    database = settings.DATABASES["default"]
    key = zlib.crc32(f"{database['HOST']}:{database['PORT']}/{database['NAME']}".encode())
    settings.VAR_DIR.mkdir(exist_ok=True)
    handle = os.open(settings.VAR_DIR / f"{name}-{key:08x}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.utime(handle)
            yield None
        else:
            yield _Turn(handle)
    finally:
        os.close(handle)
