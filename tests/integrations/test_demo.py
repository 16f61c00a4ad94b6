"""The demo world, read through the real connector from a real simulator."""

from datetime import timedelta
from io import StringIO
from itertools import pairwise

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone

from catalog.models import (
    AuditEvent,
    Channel,
    Listing,
    Order,
    Product,
    Proposal,
    ShopRead,
    Sku,
    StockMovement,
    User,
)
from catalog.stock.ledger import check
from integrations import demo
from integrations.models import ChannelSync, Credential, ListingSync, SyncRun
from monitoring.models import Alert, ListingWatch, Observation, PollRun, Threshold
from tests.factories import ChannelFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def world(simulator, settings):
    settings.SIMULATOR_URL = simulator.base_url
    settings.DEMO_STAFF_PASSWORD = "staff-password"
    settings.DEMO_MANAGER_PASSWORD = "manager-password"
    return simulator


def load(*arguments):
    out = StringIO()
    call_command("demo", "--small", *arguments, stdout=out)
    return out.getvalue()


def it_holds_everything_the_pages_show(world):
    now = timezone.now()

    assert authenticate(HttpRequest(), username="owner", password="staff-password")
    assert authenticate(HttpRequest(), username="manager", password="manager-password")
    manager = User.objects.get(username="manager")
    assert manager.is_staff
    assert not manager.is_superuser
    assert manager.has_perm("catalog.view_cost")

    assert Channel.objects.count() == 5
    states = {credential.state(now).value for credential in Credential.objects.all()}
    assert states == {"connected", "expiring"}
    assert set(Channel.objects.values_list("interval_seconds", flat=True)) == {300}

    own = Listing.objects.filter(ownership="own")
    assert own.exists()
    assert not own.filter(sku=None).exists()
    rivals = Listing.objects.filter(ownership="competitor")
    assert rivals.filter(sku__isnull=False).exists()
    assert Sku.objects.filter(cost_price=None).exists()
    assert Sku.objects.filter(cost_price__gt=0).exists()
    compared = Product.objects.filter(skus__listings__ownership="competitor").filter(skus__listings__ownership="own")
    assert compared.exists()

    first = Observation.objects.order_by("observed_at")[0].observed_at
    assert timedelta(days=6.9) < now - first < timedelta(days=7.1)
    assert not ListingWatch.objects.filter(listing__ownership="own").exclude(outcome="read").exists()
    assert ListingWatch.objects.filter(read_at__gte=now - timedelta(minutes=2)).exists()
    assert not PollRun.objects.filter(finished_at=None).exists()


def its_stock_is_counted_and_shown_by_three_shops_and_a_fourth_waits_for_a_person(world):
    assert check() == []
    assert not Sku.objects.exclude(stock_levels__is_counted=True).exists()
    confirmed = ChannelSync.objects.filter(is_on=True, is_confirmed=True)
    assert set(confirmed.values_list("channel__platform", flat=True)) == {"taobao", "shopify", "woocommerce"}
    [waiting] = ChannelSync.objects.filter(is_on=True, is_confirmed=False)
    assert SyncRun.objects.get(channel=waiting.channel, kind="dry").applied_at is None
    assert ListingSync.objects.filter(channel__in=confirmed.values("channel"), due_at__isnull=False).exists()
    assert Order.objects.exists()


def stores_of_other_platforms_sell_the_same_products_and_the_rest_is_proposed(world):
    assert dict(Channel.objects.exclude(platform="taobao").values_list("platform", "currency")) == {
        "shopify": "USD",
        "woocommerce": "EUR",
    }
    for channel in Channel.objects.all():
        assert PollRun.objects.filter(channel=channel).count() > 5
        assert Observation.objects.filter(listing__channel=channel, list_price__gt=0).exists()
        assert ListingWatch.objects.filter(channel=channel, read_at__gte=timezone.now() - timedelta(minutes=2)).exists()
        assert set(Threshold.objects.filter(channel=channel).values_list("currency", flat=True)) == {channel.currency}
    own = Listing.objects.filter(ownership="own")
    codes = dict(own.filter(channel__platform="taobao").values_list("outer_id", "sku"))
    for listing in own.exclude(channel__platform="taobao"):
        assert listing.sku_id == codes[listing.outer_id]
        assert listing.platform_stock_id or listing.channel.platform != "shopify"
    platforms = Count("skus__listings__channel__platform", distinct=True)
    assert Product.objects.annotate(platforms=platforms).filter(platforms=3).count() >= 3

    # What agrees with no SKU is proposed, as it is today.
    for channel in Channel.objects.exclude(platform="taobao"):
        proposals = Proposal.objects.filter(channel=channel)
        assert proposals.filter(status="accepted").count() == channel.listings.count()
        assert not proposals.clear().exists()
        assert proposals.open().filter(outer_id__startswith="TILE-").count() == 120
        [read] = ShopRead.objects.filter(channel=channel)
        assert (read.count, read.next_at) == (proposals.count(), None)
        assert read.ended_at is not None
        assert timezone.now() - read.ended_at < timedelta(minutes=2)


def the_market_is_at_the_present_and_runs_again_afterwards(world):
    clock = world.control("GET", "clock")
    assert clock["speed"] == 1
    assert abs(world.now() - timezone.now()) < timedelta(seconds=10)


def a_second_loading_is_refused_and_with_once_quietly_left_out(world):
    before = PollRun.objects.count()
    with pytest.raises(CommandError, match="loaded already"):
        load()
    assert load("--once") == ""
    assert PollRun.objects.count() == before


def channels_follow_a_simulator_that_moved(world):
    Credential.objects.update(base_url="http://127.0.0.1:1")
    load("--once")
    assert set(Credential.objects.values_list("base_url", flat=True)) == {world.base_url}


LOADED_WORLD = (
    it_holds_everything_the_pages_show,
    its_stock_is_counted_and_shown_by_three_shops_and_a_fourth_waits_for_a_person,
    stores_of_other_platforms_sell_the_same_products_and_the_rest_is_proposed,
    the_market_is_at_the_present_and_runs_again_afterwards,
    a_second_loading_is_refused_and_with_once_quietly_left_out,
    channels_follow_a_simulator_that_moved,
)


def test_once_it_is_loaded(world):
    """To load it takes as long as hundreds of other tests, so that it is looked at in one."""
    said = load()
    assert "100 %" in said
    assert "Demo world loaded in" in said
    for is_true in LOADED_WORLD:
        is_true(world)


def remove(channels):
    Alert.objects.filter(listing__channel__in=channels).delete()
    StockMovement.objects.filter(channel__in=channels).delete()
    Order.objects.filter(channel__in=channels).delete()
    Listing.objects.filter(channel__in=channels).delete()
    channels.delete()


def test_a_demo_of_an_older_version_gets_the_stores_that_it_lacks_once(world):
    load()
    remove(Channel.objects.exclude(platform="taobao"))
    AuditEvent.objects.filter(action=demo.ADDED)._raw_delete(using="default")
    passes = PollRun.objects.count()
    said = load("--once")
    assert said.splitlines() == ["Added Nuanju Home to the demo world.", "Added Yatai Wohnen to the demo world."]
    assert PollRun.objects.count() == passes + 2
    for channel in Channel.objects.exclude(platform="taobao"):
        assert channel.listings.exists()
        assert not ListingWatch.objects.filter(channel=channel).exclude(outcome="read").exists()
        assert Threshold.objects.filter(channel=channel).exists()
    assert load("--once") == ""
    assert PollRun.objects.count() == passes + 2
    # One that somebody removed stays away.
    remove(Channel.objects.filter(platform="shopify"))
    assert load("--once") == ""
    assert not Channel.objects.filter(platform="shopify").exists()


def test_one_shop_has_a_gap_in_the_full_world():
    now = timezone.now()
    moments = list(demo._moments(demo.FULL, now))
    assert moments[0] == now - timedelta(days=90)
    assert moments[-1] == now
    in_gap = [moment for moment in moments if now - demo.GAP_FROM <= moment < now - demo.GAP_UNTIL]
    assert len(in_gap) > 4
    steps = [later - earlier for earlier, later in pairwise(moments)]
    assert steps == sorted(steps, reverse=True)


def test_one_that_was_cut_off_is_gone_on_with_and_ends_the_same(world, monkeypatch):
    whole = demo._read
    calls = []

    def cut_off(*args):
        calls.append(args)
        if len(calls) == 20:
            raise demo.DemoError("cut off")
        whole(*args)

    monkeypatch.setattr(demo, "_read", cut_off)
    with pytest.raises(CommandError, match="cut off"):
        load()
    assert demo.state_of_demo() == "unfinished"
    passes, listings = PollRun.objects.count(), Listing.objects.count()
    assert passes == 19
    monkeypatch.setattr(demo, "_read", whole)
    assert load().startswith("Going on loading")
    assert demo.state_of_demo() == "loaded"
    assert Listing.objects.count() == listings
    assert User.objects.count() == 2
    moments = list(PollRun.objects.order_by("started_at").values_list("started_at", flat=True))
    assert timedelta(days=6.9) < moments[-1] - moments[0] < timedelta(days=7.1)
    assert max(later - earlier for earlier, later in pairwise(moments)) < timedelta(hours=13)


def test_a_database_with_other_channels_is_left_alone(world):
    ChannelFactory()
    with pytest.raises(CommandError, match="channels of its own"):
        load()
    assert load("--once") == ""
    assert (Channel.objects.count(), User.objects.count(), AuditEvent.objects.count()) == (1, 0, 0)


def test_without_a_simulator_it_says_what_to_start(settings):
    settings.SIMULATOR_URL = "http://127.0.0.1:9"
    with pytest.raises(CommandError, match="No simulator answers at"):
        load()
    assert not User.objects.exists()
