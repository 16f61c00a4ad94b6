"""Promotions and after-coupon prices as programs read them."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import ChannelFees
from monitoring.services.prices import requote
from tests.factories import NOW, ListingFactory, PromotionFactory, SkuFactory
from tests.staff import member

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def listing():
    sku = SkuFactory(cost_price=Decimal("42.00"), cost_currency="CNY")
    sku.costs.update(valid_from=NOW - DAY)
    found = ListingFactory(sku=sku, list_price=Decimal("99.00"), stock=20)
    ChannelFees.objects.create(channel=found.channel, valid_from=NOW - DAY, tax_rate=1300, fee_rate=500, freight=600)
    PromotionFactory(
        channel=found.channel, platform_id="coupon:7", measure="amount", tiers=[[9900, 1000]], end=NOW + DAY
    )
    requote(listing_ids=[found.pk], now=NOW)
    return found


def test_a_promotion_is_told_in_minor_units_and_basis_points(owner, listing):
    [row] = owner.get("promotions/").json()["results"]
    told = {name: row[name] for name in ("origin", "kind", "tiers", "value", "end", "currency", "seller_share")}
    assert told == {
        "origin": "hand",
        "kind": "amount_off",
        "tiers": [[9900, 1000]],
        "value": None,
        "end": "2026-11-22T04:00:00Z",
        "currency": "CNY",
        "seller_share": 10_000,
    }


def test_a_stored_quote_has_amounts_of_the_currency_and_its_explanation(owner, listing):
    [row] = owner.get("quotes/", query_params={"listing": listing.pk}).json()["results"]
    assert (row["buy_one"], row["break_even"], row["margin"]) == ("89.00", "57.48", "26.31")
    assert row["valid_until"] == "2026-11-22T04:00:00Z"
    assert row["answer"]["used"] == [{"id": "coupon:7", "discount": 1000}]


def test_a_quote_is_worked_out_for_a_quantity_and_a_moment(owner, listing):
    now = owner.get(f"listings/{listing.pk}/quote/").json()
    assert (now["goods"], now["buy_one"], now["best_per_unit"]["quantity"]) == ("89.00", "89.00", 1)
    later = (NOW + DAY).isoformat()
    asked = owner.get(f"listings/{listing.pk}/quote/", query_params={"quantity": 3, "at": later}).json()
    assert (asked["goods"], asked["buy_one"], asked["valid_until"]) == ("297.00", "99.00", None)


def test_what_each_kind_of_buyer_pays_is_told_beside_what_everybody_does(owner, listing):
    for tag, rate in (("88VIP", 500), ("new", 1000)):
        PromotionFactory(
            channel=listing.channel, layer="platform", kind="percent_off", value=rate, audience=[tag], auto=True
        )
    answer = owner.get(f"listings/{listing.pk}/quote/").json()
    assert (answer["goods"], answer["buyer_tags"]) == ("89.00", [])
    assert {each["tag"]: each["goods"] for each in answer["by_buyer_tag"]} == {"88VIP": "84.55", "new": "80.10"}
    both = owner.get(f"listings/{listing.pk}/quote/", query_params={"buyer_tags": "new, 88VIP"}).json()
    assert (both["goods"], both["buyer_tags"]) == ("76.10", ["new", "88VIP"])


def test_a_price_that_is_not_known_is_null_with_its_reason(owner, listing):
    type(listing).objects.update(list_price=None)
    answer = owner.get(f"listings/{listing.pk}/quote/").json()
    assert (answer["status"], answer["reason"], answer["goods"]) == ("cannot_tell", "price:1", None)


def test_what_a_sale_costs_is_told_to_those_who_may_see_costs(program, listing):
    for path in ("quotes/", f"listings/{listing.pk}/quote/"):
        answer = program(scopes=["read:prices"]).get(path).json()
        row = answer["results"][0] if "results" in answer else answer
        assert not {"receipts", "break_even", "margin"} & row.keys()
        answer = program(scopes=["read:prices", "read:cost"]).get(path).json()
        row = answer["results"][0] if "results" in answer else answer
        assert {"receipts", "break_even", "margin"} <= row.keys()


def test_only_the_channels_of_who_asks_are_told(program, listing):
    theirs = program(user=member("Operator"), scopes=["read:prices"])
    assert theirs.get("promotions/").json()["results"] == []
    assert theirs.get("quotes/").json()["results"] == []
    assert theirs.get(f"listings/{listing.pk}/quote/").status_code == 404


@pytest.mark.parametrize("query", [{"quantity": 0}, {"quantity": "x"}, {"at": "2026-11-21T00:00:00"}, {"units": 1}])
def test_a_wrong_question_is_refused(owner, listing, query):
    assert owner.get(f"listings/{listing.pk}/quote/", query_params=query).status_code == 400


def test_a_list_takes_the_same_queries_for_many_as_for_few(owner, listing):
    counts = []
    for _more in range(2):
        with CaptureQueriesContext(connection) as captured:
            assert owner.get("quotes/").status_code == 200
        counts.append(len(captured))
        others = ListingFactory.create_batch(5, channel=listing.channel, list_price=Decimal("50.00"))
        requote(listing_ids=[other.pk for other in others], now=NOW)
    assert counts[0] == counts[1]
