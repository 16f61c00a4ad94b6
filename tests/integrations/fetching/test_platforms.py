"""Watching shops of every platform end to end: whole passes, the button, holds and what the pages then say."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from catalog.models import Listing
from integrations.connections import connector_for, forget_failures
from integrations.fetching import fetch_slice, pass_over_channel
from integrations.models import ChannelHealth, Credential
from monitoring.models import ListingWatch, Observation, PollRun
from monitoring.services import ensure_watches
from tests.factories import ListingFactory, UserFactory
from tests.integrations.connectors.subjects import SUBJECTS
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
        if subject.platform == "taobao":
            channel = connect(count=0)
        else:
            channel = CHANNELS[subject.platform](simulator)
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
    # The platform's batches were used: a call for every so many items, and for their variants.
    batches = -(-len(rows) // connector_for(channel).max_items_per_read)
    assert len(simulator.ledger()) <= 3 * batches + 1


def test_a_second_pass_over_a_market_that_stands_still_changes_nothing(connected, subject):
    channel = connected(subject, subject.rows()[:40])
    pass_over_channel(channel=channel, now=timezone.now(), everything=True)
    before = Observation.objects.count()
    summary = pass_over_channel(channel=channel, now=timezone.now(), everything=True)
    assert (summary.read, summary.changed) == (len(subject.rows()[:40]), 0)
    assert Observation.objects.count() == before


def test_an_order_shows_as_less_stock_at_the_next_reading(connected, subject):
    row = subject.ordinary()[0]
    channel = connected(subject, [row])
    fetch_slice(seconds=5)
    assert listing_of(channel, row).stock == row.stock
    subject.order(row, 2)
    make_due()
    fetch_slice(seconds=5)
    assert subject.row(row).stock in {row.stock, row.stock - 2}  # some count units only as held until they are paid
    assert listing_of(channel, row).stock == row.stock - 2


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


def test_access_that_ends_between_two_calls_goes_on_where_no_person_is_needed(connected, subject, monkeypatch, client):
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
    monkeypatch.setattr("integrations.fetching.engine.SHARE", 1)
    fetch_slice(seconds=5)
    channel.credential.refresh_from_db()
    states = {channel.credential.state(timezone.now())}
    if connector_for_keys(channel).can_request_token:
        assert states == {Credential.State.CONNECTED}
        assert outcomes() == {("read", "")}
    else:
        assert states == {Credential.State.REAUTHORISE}
        assert ("read", "") in outcomes()
        assert len(outcomes()) == 2  # what was not read says why, and nothing of it is taken for 0
        assert not Listing.objects.filter(watch__outcome="failed", stock=0).exists()
        assert 'class="es-badge es-critical' in page_of(channel, client) or "critical" in page_of(channel, client)


def connector_for_keys(channel):
    return channel.credential.connector(without_token=True)


def test_keys_that_work_again_are_used_once_they_are_entered(connected, subject):
    channel = connected(subject, subject.ordinary(2))
    subject.end_access()
    fetch_slice(seconds=5)
    given = subject.with_access().credentials
    stored = Credential.objects.get(channel=channel)
    stored.app_key, stored.app_secret = given.app_key, given.app_secret
    stored.access_token = getattr(given, "access_token", "")
    stored.revoked_cause, stored.authorised_at = "", timezone.now()
    stored.save()
    forget_failures(channel)
    make_due()
    summary = fetch_slice(seconds=5)
    assert (summary.read, summary.problems) == (2, [])


# --- Holds ----------------------------------------------------------------------------------------------------------


def test_a_platform_that_throttles_is_waited_for_and_its_listings_stay_due(connected, subject, client):
    channel = connected(subject, subject.ordinary(2))
    subject.throttle()
    summary = fetch_slice(seconds=1)
    health = ChannelHealth.objects.get(channel=channel)
    assert (summary.read, health.kind) == (0, "wait")
    assert health.cause in {"quota", "daily-quota"}
    assert health.failures == 0
    assert health.retry_at > timezone.now()
    assert set(ListingWatch.objects.values_list("attempts", flat=True)) == {0}
    [problem] = summary.problems
    assert problem.retry_at == health.retry_at
    subject.simulator.clear_faults()
    ChannelHealth.objects.update(retry_at=timezone.now())
    assert fetch_slice(seconds=5).read == 2
    assert ChannelHealth.objects.get().kind == ""


HELD = [
    pytest.param("shopify", lambda s: s.shopify.set_store(status="frozen"), "shop-frozen", "Shop frozen", id="402"),
    pytest.param("shopify", lambda s: s.shopify.set_store(status="locked"), "shop-locked", "Shop locked", id="423"),
    pytest.param(
        "woocommerce",
        lambda s: s.woocommerce.revoke_key(s.woocommerce.shop()["consumer_key"]),
        None,
        None,
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
    fetch_slice(seconds=5)
    price = listing_of(channel, row).list_price
    spoil(simulator)
    make_due()
    summary = fetch_slice(seconds=5)
    assert summary.read == 0
    [problem] = summary.problems
    cause = cause or problem.cause
    assert problem.cause == cause
    watch = ListingWatch.objects.get()
    assert (watch.outcome, watch.cause) == ("failed", cause)
    # The last figures stay what they were, with the time at which they were read.
    assert listing_of(channel, row).list_price == price
    assert isinstance(price, Decimal)
    for text in (page_of(channel, client), client.get("/").text):
        assert badge is None or badge in text
    assert PollRun.objects.filter(causes__has_key=cause).exists() or cause in str(
        list(PollRun.objects.values_list("causes", flat=True))
    )
