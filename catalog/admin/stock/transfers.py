"""Transfers between warehouses: what is on its way, sending, and receiving all of it or less."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.stock.deeds import ReceiveForm, SendForm, booking_page
from catalog.admin.stock.scope import of_visible_skus, sku_cell, url
from catalog.models import Transfer
from config import formatting
from config.admin_site import Badge, add_badge, add_button, add_column, add_menu_item, add_panel, add_tab
from config.model_admin import FrameModelAdmin, ReadOnly
from config.templatetags import evenshelf as parts

SEND, RECEIVE = "catalog.add_transfer", "catalog.change_transfer"


@admin.register(Transfer)
class TransferAdmin(ReadOnly, FrameModelAdmin):
    page = "transfer"
    list_display = ()
    list_select_related = ["sku__product", "source", "destination", "created_by"]
    list_filter = ["source", "destination"]
    search_fields = ["sku__code", "sku__product__name", "note"]
    search_help_text = _("SKU, product or note")
    list_line = _("Units on their way between warehouses, and what arrived of them")
    empty_title = _("Nothing is on its way")
    empty_text = _("A transfer takes units out of one warehouse and puts them into another when they arrive.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transfer]:
        rows = of_visible_skus(super().get_queryset(request), request)
        return rows.select_related("sku__product", "source", "destination", "created_by")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(SEND)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.receive_view)
        return [path("<path:object_id>/receive/", view, name="catalog_transfer_receive"), *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return booking_page(
            request,
            lambda **values: SendForm(request=request, **values),
            permission=SEND,
            back=url("transfer_changelist"),
            back_label=gettext("Transfers"),
        )

    def receive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask what arrived of a transfer."""
        transfer: Transfer | None = self.get_object(request, object_id)
        if transfer is None:
            raise Http404
        return booking_page(
            request,
            lambda **values: ReceiveForm(request=request, transfer=transfer, **values),
            permission=RECEIVE,
            back=self.address("change", transfer),
            back_label=str(transfer),
        )


def way_cell(transfer: Transfer) -> SafeString:
    note = format_html("<small>{}</small>", transfer.note) if transfer.note else ""
    return format_html("{} → {}{}", transfer.source, transfer.destination, note)


@admin.display(ordering="quantity")
def units_cell(transfer: Transfer) -> str:
    return formatting.count(transfer.quantity)


@admin.display(ordering="received_at")
def arrived_cell(transfer: Transfer) -> SafeString:
    if transfer.is_in_transit:
        return parts.badge("info", _("In transit"))
    at = parts.time_ago(transfer.received_at)
    if not transfer.missing:
        return format_html('<span class="state ok">{}{}</span><small>{}</small>', parts.icon("ok"), _("Arrived"), at)
    missing = gettext("%(missing)s missing") % {"missing": formatting.count(transfer.missing)}
    return format_html("{}<small>{}</small>", parts.badge("warning", missing), at)


@admin.display(ordering="sent_at")
def sent_cell(transfer: Transfer) -> SafeString:
    by = transfer.created_by or _("the system")
    return format_html("{}<small>{}</small>", parts.time_ago(transfer.sent_at), by)


add_column(Transfer, "sku", _("SKU"), admin.display(ordering="sku__code")(lambda row: sku_cell(row)), order=10)
add_column(Transfer, "way", _("way"), way_cell, order=20)
add_column(Transfer, "units", _("units"), units_cell, order=30, classes="num")
add_column(Transfer, "arrived", _("arrived"), arrived_cell, order=40)
add_column(Transfer, "sent", _("sent"), sent_cell, order=50, classes="time")

add_tab(Transfer, "transit", _("In transit"), lambda rows, request: rows.filter(received_at__isnull=True), order=0)
add_tab(Transfer, "arrived", _("Arrived"), lambda rows, request: rows.filter(received_at__isnull=False), order=10)


def _receive_url(request: HttpRequest, transfer: Transfer) -> str | None:
    if not transfer.is_in_transit or not request.user.has_perm(RECEIVE):
        return None
    return url("transfer_receive", transfer.pk)


def _badge(request: HttpRequest, transfer: Transfer) -> Badge | None:
    if transfer.is_in_transit:
        return Badge("info", _("In transit"))
    missing = gettext("%(missing)s missing") % {"missing": formatting.count(transfer.missing)}
    return Badge("warning", missing) if transfer.missing else None


add_badge("transfer", _badge)
add_button("transfer", _("Receive…"), _receive_url, method="get", primary=True, order=10)
add_panel("transfer", "admin/catalog/stock/transfer_facts.html", lambda request, transfer: {}, area="facts", order=10)


add_menu_item("sync", _("Transfers"), "admin:catalog_transfer_changelist", permission="catalog.view_transfer", order=3)
