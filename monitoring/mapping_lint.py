"""The mappings that look wrong, among all that one person sees: found when they look, within a time."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Concat

from catalog import mapping_lint
from catalog.mapping.standings import Spoken, standings
from catalog.mapping_lint import Finding, Line
from catalog.models import Dismissal, Listing, User
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
    Concat("sku__product__name", Value(" "), "sku__name"),
)


# By listing and kind of finding.
Dismissals = dict[tuple[int, str], Dismissal]


@dataclass
class Found:
    """Findings, the listings they are about, and where to go on: after this SKU's key; None: that was all.

    `dismissals` holds what was said of dismissed ones, `spoken` what codes and barcodes say of the listings.
    """

    findings: list[Finding] = field(default_factory=list)
    go_on_after: int | None = None
    dismissals: Dismissals = field(default_factory=dict)
    spoken: dict[int, Spoken] = field(default_factory=dict)


# Findings before they are weighed, with the lines that they name.
Raw = tuple[list[Finding], dict[int, Line]]


def find(
    *,
    user: User,
    now: datetime,
    after: int = 0,
    sees_cost: bool,
    dismissed: bool = False,
    seconds: float = SECONDS,
) -> Found:
    """Go through the mapped listings, SKU by SKU, for about `seconds`; the number of queries is always the same.

    What is not about one SKU comes with the first part. Either what nobody has dismissed, or what somebody has.
    """
    listings = _mapped(user)
    held = _dismissals(listings)
    found = Found(dismissals=held)

    raw: list[Finding] = []
    lines: dict[int, Line] = {}
    count = 0

    def add(part: Raw) -> None:
        nonlocal count
        raw.extend(part[0])
        lines.update(part[1])
        count += sum(not _is_dismissed(each, held) for each in part[0])

    if not after:
        most = _MOST_OF_ITEMS + len(held)  # so that the dismissed ones leave room for as many others
        add(_dead(listings, now, most))
        add(_of_items(listings, most))
    ends = time.monotonic() + seconds
    rows = listings.filter(sku__gt=after).order_by("sku", "pk")
    for sku_id, group in groupby(_lines(rows), key=lambda pair: pair[0].sku_id):
        add(_of_sku(list(group), sees_cost))
        if (len(raw) - count if dismissed else count) >= MOST or time.monotonic() >= ends:
            found.go_on_after = sku_id
            break
    weighed, found.spoken = _weighed((raw, lines))
    found.findings = [each for each in weighed if _is_dismissed(each, held) is dismissed]
    return found


def about(*, listing: Listing, user: User, now: datetime, sees_cost: bool) -> tuple[list[Finding], dict[int, Spoken]]:
    """What looks wrong about one listing among those that the person sees, dismissed or not."""
    listings = _mapped(user)
    raw: list[Finding] = []
    lines: dict[int, Line] = {}
    parts = (
        _dead(listings.filter(pk=listing.pk), now, _MOST_OF_ITEMS),
        _of_items(listings.filter(_beside(listing)), _MOST_OF_ITEMS),
        _of_sku(list(_lines(listings.filter(sku=listing.sku_id))), sees_cost),
    )
    for findings, named in parts:
        raw += findings
        lines |= named
    weighed, spoken = _weighed((raw, lines))
    return [each for each in weighed if each.listing_id == listing.pk], spoken


def _beside(listing: Listing) -> Q:
    return Q(channel=listing.channel_id, platform_item_id=listing.platform_item_id)


def _weighed(raw: Raw) -> tuple[list[Finding], dict[int, Spoken]]:
    findings, lines = raw
    named = {pk for each in findings for pk in (each.listing_id, each.other_id) if pk}
    spoken = standings(named)
    return mapping_lint.weighed(findings, lines, {pk: each.standing for pk, each in spoken.items()}), spoken


def _mapped(user: User) -> QuerySet[Listing]:
    own = Listing.objects.visible_to(user).current()
    return own.filter(sku__isnull=False, ownership=Listing.Ownership.OWN)


def _dismissals(listings: QuerySet[Listing]) -> Dismissals:
    rows = Dismissal.objects.of_present_mappings().filter(listing__in=listings).select_related("by")
    return {(each.listing_id, each.kind): each for each in rows}


def _is_dismissed(finding: Finding, held: Dismissals) -> bool:
    dismissal = held.get((finding.listing_id, finding.kind.value))
    return dismissal is not None and mapping_lint.is_as_dismissed(finding.facts, dismissal.facts)


def _of_sku(rows: Sequence[tuple[Line, tuple[Any, str]]], sees_cost: bool) -> Raw:
    """Of the listings of one SKU, each with what a unit costs."""
    cost, cost_currency = rows[0][1] if rows and sees_cost else (None, "")
    lines = [line for line, _cost in rows]
    return _with_lines(mapping_lint.of_sku(lines, cost=cost, cost_currency=cost_currency), lines)


def _with_lines(findings: list[Finding], lines: Iterable[Line]) -> Raw:
    """Only the lines that the findings name are kept."""
    named = {pk for each in findings for pk in (each.listing_id, each.other_id)}
    return findings, {line.listing_id: line for line in lines if line.listing_id in named} if named else {}


def _lines(rows: QuerySet[Listing]) -> Iterator[tuple[Line, tuple[Any, str]]]:
    """Each listing, with what a unit of its SKU costs."""
    columns = (*_COLUMNS, "sku__cost_price", "sku__cost_currency")
    for *values, cost, currency in rows.values_list(*columns).iterator(chunk_size=_ROWS_AT_ONCE):
        yield Line(*values), (cost, currency)


def _dead(listings: QuerySet[Listing], now: datetime, most: int) -> Raw:
    missing = listings.filter(watch__outcome=ListingWatch.Outcome.MISSING).annotate(
        good_at=Coalesce("watch__read_at", "created_at")
    )
    rows = missing.filter(good_at__lte=now - mapping_lint.DEAD_AFTER).order_by("good_at")
    dead = [
        (Line(*values), good_at)
        for *values, good_at in rows.values_list(*_COLUMNS, "good_at")[:most]
        if mapping_lint.is_dead(is_missing=True, last_good_at=good_at, now=now)
    ]
    return _with_lines([mapping_lint.dead(*each) for each in dead], [line for line, _good_at in dead])


def _of_items(listings: QuerySet[Listing], most: int) -> Raw:
    """What stands under two SKUs; only items of which that can be true are looked at."""
    others = listings.filter(channel=OuterRef("channel")).exclude(sku=OuterRef("sku"))
    beside_variant = Q(platform_sku_id="") & Exists(
        others.filter(platform_item_id=OuterRef("platform_item_id")).exclude(platform_sku_id="")
    )
    shares_stock = ~Q(platform_stock_id="") & Exists(others.filter(platform_stock_id=OuterRef("platform_stock_id")))
    suspects = listings.filter(beside_variant | shares_stock).order_by("channel", "platform_item_id")
    items = set(suspects.values_list("channel", "platform_item_id").distinct()[:most])
    rows = listings.filter(platform_item_id__in={item_id for _channel_id, item_id in items})
    rows = rows.order_by("channel", "platform_item_id", "pk")
    found: list[Finding] = []
    of_found: dict[int, Line] = {}
    lines = (Line(*values) for values in rows.values_list(*_COLUMNS))
    for item, group in groupby(lines, key=lambda line: (line.channel_id, line.item_id)):
        if item in items:  # and not one of another channel by the same id
            findings, named = _with_lines(mapping_lint.of_item(of_one := list(group)), of_one)
            found += findings
            of_found |= named
    return found[:most], of_found
