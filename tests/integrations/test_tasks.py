"""What the queue calls: lanes that do not pile up, new listings that are read at once, heartbeats."""

import itertools
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ, Task

from catalog import services
from catalog.models import Listing
from integrations import fetching, tasks
from integrations.fetching.passes import LANE_EVERY
from integrations.models import Heartbeat
from monitoring.models import ListingWatch
from monitoring.services import next_due
from monitoring.timing import due_after_success
from tests.factories import ChannelFactory, ListingFactory, ListingWatchFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def var_dir(settings, tmp_path):
    settings.VAR_DIR = tmp_path


def queued():
    return [(task.key, task.func(), task.args()) for task in OrmQ.objects.order_by("pk")]


# --- The lane -------------------------------------------------------------------------------------------------------


@pytest.fixture
def more_due(monkeypatch):
    """A slice whose time is up before its work is."""
    from integrations import fetching

    monkeypatch.setattr(fetching, "fetch_slice", lambda **kwargs: fetching.SliceSummary(read=20, more_due=True))


def test_a_lane_with_nothing_to_do_queues_nothing():
    assert "0 read" in tasks.fetch_lane()
    assert queued() == []


def test_a_lane_whose_time_is_up_queues_the_next_slice(more_due):
    tasks.fetch_lane()
    assert queued() == [("bulk", "integrations.tasks.fetch_lane", ())]


def test_a_second_lane_of_the_same_host_ends_at_once_and_queues_nothing(more_due):
    with tasks._only_one("fetch-lane") as is_ours:
        assert is_ours
        assert tasks.fetch_lane() == "already running"
    assert queued() == []


def test_lanes_that_were_queued_several_times_become_one_again(more_due, monkeypatch):
    """Each lane that runs queues one successor, so doubles must not: those that come while one runs leave none."""
    from integrations import fetching

    inner: list[str] = []

    def slice_while_doubles_come(**kwargs):
        inner.extend(tasks.fetch_lane() for _ in range(3))
        return fetching.SliceSummary(more_due=True)

    monkeypatch.setattr(fetching, "fetch_slice", slice_while_doubles_come)
    tasks.fetch_lane()
    assert inner == ["already running"] * 3
    assert len(queued()) == 1


def test_the_lane_is_free_again_after_its_process_was_killed(tmp_path):
    hold = (
        "import django, time; django.setup()\n"
        "from django.conf import settings; from pathlib import Path\n"
        f"settings.VAR_DIR = Path({str(tmp_path)!r})\n"
        f"settings.DATABASES['default'] = { ({k: connection.settings_dict[k] for k in ('HOST', 'PORT', 'NAME')})!r}\n"
        "from integrations.tasks import _only_one\n"
        "with _only_one('fetch-lane'):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with tasks._only_one("fetch-lane") as is_ours:
            assert not is_ours
    finally:
        process.kill()
        process.communicate()
    with tasks._only_one("fetch-lane") as is_ours:
        assert is_ours


class Clock:
    """Time that passes when somebody sleeps, or by what a slice takes."""

    def __init__(self, start):
        self.start, self.elapsed = start, 0.0

    def now(self):
        return self.start + timedelta(seconds=self.elapsed)

    def monotonic(self):
        return self.elapsed

    def sleep(self, seconds):
        assert seconds > 0
        self.elapsed += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock(timezone.now())
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    monkeypatch.setattr(timezone, "now", clock.now)
    return clock


def reading_slices(clock, starts, reads):
    """Slices that read what is due in no time; the starts of slices, and when something was read, are noted."""

    def fetch_slice(*, now_fn, seconds):
        assert seconds > 0
        now = now_fn()
        starts.append(clock.elapsed)
        for watch in ListingWatch.objects.filter(next_due_at__lte=now).select_related("channel"):
            reads.append(clock.elapsed)
            watch.next_due_at = due_after_success(started_at=now, interval=watch.interval, now=now)
            watch.save()
        return fetching.SliceSummary(due_at=next_due(now=now, until=now + LANE_EVERY))

    return fetch_slice


def test_an_interval_of_30_seconds_is_kept_though_the_clock_starts_lanes_each_minute(clock, monkeypatch):
    starts: list[float] = []
    reads: list[float] = []
    lanes = 0
    monkeypatch.setattr(fetching, "fetch_slice", reading_slices(clock, starts, reads))
    ListingWatchFactory(next_due_at=clock.now(), interval_seconds=30)
    while clock.elapsed < 300:
        if int(clock.elapsed) % 60 == 0 or OrmQ.objects.exists():
            OrmQ.objects.all().delete()
            tasks.fetch_lane()
            lanes += 1
        clock.sleep(1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(reads)]
    assert len(gaps) >= 9
    assert all(30 <= gap <= 33 for gap in gaps)
    assert len(starts) <= 2 * lanes
    assert lanes <= 16


def test_a_lane_waits_no_longer_than_its_slice_and_for_nothing_that_the_next_one_reads(clock, monkeypatch):
    starts: list[float] = []
    reads: list[float] = []
    monkeypatch.setattr(fetching, "fetch_slice", reading_slices(clock, starts, reads))
    ListingWatchFactory(next_due_at=clock.now() + timedelta(seconds=61), interval_seconds=30)
    tasks.fetch_lane()
    assert (clock.elapsed, queued()) == (0, [])
    clock.sleep(20)
    tasks.fetch_lane()
    assert clock.elapsed == 40
    assert queued() == [("bulk", "integrations.tasks.fetch_lane", ())]
    assert (len(starts), reads) == (2, [])


def test_a_lane_that_waits_is_woken_by_another(clock, monkeypatch):
    starts: list[float] = []
    reads: list[float] = []
    monkeypatch.setattr(fetching, "fetch_slice", reading_slices(clock, starts, reads))
    watch = ListingWatchFactory(next_due_at=clock.now() + timedelta(seconds=18), interval_seconds=299)

    def sleep(seconds):
        clock.elapsed += seconds
        if clock.elapsed == 5:
            ListingWatch.objects.filter(pk=watch.pk).update(next_due_at=clock.now())
            assert tasks.fetch_lane() == "already running"

    monkeypatch.setattr(time, "sleep", sleep)
    tasks.fetch_lane()
    assert reads == [5]


@pytest.mark.parametrize(("is_watched", "lanes"), [(True, 1), (False, 0)])
def test_a_channel_that_changed_is_looked_at_at_once(is_watched, lanes, django_capture_on_commit_callbacks):
    channel = ChannelFactory(is_watched=not is_watched)
    with django_capture_on_commit_callbacks(execute=True):
        services.set_watched(
            channels=type(channel).objects.all(), is_watched=is_watched, actor=None, now=timezone.now()
        )
    assert queued() == [("bulk", "integrations.tasks.fetch_lane", ())] * lanes


# --- New listings ---------------------------------------------------------------------------------------------------


def add(channel, count):
    listings = [Listing(channel=channel, platform_item_id=str(number)) for number in range(1, count + 1)]
    services.add_listings(listings=listings, actor=None, now=timezone.now())
    return [listing.pk for listing in listings]


def test_new_listings_are_queued_to_be_read_at_once(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        ids = add(ChannelFactory(), 2)
    assert queued() == [("interactive", "integrations.tasks.fetch_requested", (ids,))]


def test_many_new_listings_come_in_a_few_chunks_and_the_lane_reads_the_rest(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        add(ChannelFactory(), tasks.REQUEST_CHUNK * (tasks.MOST_REQUESTS + 1))
    found = queued()
    requests = [len(args[0]) for _key, func, args in found if func.endswith("fetch_requested")]
    assert requests == [tasks.REQUEST_CHUNK] * tasks.MOST_REQUESTS
    assert found[-1] == ("bulk", "integrations.tasks.fetch_lane", ())


def test_more_listings_than_a_statement_takes_parameters_are_looked_up_in_parts():
    new = ListingFactory()
    tasks.fetch_new_listings(Listing, listing_ids=[*range(10**6, 10**6 + 40_000), new.pk])
    assert queued() == [("interactive", "integrations.tasks.fetch_requested", ([new.pk],))]


def test_a_listing_that_comes_back_is_read_at_once(django_capture_on_commit_callbacks):
    listing = ListingFactory(removed_at=timezone.now())
    ListingWatchFactory(listing=listing, tried_at=timezone.now(), next_due_at=timezone.now() - timedelta(days=1))
    with django_capture_on_commit_callbacks(execute=True):
        services.restore_listings(listings=Listing.objects.filter(pk=listing.pk), actor=None, now=timezone.now())
    assert queued() == [("interactive", "integrations.tasks.fetch_requested", ([listing.pk],))]


@pytest.mark.parametrize(
    ("channel", "listing", "watch"),
    [
        pytest.param({"is_watched": False}, {}, {}, id="its channel is stopped"),
        pytest.param({}, {"removed_at": timezone.now()}, {}, id="it was removed"),
        pytest.param({}, {}, {"is_paused": True}, id="it is paused"),
        pytest.param(
            {},
            {},
            {"tried_at": timezone.now(), "next_due_at": timezone.now() + timedelta(days=9)},
            id="it was only edited, and read a moment ago",
        ),
    ],
)
def test_what_is_not_new_is_not_read_out_of_turn(channel, listing, watch):
    changed = ListingFactory(channel=ChannelFactory(**channel), **listing)
    ListingWatchFactory(listing=changed, **watch)
    tasks.fetch_new_listings(Listing, listing_ids=[changed.pk])
    assert queued() == []


def test_an_unconnected_channel_is_told_about_and_costs_no_exception():
    listing = ListingFactory()
    assert "1 problem" in tasks.fetch_requested([listing.pk])
    assert ListingWatch.objects.get(listing=listing).read_at is None


# --- Heartbeats and housekeeping ------------------------------------------------------------------------------------


def test_the_canary_writes_its_clusters_heartbeat():
    before = timezone.now()
    tasks.beat("bulk")
    tasks.beat("bulk")
    assert Heartbeat.objects.get(name="bulk").beat_at >= before


def test_any_task_a_worker_takes_up_is_a_heartbeat_but_not_one_each(monkeypatch):
    monkeypatch.setattr(tasks._LastBeat, "at", -tasks._BEAT_EVERY_SECONDS + time.monotonic())
    tasks.beat_before_task("django_q", {"cluster": "bulk"})
    first = Heartbeat.objects.get(name="bulk").beat_at
    tasks.beat_before_task("django_q", {"cluster": "bulk"})
    assert Heartbeat.objects.get(name="bulk").beat_at == first


CHECKS = ["check_blind", "check_authorisations", "wake_snoozed", "end_abandoned"]


@pytest.mark.parametrize("broken", CHECKS)
def test_a_check_that_fails_stops_no_other_and_is_not_kept_quiet(monkeypatch, caplog, broken):
    ran = []

    def check(name):
        def run(**kwargs):
            ran.append(name)
            if name == broken:
                raise OverflowError("date value out of range")
            return 7

        return run

    for name in CHECKS:
        monkeypatch.setattr(tasks, name, check(name))
    with pytest.raises(ExceptionGroup, match="7 ") as raised:
        tasks.check_thresholds()
    assert ran == CHECKS
    assert raised.group_contains(OverflowError, match="date value out of range")
    [logged] = [each for each in caplog.records if each.exc_info]
    assert logged.levelname == "ERROR"


def test_the_checks_of_thresholds_tell_what_they_did():
    told = "0 blind, 0 authorisations ending, 0 snoozes over, 0 alerts without threshold"
    assert tasks.check_thresholds() == told


def test_prune_removes_what_the_queue_left_long_ago():
    now = timezone.now()
    for number, days in enumerate((1, 15)):
        stopped = now - timedelta(days=days)
        Task.objects.create(id=f"{number:032}", name=str(number), func="x", started=stopped, stopped=stopped)
    told = tasks.prune()
    assert told.startswith("0 observations, 0 poll runs, 0 alerts, 0 deliveries, 0 runs of plans and prices, ")
    assert told.endswith("0 sync items, 1 finished tasks removed")
    assert Task.objects.get().stopped > now - timedelta(days=2)
