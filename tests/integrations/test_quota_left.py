"""What a channel's page says of the platform's own quota: what was told last, and when."""

from datetime import UTC, datetime, timedelta
from html import unescape
from re import sub

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import ShopRead
from integrations import services, shop_reads
from integrations.connections import mark_failed, mark_good
from integrations.connectors.base import Quota
from integrations.connectors.errors import Retry, Wait
from integrations.fetching import pass_over_channel
from integrations.models import ChannelHealth
from monitoring.services import ensure_watches
from tests.factories import ChannelFactory, CredentialFactory, ListingFactory, UserFactory
from tests.integrations.connectors.subjects import ShopifySubject
from tests.integrations.shops import shopify_channel, woocommerce_channel

pytestmark = pytest.mark.django_db

TOLD = Quota(left=1950, most=2000, per_second=100, told_at=datetime(2026, 11, 21, 3, 57, tzinfo=UTC))
AT = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


@pytest.fixture
def owner(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


def quota_fact(client, channel) -> str:
    """The words of the page's fact, on one line."""
    page = client.get(f"/catalog/channel/{channel.pk}/change/").text
    fact = page.partition('<span class="label">Quota left</span>')[2].partition("</div>")[0]
    return " ".join(unescape(sub("<[^>]+>", " ", fact)).split())


def stored():
    health = ChannelHealth.objects.get()
    return health.quota_left, health.quota_most, health.quota_per_second


def told_at() -> datetime:
    at = ChannelHealth.objects.get().quota_told_at
    assert at is not None
    return at


@pytest.fixture
def shopify(simulator):
    """A channel of a shop, with two listings that are due."""
    channel = shopify_channel(simulator)
    for row in ShopifySubject(simulator).rows()[:2]:
        ListingFactory(channel=channel, platform_item_id=row.item_id, platform_sku_id=row.sku_id)
    ensure_watches(now=timezone.now() - timedelta(seconds=1))
    return channel


def test_a_quota_that_was_never_told_is_said_to_be_unknown(shopify, client, owner):
    assert quota_fact(client, shopify) == "— not told yet"


@pytest.mark.parametrize("make", ["taobao", "woocommerce"])
def test_a_platform_that_tells_none_is_said_to_tell_none(simulator, client, owner, make):
    channel = woocommerce_channel(simulator) if make == "woocommerce" else CredentialFactory().channel
    ChannelHealth.objects.create(channel=channel, good_at=timezone.now())
    assert quota_fact(client, channel) == "— the platform does not tell it no limit of ours"


def test_the_test_of_a_connection_brings_what_the_platform_told(shopify, client, owner):
    services.check_connection(channel=shopify, actor=owner, now=timezone.now())
    left, most, per_second = stored()
    assert 0 < left < most == 2000
    assert per_second == 100
    assert abs(told_at() - timezone.now()) < timedelta(seconds=30)
    said = quota_fact(client, shopify)
    assert said.startswith(f"{left:,} of 2,000 points, told ")
    assert said.endswith(" 100 come back a second")


def test_a_pass_brings_it_and_writes_no_more_than_before(shopify, client, owner):
    pass_over_channel(channel=shopify, now=timezone.now(), everything=True)
    left, most, _per_second = stored()
    assert 0 < left < most
    with CaptureQueriesContext(
        connection,
    ) as without:
        mark_good([shopify.pk], AT, sent_at=AT)
    with CaptureQueriesContext(connection) as with_quota:
        mark_good([shopify.pk], AT, sent_at=AT, quota=TOLD)
    assert len(with_quota) == len(without)


def test_a_reading_of_the_shop_brings_it(shopify):
    read = shop_reads.begin(channel=shopify, kind=ShopRead.Kind.LISTINGS, now=timezone.now())
    assert shop_reads.take_slice(read=read, now_fn=timezone.now).error is None
    assert stored()[1] == 2000


def test_a_call_that_failed_tells_it_as_well(shopify, simulator):
    """What was left when Shopify would not answer for want of points."""
    pass_over_channel(channel=shopify, now=timezone.now(), everything=True)
    simulator.shopify.fail_next(times=0, sub_code="THROTTLED", msg="Throttled")
    before = told_at()
    ChannelHealth.objects.update(quota_told_at=before - timedelta(hours=1))
    pass_over_channel(channel=shopify, now=timezone.now(), everything=True)
    health = ChannelHealth.objects.get()
    assert (health.kind, health.cause) == ("wait", "quota")
    assert told_at() >= before


def test_an_answer_without_a_quota_leaves_what_was_told_with_its_time():
    channel = ChannelFactory()
    mark_good([channel.pk], AT, quota=TOLD)
    mark_good([channel.pk], AT + timedelta(minutes=1))
    mark_failed(channel, Retry("shopify", "shop", cause="timeout"), AT + timedelta(minutes=2))
    assert stored() == (1950, 2000, 100)
    assert ChannelHealth.objects.get().quota_told_at == TOLD.told_at


def test_other_settings_may_be_another_shop_s_so_what_was_told_is_forgotten(shopify, client, owner):
    mark_good([shopify.pk], AT, quota=TOLD)
    services.save_credential(channel=shopify, values={"app_key": "other"}, actor=owner, now=timezone.now())
    assert quota_fact(client, shopify) == "— not told yet"


@pytest.mark.parametrize("cause", ["quota", "daily-quota"])
def test_a_used_up_quota_says_until_when(client, owner, cause):
    """As Taobao says with code 7; a bucket that was told before says nothing any more."""
    channel, now = CredentialFactory().channel, timezone.now()
    mark_good([channel.pk], now, quota=TOLD)
    mark_failed(channel, Wait("taobao", "read", cause=cause, retry_at=now + timedelta(hours=2)), now)
    said = quota_fact(client, channel)
    assert said.startswith("none until ")
    assert f"{timezone.localtime(now + timedelta(hours=2)):%H:%M}, says the platform" in said
    ChannelHealth.objects.update(retry_at=now - timedelta(seconds=1))
    assert not quota_fact(client, channel).startswith("none")


def test_a_pause_of_our_own_is_not_told_as_the_platform_s(client, owner):
    channel, now = CredentialFactory().channel, timezone.now()
    mark_failed(channel, Wait("taobao", "read", cause="own-quota", retry_at=now + timedelta(hours=2)), now)
    assert quota_fact(client, channel) == "— the platform does not tell it no limit of ours"


def test_the_daily_quota_of_an_app_ends_at_the_platform_s_midnight(simulator, client, owner):
    account = simulator.taobao.account
    channel = CredentialFactory(
        app_key=account["app_key"],
        app_secret=account["app_secret"],
        access_token=simulator.taobao.shop()["session"],
        base_url=simulator.base_url,
    ).channel
    simulator.taobao.fail_next(
        times=0, code=7, msg="App Call Limited", sub_code="accesscontrol.limited-by-app-access-count"
    )
    client.post(f"/connect/channels/{channel.pk}/test/")
    assert quota_fact(client, channel).startswith("none until ")
