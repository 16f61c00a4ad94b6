"""How much stock there was in each place, and how much of it was sold: what a turnover is worked out of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.db.models import Case, F, Min, Q, Sum, Value, When
from django.db.models.functions import Least

from catalog.database import among, driver_rows
from catalog.models import StockMovement
from monitoring.planning import health
from monitoring.planning.safety import Floats
from monitoring.services.planning.demand import NEVER, PLACES, Ints, local_day, midnight, site_zone

WINDOW_DAYS = 90
LEAST_DAYS = 28  # a turnover of fewer is left to luck
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Flow:
    """What was booked in each place on the last 90 whole days and today; pieces, and days as ordinals."""

    begins: int  # the first of these days
    first: Ints  # day on which something was booked; NEVER: on none of them
    change: Floats  # of what is on hand, all in all
    weighted: Floats  # each change times the days from `begins` until it was booked
    sold: Floats  # less what came back; without today


def flow_of(place_of: Mapping[int, int], skus: Sequence[int], *, now: datetime) -> Flow:
    """One grouped statement; `place_of` says where a place's figures go."""
    day = now.astimezone(site_zone()).date()
    today, begins = day.toordinal(), day.toordinal() - WINDOW_DAYS
    since = midnight(day - WINDOW_DAYS * _DAY)
    count = len(place_of)
    first = np.full(count, NEVER, np.int64)
    change, weighted, sold = np.zeros((3, count))
    # Booked since, too: that is indexed, and nothing is booked long before it happens.
    booked = StockMovement.objects.filter(created_at__gte=since - _DAY, happened_at__gte=since, sku__in=among(skus))
    by_day = booked.exclude(kind__in=StockMovement.RESERVING).order_by().values("sku", "warehouse")
    is_sale = Q(kind__in=(StockMovement.Kind.SALE, StockMovement.Kind.RETURN), happened_at__lt=midnight(day))
    moved = Least(local_day("happened_at"), Value(today))
    grouped = by_day.annotate(
        day=Min(moved),
        change=Sum("quantity"),
        weighted=Sum(F("quantity") * (moved - Value(begins))),
        sold=Sum(Case(When(is_sale, then=-F("quantity")), default=Value(0))),
    )
    for sku, warehouse, *figures in driver_rows(grouped, ("sku", "warehouse", "day", "change", "weighted", "sold")):
        if (place := place_of.get(sku * PLACES + warehouse)) is not None:
            first[place], change[place], weighted[place], sold[place] = figures
    return Flow(begins, first, change, weighted, sold)


def turns_of(flow: Flow, on_hand: Floats, counted_since: Ints) -> tuple[Floats, Floats]:
    """Turnover a year, and the mean of the stock at the end of each day, in pieces; of the last 90 days, or of those
    since it is counted. NaN where these are too few, or nobody knows the stock of one of them.

    A SKU's cost is the same above and below the line, so that its turnover in pieces is that at cost.
    """
    begins = np.maximum(flow.begins, counted_since)
    days = flow.begins + WINDOW_DAYS - begins
    # From the level now back: a change counts for all the days before it was booked.
    before = flow.weighted - flow.change * (begins - flow.begins)
    is_known = (days >= LEAST_DAYS) & ((flow.first >= begins) | (begins == flow.begins))
    whole = np.where(is_known, days, 1)
    mean = np.where(is_known, on_hand - before / whole, np.nan)
    return health.turnover(np.maximum(flow.sold, 0), whole, mean).turns, mean
