"""Shops of the simulator, read into proposals and sales: in slices, again, and when they refuse."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from catalog.models import Listing, ListingSales, ShopRead
from integrations import shop_reads
from integrations.models import ChannelHealth
from integrations.tasks import shop_lane
from tests.factories import SkuFactory, UserFactory
from tests.integrations.shops import shopify_channel, taobao_channel, woocommerce_channel

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def channel(simulator):
    return taobao_channel(simulator)


@pytest.fixture
def shop(simulator, channel):
    """The true rows of the shop that the channel is connected to."""
    return simulator.taobao.items(shop=simulator.taobao.shop()["shop"])


def read_all(channel, kind=ShopRead.Kind.LISTINGS, seconds=60.0) -> ShopRead:
    read = shop_reads.begin(channel=channel, kind=kind, now=timezone.now())
    while read.ended_at is None:
        sliced = shop_reads.take_slice(read=read, now_fn=timezone.now, seconds=seconds, is_asked=True)
        assert sliced.error is None
        read = sliced.read
    return read


def identities(channel) -> set[tuple[str, str]]:
    return set(channel.proposals.values_list("platform_item_id", "platform_sku_id"))


def test_a_shops_listings_become_proposals(channel, shop):
    read = read_all(channel)
    assert identities(channel) == {(str(row["num_iid"]), str(row["sku_id"])) for row in shop}
    assert (read.count, read.cause, read.state) == (len(shop), "", {})
    row = next(row for row in shop if row["outer_id"])
    proposal = channel.proposals.get(platform_item_id=row["num_iid"], platform_sku_id=row["sku_id"])
    assert (proposal.outer_id, proposal.title) == (row["outer_id"], row["title"])
    assert not Listing.objects.exists()


def test_reading_again_changes_nothing_but_when_it_was_seen(channel, shop):
    read_all(channel)
    before = list(channel.proposals.order_by("pk").values("pk", "title", "sku", "status", "found_at"))
    read_all(channel)
    assert list(channel.proposals.order_by("pk").values("pk", "title", "sku", "status", "found_at")) == before


def test_a_slice_goes_on_where_the_last_one_stopped(channel, shop, simulator, monkeypatch):
    monkeypatch.setattr("integrations.connectors.taobao.client.TaobaoConnector.max_items_per_read", 5)
    read = shop_reads.begin(channel=channel, kind=ShopRead.Kind.LISTINGS, now=timezone.now())
    first = shop_reads.take_slice(read=read, now_fn=timezone.now, seconds=0).read
    assert first.ended_at is None
    assert first.goes_on(timezone.now())
    assert 0 < first.count < len(shop)
    simulator.clear_ledger()
    read_all(channel)
    assert identities(channel) == {(str(row["num_iid"]), str(row["sku_id"])) for row in shop}
    # What one slice read whole is not asked for again.
    items = len({row["num_iid"] for row in shop})
    again = [call for call in simulator.ledger() if call["method"] == "taobao.items.seller.list.get"]
    assert len(again) < items / 5


def test_a_refusal_is_kept_with_what_was_read_before(channel, shop, simulator):
    read = shop_reads.begin(channel=channel, kind=ShopRead.Kind.LISTINGS, now=timezone.now())
    shop_reads.take_slice(read=read, now_fn=timezone.now, seconds=0)
    kept = channel.proposals.count()
    simulator.taobao.fail_next(code=25, sub_code="")
    sliced = shop_reads.take_slice(read=read, now_fn=timezone.now)
    assert sliced.error is not None
    assert (sliced.read.cause, sliced.read.next_at) == ("bad-signature", None)
    assert channel.proposals.count() == kept
    assert not sliced.read.goes_on(timezone.now())
    read_all(channel)  # begun again by a person
    assert channel.proposals.count() == len(shop)


def test_two_workers_do_not_read_one_shop_at_once(channel, shop, simulator):
    read = shop_reads.begin(channel=channel, kind=ShopRead.Kind.LISTINGS, now=timezone.now())
    ShopRead.objects.update(lease_until=timezone.now() + timedelta(minutes=1))
    simulator.clear_ledger()
    assert shop_reads.take_slice(read=read, now_fn=timezone.now).read.count == 0
    assert simulator.ledger() == []


def test_the_lane_reads_what_is_due_to_the_end(channel, shop, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    shop_reads.begin(channel=channel, kind=ShopRead.Kind.LISTINGS, now=timezone.now())
    assert str(len(shop)) in shop_lane()
    assert ShopRead.objects.get().ended_at is not None
    assert shop_lane() == "nothing due"


def test_an_item_that_the_shop_deleted_is_proposed_no_longer(channel, shop, simulator):
    read_all(channel)
    gone = shop[0]["num_iid"]
    simulator.taobao.set_item(gone, delete=True)
    read_all(channel)
    assert not channel.proposals.filter(platform_item_id=gone).exists()


@pytest.mark.parametrize("connect", [shopify_channel, woocommerce_channel])
def test_other_platforms_are_read_as_well(simulator, connect):
    channel = connect(simulator)
    read = read_all(channel)
    assert read.count == channel.proposals.count() > 20
    told = channel.proposals.exclude(barcode="").exclude(outer_id="")[0]
    sku = SkuFactory(barcode=told.barcode)
    read_all(channel)
    told.refresh_from_db()
    assert (told.sku, told.evidence) == (sku, "barcode")


def test_shopifys_stock_ids_reach_the_listings(simulator, client, owner):
    channel = shopify_channel(simulator)
    read_all(channel)
    call_command("add_listings", "--channel", channel.name)
    assert channel.listings.count() == channel.proposals.count()
    assert not channel.listings.filter(platform_stock_id="").exists()


# --- Pages and the command --------------------------------------------------------------------------------------------


def test_the_button_reads_the_shop_and_shows_the_proposals(client, owner, channel, shop):
    coded = next(row for row in shop if row["outer_id"])
    sku = SkuFactory(code=coded["outer_id"])
    shown = client.post(f"/connect/channels/{channel.pk}/discover/", follow=True)
    assert f"{len(shop)} listings found, {len(shop)} of them to decide about." in shown.text
    assert sku.code in client.get(f"/catalog/proposal/?channel__id__exact={channel.pk}&q={sku.code}").text


def test_a_shop_that_takes_long_is_read_on_in_the_background(client, owner, channel, shop, monkeypatch):
    queued = []
    monkeypatch.setattr("integrations.views.reading.DISCOVER_SECONDS", 0)
    monkeypatch.setattr("integrations.views.reading.request_shop_lane", lambda: queued.append(True))
    shown = client.post(f"/connect/channels/{channel.pk}/discover/", follow=True)
    assert "The rest is being read in the background." in shown.text
    assert "read so far; it goes on in the background" in shown.text
    assert queued == [True]


def test_a_platform_that_refuses_is_told_on_the_channel_page(client, owner, channel, shop, simulator):
    simulator.taobao.fail_next(code=25, sub_code="")
    answer = client.post(f"/connect/channels/{channel.pk}/discover/", follow=True)
    assert "did not accept our signature" in answer.text
    assert ChannelHealth.objects.get().cause == "bad-signature"
    assert "signature refused" in client.get("/catalog/proposal/").text


def test_the_command_adds_what_a_shop_has(channel, shop, capsys):
    coded = next(row for row in shop if row["outer_id"])
    sku = SkuFactory(code=coded["outer_id"])
    call_command("add_listings", "--channel", channel.name, "--dry-run")
    assert not channel.listings.exists()
    call_command("add_listings", "--channel", channel.name)
    assert channel.listings.count() == len(shop)
    assert channel.listings.get(sku__isnull=False).sku == sku
    assert f"{len(shop)} added, 1 of them mapped to a SKU." in capsys.readouterr().out


# --- Sales ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connect", [taobao_channel, shopify_channel, woocommerce_channel])
def test_orders_of_thirty_days_are_counted_for_unmapped_listings(simulator, connect):
    """The market of the simulator is the platforms' own record of what was sold."""
    channel = connect(simulator)
    simulator.step(seconds=5 * 86_400)
    read_all(channel)
    call_command("add_listings", "--channel", channel.name)
    now = simulator.now()
    mapped = channel.listings.first()
    Listing.objects.filter(pk=mapped.pk).update(sku=SkuFactory())
    read = shop_reads.begin(channel=channel, kind=ShopRead.Kind.SALES, now=now)
    while read.ended_at is None:
        sliced = shop_reads.take_slice(read=read, now_fn=lambda: now, seconds=0)
        assert sliced.error is None
        read = sliced.read
    rows = ListingSales.objects.filter(listing__channel=channel)
    assert rows.count() == channel.listings.count() - 1
    assert not rows.filter(listing=mapped).exists()
    assert sum(row.units or 0 for row in rows) > 0
    assert read.count > 0


@pytest.mark.parametrize("connect", [taobao_channel, shopify_channel, woocommerce_channel])
def test_what_a_proposal_sold_is_what_its_listing_sells(simulator, connect):
    channel = connect(simulator)
    simulator.step(seconds=5 * 86_400)
    read_all(channel)
    now = simulator.now()
    read = shop_reads.begin(channel=channel, kind=ShopRead.Kind.SALES, now=now)
    while read.ended_at is None:
        read = shop_reads.take_slice(read=read, now_fn=lambda: now).read
    told = ("platform_item_id", "platform_sku_id", "sales__units")
    of_proposals = set(channel.proposals.values_list(*told))
    assert len(of_proposals) > 1
    assert sum(units or 0 for _item_id, _sku_id, units in of_proposals) > 0
    call_command("add_listings", "--channel", channel.name)
    read = shop_reads.begin(channel=channel, kind=ShopRead.Kind.SALES, now=now)
    while read.ended_at is None:
        read = shop_reads.take_slice(read=read, now_fn=lambda: now).read
    assert set(channel.listings.values_list(*told)) == of_proposals
