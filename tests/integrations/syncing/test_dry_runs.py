"""Dry runs: kept with their reasons, sent by nobody, applied as far as they still hold."""

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.database import copy_rows
from catalog.models import AuditEvent, Listing, StockRule
from integrations import tasks
from integrations.models import ChannelSync, Credential, ListingSync, SavedFilter, SyncItem, SyncRun
from integrations.syncing import dry_runs
from integrations.syncing.dry_runs import Moved, NotApplied, ZerosNotAgreed, apply_dry_run, figures_of, make_dry_run
from integrations.syncing.scope import Scope
from monitoring.models import ListingWatch
from tests.factories import ChannelFactory, ListingFactory, SkuFactory, UserFactory
from tests.integrations.syncing.conftest import count

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor():
    return UserFactory()


@pytest.fixture
def shop(open_shop):
    """A shop whose listings were read just now, and that nobody has confirmed yet."""
    found = open_shop("woocommerce", 6)
    ChannelSync.objects.update(is_confirmed=False)
    read(found)
    found.subject.simulator.clear_ledger()
    return found


def read(shop, now=None):
    now = now or timezone.now()
    for index, sku in enumerate(shop.skus):
        listing = Listing.objects.get(sku=sku)
        Listing.objects.filter(pk=listing.pk).update(stock=shop.shown(index), observed_at=now)
        ListingWatch.objects.update_or_create(
            listing=listing,
            defaults={"channel": shop.channel, "read_at": now, "tried_at": now, "next_due_at": now, "outcome": "read"},
        )


def make(shop, actor, **scope):
    return make_dry_run(channel=shop.channel, scope=Scope(**scope), asked_by=actor, now=timezone.now())


def apply(run, actor, **options):
    return apply_dry_run(run, actor=actor, now=timezone.now(), **options)


def test_a_dry_run_keeps_what_would_change_with_its_reason_and_calls_nobody(shop, actor):
    StockRule.objects.create(channel=shop.channel, buffer=2)
    Listing.objects.filter(sku=shop.skus[5]).update(sku=None)
    run = make(shop, actor)
    assert (run.kind, run.total, run.asked_by) == ("dry", 6, actor)
    assert run.ended_at is not None
    item = run.items.get(listing__sku=shop.skus[0])
    before = shop.shown(0)
    assert (item.before, item.wanted, item.outcome) == (before, before - 2, "change")
    assert dry_runs.target_of(item).quantity == before - 2
    left = run.items.get(listing__sku=None)
    assert (left.wanted, left.blocked, left.outcome) == (None, "not-mapped", "left")
    figures = figures_of(run)
    assert (figures.changes, figures.same, figures.left, figures.unread, figures.all) == (5, 0, 1, 0, 6)
    assert shop.subject.simulator.ledger() == []
    assert not SyncRun.objects.exclude(kind="dry").exists()


def test_applied_it_confirms_the_channel_and_sends_only_what_changes(shop, actor, settle):
    shop.count(3, 0)
    shop.count(-1, 1)
    run = make(shop, actor)
    settle(1)
    assert [shop.shown(index) for index in (0, 1)] == [run.items.get(listing__sku=sku).before for sku in shop.skus[:2]]
    shop.subject.simulator.clear_ledger()
    assert apply(run, actor) == (2, 0)
    sync = ChannelSync.objects.get()
    assert sync.is_confirmed
    run.refresh_from_db()
    assert (run.applied_by, run.applied_at is not None) == (actor, True)
    settle()
    assert [shop.shown(index) for index in range(6)] == [shop.sync(index).wanted for index in range(6)]
    assert set(ListingSync.objects.values_list("state", flat=True)) == {"in-sync"}
    sent = SyncItem.objects.exclude(run__kind="dry")
    assert set(sent.values_list("listing__sku", flat=True)) == {sku.pk for sku in shop.skus[:2]}
    event = AuditEvent.objects.get(action="applied")
    assert (event.actor, event.channel, event.changes) == (actor, shop.channel, {"listings changed": [None, 2]})


def test_applied_twice_it_is_refused(shop, actor):
    run = make(shop, actor)
    apply(run, actor)
    with pytest.raises(NotApplied, match="applied already"):
        apply(run, actor)


def moved_stock(shop):
    shop.count(-1, 2)


def changed_rule(shop):
    StockRule.objects.create(channel=shop.channel, cap=10_000)


def read_otherwise(shop):
    Listing.objects.filter(sku=shop.skus[2]).update(stock=99)


def mapped_otherwise(shop):
    listing = Listing.objects.get(sku=shop.skus[2])
    listing.sku = SkuFactory()
    listing.save()


def added_listing(shop):
    sku = SkuFactory()
    ListingFactory(channel=shop.channel, sku=sku)


def grew_old(shop):
    ListingWatch.objects.update(read_at=timezone.now() - timedelta(days=1))


@pytest.mark.parametrize("change", [moved_stock, read_otherwise, mapped_otherwise])
def test_what_moved_since_is_told_and_the_rest_is_applied(shop, actor, settle, change):
    shop.count(-2, 0)
    run = make(shop, actor)
    change(shop)
    assert apply(run, actor) == (1, 1)
    assert ChannelSync.objects.get().is_confirmed
    settle()
    assert shop.shown(0) == run.items.get(listing__sku=shop.skus[0]).wanted
    states = set(ListingSync.objects.values_list("state", flat=True))
    assert states <= {"in-sync", "stopped"}, "what moved is worked out anew"


def test_a_listing_that_was_added_since_and_has_no_figure_has_not_moved(shop, actor):
    run = make(shop, actor)
    added_listing(shop)
    assert apply(run, actor) == (0, 0)


def test_what_moved_is_not_compared_with_the_figure_that_was_looked_at(shop, actor):
    shop.count(3, 2)
    run = make(shop, actor)
    read_otherwise(shop)
    apply(run, actor)
    row = shop.sync(2)
    assert (row.confirmed, row.cause) == (None, "moved"), "orders may tell why, and are read first"
    assert ChannelSync.objects.get().orders_due_at is not None


@pytest.mark.parametrize("change", [changed_rule, grew_old])
def test_a_first_one_of_which_nothing_holds_is_refused_and_nothing_is_half_applied(shop, actor, change):
    shop.count(-2, 0)
    run = make(shop, actor)
    change(shop)
    before = list(ListingSync.objects.order_by("pk").values())
    with pytest.raises(Moved, match="Nothing was sent"):
        apply(run, actor)
    assert list(ListingSync.objects.order_by("pk").values()) == before
    assert not ChannelSync.objects.get().is_confirmed
    run.refresh_from_db()
    assert run.applied_at is None
    assert not SyncRun.objects.exclude(kind="dry").exists()


@pytest.mark.parametrize(("is_confirmed", "is_refused"), [(False, True), (True, False)])
def test_a_first_one_of_which_much_moved_is_refused_since_nobody_has_looked_at_that(actor, is_confirmed, is_refused):
    channel, skus = ChannelFactory(), SkuFactory.create_batch(20)
    ChannelSync.objects.create(channel=channel, is_on=True, is_confirmed=is_confirmed)
    for sku in skus:
        ListingFactory(channel=channel, sku=sku)
        count(sku, 7)
    for moved, told in ((2, (18, 2)), (6, (14, 6))):
        run = make_dry_run(channel=channel, asked_by=actor, now=timezone.now())
        for sku in skus[:moved]:
            count(sku, 1)
        if moved == 2 or not is_refused:
            assert apply(run, actor) == told
            ChannelSync.objects.update(is_confirmed=is_confirmed)
        else:
            with pytest.raises(Moved, match="6 figures"):
                apply(run, actor)


def test_a_zero_that_is_still_one_stays_agreed_to_however_often_it_moved(shop, actor, settle):
    ChannelSync.objects.update(is_confirmed=True)
    for index in range(5):
        shop.count(-shop.shown(index), index)
    settle(1)
    run = make(shop, actor, is_held=True)
    assert run.total == 5
    shop.count(-1, 0)  # sold once more elsewhere
    shop.count(9, 1)  # found again
    assert apply(run, actor, zeros_agreed=True) == (3, 2)
    agreed = ListingSync.objects.filter(zero_agreed_at__isnull=False)
    assert set(agreed.values_list("listing__sku", flat=True)) == {shop.skus[index].pk for index in (0, 2, 3, 4)}
    settle()
    assert [shop.shown(index) for index in range(5)] == [0, 9, 0, 0, 0]


def test_a_zero_that_is_news_is_judged_by_the_guard(shop, actor, settle):
    run = make(shop, actor)
    ChannelSync.objects.update(is_confirmed=True)
    for index in range(5):
        shop.count(-shop.shown(index), index)
    assert apply(run, actor, zeros_agreed=True) == (0, 5)
    settle(2)
    assert ListingSync.objects.filter(cause="guard").count() == 5


def test_one_whose_filter_was_deleted_says_so(shop, actor):
    ChannelSync.objects.update(is_confirmed=True)
    saved = SavedFilter.objects.create(owner=actor, name="one", query="q=a", created_at=timezone.now())
    run = make(shop, UserFactory(is_superuser=True), product=shop.skus[0].product_id)
    SyncRun.objects.filter(pk=run.pk).update(scope={"filter": saved.pk})
    saved.delete()
    with pytest.raises(NotApplied, match="deleted"):
        apply(run, actor)


def test_what_was_not_read_lately_is_not_known(shop, actor):
    grew_old(shop)
    run = make(shop, actor)
    assert set(run.items.values_list("before", flat=True)) == {None}
    figures = figures_of(run)
    assert (figures.unread, figures.changes) == (6, 6)


def test_a_reading_after_what_we_saw_is_what_it_shows_now(shop, actor):
    now = timezone.now()
    ListingSync.objects.update(confirmed=1_000, confirmed_at=now - timedelta(minutes=1), state="in-sync")
    assert set(make(shop, actor).items.values_list("before", flat=True)) == {shop.shown(index) for index in range(6)}
    ListingSync.objects.update(confirmed_at=now + timedelta(minutes=1))
    assert set(make(shop, actor).items.values_list("before", flat=True)) == {1_000}


def test_too_many_zeros_have_to_be_agreed_to_and_then_go_at_once(shop, actor, settle):
    for index in range(5):
        shop.count(-shop.shown(index), index)
    run = make(shop, actor)
    with pytest.raises(ZerosNotAgreed, match="5"):
        apply(run, actor)
    assert not ChannelSync.objects.get().is_confirmed
    apply(run, actor, zeros_agreed=True)
    settle()
    assert [shop.shown(index) for index in range(5)] == [0] * 5
    event = AuditEvent.objects.get(action="applied")
    assert event.changes == {"listings changed": [None, 5], "listings to 0": [None, 5]}


def test_what_the_guard_holds_is_looked_at_alone_and_applied(shop, actor, settle):
    apply(make(shop, actor), actor)
    settle()
    for index in range(5):
        shop.count(-shop.shown(index), index)
    settle(1)
    assert shop.shown(0) > 0
    run = make(shop, actor, is_held=True)
    assert figures_of(run).zero == run.total == 5
    apply(run, actor, zeros_agreed=True)
    settle()
    assert [shop.shown(index) for index in range(5)] == [0] * 5
    shop.count(-shop.shown(5), 5)
    settle()
    assert shop.shown(5) == 0  # what was agreed to counts no more


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"is_on": False}, "is off"),
        ({"is_on": True, "is_paused": True}, "is paused"),
    ],
)
def test_a_channel_that_may_not_be_written_takes_no_dry_run(shop, actor, state, told):
    run = make(shop, actor)
    ChannelSync.objects.update(**state)
    with pytest.raises(NotApplied, match=told):
        apply(run, actor)


def test_a_channel_that_never_was_switched_on_takes_no_dry_run(shop, actor):
    run = make(shop, actor)
    ChannelSync.objects.all().delete()
    with pytest.raises(NotApplied, match="is off"):
        apply(run, actor)


def test_keys_that_may_only_read_take_no_dry_run(shop, actor):
    run = make(shop, actor)
    Credential.objects.update(reads_only=True)
    with pytest.raises(NotApplied, match="read, but not write"):
        apply(run, actor)


def test_a_part_of_a_channel_does_not_confirm_it(shop, actor):
    run = make(shop, actor, product=shop.skus[0].product_id)
    assert run.total == 1
    with pytest.raises(NotApplied, match="whole channel"):
        apply(run, actor)
    ChannelSync.objects.update(is_confirmed=True)
    shop.count(4, 0)
    shop.count(4, 1)
    run = make(shop, actor, product=shop.skus[0].product_id)
    assert apply(run, actor) == (1, 0)


def test_what_was_refused_is_sent_again(shop, actor, settle):
    apply(make(shop, actor), actor)
    settle()
    shop.count(3, 0)
    ListingSync.objects.filter(listing__sku=shop.skus[0]).update(
        state="dismissed", cause="refused-by-rule", problem="for now", wanted=shop.shown(0) + 3, due_at=None
    )
    run = make(shop, actor)
    assert apply(run, actor) == (1, 0)
    settle()
    row = shop.sync(0)
    assert (row.state, row.problem, row.confirmed) == ("in-sync", "", shop.shown(0))


def test_a_large_one_is_left_to_a_task_and_goes_on_where_it_stopped(
    actor, monkeypatch, django_capture_on_commit_callbacks
):
    monkeypatch.setattr(dry_runs, "AT_ONCE", 3)
    monkeypatch.setattr(dry_runs, "_LISTINGS_AT_ONCE", 2)
    channel = ChannelFactory()
    ChannelSync.objects.create(channel=channel, is_on=True)
    sku = SkuFactory()
    ListingFactory.create_batch(5, channel=channel, sku=sku)
    count(sku, 7)
    run = make_dry_run(channel=channel, asked_by=actor, now=timezone.now())
    assert (run.ended_at, run.items.count()) == (None, 0)
    with pytest.raises(NotApplied, match="worked out"):
        apply(run, actor)
    fill_once, copied = iter([True]), copy_rows
    monkeypatch.setattr(dry_runs, "copy_rows", lambda *rows: copied(*rows) if next(fill_once, False) else broken())
    with pytest.raises(ConnectionError):
        tasks.fill_dry_run(run.pk)
    monkeypatch.undo()
    tasks.fill_dry_run(run.pk)
    tasks.fill_dry_run(run.pk)
    run.refresh_from_db()
    assert run.ended_at is not None
    assert sorted(run.items.values_list("listing", flat=True)) == sorted(channel.listings.values_list("pk", flat=True))


def broken():
    raise ConnectionError("the worker is lost")


def test_it_takes_a_constant_number_of_statements(actor, django_assert_max_num_queries):
    channel = ChannelFactory()
    ChannelSync.objects.create(channel=channel, is_on=True)
    skus = SkuFactory.create_batch(30)
    for sku in skus:
        ListingFactory(channel=channel, sku=sku)
    with django_assert_max_num_queries(40):
        make_dry_run(channel=channel, asked_by=actor, now=timezone.now())


@pytest.fixture
def located(open_shop):
    """A shop that counts by location, which readings of listings do not tell."""
    found = open_shop("shopify", 3)
    ChannelSync.objects.update(is_confirmed=False)
    return found


def test_before_a_first_dry_run_the_locations_of_a_shop_are_read(located, actor, settle):
    located.count(4, 1)
    run = make(located, actor)
    assert run.ended_at is None  # the shop is asked in the background
    tasks.fill_dry_run(run.pk)
    run.refresh_from_db()
    items = {item.listing.sku_id: (item.before, item.wanted) for item in run.items.select_related("listing")}
    assert items == {
        sku.pk: (located.shown(index), located.shown(index) + 4 * (index == 1))
        for index, sku in enumerate(located.skus)
    }
    assert apply(run, actor) == (1, 0)
    settle()
    assert located.shown(1) == items[located.skus[1].pk][1]


def test_what_a_shop_with_locations_does_not_tell_is_not_known(located, actor):
    Credential.objects.update(app_secret="another", access_token="")
    ListingSync.objects.update(confirmed=7, confirmed_at=timezone.now() - timedelta(days=3))
    run = make(located, actor)
    tasks.fill_dry_run(run.pk)
    run.refresh_from_db()
    assert run.ended_at is not None
    assert set(run.items.values_list("before", flat=True)) == {None}


def test_the_reasons_of_figures_that_are_all_alike_are_kept_as_they_are(shop, actor):
    for index in range(6):
        shop.count(-shop.shown(index), index)
    run = make(shop, actor)
    assert [item.steps for item in run.items.all()] == [[["available", None, 0]]] * 6
