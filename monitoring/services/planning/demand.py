"""What was asked for of each SKU in each warehouse, by local days: worked out of the ledger, kept as compact rows.

A history ends with the last day on which anything was booked: afterwards nothing was sold, and it is read as such. So a
night touches only what moved, and histories worked out anew are the same bytes.
"""

import itertools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, Exists, F, IntegerField, Max, Min, OuterRef, Q, Sum, TextField, Value, When
from django.db.models.functions import Cast
from numpy.typing import NDArray

from catalog.database import Microseconds, among, driver_rows, moment_of, put_rows
from catalog.models import Listing, Order, OrderLine, StockLevel, StockMovement, Warehouse
from monitoring.models import DemandHistory, ImportedSale, Observation, PlanRun
from monitoring.planning.demand import over_gap, sales_of_snapshots
from monitoring.services.planning.readings import shown_stock

Mark, Source = DemandHistory.Mark, DemandHistory.Source
Ints: TypeAlias = NDArray[np.int64]

# Days of what moved since the last run; a SKU with older news is worked out from its beginning.
RECENT_DAYS = 14
SKUS_AT_ONCE = 5_000
_MOST_UNITS = 2**31 - 1
_OVERLAP = timedelta(hours=1)  # a booking may be seen later than the time it bears
_DAY = timedelta(days=1)
_EPOCH = date(1970, 1, 1).toordinal()
PLACES = 10**7  # warehouses' keys are below it
NEVER = date.max.toordinal()
_OF_LEDGER = (Source.ORDERS.value, Source.LEDGER.value)
_FIELDS = ("source", "first_day", "last_day", "units", "marks", "built_at")


@dataclass(frozen=True, slots=True)
class Demand:
    """[series, days] until yesterday, NaN where not known; a series is a SKU in a warehouse."""

    sku: Ints
    warehouse: Ints
    units: NDArray[np.float32]
    last_day: date
    counted_since: Ints  # the first day at whose end the stock was known, as an ordinal; NEVER: none

    @property
    def keys(self) -> Ints:
        return place_keys(self.sku, self.warehouse)


def place_keys(sku: Any, warehouse: Any) -> Ints:
    """One number for a SKU in a warehouse."""
    return np.asarray(sku, np.int64) * PLACES + np.asarray(warehouse, np.int64)


def site_zone() -> ZoneInfo:
    """Warehouses have no zone of their own."""
    return ZoneInfo(settings.TIME_ZONE)


def yesterday(now: datetime) -> date:
    return now.astimezone(site_zone()).date() - _DAY


def midnight(day: date) -> datetime:
    """When a local day begins."""
    return datetime.combine(day, time(), site_zone()).astimezone(UTC)


def build_demand(sku_ids: Collection[int] | None = None, *, now: datetime) -> int:
    """Work out the histories of these SKUs from their beginning, or those of all that moved since the last whole run;
    up to yesterday. Returns how many were worked out."""
    return catch_up(now=now) if sku_ids is None else _rebuild(sorted(sku_ids), now)


def catch_up(sku_ids: Collection[int] | None = None, *, now: datetime) -> int:
    """Work out what moved since the last whole run, of these SKUs or of all; returns how many histories did."""
    last = PlanRun.objects.filter(kind=PlanRun.Kind.FULL, ended_at__isnull=False, problem="").order_by("-pk").first()
    if last is None:
        return _rebuild(None if sku_ids is None else sorted(sku_ids), now)
    until = yesterday(now).toordinal()
    # What was booked on the day of that run was left to the next one.
    since = midnight(last.started_at.astimezone(site_zone()).date()) - _OVERLAP
    news = StockMovement.objects.filter(created_at__gte=since).order_by().values("sku", "warehouse")
    imported = ImportedSale.objects.exclude(sku__demand__isnull=False).order_by()
    if sku_ids is not None:
        of_skus = Q(sku__in=among(sorted(sku_ids)))
        news, imported = news.filter(of_skus), imported.filter(of_skus)
    first = news.annotate(day=Min(local_day("happened_at")), ordered=Min(local_day("order_line__order__ordered_at")))
    recent: dict[int, int] = {}
    old: set[int] = set()
    for sku, warehouse, day, ordered in driver_rows(first, ("sku", "warehouse", "day", "ordered")):
        begin = day if ordered is None else min(day, ordered)
        if begin < until - RECENT_DAYS:
            old.add(sku)
        elif begin <= until:
            recent[sku * PLACES + warehouse] = begin
    # What lies before the ledger is looked up once, as a place begins.
    places = driver_rows(DemandHistory.objects.order_by(), ("sku", "warehouse"))
    begun = {sku * PLACES + warehouse for sku, warehouse in places}
    old |= {key // PLACES for key in recent if key not in begun}
    old |= set(imported.values_list("sku", flat=True).distinct())
    old |= {sku for sku, _warehouse in shown_stock(sku_ids, now=now)}
    recent = {key: begin for key, begin in recent.items() if key // PLACES not in old}
    return _rebuild(sorted(old), now) + _continue(recent, now)


def history_keys() -> Ints:
    """Of all places that have a history."""
    places = driver_rows(DemandHistory.objects.order_by(), ("sku", "warehouse"))
    return np.sort(place_keys(*np.array(places, np.int64).reshape(-1, 2).T))


def load_demand(keys: Ints | None = None, *, now: datetime, most_days: int = 365) -> Demand:
    """The histories of these places, ascending, or of all; a place without one has only days that are not known.

    As far back as the longest of all histories, at most so many days, so that a SKU is read alike whoever is with it.
    """
    last = yesterday(now).toordinal()
    rows = DemandHistory.objects.order_by()
    longest = rows.aggregate(first=Min("first_day"))["first"]
    days = min(most_days, last - longest.toordinal() + 1) if longest else 0
    if keys is None:
        keys = history_keys()
    else:
        rows = rows.filter(sku__in=among(np.unique(keys // PLACES).tolist()))
    units = np.full((len(keys), max(days, 1)), np.nan, np.float32)
    counted_since = np.full(len(keys), NEVER, np.int64)
    begin = last - units.shape[1] + 1
    place_of = {key: place for place, key in enumerate(keys.tolist())}
    columns = ("sku", "warehouse", "first_day", "last_day", "units", "marks", "source")
    for sku, warehouse, first_day, last_day, blob, marks, source in _blobs(rows, columns):
        place = place_of.get(sku * PLACES + warehouse)
        if place is None:
            continue
        known = np.frombuffer(blob, "<i4")[max(begin - first_day, 0) : max(last - first_day + 1, 0)]
        start = max(first_day - begin, 0)
        row = units[place]
        row[start : start + len(known)] = known
        # Where the ledger speaks, nothing booked is nothing sold; files and readings tell of their own days alone.
        if source in _OF_LEDGER and not ended_empty(marks):
            row[max(last_day - begin + 1, 0) :] = 0
        counted_since[place] = first_day if marks[0] & Mark.COUNTED else _counted_since(first_day, marks)
    for start in range(0, len(units), SKUS_AT_ONCE):
        part = units[start : start + SKUS_AT_ONCE]
        part[part < 0] = np.nan
    return Demand(keys // PLACES, keys % PLACES, units, date.fromordinal(last), counted_since)


def _counted_since(first_day: int, marks: bytes) -> int:
    counted = np.frombuffer(marks, np.uint8) & Mark.COUNTED
    return first_day + int(counted.argmax()) if counted.any() else NEVER


def local_day(moment: str) -> Any:
    """The ordinal of the local day that a time lies in, in SQL."""
    seconds = Microseconds(moment) / Value(1_000_000)
    offsets = _offsets(settings.TIME_ZONE)
    latest = offsets[-1][1]
    if len(offsets) == 1:
        offset: Any = Value(latest)
    else:
        whens = [
            When(**{f"{moment}__lt": ends}, then=Value(ahead))
            for (_begins, ahead), (ends, _next) in itertools.pairwise(offsets)
        ]
        offset = Case(*whens, default=Value(latest), output_field=IntegerField())
    return (seconds + offset) / Value(86_400) + Value(_EPOCH)


@lru_cache(maxsize=8)
def _offsets(zone_name: str) -> list[tuple[datetime, int]]:
    """Since 2000: from when on the zone is how many seconds ahead of UTC."""
    zone = ZoneInfo(zone_name)

    def ahead(at: datetime) -> int:
        return round((at.astimezone(zone).utcoffset() or timedelta()).total_seconds())

    at = datetime(2000, 1, 1, tzinfo=UTC)
    found = [(at, ahead(at))]
    while at.year < 2100:
        later = at + 7 * _DAY
        if ahead(later) != found[-1][1]:
            low, high = at, later
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if ahead(middle) == found[-1][1] else (low, middle)
            found.append((high.replace(second=0, microsecond=0), ahead(high)))
        at = later
    return found


# --- Working out ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Events:
    """What happened by place and day; `change` is of the units that can be sold."""

    key: list[int] = field(default_factory=list)
    day: list[int] = field(default_factory=list)
    change: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    is_counted: list[int] = field(default_factory=list)
    of_orders: set[int] = field(default_factory=set)

    def add(self, key: int, day: int, *, change: int = 0, asked: int = 0, is_counted: int = 0) -> None:
        self.key.append(key)
        self.day.append(day)
        self.change.append(change)
        self.asked.append(asked)
        self.is_counted.append(is_counted)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A history before the ledger begins, or before what is worked out anew."""

    first: int
    units: Ints
    marks: NDArray[np.uint8]
    source: str

    @property
    def last(self) -> int:
        return self.first + len(self.units) - 1


def _rebuild(sku_ids: Sequence[int] | None, now: datetime) -> int:
    if sku_ids is None:
        moved = StockMovement.objects.order_by().values_list("sku", flat=True).distinct()
        imported = ImportedSale.objects.order_by().values_list("sku", flat=True).distinct()
        sku_ids = sorted({*moved, *imported, *(sku for sku, _warehouse in shown_stock(now=now))})
    today = yesterday(now).toordinal() + 1
    built = 0
    for start in range(0, len(sku_ids), SKUS_AT_ONCE):
        some = sku_ids[start : start + SKUS_AT_ONCE]
        of_skus = Q(sku__in=among(some))
        movements = StockMovement.objects.filter(of_skus)
        events = _events(movements, movements)
        begins: dict[int, int] = {}
        for key, day in zip(events.key, events.day, strict=True):
            begins[key] = min(day, begins.get(key, day))
        # Where nothing was ever booked, readings and files tell of all days until yesterday.
        until = {sku * PLACES + warehouse: today for sku, warehouse in shown_stock(some, now=now)} | begins
        earlier = _together(_imported(of_skus, begins), _snapshots(some, until, now))
        keys = np.array(sorted({*begins, *earlier}), np.int64)
        built += _store(keys, events, np.zeros(len(keys), np.int64), earlier, None, now)
    return built


def _continue(begins: Mapping[int, int], now: datetime) -> int:
    """Work out the last days of these places again, from the first of them that has news."""
    if not begins:
        return 0
    first = min(begins.values())
    keys = np.array(sorted(begins), np.int64)
    skus = np.unique(keys // PLACES).tolist()
    of_skus = Q(sku__in=among(skus))
    movements = StockMovement.objects.filter(of_skus, created_at__gte=midnight(date.fromordinal(first)) - _DAY)
    lines = movements.filter(kind=StockMovement.Kind.RESERVE).values("order_line")
    events = _events(movements, StockMovement.objects.filter(of_skus, order_line__in=lines), first=first)
    wanted = set(begins)
    levels = StockLevel.objects.filter(of_skus).order_by()
    there = {
        sku * PLACES + warehouse: units
        for sku, warehouse, units in driver_rows(levels, ("sku", "warehouse", "available"))
    }
    since = dict.fromkeys(begins, 0)
    for key, change in zip(events.key, events.change, strict=True):
        if key in wanted:
            since[key] += change
    base = np.array([there.get(key, 0) - since[key] for key in keys.tolist()], np.int64)
    earlier = {}
    rows = DemandHistory.objects.filter(of_skus).order_by()
    columns = ("sku", "warehouse", "first_day", "last_day", "units", "marks", "source")
    for sku, warehouse, first_day, _last_day, blob, marks, source in _blobs(rows, columns):
        if (key := sku * PLACES + warehouse) in wanted and first_day < first:
            kept = first - first_day
            units = np.frombuffer(blob, "<i4")[:kept].astype(np.int64)
            earlier[key] = _padded(_Earlier(first_day, units, np.frombuffer(marks, np.uint8)[:kept], source), first)
    return _store(keys, events, base, earlier, first, now)


def _padded(history: _Earlier, until: int) -> _Earlier:
    """Up to that day, which is left out: nothing was booked meanwhile."""
    missing = until - history.first - len(history.units)
    if missing <= 0:
        return history
    is_empty = ended_empty(history.marks.tobytes())
    mark = history.marks[-1] & (Mark.COUNTED | Mark.LOWER_BOUND)
    return _Earlier(
        history.first,
        np.append(history.units, np.full(missing, -1 if is_empty else 0)),
        np.append(history.marks, np.full(missing, mark, np.uint8)),
        history.source,
    )


def ended_empty(marks: bytes) -> bool:
    """Whether the last day of a history ended with nothing to sell, so that the days after it tell nothing."""
    return bool(marks[-1] & Mark.COUNTED) and bool(marks[-1] & Mark.LOWER_BOUND)


def _events(movements: Any, of_open: Any, first: int | None = None) -> _Events:
    """Of the movements since a day: what changed by day, and what was asked for.

    Units of orders count on the day of the order, as many as were ordered; orders that were cancelled do not. An order
    takes its units when it is sent, or while it waits; a sale is booked back to the day of its payment, so that what
    was reserved until then is not counted once more.
    """
    events = _Events()
    is_promise = Q(kind__in=StockMovement.RESERVING)
    of_order = Q(order_line__isnull=False)
    units = F("quantity")
    by_day = movements.order_by().values("sku", "warehouse", day=local_day("happened_at"))
    by_day = by_day.annotate(
        change=Sum(Case(When(~is_promise, then=units), When(~of_order, then=-units), default=Value(0))),
        asked=Sum(Case(When(~of_order, kind=StockMovement.Kind.SALE, then=-units), default=Value(0))),
        known=Max(Case(When(kind__in=StockMovement.COUNTING, then=Value(1)), default=Value(0))),
    )
    for sku, warehouse, day, change, asked, known in driver_rows(
        by_day, ("sku", "warehouse", "day", "change", "asked", "known")
    ):
        if first is None or day >= first:
            events.add(sku * PLACES + warehouse, day, change=change, asked=asked, is_counted=known)
    has_promises = StockLevel.objects.filter(sku=OuterRef("sku"), warehouse=OuterRef("warehouse")).exclude(reserved=0)
    waiting = of_open.filter(is_promise & of_order, Exists(has_promises)).order_by()
    waiting = waiting.values("sku", "warehouse", "order_line")
    waiting = waiting.annotate(day=Min(local_day("happened_at")), left=Sum("quantity")).exclude(left=0)
    for sku, warehouse, day, left in driver_rows(waiting, ("sku", "warehouse", "day", "left")):
        if first is None or day >= first:
            events.add(sku * PLACES + warehouse, day, change=-left)
    _add_ordered(events, movements, first)
    return events


def _add_ordered(events: _Events, movements: Any, first: int | None) -> None:
    there = set(events.key)
    lines = OrderLine.objects.filter(pk__in=movements.filter(order_line__isnull=False).values("order_line"))
    lines = lines.filter(components__isnull=False, warehouse__isnull=False, quantity__gt=0)
    lines = lines.exclude(order__status__in=(Order.Status.CANCELLED, Order.Status.UNKNOWN)).order_by()
    ordered = lines.values("warehouse", parts=Cast("components", TextField()), day=local_day("order__ordered_at"))
    ordered = ordered.annotate(pieces=Sum("quantity"))
    components: dict[str, list[tuple[int, int]]] = {}
    for warehouse, text, day, pieces in driver_rows(ordered, ("warehouse", "parts", "day", "pieces")):
        if first is not None and day < first:
            continue
        if text not in components:
            components[text] = [(int(sku), int(units)) for sku, units in json.loads(text)]
        for sku, units in components[text]:
            key = sku * PLACES + warehouse
            if key in there:
                events.add(key, day, asked=pieces * units)
                events.of_orders.add(key)


def _store(
    keys: Ints,
    events: _Events,
    base: Ints,
    earlier: Mapping[int, _Earlier],
    first: int | None,
    now: datetime,
) -> int:
    """Work out and store the places' histories; `base` is what each had at the beginning of `first`."""
    until = yesterday(now).toordinal()
    every, days = np.array(events.key, np.int64), np.array(events.day, np.int64)
    within = np.isin(every, keys) & (days <= until)
    places, days = np.searchsorted(keys, every[within]), days[within]
    stored: list[tuple[Any, ...]] = []
    zero = min(int(days.min(initial=until)), until) if first is None else first
    shape = (len(keys), until - zero + 1)
    change, asked, counted = (np.zeros(shape, np.int64) for _array in range(3))
    for into, values in ((change, events.change), (asked, events.asked), (counted, events.is_counted)):
        np.add.at(into, (places, days - zero), np.array(values, np.int64)[within])
    began, ended = np.full((2, len(keys)), -1)
    began[:] = until + 1
    np.minimum.at(began, places, days)
    np.maximum.at(ended, places, days)
    was_counted = np.array(
        [bool(first is not None and key in earlier and earlier[key].marks[-1] & Mark.COUNTED) for key in keys.tolist()],
        dtype=bool,
    )
    closing = base[:, np.newaxis] + np.cumsum(change, axis=1)
    opening = closing - change
    knows_end = was_counted[:, np.newaxis] | (np.cumsum(counted, axis=1) > 0)
    knows_begin = np.concatenate([was_counted[:, np.newaxis], knows_end[:, :-1]], axis=1)
    # A place that begins with its first count could not be sold from, or not all of that day.
    is_new = np.array([first is None or key not in earlier for key in keys.tolist()], dtype=bool)
    is_first = (zero + np.arange(shape[1]) == np.where(is_new, began, -1)[:, np.newaxis]) & ~knows_begin & knows_end
    units = np.where(knows_begin & (opening <= 0) | is_first, -1, np.minimum(asked, _MOST_UNITS))
    marks = np.where(knows_end, Mark.COUNTED, 0) + np.where(knows_end & (closing <= 0), Mark.LOWER_BOUND, 0)
    marks = marks.astype(np.uint8)
    built_at = _stored_time(now)
    for place, key in enumerate(keys.tolist()):
        before, begin, end = earlier.get(key), int(began[place]), int(ended[place])
        if before is not None and first is not None:
            begin = first
        source = Source.ORDERS if key in events.of_orders else Source.LEDGER
        if end >= begin:
            part = slice(begin - zero, end - zero + 1)
            own_units, own_marks = units[place, part], marks[place, part]
            if before is not None:
                source = Source.ORDERS if before.source == Source.ORDERS else source
                gap = max(begin - before.last - 1, 0)  # nobody told of these days
                own_units = np.concatenate([before.units, np.full(gap, -1), own_units])
                own_marks = np.concatenate([before.marks, np.zeros(gap, np.uint8), own_marks])
                begin = before.first
        elif before is not None:
            begin, end, own_units, own_marks, source = (
                before.first,
                before.last,
                before.units,
                before.marks,
                Source(before.source),
            )
        else:
            continue  # all of it is of today
        sku, warehouse = divmod(key, PLACES)
        stored.append(
            (
                sku,
                warehouse,
                str(source),
                _stored_day(begin),
                _stored_day(end),
                own_units.astype("<i4").tobytes(),
                own_marks.astype(np.uint8).tobytes(),
                built_at,
            )
        )
    with transaction.atomic():
        put_rows(DemandHistory, ("sku", "warehouse"), _FIELDS, stored)
    return len(stored)


# --- Before the ledger ----------------------------------------------------------------------------------------------


def _imported(of_skus: Q, begins: Mapping[int, int]) -> dict[int, _Earlier]:
    """What files tell of the days before a place's first movement. A day without a row is one without sales, up to the
    last day that a file tells of the warehouse."""
    rows = list(ImportedSale.objects.filter(of_skus).order_by().values_list("sku", "warehouse", "day", "units"))
    if not rows:
        return {}
    told = ImportedSale.objects.order_by().values_list("warehouse").annotate(last=Max("day"))
    last_of = {warehouse: last.toordinal() for warehouse, last in told}
    by_place: dict[int, dict[int, int]] = {}
    for sku, warehouse, day, units in rows:
        key = sku * PLACES + warehouse
        if day.toordinal() < begins.get(key, day.toordinal() + 1):
            by_place.setdefault(key, {})[day.toordinal()] = units
    found = {}
    for key, days in by_place.items():
        first = min(days)
        last = min(last_of[key % PLACES], begins.get(key, _MOST_UNITS) - 1)
        units_by_day = np.zeros(last - first + 1, np.int64)
        for number, units in days.items():
            units_by_day[number - first] = units
        marks = np.full(len(units_by_day), Mark.IMPORTED, np.uint8)
        found[key] = _Earlier(first, units_by_day, marks, Source.IMPORT)
    return found


def _snapshots(sku_ids: Sequence[int], begins: Mapping[int, int], now: datetime) -> dict[int, _Earlier]:
    """What readings of a listing's stock tell of the days before the ledger; in the first active warehouse.

    Several listings may show the same stock: the one that was read to move most often speaks for its SKU.
    """
    warehouse = Warehouse.objects.filter(is_active=True).values_list("pk", flat=True).first()
    begins = {key: day for key, day in begins.items() if key % PLACES == warehouse}
    if not begins:
        return {}
    own = Listing.objects.filter(sku__in=among(sku_ids), ownership=Listing.Ownership.OWN)
    read = Observation.objects.filter(listing__in=own, observed_at__lt=now).order_by("listing", "observed_at")
    columns = ("listing__sku", "listing", "listing__pack_factor", "observed_at", "is_gap", "stock")
    readings: dict[int, dict[int, list[tuple[datetime, int | None]]]] = {}
    for sku, listing, pack, at, is_gap, stock in driver_rows(read, columns):
        if sku * PLACES + (warehouse or 0) in begins:
            told = None if is_gap or stock is None else stock * pack
            readings.setdefault(sku, {}).setdefault(listing, []).append((moment_of(at), told))
    found = {}
    for sku, listings in readings.items():
        chosen = max(listings, key=lambda listing: (len(listings[listing]), -listing))
        key = sku * PLACES + (warehouse or 0)
        if (history := _of_readings(listings[chosen], begins[key])) is not None:
            found[key] = history
    return found


def _together(imported: Mapping[int, _Earlier], read: Mapping[int, _Earlier]) -> dict[int, _Earlier]:
    """What a file says counts for more than what readings let one guess; those go on where it ends."""
    found = {**read, **imported}
    for key in imported.keys() & read.keys():
        told, after = imported[key], read[key]
        gap = after.first - told.last - 1
        if after.last <= told.last:
            continue
        kept = max(-gap, 0)
        found[key] = _Earlier(
            told.first,
            np.concatenate([told.units, np.full(max(gap, 0), -1), after.units[kept:]]),
            np.concatenate([told.marks, np.zeros(max(gap, 0), np.uint8), after.marks[kept:]]),
            Source.SNAPSHOTS,
        )
    return found


def _of_readings(readings: Sequence[tuple[datetime, int | None]], before: int) -> _Earlier | None:
    """Sales by day from what a stock fell by; None where nothing was read before that day."""
    zone = site_zone()
    days = [at.astimezone(zone).date().toordinal() for at, _stock in readings]
    begin = next((day for day, (_at, stock) in zip(days, readings, strict=True) if stock is not None), before)
    if begin >= before:
        return None
    units, marks = np.zeros(before - begin), np.zeros(before - begin, np.uint8)
    opening = np.full(before - begin, np.nan)
    is_hidden = np.zeros(before - begin, bool)  # a receipt came while nobody read
    last: tuple[int, int] | None = None  # day and stock of the last reading that told one
    was_gap = False
    for day, (_at, stock) in zip(days, readings, strict=True):
        if day >= before:
            break
        if stock is None:
            was_gap = True
            continue
        if last is not None:
            opening[last[0] + 1 - begin : day + 1 - begin] = last[1]
            balance = sales_of_snapshots(last[1], stock)
            gap = (
                slice(last[0] + 1 - begin, day + 1 - begin)
                if was_gap and day > last[0]
                else slice(day - begin, day + 1 - begin)
            )
            units[gap] += over_gap(float(balance.sold), gap.stop - gap.start)
            if gap.stop - gap.start > 1:
                marks[gap] |= np.uint8(Mark.SPREAD)
            if balance.unexplained_receipts > 0:
                marks[day - begin] |= np.uint8(Mark.INFERRED)
                is_hidden[gap] |= was_gap
        last, was_gap = (day, stock), False
    if last is not None:
        opening[last[0] + 1 - begin :] = last[1]
    # Whole units, so that their sum stays what it was.
    whole = np.diff(np.floor(np.cumsum(units) + 1e-6), prepend=0).astype(np.int64)
    with np.errstate(invalid="ignore"):
        whole[(opening <= 0) | is_hidden] = -1
    return _Earlier(begin, whole, marks, Source.SNAPSHOTS)


# --- As the database keeps it ---------------------------------------------------------------------------------------


def _blobs(rows: Any, columns: Sequence[str]) -> Iterator[list[Any]]:
    """Rows of histories in which days are ordinals and the rest is as the driver gives it."""
    sql, parameters = rows.values_list(*columns).query.sql_with_params()
    days = [number for number, name in enumerate(columns) if name.endswith("_day")]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        while part := cursor.fetchmany(2_000):
            for row in part:
                values = list(row)
                for number in days:
                    values[number] = _ordinal(values[number])
                yield values


@lru_cache(maxsize=5_000)
def _ordinal(day: str | date) -> int:
    return (day if isinstance(day, date) else date.fromisoformat(day)).toordinal()


@lru_cache(maxsize=5_000)
def _stored_day(day: int) -> Any:
    return connection.ops.adapt_datefield_value(date.fromordinal(day))


def _stored_time(at: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(at)
