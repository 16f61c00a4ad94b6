"""Purchase orders: written, sent, received in parts, cancelled."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied
from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.product import may_see_cost
from catalog.admin.purchasing.deeds import (
    CancelOrderForm,
    ReceiveOrderForm,
    SendOrderForm,
    day_field,
    least_value,
    order_value,
    start_of,
)
from catalog.admin.stock.deeds import booking_page
from catalog.admin.stock.scope import BOOK, url
from catalog.models import PurchaseOrder, PurchaseOrderLine, PurchaseReceipt, Sku
from catalog.purchasing.orders import fill_prices, lines_text
from config import formatting
from config.admin_site import Badge, add_badge, add_button, add_column, add_menu_item, add_panel, add_tab
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts

CHANGE = "catalog.change_purchaseorder"
# What is expected on a day may come until its end.
_A_DAY = timedelta(days=1)


class OrderForm(forms.ModelForm):
    expected_on = day_field(_("Empty: after the lead time, from when it is sent."))

    class Meta:
        model = PurchaseOrder
        fields = ("supplier", "warehouse", "number", "note")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.expected_at:
            self.initial["expected_on"] = timezone.localdate(self.instance.expected_at)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "expected_on" in self.changed_data:
            self.instance.expected_at = start_of(cleaned.get("expected_on"))
        return cleaned


class LineInline(admin.StackedInline):
    """What is ordered; whoever may write the order may write its lines."""

    model = PurchaseOrderLine
    fields = ["sku", "quantity", "unit_cost"]
    autocomplete_fields = ["sku"]
    extra = 0
    verbose_name = _("line")
    verbose_name_plural = _("What is ordered")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PurchaseOrderLine]:
        return super().get_queryset(request).select_related("sku__product")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = list(super().get_fields(request, obj))
        return fields if may_see_cost(request) else [name for name in fields if name != "unit_cost"]

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 1 if obj is None else 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("catalog.view_purchaseorder")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(CHANGE if obj else "catalog.add_purchaseorder")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(CHANGE)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(CHANGE)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Beside a choice stands only "add", as on every form."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget.can_change_related = field.widget.can_delete_related = field.widget.can_view_related = False
        return field

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet[Any] | None:
        if db_field.name != "sku":
            return super().get_field_queryset(db, db_field, request)
        return Sku.objects.visible_to(person(request)).select_related("product")


@admin.register(PurchaseOrder)
class PurchaseOrderAdmin(FrameModelAdmin):
    form = OrderForm
    page = "purchase_order"
    in_site_search = True
    list_display = ()
    list_select_related = ["supplier", "warehouse"]
    list_filter = ["supplier", "warehouse", "status"]
    search_fields = ["number", "note", "supplier__name", "lines__sku__code"]
    search_help_text = _("Number, supplier, SKU or note")
    list_line = _("What was ordered from suppliers, and what of it has arrived")
    empty_title = _("No purchase orders yet")
    empty_text = _("An order counts as on its way from the moment it is sent, and is booked as it arrives.")
    fields = ["supplier", "warehouse", "number", "expected_on", "note"]
    inlines = [LineInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[PurchaseOrder]:
        return super().get_queryset(request).select_related("supplier", "warehouse", "created_by")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.is_draft)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # One that was sent is cancelled instead, and stays.
        return super().has_delete_permission(request, obj) and obj is not None and obj.is_draft

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        shown = super().get_list_display(request)
        return [*shown, value_cell] if may_see_cost(request) else shown

    def search_line(self, obj: PurchaseOrder) -> str:
        return f"{obj.supplier} · {obj.get_status_display()}"

    # Writing a draft

    def save_model(self, request: HttpRequest, obj: PurchaseOrder, form: Any, change: bool) -> None:
        if change:
            # Somebody may have sent it since the form was opened.
            stored = PurchaseOrder.objects.select_for_update(no_key=True).get(pk=obj.pk)
            if not stored.is_draft:
                raise PermissionDenied
            form.lines_before = lines_text(stored)
        else:
            obj.created_by = person(request)
        obj.currency = obj.supplier.currency
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        fill_prices(form.instance)
        form.lines_after = lines_text(form.instance)

    def construct_change_message(self, request: HttpRequest, form: forms.Form, formsets: Any, add: bool = False) -> Any:
        changes = super().construct_change_message(request, form, formsets, add)
        if "expected_on" in changes:
            changes["expected_at"] = changes.pop("expected_on")
        before, after = getattr(form, "lines_before", ""), getattr(form, "lines_after", "")
        return changes if before == after else {**changes, "lines": [before, after]}

    # Deeds

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/send/", wrap(self.send_view), name="catalog_purchaseorder_send"),
            path("<path:object_id>/receive/", wrap(self.receive_view), name="catalog_purchaseorder_receive"),
            path("<path:object_id>/cancel/", wrap(self.cancel_view), name="catalog_purchaseorder_cancel"),
            *super().get_urls(),
        ]

    def send_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask when it is expected, and count it as on its way."""
        return self._deed(request, object_id, SendOrderForm, CHANGE)

    def receive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask what arrived of it."""
        return self._deed(request, object_id, ReceiveOrderForm, BOOK)

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask why nothing more is to come."""
        return self._deed(request, object_id, CancelOrderForm, CHANGE)

    def _deed(self, request: HttpRequest, object_id: str, form: Any, permission: str) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        order: PurchaseOrder | None = self.get_object(request, object_id)
        if order is None:
            raise Http404
        return booking_page(
            request,
            lambda **values: form(request=request, order=order, **values),
            permission=permission,
            back=self.address("change", order),
            back_label=str(order),
        )


# Columns


@admin.display(ordering="number")
def number_cell(order: PurchaseOrder) -> SafeString:
    return format_html("<strong>{}</strong><small>{}</small>", order, order.note)


@admin.display(ordering="supplier__name")
def supplier_cell(order: PurchaseOrder) -> SafeString:
    return format_html("{}<small>→ {}</small>", order.supplier, order.warehouse)


def units_cell(order: Any) -> SafeString:
    arrived = gettext("%(units)s arrived") % {"units": formatting.count(order.arrived or 0)}
    return format_html("{}<small>{}</small>", formatting.count(order.ordered or 0), arrived)


@admin.display(ordering="expected_at")
def expected_cell(order: PurchaseOrder) -> SafeString | str:
    if order.expected_at is None:
        return parts.unknown(_("nobody said when"))
    return formatting.day(order.expected_at, timezone.now())


@admin.display(ordering="status")
def status_cell(order: PurchaseOrder) -> SafeString:
    badge = _state(order)
    return parts.badge(badge.severity, badge.text)


@admin.display(description=_("value"))
def value_cell(order: Any) -> SafeString | str:
    if order.without_price or order.value is None:
        return parts.unknown(_("a price is missing") if order.without_price else "")
    return formatting.money(order.value, order.currency)


value_cell.__name__ = "value num"


def _with_sums(orders: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    lines = PurchaseOrderLine.objects.filter(order=OuterRef("pk")).order_by().values("order")
    annotated: QuerySet[Any] = orders.annotate(
        ordered=Subquery(lines.annotate(sum=Sum("quantity")).values("sum")),
        arrived=Subquery(lines.annotate(sum=Sum("received")).values("sum")),
        value=Subquery(lines.annotate(sum=Sum(F("quantity") * F("unit_cost"))).values("sum")),
        without_price=Subquery(lines.filter(unit_cost__isnull=True).annotate(sum=Sum("quantity")).values("sum")),
    )
    return annotated


def _is_overdue(order: PurchaseOrder) -> bool:
    return order.is_on_the_way and order.expected_at is not None and order.expected_at + _A_DAY < timezone.now()


def _state(order: PurchaseOrder) -> Badge:
    if _is_overdue(order):
        return Badge("warning", _("Overdue"))
    severity: Any = {
        PurchaseOrder.Status.DRAFT: "muted",
        PurchaseOrder.Status.RECEIVED: "ok",
        PurchaseOrder.Status.CANCELLED: "muted",
    }.get(PurchaseOrder.Status(order.status), "info")
    return Badge(severity, capfirst(str(order.get_status_display())))


add_column(PurchaseOrder, "number", _("number"), number_cell, order=10)
add_column(PurchaseOrder, "supplier", _("supplier"), supplier_cell, order=20)
add_column(PurchaseOrder, "units", _("units"), units_cell, order=30, prepare=_with_sums, classes="num")
add_column(PurchaseOrder, "expected", _("expected"), expected_cell, order=40)
add_column(PurchaseOrder, "status", _("status"), status_cell, order=50)

_ON_THE_WAY = Q(status__in=PurchaseOrder.ON_THE_WAY)
_OPEN = _ON_THE_WAY | Q(status=PurchaseOrder.Status.DRAFT)

add_tab(PurchaseOrder, "open", _("Open"), lambda rows, request: rows.filter(_OPEN), order=0)
add_tab(
    PurchaseOrder, "drafts", _("Drafts"), lambda rows, request: rows.filter(status=PurchaseOrder.Status.DRAFT), order=10
)
add_tab(PurchaseOrder, "way", _("On their way"), lambda rows, request: rows.filter(_ON_THE_WAY), order=20)
add_tab(
    PurchaseOrder,
    "overdue",
    _("Overdue"),
    lambda rows, request: rows.filter(_ON_THE_WAY, expected_at__lt=timezone.now() - _A_DAY),
    order=30,
)
add_tab(PurchaseOrder, "closed", _("Closed"), lambda rows, request: rows.exclude(_OPEN), order=40)


# The page of an order


def _send_url(request: HttpRequest, order: PurchaseOrder) -> str | None:
    return url("purchaseorder_send", order.pk) if order.is_draft and request.user.has_perm(CHANGE) else None


def _receive_url(request: HttpRequest, order: PurchaseOrder) -> str | None:
    return url("purchaseorder_receive", order.pk) if order.is_on_the_way and request.user.has_perm(BOOK) else None


def _cancel_url(request: HttpRequest, order: PurchaseOrder) -> str | None:
    is_open = order.is_draft or order.is_on_the_way
    return url("purchaseorder_cancel", order.pk) if is_open and request.user.has_perm(CHANGE) else None


def _lines(order: PurchaseOrder) -> list[PurchaseOrderLine]:
    """Read once for all panels of the page."""
    if not hasattr(order, "evenshelf_lines"):
        order.evenshelf_lines = list(order.lines.select_related("sku__product"))  # type: ignore[attr-defined]
    lines: list[PurchaseOrderLine] = order.evenshelf_lines  # type: ignore[attr-defined]
    return lines


def _facts(request: HttpRequest, order: PurchaseOrder) -> dict[str, Any]:
    lines = _lines(order)
    value, least = order_value(lines), least_value(order)
    return {
        "ordered": sum(line.quantity for line in lines),
        "arrived": sum(line.received for line in lines),
        "outstanding": sum(line.outstanding for line in lines) if order.is_on_the_way else 0,
        "shows_cost": may_see_cost(request),
        "value": value,
        "least": least,
        "missing": least - value if value is not None and least is not None and value < least else None,
        "expected": formatting.day(order.expected_at, timezone.now()),
        "is_overdue": _is_overdue(order),
    }


def _line_rows(request: HttpRequest, order: PurchaseOrder) -> dict[str, Any]:
    return {"lines": _lines(order), "shows_cost": may_see_cost(request)}


def _receipts(request: HttpRequest, order: PurchaseOrder) -> dict[str, Any] | None:
    receipts = PurchaseReceipt.objects.filter(order=order).select_related("received_by")
    found = list(receipts.prefetch_related("lines__line__sku"))
    return {"receipts": found} if found else None


add_badge("purchase_order", lambda request, order: _state(order))
add_button("purchase_order", _("Send…"), _send_url, method="get", primary=True, order=10)
add_button("purchase_order", _("Receive…"), _receive_url, method="get", primary=True, order=10)
add_button("purchase_order", _("Cancel…"), _cancel_url, method="get", order=30)
add_panel("purchase_order", "admin/catalog/purchasing/order_facts.html", _facts, area="facts", order=10)
add_panel("purchase_order", "admin/catalog/purchasing/order_lines.html", _line_rows, area="main", order=10)
add_panel("purchase_order", "admin/catalog/purchasing/order_receipts.html", _receipts, area="side", order=10)

add_menu_item(
    "plan",
    _("Purchase orders"),
    "admin:catalog_purchaseorder_changelist",
    permission="catalog.view_purchaseorder",
    order=70,
)
