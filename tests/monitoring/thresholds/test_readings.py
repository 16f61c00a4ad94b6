"""Which readings open an alert, and which threshold judges which listing."""

from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.facts import Facts, ShelfState
from catalog.models import Listing, Product
from integrations.connectors.base import ReadOutcome
from monitoring.models import Alert, Threshold
from tests.factories import NOW, ChannelFactory, ListingWatchFactory, ProductFactory, SkuFactory
from tests.monitoring.thresholds.reading import (
    DAY,
    HOUR,
    INTERVAL,
    of,
    priced,
    read,
    read_each,
    stocked,
    threshold,
    told,
)

pytestmark = pytest.mark.django_db
Kind = Threshold.Kind


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


# --- What it is about -----------------------------------------------------------------------------------------------


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
