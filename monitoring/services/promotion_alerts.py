"""Promotions that prices hang on, told of before they end or are used up: one alert for each, on its channel."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from catalog.models import ChannelPricing, Promotion
from monitoring.models import Alert, AlertKind, ListingPrice, Severity
from monitoring.services.alerts import end_alerts, open_alerts

_LONGEST_VALUE = 40  # of an alert


def check_ending(*, now: datetime) -> int:
    """Open and end the alerts of all promotions; returns how many opened.

    One opens while a price is worked out with the promotion, and ends when that is over, prolonged, filled up, paused
    or deleted.
    """
    running = Promotion.objects.filter(
        Q(start__isnull=True) | Q(start__lte=now),
        Q(end__gt=now) | Q(end__isnull=True, remaining__isnull=False),
        Q(remaining__isnull=True) | Q(remaining__gt=0),
        status=Promotion.State.ACTIVE,
    )
    pricing = {row.channel_id: row for row in ChannelPricing.objects.all()}
    usual = ChannelPricing()
    ending = {
        row.pk: row
        for row in running.select_related("channel").order_by("pk")
        if _ends_soon(row, pricing.get(row.channel_id, usual), now)
    }
    with transaction.atomic():
        in_force = Alert.objects.filter(kind=AlertKind.PROMOTION_ENDS, cleared_at=None)
        told = dict(in_force.select_for_update(of=("self",)).order_by("pk").values_list("promotion", "pk"))
        over = [alert.pk for alert in in_force if alert.promotion_id not in ending]
        end_alerts(alert_ids=over, now=now)
        for promotion_id in told.keys() & ending.keys():
            values = _values(ending[promotion_id])
            Alert.objects.filter(pk=told[promotion_id]).exclude(**values).update(**values, updated_at=now)
        new = [row for pk, row in ending.items() if pk not in told]
        used = _used({row.channel_id for row in new})
        opened = [
            Alert(
                kind=AlertKind.PROMOTION_ENDS,
                severity=Severity.WARNING,
                channel=row.channel,
                promotion=row,
                currency=row.currency,
                opened_at=now,
                last_at=now,
                updated_at=now,
                **_values(row),
            )
            for row in new
            if (row.channel_id, row.engine_id) in used
        ]
        return open_alerts(alerts=opened, now=now)


def _ends_soon(promotion: Promotion, pricing: ChannelPricing, now: datetime) -> bool:
    """Whether so little time, or so few, are left as the channel wants to be told of; the limits themselves count."""
    if promotion.end is not None and promotion.end - now <= timedelta(hours=pricing.ends_within_hours):
        return True
    return promotion.remaining is not None and promotion.remaining <= pricing.few_left


def _values(promotion: Promotion) -> dict[str, str]:
    """The name, when it ends, and how many are left; "" for what has no limit."""
    return {
        "old_value": promotion.name[:_LONGEST_VALUE],
        "new_value": promotion.end.isoformat() if promotion.end else "",
        "limit": "" if promotion.remaining is None else str(promotion.remaining),
    }


def _used(channel_ids: Iterable[int]) -> set[tuple[int, str]]:
    """The promotions by channel and id that the last quote of any listing uses."""
    quotes = ListingPrice.objects.filter(listing__channel__in=list(channel_ids), quote__status="ok")
    rows = quotes.values_list("listing__channel", "quote__answer__used").iterator()
    return {(channel_id, used["id"]) for channel_id, each in rows for used in each or ()}
