"""Targets, whom we tell: their list, form and page, with a button that sends a test message."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from catalog.fields import LostSecret
from config import formatting
from config.admin_site import (
    add_badge,
    add_button,
    add_column,
    add_menu_item,
    add_panel,
)
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts
from integrations.notifying.deliveries import TooSoon, give_up, release
from integrations.notifying.delivery_admin import (
    CHANGE_DELIVERY,
    STATUS_BADGES,
    answer_text,
    cause_text,
    send_news_again,
)
from integrations.notifying.forms import (
    RouteForm,
    RouteFormSet,
    TargetForm,
    form_for,
    offered_severity,
    option_names,
    route_sentence,
)
from integrations.notifying.lane import send_test
from integrations.notifying.problems import explain
from integrations.notifying.senders import SENDERS
from integrations.notifying.senders.robot import Robot
from integrations.notifying.state import UNSENT, done_with, shown_address, state_of, target_badge, with_state
from integrations.notifying.targets import KINDS, OPTIONS
from integrations.state import masked
from monitoring.models import Delivery, Route, Target

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

CHANGE_TARGET = "monitoring.change_target"
_DELIVERIES_SHOWN = 10
_RECENT = timedelta(days=30)  # failures before that are history
Status = Delivery.Status


# --- Targets --------------------------------------------------------------------------------------------------------


class RouteInline(admin.StackedInline):
    model = Route
    form = RouteForm
    formset = RouteFormSet
    fields = ["least_severity", "channels", "after_minutes", "tells_end"]
    extra = 0
    verbose_name_plural = _("What is sent")

    def get_min_num(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 1  # a new target without a route would be told nothing

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "channels" and field is not None:
            field.widget = forms.CheckboxSelectMultiple(choices=field.choices)
            field.help_text = db_field.help_text
        if db_field.name == "after_minutes" and field is not None:
            field.help_text = gettext("Minutes. 0: at once. Above 0: only if nobody acknowledged the alert by then.")
        return field


@admin.register(Target)
class TargetAdmin(FrameModelAdmin):
    page = "target"
    list_display = ()
    list_line = _("Whom we tell of alerts")
    empty_title = _("Nobody is told yet")
    empty_text = _(
        "A target is a mailbox, a robot in a group chat, a telephone or another system that receives alerts."
    )
    inlines = [RouteInline]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """First the kind, then what it asks for."""
        if self.has_add_permission(request) and request.GET.get("kind") not in KINDS:
            context = {
                **self.admin_site.each_context(request),
                "title": gettext("Add %(name)s") % {"name": self.opts.verbose_name},
                "opts": self.opts,
                "kinds": [(kind.value, capfirst(str(kind.label)), _kind_line(kind)) for kind in Target.Kind],
            }
            return TemplateResponse(request, "admin/monitoring/target/kinds.html", context)
        return super().add_view(request, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kind = _kind(request, obj)
        kwargs["form"] = form_for(kind)
        kwargs["help_texts"] = {
            **({} if issubclass(SENDERS[kind], Robot) else {"digest_minutes": _("Minutes. 0: each alert at once.")}),
            "critical_passes_quiet": _("They wait neither for the end of quiet hours nor to be gathered with others."),
            "quiet_from": _("What comes in between is sent at the end, in one message. Times of the zone below."),
        }
        return super().get_form(request, obj, change, **kwargs)

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        offered = {"least_severity": offered_severity(_kind(request, None))}
        found = super().get_formset_kwargs(request, obj, inline, prefix)
        return found if obj.pk else {**found, "initial": [offered]}

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kind = _kind(request, obj)
        asked = KINDS[kind]
        own = ["name", "address", *(["role"] if asked.has_role else []), *(["secret"] if asked.secret else [])]
        return [
            (
                None,
                {
                    "fields": [*own, *option_names(kind), "language", "is_active"],
                    "description": _no_mail_server() if kind == Target.Kind.MAIL and not settings.EMAIL_HOST else "",
                },
            ),
            (
                _("When"),
                {
                    "fields": [
                        "digest_minutes",
                        "quiet_from",
                        "quiet_until",
                        "time_zone",
                        "critical_passes_quiet",
                    ]
                },
            ),
        ]

    def save_model(self, request: HttpRequest, obj: Target, form: TargetForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not obj.is_active or "is_active" in form.changed_data:
            give_up(target=obj)  # once more when it is switched on: what is days old is no news
        if {"address", "secret", "role", *OPTIONS} & set(form.changed_data):
            release(target=obj, now=timezone.now(), leads_elsewhere=form.leads_elsewhere)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        form.routes_before = _route_sentences(form.instance)
        super().save_related(request, form, formsets, change)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """The routes are changes of their target."""
        changes = super().construct_change_message(request, form, formsets, add)
        before, after = form.routes_before, _route_sentences(form.instance)
        return changes if before == after else {**changes, gettext_noop("routes"): [before, after]}

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(f"<path:object_id>/{name}/", self.admin_site.admin_view(view), name=f"monitoring_target_{name}")
            for name, view in (("test", self.test_view), ("send_again", self.send_again_view))
        ]
        return [*own, *super().get_urls()]

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Sends a test message now and tells what the other side said."""
        target = self._target(request, object_id)
        if target is None:
            return HttpResponseNotAllowed(["POST"])
        try:
            delivery = send_test(target=target)
        except TooSoon as error:
            seconds = max(1, round((error.retry_at - timezone.now()).total_seconds()))
            wait = formatting.duration(timedelta(seconds=seconds))
            told = formatting.sentences(
                explain(error.cause, is_test=True).what, gettext("Send the test in %(time)s.") % {"time": wait}
            )
            self.message_user(request, told, messages.WARNING)
        else:
            self._tell(request, target, delivery)
        return HttpResponseRedirect(self.address("change", target))

    def _tell(self, request: HttpRequest, target: Target, delivery: Delivery | None) -> None:
        if delivery is None:
            self.message_user(request, explain("cut-off").what, messages.WARNING)
        elif delivery.status == Status.SENT:
            release(target=target, now=timezone.now())
            said = answer_text(delivery)
            text = gettext("Test message sent. Answer: %(answer)s") if said else gettext("Test message sent.")
            self.message_user(request, text % {"answer": said}, messages.SUCCESS)
            if not target.routes.exists():
                text = gettext("No route uses this target yet: add one below, or it will never get an alert.")
                self.message_user(request, text, messages.WARNING)
        else:
            said = answer_text(delivery)
            told = str(explain(delivery.cause, is_test=True))
            level = messages.ERROR if delivery.status == Status.FAILED else messages.WARNING
            self.message_user(request, f"{told} ({said})" if said else told, level)

    def send_again_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lets the news of the target's failed deliveries wait again."""
        target = self._target(request, object_id)
        if target is None:
            return HttpResponseNotAllowed(["POST"])
        send_news_again(self, request, target.deliveries.visible_to(person(request)).filter(UNSENT))
        return HttpResponseRedirect(self.address("change", target))

    def _target(self, request: HttpRequest, object_id: str) -> Target | None:
        """The target of a deed; None when the request is no POST."""
        if request.method != "POST":
            return None
        target: Target | None = self.get_object(request, object_id)
        if target is None:
            raise Http404
        if not self.has_change_permission(request, target):
            raise PermissionDenied
        return target


_KIND_LINES: dict[str, _StrPromise] = {
    Target.Kind.MAIL: _("To addresses, or to everybody of a role."),
    Target.Kind.DINGTALK: _("A custom robot of a group."),
    Target.Kind.FEISHU: _("A custom bot of a group."),
    Target.Kind.WECOM: _("A group robot."),
    Target.Kind.SMS: _("Through Alibaba Cloud, by an approved template; critical alerts only."),
    Target.Kind.WEBHOOK: _("Each alert as signed JSON, for programs."),
    Target.Kind.APPRISE: _("Telegram, Slack, Bark, PushPlus and others."),
}


def _kind_line(kind: str) -> str:
    is_missing = kind == Target.Kind.MAIL and not settings.EMAIL_HOST
    return formatting.sentences(_KIND_LINES[kind], gettext("No mail server is set up yet.") if is_missing else "")


def _no_mail_server() -> SafeString:
    return format_html(
        "<p><strong>{}</strong></p><p>{} <code>{}</code></p>",
        gettext("No mail server is set up yet: mail targets cannot be saved."),
        gettext("Whoever runs the server sets it in the file .env and starts the program again, for example:"),
        "EMAIL_URL=smtp+tls://name:password@mail.example.com:587",
    )


def _kind(request: HttpRequest, target: Target | None) -> str:
    if target is not None:
        return target.kind
    asked = request.GET.get("kind", "")
    return asked if asked in KINDS else Target.Kind.MAIL


@admin.display(ordering="name")
def name_cell(target: Target) -> SafeString:
    return format_html("<strong>{}</strong><small>{}</small>", target, capfirst(target.get_kind_display()))


def state_cell(target: Any) -> SafeString:
    shown = target_badge(target, timezone.now())
    state = parts.badge(shown.severity, shown.text)
    why = explain(target.held_cause).what if shown.severity in ("critical", "warning") and target.held_cause else ""
    return format_html("{}<small>{}</small>", state, why) if why else state


def routes_cell(target: Target) -> SafeString | str:
    sentences = [(route_sentence(route),) for route in target.routes.all()]
    return format_html_join("", "<span>{}</span>", sentences) if sentences else parts.unknown(_("told nothing"))


def waiting_cell(target: Any) -> str:
    return formatting.count(target.waiting_count)


def last_sent_cell(target: Any) -> str:
    return parts.time_ago(target.last_sent_at) if target.last_sent_at else parts.unknown(_("none yet"))


def _prepared(targets: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return with_state(targets).prefetch_related("routes__channels")


add_column(Target, "name", _("target"), name_cell, order=10, prepare=_prepared)
add_column(Target, "state", _("state"), state_cell, order=20)
add_column(Target, "routes", _("what is sent"), routes_cell, order=30)
add_column(Target, "waiting", _("waiting"), waiting_cell, order=40, classes="num")
add_column(Target, "last_sent", _("last sent"), last_sent_cell, order=50)


# --- The page of a target -------------------------------------------------------------------------------------------


def _facts(request: HttpRequest, target: Target) -> dict[str, Any]:
    unsent_url = f"{reverse('admin:monitoring_delivery_changelist')}?target__id__exact={target.pk}"
    return {"now": timezone.now(), "state": state_of(target), "unsent_url": unsent_url}


def _problem(request: HttpRequest, target: Target) -> dict[str, Any] | None:
    """What holds the target back, or else why its last message did not arrive."""
    now = timezone.now()
    is_lost = isinstance(target.address, LostSecret) or isinstance(target.secret, LostSecret)
    cause = "key-missing" if is_lost else target.held_cause
    is_held = target.held_until is not None and target.held_until > now
    last = done_with(target.deliveries.all()).first()
    if cause and (is_held or explain(cause).severity == "critical"):
        failed = target.deliveries.filter(cause=cause).order_by("-created_at").first()
    elif last is not None and last.status != Status.SENT:
        cause, failed = last.cause, last
    else:
        return None
    is_test = failed is not None and failed.is_test
    return {
        "explanation": explain(cause, is_test=is_test),
        "answer": answer_text(failed) if failed else "",
        "at": failed.created_at if failed else None,
        "retry_at": target.held_until if is_held and not is_test else None,
        "edit_url": _edit_url(request, target),
    }


def _edit_url(request: HttpRequest, target: Target) -> str | None:
    return reverse("admin:monitoring_target_edit", args=[target.pk]) if request.user.has_perm(CHANGE_TARGET) else None


def _settings(request: HttpRequest, target: Target) -> dict[str, Any]:
    kind = KINDS[target.kind]
    return {
        "address_label": kind.address,
        "address": shown_address(target),
        "secret_label": kind.secret,
        "secret": masked(target.secret) if target.secret else "",
        "role": gettext(target.role.name) if target.role else "",
        "options": [
            (OPTIONS[name].label, target.options[name])
            for name in option_names(target.kind)
            if target.options.get(name)
        ],
    }


def _routes(request: HttpRequest, target: Target) -> dict[str, Any]:
    return {"sentences": _route_sentences(target), "edit_url": _edit_url(request, target)}


def _route_sentences(target: Target) -> list[str]:
    return [route_sentence(route) for route in target.routes.order_by("pk").prefetch_related("channels")]


def _deliveries(request: HttpRequest, target: Target) -> dict[str, Any]:
    rows = target.deliveries.visible_to(person(request))[:_DELIVERIES_SHOWN]
    return {
        "now": timezone.now(),
        "rows": [(row, STATUS_BADGES[row.status], answer_text(row) or cause_text(row)) for row in rows],
        "all_url": f"{reverse('admin:monitoring_delivery_changelist')}?target__id__exact={target.pk}",
    }


def _test_url(request: HttpRequest, target: Target) -> str | None:
    return reverse("admin:monitoring_target_test", args=[target.pk]) if request.user.has_perm(CHANGE_TARGET) else None


def _send_again_url(request: HttpRequest, target: Target) -> str | None:
    is_wanted = target.deliveries.filter(UNSENT, created_at__gt=timezone.now() - _RECENT).exists()
    if not (is_wanted and target.is_active and request.user.has_perm(CHANGE_DELIVERY)):
        return None
    return reverse("admin:monitoring_target_send_again", args=[target.pk])


add_badge("target", lambda request, target: target_badge(state_of(target), timezone.now()))
add_button("target", _("Send what failed again"), _send_again_url, order=20)
add_button("target", _("Send test message"), _test_url, primary=True, order=90)
add_panel("target", "integrations/panels/target_facts.html", _facts, area="facts", order=10)
add_panel("target", "integrations/panels/target_problem.html", _problem, area="main", order=10)
add_panel("target", "integrations/panels/target_deliveries.html", _deliveries, area="main", order=20)
add_panel("target", "integrations/panels/target_routes.html", _routes, area="side", order=10)
add_panel("target", "integrations/panels/target_settings.html", _settings, area="side", order=20)

add_menu_item(
    "settings", _("Notifications"), "admin:monitoring_target_changelist", permission="monitoring.view_target", order=50
)
