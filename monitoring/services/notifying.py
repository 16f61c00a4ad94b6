"""Who is told of an alert, and when: news is put down for each target that a route leads to.

What a merchant may rely on:

- A critical alert of a target with "critical alerts at once" waits neither for the end of quiet hours nor for others to
  be gathered with it. Its end can wait.
- An alert that is over before its news went out is told all the same, as "already over": overnight it may have cost
  money. Only one that a person resolved by hand meanwhile is not told any more.
- An escalation is looked at when it is due: it goes out only for an alert that nobody has acknowledged, snoozed or
  resolved, and that is not over.
- The end is told to a target that was, or will be, told of the beginning.
- Whoever was told of the end is told of the beginning again when the same alert comes back, or is reopened. An alert
  that came back once is told as over only when it cannot come back as the same any more.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Min, Q, QuerySet

from catalog.database import among, update_rows
from monitoring.models import Alert, Delivery, Notification, Route, Severity, Target
from monitoring.models.notifications import LATEST_ESCALATION_MINUTES
from monitoring.signals import notification_queued

WAITING = Q(delivery__isnull=True, dropped_cause="")
# Why news was dropped.
TARGET_INACTIVE = "target-inactive"
OVER, ACKNOWLEDGED = "over", "acknowledged"  # of an escalation
RESOLVED = "resolved"  # by hand, before the beginning was told

Event = Notification.Event
# What is waiting is written already, and on its way or tried again.
_MAY_ARRIVE = frozenset({Delivery.Status.WAITING, Delivery.Status.SENT, Delivery.Status.UNKNOWN})
_SOON = timedelta(minutes=1)  # how often the clock looks anyway
_AT_ONCE = 2_000
_NOBODY: frozenset[tuple[int, int]] = frozenset()
_ALERT_COLUMNS = (
    *("severity", "channel_id", "status", "opened_at", "last_at", "count", "cleared_at"),
    "threshold__cooldown_minutes",
)
_RANK = {severity: rank for rank, severity in enumerate(Severity.values)}  # worst first


def queue(*, alert_ids: Sequence[int], event: Notification.Event, now: datetime) -> int:
    """Put down the news of these alerts for every active target that a route leads to; returns how many are new.

    OPENED puts the escalations down, too. WOKEN tells of an alert whose snooze is over and that still holds, each time
    anew. Everything else is told once per alert and target, however often it is queued. For the caller's transaction:
    the lane hears of it after the commit. ESCALATED raises ValueError: it comes with OPENED.
    """
    if event == Event.ESCALATED:
        raise ValueError("an escalation is queued with the opening of its alert")
    return _queue(alert_ids, event, now) if alert_ids else 0


def queue_again(*, alert_ids: Sequence[int], now: datetime) -> int:
    """Put down that these alerts are open once more, after they were over or somebody was done with them.

    An end that nobody was told of yet is taken back. Whoever was told of the end, or may have been, or was spared the
    beginning because the alert was resolved by then, or did not get it, is told of the beginning; an escalation that
    was given up is due its minutes from now. Returns how much is new or waits again; for the caller's transaction.
    """
    if not alert_ids:
        return 0
    ends = Notification.objects.filter(event=Event.ENDED, alert__in=among(alert_ids)).order_by("pk")
    columns = ("pk", "alert_id", "target_id", "delivery__status")
    rows = list(ends.select_for_update(of=("self",)).values_list(*columns))
    if rows:
        Notification.objects.filter(pk__in=among([row[0] for row in rows])).delete()
    told_over = frozenset((alert_id, target_id) for _pk, alert_id, target_id, status in rows if status in _MAY_ARRIVE)
    return _queue(alert_ids, Event.OPENED, now, is_again=True, told_over=told_over)


def _queue(
    alert_ids: Sequence[int],
    event: Notification.Event,
    now: datetime,
    *,
    is_again: bool = False,
    told_over: frozenset[tuple[int, int]] = _NOBODY,
) -> int:
    """See queue_again(); `told_over` holds the alerts and targets that were told of the end."""
    routes = list(Route.objects.filter(target__is_active=True).select_related("target").prefetch_related("channels"))
    if not routes:
        return 0
    alerts = Alert.objects.filter(pk__in=among(alert_ids)).select_related("threshold").only(*_ALERT_COLUMNS)
    by_target: dict[int, list[Route]] = {}
    for route in routes:
        by_target.setdefault(route.target_id, []).append(route)
    windows = _gathering([route.target for route in routes])
    wanted: dict[tuple[int, int, str], datetime] = {}  # alert, target, event: due
    for alert in alerts:
        for target_id, its_routes in by_target.items():
            leading = [route for route in its_routes if _leads(route, alert)]
            target = its_routes[0].target
            begun_at = now if is_again else alert.opened_at
            for kind, due_at in _due(leading, alert, event, target, windows.get(target_id), now, begun_at):
                wanted[alert.pk, target_id, kind] = due_at
    if event == Event.ENDED:
        told = set(_told(alert_ids))
        wanted = {key: due_at for key, due_at in wanted.items() if key[:2] in told}
    if is_again:
        # What somebody still takes care of is not escalated.
        open_ids = {alert.pk for alert in alerts if alert.status == Alert.Status.OPEN}
        wanted = {key: at for key, at in wanted.items() if key[2] != Event.ESCALATED or key[0] in open_ids}
    return _store(wanted, alert_ids, event, now, is_again=is_again, told_over=told_over)


def _leads(route: Route, alert: Alert) -> bool:
    channels = {channel.pk for channel in route.channels.all()}
    return _RANK[alert.severity] <= _RANK[route.least_severity] and (not channels or alert.channel_id in channels)


def _due(
    routes: Sequence[Route],
    alert: Alert,
    event: Notification.Event,
    target: Target,
    window_at: datetime | None,
    now: datetime,
    begun_at: datetime,
) -> Iterable[tuple[str, datetime]]:
    """The events to put down for an alert and a target, given the routes that lead from one to the other.

    Escalations count from `begun_at`.
    """
    at_once = event != Event.ENDED and alert.severity == Severity.CRITICAL and target.critical_passes_quiet
    if event == Event.ENDED:
        is_told = any(route.tells_end for route in routes)
    else:
        is_told = any(not route.after_minutes for route in routes)
    if is_told:
        told_at = due_at(target, now, at_once=at_once, window_at=window_at)
        if event == Event.ENDED and (final_at := _final_at(alert)) > told_at:
            told_at = after_quiet(target, final_at)
        yield event, told_at
    if event == Event.OPENED and (later := [route.after_minutes for route in routes if route.after_minutes]):
        # A route may be from before there was a bound.
        asked_at = begun_at + timedelta(minutes=min(*later, LATEST_ESCALATION_MINUTES))
        yield Event.ESCALATED, max(asked_at, now) if at_once else after_quiet(target, max(asked_at, now))


def _final_at(alert: Alert) -> datetime:
    """When it is sure that an alert which came back before is over: as long as it was the same alert, people would hear
    of its flapping message by message. A time that has passed where that is sure already."""
    if alert.cleared_at is None or alert.count < 2 or alert.threshold is None:
        return alert.last_at
    return alert.last_at + alert.threshold.cooldown


def due_at(target: Target, now: datetime, *, at_once: bool, window_at: datetime | None = None) -> datetime:
    """When news of `now` may go out: after what is gathered and after quiet hours, or now when it goes at once.

    `window_at` is when what the target is gathering now is due; None: this is the first of it.
    """
    if at_once:
        return now
    if not target.digest_minutes:
        return after_quiet(target, now)
    gathered_at = now + timedelta(minutes=target.digest_minutes)
    if window_at is not None:
        gathered_at = min(max(window_at, now), gathered_at)
    return after_quiet(target, gathered_at)


def after_quiet(target: Target, at: datetime) -> datetime:
    """`at`, or the end of the quiet hours that it falls into, which begin inclusive and end exclusive."""
    if target.quiet_from is None or target.quiet_until is None or target.quiet_from == target.quiet_until:
        return at
    zone = ZoneInfo(target.time_zone)
    local = at.astimezone(zone)
    clock = local.time()
    if target.quiet_from < target.quiet_until:
        is_quiet = target.quiet_from <= clock < target.quiet_until
        until = local.date()
    else:
        is_quiet = clock >= target.quiet_from or clock < target.quiet_until
        until = local.date() + timedelta(days=1) if clock >= target.quiet_from else local.date()
    if not is_quiet:
        return at
    # Where clocks are put back the end comes twice, and `at` may lie between the two.
    first = datetime.combine(until, target.quiet_until, zone)
    ends = (first.timestamp(), first.replace(fold=1).timestamp())
    end = next((end for end in ends if end > at.timestamp()), ends[1])
    return datetime.fromtimestamp(end, at.tzinfo)


def _gathering(targets: Sequence[Target]) -> Mapping[int, datetime]:
    """When what each target is gathering now is due; escalations are not gathered."""
    gathering = {target.pk for target in targets if target.digest_minutes}
    if not gathering:
        return {}
    waiting = Notification.objects.filter(WAITING, target__in=gathering).exclude(event=Event.ESCALATED).order_by()
    # What goes at once is due when it is put down, and says nothing of the others.
    passing = Q(alert__severity=Severity.CRITICAL, target__critical_passes_quiet=True) & ~Q(event=Event.ENDED)
    rows = waiting.exclude(passing).values("target").annotate(first=Min("due_at"))
    return dict(rows.values_list("target", "first"))


def _told(alert_ids: Sequence[int]) -> QuerySet[Notification, tuple[int, int]]:
    """Alerts and targets that were told of the beginning, or will be."""
    begun = Q(event__in=[Event.OPENED, Event.WOKEN], dropped_cause="")
    begun |= Q(event=Event.ESCALATED, delivery__isnull=False)
    return Notification.objects.filter(begun, alert__in=among(alert_ids)).values_list("alert_id", "target_id")


class _Stored(NamedTuple):
    """What was put down before about an alert, a target and an event."""

    pk: int
    delivery_id: int | None
    dropped_cause: str
    status: str | None  # of its delivery

    @property
    def is_waiting(self) -> bool:
        return self.delivery_id is None and not self.dropped_cause


def _store(
    wanted: Mapping[tuple[int, int, str], datetime],
    alert_ids: Sequence[int],
    event: Notification.Event,
    now: datetime,
    *,
    is_again: bool,
    told_over: frozenset[tuple[int, int]],
) -> int:
    if not wanted:
        return 0
    columns = ("alert_id", "target_id", "event", "pk", "delivery_id", "dropped_cause", "delivery__status")
    rows = Notification.objects.filter(alert__in=among(alert_ids)).values_list(*columns)
    stored = {(row[0], row[1], row[2]): _Stored(*row[3:]) for row in rows}
    new = [
        Notification(alert_id=key[0], target_id=key[1], event=key[2], due_at=due_at)
        for key, due_at in wanted.items()
        if key not in stored
    ]
    Notification.objects.bulk_create(new, ignore_conflicts=True, batch_size=_AT_ONCE)
    again = [
        (stored[key].pk, due_at)
        for key, due_at in wanted.items()
        if (is_again or event == Event.WOKEN)
        and key in stored
        and _is_told_again(stored[key], key[2], is_told_over=key[:2] in told_over)
    ]
    update_rows(Notification, "id", ("due_at",), again, also={"delivery": None, "dropped_cause": ""})
    count = len(new) + len(again)
    if count and min(wanted.values()) <= now + _SOON:
        transaction.on_commit(partial(notification_queued.send, Notification))
    return count


def _is_told_again(stored: _Stored, event: str, *, is_told_over: bool) -> bool:
    """Whether news that was told, or given up, waits anew for the alert that holds again."""
    if stored.is_waiting:
        return False
    if stored.status == Delivery.Status.FAILED:
        return True
    if event == Event.ESCALATED:
        return is_told_over or stored.dropped_cause in (OVER, ACKNOWLEDGED)
    return event == Event.WOKEN or is_told_over or stored.dropped_cause == RESOLVED


def drop_waiting(*, target: Target, cause: str) -> int:
    """Give up what waits for the target; returns how much that was."""
    return Notification.objects.filter(WAITING, target=target).update(dropped_cause=cause)
