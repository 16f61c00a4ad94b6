"""manage.py price: of a listing in words, and of requests as JSON."""

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from catalog.models import ChannelFees
from monitoring.models import PriceQuote
from monitoring.services.prices import requote
from tests.factories import ListingFactory, PromotionFactory, SkuFactory

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
REQUEST = {
    "ruleset": "taobao",
    "currency": "CNY",
    "at": "2026-11-21T12:00:00+08:00",
    "basis": "list",
    "lines": [{"id": "a", "qty": 1, "list": 9900}],
    "promotions": [{"id": "c", "layer": "coupon", "kind": "amount_off", "measure": "amount", "tiers": [[9900, 1000]]}],
}


def run(*args, **options):
    out = io.StringIO()
    call_command("price", *args, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def listing():
    sku = SkuFactory(cost_price=Decimal("42.00"), cost_currency="CNY")
    sku.costs.update(valid_from=AT - timedelta(days=1))
    found = ListingFactory(sku=sku, title="Kettle", list_price=Decimal("99.00"), stock=20)
    ChannelFees.objects.create(
        channel=found.channel, valid_from=AT - timedelta(days=1), tax_rate=1300, fee_rate=500, freight=600
    )
    return found


def test_a_listing_is_explained(listing):
    tiers = [[9900, 1000]]
    PromotionFactory(channel=listing.channel, name="Ten off", measure="amount", tiers=tiers, remaining=412)
    PromotionFactory(channel=listing.channel, name="Later", value=500, start=AT + timedelta(days=1))
    PromotionFactory(channel=listing.channel, name="Members", value=500, audience=["vip"])
    said = run("--listing", str(listing.pk), "--at", AT.isoformat())
    assert "1. Ten off −¥10.00 Threshold ¥99.00 reached (¥99.00). The buyer claims it, 412 left." in said
    assert "The buyer pays ¥89.00 for 1." in said
    assert "Margin ¥26.31, break-even ¥57.48." in said
    assert "- Later: Starts" in said
    assert "- Members: Only for vip." in said


def test_one_unit_and_the_best_price_per_unit_are_two_figures(listing):
    tiers = [[20_000, 5000]]
    PromotionFactory(channel=listing.channel, measure="amount", tiers=tiers)
    said = run("--listing", str(listing.pk), "--at", AT.isoformat())
    assert "The buyer pays ¥99.00 for 1." in said
    assert "Best per unit: ¥82.33 when 3 are bought." in said


def test_a_missing_part_is_named(listing):
    ChannelFees.objects.update(freight=None)
    assert "Margin: cannot tell, not known: freight." in run("--listing", str(listing.pk), "--at", AT.isoformat())


def test_a_price_that_cannot_be_told_is_not_a_number(listing):
    type(listing).objects.update(list_price=None)
    assert "Cannot tell: its list price is not known." in run("--listing", str(listing.pk))


@pytest.mark.parametrize("many", [False, True])
def test_requests_are_answered_as_json(monkeypatch, many):
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([REQUEST] if many else REQUEST)))
    answered = json.loads(run("--requests", "-"))
    [found] = answered if many else [answered]
    assert (found["status"], found["total"], found["used"]) == ("ok", 8900, [{"id": "c", "discount": 1000}])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "Say which price"),
        (["--listing", "999999"], "There is no listing 999999."),
        (["--listing", "1", "--quantity", "0"], "The quantity is 1 to 1,000,000."),
        (["--requests", "/nowhere.json"], "No such file"),
    ],
)
def test_a_wrong_question_is_told(args, said):
    with pytest.raises(CommandError, match=said):
        run(*args)


@pytest.mark.parametrize(("text", "said"), [("soon", "is not a time"), ("2026-11-21T12:00:00", "has no offset")])
def test_a_wrong_time_is_told(listing, text, said):
    with pytest.raises(CommandError, match=said):
        run("--listing", str(listing.pk), "--at", text)


def test_what_is_not_json_is_told(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("{"))
    with pytest.raises(CommandError, match="This is not JSON"):
        run("--requests", "-")


def test_what_a_kind_of_buyer_pays_is_told_apart(listing):
    PromotionFactory(channel=listing.channel, kind="percent_off", value=1000, audience=["88VIP"], layer="platform")
    said = run("--listing", str(listing.pk), "--at", AT.isoformat())
    assert "The buyer pays ¥99.00 for 1." in said
    assert "With 88VIP: ¥89.10." in said
    said = run("--listing", str(listing.pk), "--at", AT.isoformat(), "--buyer-tags", "88VIP")
    assert "The buyer pays ¥89.10 for 1." in said
    assert "With 88VIP" not in said


def test_every_stored_quote_is_worked_out_again_and_what_differs_is_named(listing):
    PromotionFactory(channel=listing.channel, platform_id="coupon:7", measure="amount", tiers=[[9900, 1000]])
    for hours in range(3):
        at = AT + timedelta(hours=hours)
        listing.list_price = Decimal(99 + hours)
        listing.save()
        requote(listing_ids=[listing.pk], now=at)
    assert run("--replay") == "3 stored quotes worked out again, 0 differences.\n"
    [first, _, third] = PriceQuote.objects.order_by("pk")
    PriceQuote.objects.filter(pk=first.pk).update(margin=F("margin") + 1)
    PriceQuote.objects.filter(pk=third.pk).update(answer=third.answer | {"total": 1})
    with pytest.raises(CommandError, match=f"These quotes differ: {first.pk}, {third.pk}$"):
        run("--replay")
