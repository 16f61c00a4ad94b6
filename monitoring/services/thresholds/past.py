"""What listings said before: for rules that compare, and for replays."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from datetime import datetime
from heapq import merge
from operator import itemgetter
from typing import Any

from django.db.models import Exists, F, Max, Min, OuterRef, Q, QuerySet, Subquery

from catalog.database import Microseconds, TenThousandths, among, driver_rows, first_known, given
from catalog.models import Listing
from monitoring.models import DailyRollup, Observation, Threshold
from monitoring.services.thresholds.figures import PRICES
from monitoring.services.watching import microseconds
from monitoring.thresholds.rules import Kind, Rule, value_of

# A listing, a moment, whether a gap begins, the three prices, the stock and the shelf state; None is not known.
Row = tuple[int, int, bool, int | None, int | None, int | None, int | None, str]
Point = tuple[int, int | None]  # a moment, and a price


def change_points(ids: Sequence[int], start: datetime, now: datetime) -> list[Row]:
    """The change points of these listings from `start` to `now` by listing and time, beginning with what was in force
    at `start`, as if it were of that moment; two statements."""
    facts = [*((price, TenThousandths(price)) for price in PRICES), ("stock", F("stock")), ("shelf", F("shelf_state"))]
    first, later = _points(ids, start, now, [("gap", F("is_gap")), *facts])
    start_us = microseconds(start)
    known = [(pk, start_us, *values) for pk, *values in first if values[-1] is not None]
    return list(merge(sorted(known), later, key=itemgetter(0, 1)))


def price_histories(ids: Sequence[int], price: str, start: datetime, now: datetime) -> dict[int, list[Point]]:
    """The same of one price, by listing."""
    first, later = _points(ids, start, now, [("price", TenThousandths(price))])
    start_us = microseconds(start)
    histories: dict[int, list[Point]] = {pk: [(start_us, amount)] for pk, amount in first}
    for listing_id, at_us, amount in later:
        histories[listing_id].append((at_us, amount))
    return histories


def price_ranges(
    ids: Sequence[int], price: str, start: datetime, now: datetime
) -> dict[int, tuple[int | None, int | None]]:
    """The lowest and the highest known price of these listings from `start` to `now`, with what was in force at
    `start`; two statements."""
    before = Observation.objects.filter(listing=OuterRef("pk"), observed_at__lte=start).order_by("-observed_at")
    in_force = Subquery(before.annotate(its=TenThousandths(price)).values("its")[:1])
    ranges: dict[int, tuple[int | None, int | None]] = {
        pk: (amount, amount)
        for pk, amount in driver_rows(Listing.objects.filter(pk__in=among(ids)).order_by(), ("pk", in_force))
    }
    later = Observation.objects.filter(listing__in=among(ids), observed_at__gt=start, observed_at__lte=now)
    ends = later.order_by().values("listing_id").annotate(low=Min(price), high=Max(price))
    columns = ("listing_id", TenThousandths("low"), TenThousandths("high"))
    for listing_id, low, high in driver_rows(ends, columns):
        first, _first = ranges[listing_id]
        if first is None:
            ranges[listing_id] = low, high
        elif low is not None:
            ranges[listing_id] = min(first, low), max(first, high)
    return ranges


def _points(
    ids: Sequence[int], start: datetime, now: datetime, columns: Sequence[tuple[str, Any]]
) -> tuple[list[Any], list[Any]]:
    """Of each listing what was in force at `start`, and the rows after it with their times; in the order of both."""
    named = {f"its_{name}": column for name, column in columns}
    # Per listing, since the planner of a join would look through the history of all the others.
    before = Observation.objects.filter(listing=OuterRef("pk"), observed_at__lte=start).order_by("-observed_at")
    in_force = [Subquery(before.annotate(**named).values(name)[:1]) for name in named]
    first = driver_rows(Listing.objects.filter(pk__in=among(ids)).order_by(), ("pk", *in_force))
    later = Observation.objects.filter(listing__in=among(ids), observed_at__gt=start, observed_at__lte=now)
    expressions = [column for _name, column in columns]
    rows = later.order_by("listing_id", "observed_at")
    return first, driver_rows(rows, ("listing_id", Microseconds("observed_at"), *expressions))


def history_before(points: Sequence[Row], place: int, at_us: int) -> list[Point]:
    """The points of one price before a moment."""
    before = points[: bisect_left(points, at_us, key=itemgetter(1))]
    return [(point[1], point[3 + place]) for point in before]  # type: ignore[misc]


def last_known(listing_ids: Collection[int], now: datetime) -> dict[int, list[Any]]:
    """Of each listing the last known prices, stock and orderable units before `now`, for when the last reading did
    not tell, and since when each price was what it was; one statement."""
    before = Observation.objects.filter(listing=OuterRef("pk"), observed_at__lt=now).order_by("-observed_at")
    columns: list[Any] = [
        Subquery(before.filter(**{f"{price}__isnull": False}).annotate(its=TenThousandths(price)).values("its")[:1])
        for price in PRICES
    ]
    columns.append(Subquery(before.filter(stock__isnull=False).values("stock")[:1]))
    # As value_of() understands it: sold out with stock left contradicts itself, and tells nothing.
    told = (Q(stock__isnull=False) & ~Q(shelf_state="sold_out")) | (
        Q(shelf_state="sold_out") & (Q(stock__isnull=True) | Q(stock=0))
    )
    for of_orderable in ("stock", "shelf_state"):
        columns.append(Subquery(before.filter(told).values(of_orderable)[:1]))
    columns.append(Subquery(before.exclude(shelf_state="unknown").values("shelf_state")[:1]))
    for price in PRICES:
        priced = before.filter(**{f"{price}__isnull": False}).annotate(since_us=Microseconds("observed_at"))
        columns.append(Subquery(priced.values("since_us")[:1]))
    listings = Listing.objects.filter(pk__in=among(sorted(listing_ids))).order_by()
    return {pk: rest for pk, *rest in driver_rows(listings, ("pk", *columns))}


def last_value(rule: Rule, known: Sequence[Any]) -> int | None:
    value: int | None
    match rule.kind:
        case Kind.STOCK_AT_MOST:
            value = known[3]
        case Kind.SOLD_OUT | Kind.RESTOCKED:
            value = value_of(rule, None, known[4], known[5] or "unknown")
        case Kind.OFF_SHELF:
            value = value_of(rule, None, None, known[6] or "unknown")
        case _:
            value = known[PRICES.index(rule.fact)]
    return value


def last_since_us(rule: Rule, known: Sequence[Any]) -> int | None:
    """Since when the last known price of the rule was what it was; None where it was never known."""
    since_us: int | None = known[7 + PRICES.index(rule.fact)]
    return since_us


def baselines_of(wanted: Sequence[tuple[Threshold, int]]) -> dict[tuple[int | None, int], int | None]:
    """The price of each listing when the comparison of its threshold began; by threshold and listing. One statement."""
    if not wanted:
        return {}
    prices = sorted({threshold.price for threshold, _listing_id in wanted})
    rows = [(listing_id, threshold.baseline_at) for threshold, listing_id in wanted]
    found = first_known(Observation, ("listing", "observed_at"), rows, [_baseline(price) for price in prices])
    return {
        (threshold.pk, listing_id): values[prices.index(threshold.price)]
        for (threshold, listing_id), values in zip(wanted, found, strict=True)
    }


def _baseline(price: str) -> tuple[QuerySet[Observation, Any], QuerySet[Observation, Any]]:
    """The last known price at that moment; of a listing that was not known then, its first one since."""
    at = given("observed_at")
    known = Observation.objects.filter(listing=given("listing_id"), **{f"{price}__isnull": False})
    known = known.annotate(its=TenThousandths(price))
    earlier = known.filter(observed_at__lte=at).order_by("-observed_at").values("its")
    # Where history was rolled up to days, what is kept need not begin before that moment.
    is_whole = ~Exists(DailyRollup.objects.filter(listing=OuterRef("listing")))
    later = known.filter(is_whole, observed_at__gt=at).order_by("observed_at").values("its")
    return earlier[:1], later[:1]
