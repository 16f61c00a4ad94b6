"""What stock adds to the pages of SKUs, listings and channels."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from catalog.admin.stock.scope import BOOK, url
from catalog.models import BundleComponent, Channel, ChannelLocation, Listing, Sku, StockLevel, StockRule, Transfer
from catalog.stock.availability import bundle_available
from catalog.stock.explaining import explain
from catalog.stock.targets import stock_targets
from config import formatting
from config.admin_site import add_button, add_panel
from config.model_admin import person

RULE = ("catalog.add_stockrule", "catalog.change_stockrule", "catalog.delete_stockrule")
LOCATIONS = ("catalog.add_channellocation", "catalog.change_channellocation", "catalog.delete_channellocation")
_ROWS_SHOWN = 50


def _stock(request: HttpRequest, sku: Sku) -> dict[str, Any] | None:
    """The levels of a SKU; of a bundle, what its parts make."""
    if not request.user.has_perm("catalog.view_stocklevel"):
        return None
    parts = list(BundleComponent.objects.filter(bundle=sku).select_related("component"))
    levels = list(
        StockLevel.objects.filter(sku__in=[part.component_id for part in parts] or [sku.pk])
        .select_related("warehouse", "sku")
        .order_by("warehouse__position", "warehouse__code")
    )
    active = [level for level in levels if level.is_counted and level.warehouse.is_active]
    context: dict[str, Any] = {"parts": parts, "levels": [] if parts else levels}
    if parts:
        available = {part.component_id: _sum(active, part.component_id) for part in parts}
        for part in parts:
            part.available = available[part.component_id]  # type: ignore[attr-defined]
        context["available"] = bundle_available((available[part.component_id], part.units) for part in parts)
    else:
        context["available"] = _sum(active, sku.pk)
        context["transfers"] = list(
            Transfer.objects.filter(sku=sku, received_at__isnull=True).select_related("source", "destination")
        )
        context["bundles"] = _bundles(request, sku)[:_ROWS_SHOWN]
    return context


def _sum(levels: list[StockLevel], sku_id: int) -> int | None:
    """Units that the counted levels of active warehouses offer together; None: there is none of them."""
    units = [level.available for level in levels if level.sku_id == sku_id]
    return sum(units) if units else None


def _bundles(request: HttpRequest, sku: Sku) -> QuerySet[BundleComponent]:
    seen = Sku.objects.visible_to(person(request))
    return BundleComponent.objects.filter(component=sku, bundle__in=seen).select_related("bundle__product")


def _deed_url(name: str) -> Any:
    def address(request: HttpRequest, sku: Sku) -> str | None:
        if not request.user.has_perm(BOOK) or BundleComponent.objects.filter(bundle=sku).exists():
            return None
        return f"{url(name)}?{urlencode({'sku': sku.pk})}"

    return address


def _targets(request: HttpRequest, listing: Listing) -> dict[str, Any] | None:
    """What the listing is to show at each location, and how that comes about."""
    if not listing.is_own or listing.removed_at is not None or not request.user.has_perm("catalog.view_stocklevel"):
        return None
    rule = StockRule.objects.filter(listing=listing).first()
    return {
        "targets": [(each, explain(each.target)) for each in stock_targets(listing_ids=[listing.pk])],
        "rule": rule_text(rule),
        "rule_url": url("stock_listing_rule", listing.pk) if request.user.has_perms(RULE) else None,
    }


def _channel_rule(request: HttpRequest, channel: Channel) -> dict[str, Any] | None:
    if not request.user.has_perm("catalog.view_stockrule"):
        return None
    own = StockRule.objects.filter(listing__channel=channel).count()
    return {
        "rule": rule_text(StockRule.objects.filter(channel=channel).first()),
        "own": own,
        "locations": list(ChannelLocation.objects.filter(channel=channel).select_related("warehouse")),
        "rule_url": url("stock_channel_rule", channel.pk) if request.user.has_perms(RULE) else None,
        "locations_url": url("stock_channel_locations", channel.pk) if request.user.has_perms(LOCATIONS) else None,
    }


def rule_text(rule: StockRule | None) -> str:
    """What a rule says, in words; "" when it says nothing."""
    if rule is None:
        return ""
    told: list[str] = []
    if rule.is_paused is not None:
        told.append(str(_("paused") if rule.is_paused else _("not paused")))
    for value, text in (
        (rule.stop_at, _("sold out at %(figure)s")),
        (rule.buffer, _("buffer %(figure)s")),
        (rule.share_percent, _("share %(figure)s %%")),
        (rule.cap, _("at most %(figure)s")),
    ):
        if value is not None:
            told.append(str(text) % {"figure": formatting.count(value)})
    return formatting.joined(told)


add_panel("sku", "admin/catalog/stock/sku_stock.html", _stock, area="main", order=10)
add_button("sku", _("Count…"), _deed_url("stock_count"), method="get", order=20)
add_button("sku", _("Adjust…"), _deed_url("stock_adjust"), method="get", order=30)
add_panel("listing", "admin/catalog/stock/listing_target.html", _targets, area="side", order=30)
add_panel("channel", "admin/catalog/stock/channel_rule.html", _channel_rule, area="side", order=60)
