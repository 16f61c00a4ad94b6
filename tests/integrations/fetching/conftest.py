"""Channels of the simulator's shops, with their listings, due at NOW."""

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import Listing
from monitoring.services import ensure_watches
from tests.factories import ChannelFactory, CredentialFactory, ListingFactory


@pytest.fixture
def connect(simulator, db):
    """Returns a function that makes a channel for a shop of the simulator, with `count` of its own listings."""

    def make(shop_key=None, *, count=None, due_at=None, **fields):
        account = simulator.taobao.account
        shop = simulator.taobao.shop(shop_key)
        credential_fields = {
            name: fields.pop(name) for name in list(fields) if name in {"calls_per_second", "base_url"}
        }
        channel = ChannelFactory(**fields)
        CredentialFactory(
            channel=channel,
            app_key=account["app_key"],
            app_secret=account["app_secret"],
            access_token=shop["session"],
            **{"base_url": simulator.base_url, **credential_fields},
        )
        Listing.objects.bulk_create(
            ListingFactory.build(
                channel=channel, platform_item_id=str(row["num_iid"]), platform_sku_id=str(row["sku_id"]), title=""
            )
            for row in simulator.taobao.items(shop=shop["shop"])[:count]
        )
        ensure_watches(now=due_at or timezone.now() - timedelta(seconds=1))
        return channel

    return make
