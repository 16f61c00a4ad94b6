"""The sync status as programs read it: what the page shows, for the channels of who asks."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from integrations.models import ChannelHealth, ChannelSync, ListingSync, SyncAttempt, SyncItem, SyncRun
from tests.factories import NOW, ChannelFactory, CredentialFactory, ListingFactory, OrderFactory, SkuFactory
from tests.staff import member

pytestmark = pytest.mark.django_db
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


def shop():
    channel = ChannelFactory(platform="shopify", orders_since=NOW - 9 * HOUR)
    CredentialFactory(channel=channel, options={"shop": "acme.myshopify.com", "app_kind": "custom"})
    ChannelSync.objects.create(channel=channel, is_on=True, is_confirmed=True, orders_read_until=NOW - 30 * SECOND)
    ChannelHealth.objects.create(channel=channel, quota_left=9, quota_most=10, quota_told_at=NOW)
    listing = ListingFactory(channel=channel, sku=SkuFactory())
    ListingSync.objects.create(listing=listing, channel=channel, state="waiting", due_at=NOW, changed_at=NOW - HOUR)
    run = SyncRun.objects.create(channel=channel, kind="full", started_at=NOW - HOUR, ended_at=NOW - HOUR + SECOND)
    item = SyncItem.objects.create(run=run, listing=listing, confirmed_after_ms=1_500, created_at=NOW - HOUR)
    for status in ("applied", "refused", "accepted"):
        SyncAttempt.objects.create(item=item, sent_at=NOW - HOUR, status=status)
    OrderFactory(channel=channel, ordered_at=NOW - HOUR - 20 * SECOND, seen_at=NOW - HOUR)
    return channel


def test_a_channel_is_told_with_its_figures(owner):
    channel = shop()
    row = owner.get(f"sync-status/{channel.pk}/").json()
    assert row["states"] == {
        **dict.fromkeys(["new", "in-sync", "sent", "refused", "failed", "dismissed", "stopped"], 0),
        "waiting": 1,
    }
    expected = {
        "id": channel.pk,
        "standing": "writing",
        "held_until": None,
        "active_listings": 1,
        "active_skus": 1,
        "backlog": 1,
        "oldest_at": "2026-11-21T03:00:00Z",
        "attempts": 3,
        "taken": 2,
        "success_rate": 0.6667,
        "freshness": {"count": 1, "p50_seconds": 1.5, "p95_seconds": 1.5},
        "detection": {"count": 1, "p50_seconds": 20.0, "p95_seconds": 20.0},
        "last_full_run": {
            "started_at": "2026-11-21T03:00:00Z",
            "ended_at": "2026-11-21T03:00:01Z",
            "duration_seconds": 1.0,
        },
        "last_incremental_run": None,
        "orders_polled_seconds": 60.0,
        "orders_lag_seconds": 30.0,
        "quota_left": 9,
        "quota_told_at": "2026-11-21T04:00:00Z",
        "orders_set_aside": 0,
        "orders_silent": 0,
        "zeros_held": 0,
    }
    assert {name: row[name] for name in expected} == expected


def test_the_list_is_all_channels_and_their_total(owner):
    shop(), shop()
    never = ChannelFactory()
    answer = owner.get("sync-status/").json()
    assert [row["id"] for row in answer["results"]] == sorted(row["id"] for row in answer["results"])
    assert answer["results"][-1]["id"] == never.pk
    assert (answer["results"][-1]["standing"], answer["results"][-1]["success_rate"]) == ("off", None)
    assert (answer["total"]["attempts"], answer["total"]["taken"], answer["total"]["active_skus"]) == (6, 4, 2)
    assert owner.get(f"sync-status/{never.pk}/").json() == answer["results"][-1]


def test_a_key_sees_the_channels_of_its_person(program):
    own, foreign = shop(), shop()
    theirs = program(member("Operator", own))
    answer = theirs.get("sync-status/").json()
    assert [row["id"] for row in answer["results"]] == [own.pk]
    assert answer["total"]["attempts"] == 3
    assert theirs.get(f"sync-status/{foreign.pk}/").status_code == 404


def test_the_scope_is_asked_for(program):
    assert program(scopes=["read:watch"]).get("sync-status/").status_code == 403


@pytest.mark.parametrize("query", [{"limit": "5"}, {"channel": "1"}])
def test_there_are_no_parameters(owner, query):
    assert owner.get("sync-status/", query_params=query).status_code == 400


def test_the_queries_do_not_grow_with_the_channels(owner):
    def queries():
        with CaptureQueriesContext(connection) as found:
            assert owner.get("sync-status/").status_code == 200
        return len(found)

    shop()
    first = queries()
    for _shop in range(3):
        shop()
    assert queries() == first
