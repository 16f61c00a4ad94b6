"""Fees and exchange rates in the admin: figures as people write them, seen by those who may see costs."""

from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import ChannelFees, ExchangeRate
from catalog.signals import promotion_changed
from tests.factories import ChannelFactory, ListingFactory
from tests.staff import address, signed_in

pytestmark = pytest.mark.django_db

ADD = "admin:catalog_channelfees_add"


@pytest.fixture
def channel():
    return ChannelFactory()


def filled(channel, **fields):
    return {
        "channel": channel.pk,
        "valid_from_0": "2026-11-01",
        "valid_from_1": "00:00",
        "tax_percent": "13",
        "fee_percent": "5",
        "freight_amount": "6",
        **fields,
    }


def test_fees_are_stored_in_basis_points_and_minor_units_and_shown_as_written(client, channel):
    signed_in(client, "Manager")
    answer = client.post(reverse(ADD), filled(channel, fee_least="0.30", payment_percent="2.9", payment_amount="0.3"))
    assert answer.status_code == 302
    fees = ChannelFees.objects.get()
    assert (fees.tax_rate, fees.fee_rate, fees.fee_minimum, fees.freight) == (1300, 500, 30, 600)
    assert (fees.payment_rate, fees.payment_fixed) == (290, 30)
    form = client.get(address(fees, "change")).context["adminform"].form
    shown = {name: form[name].value() for name in ("tax_percent", "fee_least", "payment_percent", "freight_amount")}
    assert shown == {"tax_percent": "13", "fee_least": "0.3", "payment_percent": "2.9", "freight_amount": "6"}


def test_what_is_left_empty_is_not_known_and_not_0(client, channel):
    signed_in(client, "Manager")
    client.post(reverse(ADD), filled(channel, tax_percent="", fee_percent="", freight_amount=""))
    fees = ChannelFees.objects.get()
    assert (fees.tax_rate, fees.fee_rate, fees.freight, fees.payment_rate) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("fee_percent", "150", "from 0 to 100"),
        ("tax_percent", "-1", "from 0 to 100"),
        ("fee_percent", "much", "from 0 to 100"),
        ("freight_amount", "6.005", "no more decimals than CNY has"),
        ("freight_amount", "-6", "no more decimals than CNY has"),
    ],
)
def test_a_wrong_figure_is_told_at_its_field(client, channel, field, text, told):
    signed_in(client, "Manager")
    answer = client.post(reverse(ADD), filled(channel, **{field: text}))
    assert told in answer.context["adminform"].form.errors[field][0]
    assert not ChannelFees.objects.exists()


def test_fees_from_the_same_moment_are_told(client, channel):
    signed_in(client, "Manager")
    for _time in range(2):
        answer = client.post(reverse(ADD), filled(channel))
    assert "There are fees of this channel from this moment on already." in answer.text
    assert ChannelFees.objects.count() == 1


def test_changed_fees_and_rates_have_their_prices_worked_out_again(client, channel, django_capture_on_commit_callbacks):
    signed_in(client, "Manager")
    listing = ListingFactory(channel=channel)
    ListingFactory(channel=ChannelFactory(currency="USD", platform="shopify"))
    seen = []

    def receiver(sender, listing_ids, **kwargs):
        seen.append(listing_ids)

    promotion_changed.connect(receiver)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            client.post(reverse(ADD), filled(channel))
        rate = {"cost_currency": "USD", "sale_currency": "CNY", "day": "2026-11-21", "rate": "7.1", "source": "Bank"}
        with django_capture_on_commit_callbacks(execute=True):
            assert client.post(reverse("admin:catalog_exchangerate_add"), rate).status_code == 302
    finally:
        promotion_changed.disconnect(receiver)
    assert seen == [[listing.pk], [listing.pk]]
    assert ExchangeRate.objects.get().rate == Decimal("7.1")


def test_a_rate_between_one_currency_is_told(client):
    signed_in(client, "Manager")
    rate = {"cost_currency": "CNY", "sale_currency": "CNY", "day": "2026-11-21", "rate": "1", "source": "Bank"}
    answer = client.post(reverse("admin:catalog_exchangerate_add"), rate)
    assert "A rate is between two currencies." in answer.text


@pytest.mark.parametrize("role", ["Viewer", "Operator"])
def test_whoever_may_not_see_costs_sees_no_fees(client, channel, role):
    signed_in(client, role, channel)
    for model in ("channelfees", "exchangerate"):
        assert client.get(reverse(f"admin:catalog_{model}_changelist")).status_code == 403


def test_a_buyer_looks_at_the_fees_of_their_channels(client, channel, django_assert_max_num_queries):
    signed_in(client, "Buyer", channel)
    for each in (channel, ChannelFactory(name="Theirs")):
        ChannelFees.objects.create(channel=each, valid_from=timezone.now(), tax_rate=1300, fee_rate=500, freight=600)
    url = reverse("admin:catalog_channelfees_changelist")
    client.get(url)
    with django_assert_max_num_queries(12):
        text = client.get(url).text
    assert "¥6.00" in text
    assert "Theirs" not in text
