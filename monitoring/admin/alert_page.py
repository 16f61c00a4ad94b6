"""The page of one alert: its facts, what was done about it, and the buttons for what can be done."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.audit_text import action_label, readable_changes
from catalog.models import AuditEvent, User
from config import formatting
from config.admin_site import Badge, add_badge, add_button, add_panel
from config.model_admin import FrameModelAdmin, ReadOnly, person
from monitoring.admin.alert_deeds import CHANGE, Status, do, next_page, question, snooze_until
from monitoring.alert_figures import figures
from monitoring.alert_text import alert_sentence, alert_title, severity_word, threshold_sentence
from monitoring.forms import HandlingForm, SnoozeForm
from monitoring.listing_page import ShownFact, present_fact
from monitoring.models import Alert, AlertKind, Threshold
from monitoring.services import add_note, assign

_EVENTS_SHOWN = 50

STATUS_ICONS = {
    Status.OPEN: "info",
    Status.ACKNOWLEDGED: "ok",
    Status.SNOOZED: "muted",
    Status.RESOLVED: "ok",
}


class AlertPages(ReadOnly, FrameModelAdmin):
    """The page of an alert, and the addresses of what is done there."""

    page = "alert"

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
            do(self, request, name, Alert.objects.filter(pk=alert.pk))
            return self._back(request, alert)

        return view

    def snooze_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks until when, then does it."""
        alert = self._alert_to_change(request, object_id)
        form = SnoozeForm(request.POST or None, now=timezone.now())
        if request.method == "POST" and form.is_valid():
            snooze_until(self, request, Alert.objects.filter(pk=alert.pk), form)
            return self._back(request, alert)
        return question(self, request, "snooze", Alert.objects.filter(pk=alert.pk), form, alert)

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
                self.message_user(request, formatting.sentences(*errors), messages.ERROR)
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
        return HttpResponseRedirect(next_page(request) or self.address("change", alert))


def person_name(user: User) -> str:
    return user.get_full_name() or user.get_username()


def status_line(alert: Alert) -> str:
    if alert.status == Status.SNOOZED:
        return gettext("until %(time)s") % {"time": formatting.moment(alert.snoozed_until)}
    if alert.cleared_at is not None and alert.status != Status.RESOLVED:
        return gettext("over since %(time)s") % {"time": formatting.moment(alert.cleared_at)}
    return ""


# --- Buttons and panels ----------------------------------------------------------------------------------------------


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
_acknowledge_url = _deed_url("acknowledge", Status.OPEN, Status.SNOOZED)


def _acknowledge_first(request: HttpRequest, alert: Alert) -> str | None:
    return None if alert.kind == AlertKind.AUTHORISATION else _acknowledge_url(request, alert)


def _acknowledge_second(request: HttpRequest, alert: Alert) -> str | None:
    """What an authorisation needs is to be renewed, which another button does."""
    return _acknowledge_url(request, alert) if alert.kind == AlertKind.AUTHORISATION else None


add_button("alert", _("Acknowledge"), _acknowledge_second, order=40)
add_button("alert", _("Acknowledge"), _acknowledge_first, primary=True, order=40)


def _severity_badge(request: HttpRequest, alert: Alert) -> Badge:
    if alert.status == Status.RESOLVED:
        return Badge("ok", capfirst(str(Status.RESOLVED.label)))
    return Badge(alert.severity, severity_word(alert.severity))  # type: ignore[arg-type]


def _alert_facts(request: HttpRequest, alert: Alert) -> dict[str, Any]:
    now = timezone.now()
    return {
        "alert": alert,
        "now": now,
        "figures": figures(alert, has_unit=True),
        "present": _present(alert, now),
        "status": capfirst(str(alert.get_status_display())),
        "status_note": _status_note(alert),
    }


def _present(alert: Alert, now: datetime) -> ShownFact | None:
    """What the alert is about as it is now; None where readings do not tell it."""
    if alert.listing is None or not alert.fact:
        return None
    return present_fact(alert.listing, "shelf_state" if alert.kind == AlertKind.OFF_SHELF else alert.fact, now)


def _status_note(alert: Alert) -> str:
    """Who gave it its status and when, or for whom it waits."""
    match alert.status:
        case Status.RESOLVED:
            who = _by(alert.resolved_by) if alert.resolved_by else gettext("by itself")
            return f"{who} · {formatting.iso_moment(alert.resolved_at)}"
        case Status.ACKNOWLEDGED:
            who = _by(_who_acknowledged(alert))
            return " · ".join(filter(None, [who, formatting.iso_moment(alert.acknowledged_at)]))
        case Status.OPEN if alert.cleared_at is None:
            if alert.owner:
                return gettext("waits for %(name)s") % {"name": person_name(alert.owner)}
            return gettext("waits for somebody")
        case _:
            return status_line(alert)


def _by(user: User | None) -> str:
    return gettext("by %(name)s") % {"name": person_name(user)} if user else ""


def _who_acknowledged(alert: Alert) -> User | None:
    deeds = AuditEvent.objects.filter(object_type="monitoring.alert", object_id=str(alert.pk), action="acknowledged")
    last = deeds.select_related("actor").first()
    return last.actor if last else None


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
