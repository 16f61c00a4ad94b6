"""What happens in the catalog: listings come, go and come back, and every deed leaves an audit event."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from django.db import models, transaction

from catalog.database import update_rows
from catalog.models import AuditEvent, Channel, Listing, Sku, User
from catalog.signals import channel_changed, listing_changed

# Rows that are held in memory and named in one statement at a time; databases limit a statement's parameters.
_AT_ONCE = 2_000

Row = TypeVar("Row", Listing, Channel)


def audit(
    *,
    action: str,
    obj: models.Model,
    actor: User | None,
    now: datetime,
    changes: Mapping[str, Sequence[Any]] | None = None,
) -> AuditEvent:
    """Append one event about `obj`. `changes` maps a field to [before, after]; the caller masks secrets."""
    return audit_many(action=action, objects=[obj], actor=actor, now=now, changes=changes)[0]


def audit_many(
    *,
    action: str,
    objects: Iterable[models.Model],
    actor: User | None,
    now: datetime,
    changes: Mapping[str, Sequence[Any]] | None = None,
) -> list[AuditEvent]:
    """Append the same event about each of the objects, in one statement."""
    plain = _plain_changes(changes or {})
    return audit_each(action=action, changed=((obj, plain) for obj in objects), actor=actor, now=now)


def audit_each(
    *,
    action: str,
    changed: Iterable[tuple[models.Model, Mapping[str, Sequence[Any]]]],
    actor: User | None,
    now: datetime,
) -> list[AuditEvent]:
    """Append one event per object, each with its own changes, in one statement."""
    return AuditEvent.objects.bulk_create(
        AuditEvent(
            at=now,
            actor=actor,
            action=action,
            object_type=obj._meta.label_lower,
            object_id="" if obj.pk is None else str(obj.pk),
            object_name=str(obj)[:255],
            channel_id=obj.pk if isinstance(obj, Channel) else getattr(obj, "channel_id", None),
            changes=_plain_changes(changes),
        )
        for obj, changes in changed
    )


def add_listings(*, listings: Sequence[Listing], actor: User | None, now: datetime) -> int:
    """Store new listings; returns how many are new or back.

    A listing that exists stays as it is, and one that was removed comes back with its history.
    """
    with transaction.atomic():
        return sum(
            _add_part(listings[start : start + _AT_ONCE], actor, now) for start in range(0, len(listings), _AT_ONCE)
        )


def _add_part(listings: Sequence[Listing], actor: User | None, now: datetime) -> int:
    channels = {listing.channel_id for listing in listings}
    known = {
        (listing.channel_id, listing.platform_item_id, listing.platform_sku_id): listing
        for listing in Listing.objects.select_for_update().filter(
            channel__in=channels, platform_item_id__in={listing.platform_item_id for listing in listings}
        )
    }
    new, back = [], []
    for listing in listings:
        stored = known.get((listing.channel_id, listing.platform_item_id, listing.platform_sku_id))
        if stored is None:
            new.append(listing)
        elif stored.removed_at is not None:
            back.append(stored)
    Listing.objects.bulk_create(new)
    audit_many(action="added", objects=new, actor=actor, now=now)
    if back:
        restore_listings(listings=Listing.objects.filter(pk__in=[listing.pk for listing in back]), actor=actor, now=now)
    tell_listings_changed([listing.pk for listing in new])
    return len(new) + len(back)


def remove_listings(*, listings: models.QuerySet[Listing], actor: User | None, now: datetime) -> int:
    """Stop showing and reading the listings; their history stays. Returns how many were still there."""
    return _change_removed(
        listings.filter(removed_at__isnull=True), "removed", {"removed_at": now}, actor=actor, now=now
    )


def restore_listings(*, listings: models.QuerySet[Listing], actor: User | None, now: datetime) -> int:
    """Bring removed listings back. Returns how many had been removed."""
    back = {"removed_at": None, "restored_at": now}
    return _change_removed(listings.filter(removed_at__isnull=False), "restored", back, actor=actor, now=now)


def _change_removed(
    listings: models.QuerySet[Listing],
    action: str,
    values: Mapping[str, datetime | None],
    *,
    actor: User | None,
    now: datetime,
) -> int:
    count = 0
    with transaction.atomic():
        for changed in _locked_parts(listings):
            ids = [listing.pk for listing in changed]
            Listing.objects.filter(pk__in=ids).update(**values)
            audit_many(action=action, objects=changed, actor=actor, now=now)
            tell_listings_changed(ids)
            count += len(ids)
    return count


def map_listings(
    *,
    skus: Mapping[int, Sku | None],
    pack_factors: Mapping[int, int] | None = None,
    actor: User | None,
    now: datetime,
    action: str = "changed",
) -> list[int]:
    """Set what the listings (by their keys) sell, and how many units of it; returns the keys of those that changed.

    None takes the SKU away. A listing that is gone is left out.
    """
    packs = pack_factors or {}
    changed_ids: list[int] = []
    keys = sorted({*skus, *packs})
    with transaction.atomic():
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            events: list[tuple[models.Model, dict[str, list[Any]]]] = []
            sku_rows, pack_rows = [], []
            for listing in _locked(Listing.objects.filter(pk__in=some).select_related("sku")):
                changes: dict[str, list[Any]] = {}
                sku = skus.get(listing.pk, listing.sku)
                if (sku.pk if sku else None) != listing.sku_id:
                    changes["sku"] = [listing.sku.code if listing.sku else None, sku.code if sku else None]
                    sku_rows.append((listing.pk, sku.pk if sku else None))
                if (pack := packs.get(listing.pk, listing.pack_factor)) != listing.pack_factor:
                    changes["pack_factor"] = [listing.pack_factor, pack]
                    pack_rows.append((listing.pk, pack))
                if changes:
                    events.append((listing, changes))
            update_rows(Listing, "id", ["sku"], sku_rows, also={"mapped_at": now, "updated_at": now})
            update_rows(Listing, "id", ["pack_factor"], pack_rows, also={"updated_at": now})
            audit_each(action=action, changed=events, actor=actor, now=now)
            ids = [listing.pk for listing, _changes in events]
            tell_listings_changed(ids)
            changed_ids += ids
    return changed_ids


def set_watched(*, channels: models.QuerySet[Channel], is_watched: bool, actor: User | None, now: datetime) -> int:
    """Start or stop reading all listings of the channels. Returns how many changed."""
    count = 0
    with transaction.atomic():
        for changed in _locked_parts(channels.filter(is_watched=not is_watched)):
            ids = [channel.pk for channel in changed]
            since = {"watched_since": now} if is_watched else {}
            Channel.objects.filter(pk__in=ids).update(is_watched=is_watched, **since)
            audit_many(
                action="started" if is_watched else "stopped",
                objects=changed,
                actor=actor,
                now=now,
                changes={"is_watched": [not is_watched, is_watched]},
            )
            tell_channels_changed(ids)
            count += len(ids)
    return count


def _locked_parts(rows: models.QuerySet[Row]) -> Iterator[list[Row]]:
    """The rows in the order of their keys, a part at a time, locked. The caller may change a part before the next."""
    part = list(_locked(rows)[:_AT_ONCE])
    while part:
        yield part
        part = list(_locked(rows.filter(pk__gt=part[-1].pk))[:_AT_ONCE])


def _locked(rows: models.QuerySet[Row]) -> models.QuerySet[Row]:
    return rows.select_for_update(of=("self",)).order_by("pk")


def tell_listings_changed(listing_ids: Sequence[int]) -> None:
    """Send `listing_changed` once the present transaction is committed."""
    if listing_ids:
        transaction.on_commit(partial(listing_changed.send, Listing, listing_ids=list(listing_ids)))


def tell_channels_changed(channel_ids: Sequence[int]) -> None:
    """Send `channel_changed` once the present transaction is committed."""
    if channel_ids:
        transaction.on_commit(partial(channel_changed.send, Channel, channel_ids=list(channel_ids)))


def _plain_changes(changes: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    return {field: [_plain(value) for value in pair] for field, pair in changes.items()}


def _plain(value: Any) -> Any:
    """The value as JSON holds it; a Decimal stays exact as text."""
    if isinstance(value, Decimal | datetime):
        return str(value)
    return value if value is None or isinstance(value, bool | int | str | list | dict) else str(value)
