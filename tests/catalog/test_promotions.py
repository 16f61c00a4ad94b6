"""Promotions by hand and from a platform: what is refused, what is told, and which prices it touches."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from catalog.models import AuditEvent, Promotion
from catalog.promotions.services import Stored, delete, save, store_read
from catalog.signals import promotion_changed
from tests.factories import ChannelFactory, ListingFactory, PromotionFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


@pytest.fixture
def told(django_capture_on_commit_callbacks):
    """Runs something, and returns the listings that were told to have other prices."""
    seen = []

    def receiver(sender, listing_ids, **kwargs):
        seen.extend(listing_ids)

    promotion_changed.connect(receiver)

    def run(job, *args, **kwargs):
        seen.clear()
        with django_capture_on_commit_callbacks(execute=True):
            job(*args, **kwargs)
        return sorted(seen)

    yield run
    promotion_changed.disconnect(receiver)


@pytest.fixture
def channel():
    return ChannelFactory()


@pytest.fixture
def listings(channel):
    return ListingFactory.create_batch(3, channel=channel)


def test_a_shop_promotion_touches_the_shop_and_an_items_only_its_item(told, channel, listings):
    ListingFactory()  # of another shop
    everywhere = PromotionFactory.build(channel=channel)
    assert told(save, promotion=everywhere, actor=None, now=NOW) == sorted(each.pk for each in listings)
    scope = {"items": [listings[0].platform_item_id]}
    of_one = PromotionFactory.build(channel=channel, scope=scope)
    assert told(save, promotion=of_one, actor=None, now=NOW) == [listings[0].pk]


def test_a_changed_scope_touches_what_was_and_what_is_in_it(told, channel, listings):
    promotion = PromotionFactory(channel=channel, scope={"items": [listings[0].platform_item_id]})
    promotion.scope = {"items": [listings[1].platform_item_id]}
    assert told(save, promotion=promotion, actor=None, now=NOW) == [listings[0].pk, listings[1].pk]
    assert told(delete, promotions=[promotion], actor=None, now=NOW) == [listings[1].pk]
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == ["changed", "deleted"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "percent_off", "value": 20_000}, "value"),
        ({"value": 0}, "value"),
        ({"value": None, "tiers": [[300, 20], [100, 10]]}, "tiers"),
        ({"layer": "moon"}, "layer"),
        ({"max_discount": 0}, "max_discount"),
        ({"start": NOW, "end": NOW}, "end"),
        ({"currency": "USD"}, "currency"),
        ({"kind": "nth_piece", "value": 5000, "of": 2, "take": 3}, "of"),
        ({"repeat": True}, "repeat"),
    ],
)
def test_one_that_the_engine_would_set_aside_is_refused_at_its_field(channel, fields, field):
    promotion = PromotionFactory.build(channel=channel, **fields)
    with pytest.raises(ValidationError) as caught:
        save(promotion=promotion, actor=None, now=NOW)
    assert list(caught.value.message_dict) == [field]
    assert Promotion.objects.count() == 0


def read(**fields):
    return PromotionFactory.build(channel=None, **{"name": "店铺券", **fields})


def test_a_reading_adds_changes_and_retires_and_leaves_what_we_added(told, channel, listings):
    by_hand = PromotionFactory(channel=channel)
    first = [read(platform_id="coupon:1"), read(platform_id="coupon:2"), read(platform_id="coupon:3")]
    assert store_read(channel=channel, read=first, now=NOW) == Stored(added=3)
    Promotion.objects.filter(platform_id="coupon:2").update(seller_share=5000)
    later = NOW + timedelta(hours=1)
    second = [read(platform_id="coupon:1"), read(platform_id="coupon:2", value=500)]
    assert store_read(channel=channel, read=second, now=later) == Stored(changed=1, same=1, gone=1)
    stored = {row.platform_id: row for row in Promotion.objects.exclude(pk=by_hand.pk)}
    assert (stored["coupon:2"].value, stored["coupon:2"].seller_share) == (500, 5000)
    assert [stored[name].status for name in sorted(stored)] == ["active", "active", "gone"]
    assert stored["coupon:1"].read_at == later
    again = [read(platform_id="coupon:1"), read(platform_id="coupon:2", value=500)]
    assert told(store_read, channel=channel, read=again, now=later) == []


def test_what_comes_back_is_active_again(channel):
    for promotions in ([read(platform_id="coupon:1")], [], [read(platform_id="coupon:1")]):
        store_read(channel=channel, read=promotions, now=NOW)
    assert Promotion.objects.get().status == "active"
