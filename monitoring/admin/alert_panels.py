"""Where else alerts are shown: the bell above every page, the dashboard, the page of a listing and the list of them."""

from typing import Any

from django.db.models import Case, Prefetch, QuerySet, SmallIntegerField, Value, When
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from catalog.models import Listing
from config import formatting
from config.admin_site import add_column, add_menu_item, add_order, add_panel, add_tab
from config.model_admin import person
from config.templatetags import evenshelf as parts
from monitoring import dashboard
from monitoring.admin.alert_deeds import CHANGE, VIEW
from monitoring.admin.alert_page import status_line
from monitoring.alert_figures import figures
from monitoring.alert_text import alert_sentence, alert_title, alert_url, threshold_sentence
from monitoring.listing_page import thresholds_of
from monitoring.models import Alert, Severity, Threshold
from monitoring.open_alerts import (
    SHOWN,
    OpenAlerts,
    counted,
    counted_once,
    newest_once,
    open_alerts,
    with_subject,
    worst_first,
)

_OF_LISTING = 5
_RESOLVED_OF_LISTING = 2
# Of a listing all are shown that nobody has put aside.
_PUT_ASIDE = (Alert.Status.RESOLVED, Alert.Status.SNOOZED)


# --- The bell and the menu -------------------------------------------------------------------------------------------


def _bell(request: HttpRequest, obj: None) -> dict[str, Any] | None:
    if not request.user.has_perm(VIEW):
        return None
    figures, newest = newest_once(request, person(request))
    return {"figures": figures, "rows": [_row(alert) for alert in newest], "now": timezone.now()}


def _row(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert,
        "title": alert_title(alert),
        "sentence": alert_sentence(alert),
        "change": figures(alert).change,
        "url": alert_url(alert),
        "subject": _subject(alert),
    }


def _subject(alert: Alert) -> str:
    """The listing, with its variant where it has one, or the channel of an alert without one."""
    listing = alert.listing
    if listing is None:
        return str(alert.channel)
    return f"{listing} · {listing.sku.name}" if listing.sku and listing.sku.name else str(listing)


def _open_count(request: HttpRequest) -> int:
    return counted_once(request, person(request)).total


add_panel("header", "monitoring/panels/bell.html", _bell, area="head", order=10)
add_menu_item("watch", _("Alerts"), "admin:monitoring_alert_changelist", permission=VIEW, order=30, count=_open_count)


# --- The dashboard ---------------------------------------------------------------------------------------------------


def _open_alerts_of(request: HttpRequest) -> tuple[OpenAlerts, QuerySet[Alert], str]:
    """How many open alerts the dashboard is about, which, and the address of the board with them."""
    scope = dashboard.dashboard_of(request, timezone.now()).scope
    shown = open_alerts(scope.user, scope.channel)
    figures = counted(shown) if scope.channel else counted_once(request, scope.user)
    url = reverse("admin:monitoring_alert_changelist")
    return figures, shown, f"{url}?channel__id__exact={scope.channel.pk}" if scope.channel else url


def _alerts_figure(request: HttpRequest, obj: None) -> dict[str, Any] | None:
    if not request.user.has_perm(VIEW):
        return None
    figures, _shown, url = _open_alerts_of(request)
    worst = figures.worst
    line = ""
    if worst:
        line = f"{formatting.count(figures.by_severity[worst])} {Severity(worst).label}"
    return {"figures": figures, "worst": worst, "line": line, "url": url}


def _alerts_card(request: HttpRequest, obj: None) -> dict[str, Any] | None:
    if not request.user.has_perm(VIEW):
        return None
    figures, shown, url = _open_alerts_of(request)
    rows = [_row(alert) for alert in with_subject(worst_first(shown))[:SHOWN]] if figures.total else []
    has_thresholds = bool(rows) or Threshold.objects.visible_to(person(request)).exists()
    return {
        "figures": figures,
        "rows": rows,
        "url": url,
        "now": timezone.now(),
        "has_thresholds": has_thresholds,
        "may_add": request.user.has_perm("monitoring.add_threshold"),
    }


add_panel("dashboard", "monitoring/panels/alerts_figure.html", _alerts_figure, area="facts", order=5)
add_panel("dashboard", "monitoring/panels/alerts_card.html", _alerts_card, area="side", order=15)


# --- Listings --------------------------------------------------------------------------------------------------------


def _listing_alerts(request: HttpRequest, listing: Listing) -> dict[str, Any] | None:
    """The listing's unresolved alerts and its last resolved ones, and the thresholds that watch it."""
    if not request.user.has_perm(VIEW):
        return None
    of_listing = with_subject(Alert.objects.filter(listing=listing))
    unresolved = list(worst_first(of_listing.exclude(status=Alert.Status.RESOLVED))[:_OF_LISTING])
    resolved = list(
        of_listing.filter(status=Alert.Status.RESOLVED).order_by("-opened_at", "-pk")[:_RESOLVED_OF_LISTING]
    )
    thresholds: list[Threshold] = []
    if request.user.has_perm("monitoring.view_threshold"):
        thresholds = list(thresholds_of(listing, person(request))[:_OF_LISTING])
    return {
        "rows": [{**_row(alert), "status_line": status_line(alert)} for alert in unresolved],
        "resolved": [
            {**_row(alert), "lasted": alert.resolved_at - alert.opened_at if alert.resolved_at else None}
            for alert in resolved[:_RESOLVED_OF_LISTING]
        ],
        "thresholds": [(threshold, threshold_sentence(threshold)) for threshold in thresholds],
        "may_change": request.user.has_perm(CHANGE),
        "add_url": f"{reverse('admin:monitoring_threshold_add')}?listing={listing.pk}"
        if request.user.has_perm("monitoring.add_threshold")
        else None,
        "all_url": f"{reverse('admin:monitoring_alert_changelist')}?tab=all&q={listing.platform_item_id}",
        "now": timezone.now(),
    }


def _unresolved_of_listings(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    alerts = worst_first(Alert.objects.exclude(status__in=_PUT_ASIDE))
    return listings.prefetch_related(
        Prefetch("alerts", alerts.select_related("channel", "threshold"), to_attr="shown_alerts")
    )


def alert_cell(listing: Any) -> SafeString:
    """The worst alert that nobody has put aside, and how many more there are."""
    alerts: list[Alert] = listing.shown_alerts
    if not alerts:
        return parts.none(_("none"))
    worst = alerts[0]
    worst.listing = listing
    shown = format_html('<a href="{}">{}</a>', alert_url(worst), parts.badge(worst.severity, alert_title(worst)))
    if len(alerts) == 1:
        return shown
    more = ngettext("and %d more", "and %d more", len(alerts) - 1) % (len(alerts) - 1)
    return format_html("{}<small>{}</small>", shown, more)


def _alert_rank() -> Case:
    """0 for listings with an alert of the worst severity, and so on; the highest for those without."""
    shown = Alert.objects.exclude(status__in=_PUT_ASIDE).filter(listing__isnull=False)
    # Sets that do not depend on the listing, so that the database makes each of them once.
    return Case(
        *(
            When(pk__in=shown.order_by().filter(severity=severity).values("listing_id"), then=Value(rank))
            for rank, severity in enumerate(Severity.values)
        ),
        default=Value(len(Severity.values)),
        output_field=SmallIntegerField(),
    )


def _with_alerts(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    shown = Alert.objects.exclude(status__in=_PUT_ASIDE).filter(listing__isnull=False)
    return listings.filter(removed_at__isnull=True, pk__in=shown.order_by().values("listing_id"))


add_panel("listing", "monitoring/panels/listing_alerts.html", _listing_alerts, area="side", order=10)
add_tab(Listing, "alerts", _("With alerts"), _with_alerts, order=8)
add_column(Listing, "alert", _("alert"), alert_cell, order=70, prepare=_unresolved_of_listings)
add_order(Listing, _alert_rank())
