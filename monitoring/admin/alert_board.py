"""The alert board: filters, saved views, columns, and what is done with many alerts at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.listing import VisibleRelatedFilter
from catalog.models import User
from config import formatting
from config.admin_site import add_action, add_column, add_order, add_tab
from config.change_list import TAB_VAR
from config.model_admin import person
from config.templatetags import evenshelf as parts
from monitoring.admin.alert_deeds import CHANGE, DEEDS, Status, do, question, snooze_until
from monitoring.admin.alert_page import STATUS_ICONS, AlertPages, person_name, status_line
from monitoring.alert_figures import figures
from monitoring.alert_text import alert_sentence, alert_title, severity_word, threshold_sentence
from monitoring.forms import SnoozeForm
from monitoring.models import Alert, AlertKind, Threshold
from monitoring.open_alerts import SEVERITY_RANK

# A deed to more alerts than this is asked about first.
_ASKS_ABOVE = 50


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
    threshold: Threshold | None = None  # the one that was asked for, if it is there to be seen
    empty_text: str | Promise = ""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        asked = self.value()
        if asked is None:
            return []
        self.threshold = Threshold.objects.visible_to(person(request)).filter(pk=key_of(asked) or 0).first()
        if self.threshold is None:
            # Without a choice Django would leave the filter out, and the list would show every alert.
            self.empty_text = _("The address asks for a threshold. It was deleted, or you may not see it.")
            return [(asked, gettext("unknown threshold"))]
        return [(asked, self.threshold.name or threshold_sentence(self.threshold))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(threshold=self.threshold) if self.threshold else queryset.none()


# --- The board -------------------------------------------------------------------------------------------------------


@admin.register(Alert)
class AlertAdmin(AlertPages):
    """Alerts are opened by readings; people only say what they do about them."""

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
        wanted = DEEDS.get(request.GET.get(TAB_VAR, "open"))
        return {name: action for name, action in found.items() if wanted is None or name in wanted}


_QUIET_TITLES = {
    "open": _("No open alerts"),
    "acknowledged": _("No acknowledged alerts"),
    "snoozed": _("No snoozed alerts"),
    "mine": _("No alerts of yours"),
}


# --- Many at once ----------------------------------------------------------------------------------------------------


def _bulk(name: str) -> Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    def act(model_admin: ModelAdmin, request: HttpRequest, alerts: QuerySet[Any]) -> HttpResponse | None:
        is_confirmed = "confirmed" in request.POST
        if not is_confirmed and alerts.count() > _ASKS_ABOVE:
            return question(model_admin, request, name, alerts, None)
        do(model_admin, request, name, alerts)
        return None

    return act


def _bulk_snooze(model_admin: ModelAdmin, request: HttpRequest, alerts: QuerySet[Any]) -> HttpResponse | None:
    form = SnoozeForm(request.POST if "confirmed" in request.POST else None, now=timezone.now())
    if not form.is_valid():
        return question(model_admin, request, "snooze", alerts, form)
    snooze_until(model_admin, request, alerts, form)
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
        STATUS_ICONS[Status(alert.status)],
        parts.icon(STATUS_ICONS[Status(alert.status)]),
        capfirst(str(alert.get_status_display())),
    )
    line = status_line(alert)
    return format_html("{}<small>{}</small>", shown, line) if line else shown


add_column(Alert, "title", _("alert"), title_cell, order=10)
add_column(Alert, "listing", _("listing"), listing_cell, order=20)
add_column(Alert, "change", _("before → then"), change_cell, order=30)
add_column(Alert, "since", _("since"), since_cell, order=40)
add_column(Alert, "owner", _("owner"), owner_cell, order=50)
add_column(Alert, "status", _("status"), status_cell, order=60)
