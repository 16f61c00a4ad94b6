"""The ledger: every movement of stock, read and never written here."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin import DateFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.stock.scope import hide_foreign, of_visible_skus, signed, sku_cell, url
from catalog.models import Order, StockMovement
from config import formatting
from config.admin_site import add_column, add_menu_item
from config.change_list import FrameChangeList
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts

_SAME_TIME = timedelta(minutes=1)


class MovementChangeList(FrameChangeList):
    """Tells each row whether the person sees the channel that it came from."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        hide_foreign(self.result_list, request)


@admin.register(StockMovement)
class StockMovementAdmin(ReadOnly, FrameModelAdmin):
    list_display = ()
    list_display_links = None
    list_select_related = ["sku__product", "warehouse", "actor", "channel", "order_line__order", "transfer"]
    list_filter = ["kind", "warehouse", "source", ("happened_at", DateFieldListFilter)]
    search_fields = ["sku__code", "sku__product__name", "reason"]
    search_help_text = _("SKU, product, reason or order number")
    list_line = _("Every change of the stock, newest first. Entries are added and never changed.")
    empty_title = _("Nothing was booked yet")
    empty_text = _("Counts, receipts, orders and transfers are written down here, each with who and why.")
    ordering = ["-pk"]
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[StockMovement]:
        return of_visible_skus(super().get_queryset(request), request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[FrameChangeList]:
        return MovementChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """As Django does it, and by the number of an order that the person sees."""
        found, has_duplicates = super().get_search_results(request, queryset, search_term)
        if number := search_term.strip():
            orders = Order.objects.visible_to(person(request)).filter(platform_order_id=number)
            found |= queryset.filter(order_line__order__in=orders)
        return found, has_duplicates


def who(movement: Any) -> str:
    """The person, the channel whose order it was, or the system."""
    if movement.actor is not None:
        return str(movement.actor)
    if movement.channel_id:
        return gettext("another channel") if movement.is_foreign else str(movement.channel)
    return gettext("the system")


def why(movement: Any) -> SafeString | str:
    """The reason that was given; of an order or a transfer the way there."""
    if movement.order_line is not None and not movement.is_foreign:
        order = movement.order_line.order
        link = format_html('<a href="{}">{} {}</a>', url("order_change", order.pk), gettext("Order"), order)
        return format_html("{}<small>{}</small>", link, movement.reason) if movement.reason else link
    if movement.transfer is not None:
        text = movement.transfer.note or gettext("Transfer")
        return format_html('<a href="{}">{}</a>', url("transfer_change", movement.transfer_id), text)
    return movement.reason or parts.none(_("none"))


def linked_sku_cell(movement: StockMovement) -> SafeString:
    return format_html('<a href="{}">{}</a>', url("sku_change", movement.sku_id), sku_cell(movement))


def time_cell(movement: StockMovement) -> SafeString:
    """When it was booked, which is the order of the ledger; below it when it happened, where that was earlier."""
    booked, happened = (
        format_html('<time datetime="{}">{}</time>', at.isoformat(timespec="seconds"), formatting.iso_moment(at))
        for at in (movement.created_at, movement.happened_at)
    )
    if movement.created_at - movement.happened_at < _SAME_TIME:
        return booked
    return format_html("{}<small>{}</small>", booked, format_html(gettext("happened {}"), happened))


def kind_cell(movement: StockMovement) -> SafeString:
    return format_html("{}<small>{}</small>", capfirst(movement.get_kind_display()), movement.get_source_display())


def units_cell(movement: StockMovement) -> SafeString | str:
    shown = signed(movement.quantity)
    return format_html("{}<small>{}</small>", shown, _("reserved")) if _is_reserving(movement) else shown


def _is_reserving(movement: StockMovement) -> bool:
    return movement.kind in StockMovement.RESERVING


def warehouse_cell(movement: StockMovement) -> str:
    return str(movement.warehouse)


add_column(StockMovement, "time", _("time"), time_cell, order=10)
add_column(StockMovement, "sku", _("SKU"), linked_sku_cell, order=20)
add_column(StockMovement, "warehouse", _("warehouse"), warehouse_cell, order=30)
add_column(StockMovement, "kind", _("kind"), kind_cell, order=40)
add_column(StockMovement, "units", _("units"), units_cell, order=50, classes="num")
add_column(StockMovement, "who", _("who"), who, order=60)
add_column(StockMovement, "why", _("why"), why, order=70)
add_menu_item(
    "sync",
    _("Stock movements"),
    "admin:catalog_stockmovement_changelist",
    permission="catalog.view_stockmovement",
    order=2,
)
