"""What becomes of alerts: people acknowledge, snooze, resolve and assign them; the facts open and end them."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce

from catalog.database import among, insert_new, parts
from catalog.models import User
from catalog.services import audit, audit_many
from config.formatting import iso_moment
from monitoring.models import Alert, Notification
from monitoring.services.notifying import queue, queue_again

Alerts = QuerySet[Alert] | Sequence[Alert]

_STORED = [field for field in Alert._meta.concrete_fields if not field.primary_key]
_Status = Alert.Status
# What is forgotten of its earlier treatment when an alert is open again.
_UNTREATED = {"acknowledged_at": None, "snoozed_until": None, "resolved_at": None, "resolved_by": None}


# --- What people do -------------------------------------------------------------------------------------------------


def acknowledge(*, alerts: Alerts, actor: User, now: datetime) -> int:
    """Somebody knows: open and snoozed alerts are not escalated any more. Returns how many changed."""
    return _treat(
        alerts,
        Q(status__in=[_Status.OPEN, _Status.SNOOZED]),
        "acknowledged",
        {"status": _Status.ACKNOWLEDGED, "acknowledged_at": now, "snoozed_until": None},
        actor=actor,
        now=now,
    )


def snooze(*, alerts: Alerts, until: datetime, actor: User, now: datetime) -> int:
    """Leave alerts that are not resolved alone until then; ValueError when that is not after `now`.

    Returns how many changed.
    """
    if until <= now:
        raise ValueError("a snooze ends later than it begins")
    applies = ~Q(status=_Status.RESOLVED) & ~Q(status=_Status.SNOOZED, snoozed_until=until)
    return _treat(alerts, applies, "snoozed", {"status": _Status.SNOOZED, "snoozed_until": until}, actor=actor, now=now)


def resolve(*, alerts: Alerts, actor: User, now: datetime) -> int:
    """Done with: one whose condition lasts does not come back before it was over once. Returns how many changed."""

    def tell(ids: Sequence[int]) -> None:
        queue(alert_ids=ids, event=Notification.Event.ENDED, now=now)

    return _treat(
        alerts,
        ~Q(status=_Status.RESOLVED),
        "resolved",
        {"status": _Status.RESOLVED, "resolved_at": now, "resolved_by": actor},
        actor=actor,
        now=now,
        tell=tell,
    )


def reopen(*, alerts: Alerts, actor: User, now: datetime) -> int:
    """Have alerts whose condition lasts open again, whatever was done with them. Returns how many changed."""

    def tell(ids: Sequence[int]) -> None:
        queue_again(alert_ids=ids, now=now)

    applies = Q(cleared_at__isnull=True) & ~Q(status=_Status.OPEN)
    return _treat(alerts, applies, "reopened", {"status": _Status.OPEN, **_UNTREATED}, actor=actor, now=now, tell=tell)


def assign(*, alerts: Alerts, owner: User | None, actor: User, now: datetime) -> int:
    """Who takes care of the alerts, None nobody. Returns how many changed."""
    differs = Q(owner__isnull=False) if owner is None else ~Q(owner=owner) | Q(owner__isnull=True)
    return _treat(alerts, differs, "assigned", {"owner": owner}, actor=actor, now=now)


def add_note(*, alert: Alert, note: str, actor: User, now: datetime) -> bool:
    """Put a line below the alert's note, with time and name; False when there is nothing to add.

    The same words of the same person twice in a row are one line: a form may be sent twice.
    """
    text = " ".join(note.split())
    if not text:
        return False
    with transaction.atomic():
        stored = Alert.objects.select_for_update(of=("self",)).get(pk=alert.pk)
        before = stored.note
        told = f"{actor.get_full_name() or actor.get_username()}: {text}"
        if before.rpartition("\n")[2].endswith(f" {told}"):
            return False
        alert.note = f"{before}\n{iso_moment(now)} {told}".lstrip("\n")
        alert.updated_at = now
        alert.save(update_fields=["note", "updated_at"])
        audit(action="noted", obj=alert, actor=actor, now=now, changes={"note": [before, alert.note]})
    return True


def _treat(
    alerts: Alerts,
    applies: Q,
    action: str,
    values: dict[str, Any],
    *,
    actor: User | None,
    now: datetime,
    tell: Callable[[Sequence[int]], None] | None = None,
) -> int:
    """Set the values on those of the alerts that the deed applies to, with an event for each; returns how many."""
    shown: list[str] = [name for name in ("status", "owner", "snoozed_until") if name in values]
    ids = sorted(
        set(alerts.order_by().values_list("pk", flat=True))
        if isinstance(alerts, QuerySet)
        else {alert.pk for alert in alerts}
    )
    count = 0
    with transaction.atomic():
        for some in parts(ids):
            found = Alert.objects.select_for_update(of=("self",)).filter(applies, pk__in=among(some)).order_by("pk")
            changed = list(found.select_related("listing", "channel", "owner"))
            changed_ids = [alert.pk for alert in changed]
            Alert.objects.filter(pk__in=among(changed_ids)).update(**values, updated_at=now)
            alike: dict[tuple[Any, ...], list[Alert]] = defaultdict(list)
            for alert in changed:
                alike[tuple(getattr(alert, name) for name in shown)].append(alert)
            for before, group in alike.items():
                pairs = {name: [old, values[name]] for name, old in zip(shown, before, strict=True)}
                differing = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
                audit_many(action=action, objects=group, actor=actor, now=now, changes=differing)
            if tell and changed_ids:
                tell(changed_ids)
            count += len(changed)
    return count


# --- What happens by itself -----------------------------------------------------------------------------------------


def wake_snoozed(*, now: datetime) -> int:
    """Have alerts whose snooze is over open again, and told again; returns how many.

    Those whose condition ended meanwhile are resolved already.
    """

    def tell(ids: Sequence[int]) -> None:
        queue(alert_ids=ids, event=Notification.Event.WOKEN, now=now)

    over = Q(status=_Status.SNOOZED, snoozed_until__lte=now)
    values = {"status": _Status.OPEN, "snoozed_until": None}
    return _treat(Alert.objects.filter(over), over, "reopened", values, actor=None, now=now, tell=tell)


def open_alerts(*, alerts: Sequence[Alert], now: datetime) -> int:
    """Store new alerts and queue their news; returns how many. For the caller's transaction.

    One that is in force already stays as it is: a partial unique constraint allows one, so that workers who come
    together end up with the same.
    """
    rows = [tuple(getattr(alert, field.attname) for field in _STORED) for alert in alerts]
    opened = insert_new(Alert, [field.name for field in _STORED], rows)
    queue(alert_ids=sorted(opened), event=Notification.Event.OPENED, now=now)
    return len(opened)


def open_again(*, alert_ids: Sequence[int], now: datetime) -> None:
    """Alerts whose condition holds once more are resolved no longer, and told as queue_again() says. For the caller's
    transaction.

    What people did with one before it ended by itself still holds; what they were done with is open.
    """
    if not alert_ids:
        return
    by_itself = Q(resolved_by__isnull=True)
    status = Case(
        When(by_itself, snoozed_until__gt=now, then=Value(_Status.SNOOZED)),
        When(by_itself, acknowledged_at__isnull=False, then=Value(_Status.ACKNOWLEDGED)),
        default=Value(_Status.OPEN),
    )
    # As they are by now: somebody may have acknowledged one since it was read.
    resolved = Alert.objects.filter(pk__in=among(alert_ids), status=_Status.RESOLVED)
    resolved.update(status=status, resolved_at=None, resolved_by=None)
    queue_again(alert_ids=alert_ids, now=now)


def end_alerts(*, alert_ids: Sequence[int], now: datetime) -> int:
    """Their condition is over: they are resolved, by themselves where nobody had. For the caller's transaction."""
    count = 0
    for some in parts(alert_ids):
        in_force = Alert.objects.filter(pk__in=among(some), cleared_at__isnull=True)
        # Of what a person was done with, nobody waits for the end.
        awaited = list(in_force.unresolved().values_list("pk", flat=True))
        count += in_force.update(
            cleared_at=now,
            status=_Status.RESOLVED,
            resolved_at=Coalesce(F("resolved_at"), Value(now)),
            updated_at=now,
        )
        queue(alert_ids=awaited, event=Notification.Event.ENDED, now=now)
    return count
