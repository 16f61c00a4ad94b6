import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command

from monitoring.models import (
    Alert,
    DailyRollup,
    Delivery,
    ForecastReport,
    Notification,
    Observation,
    PlanRun,
    PollRun,
    PriceRun,
)
from monitoring.rollup import StoredDay, points_of
from monitoring.services import prune
from tests.factories import (
    AlertFactory,
    ChannelFactory,
    DeliveryFactory,
    ListingFactory,
    ListingWatchFactory,
    NotificationFactory,
)

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)  # noon in Shanghai


@pytest.fixture(autouse=True)
def retention(settings):
    settings.OBSERVATION_RETENTION_DAYS = 10
    settings.POLL_RUN_RETENTION_DAYS = 5
    settings.ALERT_RETENTION_DAYS = 100


@pytest.fixture
def listing():
    return ListingFactory(channel=ChannelFactory(time_zone="Asia/Shanghai"))


def at(day, hour, minute=0):
    """A time in Shanghai, in November."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


def observe(listing, moment, *, price=None, stock=None, is_gap=False):
    Observation.objects.create(
        listing=listing,
        observed_at=moment,
        is_gap=is_gap,
        live_price=price and Decimal(price),
        stock=stock,
        shelf_state="unknown" if is_gap else "on_shelf",
    )


def stored_times(listing):
    return list(
        Observation.objects.filter(listing=listing).order_by("observed_at").values_list("observed_at", flat=True)
    )


def test_whole_local_days_are_rolled_up_and_the_last_observation_before_the_cut_off_stays(listing):
    # The cut-off is the start of 11 November in Shanghai, which is 16:00 of the 10th in UTC.
    moments = [at(3, 9), at(3, 10), at(10, 23, 59), at(11, 0), at(12, 5)]
    for number, moment in enumerate(moments):
        observe(listing, moment, stock=number)
    summary = prune(now=NOW)
    assert (summary.observations, summary.days) == (2, 2)
    assert stored_times(listing) == moments[2:]
    assert list(DailyRollup.objects.order_by("day").values_list("day", flat=True)) == [
        date(2026, 11, 3),
        date(2026, 11, 10),
    ]


def test_a_day_has_its_lows_highs_and_last_values_with_what_was_carried_into_it(listing):
    observe(listing, at(3, 9), price="10", stock=5)
    observe(listing, at(4, 12), price="30", stock=0)
    observe(listing, at(4, 13), price="20", stock=9)
    observe(listing, at(5, 1), price="20", stock=8)
    prune(now=NOW)
    day = DailyRollup.objects.get(day=date(2026, 11, 4))
    assert [day.live_price_low, day.live_price_high, day.live_price] == [Decimal(10), Decimal(30), Decimal(20)]
    assert (day.stock_low, day.stock_high, day.stock) == (0, 9, 9)
    assert (day.shelf_state, day.gap_seconds) == ("on_shelf", 0)


def test_a_value_that_ended_with_the_day_before_is_not_carried_in(listing):
    observe(listing, at(3, 9), stock=5)
    observe(listing, at(4, 0), stock=1)
    observe(listing, at(5, 0), stock=2)
    prune(now=NOW)
    assert DailyRollup.objects.get(day=date(2026, 11, 4)).stock_high == 1


def test_gaps_are_counted_in_seconds_of_the_day_and_hold_no_value(listing):
    observe(listing, at(3, 12), stock=5)
    observe(listing, at(3, 23), is_gap=True)
    observe(listing, at(4, 2), stock=7)
    observe(listing, at(4, 22), is_gap=True)
    observe(listing, at(6, 0), stock=7)
    observe(listing, at(7, 0), stock=8)
    prune(now=NOW)
    third, fourth = DailyRollup.objects.order_by("day")[:2]
    assert (third.gap_seconds, third.stock, third.stock_low) == (3600, None, 5)
    assert (fourth.gap_seconds, fourth.stock, fourth.stock_high) == (2 * 3600 + 2 * 3600, None, 7)


@pytest.mark.parametrize(
    ("day", "seconds"),
    [pytest.param(29, 23 * 3600, id="in spring"), pytest.param(25, 25 * 3600, id="in autumn")],
)
def test_a_day_is_as_long_as_the_clocks_make_it(day, seconds):
    berlin = ListingFactory(channel=ChannelFactory(time_zone="Europe/Berlin"))
    month = 3 if day == 29 else 10
    midnight = datetime(2026, month, day, tzinfo=UTC) - timedelta(hours=1 if month == 3 else 2)
    observe(berlin, midnight, is_gap=True)
    observe(berlin, midnight + timedelta(days=3), stock=1)
    prune(now=NOW)
    assert DailyRollup.objects.order_by("day")[0].gap_seconds == seconds


def test_pruning_again_changes_nothing_and_later_days_go_on_from_what_stayed(listing):
    observe(listing, at(3, 9), stock=1)
    observe(listing, at(3, 10), stock=2)
    observe(listing, at(12, 10), stock=3)
    prune(now=NOW)
    before = list(DailyRollup.objects.values())
    again = prune(now=NOW)
    assert again.observations == 0
    assert list(DailyRollup.objects.values()) == before
    prune(now=NOW + timedelta(days=3))
    third, twelfth = DailyRollup.objects.order_by("day")
    assert (third.stock_low, third.stock_high) == (1, 2)
    assert (twelfth.stock_low, twelfth.stock_high) == (2, 3)
    assert stored_times(listing) == [at(12, 10)]


def test_a_dry_run_says_what_would_go_and_leaves_it(listing, capsys):
    observe(listing, at(3, 9), stock=1)
    observe(listing, at(4, 9), stock=2)
    PollRun.objects.create(channel=listing.channel, started_at=at(3, 9), finished_at=at(3, 10))
    call_command("prune", "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["dry_run"] is True
    assert prune(now=NOW, dry_run=True) == type(prune(now=NOW, dry_run=True))(observations=1, days=2, poll_runs=1)
    assert (Observation.objects.count(), PollRun.objects.count(), DailyRollup.objects.count()) == (2, 1, 0)


def test_finished_poll_runs_go_after_their_own_time(listing):
    for finished_at in (at(15, 0), at(20, 0), None):
        PollRun.objects.create(channel=listing.channel, kind="requested", started_at=at(1, 0), finished_at=finished_at)
    assert prune(now=NOW).poll_runs == 1


def test_old_poll_runs_go_without_being_loaded_and_nothing_points_at_them_any_more(listing, django_assert_num_queries):
    runs = [
        PollRun.objects.create(channel=listing.channel, started_at=at(1, 0), finished_at=finished_at, read_ids=[1, 2])
        for finished_at in (at(1, 1), at(1, 2), at(20, 0))
    ]
    watches = [ListingWatchFactory(listing__channel=listing.channel, poll_run=run) for run in runs]
    # Channels, their observations, watches, ids, rows, no more ids; alerts, news, deliveries.
    with django_assert_num_queries(15):
        assert prune(now=NOW).poll_runs == 2
    assert list(PollRun.objects.all()) == runs[2:]
    assert [type(watch).objects.get(pk=watch.pk).poll_run for watch in watches] == [None, None, runs[2]]


def test_runs_of_planning_and_pricing_go_but_for_the_last_plan_with_its_report_card():
    def planned(days_ago, **fields):
        ended = NOW - timedelta(days=days_ago)
        run = PlanRun.objects.create(kind="full", started_at=ended, ended_at=ended, **fields)
        figures = {"of": "ours", "horizon": 14, "level": Decimal("0.95"), "totals": 1}
        return ForecastReport.objects.create(run=run, **figures).run

    planned(900)
    last = planned(800)
    planned(700, problem="MemoryError")
    for days in (900, 1):
        ended = NOW - timedelta(days=days)
        PriceRun.objects.create(listing_ids=b"", total=1, started_at=ended, ended_at=ended)
    assert prune(now=NOW, dry_run=True).work_runs == 3
    assert prune(now=NOW).work_runs == 3
    assert list(PlanRun.objects.all()) == [last]
    assert list(ForecastReport.objects.values_list("run", flat=True)) == [last.pk]
    assert PriceRun.objects.get().ended_at == NOW - timedelta(days=1)


def test_old_deliveries_go_with_their_notifications_which_would_wait_again_without_them():
    long_ago = NOW - timedelta(days=91)
    old = DeliveryFactory(created_at=long_ago)
    NotificationFactory(alert=settled(NOW), delivery=old, target=old.target)
    old.channels.set([ChannelFactory()])
    told = DeliveryFactory(created_at=long_ago)
    kept = NotificationFactory(delivery=told, target=told.target)
    NotificationFactory(alert=settled(NOW), delivery=told, target=told.target)
    waiting = DeliveryFactory(created_at=long_ago, status="waiting")
    recent = DeliveryFactory(created_at=NOW - timedelta(days=89))
    unsent = NotificationFactory(due_at=long_ago)
    assert prune(now=NOW, dry_run=True).deliveries == 1
    assert prune(now=NOW).deliveries == 1
    assert set(Delivery.objects.all()) == {waiting, recent, told}, "the end of what still holds goes where it was told"
    assert set(Notification.objects.filter(alert__cleared_at=None)) == {kept, unsent}
    Alert.objects.update(**OVER, cleared_at=NOW)
    assert prune(now=NOW).deliveries == 1
    assert list(Notification.objects.all()) == [unsent]


OVER = {"status": Alert.Status.RESOLVED, "resolved_at": NOW}


def settled(cleared_at, **fields):
    """An alert that is over since then."""
    return AlertFactory(**{**OVER, "cleared_at": cleared_at, **fields})


def test_alerts_that_were_over_long_ago_go_with_their_news(monkeypatch):
    monkeypatch.setattr("monitoring.services.pruning._ALERTS_AT_ONCE", 2)
    long_ago = NOW - timedelta(days=101)
    alone, shared = DeliveryFactory(), DeliveryFactory()
    alone.channels.set([ChannelFactory()])
    old = [settled(long_ago) for _number in range(5)]
    kept = [
        settled(NOW - timedelta(days=100)),
        AlertFactory(opened_at=long_ago),
        AlertFactory(opened_at=long_ago, status="acknowledged"),
        AlertFactory(opened_at=long_ago, status="resolved", resolved_at=long_ago),  # by hand, and it still holds
    ]
    NotificationFactory(alert=old[0], target=alone.target, delivery=alone)
    NotificationFactory(alert=old[1], target=shared.target, delivery=shared)
    NotificationFactory(alert=old[2], dropped_cause="over")
    NotificationFactory(alert=old[3])
    news = NotificationFactory(alert=kept[0], target=shared.target, delivery=shared)
    assert prune(now=NOW, dry_run=True).alerts == 5
    assert prune(now=NOW).alerts == 5
    assert set(Alert.objects.all()) == set(kept)
    assert (list(Notification.objects.all()), list(Delivery.objects.all())) == ([news], [shared])
    assert prune(now=NOW).alerts == 0


def test_news_that_was_given_up_long_ago_goes_unless_its_alert_holds():
    long_ago = NOW - timedelta(days=91)
    over = settled(NOW)
    NotificationFactory(alert=over, due_at=long_ago, dropped_cause="over")
    kept = {
        NotificationFactory(alert=over, due_at=NOW - timedelta(days=90), dropped_cause="over"),
        NotificationFactory(alert=over, due_at=long_ago),
        NotificationFactory(due_at=long_ago, dropped_cause="acknowledged"),
    }
    assert prune(now=NOW, dry_run=True).notifications == 1
    assert prune(now=NOW).notifications == 1
    assert set(Notification.objects.all()) == kept


SHANGHAI = ZoneInfo("Asia/Shanghai")


def stored(day, *, gap=0, stock=None):
    return StoredDay(date(2026, 11, day), gap, None, None, None, stock, "unknown" if stock is None else "on_shelf")


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([stored(3, stock=5)], [(at(4, 0), 5)], id="the last of a day holds from its end on"),
        pytest.param(
            [stored(3, stock=5), stored(6, stock=7, gap=3600)],
            [(at(4, 0), 5), (at(6, 23), None), (at(7, 0), 7)],
            id="a gap within a day stands at its end",
        ),
        pytest.param(
            [stored(3, stock=5), stored(4, gap=7200), stored(6, stock=7, gap=3600)],
            [(at(4, 0), 5), (at(4, 22), None), (at(6, 1), 7)],
            id="a gap over days is as long as it was",
        ),
        pytest.param(
            [stored(3, stock=5), stored(4, gap=7200), stored(6, gap=7200), stored(7, stock=1)],
            [(at(4, 0), 5), (at(4, 22), None), (at(7, 0), 1)],
            id="a day between two gaps of which the last value is not known",
        ),
        pytest.param([stored(3, gap=60), stored(4, stock=1, gap=60)], [(at(4, 0, 1), 1)], id="begins in a gap"),
    ],
)
def test_stored_days_tell_what_was_in_force(days, expected):
    points = list(points_of(days, SHANGHAI))
    assert [(point.at, point.stock) for point in points] == expected
    assert all(point.is_gap is (point.stock is None) for point in points)
