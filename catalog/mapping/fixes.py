"""One-click fixes of mappings, and how mappings are taken back: what a deed did stands in its audit events."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils.translation import gettext_noop

from catalog.models import AuditEvent, Listing, Sku, User
from catalog.services import map_listings

FIXED, UNDONE = gettext_noop("mapping fixed"), gettext_noop("mapping fix undone")
UNDONE_WITHIN = timedelta(days=7)
_SHOWN = 10
_LISTING = "catalog.listing"
_AT_ONCE = 500


def fix(
    *, listing: Listing, sku_id: int, shown_pack_factor: int, pack_factor: int | None, actor: User, now: datetime
) -> bool:
    """Set the units per listing, or (None) take its SKU away; False when its SKU or its units are no longer those that
    were shown."""
    with transaction.atomic():
        rows = Listing.objects.current().filter(pk=listing.pk, sku=sku_id, pack_factor=shown_pack_factor)
        stored = rows.select_for_update().first()
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
    """The latest fixes that can be undone, with their listings, newest first; a few queries."""
    events = AuditEvent.objects.visible_to(user).filter(action=FIXED, object_type=_LISTING, at__gt=now - UNDONE_WITHIN)
    latest: dict[str, AuditEvent] = {}
    for event in events.select_related("actor").order_by("-at", "-pk")[: 3 * _SHOWN]:
        latest.setdefault(event.object_id, event)
    shown = list(latest.values())
    listings = _in_bulk(Listing.objects.visible_to(user).current().select_related("channel"), shown)
    later = _changed_later(shown)
    found = [(event, listings[int(event.object_id)]) for event in shown if int(event.object_id) in listings]
    return [(event, listing) for event, listing in found if _is_as_left(event, listing, later)][:_SHOWN]


def undo(*, events: Sequence[AuditEvent], actor: User, now: datetime, action: str = UNDONE) -> int:
    """Put back what the events of as many listings changed; returns of how many listings.

    One whose SKU or units are not those right after its event is left alone, and so is one whose SKU is gone.
    """
    done = 0
    with transaction.atomic():
        for start in range(0, len(events), _AT_ONCE):
            part = events[start : start + _AT_ONCE]
            visible = Listing.objects.visible_to(actor).current().order_by("pk")
            listings = _in_bulk(visible.select_for_update(of=("self",)), part)
            later = _changed_later(part)
            codes = {event.changes["sku"][0] for event in part if event.changes.get("sku", [None])[0]}
            by_code = {sku.code: sku for sku in Sku.objects.filter(code__in=codes)}
            skus: dict[int, Sku | None] = {}
            packs: dict[int, int] = {}
            for event in part:
                listing = listings.get(int(event.object_id))
                before = {name: pair[0] for name, pair in event.changes.items()}
                code = before.get("sku")
                if listing is None or not _is_as_left(event, listing, later) or (code and code not in by_code):
                    continue
                if "sku" in before:
                    skus[listing.pk] = by_code.get(code) if code else None
                if "pack_factor" in before:
                    packs[listing.pk] = int(before["pack_factor"])
            done += len(map_listings(skus=skus, pack_factors=packs, actor=actor, now=now, action=action))
    return done


def _in_bulk(listings: QuerySet[Listing], events: Sequence[AuditEvent]) -> dict[int, Listing]:
    return listings.select_related("sku").in_bulk([int(event.object_id) for event in events])


def _changed_later(events: Sequence[AuditEvent]) -> dict[str, int]:
    """By the key of each listing, its latest event that changed its SKU or its units."""
    touched = AuditEvent.objects.filter(object_type=_LISTING, object_id__in=[event.object_id for event in events])
    touched = touched.filter(Q(changes__has_key="sku") | Q(changes__has_key="pack_factor"))
    latest = touched.order_by().values("object_id").annotate(latest=Max("pk"))
    return dict(latest.values_list("object_id", "latest"))


def _is_as_left(event: AuditEvent, listing: Listing, later: Mapping[str, int]) -> bool:
    """Whether SKU and units of the listing are still those right after the event."""
    after: dict[str, Any] = {name: pair[1] for name, pair in event.changes.items()}
    present = {"sku": listing.sku.code if listing.sku else None, "pack_factor": listing.pack_factor}
    is_same = bool(after) and all(present.get(name) == value for name, value in after.items())
    is_mapped_since = listing.mapped_at is not None and listing.mapped_at > event.at
    return is_same and not is_mapped_since and later.get(event.object_id, 0) <= (event.pk or 0)
