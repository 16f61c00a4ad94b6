from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from catalog.facts import Facts, ShelfState
from catalog.models import Listing, Product
from integrations.connectors.base import Reading, ReadOutcome
from monitoring.models import Alert, ListingWatch, Notification, Observation, Target, Threshold
from monitoring.services import acknowledge, claim_due, ensure_watches, open_run, record, recording, resolve
from monitoring.services.alerts import open_alerts
from monitoring.services.thresholds import check_readings
from monitoring.services.thresholds.book import Book, last_alerts
from monitoring.services.thresholds.figures import rule_of
from monitoring.thresholds.rules import Crossing, Move
from tests.factories import (
    NOW,
    AlertFactory,
    ChannelFactory,
    DeliveryFactory,
    ListingFactory,
    ListingWatchFactory,
    ProductFactory,
    RouteFactory,
    SkuFactory,
    UserFactory,
)
from tests.monitoring.thresholds.reading import INTERVAL, priced, read, read_each, stocked, threshold, told

pytestmark = pytest.mark.django_db
Kind = Threshold.Kind
Status = Alert.Status
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def watch():
    return ListingWatchFactory()


@pytest.fixture
def listing(watch):
    return watch.listing


def of(listing, **fields):
    return threshold(channel=None, listing=listing, **fields)


@pytest.mark.parametrize(
    ("fields", "facts", "expected"),
    [
        pytest.param(
            {"min_price": 200}, [priced(268), priced(189)], [("price_range", "268.00", "189.00", "200.00", 1, False)],
            id="price below",
        ),
        pytest.param(
            {"min_price": None, "max_price": "0.5"}, [priced("0.1234"), priced("0.5001")],
            [("price_range", "0.1234", "0.5001", "0.50", 1, False)], id="price above, in parts of a cent",
        ),
        pytest.param(
            {"min_price": 200, "price": "live_price"}, [priced(100, live_price=Decimal(250))], [], id="another price",
        ),
        pytest.param(
            {"kind": Kind.PRICE_CHANGE, "percent": 10, "reference": "previous"},
            [priced(100), priced(None), priced(120)],
            [("price_change", "100.00", "120.00", "10.00", 1, False)], id="change against the last known price",
        ),
        pytest.param(
            {"kind": Kind.PRICE_CHANGE, "percent": 10, "reference": "previous"},
            [priced(100), None, None, None, None, None, priced(120)],
            [("price_change", "100.00", "120.00", "10.00", 1, False)], id="change across a gap",
        ),
        pytest.param(
            {"kind": Kind.PRICE_CHANGE, "percent": 10, "reference": "baseline", "baseline_at": NOW + INTERVAL},
            [priced(50), priced(100), priced(105), priced(110)],
            [("price_change", "100.00", "110.00", "10.00", 1, False)], id="change against a baseline",
        ),
        pytest.param(
            {"kind": Kind.PRICE_CHANGE, "percent": 10, "reference": "median", "days": 7},
            [priced(100), priced(100), priced(120), priced(100), priced(108), priced(112)],
            [
                ("price_change", "100.00", "120.00", "10.00", 1, True),
                ("price_change", "100.00", "112.00", "10.00", 1, False),
            ],
            id="change against the median",
        ),
        pytest.param(
            {"kind": Kind.VOLATILITY, "percent": 20, "days": 7}, [priced(100), priced(110), priced(None), priced(120)],
            [("volatility", "100.00", "120.00", "20.00", 1, False)], id="swings",
        ),
        pytest.param(
            {"kind": Kind.STOCK_AT_MOST, "stock": 5}, [stocked(9), stocked(5), stocked(0), stocked(6)],
            [("stock_at_most", "9", "5", "5", 1, True)], id="stock",
        ),
        pytest.param(
            {"kind": Kind.SOLD_OUT}, [stocked(4), stocked(0)], [("sold_out", "4", "0", "", 1, False)], id="sold out",
        ),
        pytest.param(
            {"kind": Kind.RESTOCKED}, [stocked(0), priced(1, stock=None, shelf_state=ShelfState.UNKNOWN), stocked(3)],
            [("restocked", "0", "3", "", 1, False)], id="restocked, unknown between",
        ),
        pytest.param(
            {"kind": Kind.OFF_SHELF}, [stocked(4), stocked(4, ShelfState.OFF_SHELF)],
            [("off_shelf", "on_shelf", "off_shelf", "", 1, False)], id="off the shelf",
        ),
    ],
)  # fmt: skip
def test_a_crossing_becomes_an_alert(listing, fields, facts, expected):
    of(listing, **{"min_price": None, **fields})
    read_each(facts)
    assert told() == expected


def test_an_alert_holds_what_it_is_about(listing):
    rule = of(listing, severity="critical")
    at = read_each([priced(268), priced(189)])
    alert = Alert.objects.get()
    assert (alert.threshold, alert.listing, alert.channel) == (rule, listing, listing.channel)
    assert (alert.severity, alert.status, alert.fact, alert.currency) == ("critical", "open", "list_price", "CNY")
    assert alert.opened_at == alert.last_at == alert.updated_at == at


def test_it_fires_once_while_the_condition_lasts(listing):
    of(listing)
    read_each([priced(189), priced(188), priced(188), priced(187)])
    assert told() == [("price_range", "", "189.00", "200.00", 1, False)]


def test_a_threshold_that_is_true_already_fires_at_the_next_reading_though_nothing_changed(listing):
    read(priced(189), NOW)
    made = of(listing)
    Threshold.objects.filter(pk=made.pk).update(updated_at=NOW + INTERVAL / 2)
    assert read(priced(189), NOW + INTERVAL).changed == 0
    assert told() == [("price_range", "189.00", "189.00", "200.00", 1, False)]
    read(priced(189), NOW + 2 * INTERVAL)
    assert len(told()) == 1


BACKWARD = [
    {"kind": Kind.PRICE_CHANGE, "percent": 10, "reference": "baseline", "baseline_at": NOW},
    {"kind": Kind.PRICE_CHANGE, "percent": 10, "reference": "median", "days": 3},
    {"kind": Kind.VOLATILITY, "percent": 10, "days": 3},
]


@pytest.mark.parametrize("fields", BACKWARD)
def test_the_same_of_a_rule_that_looks_back(listing, fields):
    read_each([priced(100), priced(120)])
    made = of(listing, min_price=None, **fields)
    Threshold.objects.filter(pk=made.pk).update(updated_at=NOW + 1.5 * INTERVAL)
    read(priced(120), NOW + 2 * INTERVAL)
    read(priced(120), NOW + 3 * INTERVAL)
    assert [row[:3] for row in told()] == [(fields["kind"], "100.00", "120.00")]


@pytest.mark.parametrize("fields", BACKWARD)
@pytest.mark.parametrize("untold", [1, 3])
def test_where_the_first_reading_does_not_tell_the_price_the_next_one_that_does_is_the_first(listing, fields, untold):
    read_each([priced(100), priced(100), priced(120)])
    made = of(listing, min_price=None, **fields)
    Threshold.objects.filter(pk=made.pk).update(updated_at=NOW + 2.5 * INTERVAL)
    at = read_each([priced(None)] * untold, start=NOW + 3 * INTERVAL)
    assert told() == []
    read_each([priced(120), priced(None), priced(120)], start=at + INTERVAL)
    assert [row[:3] for row in told()] == [(fields["kind"], "100.00", "120.00")]


@pytest.mark.parametrize("fields", BACKWARD)
@pytest.mark.parametrize("how", ["mapped", "made our own", "its product got the brand"])
def test_what_a_threshold_is_about_later_is_judged_at_the_next_reading(listing, fields, how, admin_client):
    sku = SkuFactory(product=ProductFactory(brand="山野"))
    ownership = "competitor" if how == "made our own" else "own"
    Listing.objects.update(sku=None if how == "mapped" else sku, ownership=ownership)
    is_branded = how == "its product got the brand"
    subject = {"brand": "暖居"} if is_branded else {"product": sku.product}
    start = timezone.now() - HOUR
    since = {"baseline_at": start} if "baseline_at" in fields else {}
    threshold(channel=None, min_price=None, **subject, **{**fields, **since})
    for model in (Threshold, Product):
        model.objects.update(updated_at=start - DAY)
    read_each([priced(100), priced(100), priced(120)], start=start)
    if is_branded:
        sku.product.brand = "暖居"
        sku.product.save()
    else:
        given = {"title": listing.title, "ownership": "own", "sku": sku.pk, "pack_factor": 1, "outer_id": ""}
        url = reverse("admin:catalog_listing_change", args=[listing.pk])
        assert admin_client.post(url, given).status_code == 302
    assert told() == []
    read_each([priced(120), priced(120)], start=timezone.now())
    assert [row[:3] for row in told()] == [(fields["kind"], "100.00", "120.00")]


def test_a_changed_limit_is_judged_at_the_next_reading(listing):
    made = of(listing)
    read(priced(250), NOW)
    made.min_price = 260
    made.save()
    Threshold.objects.filter(pk=made.pk).update(updated_at=NOW + INTERVAL / 2)
    read(priced(250), NOW + INTERVAL)
    made.min_price = 240
    made.save()
    read(priced(250), NOW + 2 * INTERVAL)
    assert told() == [("price_range", "250.00", "250.00", "260.00", 1, True)]


UNREAD = [
    pytest.param(ReadOutcome.FAILED, None, id="failed"),
    pytest.param(ReadOutcome.REFUSED, None, id="403"),
    pytest.param(ReadOutcome.MISSING, None, id="missing"),
    pytest.param(ReadOutcome.READ, Facts(), id="no fact at all"),
    pytest.param(ReadOutcome.READ, priced(None, stock=None, shelf_state=ShelfState.UNKNOWN), id="not these facts"),
    pytest.param(ReadOutcome.READ, Facts(promotion_price=Decimal(1)), id="only another fact"),
]


@pytest.mark.parametrize(("outcome", "facts"), UNREAD)
def test_what_is_not_known_opens_no_alert(listing, outcome, facts):
    for kind in (Kind.SOLD_OUT, Kind.OFF_SHELF, Kind.RESTOCKED):
        of(listing, kind=kind, min_price=None)
    of(listing, kind=Kind.STOCK_AT_MOST, stock=5, min_price=None)
    of(listing)
    read(stocked(37), NOW)
    for number in range(1, 6):
        read(facts, NOW + number * INTERVAL, outcome=outcome, cause="permission")
    assert told() == []


@pytest.mark.parametrize(("outcome", "facts"), UNREAD)
def test_what_is_not_known_ends_no_alert(listing, outcome, facts):
    of(listing, kind=Kind.SOLD_OUT, min_price=None)
    of(listing)
    read(stocked(0)._replace(list_price=Decimal(189)), NOW)
    for number in range(1, 6):
        read(facts, NOW + number * INTERVAL, outcome=outcome, cause="permission")
    read(stocked(0)._replace(list_price=Decimal(189)), NOW + 9 * INTERVAL)
    assert [(row[0], row[5]) for row in told()] == [("sold_out", False), ("price_range", False)]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(stocked(0, ShelfState.OFF_SHELF), id="off the shelf with nothing left"),
        pytest.param(stocked(0, ShelfState.UNKNOWN), id="shelf state unknown"),
        pytest.param(stocked(None), id="stock unknown"),
        pytest.param(stocked(3, ShelfState.SOLD_OUT), id="a contradiction"),
        pytest.param(stocked(1), id="one left"),
    ],
)
def test_only_a_reading_that_says_so_is_sold_out(listing, facts):
    of(listing, kind=Kind.SOLD_OUT, min_price=None)
    read_each([stocked(9), facts, None, None, None, None, facts])
    assert told() == []


def test_an_end_by_the_facts_resolves_whatever_people_did_with_the_alert(listing):
    of(listing)
    read(priced(189), NOW)
    Alert.objects.update(status=Status.SNOOZED, snoozed_until=NOW + DAY)
    at = read_each([priced(189), priced(200)], start=NOW + INTERVAL)
    alert = Alert.objects.get()
    assert (alert.status, alert.cleared_at, alert.resolved_at, alert.resolved_by) == ("resolved", at, at, None)


def test_one_resolved_by_hand_stays_quiet_until_it_was_over_once(listing):
    of(listing)
    read(priced(189), NOW)
    person = UserFactory()
    resolve(alerts=Alert.objects.all(), actor=person, now=NOW + timedelta(minutes=1))
    read_each([priced(189), priced(188)], start=NOW + INTERVAL)
    alert = Alert.objects.get()
    assert (alert.status, alert.cleared_at, alert.resolved_by) == ("resolved", None, person)
    at = read_each([priced(250), priced(189)], start=NOW + 3 * INTERVAL)
    alert.refresh_from_db()
    assert (alert.cleared_at, alert.resolved_at) == (at - INTERVAL, NOW + timedelta(minutes=1))
    assert [row[5] for row in told()] == [True, False]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"status": "open"}, "open", id="open"),
        pytest.param({"status": "acknowledged", "acknowledged_at": NOW}, "acknowledged", id="acknowledged"),
        pytest.param({"status": "snoozed", "snoozed_until": NOW + DAY}, "snoozed", id="snoozed"),
        pytest.param({"status": "snoozed", "snoozed_until": NOW + INTERVAL}, "open", id="snoozed until before"),
        pytest.param({"status": "resolved", "resolved_at": NOW, "resolved_by": "somebody"}, "open", id="resolved"),
    ],
)
def test_one_that_comes_back_within_the_cooldown_is_the_same_once_more(listing, before, after):
    of(listing, cooldown_minutes=60)
    read(priced(189), NOW)
    if "resolved_by" in before:
        before = {**before, "resolved_by": UserFactory()}
    Alert.objects.update(**before)
    at = read_each([priced(250), priced(180)], start=NOW + INTERVAL)
    assert told() == [("price_range", "250.00", "180.00", "200.00", 2, False)]
    alert = Alert.objects.get()
    assert (alert.status, alert.opened_at, alert.last_at, alert.updated_at) == (after, NOW, at, at)
    assert (alert.resolved_at, alert.resolved_by) == (None, None)


def test_what_somebody_did_while_a_reading_was_judged_stays(listing):
    rule = of(listing, min_price=None, kind=Kind.PRICE_CHANGE, percent=10, reference="previous", cooldown_minutes=60)
    at = read_each([priced(100), priced(120)]) + INTERVAL
    (alert,) = last_alerts(Alert.objects.all(), "listing_id", [rule], at).values()
    acknowledge(alerts=Alert.objects.all(), actor=UserFactory(), now=at)
    book = Book(now=at)
    book.enter(
        rule, rule_of(rule), listing.channel_id, listing.pk, Crossing(Move.AGAIN, 1_200_000, 1_400_000, 1_000), alert
    )
    book.close()
    stored = Alert.objects.get()
    assert (stored.status, stored.acknowledged_at, stored.new_value, stored.count) == (
        "acknowledged", at, "140.00", 2,
    )  # fmt: skip


def test_whoever_was_told_that_it_is_over_is_told_when_it_is_the_same_once_more(listing):
    of(listing, cooldown_minutes=60)
    told, deaf = RouteFactory(tells_end=True).target, RouteFactory(after_minutes=30).target
    news = Notification.objects.order_by("target", "event")

    def send():
        for target in (told, deaf):
            waiting = news.filter(target=target, delivery=None, dropped_cause="").exclude(event="escalated")
            waiting.update(delivery=DeliveryFactory(target=target))

    read(priced(189), NOW)
    send()
    read(priced(250), NOW + INTERVAL)
    assert [row.event for row in news.filter(delivery=None)] == ["ended", "escalated"]
    read(priced(188), NOW + 2 * INTERVAL)
    assert [row.event for row in news.filter(delivery=None)] == ["escalated"], "nobody had been told of the end"
    read(priced(250), NOW + 3 * INTERVAL)
    send()
    news.filter(event="escalated").update(dropped_cause="over")
    at = NOW + 4 * INTERVAL
    read(priced(187), at)
    assert [(row.target, row.event, row.due_at, row.dropped_cause) for row in news.filter(delivery=None)] == [
        (told, "opened", at, ""),
        (deaf, "escalated", at + timedelta(minutes=30), ""),
    ]
    send()
    read(priced(187), NOW + 5 * INTERVAL)
    assert [row.event for row in news.filter(delivery=None)] == ["escalated"]


def test_after_the_cooldown_it_is_a_new_alert(listing):
    of(listing, cooldown_minutes=10)
    read_each([priced(189), priced(250), priced(180)])
    assert [row[4:] for row in told()] == [(1, True), (1, False)]


def test_flapping_is_one_alert_that_counts(listing):
    of(listing, cooldown_minutes=60)
    read_each([priced(189), priced(250)] * 20)
    assert told() == [("price_range", "250.00", "189.00", "200.00", 20, True)]


# --- What it is about -----------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("subject", "ownership", "expected"),
    [
        pytest.param("channel", "own", {"first", "second", "unmapped"}, id="channel"),
        pytest.param("channel", "", {"first", "second", "rival", "unmapped"}, id="channel, both"),
        pytest.param("channel", "competitor", {"rival"}, id="channel, competitors"),
        pytest.param("product", "own", {"first"}, id="product"),
        pytest.param("product", "", {"first", "rival"}, id="product, both"),
        pytest.param("brand", "own", {"second"}, id="brand"),
        pytest.param("listing", "own", {"second"}, id="listing"),
        pytest.param("listing", "competitor", set(), id="listing of the other owner"),
        pytest.param("another channel", "", set(), id="another channel"),
    ],
)
def test_a_threshold_judges_the_listings_of_its_subject(shop, subject, ownership, expected):
    channel, first, second, rival, unmapped = shop
    subjects = {
        "channel": {"channel": channel},
        "product": {"channel": None, "product": first.sku.product},
        "brand": {"channel": None, "brand": "暖居"},
        "listing": {"channel": None, "listing": second},
        "another channel": {},
    }
    threshold(ownership=ownership, **subjects[subject])
    read(priced(189), NOW, channel=channel)
    names = {first.pk: "first", second.pk: "second", rival.pk: "rival", unmapped.pk: "unmapped"}
    assert {names[pk] for pk in Alert.objects.values_list("listing", flat=True)} == expected


def test_amounts_are_of_one_currency_and_percentages_of_any():
    channel = ChannelFactory(currency="USD")
    ListingWatchFactory(listing__channel=channel)
    product = ProductFactory()
    Listing.objects.update(sku=SkuFactory(product=product))
    threshold(channel=None, product=product, currency="CNY")
    threshold(
        channel=None, product=product, currency="CNY", min_price=None, kind=Kind.PRICE_CHANGE, percent=10,
        reference="previous",
    )  # fmt: skip
    read_each([priced(100), priced(50)])
    assert [(alert.kind, alert.currency) for alert in Alert.objects.all()] == [("price_change", "USD")]


@pytest.mark.parametrize("fields", [{"is_active": False}, {"kind": Kind.BLIND, "min_price": None, "intervals": 3}])
def test_what_is_switched_off_or_judged_by_the_clock_is_left_alone(listing, fields):
    of(listing, **fields)
    read_each([priced(189), priced(250), priced(189)])
    assert told() == []


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


# --- A threshold that was made into another rule ----------------------------------------------------------------------

RULES: list[dict[str, Any]] = [
    {"kind": Kind.PRICE_RANGE, "min_price": 300},
    {"kind": Kind.PRICE_RANGE, "min_price": 300, "price": "live_price"},
    {"kind": Kind.PRICE_CHANGE, "percent": 5, "reference": "previous"},
    {"kind": Kind.VOLATILITY, "percent": 5, "days": 7},
    {"kind": Kind.STOCK_AT_MOST, "stock": 5},
    {"kind": Kind.SOLD_OUT},
    {"kind": Kind.OFF_SHELF},
    {"kind": Kind.BLIND, "intervals": 3},
]


# What an alert of a kind holds: fact, before, now.
HELD = {
    Kind.PRICE_RANGE: ("list_price", "268.00", "189.00"),
    Kind.PRICE_CHANGE: ("list_price", "268.00", "189.00"),
    Kind.VOLATILITY: ("list_price", "189.00", "268.00"),
    Kind.STOCK_AT_MOST: ("stock", "9", "3"),
    Kind.SOLD_OUT: ("stock", "9", "0"),
    Kind.OFF_SHELF: ("stock", "on_shelf", "off_shelf"),
    Kind.BLIND: ("", "2026-11-20T10:00:00+00:00", ""),
}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [(one, other) for one in RULES for other in RULES if one is not other and other["kind"] != Kind.BLIND],
    ids=lambda rule: f"{rule['kind']} {rule.get('price', '')}".strip(),
)
@pytest.mark.parametrize("was_over", [False, True])
def test_what_an_earlier_rule_opened_says_nothing_about_a_later_one(listing, earlier, later, was_over):
    fact, old, new = HELD[earlier["kind"]]
    fact = earlier.get("price", fact)
    made = of(listing, **later, cooldown_minutes=60)
    alert = AlertFactory(
        threshold=made, listing=listing, channel=listing.channel, kind=earlier["kind"], fact=fact, old_value=old,
        new_value=new,
    )  # fmt: skip
    if was_over:
        Alert.objects.filter(pk=alert.pk).update(cleared_at=NOW, status=Status.RESOLVED, resolved_at=NOW)
    read(Facts(Decimal(100), Decimal(100), None, 0, ShelfState.SOLD_OUT), NOW + INTERVAL)
    alert.refresh_from_db()
    assert (alert.kind, alert.count, alert.cleared_at is not None) == (earlier["kind"], 1, True)
    opened = Alert.objects.exclude(pk=alert.pk)
    fires_at_once = later["kind"] in (Kind.PRICE_RANGE, Kind.STOCK_AT_MOST, Kind.SOLD_OUT)
    assert [each.kind for each in opened] == ([later["kind"]] if fires_at_once else [])


def test_too_high_after_too_low_is_told_though_the_cooldown_lasts(listing):
    of(listing, min_price=200, max_price=300, cooldown_minutes=60)
    read_each([priced(250), priced(150), priced(900)])
    assert [(alert.new_value, alert.cleared_at is None) for alert in Alert.objects.order_by("pk")] == [
        ("150.00", False),
        ("900.00", True),
    ]


def test_sold_out_with_stock_left_does_not_hide_that_it_was_sold_out(listing):
    of(listing, kind=Kind.RESTOCKED)
    contradiction = stocked(5, ShelfState.SOLD_OUT)
    read_each([stocked(5), stocked(0), contradiction, stocked(5)])
    assert Alert.objects.filter(kind=Kind.RESTOCKED).count() == 1
