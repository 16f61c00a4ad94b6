"""What people decide about proposals, and how it is taken back.

`Proposal.undo` says what accepting did: {"created": true} or {"restored": true} for a listing that was not there,
{"sku": key or null} for what it was mapped to before, {"kept": key or null} where that was left as it is.
{"made": key, "made_product": key or null} where a SKU was made of it, and its product.
{"reopened": true} on an open one: it was taken back.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet

from catalog.mapping.proposals import CHUNK, review, review_like
from catalog.models import AuditEvent, Listing, Product, Proposal, Sku, User
from catalog.services import add_listings, audit_many, map_listings, remove_listings, restore_listings

# Why a proposal was left alone.
DECIDED, NOTHING, WEAK, CONFLICT, UNSEEN, CHANGED, COMPETITOR = (
    "decided",
    "nothing",
    "weak",
    "conflict",
    "unseen",
    "changed",
    "competitor",
)
# Why no SKU was made of one, or none was deleted.
FITS, TAKEN, TWICE, KEPT = "fits", "taken", "twice", "kept"


@dataclass
class Decided:
    """What came of a decision about several proposals; `left` counts by reason those that were left alone."""

    added: int = 0  # listings that are new or back
    mapped: int = 0  # listings that got a SKU, or another one; new ones among them
    done: int = 0
    left: Counter[str] = field(default_factory=Counter)


def accept(*, proposals: QuerySet[Proposal], actor: User | None, now: datetime, sku: Sku | None = None) -> Decided:
    """Map the proposed listings to what they seem to be, and add those that the channel does not have.

    Only strong evidence without a conflict counts, as it is now. `sku`: what a person chose for the one proposal,
    having seen the evidence. `actor` None: the system itself.
    """
    result = Decided()

    def decide(part: Sequence[Proposal]) -> None:
        skus = Sku.objects.filter(pk__in={each.sku_id for each in part if each.sku_id})
        allowed = set((skus.visible_to(actor) if actor else skus).values_list("pk", flat=True))
        chosen = []
        for each in part:
            if reason := _obstacle(each, allowed, sku):
                result.left[reason] += 1
                continue
            if sku is not None:
                each.sku = sku
            chosen.append(each)
        take(chosen, with_sku=True, result=result, actor=actor, now=now)

    in_parts(proposals, decide)
    return result


def add_unmapped(*, proposals: QuerySet[Proposal], actor: User | None, now: datetime) -> Decided:
    """Add the proposed listings that the channel does not have, without a SKU."""
    result = Decided()

    def decide(part: Sequence[Proposal]) -> None:
        chosen = []
        for each in part:
            if not each.is_open:
                result.left[DECIDED] += 1
            elif each.listing is not None and each.listing.removed_at is None:
                result.left[CHANGED] += 1
            else:
                chosen.append(each)
        take(chosen, with_sku=False, result=result, actor=actor, now=now)

    in_parts(proposals, decide)
    return result


def reject(*, proposals: QuerySet[Proposal], actor: User | None, now: datetime) -> Decided:
    """Have the proposals not come up again; the listings stay as they are."""
    result = Decided()

    def decide(part: Sequence[Proposal]) -> None:
        chosen = [each for each in part if each.is_open]
        result.left[DECIDED] += len(part) - len(chosen)
        result.done += len(chosen)
        _close(chosen, Proposal.Status.REJECTED, actor, now)
        audit_many(action="rejected", objects=chosen, actor=actor, now=now)

    in_parts(proposals, decide)
    return result


def take_back(*, proposals: QuerySet[Proposal], actor: User | None, now: datetime) -> Decided:
    """Undo decisions: the proposals are open again, and their listings as they were before.

    A listing that somebody mapped otherwise since is left alone, with its proposal. SKUs that were made go, unless they
    are used or were changed since.
    """
    result = Decided()
    made: dict[int, int | None] = {}  # SKUs, each with the product that was made for it

    def decide(part: Sequence[Proposal]) -> None:
        chosen = []
        for each in part:
            if not each.can_be_undone:
                result.left[DECIDED] += 1
            elif each.status == Proposal.Status.ACCEPTED and not _is_as_accepted(each):
                result.left[CHANGED] += 1
            else:
                chosen.append(each)
        accepted = [each for each in chosen if each.status == Proposal.Status.ACCEPTED]
        away = [each.listing_id for each in accepted if each.listing_id and {"created", "restored"} & each.undo.keys()]
        before = Sku.objects.in_bulk([each.undo["sku"] for each in accepted if each.undo.get("sku")])
        map_listings(
            skus={
                each.listing_id: before.get(each.undo["sku"])
                for each in accepted
                if each.listing_id and "sku" in each.undo
            },
            actor=actor,
            now=now,
        )
        remove_listings(listings=Listing.objects.filter(pk__in=away), actor=actor, now=now)
        of_part = {each.undo["made"]: each.undo["made_product"] for each in accepted if each.undo.get("made")}
        for each in chosen:
            each.status, each.decided_at, each.decided_by, each.undo = (
                Proposal.Status.OPEN,
                None,
                None,
                {"reopened": True},
            )
        Proposal.objects.bulk_update(chosen, ["status", "decided_at", "decided_by", "undo"], batch_size=CHUNK)
        made.update(of_part)
        audit_many(action="reopened", objects=chosen, actor=actor, now=now)
        for channel_id in {each.channel_id for each in chosen}:
            review([each for each in chosen if each.channel_id == channel_id])
        result.done += len(chosen)

    with transaction.atomic():
        in_parts(proposals, decide, reviews=False)
        kept, gone = _unmake(made, actor, now)
        if kept:
            result.left[KEPT] = kept
    review_like(gone)
    return result


def _unmake(made: Mapping[int, int | None], actor: User | None, now: datetime) -> tuple[int, list[Sku]]:
    """Delete the SKUs, and the products without any other; returns how many are kept, and those that are gone."""
    skus = {sku.pk: sku for sku in Sku.objects.select_related("product").filter(pk__in=made)}
    kept = _used(Sku, skus, but=Proposal) | _touched(Sku, skus)
    gone = [sku for pk, sku in skus.items() if pk not in kept]
    audit_many(action="deleted", objects=gone, actor=actor, now=now)
    products = Product.objects.in_bulk([product_id for product_id in made.values() if product_id])
    Sku.objects.filter(pk__in=[sku.pk for sku in gone]).delete()
    empty = [each for pk, each in products.items() if pk not in _used(Product, products) | _touched(Product, products)]
    audit_many(action="deleted", objects=empty, actor=actor, now=now)
    Product.objects.filter(pk__in=[product.pk for product in empty]).delete()
    return len(kept), gone


def _used(model: type[Model], keys: Collection[int], *, but: type[Model] | None = None) -> set[int]:
    """Those that something refers to."""
    found: set[int] = set()
    for relation in model._meta.related_objects:
        if relation.related_model is not but:
            name = relation.field.name
            rows = relation.related_model._base_manager.filter(**{f"{name}__in": keys})
            found |= set(rows.values_list(name, flat=True))
    return found


def _touched(model: type[Model], keys: Collection[int]) -> set[int]:
    """Those that somebody changed after they were added."""
    events = AuditEvent.objects.filter(object_type=model._meta.label_lower, object_id__in=map(str, keys))
    return {int(key) for key in events.exclude(action="added").values_list("object_id", flat=True)}


def in_parts(
    proposals: QuerySet[Proposal], decide: Callable[[Sequence[Proposal]], None], *, reviews: bool = True
) -> None:
    """Hand the proposals over, locked, reviewed and a part at a time; all or none of it is stored."""
    last = 0
    with transaction.atomic():
        while True:
            rows = proposals.select_for_update(of=("self",)).select_related("listing").filter(pk__gt=last)
            part = list(rows.order_by("pk")[:CHUNK])
            if not part:
                return
            last = part[-1].pk
            if reviews:
                for channel_id in sorted({each.channel_id for each in part}):
                    review([each for each in part if each.channel_id == channel_id and each.is_open])
            decide(part)


def _obstacle(proposal: Proposal, allowed: set[int], sku: Sku | None) -> str:
    """Why it cannot be accepted; "" when it can."""
    kinds = {conflict["kind"] for conflict in proposal.conflicts}
    if not proposal.is_open:
        return DECIDED
    if "competitor" in kinds:
        return COMPETITOR
    if sku is not None:
        return ""
    if kinds:
        return CONFLICT
    if proposal.sku_id is None:
        return NOTHING
    if not proposal.is_clear:
        return WEAK
    return "" if proposal.sku_id in allowed else UNSEEN


def take(proposals: Sequence[Proposal], *, with_sku: bool, result: Decided, actor: User | None, now: datetime) -> None:
    """Add, restore or map the listings of the proposals, and close these."""
    done = []
    skus = Sku.objects.in_bulk([each.sku_id for each in proposals if each.sku_id]) if with_sku else {}
    new = {each.pk: _listing(each) for each in proposals if each.listing is None}
    add_listings(listings=list(new.values()), actor=actor, now=now)
    to_map: dict[int, Sku | None] = {}
    back = []
    for each in proposals:
        listing = each.listing or new[each.pk]
        if listing._state.adding:  # somebody added it since it was looked at
            result.left[CHANGED] += 1
            continue
        undo: dict[str, Any] = {}
        if each.listing is None:
            undo["created"] = True
        elif listing.removed_at is not None:
            undo["restored"] = True
            back.append(listing.pk)
        if with_sku:
            undo["sku"] = listing.sku_id
            to_map[listing.pk] = skus[each.sku_id] if each.sku_id else None
        else:
            undo["kept"] = listing.sku_id
        each.listing, each.undo = listing, undo
        result.added += bool({"created", "restored"} & undo.keys())
        done.append(each)
    restore_listings(listings=Listing.objects.filter(pk__in=back), actor=actor, now=now)
    result.mapped += len(map_listings(skus=to_map, actor=actor, now=now))
    result.done += len(done)
    _close(done, Proposal.Status.ACCEPTED, actor, now)


def _listing(proposal: Proposal) -> Listing:
    return Listing(
        channel_id=proposal.channel_id,
        platform_item_id=proposal.platform_item_id,
        platform_sku_id=proposal.platform_sku_id,
        platform_stock_id=proposal.platform_stock_id,
        title=proposal.title,
        outer_id=proposal.outer_id,
    )


def _close(proposals: Sequence[Proposal], status: Proposal.Status, actor: User | None, now: datetime) -> None:
    for each in proposals:
        each.status, each.decided_at, each.decided_by = status, now, actor
    fields = ["status", "decided_at", "decided_by", "sku", "listing", "undo"]
    Proposal.objects.bulk_update(proposals, fields, batch_size=CHUNK)


def _is_as_accepted(proposal: Proposal) -> bool:
    """Whether its listing still is what accepting made of it."""
    listing = proposal.listing
    if listing is None or listing.removed_at is not None:
        return False
    return listing.sku_id == (proposal.sku_id if "sku" in proposal.undo else proposal.undo["kept"])
