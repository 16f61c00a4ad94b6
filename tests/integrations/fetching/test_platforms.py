"""Watching shops of every platform end to end: whole passes, the button, holds and what the pages then say."""

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import Channel, Listing
from integrations.connections import connector_for, forget_failures
from integrations.fetching import fetch_slice, pass_over_channel
from integrations.models import ChannelHealth, Credential
from integrations.state import connection_badge
from monitoring.models import ListingWatch, Observation, PollRun
from monitoring.services import ensure_watches
from tests.factories import ListingFactory, UserFactory
from tests.integrations.connectors.subjects import SUBJECTS, ShopifySubject, WooCommerceSubject
from tests.integrations.fetching.test_slices import make_due
from tests.integrations.shops import shopify_channel, woocommerce_channel

pytestmark = pytest.mark.django_db

CHANNELS = {"shopify": shopify_channel, "woocommerce": woocommerce_channel}


@pytest.fixture(params=sorted(SUBJECTS))
def subject(request, simulator):
    return SUBJECTS[request.param](simulator)


@pytest.fixture
def connected(connect, simulator):
    """Returns a function that makes a channel of the subject's shop with the listings of these rows, due now."""

    def make(subject, rows):
        channel = CHANNELS[subject.platform](simulator) if subject.platform in CHANNELS else connect(count=0)
        Listing.objects.bulk_create(
            ListingFactory.build(
                channel=channel, platform_item_id=row.item_id, platform_sku_id=row.sku_id, title="", outer_id=""
            )
            for row in rows
        )
        ensure_watches(now=timezone.now() - timedelta(seconds=1))
        simulator.clear_ledger()
        return channel

    return make


def listing_of(channel, row):
    return Listing.objects.get(channel=channel, platform_item_id=row.item_id, platform_sku_id=row.sku_id)


def outcomes():
    return set(ListingWatch.objects.values_list("outcome", "cause"))


def page_of(channel, client):
    client.force_login(UserFactory(is_superuser=True))
    return client.get(f"/catalog/channel/{channel.pk}/change/").text


# --- Reading --------------------------------------------------------------------------------------------------------


def test_a_pass_over_a_whole_shop_reads_everything_as_it_is(connected, subject, simulator):
    rows = subject.rows()
    channel = connected(subject, rows)
    summary = pass_over_channel(channel=channel, now=timezone.now(), everything=True)
    assert (summary.read, summary.missing, summary.failed, summary.problems) == (len(rows), 0, 0, [])
    assert outcomes() == {("read", "")}
    for row in rows:
        listing = listing_of(channel, row)
        assert listing.list_price == row.list_price
        assert listing.stock == row.stock
    # A batch takes a call for its items, one for their variants, and one to find out how the shop tells these.
    batches = connector_for(channel).read_batches([row.ref() for row in rows])
    assert len(batches) <= 3
    assert len(simulator.ledger()) <= 3 * len(batches) + 1


def test_a_second_pass_over_a_market_that_stands_still_changes_nothing(connected, subject):
    channel = connected(subject, subject.rows()[:40])
    pass_over_channel(channel=channel, now=timezone.now(), everything=True)
    before = Observation.objects.count()
    summary = pass_over_channel(channel=channel, now=timezone.now(), everything=True)
    assert (summary.read, summary.changed) == (len(subject.rows()[:40]), 0)
    assert Observation.objects.count() == before


def test_orders_show_as_less_stock_at_the_next_reading(connected, subject, simulator):
    row = subject.ordinary()[0]
    channel = connected(subject, [row])
    fetch_slice(seconds=30)
    assert listing_of(channel, row).stock == row.stock
    for _ in range(4):  # one that is never paid takes nothing in some shops
        subject.order(row, 1)
    simulator.step(seconds=3600)
    left = subject.row(row).stock
    assert left < row.stock
    make_due()
    fetch_slice(seconds=30)
    assert listing_of(channel, row).stock == left


def test_a_listing_is_read_at_once_from_its_page(connected, subject, client):
    row = subject.ordinary()[0]
    channel = connected(subject, [row])
    client.force_login(UserFactory(is_superuser=True))
    listing = listing_of(channel, row)
    response = client.post(f"/connect/listings/{listing.pk}/fetch/", follow=True)
    assert "Fetched 1 listing; no price changed." in response.text
    subject.move_stock(row, 3)
    client.post(f"/connect/listings/{listing.pk}/fetch/")
    assert listing_of(channel, row).list_price == row.list_price
    assert listing_of(channel, row).stock != row.stock


def test_a_listing_that_is_gone_is_missing_and_the_others_are_read(connected, subject):
    first, second = subject.ordinary(2)
    channel = connected(subject, [first, second, subject.unknown(first)])
    summary = pass_over_channel(channel=channel, now=timezone.now(), everything=True)
    assert (summary.read, summary.missing, summary.failed) == (2, 1, 0)
    gone = listing_of(channel, subject.unknown(first))
    assert (gone.stock, gone.list_price) == (None, None)


# --- Access that ends -----------------------------------------------------------------------------------------------


def test_access_that_ends_between_two_calls_goes_on_where_no_person_is_needed(
    connected, subject, monkeypatch, settings, client
):
    settings.FETCH_THREADS = 1
    rows = subject.ordinary(4)
    channel = connected(subject, rows)
    connector_class = type(connector_for(channel))
    in_ones = connector_class.read_batches
    monkeypatch.setattr(
        connector_class, "read_batches", lambda self, refs: [b for ref in refs for b in in_ones(self, [ref])]
    )
    Credential.objects.update(authorised_at=timezone.now() - timedelta(hours=1))
    read = connector_class.read_listings
    calls = []

    def read_listings(self, batch, *, now):
        calls.append(batch)
        if len(calls) == 3:
            subject.end_access()
        return read(self, batch, now=now)

    monkeypatch.setattr(connector_class, "read_listings", read_listings)
    summary = fetch_slice(seconds=30)
    channel.credential.refresh_from_db()
    states = {channel.credential.state(timezone.now())}
    if connector_for_keys(channel).can_request_token:
        assert states == {Credential.State.CONNECTED}
        assert outcomes() == {("read", "")}
    else:
        assert states == {Credential.State.REAUTHORISE}
        assert ("read", "") in outcomes()
        [problem] = summary.problems
        # The one that was refused says why, the ones behind it were not asked for; nothing of them is taken for 0.
        assert outcomes() == {("read", ""), ("failed", problem.cause), ("", "")}
        assert not Listing.objects.exclude(watch__outcome="read").filter(stock__isnull=False).exists()
        assert problem.kind == "reauthorise"
        badge = connection_badge(Channel.objects.get(pk=channel.pk), timezone.now())
        assert badge.severity == "critical"
        assert str(badge.text) in page_of(channel, client)
        assert str(badge.text) in client.get("/").text


def connector_for_keys(channel):
    return channel.credential.connector(without_token=True)


def test_keys_that_work_again_are_used_once_they_are_entered(connected, subject):
    channel = connected(subject, subject.ordinary(2))
    subject.end_access()
    fetch_slice(seconds=30)
    given = subject.with_access().credentials
    stored = Credential.objects.get(channel=channel)
    stored.app_key, stored.app_secret = given.app_key, given.app_secret
    stored.access_token = getattr(given, "access_token", "")
    stored.revoked_cause, stored.authorised_at = "", timezone.now()
    stored.save()
    forget_failures(channel)
    make_due()
    summary = fetch_slice(seconds=30)
    assert (summary.read, summary.problems) == (2, [])


# --- Holds ----------------------------------------------------------------------------------------------------------


def test_a_platform_that_throttles_is_waited_for_and_its_listings_stay_due(connected, subject, client):
    channel = connected(subject, subject.ordinary(2))
    connector_for(channel)  # has its token before
    subject.throttle()
    summary = fetch_slice(seconds=1)
    health = ChannelHealth.objects.get(channel=channel)
    assert (summary.read, health.kind) == (0, "wait")
    assert health.cause in {"quota", "daily-quota"}
    assert health.failures == 0
    assert health.retry_at is not None
    assert health.retry_at > timezone.now()
    assert set(ListingWatch.objects.values_list("attempts", flat=True)) == {0}
    [problem] = summary.problems
    assert problem.retry_at == health.retry_at
    subject.simulator.clear_faults()
    ChannelHealth.objects.update(retry_at=timezone.now())
    assert fetch_slice(seconds=30).read == 2
    assert ChannelHealth.objects.get().kind == ""


HELD = [
    pytest.param("shopify", lambda s: s.shopify.set_store(status="frozen"), "shop-frozen", "Shop frozen", id="402"),
    pytest.param("shopify", lambda s: s.shopify.set_store(status="locked"), "shop-locked", "Shop locked", id="423"),
    pytest.param(
        "woocommerce",
        lambda s: s.woocommerce.revoke_key(s.woocommerce.shop()["consumer_key"]),
        "bad-app-key",
        "App key refused",
        id="a revoked key",
    ),
    pytest.param(
        "shopify",
        lambda s: s.shopify.set_store(scopes=["read_orders"]),
        "scope-missing",
        "Permission missing",
        id="a permission taken away",
    ),
]


@pytest.mark.parametrize(("platform", "spoil", "cause", "badge"), HELD)
def test_what_needs_a_person_is_told_on_the_channels_page_and_on_the_board(
    connected, simulator, client, platform, spoil, cause, badge
):
    subject = SUBJECTS[platform](simulator)
    row = subject.ordinary()[0]
    channel = connected(subject, [row])
    fetch_slice(seconds=30)
    price = listing_of(channel, row).list_price
    spoil(simulator)
    make_due()
    summary = fetch_slice(seconds=30)
    assert summary.read == 0
    [problem] = summary.problems
    assert problem.cause == cause
    watch = ListingWatch.objects.get()
    assert (watch.outcome, watch.cause) == ("failed", cause)
    # The last figures stay what they were, with the time at which they were read.
    assert listing_of(channel, row).list_price == price
    assert price is not None
    assert PollRun.objects.latest("pk").causes == {cause: 1}
    for text in (page_of(channel, client), client.get("/").text):
        assert badge in text


# --- Money ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject_class", "shop", "currency", "text"),
    [
        pytest.param(ShopifySubject, "shopify-tokyo", "JPY", "JP¥{:,.0f}", id="yen have no decimals"),
        pytest.param(ShopifySubject, "shopify-nuanju", "USD", "US${:,.2f}", id="dollars"),
        pytest.param(WooCommerceSubject, "woo-yatai", "EUR", "€{:,.2f}", id="euro"),
    ],
)
def test_amounts_stand_in_the_shops_currency(connected, simulator, client, subject_class, shop, currency, text):
    subject = subject_class(simulator, shop)
    row = subject.rows()[0]
    channel = connected(subject, [row])
    Channel.objects.filter(pk=channel.pk).update(currency=currency)
    if subject.platform == "shopify":
        keys = {"app_key": subject.shop["client_id"], "app_secret": subject.shop["client_secret"]}
        channel.credential.options["shop"] = subject.shop["domain"]
        Credential.objects.filter(channel=channel).update(options=channel.credential.options, **keys)
    assert fetch_slice(seconds=30).read == 1
    client.force_login(UserFactory(is_superuser=True))
    page = client.get(f"/catalog/listing/{listing_of(channel, row).pk}/change/").text
    assert text.format(row.list_price) in page
