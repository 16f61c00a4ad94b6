"""“Fetch now”, pause and the interval, from the pages of listings and channels."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from catalog.models import AuditEvent, Listing
from integrations import fetch_now
from integrations.fetching import FetchSummary
from integrations.models import ChannelHealth
from monitoring.models import ListingWatch, Observation
from tests.factories import CredentialFactory, ListingFactory, ListingWatchFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(client):
    user = UserFactory(is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def channel(simulator):
    account = simulator.taobao.account
    return CredentialFactory(
        app_key=account["app_key"],
        app_secret=account["app_secret"],
        access_token=simulator.taobao.shop()["session"],
        base_url=simulator.base_url,
        channel__name="天猫旗舰店",
    ).channel


@pytest.fixture
def rows(simulator):
    return simulator.taobao.items(shop=simulator.taobao.shop()["shop"])


def listing_of(channel, row) -> Listing:
    listing = ListingFactory(
        channel=channel, platform_item_id=row["num_iid"], platform_sku_id=row["sku_id"] or "", title=""
    )
    ListingWatchFactory(listing=listing, next_due_at=timezone.now() + timedelta(hours=1))
    return listing


def bulk(client, action: str, listings):
    return client.post(
        "/catalog/listing/",
        {"action": action, "_selected_action": [listing.pk for listing in listings], "index": "0"},
        follow=True,
    )


def told(response) -> list[tuple[str, str]]:
    """The messages of the page, each behind its level."""
    return [(message.level_tag, message.message) for message in response.context["messages"]]


@pytest.mark.parametrize(
    ("fields", "is_offered"),
    [
        pytest.param({}, True, id="connected"),
        pytest.param({"access_token": ""}, False, id="not authorised yet"),
        pytest.param({"app_key": "", "app_secret": "", "access_token": ""}, False, id="not set up"),
    ],
)
def test_it_is_offered_where_the_channel_is_connected(client, owner, fields, is_offered):
    listing = ListingFactory(channel=CredentialFactory(**fields).channel)
    for page in (f"/catalog/channel/{listing.channel_id}/change/", f"/catalog/listing/{listing.pk}/change/"):
        assert ("Fetch now" in client.get(page).text) is is_offered


def test_for_many_it_is_offered_unless_the_list_is_of_a_channel_that_is_not_connected(client, owner):
    silent = ListingFactory(channel=CredentialFactory(access_token="").channel)
    connected = ListingFactory(channel=CredentialFactory().channel)
    for channel_id, is_offered in ((silent.channel_id, False), (connected.channel_id, True), ("", True), ("x", True)):
        page = client.get("/catalog/listing/", {"channel__id__exact": channel_id} if channel_id else {}, follow=True)
        assert ("Fetch now" in page.text) is is_offered, channel_id


def fetch(client, listing):
    return client.post(f"/connect/listings/{listing.pk}/fetch/", follow=True)


def test_a_listing_is_read_at_once_and_a_changed_price_is_counted(simulator, client, owner, channel, rows):
    listing = listing_of(channel, rows[0])
    response = fetch(client, listing)
    assert "Fetched 1 listing; no price changed." in response.text
    assert response.redirect_chain == [(f"/catalog/listing/{listing.pk}/change/", 302)]
    assert "Fetched 1 listing; no price changed." in fetch(client, listing).text
    simulator.taobao.set_item(rows[0]["num_iid"], rows[0]["sku_id"] or "", price="4321.00")
    assert "1 price changed." in fetch(client, listing).text
    listing.refresh_from_db()
    assert listing.list_price == Decimal("4321")
    assert Observation.objects.filter(listing=listing).count() == 2


def test_chosen_listings_are_read_together(client, owner, channel, rows):
    listings = [listing_of(channel, row) for row in rows[:3]]
    response = bulk(client, "fetch_now", listings)
    assert told(response) == [("success", "Fetched 3 listings; no price changed.")]


def test_a_hold_is_told_with_the_time_at_which_it_began(client, owner, channel, rows, time_machine):
    now = datetime(2026, 11, 21, 4, 30, tzinfo=UTC)
    time_machine.move_to(now, tick=False)
    began = now - timedelta(minutes=20)
    ChannelHealth.objects.create(
        channel=channel, kind="wait", cause="quota", failed_at=began, retry_at=began + timedelta(hours=1)
    )
    [(level, text)] = told(fetch(client, listing_of(channel, rows[0])))
    assert level == "error"
    assert text == (
        "No listing was read. 天猫旗舰店 limited our calls at 12:10. It asks for a long wait; we try again at 13:10."
    )


def test_a_listing_that_the_platform_does_not_know_is_told(client, owner, channel, rows):
    unknown = ListingWatchFactory(listing__channel=channel, listing__platform_item_id="999999999999").listing
    response = bulk(client, "fetch_now", [listing_of(channel, rows[0]), unknown])
    assert told(response) == [
        ("warning", "Read 1 of 2 listings; 1 not (1 not known to the platform). No price changed."),
        (
            "warning",
            "天猫旗舰店: the item is not known to the platform. It was deleted, or its id is wrong. "
            "Remove the listing, or add it again with the right id.",
        ),
    ]


@pytest.mark.parametrize(
    ("summary", "text"),
    [
        pytest.param(
            FetchSummary(read=23, missing=2, failed=39),
            "Read 23 of 64 listings; 41 not (2 not known to the platform, 39 failed).",
            id="missing and failed",
        ),
        pytest.param(FetchSummary(read=60), "Read 60 of 64 listings; 4 not (4 not tried).", id="not tried"),
    ],
)
def test_a_partial_reading_names_what_was_not_read(summary, text):
    assert fetch_now._part(summary, 64) == text


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        pytest.param({"code": 27, "sub_code": "invalid-sessionkey"}, "refused our access at", id="token"),
        pytest.param({"code": 25}, "“App secret” is most likely wrong", id="signature"),
        pytest.param(
            {"code": 11, "sub_code": "isv.permission-api-package-limit"}, "lacks a permission", id="permission"
        ),
        pytest.param({"code": 7, "sub_code": "accesscontrol.limited-by-app-access-count"}, "used up at", id="quota"),
        pytest.param({"status": 503}, "an error of its own", id="server error"),
        pytest.param({"kind": "html"}, "something that is not data", id="HTML"),
    ],
)
def test_what_went_wrong_is_one_plain_sentence(simulator, client, owner, channel, rows, fault, part):
    simulator.taobao.fail_next(times=0, **fault)
    listing = listing_of(channel, rows[0])
    response = fetch(client, listing)
    [(level, text)] = told(response)
    assert level == "error"
    assert text.startswith("No listing was read. ")
    assert part in text
    assert channel.credential.app_secret not in response.text
    assert "Traceback" not in response.text
    listing.refresh_from_db()
    assert (listing.list_price, listing.stock, listing.shelf_state) == (None, None, "unknown")
    assert ChannelHealth.objects.get().cause


def test_a_channel_that_is_not_authorised_says_so(client, owner):
    channel = CredentialFactory(access_token="").channel
    listing = ListingWatchFactory(listing__channel=channel).listing
    assert "has not authorised the app" in fetch(client, listing).text


def test_a_good_answer_ends_what_held_the_channel_back(client, owner, channel, rows):
    ChannelHealth.objects.create(
        channel=channel, failures=6, kind="fatal", cause="bad-signature", retry_at=timezone.now() + timedelta(minutes=9)
    )
    assert "Fetched 1 listing" in fetch(client, listing_of(channel, rows[0])).text
    health = ChannelHealth.objects.get()
    assert (health.failures, health.kind, health.retry_at) == (0, "", None)


def test_a_whole_channel_is_fetched_from_its_page(client, owner, channel, rows):
    for row in rows[:2]:
        listing_of(channel, row)
    response = client.post(f"/connect/channels/{channel.pk}/fetch/", follow=True)
    assert "Fetched 2 listings" in response.text


def test_more_than_fit_a_request_are_left_to_the_worker(
    client, owner, channel, rows, monkeypatch, django_capture_on_commit_callbacks
):
    queued: list[list[int]] = []
    monkeypatch.setattr(fetch_now, "request_fetch", queued.append)
    monkeypatch.setattr(fetch_now, "READ_IN_REQUEST", 2)
    listings = [listing_of(channel, row) for row in rows[:3]]
    with django_capture_on_commit_callbacks(execute=True):
        response = bulk(client, "fetch_now", listings)
    assert "3 listings are being read." in response.text
    assert queued == [[listing.pk for listing in listings]]
    assert not ListingWatch.objects.filter(next_due_at__gt=timezone.now()).exists()


# --- Who may --------------------------------------------------------------------------------------------------------


def role(client, name: str, *channels):
    user = UserFactory()
    user.groups.add(Group.objects.get(name=name))
    user.channels.set(channels)
    client.force_login(user)
    return user


def test_an_operator_of_the_channel_may_fetch(client, channel, rows):
    listing = listing_of(channel, rows[0])
    role(client, "Operator", channel)
    assert "Fetched 1 listing" in fetch(client, listing).text


@pytest.mark.parametrize("deed", ["fetch", "pause", "resume", "interval"])
def test_a_viewer_may_not(client, channel, rows, deed):
    listing = listing_of(channel, rows[0])
    role(client, "Viewer", channel)
    assert client.post(f"/connect/listings/{listing.pk}/{deed}/").status_code == 403


@pytest.mark.parametrize("deed", ["fetch", "pause", "resume", "interval"])
def test_an_operator_of_other_channels_finds_nothing(client, channel, rows, deed):
    listing = listing_of(channel, rows[0])
    role(client, "Operator")
    assert client.post(f"/connect/listings/{listing.pk}/{deed}/").status_code == 404


@pytest.mark.parametrize("deed", ["fetch", "pause", "resume"])
def test_nothing_happens_by_get(client, owner, channel, rows, deed):
    assert client.get(f"/connect/listings/{listing_of(channel, rows[0]).pk}/{deed}/").status_code == 405


def test_a_removed_listing_is_not_fetched(client, owner, channel, rows):
    listing = listing_of(channel, rows[0])
    Listing.objects.update(removed_at=timezone.now())
    assert client.post(f"/connect/listings/{listing.pk}/fetch/").status_code == 404


# --- Pause and interval ---------------------------------------------------------------------------------------------


def test_a_listing_is_paused_and_resumed_and_both_are_audited(client, owner, channel, rows):
    listing = listing_of(channel, rows[0])
    response = client.post(f"/connect/listings/{listing.pk}/pause/", follow=True)
    assert "Paused 1 listing." in response.text
    assert f"/connect/listings/{listing.pk}/resume/" in response.text
    assert ListingWatch.objects.get().is_paused
    client.post(f"/connect/listings/{listing.pk}/resume/")
    watch = ListingWatch.objects.get()
    assert not watch.is_paused
    assert watch.next_due_at <= timezone.now()
    events = AuditEvent.objects.filter(object_type="catalog.listing").order_by("pk")
    assert [(event.action, event.changes) for event in events] == [
        ("paused", {"monitoring.listingwatch.is_paused": [False, True]}),
        ("resumed", {"monitoring.listingwatch.is_paused": [True, False]}),
    ]


def test_chosen_listings_are_paused_once(client, owner, channel, rows):
    listings = [listing_of(channel, row) for row in rows[:3]]
    client.post(f"/connect/listings/{listings[0].pk}/pause/")
    assert "Paused 2 listings." in bulk(client, "pause", listings).text
    assert "Resumed 3 listings." in bulk(client, "resume", listings).text


def test_a_listing_can_have_its_own_interval(client, owner, channel, rows):
    listing = listing_of(channel, rows[0])
    address = f"/connect/listings/{listing.pk}/interval/"
    assert "from 30 seconds to 7 days" in client.get(address).text
    assert "Saved: read every 1 min." in client.post(address, {"interval_seconds": "60"}, follow=True).text
    watch = ListingWatch.objects.get()
    assert (watch.interval_seconds, watch.next_due_at <= timezone.now()) == (60, True)
    assert AuditEvent.objects.get(action="interval changed").changes == {
        "monitoring.listingwatch.interval_seconds": [None, 60]
    }
    client.post(address, {"interval_seconds": ""})
    assert ListingWatch.objects.get().interval_seconds is None


@pytest.mark.parametrize("seconds", ["29", "0", "-5", "604801", "abc"])
def test_an_interval_out_of_bounds_is_refused(client, owner, channel, rows, seconds):
    listing = listing_of(channel, rows[0])
    response = client.post(f"/connect/listings/{listing.pk}/interval/", {"interval_seconds": seconds})
    assert response.status_code == 400
    assert ("whole number of seconds" if seconds == "abc" else "enter 30 to 604800") in response.text
    assert ListingWatch.objects.get().interval_seconds is None


def test_more_listings_than_a_statement_takes_parameters_are_left_to_the_worker(django_capture_on_commit_callbacks):
    watch = ListingWatchFactory(next_due_at=timezone.now() + timedelta(hours=1))
    now = timezone.now()
    result = fetch_now.fetch_now(listing_ids=[*range(10**6, 10**6 + 40_000), watch.pk], now=now)
    assert result.done == "40001 listings are being read."
    watch.refresh_from_db()
    assert watch.next_due_at == now
