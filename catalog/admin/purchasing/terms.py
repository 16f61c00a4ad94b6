"""The terms on which suppliers sell our SKUs, and from whom each is bought."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from catalog.admin.product import may_see_cost
from catalog.admin.stock.scope import product_line
from catalog.models import SupplierSku
from catalog.purchasing.orders import save_terms
from config import formatting
from config.admin_site import add_column, add_menu_item, add_tab
from config.model_admin import FrameModelAdmin
from config.templatetags import evenshelf as parts


class TermsForm(forms.ModelForm):
    is_preferred = forms.BooleanField(
        label=_("We buy it here"),
        required=False,
        initial=True,
        help_text=_("A SKU is bought from one supplier; this takes the place of another one."),
    )

    class Meta:
        model = SupplierSku
        fields = ("supplier", "sku", "supplier_code", "unit_cost", "pack", "minimum")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["is_preferred"] = self.instance.sku.supplier_id == self.instance.supplier_id


@admin.register(SupplierSku)
class SupplierSkuAdmin(FrameModelAdmin):
    form = TermsForm
    list_display = ()
    list_filter = ["supplier"]
    search_fields = ["sku__code", "sku__product__name", "supplier__name", "supplier_code"]
    search_help_text = _("SKU, product, supplier or the supplier's code")
    list_line = _("What a supplier asks for a SKU, in which packs, and how many at least")
    empty_text = _("With terms an order knows its price, its packs and the least that can be ordered.")
    autocomplete_fields = ["supplier", "sku"]
    fields = ["supplier", "sku", "is_preferred", "supplier_code", "unit_cost", "pack", "minimum"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SupplierSku]:
        return super().get_queryset(request).select_related("supplier", "sku__product")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = list(super().get_fields(request, obj))
        return fields if may_see_cost(request) else [name for name in fields if name != "unit_cost"]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        shown = super().get_list_display(request)
        return [*shown, price_cell] if may_see_cost(request) else shown

    def save_model(self, request: HttpRequest, obj: SupplierSku, form: Any, change: bool) -> None:
        save_terms(obj, is_preferred=form.cleaned_data["is_preferred"])

    def construct_change_message(self, request: HttpRequest, form: forms.Form, formsets: Any, add: bool = False) -> Any:
        changes = super().construct_change_message(request, form, formsets, add)
        if "is_preferred" in changes:
            changes["We buy it here"] = changes.pop("is_preferred")  # as the log tells it
        return changes


@admin.display(ordering="sku__code")
def sku_cell(terms: SupplierSku) -> SafeString:
    return format_html("<strong>{}</strong><small>{}</small>", terms.sku.code, product_line(terms.sku))


@admin.display(ordering="supplier__name")
def supplier_cell(terms: SupplierSku) -> SafeString:
    return format_html("{}<small>{}</small>", terms.supplier, terms.supplier_code)


def preferred_cell(terms: SupplierSku) -> SafeString:
    if terms.sku.supplier_id == terms.supplier_id:
        return format_html('<span class="state ok">{}{}</span>', parts.icon("ok"), _("bought here"))
    return parts.none(_("none"))


@admin.display(ordering="pack")
def pack_cell(terms: SupplierSku) -> str:
    return formatting.count(terms.pack)


@admin.display(ordering="minimum")
def minimum_cell(terms: SupplierSku) -> str:
    return formatting.count(terms.minimum)


@admin.display(description=_("price per unit"), ordering="unit_cost")
def price_cell(terms: SupplierSku) -> SafeString | str:
    if terms.unit_cost is None:
        return parts.unknown()
    return formatting.money(terms.unit_cost, terms.supplier.currency)


price_cell.__name__ = "price num"

add_column(SupplierSku, "sku", _("SKU"), sku_cell, order=10)
add_column(SupplierSku, "supplier", _("supplier"), supplier_cell, order=20)
add_column(SupplierSku, "preferred", _("We buy it here"), preferred_cell, order=30)
add_column(SupplierSku, "pack", _("pack"), pack_cell, order=40, classes="num")
add_column(SupplierSku, "minimum", _("minimum order"), minimum_cell, order=50, classes="num")
add_tab(SupplierSku, "all", _("All"), lambda rows, request: rows, order=0)
add_tab(
    SupplierSku,
    "price",
    _("Price not known"),
    lambda rows, request: rows.filter(unit_cost__isnull=True),
    order=10,
)
add_menu_item(
    "plan",
    _("Terms of suppliers"),
    "admin:catalog_suppliersku_changelist",
    permission="catalog.view_suppliersku",
    order=80,
)
