"""One-click fixes of mappings, and how they are taken back: what one did stands in its audit event."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_noop

from catalog.models import AuditEvent, Listing, Sku, User
from catalog.services import map_listings

FIXED, UNDONE = gettext_noop("mapping fixed"), gettext_noop("mapping fix undone")
UNDONE_WITHIN = timedelta(days=7)
_SHOWN = 10


def fix(*, listing: Listing, sku_id: int, pack_factor: int | None, actor: User, now: datetime) -> bool:
    """Set the units per listing, or (None) take its SKU away; False when it no longer has the SKU that was shown."""
    with transaction.atomic():
        stored = Listing.objects.select_for_update().filter(pk=listing.pk, sku=sku_id, removed_at__isnull=True).first()
        if stored is None:
            return False
        return bool(
            map_listings(
                skus={stored.pk: None} if pack_factor is None else {},
                pack_factors={} if pack_factor is None else {stored.pk: pack_factor},
                actor=actor,
                now=now,
                action=FIXED,
            )
        )


def recent(user: User, now: datetime) -> list[tuple[AuditEvent, Listing]]:
    """The latest fixes that can be undone, with their listings, newest first; two queries."""
    events = AuditEvent.objects.visible_to(user).filter(
        action=FIXED, object_type="catalog.listing", at__gt=now - UNDONE_WITHIN
    )
    latest: dict[str, AuditEvent] = {}
    for event in events.select_related("actor").order_by("-at", "-pk")[: 3 * _SHOWN]:
        latest.setdefault(event.object_id, event)
    listings = (
        Listing.objects.visible_to(user).current().select_related("channel", "sku").in_bulk(list(map(int, latest)))
    )
    found = [(event, listings[int(pk)]) for pk, event in latest.items() if int(pk) in listings]
    return [(event, listing) for event, listing in found if _is_as_fixed(event, listing)][:_SHOWN]


def undo(*, event: AuditEvent, actor: User, now: datetime) -> bool:
    """Put back what the fix changed; False when the listing was changed since, or its SKU is gone."""
    with transaction.atomic():
        visible = Listing.objects.visible_to(actor).current().select_related("sku")
        listing = visible.select_for_update(of=("self",)).filter(pk=int(event.object_id)).first()
        if listing is None or not _is_as_fixed(event, listing):
            return False
        before = {name: pair[0] for name, pair in event.changes.items()}
        skus: dict[int, Sku | None] = {}
        if "sku" in before:
            skus[listing.pk] = Sku.objects.filter(code=before["sku"]).first()
            if skus[listing.pk] is None:
                return False
        packs = {listing.pk: int(before["pack_factor"])} if "pack_factor" in before else {}
        return bool(map_listings(skus=skus, pack_factors=packs, actor=actor, now=now, action=UNDONE))


def _is_as_fixed(event: AuditEvent, listing: Listing) -> bool:
    after: dict[str, Any] = {name: pair[1] for name, pair in event.changes.items()}
    present = {"sku": listing.sku.code if listing.sku else None, "pack_factor": listing.pack_factor}
    return bool(after) and all(present.get(name) == value for name, value in after.items())
