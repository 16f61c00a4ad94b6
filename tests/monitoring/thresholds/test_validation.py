from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from monitoring.models import Threshold
from monitoring.models.alerts import AlertKind
from monitoring.thresholds.rules import FIELDS, Kind
from tests.factories import ChannelFactory, ListingFactory, ProductFactory

pytestmark = pytest.mark.django_db
TOMORROW = timezone.now() + timedelta(days=1)
CHANGE = {"kind": Kind.PRICE_CHANGE, "percent": Decimal(10), "reference": "previous"}


def wrong(**fields):
    """The fields that a form would mark."""
    subject = {} if {"channel", "listing", "product", "brand"} & set(fields) else {"channel": ChannelFactory()}
    with pytest.raises(ValidationError) as caught:
        Threshold(**subject, **fields).full_clean()
    return set(caught.value.message_dict)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"kind": ""}, {"kind"}, id="no kind"),
        pytest.param({"kind": "nothing"}, {"kind"}, id="another kind"),
        pytest.param({"kind": Kind.PRICE_RANGE}, {"min_price"}, id="empty range"),
        pytest.param({"kind": Kind.PRICE_RANGE, "min_price": 3, "max_price": 2}, {"min_price"}, id="min above max"),
        pytest.param({"kind": Kind.PRICE_RANGE, "min_price": 0}, {"min_price"}, id="a price of 0"),
        pytest.param({"kind": Kind.PRICE_RANGE, "max_price": -1}, {"max_price"}, id="a price below 0"),
        pytest.param({"kind": Kind.PRICE_RANGE, "min_price": 3, "price": ""}, {"price"}, id="no price"),
        pytest.param({"kind": Kind.PRICE_RANGE, "min_price": 3, "currency": "USD"}, {"currency"}, id="currency"),
        pytest.param({"kind": Kind.PRICE_RANGE, "min_price": 3, "currency": "yuan"}, {"currency"}, id="no currency"),
        pytest.param(
            {"kind": Kind.PRICE_RANGE, "min_price": 100, "max_price": 110, "hysteresis": Decimal(5)}, {"hysteresis"},
            id="never back inside",
        ),
        pytest.param(
            {"kind": Kind.PRICE_RANGE, "max_price": 110, "hysteresis": Decimal(100)}, {"hysteresis"}, id="never back",
        ),
        pytest.param({"kind": Kind.PRICE_CHANGE}, {"percent", "reference"}, id="empty change"),
        pytest.param({**CHANGE, "percent": Decimal(0)}, {"percent"}, id="no change at all"),
        pytest.param({**CHANGE, "reference": "median"}, {"days"}, id="median without days"),
        pytest.param({**CHANGE, "reference": "baseline"}, {"baseline_at"}, id="baseline without a time"),
        pytest.param(
            {**CHANGE, "reference": "baseline", "baseline_at": TOMORROW}, {"baseline_at"}, id="baseline to come",
        ),
        pytest.param(
            {**CHANGE, "reference": "baseline", "baseline_at": datetime(1999, 12, 31, tzinfo=UTC)}, {"baseline_at"},
            id="baseline before anything was read",
        ),
        pytest.param(
            {**CHANGE, "reference": "baseline", "baseline_at": datetime.min.replace(tzinfo=UTC)}, {"baseline_at"},
            id="baseline at the beginning of time",
        ),
        pytest.param({**CHANGE, "percent": Decimal(101), "direction": "down"}, {"percent"}, id="falls below nothing"),
        pytest.param({**CHANGE, "hysteresis": Decimal(10)}, {"hysteresis"}, id="could never end"),
        pytest.param({"kind": Kind.VOLATILITY}, {"percent", "days"}, id="empty swings"),
        pytest.param({"kind": Kind.STOCK_AT_MOST}, {"stock"}, id="empty stock"),
        pytest.param({"kind": Kind.STOCK_AT_MOST, "stock": -1}, {"stock"}, id="stock below 0"),
        pytest.param({"kind": Kind.STOCK_AT_MOST, "stock": 2**31}, {"stock"}, id="more stock than a column holds"),
        pytest.param({"kind": Kind.SOLD_OUT, "cooldown_minutes": 525_601}, {"cooldown_minutes"}, id="quiet too long"),
        pytest.param({"kind": Kind.SOLD_OUT, "cooldown_minutes": -1}, {"cooldown_minutes"}, id="quiet before it opens"),
        pytest.param({"kind": Kind.BLIND}, {"intervals"}, id="empty blind"),
        pytest.param({"kind": Kind.BLIND, "intervals": 1}, {"intervals"}, id="one reading"),
        pytest.param({"kind": Kind.AUTHORISATION}, {"days"}, id="empty authorisation"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_at_its_field(fields, expected):
    assert wrong(**fields) == expected


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"kind": Kind.SOLD_OUT, "cooldown_minutes": 525_600}, id="quiet for a year"),
        pytest.param({"kind": Kind.STOCK_AT_MOST, "stock": 2**31 - 1}, id="all the stock that a column holds"),
        pytest.param(
            {**CHANGE, "reference": "baseline", "baseline_at": datetime(2000, 1, 1, tzinfo=UTC)}, id="baseline in 2000"
        ),
    ],
)
def test_the_bounds_themselves_are_taken(fields):
    Threshold(channel=ChannelFactory(), **fields).full_clean()


def test_a_threshold_has_one_subject():
    listing, product = ListingFactory(), ProductFactory()
    assert wrong(kind=Kind.SOLD_OUT, channel=None) == {"channel"}
    assert {"listing", "product"} <= wrong(kind=Kind.SOLD_OUT, listing=listing, product=product)
    assert {"listing", "channel"} <= wrong(kind=Kind.SOLD_OUT, listing=listing, channel=listing.channel)
    assert wrong(kind=Kind.AUTHORISATION, days=7, listing=listing) == {"listing"}
    assert wrong(kind=Kind.PRICE_RANGE, min_price=3, currency="USD", listing=listing) == {"currency"}
    Threshold(kind=Kind.PRICE_RANGE, min_price=3, currency="USD", brand="山野").full_clean()


@pytest.mark.parametrize("kind", Kind)
def test_what_a_kind_does_not_use_is_emptied(kind):
    full = {
        "price": "live_price",
        "min_price": 100,
        "max_price": 300,
        "percent": Decimal(10),
        "reference": "median",
        "direction": "up",
        "days": 7,
        "stock": 5,
        "intervals": 5,
        "hysteresis": Decimal(2),
    }
    threshold = Threshold(kind=kind, channel=ChannelFactory(), baseline_at=timezone.now(), **full)
    threshold.full_clean()
    threshold.save()
    for name, value in full.items():
        assert (getattr(threshold, name) == value) == (name in FIELDS[kind]), name
    assert threshold.baseline_at is None
    assert threshold.ownership == ("" if kind == Kind.AUTHORISATION else "own")


def test_every_rule_has_a_kind_of_alert_and_only_rules_can_be_thresholds():
    assert set(AlertKind.values) > set(Kind)
    assert {value for value, _label in Threshold._meta.get_field("kind").flatchoices} == set(Kind)
