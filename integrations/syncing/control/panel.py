"""What stock sync adds to the page of a channel: how it stands, what waits for a person, and the deeds that fit."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from catalog.models import Channel
from config import formatting
from config.admin_site import Badge, add_badge, add_panel
from integrations.syncing import guards, switching
from integrations.syncing.control.pages import DECIDE, SEE
from integrations.syncing.models import ChannelSync, SyncRun


def _sync(channel: Channel) -> ChannelSync | None:
    return ChannelSync.objects.filter(channel=channel).select_related("paused_by").first()


def _badges(request: HttpRequest, channel: Channel) -> Badge | None:
    """What of the sync a person has to know of before anything else on the page."""
    sync = _sync(channel)
    if sync is None or not sync.is_on or not request.user.has_perm(SEE):
        return None
    if held := guards.held_rows(channel).count():
        return Badge("critical", held_text(held))
    if sync.is_paused:
        return Badge("warning", gettext_lazy("Sync paused"))
    return None if sync.is_confirmed else Badge("info", gettext_lazy("Dry run wanted"))


def held_text(held: int) -> str:
    text = ngettext("%(count)s listing would go to 0", "%(count)s listings would go to 0", held)
    return text % {"count": formatting.count(held)}


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
add_panel("channel", "integrations/stock_sync/panel.html", _panel, area="main", order=10)
