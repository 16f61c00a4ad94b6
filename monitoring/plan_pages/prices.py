"""How much the prices of a channel's listings move, from one day to the next."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django import forms
from django.core.paginator import Page
from django.db.models import F, FloatField, Max, Min, OuterRef, QuerySet, Subquery
from django.db.models.functions import Cast, Coalesce
from django.utils.translation import gettext_lazy as _

from catalog.models import Channel, Listing, User
from monitoring.charts.data import Row, compared_rows, moment_of, unknown_since
from monitoring.history import safe_cell
from monitoring.models import Observation
from monitoring.plan_pages.scope import PAGE_SIZE, PlanScope, page_of
from monitoring.planning.safety import Floats
from monitoring.planning.volatility import volatility

DAYS = 30
_LIST, _LIVE = 3, 4  # places in a Row
CSV_HEAD = ["channel", "listing", "title", "price", "days", "variation", "change", "range", "currency"]


class PriceFilters(forms.Form):
    channel = forms.ModelChoiceField(Channel.objects.none(), required=False, label=_("Channel"), empty_label=None)

    def __init__(self, data: Mapping[str, Any], user: User) -> None:
        super().__init__(data)
        channel: Any = self.fields["channel"]
        channel.queryset = Channel.objects.visible_to(user).order_by("name", "pk")


@dataclass(frozen=True, slots=True)
class Mover:
    """Ratios; None with fewer than two days of a known price, for the change three."""

    listing: Listing
    is_live: bool  # False: no live price was read, so it is the list price
    days: int  # with a known price
    variation: float | None
    change: float | None
    range_share: float | None


def _narrowed(listings: QuerySet[Listing], scope: PlanScope) -> QuerySet[Listing]:
    """By what their SKUs are: a listing of no SKU is of no brand, no supplier and no class."""
    if not scope.form.is_valid():
        return listings.none()
    given = scope.given
    if "brand" in given:
        listings = listings.filter(sku__product__brand=given["brand"])
    if "supplier" in given:
        listings = listings.filter(sku__supplier=given["supplier"])
    if "abc" in given or "warehouse" in given:
        listings = listings.filter(sku__in=scope.plans.order_by().values("sku"))
    return listings


def moving(channel: Channel, scope: PlanScope, now: datetime) -> QuerySet[Listing]:
    """Listings of which anything changed in the period, by the span of what was read in it, the widest first.

    The order leaves out what was in force when the period began; the figures do not.
    """
    read = Observation.objects.filter(
        listing=OuterRef("pk"), observed_at__gt=now - timedelta(days=DAYS), observed_at__lte=now, is_gap=False
    )
    price = Coalesce("live_price", "list_price")
    span = read.order_by().values("listing").annotate(least=Min(price), most=Max(price)).filter(least__gt=0)
    ratio = span.values_list(Cast(F("most") - F("least"), FloatField()) / Cast("least", FloatField()))
    listings: QuerySet[Listing] = Listing.objects.filter(channel=channel, removed_at__isnull=True)
    return _narrowed(listings, scope).annotate(span=Subquery(ratio)).filter(span__isnull=False).order_by("-span", "pk")


def page_of_movers(channel: Channel, scope: PlanScope, now: datetime) -> tuple[Page[Any], list[Mover]]:
    page = page_of(moving(channel, scope, now).select_related("channel", "watch", "sku"), scope.data)
    return page, movers(list(page.object_list), channel, now)


def movers(listings: Sequence[Listing], channel: Channel, now: datetime) -> list[Mover]:
    """The three measures of each, in the same order; two queries."""
    if not listings:
        return []
    rows: dict[int, list[Row]] = defaultdict(list)
    for row in compared_rows(listings, now - timedelta(days=DAYS), now):
        rows[row[0]].append(row)
    ends = _ends_of_days(channel, now)
    prices = np.full((len(listings), len(ends)), np.nan)
    live = [any(row[_LIVE] is not None for row in rows[listing.pk]) for listing in listings]
    for number, (listing, is_live) in enumerate(zip(listings, live, strict=True)):
        prices[number] = _daily(rows[listing.pk], _LIVE if is_live else _LIST, ends)
        last_at = moment_of(rows[listing.pk][-1][1]) if rows[listing.pk] else None
        if (since := unknown_since(listing, last_at, now)) is not None:
            prices[number, ends > _microseconds(since)] = np.nan
    found = volatility(prices)
    known = (~np.isnan(prices)).sum(axis=1)
    figures = (found.variation, found.change_sd, found.range_share)
    return [
        Mover(listing, live[number], int(known[number]), *(_or_none(figure[number]) for figure in figures))
        for number, listing in enumerate(listings)
    ]


def _ends_of_days(channel: Channel, now: datetime) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The ends of the channel's local days of the period in microseconds, the last one now."""
    zone = ZoneInfo(channel.time_zone)
    today = now.astimezone(zone).date()
    starts = [datetime.combine(today - timedelta(days=ago), time(), zone) for ago in range(DAYS - 1, -1, -1)]
    return np.array([*map(_microseconds, starts), _microseconds(now)], np.int64)


def _daily(rows: Sequence[Row], place: int, ends: np.ndarray[Any, np.dtype[np.int64]]) -> Floats:
    """The price in force at each of these times; NaN in gaps, and before the first row."""
    if not rows:
        return np.full(len(ends), np.nan)
    prices: list[Any] = [None if row[2] else row[place] for row in rows]
    values = np.array([float(price) if price and price > 0 else np.nan for price in prices])
    last = np.searchsorted(np.array([row[1] for row in rows], np.int64), ends, side="right") - 1
    found: Floats = np.where(last < 0, np.nan, values[np.maximum(last, 0)])
    return found


def _microseconds(moment: datetime) -> int:
    return (moment - moment_of(0)) // timedelta(microseconds=1)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def csv_rows(channel: Channel, scope: PlanScope, now: datetime) -> Iterator[list[str]]:
    yield CSV_HEAD
    listings = moving(channel, scope, now).select_related("channel", "watch")
    for start in range(0, listings.count(), PAGE_SIZE * 10):
        for mover in movers(list(listings[start : start + PAGE_SIZE * 10]), channel, now):
            figures = (mover.variation, mover.change, mover.range_share)
            yield [
                *map(safe_cell, (channel.name, mover.listing.platform_id, mover.listing.title)),
                "live" if mover.is_live else "list",
                str(mover.days),
                *("" if figure is None else f"{figure:.6f}" for figure in figures),
                channel.currency,
            ]
