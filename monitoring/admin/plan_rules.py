"""How to plan: the service target and the times to count with, of all SKUs, a class, a warehouse or one SKU."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from config import formatting
from config.admin_site import add_column, add_menu_item
from config.model_admin import FrameModelAdmin
from config.templatetags import evenshelf as parts
from monitoring.models import PlanPolicy


@admin.register(PlanPolicy)
class PlanPolicyAdmin(FrameModelAdmin):
    list_display = ()
    list_select_related = ["sku", "warehouse"]
    list_line = _("What is set for a SKU counts before its class, that before its warehouse, and that before the rest")
    empty_text = _("Without a rule the service target is 95%. Add one to set it, or a lead time where none is known.")
    autocomplete_fields = ["sku"]
    fieldsets = [
        (None, {"fields": ["sku", "abc", "warehouse"], "description": _("Leave all three empty for all SKUs.")}),
        (_("How to plan"), {"fields": ["service_target", "lead_time_days", "review_days", "presence", "turns_target"]}),
    ]

    def save_model(self, request: HttpRequest, obj: PlanPolicy, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self.message_user(request, gettext("It counts from the next plan on."))


def _for_cell(rule: PlanPolicy) -> SafeString:
    if rule.sku is not None:
        return format_html("<strong>{}</strong>", rule.sku)
    if rule.warehouse is not None:
        return format_html("<strong>{}</strong>", rule.warehouse)
    name = gettext("Class %(name)s") % {"name": rule.abc} if rule.abc else gettext("All SKUs")
    return format_html("<strong>{}</strong>", name)


def _days(days: int | None) -> SafeString | str:
    return (
        parts.unknown(_("not set here")) if days is None else gettext("%(days)s d") % {"days": formatting.count(days)}
    )


def _target_cell(rule: PlanPolicy) -> SafeString | str:
    return parts.unknown(_("not set here")) if rule.service_target is None else formatting.percent(rule.service_target)


def _presence_cell(rule: PlanPolicy) -> SafeString | str:
    return parts.unknown(_("not set here")) if rule.presence is None else formatting.count(rule.presence)


add_column(PlanPolicy, "for", pgettext_lazy("planning rule", "for"), _for_cell, order=10)
add_column(PlanPolicy, "target", _("service target"), _target_cell, order=20, classes="num")
add_column(PlanPolicy, "lead", _("lead time"), lambda rule: _days(rule.lead_time_days), order=30, classes="num")
add_column(PlanPolicy, "review", _("review period"), lambda rule: _days(rule.review_days), order=40, classes="num")
add_column(PlanPolicy, "presence", _("least stock"), _presence_cell, order=50, classes="num")
add_menu_item(
    "plan",
    _("Planning rules"),
    "admin:monitoring_planpolicy_changelist",
    permission="monitoring.view_planpolicy",
    order=95,
)
