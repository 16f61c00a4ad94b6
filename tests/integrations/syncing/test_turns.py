"""Whose turn it is: what is to be sent before what is read back, one call to a channel that may be dead."""

from datetime import datetime

import pytest
from django.utils import timezone

from integrations.connections import CIRCUIT_FAILURES
from integrations.lanes.engine import Engine
from integrations.models import ChannelHealth, Credential, ListingSync, SyncItem
from integrations.syncing import dirty, verifying
from integrations.syncing.pushing import push_slice
from integrations.syncing.rows import Result, Status

pytestmark = pytest.mark.django_db


def test_what_becomes_due_does_not_wait_for_all_that_is_read_back(open_shop, settle, monkeypatch):
    shop = open_shop("taobao", 8)
    settle()
    monkeypatch.setattr(type(shop.subject.connector), "max_items_per_read", 1)
    Credential.objects.update(calls_per_second="4")
    run = dirty.begin_full(shop.channel, now=timezone.now())
    looked: list[datetime] = []
    marked: list[datetime] = []
    look, look_for_work = verifying.look, Engine._look_for_work

    def noting(*arguments):
        looked.append(timezone.now())
        return look(*arguments)

    def marking(self):
        if looked and not marked:
            marked.append(timezone.now())
            shop.count(-1, 3)
        return look_for_work(self)

    monkeypatch.setattr(verifying, "look", noting)
    monkeypatch.setattr(Engine, "_look_for_work", marking)
    summary = push_slice(seconds=8)
    assert (summary.sent, summary.looked >= 7) == (1, True)
    before = [moment for moment in looked if moment < shop.sync(3).pushed_at]
    assert len(before) <= 5, "those that were about to be read, and no more"
    run.refresh_from_db()
    assert run.ended_at is not None


def test_all_is_read_back_in_one_slice_though_a_few_are_at_a_time(open_shop, settle, monkeypatch):
    shop = open_shop("woocommerce", 5)
    settle()
    monkeypatch.setattr(type(shop.subject.connector), "max_items_per_read", 1)
    monkeypatch.setattr("integrations.syncing.pushing.SHARE", 1)
    dirty.begin_full(shop.channel, now=timezone.now())
    summary = push_slice(seconds=10)
    assert (summary.looked, summary.more_due) == (5, False)


def test_a_channel_that_may_be_dead_gets_one_call_and_then_all(open_shop, settle):
    shop = open_shop("taobao", 4)
    settle()
    for index in range(4):
        shop.count(-1, index)
    address = shop.channel.credential.base_url
    Credential.objects.update(base_url="http://127.0.0.1:9")
    ended = timezone.now()
    ChannelHealth.objects.update_or_create(
        channel=shop.channel, defaults={"failures": CIRCUIT_FAILURES, "kind": "retry", "retry_at": ended}
    )
    push_slice(seconds=1)
    rows = [shop.sync(index) for index in range(4)]
    assert sorted(row.attempts for row in rows) == [0, 0, 0, 1]
    assert all(row.due_at is not None and row.lease_token is None for row in rows)
    Credential.objects.update(base_url=address)
    settle()
    assert set(ListingSync.objects.values_list("state", flat=True)) == {"in-sync"}


def test_what_cannot_be_read_after_a_failure_is_not_written_blindly(open_shop, settle, monkeypatch):
    shop = open_shop("shopify")
    settle()
    start = shop.shown()
    ListingSync.objects.update(state="failed", confirmed=None, attempts=1)
    shop.count(-1)
    look = verifying.look

    def unread(connector, claims, now):
        return [Result(claim.pk, Status.UNREAD, at=now, cause="not-read") for claim in claims]

    monkeypatch.setattr(verifying, "look", unread)
    assert push_slice(seconds=2).failed == 1
    row = shop.sync()
    assert (shop.shown(), row.state, row.cause, row.attempts) == (start, "failed", "not-read", 2)
    assert row.due_at is not None
    assert [attempt.kind for attempt in SyncItem.objects.latest("pk").attempts.all()] == ["look"], "nothing was sent"
    monkeypatch.setattr(verifying, "look", look)
    settle()
    assert (shop.shown(), shop.sync().state) == (start - 1, "in-sync")


def test_what_is_not_stocked_at_its_location_is_left_to_the_platform(open_shop, settle):
    shop = open_shop("shopify")
    settle()
    [variant] = [each for each in shop.subject.control.variants() if str(each["sku_id"]) == shop.rows[0].sku_id]
    shop.subject.control.unstock(variant, next(iter(variant["levels"])))
    ListingSync.objects.update(state="failed", confirmed=None, attempts=1)
    shop.count(-1)
    assert push_slice(seconds=2).failed == 0
    look, push = SyncItem.objects.latest("pk").attempts.order_by("pk")
    assert (look.cause, push.kind, push.expected) == ("not-stocked-there", "push", None)
