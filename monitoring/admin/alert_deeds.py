"""What people do with alerts, whether one on its page or many on the board, and what they are told of it."""

from collections.abc import Callable
from datetime import datetime

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext, ngettext

from catalog.models import User
from config.formatting import joined
from config.model_admin import person
from monitoring.alert_text import alert_title, alert_url
from monitoring.forms import SnoozeForm
from monitoring.models import Alert
from monitoring.open_alerts import with_subject, worst_first
from monitoring.services import acknowledge, assign, reopen, resolve, snooze

VIEW = "monitoring.view_alert"
CHANGE = "monitoring.change_alert"
Status = Alert.Status

_NAMED = 10  # of the alerts that a deed is asked about

# What can be done to an alert of each status, in the order of the buttons.
DEEDS: dict[str, tuple[str, ...]] = {
    Status.OPEN: ("acknowledge", "snooze", "resolve", "assign_to_me"),
    Status.ACKNOWLEDGED: ("snooze", "resolve", "assign_to_me", "reopen"),
    Status.SNOOZED: ("acknowledge", "snooze", "resolve", "assign_to_me", "reopen"),
    Status.RESOLVED: ("reopen",),
}


def next_page(request: HttpRequest) -> str:
    """The page of this site from which the person came to a deed; "" without one."""
    to = request.POST.get("next") or request.GET.get("next", "")
    return to if url_has_allowed_host_and_scheme(to, {request.get_host()}, require_https=request.is_secure()) else ""


def _acknowledge(alerts: QuerySet[Alert], request: HttpRequest, now: datetime) -> int:
    return acknowledge(alerts=alerts, actor=person(request), now=now)


def _resolve(alerts: QuerySet[Alert], request: HttpRequest, now: datetime) -> int:
    return resolve(alerts=alerts, actor=person(request), now=now)


def _reopen(alerts: QuerySet[Alert], request: HttpRequest, now: datetime) -> int:
    return reopen(alerts=alerts, actor=person(request), now=now)


def _assign_to_me(alerts: QuerySet[Alert], request: HttpRequest, now: datetime) -> int:
    return assign(alerts=alerts, owner=person(request), actor=person(request), now=now)


_DO: dict[str, Callable[[QuerySet[Alert], HttpRequest, datetime], int]] = {
    "acknowledge": _acknowledge,
    "resolve": _resolve,
    "reopen": _reopen,
    "assign_to_me": _assign_to_me,
}


def do(model_admin: ModelAdmin, request: HttpRequest, name: str, alerts: QuerySet[Alert]) -> None:
    """Do it to those of the alerts that it applies to; says to how many, and which were left alone.

    Alerts acknowledged together leave the snoozed ones among them asleep: who ticks a whole page does not mean to
    wake them. Where only snoozed ones were chosen, they were meant.
    """
    ends_snooze = False
    chosen = alerts
    left = _left_alone(name, alerts, person(request))
    if name == "acknowledge":
        awake = alerts.exclude(status=Status.SNOOZED)
        ends_snooze = not awake.exists()
        chosen = alerts if ends_snooze else awake
    count = _DO[name](chosen, request, timezone.now())
    _tell(model_admin, request, "wake" if ends_snooze and count else name, count, {} if ends_snooze else left)


def snooze_until(model_admin: ModelAdmin, request: HttpRequest, alerts: QuerySet[Alert], form: SnoozeForm) -> None:
    """Snooze those that are not resolved until the time of the valid form; says how many."""
    left = _left_alone("snooze", alerts, person(request))
    count = snooze(alerts=alerts, until=form.ends_at, actor=person(request), now=form.now)
    _tell(model_admin, request, "snooze", count, left)


def _left_alone(name: str, alerts: QuerySet[Alert], user: User) -> dict[str, int]:
    """To how many of the alerts the deed does not apply, by the reason; one query, before it is done."""
    is_open, is_resolved = Q(status=Status.OPEN), Q(status=Status.RESOLVED)
    reasons = {
        "acknowledge": {
            "resolved": is_resolved,
            "acknowledged": Q(status=Status.ACKNOWLEDGED),
            "snoozed": Q(status=Status.SNOOZED),
        },
        "snooze": {"resolved": is_resolved},
        "resolve": {"resolved": is_resolved},
        "reopen": {"open": is_open, "over": Q(cleared_at__isnull=False) & ~is_open},
        "assign_to_me": {"yours": Q(owner=user)},
    }[name]
    return alerts.order_by().aggregate(**{reason: Count("pk", filter=which) for reason, which in reasons.items()})


def _tell(model_admin: ModelAdmin, request: HttpRequest, name: str, count: int, left: dict[str, int]) -> None:
    """Say how many alerts it was done to and why not to the others."""
    text = {
        "acknowledge": ngettext("Acknowledged %d alert.", "Acknowledged %d alerts.", count),
        "wake": ngettext(
            "Acknowledged %d alert, whose snooze ended with it.",
            "Acknowledged %d alerts, whose snooze ended with it.",
            count,
        ),
        "snooze": ngettext("Snoozed %d alert.", "Snoozed %d alerts.", count),
        "resolve": ngettext("Resolved %d alert.", "Resolved %d alerts.", count),
        "reopen": ngettext("Reopened %d alert.", "Reopened %d alerts.", count),
        "assign_to_me": ngettext("%d alert is yours now.", "%d alerts are yours now.", count),
    }[name]
    reasons = joined(_reason(reason, number) for reason, number in left.items() if number)
    done = text % count if count else gettext("No alert was changed.")
    if reasons:
        done = gettext("%(done)s Left alone: %(reasons)s.") % {"done": done, "reasons": reasons}
    elif not count:
        done = gettext("No alert was changed: it had been done already.")
    model_admin.message_user(request, done, messages.SUCCESS if count else messages.WARNING)


def _reason(reason: str, number: int) -> str:
    text = {
        "resolved": ngettext("%d resolved already", "%d resolved already", number),
        "acknowledged": ngettext("%d acknowledged already", "%d acknowledged already", number),
        "snoozed": ngettext("%d that stays snoozed", "%d that stay snoozed", number),
        "open": ngettext("%d open already", "%d open already", number),
        "over": ngettext("%d whose condition is over", "%d whose condition is over", number),
        "yours": ngettext("%d yours already", "%d yours already", number),
    }[reason]
    return text % number


def question(
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
        "next": next_page(request),
        "alert": alert,
        "alert_title": alert_title(alert) if alert else "",
        "back": alert_url(alert) if alert else request.get_full_path(),
    }
    return TemplateResponse(request, "admin/monitoring/alert/ask.html", context)
