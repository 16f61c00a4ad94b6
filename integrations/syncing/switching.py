"""Sync of a channel is switched on and off, paused and resumed."""

from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django_q.tasks import async_task

from catalog.models import Channel, User
from catalog.services import audit
from integrations.connectors import CONNECTORS
from integrations.connectors.base import READS_ONLY, Capability
from integrations.models import Credential
from integrations.problems import sentence
from integrations.syncing import dirty, guards, orders
from integrations.syncing.models import ChannelSync, ListingSync


class CannotSync(Exception):
    """The channel's stock cannot be written; the message says why, and what to do."""


def refusal(channel: Channel) -> str | None:
    """Why the channel's stock cannot be written, and what to do; None when it can."""
    if Capability.PUSH_STOCK not in CONNECTORS[channel.platform].capabilities:
        return _("Stock cannot be written on %(platform)s. Its listings are watched all the same.") % {
            "platform": channel.get_platform_display()
        }
    if Credential.objects.filter(channel=channel, reads_only=True).exists():
        return sentence(cause=READS_ONLY, channel=channel, at=None)
    return None


def switch_on(*, channel: Channel, actor: User | None, now: datetime) -> bool:
    """Have the channel's stock kept at its targets; False when it was on. Raises CannotSync.

    Orders made from now on are booked, and earlier ones that were not sent yet: its stock counts as of now. Nothing is
    written before a person has applied a dry run of it, also when it was on before.
    """
    if (reason := refusal(channel)) is not None:
        raise CannotSync(reason)
    with transaction.atomic():
        sync = _locked(channel)
        if sync.is_on:
            return False
        earliest = now - orders.LONGEST_FOLLOWED
        read_until = sync.orders_read_until
        _change(
            sync,
            "started",
            actor,
            now,
            is_on=True,
            is_confirmed=False,
            is_paused=False,
            orders_read_until=None if read_until is None else max(read_until, earliest),
            orders_attempts=0,
            orders_cause="",
        )
        Channel.objects.filter(pk=channel.pk).update(orders_since=now)
        channel.orders_since = now
        _look_at(channel, now)
    return True


def switch_off(*, channel: Channel, actor: User | None, now: datetime) -> bool:
    """Neither write the channel's stock nor read its orders any more; False when it was off."""
    with transaction.atomic():
        sync = _locked(channel)
        if not sync.is_on:
            return False
        _change(sync, "stopped", actor, now, is_on=False)
    return True


def pause(*, channel: Channel, reason: str, actor: User | None, now: datetime) -> bool:
    """Write nothing until it is resumed; its orders are still booked. False when it is paused, or not on."""
    with transaction.atomic():
        sync = _locked(channel)
        if not sync.is_on or sync.is_paused:
            return False
        _change(
            sync,
            "paused",
            actor,
            now,
            is_paused=True,
            pause_reason=reason.replace("\0", "").strip()[:200],
            paused_at=now,
            paused_by=actor,
        )
    return True


def resume(*, channel: Channel, actor: User | None, now: datetime) -> bool:
    """Write again, beginning with what moved meanwhile; False when it was not paused."""
    with transaction.atomic():
        sync = _locked(channel)
        if not sync.is_paused:
            return False
        _change(sync, "resumed", actor, now, is_paused=False, pause_reason="", paused_at=None, paused_by=None)
        _look_at(channel, now)
    return True


def set_most_zeroed(*, channel: Channel, percent: int, actor: User | None, now: datetime) -> bool:
    """Change how many of the channel's listings may go to 0 without asking; False when that is what it was.

    What is held back is judged anew.
    """
    with transaction.atomic():
        sync = _locked(channel)
        if sync.most_zeroed_percent == percent:
            return False
        _change(sync, "changed", actor, now, most_zeroed_percent=percent)
        guards.judge_anew(channel, now=now)
        _push()
    return True


def _locked(channel: Channel) -> ChannelSync:
    ChannelSync.objects.bulk_create([ChannelSync(channel=channel)], ignore_conflicts=True)
    return ChannelSync.objects.select_for_update().get(channel=channel)


_TOLD = ("is_on", "is_paused", "pause_reason", "most_zeroed_percent")  # in the audit log


def _change(sync: ChannelSync, action: str, actor: User | None, now: datetime, **values: Any) -> None:
    changes = {
        f"integrations.channelsync.{name}": [getattr(sync, name), values[name]]
        for name in _TOLD
        if name in values and values[name] != getattr(sync, name)
    }
    ChannelSync.objects.filter(pk=sync.pk).update(**values)
    audit(action=action, obj=sync.channel, actor=actor, now=now, changes=changes)


def _look_at(channel: Channel, now: datetime) -> None:
    """Once this is committed its listings get their rows, what is behind is sent, and its orders are read.

    What it showed before nobody has looked at meanwhile.
    """
    rows = ListingSync.objects.filter(channel=channel)
    dirty.doubt(rows, now=now)
    rows.filter(state=ListingSync.State.SENT).update(state=ListingSync.State.WAITING, verify_at=now)
    orders.make_due([channel.pk], now=now)
    transaction.on_commit(partial(async_task, "integrations.tasks.sweep_stock", [channel.pk], cluster="interactive"))
    _push()


def _push() -> None:
    transaction.on_commit(partial(async_task, "integrations.tasks.push_lane", cluster="interactive"))
