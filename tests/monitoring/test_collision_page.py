"""The list of losses ahead: what it says, where it leads, and who sees it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import ChannelFees
from catalog.promotions.services import save
from config.formatting import moment
from integrations.tasks import collision_lane
from monitoring.admin.collisions import price_url, reason_text
from monitoring.models import Alert, ListingPrice
from monitoring.services.collisions import scan
from tests.factories import ChannelFactory, ListingFactory, PromotionFactory, SkuFactory
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def listing_of(channel, **more):
    sku = SkuFactory(cost_price=Decimal("42.00"), cost_currency="CNY")
    sku.costs.update(valid_from=timezone.now() - DAY)
    ChannelFees.objects.get_or_create(
        channel=channel, valid_from=timezone.now() - DAY, tax_rate=1300, fee_rate=500, freight=600
    )
    return ListingFactory(channel=channel, sku=sku, list_price=Decimal("99.00"), **more)


@pytest.fixture
def channel():
    return ChannelFactory(name="Tmall flagship")


@pytest.fixture
def coupon(channel):
    starts = timezone.now().replace(microsecond=0) + 2 * DAY
    return PromotionFactory(channel=channel, name="Half price", value=5000, start=starts)


def page(client, **query):
    return client.get(reverse("admin:monitoring_collision_changelist"), query)


def test_a_row_tells_the_loss_its_first_minute_and_its_promotions(client, channel, coupon):
    listing = listing_of(channel, title="Kettle")
    scan(listing_ids=[listing.pk], now=timezone.now())
    signed_in(client, "Manager")
    text = page(client).text
    # 49.00 less 5.64 tax, 2.45 fee, 6.00 freight and 42.00 for the goods
    for part in ("Kettle", "¥49.00", "¥57.48", "¥7.09", "Half price", "Certain"):
        assert part in text
    link = price_url(listing.pk, coupon.start)
    assert link.replace("&", "&amp;") in text
    assert "¥49.00" in client.get(link).text


def test_possible_ones_name_their_rule_and_unknown_ones_their_reason(client, channel):
    listing, blind = listing_of(channel), listing_of(channel)
    blind.sku.costs.all().delete()
    for number in range(2):
        PromotionFactory(channel=channel, value=2500, platform_id=f"coupon:{number}")
    scan(listing_ids=[listing.pk, blind.pk], now=timezone.now())
    signed_in(client, "Manager")
    assert "not confirmed: Coupon: how many are used: several together" in page(client, tab="possible").text
    assert "not known: cost price" in page(client, tab="cannot-tell").text


def test_a_person_sees_the_channels_they_work_with_and_only_with_costs(client, channel, coupon):
    listings = [listing_of(channel), listing_of(ChannelFactory())]
    PromotionFactory(channel=listings[1].channel, name="Elsewhere", value=5000)
    scan(listing_ids=[each.pk for each in listings], now=timezone.now())
    signed_in(client, "Buyer", channel)
    text = page(client).text
    assert "Half price" in text
    assert "Elsewhere" not in text
    signed_in(client, "Viewer", channel)
    assert page(client).status_code == 403


def test_no_loss_is_told_of_only_once_all_that_a_person_sees_was_looked_through(client, channel):
    listing = listing_of(channel)
    for each in (listing, listing_of(ChannelFactory())):
        ListingPrice.objects.create(listing=each, due_at=timezone.now())
    signed_in(client, "Buyer", channel)
    text = page(client).text
    assert "Not all was looked through yet" in text
    assert "1 listing is still to be looked through." in text
    assert "No losses ahead" not in text
    scan(listing_ids=[listing.pk], now=timezone.now())
    text = page(client).text
    assert "No losses ahead" in text
    assert "still to be looked through" not in text


def test_a_list_takes_the_same_queries_for_many_rows_as_for_few(client, channel, coupon, django_assert_max_num_queries):
    scan(listing_ids=[listing_of(channel).pk for _number in range(12)], now=timezone.now())
    signed_in(client, "Manager")
    page(client)
    with django_assert_max_num_queries(12):
        assert page(client).text.count("Half price") == 12


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("missing:tax_rate,freight", "not known: tax, freight and packing"),
        ("unknown:coupon:9", "facts of a promotion are not known"),
        ("budget", "too many ways to combine the promotions"),
    ],
)
def test_reasons_in_words(reason, text):
    assert reason_text(reason) == text


def test_a_saved_promotion_is_looked_through_by_the_clock_and_its_warning_leads_to_the_price(
    client, channel, coupon, django_capture_on_commit_callbacks
):
    listing = listing_of(channel)
    assert collision_lane().startswith("0 listings")
    with django_capture_on_commit_callbacks(execute=True):
        save(promotion=coupon, actor=None, now=timezone.now())
    assert collision_lane() == "1 listings looked through: 1 certain and 0 possible losses, 0 cannot be told"
    signed_in(client, "Viewer", channel)
    text = client.get(reverse("admin:monitoring_alert_change", args=[Alert.objects.get().pk])).text
    assert f"From {moment(coupon.start)} on, down to ¥49.00, less than it costs" in text
    assert price_url(listing.pk, coupon.start).partition("?")[0] in text
    assert "57.48" not in text
