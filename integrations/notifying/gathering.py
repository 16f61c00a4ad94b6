"""News is gathered into deliveries: what nobody needs any more is given up, the rest becomes one message.

For transactions of the caller's, who has locked the target's row.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, QuerySet, Subquery
from django.urls import reverse
from django.utils import timezone, translation

from catalog.models import Channel, User
from integrations.notifying.targets import KINDS
from monitoring.messages import DIGEST_LINES, News, Text, alert_message, digest_message, machine_readable
from monitoring.models import Alert, Delivery, Notification, Severity, Target
from monitoring.open_alerts import SEVERITY_RANK
from monitoring.services.notifying import ACKNOWLEDGED, OVER, RESOLVED, WAITING, after_quiet

Event = Notification.Event
_BACKEND = "django.contrib.auth.backends.ModelBackend"  # it knows who may what; others only guard the sign-in


def gather(target: Target, now: datetime) -> Delivery | None:
    """Put what is due into deliveries, one unless its readers may see different channels; returns the first."""
    _drop_outdated(target, now)
    due = Notification.objects.filter(WAITING, target=target, due_at__lte=now)
    most = KINDS[target.kind].most_alerts
    if most is not None:
        due = due.filter(pk__in=list(due.order_by("due_at", "pk").values_list("pk", flat=True)[:most]))
    deliveries = []
    for channel_ids, readers in _readers(target, due):
        if target.role_id is not None and not (readers or target.address):
            due.filter(alert__channel__in=channel_ids).update(dropped_cause="no-reader")
            continue
        delivery = Delivery(target=target, subject="", text="", created_at=now, next_due_at=now)
        delivery.save()
        delivery.channels.set(channel_ids)
        due.filter(alert__channel__in=channel_ids).update(delivery=delivery)
        # Whoever learns only now that it began learns in the same message that it is over.
        ended = Notification.objects.filter(WAITING, target=target, event=Event.ENDED)
        ended.filter(alert__in=delivery.notifications.values("alert")).update(delivery=delivery)
        _write(delivery, target, readers, now)
        deliveries.append(delivery)
    return deliveries[0] if deliveries else None


def hold_in_quiet_hours(target: Target, now: datetime) -> None:
    """In quiet hours, let all but critical news wait for their end, whatever it has waited for until now."""
    ends_at = after_quiet(target, now)
    if ends_at == now:
        return
    waiting = target.deliveries.filter(status=Delivery.Status.WAITING, next_due_at__lt=ends_at)
    news = Notification.objects.filter(WAITING, target=target, due_at__lt=ends_at)
    if target.critical_passes_quiet:
        passing = Notification.objects.filter(alert__severity=Severity.CRITICAL).exclude(event=Event.ENDED)
        waiting = waiting.exclude(Exists(passing.filter(delivery=OuterRef("pk"))))
        news = news.exclude(pk__in=passing.filter(target=target).values("pk"))
    waiting.update(next_due_at=ends_at)
    news.update(due_at=ends_at)


def _drop_outdated(target: Target, now: datetime) -> None:
    """Give up news that nobody needs any more, each with its cause."""
    due = Notification.objects.filter(WAITING, target=target, due_at__lte=now)
    escalated = due.filter(event=Event.ESCALATED)
    escalated.filter(alert__cleared_at__isnull=False).update(dropped_cause=OVER)
    # Nobody has taken care of what is only snoozed.
    snoozed = escalated.filter(alert__status=Alert.Status.SNOOZED)
    alert = Alert.objects.filter(pk=OuterRef("alert"))
    snoozed.update(due_at=Subquery(alert.values("snoozed_until")))
    treated = escalated.filter(alert__status__in=[Alert.Status.ACKNOWLEDGED, Alert.Status.RESOLVED])
    treated.update(dropped_cause=ACKNOWLEDGED)
    begun = due.filter(event__in=[Event.OPENED, Event.WOKEN])
    begun.filter(alert__status=Alert.Status.RESOLVED, alert__resolved_by__isnull=False).update(dropped_cause=RESOLVED)
    told = Notification.objects.filter(alert=OuterRef("alert"), target=target, dropped_cause="")
    due.filter(~Exists(told.exclude(event=Event.ENDED)), event=Event.ENDED).update(dropped_cause="not-told-before")


def _readers(target: Target, due: QuerySet[Notification]) -> Iterator[tuple[Sequence[int], Sequence[str]]]:
    """The channels of what is due, grouped by the people of the target's role who see them: [channels, addresses]."""
    channel_ids = list(due.order_by("alert__channel").values_list("alert__channel", flat=True).distinct())
    if target.role_id is None:
        if channel_ids:
            yield channel_ids, ()
        return
    seers = role_addresses(target, channel_ids)
    groups: dict[tuple[str, ...], list[int]] = {}
    for channel_id in channel_ids:
        groups.setdefault(tuple(seers[channel_id]), []).append(channel_id)
    for addresses, channels in groups.items():
        yield channels, addresses


def role_addresses(target: Target, channel_ids: Sequence[int]) -> dict[int, list[str]]:
    """For each channel the mail addresses of the people of the target's role who see it."""
    members = _members(target)
    everywhere = User.objects.with_perm("catalog.view_all_channels", backend=_BACKEND)
    sees_all = set(everywhere.values_list("pk", flat=True))
    works_on = set(
        Channel.staff.through.objects.filter(channel__in=channel_ids, user__in=members).values_list(
            "channel_id", "user_id"
        )
    )
    people = list(members.values_list("pk", "email"))
    return {
        channel_id: [email for pk, email in people if pk in sees_all or (channel_id, pk) in works_on]
        for channel_id in channel_ids
    }


def all_role_addresses(target: Target) -> list[str]:
    """The mail addresses of everybody of the target's role."""
    return [] if target.role_id is None else list(_members(target).values_list("email", flat=True))


def _members(target: Target) -> QuerySet[User]:
    return User.objects.filter(groups=target.role_id, is_active=True).exclude(email="").order_by("pk")


def _write(delivery: Delivery, target: Target, readers: Sequence[str], now: datetime) -> None:
    """The words of a delivery from the notifications that are linked to it."""
    alerts = Alert.objects.filter(pk__in=delivery.notifications.values("alert"))
    severities = dict(alerts.order_by().values_list("severity").annotate(count=Count("pk")))
    holding = alerts.filter(cleared_at__isnull=True).exclude(status=Alert.Status.RESOLVED)
    by_severity = dict(holding.order_by().values_list("severity").annotate(count=Count("pk")))
    number = sum(severities.values())
    is_for_people = KINDS[target.kind].is_for_people
    important = alerts.select_related("threshold", "channel", "listing__channel", "owner").order_by(
        F("cleared_at").asc(nulls_first=True), SEVERITY_RANK, "-opened_at", "-pk"
    )
    chosen = list(important[:DIGEST_LINES] if is_for_people else important)
    events: dict[int, set[str]] = {}
    for alert_id, event in delivery.notifications.filter(alert__in=chosen).values_list("alert_id", "event"):
        events.setdefault(alert_id, set()).add(event)
    told = [News(alert, frozenset(events[alert.pk])) for alert in chosen]
    with translation.override(target.language), timezone.override(ZoneInfo(target.time_zone)):
        if number == 1:
            text = alert_message(told[0], now=now)
        else:
            board = reverse("admin:monitoring_alert_changelist")
            over = number - sum(by_severity.values())
            text = digest_message(told, by_severity=by_severity, over=over, path=board, now=now)
    worst = next(severity for severity in Severity.values if severity in severities)
    fill(delivery, text, severity=worst, count=number, to=readers)
    if not is_for_people:
        delivery.payload["alerts"] = [_with_url(machine_readable(news)) for news in told]
    delivery.save()


def fill(delivery: Delivery, text: Text, *, severity: str, count: int, to: Sequence[str] = ()) -> None:
    delivery.subject, delivery.text = text.subject, "\n".join(text.lines)
    delivery.payload = {
        "message_id": f"msg_{uuid4().hex}",
        "severity": severity,
        "count": count,
        "url": settings.SITE_URL + text.path,
        "sms": dict(text.sms),
        "alerts": [],
        "to": list(to),
    }


def _with_url(alert: dict[str, object]) -> dict[str, object]:
    path = alert.pop("path")
    return {**alert, "url": f"{settings.SITE_URL}{path}"}
