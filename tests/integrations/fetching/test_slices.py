"""Slices of the lane against the simulator, over HTTP."""

import time
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from django.utils import timezone

from catalog.models import Channel, Listing
from integrations.connectors.taobao import TaobaoConnector
from integrations.fetching import fetch_listings, fetch_slice, pass_over_channel, reading
from integrations.lanes import engine
from integrations.models import ChannelHealth, Credential
from monitoring.models import ListingWatch, Observation, PollRun

pytestmark = pytest.mark.django_db


def make_due():
    ListingWatch.objects.update(next_due_at=timezone.now() - timedelta(seconds=1))


def all_ids():
    return list(Listing.objects.order_by("pk").values_list("pk", flat=True))


def test_every_due_listing_gets_the_facts_of_its_platform(connect, simulator):
    connect()
    summary = fetch_slice(seconds=20)
    truth = {(str(row["num_iid"]), str(row["sku_id"])): row for row in simulator.taobao.items()}
    listings = list(Listing.objects.all())
    assert summary.read == summary.changed == len(listings) == Observation.objects.count()
    assert not summary.more_due
    for listing in listings:
        row = truth[listing.platform_item_id, listing.platform_sku_id]
        assert (listing.list_price, listing.stock) == (Decimal(row["price"]), row["quantity"])
        assert (listing.live_price, listing.title) == (None, row["title"])


def test_a_second_pass_stores_what_changed_and_nothing_else(connect, simulator):
    connect()
    fetch_slice(seconds=20)
    before = Observation.objects.count()
    moved = simulator.taobao.items(shop=simulator.taobao.shop()["shop"])[0]
    simulator.taobao.set_item(moved["num_iid"], moved["sku_id"], price="1.23")
    make_due()
    assert fetch_slice(seconds=20).changed == 1
    assert Observation.objects.count() == before + 1
    assert PollRun.objects.filter(finished_at__isnull=False, changed_count=1).count() == 1


def test_nothing_due_is_no_call(connect, simulator):
    connect(due_at=timezone.now() + timedelta(minutes=5))
    simulator.clear_ledger()
    assert fetch_slice(seconds=20).read == 0
    assert simulator.ledger() == []
    assert not PollRun.objects.exists()


@pytest.mark.parametrize(
    ("fault", "kind", "cause"),
    [
        pytest.param({"kind": "null"}, None, None, id="every fact null"),
        pytest.param({"kind": "half", "mode": "truncated"}, "retry", "not-json", id="half the body"),
        pytest.param({"kind": "half", "mode": "missing_keys"}, None, None, id="keys missing"),
        pytest.param({"kind": "html"}, "retry", "not-json", id="HTML"),
        pytest.param({"kind": "big"}, "retry", "too-large", id="10 MB"),
        pytest.param({"kind": "endless"}, "retry", "timeout", id="an answer without end"),
        pytest.param({"kind": "redirect"}, "fatal", "redirect", id="a redirect to another host"),
        pytest.param({"kind": "drop"}, "retry", "connection", id="a lost connection"),
        pytest.param({"status": 500}, "retry", "server-error", id="server error"),
        pytest.param({"status": 403}, "review", "forbidden", id="forbidden"),
        pytest.param({"kind": "retry_after"}, "wait", "quota", id="a hostile Retry-After"),
        pytest.param({"code": 25, "msg": "Invalid signature"}, "fatal", None, id="our signature refused"),
    ],
)
def test_a_bad_answer_ends_in_a_cause_and_changes_no_fact(connect, simulator, settings, fault, kind, cause):
    settings.HTTP_TOTAL_TIMEOUT_SECONDS = 1.5
    connect(count=3)
    fetch_slice(seconds=20)
    facts = list(Listing.objects.order_by("pk").values())
    simulator.taobao.fail_next(times=0, **fault)
    make_due()
    summary = fetch_slice(seconds=1)
    watches = list(ListingWatch.objects.all())
    assert list(Listing.objects.order_by("pk").values()) == facts
    assert Observation.objects.count() == 3
    assert {watch.outcome for watch in watches} == {"failed"}
    assert all(watch.cause and watch.lease_token is None for watch in watches)
    # What the channel as a whole met costs its listings no attempt.
    assert {watch.attempts for watch in watches} == {0 if kind in {"wait", "review"} else 1}
    if kind is not None:
        assert [problem.kind for problem in summary.problems] == [kind]
        assert {watch.cause for watch in watches} == {cause or summary.problems[0].cause}
        retry_at = ChannelHealth.objects.get().retry_at
        assert retry_at is not None
        assert abs(retry_at - timezone.now()) < timedelta(hours=26)


def test_a_deleted_item_is_missing_and_the_others_are_read(connect, simulator):
    connect()
    fetch_slice(seconds=20)
    gone = Listing.objects.order_by("pk")[0]
    simulator.taobao.set_item(gone.platform_item_id, "", delete=True)
    make_due()
    summary = fetch_slice(seconds=20)
    missing = Listing.objects.filter(platform_item_id=gone.platform_item_id).count()
    assert (summary.missing, summary.read) == (missing, Listing.objects.count() - missing)
    gone.refresh_from_db()
    assert gone.stock is not None
    assert gone.watch.outcome == "missing"


def test_a_channel_that_must_wait_gets_no_further_call_and_its_listings_no_penalty(
    connect, simulator, settings, monkeypatch
):
    settings.FETCH_THREADS = 1
    monkeypatch.setattr(TaobaoConnector, "max_items_per_read", 2)
    connect()
    simulator.taobao.fail_next(kind="retry_after")
    simulator.clear_ledger()
    summary = fetch_slice(seconds=30)
    assert [problem.kind for problem in summary.problems] == ["wait"]
    assert len(simulator.ledger()) == 1
    assert fetch_slice(seconds=30).read == 0, "the channel is still held back"
    assert len(simulator.ledger()) == 1
    tried = ListingWatch.objects.filter(tried_at__isnull=False).count()
    assert 0 < tried == summary.failed < Listing.objects.count()
    due = ListingWatch.objects.filter(attempts=0, lease_token=None, next_due_at__lte=timezone.now())
    assert due.count() == Listing.objects.count()


def test_a_channel_without_authorisation_is_not_called_and_stops_no_other(connect, simulator):
    good, bad = connect(), connect("taobao-shanye")
    Credential.objects.filter(channel=bad).update(access_token="")
    summary = fetch_slice(seconds=20)
    assert [(problem.channel_id, problem.kind, problem.cause) for problem in summary.problems] == [
        (bad.pk, "unconnected", "not-authorised")
    ]
    assert summary.read == good.listings.count()
    assert not ListingWatch.objects.filter(channel=bad, attempts__gt=0).exists()


def test_a_slow_channel_does_not_hold_up_another(connect, simulator, settings):
    settings.FETCH_THREADS = 16
    slow, quick = connect(), connect("taobao-shanye")
    session_shop = simulator.taobao.shop()["shop"]
    simulator.taobao.fail_next(times=0, kind="delay", seconds=2.0, shop=session_shop)
    started = time.monotonic()
    fetch_slice(seconds=20)
    assert time.monotonic() - started < 15
    runs = {run.channel_id: run.finished_at - run.started_at for run in PollRun.objects.all() if run.finished_at}
    assert runs[quick.pk] < timedelta(seconds=1.5) < runs[slow.pk]


def test_a_connector_that_breaks_is_our_bug_and_stops_no_other_channel(connect, simulator, monkeypatch):
    broken, good = connect(), connect("taobao-shanye")
    read_listings = TaobaoConnector.read_listings

    def read(self, batch, *, now):
        if batch[0].listing_id in broken_ids:
            raise KeyError("surprise")
        return read_listings(self, batch, now=now)

    broken_ids = set(broken.listings.values_list("pk", flat=True))
    monkeypatch.setattr(TaobaoConnector, "read_listings", read)
    summary = fetch_slice(seconds=10)
    assert [(problem.channel_id, problem.kind) for problem in summary.problems] == [(broken.pk, "fatal")]
    assert summary.read == good.listings.count()


def test_a_quota_of_ours_paces_the_calls(connect, simulator):
    connect(calls_per_second=Decimal("4"))
    batches = -(-Listing.objects.values("platform_item_id").distinct().count() // 20)
    simulator.clear_ledger()
    started = time.monotonic()
    summary = fetch_slice(seconds=20)
    calls = len(simulator.ledger())
    assert summary.read == Listing.objects.count()
    assert calls >= batches
    assert time.monotonic() - started >= (calls - 1) / 4 - 0.05


def test_a_quota_is_used_while_what_was_read_is_being_stored(connect, simulator, monkeypatch):
    def slow_record(**arguments):
        records.append(time.monotonic())
        if len(records) == 3:  # by when all listings are claimed
            time.sleep(1)
        return record(**arguments)

    records: list[float] = []
    record = reading.record  # type: ignore[attr-defined]
    monkeypatch.setattr(reading, "record", slow_record)
    monkeypatch.setattr(engine, "CHUNK", 4)
    monkeypatch.setattr(TaobaoConnector, "max_items_per_read", 1)
    connect(calls_per_second=Decimal("8"))
    simulator.clear_ledger()
    fetch_slice(seconds=4)
    starts = [datetime.fromisoformat(call["at"]) for call in simulator.ledger()]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert len(records) > 3
    assert max(gaps) < timedelta(seconds=0.7)


def test_a_quota_without_a_slot_in_time_leaves_the_work_for_later(connect, simulator):
    connect(calls_per_second=Decimal("0.05"))
    fetch_slice(seconds=2)
    make_due()
    simulator.clear_ledger()
    summary = fetch_slice(seconds=2)
    assert (summary.read, summary.failed, summary.more_due) == (0, 0, False)
    assert simulator.ledger() == []
    assert not ListingWatch.objects.filter(lease_token__isnull=False).exists()
    assert not ChannelHealth.objects.filter(failures__gt=0).exists()


# --- Requested ------------------------------------------------------------------------------------------------------


def test_fetch_now_reads_what_is_not_due_paused_or_on_a_stopped_channel(connect):
    connect(count=4)
    fetch_slice(seconds=20)
    due_at = ListingWatch.objects.values_list("next_due_at", flat=True)[0]
    ListingWatch.objects.update(is_paused=True)
    Channel.objects.update(is_watched=False)
    summary = fetch_listings(listing_ids=all_ids(), now=timezone.now())
    assert (summary.read, summary.changed, summary.problems) == (4, 0, [])
    assert set(ListingWatch.objects.values_list("next_due_at", flat=True)) == {due_at}
    run = PollRun.objects.get(kind="requested")
    assert (run.read_ids, run.finished_at is not None) == (all_ids(), True)


def test_fetch_now_does_not_call_through_a_wait(connect, simulator):
    channel = connect(count=1)
    retry_at = timezone.now() + timedelta(minutes=5)
    ChannelHealth.objects.create(channel=channel, kind="wait", cause="quota", retry_at=retry_at)
    simulator.clear_ledger()
    [problem] = fetch_listings(listing_ids=all_ids(), now=timezone.now()).problems
    assert (problem.kind, problem.cause, problem.retry_at) == ("wait", "quota", retry_at)
    assert simulator.ledger() == []
    assert not ListingWatch.objects.filter(lease_token__isnull=False).exists()


def test_fetch_now_says_that_a_listing_is_being_read(connect):
    connect(count=2)
    busy = ListingWatch.objects.order_by("pk")[0]
    ListingWatch.objects.filter(pk=busy.pk).update(lease_until=timezone.now() + timedelta(seconds=60))
    summary = fetch_listings(listing_ids=all_ids(), now=timezone.now())
    assert (summary.read, [problem.kind for problem in summary.problems]) == (1, ["busy"])


def test_fetch_now_of_an_unknown_or_removed_listing_does_nothing(connect):
    connect(count=1)
    Listing.objects.update(removed_at=timezone.now())
    summary = fetch_listings(listing_ids=[*all_ids(), 10**9], now=timezone.now())
    assert (summary.read, summary.failed, summary.problems) == (0, 0, [])


# --- Foreground -----------------------------------------------------------------------------------------------------


def test_a_foreground_pass_has_the_time_it_is_given(connect, simulator):
    channel = connect()
    moments = [timezone.now() - timedelta(days=days) for days in (2, 1)]
    told = []
    for moment in moments:
        simulator.step(seconds=86_400)
        summary = pass_over_channel(
            channel=channel,
            now=moment,
            everything=True,
            interval=timedelta(days=1),
            progress=lambda done, total: told.append((done, total)),
        )
        assert summary.read == channel.listings.count()
    assert set(ListingWatch.objects.values_list("read_at", flat=True)) == {moments[1]}
    assert not Observation.objects.filter(is_gap=True).exists()
    assert set(Observation.objects.values_list("observed_at", flat=True)) <= set(moments)
    assert told[-1] == (channel.listings.count(),) * 2
    assert PollRun.objects.filter(finished_at__isnull=True).count() == 0
