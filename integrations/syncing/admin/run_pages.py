"""Runs: how far each is, what came of it, and the listings it was about, each leading to its attempts."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from catalog.admin.listing import VisibleRelatedFilter
from catalog.models import Channel
from config import formatting
from config.admin_site import Badge, add_badge, add_column, add_menu_item, add_panel, add_tab
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts
from integrations.state import capitalised
from integrations.syncing.admin.words import OUTCOME_BADGES, badge_of, not_written, person_name, run_line
from integrations.syncing.models import ListingSync, SyncItem, SyncRun
from integrations.syncing.runs import attempts_of
from monitoring.causes import cause_label

VIEW = "integrations.view_syncrun"
_ITEMS_SHOWN = 50
_COUNTED = ("sent", "unchanged", "refused", "failed")
_CHANGES = SyncRun.Kind.INCREMENTAL


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnly, FrameModelAdmin):
    page = "sync_run"
    list_display = ()
    list_select_related = ["channel", "asked_by"]
    list_filter = [("channel", VisibleRelatedFilter), "kind"]
    list_line = _("Passes over the stock of a channel, newest first, and what came of them")
    empty_title = _("No runs yet")
    empty_text = _("A run begins when stock changes on a channel whose sync is on, and once a day for everything.")
    ordering = ["-pk"]
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncRun]:
        user = person(request)
        runs: QuerySet[SyncRun] = super().get_queryset(request).select_related("channel", "asked_by")
        return runs if user.sees_all_channels else runs.filter(channel__in=Channel.objects.visible_to(user))

    def title_of(self, obj: SyncRun) -> str:
        return run_line(obj)

    def object_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        run = self.get_object(request, object_id)
        if run is not None and run.kind == SyncRun.Kind.DRY:
            return HttpResponseRedirect(run.get_absolute_url())
        return super().object_view(request, object_id)


def _badge(run: SyncRun) -> Badge:
    if run.stopped_cause:
        return Badge("warning", capitalised(cause_label(run.stopped_cause)))
    if run.applied_at:
        return Badge("ok", _("Applied"))
    if run.ended_at is None:
        return Badge("info", _("Running"))
    if run.refused:
        return Badge("critical", _("Refused"))
    return Badge("warning", _("Failed")) if run.failed else Badge("ok", _("Done"))


# --- The list --------------------------------------------------------------------------------------------------------


def run_cell(run: SyncRun) -> SafeString:
    return format_html(
        "<strong>{}</strong><small>{} {} · {}</small>",
        formatting.iso_moment(run.started_at),
        parts.mark(run.channel),
        run.channel,
        run.get_kind_display(),
    )


def state_cell(run: SyncRun) -> SafeString:
    shown = _badge(run)
    return parts.badge(shown.severity, shown.text)


def took_cell(run: SyncRun) -> str:
    return formatting.duration((run.ended_at or timezone.now()) - run.started_at)


def asked_cell(run: SyncRun) -> str:
    return person_name(run.asked_by)


def total_cell(run: SyncRun) -> str:
    return formatting.count(run.total)


def _count_cell(name: str) -> Any:
    def cell(run: SyncRun) -> SafeString | str:
        number = getattr(run, name)
        return formatting.count(number) if number else parts.none("0")

    return cell


add_column(SyncRun, "run", _("run"), run_cell, order=10)
add_column(SyncRun, "state", _("state"), state_cell, order=20)
add_column(SyncRun, "took", _("took"), took_cell, order=30, classes="time")
add_column(SyncRun, "asked", _("asked by"), asked_cell, order=40)
add_column(SyncRun, "total", _("listings"), total_cell, order=50, classes="num")
for _order, (_name, _label) in enumerate(
    (("sent", _("sent")), ("unchanged", _("unchanged")), ("refused", _("refused")), ("failed", _("failed")))
):
    add_column(SyncRun, _name, _label, _count_cell(_name), order=60 + _order, classes="num")
add_tab(SyncRun, "all", _("All"), lambda runs, request: runs, order=0)
add_tab(SyncRun, "running", _("Running"), lambda runs, request: runs.filter(ended_at__isnull=True), order=10)
add_tab(
    SyncRun,
    "trouble",
    _("With problems"),
    lambda runs, request: runs.filter(Q(refused__gt=0) | Q(failed__gt=0)),
    order=20,
)
add_tab(SyncRun, "asked", _("Asked for"), lambda runs, request: runs.exclude(kind=_CHANGES), order=30)
add_menu_item("sync", _("Runs"), "admin:integrations_syncrun_changelist", permission=VIEW, order=5)


# --- The page of a run -----------------------------------------------------------------------------------------------


def _facts(request: HttpRequest, run: SyncRun) -> dict[str, Any]:
    figures = [(OUTCOME_BADGES[name].text, getattr(run, name), f"?{urlencode({'outcome': name})}") for name in _COUNTED]
    return {"run": run, "figures": figures, "asked_by": person_name(run.asked_by)}


def _progress(request: HttpRequest, run: SyncRun) -> dict[str, Any] | None:
    """How far a run is that goes on: what was sent counts as done, though it is still to be seen there."""
    if run.ended_at is not None:
        return None
    done = min(sum(getattr(run, name) for name in _COUNTED), run.total)
    return {"run": run, "done": done, "waits": not_written(run.channel)}


def _items(request: HttpRequest, run: SyncRun) -> dict[str, Any]:
    """The listings of the run that a call was made for, newest first, with the last attempt of each."""
    items = SyncItem.objects.filter(run=run).select_related("listing")
    outcome, before = request.GET.get("outcome", ""), request.GET.get("before", "")
    if outcome in OUTCOME_BADGES and outcome:
        # What was sent may have been seen there since.
        seen = ("sent", "confirmed", "not-shown") if outcome == "sent" else (outcome,)
        items = items.filter(outcome__in=seen)
    else:
        outcome = ""
    if before.isdecimal() and len(before) < 19:
        items = items.filter(pk__lt=before)
    else:
        before = ""
    found: list[Any] = list(items.order_by("-pk")[: _ITEMS_SHOWN + 1])
    older, found = found[_ITEMS_SHOWN:], found[:_ITEMS_SHOWN]
    last = {pk: attempts[-1] for pk, attempts in attempts_of(found).items() if attempts}
    rows = {
        (listing, location): pk
        for listing, location, pk in ListingSync.objects.filter(
            listing__in=[item.listing_id for item in found]
        ).values_list("listing", "location_id", "pk")
    }
    for item in found:
        item.badge = badge_of(OUTCOME_BADGES, item.outcome)
        attempt = last.get(item.pk)
        item.cause_text = capitalised(cause_label(attempt.cause)) if attempt is not None and attempt.cause else ""
        row = rows.get((item.listing_id, item.location_id))
        page = reverse("admin:integrations_listingsync_change", args=[row]) if row else None
        item.url = f"{page}?before={item.pk + 1}#item-{item.pk}" if page else None
    return {
        "run": run,
        "items": found,
        "outcome": outcome,
        "outcomes": [
            (slug, OUTCOME_BADGES[slug].text) for slug in ("sent", "unchanged", "not-shown", "refused", "failed")
        ],
        "older": urlencode({**({"outcome": outcome} if outcome else {}), "before": found[-1].pk}) if older else None,
        "newest": f"?{urlencode({'outcome': outcome})}" if outcome else "?",
        "is_first": not before,
    }


add_badge("sync_run", lambda request, run: _badge(run))
add_panel("sync_run", "admin/integrations/sync/run_facts.html", _facts, area="facts", order=10)
add_panel("sync_run", "admin/integrations/sync/run_progress.html", _progress, area="main", order=10)
add_panel("sync_run", "admin/integrations/sync/run_items.html", _items, area="full", order=10)
