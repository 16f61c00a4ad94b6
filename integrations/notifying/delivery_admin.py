"""Deliveries: what was sent, read only, and the news of failed ones sent again."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from config import formatting
from config.admin_site import Badge, add_action, add_badge, add_column, add_menu_item, add_panel, add_tab
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts
from integrations.notifying.deliveries import send_again
from integrations.notifying.problems import explain
from monitoring.models import Delivery

CHANGE_DELIVERY = "monitoring.change_delivery"
Status = Delivery.Status

STATUS_BADGES: dict[str, Badge] = {
    Status.WAITING: Badge("muted", _("Waiting")),
    Status.SENT: Badge("ok", _("Sent")),
    Status.UNKNOWN: Badge("unknown", _("Not known")),
    Status.FAILED: Badge("critical", _("Failed")),
    Status.REPLACED: Badge("muted", _("In a later message")),
    Status.DROPPED: Badge("muted", _("Given up")),
}


def answer_text(delivery: Delivery) -> str:
    """The other side's code and words."""
    return " ".join(filter(None, (delivery.code, delivery.answer)))


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, FrameModelAdmin):
    page = "delivery"
    list_display = ()
    list_select_related = ["target"]
    list_filter = ["target", "status"]
    search_fields = ["subject", "text"]
    search_help_text = _("Words of the message")
    list_line = _("What was sent, newest first, and what the other side answered")
    empty_title = _("Nothing was sent yet")
    empty_text = _("A message goes out when an alert opens that a target has a route for.")
    sortable_by = ()


def cause_text(delivery: Delivery) -> str:
    return explain(delivery.cause).what if delivery.cause else ""


def time_cell(delivery: Delivery) -> str:
    return parts.time_ago(delivery.created_at)


def subject_cell(delivery: Delivery) -> SafeString:
    return format_html(
        '<strong title="{0}">{0}</strong><small>{1}</small>',
        delivery.subject,
        f"{delivery.target} · {gettext('test')}" if delivery.is_test else delivery.target,
    )


def status_cell(delivery: Delivery) -> SafeString:
    shown = STATUS_BADGES[delivery.status]
    return parts.badge(shown.severity, shown.text)


def tries_cell(delivery: Delivery) -> str:
    return formatting.count(delivery.attempts)


def answer_cell(delivery: Delivery) -> SafeString | str:
    """The other side's words; below them what went wrong."""
    said, why = answer_text(delivery), cause_text(delivery)
    if not (said or why):
        return parts.unknown(_("none yet"))
    return format_html("{}<small>{}</small>", said or why, why if said else "")


add_column(Delivery, "subject", _("message"), subject_cell, order=10)
add_column(Delivery, "status", _("status"), status_cell, order=20)
add_column(Delivery, "time", _("time"), time_cell, order=30)
add_column(Delivery, "tries", _("tries"), tries_cell, order=40, classes="num")
add_column(Delivery, "answer", _("answer"), answer_cell, order=50)
add_tab(Delivery, "all", _("All"), lambda rows, request: rows, order=10)
add_tab(Delivery, "failed", _("Failed"), lambda rows, request: rows.filter(status=Status.FAILED), order=20)
add_tab(Delivery, "unknown", _("Not known"), lambda rows, request: rows.filter(status=Status.UNKNOWN), order=30)


def send_news_again(model_admin: ModelAdmin, request: HttpRequest, deliveries: QuerySet[Any]) -> None:
    count = send_again(deliveries=deliveries, actor=person(request), now=timezone.now())
    if not count:
        text = gettext("Nothing is sent again: none of them failed, or their target is inactive.")
        model_admin.message_user(request, text, messages.INFO)
        return
    text = ngettext(
        "The news of %d message goes out again, in the next one.",
        "The news of %d messages goes out again, in the next one.",
        count,
    )
    model_admin.message_user(request, text % count, messages.SUCCESS)


add_action(Delivery, "send_again", _("Send again"), send_news_again, permission=CHANGE_DELIVERY, order=10)


def _message(request: HttpRequest, delivery: Delivery) -> dict[str, Any]:
    return {"lines": delivery.text.split("\n"), "alerts_url": delivery.payload.get("url", "")}


def _outcome(request: HttpRequest, delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery": delivery,
        "explanation": explain(delivery.cause, is_test=delivery.is_test) if delivery.cause else None,
        "answer": answer_text(delivery),
        "badge": STATUS_BADGES[delivery.status],
    }


add_badge("delivery", lambda request, delivery: STATUS_BADGES[delivery.status])
add_panel("delivery", "integrations/panels/delivery_message.html", _message, area="main", order=10)
add_panel("delivery", "integrations/panels/delivery_outcome.html", _outcome, area="side", order=10)

add_menu_item(
    "settings", _("Deliveries"), "admin:monitoring_delivery_changelist", permission="monitoring.view_delivery", order=55
)
