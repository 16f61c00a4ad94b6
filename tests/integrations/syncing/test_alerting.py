"""What the guard of zeros holds is told: one alert for a channel, ended by itself once somebody has decided."""

from datetime import timedelta

import pytest

from integrations import tasks
from integrations.models import ChannelSync, ListingSync
from integrations.syncing.alerting import tell_held
from monitoring.alert_text import alert_sentence, alert_title
from monitoring.models import Alert, Notification
from tests.factories import NOW, ChannelFactory, ListingFactory, RouteFactory, SkuFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def channel():
    found = ChannelFactory(name="Yatai Wohnen")
    ChannelSync.objects.create(channel=found, is_on=True, is_confirmed=True)
    return found


def hold(channel, number):
    for _row in range(number):
        listing = ListingFactory(channel=channel, sku=SkuFactory())
        ListingSync.objects.create(listing=listing, channel=channel, state="waiting", cause="guard", wanted=0)


def test_one_alert_opens_for_a_channel_follows_its_number_and_ends_by_itself(channel):
    assert tell_held(now=NOW) == 0
    hold(channel, 5)
    assert [tell_held(now=NOW) for _twice in range(2)] == [1, 0]
    alert = Alert.objects.get()
    assert (alert.kind, alert.severity, alert.channel, alert.listing) == ("stock_held", "critical", channel, None)
    assert alert_title(alert) == "5 listings would go to 0"
    assert alert_sentence(alert).startswith("Nothing of that was sent.")
    hold(channel, 1)
    tell_held(now=LATER)
    alert.refresh_from_db()
    assert (alert.new_value, alert.last_at, alert.opened_at) == ("6", LATER, NOW)
    ListingSync.objects.update(state="dismissed")
    tell_held(now=LATER)
    alert.refresh_from_db()
    assert (alert.status, alert.cleared_at) == ("resolved", LATER)
    ListingSync.objects.update(state="waiting")
    assert tell_held(now=LATER) == 1, "held again, it is another one"


def test_what_a_channel_that_is_off_held_is_told_no_more(channel):
    hold(channel, 5)
    tell_held(now=NOW)
    ChannelSync.objects.update(is_on=False)
    assert tell_held(now=LATER) == 0
    assert Alert.objects.get().cleared_at == LATER


def test_one_that_a_person_was_done_with_does_not_open_again_while_the_same_is_held(channel):
    hold(channel, 5)
    tell_held(now=NOW)
    Alert.objects.update(status="resolved", resolved_at=NOW)
    assert tell_held(now=LATER) == 0
    assert Alert.objects.count() == 1


def test_the_sweep_tells_it_and_targets_hear_of_it(channel):
    RouteFactory()
    hold(channel, 5)
    tasks.sweep_stock()
    assert Notification.objects.get().alert == Alert.objects.get()


def test_it_stands_on_the_board_and_has_a_page_that_leads_to_the_channel(client, channel):
    signed_in(client, "Operator", channel)
    hold(channel, 5)
    tell_held(now=NOW)
    board = client.get("/monitoring/alert/").text
    assert "5 listings would go to 0" in board
    page = client.get(f"/monitoring/alert/{Alert.objects.get().pk}/change/").text
    assert "Nothing of that was sent." in page
    assert f"/catalog/channel/{channel.pk}/change/" in page
