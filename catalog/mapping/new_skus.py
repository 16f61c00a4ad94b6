"""SKUs made of proposals that none of ours fits: planned, shown, made, and unmade."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Upper

from catalog.mapping.decisions import (
    COMPETITOR,
    CONFLICT,
    DECIDED,
    FITS,
    TAKEN,
    TWICE,
    WEAK,
    Decided,
    in_parts,
    take,
)
from catalog.mapping.proposals import CHUNK, review_like
from catalog.matching import Evidence, plain_barcode
from catalog.models import Listing, Product, Proposal, Sku, User
from catalog.services import audit_many

_LONGEST_CODE, _LONGEST_NAME = 100, 200

# A product by its key, or one to be made by its name.
ProductKey = tuple[int | None, str]


@dataclass(frozen=True, slots=True)
class PlannedSku:
    """The SKU that is to be made of a proposal; `product_id` None: its product is new, too."""

    proposal: Proposal
    code: str
    product_id: int | None
    product: str


@dataclass
class Plan:
    """What would be made, and the proposals that are left alone, each with why."""

    skus: list[PlannedSku] = field(default_factory=list)
    left: list[tuple[Proposal, str]] = field(default_factory=list)

    @property
    def facts(self) -> list[tuple[int, str, int | None, str]]:
        """What somebody agrees to who has seen the plan."""
        return [(each.proposal.pk, each.code, each.product_id, each.product) for each in self.skus]


class Outdated(Exception):
    """The plan is another one than the one that was shown; nothing was made."""


def plan(*, proposals: QuerySet[Proposal], is_one: bool = False) -> Plan:
    """A SKU for each proposal that none of ours fits; its code is the merchant code, else made of the platform's ids.

    Variants of an item share a product: that of those which are mapped, else the one named as the title. Where only a
    title fits, `is_one` (somebody looked at just this one) makes a SKU all the same.
    """
    planned = Plan()
    codes: set[str] = set()
    barcodes: set[str] = set()

    def add(part: Sequence[Proposal]) -> None:
        siblings = _siblings(part)
        wanted = {each.pk: _code(each) for each in part}
        folded = Sku.objects.annotate(folded=Upper("code")).filter(
            folded__in={code.upper() for code in wanted.values()}
        )
        taken = set(folded.values_list("folded", flat=True))
        named = _products([_product_name(each, wanted[each.pk]) for each in part])
        for each in part:
            code, barcode = wanted[each.pk].upper(), plain_barcode(each.barcode)
            reason = _obstacle(each, siblings, is_one=is_one)
            if not reason and code in taken:
                reason = TAKEN
            elif not reason and (code in codes or barcode in barcodes):
                reason = TWICE
            if reason:
                planned.left.append((each, reason))
                continue
            codes.add(code)
            barcodes.update({barcode} - {""})
            name = _product_name(each, wanted[each.pk])
            product_id, product = _own_product(siblings.get(_item(each), [])) or named.get(name) or (None, name)
            planned.skus.append(PlannedSku(each, wanted[each.pk], product_id, product))

    in_parts(proposals.select_related("channel"), add)
    return planned


def create(
    *,
    proposals: QuerySet[Proposal],
    shown: Sequence[tuple[int, str, int | None, str]],
    actor: User,
    now: datetime,
    is_one: bool = False,
) -> Decided:
    """Make the planned SKUs and map the listings to them. Raises Outdated when the plan is not the one `shown`.

    Raises IntegrityError when somebody makes a SKU of the same code at the same time.
    """
    result = Decided()
    with transaction.atomic():
        made = plan(proposals=proposals, is_one=is_one)
        if made.facts != list(shown):
            raise Outdated
        for _proposal, reason in made.left:
            result.left[reason] += 1
        names = dict.fromkeys(each.product for each in made.skus if each.product_id is None)
        products = Product.objects.bulk_create(Product(name=name) for name in names)
        audit_many(action="added", objects=products, actor=actor, now=now)
        new = {product.name: product for product in products}
        known = Product.objects.in_bulk({each.product_id for each in made.skus if each.product_id})
        skus = Sku.objects.bulk_create(
            Sku(
                code=each.code,
                product=new[each.product] if each.product_id is None else known[each.product_id],
                barcode=each.proposal.barcode,
            )
            for each in made.skus
        )
        audit_many(action="added", objects=skus, actor=actor, now=now)
        for each, sku in zip(made.skus, skus, strict=True):
            each.proposal.sku = sku
        chosen = [each.proposal for each in made.skus]
        take(chosen, with_sku=True, result=result, actor=actor, now=now)
        for each in made.skus:
            if not each.proposal.is_open:
                product_id = new[each.product].pk if each.product_id is None else None
                each.proposal.undo |= {"made": each.proposal.sku_id, "made_product": product_id}
        Proposal.objects.bulk_update(chosen, ["undo"], batch_size=CHUNK)
    review_like(skus)
    return result


def _siblings(part: Sequence[Proposal]) -> dict[tuple[int, str], list[Sku]]:
    """The SKUs of the mapped own listings of the same items."""
    rows = Listing.objects.current().filter(
        channel__in={each.channel_id for each in part},
        platform_item_id__in={each.platform_item_id for each in part},
        sku__isnull=False,
        ownership=Listing.Ownership.OWN,
    )
    found: dict[tuple[int, str], list[Sku]] = defaultdict(list)
    for listing in rows.select_related("sku__product").order_by("pk"):
        if listing.sku is not None:
            found[listing.channel_id, listing.platform_item_id].append(listing.sku)
    return found


def _item(proposal: Proposal) -> tuple[int, str]:
    return proposal.channel_id, proposal.platform_item_id


def _own_product(siblings: Iterable[Sku]) -> ProductKey | None:
    products = {sku.product_id: sku.product for sku in siblings}
    return (next(iter(products)), str(next(iter(products.values())))) if len(products) == 1 else None


def _products(names: Iterable[str]) -> dict[str, ProductKey]:
    """By name, the product without a brand, or the only one with any."""
    by_name: dict[str, list[Product]] = defaultdict(list)
    for product in Product.objects.filter(name__in=set(names)).order_by("brand", "pk"):
        by_name[product.name].append(product)
    return {name: (found[0].pk, name) for name, found in by_name.items() if len(found) == 1 or not found[0].brand}


def _code(proposal: Proposal) -> str:
    code = proposal.outer_id.strip()
    if code and len(code) <= _LONGEST_CODE:
        return code
    ids = [proposal.channel.mark, proposal.platform_item_id, proposal.platform_sku_id]
    return "-".join(filter(None, ids))


def _product_name(proposal: Proposal, code: str) -> str:
    return proposal.title.strip()[:_LONGEST_NAME].strip() or code


def _obstacle(proposal: Proposal, siblings: dict[tuple[int, str], list[Sku]], *, is_one: bool) -> str:
    """Why no SKU is made of it; "" when one is."""
    kinds = {conflict["kind"] for conflict in proposal.conflicts}
    if not proposal.is_open:
        return DECIDED
    if "competitor" in kinds:
        return COMPETITOR
    if proposal.sku_id is not None and proposal.evidence != Evidence.TITLE:
        return CONFLICT if kinds else FITS
    if kinds - {"two-listings", "barcode-differs"}:  # which are about the SKU that only the title names
        return CONFLICT
    is_siblings = proposal.sku_id in {sku.pk for sku in siblings.get(_item(proposal), [])}
    if proposal.sku_id is not None and not is_siblings and not is_one:
        return WEAK
    return TAKEN if len(_code(proposal)) > _LONGEST_CODE else ""
