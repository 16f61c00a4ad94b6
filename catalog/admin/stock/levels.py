"""Stock levels: what each warehouse has of each SKU, and the movements that made it so."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from catalog.admin.stock import deeds, file_pages
from catalog.admin.stock.movements import time_cell, units_cell, who, why
from catalog.admin.stock.scope import (
    BOOK,
    hide_foreign,
    in_transit,
    of_visible_skus,
    on_hand_part,
    reserved_part,
    sku_cell,
    url,
)
from catalog.models import Product, StockLevel, StockMovement, Warehouse
from config import formatting
from config.admin_site import Badge, add_badge, add_button, add_column, add_menu_item, add_panel, add_tab
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts

_BRANDS_SHOWN = 60
_MOVEMENTS_SHOWN = 50


class BrandFilter(SimpleListFilter):
    title = _("brand")
    parameter_name = "brand"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        brands = Product.objects.visible_to(person(request)).exclude(brand="").order_by("brand")
        return [(brand, brand) for brand in brands.values_list("brand", flat=True).distinct()[:_BRANDS_SHOWN]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(sku__product__brand=self.value()) if self.value() else queryset


@admin.register(StockLevel)
class StockLevelAdmin(ReadOnly, FrameModelAdmin):
    page = "stock_level"
    list_display = ()
    list_select_related = ["sku__product", "warehouse"]
    list_filter = ["warehouse", BrandFilter]
    search_fields = ["sku__code", "sku__name", "sku__barcode", "sku__product__name"]
    search_help_text = _("SKU, barcode or product")
    list_line = _("What each warehouse has of each SKU")
    empty_text = _("Count what is on the shelves: the first count is the opening stock.")
    ordering = ["sku__code", "warehouse__position"]
    change_list_template = "admin/catalog/stock/levels.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[StockLevel]:
        return of_visible_skus(super().get_queryset(request), request).select_related("sku__product", "warehouse")

    def get_urls(self) -> list[URLPattern]:
        return [*deeds.urls(), *file_pages.urls(), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may_book = request.user.has_perm(BOOK)
        context = {"may_book": may_book, **_first_step(request, may_book), **(extra_context or {})}
        return super().changelist_view(request, context)


def _first_step(request: HttpRequest, may_book: bool) -> dict[str, Any]:
    """What an empty list offers: a warehouse first, then a count."""
    if not Warehouse.objects.exists():
        may_add = request.user.has_perm("catalog.add_warehouse")
        return {"empty_url": url("warehouse_add"), "empty_button": gettext("Add warehouse")} if may_add else {}
    return {"empty_url": url("stock_count"), "empty_button": gettext("Count stock")} if may_book else {}


# Columns


def _counted(level: StockLevel, units: int) -> SafeString | str:
    return formatting.count(units) if level.is_counted else parts.unknown(_("never counted"))


@admin.display(ordering="warehouse__position")
def warehouse_cell(level: StockLevel) -> SafeString | str:
    if level.warehouse.is_active:
        return str(level.warehouse)
    return format_html("{}<small>{}</small>", level.warehouse, _("not active: not offered"))


@admin.display(ordering="on_hand")
def on_hand_cell(level: StockLevel) -> SafeString | str:
    return _counted(level, level.on_hand)


@admin.display(ordering="reserved")
def reserved_cell(level: StockLevel) -> str:
    return formatting.count(level.reserved)


@admin.display(ordering="available")
def available_cell(level: StockLevel) -> SafeString | str:
    if level.is_counted and level.available < 0:
        return format_html("{}<small>{}</small>", formatting.count(level.available), parts.badge("critical", _OVERSOLD))
    return _counted(level, level.available)


@admin.display(ordering="units_in_transit")
def in_transit_cell(level: Any) -> SafeString | str:
    units = level.units_in_transit
    return formatting.count(units) if units else parts.none(_("none"))


@admin.display(ordering="updated_at")
def changed_cell(level: StockLevel) -> SafeString | str:
    return parts.time_ago(level.updated_at)


def _with_transit(levels: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    annotated: QuerySet[Any] = levels.annotate(units_in_transit=Coalesce(in_transit(), 0))
    return annotated


_OVERSOLD = _("Oversold")
sku_column = admin.display(ordering="sku__code")(lambda level: sku_cell(level))

_CHANGED = pgettext_lazy("time of the last change", "changed")
add_column(StockLevel, "sku", _("SKU"), sku_column, order=10)
add_column(StockLevel, "warehouse", _("warehouse"), warehouse_cell, order=20)
add_column(StockLevel, "on_hand", _("on hand"), on_hand_cell, order=30, classes="num")
add_column(StockLevel, "reserved", _("reserved"), reserved_cell, order=40, classes="num")
add_column(StockLevel, "available", _("available"), available_cell, order=50, classes="num")
add_column(StockLevel, "transit", _("in transit"), in_transit_cell, order=60, prepare=_with_transit, classes="num")
add_column(StockLevel, "changed", _CHANGED, changed_cell, order=70, classes="time")

add_tab(StockLevel, "all", _("All"), lambda levels, request: levels, order=0)
add_tab(
    StockLevel,
    "oversold",
    _OVERSOLD,
    lambda levels, request: levels.filter(available__lt=0, is_counted=True),
    order=10,
)
add_tab(StockLevel, "uncounted", _("Never counted"), lambda levels, request: levels.filter(is_counted=False), order=20)

# The page of a level


def _deed_url(name: str) -> Any:
    def address(request: HttpRequest, level: StockLevel) -> str | None:
        if not request.user.has_perm(BOOK):
            return None
        return f"{url(name)}?{urlencode({'sku': level.sku_id, 'warehouse': level.warehouse_id})}"

    return address


def _facts(request: HttpRequest, level: StockLevel) -> dict[str, Any]:
    annotated = StockLevel.objects.filter(pk=level.pk).annotate(units=in_transit()).values_list("units", flat=True)
    return {"in_transit": annotated.first() or 0}


def _history(request: HttpRequest, level: StockLevel) -> dict[str, Any]:
    """The movements of the level, newest first, each with the sums that it left behind."""
    movements = StockMovement.objects.filter(sku=level.sku_id, warehouse=level.warehouse_id)
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        movements = movements.filter(pk__lt=before)
    else:
        before = ""
    related = movements.select_related("actor", "channel", "order_line__order", "transfer")
    rows: list[Any] = list(related.order_by("-pk")[: _MOVEMENTS_SHOWN + 1])
    older, rows = rows[_MOVEMENTS_SHOWN:], rows[:_MOVEMENTS_SHOWN]
    hide_foreign(rows, request)
    if rows:
        until = movements.filter(pk__lte=rows[0].pk)
        sums = until.aggregate(
            reserved=Sum("quantity", filter=Q(kind__in=StockMovement.RESERVING), default=0),
            all=Sum("quantity", default=0),
        )
        on_hand, reserved = sums["all"] - sums["reserved"], sums["reserved"]
        for movement in rows:
            movement.time, movement.change = time_cell(movement), units_cell(movement)
            movement.who, movement.why = who(movement), why(movement)
            movement.on_hand_after, movement.reserved_after = on_hand, reserved
            on_hand -= on_hand_part(movement)
            reserved -= reserved_part(movement)
    return {"rows": rows, "older": rows[-1].pk if older else None, "is_first": not before}


def _oversold_badge(request: HttpRequest, level: StockLevel) -> Badge | None:
    if not level.is_counted:
        return Badge("unknown", _("never counted"))
    return Badge("critical", _OVERSOLD) if level.available < 0 else None


add_badge("stock_level", _oversold_badge)
add_button("stock_level", _("Count…"), _deed_url("stock_count"), method="get", primary=True, order=10)
add_button("stock_level", _("Adjust…"), _deed_url("stock_adjust"), method="get", order=20)
add_button("stock_level", _("Receipt…"), _deed_url("stock_receipt"), method="get", order=30)
add_panel("stock_level", "admin/catalog/stock/level_facts.html", _facts, area="facts", order=10)
add_panel("stock_level", "admin/catalog/stock/level_history.html", _history, area="full", order=10)
add_menu_item(
    "sync", _("Stock levels"), "admin:catalog_stocklevel_changelist", permission="catalog.view_stocklevel", order=1
)
