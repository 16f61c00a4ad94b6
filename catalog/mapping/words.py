"""What is found and what is done about it, in sentences."""

from collections.abc import Container, Iterable, Mapping

from django.utils.translation import gettext, ngettext

from catalog.mapping.decisions import Decided
from catalog.matching import Conflict, ConflictKind
from config import formatting


def conflict_text(conflict: Conflict, codes: Mapping[int, str], barcodes: Container[str] = ()) -> str:
    """What speaks against a proposal. `codes` are those of the SKUs, and `barcodes` those that the person may see."""
    words = formatting.joined(conflict.words)
    skus = formatting.joined(codes.get(sku_id, gettext("a SKU of another channel")) for sku_id in conflict.sku_ids)
    match conflict.kind:
        case ConflictKind.TWO_SKUS:
            return gettext("Several SKUs fit: %(skus)s.") % {"skus": skus}
        case ConflictKind.TWO_LISTINGS:
            return gettext("The SKU fits other listings of this channel, too: %(ids)s.") % {"ids": words}
        case ConflictKind.BARCODE_DIFFERS:
            shown = formatting.joined(word for word in conflict.words if word in barcodes)
            if not shown:
                return gettext("The SKU is known with another barcode.")
            return gettext("The SKU is known with another barcode: %(barcodes)s.") % {"barcodes": shown}
        case ConflictKind.MAPPED_OTHERWISE:
            return gettext("The listing is mapped to %(sku)s.") % {"sku": skus}
        case ConflictKind.COMPETITOR:
            return gettext("Here the listing is a competitor's.")


def conflict_label(kind: ConflictKind) -> str:
    """The same in a few words, for lists."""
    return {
        ConflictKind.TWO_SKUS: gettext("several SKUs fit"),
        ConflictKind.TWO_LISTINGS: gettext("fits several listings"),
        ConflictKind.BARCODE_DIFFERS: gettext("barcode differs"),
        ConflictKind.MAPPED_OTHERWISE: gettext("mapped otherwise"),
        ConflictKind.COMPETITOR: gettext("a competitor's here"),
    }[kind]


def left_sentences(decided: Decided) -> Iterable[str]:
    """How many proposals were left alone, and why; one sentence per reason."""
    for reason, count in decided.left.items():
        if count:
            yield _left(reason, count) % {"count": formatting.count(count)}


def _left(reason: str, count: int) -> str:
    match reason:
        case "conflict":
            return ngettext(
                "%(count)s left alone: something speaks against it. Open it to decide.",
                "%(count)s left alone: something speaks against them. Open each to decide.",
                count,
            )
        case "weak":
            return ngettext(
                "%(count)s left alone: only the title fits. Open it to decide.",
                "%(count)s left alone: only the title fits. Open each to decide.",
                count,
            )
        case "nothing":
            return ngettext("%(count)s left alone: no SKU fits.", "%(count)s left alone: no SKU fits.", count)
        case "unseen":
            return ngettext(
                "%(count)s left alone: its SKU belongs to channels that you do not see.",
                "%(count)s left alone: their SKUs belong to channels that you do not see.",
                count,
            )
        case "changed":
            return ngettext(
                "%(count)s left alone: its listing was changed since.",
                "%(count)s left alone: their listings were changed since.",
                count,
            )
        case "competitor":
            return ngettext(
                "%(count)s left alone: here the listing is a competitor's.",
                "%(count)s left alone: here the listings are a competitor's.",
                count,
            )
        case "fits":
            return ngettext(
                "%(count)s left alone: a SKU fits. Accept it instead.",
                "%(count)s left alone: SKUs fit. Accept them instead.",
                count,
            )
        case "taken":
            return ngettext(
                "%(count)s left alone: its code is a SKU's already.",
                "%(count)s left alone: their codes are SKUs' already.",
                count,
            )
        case "twice":
            return ngettext(
                "%(count)s left alone: another chosen one has the same merchant code or barcode.",
                "%(count)s left alone: other chosen ones have the same merchant code or barcode.",
                count,
            )
        case "kept":
            return ngettext(
                "%(count)s SKU stays: it is used or was changed since.",
                "%(count)s SKUs stay: they are used or were changed since.",
                count,
            )
        case _:
            return ngettext("%(count)s left alone: decided before.", "%(count)s left alone: decided before.", count)
