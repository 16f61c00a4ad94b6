"""What becomes of news: it is gathered into deliveries, claimed, and what the other side said is written down.

Everything here is rows and short transactions; nothing is sent. The target's row is locked first, always, so that of
any number of workers and hosts one at a time gathers for a target, and one delivery of a target is under way.

The pace. After a message a target rests for as long as its platform's limit per minute makes it; after a digest of
several alerts for a minute. What comes in meanwhile is merged into the next one, so however many alerts there are, a
robot gets one digest a minute. Webhooks are read by programs: they get every alert, in parts, without a pause.

Quiet hours. They are looked at when news is put down and again here, since a retry, the platform's own wait or a pause
may end within them. Only a message with critical news passes, where the target lets it.

No answer. When the line broke after a message was sent, or the worker died, nobody knows whether it arrived. Twice is
better than never for a critical alert, so such a message is sent once more; any other stays "not known", with a button
to send it again, because a chat that tells everything twice is soon muted. Where the receiver knows a repetition by its
id (webhooks), it is simply repeated.
"""

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone, translation
from django.utils.translation import gettext_noop

from catalog.models import User
from catalog.services import audit_many
from integrations.connectors.errors import ConnectorError, Retry, Wait
from integrations.notifying.gathering import all_role_addresses, fill, gather, hold_in_quiet_hours
from integrations.notifying.problems import is_limit, is_of_message, limits
from integrations.notifying.senders.base import Message, Receipt
from integrations.notifying.targets import KINDS, BadTarget, sender_class
from monitoring.messages import trial_message
from monitoring.models import Delivery, Notification, Severity, Target
from monitoring.services.notifying import TARGET_INACTIVE, WAITING, drop_waiting
from monitoring.signals import notification_queued

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=120)  # longer than any sender takes
MOST_TRIES = 10  # with the pauses between them: most of an hour
FIRST_PAUSE = timedelta(seconds=10)  # after the first failure, doubled by each further one
LONGEST_PAUSE = timedelta(minutes=15)
UNKNOWN_PAUSE = timedelta(minutes=1)  # after a message of which we do not know whether it arrived
PROBE_EVERY = timedelta(hours=1)  # a target whose settings are wrong is tried again this often, unless it was mended
LONGEST_WAIT = timedelta(hours=25)
DIGEST_EVERY = timedelta(seconds=60)
NO_ANSWER = "no-answer"
CUT_OFF = "cut-off"  # the worker was gone before it wrote down what came of it
DAILY_LIMIT = "own-daily-limit"
TOO_SOON = "own-limit"

Event = Notification.Event
Status = Delivery.Status


@dataclass(frozen=True, slots=True)
class Job:
    """A delivery that is ours to send until its lease ends."""

    delivery: Delivery
    token: UUID

    @property
    def target(self) -> Target:
        return self.delivery.target

    def message(self) -> Message:
        stored = self.delivery.payload
        return Message(
            subject=self.delivery.subject,
            lines=tuple(self.delivery.text.split("\n")),
            severity=stored["severity"],
            message_id=stored["message_id"],
            url=stored["url"],
            alerts=tuple(stored["alerts"]),
            sms=stored["sms"],
            made_at=self.delivery.created_at,
        )


class TooSoon(Exception):
    """The target may not be sent to before `retry_at`: its pace, or the other side, forbids it."""

    def __init__(self, retry_at: datetime, cause: str) -> None:
        super().__init__(cause)
        self.retry_at = retry_at
        self.cause = cause


# --- What is due ----------------------------------------------------------------------------------------------------


def _may_send(now: datetime) -> Q:
    free = Q(held_until__isnull=True) | Q(held_until__lte=now)
    return Q(free, Q(next_send_at__isnull=True) | Q(next_send_at__lte=now), is_active=True)


def due_targets(*, now: datetime) -> list[int]:
    """Targets that have something to send and may be sent to; those without trouble first."""
    news = Notification.objects.filter(WAITING, target=OuterRef("pk"), due_at__lte=now)
    deliveries = Delivery.objects.filter(target=OuterRef("pk"), status=Status.WAITING)
    due = Q(Exists(news)) | Q(Exists(deliveries.filter(next_due_at__lte=now, lease_until__isnull=True)))
    targets = Target.objects.filter(_may_send(now), due).exclude(Exists(deliveries.filter(lease_until__gt=now)))
    return list(targets.order_by(F("held_until").asc(nulls_first=True), "pk").values_list("pk", flat=True))


def next_due(*, now: datetime, until: datetime) -> datetime | None:
    """When something may be sent next, if that is before `until`; what is under way is left out."""
    news = Notification.objects.filter(WAITING, target=OuterRef("pk")).order_by().values("target")
    waiting = Delivery.objects.filter(target=OuterRef("pk"), status=Status.WAITING, lease_until__isnull=True)
    firsts = Target.objects.filter(is_active=True).annotate(
        news_at=Subquery(news.annotate(first=Min("due_at")).values("first")),
        delivery_at=Subquery(waiting.order_by().values("target").annotate(first=Min("next_due_at")).values("first")),
    )
    moments = []
    for target in firsts.filter(Q(news_at__isnull=False) | Q(delivery_at__isnull=False)):
        first = min(filter(None, (target.news_at, target.delivery_at)))
        moments.append(max(filter(None, (first, target.held_until, target.next_send_at, now))))
    first_of_all = min(moments, default=None)
    return first_of_all if first_of_all is not None and first_of_all < until else None


# --- To claim -------------------------------------------------------------------------------------------------------


def claim(*, target_id: int, now: datetime) -> Job | None:
    """The target's next delivery, leased; None when there is none, it may not be sent to, or another worker has it."""
    with transaction.atomic():
        targets = Target.objects.select_for_update(skip_locked=True).filter(_may_send(now), pk=target_id)
        target = targets.first()
        if target is None:
            return None
        # Asked once the target is ours: what the first statement saw of other tables may be older than its lock.
        waiting = target.deliveries.filter(status=Status.WAITING)
        if waiting.filter(lease_until__isnull=False).exists():
            return None
        hold_in_quiet_hours(target, now)
        if _is_at_daily_limit(target, now):
            return None
        delivery = waiting.filter(next_due_at__lte=now).order_by("next_due_at", "pk").first()
        if delivery is None:
            delivery = gather(target, now)
        return _lease(delivery, target, now) if delivery is not None else None


def _lease(delivery: Delivery, target: Target, now: datetime) -> Job:
    token = uuid4()
    delivery.target = target
    delivery.lease_token, delivery.lease_until = token, now + LEASE
    delivery.attempts += 1
    delivery.save(update_fields=["lease_token", "lease_until", "attempts"])
    target.next_send_at = now + _pause(delivery)
    target.save(update_fields=["next_send_at"])
    return Job(delivery, token)


def _pause(delivery: Delivery) -> timedelta:
    """How long the target rests after this delivery was sent."""
    kind, per_minute = KINDS[delivery.target.kind], sender_class(delivery.target).per_minute
    pace = timedelta(minutes=1) / per_minute if per_minute else timedelta()
    return max(pace, DIGEST_EVERY) if kind.is_for_people and delivery.payload["count"] > 1 else pace


def _is_at_daily_limit(target: Target, now: datetime) -> bool:
    """Whether the target had all the messages of 24 hours; then it is held until the first of them is that old."""
    per_day = sender_class(target).per_day
    if per_day is None:
        return False
    used = target.deliveries.filter(created_at__gt=now - timedelta(days=1), attempts__gt=0)
    latest = list(used.order_by("-created_at").values_list("created_at", flat=True)[:per_day])
    if len(latest) < per_day:
        return False
    target.held_until, target.held_cause = latest[-1] + timedelta(days=1), DAILY_LIMIT
    target.save(update_fields=["held_until", "held_cause"])
    return True


def claim_test(*, target: Target, now: datetime) -> Job:
    """A test message to the target, leased; it may be inactive. Raises TooSoon."""
    with transaction.atomic():
        target = Target.objects.select_for_update().get(pk=target.pk)
        if target.held_until is not None and target.held_until > now and is_limit(target.held_cause):
            raise TooSoon(target.held_until, target.held_cause)
        if target.next_send_at is not None and target.next_send_at > now:
            raise TooSoon(target.next_send_at, TOO_SOON)
        if _is_at_daily_limit(target, now):
            raise TooSoon(target.held_until or now, DAILY_LIMIT)
        with translation.override(target.language), timezone.override(ZoneInfo(target.time_zone)):
            text = trial_message(now=now)
        delivery = Delivery(target=target, is_test=True, created_at=now, next_due_at=now)
        fill(delivery, text, severity=Severity.INFO, count=1, to=all_role_addresses(target))
        delivery.save()
        return _lease(delivery, target, now)


# --- What came of it ------------------------------------------------------------------------------------------------


def record(*, job: Job, outcome: Receipt | ConnectorError | BadTarget, now: datetime) -> Delivery | None:
    """Write down what the other side said; None when the lease had ended and somebody else judged the delivery."""
    with transaction.atomic():
        target = Target.objects.select_for_update().get(pk=job.target.pk)
        delivery = Delivery.objects.select_for_update().filter(pk=job.delivery.pk, lease_token=job.token).first()
        if delivery is None:
            logger.warning("delivery %s ended after its lease", job.delivery.pk)
            return None
        delivery.target = target
        _judge(delivery, target, outcome, now)
        return delivery


def settle_cut_off(*, now: datetime) -> int:
    """Judge the deliveries whose worker was gone before it wrote down what came of them; returns how many."""
    gone = Delivery.objects.filter(status=Status.WAITING, lease_until__lte=now)
    count = 0
    for delivery_id, target_id in gone.values_list("pk", "target_id"):
        with transaction.atomic():
            target = Target.objects.select_for_update().get(pk=target_id)
            delivery = gone.select_for_update().filter(pk=delivery_id).first()
            if delivery is not None:
                cut_off = Retry(target.kind, "send", cause=CUT_OFF, may_have_arrived=True)
                _judge(delivery, target, cut_off, now)
                count += 1
    return count


def _judge(delivery: Delivery, target: Target, outcome: Receipt | ConnectorError | BadTarget, now: datetime) -> None:
    """Set what the delivery is now, and until when its target is held; both rows are locked."""
    delivery.lease_token = delivery.lease_until = None
    if isinstance(outcome, Receipt):
        delivery.status, delivery.sent_at, delivery.cause = Status.SENT, now, ""
        delivery.code, delivery.answer = _cut(outcome.code, 40), _cut(outcome.text, 300)
        target.held_until, target.held_cause = None, ""
    else:
        delivery.cause, delivery.answer = _cut(outcome.cause, 60), _cut(outcome.detail, 300)
        delivery.code = "" if isinstance(outcome, BadTarget) else _cut(outcome.code, 40)
        delivery.status, target.held_until = _failed(delivery, outcome, now)
        target.held_cause = delivery.cause
        if not target.is_active and delivery.status in (Status.WAITING, Status.REPLACED):
            delivery.status, delivery.cause = Status.DROPPED, TARGET_INACTIVE
        logger.warning("delivery %s to target %s: %s (%s)", delivery.pk, target.pk, delivery.status, delivery.cause)
    delivery.save()
    target.save(update_fields=["held_until", "held_cause"])
    if delivery.status == Status.REPLACED:
        delivery.notifications.update(delivery=None, due_at=now)
    if delivery.status == Status.DROPPED:
        delivery.notifications.update(dropped_cause=TARGET_INACTIVE)


def _failed(delivery: Delivery, error: ConnectorError | BadTarget, now: datetime) -> tuple[Delivery.Status, datetime]:
    """What a delivery is after a failure, and until when its target is held."""
    if isinstance(error, Wait):
        held_until = min(max(error.retry_at, now + timedelta(seconds=1)), now + LONGEST_WAIT)
        return (Status.FAILED if delivery.is_test else Status.REPLACED), held_until
    if not isinstance(error, Retry):
        return Status.FAILED, now + (DIGEST_EVERY if is_of_message(error.cause) else PROBE_EVERY)
    if delivery.is_test:
        return (Status.UNKNOWN if error.may_have_arrived else Status.FAILED), now + FIRST_PAUSE
    if error.may_have_arrived and not KINDS[delivery.target.kind].knows_repetitions:
        is_repeated = delivery.payload["severity"] == Severity.CRITICAL and delivery.attempts < 2
        held_until = now + UNKNOWN_PAUSE
    else:
        is_repeated = delivery.attempts < MOST_TRIES
        longest = min(FIRST_PAUSE * 2 ** (delivery.attempts - 1), LONGEST_PAUSE)
        held_until = now + longest * random.uniform(0.75, 1)
    if is_repeated:
        delivery.next_due_at = held_until
        return Status.WAITING, held_until
    return (Status.UNKNOWN if error.may_have_arrived else Status.FAILED), held_until


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


# --- What people do -------------------------------------------------------------------------------------------------


def send_again(*, deliveries: QuerySet[Delivery], actor: User | None, now: datetime) -> int:
    """Let the news of failed deliveries, and of those not known to have arrived, wait again: it goes out with the next
    message. Returns how many deliveries that were; tests, and those of inactive targets, are left alone."""
    with transaction.atomic():
        chosen = list(
            deliveries.filter(status__in=[Status.FAILED, Status.UNKNOWN], is_test=False, target__is_active=True)
            .order_by("pk")
            .select_for_update(of=("self",))
        )
        ids = [delivery.pk for delivery in chosen]
        Notification.objects.filter(delivery__in=ids).update(delivery=None, due_at=now)
        Delivery.objects.filter(pk__in=ids).update(status=Status.REPLACED)
        audit_many(action=gettext_noop("sent again"), objects=chosen, actor=actor, now=now)
        if ids:
            transaction.on_commit(partial(notification_queued.send, Notification))
    return len(ids)


def hold(*, target_id: int, cause: str, now: datetime) -> None:
    """Send nothing to the target for a while."""
    Target.objects.filter(pk=target_id).update(held_until=now + LONGEST_PAUSE, held_cause=cause)


def release(*, target: Target, now: datetime, leads_elsewhere: bool = False) -> None:
    """The target was mended: what waits for it goes out at once, or when the limit ends that it was at.

    A target that leads elsewhere now is not at its old limit any more.
    """
    held = Target.objects.filter(pk=target.pk)
    if not leads_elsewhere:
        held = held.exclude(held_until__gt=now, held_cause__in=limits())
    held.update(held_until=None, held_cause="")
    Delivery.objects.filter(target=target, status=Status.WAITING, lease_until__isnull=True).update(next_due_at=now)
    transaction.on_commit(partial(notification_queued.send, Notification))


def give_up(*, target: Target) -> None:
    """The target was switched off: what waits for it is never sent. What is under way is its worker's to judge."""
    with transaction.atomic():
        Target.objects.select_for_update().get(pk=target.pk)
        drop_waiting(target=target, cause=TARGET_INACTIVE)
        waiting = Delivery.objects.filter(target=target, status=Status.WAITING, lease_until__isnull=True)
        Notification.objects.filter(delivery__in=waiting).update(dropped_cause=TARGET_INACTIVE)
        waiting.update(status=Status.DROPPED, cause=TARGET_INACTIVE)
