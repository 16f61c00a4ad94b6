"""Warehouses: where stock is, and from which of them sales are taken first."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from catalog.admin.stock.scope import of_visible_skus
from catalog.models import Channel, StockLevel, Warehouse
from catalog.services import tell_channels_changed
from catalog.stock.booking import book_waiting
from config import formatting
from config.admin_site import add_column, add_menu_item
from config.model_admin import FrameModelAdmin
from config.templatetags import evenshelf as parts


@admin.register(Warehouse)
class WarehouseAdmin(FrameModelAdmin):
    list_display = ()
    search_fields = ["code", "name"]
    search_help_text = _("Code or name")
    list_line = _("Where stock is, in the order in which sales are taken from it")
    empty_text = _("A warehouse is a place where stock is counted. Most merchants begin with one.")
    fields = ["code", "name", "is_active", "position"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # One that something was ever booked in holds a part of the ledger; it is switched off instead.
        return super().has_delete_permission(request, obj) and (obj is None or not obj.movements.exists())

    def save_model(self, request: HttpRequest, obj: Warehouse, form: forms.ModelForm, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            if not change or not {"is_active", "position"}.isdisjoint(form.changed_data):
                tell_channels_changed(list(Channel.objects.values_list("pk", flat=True)))
            if obj.is_active and (not change or "is_active" in form.changed_data):
                book_waiting(now=timezone.now())  # what was sold while there was no place to take it from


@admin.display(ordering="name")
def name_cell(warehouse: Warehouse) -> SafeString:
    return format_html("<strong>{}</strong><small>{}</small>", warehouse, warehouse.code)


@admin.display(ordering="is_active")
def active_cell(warehouse: Warehouse) -> SafeString:
    if warehouse.is_active:
        return format_html('<span class="state ok">{}{}</span>', parts.icon("ok"), _("Active"))
    return format_html('<span class="state muted">{}{}</span>', parts.icon("muted"), _("Not active"))


@admin.display(ordering="position")
def position_cell(warehouse: Warehouse) -> str:
    return formatting.count(warehouse.position)


def units_cell(warehouse: Any) -> SafeString | str:
    if warehouse.units is None:
        return parts.unknown(_("never counted"))
    address = reverse("admin:catalog_stocklevel_changelist")
    return format_html(
        '<a href="{}?warehouse__id__exact={}">{}</a>', address, warehouse.pk, formatting.count(warehouse.units)
    )


def _with_units(warehouses: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    levels = of_visible_skus(StockLevel.objects.filter(warehouse=OuterRef("pk"), is_counted=True), request)
    sums = levels.order_by().values("warehouse").annotate(units=Sum("on_hand")).values("units")
    annotated: QuerySet[Any] = warehouses.annotate(units=Subquery(sums))
    return annotated


add_column(Warehouse, "name", _("warehouse"), name_cell, order=10)
add_column(Warehouse, "active", _("state"), active_cell, order=20)
add_column(Warehouse, "position", pgettext_lazy("place in a sequence", "order"), position_cell, order=30, classes="num")
add_column(Warehouse, "units", _("on hand"), units_cell, order=40, prepare=_with_units, classes="num")
add_menu_item(
    "sync", _("Warehouses"), "admin:catalog_warehouse_changelist", permission="catalog.view_warehouse", order=6
)
