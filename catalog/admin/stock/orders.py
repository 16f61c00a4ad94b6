"""Orders of the channels: what they took from the stock, and what of them is not booked and why."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import DateFieldListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from catalog.admin.listing import VisibleRelatedFilter
from catalog.admin.stock.deeds import (
    KEY_LENGTH,
    Done,
    Shown,
    booking_page,
    capitalise_labels,
    reason_field,
    units_field,
    warehouse_field,
)
from catalog.admin.stock.scope import BOOK, on_hand_part, reserved_part, url
from catalog.models import LineCause, Order, OrderLine, Sku, StockMovement, User
from catalog.stock.booking import WAITING, book_set_aside
from catalog.stock.ledger import StockError
from catalog.stock.releasing import check_silent, release, reserved_units, silent_orders
from catalog.stock.returns import check_pieces, left_to_return, take_back
from config import formatting
from config.admin_site import Badge, add_badge, add_button, add_column, add_menu_item, add_panel, add_tab
from config.model_admin import FrameModelAdmin, ReadOnly, person
from config.templatetags import evenshelf as parts

# Why a line is not booked though nothing is wrong with it.
_ON_PURPOSE = (LineCause.TEST_ORDER, LineCause.BEFORE_SYNC, LineCause.GONE, LineCause.RELEASED)


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

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/return/", wrap(self.return_view), name="catalog_order_return"),
            path("<path:object_id>/release/", wrap(self.release_view), name="catalog_order_release"),
            path("<path:object_id>/book/", wrap(require_POST(self.book_view)), name="catalog_order_book_again"),
            *super().get_urls(),
        ]

    def return_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask what came back of an order."""
        order = self._found(request, object_id)
        return booking_page(
            request,
            lambda **values: ReturnForm(request=request, order=order, **values),
            permission=BOOK,
            back=self.address("change", order),
            back_label=str(order),
        )

    def release_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask why what an order reserves is released."""
        order = self._found(request, object_id)
        return booking_page(
            request,
            lambda **values: ReleaseForm(request=request, order=order, **values),
            permission=BOOK,
            back=self.address("change", order),
            back_label=str(order),
        )

    def book_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Try to book an order that is set aside."""
        if not request.user.has_perm(BOOK):
            raise PermissionDenied
        order = self._found(request, object_id)
        booked = book_set_aside(order_ids=[order.pk], now=timezone.now())
        if booked.set_aside:
            messages.warning(request, gettext("It still cannot be booked. The reason stands below."))
        else:
            messages.success(request, gettext("The order is booked."))
        return HttpResponseRedirect(self.address("change", order))

    def _found(self, request: HttpRequest, object_id: str) -> Order:
        order: Order | None = self.get_object(request, object_id)
        if order is None:
            raise Http404
        return order

    def search_line(self, obj: Order) -> str:
        return f"{obj.channel} · {obj.get_status_display()}"


class ReturnForm(forms.Form):
    """What came back of an order, by hand."""

    name = "return"
    title = _("Book a return")

    order_line = forms.ModelChoiceField(
        OrderLine.objects.none(),
        label=_("order line"),
        empty_label=None,
        error_messages={
            "required": _("Choose which line came back."),
            "invalid_choice": _("Choose a line of this order that was sold and did not come back yet."),
        },
    )
    units = units_field(_("came back"), least=1, help_text=_("Pieces of the line, as they were ordered."))
    warehouse = warehouse_field(_("to warehouse"))
    condition = forms.ChoiceField(
        label=_("condition"),
        choices=[("sellable", _("can be sold again")), ("unsellable", _("cannot be sold again: written off at once"))],
    )
    reason = forms.CharField(
        label=_("note"), max_length=200, required=False, widget=forms.TextInput(attrs={"class": "vTextField"})
    )

    def __init__(self, *args: Any, request: HttpRequest, order: Order, **kwargs: Any) -> None:
        lines = list(order.lines.select_related("order", "listing").order_by("pk"))
        sold = [line for line in lines if left_to_return(line)]
        initial = {"order_line": sold[0].pk, "warehouse": sold[0].warehouse_id} if sold else {}
        super().__init__(*args, **{**kwargs, "initial": {**initial, **kwargs.get("initial", {})}})
        capitalise_labels(self)
        self.order = order
        self.line = gettext("What came back of order %(order)s. The platform may tell of the same pieces later.") % {
            "order": order
        }
        field: Any = self.fields["order_line"]
        # Also what came back already, so that a second press of the button finds what the first one booked.
        booked = [line.pk for line in lines if line.components is not None]
        field.queryset = OrderLine.objects.filter(pk__in=booked).select_related("order", "listing")
        field.choices = [(line.pk, _line_choice(line)) for line in sold] or [("", gettext("nothing to come back"))]
        user = person(request)
        self._key = f"hand:{user.pk}:{self.name}:{self.data.get('key', '')[:KEY_LENGTH]}"

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        is_booked = StockMovement.objects.filter(key=self._key).exists()
        if data.get("order_line") and data.get("units") and not is_booked:
            try:
                check_pieces(data["order_line"], data["units"])
            except StockError as error:
                self.add_error("units", str(error))
        return data

    def shown(self) -> Shown:
        data = self.cleaned_data
        line, units = data["order_line"], data["units"]
        figures = {
            "units": formatting.count(units),
            "sold": formatting.count(line.quantity),
            "before": formatting.count(line.came_back),
            "warehouse": data["warehouse"],
        }
        sentence = gettext("Of %(sold)s sold, %(before)s came back before. %(units)s come back to %(warehouse)s.")
        if data["condition"] == "unsellable":
            sentence = gettext(
                "Of %(sold)s sold, %(before)s came back before. %(units)s come back to %(warehouse)s and are written "
                "off: what can be sold stays as it is."
            )
        mark = f"{line.pk}:{units}:{data['warehouse'].pk}:{data['condition']}:{line.came_back}"
        return Shown(sentence % figures, gettext("Book return of %(units)s") % figures, mark)

    def book(self, key: str, actor: User, now: datetime) -> Done:
        data = self.cleaned_data
        is_new = take_back(
            line_id=data["order_line"].pk,
            pieces=data["units"],
            warehouse_id=data["warehouse"].pk,
            is_sellable=data["condition"] == "sellable",
            key=key,
            reason=data["reason"].strip(),
            actor=actor,
            now=now,
        )
        text = gettext("Booked: %(units)s came back to %(warehouse)s.")
        if not is_new:
            text = gettext("This return was booked already and is not booked again.")
        figures = {"units": formatting.units(data["units"]), "warehouse": data["warehouse"]}
        return Done(text % figures, url("order_change", self.order.pk), is_new)


class ReleaseForm(forms.Form):
    """Why the units of an order that nobody hears of are released."""

    name = "release"
    title = _("Release what is reserved")

    reason = reason_field(required=True)

    def __init__(self, *args: Any, request: HttpRequest, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        capitalise_labels(self)
        self.order = order
        self.line = gettext("Look at order %(order)s in the shop first: it may have been deleted there.") % {
            "order": order
        }

    def clean(self) -> dict[str, Any]:
        try:
            check_silent(self.order, timezone.now())
        except StockError as error:
            raise forms.ValidationError(str(error)) from error
        return super().clean() or self.cleaned_data

    def shown(self) -> Shown:
        units = reserved_units(self.order)
        figures = {"units": formatting.count(units)}
        sentence = gettext(
            "%(units)s reserved can be sold again. Should the platform tell of the order, it is booked as it says."
        )
        figures_of_sentence = {"units": formatting.units(units)}
        return Shown(sentence % figures_of_sentence, gettext("Release %(units)s") % figures, str(units))

    def book(self, key: str, actor: User, now: datetime) -> Done:
        units = release(order_id=self.order.pk, reason=self.cleaned_data["reason"], actor=actor, now=now)
        text = gettext("Released: %(units)s can be sold again.") % {"units": formatting.units(units)}
        return Done(text, url("order_change", self.order.pk))


def _line_choice(line: OrderLine) -> str:
    left = ngettext("%(left)s of %(sold)s", "%(left)s of %(sold)s", line.quantity) % {
        "left": formatting.count(left_to_return(line)),
        "sold": formatting.count(line.quantity),
    }
    return f"{left} · {line.listing or line.platform_item_id}"


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
    """The worst of its lines, or that its news could not be booked at all."""
    if order.retry_at:
        return format_html(
            "{}<small>{}</small>", parts.badge("critical", _("Set aside")), parts.time_ago(order.set_aside_at)
        )
    if order.doubtful:
        text = ngettext("%(number)s line to look at", "%(number)s lines to look at", order.doubtful)
        return parts.badge("warning", text % {"number": formatting.count(order.doubtful)})
    if order.waiting:
        text = ngettext("%(count)s line waits", "%(count)s lines wait", order.waiting)
        return parts.badge("warning", text % {"count": formatting.count(order.waiting)})
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
add_tab(Order, "set-aside", _("Set aside"), lambda orders, request: orders.filter(retry_at__isnull=False), order=30)
add_tab(
    Order,
    "silent",
    _("Reserved for long"),
    lambda orders, request: orders.filter(pk__in=silent_orders(timezone.now()).values("pk")),
    order=40,
)

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


def _set_aside_badge(request: HttpRequest, order: Order) -> Badge | None:
    return Badge("critical", _("Set aside")) if order.retry_at else None


def _set_aside(request: HttpRequest, order: Order) -> dict[str, Any] | None:
    """Why its newest state is not booked, and when it is tried again."""
    return {"may_book": request.user.has_perm(BOOK)} if order.retry_at else None


def _return_url(request: HttpRequest, order: Order) -> str | None:
    if not request.user.has_perm(BOOK) or not any(map(left_to_return, order.lines.select_related("order"))):
        return None
    return url("order_return", order.pk)


def _release_url(request: HttpRequest, order: Order) -> str | None:
    if not request.user.has_perm(BOOK) or not silent_orders(timezone.now()).filter(pk=order.pk).exists():
        return None
    return url("order_release", order.pk)


def _silent_badge(request: HttpRequest, order: Order) -> Badge | None:
    is_silent = silent_orders(timezone.now()).filter(pk=order.pk).exists()
    return Badge("warning", _("Reserved for long")) if is_silent else None


add_badge("order", _set_aside_badge)
add_badge("order", _silent_badge)
add_badge("order", _test_badge)
add_badge("order", _waiting_badge)
add_panel("order", "admin/catalog/stock/order_facts.html", _facts, area="facts", order=10)
add_button("order", _("Return…"), _return_url, method="get", order=10)
add_button("order", _("Release…"), _release_url, method="get", order=20)
add_panel("order", "admin/catalog/stock/order_set_aside.html", _set_aside, area="full", order=5)
add_panel("order", "admin/catalog/stock/order_lines.html", _lines, area="full", order=10)
add_menu_item("sync", _("Orders"), "admin:catalog_order_changelist", permission="catalog.view_order", order=4)
