"""What stock sync adds to the page of a channel: how it stands, what waits for a person, and the deeds that fit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from catalog.database import among
from catalog.models import Channel
from config.admin_site import Badge, add_badge, add_panel
from integrations.syncing import guards, switching
from integrations.syncing.admin.words import held_text
from integrations.syncing.control.pages import DECIDE, SEE
from integrations.syncing.models import ChannelSync, ListingSync, SyncRun
from monitoring import dashboard


def _sync(channel: Channel) -> ChannelSync | None:
    return ChannelSync.objects.filter(channel=channel).select_related("paused_by").first()


def _states(request: HttpRequest, channels: Sequence[Channel], now: datetime) -> Mapping[int, Badge]:
    """What of the sync of each channel a person has to know of before anything else; one query."""
    if not request.user.has_perm(SEE):
        return {}
    rows = ListingSync.objects.filter(guards.IS_HELD, channel=OuterRef("channel")).order_by().values("channel")
    held = Subquery(rows.annotate(number=Count("pk")).values("number"))
    keys = [channel.pk for channel in channels]
    on: QuerySet[Any] = ChannelSync.objects.filter(is_on=True, channel__in=among(keys)).annotate(held=held)
    found: dict[int, Badge] = {}
    for sync in on:
        if sync.held:
            found[sync.pk] = Badge("critical", held_text(sync.held))
        elif sync.is_paused:
            found[sync.pk] = Badge("warning", gettext_lazy("Sync paused"))
        elif not sync.is_confirmed:
            found[sync.pk] = Badge("info", gettext_lazy("Dry run wanted"))
    return found


def _badges(request: HttpRequest, channel: Channel) -> Badge | None:
    return _states(request, [channel], timezone.now()).get(channel.pk)


def _panel(request: HttpRequest, channel: Channel) -> dict[str, Any] | None:
    if not request.user.has_perm(SEE):
        return None
    now = timezone.now()
    sync = _sync(channel)
    is_on = sync is not None and sync.is_on
    held = guards.held_rows(channel).count() if is_on else 0
    runs = SyncRun.objects.filter(channel=channel)
    return {
        "now": now,
        "sync": sync,
        "is_on": is_on,
        "badge": _badge(sync),
        "refusal": switching.refusal(channel),
        "held": held,
        "sellable": guards.judge(channel.pk, now).sellable if held else 0,
        "dry_run": runs.filter(kind=SyncRun.Kind.DRY).order_by("-pk").first(),
        "full_run": runs.filter(kind=SyncRun.Kind.FULL, ended_at__isnull=True).order_by("-pk").first(),
        "may_decide": request.user.has_perm(DECIDE),
    }


def _badge(sync: ChannelSync | None) -> Badge:
    if sync is None or not sync.is_on:
        return Badge("muted", _("Off"))
    if sync.is_paused:
        return Badge("warning", _("Paused"))
    return Badge("ok", _("On")) if sync.is_confirmed else Badge("info", _("Waits for its first dry run"))


add_badge("channel", _badges)
dashboard.channel_states.append(_states)
add_panel("channel", "integrations/stock_sync/panel.html", _panel, area="main", order=10)
