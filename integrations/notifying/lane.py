"""What is due to be told is sent: one delivery per target at a time, many targets at once.

Threads talk to the other sides and never touch the database; the thread that runs the slice claims and writes down.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import OperationalError
from django.utils import timezone, translation

from integrations.connectors.errors import ConnectorError, Fatal
from integrations.notifying.deliveries import (
    Job,
    claim,
    claim_test,
    due_targets,
    hold,
    next_due,
    record,
    settle_cut_off,
)
from integrations.notifying.senders.base import Receipt, Sender
from integrations.notifying.targets import BadTarget, sender_for
from monitoring.models import Delivery, Target

logger = logging.getLogger(__name__)

THREADS = 8  # targets that are sent to at once; each for no longer than its sender's time limit
LANE_EVERY = timedelta(minutes=1)  # how often the clock starts a slice
_LOOK_EVERY_SECONDS = 1.0  # while messages are under way

Clock = Callable[[], datetime]
Outcome = Receipt | ConnectorError | BadTarget


@dataclass(frozen=True, slots=True)
class SliceSummary:
    """Deliveries by what came of them. `more_due`: the slice's time was over before its work was.

    At `due_at` something may be sent, sooner than the clock starts the next slice.
    """

    sent: int = 0
    waiting: int = 0  # to be tried again, or merged into a later message
    unknown: int = 0
    failed: int = 0
    more_due: bool = False
    due_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.sent} sent, {self.waiting} waiting, {self.unknown} unknown, {self.failed} failed"


def send_slice(*, now_fn: Clock = timezone.now, seconds: float) -> SliceSummary:
    """Send what is due, beginning nothing new after `seconds`.

    Any number of slices may run at once, on any number of hosts: a target is sent to by one of them. What a killed one
    had begun is judged when its lease is over.
    """
    ends = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    under_way: dict[Future[Outcome], Job] = {}
    more_due = False
    settle_cut_off(now=now_fn())
    with ThreadPoolExecutor(THREADS, thread_name_prefix="notify") as pool:
        while True:
            targets = due_targets(now=now_fn()) if len(under_way) < THREADS else []
            if time.monotonic() >= ends:
                more_due, targets = bool(targets), []
            for target_id in targets[: THREADS - len(under_way)]:
                job = _claim(target_id, now_fn())
                if job is not None:
                    under_way[pool.submit(_send, job, now_fn)] = job
            if not under_way:
                break
            done, _running = wait(under_way, timeout=_LOOK_EVERY_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                job = under_way.pop(future)
                delivery = record(job=job, outcome=_outcome(job, future), now=now_fn())
                if delivery is not None:
                    counts[delivery.status] += 1
    now = now_fn()
    return SliceSummary(
        sent=counts[Delivery.Status.SENT],
        waiting=counts[Delivery.Status.WAITING] + counts[Delivery.Status.REPLACED],
        unknown=counts[Delivery.Status.UNKNOWN],
        failed=counts[Delivery.Status.FAILED],
        more_due=more_due,
        due_at=next_due(now=now, until=now + LANE_EVERY),
    )


def _claim(target_id: int, now: datetime) -> Job | None:
    """The target's next delivery; a target whose news cannot be told, by a fault of ours, holds up nobody else."""
    try:
        return claim(target_id=target_id, now=now)
    except OperationalError as error:  # a database that is locked or gone just now: everything is due as before
        logger.warning("target %s is left for later: %s", target_id, str(error).partition("\n")[0])
        return None
    except Exception:
        logger.exception("news for target %s could not be gathered", target_id)
        hold(target_id=target_id, cause="internal", now=now)
        return None


def send_test(*, target: Target, now_fn: Clock = timezone.now) -> Delivery | None:
    """Send a test message now, within the target's limits, and write down what came of it. Raises TooSoon."""
    job = claim_test(target=target, now=now_fn())
    with ThreadPoolExecutor(1, thread_name_prefix="notify") as pool:
        future = pool.submit(_send, job, now_fn)
    return record(job=job, outcome=_outcome(job, future), now=now_fn())


def _send(job: Job, now_fn: Clock) -> Outcome:
    """Hand the message to the other side, in the language of the target. No database here: it runs in a thread."""
    try:
        sender: Sender = sender_for(job.target, to=job.delivery.payload["to"])
        with translation.override(job.target.language):
            return sender.send(job.message(), now=now_fn())
    except (ConnectorError, BadTarget) as error:
        return error


def _outcome(job: Job, future: Future[Outcome]) -> Outcome:
    """What the thread brought; a fault of ours is told as one, and the other targets go on."""
    fault = future.exception()
    if fault is None:
        return future.result()
    logger.error("delivery %s met a fault of ours", job.delivery.pk, exc_info=fault)
    return Fatal(job.target.kind, "send", cause="internal")
