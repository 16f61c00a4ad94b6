"""What the sync adds to the pages of listings and SKUs: what each channel shows, and why it differs."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from catalog.models import Listing, Sku
from config.admin_site import add_panel
from config.model_admin import person
from integrations.syncing.admin.board import VIEW, set_targets
from integrations.syncing.admin.words import STATE_BADGES, not_written, told
from integrations.syncing.models import ListingSync

_ROWS_SHOWN = 50


def _rows(request: HttpRequest, rows: QuerySet[ListingSync]) -> list[Any]:
    shown = rows.visible_to(person(request)).select_related(  # type: ignore[attr-defined]
        "listing", "channel__credential", "channel__health", "channel__sync"
    )
    found: list[Any] = list(shown.order_by("channel__name", "listing", "location_id")[:_ROWS_SHOWN])
    for row in found:
        row.badge, row.text = STATE_BADGES[row.state], told(row, timezone.now())
    return found


def _of_listing(request: HttpRequest, listing: Listing) -> dict[str, Any] | None:
    """How the listing stands at each location of its shop; its target stands beside."""
    if not listing.is_own or not request.user.has_perm(VIEW):
        return None
    rows = _rows(request, ListingSync.objects.filter(listing=listing))
    silent = not_written(listing.channel)
    if not rows and listing.removed_at is not None:
        return None
    return {"rows": rows, "silent": silent, "now": timezone.now()}


def _of_sku(request: HttpRequest, sku: Sku) -> dict[str, Any] | None:
    """One line for each listing of the SKU that is synced: what it shows, and what it is to show."""
    if not request.user.has_perm(VIEW):
        return None
    rows = _rows(request, ListingSync.objects.filter(listing__sku=sku, listing__removed_at__isnull=True))
    if not rows:
        return None
    set_targets(rows)
    return {"rows": rows, "now": timezone.now()}


add_panel("listing", "admin/integrations/sync/listing_panel.html", _of_listing, area="side", order=31)
add_panel("sku", "admin/integrations/sync/sku_panel.html", _of_sku, area="main", order=15)
