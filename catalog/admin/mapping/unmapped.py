"""Own listings without a SKU, those first that sell most."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from catalog.admin import listing as listings
from catalog.admin.listing import VisibleRelatedFilter
from catalog.admin.mapping.columns import sales_cell
from catalog.admin.mapping.proposals import MOST_SOLD_FIRST
from catalog.admin.mapping.shops import shop_reads
from catalog.models import ShopRead, UnmappedListing
from config.admin_site import add_column, add_menu_item
from config.model_admin import FrameModelAdmin, ReadOnly
from config.templatetags import evenshelf as parts


@admin.register(UnmappedListing)
class UnmappedListingAdmin(ReadOnly, FrameModelAdmin):
    list_display = ()
    list_select_related = ["channel", "sku", "sales"]
    list_filter = [("channel", VisibleRelatedFilter), "shelf_state"]
    search_fields = ["title", "platform_item_id", "platform_sku_id", "outer_id"]
    search_help_text = _("Title, merchant code or platform id")
    list_line = _("Own listings without a SKU, the most sold first")
    empty_title = _("Every own listing is mapped")
    ordering = [MOST_SOLD_FIRST, "-pk"]
    change_list_template = "admin/catalog/proposal/change_list.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("catalog.view_listing")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {**shop_reads(request, ShopRead.Kind.SALES), **(extra_context or {})}
        return super().changelist_view(request, context)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:catalog_listing_change", args=[object_id]))


@admin.display(ordering="outer_id")
def code_cell(listing: UnmappedListing) -> SafeString:
    """The merchant code: what tells variants of one title apart."""
    if not listing.outer_id:
        return parts.none(_("none"))
    return format_html('<span class="whole">{}</span>', listing.outer_id)


add_column(UnmappedListing, "name", _("listing"), listings.name_cell, order=10)
add_column(UnmappedListing, "code", _("merchant code"), code_cell, order=15)
add_column(UnmappedListing, "sales", _("sold in 30 days"), sales_cell, order=20, classes="num")
add_column(UnmappedListing, "live_price", _("live price"), listings.live_price_cell, order=30, classes="num")
add_column(UnmappedListing, "stock", _("stock"), listings.stock_cell, order=40, classes="num")
add_column(UnmappedListing, "shelf", _("shelf"), listings.shelf_cell, order=50)

add_menu_item(
    "sync", _("Unmapped"), "admin:catalog_unmappedlisting_changelist", permission="catalog.view_listing", order=25
)
