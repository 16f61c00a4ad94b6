"""What thresholds are about: one listing that is read, or a small shop."""

import pytest

from monitoring.services import ensure_watches
from tests.factories import (
    NOW,
    ChannelFactory,
    ListingFactory,
    ListingWatchFactory,
    ProductFactory,
    SkuFactory,
)


@pytest.fixture
def watch():
    return ListingWatchFactory()


@pytest.fixture
def listing(watch):
    return watch.listing


@pytest.fixture
def shop():
    """Three listings of a channel: of a product of a brand, of another product, and a competitor's of the first."""
    channel = ChannelFactory()
    skus = [SkuFactory(product=ProductFactory(brand="山野")), SkuFactory(product=ProductFactory(brand="暖居"))]
    first = ListingFactory(channel=channel, sku=skus[0])
    second = ListingFactory(channel=channel, sku=skus[1])
    rival = ListingFactory(channel=channel, sku=skus[0], ownership="competitor")
    unmapped = ListingFactory(channel=channel)
    ensure_watches(now=NOW)
    return channel, first, second, rival, unmapped
