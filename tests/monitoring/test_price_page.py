"""The page that explains an after-coupon price."""

import csv
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import ChannelFees
from tests.factories import ListingFactory, PromotionFactory, SkuFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def listing():
    sku = SkuFactory(cost_price=Decimal("42.00"), cost_currency="CNY")
    sku.costs.update(valid_from=timezone.now() - DAY)
    found = ListingFactory(sku=sku, list_price=Decimal("99.00"), stock=20)
    ChannelFees.objects.create(
        channel=found.channel, valid_from=timezone.now() - DAY, tax_rate=1300, fee_rate=500, freight=600
    )
    return found


def url(listing):
    return reverse("watch:listing-price", args=[listing.pk])


def test_it_tells_what_is_paid_what_is_left_and_why(client, listing):
    signed_in(client, "Manager")
    ends = timezone.now() + DAY
    PromotionFactory(channel=listing.channel, name="Ten off", measure="amount", tiers=[[9900, 1000]], end=ends)
    PromotionFactory(channel=listing.channel, name="Members", value=500, audience=["vip"])
    text = client.get(url(listing)).text
    for part in ("¥89.00", "list price ¥99.00, ▼ 10.1%", "¥57.48", "¥26.31", "then ¥99.00", "Threshold ¥99.00 reached"):
        assert part in text
    assert "Only for vip." in text


def test_what_the_platform_itself_says_stands_beside_our_price_of_now(client, listing):
    signed_in(client, "Manager")
    listing.promotion_price = Decimal("88.00")
    listing.save()
    assert "the platform says ¥88.00" in client.get(url(listing)).text
    assert "the platform says" not in client.get(url(listing), {"quantity": 2}).text


def test_buyers_who_pay_another_price_have_a_row_of_their_own(client, listing):
    signed_in(client, "Manager")
    PromotionFactory(channel=listing.channel, name="Members", value=500, audience=["88VIP"])
    PromotionFactory(channel=listing.channel, name="Much", measure="amount", tiers=[[99000, 5000]], audience=["new"])
    text = " ".join(client.get(url(listing)).text.split())
    table = text[text.index("Buyers who pay another price") :].partition("</section>")[0]
    for part in ('<th scope="row">88VIP</th>', "<strong>¥94.00</strong>", "<td>Members</td>"):
        assert part in table
    assert "new" not in table  # they pay what everybody does
    assert text.index("¥99.00") < text.index("¥94.00")


def test_whoever_may_not_see_costs_sees_the_price_alone(client, listing):
    signed_in(client, "Viewer", listing.channel)
    PromotionFactory(channel=listing.channel, value=500, audience=["88VIP"])
    text = client.get(url(listing)).text
    assert "¥99.00" in text
    for secret in ("42.00", "57.48", "Break-even", "Margin"):
        assert secret not in text


def test_what_is_not_known_is_named(client, listing):
    signed_in(client, "Manager")
    ChannelFees.objects.update(freight=None)
    text = client.get(url(listing)).text
    assert "not known: freight and packing" in text
    assert "cannot tell" in text


def test_another_quantity_and_moment_are_worked_out(client, listing):
    signed_in(client, "Manager")
    starts = timezone.now() + 2 * DAY
    PromotionFactory(channel=listing.channel, value=None, measure="quantity", tiers=[[3, 5000]], start=starts)
    at = timezone.localtime(starts + DAY).strftime("%Y-%m-%dT%H:%M")
    text = client.get(url(listing), {"quantity": "3", "at": at}).text
    assert "Buyer pays for 3" in text
    assert "¥247.00" in text


@pytest.mark.parametrize("query", [{"quantity": "0"}, {"quantity": "x"}, {"at": "soon"}])
def test_a_wrong_question_is_told_and_nothing_is_worked_out(client, listing, query):
    signed_in(client, "Manager")
    response = client.get(url(listing), query)
    assert response.status_code == 200
    assert "errornote" in response.text
    assert "¥99.00" not in response.text


def test_a_listing_of_a_channel_that_one_does_not_see_is_not_there(client, listing):
    signed_in(client, "Operator")
    assert client.get(url(listing)).status_code == 404


def test_a_page_takes_the_same_queries_for_many_promotions_as_for_few(client, listing, django_assert_max_num_queries):
    signed_in(client, "Manager")
    for number in range(20):
        PromotionFactory(channel=listing.channel, value=100 + number, groups=["one"])
    client.get(url(listing))
    with django_assert_max_num_queries(24):
        client.get(url(listing))


def text_of(response):
    return response.getvalue().decode()


class TestCalendar:
    """What lies ahead, as JSON for the chart with its table, and as a file."""

    @pytest.fixture
    def ahead(self, listing):
        """Ten off from tomorrow for two days, fifty off of it on the second; returns both edges' days."""
        now = timezone.now().replace(microsecond=0)
        PromotionFactory(channel=listing.channel, name="Ten off", layer="shop", start=now + DAY, end=now + 3 * DAY)
        PromotionFactory(channel=listing.channel, name="Fifty off", value=5000, start=now + 2 * DAY, end=now + 3 * DAY)
        PromotionFactory(channel=listing.channel, name="Too late", value=900, start=now + 15 * DAY)
        return [now + days * DAY for days in (1, 2, 3)]

    def asked(self, client, listing, kind="prices", **query):
        return client.get(reverse(f"watch:listing-{kind}", args=[listing.pk]), {"range": "14d", **query})

    def test_each_edge_is_a_step_at_its_very_second(self, client, listing, ahead):
        signed_in(client, "Manager")
        data = self.asked(client, listing).json()
        price, limit = (dict(zip(data["labels"], each["data"], strict=True)) for each in data["datasets"])
        assert [price[int(at.timestamp() * 1000)] for at in ahead] == [89.0, 39.0, 99.0]
        assert set(limit.values()) == {57.48}
        assert "below break-even from" in data["summary"]
        assert data["gaps"] == []

    def test_its_table_and_its_file_tell_the_same(self, client, listing, ahead):
        signed_in(client, "Manager")
        table = self.asked(client, listing, table="1").json()["table"]
        assert [row[1:] for row in table["rows"]] == [
            ["99.00", "57.48", "no promotion"],
            ["89.00", "57.48", "Ten off"],
            ["39.00", "57.48", "Ten off, Fifty off"],
            ["99.00", "57.48", "no promotion"],
        ]
        head, *rows = csv.reader(text_of(self.asked(client, listing, "prices-csv")).splitlines())
        assert head == ["from", "until", "currency", "after_coupon", "break_even", "promotions", "reason"]
        assert [row[3] for row in rows] == ["99.00", "89.00", "39.00", "99.00"]
        assert [datetime.fromisoformat(row[0]) for row in rows[1:]] == ahead

    def test_a_longer_range_reaches_further(self, client, listing, ahead):
        signed_in(client, "Manager")
        rows = text_of(self.asked(client, listing, "prices-csv", range="30d")).splitlines()
        assert rows[-1].split(",")[3:6] == ["90.00", "57.48", "Too late"]
        assert self.asked(client, listing, range="7d").status_code == 400

    def test_what_nobody_can_tell_is_a_gap(self, client, listing, ahead):
        signed_in(client, "Manager")
        PromotionFactory(
            channel=listing.channel, name="Half read", value=None, unknown=["value"], start=ahead[1], end=ahead[2]
        )
        data = self.asked(client, listing, table="1").json()
        assert data["gaps"] == [[int(at.timestamp() * 1000) for at in ahead[1:]]]
        assert data["table"]["rows"][2][1] == "cannot tell"
        assert "Half read" in data["note"]

    def test_break_even_that_is_not_known_is_no_line(self, client, listing, ahead):
        signed_in(client, "Manager")
        ChannelFees.objects.update(freight=None)
        assert [each["label"] for each in self.asked(client, listing).json()["datasets"]] == ["After coupon"]

    def test_whoever_may_not_see_costs_sees_the_price_alone(self, client, listing, ahead):
        signed_in(client, "Viewer", listing.channel)
        for kind in ("prices", "prices-csv"):
            text = text_of(self.asked(client, listing, kind, table="1"))
            assert "39.0" in text
            for secret in ("57.48", "break"):
                assert secret not in text.lower()

    def test_a_channel_that_one_does_not_see_is_not_there(self, client, listing):
        signed_in(client, "Operator")
        assert [self.asked(client, listing, kind).status_code for kind in ("prices", "prices-csv")] == [404, 404]
