"""Prices worked out again because somebody asked: how far it is, what came of it, and who may ask."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import Listing
from integrations.tasks import price_lane
from monitoring.models import PriceRun
from monitoring.services.price_runs import end_runs, progress, recompute
from monitoring.services.prices import requote, requote_due
from tests.factories import ChannelFactory, ListingFactory, PromotionFactory, UserFactory
from tests.staff import address, member, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel():
    return ChannelFactory()


@pytest.fixture
def listings(channel):
    """Three whose prices were worked out yesterday: one changed since, one is the same, one has no price any more."""
    found = ListingFactory.create_batch(3, channel=channel, list_price=Decimal(99))
    requote(listing_ids=[each.pk for each in found], now=timezone.now() - timedelta(days=1))
    changed, _same, unknown = found
    Listing.objects.filter(pk=changed.pk).update(list_price=Decimal(89))
    Listing.objects.filter(pk=unknown.pk).update(list_price=None)
    return found


def ids(listings):
    return [each.pk for each in listings]


def asked(listings, user=None):
    return recompute(listing_ids=ids(listings), about="", actor=user or UserFactory(), now=timezone.now())


def test_it_goes_on_until_all_are_worked_out_and_keeps_what_came_of_it(listings):
    run = asked(listings)
    assert (progress(run).left, end_runs(now=timezone.now())) == (3, 0)
    price_lane()
    run.refresh_from_db()
    assert (run.changed, run.same, run.untold) == (1, 1, {"price": 1})
    assert run.ended_at is not None
    Listing.objects.update(list_price=Decimal(50))
    requote(listing_ids=ids(listings), now=timezone.now())
    assert (progress(run).changed, progress(run).same) == (1, 1)


def test_part_of_it_is_told_while_it_goes_on(listings):
    run = asked(listings)
    requote(listing_ids=[listings[0].pk], now=timezone.now())
    found = progress(run)
    assert (found.left, found.changed, found.same) == (2, 1, 0)


def test_asked_for_again_while_it_goes_on_it_is_the_same_and_afterwards_another_one(listings):
    user = UserFactory()
    first = asked(listings, user)
    assert asked(listings, user) == first
    assert asked(listings[:2], user) != first
    assert asked(listings) != first
    price_lane()
    again = asked(listings, user)
    assert again != first
    price_lane()
    again.refresh_from_db()
    assert (again.changed, again.same, again.untold) == (0, 2, {"price": 1})


def test_competitors_and_removed_listings_are_left_out(channel, listings):
    theirs = ListingFactory(channel=channel, ownership="competitor")
    gone = ListingFactory(channel=channel, removed_at=timezone.now())
    assert asked([*listings, theirs, gone]).total == 3
    nothing = asked([theirs])
    assert (nothing.total, nothing.ended_at is None) == (0, False)


def test_many_take_the_same_queries_as_few(channel, listings, django_assert_num_queries):
    run = asked(ListingFactory.create_batch(20, channel=channel))
    requote_due(seconds=30)
    with django_assert_num_queries(2):
        assert progress(run).untold == {"price": 20}


class TestPages:
    def page_of(self, client, response):
        assert response.status_code == 302
        return client.get(response["Location"])

    @pytest.mark.parametrize("what", ["channel", "promotion", "chosen"])
    def test_it_is_asked_for_a_channel_a_promotion_and_chosen_listings(self, client, channel, listings, what):
        signed_in(client, "Operator", channel)
        if what == "chosen":
            form = {"action": "recompute_prices", "_selected_action": ids(listings), "index": "0"}
            response = client.post(reverse("admin:catalog_listing_changelist"), form)
        else:
            obj = channel if what == "channel" else PromotionFactory(channel=channel, value=100)
            assert "Recompute prices" in client.get(address(obj, "change")).text
            response = client.post(reverse("watch:recompute-prices", args=[what, obj.pk]))
        page = self.page_of(client, response)
        for part in ("0 of 3", "It begins within a minute.", "data-live"):
            assert part in page.text
        price_lane()
        page = client.get(response["Location"])
        assert "data-live" not in page.text
        for part in ("Done", "A price is not known", "¥99.00", "¥89.00" if what != "promotion" else "¥88.00"):
            assert part in page.text
        assert "Done" in client.get(reverse("admin:monitoring_pricerun_changelist")).text

    @pytest.mark.parametrize("role", ["Viewer", "Buyer"])
    def test_whoever_may_not_change_promotions_may_not_ask(self, client, channel, listings, role):
        signed_in(client, role, channel)
        assert client.post(reverse("watch:recompute-prices", args=["channel", channel.pk])).status_code == 403
        assert "Recompute prices" not in client.get(address(channel, "change")).text
        assert PriceRun.objects.count() == 0

    def test_channels_and_runs_of_others_are_not_there(self, client, channel, listings):
        signed_in(client, "Operator", channel)
        theirs = ChannelFactory()
        others = asked(listings, member("Operator", theirs))
        assert client.get(address(others, "change")).status_code == 404
        for what, pk in (("channel", theirs.pk), ("promotion", PromotionFactory(channel=theirs).pk), ("shop", 1)):
            assert client.post(reverse("watch:recompute-prices", args=[what, pk])).status_code == 404
        assert client.get(reverse("watch:recompute-prices", args=["channel", channel.pk])).status_code == 405
