"""The open alerts of a person: how many, how bad, and those that a page shows.

Open is what nobody has acknowledged, snoozed or resolved yet.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Count, QuerySet, SmallIntegerField, Subquery, Value, When
from django.http import HttpRequest

from catalog.models import Channel, User
from monitoring.models import Alert, Severity

# 0 for the worst.
SEVERITY_RANK = Case(
    *(When(severity=severity, then=Value(rank)) for rank, severity in enumerate(Severity.values)),
    output_field=SmallIntegerField(),
)
SHOWN = 5


@dataclass(frozen=True)
class OpenAlerts:
    """How many there are of each severity, worst first; severities without any are left out."""

    by_severity: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.by_severity.values())

    @property
    def worst(self) -> str | None:
        return next(iter(self.by_severity), None)


def open_alerts(user: User, channel: Channel | None = None) -> QuerySet[Alert]:
    found = Alert.objects.visible_to(user).filter(status=Alert.Status.OPEN)
    return found.filter(channel=channel) if channel else found


def counted(alerts: QuerySet[Alert]) -> OpenAlerts:
    """One query."""
    found = dict(alerts.order_by().values_list("severity").annotate(found=Count("pk")))
    return OpenAlerts({severity: found[severity] for severity in Severity.values if severity in found})


def newest_once(request: HttpRequest, user: User) -> tuple[OpenAlerts, list[Any]]:
    """Those of the person on all channels, counted, and the newest of them; one query for a request.

    The menu, the bell and the dashboard show them.
    """
    found: tuple[OpenAlerts, list[Any]] | None = getattr(request, "evenshelf_open_alerts", None)
    if found is None:
        alerts = open_alerts(user)
        # Counts that do not depend on the row, so that the database makes each of them once.
        counts = {f"{severity}_count": _count(alerts.filter(severity=severity)) for severity in Severity.values}
        newest = list(with_subject(alerts).annotate(**counts).order_by("-opened_at", "-pk")[:SHOWN])
        by_severity = {each: getattr(newest[0], f"{each}_count") or 0 for each in Severity.values} if newest else {}
        found = OpenAlerts({severity: count for severity, count in by_severity.items() if count}), newest
        request.evenshelf_open_alerts = found  # type: ignore[attr-defined]
    return found


def _count(alerts: QuerySet[Any]) -> Subquery:
    """How many there are; null for none. All of them have the same status."""
    return Subquery(alerts.order_by().values("status").annotate(found=Count("pk")).values("found"))


def counted_once(request: HttpRequest, user: User) -> OpenAlerts:
    return newest_once(request, user)[0]


def worst_first(alerts: QuerySet[Any]) -> QuerySet[Any]:
    """By severity, then the newest."""
    return alerts.order_by(SEVERITY_RANK, "-opened_at", "-pk")


def with_subject(alerts: QuerySet[Any]) -> QuerySet[Any]:
    """With all that a row of a list shows of them, in the same query."""
    return alerts.select_related("channel", "listing__channel", "listing__sku", "threshold", "owner")
