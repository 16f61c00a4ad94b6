"""Orders of the channels: what they took from the stock, and what of them is not booked and why."""

from collections import defaultdict
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin import DateFieldListFilter
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.listing import VisibleRelatedFilter
from catalog.admin.stock.scope import on_hand_part, reserved_part
from catalog.models import LineCause, Order, OrderLine, Sku, StockMovement
from catalog.stock.booking import WAITING
from config import formatting
from config.admin_site import Badge, add_badge, add_column, add_menu_item, add_panel, add_tab
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts

# Why a line is not booked though nothing is wrong with it.
_ON_PURPOSE = (LineCause.TEST_ORDER, LineCause.BEFORE_SYNC, LineCause.GONE)


@admin.register(Order)
class OrderAdmin(ReadOnly, FrameModelAdmin):
    page = "order"
    in_site_search = True
    list_display = ()
    list_select_related = ["channel"]
    list_filter = [("channel", VisibleRelatedFilter), "status", ("ordered_at", DateFieldListFilter)]
    search_fields = ["platform_order_id", "lines__outer_id", "lines__platform_item_id"]
    search_help_text = _("Order number, merchant code or platform item id")
    list_line = _("Orders as the platforms told them last, and whether the stock knows of them")
    empty_title = _("No orders yet")
    empty_text = _("Orders are read from a channel once its stock is synced.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        return super().get_queryset(request).select_related("channel")

    def search_line(self, obj: Order) -> str:
        return f"{obj.channel} · {obj.get_status_display()}"


# Columns


@admin.display(ordering="platform_order_id")
def number_cell(order: Order) -> SafeString:
    return format_html("<strong>{}</strong><small>{} {}</small>", order, parts.mark(order.channel), order.channel)


@admin.display(ordering="status")
def status_cell(order: Order) -> str:
    return capfirst(order.get_status_display())


@admin.display(ordering="units")
def units_cell(order: Any) -> str:
    return formatting.count(order.units or 0)


def booked_cell(order: Any) -> SafeString | str:
    """The worst of its lines."""
    if order.waiting or order.doubtful:
        number = order.waiting + order.doubtful
        text = ngettext("%(number)s line to look at", "%(number)s lines to look at", number)
        return parts.badge("warning", text % {"number": formatting.count(number)})
    if order.left_out:
        return format_html('<span class="quiet">{}</span>', _("not booked on purpose"))
    return format_html('<span class="state ok">{}{}</span>', parts.icon("ok"), _("In step"))


@admin.display(ordering="ordered_at")
def ordered_cell(order: Order) -> SafeString | str:
    return parts.time_ago(order.ordered_at)


def _with_lines(orders: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    lines = OrderLine.objects.filter(order=OuterRef("pk")).order_by().values("order")

    def number(**condition: Any) -> Subquery:
        return Subquery(lines.annotate(number=Count("pk", filter=Q(**condition))).values("number"))

    annotated: QuerySet[Any] = orders.annotate(
        units=Subquery(lines.annotate(units=Sum("quantity")).values("units")),
        waiting=number(cause__in=WAITING),
        doubtful=number(cause__in=_DOUBTFUL),
        left_out=number(cause__in=_ON_PURPOSE),
    )
    return annotated


_DOUBTFUL = tuple(cause for cause in LineCause if cause not in (*WAITING, *_ON_PURPOSE))

add_column(Order, "number", _("order"), number_cell, order=10)
add_column(Order, "status", _("status"), status_cell, order=20)
add_column(Order, "units", _("units"), units_cell, order=30, prepare=_with_lines, classes="num")
add_column(Order, "booked", _("stock"), booked_cell, order=40)
add_column(Order, "ordered", _("ordered"), ordered_cell, order=50, classes="time")


def _with_cause(*causes: str) -> Any:
    def narrow(orders: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
        return orders.filter(Exists(OrderLine.objects.filter(order=OuterRef("pk"), cause__in=causes)))

    return narrow


add_tab(Order, "all", _("All"), lambda orders, request: orders, order=0)
add_tab(Order, "waiting", _("Waiting to be booked"), _with_cause(*WAITING), order=10)
add_tab(Order, "doubtful", _("To look at"), _with_cause(*_DOUBTFUL), order=20)

# The page of an order


def _lines(request: HttpRequest, order: Order) -> dict[str, Any]:
    """Each line with what is booked for it by SKU, and why something is not."""
    lines: list[Any] = list(order.lines.select_related("listing", "warehouse").order_by("pk"))
    booked: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    movements: dict[int, int] = defaultdict(int)
    for movement in StockMovement.objects.filter(order_line__order=order).order_by("pk"):
        sums = booked[movement.order_line_id or 0][movement.sku_id]
        sums[0] += reserved_part(movement)
        sums[1] -= on_hand_part(movement)
        movements[movement.order_line_id or 0] += 1
    named = {sku for of_line in booked.values() for sku in of_line}
    codes = dict(Sku.objects.visible_to(person(request)).filter(pk__in=named).values_list("pk", "code"))
    for line in lines:
        line.booked = [
            (sku_id if sku_id in codes else None, codes.get(sku_id, gettext("a SKU of another channel")), *sums)
            for sku_id, sums in booked[line.pk].items()
        ]
        line.cause_label = LineCause(line.cause).label if line.cause in LineCause.values else ""
        line.severity = "muted" if line.cause in _ON_PURPOSE else "warning"
        line.movement_count = movements[line.pk]
    return {"lines": lines}


def _facts(request: HttpRequest, order: Order) -> dict[str, Any]:
    units = order.lines.aggregate(units=Sum("quantity", default=0), returned=Sum("returned", default=0))
    return {**units, "delay": max(order.seen_at - order.ordered_at, timedelta(0))}


def _test_badge(request: HttpRequest, order: Order) -> Badge | None:
    return Badge("muted", _("Test order")) if order.is_test else None


def _waiting_badge(request: HttpRequest, order: Order) -> Badge | None:
    causes = set(order.lines.values_list("cause", flat=True))
    if causes.intersection(WAITING):
        return Badge("warning", _("Waiting to be booked"))
    return Badge("warning", _("To look at")) if causes.intersection(_DOUBTFUL) else None


add_badge("order", _test_badge)
add_badge("order", _waiting_badge)
add_panel("order", "admin/catalog/stock/order_facts.html", _facts, area="facts", order=10)
add_panel("order", "admin/catalog/stock/order_lines.html", _lines, area="full", order=10)
add_menu_item("sync", _("Orders"), "admin:catalog_order_changelist", permission="catalog.view_order", order=4)
