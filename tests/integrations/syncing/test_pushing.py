"""Pushing stock against the simulator, over HTTP: every channel shows its target, whatever goes wrong on the way."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from catalog.models import ChannelLocation, Listing, Sku, StockMovement, StockRule
from catalog.stock.ledger import Movement, record_movements
from integrations.connectors.errors import Wait
from integrations.lanes.lane import Chunk, Lane
from integrations.models import ChannelHealth, ChannelSync, Credential, ListingSync, SyncAttempt, SyncItem, SyncRun
from integrations.syncing import dirty, pushing
from integrations.syncing.pushing import push_slice
from integrations.syncing.rows import MOST_LOOKS, Result, Status
from integrations.syncing.runs import attempts_of
from tests.factories import ListingFactory, ProductFactory, SkuFactory
from tests.integrations.connectors.subjects import SUBJECTS
from tests.integrations.syncing.conftest import warehouse

pytestmark = pytest.mark.django_db
PLATFORMS = sorted(SUBJECTS)


@pytest.fixture(params=PLATFORMS)
def shop(request, open_shop, settle):
    """A shop whose listing shows what we have of it, and is known to."""
    found = open_shop(request.param)
    settle()
    assert found.sync().state == "in-sync"
    found.subject.simulator.clear_ledger()
    return found


def test_every_channel_shows_a_change_of_stock(open_shop, settle):
    first = open_shop("shopify")
    shops = [first, open_shop("taobao", skus=first.skus), open_shop("woocommerce", skus=first.skus)]
    settle()
    start = first.shown()
    first.count(3 - start)
    settle()
    assert [shop.shown() for shop in shops] == [3, 3, 3]
    for shop in shops:
        row = shop.sync()
        assert (row.state, row.wanted, row.confirmed, row.due_at, row.verify_at) == ("in-sync", 3, 3, None, None)
        assert (row.synced_version, row.lease_token, row.changed_at) == (row.listing.sku.stock_version, None, None)


def test_the_last_unit_sold_is_shown_as_none(shop, settle):
    shop.count(-shop.shown())
    settle()
    assert shop.shown() == 0
    assert shop.sync().confirmed == 0


def test_a_burst_of_changes_is_one_push_of_the_newest_figure(shop, settle):
    before = SyncItem.objects.count()
    for _change in range(5):
        shop.count(-1)
    wanted = shop.sync().confirmed - 5
    settle()
    assert shop.shown() == wanted
    [item] = SyncItem.objects.order_by("pk")[before:]
    assert (item.before, item.wanted, item.outcome) == (wanted + 5, wanted, "confirmed")


def test_what_shows_its_target_already_costs_no_call(shop):
    shop.count(-1)
    shop.count(1)
    summary = push_slice(seconds=5)
    assert (summary.sent, summary.unchanged) == (0, 1)
    assert shop.subject.simulator.ledger() == []
    row = shop.sync()
    assert (row.state, row.due_at, row.synced_version) == ("in-sync", None, row.listing.sku.stock_version)


def test_the_log_tells_what_was_wanted_sent_and_seen(shop, settle):
    before = shop.shown()
    StockRule.objects.create(channel=shop.channel, buffer=2)
    shop.count(-1)
    settle()
    item = SyncItem.objects.latest("pk")
    assert (item.before, item.wanted, item.outcome) == (before, before - 3, "confirmed")
    assert [step[0] for step in item.steps] == ["available", "buffer"]
    push, look = attempts_of([item])[item.pk]
    assert (push.kind, push.expected, push.quantity, push.status) in {
        ("push", before, before - 3, "applied"),
        ("push", before, before - 3, "accepted"),
    }
    assert push.key
    assert push.duration_ms is not None
    assert (look.kind, look.shown, look.status) == ("look", before - 3, "read")
    run = SyncRun.objects.latest("pk")
    assert (run.kind, run.sent, run.failed, run.ended_at is not None) == ("incremental", 1, 0, True)


def test_a_rule_pauses_a_listing_and_nothing_of_it_is_written(shop, settle):
    before = shop.shown()
    StockRule.objects.create(listing=shop.sync().listing, is_paused=True)
    shop.count(-1)
    settle()
    assert shop.shown() == before
    row = shop.sync()
    assert (row.state, row.cause, row.wanted, row.due_at) == ("stopped", "paused", None, None)


@pytest.mark.parametrize("changes", [{"is_on": False}, {"is_confirmed": False}, {"is_paused": True}])
def test_a_channel_that_is_not_ours_to_write_is_left_alone(shop, changes):
    ChannelSync.objects.filter(channel=shop.channel).update(**changes)
    shop.count(-1)
    assert push_slice(seconds=5).sent == 0
    assert shop.subject.simulator.ledger() == []


# --- What goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lost", "silent_drop", "delayed_visibility", "drop", "html"], ids=lambda kind: kind)
def test_whatever_becomes_of_a_write_the_shop_shows_the_target_in_the_end(shop, settle, settings, kind):
    settings.HTTP_TOTAL_TIMEOUT_SECONDS = 1.5
    shop.count(-2)
    wanted = shop.sync().confirmed - 2
    shop.fail_writes(kind)
    settle()
    assert shop.shown() == wanted
    row = shop.sync()
    assert (row.state, row.confirmed, row.attempts, row.cause) == ("in-sync", wanted, 0, "")


def test_a_figure_that_never_shows_is_given_up_and_told(shop, settle):
    before = shop.shown()
    shop.fail_writes("silent_drop", times=0)
    shop.count(-2)
    settle(slices=4 * MOST_LOOKS)
    row = shop.sync()
    assert shop.shown() == before
    assert (row.state, row.wanted, row.due_at, row.verify_at) == ("refused", before - 2, None, None)
    sent = SyncAttempt.objects.count()
    shop.subject.simulator.clear_faults()
    settle()
    assert SyncAttempt.objects.count() == sent, "it is not tried again by itself"
    shop.count(-1)
    settle()
    assert (shop.shown(), shop.sync().state) == (before - 3, "in-sync")


def test_a_figure_that_moved_meanwhile_is_read_and_orders_are_asked_for(open_shop, settle):
    shop = open_shop("shopify")
    settle()
    before = shop.shown()
    ChannelSync.objects.update(orders_due_at=None)
    shop.subject.move_stock(shop.rows[0], before - 1)
    shop.count(-1)
    shop.count(-1)
    push_slice(seconds=5)
    row = shop.sync()
    assert (row.state, row.cause, row.attempts) == ("waiting", "moved", 1)
    assert ChannelSync.objects.get().orders_due_at is not None
    assert shop.shown() == before - 1, "nothing was written over it"
    soon = timezone.now() + timedelta(seconds=5)
    assert push_slice(now_fn=lambda: soon, seconds=0.5).sent == 0, "the orders may tell why"
    assert shop.sync().due_at > soon
    ChannelSync.objects.update(orders_due_at=soon + timedelta(minutes=1))  # they were read
    assert push_slice(now_fn=lambda: soon + timedelta(seconds=2), seconds=2).sent == 1
    settle()
    assert (shop.shown(), shop.sync().state) == (before - 2, "in-sync")


def test_a_refused_row_fails_no_other_and_waits_for_a_new_target(open_shop, settle):
    shop = open_shop("shopify", 2, together=True)
    settle()
    lost = shop.sync(1).listing
    type(lost).objects.filter(pk=lost.pk).update(platform_sku_id="4999999999999")
    before = shop.shown()
    shop.count(-1)
    shop.count(-1, 1)
    settle()
    assert shop.shown() == before - 1
    row = ListingSync.objects.get(listing=lost)
    assert (row.state, row.due_at, row.verify_at) == ("refused", None, None)
    assert row.cause
    dirty.sweep(now=timezone.now())
    assert ListingSync.objects.get(listing=lost).due_at is None
    shop.count(-1, 1)
    assert ListingSync.objects.get(listing=lost).due_at is not None


def test_a_token_that_ends_in_mid_run_is_renewed_and_everything_is_sent(open_shop, settle):
    shop = open_shop("shopify", 2)
    settle()
    before = shop.shown()
    Credential.objects.update(authorised_at=timezone.now() - timedelta(hours=1))
    shop.subject.end_access()
    shop.count(-1)
    shop.count(-1, 1)
    summary = push_slice(seconds=5)
    assert (summary.sent, summary.problems) == (2, [])
    assert shop.shown() == before - 1


def test_a_throttled_channel_waits_and_loses_nothing(shop, settle):
    before = shop.shown()
    shop.subject.control.fail_next(status=429, headers={"Retry-After": "30"})
    shop.count(-1)
    push_slice(seconds=3)
    row = shop.sync()
    assert (shop.shown(), row.lease_token) == (before, None)
    assert row.due_at is not None
    health = ChannelHealth.objects.get(channel=shop.channel)
    assert health.retry_at is not None
    assert health.retry_at > timezone.now()
    settle()
    assert (shop.shown(), shop.sync().state) == (before - 1, "in-sync")


def test_a_dead_channel_stops_no_other(open_shop, settle):
    dead = open_shop("woocommerce")
    good = open_shop("shopify", skus=dead.skus)
    settle()
    dead.subject.control.fail_next(times=0, status=503)
    good.count(-dead.shown())
    started = timezone.now()
    push_slice(seconds=5)
    assert good.shown() == 0
    assert timezone.now() - started < timedelta(seconds=5)
    assert dead.sync().due_at is not None


# --- Leases ---------------------------------------------------------------------------------------------------------


def claim(shop, now):
    """A worker claims what is due of the shop's channel, and is killed."""
    job = pushing.PushingJob()
    lane = Lane(shop.channel, clock=lambda: now)
    lane.connector = shop.subject.connector
    chunk = Chunk(lane)
    job.claim(lane, chunk, 100, now)
    return job, lane, chunk


def test_two_runners_never_have_the_same_row(shop):
    shop.count(-1)
    now = timezone.now()
    _job, _lane, first = claim(shop, now)
    _job, _lane, second = claim(shop, now)
    assert (len(first.claims), len(second.claims)) == (1, 0)


def test_what_a_killed_runner_had_is_read_before_it_is_sent_again(shop, settle):
    shop.count(-1)
    wanted = shop.sync().confirmed - 1
    now = timezone.now()
    claim(shop, now)
    assert push_slice(seconds=2).sent == 0, "its lease is not over"
    shop.subject.simulator.clear_ledger()
    push_slice(now_fn=lambda: timezone.now() + pushing.LEASE, seconds=5)
    [look, push] = SyncItem.objects.latest("pk").attempts.order_by("pk")
    assert (look.kind, look.shown) == ("look", wanted + 1)
    assert (push.kind, push.expected, push.quantity) == ("push", wanted + 1, wanted)
    settle()
    assert (shop.shown(), shop.sync().state) == (wanted, "in-sync")


def test_a_runner_whose_lease_is_over_makes_no_call(shop):
    shop.count(-1)
    now = timezone.now()
    job, lane, chunk = claim(shop, now)
    lane.connector = shop.subject.connector
    [batch] = job.split(chunk)
    lane._clock = lambda: now + pushing.LEASE
    lane.begin(batch)
    with pytest.raises(Wait) as caught:
        lane.before_call()
    assert caught.value.cause == "lease-over"


def test_a_result_that_comes_after_its_lease_changes_nothing_but_is_read_back(shop):
    shop.count(-1)
    now = timezone.now()
    job, _lane, chunk = claim(shop, now)
    later = now + pushing.LEASE
    _job, _lane, other = claim(shop, later)
    [pk] = other.claims
    before = ListingSync.objects.get(pk=pk)
    chunk.results = [Result(pk, Status.APPLIED, at=now, quantity=1)]
    assert job.record(chunk, later)["sent"] == 0
    after = ListingSync.objects.get(pk=pk)
    assert (after.pushed, after.state, after.lease_token) == (before.pushed, before.state, other.token)
    assert after.verify_at == later


def test_a_change_while_a_push_is_out_leaves_the_row_due(shop, settle):
    shop.count(-1)
    now = timezone.now()
    job, _lane, chunk = claim(shop, now)
    shop.count(-1)
    [pk] = chunk.claims
    chunk.results = [Result(pk, Status.APPLIED, at=now, quantity=shop.shown() - 1)]
    job.record(chunk, now)
    row = shop.sync()
    assert row.due_at is not None
    assert row.due_at < now + pushing.LEASE
    assert row.synced_version < row.listing.sku.stock_version
    wanted = shop.shown() - 2
    ListingSync.objects.update(confirmed=None, attempts=1, state="failed")  # nothing was sent in truth
    settle()
    assert shop.shown() == wanted


# --- Coming round ---------------------------------------------------------------------------------------------------


def test_a_lost_mark_is_found_by_the_sweep(shop, settle):
    shop.count(-1)
    ListingSync.objects.update(due_at=None, state="in-sync")
    assert dirty.sweep(now=timezone.now()) == 1
    assert dirty.sweep(now=timezone.now()) == 0
    wanted = shop.sync().confirmed - 1
    settle()
    assert shop.shown() == wanted


def test_the_sweep_leaves_alone_what_is_as_it_should_be(shop):
    assert dirty.sweep(now=timezone.now()) == 0
    assert push_slice(seconds=5).looked == 0


def test_what_a_reading_saw_differently_is_read_back_and_set_right(shop, settle):
    before = shop.shown()
    shop.subject.move_stock(shop.rows[0], before + 5)
    listing = shop.sync().listing
    seen_at = timezone.now() + timedelta(hours=1)
    type(listing).objects.filter(pk=listing.pk).update(stock=before + 5, observed_at=seen_at)
    assert dirty.sweep(now=timezone.now()) == 1
    settle()
    assert (shop.shown(), shop.sync().state) == (before, "in-sync")


def test_a_reading_of_our_own_figure_starts_nothing(shop, settle):
    shop.count(-1)
    settle()
    row = shop.sync()
    seen_at = timezone.now() + timedelta(hours=1)
    type(row.listing).objects.filter(pk=row.listing_id).update(stock=row.confirmed, observed_at=seen_at)
    shop.subject.simulator.clear_ledger()
    assert dirty.sweep(now=seen_at) == 0
    assert push_slice(seconds=2).sent == 0
    assert shop.subject.simulator.ledger() == []


def test_a_full_run_reads_everything_back_and_sends_what_differs(shop, settle):
    before = shop.shown()
    shop.subject.move_stock(shop.rows[0], before + 4)
    run = dirty.begin_full(shop.channel, now=timezone.now())
    assert (run.kind, run.total) == ("full", 1)
    settle()
    assert (shop.shown(), shop.sync().state) == (before, "in-sync")
    run.refresh_from_db()
    assert run.ended_at is not None
    assert ChannelSync.objects.get().full_at is not None


def test_a_full_run_that_the_slice_does_not_finish_goes_on_in_the_next(open_shop, settle):
    shop = open_shop("shopify", 3)
    settle()
    run = dirty.begin_full(shop.channel, now=timezone.now())
    assert push_slice(seconds=0).looked == 0
    run.refresh_from_db()
    assert run.ended_at is None
    assert dirty.begin_full(shop.channel, now=timezone.now()) == run
    settle()
    run.refresh_from_db()
    assert (run.ended_at is not None, run.unchanged) == (True, 3)


def test_a_full_run_counts_what_it_sent_once_though_it_is_seen_there_later(open_shop, settle):
    shop = open_shop("shopify", 3)
    settle()
    shop.count(-1)
    run = dirty.begin_full(shop.channel, now=timezone.now())
    # One is still at another worker's, so that the run lasts until what it sent is read back.
    last = ListingSync.objects.latest("pk")
    last.lease_token, last.lease_until = uuid4(), timezone.now() + timedelta(minutes=1)
    last.save()
    settle()
    run.refresh_from_db()
    assert run.ended_at is not None
    assert (run.total, run.sent, run.unchanged) == (3, 1, 2)


def test_a_person_may_have_what_was_refused_sent_again(shop, settle):
    ListingSync.objects.update(state="refused", cause="refused-by-rule", wanted=shop.shown() - 1)
    shop.count(-1)
    ListingSync.objects.update(due_at=None)
    push_slice(seconds=2)
    wanted = shop.shown() - 1
    assert dirty.retry(ListingSync.objects.all(), actor=None, now=timezone.now()) == 1
    settle()
    assert (shop.shown(), shop.sync().state) == (wanted, "in-sync")


def test_an_unmapped_listing_is_left_as_it_is(shop, settle):
    before = shop.shown()
    listing = shop.sync().listing
    type(listing).objects.filter(pk=listing.pk).update(sku=None)
    assert dirty.compare([listing.pk], now=timezone.now()) == 1
    settle()
    row = ListingSync.objects.get(listing=listing)
    assert (shop.shown(), row.state, row.cause) == (before, "stopped", "not-mapped")
    assert dirty.sweep(now=timezone.now()) == 0


def test_threads_touch_no_database(shop, monkeypatch):
    """All statements come from the thread that runs the lanes."""
    from django.db import connection

    threads = set()

    def note(execute, sql, params, many, context):
        threads.add(threading.current_thread().name)
        return execute(sql, params, many, context)

    shop.count(-1)
    with connection.execute_wrapper(note):
        push_slice(seconds=5)
    assert threads == {threading.current_thread().name}


@pytest.mark.parametrize(
    ("platform", "count", "call"),
    [("shopify", 260, "inventorySetQuantities"), ("woocommerce", 120, "POST products/batch")],
)
def test_as_few_writes_are_made_as_the_batches_allow(open_shop, platform, count, call):
    shop = open_shop(platform, 0)
    control = shop.subject.control
    control.add_products(count)
    rows = SUBJECTS[platform](shop.subject.simulator).rows()[-count:]
    if rows[0].location_id:
        ChannelLocation.objects.create(channel=shop.channel, warehouse=warehouse(), location_id=rows[0].location_id)
    skus = Sku.objects.bulk_create(SkuFactory.build_batch(count, product=ProductFactory()))
    listings = Listing.objects.bulk_create(
        ListingFactory.build(
            channel=shop.channel, platform_item_id=row.item_id, platform_sku_id=row.sku_id, sku=sku, title=""
        )
        for row, sku in zip(rows, skus, strict=True)
    )
    ListingSync.objects.bulk_create(
        ListingSync(listing=listing, channel=shop.channel, location_id=row.location_id, confirmed=row.shown)
        for listing, row in zip(listings, rows, strict=True)
    )
    movements = [
        Movement(sku.pk, warehouse().pk, StockMovement.Kind.COUNT, 3, f"of {sku.pk}", StockMovement.Source.COUNT)
        for sku in skus
    ]
    record_movements(movements, now=timezone.now())
    dirty.mark_dirty([sku.pk for sku in skus], now=timezone.now())
    shop.subject.simulator.clear_ledger()
    summary = push_slice(seconds=20)
    changed = summary.sent
    assert changed + summary.unchanged == count
    written = [entry for entry in shop.subject.simulator.ledger() if call in entry["method"]]
    most = shop.subject.connector.max_rows_per_push
    assert 0 < len(written) <= 1.1 * -(-changed // most)
