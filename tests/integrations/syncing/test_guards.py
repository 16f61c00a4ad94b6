"""The guard of zeros: too many at once wait for a person, in however small steps they come; the rest goes out."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from catalog.models import AuditEvent, Listing, StockMovement
from integrations.models import ListingSync
from integrations.syncing import dirty, guards
from integrations.syncing.pushing import push_slice
from integrations.syncing.switching import set_most_zeroed
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
ROWS = 10


@pytest.fixture
def shop(open_shop, settle):
    """A shop of ten listings that show their stock; three of them may go to 0 without asking."""
    found = open_shop("woocommerce", ROWS)
    stocked = [index for index in range(ROWS) if found.shown(index) > 0]
    assert stocked == list(range(ROWS))
    settle()
    found.subject.simulator.clear_ledger()
    return found


def sell_out(shop, *indexes):
    for index in indexes:
        shop.count(-shop.sync(index).confirmed, index)


def held(shop):
    return [index for index in range(ROWS) if shop.sync(index).cause == "guard"]


def shown(shop):
    return [index for index in range(ROWS) if shop.shown(index) == 0]


def test_more_zeros_than_the_limit_wait_before_the_first_is_sent(shop, settle, monkeypatch):
    monkeypatch.setattr("integrations.syncing.pushing.PushingJob.chunk", 2)
    sell_out(shop, *range(5))
    shop.count(3, 7)
    settle(2)
    assert shown(shop) == []
    assert held(shop) == [0, 1, 2, 3, 4]
    assert shop.shown(7) == shop.sync(7).wanted == shop.sync(7).confirmed  # what is not 0 goes out
    row = shop.sync(0)
    assert (row.state, row.wanted, row.due_at) == ("waiting", 0, None)


def test_fewer_are_sent_at_once(shop, settle):
    sell_out(shop, 0, 1, 2, 3)  # more than 30 %, but fewer than five
    settle(2)
    assert (shown(shop), held(shop)) == ([0, 1, 2, 3], [])


def test_many_small_steps_come_to_the_same_as_a_large_one(shop, settle):
    for index in range(7):
        sell_out(shop, index)
        push_slice(seconds=2)
    assert shown(shop) == [0, 1, 2, 3]
    assert held(shop) == [4, 5, 6]


def test_an_hour_later_it_is_judged_anew(shop, settle):
    sell_out(shop, 0, 1, 2, 3)
    settle(2)
    ListingSync.objects.filter(pushed=0).update(pushed_at=timezone.now() - guards.WINDOW)
    sell_out(shop, 4)
    settle(2)
    assert shop.shown(4) == 0


def test_what_nobody_knows_the_figure_of_counts_as_showing_some(shop, settle):
    ListingSync.objects.update(confirmed=None, state="failed")
    Listing.objects.update(stock=None)
    for index in range(5):
        shop.count(-shop.shown(index), index)
    settle(1)
    assert shown(shop) == []
    assert held(shop) == [0, 1, 2, 3, 4]


def test_what_shows_0_already_is_no_zero(shop, settle):
    ListingSync.objects.filter(pk__in=[shop.sync(index).pk for index in range(5)]).update(confirmed=0)
    for index in range(5):
        shop.count(-shop.shown(index), index)
    assert guards.judge(shop.channel.pk, timezone.now()).zeros < 5


def test_a_retry_and_a_sweep_are_held_as_well(shop, settle, django_capture_on_commit_callbacks):
    sell_out(shop, *range(6))
    settle(1)
    dirty.retry(ListingSync.objects.filter(cause="guard"), actor=UserFactory(), now=timezone.now())
    push_slice(seconds=2)
    assert held(shop) == [0, 1, 2, 3, 4, 5]
    assert dirty.sweep(now=timezone.now()) == 6
    push_slice(seconds=2)
    assert held(shop) == [0, 1, 2, 3, 4, 5]
    assert shown(shop) == []


def test_a_full_run_reads_back_what_is_held_and_leaves_it_held(shop, settle):
    sell_out(shop, *range(5))
    settle(1)
    dirty.begin_full(shop.channel, now=timezone.now())
    settle()
    assert held(shop) == [0, 1, 2, 3, 4]
    assert shown(shop) == []
    row = shop.sync(0)
    assert (row.state, row.confirmed, row.verify_at) == ("waiting", shop.shown(0), None)


def test_stock_that_comes_back_is_sent_and_releases_the_others(shop, settle):
    sell_out(shop, *range(5))
    settle(1)
    shop.count(9, 0)
    settle(2)
    assert shop.shown(0) == 9
    assert held(shop) == [1, 2, 3, 4]
    dirty.sweep(now=timezone.now())
    settle(2)
    assert shown(shop) == [1, 2, 3, 4]


def test_a_higher_limit_has_them_sent(shop, settle):
    sell_out(shop, *range(5))
    settle(1)
    actor = UserFactory()
    assert set_most_zeroed(channel=shop.channel, percent=50, actor=actor, now=timezone.now())
    assert not set_most_zeroed(channel=shop.channel, percent=50, actor=actor, now=timezone.now())
    settle(2)
    assert shown(shop) == [0, 1, 2, 3, 4]
    event = AuditEvent.objects.get(action="changed")
    assert event.changes == {"integrations.channelsync.most_zeroed_percent": [30, 50]}


def test_what_is_left_stays_until_its_target_changes_and_counts_no_more(shop, settle):
    sell_out(shop, *range(6))
    settle(1)
    left = guards.leave(channel=shop.channel, reason="the count\0 was wrong", actor=UserFactory(), now=timezone.now())
    assert left == 6
    dirty.sweep(now=timezone.now())
    settle(2)
    assert shown(shop) == []
    row = shop.sync(0)
    assert (row.state, row.problem) == ("dismissed", "the count was wrong")
    sell_out(shop, 8)
    shop.count(4, 0)
    settle(2)
    assert (shop.shown(8), shop.shown(0)) == (0, 4)


def test_a_small_claim_asks_nothing_and_a_large_one_a_constant_number(shop, django_assert_max_num_queries):
    with django_assert_max_num_queries(0):
        guard = guards.Guard()
    sell_out(shop, *range(5))
    keys = [shop.sync(index).pk for index in range(5)]
    ListingSync.objects.filter(pk__in=keys).update(due_at=timezone.now())
    with django_assert_max_num_queries(12):
        assert guard.held(shop.channel.pk, keys, timezone.now()) == set(keys)
    with django_assert_max_num_queries(1):
        assert guard.held(shop.channel.pk, keys[:2], timezone.now()) == set(keys[:2])


def test_two_slices_at_once_pass_no_more_than_one(shop):
    sell_out(shop, *range(5))
    first, second = guards.Guard(), guards.Guard()
    keys = [shop.sync(index).pk for index in range(5)]
    now = timezone.now()
    ListingSync.objects.filter(pk__in=keys).update(due_at=now + timedelta(minutes=2), lease_until=now)
    assert first.held(shop.channel.pk, keys[:2], now) == set(keys[:2])
    assert second.held(shop.channel.pk, keys[2:], now) == set(keys[2:])


# --- Suspicious readings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", [None, 0], ids=["nothing is told", "all read as 0"])
def test_what_is_read_never_becomes_a_target(shop, settle, seen):
    """An empty page or a shop that shows 0 everywhere changes what we know of the shop, never what it is to show."""
    Listing.objects.update(stock=seen, observed_at=timezone.now() + timedelta(seconds=1))
    before = list(StockMovement.objects.values_list("pk", flat=True))
    dirty.sweep(now=timezone.now())
    wanted = {row.listing_id: row.wanted for row in ListingSync.objects.all()}
    settle()
    assert {row.listing_id: row.wanted for row in ListingSync.objects.all()} == wanted
    assert shown(shop) == []
    assert list(StockMovement.objects.values_list("pk", flat=True)) == before


def test_the_command_shows_how_far_it_is_on_a_terminal_and_says_what_is_held(shop, capsys):
    class Terminal(StringIO):
        def isatty(self):
            return True

    sell_out(shop, *range(5))
    shop.count(2, 7)
    terminal = Terminal()
    call_command("sync", "--json", stderr=terminal)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["held"], told["sent"], told["channels"][0]["held"]) == (5, 1, 5)
    shown = terminal.getvalue()
    assert f"\r{shop.channel} ······························ 0/6" in shown
    assert "5 listings would go to 0" in shown
    plain = StringIO()
    call_command("sync", stderr=plain)
    assert "\r" not in plain.getvalue()
