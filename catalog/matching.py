"""Which of our SKUs a listing found in a shop is: what speaks for it, how much that is worth, what speaks against it.

Strong evidence is what the merchant keyed in to tell items apart: the barcode, the merchant code that is a SKU's code,
the merchant code that other listings of a SKU have. A title is none of it: it is shown, and never acted on by itself.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Evidence(StrEnum):
    """Strongest first."""

    BARCODE = "barcode"
    CODE = "code"  # the merchant code is the SKU's code
    ELSEWHERE = "elsewhere"  # the merchant code of another listing, which is mapped
    TITLE = "title"
    NONE = ""


STRONG = (Evidence.BARCODE, Evidence.CODE, Evidence.ELSEWHERE)
BULK_EVIDENCE = tuple(evidence.value for evidence in STRONG)


class ConflictKind(StrEnum):
    TWO_SKUS = "two-skus"  # sku_ids: all that fit
    TWO_LISTINGS = "two-listings"  # others of the channel are or seem to be the same SKU; platform_ids
    BARCODE_DIFFERS = "barcode-differs"  # of the SKU, or of its other listings; barcodes
    MAPPED_OTHERWISE = "mapped-otherwise"  # sku_ids: what it is mapped to
    COMPETITOR = "competitor"  # our listing of these ids is a competitor's


@dataclass(frozen=True, slots=True)
class Conflict:
    kind: ConflictKind
    sku_ids: tuple[int, ...] = ()
    words: tuple[str, ...] = ()  # platform ids or barcodes

    @property
    def stored(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"kind": self.kind.value, "sku_ids": list(self.sku_ids), "words": list(self.words)}

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> "Conflict":
        return cls(ConflictKind(stored["kind"]), tuple(stored["sku_ids"]), tuple(stored["words"]))


@dataclass(frozen=True, slots=True)
class Candidates:
    """The SKUs, by their keys, that each kind of evidence names for one found listing."""

    barcode: Collection[int] = ()
    code: Collection[int] = ()
    elsewhere: Collection[int] = ()
    title: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Mapped:
    """Our own listing of the same ids: its SKU (None: not mapped), and whose it is."""

    sku_id: int | None
    is_own: bool = True


@dataclass(frozen=True, slots=True)
class Match:
    sku_id: int | None
    evidence: Evidence
    conflicts: tuple[Conflict, ...] = field(default=())

    @property
    def is_clear(self) -> bool:
        """Whether it may be accepted without a look at it."""
        return self.sku_id is not None and self.evidence in STRONG and not self.conflicts


def match(
    *,
    candidates: Candidates,
    mapped: Mapped | None = None,
    barcode: str = "",
    sku_barcodes: Mapping[int, Collection[str]] | None = None,
    others: Mapping[int, Sequence[str]] | None = None,
) -> Match:
    """The SKU that fits best, and everything that contradicts it.

    `mapped`: our listing of the same ids. `barcode`: the found listing's. `sku_barcodes`: for a SKU, its barcode and
    those of its other listings. `others`: for a SKU, the platform ids of other listings of the channel that are mapped
    to it or seem to be it.
    """
    named = {
        Evidence.BARCODE: candidates.barcode,
        Evidence.CODE: candidates.code,
        Evidence.ELSEWHERE: candidates.elsewhere,
    }
    strong = [sku_id for evidence in STRONG for sku_id in sorted(named[evidence])]
    conflicts = []
    sku_id, evidence = None, Evidence.NONE
    if strong:
        evidence = next(kind for kind in STRONG if named[kind])
        # Of several that fit equally well none is suggested.
        sku_id = strong[0] if len(named[evidence]) == 1 else None
        if len(set(strong)) > 1:
            conflicts.append(Conflict(ConflictKind.TWO_SKUS, tuple(dict.fromkeys(strong))))
    elif len(set(candidates.title)) == 1:
        evidence, sku_id = Evidence.TITLE, next(iter(candidates.title))
    if mapped is not None and not mapped.is_own:
        conflicts.append(Conflict(ConflictKind.COMPETITOR))
    if mapped is not None and mapped.sku_id is not None and strong and mapped.sku_id not in strong:
        conflicts.append(Conflict(ConflictKind.MAPPED_OTHERWISE, (mapped.sku_id,)))
    if sku_id is not None:
        known = {plain_barcode(each) for each in (sku_barcodes or {}).get(sku_id, ())} - {""}
        if plain_barcode(barcode) and known - {plain_barcode(barcode)}:
            conflicts.append(
                Conflict(ConflictKind.BARCODE_DIFFERS, words=tuple(sorted(known - {plain_barcode(barcode)})))
            )
        if ids := (others or {}).get(sku_id, ()):
            conflicts.append(Conflict(ConflictKind.TWO_LISTINGS, words=tuple(ids)))
    return Match(sku_id, evidence, tuple(conflicts))


def plain_barcode(text: str) -> str:
    """A barcode without blanks and hyphens, and without the zeros that make a UPC of 12 digits an EAN of 13 or 14.

    "" for what has no digit: shops write "none" or "-" into the field.
    """
    plain = re.sub(r"[\s-]", "", text)
    if not re.search(r"[1-9]", plain):
        return ""
    return plain.lstrip("0") if plain.isdecimal() else plain.upper()


def barcode_forms(text: str) -> list[str]:
    """How one barcode may be written in a table: as given, plain, and with zeros in front up to 14 digits."""
    plain = plain_barcode(text)
    if not plain:
        return []
    padded = [plain.zfill(length) for length in (8, 12, 13, 14) if plain.isdecimal() and len(plain) <= length]
    return list(dict.fromkeys([text.strip(), plain, *padded]))
