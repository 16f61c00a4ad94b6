"""Promotions from the platforms: each of them in the catalog, in the terms of the pricing contract."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone, translation

from catalog.models import Channel, Promotion
from catalog.pricing.rulesets import rules_for
from catalog.pricing.validity import invalid_field
from catalog.promotions.requests import engine_promotion
from catalog.promotions.services import pricing_of
from integrations.connectors import base
from integrations.promotions import read_all, read_promotions, stored_of
from tests.factories import ChannelFactory
from tests.integrations.syncing.conftest import open_shop  # noqa: F401

pytestmark = pytest.mark.django_db

ENDS = datetime(2026, 12, 1, tzinfo=UTC)


def told(**fields):
    usual: dict[str, Any] = {
        "promotion_id": "7",
        "title": "券",
        "kind": "amount_off",
        "value": Decimal(10),
        "currency": "CNY",
    }
    return base.Promotion(**usual | fields)


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"codes": ("A",)}, {"value": 1000, "tiers": None, "auto": False, "code": "A", "per": "order"}),
        ({}, {"auto": True}),
        ({"minimum_amount": Decimal("99.00")}, {"value": None, "measure": "amount", "tiers": [[9900, 1000]]}),
        ({"kind": "percent_off", "value": Decimal("12.5")}, {"value": 1250, "kind": "percent_off"}),
        ({"is_on_each_unit": True}, {"per": "unit"}),
        ({"minimum_quantity": 3, "maximum_amount": Decimal(500)}, {"min_qty": 3, "max_amount": 50_000}),
        ({"item_ids": ("1", "2"), "excluded_item_ids": ("3",)}, {"scope": {"items": ["1", "2"], "not_items": ["3"]}}),
        ({"excludes_on_sale": True}, {"scope": {"not_on_sale": True}}),
        ({"is_alone": True, "is_active": False}, {"combines": [], "status": "paused"}),
        ({"ends_at": ENDS, "remaining": 4}, {"end": ENDS, "remaining": 4}),
        ({"value": Decimal("9.999")}, {"value": None, "unknown": ["value"]}),
        ({"unknown": ("starts_at", "item_ids", "codes")}, {"unknown": ["auto", "scope", "start"], "auto": False}),
    ],
)  # fmt: skip
def test_each_fact_stands_in_its_field(fields, stored):
    row = stored_of(told(**fields), ChannelFactory(platform="woocommerce", currency="CNY"))
    assert {name: getattr(row, name) for name in stored} == stored


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "券"),
        ({"title": "", "minimum_amount": Decimal(199), "value": Decimal(20)}, "¥20.00 off from ¥199.00 on"),
        ({"title": "", "kind": "percent_off", "value": Decimal("12.5")}, "12.5% off"),
        ({"title": "", "unknown": ("starts_at", "item_ids")}, "¥10.00 off"),
        ({"title": "", "value": Decimal("9.999")}, "7"),
        ({"title": "", "unknown": ("minimum",)}, "7"),
    ],
)
def test_one_without_a_title_is_named_by_what_it_does(fields, name):
    with translation.override("zh-hans"):  # whoever has it read
        assert stored_of(told(**fields), ChannelFactory(platform="shopify", currency="CNY")).name == name


def test_one_of_taobao_is_named_in_the_language_of_its_buyers():
    row = told(title="", minimum_amount=Decimal(199), value=Decimal(20))
    assert stored_of(row, ChannelFactory(platform="taobao", currency="CNY")).name == "满 ¥199.00 减 ¥20.00"


@pytest.mark.parametrize(
    ("platform", "fields", "layer"),
    [
        ("taobao", {"promotion_id": "coupon-7"}, "coupon"),
        ("taobao", {"promotion_id": "activity-7"}, "item"),
        ("shopify", {}, "order"),
        ("shopify", {"item_ids": ("1",)}, "product"),
        ("woocommerce", {}, "coupon"),
    ],
)
def test_each_kind_is_of_a_layer_of_its_platform(platform, fields, layer):
    assert stored_of(told(**fields), ChannelFactory(platform=platform)).layer == layer


@pytest.mark.parametrize("platform", ["taobao", "shopify", "woocommerce"])
def test_all_that_a_shop_offers_is_stored_whole_and_read_again_without_change(open_shop, platform):  # noqa: F811
    channel = Channel.objects.get(pk=open_shop(platform).channel.pk)
    first = read_promotions(channel, now=timezone.now())
    assert first is not None
    assert first.added > 0
    rules = rules_for(pricing_of(channel).ruleset, {})
    broken = {row.platform_id: invalid_field(engine_promotion(row), rules) for row in Promotion.objects.all()}
    assert {name: field for name, field in broken.items() if field} == {}
    again = read_promotions(channel, now=timezone.now())
    assert again is not None
    assert (again.added, again.changed, again.gone) == (0, 0, 0)


def test_a_shop_that_cannot_be_read_stops_no_other_and_keeps_what_it_had(open_shop):  # noqa: F811
    shops = [open_shop(platform).channel for platform in ("shopify", "woocommerce")]
    read_all(shops, now=timezone.now())
    before = Promotion.objects.count()
    credential = shops[0].credential
    credential.access_token = "shpat_wrong"
    credential.save()
    assert read_all(Channel.objects.order_by("pk"), now=timezone.now()) == "0 promotions changed, 1 channels not read"
    assert Promotion.objects.count() == before
    assert not Promotion.objects.filter(status="gone").exists()
