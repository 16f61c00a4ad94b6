"""The page of where the sync stands: every figure of each channel, and the lists behind them."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from integrations.models import ChannelHealth, ChannelSync, Heartbeat, ListingSync, SyncAttempt, SyncItem, SyncRun
from tests.factories import (
    ChannelFactory,
    CredentialFactory,
    ListingFactory,
    OrderFactory,
    OrderLineFactory,
    SkuFactory,
)
from tests.staff import signed_in

pytestmark = pytest.mark.django_db
URL = reverse("integrations:sync_status")
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def shop(name="Acme", **values):
    """A channel with one listing in step and one refused, and a run that took 3 s."""
    now = timezone.now()
    channel = ChannelFactory(name=name, platform="shopify", orders_since=now - 9 * HOUR)
    CredentialFactory(channel=channel, options={"shop": "acme.myshopify.com", "app_kind": "custom"})
    ChannelSync.objects.create(
        channel=channel, **{"is_on": True, "is_confirmed": True, "orders_read_until": now, **values}
    )
    for state in ("in-sync", "refused"):
        listing = ListingFactory(channel=channel, sku=SkuFactory())
        ListingSync.objects.create(listing=listing, channel=channel, state=state)
    run = SyncRun.objects.create(
        channel=channel, kind="incremental", started_at=now - HOUR, ended_at=now - HOUR + 3 * SECOND
    )
    item = SyncItem.objects.create(run=run, listing=listing, confirmed_after_ms=2_400, created_at=now - HOUR)
    for status in ("applied", "refused"):
        SyncAttempt.objects.create(item=item, sent_at=now - HOUR, status=status)
    OrderFactory(channel=channel, ordered_at=now - HOUR - 40 * SECOND, seen_at=now - HOUR)
    return channel


def text_of(answer):
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_the_page_shows_each_figure_of_a_channel(admin_client):
    channel = shop()
    ChannelHealth.objects.create(
        channel=channel, quota_left=1_500, quota_most=2_000, quota_per_second=100, quota_told_at=timezone.now()
    )
    text = text_of(admin_client.get(URL))
    for expected in (
        "of 2 SKUs",
        "50.0%",
        "1 of 2 sent",
        "took 3 s",
        "half in 3 s 1 measured",
        "half in 40 s 1 measured asked every 1 min",
        "1,500",
        "All channels",
    ):
        assert expected in text, expected


def test_what_is_not_known_is_told_as_that(admin_client):
    ChannelFactory(name="Never called", platform="shopify")
    text = text_of(admin_client.get(URL))
    for expected in ("Its stock is not ours to write.", "never yet", "nothing was sent", "cannot tell", "not told yet"):
        assert expected in text, expected


@pytest.mark.parametrize(
    ("values", "health", "expected"),
    [
        pytest.param({"is_paused": True, "pause_reason": "stocktaking"}, {}, "Paused stocktaking", id="paused"),
        pytest.param({"is_confirmed": False}, {}, "Nothing is sent before somebody applies", id="dry run"),
        pytest.param({}, {"cause": "quota"}, "Held back", id="held"),
        pytest.param({"orders_read_until": None}, {}, "Sales there may be missing here.", id="orders not read"),
        pytest.param({"orders_cause": "permission"}, {}, "permission", id="why orders are not read"),
    ],
)
def test_a_channel_says_why_it_is_not_written_or_not_read(admin_client, values, health, expected):
    channel = shop(**values)
    if health:
        ChannelHealth.objects.create(channel=channel, retry_at=timezone.now() + HOUR, kind="wait", **health)
    assert expected in text_of(admin_client.get(URL))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"reads_only": True}, "May only read Only to write stock needs more"),
        ({"access_token": ""}, "Not connected Nothing is read or written there"),
    ],
)
def test_a_channel_whose_connection_cannot_write_is_not_shown_as_on(admin_client, changed, expected):
    credential = shop().credential
    for name, value in changed.items():
        setattr(credential, name, value)
    credential.save()
    assert expected in text_of(admin_client.get(URL))


def test_what_would_go_to_0_asks_for_somebody(admin_client):
    ListingSync.objects.filter(listing__channel=shop(), state="refused").update(state="waiting", cause="guard")
    assert "1 listing would go to 0 Nothing of that was sent." in text_of(admin_client.get(URL))


def test_orders_nobody_hears_of_are_told(admin_client):
    order = OrderFactory(channel=shop(), status="paid", changed_at=timezone.now() - timedelta(days=8))
    OrderLineFactory(order=order, components=[[SkuFactory().pk, 1]])
    assert "1 reserved for long" in text_of(admin_client.get(URL))


def test_every_figure_leads_to_a_list_that_opens(admin_client):
    channel = shop()
    found = set(re.findall(r'href="(/[^"]+\?[^"]+)"', admin_client.get(URL).content.decode()))
    own = [address.replace("&amp;", "&") for address in found if str(channel.pk) in address or "tab=" in address]
    assert any("tab=refused" in address for address in own)
    for address in own:
        answer = admin_client.get(address)
        assert answer.status_code == 200, address
    refused = next(address for address in own if "tab=refused" in address)
    assert admin_client.get(refused).context["cl"].result_count == 1


def test_the_workers_are_told_as_readyz_knows_them(admin_client):
    Heartbeat.objects.create(name="bulk", beat_at=timezone.now())
    text = text_of(admin_client.get(URL))
    assert "bulk Working" in text
    assert "interactive Silent last took up a task: never seen" in text


def test_people_see_their_own_channels_only(client):
    own, _foreign = shop("Own shop"), shop("Foreign shop")
    signed_in(client, "Operator", own)
    text = text_of(client.get(URL))
    assert "Own shop" in text
    assert "Foreign shop" not in text
    assert "1 of 2 sent" in text
    assert "2 of 4 sent" not in text


def test_who_may_not_see_the_sync_is_refused(client, django_user_model):
    user = django_user_model.objects.create_user("nobody", is_staff=True)
    client.force_login(user)
    assert client.get(URL).status_code == 403
    client.logout()
    assert client.get(URL).status_code == 302


def test_the_page_takes_no_more_queries_with_more_channels(client):
    signed_in(client, "Operator", *(shop(f"Shop {number}") for number in range(4)))
    client.get(URL)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(URL).status_code == 200
    assert len(queries) <= 12, [query["sql"][:80] for query in queries]


def test_the_page_without_any_channel(admin_client):
    assert "There is no channel yet." in text_of(admin_client.get(URL))
