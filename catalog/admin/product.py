"""Products, their SKUs with what they cost, and who supplies them."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog.admin.places import currency_choices
from catalog.admin.stock.bundles import BundleInline, save_components
from catalog.costs import sold_with
from catalog.models import Product, Sku, SkuCost, Supplier
from catalog.promotions.services import tell_listings
from catalog.stock.ledger import raise_versions
from config import formatting
from config.admin_site import add_column, add_menu_item, add_panel
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts

COST_FIELDS = ("cost_price", "cost_currency")
_ROWS_SHOWN = 100
_COSTS_SHOWN = 12


def may_see_cost(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("catalog.view_cost"))


@admin.register(Product)
class ProductAdmin(FrameModelAdmin):
    page = "product"
    in_site_search = True
    list_display = ()
    list_filter = ["brand"]
    search_fields = ["name", "brand", "skus__code"]
    search_help_text = _("Name, brand or SKU")
    list_line = _("What we sell, whichever channel shows it")
    empty_text = _("A product groups SKUs, for example the colours of one kettle.")
    fields = ["name", "brand"]

    def search_line(self, obj: Product) -> str:
        return obj.brand


@admin.register(Sku)
class SkuAdmin(FrameModelAdmin):
    page = "sku"
    in_site_search = True
    list_display = ()
    list_select_related = ["product", "supplier"]
    list_filter = ["status", "supplier"]
    search_fields = ["code", "name", "barcode", "product__name"]
    search_help_text = _("SKU, barcode or product")
    list_line = _("The items we count and buy")
    empty_text = _("A SKU is our code for one sellable item. Listings are mapped to it.")
    autocomplete_fields = ["product", "supplier"]
    fields = ["product", "code", "name", "barcode", "supplier", "status", "cost_price", "cost_currency"]
    ordering = ["code"]
    inlines = [BundleInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Sku]:
        return super().get_queryset(request).select_related("product", "supplier")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = list(super().get_fields(request, obj))
        return fields if may_see_cost(request) else [name for name in fields if name not in COST_FIELDS]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        shown = super().get_list_display(request)
        return [*shown, cost_cell] if may_see_cost(request) else shown

    def save_model(self, request: HttpRequest, obj: Sku, form: forms.ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and not {*COST_FIELDS}.isdisjoint(form.changed_data):
            tell_listings(sold_with([obj.pk]))
        if change and "status" in form.changed_data:
            raise_versions([obj.pk])  # what is not active is offered nowhere

    def save_formset(self, request: HttpRequest, form: forms.ModelForm, formset: Any, change: bool) -> None:
        save_components(request, formset, form.instance)

    def search_line(self, obj: Sku) -> str:
        return f"{obj.product} {obj.name}".strip()


@admin.display(description=_("lead time"), ordering="lead_time_days")
def lead_time_cell(supplier: Supplier) -> SafeString | str:
    if supplier.lead_time_days is None:
        return parts.unknown()
    return gettext("%(days)s d") % {"days": formatting.count(supplier.lead_time_days)}


lead_time_cell.__name__ = "lead num"


@admin.register(Supplier)
class SupplierAdmin(FrameModelAdmin):
    list_display = ["name", "contact", lead_time_cell]
    search_fields = ["name", "contact"]
    search_help_text = _("Name or contact")
    empty_text = _("A supplier is whom we buy a SKU from.")
    fields = [
        "name",
        "contact",
        "currency",
        "lead_time_days",
        "lead_time_spread_days",
        "review_days",
        "minimum_value",
        "note",
    ]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "currency":
            return forms.ChoiceField(
                label=capfirst(str(db_field.verbose_name)), choices=currency_choices(), initial=db_field.default
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)


# Columns


@admin.display(ordering="name")
def product_cell(product: Product) -> SafeString:
    return format_html("<strong>{}</strong>", product)


@admin.display(ordering="brand")
def brand_cell(product: Product) -> str:
    return product.brand or "—"


@admin.display(ordering="sku_count")
def sku_count_cell(product: Any) -> str:
    return formatting.count(product.sku_count)


def _with_sku_count(products: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    counted: QuerySet[Any] = products.annotate(sku_count=Count("skus", distinct=True))
    return counted


@admin.display(ordering="code")
def sku_cell(sku: Sku) -> SafeString:
    return format_html("<strong>{}</strong><small>{} {}</small>", sku.code, sku.product, sku.name)


def supplier_cell(sku: Sku) -> str:
    return str(sku.supplier or "—")


@admin.display(ordering="status")
def status_cell(sku: Sku) -> str:
    return sku.get_status_display()


@admin.display(description=_("cost price"), ordering="cost_price")
def cost_cell(sku: Sku) -> SafeString | str:
    return parts.unknown() if sku.cost_price is None else formatting.money(sku.cost_price, sku.cost_currency)


cost_cell.__name__ = "cost num"

add_column(Product, "name", _("product"), product_cell, order=10)
add_column(Product, "brand", _("brand"), brand_cell, order=20)
add_column(Product, "skus", _("SKUs"), sku_count_cell, order=30, prepare=_with_sku_count, classes="num")
add_column(Sku, "code", _("SKU"), sku_cell, order=10)
add_column(Sku, "supplier", _("supplier"), supplier_cell, order=20)
add_column(Sku, "status", _("status"), status_cell, order=30)

# Panels


def _skus(request: HttpRequest, product: Product) -> dict[str, Any]:
    skus = Sku.objects.visible_to(person(request)).filter(product=product).select_related("supplier").order_by("code")
    return {
        "skus": list(skus[:_ROWS_SHOWN]),
        "shows_cost": may_see_cost(request),
        "add_url": f"{reverse('admin:catalog_sku_add')}?product={product.pk}"
        if request.user.has_perm("catalog.add_sku")
        else None,
    }


def _sku_facts(request: HttpRequest, sku: Sku) -> dict[str, Any]:
    return {"shows_cost": may_see_cost(request)}


add_panel("product", "catalog/panels/skus.html", _skus, area="full", order=40)


def _costs(request: HttpRequest, sku: Sku) -> dict[str, Any] | None:
    """What it costs and will cost, the latest first."""
    if not request.user.has_perm("catalog.view_skucost"):
        return None
    rows = list(SkuCost.objects.filter(sku=sku).order_by("-valid_from")[:_COSTS_SHOWN])
    now = timezone.now()
    valid = next((row for row in rows if row.valid_from <= now), None)
    add = f"{reverse('admin:catalog_skucost_add')}?sku={sku.pk}"
    return {
        "costs": [(row, row == valid, row.valid_from > now) for row in rows],
        "add_url": add if request.user.has_perm("catalog.add_skucost") else "",
    }


add_panel("sku", "catalog/panels/sku_facts.html", _sku_facts, area="facts", order=10)
add_panel("sku", "catalog/panels/sku_costs.html", _costs, area="side", order=50)

add_menu_item(
    "settings", _("Products"), "admin:catalog_product_changelist", permission="catalog.view_product", order=20
)
add_menu_item("settings", _("SKUs"), "admin:catalog_sku_changelist", permission="catalog.view_sku", order=30)
add_menu_item(
    "settings", _("Suppliers"), "admin:catalog_supplier_changelist", permission="catalog.view_supplier", order=40
)
