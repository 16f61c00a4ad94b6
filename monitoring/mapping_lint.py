"""The mappings that look wrong, among all that one person sees: found when they look, within a time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from catalog import mapping_lint
from catalog.mapping_lint import Finding, FindingKind, Line
from catalog.models import Listing, User
from monitoring.models import ListingWatch

SECONDS = 3.0
MOST = 100  # findings on one page
_MOST_OF_ITEMS = 100  # findings of the kinds that are not about one SKU
_ROWS_AT_ONCE = 5_000

_COLUMNS = (
    "pk",
    "sku",
    "channel",
    "platform_item_id",
    "platform_sku_id",
    "platform_stock_id",
    "title",
    "pack_factor",
    "live_price",
    "channel__currency",
)


@dataclass
class Found:
    """Findings, the listings they are about, and where to go on: after this SKU's key; None: that was all."""

    findings: list[Finding] = field(default_factory=list)
    go_on_after: int | None = None


def find(*, user: User, now: datetime, after: int = 0, sees_cost: bool, seconds: float = SECONDS) -> Found:
    """Go through the mapped listings, SKU by SKU, for about `seconds`; the number of queries is always the same.

    What is not about one SKU comes with the first part.
    """
    listings = Listing.objects.visible_to(user).current().filter(sku__isnull=False, ownership=Listing.Ownership.OWN)
    found = Found()
    if not after:
        found.findings += [*_dead(listings, now), *_of_items(listings)]
    ends = time.monotonic() + seconds
    rows = listings.filter(sku__gt=after).order_by("sku", "pk")
    for sku_id, group in groupby(_lines(rows), key=lambda pair: pair[0].sku_id):
        lines = list(group)
        cost, cost_currency = lines[0][1] if sees_cost else (None, "")
        found.findings += mapping_lint.of_sku([line for line, _cost in lines], cost=cost, cost_currency=cost_currency)
        if len(found.findings) >= MOST or time.monotonic() >= ends:
            found.go_on_after = sku_id
            break
    return found


def _lines(rows: QuerySet[Listing]) -> Iterator[tuple[Line, tuple[Any, str]]]:
    """Each listing, with what a unit of its SKU costs."""
    columns = (*_COLUMNS, "sku__cost_price", "sku__cost_currency")
    for *values, cost, currency in rows.values_list(*columns).iterator(chunk_size=_ROWS_AT_ONCE):
        yield Line(*values), (cost, currency)


def _dead(listings: QuerySet[Listing], now: datetime) -> list[Finding]:
    missing = listings.filter(watch__outcome=ListingWatch.Outcome.MISSING).annotate(
        good_at=Coalesce("watch__read_at", "created_at")
    )
    rows = missing.filter(good_at__lte=now - mapping_lint.DEAD_AFTER).order_by("good_at")
    return [
        Finding(FindingKind.DEAD, listing_id, sku_id)
        for listing_id, sku_id, good_at in rows.values_list("pk", "sku", "good_at")[:_MOST_OF_ITEMS]
        if mapping_lint.is_dead(is_missing=True, last_good_at=good_at, now=now)
    ]


def _of_items(listings: QuerySet[Listing]) -> list[Finding]:
    """What stands under two SKUs; only items of which that can be true are looked at."""
    others = listings.filter(channel=OuterRef("channel")).exclude(sku=OuterRef("sku"))
    beside_variant = Q(platform_sku_id="") & Exists(
        others.filter(platform_item_id=OuterRef("platform_item_id")).exclude(platform_sku_id="")
    )
    shares_stock = ~Q(platform_stock_id="") & Exists(others.filter(platform_stock_id=OuterRef("platform_stock_id")))
    suspects = listings.filter(beside_variant | shares_stock).order_by("channel", "platform_item_id")
    items = list(suspects.values_list("channel", "platform_item_id").distinct()[:_MOST_OF_ITEMS])
    wanted = Q(pk__in=[])
    for channel_id, item_id in items:
        wanted |= Q(channel=channel_id, platform_item_id=item_id)
    rows = listings.filter(wanted).order_by("channel", "platform_item_id", "pk") if items else listings.none()
    lines = [Line(*values) for values in rows.values_list(*_COLUMNS)]
    found: list[Finding] = []
    for _item, group in groupby(lines, key=lambda line: (line.channel_id, line.item_id)):
        found += mapping_lint.of_item(list(group))
    return found[:_MOST_OF_ITEMS]
