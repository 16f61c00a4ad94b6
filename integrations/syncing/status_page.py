"""The page of where the sync of stock stands: each channel, all together, and the workers that do it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from catalog.models import Channel
from config import formatting
from config.admin_site import Badge, add_menu_item
from config.change_list import TAB_VAR
from config.health import heartbeat_state
from config.model_admin import person
from integrations.connectors import CONNECTORS
from integrations.connectors.base import READS_ONLY
from integrations.models import Heartbeat
from integrations.problems import explain
from integrations.state import capitalised
from integrations.syncing.admin.board import CHANNEL_VAR, TABS, VIEW
from integrations.syncing.admin.words import held_text
from integrations.syncing.status import WINDOW, ChannelStatus, Figures, Spread, Standing, sync_status
from integrations.work import CLUSTERS
from monitoring.causes import cause_label

_BEHIND = "behind"  # the tab of all that is not in step


@dataclass(frozen=True)
class Cell:
    """A figure with the list behind it, and below it what it is of, in lines of two or three words."""

    text: str
    url: str = ""
    lines: tuple[str, ...] = ()
    severity: str = ""


@dataclass(frozen=True)
class Row:
    """One channel, or all of them: then `channel` is None."""

    channel: Channel | None
    badge: Badge | None
    standing: str
    counts: list[Cell]
    speeds: list[Cell]


COUNTS = [
    gettext_lazy("Active and mapped"),
    gettext_lazy("Backlog"),
    *(label for slug, (label, _states) in TABS.items() if slug != _BEHIND),
]
SPEEDS = [
    gettext_lazy("Last full run"),
    gettext_lazy("Last run of changes"),
    gettext_lazy("Taken"),
    gettext_lazy("Seen there within"),
    gettext_lazy("Sale here within"),
    gettext_lazy("Orders"),
    gettext_lazy("Quota left"),
]


@require_safe
def status_page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    now = timezone.now()
    status = sync_status(Channel.objects.visible_to(person(request)).order_by("name", "pk"), now=now)
    context = {
        **admin.site.each_context(request),
        "title": _("Sync status"),
        "now": now,
        "hours": int(WINDOW / timedelta(hours=1)),
        "count_labels": COUNTS,
        "speed_labels": SPEEDS,
        "rows": [_channel_row(each, now) for each in status.channels],
        "total": _total_row(status.total, now),
        "facts": _facts(status.total, now),
        "workers": _workers(now),
    }
    return TemplateResponse(request, "admin/integrations/sync/status.html", context)


def _channel_row(status: ChannelStatus, now: datetime) -> Row:
    badge, text = _standing(status)
    return Row(status.channel, badge, text, _counts(status, now, status.channel), _speeds(status, now))


def _total_row(total: Figures, now: datetime) -> Row:
    rate = _rate(total, "")
    apart = Cell(formatting.UNKNOWN, lines=(_("by channel"),))
    return Row(
        None,
        None,
        "",
        _counts(total, now, None),
        [
            apart,
            apart,
            rate,
            _within(total.freshness, _runs()),
            _within(total.detection, _orders()),
            _order_troubles(total, None) or apart,
            apart,
        ],
    )


def _standing(status: ChannelStatus) -> tuple[Badge, str]:
    """Whether its stock is written, and a sentence that says why not."""
    match status.standing:
        case Standing.OFF:
            return Badge("muted", _("Off")), _("Its stock is not ours to write.")
        case Standing.NOT_CONNECTED:
            text = _("Nothing is read or written there before somebody has connected it.")
            return Badge("critical", _("Not connected")), text
        case Standing.READS_ONLY:
            told = explain(cause=READS_ONLY, channel=status.channel, at=None)
            return Badge("warning", _("May only read")), told.advice
        case Standing.HELD:
            cause = capitalised(cause_label(status.health.cause)) if status.health is not None else ""
            until = _("Called again at %(time)s.") % {"time": formatting.moment(status.held_until)}
            return Badge("warning", _("Held back")), formatting.sentences(cause and f"{cause}.", until)
        case Standing.DRY_RUN:
            return Badge("warning", _("Dry run first")), _("Nothing is sent before somebody applies a dry run.")
        case Standing.PAUSED:
            assert status.sync is not None  # noqa: S101  # what has no row is off
            return Badge("warning", _("Paused")), status.sync.pause_reason
    if status.zeros_held:
        text = _("Nothing of that was sent. Look at them on the page of the channel, and decide.")
        return Badge("critical", held_text(status.zeros_held)), text
    if status.is_late:
        return Badge("warning", _("Orders not read")), _("Sales there may be missing here.")
    return Badge("ok", _("On")), ""


def _counts(figures: Figures, now: datetime, channel: Channel | None) -> list[Cell]:
    skus = ngettext("of %(count)s SKU", "of %(count)s SKUs", figures.skus) % {"count": formatting.count(figures.skus)}
    cells = [Cell(formatting.count(figures.listings), _listings(channel), (skus,)), _backlog(figures, now, channel)]
    for slug, (_label, states) in TABS.items():
        if slug != _BEHIND:
            number = sum(figures.states[state] for state in states)
            severity = {"refused": "critical", "failed": "warning"}.get(slug, "") if number else ""
            cells.append(Cell(formatting.count(number), _board(slug, channel) if number else "", severity=severity))
    return cells


def _backlog(figures: Figures, now: datetime, channel: Channel | None) -> Cell:
    oldest: tuple[str, ...] = ()
    if figures.oldest_at is not None:
        oldest = (_("oldest %(time)s") % {"time": formatting.ago(figures.oldest_at, now)},)
    return Cell(formatting.count(figures.backlog), _board(_BEHIND, channel) if figures.backlog else "", oldest)


def _speeds(status: ChannelStatus, now: datetime) -> list[Cell]:
    return [
        _run(status, "full", now),
        _run(status, "incremental", now),
        _rate(status, _runs(status.channel)),
        _within(status.freshness, _runs(status.channel)),
        _detection(status),
        _reading(status),
        _quota(status, now),
    ]


def _run(status: ChannelStatus, kind: str, now: datetime) -> Cell:
    run = status.last_full if kind == "full" else status.last_incremental
    if run is None:
        return Cell(formatting.UNKNOWN, lines=(_("never yet"),))
    took = _("took %(length)s") % {"length": span(run.took)}
    return Cell(formatting.ago(run.ended_at, now), _runs(status.channel, kind), (took,))


def _rate(figures: Figures, url: str) -> Cell:
    rate = figures.success_rate
    if rate is None:
        return Cell(formatting.UNKNOWN, lines=(_("nothing was sent"),))
    line = _("%(taken)s of %(sent)s sent") % {
        "taken": formatting.count(figures.taken),
        "sent": formatting.count(figures.attempts),
    }
    return Cell(formatting.percent(rate), url or _runs(), (line,))


def _within(spread: Spread, url: str) -> Cell:
    """The time that 95 of 100 took, below it what half of them took."""
    if not spread.measured:
        return Cell(formatting.UNKNOWN, lines=(_("cannot tell"),))
    half = _("half in %(half)s") % {"half": span(spread.p50)}
    count = ngettext("%(count)s measured", "%(count)s measured", spread.measured)
    return Cell(span(spread.p95), url, (half, count % {"count": formatting.count(spread.measured)}))


def _detection(status: ChannelStatus) -> Cell:
    cell = _within(status.detection, _orders(status.channel))
    if status.polled_every is None:
        way = _("not asked for orders")
    else:
        way = _("asked every %(length)s") % {"length": span(status.polled_every)}
    return Cell(cell.text, cell.url, (*cell.lines, way))


def _reading(status: ChannelStatus) -> Cell:
    lines: list[str] = []
    if status.polled_every is None:
        text = formatting.UNKNOWN
        lines.append(_("not read"))
    elif status.orders_lag is None:
        text = formatting.UNKNOWN
        lines.append(_("never read"))
    else:
        text = _("%(length)s behind") % {"length": span(status.orders_lag)}
    if status.sync is not None and status.sync.orders_cause and status.polled_every is not None:
        lines.append(cause_label(status.sync.orders_cause))
    trouble = _order_troubles(status, status.channel)
    severity = "critical" if status.is_late or status.set_aside else ""
    if trouble is None:
        return Cell(text, _orders(status.channel) if status.orders_lag is not None else "", tuple(lines), severity)
    return Cell(text, trouble.url, (*lines, trouble.text), severity)


def _order_troubles(figures: Figures, channel: Channel | None) -> Cell | None:
    """Orders that are set aside, or else lines that wait to be booked, or else orders nobody hears of any more."""
    if figures.set_aside:
        text = ngettext("%(count)s set aside", "%(count)s set aside", figures.set_aside)
        return Cell(text % {"count": formatting.count(figures.set_aside)}, _orders(channel, "set-aside"))
    if figures.waiting_lines:
        text = ngettext("%(count)s line waits", "%(count)s lines wait", figures.waiting_lines)
        return Cell(text % {"count": formatting.count(figures.waiting_lines)}, _orders(channel, "waiting"))
    if figures.silent_orders:
        text = ngettext("%(count)s reserved for long", "%(count)s reserved for long", figures.silent_orders)
        return Cell(text % {"count": formatting.count(figures.silent_orders)}, _orders(channel, "silent"))
    return None


def _quota(status: ChannelStatus, now: datetime) -> Cell:
    """As the platform told it last; else our own limit, else that it is not told."""
    health, url = status.health, reverse("admin:catalog_channel_change", args=[status.channel.pk])
    unit = CONNECTORS[status.channel.platform].quota_unit
    if health is not None and health.quota_told_at is not None:
        most = _("of %(most)s %(unit)s") % {"most": formatting.count(health.quota_most), "unit": unit}
        told = _("told %(ago)s") % {"ago": formatting.ago(health.quota_told_at, now)}
        return Cell(formatting.count(health.quota_left), url, (most, told))
    if status.calls_per_second is not None:
        rate = f"{status.calls_per_second.normalize():f}"
        return Cell(formatting.UNKNOWN, url, (_("not told"), _("%(rate)s calls a second") % {"rate": rate}))
    return Cell(formatting.UNKNOWN, lines=(_("not told yet") if unit else _("not told"),))


def _facts(total: Figures, now: datetime) -> list[tuple[str, Cell]]:
    counted = sum(total.states.values())
    in_step = total.states["in-sync"]
    line = _("%(count)s of %(total)s") % {"count": formatting.count(in_step), "total": formatting.count(counted)}
    share = formatting.percent(Decimal(in_step) / counted if counted else None)
    unknown = Cell(formatting.UNKNOWN, lines=(_("nothing is synced yet"),))
    return [
        (_("In step"), Cell(share, _board("in-sync"), (line,)) if counted else unknown),
        (_("Backlog"), _backlog(total, now, None)),
        (_("Taken by the platform"), _rate(total, "")),
        (_("Change seen there within"), _within(total.freshness, _runs())),
        (_("Sale known here within"), _within(total.detection, _orders())),
    ]


def _workers(now: datetime) -> list[tuple[str, Badge, str]]:
    """Each cluster of workers as /readyz tells it: name, state, and when it last took up a task."""
    beats = dict(Heartbeat.objects.values_list("name", "beat_at"))
    found = []
    for name in CLUSTERS:
        beat_at = beats.get(name)
        is_alive = heartbeat_state(beat_at, now) == "ok"
        badge = Badge("ok", _("Working")) if is_alive else Badge("critical", _("Silent"))
        seen = _("never seen") if beat_at is None else formatting.ago(beat_at, now)
        found.append((name, badge, seen))
    return found


def span(length: timedelta | None) -> str:
    """A measured time, rounded up to whole seconds, so that it is never told shorter than it was."""
    return formatting.duration(None if length is None else timedelta(seconds=max(ceil(length.total_seconds()), 1)))


# Addresses of the lists behind the figures.


def _address(name: str, query: Mapping[str, str | int | None]) -> str:
    given = {key: value for key, value in query.items() if value is not None and value != ""}
    return f"{reverse(name)}?{urlencode(given)}" if given else reverse(name)


def _board(tab: str, channel: Channel | None = None) -> str:
    query = {TAB_VAR: tab, CHANNEL_VAR: channel.pk if channel else None}
    return _address("admin:integrations_listingsync_changelist", query)


def _runs(channel: Channel | None = None, kind: str = "") -> str:
    query = {"channel__id__exact": channel.pk if channel else None, "kind__exact": kind}
    return _address("admin:integrations_syncrun_changelist", query)


def _orders(channel: Channel | None = None, tab: str = "") -> str:
    query = {TAB_VAR: tab, "channel__id__exact": channel.pk if channel else None}
    return _address("admin:catalog_order_changelist", query)


def _listings(channel: Channel | None) -> str:
    return _address("admin:catalog_listing_changelist", {"channel__id__exact": channel.pk if channel else None})


page = admin.site.admin_view(status_page)
add_menu_item("sync", gettext_lazy("Sync status"), "integrations:sync_status", permission=VIEW, order=7)
