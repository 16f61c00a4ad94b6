"""Readings against thresholds: what crosses a limit becomes an alert, what is back ends one; and the same as a replay."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from catalog.database import Microseconds, TenThousandths, among, driver_rows, parts, update_rows
from catalog.facts import ShelfState
from catalog.models import Channel, Listing, User
from monitoring.models import Alert, DailyRollup, ListingWatch, Observation, Threshold
from monitoring.services.alerts import end_alerts, open_alerts
from monitoring.services.watching import Claim, from_microseconds, microseconds
from monitoring.thresholds.rules import READING_KINDS, Crossing, Kind, Move, Rule, State, is_near, step, value_of
from monitoring.timing import due_after_success

PREVIEW_DAYS = 30
# A listing near a limit is read this many times as often, but not more often than listings can be.
NEAR_DIVISOR = 4
SHORTEST_INTERVAL = timedelta(seconds=30)

_PRICES = ("list_price", "live_price", "promotion_price")
# A preview takes up no further listings after so many change points.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREVIEW_ROWS = 300_000
_PREVIEW_LISTINGS = 500


class Read(NamedTuple):
    """One good reading: what was known before, and what it said, as columns hold it (see recording)."""

    claim: Claim
    values: tuple[str | None, str | None, str | None, int | None, str]
    seconds: int  # its interval
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert that there would have been. Values are as in the alert."""

    listing_id: int
    at: datetime
    old_value: str
    new_value: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a threshold would have done; `firings` newest first, one for each alert."""

    count: int
    listings: int  # it is about
    checked_listings: int  # fewer where there is more history than a preview looks through
    firings: list[Firing]
    since: datetime  # the days before are not looked at, or not kept
    is_possible: bool = True  # False: history does not tell what the threshold looks for


def rule_of(threshold: Threshold) -> Rule:
    """The threshold as the numbers that readings are judged by."""
    is_about_price = threshold.kind in (Kind.PRICE_RANGE, Kind.PRICE_CHANGE, Kind.VOLATILITY)
    return Rule(
        kind=threshold.kind,
        fact=threshold.price if is_about_price else "stock",
        low=_ten_thousandths(threshold.min_price),
        high=_ten_thousandths(threshold.max_price),
        percent=int((threshold.percent or 0) * 100),
        reference=threshold.reference,
        direction=threshold.direction,
        days=threshold.days or 0,
        since_us=microseconds(threshold.baseline_at) if threshold.baseline_at is not None else 0,
        stock=threshold.stock or 0,
        hysteresis=int(threshold.hysteresis * 100),
        cooldown_us=threshold.cooldown_minutes * 60_000_000,
    )


def listings_of(threshold: Threshold) -> QuerySet[Listing]:
    """The current listings that the threshold is about; it need not be stored."""
    listings = Listing.objects.current()
    if threshold.listing_id:
        listings = listings.filter(pk=threshold.listing_id)
    elif threshold.product_id:
        listings = listings.filter(sku__product=threshold.product_id)
    elif threshold.brand:
        listings = listings.filter(sku__product__brand=threshold.brand)
    else:
        listings = listings.filter(channel=threshold.channel_id)
    if threshold.ownership:
        listings = listings.filter(ownership=threshold.ownership)
    if threshold.kind == Kind.PRICE_RANGE:
        listings = listings.filter(channel__currency=threshold.currency)
    return listings


# --- Readings as they are stored ------------------------------------------------------------------------------------


def check_readings(*, channel_id: int, reads: Sequence[Read], now: datetime, started_at: datetime) -> None:
    """Open and end alerts for good readings of one channel that were stored just now, and read near ones sooner.

    Belongs into the transaction that stores them, after they are stored. The number of statements does not depend on
    how many readings there are; without a threshold it is one.
    """
    by_id = {read.claim.listing_id: read for read in reads}
    thresholds = _thresholds_for(channel_id, list(by_id)) if by_id else []
    if thresholds:
        _Check(channel_id, thresholds, by_id, now).run(started_at)


def _thresholds_for(channel_id: int, listing_ids: Sequence[int]) -> list[Threshold]:
    """The active ones that readings of these listings are judged by, with `channel_currency`."""
    chunk = Listing.objects.filter(pk__in=among(listing_ids), sku__isnull=False).order_by()
    subject = (
        Q(channel=channel_id)
        | Q(listing__in=among(listing_ids))
        | Q(product__in=chunk.values("sku__product"))
        | (~Q(brand="") & Q(brand__in=chunk.values("sku__product__brand")))
    )
    currency = Channel.objects.filter(pk=channel_id).values("currency")
    found = Threshold.objects.filter(subject, is_active=True, kind__in=READING_KINDS).order_by("pk")
    return [
        threshold
        for threshold in found.annotate(channel_currency=Subquery(currency))
        if threshold.kind != Kind.PRICE_RANGE or threshold.currency == threshold.channel_currency
    ]


class _Judge(NamedTuple):
    threshold: Threshold
    rule: Rule
    changed_us: int  # of the threshold
    place: int  # of its fact in a reading's values


class _LastAlert(NamedTuple):
    """The newest alert of a threshold and a listing: in force, or within the cooldown."""

    pk: int
    threshold_id: int
    subject_id: int  # of a listing, or of a channel
    last_us: int
    cleared_us: int | None
    count: int
    old_value: str
    new_value: str
    limit: str
    status: str
    acknowledged_us: int | None
    snoozed_us: int | None
    resolved_by: int | None

    def state(self, rule: Rule) -> State:
        old, new, limit = (_figure(rule, text) for text in (self.old_value, self.new_value, self.limit))
        against = limit if rule.kind == Kind.PRICE_RANGE else old
        has_sides = rule.kind in (Kind.PRICE_RANGE, Kind.PRICE_CHANGE) and new is not None and against is not None
        return State(
            is_in_force=self.cleared_us is None,
            side=(1 if new > against else -1) if has_sides else 0,  # type: ignore[operator]
            compared_with=old,
            crossed_us=self.last_us,
        )


class _Pending(NamedTuple):
    """One rule and one reading that need more than the reading to be judged."""

    judge: _Judge
    read: Read
    value: int | None
    state: State
    is_first: bool


class _Check:
    """One chunk of readings against the thresholds of its channel."""

    def __init__(
        self, channel_id: int, thresholds: Sequence[Threshold], reads: Mapping[int, Read], now: datetime
    ) -> None:
        self._channel_id = channel_id
        self._reads = reads
        self._now = now
        self._now_us = microseconds(now)
        self._judges = [
            _Judge(threshold, rule, microseconds(threshold.updated_at), _place(rule))
            for threshold in thresholds
            for rule in [rule_of(threshold)]
        ]
        self._alerts = _last_alerts(
            Alert.objects.filter(listing__in=among(list(reads))), "listing_id", thresholds, self._now
        )

    def run(self, started_at: datetime) -> None:
        book = Book(channel_id=self._channel_id, now=self._now)
        near: dict[int, Read] = {}
        pending: list[_Pending] = []
        now_us = self._now_us
        for judge, reads in self._subjects():
            rule, changed_us, place = judge.rule, judge.changed_us, judge.place
            threshold_id, is_level = judge.threshold.pk, rule.is_level
            for read in reads:
                claim, values = read.claim, read.values
                value = _read_value(rule, values, place)
                if value is None:
                    continue
                if is_near(rule, value):
                    near[claim.listing_id] = read
                alert = self._alerts.get((threshold_id, claim.listing_id))
                # Old facts that a wrong clock wrote ahead of time are old facts all the same.
                last = _read_value(rule, claim[6:11], place)
                is_first = claim.read_us is None or claim.read_us < changed_us <= now_us
                if not is_level and not is_first and value == last:
                    continue
                state = (alert.state(rule) if alert else State())._replace(last=last)
                is_unsaid = last is None and claim.observed_us is not None
                if is_unsaid or rule.has_window or rule.has_baseline:
                    pending.append(_Pending(judge, read, value, state, is_first))
                    continue
                _after, crossing = step(rule, state, value, now_us, is_first=is_first)
                if crossing is not None:
                    book.enter(judge.threshold, rule, claim.listing_id, crossing, alert)
        for each, history in self._with_past(pending):
            listing_id = each.read.claim.listing_id
            _after, crossing = step(
                each.judge.rule, each.state, each.value, now_us, is_first=each.is_first, history=history
            )
            if crossing is not None:
                alert = self._alerts.get((each.judge.threshold.pk, listing_id))
                book.enter(each.judge.threshold, each.judge.rule, listing_id, crossing, alert)
        book.close()
        _read_sooner(list(near.values()), started_at, self._now)

    def _subjects(self) -> Iterator[tuple[_Judge, list[Read]]]:
        """Each threshold with the readings that it is about."""
        goods: dict[int, tuple[int | None, str | None]] = {}
        if any(judge.threshold.product_id or judge.threshold.brand for judge in self._judges):
            of_chunk = Listing.objects.filter(pk__in=among(list(self._reads)))
            rows = of_chunk.values_list("pk", "sku__product", "sku__product__brand")
            goods = {pk: (product_id, brand) for pk, product_id, brand in rows}
        everything = list(self._reads.values())
        for judge in self._judges:
            threshold = judge.threshold
            if threshold.listing_id:
                reads = [self._reads[threshold.listing_id]]
            elif threshold.product_id:
                reads = [read for pk, read in self._reads.items() if goods[pk][0] == threshold.product_id]
            elif threshold.brand:
                reads = [read for pk, read in self._reads.items() if goods[pk][1] == threshold.brand]
            else:
                reads = everything
            if threshold.ownership:
                reads = [read for read in reads if read.claim.ownership == threshold.ownership]
            yield judge, reads

    def _with_past(self, pending: Sequence[_Pending]) -> Iterator[tuple[_Pending, list[tuple[int, int | None]]]]:
        """Each with what its rule needs of the past: the last known value, the baseline, the price over the days."""
        unsaid = {each.read.claim.listing_id for each in pending if each.state.last is None and _has_past(each)}
        last = _last_known(unsaid, self._now) if unsaid else {}
        windows = [each for each in pending if each.judge.rule.has_window]
        points: dict[int, list[_Row]] = defaultdict(list)
        if windows:
            longest = timedelta(days=max(each.judge.rule.days for each in windows))
            ids = sorted({each.read.claim.listing_id for each in windows})
            for row in _change_points(ids, self._now - longest, self._now):
                points[row[0]].append(row)
        baselines = _baselines(
            [(each.judge.threshold, each.read.claim.listing_id) for each in pending if each.judge.rule.has_baseline]
        )
        for each in pending:
            rule, listing_id, state = each.judge.rule, each.read.claim.listing_id, each.state
            if state.last is None and listing_id in last:
                state = state._replace(last=_last_value(rule, last[listing_id]))
            if rule.has_baseline:
                state = state._replace(baseline=baselines.get((each.judge.threshold.pk, listing_id)))
            # The row of this reading is stored by now, and not yet history.
            history = _history(points[listing_id], each.judge.place, self._now_us) if rule.has_window else []
            yield each._replace(state=state), history


def _has_past(each: _Pending) -> bool:
    return each.read.claim.observed_us is not None


def _read_sooner(near: Sequence[Read], started_at: datetime, now: datetime) -> None:
    """Have listings near a limit due again in a part of their interval; one statement."""
    due_by_seconds: dict[int, datetime] = {}
    rows: list[tuple[int, datetime]] = []
    for read in near:
        due_at = due_by_seconds.get(read.seconds)
        if due_at is None:
            interval = max(timedelta(seconds=read.seconds) / NEAR_DIVISOR, SHORTEST_INTERVAL)
            due_at = due_by_seconds[read.seconds] = due_after_success(started_at=started_at, interval=interval, now=now)
        if due_at < read.due_at:
            rows.append((read.claim.listing_id, due_at))
    update_rows(ListingWatch, "listing", ("next_due_at",), rows)


# --- From crossings to alerts ---------------------------------------------------------------------------------------


class Book:
    """The crossings of one channel at one moment, stored together."""

    def __init__(self, *, channel_id: int, now: datetime) -> None:
        self._channel_id = channel_id
        self._now = now
        self._opened: list[Alert] = []
        self._again: list[tuple[Any, ...]] = []
        self._ended: list[int] = []

    def enter(
        self, threshold: Threshold, rule: Rule, listing_id: int | None, crossing: Crossing, alert: _LastAlert | None
    ) -> None:
        """`alert` is the newest of the threshold and the listing, in force or within the cooldown."""
        texts = [_value_text(rule, value) for value in (crossing.old, crossing.new)]
        limit = _limit_text(rule, crossing.limit)
        self.enter_texts(
            threshold, rule.fact, listing_id, crossing.move, alert, old=texts[0], new=texts[1], limit=limit
        )

    def enter_texts(
        self,
        threshold: Threshold,
        fact: str,
        listing_id: int | None,
        move: Move,
        alert: _LastAlert | None,
        *,
        old: str,
        new: str,
        limit: str,
    ) -> None:
        is_in_force = alert is not None and alert.cleared_us is None
        if move == Move.AGAIN and alert is not None:
            status = _status_again(alert, microseconds(self._now))
            self._again.append((alert.pk, old, new, limit, alert.count + 1, status))
            return
        if is_in_force and alert is not None:
            self._ended.append(alert.pk)
        if move == Move.CLEARED:
            return
        self._opened.append(
            Alert(
                threshold=threshold,
                kind=threshold.kind,
                severity=threshold.severity,
                channel_id=self._channel_id,
                listing_id=listing_id,
                fact=fact,
                old_value=old,
                new_value=new,
                limit=limit,
                reference=threshold.reference,
                currency=getattr(threshold, "channel_currency", "") if fact in _PRICES else "",
                opened_at=self._now,
                last_at=self._now,
                updated_at=self._now,
            )
        )

    def close(self) -> tuple[int, int]:
        """Store it all; returns how many alerts opened and how many ended."""
        now = self._now
        ended = end_alerts(alert_ids=self._ended, now=now)
        update_rows(
            Alert,
            "id",
            ("old_value", "new_value", "limit", "count", "status"),
            self._again,
            also={"last_at": now, "cleared_at": None, "resolved_at": None, "resolved_by": None, "updated_at": now},
        )
        return open_alerts(alerts=self._opened, now=now), ended


def _status_again(alert: _LastAlert, now_us: int) -> str:
    """What people did with it before it ended by itself still holds; what they were done with is open again."""
    if alert.status != Alert.Status.RESOLVED:
        return alert.status
    if alert.resolved_by is None and alert.snoozed_us is not None and alert.snoozed_us > now_us:
        return Alert.Status.SNOOZED.value
    if alert.resolved_by is None and alert.acknowledged_us is not None:
        return Alert.Status.ACKNOWLEDGED.value
    return Alert.Status.OPEN.value


def _last_alerts(
    alerts: QuerySet[Alert], subject: str, thresholds: Sequence[Threshold], now: datetime
) -> dict[tuple[int, int], _LastAlert]:
    """The alerts in force, and the newest of those within a cooldown; by threshold and listing or channel."""
    longest = timedelta(minutes=max(threshold.cooldown_minutes for threshold in thresholds))
    found = alerts.filter(
        Q(cleared_at__isnull=True) | Q(last_at__gt=now - longest),
        threshold__in=among([threshold.pk for threshold in thresholds]),
    )
    rows = driver_rows(
        found.order_by("last_at", "pk"),
        (
            "pk",
            "threshold_id",
            subject,
            Microseconds("last_at"),
            Microseconds("cleared_at"),
            "count",
            "old_value",
            "new_value",
            "limit",
            "status",
            Microseconds("acknowledged_at"),
            Microseconds("snoozed_until"),
            "resolved_by_id",
        ),
    )
    newest: dict[tuple[int, int], _LastAlert] = {}
    for row in map(_LastAlert._make, rows):
        key = row.threshold_id, row.subject_id
        if key not in newest or newest[key].cleared_us is not None:
            newest[key] = row
    return newest


# --- The past -------------------------------------------------------------------------------------------------------

# A listing, a moment, whether a gap begins, the three prices, the stock and the shelf state; None is not known.
_Row = tuple[int, int, bool, int | None, int | None, int | None, int | None, str]


def _change_points(ids: Sequence[int], start: datetime, now: datetime) -> list[_Row]:
    """The change points of these listings from `start` to `now` by listing and time, beginning with those in force at
    `start`; one statement."""
    before = Observation.objects.filter(listing=OuterRef("pk"), observed_at__lte=start).order_by("-observed_at")
    begun = Coalesce(Subquery(before.values("observed_at")[:1]), Value(start))
    rows = Listing.objects.filter(
        pk__in=among(ids), observations__observed_at__gte=begun, observations__observed_at__lte=now
    ).order_by("pk", "observations__observed_at")
    columns = (
        "pk",
        Microseconds("observations__observed_at"),
        "observations__is_gap",
        *(TenThousandths(f"observations__{price}") for price in _PRICES),
        "observations__stock",
        "observations__shelf_state",
    )
    found: list[_Row] = driver_rows(rows, columns)
    return found


def _last_known(listing_ids: Collection[int], now: datetime) -> dict[int, list[Any]]:
    """Of each listing the last known prices, stock and orderable units before `now`, for when the last reading did
    not tell; one statement."""
    before = Observation.objects.filter(listing=OuterRef("pk"), observed_at__lt=now).order_by("-observed_at")
    columns: list[Any] = [
        Subquery(before.filter(**{f"{price}__isnull": False}).annotate(its=TenThousandths(price)).values("its")[:1])
        for price in _PRICES
    ]
    columns.append(Subquery(before.filter(stock__isnull=False).values("stock")[:1]))
    told = Q(stock__isnull=False) | Q(shelf_state="sold_out")
    for of_orderable in ("stock", "shelf_state"):
        columns.append(Subquery(before.filter(told).values(of_orderable)[:1]))
    columns.append(Subquery(before.exclude(shelf_state="unknown").values("shelf_state")[:1]))
    listings = Listing.objects.filter(pk__in=among(sorted(listing_ids))).order_by()
    return {pk: rest for pk, *rest in driver_rows(listings, ("pk", *columns))}


def _last_value(rule: Rule, known: Sequence[Any]) -> int | None:
    match rule.kind:
        case Kind.STOCK_AT_MOST:
            value: int | None = known[3]
            return value
        case Kind.SOLD_OUT | Kind.RESTOCKED:
            return value_of(rule, None, known[4], known[5] or "unknown")
        case Kind.OFF_SHELF:
            return value_of(rule, None, None, known[6] or "unknown")
        case _:
            value = known[_PRICES.index(rule.fact)]
            return value


def _baselines(
    wanted: Sequence[tuple[Threshold, int]], *, are_stored: bool = True
) -> dict[tuple[int | None, int], int | None]:
    """The price of each listing when the comparison of its threshold began; by threshold and listing.

    One statement for those about one listing each, and one for all the others. `are_stored`: no threshold differs from
    its row.
    """
    found: dict[tuple[int | None, int], int | None] = {}
    single = sorted({threshold.pk for threshold, _listing_id in wanted if threshold.listing_id and are_stored})
    if single:
        thresholds = Threshold.objects.filter(pk__in=among(single)).order_by()
        columns = [_baseline(OuterRef("listing"), OuterRef("baseline_at"), price) for price in _PRICES]
        for pk, listing_id, price, *values in driver_rows(thresholds, ("pk", "listing_id", "price", *columns)):
            found[pk, listing_id] = values[_PRICES.index(price)]
    many = {threshold.pk: threshold for threshold, _listing_id in wanted if not (threshold.listing_id and are_stored)}
    if many:
        ids = sorted({listing_id for threshold, listing_id in wanted if threshold.pk in many})
        listings = Listing.objects.filter(pk__in=among(ids)).order_by()
        columns = [_baseline(OuterRef("pk"), each.baseline_at, each.price) for each in many.values()]
        for listing_id, *values in driver_rows(listings, ("pk", *columns)):
            found |= {(pk, listing_id): value for pk, value in zip(many, values, strict=True)}
    return found


def _baseline(listing: OuterRef, at: Any, price: str) -> Coalesce:
    """The last known price at that moment; of a listing that was not known then, its first one since."""
    known = Observation.objects.filter(listing=listing, **{f"{price}__isnull": False})
    known = known.annotate(its=TenThousandths(price))
    earlier = known.filter(observed_at__lte=at).order_by("-observed_at").values("its")
    # Where history was rolled up to days, what is kept need not begin before that moment.
    is_whole = ~Exists(DailyRollup.objects.filter(listing=OuterRef("listing")))
    later = known.filter(is_whole, observed_at__gt=at).order_by("observed_at").values("its")
    return Coalesce(Subquery(earlier[:1]), Subquery(later[:1]))


# --- By the clock ---------------------------------------------------------------------------------------------------


def check_blind(*, now: datetime) -> int:
    """Open alerts for listings that were not read well for longer than so many of their intervals, end those that
    are read again; returns how many opened.

    Exactly at the limit a listing still counts as read. What nobody wants to read is not blind.
    """
    opened = 0
    for threshold in Threshold.objects.filter(kind=Kind.BLIND, is_active=True).order_by("pk"):
        with transaction.atomic():
            opened += _check_blind(threshold, now)
    return opened


def _check_blind(threshold: Threshold, now: datetime) -> int:
    alerts = _last_alerts(Alert.objects.filter(threshold=threshold), "listing_id", [threshold], now)
    late = {row[0]: row for row in _late(threshold, now)}
    books: dict[int, Book] = {}
    for listing_id, channel_id, read_us in late.values():
        alert = alerts.get((threshold.pk, listing_id))
        if alert is not None and alert.cleared_us is None:
            continue
        is_again = alert is not None and microseconds(now) - alert.last_us < threshold.cooldown_minutes * 60_000_000
        read_at = from_microseconds(read_us)
        books.setdefault(channel_id, Book(channel_id=channel_id, now=now)).enter_texts(
            threshold,
            "",
            listing_id,
            Move.AGAIN if is_again else Move.OPENED,
            alert,
            old=read_at.isoformat() if read_at else "",
            new="",
            limit=str(threshold.intervals),
        )
    over = [alert.pk for key, alert in alerts.items() if alert.cleared_us is None and key[1] not in late]
    end_alerts(alert_ids=over, now=now)
    return sum(book.close()[0] for book in books.values())


def _late(threshold: Threshold, now: datetime) -> list[tuple[int, int, int | None]]:
    """Listing, channel and last good reading of those that are read too late for the threshold."""
    seconds = Coalesce("interval_seconds", "channel__interval_seconds")
    known_us = Microseconds(Coalesce("read_at", "listing__created_at"))
    late = ListingWatch.objects.filter(
        listing__in=listings_of(threshold).order_by().values("pk"), is_paused=False, channel__is_watched=True
    ).annotate(known_us=known_us, seconds=seconds)
    missed = (threshold.intervals or 0) * 1_000_000
    late = late.filter(known_us__lt=microseconds(now) - F("seconds") * missed).order_by("pk")
    rows: list[tuple[int, int, int | None]] = driver_rows(late, ("pk", "channel_id", Microseconds("read_at")))
    return rows


def check_authorisations(*, ends: Mapping[int, datetime | None], now: datetime) -> int:
    """Open alerts for channels whose authorisation ends within the days of a threshold, or has ended; end those that
    were renewed. Returns how many opened.

    `ends` has a time for each channel, None where it is not known, which changes nothing. Exactly so many days ahead
    counts as within them.
    """
    thresholds = list(
        Threshold.objects.filter(kind=Kind.AUTHORISATION, is_active=True, channel__in=list(ends)).order_by("pk")
    )
    if not thresholds:
        return 0
    opened = 0
    with transaction.atomic():
        of_channels = Alert.objects.filter(listing__isnull=True, channel__in=list(ends))
        alerts = _last_alerts(of_channels, "channel_id", thresholds, now)
        for threshold in thresholds:
            assert threshold.channel_id is not None  # noqa: S101  # as the query says
            ends_at = ends[threshold.channel_id]
            if ends_at is None:
                continue
            alert = alerts.get((threshold.pk, threshold.channel_id))
            is_in_force = alert is not None and alert.cleared_us is None
            is_due = ends_at - now <= timedelta(days=threshold.days or 0)
            if is_due == is_in_force:
                continue
            is_again = alert is not None and microseconds(now) - alert.last_us < threshold.cooldown_minutes * 60_000_000
            move = Move.CLEARED if is_in_force else Move.AGAIN if is_again else Move.OPENED
            book = Book(channel_id=threshold.channel_id, now=now)
            book.enter_texts(
                threshold, "", None, move, alert, old="", new=ends_at.isoformat(), limit=str(threshold.days)
            )
            opened += book.close()[0]
    return opened


def end_abandoned(*, now: datetime) -> int:
    """End the alerts that no threshold stands for any more: it was deleted, switched off, or made another one, or its
    listing was removed or is another's by now. Returns how many."""
    of_goods = {"product": "listing__sku__product", "brand": "listing__sku__product__brand"}
    no_longer = (
        Q(threshold__isnull=True)
        | Q(threshold__is_active=False)
        | Q(listing__removed_at__isnull=False)
        | ~Q(kind=F("threshold__kind"))
        | (Q(threshold__channel__isnull=False) & ~Q(channel=F("threshold__channel")))
        | (Q(threshold__listing__isnull=False) & ~Q(listing=F("threshold__listing")))
        | (Q(listing__isnull=False) & ~Q(threshold__ownership="") & ~Q(listing__ownership=F("threshold__ownership")))
    )
    in_force = Alert.objects.filter(cleared_at__isnull=True)
    abandoned = list(in_force.filter(no_longer).order_by("pk").values_list("pk", flat=True))
    for subject, path in of_goods.items():
        about = in_force.exclude(**({"threshold__brand": ""} if subject == "brand" else {"threshold__product": None}))
        gone = about.filter(Q(listing__sku__isnull=True) | ~Q(**{path: F(f"threshold__{subject}")}))
        abandoned += gone.order_by("pk").values_list("pk", flat=True)
    with transaction.atomic():
        return end_alerts(alert_ids=sorted(set(abandoned)), now=now)


# --- What would have been -------------------------------------------------------------------------------------------


def preview(threshold: Threshold, *, now: datetime, days: int = PREVIEW_DAYS, user: User | None = None) -> Preview:
    """The alerts that the threshold, stored or not, would have opened in the last days, had it been there.

    Replays the change points that are kept, beginning with what was known `days` ago, through the same steps that
    judge readings. `user` sees those of the listings that are theirs. Looks through as much history as takes a few
    seconds; `checked_listings` says of how many listings that was.
    """
    start = now - timedelta(days=days)
    if threshold.kind not in READING_KINDS:
        return Preview(0, 0, 0, [], start, is_possible=False)
    listings = listings_of(threshold)
    if user is not None:
        listings = listings.visible_to(user)
    ids = list(listings.order_by("pk").values_list("pk", flat=True))
    rule = rule_of(threshold)
    firings: list[Firing] = []
    checked = rows = 0
    for first in range(0, len(ids), _PREVIEW_LISTINGS):
        some = ids[first : first + _PREVIEW_LISTINGS]
        if rows > _PREVIEW_ROWS:
            break
        rows += _replay(threshold, rule, some, start, now, firings)
        checked += len(some)
    firings.sort(key=lambda firing: (firing.at, firing.listing_id), reverse=True)
    return Preview(len(firings), len(ids), checked, firings, start)


def _replay(
    threshold: Threshold, rule: Rule, ids: Sequence[int], start: datetime, now: datetime, firings: list[Firing]
) -> int:
    """Add the alerts that there would have been for these listings; returns how many rows were looked at."""
    baselines = _baselines([(threshold, pk) for pk in ids], are_stored=False) if rule.has_baseline else {}
    start_us, place = microseconds(start), _place(rule)
    rows = _change_points(ids, start - timedelta(days=rule.days if rule.has_window else 0), now)
    for listing_id, group in groupby(rows, key=itemgetter(0)):
        points = list(group)
        # What was known at the start is the first reading.
        later = bisect_right(points, start_us, key=itemgetter(1))
        replayed = [(points[later - 1][0], start_us, *points[later - 1][2:])] if later else []
        state = State(baseline=baselines.get((threshold.pk, listing_id)))
        for _listing_id, at_us, _is_gap, *values in [*replayed, *points[later:]]:
            value = _value(rule, values, place)
            history = _history(points, place, at_us) if rule.has_window and value != state.last else ()
            state, crossing = step(rule, state, value, at_us, history=history)
            if crossing is not None and crossing.move == Move.OPENED:
                old, new = _value_text(rule, crossing.old), _value_text(rule, crossing.new)
                firings.append(Firing(listing_id, _moment(at_us), old, new))
    return len(rows)


def _history(points: Sequence[_Row], place: int, at_us: int) -> list[tuple[int, int | None]]:
    """The points of one price before a moment."""
    before = points[: bisect_left(points, at_us, key=itemgetter(1))]
    return [(point[1], point[3 + place]) for point in before]  # type: ignore[misc]


# --- Values ---------------------------------------------------------------------------------------------------------


def _moment(count_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=count_us)


def _place(rule: Rule) -> int:
    """Where the price of the rule stands among the facts of a row; 0 where it has none."""
    return _PRICES.index(rule.fact) if rule.fact in _PRICES else 0


def _value(rule: Rule, facts: Sequence[Any], place: int) -> int | None:
    """What the rule looks at among five facts, amounts in ten-thousandths."""
    return value_of(rule, facts[place], facts[3], facts[4])


def _read_value(rule: Rule, facts: Sequence[Any], place: int) -> int | None:
    """The same, amounts as text with four decimals."""
    if rule.fact == "stock":
        return value_of(rule, None, facts[3], facts[4])
    text: str | None = facts[place]
    return None if text is None else int(text.replace(".", ""))


def _ten_thousandths(amount: Decimal | None) -> int | None:
    return None if amount is None else int(amount.scaleb(4))


def _value_text(rule: Rule, value: int | None) -> str:
    """As alerts hold it: an amount with at least two decimals, units, or the slug of a shelf state; "" not known."""
    if value is None:
        return ""
    if rule.kind == Kind.OFF_SHELF:
        return ShelfState.OFF_SHELF.value if value else ShelfState.ON_SHELF.value
    if rule.fact == "stock":
        return str(value)
    return amount_text(value)


def _limit_text(rule: Rule, limit: int | None) -> str:
    if limit is None:
        return ""
    if rule.kind in (Kind.PRICE_CHANGE, Kind.VOLATILITY):
        return f"{Decimal(limit).scaleb(-2):.2f}"
    return _value_text(rule, limit)


def amount_text(ten_thousandths: int) -> str:
    """Exact, with at least two decimals: 189.00, 0.1234."""
    text = f"{Decimal(ten_thousandths).scaleb(-4):.4f}"
    return text[:-2] if text.endswith("00") else text.rstrip("0")


def _figure(rule: Rule, text: str) -> int | None:
    """The number that an alert's text stands for."""
    if not text or rule.kind == Kind.OFF_SHELF:
        return None
    return int(text) if rule.fact == "stock" else int(Decimal(text).scaleb(4))
