"""What merchant codes and barcodes say of present mappings: for the listing's SKU, against it, or nothing."""

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

from catalog.mapping_lint import Standing
from catalog.matching import Evidence, barcode_forms, plain_barcode
from catalog.models import Listing, Proposal, Sku

_AT_ONCE = 500


class Spoken(NamedTuple):
    """How a listing stands to its SKU, and by which kind of evidence; `barcode` as its shop told it last."""

    standing: Standing
    evidence: Evidence = Evidence.NONE
    barcode: str = ""


def standings(listing_ids: Collection[int]) -> dict[int, Spoken]:
    """By the key of each mapped listing. Every 500 of them cost the same few queries."""
    keys = sorted(listing_ids)
    found: dict[int, Spoken] = {}
    for start in range(0, len(keys), _AT_ONCE):
        found |= _part(keys[start : start + _AT_ONCE])
    return found


def _part(keys: list[int]) -> dict[int, Spoken]:
    listings = list(Listing.objects.filter(pk__in=keys, sku__isnull=False).only("sku", "outer_id"))
    if not listings:
        return {}
    told = Proposal.objects.filter(listing__in=listings).exclude(barcode="")
    barcodes = dict(told.values_list("listing", "barcode"))
    forms = {form for barcode in barcodes.values() for form in barcode_forms(barcode)}
    by_barcode: dict[str, set[int]] = defaultdict(set)
    for sku_id, barcode in Sku.objects.filter(barcode__in=forms).values_list("pk", "barcode"):
        by_barcode[plain_barcode(barcode)].add(sku_id)
    codes = {listing.outer_id for listing in listings if listing.outer_id}
    by_code = dict(Sku.objects.filter(code__in=codes).values_list("code", "pk"))
    mapped = Listing.objects.current().filter(outer_id__in=codes, sku__isnull=False, ownership=Listing.Ownership.OWN)
    elsewhere: dict[str, dict[int, int]] = defaultdict(dict)
    for pk, outer_id, sku_id in mapped.values_list("pk", "outer_id", "sku"):
        elsewhere[outer_id][pk] = sku_id
    found = {}
    for listing in listings:
        barcode = barcodes.get(listing.pk, "")
        keyed_in = {
            Evidence.BARCODE: by_barcode.get(plain_barcode(barcode), set()) if barcode else set(),
            Evidence.CODE: {by_code[listing.outer_id]} if listing.outer_id in by_code else set(),
        }
        others = {sku_id for pk, sku_id in elsewhere.get(listing.outer_id, {}).items() if pk != listing.pk}
        standing, evidence = _standing(listing.sku_id, keyed_in, others)
        found[listing.pk] = Spoken(standing, evidence, barcode)
    return found


def _standing(sku_id: int | None, keyed_in: dict[Evidence, set[int]], elsewhere: set[int]) -> tuple[Standing, Evidence]:
    """Barcode and code decide, unless they say both; the mappings of other listings, which may be wrong themselves,
    only speak for a SKU."""
    speaks = {evidence: sku_ids for evidence, sku_ids in keyed_in.items() if sku_ids}
    if speaks:
        evidence = next(iter(speaks))
        if all(sku_ids == {sku_id} for sku_ids in speaks.values()):
            return Standing.FOR, evidence
        if all(sku_id not in sku_ids for sku_ids in speaks.values()):
            return Standing.AGAINST, evidence
        return Standing.SILENT, Evidence.NONE
    return (Standing.FOR, Evidence.ELSEWHERE) if elsewhere == {sku_id} else (Standing.SILENT, Evidence.NONE)
