from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from catalog.models import Listing
from catalog.services import remove_listings, restore_listings, set_watched
from integrations.services import authorisation_ends
from integrations.watching import set_interval, set_paused
from monitoring.models import Alert, ListingWatch, Threshold
from monitoring.services import check_authorisations, check_blind, end_abandoned, ensure_watches
from tests.factories import (
    NOW,
    AlertFactory,
    ChannelFactory,
    CredentialFactory,
    ListingFactory,
    ListingWatchFactory,
    ProductFactory,
    SkuFactory,
    ThresholdFactory,
)
from tests.monitoring.thresholds.reading import INTERVAL, priced, read

pytestmark = pytest.mark.django_db
Kind = Threshold.Kind
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


@pytest.fixture
def watch():
    watch = ListingWatchFactory(read_at=NOW)
    Listing.objects.update(created_at=NOW - DAY)
    return watch


def blind(channel, **fields):
    return ThresholdFactory(
        **{"channel": channel, "kind": Kind.BLIND, "min_price": None, "intervals": 5, "cooldown_minutes": 0, **fields}
    )


def test_a_listing_is_blind_when_it_was_not_read_for_longer_than_so_many_intervals(watch):
    blind(watch.channel)
    assert check_blind(now=NOW + 5 * INTERVAL) == 0
    assert check_blind(now=NOW + 5 * INTERVAL + SECOND) == 1
    assert check_blind(now=NOW + 6 * INTERVAL) == 0
    alert = Alert.objects.get()
    assert (alert.kind, alert.old_value, alert.new_value, alert.limit) == ("blind", NOW.isoformat(), "", "5")
    assert (alert.listing, alert.channel, alert.fact) == (watch.listing, watch.channel, "")


def test_its_own_interval_counts(watch):
    blind(watch.channel)
    ListingWatch.objects.update(interval_seconds=3_600)
    assert check_blind(now=NOW + 6 * INTERVAL) == 0
    assert check_blind(now=NOW + timedelta(hours=5, seconds=1)) == 1


def test_one_that_was_never_read_is_blind_since_it_was_added():
    watch = ListingWatchFactory(read_at=None)
    Listing.objects.update(created_at=NOW)
    blind(watch.channel)
    assert check_blind(now=NOW + 5 * INTERVAL) == 0
    assert check_blind(now=NOW + 6 * INTERVAL) == 1
    assert Alert.objects.get().old_value == ""


def test_a_good_reading_ends_it(watch):
    blind(watch.channel, cooldown_minutes=60)
    check_blind(now=NOW + 6 * INTERVAL)
    read(priced(1), NOW + 7 * INTERVAL)
    assert check_blind(now=NOW + 7 * INTERVAL + SECOND) == 0
    assert Alert.objects.get().cleared_at == NOW + 7 * INTERVAL + SECOND
    assert check_blind(now=NOW + 13 * INTERVAL) == 0
    alert = Alert.objects.get()
    assert (alert.count, alert.cleared_at, alert.status) == (2, None, "open")


@pytest.mark.parametrize("how", ["paused", "channel not watched", "removed", "a competitor's", "another channel"])
def test_what_nobody_wants_to_read_is_not_blind(watch, how):
    blind(ChannelFactory() if how == "another channel" else watch.channel)
    if how == "paused":
        ListingWatch.objects.update(is_paused=True)
    elif how == "channel not watched":
        type(watch.channel).objects.update(is_watched=False)
    elif how == "removed":
        Listing.objects.update(removed_at=NOW)
    elif how == "a competitor's":
        Listing.objects.update(ownership="competitor")
    assert check_blind(now=NOW + 9 * INTERVAL) == 0


def test_a_paused_listing_is_blind_no_more(watch):
    blind(watch.channel)
    check_blind(now=NOW + 6 * INTERVAL)
    ListingWatch.objects.update(is_paused=True)
    check_blind(now=NOW + 7 * INTERVAL)
    assert Alert.objects.get().status == "resolved"


RESTARTED = NOW + 2 * DAY  # when it is watched again, or at another pace


def resume(watch):
    set_paused(listings=Listing.objects.all(), is_paused=True, actor=None, now=NOW)
    set_paused(listings=Listing.objects.all(), is_paused=False, actor=None, now=RESTARTED)


def start_channel(watch):
    channels = type(watch.channel).objects.all()
    set_watched(channels=channels, is_watched=False, actor=None, now=NOW)
    set_watched(channels=channels, is_watched=True, actor=None, now=RESTARTED)


def shorten(watch):
    set_interval(listing=watch.listing, seconds=86_400, actor=None, now=NOW)
    set_interval(listing=watch.listing, seconds=None, actor=None, now=RESTARTED)


def restore(watch):
    remove_listings(listings=Listing.objects.all(), actor=None, now=NOW)
    restore_listings(listings=Listing.objects.all(), actor=None, now=RESTARTED)


@pytest.mark.parametrize("restart", [resume, start_channel, shorten, restore])
@pytest.mark.parametrize("was_read", [True, False])
def test_no_reading_is_missed_before_watching_began_again(watch, restart, was_read):
    ListingWatch.objects.update(read_at=NOW if was_read else None)
    blind(watch.channel)
    restart(watch)
    assert check_blind(now=RESTARTED + SECOND) == 0
    assert check_blind(now=RESTARTED + 5 * INTERVAL) == 0
    assert check_blind(now=RESTARTED + 5 * INTERVAL + SECOND) == 1
    assert Alert.objects.get().old_value == (NOW.isoformat() if was_read else "")


def test_the_channels_interval_that_is_shortened_counts_from_then_on(watch, admin_client):
    channel = watch.channel
    ListingWatch.objects.update(read_at=timezone.now() - DAY)
    type(channel).objects.update(interval_seconds=86_400)
    blind(channel)
    form = {"name": channel.name, "platform": channel.platform, "currency": "CNY", "time_zone": channel.time_zone}
    url = reverse("admin:catalog_channel_change", args=[channel.pk])
    assert admin_client.post(url, {**form, "interval_seconds": 300}).status_code == 302
    channel.refresh_from_db()
    assert channel.interval_seconds == 300
    assert check_blind(now=timezone.now()) == 0
    since = channel.watched_since
    assert admin_client.post(url, {**form, "interval_seconds": 300, "name": "另一家"}).status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.watched_since) == ("另一家", since)
    assert check_blind(now=since + 5 * INTERVAL + SECOND) == 1


@pytest.mark.parametrize("restart", [resume, start_channel, restore])
def test_one_that_is_still_not_read_is_not_over_because_watching_began_again(watch, restart):
    blind(watch.channel)
    check_blind(now=NOW + 6 * INTERVAL)
    restart(watch)
    check_blind(now=RESTARTED + SECOND)
    assert Alert.objects.get().cleared_at is None
    read(priced(1), RESTARTED + INTERVAL)
    check_blind(now=RESTARTED + INTERVAL)
    assert Alert.objects.get().cleared_at == RESTARTED + INTERVAL


def test_a_watch_that_came_later_than_its_listing_counts_from_then_on(watch):
    blind(watch.channel)
    ListingWatch.objects.all().delete()
    ensure_watches(now=RESTARTED)
    assert check_blind(now=RESTARTED + 5 * INTERVAL) == 0
    assert check_blind(now=RESTARTED + 5 * INTERVAL + SECOND) == 1


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param(7 * DAY + SECOND, 0, id="later"),
        pytest.param(7 * DAY, 1, id="exactly so many days ahead"),
        pytest.param(-DAY, 1, id="ended"),
        pytest.param(None, 0, id="not known"),
    ],
)
def test_an_authorisation_that_ends(left, expected):
    channel = ChannelFactory()
    ThresholdFactory(channel=channel, kind=Kind.AUTHORISATION, min_price=None, days=7)
    ends = {channel.pk: None if left is None else NOW + left, ChannelFactory().pk: NOW}
    assert check_authorisations(ends=ends, now=NOW) == expected
    assert check_authorisations(ends=ends, now=NOW + SECOND) in {0, 1 - expected}
    if expected:
        alert = Alert.objects.get()
        assert (alert.channel, alert.listing, alert.new_value, alert.limit) == (
            channel, None, (NOW + left).isoformat(), "7",
        )  # fmt: skip


def test_a_renewed_authorisation_ends_the_alert_and_an_unknown_one_does_not():
    channel = ChannelFactory()
    ThresholdFactory(channel=channel, kind=Kind.AUTHORISATION, min_price=None, days=7)
    check_authorisations(ends={channel.pk: NOW + DAY}, now=NOW)
    check_authorisations(ends={channel.pk: None}, now=NOW + SECOND)
    check_authorisations(ends={}, now=NOW + SECOND)
    assert Alert.objects.get().cleared_at is None
    check_authorisations(ends={channel.pk: NOW + 365 * DAY}, now=NOW + SECOND)
    assert Alert.objects.get().status == "resolved"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"token_expires_at": NOW + DAY}, NOW + DAY, id="its end"),
        pytest.param({"token_expires_at": NOW + DAY, "revoked_cause": "session-invalid"}, NOW, id="revoked: now"),
        pytest.param({"token_expires_at": NOW + DAY, "access_token": ""}, None, id="not authorised yet"),
        pytest.param({}, None, id="not known"),
    ],
)
def test_when_authorisations_end(fields, expected):
    credential = CredentialFactory(**fields)
    assert authorisation_ends(NOW) == {credential.channel_id: expected}


def statements(look):
    with CaptureQueriesContext(connection) as captured:
        look()
    return len(captured.captured_queries)


def test_looking_for_blind_listings_costs_the_same_however_many_thresholds_and_channels_there_are(watch):
    blind(watch.channel)
    first = statements(lambda: check_blind(now=NOW + 6 * INTERVAL))
    assert Alert.objects.count() == 1
    sku = SkuFactory(product=ProductFactory(brand="山野"))
    watches = [ListingWatchFactory(read_at=NOW, listing__sku=sku) for _number in range(3)]
    Listing.objects.update(created_at=NOW - DAY)
    subjects = [{"product": sku.product}, {"brand": "山野"}, {"listing": watches[0].listing}]
    for subject in subjects:
        blind(None, **subject)
        blind(None, intervals=9, **subject)
    for each in watches:
        blind(each.channel)
    assert statements(lambda: check_blind(now=NOW + 7 * INTERVAL)) == first
    assert Alert.objects.count() == 1 + 3 + 3 + 1 + 3
    assert statements(lambda: check_blind(now=NOW + 7 * INTERVAL)) < first
    opened = statements(lambda: check_blind(now=NOW + 10 * INTERVAL))
    assert (Alert.objects.count(), opened) == (11 + 7, first)
    ListingWatch.objects.update(read_at=NOW + 10 * INTERVAL)
    ended = statements(lambda: check_blind(now=NOW + 10 * INTERVAL))
    assert not Alert.objects.filter(cleared_at=None).exists()
    Alert.objects.exclude(threshold__channel=watch.channel).delete()
    Alert.objects.update(cleared_at=None, status="open")
    assert statements(lambda: check_blind(now=NOW + 10 * INTERVAL)) == ended


@pytest.mark.parametrize(
    ("subject", "ownership", "expected"),
    [
        pytest.param("product", "own", {"first"}, id="product"),
        pytest.param("product", "", {"first", "rival"}, id="product, both"),
        pytest.param("brand", "own", {"second"}, id="brand"),
        pytest.param("listing", "own", {"second"}, id="listing"),
        pytest.param("listing", "competitor", set(), id="listing of the other owner"),
        pytest.param("channel", "competitor", {"rival"}, id="channel, competitors"),
    ],
)
def test_of_what_a_threshold_is_about_listings_are_blind(watch, subject, ownership, expected):
    channel = watch.channel
    skus = [SkuFactory(product=ProductFactory(brand=brand)) for brand in ("", "暖居")]
    made = {
        "first": ListingFactory(channel=channel, sku=skus[0]),
        "second": ListingFactory(channel=channel, sku=skus[1]),
        "rival": ListingFactory(channel=channel, sku=skus[0], ownership="competitor"),
    }
    subjects = {
        "product": {"product": skus[0].product},
        "brand": {"brand": "暖居"},
        "listing": {"listing": made["second"]},
        "channel": {"channel": channel},
    }
    ensure_watches(now=NOW)
    ListingWatch.objects.update(read_at=NOW, watched_since=NOW)
    Listing.objects.update(created_at=NOW - DAY)
    blind(**{"channel": None, "ownership": ownership, **subjects[subject]})
    blind(ChannelFactory(), intervals=2)
    check_blind(now=NOW + 6 * INTERVAL)
    names = {listing.pk: name for name, listing in made.items()}
    assert {names[pk] for pk in Alert.objects.values_list("listing", flat=True)} == expected


def test_looking_at_authorisations_costs_the_same_however_many_there_are():
    costs = []
    for count in (1, 6):
        channels = [ChannelFactory() for _number in range(count)]
        for channel in channels:
            ThresholdFactory(channel=channel, kind=Kind.AUTHORISATION, min_price=None, days=7)
        ends = {channel.pk: NOW + DAY for channel in channels}
        renewed = dict.fromkeys(ends, NOW + 90 * DAY)
        costs.append(statements(lambda ends=ends: check_authorisations(ends=ends, now=NOW)))
        costs.append(statements(lambda ends=renewed: check_authorisations(ends=ends, now=NOW)))
        assert Alert.objects.filter(channel__in=channels, status="resolved").count() == count
    assert costs[:2] == costs[2:]


def test_alerts_that_no_threshold_stands_for_end():
    sku = SkuFactory(product=ProductFactory(brand="山野"))
    channel = ChannelFactory()

    def alert(**fields):
        listing = ListingFactory(channel=channel, sku=sku)
        return AlertFactory(listing=listing, threshold=ThresholdFactory(**{"channel": channel, **fields}))

    kept = [
        alert(),
        alert(channel=None, product=sku.product),
        alert(channel=None, brand="山野"),
        alert(ownership=""),
    ]
    own = alert()
    Threshold.objects.filter(pk=own.threshold_id).update(channel=None, listing=own.listing)
    gone = [
        alert(is_active=False),
        alert(kind=Kind.PRICE_RANGE),
        alert(channel=ChannelFactory()),
        alert(channel=None, product=ProductFactory()),
        alert(channel=None, brand="暖居"),
        alert(ownership="competitor"),
        alert(),
        alert(),
    ]
    Threshold.objects.filter(pk=gone[1].threshold_id).update(kind=Kind.SOLD_OUT)
    gone[-1].threshold.delete()
    Listing.objects.filter(pk=gone[-2].listing_id).update(removed_at=NOW)
    assert end_abandoned(now=NOW) == len(gone)
    assert set(Alert.objects.filter(cleared_at__isnull=True)) == {*kept, own}
    assert end_abandoned(now=NOW) == 0


@pytest.mark.django_db(transaction=True)
def test_workers_who_look_together_open_one_alert_each(watch):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's test database is in memory, where writers do not wait for each other")
    for _each in range(5):
        ListingWatchFactory(listing__channel=watch.channel, read_at=NOW)
    Listing.objects.update(created_at=NOW - DAY)
    blind(watch.channel)
    together = Barrier(3)

    def look(_worker):
        together.wait(20)
        try:
            return check_blind(now=NOW + 6 * INTERVAL)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(look, range(3))) == 6
    assert Alert.objects.count() == 6
    assert set(Alert.objects.values_list("count", flat=True)) == {1}
