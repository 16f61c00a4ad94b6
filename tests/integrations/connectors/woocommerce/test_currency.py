"""A shop that counts in another currency than its channel: its answers name none, so it is asked."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from integrations.connectors.base import ListingRef
from integrations.connectors.errors import Reauthorise, Retry, Review
from tests.integrations.connectors.discovery import discovered

pytestmark = pytest.mark.pure

HOUR = timedelta(hours=1)
CURRENT = "GET data/currencies/current"
ITEM = [ListingRef(1, "794")]

READS = {
    "the test of the connection": lambda connector, now: connector.check_connection(now=now),
    "a reading": lambda connector, now: connector.read_listings(ITEM, now=now),
    "discovery": lambda connector, now: list(discovered(connector, now)),
    "changes": lambda connector, now: list(connector.read_changes(since=now, now=now)),
    "promotions": lambda connector, now: list(connector.read_promotions(now=now)),
}


@pytest.fixture
def connect_as(connect, mug):
    """A connector of the shop, which counts in euros, for a channel of a currency."""

    def build(currency):
        connector = connect()
        connector.currency = currency
        return connector

    return build


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_no_amount_is_passed_on_in_another_currency_than_the_channel_s(connect_as, now, read):
    read(connect_as("EUR"), now)
    with pytest.raises(Review) as caught:
        read(connect_as("USD"), now)
    assert (caught.value.cause, caught.value.scope, caught.value.detail) == ("currency-differs", "channel", "EUR")


def test_the_currency_is_asked_for_once_however_many_batches_are_read_at_once(connect_as, calls, now):
    connector = connect_as("EUR")
    with ThreadPoolExecutor(6) as threads:
        readings = list(threads.map(lambda _: connector.read_listings(ITEM, now=now), range(12)))
    assert all(reading.facts is not None for [reading] in readings)
    assert [method for method, _code in calls()].count(CURRENT) == 1


@pytest.fixture
def settings_hidden(simulator):
    """The keys' user may read products and may not read settings, which the currency is one of."""
    refused = {
        "status": 403,
        "sub_code": "woocommerce_rest_cannot_view",
        "msg": "Sorry, you cannot view this resource.",
    }
    simulator.woocommerce.fail_next(method=CURRENT, times=0, **refused)


def test_amounts_in_nobody_knows_what_are_not_told_and_the_rest_is(connect_as, settings_hidden, now):
    connector = connect_as("EUR")
    [reading] = connector.read_listings(ITEM, now=now)
    found = next(each for each in discovered(connector, now) if each.item_id == "794")
    changed = next(each for each in connector.read_changes(since=now - HOUR, now=now) if each.item_id == "794")
    for each in (reading, found, changed):
        assert (each.facts.list_price, each.facts.live_price, each.facts.stock) == (None, None, 12)
        assert each.cause == "currency-unknown"


def test_the_test_of_the_connection_says_what_hides_the_currency(connect_as, settings_hidden, now):
    with pytest.raises(Reauthorise) as caught:
        connect_as("EUR").check_connection(now=now)
    assert caught.value.cause == "role-too-weak"


def test_a_currency_that_could_not_be_asked_for_is_asked_for_again(connect_as, simulator, now):
    simulator.woocommerce.fail_next(method=CURRENT, status=502)
    connector = connect_as("USD")
    with pytest.raises(Retry):
        connector.read_listings(ITEM, now=now)
    with pytest.raises(Review):
        connector.read_listings(ITEM, now=now)


def test_a_channel_without_a_currency_compares_nothing(connect_as, calls, now):
    connect_as("").read_listings(ITEM, now=now)
    assert CURRENT not in [method for method, _code in calls()]
