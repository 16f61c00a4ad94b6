"""Quotas that all workers and hosts share: paced slots, reserved in the database before the calls are made."""

from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from django.db import transaction

from integrations.models import Credential, QuotaSlot

_SECOND = Decimal(1_000_000)  # microseconds
# No more is ever reserved ahead than workers can use soon: this many calls, and what is reserved in blocks of seconds.
_MOST_AHEAD_CALLS = 200
_MOST_AHEAD = timedelta(seconds=60)


def spacing(calls_per_second: Decimal) -> timedelta:
    """Time between the starts of two calls, rounded up so that the quota is never exceeded."""
    return timedelta(microseconds=int((_SECOND / calls_per_second).to_integral_value(ROUND_CEILING)))


def reserve(*, credential: Credential, operation: str, count: int, now: datetime) -> list[datetime]:
    """When each of the next `count` calls may start, none before `now`; nobody else gets these moments.

    Without a quota of the credential they may all start now, and no statement is made. Otherwise they are evenly
    paced: in any window of w seconds no more than calls_per_second * w + 1 calls of all workers start.

    A next free moment further ahead than reservations can have put it (the clock went back, the quota was raised) is
    not believed.
    """
    if credential.calls_per_second is None:
        return [now] * count
    gap = spacing(credential.calls_per_second)
    with transaction.atomic():
        # The first reservation makes the row; a worker that comes second finds it.
        slots = QuotaSlot.objects.filter(credential=credential, operation=operation)
        slot = slots.select_for_update().first()
        if slot is None:
            QuotaSlot.objects.bulk_create(
                [QuotaSlot(credential=credential, operation=operation, next_free_at=now)], ignore_conflicts=True
            )
            slot = slots.select_for_update().get()
        is_plausible = slot.next_free_at - now <= gap * _MOST_AHEAD_CALLS + _MOST_AHEAD
        first = max(slot.next_free_at, now) if is_plausible else now
        slots.update(next_free_at=first + gap * count)
    return [first + gap * index for index in range(count)]


def next_free(*, credential: Credential, operation: str, now: datetime) -> datetime | None:
    """When the next call may start, as far as reservations tell; None without a quota."""
    if credential.calls_per_second is None:
        return None
    slots = QuotaSlot.objects.filter(credential=credential, operation=operation)
    return max(slots.values_list("next_free_at", flat=True).first() or now, now)


def give_back(*, credential: Credential, operation: str, unused: list[datetime]) -> None:
    """Return the last slots that were not needed; those that others reserved behind are lost."""
    if credential.calls_per_second is None or not unused:
        return
    gap = spacing(credential.calls_per_second)
    first = len(unused) - 1
    while first and unused[first] - unused[first - 1] == gap:
        first -= 1
    QuotaSlot.objects.filter(credential=credential, operation=operation, next_free_at=unused[-1] + gap).update(
        next_free_at=unused[first]
    )
