"""Alerts of what the sync of stock holds back: while nobody decides, shops go on selling what is not there."""

from datetime import datetime

from django.db import transaction
from django.db.models import Count

from integrations.syncing import guards
from integrations.syncing.models import ListingSync
from monitoring.models import Alert, AlertKind, Severity
from monitoring.services.alerts import end_alerts, open_alerts


def tell_held(*, now: datetime) -> int:
    """Open an alert for each channel on which the guard of zeros holds something, and end it once nothing is held any
    more; returns how many opened."""
    rows = ListingSync.objects.filter(guards.IS_HELD, channel__sync__is_on=True).order_by().values_list("channel")
    held = dict(rows.annotate(number=Count("pk")))
    with transaction.atomic():
        in_force = Alert.objects.filter(kind=AlertKind.STOCK_HELD, cleared_at__isnull=True)
        told = {channel: (pk, number) for pk, channel, number in in_force.values_list("pk", "channel", "new_value")}
        end_alerts(alert_ids=[pk for channel, (pk, _number) in told.items() if channel not in held], now=now)
        for channel, (pk, number) in told.items():
            if channel in held and number != str(held[channel]):
                in_force.filter(pk=pk).update(new_value=str(held[channel]), last_at=now, updated_at=now)
        new = [_alert(channel, number, now) for channel, number in sorted(held.items()) if channel not in told]
        return open_alerts(alerts=new, now=now)


def _alert(channel_id: int, number: int, now: datetime) -> Alert:
    return Alert(
        kind=AlertKind.STOCK_HELD,
        severity=Severity.CRITICAL,
        channel_id=channel_id,
        new_value=str(number),
        opened_at=now,
        last_at=now,
        updated_at=now,
    )
