"""Promotions come, change and go; what they can touch is told, so that only those prices are worked out again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from catalog.database import parts
from catalog.models import Channel, ChannelPricing, Listing, Promotion, User
from catalog.models.listing import ListingQuerySet
from catalog.pricing.rulesets import rules_for
from catalog.pricing.validity import invalid_field
from catalog.promotions.requests import engine_promotion
from catalog.promotions.words import FIELDS
from catalog.services import audit
from catalog.signals import promotion_changed

State = Promotion.State
# Of these a field of the form is told; others are shown above it.
_FORM_FIELDS = frozenset(field.name for field in Promotion._meta.concrete_fields)
_OF_FIELD = {"percent": "value", "amount": "value", "price": "value", "pieces": "of", "class": "promotion_class"}


@dataclass(frozen=True, slots=True)
class Stored:
    """How many promotions of a reading were new, changed, the same, and are not on the platform any more."""

    added: int = 0
    changed: int = 0
    same: int = 0
    gone: int = 0


def pricing_of(channel: Channel) -> ChannelPricing:
    """What is stored, or what the channel's platform has."""
    return ChannelPricing.objects.filter(channel=channel).first() or ChannelPricing.usual(channel)


def check(promotion: Promotion) -> None:
    """Raises ValidationError by field where the engine would set the promotion aside as broken."""
    if promotion.currency != promotion.channel.currency:
        raise ValidationError(
            {"currency": _("The channel sells in %(currency)s.") % {"currency": promotion.channel.currency}}
        )
    pricing = pricing_of(promotion.channel)
    wrong = invalid_field(engine_promotion(promotion), rules_for(pricing.ruleset, pricing.settings))
    if wrong:
        name = {"window": "end"}.get(wrong, _OF_FIELD.get(wrong, wrong))
        told = _("It cannot be used: %(wrong)s.") % {"wrong": FIELDS.get(wrong, wrong)}
        raise ValidationError({name: told} if name in _FORM_FIELDS else told)


def save(
    *, promotion: Promotion, actor: User | None, now: datetime, written: Mapping[str, Sequence[Any]] | None = None
) -> None:
    """Store one made by hand or in a form, and tell what it touches, as it was and as it is.

    `written` are the changes as a person wrote them, for the audit log. Raises ValidationError: see check().
    """
    check(promotion)
    with transaction.atomic():
        before = Promotion.objects.select_for_update().filter(pk=promotion.pk).first() if promotion.pk else None
        promotion.save()
        changed = changes(before, promotion) if written is None else written
        if before is None or changed:
            audit(action="changed" if before else "added", obj=promotion, actor=actor, now=now, changes=changed)
        tell([each for each in (before, promotion) if each is not None])


def delete(*, promotions: Iterable[Promotion], actor: User | None, now: datetime) -> int:
    """Remove promotions; returns how many."""
    rows = list(promotions)
    with transaction.atomic():
        tell(rows)
        for row in rows:
            audit(action="deleted", obj=row, actor=actor, now=now)
        Promotion.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def store_read(*, channel: Channel, read: Sequence[Promotion], now: datetime) -> Stored:
    """Make what was read from the platform, all that it has, what is stored; what it does not name any more is gone.

    `read` are unsaved, each with its platform id. What did not change stays as it is, and nothing hand-made is touched.
    """
    with transaction.atomic():
        stored = {
            row.platform_id: row
            for row in Promotion.objects.select_for_update().filter(channel=channel, source=Promotion.Source.PLATFORM)
        }
        added: list[Promotion] = []
        changed: list[Promotion] = []
        touched: list[Promotion] = []
        for promotion in read:
            promotion.channel, promotion.source, promotion.read_at = channel, Promotion.Source.PLATFORM, now
            before = stored.pop(promotion.platform_id, None)
            if before is None:
                added.append(promotion)
                continue
            for name in before.confirmed:
                if name in promotion.unknown:
                    setattr(promotion, name, getattr(before, name))
                    promotion.confirmed = [*promotion.confirmed, name]
            if changes(before, promotion):
                promotion.pk, promotion.created_at, promotion.updated_at = before.pk, before.created_at, now
                # What only we know of it stays.
                for name in _OURS:
                    setattr(promotion, name, getattr(before, name))
                changed.append(promotion)
                touched.append(before)
        gone = [row for row in stored.values() if row.status != State.GONE]
        Promotion.objects.bulk_create(added)
        Promotion.objects.bulk_update(changed, _READ_FIELDS, batch_size=500)
        Promotion.objects.filter(pk__in=[row.pk for row in gone]).update(status=State.GONE)
        of_channel = Promotion.objects.filter(channel=channel, source=Promotion.Source.PLATFORM)
        of_channel.exclude(status=State.GONE).update(read_at=now)
        tell([*added, *changed, *touched, *gone])
    return Stored(len(added), len(changed), len(read) - len(added) - len(changed), len(gone))


def tell(promotions: Sequence[Promotion]) -> None:
    """Send promotion_changed for what these can touch, after the commit."""
    if promotions:
        ids = sorted(touched_listings(promotions))
        transaction.on_commit(partial(promotion_changed.send, Promotion, listing_ids=ids))


def tell_listings(listings: ListingQuerySet) -> None:
    """The same, for what a sale of these listings costs."""
    ids = sorted(listings.current().filter(ownership=Listing.Ownership.OWN).values_list("pk", flat=True))
    transaction.on_commit(partial(promotion_changed.send, Listing, listing_ids=ids))


def touched_listings(promotions: Iterable[Promotion]) -> set[int]:
    """Own listings that any of them may cover; exclusions are left to the engine."""
    everywhere: set[int] = set()
    named: dict[tuple[int, str], set[str]] = {}
    for promotion in promotions:
        items, skus = promotion.scope_of("items"), promotion.scope_of("skus")
        if promotion.scope_of("categories") or promotion.scope_of("shops") or not (items or skus):
            everywhere.add(promotion.channel_id)
            continue
        for field, ids in (("platform_item_id__in", items), ("platform_sku_id__in", skus)):
            named.setdefault((promotion.channel_id, field), set()).update(ids)
    own = Listing.objects.current().filter(ownership=Listing.Ownership.OWN)
    found = set(own.filter(channel__in=everywhere).values_list("pk", flat=True))
    for (channel_id, field), wanted in named.items():
        if channel_id not in everywhere:
            for some in parts(sorted(wanted)):
                found.update(own.filter(channel=channel_id, **{field: some}).values_list("pk", flat=True))
    return found


# Fields that no platform tells.
_OURS = ("seller_share", "fee_rate", "fee_fixed")
_NEVER_COMPARED = {"id", "channel", "source", "read_at", "created_at", "updated_at"}
_READ_FIELDS = [
    field.name
    for field in Promotion._meta.concrete_fields
    if field.name not in {"id", "channel", "source", "created_at"}
]


def changes(before: Promotion | None, after: Promotion) -> Mapping[str, Sequence[Any]]:
    """Fields with what they were and are."""
    if before is None:
        return {}
    skipped = _NEVER_COMPARED | (set(_OURS) if after.source == Promotion.Source.PLATFORM else set())
    return {
        field.name: [getattr(before, field.attname), getattr(after, field.attname)]
        for field in Promotion._meta.concrete_fields
        if field.name not in skipped and getattr(before, field.attname) != getattr(after, field.attname)
    }
