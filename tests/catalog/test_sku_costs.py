"""Cost prices that are stored ahead: they begin by themselves, and what was valid once stays."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.urls import reverse

from catalog.costs import keep_in_step
from catalog.models import AuditEvent, BundleComponent, ChannelFees, Sku, SkuCost
from monitoring.models import ListingPrice, PriceQuote
from monitoring.services.prices import requote, requote_due
from tests.factories import NOW, ListingFactory, SkuFactory, UserFactory
from tests.staff import address, signed_in

pytestmark = pytest.mark.django_db

ADD, LIST = "admin:catalog_skucost_add", "admin:catalog_skucost_changelist"
HOUR = timedelta(hours=1)


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as travelling:
        yield travelling


@pytest.fixture
def sku(clock):
    return SkuFactory(code="KET", cost_price=Decimal("42.00"), cost_currency="CNY")


def scheduled(sku, amount, at):
    return SkuCost.objects.create(sku=sku, valid_from=at, amount=amount, currency="CNY")


def costs(sku):
    return list(sku.costs.order_by("valid_from").values_list("amount", flat=True))


def filled(sku, at, **fields):
    return {
        "sku": sku.pk,
        "valid_from_0": at.strftime("%Y-%m-%d"),
        "valid_from_1": at.strftime("%H:%M:%S"),
        "amount": "50.00",
        "currency": "CNY",
        **fields,
    }


def test_a_cost_stored_ahead_begins_by_itself(sku, clock):
    listing = ListingFactory(sku=sku, list_price=Decimal("99.00"))
    ChannelFees.objects.create(channel=listing.channel, valid_from=NOW, tax_rate=0, fee_rate=0, freight=0)
    scheduled(sku, Decimal("50.00"), NOW + HOUR)
    requote(listing_ids=[listing.pk], now=NOW)
    assert ListingPrice.objects.get().due_at == NOW + HOUR
    clock.move_to(NOW + HOUR)
    requote_due(seconds=30)
    assert Sku.objects.get(pk=sku.pk).cost_price == Decimal("50.00")
    assert list(PriceQuote.objects.order_by("pk").values_list("margin", flat=True)) == [5_700, 4_900]
    assert keep_in_step(now=NOW + HOUR) == []


def test_who_changes_something_else_neither_takes_a_cost_back_nor_makes_another_row(sku, clock):
    scheduled(sku, Decimal("50.00"), NOW + HOUR)
    for at in (NOW + HOUR / 2, NOW + 2 * HOUR):
        clock.move_to(at)
        again = Sku.objects.get(pk=sku.pk)
        again.name = f"at {at}"
        again.save()
    assert costs(sku) == [Decimal("42.00"), Decimal("50.00")]
    again.cost_price = Decimal("45.00")
    again.save()
    assert costs(sku) == [Decimal("42.00"), Decimal("50.00"), Decimal("45.00")]


def test_a_person_enters_a_cost_from_a_day_on_and_sees_it_on_the_page_of_the_sku(sku, client):
    signed_in(client, "Manager")
    page = client.get(reverse(ADD), {"sku": sku.pk})
    assert page.status_code == 200
    client.post(reverse(ADD), filled(sku, NOW + timedelta(days=10)))
    assert costs(sku) == [Decimal("42.00"), Decimal("50.00")]
    assert Sku.objects.get(pk=sku.pk).cost_price == Decimal("42.00")
    panel = client.get(address(sku, "change")).text
    assert "¥50.00" in panel
    assert "scheduled" in panel
    assert "KET" in client.get(reverse(LIST)).text
    assert AuditEvent.objects.filter(object_type="catalog.skucost", action="added").exists()


def test_one_from_a_past_moment_on_is_the_cost_at_once(sku, client):
    signed_in(client, "Manager")
    SkuCost.objects.update(valid_from=NOW - timedelta(days=9))
    client.post(reverse(ADD), filled(sku, NOW - timedelta(days=2)))
    assert Sku.objects.get(pk=sku.pk).cost_price == Decimal("50.00")


@pytest.mark.parametrize("amount", ["-1", "1.23456", "much"])
def test_what_is_no_amount_is_refused(sku, client, amount):
    signed_in(client, "Manager")
    page = client.post(reverse(ADD), filled(sku, NOW + HOUR, amount=amount))
    assert page.context["adminform"].form.errors["amount"]
    assert costs(sku) == [Decimal("42.00")]


def test_a_cost_that_has_begun_can_neither_be_changed_nor_deleted_and_one_ahead_can(sku, client):
    client.force_login(UserFactory(is_superuser=True))
    begun, ahead = sku.costs.get(), scheduled(sku, Decimal("50.00"), NOW + HOUR)
    for cost, status in ((begun, 403), (ahead, 302)):
        assert client.post(address(cost, "delete"), {"post": "yes"}).status_code == status
    client.post(address(begun, "change"), filled(sku, NOW, amount="1"))
    assert costs(sku) == [Decimal("42.00")]


def test_prices_of_what_is_sold_with_it_are_worked_out_again(sku, client, django_capture_on_commit_callbacks):
    bundle = SkuFactory()
    BundleComponent.objects.create(bundle=bundle, component=sku, units=2)
    touched = [ListingFactory(sku=sku), ListingFactory(sku=bundle)]
    others = [ListingFactory(sku=SkuFactory())]
    requote(listing_ids=[each.pk for each in (*touched, *others)], now=NOW)
    ListingPrice.objects.update(due_at=None)
    signed_in(client, "Manager")
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse(ADD), filled(sku, NOW + HOUR))
    due = set(ListingPrice.objects.filter(due_at__isnull=False).values_list("listing", flat=True))
    assert due == {each.pk for each in touched}


def test_who_may_not_see_costs_sees_none(sku, client):
    scheduled(sku, Decimal("50.00"), NOW + HOUR)
    signed_in(client, "Viewer")
    assert client.get(reverse(LIST)).status_code == 403
    page = client.get(address(sku, "change"))
    assert "50.00" not in page.text
