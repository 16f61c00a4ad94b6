"""What was refused or failed is sent again, or dismissed with a reason: once, told, and only where it can help."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from catalog.models import AuditEvent, StockRule
from integrations.models import ChannelSync, ListingSync, SyncRun
from integrations.syncing import dirty
from integrations.syncing.pushing import push_slice
from tests.factories import ChannelFactory, CredentialFactory, ListingFactory, SkuFactory, UserFactory
from tests.staff import member

pytestmark = pytest.mark.django_db
REASON = "Sold in the store only"


@pytest.fixture
def channel(db):
    found = CredentialFactory().channel
    ChannelSync.objects.create(channel=found, is_on=True, is_confirmed=True)
    return found


def row(channel, state, **fields):
    listing = ListingFactory(channel=channel, sku=SkuFactory())
    return ListingSync.objects.create(listing=listing, channel=channel, state=state, **fields)


def everything():
    return ListingSync.objects.order_by("pk")


def later():
    return timezone.now() + timedelta(minutes=15)


# --- Retry ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["refused", "failed", "dismissed"])
def test_what_was_refused_failed_or_dismissed_is_sent_again(channel, state):
    now = timezone.now()
    stored = row(channel, state, cause="refused-by-rule", problem=REASON, confirmed=3, due_at=later(), attempts=4)
    assert dirty.retry(everything(), actor=None, now=now) == 1
    stored.refresh_from_db()
    assert (stored.state, stored.cause, stored.problem) == ("waiting", "", "")
    # It is read before it is written: nobody knows what it shows by now.
    assert (stored.due_at, stored.confirmed, stored.attempts) == (now, None, 1)


def test_what_waits_for_a_later_try_is_sent_now(channel):
    stored = row(channel, "waiting", cause="moved", due_at=later())
    assert dirty.retry(everything(), actor=None, now=timezone.now()) == 1
    stored.refresh_from_db()
    assert stored.due_at <= timezone.now()


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        pytest.param("in-sync", {}, id="in step"),
        pytest.param("stopped", {"cause": "paused"}, id="not to be sent"),
        pytest.param("sent", {"verify_at": timezone.now()}, id="about to be read back"),
        pytest.param("waiting", {"due_at": timezone.now()}, id="about to be sent"),
        pytest.param("waiting", {"due_at": later(), "lease_until": later()}, id="being sent"),
        pytest.param("waiting", {"cause": "guard"}, id="a person is asked about zeros"),
    ],
)
def test_what_a_retry_cannot_help_stays_as_it_is(channel, state, fields):
    stored = row(channel, state, **fields)
    assert dirty.retry(everything(), actor=None, now=timezone.now()) == 0
    after = ListingSync.objects.get()
    assert (after.state, after.cause, after.due_at) == (stored.state, stored.cause, stored.due_at)
    assert not SyncRun.objects.exists()


@pytest.mark.parametrize("changes", [{"is_on": False}, {"is_confirmed": False}, {"is_paused": True}])
def test_nothing_is_sent_again_on_a_channel_that_is_not_written_to(channel, changes):
    ChannelSync.objects.update(**changes)
    row(channel, "refused")
    assert dirty.retry(everything(), actor=None, now=timezone.now()) == 0
    assert ListingSync.objects.get().state == "refused"


def test_a_retry_pressed_twice_is_one(channel, django_capture_on_commit_callbacks):
    actor = UserFactory()
    row(channel, "refused", cause="refused-by-rule")
    with django_capture_on_commit_callbacks(execute=True):
        assert [dirty.retry(everything(), actor=actor, now=timezone.now()) for _time in range(2)] == [1, 0]
    run = SyncRun.objects.get()
    assert (run.kind, run.total, run.asked_by, run.ended_at) == ("retry", 1, actor, None)
    event = AuditEvent.objects.get(action="retried")
    assert (event.actor, event.channel_id) == (actor, channel.pk)
    assert event.changes["state"] == ["refused", "waiting"]
    assert [task.func() for task in OrmQ.objects.all()] == ["integrations.tasks.push_lane"]


def test_each_channel_has_a_run_of_its_own_unless_one_is_under_way(channel):
    other = ChannelFactory()
    ChannelSync.objects.create(channel=other, is_on=True, is_confirmed=True)
    SyncRun.objects.create(channel=other, kind="full", started_at=timezone.now())
    for each in (channel, channel, other):
        row(each, "refused")
    assert dirty.retry(everything(), actor=None, now=timezone.now()) == 3
    assert list(SyncRun.objects.order_by("pk").values_list("channel", "kind", "total")) == [
        (other.pk, "full", 0),
        (channel.pk, "retry", 2),
    ]


def test_what_is_asked_for_meanwhile_joins_the_run_that_is_under_way(channel):
    for _time in range(2):
        row(channel, "refused")
        assert dirty.retry(everything(), actor=None, now=timezone.now()) == 1
    assert [run.total for run in SyncRun.objects.all()] == [2]


# --- Dismiss --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["refused", "failed"])
def test_a_dismissed_listing_keeps_its_cause_and_the_reason(channel, state):
    actor = member()
    stored = row(channel, state, cause="refused-by-rule", wanted=3)
    assert dirty.dismiss(everything(), reason=f" {REASON}\0 ", actor=actor, now=timezone.now()) == 1
    assert dirty.dismiss(everything(), reason="another", actor=actor, now=timezone.now()) == 0
    stored.refresh_from_db()
    assert (stored.state, stored.cause, stored.problem) == ("dismissed", "refused-by-rule", REASON)
    event = AuditEvent.objects.get(action="dismissed")
    assert (event.actor, event.object_type, event.object_id) == (actor, "integrations.listingsync", str(stored.pk))
    assert event.changes == {"state": [state, "dismissed"], "problem": ["", REASON]}


@pytest.mark.parametrize("state", ["new", "waiting", "sent", "in-sync", "stopped"])
def test_only_what_was_refused_or_failed_is_dismissed(channel, state):
    row(channel, state)
    assert dirty.dismiss(everything(), reason=REASON, actor=None, now=timezone.now()) == 0
    assert ListingSync.objects.get().state == state


@pytest.mark.parametrize("reason", ["", "  ", "\0"])
def test_a_dismissal_needs_a_reason(channel, reason):
    row(channel, "refused")
    with pytest.raises(ValueError, match="reason"):
        dirty.dismiss(everything(), reason=reason, actor=None, now=timezone.now())


def test_a_reason_of_any_length_is_kept_as_far_as_it_goes(channel):
    row(channel, "refused")
    assert dirty.dismiss(everything(), reason="因" * 300, actor=None, now=timezone.now()) == 1
    assert ListingSync.objects.get().problem == "因" * 200


# --- At a shop ------------------------------------------------------------------------------------------------------


@pytest.fixture
def dismissed(open_shop, settle):
    """A shop whose listing failed to be written, which a person said is all right."""
    shop = open_shop("woocommerce")
    settle()
    wanted = shop.shown() - 1
    shop.count(-1)
    ListingSync.objects.update(state="failed", cause="bad-request", wanted=wanted, due_at=timezone.now())
    dirty.dismiss(everything(), reason=REASON, actor=None, now=timezone.now())
    return shop


def test_a_dismissed_figure_is_not_sent(dismissed, settle):
    before = dismissed.shown()
    settle()
    stored = dismissed.sync()
    assert (dismissed.shown(), stored.state, stored.problem, stored.due_at) == (before, "dismissed", REASON, None)


def test_another_target_is_sent_and_ends_the_dismissal_with_its_reason(dismissed, settle):
    settle()
    dismissed.count(-1)
    wanted = dismissed.shown() - 2
    settle()
    stored = dismissed.sync()
    assert (dismissed.shown(), stored.state, stored.problem) == (wanted, "in-sync", "")


def test_a_worker_that_is_lost_over_it_leaves_no_reason_behind(dismissed):
    dismissed.count(-1)
    past = timezone.now() - timedelta(minutes=5)
    ListingSync.objects.update(lease_token=uuid4(), lease_until=past, due_at=past)
    dismissed.fail_writes("status", status=500, times=0)
    push_slice(seconds=2)
    stored = dismissed.sync()
    assert (stored.state, stored.problem) == ("failed", "")


def test_pausing_a_dismissed_listing_ends_the_dismissal(dismissed, settle):
    StockRule.objects.create(channel=dismissed.channel, is_paused=True)
    dirty.sweep(now=timezone.now())
    settle()
    stored = dismissed.sync()
    assert (stored.state, stored.cause, stored.problem) == ("stopped", "paused", "")
