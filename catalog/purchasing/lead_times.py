"""How long suppliers take, from what they have delivered; what they state holds until enough has come."""

import math
import statistics
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from catalog.database import among
from catalog.models import PurchaseReceiptLine, Supplier

# Fewer say nothing about the next one.
LEAST_RECEIPTS = 3
# What is older says little about the next one.
REMEMBERED = timedelta(days=730)
_DAY = timedelta(days=1)


class Basis(StrEnum):
    MEASURED = "measured"  # from receipts of the SKU from this supplier
    STATED = "stated"  # what the supplier says: too few receipts
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LeadTime:
    """Days from sending an order to its arrival. None: not known."""

    basis: Basis
    days: float | None
    spread_days: float | None  # standard deviation
    receipts: int  # how many there are, be it too few


def lead_times(pairs: Collection[tuple[int, int]], *, now: datetime) -> dict[tuple[int, int], LeadTime]:
    """By (supplier, SKU), in two statements.

    An order line counts once, with the mean day of its units, so that a rest that comes late weighs as little as it
    is. With fewer than 3 lines what the supplier states holds.
    """
    suppliers = Supplier.objects.in_bulk({supplier for supplier, _sku in pairs})
    measured = _measured({supplier for supplier, _sku in pairs}, {sku for _supplier, sku in pairs}, now)
    found = {}
    for pair in pairs:
        days = measured.get(pair, [])
        if len(days) >= LEAST_RECEIPTS:
            found[pair] = LeadTime(Basis.MEASURED, statistics.fmean(days), statistics.stdev(days), len(days))
        else:
            found[pair] = _stated(suppliers.get(pair[0]), len(days))
    return found


def _measured(suppliers: set[int], skus: set[int], now: datetime) -> dict[tuple[int, int], list[float]]:
    """By (supplier, SKU) the lead time of each order line of which something came."""
    rows = PurchaseReceiptLine.objects.filter(
        receipt__received_at__gte=now - REMEMBERED,
        receipt__received_at__lte=now,
        line__order__supplier__in=among(sorted(suppliers)),
        line__sku__in=among(sorted(skus)),
    ).order_by("receipt__received_at", "pk")
    weights: dict[tuple[int, int, int], list[tuple[float, int]]] = defaultdict(list)
    for supplier, sku, line, sent, received, units in rows.values_list(
        "line__order__supplier", "line__sku", "line", "line__order__sent_at", "receipt__received_at", "quantity"
    ):
        if sent is None:
            continue
        weights[supplier, sku, line].append(((received - sent) / _DAY, units))
    found: dict[tuple[int, int], list[float]] = defaultdict(list)
    for (supplier, sku, _line), parts in weights.items():
        found[supplier, sku].append(math.fsum(days * units for days, units in parts) / sum(u for _days, u in parts))
    return found


def _stated(supplier: Supplier | None, receipts: int) -> LeadTime:
    if supplier is None or supplier.lead_time_days is None:
        return LeadTime(Basis.UNKNOWN, None, None, receipts)
    spread = supplier.lead_time_spread_days
    return LeadTime(Basis.STATED, float(supplier.lead_time_days), None if spread is None else float(spread), receipts)
