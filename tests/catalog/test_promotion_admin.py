"""Promotions in the admin: the form in people's figures, and what it says of wrong ones."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import AuditEvent, Promotion
from catalog.promotions.services import Stored, store_read
from catalog.signals import promotion_changed
from monitoring.models import PriceQuote
from monitoring.services.prices import requote
from tests.factories import ChannelFactory, ListingFactory, PromotionFactory
from tests.staff import address, signed_in

pytestmark = pytest.mark.django_db

ADD = "admin:catalog_promotion_add"
LIST = "admin:catalog_promotion_changelist"


@pytest.fixture
def channel():
    return ChannelFactory()


def filled(channel, **fields):
    return {
        "channel": channel.pk,
        "name": "店铺券",
        "layer": "coupon",
        "kind": "amount_off",
        "figure": "10",
        "per": "order",
        "measure": "none",
        "measure_over": "scope",
        "status": "active",
        "priority": "0",
        "our_share": "100",
        **fields,
    }


def errors(response):
    return {name: told[0] for name, told in response.context["adminform"].form.errors.items()}


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"figure": "9.90"}, {"value": 990, "tiers": None}),
        ({"kind": "percent_off", "figure": "20%"}, {"value": 2000}),
        ({"measure": "amount", "threshold": "300", "figure": "50"}, {"value": None, "tiers": [[30_000, 5_000]]}),
        (
            {"kind": "percent_off", "measure": "quantity", "threshold": "3", "figure": "12.5", "most_off": "30"},
            {"tiers": [[3, 1250]], "max_discount": 3000},
        ),
        ({"measure": "amount", "tiers_text": "199 20\n299 50"}, {"tiers": [[19_900, 2_000], [29_900, 5_000]]}),
        ({"kind": "nth_piece", "figure": "50", "of": "2", "take": "1"}, {"value": 5000, "of": 2, "take": 1}),
        ({"items": "616, 617\n616"}, {"scope": {"items": ["616", "617"]}}),
        ({"not_on_sale": "on"}, {"scope": {"not_on_sale": True}}),
        ({"groups_text": "大促，会员", "audience_text": "88VIP"}, {"groups": ["大促", "会员"], "audience": ["88VIP"]}),
        ({"our_share": "60"}, {"seller_share": 6000}),
        ({"fee_percent": "2.5", "fee_per_order": "5"}, {"fee_rate": 250, "fee_fixed": 500}),
    ],
)  # fmt: skip
def test_figures_are_stored_in_minor_units_and_basis_points_and_shown_as_written(client, channel, fields, stored):
    signed_in(client, "Operator", channel)
    assert client.post(reverse(ADD), filled(channel, **fields)).status_code == 302
    promotion = Promotion.objects.get()
    assert {name: getattr(promotion, name) for name in stored} == stored
    assert (promotion.currency, promotion.source) == ("CNY", "hand")
    # The form of what is stored, sent back as it is, changes nothing.
    form = client.get(address(promotion, "edit")).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}
    again = {name: value for name, value in shown.items() if value is not None and value is not False}
    assert client.post(address(promotion, "edit"), again).status_code == 302
    promotion.refresh_from_db()
    assert {name: getattr(promotion, name) for name in stored} == stored


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"figure": ""}, "figure", "Enter what it takes off, or its price."),
        ({"figure": "9.999"}, "figure", "Enter an amount with no more decimals than CNY has."),
        ({"figure": "much"}, "figure", "Enter an amount with no more decimals than CNY has."),
        ({"kind": "percent_off", "figure": "120"}, "figure", "percentage is not between 0.01 and 100"),
        ({"measure": "amount"}, "threshold", "Enter the threshold."),
        ({"threshold": "300"}, "measure", "Say what the threshold counts."),
        ({"measure": "quantity", "threshold": "2.5"}, "threshold", "Enter a whole number of pieces."),
        ({"measure": "amount", "tiers_text": "300"}, "tiers_text", "Each line has a threshold and a value"),
        ({"measure": "amount", "tiers_text": "300 50\n200 30"}, "tiers_text", "not in ascending order"),
        ({"layer": "promo"}, "layer", "This shop has the layers: Item price, Shop promotion"),
        ({"kind": "nth_piece", "figure": "50", "of": "2", "take": "3"}, "of", "its pieces per set make no set"),
        (
            {"start_0": "2026-11-11", "start_1": "00:00", "end_0": "2026-11-10", "end_1": "00:00"},
            "end",
            "it ends before it starts",
        ),
    ],
)
def test_a_wrong_figure_is_told_at_its_field_and_nothing_is_stored(client, channel, fields, field, told):
    signed_in(client, "Operator", channel)
    found = errors(client.post(reverse(ADD), filled(channel, **fields)))
    assert told in found[field]
    assert Promotion.objects.count() == 0


def test_saving_and_deleting_tell_which_prices_it_touches(client, channel, django_capture_on_commit_callbacks):
    signed_in(client, "Operator", channel)
    listing, _other = ListingFactory.create_batch(2, channel=channel)
    seen = []

    def receiver(sender, listing_ids, **kwargs):
        seen.append(listing_ids)

    promotion_changed.connect(receiver)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            client.post(reverse(ADD), filled(channel, items=listing.platform_item_id))
        with django_capture_on_commit_callbacks(execute=True):
            client.post(address(Promotion.objects.get(), "delete"), {"post": "yes"})
    finally:
        promotion_changed.disconnect(receiver)
    assert seen == [[listing.pk], [listing.pk]]
    assert [event.action for event in AuditEvent.objects.order_by("pk")] == ["added", "deleted"]


def test_what_a_platform_says_is_looked_at_and_not_changed(client, channel):
    signed_in(client, "Operator", channel)
    promotion = PromotionFactory(channel=channel, source="platform", platform_id="coupon:7")
    page = client.get(address(promotion, "change"))
    assert page.status_code == 200
    assert "_save" not in page.text
    assert client.post(address(promotion, "delete"), {"post": "yes"}).status_code == 403


def test_the_list_says_what_each_does_and_when(client, channel):
    signed_in(client, "Viewer", channel)
    now = timezone.now()
    PromotionFactory(channel=channel, name="Fifty", measure="amount", tiers=[[30_000, 5_000]])
    PromotionFactory(channel=channel, name="Soon", start=now + timedelta(days=1))
    PromotionFactory(channel=channel, name="Gone", end=now - timedelta(days=1))
    PromotionFactory(name="Theirs", channel=ChannelFactory(name="Theirs too"))
    text = client.get(reverse(LIST)).text
    for part in ("¥50.00 off from ¥300.00 on", "in force", "scheduled", "over"):
        assert part in text
    assert "Theirs" not in text
    for when, name in (("now", "Fifty"), ("later", "Soon"), ("over", "Gone")):
        found = client.get(reverse(LIST), {"when": when}).text
        assert [each for each in ("Fifty", "Soon", "Gone") if f"<strong>{each}</strong>" in found] == [name]


@pytest.mark.parametrize("role", ["Viewer", "Operator"])
def test_the_list_takes_the_same_queries_for_many_as_for_few(client, channel, role, django_assert_max_num_queries):
    signed_in(client, role, channel)
    PromotionFactory.create_batch(30, channel=channel)
    client.get(reverse(LIST))
    with django_assert_max_num_queries(12):
        client.get(reverse(LIST))


class TestFactsThatAPlatformDoesNotTell:
    @pytest.fixture
    def coupon(self, channel):
        return PromotionFactory(
            channel=channel, source="platform", platform_id="coupon-7", unknown=["auto", "scope", "start"]
        )

    def complete(self, client, coupon, **fields):
        return client.post(reverse("admin:catalog_promotion_complete", args=[coupon.pk]), fields)

    def test_its_page_says_what_is_missing_and_asks_for_nothing_else(self, client, channel, coupon):
        signed_in(client, "Operator", channel)
        text = client.get(address(coupon, "change")).text
        assert "which goods it is for" in text
        assert 'name="start"' in text
        assert 'name="end"' not in text
        assert "to be filled in" in client.get(reverse(LIST)).text

    def test_prices_cannot_be_told_before_and_can_afterwards(self, client, channel, coupon):
        signed_in(client, "Operator", channel)
        listing = ListingFactory(channel=channel, list_price=Decimal("99.00"))
        requote(listing_ids=[listing.pk], now=timezone.now())
        assert PriceQuote.objects.latest("pk").reason == "unknown:coupon-7"
        assert self.complete(client, coupon, scope=listing.platform_item_id).status_code == 302
        requote(listing_ids=[listing.pk], now=timezone.now())
        assert PriceQuote.objects.latest("pk").buy_one == 8900

    def test_what_was_filled_in_is_kept_when_it_is_read_again(self, client, channel, coupon):
        signed_in(client, "Operator", channel)
        self.complete(client, coupon, scope="616")
        again = PromotionFactory.build(
            channel=None, name=coupon.name, platform_id="coupon-7", unknown=["auto", "scope", "start"]
        )
        assert store_read(channel=channel, read=[again], now=timezone.now()) == Stored(same=1)
        coupon.refresh_from_db()
        assert (coupon.scope, coupon.confirmed) == ({"items": ["616"]}, ["auto", "scope", "start"])

    def test_what_the_platform_tells_after_all_counts(self, channel, coupon):
        Promotion.objects.update(scope={"items": ["616"]}, confirmed=["scope"])
        told = PromotionFactory.build(
            channel=None, name=coupon.name, platform_id="coupon-7", scope={"items": ["617"]}, unknown=["start"]
        )
        assert store_read(channel=channel, read=[told], now=timezone.now()) == Stored(changed=1)
        coupon.refresh_from_db()
        assert (coupon.scope, coupon.confirmed) == ({"items": ["617"]}, [])

    def test_a_viewer_looks_and_fills_nothing_in(self, client, channel, coupon):
        signed_in(client, "Viewer", channel)
        assert "This is right" not in client.get(address(coupon, "change")).text
        assert self.complete(client, coupon, scope="616").status_code == 403
