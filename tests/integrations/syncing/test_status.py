"""Where the sync stands: each figure is the one that can be counted by hand."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import Channel
from integrations.models import ChannelHealth, ChannelSync, ListingSync, SyncAttempt, SyncItem, SyncRun
from integrations.syncing.status import Spread, Standing, sync_status
from tests.factories import (
    NOW,
    ChannelFactory,
    CredentialFactory,
    ListingFactory,
    OrderFactory,
    OrderLineFactory,
    SkuFactory,
)

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def synced(**values):
    channel = ChannelFactory(orders_since=NOW - timedelta(days=9))
    CredentialFactory(channel=channel)
    ChannelSync.objects.create(channel=channel, **{"is_on": True, "is_confirmed": True, **values})
    return channel


def row(channel, state="in-sync", **values):
    listing = values.pop("listing", None) or ListingFactory(channel=channel, sku=SkuFactory())
    return ListingSync.objects.create(listing=listing, channel=channel, state=state, **values)


def run(channel, kind="incremental", *, ago=HOUR, took=MINUTE, **values):
    started_at = NOW - ago
    ended_at = None if took is None else started_at + took
    return SyncRun.objects.create(channel=channel, kind=kind, started_at=started_at, ended_at=ended_at, **values)


def confirmed(channel, *milliseconds, ago=HOUR):
    of = run(channel, ago=ago)
    listing = ListingFactory(channel=channel)
    SyncItem.objects.bulk_create(
        SyncItem(run=of, listing=listing, confirmed_after_ms=each, created_at=of.started_at) for each in milliseconds
    )


def attempted(channel, *statuses, kind="push", ago=HOUR):
    item = SyncItem.objects.create(run=run(channel, ago=ago), listing=ListingFactory(channel=channel), created_at=NOW)
    SyncAttempt.objects.bulk_create(
        SyncAttempt(item=item, kind=kind, sent_at=NOW - ago, status=status) for status in statuses
    )


def ordered(channel, *seconds, ago=HOUR, **values):
    for each in seconds:
        OrderFactory(channel=channel, ordered_at=NOW - ago - each * SECOND, seen_at=NOW - ago, **values)


def status(channel=None, now=NOW):
    found = sync_status(Channel.objects.order_by("pk"), now=now)
    return found.total if channel is None else next(each for each in found.channels if each.channel == channel)


def test_listings_count_where_their_stock_could_be_ours_to_write():
    channel, other = synced(), synced()
    sku = SkuFactory()
    for each in (channel, channel, other):
        ListingFactory(channel=each, sku=sku)
    ListingFactory(channel=channel, sku=None)
    ListingFactory(channel=channel, sku=SkuFactory(), ownership="competitor")
    ListingFactory(channel=channel, sku=SkuFactory(), removed_at=NOW)
    ListingFactory(channel=channel, sku=SkuFactory(status="retired"))
    assert (status(channel).listings, status(channel).skus) == (2, 1)
    assert (status(other).listings, status(other).skus) == (1, 1)
    assert (status().listings, status().skus) == (3, 1), "one SKU, on two channels"


def test_the_backlog_is_what_is_to_be_sent_or_read_back_and_its_oldest_tells_since_when():
    channel = synced()
    row(channel)
    row(channel, "waiting", due_at=NOW, changed_at=NOW - HOUR)
    row(channel, "sent", verify_at=NOW + SECOND, changed_at=NOW - MINUTE)
    row(channel, "refused", changed_at=NOW - 9 * HOUR)
    found = status(channel)
    assert found.states == {"in-sync": 1, "waiting": 1, "sent": 1, "refused": 1}
    assert (found.backlog, found.oldest_at) == (2, NOW - HOUR)
    other = synced()
    row(other, "failed", due_at=NOW, changed_at=NOW - 2 * HOUR)
    total = status()
    assert (total.backlog, total.oldest_at, total.states["failed"]) == (3, NOW - 2 * HOUR, 1)


def test_what_is_due_later_and_was_not_found_to_differ_is_not_older_than_now():
    channel = synced()
    row(channel, "failed", due_at=NOW + HOUR)
    assert (status(channel).backlog, status(channel).oldest_at) == (1, NOW)


def test_the_last_runs_are_those_that_are_over_and_a_full_one_is_of_all():
    channel = synced()
    run(channel, "full", ago=30 * HOUR, took=2 * HOUR)
    run(channel, "full", ago=5 * HOUR, scope={"brand": "Acme"})
    run(channel, "full", ago=HOUR, took=None)
    run(channel, "incremental", ago=20 * MINUTE)
    run(channel, "dry", ago=MINUTE)
    found = status(channel)
    assert found.last_full is not None
    assert (found.last_full.started_at, found.last_full.took) == (NOW - 30 * HOUR, 2 * HOUR)
    assert found.last_incremental is not None
    assert found.last_incremental.started_at == NOW - 20 * MINUTE
    assert status(synced()).last_full is None


def test_the_success_rate_is_of_the_figures_sent_within_a_day():
    channel = synced()
    attempted(channel, "applied", "accepted", "refused", "lost")
    attempted(channel, "read", kind="look")
    attempted(channel, "refused", ago=25 * HOUR)
    found = status(channel)
    assert (found.attempts, found.taken, found.success_rate) == (4, 2, Decimal("0.5"))
    assert status(synced()).success_rate is None, "nothing was sent: there is no rate"


def test_freshness_is_by_nearest_rank_of_each_channel_and_of_all():
    one, other = synced(), synced()
    confirmed(one, *range(100, 2_100, 100))  # 20 of them
    confirmed(one, 9_000_000, ago=30 * HOUR)
    confirmed(other, 60_000)
    half, most = timedelta(milliseconds=1_000), timedelta(milliseconds=1_900)
    assert status(one).freshness == Spread(20, half, most)
    assert status(other).freshness == Spread(1, MINUTE, MINUTE)
    assert status().freshness == Spread(21, timedelta(milliseconds=1_100), timedelta(milliseconds=2_000))
    assert status(synced()).freshness == Spread(), "cannot tell"


def test_detection_is_from_the_order_until_it_was_here():
    channel = synced()
    ordered(channel, 10, 20, 30, -5)
    ordered(channel, 5_000, ago=30 * HOUR)
    ordered(channel, 7_000, is_test=True)
    ordered(channel, 8_000, retry_at=NOW, set_aside_at=NOW)
    OrderFactory(channel=channel, ordered_at=NOW - timedelta(days=10), seen_at=NOW)  # before its stock was synced
    assert status(channel).detection == Spread(4, 10 * SECOND, 30 * SECOND)
    behind = synced()
    ordered(behind, -5)
    assert status(behind).detection == Spread(1, 0 * SECOND, 0 * SECOND), "its clock is ahead of ours"


def test_what_waits_of_orders_is_counted():
    channel = synced()
    for cause in ("not-mapped", "no-warehouse", "gone", ""):
        OrderLineFactory(order=OrderFactory(channel=channel), cause=cause)
    OrderFactory(channel=channel, set_aside_at=NOW, retry_at=NOW)
    assert (status(channel).waiting_lines, status(channel).set_aside) == (2, 1)
    assert (status().waiting_lines, status().set_aside) == (2, 1)


def test_orders_that_reserve_and_of_which_nothing_was_heard_are_counted():
    channel = synced()
    for days in (6, 8):
        order = OrderFactory(channel=channel, status="paid", changed_at=NOW - timedelta(days=days))
        OrderLineFactory(order=order, components=[[SkuFactory().pk, 1]])
    assert (status(channel).silent_orders, status().silent_orders) == (1, 1)


@pytest.mark.parametrize(
    ("values", "health", "standing"),
    [
        pytest.param({"is_on": False}, {}, Standing.OFF, id="off"),
        pytest.param({"is_confirmed": False}, {}, Standing.DRY_RUN, id="no dry run was applied"),
        pytest.param({"is_paused": True}, {}, Standing.PAUSED, id="paused"),
        pytest.param({}, {"retry_at": NOW + SECOND}, Standing.HELD, id="held back"),
        pytest.param({}, {"retry_at": NOW}, Standing.WRITING, id="held back until now"),
        pytest.param({}, {}, Standing.WRITING, id="written"),
    ],
)
def test_whether_a_channel_is_written_now(values, health, standing):
    channel = synced(**values)
    if health:
        ChannelHealth.objects.create(channel=channel, **health)
    assert status(channel).standing == standing
    assert status(ChannelFactory()).standing == Standing.OFF


@pytest.mark.parametrize(
    ("credential", "standing"),
    [
        pytest.param({"reads_only": True}, Standing.READS_ONLY, id="may only read"),
        pytest.param({"revoked_cause": "session-invalid"}, Standing.NOT_CONNECTED, id="to be authorised"),
        pytest.param({"app_key": ""}, Standing.NOT_CONNECTED, id="not set up"),
    ],
)
def test_a_channel_that_cannot_be_written_by_its_connection_does_not_count_as_written(credential, standing):
    channel = synced()
    for name, value in credential.items():
        setattr(channel.credential, name, value)
    channel.credential.save()
    assert status(channel).standing == standing


def test_what_the_guard_of_zeros_holds_is_counted():
    channel = synced()
    row(channel, "waiting", cause="guard", wanted=0)
    row(channel, "waiting", cause="moved", wanted=0)
    assert (status(channel).zeros_held, status().zeros_held) == (1, 1)


@pytest.mark.parametrize(
    ("read_until", "lag", "is_late"),
    [
        pytest.param(None, None, True, id="never read"),
        pytest.param(NOW - 3 * MINUTE, 3 * MINUTE, False, id="three readings ago"),
        pytest.param(NOW - 3 * MINUTE - SECOND, 3 * MINUTE + SECOND, True, id="later"),
        pytest.param(NOW + MINUTE, 0 * MINUTE, False, id="by a clock that is ahead"),
    ],
)
def test_how_far_what_is_known_of_orders_is_behind(read_until, lag, is_late):
    found = status(synced(orders_read_until=read_until))
    assert (found.polled_every, found.orders_lag, found.is_late) == (MINUTE, lag, is_late)


def test_a_channel_that_is_off_is_not_asked_for_orders():
    found = status(synced(is_on=False, orders_read_until=NOW))
    assert (found.polled_every, found.orders_lag, found.is_late) == (None, None, False)


def test_the_queries_are_the_same_however_much_there_is(django_assert_max_num_queries):
    def fill():
        channel = synced()
        row(channel, "waiting", due_at=NOW)
        attempted(channel, "applied")
        confirmed(channel, 5)
        ordered(channel, 5)

    def queries():
        with CaptureQueriesContext(connection) as found:
            status()
        return len(found)

    fill()
    first = queries()
    for _channel in range(3):
        fill()
    assert queries() == first <= 6


def test_nothing_at_all_is_told_as_nothing():
    found = sync_status(Channel.objects.none(), now=NOW)
    assert (found.channels, found.total.listings, found.total.success_rate) == ([], 0, None)


def test_freshness_is_stored_when_a_change_is_seen_there(open_shop, settle):
    """From the count that changes the target until the shop is read to show it, by the clocks of the runs."""
    shop = open_shop("woocommerce")
    settle()
    started = timezone.now()
    shop.count(-1)
    settle()
    item = SyncItem.objects.latest("pk")
    seen_at = item.attempts.latest("pk").sent_at
    assert item.outcome == "confirmed"
    assert item.confirmed_after_ms is not None
    assert 0 < item.confirmed_after_ms <= (seen_at - started) / timedelta(milliseconds=1)
    before = item.confirmed_after_ms
    ListingSync.objects.update(verify_at=timezone.now())
    settle()
    item.refresh_from_db()
    assert item.confirmed_after_ms == before, "looking once more changes nothing"
    found = status(shop.channel, now=timezone.now() + HOUR)
    assert found.freshness.measured == SyncItem.objects.filter(confirmed_after_ms__isnull=False).count()
