"""Readings against thresholds, as they are stored: what crosses a limit becomes an alert, what is back ends one."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple

from django.db.models import Q, Subquery

from catalog.database import Microseconds, among, driver_rows, update_rows
from catalog.models import Channel, Listing
from monitoring.models import Alert, ListingWatch, Threshold
from monitoring.services.thresholds.book import Book, last_alerts
from monitoring.services.thresholds.figures import place_of, rule_of, value_read
from monitoring.services.thresholds.past import (
    Point,
    baselines_of,
    last_known,
    last_since_us,
    last_value,
    price_histories,
    price_ranges,
)
from monitoring.services.watching import Claim, microseconds
from monitoring.thresholds.rules import READING_KINDS, Kind, Rule, State, calm_range, is_calm_among, is_near, step
from monitoring.timing import due_after_success

# A listing near a limit is read this many times as often, but not more often than listings can be.
NEAR_DIVISOR = 4
SHORTEST_INTERVAL = timedelta(seconds=30)


class Read(NamedTuple):
    """One good reading: what was known before, and what it said, as columns hold it (see recording)."""

    claim: Claim
    values: tuple[str | None, str | None, str | None, int | None, str]
    seconds: int  # its interval
    due_at: datetime


def check_readings(*, channel_id: int, reads: Sequence[Read], now: datetime, started_at: datetime) -> None:
    """Open and end alerts for good readings of one channel that were stored just now, and read near ones sooner.

    Belongs into the transaction that stores them, after they are stored. The number of statements does not depend on
    how many readings there are; in a database without thresholds it is one.
    """
    # The usual answer of a shop without thresholds, and by far the cheapest question.
    if not reads or not Threshold.objects.filter(is_active=True).exists():
        return
    by_id = {read.claim.listing_id: read for read in reads}
    thresholds = _thresholds_for(channel_id, list(by_id))
    if thresholds:
        _Check(channel_id, thresholds, by_id, now).run(started_at)


def _thresholds_for(channel_id: int, listing_ids: Sequence[int]) -> list[Threshold]:
    """The active ones that readings of these listings may be judged by, with `channel_currency`."""
    chunk = Listing.objects.filter(pk__in=among(listing_ids)).order_by()
    brands = chunk.filter(sku__product__brand__gt="").values("sku__product__brand")
    subject = (
        Q(channel=channel_id)
        | Q(listing__in=among(listing_ids))
        | Q(product__in=chunk.values("sku__product"))
        | Q(brand__in=brands)
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


class _Pending(NamedTuple):
    """One rule and one reading that need more than the reading to be judged."""

    judge: _Judge
    read: Read
    value: int
    state: State
    is_first: bool
    changed_us: int  # when the threshold, or what it is about, became what it is


class _Check:
    """One chunk of readings against the thresholds of its channel."""

    def __init__(
        self, channel_id: int, thresholds: Sequence[Threshold], reads: Mapping[int, Read], now: datetime
    ) -> None:
        self._channel_id = channel_id
        self._reads = reads
        self._now = now
        self._now_us = microseconds(now)
        self._mapped_us: dict[int, int] = {}  # when a listing became one of its product and brand
        self._judges = [
            _Judge(threshold, rule, microseconds(threshold.updated_at), place_of(rule))
            for threshold in thresholds
            for rule in [rule_of(threshold)]
        ]
        self._alerts = last_alerts(
            Alert.objects.filter(listing__in=among(list(reads))), "listing_id", thresholds, self._now
        )

    def run(self, started_at: datetime) -> None:
        book = Book(now=self._now)
        near: dict[int, Read] = {}
        pending: list[_Pending] = []
        now_us, alerts = self._now_us, self._alerts
        for judge, reads in self._subjects():
            rule, place, threshold_id = judge.rule, judge.place, judge.threshold.pk
            is_level, looks_back = rule.is_level, rule.has_window or rule.has_baseline
            calm_low, calm_high = calm_range(rule) or (inf, -inf)
            is_of_goods = not (judge.threshold.listing_id or judge.threshold.channel_id)
            for read in reads:
                claim = read.claim
                value = value_read(rule, read.values, place)
                if value is None:
                    continue
                alert = alerts.get((threshold_id, claim.listing_id))
                if calm_low <= value <= calm_high and alert is None:
                    continue
                if is_level and is_near(rule, value):
                    near[claim.listing_id] = read
                last = value_read(rule, claim[6:11], place)
                changed_us = judge.changed_us
                if is_of_goods:
                    changed_us = max(changed_us, self._mapped_us[claim.listing_id])
                is_first = claim.read_us is None or claim.read_us < changed_us <= now_us
                if not is_level and not is_first and value == last:
                    continue
                state = State(last) if alert is None else alert.state(rule)._replace(last=last)
                # What the last reading did not tell may be known from before.
                if looks_back or (last is None and claim.observed_us is not None):
                    pending.append(_Pending(judge, read, value, state, is_first, changed_us))
                    continue
                _after, crossing = step(rule, state, value, now_us, is_first=is_first)
                if crossing is not None:
                    book.enter(judge.threshold, rule, self._channel_id, claim.listing_id, crossing, alert)
        self._judge_by_past(pending, book)
        book.close()
        _read_sooner(list(near.values()), started_at, self._now)

    def _subjects(self) -> Iterator[tuple[_Judge, list[Read]]]:
        """Each threshold with the readings that it is about."""
        goods: dict[int, tuple[int | None, str | None]] = {}
        if any(judge.threshold.product_id or judge.threshold.brand for judge in self._judges):
            of_chunk = Listing.objects.filter(pk__in=among(list(self._reads)))
            times = (Microseconds("mapped_at"), Microseconds("sku__product__updated_at"))
            for pk, product_id, brand, *changed_us in driver_rows(
                of_chunk.order_by(), ("pk", "sku__product", "sku__product__brand", *times)
            ):
                goods[pk] = (product_id, brand)
                self._mapped_us[pk] = max(filter(None, changed_us), default=0)
        by_product: dict[int | None, list[Read]] = defaultdict(list)
        by_brand: dict[str | None, list[Read]] = defaultdict(list)
        for pk, (product_id, brand) in goods.items():
            by_product[product_id].append(self._reads[pk])
            by_brand[brand].append(self._reads[pk])
        everything = list(self._reads.values())
        of_owner = {
            ownership: [read for read in everything if read.claim.ownership == ownership]
            for ownership in {judge.threshold.ownership for judge in self._judges if judge.threshold.channel_id}
            if ownership
        }
        for judge in self._judges:
            threshold = judge.threshold
            ownership = threshold.ownership
            if threshold.channel_id:
                yield judge, of_owner.get(ownership, everything)
                continue
            if threshold.listing_id:
                reads = [self._reads[threshold.listing_id]]
            elif threshold.product_id:
                reads = by_product[threshold.product_id]
            else:
                reads = by_brand[threshold.brand]
            yield judge, [read for read in reads if read.claim.ownership == ownership] if ownership else reads

    def _judge_by_past(self, pending: Sequence[_Pending], book: Book) -> None:
        """Those that need the last known value, the baseline, or the price over the days."""
        unsaid = {
            each.read.claim.listing_id
            for each in pending
            if each.state.last is None and each.read.claim.observed_us is not None
        }
        last = last_known(unsaid, self._now) if unsaid else {}
        baselines = baselines_of(
            [(each.judge.threshold, each.read.claim.listing_id) for each in pending if each.judge.rule.has_baseline]
        )
        pending = self._without_calm(pending)
        histories = self._histories(pending)
        for each in pending:
            (threshold, rule, *_rest), listing_id, state = each.judge, each.read.claim.listing_id, each.state
            is_first = each.is_first
            if state.last is None and listing_id in last:
                known = last[listing_id]
                state = state._replace(last=last_value(rule, known))
                # Where the price is what it was before the change, no reading since then needs to have told it.
                if rule.fact != "stock" and (since_us := last_since_us(rule, known)) is not None:
                    is_first = is_first or since_us < each.changed_us <= self._now_us
            history: Sequence[Point] = ()
            if rule.has_baseline:
                state = state._replace(baseline=baselines.get((threshold.pk, listing_id)))
            elif rule.has_window:
                history = histories[rule.fact][listing_id]
            _after, crossing = step(rule, state, each.value, self._now_us, is_first=is_first, history=history)
            if crossing is not None:
                alert = self._alerts.get((threshold.pk, listing_id))
                book.enter(threshold, rule, self._channel_id, listing_id, crossing, alert)

    def _without_calm(self, pending: Sequence[_Pending]) -> list[_Pending]:
        """Those that the lowest and the highest price of their days do not settle: a small part of all, as a rule."""
        looking_back = [each for each in pending if each.judge.rule.has_window]
        if not looking_back:
            return list(pending)
        spans = self._spans(looking_back)
        ranges = {price: price_ranges(ids, price, start, self._now) for price, (ids, start) in spans.items()}
        calm = {
            id(each)
            for each in looking_back
            if not each.state.is_in_force
            and is_calm_among(each.judge.rule, each.value, *ranges[each.judge.rule.fact][each.read.claim.listing_id])
        }
        return [each for each in pending if id(each) not in calm]

    def _histories(self, pending: Sequence[_Pending]) -> dict[str, dict[int, list[Point]]]:
        """The prices over the days that rules look at, by price and listing; two statements for each price."""
        spans = self._spans([each for each in pending if each.judge.rule.has_window])
        return {price: price_histories(ids, price, start, self._now) for price, (ids, start) in spans.items()}

    def _spans(self, looking_back: Sequence[_Pending]) -> dict[str, tuple[list[int], datetime]]:
        """Which listings' prices are looked at since when; by price."""
        wanted: dict[str, set[int]] = defaultdict(set)
        days: dict[str, int] = defaultdict(int)
        for each in looking_back:
            rule = each.judge.rule
            wanted[rule.fact].add(each.read.claim.listing_id)
            days[rule.fact] = max(days[rule.fact], rule.days)
        return {price: (sorted(ids), self._now - timedelta(days=days[price])) for price, ids in wanted.items()}


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
