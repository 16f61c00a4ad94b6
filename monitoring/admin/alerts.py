"""The alert board, the page of one alert, and where else open alerts are shown: bell, dashboard, listings."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.listing import VisibleRelatedFilter
from catalog.audit_text import action_label, readable_changes
from catalog.models import AuditEvent, User
from config import formatting
from config.admin_site import (
    Badge,
    add_action,
    add_badge,
    add_button,
    add_column,
    add_order,
    add_panel,
    add_tab,
)
from config.change_list import TAB_VAR
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts
from monitoring.alert_figures import figures
from monitoring.alert_text import alert_sentence, alert_title, alert_url, severity_word, threshold_sentence
from monitoring.forms import HandlingForm, SnoozeForm
from monitoring.models import Alert, AlertKind, Threshold
from monitoring.open_alerts import (
    SEVERITY_RANK,
    with_subject,
    worst_first,
)
from monitoring.services import acknowledge, add_note, assign, reopen, resolve, snooze

VIEW = "monitoring.view_alert"
CHANGE = "monitoring.change_alert"
Status = Alert.Status

# A deed to more alerts than this is asked about first.
_ASKS_ABOVE = 50
_NAMED = 10  # of the alerts that a deed is asked about
_EVENTS_SHOWN = 50

# What can be done to an alert of each status, in the order of the buttons.
_DEEDS: dict[str, tuple[str, ...]] = {
    Status.OPEN: ("acknowledge", "snooze", "resolve", "assign_to_me"),
    Status.ACKNOWLEDGED: ("snooze", "resolve", "assign_to_me", "reopen"),
    Status.SNOOZED: ("acknowledge", "snooze", "resolve", "assign_to_me", "reopen"),
    Status.RESOLVED: ("reopen",),
}
_STATUS_ICONS = {
    Status.OPEN: "info",
    Status.ACKNOWLEDGED: "ok",
    Status.SNOOZED: "muted",
    Status.RESOLVED: "ok",
}


def key_of(text: str) -> int | None:
    """The key of a row that an address names; None for what cannot be one."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


# --- Filters ---------------------------------------------------------------------------------------------------------


class OwnerFilter(SimpleListFilter):
    title = _("owner")
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        owned = Alert.objects.visible_to(person(request)).filter(owner__isnull=False)
        owners = User.objects.filter(pk__in=owned.order_by().values("owner")).exclude(pk=person(request).pk)
        names = [(str(owner.pk), person_name(owner)) for owner in owners.order_by("username")]
        return [("me", gettext("me")), ("nobody", gettext("nobody")), *names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        if value == "nobody":
            return queryset.filter(owner__isnull=True)
        if value == "me":
            return queryset.filter(owner=person(request))
        return queryset.filter(owner=key_of(value) or 0)


class OpenedFilter(SimpleListFilter):
    title = _("opened")
    parameter_name = "opened"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        return [
            ("1", gettext("in the last 24 h")),
            ("7", gettext("in the last 7 days")),
            ("30", gettext("in the last 30 days")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("1", "7", "30"):
            return queryset.filter(opened_at__gte=timezone.now() - timedelta(days=int(self.value() or 0)))
        return queryset


class ThresholdFilter(SimpleListFilter):
    """Stands among the filters only while it is in force: figures of thresholds lead to the board with it."""

    title = _("threshold")
    parameter_name = "threshold"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        asked = key_of(request.GET.get(self.parameter_name, ""))
        if asked is None:
            return []
        found = Threshold.objects.visible_to(person(request)).filter(pk=asked)
        return [(str(threshold.pk), threshold.name or threshold_sentence(threshold)) for threshold in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(threshold=key_of(self.value() or "") or 0) if self.value() else queryset


# --- The board -------------------------------------------------------------------------------------------------------


@admin.register(Alert)
class AlertAdmin(ReadOnly, FrameModelAdmin):
    """Alerts are opened by readings; people only say what they do about them."""

    page = "alert"
    list_display = ()
    list_select_related = ["channel", "listing__channel", "listing__sku", "threshold", "owner"]
    list_filter = ["severity", ("channel", VisibleRelatedFilter), "kind", OwnerFilter, OpenedFilter, ThresholdFilter]
    search_fields = ["listing__title", "listing__platform_item_id", "listing__platform_sku_id", "listing__sku__code"]
    search_help_text = _("Title, SKU or platform id")
    list_line = _("Limits that were crossed, the worst first")
    empty_title = _("No alerts yet")
    empty_text = _("An alert opens when a reading crosses a threshold.")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = extra_context or {}
        title = _QUIET_TITLES.get(request.GET.get(TAB_VAR, "open"))
        if title and Alert.objects.visible_to(person(request)).exists():
            # Such a view is empty on a good day, and says so.
            context = {"empty_title": title, "empty_text": "", **context}
        if request.user.has_perm("monitoring.add_threshold"):
            context = {
                "empty_url": reverse("admin:monitoring_threshold_add"),
                "empty_button": gettext("Add a threshold"),
                **context,
            }
        return super().changelist_view(request, context)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Those that apply to alerts of the view that is open."""
        found = super().get_actions(request)
        wanted = _DEEDS.get(request.GET.get(TAB_VAR, "open"))
        return {name: action for name, action in found.items() if wanted is None or name in wanted}

    # The page of one alert

    def object_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        page = super().object_view(request, object_id)
        if isinstance(page, TemplateResponse) and page.context_data:
            page.context_data["title"] = alert_title(page.context_data["original"])
        return page

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, Any] = {name: self._deed_view(name) for name in ("acknowledge", "resolve", "reopen")}
        views |= {"snooze": self.snooze_view, "handle": self.handle_view}
        own = [
            path(f"<path:object_id>/{name}/", self.admin_site.admin_view(view), name=f"monitoring_alert_{name}")
            for name, view in views.items()
        ]
        return own + super().get_urls()

    def _deed_view(self, name: str) -> Callable[[HttpRequest, str], HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            alert = self._alert_to_change(request, object_id)
            _tell(self, request, name, _DO[name]([alert], request, timezone.now()))
            return self._back(request, alert)

        return view

    def snooze_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks until when, then does it."""
        alert = self._alert_to_change(request, object_id)
        form = SnoozeForm(request.POST or None, now=timezone.now())
        if request.method == "POST" and form.is_valid():
            count = snooze(alerts=[alert], until=form.ends_at, actor=person(request), now=timezone.now())
            _tell(self, request, "snooze", count)
            return self._back(request, alert)
        return _question(self, request, "snooze", Alert.objects.filter(pk=alert.pk), form, alert)

    def handle_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Stores who takes care of the alert, and their note."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        alert = self._alert_to_change(request, object_id)
        form = HandlingForm(request.POST, alert=alert)
        if form.is_valid():
            now, actor = timezone.now(), person(request)
            assign(alerts=[alert], owner=form.cleaned_data["owner"], actor=actor, now=now)
            add_note(alert=alert, note=form.cleaned_data["note"], actor=actor, now=now)
            self.message_user(request, gettext("Saved “%(name)s”.") % {"name": alert_title(alert)}, messages.SUCCESS)
        else:
            for errors in form.errors.values():
                self.message_user(request, " ".join(str(error) for error in errors), messages.ERROR)
        return self._back(request, alert)

    def _alert_to_change(self, request: HttpRequest, object_id: str) -> Alert:
        """Raises Http404 for what the person does not see, and PermissionDenied for a role that only looks."""
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        alert: Alert | None = self.get_object(request, object_id)
        if alert is None:
            raise Http404
        return alert

    def _back(self, request: HttpRequest, alert: Alert) -> HttpResponseRedirect:
        """To the page whose button was pressed."""
        return HttpResponseRedirect(_next(request) or self.address("change", alert))


_QUIET_TITLES = {
    "open": _("No open alerts"),
    "acknowledged": _("No acknowledged alerts"),
    "snoozed": _("No snoozed alerts"),
    "mine": _("No alerts of yours"),
}


def _next(request: HttpRequest) -> str:
    """The page of this site from which the person came to a deed; "" without one."""
    to = request.POST.get("next") or request.GET.get("next", "")
    return to if url_has_allowed_host_and_scheme(to, {request.get_host()}, require_https=request.is_secure()) else ""


def person_name(user: User) -> str:
    return user.get_full_name() or user.get_username()


# --- What people do --------------------------------------------------------------------------------------------------

Alerts = QuerySet[Alert] | list[Alert]  # never sliced


def _acknowledge(alerts: Alerts, request: HttpRequest, now: datetime) -> int:
    return acknowledge(alerts=alerts, actor=person(request), now=now)


def _resolve(alerts: Alerts, request: HttpRequest, now: datetime) -> int:
    return resolve(alerts=alerts, actor=person(request), now=now)


def _reopen(alerts: Alerts, request: HttpRequest, now: datetime) -> int:
    return reopen(alerts=alerts, actor=person(request), now=now)


def _assign_to_me(alerts: Alerts, request: HttpRequest, now: datetime) -> int:
    return assign(alerts=alerts, owner=person(request), actor=person(request), now=now)


_DO = {"acknowledge": _acknowledge, "resolve": _resolve, "reopen": _reopen, "assign_to_me": _assign_to_me}


def _tell(model_admin: ModelAdmin, request: HttpRequest, name: str, count: int) -> None:
    """Say how many alerts it was done to; nothing was when somebody else was quicker."""
    if not count:
        model_admin.message_user(request, gettext("No alert was changed: it had been done already."), messages.WARNING)
        return
    text = {
        "acknowledge": ngettext("Acknowledged %d alert.", "Acknowledged %d alerts.", count),
        "snooze": ngettext("Snoozed %d alert.", "Snoozed %d alerts.", count),
        "resolve": ngettext("Resolved %d alert.", "Resolved %d alerts.", count),
        "reopen": ngettext("Reopened %d alert.", "Reopened %d alerts.", count),
        "assign_to_me": ngettext("%d alert is yours now.", "%d alerts are yours now.", count),
    }[name]
    model_admin.message_user(request, text % count, messages.SUCCESS)


def _question(
    model_admin: ModelAdmin,
    request: HttpRequest,
    name: str,
    alerts: QuerySet[Alert],
    form: SnoozeForm | None,
    alert: Alert | None = None,
) -> TemplateResponse:
    """The page that asks before alerts are snoozed, or before many are changed at once."""
    count = alerts.count()
    title = {
        "acknowledge": ngettext("Acknowledge %d alert?", "Acknowledge %d alerts?", count),
        "snooze": ngettext("Snooze %d alert until when?", "Snooze %d alerts until when?", count),
        "resolve": ngettext("Resolve %d alert?", "Resolve %d alerts?", count),
        "reopen": ngettext("Reopen %d alert?", "Reopen %d alerts?", count),
        "assign_to_me": ngettext("Assign %d alert to you?", "Assign %d alerts to you?", count),
    }[name]
    button = {
        "acknowledge": ngettext("Acknowledge %d alert", "Acknowledge %d alerts", count),
        "snooze": ngettext("Snooze %d alert", "Snooze %d alerts", count),
        "resolve": ngettext("Resolve %d alert", "Resolve %d alerts", count),
        "reopen": ngettext("Reopen %d alert", "Reopen %d alerts", count),
        "assign_to_me": ngettext("Assign %d alert to me", "Assign %d alerts to me", count),
    }[name]
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title % count,
        "opts": model_admin.opts,
        "name": name,
        "button": button % count,
        "form": form,
        "rows": [(row, alert_title(row)) for row in with_subject(worst_first(alerts))[:_NAMED]],
        "more": max(count - _NAMED, 0),
        "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME) if alert is None else [],
        "select_across": request.POST.get("select_across", "0"),
        "next": _next(request),
        "alert": alert,
        "alert_title": alert_title(alert) if alert else "",
        "back": alert_url(alert) if alert else request.get_full_path(),
    }
    return TemplateResponse(request, "admin/monitoring/alert/ask.html", context)


def _bulk(name: str) -> Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    def act(model_admin: ModelAdmin, request: HttpRequest, alerts: QuerySet[Any]) -> HttpResponse | None:
        is_confirmed = "confirmed" in request.POST
        if not is_confirmed and alerts.count() > _ASKS_ABOVE:
            return _question(model_admin, request, name, alerts, None)
        _tell(model_admin, request, name, _DO[name](alerts, request, timezone.now()))
        return None

    return act


def _bulk_snooze(model_admin: ModelAdmin, request: HttpRequest, alerts: QuerySet[Any]) -> HttpResponse | None:
    now = timezone.now()
    form = SnoozeForm(request.POST if "confirmed" in request.POST else None, now=now)
    if not form.is_valid():
        return _question(model_admin, request, "snooze", alerts, form)
    _tell(model_admin, request, "snooze", snooze(alerts=alerts, until=form.ends_at, actor=person(request), now=now))
    return None


add_action(Alert, "acknowledge", _("Acknowledge"), _bulk("acknowledge"), permission=CHANGE, order=10)
add_action(Alert, "snooze", _("Snooze…"), _bulk_snooze, permission=CHANGE, order=20)
add_action(Alert, "resolve", _("Resolve"), _bulk("resolve"), permission=CHANGE, order=30)
add_action(Alert, "assign_to_me", _("Assign to me"), _bulk("assign_to_me"), permission=CHANGE, order=40)
add_action(Alert, "reopen", _("Reopen"), _bulk("reopen"), permission=CHANGE, order=50)


# --- Saved views and columns -----------------------------------------------------------------------------------------


def _of_status(status: str) -> Callable[[QuerySet[Any], HttpRequest], QuerySet[Any]]:
    return lambda alerts, request: alerts.filter(status=status)


def _mine(alerts: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return alerts.filter(owner=person(request)).exclude(status=Status.RESOLVED)


add_tab(Alert, "open", _("Open"), _of_status(Status.OPEN), order=10)
add_tab(Alert, "acknowledged", _("Acknowledged"), _of_status(Status.ACKNOWLEDGED), order=20)
add_tab(Alert, "snoozed", _("Snoozed"), _of_status(Status.SNOOZED), order=30)
add_tab(Alert, "resolved", _("Resolved"), _of_status(Status.RESOLVED), order=40)
add_tab(Alert, "all", _("All"), lambda alerts, request: alerts, order=50)
add_tab(Alert, "mine", _("Mine"), _mine, order=60)
add_order(Alert, SEVERITY_RANK, "-opened_at")


@admin.display(ordering=SEVERITY_RANK)
def title_cell(alert: Alert) -> SafeString:
    """What happened; below it how bad it is."""
    title = alert_title(alert)
    return format_html(
        '<strong title="{}">{}</strong><small>{}</small>',
        title,
        title,
        parts.badge(alert.severity, severity_word(alert.severity)),
    )


def listing_cell(alert: Alert) -> SafeString:
    """The listing, or the channel where it is about all of that; below it platform, shop and id."""
    mark = parts.mark(alert.channel)
    if alert.listing is None:
        url = reverse("admin:catalog_channel_change", args=[alert.channel_id])
        return format_html('<a href="{}"><strong>{}</strong></a><small>{}</small>', url, alert.channel, mark)
    return format_html(
        '<a href="{}"><strong title="{}">{}</strong></a><small>{} {} · {}</small>',
        reverse("admin:catalog_listing_change", args=[alert.listing_id]),
        alert.listing,
        alert.listing,
        mark,
        alert.channel,
        alert.listing.platform_id,
    )


def change_cell(alert: Alert) -> SafeString | str:
    """Before and then, with the limit below; in words where there is nothing to count."""
    shown = figures(alert)
    if not shown.now or alert.kind == AlertKind.AUTHORISATION:
        return format_html('<span class="told">{}</span>', alert_sentence(alert))
    if not shown.limit:
        return shown.change
    return format_html("{}<small>{}</small>", shown.change, gettext("limit %(limit)s") % {"limit": shown.limit})


@admin.display(ordering="opened_at")
def since_cell(alert: Alert) -> SafeString | str:
    shown = parts.time_ago(alert.opened_at)
    if alert.count == 1:
        return shown
    times = ngettext("%(count)s time", "%(count)s times", alert.count) % {"count": formatting.count(alert.count)}
    return format_html("{}<small>{}</small>", shown, times)


def owner_cell(alert: Alert) -> SafeString | str:
    return person_name(alert.owner) if alert.owner else parts.none(_("nobody"))


@admin.display(ordering="status")
def status_cell(alert: Alert) -> SafeString:
    """What people did with it; below it until when it sleeps, or that its condition is over."""
    shown = format_html(
        '<span class="state {0}">{1}{2}</span>',
        _STATUS_ICONS[Status(alert.status)],
        parts.icon(_STATUS_ICONS[Status(alert.status)]),
        capfirst(str(alert.get_status_display())),
    )
    line = status_line(alert)
    return format_html("{}<small>{}</small>", shown, line) if line else shown


def status_line(alert: Alert) -> str:
    if alert.status == Status.SNOOZED:
        return gettext("until %(time)s") % {"time": formatting.moment(alert.snoozed_until)}
    if alert.cleared_at is not None and alert.status != Status.RESOLVED:
        return gettext("over since %(time)s") % {"time": formatting.moment(alert.cleared_at)}
    return ""


add_column(Alert, "title", _("alert"), title_cell, order=10)
add_column(Alert, "listing", _("listing"), listing_cell, order=20)
add_column(Alert, "change", _("before → now"), change_cell, order=30)
add_column(Alert, "since", _("since"), since_cell, order=40)
add_column(Alert, "owner", _("owner"), owner_cell, order=50)
add_column(Alert, "status", _("status"), status_cell, order=60)


# --- The page of one alert -------------------------------------------------------------------------------------------


def _deed_url(name: str, *statuses: str) -> Callable[[HttpRequest, Alert], str | None]:
    """The address of a deed, for alerts of these statuses and people who may do it."""

    def url(request: HttpRequest, alert: Alert) -> str | None:
        if alert.status not in statuses or not request.user.has_perm(CHANGE):
            return None
        if name == "reopen" and alert.cleared_at is not None:
            return None  # what is over does not open again
        return reverse(f"admin:monitoring_alert_{name}", args=[alert.pk])

    return url


_UNRESOLVED = (Status.OPEN, Status.ACKNOWLEDGED, Status.SNOOZED)
add_button("alert", _("Reopen"), _deed_url("reopen", Status.ACKNOWLEDGED, Status.SNOOZED, Status.RESOLVED), order=10)
add_button("alert", _("Resolve"), _deed_url("resolve", *_UNRESOLVED), order=20)
add_button("alert", _("Snooze…"), _deed_url("snooze", *_UNRESOLVED), method="get", order=30)
add_button("alert", _("Acknowledge"), _deed_url("acknowledge", Status.OPEN, Status.SNOOZED), primary=True, order=40)


def _severity_badge(request: HttpRequest, alert: Alert) -> Badge:
    if alert.status == Status.RESOLVED:
        return Badge("ok", capfirst(str(Status.RESOLVED.label)))
    return Badge(alert.severity, severity_word(alert.severity))  # type: ignore[arg-type]


def _alert_facts(request: HttpRequest, alert: Alert) -> dict[str, Any]:
    now = timezone.now()
    return {
        "alert": alert,
        "now": now,
        "figures": figures(alert),
        "status": capfirst(str(alert.get_status_display())),
        "status_line": status_line(alert),
        "status_icon": _STATUS_ICONS[Status(alert.status)],
    }


def _alert_threshold(request: HttpRequest, alert: Alert) -> dict[str, Any]:
    threshold = alert.threshold
    seen = (
        threshold is not None
        and request.user.has_perm("monitoring.view_threshold")
        and Threshold.objects.visible_to(person(request)).filter(pk=threshold.pk).exists()
    )
    return {
        "sentence": alert_sentence(alert),
        "threshold": threshold,
        "threshold_sentence": threshold_sentence(threshold) if threshold else "",
        "threshold_url": reverse("admin:monitoring_threshold_change", args=[alert.threshold_id]) if seen else None,
    }


def _handling(request: HttpRequest, alert: Alert) -> dict[str, Any]:
    may_change = request.user.has_perm(CHANGE)
    return {"alert": alert, "form": HandlingForm(alert=alert) if may_change else None}


def _alert_history(request: HttpRequest, alert: Alert) -> dict[str, Any]:
    events = AuditEvent.objects.filter(object_type="monitoring.alert", object_id=str(alert.pk))
    shown = events.select_related("actor")[:_EVENTS_SHOWN]
    return {
        "alert": alert,
        "events": [(event, action_label(event), list(readable_changes(event, person(request)))) for event in shown],
    }


add_badge("alert", _severity_badge)
add_panel("alert", "monitoring/panels/alert_facts.html", _alert_facts, area="facts", order=10)
add_panel("alert", "monitoring/panels/alert_threshold.html", _alert_threshold, area="main", order=10)
add_panel("alert", "monitoring/panels/alert_history.html", _alert_history, area="main", order=20)
add_panel("alert", "monitoring/panels/alert_handling.html", _handling, area="side", order=10)
