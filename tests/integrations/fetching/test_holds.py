"""What holds a channel back, or one kind of its reads, and what does not: against the simulator, over HTTP."""

import logging
from datetime import timedelta
from decimal import Decimal

import pytest
from cryptography.fernet import Fernet
from django.db import OperationalError
from django.utils import timezone

from catalog.models import Channel, Listing
from integrations.connections import LONGEST_HOLD
from integrations.connectors.taobao import TaobaoConnector
from integrations.fetching import fetch_listings, fetch_slice, pass_over_channel
from integrations.lanes import engine
from integrations.models import ChannelHealth, QuotaSlot
from monitoring.models import ListingWatch, PollRun
from monitoring.services import close_idle_runs, close_run, ensure_watches, record
from tests.factories import CredentialFactory, ListingFactory, ThresholdFactory

pytestmark = pytest.mark.django_db

OWN_READ, AFFILIATE_READ = "taobao.items.seller.list.get", "taobao.tbk.item.info.get"
READ = {"own": OWN_READ, "competitor": AFFILIATE_READ}


def make_due():
    ListingWatch.objects.update(next_due_at=timezone.now() - timedelta(seconds=1))


def add_competitors(channel, simulator, count=3):
    items = {str(row["num_iid"]) for row in simulator.taobao.items() if not row["own"]}
    for item_id in sorted(items)[:count]:
        ListingFactory(channel=channel, platform_item_id=item_id, ownership="competitor")
    ensure_watches(now=timezone.now() - timedelta(seconds=1))


def outcomes(ownership):
    watches = ListingWatch.objects.filter(listing__ownership=ownership)
    return set(watches.values_list("outcome", "cause", "attempts"))


# --- A hold and the calls that were under way -----------------------------------------------------------------------


def test_good_answers_to_calls_that_were_under_way_do_not_end_a_hold_just_set(
    connect, simulator, settings, monkeypatch
):
    settings.FETCH_THREADS = 8
    monkeypatch.setattr(TaobaoConnector, "max_items_per_read", 1)
    channel = connect()
    simulator.taobao.fail_next(code=7, sub_code="accesscontrol.limited-by-app-access-count")
    simulator.taobao.fail_next(times=0, kind="delay", seconds=0.5)
    summary = fetch_slice(seconds=30)
    assert summary.read > 0
    health = ChannelHealth.objects.get()
    assert (health.kind, health.cause) == ("wait", "daily-quota")
    assert health.retry_at is not None
    assert health.retry_at > timezone.now()
    assert health.good_at is not None
    simulator.clear_ledger()
    assert fetch_slice(seconds=2).read == 0
    assert simulator.ledger() == []
    assert channel.listings.exists()


def test_fetch_now_tries_a_channel_that_rests_with_one_call_and_goes_on_when_it_is_back(
    connect, simulator, monkeypatch
):
    monkeypatch.setattr(TaobaoConnector, "max_items_per_read", 2)
    channel = connect()
    ids = list(channel.listings.values_list("pk", flat=True))
    retry_at = timezone.now() + timedelta(minutes=5)
    ChannelHealth.objects.create(channel=channel, failures=6, kind="retry", cause="timeout", retry_at=retry_at)
    simulator.taobao.fail_next(times=0, status=500)
    simulator.clear_ledger()
    assert fetch_listings(listing_ids=ids, now=timezone.now()).read == 0
    assert len(simulator.ledger()) == 1
    simulator.clear_faults()
    assert fetch_listings(listing_ids=ids, now=timezone.now()).read == len(ids)
    health = ChannelHealth.objects.get()
    assert (health.failures, health.retry_at, health.kind) == (0, None, "")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 403}, id="review"),
        pytest.param({"kind": "retry_after"}, id="wait"),
        pytest.param({"code": 27, "sub_code": "invalid-sessionkey"}, id="reauthorise"),
    ],
)
def test_what_the_channel_as_a_whole_met_costs_its_listings_nothing(connect, simulator, fault):
    connect(count=3)
    fetch_slice(seconds=20)
    make_due()
    due_at = set(ListingWatch.objects.values_list("next_due_at", flat=True))
    simulator.taobao.fail_next(times=0, **fault)
    fetch_slice(seconds=1)
    watches = list(ListingWatch.objects.all())
    assert {watch.next_due_at for watch in watches} == due_at
    assert {(watch.outcome, watch.attempts, watch.lease_token) for watch in watches} == {("failed", 0, None)}
    assert all(watch.cause and watch.tried_at for watch in watches)
    [held] = PollRun.objects.filter(finished_at=None)
    assert held.causes == {watches[0].cause: len(watches)}


def test_a_requested_reading_tells_why_the_channel_refused_it(connect, simulator):
    connect(count=3)
    simulator.taobao.fail_next(times=0, code=27, sub_code="invalid-sessionkey")
    fetch_listings(listing_ids=list(Listing.objects.values_list("pk", flat=True)), now=timezone.now())
    run = PollRun.objects.get(kind="requested")
    assert (run.failed_count, run.causes) == (3, {"session-invalid": 3})


# --- One kind of reads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("refused", "goes_on"), [("competitor", "own"), ("own", "competitor")])
def test_a_missing_permission_for_one_kind_of_reads_leaves_the_other_alone(connect, simulator, refused, goes_on):
    channel = connect()
    add_competitors(channel, simulator)
    simulator.taobao.refuse_method(READ[refused])
    summary = fetch_slice(seconds=20)
    assert [(problem.kind, problem.cause) for problem in summary.problems] == [("review", "permission")]
    assert outcomes(refused) == {("refused", "permission", 1)}
    assert outcomes(goes_on) == {("read", "", 0)}
    health = ChannelHealth.objects.filter(channel=channel).first()
    assert health is None or health.retry_at is None
    simulator.clear_ledger()
    ListingWatch.objects.filter(listing__ownership=goes_on).update(next_due_at=timezone.now())
    assert fetch_slice(seconds=20).read == channel.listings.filter(ownership=goes_on).count()
    assert simulator.ledger(method=READ[refused]) == []


def test_the_rest_of_a_kind_that_is_refused_is_not_asked_for(connect, simulator, settings, monkeypatch):
    settings.FETCH_THREADS = 1
    monkeypatch.setattr(TaobaoConnector, "max_competitor_items_per_read", 1)
    monkeypatch.setattr(engine, "CHUNK", 2)
    channel = connect(count=2)
    add_competitors(channel, simulator, count=5)
    simulator.taobao.refuse_method(AFFILIATE_READ)
    simulator.clear_ledger()
    fetch_slice(seconds=20)
    assert len(simulator.ledger(method=AFFILIATE_READ)) == 1
    assert outcomes("competitor") == {("refused", "permission", 1)}
    assert outcomes("own") == {("read", "", 0)}


def test_without_any_read_that_is_permitted_the_channel_as_a_whole_rests(connect, simulator):
    channel = connect()
    add_competitors(channel, simulator)
    for method in READ.values():
        simulator.taobao.refuse_method(method)
    fetch_slice(seconds=30)
    health = ChannelHealth.objects.get(channel=channel)
    assert (health.kind, health.cause) == ("review", "permission")
    assert health.retry_at is not None
    assert health.retry_at > timezone.now() + LONGEST_HOLD / 2


# --- A credential that cannot be decrypted --------------------------------------------------------------------------


def test_a_credential_without_its_key_stops_its_own_channel_only(connect, settings):
    good = connect()
    [current] = settings.CREDENTIAL_KEYS
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode()]
    lost = CredentialFactory().channel
    settings.CREDENTIAL_KEYS = [current]
    ListingFactory(channel=lost)
    summary = fetch_slice(seconds=20)
    assert summary.read == good.listings.count()
    assert [(problem.channel_id, problem.kind, problem.cause) for problem in summary.problems] == [
        (lost.pk, "unconnected", "key-missing")
    ]
    assert not ListingWatch.objects.filter(channel=lost, attempts__gt=0).exists()


# --- The database ---------------------------------------------------------------------------------------------------


def failing(times, wanted, original):
    """The function, refused by the database so many times for the calls that are wanted."""
    refused: list[int] = []

    def call(**kwargs):
        if wanted(kwargs) and len(refused) < times:
            refused.append(1)
            raise OperationalError("deadlock detected\nDETAIL: of no interest")
        return original(**kwargs)

    return call


@pytest.mark.parametrize(("times", "lost"), [(1, False), (2, True)])
def test_a_chunk_that_the_database_refuses_is_stored_again_or_left_to_its_leases(
    connect, monkeypatch, caplog, times, lost
):
    unlucky, other = connect(), connect("taobao-shanye")
    wanted = lambda kwargs: kwargs["run"].channel_id == unlucky.pk  # noqa: E731
    monkeypatch.setattr("integrations.fetching.reading.record", failing(times, wanted, record))
    with caplog.at_level(logging.WARNING):
        summary = fetch_slice(seconds=10)
    assert summary.read == other.listings.count() + (0 if lost else unlucky.listings.count())
    assert "the database refused" in caplog.text
    assert "of no interest" not in caplog.text
    leased = ListingWatch.objects.filter(lease_token__isnull=False)
    assert leased.filter(channel=other).count() == 0
    assert leased.filter(channel=unlucky).count() == (unlucky.listings.count() if lost else 0)


def test_a_pass_that_cannot_be_ended_is_ended_later_and_stops_no_other_channel(connect, monkeypatch):
    unlucky, other = connect(), connect("taobao-shanye")
    wanted = lambda kwargs: kwargs["run"].channel_id == unlucky.pk  # noqa: E731
    monkeypatch.setattr("integrations.fetching.reading.close_run", failing(9, wanted, close_run))
    assert fetch_slice(seconds=10).read == Listing.objects.count()
    assert not PollRun.objects.filter(channel=other, finished_at__isnull=True).exists()
    close_idle_runs(now=timezone.now() + timedelta(minutes=2))
    assert len(PollRun.objects.get(channel=unlucky).read_ids) == unlucky.listings.count()


# --- A fault of ours -------------------------------------------------------------------------------------------------


def broken(channel, original):
    """The function, with a bug that only this channel meets."""

    def call(**kwargs):
        if kwargs["run"].channel_id == channel.pk:
            raise OverflowError("date value out of range")
        return original(**kwargs)

    return call


def test_a_fault_while_recording_costs_its_own_channel_only(connect, monkeypatch, caplog):
    unlucky, other = connect(), connect("taobao-shanye")
    monkeypatch.setattr("integrations.fetching.reading.record", broken(unlucky, record))
    summary = fetch_slice(seconds=10)
    assert summary.read == other.listings.count()
    assert summary.failed == unlucky.listings.count()
    assert [(each.channel_id, each.kind, each.cause) for each in summary.problems] == [
        (unlucky.pk, "fatal", "internal")
    ]
    assert "OverflowError" in caplog.text
    health = ChannelHealth.objects.get(channel=unlucky)
    assert (health.kind, health.cause) == ("fatal", "internal")
    assert health.retry_at is not None
    assert health.retry_at > timezone.now() + LONGEST_HOLD / 2
    watches = ListingWatch.objects.filter(channel=unlucky)
    assert set(watches.values_list("lease_token", "outcome", "cause", "attempts")) == {(None, "failed", "internal", 0)}


def test_the_channel_is_read_again_when_our_fault_is_mended(connect, monkeypatch):
    channel = connect()
    with monkeypatch.context() as patched:
        patched.setattr("integrations.fetching.reading.record", broken(channel, record))
        fetch_slice(seconds=10)
    ChannelHealth.objects.update(retry_at=timezone.now())
    assert fetch_slice(seconds=10).read == channel.listings.count()
    health = ChannelHealth.objects.get()
    assert (health.kind, health.cause, health.retry_at) == ("", "", None)


def test_a_fault_of_ours_in_a_requested_reading_is_told(connect, monkeypatch):
    channel = connect(count=3)
    monkeypatch.setattr("integrations.fetching.reading.record", broken(channel, record))
    summary = fetch_listings(listing_ids=list(channel.listings.values_list("pk", flat=True)), now=timezone.now())
    assert [(each.kind, each.cause) for each in summary.problems] == [("fatal", "internal")]
    assert summary.failed == 3


def test_what_cannot_be_given_back_after_a_fault_is_left_to_its_leases(connect, monkeypatch, caplog):
    unlucky, other = connect(), connect("taobao-shanye")
    monkeypatch.setattr("integrations.fetching.reading.record", broken(unlucky, record))

    def no_release(**kwargs):
        raise TypeError("another bug")

    monkeypatch.setattr("integrations.fetching.reading.release", no_release)
    assert fetch_slice(seconds=10).read == other.listings.count()
    assert "another bug" in caplog.text
    leased = ListingWatch.objects.filter(lease_token__isnull=False)
    assert set(leased.values_list("channel", flat=True)) == {unlucky.pk}
    assert leased.count() == unlucky.listings.count()


def test_a_cooldown_stored_before_it_had_a_bound_stops_no_reading(connect):
    channel = connect(count=3)
    ThresholdFactory(channel=channel, cooldown_minutes=2_000_000_000)
    summary = fetch_slice(seconds=10)
    assert (summary.read, summary.problems) == (3, [])


# --- Quotas of our own ----------------------------------------------------------------------------------------------


def test_a_slot_that_a_clock_left_far_ahead_does_not_stop_the_channel(connect):
    channel = connect(count=3, calls_per_second=Decimal("10"))
    QuotaSlot.objects.create(
        credential=channel.credential, operation="read", next_free_at=timezone.now() + timedelta(hours=3)
    )
    assert fetch_slice(seconds=30).read == 3


def test_a_channel_that_cannot_send_for_its_own_quota_says_so(connect, simulator):
    channel = connect(count=3, calls_per_second=Decimal("0.05"))
    ahead = timezone.now() + timedelta(seconds=30)
    QuotaSlot.objects.create(credential=channel.credential, operation="read", next_free_at=ahead)
    simulator.clear_ledger()
    summary = fetch_slice(seconds=1)
    assert [(problem.kind, problem.cause) for problem in summary.problems] == [("wait", "own-quota")]
    assert simulator.ledger() == []
    ids = list(channel.listings.values_list("pk", flat=True))
    [problem] = fetch_listings(listing_ids=ids, now=timezone.now(), deadline_seconds=1).problems
    assert problem.cause == "own-quota"


# --- Foreground passes ----------------------------------------------------------------------------------------------


def test_a_pass_over_a_stopped_channel_loses_nothing_to_a_lane_that_comes_by(connect, monkeypatch):
    channel = connect()
    Channel.objects.update(is_watched=False)
    monkeypatch.setattr(engine, "CHUNK", 5)
    long_after = timezone.now() + timedelta(minutes=10)  # when it looks as if nobody were at it any more
    now = timezone.now() - timedelta(days=1)
    summary = pass_over_channel(
        channel=channel, now=now, progress=lambda done, total: close_idle_runs(now=long_after), everything=True
    )
    run = PollRun.objects.get()
    assert run.read_ids == sorted(channel.listings.values_list("pk", flat=True))
    assert (run.changed_count, run.finished_at) == (summary.changed, now)
