"""What a shop was found to have, stored with what each of it seems to be."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from django.db import transaction
from django.db.models import Q

from catalog.database import update_rows
from catalog.matching import Candidates, Mapped, Match, barcode_forms, match, plain_barcode
from catalog.models import Channel, Listing, Proposal, Sku

CHUNK = 500  # found listings that are stored and looked at together

_IDENTITY = ["channel", "platform_item_id", "platform_sku_id"]
_FACTS = ["platform_stock_id", "title", "outer_id", "barcode", "price", "list_price", "stock", "shelf_state", "seen_at"]
_LONGEST_BARCODE = 32
_REVIEWED = ["listing", "sku", "evidence", "conflicts", "status"]


@dataclass(frozen=True, slots=True)
class FoundListing:
    """One listing as a shop told it; None: not told."""

    item_id: str
    sku_id: str
    title: str
    outer_id: str
    barcode: str
    stock_id: str
    price: Decimal | None  # what a buyer pays now, in the channel's currency
    stock: int | None
    shelf_state: str
    list_price: Decimal | None = None


def store_found(*, channel: Channel, found: Sequence[FoundListing], now: datetime) -> None:
    """Store or renew a proposal for each, and review it. What somebody decided stays; the same again changes nothing.

    At most about CHUNK at a time: they are handled in one go.
    """
    rows = {(each.item_id, each.sku_id): each for each in found}
    with transaction.atomic():
        Proposal.objects.bulk_create(
            [
                Proposal(
                    channel=channel,
                    platform_item_id=each.item_id,
                    platform_sku_id=each.sku_id,
                    platform_stock_id=each.stock_id[:128],
                    title=each.title[:255],
                    outer_id=each.outer_id[:128],
                    # Half of one is the barcode of something else.
                    barcode=each.barcode if len(each.barcode) <= _LONGEST_BARCODE else "",
                    price=each.price,
                    list_price=each.list_price,
                    stock=each.stock,
                    shelf_state=each.shelf_state,
                    found_at=now,
                    seen_at=now,
                )
                for each in rows.values()
            ],
            update_conflicts=True,
            unique_fields=_IDENTITY,
            update_fields=_FACTS,
        )
        item_ids = {item_id for item_id, _sku_id in rows}
        stored = Proposal.objects.select_for_update().filter(channel=channel, platform_item_id__in=item_ids)
        proposals = [each for each in stored if (each.platform_item_id, each.platform_sku_id) in rows]
        review(proposals)
        _keep_stock_ids(proposals)


def _keep_stock_ids(proposals: Sequence[Proposal]) -> None:
    """What the platform counts stock by belongs to the listing, too."""
    told = [
        (each.listing_id, each.platform_stock_id)
        for each in proposals
        if each.listing is not None
        and each.platform_stock_id
        and each.listing.platform_stock_id != each.platform_stock_id
    ]
    update_rows(Listing, "id", ["platform_stock_id"], told)


def review_open(channel: Channel) -> None:
    """Look again at all open proposals of a channel: only when all are known do those that are alike show."""
    last = 0
    while True:
        with transaction.atomic():
            part = list(
                Proposal.objects.select_for_update()
                .filter(channel=channel, status=Proposal.Status.OPEN, pk__gt=last)
                .order_by("pk")[:CHUNK]
            )
            review(part)
        if len(part) < CHUNK:
            return
        last = part[-1].pk


def review_like(skus: Sequence[Sku]) -> None:
    """Look again at the open proposals that may be one of the SKUs, which are new or gone, in any channel."""
    for start in range(0, len(skus), CHUNK):
        some = skus[start : start + CHUNK]
        named = Q(outer_id__in={sku.code for sku in some}) | Q(title__in={sku.product.name for sku in some})
        named |= Q(barcode__in={form for sku in some for form in barcode_forms(sku.barcode)})
        with transaction.atomic():
            rows = list(Proposal.objects.open().filter(named).select_for_update().order_by("channel", "pk"))
            for _channel_id, group in groupby(rows, key=lambda proposal: proposal.channel_id):
                of_channel = list(group)
                for first in range(0, len(of_channel), CHUNK):
                    review(of_channel[first : first + CHUNK])


def review(proposals: Sequence[Proposal]) -> None:
    """Work out anew what the proposals of one channel seem to be, and store what is different.

    They are rows that the caller has locked; about CHUNK of them. The number of queries does not depend on theirs.
    """
    if not proposals:
        return
    listings = _listings(proposals)
    candidates = _candidates(proposals)
    first = {each.pk: _matched(each, listings, candidates) for each in proposals}
    sku_ids = {found.sku_id for found in first.values() if found.sku_id is not None}
    sku_barcodes = _barcodes(sku_ids)
    others = _others(proposals[0].channel_id, sku_ids, {pk: found.sku_id for pk, found in first.items()}, proposals)
    changed = []
    for each in proposals:
        own_identity = _identity(each)
        found = _matched(
            each,
            listings,
            candidates,
            {
                pk: {code for identity, code in codes if identity != (each.channel_id, *own_identity)}
                for pk, codes in sku_barcodes.items()
            }
            if first[each.pk].sku_id is not None
            else None,
            {
                pk: [i for i in ids if i != each.platform_id]
                for pk, ids in others.items()
                if pk == first[each.pk].sku_id
            },
        )
        before = [_stored(each, name) for name in _REVIEWED]
        _apply(each, found, listings.get(own_identity))
        if before != [_stored(each, name) for name in _REVIEWED]:
            changed.append(each)
    Proposal.objects.bulk_update(changed, _REVIEWED, batch_size=CHUNK)


def _stored(proposal: Proposal, name: str) -> object:
    return getattr(proposal, f"{name}_id" if name in {"listing", "sku"} else name)


def _identity(row: Proposal | Listing) -> tuple[str, str]:
    return row.platform_item_id, row.platform_sku_id


def _listings(proposals: Sequence[Proposal]) -> dict[tuple[str, str], Listing]:
    """Our listings of the same ids."""
    rows = Listing.objects.filter(
        channel=proposals[0].channel_id, platform_item_id__in={each.platform_item_id for each in proposals}
    ).only(*_IDENTITY, "platform_stock_id", "sku", "ownership", "removed_at")
    return {_identity(listing): listing for listing in rows}


def _candidates(proposals: Sequence[Proposal]) -> dict[int, Candidates]:
    """By the key of each proposal, the SKUs that each kind of evidence names."""
    by_barcode: dict[str, set[int]] = defaultdict(set)
    forms = {form for each in proposals for form in barcode_forms(each.barcode)}
    for sku_id, barcode in Sku.objects.filter(barcode__in=forms).values_list("pk", "barcode"):
        by_barcode[plain_barcode(barcode)].add(sku_id)
    codes = {each.outer_id for each in proposals if each.outer_id}
    by_code = dict(Sku.objects.filter(code__in=codes).values_list("code", "pk"))
    elsewhere: dict[str, dict[tuple[int, str, str], int]] = defaultdict(dict)
    mapped = Listing.objects.current().filter(outer_id__in=codes, sku__isnull=False, ownership=Listing.Ownership.OWN)
    for outer_id, channel_id, item_id, variant_id, sku_id in mapped.values_list(
        "outer_id", "channel", "platform_item_id", "platform_sku_id", "sku"
    ):
        elsewhere[outer_id][channel_id, item_id, variant_id] = sku_id
    by_title: dict[str, set[int]] = defaultdict(set)
    titles = {each.title for each in proposals if each.title}
    for name, sku_id in Sku.objects.filter(product__name__in=titles).values_list("product__name", "pk"):
        by_title[name].add(sku_id)
    return {
        each.pk: Candidates(
            barcode=by_barcode.get(plain_barcode(each.barcode), ()) if each.barcode else (),
            code=[by_code[each.outer_id]] if each.outer_id in by_code else (),
            elsewhere={
                sku_id
                for identity, sku_id in elsewhere.get(each.outer_id, {}).items()
                if identity != (each.channel_id, *_identity(each))
            },
            title=by_title.get(each.title, ()),
        )
        for each in proposals
    }


def _barcodes(sku_ids: Iterable[int]) -> dict[int, set[tuple[tuple[int, str, str] | None, str]]]:
    """By SKU, its barcode, and those that its listings had in their shops, each with its identity (None: the SKU's)."""
    found: dict[int, set[tuple[tuple[int, str, str] | None, str]]] = defaultdict(set)
    for sku_id, barcode in Sku.objects.filter(pk__in=sku_ids).exclude(barcode="").values_list("pk", "barcode"):
        found[sku_id].add((None, barcode))
    seen = Proposal.objects.filter(listing__sku__in=sku_ids, listing__removed_at__isnull=True).exclude(barcode="")
    for sku_id, barcode, *identity in seen.values_list("listing__sku", "barcode", *_IDENTITY):
        channel_id, item_id, variant_id = identity
        found[sku_id].add(((channel_id, item_id, variant_id), barcode))
    return found


def _others(
    channel_id: int, sku_ids: Iterable[int], present: dict[int, int | None], proposals: Sequence[Proposal]
) -> dict[int, list[str]]:
    """By SKU, the platform ids of the channel's listings that are it or seem to be it."""
    found: dict[int, dict[str, None]] = defaultdict(dict)
    mapped = Listing.objects.current().filter(channel=channel_id, sku__in=sku_ids, ownership=Listing.Ownership.OWN)
    for listing in mapped.only("sku", "platform_item_id", "platform_sku_id").order_by("pk"):
        if listing.sku_id is not None:
            found[listing.sku_id][listing.platform_id] = None
    alike = Proposal.objects.open().filter(channel=channel_id, sku__in=sku_ids).exclude(pk__in=list(present))
    for proposal in alike.only("sku", "platform_item_id", "platform_sku_id").order_by("pk"):
        if proposal.sku_id is not None:
            found[proposal.sku_id][proposal.platform_id] = None
    for proposal in proposals:
        sku_id = present[proposal.pk]
        if sku_id is not None and proposal.status != Proposal.Status.REJECTED:
            found[sku_id][proposal.platform_id] = None
    return {sku_id: list(ids) for sku_id, ids in found.items()}


def _matched(
    proposal: Proposal,
    listings: dict[tuple[str, str], Listing],
    candidates: dict[int, Candidates],
    sku_barcodes: dict[int, set[str]] | None = None,
    others: dict[int, list[str]] | None = None,
) -> Match:
    listing = listings.get(_identity(proposal))
    there = listing is not None and listing.removed_at is None
    return match(
        candidates=candidates[proposal.pk],
        mapped=Mapped(listing.sku_id, listing.is_own) if listing is not None and there else None,
        barcode=proposal.barcode,
        sku_barcodes=sku_barcodes,
        others=others,
    )


def _apply(proposal: Proposal, found: Match, listing: Listing | None) -> None:
    proposal.listing = listing
    if proposal.decided_at is not None:
        return
    proposal.sku_id = found.sku_id
    proposal.evidence = found.evidence.value
    proposal.conflicts = [conflict.stored for conflict in found.conflicts]
    is_contested = any(conflict.kind in {"mapped-otherwise", "competitor"} for conflict in found.conflicts)
    if listing is not None and listing.removed_at is not None and not proposal.undo:
        proposal.status = Proposal.Status.REJECTED  # a person removed it; its return is theirs to decide
    elif listing is not None and listing.removed_at is None and listing.sku_id is not None and not is_contested:
        proposal.status = Proposal.Status.ACCEPTED
    else:
        proposal.status = Proposal.Status.OPEN


def forget_gone(*, channel: Channel, since: datetime, found: int) -> int:
    """Remove the open proposals that a whole reading since then did not see; returns how many.

    A shop that was `found` to have nothing at all is not believed.
    """
    if not found:
        return 0
    gone = Proposal.objects.open().filter(channel=channel, seen_at__lt=since, listing__isnull=True)
    removed, _details = gone.delete()
    return removed
