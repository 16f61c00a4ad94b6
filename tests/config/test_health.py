"""What probes and Prometheus are told."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from config import health
from integrations.models import ChannelHealth, ChannelSync, Heartbeat, ListingSync
from integrations.work import CLUSTERS
from monitoring.models import ListingWatch
from tests.factories import ChannelFactory, CredentialFactory, ListingFactory, ListingWatchFactory, OrderFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def beating():
    for name in CLUSTERS:
        Heartbeat.objects.create(name=name, beat_at=timezone.now())


def lines(response):
    return {
        name: float(value)
        for name, _space, value in (
            line.rpartition(" ") for line in response.content.decode().splitlines() if not line.startswith("#")
        )
    }


def test_healthz_answers_without_asking_the_database(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok")


def test_readyz_is_ready_while_everything_is_there(client, beating):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "checks": {"database": "ok", "migrations": "ok", "heartbeat-bulk": "ok", "heartbeat-interactive": "ok"},
    }


def test_readyz_names_a_cluster_that_is_silent_and_one_that_never_spoke(client):
    Heartbeat.objects.create(name="bulk", beat_at=timezone.now() - timedelta(seconds=400))
    response = client.get("/readyz")
    assert response.status_code == 503
    checks = response.json()["checks"]
    assert checks["heartbeat-bulk"].startswith("silent for 40")
    assert checks["heartbeat-interactive"] == "never seen"
    assert checks["database"] == "ok"


def test_readyz_says_so_when_the_database_does_not_answer(client, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "cursor", away)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == "does not answer"


def test_readyz_names_a_migration_that_was_not_applied(client, beating, monkeypatch):
    monkeypatch.setattr(health._Schema, "is_complete", False)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'integrations'")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["migrations"].startswith("not applied: integrations.0001_initial")


@pytest.mark.parametrize(
    ("token", "request_headers", "address", "status"),
    [
        pytest.param("", {}, "127.0.0.1", 200, id="no token set, this machine"),
        pytest.param("", {}, "::1", 200, id="no token set, this machine over IPv6"),
        pytest.param("", {}, "10.0.0.9", 403, id="no token set, another machine"),
        pytest.param("", {"X-Forwarded-For": "10.0.0.9"}, "127.0.0.1", 403, id="through a proxy on this machine"),
        pytest.param("s3", {"Authorization": "Bearer s3"}, "10.0.0.9", 200, id="the token from anywhere"),
        pytest.param("s3", {"Authorization": "Bearer s4"}, "127.0.0.1", 403, id="a wrong token"),
        pytest.param("s3", {}, "127.0.0.1", 403, id="a token is set but not sent"),
        pytest.param("s3", {"Authorization": "Bearer é"}, "127.0.0.1", 403, id="a token beyond ASCII"),
    ],
)
def test_metrics_are_for_the_token_or_this_machine(client, settings, token, request_headers, address, status):
    settings.METRICS_TOKEN = token
    assert client.get("/metrics", headers=request_headers, REMOTE_ADDR=address).status_code == status


def test_metrics_count_the_present(client):
    now = timezone.now()
    channel = CredentialFactory().channel
    ChannelFactory()
    ChannelFactory(is_watched=False)
    read = ListingFactory(channel=channel, shelf_state="on_shelf")
    old = ListingFactory(channel=channel, shelf_state="unknown")
    gone = ListingFactory(channel=channel, removed_at=now)
    ListingWatchFactory(listing=read, read_at=now - timedelta(minutes=5), outcome=ListingWatch.Outcome.READ)
    ListingWatchFactory(listing=old, read_at=now - timedelta(hours=30), outcome=ListingWatch.Outcome.FAILED)
    ListingWatchFactory(listing=gone, read_at=now - timedelta(days=300), outcome=ListingWatch.Outcome.READ)
    Heartbeat.objects.create(name="bulk", beat_at=now - timedelta(seconds=20))
    figures = lines(client.get("/metrics"))
    assert figures['evenshelf_listings{state="on_shelf"}'] == 1
    assert figures['evenshelf_listings{state="unknown"}'] == 1
    assert figures['evenshelf_listing_readings{outcome="failed"}'] == 1
    assert figures["evenshelf_listings_read_last_hour"] == 1
    assert figures["evenshelf_oldest_reading_age_seconds"] == pytest.approx(30 * 3600, abs=60)
    assert figures['evenshelf_queue_tasks{cluster="bulk"}'] == 0
    assert figures['evenshelf_heartbeat_age_seconds{cluster="bulk"}'] == pytest.approx(20, abs=10)
    assert 'evenshelf_heartbeat_age_seconds{cluster="interactive"}' not in figures
    assert figures['evenshelf_channels{state="connected"}'] == 1
    assert figures['evenshelf_channels{state="not-set-up"}'] == 1
    assert figures['evenshelf_channels{state="stopped"}'] == 1


def test_metrics_take_no_old_or_missing_reading_for_the_present(client):
    now = timezone.now()
    never, stale = ListingFactory(), ListingFactory(shelf_state="on_shelf")
    type(never).objects.filter(pk=never.pk).update(created_at=now - timedelta(hours=50))
    ListingWatchFactory(listing=never)
    ListingWatchFactory(listing=stale, read_at=now - timedelta(hours=3))
    figures = lines(client.get("/metrics"))
    assert figures['evenshelf_listings{state="unknown"}'] == 2
    assert 'evenshelf_listings{state="on_shelf"}' not in figures
    assert figures["evenshelf_oldest_reading_age_seconds"] == pytest.approx(50 * 3600, abs=60)


def test_metrics_tell_where_the_sync_of_each_channel_stands(client):
    now = timezone.now()
    written, held, off = (ChannelFactory() for _channel in range(3))
    read_until = now - timedelta(seconds=90)
    ages = {"full_at": now - timedelta(hours=7), "incremental_at": now - timedelta(minutes=3)}
    ChannelSync.objects.create(channel=written, is_on=True, is_confirmed=True, orders_read_until=read_until, **ages)
    ChannelSync.objects.create(channel=held, is_on=True, is_confirmed=True)
    ChannelHealth.objects.create(channel=held, retry_at=now + timedelta(hours=1))
    ChannelSync.objects.create(channel=off)
    for state, since in (("waiting", now - timedelta(minutes=10)), ("in-sync", None), ("refused", now)):
        due_at = now if state == "waiting" else None
        ListingSync.objects.create(
            listing=ListingFactory(channel=written), channel=written, state=state, due_at=due_at, changed_at=since
        )
    OrderFactory(channel=written, set_aside_at=now, retry_at=now)
    figures = lines(client.get("/metrics"))
    own = f'{{channel="{written.pk}"}}'
    assert figures[f"evenshelf_sync_backlog{own}"] == 1
    assert figures[f"evenshelf_sync_oldest_seconds{own}"] == pytest.approx(600, abs=60)
    assert figures[f"evenshelf_sync_full_age_seconds{own}"] == pytest.approx(7 * 3600, abs=60)
    assert figures[f"evenshelf_sync_incremental_age_seconds{own}"] == pytest.approx(180, abs=60)
    assert figures[f"evenshelf_sync_orders_lag_seconds{own}"] == pytest.approx(90, abs=60)
    assert figures[f"evenshelf_sync_orders_set_aside{own}"] == 1
    assert figures[f"evenshelf_sync_held{own}"] == 0
    assert figures[f'evenshelf_sync_listings{{channel="{written.pk}",state="refused"}}'] == 1
    other = f'{{channel="{held.pk}"}}'
    assert (figures[f"evenshelf_sync_held{other}"], figures[f"evenshelf_sync_backlog{other}"]) == (1, 0)
    for unknown in ("oldest_seconds", "full_age_seconds", "incremental_age_seconds", "orders_lag_seconds"):
        assert f"evenshelf_sync_{unknown}{other}" not in figures, "not known is not 0"
    assert not [name for name in figures if f'channel="{off.pk}"' in name]


def test_metrics_cost_the_same_queries_whatever_is_in_the_database(client, django_assert_num_queries):
    for _ in range(3):
        listing = ListingFactory(channel=CredentialFactory().channel)
        ListingWatchFactory(listing=listing, read_at=timezone.now())
        ChannelSync.objects.create(channel=listing.channel, is_on=True)
        ListingSync.objects.create(listing=listing, channel=listing.channel)
    with django_assert_num_queries(11):
        client.get("/metrics")


def test_metrics_hold_no_secret_and_no_listing(client):
    credential = CredentialFactory(app_key="key-of-ours", app_secret="secret-of-ours", access_token="token-of-ours")
    listing = ListingFactory(channel=credential.channel)
    text = client.get("/metrics").content.decode()
    for private in (
        "key-of-ours",
        "secret-of-ours",
        "token-of-ours",
        listing.platform_item_id,
        credential.channel.name,
    ):
        assert private not in text
