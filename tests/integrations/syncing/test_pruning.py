"""What of the log goes, and what stays however old it is."""

from datetime import timedelta

import pytest
from django.core.management import call_command

from integrations.models import SyncAttempt, SyncItem, SyncRun
from integrations.syncing import pruning
from integrations.syncing.pruning import LogSummary, prune_log
from tests.factories import NOW, ListingFactory

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def retention(settings):
    settings.SYNC_LOG_RETENTION_DAYS = 10


@pytest.fixture
def listing():
    return ListingFactory()


def sent(listing, *, days, kind="incremental", is_over=True, location_id="", **values):
    """An item with an attempt, of a run so many days ago."""
    at = NOW - days * DAY
    run = SyncRun.objects.create(
        channel=listing.channel, kind=kind, started_at=at, ended_at=at if is_over else None, **values
    )
    item = SyncItem.objects.create(run=run, listing=listing, location_id=location_id, created_at=at)
    SyncAttempt.objects.create(item=item, sent_at=at, status="applied")
    return item


def left():
    return set(SyncItem.objects.values_list("pk", flat=True))


def test_what_is_older_than_it_is_kept_goes_with_its_attempts_and_its_run(listing):
    old, kept, last = (sent(listing, days=days) for days in (11, 9, 1))
    assert prune_log(now=NOW) == LogSummary(runs=1, items=1)
    assert left() == {kept.pk, last.pk}
    assert SyncAttempt.objects.count() == 2
    assert not SyncRun.objects.filter(pk=old.run_id).exists()
    assert prune_log(now=NOW) == LogSummary()


def test_the_last_item_of_a_listing_at_each_location_stays(listing):
    old = [sent(listing, days=days, location_id=place) for days, place in ((40, "a"), (30, "a"), (50, "b"))]
    other = sent(ListingFactory(channel=listing.channel), days=60)
    prune_log(now=NOW)
    assert left() == {old[1].pk, old[2].pk, other.pk}
    assert SyncRun.objects.count() == 3, "a run stays while an item of it does"


def test_a_run_that_is_not_over_stays(listing):
    running = sent(listing, days=40, kind="full", is_over=False)
    sent(listing, days=1)
    assert prune_log(now=NOW) == LogSummary()
    assert running.pk in left()


@pytest.mark.parametrize("applied_at", [None, NOW - 39 * DAY])
def test_old_dry_runs_go_and_are_never_the_last_of_a_listing(listing, applied_at):
    real = sent(listing, days=40)
    sent(listing, days=30, kind="dry", applied_at=applied_at)
    recent = sent(listing, days=2, kind="dry")
    assert prune_log(now=NOW).items == 1
    assert left() == {real.pk, recent.pk}


def test_runs_without_items_go(listing):
    SyncRun.objects.create(channel=listing.channel, kind="full", started_at=NOW - 11 * DAY, ended_at=NOW - 11 * DAY)
    assert prune_log(now=NOW) == LogSummary(runs=1)


def test_it_goes_in_parts(listing, monkeypatch):
    monkeypatch.setattr(pruning, "_AT_ONCE", 2)
    for days in range(20, 13, -1):
        sent(listing, days=days)
    assert prune_log(now=NOW) == LogSummary(runs=6, items=6)


def test_a_dry_run_of_it_tells_the_same_and_removes_nothing(listing, capsys):
    for days in (30, 20, 1):
        sent(listing, days=days)
    expected = prune_log(now=NOW, dry_run=True)
    assert SyncItem.objects.count() == 3
    assert prune_log(now=NOW) == expected == LogSummary(runs=2, items=2)


def test_the_command_prunes_the_log_too(listing, capsys, settings):
    settings.SYNC_LOG_RETENTION_DAYS = 1
    for days in (30, 20):
        sent(listing, days=days)
    call_command("prune", "--dry-run")
    assert "1 sync items" in capsys.readouterr().out
    call_command("prune")
    assert SyncItem.objects.count() == 1
