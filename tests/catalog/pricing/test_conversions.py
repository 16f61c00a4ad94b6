from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from catalog.pricing.conversions import (
    NotConvertible,
    end_of,
    inclusive_end,
    minor_units,
    percent_off,
    price_rate_off,
    start_of,
)
from tests.catalog.pricing.requests import priced, promotion

pytestmark = pytest.mark.pure

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("9.90", "CNY", 990),
        ("9.9", "USD", 990),
        ("9.", "EUR", 900),
        ("9.900", "EUR", 990),
        ("999", "JPY", 999),
        ("999.0", "JPY", 999),
        ("12.345", "KWD", 12345),
        ("-0.01", "CNY", -1),
        (" 5 ", "CNY", 500),
        ("123456789012345678901234567890.12", "CNY", 12345678901234567890123456789012),
    ],
)
def test_an_amount_is_whole_in_its_minor_unit(text, currency, amount):
    assert minor_units(text, currency) == amount


@pytest.mark.parametrize(
    ("text", "currency"),
    [("9.905", "CNY"), ("9.9", "JPY"), ("0.0001", "KWD"), ("1e3", "CNY"), ("9,90", "EUR"), ("", "CNY"), ("NaN", "CNY")],
)
def test_what_is_not_whole_is_refused(text, currency):
    with pytest.raises(NotConvertible):
        minor_units(text, currency)


def test_rates_are_basis_points_off():
    assert (percent_off("20.00"), percent_off("12.5"), price_rate_off(800), price_rate_off(995)) == (
        2000,
        1250,
        2000,
        50,
    )
    with pytest.raises(NotConvertible):
        percent_off("33.333")


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        pytest.param("2026-11-11 23:59:59", SHANGHAI, "2026-11-11T16:00:00", id="last second"),
        pytest.param("2026-11-11", SHANGHAI, "2026-11-11T16:00:00", id="a date"),
        pytest.param("2026-11-11 24:00:00", SHANGHAI, "2026-11-11T16:00:00", id="24:00"),
        pytest.param("2026-11-11T20:00", SHANGHAI, "2026-11-11T12:00:00", id="a time of day"),
        pytest.param("2016-12-31 23:59:60", ZoneInfo("UTC"), "2017-01-01T00:00:00", id="leap second"),
        pytest.param("2026-03-29 02:30:00", BERLIN, "2026-03-29T01:30:00", id="an hour that there is not"),
        pytest.param("2026-10-25", BERLIN, "2026-10-25T23:00:00", id="a day of 25 hours"),
    ],
)
def test_the_end_of_a_window_is_the_first_moment_after_it(text, zone, moment):
    assert end_of(text, zone) == datetime.fromisoformat(moment).replace(tzinfo=UTC)


def test_a_window_begins_with_its_date():
    assert start_of("2026-11-11", SHANGHAI) == datetime(2026, 11, 10, 16, tzinfo=UTC)
    assert start_of("2026-11-11 00:00:30", SHANGHAI) == datetime(2026, 11, 10, 16, 0, 30, tzinfo=UTC)
    assert inclusive_end(start_of("2026-11-11", UTC)) == datetime(2026, 11, 11, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "11.11.2026", "2026-02-30", "2026-11-11 25:00", "2026-11-11 24:00:01", "2026-11-11 12:60", "soon"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(NotConvertible):
        end_of(text, SHANGHAI)


def test_a_coupon_of_the_day_is_good_to_the_last_millisecond():  # E31
    coupon = promotion("c", "coupon", value=1000, end=end_of("2026-11-11 23:59:59", SHANGHAI).isoformat())
    assert priced("generic", 9900, [coupon], at="2026-11-11T15:59:59.999Z")["total"] == 8900
    assert priced("generic", 9900, [coupon], at="2026-11-11T16:00:00Z")["not_used"] == {"c": "expired"}
