"""The dashboard in a real browser: what stands beside what, and how much of the screen it takes."""

import itertools
from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import Listing
from monitoring.models import Observation
from tests.factories import (
    AlertFactory,
    ChannelFactory,
    CredentialFactory,
    ListingFactory,
    ListingWatchFactory,
    UserFactory,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def busy_day():
    """Three shops, one of them not authorised, nine listings that moved, and six open alerts."""
    now = timezone.now()
    channels = [ChannelFactory(name=name) for name in ("天猫旗舰店", "山野小铺", "Camping world")]
    for channel in channels:
        CredentialFactory(channel=channel)
    channels[0].credential.access_token = ""
    channels[0].credential.save()
    for number in range(9):
        listing = ListingFactory(channel=channels[number % 3], title="不锈钢保温杯 500ml 哑光黑 大容量")
        for hours, price, stock in ((30, 100, 50), (2, 90 - number, 40 - number)):
            at = now - timedelta(hours=hours)
            facts = {"list_price": price, "stock": stock, "shelf_state": "on_shelf", "observed_at": at}
            Observation.objects.create(listing=listing, **facts)
            Listing.objects.filter(pk=listing.pk).update(**facts)
        ListingWatchFactory(listing=listing, read_at=now)
        if number < 6:
            AlertFactory(listing=listing, channel=listing.channel)


def boxes(page):
    """The cards below the figures, by their headings."""
    return {
        card.locator("h2").first.inner_text().split("\n")[0].strip(" 0123456789"): card.bounding_box()
        for card in page.locator(".grid .card").all()
    }


def test_panels_stand_in_two_columns_without_a_hole(browser_page, busy_day):
    page = browser_page(user=UserFactory(is_superuser=True))
    page.goto("/")
    found = boxes(page)
    columns = [
        ["Channels", "To authorise", "Biggest price moves, 24 h"],
        ["Open alerts", "To map", "Biggest stock moves, 24 h"],
    ]
    assert found[columns[0][0]]["y"] == found[columns[1][0]]["y"]
    for names in columns:
        for above, below in itertools.pairwise(found[name] for name in names):
            assert below["y"] == pytest.approx(above["y"] + above["height"] + 16, abs=1)
            assert below["width"] == above["width"]
    for card in page.locator(".grid .card").all():
        ends_at = card.evaluate("card => card.lastElementChild.getBoundingClientRect().bottom")
        box = card.bounding_box()
        assert box["y"] + box["height"] - ends_at <= 8, "an empty half of a card"
    assert page.evaluate("document.documentElement.scrollHeight") <= 900


def test_on_a_phone_what_asks_for_a_deed_comes_first(browser_page, busy_day):
    page = browser_page(user=UserFactory(is_superuser=True), phone=True)
    page.goto("/")
    found = boxes(page)
    assert sorted(found, key=lambda name: found[name]["y"]) == [
        "To authorise",
        "Open alerts",
        "To map",
        "Channels",
        "Biggest price moves, 24 h",
        "Biggest stock moves, 24 h",
    ]
