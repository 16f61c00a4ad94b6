"""What the panel of a planned promotion says of other channels that sell from the same stock."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import BundleComponent
from integrations.models import ChannelSync, ListingSync
from tests.factories import CredentialFactory, ListingFactory, SkuFactory
from tests.monitoring.test_promotion_preview import filled
from tests.staff import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def shared():
    """A listing to be promoted, and another one of its SKU on a channel that is in step."""
    sku = SkuFactory()
    mine = ListingFactory(sku=sku, list_price=Decimal(99))
    other = ListingFactory(sku=sku, channel=CredentialFactory(channel__name="Nuanju Home").channel)
    ChannelSync.objects.create(channel=other.channel, is_on=True, is_confirmed=True)
    ListingSync.objects.create(listing=other, channel=other.channel, state="in-sync")
    return mine, other


def told(client, mine):
    return client.post(reverse("admin:catalog_promotion_preview"), filled(mine.channel)).json()["html"]


def test_a_channel_in_step_is_no_risk(client, shared):
    signed_in(client, "Manager")
    html = told(client, shared[0])
    assert "1 channel is in step." in html
    assert "Nuanju Home" not in html


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"is_on": False}, "The sync of its stock is off."),
        ({"is_paused": True, "pause_reason": "Stocktaking"}, "Reason: Stocktaking"),
        ({"is_confirmed": False}, "dry run"),
    ],
)
def test_a_channel_that_is_not_written_is_a_risk_with_its_reason(client, shared, change, why):
    signed_in(client, "Manager")
    ChannelSync.objects.update(**change)
    html = told(client, shared[0])
    for part in ("Nuanju Home", "1 listing shares the stock.", why):
        assert part in html


@pytest.mark.parametrize(("minutes", "is_risk"), [(11, True), (9, False)])
def test_a_channel_whose_listings_are_behind_for_long_is_a_risk(client, shared, minutes, is_risk):
    signed_in(client, "Manager")
    ListingSync.objects.update(state="waiting", changed_at=timezone.now() - timedelta(minutes=minutes))
    assert ("1 of them is behind its target." in told(client, shared[0])) == is_risk


def test_a_channel_without_any_sync_and_one_that_sells_it_in_a_bundle_count_too(client, shared):
    signed_in(client, "Manager")
    mine, _other = shared
    bundle = SkuFactory()
    BundleComponent.objects.create(bundle=bundle, component=mine.sku, units=2)
    ListingFactory(sku=bundle, channel__name="Bundles")
    ListingFactory(channel__name="Others")
    html = told(client, mine)
    assert "Bundles" in html
    assert "The sync of its stock is off." in html
    assert "Others" not in html


def test_channels_that_a_person_does_not_work_with_are_not_named(client, shared):
    mine, _other = shared
    signed_in(client, "Operator", mine.channel)
    ChannelSync.objects.update(is_on=False)
    html = told(client, mine)
    assert "Nuanju Home" not in html
    assert "No other channel that you work with sells from it." in html
