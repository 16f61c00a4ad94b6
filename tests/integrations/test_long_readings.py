"""Readings that take many slices: they go on where the last one stopped, however little each of them gets done."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from catalog.models import ShopRead
from integrations import sales, shop_reads
from integrations.connections import mark_failed
from integrations.connectors.base import Order, OrderLine, OrderStatus
from integrations.connectors.errors import Fatal, Wait
from integrations.models import ChannelHealth, Credential, QuotaSlot
from tests.factories import ChannelFactory, ListingFactory, UserFactory
from tests.integrations.shops import shopify_channel, taobao_channel, woocommerce_channel

pytestmark = pytest.mark.django_db

CLIENT = "integrations.connectors.{}.client.{}"


@pytest.fixture
def small_pages(monkeypatch):
    """Pages so small that the simulator's shops have many."""
    monkeypatch.setattr(CLIENT.format("taobao", "_PAGE_SIZE"), 15)
    monkeypatch.setattr(CLIENT.format("taobao", "TaobaoConnector.max_items_per_read"), 5)
    monkeypatch.setattr(CLIENT.format("shopify", "_PAGE"), 10)
    monkeypatch.setattr(CLIENT.format("woocommerce", "PAGE"), 10)
    monkeypatch.setattr("integrations.connectors.woocommerce.gateway.PAGE", 10)


@pytest.fixture
def large_shop(simulator, small_pages, monkeypatch):
    """A Shopify shop that is read by a bulk operation."""
    monkeypatch.setattr(CLIENT.format("shopify", "_BULK_FROM"), 10)
    return shopify_channel(simulator)


def begin(channel: Any, kind: ShopRead.Kind = ShopRead.Kind.LISTINGS) -> ShopRead:
    return shop_reads.begin(channel=channel, kind=kind, now=timezone.now())


def take_slice(read: ShopRead, **how: Any) -> shop_reads.Sliced:
    return shop_reads.take_slice(read=read, now_fn=timezone.now, **{"seconds": 0, **how})


def truth(channel: Any, simulator: Any) -> set[tuple[str, str]]:
    match channel.platform:
        case "taobao":
            rows = simulator.taobao.items(shop=simulator.taobao.shop()["shop"])
        case "shopify":
            rows = simulator.shopify.variants()
            return {(row["product_id"].rpartition("/")[2], row["variant_id"].rpartition("/")[2]) for row in rows}
        case _:
            rows = simulator.woocommerce.items(simulator.woocommerce.shop()["shop"])
    return {(str(row["num_iid"]), str(row["sku_id"] or "")) for row in rows}


def delete(channel: Any, simulator: Any, item_id: str) -> None:
    if channel.platform == "shopify":
        for row in simulator.shopify.variants():
            if row["product_id"].endswith(f"/{item_id}"):
                simulator.shopify.set_variant(row, delete=True)
    else:
        getattr(simulator, channel.platform).set_item(int(item_id), delete=True)


def identities(channel: Any) -> set[tuple[str, str]]:
    return set(channel.proposals.values_list("platform_item_id", "platform_sku_id"))


def seen(channel: Any, since: Any) -> set[tuple[str, str]]:
    return set(channel.proposals.filter(seen_at__gte=since).values_list("platform_item_id", "platform_sku_id"))


SHOPS = pytest.mark.parametrize("connect", [taobao_channel, shopify_channel, woocommerce_channel])


# --- Listings ---------------------------------------------------------------------------------------------------------


@SHOPS
def test_a_slice_repeats_nothing_of_the_slices_before(simulator, connect, small_pages):
    channel = connect(simulator)
    read = begin(channel)
    calls, counts = [], []
    while read.ended_at is None:
        simulator.clear_ledger()
        sliced = take_slice(read)
        assert sliced.error is None
        read = sliced.read
        calls.append(len(simulator.ledger()))
        counts.append(read.count)
    assert identities(channel) == truth(channel, simulator)
    assert counts == sorted(counts)
    assert len(calls) > 5
    assert max(calls) <= 6


@SHOPS
def test_what_the_shop_deletes_between_slices_hides_nothing(simulator, connect, small_pages):
    channel = connect(simulator)
    read = take_slice(begin(channel)).read
    while read.count < 12:
        read = take_slice(read).read
    gone = list(dict.fromkeys(channel.proposals.order_by("pk").values_list("platform_item_id", flat=True)))[:3]
    for item_id in gone:
        delete(channel, simulator, item_id)
    while read.ended_at is None:
        read = take_slice(read).read
    assert truth(channel, simulator) <= identities(channel)
    assert read.count == len(seen(channel, read.started_at))


def test_an_item_that_moves_to_the_front_between_slices_is_found(simulator, small_pages):
    """Taobao lists by the time of change: what changes goes past a reader who is on the way to it."""
    channel = taobao_channel(simulator)
    read = take_slice(begin(channel)).read
    waiting = sorted(truth(channel, simulator) - identities(channel))
    item_id = waiting[0][0]
    simulator.step(seconds=120)
    simulator.taobao.set_item(item_id, title="New name")
    while read.ended_at is None:
        read = take_slice(read).read
    assert identities(channel) == truth(channel, simulator)


def test_a_bulk_operation_is_asked_about_and_not_waited_for(simulator, large_shop):
    simulator.shopify.set_bulk(seconds=60)
    started = time.monotonic()
    sliced = take_slice(begin(large_shop), seconds=5)
    assert time.monotonic() - started < 4
    assert sliced.error is None
    assert sliced.read.next_at is not None
    assert sliced.read.next_at > timezone.now()
    assert sliced.read.goes_on(timezone.now())
    take_slice(sliced.read, seconds=5)
    asked = [call["method"] for call in simulator.ledger()]
    assert asked.count("bulkOperationRunQuery") == 1
    # That a reading waits is nothing that holds the rest of the channel back.
    assert ChannelHealth.objects.get(channel=large_shop).kind == ""


def test_a_bulk_result_is_read_on_line_by_line(simulator, large_shop):
    read, counts = begin(large_shop), []
    while read.ended_at is None:
        sliced = take_slice(read)
        assert sliced.error is None
        read = sliced.read
        counts.append(read.count)
        time.sleep(0.05)
    assert identities(large_shop) == truth(large_shop, simulator)
    gained = [after - before for before, after in zip([0, *counts], counts, strict=False) if after > before]
    assert set(gained[:-1]) == {10}
    assert [call["method"] for call in simulator.ledger()].count("bulkOperationRunQuery") == 1


def test_a_bulk_operation_that_failed_is_begun_anew(simulator, large_shop):
    simulator.shopify.set_bulk(fail="TIMEOUT")
    read = begin(large_shop)
    errors = []
    while read.ended_at is None:
        sliced = take_slice(read, seconds=5)
        errors += [sliced.error.cause] if sliced.error else []
        read = sliced.read
        ChannelHealth.objects.update(retry_at=timezone.now())
        time.sleep(0.05)
    assert errors == ["server-error"]
    assert identities(large_shop) == truth(large_shop, simulator)


def test_the_lane_comes_back_when_a_reading_may_go_on(simulator, large_shop):
    simulator.shopify.set_bulk(seconds=1)
    begin(large_shop)
    summary = shop_reads.read_due(now_fn=timezone.now, seconds=5)
    while summary.due_at is not None or summary.more_due:
        time.sleep(0.1)
        summary = shop_reads.read_due(now_fn=timezone.now, seconds=5)
    assert ShopRead.objects.get().ended_at is not None


def test_the_command_waits_for_a_bulk_operation(simulator, large_shop, capsys):
    simulator.shopify.set_bulk(seconds=1)
    call_command("add_listings", "--channel", large_shop.name, "--dry-run")
    assert identities(large_shop) == truth(large_shop, simulator)


def test_the_button_only_begins_a_long_reading(simulator, large_shop, client, monkeypatch):
    simulator.shopify.set_bulk(seconds=60)
    queued = []
    monkeypatch.setattr("integrations.views.reading.request_shop_lane", lambda: queued.append(True))
    client.force_login(UserFactory(is_superuser=True))
    started = time.monotonic()
    shown = client.post(f"/connect/channels/{large_shop.pk}/discover/", follow=True)
    assert time.monotonic() - started < 8
    assert "The rest is being read in the background." in shown.text
    assert "read so far; it goes on in the background" in shown.text
    assert queued == [True]


def test_a_person_is_not_kept_waiting_by_a_slow_shop(simulator, client, monkeypatch):
    """Once the time is over no further call is begun, in the middle of a page either."""
    channel = woocommerce_channel(simulator, calls_per_second=1)
    monkeypatch.setattr("integrations.views.reading.DISCOVER_SECONDS", 2)
    monkeypatch.setattr("integrations.views.reading.request_shop_lane", lambda: None)
    client.force_login(UserFactory(is_superuser=True))
    started = time.monotonic()
    client.post(f"/connect/channels/{channel.pk}/discover/")
    assert time.monotonic() - started < 4
    read = ShopRead.objects.get()
    assert (read.cause, read.ended_at) == ("", None)
    assert read.goes_on(timezone.now())


def test_a_reading_that_stopped_days_ago_is_begun_anew(simulator, small_pages):
    channel = taobao_channel(simulator)
    take_slice(begin(channel))
    days_ago = timezone.now() - timedelta(days=2)
    ShopRead.objects.update(started_at=days_ago)
    assert begin(channel).state  # it goes on
    ShopRead.objects.update(next_at=None)
    read = begin(channel)
    assert (read.state, read.count) == ({}, 0)
    assert read.started_at > days_ago


# --- A token that ended -----------------------------------------------------------------------------------------------


def spoil_token(channel: Any) -> None:
    """The platform lets the stored token in no more, though it should have lasted."""
    hour_ago = timezone.now() - timedelta(hours=1)
    Credential.objects.filter(channel=channel).update(authorised_at=hour_ago, access_token="shpat_" + "0" * 32)


@pytest.mark.parametrize("kind", list(ShopRead.Kind))
def test_a_refused_token_is_renewed_and_the_reading_goes_on(simulator, kind):
    channel = shopify_channel(simulator)
    take_slice(begin(channel))
    spoil_token(channel)
    sliced = take_slice(begin(channel, kind), seconds=60)
    assert sliced.error is None
    assert sliced.read.ended_at is not None
    assert Credential.objects.get(channel=channel).revoked_cause == ""


def test_a_token_that_cannot_be_had_just_now_is_waited_for(simulator, small_pages):
    channel = shopify_channel(simulator)
    read = take_slice(begin(channel)).read
    spoil_token(channel)
    simulator.shopify.fail_next(method="token", times=0, status=503)
    sliced = take_slice(read, seconds=60)
    assert sliced.error is not None
    assert sliced.read.next_at is not None
    assert sliced.read.next_at <= timezone.now() + timedelta(minutes=5)
    simulator.clear_faults()
    ChannelHealth.objects.update(retry_at=timezone.now())
    QuotaSlot.objects.update(next_free_at=timezone.now())  # a minute later
    sliced = take_slice(sliced.read, seconds=60)
    assert sliced.error is None
    assert sliced.read.ended_at is not None


def test_a_token_that_only_a_person_can_replace_ends_the_reading(simulator, small_pages):
    channel = taobao_channel(simulator)
    read = take_slice(begin(channel)).read
    simulator.taobao.revoke_session(simulator.taobao.shop()["shop"])
    sliced = take_slice(read)
    assert sliced.error is not None
    assert sliced.read.next_at is None


# --- Holds ------------------------------------------------------------------------------------------------------------


def hold(channel: Any, **fields: Any) -> ChannelHealth:
    stored = {"kind": "wait", "cause": "quota", "failures": 0, "failed_at": timezone.now()}
    stored |= {"retry_at": timezone.now() + timedelta(hours=1)}
    return ChannelHealth.objects.update_or_create(channel=channel, defaults={**stored, **fields})[0]


def test_a_channel_that_is_held_is_not_called(simulator):
    channel = taobao_channel(simulator)
    health = hold(channel)
    simulator.clear_ledger()
    sliced = take_slice(begin(channel), seconds=60, is_asked=True)
    assert simulator.ledger() == []
    assert getattr(sliced.error, "cause", "") == "quota"
    assert (sliced.read.next_at, sliced.read.cause) == (health.retry_at, "quota")
    assert ChannelHealth.objects.get(channel=channel).retry_at == health.retry_at


def test_a_hold_that_came_during_a_slice_stays(simulator, monkeypatch, small_pages):
    channel = taobao_channel(simulator)
    hour = timezone.now() + timedelta(hours=1)
    kept = time.monotonic

    def held_meanwhile() -> float:
        mark_failed(channel, Wait("taobao", "read", cause="quota", retry_at=hour), timezone.now())
        return kept()

    read = begin(channel)
    monkeypatch.setattr("integrations.discovery.time.monotonic", held_meanwhile)
    take_slice(read)
    monkeypatch.undo()
    health = ChannelHealth.objects.get(channel=channel)
    assert (health.kind, health.retry_at) == ("wait", hour)


def test_one_worker_only_tries_a_channel_that_rested(simulator):
    channel = taobao_channel(simulator)
    hold(channel, kind="retry", cause="timeout", failures=9, retry_at=timezone.now() + timedelta(minutes=1))
    read = begin(channel)
    simulator.clear_ledger()
    assert getattr(take_slice(read).error, "cause", "") == "timeout"
    assert simulator.ledger() == []
    hold(channel, kind="retry", cause="timeout", failures=9, retry_at=timezone.now() - timedelta(seconds=1))
    assert take_slice(read, seconds=60).read.ended_at is not None
    assert ChannelHealth.objects.get(channel=channel).failures == 0


def test_a_person_may_try_a_channel_that_rests(simulator):
    channel = taobao_channel(simulator)
    mark_failed(channel, Fatal("taobao", "read", cause="bad-signature"), timezone.now())
    read = begin(channel)
    assert getattr(take_slice(read).error, "cause", "") == "bad-signature"
    assert take_slice(read, seconds=60, is_asked=True).error is None
    assert ChannelHealth.objects.get(channel=channel).kind == ""


# --- Sales ------------------------------------------------------------------------------------------------------------


class Orders:
    """A shop with one order, as it stands at each reading."""

    def __init__(self, *told: tuple[timedelta, OrderStatus, int]) -> None:
        self.told = told  # how long ago it changed, and what it was then

    def read_orders(self, *, since: Any, until: Any, now: Any) -> Any:
        for ago, status, units in self.told:
            changed_at = STARTED - ago
            if since <= changed_at < until:
                lines = (OrderLine("1", "1", "", "", units),)
                yield Order("7", status, STARTED - timedelta(days=5), changed_at, "CNY", lines)


STARTED = timezone.now()
BEFORE, MEANWHILE = timedelta(days=4), timedelta(minutes=-1)


@pytest.mark.parametrize(
    ("before", "meanwhile", "units"),
    [
        pytest.param((OrderStatus.UNPAID, 3), (OrderStatus.PAID, 3), 3, id="paid"),
        pytest.param((OrderStatus.PAID, 3), (OrderStatus.CANCELLED, 3), 0, id="cancelled"),
        pytest.param((OrderStatus.PAID, 3), (OrderStatus.SENT, 2), 2, id="fewer"),
        pytest.param((OrderStatus.UNKNOWN, 3), (OrderStatus.PAID, 3), 3, id="known by now"),
        pytest.param((OrderStatus.PAID, 3), (OrderStatus.UNKNOWN, 3), None, id="known no longer"),
    ],
)
@pytest.mark.parametrize("seconds", [60, 0])
def test_an_order_that_changes_while_sales_are_read_counts_as_it_is_in_the_end(before, meanwhile, units, seconds):
    channel = ChannelFactory()
    listing = ListingFactory(channel=channel, platform_item_id="1", platform_sku_id="")
    orders: Any = Orders((BEFORE, *before), (MEANWHILE, *meanwhile))
    read = ShopRead(channel=channel, kind=ShopRead.Kind.SALES, started_at=STARTED)
    later = STARTED + timedelta(minutes=5)
    while not sales.read_sales(channel, orders, read, later, time.monotonic() + seconds):
        pass
    listing.refresh_from_db()
    assert (listing.sales.units, read.count) == (units, 1)
