"""Tokens that are had without a person, got and renewed at the simulator."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.db import connection
from django.utils import timezone

from catalog.models import AuditEvent
from integrations import services, tokens
from integrations.connections import Unconnected, connector_for, mark_failed, renew_token
from integrations.connectors.base import Connector, ListingRef, ReadOutcome
from integrations.connectors.errors import Reauthorise
from integrations.fetching import fetch_slice
from integrations.models import ChannelHealth, Credential, QuotaSlot
from integrations.services import authorisation_ends
from monitoring.models import ListingWatch
from monitoring.services import ensure_watches
from tests.factories import CredentialFactory, ListingFactory, UserFactory
from tests.integrations.shops import shopify_channel, woocommerce_channel

pytestmark = pytest.mark.django_db

State, Grant = Credential.State, Credential.Grant
HOUR = timedelta(hours=1)


def stored() -> Credential:
    return Credential.objects.select_related("channel").get()


def token_calls(simulator) -> int:
    return len(simulator.ledger(method="token"))


def move(**times) -> Credential:
    """Set times of the stored token, relative to now."""
    now = timezone.now()
    Credential.objects.update(**{name: now + offset for name, offset in times.items()})
    return stored()


def consent(client, channel) -> str:
    """Send a person through the consent of the shop; returns the address they are sent back to."""
    client.force_login(UserFactory(is_superuser=True))
    url = client.get(f"/connect/channels/{channel.pk}/authorise/").context["url"]
    back = urlsplit(requests.get(url, allow_redirects=False, timeout=10).headers["Location"])
    return f"{back.path}?{back.query}"


@pytest.fixture
def public_channel(simulator, client):
    """A channel whose shop has given its consent: a token of an hour, and one to refresh it."""
    simulator.shopify.set_oauth(redirect_uris=["http://127.0.0.1:8000/connect/callback/"])
    channel = shopify_channel(simulator, kind="public")
    answer = client.get(consent(client, channel), follow=True)
    assert "Its token renews itself." in answer.text
    simulator.clear_ledger()
    return stored().channel


# --- How a channel is let in ----------------------------------------------------------------------------------------


def test_keys_alone_connect_a_shop_that_needs_no_token(simulator):
    credential = woocommerce_channel(simulator).credential
    now = timezone.now()
    assert (credential.grant, credential.state(now), credential.renews_itself(now)) == (
        Grant.KEYS, State.CONNECTED, False,
    )  # fmt: skip
    assert connector_for(credential.channel).check_connection(now=now)


def test_a_pasted_token_connects_a_custom_app(simulator):
    credential = shopify_channel(simulator, kind="custom").credential
    now = timezone.now()
    assert (credential.grant, credential.state(now)) == (Grant.KEYS, State.CONNECTED)
    assert connector_for(credential.channel).check_connection(now=now)
    credential.access_token = ""
    assert credential.state(now) == State.NOT_SET_UP


@pytest.mark.parametrize(
    ("kind", "missing", "expected"),
    [
        pytest.param("client_credentials", {"app_secret": ""}, State.NOT_SET_UP, id="no secret"),
        pytest.param("client_credentials", {"options": {}}, State.NOT_SET_UP, id="no shop"),
        pytest.param("client_credentials", {}, State.CONNECTED, id="a token is asked for when it is needed"),
        pytest.param("public", {}, State.NOT_AUTHORISED, id="no consent"),
        pytest.param("custom", {}, State.CONNECTED, id="a token that was entered"),
    ],
)
def test_the_state_follows_what_the_kind_of_app_needs(simulator, kind, missing, expected):
    credential = shopify_channel(simulator, kind=kind).credential
    for name, value in missing.items():
        setattr(credential, name, value)
    assert credential.state(timezone.now()) == expected


def test_a_shop_without_an_address_is_not_set_up(db):
    credential = CredentialFactory(channel__platform="woocommerce", base_url="", access_token="")
    assert credential.state(timezone.now()) == State.NOT_SET_UP


# --- A token for the keys -------------------------------------------------------------------------------------------


def test_a_token_is_got_before_the_first_call_and_kept_for_the_next(simulator):
    channel = shopify_channel(simulator)
    assert connector_for(channel).check_connection(now=timezone.now())
    credential = stored()
    assert credential.access_token.startswith("shpat_")
    assert tokens.works(credential, timezone.now() + 23 * HOUR)
    assert credential.state(timezone.now()) == State.CONNECTED
    connector_for(credential.channel)
    assert token_calls(simulator) == 1


def test_a_token_of_a_day_that_renews_itself_alarms_nobody(simulator):
    channel = shopify_channel(simulator)
    connector_for(channel)
    credential = move(token_expires_at=7 * HOUR, authorised_at=-17 * HOUR)
    assert credential.state(timezone.now()) == State.CONNECTED
    ends_at = authorisation_ends(timezone.now())[channel.pk]
    assert ends_at is not None
    assert ends_at > timezone.now() + timedelta(days=3650)
    assert not tokens.is_due(credential, timezone.now())
    credential = move(token_expires_at=5 * HOUR, authorised_at=-19 * HOUR)
    assert services.refresh_expiring(timezone.now()) == "1 tokens renewed, 0 failed"
    assert stored().access_token != credential.access_token
    assert services.refresh_expiring(timezone.now()) == "0 tokens renewed, 0 failed"


def test_a_token_that_should_have_been_renewed_long_ago_is_a_warning(simulator):
    connector_for(shopify_channel(simulator))
    assert move(token_expires_at=2 * HOUR, authorised_at=-22 * HOUR).state(timezone.now()) == State.EXPIRING


def test_a_token_that_ended_over_night_is_replaced_before_the_call(simulator):
    connector_for(shopify_channel(simulator))
    ended = stored().access_token
    channel = move(token_expires_at=-HOUR, authorised_at=-25 * HOUR).channel
    assert connector_for(channel).check_connection(now=timezone.now())
    assert stored().access_token != ended


def test_a_wrong_secret_holds_the_channel_and_is_told_apart(simulator):
    channel = shopify_channel(simulator, app_secret="0" * 32)
    with pytest.raises(Unconnected) as caught:
        connector_for(channel)
    health = ChannelHealth.objects.get()
    assert health.cause == caught.value.cause != ""
    assert health.retry_at is not None
    assert "0" * 32 not in f"{caught.value} {caught.value.__cause__}"


def test_one_worker_gets_the_token_and_the_others_wait_for_it(simulator):
    channel = shopify_channel(simulator)
    now = timezone.now()
    slot = {"credential": channel.credential, "operation": tokens.RENEWAL}
    QuotaSlot.objects.create(**slot, next_free_at=now + timedelta(seconds=30))
    with pytest.raises(Unconnected) as caught:
        connector_for(channel, now=now)
    assert caught.value.cause == "token-renewal"
    assert token_calls(simulator) == 0


def test_a_failed_try_is_not_repeated_at_once_and_the_pause_fits_the_life_that_is_left(simulator):
    connector_for(shopify_channel(simulator))
    credential = move(token_expires_at=5 * HOUR, authorised_at=-19 * HOUR)
    simulator.shopify.fail_next(method="token", times=0, status=503)
    now = timezone.now()
    assert services.refresh_expiring(now) == "0 tokens renewed, 1 failed"
    assert services.refresh_expiring(now + 20 * timedelta(minutes=1)) == "0 tokens renewed, 0 failed"
    assert services.refresh_expiring(now + 31 * timedelta(minutes=1)) == "0 tokens renewed, 1 failed"
    assert stored().access_token == credential.access_token
    assert not ChannelHealth.objects.filter(failures__gt=0).exists(), "the present token works"
    assert connector_for(stored().channel).check_connection(now=now)


def test_a_new_secret_is_tried_at_once(simulator):
    channel = shopify_channel(simulator)
    connector_for(channel)
    owner = UserFactory()
    services.save_credential(channel=channel, values={"app_secret": "0" * 32}, actor=owner, now=timezone.now())
    assert stored().access_token == ""


# --- Consent --------------------------------------------------------------------------------------------------------


def test_a_person_is_sent_to_the_shops_own_address(simulator, client):
    client.force_login(UserFactory(is_superuser=True))
    channel = shopify_channel(simulator, kind="public")
    Credential.objects.update(base_url="")
    page = client.get(f"/connect/channels/{channel.pk}/authorise/")
    assert page.context["url"].startswith("https://nuanju-home.myshopify.com/admin/oauth/authorize?")
    assert "You will be sent to nuanju-home.myshopify.com." in page.text


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"shop": "other.myshopify.com"}, id="another shop"),
        pytest.param({"code": "guessed"}, id="another code"),
        pytest.param({"hmac": "0" * 64}, id="another signature"),
        pytest.param({"hmac": ""}, id="no signature"),
        pytest.param({"extra": "1"}, id="something added"),
    ],
)
def test_a_callback_that_the_platform_did_not_send_is_refused(simulator, client, changed):
    simulator.shopify.set_oauth(redirect_uris=["http://127.0.0.1:8000/connect/callback/"])
    channel = shopify_channel(simulator, kind="public")
    path, _, query = consent(client, channel).partition("?")
    sent = {name: values[0] for name, values in parse_qs(query).items()}
    refused = client.get(path, {**sent, **changed})
    assert refused.status_code == 400
    assert "was not sent by the platform" in refused.text
    assert stored().access_token == ""
    assert token_calls(simulator) == 0


def test_a_channel_that_needs_no_consent_is_not_sent_to_ask_for_it(simulator, client):
    client.force_login(UserFactory(is_superuser=True))
    channel = woocommerce_channel(simulator)
    answer = client.get(f"/connect/channels/{channel.pk}/authorise/", follow=True)
    assert answer.redirect_chain == [(f"/catalog/channel/{channel.pk}/change/", 302)]
    assert "needs no consent" in answer.text


# --- Rotation -------------------------------------------------------------------------------------------------------


def test_a_pair_of_tokens_is_replaced_when_a_quarter_of_the_hour_is_left(simulator, public_channel):
    before = stored()
    assert before.refresh_expires_at is not None
    assert before.refresh_expires_at > timezone.now() + timedelta(days=80)
    assert before.state(timezone.now()) == State.CONNECTED
    now = timezone.now()
    assert services.refresh_expiring(now + timedelta(minutes=44)) == "0 tokens renewed, 0 failed"
    assert services.refresh_expiring(now + timedelta(minutes=46)) == "1 tokens renewed, 0 failed"
    after = stored()
    assert after.access_token != before.access_token
    assert after.refresh_token != before.refresh_token
    assert not AuditEvent.objects.filter(action="token renewed").exists(), "24 a day would fill the log"
    assert authorisation_ends(now)[after.channel_id] == after.refresh_expires_at


def test_a_crash_between_the_answer_and_the_store_loses_neither_token(simulator, public_channel):
    credential = stored()
    connector = credential.connector(without_token=True)
    connector.refresh(refresh_token=credential.refresh_token, now=timezone.now())  # and then the power fails
    credential = move(token_expires_at=timedelta(minutes=5), authorised_at=-timedelta(minutes=55))
    assert renew_token(credential.channel, timezone.now()).renewed
    assert connector_for(stored().channel).check_connection(now=timezone.now())


def test_what_a_person_granted_meanwhile_is_not_overwritten(simulator, public_channel):
    credential = stored()
    newer = {"access_token": "shpat_newer", "refresh_token": "shprt_newer"}

    class Meanwhile:
        def refresh(self, *, refresh_token, now):
            row = stored()
            row.access_token, row.refresh_token = newer.values()
            row.save()
            return credential.connector(without_token=True).refresh(refresh_token=refresh_token, now=now)

    assert not tokens.renew(credential=credential, connector=cast("Connector", Meanwhile()), now=timezone.now())
    assert {name: getattr(stored(), name) for name in newer} == newer


def test_a_dead_refresh_token_asks_a_person_once_the_token_has_ended(simulator, public_channel):
    simulator.shopify.change_tokens(revoke_refresh="shopify-nuanju")
    credential = move(token_expires_at=timedelta(minutes=10), authorised_at=-timedelta(minutes=50))
    services.refresh_expiring(timezone.now())
    assert stored().revoked_cause == ""
    QuotaSlot.objects.all().delete()
    credential = move(token_expires_at=-timedelta(seconds=1))
    with pytest.raises(Unconnected):
        connector_for(credential.channel)
    assert stored().state(timezone.now()) == State.REAUTHORISE


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_asks_for_the_token(simulator):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's test database is in memory, where writers do not wait for each other")
    shopify_channel(simulator)
    together = Barrier(6)

    def renewed(_worker) -> bool:
        channel = stored().channel
        together.wait(20)
        try:
            return renew_token(channel, timezone.now()).renewed
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(renewed, range(6))) == 1
    assert token_calls(simulator) == 1


def test_a_worker_that_comes_second_with_what_it_had_loaded_asks_for_nothing(simulator, public_channel):
    late = move(token_expires_at=timedelta(minutes=5), authorised_at=-timedelta(minutes=55))
    assert renew_token(stored().channel, timezone.now()).renewed
    assert not renew_token(late.channel, timezone.now()).renewed
    assert token_calls(simulator) == 1
    assert late.channel.credential.access_token == stored().access_token


# --- Refused before its time ----------------------------------------------------------------------------------------


@pytest.fixture
def watched(simulator):
    """A channel with a token that has been in use for a while, and three listings that are due."""
    channel = shopify_channel(simulator)
    connector_for(channel)
    move(authorised_at=-HOUR)
    for row in simulator.shopify.variants()[:3]:
        ids = [row[name].rpartition("/")[2] for name in ("product_id", "variant_id")]
        ListingFactory(channel=channel, platform_item_id=ids[0], platform_sku_id=ids[1])
    ensure_watches(now=timezone.now() - timedelta(seconds=1))
    simulator.clear_ledger()
    return stored().channel


def outcomes() -> set[tuple[str, str]]:
    return set(ListingWatch.objects.values_list("outcome", "cause"))


def test_a_token_refused_in_mid_run_is_replaced_and_the_listings_are_read_in_the_same_run(simulator, watched):
    before = stored()
    simulator.shopify.change_tokens(revoke="shopify-nuanju")
    summary = fetch_slice(now_fn=timezone.now, seconds=30)
    assert not summary.problems
    assert outcomes() == {("read", "")}
    after = stored()
    assert after.access_token != before.access_token
    assert after.revoked_cause == ""
    assert token_calls(simulator) == 1


def test_a_refused_new_token_asks_a_person(simulator, watched):
    simulator.shopify.fail_next(method="shop,nodes", times=0, status=401)
    fetch_slice(now_fn=timezone.now, seconds=30)
    assert stored().state(timezone.now()) == State.REAUTHORISE
    assert token_calls(simulator) == 1
    assert AuditEvent.objects.filter(action="authorisation lost").count() == 1


def test_a_refusal_while_no_token_is_to_be_had_pauses_the_channel_without_a_person(simulator, watched):
    simulator.shopify.change_tokens(revoke="shopify-nuanju")
    simulator.shopify.fail_next(method="token", times=0, status=503)
    summary = fetch_slice(now_fn=timezone.now, seconds=2)
    assert summary.problems
    assert stored().revoked_cause == ""
    assert ChannelHealth.objects.get().kind == "retry"
    simulator.clear_faults()
    QuotaSlot.objects.all().delete()
    ChannelHealth.objects.update(retry_at=timezone.now())
    fetch_slice(now_fn=timezone.now, seconds=30)
    assert outcomes() == {("read", "")}


def test_any_other_caller_has_a_new_token_the_next_time(simulator, watched):
    simulator.shopify.change_tokens(revoke="shopify-nuanju")
    now = timezone.now()
    with pytest.raises(Reauthorise) as caught:
        connector_for(watched).check_connection(now=now)
    mark_failed(watched, caught.value, now)
    assert not ChannelHealth.objects.filter(kind="reauthorise").exists()
    fresh = stored().channel
    assert connector_for(fresh).check_connection(now=now)


def test_keys_that_are_refused_ask_a_person_at_once(simulator):
    shop = simulator.woocommerce.shop()
    channel = woocommerce_channel(simulator)
    row = simulator.woocommerce.items()[0]
    ListingFactory(channel=channel, platform_item_id=str(row["num_iid"]), platform_sku_id=str(row["sku_id"] or ""))
    ensure_watches(now=timezone.now() - timedelta(seconds=1))
    simulator.woocommerce.revoke_key(shop["consumer_key"])
    fetch_slice(now_fn=timezone.now, seconds=30)
    assert stored().state(timezone.now()) == State.REAUTHORISE


def test_a_listing_can_be_read_with_the_token_that_was_got(simulator, watched):
    row = simulator.shopify.variants()[0]
    item_id, sku_id = (row[name].rpartition("/")[2] for name in ("product_id", "variant_id"))
    reading = connector_for(watched).read_listings([ListingRef(1, item_id, sku_id)], now=timezone.now())[0]
    assert reading.outcome == ReadOutcome.READ
