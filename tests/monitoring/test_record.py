from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.facts import Facts, ShelfState
from catalog.models import Channel, Listing
from integrations.connectors.base import Reading, ReadOutcome
from monitoring.charts.data import listing_chart, milliseconds
from monitoring.freshness import is_fresh
from monitoring.models import ListingWatch, Observation, PollRun
from monitoring.services import (
    LEASE,
    claim_due,
    claim_listings,
    close_idle_runs,
    close_run,
    ensure_watches,
    next_due,
    open_run,
    record,
)
from tests.factories import NOW, ChannelFactory, ListingFactory, ListingWatchFactory

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
INTERVAL = timedelta(seconds=300)
FACTS = Facts(list_price=Decimal("268.00"), stock=37, shelf_state=ShelfState.ON_SHELF)


def make_due(at):
    ListingWatch.objects.update(next_due_at=at)


def read(facts, now, *, outcome=ReadOutcome.READ, cause="", title="", channel=None, **kwargs):
    """Claims what is due at `now` in the first channel and records the same reading for each of it."""
    channel_id = (channel or ListingWatch.objects.order_by("pk")[0].channel).pk
    run, token = open_run(channel_id=channel_id, now=now), uuid4()
    claims = {claim.listing_id: claim for claim in claim_due(run=run, limit=500, token=token, now=now)}
    readings = [Reading(pk, outcome, facts, title=title, cause=cause) for pk in claims]
    recorded = record(run=run, token=token, claims=claims, readings=readings, now=now, **kwargs)
    close_run(run=run, now=now)
    return recorded


def points():
    """The stored history: (time after NOW, gap, list price, stock)."""
    rows = Observation.objects.order_by("observed_at").values_list("observed_at", "is_gap", "list_price", "stock")
    return [(at - NOW, gap, price, stock) for at, gap, price, stock in rows]


@pytest.fixture
def watch():
    return ListingWatchFactory()


def test_the_first_reading_is_stored_and_becomes_the_latest_facts(watch):
    read(FACTS, NOW, title="手冲壶")
    assert points() == [(timedelta(), False, Decimal("268"), 37)]
    listing = Listing.objects.get()
    assert (listing.facts, listing.observed_at, listing.title) == (FACTS, NOW, "手冲壶")


def test_an_unchanged_listing_costs_no_row(watch):
    read(FACTS, NOW)
    recorded = read(FACTS, NOW + INTERVAL)
    assert (recorded.read, recorded.changed) == (1, 0)
    assert len(points()) == 1
    assert ListingWatch.objects.get().read_at == NOW + INTERVAL
    assert Listing.objects.get().observed_at == NOW


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"list_price": Decimal("268.01")}, id="list price"),
        pytest.param({"live_price": Decimal("1")}, id="live price"),
        pytest.param({"promotion_price": Decimal("1")}, id="promotional price"),
        pytest.param({"stock": 0}, id="stock"),
        pytest.param({"stock": None}, id="stock not supplied any more"),
        pytest.param({"shelf_state": ShelfState.SOLD_OUT}, id="shelf state"),
    ],
)
def test_each_fact_makes_a_change_point(watch, change):
    read(FACTS, NOW)
    changed = FACTS._replace(**change)
    assert read(changed, NOW + INTERVAL).changed == 1
    assert len(points()) == 2
    assert Listing.objects.get().facts == changed


def test_a_fact_that_was_not_supplied_is_not_borrowed_from_before(watch):
    read(FACTS, NOW)
    read(Facts(live_price=Decimal("9.90")), NOW + INTERVAL)
    assert points()[-1] == (INTERVAL, False, None, None)


def test_more_decimals_than_are_kept_are_no_change_at_each_reading(watch):
    facts = Facts(list_price=Decimal("1.00005"))
    read(facts, NOW)
    assert read(facts, NOW + INTERVAL).changed == 0


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(900, [False], id="three intervals are still known"),
        pytest.param(901, [False, True, False], id="longer is a gap"),
    ],
)
def test_a_gap_is_stored_from_when_the_last_reading_ran_out(watch, seconds, expected):
    read(FACTS, NOW)
    later = NOW + timedelta(seconds=seconds)
    make_due(later)
    read(FACTS, later)
    assert [gap for _at, gap, *_facts in points()] == expected
    if len(expected) == 3:
        assert [at for at, *_rest in points()] == [timedelta(), INTERVAL, later - NOW]


def test_the_interval_of_a_pass_decides_what_is_a_gap(watch):
    read(FACTS, NOW)
    later = NOW + timedelta(hours=12)
    read(FACTS, later, interval=timedelta(hours=12))
    assert len(points()) == 1
    assert ListingWatch.objects.get().next_due_at == later + timedelta(hours=12)


def test_an_interval_of_a_part_of_a_second_makes_no_gap(watch):
    read(FACTS, NOW)
    later = NOW + timedelta(milliseconds=300)
    make_due(later)
    assert read(FACTS._replace(stock=1), later, interval=later - NOW).changed == 1
    assert [gap for _at, gap, *_facts in points()] == [False, False]


@pytest.mark.parametrize("fraction", [0, 1, 499_999, 999_400, 999_999])
def test_a_claim_tells_times_to_the_microsecond(watch, fraction):
    at = NOW + timedelta(microseconds=fraction)
    read(FACTS, at)
    [claim] = claim_listings(listing_ids=[watch.pk], token=uuid4(), now=at)
    assert (claim.observed_at, claim.read_at) == (at, at)


@pytest.mark.parametrize(
    ("outcome", "facts", "stored"),
    [
        pytest.param(ReadOutcome.FAILED, None, "failed", id="failed"),
        pytest.param(ReadOutcome.MISSING, None, "missing", id="missing"),
        pytest.param(ReadOutcome.REFUSED, None, "refused", id="refused"),
        pytest.param(ReadOutcome.READ, Facts(), "failed", id="read, but without a fact"),
        pytest.param(ReadOutcome.READ, Facts(list_price=Decimal(10) ** 12), "failed", id="a price no column holds"),
        pytest.param(ReadOutcome.READ, Facts(list_price=Decimal("NaN")), "failed", id="not a number"),
        pytest.param(ReadOutcome.READ, Facts(stock=2**40), "failed", id="a stock no column holds"),
    ],
)
def test_what_is_not_a_good_reading_changes_no_fact(watch, outcome, facts, stored):
    read(FACTS, NOW)
    recorded = read(facts, NOW + INTERVAL, outcome=outcome, cause="why")
    watch.refresh_from_db()
    assert (recorded.read, recorded.changed) == (0, 0)
    assert (watch.outcome, watch.cause, watch.attempts, watch.read_at) == (stored, "why", 1, NOW)
    assert watch.tried_at == NOW + INTERVAL
    assert watch.next_due_at >= NOW + INTERVAL + timedelta(seconds=30)
    assert Listing.objects.get().facts == FACTS
    assert len(points()) == 1


def test_a_good_reading_forgets_the_failures(watch):
    read(None, NOW, outcome=ReadOutcome.FAILED, cause="timeout")
    make_due(NOW + INTERVAL)
    read(FACTS, NOW + INTERVAL)
    watch.refresh_from_db()
    assert (watch.outcome, watch.cause, watch.attempts) == ("read", "", 0)


def test_an_older_reading_never_overwrites_a_newer_one(watch):
    read(FACTS, NOW)
    make_due(NOW - INTERVAL)
    recorded = read(FACTS._replace(stock=99), NOW - SECOND)
    assert (recorded.read, recorded.changed) == (1, 0)
    assert Listing.objects.get().stock == 37
    assert ListingWatch.objects.get().read_at == NOW
    assert len(points()) == 1


def test_after_the_clock_goes_back_readings_are_stored_again(watch):
    ahead = NOW + timedelta(days=1)
    read(FACTS, ahead)
    watch.refresh_from_db()
    assert not is_fresh(watch.listing, NOW)
    ListingWatch.objects.update(next_due_at=NOW, lease_token=None, lease_until=None)
    PollRun.objects.update(started_at=NOW - SECOND)
    assert read(FACTS, NOW).changed == 1
    assert [at for at, *_rest in points()] == [timedelta(), timedelta(days=1)]
    watch.refresh_from_db()
    listing = Listing.objects.select_related("channel", "watch").get()
    assert (watch.read_at, listing.observed_at) == (NOW, NOW)
    assert is_fresh(listing, NOW)
    assert [step.at for step in listing_chart(listing=listing, start=NOW - INTERVAL, now=NOW + INTERVAL).steps] == [
        milliseconds(NOW)
    ]
    make_due(NOW + INTERVAL)
    assert read(FACTS, NOW + INTERVAL).changed == 0, "from then on as ever"


def test_a_clock_that_is_a_little_behind_waits_for_what_is_stored(watch):
    read(FACTS, NOW + timedelta(seconds=50))
    make_due(NOW)
    assert read(FACTS._replace(stock=99), NOW).changed == 0
    assert Listing.objects.get().facts == FACTS
    assert is_fresh(Listing.objects.select_related("channel", "watch").get(), NOW)


def test_a_listing_whose_lease_was_lost_is_left_to_its_new_owner(watch):
    run, first, second = open_run(channel_id=watch.channel_id, now=NOW), uuid4(), uuid4()
    later = NOW + timedelta(seconds=91)
    [lost] = claim_due(run=run, limit=10, token=first, now=NOW)
    [ours] = claim_due(run=run, limit=10, token=second, now=later)
    reading = Reading(lost.listing_id, ReadOutcome.READ, FACTS)
    claims = {lost.listing_id: lost}
    assert record(run=run, token=first, claims=claims, readings=[reading], now=later).lost == 1
    assert points() == []
    assert record(run=run, token=second, claims={ours.listing_id: ours}, readings=[reading], now=later).changed == 1
    assert record(run=run, token=first, claims=claims, readings=[reading], now=later + SECOND).lost == 1
    assert len(points()) == 1


def test_a_title_with_what_databases_refuse_is_cleaned(watch):
    read(FACTS, NOW, title="kettle\x00 \ud800" + "x" * 300)
    title = Listing.objects.get().title
    assert title.startswith("kettle ?x")
    assert len(title) == 255


def test_a_missing_title_does_not_erase_the_known_one(watch):
    title = Listing.objects.get().title
    read(FACTS, NOW, title="")
    assert Listing.objects.get().title == title


def test_a_chunk_takes_two_bookkeeping_statements_however_many_listings():
    channel = ChannelFactory()
    Listing.objects.bulk_create(ListingFactory.build(channel=channel) for _ in range(300))
    ensure_watches(now=NOW)
    read(FACTS, NOW, channel=channel)
    run, token = open_run(channel_id=channel.pk, now=NOW + INTERVAL), uuid4()
    changed = set(Listing.objects.values_list("pk", flat=True)[:15])
    with CaptureQueriesContext(
        connection,
    ) as captured:
        claims = {c.listing_id: c for c in claim_due(run=run, limit=500, token=token, now=NOW + INTERVAL)}
        readings = [Reading(pk, ReadOutcome.READ, FACTS._replace(stock=1) if pk in changed else FACTS) for pk in claims]
        recorded = record(run=run, token=token, claims=claims, readings=readings, now=NOW + INTERVAL)
    writes = [query["sql"] for query in captured if 'UPDATE "monitoring_' in query["sql"]]
    assert len(writes) == 2
    # With savepoints, the reading of the listings and of what is still held, history and latest facts.
    assert len(captured) <= 12
    assert recorded.changed == 15
    assert Observation.objects.count() == 315


# --- Claims and passes ----------------------------------------------------------------------------------------------


@pytest.fixture
def ten():
    channel = ChannelFactory()
    Listing.objects.bulk_create(ListingFactory.build(channel=channel) for _ in range(10))
    ensure_watches(now=NOW)
    return channel


def test_two_workers_claim_different_listings(ten):
    run = open_run(channel_id=ten.pk, now=NOW)
    claimed = [{c.listing_id for c in claim_due(run=run, limit=6, token=uuid4(), now=NOW)} for _ in range(3)]
    assert [len(ids) for ids in claimed] == [6, 4, 0]
    assert len(set.union(*claimed)) == 10


@pytest.mark.parametrize(
    ("hide", "count"),
    [
        pytest.param(lambda: Listing.objects.update(removed_at=NOW), 0, id="removed"),
        pytest.param(lambda: ListingWatch.objects.update(is_paused=True), 0, id="paused"),
        pytest.param(lambda: ListingWatch.objects.update(next_due_at=NOW + SECOND), 0, id="not due yet"),
        pytest.param(lambda: ListingWatch.objects.update(lease_until=NOW + SECOND), 0, id="being read"),
        pytest.param(lambda: ListingWatch.objects.update(lease_until=NOW), 10, id="a lease that has ended"),
    ],
)
def test_only_what_is_due_and_free_is_claimed(ten, hide, count):
    hide()
    run = open_run(channel_id=ten.pk, now=NOW)
    assert len(claim_due(run=run, limit=20, token=uuid4(), now=NOW)) == count


def test_listings_of_a_channel_that_is_not_watched_are_claimed_on_request_only(ten):
    type(ten).objects.update(is_watched=False)
    run = open_run(channel_id=ten.pk, now=NOW)
    assert claim_due(run=run, limit=20, token=uuid4(), now=NOW) == []
    ids = list(Listing.objects.values_list("pk", flat=True))
    assert len(claim_listings(listing_ids=ids, token=uuid4(), now=NOW)) == 10


def test_a_pass_says_which_listings_were_read_and_which_were_not(ten):
    ids = sorted(Listing.objects.values_list("pk", flat=True))
    run, token = open_run(channel_id=ten.pk, now=NOW), uuid4()
    claims = {c.listing_id: c for c in claim_due(run=run, limit=20, token=token, now=NOW)}
    outcomes = [ReadOutcome.MISSING, ReadOutcome.FAILED, ReadOutcome.REFUSED, *[ReadOutcome.READ] * 6]
    readings = [
        Reading(pk, outcome, FACTS if outcome == ReadOutcome.READ else None)
        for pk, outcome in zip(ids, outcomes, strict=False)
    ]
    record(run=run, token=token, claims=claims, readings=readings, now=NOW)
    assert not close_run(run=run, now=NOW), "the tenth is still being read"
    last = [Reading(ids[9], ReadOutcome.READ, FACTS)]
    record(run=run, token=token, claims=claims, readings=last, now=NOW + SECOND)
    assert close_run(run=run, now=NOW + SECOND)
    stored = PollRun.objects.get()
    assert (stored.missing_ids, stored.failed_ids, stored.read_ids) == (ids[:1], ids[1:3], ids[3:])
    assert (stored.missing_count, stored.failed_count, stored.read_count) == (1, 2, 7)
    assert (stored.changed_count, stored.finished_at) == (7, NOW + SECOND)


def test_a_pass_left_open_is_gone_on_with(ten):
    assert open_run(channel_id=ten.pk, now=NOW) == open_run(channel_id=ten.pk, now=NOW + SECOND)


def test_a_pass_is_ended_for_its_worker_only_when_that_is_gone(ten):
    type(ten).objects.update(is_watched=False)
    open_run(channel_id=ten.pk, now=NOW)

    def is_open(at):
        close_idle_runs(now=at)
        return PollRun.objects.filter(finished_at__isnull=True).exists()

    assert is_open(NOW + LEASE - SECOND), "it may just be beginning"
    ListingWatch.objects.update(lease_until=NOW + 3 * LEASE)
    assert is_open(NOW + 2 * LEASE), "its listings are being read"
    assert not is_open(NOW + 3 * LEASE)


def test_a_requested_reading_that_lost_its_worker_is_ended_whoever_reads_the_channel(ten):
    open_run(channel_id=ten.pk, kind=PollRun.Kind.REQUESTED, now=NOW)
    ListingWatch.objects.update(lease_until=NOW + timedelta(hours=1))
    close_idle_runs(now=NOW + timedelta(minutes=6))
    assert PollRun.objects.get().finished_at


def test_outcomes_of_a_pass_that_was_ended_meanwhile_are_added_to_it(ten):
    type(ten).objects.update(is_watched=False)
    ids = sorted(Listing.objects.values_list("pk", flat=True))
    run, token = open_run(channel_id=ten.pk, now=NOW), uuid4()
    claims = {c.listing_id: c for c in claim_listings(listing_ids=ids, token=token, now=NOW)}

    def record_some(some, outcome, at):
        facts = FACTS if outcome == ReadOutcome.READ else None
        record(run=run, token=token, claims=claims, readings=[Reading(pk, outcome, facts) for pk in some], now=at)

    record_some(ids[:4], ReadOutcome.READ, NOW)
    assert close_run(run=run, now=NOW + SECOND)
    record_some(ids[4:9], ReadOutcome.READ, NOW + 2 * SECOND)
    record_some(ids[9:], ReadOutcome.MISSING, NOW + 2 * SECOND)
    later = open_run(channel_id=ten.pk, now=NOW + 3 * SECOND)
    ListingWatch.objects.filter(pk=ids[0]).update(poll_run=later.pk)
    assert close_run(run=run, now=NOW + 4 * SECOND)
    stored = PollRun.objects.get(pk=run.pk)
    assert (stored.read_ids, stored.missing_ids, stored.failed_ids) == (ids[:9], ids[9:], [])
    assert stored.finished_at == NOW + 4 * SECOND


@pytest.mark.parametrize(
    ("hide", "due"),
    [
        pytest.param(lambda: None, True, id="watched"),
        pytest.param(lambda: Listing.objects.update(removed_at=NOW), False, id="removed"),
        pytest.param(lambda: ListingWatch.objects.update(is_paused=True), False, id="paused"),
        pytest.param(lambda: Channel.objects.update(is_watched=False), False, id="stopped"),
        pytest.param(lambda: make_due(NOW), False, id="due already"),
        pytest.param(lambda: make_due(NOW + 61 * SECOND), False, id="due after the next look"),
        pytest.param(lambda: ListingWatch.objects.update(interval_seconds=None), False, id="in no hurry"),
        pytest.param(
            lambda: [ListingWatch.objects.update(interval_seconds=None), Channel.objects.update(interval_seconds=90)],
            True,
            id="its channel's interval is short",
        ),
    ],
)
def test_a_listing_with_a_short_interval_is_announced(ten, hide, due):
    make_due(NOW + 10 * SECOND)
    first = ListingWatch.objects.order_by("pk")[0]
    ListingWatch.objects.filter(pk=first.pk).update(next_due_at=NOW + 30 * SECOND, interval_seconds=30)
    ListingWatch.objects.exclude(pk=first.pk).update(is_paused=True)
    hide()
    assert next_due(now=NOW, until=NOW + 60 * SECOND) == (NOW + 30 * SECOND if due else None)
    assert next_due(now=NOW, until=NOW + 60 * SECOND, channel_ids=[]) is None


def test_more_listings_than_a_statement_takes_parameters_are_watched(ten):
    assert ensure_watches(range(1, 40_000), now=NOW) == 0


def test_listings_of_a_pass_stay_together(ten):
    run, token = open_run(channel_id=ten.pk, now=NOW), uuid4()
    for second in (1, 2):
        claims = {c.listing_id: c for c in claim_due(run=run, limit=5, token=token, now=NOW)}
        readings = [Reading(pk, ReadOutcome.READ, FACTS) for pk in claims]
        record(run=run, token=token, claims=claims, readings=readings, now=NOW + second * SECOND)
    assert set(ListingWatch.objects.values_list("next_due_at", flat=True)) == {NOW + INTERVAL}


def test_watches_are_made_once_and_for_current_listings_only(ten):
    ListingFactory(channel=ten, removed_at=NOW)
    ListingFactory(channel=ten)
    assert ensure_watches(now=NOW) == 1
    assert ensure_watches(now=NOW) == 0


def test_a_new_listing_is_watched_as_soon_as_it_is_there(ten, django_capture_on_commit_callbacks):
    from catalog.services import add_listings

    with django_capture_on_commit_callbacks(execute=True):
        add_listings(listings=[ListingFactory.build(channel=ten)], actor=None, now=NOW)
    assert ListingWatch.objects.count() == 11
