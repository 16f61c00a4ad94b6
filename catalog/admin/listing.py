"""Listings: one list for own and competitors', its saved views, and the page of one listing."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin, RelatedFieldListFilter, SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from catalog.models import Listing, Product
from catalog.models.channel import ids_in_address
from catalog.services import remove_listings, restore_listings, tell_listings_changed
from config import formatting
from config.admin_site import Badge, add_action, add_badge, add_button, add_column, add_menu_item, add_tab
from config.change_list import TAB_VAR
from config.model_admin import FrameModelAdmin, person
from config.templatetags import evenshelf as parts

_BRANDS_SHOWN = 60


class ListingForm(forms.ModelForm):
    class Meta:
        model = Listing
        fields = [
            "channel",
            "platform_item_id",
            "platform_sku_id",
            "title",
            "ownership",
            "sku",
            "pack_factor",
            "outer_id",
        ]

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(_with_ids_of_address(data), *args, **kwargs)
        if field := self.fields.get("platform_item_id"):  # not there once the listing was read
            del field.widget.attrs["maxlength"]  # the browser would cut a pasted address
            field.help_text = _("Or paste the address of the item's page: its ids are taken from it.")

    def clean(self) -> dict[str, Any]:
        """Says of a taken identity where it is; a removed listing is to be restored, not added again."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        channel, item_id = cleaned.get("channel"), cleaned.get("platform_item_id")
        if channel and item_id:
            same = Listing.objects.filter(
                channel=channel, platform_item_id=item_id, platform_sku_id=cleaned.get("platform_sku_id") or ""
            ).exclude(pk=self.instance.pk)
            if taken := same.first():
                self.add_error("platform_item_id", _taken_message(taken))
        return cleaned


def _with_ids_of_address(data: Any) -> Any:
    """Puts the ids into a posted form where the item's address was pasted; a variant's id that was typed stays."""
    found = ids_in_address(data.get("platform_item_id", "").strip()) if data else None
    if found is None:
        return data
    item_id, sku_id = found
    typed = data.get("platform_sku_id", "").strip()
    return {**data.dict(), "platform_item_id": item_id, "platform_sku_id": typed or sku_id}


def _taken_message(taken: Listing) -> SafeString:
    url = reverse("admin:catalog_listing_change", args=[taken.pk])
    if taken.removed_at is None:
        return format_html(
            '{} <a href="{}">{}</a>', gettext("This item and variant is already a listing of the channel:"), url, taken
        )
    sentence = gettext("This item and variant was removed on %(day)s; its history is kept.") % {
        "day": formatting.iso_moment(taken.removed_at)[:10]
    }
    return format_html('{} <a href="{}">{}</a>', sentence, url, gettext("Open it to restore it"))


class VisibleRelatedFilter(RelatedFieldListFilter):
    """Offers only what the person may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, Any]]:
        choices = field.remote_field.model._default_manager.visible_to(person(request))
        return [(each.pk, str(each)) for each in choices]


class BrandFilter(SimpleListFilter):
    title = _("brand")
    parameter_name = "brand"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        brands = Product.objects.visible_to(person(request)).exclude(brand="").order_by("brand")
        return [(brand, brand) for brand in brands.values_list("brand", flat=True).distinct()[:_BRANDS_SHOWN]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(sku__product__brand=self.value()) if self.value() else queryset


class MappedFilter(SimpleListFilter):
    title = _("mapping")
    parameter_name = "mapped"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        return [("yes", gettext("mapped to a SKU")), ("no", gettext("not mapped"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(sku__isnull=self.value() == "no")
        return queryset


@admin.register(Listing)
class ListingAdmin(FrameModelAdmin):
    page = "listing"
    in_site_search = True
    form = ListingForm
    list_display = ()
    list_select_related = ["channel", "sku"]
    list_filter = [("channel", VisibleRelatedFilter), "shelf_state", "ownership", BrandFilter, MappedFilter]
    search_fields = ["title", "platform_item_id", "platform_sku_id", "outer_id", "sku__code", "sku__product__name"]
    search_help_text = _("Title, SKU or platform id")
    list_line = _("Own and competitors’ listings")
    empty_text = _("A listing is one item and variant on one channel. It is read as soon as it is added.")
    ordering = ["-pk"]
    autocomplete_fields = ["channel", "sku"]
    fieldsets = [
        (None, {"fields": ["channel", "platform_item_id", "platform_sku_id", "ownership", "sku"]}),
        (_("More"), {"fields": ["title", "pack_factor", "outer_id"], "classes": ["collapse"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Listing]:
        return super().get_queryset(request).select_related("channel", "sku")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its history would go with it; a listing is removed, and can come back

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Among the removed ones the only thing to do is to restore; elsewhere there is nothing to restore."""
        found = super().get_actions(request)
        is_removed_tab = request.GET.get(TAB_VAR) == "removed"
        return {name: action for name, action in found.items() if (name == "restore") == is_removed_tab}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """As Django does it, and by both ids as pages show them: 6000/6001."""
        found, has_duplicates = super().get_search_results(request, queryset, search_term)
        item_id, slash, sku_id = search_term.strip().partition("/")
        if slash:
            by_ids = {"platform_item_id": item_id.strip(), "platform_sku_id": sku_id.strip()}
            found |= queryset.filter(**by_ids)
        return found, has_duplicates

    def search_line(self, obj: Listing) -> str:
        return " · ".join(dict.fromkeys([_shop(obj), obj.variant, obj.platform_id]))

    def choice_text(self, obj: Listing) -> str:
        return f"{obj} · {self.search_line(obj)}"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return Listing.IDENTITY if obj is not None and obj.was_read else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None and obj.was_read:
            kwargs["help_texts"] = {
                "platform_sku_id": _(
                    "Channel and ids stay, because its history belongs to them. To watch another item, remove this "
                    "listing and add a new one."
                )
            }
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Listing, form: forms.ModelForm, change: bool) -> None:
        # Only what was edited: a reading may have been stored since the form was loaded.
        fields = [*form.changed_data, "updated_at"] if form.changed_data else []
        if change and not {"sku", "ownership"}.isdisjoint(fields):
            obj.mapped_at = timezone.now()
            fields.append("mapped_at")
        obj.save(update_fields=fields if change else None)
        tell_listings_changed([obj.pk])

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        listing = context.get("original")
        if listing and listing.removed_at is None and self.has_change_permission(request, listing):
            context["remove_url"] = self.address("remove", listing)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(f"<path:object_id>/{verb}/", self.admin_site.admin_view(view), name=f"catalog_listing_{verb}")
            for verb, view in (("remove", self.remove_view), ("restore", self.restore_view))
        ]
        return own + super().get_urls()

    def remove_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._answer(request, object_id, remove)

    def restore_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._answer(request, object_id, restore)

    def _answer(self, request: HttpRequest, object_id: str, action: Any) -> HttpResponse:
        """Do to one listing what a bulk action does to many, and show its page again."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        listing = self.get_object(request, object_id)
        if listing is None:
            raise Http404
        if not self.has_change_permission(request, listing):
            raise PermissionDenied
        action(self, request, self.get_queryset(request).filter(pk=listing.pk))
        return HttpResponseRedirect(self.address("change", listing))


def remove(model_admin: ModelAdmin, request: HttpRequest, listings: QuerySet[Listing]) -> None:
    count = remove_listings(listings=listings, actor=person(request), now=timezone.now())
    text = ngettext("Removed %d listing; its history is kept.", "Removed %d listings; their history is kept.", count)
    model_admin.message_user(request, text % count, messages.SUCCESS)


def restore(model_admin: ModelAdmin, request: HttpRequest, listings: QuerySet[Listing]) -> None:
    count = restore_listings(listings=listings, actor=person(request), now=timezone.now())
    text = ngettext("Restored %d listing; it is read again.", "Restored %d listings; they are read again.", count)
    model_admin.message_user(request, text % count, messages.SUCCESS)


# Columns


def _shop(listing: Listing) -> str:
    """The channel, and that the listing is a competitor's where it is."""
    return str(listing.channel) if listing.is_own else f"{listing.channel} · {gettext('competitor')}"


@admin.display(ordering="title")
def name_cell(listing: Listing) -> SafeString:
    """Title; below it the platform, the shop, whose it is, and which variant."""
    return format_html(
        '<strong title="{}">{}</strong><small>{} {} · {}</small>',
        listing,
        listing,
        parts.mark(listing.channel),
        _shop(listing),
        listing.variant,
    )


def _money_cell(listing: Listing, amount: Decimal | None) -> SafeString | str:
    return _unknown(listing) if amount is None else formatting.money(amount, listing.channel.currency)


@admin.display(ordering="list_price")
def list_price_cell(listing: Listing) -> SafeString | str:
    return _money_cell(listing, listing.list_price)


@admin.display(ordering="live_price")
def live_price_cell(listing: Listing) -> SafeString | str:
    return _money_cell(listing, listing.live_price)


@admin.display(ordering="stock")
def stock_cell(listing: Listing) -> SafeString | str:
    return _unknown(listing) if listing.stock is None else stock_text(listing)


def stock_text(listing: Listing) -> SafeString | str:
    """The stock as the shop counts it; below it the units, for packs."""
    shown = formatting.count(listing.stock)
    return shown if listing.pack_factor == 1 else format_html("{}<small>{}</small>", shown, parts.packed(listing))


@admin.display(ordering="shelf_state")
def shelf_cell(listing: Listing) -> SafeString:
    return parts.shelf(listing)


def _unknown(listing: Listing) -> SafeString:
    return parts.unknown(_("not read yet") if listing.observed_at is None else _("not supplied"))


def _label(field: str) -> Any:
    return Listing._meta.get_field(field).verbose_name  # type: ignore[union-attr]


add_column(Listing, "name", _("listing"), name_cell, order=10)
add_column(Listing, "list_price", _label("list_price"), list_price_cell, order=20, classes="num")
add_column(Listing, "live_price", _label("live_price"), live_price_cell, order=30, classes="num")
add_column(Listing, "stock", _label("stock"), stock_cell, order=40, classes="num")
add_column(Listing, "shelf", _("shelf"), shelf_cell, order=60)

# Saved views, actions, buttons


def _current(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return listings.filter(removed_at__isnull=True)


def _unmapped(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """Own ones, as on the page where they are worked off: nobody has to say what a competitor's sells."""
    return _current(listings, request).filter(sku__isnull=True, ownership=Listing.Ownership.OWN)


def _competitors(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return _current(listings, request).filter(ownership=Listing.Ownership.COMPETITOR)


def _removed(listings: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    return listings.filter(removed_at__isnull=False)


add_tab(Listing, "all", _("All"), _current, order=0)
add_tab(Listing, "unmapped", _("Unmapped"), _unmapped, order=30)
add_tab(Listing, "competitors", _("Competitors"), _competitors, order=60)
add_tab(Listing, "removed", _("Removed"), _removed, order=90)

add_action(Listing, "remove", _("Remove"), remove, permission="catalog.change_listing", order=80)
add_action(Listing, "restore", _("Restore"), restore, permission="catalog.change_listing", order=85)


def _restore_url(request: HttpRequest, listing: Listing) -> str | None:
    if listing.removed_at is None or not request.user.has_perm("catalog.change_listing"):
        return None
    return reverse("admin:catalog_listing_restore", args=[listing.pk])


def _removed_badge(request: HttpRequest, listing: Listing) -> Badge | None:
    return Badge("muted", _("Removed")) if listing.removed_at else None


add_button("listing", _("Restore"), _restore_url, primary=True, order=10)
add_badge("listing", _removed_badge)
add_menu_item("watch", _("Listings"), "admin:catalog_listing_changelist", permission="catalog.view_listing", order=20)
