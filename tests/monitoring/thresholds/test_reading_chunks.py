"""What it costs to judge a chunk of readings, what can go wrong meanwhile, and how soon the next reading is due."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext

from catalog.models import Listing, Product
from integrations.connectors.base import Reading, ReadOutcome
from monitoring.models import Alert, ListingWatch, Notification, Observation, Target, Threshold
from monitoring.services import claim_due, ensure_watches, open_run, record, recording
from monitoring.services.alerts import open_alerts
from monitoring.services.thresholds import check_readings
from tests.factories import (
    NOW,
    AlertFactory,
    ChannelFactory,
    DeliveryFactory,
    ListingFactory,
    ProductFactory,
    RouteFactory,
)
from tests.monitoring.thresholds.reading import DAY, INTERVAL, of, priced, read, read_each, stocked, threshold, told

pytestmark = pytest.mark.django_db
Kind = Threshold.Kind


# --- Cost, and what can go wrong ------------------------------------------------------------------------------------


def chunk(channel, count, now):
    Listing.objects.bulk_create(ListingFactory.build(channel=channel) for _ in range(count))
    ensure_watches(now=now)


def captured_read(facts, now, channel):
    with CaptureQueriesContext(connection) as captured:
        read(facts, now, channel=channel)
    return captured.captured_queries


def test_without_a_threshold_a_chunk_costs_one_query_more(watch):
    def about(now):
        queries = captured_read(priced(268), now, watch.channel)
        return [each for each in queries if "monitoring_threshold" in each["sql"] or "_alert" in each["sql"]]

    assert len(about(NOW)) == 1
    threshold()  # of another channel
    assert len(about(NOW + INTERVAL)) == 2


def test_the_number_of_statements_does_not_depend_on_how_many_readings_there_are():
    costs = []
    for count in (2, 12):
        channel = ChannelFactory()
        chunk(channel, count, NOW)
        for listing in channel.listings.all()[: count // 2]:
            of(listing, min_price=None, kind=Kind.PRICE_CHANGE, percent=10, reference="baseline", baseline_at=NOW)
        threshold(channel=channel)
        threshold(channel=channel, min_price=None, kind=Kind.STOCK_AT_MOST, stock=5)
        threshold(
            channel=channel, min_price=None, kind=Kind.PRICE_CHANGE, percent=10, reference="median", days=7,
        )  # fmt: skip
        read(stocked(9), NOW, channel=channel)
        costs.append(len(captured_read(priced(100, stock=2), NOW + INTERVAL, channel)))
        assert Alert.objects.filter(channel=channel).count() == 3 * count + count // 2
    assert costs[0] == costs[1]


def test_of_thresholds_of_goods_only_those_of_the_chunk_are_loaded(shop):
    channel, first, second, *_others = shop
    wanted = {
        threshold(channel=None, product=first.sku.product).pk,
        threshold(channel=None, brand="暖居").pk,
        threshold(channel=channel).pk,
    }
    threshold(channel=None, product=ProductFactory(brand=""))
    threshold(channel=None, brand="别家")
    threshold()
    threshold(channel=None, listing=ListingFactory())
    Product.objects.filter(pk=first.sku.product_id).update(brand="")
    loaded = []

    def note(instance, **_kwargs):
        loaded.append(instance.pk)

    post_init.connect(note, sender=Threshold)
    try:
        read(priced(189), NOW, channel=channel)
    finally:
        post_init.disconnect(note, sender=Threshold)
    assert sorted(loaded) == sorted(wanted)
    assert set(Alert.objects.values_list("threshold", "listing")) >= {
        (min(wanted), first.pk), (min(wanted) + 1, second.pk),
    }  # fmt: skip


def test_a_question_for_baselines_does_not_grow_with_the_thresholds():
    asked = []
    for count in (1, 9):
        channel = ChannelFactory()
        chunk(channel, 2, NOW)
        for _number in range(count):
            threshold(
                channel=channel, min_price=None, kind=Kind.PRICE_CHANGE, percent=10, reference="baseline",
                baseline_at=NOW,
            )  # fmt: skip
        read(priced(100), NOW, channel=channel)
        queries = captured_read(priced(50), NOW + INTERVAL, channel)
        asked.append([each["sql"].count('FROM "monitoring_observation"') for each in queries])
        assert Alert.objects.filter(channel=channel).count() == 2 * count
    assert asked[0] == asked[1]


def test_each_comparison_begins_at_its_own_time_with_its_own_price():
    channel = ChannelFactory()
    chunk(channel, 2, NOW)
    first, second = channel.listings.order_by("pk")
    change = {"min_price": None, "kind": Kind.PRICE_CHANGE, "percent": 10, "reference": "baseline"}
    threshold(channel=channel, baseline_at=NOW, **change)
    threshold(channel=channel, baseline_at=NOW + INTERVAL + timedelta(microseconds=1), **change)
    of(first, baseline_at=NOW - DAY, price="live_price", **change)
    for number, prices in enumerate([(100, 200), (50, 300), (70, 400)]):
        facts = {
            listing.pk: priced(price, live_price=Decimal(price + 1))
            for listing, price in zip((first, second), prices, strict=True)
        }
        Alert.objects.all().delete()
        read(facts, NOW + number * INTERVAL, channel=channel)
    assert sorted(Alert.objects.values_list("listing", "fact", "old_value", "new_value")) == [
        (first.pk, "list_price", "100.00", "70.00"),
        (first.pk, "list_price", "50.00", "70.00"),
        (first.pk, "live_price", "101.00", "71.00"),
        (second.pk, "list_price", "200.00", "400.00"),
        (second.pk, "list_price", "300.00", "400.00"),
    ]


def test_alerts_that_come_back_cost_the_same_however_many_they_are():
    RouteFactory(tells_end=True, least_severity="info")
    costs = []
    for count in (3, 12):
        channel = ChannelFactory()
        chunk(channel, count, NOW)
        threshold(channel=channel, cooldown_minutes=60)
        for number, price in enumerate((189, 250)):
            read(priced(price), NOW + number * INTERVAL, channel=channel)
            for target in Target.objects.all():
                target.notifications.update(delivery=DeliveryFactory(target=target))
        costs.append(len(captured_read(priced(188), NOW + 2 * INTERVAL, channel)))
        assert Notification.objects.filter(delivery=None, event="opened", alert__channel=channel).count() == count
    assert costs[0] == costs[1]


def test_an_unchanged_chunk_writes_no_alert_and_looks_at_no_history(watch):
    threshold(channel=watch.channel, min_price=None, kind=Kind.VOLATILITY, percent=10, days=7)
    threshold(channel=watch.channel, cooldown_minutes=60)
    read_each([priced(189), priced(189)])
    queries = captured_read(priced(189), NOW + 2 * INTERVAL, watch.channel)
    assert [query["sql"] for query in queries if "_observation" in query["sql"]] == []
    assert [
        query["sql"]
        for query in queries
        if "_alert" in query["sql"] and not query["sql"].startswith(("SELECT", "WITH"))
    ] == []


def test_a_reading_that_was_stored_already_changes_nothing(watch):
    threshold(channel=watch.channel, cooldown_minutes=60)
    run, token = open_run(channel_id=watch.channel_id, now=NOW), uuid4()
    claims = {claim.listing_id: claim for claim in claim_due(run=run, limit=9, token=token, now=NOW)}
    readings = [Reading(pk, ReadOutcome.READ, priced(189)) for pk in claims]
    for _again in range(2):
        record(run=run, token=token, claims=claims, readings=readings, now=NOW)
    assert [row[4] for row in told()] == [1]


def test_an_alert_that_another_worker_opened_meanwhile_is_left_alone(watch):
    made = threshold(channel=watch.channel)
    fields = {"threshold": made, "listing": watch.listing}
    AlertFactory(**fields)
    assert open_alerts(alerts=[AlertFactory.build(**fields, channel=watch.channel)], now=NOW) == 0
    assert Alert.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_leaves_neither_readings_nor_alerts(watch, monkeypatch):
    threshold(channel=watch.channel)
    real = check_readings

    def dies(**kwargs):
        real(**kwargs)
        raise SystemExit

    monkeypatch.setattr(recording, "check_readings", dies)
    with pytest.raises(SystemExit):
        read(priced(189), NOW)
    assert (Observation.objects.count(), Alert.objects.count()) == (0, 0)
    assert ListingWatch.objects.get().read_at is None
    monkeypatch.setattr(recording, "check_readings", real)
    read(priced(189), NOW)
    assert (Observation.objects.count(), Alert.objects.count()) == (1, 1)


def test_a_late_reading_is_not_judged(watch):
    threshold(channel=watch.channel)
    read(priced(268), NOW)
    read(priced(189), NOW - timedelta(seconds=1))
    assert told() == []


# --- Near a limit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "seconds", "expected"),
    [
        pytest.param(209, 300, 75, id="near: a quarter"),
        pytest.param(211, 300, 300, id="not near"),
        pytest.param(209, 60, 30, id="never under 30 seconds"),
        pytest.param(209, 30, 30, id="as often as can be already"),
    ],
)
def test_near_a_limit_a_listing_is_read_more_often(watch, price, seconds, expected):
    threshold(channel=watch.channel)
    ListingWatch.objects.update(interval_seconds=seconds)
    read(priced(price), NOW)
    assert ListingWatch.objects.get().next_due_at == NOW + timedelta(seconds=expected)


def test_near_listings_of_a_chunk_cost_one_statement_more():
    channel = ChannelFactory()
    chunk(channel, 20, NOW)
    threshold(channel=channel)
    far = len(captured_read(priced(260), NOW, channel))
    assert len(captured_read(priced(205), NOW + INTERVAL, channel)) <= far + 2  # what is held, and the update
